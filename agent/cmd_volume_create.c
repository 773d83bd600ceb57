// SPDX-License-Identifier: GPL-2.0-only
/*
 * volume.create and volume.delete.
 *
 * create is one transaction: definition, name, record and the first rows.
 *
 * delete is one as well for all but huge volumes: it takes the record, the
 * rows and the name away and leaves a tombstone for every store, which the
 * store's node turns into free extents.  With more rows than fit one
 * transaction the volume is marked "deleting" first, loses its record and its
 * name, and a repeat of the command goes on with the rows.
 */
#include "cmd_volume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "core/json.h"
#include "core/placement.h"
#include "core/record.h"
#include "core/volplan.h"
#include "jout.h"
#include "owner.h"
#include "place.h"

#define CREATE_SIZE_MAX		(1ULL << 50)
#define CREATE_POLICY_MS	30000
#define DELETE_CHUNKS		56	/* row keys of one transaction */
/* With them: definition, record, name, scrub, job, and a tombstone per store. */
#define DELETE_KEYS		(5 + HCV_REC_STORES + DELETE_CHUNKS)

struct create {
	struct hcv_api_req *req;
	struct hcv_snap *s;
	char object[128];
	struct hcv_vol_info i;
	struct hcv_record rec;
	struct hcv_row row[4 * HCV_VP_AHEAD];
	struct hcv_rows rows;
	struct hcv_place_store *place;
};

/* -------------------------------------------------------------------- create */

static int create_usage(struct create *c, const char *cause)
{
	return hcv_error_set(&c->req->err, HCV_E_USAGE, c->object,
			     "agentctl volume create --help", "%s", cause);
}

static int create_word(struct create *c, const char *arg, const char *def,
		       const char *const *words, unsigned int nr,
		       unsigned int *out)
{
	const char *word = hcv_api_str(c->req, arg, def);
	char cause[160];

	for (*out = 0; *out < nr; (*out)++)
		if (!strcmp(words[*out], word))
			return 0;
	snprintf(cause, sizeof(cause), "\"%.40s\" is no value for %s", word,
		 arg);
	return create_usage(c, cause);
}

/* Two replicas where there is room for two. */
static unsigned int create_replicas(const struct create *c)
{
	size_t i, nr = 0;

	if (hcv_meta_is_cluster(hcv_agent_meta(c->req->agent)))
		return 2;
	for (i = 0; i < c->s->nr_stores; i++)
		nr += c->place[i].ready && c->place[i].live;
	return nr >= 2 ? 2 : 1;
}

static int create_domain(struct create *c)
{
	static const char *const domains[] = { "disk", "node", "rack" };
	unsigned int domain;

	if (!hcv_api_has(c->req, "domain")) {
		c->i.domain = hcv_place_domain(c->place, c->s->nr_stores,
					       c->i.replicas,
					       hcv_meta_is_cluster(hcv_agent_meta(c->req->agent)));
		return 0;
	}
	if (create_word(c, "domain", "", domains, 3, &domain))
		return -1;
	c->i.domain = (enum hcv_domain)domain;
	return 0;
}

static int create_args(struct create *c)
{
	static const char *const queues[] = { "mq", "bio" };
	static const char *const policies[] = { "suspend", "error" };
	struct hcv_api_req *req = c->req;
	uint64_t replicas, stripe, policy_ms;

	snprintf(c->i.name, sizeof(c->i.name), "%s",
		 hcv_api_str(req, "name", ""));
	c->i.size = hcv_api_uint(req, "size", 0);
	if (c->i.size < 4096 || c->i.size % 4096 || c->i.size > CREATE_SIZE_MAX)
		return create_usage(c, "the size must be a multiple of 4096 bytes, at most 1 PiB");
	replicas = hcv_api_uint(req, "replicas", create_replicas(c));
	if (replicas < 1 || replicas > 3)
		return create_usage(c, "replicas must be 1, 2 or 3");
	stripe = hcv_api_uint(req, "stripe", 1);
	if (stripe != 1 && stripe != 2 && stripe != 4)
		return create_usage(c, "stripe must be 1, 2 or 4");
	policy_ms = hcv_api_uint(req, "policy_ms", CREATE_POLICY_MS);
	if (policy_ms > 24U * 3600 * 1000)
		return create_usage(c, "policy_ms must be at most 86400000");
	c->i.replicas = (unsigned int)replicas;
	c->i.stripe = (unsigned int)stripe;
	c->i.policy_ms = (unsigned int)policy_ms;
	c->i.readonly = hcv_api_bool(req, "readonly", false);
	c->i.created = time(NULL);
	if (create_word(c, "queue", "mq", queues, 2, &c->i.queue) ||
	    create_word(c, "policy", "suspend", policies, 2, &c->i.policy))
		return -1;
	return create_domain(c);
}

