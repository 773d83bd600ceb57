// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening and closing stores, their superblocks, and metadata I/O.
 *
 * A superblock update writes copy 0, flushes, writes copy 1, flushes.  So one
 * valid copy exists at any instant, and after an update has returned both say
 * the same: losing either of them later never brings back an older
 * handle_next, and no handle is ever given out twice.  An open that
 * finds one bad copy repairs it from the good one before anything else
 * is written, lest an update that tears the good one leaves none.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "store.h"

#include <linux/bio.h>
#include <linux/delay.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>

#include "export.h"
#include "gate.h"
#include "netlink.h"
#include "store_priv.h"

static DEFINE_MUTEX(hcv_store_lock);
static LIST_HEAD(hcv_stores);		/* by serial; hcv_store_lock */
static u64 hcv_store_serials;		/* hcv_store_lock */

/* Metadata I/O */

static struct page *hcv_store_page(void *addr)
{
	return is_vmalloc_addr(addr) ? vmalloc_to_page(addr) :
		virt_to_page(addr);
}

static int hcv_store_rw_bio(struct hcv_store *store, blk_opf_t opf, u64 off,
			    void *buf, size_t len)
{
	unsigned int nr = DIV_ROUND_UP(len, PAGE_SIZE);
	struct bio *bio;
	size_t part;
	int ret;

	bio = bio_alloc(store->bdev, nr, opf, GFP_NOIO);
	bio->bi_iter.bi_sector = off >> SECTOR_SHIFT;
	for (; len; len -= part, buf += part) {
		part = min_t(size_t, len, PAGE_SIZE - offset_in_page(buf));
		__bio_add_page(bio, hcv_store_page(buf), part,
			       offset_in_page(buf));
	}
	ret = submit_bio_wait(bio);
	bio_put(bio);
	return ret;
}

int hcv_store_rw(struct hcv_store *store, enum req_op op, u64 off, void *buf,
		 size_t len)
{
	blk_opf_t opf = op | REQ_SYNC | REQ_META;
	size_t part, done;
	s64 start;
	int ret;

	if (op == REQ_OP_WRITE)
		flush_kernel_vmap_range(buf, len);
	for (done = 0; done < len; done += part) {
		part = min_t(size_t, len - done, BIO_MAX_VECS * PAGE_SIZE);
		start = ktime_get_boottime_ns();
		hcv_stats_begin(store->stats.own);
		ret = hcv_store_rw_bio(store, opf, off + done, buf + done,
				       part);
		hcv_stats_end(store->stats.own, op == REQ_OP_READ ?
			      HCV_IO_READ : HCV_IO_WRITE, part,
			      ktime_get_boottime_ns() - start, ret);
		if (ret)
			return ret;
	}
	if (op == REQ_OP_READ)
		invalidate_kernel_vmap_range(buf, len);
	return 0;
}

int hcv_store_flush(struct hcv_store *store)
{
	s64 start = ktime_get_boottime_ns();
	int ret;

	hcv_stats_begin(store->stats.own);
	ret = blkdev_issue_flush(store->bdev);
	hcv_stats_end(store->stats.own, HCV_IO_FLUSH, 0,
		      ktime_get_boottime_ns() - start, ret);
	return ret;
}

void hcv_store_fail(struct hcv_store *store, int err, const char *what)
{
	struct hcv_nl_event ev = {
		.event = HCV_EVENT_STORE_FAILED,
		.store = &store->uuid,
		.err = err,
		.text = what,
	};

	if (cmpxchg(&store->failed, 0, err))
		return;
	pr_err("store %pUb on %s failed: %s, error %d\n", &store->uuid,
	       store->path, what, err);
	hcv_nl_send_event(&ev);
}

int hcv_store_writable(struct hcv_store *store, struct netlink_ext_ack *extack)
{
	if (READ_ONCE(store->failed)) {
		hcv_compat_err(extack, "store has failed with error %d",
			       store->failed);
		return -EIO;
	}
	if (store->priv->readonly) {
		hcv_compat_err(extack, "store is open read-only");
		return -EROFS;
	}
	return 0;
}

u32 hcv_store_flags(const struct hcv_store *store)
{
	return (READ_ONCE(store->failed) ? HCV_STORE_F_FAILED : 0) |
		(store->priv->readonly ? HCV_STORE_F_READONLY : 0);
}

u64 hcv_store_serial(const struct hcv_store *store)
{
	return store->priv->serial;
}

/* Superblock */

