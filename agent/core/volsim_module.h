/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For volsim_test.c alone: the nodes' modules, their links and writes, and the
 * commands that an agent gives them.
 */
#ifndef HCV_AGENT_CORE_VOLSIM_MODULE_H
#define HCV_AGENT_CORE_VOLSIM_MODULE_H

#include "volsim_target.h"

/* Whether I/O with the handles from @first on gets through. */
static bool sim_gate(const struct sim *s, int owner, int store, uint64_t epoch,
		     uint64_t incarnation, uint64_t first)
{
	const struct sim_store *st = &s->store[store];

	return sim_reach(s, owner, store) && st->granted == epoch &&
	       st->revoked < epoch && st->incarnation == incarnation &&
	       st->handle == first;
}

static bool sim_link_gate(const struct sim *s, const struct sim_node *n,
			  const struct hcv_k_link *l)
{
	int st = sim_node_of(l->store);
	bool local = &s->node[st] == n;

	/* A local tie has no handles of its own: the gate's of the moment. */
	return sim_gate(s, n - s->node, st, n->k.epoch, l->incarnation,
			local ? s->store[st].handle : l->first) &&
	       s->store[st].handle;
}

static size_t sim_insync_links(const struct sim_node *n)
{
	size_t i, nr = 0;

	for (i = 0; i < n->k.nr_links; i++)
		nr += n->k.link[i].state == HCV_LINK_INSYNC;
	return nr;
}

static void sim_link_fails(struct sim *s, struct sim_node *n,
			   struct hcv_k_link *l)
{
	switch (l->state) {
	case HCV_LINK_SYNCING:
		l->state = HCV_LINK_OUT;
		break;
	case HCV_LINK_JOINING:
		l->state = HCV_LINK_FAILING;
		break;
	case HCV_LINK_INSYNC:
		l->state = sim_insync_links(n) > 1 ? HCV_LINK_FAILING :
						     HCV_LINK_LOST;
		break;
	default:
		return;
	}
	sim_log(s, "node %d: link to %d is now %u", (int)(n - s->node),
		sim_node_of(l->store), l->state);
}

/* The link gives the write up; whether the transport does is another matter. */
static void sim_write_hold(struct sim *s, const struct sim_node *n,
			   const struct sim_write *w,
			   const struct hcv_k_link *l)
{
	struct sim_late_write *late = &s->late_write[sim_rand(s, LATE_WRITES)];
	int st = sim_node_of(l->store);

	if (late->used || &s->node[st] == n || !sim_chance(s, 2))
		return;
	*late = (struct sim_late_write){
		.used = true, .store = st, .handle = l->first, .row = w->row,
		.n = w->n, .at = s->now + sim_rand(s, 20000),
	};
}

/* Legs go out one by one, so that a crash finds writes on some stores only. */
static bool sim_write_send(struct sim *s, struct sim_node *n,
			   struct sim_write *w)
{
	bool all = true;
	size_t i;

	for (i = 0; i < n->k.nr_links; i++) {
		struct hcv_k_link *l = &n->k.link[i];
		int st = sim_node_of(l->store);

		if (!(n->reps[w->row] >> st & 1) || (w->sent & (1U << st)) ||
		    (l->state != HCV_LINK_INSYNC &&
		     l->state != HCV_LINK_JOINING &&
		     l->state != HCV_LINK_SYNCING))
			continue;
		if (sim_chance(s, 2)) {
			all = false;
			continue;
		}
		if (!sim_link_gate(s, n, l)) {
			sim_write_hold(s, n, w, l);
			sim_link_fails(s, n, l);
			continue;
		}
		if (s->store[st].freed & (1U << w->row))
			sim_fail(s, "a write to row %zu, which is not there",
				 w->row);
		w->sent |= 1U << st;
		if (s->store[st].content[w->row] < w->n)
			s->store[st].content[w->row] = w->n;
	}
	return all;
}

/* Acknowledged once no failed replica of the row is left to be confirmed. */
static void sim_write_ack(struct sim *s, struct sim_node *n,
			  struct sim_write *w)
{
	size_t i, good = 0;

	for (i = 0; i < n->k.nr_links; i++) {
		struct hcv_k_link *l = &n->k.link[i];
		int st = sim_node_of(l->store);

		if (!(n->reps[w->row] >> st & 1))
			continue;
		if (l->state == HCV_LINK_FAILING || l->state == HCV_LINK_LOST)
			return;
		if (l->state == HCV_LINK_INSYNC ||
		    l->state == HCV_LINK_JOINING) {
			if (s->store[st].content[w->row] < w->n) {
				w->sent &= ~(1U << st);	/* came back: again */
				return;
			}
			good += l->state == HCV_LINK_INSYNC;
		}
	}
	if (!good)
		return;
	w->used = false;
	s->nr_acks++;
	if (w->n & 1)
		n->idle |= 1U << w->row;
	if (s->acked[w->row] < w->n)
		s->acked[w->row] = w->n;
}

