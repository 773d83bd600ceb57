// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshots: all keys as of one revision, decoded, sorted, immutable.
 *
 * Keys come sorted, so nodes, stores, volumes and tombs are sorted by UUID as
 * they are collected; volumes are collected from six kinds of keys and sorted
 * afterwards.  A value that cannot be decoded is reported and left out; for a
 * volume it also sets @bad, so that nobody acts on half of its state.
 */
#include "snap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Growing arrays: returns a zeroed new last element, NULL without memory. */
static void *hcv_snap_push(void *array, size_t *nr, size_t size)
{
	char **base = array, *more;

	if (!(*nr & (*nr - 1)) || !*nr) {
		more = realloc(*base, (*nr ? *nr * 2 : 1) * size);
		if (!more)
			return NULL;
		*base = more;
	}
	more = *base + *nr * size;
	memset(more, 0, size);
	(*nr)++;
	return more;
}

struct hcv_snap_build {
	struct hcv_agent *a;
	struct hcv_snap *s;
	bool nomem;
	/* chunks beyond the first wait until all are seen */
	struct hcv_snap_chunk {
		char vol[HCV_ID_LEN];
		unsigned long k;
		const struct hcv_kv *kv;
	} *chunk;
	size_t nr_chunks;
	size_t nr_sorted;	/* volumes found in the first pass */
};

static void hcv_snap_complain(struct hcv_snap_build *b, const struct hcv_kv *kv,
			      const char *err)
{
	hcv_snap_bad_key(b->a, kv->key, kv->rev, err);
}

static void hcv_snap_vol_bad(struct hcv_snap_build *b, struct hcv_snap_vol *v,
			     const struct hcv_kv *kv, const char *err)
{
	v->bad = true;
	snprintf(v->why, sizeof(v->why), "key %.120s: %.120s", kv->key, err);
	hcv_snap_complain(b, kv, err);
}

/* A UUID up to the next '/' or the end; @rest points behind it. */
static bool hcv_snap_id(const char *p, char id[HCV_ID_LEN], const char **rest)
{
	size_t len = strcspn(p, "/");

	if (len != HCV_ID_LEN - 1)
		return false;
	memcpy(id, p, len);
	id[len] = '\0';
	*rest = p[len] ? p + len + 1 : p + len;
	return hcv_model_uuid_ok(id);
}

static int hcv_snap_compare_vol(const void *a, const void *b)
{
	const struct hcv_snap_vol *p = a, *q = b;

	return strcmp(p->uuid, q->uuid);
}

static int hcv_snap_compare_key(const void *key, const void *elem)
{
	const struct hcv_snap_vol *v = elem;

	return strcmp(key, v->uuid);
}

static struct hcv_snap_vol *hcv_snap_vol_find(struct hcv_snap_vol *vol,
					      size_t nr, const char *uuid)
{
	if (!nr)
		return NULL;
	return bsearch(uuid, vol, nr, sizeof(*vol), hcv_snap_compare_key);
}

static struct hcv_snap_vol *hcv_snap_vol_new(struct hcv_snap_build *b,
					     const char *uuid)
{
	struct hcv_snap_vol *v;
	size_t i;

	v = hcv_snap_vol_find(b->s->vol, b->nr_sorted, uuid);
	if (v)
		return v;
	/* Leftovers of volumes without a vol/ key: a handful. */
	for (i = b->s->nr_vols; i > b->nr_sorted; i--)
		if (!strcmp(b->s->vol[i - 1].uuid, uuid))
			return &b->s->vol[i - 1];
	v = hcv_snap_push(&b->s->vol, &b->s->nr_vols, sizeof(*v));
	if (!v) {
		b->nomem = true;
		return NULL;
	}
	memcpy(v->uuid, uuid, HCV_ID_LEN);
	return v;
}

static void hcv_snap_add_node(struct hcv_snap_build *b, const char *id,
			      const char *rest, const struct hcv_kv *kv)
{
	struct hcv_snap_node *n;
	struct hcv_node_info i = { 0 };
	char err[HCV_ERR_SIZE];

	if (*rest || hcv_model_node_decode(kv->value, &i, err)) {
		hcv_snap_complain(b, kv, *rest ? "unknown key" : err);
		return;
	}
	n = hcv_snap_push(&b->s->node, &b->s->nr_nodes, sizeof(*n));
	if (!n) {
		b->nomem = true;
		return;
	}
	n->i = i;
	n->i.live = false;
	memcpy(n->i.uuid, id, HCV_ID_LEN);
	n->rev = kv->rev;
}