static int hcv_store_write_copy(struct hcv_store *store, int copy)
{
	u64 off = copy ? HCV_SB_OFF1 : HCV_SB_OFF0;
	int ret;

	hcv_fmt_super_encode(&store->sb, copy, store->priv->sb_buf);
	ret = hcv_store_rw(store, REQ_OP_WRITE, off, store->priv->sb_buf,
			   HCV_BLOCK_SIZE);
	return ret ?: hcv_store_flush(store);
}

/* Writes store->sb with the next sequence; an error latches the store. */
static int hcv_store_write_super(struct hcv_store *store)
{
	int ret;

	lockdep_assert_held(&store->lock);
	store->sb.seq++;
	ret = hcv_store_write_copy(store, 0);
	if (!ret)
		ret = hcv_store_write_copy(store, 1);
	if (ret)
		hcv_store_fail(store, -ret, "superblock update");
	return ret;
}

/* What was found in the place of a superblock copy. */
struct hcv_super_try {
	int why;			/* 0: valid */
	u64 magic;
	struct hcv_super sb;
};

static void hcv_store_say_why(struct netlink_ext_ack *extack,
			      const struct hcv_super_try *t, int copy,
			      u64 dev_bytes)
{
	const char *what = "a field is out of range";

	switch (t->why) {
	case -ENODATA:
		what = "blank, the device is not formatted";
		break;
	case -ENOMSG:
		hcv_compat_err(extack, "superblock %d: foreign magic %016llx",
			       copy, t->magic);
		return;
	case -EBADMSG:
		what = "wrong checksum";
		break;
	case -EXDEV:
		what = "written for another place";
		break;
	case -EPROTONOSUPPORT:
		what = "unknown version or feature, written by a newer hcivol";
		break;
	case -EUCLEAN:
		if (t->sb.lay.dev_bytes <= dev_bytes)
			break;
		hcv_compat_err(extack, "device truncated: %llu of %llu bytes",
			       dev_bytes, t->sb.lay.dev_bytes);
		return;
	default:
		hcv_compat_err(extack, "superblock %d: read error %d", copy,
			       -t->why);
		return;
	}
	hcv_compat_err(extack, "superblock %d: %s", copy, what);
}

static void hcv_store_read_super(struct hcv_store *store, int copy,
				 struct hcv_super_try *t)
{
	void *buf = store->priv->sb_buf;

	memset(t, 0, sizeof(*t));
	t->why = hcv_store_rw(store, REQ_OP_READ,
			      copy ? HCV_SB_OFF1 : HCV_SB_OFF0, buf,
			      HCV_BLOCK_SIZE);
	if (t->why)
		return;
	t->magic = le64_to_cpup(buf);
	t->why = hcv_fmt_super_decode(buf, copy, bdev_nr_bytes(store->bdev),
				      &t->sb);
}

/*
 * A copy of a newer format beside one that we know was left by an upgrade that
 * did not come to its end.  What we would write would be on top of it.
 */
static bool hcv_store_newer(struct hcv_store *store,
			    const struct hcv_super_try *t,
			    struct netlink_ext_ack *extack)
{
	int copy;

	for (copy = 0; copy < 2; copy++) {
		if (t[copy].why != -EPROTONOSUPPORT)
			continue;
		hcv_store_say_why(extack, &t[copy], copy,
				  bdev_nr_bytes(store->bdev));
		return true;
	}
	return false;
}

/* Reads both copies; returns 1 + the number of a bad one, 0, or an error. */
static int hcv_store_read_supers(struct hcv_store *store,
				 struct netlink_ext_ack *extack)
{
	struct hcv_super_try t[2];
	int best, say;

	hcv_store_read_super(store, 0, &t[0]);
	hcv_store_read_super(store, 1, &t[1]);
	if (hcv_store_newer(store, t, extack))
		return -EPROTONOSUPPORT;
	if (t[0].why && t[1].why) {
		/* A blank copy tells least. */
		say = t[0].why == -ENODATA;
		hcv_store_say_why(extack, &t[say], say,
				  bdev_nr_bytes(store->bdev));
		return -EUCLEAN;
	}
	if (!t[0].why && !t[1].why &&
	    memcmp(t[0].sb.store, t[1].sb.store, HCV_UUID_SIZE)) {
		hcv_compat_err(extack, "the superblocks name two stores");
		return -EUCLEAN;
	}
	best = t[0].why || (!t[1].why && t[1].sb.seq > t[0].sb.seq);
	store->sb = t[best].sb;
	return t[0].why ? 1 : t[1].why ? 2 : 0;
}

