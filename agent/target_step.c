// SPDX-License-Identifier: GPL-2.0-only
/*
 * The steps of a store for a volume.  Each may be repeated; each leaves the
 * plan's input as the outside now is, or ends the volume's turn.
 */
#include "target.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nvme_target.h"

#define HCV_DRAIN_POLL_MS	50
#define HCV_DRAIN_POLL_MAX_MS	1000
#define HCV_WAIT_TELL_MS	5000
#define HCV_STEP_PLAIN		JSON_C_TO_STRING_PLAIN

/* A step that failed is said at once and tried again later. */
static bool step_failed(struct hcv_target_pass *p, struct hcv_target_vol *tv,
			const char *what, const char *why)
{
	p->failed = true;
	hcv_target_note(p, tv->uuid, tv->object, HCV_SEV_ERR, 0, "%s: %.200s",
			what, why && *why ? why : "no reason given");
	return false;
}

static bool step_kernel(struct hcv_target_pass *p, struct hcv_target_vol *tv,
			const char *what)
{
	return step_failed(p, tv, what, hcv_klink_error(p->kl));
}

/* ------------------------------------------------------------------ fencing */

static void step_drop_grants(struct hcv_target_vol *tv, uint64_t epoch)
{
	size_t i, nr = 0;

	for (i = 0; i < tv->in.nr_k; i++)
		if (tv->k[i].epoch > epoch)
			tv->k[nr++] = tv->k[i];
	tv->in.nr_k = nr;
}

static bool step_revoke(struct hcv_target_pass *p, struct hcv_target_vol *tv,
			const struct hcv_sp_out *out)
{
	size_t i;

	if (hcv_k_revoke(p->kl, p->ts->uuid, tv->uuid, out->epoch, out->renew,
			 &tv->inflight, &tv->lease_ms))
		return step_kernel(p, tv, out->renew ?
				   "cannot end access to what the volume left" :
				   "cannot revoke the former owner");
	HCV_CRASH_POINT("target.revoked");
	if (!tv->inflight && !tv->lease_ms) {
		step_drop_grants(tv, out->epoch);
		tv->in.fence = HCV_SP_FENCED;
		return true;
	}
	for (i = 0; i < tv->in.nr_k; i++)
		if (tv->k[i].epoch <= out->epoch)
			tv->k[i].revoked = true;
	tv->in.fence = HCV_SP_DRAINING;
	return true;
}

/* When an I/O ends is not known: asked ever less often. */
static void step_poll(struct hcv_target_pass *p, int64_t age)
{
	if (age / 4 > HCV_DRAIN_POLL_MAX_MS)
		hcv_target_later(p, HCV_DRAIN_POLL_MAX_MS);
	else
		hcv_target_later(p, age / 4 + HCV_DRAIN_POLL_MS);
}

static bool step_wait(struct hcv_target_pass *p, struct hcv_target_vol *tv,
		      const struct hcv_sp_out *out)
{
	int64_t age = hcv_target_note(p, tv->uuid, tv->object, HCV_SEV_WARN,
				      HCV_WAIT_TELL_MS, "%s", out->reason);

	if (tv->in.fence != HCV_SP_DRAINING)
		return false;
	if (!tv->inflight)
		hcv_target_later(p, tv->lease_ms);
	else
		step_poll(p, age);
	return false;
}

/* ------------------------------------------------------------------ extents */

static int step_compare_u32(const void *a, const void *b)
{
	const uint32_t *p = a, *q = b;

	return (*p > *q) - (*p < *q);
}

static bool step_add_extents(struct hcv_target_pass *p,
			     struct hcv_target_vol *tv)
{
	size_t i, nr = 0, old = tv->in.nr_have;
	uint32_t *missing = tv->have + old;

