// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extents that a volume needs no more.
 */
#include "map.h"
#include "map_priv.h"

/* No record is in use or being freed; map->lock held. */
static bool map_idle(const struct hcv_ext *ext)
{
	return ext->free_data == HCV_EXTENT_SLOTS &&
	       ext->free_zero == HCV_EXTENT_RECORDS - HCV_EXTENT_SLOTS;
}

u32 hcv_map_idle(struct hcv_map *map, u32 column)
{
	struct hcv_ext *ext;
	unsigned long flags;
	u32 nr = 0;

	spin_lock_irqsave(&map->lock, flags);
	list_for_each_entry(ext, &map->avail[column], fnode)
		nr += map_idle(ext);
	spin_unlock_irqrestore(&map->lock, flags);
	return nr;
}

static bool map_kept(const struct hcv_ext *ext, const u32 *keep, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (keep[i] == ext->index)
			return true;
	return false;
}

u32 hcv_map_retire(struct hcv_map *map, u32 column, u32 nr, const u32 *keep,
		   u32 nr_keep)
{
	struct hcv_ext *ext, *tmp;
	unsigned long flags;
	u32 done = 0;

	spin_lock_irqsave(&map->lock, flags);
	/* Slots are taken from the other end. */
	list_for_each_entry_safe_reverse(ext, tmp, &map->avail[column], fnode) {
		if (done == nr || map->nr_retired == HCV_MAP_RETIRED_MAX)
			break;
		if (!map_idle(ext) || map_kept(ext, keep, nr_keep))
			continue;
		list_move_tail(&ext->fnode, &map->retired);
		set_bit(HCV_EXT_RETIRED, &ext->flags);
		map->nr_retired++;
		map->nr_unsettled++;
		done++;
	}
	spin_unlock_irqrestore(&map->lock, flags);
	return done;
}

void hcv_map_unretire(struct hcv_map *map, struct hcv_ext *ext)
{
	unsigned long flags;

	spin_lock_irqsave(&map->lock, flags);
	if (test_bit(HCV_EXT_RETIRED, &ext->flags)) {
		if (!test_bit(HCV_EXT_SETTLED, &ext->flags))
			map->nr_unsettled--;
		clear_bit(HCV_EXT_RETIRED, &ext->flags);
		clear_bit(HCV_EXT_SETTLING, &ext->flags);
		clear_bit(HCV_EXT_SETTLED, &ext->flags);
		list_move_tail(&ext->fnode, &map->avail[ext->column]);
		map->nr_retired--;
	}
	spin_unlock_irqrestore(&map->lock, flags);
}

int hcv_map_forget(struct hcv_map *map, struct hcv_ext *ext)
{
	unsigned long flags;
	int ret = -EBUSY;

	spin_lock_irqsave(&map->lock, flags);
	if (test_bit(HCV_EXT_SETTLED, &ext->flags)) {
		map->by_index[ext->index] = NULL;
		list_del_init(&ext->node);
		list_del_init(&ext->fnode);
		map->nr_exts--;
		map->nr_retired--;
		ret = 0;
	}
	spin_unlock_irqrestore(&map->lock, flags);
	return ret;
}

u32 hcv_map_retired(struct hcv_map *map, bool settled, u32 *index)
{
	struct hcv_ext *ext;
	unsigned long flags;
	u32 nr = 0;

	spin_lock_irqsave(&map->lock, flags);
	list_for_each_entry(ext, &map->retired, fnode)
		if (test_bit(HCV_EXT_SETTLED, &ext->flags) == settled)
			index[nr++] = ext->index;
	spin_unlock_irqrestore(&map->lock, flags);
	return nr;
}

void hcv_map_settle_begin(struct hcv_map *map)
{
	struct hcv_ext *ext;
	unsigned long flags;

	spin_lock_irqsave(&map->lock, flags);
	list_for_each_entry(ext, &map->retired, fnode)
		set_bit(HCV_EXT_SETTLING, &ext->flags);
	spin_unlock_irqrestore(&map->lock, flags);
}

void hcv_map_settle_end(struct hcv_map *map, bool ok)
{
	struct hcv_ext *ext;
	unsigned long flags;

	spin_lock_irqsave(&map->lock, flags);
	list_for_each_entry(ext, &map->retired, fnode) {
		if (!test_bit(HCV_EXT_SETTLING, &ext->flags))
			continue;
		clear_bit(HCV_EXT_SETTLING, &ext->flags);
		/* What is dirty still was made so in this round: the next. */
		if (!ok || READ_ONCE(ext->dirty) ||
		    test_bit(HCV_EXT_LISTED, &ext->flags) ||
		    test_bit(HCV_EXT_SETTLED, &ext->flags))
			continue;
		set_bit(HCV_EXT_SETTLED, &ext->flags);
		map->nr_unsettled--;
	}
	spin_unlock_irqrestore(&map->lock, flags);
}
