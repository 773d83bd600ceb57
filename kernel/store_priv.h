/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What store.c (open, close, superblock, I/O) and store_table.c (extent table)
 * share.
 */
#ifndef HCV_STORE_PRIV_H
#define HCV_STORE_PRIV_H

#include <linux/hashtable.h>
#include <linux/jhash.h>
#include <linux/xarray.h>

#include "compat.h"
#include "store.h"

/* Bytes of a volume are counted in 32 bits of MiB: so are its extents. */
#define HCV_EXTENT_INDEX_MAX	(1U << (32 + HCV_SLOT_SHIFT - HCV_EXTENT_SHIFT))

/**
 * struct hcv_store_vol - what a store holds of one volume
 * @hash: entry in the table's hash
 * @node: entry in the table's list, ordered by @serial
 * @serial: grows with each volume that comes to the store
 * @uuid: of the volume
 * @area: number of its area, -1: none
 * @nr: extents in @extent
 * @extent: extent index -> number of the extent on the store
 *
 * All under store->lock.
 */
struct hcv_store_vol {
	struct hlist_node hash;
	struct list_head node;
	u64 serial;
	uuid_t uuid;
	s64 area;
	u32 nr;
	struct xarray extent;
};

/**
 * struct hcv_table - the extent table in memory
 * @image: the pages as they are on the media, place and sequence aside
 * @seq: sequence of each page's newest place
 * @place: newest place of each page
 * @dirty: pages of @image that are to be written
 * @used: objects in use: extents, then areas
 * @hint: where the search for a free extent starts
 * @alloc_seq: allocation sequence of the newest entry
 * @vol_serial: of the newest volume
 * @nr_extents_used: extents in use (WRITE_ONCE)
 * @nr_vols_used: areas in use (WRITE_ONCE)
 * @vols: hcv_store_vol by serial
 * @hash: hcv_store_vol by uuid
 *
 * All under store->lock.
 */
struct hcv_table {
	u8 *image;
	u64 *seq;
	u8 *place;
	unsigned long *dirty;
	unsigned long *used;
	u32 hint;
	u64 alloc_seq;
	u64 vol_serial;
	u32 nr_extents_used;
	u32 nr_vols_used;
	struct list_head vols;
	DECLARE_HASHTABLE(hash, 8);
};

/**
 * struct hcv_store_priv - private part of a store
 * @dev: the opened device
 * @serial: number of this open; I
 * @readonly: unknown ro_compat features; I
 * @ready: the open has succeeded (list lock)
 * @table: the extent table
 * @sb_buf: one block for superblocks (store->lock)
 */
struct hcv_store_priv {
	struct hcv_compat_bdev dev;
	u64 serial;
	bool readonly;
	bool ready;
	struct hcv_table table;
	void *sb_buf;
};

static inline u32 hcv_uuid_hash(const uuid_t *uuid)
{
	return jhash(uuid->b, sizeof(uuid->b), 0);
}

/* store.c */

/**
 * hcv_store_rw() - read or write metadata
 * @op: REQ_OP_READ or REQ_OP_WRITE
 * @off: byte offset on the device, a multiple of 4 KiB
 * @buf: page-aligned kernel or vmalloc address
 * @len: multiple of 4 KiB
 *
 * Context: process, waits for the device.
 */
int hcv_store_rw(struct hcv_store *store, enum req_op op, u64 off, void *buf,
		 size_t len);
int hcv_store_flush(struct hcv_store *store);
/** hcv_store_writable() - 0, or why not (-EIO, -EROFS) with the extack set */
int hcv_store_writable(struct hcv_store *store, struct netlink_ext_ack *extack);
/** __hcv_store_reserve_handles() - same without __, store->lock held */
int __hcv_store_reserve_handles(struct hcv_store *store, u32 chunks,
				u64 *first);

/* store_table.c */

/** hcv_table_load() - read and check the table, build the maps */
int hcv_table_load(struct hcv_store *store, struct netlink_ext_ack *extack);
void hcv_table_free(struct hcv_store *store);
/** hcv_table_vol() - what the store holds of a volume; store->lock held */
struct hcv_store_vol *hcv_table_vol(struct hcv_store *store, const uuid_t *vol);
/** hcv_table_vol_next() - first volume with a serial above @after, or NULL */
struct hcv_store_vol *hcv_table_vol_next(struct hcv_store *store, u64 after);
/** hcv_table_find() - number of an object or -ENOENT; store->lock held */
s64 hcv_table_find(struct hcv_store_vol *vol, u32 grant_index);

#endif /* HCV_STORE_PRIV_H */
