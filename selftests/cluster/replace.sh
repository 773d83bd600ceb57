#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 1800
# DISK: 4G:serial=d0
# DISK: 4G:serial=d1
# DISK: 4G:serial=d2
# Replicas that are made anew elsewhere: a disk that dies for good, a store that
# is emptied and removed, under I/O with verification, or while nobody has the
# volume; the agent killed at each step of it.
# shellcheck disable=SC2016 # conditions are evaluated by wait_for
# shellcheck disable=SC2154 # RUN_OUT comes from ktap.sh

. "$(dirname "$0")/node.sh"

# Not minutes: the agent takes these from its environment.
export HCV_ABSENT_MS=4000 HCV_FAILED_MS=2000 HCV_CARE_MS=3000

points=(planner-claim planner-claim-done planner-write planner-write-done
	owner-job-add owner-job-add-done owner-job-rows owner-job-rows-done
	owner-job-release owner-job-release-done
	owner-job-drop owner-job-drop-done owner-job-end owner-job-end-done)

# What becomes of a volume that is attached nowhere, without an attach and with.
care_points=(planner-care planner-care-done owner-care-claim
	owner-care-claim-done owner-create owner-create-done owner-serve-done
	owner-start owner-start-done owner-begin-sync-done owner-join-done
	owner-job-drop-done owner-care-leave owner-care-leave-done owner-stop
	owner-stop-done owner-detach owner-detach-done)
attach_points=(volume-care volume-care-done owner-publish owner-publish-done)

stores_open() {
	[ "$("$ctl" --json store list |
		jq '[.stores[]? | select(.live)] | length')" = 3 ]
}

# on STORE: extents of volumes that are there.
on() {
	"$ctl" --json store show "$1" | jq '[.volumes[].extents] | add // 0'
}

# held STORE: extents in use there, those that are being freed included.
held() {
	"$ctl" --json store show "$1" | jq .used_extents
}

# state STORE: of its replica of db1.
state() {
	"$ctl" --json store show "$1" |
		jq -r '.volumes[] | select(.name == "db1") | .state'
}

# granted STORE: what the volume's owner may use there.
granted() {
	local id

	id=$("$ctl" --json store show "$1" | jq -r .uuid)
	nl GRANT_GET | jq -c --arg id "$id" \
		'select(.STORE == $id and .GRANT_FLAGS == "")'
}

# cut_off STORE: its gate lets nothing in through the handles that are out.
cut_off() {
	local grant

	grant=$(granted "$1")
	cut=$(jq .RENEW <<< "$grant")
	nl REVOKE "STORE=$(jq -r .STORE <<< "$grant")" \
		"VOL=$(jq -r .VOL <<< "$grant")" \
		"EPOCH=$(jq .EPOCH <<< "$grant")" "RENEW=$((cut + 1))" > /dev/null
}

# empty: all has left $from, and what it had is free.
empty() {
	[ "$(on "$from")" = 0 ] && [ "$(jobs_left)" = 0 ] &&
		[ "$(held "$from")" = 0 ]
}

swap() {
	local store=$to

	to=$from
	from=$store
}

jobs_left() {
	"$ctl" --json recovery jobs | jq '.jobs | length'
}

# choose: $to has nothing of the volume, $from a part.
choose() {
	local store

	from=
	to=
	for store in a b c; do
		if [ "$(on "$store")" = 0 ]; then
			to=$store
		elif [ "$store" != a ] && [ -z "$from" ]; then
			from=$store
		fi
	done
	check "one is free" test -n "$to"
}

# tombs: what stores are to free.
tombs() {
	python3 - "$TMP/state/meta.db" <<- "END"
		import sqlite3, sys
		print(sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True).execute(
		    "SELECT count(*) FROM kv WHERE key LIKE 'tomb/%'").fetchone()[0])
	END
}

third() {
	d2=$(disk_by_serial d2)
	wipefs -qa "$d2"
	blkdiscard -z -l 1M "$d2"
	run_expect 0 "$ctl" store add "$d2" --name c
}

# writer: writes and verifies until it is told to end.
writer() {
	fio --name=v --filename="$(dev db1)" --size="$(scaled 64)"M \
		--rw=randwrite --bs=4k-64k --verify=crc32c --do_verify=1 \
		--verify_backlog=64 --ioengine=libaio --iodepth=8 --direct=1 \
		--fsync=64 --time_based --runtime=20 > "$TMP/fio" 2>&1 &
	writer=$!
}