static void sim_sync(struct sim *s, struct sim_node *n, struct hcv_k_link *l)
{
	int from = -1, to = sim_node_of(l->store);
	size_t i, r;

	if (l->state != HCV_LINK_SYNCING)
		return;
	if (!sim_link_gate(s, n, l)) {
		sim_link_fails(s, n, l);
		return;
	}
	if (n->sync_left[to] && --n->sync_left[to])
		return;
	if (n->retired)
		sim_fail(s, "a resync while rows are retired");
	for (r = 0; r < ROWS; r++) {
		if (!(n->reps[r] >> to & 1) || !(n->has & (1U << r)))
			continue;
		if (s->store[to].freed & (1U << r))
			sim_fail(s, "a resync of row %zu, which is not there",
				 r);
		for (i = 0, from = -1; i < n->k.nr_links; i++) {
			int st = sim_node_of(n->k.link[i].store);

			if (n->k.link[i].state == HCV_LINK_INSYNC &&
			    n->reps[r] >> st & 1 &&
			    sim_link_gate(s, n, &n->k.link[i]))
				from = st;
		}
		if (from < 0)
			return;
		s->store[to].content[r] = s->store[from].content[r];
	}
	l->state = HCV_LINK_JOINING;
}

/* Writes of one row wait for each other, as those of one block do. */
static bool sim_row_busy(const struct sim_node *n, size_t row)
{
	size_t i;

	for (i = 0; i < WRITES; i++)
		if (n->write[i].used && n->write[i].row == row)
			return true;
	return false;
}

/* What the dump tells of rows. */
static void sim_dump_rows(struct sim_node *n)
{
	uint32_t idle = n->idle & n->has & ~n->retired;
	struct hcv_k_vol *k = &n->k;
	size_t r;

	k->can_retire = true;
	k->nr_col = 1;
	k->col_ready[0] = HCV_VP_AHEAD;
	k->nr_settled = 0;
	k->nr_settling = 0;
	k->col_idle[0] = 0;
	k->nr_extents = 0;
	for (r = 0; r < ROWS; r++) {
		k->nr_extents += n->has >> r & 1;
		k->col_idle[0] += idle >> r & 1;
		if (n->settled >> r & 1)
			k->settled[k->nr_settled++] = r;
		else if (n->retired >> r & 1)
			k->settling[k->nr_settling++] = r;
	}
}

/* A round, if no replica is on its way out. */
static void sim_settle(struct sim *s, struct sim_node *n)
{
	size_t i;

	for (i = 0; i < n->k.nr_links; i++)
		if (n->k.link[i].state == HCV_LINK_FAILING ||
		    n->k.link[i].state == HCV_LINK_LOST)
			return;
	if (sim_chance(s, 3))
		n->settled = n->retired;
}

static bool sim_retire(struct sim_node *n, const struct hcv_vp_out *o)
{
	uint32_t left = o->count, keep = 0;
	size_t i, r;

	for (i = 0; i < n->k.nr_links; i++)
		if (n->k.link[i].state != HCV_LINK_INSYNC &&
		    n->k.link[i].state != HCV_LINK_OUT)
			return false;
	for (i = 0; i < o->nr_index; i++)
		keep |= 1U << o->index[i];
	for (i = 0; i < WRITES; i++)
		if (n->write[i].used)
			keep |= 1U << n->write[i].row;
	for (r = 0; r < ROWS && left; r++) {
		if (!(n->has & n->idle & ~n->retired & ~keep & (1U << r)))
			continue;
		n->retired |= 1U << r;
		left--;
	}
	return true;
}

static bool sim_forget_rows(struct sim_node *n, const struct hcv_vp_out *o)
{
	uint32_t gone = 0;
	size_t i;

	for (i = 0; i < o->nr_index; i++)
		gone |= 1U << o->index[i];
	if (gone & n->has & ~n->settled)
		return false;
	n->has &= ~gone;
	n->retired &= ~gone;
	n->settled &= ~gone;
	return true;
}

