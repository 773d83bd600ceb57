// SPDX-License-Identifier: GPL-2.0-only
/*
 * One pass over all volumes of a store: collect what the keys and the module
 * say about each, and have the next steps taken until nothing is left to do
 * now.
 */
#include "target.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HCV_TARGET_STEPS	64	/* of one volume in one pass */

void hcv_target_later(struct hcv_target_pass *p, int64_t ms)
{
	int64_t at = hcv_now_ms() + ms;

	if (!p->ts->next_ms || at < p->ts->next_ms)
		p->ts->next_ms = at;
}

/* -------------------------------------------------------------------- notes */

static struct hcv_target_note *hcv_target_note_of(struct hcv_target_store *ts,
						  const char *vol)
{
	struct hcv_target_note *n;
	size_t i;

	for (i = 0; i < ts->nr_notes; i++)
		if (!strcmp(ts->note[i].vol, vol))
			return &ts->note[i];
	n = reallocarray(ts->note, ts->nr_notes + 1, sizeof(*n));
	if (!n)
		return NULL;
	ts->note = n;
	n += ts->nr_notes++;
	memset(n, 0, sizeof(*n));
	memcpy(n->vol, vol, HCV_ID_LEN);
	return n;
}

void hcv_target_note_keep(struct hcv_target_pass *p, const char *vol)
{
	struct hcv_target_note *n = hcv_target_note_of(p->ts, vol);

	if (n)
		n->seen = true;
}

