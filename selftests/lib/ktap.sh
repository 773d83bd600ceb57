# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# KTAP for tests written in shell. A test is a file like this:
#
#	#!/bin/bash
#	# SPDX-License-Identifier: GPL-2.0-only
#	# HCV-TEST: guest
#	# One line on what is tested.
#	. "$(dirname "$0")/../lib/ktap.sh"
#
#	test_size() {
#		run_expect 0 losetup -f --show "$TMP/image"
#		check_eq "size" 4096 "$(cat "$TMP/size")"
#	}
#
#	ktap_main
#
# Each function test_* is one case, run in the order of definition, in a
# subshell with errexit: a failing command ends the case as failed. A check_*
# that fails marks the case as failed and goes on. What a case registers with
# on_exit is undone when the case ends; what is registered outside of cases,
# when the file ends. Exit code: 0 passed, 1 failed, 4 skipped.
#
# $TMP is an empty folder. Started on the host, the test runs itself in a
# guest through tools/dev/run-tests; see docs/testing.md for the header lines.

if [ -z "${HCV_GUEST:-}" ]; then
	_ktap_self=$(readlink -f "$0")
	exec "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../tools/dev/run-tests" \
		--output "$@" "$_ktap_self"
fi

set -uo pipefail

_ktap_file_pid=$BASHPID
_ktap_cleanup=()
_ktap_failed=0
TMP=$(mktemp -d /tmp/hcv-test.XXXXXX)

# note TEXT...: a remark in the output.
note() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

# fatal TEXT...: the case cannot go on.
fatal() {
	note "fatal: $*"
	exit 1
}

# skip REASON...: skip this case or, outside of cases, the whole file.
skip() {
	if [ "$BASHPID" = "$_ktap_file_pid" ]; then
		echo "KTAP version 1"
		echo "1..0 # SKIP $*"
	else
		echo "$*" > "$TMP/.skip"
	fi
	exit 4
}

# on_exit COMMAND...: run later, last one first; words are kept as they are.
on_exit() {
	_ktap_cleanup+=("$(printf '%q ' "$@")")
}

