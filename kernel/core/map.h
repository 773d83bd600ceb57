/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The extent map of one attached volume: which slot holds which megabyte of
 * which generation, and which blocks of it are data or zero.
 *
 * Lookups run under RCU and take no lock.  Everything is reached from a
 * two-level table by mib; each entry heads a newest-first list of the slots of
 * this lineage that have the mib.  The slots of an extent lie in one array, so
 * that a first write allocates no memory but the bitmaps.
 *
 * Block states.  A slot without bitmaps is full: every block is data.  Else
 * `data` and `zero` are two bitmaps, and both set reads as data.  Bits change
 * in three ways, all of them while the caller holds the busy bits of the
 * blocks:
 *   a write completes (hcv_map_written()): set data, then clear zero; lockless;
 *   blocks are zeroed or dropped (hcv_map_clear()): under ext->lock;
 *   the page copier (hcv_map_encode()) reads zero first, then data, under
 *   ext->lock, so that a racing completion shows its old or its new state.
 *
 * Locks: map->lock (slots taken and given back, layer lists, table, what is
 *	unflushed moving between a leaf's bitmaps)
 *	> ext->lock (bits losing `data`, page copies, full <-> partial), or
 *	> map->dirty_lock (pages becoming dirty, stamps growing).
 * All are taken with interrupts off.
 */
#ifndef HCV_CORE_MAP_H
#define HCV_CORE_MAP_H

#include "format.h"

#ifdef __KERNEL__
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#endif

#define HCV_LEAF_SHIFT		9
#define HCV_LEAF_MIBS		BIT(HCV_LEAF_SHIFT)
#define HCV_LEAF_WORDS		(HCV_LEAF_MIBS / BITS_PER_LONG)
#define HCV_BM_WORDS		(HCV_SLOT_BLOCKS / BITS_PER_LONG)
#define HCV_MAX_COLUMNS		4
/* Indexes are never reused: this many extents may come and go. */
#define HCV_EXTENT_INDEX_MAX	BIT(24)

struct hcv_ext;
struct hcv_hot;

/* Flags of a slot, changed under map->lock. */
#define HCV_SLOT_USED		BIT(0)
#define HCV_SLOT_FREEING	BIT(1)	/* waits for its page and readers */
#define HCV_SLOT_SUPERSEDED	BIT(2)	/* on the media until its successor is */
#define HCV_SLOT_DOUBLE		BIT(3)	/* an older one was dropped at load */

/**
 * struct hcv_bm - block states of a slot that is not full
 * @data: block is data
 * @zero: block is zero unless it is data
 * @rcu: for freeing
 */
struct hcv_bm {
	unsigned long data[HCV_BM_WORDS];
	unsigned long zero[HCV_BM_WORDS];
	struct rcu_head rcu;
};

/**
 * struct hcv_slot - one slot record in RAM
 * @older: next layer of the same mib (RCU, map->lock)
 * @bm: block states; NULL: full (RCU, ext->lock)
 * @seq: allocation sequence
 * @stamp: v at the last write (map->dirty_lock, READ_ONCE)
 * @next: on map->freeing, when not HCV_SLOT_USED (map->lock)
 * @mib: volume byte offset >> 20
 * @gen: generation
 * @rec: record number in the extent
 * @flags: HCV_SLOT_*
 */
struct hcv_slot {
	struct hcv_slot __rcu *older;
	struct hcv_bm __rcu *bm;
	u64 seq;
	union {
		u64 stamp;
		struct hcv_slot *next;
	};
	u32 mib;
	u32 gen;
	u16 rec;
	u8 flags;
};

/**
 * struct hcv_pagepos - where the images of a metadata page are
 * @seq: the highest one sent or found; 0: never written
 * @place: of the newest image that all replicas have
 * @kept: there is one
 */
struct hcv_pagepos {
	u64 seq;
	u8 place;
	bool kept;
};

/**
 * struct hcv_held - blocks of an extent that the temporary replica holds
 * @rcu: for freeing
 * @life: which temporary replica's these are; not 0
 * @bits: of each record that may have data (atomic bits); the others are held
 */
struct hcv_held {
	struct rcu_head rcu;
	u64 life;
	unsigned long bits[HCV_EXTENT_SLOTS][HCV_BM_WORDS];
};

/* Bits of ext->flags. */
#define HCV_EXT_LISTED		0	/* on map->dirty */
#define HCV_EXT_RETIRED		1	/* no record is taken (map->lock) */
#define HCV_EXT_SETTLING	2	/* was, when the round began (map->lock) */
#define HCV_EXT_SETTLED		3	/* nothing is written to it (map->lock) */

/* So many are retired at a time. */
#define HCV_MAP_RETIRED_MAX	64

/**
 * struct hcv_ext - one extent of the volume
 * @lock: see above
 * @node: list of all extents (map->lock)
 * @fnode: on map->avail[@column] while @free_data is not 0, on map->retired
 *	instead while it is retired (map->lock)
 * @dnode: on map->dirty
 * @index: in the volume
 * @column: stripe column
 * @flags: HCV_EXT_*
 * @dirty: pages changed since their last copy (set under map->dirty_lock,
 *	cleared by the commit worker; atomic bits)
 * @free_data: records below 256 free (map->lock)
 * @free_zero: zero-only records free (map->lock)
 * @used: records in use or being freed (map->lock)
 * @page: state of the pages; of the commit worker, set at load.  Others:
 *	hcv_map_page_kept()
 * @priv: the owner's replica positions (replicate.c)
 * @held: blocks that the temporary replica holds, NULL: it has not got the
 *	extent (RCU, changed under @lock)
 * @slot: the records
 */
struct hcv_ext {
	spinlock_t lock;	/* see above */
	struct list_head node;
	struct list_head fnode;
	struct llist_node dnode;
	u32 index;
	u8 column;
	unsigned long flags;
	unsigned long dirty;
	u16 free_data;
	u16 free_zero;
	unsigned long used[BITS_TO_LONGS(HCV_EXTENT_RECORDS)];
	struct hcv_pagepos page[HCV_EXTENT_PAGES];
	void *priv;
	struct hcv_held __rcu *held;
	struct hcv_slot slot[HCV_EXTENT_RECORDS];
};

/** struct hcv_mibent - what is known of one megabyte of the volume */
struct hcv_mibent {
	struct hcv_slot __rcu *slot;
	struct hcv_hot __rcu *hot;
};

/**
 * struct hcv_leaf - 512 megabytes of the volume
 * @ent: one entry a mib
 * @cur: mibs written since the last FLUSH round began (atomic bits; cleared
 *	under map->lock)
 * @flushing: mibs that the running round makes durable (map->lock)
 * @listed: bit 0: on map->unflushed; bit 1: on map->wanted
 * @unode: on map->unflushed
 * @logged: mibs that the activity log of every replica names (atomic bits)
 * @want: mibs that somebody waits for it to name (atomic bits)
 * @wnode: on map->wanted
 * @base: first mib
 */
struct hcv_leaf {
	struct hcv_mibent ent[HCV_LEAF_MIBS];
	unsigned long cur[HCV_LEAF_WORDS];
	unsigned long flushing[HCV_LEAF_WORDS];
	unsigned long listed;
	struct llist_node unode;
	unsigned long logged[HCV_LEAF_WORDS];
	unsigned long want[HCV_LEAF_WORDS];
	struct llist_node wnode;
	u32 base;
};

struct hcv_dir {
	struct rcu_head rcu;
	u32 nr;
	struct hcv_leaf __rcu *leaf[];
};

/**
 * struct hcv_map - the map of a volume
 * @lock: see above
 * @dir: the table (RCU, map->lock)
 * @exts: all extents (map->lock)
 * @avail: extents with free data slots, per column (map->lock)
 * @retired: extents of which nothing is taken any more (map->lock)
 * @nr_retired: how many
 * @nr_unsettled: of them not settled yet
 * @by_index: extents by index (RCU readers, map->lock)
 * @nr_index: size of @by_index
 * @nr_exts: number of extents, retired ones too
 * @next_index: above all indexes that it ever had
 * @stripe: columns
 * @cur_gen: generation that writes go to
 * @gens: generations of this lineage, newest first; [0] == @cur_gen
 * @nr_gens: number of them
 * @next_seq: next allocation sequence (map->lock)
 * @v: the record's version; stamps follow it (READ_ONCE)
 * @volume: UUID
 * @lineage: lineage id
 * @dirty_lock: see above
 * @dirty: extents with dirty pages (map->dirty_lock)
 * @unflushed: leaves with bits in @cur
 * @wanted: leaves with bits in @want
 * @freeing: slots that nothing refers to any more (map->lock)
 * @nr_dropped: records that were dropped at load and are on the media until a
 *	round has ended well (map->lock)
 * @used_slots: slots with data (map->lock)
 * @nr_held: blocks that the temporary replica holds (atomic)
 * @bytes: memory of leaves, extents, bitmaps (atomic)
 */
struct hcv_map {
	spinlock_t lock;	/* see above */
	struct hcv_dir __rcu *dir;
	struct list_head exts;
	struct list_head avail[HCV_MAX_COLUMNS];
	struct list_head retired;
	u32 nr_retired;
	u32 nr_unsettled;
	struct hcv_ext **by_index;
	u32 nr_index;
	u32 nr_exts;
	u32 next_index;
	u32 stripe;
	u32 cur_gen;
	u32 *gens;
	u32 nr_gens;
	u64 next_seq;
	u64 v;
	u8 volume[HCV_UUID_SIZE];
	u64 lineage;
	spinlock_t dirty_lock;	/* see above */
	struct llist_head dirty;
	struct llist_head unflushed;
	struct llist_head wanted;
	struct hcv_slot *freeing;
	u32 nr_dropped;
	u64 used_slots;
	atomic_long_t nr_held;
	atomic_long_t bytes;
};

/**
 * struct hcv_run - consecutive blocks that come from one place
 * @slot: NULL: the blocks read as zero
 * @nr: blocks, at least 1
 */
struct hcv_run {
	struct hcv_slot *slot;
	u32 nr;
};

/**
 * hcv_map_init() - an empty map
 * @mibs: size of the volume in mibs, rounded up
 *
 * Context: process. Return: 0, -ENOMEM, -EFBIG.
 */
int hcv_map_init(struct hcv_map *map, const u8 *volume, u64 lineage, u32 stripe,
		 u64 mibs);
/** hcv_map_destroy() - free everything; no I/O is left */
void hcv_map_destroy(struct hcv_map *map);
/** hcv_map_grow() - room for @mibs; lookups go on meanwhile */
int hcv_map_grow(struct hcv_map *map, u64 mibs);

/**
 * hcv_map_ext_new() - allocate an extent; hcv_map_ext_add() makes it usable
 *
 * Context: process, GFP_NOIO.
 */
struct hcv_ext *hcv_map_ext_new(struct hcv_map *map, u32 index, u8 column);
void hcv_map_ext_free(struct hcv_map *map, struct hcv_ext *ext);
/**
 * hcv_map_ext_room() - have hcv_map_ext_add() of @index allocate nothing
 *
 * Context: process, GFP_NOIO. Return: 0, -ENOMEM, -ERANGE.
 */
int hcv_map_ext_room(struct hcv_map *map, u32 index);
/** hcv_map_ext_add() - -EEXIST, -ENOMEM, -ERANGE; see hcv_map_ext_room() */
int hcv_map_ext_add(struct hcv_map *map, struct hcv_ext *ext);
/** hcv_map_ext_find() - by index, or NULL; process context, no lock */
struct hcv_ext *hcv_map_ext_find(struct hcv_map *map, u32 index);
/**
 * hcv_map_load_page() - put the records of a checked page into the map
 * @buf: the newest valid copy of page @page
 *
 * Of two slots with one (mib, gen) the higher sequence stays, the other one is
 * freed.  Until a round has taken it off the media the first is not reaped: it
 * must not leave them before.  Refused are a generation that is not of the lineage, a
 * mib of another column, a stamp beyond v, two equal sequences, and a page that
 * was loaded before.  Context: process, before the volume serves.
 * Return: 0, -EUCLEAN a record is bad, -ENOMEM, -ERANGE a mib beyond the end.
 */
int hcv_map_load_page(struct hcv_map *map, struct hcv_ext *ext, u32 page,
		      const void *buf);

/** hcv_map_slot_ext() - the extent that @slot is part of */
static inline struct hcv_ext *hcv_map_slot_ext(struct hcv_slot *slot)
{
	return container_of(slot - slot->rec, struct hcv_ext, slot[0]);
}

/** hcv_map_leaf() - leaf of a mib, or NULL; under rcu_read_lock() */
static inline struct hcv_leaf *hcv_map_leaf(struct hcv_map *map, u32 mib)
{
	struct hcv_dir *dir = rcu_dereference(map->dir);

	if (mib >> HCV_LEAF_SHIFT >= dir->nr)
		return NULL;
	return rcu_dereference(dir->leaf[mib >> HCV_LEAF_SHIFT]);
}

/**
 * hcv_map_leaf_make() - make the leaf of a mib
 * @gfp: GFP_NOWAIT or GFP_NOIO
 *
 * Return: 0 also when it is there, -ENOMEM, -ERANGE.
 */
int hcv_map_leaf_make(struct hcv_map *map, u32 mib, gfp_t gfp);

/** hcv_map_current() - slot of the current generation, or NULL; RCU */
static inline struct hcv_slot *hcv_map_current(struct hcv_map *map,
					       struct hcv_mibent *ent)
{
	struct hcv_slot *slot = rcu_dereference(ent->slot);

	return slot && slot->gen == READ_ONCE(map->cur_gen) ? slot : NULL;
}

/** hcv_map_has() - whether all of [blk, blk + nr) is data in @slot; RCU */
bool hcv_map_has(struct hcv_slot *slot, u32 blk, u32 nr);
/** hcv_map_resolve() - where block @blk comes from, and how many alike; RCU */
void hcv_map_resolve(struct hcv_mibent *ent, u32 blk, u32 nr,
		     struct hcv_run *run);

/**
 * hcv_map_take() - slot of the current generation for a mib, taken if need be
 * @gfp: GFP_NOWAIT or GFP_NOIO for the bitmaps
 *
 * The leaf exists. Context: any. The caller holds a busy bit of the mib or is
 * alone.
 * Return: the slot, or ERR_PTR: -ENOSPC no free slot in the mib's column,
 * -ENOMEM.
 */
struct hcv_slot *hcv_map_take(struct hcv_map *map, u32 mib, gfp_t gfp);
/** hcv_map_written() - a write of [blk, blk + nr) has completed; any context */
void hcv_map_written(struct hcv_map *map, struct hcv_slot *slot, u32 blk,
		     u32 nr);
/** hcv_map_stamp() - give @slot the present v; after hcv_map_mark() */
void hcv_map_stamp(struct hcv_map *map, struct hcv_slot *slot);
/**
 * hcv_map_dirty() - the page of @slot must be written by the next commit
 *
 * Every round that begins after the return has the page, whoever made it dirty.
 * Context: any; not under map->dirty_lock.
 */
void hcv_map_dirty(struct hcv_map *map, struct hcv_slot *slot);
/**
 * hcv_map_dirty_take() - a round begins: the extents with dirty pages
 *
 * After hcv_map_freed().  For each of them the caller clears HCV_EXT_LISTED, has
 * a barrier and looks at its dirty bits.  Return: a list of dnode, or NULL.
 */
struct llist_node *hcv_map_dirty_take(struct hcv_map *map);

/**
 * hcv_map_clear() - blocks [blk, blk + nr) of a mib read as zero from now on
 * @discard: they may as well go on reading as they do (DISCARD over an older
 *	layer without a slot)
 * @gfp: for bitmaps
 *
 * Context: any; the caller holds the busy bits.
 * Return: 0, -ENOSPC, -ENOMEM.
 */
int hcv_map_clear(struct hcv_map *map, u32 mib, u32 blk, u32 nr, bool discard,
		  gfp_t gfp);
/** hcv_map_is_empty() - whether the mib's slot may be reaped; approximate */
bool hcv_map_is_empty(struct hcv_map *map, u32 mib);
/**
 * hcv_map_reap() - take a slot without data, over no older layer, out
 *
 * Does nothing if that is not so any more, nor while an older record of the mib
 * that was dropped at load is on the media. It goes to map->freeing.
 * Context: any; the caller holds the busy bits of the whole mib.
 */
void hcv_map_reap(struct hcv_map *map, u32 mib);
/**
 * hcv_map_freed() - take the list of freed slots; their pages are dirty
 *
 * They may be given back once these pages are durable on all replicas, and all
 * I/O that began before this call has ended.  Superseded ones are on the list
 * twice: first until their successors are durable, then as freed ones.
 */
struct hcv_slot *hcv_map_freed(struct hcv_map *map);
/** hcv_map_unfreed() - put such a list back: the pages were not written */
void hcv_map_unfreed(struct hcv_map *map, struct hcv_slot *list);
/** hcv_map_give_back() - the slots of the list may be taken again */
void hcv_map_give_back(struct hcv_map *map, struct hcv_slot *list);

/** hcv_map_mark() - @mib was written since the last FLUSH; any context, RCU */
void hcv_map_mark(struct hcv_map *map, struct hcv_leaf *leaf, u32 mib);
/**
 * hcv_map_round_begin() - a flush round begins: cur becomes flushing
 * hcv_map_round_end() - it ended; @ok: forget, else they are unflushed again
 *
 * Context: the commit worker alone.
 */
struct llist_node *hcv_map_round_begin(struct hcv_map *map);
void hcv_map_round_end(struct hcv_map *map, struct llist_node *leaves, bool ok);
/** hcv_map_unflushed() - number of unflushed mibs; approximate */
u32 hcv_map_unflushed(struct hcv_map *map);
/**
 * hcv_map_bump() - v grew because a replica left or the owner changed
 *
 * Stamps all unflushed mibs' slots, of all generations, with the new v, so that the copy that left
 * never compares equal to them.  Writes go on meanwhile: each one that was
 * marked before its end has the new v as stamp when both are over.
 * Context: process or softirq.
 */
void hcv_map_bump(struct hcv_map *map, u64 v);

/*
 * What the activity log names (map_log.c).  A writer marks its mib, then looks at
 * hcv_map_logged(), all under its busy bits; whoever drops an entry takes
 * it back first, has a barrier, and looks at busy bits and marks then.
 */

/** hcv_map_logged() - whether data of the mib may go; under busy bits of it */
static inline bool hcv_map_logged(const struct hcv_leaf *leaf, u32 mib)
{
	return test_bit(mib % HCV_LEAF_MIBS, leaf->logged);
}

/** hcv_map_log_want() - somebody waits for @mib to be named; any context, RCU */
void hcv_map_log_want(struct hcv_map *map, struct hcv_leaf *leaf, u32 mib);
/**
 * hcv_map_log_take() - mibs that are waited for
 * @mib: room for @max
 *
 * Each want is taken once; what there is no room for stays.
 * Context: one at a time.  Return: how many.
 */
u32 hcv_map_log_take(struct hcv_map *map, u32 *mib, u32 max);
/** hcv_map_is_logged() - whether @mib is named; not that it stays so */
bool hcv_map_is_logged(struct hcv_map *map, u32 mib);
/** hcv_map_log_set() - @mib is named on every replica from now on */
void hcv_map_log_set(struct hcv_map *map, u32 mib);
/**
 * hcv_map_log_reset() - it is not any more: data of it wait again
 *
 * A full barrier, if it was.  Return: whether it was.
 */
bool hcv_map_log_reset(struct hcv_map *map, u32 mib);
/** hcv_map_is_unflushed() - since the last round, or in the running one */
bool hcv_map_is_unflushed(struct hcv_map *map, u32 mib);
/**
 * hcv_map_name() - a log that was found names @mib: it counts as unflushed
 *
 * Before the volume serves.  Return: 0, also beyond the end, or -ENOMEM.
 */
int hcv_map_name(struct hcv_map *map, u32 mib);
/** hcv_map_name_all() - all mibs that have a slot count as unflushed */
void hcv_map_name_all(struct hcv_map *map);

/**
 * hcv_map_encode() - copy page @page of @ext into @buf
 * @seq: sequence for the page
 * @place: place it will go to
 *
 * Clears the page's dirty bit before it looks at the first record.
 */
void hcv_map_encode(struct hcv_map *map, struct hcv_ext *ext, u32 page,
		    u64 epoch, u64 seq, u32 place, void *buf);
/**
 * struct hcv_map_image - images of a page to be made
 * @epoch: for the page
 * @seq: sequence for the page
 * @place: place that they will go to
 * @buf: for full copies
 * @temp: for the temporary replica, or NULL
 * @life: hcv_map_held_life() of the extent, when there is @temp
 */
struct hcv_map_image {
	u64 epoch;
	u64 seq;
	u32 place;
	void *buf;
	void *temp;
	u64 life;
};

/**
 * hcv_map_encode_both() - hcv_map_encode(), for a temporary replica too
 *
 * Both images are of the same instant, record by record: what is held is never
 * newer than what the record says of it.  If another temporary replica has taken
 * the place of @img->life meanwhile its image holds no data.
 */
void hcv_map_encode_both(struct hcv_map *map, struct hcv_ext *ext, u32 page,
			 const struct hcv_map_image *img);
/**
 * hcv_map_page_next() - what the next image of a page is called
 * @seq: its sequence
 *
 * Never the place of the newest image that all replicas have: torn there, it
 * would leave a replica with an older one.  Context: commit worker, load.
 * Return: its place.
 */
u8 hcv_map_page_next(const struct hcv_pagepos *pos, u64 *seq);
/**
 * hcv_map_page_sent() - that image was sent
 * @good: it is durable on every replica that takes part
 *
 * Otherwise some have it and some do not, and the next one takes its place.
 */
void hcv_map_page_sent(struct hcv_pagepos *pos, u64 seq, u8 place, bool good);
/**
 * hcv_map_page_kept() - the place of the image that all replicas have
 * @seq: to be compared later: as long as it is the same, nothing was sent to
 *	that place since
 *
 * Context: any, beside the commit worker.  Return: false: there is none.
 */
bool hcv_map_page_kept(const struct hcv_pagepos *pos, u64 *seq, u8 *place);
/** hcv_map_record() - one record as the page copier would write it */
void hcv_map_record(struct hcv_ext *ext, u32 rec, struct hcv_rec *out);
/** hcv_map_ready() - extents of a column without data, not retired */
u32 hcv_map_ready(struct hcv_map *map, u32 column);
/** hcv_map_idle() - those of them without any record: may be retired */
u32 hcv_map_idle(struct hcv_map *map, u32 column);
/** hcv_map_free_slots() - free data slots of a column */
u32 hcv_map_free_slots(struct hcv_map *map, u32 column);

/*
 * What the temporary replica holds (map_temp.c; sparse.h says what its pages
 * make of it).  There is one at most.  A slot that is taken while its extent
 * has these bits is held, all of it; a freed one is not.  Blocks that are cleared
 * are held from then on.
 */

/**
 * hcv_map_held_new() - room for what is held of an extent: nothing so far
 *
 * Context: process, GFP_NOIO.  Return: NULL: no memory.
 */
struct hcv_held *hcv_map_held_new(struct hcv_map *map, u64 life);
/** hcv_map_held_free() - of one that is no extent's; NULL is allowed */
void hcv_map_held_free(struct hcv_map *map, struct hcv_held *held);
/** hcv_map_held_put() - it is @ext's from now on; it has none yet */
void hcv_map_held_put(struct hcv_ext *ext, struct hcv_held *held);
/**
 * hcv_map_held_drop() - there is no temporary replica of @ext any more
 *
 * Who sets bits at this moment may still count them: map->nr_held is to be set to
 * 0 a grace period after the last extent's were dropped.
 */
void hcv_map_held_drop(struct hcv_map *map, struct hcv_ext *ext);
/**
 * hcv_map_held_reset() - nothing is held
 *
 * What is written, cleared or taken meanwhile may be held or not when it returns:
 * it has a stamp for which it is filled.
 */
void hcv_map_held_reset(struct hcv_map *map, struct hcv_ext *ext);
/** hcv_map_held_life() - whose bits @ext has, 0: it has none; any context */
u64 hcv_map_held_life(struct hcv_ext *ext);
/**
 * hcv_map_hold() - blocks [blk, blk + nr) of @slot are held from now on
 *
 * Their data are on the temporary replica, in its cache at least, be they those of
 * a write that is not acknowledged yet.  The caller holds their busy bits.  Any
 * context.
 */
void hcv_map_hold(struct hcv_map *map, struct hcv_slot *slot, u32 blk, u32 nr);
/** hcv_map_holds_all() - whether all blocks of record @rec < 256 are; any context */
bool hcv_map_holds_all(struct hcv_ext *ext, u32 rec);

/*
 * Giving extents back (map_retire.c).  An extent is idle when none of its
 * records is in use or being freed.  Retired, none is taken any more.  It is
 * settled when a round that began after that has ended well: then no page of
 * it is dirty, or on its way to a replica, and nothing makes one dirty.
 * Whoever retires extents sees to it that no resync touches them meanwhile.
 */

/**
 * hcv_map_retire() - retire idle extents of a column
 * @nr: at most so many
 * @keep: indexes of extents that are not to be taken, @nr_keep of them
 *
 * Return: how many were retired.
 */
u32 hcv_map_retire(struct hcv_map *map, u32 column, u32 nr, const u32 *keep,
		   u32 nr_keep);
/** hcv_map_unretire() - it is usable again, if it was retired */
void hcv_map_unretire(struct hcv_map *map, struct hcv_ext *ext);
/**
 * hcv_map_forget() - take a settled extent out of the map
 *
 * The caller frees it after a grace period.
 * Return: 0, -EBUSY it is not settled.
 */
int hcv_map_forget(struct hcv_map *map, struct hcv_ext *ext);
/** hcv_map_retired() - indexes of extents that are retired, and settled or not
 * @index: room for HCV_MAP_RETIRED_MAX
 *
 * Return: how many.
 */
u32 hcv_map_retired(struct hcv_map *map, bool settled, u32 *index);
/**
 * hcv_map_settle_begin() - a round begins; before it looks at map->dirty
 * hcv_map_settle_end() - it ended; @ok: well
 *
 * Context: the commit worker alone.
 */
void hcv_map_settle_begin(struct hcv_map *map);
void hcv_map_settle_end(struct hcv_map *map, bool ok);

#endif /* HCV_CORE_MAP_H */
