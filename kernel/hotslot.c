// SPDX-License-Identifier: GPL-2.0-only
/*
 * Busy bits of the megabytes in use.  See hotslot.h.
 */
#include "hotslot.h"

#include <linux/ktime.h>
#include <linux/slab.h>

#include "io.h"
#include "volume.h"

static unsigned long hot_mask(u32 w, u32 blk, u32 nr)
{
	u32 lo = max_t(u32, blk, w * BITS_PER_LONG);
	u32 hi = min_t(u32, blk + nr, (w + 1) * BITS_PER_LONG);

	return GENMASK((hi - 1) % BITS_PER_LONG, lo % BITS_PER_LONG);
}

int hcv_hot_make(struct hcv_vol *vol, u32 mib)
{
	struct hcv_hot *hot, *old = NULL;
	struct hcv_leaf *leaf;
	unsigned long flags;
	int ret;

	/* Leaves stay, so that one look tells: making one clears 8 KiB. */
	rcu_read_lock();
	leaf = hcv_map_leaf(&vol->map, mib);
	rcu_read_unlock();
	if (!leaf) {
		ret = hcv_map_leaf_make(&vol->map, mib, GFP_NOIO);
		if (ret)
			return ret;
	}
	hot = kzalloc(sizeof(*hot), GFP_NOIO);
	if (!hot)
		return -ENOMEM;
	spin_lock_init(&hot->lock);
	INIT_LIST_HEAD(&hot->waiters);
	hot->mib = mib;
	rcu_read_lock();
	leaf = hcv_map_leaf(&vol->map, mib);
	spin_lock_irqsave(&vol->hot_lock, flags);
	old = rcu_dereference_protected(leaf->ent[mib % HCV_LEAF_MIBS].hot,
					lockdep_is_held(&vol->hot_lock));
	if (!old) {
		list_add_tail(&hot->node, &vol->hots);
		vol->nr_hots++;
		rcu_assign_pointer(leaf->ent[mib % HCV_LEAF_MIBS].hot, hot);
	}
	spin_unlock_irqrestore(&vol->hot_lock, flags);
	rcu_read_unlock();
	if (old)
		kfree(hot);
	return 0;
}

static void hot_clear(struct hcv_hot *hot, u32 blk, u32 nr)
{
	u32 w, first = blk / BITS_PER_LONG, last = (blk + nr - 1) / BITS_PER_LONG;

	if (nr == 1) {
		clear_bit_unlock(blk, hot->busy);
		return;
	}
	for (w = first; w <= last; w++)
		atomic_long_andnot(hot_mask(w, blk, nr),
				   (atomic_long_t *)&hot->busy[w]);
}

static void hot_wake(struct hcv_vol *vol, struct hcv_hot *hot)
{
	unsigned long flags;
	LIST_HEAD(list);

	/* Pairs with hcv_hot_wait(): bits first there, waiting first here. */
	smp_mb();
	if (likely(!READ_ONCE(hot->waiting)))
		return;
	spin_lock_irqsave(&hot->lock, flags);
	list_splice_init(&hot->waiters, &list);
	WRITE_ONCE(hot->waiting, false);
	spin_unlock_irqrestore(&hot->lock, flags);
	hcv_vol_again(vol, &list);
	wake_up_all(&vol->wait);
}

