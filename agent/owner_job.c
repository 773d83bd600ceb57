// SPDX-License-Identifier: GPL-2.0-only
/*
 * The steps of a recovery job on the volume's owner; core/jobplan.c decides.
 *
 * Each is one transaction that compares the record, the job and the chunk of
 * rows that it changes, so that two agents, or an agent and a planner that
 * calls the job off, never do half of each.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/recplan.h"
#include "core/record.h"
#include "owner.h"
#include "place.h"

#define JOB_KEY 128

struct job_txn {
	struct hcv_cmp cmp[6];
	struct hcv_op op[6];
	size_t nr_cmp, nr_op;
	char rec_key[JOB_KEY], job_key[JOB_KEY], rows_key[JOB_KEY];
	char store_key[JOB_KEY], tomb_key[JOB_KEY];
	char *rec, *rows, *store, *tomb, *job;
};

static void job_txn_free(struct job_txn *t)
{
	free(t->rec);
	free(t->rows);
	free(t->store);
	free(t->tomb);
	free(t->job);
}

static void job_compare(struct job_txn *t, const char *key, int64_t rev)
{
	t->cmp[t->nr_cmp++] = (struct hcv_cmp){ key, rev };
}

/* @value NULL: without memory; the transaction is not sent then. */
static bool job_put(struct job_txn *t, const char *key, char *value)
{
	t->op[t->nr_op++] = (struct hcv_op){ .key = key, .value = value };
	return value;
}

static void job_begin(struct job_txn *t, const struct hcv_owner_view *w)
{
	memset(t, 0, sizeof(*t));
	snprintf(t->rec_key, sizeof(t->rec_key), "rec/%s", w->v.uuid);
	snprintf(t->job_key, sizeof(t->job_key), "job/%s", w->v.uuid);
	job_compare(t, t->rec_key, w->v.rec_rev);
	job_compare(t, t->job_key, w->v.job_rev);
}

static enum hcv_owner_result job_run(struct hcv_owner_step *s,
				     struct job_txn *t)
{
	struct hcv_owner_view *w = s->w;
	enum hcv_meta_result res;
	int64_t rev = 0;

	res = hcv_meta_txn(hcv_agent_meta(s->a), t->cmp, t->nr_cmp, t->op,
			   t->nr_op, &rev, HCV_META_MS);
	if (res == HCV_META_OK)
		hcv_owner_wrote(w->a, w->v.uuid, rev, false);
	else if (res == HCV_META_UNKNOWN)
		hcv_owner_wrote(w->a, w->v.uuid, 0, true);
	s->conflict = res == HCV_META_CONFLICT;
	/* Its keys are the old ones. */
	w->settled = false;
	w->known = false;
	if (res == HCV_META_OK || res == HCV_META_CONFLICT ||
	    res == HCV_META_UNKNOWN)
		return HCV_OWNER_REREAD;
	snprintf(s->err, sizeof(s->err), "metadata store: %s",
		 hcv_meta_last_error());
	return HCV_OWNER_FAILED;
}

static enum hcv_owner_result job_failed(struct hcv_owner_step *s,
					const char *err)
{
	snprintf(s->err, sizeof(s->err), "%s", err);
	return HCV_OWNER_FAILED;
}

static void job_store_name(const struct hcv_owner_step *s, const char *store,
			   char *out, size_t size)
{
	const struct hcv_snap_store *st = hcv_snap_store(s->w->snap, store);
	const struct hcv_snap_node *n = st ? hcv_snap_node(s->w->snap,
							   st->i.node) : NULL;

	if (n)
		snprintf(out, size, "%s:%s", n->i.name, st->i.name);
	else
		snprintf(out, size, "%s", store);
}

__attribute__((format(printf, 3, 4)))
static void job_event(struct hcv_owner_step *s, enum hcv_severity sev,
		      const char *fmt, ...)
{
	char object[128], text[256];
	va_list ap;

	snprintf(object, sizeof(object), "volume %s",
		 hcv_owner_view_name(s->w));
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	hcv_event_emit(s->a, sev, object, NULL, "%s", text);
}

/* ------------------------------------------------------------- chunks of rows */

static int row_place(const struct hcv_row *row, const char *store)
{
	unsigned int k;

	for (k = 0; k < row->nr; k++)
		if (!strcmp(row->store[k], store))
			return (int)k;
	return -1;
}

