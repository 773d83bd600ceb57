// SPDX-License-Identifier: GPL-2.0-only
/*
 * The next step of a recovery job.  See jobplan.h.
 */
#include "jobplan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "elect.h"

#define JP_ELECT_STEPS	100000

static int jp_place(const struct hcv_jp_in *in, const char *store)
{
	size_t i;

	for (i = 0; i < in->rec->nr && *store; i++)
		if (!strcmp(in->rec->st[i].store, store))
			return (int)i;
	return -1;
}

static bool jp_row_has(const struct hcv_row *row, const char *store)
{
	unsigned int k;

	for (k = 0; k < row->nr && *store; k++)
		if (!strcmp(row->store[k], store))
			return true;
	return false;
}

/* The first row that has @store, and not @but; rows->nr: none. */
static size_t jp_row_of(const struct hcv_rows *rows, const char *store,
			const char *but)
{
	size_t i;

	for (i = 0; i < rows->nr; i++)
		if (jp_row_has(&rows->row[i], store) &&
		    !jp_row_has(&rows->row[i], but))
			return i;
	return i;
}

static void jp_do(struct hcv_jp_out *out, enum hcv_jp_act act,
		  const char *store, size_t row)
{
	out->act = act;
	out->store = store;
	out->row = row;
}

static void jp_wait(struct hcv_jp_out *out, const char *why)
{
	out->act = HCV_JP_WAIT;
	out->why = why;
}

static void jp_end(struct hcv_jp_out *out, bool done, const char *why)
{
	out->act = HCV_JP_END;
	out->done = done;
	out->why = why;
}

/* ---------------------------------------------- whether a store may be dropped */

/* The full copies of a row; @good: only those that are in-sync and there. */
static uint32_t jp_copies(const struct hcv_jp_in *in, const struct hcv_row *row,
			  bool good)
{
	uint32_t set = 0;
	unsigned int k;
	int i;

	for (k = 0; k < row->nr; k++) {
		i = jp_place(in, row->store[k]);
		if (i < 0 || !(row->full & (1U << k)))
			continue;
		if (!good || (in->good[i] &&
			      in->rec->st[i].state == HCV_RS_INSYNC))
			set |= 1U << i;
	}
	return set;
}

/*
 * All rows of it keep as many in-sync copies as the volume is to have.  What is
 * stale may also go from rows in which nothing else has room, if one is left.
 */
static bool jp_enough(const struct hcv_jp_in *in, uint32_t bit, bool stale)
{
	bool packed = stale && !*in->to;
	unsigned int least = in->replicas, good;
	uint32_t copies;
	size_t i;

	for (i = 0; i < in->rows->nr; i++) {
		const struct hcv_row *row = &in->rows->row[i];

		if (!jp_row_has(row, in->from))
			continue;
		packed &= row->nr == HCV_ROW_STORES;
		copies = jp_copies(in, row, true) & ~bit;
		good = (unsigned int)__builtin_popcount(copies);
		if (good < least)
			least = good;
	}
	return least >= in->replicas || (packed && least);
}

/* Whether one copy of each extent can be elected, without those of @gone. */
static bool jp_electable(const struct hcv_jp_in *in, bool good, uint32_t gone)
{
	struct hcv_elect sets = { 0 };
	uint32_t chosen;
	bool ok = true;
	size_t i;

	for (i = 0; i < in->rows->nr && ok; i++)
		ok = !hcv_elect_add(&sets,
				    jp_copies(in, &in->rows->row[i], good) &
				    ~gone);
	ok = ok && hcv_elect_run(&sets, UINT32_MAX, 0, JP_ELECT_STEPS, &chosen);
	free(sets.set);
	return ok;
}

static bool jp_may_drop(const struct hcv_jp_in *in, int from)
{
	uint32_t bit = 1U << from;

	if (!jp_enough(in, bit, in->rec->st[from].state == HCV_RS_STALE))
		return false;
	/* Now, and when all are back: what is not possible anyway is no reason. */
	return (jp_electable(in, true, bit) || !jp_electable(in, true, 0)) &&
	       (jp_electable(in, false, bit) || !jp_electable(in, false, 0));
}

/* -------------------------------------------------------------------- steps */

/* Take a stale store out of the rows and the record. */
static void jp_drop(const struct hcv_jp_in *in, struct hcv_jp_out *out,
		    int place)
{
	const char *store = in->rec->st[place].store;

	if (in->tied[place])
		return jp_wait(out, "the module still has the store that goes");
	jp_do(out, HCV_JP_DROP, store, jp_row_of(in->rows, store, ""));
}

