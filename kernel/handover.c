// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handing a volume over to another node: what the module does for it.
 *
 * The target's module makes the disk of a volume that is NEW (hcv_vol_prepare()):
 * it can be opened, its I/O is parked until the start.  The source's module halts
 * the volume, flushed (hcv_vol_hand_halt()); from there it goes on
 * (hcv_vol_resume()), or is let go when the agent knows that the other node owns
 * it (hcv_vol_hand_let_go()): the stores are told, all I/O fails, and the disk
 * goes with its last opener.  The module never does either by itself: only the
 * record tells who owns the volume.
 */
#include <linux/ktime.h>

#include "actlog.h"
#include "compat.h"
#include "volume_priv.h"

/*
 * What runs has so long to end, and so long has all that follows: guests wait
 * for both when nothing comes of it, too.
 */
#define HAND_HALT_MS		2000

/* Its disk, whose I/O waits, before anything else. */
int hcv_vol_prepare(struct hcv_vol *vol, struct netlink_ext_ack *extack)
{
	int ret;

	mutex_lock(&vol->life_mutex);
	/* A forced stop may have come meanwhile. */
	ret = vol->dying || READ_ONCE(vol->failed) ? -ENODEV :
						     hcv_front_add(vol);
	if (!ret)
		queue_delayed_work(hcv_beat_wq, &vol->tick,
				   msecs_to_jiffies(HCV_VOL_TICK_MS));
	mutex_unlock(&vol->life_mutex);
	if (ret)
		NL_SET_ERR_MSG(extack, "the disk could not be made");
	else
		hcv_vol_info(vol, "prepared as hcivol%d, epoch %llu\n",
			     vol->minor, vol->epoch);
	return ret;
}

void hcv_vol_hand_owned(struct hcv_vol *vol)
{
	spin_lock_irq(&vol->lock);
	WRITE_ONCE(vol->hand_ms, 0);
	spin_unlock_irq(&vol->lock);
}

static unsigned int hand_left_ms(s64 until_ns)
{
	s64 left = until_ns - ktime_get_boottime_ns();

	return left > 0 ? div_u64(left, NSEC_PER_MSEC) + 1 : 1;
}

int hcv_vol_hand_still(struct hcv_vol *vol, unsigned int ms)
{
	s64 until = ktime_get_boottime_ns() + (s64)ms * NSEC_PER_MSEC;
	int ret;

	/*
	 * A write that is parked may be on some replicas alone, and the record
	 * will call all of them equal.
	 */
	if (atomic_read(&vol->nr_unsure))
		return -EAGAIN;
	ret = hcv_vol_flush_round(vol, ms);
	/*
	 * Not one page image may be on its way to some of the replicas.  The
	 * tick asks for no round any more, a resync and a scrub only under a
	 * period; what was asked for before ends here.
	 */
	if (!ret)
		ret = hcv_commit_idle_for(vol, hand_left_ms(until));
	/*
	 * Else the next owner gives stamps to all that was written here, and
	 * has their pages written, while its guest waits.  A replica that fails
	 * in this leaves first: a start bears one that gives errors as long as
	 * no log names anything.
	 */
	if (!ret)
		ret = hcv_actlog_empty_for(vol, hand_left_ms(until));
	return ret;
}

/* life_mutex held. The volume is active, and is again unless this returns 0. */
static int vol_hand_halt(struct hcv_vol *vol, struct netlink_ext_ack *extack)
{
	int ret = -EBUSY;

	if (!READ_ONCE(vol->nr_failing))
		ret = hcv_commit_sync_for(vol, HCV_VOL_DRAIN_MS);
	if (ret) {
		NL_SET_ERR_MSG(extack, "a failed replica is not yet removed, or a flush does not end; the volume goes on");
		return ret;
	}
	WRITE_ONCE(vol->hand, HCV_HAND_HALTING);
	ret = hcv_vol_hold(vol, HAND_HALT_MS, extack);
	WRITE_ONCE(vol->hand, ret ? HCV_HAND_NONE : HCV_HAND_HALTED);
	return ret;
}

int hcv_vol_hand_halt(struct hcv_vol *vol, struct netlink_ext_ack *extack)
{
	int ret;

	mutex_lock(&vol->life_mutex);
	mutex_lock(&vol->mutex);
	ret = hcv_vol_alive(vol, extack);
	mutex_unlock(&vol->mutex);
	if (ret || vol->hand == HCV_HAND_HALTED)
		goto out;
	ret = -EINVAL;
	if (vol->state == HCV_VOL_ACTIVE)
		ret = vol_hand_halt(vol, extack);
	else
		NL_SET_ERR_MSG(extack, "the volume is not active");
out:
	mutex_unlock(&vol->life_mutex);
	return ret;
}

/* life_mutex held: who comes after this finds it failed, and resumes nothing. */
static int vol_hand_let_go(struct hcv_vol *vol, struct netlink_ext_ack *extack)
{
	if (vol->hand != HCV_HAND_HALTED) {
		NL_SET_ERR_MSG(extack, "the volume is not halted for a hand-over");
		return -EINVAL;
	}
	if (!hcv_vol_unlist(vol)) {
		NL_SET_ERR_MSG(extack, "a stop with force came meanwhile");
		return -ENODEV;
	}
	hcv_vol_info(vol, "handed over to another node; all I/O fails\n");
	hcv_vol_fail(vol, HCV_VOL_ZOMBIE);
	return 0;
}

int hcv_vol_hand_let_go(struct hcv_vol *vol, struct netlink_ext_ack *extack)
{
	int ret;

	mutex_lock(&vol->life_mutex);
	ret = vol_hand_let_go(vol, extack);
	mutex_unlock(&vol->life_mutex);
	if (ret)
		return ret;
	hcv_vol_set_dying(vol);
	hcv_vol_wind_down(vol);
	WRITE_ONCE(vol->handed, true);
	/* Pairs with hcv_vol_closed(). */
	smp_mb();
	if (!atomic_read(&vol->openers) && xchg(&vol->handed, false))
		hcv_vol_zombie(vol);
	return 0;
}

u32 hcv_vol_shown_flags(struct hcv_vol *vol)
{
	u8 hand = READ_ONCE(vol->hand);

	return READ_ONCE(vol->flags) |
	       (hand == HCV_HAND_PREPARED &&
		READ_ONCE(vol->state) == HCV_VOL_NEW ? HCV_VOL_F_PREPARED : 0) |
	       (hand == HCV_HAND_HALTED ? HCV_VOL_F_HANDOVER : 0);
}

void hcv_vol_closed(struct hcv_vol *vol)
{
	/* Pairs with hcv_vol_hand_let_go(): one of us finds it closed. */
	if (atomic_dec_and_test(&vol->openers) && xchg(&vol->handed, false))
		hcv_vol_zombie(vol);
}