/* The first rows: as many as the module is to have free ahead. */
static int create_rows(struct create *c)
{
	uint32_t need = hcv_volplan_need(c->i.size, c->i.stripe), n, col;
	struct hcv_place_want want = {
		.replicas = c->i.replicas, .stripe = c->i.stripe,
		.domain = c->i.domain,
		.owner = hcv_agent_id(c->req->agent)->node, .rows = &c->rows,
	};
	struct hcv_place_row choice;
	int ret;

	if (need > HCV_VP_AHEAD)
		need = HCV_VP_AHEAD;
	c->rows.row = c->row;
	for (n = 0; n < need; n++) {
		for (col = 0; col < c->i.stripe; col++) {
			want.column = col;
			ret = hcv_place(c->place, c->s->nr_stores, &want,
					&choice);
			if (ret)
				return hcv_error_set(&c->req->err,
						     HCV_E_NOSPACE, c->object,
						     "agentctl store list",
						     "%s", ret == -ENOSPC ?
						     choice.why :
						     "it cannot be placed");
			hcv_owner_row(&c->rows, col, c->place, &choice,
				      &c->row[c->rows.nr]);
			hcv_place_take(c->place, &choice);
			c->rows.next++;
			c->rows.nr++;
		}
	}
	return 0;
}

static int create_record(struct create *c)
{
	const char *id[4 * HCV_VP_AHEAD * HCV_ROW_STORES];
	struct hcv_rec_ids ids = { .id = id };
	char err[HCV_ERR_SIZE];
	uint64_t lineage;
	size_t i, j, k;

	for (i = 0; i < c->rows.nr; i++) {
		for (j = 0; j < c->row[i].nr; j++) {
			for (k = 0; k < ids.nr; k++)
				if (!strcmp(id[k], c->row[i].store[j]))
					break;
			if (k == ids.nr)
				id[ids.nr++] = c->row[i].store[j];
		}
	}
	if (getrandom(&lineage, sizeof(lineage), 0) != sizeof(lineage))
		return hcv_error_set(&c->req->err, HCV_E_INTERNAL, c->object,
				     NULL, "no random numbers: %s",
				     strerror(errno));
	lineage >>= 1;		/* JSON readers elsewhere know signed ones */
	if (hcv_record_init(&c->rec, lineage ? lineage : 1, ids, err))
		return hcv_error_set(&c->req->err, HCV_E_REFUSED, c->object,
				     NULL, "%s", err);
	return 0;
}

static char *create_name_value(const char *uuid)
{
	struct hcv_json j;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_str(&j, "uuid", uuid);
	return hcv_json_finish(&j);
}

/* One put for each compare. */
struct create_txn {
	struct hcv_cmp cmp[4 + HCV_REC_STORES];
	struct hcv_op op[4 + HCV_REC_STORES];
	char key[4 + HCV_REC_STORES][96];
	size_t nr;
};

/*
 * The stores must still be what they were: one could be removed meanwhile, or
 * another volume get the same space.
 */
static int create_touch_stores(const struct create *c, struct create_txn *t)
{
	const struct hcv_snap_store *st;
	char *key;
	size_t i;

	for (i = 0; i < c->rec.nr; i++) {
		st = hcv_snap_store(c->s, c->rec.st[i].store);
		key = t->key[t->nr];
		snprintf(key, sizeof(t->key[0]), "store/%s",
			 c->rec.st[i].store);
		t->cmp[t->nr] = (struct hcv_cmp){ key, st->rev };
		if (hcv_place_touch(st, key, &t->op[t->nr]))
			return -ENOMEM;
		t->nr++;
	}
	return 0;
}

