// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes that the last replica's disk refused, while others took them.
 *
 * The user is told of the error.  Who took the write must not keep it: copies that
 * differ would answer reads by chance, before and after a detach.  So before
 * the blocks are let go what the disk has there, old or new, is copied to
 * them.  If it cannot be read either, a copy that is not in-sync yet is given up
 * and begins its resync anew; one that is in-sync goes on, and is the only one
 * that answers reads of these blocks.
 */
#include <linux/mempool.h>
#include <linux/slab.h>

#include "io.h"
#include "volume.h"

#define SETTLE_POOL	2

static mempool_t settle_pages;
static struct workqueue_struct *settle_wq;

static bool settle_read(struct hcv_io *io, sector_t off, void *buf)
{
	struct hcv_ext *ext = hcv_map_slot_ext(io->slot);
	sector_t data;
	u32 i;

	for (i = 0; i < io->legs; i++) {
		struct hcv_link *link = io->leg[i].link;

		if (io->leg[i].bio.bi_status &&
		    READ_ONCE(link->state) == HCV_LINK_INSYNC &&
		    hcv_ext_place(ext, link, &data) &&
		    !hcv_link_rw(link, REQ_OP_READ | REQ_SYNC, data + off, buf,
				 HCV_BLOCK_SIZE))
			return true;
	}
	return false;
}

static void settle_write(struct hcv_io *io, sector_t off, void *buf)
{
	struct hcv_ext *ext = hcv_map_slot_ext(io->slot);
	sector_t data;
	u32 i;
	int ret;

	for (i = 0; i < io->legs; i++) {
		struct hcv_link *link = io->leg[i].link;

		if (io->leg[i].bio.bi_status)
			continue;
		ret = hcv_ext_place(ext, link, &data) ?
		      hcv_link_rw(link, REQ_OP_WRITE | REQ_SYNC, data + off,
				  buf, HCV_BLOCK_SIZE) : -ESTALE;
		/* One that left meanwhile changed the gate: see settle_fn(). */
		if (ret && ret != -ECANCELED)
			hcv_link_fail(link, -ret, "copy of a refused block");
	}
}

/*
 * Nobody can say what the disk has: no copy of it is one.  Return: whether a
 * copy was given up.
 */
static bool settle_give_up(struct hcv_io *io)
{
	bool any = false;
	u32 i;

	for (i = 0; i < io->legs; i++) {
		if (io->leg[i].bio.bi_status ||
		    READ_ONCE(io->leg[i].link->state) == HCV_LINK_INSYNC)
			continue;
		hcv_link_fail(io->leg[i].link, EIO,
			      "its source refused a block: write");
		any = true;
	}
	return any;
}

static void settle_fn(struct work_struct *work)
{
	struct hcv_io *io = container_of(work, struct hcv_io, work);
	struct hcv_map *map = &io->vol->map;
	void *page = mempool_alloc(&settle_pages, GFP_NOIO);
	bool given_up = false;
	u32 blk;

	for (blk = io->blk; blk < io->blk + io->nblk; blk++) {
		sector_t off = hcv_slot_sector(io->slot->rec, blk);

		/* One block that cannot be read says nothing of the next. */
		if (settle_read(io, off, page))
			settle_write(io, off, page);
		else
			given_up |= settle_give_up(io);
	}
	mempool_free(page, &settle_pages);
	/*
	 * A copy that failed here must not compare equal when it is back.  No round
	 * forgets the mark before that one is out; if it is out by now, the
	 * stamp is the new one.
	 */
	hcv_map_mark(map, io->leaf, io->mib);
	hcv_map_stamp(map, io->slot);
	/* A link failed or came back on the way: its blocks may differ again. */
	if (!given_up && !hcv_io_same_links(io))
		hcv_io_park(io, HCV_WAIT_REPLICA);
	else
		hcv_io_end(io, io->status);
}

void hcv_settle(struct hcv_io *io)
{
	u32 i;

	for (i = 0; i < io->legs && io->leg[i].bio.bi_status; i++)
		;
	if (i == io->legs) {
		hcv_io_end(io, io->status);
		return;
	}
	INIT_WORK(&io->work, settle_fn);
	queue_work(settle_wq, &io->work);
}

int hcv_settle_init(void)
{
	int ret;

	ret = mempool_init_kmalloc_pool(&settle_pages, SETTLE_POOL,
					HCV_BLOCK_SIZE);
	if (ret)
		return ret;
	settle_wq = alloc_workqueue("hcivol-settle",
				    WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (settle_wq)
		return 0;
	mempool_exit(&settle_pages);
	return -ENOMEM;
}

void hcv_settle_exit(void)
{
	destroy_workqueue(settle_wq);
	mempool_exit(&settle_pages);
}
