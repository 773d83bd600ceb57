// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extents of an attached volume: rows from the agent, positions on the links.
 */
#include <linux/ktime.h>
#include <linux/slab.h>

#include "compat.h"
#include "volume.h"

/* First sector of grant index @index in the address space of a remote link. */
static bool extent_handle(struct hcv_link *link, u32 index, sector_t *sector)
{
	u32 i;

	for (i = 0; i < link->nr_ranges; i++) {
		const struct hcv_nl_range *r = &link->range[i];

		if (index < r->base || index - r->base >= r->count)
			continue;
		*sector = (r->first + index - r->base) <<
			  (HCV_HANDLE_SHIFT - SECTOR_SHIFT);
		return true;
	}
	return false;
}

static void extent_resolve(struct hcv_link *link, u32 index,
			   struct hcv_rep *rep)
{
	struct hcv_where where;

	rep->mapped = false;
	if (link->local) {
		if (hcv_grant_map(link->grant, HCV_GRANT_EXTENT(index), 0,
				  HCV_BLOCK_SIZE, &where))
			return;
		rep->data = where.sector;
		if (hcv_grant_map(link->grant, HCV_GRANT_EXTENT(index),
				  HCV_HANDLE_META_OFF, HCV_BLOCK_SIZE, &where))
			return;
		rep->meta = where.sector;
		rep->mapped = true;
	} else if (link->target) {
		if (!extent_handle(link, HCV_GRANT_EXTENT(index), &rep->data))
			return;
		rep->meta = rep->data + (HCV_HANDLE_META_OFF >> SECTOR_SHIFT);
		rep->mapped = true;
	}
}

int hcv_link_volarea(struct hcv_link *link, sector_t *sector)
{
	struct hcv_where where;
	int ret;

	if (!link->local)
		return extent_handle(link, HCV_GRANT_VOLAREA, sector) ? 0 :
								 -ENOENT;
	ret = hcv_grant_map(link->grant, HCV_GRANT_VOLAREA, 0, HCV_BLOCK_SIZE,
			    &where);
	if (!ret)
		*sector = where.sector;
	return ret;
}

static bool ext_rep(struct hcv_ext *ext, struct hcv_link *link,
		    struct hcv_rep *rep)
{
	struct hcv_reps *reps;
	bool found = false;
	u32 i;

	rcu_read_lock();
	reps = hcv_reps(ext);
	for (i = 0; i < reps->nr; i++)
		if (reps->rep[i].link == link->nr && reps->rep[i].mapped) {
			*rep = reps->rep[i];
			found = true;
		}
	rcu_read_unlock();
	return found;
}

bool hcv_ext_place(struct hcv_ext *ext, struct hcv_link *link, sector_t *data)
{
	struct hcv_rep rep;

	if (!ext_rep(ext, link, &rep))
		return false;
	*data = rep.data;
	return true;
}

bool hcv_ext_meta(struct hcv_ext *ext, struct hcv_link *link, sector_t *meta)
{
	struct hcv_rep rep;

	if (!ext_rep(ext, link, &rep))
		return false;
	*meta = rep.meta;
	return true;
}

/* An in-sync replica of @ext that is not in @tried. */
static struct hcv_link *ext_source(struct hcv_vol *vol, struct hcv_ext *ext,
				   unsigned long tried, sector_t *data)
{
	struct hcv_link *link, *found = NULL;
	struct hcv_reps *reps;
	u32 i;

	rcu_read_lock();
	reps = hcv_reps(ext);
	for (i = 0; i < reps->nr && !found; i++) {
		link = vol->link[reps->rep[i].link];
		if (READ_ONCE(link->state) != HCV_LINK_INSYNC ||
		    !reps->rep[i].mapped || tried & BIT(link->nr))
			continue;
		*data = reps->rep[i].data;
		found = link;
	}
	rcu_read_unlock();
	return found;
}

