// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O that does not cover whole blocks, in process context.
 *
 * A write takes the busy bits of all blocks it touches, reads the blocks at its
 * two ends, and becomes a write of whole blocks: end block, the
 * parent's own vectors for the middle, end block.  A read that the device's
 * sectors do not allow, or that is spread over several slots, reads the
 * blocks one by one.  Buffers come from pools, one bounce object an I/O, so that
 * memory reclaim through this disk goes on.
 */
#include <linux/highmem.h>
#include <linux/ktime.h>
#include <linux/mempool.h>
#include <linux/slab.h>

#include "io.h"
#include "rw.h"
#include "volume.h"

#define RMW_POOL	16
/* The front's limit of segments, each at most split in two at the ends. */
#define RMW_VECS	(BIO_MAX_VECS + 2)

struct rmw_bounce {
	struct bio_vec *bv;
	struct bvec_iter iter;
	void *head;
	void *tail;
	struct bio_vec table[RMW_VECS];
};

static mempool_t rmw_bounces;
static mempool_t rmw_pages;
static struct kmem_cache *rmw_cache;
static struct workqueue_struct *rmw_wq;

void hcv_rmw_free(struct hcv_io *io)
{
	struct rmw_bounce *b = container_of(io->bv, struct rmw_bounce,
					    table[0]);

	io->bv = b->bv;
	io->iter = b->iter;
	io->flags &= ~HCV_IO_BOUNCED;
	if (b->head)
		mempool_free(b->head, &rmw_pages);
	if (b->tail)
		mempool_free(b->tail, &rmw_pages);
	mempool_free(b, &rmw_bounces);
}

/* Content of one block as it is now, from the first replica that gives it. */
static int rmw_read_block(struct hcv_io *io, u32 blk, void *buf)
{
	struct hcv_vol *vol = io->vol;
	struct hcv_run run = {};
	struct hcv_leaf *leaf;

	rcu_read_lock();
	leaf = hcv_map_leaf(&vol->map, io->mib);
	if (leaf)
		hcv_map_resolve(&leaf->ent[io->mib % HCV_LEAF_MIBS], blk, 1,
				&run);
	rcu_read_unlock();
	if (run.slot)
		return hcv_ext_read(vol, hcv_map_slot_ext(run.slot),
				    hcv_slot_sector(run.slot->rec, blk), buf,
				    HCV_BLOCK_SIZE);
	memset(buf, 0, HCV_BLOCK_SIZE);
	return 0;
}

/* Copy between a block's buffer and the parent's data at byte @off of it. */
static void rmw_copy(struct bio_vec *vec, struct bvec_iter iter, u32 off,
		     void *buf, u32 len, bool to_parent)
{
	struct bio_vec bv;

	bvec_iter_advance(vec, &iter, off);
	iter.bi_size = len;
	for_each_bvec(bv, vec, iter, iter) {
		if (to_parent)
			memcpy_to_bvec(&bv, buf);
		else
			memcpy_from_bvec(buf, &bv);
		buf += bv.bv_len;
	}
}

static void rmw_add(struct rmw_bounce *b, u32 *n, struct page *page, u32 len,
		    u32 off)
{
	struct bio_vec *bv = &b->table[(*n)++];

	bv->bv_page = page;
	bv->bv_len = len;
	bv->bv_offset = off;
}

/* Old content of a partly written end block with the new bytes in it. */
static int rmw_end_block(struct hcv_io *io, struct rmw_bounce *b, u32 blk,
			 u32 off, u32 len, u32 parent_off, void **page)
{
	int ret;

	*page = mempool_alloc(&rmw_pages, GFP_NOIO);
	ret = rmw_read_block(io, blk, *page);
	if (!ret)
		rmw_copy(b->bv, b->iter, parent_off, *page + off, len, false);
	return ret;
}

static int rmw_build(struct hcv_io *io, struct rmw_bounce *b)
{
	u32 head_off = io->pos & (HCV_BLOCK_SIZE - 1);
	u32 head_len = min_t(u32, io->len, HCV_BLOCK_SIZE - head_off);
	u32 tail_len = (io->pos + io->len) & (HCV_BLOCK_SIZE - 1);
	struct bvec_iter iter;
	struct bio_vec bv;
	u32 n = 0;
	int ret;

	if (io->nblk == 1)
		tail_len = 0;
	else if (!head_off)
		head_len = 0;
	if (head_len) {
		ret = rmw_end_block(io, b, io->blk, head_off, head_len, 0,
				    &b->head);
		if (ret)
			return ret;
		rmw_add(b, &n, virt_to_page(b->head), HCV_BLOCK_SIZE, 0);
	}
	iter = b->iter;
	bvec_iter_advance(b->bv, &iter, head_len);
	iter.bi_size = io->len - head_len - tail_len;
	while (iter.bi_size) {
		/* Whole segments: a front gives at most BIO_MAX_VECS. */
		bv = mp_bvec_iter_bvec(b->bv, iter);
		if (n >= RMW_VECS - 1)
			return -EINVAL;
		rmw_add(b, &n, bv.bv_page, bv.bv_len, bv.bv_offset);
		bvec_iter_advance(b->bv, &iter, bv.bv_len);
	}
	if (tail_len) {
		ret = rmw_end_block(io, b, io->blk + io->nblk - 1, 0, tail_len,
				    io->len - tail_len, &b->tail);
		if (ret)
			return ret;
		rmw_add(b, &n, virt_to_page(b->tail), HCV_BLOCK_SIZE, 0);
	}
	return 0;
}

