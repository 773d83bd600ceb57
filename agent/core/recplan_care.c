// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who takes care of volumes that are attached nowhere.
 *
 * A plan says for which of them there is something to be done
 * (struct hcv_rp_work).  Here a node is named for the most urgent ones, as many
 * as nodes may have, and named no more when nothing is left, when the volume is
 * attached, or when the node does not take it.  A volume is left alone for a
 * while after it was detached: mostly it is attached again at once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recplan_priv.h"

/* Since when; 0: it is not so. */
struct care_seen {
	char vol[HCV_ID_LEN];
	int named;
	int64_t free_ms;
	int64_t idle_ms;
	int64_t untaken_ms;
};

struct care {
	const struct hcv_rp_in *in;
	const struct hcv_rp_plan *plan;
	struct care_seen *seen;		/* by volume, in the order of @in */
	unsigned int *nr_care;		/* by node */
	unsigned int *busy;		/* by node: that and jobs of its own */
	struct hcv_rp_care *out;
	size_t nr;
};

static int care_seen_order(const void *a, const void *b)
{
	const struct care_seen *sa = a, *sb = b;

	return strcmp(sa->vol, sb->vol);
}

static const struct care_seen *care_seen_find(const struct rp_care_mem *mem,
					      const char *vol)
{
	struct care_seen want;

	memcpy(want.vol, vol, sizeof(want.vol));
	return mem->nr ? bsearch(&want, mem->seen, mem->nr, sizeof(want),
				 care_seen_order) : NULL;
}

static int64_t care_since(bool holds, int64_t before, int64_t now_ms)
{
	if (!holds)
		return 0;
	return before ? before : now_ms ? now_ms : 1;
}

static bool care_has_work(const struct care *c, size_t v)
{
	return c->plan->work[v].now || c->plan->work[v].later;
}

/* What holds now, and since when. */
static void care_look(const struct care *c, const struct rp_care_mem *mem,
		      size_t v)
{
	static const struct care_seen none = { .named = -1 };
	const struct hcv_rp_vol *vol = &c->in->vol[v];
	const struct care_seen *old = care_seen_find(mem, vol->id);
	struct care_seen *new = &c->seen[v];
	int64_t now = c->in->now_ms;
	bool untaken;

	if (!old)
		old = &none;
	memcpy(new->vol, vol->id, sizeof(new->vol));
	new->named = vol->has_care ? vol->named : -1;
	new->free_ms = care_since(vol->free && !vol->leaving, old->free_ms,
				  now);
	new->idle_ms = care_since(vol->free && !care_has_work(c, v),
				  old->idle_ms, now);
	untaken = vol->free && vol->has_care &&
		  (vol->owner < 0 || vol->owner != vol->named);
	new->untaken_ms = care_since(untaken, old->named == new->named ?
				     old->untaken_ms : 0, now);
}

