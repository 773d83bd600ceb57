// SPDX-License-Identifier: GPL-2.0-only
/*
 * Placement: which stores the next extent of a volume goes to.
 *
 * Greedy, one replica after the other, with a lexicographic score.  Greedy is
 * enough: the hard rule only forbids two replicas in one group (disk, node or
 * rack), so any order of picks from different groups can be completed as long
 * as enough groups have room.
 */
#include "placement.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Lower is better; compared in this order. */
enum hcv_place_by {
	HCV_BY_DEAD,
	HCV_BY_REMOTE,		/* not the owner's although one may be */
	HCV_BY_SAME_NODE,
	HCV_BY_SAME_RACK,
	HCV_BY_STRIPE,		/* columns beside us on the same disk */
	HCV_BY_TIER,
	HCV_BY_UNUSED,		/* the volume has nothing there yet */
	HCV_BY_USED_PCT,
	HCV_BY_NOT_FREE,	/* extents, subtracted from all there can be */
	HCV_BY_NR
};

struct hcv_place_score {
	uint32_t by[HCV_BY_NR];
};

unsigned int hcv_place_used_pct(const struct hcv_place_store *st)
{
	if (st->used >= st->total)
		return 100;
	return (uint64_t)st->used * 100 / st->total;
}

static unsigned int hcv_place_tier(const struct hcv_place_store *st)
{
	unsigned int pct = hcv_place_used_pct(st);

	return (pct >= HCV_PLACE_BUSY) + (pct >= HCV_PLACE_FULL);
}

static const char *hcv_place_rack(const struct hcv_place_store *st)
{
	return *st->rack ? st->rack : st->node;
}

static bool hcv_place_same_group(const struct hcv_place_store *a,
				 const struct hcv_place_store *b,
				 enum hcv_domain domain)
{
	switch (domain) {
	case HCV_DOM_RACK:
		return !strcmp(hcv_place_rack(a), hcv_place_rack(b));
	case HCV_DOM_NODE:
		return !strcmp(a->node, b->node);
	case HCV_DOM_DISK:
		break;
	}
	return !strcmp(a->uuid, b->uuid);
}

static bool hcv_place_row_has(const struct hcv_row *row, const char *uuid)
{
	unsigned int i;

	for (i = 0; i < row->nr && i < HCV_ROW_STORES; i++)
		if (!strcmp(row->store[i], uuid))
			return true;
	return false;
}

static bool hcv_place_uses(const struct hcv_rows *rows, const char *uuid)
{
	size_t i;

	for (i = 0; i < rows->nr; i++)
		if (hcv_place_row_has(&rows->row[i], uuid))
			return true;
	return false;
}

/* Stores the volume uses, as far as they are known. */
static unsigned int hcv_place_links(const struct hcv_place_store *store,
				    size_t nr, const struct hcv_rows *rows)
{
	unsigned int links = 0;
	size_t i;

	for (i = 0; i < nr; i++)
		links += hcv_place_uses(rows, store[i].uuid);
	return links;
}

/*
 * Columns that would share the disk with the new row: of each other column the
 * row at the same height counts, or its highest one while it is shorter.
 */
static unsigned int hcv_place_neighbours(const struct hcv_place_want *want,
					 const char *uuid)
{
	const struct hcv_row *beside[8] = { NULL };
	unsigned int height = 0, seen[8] = { 0 };
	unsigned int c, nr = 0;
	size_t i;

	for (i = 0; i < want->rows->nr; i++)
		height += want->rows->row[i].column == want->column;
	for (i = 0; i < want->rows->nr; i++) {
		const struct hcv_row *row = &want->rows->row[i];

		c = row->column;
		if (c == want->column || c >= 8 || seen[c] > height)
			continue;
		beside[c] = row;
		seen[c]++;
	}
	for (c = 0; c < 8; c++)
		nr += beside[c] && hcv_place_row_has(beside[c], uuid);
	return nr;
}

struct hcv_place_state {
	const struct hcv_place_store *store;
	size_t nr;
	const struct hcv_place_want *want;
	struct hcv_place_row *row;
	bool links_full;
	bool local_due;		/* no replica on the owner's node yet */
};

static bool hcv_place_local(const struct hcv_place_state *ps, size_t i)
{
	return *ps->want->owner &&
		!strcmp(ps->store[i].node, ps->want->owner);
}

static bool hcv_place_allowed(const struct hcv_place_state *ps, size_t i)
{
	const struct hcv_place_store *st = &ps->store[i];
	unsigned int k;

	if (!st->ready || st->used >= st->total)
		return false;
	if (!st->live && !ps->want->degraded)
		return false;
	if (ps->links_full && !hcv_place_uses(ps->want->rows, st->uuid))
		return false;
	for (k = 0; k < ps->row->nr; k++)
		if (hcv_place_same_group(st, &ps->store[ps->row->store[k]],
					 ps->want->domain))
			return false;
	return true;
}

static struct hcv_place_score hcv_place_score(const struct hcv_place_state *ps,
					      size_t i)
{
	const struct hcv_place_store *st = &ps->store[i];
	unsigned int k, tier = hcv_place_tier(st);
	struct hcv_place_score sc = { { 0 } };

	sc.by[HCV_BY_DEAD] = !st->live;
	sc.by[HCV_BY_TIER] = tier;
	sc.by[HCV_BY_USED_PCT] = hcv_place_used_pct(st);
	sc.by[HCV_BY_NOT_FREE] = UINT32_MAX - (st->total - st->used);
	sc.by[HCV_BY_STRIPE] = hcv_place_neighbours(ps->want, st->uuid);
	sc.by[HCV_BY_REMOTE] = ps->local_due &&
		!(hcv_place_local(ps, i) && tier < 2);
	for (k = 0; k < ps->row->nr; k++) {
		const struct hcv_place_store *other =
			&ps->store[ps->row->store[k]];

		sc.by[HCV_BY_SAME_NODE] |= !strcmp(st->node, other->node);
		sc.by[HCV_BY_SAME_RACK] |= !strcmp(hcv_place_rack(st),
						   hcv_place_rack(other));
	}
	if (!tier)
		sc.by[HCV_BY_UNUSED] = !hcv_place_uses(ps->want->rows,
						       st->uuid);
	return sc;
}

