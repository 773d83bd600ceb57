/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For volsim_test.c alone: hand-overs in the simulated cluster, that is the
 * operators who wish for them and what the modules do.
 */
#ifndef HCV_AGENT_CORE_VOLSIM_HAND_H
#define HCV_AGENT_CORE_VOLSIM_HAND_H

#include "volsim_module.h"

#define HALT_ROUNDS	200

/* ----------------------------------------------------------------- operators */

/* agentctl volume handover, on node @at */
static void sim_hand_wish(struct sim *s, int at, int to, bool go,
			  uint32_t limit_ms)
{
	struct hcv_record rec = s->rec;
	char err[HCV_ERR_SIZE];

	if (!s->node[at].meta || !sim_live(s, to) ||
	    hcv_record_hand_begin(&rec, node_id[to], go, limit_ms, err) ||
	    rec.v == s->rec.v)
		return;
	sim_log(s, "node %d: hand over to %d%s: %d", at, to,
		go ? ", now" : "", sim_txn(s, at, s->rev, &rec));
	s->nr_wishes++;
}

static void sim_hand_unwish(struct sim *s, int at)
{
	struct hcv_record rec = s->rec;
	char err[HCV_ERR_SIZE];

	if (!s->node[at].meta || !rec.hand.to[0] ||
	    hcv_record_hand_abort(&rec, err))
		return;
	sim_log(s, "node %d: no hand-over: %d", at,
		sim_txn(s, at, s->rev, &rec));
}

static void sim_hand_faults(struct sim *s, int a, int b)
{
	if (sim_chance(s, s->hand_in))
		sim_hand_wish(s, a, b, !sim_chance(s, 3),
			      2000 + sim_rand(s, 20000));
	if (s->rec.hand.to[0] && sim_chance(s, 40))
		sim_hand_wish(s, a, sim_chance(s, 9) ? b :
			      !strcmp(s->rec.hand.to, node_id[0]) ? 0 :
			      !strcmp(s->rec.hand.to, node_id[1]) ? 1 : 2,
			      true, 1000);
	if (s->rec.hand.to[0] && sim_chance(s, 200))
		sim_hand_unwish(s, a);
}

static bool sim_to_live(const struct sim *s, const struct hcv_record *rec)
{
	int i;

	for (i = 0; i < NODES; i++)
		if (!strcmp(rec->hand.to, node_id[i]))
			return sim_live(s, i);
	return false;
}

/* ---------------------------------------------------------------- the modules */

/* Nothing begins, what runs ends; a failed replica lets the flush fail. */
static bool sim_halt(struct sim *s, struct sim_node *n)
{
	bool busy = true;
	size_t i;
	int t;

	if (n->k.state != HCV_VOL_ACTIVE || n->k.halted)
		return false;
	for (t = 0; t < HALT_ROUNDS && busy; t++) {
		busy = false;
		for (i = 0; i < WRITES; i++) {
			struct sim_write *w = &n->write[i];

			if (w->used && sim_write_send(s, n, w))
				sim_write_ack(s, n, w);
			busy |= w->used;
		}
	}
	for (i = 0; i < n->k.nr_links; i++)
		busy |= n->k.link[i].state == HCV_LINK_FAILING ||
			n->k.link[i].state == HCV_LINK_LOST;
	if (busy)
		return false;
	n->k.state = HCV_VOL_SUSPENDED;
	n->k.halted = true;
	return true;
}

static bool sim_resume(struct sim *s, struct sim_node *n)
{
	if (!n->k.halted)
		return false;
	n->k.state = HCV_VOL_ACTIVE;
	n->k.halted = false;
	s->nr_resumes++;
	return true;
}

/* Stores that hear of it need not wait for the end of a lease. */
static bool sim_let_go(struct sim *s, struct sim_node *n)
{
	int x;

	if (!n->k.halted)
		return false;
	for (x = 0; x < NODES; x++)
		if (sim_reach(s, n - s->node, x) &&
		    s->store[x].let_go < n->k.epoch)
			s->store[x].let_go = n->k.epoch;
	sim_module_drop(n);
	return true;
}

/* -------------------------------------------------------------------- checks */

static void sim_trace(struct sim *s, int node, enum hcv_vp_act act)
{
	if (s->nr_trace == sizeof(s->trace) / sizeof(s->trace[0]))
		return;
	s->trace[s->nr_trace].node = node;
	s->trace[s->nr_trace].act = act;
	s->trace[s->nr_trace++].at = s->now;
}

/* The record is about to become @rec. */
static void sim_hand_seen(struct sim *s, const struct hcv_record *rec)
{
	int i;

	if (s->rec.phase != HCV_PH_SERVING || rec->phase != HCV_PH_TAKING ||
	    !rec->was_clean || !strcmp(s->rec.owner, rec->owner))
		return;
	s->nr_hands++;
	s->handed |= 1ULL << s->rec.epoch % 64;
	if (strcmp(s->rec.hand.to, rec->owner))
		sim_fail(s, "handed over to %s, the wish was %s", rec->owner,
			 s->rec.hand.to);
	for (i = 0; i < NODES; i++)
		if (s->node[i].has_vol && !s->node[i].k.prepared &&
		    s->node[i].k.epoch == s->rec.epoch &&
		    !s->node[i].k.halted)
			sim_fail(s, "handed over while it runs on node %d", i);
}

/* Older owners may be anywhere, cut off; that one was there and halted. */
static void sim_hand_check(struct sim *s)
{
	int i;

	for (i = 0; i < NODES; i++)
		if (s->node[i].has_vol && !s->node[i].k.prepared &&
		    s->handed >> s->node[i].k.epoch % 64 & 1 &&
		    s->node[i].k.state == HCV_VOL_ACTIVE)
			sim_fail(s, "node %d goes on with epoch %llu, which was handed over",
				 i, (unsigned long long)s->node[i].k.epoch);
}

/* A wish, or what was prepared for one. */
static bool sim_hand_left(const struct sim *s)
{
	int i;

	for (i = 0; i < NODES; i++)
		if (s->node[i].has_vol && s->node[i].k.prepared)
			return true;
	return s->rec.hand.to[0];
}

#endif /* HCV_AGENT_CORE_VOLSIM_HAND_H */
