// SPDX-License-Identifier: GPL-2.0-only
/*
 * The slots of a volume's map: taken at the first write, changed, freed.
 */
#include "map.h"
#include "map_priv.h"

/*
 * Nothing reads from @slot any more; map->lock held.
 * @flag: HCV_SLOT_FREEING or HCV_SLOT_SUPERSEDED
 */
static void map_unlink(struct hcv_map *map, struct hcv_mibent *ent,
		       struct hcv_slot *slot, u8 flag)
{
	struct hcv_ext *ext = hcv_map_slot_ext(slot);

	hcv_map_layer_del(ent, slot);
	spin_lock(&ext->lock);
	slot->flags = flag;
	slot->next = map->freeing;
	if (flag == HCV_SLOT_FREEING)
		hcv_map_unhold(map, slot);
	spin_unlock(&ext->lock);
	map->freeing = slot;
	if (flag == HCV_SLOT_FREEING)
		hcv_map_dirty(map, slot);
}

/* A free record for the current generation; map->lock held. */
static struct hcv_slot *map_pick(struct hcv_map *map, u32 mib, bool zero_only)
{
	u32 col = mib % map->stripe;
	struct hcv_ext *ext;
	u32 rec;

	if (zero_only) {
		list_for_each_entry(ext, &map->exts, node) {
			if (ext->column != col || !ext->free_zero ||
			    test_bit(HCV_EXT_RETIRED, &ext->flags))
				continue;
			rec = find_next_zero_bit(ext->used, HCV_EXTENT_RECORDS,
						 HCV_EXTENT_SLOTS);
			return &ext->slot[rec];
		}
	}
	ext = list_first_entry_or_null(&map->avail[col], struct hcv_ext, fnode);
	if (!ext)
		return NULL;
	rec = find_first_zero_bit(ext->used, HCV_EXTENT_SLOTS);
	return &ext->slot[rec];
}

static void map_install(struct hcv_map *map, struct hcv_mibent *ent,
			struct hcv_slot *slot, u32 mib, struct hcv_bm *bm)
{
	struct hcv_ext *ext = hcv_map_slot_ext(slot);

	hcv_map_count_used(map, ext, slot->rec);
	spin_lock(&ext->lock);
	slot->mib = mib;
	slot->gen = map->cur_gen;
	slot->seq = map->next_seq++;
	WRITE_ONCE(slot->stamp, READ_ONCE(map->v));
	slot->flags = HCV_SLOT_USED;
	rcu_assign_pointer(slot->bm, bm);
	/* Whoever writes its first data has a leg to the temporary replica. */
	hcv_map_hold_bits(map, slot, 0, HCV_SLOT_BLOCKS);
	spin_unlock(&ext->lock);
	hcv_map_layer_add(map, ent, slot);
}

/*
 * What the zero-only record @old says moves to @slot, which lies on another
 * page.  Whichever of the two pages is written first, the zeroes must not be
 * lost: @old stays on the media until that of @slot is durable, and of two
 * records the higher sequence counts.  map->lock held.
 */
static void map_upgrade(struct hcv_map *map, struct hcv_mibent *ent,
			struct hcv_slot *old, struct hcv_slot *slot)
{
	map_unlink(map, ent, old, HCV_SLOT_SUPERSEDED);
	hcv_map_dirty(map, slot);
}

/*
 * The slot of the current generation, taken if need be; map->lock held.
 * Return: NULL: it takes *@spare, and that is NULL; ERR_PTR(-ENOSPC).
 */
static struct hcv_slot *map_take(struct hcv_map *map, u32 mib, bool zero_only,
				 struct hcv_bm **spare)
{
	struct hcv_mibent *ent = hcv_map_entry(map, mib);
	struct hcv_bm *bm = *spare, *obm;
	struct hcv_slot *slot, *old;

	old = rcu_dereference_protected(ent->slot, true);
	if (old && old->gen != map->cur_gen)
		old = NULL;
	if (old && (zero_only || old->rec < HCV_EXTENT_SLOTS))
		return old;
	slot = map_pick(map, mib, zero_only);
	if (!slot)
		return ERR_PTR(-ENOSPC);
	if (!bm)
		return NULL;
	*spare = NULL;
	if (old) {
		/* Only changed under map->lock: there are no data in it. */
		obm = rcu_dereference_protected(old->bm, true);
		memcpy(bm->zero, obm->zero, sizeof(bm->zero));
	}
	map_install(map, ent, slot, mib, bm);
	if (old)
		map_upgrade(map, ent, old, slot);
	return slot;
}

