#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# TAGS: fast
# DISK: 2G:serial=d0
# The links below /dev/hcivol: made by the agent at attach, kept right over
# rename and restart, removed at detach; and udev's rule makes the same.
# shellcheck disable=SC2154 # RUN_OUT comes from ktap.sh

. "$(dirname "$0")/../lib/ktap.sh"

top=$(readlink -f "$(dirname "$0")/../..")
ctl=$top/build/bin/agentctl
daemon=$top/build/bin/hcivold
export HCV_SOCKET=$TMP/sock

need_cmd jq udevadm "$ctl" "$daemon"

# shellcheck disable=SC2317 # by way of on_exit
end_agent() {
	kill "$AGENT_PID" 2> /dev/null || return 0
	wait "$AGENT_PID" || :
}

agent() {
	"$daemon" --state-dir "$TMP/state" --socket "$TMP/sock" --debug \
		2>> "$TMP/log" &
	AGENT_PID=$!
	wait_for "'$ctl' version > /dev/null 2>&1" 20
}

no_links() {
	[ -z "$(links)" ]
}

links() {
	{ find /dev/hcivol -type l -printf '%P=%l\n' 2> /dev/null || :; } |
		sort | paste -sd' '
}

test_links() {
	local uuid dev

	load_hcivol
	on_exit rmmod hcivol
	rm -rf /dev/hcivol
	on_exit rm -rf /dev/hcivol
	agent
	on_exit end_agent
	run_expect 0 "$ctl" cluster init --node-name n1
	wait_for "'$ctl' --json cluster status |
		jq -e .module.ok > /dev/null" 20
	blkdiscard -z -l 1M "$(disk_by_serial d0)"
	run_expect 0 "$ctl" store add "$(disk_by_serial d0)" --name a
	run_expect 0 "$ctl" volume create db1 256M --replicas 1
	check_eq "none before" "" "$(links)"
	dev=$("$ctl" volume attach db1)
	uuid=$("$ctl" --json volume show db1 | jq -r .uuid)
	check_eq "both" \
		"by-id/$uuid=../../${dev#/dev/} by-name/db1=../../${dev#/dev/}" \
		"$(links)"
	check_eq "it leads to the device" "$dev" \
		"$(readlink -f /dev/hcivol/by-name/db1)"

	note "udev"
	mkdir -p /run/udev/rules.d
	cp "$top/tools/udev/60-hcivol.rules" /run/udev/rules.d/
	on_exit rm -rf /run/udev/rules.d
	RUN_OUT=$(udevadm test --action=add "/sys/block/${dev#/dev/}" 2>&1)
	check_match "by name" "hcivol/by-name/db1" "$RUN_OUT"
	check_match "by id" "hcivol/by-id/$uuid" "$RUN_OUT"
	check_eq "no complaint" "" "$(grep '60-hcivol.*\(nvalid\|gnoring\|nknown\)' \
		<<< "$RUN_OUT" || :)"

	note "rename"
	run_expect 0 "$ctl" volume rename db1 db2
	wait_for "[ -e /dev/hcivol/by-name/db2 ]" 20
	wait_for "! [ -e /dev/hcivol/by-name/db1 ]" 20

	note "lost links come back with the agent"
	end_agent
	rm -rf /dev/hcivol
	agent
	wait_for "[ -e /dev/hcivol/by-name/db2 ]" 30

	note "detach"
	run_expect 0 "$ctl" volume detach db2
	wait_for no_links 10
	run_expect 0 "$ctl" volume delete db2
	run_expect 0 "$ctl" store remove a
}

ktap_main "$@"
