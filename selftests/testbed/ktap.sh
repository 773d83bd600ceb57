#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TAGS: fast smoke
# DISK: 64M:serial=small,lbs=4096
# The helpers of ktap.sh do what they say.

. "$(dirname "$0")/../lib/ktap.sh"

test_environment() {
	check_eq "user" 0 "$(id -u)"
	check_eq "folder" "$HCV_TREE" "$PWD"
	check_match "kernel" '^[0-9]+\.' "$(uname -r)"
	check "console of the kernel" test -w /dev/kmsg
	check "own kernel's modules" modprobe -n brd
	check "tree is writable" touch "$HCV_TREE/build-of-guest"
}

test_disk() {
	local disk

	disk=$(disk_by_serial small)
	check_eq "size" $((64 << 20)) "$(blockdev --getsize64 "$disk")"
	check_eq "block size" 4096 "$(blockdev --getss "$disk")"
	check "write" dd if=/dev/urandom of="$disk" bs=1M count=1 oflag=direct
}

# Run a case of a nested test file; prints what it printed.
nested() {
	{
		echo ". '$HCV_TREE/selftests/lib/ktap.sh'"
		cat
		echo ktap_main
	} > "$TMP/nested.sh"
	bash "$TMP/nested.sh"
}

test_failing_check() {
	local out rc=0

	out=$(nested <<-'END'
		test_a() { check_eq number 1 2; check_eq other 3 3; }
		test_b() { false; check_eq never 1 2; }
		test_c() { skip "no reason"; }
		test_d() { run_expect 3 sh -c "exit 3"; run_expect "!0" false; }
		test_e() { run_expect 0 sh -c "echo why; exit 3"; }
		KTAP_LEAST=0
		test_f() { wait_for "[ -e /nothing ]" 0.3; }
	END
	) || rc=$?
	check_eq "exit code" 1 "$rc"
	check_match "plan" '1\.\.6' "$out"
	check_match "values" "# number: expected '1', got '2'" "$out"
	check_match "soft failure" 'not ok 1 a' "$out"
	check_match "hard failure" 'not ok 2 b' "$out"
	check_match "place" 'failed at nested.sh:3: false' "$out"
	check_match "end of a case" "expected '1'.*not ok 1" "$out"
	check_match "skip" 'ok 3 c # SKIP no reason' "$out"
	check_match "run_expect" $'\nok 4 d' "$out"
	check_match "run_expect fails" 'not ok 5 e' "$out"
	check_match "output shown" '# why' "$out"
	check_match "wait_for" 'not ok 6 f' "$out"
	[[ $out != *never* ]] || fatal "went on after a failed command"
}

test_cleanup_order() {
	local out

	out=$(nested <<-'END'
		on_exit echo file-end
		test_a() { on_exit echo first; on_exit echo "second  word"; false; }
		test_b() { on_exit false; true; }
	END
	) || true
	check_match "last one first" $'second  word\nfirst\nnot ok 1' "$out"
	check_match "reported" 'cleanup failed: false' "$out"
	check_match "file's own" $'ok 2 b\nfile-end' "$out"
}

test_skip_file() {
	local out rc=0

	out=$(nested <<-'END'
		skip "nothing to do"
	END
	) || rc=$?
	check_eq "exit code" 4 "$rc"
	check_match "reason" '1..0 # SKIP nothing to do' "$out"
}

test_scaled() {
	check_eq "divided" 10 "$(HCV_SIZE_DIV=10 scaled 100)"
	check_eq "never zero" 1 "$(HCV_SIZE_DIV=10 scaled 5)"
}

test_sampled() {
	check_eq "all" "a b c" "$(HCV_SIZE_DIV=1 sampled a b c | paste -sd' ')"
	check_eq "some" "a e" \
		"$(HCV_SIZE_DIV=10 sampled a b c d e f | paste -sd' ')"
}

test_share() {
	check_eq "all" "a b c" "$(HCV_SHARE='' share 2 a b c | paste -sd' ')"
	check_eq "one part" "a c e" \
		"$(HCV_SHARE=4 share 2 a b c d e | paste -sd' ')"
	check_eq "the next" "b d" \
		"$(HCV_SHARE=5 share 2 a b c d e | paste -sd' ')"
	check_eq "one part is all" "a b" \
		"$(HCV_SHARE=5 share 1 a b | paste -sd' ')"
}

ktap_main