/* Whether it is known of all that refused why they did: the place, the gate. */
static bool ext_settled(struct hcv_vol *vol, unsigned long tried, s64 since)
{
	u32 i;

	if (READ_ONCE(vol->failed) || READ_ONCE(vol->nr_failing))
		return true;
	for_each_set_bit(i, &tried, HCV_MAX_LINKS) {
		struct hcv_link *link = vol->link[i];

		if (READ_ONCE(link->state) == HCV_LINK_INSYNC &&
		    !READ_ONCE(link->local) && !hcv_lease_proved(link, since))
			return false;
	}
	return true;
}

/*
 * All in-sync replicas refused: wait until it is known why.  Bounded: without
 * an answer the beacons' patience fails the link.
 * Return: those whose last word it was, 0: wait for a replica.
 */
static unsigned long ext_final(struct hcv_vol *vol, unsigned long tried)
{
	s64 since = ktime_get_boottime_ns();
	unsigned long final = 0;
	u32 i;

	while (!wait_event_timeout(vol->wait, ext_settled(vol, tried, since),
				   msecs_to_jiffies(HCV_BEACON_MS)))
		;
	for_each_set_bit(i, &tried, HCV_MAX_LINKS)
		if (READ_ONCE(vol->link[i]->state) == HCV_LINK_INSYNC)
			final |= BIT(i);
	return READ_ONCE(vol->nr_failing) ? 0 : final;
}

int hcv_ext_read(struct hcv_vol *vol, struct hcv_ext *ext, sector_t off,
		 void *buf, u32 len)
{
	unsigned long tried = 0;
	struct hcv_link *link;
	sector_t data;
	int ret;

	for (;;) {
		link = ext_source(vol, ext, tried, &data);
		if (!link && tried) {
			tried = ext_final(vol, tried);
			link = ext_source(vol, ext, tried, &data);
			if (READ_ONCE(vol->failed) || (!link && tried))
				return -EIO;
		}
		if (!link)
			return -ENOLINK;
		ret = hcv_link_rw(link, REQ_OP_READ | REQ_SYNC, data + off, buf,
				  len);
		if (!ret)
			return 0;
		/* It failed, or is back: look again which ones there are. */
		if (ret == -ECANCELED)
			continue;
		if (hcv_link_read_error(link, ret))
			tried |= BIT(link->nr);
	}
}

/* Put a new version of an extent's replicas in place; vol->mutex held. */
static void extent_set_reps(struct hcv_ext *ext, struct hcv_reps *reps)
{
	struct hcv_reps *old = ext->priv;

	rcu_assign_pointer(*(struct hcv_reps __rcu **)&ext->priv, reps);
	if (old)
		kfree_rcu(old, rcu);
}

int hcv_link_resolve(struct hcv_link *link)
{
	struct hcv_vol *vol = link->vol;
	struct hcv_reps *reps, *old;
	struct hcv_ext *ext;
	u32 i;

	lockdep_assert_held(&vol->mutex);
	/* Only this file changes the list, under vol->mutex. */
	list_for_each_entry(ext, &vol->map.exts, node) {
		old = ext->priv;
		for (i = 0; i < old->nr; i++)
			if (old->rep[i].link == link->nr)
				break;
		if (i == old->nr)
			continue;
		reps = kmemdup(old, sizeof(*old), GFP_NOIO);
		if (!reps)
			return -ENOMEM;
		if (!reps->rep[i].temp) {
			extent_resolve(link, ext->index, &reps->rep[i]);
			/* Reads ask the first one that is in-sync. */
			if (link->local)
				swap(reps->rep[0], reps->rep[i]);
		} else if (link->life) {
			extent_resolve(link, ext->index, &reps->rep[i]);
		} else {
			/* It is the last one. */
			reps->nr = i;
		}
		extent_set_reps(ext, reps);
	}
	return 0;
}

/* Whether @reps have a full copy on @link, as far as rows say. */
static bool extent_full_on(const struct hcv_reps *reps,
			   const struct hcv_link *link)
{
	u32 i;

	for (i = 0; i < reps->nr; i++)
		if (reps->rep[i].link == link->nr)
			return reps->rep[i].full;
	return false;
}

