# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# bash completion for agentctl. Commands and options come from the program
# itself (agentctl --list-commands), so that they cannot be out of date.

# Lines "NOUN [VERB]<TAB>POSITIONALS<TAB>OPTIONS".
_agentctl_commands() {
	agentctl --list-commands 2>/dev/null
}

# Names of volumes, stores or nodes, asked of the agent.
_agentctl_names() {
	agentctl --timeout 2 "$1" list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_agentctl_values() {
	case $1 in
	VOLUME) _agentctl_names volume ;;
	STORE) _agentctl_names store ;;
	NODE) _agentctl_names node ;;
	ACTION) printf '%s\n' start stop status ;;
	NAME=VALUE) printf '%s\n' scrub-days= scrub-kibps= ;;
	KEY=VALUE)
		printf '%s\n' policy=suspend policy=error policy-ms= \
			sync-kibps= slow-replica=keep slow-replica=drop readonly=on readonly=off queue=mq queue=bio
		;;
	SETTING=VALUE)
		printf '%s\n' mode=auto mode=static mode=latency \
			mode=default limit= iops= bandwidth= recovery-min= \
			recovery-max= migration-min= migration-max= \
			latency-factor= latency-floor=
		;;
	esac
}

_agentctl_reply() {
	local word

	while read -r word; do
		COMPREPLY+=("$word")
	done < <(compgen -W "$1" -- "$2")
}

_agentctl() {
	local cur words=() i word command pos options npos=0 opt choices

	COMPREPLY=()
	cur=${COMP_WORDS[COMP_CWORD]}
	# What was typed so far, without global options.
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--json|--help|--version) ;;
		--socket|--timeout) i=$((i + 1)) ;;
		*) words+=("$word") ;;
		esac
	done
	case ${COMP_WORDS[COMP_CWORD-1]} in
	--socket)
		compopt -o default
		return
		;;
	--timeout) return ;;
	esac
	if [ ${#words[@]} = 0 ]; then
		_agentctl_reply "$(_agentctl_commands | cut -f1 |
			cut -d' ' -f1 | sort -u) --json --socket --timeout \
			--help --version" "$cur"
		return
	fi
	command=$(_agentctl_commands | awk -F'\t' -v n="${words[0]}" \
		-v v="${words[0]} ${words[1]:-}" '$1 == n || $1 == v')
	if [ -z "$command" ]; then
		[ ${#words[@]} = 1 ] || return 0
		options=$(_agentctl_commands | cut -f1 |
			awk -v n="${words[0]}" '$1 == n { print $2 }')
		[ -z "$options" ] || _agentctl_reply "$options --help" "$cur"
		return
	fi
	IFS=$'\x1f' read -r command pos options <<< "${command//$'\t'/$'\x1f'}"
	# Which positional argument is it, or the value of which option?
	i=$(wc -w <<< "$command")
	for ((; i < ${#words[@]}; i++)); do
		case ${words[i]} in
		--*)
			[[ " $options " == *" ${words[i]}="* ]] && i=$((i + 1))
			;;
		*) npos=$((npos + 1)) ;;
		esac
	done
	if [ "$i" -gt ${#words[@]} ]; then
		for opt in $options; do
			[ "${opt%%=*}" = "${words[-1]}" ] || continue
			choices=${opt#*=}
			case $opt in
			--node= | --to=) choices=$(_agentctl_values NODE) ;;
			esac
			_agentctl_reply "${choices//|/ }" "$cur"
		done
		return
	fi
	if [[ $cur == -* ]]; then
		options=$(tr " " "\n" <<< "$options" | sed "s/=.*//")
		_agentctl_reply "$options --json --help --timeout --socket" "$cur"
		return
	fi
	read -ra words <<< "$pos"
	case ${words[npos]:-} in
	DEVICE) compopt -o default ;;
	?*) _agentctl_reply "$(_agentctl_values "${words[npos]}")" "$cur" ;;
	esac
}

complete -F _agentctl agentctl
