/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the extent map share with each other and nobody else.
 */
#ifndef HCV_CORE_MAP_PRIV_H
#define HCV_CORE_MAP_PRIV_H

#include "map.h"

static inline void hcv_map_account(struct hcv_map *map, long bytes)
{
	atomic_long_add(bytes, &map->bytes);
}

static inline struct hcv_bm *hcv_map_bm_alloc(struct hcv_map *map, gfp_t gfp)
{
	struct hcv_bm *bm = kzalloc(sizeof(*bm), gfp);

	if (bm)
		hcv_map_account(map, sizeof(*bm));
	return bm;
}

static inline void hcv_map_bm_free(struct hcv_map *map, struct hcv_bm *bm)
{
	hcv_map_account(map, -(long)sizeof(*bm));
	kfree_rcu(bm, rcu);
}

/* ext->lock held, or nobody else knows the slot. */
static inline void hcv_map_drop_bm(struct hcv_map *map, struct hcv_slot *slot)
{
	struct hcv_bm *bm = rcu_dereference_protected(slot->bm, true);

	RCU_INIT_POINTER(slot->bm, NULL);
	if (bm)
		hcv_map_bm_free(map, bm);
}

/* Position of a generation in the lineage, newest first; nr_gens: foreign. */
static inline u32 hcv_map_gen_pos(struct hcv_map *map, u32 gen)
{
	u32 i;

	for (i = 0; i < map->nr_gens; i++)
		if (map->gens[i] == gen)
			break;
	return i;
}

/* Entry of a mib, NULL: it has no leaf; map->lock held. */
static inline struct hcv_mibent *hcv_map_entry(struct hcv_map *map, u32 mib)
{
	struct hcv_dir *dir = rcu_dereference_protected(map->dir, true);
	struct hcv_leaf *leaf;

	if (mib >> HCV_LEAF_SHIFT >= dir->nr)
		return NULL;
	leaf = rcu_dereference_protected(dir->leaf[mib >> HCV_LEAF_SHIFT], true);
	return leaf ? &leaf->ent[mib % HCV_LEAF_MIBS] : NULL;
}

/* 0: not known here, 1: data, 2: zero; under RCU. */
static inline int hcv_map_state(struct hcv_slot *slot, u32 blk)
{
	struct hcv_bm *bm = rcu_dereference(slot->bm);

	if (!bm || test_bit(blk, bm->data))
		return 1;
	return test_bit(blk, bm->zero) ? 2 : 0;
}

/** hcv_map_dirty_locked() - hcv_map_dirty() under map->dirty_lock; map.c */
void hcv_map_dirty_locked(struct hcv_map *map, struct hcv_slot *slot);

/* map_temp.c */

/** hcv_map_hold_bits() - hcv_map_hold() but for the page; how many are new */
u32 hcv_map_hold_bits(struct hcv_map *map, struct hcv_slot *slot, u32 blk,
		      u32 nr);
/** hcv_map_unhold() - the record says nothing any more; ext->lock held */
void hcv_map_unhold(struct hcv_map *map, struct hcv_slot *slot);
/**
 * hcv_map_held_words() - what the temporary replica @life holds of a record
 * @words: bits of its blocks
 *
 * ext->lock held: what hcv_map_clear() changes is in both records or in neither.
 */
void hcv_map_held_words(struct hcv_ext *ext, u32 rec, u64 life, u64 *words);

/* map.c; map->lock held */

/** hcv_map_layer_add() - link @slot into its mib's list, newest first */
void hcv_map_layer_add(struct hcv_map *map, struct hcv_mibent *ent,
		       struct hcv_slot *slot);
void hcv_map_layer_del(struct hcv_mibent *ent, struct hcv_slot *slot);
/** hcv_map_count_used() - record @rec of @ext is in use from now on */
void hcv_map_count_used(struct hcv_map *map, struct hcv_ext *ext, u32 rec);
void hcv_map_count_free(struct hcv_map *map, struct hcv_ext *ext, u32 rec);

#endif /* HCV_CORE_MAP_PRIV_H */
