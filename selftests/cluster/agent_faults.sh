#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 1800
# DISK: 4G:serial=d0
# DISK: 4G:serial=d1
# Calls of the module and of the metadata store fail, one run after the other
# another one, either before they are carried out or after it, when the answer gets
# lost: commands that are repeated, or the agent by itself, bring everything to its
# end, and no data are lost.
# shellcheck disable=SC2016 # conditions are evaluated by wait_for

. "$(dirname "$0")/node.sh"

every=3
failed=0
base=0
n=0
at=0

# again CODES COMMAND...: repeat it until it works.  CODES say that an earlier
# try, of which an error was told, had worked.
again() {
	local codes=" $1 " rc try

	shift
	for try in {1..20}; do
		rc=0
		"$@" > "$TMP/out" 2>&1 || rc=$?
		if [ "$rc" = 0 ] || { [ "$try" != 1 ] &&
				      [[ $codes == *" $rc "* ]]; }; then
			return
		fi
		note "$*: try $try ended with $rc: $(tail -n 1 "$TMP/out")"
	done
	fatal "no success of: $*"
}

exchange() {
	[ ! -e "$TMP/want" ] ||
		check "data" cmp -n 65536 "$TMP/want" "$(dev db1)"
	head -c 65536 /dev/urandom > "$TMP/want"
	dd if="$TMP/want" of="$(dev db1)" bs=64k oflag=direct conv=fsync \
		status=none
}

attached() {
	again 4 "$ctl" volume attach db1
	wait_for '[ -b "$(dev db1)" ]' 60 "device of db1"
}

detached() {
	again 4 "$ctl" volume detach db1
	wait_for '[ "$(vol db1 .phase)" = none ]' 60 "detached db1"
}

# round: all that a volume goes through, with an agent of which calls fail.
round() {
	n=$((n + 1))
	again 4 "$ctl" volume create tmp 256M
	attached
	exchange
	# Never by an extent.
	again 4 "$ctl" volume resize db1 "$((450 + n))M"
	wait_for '[ "$(vol db1 .module.size)" = $(((450 + n) << 20)) ]' 30 \
		"the new size in the module"
	# One replica is the source then, the other one is copied anew.
	again 4 "$ctl" volume detach --force db1
	wait_for '[ "$(vol db1 .phase)" = none ]' 60 "forced detach"
	attached
	exchange
	wait_for '[ "$(insync db1)" = 2 ]' 90 "resync"
	detached
	check_eq "clean after an orderly detach" true "$(vol db1 .clean)"
	again 3 "$ctl" volume delete tmp
	wait_for '[ "$(used)" = "$base" ]' 60 "freed space"
}

test_calls_fail() {
	local kind i

	node
	run_expect 0 "$ctl" volume create db1 450M
	wait_for '[ "$(used)" = 4 ]' 30 "formatted extents"
	# shellcheck disable=SC2034 # for the condition in round
	base=$(used)
	for kind in $(share 2 netlink-unsent netlink-lost \
			      meta-unsent meta-lost); do
		for ((i = 1; i <= every; i++)); do
			end_agent
			: > "$TMP/log"
			agent "HCV_FAULT=$kind:$i/$every"
			wait_for 'module_ok && stores_open' 60 "the node's stores"
			at=$SECONDS
			round
			note "$kind $i: $((SECONDS - at)) s"
			check "still the same agent" alive
			check "calls failed" grep -q "^fault $kind: call" "$TMP/log"
			failed=$((failed +
				 $(grep -c "^fault $kind: call" "$TMP/log")))
		done
	done
	note "$failed calls failed"
	end_agent
	agent
	wait_for 'module_ok && stores_open' 60 "the node's stores"
	attached
	exchange
	detached
	gone db1
	passed
}

ktap_main "$@"
