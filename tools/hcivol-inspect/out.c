// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages and JSON.
 */
#include "inspect.h"

#include <stdarg.h>

void hcv_ins_error(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "hcivol-inspect: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

struct json_object *hcv_ins_json(const char *command)
{
	struct json_object *obj = json_object_new_object();

	hcv_ins_json_u64(obj, "schema", HCV_INS_SCHEMA);
	hcv_ins_json_str(obj, "command", command);
	return obj;
}

void hcv_ins_json_u64(struct json_object *obj, const char *key, u64 val)
{
	json_object_object_add(obj, key, json_object_new_uint64(val));
}

/* Length of the UTF-8 sequence at @s, 0: none begins there. */
static int hcv_ins_utf8(const u8 *s)
{
	int len = *s < 0x80 ? 1 : *s < 0xc2 ? 0 : *s < 0xe0 ? 2 :
		*s < 0xf0 ? 3 : *s < 0xf5 ? 4 : 0, i;

	for (i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* Strings come from media and command lines: JSON must be UTF-8 all the same. */
void hcv_ins_json_str(struct json_object *obj, const char *key,
		      const char *val)
{
	char text[1024];
	size_t n = 0;
	int len;

	while (*val && n < sizeof(text) - 5) {
		len = hcv_ins_utf8((const u8 *)val);
		if (!len) {
			text[n++] = '?';
			val++;
			continue;
		}
		memcpy(text + n, val, len);
		n += len;
		val += len;
	}
	text[n] = 0;
	json_object_object_add(obj, key, json_object_new_string(text));
}

void hcv_ins_json_uuid(struct json_object *obj, const char *key,
		       const u8 *uuid)
{
	hcv_ins_json_str(obj, key, hcv_dump_uuid(uuid));
}

void hcv_ins_json_bool(struct json_object *obj, const char *key, bool val)
{
	json_object_object_add(obj, key, json_object_new_boolean(val));
}

struct json_object *hcv_ins_json_array(struct json_object *obj,
				       const char *key)
{
	struct json_object *array = json_object_new_array();

	json_object_object_add(obj, key, array);
	return array;
}

struct json_object *hcv_ins_json_push(struct json_object *array)
{
	struct json_object *obj = json_object_new_object();

	json_object_array_add(array, obj);
	return obj;
}

bool hcv_ins_json_out(struct json_object *obj)
{
	printf("%s\n", json_object_to_json_string_ext(obj,
						      JSON_C_TO_STRING_PLAIN));
	json_object_put(obj);
	return !fflush(stdout) && !ferror(stdout);
}