struct hcv_slot *hcv_map_take(struct hcv_map *map, u32 mib, gfp_t gfp)
{
	struct hcv_bm *spare = NULL;
	struct hcv_slot *slot;
	unsigned long flags;

	for (;;) {
		spin_lock_irqsave(&map->lock, flags);
		slot = map_take(map, mib, false, &spare);
		spin_unlock_irqrestore(&map->lock, flags);
		if (slot)
			break;
		spare = hcv_map_bm_alloc(map, gfp);
		if (!spare)
			return ERR_PTR(-ENOMEM);
	}
	if (spare)
		hcv_map_bm_free(map, spare);
	return slot;
}

void hcv_map_stamp(struct hcv_map *map, struct hcv_slot *slot)
{
	unsigned long flags;
	u64 v;

	/* Pairs with hcv_map_bump(): the mib's mark first, v then. */
	smp_mb();
	v = READ_ONCE(map->v);
	/*
	 * Who finds it there relies on the next round to write it, as with a
	 * dirty bit; so the page is dirty before the lock is left.
	 */
	if (READ_ONCE(slot->stamp) >= v)
		return;
	spin_lock_irqsave(&map->dirty_lock, flags);
	/* Never back: v may grow, and be stamped, once it was read here. */
	if (slot->stamp < v) {
		WRITE_ONCE(slot->stamp, v);
		hcv_map_dirty_locked(map, slot);
	}
	spin_unlock_irqrestore(&map->dirty_lock, flags);
}

void hcv_map_written(struct hcv_map *map, struct hcv_slot *slot, u32 blk,
		     u32 nr)
{
	bool changed = false;
	struct hcv_bm *bm;
	u32 i;

	rcu_read_lock();
	bm = rcu_dereference(slot->bm);
	for (i = blk; bm && i < blk + nr; i++) {
		if (!test_bit(i, bm->data)) {
			set_bit(i, bm->data);
			changed = true;
		}
		if (test_bit(i, bm->zero)) {
			/* Data first: hcv_map_record() reads zero first. */
			smp_mb__before_atomic();
			clear_bit(i, bm->zero);
		}
	}
	rcu_read_unlock();
	if (changed)
		hcv_map_dirty(map, slot);
	hcv_map_stamp(map, slot);
}

/*
 * Full becomes partial with all blocks data; ext->lock held.
 * Return: NULL: it takes *@spare, and that is NULL.
 */
static struct hcv_bm *map_demote(struct hcv_slot *slot, struct hcv_bm **spare)
{
	struct hcv_bm *bm = rcu_dereference_protected(slot->bm, true);

	if (bm)
		return bm;
	bm = *spare;
	if (!bm)
		return NULL;
	*spare = NULL;
	memset(bm->data, 0xff, sizeof(bm->data));
	rcu_assign_pointer(slot->bm, bm);
	return bm;
}

static bool map_older_knows(struct hcv_slot *slot, u32 blk)
{
	struct hcv_slot *old = rcu_dereference(slot->older);

	for (; old; old = rcu_dereference(old->older))
		if (hcv_map_state(old, blk))
			return true;
	return false;
}

/* Clear blocks of a slot; map->lock held. -EAGAIN: it takes *@spare. */
static int map_clear_bits(struct hcv_map *map, struct hcv_slot *slot, u32 blk,
			  u32 nr, struct hcv_bm **spare)
{
	struct hcv_ext *ext = hcv_map_slot_ext(slot);
	struct hcv_bm *bm;
	u32 i;

	spin_lock(&ext->lock);
	rcu_read_lock();
	bm = map_demote(slot, spare);
	for (i = blk; bm && i < blk + nr; i++) {
		/* Zero before data goes, for readers and for races. */
		if (map_older_knows(slot, i))
			set_bit(i, bm->zero);
		/* hcv_map_state() looks at data first. */
		smp_mb__before_atomic();
		clear_bit(i, bm->data);
		if (!map_older_knows(slot, i))
			clear_bit(i, bm->zero);
	}
	/* The caller makes the page dirty. */
	if (bm)
		hcv_map_hold_bits(map, slot, blk, nr);
	rcu_read_unlock();
	spin_unlock(&ext->lock);
	return bm ? 0 : -EAGAIN;
}

/* The current slot of a mib if nothing is in it; map->lock held. */
static struct hcv_slot *map_empty_slot(struct hcv_map *map,
				       struct hcv_mibent *ent)
{
	struct hcv_slot *slot = rcu_dereference_protected(ent->slot, true);
	struct hcv_bm *bm;

