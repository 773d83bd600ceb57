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
	/* What was done under the bits comes before; see hcv_hot_test(). */
	smp_mb__before_atomic();
	for (w = first; w <= last; w++)
		atomic_long_andnot(hot_mask(w, blk, nr),
				   (atomic_long_t *)&hot->busy[w]);
}

/*
 * Take bits, all or none.
 * Return: 0; -EBUSY: nothing was touched; -EAGAIN: some bits were taken for a
 * moment and may have turned others away, who queued: hot_wake().
 */
static int hot_take(struct hcv_hot *hot, u32 blk, u32 nr)
{
	u32 w, first = blk / BITS_PER_LONG, last = (blk + nr - 1) / BITS_PER_LONG;

	if (nr == 1)
		return test_and_set_bit(blk, hot->busy) ? -EBUSY : 0;
	/* Spares them bits set for a moment; what tells is the loop below. */
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
			hot_clear(hot, blk, w * BITS_PER_LONG - blk);
		return -EAGAIN;
	}
	return 0;
}

/* Somebody has taken bits, and not to read; hot->lock held. */
static void hot_note(struct hcv_hot *hot, u32 blk, u32 nr)
{
	if (unlikely(hot->watch))
		bitmap_set(hot->watch->written, blk, nr);
}

/*
 * Give free bits to those who wait, oldest first; hot->lock held.
 *
 * Who stays in the queue keeps its range from all behind it.  It is not
 * forgotten: the bits that it did not get are someone's who finds @waiting set
 * when giving them back, since it was set before we looked.
 */
static void hot_grant(struct hcv_vol *vol, struct hcv_hot *hot,
		      struct list_head *ios, bool *tasks)
{
	DECLARE_BITMAP(taken, HCV_SLOT_BLOCKS) = {};
	struct hcv_hotwait *w, *tmp;

	lockdep_assert_held(&hot->lock);
	list_for_each_entry_safe(w, tmp, &hot->waiters, node) {
		u32 end = w->blk + w->nr;

		if (find_next_bit(taken, end, w->blk) < end ||
		    hot_take(hot, w->blk, w->nr)) {
			bitmap_set(taken, w->blk, w->nr);
			continue;
		}
		list_del(&w->node);
		if (w->io) {
			if (w->io->op != HCV_IO_READ)
				hot_note(hot, w->blk, w->nr);
			atomic_dec(&vol->nr_hot_waiters);
			w->io->hot = hot;
			w->io->flags |= HCV_IO_BUSY;
			list_add_tail(&w->io->node, ios);
		} else {
			/* Pairs with hot_sleep(); the task may be gone then. */
			smp_store_release(&w->granted, true);
			*tasks = true;
		}
	}
	WRITE_ONCE(hot->waiting, !list_empty(&hot->waiters));
}

/* Those who were granted bits go on; no lock held. */
static void hot_go_on(struct hcv_vol *vol, struct list_head *ios, bool tasks)
{
	if (!list_empty(ios))
		hcv_vol_again(vol, ios);
	if (tasks)
		wake_up_all(&vol->wait);
}

static void hot_wake(struct hcv_vol *vol, struct hcv_hot *hot)
{
	unsigned long flags;
	bool tasks = false;
	LIST_HEAD(ios);

	/* Pairs with hot_enqueue(): bits first there, waiting first here. */
	smp_mb();
	if (likely(!READ_ONCE(hot->waiting)))
		return;
	spin_lock_irqsave(&hot->lock, flags);
	hot_grant(vol, hot, &ios, &tasks);
	spin_unlock_irqrestore(&hot->lock, flags);
	hot_go_on(vol, &ios, tasks);
}

/* Whether an older one waits for some of these. */
static bool hot_queued(struct hcv_hot *hot, u32 blk, u32 nr)
{
	struct hcv_hotwait *w;
	unsigned long flags;
	bool found = false;

	spin_lock_irqsave(&hot->lock, flags);
	list_for_each_entry(w, &hot->waiters, node) {
		found = w->blk < blk + nr && blk < w->blk + w->nr;
		if (found)
			break;
	}
	spin_unlock_irqrestore(&hot->lock, flags);
	return found;
}

/* Bits are taken: 0, or -EAGAIN: given back, the object is being freed. */
static int hot_look(struct hcv_vol *vol, struct hcv_hot *hot, u32 blk, u32 nr)
{
	unsigned long flags;
	bool dead;

	spin_lock_irqsave(&hot->lock, flags);
	dead = hot->look & HCV_HOT_DEAD;
	if (!dead)
		hot_note(hot, blk, nr);
	spin_unlock_irqrestore(&hot->lock, flags);
	if (!dead)
		return 0;
	hot_clear(hot, blk, nr);
	hot_wake(vol, hot);
	return -EAGAIN;
}

