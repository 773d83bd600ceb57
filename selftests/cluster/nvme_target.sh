#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# KVER: 6.1 6.12
# TIMEOUT: 900
# TAGS: fast
# The agent's NVMe target and host code, over 127.0.0.1, without the module.

. "$(dirname "$0")/../lib/ktap.sh"

S1=0b1c2d3e-0000-4000-8000-0123456789ab
S2=0b1c2d3e-0000-4000-8000-0123456789ac
C=1b1c2d3e-0000-4000-8000-0123456789ab
NVMET=/sys/kernel/config/nvmet

tool=$HCV_TREE/build/bin/hcv-nvme-tool
[ -x "$tool" ] || skip "build/bin/hcv-nvme-tool is not built"
need_module brd rd_nr=2 rd_size=65536
on_exit modprobe -r brd

ensure() {
	"$tool" target-ensure tcp 127.0.0.1 4420 "$1" "$C" "$2"
}

connect() {
	"$tool" connect tcp 127.0.0.1 4420 "$1" "$C" "${2:-ssd}"
}

# Nothing of ours may be left, on either side, whatever a case did.
clean() {
	ip link set lo up
	for store in "$S1" $S2; do
		"$tool" disconnect "$store" "$C" idle
		"$tool" target-remove "$store" "$C"
	done
	modprobe -rq nvme-tcp nvme-fabrics nvmet-tcp nvmet nvme-core
}

leftovers() {
	find "$NVMET" -mindepth 2 -maxdepth 2 2> /dev/null
}

# controller_state DEV
controller() {
	"$tool" list "$C" | awk -v s="$1" '$2 == s { print $1, $3; exit }'
}

# pattern DEV SEED: write and read back 1 MiB.
pattern() {
	head -c 1048576 < <(yes "$2") > "$TMP/want"
	dd if="$TMP/want" of="$1" bs=64k oflag=direct conv=fsync status=none
	dd if="$1" of="$TMP/got" bs=64k count=16 iflag=direct status=none
	cmp "$TMP/want" "$TMP/got"
}

# io_timeout DEV: of the queue that really has the requests.
io_timeout() {
	local ctrl

	read -r ctrl _ < <(controller "$1")
	cat "/sys/class/nvme/$ctrl"/nvme*/queue/io_timeout
}

# Reads as the module's beacons do. Without traffic a keep-alive may be on its
# way when the target goes, and 6.1 waits for that first.
beacons() {
	while dd if="$1" of=/dev/null bs=4k count=1 iflag=direct; do
		sleep 0.3 # the interval, not a wait for something
	done 2> /dev/null
}

# Give up on a device as the agent does, with the target unreachable.
fail_and_replace() {
	local dev=$1 start usual ctrl state

	start=$(_ktap_now_ms)
	dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none
	"$tool" list "$C" > /dev/null
	usual=$(($(_ktap_now_ms) - start))
	beacons "$dev" &
	sleep 6 # longer than between two keep-alives
	ip link set lo down
	start=$(_ktap_now_ms)
	run_expect "!0" timeout 60 dd if=/dev/zero of="$dev" bs=4k count=1 \
		oflag=direct
	note "write failed after $(($(_ktap_now_ms) - start)) ms"
	wait
	check_le "time to fail" $(($(_ktap_now_ms) - start)) \
		$((8000 + 4 * usual))
	start=$(_ktap_now_ms)
	check "disconnect" "$tool" disconnect "$S1" "$C" failed
	check_le "time to delete" $(($(_ktap_now_ms) - start)) \
		$((6000 + 4 * usual))
	check_eq "controllers" "" "$("$tool" list "$C")"
	start=$(_ktap_now_ms)
	run_expect 1 env HCV_LIMIT_MS=2000 "$tool" connect tcp 127.0.0.1 4420 \
		"$S1" "$C" ssd
	check_le "limit of connect" $(($(_ktap_now_ms) - start)) \
		$((4000 + 4 * usual))
	ip link set lo up
	dev=$(connect "$S1")
	check "data after reconnect" pattern "$dev" after
	read -r ctrl state < <(controller "$S1")
	check_eq "state of $ctrl" live "$state"
}

# life MULTIPATH: everything that depends on it.
life() {
	local dev again ctrl

	on_exit clean
	ensure "$S1" /dev/ram0
	ensure "$S1" /dev/ram0
	dev=$(connect "$S1")
	check_eq "multipath" "$1" \
		"$(cat /sys/module/nvme_core/parameters/multipath)"
	check_eq "io_timeout" 1000 "$(io_timeout "$S1")"
	read -r ctrl _ < <(controller "$S1")
	check_eq "keep-alive" 18 "$(cat "/sys/class/nvme/$ctrl/kato")"
	check "data" pattern "$dev" before
	again=$(connect "$S1")
	check_eq "same device again" "$dev" "$again"
	check_eq "controllers" 1 "$("$tool" list "$C" | wc -l)"
	fail_and_replace "$dev"
	dev=$(connect "$S1")
	ip link set lo down
	sleep 2 # shorter than any time-out of a controller: no condition to see
	ip link set lo up
	wait_for "dd if=$dev of=/dev/null bs=4k count=1 iflag=direct" 20
	check_eq "io_timeout after the kernel's reconnect" 1000 \
		"$(io_timeout "$S1")"
}

test_life_without_multipath() {
	life N
}

test_life_with_multipath() {
	modprobe nvme_core multipath=Y
	life Y
}

test_slow_disk() {
	local ctrl

	on_exit clean
	ensure "$S1" /dev/ram0
	connect "$S1" hdd > /dev/null
	read -r ctrl _ < <(controller "$S1")
	check_eq "io_timeout" 3000 "$(io_timeout "$S1")"
	check_eq "keep-alive" 30 "$(cat "/sys/class/nvme/$ctrl/kato")"
}