	for (i = 0; i < tv->in.nr_row; i++) {
		uint32_t index = tv->row[i].index;

		if (!old || !bsearch(&index, tv->have, old, sizeof(index),
				     step_compare_u32))
			missing[nr++] = index;
	}
	if (hcv_k_extent_add(p->kl, p->ts->uuid, tv->uuid, missing, nr))
		return step_kernel(p, tv, "cannot format extents");
	HCV_CRASH_POINT("target.extents-added");
	tv->in.nr_have = old + nr;
	qsort(tv->have, tv->in.nr_have, sizeof(*tv->have), step_compare_u32);
	return true;
}

static bool step_free(struct hcv_target_pass *p, struct hcv_target_vol *tv)
{
	if (hcv_k_extent_del(p->kl, p->ts->uuid, tv->uuid, NULL, 0))
		return step_kernel(p, tv, "cannot free the extents");
	HCV_CRASH_POINT("target.extents-freed");
	hcv_event_emit(p->agent, HCV_SEV_INFO, tv->object, NULL,
		       "store %s: %zu extents freed", p->st->i.name,
		       tv->in.nr_have);
	tv->in.nr_have = 0;
	return true;
}

/* The extents, among those that have tombstones, that the store still has. */
static bool step_withdraw(struct hcv_target_pass *p, struct hcv_target_vol *tv)
{
	size_t i, j, nr = 0, left = 0;
	uint32_t *index = calloc(tv->in.nr_gone, sizeof(*index));
	int ret;

	if (!index)
		return step_failed(p, tv, "cannot free extents",
				   "out of memory");
	for (i = 0; i < tv->in.nr_gone; i++)
		if (bsearch(&tv->gone[i], tv->have, tv->in.nr_have,
			    sizeof(*tv->have), step_compare_u32))
			index[nr++] = tv->gone[i];
	ret = hcv_k_extent_withdraw(p->kl, p->ts->uuid, tv->uuid, index, nr);
	HCV_CRASH_POINT("target.extents-withdrawn");
	if (!ret) {
		for (i = 0; i < tv->in.nr_have; i++) {
			for (j = 0; j < nr && index[j] != tv->have[i]; j++)
				;
			if (j == nr)
				tv->have[left++] = tv->have[i];
		}
		tv->in.nr_have = left;
	}
	free(index);
	if (ret == -EINPROGRESS) {
		step_poll(p, hcv_target_note(p, tv->uuid, tv->object,
					     HCV_SEV_WARN, HCV_WAIT_TELL_MS,
					     "extents that were given back still have I/O in flight"));
		return false;
	}
	return ret ? step_kernel(p, tv, "cannot free extents") : true;
}

/* ------------------------------------------------------------------ exports */

static struct hcv_target_client *step_client(struct hcv_target_store *ts,
					     const char *node)
{
	struct hcv_target_client *c;
	size_t i;

	for (i = 0; i < ts->nr_clients; i++)
		if (!strcmp(ts->client[i].node, node))
			return &ts->client[i];
	c = reallocarray(ts->client, ts->nr_clients + 1, sizeof(*c));
	if (!c)
		return NULL;
	ts->client = c;
	c += ts->nr_clients++;
	memset(c, 0, sizeof(*c));
	snprintf(c->node, sizeof(c->node), "%s", node);
	return c;
}

/* Was it in order not long ago, and does the module still have it? */
static bool step_export_known(struct hcv_target_pass *p,
			      const struct hcv_target_client *c)
{
	size_t i;

	if (!c->devname[0] ||
	    hcv_now_ms() - c->checked_ms > HCV_TARGET_CHECK_MS)
		return false;
	for (i = 0; i < p->nr_exports; i++)
		if (!strcmp(p->export[i].node, c->node))
			return !strcmp(p->export[i].devname, c->devname);
	/* made in this very pass, after the module was asked */
	return c->checked_ms >= p->start_ms;
}

static int step_export_make(struct hcv_target_pass *p,
			    struct hcv_target_client *c, char *err)
{
	const struct hcv_identity *id = hcv_agent_id(p->agent);
	struct hcv_nvmet_addr at = { id->transport, id->addr, id->port };
	struct hcv_k_export e;
	char dev[48];
	int ret;

