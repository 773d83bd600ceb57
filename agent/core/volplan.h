/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The next step of a volume on the node that owns it.
 *
 * How it works.  hcv_volplan_next() is a pure function.  It compares the
 * record, the rows, the definition and the grants (metadata store) with what
 * the module has, and names one step, the most urgent one, or says what the
 * volume waits for.  The caller takes the step, looks again, asks again.  No
 * step depends on which steps were taken before: an agent that was killed
 * anywhere starts over with the same question.
 *
 * Urgency: a contradiction (fence) before removals, removals before joins,
 * both before the links and rows that are only wanted, definition last.
 *
 * What is safe to assume, and why:
 * - A volume that is not in the module while the record says `serving` was
 *   never left by this agent half-way: VOL_CREATE comes before the record goes
 *   from `taking` to `serving`.  So the node or the module was restarted, and
 *   only a new take-over may bring the volume back.
 * - A row is given to a started volume only when all stores that the record
 *   calls in-sync and that hold it are in-sync in the module too.  So a store
 *   that is in-sync by the record and has no link yet has missed nothing.
 * - Handles that a link had are never used again (I8): the module tells the
 *   first one of the newest tie, the record the renewal that the grant must be
 *   of.  A removal asks for one; a store that was lost is asked for one here.
 * - A removal is asked for only if every row keeps an in-sync copy.
 * - Extents that the module has retired are never used again: a transaction of
 *   unknown outcome may still take their rows.  They go before any store is
 *   brought up to date, since a resync would not cover them.
 * - A store of the record keeps its first row, so that there is a grant of it.
 * - A halted volume goes on only under a record without the wish for a hand-over
 *   that was read after it was halted: whatever became of a transaction that was to
 *   hand it over, it compares an older revision and is void (volplan_hand.c).
 * - A caretaker's volume is stopped only under a record that says that it leaves,
 *   and attached on its node only under one that does not (volplan_care.c).
 * - A recovery job adds a store as stale, and removes one that is not needed:
 *   what it asks for is no more than what failures bring about (jobplan.h).  It
 *   has its turn when nothing more urgent is to be done.
 */
#ifndef HCV_AGENT_CORE_VOLPLAN_H
#define HCV_AGENT_CORE_VOLPLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../klink.h"
#include "jobplan.h"
#include "model.h"

#define HCV_VP_GRANT_WAIT_MS	5000	/* for stores that are alive */
#define HCV_VP_LINK_WAIT_MS	10000	/* the same, connecting included */
#define HCV_VP_HANDLES		1024	/* the least that a grant has */
#define HCV_VP_AHEAD		4	/* free extents per column */
#define HCV_VP_IDLE		2	/* that a column keeps beyond these */
#define HCV_VP_INDEXES		64	/* of one step */
#define HCV_VP_EXTENT_BYTES	(256ULL << 20)
#define HCV_VP_RETRIES		64
#define HCV_VP_RETRY_MIN_MS	250
#define HCV_VP_RETRY_MAX_MS	10000
#define HCV_VP_RESYNC_MAX_MS	60000	/* between tries of a resync */
#define HCV_VP_JOB_TRIES	3	/* of a resync, before a job gives up */
#define HCV_VP_JOB_ADD_TRIES	8	/* of putting the target into rows */
#define HCV_VP_REASON		320
#define HCV_VP_CARE_START_MS	60000	/* a caretaker tries so long to begin */
#define HCV_VP_CARE_STOPS	5	/* in order, in vain, then by force */
#define HCV_VP_HAND_GONE_MS	10000	/* the other node may be away for it */
#define HCV_VP_HAND_HALTS	3	/* in vain, then it stays */
#define HCV_VP_HAND_GRACE_MS	10000	/* beyond its limit, for the other node */