test_two_stores() {
	local d1 d2

	on_exit clean
	ensure "$S1" /dev/ram0
	ensure "$S2" /dev/ram1
	d1=$(connect "$S1")
	d2=$(connect "$S2")
	check_ne "devices" "$d1" "$d2"
	pattern "$d1" one
	pattern "$d2" two
	check_eq "store 1 over the wire" one "$(head -c 3 /dev/ram0)"
	check_eq "store 2 over the wire" two "$(head -c 3 /dev/ram1)"
	check_eq "listed" "$(printf '%s %s\n' "$S1" "$C" "$S2" "$C")" \
		"$("$tool" target-list | sort)"
	check "remove one" "$tool" target-remove "$S1" "$C"
	check_eq "the other stays" "$S2 $C" "$("$tool" target-list)"
	check "and works" pattern "$d2" still
}

test_rdma() {
	local dev

	need_cmd rdma
	need_module dummy numdummies=0
	need_module rdma_rxe
	on_exit clean
	on_exit modprobe -rq nvme-rdma nvmet-rdma rdma_ucm rdma_rxe dummy
	modprobe -a rdma_ucm ib_uverbs
	ip link add d0 type dummy
	on_exit ip link del d0
	ip address add 10.99.0.1/24 dev d0
	ip link set d0 up
	rdma link add rxe0 type rxe netdev d0
	on_exit rdma link del rxe0
	on_exit "$tool" clear
	"$tool" target-ensure rdma 10.99.0.1 4420 "$S1" "$C" /dev/ram0
	dev=$("$tool" connect rdma 10.99.0.1 4420 "$S1" "$C" ssd)
	check_match "controller" ' live rdma traddr=10.99.0.1,trsvcid=4420' \
		"$("$tool" list "$C")"
	check "data" pattern "$dev" rdma
}

# The agent may be killed anywhere: what it left must not matter.
test_killed_halfway() {
	local point n=0 dev points

	on_exit clean
	mapfile -t points < <("$tool" crash-points | grep '^nvmet\.')
	mapfile -t points < <(sampled "${points[@]}")
	for point in "${points[@]}"; do
		# both directions pass through some of the points
		HCV_CRASH=$point:1 ensure "$S1" /dev/ram0 2> /dev/null || n=$((n + 1))
		ensure "$S1" /dev/ram0
		HCV_CRASH=$point:1 "$tool" target-remove "$S1" "$C" 2> /dev/null ||
			n=$((n + 1))
		ensure "$S1" /dev/ram0
		dev=$(connect "$S1")
		check "data after $point" pattern "$dev" "$point"
		check "disconnect" "$tool" disconnect "$S1" "$C" idle
		check "remove" "$tool" target-remove "$S1" "$C"
		check_eq "left after $point" "" "$(leftovers)"
	done
	check_le "points that were passed" $((${#points[@]} * 7 / 8)) "$n"
}

test_killed_while_connecting() {
	local point dev points

	on_exit clean
	ensure "$S1" /dev/ram0
	mapfile -t points < <("$tool" crash-points | grep '^host\.')
	for point in $(sampled "${points[@]}"); do
		run_expect 137 env HCV_CRASH="$point:1" "$tool" connect tcp \
			127.0.0.1 4420 "$S1" "$C" ssd
		dev=$(connect "$S1")
		check "data after $point" pattern "$dev" "$point"
		check_eq "controllers after $point" 1 \
			"$("$tool" list "$C" | wc -l)"
		check "disconnect" "$tool" disconnect "$S1" "$C" idle
	done
}

# A restarted module may give the export another number.
test_other_device() {
	local dev

	on_exit clean
	ensure "$S1" /dev/ram0
	dev=$(connect "$S1")
	pattern "$dev" zero
	ensure "$S1" /dev/ram1
	check_eq "device" /dev/ram1 \
		"$(cat "$NVMET"/subsystems/*/namespaces/1/device_path)"
	"$tool" disconnect "$S1" "$C" idle
	dev=$(connect "$S1")
	pattern "$dev" new
	check_eq "on the new device" new "$(head -c 3 /dev/ram1)"
}

test_foreign_port_is_left_alone() {
	on_exit clean
	ensure "$S1" /dev/ram0
	"$tool" target-remove "$S1" "$C"
	mkdir "$NVMET/ports/4420"
	on_exit rmdir "$NVMET/ports/4420"
	echo ipv4 > "$NVMET/ports/4420/addr_adrfam"
	echo 127.0.0.9 > "$NVMET/ports/4420/addr_traddr"
	ensure "$S1" /dev/ram0
	check_eq "foreign port" 127.0.0.9 \
		"$(cat "$NVMET/ports/4420/addr_traddr")"
	check_eq "own port" 127.0.0.1 "$(cat "$NVMET/ports/4421/addr_traddr")"
	check "connect" connect "$S1"
	"$tool" disconnect "$S1" "$C" idle
	"$tool" target-remove "$S1" "$C"
	check_eq "own port is removed" "$NVMET/ports/4420" "$(leftovers)"
}

test_remove_under_io() {
	local dev

	on_exit clean
	ensure "$S1" /dev/ram0
	dev=$(connect "$S1")
	dd if=/dev/zero of="$dev" bs=4k count=100000 oflag=direct \
		2> /dev/null &
	wait_for "[ \$(awk '{ print \$5 }' /sys/block/${dev#/dev/}/stat) -gt 20 ]" 20
	check "remove" "$tool" target-remove "$S1" "$C"
	check_eq "left" "" "$(leftovers)"
	check "device is closed" blockdev --flushbufs /dev/ram0
	"$tool" disconnect "$S1" "$C" failed
	wait
}

KTAP_PARTS=2
ktap_main "$@"