	/* modules take long to load on a busy machine, all else does not */
	ret = hcv_nvmet_prepare(id->transport, p->job->deadline_ms, err);
	if (ret)
		return ret;
	ret = hcv_k_export_add(p->kl, p->ts->uuid, c->node, &e);
	if (ret) {
		snprintf(err, HCV_ERR_SIZE, "%.200s", hcv_klink_error(p->kl));
		return ret;
	}
	HCV_CRASH_POINT("target.export-added");
	snprintf(dev, sizeof(dev), "/dev/%s", e.devname);
	ret = hcv_nvmet_ensure(&at, p->ts->uuid, c->node, dev,
			       hcv_now_ms() + HCV_TARGET_NVMET_MS, err);
	HCV_CRASH_POINT("target.export-served");
	if (!ret) {
		memcpy(c->devname, e.devname, sizeof(c->devname));
		c->checked_ms = hcv_now_ms();
	}
	return ret;
}

/* One that failed is not tried for every volume of the owner. */
static bool step_export_failed(struct hcv_target_pass *p,
			       struct hcv_target_vol *tv,
			       struct hcv_target_client *c, const char *why)
{
	unsigned int shift = c->fails < 4 ? c->fails : 4;

	c->fails++;
	c->devname[0] = '\0';
	c->retry_ms = hcv_now_ms() + HCV_TARGET_RETRY_MS / 2 * (1 << shift);
	return step_failed(p, tv, "cannot export the store", why);
}

/* In advance, for a hand-over: the owner's part goes on whatever comes of it. */
static bool step_export_next(struct hcv_target_pass *p,
			     struct hcv_target_vol *tv, const char *node)
{
	struct hcv_target_client *c = step_client(p->ts, node);
	char err[HCV_ERR_SIZE];

	tv->in.export_next = HCV_SP_EX_FAILED;
	if (!c) {
		step_failed(p, tv, "cannot export the store", "out of memory");
	} else if (hcv_now_ms() < c->retry_ms) {
		p->failed = true;
		hcv_target_note_keep(p, tv->uuid);
	} else if (!step_export_known(p, c) && step_export_make(p, c, err)) {
		step_export_failed(p, tv, c, err);
	} else {
		c->fails = 0;
		c->retry_ms = 0;
		tv->in.export_next = HCV_SP_EX_READY;
	}
	return true;
}

static bool step_export(struct hcv_target_pass *p, struct hcv_target_vol *tv)
{
	struct hcv_target_client *c = step_client(p->ts, tv->in.rec->owner);
	char err[HCV_ERR_SIZE];

	if (!c)
		return step_failed(p, tv, "cannot export the store",
				   "out of memory");
	if (hcv_now_ms() < c->retry_ms) {
		p->failed = true;
		hcv_target_note_keep(p, tv->uuid);
		return false;
	}
	if (!step_export_known(p, c) && step_export_make(p, c, err))
		return step_export_failed(p, tv, c, err);
	c->fails = 0;
	c->retry_ms = 0;
	tv->in.export = HCV_SP_EX_READY;
	snprintf(tv->want_devpath, sizeof(tv->want_devpath), "/dev/%s",
		 c->devname);
	tv->in.want_devpath = tv->want_devpath;
	return true;
}

/* The subsystem holds the device open: it goes first. */
static int step_drop_export(struct hcv_target_pass *p,
			    const struct hcv_k_export *e)
{
	char err[HCV_ERR_SIZE], object[64];
	int ret;

	ret = hcv_nvmet_remove(e->store, e->node,
			       hcv_now_ms() + HCV_TARGET_NVMET_MS, err);
	HCV_CRASH_POINT("target.export-unserved");
	if (!ret) {
		ret = hcv_k_export_del(p->kl, e->store, e->node);
		if (ret)
			snprintf(err, sizeof(err), "%.200s",
				 hcv_klink_error(p->kl));
	}
	HCV_CRASH_POINT("target.export-deleted");
	if (!ret || ret == -ENOENT)
		return 0;
	p->failed = true;
	snprintf(object, sizeof(object), "node %s", e->node);
	hcv_target_note(p, e->node, object, HCV_SEV_WARN, HCV_WAIT_TELL_MS,
			"the export cannot be removed yet: %.200s", err);
	return ret;
}

