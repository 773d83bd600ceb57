// SPDX-License-Identifier: GPL-2.0-only
/*
 * The extent map of an attached volume: table, extents, lookups.  See map.h
 * for the rules; map_slot.c takes and frees slots, map_round.c knows what is
 * not flushed, map_page.c turns metadata pages into the map and back,
 * map_retire.c gives extents back, map_temp.c knows what a temporary replica
 * holds.
 */
#include "map.h"
#include "map_priv.h"

#define HCV_MIBS_MAX	BIT_ULL(32)

static struct hcv_dir *map_dir_alloc(struct hcv_map *map, u64 mibs)
{
	u64 nr = DIV_ROUND_UP_ULL(mibs, HCV_LEAF_MIBS);
	struct hcv_dir *dir;

	dir = kvzalloc(struct_size(dir, leaf, nr), GFP_KERNEL);
	if (dir) {
		dir->nr = nr;
		hcv_map_account(map, struct_size(dir, leaf, nr));
	}
	return dir;
}

int hcv_map_init(struct hcv_map *map, const u8 *volume, u64 lineage, u32 stripe,
		 u64 mibs)
{
	struct hcv_dir *dir;
	int i;

	memset(map, 0, sizeof(*map));
	if (!mibs || mibs > HCV_MIBS_MAX)
		return -EFBIG;
	spin_lock_init(&map->lock);
	spin_lock_init(&map->dirty_lock);
	INIT_LIST_HEAD(&map->exts);
	for (i = 0; i < HCV_MAX_COLUMNS; i++)
		INIT_LIST_HEAD(&map->avail[i]);
	INIT_LIST_HEAD(&map->retired);
	init_llist_head(&map->dirty);
	init_llist_head(&map->unflushed);
	init_llist_head(&map->wanted);
	memcpy(map->volume, volume, HCV_UUID_SIZE);
	map->lineage = lineage;
	map->stripe = stripe;
	map->next_seq = 1;

	map->gens = kzalloc(sizeof(*map->gens), GFP_KERNEL);
	if (!map->gens)
		return -ENOMEM;
	map->gens[0] = 1;
	map->nr_gens = 1;
	map->cur_gen = 1;

	dir = map_dir_alloc(map, mibs);
	if (!dir) {
		kfree(map->gens);
		map->gens = NULL;
		return -ENOMEM;
	}
	rcu_assign_pointer(map->dir, dir);
	return 0;
}

void hcv_map_ext_free(struct hcv_map *map, struct hcv_ext *ext)
{
	int i;

	hcv_map_held_drop(map, ext);
	for (i = 0; i < HCV_EXTENT_RECORDS; i++)
		hcv_map_drop_bm(map, &ext->slot[i]);
	hcv_map_account(map, -(long)sizeof(*ext));
	kvfree(ext);
}

void hcv_map_destroy(struct hcv_map *map)
{
	struct hcv_dir *dir = rcu_dereference_protected(map->dir, true);
	struct hcv_ext *ext, *tmp;
	u32 i;

	if (!dir)
		return;
	list_for_each_entry_safe(ext, tmp, &map->exts, node)
		hcv_map_ext_free(map, ext);
	for (i = 0; i < dir->nr; i++)
		kvfree(rcu_dereference_protected(dir->leaf[i], true));
	kvfree(dir);
	kvfree(map->by_index);
	kfree(map->gens);
	RCU_INIT_POINTER(map->dir, NULL);
}

int hcv_map_grow(struct hcv_map *map, u64 mibs)
{
	struct hcv_dir *old, *dir;
	unsigned long flags;
	u32 i;

	if (mibs > HCV_MIBS_MAX)
		return -EFBIG;
	dir = map_dir_alloc(map, mibs);
	if (!dir)
		return -ENOMEM;
	/* Copy under the lock: hcv_map_leaf_make() adds leaves under it. */
	spin_lock_irqsave(&map->lock, flags);
	old = rcu_dereference_protected(map->dir, true);
	if (old->nr >= dir->nr) {
		spin_unlock_irqrestore(&map->lock, flags);
		hcv_map_account(map, -(long)struct_size(dir, leaf, dir->nr));
		kvfree(dir);
		return 0;
	}
	for (i = 0; i < old->nr; i++)
		RCU_INIT_POINTER(dir->leaf[i],
				 rcu_dereference_protected(old->leaf[i], true));
	rcu_assign_pointer(map->dir, dir);
	spin_unlock_irqrestore(&map->lock, flags);
	hcv_map_account(map, -(long)struct_size(old, leaf, old->nr));
	kvfree_rcu(old, rcu);
	return 0;
}

struct hcv_ext *hcv_map_ext_new(struct hcv_map *map, u32 index, u8 column)
{
	struct hcv_ext *ext;
	int i;