static void hcv_snap_text(const char *value, const char *name, char *out,
			  size_t size)
{
	struct json_object *o = json_tokener_parse(value), *m;

	if (o && json_object_object_get_ex(o, name, &m) &&
	    json_object_is_type(m, json_type_string))
		snprintf(out, size, "%s", json_object_get_string(m));
	json_object_put(o);
}

/* Absent with agents that do not know it. */
static bool hcv_snap_word(const char *value, const char *name)
{
	struct json_object *o = json_tokener_parse(value), *m;
	bool on = o && json_object_object_get_ex(o, name, &m) &&
		  json_object_is_type(m, json_type_boolean) &&
		  json_object_get_boolean(m);

	json_object_put(o);
	return on;
}

static void hcv_snap_add_live(struct hcv_snap_build *b, const char *id,
			      const char *rest, const struct hcv_kv *kv)
{
	size_t i;

	(void)rest;
	for (i = 0; i < b->s->nr_nodes; i++) {
		struct hcv_snap_node *n = &b->s->node[i];

		if (strcmp(n->i.uuid, id))
			continue;
		n->i.live = true;
		hcv_snap_text(kv->value, "boot_id", n->boot_id,
			      sizeof(n->boot_id));
		hcv_snap_text(kv->value, "agent_version", n->agent_version,
			      sizeof(n->agent_version));
		n->caretaker = hcv_snap_word(kv->value, "caretaker");
		return;
	}
}

static void hcv_snap_add_store(struct hcv_snap_build *b, const char *id,
			       const char *rest, const struct hcv_kv *kv)
{
	struct hcv_snap_store *st;
	struct hcv_store_info i = { 0 };
	char err[HCV_ERR_SIZE];

	if (*rest || hcv_model_store_decode(kv->value, &i, err)) {
		hcv_snap_complain(b, kv, *rest ? "unknown key" : err);
		return;
	}
	st = hcv_snap_push(&b->s->store, &b->s->nr_stores, sizeof(*st));
	if (!st) {
		b->nomem = true;
		return;
	}
	st->i = i;
	st->i.live = false;
	memcpy(st->i.uuid, id, HCV_ID_LEN);
	st->rev = kv->rev;
	hcv_lat_note_none(&st->health.note);
}

static struct hcv_snap_store *hcv_snap_own_store(struct hcv_snap_build *b,
						 const char *id)
{
	size_t i;

	for (i = 0; i < b->s->nr_stores; i++)
		if (!strcmp(b->s->store[i].i.uuid, id))
			return &b->s->store[i];
	return NULL;
}

static void hcv_snap_add_health(struct hcv_snap_build *b, const char *id,
				const char *rest, const struct hcv_kv *kv)
{
	struct hcv_snap_store *st = hcv_snap_own_store(b, id);
	char err[HCV_ERR_SIZE] = "unknown key";

	if (!st)
		return;		/* of a store that was removed */
	st->health_rev = kv->rev;
	if (*rest || hcv_health_key_decode(kv->value, &st->health, err))
		hcv_snap_complain(b, kv, err);
}

static void hcv_snap_add_drain(struct hcv_snap_build *b, const char *id,
			       const char *rest, const struct hcv_kv *kv)
{
	struct hcv_snap_store *st = hcv_snap_own_store(b, id);
	char err[HCV_ERR_SIZE] = "unknown key";

	if (!st)
		return;
	st->drain_rev = kv->rev;
	if (*rest || hcv_drain_key_decode(kv->value, &st->drain, err))
		hcv_snap_complain(b, kv, err);
}

static void hcv_snap_add_storelive(struct hcv_snap_build *b, const char *id,
				   const char *rest, const struct hcv_kv *kv)
{
	char err[HCV_ERR_SIZE];
	size_t i;

	(void)rest;
	for (i = 0; i < b->s->nr_stores; i++) {
		struct hcv_snap_store *st = &b->s->store[i];
		struct hcv_store_info info = st->i;

		if (strcmp(st->i.uuid, id))
			continue;
		if (hcv_model_storelive_decode(kv->value, &info, err)) {
			hcv_snap_complain(b, kv, err);
			return;
		}
		st->i = info;
		memcpy(st->i.uuid, id, HCV_ID_LEN);
		st->i.live = true;
		st->live_rev = kv->rev;
		return;
	}
}