/* The place of a temporary replica beside those of the rows: the last one. */
static int extent_temp_add(struct hcv_link *temp, u32 index,
			   struct hcv_reps *reps)
{
	struct hcv_rep *rep;

	if (reps->nr == HCV_MAX_REPLICAS)
		return -E2BIG;
	rep = &reps->rep[reps->nr];
	rep->link = temp->nr;
	rep->full = false;
	rep->temp = true;
	extent_resolve(temp, index, rep);
	if (!rep->mapped)
		return -ENOENT;
	reps->nr++;
	return 0;
}

static int extent_temp_error(int err, u32 index, struct netlink_ext_ack *extack)
{
	if (err == -E2BIG)
		hcv_compat_err(extack, "extent %u has as many replicas as there may be",
			       index);
	else if (err == -ENOENT)
		hcv_compat_err(extack, "extent %u is not within the handles granted for the temporary replica",
			       index);
	else if (err == -EBUSY)
		hcv_compat_err(extack, "the row of extent %u names the store of the temporary replica",
			       index);
	return err;
}

/* An extent's place on @temp, if it is to have one. */
static int extent_temp_place(struct hcv_link *temp, struct hcv_ext *ext)
{
	struct hcv_vol *vol = temp->vol;
	struct hcv_reps *reps, *old = ext->priv;
	struct hcv_held *held;
	int ret;
	u32 i;

	/* Places of its life before are gone: hcv_link_resolve(). */
	for (i = 0; i < old->nr; i++)
		if (old->rep[i].link == temp->nr)
			return -EBUSY;
	if (!extent_full_on(old, temp->base))
		return 0;
	reps = kmemdup(old, sizeof(*old), GFP_NOIO);
	held = hcv_map_held_new(&vol->map, temp->life);
	ret = reps && held ? 0 : -ENOMEM;
	/* That of a former one, on another store, which is untied. */
	if (!ret && reps->nr && reps->rep[reps->nr - 1].temp)
		reps->nr--;
	if (!ret)
		ret = extent_temp_add(temp, ext->index, reps);
	if (ret) {
		kfree(reps);
		hcv_map_held_free(&vol->map, held);
		return ret;
	}
	hcv_map_held_put(ext, held);
	extent_set_reps(ext, reps);
	return 0;
}

int hcv_temp_place(struct hcv_link *temp, struct netlink_ext_ack *extack)
{
	struct hcv_vol *vol = temp->vol;
	struct hcv_ext *ext;
	bool any = false;
	int ret;

	lockdep_assert_held(&vol->mutex);
	/* Only this file changes the list, under vol->mutex. */
	list_for_each_entry(ext, &vol->map.exts, node) {
		ret = extent_temp_place(temp, ext);
		if (ret)
			return extent_temp_error(ret, ext->index, extack);
		any |= hcv_map_held_life(ext);
		cond_resched();
	}
	if (any)
		return 0;
	/* The rows say otherwise: it would be complete, and hold nothing. */
	NL_SET_ERR_MSG(extack, "the base has no extent of the volume in full");
	return -EINVAL;
}

/* Replicas of a row, those of this node first: they are read. */
static struct hcv_reps *extent_reps(struct hcv_vol *vol,
				    const struct hcv_nl_extent *row,
				    struct netlink_ext_ack *extack)
{
	struct hcv_reps *reps = kzalloc(sizeof(*reps), GFP_NOIO);
	struct hcv_link *link;
	uuid_t store;
	int pass;
	u32 i;