static void rmw_write(struct hcv_io *io)
{
	struct rmw_bounce *b;
	int ret;

	if (hcv_rw_prepare(io))
		return;
	b = mempool_alloc(&rmw_bounces, GFP_NOIO);
	b->bv = io->bv;
	b->iter = io->iter;
	b->head = NULL;
	b->tail = NULL;
	ret = rmw_build(io, b);
	io->bv = b->table;
	io->iter = (struct bvec_iter) {
		.bi_size = (u32)io->nblk << HCV_BLOCK_SHIFT,
	};
	io->flags |= HCV_IO_BOUNCED;
	/* The reads are over: from here on it is the replicas' latency. */
	io->run_ns = ktime_get_boottime_ns();
	if (!ret)
		hcv_rw_submit_write(io);
	else if (ret == -ENOLINK)
		hcv_io_park(io, HCV_WAIT_REPLICA);
	else
		hcv_io_end(io, hcv_io_errno_status(ret));
}

static void rmw_read(struct hcv_io *io)
{
	void *page = mempool_alloc(&rmw_pages, GFP_NOIO);
	u32 done = 0;
	int ret = 0;

	while (done < io->len) {
		u64 pos = io->pos + done;
		u32 off = pos & (HCV_BLOCK_SIZE - 1);
		u32 len = min_t(u32, io->len - done, HCV_BLOCK_SIZE - off);
		u32 blk = (pos & (HCV_SLOT_SIZE - 1)) >> HCV_BLOCK_SHIFT;

		/* It may have waited for long since it was looked at. */
		if ((s64)ktime_get_boottime_ns() >=
		    READ_ONCE(io->vol->lease_end_ns))
			ret = -ESTALE;
		else
			ret = rmw_read_block(io, blk, page);
		if (ret)
			break;
		rmw_copy(io->bv, io->iter, done, page + off, len, true);
		done += len;
	}
	mempool_free(page, &rmw_pages);
	if (ret == -ESTALE)
		hcv_io_park(io, HCV_WAIT_LEASE);
	else if (ret == -ENOLINK)
		hcv_io_park(io, HCV_WAIT_REPLICA);
	else
		hcv_io_end(io, hcv_io_errno_status(ret));
}

static void rmw_fn(struct work_struct *work)
{
	struct hcv_io *io = container_of(work, struct hcv_io, work);

	if (io->op == HCV_IO_WRITE)
		rmw_write(io);
	else
		rmw_read(io);
}

void hcv_rmw_submit(struct hcv_io *io)
{
	/* Nothing below may answer EAGAIN any more: data may be half read. */
	io->flags &= ~HCV_IO_NOWAIT;
	INIT_WORK(&io->work, rmw_fn);
	queue_work(rmw_wq, &io->work);
}

int hcv_rmw_init(void)
{
	int ret;

	rmw_cache = KMEM_CACHE(rmw_bounce, 0);
	if (!rmw_cache)
		return -ENOMEM;
	ret = mempool_init_slab_pool(&rmw_bounces, RMW_POOL, rmw_cache);
	if (ret)
		goto err_cache;
	ret = mempool_init_kmalloc_pool(&rmw_pages, 2 * RMW_POOL,
					HCV_BLOCK_SIZE);
	if (ret)
		goto err_bounces;
	rmw_wq = alloc_workqueue("hcivol-rmw", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!rmw_wq) {
		ret = -ENOMEM;
		goto err_pages;
	}
	return 0;

err_pages:
	mempool_exit(&rmw_pages);
err_bounces:
	mempool_exit(&rmw_bounces);
err_cache:
	kmem_cache_destroy(rmw_cache);
	return ret;
}

void hcv_rmw_exit(void)
{
	destroy_workqueue(rmw_wq);
	mempool_exit(&rmw_pages);
	mempool_exit(&rmw_bounces);
	kmem_cache_destroy(rmw_cache);
}