/* The target is in-sync, or there is none. */
static void jp_leave(const struct hcv_jp_in *in, struct hcv_jp_out *out)
{
	int from = jp_place(in, in->from);

	if (from < 0)
		return jp_end(out, true, NULL);
	if (!jp_may_drop(in, from))
		return jp_end(out, false,
			      "not enough in-sync copies are left without it");
	if (in->rec->st[from].state != HCV_RS_STALE)
		return jp_do(out, HCV_JP_REMOVE, in->from, 0);
	jp_drop(in, out, from);
}

static void jp_undo(const struct hcv_jp_in *in, struct hcv_jp_out *out, int to)
{
	if (to < 0)
		return jp_end(out, false, "called off");
	if (jp_row_of(in->rows, in->to, in->from) != in->rows->nr)
		return jp_end(out, false,
			      "called off, but its target has further extents: it stays");
	if (in->rec->st[to].state != HCV_RS_STALE)
		return jp_do(out, HCV_JP_REMOVE, in->to, 0);
	jp_drop(in, out, to);
}

static bool jp_has_room(const struct hcv_jp_in *in)
{
	size_t i;

	for (i = 0; i < in->rows->nr; i++)
		if (in->rows->row[i].nr == HCV_ROW_STORES &&
		    jp_row_has(&in->rows->row[i], in->from))
			return false;
	return true;
}

static void jp_fill(const struct hcv_jp_in *in, struct hcv_jp_out *out, int to)
{
	size_t row = jp_row_of(in->rows, in->from, in->to);

	if (to < 0 && row == in->rows->nr)
		return jp_end(out, false, "there is nothing to be replaced");
	if (to < 0 && in->rec->nr == HCV_REC_STORES)
		return jp_end(out, false, "the volume is on as many stores as is possible");
	if (to < 0 && !jp_has_room(in))
		return jp_end(out, false, "an extent is on as many stores as is possible");
	if (row == in->rows->nr ||
	    (to >= 0 && in->rec->st[to].state != HCV_RS_STALE))
		return jp_wait(out, NULL);
	jp_do(out, HCV_JP_ADD, in->to, row);
}

void hcv_jobplan_next(const struct hcv_jp_in *in, struct hcv_jp_out *out)
{
	int to = jp_place(in, in->to);

	memset(out, 0, sizeof(*out));
	if (in->rec->phase != HCV_PH_SERVING)
		return jp_wait(out, "nobody serves the volume");
	if (!*in->to || (to >= 0 && in->rec->st[to].state == HCV_RS_INSYNC))
		jp_leave(in, out);
	else if (in->cancel)
		jp_undo(in, out, to);
	else
		jp_fill(in, out, to);
}

bool hcv_jobplan_holds(const struct hcv_jp_in *in, const char *store)
{
	int place = jp_place(in, store), to = jp_place(in, in->to);

	if (place < 0 || in->rec->st[place].state != HCV_RS_STALE)
		return false;
	if (!strcmp(store, in->to))
		return in->cancel ||
		       jp_row_of(in->rows, in->from, in->to) != in->rows->nr;
	if (strcmp(store, in->from))
		return false;
	/* On its way out, unless it is needed after all. */
	if (*in->to && (to < 0 || in->rec->st[to].state != HCV_RS_INSYNC))
		return false;
	return jp_may_drop(in, place);
}

bool hcv_jobplan_takes(const struct hcv_job_info *job,
		       const struct hcv_rows *rows)
{
	return !job->cancel && *job->to &&
	       jp_row_of(rows, job->to, "") != rows->nr &&
	       jp_row_of(rows, job->from, job->to) == rows->nr;
}

/* Without @store, if it is there. */
static void jp_row_cut(struct hcv_row *row, const char *store)
{
	unsigned int k;

	for (k = 0; k < row->nr && strcmp(row->store[k], store); k++)
		;
	if (k == row->nr)
		return;
	row->nr--;
	memmove(row->store[k], row->store[k + 1],
		(size_t)(row->nr - k) * HCV_ID_LEN);
	row->full = (uint8_t)((row->full & ((1U << k) - 1)) |
			      (row->full >> (k + 1) << k));
}

int hcv_jobplan_place_rows(const char *from, const char *to,
			   const struct hcv_rows *rows, struct hcv_rows *out)
{
	struct hcv_row *row;
	size_t i;

	out->next = rows->next;
	out->nr = 0;
	out->row = calloc(2 * rows->nr + 1, sizeof(*row));
	if (!out->row)
		return -ENOMEM;
	for (i = 0; i < rows->nr; i++) {
		row = &out->row[out->nr++];
		*row = rows->row[i];
		if (!*to || !jp_row_has(row, from))
			continue;
		jp_row_cut(row, to);
		row[1] = *row;
		row[1].column = UINT8_MAX;
		jp_row_cut(&row[1], from);
		memcpy(row[1].store[row[1].nr], to, HCV_ID_LEN);
		row[1].full |= (uint8_t)(1U << row[1].nr++);
		out->nr++;
	}
	return 0;
}
