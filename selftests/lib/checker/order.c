// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one session says of a block: whether its values can have come one after
 * the other, and which of them may be there after its end.
 *
 * Value V comes before value W (V -> W) if an operation of V ended before one
 * of W began, and if V is a failed write whose error was returned before W, a
 * write that was acknowledged, began.
 */
#include <stdlib.h>

#include "history_priv.h"

void hcv_ck_may_be(struct hcv_ck_block *blk, u64 id)
{
	blk->may = hcv_ck_grow(blk->may, blk->nr_may, &blk->cap_may,
			       sizeof(*blk->may));
	blk->may[blk->nr_may++] = id;
}

struct hcv_ck_value *hcv_ck_add(struct hcv_ck_block *blk, u64 id)
{
	struct hcv_ck_value *val;

	blk->vals = hcv_ck_grow(blk->vals, blk->nr_vals, &blk->cap_vals,
				sizeof(*blk->vals));
	val = &blk->vals[blk->nr_vals++];
	*val = (struct hcv_ck_value){
		.id = id, .first_end = HCV_CK_NEVER, .write_end = HCV_CK_NEVER,
	};
	return val;
}

struct hcv_ck_value *hcv_ck_find(struct hcv_ck_block *blk, u64 id)
{
	u32 i;

	for (i = blk->nr_vals; i-- > 1;)
		if (blk->vals[i].id == id)
			return &blk->vals[i];
	return NULL;
}

/* --- can they have come one after the other */

/* Nothing is known of a write that was not acknowledged and not read. */
static bool hcv_ck_happened(const struct hcv_ck_value *val)
{
	return val->acked || val->read;
}

static bool hcv_ck_failed(const struct hcv_ck_value *val)
{
	return !val->acked && val->write_end != HCV_CK_NEVER;
}

static u64 hcv_ck_base_id(const struct hcv_ck_block *blk,
			  const struct hcv_ck_value *val)
{
	return val == blk->vals ? blk->may[0] : val->id;
}

static void hcv_ck_conflict(struct hcv_ck *ck, u32 block,
			    const struct hcv_ck_value *a,
			    const struct hcv_ck_value *b)
{
	const struct hcv_ck_value *old = a, *new = b;
	struct hcv_ck_words was;

	if (a->write_begin > b->write_begin) {
		old = b;
		new = a;
	}
	was = hcv_ck_words(hcv_ck_base_id(&ck->blocks[block], old));
	if (new->acked && old->write_end < new->write_begin &&
	    old->last_begin > new->write_end)
		hcv_ck_fault(ck, HCV_CK_F_STALE,
			     "block %u, event %llu: a read of %s began, though %s was acknowledged in event %llu",
			     block, old->last_begin, was.text,
			     hcv_ck_words(new->id).text, new->write_end);
	else
		hcv_ck_fault(ck, HCV_CK_F_BACK,
			     "block %u: %s (an operation ended in event %llu, one began in %llu) and %s (%llu, %llu) each come before the other",
			     block, was.text, old->first_end, old->last_begin,
			     hcv_ck_words(new->id).text, new->first_end,
			     new->last_begin);
}

static int hcv_ck_by_end(const void *a, const void *b)
{
	const struct hcv_ck_value *const *x = a, *const *y = b;

	return (*x)->first_end < (*y)->first_end ? -1 :
		(*x)->first_end > (*y)->first_end;
}

/*
 * Two values come before each other exactly if both span some time (an
 * operation ended before another one began) and the spans overlap, or if one
 * does not and lies within the span of the other.
 *
 * @span: room for all values. Return: whether there is a pair; the first one is
 * reported.
 */
static bool hcv_ck_check_spans(struct hcv_ck *ck, u32 block,
			       const struct hcv_ck_value **span)
{
	struct hcv_ck_block *blk = &ck->blocks[block];
	const struct hcv_ck_value *val;
	u32 i, low, high, mid, nr = 0;

	for (i = 0; i < blk->nr_vals; i++)
		if (hcv_ck_happened(&blk->vals[i]) &&
		    blk->vals[i].first_end < blk->vals[i].last_begin)
			span[nr++] = &blk->vals[i];
	qsort(span, nr, sizeof(*span), hcv_ck_by_end);
	for (i = 1; i < nr; i++)
		if (span[i]->first_end < span[i - 1]->last_begin) {
			hcv_ck_conflict(ck, block, span[i - 1], span[i]);
			return true;
		}
	for (i = 0; i < blk->nr_vals && nr; i++) {
		val = &blk->vals[i];
		if (!hcv_ck_happened(val) || val->first_end < val->last_begin)
			continue;
		/* The last span that starts before it began. */
		for (low = 0, high = nr; low < high;) {
			mid = (low + high) / 2;
			if (span[mid]->first_end < val->last_begin)
				low = mid + 1;
			else
				high = mid;
		}
		if (low && val->first_end < span[low - 1]->last_begin) {
			hcv_ck_conflict(ck, block, span[low - 1], val);
			return true;
		}
	}
	return false;
}

/*
 * A failed write must not be seen behind a write that began after the error and
 * was acknowledged, nor behind what comes behind that.
 */
