#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: host
# KVER: 6.1 6.12
# TIMEOUT: 900
# hcivold without a module: becoming a member, killed at every step of it; its
# lock, its socket, what it refuses, metadata stores that come and go.
# shellcheck disable=SC2154 # RUN_OUT comes from ktap.sh

# etcd listens on a loopback device of its own.
if [ -z "${HCV_OWN_NET:-}" ] && unshare -n true 2> /dev/null; then
	export HCV_OWN_NET=1
	[ -z "${HCV_GUEST:-}" ] || exec unshare -n "$0" "$@"
	unset HCV_OWN_NET
fi

. "$(dirname "$0")/../lib/ktap.sh"

top=$(readlink -f "$(dirname "$0")/../..")
ctl=$top/build/bin/agentctl
daemon=$top/build/bin/hcivold
etcd=${HCV_CACHE:-$HOME/.cache/hcivol}/etcd/usr/bin/etcd

need_cmd jq "$ctl" "$daemon"
ip link set lo up 2> /dev/null || :

# agent NAME [WORD...]: start hcivold in $TMP/NAME; $AGENT_PID.
agent() {
	local dir=$TMP/$1

	shift
	mkdir -p "$dir"
	export HCV_SOCKET=$dir/sock
	"$daemon" --state-dir "$dir" --socket "$dir/sock" --debug "$@" \
		2>> "$dir/log" &
	AGENT_PID=$!
	on_exit end_agent "$AGENT_PID"
}

# shellcheck disable=SC2317 # by way of on_exit
end_agent() {
	kill "$1" 2> /dev/null || return 0
	wait "$1" || :
}

answers() {
	"$ctl" version > /dev/null 2>&1
}

# send LINE: one line to the socket, the first line that comes back.
send() {
	python3 - "$HCV_SOCKET" "$1" <<-'PY'
	import socket, sys
	s = socket.socket(socket.AF_UNIX)
	s.settimeout(10)
	s.connect(sys.argv[1])
	s.sendall(sys.argv[2].encode() + b"\n")
	print(s.makefile().readline().strip())
	PY
}

test_options() {
	run_expect 0 "$daemon" --help
	check_match "help" "^Usage: hcivold" "$RUN_OUT"
	run_expect 0 "$daemon" --version
	run_expect 2 "$daemon" --nonsense
	run_expect 2 "$daemon" word
	run_expect 2 env HCV_CRASH=nowhere:1 "$daemon" --state-dir "$TMP/o"
	for fault in nothing:1/2 meta-lost:0/2 meta-lost:3/2 meta-lost:1/1 \
		     meta-lost:1 meta-lost:1/2x; do
		run_expect 2 env HCV_FAULT="$fault" "$daemon" --state-dir "$TMP/o"
	done
	run_expect 0 "$daemon" --list-crash-points
	check_eq "sorted, no doubles" "$(sort -u <<< "$RUN_OUT")" "$RUN_OUT"
	check_match "a known one" "cluster-entered" "$RUN_OUT"
}

test_one_agent_per_directory() {
	agent one
	wait_for answers 10
	run_expect 1 "$daemon" --state-dir "$TMP/one" --socket "$TMP/other"
	check_match "says why" "another hcivold uses $TMP/one" "$RUN_OUT"
	run_expect 1 "$daemon" --state-dir "$TMP/two" --socket "$TMP/one/sock"
	check_match "says why" "in use" "$RUN_OUT"
	check "the first goes on" answers
	check_eq "socket's mode" 600 "$(stat -c %a "$TMP/one/sock")"
	check_eq "directory's mode" 700 "$(stat -c %a "$TMP/two")"
}

test_bad_node_file() {
	mkdir "$TMP/bad"
	for text in "" "nonsense" "{}" '{"schema":2}' '{"schema":1}'; do
		printf '%s' "$text" > "$TMP/bad/node.json"
		run_expect 1 "$daemon" --state-dir "$TMP/bad" \
			--socket "$TMP/bad/sock"
		check_match "names the file" "node.json" "$RUN_OUT"
	done
}