static void sim_module(struct sim *s, struct sim_node *n)
{
	size_t i, row;

	if (!n->up || !n->has_vol || (n->k.state != HCV_VOL_ACTIVE &&
				      n->k.state != HCV_VOL_STOPPING))
		return;
	for (i = 0; i < n->k.nr_links; i++)
		sim_sync(s, n, &n->k.link[i]);
	sim_settle(s, n);
	for (i = 0; i < WRITES; i++) {
		struct sim_write *w = &n->write[i];

		row = sim_rand(s, ROWS);
		if (!w->used && n->k.state == HCV_VOL_ACTIVE &&
		    !n->k.diskless &&
		    n->has & ~n->retired & (1U << row) &&
		    !sim_row_busy(n, row) && sim_chance(s, 6)) {
			w->used = true;
			w->sent = 0;
			w->row = row;
			/* Mostly discards, so that rows are idle. */
			s->next_n += 2;
			w->n = s->next_n | !sim_chance(s, 8);
			n->idle &= ~(1U << row);
		}
		if (w->used && sim_write_send(s, n, w))
			sim_write_ack(s, n, w);
	}
}

static void sim_module_drop(struct sim_node *n)
{
	n->has_vol = false;
	n->has = 0;
	n->idle = 0;
	n->retired = 0;
	n->settled = 0;
	memset(&n->k, 0, sizeof(n->k));
	memset(n->write, 0, sizeof(n->write));
	memset(n->used_end, 0, sizeof(n->used_end));
}

/* ------------------------------------------------------------ module commands */

static void sim_link_tie(struct sim_node *n, struct hcv_k_link *l, int st,
			 uint64_t first, bool local)
{
	if (local)
		return;
	l->first = first;
	n->used_end[st] = first + HANDLES;
}

/* Reads trust links that are in-sync, and others keep what they have. */
static bool sim_row_trusted(const struct sim_node *n, uint32_t old,
			    uint32_t new)
{
	size_t i;

	for (i = 0; i < n->k.nr_links; i++) {
		const struct hcv_k_link *l = &n->k.link[i];
		uint32_t bit = 1U << sim_node_of(l->store);

		if (new & ~old & bit && (l->state == HCV_LINK_INSYNC ||
					 l->state == HCV_LINK_JOINING))
			return false;
		if (old & ~new & bit && l->state != HCV_LINK_OUT)
			return false;
	}
	return true;
}

/* Known rows, with the stores that they have now. */
static bool sim_rows_again(struct sim *s, struct sim_node *n,
			   const struct sim_actor *a)
{
	size_t i;

	for (i = 0; i < a->rows.nr; i++) {
		const struct hcv_row *row = &a->row[i];
		uint32_t stores = sim_row_stores(row);

		if (!(n->has >> row->index & 1)) {
			sim_fail(s, "row %u is not known", row->index);
			return false;
		}
		if (!sim_row_trusted(n, n->reps[row->index], stores))
			return false;
		n->reps[row->index] = stores;
	}
	return true;
}

static bool sim_link_add(struct sim *s, struct sim_node *n,
			 const struct sim_actor *a, const struct hcv_vp_out *o,
			 uint64_t first)
{
	struct hcv_k_link *l = sim_link(n, o->store);
	int st = sim_node_of(o->store);
	bool local = &s->node[st] == n;

	if (!sim_gate(s, n - s->node, st, n->k.epoch, o->incarnation,
		      local ? s->store[st].handle : first) ||
	    (!local && first < n->used_end[st]))
		return false;
	if (l) {
		if (l->state != HCV_LINK_LOST ||
		    l->incarnation != o->incarnation ||
		    o->state != HCV_LINK_INSYNC)
			return false;
		l->state = HCV_LINK_INSYNC;
		sim_link_tie(n, l, st, first, local);
		return true;
	}
	if (o->state != (n->k.state == HCV_VOL_NEW ? HCV_LINK_INSYNC :
						     HCV_LINK_SYNCING) ||
	    n->retired || (o->state == HCV_LINK_SYNCING &&
			   !sim_rows_again(s, n, a)))
		return false;
	l = &n->k.link[n->k.nr_links++];
	memset(l, 0, sizeof(*l));
	strcpy(l->store, o->store);
	l->state = o->state;
	l->incarnation = o->incarnation;
	sim_link_tie(n, l, st, first, local);
	n->sync_left[st] = 1 + sim_rand(s, 20);
	return true;
}

/* Whether the module has a row that is in-sync on this link alone. */
static bool sim_sole(const struct sim_node *n, const struct hcv_k_link *l)
{
	uint32_t others = 0;
	size_t i, r;

	for (i = 0; i < n->k.nr_links; i++)
		if (&n->k.link[i] != l &&
		    n->k.link[i].state == HCV_LINK_INSYNC)
			others |= 1U << sim_node_of(n->k.link[i].store);
	for (r = 0; r < ROWS; r++)
		if (n->has >> r & 1 && !(n->reps[r] & others) &&
		    n->reps[r] >> sim_node_of(l->store) & 1)
			return true;
	return false;
}