int64_t hcv_target_note(struct hcv_target_pass *p, const char *vol,
			const char *object, enum hcv_severity sev,
			int64_t after_ms, const char *fmt, ...)
{
	struct hcv_target_note *n = hcv_target_note_of(p->ts, vol);
	char text[sizeof(n->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!n) {
		hcv_log(sev, "%s: %s", object, text);
		return 0;
	}
	n->seen = true;
	if (strcmp(n->text, text)) {
		memcpy(n->text, text, sizeof(text));
		n->since_ms = hcv_now_ms();
		n->told = false;
		hcv_log(HCV_SEV_DEBUG, "store %s, %s: %s", p->st->i.name,
			object, text);
	}
	if (!n->told && hcv_now_ms() - n->since_ms >= after_ms) {
		n->told = true;
		hcv_event_emit(p->agent, sev, object, NULL, "store %s: %s",
			       p->st->i.name, text);
	}
	return hcv_now_ms() - n->since_ms;
}

/* What was not said again in this pass is over. */
static void hcv_target_forget(struct hcv_target_store *ts)
{
	size_t i, nr = 0;

	for (i = 0; i < ts->nr_notes; i++) {
		if (!ts->note[i].seen)
			continue;
		ts->note[i].seen = false;
		ts->note[nr++] = ts->note[i];
	}
	ts->nr_notes = nr;
}

/* --------------------------------------------------------- what there is now */

static int hcv_target_compare_ext(const void *a, const void *b)
{
	const struct hcv_k_extent *p = a, *q = b;
	int ret = strcmp(p->vol, q->vol);

	return ret ? ret : (p->index > q->index) - (p->index < q->index);
}

/* Keep the elements about this store only. */
static void hcv_target_mine(struct hcv_target_pass *p)
{
	size_t i, nr;

	for (i = nr = 0; i < p->nr_grants; i++)
		if (!strcmp(p->grant[i].store, p->ts->uuid))
			p->grant[nr++] = p->grant[i];
	p->nr_grants = nr;
	for (i = nr = 0; i < p->nr_exports; i++)
		if (!strcmp(p->export[i].store, p->ts->uuid))
			p->export[nr++] = p->export[i];
	p->nr_exports = nr;
}

static int hcv_target_look(struct hcv_target_pass *p)
{
	struct hcv_k_module m;
	int ret;

	ret = hcv_k_module_get(p->kl, &m);
	if (!ret)
		ret = hcv_k_extent_list(p->kl, p->ts->uuid, &p->ext,
					&p->nr_ext);
	if (!ret)
		ret = hcv_k_grant_list(p->kl, &p->grant, &p->nr_grants);
	if (!ret)
		ret = hcv_k_export_list(p->kl, &p->export, &p->nr_exports);
	if (ret)
		return ret;
	p->features = m.features;
	hcv_target_mine(p);
	if (p->nr_ext)
		qsort(p->ext, p->nr_ext, sizeof(*p->ext),
		      hcv_target_compare_ext);
	return 0;
}

/* --------------------------------------------------------------- one volume */

static int hcv_target_rows(struct hcv_target_pass *p, struct hcv_target_vol *tv)
{
	const struct hcv_rows *rows = &tv->v->rows;
	size_t i, j, nr = 0;

	tv->in.has_rows = tv->v->nr_row_keys;
	for (i = 0; i < rows->nr; i++)
		for (j = 0; j < rows->row[i].nr; j++)
			nr += !strcmp(rows->row[i].store[j], p->ts->uuid);
	if (!nr)
		return 0;
	tv->row = calloc(nr, sizeof(*tv->row));
	if (!tv->row)
		return -ENOMEM;
	for (i = nr = 0; i < rows->nr; i++) {
		for (j = 0; j < rows->row[i].nr; j++) {
			if (strcmp(rows->row[i].store[j], p->ts->uuid))
				continue;
			tv->row[nr].index = rows->row[i].index;
			tv->row[nr++].full = rows->row[i].full >> j & 1;
		}
	}
	tv->in.row = tv->row;
	tv->in.nr_row = nr;
	return 0;
}

static int hcv_target_compare_row(const void *a, const void *b)
{
	const struct hcv_sp_row *p = a, *q = b;

	return (p->index > q->index) - (p->index < q->index);
}

static int hcv_target_have(struct hcv_target_pass *p, struct hcv_target_vol *tv)
{
	size_t lo = 0, hi = p->nr_ext, i;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(p->ext[mid].vol, tv->uuid) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (hi = lo; hi < p->nr_ext; hi++)
		if (strcmp(p->ext[hi].vol, tv->uuid))
			break;
	/* room for what ADD_EXTENTS adds */
	tv->have = calloc(hi - lo + tv->in.nr_row + 1, sizeof(*tv->have));
	if (!tv->have)
		return -ENOMEM;
	for (i = lo; i < hi; i++)
		tv->have[i - lo] = p->ext[i].index;
	tv->in.have = tv->have;
	tv->in.nr_have = hi - lo;
	return 0;
}

static int hcv_target_grants(struct hcv_target_pass *p,
			     struct hcv_target_vol *tv)
{
	size_t i, j, nr = 0;

	/* room for one that is about to be granted */
	tv->k = calloc(p->nr_grants + 1, sizeof(*tv->k));
	if (!tv->k)
		return -ENOMEM;
	for (i = 0; i < p->nr_grants; i++) {
		const struct hcv_k_grant *g = &p->grant[i];
		struct hcv_sp_grant *k = &tv->k[nr];

		if (strcmp(g->vol, tv->uuid))
			continue;
		memcpy(k->client, g->node, HCV_ID_LEN);
		k->epoch = g->epoch;
		k->renew = g->renew;
		k->done = g->flags & HCV_GRANT_F_DONE;
		k->revoked = g->flags & HCV_GRANT_F_REVOKED;
		k->nr = g->nr;
		for (j = 0; j < g->nr; j++) {
			k->range[j].first = g->range[j].first;
			k->range[j].base = g->range[j].base;
			k->range[j].count = g->range[j].count;
		}
		nr++;
	}
	tv->in.k = tv->k;
	tv->in.nr_k = nr;
	return 0;
}

static void hcv_target_keys(struct hcv_target_pass *p,
			    struct hcv_target_vol *tv)
{
	const struct hcv_snap_grant *g;

	if (!tv->v) {
		snprintf(tv->object, sizeof(tv->object), "volume %s", tv->uuid);
		return;
	}
	snprintf(tv->object, sizeof(tv->object), "volume %s",
		 tv->v->rev && tv->v->i.name[0] ? tv->v->i.name : tv->uuid);
	tv->in.bad = tv->v->bad;
	tv->in.has_vol = tv->v->rev;
	tv->in.deleting = tv->v->rev && tv->v->i.deleting;
	tv->in.rec = tv->v->rec_rev ? &tv->v->rec : NULL;
	g = hcv_snap_grant(tv->v, p->ts->uuid);
	if (!g)
		return;
	tv->key = g->g;
	tv->in.grant = &tv->key;
	snprintf(tv->devpath, sizeof(tv->devpath), "%s", g->devpath);
	tv->in.devpath = tv->devpath;
}

static const struct hcv_snap_tomb *hcv_target_tomb(struct hcv_target_pass *p,
						   const char *vol)
{
	size_t i;

	for (i = 0; i < p->snap->nr_tombs; i++)
		if (!p->snap->tomb[i].one &&
		    !strcmp(p->snap->tomb[i].vol, vol) &&
		    !strcmp(p->snap->tomb[i].store, p->ts->uuid))
			return &p->snap->tomb[i];
	return NULL;
}

static size_t hcv_target_count_gone(const struct hcv_target_pass *p,
				    const char *vol)
{
	size_t i, nr = 0;

	for (i = 0; i < p->snap->nr_tombs; i++)
		nr += p->snap->tomb[i].one &&
		      !strcmp(p->snap->tomb[i].vol, vol) &&
		      !strcmp(p->snap->tomb[i].store, p->ts->uuid);
	return nr;
}

static int hcv_target_gone(struct hcv_target_pass *p, struct hcv_target_vol *tv)
{
	size_t i, nr = hcv_target_count_gone(p, tv->uuid);

	if (!nr)
		return 0;
	tv->gone = calloc(nr, sizeof(*tv->gone));
	tv->gone_rev = calloc(nr, sizeof(*tv->gone_rev));
	if (!tv->gone || !tv->gone_rev)
		return -ENOMEM;
	for (i = nr = 0; i < p->snap->nr_tombs; i++) {
		const struct hcv_snap_tomb *t = &p->snap->tomb[i];

		if (!t->one || strcmp(t->vol, tv->uuid) ||
		    strcmp(t->store, p->ts->uuid))
			continue;
		tv->gone[nr] = t->index;
		tv->gone_rev[nr++] = t->rev;
	}
	tv->in.gone = tv->gone;
	tv->in.nr_gone = nr;
	return 0;
}

static int hcv_target_collect(struct hcv_target_pass *p,
			      struct hcv_target_vol *tv)
{
	int ret = 0;

	tv->in.node = hcv_agent_id(p->agent)->node;
	tv->in.store = p->ts->uuid;
	tv->in.incarnation = p->k.incarnation;
	tv->in.can_hand = true;
	tv->in.failed = p->k.flags & (HCV_STORE_F_FAILED |
				      HCV_STORE_F_READONLY);
	tv->tomb = hcv_target_tomb(p, tv->uuid);
	tv->in.tomb = tv->tomb;
	tv->in.left = tv->tomb && tv->tomb->left;
	tv->in.left_epoch = tv->in.left ? tv->tomb->epoch : 0;
	tv->in.left_renew = tv->in.left ? tv->tomb->renew : 0;
	tv->in.can_retire = p->features & HCV_FEATURE_RETIRE;
	hcv_target_keys(p, tv);
	if (tv->v)
		ret = hcv_target_rows(p, tv);
	/* rows are in the order of their making, which is that of the index */
	if (!ret && tv->in.nr_row)
		qsort(tv->row, tv->in.nr_row, sizeof(*tv->row),
		      hcv_target_compare_row);
	if (!ret)
		ret = hcv_target_gone(p, tv);
	if (!ret)
		ret = hcv_target_have(p, tv);
	if (!ret)
		ret = hcv_target_grants(p, tv);
	return ret;
}

static void hcv_target_vol(struct hcv_target_pass *p, const char *uuid,
			   const struct hcv_snap_vol *v)
{
	struct hcv_target_vol tv = { .uuid = uuid, .v = v };
	struct hcv_sp_out out;
	unsigned int steps;

	if (hcv_target_collect(p, &tv)) {
		p->failed = true;
		hcv_log(HCV_SEV_ERR, "%s: out of memory", tv.object);
	} else {
		for (steps = 0; steps < HCV_TARGET_STEPS; steps++) {
			hcv_storeplan_next(&tv.in, &out);
			if (!hcv_target_step(p, &tv, &out))
				break;
		}
		/* a step that changes nothing must not spin */
		if (steps == HCV_TARGET_STEPS) {
			p->failed = true;
			hcv_log(HCV_SEV_ERR, "%s: step %s does not end",
				tv.object, hcv_storeplan_act_name(out.act));
		}
	}
	free(tv.row);
	free(tv.have);
	free(tv.gone);
	free(tv.gone_rev);
	free(tv.k);
}

/* ----------------------------------------------------------------- the pass */

static bool hcv_target_concerned(struct hcv_target_pass *p,
				 const struct hcv_snap_vol *v)
{
	size_t i, j;

	if (hcv_snap_grant(v, p->ts->uuid) || hcv_target_tomb(p, v->uuid) ||
	    hcv_target_count_gone(p, v->uuid))
		return true;
	for (i = 0; i < p->nr_grants; i++)
		if (!strcmp(p->grant[i].vol, v->uuid))
			return true;
	for (i = 0; i < v->rows.nr; i++)
		for (j = 0; j < v->rows.row[i].nr; j++)
			if (!strcmp(v->rows.row[i].store[j], p->ts->uuid))
				return true;
	return false;
}

/* Volumes that only this store, or a tombstone, knows. */
static void hcv_target_unnamed(struct hcv_target_pass *p)
{
	size_t i;

	for (i = 0; i < p->nr_ext && !hcv_job_expired(p->job); i++) {
		if (i && !strcmp(p->ext[i].vol, p->ext[i - 1].vol))
			continue;
		if (!hcv_snap_vol(p->snap, p->ext[i].vol))
			hcv_target_vol(p, p->ext[i].vol, NULL);
	}
	for (i = 0; i < p->snap->nr_tombs && !hcv_job_expired(p->job); i++) {
		const struct hcv_snap_tomb *t = &p->snap->tomb[i];
		struct hcv_k_extent *e = NULL, want = { .index = 0 };

		if (strcmp(t->store, p->ts->uuid) ||
		    hcv_snap_vol(p->snap, t->vol))
			continue;
		/* as keys are sorted, those of a volume follow each other */
		if (i && !strcmp(t[-1].store, t->store) &&
		    !strcmp(t[-1].vol, t->vol))
			continue;
		memcpy(want.vol, t->vol, HCV_ID_LEN);
		if (p->nr_ext)
			e = bsearch(&want, p->ext, p->nr_ext, sizeof(want),
				    hcv_target_compare_ext);
		if (!e)
			hcv_target_vol(p, t->vol, NULL);
	}
}

static void hcv_target_all(struct hcv_target_pass *p)
{
	size_t i;

	for (i = 0; i < p->snap->nr_vols && !hcv_job_expired(p->job); i++)
		if (hcv_target_concerned(p, &p->snap->vol[i]))
			hcv_target_vol(p, p->snap->vol[i].uuid,
				       &p->snap->vol[i]);
	hcv_target_unnamed(p);
	hcv_target_drop_exports(p);
}

static void hcv_target_retry(struct hcv_target_pass *p)
{
	unsigned int shift;

	if (!p->failed) {
		p->ts->fails = 0;
		return;
	}
	shift = p->ts->fails < 3 ? p->ts->fails : 3;
	p->ts->fails++;
	hcv_target_later(p, HCV_TARGET_RETRY_MS << shift);
}

void hcv_target_run(struct hcv_job *job)
{
	struct hcv_target_pass *p = job->arg;
	int ret;

	p->job = job;
	p->agent = job->agent;
	p->ts->next_ms = 0;
	p->start_ms = hcv_now_ms();
	p->kl = hcv_job_klink(job);
	p->st = hcv_snap_store(p->snap, p->ts->uuid);
	/* not open: member.c opens it and a snapshot follows */
	if (!p->kl || !p->st || hcv_k_store_get(p->kl, p->ts->uuid, &p->k))
		return;
	ret = hcv_target_look(p);
	if (ret) {
		hcv_log(HCV_SEV_WARN, "store %s: %s", p->st->i.name,
			hcv_klink_error(p->kl));
		p->failed = true;
	} else {
		hcv_target_all(p);
		hcv_target_forget(p->ts);
	}
	free(p->ext);
	free(p->grant);
	free(p->export);
	if (p->changed)
		hcv_state_kick(p->agent);
	hcv_target_retry(p);
}