static void hcv_ck_check_late(struct hcv_ck *ck, u32 block,
			      const struct hcv_ck_value *failed)
{
	struct hcv_ck_block *blk = &ck->blocks[block];
	u64 end = HCV_CK_NEVER, first;
	const struct hcv_ck_value *val;
	u64 newer = 0;

	for (val = blk->vals; val < blk->vals + blk->nr_vals; val++)
		if (val->acked && val->write_begin > failed->write_end &&
		    val->first_end < end) {
			end = val->first_end;
			newer = val->id;
		}
	/* Further behind there is nothing: the spans of two in between overlap. */
	first = end;
	for (val = blk->vals; val < blk->vals + blk->nr_vals; val++)
		if (val != failed && hcv_ck_happened(val) &&
		    val->last_begin > first && val->first_end < end)
			end = val->first_end;
	if (failed->last_begin > end)
		hcv_ck_fault(ck, HCV_CK_F_LATE,
			     "block %u, event %llu: a read began and returned %s, which had failed in event %llu, before %s was written",
			     block, failed->last_begin,
			     hcv_ck_words(failed->id).text, failed->write_end,
			     hcv_ck_words(newer).text);
}

/* --- what may be there afterwards */

/* The latest begin in a set of values, and that without the value of it. */
struct hcv_ck_latest {
	u64 begin, other_begin;
	const struct hcv_ck_value *val;
	u64 acked_write;	/* begin of the latest acknowledged write */
};

static void hcv_ck_join(struct hcv_ck_latest *set,
			const struct hcv_ck_value *val)
{
	if (val->last_begin > set->begin) {
		if (set->val != val)
			set->other_begin = set->begin;
		set->begin = val->last_begin;
		set->val = val;
	} else if (val != set->val && val->last_begin > set->other_begin) {
		set->other_begin = val->last_begin;
	}
	if (val->acked && val->write_begin > set->acked_write)
		set->acked_write = val->write_begin;
}

static bool hcv_ck_before(const struct hcv_ck_latest *set,
			  const struct hcv_ck_value *val)
{
	u64 begin = set->val == val ? set->other_begin : set->begin;

	return val->first_end < begin ||
		(hcv_ck_failed(val) && val->write_end < set->acked_write);
}

/* Marks values that come before a durable one; returns the latest durable one
 * besides that of the session's start, or NULL.
 */
static const struct hcv_ck_value *hcv_ck_mark(struct hcv_ck_block *blk,
					      u64 flushed)
{
	struct hcv_ck_latest set = {};
	const struct hcv_ck_value *floor = NULL;
	struct hcv_ck_value *val;
	bool more = true;

	for (val = blk->vals + 1; val < blk->vals + blk->nr_vals; val++) {
		if (val->first_end >= flushed && !(val->fua && val->acked))
			continue;
		hcv_ck_join(&set, val);
		if (!floor || floor->write_begin < val->write_begin)
			floor = val;
	}
	while (more) {
		more = false;
		for (val = blk->vals; val < blk->vals + blk->nr_vals; val++) {
			if (val->before || !hcv_ck_before(&set, val))
				continue;
			val->before = true;
			hcv_ck_join(&set, val);
			more = true;
		}
	}
	return floor;
}

static void hcv_ck_settle(struct hcv_ck *ck, struct hcv_ck_block *blk,
			  u64 flushed, bool tail)
{
	const struct hcv_ck_value *floor = hcv_ck_mark(blk, flushed);
	u32 i;

	if (floor) {
		blk->floor = floor->id;
		blk->floor_read = false;
	}
	if (blk->vals[0].before)
		blk->nr_may = 0;
	if (tail || blk->nr_vals > 1)
		blk->settled = false;
	for (i = 1; i < blk->nr_vals; i++)
		if (!blk->vals[i].before)
			hcv_ck_may_be(blk, blk->vals[i].id);
	if (tail)
		hcv_ck_may_be(blk, hcv_ck_id(ck->session, HCV_CK_WRITERS - 1,
					     HCV_CK_SEQ_MAX));
}

void hcv_ck_end(struct hcv_ck *ck, enum hcv_ck_end how)
{
	const struct hcv_ck_value **room = NULL;
	struct hcv_ck_block *blk;
	u32 b, i, nr, cap = 0;
	bool tail = false;

	if (ck->ended) {
		hcv_ck_note_events(ck, "the session has ended before");
		return;
	}
	ck->now++;
	for (i = 0; i < ck->nr_streams; i++) {
		if (ck->streams[i].session != ck->session)
			continue;
		if (!ck->streams[i].over)
			ck->streams[i].tail = true;
		ck->streams[i].over = true;
		tail |= ck->streams[i].tail;
	}
	for (b = 0; b < ck->nr_blocks; b++) {
		blk = &ck->blocks[b];
		for (nr = cap; nr < blk->nr_vals; nr = cap)
			room = hcv_ck_grow(room, nr, &cap, sizeof(*room));
		if (!hcv_ck_check_spans(ck, b, room))
			for (i = 1; i < blk->nr_vals; i++)
				if (blk->vals[i].read &&
				    hcv_ck_failed(&blk->vals[i]))
					hcv_ck_check_late(ck, b, &blk->vals[i]);
		hcv_ck_settle(ck, blk, how == HCV_CK_CLEAN ? ck->now :
			      ck->flushed, tail);
	}
	free(room);
	ck->ended = true;
}
