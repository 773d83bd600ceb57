/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between kernels 6.1 and 6.12, and nothing else.  No other file
 * mentions a kernel version.  Everything has the shape of 6.12; an entry goes
 * when the last kernel that needs it goes.
 */
#ifndef HCV_COMPAT_H
#define HCV_COMPAT_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/netlink.h>
#include <linux/version.h>
#include <net/genetlink.h>

#if !defined(HCV_ANY_KERNEL) && \
	(KERNEL_VERSION(6, 1, 0) > LINUX_VERSION_CODE || \
	 KERNEL_VERSION(6, 13, 0) <= LINUX_VERSION_CODE)
#error "hcivol supports kernels 6.1 to 6.12; HCV_ANY_KERNEL=1 tries others"
#endif

/* v6.9 f3a608827d1f bdev: open block devices as files */
#if KERNEL_VERSION(6, 9, 0) > LINUX_VERSION_CODE
#define HCV_COMPAT_BDEV_PUT
#endif

/**
 * struct hcv_compat_bdev - an exclusively opened block device
 */
struct hcv_compat_bdev {
	struct block_device *bdev;
	struct file *file;
};

/**
 * hcv_compat_bdev_open() - open @path for reading, writing and exclusively
 * @holder: address that stands for the opener
 *
 * Context: process, sleeps.
 */
static inline int hcv_compat_bdev_open(const char *path, void *holder,
				       struct hcv_compat_bdev *out)
{
#ifdef HCV_COMPAT_BDEV_PUT
	out->file = NULL;
	out->bdev = blkdev_get_by_path(path,
				       FMODE_READ | FMODE_WRITE | FMODE_EXCL,
				       holder);
	return PTR_ERR_OR_ZERO(out->bdev);
#else
	out->file = bdev_file_open_by_path(path, BLK_OPEN_READ | BLK_OPEN_WRITE,
					   holder, NULL);
	if (IS_ERR(out->file))
		return PTR_ERR(out->file);
	out->bdev = file_bdev(out->file);
	return 0;
#endif
}

static inline void hcv_compat_bdev_close(struct hcv_compat_bdev *dev)
{
#ifdef HCV_COMPAT_BDEV_PUT
	blkdev_put(dev->bdev, FMODE_READ | FMODE_WRITE | FMODE_EXCL);
#else
	bdev_fput(dev->file);
#endif
}

/*
 * v6.5 d32e2bf83791, ae220766d87c: ->open(disk, mode), ->release(disk).
 * The parameters of these operations, and what is in them.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define HCV_COMPAT_OPEN_ARGS	struct block_device *bdev, fmode_t mode
#define HCV_COMPAT_OPEN_DISK	(bdev->bd_disk)
#define HCV_COMPAT_OPEN_WRITE	(mode & FMODE_WRITE)
#define HCV_COMPAT_RELEASE_ARGS	struct gendisk *disk, fmode_t mode
#else
#define HCV_COMPAT_OPEN_ARGS	struct gendisk *disk, blk_mode_t mode
#define HCV_COMPAT_OPEN_DISK	(disk)
#define HCV_COMPAT_OPEN_WRITE	(mode & BLK_OPEN_WRITE)
#define HCV_COMPAT_RELEASE_ARGS	struct gendisk *disk
#endif

#define HCV_DISK_WRITE_CACHE	BIT(0)
#define HCV_DISK_FUA		BIT(1)
#define HCV_DISK_STABLE_WRITES	BIT(2)
#define HCV_DISK_NOWAIT		BIT(3)

/**
 * struct hcv_disk_limits - what a disk of ours says of itself
 * @block_bytes: logical block size
 * @phys_bytes: physical block size and smallest sensible I/O
 * @io_opt: optimal I/O size in bytes, 0: none
 * @max_hw_sectors: largest request, 0: the kernel's default
 * @chunk_sectors: boundary that no request crosses, 0: none
 * @max_segments: segments of a request, 0: the kernel's default
 * @discard_sectors: largest discard, 0: none
 * @discard_bytes: discard granularity
 * @zeroes_sectors: largest write zeroes, 0: none
 * @dma_mask: alignment mask of buffers, 0: the kernel's default
 * @virt_mask: segments but the first begin, and but the last end, at a multiple
 *	of this + 1 in memory; 0: anywhere
 * @flags: HCV_DISK_*
 */
struct hcv_disk_limits {
	u32 block_bytes;
	u32 phys_bytes;
	u32 io_opt;
	u32 max_hw_sectors;
	u32 chunk_sectors;
	u32 max_segments;
	u32 discard_sectors;
	u32 discard_bytes;
	u32 zeroes_sectors;
	u32 dma_mask;
	u32 virt_mask;
	u32 flags;
};

