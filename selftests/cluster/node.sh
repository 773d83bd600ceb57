# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# One node with two stores for tests that source this: an agent that may be
# killed and started again.
# shellcheck disable=SC2016 # conditions are evaluated by wait_for
# shellcheck disable=SC2154 # RUN_OUT comes from ktap.sh

. "$(dirname "${BASH_SOURCE[0]}")/../lib/ktap.sh"

top=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
bin=${HCV_BIN:-$top/build/bin}
ctl=$bin/agentctl
daemon=$bin/hcivold

need_cmd jq fio mkfs.ext4 "$ctl" "$daemon"
export HCV_SOCKET=$TMP/sock

# agent [VARIABLE=VALUE...]: start hcivold; $AGENT_PID.  Not as a job of this
# shell, which would tell of each that is killed.
# shellcheck disable=SC2120 # only some tests pass any
agent() {
	(
		env "$@" "$daemon" --state-dir "$TMP/state" \
			--socket "$TMP/sock" --debug 2>> "$TMP/log" &
		echo $! > "$TMP/pid"
	)
	AGENT_PID=$(cat "$TMP/pid")
	wait_for '! alive || answers' 60 "answer of hcivold"
	[ $# != 0 ] || check "hcivold runs" alive
}

# alive: it runs; a zombie that init has not seen yet does not.
alive() {
	local stat

	read -r stat 2> /dev/null < "/proc/$AGENT_PID/stat" || return 1
	[[ ${stat##*) } != Z* ]]
}

# shellcheck disable=SC2317 # by way of on_exit
end_agent() {
	alive || return 0
	kill "$AGENT_PID"
	wait_for '! alive' 30 "end of hcivold"
}

answers() {
	"$ctl" version > /dev/null 2>&1
}

module_ok() {
	[ "$("$ctl" --json cluster status | jq .module.ok)" = true ]
}

stores_open() {
	[ "$("$ctl" --json store list |
		jq '[.stores[]? | select(.live)] | length')" = 2 ]
}

# used: extents in use on both stores.
used() {
	"$ctl" --json store list | jq '[.stores[].used_extents] | add'
}

# vol NAME FILTER: a member of volume show.
vol() {
	"$ctl" --json volume show "$1" | jq -r "$2"
}

insync() {
	vol "$1" '[.replica_list[] | select(.state == "insync")] | length'
}

dev() {
	echo "/dev/hcivol/by-name/$1"
}

# shellcheck disable=SC2317 # by way of on_exit
show_log() {
	if [ ! -e "$TMP/passed" ] || [ "$_ktap_failed" != 0 ]; then
		tail -n 60 "$TMP/log" | sed 's/^/# agent: /'
	fi
}

# passed: the case got to its end; without it the agent's log is shown.
passed() {
	touch "$TMP/passed"
}

# node [DEVICE [FIRST]]: a node with two stores, the second one on DEVICE, the
# other one on FIRST; undone at the end of the case.
# shellcheck disable=SC2120 # only some tests name one
node() {
	rm -rf "$TMP/state" "$TMP/passed"
	: > "$TMP/log"
	load_hcivol
	on_exit rmmod hcivol
	on_exit end_agent
	on_exit show_log
	agent
	"$ctl" cluster init --node-name n1 > /dev/null
	wait_for module_ok 20
	d0=${2:-$(disk_by_serial d0)}
	d1=${1:-$(disk_by_serial d1)}
	wipefs -qa "$d0" "$d1"
	blkdiscard -z -l 1M "$d0"
	blkdiscard -z -l 1M "$d1"
	run_expect 0 "$ctl" store add "$d0" --name a
	run_expect 0 "$ctl" store add "$d1" --name b
}

# shellcheck disable=SC2317 # by way of on_exit
unmount() {
	! mountpoint -q "$TMP/mnt" || umount "$TMP/mnt"
}

# nl COMMAND [ATTRIBUTE=VALUE...]: to the module.
nl() {
	python3 -B "$top/selftests/lib/hcvnl.py" "$@"
}

# gone NAME: delete a volume and wait for its space.
gone() {
	run_expect 0 "$ctl" volume delete "$1"
	wait_for '[ "$(used)" = 0 ]' 60 "freed space"
}
