// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the recovery planner wants done, and in which order.  See recplan.h.
 */
#include "recplan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recplan_priv.h"

/* Something to be done; a list of these is sorted by urgency. */
struct rp_need {
	size_t vol;
	size_t share;
	enum hcv_rp_kind kind;
	unsigned int copies;		/* in-sync ones that are left */
	int64_t since_ms;
	char why[HCV_RP_WHY];
};

struct rp_needs {
	struct rp_need *need;
	size_t nr, room;
};

static const char *const rp_kind_names[HCV_RP_KINDS] = {
	[HCV_RP_REPAIR] = "repair",
	[HCV_RP_TRIM] = "trim",
	[HCV_RP_DRAIN] = "drain",
	[HCV_RP_DOMAIN] = "domain",
	[HCV_RP_BALANCE] = "balance",
	[HCV_RP_MOVE] = "move",
};

const char *hcv_recplan_kind_name(enum hcv_rp_kind kind)
{
	return (size_t)kind < HCV_RP_KINDS ? rp_kind_names[kind] : "unknown";
}

int hcv_recplan_kind_parse(const char *name)
{
	int i;

	for (i = 0; i < HCV_RP_KINDS; i++)
		if (!strcmp(name, rp_kind_names[i]))
			return i;
	return -1;
}

void hcv_recplan_defaults(struct hcv_rp_cfg *cfg)
{
	*cfg = (struct hcv_rp_cfg){
		.absent_ms = 10 * 60 * 1000,
		.failed_ms = 30 * 1000,
		.settle_ms = 6LL * 60 * 60 * 1000,
		.target_ms = 60 * 1000,
		.care_idle_ms = 15 * 1000,
		.care_take_ms = 30 * 1000,
		.per_node = 4,
		.per_store = 2,
		.reserve_pct = 5,
		.margin_pct = 10,
	};
}

void hcv_recplan_free(struct hcv_rp_plan *plan)
{
	free(plan->start);
	free(plan->cancel);
	free(plan->blocked);
	free(plan->work);
	memset(plan, 0, sizeof(*plan));
}

/* -------------------------------------------------------------------- lists */

/* Room for one more of @size bytes; NULL, and noted, without memory. */
static void *rp_push(struct rp *p, void **list, size_t *nr, size_t size)
{
	char *grown;

	/* Powers of two, by the number itself. */
	if (!(*nr & (*nr - 1)) || !*nr) {
		grown = realloc(*list, (*nr ? 2 * *nr : 1) * size);
		if (!grown) {
			p->nomem = true;
			return NULL;
		}
		*list = grown;
	}
	grown = (char *)*list + *nr * size;
	memset(grown, 0, size);
	++*nr;
	return grown;
}

static void rp_block(struct rp *p, const struct rp_need *n, const char *why)
{
	struct hcv_rp_blocked *b;

	b = rp_push(p, (void **)&p->out->blocked, &p->out->nr_blocked,
		    sizeof(*b));
	if (!b)
		return;
	b->vol = n->vol;
	b->share = n->share;
	b->kind = n->kind;
	snprintf(b->why, sizeof(b->why), "%s", why);
}

__attribute__((format(printf, 6, 7)))
static void rp_want(struct rp *p, struct rp_needs *list, size_t vol,
		    size_t share, enum hcv_rp_kind kind, const char *fmt, ...)
{
	const struct hcv_rp_share *s = &p->in->vol[vol].share[share];
	struct rp_need *n;
	va_list ap;

	n = rp_push(p, (void **)&list->need, &list->nr, sizeof(*n));
	if (!n)
		return;
	n->vol = vol;
	n->share = share;
	n->kind = kind;
	n->copies = s->min_good +
		    (s->state == HCV_RS_INSYNC && rp_well(p, s->store));
	n->since_ms = s->stale_ms;
	if (s->store >= 0 && p->in->store[s->store].gone_ms)
		n->since_ms = p->in->store[s->store].gone_ms;
	va_start(ap, fmt);
	vsnprintf(n->why, sizeof(n->why), fmt, ap);
	va_end(ap);
}

