// SPDX-License-Identifier: GPL-2.0-only
/*
 * Help, all of it from the command tables.
 */
#include "agentctl.h"

#include <stdio.h>
#include <string.h>

static const char *hcv_ctl_words(const struct hcv_ctl_cmd *cmd)
{
	return hcv_out_fmt("%s%s%s", cmd->noun, cmd->verb ? " " : "",
			   cmd->verb ? cmd->verb : "");
}

static const char *hcv_ctl_pos_text(const struct hcv_ctl_cmd *cmd)
{
	char text[100] = "";
	size_t len = 0;
	int i;

	for (i = 0; i < HCV_CTL_POS && cmd->pos[i].arg; i++)
		len += snprintf(text + len, sizeof(text) - len, " %s%s%s",
				cmd->pos[i].optional ? "[" : "",
				cmd->pos[i].arg,
				cmd->pos[i].optional ? "]" : "");
	return hcv_out_fmt("%s", text);
}

static void hcv_ctl_line(const struct hcv_ctl_cmd *cmd)
{
	char head[160];

	snprintf(head, sizeof(head), "%s%s", hcv_ctl_words(cmd),
		 hcv_ctl_pos_text(cmd));
	printf("  %-32s %s\n", head, cmd->summary);
}

void hcv_ctl_help(void)
{
	const struct hcv_ctl_cmd *const *t;
	const struct hcv_ctl_cmd *cmd;

	puts("Usage: agentctl [--json] [--socket PATH] [--timeout SECONDS] COMMAND ...\n"
	     "Manage hcivol volumes, stores and nodes.\n");
	for (t = hcv_ctl_tables; *t; t++)
		for (cmd = *t; cmd->noun; cmd++)
			hcv_ctl_line(cmd);
	puts("\nOptions before or after the command:\n"
	     "  --json             one JSON object with \"schema\": 1 instead of text\n"
	     "  --socket PATH      the agent's socket (" HCV_CTL_SOCKET ")\n"
	     "  --timeout SECONDS  how long the agent may take\n"
	     "  --help             this, or help of the command\n"
	     "  --version          version of agentctl\n\n"
	     "Sizes take K, M, G, T and P, powers of 1024.\n"
	     "Exit status: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 busy or refused,\n"
	     "5 agent or metadata store unreachable, 6 timed out.");
}

void hcv_ctl_help_noun(const char *noun)
{
	const struct hcv_ctl_cmd *const *t;
	const struct hcv_ctl_cmd *cmd;

	printf("Usage: agentctl %s COMMAND ...\n\n", noun);
	for (t = hcv_ctl_tables; *t; t++)
		for (cmd = *t; cmd->noun; cmd++)
			if (!strcmp(cmd->noun, noun))
				hcv_ctl_line(cmd);
	printf("\nagentctl %s COMMAND --help tells more.\n", noun);
}

void hcv_ctl_help_cmd(const struct hcv_ctl_cmd *cmd)
{
	const struct hcv_ctl_opt *opt;
	char head[64];

	printf("Usage: agentctl %s%s%s\n%s.\n", hcv_ctl_words(cmd),
	       cmd->opts && cmd->opts->name ? " [OPTION]..." : "",
	       hcv_ctl_pos_text(cmd), cmd->summary);
	if (cmd->details)
		printf("\n%s\n", cmd->details);
	if (!cmd->opts || !cmd->opts->name)
		return;
	puts("\nOptions:");
	for (opt = cmd->opts; opt->name; opt++) {
		snprintf(head, sizeof(head), "%s%s%s", opt->name,
			 opt->arg ? " " : "", opt->arg ? opt->arg : "");
		printf("  %-24s %s", head, opt->help);
		if (opt->choices)
			printf(" (%s)", opt->choices);
		putchar('\n');
	}
}

/* "NOUN [VERB]<TAB>POSITIONALS<TAB>OPTIONS", options with a value end in '=' */
void hcv_ctl_list_commands(void)
{
	const struct hcv_ctl_cmd *const *t;
	const struct hcv_ctl_cmd *cmd;
	const struct hcv_ctl_opt *opt;
	int i;

	for (t = hcv_ctl_tables; *t; t++) {
		for (cmd = *t; cmd->noun; cmd++) {
			printf("%s\t", hcv_ctl_words(cmd));
			for (i = 0; i < HCV_CTL_POS && cmd->pos[i].arg; i++)
				printf("%s%s", i ? " " : "", cmd->pos[i].arg);
			putchar('\t');
			for (opt = cmd->opts; opt && opt->name; opt++)
				printf("%s%s%s%s",
				       opt == cmd->opts ? "" : " ", opt->name,
				       opt->arg ? "=" : "",
				       opt->choices ? opt->choices : "");
			putchar('\n');
		}
	}
}
