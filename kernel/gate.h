/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The gate of a store: all I/O to it carries a handle, the owner's own too.
 *
 * A grant belongs to (volume, epoch, client node); the percpu_ref of its period
 * counts the I/O in flight, so that revoking is: kill the ref, wait until it is
 * zero.
 * Revoking epoch e revokes every grant of that volume with an epoch <= e and
 * makes the gate refuse such epochs until the store is closed.
 *
 * Renewal (I8): a link that failed may have writes under way that land late,
 * in the same epoch too.  A grant has a renewal number; asking for a higher one
 * retires it like a revocation does, and new handles are given out when the
 * last I/O through the old ones has ended.  Leases are not touched: it is the
 * same owner, and its beacons go on.  A store that the volume leaves retires its
 * handles in the same way, without giving out others, before it frees what it
 * had.
 *
 * Withdrawal: an extent that the volume gives back is withdrawn from all of its
 * grants.  What was let in before that is told from what follows by the period:
 * a new one takes its place, and the extent is free when the old one is over.
 *
 * Leases: each answer to a client's beacon, at the time its read arrived,
 * extends the client's lease of all volumes that it was ever granted and that the
 * answer does not list as revoked, whatever became of the grants, to arrival +
 * HCV_LEASE_MS on CLOCK_BOOTTIME.  The local gate
 * gives the lease with hcv_gate_beacon_local().  An I/O that an export lets in
 * extends the lease of its own grant likewise.  Fenced means: no I/O in flight
 * and every lease given to an epoch <= e has ended.  After an open that does
 * not find HCV_SB_CLEAN | HCV_SB_NO_LEASE, no revocation counts as done before
 * one full lease has passed since the open.
 *
 * A client that has let go of a volume for good says so (hcv_gate_done()): its
 * grants of that epoch are revoked, their leases are over, and its beacons need
 * not carry the volume any more.  Only the client itself can say that.
 */
#ifndef HCV_GATE_H
#define HCV_GATE_H

#include <linux/netlink.h>
#include <linux/percpu-refcount.h>
#include <linux/uuid.h>

#include <linux/hcivol.h>
#include "store.h"

#define HCV_BEACON_MS		500
#define HCV_PATIENCE_MS		3000
#define HCV_LEASE_MS		4500

struct hcv_chunks;
struct hcv_seat;

/**
 * struct hcv_period - counts I/O that a grant has let in
 * @ref: I/O in flight; killed by the revocation, or when the next one follows
 * @grant: holds a reference to it until it is over
 * @rcu: for freeing
 * @ended: the next one followed
 */
struct hcv_period {
	struct percpu_ref ref;
	struct hcv_grant *grant;
	struct rcu_head rcu;
	bool ended;
};

/**
 * struct hcv_grant - handles of one (volume, epoch, client) at a store
 * @period: what I/O is counted in (RCU readers, gate->lock)
 * @store: not refcounted here: the gate lives as long as its store
 * The rest is gate.c's.
 */
struct hcv_grant {
	struct hcv_period *period;
	struct hcv_store *store;
	uuid_t vol;
	u64 epoch;
	uuid_t client;
	u64 renew;
	/* private: gate.c */
	struct list_head node;		/* gate->lock, by serial */
	struct list_head vol_node;	/* gate->lock */
	u64 serial;
	struct hcv_seat *seat;
	struct kref kref;
	atomic_t nr_periods;		/* that are not over */
	struct completion drained;	/* when none is left */
	bool ending;			/* the period before is not over */
	u64 period_nr;			/* gate->lock */
	u64 withdrawn_nr;		/* of the newest withdrawal; gate->lock */
	bool revoked;			/* or retired; gate->spin */
	bool done;			/* the client's word; gate->spin */
	u64 lease_end_ns;		/* gate->spin; valid once revoked */
	u64 io_ns;			/* newest I/O let in, by READ_ONCE */
	struct hcv_nl_range *range;	/* gate->lock */
	u32 nr_ranges;
	struct hcv_chunks __rcu *chunks;
	struct rcu_head rcu;
};

