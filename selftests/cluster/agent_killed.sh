#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 1800
# DISK: 4G:serial=d0
# DISK: 4G:serial=d1
# The agent killed at each step of create, attach, change, detach, resync and
# delete on a single node; restarted, it or a repeated command brings each of them to
# its end, and no data are lost.
#
# One command after the other is carried through, and each agent that dies is
# followed by one that dies at the next step: so a cycle meets many of them.
# Steps that it passed before their turn came are met by further cycles.
# shellcheck disable=SC2016 # conditions are evaluated by wait_for

. "$(dirname "$0")/node.sh"

pending=()		# points that are to be met yet
armed=			# where the running agent is to die
swept=()		# all that sweep was called with
met=0
base=0
rate=1000
# Points of other commands, of stores and exports that come and go, and of
# failures.  Whatever is new among the agent's points has to be swept here or
# named here.
elsewhere='cluster-|store-|host\.|nvmet\.|target\.export-|'
elsewhere+='member-(node-set|store-)|'
elsewhere+='owner-(connect|disconnect|link-del|remove|renew|fence|nospace|place)|'
# A single node has nobody to tell.
elsewhere+='node-load|'
# scrub.sh
elsewhere+='scrub-|'
# handover.py
elsewhere+='volume-handover|owner-(prepare|hand-|halt|resume|let-go)|'
# replace.sh, volumes that are attached nowhere
elsewhere+='volume-care|owner-(care|publish)|'
# single_node.sh
elsewhere+='owner-again|'
# give_back.sh
elsewhere+='owner-(retire|drop-rows|extent-del)|target\.(extents-withdrawn|gone-)|'
# slow_disk.py
elsewhere+='health-|owner-drop-slow|'
# replace.sh
elsewhere+='owner-job-|planner-'

# persist CODES COMMAND...: repeat it until it works; the agent may die on the
# way and is then started again.  CODES say that an earlier try had worked.
persist() {
	local codes=" 0 $1 " rc try first=1

	shift
	for try in {1..40}; do
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

# next_agent: one that dies at the next point, if any are left.
next_agent() {
	armed=
	if [ ${#pending[@]} != 0 ]; then
		armed=${pending[0]}
		pending=("${pending[@]:1}")
		agent "HCV_CRASH=$armed:1"
	else
		agent
	fi
	wait_for '! alive || { module_ok && stores_open; }' 60
}

# revive: the agent died, which it must have done at its point.
revive() {
	while ! alive; do
		check_eq "where it died" "crash point $armed" \
			"$(grep -o "crash point [^:]*" "$TMP/log" | tail -n 1)"
		note "died at $armed"
		met=$((met + 1))
		next_agent
	done
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
	wait_for 'alive || revive; [ -b "$(dev db1)" ]' 60 "device of db1"
}

# Whenever the agent died: what was detached in order counts as that.
detached() {
	persist 4 "$ctl" volume detach db1
	wait_for 'alive || revive; [ "$(vol db1 .phase)" = none ]' 60 \
		"detached db1"
	check_eq "clean after an orderly detach" true "$(vol db1 .clean)"
}

cycle_attach() {
	attached
	exchange "$1"
	detached
}

# The grants go when their leases have ended.
cycle_drain() {
	cycle_attach "$1"
	wait_for 'alive || revive; [ -z "$armed" ]' 30 "end of the grants"
}

# The agent is gone and comes while the volume is in use.
cycle_restart() {
	exchange "$1"
}

# What the record says and what the module has are made the same again.
cycle_change() {
	rate=$((rate + 1))
	persist 4 "$ctl" volume set db1 "sync-kibps=$rate"
	wait_for 'alive || revive; [ "$(vol db1 .sync_kibps)" = "$rate" ]' 30 \
		"the new rate"
	wait_for 'alive || revive; [ "$(vol db1 .module.sync_kibps)" = "$rate" ]' 30 \
		"the new rate in the module"
	size=$((rate - 500))
	persist 4 "$ctl" volume resize db1 "${size}M"
	wait_for 'alive || revive; [ "$(vol db1 .module.size)" = $((size << 20)) ]' 30 \
		"the new size in the module"
}

# Settings of the cluster: said again they are the same.
cycle_settings() {
	rate=$((rate + 1))
	persist 4 "$ctl" recovery set "limit=${rate}0K"
	wait_for 'alive || revive; [ "$(limit)" = "$rate"0 ]' 30 "the setting"
}

limit() {
	"$ctl" --json recovery status |
		jq '.settings[]? | select(.key == "limit").value'
}

# After an unclean end one replica is the source, the other is copied anew.
cycle_resync() {
	attached
	exchange "$1"
	persist 4 "$ctl" volume detach --force db1
	wait_for 'alive || revive; [ "$(vol db1 .phase)" = none ]' 60 \
		"forced detach"
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

# sweep CYCLE POINT...
sweep() {
	local cycle=$1 before

	shift
	# shellcheck disable=SC2046 # one word a point
	mapfile -t pending < <(share 2 $(sampled "$@"))
	swept+=("$@")
	while [ ${#pending[@]} != 0 ]; do
		end_agent
		before=$met
		next_agent
		alive || revive
		"$cycle" "$cycle"
		alive || revive
		if [ "$met" = "$before" ]; then
			# Some steps come after what the cycle waits for.
			wait_for '! alive' 60 "death at $armed"
			revive
		elif [ -n "$armed" ]; then
			pending=("$armed" "${pending[@]}")
		fi
	done
}

test_killed_at_each_step() {
	node
	# cycle_change makes it larger, not by an extent.
	run_expect 0 "$ctl" volume create db1 500M
	wait_for '[ "$(used)" = 4 ]' 30 "formatted extents"
	# shellcheck disable=SC2034 # for the condition in cycle_create
	base=$(used)
	sweep cycle_create volume-create volume-create-done \
		target.extents-added volume-delete volume-delete-done \
		target.extents-freed target.tomb-deleted
	sweep cycle_attach volume-claim volume-claim-done target.granted \
		target.grant-written owner-create owner-create-done \
		owner-serve owner-serve-done owner-link-add \
		owner-link-add-done owner-extent-add owner-extent-add-done \
		owner-start owner-start-done devlink-made owner-devlink \
		owner-stop owner-stop-done owner-detach owner-detach-done \
		target.revoked
	sweep cycle_drain target.grant-deleted
	attached
	sweep cycle_restart member-lease-granted member-storelive-written
	sweep cycle_change volume-write volume-write-done owner-set \
		owner-set-done sync-limit sync-limit-done
	sweep cycle_settings recovery-write recovery-write-done
	detached
	sweep cycle_resync volume-force-stop volume-force-stop-done \
		owner-begin-sync owner-begin-sync-done owner-join \
		owner-join-done owner-confirm owner-confirm-done
	note "died at $met steps"
	check_eq "points that nobody sweeps" "" "$(comm -23 \
		<("$daemon" --list-crash-points | grep -Ev "^($elsewhere)" |
			sort) \
		<(printf '%s\n' "${swept[@]}" | sort))"
	end_agent
	next_agent
	gone db1
	passed
}

ktap_main "$@"
