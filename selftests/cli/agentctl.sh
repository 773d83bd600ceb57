#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: host
# KVER: 6.1 6.12
# agentctl without an agent and with one that has no module: wrong words, help
# of every command, completion, JSON, exit codes.
# shellcheck disable=SC2154 # RUN_OUT comes from ktap.sh

. "$(dirname "$0")/../lib/ktap.sh"

top=$(readlink -f "$(dirname "$0")/../..")
ctl=$top/build/bin/agentctl
daemon=$top/build/bin/hcivold

need_cmd jq "$ctl" "$daemon"

export HCV_SOCKET=$TMP/none.sock

# commands: "NOUN VERB" of all of them, one a line.
commands() {
	"$ctl" --list-commands | cut -f1
}

# usage_error WORD...: refused, with a hint, and nothing on standard output.
usage_error() {
	local out

	out=$("$ctl" "$@" 2>/dev/null) || true
	check_eq "standard output of $*" "" "$out"
	run_expect 2 "$ctl" "$@"
	check_match "hint of $*" "see: agentctl .*--help" "$RUN_OUT"
}

test_no_command() {
	usage_error
	usage_error --json=1
	usage_error nonsense
	usage_error volume
	usage_error volume nonsense
	usage_error --timeout 0 version
	usage_error --timeout 5x version
	usage_error --socket
}

test_wrong_arguments() {
	usage_error volume create
	usage_error volume create a
	usage_error volume create a 1G more
	usage_error volume create a 1G --unknown
	usage_error volume create a 1G --replicas
	usage_error volume create a 1G --replicas 4
	usage_error volume create a 1G --replicas=2 --replicas=2
	usage_error volume create a 1G --policy never
	usage_error volume attach a --takeover=yes
	usage_error volume set a policy
	usage_error volume set a =b
	usage_error cluster init --metadata ,
	usage_error cluster init --transport smoke
	usage_error events --since -1
	usage_error store add ""
}

test_sizes() {
	local size

	for size in "" K 1X 1KK -1 1.5G " 1" 0x10 9223372036854775808 \
			8388608T 1Gi 1ib 99999999999999999999; do
		usage_error volume create a -- "$size"
	done
	# These pass the parser, and fail later: there is no agent.
	for size in 0 1 1B 4096 1k 1K 1KiB 1KB 2m 3G 4TiB 5P \
			9223372036854775807; do
		run_expect 5 "$ctl" volume create a "$size"
	done
}

test_help() {
	local words

	run_expect 0 "$ctl" --help
	check_match "exit codes in help" "Exit status: 0 done" "$RUN_OUT"
	while read -r words; do
		# shellcheck disable=SC2086 # noun and verb
		run_expect 0 "$ctl" $words --help
		check_match "help of $words" "^Usage: agentctl $words" \
			"$RUN_OUT"
		run_expect 0 "$ctl" --help
		check_match "$words in the list" "  $words" "$RUN_OUT"
	done < <(commands)
	for words in cluster node store volume recovery; do
		run_expect 0 "$ctl" "$words" --help
		check_match "help of $words" "agentctl $words COMMAND" \
			"$RUN_OUT"
	done
	run_expect 0 "$ctl" --version
	check_match "version" "^agentctl [0-9]+\.[0-9]+\.[0-9]+$" "$RUN_OUT"
}

test_man_page() {
	local page=$top/docs/man/agentctl.8 words option

	[ -f "$page" ] || fatal "no $page"
	while read -r words; do
		check "man page: $words" grep -qF -- "Cm $words" "$page"
	done < <(commands)
	while read -r option; do
		check "man page: $option" grep -qF -- "Fl -${option#--}" "$page"
	done < <("$ctl" --list-commands | cut -f3 | tr ' ' '\n' |
		sed 's/=.*//' | grep . | sort -u)
}

