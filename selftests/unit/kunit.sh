#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# KVER: debug
# TAGS: fast
# TIMEOUT: 600
# APPEND: kunit.enable=1 kunit.filter_glob=hcv_*
#
# The tests of kernel/core in a kernel with KASAN, UBSAN and lock checking.

. "$(dirname "$0")/../lib/ktap.sh"

module=$(dirname "$HCV_KO")/hcv_kunit.ko
results=/sys/kernel/debug/kunit

test_suites() {
	local suite

	[ -e "$module" ] || skip "no $module: run make kunit KVER=debug"
	check "load" insmod "$module"
	on_exit rmmod hcv_kunit
	for suite in "$results"/hcv_*; do
		sed "s/^/# /" "$suite/results"
		check "${suite##*/}" grep -q "^ok .* ${suite##*/}$" \
			"$suite/results"
	done
	check_ne "suites" "$results/hcv_*" "$suite"
}

ktap_main "$@"