	ext = kvzalloc(sizeof(*ext), GFP_NOIO);
	if (!ext)
		return NULL;
	hcv_map_account(map, sizeof(*ext));
	spin_lock_init(&ext->lock);
	INIT_LIST_HEAD(&ext->node);
	INIT_LIST_HEAD(&ext->fnode);
	ext->index = index;
	ext->column = column;
	ext->free_data = HCV_EXTENT_SLOTS;
	ext->free_zero = HCV_EXTENT_RECORDS - HCV_EXTENT_SLOTS;
	for (i = 0; i < HCV_EXTENT_RECORDS; i++)
		ext->slot[i].rec = i;
	return ext;
}

static int map_index_grow(struct hcv_map *map, u32 index)
{
	u32 nr = max(roundup_pow_of_two(index + 1), 64UL);
	struct hcv_ext **by, **old;
	unsigned long flags;

	by = kvcalloc(nr, sizeof(*by), GFP_NOIO);
	if (!by)
		return -ENOMEM;
	spin_lock_irqsave(&map->lock, flags);
	old = map->by_index;
	if (map->nr_index < nr) {
		if (old)
			memcpy(by, old, map->nr_index * sizeof(*by));
		map->by_index = by;
		map->nr_index = nr;
	} else {
		old = by;
	}
	spin_unlock_irqrestore(&map->lock, flags);
	kvfree(old);
	return 0;
}

int hcv_map_ext_room(struct hcv_map *map, u32 index)
{
	if (index >= HCV_EXTENT_INDEX_MAX)
		return -ERANGE;
	return index < READ_ONCE(map->nr_index) ? 0 :
						  map_index_grow(map, index);
}

int hcv_map_ext_add(struct hcv_map *map, struct hcv_ext *ext)
{
	unsigned long flags;
	int ret;

	ret = hcv_map_ext_room(map, ext->index);
	if (ret)
		return ret;
	spin_lock_irqsave(&map->lock, flags);
	if (map->by_index[ext->index]) {
		ret = -EEXIST;
	} else {
		map->by_index[ext->index] = ext;
		map->nr_exts++;
		map->next_index = max(map->next_index, ext->index + 1);
		list_add_tail(&ext->node, &map->exts);
		if (ext->free_data)
			list_add_tail(&ext->fnode, &map->avail[ext->column]);
		ret = 0;
	}
	spin_unlock_irqrestore(&map->lock, flags);
	return ret;
}

struct hcv_ext *hcv_map_ext_find(struct hcv_map *map, u32 index)
{
	struct hcv_ext *ext = NULL;
	unsigned long flags;

	spin_lock_irqsave(&map->lock, flags);
	if (index < map->nr_index)
		ext = map->by_index[index];
	spin_unlock_irqrestore(&map->lock, flags);
	return ext;
}

int hcv_map_leaf_make(struct hcv_map *map, u32 mib, gfp_t gfp)
{
	u32 i = mib >> HCV_LEAF_SHIFT;
	struct hcv_leaf *leaf;
	struct hcv_dir *dir;
	unsigned long flags;
	int ret = 0;

	leaf = kvzalloc(sizeof(*leaf), gfp);
	if (!leaf)
		return -ENOMEM;
	leaf->base = i << HCV_LEAF_SHIFT;
	spin_lock_irqsave(&map->lock, flags);
	dir = rcu_dereference_protected(map->dir, true);
	if (i >= dir->nr) {
		ret = -ERANGE;
	} else if (!rcu_access_pointer(dir->leaf[i])) {
		rcu_assign_pointer(dir->leaf[i], leaf);
		hcv_map_account(map, sizeof(*leaf));
		leaf = NULL;
	}
	spin_unlock_irqrestore(&map->lock, flags);
	kvfree(leaf);
	return ret;
}

void hcv_map_layer_add(struct hcv_map *map, struct hcv_mibent *ent,
		       struct hcv_slot *slot)
{
	struct hcv_slot __rcu **pp = &ent->slot;
	struct hcv_slot *cur;
	u32 pos = hcv_map_gen_pos(map, slot->gen);

	while ((cur = rcu_dereference_protected(*pp, true)) &&
	       hcv_map_gen_pos(map, cur->gen) < pos)
		pp = &cur->older;
	RCU_INIT_POINTER(slot->older, cur);
	rcu_assign_pointer(*pp, slot);
}

void hcv_map_layer_del(struct hcv_mibent *ent, struct hcv_slot *slot)
{
	struct hcv_slot __rcu **pp = &ent->slot;
	struct hcv_slot *cur;

	while ((cur = rcu_dereference_protected(*pp, true)) && cur != slot)
		pp = &cur->older;
	if (cur)
		rcu_assign_pointer(*pp,
				   rcu_dereference_protected(slot->older, true));
}

void hcv_map_count_used(struct hcv_map *map, struct hcv_ext *ext, u32 rec)
{
	__set_bit(rec, ext->used);
	if (rec >= HCV_EXTENT_SLOTS) {
		ext->free_zero--;
		return;
	}
	map->used_slots++;
	if (!--ext->free_data)
		list_del_init(&ext->fnode);
}