static int hcv_store_repair_super(struct hcv_store *store, int copy)
{
	pr_warn("store %pUb on %s: superblock copy %d was bad, rewriting it\n",
		&store->uuid, store->path, copy);
	return hcv_store_write_copy(store, copy);
}

/* Open */

static int hcv_store_check_ids(struct hcv_store *store, const uuid_t *expect,
			       struct netlink_ext_ack *extack)
{
	uuid_t node, cluster, has;

	if (expect && !uuid_equal(expect, &store->uuid)) {
		hcv_compat_err(extack, "the device holds store %pUb",
			       &store->uuid);
		return -ESTALE;
	}
	if (!hcv_node_uuid(&node, &cluster)) {
		hcv_compat_err(extack, "this node has no name yet");
		return -EINVAL;
	}
	import_uuid(&has, store->sb.cluster);
	if (!uuid_equal(&has, &cluster)) {
		hcv_compat_err(extack, "the store belongs to cluster %pUb",
			       &has);
		return -ESTALE;
	}
	export_uuid(store->sb.node, &node);
	return 0;
}

static struct hcv_store *hcv_store_alloc(const char *path)
{
	struct hcv_store *store = kzalloc(sizeof(*store), GFP_KERNEL);
	int ret;

	if (!store)
		return NULL;
	ret = hcv_stats_group_init(&store->stats);
	store->priv = kzalloc(sizeof(*store->priv), GFP_KERNEL);
	store->path = kstrdup(path, GFP_KERNEL);
	if (ret || !store->priv || !store->path)
		goto err_free;
	store->priv->sb_buf = (void *)get_zeroed_page(GFP_KERNEL);
	if (!store->priv->sb_buf)
		goto err_free;
	INIT_LIST_HEAD(&store->node);
	INIT_LIST_HEAD(&store->priv->table.vols);
	hash_init(store->priv->table.hash);
	kref_init(&store->ref);
	mutex_init(&store->lock);
	return store;

err_free:
	hcv_stats_group_exit(&store->stats);
	kfree(store->path);
	kfree(store->priv);
	kfree(store);
	return NULL;
}

/* Frees a store whose device was opened. */
static void hcv_store_free(struct hcv_store *store)
{
	if (store->gate)
		hcv_gate_destroy(store->gate);
	hcv_table_free(store);
	hcv_compat_bdev_close(&store->priv->dev);
	mutex_destroy(&store->lock);
	free_page((unsigned long)store->priv->sb_buf);
	hcv_stats_group_exit(&store->stats);
	kfree(store->path);
	kfree(store->priv);
	kfree(store);
}

static void hcv_store_release(struct kref *ref)
{
	hcv_store_free(container_of(ref, struct hcv_store, ref));
}

void hcv_store_put(struct hcv_store *store)
{
	kref_put(&store->ref, hcv_store_release);
}

static struct hcv_store *hcv_store_lookup(const uuid_t *uuid)
{
	struct hcv_store *store;

	lockdep_assert_held(&hcv_store_lock);
	list_for_each_entry(store, &hcv_stores, node)
		if (uuid_equal(&store->uuid, uuid))
			return store;
	return NULL;
}

struct hcv_store *hcv_store_get(const uuid_t *uuid)
{
	struct hcv_store *store;

	mutex_lock(&hcv_store_lock);
	store = hcv_store_lookup(uuid);
	if (store && store->priv->ready)
		kref_get(&store->ref);
	else
		store = NULL;
	mutex_unlock(&hcv_store_lock);
	return store;
}

struct hcv_store *hcv_store_next(u64 after)
{
	struct hcv_store *store;

	mutex_lock(&hcv_store_lock);
	list_for_each_entry(store, &hcv_stores, node) {
		if (store->priv->serial > after && store->priv->ready) {
			kref_get(&store->ref);
			mutex_unlock(&hcv_store_lock);
			return store;
		}
	}
	mutex_unlock(&hcv_store_lock);
	return NULL;
}

bool hcv_store_any(void)
{
	bool any;

	mutex_lock(&hcv_store_lock);
	any = !list_empty(&hcv_stores);
	mutex_unlock(&hcv_store_lock);
	return any;
}

/* An open store on the device @path names: a repeated open. */
static struct hcv_store *hcv_store_get_path(const char *path)
{
	struct hcv_store *store;
	dev_t dev;