	if (!reps)
		return ERR_PTR(-ENOMEM);
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < row->nr; i++) {
			import_uuid(&store, row->store[i]);
			/* Stale and absent stores have their place too. */
			link = hcv_link_make(vol, &store);
			if (IS_ERR(link)) {
				kfree(reps);
				return ERR_CAST(link);
			}
			if (link->life) {
				kfree(reps);
				extent_temp_error(-EBUSY, row->index, extack);
				return ERR_PTR(-EBUSY);
			}
			if (!!link->local == !pass) {
				reps->rep[reps->nr].link = link->nr;
				reps->rep[reps->nr].full = row->full & BIT(i);
				extent_resolve(link, row->index,
					       &reps->rep[reps->nr++]);
			}
		}
	}
	for (i = 0; i < reps->nr; i++) {
		link = vol->link[reps->rep[i].link];
		if (!hcv_link_writable(link->state) || reps->rep[i].mapped)
			continue;
		kfree(reps);
		NL_SET_ERR_MSG(extack, "a row's extent is not within the handles granted by an in-sync store");
		return ERR_PTR(-ENOENT);
	}
	/* One that is out has no business in it any more. */
	if (vol->temp && READ_ONCE(vol->temp->state) != HCV_LINK_OUT &&
	    extent_full_on(reps, vol->temp->base)) {
		int ret = extent_temp_add(vol->temp, row->index, reps);

		if (ret) {
			kfree(reps);
			return ERR_PTR(extent_temp_error(ret, row->index,
							 extack));
		}
	}
	return reps;
}

static bool extent_row_ok(struct hcv_vol *vol, const struct hcv_nl_extent *row)
{
	u32 i, k;

	if (row->column >= vol->stripe || !row->nr ||
	    row->nr > HCV_MAX_REPLICAS || row->flags & ~HCV_EXT_F_ALL ||
	    row->index >= HCV_EXTENT_INDEX_MAX)
		return false;
	for (i = 0; i < row->nr; i++)
		for (k = 0; k < i; k++)
			if (!memcmp(row->store[i], row->store[k], UUID_SIZE))
				return false;
	return true;
}

static bool extent_has(const struct hcv_reps *reps, u8 link)
{
	u32 i;

	for (i = 0; i < reps->nr; i++)
		if (reps->rep[i].link == link)
			return true;
	return false;
}

static bool extent_is_full(struct hcv_link *link,
			   const struct hcv_nl_extent *row)
{
	u32 i;

	for (i = 0; i < row->nr; i++)
		if (!memcmp(row->store[i], &link->store, UUID_SIZE))
			return row->full & BIT(i);
	return false;
}

/*
 * Reads trust what an in-sync link holds: it must not get an extent that it has
 * not got all of, be it that the row says so, be it that writes went on
 * without it.  Only a resync fills such a copy.  @old: the extent's replicas so
 * far, NULL: it is new.
 */
static bool extent_trusted(struct hcv_vol *vol, const struct hcv_nl_extent *row,
			   const struct hcv_reps *reps,
			   const struct hcv_reps *old)
{
	struct hcv_link *link;
	u32 i;

	for (i = 0; i < reps->nr; i++) {
		link = vol->link[reps->rep[i].link];
		/* It is not filled with what its base just got. */
		if (reps->rep[i].temp && old && !extent_has(old, link->nr))
			return false;
		if (reps->rep[i].temp || (link->state != HCV_LINK_INSYNC &&
					  link->state != HCV_LINK_JOINING))
			continue;
		if (!extent_is_full(link, row) ||
		    (old && vol->state != HCV_VOL_NEW &&
		     !extent_has(old, link->nr)))
			return false;
	}
	/* A known one is not taken from those who have it and count. */
	for (i = 0; old && i < old->nr; i++) {
		link = vol->link[old->rep[i].link];
		if (link->state != HCV_LINK_OUT && !old->rep[i].temp &&
		    !extent_has(reps, link->nr))
			return false;
	}
	return true;
}

/*
 * A new extent of a running volume is written at once.  Without an in-sync
 * replica its writes would wait for one that no resync can make.  With a failing
 * one the record may not be able to let that go any more: it can as long as the
 * row is not used.  This and the addition are one step: a replica that fails
 * later is looked at with the extent, see link_is_sole().
 */
