// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where a replica goes that takes another one's place.
 *
 * Hard rules: a store that is well, not to be emptied, and has no part of the
 * volume yet; no failure domain in common with the replicas that stay; room
 * beyond the reserve; with failure domains missing one copy of each extent can
 * still be chosen if it could before (core/elect.h).  A new name for a store in
 * all rows changes nothing else about elections.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recplan_priv.h"

/* Lower is better; compared in this order. */
enum pick_by {
	PICK_AILING,
	PICK_REMOTE,		/* not the owner's although one is missing there */
	PICK_SAME_NODE,
	PICK_SAME_RACK,
	PICK_CAPPED,		/* it would have to wait for its turn */
	PICK_TIER,
	PICK_JOBS,		/* spread over all disks */
	PICK_PCT,
	PICK_NR
};

/* What stood in the way, for people: how many stores each. */
struct pick_no {
	unsigned int away, ours, left, group, full, avoid, rule, elect;
};

struct pick {
	const struct rp *p;
	const struct hcv_rp_vol *vol;
	size_t share;
	uint32_t peers;		/* those that stay */
	uint32_t gone;
	enum hcv_rp_kind kind;
	bool local_due;
	struct pick_no no;
};

static bool pick_same_rack(const struct hcv_rp_in *in, int a, int b)
{
	const char *ra, *rb;

	if (a < 0 || b < 0)
		return false;
	if (a == b)
		return true;
	ra = in->node[a].rack;
	rb = in->node[b].rack;
	return *ra && !strcmp(ra, rb);
}

bool rp_same_group(const struct hcv_rp_in *in, int a, int b,
		   enum hcv_domain domain)
{
	if (a < 0 || b < 0)
		return false;
	if (a == b)
		return true;
	if (domain == HCV_DOM_DISK || in->store[a].node < 0)
		return false;
	if (domain == HCV_DOM_NODE)
		return in->store[a].node == in->store[b].node;
	return pick_same_rack(in, in->store[a].node, in->store[b].node);
}

bool rp_has_local(const struct rp *p, const struct hcv_rp_vol *vol, size_t s)
{
	size_t i;

	for (i = 0; i < vol->nr; i++)
		if (vol->share[s].peers & (1U << i) && vol->owner >= 0 &&
		    !vol->free && rp_node_of(p, &vol->share[i]) == vol->owner)
			return true;
	return false;
}

static int gain_permille(int64_t used, int64_t moved, uint32_t total)
{
	return total ? (int)((2 * used + moved) * 1000 / total) : 0;
}

int rp_gain(const struct rp *p, const struct hcv_rp_share *s, size_t to)
{
	const struct hcv_rp_store *from = &p->in->store[s->store];
	const struct hcv_rp_store *at = &p->in->store[to];
	int64_t used = (int64_t)rp_used(p, (size_t)s->store) -
		       p->leaving[s->store];

	return (gain_permille(used, -(int64_t)s->extents, from->total) -
		gain_permille(rp_used(p, to), s->extents, at->total)) / 10;
}

/* ------------------------------------------------------------- hard rules */

static bool pick_has(const struct pick *k, size_t store)
{
	size_t i;

	for (i = 0; i < k->vol->nr; i++)
		if (k->vol->share[i].store == (int)store)
			return true;
	return false;
}

static bool pick_has_left(const struct pick *k, size_t store)
{
	const struct hcv_rp_in *in = k->p->in;
	size_t i;

	for (i = 0; i < in->nr_left; i++)
		if (!strcmp(in->left[i].store, in->store[store].id) &&
		    !strcmp(in->left[i].vol, k->vol->id))
			return true;
	return false;
}

static bool pick_near_peer(const struct pick *k, size_t store)
{
	size_t i;

	for (i = 0; i < k->vol->nr; i++)
		if (k->peers & (1U << i) &&
		    rp_same_group(k->p->in, k->vol->share[i].store, (int)store,
				  k->vol->domain))
			return true;
	return false;
}

