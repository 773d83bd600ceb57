// SPDX-License-Identifier: GPL-2.0-only
/*
 * Submitting, parking and ending I/Os.  See io.h.
 */
#include "io.h"

#include <linux/ktime.h>

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

void hcv_io_unlock(struct hcv_io *io)
{
	if (!(io->flags & HCV_IO_BUSY))
		return;
	io->flags &= ~HCV_IO_BUSY;
	hcv_hot_unlock(io->vol, io->hot, io->blk, io->nblk);
}

void hcv_io_release(struct hcv_io *io)
{
	struct hcv_ioref *ref = io->ref;

	hcv_io_unlock(io);
	if (ref) {
		io->ref = NULL;
		percpu_ref_put(&ref->ref);
	}
}

void hcv_io_end_at(struct hcv_io *io, blk_status_t status, s64 now_ns)
{
	if (unlikely(io->flags & HCV_IO_BOUNCED))
		hcv_rmw_free(io);
	if (unlikely(io->flags & HCV_IO_UNSURE)) {
		io->flags &= ~HCV_IO_UNSURE;
		atomic_dec(&io->vol->nr_unsure);
	}
	io->status = status;
	if (likely(io->flags & HCV_IO_COUNTED))
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
	hcv_vol_queue_kick(vol);
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

/*
 * The right to acknowledge.
 *
 * A write is on all replicas that count (I3) if, at one moment after its legs
 * have ended, no link is FAILING or LOST, and no such link came back since its
 * legs were chosen; one load of vol->ack_gate tells both.  Why that is enough:
 *
 *  - A link that a leg failed on closed the gate, in hcv_link_fail(), before the
 *    leg was counted as ended, and it opens when the link is OUT of the set by
 *    the agent's word, or back.  OUT: the copy that left may lack the write.
 *  - A link without a leg was not writable when its state was read, thus OUT,
 *    FAILING or LOST.  link_set_state() closes the gate before it shows the
 *    latter two, so that we find it closed, or opened later: OUT, or back.
 *  - A link that is back changed its state first and the gate's count after: an
 *    I/O that read the new count, which it does before it reads any
 *    state, found the link writable; any other one finds the count changed here.
 *
 * Once it has the right a write is LANDED: the map learns of it, and from then on
 * only the gate and the lease (I5) count, as for a FLUSH, whose round has seen
 * all links: one that is lost afterwards and comes back, being of the same
 * incarnation, has kept what it had.
 */
enum io_verdict {
	IO_ACK,
	IO_HOLD,
	IO_AGAIN,
	IO_FAIL
};

static enum io_verdict io_verdict(const struct hcv_io *io, s64 now)
{
	struct hcv_vol *vol = io->vol;
	/* Pairs with link_set_state(): what came before the opening is seen. */
	u32 gate = smp_load_acquire(&vol->ack_gate);

	if (unlikely(READ_ONCE(vol->failed)))
		return IO_FAIL;
	if (unlikely(gate & HCV_ACK_CLOSED))
		return IO_HOLD;
	if (unlikely(io->op == HCV_IO_WRITE && !(io->flags & HCV_IO_LANDED) &&
		     gate != io->ack_gate))
		return IO_AGAIN;
	if (unlikely(now >= READ_ONCE(vol->lease_end_ns)))
		return IO_HOLD;
	return IO_ACK;
}

bool hcv_io_same_links(const struct hcv_io *io)
{
	/* Pairs with link_set_state(); closed, it is another number as well. */
	return smp_load_acquire(&io->vol->ack_gate) == io->ack_gate;
}

/* Wait for the gate or the lease, unless they are open by now. */
static enum io_verdict io_hold(struct hcv_io *io)
{
	struct hcv_vol *vol = io->vol;
	enum io_verdict verdict;
	unsigned long flags;

	if (!io->wait_ns)
		io->wait_ns = ktime_get_boottime_ns();
	spin_lock_irqsave(&vol->lock, flags);
	/* Who opens the gate or renews the lease holds the lock, then kicks. */
	verdict = io_verdict(io, ktime_get_boottime_ns());
	if (verdict == IO_HOLD) {
		io->wait = vol->ack_gate & HCV_ACK_CLOSED ? HCV_WAIT_CONFIRM :
							    HCV_WAIT_LEASE;
		list_add_tail(&io->node, &vol->acks);
	}
	spin_unlock_irqrestore(&vol->lock, flags);
	return verdict;
}

void hcv_io_ack(struct hcv_io *io, s64 now)
{
	enum io_verdict verdict = io_verdict(io, now);

	/* It may end with an error from there, without another look here. */
	if (unlikely(verdict != IO_ACK) && io->op == HCV_IO_WRITE &&
	    !(io->flags & HCV_IO_LANDED))
		hcv_rw_unsure(io);
	if (unlikely(verdict == IO_HOLD))
		verdict = io_hold(io);
	switch (verdict) {
	case IO_ACK:
		break;
	case IO_HOLD:
		return;
	case IO_AGAIN:
		hcv_io_again(io);
		return;
	case IO_FAIL:
		hcv_io_end(io, BLK_STS_IOERR);
		return;
	}
	if (io->op == HCV_IO_WRITE && !(io->flags & HCV_IO_LANDED)) {
		hcv_rw_landed(io);
		io->flags |= HCV_IO_LANDED;
		if (io->flags & HCV_IO_FUA) {
			hcv_commit_join(io);
			return;
		}
	}
	hcv_io_end_at(io, BLK_STS_OK, now);
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
	/* Before any link's state: see io_verdict(). */
	io->ack_gate = smp_load_acquire(&vol->ack_gate) & ~HCV_ACK_CLOSED;
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
		hcv_io_park(io, READ_ONCE(vol->hand) ? HCV_WAIT_HANDOVER :
						       HCV_WAIT_SUSPEND);
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