int hcv_hot_trylock(struct hcv_vol *vol, struct hcv_hot *hot, u32 blk, u32 nr)
{
	u32 w, first = blk / BITS_PER_LONG, last = (blk + nr - 1) / BITS_PER_LONG;

	if (nr == 1) {
		if (test_and_set_bit(blk, hot->busy))
			return -EBUSY;
	} else {
		/* Only who takes bits wakes others when it gives them back. */
		if (hcv_hot_test(hot, blk, nr))
			return -EBUSY;
		for (w = first; w <= last; w++) {
			atomic_long_t *word = (atomic_long_t *)&hot->busy[w];
			unsigned long mask = hot_mask(w, blk, nr);
			unsigned long old = atomic_long_fetch_or(mask, word);

			if (!(old & mask))
				continue;
			/* Give back what was taken, and only that. */
			atomic_long_andnot(mask & ~old, word);
			if (w > first)
				hot_clear(hot, blk,
					  w * BITS_PER_LONG - blk);
			/* Someone may have parked for these bits meanwhile. */
			hot_wake(vol, hot);
			return -EBUSY;
		}
	}
	/* Pairs with hot_kill(): it sees our bits, or we see it dead. */
	if (unlikely(READ_ONCE(hot->dead))) {
		hot_clear(hot, blk, nr);
		hot_wake(vol, hot);
		return -EAGAIN;
	}
	return 0;
}

bool hcv_hot_test(struct hcv_hot *hot, u32 blk, u32 nr)
{
	u32 w, first = blk / BITS_PER_LONG, last = (blk + nr - 1) / BITS_PER_LONG;

	for (w = first; w <= last; w++)
		if (READ_ONCE(hot->busy[w]) & hot_mask(w, blk, nr))
			return true;
	return false;
}

void hcv_hot_unlock(struct hcv_vol *vol, struct hcv_hot *hot, u32 blk, u32 nr)
{
	/* The object may be freed once the bits are clear. */
	rcu_read_lock();
	hot_clear(hot, blk, nr);
	hot_wake(vol, hot);
	rcu_read_unlock();
}

bool hcv_hot_wait(struct hcv_hot *hot, struct hcv_io *io)
{
	u32 blk = io->blk, nr = io->nblk;
	unsigned long flags;
	bool parked;

	io->wait = HCV_WAIT_BUSY;
	if (!io->wait_ns)
		io->wait_ns = ktime_get_boottime_ns();
	spin_lock_irqsave(&hot->lock, flags);
	WRITE_ONCE(hot->waiting, true);
	/* Pairs with hot_wake(). */
	smp_mb();
	parked = hcv_hot_test(hot, blk, nr) && !hot->dead;
	if (parked)
		list_add_tail(&io->node, &hot->waiters);
	spin_unlock_irqrestore(&hot->lock, flags);
	return parked;
}

static int hot_try(struct hcv_vol *vol, u32 mib, u32 blk, u32 nr,
		   struct hcv_hot **out)
{
	struct hcv_leaf *leaf;
	struct hcv_hot *hot = NULL;
	int ret = -ENOENT;

	rcu_read_lock();
	leaf = hcv_map_leaf(&vol->map, mib);
	if (leaf)
		hot = rcu_dereference(leaf->ent[mib % HCV_LEAF_MIBS].hot);
	if (hot)
		ret = hcv_hot_trylock(vol, hot, blk, nr);
	/* Someone sleeps for these bits: whoever gives them back must look. */
	if (ret == -EBUSY)
		WRITE_ONCE(hot->waiting, true);
	rcu_read_unlock();
	*out = hot;
	return ret;
}

bool hcv_hot_lock_once(struct hcv_vol *vol, u32 mib, u32 blk, u32 nr,
		       struct hcv_hot **hot)
{
	return !hot_try(vol, mib, blk, nr, hot);
}

int hcv_hot_lock_sync(struct hcv_vol *vol, u32 mib, u32 blk, u32 nr,
		      const bool *stop, struct hcv_hot **hot)
{
	int ret;

	for (;;) {
		ret = hot_try(vol, mib, blk, nr, hot);
		if (!ret || READ_ONCE(vol->failed) || (stop && READ_ONCE(*stop)))
			break;
		if (ret == -ENOENT) {
			ret = hcv_hot_make(vol, mib);
			if (ret)
				return ret;
		} else if (ret == -EAGAIN) {
			cond_resched();
		} else {
			/* The tick wakes us too, should a wake-up slip by. */
			wait_event_timeout(vol->wait,
					   !(ret = hot_try(vol, mib, blk, nr,
							   hot)) ||
					   ret != -EBUSY ||
					   READ_ONCE(vol->failed) ||
					   (stop && READ_ONCE(*stop)), HZ);
			if (!ret)
				break;
		}
	}
	return ret ? -EIO : 0;
}

