// SPDX-License-Identifier: GPL-2.0-only
/*
 * Placement: which stores the next extent of a volume goes to.
 *
 * One replica after the other, with a lexicographic score.  For the rule that
 * forbids two replicas in one group (disk, node or rack) the first try is
 * enough: any order of picks from different groups can be completed as long as
 * enough groups have room.  The rule about elections depends on the whole row,
 * so the next best picks are tried when a row breaks it.
 */
#include "placement.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elect.h"

/* Rows looked at before giving up. */
#define HCV_PLACE_TRIES 1000

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
	/* stores as bits, as far as the volume uses them */
	char id[HCV_REC_STORES][HCV_ID_LEN];
	size_t nr_id;
	struct hcv_elect sets;	/* of the rows so far */
	bool elections;		/* the rule about them is to be kept */
	unsigned int tries;
	bool refused;		/* by that rule, at least once */
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

/*
 * The order of two stores.  Equal ones: by UUID, so that the answer does not
 * depend on the order of the list.
 */
static int hcv_place_order(const struct hcv_place_state *ps, size_t a,
			   size_t b)
{
	struct hcv_place_score sa = hcv_place_score(ps, a);
	struct hcv_place_score sb = hcv_place_score(ps, b);
	int cmp = hcv_place_compare(&sa, &sb);

	return cmp ? cmp : strcmp(ps->store[a].uuid, ps->store[b].uuid);
}

/* The best store for the next replica that comes after @last, or nr. */
static size_t hcv_place_pick(const struct hcv_place_state *ps, size_t last)
{
	size_t i, found = ps->nr;

	for (i = 0; i < ps->nr; i++) {
		if (!hcv_place_allowed(ps, i))
			continue;
		if (last != ps->nr && hcv_place_order(ps, i, last) <= 0)
			continue;
		if (found == ps->nr || hcv_place_order(ps, i, found) < 0)
			found = i;
	}
	return found;
}

/* The bit of a store, which is given one if need be; 0: too many. */
static uint32_t hcv_place_bit(struct hcv_place_state *ps, const char *uuid)
{
	size_t i;

	for (i = 0; i < ps->nr_id; i++)
		if (!strcmp(ps->id[i], uuid))
			return 1U << i;
	if (ps->nr_id == HCV_REC_STORES)
		return 0;
	snprintf(ps->id[ps->nr_id], HCV_ID_LEN, "%s", uuid);
	return 1U << ps->nr_id++;
}

static const struct hcv_place_store *
hcv_place_find(const struct hcv_place_state *ps, const char *uuid)
{
	size_t i;

	for (i = 0; i < ps->nr; i++)
		if (!strcmp(ps->store[i].uuid, uuid))
			return &ps->store[i];
	return NULL;
}

/*
 * With as many failure domains gone as the volume should stand, a copy of each
 * extent can still be elected after an unclean stop.  Stores that are not
 * known any more count for themselves.
 */
static bool hcv_place_survives(const struct hcv_place_state *ps)
{
	const struct hcv_place_store *st[HCV_REC_STORES];
	uint32_t group[HCV_REC_STORES] = { 0 };
	size_t i, k;

	for (i = 0; i < ps->nr_id; i++) {
		st[i] = hcv_place_find(ps, ps->id[i]);
		for (k = 0; k < i; k++)
			if (st[i] && st[k] &&
			    hcv_place_same_group(st[i], st[k],
						 ps->want->domain))
				break;
		group[k] |= 1U << i;
	}
	return hcv_elect_survives(&ps->sets, group, ps->nr_id,
				  ps->want->replicas > 2 ? 2 : 1);
}

/* Whether the row that was put together leaves elections possible. */
static bool hcv_place_electable(struct hcv_place_state *ps)
{
	size_t nr_id = ps->nr_id, nr = ps->sets.nr;
	uint32_t set = 0;
	unsigned int i;
	bool ok;

	if (!ps->elections)
		return true;
	for (i = 0; i < ps->row->nr; i++)
		set |= hcv_place_bit(ps, ps->store[ps->row->store[i]].uuid);
	/* Without memory: better no place than a wrong one. */
	ok = !hcv_elect_add(&ps->sets, set) && hcv_place_survives(ps);
	ps->nr_id = nr_id;
	ps->sets.nr = nr;
	ps->refused |= !ok;
	return ok;
}

/*
 * Rows so far.  One copy each leaves nothing to elect; and rows that break the
 * rule already (of an older version) are no reason to stop the volume.
 */
static void hcv_place_sets(struct hcv_place_state *ps)
{
	const struct hcv_rows *rows = ps->want->rows;
	bool known = true;
	uint32_t set, bit;
	unsigned int k;
	size_t i;

	if (ps->want->replicas < 2)
		return;
	for (i = 0; i < rows->nr && known; i++) {
		set = 0;
		for (k = 0; k < rows->row[i].nr; k++) {
			bit = hcv_place_bit(ps, rows->row[i].store[k]);
			known = known && bit;
			set |= bit;
		}
		known = known && !hcv_elect_add(&ps->sets, set);
	}
	ps->elections = known && hcv_place_survives(ps);
}

/* Fill the row up from where it is; false: as it was. */
static bool hcv_place_fill(struct hcv_place_state *ps)
{
	struct hcv_place_row *row = ps->row;
	bool local_due = ps->local_due;
	size_t found = ps->nr;

	if (row->nr == ps->want->replicas)
		return row->live && hcv_place_electable(ps);
	while (ps->tries) {
		found = hcv_place_pick(ps, found);
		if (found == ps->nr)
			break;
		ps->tries--;
		if (hcv_place_local(ps, found))
			ps->local_due = false;
		row->live |= (unsigned int)ps->store[found].live << row->nr;
		row->store[row->nr++] = found;
		if (hcv_place_fill(ps))
			return true;
		row->nr--;
		row->live &= (1U << row->nr) - 1;
		ps->local_due = local_due;
	}
	return false;
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
	else if (ps->refused)
		snprintf(why, HCV_ERR_SIZE,
			 "the space that is left is on %ss whose copies could not be told apart after a crash: add a store to the %s with least free space",
			 what, what);
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
	int ret = 0;

	memset(row, 0, sizeof(*row));
	if (!want->replicas || want->replicas > HCV_ROW_STORES ||
	    !want->stripe || want->column >= want->stripe)
		return -EINVAL;
	ps.local_due = *want->owner;
	ps.links_full = hcv_place_links(store, nr, want->rows) +
		want->replicas > HCV_REC_STORES;
	ps.tries = HCV_PLACE_TRIES;
	hcv_place_sets(&ps);
	if (!hcv_place_fill(&ps))
		ret = hcv_place_fail(&ps);
	free(ps.sets.set);
	return ret;
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