	if (!slot || slot->gen != map->cur_gen ||
	    (map->nr_dropped && slot->flags & HCV_SLOT_DOUBLE) ||
	    rcu_access_pointer(slot->older))
		return NULL;
	bm = rcu_dereference_protected(slot->bm, true);
	return bm && bitmap_empty(bm->data, HCV_SLOT_BLOCKS) ? slot : NULL;
}

bool hcv_map_is_empty(struct hcv_map *map, u32 mib)
{
	struct hcv_mibent *ent;
	unsigned long flags;
	bool empty;

	spin_lock_irqsave(&map->lock, flags);
	ent = hcv_map_entry(map, mib);
	empty = ent && map_empty_slot(map, ent);
	spin_unlock_irqrestore(&map->lock, flags);
	return empty;
}

void hcv_map_reap(struct hcv_map *map, u32 mib)
{
	struct hcv_mibent *ent;
	struct hcv_slot *slot;
	unsigned long flags;

	spin_lock_irqsave(&map->lock, flags);
	ent = hcv_map_entry(map, mib);
	slot = ent ? map_empty_slot(map, ent) : NULL;
	if (slot)
		map_unlink(map, ent, slot, HCV_SLOT_FREEING);
	spin_unlock_irqrestore(&map->lock, flags);
}

/* map->lock held. -EAGAIN: it takes *@spare. */
static int map_clear(struct hcv_map *map, u32 mib, u32 blk, u32 nr,
		     bool discard, struct hcv_bm **spare)
{
	struct hcv_mibent *ent = hcv_map_entry(map, mib);
	struct hcv_slot *slot;
	int ret;

	slot = ent ? rcu_dereference_protected(ent->slot, true) : NULL;
	if (!slot || (discard && slot->gen != map->cur_gen))
		return 0;
	slot = map_take(map, mib, true, spare);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	ret = slot ? map_clear_bits(map, slot, blk, nr, spare) : -EAGAIN;
	if (ret)
		return ret;
	hcv_map_dirty(map, slot);
	hcv_map_stamp(map, slot);
	return 0;
}

int hcv_map_clear(struct hcv_map *map, u32 mib, u32 blk, u32 nr, bool discard,
		  gfp_t gfp)
{
	struct hcv_bm *spare = NULL;
	unsigned long flags;
	int ret;

	for (;;) {
		spin_lock_irqsave(&map->lock, flags);
		ret = map_clear(map, mib, blk, nr, discard, &spare);
		spin_unlock_irqrestore(&map->lock, flags);
		if (ret != -EAGAIN)
			break;
		spare = hcv_map_bm_alloc(map, gfp);
		if (!spare)
			return -ENOMEM;
	}
	if (spare)
		hcv_map_bm_free(map, spare);
	return ret;
}

struct hcv_slot *hcv_map_freed(struct hcv_map *map)
{
	struct hcv_slot *list;
	unsigned long flags;

	spin_lock_irqsave(&map->lock, flags);
	list = map->freeing;
	map->freeing = NULL;
	spin_unlock_irqrestore(&map->lock, flags);
	return list;
}

void hcv_map_unfreed(struct hcv_map *map, struct hcv_slot *list)
{
	struct hcv_slot *last = list;
	unsigned long flags;

	if (!list)
		return;
	while (last->next)
		last = last->next;
	spin_lock_irqsave(&map->lock, flags);
	last->next = map->freeing;
	map->freeing = list;
	spin_unlock_irqrestore(&map->lock, flags);
}

/* map->lock held. */
static void map_give_back(struct hcv_map *map, struct hcv_slot *slot)
{
	struct hcv_ext *ext = hcv_map_slot_ext(slot);

	if (slot->flags == HCV_SLOT_SUPERSEDED) {
		/* Its successor is durable: now it may leave the media. */
		spin_lock(&ext->lock);
		slot->flags = HCV_SLOT_FREEING;
		slot->next = map->freeing;
		spin_unlock(&ext->lock);
		map->freeing = slot;
		hcv_map_dirty(map, slot);
		return;
	}
	spin_lock(&ext->lock);
	slot->flags = 0;
	hcv_map_drop_bm(map, slot);
	spin_unlock(&ext->lock);
	hcv_map_count_free(map, ext, slot->rec);
}

void hcv_map_give_back(struct hcv_map *map, struct hcv_slot *list)
{
	struct hcv_slot *next;
	unsigned long flags;

	for (; list; list = next) {
		next = list->next;
		spin_lock_irqsave(&map->lock, flags);
		map_give_back(map, list);
		spin_unlock_irqrestore(&map->lock, flags);
	}
}
