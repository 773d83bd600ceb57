/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The health of a store, and what follows for the volumes on it.  Pure.
 *
 *	ok -> suspect -> draining -> out
 *
 * A store goes one state at a time, once per look: suspect when it is slower than
 * its peers, when its disk gave errors, or when the disk says that it is worn;
 * draining when there are many errors, when the disk says that it is failing, or
 * when it was slow again and again; out when it is draining and nothing is left on
 * it.  Back to ok it comes by an operator's word, or, if nothing but its
 * latency spoke against it, when it has proved to be fast for a while, twice
 * as long each time it happens.
 *
 * `slow` is told apart from the state: a store that is to be drained for its
 * errors may be as fast as any, and is then as good a replica as any until its
 * extents are elsewhere.  Only a slow one may be dropped from in-sync sets.
 *
 * What many stores suffer from is not the disks: a store becomes slow only while
 * the cluster admits it (hcv_health_admit()), one per HCV_HEALTH_SPACING_MS.
 */
#ifndef HCV_AGENT_CORE_HEALTH_H
#define HCV_AGENT_CORE_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "latency.h"
#include "model.h"
#include "smart.h"

#define HCV_HEALTH_SPACING_MS	600000	/* from one store to the next slow one */
#define HCV_HEALTH_SHARE	4	/* at most 1 of this many may be slow */
#define HCV_HEALTH_FINE		12	/* windows in a row that prove it */
#define HCV_HEALTH_HOLD_MS	300000	/* a store is slow for at least this, */
#define HCV_HEALTH_HOLD_MAX_MS	86400000	/* twice that the next time, ... */
#define HCV_HEALTH_RELAPSES	3	/* times; the next one drains it */
#define HCV_HEALTH_FORGET_S	86400	/* ok for so long: relapses are over */
#define HCV_HEALTH_MEDIA_SUSPECT 5	/* errors, of which one an hour is free */
#define HCV_HEALTH_MEDIA_DRAIN	50
#define HCV_HEALTH_MEDIA_BURST	5	/* of one look: what is in flight fails at once */
#define HCV_HEALTH_MEDIA_MAX	1000	/* more are not counted */
#define HCV_HEALTH_MEDIA_S	3600	/* in which one error is forgotten */
#define HCV_HEALTH_WHY		160

enum hcv_health_state {
	HCV_HEALTH_OK,
	HCV_HEALTH_SUSPECT,
	HCV_HEALTH_DRAINING,
	HCV_HEALTH_OUT,
	HCV_HEALTH_STATES
};

/** enum hcv_health_cause - what spoke against it; a later one weighs more */
enum hcv_health_cause {
	HCV_HEALTH_BY_NONE,
	HCV_HEALTH_BY_LATENCY,
	HCV_HEALTH_BY_MEDIA,
	HCV_HEALTH_BY_SMART,
	HCV_HEALTH_BY_OPERATOR,
	HCV_HEALTH_CAUSES
};

/**
 * struct hcv_health - what is kept about a store, by its node
 * @slow: its latency is that of no healthy store
 * @since: of @state, in seconds of the wall clock
 * @relapses: times that it was slow before, without a long time between
 * @media: errors of its disk that are not forgotten
 * @media_at: when one was forgotten last, in seconds of the wall clock
 * @smart: what its disk said last
 * @accepted: what its disk said when an operator put it back to ok: only worse
 *	counts again
 * @why: a sentence; "" while it is ok
 */
struct hcv_health {
	enum hcv_health_state state;
	enum hcv_health_cause cause;
	bool slow;
	int64_t since;
	uint32_t relapses;
	uint32_t media;
	int64_t media_at;
	enum hcv_smart_verdict smart;
	enum hcv_smart_verdict accepted;
	char why[HCV_HEALTH_WHY];
};

/**
 * struct hcv_health_mem - what an agent remembers between two looks
 *
 * May be lost; a slow store then has to prove itself anew.
 *
 * @slow_ms: since when it is slow, CLOCK_BOOTTIME; 0: not known
 */
struct hcv_health_mem {
	struct hcv_lat_history history;
	int64_t slow_ms;
};

