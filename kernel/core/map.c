// SPDX-License-Identifier: GPL-2.0-only
/*
 * The extent map of an attached volume.  See map.h for the rules.
 */
#include "map.h"

#define HCV_MIBS_MAX	BIT_ULL(32)
/* So many slots nobody takes; the next one must not be 0 again. */
#define HCV_SEQ_MAX	BIT_ULL(63)

static void map_account(struct hcv_map *map, long bytes)
{
	atomic_long_add(bytes, &map->bytes);
}

static struct hcv_bm *map_bm_alloc(struct hcv_map *map, gfp_t gfp)
{
	struct hcv_bm *bm = kzalloc(sizeof(*bm), gfp);

	if (bm)
		map_account(map, sizeof(*bm));
	return bm;
}

static void map_bm_free(struct hcv_map *map, struct hcv_bm *bm)
{
	map_account(map, -(long)sizeof(*bm));
	kfree_rcu(bm, rcu);
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

static struct hcv_dir *map_dir_alloc(struct hcv_map *map, u64 mibs)
{
	u64 nr = DIV_ROUND_UP_ULL(mibs, HCV_LEAF_MIBS);
	struct hcv_dir *dir;

	dir = kvzalloc(struct_size(dir, leaf, nr), GFP_KERNEL);
	if (dir) {
		dir->nr = nr;
		map_account(map, struct_size(dir, leaf, nr));
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
	INIT_LIST_HEAD(&map->exts);
	for (i = 0; i < HCV_MAX_COLUMNS; i++)
		INIT_LIST_HEAD(&map->avail[i]);
	init_llist_head(&map->dirty);
	init_llist_head(&map->unflushed);
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

static void map_slot_drop_bm(struct hcv_map *map, struct hcv_slot *slot)
{
	struct hcv_bm *bm = rcu_dereference_protected(slot->bm, true);

	RCU_INIT_POINTER(slot->bm, NULL);
	if (bm)
		map_bm_free(map, bm);
}

void hcv_map_ext_free(struct hcv_map *map, struct hcv_ext *ext)
{
	int i;

	for (i = 0; i < HCV_EXTENT_RECORDS; i++)
		map_slot_drop_bm(map, &ext->slot[i]);
	map_account(map, -(long)sizeof(*ext));
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
		map_account(map, -(long)struct_size(dir, leaf, dir->nr));
		kvfree(dir);
		return 0;
	}
	for (i = 0; i < old->nr; i++)
		RCU_INIT_POINTER(dir->leaf[i],
				 rcu_dereference_protected(old->leaf[i], true));
	rcu_assign_pointer(map->dir, dir);
	spin_unlock_irqrestore(&map->lock, flags);
	map_account(map, -(long)struct_size(old, leaf, old->nr));
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
	map_account(map, sizeof(*ext));
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

int hcv_map_ext_add(struct hcv_map *map, struct hcv_ext *ext)
{
	unsigned long flags;
	int ret;

	if (ext->index >= HCV_EXTENT_INDEX_MAX)
		return -ERANGE;
	if (ext->index >= READ_ONCE(map->nr_index)) {
		ret = map_index_grow(map, ext->index);
		if (ret)
			return ret;
	}
	spin_lock_irqsave(&map->lock, flags);
	if (map->by_index[ext->index]) {
		ret = -EEXIST;
	} else {
		map->by_index[ext->index] = ext;
		map->nr_exts++;
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
		map_account(map, sizeof(*leaf));
		leaf = NULL;
	}
	spin_unlock_irqrestore(&map->lock, flags);
	kvfree(leaf);
	return ret;
}

/* Position of a generation in the lineage, newest first; nr_gens: foreign. */
static u32 map_gen_pos(struct hcv_map *map, u32 gen)
{
	u32 i;

	for (i = 0; i < map->nr_gens; i++)
		if (map->gens[i] == gen)
			break;
	return i;
}

static struct hcv_mibent *map_entry(struct hcv_map *map, u32 mib)
{
	struct hcv_dir *dir = rcu_dereference_protected(map->dir, true);
	struct hcv_leaf *leaf;

	if (mib >> HCV_LEAF_SHIFT >= dir->nr)
		return NULL;
	leaf = rcu_dereference_protected(dir->leaf[mib >> HCV_LEAF_SHIFT], true);
	return leaf ? &leaf->ent[mib % HCV_LEAF_MIBS] : NULL;
}

/* Link @slot into its mib's list; map->lock held, or loading. */
static void map_layer_add(struct hcv_map *map, struct hcv_mibent *ent,
			  struct hcv_slot *slot)
{
	struct hcv_slot __rcu **pp = &ent->slot;
	struct hcv_slot *cur;
	u32 pos = map_gen_pos(map, slot->gen);

	while ((cur = rcu_dereference_protected(*pp, true)) &&
	       map_gen_pos(map, cur->gen) < pos)
		pp = &cur->older;
	RCU_INIT_POINTER(slot->older, cur);
	rcu_assign_pointer(*pp, slot);
}

static void map_layer_del(struct hcv_mibent *ent, struct hcv_slot *slot)
{
	struct hcv_slot __rcu **pp = &ent->slot;
	struct hcv_slot *cur;

	while ((cur = rcu_dereference_protected(*pp, true)) && cur != slot)
		pp = &cur->older;
	if (cur)
		rcu_assign_pointer(*pp,
				   rcu_dereference_protected(slot->older, true));
}

static void map_count_used(struct hcv_map *map, struct hcv_ext *ext, u32 rec)
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

static void map_count_free(struct hcv_map *map, struct hcv_ext *ext, u32 rec)
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

void hcv_map_dirty(struct hcv_map *map, struct hcv_slot *slot)
{
	struct hcv_ext *ext = hcv_map_slot_ext(slot);
	u32 page = slot->rec / HCV_PAGE_RECORDS;

	/* What changed must be visible before the bit: hcv_map_encode(). */
	smp_mb();
	if (test_bit(page, &ext->dirty) || test_and_set_bit(page, &ext->dirty))
		return;
	if (!test_and_set_bit(HCV_EXT_LISTED, &ext->flags))
		llist_add(&ext->dnode, &map->dirty);
}

/* Whether an older record of the same (mib, gen) is in the map already. */
static struct hcv_slot *map_same(struct hcv_mibent *ent, u32 gen)
{
	struct hcv_slot *slot = rcu_dereference_protected(ent->slot, true);

	while (slot && slot->gen != gen)
		slot = rcu_dereference_protected(slot->older, true);
	return slot;
}

static int map_load_bits(struct hcv_map *map, struct hcv_slot *slot,
			 const struct hcv_rec *rec)
{
	struct hcv_bm *bm;
	u32 i;

	if (slot->rec < HCV_EXTENT_SLOTS &&
	    !(~rec->lo[0] | ~rec->lo[1] | ~rec->lo[2] | ~rec->lo[3]) &&
	    !(rec->hi[0] | rec->hi[1] | rec->hi[2] | rec->hi[3]))
		return 0;
	bm = map_bm_alloc(map, GFP_KERNEL);
	if (!bm)
		return -ENOMEM;
	for (i = 0; i < HCV_SLOT_BLOCKS; i++) {
		bool lo = rec->lo[i / 64] >> (i % 64) & 1;
		bool hi = rec->hi[i / 64] >> (i % 64) & 1;

		/* Elsewhere: this copy is incomplete, and not to be read. */
		if (lo && hi) {
			map_account(map, -(long)sizeof(*bm));
			kfree(bm);
			return -EUCLEAN;
		}
		if (lo)
			__set_bit(i, bm->data);
		else if (hi)
			__set_bit(i, bm->zero);
	}
	RCU_INIT_POINTER(slot->bm, bm);
	return 0;
}

static void map_load_drop(struct hcv_map *map, struct hcv_mibent *ent,
			  struct hcv_slot *slot)
{
	if (ent)
		map_layer_del(ent, slot);
	map_slot_drop_bm(map, slot);
	slot->flags = 0;
	map_count_free(map, hcv_map_slot_ext(slot), slot->rec);
	hcv_map_dirty(map, slot);
}

/* What no owner writes: these pages are not to be trusted. */
static bool map_load_bad(struct hcv_map *map, struct hcv_ext *ext, u32 rec,
			 const struct hcv_rec *r)
{
	return map_gen_pos(map, r->gen) == map->nr_gens ||
	       r->mib % map->stripe != ext->column ||
	       r->stamp > READ_ONCE(map->v) || r->seq > HCV_SEQ_MAX ||
	       ext->slot[rec].flags;
}

/* Of two records of a (mib, gen) the higher sequence stays; map->lock held. */
static int map_load_link(struct hcv_map *map, struct hcv_slot *slot)
{
	struct hcv_mibent *ent = map_entry(map, slot->mib);
	struct hcv_slot *same = map_same(ent, slot->gen);

	if (same && same->seq == slot->seq)
		return -EUCLEAN;
	slot->flags = HCV_SLOT_USED;
	map_count_used(map, hcv_map_slot_ext(slot), slot->rec);
	if (slot->seq >= map->next_seq)
		map->next_seq = slot->seq + 1;
	if (same && same->seq > slot->seq) {
		map_load_drop(map, NULL, slot);
		return 0;
	}
	if (same)
		map_load_drop(map, ent, same);
	map_layer_add(map, ent, slot);
	return 0;
}

static int map_load_rec(struct hcv_map *map, struct hcv_ext *ext, u32 rec,
			const struct hcv_rec *r)
{
	struct hcv_slot *slot = &ext->slot[rec];
	int ret;

	if (map_load_bad(map, ext, rec, r))
		return -EUCLEAN;
	rcu_read_lock();
	ret = hcv_map_leaf(map, r->mib) ? 0 : -ENOENT;
	rcu_read_unlock();
	if (ret)
		ret = hcv_map_leaf_make(map, r->mib, GFP_KERNEL);
	if (ret)
		return ret;
	ret = map_load_bits(map, slot, r);
	if (ret)
		return ret;

	spin_lock_irq(&map->lock);
	slot->mib = r->mib;
	slot->gen = r->gen;
	slot->seq = r->seq;
	slot->stamp = r->stamp;
	ret = map_load_link(map, slot);
	if (ret)
		map_slot_drop_bm(map, slot);
	spin_unlock_irq(&map->lock);
	return ret;
}

int hcv_map_load_page(struct hcv_map *map, struct hcv_ext *ext, u32 page,
		      const void *buf)
{
	struct hcv_rec rec;
	u32 i;
	int ret;

	for (i = 0; i < HCV_PAGE_RECORDS; i++) {
		ret = hcv_fmt_page_get(buf, page, i, &rec);
		if (ret)
			return ret;
		if (rec.state == HCV_REC_FREE)
			continue;
		ret = map_load_rec(map, ext, page * HCV_PAGE_RECORDS + i, &rec);
		if (ret)
			return ret;
	}
	return 0;
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

/* 0: not known here, 1: data, 2: zero. */
static int map_state(struct hcv_slot *slot, u32 blk)
{
	struct hcv_bm *bm = rcu_dereference(slot->bm);

	if (!bm || test_bit(blk, bm->data))
		return 1;
	return test_bit(blk, bm->zero) ? 2 : 0;
}

static struct hcv_slot *map_find_block(struct hcv_mibent *ent, u32 blk)
{
	struct hcv_slot *slot = rcu_dereference(ent->slot);

	while (slot) {
		int state = map_state(slot, blk);

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

/*
 * Nothing reads from @slot any more; map->lock held.
 * @flag: HCV_SLOT_FREEING or HCV_SLOT_SUPERSEDED
 */
static void map_unlink(struct hcv_map *map, struct hcv_mibent *ent,
		       struct hcv_slot *slot, u8 flag)
{
	struct hcv_ext *ext = hcv_map_slot_ext(slot);

	map_layer_del(ent, slot);
	spin_lock(&ext->lock);
	slot->flags = flag;
	slot->next = map->freeing;
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
			if (ext->column != col || !ext->free_zero)
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

	map_count_used(map, ext, slot->rec);
	spin_lock(&ext->lock);
	slot->mib = mib;
	slot->gen = map->cur_gen;
	slot->seq = map->next_seq++;
	WRITE_ONCE(slot->stamp, READ_ONCE(map->v));
	slot->flags = HCV_SLOT_USED;
	rcu_assign_pointer(slot->bm, bm);
	spin_unlock(&ext->lock);
	map_layer_add(map, ent, slot);
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
	struct hcv_mibent *ent = map_entry(map, mib);
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
		spare = map_bm_alloc(map, gfp);
		if (!spare)
			return ERR_PTR(-ENOMEM);
	}
	if (spare)
		map_bm_free(map, spare);
	return slot;
}

void hcv_map_stamp(struct hcv_map *map, struct hcv_slot *slot)
{
	u64 v, old, was;

	/* Pairs with hcv_map_bump(): the mib's mark first, v then. */
	smp_mb();
	v = READ_ONCE(map->v);
	/* Never back: v may grow, and be stamped, once it was read here. */
	for (old = READ_ONCE(slot->stamp); old < v; old = was) {
		was = cmpxchg64(&slot->stamp, old, v);
		if (was == old) {
			hcv_map_dirty(map, slot);
			return;
		}
	}
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
		if (map_state(old, blk))
			return true;
	return false;
}

/* Clear blocks of a slot; map->lock held. -EAGAIN: it takes *@spare. */
static int map_clear_bits(struct hcv_slot *slot, u32 blk, u32 nr,
			  struct hcv_bm **spare)
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
		/* map_state() looks at data first. */
		smp_mb__before_atomic();
		clear_bit(i, bm->data);
		if (!map_older_knows(slot, i))
			clear_bit(i, bm->zero);
	}
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
	ent = map_entry(map, mib);
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
	ent = map_entry(map, mib);
	slot = ent ? map_empty_slot(map, ent) : NULL;
	if (slot)
		map_unlink(map, ent, slot, HCV_SLOT_FREEING);
	spin_unlock_irqrestore(&map->lock, flags);
}

/* map->lock held. -EAGAIN: it takes *@spare. */
static int map_clear(struct hcv_map *map, u32 mib, u32 blk, u32 nr,
		     bool discard, struct hcv_bm **spare)
{
	struct hcv_mibent *ent = map_entry(map, mib);
	struct hcv_slot *slot;
	int ret;

	slot = ent ? rcu_dereference_protected(ent->slot, true) : NULL;
	if (!slot || (discard && slot->gen != map->cur_gen))
		return 0;
	slot = map_take(map, mib, true, spare);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	ret = slot ? map_clear_bits(slot, blk, nr, spare) : -EAGAIN;
	if (ret)
		return ret;
	WRITE_ONCE(slot->stamp, READ_ONCE(map->v));
	hcv_map_dirty(map, slot);
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
		spare = map_bm_alloc(map, gfp);
		if (!spare)
			return -ENOMEM;
	}
	if (spare)
		map_bm_free(map, spare);
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
	map_slot_drop_bm(map, slot);
	spin_unlock(&ext->lock);
	map_count_free(map, ext, slot->rec);
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

void hcv_map_mark(struct hcv_map *map, struct hcv_leaf *leaf, u32 mib)
{
	u32 bit = mib % HCV_LEAF_MIBS;

	if (test_bit(bit, leaf->cur))
		return;
	set_bit(bit, leaf->cur);
	if (!test_and_set_bit(0, &leaf->listed))
		llist_add(&leaf->unode, &map->unflushed);
}

struct llist_node *hcv_map_round_begin(struct hcv_map *map)
{
	struct llist_node *list = llist_del_all(&map->unflushed), *node, *next;
	struct hcv_leaf *leaf;
	unsigned long flags;
	int i;

	/*
	 * The leaf stays marked as listed until its bits are taken, so that its
	 * node is not put on the other list while it is on this one: bits
	 * set meanwhile are found below or, when set after that, by hcv_map_
	 * round_end(), which looks at cur before it lets go of the node.
	 */
	llist_for_each_safe(node, next, list) {
		leaf = llist_entry(node, struct hcv_leaf, unode);
		/* For hcv_map_bump() a bit is in one of the two at any time. */
		spin_lock_irqsave(&map->lock, flags);
		for (i = 0; i < HCV_LEAF_WORDS; i++)
			leaf->flushing[i] |= xchg(&leaf->cur[i], 0);
		spin_unlock_irqrestore(&map->lock, flags);
	}
	return list;
}

static bool map_leaf_idle(struct hcv_leaf *leaf)
{
	int i;

	for (i = 0; i < HCV_LEAF_WORDS; i++)
		if (READ_ONCE(leaf->cur[i]))
			return false;
	return true;
}

static void map_or(unsigned long *word, unsigned long bits)
{
	unsigned long old;

	do {
		old = READ_ONCE(*word);
	} while (cmpxchg(word, old, old | bits) != old);
}

void hcv_map_round_end(struct hcv_map *map, struct llist_node *leaves, bool ok)
{
	struct llist_node *node, *next;
	struct hcv_leaf *leaf;
	unsigned long flags;
	int i;

	llist_for_each_safe(node, next, leaves) {
		leaf = llist_entry(node, struct hcv_leaf, unode);
		spin_lock_irqsave(&map->lock, flags);
		for (i = 0; i < HCV_LEAF_WORDS; i++) {
			if (!ok && leaf->flushing[i])
				map_or(&leaf->cur[i], leaf->flushing[i]);
			leaf->flushing[i] = 0;
		}
		spin_unlock_irqrestore(&map->lock, flags);
		clear_bit(0, &leaf->listed);
		/* Pairs with hcv_map_mark(): bit first there, listed here. */
		smp_mb__after_atomic();
		if (!map_leaf_idle(leaf) && !test_and_set_bit(0, &leaf->listed))
			llist_add(&leaf->unode, &map->unflushed);
	}
}

/*
 * Calls @fn for each leaf under map->lock; leaves are never freed before the
 * map is.  Those that are not listed too: a leaf may have bits while
 * hcv_map_mark() or hcv_map_round_end() is about to list it.
 */
static void map_each_leaf(struct hcv_map *map,
			  void (*fn)(struct hcv_map *map, struct hcv_leaf *leaf,
				     void *arg), void *arg)
{
	struct hcv_leaf *leaf;
	struct hcv_dir *dir;
	unsigned long flags;
	u32 i;

	rcu_read_lock();
	dir = rcu_dereference(map->dir);
	for (i = 0; i < dir->nr; i++) {
		leaf = rcu_dereference(dir->leaf[i]);
		if (!leaf)
			continue;
		spin_lock_irqsave(&map->lock, flags);
		fn(map, leaf, arg);
		spin_unlock_irqrestore(&map->lock, flags);
	}
	rcu_read_unlock();
}

static void map_leaf_count(struct hcv_map *map, struct hcv_leaf *leaf,
			   void *arg)
{
	u32 *nr = arg;
	int i;

	for (i = 0; i < HCV_LEAF_WORDS; i++)
		*nr += hweight_long(READ_ONCE(leaf->cur[i]) |
				    leaf->flushing[i]);
}

u32 hcv_map_unflushed(struct hcv_map *map)
{
	u32 nr = 0;

	map_each_leaf(map, map_leaf_count, &nr);
	return nr;
}

static void map_leaf_stamp(struct hcv_map *map, struct hcv_leaf *leaf,
			   void *arg)
{
	unsigned long bits;
	struct hcv_slot *slot;
	u32 w, i;

	for (w = 0; w < HCV_LEAF_WORDS; w++) {
		bits = READ_ONCE(leaf->cur[w]) | leaf->flushing[w];
		for_each_set_bit(i, &bits, BITS_PER_LONG) {
			/* The write may have gone to a generation before. */
			slot = rcu_dereference(leaf->ent[w * BITS_PER_LONG + i].slot);
			for (; slot; slot = rcu_dereference(slot->older))
				hcv_map_stamp(map, slot);
		}
	}
}

void hcv_map_bump(struct hcv_map *map, u64 v)
{
	WRITE_ONCE(map->v, v);
	/*
	 * Pairs with hcv_map_stamp(): a completion sets its unflushed
	 * bit, then reads v; it sees the new v, or we see its bit.
	 */
	smp_mb();
	map_each_leaf(map, map_leaf_stamp, NULL);
}

static void map_record_bits(struct hcv_bm *bm, struct hcv_rec *out)
{
	u32 i;

	for (i = 0; i < HCV_SLOT_BLOCKS; i += 64) {
		u64 zero = 0, data = 0;
		u32 k;

		/* A completion sets data before it clears zero. */
		for (k = 0; k < 64 / BITS_PER_LONG; k++)
			zero |= (u64)READ_ONCE(bm->zero[i / BITS_PER_LONG + k])
				<< (k * (BITS_PER_LONG % 64));
		/* Pairs with hcv_map_written(). */
		smp_rmb();
		for (k = 0; k < 64 / BITS_PER_LONG; k++)
			data |= (u64)READ_ONCE(bm->data[i / BITS_PER_LONG + k])
				<< (k * (BITS_PER_LONG % 64));
		out->lo[i / 64] = data;
		out->hi[i / 64] = zero & ~data;
	}
}

/* ext->lock held. */
static void map_record(struct hcv_ext *ext, u32 rec, struct hcv_rec *out)
{
	struct hcv_slot *slot = &ext->slot[rec];
	struct hcv_bm *bm = rcu_dereference_protected(slot->bm, true);

	memset(out, 0, sizeof(*out));
	if (!(slot->flags & (HCV_SLOT_USED | HCV_SLOT_SUPERSEDED)))
		return;
	out->state = HCV_REC_USED;
	out->mib = slot->mib;
	out->gen = slot->gen;
	out->seq = slot->seq;
	/* Stamps tell of data, and a superseded record has none. */
	out->stamp = slot->flags & HCV_SLOT_USED ? READ_ONCE(slot->stamp) : 0;
	if (bm)
		map_record_bits(bm, out);
	else
		memset(out->lo, 0xff, sizeof(out->lo));
}

/* ext->lock held: a slot that became full needs its bitmaps no more. */
static void map_promote(struct hcv_map *map, struct hcv_slot *slot)
{
	struct hcv_bm *bm = rcu_dereference_protected(slot->bm, true);

	if (!(slot->flags & HCV_SLOT_USED) || slot->rec >= HCV_EXTENT_SLOTS ||
	    !bm || !bitmap_full(bm->data, HCV_SLOT_BLOCKS))
		return;
	rcu_assign_pointer(slot->bm, NULL);
	map_bm_free(map, bm);
}

void hcv_map_record(struct hcv_ext *ext, u32 rec, struct hcv_rec *out)
{
	unsigned long flags;

	spin_lock_irqsave(&ext->lock, flags);
	map_record(ext, rec, out);
	spin_unlock_irqrestore(&ext->lock, flags);
}

void hcv_map_encode(struct hcv_map *map, struct hcv_ext *ext, u32 page,
		    u64 epoch, u64 seq, u32 place, void *buf)
{
	struct hcv_page_id id = {
		.lineage = map->lineage,
		.extent = ext->index,
		.page = page,
		.place = place,
	};
	struct hcv_rec rec;
	unsigned long flags;
	u32 i;

	memcpy(id.volume, map->volume, sizeof(id.volume));
	memset(buf, 0, HCV_BLOCK_SIZE);
	hcv_fmt_page_begin(buf, &id, epoch, seq);
	clear_bit(page, &ext->dirty);
	/* Pairs with hcv_map_dirty(): bit first there, record first here. */
	smp_mb__after_atomic();
	for (i = 0; i < HCV_PAGE_RECORDS; i++) {
		struct hcv_slot *slot = &ext->slot[page * HCV_PAGE_RECORDS + i];

		spin_lock_irqsave(&ext->lock, flags);
		map_record(ext, slot->rec, &rec);
		map_promote(map, slot);
		spin_unlock_irqrestore(&ext->lock, flags);
		hcv_fmt_page_put(buf, i, &rec);
	}
	hcv_fmt_page_seal(buf);
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