static int rp_need_order(const void *a, const void *b)
{
	const struct rp_need *na = a, *nb = b;

	if (na->kind != nb->kind)
		return na->kind < nb->kind ? -1 : 1;
	if (na->copies != nb->copies)
		return na->copies < nb->copies ? -1 : 1;
	if (na->since_ms != nb->since_ms)
		return na->since_ms < nb->since_ms ? -1 : 1;
	if (na->vol != nb->vol)
		return na->vol < nb->vol ? -1 : 1;
	return na->share < nb->share ? -1 : na->share > nb->share;
}

/* ------------------------------------------------------------- a share's state */

static bool rp_insync(const struct rp *p, const struct hcv_rp_share *s)
{
	return s->state == HCV_RS_INSYNC && rp_well(p, s->store);
}

static bool rp_to_empty(const struct rp *p, const struct hcv_rp_share *s)
{
	return s->store >= 0 && p->in->store[s->store].empty;
}

/* Whether its time to come back is over. */
static bool rp_lost(const struct rp *p, const struct hcv_rp_share *s)
{
	const struct hcv_rp_cfg *cfg = &p->in->cfg;
	const struct hcv_rp_store *st;

	if (s->store < 0)
		return true;		/* its store was forgotten */
	st = &p->in->store[s->store];
	if (rp_well(p, s->store))
		return s->stale_ms &&
		       p->in->now_ms - s->stale_ms >= cfg->absent_ms;
	return st->gone_ms && p->in->now_ms - st->gone_ms >=
			      (st->failed ? cfg->failed_ms : cfg->absent_ms);
}

/* Its owner ended the last job for it without success. */
static bool rp_stayed(const struct rp *p, const struct hcv_rp_vol *vol,
		      const struct hcv_rp_share *s)
{
	return s->store >= 0 && p->in->mem &&
	       hcv_recplan_stayed(p->in->mem, vol->id,
				  p->in->store[s->store].id) > p->in->now_ms;
}

static bool rp_served(const struct rp *p, const struct hcv_rp_vol *vol)
{
	return vol->owner >= 0 && p->in->node[vol->owner].live;
}

static bool rp_crowded(const struct rp *p, const struct hcv_rp_vol *vol,
		       size_t s)
{
	size_t i;

	for (i = 0; i < vol->nr; i++)
		if (vol->share[s].peers & (1U << i) &&
		    rp_same_group(p->in, vol->share[i].store,
				  vol->share[s].store, vol->domain))
			return true;
	return false;
}

static bool rp_is_local(const struct rp *p, const struct hcv_rp_vol *vol,
			const struct hcv_rp_share *s)
{
	return !vol->free && vol->owner >= 0 && rp_node_of(p, s) == vol->owner;
}

/* All replicas are there and in-sync: time for what is not urgent. */
static bool rp_healthy(const struct rp *p, const struct hcv_rp_vol *vol)
{
	size_t i;

	for (i = 0; i < vol->nr; i++)
		if (vol->share[i].extents && !rp_insync(p, &vol->share[i]))
			return false;
	return vol->nr;
}

/* ------------------------------------------------------- what has to be done */

/*
 * Whether a share may go without one to replace it.  Normally every row keeps
 * as many in-sync copies as the volume is to have.  What is away for a moment
 * stays: once it is back another one may be of less use.  A row that has no room
 * for another store may lose one that is gone for good, since nothing else
 * would ever make room.
 */
static bool rp_spare(const struct rp *p, const struct hcv_rp_vol *vol,
		     size_t share)
{
	const struct hcv_rp_share *s = &vol->share[share];

	if (!s->extents || s->min_stores <= vol->replicas ||
	    !rp_elections_without(p, vol, share))
		return false;
	if (s->min_good >= vol->replicas)
		return rp_insync(p, s) || rp_lost(p, s) || rp_to_empty(p, s);
	return s->min_good && s->min_stores == HCV_ROW_STORES &&
	       s->state == HCV_RS_STALE && rp_lost(p, s);
}

/* Which one of the spare shares goes: the least useful. */
static unsigned int rp_spare_rank(const struct rp *p,
				  const struct hcv_rp_vol *vol, size_t s)
{
	const struct hcv_rp_share *share = &vol->share[s];

	if (!rp_insync(p, share))
		return 4;
	if (rp_to_empty(p, share))
		return 3;
	if (rp_crowded(p, vol, s))
		return 2;
	return !rp_is_local(p, vol, share);
}

