// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which blocks of the map's slots the temporary replica holds.
 */
#include "map.h"
#include "map_priv.h"

struct hcv_held *hcv_map_held_new(struct hcv_map *map, u64 life)
{
	struct hcv_held *held = kvzalloc(sizeof(*held), GFP_NOIO);

	if (!held)
		return NULL;
	held->life = life;
	hcv_map_account(map, sizeof(*held));
	return held;
}

void hcv_map_held_free(struct hcv_map *map, struct hcv_held *held)
{
	if (!held)
		return;
	hcv_map_account(map, -(long)sizeof(*held));
	kvfree(held);
}

void hcv_map_held_put(struct hcv_ext *ext, struct hcv_held *held)
{
	unsigned long flags;

	spin_lock_irqsave(&ext->lock, flags);
	rcu_assign_pointer(ext->held, held);
	spin_unlock_irqrestore(&ext->lock, flags);
}

/* All bits of a record; those that another one sets meanwhile may stay. */
static void map_held_clear(struct hcv_map *map, struct hcv_held *held, u32 rec)
{
	u32 w, n = 0;

	for (w = 0; w < HCV_BM_WORDS; w++)
		n += hweight_long(xchg(&held->bits[rec][w], 0));
	if (n)
		atomic_long_sub(n, &map->nr_held);
}

void hcv_map_held_reset(struct hcv_map *map, struct hcv_ext *ext)
{
	struct hcv_held *held;
	u32 rec;

	rcu_read_lock();
	held = rcu_dereference(ext->held);
	for (rec = 0; held && rec < HCV_EXTENT_SLOTS; rec++)
		map_held_clear(map, held, rec);
	rcu_read_unlock();
}

void hcv_map_held_drop(struct hcv_map *map, struct hcv_ext *ext)
{
	struct hcv_held *held;
	unsigned long flags;
	u32 rec;

	spin_lock_irqsave(&ext->lock, flags);
	held = rcu_dereference_protected(ext->held, true);
	RCU_INIT_POINTER(ext->held, NULL);
	spin_unlock_irqrestore(&ext->lock, flags);
	if (!held)
		return;
	for (rec = 0; rec < HCV_EXTENT_SLOTS; rec++)
		map_held_clear(map, held, rec);
	hcv_map_account(map, -(long)sizeof(*held));
	kvfree_rcu(held, rcu);
}

u64 hcv_map_held_life(struct hcv_ext *ext)
{
	struct hcv_held *held;
	u64 life;

	rcu_read_lock();
	held = rcu_dereference(ext->held);
	life = held ? held->life : 0;
	rcu_read_unlock();
	return life;
}

u32 hcv_map_hold_bits(struct hcv_map *map, struct hcv_slot *slot, u32 blk,
		      u32 nr)
{
	struct hcv_ext *ext = hcv_map_slot_ext(slot);
	struct hcv_held *held;
	unsigned long *bits;
	u32 i, n = 0;

	if (slot->rec >= HCV_EXTENT_SLOTS)
		return 0;
	rcu_read_lock();
	held = rcu_dereference(ext->held);
	if (held) {
		bits = held->bits[slot->rec];
		for (i = blk; i < blk + nr; i++)
			n += !test_bit(i, bits) && !test_and_set_bit(i, bits);
		if (n)
			atomic_long_add(n, &map->nr_held);
	}
	rcu_read_unlock();
	return n;
}

void hcv_map_hold(struct hcv_map *map, struct hcv_slot *slot, u32 blk, u32 nr)
{
	if (hcv_map_hold_bits(map, slot, blk, nr))
		hcv_map_dirty(map, slot);
}

bool hcv_map_holds_all(struct hcv_ext *ext, u32 rec)
{
	struct hcv_held *held;
	bool all;

	rcu_read_lock();
	held = rcu_dereference(ext->held);
	all = held && bitmap_full(held->bits[rec], HCV_SLOT_BLOCKS);
	rcu_read_unlock();
	return all;
}

void hcv_map_unhold(struct hcv_map *map, struct hcv_slot *slot)
{
	struct hcv_held *held;

	held = rcu_dereference_protected(hcv_map_slot_ext(slot)->held, true);
	if (held && slot->rec < HCV_EXTENT_SLOTS)
		map_held_clear(map, held, slot->rec);
}

void hcv_map_held_words(struct hcv_ext *ext, u32 rec, u64 life, u64 *words)
{
	struct hcv_held *held = rcu_dereference_protected(ext->held, true);
	u32 i, k;

	for (i = 0; i < HCV_SLOT_BLOCKS / 64; i++) {
		/* What has no data is all in the page. */
		words[i] = rec < HCV_EXTENT_SLOTS ? 0 : ~0ULL;
		if (words[i] || !held || held->life != life)
			continue;
		for (k = 0; k < 64 / BITS_PER_LONG; k++)
			words[i] |= (u64)READ_ONCE(held->bits[rec][i * 64 /
						   BITS_PER_LONG + k])
				    << (k * (BITS_PER_LONG % 64));
	}
}
