// SPDX-License-Identifier: GPL-2.0-only
/*
 * What may be changed of a volume while it is attached: size and name, which
 * stand in the volume page as well, and that it has no disk.
 */
#include <linux/blkdev.h>
#include <linux/kobject.h>

#include "front.h"
#include "volume.h"

/* The volume page has the new size before anybody sees it. mutex held. */
static int vol_resize(struct hcv_vol *vol, u64 bytes,
		      struct netlink_ext_ack *extack)
{
	u64 old = vol->size_bytes;
	int ret;

	if (bytes < old) {
		NL_SET_ERR_MSG(extack, "an attached volume cannot shrink");
		return -EINVAL;
	}
	ret = hcv_map_grow(&vol->map, DIV_ROUND_UP_ULL(bytes, HCV_SLOT_SIZE));
	if (ret || bytes == old)
		return ret;
	vol->size_bytes = bytes;
	if (vol->state == HCV_VOL_ACTIVE || vol->state == HCV_VOL_SUSPENDED)
		ret = hcv_load_write_volpage(vol);
	if (ret) {
		NL_SET_ERR_MSG(extack, "the volume page could not be written");
		vol->size_bytes = old;
	}
	return ret;
}

int hcv_vol_resize(struct hcv_vol *vol, u64 bytes,
		   struct netlink_ext_ack *extack)
{
	int ret;

	mutex_lock(&vol->life_mutex);
	mutex_lock(&vol->mutex);
	ret = hcv_vol_alive(vol, extack);
	if (!ret)
		ret = vol_resize(vol, bytes, extack);
	mutex_unlock(&vol->mutex);
	/* Only the life cycle makes and removes the disk. */
	if (!ret && vol->disk_added)
		set_capacity_and_notify(vol->disk, bytes >> SECTOR_SHIFT);
	mutex_unlock(&vol->life_mutex);
	return ret;
}

int hcv_vol_rename(struct hcv_vol *vol, const char *name,
		   struct netlink_ext_ack *extack)
{
	int ret;

	mutex_lock(&vol->life_mutex);
	mutex_lock(&vol->mutex);
	ret = hcv_vol_alive(vol, extack);
	if (!ret)
		ret = hcv_vol_set_name(vol, name, extack);
	if (!ret && (vol->state == HCV_VOL_ACTIVE ||
		     vol->state == HCV_VOL_SUSPENDED))
		ret = hcv_load_write_volpage(vol);
	mutex_unlock(&vol->mutex);
	/* udev makes the link by name anew. */
	if (!ret && vol->disk_added)
		kobject_uevent(&disk_to_dev(vol->disk)->kobj, KOBJ_CHANGE);
	mutex_unlock(&vol->life_mutex);
	return ret;
}

/* life_mutex held, which keeps all out that make or remove disks. */
static int vol_publish(struct hcv_vol *vol, u32 flags, u32 queue)
{
	u32 old_flags = vol->flags, old_queue = vol->queue;
	int ret;

	/* Nobody looks at them but through the disk, and scrubs at their next piece. */
	flags |= old_flags & ~(HCV_VOL_F_DISKLESS | HCV_VOL_F_READONLY);
	WRITE_ONCE(vol->queue, queue);
	WRITE_ONCE(vol->flags, flags);
	ret = hcv_front_add(vol);
	if (ret) {
		WRITE_ONCE(vol->queue, old_queue);
		WRITE_ONCE(vol->flags, old_flags);
	}
	return ret;
}

int hcv_vol_publish(struct hcv_vol *vol, u32 flags, u32 queue,
		    struct netlink_ext_ack *extack)
{
	int ret;

	mutex_lock(&vol->life_mutex);
	mutex_lock(&vol->mutex);
	ret = hcv_vol_alive(vol, extack);
	mutex_unlock(&vol->mutex);
	if (ret)
		goto out;
	ret = -EINVAL;
	if (!(vol->flags & HCV_VOL_F_DISKLESS) ||
	    vol->state != HCV_VOL_ACTIVE) {
		NL_SET_ERR_MSG(extack, "only an active volume without a disk gets one; flags cannot be changed while attached");
		goto out;
	}
	/* Looks for partitions: see hcv_vol_start(). */
	ret = vol_publish(vol, flags, queue);
	if (ret)
		NL_SET_ERR_MSG(extack, "the disk could not be made");
	else
		hcv_vol_info(vol, "attached as hcivol%d, epoch %llu\n",
			     vol->minor, vol->epoch);
out:
	mutex_unlock(&vol->life_mutex);
	return ret;
}
