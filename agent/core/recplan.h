/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The recovery planner: which replicas are to be made elsewhere.  Pure.
 *
 * How it works.  The leader agent sums up the cluster (hcv_recplan_vol() for
 * each volume), has the times filled in (hcv_recplan_observe()) and asks
 * hcv_recplan() what to begin, what to call off, and what has to wait for what.
 * A job is a wish that a volume's owner fulfils: all extents that the volume
 * has on one store (a share) get a replica on another store, which is filled
 * and joins; then, and only if enough in-sync copies are left, the first store
 * gives its share up.  Why whole shares: docs/decisions/planner.md.
 *
 * A volume has one job at a time.  Repairs come before drains, these before
 * what evens space and failure domains out, and moves to a new owner last;
 * among equals the volume with the fewest in-sync copies.  A job of a kind is
 * held up by jobs of the same and of more urgent kinds only.
 *
 * A target that fails, or goes away, is given up for another one.  As long as
 * there is no other it is tried on: half a copy is of more use than none.
 *
 * No ping-pong: moving for space lowers the sum of used^2 / total over the
 * stores by a margin, so that no sequence of them comes back to where it was; a
 * share on its owner's node is moved for space only from a store that is
 * nearly full, and moves to the owner only fill a store up to well below where
 * balancing begins.
 */
#ifndef HCV_AGENT_CORE_RECPLAN_H
#define HCV_AGENT_CORE_RECPLAN_H

#include "elect.h"
#include "model.h"

#define HCV_RP_WHY	200

/** enum hcv_rp_kind - why a job is wanted; the most urgent first */
enum hcv_rp_kind {
	HCV_RP_REPAIR,		/* a replica is gone for too long */
	HCV_RP_TRIM,		/* more stores than replicas: nothing is copied */
	HCV_RP_DRAIN,		/* its store or node is to be emptied */
	HCV_RP_DOMAIN,		/* two replicas share a failure domain */
	HCV_RP_BALANCE,		/* its store is too full */
	HCV_RP_MOVE,		/* the owner's node has no copy */
	HCV_RP_KINDS
};

/**
 * struct hcv_rp_cfg - limits
 * @absent_ms: a store that is away, or a replica that does not come back, for
 *	longer is replaced (R-FAIL-3)
 * @failed_ms: the same for a store that has failed
 * @settle_ms: an owner that has been one for longer gets a replica (R-REP-2)
 * @target_ms: a store that a job fills may be away for so long
 * @per_node, @per_store: jobs under way
 * @reserve_pct: of each store, never filled by a job
 * @margin_pct: a move for space has to be worth that much
 * @care_idle_ms: a caretaker without anything to do gives the volume up, and one is
 *	named only when the volume was attached nowhere for so long
 * @care_take_ms: a node that was named has to have the volume by then, and may be
 *	away for so long
 * @paused: begin nothing
 */
struct hcv_rp_cfg {
	int64_t absent_ms;
	int64_t failed_ms;
	int64_t settle_ms;
	int64_t target_ms;
	int64_t care_idle_ms;
	int64_t care_take_ms;
	unsigned int per_node;
	unsigned int per_store;
	unsigned int reserve_pct;
	unsigned int margin_pct;
	bool paused;
};

/** hcv_recplan_defaults() - what a cluster begins with */
void hcv_recplan_defaults(struct hcv_rp_cfg *cfg);

/**
 * struct hcv_rp_node - a node
 * @rack: "": the node is a rack of its own
 * @paused: nothing is begun for volumes that it owns
 * @able: it can take care of volumes that are attached nowhere
 */
struct hcv_rp_node {
	char id[HCV_ID_LEN];
	char rack[HCV_NAME_LEN];
	bool live;
	bool draining;
	bool paused;
	bool able;
};

/**
 * struct hcv_rp_store - a store
 * @node: index, -1: not known
 * @used: extents in use or promised by rows
 * @live: open on a live node
 * @failed: latched by an error
 * @empty: to be emptied, or removed
 * @ailing: its health says that it is suspect: taken if there is no other
 * @gone_ms: since when it is not live or failed, 0: it is well; see
 *	hcv_recplan_observe()
 */