/* Free an object nobody uses; vol->hot_lock held. */
static bool hot_kill(struct hcv_vol *vol, struct hcv_hot *hot)
{
	struct hcv_leaf *leaf;
	bool idle;

	WRITE_ONCE(hot->dead, true);
	/* Pairs with hcv_hot_trylock(). */
	smp_mb();
	spin_lock(&hot->lock);
	idle = bitmap_empty(hot->busy, HCV_SLOT_BLOCKS) &&
	       list_empty(&hot->waiters);
	if (!idle)
		WRITE_ONCE(hot->dead, false);
	spin_unlock(&hot->lock);
	if (!idle)
		return false;
	leaf = hcv_map_leaf(&vol->map, hot->mib);
	RCU_INIT_POINTER(leaf->ent[hot->mib % HCV_LEAF_MIBS].hot, NULL);
	list_del(&hot->node);
	vol->nr_hots--;
	kfree_rcu(hot, rcu);
	return true;
}

/* Objects kept although idle: enough for what is really hot. */
#define HCV_HOTS_KEPT	4096
#define HCV_HOTS_STEP	256

void hcv_hot_prune(struct hcv_vol *vol)
{
	u32 i;

	for (i = 0; i < HCV_HOTS_STEP; i++) {
		struct hcv_hot *hot;

		if (READ_ONCE(vol->nr_hots) <= HCV_HOTS_KEPT)
			return;
		rcu_read_lock();
		spin_lock_irq(&vol->hot_lock);
		hot = list_first_entry_or_null(&vol->hots, struct hcv_hot,
					       node);
		if (hot && !hot_kill(vol, hot))
			list_move_tail(&hot->node, &vol->hots);
		spin_unlock_irq(&vol->hot_lock);
		rcu_read_unlock();
	}
}

u32 hcv_hot_waiting(struct hcv_vol *vol, u64 *since_ns)
{
	struct hcv_hot *hot;
	struct hcv_io *io;
	u32 n = 0;

	*since_ns = U64_MAX;
	spin_lock_irq(&vol->hot_lock);
	list_for_each_entry(hot, &vol->hots, node) {
		if (!READ_ONCE(hot->waiting))
			continue;
		spin_lock(&hot->lock);
		list_for_each_entry(io, &hot->waiters, node) {
			*since_ns = min(*since_ns, io->wait_ns);
			n++;
		}
		spin_unlock(&hot->lock);
	}
	spin_unlock_irq(&vol->hot_lock);
	return n;
}

bool hcv_hot_any_waiter(struct hcv_vol *vol)
{
	struct hcv_hot *hot;
	bool any = false;

	spin_lock_irq(&vol->hot_lock);
	list_for_each_entry(hot, &vol->hots, node) {
		spin_lock(&hot->lock);
		any = any || !list_empty(&hot->waiters);
		spin_unlock(&hot->lock);
	}
	spin_unlock_irq(&vol->hot_lock);
	return any;
}

void hcv_hot_drain_waiters(struct hcv_vol *vol, struct list_head *list)
{
	struct hcv_hot *hot;

	spin_lock_irq(&vol->hot_lock);
	list_for_each_entry(hot, &vol->hots, node) {
		spin_lock(&hot->lock);
		list_splice_tail_init(&hot->waiters, list);
		spin_unlock(&hot->lock);
	}
	spin_unlock_irq(&vol->hot_lock);
}

void hcv_hot_destroy(struct hcv_vol *vol)
{
	struct hcv_hot *hot, *tmp;

	list_for_each_entry_safe(hot, tmp, &vol->hots, node) {
		list_del(&hot->node);
		kfree_rcu(hot, rcu);
	}
}
