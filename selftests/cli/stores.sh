#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 1800
# TAGS: fast
# DISK: 2G:serial=d0
# DISK: 2G:serial=d1
# DISK: 512M:serial=d2
# store add, list, show and remove with a module; what is refused; the agent
# killed at each step of adding and removing, and restarted.
# shellcheck disable=SC2154 # RUN_OUT comes from ktap.sh

. "$(dirname "$0")/../lib/ktap.sh"

top=$(readlink -f "$(dirname "$0")/../..")
ctl=$top/build/bin/agentctl
daemon=$top/build/bin/hcivold

need_cmd jq "$ctl" "$daemon"
export HCV_SOCKET=$TMP/sock

# agent [VARIABLE=VALUE...]: start hcivold; $AGENT_PID.
agent() {
	env "$@" "$daemon" --state-dir "$TMP/state" --socket "$TMP/sock" \
		--debug 2>> "$TMP/log" &
	AGENT_PID=$!
	on_exit end_agent "$AGENT_PID"
}

# shellcheck disable=SC2317 # by way of on_exit
end_agent() {
	kill "$1" 2> /dev/null || return 0
	wait "$1" || :
}

answers() {
	"$ctl" version > /dev/null 2>&1
}

# A node with a module and an agent; undone at the end of the case.
node() {
	rm -rf "$TMP/state"
	load_hcivol
	on_exit unload
	agent
	wait_for answers 20
	"$ctl" cluster init --node-name n1 > /dev/null
	wait_for module_ok 20
	d0=$(disk_by_serial d0)
	d1=$(disk_by_serial d1)
	d2=$(disk_by_serial d2)
	wipefs -qa "$d0" "$d1" "$d2"
	blkdiscard -z -l 1M "$d0"
	blkdiscard -z -l 1M "$d1"
}

module_ok() {
	[ "$("$ctl" --json cluster status | jq .module.ok)" = true ]
}

# shellcheck disable=SC2317 # by way of on_exit
unload() {
	rmmod hcivol
}

# is_open NAMES: these stores, and no others, are open.
is_open() {
	[ "$(open_stores 2> /dev/null)" = "$1" ]
}

open_stores() {
	"$ctl" --json store list | jq -r '[.stores[] | select(.live) | .name] |
		sort | join(" ")'
}

test_add_list_show_remove() {
	node
	run_expect 0 "$ctl" store add "$d0" --name a
	check_match "says its size" "2 GiB|1.[0-9] GiB" "$RUN_OUT"
	run_expect 0 "$ctl" store add "$d1" --name b --class hdd
	check_eq "both open" "a b" "$(open_stores)"
	run_expect 0 "$ctl" store list
	check_match "class" "b +n1 +ready +hdd" "$RUN_OUT"
	run_expect 0 "$ctl" store show a
	check_match "device" "Device +/dev" "$RUN_OUT"
	run_expect 0 "$ctl" store show n1:a
	run_expect 0 "$ctl" cluster status
	check_match "disk domain" "Domain +disk: " "$RUN_OUT"
	check_match "none" "No problems" "$RUN_OUT"
	run_expect 0 "$ctl" store remove a
	check_eq "one left" b "$(open_stores)"
	run_expect 3 "$ctl" store show a
	# wiped: can be used for something else, or again
	check_eq "no signature" "" "$(blkid -p -o value -s TYPE "$d0" || :)"
	run_expect 0 "$ctl" store add "$d0" --name a
	run_expect 0 "$ctl" store remove a
	run_expect 0 "$ctl" store remove b
}

test_refused() {
	node
	run_expect 4 "$ctl" store add "$d2"
	check_match "too small" "small|1 GiB" "$RUN_OUT"
	mkfs.ext4 -q "$d0" > /dev/null 2>&1
	run_expect 4 "$ctl" store add "$d0" --name a
	check_match "what it holds" "ext4" "$RUN_OUT"
	mkdir "$TMP/mnt"
	mount "$d0" "$TMP/mnt"
	on_exit umount "$TMP/mnt"
	run_expect 4 "$ctl" store add "$d0" --name a --force
	check_match "mounted" "use|mounted" "$RUN_OUT"
	umount "$TMP/mnt"
	mount -t tmpfs none "$TMP/mnt"
	run_expect 0 "$ctl" store add "$d0" --name a --force
	run_expect 4 "$ctl" store add "$d0" --name x --force
	check_match "its own store" "store a of this cluster" "$RUN_OUT"
	run_expect 4 "$ctl" store add "$d1" --name a
	check_match "name taken" "a store of this name" "$RUN_OUT"
	run_expect 2 "$ctl" store add "$d1" --name a/b
	run_expect 2 "$ctl" store add "$d1" --class tape
	run_expect 3 "$ctl" store remove nothing
	run_expect 0 "$ctl" store remove a
}