static void row_add(struct hcv_row *row, const char *store)
{
	memcpy(row->store[row->nr], store, HCV_ID_LEN);
	row->full |= (uint8_t)(1U << row->nr++);
}

static void row_drop(struct hcv_row *row, const char *store)
{
	int k = row_place(row, store);

	if (k < 0)
		return;
	row->nr--;
	memmove(row->store[k], row->store[k + 1],
		(size_t)(row->nr - k) * HCV_ID_LEN);
	row->full = (uint8_t)((row->full & ((1U << k) - 1)) |
			      (row->full >> (k + 1) << k));
}

/*
 * The chunk with row number @row, with the job's change.
 * Return: rows that were changed, -ENOMEM
 */
static int job_chunk(struct job_txn *t, const struct hcv_owner_view *w,
		     size_t row, const char *from, const char *store, bool add)
{
	const struct hcv_snap_vol *v = &w->v;
	struct hcv_rows rows = { .next = v->rows.next };
	size_t c, i;
	int nr = 0;

	for (c = 0; c + 1 < v->nr_row_keys; c++)
		if (row < v->row_key[c].first + v->row_key[c].nr)
			break;
	rows.nr = v->row_key[c].nr;
	rows.row = calloc(rows.nr + 1, sizeof(*rows.row));
	if (!rows.row)
		return -ENOMEM;
	for (i = 0; i < rows.nr; i++) {
		struct hcv_row *r = &rows.row[i];

		*r = v->rows.row[v->row_key[c].first + i];
		if (row_place(r, add ? from : store) < 0 ||
		    (add && row_place(r, store) >= 0))
			continue;
		if (add)
			row_add(r, store);
		else
			row_drop(r, store);
		nr++;
	}
	t->rows = hcv_model_rows_encode(&rows, 0, rows.nr);
	free(rows.row);
	if (c)
		snprintf(t->rows_key, sizeof(t->rows_key), "rows/%s/%zu",
			 v->uuid, c);
	else
		snprintf(t->rows_key, sizeof(t->rows_key), "rows/%s", v->uuid);
	job_compare(t, t->rows_key, v->row_key[c].rev);
	return job_put(t, t->rows_key, t->rows) ? nr : -ENOMEM;
}

static size_t job_rows_on(const struct hcv_owner_view *w, const char *store)
{
	size_t i, nr = 0;

	for (i = 0; i < w->v.rows.nr; i++)
		nr += row_place(&w->v.rows.row[i], store) >= 0;
	return nr;
}

/* ------------------------------------------------------------------- the steps */

/* Whether the target can still take it; else a sentence. */
static const char *job_target_ok(struct hcv_owner_step *s,
				 const struct hcv_snap_store *st, size_t more)
{
	struct hcv_place_store *p;
	const char *why = NULL;
	size_t i;

	if (!st || !st->i.live || st->i.failed)
		return "the target is not there";
	if (hcv_place_collect(s->w->snap, &p))
		return "out of memory";
	for (i = 0; i < s->w->snap->nr_stores; i++) {
		if (strcmp(p[i].uuid, st->i.uuid))
			continue;
		if (!p[i].ready)
			why = "the target is not ready for extents any more";
		else if (p[i].used > p[i].total ||
			 more > p[i].total - p[i].used)
			why = "the target has too little room";
	}
	free(p);
	return why;
}

static enum hcv_owner_result job_add(struct hcv_owner_step *s)
{
	const struct hcv_job_info *job = &s->w->v.job;
	const struct hcv_snap_store *st = hcv_snap_store(s->w->snap, job->to);
	struct hcv_record rec = s->w->v.rec;
	enum hcv_owner_result res;
	char err[HCV_ERR_SIZE];
	struct job_txn t;
	const char *why;
	bool ok;