test_drain() {
	node
	third
	run_expect 0 "$ctl" volume create db1 1G
	run_expect 0 "$ctl" volume attach db1
	dd if=/dev/urandom of="$TMP/data" bs=1M count=8 status=none
	dd if="$TMP/data" of="$(dev db1)" bs=1M seek=512 oflag=direct \
		conv=fsync status=none
	choose
	run_expect 4 "$ctl" store remove "$from"
	writer
	run_expect 0 "$ctl" store drain "$from"
	check_match "says what is left" "extents of volumes are still on it" \
		"$RUN_OUT"
	wait_for '[ "$(on "$from")" = 0 ] && [ "$(jobs_left)" = 0 ]' 240 \
		"empty store"
	check "writes and what was read back" wait "$writer"
	check_eq "all in-sync" 2 "$(insync db1)"
	check_eq "state" insync "$(state "$to")"
	check "content" cmp "$TMP/data" \
		<(dd if="$(dev db1)" bs=1M skip=512 count=8 iflag=direct \
			status=none)
	wait_for '[ "$(held "$from")" = 0 ]' 60 "freed space"
	run_expect 0 "$ctl" store remove "$from"
	run_expect 0 "$ctl" volume detach db1
	run_expect 0 "$ctl" volume attach db1
	check_eq "all in-sync" 2 "$(insync db1)"
	check "content" cmp "$TMP/data" \
		<(dd if="$(dev db1)" bs=1M skip=512 count=8 iflag=direct \
			status=none)
	run_expect 0 "$ctl" volume detach db1
	gone db1
	passed
}

# New extents while the volume's other ones move: not to where they come from.
test_grows() {
	local from to extents

	node
	third
	run_expect 0 "$ctl" volume create db1 3G --stripe 1
	run_expect 0 "$ctl" volume attach db1
	run_expect 0 "$ctl" volume set db1 sync-kibps=16
	dd if=/dev/urandom of="$TMP/data" bs=1M count=16 status=none
	dd if="$TMP/data" of="$(dev db1)" bs=1M oflag=direct conv=fsync \
		status=none
	choose
	extents=$(on "$from")
	run_expect 0 "$ctl" store drain "$from"
	wait_for '[ "$(state "$to")" = syncing ]' 120 "a copy under way"
	# One block of each megabyte, of more than the extents that are there.
	fio --name=v --filename="$(dev db1)" --offset=16M --size=1600M \
		--rw=write:1020k --bs=4k --ioengine=psync --direct=1 \
		--verify=crc32c --do_verify=0 > "$TMP/fio" 2>&1
	check_eq "it is still being copied" syncing "$(state "$to")"
	check_eq "extents where they come from" "$extents" "$(on "$from")"
	check "further ones elsewhere" test "$(on "$to")" -gt $((extents + 1))
	run_expect 0 "$ctl" volume set db1 sync-kibps=0
	wait_for '[ "$(on "$from")" = 0 ] && [ "$(jobs_left)" = 0 ]' 240 \
		"empty store"
	check_eq "all in-sync" 2 "$(insync db1)"
	run_expect 0 "$ctl" volume detach db1
	run_expect 0 "$ctl" volume attach db1
	fio --name=v --filename="$(dev db1)" --offset=16M --size=1600M \
		--rw=write:1020k --bs=4k --ioengine=psync --direct=1 \
		--verify=crc32c --verify_only > "$TMP/fio" 2>&1
	check "content" cmp -n $((16 << 20)) "$TMP/data" "$(dev db1)"
	run_expect 0 "$ctl" volume detach db1
	gone db1
	passed
}

# One store after the other, and back, without an attach in between.
test_rolling() {
	local from to epoch i

	node
	third
	run_expect 0 "$ctl" volume create db1 512M
	run_expect 0 "$ctl" volume attach db1
	dd if=/dev/urandom of="$TMP/data" bs=1M count=8 status=none
	dd if="$TMP/data" of="$(dev db1)" bs=1M seek=256 oflag=direct \
		conv=fsync status=none
	epoch=$(vol db1 .epoch)
	choose
	writer
	for i in 1 2 3 4; do
		run_expect 0 "$ctl" store drain "$from"
		wait_for empty 240 "empty $from"
		run_expect 0 "$ctl" store undrain "$from"
		check_eq "all in-sync" 2 "$(insync db1)"
		check_eq "on $to" insync "$(state "$to")"
		note "round $i: from $from to $to"
		swap
	done
	check "writes and what was read back" wait "$writer"
	check_eq "no attach" "$epoch" "$(vol db1 .epoch)"
	check "content" cmp "$TMP/data" \
		<(dd if="$(dev db1)" bs=1M skip=256 count=8 iflag=direct \
			status=none)
	run_expect 0 "$ctl" volume detach db1
	run_expect 0 "$ctl" volume attach db1
	check "content" cmp "$TMP/data" \
		<(dd if="$(dev db1)" bs=1M skip=256 count=8 iflag=direct \
			status=none)
	run_expect 0 "$ctl" volume detach db1
	gone db1
	passed
}

