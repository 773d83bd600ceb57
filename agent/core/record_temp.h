/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The temporary replica in a volume's record (I10).  Pure.
 *
 * docs/decisions/temporary-replica.md has the protocol; the functions here,
 * hcv_record_serve() and hcv_record_join() are its table "Record".
 *
 * How it works.  A store T that had nothing of the volume becomes `temporary`
 * for a base: a store S that is stale(v), or syncing since then.  T's entry
 * has the same v: T is to get each slot with a stamp above it, as S would.
 * When T holds them all its entry gets the mark, covers(S, v).  If the only full
 * copy goes then, S and T together are the volume: the pair.
 *
 * What rows T has is not written anywhere: it has an extent exactly if the base
 * has it in full (hcv_record_temp_row()).  So T comes and goes with one
 * change of one key, a row that is new on S is on T from the beginning, and the
 * one mark is of all extents that S has.  Rows do not name T, until it is to
 * stay.
 *
 * While it is temporary a store counts for nothing: not as in-sync, not as a
 * copy of a row.  When it goes its entry goes, in the same transaction as what
 * makes writes miss it; who writes that transaction leaves a tombstone of the
 * volume on that store, and it may become temporary again when that is gone.
 *
 * When S is given up T may stay in its place, without ever being less than it
 * was: `named` says that rows may name it, then each row of S does, meanwhile
 * the module fills what T does not hold, and T is in-sync in one change.  If it
 * goes before that, it is stale(0), since rows name it.
 */
#ifndef HCV_AGENT_CORE_RECORD_TEMP_H
#define HCV_AGENT_CORE_RECORD_TEMP_H

#include "record.h"

/** hcv_record_temp() - the entry of the temporary replica, or NULL */
const struct hcv_rec_store *hcv_record_temp(const struct hcv_record *r);

/**
 * hcv_record_pair() - whether base and temporary replica are the volume
 *
 * From the election of the pair on until the base is in-sync, over changes of
 * the owner.  Meanwhile neither leaves: hcv_record_remove() of them is -EBUSY,
 * and no other store begins to be copied to.
 */
bool hcv_record_pair(const struct hcv_record *r);

/** hcv_record_temp_row() - whether the temporary replica has this extent */
bool hcv_record_temp_row(const struct hcv_record *r, const struct hcv_row *row);

/**
 * struct hcv_temp_want - a temporary replica that is to be
 * @store: where
 * @base: the store that it is for
 * @cleared: what the store had of the volume in an earlier life is gone,
 *	durably
 * @failing: the owner has a link that failed and is not removed yet
 */
struct hcv_temp_want {
	const char *store;
	const char *base;
	bool cleared;
	bool failing;
};

/**
 * hcv_record_temp_begin() - the store becomes temporary for the base, v + 1
 * @rows: all rows; NULL: as if all stores had one extent in common
 *
 * Each extent of the base has exactly one in-sync copy.  The store's grant has
 * to be renewed: handles of an earlier life are of no use.
 *
 * Return: -EPERM nobody serves; -EOPNOTSUPP: it keeps no activity logs, which
 * say what base and temporary replica may differ in from the last full copy;
 * -ENOENT, -EINVAL: @base is no base; -EEXIST:
 * @store has the volume, or another one is temporary; -EBUSY: an extent has
 * more than one in-sync copy; -EAGAIN: not cleared, or a link is failing;
 * -ENOSPC: the record is full.
 */
int hcv_record_temp_begin(struct hcv_record *r,
			  const struct hcv_temp_want *want,
			  const struct hcv_rows *rows, char *err);

/**
 * hcv_record_temp_covers() - the mark: covers(@base, @v), v + 1
 * @v: as in the entries of both; what the owner's module filled it for
 *
 * Return: -EPERM nobody serves; -EINVAL: @store is not temporary for these;
 * -EALREADY: it has the mark.
 */
int hcv_record_temp_covers(struct hcv_record *r, const char *store,
			   const char *base, uint64_t v, char *err);

/**
 * hcv_record_temp_out() - mark and temporary replica are gone, v + 1
 *
 * hcv_record_remove() does the same when it is told to remove that store.
 *
 * Return: -ENOENT: @store is not temporary; -EBUSY: it is half of the pair;
 * -EPERM: in a take-over hcv_record_serve() decides.
 */
int hcv_record_temp_out(struct hcv_record *r, const char *store, char *err);

/**
 * hcv_record_temp_name() - rows may name the temporary replica from now on, v + 1
 *
 * Return: -EPERM nobody serves; -ENOENT: @store is not temporary; -EBUSY: it is
 * half of a pair; -EALREADY.
 */
int hcv_record_temp_name(struct hcv_record *r, const char *store, char *err);

/**
 * hcv_record_temp_stay() - the temporary replica is in-sync, v + 1
 * @rows: all rows: those that have the base in full name @store in full
 *
 * For a module that says that it holds all blocks, durably.  The base stays as
 * it is, and has no temporary replica any more.
 *
 * Return: -EPERM, -ENOENT, -EBUSY as hcv_record_temp_name(); -EINVAL: no mark,
 * or no rows; -EBUSY: a row has one of both only.
 */
int hcv_record_temp_stay(struct hcv_record *r, const char *store,
			 const struct hcv_rows *rows, char *err);

/**
 * enum hcv_temp_merge - what can be made of who has answered
 * @HCV_TM_FULL: full copies are enough
 * @HCV_TM_PAIR: base and temporary replica together are complete
 * @HCV_TM_FORCE: they are there, and lack what the temporary one did not get
 * @HCV_TM_WAIT: somebody is missing, or nobody has it
 */
enum hcv_temp_merge {
	HCV_TM_FULL,
	HCV_TM_PAIR,
	HCV_TM_FORCE,
	HCV_TM_WAIT,
};

/**
 * hcv_record_temp_merge() - what can be made of who has answered
 * @confirmed: stores that granted the record's epoch
 * @why: a sentence for the last two
 */
enum hcv_temp_merge hcv_record_temp_merge(const struct hcv_record *r,
					  struct hcv_rec_ids confirmed,
					  const struct hcv_rows *rows,
					  char *why);

/**
 * struct hcv_temp_force - the pair although there is no mark
 * @lineage: a new one
 * @confirmed: stores that granted the record's epoch
 * @local: stores of the owner's node
 */
struct hcv_temp_force {
	uint64_t lineage;
	struct hcv_rec_ids confirmed;
	struct hcv_rec_ids local;
};

/**
 * hcv_record_temp_force() - taking to serving by the pair, v + 1
 *
 * By an operator's word, who was told what is lost: each block that the
 * temporary replica does not hold, in a slot with a stamp above the base's v
 * (core/sparse.h).  The volume has a new lineage, everybody else is stale(0).
 *
 * Return: -EPERM: not taking; -EALREADY: it can be served without; -EAGAIN:
 * base or temporary replica has not answered, or extents of others are missing;
 * -EINVAL: @lineage is no new one.
 */
int hcv_record_temp_force(struct hcv_record *r, const char *node,
			  const struct hcv_temp_force *force,
			  const struct hcv_rows *rows, char *err);

#endif /* HCV_AGENT_CORE_RECORD_TEMP_H */
