// SPDX-License-Identifier: GPL-2.0-only
/*
 * The disk of a volume: what its two fronts share.
 */
#include "front.h"

#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/sysfs.h>

#include "compat.h"
#include "volume.h"

#define FRONT_MINORS	16

static int front_major;

void hcv_front_limits(struct hcv_vol *vol, struct hcv_disk_limits *l)
{
	*l = (struct hcv_disk_limits) {
		.block_bytes = SECTOR_SIZE,
		.phys_bytes = HCV_BLOCK_SIZE,
		.io_opt = HCV_SLOT_SIZE,
		.max_hw_sectors = HCV_SLOT_SIZE >> SECTOR_SHIFT,
		.chunk_sectors = HCV_SLOT_SIZE >> SECTOR_SHIFT,
		.max_segments = BIO_MAX_VECS,
		.discard_sectors = HCV_EXTENT_SIZE >> SECTOR_SHIFT,
		.discard_bytes = HCV_BLOCK_SIZE,
		.zeroes_sectors = HCV_EXTENT_SIZE >> SECTOR_SHIFT,
		.dma_mask = SECTOR_SIZE - 1,
		/*
		 * A gap within a block would have a replica whose device takes
		 * no gaps (NVMe) split a bio within its logical block, which
		 * bio_split() answers with BUG.
		 */
		.virt_mask = HCV_BLOCK_SIZE - 1,
		.flags = HCV_DISK_WRITE_CACHE | HCV_DISK_FUA |
			 HCV_DISK_STABLE_WRITES | HCV_DISK_NOWAIT,
	};
}

int hcv_front_open(HCV_COMPAT_OPEN_ARGS)
{
	struct hcv_vol *vol = HCV_COMPAT_OPEN_DISK->private_data;

	if (HCV_COMPAT_OPEN_WRITE && vol->flags & HCV_VOL_F_READONLY)
		return -EROFS;
	atomic_inc(&vol->openers);
	/* Pairs with vol_stop_clean(): it sees the opener, or we the state. */
	smp_mb__after_atomic();
	if (READ_ONCE(vol->state) != HCV_VOL_STOPPING &&
	    !READ_ONCE(vol->failed))
		return 0;
	hcv_vol_closed(vol);
	return -ENXIO;
}

void hcv_front_release(HCV_COMPAT_RELEASE_ARGS)
{
	struct hcv_vol *vol = disk->private_data;

	hcv_vol_closed(vol);
}

void hcv_front_free_disk(struct gendisk *disk)
{
	struct hcv_vol *vol = disk->private_data;

	hcv_vol_put(vol);
}

static ssize_t name_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct hcv_vol *vol = dev_to_disk(dev)->private_data;

	return sysfs_emit(buf, "%s\n", vol->name);
}
static DEVICE_ATTR_RO(name);

static ssize_t uuid_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct hcv_vol *vol = dev_to_disk(dev)->private_data;

	return sysfs_emit(buf, "%pUb\n", &vol->uuid);
}
static DEVICE_ATTR_RO(uuid);

/* For udev: what is prepared cannot be read yet. */
static ssize_t prepared_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	struct hcv_vol *vol = dev_to_disk(dev)->private_data;

	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(vol->hand) == HCV_HAND_PREPARED);
}
static DEVICE_ATTR_RO(prepared);

static struct attribute *front_attrs[] = {
	&dev_attr_name.attr,
	&dev_attr_prepared.attr,
	&dev_attr_uuid.attr,
	NULL
};

static const struct attribute_group front_group = {
	.name = "hcivol",
	.attrs = front_attrs,
};

static const struct attribute_group *front_groups[] = {
	&front_group,
	NULL
};

int hcv_front_add(struct hcv_vol *vol)
{
	struct gendisk *disk;
	int ret;

	ret = vol->queue == HCV_QUEUE_BIO ? hcv_bio_alloc(vol) :
					    hcv_mq_alloc(vol);
	if (ret)
		return ret;
	disk = vol->disk;
	disk->major = front_major;
	disk->first_minor = vol->minor * FRONT_MINORS;
	disk->minors = FRONT_MINORS;
	disk->private_data = vol;
	snprintf(disk->disk_name, sizeof(disk->disk_name), "hcivol%d",
		 vol->minor);
	set_capacity(disk, vol->size_bytes >> SECTOR_SHIFT);
	if (vol->flags & HCV_VOL_F_READONLY)
		set_disk_ro(disk, true);
	/* Reads wait, ours would as well. */
	if (vol->hand == HCV_HAND_PREPARED)
		set_bit(GD_SUPPRESS_PART_SCAN, &disk->state);
	/* The disk holds the volume until its last opener is gone. */
	kref_get(&vol->kref);
	ret = device_add_disk(NULL, disk, front_groups);
	if (ret) {
		put_disk(disk);
		if (vol->has_tags)
			hcv_mq_free(vol);
		vol->disk = NULL;
		hcv_vol_put(vol);
		return ret;
	}
	vol->disk_added = true;
	return 0;
}

void hcv_front_started(struct hcv_vol *vol)
{
	/* Whoever opens it next looks for partitions; udev looks at it anew. */
	set_bit(GD_NEED_PART_SCAN, &vol->disk->state);
	clear_bit(GD_SUPPRESS_PART_SCAN, &vol->disk->state);
	kobject_uevent(&disk_to_dev(vol->disk)->kobj, KOBJ_CHANGE);
}

void hcv_front_del(struct hcv_vol *vol)
{
	if (!vol->disk_added)
		return;
	del_gendisk(vol->disk);
	vol->disk_added = false;
	if (vol->has_tags)
		hcv_mq_free(vol);
	put_disk(vol->disk);
}

int hcv_front_init(void)
{
	int ret = register_blkdev(0, "hcivol");

	if (ret < 0)
		return ret;
	front_major = ret;
	ret = hcv_bio_front_init();
	if (ret)
		goto err_major;
	ret = hcv_mq_front_init();
	if (ret)
		goto err_bio;
	return 0;

err_bio:
	hcv_bio_front_exit();
err_major:
	unregister_blkdev(front_major, "hcivol");
	return ret;
}

void hcv_front_exit(void)
{
	hcv_mq_front_exit();
	hcv_bio_front_exit();
	unregister_blkdev(front_major, "hcivol");
}