static void hcv_snap_add_vol(struct hcv_snap_build *b, const char *id,
			     const char *rest, const struct hcv_kv *kv)
{
	struct hcv_snap_vol *v = hcv_snap_vol_new(b, id);
	char err[HCV_ERR_SIZE] = "unknown key";

	if (!v)
		return;
	v->rev = kv->rev;
	if (*rest || hcv_model_vol_decode(kv->value, &v->i, err))
		hcv_snap_vol_bad(b, v, kv, err);
	memcpy(v->i.uuid, id, HCV_ID_LEN);
}

static void hcv_snap_add_rec(struct hcv_snap_build *b, const char *id,
			     const char *rest, const struct hcv_kv *kv)
{
	struct hcv_snap_vol *v = hcv_snap_vol_new(b, id);
	char err[HCV_ERR_SIZE] = "unknown key";

	if (!v)
		return;
	v->rec_rev = kv->rev;
	if (*rest || hcv_model_record_decode(kv->value, &v->rec, err))
		hcv_snap_vol_bad(b, v, kv, err);
}

static void hcv_snap_add_rows(struct hcv_snap_build *b, const char *id,
			      const char *rest, const struct hcv_kv *kv)
{
	struct hcv_snap_vol *v = hcv_snap_vol_new(b, id);
	struct hcv_snap_chunk *c;
	unsigned long k = 0;
	char *end;

	if (!v)
		return;
	if (*rest) {
		k = strtoul(rest, &end, 10);
		if (*end || !k || k > 1000000) {
			hcv_snap_vol_bad(b, v, kv, "unknown key");
			return;
		}
	}
	c = hcv_snap_push(&b->chunk, &b->nr_chunks, sizeof(*c));
	if (!c) {
		b->nomem = true;
		return;
	}
	memcpy(c->vol, id, HCV_ID_LEN);
	c->k = k;
	c->kv = kv;
}

static void hcv_snap_add_grant(struct hcv_snap_build *b, const char *id,
			       const char *rest, const struct hcv_kv *kv)
{
	struct hcv_snap_vol *v;
	struct hcv_snap_grant *g;
	char store[HCV_ID_LEN], err[HCV_ERR_SIZE];

	v = hcv_snap_vol_new(b, id);
	if (!v)
		return;
	if (!hcv_snap_id(rest, store, &rest) || *rest) {
		hcv_snap_vol_bad(b, v, kv, "unknown key");
		return;
	}
	g = hcv_snap_push(&v->grant, &v->nr_grants, sizeof(*g));
	if (!g) {
		b->nomem = true;
		return;
	}
	memcpy(g->store, store, HCV_ID_LEN);
	g->rev = kv->rev;
	if (hcv_model_grant_decode(kv->value, &g->g, err)) {
		/* Its writer repairs it; to everyone else it does not exist. */
		hcv_snap_complain(b, kv, err);
		v->nr_grants--;
		return;
	}
	hcv_snap_text(kv->value, "devpath", g->devpath, sizeof(g->devpath));
}

/* For people and the schedule: what is damaged is as good as not there. */
static void hcv_snap_add_scrub(struct hcv_snap_build *b, const char *id,
			       const char *rest, const struct hcv_kv *kv)
{
	struct hcv_snap_vol *v;
	char err[HCV_ERR_SIZE];

	if (*rest) {
		hcv_snap_complain(b, kv, "unknown key");
		return;
	}
	v = hcv_snap_vol_new(b, id);
	if (!v)
		return;
	v->scrub_rev = kv->rev;
	v->scrub = calloc(1, sizeof(*v->scrub));
	if (!v->scrub) {
		b->nomem = true;
		return;
	}
	if (!hcv_scrub_decode(kv->value, v->scrub, err))
		return;
	hcv_snap_complain(b, kv, err);
	free(v->scrub);
	v->scrub = NULL;
}