static bool rp_need_trim(struct rp *p, struct rp_needs *list, size_t v)
{
	const struct hcv_rp_vol *vol = &p->in->vol[v];
	size_t i, best = vol->nr;

	for (i = 0; i < vol->nr; i++) {
		if (!rp_spare(p, vol, i))
			continue;
		if (best == vol->nr || rp_spare_rank(p, vol, i) >
				       rp_spare_rank(p, vol, best))
			best = i;
	}
	if (best == vol->nr)
		return false;
	rp_want(p, list, v, best, HCV_RP_TRIM,
		"its extents are on more stores than the volume has replicas");
	return true;
}

/* It may just go once enough of those that may still come back are there. */
static bool rp_expendable(const struct rp *p, const struct hcv_rp_vol *vol,
			  size_t s)
{
	const struct hcv_rp_share *share = &vol->share[s];
	unsigned int lost = 1;
	size_t i;

	for (i = 0; i < vol->nr; i++)
		lost += share->peers & (1U << i) &&
			rp_lost(p, &vol->share[i]);
	return share->min_stores >= vol->replicas + lost &&
	       rp_elections_without(p, vol, s);
}

static bool rp_need_repair(struct rp *p, struct rp_needs *list, size_t v)
{
	const struct hcv_rp_vol *vol = &p->in->vol[v];
	bool found = false;
	size_t i;

	for (i = 0; i < vol->nr; i++) {
		const struct hcv_rp_share *s = &vol->share[i];

		if (!s->extents || rp_insync(p, s) || rp_expendable(p, vol, i))
			continue;
		if (!rp_lost(p, s) && !rp_to_empty(p, s))
			continue;
		/* What is just coming back does so. */
		if (s->state == HCV_RS_SYNCING && rp_well(p, s->store) &&
		    !rp_to_empty(p, s))
			continue;
		rp_want(p, list, v, i, HCV_RP_REPAIR,
			rp_well(p, s->store) ?
			"the replica does not get in-sync again" :
			s->store >= 0 && p->in->store[s->store].failed ?
			"its store has failed" :
			"its store is gone");
		found = true;
	}
	return found;
}

static bool rp_need_drain(struct rp *p, struct rp_needs *list, size_t v)
{
	const struct hcv_rp_vol *vol = &p->in->vol[v];
	bool found = false;
	size_t i;

	for (i = 0; i < vol->nr; i++) {
		if (!vol->share[i].extents || !rp_insync(p, &vol->share[i]) ||
		    !rp_to_empty(p, &vol->share[i]))
			continue;
		rp_want(p, list, v, i, HCV_RP_DRAIN,
			"its store is being emptied");
		found = true;
	}
	return found;
}

static bool rp_need_domain(struct rp *p, struct rp_needs *list, size_t v)
{
	const struct hcv_rp_vol *vol = &p->in->vol[v];
	size_t i, best = vol->nr;

	for (i = 0; i < vol->nr; i++) {
		if (!vol->share[i].extents || !rp_crowded(p, vol, i))
			continue;
		if (best == vol->nr ||
		    rp_is_local(p, vol, &vol->share[best]))
			best = i;
	}
	if (best == vol->nr)
		return false;
	rp_want(p, list, v, best, HCV_RP_DOMAIN,
		"another replica is in the same failure domain");
	return true;
}

/* A node without a store to put anything on wants nothing. */
static bool rp_has_store(const struct rp *p, int node)
{
	size_t i;

	for (i = 0; i < p->in->nr_stores; i++)
		if (p->in->store[i].node == node && rp_well(p, (int)i) &&
		    !p->in->store[i].empty)
			return true;
	return false;
}

static void rp_need_move(struct rp *p, struct rp_needs *list, size_t v)
{
	const struct hcv_rp_vol *vol = &p->in->vol[v];
	unsigned int pct, most = 0;
	size_t i, best = vol->nr;

	if (vol->free || vol->owner < 0 || !vol->owner_ms ||
	    p->in->now_ms - vol->owner_ms < p->in->cfg.settle_ms ||
	    !rp_has_store(p, vol->owner))
		return;
	for (i = 0; i < vol->nr; i++) {
		const struct hcv_rp_share *s = &vol->share[i];

		if (!s->extents || rp_is_local(p, vol, s) ||
		    rp_has_local(p, vol, i))
			continue;
		pct = rp_pct(p->in->store[s->store].used,
			     p->in->store[s->store].total);
		if (best == vol->nr || pct > most) {
			best = i;
			most = pct;
		}
	}
	if (best != vol->nr)
		rp_want(p, list, v, best, HCV_RP_MOVE,
			"the owner's node has no replica of its extents");
}