static int extent_link_up(struct hcv_vol *vol, struct hcv_ext *ext,
			  const struct hcv_reps *reps)
{
	int ret = hcv_map_ext_room(&vol->map, ext->index);
	bool fresh = vol->state != HCV_VOL_NEW, counts = false, failing = false;
	u32 i;

	if (ret)
		return ret;
	spin_lock_irq(&vol->lock);
	for (i = 0; i < reps->nr; i++) {
		u8 state = vol->link[reps->rep[i].link]->state;

		counts |= state == HCV_LINK_INSYNC;
		failing |= state == HCV_LINK_FAILING;
	}
	ret = fresh && (!counts || failing) ? -EBUSY :
					      hcv_map_ext_add(&vol->map, ext);
	if (!ret)
		hcv_link_look_again(vol);
	spin_unlock_irq(&vol->lock);
	return ret;
}

/* With bits for a temporary replica that has it from the beginning. */
static struct hcv_ext *extent_new(struct hcv_vol *vol,
				  const struct hcv_nl_extent *row,
				  const struct hcv_reps *reps)
{
	struct hcv_ext *ext = hcv_map_ext_new(&vol->map, row->index,
					      row->column);
	struct hcv_held *held;

	if (!ext || !reps->rep[reps->nr - 1].temp)
		return ext;
	held = hcv_map_held_new(&vol->map, vol->temp->life);
	if (held) {
		hcv_map_held_put(ext, held);
		return ext;
	}
	hcv_map_ext_free(&vol->map, ext);
	return NULL;
}

static int extent_add(struct hcv_vol *vol, const struct hcv_nl_extent *row,
		      struct netlink_ext_ack *extack)
{
	struct hcv_reps *reps;
	struct hcv_ext *ext;
	int ret;

	if (!extent_row_ok(vol, row)) {
		NL_SET_ERR_MSG(extack, "a row with an index, a column, a number of stores or a flag out of range, or with a store named twice");
		return -EINVAL;
	}
	ext = hcv_map_ext_find(&vol->map, row->index);
	if (!ext && vol->state != HCV_VOL_NEW &&
	    !(row->flags & HCV_EXT_F_FRESH)) {
		NL_SET_ERR_MSG(extack, "after the start only fresh extents can be added");
		return -EINVAL;
	}
	/* Its handle may still be in use by an I/O of before. */
	if (!ext && vol->state != HCV_VOL_NEW &&
	    row->index < vol->map.next_index) {
		NL_SET_ERR_MSG(extack, "an extent's index is not used again");
		return -EINVAL;
	}
	reps = extent_reps(vol, row, extack);
	if (IS_ERR(reps))
		return PTR_ERR(reps);
	if ((ext && ext->column != row->column) ||
	    !extent_trusted(vol, row, reps, ext ? ext->priv : NULL)) {
		kfree(reps);
		NL_SET_ERR_MSG(extack, "a row that changes a known extent, or an in-sync store that has not got all of it");
		return -EINVAL;
	}
	if (ext) {
		extent_set_reps(ext, reps);
		hcv_map_unretire(&vol->map, ext);
		return 0;
	}
	ext = extent_new(vol, row, reps);
	if (!ext) {
		kfree(reps);
		return -ENOMEM;
	}
	extent_set_reps(ext, reps);
	ret = extent_link_up(vol, ext, reps);
	if (ret == -EBUSY)
		NL_SET_ERR_MSG(extack, "no replica of the row is in-sync, or one is failing");
	if (ret) {
		kfree(reps);
		hcv_map_ext_free(&vol->map, ext);
	}
	return ret;
}