void hcv_target_drop_exports(struct hcv_target_pass *p)
{
	bool removed = p->st->i.state == HCV_ST_REMOVED;
	size_t i;

	for (i = 0; i < p->nr_exports && !hcv_job_expired(p->job); i++) {
		const struct hcv_k_export *e = &p->export[i];
		struct hcv_target_client *c;

		if (!removed && hcv_snap_node(p->snap, e->node))
			continue;
		c = step_client(p->ts, e->node);
		if (c)
			c->devname[0] = '\0';
		step_drop_export(p, e);
	}
}

/* ------------------------------------------------------------------- grants */

/* The old handles are dead at once, the new ones come when all is drained. */
static bool step_renewing(struct hcv_target_pass *p, struct hcv_target_vol *tv)
{
	int64_t age = hcv_target_note(p, tv->uuid, tv->object, HCV_SEV_WARN,
				      HCV_WAIT_TELL_MS,
				      "handles of before still have I/O in flight, a replica that left cannot return");

	step_poll(p, age);
	return false;
}

static bool step_grant(struct hcv_target_pass *p, struct hcv_target_vol *tv,
		       const struct hcv_sp_out *out)
{
	const char *client = tv->in.rec->owner;
	struct hcv_sp_grant *k;
	struct hcv_k_grant g;
	size_t i;
	int ret;

	ret = hcv_k_grant(p->kl, p->ts->uuid, tv->uuid, out->epoch, client,
			  out->count, out->renew, &g);
	HCV_CRASH_POINT("target.granted");
	if (ret == -EINPROGRESS)
		return step_renewing(p, tv);
	if (ret)
		return step_kernel(p, tv, "cannot grant access to the owner");
	/* the store was closed and opened under our hands: look again */
	if (g.incarnation != p->k.incarnation) {
		p->failed = true;
		return false;
	}
	k = (struct hcv_sp_grant *)hcv_storeplan_find(&tv->in, out->epoch,
						      client);
	if (!k)
		k = &tv->k[tv->in.nr_k++];
	memset(k, 0, sizeof(*k));
	snprintf(k->client, sizeof(k->client), "%s", client);
	k->epoch = out->epoch;
	k->renew = g.renew;
	k->nr = g.nr;
	for (i = 0; i < g.nr; i++) {
		k->range[i].first = g.range[i].first;
		k->range[i].base = g.range[i].base;
		k->range[i].count = g.range[i].count;
	}
	return true;
}

/* The value with the device's name, which only people look at. */
static char *step_encode(const struct hcv_grant_info *g, const char *devpath)
{
	char *plain = hcv_model_grant_encode(g), *value = NULL;
	struct json_object *o = plain ? json_tokener_parse(plain) : NULL;
	const char *text = NULL;

	if (o && !json_object_object_add(o, "devpath",
					 json_object_new_string(devpath)))
		text = json_object_to_json_string_ext(o, HCV_STEP_PLAIN);
	if (text)
		value = strdup(text);
	json_object_put(o);
	free(plain);
	return value;
}

/*
 * All changes of keys compare the record, so that nothing rests on an old
 * view; what was changed meanwhile is looked at again with the next snapshot.
 */
static bool step_meta(struct hcv_target_pass *p, struct hcv_target_vol *tv,
		      const struct hcv_cmp *cmp, size_t nr_cmp,
		      const struct hcv_op *op, size_t nr_op, const char *what)
{
	unsigned int left = hcv_job_left(p->job);
	enum hcv_meta_result res;
	struct hcv_error e;
	int64_t rev = 0;

	res = hcv_meta_txn(hcv_agent_meta(p->agent), cmp, nr_cmp, op, nr_op,
			   &rev, left < HCV_META_MS ? left : HCV_META_MS);
	switch (res) {
	case HCV_META_OK:
		p->changed = true;
		if (rev > p->ts->written_rev)
			p->ts->written_rev = rev;
		return true;
	case HCV_META_CONFLICT:
		p->changed = true;	/* have it read again at once */
		return false;
	default:
		p->failed = true;
		hcv_error_meta(&e, res, tv->object);
		hcv_target_note(p, tv->uuid, tv->object, HCV_SEV_WARN,
				HCV_WAIT_TELL_MS, "%s: %.200s", what, e.cause);
		return false;
	}
}