/**
 * struct hcv_grant_info - a grant as hcv_gate_each() shows it
 * @grant: ids
 * @serial: number of the grant, grows
 * @range: its handles
 * @inflight: I/Os, exact once revoked
 * @lease_ms: until the lease ends
 * @flags: HCV_GRANT_F_*
 */
struct hcv_grant_info {
	const struct hcv_grant *grant;
	u64 serial;
	const struct hcv_nl_range *range;
	u32 nr_ranges;
	u32 inflight;
	u32 lease_ms;
	u32 flags;
};

/**
 * struct hcv_where - a device and a position on it
 */
struct hcv_where {
	struct block_device *bdev;
	sector_t sector;
};

struct hcv_gate *hcv_gate_create(struct hcv_store *store, bool silent);
/** hcv_gate_destroy() - no grants are left, or all are revoked and drained */
void hcv_gate_destroy(struct hcv_gate *gate);
/** hcv_gate_busy() - whether a grant is not revoked or not drained */
bool hcv_gate_busy(struct hcv_gate *gate);
/** hcv_gate_vol_busy() - same for the grants of one volume */
bool hcv_gate_vol_busy(struct hcv_gate *gate, const uuid_t *vol);
/** hcv_gate_client_busy() - same for the grants of one client */
bool hcv_gate_client_busy(struct hcv_gate *gate, const uuid_t *client);
/**
 * hcv_gate_client_add() - know a client, before its first beacon can come
 *
 * Context: process. Return: 0 or -ENOMEM.
 */
int hcv_gate_client_add(struct hcv_gate *gate, const uuid_t *client);
/**
 * hcv_gate_lease_ms() - until no other node can hold a lease of this store
 *
 * Counts the silence after an unclean open, too.
 */
u32 hcv_gate_lease_ms(struct hcv_gate *gate);
/**
 * hcv_gate_refresh() - grants of @vol see object @phys at @grant_index
 *
 * Context: process, store->lock held.
 */
void hcv_gate_refresh(struct hcv_gate *gate, const uuid_t *vol, u32 grant_index,
		      u32 phys);
/**
 * hcv_gate_withdraw() - grants of @vol do not see these extents any more
 * @index: their indexes in the volume, @nr of them
 *
 * May be repeated at any time; I/O to other extents goes on.
 * Context: process, store->lock held.
 * Return: 0: no I/O to them is in flight, nor will be; -EINPROGRESS: some that
 * was let in before has not ended; -ENOMEM.
 */
int hcv_gate_withdraw(struct hcv_gate *gate, const uuid_t *vol,
		      const u32 *index, u32 nr);
/**
 * hcv_gate_each() - call @fn for each grant with a serial above @after
 *
 * In the order of serials, until @fn returns non-zero; @fn must not call the
 * gate.
 * Return: what the last @fn returned, or 0.
 */
int hcv_gate_each(struct hcv_gate *gate, u64 after,
		  int (*fn)(const struct hcv_grant_info *info, void *arg),
		  void *arg);
/** hcv_gate_show() - hcv_gate_each() for one grant */
int hcv_gate_show(struct hcv_grant *grant,
		  int (*fn)(const struct hcv_grant_info *info, void *arg),
		  void *arg);

/**
 * struct hcv_grant_want - what is asked of hcv_gate_grant()
 * @vol: the volume
 * @client: the node that is to use the handles
 * @epoch: of the volume's record
 * @renew: a grant with a lower renewal number is retired first; 0: any will do
 * @count: grant indexes wanted, 1 + highest extent index + 1; rounded up to
 *	a multiple of HCV_HANDLE_CHUNK
 */
struct hcv_grant_want {
	const uuid_t *vol;
	const uuid_t *client;
	u64 epoch;
	u64 renew;
	u32 count;
};

