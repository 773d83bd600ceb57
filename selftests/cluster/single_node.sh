#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 1800
# TAGS: fast smoke
# DISK: 4G:serial=d0
# DISK: 4G:serial=d1
# A single node from cluster init to an empty store again: two replicas on two
# disks, a file system, resize, detach and attach, by force as well; a failing
# replica; what is refused.
# shellcheck disable=SC2016 # conditions are evaluated by wait_for
# shellcheck disable=SC2154 # RUN_OUT comes from ktap.sh

. "$(dirname "$0")/node.sh"

test_life() {
	node
	run_expect 0 "$ctl" volume create db1 1G
	check_match "two disks" "2 replicas on different disks" "$RUN_OUT"
	run_expect 4 "$ctl" volume create db1 1G
	run_expect 4 "$ctl" volume detach db1
	run_expect 0 "$ctl" volume attach db1
	check_match "the device" "^/dev/hcivol[0-9]+" "$RUN_OUT"
	check "by name" test -b "$(dev db1)"
	check "by id" test -b "/dev/hcivol/by-id/$(vol db1 .uuid)"
	run_expect 4 "$ctl" volume attach db1
	check_match "says where" "attached on this node already" "$RUN_OUT"
	run_expect 4 "$ctl" volume delete db1
	check "mkfs" mkfs.ext4 -q "$(dev db1)"
	mkdir "$TMP/mnt"
	mount "$(dev db1)" "$TMP/mnt"
	on_exit unmount
	check "fio" fio --name=v --directory="$TMP/mnt" --size="$(scaled 48)"M \
		--rw=randwrite --bs=4k-64k --verify=crc32c --do_verify=1 \
		--end_fsync=1 --ioengine=libaio --iodepth=8 --direct=1
	run_expect 4 "$ctl" volume detach db1
	check_match "in use" "in use" "$RUN_OUT"
	run_expect 0 "$ctl" volume resize db1 2G
	check_eq "size" $((2 << 30)) "$(blockdev --getsize64 "$(dev db1)")"
	check "resize2fs" resize2fs "$(dev db1)"
	run_expect 4 "$ctl" volume resize db1 1G
	check_match "says what helps" "cannot be made smaller" "$RUN_OUT"
	md5sum "$TMP/mnt"/v* > "$TMP/sums"
	umount "$TMP/mnt"
	run_expect 0 "$ctl" volume detach db1
	check "no device" test ! -e "$(dev db1)"
	run_expect 0 "$ctl" volume attach db1
	mount "$(dev db1)" "$TMP/mnt"
	check "content" md5sum -c --quiet "$TMP/sums"
	umount "$TMP/mnt"
	check_eq "all in-sync" 2 "$(insync db1)"
	run_expect 0 "$ctl" volume rename db1 db2
	wait_for '[ -b "$(dev db2)" ] && [ ! -e "$(dev db1)" ]' 20 "new link"
	run_expect 0 "$ctl" volume detach db2
	gone db2
	run_expect 0 "$ctl" store remove a
	run_expect 0 "$ctl" store remove b
	passed
}

test_force() {
	node
	run_expect 0 "$ctl" volume create db1 512M
	run_expect 0 "$ctl" volume attach db1
	dd if=/dev/urandom of="$TMP/data" bs=1M count=4 status=none
	dd if="$TMP/data" of="$(dev db1)" bs=1M oflag=direct conv=fsync \
		status=none
	exec 7< "$(dev db1)"
	run_expect 4 "$ctl" volume detach db1
	local start
	start=$(_ktap_now_ms)
	run_expect 0 "$ctl" volume detach --force db1
	check_le "time" $(($(_ktap_now_ms) - start)) 60000
	check_eq "read afterwards" 0 \
		"$(dd bs=4k count=1 iflag=direct status=none <&7 | wc -c)"
	# its zombie does not stand in the way of a new one
	run_expect 0 "$ctl" volume attach db1
	exec 7<&-
	check "content" cmp -n 4194304 "$TMP/data" "$(dev db1)"
	wait_for '[ "$(insync db1)" = 2 ]' 60 "second replica"
	run_expect 0 "$ctl" volume detach db1
	gone db1
	passed
}

