// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exports: the block devices that nvmet serves.
 *
 * A bio is cloned into an object that counts in the grant's period until the
 * store's device has ended it: so a drained grant has no I/O anywhere below.
 * The object comes from a mempool; nothing else is allocated.
 *
 * current->plug needs no care here: a submission from inside ->submit_bio is
 * queued in current->bio_list and reaches the lower device only after
 * ->submit_bio has returned, in the context that the plug's owner chose.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "export.h"

#include <linux/bio.h>
#include <linux/idr.h>
#include <linux/mempool.h>
#include <linux/module.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "compat.h"
#include "gate.h"
#include "netlink.h"

#define HCV_EXPORT_SECTORS	(1ULL << (HCV_EXPORT_SHIFT - SECTOR_SHIFT))
/* Probes of partition tables and file systems read here, and get zeroes. */
#define HCV_EXPORT_EDGE		((1ULL << 20) >> SECTOR_SHIFT)
#define HCV_EXPORT_POOL		256

/**
 * struct hcv_export - one export
 * @store: reference held
 * @client: node that it is for
 * @disk: hcvxN
 * @minor: N
 * @openers: who has it open (hcv_export_lock)
 * @live: the disk is there (hcv_export_lock)
 * @dying: about to be removed: no more opens (hcv_export_lock)
 * @beacon_lock: one beacon at a time uses @beacon
 * @beacon: the answer, 4 KiB
 * @stats: counters
 * @part: @stats as a part of the store's
 */
struct hcv_export {
	struct hcv_store *store;
	uuid_t client;
	struct gendisk *disk;
	int minor;
	u32 openers;
	bool live;
	bool dying;
	struct mutex beacon_lock;	/* @beacon */
	void *beacon;
	struct hcv_stats __percpu *stats;
	struct hcv_stats_part part;
};

/**
 * struct hcv_export_io - a bio on its way through an export
 * @exp: the export
 * @period: of the grant, that counts it; NULL: an empty flush
 * @parent: the bio that came in
 * @bytes: its length
 * @start_ns: CLOCK_BOOTTIME of its submission
 * @clone: the bio that went down
 */
struct hcv_export_io {
	struct hcv_export *exp;
	struct hcv_period *period;
	struct bio *parent;
	u32 bytes;
	s64 start_ns;
	struct bio clone;
};

/* Order: hcv_export_lock > gate's locks. */
static DEFINE_MUTEX(hcv_export_lock);
static DEFINE_IDR(hcv_exports);		/* hcv_export_lock */
static struct kmem_cache *hcv_export_cache;
static mempool_t hcv_export_pool;

/* I/O */

static void hcv_export_error(struct hcv_export *exp, struct hcv_export_io *io,
			     blk_status_t status)
{
	static DEFINE_RATELIMIT_STATE(limit, 5 * HZ, 10);
	struct hcv_nl_event ev = {
		.event = HCV_EVENT_MEDIA_ERROR,
		.store = &exp->store->uuid,
		.vol = io->period ? &io->period->grant->vol : NULL,
		.err = -blk_status_to_errno(status),
		.text = op_is_write(bio_op(&io->clone)) ? "write" : "read",
	};

	if (op_is_write(bio_op(&io->clone)))
		hcv_store_fail(exp->store, ev.err,
			       io->bytes ? "write" : "flush");
	if (__ratelimit(&limit))
		hcv_nl_send_event(&ev);
}

static void hcv_export_end_io(struct bio *clone)
{
	struct hcv_export_io *io = container_of(clone, struct hcv_export_io,
						clone);
	struct hcv_export *exp = io->exp;
	blk_status_t status = clone->bi_status;
	struct bio *parent = io->parent;

	if (unlikely(status))
		hcv_export_error(exp, io, status);
	else if (unlikely(!io->bytes && READ_ONCE(exp->store->failed)))
		/* The loss was told to somebody else while this was under way. */
		status = BLK_STS_IOERR;
	hcv_stats_end(exp->stats, !io->bytes ? HCV_IO_FLUSH :
		      bio_op(clone) == REQ_OP_READ ? HCV_IO_READ : HCV_IO_WRITE,
		      io->bytes, ktime_get_boottime_ns() - io->start_ns, status);
	if (io->period)
		hcv_grant_exit(io->period);
	bio_uninit(clone);
	mempool_free(io, &hcv_export_pool);
	/*
	 * Whatever it was: the other end cannot tell it from a revoked handle
	 * and asks the control window.  The export may go after this.
	 */
	if (status)
		parent->bi_status = BLK_STS_IOERR;
	bio_endio(parent);
}