/* A key that must not exist yet; @value, malloc'd, is the transaction's. */
static int create_key(struct create_txn *t, const char *prefix,
		      const char *name, char *value)
{
	char *key = t->key[t->nr];

	snprintf(key, sizeof(t->key[0]), "%s/%s", prefix, name);
	t->cmp[t->nr] = (struct hcv_cmp){ key, 0 };
	t->op[t->nr++] = (struct hcv_op){ .key = key, .value = value };
	return value ? 0 : -ENOMEM;
}

static enum hcv_meta_result create_txn(struct create *c)
{
	struct create_txn *t = calloc(1, sizeof(*t));
	enum hcv_meta_result res = HCV_META_INVALID;

	if (!t)
		return res;
	if (!create_key(t, "vol", c->i.uuid, hcv_model_vol_encode(&c->i)) &&
	    !create_key(t, "volname", c->i.name,
			create_name_value(c->i.uuid)) &&
	    !create_key(t, "rec", c->i.uuid,
			hcv_model_record_encode(&c->rec)) &&
	    !create_key(t, "rows", c->i.uuid,
			hcv_model_rows_encode(&c->rows, 0, c->rows.nr)) &&
	    !create_touch_stores(c, t)) {
		HCV_CRASH_POINT("volume-create");
		res = hcv_meta_txn(hcv_agent_meta(c->req->agent), t->cmp,
				   t->nr, t->op, t->nr, NULL,
				   hcv_job_left(c->req->job));
		HCV_CRASH_POINT("volume-create-done");
	}
	while (t->nr)
		free((char *)t->op[--t->nr].value);
	free(t);
	return res;
}

/* After a time-out: is it there after all? */
static enum hcv_meta_result create_settle(struct create *c)
{
	enum hcv_meta_result res;
	struct hcv_kv kv = { 0 };
	char key[64];

	snprintf(key, sizeof(key), "vol/%s", c->i.uuid);
	res = hcv_meta_get(hcv_agent_meta(c->req->agent), key, &kv,
			   HCV_META_MS);
	if (res == HCV_META_OK && !kv.rev)
		res = HCV_META_UNREACHABLE;
	hcv_kv_free(&kv);
	return res == HCV_META_OK ? res : HCV_META_UNKNOWN;
}

static void create_result(const struct create *c)
{
	static const char *const domains[] = { "disk", "node", "rack" };
	struct json_object *o = c->req->result;

	hcv_jo_str(o, "name", c->i.name);
	hcv_jo_str(o, "uuid", c->i.uuid);
	hcv_jo_u64(o, "size", c->i.size);
	hcv_jo_u64(o, "replicas", c->i.replicas);
	hcv_jo_u64(o, "stripe", c->i.stripe);
	hcv_jo_str(o, "domain", domains[c->i.domain]);
}

/* Return: 0; -1 with the error; 1: something changed meanwhile, do it again */
static int create_once(struct create *c)
{
	enum hcv_meta_result res;

	if (hcv_place_collect(c->s, &c->place))
		return hcv_error_set(&c->req->err, HCV_E_INTERNAL, c->object,
				     NULL, "out of memory");
	if (create_args(c))
		return -1;
	if (hcv_snap_vol_by_name(c->s, c->i.name))
		return hcv_error_set(&c->req->err, HCV_E_EXISTS, c->object,
				     "agentctl volume list",
				     "there is a volume of this name already");
	if (hcv_uuid_new(c->i.uuid))
		return hcv_error_set(&c->req->err, HCV_E_INTERNAL, c->object,
				     NULL, "no random numbers");
	if (create_rows(c) || create_record(c))
		return -1;
	res = create_txn(c);
	if (res == HCV_META_UNKNOWN)
		res = create_settle(c);
	if (res == HCV_META_CONFLICT)
		return 1;
	if (res != HCV_META_OK)
		return hcv_error_meta(&c->req->err, res, c->object);
	hcv_state_kick(c->req->agent);
	create_result(c);
	hcv_event_emit(c->req->agent, HCV_SEV_INFO, c->object, NULL,
		       "was created with %llu bytes and %u replicas",
		       (unsigned long long)c->i.size, c->i.replicas);
	return 0;
}