test_settings() {
	node
	run_expect 0 "$ctl" volume create db1 64M --replicas 1
	run_expect 2 "$ctl" volume set db1 colour=red
	check_match "lists the keys" \
		"policy, policy_ms, sync_kibps, slow_replica, queue, readonly" \
		"$RUN_OUT"
	run_expect 2 "$ctl" volume set db1 policy=maybe
	run_expect 2 "$ctl" volume set db1 policy-ms=86400001
	run_expect 2 "$ctl" volume set db1 sync-kibps=+5
	run_expect 2 "$ctl" volume set db1 sync_kibps=1073741825
	run_expect 0 "$ctl" volume set db1 sync-kibps=2048
	run_expect 0 "$ctl" volume set db1 readonly=on
	run_expect 0 "$ctl" volume set db1 queue=bio
	run_expect 0 "$ctl" volume attach db1
	check_eq "read-only" 1 "$(blockdev --getro "$(dev db1)")"
	check_eq "front" bio "$(vol db1 .module.queue)"
	wait_for '[ "$(vol db1 .module.sync_kibps)" = 2048 ]' 20 \
		"limit of the first resync"
	check_match "and why" "nothing is being recovered" \
		"$(vol db1 .sync_limit.reason)"
	run_expect 0 "$ctl" volume set db1 policy=error
	run_expect 0 "$ctl" volume set db1 policy-ms=7000
	run_expect 0 "$ctl" volume set db1 sync_kibps=0
	wait_for '[ "$(vol db1 .module.sync_kibps)" -gt 2048 ]' 20 \
		"no limit of its own"
	run_expect 0 "$ctl" recovery pause
	wait_for '[ "$(vol db1 .sync_limit.paused)" = true ]' 20 "pause"
	check_eq "in the module" 4294967295 "$(vol db1 .module.sync_kibps)"
	run_expect 0 "$ctl" recovery resume
	wait_for '[ "$(vol db1 .sync_limit.paused)" = false ]' 20 "its end"
	run_expect 0 "$ctl" recovery status
	check_match "hardware" "Hardware +2 SSD" "$RUN_OUT"
	check_match "mode" "Limit +100.* MiB/s, mode auto" "$RUN_OUT"
	run_expect 0 "$ctl" volume show db1
	check_match "policy" "fails after 7.0 s" "$RUN_OUT"
	check_match "counters" "READS +P99 us +WRITES" "$RUN_OUT"
	check_eq "histograms of a replica" true "$("$ctl" --json volume show db1 |
		jq '.replica_list[0] | .write_ios > 0 and
			(.latency.write.log2_us | add) >= .write_ios')"
	check_eq "histograms of its store" true "$("$ctl" --json store show \
		"$(vol db1 '.replica_list[0].store')" | jq '.module |
			.write_ios > 0 and .errors == 0 and
			(.latency.write.log2_us | add) >= .write_ios')"
	run_expect 0 "$ctl" volume detach db1
	run_expect 0 "$ctl" volume set db1 readonly=off
	run_expect 0 "$ctl" volume attach db1 --queue mq
	check_eq "writable" 0 "$(blockdev --getro "$(dev db1)")"
	check_eq "front" mq "$(vol db1 .module.queue)"
	run_expect 0 "$ctl" volume detach db1
	run_expect 3 "$ctl" volume attach nothing
	run_expect 1 "$ctl" volume create huge 100G --replicas 3
	check_match "says why" "replica|store|space" "$RUN_OUT"
	gone db1
	passed
}

test_two_attaches_at_once() {
	local rc1=0 rc2=0 pid

	node
	run_expect 0 "$ctl" volume create db1 64M
	"$ctl" volume attach db1 > "$TMP/out1" 2>&1 &
	pid=$!
	"$ctl" volume attach db1 > "$TMP/out2" 2>&1 || rc2=$?
	wait "$pid" || rc1=$?
	check_eq "one won ($(cat "$TMP/out1" "$TMP/out2"))" "0 4" \
		"$(printf '%s\n' "$rc1" "$rc2" | sort | xargs)"
	run_expect 0 "$ctl" volume detach db1
	gone db1
	passed
}

# What fails is one of two replicas: writes go on once the record says so. The
# store is out of use until the module was loaded anew.
test_replica_fails() {
	local sectors start usual disk

	need_module dm-mod
	disk=$(disk_by_serial d1)
	sectors=$(blockdev --getsz "$disk")
	dmsetup create hcv-b --table "0 $sectors linear $disk 0"
	on_exit dmsetup remove --retry hcv-b
	dmsetup mknodes hcv-b
	node /dev/mapper/hcv-b
	run_expect 0 "$ctl" volume create db1 256M
	run_expect 0 "$ctl" volume attach db1
	dd if=/dev/urandom of="$TMP/data" bs=1M count=8 status=none
	start=$(_ktap_now_ms)
	dd if="$TMP/data" of="$(dev db1)" bs=1M count=4 oflag=direct \
		conv=fsync status=none
	usual=$(($(_ktap_now_ms) - start))
	dmsetup suspend --noflush hcv-b
	dmsetup load hcv-b --table "0 $sectors error"
	dmsetup resume hcv-b
	start=$(_ktap_now_ms)
	check "write" dd if="$TMP/data" of="$(dev db1)" bs=1M skip=4 seek=4 \
		oflag=direct conv=fsync status=none
	note "8 MiB with a failing replica took $(($(_ktap_now_ms) - start)) ms"
	check_le "gap" $(($(_ktap_now_ms) - start)) $((10000 + 10 * usual))
	check_eq "in-sync" 1 "$(insync db1)"
	check_eq "health" degraded "$(vol db1 .health)"
	check "content" cmp "$TMP/data" <(head -c 8M "$(dev db1)")
	run_expect 0 "$ctl" volume detach db1
	run_expect 0 "$ctl" volume attach db1
	check "content" cmp "$TMP/data" <(head -c 8M "$(dev db1)")
	run_expect 0 "$ctl" volume detach db1
	dmsetup suspend --noflush hcv-b
	dmsetup load hcv-b --table "0 $sectors linear $disk 0"
	dmsetup resume hcv-b
	end_agent
	agent
	wait_for module_ok 20
	check_eq "an agent that restarts opens nothing anew" true \
		"$("$ctl" --json store show b | jq .failed)"
	end_agent
	rmmod hcivol
	load_hcivol
	agent
	wait_for '[ "$("$ctl" --json store show b | jq .failed)" = false ]' 60 \
		"the store's return"
	run_expect 0 "$ctl" volume attach db1
	wait_for '[ "$(insync db1)" = 2 ]' 60 "the replica's return"
	check "content" cmp "$TMP/data" <(head -c 8M "$(dev db1)")
	run_expect 0 "$ctl" volume detach db1
	passed
}