# complete_line WORD...: what bash would offer for the last word.
complete_line() {
	COMP_WORDS=(agentctl "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_agentctl
	printf '%s\n' "${COMPREPLY[@]}"
}

test_completion() {
	local noun verb offered

	# shellcheck disable=SC2317 # called by the completion
	agentctl() {
		case "$*" in
		*"volume list") printf 'VOLUME SIZE\ndb1 1\ndb2 1\n' ;;
		*"node list") printf 'NODE STATE\nn1 ready\nn2 ready\n' ;;
		*) "$ctl" "$@" ;;
		esac
	}
	# shellcheck disable=SC2317
	compopt() {
		:
	}
	# shellcheck source=/dev/null
	. "$top/tools/completion/agentctl.bash"
	while read -r noun verb; do
		offered=$(complete_line "")
		check_match "$noun offered" "(^|[[:space:]])$noun" "$offered"
		[ -n "$verb" ] || continue
		offered=$(complete_line "$noun" "")
		check_match "$noun $verb offered" "(^|[[:space:]])$verb" \
			"$offered"
	done < <(commands)
	check_eq "options" "--replicas" \
		"$(complete_line volume create a 1G --rep)"
	check_eq "values" "suspend" \
		"$(complete_line volume create --policy sus)"
	check_eq "volumes" "db1 db2" \
		"$(complete_line volume show "" | paste -sd' ')"
	check_eq "no third argument" "" "$(complete_line volume show db1 "")"
	check_eq "keys" "readonly=on" \
		"$(complete_line volume set db1 readonly=on)"
	check_eq "slow replicas" "slow-replica=drop" \
		"$(complete_line volume set db1 slow-replica=d)"
	check_eq "a limit" "sync-kibps=" \
		"$(complete_line volume set db1 sync)"
	check_eq "modes of recovery" "mode=static" \
		"$(complete_line recovery set mode=s)"
	check_eq "settings of recovery" "recovery-min= recovery-max=" \
		"$(complete_line recovery set recov | paste -sd' ')"
	check_eq "nodes for an option" "n1 n2" \
		"$(complete_line recovery pause --node "" | paste -sd' ')"
	check_eq "a setting" "scrub-days=" \
		"$(complete_line cluster set scrub-d)"
	check_eq "actions" "start stop status" \
		"$(complete_line volume scrub "" | paste -sd' ')"
	check_eq "of a volume" "db1 db2" \
		"$(complete_line volume scrub start "" | paste -sd' ')"
	check_eq "nothing unknown" "" "$(complete_line nonsense "")"
}

# inspect_line WORD...: the same for hcivol-inspect.
inspect_line() {
	COMP_WORDS=(hcivol-inspect "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_hcivol_inspect
	printf '%s\n' "${COMPREPLY[@]}"
}

test_completion_of_inspect() {
	local inspect=$top/build/bin/hcivol-inspect command option

	# shellcheck disable=SC2317 # called by the completion
	hcivol-inspect() {
		case "$*" in
		volumes*) printf '{"volumes": [{"volume": "%s"}]}\n' \
			0b0c5b0e-8c3f-4a52-9a9f-0123456789ab ;;
		*) "$inspect" "$@" ;;
		esac
	}
	# shellcheck disable=SC2317
	compopt() {
		:
	}
	# shellcheck source=/dev/null
	. "$top/tools/completion/hcivol-inspect.bash"
	for command in super table volumes pages check read format; do
		check_match "$command" "(^|[[:space:]])$command" \
			"$(inspect_line "")"
	done
	for option in --volume --generation --offset --length; do
		check_match "$option" "(^|[[:space:]])$option" \
			"$(inspect_line read /dev/sdb --)"
	done
	check_eq "options of one command only" "--data" \
		"$(inspect_line check /dev/sdb --d)"
	check_eq "no JSON of raw data" "" "$(inspect_line read /dev/sdb --j)"
	check_eq "volumes of the store" 0b0c5b0e-8c3f-4a52-9a9f-0123456789ab \
		"$(inspect_line read /dev/sdb --volume "")"
	check_eq "nothing unknown" "" "$(inspect_line nonsense "")"
}

test_no_agent() {
	local words

	while read -r words; do
		case $words in
		"store add") words+=" /dev/null" ;;
		"volume create"|"volume resize") words+=" a 1G" ;;
		"volume rename") words+=" a b" ;;
		"volume set") words+=" a policy=error" ;;
		"recovery set") words+=" mode=auto" ;;
		"volume scrub") words+=" status a" ;;
		"cluster set") words+=" scrub-days=7" ;;
		*" show"|*" remove"|*" drain"|*" undrain"|*" health") words+=" a" ;;
		"volume list"|*" status"|*" list"|*" init"|*" join") ;;
		volume*) words+=" a" ;;
		esac
		# shellcheck disable=SC2086 # several words
		run_expect 5 "$ctl" $words
		check_match "hint" "see: systemctl start hcivold" "$RUN_OUT"
		# shellcheck disable=SC2086
		run_expect 5 "$ctl" --json $words
		check_eq "JSON of $words" "1 unreachable" "$(jq -r \
			'"\(.schema) \(.error.code)"' <<< "$RUN_OUT")"
	done < <(commands)
}

