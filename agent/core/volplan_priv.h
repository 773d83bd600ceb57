/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the planner share with each other and nobody else.
 */
#ifndef HCV_AGENT_CORE_VOLPLAN_PRIV_H
#define HCV_AGENT_CORE_VOLPLAN_PRIV_H

#include <string.h>

#include "volplan.h"

/**
 * struct vp - a question under way
 * @k: the volume in the module, unless it is a zombie
 * @waits: why there is no step is noted
 */
struct vp {
	const struct hcv_vp_in *in;
	struct hcv_vp_out *out;
	const struct hcv_k_vol *k;
	bool waits;
};

static inline const struct hcv_vp_store *vp_store(const struct vp *p, const char *id)
{
	size_t i;

	for (i = 0; i < p->in->nr_st; i++)
		if (!strcmp(p->in->st[i].id, id))
			return &p->in->st[i];
	return NULL;
}

static inline const struct hcv_k_link *vp_link(const struct vp *p, const char *store)
{
	size_t i;

	for (i = 0; p->k && i < p->k->nr_links; i++)
		if (!strcmp(p->k->link[i].store, store))
			return &p->k->link[i];
	return NULL;
}

/* A link that has, or failed with, a device. */
static inline const struct hcv_k_link *vp_tied(const struct vp *p, const char *store)
{
	const struct hcv_k_link *link = vp_link(p, store);
	const struct hcv_vp_store *st = vp_store(p, store);

	if (link && link->state == HCV_LINK_OUT && st && st->dropped)
		return NULL;
	return link;
}

static inline bool vp_live(const struct hcv_vp_store *st)
{
	return st && st->live && !st->bad;
}

/* volplan.c: what the files choose steps with */

/**
 * vp_wait() - note why there is no step; the first note counts
 * @until_ms: when to look again; 0: when something has changed
 *
 * Return: false
 */
__attribute__((format(printf, 3, 4)))
bool vp_wait(struct vp *p, int64_t until_ms, const char *fmt, ...);
/** vp_do() - choose a step, unless it failed a moment ago: false, and noted */
bool vp_do(struct vp *p, enum hcv_vp_act act, const char *store);
/** vp_name() - of a store, for people */
const char *vp_name(const struct vp *p, const char *id);
/** vp_rec_index() - of a store in the record; -1: not there */
int vp_rec_index(const struct hcv_record *rec, const char *store);
/** vp_granted() - whether the store's node has granted the record's epoch */
bool vp_granted(const struct vp *p, const struct hcv_vp_store *st,
		uint32_t rows_end);
/** vp_link_add() - a link, or before it new handles or the connection */
bool vp_link_add(struct vp *p, const struct hcv_vp_store *st, uint32_t state,
		 uint32_t flags);

/* volplan_extent.c: extents of a volume that runs; @p->k is there */

/** vp_extents() - rows that the module is to be given */
bool vp_extents(struct vp *p);
/** vp_ahead() - places ahead of the writes; @p->in->vol is there */
bool vp_ahead(struct vp *p);
/** vp_give_back() - retired extents that lose their rows, or the module's room */
bool vp_give_back(struct vp *p);
/** vp_retire() - idle extents that are to be given back */
bool vp_retire(struct vp *p);

/* volplan_mem.c */

/** hcv_vp_retry_find() - the failures of a step, NULL: none */
const struct hcv_vp_retry *hcv_vp_retry_find(const struct hcv_vp_mem *mem,
					     enum hcv_vp_act act,
					     const char *store);

/* volplan_job.c: recovery jobs */

/**
 * hcv_vp_job() - the next step of the volume's job; HCV_JP_WAIT: none
 *
 * What the job itself cannot know is looked at here: that its target was tried
 * often enough.
 */
void hcv_vp_job(const struct vp *p, struct hcv_jp_out *out);
/** hcv_vp_job_held() - whether the store is not to be brought up to date now */
bool hcv_vp_job_held(const struct vp *p, const char *store);

/* volplan_give.c: extents that go back; @in->k is there */

/** hcv_vp_given() - whether the module was given row number @row of the list */
bool hcv_vp_given(const struct hcv_vp_in *in, size_t row);
/** hcv_vp_retired() - whether the module uses the extent no more */
bool hcv_vp_retired(const struct hcv_k_vol *k, uint32_t index);
/**
 * hcv_vp_settled() - settled extents that have a row, or have none any more
 * @index: room for HCV_K_RETIRED_MAX
 *
 * Return: how many
 */
size_t hcv_vp_settled(const struct hcv_vp_in *in, bool with_row,
		      uint32_t *index);
/** hcv_vp_retire() - whether a column has too many idle extents: HCV_VP_RETIRE */
bool hcv_vp_retire(const struct hcv_vp_in *in, struct hcv_vp_out *out);

/* volplan_slow.c: replicas on slow stores; @in->k is there */

/** hcv_vp_slow() - the store whose replica is to be dropped, or NULL */
const char *hcv_vp_slow(const struct hcv_vp_in *in);
/** hcv_vp_kept_out() - whether a stale store is slow and stays out */
bool hcv_vp_kept_out(const struct hcv_vp_in *in, const char *store);

/* volplan_care.c: volumes that are attached nowhere */

/** hcv_vp_care_due() - whether this node, which does not own it, is to claim it */
bool hcv_vp_care_due(const struct hcv_vp_in *in);
/**
 * hcv_vp_care_end() - of the owner: what the end of its care asks for
 * @k: as in @in, but not a zombie
 *
 * Return: HCV_VP_NONE: it is attached, or is taken care of on.
 */
enum hcv_vp_act hcv_vp_care_end(const struct hcv_vp_in *in,
				const struct hcv_k_vol *k);
/** hcv_vp_care_forced() - whether HCV_VP_STOP is to be by force by now */
bool hcv_vp_care_forced(const struct hcv_vp_in *in);

/* volplan_hand.c: hand-overs */

/**
 * hcv_vp_hand_is_target() - whether the volume is here, or to be, for a hand-over
 *
 * @in->known; @k: as in @in, but not a zombie
 */
bool hcv_vp_hand_is_target(const struct hcv_vp_in *in,
			   const struct hcv_k_vol *k);
/**
 * hcv_vp_hand_target() - next step of the node that is to be handed the volume
 * @out: act, store, reason, until_ms; act NONE never
 */
void hcv_vp_hand_target(const struct hcv_vp_in *in, const struct hcv_k_vol *k,
			struct hcv_vp_out *out);
/** hcv_vp_hand_source() - of the owner of a volume that runs; act may be NONE */
void hcv_vp_hand_source(const struct hcv_vp_in *in, struct hcv_vp_out *out);
/** hcv_vp_hand_halted() - of the owner of a halted volume */
void hcv_vp_hand_halted(const struct hcv_vp_in *in, struct hcv_vp_out *out);

#endif /* HCV_AGENT_CORE_VOLPLAN_PRIV_H */