_ktap_undo() {
	local i

	set +e
	for ((i = ${#_ktap_cleanup[@]} - 1; i >= 0; i--)); do
		eval "${_ktap_cleanup[i]}" ||
			note "cleanup failed: ${_ktap_cleanup[i]}"
	done
	_ktap_cleanup=()
}

_ktap_fail() {
	_ktap_failed=1
	note "$*"
}

# check_eq NAME WANT GOT
check_eq() {
	[ "$2" = "$3" ] || _ktap_fail "$1: expected '$2', got '$3'"
}

# check_ne NAME UNWANTED GOT
check_ne() {
	[ "$2" != "$3" ] || _ktap_fail "$1: got '$3', which must not be"
}

# check_le NAME A B: A <= B, integers.
check_le() {
	[ "$2" -le "$3" ] || _ktap_fail "$1: $2 exceeds $3"
}

# check_match NAME REGEX TEXT: the extended REGEX is found in TEXT.
check_match() {
	[[ $3 =~ $2 ]] || _ktap_fail "$1: no match of '$2' in '$3'"
}

# check NAME COMMAND...: it succeeds.
check() {
	local name=$1 rc=0

	shift
	"$@" > "$TMP/.out" 2>&1 || rc=$?
	[ $rc = 0 ] || _ktap_fail "$name: exit code $rc of: $*" \
		"$(printf '\n%s' "$(tail -n 20 "$TMP/.out")")"
}

# run_expect RC COMMAND...: it ends with RC ("!0": any but 0); what it wrote
# is in $RUN_OUT.
run_expect() {
	local want=$1 rc=0

	shift
	"$@" > "$TMP/.out" 2>&1 || rc=$?
	# shellcheck disable=SC2034 # for the test
	RUN_OUT=$(cat "$TMP/.out")
	case $want in
	"!0") [ $rc != 0 ] && return ;;
	*) [ $rc = "$want" ] && return ;;
	esac
	_ktap_fail "expected exit code $want, got $rc of: $*" \
		"$(printf '\n%s' "$(tail -n 20 "$TMP/.out")")"
}

# wait_for CONDITION LIMIT [WHAT]: until the shell text CONDITION is true; the
# case fails after LIMIT seconds, or a minute if that is more: how fast the
# machine is must not matter. KTAP_LEAST is that minute.
wait_for() {
	local end limit

	limit=$(awk -v l="$2" -v s="${HCV_TIMEOUT_SCALE:-1}" \
		-v m="${KTAP_LEAST:-60}" \
		'BEGIN { m *= s > 4 ? s / 4 : 1
			 printf "%d", (l > m ? l : m) * 1000 }')
	end=$(($(_ktap_now_ms) + limit))
	until eval "$1"; do
		[ "$(_ktap_now_ms)" -lt $end ] ||
			fatal "no ${3:-$1} within $((limit / 1000)) s"
		sleep 0.1
	done
}

# In milliseconds; not influenced by changes of the clock.
_ktap_now_ms() {
	local up

	read -r up _ < /proc/uptime
	echo $((10#${up%.*} * 1000 + 10#${up#*.} * 10))
}

# scaled N: N, smaller on instrumented kernels, but never 0.
scaled() {
	local n=$(($1 / ${HCV_SIZE_DIV:-1}))

	echo $((n > 0 ? n : 1))
}

# sampled WORD...: these words; on instrumented kernels every fourth.
sampled() {
	local word n=0

	for word; do
		[ $((n++ % (${HCV_SIZE_DIV:-1} > 1 ? 4 : 1))) != 0 ] || echo "$word"
	done
}

# share PARTS WORD...: these words; with HCV_SHARE, a number, one of so many parts,
# and with the next number the next one.
share() {
	local parts=$1 word n=0

	shift
	for word; do
		[ -n "${HCV_SHARE:-}" ] &&
			[ $((n++ % parts)) != $((HCV_SHARE % parts)) ] ||
			echo "$word"
	done
}

# need_module NAME [ARG...]: load a kernel module, or skip.
need_module() {
	modprobe "$@" 2> "$TMP/.out" || skip "$(cat "$TMP/.out")"
}

# need_cmd NAME...: programs must exist, or skip.
need_cmd() {
	local name

	for name; do
		[ -n "$(type -P "$name")" ] || skip "no program $name"
	done
}

# load_hcivol [PARAMETER=VALUE...]: load this tree's module and what it needs.
load_hcivol() {
	local depends

	[ -e "$HCV_KO" ] || fatal "no $HCV_KO; run 'make KVER=$HCV_KVER modules'"
	depends=$(modinfo -F depends "$HCV_KO")
	if [ -n "$depends" ]; then
		IFS=, read -ra depends <<< "$depends"
		modprobe -a "${depends[@]}"
	fi
	insmod "$HCV_KO" "$@"
}

# disk_by_serial NAME: the device of one of the test's own disks.
disk_by_serial() {
	local file

	for file in /sys/block/vd*/serial; do
		if [ -r "$file" ] && [ "$(cat "$file")" = "$1" ]; then
			file=${file%/serial}
			echo "/dev/${file##*/}"
			return
		fi
	done
	fatal "no disk with serial $1"
}

_ktap_where() {
	note "failed at ${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}: $BASH_COMMAND"
}

_ktap_case() {
	_ktap_cleanup=()
	# The trap sees the exit code of the case and may not change it.
	trap _ktap_undo EXIT
	trap _ktap_where ERR
	set -eE
	"$1"
	exit $_ktap_failed
}

_ktap_end() {
	_ktap_undo
	rm -rf "$TMP"
}
trap _ktap_end EXIT

# The tests of this file, in their order; declare -F sorts by name.
_ktap_names() {
	local name line

	shopt -s extdebug
	compgen -A function test_ | while read -r name; do
		read -r _ line _ < <(declare -F "$name")
		echo "$line $name"
	done | sort -n | cut -d' ' -f2
	shopt -u extdebug
}

# ktap_main [CASE...]: run the cases (test_*, or those named, with or without
# that) and exit.  Of a file with KTAP_PARTS=N set one of N parts, see share.
ktap_main() {
	local names=("$@") name rc nr=0 failed=0

	if [ ${#names[@]} = 0 ]; then
		# shellcheck disable=SC2046 # one word a test
		mapfile -t names < <(share "${KTAP_PARTS:-1}" $(_ktap_names))
	fi
	echo "KTAP version 1"
	echo "1..${#names[@]}"
	for name in "${names[@]}"; do
		[[ $name == test_* ]] || name=test_$name
		nr=$((nr + 1))
		rm -f "$TMP/.skip"
		(_ktap_case "$name")
		rc=$?
		name=${name#test_}
		case $rc in
		0) echo "ok $nr $name" ;;
		4) echo "ok $nr $name # SKIP $(cat "$TMP/.skip")" ;;
		*) echo "not ok $nr $name"; failed=1 ;;
		esac
	done
	exit $failed
}
