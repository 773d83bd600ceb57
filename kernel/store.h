/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stores: block devices given to hcivol.  See uapi/linux/hcivol_format.h for
 * what is on them.
 *
 * Lock order (outer first): hcv_store_lock (list of stores, opens, closes) >
 * store->lock (table, superblock updates; held over I/O) > gate's lock.
 */
#ifndef HCV_STORE_H
#define HCV_STORE_H

#include <linux/blkdev.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/netlink.h>
#include <linux/uuid.h>

#include "core/format.h"
#include "stats.h"

struct hcv_gate;
struct hcv_store_priv;

/**
 * struct hcv_store - an open store
 * @node: entry in the list of stores (hcv_store_lock)
 * @ref: users: exports, grants, links, netlink calls
 * @uuid: of the store; set at open
 * @bdev: the device; set at open, valid until the last reference is gone
 * @path: as given at open
 * @lock: table, superblock
 * @sb: superblock in host order (@lock); layout and ids set at open
 * @incarnation: drawn at open
 * @gate: handles, leases (gate.h)
 * @failed: an I/O error latched the store: errno, positive (WRITE_ONCE)
 * @stats: all I/O to the device; exports and local links are its parts
 * @priv: of store.c
 */
struct hcv_store {
	struct list_head node;
	struct kref ref;
	uuid_t uuid;
	struct block_device *bdev;
	char *path;
	struct mutex lock;	/* table, superblock */
	struct hcv_super sb;
	u64 incarnation;
	struct hcv_gate *gate;
	int failed;
	struct hcv_stats_group stats;
	struct hcv_store_priv *priv;
};

/**
 * hcv_store_open() - open a formatted device
 * @path: of the block device
 * @expect: the store expected there, or NULL
 * @extack: gets the sentence
 *
 * Reads both superblocks and the table, draws an incarnation, writes the
 * superblocks (not clean, node, incarnation) durably.
 * Context: process, sleeps.
 * Return: the store with a reference for the caller, or an ERR_PTR.
 */
struct hcv_store *hcv_store_open(const char *path, const uuid_t *expect,
				 struct netlink_ext_ack *extack);
/**
 * hcv_store_close() - close a store in order
 *
 * Waits for no one: -EBUSY while anything uses it. Marks the superblock clean.
 */
int hcv_store_close(const uuid_t *uuid, struct netlink_ext_ack *extack);
/** hcv_store_get() - find an open store and take a reference, or NULL */
struct hcv_store *hcv_store_get(const uuid_t *uuid);
void hcv_store_put(struct hcv_store *store);
/**
 * hcv_store_next() - the open store after the one with serial @after
 *
 * For resumable dumps: serials start at 1 and grow with each open.
 * Return: the store with a reference, or NULL at the end.
 */
struct hcv_store *hcv_store_next(u64 after);
/** hcv_store_serial() - number of this open since the module was loaded */
u64 hcv_store_serial(const struct hcv_store *store);
/** hcv_store_any() - whether any store is open */
bool hcv_store_any(void);
/** hcv_store_flags() - HCV_STORE_F_* */
u32 hcv_store_flags(const struct hcv_store *store);
/**
 * hcv_store_fail() - latch an I/O error, send the event; any context
 * @err: positive errno
 * @what: what failed, for the log and the event
 *
 * From then on the store's gate lets nothing in until it is opened anew.
 */
void hcv_store_fail(struct hcv_store *store, int err, const char *what);

/**
 * hcv_store_extents_add() - allocate and format extents of a volume
 * @index: extent indexes in the volume; those that it has are skipped
 * @nr: how many
 *
 * The volume's area comes with its first extent.  Durable on return.
 * Context: process; takes @store->lock.
 * Return: 0; -ENOSPC: nothing was allocated; -EROFS; -EIO: the store failed.
 */
int hcv_store_extents_add(struct hcv_store *store, const uuid_t *vol,
			  const u32 *index, u32 nr,
			  struct netlink_ext_ack *extack);
/**
 * hcv_store_extents_del() - free extents of a volume
 * @nr: 0: all of them, and the volume's area
 *
 * Extents that the volume does not have are skipped.  Durable on return.
 * Context: process; takes @store->lock.
 * Return: 0; -EBUSY: the volume has a grant or I/O in flight; -EROFS; -EIO.
 */
int hcv_store_extents_del(struct hcv_store *store, const uuid_t *vol,
			  const u32 *index, u32 nr,
			  struct netlink_ext_ack *extack);
/**
 * hcv_store_extents_withdraw() - free extents although the volume is in use
 *
 * Its grants do not see them from now on.  They are free when what was let in
 * before has ended; I/O to the volume's other extents goes on.  Extents that the
 * volume does not have are skipped.  Durable on return.
 * Context: process; takes @store->lock.
 * Return: 0; -EINPROGRESS: I/O has not ended, call again; -EINVAL: an index out
 * of range; -ENOMEM; -EROFS; -EIO.
 */
int hcv_store_extents_withdraw(struct hcv_store *store, const uuid_t *vol,
			       const u32 *index, u32 nr,
			       struct netlink_ext_ack *extack);
/**
 * hcv_store_find() - position of a volume's extent, or of its area
 * @grant_index: HCV_GRANT_VOLAREA or HCV_GRANT_EXTENT(i)
 *
 * Context: process; takes @store->lock.
 * Return: number of the object (extent or area number), or -ENOENT.
 */
s64 hcv_store_find(struct hcv_store *store, const uuid_t *vol, u32 grant_index);
/**
 * hcv_store_reserve_handles() - durably reserve handle chunks
 * @chunks: how many times HCV_HANDLE_CHUNK
 *
 * Return: 0 and the first handle in @first, or an error; -ENOSPC at the end of
 * the handle space.
 */
int hcv_store_reserve_handles(struct hcv_store *store, u32 chunks, u64 *first);

/** hcv_store_data_sector() - first 512-byte sector of extent @phys's data */
static inline sector_t hcv_store_data_sector(const struct hcv_store *store,
					     u32 phys)
{
	return (store->sb.lay.data_off + ((u64)phys << HCV_EXTENT_SHIFT)) >>
		SECTOR_SHIFT;
}

/** hcv_store_meta_sector() - first sector of extent @phys's metadata pages */
static inline sector_t hcv_store_meta_sector(const struct hcv_store *store,
					     u32 phys)
{
	return (store->sb.lay.meta_off + (u64)phys * HCV_EXTENT_META_SIZE) >>
		SECTOR_SHIFT;
}

/** hcv_store_area_sector() - first sector of volume area @area */
static inline sector_t hcv_store_area_sector(const struct hcv_store *store,
					     u32 area)
{
	return (store->sb.lay.vol_off + (u64)area * HCV_VOLAREA_SIZE) >>
		SECTOR_SHIFT;
}

/** hcv_store_exit() - closes what is open; nothing uses them any more */
void hcv_store_exit(void);

#endif /* HCV_STORE_H */
