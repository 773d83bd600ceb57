// SPDX-License-Identifier: GPL-2.0-only
/*
 * What of a volume's map is not flushed, and what that means for stamps.
 */
#include "map.h"
#include "map_priv.h"

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

	if (ok) {
		spin_lock_irqsave(&map->lock, flags);
		map->nr_dropped = 0;
		spin_unlock_irqrestore(&map->lock, flags);
	}
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