test_requests() {
	local line

	agent req
	wait_for answers 10
	for line in 'x' '{}' '[]' '{"cmd":1}' '{"cmd":"version","x":1}' \
			'{"cmd":"version","args":[]}' '{"id":1}' \
			'{"cmd":"version","timeout_ms":0}' \
			'{"cmd":"version","args":{"x":1}}' \
			'{"cmd":"nonsense"}' \
			'{"cmd":"cluster.init","args":{"name":"a/b"}}' \
			'{"cmd":"cluster.init","args":{"metadata":[1]}}' \
			'{"cmd":"cluster.init","args":{"metadata":"x"}}' \
			'{"cmd":"store.add","args":{"path":null}}' \
			'{"cmd":"version"}{"cmd":"version"}' \
			"$(printf '[%.0s' {1..100})"; do
		check_eq "answer to $line" usage \
			"$(send "$line" | jq -r .error.code)"
	done
	check_eq "id comes back" 7 \
		"$(send '{"id":7,"cmd":"version"}' | jq .id)"
	# more than a line may hold: refused, and the agent goes on
	python3 - "$HCV_SOCKET" <<-'PY' || fatal "no answer"
	import socket, sys
	s = socket.socket(socket.AF_UNIX)
	s.settimeout(20)
	s.connect(sys.argv[1])
	try:
	    for _ in range(64):
	        s.sendall(b"x" * 65536)
	except (BrokenPipeError, ConnectionResetError):
	    pass
	PY
	check "still there" answers
	# many clients that say nothing
	python3 - "$HCV_SOCKET" <<-'PY' || fatal "clients"
	import socket, sys
	kept = []
	for _ in range(100):
	    s = socket.socket(socket.AF_UNIX)
	    s.connect(sys.argv[1])	# waits while the backlog is full
	    kept.append(s)
	PY
	wait_for answers 10
}

# member: the node belongs to a cluster and is live, as status tells.
member() {
	[ "$("$ctl" --json cluster status 2> /dev/null |
		jq '.member and .nodes[0].live')" = true ]
}

# sweep NAME COMMAND...: COMMAND with the agent killed at each crash point that
# it passes, restarted, and COMMAND repeated until it is done.
sweep() {
	local name=$1 point n=0 rc

	shift
	for point in $("$daemon" --list-crash-points | grep -E "^$SWEEP"); do
		n=$((n + 1))
		HCV_CRASH=$point:1 agent "$name$n" || :
		wait_for "answers || ! kill -0 $AGENT_PID 2> /dev/null" 10
		rc=0
		"$@" > "$TMP/out1" 2>&1 || rc=$?
		wait_for "! kill -0 $AGENT_PID 2> /dev/null" 15 \
			"death at $point"
		agent "$name$n"
		wait_for answers 10
		if ! member; then
			rc=0
			"$@" > "$TMP/out2" 2>&1 || rc=$?
			[ "$rc" = 0 ] || [ "$rc" = 4 ] ||
				fatal "$point: $(cat "$TMP/out2")"
		fi
		wait_for member 15 "membership after $point"
		check_eq "one node after $point" 1 \
			"$("$ctl" --json node list | jq '.nodes | length')"
		[ ! -e "$TMP/$name$n/pending.json" ] ||
			fatal "pending.json was left after $point"
		end_agent "$AGENT_PID"
	done
	check_ne "crash points swept" 0 "$n"
}

test_init_killed_at_each_step() {
	SWEEP='cluster-|member-lease' \
		sweep init "$ctl" cluster init --node-name n1
}

test_restart_keeps_identity() {
	local before

	agent keep
	wait_for answers 10
	run_expect 0 "$ctl" cluster init --name c1 --node-name n1 --rack r7
	before=$("$ctl" --json cluster status | jq -c '[.cluster, .node]')
	end_agent "$AGENT_PID"
	agent keep
	wait_for member 15
	check_eq "identity" "$before" \
		"$("$ctl" --json cluster status | jq -c '[.cluster, .node]')"
	check_eq "rack" r7 "$("$ctl" --json node show | jq -r .rack)"
	# events of the earlier run are still told
	check "events" grep -q "belongs to cluster c1" \
		<("$ctl" events)
}

# metadata_server start DIR|stop
metadata_server() {
	if [ "$1" = stop ]; then
		kill "$ETCD_PID"
		wait "$ETCD_PID" || :
		return
	fi
	"$etcd" --data-dir "$TMP/$2" --name m \
		--listen-client-urls http://127.0.0.1:23790 \
		--advertise-client-urls http://127.0.0.1:23790 \
		--listen-peer-urls http://127.0.0.1:23800 \
		> "$TMP/etcd.log" 2>&1 &
	ETCD_PID=$!
	on_exit end_agent "$ETCD_PID"
	wait_for "curl -sf http://127.0.0.1:23790/health | grep -q true" 20
}