	why = job_target_ok(s, st, job_rows_on(s->w, job->from) -
				   job_rows_on(s->w, job->to));
	if (why)
		return job_failed(s, why);
	job_begin(&t, s->w);
	ok = job_chunk(&t, s->w, s->out->row, job->from, job->to, true) > 0;
	/* It is as it was when it was found to have room. */
	snprintf(t.store_key, sizeof(t.store_key), "store/%s", job->to);
	job_compare(&t, t.store_key, st->rev);
	ok &= !hcv_place_touch(st, t.store_key, &t.op[t.nr_op]);
	t.store = (char *)t.op[t.nr_op++].value;
	/* What it had of the volume once is free again. */
	snprintf(t.tomb_key, sizeof(t.tomb_key), "tomb/%s/%s", job->to,
		 s->w->v.uuid);
	job_compare(&t, t.tomb_key, 0);
	if (!hcv_record_find(&rec, job->to)) {
		if (hcv_record_add(&rec, job->to, false, err)) {
			job_txn_free(&t);
			return job_failed(s, err);
		}
		t.rec = hcv_model_record_encode(&rec);
		ok &= job_put(&t, t.rec_key, t.rec);
	}
	HCV_CRASH_POINT("owner-job-add");
	res = ok ? job_run(s, &t) : job_failed(s, "out of memory");
	HCV_CRASH_POINT("owner-job-add-done");
	job_txn_free(&t);
	/* Maybe the store was changed: that wants a new snapshot. */
	if (res == HCV_OWNER_REREAD && s->conflict)
		return job_failed(s, "the volume, the job or the target was changed at the same time");
	return res;
}

/* Its grants have lower renewals; a later one, when it is back, a higher. */
static char *job_tomb_value(const struct hcv_record *rec)
{
	struct hcv_json j;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_u64(&j, "left", rec->epoch);
	hcv_json_put_u64(&j, "renew", rec->v);
	return hcv_json_finish(&j);
}

/* With its last rows the store leaves the record. */
static bool job_forget(struct hcv_owner_step *s, struct job_txn *t,
		       const char *store, char *err)
{
	struct hcv_record rec = s->w->v.rec;

	if (hcv_record_forget(&rec, store, NULL, err))
		return false;
	t->rec = hcv_model_record_encode(&rec);
	snprintf(err, HCV_ERR_SIZE, "out of memory");
	if (!job_put(t, t->rec_key, t->rec))
		return false;
	/* A store that the cluster has forgotten, and still does, frees nothing. */
	if (!hcv_snap_store(s->w->snap, store)) {
		snprintf(t->store_key, sizeof(t->store_key), "store/%s", store);
		job_compare(t, t->store_key, 0);
		return true;
	}
	snprintf(t->tomb_key, sizeof(t->tomb_key), "tomb/%s/%s", store,
		 s->w->v.uuid);
	t->tomb = job_tomb_value(&rec);
	job_compare(t, t->tomb_key, 0);
	return job_put(t, t->tomb_key, t->tomb);
}

static enum hcv_owner_result job_drop(struct hcv_owner_step *s)
{
	size_t left = job_rows_on(s->w, s->out->store);
	char err[HCV_ERR_SIZE] = "out of memory";
	enum hcv_owner_result res;
	struct job_txn t;
	int nr = 0;

	job_begin(&t, s->w);
	if (left)
		nr = job_chunk(&t, s->w, s->out->row, NULL, s->out->store,
			       false);
	if (nr < 0 || ((size_t)nr == left &&
		       !job_forget(s, &t, s->out->store, err))) {
		job_txn_free(&t);
		return job_failed(s, err);
	}
	HCV_CRASH_POINT("owner-job-drop");
	res = job_run(s, &t);
	HCV_CRASH_POINT("owner-job-drop-done");
	job_txn_free(&t);
	/* Maybe the store is known again: that wants a new snapshot. */
	if (res == HCV_OWNER_REREAD && s->conflict && t.store_key[0])
		return job_failed(s, "the volume, the job or the store was changed at the same time");
	return res;
}

static enum hcv_owner_result job_kernel(struct hcv_owner_step *s, int ret,
					const char *what)
{
	const char *why;

	if (!ret)
		return HCV_OWNER_DONE;
	s->kernel_err = ret;
	why = hcv_klink_error(s->kl);
	snprintf(s->err, sizeof(s->err), "%s: %s", what,
		 why && *why ? why : strerror(-ret));
	return HCV_OWNER_FAILED;
}

/* Its removal follows as for one that failed. */
static enum hcv_owner_result job_release(struct hcv_owner_step *s)
{
	char name[2 * HCV_NAME_LEN];
	int ret;