struct hcv_rp_store {
	char id[HCV_ID_LEN];
	int node;
	uint32_t total;
	uint32_t used;
	bool live;
	bool failed;
	bool empty;
	bool ailing;
	int64_t gone_ms;
};

/**
 * struct hcv_rp_share - what a volume has on one store
 * @store: index, -1: not known any more
 * @extents: rows on it
 * @peers: shares, as bits, that some row has together with this one
 * @min_good: the fewest in-sync copies on live stores that one of its rows has
 *	besides this one
 * @min_stores, @max_stores: of its rows
 * @stale_ms: since when it is stale although its store is well and the volume
 *	served, 0: it is not; see hcv_recplan_observe()
 */
struct hcv_rp_share {
	int store;
	enum hcv_rec_sstate state;
	uint32_t extents;
	uint32_t peers;
	unsigned int min_good;
	unsigned int min_stores;
	unsigned int max_stores;
	int64_t stale_ms;
};

/**
 * struct hcv_rp_vol - a volume
 * @owner: node that serves it, index; -1: none does, or a caretaker that is gone
 * @free: it is attached nowhere; @owner, if there is one, takes care of it
 * @leaving: who takes care of it is just giving it up, maybe since somebody wants it
 * @has_care: somebody is named to; @named: who, -1: a node that is not known
 * @owner_ms: since when; see hcv_recplan_observe()
 * @skip: being deleted, or its keys are not understood
 * @share: in the order of the record
 * @sets: which shares rows have together; hcv_recplan_vol_free()
 */
struct hcv_rp_vol {
	char id[HCV_ID_LEN];
	unsigned int replicas;
	enum hcv_domain domain;
	int owner;
	bool free;
	bool leaving;
	bool has_care;
	int named;
	int64_t owner_ms;
	bool skip;
	size_t nr;
	struct hcv_rp_share share[HCV_REC_STORES];
	struct hcv_elect sets;
};

/**
 * struct hcv_rp_job - a job under way
 * @to: "": only @from is to go
 * @cancel: it was called off already
 * @failed: its owner tried to fill @to in vain
 */
struct hcv_rp_job {
	char vol[HCV_ID_LEN];
	char from[HCV_ID_LEN];
	char to[HCV_ID_LEN];
	enum hcv_rp_kind kind;
	bool cancel;
	bool failed;
};

/**
 * struct hcv_rp_left - a store that the volume left, and cannot come back to
 * before what it had is free
 */
struct hcv_rp_left {
	char vol[HCV_ID_LEN];
	char store[HCV_ID_LEN];
};

struct hcv_rp_mem;

/** struct hcv_rp_in - everything that a plan rests on */
struct hcv_rp_in {
	struct hcv_rp_cfg cfg;
	int64_t now_ms;
	struct hcv_rp_node *node;
	struct hcv_rp_store *store;
	struct hcv_rp_vol *vol;
	struct hcv_rp_job *job;
	struct hcv_rp_left *left;
	size_t nr_nodes, nr_stores, nr_vols, nr_jobs, nr_left;
	const struct hcv_rp_mem *mem;
};

/** struct hcv_rp_start - begin: @to is a store, -1: only drop the share */
struct hcv_rp_start {
	size_t vol;
	size_t share;
	int to;
	enum hcv_rp_kind kind;
	char why[HCV_RP_WHY];
};

/**
 * struct hcv_rp_cancel - call off in->job[@job]
 * @blame: its target is to blame: hcv_recplan_failed()
 */
struct hcv_rp_cancel {
	size_t job;
	bool blame;
	char why[HCV_RP_WHY];
};

/** struct hcv_rp_blocked - something that is to be done and cannot be now */
struct hcv_rp_blocked {
	size_t vol;
	size_t share;
	enum hcv_rp_kind kind;
	char why[HCV_RP_WHY];
};

/**
 * struct hcv_rp_work - what is to be done for a volume that is attached nowhere
 * @now: something can be done at once
 * @later: something can be done when it has its turn
 * @kind, @copies: how urgent it is
 */
struct hcv_rp_work {
	bool now;
	bool later;
	enum hcv_rp_kind kind;
	unsigned int copies;
	char why[HCV_RP_WHY];
};

/**
 * struct hcv_rp_plan - in the order of urgency; hcv_recplan_free()
 * @work: one for each volume
 */
