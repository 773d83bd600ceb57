/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Strict reading and careful writing of JSON objects, over json-c.
 *
 * Readers return 0, or -EINVAL with a sentence in @err (HCV_ERR_SIZE bytes)
 * that names the member; a member that is missing is refused.
 */
#ifndef HCV_AGENT_CORE_JSON_H
#define HCV_AGENT_CORE_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest number that can be told from one that is too large. */
#define HCV_JSON_U64_MAX (UINT64_MAX - 1)

/** hcv_json_parse() - one object of schema @schema; json_object_put() it */
struct json_object *hcv_json_parse(const char *text, unsigned int schema,
				   char *err);

/** hcv_json_read() - any value, nested at most @depth; json_object_put() it */
struct json_object *hcv_json_read(const char *text, int depth, char *err);

/** hcv_json_err() - fill @err, return -EINVAL */
int hcv_json_err(char *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

int hcv_json_u64(struct json_object *o, const char *name, uint64_t min,
		 uint64_t max, uint64_t *out, char *err);
/** hcv_json_item_u64() - of an element; @what names it in @err */
int hcv_json_item_u64(struct json_object *item, const char *what,
		      uint64_t max, uint64_t *out, char *err);
int hcv_json_bool(struct json_object *o, const char *name, bool *out,
		  char *err);
/** hcv_json_str() - a string of less than @size bytes, without NUL inside */
int hcv_json_str(struct json_object *o, const char *name, char *out,
		 size_t size, char *err);
int hcv_json_item_str(struct json_object *item, const char *what, char *out,
		      size_t size, char *err);
/** hcv_json_enum() - a string of the list @names, as its place in there */
int hcv_json_enum(struct json_object *o, const char *name,
		  const char *const *names, size_t nr, unsigned int *out,
		  char *err);
int hcv_json_array(struct json_object *o, const char *name, size_t max,
		   struct json_object **out, char *err);
int hcv_json_object(struct json_object *o, const char *name,
		    struct json_object **out, char *err);

/**
 * struct hcv_json - an object being built; failures are kept until the end
 *
 * hcv_json_put() and _push() take over @value, NULL stands for "no memory".
 */
struct hcv_json {
	struct json_object *o;
	bool failed;
};

void hcv_json_init(struct hcv_json *j, unsigned int schema);
void hcv_json_put(struct hcv_json *j, struct json_object *to,
		  const char *name, struct json_object *value);
void hcv_json_push(struct hcv_json *j, struct json_object *to,
		   struct json_object *value);
void hcv_json_put_str(struct hcv_json *j, const char *name, const char *s);
void hcv_json_put_u64(struct hcv_json *j, const char *name, uint64_t n);
void hcv_json_put_bool(struct hcv_json *j, const char *name, bool b);
/** hcv_json_finish() - the text (caller frees), NULL if anything failed */
char *hcv_json_finish(struct hcv_json *j);

#endif /* HCV_AGENT_CORE_JSON_H */