static void rp_needs_of(struct rp *p, struct rp_needs *list, size_t v)
{
	bool found;

	if (p->in->vol[v].skip || p->busy[v] || rp_need_trim(p, list, v))
		return;
	/* A drain makes a copy as well, if a repair finds no place. */
	found = rp_need_repair(p, list, v);
	found |= rp_need_drain(p, list, v);
	if (found || !rp_healthy(p, &p->in->vol[v]) ||
	    rp_need_domain(p, list, v))
		return;
	rp_need_move(p, list, v);
}

/* --------------------------------------------------------------------- caps */

unsigned int rp_store_jobs(const struct rp *p, size_t store,
			   enum hcv_rp_kind kind)
{
	unsigned int nr = 0, k;

	for (k = 0; k <= kind; k++)
		nr += p->store_jobs[store][k];
	return nr;
}

unsigned int rp_node_jobs(const struct rp *p, int node, enum hcv_rp_kind kind)
{
	unsigned int nr = 0, k;

	for (k = 0; node >= 0 && k <= kind; k++)
		nr += p->node_jobs[node][k];
	return nr;
}

/* The nodes that a job is work for, each once; -1: none. */
static void rp_nodes_of(const struct rp *p, const struct hcv_rp_vol *vol,
			int from, int to, int node[3])
{
	node[0] = vol->owner;
	node[1] = p->in->store[to].node;
	node[2] = rp_well(p, from) ? p->in->store[from].node : -1;
	if (node[1] == node[0])
		node[1] = -1;
	if (node[2] == node[0] || node[2] == node[1])
		node[2] = -1;
}

static void rp_account(struct rp *p, const struct hcv_rp_vol *vol, int from,
		       int to, enum hcv_rp_kind kind)
{
	int node[3], i;

	rp_nodes_of(p, vol, from, to, node);
	for (i = 0; i < 3; i++)
		if (node[i] >= 0)
			p->node_jobs[node[i]][kind]++;
	p->store_jobs[to][kind]++;
	if (rp_well(p, from))
		p->store_jobs[from][kind]++;
}

static bool rp_capped(const struct rp *p, const struct hcv_rp_vol *vol,
		      int from, int to, enum hcv_rp_kind kind, char *why)
{
	const struct hcv_rp_cfg *cfg = &p->in->cfg;
	int node[3], i;

	rp_nodes_of(p, vol, from, to, node);
	for (i = 0; i < 3; i++) {
		if (rp_node_jobs(p, node[i], kind) < cfg->per_node)
			continue;
		snprintf(why, HCV_RP_WHY,
			 "waits for its turn: %u jobs at a time for a node",
			 cfg->per_node);
		return true;
	}
	if (rp_store_jobs(p, (size_t)to, kind) < cfg->per_store &&
	    (!rp_well(p, from) ||
	     rp_store_jobs(p, (size_t)from, kind) < cfg->per_store))
		return false;
	snprintf(why, HCV_RP_WHY,
		 "waits for its turn: %u jobs at a time for a store",
		 cfg->per_store);
	return true;
}

/* -------------------------------------------- volumes that are attached nowhere */

/* It would be done, or is, if somebody has the volume. @now: at once */
static void rp_work(struct rp *p, size_t v, enum hcv_rp_kind kind,
		    unsigned int copies, bool now, const char *why)
{
	struct hcv_rp_work *w = &p->out->work[v];

	if (!p->in->vol[v].free)
		return;
	if ((!w->now && !w->later) || kind < w->kind ||
	    (kind == w->kind && copies < w->copies)) {
		w->kind = kind;
		w->copies = copies;
		snprintf(w->why, sizeof(w->why), "%s: %s",
			 hcv_recplan_kind_name(kind), why);
	}
	w->now |= now;
	w->later |= !now;
}

