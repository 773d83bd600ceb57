// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which mibs of a volume the activity log names, and who waits for that.
 */
#include <linux/sched.h>

#include "map.h"
#include "map_priv.h"

#define MAP_LEAF_WANTED	1	/* bit of leaf->listed */

/* Leaves are never freed before the map is. */
static struct hcv_leaf *map_log_leaf(struct hcv_map *map, u32 mib)
{
	struct hcv_leaf *leaf;

	rcu_read_lock();
	leaf = hcv_map_leaf(map, mib);
	rcu_read_unlock();
	return leaf;
}

static void map_log_list(struct hcv_map *map, struct hcv_leaf *leaf)
{
	if (!test_and_set_bit(MAP_LEAF_WANTED, &leaf->listed))
		llist_add(&leaf->wnode, &map->wanted);
}

void hcv_map_log_want(struct hcv_map *map, struct hcv_leaf *leaf, u32 mib)
{
	set_bit(mib % HCV_LEAF_MIBS, leaf->want);
	map_log_list(map, leaf);
}

u32 hcv_map_log_take(struct hcv_map *map, u32 *mib, u32 max)
{
	struct llist_node *node, *next;
	struct hcv_leaf *leaf;
	u32 i, n = 0;

	node = llist_del_all(&map->wanted);
	llist_for_each_safe(node, next, node) {
		leaf = llist_entry(node, struct hcv_leaf, wnode);
		clear_bit(MAP_LEAF_WANTED, &leaf->listed);
		/* Pairs with hcv_map_log_want(): listed again, or seen here. */
		smp_mb__after_atomic();
		for_each_set_bit(i, leaf->want, HCV_LEAF_MIBS) {
			if (n == max)
				break;
			clear_bit(i, leaf->want);
			mib[n++] = leaf->base + i;
		}
		if (n == max && !bitmap_empty(leaf->want, HCV_LEAF_MIBS))
			map_log_list(map, leaf);
	}
	return n;
}

bool hcv_map_is_logged(struct hcv_map *map, u32 mib)
{
	struct hcv_leaf *leaf = map_log_leaf(map, mib);

	return leaf && hcv_map_logged(leaf, mib);
}

void hcv_map_log_set(struct hcv_map *map, u32 mib)
{
	struct hcv_leaf *leaf = map_log_leaf(map, mib);

	if (leaf)
		set_bit(mib % HCV_LEAF_MIBS, leaf->logged);
}

bool hcv_map_log_reset(struct hcv_map *map, u32 mib)
{
	struct hcv_leaf *leaf = map_log_leaf(map, mib);

	return leaf && test_and_clear_bit(mib % HCV_LEAF_MIBS, leaf->logged);
}

bool hcv_map_is_unflushed(struct hcv_map *map, u32 mib)
{
	struct hcv_leaf *leaf = map_log_leaf(map, mib);
	u32 bit = mib % HCV_LEAF_MIBS;
	unsigned long flags;
	bool unflushed;

	if (!leaf)
		return false;
	/* In one of the two at any time: hcv_map_round_begin(). */
	spin_lock_irqsave(&map->lock, flags);
	unflushed = test_bit(bit, leaf->cur) || test_bit(bit, leaf->flushing);
	spin_unlock_irqrestore(&map->lock, flags);
	return unflushed;
}

int hcv_map_name(struct hcv_map *map, u32 mib)
{
	struct hcv_leaf *leaf = map_log_leaf(map, mib);
	int ret;

	if (!leaf) {
		ret = hcv_map_leaf_make(map, mib, GFP_KERNEL);
		if (ret)
			return ret == -ERANGE ? 0 : ret;
		leaf = map_log_leaf(map, mib);
	}
	hcv_map_mark(map, leaf, mib);
	return 0;
}

/* False: there are no more leaves. */
static bool map_name_leaf(struct hcv_map *map, u32 nr)
{
	struct hcv_leaf *leaf;
	struct hcv_dir *dir;
	bool there;
	u32 k;

	rcu_read_lock();
	dir = rcu_dereference(map->dir);
	there = nr < dir->nr;
	leaf = there ? rcu_dereference(dir->leaf[nr]) : NULL;
	for (k = 0; leaf && k < HCV_LEAF_MIBS; k++)
		if (rcu_access_pointer(leaf->ent[k].slot))
			hcv_map_mark(map, leaf, leaf->base + k);
	rcu_read_unlock();
	return there;
}

void hcv_map_name_all(struct hcv_map *map)
{
	u32 nr = 0;

	while (map_name_leaf(map, nr++))
		cond_resched();
}
