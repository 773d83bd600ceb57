/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The next step of a store's node for one volume.
 *
 * hcv_storeplan_next() is a pure function: it compares the volume's keys in
 * the metadata store with what the module has on this store, and names one
 * step or what is waited for.  The caller takes the step, updates the input
 * and asks again.  No step depends on which were taken before, so an agent
 * that was killed anywhere starts over with the same question.
 *
 * Order for a volume with an owner at epoch e: revoke what is older than e
 * (it takes a lease's time, so it is asked for first), format the extents and
 * make the export while that runs, and when it is over grant e and tell so in
 * the grant key.  The grant key therefore means: everything older is fenced,
 * the rows below `ready` are formatted, the export can be connected to.
 *
 * The record's entry of the store names a renewal.  A grant of an older one is
 * replaced by new handles, when nothing is in flight through the old ones; the
 * key tells which renewal its handles are of.
 *
 * An extent without data that the owner gave up has a tombstone and no row.  A
 * copy that is not in-sync keeps it: whoever falls back on that copy by hand finds
 * what it had.
 *
 * A store that left the volume as a whole, in an epoch, has a tombstone that says
 * so.  The handles of its grants are over, those with a renewal lower than the
 * tombstone's, then all it has is freed, and the tombstone goes.  Should the volume
 * come back, its grant has a higher one.  A module that cannot do this revokes the
 * epoch instead: the tombstone stays until that is over, since a store that has
 * revoked an epoch gives no grant of it.
 */
#ifndef HCV_AGENT_CORE_STOREPLAN_H
#define HCV_AGENT_CORE_STOREPLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"

#define HCV_SP_REASON	256
/* Handles granted beyond the ones in use, so that rows can be added. */
#define HCV_SP_SLACK	64
/* Extent indexes end here; the handle of index i is number i + 1. */
#define HCV_SP_INDEX_MAX	(1U << 24)

/**
 * enum hcv_sp_act - what to do next
 * @HCV_SP_NONE: all is as it should be
 * @HCV_SP_WAIT: @reason says for what
 * @HCV_SP_REVOKE: REVOKE @epoch, with @renew if that is not 0; then set @fence
 *	in the input
 * @HCV_SP_ADD_EXTENTS: STORE_EXTENT_ADD of the wanted rows that are missing
 * @HCV_SP_EXPORT: EXPORT_ADD and the NVMe subsystem for @client, the owner or
 *	whom the volume is to be handed over to
 * @HCV_SP_GRANT: GRANT @epoch to the owner with @count handles, as @renew
 * @HCV_SP_WRITE_GRANT: write the grant key: @epoch, @ready, what was granted
 * @HCV_SP_DELETE_GRANT: delete the grant key
 * @HCV_SP_WITHDRAW: STORE_EXTENT_WITHDRAW of the extents @gone
 * @HCV_SP_DELETE_GONE: delete the tombstones of the extents @gone
 * @HCV_SP_FREE: STORE_EXTENT_DEL of all extents of the volume
 * @HCV_SP_DELETE_TOMB: delete the tombstone
 * @HCV_SP_QUARANTINE: the store holds extents that nothing names: tell
 * @HCV_SP_REFUSE: @reason: the keys and the store contradict each other
 */
enum hcv_sp_act {
	HCV_SP_NONE,
	HCV_SP_WAIT,
	HCV_SP_REVOKE,
	HCV_SP_ADD_EXTENTS,
	HCV_SP_EXPORT,
	HCV_SP_GRANT,
	HCV_SP_WRITE_GRANT,
	HCV_SP_DELETE_GRANT,
	HCV_SP_WITHDRAW,
	HCV_SP_DELETE_GONE,
	HCV_SP_FREE,
	HCV_SP_DELETE_TOMB,
	HCV_SP_QUARANTINE,
	HCV_SP_REFUSE,
	HCV_SP_NR
};

/**
 * enum hcv_sp_fence - what REVOKE said in this round
 * @HCV_SP_UNKNOWN: not asked
 * @HCV_SP_DRAINING: I/O in flight or a lease is left
 * @HCV_SP_FENCED: nothing is left
 */
enum hcv_sp_fence { HCV_SP_UNKNOWN, HCV_SP_DRAINING, HCV_SP_FENCED };

/** enum hcv_sp_export - the export for the owner and its NVMe subsystem */
enum hcv_sp_export { HCV_SP_EX_UNKNOWN, HCV_SP_EX_FAILED, HCV_SP_EX_READY };

/**
 * struct hcv_sp_row - a row of the volume on this store
 * @full: this store's copy is full, so it must have been formatted once
 */
struct hcv_sp_row {
	uint32_t index;
	bool full;
};

/**
 * struct hcv_sp_grant - a grant of the volume in the module
 * @revoked: only drains any more
 * @done: its client has let go of it for good: the module gives no other one
 */
struct hcv_sp_grant {
	char client[HCV_ID_LEN];
	uint64_t epoch;
	uint64_t renew;
	bool revoked;
	bool done;
	size_t nr;
	struct hcv_grant_range range[HCV_GRANT_RANGES];
};

/**
 * struct hcv_sp_in - everything that a decision rests on
 * @node: this node
 * @store: UUID of the store
 * @bad: a key of the volume cannot be read: hands off
 * @has_vol: there is a definition
 * @deleting: which is being deleted
 * @rec: NULL: there is none
 * @row, @nr_row: rows on this store, by index
 * @has_rows: some row key exists, on whatever store
 * @grant: the grant key, NULL: none; @devpath: of it
 * @tomb: there is a tombstone for the volume on this store
 * @left: that one is of a volume that goes on; @left_epoch: since when;
 *	@left_renew: handles of that epoch below this renewal are over, 0: all are
 * @can_retire: the module can let go of such handles without the epoch
 * @gone, @nr_gone: extents of it on this store that have tombstones of their own
 * @incarnation: of the open store
 * @failed: it failed: nothing can be written
 * @have, @nr_have: extents in its table, by index
 * @k, @nr_k: grants in the module
 * @fence, @export: see there
 * @want_devpath: of the export, once @export is ready
 * @can_hand: exports are made in advance for hand-overs
 * @export_next: as @export, for the node that is to be handed the volume
 */
struct hcv_sp_in {
	const char *node;
	const char *store;
	bool bad;
	bool has_vol;
	bool deleting;
	const struct hcv_record *rec;
	const struct hcv_sp_row *row;
	size_t nr_row;
	bool has_rows;
	const struct hcv_grant_info *grant;
	const char *devpath;
	bool tomb;
	bool left;
	uint64_t left_epoch;
	uint64_t left_renew;
	bool can_retire;
	const uint32_t *gone;
	size_t nr_gone;
	uint64_t incarnation;
	bool failed;
	const uint32_t *have;
	size_t nr_have;
	const struct hcv_sp_grant *k;
	size_t nr_k;
	enum hcv_sp_fence fence;
	enum hcv_sp_export export;
	const char *want_devpath;
	bool can_hand;
	enum hcv_sp_export export_next;
};

/** struct hcv_sp_out - one step; members as told at enum hcv_sp_act */
struct hcv_sp_out {
	enum hcv_sp_act act;
	uint64_t epoch;
	uint64_t renew;
	uint32_t count;
	uint32_t ready;
	char client[HCV_ID_LEN];
	char reason[HCV_SP_REASON];
};

/** hcv_storeplan_next() - the next step */
void hcv_storeplan_next(const struct hcv_sp_in *in, struct hcv_sp_out *out);

/** hcv_storeplan_find() - the live grant of @epoch for @client, or NULL */
const struct hcv_sp_grant *hcv_storeplan_find(const struct hcv_sp_in *in,
					      uint64_t epoch,
					      const char *client);

/** hcv_storeplan_act_name() - for logs */
const char *hcv_storeplan_act_name(enum hcv_sp_act act);

#endif /* HCV_AGENT_CORE_STOREPLAN_H */