	if (lookup_bdev(path, &dev))
		return NULL;
	mutex_lock(&hcv_store_lock);
	list_for_each_entry(store, &hcv_stores, node) {
		if (store->bdev->bd_dev == dev && store->priv->ready) {
			kref_get(&store->ref);
			mutex_unlock(&hcv_store_lock);
			return store;
		}
	}
	mutex_unlock(&hcv_store_lock);
	return NULL;
}

/* Takes the store's uuid; the store is not found before it is ready. */
static int hcv_store_register(struct hcv_store *store,
			      struct netlink_ext_ack *extack)
{
	struct hcv_store *other;
	int ret = 0;

	mutex_lock(&hcv_store_lock);
	other = hcv_store_lookup(&store->uuid);
	if (other) {
		hcv_compat_err(extack, "store %pUb is open on %s",
			       &store->uuid, other->path);
		ret = -EEXIST;
	} else {
		store->priv->serial = ++hcv_store_serials;
		list_add_tail(&store->node, &hcv_stores);
	}
	mutex_unlock(&hcv_store_lock);
	return ret;
}

static void hcv_store_unregister(struct hcv_store *store)
{
	mutex_lock(&hcv_store_lock);
	list_del_init(&store->node);
	mutex_unlock(&hcv_store_lock);
}

/* The part of an open that has the store to itself. */
static int hcv_store_start(struct hcv_store *store, int bad,
			   struct netlink_ext_ack *extack)
{
	const u32 quiet = HCV_SB_CLEAN | HCV_SB_NO_LEASE;
	bool silent = (store->sb.flags & quiet) != quiet;
	int ret = 0;

	store->priv->readonly = store->sb.ro_compat & ~HCV_F_RO_COMPAT_ALL;
	do {
		store->incarnation = get_random_u64();
	} while (!store->incarnation || store->incarnation ==
		 store->sb.incarnation);
	mutex_lock(&store->lock);
	if (bad && !store->priv->readonly)
		ret = hcv_store_repair_super(store, bad - 1);
	if (!ret)
		ret = hcv_table_load(store, extack);
	if (!ret && !store->priv->readonly) {
		store->sb.flags = 0;
		store->sb.incarnation = store->incarnation;
		/* Whoever is granted a volume area may keep its log there. */
		store->sb.compat |= HCV_F_COMPAT_LOG;
		ret = hcv_store_write_super(store);
		if (ret)
			hcv_compat_err(extack, "superblock cannot be written");
	}
	mutex_unlock(&store->lock);
	if (ret)
		return ret;
	store->gate = hcv_gate_create(store, silent);
	if (IS_ERR(store->gate)) {
		ret = PTR_ERR(store->gate);
		store->gate = NULL;
		return ret;
	}
	mutex_lock(&hcv_store_lock);
	store->priv->ready = true;
	mutex_unlock(&hcv_store_lock);
	pr_info("store %pUb opened on %s, incarnation %016llx%s\n",
		&store->uuid, store->path, store->incarnation,
		silent ? ", silent for one lease" : "");
	return 0;
}

static int hcv_store_open_bdev(struct hcv_store *store,
			       struct netlink_ext_ack *extack)
{
	u32 lba;
	int ret;

	ret = hcv_compat_bdev_open(store->path, store, &store->priv->dev);
	if (ret) {
		hcv_compat_err(extack, "%s cannot be opened: error %d",
			       store->path, -ret);
		return ret;
	}
	store->bdev = store->priv->dev.bdev;
	lba = bdev_logical_block_size(store->bdev);
	if (lba == 512 || lba == HCV_BLOCK_SIZE) {
		/* What a formatting tool left in the page cache. */
		ret = sync_blockdev(store->bdev);
		if (!ret)
			return 0;
		hcv_compat_err(extack, "%s cannot be synced: error %d",
			       store->path, -ret);
	} else {
		hcv_compat_err(extack, "%s has sectors of %u bytes",
			       store->path, lba);
		ret = -EINVAL;
	}
	hcv_compat_bdev_close(&store->priv->dev);
	return ret;
}

struct hcv_store *hcv_store_open(const char *path, const uuid_t *expect,
				 struct netlink_ext_ack *extack)
{
	struct hcv_store *store = hcv_store_get_path(path);
	int bad, ret;

