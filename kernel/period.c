// SPDX-License-Identifier: GPL-2.0-only
/*
 * Periods: what runs now is told from what follows.
 *
 * I/O runs under a reference (struct hcv_ioref).  To let everything that runs
 * now come to its end, a new reference takes its place and the old one is
 * killed (hcv_vol_drain()); to suspend, none takes its place (hcv_vol_halt()).
 */
#include <linux/slab.h>

#include "volume.h"

static void ioref_end(struct hcv_ioref *ref)
{
	struct hcv_vol *vol = ref->vol;

	if (ref->freed) {
		hcv_map_give_back(&vol->map, ref->freed);
		hcv_vol_kick(vol, HCV_WAIT_EXTENT);
	}
	atomic_dec(&vol->nr_draining);
	wake_up_all(&vol->wait);
	percpu_ref_exit(&ref->ref);
	kfree_rcu(ref, rcu);
	hcv_vol_put(vol);
}

/*
 * A period is over when its count is zero and all before it are over: an I/O
 * of an older one may still read a slot that was freed in a younger one.
 */
static void ioref_fn(struct work_struct *work)
{
	struct hcv_ioref *ref = container_of(work, struct hcv_ioref, work);
	struct hcv_vol *vol = ref->vol;
	struct hcv_ioref *tmp;
	LIST_HEAD(over);

	kref_get(&vol->kref);
	spin_lock_irq(&vol->lock);
	ref->ended = true;
	list_for_each_entry_safe(ref, tmp, &vol->draining, node) {
		if (!ref->ended)
			break;
		list_move_tail(&ref->node, &over);
		WRITE_ONCE(vol->period_over, ref->nr);
	}
	spin_unlock_irq(&vol->lock);
	list_for_each_entry_safe(ref, tmp, &over, node)
		ioref_end(ref);
	hcv_vol_put(vol);
}

static void ioref_release(struct percpu_ref *pref)
{
	struct hcv_ioref *ref = container_of(pref, struct hcv_ioref, ref);

	queue_work(hcv_wq, &ref->work);
}

struct hcv_ioref *hcv_ioref_new(struct hcv_vol *vol)
{
	struct hcv_ioref *ref = kzalloc(sizeof(*ref), GFP_NOIO);

	if (!ref)
		return NULL;
	if (percpu_ref_init(&ref->ref, ioref_release, 0, GFP_NOIO)) {
		kfree(ref);
		return NULL;
	}
	ref->vol = vol;
	INIT_WORK(&ref->work, ioref_fn);
	kref_get(&vol->kref);
	return ref;
}

void hcv_ioref_drop(struct hcv_ioref *ref)
{
	hcv_vol_put(ref->vol);
	percpu_ref_exit(&ref->ref);
	kfree(ref);
}

/*
 * Enlist a period that is to end, in the same critical section that took it
 * from vol->ref: the list has them in the order in which they began.  The caller
 * kills it after that.
 */
static void vol_retire(struct hcv_vol *vol, struct hcv_ioref *ref)
{
	lockdep_assert_held(&vol->lock);
	atomic_inc(&vol->nr_draining);
	ref->nr = ++vol->period;
	list_add_tail(&ref->node, &vol->draining);
}

int hcv_vol_drain(struct hcv_vol *vol, struct hcv_slot *freed, u32 *period)
{
	struct hcv_ioref *ref, *old;

	ref = hcv_ioref_new(vol);
	if (!ref) {
		hcv_map_unfreed(&vol->map, freed);
		return -ENOMEM;
	}
	spin_lock_irq(&vol->lock);
	old = rcu_dereference_protected(vol->ref, lockdep_is_held(&vol->lock));
	if (old)
		rcu_assign_pointer(vol->ref, ref);
	else
		/* Suspended: nothing new runs, the new one ends at once. */
		old = ref;
	old->freed = freed;
	vol_retire(vol, old);
	if (period)
		*period = old->nr;
	spin_unlock_irq(&vol->lock);
	percpu_ref_kill(&old->ref);
	/* Who found it killed and parked is let in by this. */
	hcv_vol_kick(vol, HCV_WAIT_SUSPEND);
	return 0;
}

bool hcv_vol_period_over(struct hcv_vol *vol, u32 period)
{
	return (s32)(READ_ONCE(vol->period_over) - period) >= 0;
}

bool hcv_vol_drained(struct hcv_vol *vol)
{
	return !atomic_read(&vol->nr_draining);
}

bool hcv_vol_try_enter(struct hcv_vol *vol, struct hcv_ioref **ref)
{
	rcu_read_lock();
	*ref = rcu_dereference(vol->ref);
	if (*ref && !percpu_ref_tryget_live(&(*ref)->ref))
		*ref = NULL;
	rcu_read_unlock();
	return *ref;
}

int hcv_vol_enter(struct hcv_vol *vol, const bool *stop, struct hcv_ioref **ref)
{
	for (;;) {
		/* Pairs with hcv_vol_kick(). */
		u32 seq = smp_load_acquire(&vol->kick_seq);

		if (READ_ONCE(vol->failed) || (stop && READ_ONCE(*stop)))
			return -EIO;
		if (hcv_vol_try_enter(vol, ref))
			return 0;
		wait_event_timeout(vol->wait,
				   READ_ONCE(vol->kick_seq) != seq ||
				   READ_ONCE(vol->failed) ||
				   (stop && READ_ONCE(*stop)), HZ);
	}
}

void hcv_vol_leave(struct hcv_ioref *ref)
{
	percpu_ref_put(&ref->ref);
}

void hcv_vol_run_under(struct hcv_vol *vol, struct hcv_ioref *ref)
{
	spin_lock_irq(&vol->lock);
	rcu_assign_pointer(vol->ref, ref);
	spin_unlock_irq(&vol->lock);
	/* Who waits for a hand-over as well. */
	hcv_vol_kick(vol, HCV_WAIT_NONE);
}

int hcv_vol_run(struct hcv_vol *vol)
{
	struct hcv_ioref *ref = hcv_ioref_new(vol);

	if (!ref)
		return -ENOMEM;
	hcv_vol_run_under(vol, ref);
	return 0;
}

void hcv_vol_halt(struct hcv_vol *vol)
{
	struct hcv_ioref *old;

	spin_lock_irq(&vol->lock);
	old = rcu_dereference_protected(vol->ref, lockdep_is_held(&vol->lock));
	RCU_INIT_POINTER(vol->ref, NULL);
	if (old)
		vol_retire(vol, old);
	spin_unlock_irq(&vol->lock);
	if (old)
		percpu_ref_kill(&old->ref);
}