/* Whether one in-sync copy of each extent is there: who has none cannot begin. */
static bool rp_within_reach(const struct rp *p, const struct hcv_rp_vol *vol)
{
	size_t i;

	for (i = 0; i < vol->nr; i++)
		if (vol->share[i].extents && !vol->share[i].min_good &&
		    !rp_insync(p, &vol->share[i]))
			return false;
	return true;
}

/*
 * What needs no job: a replica that was away is back.  A store whose health is
 * bad is left alone: it may be one that is kept out on purpose.
 */
static void rp_work_stale(struct rp *p, size_t v)
{
	const struct hcv_rp_vol *vol = &p->in->vol[v];
	size_t i;

	for (i = 0; i < vol->nr; i++) {
		const struct hcv_rp_share *s = &vol->share[i];

		if (s->extents && s->state != HCV_RS_INSYNC &&
		    rp_well(p, s->store) && !rp_to_empty(p, s) &&
		    !p->in->store[s->store].ailing)
			rp_work(p, v, HCV_RP_REPAIR, s->min_good,
				!p->in->cfg.paused,
				"a replica is not up to date");
	}
}

/* A job goes on if there is something for its owner to do. */
static void rp_work_job(struct rp *p, size_t v, const struct hcv_rp_job *job,
			int to, const struct hcv_rp_share *t)
{
	if (job->cancel || to < 0 || rp_well(p, to) ||
	    (t && t->state == HCV_RS_INSYNC))
		rp_work(p, v, job->kind, 0, true, "its job is under way");
}

/* What lacks all copies of an extent waits for them, not for somebody to have it. */
static void rp_work_reach(struct rp *p)
{
	size_t v;

	for (v = 0; v < p->in->nr_vols; v++)
		if (p->in->vol[v].free && !rp_within_reach(p, &p->in->vol[v]))
			memset(&p->out->work[v], 0, sizeof(p->out->work[v]));
}

/* ----------------------------------------------------------- what is begun */

static void rp_count(struct rp *p, const struct rp_need *n, int to)
{
	const struct hcv_rp_vol *vol = &p->in->vol[n->vol];
	const struct hcv_rp_share *s = &vol->share[n->share];

	p->busy[n->vol] = true;
	if (s->store >= 0)
		p->leaving[s->store] += s->extents;
	if (to < 0)
		return;
	p->coming[to] += s->extents;
	rp_account(p, vol, s->store, to, n->kind);
}

static void rp_begin(struct rp *p, const struct rp_need *n, int to)
{
	struct hcv_rp_start *st;

	rp_work(p, n->vol, n->kind, n->copies, true, n->why);
	if (p->in->vol[n->vol].owner < 0) {
		/* It has its turn, but nobody who could do it. */
		rp_block(p, n, "the volume is attached nowhere: a node is to take care of it");
		rp_count(p, n, to);
		return;
	}
	st = rp_push(p, (void **)&p->out->start, &p->out->nr_start,
		     sizeof(*st));
	if (!st)
		return;
	st->vol = n->vol;
	st->share = n->share;
	st->kind = n->kind;
	st->to = to;
	snprintf(st->why, sizeof(st->why), "%s", n->why);
	rp_count(p, n, to);
}

/* Why nothing at all can be done for the volume now; NULL: something can. */
static const char *rp_stuck(const struct rp *p, const struct rp_need *n)
{
	const struct hcv_rp_vol *vol = &p->in->vol[n->vol];
	const struct hcv_rp_share *s = &vol->share[n->share];

	if (p->busy[n->vol])
		return "another job of the volume comes first";
	if (p->in->cfg.paused)
		return "recovery is paused";
	if (vol->owner < 0 && !vol->free)
		return "the volume is attached nowhere";
	if (vol->owner >= 0 && !p->in->node[vol->owner].live)
		return "the node that has the volume is away";
	if (vol->owner >= 0 && p->in->node[vol->owner].paused)
		return "recovery is paused on the node that has the volume";
	if (rp_stayed(p, vol, s))
		return "its owner ended the job before; it is begun anew in a while";
	if (n->kind == HCV_RP_TRIM)
		return NULL;
	if (!n->copies)
		return "no in-sync copy of an extent is within reach";
	if (s->max_stores >= HCV_ROW_STORES)
		return "its extents are on as many stores as is possible";
	return NULL;
}

