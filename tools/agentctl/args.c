// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the words of the command line to a request's arguments.
 *
 * "--opt VALUE" and "--opt=VALUE"; options and positional arguments in any
 * order; "--" ends the options.
 */
#include "agentctl.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct hcv_ctl_parse {
	const struct hcv_ctl_cmd *cmd;
	struct json_object *args;
	struct hcv_error *err;
	unsigned int nr_pos;
};

static int hcv_ctl_bad(struct hcv_ctl_parse *p, const char *what,
		       const char *why)
{
	char hint[256];

	snprintf(hint, sizeof(hint), "agentctl %s%s%s --help", p->cmd->noun,
		 p->cmd->verb ? " " : "", p->cmd->verb ? p->cmd->verb : "");
	return hcv_error_set(p->err, HCV_E_USAGE, what, hint, "%s", why);
}

static bool hcv_ctl_choice_ok(const char *choices, const char *value)
{
	size_t len = strlen(value), n;

	for (; *choices; choices += n + (choices[n] == '|')) {
		n = strcspn(choices, "|");
		if (n == len && !strncmp(choices, value, n))
			return true;
	}
	return false;
}

static int hcv_ctl_list(struct hcv_ctl_parse *p, const char *what,
			const char *api, const char *value)
{
	struct json_object *array = json_object_new_array();
	size_t n;

	json_object_object_add(p->args, api, array);
	for (;; value += n + 1) {
		n = strcspn(value, ",");
		if (!n)
			return hcv_ctl_bad(p, what, "an element of the list is empty");
		json_object_array_add(array,
				      json_object_new_string_len(value, n));
		if (!value[n])
			return 0;
	}
}

static int hcv_ctl_path(struct hcv_ctl_parse *p, const char *what,
			const char *api, const char *value)
{
	char cwd[PATH_MAX], path[2 * PATH_MAX];

	if (*value == '/') {
		snprintf(path, sizeof(path), "%s", value);
	} else {
		if (!*value || !getcwd(cwd, sizeof(cwd)))
			return hcv_ctl_bad(p, what, "a path is wanted");
		snprintf(path, sizeof(path), "%s/%s", cwd, value);
	}
	json_object_object_add(p->args, api, json_object_new_string(path));
	return 0;
}

static int hcv_ctl_keyval(struct hcv_ctl_parse *p, const char *what,
			  const char *value)
{
	const char *eq = strchr(value, '=');
	char key[64], *dash;

	if (!eq || eq == value || (size_t)(eq - value) >= sizeof(key))
		return hcv_ctl_bad(p, what, "KEY=VALUE is wanted");
	memcpy(key, value, eq - value);
	key[eq - value] = '\0';
	/* policy-ms for people is policy_ms in the API, as with options */
	while ((dash = strchr(key, '-')))
		*dash = '_';
	json_object_object_add(p->args, "key", json_object_new_string(key));
	json_object_object_add(p->args, "value",
			       json_object_new_string(eq + 1));
	return 0;
}

static int hcv_ctl_value(struct hcv_ctl_parse *p, const char *what,
			 const char *api, enum hcv_ctl_type type,
			 const char *choices, const char *value)
{
	char why[256];
	uint64_t n;

	if (choices && !hcv_ctl_choice_ok(choices, value)) {
		snprintf(why, sizeof(why), "\"%.60s\" is not one of %s", value,
			 choices);
		return hcv_ctl_bad(p, what, why);
	}
	switch (type) {
	case HCV_CTL_FLAG:
		json_object_object_add(p->args, api,
				       json_object_new_boolean(true));
		return 0;
	case HCV_CTL_STRING:
		json_object_object_add(p->args, api,
				       json_object_new_string(value));
		return 0;
	case HCV_CTL_UINT:
	case HCV_CTL_SIZE:
		if (type == HCV_CTL_UINT ? !hcv_ctl_parse_uint(value, &n) :
		    !hcv_ctl_parse_size(value, &n)) {
			snprintf(why, sizeof(why), "\"%.60s\" is no %s", value,
				 type == HCV_CTL_UINT ? "number" :
				 "size: a number and K, M, G, T or P");
			return hcv_ctl_bad(p, what, why);
		}
		json_object_object_add(p->args, api, json_object_new_int64(n));
		return 0;
	case HCV_CTL_LIST:
		return hcv_ctl_list(p, what, api, value);
	case HCV_CTL_PATH:
		return hcv_ctl_path(p, what, api, value);
	case HCV_CTL_KEYVAL:
		return hcv_ctl_keyval(p, what, value);
	}
	return hcv_ctl_bad(p, what, "it is of an unknown type");
}

static int hcv_ctl_positional(struct hcv_ctl_parse *p, const char *word)
{
	const struct hcv_ctl_pos *pos = &p->cmd->pos[p->nr_pos];

	if (p->nr_pos == HCV_CTL_POS || !pos->arg)
		return hcv_ctl_bad(p, word, "one argument too many");
	p->nr_pos++;
	return hcv_ctl_value(p, pos->arg, pos->api, pos->type, NULL, word);
}

/* Returns the number of words used, or -1. */
static int hcv_ctl_option(struct hcv_ctl_parse *p, int argc, char **argv)
{
	const char *word = argv[0], *eq = strchr(word, '=');
	size_t len = eq ? (size_t)(eq - word) : strlen(word);
	const struct hcv_ctl_opt *opt = p->cmd->opts;

	for (; opt && opt->name; opt++)
		if (strlen(opt->name) == len && !strncmp(opt->name, word, len))
			break;
	if (!opt || !opt->name)
		return hcv_ctl_bad(p, word, "unknown option");
	if (json_object_object_get_ex(p->args, opt->api, NULL))
		return hcv_ctl_bad(p, opt->name, "it was given before");
	if (!opt->arg) {
		if (eq)
			return hcv_ctl_bad(p, opt->name, "it takes no value");
		return hcv_ctl_value(p, opt->name, opt->api, HCV_CTL_FLAG, NULL,
				     "") ? -1 : 1;
	}
	if (!eq && argc < 2)
		return hcv_ctl_bad(p, opt->name, "its value is missing");
	if (hcv_ctl_value(p, opt->name, opt->api, opt->type, opt->choices,
			  eq ? eq + 1 : argv[1]))
		return -1;
	return eq ? 1 : 2;
}

struct json_object *hcv_ctl_args(const struct hcv_ctl_cmd *cmd, int argc,
				 char **argv, struct hcv_error *err)
{
	struct hcv_ctl_parse p = {
		.cmd = cmd, .args = json_object_new_object(), .err = err,
	};
	bool options = true;
	int i, n;

	for (i = 0; i < argc; i += n) {
		if (options && !strcmp(argv[i], "--")) {
			options = false;
			n = 1;
			continue;
		}
		if (options && argv[i][0] == '-' && argv[i][1])
			n = hcv_ctl_option(&p, argc - i, argv + i);
		else
			n = hcv_ctl_positional(&p, argv[i]) ? -1 : 1;
		if (n < 0)
			goto bad;
	}
	if (p.nr_pos < HCV_CTL_POS && cmd->pos[p.nr_pos].arg &&
	    !cmd->pos[p.nr_pos].optional) {
		hcv_ctl_bad(&p, cmd->pos[p.nr_pos].arg, "it is missing");
		goto bad;
	}
	return p.args;
bad:
	json_object_put(p.args);
	return NULL;
}
