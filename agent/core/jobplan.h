/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The next step of a recovery job on the node that owns the volume.  Pure.
 *
 * A job (job/VOL, docs/agent.md) has the share of one store, all extents that
 * the volume has there, take its place on another one.  The steps, each one
 * transaction or less, each repeatable:
 *
 * 1. The rows get the new store, some of them at a time; with the first ones the
 *    record names it as stale(0): nothing on it is to be trusted.
 * 2. When all rows have it, it is brought up to date like any stale store, and
 *    joins.  From here on the job cannot be called off.
 * 3. If all rows of the old store have enough in-sync copies without it, it
 *    leaves the in-sync set as if it had failed: first the module, then the
 *    record.
 * 4. Its rows go, some at a time; with the last ones it leaves the record, and
 *    a tombstone says that its extents are free.
 *
 * A job that is called off before 3 goes back through the same doors: the new
 * store leaves the rows and the record, unless it has got rows of its own by now
 * (hcv_jobplan_takes()): then it stays, and the job just ends.  If there are not enough copies in 3,
 * because another replica was lost meanwhile, the job ends there: an extent
 * has one replica more than it needs, and the recovery planner decides anew.
 *
 * Rows are never added for a store that is syncing or in-sync: a resync does not
 * see what comes while it ends.
 */
#ifndef HCV_AGENT_CORE_JOBPLAN_H
#define HCV_AGENT_CORE_JOBPLAN_H

#include "model.h"

/**
 * enum hcv_jp_act - what to do next
 * @HCV_JP_WAIT: for the target to get in-sync, or @why
 * @HCV_JP_ADD: rows from @row on get the target; the record too, if it lacks it
 * @HCV_JP_REMOVE: record: @store becomes stale, v + 1
 * @HCV_JP_DROP: rows from @row on lose @store; if these are all, the record as
 *	well, and a tombstone tells @store to free all it has of the volume
 * @HCV_JP_END: the job is over; @done: it did what it was for
 * @HCV_JP_FAIL: tell that the target cannot be filled; never from
 *	hcv_jobplan_next(), which does not know of tries
 * @HCV_JP_RELEASE: VOL_LINK_DROP @store, which the module has in-sync: it is to
 *	be removed; never from hcv_jobplan_next(), which says REMOVE
 */
enum hcv_jp_act {
	HCV_JP_WAIT,
	HCV_JP_ADD,
	HCV_JP_REMOVE,
	HCV_JP_DROP,
	HCV_JP_END,
	HCV_JP_FAIL,
	HCV_JP_RELEASE
};

/**
 * struct hcv_jp_in - everything that a step rests on
 * @from, @to: stores; @to "": @from is only to go
 * @cancel: called off
 * @replicas: of the volume
 * @rec, @rows: as read
 * @good: by place in the record: in-sync, and its store is well
 * @tied: the same: the module has a device of it, or is not known not to
 */
struct hcv_jp_in {
	const char *from;
	const char *to;
	bool cancel;
	unsigned int replicas;
	const struct hcv_record *rec;
	const struct hcv_rows *rows;
	bool good[HCV_REC_STORES];
	bool tied[HCV_REC_STORES];
};

/** struct hcv_jp_out - one step; members as told at enum hcv_jp_act */
struct hcv_jp_out {
	enum hcv_jp_act act;
	const char *store;
	size_t row;
	bool done;
	const char *why;
};

/** hcv_jobplan_next() - the next step */
void hcv_jobplan_next(const struct hcv_jp_in *in, struct hcv_jp_out *out);

/**
 * hcv_jobplan_holds() - whether the store may not be brought up to date yet,
 * since not all rows have it, or since it is to go
 */
bool hcv_jobplan_holds(const struct hcv_jp_in *in, const char *store);

/**
 * hcv_jobplan_takes() - whether a target that is not in-sync may get new rows,
 * for a write that finds no better place
 *
 * A store says of its rows that all below an index are there, so it must have
 * those of the job first.
 */
bool hcv_jobplan_takes(const struct hcv_job_info *job,
		       const struct hcv_rows *rows);

/**
 * hcv_jobplan_place_rows() - the rows, as placement has to see them
 * @out: all rows, each one of @from twice: as it will be when the job is done,
 *	and as when it is called off; hcv_model_rows_free()
 *
 * Copies have to be electable both ways.  Rows that are there twice belong to no
 * column the second time.  Return: 0 or -ENOMEM.
 */
int hcv_jobplan_place_rows(const char *from, const char *to,
			   const struct hcv_rows *rows, struct hcv_rows *out);

#endif /* HCV_AGENT_CORE_JOBPLAN_H */