static void hcv_snap_add_job(struct hcv_snap_build *b, const char *id,
			     const char *rest, const struct hcv_kv *kv)
{
	struct hcv_snap_vol *v = hcv_snap_vol_new(b, id);
	char err[HCV_ERR_SIZE] = "unknown key";

	if (!v)
		return;
	if (!*rest)
		v->job_key_rev = kv->rev;
	/* The volume itself goes on without it. */
	if (*rest || hcv_model_job_decode(kv->value, &v->job, err))
		hcv_snap_complain(b, kv, err);
	else
		v->job_rev = kv->rev;
}

static void hcv_snap_add_care(struct hcv_snap_build *b, const char *id,
			      const char *rest, const struct hcv_kv *kv)
{
	struct hcv_snap_vol *v = hcv_snap_vol_new(b, id);
	char err[HCV_ERR_SIZE] = "unknown key";

	if (!v)
		return;
	if (!*rest)
		v->care_key_rev = kv->rev;
	/* As with a job. */
	if (*rest || hcv_model_care_decode(kv->value, &v->care, err))
		hcv_snap_complain(b, kv, err);
	else
		v->care_rev = kv->rev;
}

/* Nothing, or the index of an extent. */
static bool hcv_snap_index(const char *rest, bool *one, unsigned long *index)
{
	char *end;

	*one = *rest;
	*index = strtoul(rest, &end, 10);
	return !*rest || (*rest >= '0' && *rest <= '9' && !*end &&
			  *index < UINT32_MAX);
}

/* Of a volume that goes on: {"left": EPOCH, "renew": N}. */
static void hcv_snap_tomb_left(struct hcv_snap_tomb *t, const char *value)
{
	struct json_object *o = json_tokener_parse(value), *m;

	if (o && !t->one && json_object_object_get_ex(o, "left", &m) &&
	    json_object_is_type(m, json_type_int)) {
		t->left = true;
		t->epoch = json_object_get_uint64(m);
	}
	if (t->left && json_object_object_get_ex(o, "renew", &m) &&
	    json_object_is_type(m, json_type_int))
		t->renew = json_object_get_uint64(m);
	json_object_put(o);
}

static void hcv_snap_add_tomb(struct hcv_snap_build *b, const char *id,
			      const char *rest, const struct hcv_kv *kv)
{
	struct hcv_snap_tomb *t;
	char vol[HCV_ID_LEN];
	unsigned long index;
	bool one;

	if (!hcv_snap_id(rest, vol, &rest) ||
	    !hcv_snap_index(rest, &one, &index)) {
		hcv_snap_complain(b, kv, "unknown key");
		return;
	}
	t = hcv_snap_push(&b->s->tomb, &b->s->nr_tombs, sizeof(*t));
	if (!t) {
		b->nomem = true;
		return;
	}
	memcpy(t->store, id, HCV_ID_LEN);
	memcpy(t->vol, vol, HCV_ID_LEN);
	t->rev = kv->rev;
	t->one = one;
	t->index = (uint32_t)index;
	hcv_snap_tomb_left(t, kv->value);
}

static void hcv_snap_recovery(struct hcv_snap_build *b,
			      struct hcv_snap_recovery *r,
			      const struct hcv_kv *kv)
{
	char err[HCV_ERR_SIZE];

	r->rev = kv->rev;
	if (!hcv_thr_set_decode(kv->value, &r->s, err))
		return;
	r->bad = true;
	snprintf(r->why, sizeof(r->why), "key %.60s: %.180s", kv->key, err);
	hcv_snap_complain(b, kv, err);
}

static void hcv_snap_add_recovery(struct hcv_snap_build *b, const char *id,
				  const char *rest, const struct hcv_kv *kv)
{
	size_t i;

	(void)rest;
	for (i = 0; i < b->s->nr_nodes; i++)
		if (!strcmp(b->s->node[i].i.uuid, id))
			hcv_snap_recovery(b, &b->s->node[i].recovery, kv);
}

/* That it is there says all. */
static void hcv_snap_add_load(struct hcv_snap_build *b, const char *id,
			      const char *rest, const struct hcv_kv *kv)
{
	size_t i;

	(void)rest;
	for (i = 0; i < b->s->nr_nodes; i++)
		if (!strcmp(b->s->node[i].i.uuid, id))
			b->s->node[i].load_rev = kv->rev;
}

