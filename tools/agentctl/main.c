// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentctl: global options, choice of the command, errors, exit status.
 */
#include "agentctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int hcv_ctl_fail(const struct hcv_ctl *ctl)
{
	const struct hcv_error *e = &ctl->err;
	struct json_object *o, *err, *code;

	if (ctl->json) {
		o = json_object_new_object();
		err = json_object_new_object();
		json_object_object_add(o, "schema",
				       json_object_new_int(HCV_CTL_SCHEMA));
		code = json_object_new_string(hcv_code_name(e->code));
		json_object_object_add(err, "code", code);
		json_object_object_add(err, "object",
				       json_object_new_string(e->object));
		json_object_object_add(err, "cause",
				       json_object_new_string(e->cause));
		json_object_object_add(err, "hint",
				       json_object_new_string(e->hint));
		json_object_object_add(o, "error", err);
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
					JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(o);
	} else {
		fprintf(stderr, "agentctl: %s%s%s\n", e->object,
			*e->object ? ": " : "", e->cause);
		if (*e->hint)
			fprintf(stderr, "  see: %s\n", e->hint);
	}
	return hcv_ctl_exit_code(e->code);
}

/* "--name VALUE" or "--name=VALUE"; words used, 0: another one, -1: no value */
static int hcv_ctl_global(const char *name, int argc, char **argv,
			  const char **value)
{
	size_t len = strlen(name);

	if (strncmp(argv[0], name, len))
		return 0;
	if (argv[0][len] == '=') {
		*value = argv[0] + len + 1;
		return 1;
	}
	if (argv[0][len])
		return 0;
	if (argc < 2)
		return -1;
	*value = argv[1];
	return 2;
}

struct hcv_ctl_line {
	char **word;		/* what is left without global options */
	int nr;
	bool help;
	bool version;
	bool list;
};

static int hcv_ctl_set_timeout(struct hcv_ctl *ctl, const char *value)
{
	uint64_t s;

	if (!hcv_ctl_parse_uint(value, &s) || !s ||
	    s > HCV_REQUEST_MS_MAX / 1000)
		return hcv_error_set(&ctl->err, HCV_E_USAGE, "--timeout",
				     "agentctl --help",
				     "1 to %u seconds are wanted",
				     HCV_REQUEST_MS_MAX / 1000);
	ctl->timeout_ms = s * 1000;
	return 0;
}

/* Global options with a value; words used, 0: it is none of them, -1: error */
static int hcv_ctl_global_value(struct hcv_ctl *ctl, int argc, char **argv)
{
	const char *value;
	int n;

	n = hcv_ctl_global("--socket", argc, argv, &value);
	if (n > 0)
		ctl->socket = value;
	if (n)
		goto out;
	n = hcv_ctl_global("--timeout", argc, argv, &value);
	if (n > 0 && hcv_ctl_set_timeout(ctl, value))
		return -1;
out:
	return n >= 0 ? n : hcv_error_set(&ctl->err, HCV_E_USAGE, argv[0],
					  "agentctl --help",
					  "its value is missing");
}

static int hcv_ctl_globals(struct hcv_ctl *ctl, int argc, char **argv,
			   struct hcv_ctl_line *line)
{
	int i, n;

	for (i = 0; i < argc; i += n) {
		n = 1;
		if (!strcmp(argv[i], "--")) {
			while (i < argc)
				line->word[line->nr++] = argv[i++];
			break;
		}
		if (!strcmp(argv[i], "--json")) {
			ctl->json = true;
		} else if (!strcmp(argv[i], "--help") ||
			   !strcmp(argv[i], "-h")) {
			line->help = true;
		} else if (!strcmp(argv[i], "--version")) {
			line->version = true;
		} else if (!strcmp(argv[i], "--list-commands")) {
			line->list = true;
		} else {
			n = hcv_ctl_global_value(ctl, argc - i, argv + i);
			if (n < 0)
				return -1;
			if (!n) {
				line->word[line->nr++] = argv[i];
				n = 1;
			}
		}
	}
	return 0;
}

static bool hcv_ctl_noun_known(const char *noun)
{
	const struct hcv_ctl_cmd *const *t;

	for (t = hcv_ctl_tables; *t; t++)
		if (!strcmp((*t)->noun, noun))
			return true;
	return false;
}