# start_agent NAME [WORD...]: hcivold in $TMP/NAME, answering.
start_agent() {
	local dir=$TMP/$1 pid

	shift
	mkdir -p "$dir"
	export HCV_SOCKET=$dir/sock
	"$daemon" --state-dir "$dir" --socket "$dir/sock" "$@" \
		2>> "$dir/log" &
	pid=$!
	on_exit stop_agent "$pid"
	wait_for "'$ctl' version > /dev/null 2>&1 || ! kill -0 $pid" 10 \
		"answer of hcivold"
}

# shellcheck disable=SC2317 # by way of on_exit
stop_agent() {
	kill "$1" 2> /dev/null || return 0
	wait "$1"
}

test_json_schema() {
	local words

	start_agent json
	run_expect 0 "$ctl" --json cluster status
	check_eq "no member" false "$(jq .member <<< "$RUN_OUT")"
	run_expect 4 "$ctl" volume list
	check_match "hint" "see: agentctl cluster init" "$RUN_OUT"
	run_expect 0 "$ctl" cluster init --node-name n1
	for words in "cluster status" "node list" "node show" "store list" \
			"volume list" "recovery status" "recovery pause" \
			"recovery resume" "recovery set limit=20M" version; do
		# shellcheck disable=SC2086 # several words
		run_expect 0 "$ctl" $words --json
		check_eq "schema of $words" 1 "$(jq .schema <<< "$RUN_OUT")"
	done
	run_expect 0 "$ctl" --json events
	check_eq "schema of events" 1 "$(jq -s 'map(.schema) | unique[]' \
		<<< "$RUN_OUT")"
	check_eq "order of events" true "$(jq -s 'map(.seq) | . == sort' \
		<<< "$RUN_OUT")"
	run_expect 0 "$ctl" --json cluster status
	check_eq "domain of one node" disk \
		"$(jq -r .failure_domain <<< "$RUN_OUT")"
	check_eq "live" true "$(jq '.nodes[0].live' <<< "$RUN_OUT")"
}

test_exit_codes() {
	start_agent codes
	run_expect 0 "$ctl" cluster init --node-name n1
	run_expect 4 "$ctl" cluster init --node-name n1
	run_expect 3 "$ctl" node show nobody
	run_expect 3 "$ctl" store show nothing
	run_expect 3 "$ctl" volume show nothing
	run_expect 3 "$ctl" volume attach nothing
	run_expect 3 "$ctl" store add "$TMP/nothing"
	run_expect 2 "$ctl" store add /dev/null
	run_expect 2 "$ctl" volume create -- -a- 1G
	# another node's name and a bad one
	run_expect 2 "$ctl" cluster join
	run_expect 0 "$ctl" node drain n1
	check_match "drain says what it does" "moves away" \
		"$RUN_OUT"
	run_expect 0 "$ctl" node drain n1 --off
}