static int hcv_place_compare(const struct hcv_place_score *a,
			     const struct hcv_place_score *b)
{
	unsigned int i;

	for (i = 0; i < HCV_BY_NR; i++)
		if (a->by[i] != b->by[i])
			return a->by[i] < b->by[i] ? -1 : 1;
	return 0;
}

/* The best store for the next replica, or nr. */
static size_t hcv_place_pick(const struct hcv_place_state *ps)
{
	struct hcv_place_score best = { { 0 } }, sc;
	size_t i, found = ps->nr;
	int cmp;

	for (i = 0; i < ps->nr; i++) {
		if (!hcv_place_allowed(ps, i))
			continue;
		sc = hcv_place_score(ps, i);
		/* equals by UUID: the list's order must not matter */
		cmp = found == ps->nr ? -1 : hcv_place_compare(&sc, &best);
		if (cmp > 0 || (!cmp && strcmp(ps->store[i].uuid,
					       ps->store[found].uuid) > 0))
			continue;
		best = sc;
		found = i;
	}
	return found;
}

/* Groups with at least one store that passes; each counted at its first. */
static unsigned int hcv_place_groups(const struct hcv_place_state *ps,
				     bool with_room)
{
	const struct hcv_place_store *st = ps->store;
	unsigned int groups = 0;
	size_t i, k;

	for (i = 0; i < ps->nr; i++) {
		for (k = 0; k <= i; k++) {
			if (!st[k].ready || !(st[k].live || ps->want->degraded))
				continue;
			if (with_room && st[k].used >= st[k].total)
				continue;
			if (hcv_place_same_group(&st[i], &st[k],
						 ps->want->domain))
				break;
		}
		groups += k == i;
	}
	return groups;
}

static int hcv_place_fail(struct hcv_place_state *ps)
{
	static const char * const noun[] = { "disk", "node", "rack" };
	const char *what = noun[ps->want->domain];
	unsigned int ready = hcv_place_groups(ps, false);
	unsigned int room = hcv_place_groups(ps, true);
	unsigned int need = ps->want->replicas;
	char *why = ps->row->why;

	if (!ready)
		snprintf(why, HCV_ERR_SIZE,
			 "no store is ready for new extents%s",
			 ps->want->degraded ? "" : " and live");
	else if (ready < need)
		snprintf(why, HCV_ERR_SIZE,
			 "%u replica%s on different %ss need%s %u %s%s with a store that is ready; there %s %u",
			 need, need > 1 ? "s" : "", what, need > 1 ? "" : "s",
			 need, what, need > 1 ? "s" : "",
			 ready == 1 ? "is" : "are", ready);
	else if (room < need)
		snprintf(why, HCV_ERR_SIZE,
			 "%u replica%s need%s free space on %u %s%s; %u of %u %s any left",
			 need, need > 1 ? "s" : "", need > 1 ? "" : "s", need,
			 what, need > 1 ? "s" : "", room, ready,
			 room == 1 ? "has" : "have");
	else if (ps->links_full)
		snprintf(why, HCV_ERR_SIZE,
			 "the volume lies on %u stores, more are not possible, and these have too little free space",
			 HCV_REC_STORES);
	else
		snprintf(why, HCV_ERR_SIZE, "no store that is live has room");
	ps->row->nr = 0;
	ps->row->live = 0;
	return -ENOSPC;
}

int hcv_place(const struct hcv_place_store *store, size_t nr,
	      const struct hcv_place_want *want, struct hcv_place_row *row)
{
	struct hcv_place_state ps = {
		.store = store, .nr = nr, .want = want, .row = row,
	};
	size_t found;

	memset(row, 0, sizeof(*row));
	if (!want->replicas || want->replicas > HCV_ROW_STORES ||
	    !want->stripe || want->column >= want->stripe)
		return -EINVAL;
	ps.local_due = *want->owner;
	ps.links_full = hcv_place_links(store, nr, want->rows) +
		want->replicas > HCV_REC_STORES;
	while (row->nr < want->replicas) {
		found = hcv_place_pick(&ps);
		if (found == nr)
			return hcv_place_fail(&ps);
		if (hcv_place_local(&ps, found))
			ps.local_due = false;
		row->live |= (unsigned int)store[found].live << row->nr;
		row->store[row->nr++] = found;
	}
	return row->live ? 0 : hcv_place_fail(&ps);
}

void hcv_place_take(struct hcv_place_store *store,
		    const struct hcv_place_row *row)
{
	unsigned int i;

	for (i = 0; i < row->nr; i++)
		store[row->store[i]].used++;
}

enum hcv_domain hcv_place_domain(const struct hcv_place_store *store, size_t nr,
				 unsigned int replicas, bool cluster)
{
	unsigned int racks = 0;
	size_t i, k;

	for (i = 0; i < nr; i++) {
		if (!*store[i].rack)
			continue;
		for (k = 0; k < i && strcmp(store[k].rack, store[i].rack); k++)
			;
		racks += k == i;
	}
	if (racks > 1 && racks >= replicas)
		return HCV_DOM_RACK;
	return cluster ? HCV_DOM_NODE : HCV_DOM_DISK;
}
