// SPDX-License-Identifier: GPL-2.0-only
/*
 * DISCARD and WRITE ZEROES: changes of the map alone, mib by mib, in process
 * context.  What they change reaches the media with the next FLUSH, like any
 * write.  A partial block at either end of WRITE ZEROES is a small write of
 * zeroes; of DISCARD it is left alone.
 *
 * What it waits for, busy bits, the log, space, memory, it waits for as a write does,
 * parked, and goes on at io->at: no worker is held meanwhile.
 *
 * A slot is freed only under the busy bits of its whole mib: a write
 * in flight to another block of it must find it where it is.
 */
#include <linux/ktime.h>
#include <linux/slab.h>

#include "actlog.h"
#include "hotslot.h"
#include "io.h"
#include "rw.h"
#include "volume.h"

static struct workqueue_struct *zero_wq;

struct zero_part {
	struct hcv_io io;
	struct bio_vec bv;
};

static void zero_part_done(struct hcv_io *io)
{
	struct zero_part *part = container_of(io, struct zero_part, io);
	struct hcv_io *parent = io->parent;
	blk_status_t status = io->status;

	parent->at += io->len;
	kfree(part);
	if (status)
		hcv_io_end(parent, status);
	else
		hcv_io_again(parent);
}

/* Write @len zero bytes at io->at, all in one block; then @io goes on. */
static void zero_partial(struct hcv_io *io, u32 len)
{
	struct bvec_iter iter = { .bi_size = len };
	struct zero_part *part;

	part = kzalloc(sizeof(*part), GFP_NOIO);
	if (!part) {
		hcv_io_park(io, HCV_WAIT_MEMORY);
		return;
	}
	part->bv.bv_page = ZERO_PAGE(0);
	part->bv.bv_len = len;
	hcv_io_init(&part->io, io->vol, HCV_IO_WRITE, io->at, len, &part->bv,
		    &iter);
	part->io.parent = io;
	part->io.done = zero_part_done;
	/* Whatever that one waits for, it takes its own reference. */
	hcv_io_release(io);
	hcv_io_submit(&part->io);
}

/* Whether nothing was ever written there, nor is at this moment. */
static bool zero_is_absent(struct hcv_io *io)
{
	struct hcv_mibent *ent;
	struct hcv_leaf *leaf;
	bool absent = true;

	rcu_read_lock();
	leaf = hcv_map_leaf(&io->vol->map, io->mib);
	if (leaf) {
		ent = &leaf->ent[io->mib % HCV_LEAF_MIBS];
		absent = !rcu_dereference(ent->hot);
		/* In that order: a write that has ended left its slot. */
		smp_rmb();
		absent = absent && !rcu_dereference(ent->slot);
	}
	rcu_read_unlock();
	return absent;
}

void hcv_zero_reap(struct hcv_vol *vol, u32 mib)
{
	struct hcv_hot *hot;

	if (!(vol->flags & HCV_VOL_F_READONLY) &&
	    hcv_map_is_empty(&vol->map, mib) &&
	    hcv_hot_lock_once(vol, mib, 0, HCV_SLOT_BLOCKS, &hot)) {
		hcv_map_reap(&vol->map, mib);
		hcv_hot_unlock(vol, hot, 0, HCV_SLOT_BLOCKS);
	}
}

/* Whole blocks of one mib, io->blk and nblk; false: parked or ended. */
static bool zero_mib(struct hcv_io *io)
{
	struct hcv_vol *vol = io->vol;
	int ret;

	if (zero_is_absent(io))
		return true;
	if (hcv_rw_lock(io))
		return false;
	hcv_map_mark(&vol->map, io->leaf, io->mib);
	if (vol->flags & HCV_VOL_F_LOG &&
	    !hcv_map_logged(io->leaf, io->mib)) {
		hcv_actlog_wait(io);
		return false;
	}
	ret = hcv_map_clear(&vol->map, io->mib, io->blk, io->nblk,
			    io->op == HCV_IO_DISCARD, GFP_NOIO);
	hcv_map_mark(&vol->map, io->leaf, io->mib);
	if (ret) {
		hcv_rw_no_slot(io, ret);
		return false;
	}
	hcv_io_unlock(io);
	/*
	 * In use again, or by others: a later discard will see to it.  The log
	 * need not name it any more: a slot without data makes no difference.
	 */
	hcv_zero_reap(vol, io->mib);
	return true;
}

/* One piece, from io->at on, up to @end; false: hands off. */
static bool zero_piece(struct hcv_io *io, u64 end)
{
	u32 off = io->at & (HCV_BLOCK_SIZE - 1);
	u64 next;

	if (off || end - io->at < HCV_BLOCK_SIZE) {
		u32 len = min_t(u64, end - io->at, HCV_BLOCK_SIZE - off);

		if (io->op == HCV_IO_ZEROES) {
			zero_partial(io, len);
			return false;
		}
		io->at += len;
		return true;
	}
	next = min(round_down(end, HCV_BLOCK_SIZE),
		   round_down(io->at, HCV_SLOT_SIZE) + HCV_SLOT_SIZE);
	/* Unchanged when it comes back with busy bits. */
	io->mib = io->at >> HCV_SLOT_SHIFT;
	io->blk = (io->at & (HCV_SLOT_SIZE - 1)) >> HCV_BLOCK_SHIFT;
	io->nblk = (next - io->at) >> HCV_BLOCK_SHIFT;
	if (!zero_mib(io))
		return false;
	io->at = next;
	return true;
}

static void zero_fn(struct work_struct *work)
{
	struct hcv_io *io = container_of(work, struct hcv_io, work);
	u64 end = io->pos + io->len;

	while (io->at < end) {
		if (!zero_piece(io, end))
			return;
		cond_resched();
	}
	if (io->flags & HCV_IO_FUA)
		hcv_commit_join(io);
	else
		hcv_io_ack(io, ktime_get_boottime_ns());
}

void hcv_zero_submit(struct hcv_io *io)
{
	if (io->flags & HCV_IO_NOWAIT) {
		hcv_io_end(io, BLK_STS_AGAIN);
		return;
	}
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
