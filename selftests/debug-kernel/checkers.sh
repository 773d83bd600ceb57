#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# KVER: debug
# TAGS: fast
# TIMEOUT: 900
# APPEND: kasan_multi_shot
# ALLOW: hcv_faulty -- the test commits faults to see them reported
# ALLOW: kmemleak: [0-9]+ new suspected -- one of the faults is a leak
#
# The debug kernel finds deliberate faults, offers fault injection, and has the
# modules that tests use.

. "$(dirname "$0")/../lib/ktap.sh"

faulty=${HCV_CACHE:-$HOME/.cache/hcivol}/kernels/debug/faulty/hcv_faulty.ko
debugfs=/sys/kernel/debug

test_facilities() {
	local file

	for file in /proc/config.gz /proc/lockdep \
		/proc/sys/kernel/hung_task_timeout_secs \
		$debugfs/fail_io_timeout $debugfs/fail_make_request \
		$debugfs/fail_page_alloc $debugfs/failslab/require-start \
		$debugfs/kmemleak $debugfs/kunit; do
		check "facility" test -e "$file"
	done
}

test_modules() {
	local name

	for name in brd bridge dm-delay dm-dust dm-flakey dm-log-writes \
		dm-snapshot dm-thin-pool dm-zero i6300esb ifb null_blk \
		nf_tables nft_limit nft_reject_inet nvme nvme-loop nvme-rdma \
		nvme-tcp nvmet-rdma nvmet-tcp raid1 rdma_rxe rdma_ucm \
		sch_ingress sch_netem siw softdog tun ublk_drv veth \
		vmw_vsock_virtio_transport xfs \
		9p crc32c_generic dm-mod ext4 loop overlay virtio_blk \
		virtio_console virtio_net virtio_rng; do
		check "module $name" modprobe "$name"
	done
	check "null_blk can fail requests" \
		test -e /sys/module/null_blk/parameters/timeout
}

# find_fault NAME PATTERN: committing it makes the log say PATTERN.
find_fault() {
	dmesg -C
	check "load" insmod "$faulty" fault="$1"
	on_exit rmmod hcv_faulty
	wait_for "dmesg | grep -q '$2'" 30 "report of $1"
}

# Lock checking ends with the first report of itself or of KASAN, so these
# come last.

test_sleep_in_atomic() {
	find_fault sleep-in-atomic 'sleeping function called from invalid context'
}

test_array_bounds() {
	find_fault bounds 'UBSAN: array-index-out-of-bounds'
}

test_memory_leak() {
	check "load" insmod "$faulty" fault=leak
	on_exit rmmod hcv_faulty
	on_exit sh -c "echo clear > $debugfs/kmemleak"
	# Objects younger than five seconds are not reported.
	wait_for "echo scan > $debugfs/kmemleak &&
		grep -q hcv_leak $debugfs/kmemleak" 60 "report of the leak"
}

test_rcu_unprotected() {
	find_fault rcu-unprotected 'suspicious rcu_dereference_check'
}

test_lock_inversion() {
	find_fault lock-inversion 'possible circular locking dependency'
}

test_vmalloc_overrun() {
	find_fault vmalloc-overrun 'KASAN: vmalloc-out-of-bounds'
}

test_use_after_free() {
	find_fault use-after-free 'KASAN: slab-use-after-free'
}

[ -e "$faulty" ] || fatal "no $faulty; run 'make debug-kernel'"
ktap_main