# A target that is cut off from its owner again and again: the owner says so, and
# dies at that; there is no other place, so that it is filled in the end.
test_cut_off() {
	local from to point try cut

	node
	third
	run_expect 0 "$ctl" volume create db1 512M
	run_expect 0 "$ctl" volume attach db1
	dd if=/dev/urandom of="$TMP/data" bs=1M count=16 status=none
	dd if="$TMP/data" of="$(dev db1)" bs=1M oflag=direct conv=fsync \
		status=none
	choose
	for point in owner-job-fail owner-job-fail-done; do
		end_agent
		agent "HCV_CRASH=$point:1"
		wait_for 'stores_open && [ "$(insync db1)" = 2 ]' 60 "all as before"
		run_expect 0 "$ctl" volume set db1 sync-kibps=64
		run_expect 0 "$ctl" store drain "$from"
		cut=0
		for try in 1 2 3; do
			wait_for '[ "$(state "$to")" = syncing ] &&
				[ "$(granted "$to" | jq .RENEW)" -gt "$cut" ]' 60 \
				"try $try"
			cut_off "$to"
		done
		wait_for '! alive' 120 "death at $point"
		agent
		wait_for stores_open 60
		[ "$point" = owner-job-fail ] ||
			check_match "the leader is told" "could not be brought up to date" \
				"$("$ctl" recovery jobs)"
		run_expect 0 "$ctl" volume set db1 sync-kibps=0
		wait_for empty 240 "empty $from"
		check_eq "where it died" "crash point $point" \
			"$(grep -o "crash point [^:]*" "$TMP/log" | tail -n 1)"
		check_eq "all in-sync" 2 "$(insync db1)"
		check "content" cmp -n $((16 << 20)) "$TMP/data" "$(dev db1)"
		run_expect 0 "$ctl" store undrain "$from"
		swap
	done
	run_expect 0 "$ctl" volume detach db1
	gone db1
	passed
}

# What is told while nothing can be done, and a drain that is taken back.
test_undrain() {
	node
	run_expect 0 "$ctl" volume create db1 512M
	run_expect 0 "$ctl" volume attach db1
	run_expect 0 "$ctl" store drain b
	wait_for '"$ctl" recovery jobs | grep -q "no store can take it"' 60 \
		"the reason"
	run_expect 0 "$ctl" store undrain b
	wait_for '! "$ctl" recovery jobs | grep -q drain' 60 "no drain"
	check_eq "all in-sync" 2 "$(insync db1)"
	run_expect 0 "$ctl" volume detach db1
	gone db1
	passed
}

# caretaker: who takes care of db1.
caretaker() {
	vol db1 .caretaker
}

disks() {
	find /sys/block -name 'hcivol*' | wc -l
}

# cared: a copy of db1 is under way, and nobody has it attached.
cared() {
	wait_for 'alive || agent; [ "$(state "$to")" = syncing ]' 120 \
		"a copy under way"
	check_eq "who takes care of it" n1 "$(caretaker)"
	check_eq "owner" "" "$(vol db1 .owner)"
	check_eq "disks" 0 "$(disks)"
}