static void hcv_export_pass(struct hcv_export *exp, struct hcv_period *period,
			    struct bio *bio, const struct hcv_where *where)
{
	struct hcv_export_io *io = mempool_alloc(&hcv_export_pool, GFP_NOIO);

	io->exp = exp;
	io->period = period;
	io->parent = bio;
	io->bytes = bio->bi_iter.bi_size;
	if (bio_init_clone(where->bdev, &io->clone, bio, GFP_NOIO)) {
		if (period)
			hcv_grant_exit(period);
		mempool_free(io, &hcv_export_pool);
		bio_io_error(bio);
		return;
	}
	/* What these ask for says nothing about the store's device. */
	io->clone.bi_opf &= ~(REQ_NOWAIT | REQ_RAHEAD | REQ_POLLED);
	io->clone.bi_iter.bi_sector = where->sector;
	io->clone.bi_end_io = hcv_export_end_io;
	io->start_ns = ktime_get_boottime_ns();
	hcv_stats_begin(exp->stats);
	submit_bio_noacct(&io->clone);
}

static bool hcv_export_is_edge(sector_t sector, sector_t end)
{
	return end <= HCV_EXPORT_EDGE ||
		sector >= HCV_EXPORT_SECTORS - HCV_EXPORT_EDGE;
}

/* The control window that a bio is about, -1: none. */
static s64 hcv_export_window(const struct bio *bio)
{
	u64 addr = (u64)bio->bi_iter.bi_sector << SECTOR_SHIFT;

	if (bio->bi_iter.bi_size != HCV_BLOCK_SIZE ||
	    addr < HCV_HANDLE_META_OFF)
		return -1;
	addr = (addr - HCV_HANDLE_META_OFF) >> HCV_BLOCK_SHIFT;
	return addr < HCV_CONTROL_WINDOWS ? (s64)addr : -1;
}

/* What a client writes to window 0: that it has let go of a volume. */
static void hcv_export_take_done(struct hcv_export *exp, struct bio *bio)
{
	struct hcv_store *store = exp->store;
	struct bvec_iter iter;
	struct hcv_done done;
	struct bio_vec bv;
	u32 at = 0;
	uuid_t vol;
	int ret;

	mutex_lock(&exp->beacon_lock);
	bio_for_each_segment(bv, bio, iter) {
		memcpy_from_bvec(exp->beacon + at, &bv);
		at += bv.bv_len;
	}
	ret = hcv_fmt_done_decode(exp->beacon, &done);
	mutex_unlock(&exp->beacon_lock);
	if (ret || memcmp(done.store, store->uuid.b, HCV_UUID_SIZE) ||
	    done.incarnation != store->incarnation) {
		bio_io_error(bio);
		return;
	}
	import_uuid(&vol, done.volume);
	hcv_gate_done(store, &exp->client, &vol, done.epoch);
	bio_endio(bio);
}

static void hcv_export_answer_beacon(struct hcv_export *exp, struct bio *bio,
				     u32 window)
{
	struct bvec_iter iter;
	struct bio_vec bv;
	u32 done = 0;

	mutex_lock(&exp->beacon_lock);
	hcv_gate_beacon(exp->store, &exp->client, window, exp->beacon);
	bio_for_each_segment(bv, bio, iter) {
		memcpy_to_bvec(&bv, exp->beacon + done);
		done += bv.bv_len;
	}
	mutex_unlock(&exp->beacon_lock);
	bio_endio(bio);
}

/* A bio with data, which must lie in one object. */
static void hcv_export_data(struct hcv_export *exp, struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;
	u64 addr = (u64)sector << SECTOR_SHIFT;
	s64 window = hcv_export_window(bio);
	struct hcv_period *period;
	struct hcv_where where;

	if (bio_op(bio) == REQ_OP_READ) {
		if (window >= 0) {
			hcv_export_answer_beacon(exp, bio, window);
			return;
		}
		if (hcv_export_is_edge(sector, bio_end_sector(bio))) {
			zero_fill_bio(bio);
			bio_endio(bio);
			return;
		}
	} else if (!window) {
		hcv_export_take_done(exp, bio);
		return;
	}
	period = hcv_gate_lookup(exp->store, &exp->client,
				 addr >> HCV_HANDLE_SHIFT,
				 addr & ((1U << HCV_HANDLE_SHIFT) - 1),
				 bio->bi_iter.bi_size, &where);
	if (period)
		hcv_export_pass(exp, period, bio, &where);
	else
		bio_io_error(bio);
}