int hcv_extents_add(struct hcv_vol *vol, const struct hcv_nl_extent *row,
		    u32 nr, struct netlink_ext_ack *extack)
{
	int ret;
	u32 i;

	mutex_lock(&vol->mutex);
	ret = hcv_vol_alive(vol, extack);
	for (i = 0; i < nr && !ret; i++)
		ret = extent_add(vol, &row[i], extack);
	spin_lock_irq(&vol->lock);
	vol->want_extent = 0;
	WRITE_ONCE(vol->no_space, 0);
	spin_unlock_irq(&vol->lock);
	mutex_unlock(&vol->mutex);
	hcv_vol_kick(vol, HCV_WAIT_EXTENT);
	return ret;
}

/*
 * A resync reads pages of idle extents as well, and has them written: the copy
 * would be in-sync without those that it passed over.  So there is never one
 * while extents are retired; vol->mutex held.
 */
static int extents_quiet(struct hcv_vol *vol, struct netlink_ext_ack *extack)
{
	struct hcv_link *link;
	u32 i;

	for (i = 0; i < vol->nr_links; i++) {
		link = vol->link[i];
		switch (READ_ONCE(link->state)) {
		case HCV_LINK_INSYNC:
			break;
		case HCV_LINK_OUT:
			/* It may be about to notice. */
			hcv_sync_stop(link);
			break;
		default:
			NL_SET_ERR_MSG(extack, "a replica is failing, or being brought up to date");
			return -EBUSY;
		}
	}
	return 0;
}

int hcv_extents_retire(struct hcv_vol *vol, u32 column, u32 nr, u32 leave,
		       const u32 *keep, u32 nr_keep,
		       struct netlink_ext_ack *extack)
{
	u32 idle;
	int ret;

	if (column >= vol->stripe) {
		NL_SET_ERR_MSG(extack, "the volume has fewer columns");
		return -EINVAL;
	}
	/* One for each store is enough; they are looked for under a lock. */
	if (nr_keep > HCV_MAX_LINKS) {
		NL_SET_ERR_MSG(extack, "at most 32 extents can be named to stay");
		return -EINVAL;
	}
	mutex_lock(&vol->mutex);
	ret = hcv_vol_alive(vol, extack);
	if (!ret && vol->state != HCV_VOL_ACTIVE) {
		NL_SET_ERR_MSG(extack, "the volume is not active");
		ret = -EBUSY;
	}
	if (!ret)
		ret = extents_quiet(vol, extack);
	/* What the agent counted may have been taken since. */
	idle = ret ? 0 : hcv_map_idle(&vol->map, column);
	if (idle > leave &&
	    hcv_map_retire(&vol->map, column, min(nr, idle - leave), keep,
			   nr_keep))
		hcv_commit_kick(vol);
	mutex_unlock(&vol->mutex);
	return ret;
}

static void extents_free(struct hcv_vol *vol, struct list_head *list)
{
	struct hcv_ext *ext, *tmp;

	if (list_empty(list))
		return;
	/* Another one may have been the last to have one of these. */
	spin_lock_irq(&vol->lock);
	hcv_link_look_again(vol);
	spin_unlock_irq(&vol->lock);
	/* Whoever goes through an extent's replicas holds it by RCU. */
	synchronize_rcu();
	list_for_each_entry_safe(ext, tmp, list, node) {
		kfree(ext->priv);
		hcv_map_ext_free(&vol->map, ext);
	}
}

int hcv_extents_del(struct hcv_vol *vol, const u32 *index, u32 nr,
		    struct netlink_ext_ack *extack)
{
	struct hcv_ext *ext;
	LIST_HEAD(gone);
	int ret;
	u32 i;

	mutex_lock(&vol->mutex);
	ret = hcv_vol_alive(vol, extack);
	for (i = 0; i < nr && !ret; i++) {
		ext = hcv_map_ext_find(&vol->map, index[i]);
		if (!ext)
			continue;
		ret = hcv_map_forget(&vol->map, ext);
		if (ret)
			hcv_compat_err(extack, "extent %u is in use, or not settled yet",
				       index[i]);
		else
			list_add(&ext->node, &gone);
	}
	extents_free(vol, &gone);
	mutex_unlock(&vol->mutex);
	return ret;
}