struct hcv_rp_plan {
	struct hcv_rp_start *start;
	struct hcv_rp_cancel *cancel;
	struct hcv_rp_blocked *blocked;
	struct hcv_rp_work *work;
	size_t nr_start, nr_cancel, nr_blocked;
};

/**
 * hcv_recplan() - what is to be done now
 *
 * Return: 0; -ENOMEM: the plan is empty.
 */
int hcv_recplan(const struct hcv_rp_in *in, struct hcv_rp_plan *plan);
void hcv_recplan_free(struct hcv_rp_plan *plan);

/** hcv_recplan_kind_name() / _parse() - as in keys and for people; -1: none */
const char *hcv_recplan_kind_name(enum hcv_rp_kind kind);
int hcv_recplan_kind_parse(const char *name);

/* ------------------------------------------------------------ recplan_vol.c */

/**
 * hcv_recplan_vol() - sum a volume up
 * @in: with its nodes and stores
 * @vol: id, replicas, domain, owner, skip are set; zero otherwise
 *
 * Return: 0 or -ENOMEM.  @vol->skip is set if the rows name a store that the
 * record does not have.
 */
int hcv_recplan_vol(const struct hcv_rp_in *in, const struct hcv_record *rec,
		    const struct hcv_rows *rows, struct hcv_rp_vol *vol);
void hcv_recplan_vol_free(struct hcv_rp_vol *vol);

/* ------------------------------------------------------------ recplan_mem.c */

/**
 * struct hcv_rp_mem - what a planner keeps: since when things are as they are,
 * and which targets failed
 *
 * May be lost at any time; that costs time, never correctness.
 */
struct hcv_rp_mem *hcv_recplan_mem_new(void);
void hcv_recplan_mem_free(struct hcv_rp_mem *mem);
/* Looks further apart than this do not tell what was between them. */
#define HCV_RP_GAP_MS		30000

/**
 * hcv_recplan_observe() - note what is new, and fill all times of @in
 *
 * Time in which nobody looked, HCV_RP_GAP_MS or more, does not count: what was
 * away then may have been back.
 *
 * Return: 0 or -ENOMEM, with all as it was.
 */
int hcv_recplan_observe(struct hcv_rp_mem *mem, struct hcv_rp_in *in);
/**
 * hcv_recplan_begun() - a job was begun; if it is over, and nobody called it off,
 * while the share is where it was, the next one for that share waits a while
 */
void hcv_recplan_begun(struct hcv_rp_mem *mem, const char *vol,
		       const char *from);
void hcv_recplan_called_off(struct hcv_rp_mem *mem, const char *vol,
			    const char *from);
/** hcv_recplan_failed() - @store could not be filled for @vol: elsewhere first */
void hcv_recplan_failed(struct hcv_rp_mem *mem, const char *vol,
			const char *store, int64_t now_ms);
/** hcv_recplan_done() - it could */
void hcv_recplan_done(struct hcv_rp_mem *mem, const char *vol,
		      const char *store);
/** hcv_recplan_avoid() - until when the store is not to be filled for @vol */
int64_t hcv_recplan_avoid(const struct hcv_rp_mem *mem, const char *vol,
			  const char *store);

/* ------------------------------------------------------------ recplan_care.c */

/** struct hcv_rp_care - name node @node for volume @vol; -1: nobody any more */
struct hcv_rp_care {
	size_t vol;
	int node;
	char why[HCV_RP_WHY];
};

/**
 * hcv_recplan_care() - who takes care of volumes that are attached nowhere
 * @mem: notes since when each of them waits, or has nothing to do
 * @plan: of the same @in
 * @out: malloc'd, the most urgent first; @nr of them
 *
 * A node that is named claims the volume when nobody owns it, and gives it up
 * when it is not named any more.
 * Return: 0 or -ENOMEM, with nothing in @out.
 */
int hcv_recplan_care(struct hcv_rp_mem *mem, const struct hcv_rp_in *in,
		     const struct hcv_rp_plan *plan, struct hcv_rp_care **out,
		     size_t *nr);

/** hcv_recplan_stayed() - until when no job is begun for the share on @store */
int64_t hcv_recplan_stayed(const struct hcv_rp_mem *mem, const char *vol,
			   const char *store);

#endif /* HCV_AGENT_CORE_RECPLAN_H */