# Whatever goes wrong: object, cause, and where there is one, the command.
test_errors_name_all_three() {
	local words code

	start_agent errors
	run_expect 4 "$ctl" volume list
	check_match "no cluster" "^agentctl: .*: .*see: agentctl cluster init" \
		"${RUN_OUT//$'\n'/ }"
	run_expect 0 "$ctl" cluster init --node-name n1
	while read -r code words; do
		# shellcheck disable=SC2086 # several words
		run_expect "$code" "$ctl" $words
		check_match "$words" "^agentctl: [^:]+.*: .{8,}  see: .{4,}" \
			"${RUN_OUT//$'\n'/ }"
		# shellcheck disable=SC2086
		run_expect "$code" "$ctl" --json $words
		check_eq "JSON of $words" true "$(jq '.error | [.code, .object,
			.cause, .hint] | all(length > 0)' <<< "$RUN_OUT")"
	done <<-LIST
		3 node show nobody
		3 node drain nobody
		3 store show nothing
		3 store remove nothing
		3 store add $TMP/nothing
		3 volume show nothing
		3 volume attach nothing
		3 volume detach nothing
		3 volume handover nothing --abort
		3 volume handover nothing --to n1
		3 volume resize nothing 1G
		3 volume rename nothing something
		3 volume set nothing policy=error
		3 volume delete nothing
		3 recovery pause --node nobody
		3 recovery resume --node nobody
		3 recovery set mode=auto --node nobody
		2 recovery set speed=1M
		2 recovery set mode=fast
		2 recovery set limit=501M
		2 recovery set recovery-min=100
		3 volume scrub status nothing
		2 volume create -- -a- 1G
		2 volume create a 1000
		2 volume create a 1G --policy-ms 86400001
		2 store add /dev/null
		4 cluster init
		4 cluster join --metadata http://127.0.0.1:1 --addr 127.0.0.1
	LIST
}

# How many places of cluster status say that recovery is paused.
# shellcheck disable=SC2317 # by way of wait_for
paused_problems() {
	"$ctl" --json cluster status |
		jq '[.problems[] | select(.text | test("it is paused"))] | length'
}

# Settings of recovery: kept, told from defaults, taken back; pause and resume.
# shellcheck disable=SC2016 # conditions are evaluated by wait_for
test_recovery() {
	start_agent recovery
	run_expect 0 "$ctl" cluster init --node-name n1
	run_expect 0 "$ctl" recovery status
	# There is no module here: nothing is in force, and it says so.
	check_match "why not" "left as they are: the module has not been" \
		"$RUN_OUT"
	check_match "no replicas" "Replicas +all up to date" "$RUN_OUT"
	run_expect 0 "$ctl" recovery set recovery-max=312.5M
	run_expect 4 "$ctl" recovery set recovery-min=400M
	check_match "in order" "recovery_min \(400 MiB/s\) is above recovery_max" \
		"$RUN_OUT"
	run_expect 0 "$ctl" recovery set recovery-min=400M --node n1
	run_expect 0 "$ctl" recovery set recovery-min=default --node n1
	run_expect 0 "$ctl" recovery set recovery-max=default
	run_expect 0 "$ctl" recovery pause
	check_match "says so" "recovery paused in the cluster" "$RUN_OUT"
	run_expect 0 "$ctl" recovery pause
	check_match "and again" "recovery was paused in the cluster" "$RUN_OUT"
	run_expect 0 "$ctl" recovery pause --node n1
	run_expect 0 "$ctl" recovery status
	check_match "in the cluster" "PAUSED +in the cluster" "$RUN_OUT"
	check_match "on the node" "PAUSED +on n1" "$RUN_OUT"
	# Nobody forgets it: it is a problem.
	wait_for '[ "$(paused_problems)" = 2 ]' 10 "problems"
	run_expect 0 "$ctl" recovery resume --node n1
	check_match "the other word" "still paused in the cluster" "$RUN_OUT"
	run_expect 0 "$ctl" recovery resume
	run_expect 0 "$ctl" recovery resume
	check_match "nothing to do" "was not paused in the cluster" "$RUN_OUT"
	wait_for '[ "$(paused_problems)" = 0 ]' 10 "no problems"
	run_expect 0 "$ctl" --json recovery status
	check_eq "JSON" "false 0 0" "$(jq -r '"\(.paused_in_cluster) \(
		.paused_nodes | length) \(.replicas | length)"' <<< "$RUN_OUT")"
	run_expect 0 "$ctl" --json events
	check_eq "events" "paused in the cluster|paused on n1|resumed on n1|resumed in the cluster" \
		"$(jq -rs 'map(select(.object == "recovery") | .text |
			select(test("paused|resumed")) | split(":")[0]) |
			join("|")' <<< "$RUN_OUT")"
}

test_events_follow() {
	local pid

	start_agent follow
	"$ctl" events --follow > "$TMP/events" &
	pid=$!
	on_exit kill "$pid"
	run_expect 0 "$ctl" cluster init --node-name n1
	wait_for "grep -q 'belongs to cluster' $TMP/events" 5
}

ktap_main "$@"
