// SPDX-License-Identifier: GPL-2.0-only
/*
 * Another row for a volume that is running out of free extents.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/jobplan.h"
#include "core/placement.h"
#include "core/record.h"
#include "core/storeplan.h"
#include "owner.h"
#include "place.h"

void hcv_owner_row(const struct hcv_rows *rows, unsigned int column,
		   const struct hcv_place_store *store,
		   const struct hcv_place_row *choice, struct hcv_row *row)
{
	unsigned int i;

	memset(row, 0, sizeof(*row));
	row->index = rows->next;
	row->column = (uint8_t)column;
	row->nr = (uint8_t)choice->nr;
	row->full = (uint8_t)((1U << choice->nr) - 1);
	for (i = 0; i < choice->nr; i++)
		memcpy(row->store[i], store[choice->store[i]].uuid, HCV_ID_LEN);
}

/* It gives no grant of this epoch, or not before it has freed what it had. */
static bool place_left(const struct hcv_owner_step *s, const char *store)
{
	const struct hcv_snap *snap = s->w->snap;
	size_t i;

	for (i = 0; i < snap->nr_tombs; i++)
		if (!snap->tomb[i].one && !strcmp(snap->tomb[i].store, store) &&
		    !strcmp(snap->tomb[i].vol, s->w->v.uuid))
			return true;
	return false;
}

/*
 * A job gives it rows in their order, which the store relies on: what it has
 * formatted are all rows below an index.
 */
static bool place_filling(const struct hcv_owner_step *s, const char *store)
{
	return s->w->v.job_rev && !strcmp(store, s->w->v.job.to) &&
	       !hcv_record_insync(&s->w->v.rec, store) &&
	       !hcv_jobplan_takes(&s->w->v.job, &s->w->v.rows);
}

/*
 * How far a row may fall short: of nothing; it may be on stores that are away or
 * stale; and on the one that a job empties, where it stays when the rest moves.
 */
enum place_how { PLACE_WELL, PLACE_DEGRADED, PLACE_ANYWHERE };

/*
 * A store of the record that is not in-sync counts as one that is not live:
 * it lacks the writes to a new row until it was brought up to date.
 */
static void place_restrict(const struct hcv_owner_step *s,
			   struct hcv_place_store *st, size_t nr,
			   enum place_how how)
{
	const struct hcv_rec_store *rs;
	size_t i;

	for (i = 0; i < nr; i++) {
		rs = hcv_snap_rec_store(&s->w->v.rec, st[i].uuid);
		if (rs && rs->state != HCV_RS_INSYNC)
			st[i].live = false;
		else if (rs && !st[i].live)
			st[i].ready = false;	/* about to leave the set */
		/* Its extents are those of another store. */
		if (rs && rs->state == HCV_RS_TEMPORARY)
			st[i].ready = false;
		if (!st[i].live && how == PLACE_WELL)
			st[i].ready = false;
		if (place_left(s, st[i].uuid) || place_filling(s, st[i].uuid))
			st[i].ready = false;
		if (s->w->v.job_rev && how != PLACE_ANYWHERE &&
		    !strcmp(st[i].uuid, s->w->v.job.from))
			st[i].ready = false;
	}
}

static enum hcv_owner_result place_none(struct hcv_owner_step *s,
					const char *why)
{
	char object[128];
	int ret = 0;

	snprintf(object, sizeof(object), "volume %s",
		 hcv_owner_view_name(s->w));
	if (s->out->urgent) {
		hcv_event_emit(s->a, HCV_SEV_ERR, object, NULL,
			       "no space for writes: %s", why);
		HCV_CRASH_POINT("owner-nospace");
		ret = hcv_k_vol_nospace(s->kl, s->w->v.uuid, s->w->v.rec.epoch,
					s->out->column);
		HCV_CRASH_POINT("owner-nospace-done");
	}
	if (ret)
		snprintf(s->err, sizeof(s->err), "%.160s; telling the module: %s",
			 why, strerror(-ret));
	else
		snprintf(s->err, sizeof(s->err), "no place: %s", why);
	return HCV_OWNER_FAILED;
}

