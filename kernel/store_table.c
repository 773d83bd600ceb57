// SPDX-License-Identifier: GPL-2.0-only
/*
 * The extent table of a store.
 *
 * The pages are kept in memory as they are on the media.  A change is made in
 * the image and written to the place of each page that is not the newest;
 * after a FLUSH it is durable.  Then the other place gets the same, so that
 * later either place may go bad without bringing back an older table.  A power
 * cut leaves at least one whole place: the old content, or the new one whose
 * command had not been answered, or both new.
 *
 * An object's metadata is zeroed and flushed before its entry is written, and
 * an object is given out again only after the page that frees it is durable:
 * both by doing everything under store->lock, I/O included.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "store_priv.h"

#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "gate.h"

static u8 *hcv_table_image(struct hcv_store *store, u32 page)
{
	return store->priv->table.image + (size_t)page * HCV_BLOCK_SIZE;
}

static u64 hcv_table_off(const struct hcv_store *store, u32 page, u32 place)
{
	return HCV_TABLE_OFF + HCV_BLOCK_SIZE *
		((u64)place * store->sb.lay.table_pages + page);
}

static u32 hcv_table_objects(const struct hcv_store *store)
{
	return store->sb.lay.nr_extents + store->sb.lay.nr_vols;
}

/* Volumes */

struct hcv_store_vol *hcv_table_vol(struct hcv_store *store, const uuid_t *uuid)
{
	struct hcv_store_vol *vol;
	u32 key = hcv_uuid_hash(uuid);

	lockdep_assert_held(&store->lock);
	hash_for_each_possible(store->priv->table.hash, vol, hash, key)
		if (uuid_equal(&vol->uuid, uuid))
			return vol;
	return NULL;
}

struct hcv_store_vol *hcv_table_vol_next(struct hcv_store *store, u64 after)
{
	struct hcv_store_vol *vol;

	lockdep_assert_held(&store->lock);
	list_for_each_entry(vol, &store->priv->table.vols, node)
		if (vol->serial > after)
			return vol;
	return NULL;
}

static struct hcv_store_vol *hcv_table_vol_add(struct hcv_store *store,
					       const uuid_t *uuid)
{
	struct hcv_table *tab = &store->priv->table;
	struct hcv_store_vol *vol = kzalloc(sizeof(*vol), GFP_KERNEL);

	if (!vol)
		return NULL;
	vol->uuid = *uuid;
	vol->area = -1;
	vol->serial = ++tab->vol_serial;
	xa_init(&vol->extent);
	hash_add(tab->hash, &vol->hash, hcv_uuid_hash(uuid));
	list_add_tail(&vol->node, &tab->vols);
	return vol;
}

static void hcv_table_vol_drop(struct hcv_store_vol *vol)
{
	hash_del(&vol->hash);
	list_del(&vol->node);
	xa_destroy(&vol->extent);
	kfree(vol);
}

s64 hcv_table_find(struct hcv_store_vol *vol, u32 grant_index)
{
	void *entry;

	if (grant_index == HCV_GRANT_VOLAREA)
		return vol->area < 0 ? -ENOENT : vol->area;
	entry = xa_load(&vol->extent, grant_index - HCV_GRANT_EXTENT(0));
	return entry ? (s64)xa_to_value(entry) : -ENOENT;
}

s64 hcv_store_find(struct hcv_store *store, const uuid_t *uuid, u32 grant_index)
{
	struct hcv_store_vol *vol;
	s64 ret = -ENOENT;

	mutex_lock(&store->lock);
	vol = hcv_table_vol(store, uuid);
	if (vol)
		ret = hcv_table_find(vol, grant_index);
	mutex_unlock(&store->lock);
	return ret;
}

/* Writing */

static void hcv_table_set(struct hcv_store *store, u32 obj,
			  const struct hcv_entry *ent)
{
	u32 page = obj / HCV_TABLE_ENTRIES;

	hcv_fmt_table_set(hcv_table_image(store, page),
			  obj % HCV_TABLE_ENTRIES, ent);
	__set_bit(page, store->priv->table.dirty);
}