static void step_tell_grant(struct hcv_target_pass *p,
			    struct hcv_target_vol *tv,
			    const struct hcv_grant_info *g)
{
	const struct hcv_snap_node *n = hcv_snap_node(p->snap, g->client);

	if (tv->in.grant && tv->in.grant->epoch == g->epoch &&
	    tv->in.grant->incarnation == g->incarnation)
		return;		/* it only grew */
	hcv_event_emit(p->agent, HCV_SEV_INFO, tv->object, NULL,
		       "store %s: open to node %s, epoch %" PRIu64
		       "; everything older is fenced",
		       p->st->i.name, n ? n->i.name : g->client, g->epoch);
}

static bool step_write_grant(struct hcv_target_pass *p,
			     struct hcv_target_vol *tv,
			     const struct hcv_sp_out *out)
{
	const struct hcv_sp_grant *k;
	struct hcv_grant_info g = { .epoch = out->epoch, .ready = out->ready };
	const char *dev = tv->in.want_devpath ? tv->in.want_devpath : "";
	char key[96], rec[64];
	struct hcv_cmp cmp = { rec, tv->v->rec_rev };
	struct hcv_op op = { .key = key };
	char *value;
	bool done;

	k = hcv_storeplan_find(&tv->in, out->epoch, tv->in.rec->owner);
	memcpy(g.client, k->client, HCV_ID_LEN);
	g.incarnation = tv->in.incarnation;
	g.renew = k->renew;
	g.nr = k->nr;
	memcpy(g.range, k->range, sizeof(g.range));
	value = step_encode(&g, dev);
	if (!value)
		return step_failed(p, tv, "cannot write the grant",
				   "out of memory");
	snprintf(key, sizeof(key), "grant/%s/%s", tv->uuid, p->ts->uuid);
	snprintf(rec, sizeof(rec), "rec/%s", tv->uuid);
	op.value = value;
	done = step_meta(p, tv, &cmp, 1, &op, 1,
			 "the grant cannot be published");
	free(value);
	HCV_CRASH_POINT("target.grant-written");
	if (!done)
		return false;
	step_tell_grant(p, tv, &g);
	tv->key = g;
	tv->in.grant = &tv->key;
	snprintf(tv->devpath, sizeof(tv->devpath), "%s", dev);
	tv->in.devpath = tv->devpath;
	return true;
}

static bool step_delete_grant(struct hcv_target_pass *p,
			      struct hcv_target_vol *tv)
{
	char key[96], rec[64];
	struct hcv_cmp cmp = { rec, tv->v ? tv->v->rec_rev : 0 };
	struct hcv_op op = { .key = key };
	bool done;

	snprintf(key, sizeof(key), "grant/%s/%s", tv->uuid, p->ts->uuid);
	snprintf(rec, sizeof(rec), "rec/%s", tv->uuid);
	done = step_meta(p, tv, &cmp, 1, &op, 1,
			 "the old grant cannot be deleted");
	HCV_CRASH_POINT("target.grant-deleted");
	if (!done)
		return false;
	tv->in.grant = NULL;
	return true;
}

static bool step_delete_tomb(struct hcv_target_pass *p,
			     struct hcv_target_vol *tv)
{
	char key[96], vol[64], rec[64], rows[64];
	struct hcv_cmp cmp[] = {
		{ key, tv->tomb->rev }, { vol, 0 }, { rec, 0 }, { rows, 0 },
	};
	struct hcv_op op = { .key = key };
	bool left = tv->in.left && tv->in.rec;

