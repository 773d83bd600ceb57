// SPDX-License-Identifier: GPL-2.0-only
/*
 * JSON of a store's health.  See health_key.h.
 */
#include "health_key.h"

#include <errno.h>
#include <string.h>

#include "json.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Places in these lists are the values of the enums. */
static const char *const states[] = { "ok", "suspect", "draining", "out" };
static const char *const causes[] = {
	"", "latency", "media", "smart", "operator"
};

static const char *const verdicts[] = {
	"unknown", "ok", "notice", "suspect", "failing"
};

static const char *const wishers[] = { "operator", "health" };

/* A percentile's bucket and one, 0: none. */
static void put_p95(struct hcv_json *j, const struct hcv_lat_note *note)
{
	struct json_object *array = json_object_new_array();
	unsigned int op;

	for (op = 0; array && op < HCV_LAT_OPS; op++)
		hcv_json_push(j, array, json_object_new_int(note->p95[op] + 1));
	hcv_json_put(j, j->o, "p95", array);
}

char *hcv_health_key_encode(const struct hcv_health_key *k)
{
	struct hcv_json j;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_str(&j, "state", states[k->h.state]);
	hcv_json_put_str(&j, "cause", causes[k->h.cause]);
	hcv_json_put_bool(&j, "slow", k->h.slow);
	hcv_json_put_u64(&j, "since", (uint64_t)k->h.since);
	hcv_json_put_u64(&j, "relapses", k->h.relapses);
	hcv_json_put_u64(&j, "media", k->h.media);
	hcv_json_put_u64(&j, "media_at", (uint64_t)k->h.media_at);
	hcv_json_put_str(&j, "smart", verdicts[k->h.smart]);
	hcv_json_put_str(&j, "accepted", verdicts[k->h.accepted]);
	hcv_json_put_str(&j, "why", k->h.why);
	put_p95(&j, &k->note);
	hcv_json_put_u64(&j, "load", k->note.load);
	return hcv_json_finish(&j);
}

static int get_u32(struct json_object *o, const char *name, uint32_t max,
		   uint32_t *out, char *err)
{
	uint64_t n;

	if (hcv_json_u64(o, name, 0, max, &n, err))
		return -EINVAL;
	*out = (uint32_t)n;
	return 0;
}

static int get_time(struct json_object *o, const char *name, int64_t *out,
		    char *err)
{
	uint64_t n;

	/* A difference of two of them fits, whatever is written there. */
	if (hcv_json_u64(o, name, 0, INT64_MAX / 2, &n, err))
		return -EINVAL;
	*out = (int64_t)n;
	return 0;
}

static int get_note(struct json_object *o, struct hcv_lat_note *note,
		    char *err)
{
	struct json_object *array;
	uint32_t load;
	uint64_t n;
	size_t op;

	hcv_lat_note_none(note);
	if (hcv_json_array(o, "p95", HCV_LAT_OPS, &array, err) ||
	    get_u32(o, "load", 64, &load, err))
		return -EINVAL;
	for (op = 0; op < json_object_array_length(array); op++) {
		if (hcv_json_item_u64(json_object_array_get_idx(array, op),
				      "p95", HCV_HIST_BUCKETS, &n, err))
			return -EINVAL;
		note->p95[op] = (int8_t)((int)n - 1);
	}
	note->load = (uint8_t)load;
	return 0;
}

static int get_smart(struct json_object *o, const char *name,
		     enum hcv_smart_verdict *out, char *err)
{
	unsigned int i;

	if (hcv_json_enum(o, name, verdicts, ARRAY_LEN(verdicts), &i, err))
		return -EINVAL;
	*out = (enum hcv_smart_verdict)i;
	return 0;
}