static uint64_t pick_used_then(const struct pick *k, size_t store)
{
	return (uint64_t)rp_used(k->p, store) +
	       k->vol->share[k->share].extents;
}

static bool pick_has_room(const struct pick *k, size_t store)
{
	uint32_t total = k->p->in->store[store].total;
	uint64_t reserve = ((uint64_t)total * k->p->in->cfg.reserve_pct + 99) /
			   100;

	return pick_used_then(k, store) + reserve <= total;
}

/* What the kind asks for. */
static bool pick_suits(const struct pick *k, size_t store)
{
	const struct hcv_rp_store *st = &k->p->in->store[store];
	const struct hcv_rp_share *s = &k->vol->share[k->share];

	/* What need not be done is not done badly. */
	if (k->kind >= HCV_RP_DOMAIN && st->ailing)
		return false;
	if (k->kind == HCV_RP_MOVE)
		return st->node == k->vol->owner &&
		       rp_pct(pick_used_then(k, store), st->total) <= RP_MOVE;
	if (k->kind == HCV_RP_BALANCE)
		return rp_gain(k->p, s, store) >=
		       2 * (int)k->p->in->cfg.margin_pct;
	return true;
}

/* Counts the reason if not. */
static bool pick_allowed(struct pick *k, size_t store)
{
	const struct hcv_rp_in *in = k->p->in;
	const struct hcv_rp_store *st = &in->store[store];
	unsigned int *no = NULL;

	if (st->node < 0 || !rp_well(k->p, (int)store) || st->empty)
		no = &k->no.away;
	else if (pick_has(k, store))
		no = &k->no.ours;
	else if (pick_has_left(k, store))
		no = &k->no.left;
	else if (pick_near_peer(k, store))
		no = &k->no.group;
	else if (!pick_has_room(k, store))
		no = &k->no.full;
	else if (!pick_suits(k, store))
		no = &k->no.rule;
	else if (hcv_recplan_avoid(in->mem, k->vol->id, st->id) > in->now_ms)
		no = &k->no.avoid;
	if (no)
		++*no;
	return !no;
}

/* With @share on the store @to, if that is one, and without those of @gone. */
static bool pick_elections(const struct rp *p, const struct hcv_rp_vol *vol,
			   size_t share, int to, uint32_t gone)
{
	struct hcv_elect sets = { 0 };
	uint32_t group[HCV_REC_STORES] = { 0 };
	int store[HCV_REC_STORES];
	size_t i, j;
	bool ok = true;

	for (i = 0; i < vol->nr; i++) {
		store[i] = i == share && to >= 0 ? to : vol->share[i].store;
		for (j = 0; j < i; j++)
			if (rp_same_group(p->in, store[i], store[j],
					  vol->domain))
				break;
		group[j] |= 1U << i;
	}
	for (i = 0; i < vol->sets.nr && ok; i++)
		ok = !hcv_elect_add(&sets, vol->sets.set[i] & ~gone);
	ok = ok && hcv_elect_survives(&sets, group, vol->nr,
				      vol->replicas > 2 ? 2 : 1);
	free(sets.set);
	return ok;
}

bool rp_elections_without(const struct rp *p, const struct hcv_rp_vol *vol,
			  size_t share)
{
	return vol->replicas < 2 ||
	       pick_elections(p, vol, share, -1, 1U << share) ||
	       !pick_elections(p, vol, share, -1, 0);
}

/* Elections that are not possible as it is are no reason. */
static bool pick_electable(struct pick *k, size_t to)
{
	if (k->vol->replicas < 2 ||
	    pick_elections(k->p, k->vol, k->share, (int)to, k->gone) ||
	    !pick_elections(k->p, k->vol, k->share, -1, 0))
		return true;
	k->no.elect++;
	return false;
}

/* ------------------------------------------------------------- which first */