	if (store) {
		if (!expect || uuid_equal(expect, &store->uuid))
			return store;
		hcv_compat_err(extack, "%s is open as store %pUb", path,
			       &store->uuid);
		hcv_store_put(store);
		return ERR_PTR(-ESTALE);
	}
	store = hcv_store_alloc(path);
	if (!store)
		return ERR_PTR(-ENOMEM);
	ret = hcv_store_open_bdev(store, extack);
	if (ret)
		goto err_free;
	bad = hcv_store_read_supers(store, extack);
	if (bad < 0) {
		ret = bad;
		goto err_put;
	}
	import_uuid(&store->uuid, store->sb.store);
	ret = hcv_store_check_ids(store, expect, extack);
	if (!ret)
		ret = hcv_store_register(store, extack);
	if (ret)
		goto err_put;
	ret = hcv_store_start(store, bad, extack);
	if (ret)
		goto err_unregister;
	kref_get(&store->ref);		/* the list's and the caller's */
	return store;

err_unregister:
	hcv_store_unregister(store);
err_put:
	hcv_store_put(store);
	return ERR_PTR(ret);

err_free:
	free_page((unsigned long)store->priv->sb_buf);
	hcv_stats_group_exit(&store->stats);
	kfree(store->path);
	kfree(store->priv);
	kfree(store);
	return ERR_PTR(ret);
}

/* Close */

/*
 * Waits until no lease given to another node is left, for one lease at most;
 * a fatal signal ends the wait.  Nothing can extend them: there are no exports.
 */
static bool hcv_store_leases_ended(struct hcv_store *store)
{
	u32 ms;

	while ((ms = hcv_gate_lease_ms(store->gate)) != 0) {
		if (fatal_signal_pending(current))
			return false;
		schedule_timeout_killable(msecs_to_jiffies(ms) + 1);
	}
	return true;
}

/* The store is not found any more and has no other user. */
static void hcv_store_shut(struct hcv_store *store)
{
	bool quiet = hcv_store_leases_ended(store);
	int ret = 0;

	mutex_lock(&store->lock);
	if (!store->priv->readonly && !READ_ONCE(store->failed)) {
		store->sb.flags = HCV_SB_CLEAN | (quiet ? HCV_SB_NO_LEASE : 0);
		ret = hcv_store_write_super(store);
	}
	mutex_unlock(&store->lock);
	pr_info("store %pUb on %s closed%s\n", &store->uuid, store->path,
		ret || store->failed ? ", not clean" : "");
	hcv_store_unregister(store);
	hcv_store_put(store);
}

int hcv_store_close(const uuid_t *uuid, struct netlink_ext_ack *extack)
{
	struct hcv_store *store;
	const char *why = NULL;
	int ret = 0;

	mutex_lock(&hcv_store_lock);
	store = hcv_store_lookup(uuid);
	if (!store || !store->priv->ready) {
		hcv_compat_err(extack, "no such store is open");
		ret = -ENOENT;
	} else if (hcv_export_busy(store)) {
		why = "exports";
	} else if (hcv_gate_busy(store->gate)) {
		why = "grants that are not revoked, or their I/O";
	} else if (kref_read(&store->ref) > 1) {
		why = "other users";
	} else {
		/* Its uuid stays taken until the device is released. */
		store->priv->ready = false;
	}
	if (why) {
		hcv_compat_err(extack, "the store has %s", why);
		ret = -EBUSY;
	}
	mutex_unlock(&hcv_store_lock);
	if (ret)
		return ret;
	hcv_store_shut(store);
	return 0;
}

int hcv_store_reserve_handles(struct hcv_store *store, u32 chunks, u64 *first)
{
	unsigned int noio = memalloc_noio_save();
	int ret;

	mutex_lock(&store->lock);
	ret = __hcv_store_reserve_handles(store, chunks, first);
	mutex_unlock(&store->lock);
	memalloc_noio_restore(noio);
	return ret;
}

int __hcv_store_reserve_handles(struct hcv_store *store, u32 chunks, u64 *first)
{
	/* The last chunk is not used: probes of an export read its end. */
	const u64 end = HCV_HANDLE_MAX - HCV_HANDLE_CHUNK;
	u64 old = store->sb.handle_next;
	u64 want = (u64)chunks * HCV_HANDLE_CHUNK;
	int ret;

	lockdep_assert_held(&store->lock);
	ret = hcv_store_writable(store, NULL);
	if (ret)
		return ret;
	if (old > end || want > end - old)
		return -ENOSPC;
	store->sb.handle_next = old + want;
	ret = hcv_store_write_super(store);
	if (ret)
		return ret;
	*first = old;
	return 0;
}

void hcv_store_exit(void)
{
	struct hcv_store *store;

	while (!list_empty(&hcv_stores)) {
		store = list_first_entry(&hcv_stores, struct hcv_store, node);
		store->priv->ready = false;
		hcv_store_shut(store);
	}
}
