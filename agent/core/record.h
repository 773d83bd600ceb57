/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Transitions of a volume's record (docs/agent.md, rec/VOL).  Pure.
 *
 * Each function turns the record that was read into the one to be written by
 * a transaction that compares its MOD revision.  It returns 0, or -errno with
 * a sentence in @err (HCV_ERR_SIZE bytes) and the record unchanged.
 *
 * What v means: it grows with every change of the owner or of the set.  A
 * store that is stale(v) holds everything up to that v and may lack what was
 * written under later ones; v = 0: nothing on it is to be trusted.  A syncing
 * store keeps the v from which on it lacks data.  Of an in-sync store v is the
 * one with which it became so.
 *
 * A temporary store gets what was written under versions above its v
 * (record_temp.h).
 *
 * @rows, where taken, are all rows of the volume.  With rows, every row must
 * keep at least one in-sync store that has it in full; without (NULL), at
 * least one store must stay in-sync at all.
 */
#ifndef HCV_AGENT_CORE_RECORD_H
#define HCV_AGENT_CORE_RECORD_H

#include "model.h"

/** struct hcv_rec_ids - a list of UUIDs */
struct hcv_rec_ids {
	const char *const *id;
	size_t nr;
};

/** hcv_record_init() - of a new volume whose stores hold nothing yet: in-sync */
int hcv_record_init(struct hcv_record *r, uint64_t lineage,
		    struct hcv_rec_ids stores, char *err);

/** hcv_record_check() - whether its members fit each other */
int hcv_record_check(const struct hcv_record *r, char *err);

/** hcv_record_find() - the entry of a store, or NULL */
struct hcv_rec_store *hcv_record_find(struct hcv_record *r, const char *store);
/** hcv_record_insync() - whether the store is in-sync */
bool hcv_record_insync(const struct hcv_record *r, const char *store);
size_t hcv_record_nr_insync(const struct hcv_record *r);

/**
 * hcv_record_claim() - @node becomes owner: epoch + 1, taking, v + 1
 * @owner_alive: the live key of r->owner exists
 * @takeover: the operator said so
 *
 * The same node claims anew after it rebooted; its agent must know that the
 * volume is not in its module.
 *
 * Return: -EBUSY: owned by another node that lives, and no @takeover.
 */
int hcv_record_claim(struct hcv_record *r, const char *node, bool owner_alive,
		     bool takeover, char *err);

/**
 * hcv_record_serve() - taking to serving: the new in-sync set, v + 1
 * @confirmed: stores that granted the record's epoch
 * @local: stores of the owner's node, preferred when one is elected
 * @log: the owner's module is going to keep activity logs
 *
 * Clean before the claim: in-sync stays who is confirmed; the others become
 * stale.  Otherwise one store is elected of those that hold the same data and
 * the rest become stale: with the v that they had, if the owner before kept
 * activity logs (those of the elected name all that may differ), else stale(0).
 * With @rows one is elected for each group of rows that share stores.
 *
 * A temporary replica goes, unless it is needed: if it has the mark, both it and
 * its base have confirmed, and full copies alone are not enough, it becomes
 * half of a pair.  All others that have an extent of the base become stale then.
 *
 * Return: -EAGAIN: those confirmed do not hold all data, wait for more (@err
 * names a store); -EPERM: not taking, or taken by another node.
 */
int hcv_record_serve(struct hcv_record *r, const char *node,
		     struct hcv_rec_ids confirmed, struct hcv_rec_ids local,
		     const struct hcv_rows *rows, bool log, char *err);

/**
 * hcv_record_again() - serving to taking by the same owner, epoch + 1, v + 1: the
 * in-sync set of before, without @unfit
 * @unfit: stores that the start failed for; in-sync or passed over
 *
 * Only for an owner whose module says that the volume never ran in this epoch:
 * nothing was written, and nobody has read anything, so that all copies that were
 * in-sync before still are.
 *
 * Return: -EBUSY: the others do not hold all extents; -EINVAL: @unfit has no
 * in-sync store; -EPERM: not serving, or the record does not say what was before.
 */
int hcv_record_again(struct hcv_record *r, const char *node,
		     struct hcv_rec_ids unfit, const struct hcv_rows *rows,
		     char *err);

/**
 * hcv_record_remove() - a store misses writes: stale(v), v + 1
 * @pending: a store whose join was sent with an unknown outcome, or NULL; it
 *	does not count as in-sync
 *
 * A syncing store falls back to the v that it had.  Removing a store that is
 * stale already changes nothing, and returns 0.
 *
 * Return: -EBUSY: it is the last; -EAGAIN: it could be, depending on @pending:
 * read the record first; -ENOENT: not in the record.
 */
int hcv_record_remove(struct hcv_record *r, const char *store,
		      const char *pending, const struct hcv_rows *rows,
		      char *err);

/**
 * hcv_record_distrust() - of a store just removed: stale(0)
 *
 * Part of the removal's change, so v does not grow again.  A temporary replica
 * for that store goes.  Return: -EBUSY: not stale, or half of a pair; -ENOENT.
 */
int hcv_record_distrust(struct hcv_record *r, const char *store, char *err);

