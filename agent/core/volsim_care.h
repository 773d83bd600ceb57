/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For volsim_test.c alone: a volume that is attached nowhere is taken care of.  A
 * leader names whom it likes, at any time; an operator who wants the volume does as
 * cmd_volume_care.c does, and may give up at any time.
 */
#ifndef HCV_AGENT_CORE_VOLSIM_CARE_H
#define HCV_AGENT_CORE_VOLSIM_CARE_H

#include "volsim_module.h"

static int sim_owner(const struct sim *s)
{
	int i;

	for (i = 0; i < NODES; i++)
		if (!strcmp(s->rec.owner, node_id[i]))
			return i;
	return -1;
}

static void sim_care_faults(struct sim *s)
{
	if (!s->care_in)
		return;
	if (s->calm)
		s->care = -1;
	else if ((!s->rec.owner[0] || s->rec.care.on) &&
		 sim_chance(s, s->care_in))
		s->care = sim_rand(s, NODES);
	else if (sim_chance(s, 10 * s->care_in))
		s->care = -1;
	if (s->wants >= 0 && !s->calm && sim_chance(s, 300))
		s->wants = -1;
}

/* The claim compares who is named. */
static bool sim_care_named(struct sim *s, int n, struct sim_actor *a)
{
	if (s->care == n)
		return true;
	a->known = false;
	return false;
}

/* With the record goes who is named; late ones leave that to chance. */
static void sim_care_write(struct sim *s, int i, const struct hcv_record *rec,
			   unsigned long *nr, const char *what)
{
	int64_t rev = s->rev;
	enum sim_res res = sim_txn(s, i, rev, rec);

	sim_log(s, "node %d %s: %d", i, what, res);
	if (res == SIM_OK || (res == SIM_UNKNOWN && s->rev != rev))
		s->care = -1;
	if (res == SIM_OK && s->node[i].own_rev < s->rev)
		s->node[i].own_rev = s->rev;
	s->node[i].unknown |= res == SIM_UNKNOWN;
	*nr += res == SIM_OK;
}

/*
 * Node @i wants a volume that is taken care of.
 * Return: whether it is, or was until now: look again
 */
static bool sim_care_release(struct sim *s, int i)
{
	const struct hcv_k_vol *k = &s->node[i].k;
	struct hcv_record rec = s->rec;
	int owner = sim_owner(s);
	char err[HCV_ERR_SIZE];

	if (!rec.care.on)
		return false;
	s->wants = i;
	if (owner == i && s->node[i].has_vol && k->diskless &&
	    k->epoch == rec.epoch && k->state != HCV_VOL_FENCED &&
	    !hcv_record_care_take(&rec, node_id[i], err))
		sim_care_write(s, i, &rec, &s->nr_takes, "attaches it there");
	else if (owner >= 0 && sim_live(s, owner) && !rec.care.leave &&
		 !hcv_record_care_leave(&rec, err))
		sim_care_write(s, i, &rec, &s->nr_leaves, "asks for it");
	else if ((!sim_live(s, owner) || sim_chance(s, 30)) &&
		 !hcv_record_care_evict(&rec, err))
		sim_care_write(s, i, &rec, &s->nr_evicts, "evicts");
	return true;
}

/* Nobody can open what is only taken care of; what is attached is not stopped for it. */
static void sim_care_check(struct sim *s)
{
	int i;

	for (i = 0; i < NODES; i++)
		if (s->node[i].has_vol && !s->node[i].k.prepared &&
		    s->node[i].k.epoch == s->rec.epoch && s->rec.care.on &&
		    !s->node[i].k.diskless)
			sim_fail(s, "node %d has a disk of epoch %llu, which is not attached",
				 i, (unsigned long long)s->rec.epoch);
}

static void sim_care_stops(struct sim *s, const struct sim_node *n)
{
	if (n->k.epoch == s->rec.epoch && !n->wish_detach &&
	    sim_owner(s) == n - s->node && !s->rec.care.leave)
		sim_fail(s, "node %d stops what nobody wants to be stopped",
			 (int)(n - s->node));
}

static bool sim_publish(struct sim_node *n)
{
	if (!n->k.diskless || n->k.state != HCV_VOL_ACTIVE)
		return false;
	n->k.diskless = false;
	return true;
}

/* Somebody takes care, or has not got the volume yet. */
static bool sim_care_left(const struct sim *s)
{
	int i;

	for (i = 0; i < NODES; i++)
		if (s->node[i].has_vol && s->node[i].k.diskless)
			return true;
	return s->rec.care.on;
}

#endif /* HCV_AGENT_CORE_VOLSIM_CARE_H */