/**
 * enum hcv_vp_act - what to do next
 * @HCV_VP_NONE: nothing, and nothing is awaited
 * @HCV_VP_WAIT: @reason says for what; look again at @until_ms at the latest
 * @HCV_VP_REREAD: what was read is older than what the module knows
 * @HCV_VP_CREATE: VOL_CREATE with the record's epoch and v
 * @HCV_VP_SERVE: record: in-sync := @set, serving, v + 1
 * @HCV_VP_CONNECT: NVMe connection to the export of @store
 * @HCV_VP_LINK_ADD: VOL_LINK_ADD @store @state @flags @incarnation
 * @HCV_VP_LINK_DEL: VOL_LINK_DEL @store; the old connection is useless now
 * @HCV_VP_EXTENT_ADD: VOL_EXTENT_ADD of @row_nr rows from @row on, @flags
 * @HCV_VP_START: VOL_START with @v, from @store unless it is empty
 * @HCV_VP_REMOVE: record: @store becomes stale, v + 1; stale(0) if @distrust;
 *	@resync_failed: it was syncing
 * @HCV_VP_BEGIN_SYNC: record: stale @store becomes syncing, v + 1
 * @HCV_VP_JOIN: record: syncing @store becomes in-sync, v + 1
 * @HCV_VP_RENEW: record: new handles are wanted of @store, v + 1
 * @HCV_VP_CONFIRM: VOL_CONFIRM @store @incarnation @v, @state OUT or INSYNC
 * @HCV_VP_DROP_SLOW: VOL_LINK_DROP @store; its removal follows as for any other
 * @HCV_VP_PLACE: find a place for one more row of @column, else VOL_NOSPACE
 *	if @urgent
 * @HCV_VP_DROP_ROWS: the rows @index go, tombstones for their extents come
 * @HCV_VP_EXTENT_DEL: VOL_EXTENT_DEL of @index, whose rows are gone
 * @HCV_VP_RETIRE: VOL_EXTENT_RETIRE of up to @count extents of @column, but none
 *	of @index
 * @HCV_VP_JOB: a step of the volume's job, @job, with @store and @row
 * @HCV_VP_SET: VOL_SET of what differs from the definition
 * @HCV_VP_FENCE: VOL_FENCE
 * @HCV_VP_STOP: VOL_STOP, by force if @force
 * @HCV_VP_DETACH: record: no owner, @clean, v + 1
 * @HCV_VP_FORGET: the wish is over: the volume is not attached here
 * @HCV_VP_PREPARE: VOL_CREATE with the epoch after the record's, and a disk whose
 *	I/O waits: this node is to be handed the volume
 * @HCV_VP_HAND_READY: record: this node is ready, v + 1
 * @HCV_VP_HAND_ABORT: record: no hand-over, v + 1; @reason
 * @HCV_VP_HALT: VOL_SUSPEND for a hand-over
 * @HCV_VP_RESUME: VOL_RESUME: it stays here after all
 * @HCV_VP_HAND_OVER: record: the other node is owner, epoch + 1, taking, v + 1
 * @HCV_VP_AGAIN: record: taking with the next epoch and the in-sync set of before,
 *	without the unfit @set; @reason
 * @HCV_VP_LET_GO: VOL_STOP of a halted volume that another node owns: its I/O
 *	fails, its disk goes when it is closed
 * @HCV_VP_CARE_CLAIM: record: this node takes care of it, epoch + 1, taking, v + 1
 * @HCV_VP_CARE_LEAVE: record: it is to give it up, v + 1
 * @HCV_VP_PUBLISH: VOL_SET: a volume without a disk gets one
 */
enum hcv_vp_act {
	HCV_VP_NONE,
	HCV_VP_WAIT,
	HCV_VP_REREAD,
	HCV_VP_CREATE,
	HCV_VP_SERVE,
	HCV_VP_CONNECT,
	HCV_VP_LINK_ADD,
	HCV_VP_LINK_DEL,
	HCV_VP_EXTENT_ADD,
	HCV_VP_START,
	HCV_VP_REMOVE,
	HCV_VP_BEGIN_SYNC,
	HCV_VP_JOIN,
	HCV_VP_RENEW,
	HCV_VP_CONFIRM,
	HCV_VP_DROP_SLOW,
	HCV_VP_PLACE,
	HCV_VP_DROP_ROWS,
	HCV_VP_EXTENT_DEL,
	HCV_VP_RETIRE,
	HCV_VP_JOB,
	HCV_VP_SET,
	HCV_VP_FENCE,
	HCV_VP_STOP,
	HCV_VP_DETACH,
	HCV_VP_FORGET,
	HCV_VP_PREPARE,
	HCV_VP_HAND_READY,
	HCV_VP_HAND_ABORT,
	HCV_VP_HALT,
	HCV_VP_RESUME,
	HCV_VP_HAND_OVER,
	HCV_VP_LET_GO,
	HCV_VP_CARE_CLAIM,
	HCV_VP_CARE_LEAVE,
	HCV_VP_PUBLISH,
	HCV_VP_AGAIN,
	HCV_VP_NR
};

/**
 * struct hcv_vp_store - what is known about a store
 * @id: UUID
 * @name: for people, "node1:ssd0"
 * @local: of this node
 * @live: its agent and its node are alive and have it open
 * @bad: failed, or removed from the cluster
 * @slow: its health says that it is slow
 * @ailing: its health is another one than ok
 * @incarnation: of the open store; valid while @live
 * @has_grant: @grant is valid
 * @path: the device of its export on this node, NULL: not connected
 * @connecting: the connection is just being made, or dropped
 * @dropped: VOL_LINK_DEL was done since the last VOL_LINK_ADD: a link that is
 *	OUT is but a place in the rows
 * @linked_count: handles that the module was given for its link by this
 *	process, 0: not known
 */
struct hcv_vp_store {
	char id[HCV_ID_LEN];
	char name[2 * HCV_NAME_LEN];
	bool local;
	bool live;
	bool bad;
	bool slow;
	bool ailing;
	bool has_grant;
	uint64_t incarnation;
	const struct hcv_grant_info *grant;
	const char *path;
	bool connecting;
	bool dropped;
	uint32_t linked_count;
};

