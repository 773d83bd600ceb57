// SPDX-License-Identifier: GPL-2.0-only
/*
 * DISCARD and WRITE ZEROES: changes of the map alone, mib by mib, in process
 * context.  What they change reaches the media with the next FLUSH, like any
 * write.  A partial block at either end of WRITE ZEROES is a small write of
 * zeroes; of DISCARD it is left alone.
 *
 * A slot is freed only under the busy bits of its whole mib: a write
 * in flight to another block of it must find it where it is.
 */
#include <linux/completion.h>
#include <linux/ktime.h>
#include <linux/slab.h>

#include "hotslot.h"
#include "io.h"
#include "rw.h"
#include "volume.h"

static struct workqueue_struct *zero_wq;

struct zero_part {
	struct hcv_io io;
	struct completion done;
};

static void zero_part_done(struct hcv_io *io)
{
	struct zero_part *part = container_of(io, struct zero_part, io);

	complete(&part->done);
}

/* Write @len zero bytes at @pos, all in one block. */
static int zero_partial(struct hcv_io *io, u64 pos, u32 len)
{
	struct bio_vec bv = { .bv_page = ZERO_PAGE(0), .bv_len = len };
	struct bvec_iter iter = { .bi_size = len };
	struct zero_part *part;
	int ret;

	part = kzalloc(sizeof(*part), GFP_NOIO);
	if (!part)
		return -ENOMEM;
	init_completion(&part->done);
	hcv_io_init(&part->io, io->vol, HCV_IO_WRITE, pos, len, &bv, &iter);
	part->io.done = zero_part_done;
	hcv_io_submit(&part->io);
	wait_for_completion(&part->done);
	ret = blk_status_to_errno(part->io.status);
	kfree(part);
	return ret;
}

static void zero_mark(struct hcv_vol *vol, u32 mib)
{
	struct hcv_leaf *leaf;

	rcu_read_lock();
	leaf = hcv_map_leaf(&vol->map, mib);
	if (leaf)
		hcv_map_mark(&vol->map, leaf, mib);
	rcu_read_unlock();
}

/*
 * The I/O as a whole holds no reference, each of its steps takes one: the
 * volume may be suspended between two of them.
 */
static int zero_clear(struct hcv_io *io, u32 mib, u32 blk, u32 nr)
{
	struct hcv_vol *vol = io->vol;
	bool discard = io->op == HCV_IO_DISCARD;
	struct hcv_ioref *ref;
	struct hcv_hot *hot;
	int ret;

	ret = hcv_vol_enter(vol, NULL, &ref);
	if (ret)
		return ret;
	ret = hcv_hot_lock_sync(vol, mib, blk, nr, NULL, &hot);
	if (ret)
		goto out;
	zero_mark(vol, mib);
	ret = hcv_map_clear(&vol->map, mib, blk, nr, discard, GFP_NOIO);
	zero_mark(vol, mib);
	hcv_hot_unlock(vol, hot, blk, nr);
	if (ret || !hcv_map_is_empty(&vol->map, mib))
		goto out;
	/* In use again, or by others: a later discard will see to it. */
	if (!hcv_hot_lock_once(vol, mib, 0, HCV_SLOT_BLOCKS, &hot))
		goto out;
	hcv_map_reap(&vol->map, mib);
	hcv_hot_unlock(vol, hot, 0, HCV_SLOT_BLOCKS);
out:
	hcv_vol_leave(ref);
	return ret;
}

static void zero_wait_extent(struct hcv_vol *vol, u32 col, u32 seq)
{
	hcv_vol_want_extent(vol, col);
	wait_event_timeout(vol->wait,
			   READ_ONCE(vol->kick_seq) != seq ||
			   READ_ONCE(vol->failed), HZ);
}

/* Whole blocks of one mib; waits for space as a write does. */
static int zero_mib(struct hcv_io *io, u32 mib, u32 blk, u32 nr)
{
	struct hcv_vol *vol = io->vol;
	u32 col = mib % vol->stripe, seq;
	int ret;

	for (;;) {
		seq = READ_ONCE(vol->kick_seq);
		ret = zero_clear(io, mib, blk, nr);
		if (ret != -ENOSPC || READ_ONCE(vol->no_space) & BIT(col))
			return ret;
		if (READ_ONCE(vol->failed))
			return -EIO;
		zero_wait_extent(vol, col, seq);
	}
}

static int zero_run(struct hcv_io *io)
{
	u64 pos = io->pos, end = io->pos + io->len;
	int ret = 0;

	while (pos < end && !ret) {
		u64 next = min(end, round_down(pos, HCV_SLOT_SIZE) +
				    HCV_SLOT_SIZE);
		u64 first = round_up(pos, HCV_BLOCK_SIZE);
		u64 last = round_down(next, HCV_BLOCK_SIZE);

		if (io->op == HCV_IO_ZEROES && pos < min(first, next))
			ret = zero_partial(io, pos, min(first, next) - pos);
		if (!ret && first < last)
			ret = zero_mib(io, first >> HCV_SLOT_SHIFT,
				       (first & (HCV_SLOT_SIZE - 1)) >>
				       HCV_BLOCK_SHIFT,
				       (last - first) >> HCV_BLOCK_SHIFT);
		if (!ret && io->op == HCV_IO_ZEROES && last < next &&
		    last >= first)
			ret = zero_partial(io, last, next - last);
		pos = next;
		cond_resched();
	}
	return ret;
}

static void zero_end(struct hcv_io *io, int err)
{
	if (err)
		hcv_io_end(io, hcv_io_errno_status(err));
	else if (io->flags & HCV_IO_FUA)
		hcv_commit_join(io);
	else
		hcv_io_ack(io, ktime_get_boottime_ns());
}

static void zero_fn(struct work_struct *work)
{
	struct hcv_io *io = container_of(work, struct hcv_io, work);

	zero_end(io, zero_run(io));
}

void hcv_zero_submit(struct hcv_io *io)
{
	if (io->flags & HCV_IO_NOWAIT) {
		hcv_io_end(io, BLK_STS_AGAIN);
		return;
	}
	hcv_io_release(io);
	INIT_WORK(&io->work, zero_fn);
	queue_work(zero_wq, &io->work);
}

int hcv_zero_init(void)
{
	zero_wq = alloc_workqueue("hcivol-zero", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return zero_wq ? 0 : -ENOMEM;
}

void hcv_zero_exit(void)
{
	destroy_workqueue(zero_wq);
}
