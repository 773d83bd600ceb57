/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hot slots: one object per megabyte in use, with a busy bit per block.
 *
 * Whoever changes a block, or copies it between replicas, holds its bit; who
 * reads it tests the bit, and holds it when it had to wait.  Found through the
 * map's leaf under RCU; freed by hcv_hot_prune() when idle.
 *
 * Bits are taken all or none.  Those who do not get them queue, and get them in
 * their turn from whoever gives bits back: nobody passes an older one whose
 * blocks overlap, so that a large range is not starved by small ones.  Without
 * a queue no lock is taken.  Lock: hot->lock (waiters) is innermost.
 */
#ifndef HCV_HOTSLOT_H
#define HCV_HOTSLOT_H

#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

#include "core/map.h"

struct hcv_io;
struct hcv_vol;

/**
 * struct hcv_hotwait - who waits for the bits of a range
 * @node: on hot->waiters, oldest first
 * @io: is submitted again once it holds them; NULL: a task sleeps on vol->wait
 * @blk: first block
 * @nr: blocks
 * @granted: the task holds them
 */
struct hcv_hotwait {
	struct list_head node;
	struct hcv_io *io;
	u16 blk;
	u16 nr;
	bool granted;
};

/**
 * struct hcv_hotwatch - who has taken bits for a write since it began
 * @hot: what is watched, or NULL
 * @written: their blocks (hot->lock)
 */
struct hcv_hotwatch {
	struct hcv_hot *hot;
	unsigned long written[HCV_BM_WORDS];
};

/* hot->look: whoever has taken bits looks at it. */
#define HCV_HOT_DEAD	BIT(0)	/* being freed: the bits are given back */
#define HCV_HOT_WATCHED	BIT(1)	/* there is a watch to be told */

/**
 * struct hcv_hot - busy bits of one megabyte
 * @busy: a bit per block (atomic)
 * @look: HCV_HOT_* (lock; read without it)
 * @waiting: someone is on @waiters (lock; read without it)
 * @lock: @waiters, @watch
 * @waiters: struct hcv_hotwait, oldest first
 * @watch: is told of writes, or NULL
 * @mib: of the volume
 * @node: on vol->hots (vol->hot_lock)
 * @rcu: for freeing
 */
struct hcv_hot {
	unsigned long busy[HCV_BM_WORDS];
	u8 look;
	bool waiting;
	spinlock_t lock;	/* waiters, watch */
	struct list_head waiters;
	struct hcv_hotwatch *watch;
	u32 mib;
	struct list_head node;
	struct rcu_head rcu;
};

/**
 * hcv_hot_make() - make leaf and object of a mib; process context
 *
 * Return: 0 also when they are there, -ENOMEM, -ERANGE beyond the volume.
 */
int hcv_hot_make(struct hcv_vol *vol, u32 mib);
/**
 * hcv_hot_trylock() - take the bits of [blk, blk + nr), all or none
 *
 * -EBUSY also when an older one waits for some of them.
 * Context: under rcu_read_lock() as long as no bit is held.
 * Return: 0, -EBUSY, -EAGAIN: the object is being freed, look it up again.
 */
int hcv_hot_trylock(struct hcv_vol *vol, struct hcv_hot *hot, u32 blk, u32 nr);
/** hcv_hot_unlock() - give them back, to those who wait; any context */
void hcv_hot_unlock(struct hcv_vol *vol, struct hcv_hot *hot, u32 blk, u32 nr);
/** hcv_hot_test() - whether any bit of the range is set; false is an acquire */
bool hcv_hot_test(struct hcv_hot *hot, u32 blk, u32 nr);
/**
 * hcv_hot_wait() - queue @io; it is submitted again with HCV_IO_BUSY
 *
 * The I/O holds neither bits nor reference. Context: under rcu_read_lock().
 * Return: true: hands off; false: the object is being freed, look it up again.
 */
bool hcv_hot_wait(struct hcv_vol *vol, struct hcv_hot *hot, struct hcv_io *io);
/** hcv_hot_lock_once() - try to take the bits of a mib; process context */
bool hcv_hot_lock_once(struct hcv_vol *vol, u32 mib, u32 blk, u32 nr,
		       struct hcv_hot **hot);
/**
 * hcv_hot_lock_sync() - take the bits, sleeping
 * @stop: gives up when it becomes true (wake vol->wait), or NULL
 *
 * Return: 0, -EIO: stopped, or the volume failed, -ENOMEM.
 */
int hcv_hot_lock_sync(struct hcv_vol *vol, u32 mib, u32 blk, u32 nr,
		      const bool *stop, struct hcv_hot **hot);
/**
 * hcv_hot_watch() - note from now on which blocks are taken for a write
 *
 * The caller holds the bits of all blocks that it wants to know of: nobody
 * takes one before it sees the watch.  One at a time for each mib; the object
 * stays until hcv_hot_unwatch().
 */
void hcv_hot_watch(struct hcv_hot *hot, struct hcv_hotwatch *watch);
/** hcv_hot_unwatch() - end it, if it has begun; @watch->written stays */
void hcv_hot_unwatch(struct hcv_hotwatch *watch);
/** hcv_hot_prune() - free idle objects; process context */
void hcv_hot_prune(struct hcv_vol *vol);
/** hcv_hot_destroy() - free all; no I/O is left */
void hcv_hot_destroy(struct hcv_vol *vol);
/** hcv_hot_waiting() - how many I/Os are parked here, and since when */
u32 hcv_hot_waiting(struct hcv_vol *vol, u64 *since_ns);
/**
 * hcv_hot_drain_waiters() - move to @list the I/Os that wait here
 * @before_ns: since before that, U64_MAX: all
 */
void hcv_hot_drain_waiters(struct hcv_vol *vol, u64 before_ns,
			   struct list_head *list);

#endif /* HCV_HOTSLOT_H */
