/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * agentctl: one table of commands, from which arguments are parsed, requests
 * made, and help and completion written.
 */
#ifndef HCV_AGENTCTL_H
#define HCV_AGENTCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "../../kernel/version.h"
#include "core/request.h"

#define HCV_CTL_VERSION	HCV_VERSION
#define HCV_CTL_SCHEMA	1
#define HCV_CTL_SOCKET	"/run/hcivol/hcivold.sock"
#define HCV_CTL_POS	3

/** enum hcv_ctl_exit - exit codes, docs/agent.md */
enum hcv_ctl_exit {
	HCV_EXIT_OK		= 0,
	HCV_EXIT_FAILED		= 1,
	HCV_EXIT_USAGE		= 2,
	HCV_EXIT_NOTFOUND	= 3,
	HCV_EXIT_BUSY		= 4,
	HCV_EXIT_UNREACHABLE	= 5,
	HCV_EXIT_TIMEOUT	= 6,
};

enum hcv_ctl_type {
	HCV_CTL_FLAG,		/* an option without a value */
	HCV_CTL_STRING,
	HCV_CTL_UINT,
	HCV_CTL_SIZE,		/* bytes, with K, M, G, T, P */
	HCV_CTL_LIST,		/* comma-separated strings */
	HCV_CTL_PATH,		/* made absolute */
	HCV_CTL_KEYVAL,		/* KEY=VALUE: members "key" and "value" */
};

/**
 * struct hcv_ctl_opt - an option of a command; a NULL name ends the table
 * @name: with its dashes
 * @arg: name of its value in help, NULL for a flag
 * @api: member of the request's args
 * @choices: allowed values, separated by '|', or NULL
 */
struct hcv_ctl_opt {
	const char *name;
	const char *arg;
	const char *api;
	enum hcv_ctl_type type;
	const char *choices;
	const char *help;
};

/**
 * struct hcv_ctl_pos - a positional argument
 * @arg: its name in help; what completion offers follows from it
 */
struct hcv_ctl_pos {
	const char *arg;
	const char *api;
	enum hcv_ctl_type type;
	bool optional;
};

struct hcv_ctl;

/**
 * struct hcv_ctl_cmd - a command
 * @verb: NULL for commands of one word
 * @api: command of the agent's API
 * @timeout_ms: how long the agent may take; --timeout replaces it
 * @show: prints the result for people; NULL: nothing is printed
 * @run: for commands that are not one request and one answer
 */
struct hcv_ctl_cmd {
	const char *noun;
	const char *verb;
	const char *api;
	const char *summary;
	const char *details;
	unsigned int timeout_ms;
	struct hcv_ctl_pos pos[HCV_CTL_POS];
	const struct hcv_ctl_opt *opts;
	void (*show)(struct json_object *result);
	int (*run)(struct hcv_ctl *ctl, struct json_object *args);
};

/**
 * struct hcv_ctl - the run of one command
 * @timeout_ms: of --timeout, 0: the command's own
 */
struct hcv_ctl {
	const struct hcv_ctl_cmd *cmd;
	const char *socket;
	bool json;
	unsigned int timeout_ms;
	struct hcv_error err;
};

extern const struct hcv_ctl_cmd hcv_ctl_cluster[], hcv_ctl_node[],
	hcv_ctl_store[], hcv_ctl_volume[], hcv_ctl_recovery[], hcv_ctl_events[],
	hcv_ctl_version[];
/** hcv_ctl_tables - all of them, NULL at the end; each ends with noun NULL */
extern const struct hcv_ctl_cmd *const hcv_ctl_tables[];

/* args.c */
/**
 * hcv_ctl_args() - turn words into the request's arguments
 * Return: an object, or NULL with @err (code usage)
 */
struct json_object *hcv_ctl_args(const struct hcv_ctl_cmd *cmd, int argc,
				 char **argv, struct hcv_error *err);

/* size.c */
/** hcv_ctl_parse_uint() - decimal digits only, up to INT64_MAX */
bool hcv_ctl_parse_uint(const char *s, uint64_t *out);
/** hcv_ctl_parse_size() - digits, then K M G T P, then "iB" or "B"; binary */
bool hcv_ctl_parse_size(const char *s, uint64_t *out);

/* client.c */
/**
 * hcv_ctl_call() - one request and its answer
 * @event: called for each event before the answer, may be NULL; true: go on
 *
 * Return: the result (caller puts it), or NULL with @ctl->err.  When @event
 * ended it, NULL with code HCV_E_OK.
 */
struct json_object *hcv_ctl_call(struct hcv_ctl *ctl, const char *api,
				 struct json_object *args,
				 unsigned int timeout_ms,
				 bool (*event)(struct hcv_ctl *ctl,
					       struct json_object *ev));
enum hcv_ctl_exit hcv_ctl_exit_code(enum hcv_code code);

/* help.c */
void hcv_ctl_help(void);
void hcv_ctl_help_noun(const char *noun);
void hcv_ctl_help_cmd(const struct hcv_ctl_cmd *cmd);
/** hcv_ctl_list_commands() - for completion and its test */
void hcv_ctl_list_commands(void);

/* out.c */
/** members of results; absent ones give "" or 0 */
const char *hcv_out_str(struct json_object *o, const char *name);
uint64_t hcv_out_u64(struct json_object *o, const char *name);
bool hcv_out_bool(struct json_object *o, const char *name);
bool hcv_out_has(struct json_object *o, const char *name);
struct json_object *hcv_out_get(struct json_object *o, const char *name);

#define HCV_OUT_SIZE	24
/** hcv_out_size() - "1.5 GiB" in one of a few static buffers */
const char *hcv_out_size(uint64_t bytes);
/** hcv_out_ms() - "3.2 s", "5 min" in such a buffer */
const char *hcv_out_ms(uint64_t ms);
const char *hcv_out_fmt(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

#define HCV_OUT_COLS	12
struct hcv_table {
	unsigned int cols;
	size_t rows, size;
	char **cell;
	unsigned int right;	/* bit mask of columns aligned right */
};

/** hcv_table_init() - titles separated by '|'; '>' before one: right-aligned */
void hcv_table_init(struct hcv_table *t, const char *titles);
void hcv_table_row(struct hcv_table *t, ...);	/* t->cols strings */
/** hcv_table_print() - and free it */
void hcv_table_print(struct hcv_table *t);
/** hcv_out_field() - "Name        value" of a page about one thing */
void hcv_out_field(const char *name, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* scrub.c: of a result with the member "scrub" */
/** hcv_scrub_show() - the pass under way, the last one, the next one */
void hcv_scrub_show(struct json_object *r);
/** hcv_scrub_show_status() - the same, and a table of the replicas */
void hcv_scrub_show_status(struct json_object *r);

/** hcv_out_iostat() - a table of counters and percentiles; NULL: nothing */
void hcv_out_iostat(struct json_object *count, struct json_object *lat);

#endif /* HCV_AGENTCTL_H */