/* v6.9 74fa8f9c553f: blk_alloc_disk takes limits; v6.11 1122c0c1cc71: features */
#if KERNEL_VERSION(6, 11, 0) > LINUX_VERSION_CODE
static inline void hcv_compat_set_limits(struct request_queue *q,
					 const struct hcv_disk_limits *l)
{
	blk_queue_logical_block_size(q, l->block_bytes);
	blk_queue_physical_block_size(q, l->phys_bytes);
	blk_queue_io_min(q, l->phys_bytes);
	blk_queue_io_opt(q, l->io_opt);
	if (l->max_hw_sectors)
		blk_queue_max_hw_sectors(q, l->max_hw_sectors);
	if (l->chunk_sectors)
		blk_queue_chunk_sectors(q, l->chunk_sectors);
	if (l->max_segments)
		blk_queue_max_segments(q, l->max_segments);
	blk_queue_max_discard_sectors(q, l->discard_sectors);
	q->limits.discard_granularity = l->discard_bytes;
	blk_queue_max_write_zeroes_sectors(q, l->zeroes_sectors);
	if (l->dma_mask)
		blk_queue_dma_alignment(q, l->dma_mask);
	if (l->virt_mask)
		blk_queue_virt_boundary(q, l->virt_mask);
	blk_queue_write_cache(q, l->flags & HCV_DISK_WRITE_CACHE,
			      l->flags & HCV_DISK_FUA);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
	blk_queue_flag_clear(QUEUE_FLAG_ADD_RANDOM, q);
	if (l->flags & HCV_DISK_STABLE_WRITES)
		blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, q);
	if (l->flags & HCV_DISK_NOWAIT)
		blk_queue_flag_set(QUEUE_FLAG_NOWAIT, q);
}

static inline struct gendisk *
hcv_compat_alloc_disk(const struct hcv_disk_limits *l, int node)
{
	struct gendisk *disk = blk_alloc_disk(node);

	if (!disk)
		return ERR_PTR(-ENOMEM);
	hcv_compat_set_limits(disk->queue, l);
	return disk;
}

static inline struct gendisk *
hcv_compat_mq_alloc_disk(struct blk_mq_tag_set *set,
			 const struct hcv_disk_limits *l, void *queuedata)
{
	struct gendisk *disk = blk_mq_alloc_disk(set, queuedata);

	if (!IS_ERR(disk))
		hcv_compat_set_limits(disk->queue, l);
	return disk;
}
#else
static inline void hcv_compat_limits(const struct hcv_disk_limits *l,
				     struct queue_limits *lim)
{
	memset(lim, 0, sizeof(*lim));
	lim->logical_block_size = l->block_bytes;
	lim->physical_block_size = l->phys_bytes;
	lim->io_min = l->phys_bytes;
	lim->io_opt = l->io_opt;
	lim->max_hw_sectors = l->max_hw_sectors;
	lim->chunk_sectors = l->chunk_sectors;
	lim->max_segments = l->max_segments;
	lim->max_hw_discard_sectors = l->discard_sectors;
	lim->discard_granularity = l->discard_bytes;
	lim->max_write_zeroes_sectors = l->zeroes_sectors;
	lim->dma_alignment = l->dma_mask;
	lim->virt_boundary_mask = l->virt_mask;
	if (l->flags & HCV_DISK_WRITE_CACHE)
		lim->features |= BLK_FEAT_WRITE_CACHE;
	if (l->flags & HCV_DISK_FUA)
		lim->features |= BLK_FEAT_FUA;
	if (l->flags & HCV_DISK_STABLE_WRITES)
		lim->features |= BLK_FEAT_STABLE_WRITES;
	if (l->flags & HCV_DISK_NOWAIT)
		lim->features |= BLK_FEAT_NOWAIT;
}

/**
 * hcv_compat_alloc_disk() - a bio-based disk with these limits, or ERR_PTR
 */
static inline struct gendisk *
hcv_compat_alloc_disk(const struct hcv_disk_limits *l, int node)
{
	struct queue_limits lim;

	hcv_compat_limits(l, &lim);
	return blk_alloc_disk(&lim, node);
}

/**
 * hcv_compat_mq_alloc_disk() - a blk-mq disk with these limits, or ERR_PTR
 */
static inline struct gendisk *
hcv_compat_mq_alloc_disk(struct blk_mq_tag_set *set,
			 const struct hcv_disk_limits *l, void *queuedata)
{
	struct queue_limits lim;

	hcv_compat_limits(l, &lim);
	return blk_mq_alloc_disk(set, &lim, queuedata);
}
#endif

/* v6.2 20b0b53aca43: pre_doit and post_doit take genl_split_ops */
#if KERNEL_VERSION(6, 2, 0) > LINUX_VERSION_CODE
#define hcv_compat_genl_ops genl_ops
#else
#define hcv_compat_genl_ops genl_split_ops
#endif

/* v6.6 9272af109fe6: genl_dumpit_info holds a genl_info */
static inline struct nlattr **hcv_compat_dump_attrs(struct netlink_callback *cb)
{
#if KERNEL_VERSION(6, 6, 0) > LINUX_VERSION_CODE
	return genl_dumpit_info(cb)->attrs;
#else
	return genl_dumpit_info(cb)->info.attrs;
#endif
}

/**
 * hcv_compat_err() - formatted text for the extended ack, which may be NULL
 *
 * v6.2 51c352bdbcd2 NL_SET_ERR_MSG_FMT is of no use: it cuts after 79 bytes,
 * half of which are the UUID of what the sentence is about.
 */
__printf(2, 3)
void hcv_compat_err(struct netlink_ext_ack *extack, const char *fmt, ...);

/*
 * v6.9 06b23f92af87 block: update cached timestamp post schedule/preemption.
 * A plug remembers the time, and a flag of the task has the scheduler drop it:
 * it must not find the flag without a plug.
 */
static inline void hcv_compat_plug_drop_time(void)
{
#if KERNEL_VERSION(6, 9, 0) <= LINUX_VERSION_CODE
	blk_plug_invalidate_ts();
#endif
}

#endif /* HCV_COMPAT_H */