int hcv_hot_trylock(struct hcv_vol *vol, struct hcv_hot *hot, u32 blk, u32 nr)
{
	int ret;

	/* One that queues at this moment may be passed, once. */
	if (unlikely(READ_ONCE(hot->waiting)) && hot_queued(hot, blk, nr))
		return -EBUSY;
	ret = hot_take(hot, blk, nr);
	if (unlikely(ret)) {
		if (ret == -EAGAIN)
			hot_wake(vol, hot);
		return -EBUSY;
	}
	/*
	 * Pairs with hot_kill(): it sees our bits, or we see it dead.  A watch was
	 * there before the bits that it is about were given back to us.
	 */
	if (unlikely(READ_ONCE(hot->look)))
		return hot_look(vol, hot, blk, nr);
	return 0;
}

bool hcv_hot_test(struct hcv_hot *hot, u32 blk, u32 nr)
{
	u32 w, first = blk / BITS_PER_LONG, last = (blk + nr - 1) / BITS_PER_LONG;

	for (w = first; w <= last; w++)
		if (READ_ONCE(hot->busy[w]) & hot_mask(w, blk, nr))
			return true;
	/* Pairs with hot_clear(): what was written under the bits is seen. */
	smp_rmb();
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

/* Queue, behind whoever overlaps; false: the object is being freed. */
static bool hot_enqueue(struct hcv_vol *vol, struct hcv_hot *hot,
			struct hcv_hotwait *w)
{
	unsigned long flags;
	bool tasks = false;
	LIST_HEAD(ios);

	spin_lock_irqsave(&hot->lock, flags);
	if (hot->look & HCV_HOT_DEAD) {
		spin_unlock_irqrestore(&hot->lock, flags);
		return false;
	}
	w->granted = false;
	list_add_tail(&w->node, &hot->waiters);
	if (w->io)
		atomic_inc(&vol->nr_hot_waiters);
	WRITE_ONCE(hot->waiting, true);
	/* Pairs with hot_wake(). */
	smp_mb();
	hot_grant(vol, hot, &ios, &tasks);
	spin_unlock_irqrestore(&hot->lock, flags);
	hot_go_on(vol, &ios, tasks);
	return true;
}

bool hcv_hot_wait(struct hcv_vol *vol, struct hcv_hot *hot, struct hcv_io *io)
{
	io->wait = HCV_WAIT_BUSY;
	if (!io->wait_ns)
		io->wait_ns = ktime_get_boottime_ns();
	io->hotwait.io = io;
	io->hotwait.blk = io->blk;
	io->hotwait.nr = io->nblk;
	return hot_enqueue(vol, hot, &io->hotwait);
}

/* Give up; false: the bits were granted before that. */
static bool hot_leave(struct hcv_vol *vol, struct hcv_hot *hot,
		      struct hcv_hotwait *w)
{
	bool tasks = false, left;
	LIST_HEAD(ios);

	spin_lock_irq(&hot->lock);
	left = !w->granted;
	if (left) {
		list_del(&w->node);
		/* Some may have waited for this one only. */
		hot_grant(vol, hot, &ios, &tasks);
	}
	spin_unlock_irq(&hot->lock);
	hot_go_on(vol, &ios, tasks);
	return left;
}

/* Sleep in the queue until the bits are granted: 0, or -EIO. */
static int hot_sleep(struct hcv_vol *vol, struct hcv_hot *hot,
		     struct hcv_hotwait *w, const bool *stop)
{
	/* Pairs with hot_grant(). */
	wait_event(vol->wait, smp_load_acquire(&w->granted) ||
		   READ_ONCE(vol->failed) || (stop && READ_ONCE(*stop)));
	if (hot_leave(vol, hot, w))
		return -EIO;
	return 0;
}

/* Under RCU; NULL: there is none. */
static struct hcv_hot *hot_find(struct hcv_vol *vol, u32 mib)
{
	struct hcv_leaf *leaf = hcv_map_leaf(&vol->map, mib);

	return leaf ? rcu_dereference(leaf->ent[mib % HCV_LEAF_MIBS].hot) :
		      NULL;
}

bool hcv_hot_lock_once(struct hcv_vol *vol, u32 mib, u32 blk, u32 nr,
		       struct hcv_hot **hot)
{
	bool ok;

	rcu_read_lock();
	*hot = hot_find(vol, mib);
	ok = *hot && !hcv_hot_trylock(vol, *hot, blk, nr);
	rcu_read_unlock();
	return ok;
}

int hcv_hot_lock_sync(struct hcv_vol *vol, u32 mib, u32 blk, u32 nr,
		      const bool *stop, struct hcv_hot **out)
{
	struct hcv_hotwait w = { .blk = blk, .nr = nr };
	struct hcv_hot *hot;
	bool queued;
	int ret;

	for (;;) {
		if (READ_ONCE(vol->failed) || (stop && READ_ONCE(*stop)))
			return -EIO;
		rcu_read_lock();
		hot = hot_find(vol, mib);
		*out = hot;
		/* It stays as long as we are in its queue. */
		queued = hot && hot_enqueue(vol, hot, &w);
		rcu_read_unlock();
		if (queued)
			return hot_sleep(vol, hot, &w, stop);
		ret = hot ? 0 : hcv_hot_make(vol, mib);
		if (ret)
			return ret;
		cond_resched();
	}
}

void hcv_hot_watch(struct hcv_hot *hot, struct hcv_hotwatch *watch)
{
	spin_lock_irq(&hot->lock);
	watch->hot = hot;
	bitmap_zero(watch->written, HCV_SLOT_BLOCKS);
	hot->watch = watch;
	WRITE_ONCE(hot->look, hot->look | HCV_HOT_WATCHED);
	spin_unlock_irq(&hot->lock);
}

void hcv_hot_unwatch(struct hcv_hotwatch *watch)
{
	struct hcv_hot *hot = watch->hot;

	if (!hot)
		return;
	/* It may be freed as soon as it is not watched. */
	rcu_read_lock();
	spin_lock_irq(&hot->lock);
	hot->watch = NULL;
	WRITE_ONCE(hot->look, hot->look & ~HCV_HOT_WATCHED);
	spin_unlock_irq(&hot->lock);
	rcu_read_unlock();
	watch->hot = NULL;
}

/* Free an object nobody uses; vol->hot_lock held. */
static bool hot_kill(struct hcv_vol *vol, struct hcv_hot *hot)
{
	struct hcv_leaf *leaf;
	bool idle;

	spin_lock(&hot->lock);
	WRITE_ONCE(hot->look, hot->look | HCV_HOT_DEAD);
	/* Pairs with hcv_hot_trylock(). */
	smp_mb();
	idle = bitmap_empty(hot->busy, HCV_SLOT_BLOCKS) &&
	       list_empty(&hot->waiters) && !hot->watch;
	if (!idle)
		WRITE_ONCE(hot->look, hot->look & ~HCV_HOT_DEAD);
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

void hcv_hot_prune(struct hcv_vol *vol)
{
	u32 i, nr = READ_ONCE(vol->nr_hots);

	/* Each of them is looked at once, however fast they come. */
	for (i = 0; i < nr && READ_ONCE(vol->nr_hots) > HCV_HOTS_KEPT; i++) {
		struct hcv_hot *hot;

		rcu_read_lock();
		spin_lock_irq(&vol->hot_lock);
		hot = list_first_entry_or_null(&vol->hots, struct hcv_hot,
					       node);
		if (hot && !hot_kill(vol, hot))
			list_move_tail(&hot->node, &vol->hots);
		spin_unlock_irq(&vol->hot_lock);
		rcu_read_unlock();
		cond_resched();
	}
}

u32 hcv_hot_waiting(struct hcv_vol *vol, u64 *since_ns)
{
	struct hcv_hotwait *w;
	struct hcv_hot *hot;
	u32 n = 0;

	*since_ns = U64_MAX;
	if (!atomic_read(&vol->nr_hot_waiters))
		return 0;
	spin_lock_irq(&vol->hot_lock);
	list_for_each_entry(hot, &vol->hots, node) {
		if (!READ_ONCE(hot->waiting))
			continue;
		spin_lock(&hot->lock);
		list_for_each_entry(w, &hot->waiters, node) {
			if (!w->io)
				continue;
			*since_ns = min(*since_ns, w->io->wait_ns);
			n++;
		}
		spin_unlock(&hot->lock);
	}
	spin_unlock_irq(&vol->hot_lock);
	return n;
}

/* Those who wait since before a time; hot->lock held. */
static void hot_drain(struct hcv_vol *vol, struct hcv_hot *hot, u64 before_ns,
		      struct list_head *list)
{
	struct hcv_hotwait *w, *tmp;

	list_for_each_entry_safe(w, tmp, &hot->waiters, node) {
		if (!w->io || w->io->wait_ns >= before_ns)
			continue;
		list_del(&w->node);
		atomic_dec(&vol->nr_hot_waiters);
		list_add_tail(&w->io->node, list);
	}
}

void hcv_hot_drain_waiters(struct hcv_vol *vol, u64 before_ns,
			   struct list_head *list)
{
	struct hcv_hot *hot;
	bool tasks = false;
	LIST_HEAD(ios);

	if (!atomic_read(&vol->nr_hot_waiters))
		return;
	spin_lock_irq(&vol->hot_lock);
	list_for_each_entry(hot, &vol->hots, node) {
		if (!READ_ONCE(hot->waiting))
			continue;
		spin_lock(&hot->lock);
		hot_drain(vol, hot, before_ns, list);
		/* Some may have waited for these only. */
		hot_grant(vol, hot, &ios, &tasks);
		spin_unlock(&hot->lock);
	}
	spin_unlock_irq(&vol->hot_lock);
	hot_go_on(vol, &ios, tasks);
}

void hcv_hot_destroy(struct hcv_vol *vol)
{
	struct hcv_hot *hot, *tmp;

	list_for_each_entry_safe(hot, tmp, &vol->hots, node) {
		list_del(&hot->node);
		kfree_rcu(hot, rcu);
	}
}
