#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 1800
# DISK: 4G:serial=d0
# DISK: 4G:serial=d1
# Scrub from the operator's side: begun and stopped by hand, what it found in
# status, show and events, what is kept of it, the schedule, the agent killed
# while it writes that down.
# shellcheck disable=SC2016 # conditions are evaluated by wait_for
# shellcheck disable=SC2154 # RUN_OUT comes from ktap.sh

. "$(dirname "$0")/node.sh"

need_cmd "$bin/hcivol-inspect"

# volume: db1, attached, with 16 MiB of data.
volume() {
	run_expect 0 "$ctl" cluster set scrub-days=0
	run_expect 0 "$ctl" volume create db1 1G
	run_expect 0 "$ctl" volume attach db1
	head -c 16M /dev/urandom > "$TMP/data"
	dd if="$TMP/data" of="$(dev db1)" bs=1M oflag=direct conv=fsync \
		status=none
}

# place DEVICE: where the volume's first MiB lies on a store, in bytes.
place() {
	local off i

	off=$("$bin/hcivol-inspect" super "$1" --json | jq .data_off)
	for i in {0..7}; do
		if cmp -s -n 65536 "$TMP/data" <(dd if="$1" bs=4096 count=16 \
				skip=$((off / 4096 + i * 65536)) \
				iflag=direct status=none); then
			echo $((off + i * (256 << 20)))
			return
		fi
	done
	fatal "the data is nowhere on $1"
}

# damage DEVICE BLOCK: of the first MiB, beneath the store.
damage() {
	dd if=/dev/zero of="$1" bs=4096 count=1 oflag=direct conv=notrunc \
		seek=$(($(place "$1") / 4096 + $2)) status=none
}

# reads NAME: how often a store of db1 was read.
reads() {
	vol db1 ".replica_list[] | select(.store_name == \"$1\") | .read_ios"
}

# other: the store, and its device, that reads do not go to.
other() {
	local before

	before=$(reads a)
	dd if="$(dev db1)" of=/dev/null bs=4096 count=1 iflag=direct \
		status=none
	if [ "$(reads a)" -gt "$before" ]; then
		other=b dev=$d1
	else
		other=a dev=$d0
	fi
}

# last FILTER: of the pass that is kept.
last() {
	"$ctl" --json volume scrub status db1 | jq -r ".scrub.last$1"
}

# ended_after TIME: a pass that ended then, or later, is written down.
ended_after() {
	[ "$(last .ended)" != null ] && [ "$(last .ended)" -ge "$1" ]
}

scrub() {
	local begin

	begin=$(date +%s)
	run_expect 0 "$ctl" volume scrub start db1 --kibps 0
	wait_for "alive || agent; ended_after $begin" 60 "a pass that is kept"
}

test_by_hand() {
	node
	volume
	run_expect 0 "$ctl" volume show db1
	check_match "none yet" "Scrub +none so far" "$RUN_OUT"
	check_match "none to come" "Next scrub +none is scheduled" "$RUN_OUT"
	scrub
	check_eq "read" $((16 << 20)) "$(last .read_bytes)"
	check_eq "found" 0 "$(last '.damaged_blocks')"
	check_eq "results" "good good" \
		"$(last '.stores | map(.result) | join(" ")')"
	other
	damage "$dev" 100
	damage "$dev" 101
	scrub
	check_eq "found" 2 "$(last .damaged_blocks)"
	check_eq "repaired on $other" 2 "$(last ".stores[] |
		select(.store_name == \"$other\") | .repaired_blocks")"
	run_expect 0 "$ctl" volume scrub status db1
	check_match "in words" "Scrub +done .* 2 blocks differed" "$RUN_OUT"
	check_match "a table" "$other +good" "$RUN_OUT"
	run_expect 0 "$ctl" events
	check_match "told" "store $other differs from the elected replica" "$RUN_OUT"
	check "content" cmp "$TMP/data" <(dd if="$(dev db1)" bs=1M count=16 \
		iflag=direct status=none)
	scrub
	check_eq "found" 0 "$(last .damaged_blocks)"
	run_expect 0 "$ctl" volume detach db1
	gone db1
	volume
	check_eq "nothing is kept of it" null "$(last "")"
	run_expect 0 "$ctl" volume detach db1
	gone db1
	passed
}