static int create_try(struct hcv_api_req *req)
{
	enum hcv_meta_result res;
	struct create *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return hcv_error_set(&req->err, HCV_E_INTERNAL, "volume", NULL,
				     "out of memory");
	c->req = req;
	snprintf(c->object, sizeof(c->object), "volume %.63s",
		 hcv_api_str(req, "name", ""));
	res = hcv_state_read(req->agent, &c->s, HCV_META_MS);
	if (res == HCV_META_OK)
		ret = create_once(c);
	else
		ret = hcv_error_meta(&req->err, res, c->object);
	hcv_snap_put(c->s);
	free(c->place);
	free(c);
	return ret;
}

int hcv_cmd_volume_create(struct hcv_api_req *req)
{
	int ret;

	do {
		ret = create_try(req);
	} while (ret > 0 && !hcv_job_expired(req->job));
	if (ret > 0)
		ret = hcv_error_set(&req->err, HCV_E_BUSY, "volume",
				    "agentctl volume list",
				    "its stores keep changing; try again");
	return ret;
}

/* -------------------------------------------------------------------- delete */

struct del {
	struct hcv_cmp cmp[3 + DELETE_CHUNKS];
	size_t nr_cmp;
	struct hcv_op op[DELETE_KEYS];
	size_t nr_op;
	char key[DELETE_KEYS][96];
	size_t nr_keys;
};

_Static_assert(DELETE_KEYS <= HCV_META_OPS_MAX,
	       "a deletion's step is one transaction");

static char *del_key(struct del *d, const char *fmt, const char *a,
		     const char *b)
{
	char *key = d->key[d->nr_keys++];

	snprintf(key, sizeof(d->key[0]), "%s%s%s%s", fmt, a, *b ? "/" : "", b);
	return key;
}

static void del_chunks(struct del *d, const struct hcv_snap_vol *v)
{
	size_t nr = v->nr_row_keys, i;
	char number[24], *key;

	for (i = 0; i < DELETE_CHUNKS && nr; i++) {
		nr--;
		snprintf(number, sizeof(number), "%zu", nr);
		key = del_key(d, "rows/", v->uuid, nr ? number : "");
		d->cmp[d->nr_cmp++] = (struct hcv_cmp){ key, v->row_key[nr].rev };
		d->op[d->nr_op++] = (struct hcv_op){ .key = key };
	}
}

/* Extents are freed by nothing but a tombstone. */
static void del_tombs(struct del *d, const struct hcv_snap_vol *v,
		      const char *tomb)
{
	size_t i;

	for (i = 0; i < v->rec.nr; i++)
		d->op[d->nr_op++] = (struct hcv_op){
			.key = del_key(d, "tomb/", v->rec.st[i].store, v->uuid),
			.value = tomb,
		};
}

static char *del_tomb_value(void)
{
	struct hcv_json j;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_u64(&j, "deleted", (uint64_t)time(NULL));
	return hcv_json_finish(&j);
}

/* Return: 1: goes on, 0: done, -1 with the error */
static int del_step(struct hcv_api_req *req, const struct hcv_snap_vol *v,
		    const char *object)
{
	bool last = v->nr_row_keys <= DELETE_CHUNKS;
	char *tomb = del_tomb_value(), *mark = NULL;
	struct del *d = calloc(1, sizeof(*d));
	struct hcv_vol_info i = v->i;
	enum hcv_meta_result res = HCV_META_INVALID;
	char *key;

	i.deleting = true;
	if (!last)
		mark = hcv_model_vol_encode(&i);
	if (d && tomb && (last || mark)) {
		key = del_key(d, "vol/", v->uuid, "");
		d->cmp[d->nr_cmp++] = (struct hcv_cmp){ key, v->rev };
		d->op[d->nr_op++] = (struct hcv_op){ .key = key, .value = mark };
		if (v->rec_rev) {
			key = del_key(d, "rec/", v->uuid, "");
			d->cmp[d->nr_cmp++] = (struct hcv_cmp){ key, v->rec_rev };
			d->op[d->nr_op++] = (struct hcv_op){ .key = key };
			del_tombs(d, v, tomb);
			key = del_key(d, "scrub/", v->uuid, "");
			d->op[d->nr_op++] = (struct hcv_op){ .key = key };
		}
		if (!v->i.deleting)
			d->op[d->nr_op++] = (struct hcv_op){
				.key = del_key(d, "volname/", v->i.name, ""),
			};
		/* None must come in between: nobody would end it. */
		key = del_key(d, "job/", v->uuid, "");
		d->cmp[d->nr_cmp++] = (struct hcv_cmp){ key, v->job_key_rev };
		if (v->job_key_rev)
			d->op[d->nr_op++] = (struct hcv_op){ .key = key };
		key = del_key(d, "care/", v->uuid, "");
		d->op[d->nr_op++] = (struct hcv_op){ .key = key };
		del_chunks(d, v);
		HCV_CRASH_POINT("volume-delete");
		res = hcv_meta_txn(hcv_agent_meta(req->agent), d->cmp,
				   d->nr_cmp, d->op, d->nr_op, NULL,
				   hcv_job_left(req->job));
		HCV_CRASH_POINT("volume-delete-done");
	}
	free(d);
	free(tomb);
	free(mark);
	if (res == HCV_META_OK)
		return last ? 0 : 1;
	if (res == HCV_META_CONFLICT || res == HCV_META_UNKNOWN)
		return 1;	/* look again */
	return hcv_error_meta(&req->err, res, object);
}

