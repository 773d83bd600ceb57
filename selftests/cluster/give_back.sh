#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 1800
# DISK: 4G:serial=d0
# DISK: 4G:serial=d1
# What a guest discards goes back to the stores while the volume is attached;
# the agent killed at each step of it goes on where it was.
# shellcheck disable=SC2016 # conditions are evaluated by wait_for
# shellcheck disable=SC2154 # RUN_OUT comes from ktap.sh

. "$(dirname "$0")/node.sh"

points=(owner-retire owner-retire-done owner-drop-rows owner-drop-rows-done
	owner-extent-del owner-extent-del-done target.extents-withdrawn
	target.gone-deleted)

# touch_all: a block in each of the first N MiB.
touch_all() {
	check "writes" fio --name=v --filename="$(dev db1)" --size="$1"M \
		--io_size=$(($1 * 4))k --rw=write:1020k --bs=4k --ioengine=libaio --iodepth=16 \
		--direct=1 --end_fsync=1 --randseed=7
}

# drop FROM: discard all from that MiB on, and make it durable.
drop() {
	check "discard" blkdiscard -o "$1"M "$(dev db1)"
	dd if=/dev/zero of="$(dev db1)" bs=4k count=1 oflag=direct conv=fsync \
		seek=1 status=none
}

# Of one column seven extents without data stay, and one has some; two copies.
settled() {
	alive || agent
	[ "$("$ctl" --json volume show db1 | jq .module.extents)" = 8 ] &&
		[ "$(used)" = 16 ]
}

test_give_back() {
	node
	run_expect 0 "$ctl" volume create db1 3G
	run_expect 0 "$ctl" volume attach db1
	# Without a journal, whose blocks a slow machine would spread over all
	# extents while the file is written.
	check "mkfs" mkfs.ext4 -q -O ^has_journal \
		-E lazy_itable_init=0 "$(dev db1)"
	mkdir -p "$TMP/mnt"
	mount "$(dev db1)" "$TMP/mnt"
	on_exit unmount
	head -c 1M /dev/urandom > "$TMP/mnt/stays"
	md5sum "$TMP/mnt/stays" > "$TMP/sums"
	fallocate -l 100M "$TMP/mnt/a"
	check "fill" fio --name=v --filename="$TMP/mnt/big" --size=2600M \
		--io_size=10400k --rw=write:1020k --bs=4k --ioengine=libaio --iodepth=16 \
		--direct=1 --end_fsync=1
	wait_for '[ "$(used)" -ge 20 ]' 60 "use"
	full=$(used)
	rm "$TMP/mnt/big"
	sync -f "$TMP/mnt"
	check "fstrim" fstrim "$TMP/mnt"
	sync -f "$TMP/mnt"
	note "$full extents were in use"
	wait_for '[ "$(used)" -lt "$full" ] && [ "$(used)" -le 20 ]' 60 "space"
	note "$(used) are"
	check "content" md5sum -c --quiet "$TMP/sums"
	umount "$TMP/mnt"
	run_expect 0 "$ctl" volume detach db1
	run_expect 0 "$ctl" volume attach db1
	mount "$(dev db1)" "$TMP/mnt"
	check "content" md5sum -c --quiet "$TMP/sums"
	umount "$TMP/mnt"
	check "fsck" e2fsck -fn "$(dev db1)"
	run_expect 0 "$ctl" volume detach db1
	gone db1
	passed
}

test_agent_killed() {
	local point

	node
	run_expect 0 "$ctl" volume create db1 3G
	run_expect 0 "$ctl" volume attach db1
	for point in $(sampled "${points[@]}"); do
		kill "$AGENT_PID"
		wait_for '! alive' 30 "end of hcivold"
		agent "HCV_CRASH=$point:1"
		wait_for 'module_ok && stores_open' 60
		touch_all 3072
		head -c 64k /dev/urandom > "$TMP/want"
		dd if="$TMP/want" of="$(dev db1)" bs=64k oflag=direct \
			status=none
		wait_for '[ "$(used)" = 24 ]' 60 "all in use"
		drop 1
		wait_for '! alive' 60 "death at $point"
		check_eq "where it died" "crash point $point" \
			"$(grep -o "crash point [^:]*" "$TMP/log" | tail -n 1)"
		agent
		wait_for settled 60 "space after $point"
		check "content" cmp -n 4096 "$TMP/want" "$(dev db1)"
	done
	run_expect 0 "$ctl" volume detach db1
	run_expect 0 "$ctl" volume attach db1
	check "content" cmp -n 4096 "$TMP/want" "$(dev db1)"
	check_eq "all in-sync" 2 "$(insync db1)"
	run_expect 0 "$ctl" volume detach db1
	gone db1
	passed
}

ktap_main "$@"