	HCV_CRASH_POINT("owner-job-release");
	ret = hcv_k_vol_link_drop(s->kl, s->w->v.uuid, s->w->v.rec.epoch,
				  s->out->store);
	HCV_CRASH_POINT("owner-job-release-done");
	job_store_name(s, s->out->store, name, sizeof(name));
	if (!ret)
		job_event(s, HCV_SEV_INFO,
			  "the replica on %s is not needed any more", name);
	return job_kernel(s, ret, "letting a replica go");
}

static enum hcv_owner_result job_remove(struct hcv_owner_step *s)
{
	enum hcv_owner_result res = hcv_owner_remove(s);
	char name[2 * HCV_NAME_LEN];

	job_store_name(s, s->out->store, name, sizeof(name));
	if (res == HCV_OWNER_DONE)
		job_event(s, HCV_SEV_INFO,
			  "the replica on %s is given up", name);
	return res;
}

static enum hcv_owner_result job_end(struct hcv_owner_step *s)
{
	const struct hcv_job_info job = s->w->v.job;
	char from[2 * HCV_NAME_LEN], to[2 * HCV_NAME_LEN];
	enum hcv_owner_result res;
	struct job_txn t;

	job_store_name(s, job.from, from, sizeof(from));
	job_store_name(s, job.to, to, sizeof(to));
	job_begin(&t, s->w);
	t.op[t.nr_op++] = (struct hcv_op){ .key = t.job_key };
	HCV_CRASH_POINT("owner-job-end");
	res = job_run(s, &t);
	HCV_CRASH_POINT("owner-job-end-done");
	job_txn_free(&t);
	/* Told twice if the answer was lost; never untold. */
	if (res != HCV_OWNER_REREAD || s->conflict)
		return res;
	if (s->out->done)
		job_event(s, HCV_SEV_INFO, "%s: %s has left the volume%s%s",
			  hcv_recplan_kind_name(job.kind), from,
			  *job.to ? ", its place is on " : "",
			  *job.to ? to : "");
	else
		job_event(s, HCV_SEV_WARN, "%s of what is on %s ended: %s",
			  hcv_recplan_kind_name(job.kind), from,
			  s->out->why ? s->out->why : "called off");
	return res;
}

static enum hcv_owner_result job_fail(struct hcv_owner_step *s)
{
	struct hcv_job_info job = s->w->v.job;
	enum hcv_owner_result res;
	struct job_txn t;

	job.failed = true;
	snprintf(job.why, sizeof(job.why), "%s", s->out->why);
	job_begin(&t, s->w);
	t.job = hcv_model_job_encode(&job);
	if (!job_put(&t, t.job_key, t.job))
		return job_failed(s, "out of memory");
	HCV_CRASH_POINT("owner-job-fail");
	res = job_run(s, &t);
	HCV_CRASH_POINT("owner-job-fail-done");
	job_txn_free(&t);
	return res;
}

enum hcv_owner_result hcv_owner_job(struct hcv_owner_step *s)
{
	switch (s->out->job) {
	case HCV_JP_ADD:
		return job_add(s);
	case HCV_JP_REMOVE:
		return job_remove(s);
	case HCV_JP_DROP:
		return job_drop(s);
	case HCV_JP_END:
		return job_end(s);
	case HCV_JP_FAIL:
		return job_fail(s);
	case HCV_JP_RELEASE:
		return job_release(s);
	case HCV_JP_WAIT:
		break;
	}
	return HCV_OWNER_DONE;
}

enum hcv_owner_result hcv_owner_job_rows(struct hcv_owner_step *s)
{
	const struct hcv_rows *rows = &s->w->v.rows;
	const struct hcv_k_vol *k = s->k;
	size_t nr = 0;
	int ret;

	/* Further ones are new, and come when all their stores are ready. */
	while (nr < rows->nr && (k->can_retire ?
				 rows->row[nr].index < k->next_index :
				 nr < k->nr_extents))
		nr++;
	if (!nr)
		return HCV_OWNER_DONE;
	HCV_CRASH_POINT("owner-job-rows");
	ret = hcv_k_vol_extent_add(s->kl, s->w->v.uuid, s->w->v.rec.epoch,
				   rows->row, nr, 0);
	HCV_CRASH_POINT("owner-job-rows-done");
	return job_kernel(s, ret, "telling the module of the rows");
}
