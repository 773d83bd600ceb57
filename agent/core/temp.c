// SPDX-License-Identifier: GPL-2.0-only
/*
 * Temporary replicas: when and where.
 */
#include "temp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* How an extent stands. */
struct temp_row {
	bool base;		/* the base has it in full */
	unsigned int good;	/* in-sync copies */
};

static struct temp_row temp_row(const struct hcv_record *rec,
				const struct hcv_row *row, const char *base)
{
	struct temp_row t = { 0 };
	size_t i;

	for (i = 0; i < row->nr; i++) {
		if (!(row->full & (1U << i)))
			continue;
		t.base |= !strcmp(row->store[i], base);
		t.good += hcv_record_insync(rec, row->store[i]);
	}
	return t;
}

/**
 * struct temp_need - what a base has
 * @extents: in full
 * @risk: of them with a single in-sync copy
 */
struct temp_need {
	size_t extents;
	size_t risk;
};

static struct temp_need temp_need(const struct hcv_record *rec,
				  const struct hcv_rows *rows,
				  const char *base)
{
	struct temp_need need = { 0 };
	struct temp_row t;
	size_t i;

	for (i = 0; i < rows->nr; i++) {
		t = temp_row(rec, &rows->row[i], base);
		if (!t.base)
			continue;
		need.extents++;
		need.risk += t.good == 1;
	}
	return need;
}

/* Whether it could be a base; the record's own rule (record_temp.h). */
static bool temp_base(const struct hcv_temp_now *now, size_t i,
		      struct temp_need *need)
{
	const struct hcv_rec_store *st = &now->rec->st[i];

	if (st->state != HCV_RS_STALE || !st->v)
		return false;
	*need = temp_need(now->rec, now->rows, st->store);
	return need->risk && need->risk == need->extents;
}

/* The place of the best base in the record, -1: there is none. */
static int temp_best(const struct hcv_temp_now *now)
{
	const struct hcv_rec_store *st = now->rec->st;
	struct temp_need best = { 0 }, need;
	int found = -1;
	size_t i;

	for (i = 0; i < now->rec->nr; i++) {
		if (!temp_base(now, i, &need))
			continue;
		if (found >= 0 &&
		    (need.risk < best.risk ||
		     (need.risk == best.risk && st[i].v <= st[found].v)))
			continue;
		best = need;
		found = (int)i;
	}
	return found;
}

static int64_t temp_again(const struct hcv_temp_now *now)
{
	int64_t pause = HCV_TEMP_AGAIN_MS;
	unsigned int i;

	if (!now->failed_ms)
		return 0;
	for (i = 1; i < now->failures && pause < HCV_TEMP_AGAIN_MAX_MS; i++)
		pause *= 2;
	return now->failed_ms + pause;
}

/* There is one: whether it still is of use. */
static void temp_keep(const struct hcv_temp_now *now,
		      const struct hcv_rec_store *t, struct hcv_temp_say *say)
{
	struct temp_need need = temp_need(now->rec, now->rows, t->base);

	/* Half of what there is. */
	if (t->pair)
		return;
	if (now->unfit)
		snprintf(say->why, sizeof(say->why),
			 "the store of the temporary replica is to be emptied");
	else if (!need.risk)
		snprintf(say->why, sizeof(say->why),
			 "no extent depends on a single copy any more");
	else
		return;
	say->act = HCV_TEMP_DROP;
	memcpy(say->store, t->store, sizeof(say->store));
}

static void temp_new(const struct hcv_temp_now *now, struct hcv_temp_say *say)
{
	int64_t since, again = temp_again(now);
	int base = temp_best(now);

	if (base < 0)
		return;
	if (!now->able) {
		snprintf(say->why, sizeof(say->why),
			 "a module or an agent of the cluster knows no temporary replicas");
		return;
	}
	/* Its removal comes first, and may change for whom it is. */
	if (now->failing)
		return;
	since = now->out_ms[base];
	say->until_ms = since ? since + now->delay_ms : 0;
	if (again > say->until_ms)
		say->until_ms = again;
	if (say->until_ms > now->now_ms) {
		snprintf(say->why, sizeof(say->why), "%s",
			 again == say->until_ms ?
			 "the temporary replica failed: it is tried again later" :
			 "a replica has left: a temporary one comes unless it is back at once");
		return;
	}
	say->until_ms = 0;
	say->act = HCV_TEMP_BEGIN;
	memcpy(say->store, now->rec->st[base].store, sizeof(say->store));
}

void hcv_temp_policy(const struct hcv_temp_now *now, struct hcv_temp_say *say)
{
	const struct hcv_rec_store *t = hcv_record_temp(now->rec);

	memset(say, 0, sizeof(*say));
	if (now->rec->phase != HCV_PH_SERVING)
		return;
	if (t)
		temp_keep(now, t, say);
	else
		temp_new(now, say);
}

/* ------------------------------------------------------------------ where */

/* The better one has more of the first that differs. */
struct temp_score {
	unsigned int apart;	/* 2: another rack, 1: another node */
	bool local;
	bool idle;
	uint32_t room;
};