void hcv_map_count_free(struct hcv_map *map, struct hcv_ext *ext, u32 rec)
{
	__clear_bit(rec, ext->used);
	if (rec >= HCV_EXTENT_SLOTS) {
		ext->free_zero++;
		return;
	}
	map->used_slots--;
	if (!ext->free_data++)
		list_add(&ext->fnode, &map->avail[ext->column]);
}

/*
 * A round that begins after a bit was seen must find the extent on the list, or
 * it would end well without the page.  So a bit is set and the extent listed
 * under one lock, which the round takes, too: whoever set the bit has left it
 * by then.
 */
void hcv_map_dirty_locked(struct hcv_map *map, struct hcv_slot *slot)
{
	struct hcv_ext *ext = hcv_map_slot_ext(slot);

	/* Fully ordered: what changed is visible before the bit. */
	if (!test_and_set_bit(slot->rec / HCV_PAGE_RECORDS, &ext->dirty) &&
	    !test_and_set_bit(HCV_EXT_LISTED, &ext->flags))
		llist_add(&ext->dnode, &map->dirty);
}

void hcv_map_dirty(struct hcv_map *map, struct hcv_slot *slot)
{
	unsigned long flags;

	/* What changed must be visible before the bit: hcv_map_encode(). */
	smp_mb();
	if (test_bit(slot->rec / HCV_PAGE_RECORDS,
		     &hcv_map_slot_ext(slot)->dirty))
		return;
	spin_lock_irqsave(&map->dirty_lock, flags);
	hcv_map_dirty_locked(map, slot);
	spin_unlock_irqrestore(&map->dirty_lock, flags);
}

struct llist_node *hcv_map_dirty_take(struct hcv_map *map)
{
	struct llist_node *list;
	unsigned long flags;

	spin_lock_irqsave(&map->dirty_lock, flags);
	list = llist_del_all(&map->dirty);
	spin_unlock_irqrestore(&map->dirty_lock, flags);
	return list;
}

/* Mask of the bits of word @w that lie in [blk, blk + nr). */
static unsigned long map_mask(u32 w, u32 blk, u32 nr)
{
	u32 lo = max(blk, w * (u32)BITS_PER_LONG);
	u32 hi = min(blk + nr, (w + 1) * (u32)BITS_PER_LONG);

	if (lo >= hi)
		return 0;
	return GENMASK((hi - 1) % BITS_PER_LONG, lo % BITS_PER_LONG);
}

static bool map_all_set(const unsigned long *words, u32 blk, u32 nr)
{
	u32 w;

	for (w = blk / BITS_PER_LONG; w <= (blk + nr - 1) / BITS_PER_LONG; w++) {
		unsigned long mask = map_mask(w, blk, nr);

		if ((READ_ONCE(words[w]) & mask) != mask)
			return false;
	}
	return true;
}

bool hcv_map_has(struct hcv_slot *slot, u32 blk, u32 nr)
{
	struct hcv_bm *bm = rcu_dereference(slot->bm);

	if (!bm)
		return true;
	if (nr == 1)
		return test_bit(blk, bm->data);
	return map_all_set(bm->data, blk, nr);
}

static struct hcv_slot *map_find_block(struct hcv_mibent *ent, u32 blk)
{
	struct hcv_slot *slot = rcu_dereference(ent->slot);

	while (slot) {
		int state = hcv_map_state(slot, blk);

		if (state)
			return state == 1 ? slot : NULL;
		slot = rcu_dereference(slot->older);
	}
	return NULL;
}

void hcv_map_resolve(struct hcv_mibent *ent, u32 blk, u32 nr,
		     struct hcv_run *run)
{
	struct hcv_slot *slot = map_find_block(ent, blk);
	u32 n = 1;

	while (n < nr && map_find_block(ent, blk + n) == slot)
		n++;
	run->slot = slot;
	run->nr = n;
}

u32 hcv_map_ready(struct hcv_map *map, u32 column)
{
	struct hcv_ext *ext;
	unsigned long flags;
	u32 nr = 0;

	spin_lock_irqsave(&map->lock, flags);
	list_for_each_entry(ext, &map->avail[column], fnode)
		nr += ext->free_data == HCV_EXTENT_SLOTS;
	spin_unlock_irqrestore(&map->lock, flags);
	return nr;
}

u32 hcv_map_free_slots(struct hcv_map *map, u32 column)
{
	struct hcv_ext *ext;
	unsigned long flags;
	u32 nr = 0;

	spin_lock_irqsave(&map->lock, flags);
	list_for_each_entry(ext, &map->avail[column], fnode)
		nr += ext->free_data;
	spin_unlock_irqrestore(&map->lock, flags);
	return nr;
}