static void hcv_export_submit_bio(struct bio *bio)
{
	struct hcv_export *exp = bio->bi_bdev->bd_disk->private_data;
	struct hcv_where store = { .bdev = exp->store->bdev };

	switch (bio_op(bio)) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
		if (bio->bi_iter.bi_size)
			hcv_export_data(exp, bio);
		else if (READ_ONCE(exp->store->failed))
			bio_io_error(bio);
		else
			hcv_export_pass(exp, NULL, bio, &store);
		break;
	default:
		bio->bi_status = BLK_STS_NOTSUPP;
		bio_endio(bio);
	}
}

/* The disk */

static int hcv_export_open(HCV_COMPAT_OPEN_ARGS)
{
	struct hcv_export *exp = HCV_COMPAT_OPEN_DISK->private_data;
	int ret = 0;

	mutex_lock(&hcv_export_lock);
	if (exp->dying)
		ret = -ENXIO;
	else
		exp->openers++;
	mutex_unlock(&hcv_export_lock);
	return ret;
}

static void hcv_export_release(HCV_COMPAT_RELEASE_ARGS)
{
	struct hcv_export *exp = disk->private_data;

	mutex_lock(&hcv_export_lock);
	exp->openers--;
	mutex_unlock(&hcv_export_lock);
}

static const struct block_device_operations hcv_export_ops = {
	.owner = THIS_MODULE,
	.submit_bio = hcv_export_submit_bio,
	.open = hcv_export_open,
	.release = hcv_export_release,
};

static struct hcv_export *hcv_export_find(const struct hcv_store *store,
					  const uuid_t *client)
{
	struct hcv_export *exp;
	int minor;

	lockdep_assert_held(&hcv_export_lock);
	idr_for_each_entry(&hcv_exports, exp, minor)
		if (exp->store == store && uuid_equal(&exp->client, client))
			return exp;
	return NULL;
}

static int hcv_export_make_disk(struct hcv_export *exp)
{
	const struct hcv_disk_limits limits = {
		.block_bytes = HCV_BLOCK_SIZE,
		.phys_bytes = HCV_BLOCK_SIZE,
		.dma_mask = bdev_dma_alignment(exp->store->bdev),
		.flags = HCV_DISK_WRITE_CACHE | HCV_DISK_FUA,
	};
	struct gendisk *disk = hcv_compat_alloc_disk(&limits, NUMA_NO_NODE);

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	disk->fops = &hcv_export_ops;
	disk->private_data = exp;
	disk->flags |= GENHD_FL_NO_PART;
	snprintf(disk->disk_name, sizeof(disk->disk_name), "hcvx%d",
		 exp->minor);
	set_capacity(disk, HCV_EXPORT_SECTORS);
	exp->disk = disk;
	return 0;
}

static void hcv_export_free(struct hcv_export *exp)
{
	if (exp->disk)
		put_disk(exp->disk);
	if (exp->minor >= 0) {
		mutex_lock(&hcv_export_lock);
		idr_remove(&hcv_exports, exp->minor);
		mutex_unlock(&hcv_export_lock);
	}
	mutex_destroy(&exp->beacon_lock);
	free_page((unsigned long)exp->beacon);
	if (exp->part.stats)
		hcv_stats_leave(&exp->store->stats, &exp->part);
	free_percpu(exp->stats);
	hcv_store_put(exp->store);
	kfree(exp);
}

static struct hcv_export *hcv_export_alloc(struct hcv_store *store,
					   const uuid_t *client)
{
	struct hcv_export *exp = kzalloc(sizeof(*exp), GFP_KERNEL);

	if (!exp)
		return NULL;
	exp->minor = -1;
	exp->client = *client;
	mutex_init(&exp->beacon_lock);
	kref_get(&store->ref);
	exp->store = store;
	exp->beacon = (void *)get_zeroed_page(GFP_KERNEL);
	exp->stats = alloc_percpu(struct hcv_stats);
	if (exp->beacon && exp->stats) {
		hcv_stats_join(&store->stats, &exp->part, exp->stats);
		return exp;
	}
	hcv_export_free(exp);
	return NULL;
}