static bool sim_confirm(struct sim_node *n, const struct hcv_vp_out *o)
{
	struct hcv_k_link *l = sim_link(n, o->store);

	if (!l || o->v < n->k.v || o->incarnation != l->incarnation)
		return false;
	if (o->state == HCV_LINK_OUT) {
		if (l->state == HCV_LINK_LOST || l->state == HCV_LINK_INSYNC)
			return false;
		l->state = HCV_LINK_OUT;
	} else {
		if (l->state != HCV_LINK_JOINING)
			return false;
		l->state = HCV_LINK_INSYNC;
	}
	n->k.v = o->v;
	return true;
}

/* One that is slow, or not needed, fails if others have all and nobody moves. */
static bool sim_drop(struct sim *s, struct sim_node *n, const char *store,
		     bool slow)
{
	struct hcv_k_link *l = sim_link(n, store);
	size_t i;

	if (!l || l->state != HCV_LINK_INSYNC || n->k.state != HCV_VOL_ACTIVE)
		return false;
	for (i = 0; i < n->k.nr_links; i++)
		if (n->k.link[i].state != HCV_LINK_INSYNC &&
		    n->k.link[i].state != HCV_LINK_OUT)
			return false;
	if (sim_sole(n, l))
		return false;
	l->state = HCV_LINK_FAILING;
	s->nr_slow += slow;
	return true;
}

static bool sim_link_del(struct sim_node *n, const char *store)
{
	struct hcv_k_link *l = sim_link(n, store);

	if (!l || l->state != HCV_LINK_OUT)
		return false;
	*l = n->k.link[--n->k.nr_links];
	return true;
}

/* What a volume starts from: all its replicas must read the same. */
static void sim_check_equal(struct sim *s, const struct sim_node *n)
{
	size_t i, r;

	for (r = 0; r < ROWS; r++) {
		int first = -1;

		if (!(n->has & (1U << r)))
			continue;
		for (i = 0; i < n->k.nr_links; i++) {
			int st = sim_node_of(n->k.link[i].store);

			if (n->k.link[i].state != HCV_LINK_INSYNC ||
			    !(n->reps[r] >> st & 1))
				continue;
			if (s->store[st].freed & (1U << r))
				sim_fail(s, "started with row %zu, which %d has given away",
					 r, st);
			if (first >= 0 && s->store[st].content[r] !=
					  s->store[first].content[r])
				sim_fail(s, "started with row %zu different on %d and %d",
					 r, first, st);
			first = st;
		}
		if (first < 0)
			sim_fail(s, "started without row %zu", r);
	}
}

static void sim_load_idle(struct sim *s, struct sim_node *n)
{
	size_t i, r;

	for (r = 0; r < ROWS; r++)
		for (i = 0; i < n->k.nr_links; i++) {
			int st = sim_node_of(n->k.link[i].store);

			if (n->k.link[i].state == HCV_LINK_INSYNC &&
			    n->reps[r] >> st & 1 &&
			    (s->store[st].content[r] & 1 ||
			     !s->store[st].content[r]))
				n->idle |= 1U << r;
		}
}

static bool sim_start(struct sim *s, struct sim_node *n, uint64_t v)
{
	size_t i;

	for (i = 0; i < n->k.nr_links; i++) {
		struct hcv_k_link *l = &n->k.link[i];

		if (l->state == HCV_LINK_INSYNC && !sim_link_gate(s, n, l)) {
			l->state = sim_insync_links(n) > 1 ? HCV_LINK_FAILING :
							     HCV_LINK_LOST;
			return false;
		}
	}
	/* It cannot be read; one of several, or the one elected. */
	i = s->nr_serves % n->k.nr_links;
	if (!s->calm && n->k.link[i].state == HCV_LINK_INSYNC &&
	    sim_chance(s, 6)) {
		if (sim_insync_links(n) > 1)
			n->k.link[i].state = HCV_LINK_FAILING;
		n->k.link[i].unfit = true;
		n->k.state = HCV_VOL_FENCED;
		return false;
	}
	n->k.state = HCV_VOL_ACTIVE;
	n->k.prepared = false;
	n->k.v = v;
	sim_check_equal(s, n);
	sim_load_idle(s, n);
	return true;
}

static bool sim_stop(struct sim_node *n, bool force)
{
	size_t i;

	for (i = 0; i < n->k.nr_links && !force; i++)
		if (n->k.link[i].state == HCV_LINK_FAILING ||
		    n->k.link[i].state == HCV_LINK_LOST)
			return false;
	for (i = 0; i < WRITES && !force; i++)
		if (n->write[i].used)
			return false;	/* open */
	sim_module_drop(n);
	return true;
}

#endif /* HCV_AGENT_CORE_VOLSIM_MODULE_H */