/* Words used for the command's name: 1 or 2. */
static int hcv_ctl_find(struct hcv_ctl *ctl, const struct hcv_ctl_line *line)
{
	const struct hcv_ctl_cmd *const *t;
	const struct hcv_ctl_cmd *cmd;

	for (t = hcv_ctl_tables; *t; t++) {
		for (cmd = *t; cmd->noun; cmd++) {
			if (strcmp(cmd->noun, line->word[0]))
				continue;
			if (!cmd->verb || (line->nr > 1 &&
					   !strcmp(cmd->verb, line->word[1]))) {
				ctl->cmd = cmd;
				return cmd->verb ? 2 : 1;
			}
		}
	}
	if (!hcv_ctl_noun_known(line->word[0]))
		return hcv_error_set(&ctl->err, HCV_E_USAGE, line->word[0],
				     "agentctl --help", "unknown command");
	if (line->nr < 2)
		return hcv_error_set(&ctl->err, HCV_E_USAGE, line->word[0],
				     hcv_out_fmt("agentctl %s --help",
						 line->word[0]),
				     "a command is missing after it");
	return hcv_error_set(&ctl->err, HCV_E_USAGE,
			     hcv_out_fmt("%.40s %.40s", line->word[0],
					 line->word[1]),
			     hcv_out_fmt("agentctl %s --help", line->word[0]),
			     "unknown command");
}

static bool hcv_ctl_progress(struct hcv_ctl *ctl, struct json_object *ev)
{
	const char *text = hcv_out_str(ev, "text");

	if (!ctl->json && *text && isatty(STDERR_FILENO))
		fprintf(stderr, "%s\n", text);
	return true;
}

/* Words that the agent alone could judge: the help tells what is right. */
static int hcv_ctl_hint(struct hcv_ctl *ctl)
{
	struct hcv_error *e = &ctl->err;

	if (e->code == HCV_E_USAGE && !*e->hint)
		snprintf(e->hint, sizeof(e->hint), "agentctl %s%s%s --help",
			 ctl->cmd->noun, ctl->cmd->verb ? " " : "",
			 ctl->cmd->verb ? ctl->cmd->verb : "");
	return -1;
}

static int hcv_ctl_request(struct hcv_ctl *ctl, struct json_object *args)
{
	unsigned int ms = ctl->timeout_ms ? ctl->timeout_ms :
		ctl->cmd->timeout_ms;
	struct json_object *result, *o;

	result = hcv_ctl_call(ctl, ctl->cmd->api, args, ms, hcv_ctl_progress);
	if (!result)
		return hcv_ctl_hint(ctl);
	if (ctl->json) {
		o = json_object_new_object();
		json_object_object_add(o, "schema",
				       json_object_new_int(HCV_CTL_SCHEMA));
		json_object_object_foreach(result, key, val)
			json_object_object_add(o, key, json_object_get(val));
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
					JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(o);
	} else if (ctl->cmd->show) {
		ctl->cmd->show(result);
	}
	json_object_put(result);
	return 0;
}

static int hcv_ctl_run(struct hcv_ctl *ctl, struct hcv_ctl_line *line)
{
	struct json_object *args;
	int n, ret;

	if (line->help && line->nr == 1 && hcv_ctl_noun_known(line->word[0]) &&
	    strcmp(line->word[0], "events") &&
	    strcmp(line->word[0], "version")) {
		hcv_ctl_help_noun(line->word[0]);
		return 0;
	}
	n = hcv_ctl_find(ctl, line);
	if (n < 0)
		return -1;
	if (line->help) {
		hcv_ctl_help_cmd(ctl->cmd);
		return 0;
	}
	args = hcv_ctl_args(ctl->cmd, line->nr - n, line->word + n, &ctl->err);
	if (!args)
		return -1;
	ret = ctl->cmd->run ? ctl->cmd->run(ctl, args) :
		hcv_ctl_request(ctl, args);
	json_object_put(args);
	return ret;
}

int main(int argc, char **argv)
{
	struct hcv_ctl ctl = { .socket = HCV_CTL_SOCKET };
	struct hcv_ctl_line line = { 0 };
	int ret;

	if (getenv("HCV_SOCKET"))
		ctl.socket = getenv("HCV_SOCKET");
	line.word = calloc(argc + 1, sizeof(*line.word));
	if (!line.word)
		return HCV_EXIT_FAILED;
	ret = hcv_ctl_globals(&ctl, argc - 1, argv + 1, &line);
	if (!ret && line.version) {
		puts("agentctl " HCV_CTL_VERSION);
	} else if (!ret && line.list) {
		hcv_ctl_list_commands();
	} else if (!ret && line.help && !line.nr) {
		hcv_ctl_help();
	} else if (!ret && !line.nr) {
		ret = hcv_error_set(&ctl.err, HCV_E_USAGE, "agentctl",
				    "agentctl --help", "a command is missing");
	} else if (!ret) {
		ret = hcv_ctl_run(&ctl, &line);
	}
	free(line.word);
	if (ret)
		return hcv_ctl_fail(&ctl);
	/* a full disk or a closed pipe must not look like success */
	if (fflush(stdout) || ferror(stdout)) {
		perror("agentctl: output");
		return HCV_EXIT_FAILED;
	}
	return HCV_EXIT_OK;
}
