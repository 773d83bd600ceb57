/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests of the local API: parsing, argument checks, errors.  Pure.
 */
#ifndef HCV_AGENT_REQUEST_H
#define HCV_AGENT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#define HCV_REQUEST_MAX		(1U << 20)	/* bytes of one line */
#define HCV_REQUEST_DEPTH	16
#define HCV_REQUEST_MS_MAX	(24U * 3600 * 1000)

/** enum hcv_code - codes of API errors; hcv_code_name() gives the text */
enum hcv_code {
	HCV_E_OK = 0,
	HCV_E_USAGE,
	HCV_E_NOTFOUND,
	HCV_E_EXISTS,
	HCV_E_BUSY,
	HCV_E_NOSPACE,
	HCV_E_REFUSED,
	HCV_E_UNREACHABLE,
	HCV_E_TIMEOUT,
	HCV_E_IO,
	HCV_E_INTERNAL,
	HCV_E_NR
};

const char *hcv_code_name(enum hcv_code code);
/** hcv_code_parse() - HCV_E_INTERNAL for an unknown name */
enum hcv_code hcv_code_parse(const char *name);

/**
 * struct hcv_error - what an operator is told
 * @object: what it is about ("volume db1")
 * @cause: why, a sentence without a final stop
 * @hint: a command that helps, or empty
 */
struct hcv_error {
	enum hcv_code code;
	char object[128];
	char cause[512];
	char hint[256];
};

/** hcv_error_set() - fill in @e; returns -1 so that a caller can return it */
int hcv_error_set(struct hcv_error *e, enum hcv_code code, const char *object,
		  const char *hint, const char *cause_fmt, ...)
	__attribute__((format(printf, 5, 6)));

enum hcv_api_type {
	HCV_ARG_STRING,
	HCV_ARG_NAME,		/* [A-Za-z0-9._-]{1,63} */
	HCV_ARG_UINT,		/* 0 .. INT64_MAX, integer */
	HCV_ARG_BOOL,
	HCV_ARG_STRINGS,	/* array of strings */
};

struct hcv_api_arg {
	const char *name;	/* NULL ends the table */
	enum hcv_api_type type;
	bool required;
};

/**
 * struct hcv_request - one line from a client
 * @cmd: points into @json
 * @args: an object, never NULL; points into @json
 * @timeout_ms: 0: the command's own
 */
struct hcv_request {
	struct json_object *json;
	int64_t id;
	const char *cmd;
	struct json_object *args;
	unsigned int timeout_ms;
};

/**
 * hcv_request_parse() - parse one line (without its newline)
 * Return: 0, or -1 with @err; @rq->id is set as far as it was readable.
 * hcv_request_free() is due in both cases.
 */
int hcv_request_parse(const char *line, size_t len, struct hcv_request *rq,
		      struct hcv_error *err);
void hcv_request_free(struct hcv_request *rq);

/**
 * hcv_request_check() - compare arguments with a command's table
 * @spec: may be NULL: no arguments
 *
 * Unknown names, wrong types, missing arguments and strings that hold a NUL
 * are refused.  Return: 0 or -1 with @err
 */
int hcv_request_check(const char *cmd, struct json_object *args,
		      const struct hcv_api_arg *spec, struct hcv_error *err);

#endif /* HCV_AGENT_REQUEST_H */