/**
 * struct hcv_vp_retry - a step that failed and may be tried again later
 * @store: empty for steps about the volume itself
 * @until_ms: not before
 */
struct hcv_vp_retry {
	enum hcv_vp_act act;
	char store[HCV_ID_LEN];
	unsigned int fails;
	int64_t until_ms;
	char why[160];
};

/**
 * struct hcv_vp_mem - what the caller keeps between two questions
 *
 * May be lost at any time; that costs time, never correctness.
 *
 * @epoch: which the fields belong to
 * @taking_ms: since when the record is `taking`
 * @serving_ms: since when it is `serving` and not started
 * @hand_v, @hand_ms: the hand-over that is wished for, from or to this node; since
 *	when this agent knows
 * @to_gone_ms: since when the node that is to be handed the volume is away
 */
struct hcv_vp_mem {
	uint64_t epoch;
	int64_t taking_ms;
	int64_t serving_ms;
	uint64_t hand_v;
	int64_t hand_ms;
	int64_t to_gone_ms;
	size_t nr_retry;
	struct hcv_vp_retry retry[HCV_VP_RETRIES];
};

/**
 * struct hcv_vp_in - everything that a decision rests on
 * @node: this node
 * @now_ms: CLOCK_BOOTTIME
 * @known: the metadata was read; false: nothing is known about the record
 * @settled: it was read, linearizably, after the module's state and the wish
 * @urgent: only steps that held I/O waits for are wanted
 * @want_detach, @want_force: an operator's wish
 * @stopped: VOL_STOP without force ended well in this epoch
 * @other_disk: a prepared disk is not what this attach asked for
 * @can_hand: the module knows hand-overs; without, wishes for one are ignored
 * @to_live: the node that is to be handed the volume is alive
 * @care: this node is to take care of the volume while it is attached nowhere
 * @can_care: the module knows volumes without a disk
 * @owner_live: the node that the record names is alive
 * @rec, @vol, @rows: NULL when there is no such key
 * @job: its recovery job, NULL: none
 * @k: the volume in the module, NULL: not there
 */
struct hcv_vp_in {
	const char *node;
	int64_t now_ms;
	bool known;
	bool settled;
	bool urgent;
	bool want_detach;
	bool want_force;
	bool stopped;
	bool other_disk;
	bool can_hand;
	bool to_live;
	bool care;
	bool can_care;
	bool owner_live;
	const struct hcv_record *rec;
	const struct hcv_vol_info *vol;
	const struct hcv_rows *rows;
	const struct hcv_job_info *job;
	const struct hcv_k_vol *k;
	const struct hcv_vp_store *st;
	size_t nr_st;
	const struct hcv_vp_mem *mem;
};

/**
 * struct hcv_vp_out - one step; members as told at enum hcv_vp_act
 * @done, @why: of HCV_JP_END and HCV_JP_FAIL
 */
struct hcv_vp_out {
	enum hcv_vp_act act;
	char store[HCV_ID_LEN];
	uint32_t state;
	uint32_t flags;
	uint64_t v;
	uint64_t incarnation;
	size_t row;
	size_t row_nr;
	uint32_t column;
	uint32_t count;
	uint32_t leave;
	size_t nr_index;
	uint32_t index[HCV_VP_INDEXES];
	bool urgent;
	bool force;
	bool clean;
	bool distrust;
	bool resync_failed;
	enum hcv_jp_act job;
	bool done;
	const char *why;
	bool set[HCV_REC_STORES];	/* by index in the record */
	int64_t until_ms;
	char reason[HCV_VP_REASON];
};

/**
 * hcv_volplan_next() - the next step
 *
 * @out->reason is set for WAIT, REREAD, FENCE, HAND_ABORT, AGAIN and forced STOP.
 */
void hcv_volplan_next(const struct hcv_vp_in *in, struct hcv_vp_out *out);

/** hcv_volplan_act_name() - for logs and crash points */
const char *hcv_volplan_act_name(enum hcv_vp_act act);

/**
 * hcv_volplan_time() - keep the timers of @mem for the record just read
 */
void hcv_volplan_time(struct hcv_vp_mem *mem, const struct hcv_vp_in *in);

/**
 * hcv_volplan_failed() - note that the step failed: it is due again after
 * 250 ms, twice as long with each failure, at most 10 s
 * @why: a sentence
 */
void hcv_volplan_failed(struct hcv_vp_mem *mem, const struct hcv_vp_out *step,
			int64_t now_ms, const char *why);
/**
 * hcv_volplan_done() - the step succeeded: forget its failures
 *
 * A resync counts as such when its store has joined.  When it failed, the next
 * one waits, twice as long each time, at most a minute.
 */
void hcv_volplan_done(struct hcv_vp_mem *mem, const struct hcv_vp_out *step,
		      int64_t now_ms);

/**
 * hcv_volplan_need() - rows that a column of the volume can ever fill
 * @size: bytes, @stripe: columns
 */
uint32_t hcv_volplan_need(uint64_t size, unsigned int stripe);

#endif /* HCV_AGENT_CORE_VOLPLAN_H */