# live N: that many nodes of the cluster are live.
live() {
	[ "$("$ctl" --json node list 2> /dev/null |
		jq '[.nodes[] | select(.live)] | length')" = "$1" ]
}

unreachable() {
	[ "$("$ctl" --json cluster status | jq .metadata.reachable)" = false ]
}

test_cluster_on_etcd() {
	local url=http://127.0.0.1:23790 early rc=0

	[ -x "$etcd" ] || skip "no etcd"
	metadata_server start etcd1
	agent e1
	wait_for answers 10
	run_expect 3 "$ctl" cluster join --metadata "$url" --addr 10.0.0.1
	check_match "no cluster yet" "holds no cluster" "$RUN_OUT"
	run_expect 2 "$ctl" cluster init --metadata "$url"
	check_match "address" "needs --addr" "$RUN_OUT"
	run_expect 2 "$ctl" cluster init --metadata ftp://x --addr 10.0.0.1
	run_expect 0 "$ctl" cluster init --metadata "$url" --addr 10.0.0.1 \
		--node-name n1
	agent e2
	wait_for answers 10
	run_expect 4 "$ctl" cluster init --metadata "$url" --addr 10.0.0.2
	check_match "in use" "holds a cluster named default" "$RUN_OUT"
	run_expect 4 "$ctl" cluster join --metadata "$url" --addr 10.0.0.2 \
		--node-name n1
	check_match "name taken" "has a node named n1" "$RUN_OUT"
	run_expect 0 "$ctl" cluster join --metadata "$url" --addr 10.0.0.2 \
		--node-name n2
	wait_for "live 2" 15
	check_eq "domain" node \
		"$("$ctl" --json cluster status | jq -r .failure_domain)"

	# asked before it has read anything, a new agent answers when it has
	end_agent "$AGENT_PID"
	kill -STOP "$ETCD_PID"
	agent e2
	wait_for answers 10
	"$ctl" --json node list > "$TMP/early" 2>&1 &
	early=$!
	wait_for "ss -xn state connected src $HCV_SOCKET | grep -q ." 10
	kill -CONT "$ETCD_PID"
	wait "$early" || rc=$?
	check_eq "asked early" 0 "$rc"
	check_eq "told" 2 "$(jq '.nodes | length' "$TMP/early")"
	wait_for "live 2" 15

	# a node that dies is seen within its lease
	kill -9 "$AGENT_PID"
	export HCV_SOCKET=$TMP/e1/sock
	wait_for "live 1" 20

	# without the metadata store commands still answer, and say so
	metadata_server stop
	wait_for unreachable 20
	run_expect 0 "$ctl" cluster status
	check_match "problem" "metadata store: not reachable" "$RUN_OUT"
	run_expect 5 "$ctl" node drain n1
	# and an agent started meanwhile waits for it
	agent e2
	wait_for answers 10
	run_expect 5 "$ctl" node list
	metadata_server start etcd1
	wait_for "live 2" 30
}

test_join_killed_at_each_step() {
	local url=http://127.0.0.1:23790

	[ -x "$etcd" ] || skip "no etcd"
	metadata_server start etcd2
	agent first
	wait_for answers 10
	run_expect 0 "$ctl" cluster init --metadata "$url" --addr 10.0.0.1 \
		--node-name n0
	local point n=0
	for point in cluster-pending cluster-entered cluster-node-written \
			member-lease-granted; do
		n=$((n + 1))
		HCV_CRASH=$point:1 agent "join$n"
		wait_for answers 10
		"$ctl" cluster join --metadata "$url" --addr 10.0.0.2 \
			--node-name "n$n" > "$TMP/out1" 2>&1 || :
		wait_for "! kill -0 $AGENT_PID 2> /dev/null" 15
		agent "join$n"
		wait_for answers 10
		[ -e "$TMP/join$n/node.json" ] ||
			run_expect 0 "$ctl" cluster join --metadata "$url" \
				--addr 10.0.0.2 --node-name "n$n"
		wait_for "[ \"\$('$ctl' --json node show n$n |
			jq .live)\" = true ]" 20 "n$n live"
		end_agent "$AGENT_PID"
	done
	export HCV_SOCKET=$TMP/first/sock
	check_eq "nodes" 5 \
		"$("$ctl" --json node list | jq '.nodes | length')"
}

ktap_main "$@"