static const char *temp_rack(const struct hcv_place_store *st)
{
	return *st->rack ? st->rack : st->node;
}

static bool temp_has_volume(const struct hcv_temp_where *w, const char *store)
{
	size_t i, k;

	for (i = 0; i < w->rec->nr; i++)
		if (!strcmp(w->rec->st[i].store, store))
			return true;
	for (i = 0; i < w->rows->nr; i++)
		for (k = 0; k < w->rows->row[i].nr; k++)
			if (!strcmp(w->rows->row[i].store[k], store))
				return true;
	return false;
}

static const struct hcv_place_store *
temp_find(const struct hcv_temp_where *w, const char *store)
{
	size_t i;

	for (i = 0; i < w->nr; i++)
		if (!strcmp(w->store[i].uuid, store))
			return &w->store[i];
	return NULL;
}

/* From the in-sync copies of one extent of the base. */
static unsigned int temp_apart_row(const struct hcv_temp_where *w,
				   const struct hcv_place_store *st,
				   const struct hcv_row *row)
{
	const struct hcv_place_store *other;
	unsigned int apart = 2;
	size_t k;

	for (k = 0; k < row->nr; k++) {
		if (!(row->full & (1U << k)) ||
		    !hcv_record_insync(w->rec, row->store[k]))
			continue;
		other = temp_find(w, row->store[k]);
		if (!other)
			continue;
		if (!strcmp(other->node, st->node))
			return 0;
		if (!strcmp(temp_rack(other), temp_rack(st)))
			apart = 1;
	}
	return apart;
}

static unsigned int temp_apart(const struct hcv_temp_where *w,
			       const struct hcv_place_store *st)
{
	unsigned int apart = 2, here;
	size_t i;

	for (i = 0; i < w->rows->nr && apart; i++) {
		if (!temp_row(w->rec, &w->rows->row[i], w->base).base)
			continue;
		here = temp_apart_row(w, st, &w->rows->row[i]);
		apart = here < apart ? here : apart;
	}
	return apart;
}

static bool temp_better(const struct temp_score *a, const struct temp_score *b)
{
	if (a->apart != b->apart)
		return a->apart > b->apart;
	if (a->local != b->local)
		return a->local;
	if (a->idle != b->idle)
		return a->idle;
	return a->room > b->room;
}

/* Why a store is none, the one that an operator can do most about last. */
enum temp_no { TEMP_NO_STORE, TEMP_NO_SUSPECT, TEMP_NO_LEFT, TEMP_NO_ROOM,
	       TEMP_YES };

static enum temp_no temp_may(const struct hcv_temp_where *w, size_t i,
			     size_t extents)
{
	struct hcv_place_store st = w->store[i];

	if (!st.ready || !st.live || temp_has_volume(w, st.uuid))
		return TEMP_NO_STORE;
	if (w->suspect && w->suspect[i])
		return TEMP_NO_SUSPECT;
	if (w->left && w->left[i])
		return TEMP_NO_LEFT;
	if (st.used > st.total || extents > st.total - st.used)
		return TEMP_NO_ROOM;
	st.used += (uint32_t)extents;
	return hcv_place_used_pct(&st) < HCV_PLACE_FULL ? TEMP_YES :
							  TEMP_NO_ROOM;
}

static struct temp_score temp_score(const struct hcv_temp_where *w, size_t i,
				    size_t extents)
{
	struct hcv_place_store st = w->store[i];

	st.used += (uint32_t)extents;
	return (struct temp_score){
		.apart = temp_apart(w, &st),
		.local = !strcmp(st.node, w->owner),
		.idle = hcv_place_used_pct(&st) < HCV_PLACE_BUSY,
		.room = st.total - st.used,
	};
}

static void temp_none(enum temp_no no, size_t extents, char *err)
{
	static const char *const text[] = {
		[TEMP_NO_STORE] = "there is no other live store for a temporary replica",
		[TEMP_NO_SUSPECT] = "all other stores are slow or ailing: none takes a temporary replica",
		[TEMP_NO_LEFT] = "the volume has left all other stores: none takes a temporary replica before the next attach",
	};

	if (no == TEMP_NO_ROOM)
		snprintf(err, HCV_ERR_SIZE,
			 "no store has room for a temporary replica of %zu extents",
			 extents);
	else
		snprintf(err, HCV_ERR_SIZE, "%s", text[no]);
}

int hcv_temp_place(const struct hcv_temp_where *w, size_t *choice, char *err)
{
	size_t extents = temp_need(w->rec, w->rows, w->base).extents, i;
	enum temp_no most = TEMP_NO_STORE, no;
	struct temp_score best, score;

	for (i = 0; i < w->nr; i++) {
		no = temp_may(w, i, extents);
		if (no == TEMP_YES) {
			score = temp_score(w, i, extents);
			if (most != TEMP_YES || temp_better(&score, &best)) {
				best = score;
				*choice = i;
			}
		}
		most = no > most ? no : most;
	}
	if (most == TEMP_YES)
		return 0;
	temp_none(most, extents, err);
	return -ENOSPC;
}