	snprintf(key, sizeof(key), "tomb/%s/%s", p->ts->uuid, tv->uuid);
	/* Of a volume that goes on: its record is as it was looked at. */
	if (left)
		cmp[2].rev = tv->v->rec_rev;
	if (left)
		cmp[1] = cmp[2];
	snprintf(vol, sizeof(vol), "vol/%s", tv->uuid);
	snprintf(rec, sizeof(rec), "rec/%s", tv->uuid);
	snprintf(rows, sizeof(rows), "rows/%s", tv->uuid);
	step_meta(p, tv, cmp, left ? 2 : 4, &op, 1,
		  "the tombstone cannot be deleted");
	HCV_CRASH_POINT("target.tomb-deleted");
	return false;
}

#define HCV_GONE_MAX 48		/* of one transaction */

static bool step_delete_gone(struct hcv_target_pass *p,
			     struct hcv_target_vol *tv)
{
	size_t i, nr = tv->in.nr_gone;
	char (*key)[128];
	struct hcv_cmp *cmp;
	struct hcv_op *op;
	bool done = false;

	if (nr > HCV_GONE_MAX)
		nr = HCV_GONE_MAX;
	key = calloc(nr, sizeof(*key));
	cmp = calloc(nr, sizeof(*cmp));
	op = calloc(nr, sizeof(*op));
	for (i = 0; key && cmp && op && i < nr; i++) {
		snprintf(key[i], sizeof(*key), "tomb/%s/%s/%" PRIu32,
			 p->ts->uuid, tv->uuid, tv->gone[i]);
		cmp[i] = (struct hcv_cmp){ key[i], tv->gone_rev[i] };
		op[i] = (struct hcv_op){ .key = key[i] };
	}
	if (i == nr)
		done = step_meta(p, tv, cmp, nr, op, nr,
				 "tombstones of extents cannot be deleted");
	else
		step_failed(p, tv, "cannot delete tombstones", "out of memory");
	HCV_CRASH_POINT("target.gone-deleted");
	free(key);
	free(cmp);
	free(op);
	if (!done)
		return false;
	tv->in.nr_gone -= nr;
	memmove(tv->gone, tv->gone + nr, tv->in.nr_gone * sizeof(*tv->gone));
	memmove(tv->gone_rev, tv->gone_rev + nr,
		tv->in.nr_gone * sizeof(*tv->gone_rev));
	return true;
}

/* --------------------------------------------------------------- all of them */

bool hcv_target_step(struct hcv_target_pass *p, struct hcv_target_vol *tv,
		     const struct hcv_sp_out *out)
{
	switch (out->act) {
	case HCV_SP_REVOKE:
		return step_revoke(p, tv, out);
	case HCV_SP_ADD_EXTENTS:
		return step_add_extents(p, tv);
	case HCV_SP_EXPORT:
		return strcmp(out->client, tv->in.rec->owner) ?
		       step_export_next(p, tv, out->client) :
		       step_export(p, tv);
	case HCV_SP_GRANT:
		return step_grant(p, tv, out);
	case HCV_SP_WRITE_GRANT:
		return step_write_grant(p, tv, out);
	case HCV_SP_DELETE_GRANT:
		return step_delete_grant(p, tv);
	case HCV_SP_WITHDRAW:
		return step_withdraw(p, tv);
	case HCV_SP_DELETE_GONE:
		return step_delete_gone(p, tv);
	case HCV_SP_FREE:
		return step_free(p, tv);
	case HCV_SP_DELETE_TOMB:
		return step_delete_tomb(p, tv);
	case HCV_SP_WAIT:
		return step_wait(p, tv, out);
	case HCV_SP_QUARANTINE:
		hcv_target_note(p, tv->uuid, tv->object, HCV_SEV_WARN, 0,
				"%s; they are kept", out->reason);
		return false;
	case HCV_SP_REFUSE:
		hcv_target_note(p, tv->uuid, tv->object, HCV_SEV_ERR, 0, "%s",
				out->reason);
		return false;
	case HCV_SP_NONE:
	case HCV_SP_NR:
		break;
	}
	return false;
}