/* Takes a minor, unless there is the same export already: -EEXIST. */
static int hcv_export_register(struct hcv_export *exp, int *minor)
{
	struct hcv_export *old;

	mutex_lock(&hcv_export_lock);
	old = hcv_export_find(exp->store, &exp->client);
	if (old && !old->live)
		*minor = -EBUSY;
	else if (old)
		*minor = old->minor;
	else
		exp->minor = idr_alloc(&hcv_exports, exp, 0, 0, GFP_KERNEL);
	mutex_unlock(&hcv_export_lock);
	if (old)
		return -EEXIST;
	*minor = exp->minor;
	return exp->minor < 0 ? exp->minor : 0;
}

int hcv_export_add(struct hcv_store *store, const uuid_t *client)
{
	struct hcv_export *exp;
	int ret, minor;

	ret = hcv_gate_client_add(store->gate, client);
	if (ret)
		return ret;
	exp = hcv_export_alloc(store, client);
	if (!exp)
		return -ENOMEM;
	ret = hcv_export_register(exp, &minor);
	if (ret) {
		hcv_export_free(exp);
		return ret == -EEXIST ? minor : ret;
	}
	ret = hcv_export_make_disk(exp);
	if (!ret)
		ret = add_disk(exp->disk);
	if (ret) {
		hcv_export_free(exp);
		return ret;
	}
	mutex_lock(&hcv_export_lock);
	exp->live = true;
	mutex_unlock(&hcv_export_lock);
	pr_info("hcvx%d: store %pUb for node %pUb\n", minor, &store->uuid,
		client);
	return minor;
}

static void hcv_export_remove(struct hcv_export *exp)
{
	del_gendisk(exp->disk);
	hcv_export_free(exp);
}

int hcv_export_del(struct hcv_store *store, const uuid_t *client,
		   struct netlink_ext_ack *extack)
{
	struct hcv_export *exp;
	int ret = 0;

	mutex_lock(&hcv_export_lock);
	exp = hcv_export_find(store, client);
	if (!exp || !exp->live) {
		hcv_compat_err(extack, "no such export");
		ret = -ENOENT;
	} else if (exp->openers) {
		hcv_compat_err(extack, "hcvx%d is open", exp->minor);
		ret = -EBUSY;
	} else if (hcv_gate_client_busy(store->gate, client)) {
		hcv_compat_err(extack, "the node has grants of this store");
		ret = -EBUSY;
	} else {
		exp->live = false;
		exp->dying = true;
	}
	mutex_unlock(&hcv_export_lock);
	if (!ret)
		hcv_export_remove(exp);
	return ret;
}

int hcv_export_each(int from,
		    int (*fn)(const struct hcv_export_info *info, void *arg),
		    void *arg)
{
	struct hcv_export_info info;
	struct hcv_export *exp;
	int minor = from, ret = 0;

	mutex_lock(&hcv_export_lock);
	idr_for_each_entry_continue(&hcv_exports, exp, minor) {
		if (!exp->live)
			continue;
		info.store = exp->store;
		info.client = &exp->client;
		info.minor = minor;
		info.openers = exp->openers;
		hcv_stats_sum(exp->stats, &info.stats);
		ret = fn(&info, arg);
		if (ret)
			break;
	}
	mutex_unlock(&hcv_export_lock);
	return ret;
}

bool hcv_export_busy(struct hcv_store *store)
{
	struct hcv_export *exp;
	bool busy = false;
	int minor;

	mutex_lock(&hcv_export_lock);
	idr_for_each_entry(&hcv_exports, exp, minor)
		busy |= exp->store == store;
	mutex_unlock(&hcv_export_lock);
	return busy;
}

int hcv_export_init(void)
{
	int ret;

	hcv_export_cache = KMEM_CACHE(hcv_export_io, SLAB_HWCACHE_ALIGN);
	if (!hcv_export_cache)
		return -ENOMEM;
	ret = mempool_init_slab_pool(&hcv_export_pool, HCV_EXPORT_POOL,
				     hcv_export_cache);
	if (ret)
		kmem_cache_destroy(hcv_export_cache);
	return ret;
}

void hcv_export_exit(void)
{
	struct hcv_export *exp;
	int minor;

	/* Nobody has one open, or the module could not go. */
	idr_for_each_entry(&hcv_exports, exp, minor)
		hcv_export_remove(exp);
	idr_destroy(&hcv_exports);
	/* An end_io may still be on its way out. */
	synchronize_rcu();
	mempool_exit(&hcv_export_pool);
	kmem_cache_destroy(hcv_export_cache);
}