static void rp_try(struct rp *p, const struct rp_need *n)
{
	const struct hcv_rp_vol *vol = &p->in->vol[n->vol];
	const char *stuck = rp_stuck(p, n);
	int from = vol->share[n->share].store;
	char why[HCV_RP_WHY];
	int to = -1;

	/* A pause is no reason for a caretaker to leave what it has begun. */
	if (stuck && p->in->cfg.paused)
		rp_work(p, n->vol, n->kind, n->copies, false, n->why);
	if (stuck)
		return rp_block(p, n, stuck);
	if (n->kind != HCV_RP_TRIM) {
		to = rp_pick(p, n->vol, n->share, -1, n->kind, why);
		if (to < 0)
			return rp_block(p, n, why);
		if (rp_capped(p, vol, from, to, n->kind, why)) {
			rp_work(p, n->vol, n->kind, n->copies, false, n->why);
			return rp_block(p, n, why);
		}
	}
	rp_begin(p, n, to);
}

/* ---------------------------------------------------------- space, evened out */

static unsigned int rp_pct_then(const struct rp *p, size_t store)
{
	int64_t used = (int64_t)rp_used(p, store) - p->leaving[store];

	return rp_pct(used > 0 ? (uint64_t)used : 0, p->in->store[store].total);
}

/* The share of this volume that is worth most; @best as it was if none is. */
static void rp_balance_vol(struct rp *p, size_t store, size_t v, bool locals,
			   struct rp_need *best, int *best_to, int *best_gain)
{
	const struct hcv_rp_vol *vol = &p->in->vol[v];
	char why[HCV_RP_WHY];
	int to, gain;
	size_t i;

	for (i = 0; i < vol->nr; i++) {
		const struct hcv_rp_share *s = &vol->share[i];

		if (s->store != (int)store || !s->extents ||
		    s->max_stores >= HCV_ROW_STORES ||
		    rp_stayed(p, vol, s) ||
		    rp_is_local(p, vol, s) != locals)
			continue;
		to = rp_pick(p, v, i, -1, HCV_RP_BALANCE, why);
		if (to < 0 || rp_capped(p, vol, (int)store, to, HCV_RP_BALANCE,
					why))
			continue;
		gain = rp_gain(p, s, (size_t)to) * (int)s->extents;
		if (gain <= *best_gain)
			continue;
		*best_gain = gain;
		*best_to = to;
		*best = (struct rp_need){
			.vol = v, .share = i, .kind = HCV_RP_BALANCE,
		};
	}
}

static bool rp_may_balance(const struct rp *p, size_t v)
{
	const struct hcv_rp_vol *vol = &p->in->vol[v];

	if (vol->skip || p->busy[v] || !rp_healthy(p, vol))
		return false;
	return vol->owner < 0 ? vol->free : rp_served(p, vol) &&
					    !p->in->node[vol->owner].paused;
}

static bool rp_balance_store(struct rp *p, size_t store, bool locals)
{
	int best_to = -1, best_gain = 0;
	struct rp_need best;
	size_t v;

	for (v = 0; v < p->in->nr_vols; v++)
		if (rp_may_balance(p, v))
			rp_balance_vol(p, store, v, locals, &best, &best_to,
				       &best_gain);
	if (best_to < 0)
		return false;
	snprintf(best.why, sizeof(best.why), "its store is %u %% full",
		 rp_pct_then(p, store));
	rp_begin(p, &best, best_to);
	return true;
}

/* One share of each store that is too full; more at the next look. */
static void rp_balance(struct rp *p)
{
	size_t i;

	for (i = 0; i < p->in->nr_stores && !p->in->cfg.paused; i++) {
		unsigned int pct = rp_pct_then(p, i);

		if (pct < RP_BUSY || !rp_well(p, (int)i) ||
		    p->in->store[i].empty)
			continue;
		if (!rp_balance_store(p, i, false) && pct >= RP_FULL)
			rp_balance_store(p, i, true);
	}
}

/* ------------------------------------------------------------ jobs under way */