# Nobody attaches the volume: a node takes care of it, and gives it up to whoever
# wants it.
test_detached() {
	local from to epoch

	node
	third
	run_expect 0 "$ctl" volume create db1 1G
	run_expect 0 "$ctl" volume attach db1
	dd if=/dev/urandom of="$TMP/data" bs=1M count=8 status=none
	dd if="$TMP/data" of="$(dev db1)" bs=1M oflag=direct conv=fsync \
		status=none
	run_expect 0 "$ctl" volume set db1 sync-kibps=64
	choose
	run_expect 0 "$ctl" volume detach db1
	run_expect 0 "$ctl" store drain "$from"
	cared
	check_match "why" "^drain: " "$(vol db1 .caretaker_why)"
	check_match "in the list" "none .caretaker: n1." \
		"$("$ctl" volume list)"
	check_eq "not owned" 0 "$("$ctl" --json node list |
		jq '.nodes[0].volumes_owned')"
	run_expect 4 "$ctl" volume detach db1
	check_match "it is not" "not attached" "$RUN_OUT"
	run_expect 4 "$ctl" volume handover db1 --to n1
	check_match "it is not" "not attached" "$RUN_OUT"
	run_expect 0 "$ctl" volume resize db1 2G
	run_expect 0 "$ctl" volume rename db1 db2
	run_expect 0 "$ctl" volume rename db2 db1
	check_eq "disks" 0 "$(disks)"
	# What is under way goes on, with a disk that is as it was asked for.
	epoch=$(vol db1 .epoch)
	run_expect 0 "$ctl" volume attach db1 --queue bio
	check_eq "epoch" "$epoch" "$(vol db1 .epoch)"
	check_eq "copy" syncing "$(state "$to")"
	check_eq "caretaker" "" "$(caretaker)"
	check_eq "queue" bio "$(vol db1 .module.queue)"
	check_eq "size" $((2 << 30)) "$(blockdev --getsize64 "$(dev db1)")"
	check "content" cmp -n $((8 << 20)) "$TMP/data" "$(dev db1)"
	run_expect 0 "$ctl" volume set db1 sync-kibps=0
	wait_for '[ "$(on "$from")" = 0 ] && [ "$(jobs_left)" = 0 ]' 240 \
		"empty store"
	run_expect 0 "$ctl" volume detach db1
	run_expect 0 "$ctl" store undrain "$from"
	# All of it without an attach.
	swap
	run_expect 0 "$ctl" store drain "$from"
	wait_for empty 240 "empty store"
	wait_for '[ "$(caretaker)" = "" ]' 60 "the end of the care"
	check_eq "given up in order" true "$(vol db1 .clean)"
	check_eq "health" ok "$(vol db1 .health)"
	run_expect 0 "$ctl" volume attach db1
	check_eq "all in-sync" 2 "$(insync db1)"
	check "content" cmp -n $((8 << 20)) "$TMP/data" "$(dev db1)"
	run_expect 0 "$ctl" volume set db1 sync-kibps=64
	run_expect 0 "$ctl" volume detach db1
	run_expect 0 "$ctl" store undrain "$from"
	# It is deleted from under the copy.
	swap
	run_expect 0 "$ctl" store drain "$from"
	cared
	gone db1
	passed
}

# Whoever is killed where: the volume is emptied out, or attached.
test_caretaker_killed() {
	local point from to

	node
	third
	run_expect 0 "$ctl" volume create db1 512M
	choose
	for point in $(sampled "${care_points[@]}" "${attach_points[@]}"); do
		run_expect 0 "$ctl" volume attach db1
		head -c 64k /dev/urandom > "$TMP/want"
		dd if="$TMP/want" of="$(dev db1)" bs=64k oflag=direct \
			conv=fsync status=none
		if [[ " ${attach_points[*]} " = *" $point "* ]]; then
			run_expect 0 "$ctl" volume set db1 sync-kibps=1
		fi
		run_expect 0 "$ctl" volume detach db1
		end_agent
		agent "HCV_CRASH=$point:1"
		"$ctl" store drain "$from" > "$TMP/out" 2>&1 || true
		wait_for 'alive || agent; "$ctl" store drain "$from" > "$TMP/out" 2>&1' \
			60 "drain of $from"
		if [[ " ${attach_points[*]} " = *" $point "* ]]; then
			cared
			"$ctl" volume attach db1 > "$TMP/out" 2>&1 || true
			wait_for 'alive || agent; "$ctl" volume attach db1 > \
				"$TMP/out" 2>&1 || [ -e "$(dev db1)" ]' 60 \
				"attach after $point"
			check "content" cmp -n 65536 "$TMP/want" "$(dev db1)"
			run_expect 0 "$ctl" volume set db1 sync-kibps=0
		fi
		wait_for 'alive || agent; empty' 120 "empty store after $point"
		if [[ " ${attach_points[*]} " != *" $point "* ]]; then
			wait_for 'alive || agent; [ "$(caretaker)" = "" ]' 60 \
				"the end of the care after $point"
			check_eq "in order after $point" true "$(vol db1 .clean)"
			run_expect 0 "$ctl" volume attach db1
		fi
		check_eq "where it died" "crash point $point" \
			"$(grep -o "crash point [^:]*" "$TMP/log" | tail -n 1)"
		wait_for '[ "$(insync db1)" = 2 ]' 60 "both replicas"
		check "content" cmp -n 65536 "$TMP/want" "$(dev db1)"
		run_expect 0 "$ctl" store undrain "$from"
		run_expect 0 "$ctl" volume detach db1
		swap
	done
	note "its place is on $from, $to is free"
	gone db1
	passed
}