# table NAME [GOOD]: the whole disk, or what is beyond sector GOOD cannot be read.
table() {
	local disk sectors

	disk=$(disk_by_serial "$1")
	sectors=$(blockdev --getsz "$disk")
	printf '0 %s linear %s 0\n' "${2:-$sectors}" "$disk"
	[ -z "${2:-}" ] || printf '%s %s error\n' "$2" "$((sectors - $2))"
}

# reload NAME [GOOD]
reload() {
	dmsetup suspend --noflush "hcv-$1"
	table "$@" | dmsetup load "hcv-$1"
	dmsetup resume "hcv-$1"
}

# elected_round [POINT]: an unclean stop, and the elected copy cannot be read; the
# agent is killed at POINT.
elected_round() {
	local epoch

	dd if=/dev/urandom of="$TMP/data" bs=1M count=4 status=none
	dd if="$TMP/data" of="$(dev db1)" bs=1M oflag=direct status=none
	epoch=$(vol db1 .epoch)
	end_agent
	check "the module" nl VOL_STOP "VOL=$uuid" VOL_FLAGS=FORCE
	wait_for '[ -z "$(nl VOL_GET --dump)" ]' 20 "the module's end with it"
	agent ${1:+HCV_CRASH="$1:1"}
	wait_for module_ok 20
	# Of extents neither pages nor data.
	reload "$bad" $(($(nl super "$(disk_by_serial "$bad")" |
			   jq -s '.[0].meta_off') / 512))
	if [ -n "${1:-}" ]; then
		"$ctl" volume attach db1 --queue bio > "$TMP/out" 2>&1 &
		wait_for '! alive' 60 "death at $1"
		agent
		wait_for '[ "$(insync db1)" = 1 ] && [ -b "$(dev db1)" ]' 60 \
			"an attach that goes on"
	else
		run_expect 0 "$ctl" volume attach db1 --queue bio
	fi
	check_eq "in-sync" "$good" "$(vol db1 \
		'.replica_list[] | select(.state == "insync") | .store')"
	check_eq "once with it, once without" $((epoch + 2)) "$(vol db1 .epoch)"
	check_eq "what attach asked for" bio "$(vol db1 .module.queue)"
	check "content" cmp "$TMP/data" <(head -c 4M "$(dev db1)")
	reload "$bad"
	wait_for '[ "$(insync db1)" = 2 ]' 90 "the replica's return"
	check "content" cmp "$TMP/data" <(head -c 4M "$(dev db1)")
}

# After an unclean stop one of two equal copies is elected.  That the start cannot
# read it costs a second try, not the volume.
test_elected_cannot_be_read() {
	local uuid bad good disk

	need_module dm-mod
	for disk in d0 d1; do
		table "$disk" | dmsetup create "hcv-$disk"
		on_exit dmsetup remove --retry "hcv-$disk"
		dmsetup mknodes "hcv-$disk"
	done
	node /dev/mapper/hcv-d1 /dev/mapper/hcv-d0
	# Of equal ones the first in the record is elected.
	bad=d0
	good=$("$ctl" --json store show b | jq -r .uuid)
	uuid=$("$ctl" --json store show a | jq -r .uuid)
	if [[ $uuid > $good ]]; then
		bad=d1
		good=$uuid
	fi
	run_expect 0 "$ctl" volume create db1 256M
	run_expect 0 "$ctl" volume attach db1 --queue bio
	uuid=$(vol db1 .uuid)
	elected_round
	elected_round owner-again
	elected_round owner-again-done
	run_expect 0 "$ctl" volume detach db1
	gone db1
	passed
}

ktap_main "$@"