static int rp_find_vol(const struct rp *p, const char *id)
{
	size_t i;

	for (i = 0; i < p->in->nr_vols; i++)
		if (!strcmp(p->in->vol[i].id, id))
			return (int)i;
	return -1;
}

static int rp_find_store(const struct rp *p, const char *id)
{
	size_t i;

	for (i = 0; i < p->in->nr_stores; i++)
		if (*id && !strcmp(p->in->store[i].id, id))
			return (int)i;
	return -1;
}

static const struct hcv_rp_share *rp_find_share(const struct hcv_rp_vol *vol,
						int store)
{
	size_t i;

	for (i = 0; i < vol->nr && store >= 0; i++)
		if (vol->share[i].store == store)
			return &vol->share[i];
	return NULL;
}

static void rp_register(struct rp *p, const struct hcv_rp_job *job)
{
	int v = rp_find_vol(p, job->vol), from, to;
	const struct hcv_rp_share *s, *t;

	if (v < 0)
		return;
	p->busy[v] = true;
	from = rp_find_store(p, job->from);
	to = rp_find_store(p, job->to);
	s = rp_find_share(&p->in->vol[v], from);
	t = rp_find_share(&p->in->vol[v], to);
	/* Rows that it has already are counted by its store. */
	if (s && to >= 0 && !job->cancel && s->extents > (t ? t->extents : 0))
		p->coming[to] += s->extents - (t ? t->extents : 0);
	if (s && !job->cancel)
		p->leaving[from] += s->extents;
	/* One that does not go on takes nobody's turn. */
	if (rp_well(p, to) && !job->failed && rp_served(p, &p->in->vol[v]))
		rp_account(p, &p->in->vol[v], from, to, job->kind);
	if (!p->in->vol[v].skip)
		rp_work_job(p, (size_t)v, job, to, t);
}

/*
 * Whether another store could take the target's place, a better one than a
 * suspect one.  Moves that are not needed do not wait for a target that fails.
 */
static bool rp_elsewhere(const struct rp *p, const struct hcv_rp_job *job,
			 int v, const struct hcv_rp_share *t)
{
	const struct hcv_rp_vol *vol = &p->in->vol[v];
	const struct hcv_rp_share *s;
	char why[HCV_RP_WHY];
	int other;

	s = rp_find_share(vol, rp_find_store(p, job->from));
	if (!t || !s || job->kind >= HCV_RP_DOMAIN)
		return true;
	other = rp_pick(p, (size_t)v, (size_t)(s - vol->share),
			(int)(t - vol->share), job->kind, why);
	return other >= 0 && !(p->in->store[other].ailing &&
			       p->in->store[t->store].ailing);
}

/* Why the target is none any more; NULL: it is. @blame: its own fault */
static const char *rp_bad_target(const struct rp *p,
				 const struct hcv_rp_job *job, int v,
				 const struct hcv_rp_share *t, bool *blame)
{
	int to = rp_find_store(p, job->to);
	const struct hcv_rp_store *st;
	const char *why = NULL;

	*blame = true;
	if (to < 0)
		return "its target is not known any more";
	st = &p->in->store[to];
	if (st->failed)
		return "its target has failed";
	if (!st->live && st->gone_ms &&
	    p->in->now_ms - st->gone_ms >= p->in->cfg.target_ms)
		why = "its target is away";
	else if (job->failed && (!t || t->state == HCV_RS_STALE))
		why = "its target could not be filled";
	else if (st->ailing && (!t || t->state == HCV_RS_STALE))
		why = "its target is suspect by its health";
	if (why && rp_elsewhere(p, job, v, t))
		return why;
	*blame = false;
	return st->empty ? "its target is to be emptied" : NULL;
}