test_disk_dies() {
	local sectors disk

	need_module dm-mod
	disk=$(disk_by_serial d1)
	sectors=$(blockdev --getsz "$disk")
	dmsetup create hcv-b --table "0 $sectors linear $disk 0"
	on_exit dmsetup remove --retry hcv-b
	dmsetup mknodes hcv-b
	node /dev/mapper/hcv-b
	run_expect 0 "$ctl" volume create db1 1G
	run_expect 0 "$ctl" volume attach db1
	third
	dd if=/dev/urandom of="$TMP/data" bs=1M count=8 status=none
	dd if="$TMP/data" of="$(dev db1)" bs=1M seek=512 oflag=direct \
		conv=fsync status=none
	writer
	dmsetup suspend --noflush hcv-b
	dmsetup load hcv-b --table "0 $sectors error"
	dmsetup resume hcv-b
	wait_for '[ "$(state c)" = insync ] && [ "$(jobs_left)" = 0 ]' 240 \
		"replica on the third disk"
	check "writes and what was read back" wait "$writer"
	check_eq "nothing on the dead one" 0 "$(on b)"
	# Nobody is left who would free what it had: the leader forgets that.
	check "a tombstone" test "$(tombs)" = 1
	end_agent
	agent HCV_CRASH=planner-sweep:1
	wait_for module_ok 60
	wait_for '"$ctl" store remove b > "$TMP/out" 2>&1; ! alive' 60 \
		"death at the sweep"
	check_eq "where it died" "crash point planner-sweep" \
		"$(grep -o "crash point [^:]*" "$TMP/log" | tail -n 1)"
	agent
	wait_for '[ "$(tombs)" = 0 ]' 60 "no tombstone"
	check_eq "health" ok "$(vol db1 .health)"
	check "content" cmp "$TMP/data" \
		<(dd if="$(dev db1)" bs=1M skip=512 count=8 iflag=direct \
			status=none)
	run_expect 0 "$ctl" volume detach db1
	run_expect 0 "$ctl" volume attach db1
	check_eq "all in-sync" 2 "$(insync db1)"
	check "content" cmp "$TMP/data" \
		<(dd if="$(dev db1)" bs=1M skip=512 count=8 iflag=direct \
			status=none)
	run_expect 0 "$ctl" volume detach db1
	passed
}

# There and back, one way for each step.
test_agent_killed() {
	local point from to

	node
	third
	run_expect 0 "$ctl" volume create db1 512M
	choose
	for point in $(sampled "${points[@]}"); do
		run_expect 0 "$ctl" volume attach db1
		head -c 64k /dev/urandom > "$TMP/want"
		dd if="$TMP/want" of="$(dev db1)" bs=64k oflag=direct \
			conv=fsync status=none
		end_agent
		agent "HCV_CRASH=$point:1"
		# The point of a claim may be met before anything is asked for.
		wait_for 'alive || agent; "$ctl" store drain "$from" > "$TMP/out" 2>&1' \
			60 "drain of $from"
		wait_for 'alive || agent; [ "$(on "$from")" = 0 ] &&
			[ "$(jobs_left)" = 0 ]' 120 "empty store after $point"
		wait_for 'alive || agent; [ "$(held "$from")" = 0 ]' 60 \
			"freed space after $point"
		check_eq "where it died" "crash point $point" \
			"$(grep -o "crash point [^:]*" "$TMP/log" | tail -n 1)"
		check_eq "all in-sync" 2 "$(insync db1)"
		check "content" cmp -n 65536 "$TMP/want" "$(dev db1)"
		run_expect 0 "$ctl" store undrain "$from"
		run_expect 0 "$ctl" volume detach db1
		swap
	done
	note "its place is on $from, $to is free"
	gone db1
	passed
}

# Minutes each; with HCV_SHARE one of so many parts.
KTAP_PARTS=3
ktap_main "$@"