/**
 * hcv_gate_grant() - hand out handles
 *
 * Idempotent; extents that are not (yet) on the store fail when used.  A grant
 * looks an extent up again when it was added after the grant.
 * Context: process, sleeps (reserves handles on the media).
 * Return: the grant with a reference (hcv_grant_put()), or an ERR_PTR:
 * -ESTALE revoked epoch or older renewal, -EINPROGRESS retired handles have I/O
 * in flight, -ENOENT nothing of this volume here, -ENOSPC.
 */
struct hcv_grant *hcv_gate_grant(struct hcv_store *store,
				 const struct hcv_grant_want *want,
				 struct netlink_ext_ack *extack);
void hcv_grant_put(struct hcv_grant *grant);

/**
 * hcv_gate_revoke() - revoke every grant of @vol with an epoch <= @epoch
 * @inflight: I/Os that have not ended; exact once it is small
 * @lease_ms: until the last lease has ended
 *
 * Returns at once; both zero means fenced.
 */
int hcv_gate_revoke(struct hcv_store *store, const uuid_t *vol, u64 epoch,
		    u32 *inflight, u32 *lease_ms);
/**
 * hcv_gate_retire_vol() - retire the grants of @vol and just this epoch that have
 * a lower renewal than @renew; none of a lower one is handed out again
 *
 * The epoch goes on, and with it the client's lease: @store has left the volume,
 * and may get a part of it again.
 * Context: process; returns at once.
 * Return: I/Os through them that have not ended; exact once it is small.
 */
u32 hcv_gate_retire_vol(struct hcv_store *store, const uuid_t *vol, u64 epoch,
			u64 renew);

/**
 * hcv_gate_lookup() - grant and position behind an address of an export
 * @client: whose export it came in by
 * @handle: address >> HCV_HANDLE_SHIFT
 * @off: byte offset in the handle, @len bytes must lie in one object
 *
 * Context: any; not under a lock.
 * Return: the period that it is counted in (hcv_grant_exit()), or NULL: unknown,
 * revoked, foreign handle, or out of the object's range.
 */
struct hcv_period *hcv_gate_lookup(struct hcv_store *store,
				   const uuid_t *client, u64 handle, u32 off,
				   u32 len, struct hcv_where *where);

/**
 * hcv_grant_map() - position of grant index @index, offset @off
 *
 * For the local gate; the caller is counted in a period or holds a reference.
 * Return: 0, -ENOENT no such object here, -ERANGE, -EIO the store failed.
 */
int hcv_grant_map(struct hcv_grant *grant, u32 index, u32 off, u32 len,
		  struct hcv_where *where);

/** hcv_grant_enter() - count an I/O in; NULL: revoked */
static inline struct hcv_period *hcv_grant_enter(struct hcv_grant *grant)
{
	struct hcv_period *p, *was = NULL;

	rcu_read_lock();
	for (;;) {
		/* Pairs with hcv_period_next(): what was withdrawn is seen. */
		p = smp_load_acquire(&grant->period);
		if (unlikely(p == was)) {
			p = NULL;
			break;
		}
		if (likely(percpu_ref_tryget_live(&p->ref)))
			break;
		was = p;
		/* Killed, after the next one took its place: the same. */
		smp_rmb();
	}
	rcu_read_unlock();
	return p;
}

/** hcv_grant_exit() - the I/O has ended; any context */
static inline void hcv_grant_exit(struct hcv_period *period)
{
	percpu_ref_put(&period->ref);
}

/**
 * hcv_gate_beacon() - answer a beacon of @client
 * @window: the part of the list that is asked for
 * @buf: 4 KiB, gets the sealed control window
 *
 * Window 0 extends the leases as described above. Context: any, irqs on or off.
 */
void hcv_gate_beacon(struct hcv_store *store, const uuid_t *client, u32 window,
		     void *buf);
/**
 * hcv_gate_done() - @client will never act under @epoch of @vol again
 *
 * Context: process.
 */
void hcv_gate_done(struct hcv_store *store, const uuid_t *client,
		   const uuid_t *vol, u64 epoch);
/** hcv_gate_beacon_local() - same for a local grant; false: revoked */
bool hcv_gate_beacon_local(struct hcv_grant *grant);

#endif /* HCV_GATE_H */
