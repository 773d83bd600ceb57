#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 1500
# TAGS: soak
# DISK: 4G:serial=d0
# DISK: 4G:serial=d1
# The agent killed at each step of create, attach, detach, resync and delete
# on a single node; restarted, it or a repeated command brings each of them to
# its end, and no data are lost.
# shellcheck disable=SC2016 # conditions are evaluated by wait_for

. "$(dirname "$0")/node.sh"

deaths=0
base=0
unreached=()

# persist CODES COMMAND...: repeat it until it works; the agent may die on the
# way and is then started again.  CODES say that an earlier try had worked.
persist() {
	local codes=" 0 $1 " rc try first=1

	shift
	for try in 1 2 3 4 5 6; do
		rc=0
		"$@" > "$TMP/out" 2>&1 || rc=$?
		if [ "$rc" = 0 ] || { [ "$first" = 0 ] &&
				      [[ $codes == *" $rc "* ]]; }; then
			return
		fi
		note "$*: try $try ended with $rc: $(tail -n 1 "$TMP/out")"
		first=0
		alive || revive
	done
	fatal "no success of: $*"
}

revive() {
	deaths=$((deaths + 1))
	agent
	wait_for module_ok 60
	wait_for stores_open 60
}

# die_at POINT: an agent that kills itself there.
die_at() {
	end_agent
	deaths=0
	agent "HCV_CRASH=$1:1"
	wait_for '! alive || { module_ok && stores_open; }' 60
}

# died POINT: whether it was reached; an agent runs afterwards.
died() {
	alive || revive
	[ "$deaths" = 0 ] || return 0
	note "$1 was not reached"
	unreached+=("$1")
}

# The data of the cycle before must be there, those of this one are written.
exchange() {
	[ ! -e "$TMP/want" ] ||
		check "data before $1" cmp -n 65536 "$TMP/want" "$(dev db1)"
	head -c 65536 /dev/urandom > "$TMP/want"
	dd if="$TMP/want" of="$(dev db1)" bs=64k oflag=direct conv=fsync \
		status=none
}

attached() {
	persist 4 "$ctl" volume attach db1
	wait_for '[ -b "$(dev db1)" ]' 60 "device of db1"
}

detached() {
	persist 4 "$ctl" volume detach db1
	wait_for '[ "$(vol db1 .phase)" = none ]' 60 "detached db1"
}

cycle_attach() {
	attached
	exchange "$1"
	detached
}

# The grants go when their leases have ended.
cycle_drain() {
	cycle_attach "$1"
	wait_for '! alive' 30 "end of the grants"
}

# After an unclean end one replica is the source, the other is copied anew.
cycle_resync() {
	attached
	exchange "$1"
	persist 4 "$ctl" volume detach --force db1
	wait_for '[ "$(vol db1 .phase)" = none ]' 60 "forced detach"
	attached
	exchange "$1"
	wait_for 'alive || revive; [ "$(insync db1)" = 2 ]' 90 "resync"
	detached
}

cycle_create() {
	persist 4 "$ctl" volume create tmp 256M
	persist 3 "$ctl" volume delete tmp
	wait_for 'alive || revive; [ "$(used)" = "$base" ]' 60 "freed space"
}

sweep() {
	local cycle=$1 point

	shift
	for point; do
		note "$point"
		die_at "$point"
		"$cycle" "$point"
		died "$point"
	done
}

# points REGEX: names of crash points.
points() {
	"$daemon" --list-crash-points | grep -E "^($1)(-done)?$"
}

test_killed_at_each_step() {
	node
	unreached=()
	run_expect 0 "$ctl" volume create db1 512M
	wait_for '[ "$(used)" = 4 ]' 30 "formatted extents"
	# shellcheck disable=SC2034 # for the condition in cycle_create
	base=$(used)
	# shellcheck disable=SC2046 # one word each
	sweep cycle_create $(points 'volume-(create|delete)') \
		target.extents-added target.extents-freed target.tomb-deleted
	# shellcheck disable=SC2046
	sweep cycle_attach $(points 'volume-claim') \
		$(points 'owner-(create|serve|link-add|extent-add|start|devlink)') \
		$(points 'owner-(stop|detach)') \
		target.granted target.grant-written target.revoked
	sweep cycle_drain target.grant-deleted
	# shellcheck disable=SC2046
	sweep cycle_resync $(points 'volume-force-stop') \
		$(points 'owner-(begin-sync|join|confirm)')
	check_eq "points that nothing reached" "" "${unreached[*]}"
	gone db1
	passed
}

ktap_main "$@"