static const struct hcv_snap_kind {
	const char *prefix;
	void (*add)(struct hcv_snap_build *b, const char *id, const char *rest,
		    const struct hcv_kv *kv);
	unsigned int pass;	/* live keys come after what they mark */
} hcv_snap_kinds[] = {
	{ "node/", hcv_snap_add_node, 0 },
	{ "store/", hcv_snap_add_store, 0 },
	{ "vol/", hcv_snap_add_vol, 0 },
	{ "live/", hcv_snap_add_live, 1 },
	{ "recovery/", hcv_snap_add_recovery, 1 },
	{ "load/", hcv_snap_add_load, 1 },
	{ "storelive/", hcv_snap_add_storelive, 1 },
	{ "rec/", hcv_snap_add_rec, 1 },
	{ "rows/", hcv_snap_add_rows, 1 },
	{ "grant/", hcv_snap_add_grant, 1 },
	{ "scrub/", hcv_snap_add_scrub, 1 },
	{ "job/", hcv_snap_add_job, 1 },
	{ "care/", hcv_snap_add_care, 1 },
	{ "tomb/", hcv_snap_add_tomb, 1 },
	{ "health/", hcv_snap_add_health, 1 },
	{ "drain/", hcv_snap_add_drain, 1 },
};

static void hcv_snap_add(struct hcv_snap_build *b, const struct hcv_kv *kv,
			 unsigned int pass)
{
	char id[HCV_ID_LEN], err[HCV_ERR_SIZE];
	const char *rest;
	size_t i, len;

	if (!pass && !strcmp(kv->key, "cluster")) {
		if (hcv_model_cluster_decode(kv->value, &b->s->cluster, err))
			hcv_snap_complain(b, kv, err);
		else
			b->s->cluster_rev = kv->rev;
		return;
	}
	if (!pass && !strcmp(kv->key, "recovery")) {
		hcv_snap_recovery(b, &b->s->recovery, kv);
		return;
	}
	if (!strcmp(kv->key, "slow")) {
		b->s->slow_rev = kv->rev;
		return;
	}
	if (!pass && !strcmp(kv->key, "leader")) {
		hcv_snap_text(kv->value, "node", b->s->leader,
			      sizeof(b->s->leader));
		b->s->leader_rev = kv->rev;
		return;
	}
	for (i = 0; i < sizeof(hcv_snap_kinds) / sizeof(*hcv_snap_kinds); i++) {
		const struct hcv_snap_kind *kind = &hcv_snap_kinds[i];

		len = strlen(kind->prefix);
		if (kind->pass != pass || strncmp(kv->key, kind->prefix, len))
			continue;
		if (hcv_snap_id(kv->key + len, id, &rest))
			kind->add(b, id, rest, kv);
		else
			hcv_snap_complain(b, kv, "not a UUID");
		return;
	}
	/* name keys, transaction tokens, keys of later versions */
}

static int hcv_snap_chunk_compare(const void *a, const void *b)
{
	const struct hcv_snap_chunk *p = a, *q = b;
	int ret = strcmp(p->vol, q->vol);

	return ret ? ret : (p->k > q->k) - (p->k < q->k);
}

static void hcv_snap_rows(struct hcv_snap_build *b)
{
	struct hcv_snap_rowkey *rk;
	char err[HCV_ERR_SIZE];
	size_t i;

	if (b->nr_chunks)
		qsort(b->chunk, b->nr_chunks, sizeof(*b->chunk),
		      hcv_snap_chunk_compare);
	for (i = 0; i < b->nr_chunks; i++) {
		struct hcv_snap_chunk *c = &b->chunk[i];
		struct hcv_snap_vol *v = hcv_snap_vol_new(b, c->vol);
		size_t first;

		if (!v)
			return;
		first = v->rows.nr;
		if (c->k != v->nr_row_keys) {
			hcv_snap_vol_bad(b, v, c->kv, "a chunk before it is missing");
			continue;
		}
		if (hcv_model_rows_decode(c->kv->value, &v->rows, err)) {
			hcv_snap_vol_bad(b, v, c->kv, err);
			continue;
		}
		rk = hcv_snap_push(&v->row_key, &v->nr_row_keys, sizeof(*rk));
		if (!rk) {
			b->nomem = true;
			return;
		}
		rk->rev = c->kv->rev;
		rk->first = first;
		rk->nr = v->rows.nr - first;
	}
}