static int get_state(struct json_object *o, struct hcv_health *h, char *err)
{
	unsigned int state, cause;

	if (hcv_json_enum(o, "state", states, ARRAY_LEN(states), &state, err) ||
	    hcv_json_enum(o, "cause", causes, ARRAY_LEN(causes), &cause, err))
		return -EINVAL;
	h->state = (enum hcv_health_state)state;
	h->cause = (enum hcv_health_cause)cause;
	if (!state != !cause)
		return hcv_json_err(err, "\"cause\" does not go with \"state\"");
	return 0;
}

int hcv_health_key_decode(const char *json, struct hcv_health_key *k, char *err)
{
	struct json_object *o = hcv_json_parse(json, HCV_SCHEMA, err);
	struct hcv_health_key new = { 0 };
	struct hcv_health *h = &new.h;
	int ret = -EINVAL;

	if (!o)
		return ret;
	if (!get_state(o, h, err) &&
	    !hcv_json_bool(o, "slow", &h->slow, err) &&
	    !get_time(o, "since", &h->since, err) &&
	    !get_u32(o, "relapses", UINT32_MAX / 2, &h->relapses, err) &&
	    !get_u32(o, "media", HCV_HEALTH_MEDIA_MAX, &h->media, err) &&
	    !get_time(o, "media_at", &h->media_at, err) &&
	    !get_smart(o, "smart", &h->smart, err) &&
	    !get_smart(o, "accepted", &h->accepted, err) &&
	    !hcv_json_str(o, "why", h->why, sizeof(h->why), err) &&
	    !get_note(o, &new.note, err)) {
		*k = new;
		ret = 0;
	}
	json_object_put(o);
	return ret;
}

bool hcv_health_note_news(const struct hcv_lat_note *old,
			  const struct hcv_lat_note *new, int64_t age_ms)
{
	bool differ = old->load != new->load;
	int op, by;

	for (op = 0; op < HCV_LAT_OPS; op++) {
		by = old->p95[op] - new->p95[op];
		differ |= by;
		if (by < -1 || by > 1)
			return true;
		if (by && (old->p95[op] < 0 || new->p95[op] < 0))
			return true;
	}
	return differ && age_ms >= HCV_LAT_WINDOW_MAX_MS;
}

char *hcv_slow_key_encode(const char *store)
{
	struct hcv_json j;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_str(&j, "store", store);
	return hcv_json_finish(&j);
}

int hcv_slow_key_decode(const char *json, char store[HCV_ID_LEN], char *err)
{
	struct json_object *o = hcv_json_parse(json, HCV_SCHEMA, err);
	char id[HCV_ID_LEN];
	int ret = -EINVAL;

	if (!o)
		return ret;
	if (!hcv_json_str(o, "store", id, sizeof(id), err)) {
		if (hcv_model_uuid_ok(id)) {
			memcpy(store, id, sizeof(id));
			ret = 0;
		} else {
			hcv_json_err(err, "\"store\" is not a UUID");
		}
	}
	json_object_put(o);
	return ret;
}

char *hcv_drain_key_encode(const struct hcv_drain_key *d)
{
	struct hcv_json j;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_str(&j, "by", wishers[d->by_health]);
	hcv_json_put_u64(&j, "since", (uint64_t)d->since);
	hcv_json_put_str(&j, "why", d->why);
	return hcv_json_finish(&j);
}

int hcv_drain_key_decode(const char *json, struct hcv_drain_key *d, char *err)
{
	struct json_object *o = hcv_json_parse(json, HCV_SCHEMA, err);
	struct hcv_drain_key new = { 0 };
	unsigned int by;
	int ret = -EINVAL;

	if (!o)
		return ret;
	if (!hcv_json_enum(o, "by", wishers, ARRAY_LEN(wishers), &by, err) &&
	    !get_time(o, "since", &new.since, err) &&
	    !hcv_json_str(o, "why", new.why, sizeof(new.why), err)) {
		new.by_health = by;
		*d = new;
		ret = 0;
	}
	json_object_put(o);
	return ret;
}
