/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shorthand for building answers.  json-c aborts nothing without memory: a
 * member is then missing, which agentctl reports as a malformed answer.
 */
#ifndef HCV_AGENT_JOUT_H
#define HCV_AGENT_JOUT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

static inline void hcv_jo_str(struct json_object *o, const char *name,
			      const char *s)
{
	json_object_object_add(o, name, json_object_new_string(s));
}

static inline void hcv_jo_u64(struct json_object *o, const char *name,
			      uint64_t n)
{
	json_object_object_add(o, name, json_object_new_uint64(n));
}

static inline void hcv_jo_bool(struct json_object *o, const char *name, bool b)
{
	json_object_object_add(o, name, json_object_new_boolean(b));
}

/** hcv_jo_obj() - a new object as member @name; stays owned by @o */
static inline struct json_object *hcv_jo_obj(struct json_object *o,
					     const char *name)
{
	struct json_object *n = json_object_new_object();

	json_object_object_add(o, name, n);
	return n;
}

static inline struct json_object *hcv_jo_array(struct json_object *o,
					       const char *name)
{
	struct json_object *n = json_object_new_array();

	json_object_object_add(o, name, n);
	return n;
}

/** hcv_jo_push() - a new object at the end of @array; stays owned by it */
static inline struct json_object *hcv_jo_push(struct json_object *array)
{
	struct json_object *n = json_object_new_object();

	json_object_array_add(array, n);
	return n;
}

static inline void hcv_jo_push_str(struct json_object *array, const char *s)
{
	json_object_array_add(array, json_object_new_string(s));
}

#endif /* HCV_AGENT_JOUT_H */