static void hcv_snap_free(struct hcv_snap *s)
{
	size_t i;

	for (i = 0; i < s->nr_vols; i++) {
		hcv_model_rows_free(&s->vol[i].rows);
		free(s->vol[i].row_key);
		free(s->vol[i].grant);
		free(s->vol[i].scrub);
	}
	free(s->vol);
	free(s->node);
	free(s->store);
	free(s->tomb);
	free(s);
}

struct hcv_snap *hcv_snap_build(struct hcv_agent *a, const struct hcv_kvs *kvs)
{
	struct hcv_snap_build b = { .a = a };
	unsigned int pass;
	size_t i;

	b.s = calloc(1, sizeof(*b.s));
	if (!b.s)
		return NULL;
	b.s->refs = 1;
	b.s->rev = kvs->rev;
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < kvs->nr; i++)
			hcv_snap_add(&b, &kvs->kv[i], pass);
		if (!pass)
			b.nr_sorted = b.s->nr_vols;	/* as keys are */
	}
	hcv_snap_rows(&b);
	free(b.chunk);
	if (b.nomem) {
		hcv_snap_free(b.s);
		return NULL;
	}
	if (b.s->nr_vols)
		qsort(b.s->vol, b.s->nr_vols, sizeof(*b.s->vol),
		      hcv_snap_compare_vol);
	return b.s;
}

struct hcv_snap *hcv_snap_ref(struct hcv_snap *s)
{
	if (s)
		__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void hcv_snap_put(struct hcv_snap *s)
{
	if (s && !__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
		hcv_snap_free(s);
}

const struct hcv_snap_node *hcv_snap_node(const struct hcv_snap *s,
					  const char *uuid)
{
	size_t i;

	for (i = 0; i < s->nr_nodes; i++)
		if (!strcmp(s->node[i].i.uuid, uuid))
			return &s->node[i];
	return NULL;
}

const struct hcv_snap_node *hcv_snap_node_by_name(const struct hcv_snap *s,
						  const char *name)
{
	size_t i;

	for (i = 0; i < s->nr_nodes; i++)
		if (!strcmp(s->node[i].i.name, name))
			return &s->node[i];
	return NULL;
}

const struct hcv_snap_store *hcv_snap_store(const struct hcv_snap *s,
					    const char *uuid)
{
	size_t i;

	for (i = 0; i < s->nr_stores; i++)
		if (!strcmp(s->store[i].i.uuid, uuid))
			return &s->store[i];
	return NULL;
}

const struct hcv_snap_store *hcv_snap_store_find(const struct hcv_snap *s,
						 const char *ref)
{
	const char *colon = strchr(ref, ':');
	const struct hcv_snap_store *st, *found = NULL;
	const struct hcv_snap_node *n;
	size_t i;

	st = hcv_snap_store(s, ref);
	if (st)
		return st;
	for (i = 0; i < s->nr_stores; i++) {
		st = &s->store[i];
		if (colon) {
			n = hcv_snap_node(s, st->i.node);
			if (!n || strcmp(st->i.name, colon + 1) ||
			    strlen(n->i.name) != (size_t)(colon - ref) ||
			    strncmp(n->i.name, ref, colon - ref))
				continue;
			return st;
		}
		if (strcmp(st->i.name, ref))
			continue;
		if (found)
			return NULL;	/* ambiguous: the node is needed */
		found = st;
	}
	return found;
}

const struct hcv_snap_vol *hcv_snap_vol(const struct hcv_snap *s,
					const char *uuid)
{
	return hcv_snap_vol_find(s->vol, s->nr_vols, uuid);
}

const struct hcv_snap_vol *hcv_snap_vol_by_name(const struct hcv_snap *s,
						const char *name)
{
	size_t i;

	for (i = 0; i < s->nr_vols; i++)
		if (s->vol[i].rev && !s->vol[i].i.deleting &&
		    !strcmp(s->vol[i].i.name, name))
			return &s->vol[i];
	return NULL;
}

const struct hcv_snap_grant *hcv_snap_grant(const struct hcv_snap_vol *v,
					    const char *store)
{
	size_t i;

	for (i = 0; i < v->nr_grants; i++)
		if (!strcmp(v->grant[i].store, store))
			return &v->grant[i];
	return NULL;
}

const struct hcv_rec_store *hcv_snap_rec_store(const struct hcv_record *r,
					       const char *store)
{
	size_t i;

	for (i = 0; i < r->nr; i++)
		if (!strcmp(r->st[i].store, store))
			return &r->st[i];
	return NULL;
}