static enum hcv_owner_result place_commit(struct hcv_owner_step *s,
					  const struct hcv_row *row,
					  unsigned int live)
{
	struct hcv_record rec = s->w->v.rec;
	enum hcv_meta_result res;
	bool changed = false;
	size_t i;

	for (i = 0; i < row->nr; i++) {
		if (hcv_snap_rec_store(&rec, row->store[i]))
			continue;
		/* All that the volume has there is this row: empty, so equal. */
		if (hcv_record_add(&rec, row->store[i], live & (1U << i),
				   s->err))
			return HCV_OWNER_FAILED;
		changed = true;
	}
	HCV_CRASH_POINT("owner-place");
	res = hcv_owner_view_add_row(s->w, row, changed ? &rec : NULL,
				     HCV_META_MS);
	HCV_CRASH_POINT("owner-place-done");
	if (res == HCV_META_OK || res == HCV_META_UNKNOWN)
		return HCV_OWNER_REREAD;
	if (res == HCV_META_CONFLICT)	/* of a store: wants a new snapshot */
		snprintf(s->err, sizeof(s->err),
			 "the volume or a store was changed at the same time");
	else
		snprintf(s->err, sizeof(s->err), "metadata store: %s",
			 hcv_meta_last_error());
	return HCV_OWNER_FAILED;
}

static enum hcv_owner_result place_try(struct hcv_owner_step *s,
				       enum place_how how, char *why)
{
	const struct hcv_vol_info *vol = &s->w->v.i;
	struct hcv_place_want want = {
		.replicas = vol->replicas, .stripe = vol->stripe,
		.domain = vol->domain, .owner = hcv_agent_id(s->a)->node,
		.column = s->out->column, .rows = &s->w->v.rows,
		.degraded = how != PLACE_WELL,
	};
	const struct hcv_job_info *job = s->w->v.job_rev ? &s->w->v.job : NULL;
	struct hcv_rows seen = { 0 };
	enum hcv_owner_result res = HCV_OWNER_FAILED;
	struct hcv_place_row choice = { 0 };
	struct hcv_place_store *st;
	struct hcv_row row;
	size_t nr = s->w->snap->nr_stores;

	if (hcv_place_collect(s->w->snap, &st)) {
		snprintf(why, HCV_ERR_SIZE, "out of memory");
		return HCV_OWNER_FAILED;
	}
	if (job && hcv_jobplan_place_rows(job->from, job->to, &s->w->v.rows,
					  &seen)) {
		free(st);
		snprintf(why, HCV_ERR_SIZE, "out of memory");
		return HCV_OWNER_FAILED;
	}
	if (job)
		want.rows = &seen;
	place_restrict(s, st, nr, how);
	if (hcv_place(st, nr, &want, &choice)) {
		snprintf(why, HCV_ERR_SIZE, "%s", choice.why[0] ? choice.why :
			 "the volume's definition is damaged");
	} else {
		hcv_owner_row(&s->w->v.rows, s->out->column, st, &choice, &row);
		res = place_commit(s, &row, choice.live);
	}
	hcv_model_rows_free(&seen);
	free(st);
	return res;
}

enum hcv_owner_result hcv_owner_place(struct hcv_owner_step *s)
{
	enum hcv_owner_result res;
	char why[HCV_ERR_SIZE] = "";

	/* A row beyond would have all of its stores refuse the volume. */
	if (s->w->v.rows.next >= HCV_SP_INDEX_MAX - HCV_SP_SLACK)
		return place_none(s, "it has used up its extent numbers: copy it to a new volume");
	res = place_try(s, PLACE_WELL, why);
	/* Rather a row that lacks a replica for now than a failed write. */
	if (res == HCV_OWNER_FAILED && why[0] && s->out->urgent)
		res = place_try(s, PLACE_DEGRADED, why);
	if (res == HCV_OWNER_FAILED && why[0] && s->out->urgent &&
	    s->w->v.job_rev)
		res = place_try(s, PLACE_ANYWHERE, why);
	if (res == HCV_OWNER_FAILED && why[0])
		res = place_none(s, why);
	return res;
}