static int care_keep(struct care *c, struct rp_care_mem *mem)
{
	size_t n = c->in->nr_vols, i;
	struct care_seen *kept;

	/* Nobody looked for a while: all is as if it were new. */
	if (c->in->now_ms - mem->seen_ms >= HCV_RP_GAP_MS)
		mem->nr = 0;
	mem->seen_ms = c->in->now_ms;
	for (i = 0; i < n; i++)
		care_look(c, mem, i);
	kept = calloc(n + 1, sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	memcpy(kept, c->seen, n * sizeof(*kept));
	qsort(kept, n, sizeof(*kept), care_seen_order);
	free(mem->seen);
	mem->seen = kept;
	mem->nr = n;
	return 0;
}

/* ------------------------------------------------------------------- the node */

static void care_count(struct care *c)
{
	size_t i, k;

	for (i = 0; i < c->in->nr_vols; i++) {
		const struct hcv_rp_vol *vol = &c->in->vol[i];

		if (vol->free && vol->has_care && vol->named >= 0) {
			c->nr_care[vol->named]++;
			c->busy[vol->named]++;
		}
		if (vol->free || vol->owner < 0)
			continue;
		for (k = 0; k < c->in->nr_jobs; k++)
			if (!strcmp(c->in->job[k].vol, vol->id))
				c->busy[vol->owner]++;
	}
}

/* Extents of which the node has a good copy. */
static uint32_t care_local(const struct care *c, const struct hcv_rp_vol *vol,
			   int node)
{
	uint32_t nr = 0;
	size_t i;

	for (i = 0; i < vol->nr; i++) {
		const struct hcv_rp_share *s = &vol->share[i];
		const struct hcv_rp_store *st;

		if (s->store < 0 || s->state != HCV_RS_INSYNC)
			continue;
		st = &c->in->store[s->store];
		if (st->node == node && st->live && !st->failed)
			nr += s->extents;
	}
	return nr;
}

/* Whether node @a suits better than @b. */
static bool care_better(const struct care *c, const struct hcv_rp_vol *vol,
			int a, int b)
{
	uint32_t la = care_local(c, vol, a), lb = care_local(c, vol, b);
	const struct hcv_rp_node *na = &c->in->node[a], *nb = &c->in->node[b];

	if (na->draining != nb->draining)
		return nb->draining;
	if (!la != !lb)
		return la;
	if (c->busy[a] != c->busy[b])
		return c->busy[a] < c->busy[b];
	if (la != lb)
		return la > lb;
	return strcmp(na->id, nb->id) < 0;
}

static bool care_able(const struct care *c, int node)
{
	return node >= 0 && c->in->node[node].live && c->in->node[node].able;
}

/* The best node but @but; -1: none */
static int care_choose(const struct care *c, const struct hcv_rp_vol *vol,
		       int but)
{
	int best = -1, i;

	for (i = 0; i < (int)c->in->nr_nodes; i++) {
		if (i == but || !care_able(c, i) || c->in->node[i].paused ||
		    c->nr_care[i] >= c->in->cfg.per_node)
			continue;
		if (best < 0 || care_better(c, vol, i, best))
			best = i;
	}
	return best;
}

/* ------------------------------------------------------------- what is decided */

static void care_say(struct care *c, size_t v, int node, const char *why)
{
	struct hcv_rp_care *o = &c->out[c->nr++];
	const struct hcv_rp_vol *vol = &c->in->vol[v];

	o->vol = v;
	o->node = node;
	snprintf(o->why, sizeof(o->why), "%s", why);
	if (vol->free && vol->has_care && vol->named >= 0) {
		c->nr_care[vol->named]--;
		c->busy[vol->named]--;
	}
	if (node >= 0) {
		c->nr_care[node]++;
		c->busy[node]++;
	}
}

/* Another node, if the one that is named does not have it, or is to be emptied. */
static void care_move(struct care *c, size_t v)
{
	const struct hcv_rp_vol *vol = &c->in->vol[v];
	const struct care_seen *seen = &c->seen[v];
	bool late, drains;
	int to;

	late = seen->untaken_ms &&
	       c->in->now_ms - seen->untaken_ms >= c->in->cfg.care_take_ms;
	drains = vol->named >= 0 && c->in->node[vol->named].draining;
	if (!late && !drains && vol->named >= 0)
		return;
	to = care_choose(c, vol, vol->named);
	if (to < 0 || (!late && vol->named >= 0 && c->in->node[to].draining))
		return;
	care_say(c, v, to, c->plan->work[v].why);
}

static void care_named(struct care *c, size_t v)
{
	const struct hcv_rp_vol *vol = &c->in->vol[v];
	const struct care_seen *seen = &c->seen[v];

	if (!vol->free)
		care_say(c, v, -1, "it is attached");
	else if (vol->skip)
		care_say(c, v, -1, "it is not to be touched");
	else if (vol->named >= 0 && c->in->node[vol->named].paused)
		care_say(c, v, -1, "recovery is paused on its node");
	else if (seen->idle_ms &&
		 c->in->now_ms - seen->idle_ms >= c->in->cfg.care_idle_ms)
		care_say(c, v, -1, "there is nothing to be done for now");
	else if (care_has_work(c, v) && !vol->leaving)
		care_move(c, v);
}

static bool care_due(const struct care *c, size_t v)
{
	const struct hcv_rp_vol *vol = &c->in->vol[v];

	return vol->free && !vol->leaving && !vol->has_care && !vol->skip &&
	       c->plan->work[v].now && !c->in->cfg.paused &&
	       c->in->now_ms - c->seen[v].free_ms >= c->in->cfg.care_idle_ms;
}

static bool care_urgent(const struct care *c, size_t a, size_t b)
{
	const struct hcv_rp_work *wa = &c->plan->work[a];
	const struct hcv_rp_work *wb = &c->plan->work[b];

	if (wa->kind != wb->kind)
		return wa->kind < wb->kind;
	return wa->copies < wb->copies;
}

/* The most urgent one that is not in @done. */
static bool care_next(const struct care *c, const bool *done, size_t *next)
{
	bool found = false;
	size_t v;

	for (v = 0; v < c->in->nr_vols; v++) {
		if (done[v] || !care_due(c, v))
			continue;
		if (!found || care_urgent(c, v, *next))
			*next = v;
		found = true;
	}
	return found;
}

static int care_begin(struct care *c)
{
	bool *done = calloc(c->in->nr_vols + 1, sizeof(*done));
	size_t v = 0;
	int to;

	if (!done)
		return -ENOMEM;
	while (care_next(c, done, &v)) {
		done[v] = true;
		to = care_choose(c, &c->in->vol[v], -1);
		/* No node has room for one more. */
		if (to < 0)
			break;
		care_say(c, v, to, c->plan->work[v].why);
	}
	free(done);
	return 0;
}

int hcv_recplan_care(struct hcv_rp_mem *mem, const struct hcv_rp_in *in,
		     const struct hcv_rp_plan *plan, struct hcv_rp_care **out,
		     size_t *nr)
{
	struct care c = { .in = in, .plan = plan };
	int ret = -ENOMEM;
	size_t i;

	c.seen = calloc(in->nr_vols + 1, sizeof(*c.seen));
	c.out = calloc(in->nr_vols + 1, sizeof(*c.out));
	c.nr_care = calloc(in->nr_nodes + 1, sizeof(*c.nr_care));
	c.busy = calloc(in->nr_nodes + 1, sizeof(*c.busy));
	if (c.seen && c.out && c.nr_care && c.busy)
		ret = care_keep(&c, rp_mem_care(mem));
	if (!ret) {
		care_count(&c);
		for (i = 0; i < in->nr_vols; i++)
			if (in->vol[i].has_care)
				care_named(&c, i);
		ret = care_begin(&c);
	}
	free(c.seen);
	free(c.nr_care);
	free(c.busy);
	if (ret) {
		free(c.out);
		c.out = NULL;
		c.nr = 0;
	}
	*out = c.out;
	*nr = c.nr;
	return ret;
}
