// SPDX-License-Identifier: GPL-2.0-only
/*
 * What people and programs type: agentctl's arguments, numbers and sizes, and
 * requests of the local API with their argument checks.
 *
 * The first byte chooses; command lines are words separated by NUL.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../tools/agentctl/agentctl.h"
#include "core/model.h"

#define WORDS 16

#define CHECK(cond) do { if (!(cond)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All digits: read it again with the C library. */
static void fuzz_numbers(const char *s)
{
	uint64_t n, bytes;
	bool is_uint = hcv_ctl_parse_uint(s, &n);
	bool is_size = hcv_ctl_parse_size(s, &bytes);
	char text[32];

	if (is_uint) {
		/* what is a number is a size of so many bytes */
		CHECK(is_size && bytes == n && n <= INT64_MAX);
		CHECK(strtoull(s, NULL, 10) == n);
	}
	if (is_size) {
		CHECK(*s >= '0' && *s <= '9' && bytes <= INT64_MAX);
		snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
		CHECK(hcv_ctl_parse_size(text, &n) && n == bytes);
	}
}

static void fuzz_args(char *text, size_t size, uint8_t choice)
{
	const struct hcv_ctl_cmd *const *t = hcv_ctl_tables;
	const struct hcv_ctl_cmd *cmd;
	struct hcv_error err = { 0 };
	struct json_object *args;
	char *argv[WORDS], *p = text;
	int argc = 0, all = 0;

	while (p < text + size && argc < WORDS) {
		argv[argc++] = p;
		p += strlen(p) + 1;
	}
	for (t = hcv_ctl_tables; *t; t++)
		for (cmd = *t; cmd->noun; cmd++)
			all++;
	choice %= all;
	for (t = hcv_ctl_tables; *t; t++) {
		for (cmd = *t; cmd->noun; cmd++) {
			if (choice--)
				continue;
			args = hcv_ctl_args(cmd, argc, argv, &err);
			/* refused: says why; else an object */
			CHECK(args ? json_object_is_type(args, json_type_object) :
			      err.code == HCV_E_USAGE && *err.cause &&
			      *err.hint);
			json_object_put(args);
			return;
		}
	}
}

static void fuzz_request(const char *text, size_t size)
{
	static const struct hcv_api_arg spec[] = {
		{ "name", HCV_ARG_NAME, true },
		{ "path", HCV_ARG_STRING, false },
		{ "size", HCV_ARG_UINT, false },
		{ "force", HCV_ARG_BOOL, false },
		{ "metadata", HCV_ARG_STRINGS, false },
		{ NULL }
	};
	struct hcv_error err = { 0 };
	struct hcv_request rq;
	struct json_object *o;

	if (hcv_request_parse(text, size, &rq, &err)) {
		CHECK(err.code != HCV_E_OK && *err.cause);
		hcv_request_free(&rq);
		return;
	}
	CHECK(rq.cmd && json_object_is_type(rq.args, json_type_object));
	if (!hcv_request_check(rq.cmd, rq.args, spec, &err)) {
		CHECK(json_object_object_get_ex(rq.args, "name", &o));
		CHECK(hcv_model_name_ok(json_object_get_string(o)));
		if (json_object_object_get_ex(rq.args, "size", &o))
			CHECK(json_object_get_int64(o) >= 0);
	} else {
		CHECK(err.code == HCV_E_USAGE);
	}
	hcv_request_free(&rq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	/* a copy of its own, so that reading behind it is noticed */
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] % 3) {
	case 0:
		fuzz_numbers(text);
		break;
	case 1:
		fuzz_args(text, size - 1, data[0] / 3);
		break;
	default:
		fuzz_request(text, size - 1);
	}
	free(text);
	return 0;
}
