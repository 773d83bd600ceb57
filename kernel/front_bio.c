// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bio front: the shortest path.  A bio becomes an I/O from a pool; it keeps
 * its own accounting of requests.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/mempool.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "front.h"
#include "io.h"
#include "volume.h"

#define BIO_RESERVE	64

struct bio_io {
	unsigned long start_jif;
	struct hcv_io io;
};

static struct kmem_cache *bio_cache;
static mempool_t *bio_ios;

static void bio_start(struct bio_io *b, struct bio *bio);

static void bio_done(struct hcv_io *io)
{
	struct bio_io *b = container_of(io, struct bio_io, io);
	struct bio *bio = io->parent;

	/* The PREFLUSH of a bio with data is done: now the data. */
	if (unlikely(io->op == HCV_IO_FLUSH && bio_sectors(bio) &&
		     !io->status)) {
		bio->bi_opf &= ~REQ_PREFLUSH;
		bio_start(b, bio);
		hcv_io_again(io);
		return;
	}
	bio->bi_status = io->status;
	bio_end_io_acct(bio, b->start_jif);
	mempool_free(b, bio_ios);
	bio_endio(bio);
}

static u8 bio_op_of(struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return HCV_IO_READ;
	case REQ_OP_WRITE:
		return bio->bi_opf & REQ_PREFLUSH ? HCV_IO_FLUSH : HCV_IO_WRITE;
	case REQ_OP_FLUSH:
		return HCV_IO_FLUSH;
	case REQ_OP_DISCARD:
		return HCV_IO_DISCARD;
	case REQ_OP_WRITE_ZEROES:
		return HCV_IO_ZEROES;
	default:
		return HCV_IO_OPS;
	}
}

static void bio_start(struct bio_io *b, struct bio *bio)
{
	struct hcv_vol *vol = bio->bi_bdev->bd_disk->private_data;
	u8 op = bio_op_of(bio);

	hcv_io_init(&b->io, vol, op, (u64)bio->bi_iter.bi_sector << SECTOR_SHIFT,
		    op == HCV_IO_FLUSH ? 0 : bio->bi_iter.bi_size,
		    bio->bi_io_vec, &bio->bi_iter);
	b->io.parent = bio;
	b->io.done = bio_done;
	b->io.flags |= HCV_IO_COUNTED;
	if (bio->bi_opf & REQ_FUA)
		b->io.flags |= HCV_IO_FUA;
	if (bio->bi_opf & REQ_SYNC)
		b->io.flags |= HCV_IO_SYNC;
	if (bio->bi_opf & REQ_NOWAIT)
		b->io.flags |= HCV_IO_NOWAIT;
}

static void bio_submit(struct bio *bio)
{
	struct bio_io *b;

	bio = bio_split_to_limits(bio);
	if (!bio)
		return;
	if (bio_op_of(bio) == HCV_IO_OPS) {
		bio->bi_status = BLK_STS_NOTSUPP;
		bio_endio(bio);
		return;
	}
	if (!(bio->bi_opf & REQ_PREFLUSH) && !bio_sectors(bio)) {
		bio_endio(bio);
		return;
	}
	b = mempool_alloc(bio_ios, bio->bi_opf & REQ_NOWAIT ? GFP_NOWAIT :
							     GFP_NOIO);
	if (!b) {
		bio_wouldblock_error(bio);
		return;
	}
	bio_start(b, bio);
	b->start_jif = bio_start_io_acct(bio);
	hcv_io_submit(&b->io);
}

static const struct block_device_operations bio_fops = {
	.owner		= THIS_MODULE,
	.open		= hcv_front_open,
	.release	= hcv_front_release,
	.free_disk	= hcv_front_free_disk,
	.submit_bio	= bio_submit,
};

int hcv_bio_alloc(struct hcv_vol *vol)
{
	struct hcv_disk_limits limits;
	struct gendisk *disk;

	hcv_front_limits(vol, &limits);
	disk = hcv_compat_alloc_disk(&limits, NUMA_NO_NODE);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	disk->fops = &bio_fops;
	vol->disk = disk;
	return 0;
}

int hcv_bio_front_init(void)
{
	bio_cache = KMEM_CACHE(bio_io, SLAB_HWCACHE_ALIGN);
	if (!bio_cache)
		return -ENOMEM;
	bio_ios = mempool_create_slab_pool(BIO_RESERVE, bio_cache);
	if (bio_ios)
		return 0;
	kmem_cache_destroy(bio_cache);
	return -ENOMEM;
}

void hcv_bio_front_exit(void)
{
	mempool_destroy(bio_ios);
	kmem_cache_destroy(bio_cache);
}
