// SPDX-License-Identifier: GPL-2.0-only
/*
 * The temporary replica of a volume (I10): a sparse copy of what a lost store, its
 * base, may lack.  docs/decisions/temporary-replica.md is the protocol.
 *
 * Its link is one like any, SYNCING while it is filled, JOINING from then on, and never
 * more: so no read is sent to it, and it is nobody's in-sync replica.  It has a place in
 * each extent of which the base has a full copy, beside the places that the rows
 * name.  Which blocks it holds is in the map (ext->held), and in its own images of
 * the metadata pages.
 *
 * Whose bits these are: each tie is a life with a number of its own.  A page image
 * that was made for one life is never sent to another one.
 */
#include <linux/slab.h>

#include "compat.h"
#include "volume.h"

int hcv_temp_check(struct hcv_vol *vol, const struct hcv_link *link,
		   const struct hcv_temp_want *want,
		   struct netlink_ext_ack *extack)
{
	const struct hcv_link *base = hcv_link_find(vol, &want->base);
	u8 state;

	lockdep_assert_held(&vol->mutex);
	if (!(vol->flags & HCV_VOL_F_LOG)) {
		NL_SET_ERR_MSG(extack, "a temporary replica needs a volume with an activity log");
		return -EOPNOTSUPP;
	}
	if (!want->since || want->since >= READ_ONCE(vol->map.v)) {
		NL_SET_ERR_MSG(extack, "the base left after version SINCE, which is not 0 and not the present one");
		return -EINVAL;
	}
	if (vol->temp && vol->temp != link) {
		NL_SET_ERR_MSG(extack, "the volume has another temporary replica; delete that link first");
		return -EBUSY;
	}
	if (!base || base == link) {
		NL_SET_ERR_MSG(extack, "the base is another store, named by the volume's rows");
		return -EINVAL;
	}
	state = READ_ONCE(base->state);
	if (state != HCV_LINK_OUT && state != HCV_LINK_SYNCING) {
		NL_SET_ERR_MSG(extack, "the base takes part, or is not known to be out");
		return -EBUSY;
	}
	return 0;
}

bool hcv_temp_same(const struct hcv_link *link, const struct hcv_temp_want *want)
{
	if (!want || !link->life)
		return !want && !link->life;
	return uuid_equal(&link->base->store, &want->base) &&
	       link->since == want->since;
}

int hcv_temp_begin(struct hcv_link *link, const struct hcv_temp_want *want,
		   struct netlink_ext_ack *extack)
{
	struct hcv_vol *vol = link->vol;
	int ret;

	lockdep_assert_held(&vol->mutex);
	ret = hcv_commit_temp(vol);
	if (ret)
		return ret;
	link->base = hcv_link_find(vol, &want->base);
	link->since = want->since;
	link->covers = false;
	link->named = false;
	link->io_flags = HCV_IO_TEMP;
	vol->temp = link;
	vol->temp_life++;
	/* Pairs with hcv_temp_shown_flags(): what is shown with it is there. */
	smp_store_release(&link->life, vol->temp_life);
	return hcv_temp_place(link, extack);
}

void hcv_temp_end(struct hcv_link *link)
{
	struct hcv_vol *vol = link->vol;
	struct hcv_ext *ext;

	lockdep_assert_held(&vol->mutex);
	if (!link->life)
		return;
	list_for_each_entry(ext, &vol->map.exts, node)
		hcv_map_held_drop(&vol->map, ext);
	/* Who has set bits meanwhile has counted them. */
	synchronize_rcu();
	atomic_long_set(&vol->map.nr_held, 0);
	link->io_flags = 0;
	WRITE_ONCE(link->life, 0);
	link->covers = false;
	link->named = false;
	vol->temp = NULL;
}

/*
 * Its volume page, of the volume as it is now: who puts the volume together from it
 * and its base reads that first.  All get one, the other place's, as whenever it is
 * written.
 */
void hcv_temp_volpage(struct hcv_link *link, void *buf)
{
	int ret = hcv_load_write_volpage_by(link->vol, buf);

	if (ret)
		hcv_link_fail(link, -ret, "volume page write");
}

int hcv_temp_covers(struct hcv_link *link, u64 v, struct netlink_ext_ack *extack)
{
	struct hcv_vol *vol = link->vol;
	bool ok;

	lockdep_assert_held(&vol->confirm_mutex);
	if (READ_ONCE(link->state) == HCV_LINK_JOINING)
		hcv_map_bump(&vol->map, v);
	spin_lock_irq(&vol->lock);
	ok = link->state == HCV_LINK_JOINING;
	if (ok)
		WRITE_ONCE(link->covers, true);
	spin_unlock_irq(&vol->lock);
	if (ok)
		return 0;
	NL_SET_ERR_MSG(extack, "the temporary replica is not filled, or has failed");
	return -EBUSY;
}

u32 hcv_temp_shown_flags(const struct hcv_link *link)
{
	/* Pairs with hcv_temp_begin(). */
	if (!smp_load_acquire(&link->life))
		return 0;
	return HCV_LINK_F_TEMP |
	       (READ_ONCE(link->named) ? HCV_LINK_F_NAMED : 0) |
	       (READ_ONCE(link->covers) ? HCV_LINK_F_COVERS : 0);
}
