# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# bash completion for hcivol-inspect.  Commands and options come from its help:
# a line "  COMMAND DEV... [OPTIONS]" each.

_hcivol_inspect_lines() {
	hcivol-inspect --help 2>/dev/null |
		sed -n 's/^  \([a-z]* DEV.*\)/\1/p'
}

_hcivol_inspect() {
	local cur command line words

	COMPREPLY=()
	cur=${COMP_WORDS[COMP_CWORD]}
	if [ "$COMP_CWORD" = 1 ]; then
		words="$(_hcivol_inspect_lines | cut -d' ' -f1) --help --version"
	else
		command=${COMP_WORDS[1]}
		line=$(_hcivol_inspect_lines | grep "^$command ") || return 0
		case ${COMP_WORDS[COMP_CWORD-1]} in
		--volume)
			# Volumes of the stores that were named.
			words=$(hcivol-inspect volumes "${COMP_WORDS[2]}" \
				--json 2>/dev/null |
				grep -oE '"volume": *"[0-9a-f-]{36}"' |
				cut -d'"' -f4 | sort -u)
			;;
		--extent|--generation|--offset|--length|--label|--cluster|--uuid)
			return 0
			;;
		*)
			if [[ $cur != -* ]]; then
				compopt -o default
				return 0
			fi
			words="$(grep -oE -- '--[a-z]+' <<< "$line") --json"
			[ "$command" != read ] || words=${words% --json}
			;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur" || :)
}

complete -F _hcivol_inspect hcivol-inspect
