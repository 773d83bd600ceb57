// SPDX-License-Identifier: GPL-2.0-only
/* Strict reading and careful writing of JSON objects, over json-c. */
#include "json.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model.h"

#define DEPTH_MAX 8

int hcv_json_err(char *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, HCV_ERR_SIZE, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

struct json_object *hcv_json_read(const char *text, int depth, char *err)
{
	struct json_tokener *tok = json_tokener_new_ex(depth);
	size_t len = strlen(text);
	struct json_object *o;

	if (!tok) {
		hcv_json_err(err, "out of memory");
		return NULL;
	}
	if (len >= INT_MAX) {
		hcv_json_err(err, "is too long");
		json_tokener_free(tok);
		return NULL;
	}
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT |
				    JSON_TOKENER_VALIDATE_UTF8);
	/* With the NUL, so that a number at the end is known to have ended. */
	o = json_tokener_parse_ex(tok, text, (int)len + 1);
	if (!o || json_tokener_get_error(tok) != json_tokener_success) {
		hcv_json_err(err, "is not JSON: %s at byte %zu",
			     json_tokener_error_desc(json_tokener_get_error(tok)),
			     json_tokener_get_parse_end(tok));
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(tok);
	return o;
}

struct json_object *hcv_json_parse(const char *text, unsigned int schema,
				   char *err)
{
	struct json_object *o = hcv_json_read(text, DEPTH_MAX, err);
	uint64_t found;

	if (!o)
		return NULL;
	if (!json_object_is_type(o, json_type_object)) {
		hcv_json_err(err, "is not a JSON object");
		goto err_put;
	}
	if (hcv_json_u64(o, "schema", 1, UINT32_MAX, &found, err))
		goto err_put;
	if (found != schema) {
		hcv_json_err(err,
			     "has schema %llu, this version knows %u: update hcivol on this node",
			     (unsigned long long)found, schema);
		goto err_put;
	}
	return o;

err_put:
	json_object_put(o);
	return NULL;
}

static int get(struct json_object *o, const char *name, enum json_type type,
	       struct json_object **out, char *err)
{
	if (!json_object_object_get_ex(o, name, out))
		return hcv_json_err(err, "lacks \"%s\"", name);
	if (!json_object_is_type(*out, type))
		return hcv_json_err(err, "\"%s\" is not of type %s", name,
				    json_type_to_name(type));
	return 0;
}

static int to_u64(struct json_object *item, const char *what, uint64_t min,
		  uint64_t max, uint64_t *out, char *err)
{
	uint64_t n = json_object_get_uint64(item);

	/* What does not fit json-c turns into the largest number. */
	if (json_object_get_int64(item) < 0 || n < min || n > max ||
	    n > HCV_JSON_U64_MAX)
		return hcv_json_err(err,
				    "\"%s\" is not within %llu..%llu", what,
				    (unsigned long long)min,
				    (unsigned long long)(max < HCV_JSON_U64_MAX ?
							 max :
							 HCV_JSON_U64_MAX));
	*out = n;
	return 0;
}

static int to_str(struct json_object *item, const char *what, char *out,
		  size_t size, char *err)
{
	const char *s = json_object_get_string(item);
	size_t len = (size_t)json_object_get_string_len(item);

	if (len >= size)
		return hcv_json_err(err, "\"%s\" is longer than %zu bytes",
				    what, size - 1);
	if (strlen(s) != len)
		return hcv_json_err(err, "\"%s\" holds a NUL", what);
	memcpy(out, s, len + 1);
	return 0;
}

int hcv_json_u64(struct json_object *o, const char *name, uint64_t min,
		 uint64_t max, uint64_t *out, char *err)
{
	struct json_object *item;

	if (get(o, name, json_type_int, &item, err))
		return -EINVAL;
	return to_u64(item, name, min, max, out, err);
}

int hcv_json_item_u64(struct json_object *item, const char *what,
		      uint64_t max, uint64_t *out, char *err)
{
	if (!json_object_is_type(item, json_type_int))
		return hcv_json_err(err, "\"%s\" is not a whole number", what);
	return to_u64(item, what, 0, max, out, err);
}

int hcv_json_bool(struct json_object *o, const char *name, bool *out,
		  char *err)
{
	struct json_object *item;

	if (get(o, name, json_type_boolean, &item, err))
		return -EINVAL;
	*out = json_object_get_boolean(item);
	return 0;
}

int hcv_json_str(struct json_object *o, const char *name, char *out,
		 size_t size, char *err)
{
	struct json_object *item;

	if (get(o, name, json_type_string, &item, err))
		return -EINVAL;
	return to_str(item, name, out, size, err);
}

int hcv_json_item_str(struct json_object *item, const char *what, char *out,
		      size_t size, char *err)
{
	if (!json_object_is_type(item, json_type_string))
		return hcv_json_err(err, "\"%s\" is not a string", what);
	return to_str(item, what, out, size, err);
}

int hcv_json_enum(struct json_object *o, const char *name,
		  const char *const *names, size_t nr, unsigned int *out,
		  char *err)
{
	char word[32];
	size_t i;

	if (hcv_json_str(o, name, word, sizeof(word), err))
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		if (!strcmp(word, names[i])) {
			*out = (unsigned int)i;
			return 0;
		}
	}
	return hcv_json_err(err, "\"%s\" has the unknown value \"%s\"", name,
			    word);
}

int hcv_json_array(struct json_object *o, const char *name, size_t max,
		   struct json_object **out, char *err)
{
	if (get(o, name, json_type_array, out, err))
		return -EINVAL;
	if (json_object_array_length(*out) > max)
		return hcv_json_err(err, "\"%s\" has more than %zu elements",
				    name, max);
	return 0;
}

int hcv_json_object(struct json_object *o, const char *name,
		    struct json_object **out, char *err)
{
	return get(o, name, json_type_object, out, err);
}

void hcv_json_init(struct hcv_json *j, unsigned int schema)
{
	j->o = json_object_new_object();
	j->failed = !j->o;
	hcv_json_put_u64(j, "schema", schema);
}

void hcv_json_put(struct hcv_json *j, struct json_object *to,
		  const char *name, struct json_object *value)
{
	if (!j->failed && value && !json_object_object_add(to, name, value))
		return;
	json_object_put(value);
	j->failed = true;
}

void hcv_json_push(struct hcv_json *j, struct json_object *to,
		   struct json_object *value)
{
	if (!j->failed && value && !json_object_array_add(to, value))
		return;
	json_object_put(value);
	j->failed = true;
}

void hcv_json_put_str(struct hcv_json *j, const char *name, const char *s)
{
	hcv_json_put(j, j->o, name, json_object_new_string(s));
}

void hcv_json_put_u64(struct hcv_json *j, const char *name, uint64_t n)
{
	hcv_json_put(j, j->o, name, json_object_new_uint64(n));
}

void hcv_json_put_bool(struct hcv_json *j, const char *name, bool b)
{
	hcv_json_put(j, j->o, name, json_object_new_boolean(b));
}

char *hcv_json_finish(struct hcv_json *j)
{
	const char *text = NULL;
	char *copy = NULL;

	if (!j->failed)
		text = json_object_to_json_string_ext(j->o,
						      JSON_C_TO_STRING_PLAIN |
						      JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text)
		copy = strdup(text);
	json_object_put(j->o);
	j->o = NULL;
	return copy;
}