static void pick_score(const struct pick *k, size_t store,
		       unsigned int by[PICK_NR])
{
	const struct hcv_rp_in *in = k->p->in;
	const struct hcv_rp_store *st = &in->store[store];
	unsigned int pct = rp_pct(pick_used_then(k, store), st->total);
	size_t i;

	memset(by, 0, PICK_NR * sizeof(*by));
	by[PICK_AILING] = st->ailing;
	by[PICK_REMOTE] = k->local_due &&
			  !(st->node == k->vol->owner && pct < RP_FULL);
	by[PICK_CAPPED] =
		rp_node_jobs(k->p, st->node, k->kind) >= in->cfg.per_node ||
		rp_store_jobs(k->p, store, k->kind) >= in->cfg.per_store;
	by[PICK_TIER] = (pct >= RP_BUSY) + (pct >= RP_FULL);
	by[PICK_JOBS] = rp_store_jobs(k->p, store, HCV_RP_MOVE);
	by[PICK_PCT] = pct;
	for (i = 0; i < k->vol->nr; i++) {
		int node = rp_node_of(k->p, &k->vol->share[i]);

		if (!(k->peers & (1U << i)))
			continue;
		by[PICK_SAME_NODE] |= node == st->node;
		by[PICK_SAME_RACK] |= pick_same_rack(in, node, st->node);
	}
}

/* Equal ones: by UUID, so that the order of the list does not matter. */
static int pick_order(const struct pick *k, size_t a, size_t b)
{
	unsigned int by_a[PICK_NR], by_b[PICK_NR], i;

	pick_score(k, a, by_a);
	pick_score(k, b, by_b);
	for (i = 0; i < PICK_NR; i++)
		if (by_a[i] != by_b[i])
			return by_a[i] < by_b[i] ? -1 : 1;
	return strcmp(k->p->in->store[a].id, k->p->in->store[b].id);
}

/* The best one that comes after @last (-1: of all), or -1. */
static int pick_next(struct pick *k, int last)
{
	int found = -1;
	size_t i;

	for (i = 0; i < k->p->in->nr_stores; i++) {
		if (!pick_allowed(k, i) ||
		    (last >= 0 && pick_order(k, i, (size_t)last) <= 0))
			continue;
		if (found < 0 || pick_order(k, i, (size_t)found) < 0)
			found = (int)i;
	}
	return found;
}

static void pick_say(const struct pick_no *no, char *why)
{
	const struct {
		unsigned int nr;
		const char *what;
	} say[] = {
		{ no->away, "away, failed or to be emptied" },
		{ no->ours, "part of the volume already" },
		{ no->left, "left by it, with something to be freed still" },
		{ no->group, "in the failure domain of another replica" },
		{ no->full, "too full" },
		{ no->rule, "not worth it" },
		{ no->avoid, "to be tried again later" },
		{ no->elect, "ruled out by elections after a crash" },
	};
	size_t i, len;

	snprintf(why, HCV_RP_WHY, "no store can take it");
	for (i = 0; i < sizeof(say) / sizeof(say[0]); i++) {
		len = strlen(why);
		if (say[i].nr)
			snprintf(why + len, HCV_RP_WHY - len, "%s%u %s",
				 strchr(why, ':') ? ", " : ": ", say[i].nr,
				 say[i].what);
	}
}

int rp_pick(const struct rp *p, size_t vol, size_t share, int but,
	    enum hcv_rp_kind kind, char *why)
{
	struct pick k = {
		.p = p, .vol = &p->in->vol[vol], .share = share, .kind = kind,
		.gone = but < 0 ? 0 : 1U << but,
	};
	int found = -1;

	k.peers = k.vol->share[share].peers & ~k.gone;
	k.local_due = k.vol->owner >= 0 && !k.vol->free &&
		      !rp_has_local(p, k.vol, share);
	if (k.vol->nr == HCV_REC_STORES && but < 0) {
		snprintf(why, HCV_RP_WHY,
			 "the volume lies on %d stores already, which is the limit",
			 HCV_REC_STORES);
		return -1;
	}
	do {
		/* Each round counts them anew. */
		k.no = (struct pick_no){ .elect = k.no.elect };
		found = pick_next(&k, found);
	} while (found >= 0 && !pick_electable(&k, (size_t)found));
	if (found < 0)
		pick_say(&k.no, why);
	return found;
}