/* By name or UUID; also one whose deletion was interrupted. */
static const struct hcv_snap_vol *del_find(const struct hcv_snap *s,
					   const char *ref)
{
	const struct hcv_snap_vol *v = hcv_snap_vol_by_name(s, ref);
	size_t i;

	if (!v)
		v = hcv_snap_vol(s, ref);
	for (i = 0; !v && i < s->nr_vols; i++)
		if (s->vol[i].rev && s->vol[i].i.deleting &&
		    !strcmp(s->vol[i].i.name, ref))
			v = &s->vol[i];
	return v && v->rev ? v : NULL;
}

static int del_check(struct hcv_api_req *req, const struct hcv_snap *s,
		     const struct hcv_snap_vol *v, const char *object)
{
	char hint[256];

	if (v->bad)
		return hcv_error_set(&req->err, HCV_E_IO, object, NULL,
				     "its metadata is damaged: %s", v->why);
	if (!v->rec_rev || !v->rec.owner[0])
		return 0;
	snprintf(hint, sizeof(hint), "agentctl volume detach %s", v->i.name);
	return hcv_error_set(&req->err, HCV_E_BUSY, object, hint,
			     "it is attached on node %s",
			     hcv_volcmd_owner(s, v));
}

int hcv_cmd_volume_delete(struct hcv_api_req *req)
{
	const char *ref = hcv_api_str(req, "name", "");
	const struct hcv_snap_vol *v;
	enum hcv_meta_result res;
	char uuid[HCV_ID_LEN] = "", object[128];
	struct hcv_volcare wait = { 0 };
	struct hcv_snap *s;
	int ret = 1;

	snprintf(object, sizeof(object), "volume %.100s", ref);
	while (ret > 0 && !hcv_job_expired(req->job)) {
		s = NULL;
		res = hcv_state_read(req->agent, &s, HCV_META_MS);
		if (res != HCV_META_OK)
			return hcv_error_meta(&req->err, res, object);
		v = uuid[0] ? hcv_snap_vol(s, uuid) : del_find(s, ref);
		if (uuid[0] && (!v || !v->rev))
			ret = 0;	/* an unknown outcome was success */
		else if (!v)
			ret = hcv_error_set(&req->err, HCV_E_NOTFOUND, object,
					    "agentctl volume list",
					    "there is none of this name");
		else
			ret = v->bad ? 0 : hcv_volcare_release(req, s, v,
							       object, &wait);
		if (!ret && v && v->rev)
			ret = del_check(req, s, v, object);
		if (!ret && v && v->rev) {
			memcpy(uuid, v->uuid, sizeof(uuid));
			ret = del_step(req, v, object);
		}
		hcv_snap_put(s);
	}
	if (ret > 0)
		return hcv_error_set(&req->err, HCV_E_TIMEOUT, object,
				     "agentctl volume delete",
				     "it is not deleted completely; repeat the command");
	if (!ret) {
		hcv_state_kick(req->agent);
		hcv_jo_str(req->result, "uuid", uuid);
		hcv_event_emit(req->agent, HCV_SEV_INFO, object, NULL,
			       "was deleted");
	}
	return ret;
}
