// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests of the local API: parsing, argument checks, errors.
 */
#include "request.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model.h"

static const char * const hcv_code_names[HCV_E_NR] = {
	[HCV_E_OK] = "ok",
	[HCV_E_USAGE] = "usage",
	[HCV_E_NOTFOUND] = "notfound",
	[HCV_E_EXISTS] = "exists",
	[HCV_E_BUSY] = "busy",
	[HCV_E_NOSPACE] = "nospace",
	[HCV_E_REFUSED] = "refused",
	[HCV_E_UNREACHABLE] = "unreachable",
	[HCV_E_TIMEOUT] = "timeout",
	[HCV_E_IO] = "io",
	[HCV_E_INTERNAL] = "internal",
};

const char *hcv_code_name(enum hcv_code code)
{
	return hcv_code_names[(unsigned int)code < HCV_E_NR ? code :
			      HCV_E_INTERNAL];
}

enum hcv_code hcv_code_parse(const char *name)
{
	int i;

	for (i = 0; i < HCV_E_NR; i++)
		if (!strcmp(hcv_code_names[i], name))
			return i;
	return HCV_E_INTERNAL;
}

int hcv_error_set(struct hcv_error *e, enum hcv_code code, const char *object,
		  const char *hint, const char *cause_fmt, ...)
{
	va_list ap;

	e->code = code;
	snprintf(e->object, sizeof(e->object), "%s", object ? object : "");
	snprintf(e->hint, sizeof(e->hint), "%s", hint ? hint : "");
	va_start(ap, cause_fmt);
	vsnprintf(e->cause, sizeof(e->cause), cause_fmt, ap);
	va_end(ap);
	return -1;
}

static int hcv_request_bad(struct hcv_error *err, const char *cause)
{
	return hcv_error_set(err, HCV_E_USAGE, "request", NULL, "%s", cause);
}

static int hcv_request_members(struct hcv_request *rq, struct hcv_error *err)
{
	json_object_object_foreach(rq->json, key, val) {
		if (!strcmp(key, "id")) {
			if (!json_object_is_type(val, json_type_int))
				return hcv_request_bad(err, "\"id\" is not an integer");
			rq->id = json_object_get_int64(val);
		} else if (!strcmp(key, "cmd")) {
			if (!json_object_is_type(val, json_type_string))
				return hcv_request_bad(err, "\"cmd\" is not a string");
			rq->cmd = json_object_get_string(val);
		} else if (!strcmp(key, "args")) {
			if (!json_object_is_type(val, json_type_object))
				return hcv_request_bad(err, "\"args\" is not an object");
			rq->args = val;
		} else if (!strcmp(key, "timeout_ms")) {
			int64_t ms = json_object_get_int64(val);

			if (!json_object_is_type(val, json_type_int) ||
			    ms < 1 || ms > HCV_REQUEST_MS_MAX)
				return hcv_request_bad(err, "\"timeout_ms\" is out of range");
			rq->timeout_ms = ms;
		} else {
			return hcv_error_set(err, HCV_E_USAGE, "request", NULL,
					     "unknown member \"%.60s\"", key);
		}
	}
	return 0;
}

int hcv_request_parse(const char *line, size_t len, struct hcv_request *rq,
		      struct hcv_error *err)
{
	enum json_tokener_error jerr;
	struct json_tokener *tok;

	memset(rq, 0, sizeof(*rq));
	if (len > HCV_REQUEST_MAX)
		return hcv_request_bad(err, "it is too long");
	tok = json_tokener_new_ex(HCV_REQUEST_DEPTH);
	if (!tok)
		return hcv_error_set(err, HCV_E_INTERNAL, "request", NULL,
				     "out of memory");
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT |
			       JSON_TOKENER_VALIDATE_UTF8);
	rq->json = json_tokener_parse_ex(tok, line, len);
	jerr = json_tokener_get_error(tok);
	/* The tokener stops at a NUL and at the value's end. */
	if (jerr == json_tokener_success &&
	    json_tokener_get_parse_end(tok) != len)
		jerr = json_tokener_error_parse_unexpected;
	json_tokener_free(tok);
	if (jerr != json_tokener_success)
		return hcv_error_set(err, HCV_E_USAGE, "request", NULL,
				     "it is not JSON: %s",
				     json_tokener_error_desc(jerr));
	if (!json_object_is_type(rq->json, json_type_object))
		return hcv_request_bad(err, "it is not a JSON object");
	if (hcv_request_members(rq, err))
		return -1;
	if (!rq->cmd)
		return hcv_request_bad(err, "\"cmd\" is missing");
	if (rq->args)
		return 0;
	rq->args = json_object_new_object();
	if (!rq->args || json_object_object_add(rq->json, "args", rq->args))
		return hcv_error_set(err, HCV_E_INTERNAL, "request", NULL,
				     "out of memory");
	return 0;
}

void hcv_request_free(struct hcv_request *rq)
{
	json_object_put(rq->json);
	memset(rq, 0, sizeof(*rq));
}

static bool hcv_request_string_ok(struct json_object *val)
{
	return json_object_is_type(val, json_type_string) &&
		strlen(json_object_get_string(val)) ==
		(size_t)json_object_get_string_len(val);
}

static const char *hcv_request_type_ok(struct json_object *val,
				       enum hcv_api_type type)
{
	size_t i;

	switch (type) {
	case HCV_ARG_NAME:
		if (!hcv_request_string_ok(val))
			return "a string";
		return hcv_model_name_ok(json_object_get_string(val)) ? NULL :
			"a name: 1 to 63 of A-Z a-z 0-9 . _ -";
	case HCV_ARG_STRING:
		return hcv_request_string_ok(val) ? NULL : "a string";
	case HCV_ARG_UINT:
		return json_object_is_type(val, json_type_int) &&
			json_object_get_int64(val) >= 0 &&
			json_object_get_uint64(val) <= INT64_MAX ? NULL :
			"a non-negative integer";
	case HCV_ARG_BOOL:
		return json_object_is_type(val, json_type_boolean) ? NULL :
			"true or false";
	case HCV_ARG_STRINGS:
		if (!json_object_is_type(val, json_type_array))
			return "an array of strings";
		for (i = 0; i < json_object_array_length(val); i++)
			if (!hcv_request_string_ok(json_object_array_get_idx(val, i)))
				return "an array of strings";
		return NULL;
	}
	return "of a known type";
}

int hcv_request_check(const char *cmd, struct json_object *args,
		      const struct hcv_api_arg *spec, struct hcv_error *err)
{
	static const struct hcv_api_arg none[1];
	const struct hcv_api_arg *arg;
	const char *want;

	if (!spec)
		spec = none;
	json_object_object_foreach(args, key, val) {
		for (arg = spec; arg->name && strcmp(arg->name, key); arg++)
			;
		if (!arg->name)
			return hcv_error_set(err, HCV_E_USAGE, cmd, NULL,
					     "unknown argument \"%.60s\"", key);
		want = hcv_request_type_ok(val, arg->type);
		if (want)
			return hcv_error_set(err, HCV_E_USAGE, cmd, NULL,
					     "argument \"%s\" must be %s", key,
					     want);
	}
	for (arg = spec; arg->name; arg++)
		if (arg->required &&
		    !json_object_object_get_ex(args, arg->name, NULL))
			return hcv_error_set(err, HCV_E_USAGE, cmd, NULL,
					     "argument \"%s\" is missing",
					     arg->name);
	return 0;
}