/**
 * hcv_record_begin_sync() - stale to syncing, v + 1; -EINVAL otherwise
 *
 * Return: -EAGAIN: not as long as there is a pair.
 */
int hcv_record_begin_sync(struct hcv_record *r, const char *store, char *err);

/**
 * hcv_record_renew() - have the store renew its grant, v + 1
 *
 * A removal does so by itself.  Return: -EPERM nobody serves, -ENOENT.
 */
int hcv_record_renew(struct hcv_record *r, const char *store, char *err);

/**
 * hcv_record_grow() - v + 1, and nothing else
 *
 * For a module that has confirmations of this v, but needs a higher one to tell
 * what a store has missed.  Return: -EPERM nobody serves.
 */
int hcv_record_grow(struct hcv_record *r, char *err);

/**
 * hcv_record_join() - syncing to in-sync, v + 1; -EINVAL otherwise
 *
 * A temporary replica for that store goes.
 */
int hcv_record_join(struct hcv_record *r, const char *store, char *err);

/**
 * hcv_record_add() - a store gets its first rows of the volume, v + 1
 * @insync: all rows on it are new and empty; false: it is stale(0)
 *
 * Its grant has to have a renewal above all that the volume gave before.
 *
 * Return: -EEXIST: is in the record; -ENOSPC: it has HCV_REC_STORES.
 */
int hcv_record_add(struct hcv_record *r, const char *store, bool insync,
		   char *err);

/**
 * hcv_record_forget() - the store holds nothing of the volume any more
 * @rows: must not name the store; NULL: the caller has seen to it
 *
 * v + 1.  Return: -EBUSY: in-sync (remove it first), rows name it, or there is
 * a temporary replica for it.
 */
int hcv_record_forget(struct hcv_record *r, const char *store,
		      const struct hcv_rows *rows, char *err);

/**
 * hcv_record_hand_begin() - the volume is to be handed over to @to, v + 1
 * @go: as soon as that node is ready; false: it only gets ready
 * @limit_ms: how long that node tries, and stays ready
 *
 * Again for the same node: with @go it is to go now, otherwise nothing changes.
 *
 * Return: -EPERM nobody serves, -EINVAL, -EBUSY: to another node already.
 */
int hcv_record_hand_begin(struct hcv_record *r, const char *to, bool go,
			  uint32_t limit_ms, char *err);

/** hcv_record_hand_ready() - @node can take over at once, v + 1; -EPERM */
int hcv_record_hand_ready(struct hcv_record *r, const char *node, char *err);

/**
 * hcv_record_hand_abort() - it stays where it is, v + 1; 0 without a wish
 *
 * From then on no hcv_record_hand_over() of before can be written any more: who
 * has halted the volume may let it go on.
 */
int hcv_record_hand_abort(struct hcv_record *r, char *err);

/**
 * hcv_record_hand_over() - the other node becomes owner: epoch + 1, taking, v + 1
 * @node: the present owner, which has halted the volume and flushed all
 *
 * As a claim after a clean detach. Return: -EPERM.
 */
int hcv_record_hand_over(struct hcv_record *r, const char *node, char *err);

/**
 * hcv_record_care_claim() - as hcv_record_claim(), for a volume attached nowhere
 * @owner_alive: the live key of r->owner exists
 *
 * It has no owner, or a caretaker that is gone.
 * Return: -EBUSY: some node has it, or takes care of it and lives.
 */
int hcv_record_care_claim(struct hcv_record *r, const char *node,
			  bool owner_alive, char *err);

/**
 * hcv_record_care_take() - the caretaker has it attached from now on, v + 1
 *
 * Return: -EPERM: @node does not take care of it; -EBUSY: it gives the volume
 * up already: its module may have stopped it, so it has to be claimed anew.
 */
int hcv_record_care_take(struct hcv_record *r, const char *node, char *err);

/**
 * hcv_record_care_leave() - the caretaker is to give it up, v + 1
 *
 * By the caretaker itself, or whoever wants to have the volume.  It is not taken
 * back: under this epoch the volume is not attached any more.  Before the module
 * is told to stop it the record says so, which keeps hcv_record_care_take()
 * from a volume that is just being stopped.  0 if it says so already.
 *
 * Return: -EPERM: nobody takes care of it.
 */
int hcv_record_care_leave(struct hcv_record *r, char *err);

/**
 * hcv_record_care_evict() - by another node: owner "", phase none, unclean, v + 1
 *
 * Of a caretaker that is gone, or does not give the volume up in time.  Its
 * handles are closed as after any other detach, before a next owner serves.
 *
 * Return: -EPERM: nobody takes care of it.
 */
int hcv_record_care_evict(struct hcv_record *r, char *err);

/**
 * hcv_record_detach() - owner "", phase none, v + 1
 * @clean: all was flushed on every in-sync store and the volume is stopped
 *
 * Syncing stores become stale.  A take-over that never served keeps "clean"
 * as it was before the claim.
 */
int hcv_record_detach(struct hcv_record *r, const char *node, bool clean,
		      char *err);

#endif /* HCV_AGENT_CORE_RECORD_H */
