/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the recovery planner share with each other and nobody else.
 */
#ifndef HCV_AGENT_CORE_RECPLAN_PRIV_H
#define HCV_AGENT_CORE_RECPLAN_PRIV_H

#include "recplan.h"

#define RP_BUSY		75	/* percent used: balance remote replicas */
#define RP_FULL		90	/* percent used: balance all replicas */
#define RP_MOVE		70	/* percent used, up to which owners get replicas */

/**
 * struct rp - a plan in the making
 * @coming, @leaving: extents per store, by jobs under way or planned
 * @node_jobs, @store_jobs: of each kind
 * @busy: volumes that have a job
 */
struct rp {
	const struct hcv_rp_in *in;
	struct hcv_rp_plan *out;
	uint32_t *coming;
	uint32_t *leaving;
	unsigned int (*node_jobs)[HCV_RP_KINDS];
	unsigned int (*store_jobs)[HCV_RP_KINDS];
	bool *busy;
	bool nomem;
};

/** rp_used() - extents of a store, those on their way included */
static inline uint32_t rp_used(const struct rp *p, size_t store)
{
	return p->in->store[store].used + p->coming[store];
}

/** rp_pct() - percent, rounded down; of nothing: 100 */
static inline unsigned int rp_pct(uint64_t used, uint32_t total)
{
	return used >= total ? 100 : (unsigned int)(used * 100 / total);
}

/** rp_well() - a store that is there and has not failed */
static inline bool rp_well(const struct rp *p, int store)
{
	return store >= 0 && p->in->store[store].live &&
	       !p->in->store[store].failed;
}

/** rp_node_of() - of a share; -1: not known */
static inline int rp_node_of(const struct rp *p, const struct hcv_rp_share *s)
{
	return s->store < 0 ? -1 : p->in->store[s->store].node;
}

/** rp_same_group() - whether two stores share a failure domain */
bool rp_same_group(const struct hcv_rp_in *in, int a, int b,
		   enum hcv_domain domain);
/** rp_has_local() - whether another share of its rows is on the owner's node */
bool rp_has_local(const struct rp *p, const struct hcv_rp_vol *vol, size_t s);
/** rp_store_jobs() - copies from or to the store that @kind has to wait for */
unsigned int rp_store_jobs(const struct rp *p, size_t store,
			   enum hcv_rp_kind kind);
/** rp_node_jobs() - the same for a node; -1: none */
unsigned int rp_node_jobs(const struct rp *p, int node, enum hcv_rp_kind kind);
/**
 * rp_gain() - what moving a share for space is worth, in percent
 *
 * Per extent moved, the sum over the stores of used^2 / total falls by this
 * much: what the one store is used before and after, less the same of the other.
 */
int rp_gain(const struct rp *p, const struct hcv_rp_share *s, size_t to);

/* recplan_mem.c */

struct care_seen;

/** struct rp_care_mem - what recplan_care.c keeps between two plans */
struct rp_care_mem {
	struct care_seen *seen;		/* by volume */
	size_t nr;
	int64_t seen_ms;
};

struct rp_care_mem *rp_mem_care(struct hcv_rp_mem *mem);

/* recplan_pick.c */

/** rp_elections_without() - whether elections stay possible if a share goes */
bool rp_elections_without(const struct rp *p, const struct hcv_rp_vol *vol,
			  size_t share);
/**
 * rp_pick() - the best store for a replica in the place of a share
 * @but: a share that is given up for it; -1: none
 * @why: HCV_RP_WHY bytes, when there is none
 *
 * Return: index of the store, or -1.
 */
int rp_pick(const struct rp *p, size_t vol, size_t share, int but,
	    enum hcv_rp_kind kind, char *why);

#endif /* HCV_AGENT_CORE_RECPLAN_PRIV_H */