/* Writes a page to the place that is not its newest. */
static int hcv_table_write_page(struct hcv_store *store, u32 page, u64 seq)
{
	struct hcv_table *tab = &store->priv->table;
	u8 *image = hcv_table_image(store, page);
	u32 place = !tab->place[page];

	tab->seq[page] = seq;
	tab->place[page] = place;
	hcv_fmt_table_seal(image, place, seq);
	return hcv_store_rw(store, REQ_OP_WRITE,
			    hcv_table_off(store, page, place), image,
			    HCV_BLOCK_SIZE);
}

/*
 * Makes the dirty pages durable, in both places one after the other.  After an
 * error nobody knows what is on the media: the store is latched.
 */
static int hcv_table_commit(struct hcv_store *store)
{
	struct hcv_table *tab = &store->priv->table;
	u32 pages = store->sb.lay.table_pages, page;
	int turn, ret;

	lockdep_assert_held(&store->lock);
	for (turn = 0; turn < 2; turn++) {
		for_each_set_bit(page, tab->dirty, pages) {
			ret = hcv_table_write_page(store, page,
						   tab->seq[page] + !turn);
			if (ret)
				goto err_fail;
		}
		ret = hcv_store_flush(store);
		if (ret)
			goto err_fail;
	}
	bitmap_zero(tab->dirty, pages);
	return 0;

err_fail:
	hcv_store_fail(store, -ret, "extent table update");
	return ret;
}

/* Loading */

/* Takes over one entry in use. */
static int hcv_table_load_entry(struct hcv_store *store, u32 obj,
				const struct hcv_entry *ent,
				struct netlink_ext_ack *extack)
{
	struct hcv_table *tab = &store->priv->table;
	u32 nr_extents = store->sb.lay.nr_extents;
	struct hcv_store_vol *vol;
	uuid_t uuid;
	int ret = 0;

	import_uuid(&uuid, ent->volume);
	vol = hcv_table_vol(store, &uuid) ?: hcv_table_vol_add(store, &uuid);
	if (!vol)
		return -ENOMEM;
	if (obj >= nr_extents) {
		if (vol->area >= 0 || ent->index)
			ret = -EUCLEAN;
		vol->area = obj - nr_extents;
		tab->nr_vols_used++;
	} else {
		if (ent->index >= HCV_EXTENT_INDEX_MAX)
			ret = -EUCLEAN;
		else
			ret = xa_insert(&vol->extent, ent->index,
					xa_mk_value(obj), GFP_KERNEL);
		vol->nr++;
		tab->nr_extents_used++;
	}
	__set_bit(obj, tab->used);
	tab->alloc_seq = max(tab->alloc_seq, ent->seq);
	if (ret == -EUCLEAN || ret == -EBUSY) {
		hcv_compat_err(extack,
			       "table entry %u: %pUb[%u] wrong or double", obj,
			       &uuid, ent->index);
		return -EUCLEAN;
	}
	return ret;
}

/* Decodes one page, which may have entries beyond the last object. */
static int hcv_table_load_entries(struct hcv_store *store, u32 page,
				  struct netlink_ext_ack *extack)
{
	u32 first = page * HCV_TABLE_ENTRIES, slot;
	struct hcv_entry ent;
	int ret;