test_stop() {
	node
	volume
	run_expect 0 "$ctl" volume scrub start db1 --kibps 256
	wait_for '[ "$(vol db1 .scrub.pass.read_bytes)" -gt 0 ]' 30 "a part"
	run_expect 0 "$ctl" volume show db1
	check_match "it runs" "Scrub +runs, [0-9]+ %" "$RUN_OUT"
	run_expect 0 "$ctl" volume scrub stop db1
	wait_for '[ "$(last .whole)" = false ]' 30 "the end"
	check_eq "not called good" "uncovered uncovered" \
		"$(last '.stores | map(.result) | join(" ")')"
	run_expect 0 "$ctl" volume scrub status db1
	check_match "said" "not known to be good: (a, b|b, a)" "$RUN_OUT"
	run_expect 2 "$ctl" volume scrub begin db1
	run_expect 0 "$ctl" volume detach db1
	run_expect 4 "$ctl" volume scrub start db1
	check_match "why" "it is not attached" "$RUN_OUT"
	run_expect 0 "$ctl" volume scrub status db1
	gone db1
	passed
}

test_detach_during_it() {
	local begin

	node
	volume
	run_expect 0 "$ctl" volume scrub start db1 --kibps 64
	begin=$SECONDS
	run_expect 0 "$ctl" volume detach db1
	note "detach took $((SECONDS - begin)) s"
	check_eq "nothing is kept" null "$(last "")"
	run_expect 0 "$ctl" volume attach db1
	run_expect 0 "$ctl" volume scrub start db1 --kibps 64
	run_expect 0 "$ctl" volume detach db1 --force
	gone db1
	passed
}

test_schedule() {
	node
	volume
	for words in scrub-days=3651 scrub-days=x scrub-kibps=-1 other=1; do
		run_expect 2 "$ctl" cluster set "$words"
	done
	run_expect 0 "$ctl" cluster set scrub-kibps=512
	run_expect 0 "$ctl" cluster set scrub-days=7
	run_expect 0 "$ctl" volume show db1
	check_match "it is due" "Next scrub +in 6 days" "$RUN_OUT"
	# The schedule goes by the wall clock, nothing else of ours does.
	on_exit date -s "-8 days"
	date -s "+8 days" > /dev/null
	wait_for '[ "$(vol db1 .scrub.pass.state)" = running ]' 120 "a pass"
	check_eq "limit" 512 "$(vol db1 .scrub.pass.kibps)"
	run_expect 0 "$ctl" volume scrub start db1 --kibps 0
	wait_for '[ "$(last .whole)" = true ]' 60 "its end"
	run_expect 0 "$ctl" volume show db1
	check_match "the next one" "Next scrub +in [67] days" "$RUN_OUT"
	run_expect 0 "$ctl" volume detach db1
	gone db1
	passed
}

test_agent_killed() {
	local point begin

	node
	volume
	for point in scrub-record scrub-record-done; do
		kill "$AGENT_PID"
		wait_for '! alive' 30 "end of hcivold"
		agent "HCV_CRASH=$point:1"
		wait_for 'module_ok && stores_open' 60
		begin=$(date +%s)
		run_expect 0 "$ctl" volume scrub start db1 --kibps 0
		wait_for '! alive' 60 "death at $point"
		agent
		wait_for "module_ok && ended_after $begin" 60 \
			"the pass, after $point"
		check_eq "results" "good good" \
			"$(last '.stores | map(.result) | join(" ")')"
	done
	# While the agent is away the pass goes on.
	begin=$(date +%s)
	run_expect 0 "$ctl" volume scrub start db1 --kibps 4096
	kill -KILL "$AGENT_PID"
	wait_for '! alive' 30 "end of hcivold"
	agent
	wait_for "module_ok && ended_after $begin" 60 "its end"
	check_eq "whole" true "$(last .whole)"
	for point in scrub-set scrub-set-done; do
		kill "$AGENT_PID"
		wait_for '! alive' 30 "end of hcivold"
		agent "HCV_CRASH=$point:1"
		wait_for 'module_ok && stores_open' 60
		# Its answer dies with the agent; that it died is what is checked.
		"$ctl" cluster set scrub-days=9 > /dev/null 2>&1 || true
		wait_for '! alive' 60 "death at $point"
		agent
		wait_for 'module_ok && stores_open' 60
		run_expect 0 "$ctl" cluster set scrub-days=9
		check_eq "set" 9 "$(vol db1 .scrub.days)"
	done
	run_expect 0 "$ctl" volume detach db1
	gone db1
	passed
}

KTAP_PARTS=2
ktap_main "$@"