/**
 * struct hcv_health_in - one look
 * @now_ms: CLOCK_BOOTTIME
 * @now: the wall clock, in seconds
 * @mark: of the last window, or of reads that the agent made itself
 * @why_slow: about a mark HCV_LAT_SLOW
 * @errors: of the disk since the last look
 * @smart, @why_smart: what the disk says
 * @admitted: hcv_health_admit() was asked and agreed; the caller makes sure
 *	that no other store is admitted at the same time
 * @empty: no row names it, and its node says that no extent is in use
 */
struct hcv_health_in {
	int64_t now_ms;
	int64_t now;
	enum hcv_lat_mark mark;
	const char *why_slow;
	uint64_t errors;
	enum hcv_smart_verdict smart;
	const char *why_smart;
	bool admitted;
	bool empty;
};

/**
 * struct hcv_health_out - what became of it
 * @changed: the state, the cause or `slow` is another one: to be told
 * @dirty: something is another one: to be written
 * @from: the state before
 * @asks: it is slow, and was not admitted
 * @became_slow: the admission was used
 */
struct hcv_health_out {
	bool changed;
	bool dirty;
	enum hcv_health_state from;
	bool asks;
	bool became_slow;
};

/** hcv_health_step() - one look; @h and @mem are brought up to date */
void hcv_health_step(struct hcv_health *h, struct hcv_health_mem *mem,
		     const struct hcv_health_in *in, struct hcv_health_out *out);

/**
 * hcv_health_set() - an operator's word
 * @state: OK: forget all that was held against it; DRAINING: empty it
 * @why: for DRAINING, or NULL
 *
 * Return: 0; -EINVAL: another state; -EALREADY: it is so, and nothing to forget
 */
int hcv_health_set(struct hcv_health *h, enum hcv_health_state state,
		   const char *why, int64_t now);

/** hcv_health_may_move() - whether the store goes from one to the other by itself */
bool hcv_health_may_move(enum hcv_health_state from, enum hcv_health_state to);
/**
 * hcv_health_placeable() - whether new extents may come to the store
 *
 * To a suspect one they may: when all disks of a cluster are worn, that is no
 * reason to refuse its writes.
 */
bool hcv_health_placeable(enum hcv_health_state state);

/**
 * struct hcv_health_cluster - what an admission rests on
 * @stores: of the class, live ones, the one that asks among them
 * @slow: how many of all stores are slow now
 * @last_ms: how long it is known that no store became slow; restarts of the agent
 *	begin it anew
 */
struct hcv_health_cluster {
	size_t stores;
	size_t slow;
	int64_t last_ms;
};

/**
 * hcv_health_admit() - whether one more store may be called slow
 * @why: HCV_ERR_SIZE bytes, set if not
 */
bool hcv_health_admit(const struct hcv_health_cluster *c, char *why);

/**
 * struct hcv_health_drop_in - a volume, for the choice of a replica to drop
 * @drop: its setting slow_replica is "drop"
 * @slow: by place in the record: the store is slow
 * @ailing: by place in the record: its health is another one than ok
 * @present: by place in the record: its link is in-sync in the module as well
 */
struct hcv_health_drop_in {
	const struct hcv_record *rec;
	const struct hcv_rows *rows;
	bool drop;
	bool slow[HCV_REC_STORES];
	bool ailing[HCV_REC_STORES];
	bool present[HCV_REC_STORES];
};

/**
 * hcv_health_drop() - the store to be taken out of the in-sync set
 *
 * Never one more from a volume that lacks a copy already, and never a store
 * without which some extent would have no in-sync copy on a store that is fast and
 * healthy: a slow disk is better than one that is about to fail.
 *
 * Return: its place in the record, or -1.
 */
int hcv_health_drop(const struct hcv_health_drop_in *in);

/**
 * hcv_health_keep_out() - whether a stale store is not to be brought back yet
 * @i: its place in the record
 *
 * A slow one stays out, unless another one is missing too, or some extent has no
 * other copy on a store that is fast and healthy: two copies, one of them slow,
 * are better than one.
 */
bool hcv_health_keep_out(const struct hcv_health_drop_in *in, size_t i);

const char *hcv_health_state_name(enum hcv_health_state state);
const char *hcv_health_cause_name(enum hcv_health_cause cause);

#endif /* HCV_AGENT_CORE_HEALTH_H */