	for (slot = 0; slot < HCV_TABLE_ENTRIES; slot++) {
		ret = hcv_fmt_table_get(hcv_table_image(store, page), slot,
					&ent);
		if (!ret && ent.state == HCV_ENTRY_USED &&
		    first + slot >= hcv_table_objects(store))
			ret = -EUCLEAN;
		if (ret) {
			hcv_compat_err(extack,
				       "table entry %u is damaged",
				       first + slot);
			return -EUCLEAN;
		}
		if (ent.state != HCV_ENTRY_USED)
			continue;
		ret = hcv_table_load_entry(store, first + slot, &ent, extack);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * Chooses between the places of a page; @other holds the pages of place 1.
 * Returns whether the place that lost must be rewritten, or an error.
 */
static int hcv_table_choose(struct hcv_store *store, u32 page, const u8 *other,
			    struct netlink_ext_ack *extack)
{
	struct hcv_table *tab = &store->priv->table;
	u8 *image = hcv_table_image(store, page);
	u64 seq[2];
	int why[2];

	other += (size_t)page * HCV_BLOCK_SIZE;
	why[0] = hcv_fmt_table_check(image, store->sb.store, page, 0, &seq[0]);
	why[1] = hcv_fmt_table_check(other, store->sb.store, page, 1, &seq[1]);
	if (why[0] && why[1]) {
		hcv_compat_err(extack,
			       "extent table page %u: both places are bad (%d, %d)",
			       page, why[0], why[1]);
		return -EUCLEAN;
	}
	if (why[0] || (!why[1] && seq[1] > seq[0])) {
		memcpy(image, other, HCV_BLOCK_SIZE);
		tab->place[page] = 1;
	}
	tab->seq[page] = seq[tab->place[page]];
	if (why[!tab->place[page]] && why[!tab->place[page]] != -ENODATA)
		pr_warn("store %pUb on %s: extent table page %u, place %u was bad (error %d), rewriting it\n",
			&store->uuid, store->path, page, !tab->place[page],
			-why[!tab->place[page]]);
	return why[0] || why[1] || seq[0] != seq[1];
}

static int hcv_table_alloc(struct hcv_store *store)
{
	struct hcv_table *tab = &store->priv->table;
	u32 pages = store->sb.lay.table_pages;
	size_t longs = BITS_TO_LONGS(hcv_table_objects(store));

	tab->image = vmalloc(array_size(pages, HCV_BLOCK_SIZE));
	tab->seq = kvcalloc(pages, sizeof(*tab->seq), GFP_KERNEL);
	tab->place = kvcalloc(pages, sizeof(*tab->place), GFP_KERNEL);
	tab->dirty = kvcalloc(BITS_TO_LONGS(pages), sizeof(long), GFP_KERNEL);
	tab->used = kvcalloc(longs, sizeof(long), GFP_KERNEL);
	if (!tab->image || !tab->seq || !tab->place || !tab->dirty ||
	    !tab->used)
		return -ENOMEM;		/* hcv_table_free() */
	return 0;
}

static int hcv_table_read(struct hcv_store *store, u8 *other,
			  struct netlink_ext_ack *extack)
{
	size_t bytes = (size_t)store->sb.lay.table_pages * HCV_BLOCK_SIZE;
	int ret;

	ret = hcv_store_rw(store, REQ_OP_READ, hcv_table_off(store, 0, 0),
			   store->priv->table.image, bytes);
	if (!ret)
		ret = hcv_store_rw(store, REQ_OP_READ,
				   hcv_table_off(store, 0, 1), other, bytes);
	if (ret)
		hcv_compat_err(extack, "extent table cannot be read: error %d",
			       -ret);
	return ret;
}

int hcv_table_load(struct hcv_store *store, struct netlink_ext_ack *extack)
{
	u32 pages = store->sb.lay.table_pages, page;
	struct hcv_table *tab = &store->priv->table;
	int ret, repair = 0;
	u8 *other;

	lockdep_assert_held(&store->lock);
	ret = hcv_table_alloc(store);
	if (ret)
		return ret;
	other = vmalloc(array_size(pages, HCV_BLOCK_SIZE));
	if (!other)
		return -ENOMEM;
	ret = hcv_table_read(store, other, extack);
	for (page = 0; !ret && page < pages; page++) {
		ret = hcv_table_choose(store, page, other, extack);
		if (ret > 0) {
			__set_bit(page, tab->dirty);
			repair = 1;
			ret = 0;
		}
		if (!ret)
			ret = hcv_table_load_entries(store, page, extack);
	}
	vfree(other);
	if (!ret && repair && !store->priv->readonly)
		ret = hcv_table_commit(store);
	return ret;
}

void hcv_table_free(struct hcv_store *store)
{
	struct hcv_table *tab = &store->priv->table;
	struct hcv_store_vol *vol, *next;

	list_for_each_entry_safe(vol, next, &tab->vols, node)
		hcv_table_vol_drop(vol);
	vfree(tab->image);
	kvfree(tab->seq);
	kvfree(tab->place);
	kvfree(tab->dirty);
	kvfree(tab->used);
}

/* Allocation */

/**
 * struct hcv_table_add - an addition under way
 * @vol: that gets the objects
 * @nr: extents taken so far
 * @index: their indexes in the volume
 * @area: the area was taken, too
 */
struct hcv_table_add {
	struct hcv_store_vol *vol;
	u32 nr;
	u32 *index;
	bool area;
};

static u32 hcv_table_phys(const struct hcv_table_add *add, u32 i)
{
	return xa_to_value(xa_load(&add->vol->extent, add->index[i]));
}

/* Takes a free extent; there is one. */
static u32 hcv_table_take_extent(struct hcv_store *store)
{
	struct hcv_table *tab = &store->priv->table;
	u32 end = store->sb.lay.nr_extents;
	u32 obj = find_next_zero_bit(tab->used, end, tab->hint);

	if (obj >= end)
		obj = find_first_zero_bit(tab->used, end);
	tab->hint = obj + 1;
	__set_bit(obj, tab->used);
	WRITE_ONCE(tab->nr_extents_used, tab->nr_extents_used + 1);
	return obj;
}

static void hcv_table_drop_extent(struct hcv_store *store,
				  struct hcv_store_vol *vol, u32 index)
{
	struct hcv_table *tab = &store->priv->table;
	void *entry = xa_erase(&vol->extent, index);

	vol->nr--;
	__clear_bit(xa_to_value(entry), tab->used);
	WRITE_ONCE(tab->nr_extents_used, tab->nr_extents_used - 1);
}

static void hcv_table_drop_area(struct hcv_store *store,
				struct hcv_store_vol *vol)
{
	struct hcv_table *tab = &store->priv->table;

	__clear_bit(store->sb.lay.nr_extents + vol->area, tab->used);
	WRITE_ONCE(tab->nr_vols_used, tab->nr_vols_used - 1);
	vol->area = -1;
}

static void hcv_table_add_undo(struct hcv_store *store,
			       struct hcv_table_add *add)
{
	while (add->nr)
		hcv_table_drop_extent(store, add->vol, add->index[--add->nr]);
	if (add->area)
		hcv_table_drop_area(store, add->vol);
	if (!add->vol->nr && add->vol->area < 0)
		hcv_table_vol_drop(add->vol);
}

/* Takes all objects in memory. */
static int hcv_table_add_take(struct hcv_store *store,
			      struct hcv_table_add *add, const u32 *index,
			      u32 nr, struct netlink_ext_ack *extack)
{
	struct hcv_table *tab = &store->priv->table;
	const struct hcv_layout *lay = &store->sb.lay;
	struct hcv_store_vol *vol = add->vol;
	u32 i, obj;
	int ret;

	if (vol->area < 0) {
		obj = find_next_zero_bit(tab->used, hcv_table_objects(store),
					 lay->nr_extents);
		if (obj >= hcv_table_objects(store)) {
			hcv_compat_err(extack, "all %u volume areas are in use",
				       lay->nr_vols);
			return -ENOSPC;
		}
		__set_bit(obj, tab->used);
		vol->area = obj - lay->nr_extents;
		WRITE_ONCE(tab->nr_vols_used, tab->nr_vols_used + 1);
		add->area = true;
	}
	for (i = 0; i < nr; i++) {
		if (xa_load(&vol->extent, index[i]))
			continue;
		if (tab->nr_extents_used == lay->nr_extents) {
			hcv_compat_err(extack, "all %u extents are in use",
				       lay->nr_extents);
			return -ENOSPC;
		}
		ret = xa_reserve(&vol->extent, index[i], GFP_KERNEL);
		if (ret)
			return ret;
		obj = hcv_table_take_extent(store);
		xa_store(&vol->extent, index[i], xa_mk_value(obj), GFP_KERNEL);
		vol->nr++;
		add->index[add->nr++] = index[i];
	}
	return 0;
}

static int hcv_table_zero(struct hcv_store *store, sector_t sector, u64 bytes)
{
	return blkdev_issue_zeroout(store->bdev, sector, bytes >> SECTOR_SHIFT,
				    GFP_NOIO, BLKDEV_ZERO_NOUNMAP);
}

/* Zeroes the new objects' metadata, runs of neighbours at once. */
static int hcv_table_add_zero(struct hcv_store *store,
			      const struct hcv_table_add *add)
{
	u32 i, run, phys;
	int ret = 0;

	if (add->area)
		ret = hcv_table_zero(store, hcv_store_area_sector(store,
								  add->vol->area),
				     HCV_VOLAREA_SIZE);
	for (i = 0; !ret && i < add->nr; i += run) {
		phys = hcv_table_phys(add, i);
		for (run = 1; i + run < add->nr; run++)
			if (hcv_table_phys(add, i + run) != phys + run)
				break;
		ret = hcv_table_zero(store, hcv_store_meta_sector(store, phys),
				     (u64)run * HCV_EXTENT_META_SIZE);
		cond_resched();
	}
	if (!ret)
		ret = hcv_store_flush(store);
	if (ret)
		hcv_store_fail(store, -ret, "formatting of extents");
	return ret;
}

static int hcv_table_add_write(struct hcv_store *store,
			       const struct hcv_table_add *add)
{
	struct hcv_entry ent = {
		.state = HCV_ENTRY_USED,
		.seq = ++store->priv->table.alloc_seq,
	};
	u32 i;

	export_uuid(ent.volume, &add->vol->uuid);
	if (add->area)
		hcv_table_set(store, store->sb.lay.nr_extents + add->vol->area,
			      &ent);
	for (i = 0; i < add->nr; i++) {
		ent.index = add->index[i];
		ent.seq = ++store->priv->table.alloc_seq;
		hcv_table_set(store, hcv_table_phys(add, i), &ent);
	}
	return hcv_table_commit(store);
}

static int hcv_table_add(struct hcv_store *store, const uuid_t *uuid,
			 const u32 *index, u32 nr,
			 struct netlink_ext_ack *extack)
{
	struct hcv_table_add add = { };
	u32 i;
	int ret;

	ret = hcv_store_writable(store, extack);
	if (ret)
		return ret;
	add.index = kvmalloc_array(nr, sizeof(*add.index), GFP_KERNEL);
	if (!add.index)
		return -ENOMEM;
	add.vol = hcv_table_vol(store, uuid) ?: hcv_table_vol_add(store, uuid);
	if (!add.vol) {
		kvfree(add.index);
		return -ENOMEM;
	}
	ret = hcv_table_add_take(store, &add, index, nr, extack);
	if (!ret && (add.nr || add.area)) {
		ret = hcv_table_add_zero(store, &add);
		if (!ret)
			ret = hcv_table_add_write(store, &add);
	}
	if (ret) {
		hcv_table_add_undo(store, &add);
	} else {
		if (add.area)
			hcv_gate_refresh(store->gate, uuid, HCV_GRANT_VOLAREA,
					 add.vol->area);
		for (i = 0; i < add.nr; i++)
			hcv_gate_refresh(store->gate, uuid,
					 HCV_GRANT_EXTENT(add.index[i]),
					 hcv_table_phys(&add, i));
	}
	kvfree(add.index);
	return ret;
}

int hcv_store_extents_add(struct hcv_store *store, const uuid_t *vol,
			  const u32 *index, u32 nr,
			  struct netlink_ext_ack *extack)
{
	unsigned int noio;
	u32 i;
	int ret;

	for (i = 0; i < nr; i++) {
		if (index[i] >= HCV_EXTENT_INDEX_MAX) {
			hcv_compat_err(extack, "extent index %u is too large",
				       index[i]);
			return -EINVAL;
		}
	}
	/* Writes of a volume may wait for this: do not wait for them. */
	noio = memalloc_noio_save();
	mutex_lock(&store->lock);
	ret = hcv_table_add(store, vol, index, nr, extack);
	mutex_unlock(&store->lock);
	memalloc_noio_restore(noio);
	return ret;
}

/* Deletion */

static void hcv_table_free_entry(struct hcv_store *store,
				 struct hcv_store_vol *vol, u32 index)
{
	static const struct hcv_entry none = { .state = HCV_ENTRY_FREE };
	void *entry = xa_load(&vol->extent, index);

	if (entry)
		hcv_table_set(store, xa_to_value(entry), &none);
}

static int hcv_table_del_some(struct hcv_store *store,
			      struct hcv_store_vol *vol, const u32 *index,
			      u32 nr)
{
	u32 i;
	int ret;

	for (i = 0; i < nr; i++)
		hcv_table_free_entry(store, vol, index[i]);
	ret = hcv_table_commit(store);
	if (ret)
		return ret;
	for (i = 0; i < nr; i++)
		if (xa_load(&vol->extent, index[i]))
			hcv_table_drop_extent(store, vol, index[i]);
	return 0;
}

static int hcv_table_del_all(struct hcv_store *store, struct hcv_store_vol *vol)
{
	static const struct hcv_entry none = { .state = HCV_ENTRY_FREE };
	unsigned long index;
	void *entry;
	int ret;

	xa_for_each(&vol->extent, index, entry)
		hcv_table_free_entry(store, vol, index);
	if (vol->area >= 0)
		hcv_table_set(store, store->sb.lay.nr_extents + vol->area,
			      &none);
	ret = hcv_table_commit(store);
	if (ret)
		return ret;
	xa_for_each(&vol->extent, index, entry)
		hcv_table_drop_extent(store, vol, index);
	if (vol->area >= 0)
		hcv_table_drop_area(store, vol);
	hcv_table_vol_drop(vol);
	return 0;
}

int hcv_store_extents_del(struct hcv_store *store, const uuid_t *uuid,
			  const u32 *index, u32 nr,
			  struct netlink_ext_ack *extack)
{
	unsigned int noio = memalloc_noio_save();
	struct hcv_store_vol *vol;
	int ret;

	mutex_lock(&store->lock);
	vol = hcv_table_vol(store, uuid);
	ret = hcv_store_writable(store, extack);
	if (!ret && vol && hcv_gate_vol_busy(store->gate, uuid)) {
		hcv_compat_err(extack,
			       "the volume has a grant or I/O in flight");
		ret = -EBUSY;
	}
	if (!ret && vol)
		ret = nr ? hcv_table_del_some(store, vol, index, nr) :
			hcv_table_del_all(store, vol);
	mutex_unlock(&store->lock);
	memalloc_noio_restore(noio);
	return ret;
}

int hcv_store_extents_withdraw(struct hcv_store *store, const uuid_t *uuid,
			       const u32 *index, u32 nr,
			       struct netlink_ext_ack *extack)
{
	struct hcv_store_vol *vol;
	unsigned int noio;
	int ret;
	u32 i;

	for (i = 0; i < nr; i++)
		if (index[i] >= HCV_EXTENT_INDEX_MAX) {
			hcv_compat_err(extack, "extent %u is beyond what a volume can have",
				       index[i]);
			return -EINVAL;
		}
	noio = memalloc_noio_save();
	mutex_lock(&store->lock);
	vol = hcv_table_vol(store, uuid);
	ret = hcv_store_writable(store, extack);
	/* Grants are made under this lock: there are no others. */
	if (!ret && vol)
		ret = hcv_gate_withdraw(store->gate, uuid, index, nr);
	if (ret == -EINPROGRESS)
		hcv_compat_err(extack, "I/O from before has not ended yet");
	if (!ret && vol)
		ret = hcv_table_del_some(store, vol, index, nr);
	mutex_unlock(&store->lock);
	memalloc_noio_restore(noio);
	return ret;
}