test_foreign_store() {
	node
	# a store of another cluster, opened there
	run_expect 0 "$ctl" store add "$d0" --name a
	end_agent "$AGENT_PID"
	rmmod hcivol
	rm -rf "$TMP/state"
	load_hcivol
	agent
	wait_for answers 20
	"$ctl" cluster init --node-name other > /dev/null
	wait_for module_ok 20
	run_expect 4 "$ctl" store add "$d0" --name mine
	run_expect 0 "$ctl" store add "$d0" --name mine --force
	run_expect 0 "$ctl" store remove mine
}

test_restart_and_reload() {
	local before

	node
	run_expect 0 "$ctl" store add "$d0" --name a
	before=$("$ctl" --json store show a | jq .incarnation)
	# the agent alone: the store stays open, as the same incarnation
	kill -9 "$AGENT_PID"
	wait "$AGENT_PID" || :
	agent
	wait_for "is_open a" 30
	check_eq "same incarnation" "$before" \
		"$("$ctl" --json store show a | jq .incarnation)"
	# the module alone: the agent notices, names the node, opens the store
	"$ctl" --json store show a > /dev/null
	uuid=$("$ctl" --json store show a | jq -r .uuid)
	end_agent "$AGENT_PID"
	rmmod hcivol
	agent
	wait_for answers 20
	wait_for "is_open ''" 30
	run_expect 0 "$ctl" cluster status
	check_match "says so" "module is not loaded" "$RUN_OUT"
	load_hcivol
	wait_for "is_open a" 30
	check_ne "another incarnation" "$before" \
		"$("$ctl" --json store show a | jq .incarnation)"
	check_eq "same store" "$uuid" \
		"$("$ctl" --json store show a | jq -r .uuid)"
	run_expect 0 "$ctl" store remove a
}

# Membership looked at the store before the removal and opens it after the
# close: the removal closes it again.
test_opened_while_removed() {
	node
	run_expect 0 "$ctl" store add "$d0" --name a
	end_agent "$AGENT_PID"
	rmmod hcivol
	load_hcivol
	agent "HCV_HOLD=member-store-absent:4000,store-remove-closed:6000"
	wait_for answers 20
	wait_for "grep -q 'member-store-absent: waiting' '$TMP/log'" 20
	run_expect 0 "$ctl" store remove a
	check_match "waited" "store-remove-closed: waiting" "$(cat "$TMP/log")"
	check_eq "none left open" "" "$(open_stores)"
	check_eq "no signature" "" "$(blkid -p -o value -s TYPE "$d0" || :)"
	end_agent "$AGENT_PID"
}

test_killed_at_each_step() {
	local point

	node
	end_agent "$AGENT_PID"
	for point in $(sampled store-add-formatted store-add-registered \
			member-store-open member-storelive-written); do
		note "$point"
		agent "HCV_CRASH=$point:1"
		wait_for answers 20
		wait_for module_ok 20
		"$ctl" store add "$d0" --name a > "$TMP/out1" 2>&1 || :
		wait_for "! kill -0 $AGENT_PID 2> /dev/null" 20 \
			"death at $point"
		agent
		wait_for answers 20
		wait_for module_ok 20
		[ "$("$ctl" --json store list | jq '.stores | length')" = 1 ] ||
			run_expect 0 "$ctl" store add "$d0" --name a
		wait_for "is_open a" 20 "store after $point"
		run_expect 0 "$ctl" store remove a
		end_agent "$AGENT_PID"
	done
	for point in $(sampled store-remove-marked store-remove-closed \
			store-remove-wiped); do
		note "$point"
		agent "HCV_CRASH=$point:1"
		wait_for answers 20
		wait_for module_ok 20
		run_expect 0 "$ctl" store add "$d0" --name a
		"$ctl" store remove a > "$TMP/out1" 2>&1 || :
		wait_for "! kill -0 $AGENT_PID 2> /dev/null" 20 \
			"death at $point"
		agent
		wait_for answers 20
		wait_for module_ok 20
		run_expect 0 "$ctl" store remove a
		run_expect 3 "$ctl" store show a
		end_agent "$AGENT_PID"
	done
}

ktap_main "$@"