/* Why it is not wanted any more; NULL: it is. */
static const char *rp_unwanted(const struct rp *p, const struct hcv_rp_vol *vol,
			       const struct hcv_rp_job *job)
{
	int from = rp_find_store(p, job->from), to = rp_find_store(p, job->to);
	const struct hcv_rp_share *s = rp_find_share(vol, from);
	size_t i;

	if (!s)
		return NULL;		/* it is as good as done */
	if (job->kind == HCV_RP_REPAIR)
		return rp_insync(p, s) && !rp_to_empty(p, s) ?
		       "the replica is in-sync again" : NULL;
	/* It makes a copy as well: a repair can wait for it. */
	if (job->kind == HCV_RP_DRAIN)
		return rp_to_empty(p, s) ? NULL :
		       "its store is not to be emptied any more";
	if (job->kind == HCV_RP_MOVE && to >= 0 && vol->owner >= 0 &&
	    !vol->free && p->in->store[to].node != vol->owner)
		return "the volume has another owner";
	for (i = 0; i < vol->nr; i++)
		if (vol->share[i].store != from && vol->share[i].store != to &&
		    vol->share[i].extents && !rp_insync(p, &vol->share[i]) &&
		    rp_lost(p, &vol->share[i]))
			return "a repair of the volume comes first";
	return NULL;
}

static void rp_check(struct rp *p, size_t j)
{
	const struct hcv_rp_job *job = &p->in->job[j];
	const struct hcv_rp_share *t;
	struct hcv_rp_cancel *c;
	bool blame = false;
	const char *why;
	int v = rp_find_vol(p, job->vol);

	/* What drops a share only is done at once, or not at all. */
	if (v < 0 || job->cancel || !*job->to)
		return;
	t = rp_find_share(&p->in->vol[v], rp_find_store(p, job->to));
	/* From here on it only drops what is not needed. */
	if (t && t->state == HCV_RS_INSYNC)
		return;
	why = rp_bad_target(p, job, v, t, &blame);
	if (!why)
		why = rp_unwanted(p, &p->in->vol[v], job);
	if (!why)
		return;
	c = rp_push(p, (void **)&p->out->cancel, &p->out->nr_cancel,
		    sizeof(*c));
	if (!c)
		return;
	c->job = j;
	c->blame = blame;
	snprintf(c->why, sizeof(c->why), "%s", why);
}

/* ----------------------------------------------------------------- the whole */

static int rp_init(struct rp *p)
{
	size_t stores = p->in->nr_stores + 1, nodes = p->in->nr_nodes + 1;

	p->coming = calloc(stores, sizeof(*p->coming));
	p->leaving = calloc(stores, sizeof(*p->leaving));
	p->store_jobs = calloc(stores, sizeof(*p->store_jobs));
	p->node_jobs = calloc(nodes, sizeof(*p->node_jobs));
	p->busy = calloc(p->in->nr_vols + 1, sizeof(*p->busy));
	p->out->work = calloc(p->in->nr_vols + 1, sizeof(*p->out->work));
	return p->coming && p->leaving && p->store_jobs && p->node_jobs &&
	       p->busy && p->out->work ? 0 : -ENOMEM;
}

static void rp_exit(struct rp *p)
{
	free(p->coming);
	free(p->leaving);
	free(p->store_jobs);
	free(p->node_jobs);
	free(p->busy);
}

static void rp_plan(struct rp *p)
{
	struct rp_needs list = { 0 };
	size_t i;

	for (i = 0; i < p->in->nr_jobs; i++)
		rp_register(p, &p->in->job[i]);
	for (i = 0; i < p->in->nr_jobs; i++)
		rp_check(p, i);
	for (i = 0; i < p->in->nr_vols; i++)
		rp_needs_of(p, &list, i);
	for (i = 0; i < p->in->nr_vols; i++)
		if (p->in->vol[i].free && !p->in->vol[i].skip)
			rp_work_stale(p, i);
	if (list.nr)
		qsort(list.need, list.nr, sizeof(*list.need), rp_need_order);
	for (i = 0; i < list.nr && list.need[i].kind < HCV_RP_BALANCE; i++)
		rp_try(p, &list.need[i]);
	rp_balance(p);
	for (; i < list.nr; i++)
		if (!p->busy[list.need[i].vol])
			rp_try(p, &list.need[i]);
	rp_work_reach(p);
	free(list.need);
}

int hcv_recplan(const struct hcv_rp_in *in, struct hcv_rp_plan *plan)
{
	struct rp p = { .in = in, .out = plan };
	int ret;

	memset(plan, 0, sizeof(*plan));
	ret = rp_init(&p);
	if (!ret)
		rp_plan(&p);
	rp_exit(&p);
	if (!ret && p.nomem)
		ret = -ENOMEM;
	if (ret)
		hcv_recplan_free(plan);
	return ret;
}
