// SPDX-License-Identifier: GPL-2.0-only
/*
 * Submitting, parking and ending I/Os.  See io.h.
 */
#include "io.h"

#include <linux/ktime.h>

#include "hotslot.h"
#include "rw.h"
#include "trace.h"
#include "volume.h"

blk_status_t hcv_io_errno_status(int err)
{
	switch (err) {
	case 0:
		return BLK_STS_OK;
	case -ENOSPC:
		return BLK_STS_NOSPC;
	case -EAGAIN:
		return BLK_STS_AGAIN;
	case -ETIMEDOUT:
		return BLK_STS_TIMEOUT;
	case -ENOMEM:
		return BLK_STS_RESOURCE;
	default:
		return BLK_STS_IOERR;
	}
}

void hcv_io_release(struct hcv_io *io)
{
	struct hcv_ioref *ref = io->ref;

	if (io->flags & HCV_IO_BUSY) {
		io->flags &= ~HCV_IO_BUSY;
		hcv_hot_unlock(io->vol, io->hot, io->blk, io->nblk);
	}
	if (ref) {
		io->ref = NULL;
		percpu_ref_put(&ref->ref);
	}
}

void hcv_io_end_at(struct hcv_io *io, blk_status_t status, s64 now_ns)
{
	if (unlikely(io->flags & HCV_IO_BOUNCED))
		hcv_rmw_free(io);
	io->status = status;
	hcv_stats_end(io->vol->stats, io->op, io->len,
		      now_ns - (s64)io->start_ns, status);
	trace_hcv_io_end(io, now_ns);
	hcv_io_release(io);
	io->done(io);
}

void hcv_io_end(struct hcv_io *io, blk_status_t status)
{
	hcv_io_end_at(io, status, ktime_get_boottime_ns());
}

/* Put @io on the list of those to be submitted again; vol->lock held. */
static void io_again_locked(struct hcv_vol *vol, struct hcv_io *io)
{
	list_add_tail(&io->node, &vol->again);
	queue_work(hcv_wq, &vol->kick_work);
}

void hcv_io_again(struct hcv_io *io)
{
	struct hcv_vol *vol = io->vol;
	unsigned long flags;

	if (unlikely(io->flags & HCV_IO_BOUNCED))
		hcv_rmw_free(io);
	hcv_io_release(io);
	spin_lock_irqsave(&vol->lock, flags);
	io_again_locked(vol, io);
	spin_unlock_irqrestore(&vol->lock, flags);
}

void hcv_io_again_list(struct list_head *list)
{
	struct hcv_io *io, *tmp;

	list_for_each_entry_safe(io, tmp, list, node) {
		list_del(&io->node);
		hcv_io_again(io);
	}
}

void hcv_io_park(struct hcv_io *io, u8 wait)
{
	struct hcv_vol *vol = io->vol;
	unsigned long flags;
	bool failed;

	if (io->flags & HCV_IO_NOWAIT) {
		hcv_io_end(io, BLK_STS_AGAIN);
		return;
	}
	if (unlikely(io->flags & HCV_IO_BOUNCED))
		hcv_rmw_free(io);
	hcv_io_release(io);
	io->tried = 0;
	io->wait = wait;
	if (!io->wait_ns)
		io->wait_ns = ktime_get_boottime_ns();
	spin_lock_irqsave(&vol->lock, flags);
	failed = vol->failed;
	if (failed)
		;
	else if (io->kick_seq != vol->kick_seq)
		io_again_locked(vol, io);
	else
		list_add_tail(&io->node, &vol->held);
	spin_unlock_irqrestore(&vol->lock, flags);
	if (failed)
		hcv_io_end(io, BLK_STS_IOERR);
}

bool hcv_io_hold_ack(struct hcv_io *io)
{
	struct hcv_vol *vol = io->vol;
	unsigned long flags;
	bool hold;

	io->wait = HCV_WAIT_CONFIRM;
	if (!io->wait_ns)
		io->wait_ns = ktime_get_boottime_ns();
	spin_lock_irqsave(&vol->lock, flags);
	hold = !vol->failed && !hcv_vol_ack_ok(vol, ktime_get_boottime_ns());
	if (hold)
		list_add_tail(&io->node, &vol->acks);
	spin_unlock_irqrestore(&vol->lock, flags);
	return hold;
}

void hcv_io_submit(struct hcv_io *io)
{
	struct hcv_vol *vol = io->vol;
	struct hcv_ioref *ref;

	/* Pairs with hcv_vol_kick(): what changed is seen, or the sequence. */
	io->kick_seq = smp_load_acquire(&vol->kick_seq);
	io->run_ns = ktime_get_boottime_ns();
	if (!io->start_ns)
		io->start_ns = io->run_ns;
	if (unlikely(READ_ONCE(vol->failed))) {
		hcv_io_end(io, BLK_STS_IOERR);
		return;
	}
	if (unlikely(vol->flags & HCV_VOL_F_READONLY) &&
	    io->op != HCV_IO_READ && io->op != HCV_IO_FLUSH) {
		hcv_io_end(io, BLK_STS_IOERR);
		return;
	}
	rcu_read_lock();
	ref = rcu_dereference(vol->ref);
	if (unlikely(!ref || !percpu_ref_tryget_live(&ref->ref))) {
		rcu_read_unlock();
		hcv_io_park(io, HCV_WAIT_SUSPEND);
		return;
	}
	rcu_read_unlock();
	io->ref = ref;
	switch (io->op) {
	case HCV_IO_READ:
		hcv_rw_read(io);
		break;
	case HCV_IO_WRITE:
		hcv_rw_write(io);
		break;
	case HCV_IO_FLUSH:
		hcv_commit_join(io);
		break;
	default:
		hcv_zero_submit(io);
		break;
	}
}
