// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scrubs: the last pass of a volume, and which one comes next.
 */
#include "scrubplan.h"

#include <errno.h>
#include <string.h>

#include "json.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define DAY_S 86400

/* Places in this list are the values of enum hcv_scrub_result. */
static const char *const results[] = { "uncovered", "good", "bad" };

_Static_assert(ARRAY_LEN(results) == __HCV_SCRUBBED, "a result without a name");

const char *hcv_scrub_result_name(unsigned int result)
{
	return result < ARRAY_LEN(results) ? results[result] : "unknown";
}

/* ------------------------------------------------------------------- JSON */

struct member {
	const char *name;
	size_t off;
};

static const struct member info_members[] = {
	{ "epoch", offsetof(struct hcv_scrub_info, epoch) },
	{ "pass", offsetof(struct hcv_scrub_info, pass) },
	{ "read", offsetof(struct hcv_scrub_info, read) },
	{ "changed", offsetof(struct hcv_scrub_info, changed) },
	{ "damaged", offsetof(struct hcv_scrub_info, damaged) },
	{ "media", offsetof(struct hcv_scrub_info, media) },
	{ "lost", offsetof(struct hcv_scrub_info, lost) },
};

static const struct member store_members[] = {
	{ "covered", offsetof(struct hcv_scrub_store, covered) },
	{ "missed", offsetof(struct hcv_scrub_store, missed) },
	{ "damaged", offsetof(struct hcv_scrub_store, damaged) },
	{ "media", offsetof(struct hcv_scrub_store, media) },
	{ "repaired", offsetof(struct hcv_scrub_store, repaired) },
	{ "failed", offsetof(struct hcv_scrub_store, failed) },
	{ "pages", offsetof(struct hcv_scrub_store, pages) },
};

static void put_members(struct hcv_json *j, struct json_object *to,
			const struct member *m, size_t nr, const void *from)
{
	const uint64_t *n;
	size_t i;

	for (i = 0; i < nr; i++) {
		n = (const uint64_t *)((const char *)from + m[i].off);
		hcv_json_put(j, to, m[i].name, json_object_new_uint64(*n));
	}
}

static int get_members(struct json_object *o, const struct member *m,
		       size_t nr, void *to, char *err)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (hcv_json_u64(o, m[i].name, 0, HCV_JSON_U64_MAX,
				 (uint64_t *)((char *)to + m[i].off), err))
			return -EINVAL;
	return 0;
}

static void put_stores(struct hcv_json *j, const struct hcv_scrub_info *i)
{
	struct json_object *stores = json_object_new_object(), *o;
	const char *name;
	size_t n;

	hcv_json_put(j, j->o, "stores", stores);
	for (n = 0; n < i->nr; n++) {
		o = json_object_new_object();
		hcv_json_put(j, stores, i->st[n].store, o);
		name = hcv_scrub_result_name(i->st[n].result);
		hcv_json_put(j, o, "result", json_object_new_string(name));
		put_members(j, o, store_members, ARRAY_LEN(store_members),
			    &i->st[n]);
	}
}

char *hcv_scrub_encode(const struct hcv_scrub_info *i)
{
	struct hcv_json j;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_str(&j, "node", i->node);
	hcv_json_put_u64(&j, "ended", (uint64_t)i->ended);
	hcv_json_put_bool(&j, "whole", i->whole);
	put_members(&j, j.o, info_members, ARRAY_LEN(info_members), i);
	put_stores(&j, i);
	return hcv_json_finish(&j);
}

static int get_store(const char *name, struct json_object *o,
		     struct hcv_scrub_store *st, char *err)
{
	if (!hcv_model_uuid_ok(name))
		return hcv_json_err(err, "\"%.40s\" is not a UUID", name);
	memcpy(st->store, name, HCV_ID_LEN);
	if (!json_object_is_type(o, json_type_object))
		return hcv_json_err(err, "\"%s\" is not an object", name);
	if (hcv_json_enum(o, "result", results, ARRAY_LEN(results),
			  &st->result, err))
		return -EINVAL;
	return get_members(o, store_members, ARRAY_LEN(store_members), st,
			   err);
}

static int get_stores(struct json_object *o, struct hcv_scrub_info *i,
		      char *err)
{
	struct json_object *stores;

	if (hcv_json_object(o, "stores", &stores, err))
		return -EINVAL;
	json_object_object_foreach(stores, name, value) {
		if (i->nr == HCV_REC_STORES)
			return hcv_json_err(err, "more than %d stores",
					    HCV_REC_STORES);
		if (get_store(name, value, &i->st[i->nr++], err))
			return -EINVAL;
	}
	return 0;
}

int hcv_scrub_decode(const char *json, struct hcv_scrub_info *i, char *err)
{
	struct json_object *o = hcv_json_parse(json, HCV_SCHEMA, err);
	struct hcv_scrub_info new = { 0 };
	int ret = -EINVAL;
	uint64_t ended;

	if (!o)
		return ret;
	if (!hcv_json_str(o, "node", new.node, sizeof(new.node), err) &&
	    !hcv_json_u64(o, "ended", 0, INT64_MAX, &ended, err) &&
	    !hcv_json_bool(o, "whole", &new.whole, err) &&
	    !get_members(o, info_members, ARRAY_LEN(info_members), &new,
			 err) &&
	    !get_stores(o, &new, err)) {
		new.ended = (int64_t)ended;
		*i = new;
		ret = 0;
	}
	json_object_put(o);
	return ret;
}

/* ------------------------------------------------------------------ memory */

static struct hcv_scrub_store *find_store(const struct hcv_scrub_info *i,
					  const char *store)
{
	size_t n;

	for (n = 0; n < i->nr; n++)
		if (!strcmp(i->st[n].store, store))
			return (struct hcv_scrub_store *)&i->st[n];
	return NULL;
}

void hcv_scrub_carry(struct hcv_scrub_info *new,
		     const struct hcv_scrub_info *old, const char *store)
{
	const struct hcv_scrub_store *was = find_store(old, store);
	struct hcv_scrub_store *is = find_store(new, store);

	if (!was || was->result != HCV_SCRUBBED_BAD)
		return;
	if (!is && new->nr < HCV_REC_STORES) {
		is = &new->st[new->nr++];
		memset(is, 0, sizeof(*is));
		memcpy(is->store, was->store, sizeof(is->store));
	}
	if (is && is->result != HCV_SCRUBBED_GOOD)
		is->result = HCV_SCRUBBED_BAD;
}

/* --------------------------------------------------------------- schedule */

int64_t hcv_scrubplan_due(const struct hcv_scrubplan_vol *v, unsigned int days,
			  int64_t now)
{
	int64_t from = v->last ? v->last->ended : v->created;
	int64_t pause = (int64_t)days * DAY_S;

	if (v->last && !v->last->whole && pause > HCV_SCRUB_RETRY_S)
		pause = HCV_SCRUB_RETRY_S;
	/* Some node's clock was far ahead: that must not put it off for ever. */
	if (from > now + DAY_S)
		return now;
	return from + pause;
}

int hcv_scrubplan_next(const struct hcv_scrubplan_vol *v, size_t nr,
		       unsigned int days, int64_t now)
{
	int64_t due, best = now;
	int next = -1;
	size_t i;

	if (!days)
		return -1;
	for (i = 0; i < nr; i++) {
		if (v[i].running)
			return -1;
		if (!v[i].active)
			continue;
		due = hcv_scrubplan_due(&v[i], days, now);
		if (due > best || (next >= 0 && due == best))
			continue;
		best = due;
		next = (int)i;
	}
	return next;
}
