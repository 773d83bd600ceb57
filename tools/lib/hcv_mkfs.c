// SPDX-License-Identifier: GPL-2.0-only
/*
 * Formatting a block device as a store.
 *
 * Order: both superblocks and whatever else names the device are wiped and
 * flushed; table and heads of the volume areas are written and flushed; then
 * superblock copy 0, flush, copy 1, flush.  Interrupted anywhere it leaves
 * either no store or a whole one.
 */
#include "hcv_mkfs.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "format.h"
#include "hcv_dev.h"

/* Zeroed at both ends: where file systems, RAID and partition tables sit. */
#define HCV_MKFS_WIPE		(1U << 20)

__attribute__((format(printf, 3, 4)))
static int hcv_mkfs_fail(char *err, int ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, HCV_MKFS_ERR_SIZE, fmt, ap);
	va_end(ap);
	return ret;
}

static int hcv_mkfs_label(const char *label, char *err)
{
	const unsigned char *c;

	if (!label)
		return 0;
	if (strlen(label) >= HCV_NAME_SIZE)
		return hcv_mkfs_fail(err, -EINVAL,
				     "label \"%s\" is longer than %u bytes: choose a shorter one",
				     label, HCV_NAME_SIZE - 1);
	for (c = (const unsigned char *)label; *c; c++)
		if (*c < 0x20 || *c == 0x7f)
			return hcv_mkfs_fail(err, -EINVAL,
					     "the label has a control character: leave it out");
	return 0;
}

/* Is there a store, even a damaged one or one of another version? */
static int hcv_mkfs_probe_store(const struct hcv_dev *dev, void *buf, char *err)
{
	static const uint64_t at[2] = { HCV_SB_OFF0, HCV_SB_OFF1 };
	char text[UUID_STR_LEN];
	struct hcv_super sb;
	int copy, ret;

	for (copy = 0; copy < 2; copy++) {
		ret = hcv_dev_read(dev, at[copy], buf, HCV_BLOCK_SIZE);
		if (ret)
			return hcv_mkfs_fail(err, ret, "%s: cannot read: %s",
					     dev->path, strerror(-ret));
		ret = hcv_fmt_super_decode(buf, copy, dev->bytes, &sb);
		if (ret == -ENODATA || ret == -ENOMSG)
			continue;
		if (ret)
			return hcv_mkfs_fail(err, -EEXIST,
					     "%s holds a hcivol store that is damaged or of another version: look at it with hcivol-inspect, or destroy it with --force",
					     dev->path);
		uuid_unparse_lower(sb.store, text);
		return hcv_mkfs_fail(err, -EEXIST,
				     "%s holds hcivol store %s (label \"%s\"): add it as it is, or destroy it with --force",
				     dev->path, text, sb.label);
	}
	return 0;
}

static int hcv_mkfs_blkid(blkid_probe pr, const struct hcv_dev *dev, char *err)
{
	const char *what = NULL;
	int ret;

	blkid_probe_enable_superblocks(pr, 1);
	blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE |
					  BLKID_SUBLKS_BADCSUM);
	blkid_probe_enable_partitions(pr, 1);
	ret = blkid_do_safeprobe(pr);
	if (ret == 1)
		return 0;
	if (ret == -2)
		return hcv_mkfs_fail(err, -EEXIST,
				     "%s holds several signatures at once: see wipefs %s, or destroy them with --force",
				     dev->path, dev->path);
	if (ret)
		return hcv_mkfs_fail(err, -EIO,
				     "%s: cannot look for other contents: %s",
				     dev->path, strerror(errno ? errno : EIO));
	if (!blkid_probe_lookup_value(pr, "TYPE", &what, NULL))
		return hcv_mkfs_fail(err, -EEXIST,
				     "%s holds %s: choose another device, or destroy it with --force",
				     dev->path, what);
	if (!blkid_probe_lookup_value(pr, "PTTYPE", &what, NULL))
		return hcv_mkfs_fail(err, -EEXIST,
				     "%s holds a partition table (%s): choose another device, or destroy it with --force",
				     dev->path, what);
	return hcv_mkfs_fail(err, -EEXIST,
			     "%s holds something unknown: see wipefs %s, or destroy it with --force",
			     dev->path, dev->path);
}

/* libblkid reads through the page cache, which must not be an old one. */
static int hcv_mkfs_probe_other(const struct hcv_dev *dev, char *err)
{
	blkid_probe pr;
	int fd, ret;

	fd = open(dev->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return hcv_mkfs_fail(err, -errno, "%s: cannot open: %s",
				     dev->path, strerror(errno));
	if (dev->block && ioctl(fd, BLKFLSBUF, 0)) {
		ret = hcv_mkfs_fail(err, -errno,
				    "%s: cannot drop its page cache: %s",
				    dev->path, strerror(errno));
		goto out_close;
	}
	pr = blkid_new_probe();
	if (!pr || blkid_probe_set_device(pr, fd, 0, 0)) {
		ret = hcv_mkfs_fail(err, -EIO,
				    "%s: cannot look for other contents",
				    dev->path);
		goto out_free;
	}
	errno = 0;
	ret = hcv_mkfs_blkid(pr, dev, err);
out_free:
	blkid_free_probe(pr);
out_close:
	close(fd);
	return ret;
}

static int hcv_mkfs_zero(const struct hcv_dev *dev, void *zero, uint64_t off,
			 uint64_t len)
{
	uint64_t n;
	int ret = 0;

	for (; !ret && len; len -= n, off += n) {
		n = len < HCV_MKFS_WIPE ? len : HCV_MKFS_WIPE;
		ret = hcv_dev_write(dev, off, zero, n);
	}
	return ret;
}

/* @buf: HCV_MKFS_WIPE bytes, zero. */
static int hcv_mkfs_wipe(const struct hcv_dev *dev,
			 const struct hcv_layout *lay, void *buf)
{
	uint64_t end = lay->dev_bytes;
	int ret;

	ret = hcv_mkfs_zero(dev, buf, 0, HCV_TABLE_OFF);
	if (!ret)
		ret = hcv_mkfs_zero(dev, buf, end - HCV_MKFS_WIPE,
				    HCV_MKFS_WIPE);
	if (!ret)
		ret = hcv_dev_flush(dev);
	return ret;
}

/* Place 0: empty pages with sequence 1; place 1: never written. */
static int hcv_mkfs_table(const struct hcv_dev *dev,
			  const struct hcv_super *sb, void *zero)
{
	uint64_t place = (uint64_t)sb->lay.table_pages * HCV_BLOCK_SIZE;
	void *buf = hcv_dev_alloc(HCV_BLOCK_SIZE);
	uint32_t page;
	int ret = 0;

	if (!buf)
		return -ENOMEM;
	for (page = 0; !ret && page < sb->lay.table_pages; page++) {
		hcv_fmt_table_init(buf, sb->store, page);
		hcv_fmt_table_seal(buf, 0, 1);
		ret = hcv_dev_write(dev, HCV_TABLE_OFF +
				    (uint64_t)page * HCV_BLOCK_SIZE, buf,
				    HCV_BLOCK_SIZE);
	}
	if (!ret)
		ret = hcv_mkfs_zero(dev, zero, HCV_TABLE_OFF + place, place);
	free(buf);
	return ret;
}

/* No old volume page is to be found in an area that was not given out. */
static int hcv_mkfs_areas(const struct hcv_dev *dev,
			  const struct hcv_layout *lay, void *zero)
{
	uint64_t off = lay->vol_off;
	uint32_t i;
	int ret = 0;

	for (i = 0; !ret && i < lay->nr_vols; i++, off += HCV_VOLAREA_SIZE) {
		ret = hcv_dev_write(dev, off, zero, HCV_BLOCK_SIZE);
		if (!ret)
			ret = hcv_dev_write(dev, off + HCV_VOLPAGE_SIZE, zero,
					    HCV_BLOCK_SIZE);
	}
	return ret;
}

static int hcv_mkfs_super(const struct hcv_dev *dev,
			  const struct hcv_super *sb, void *buf)
{
	int ret;

	hcv_fmt_super_encode(sb, 0, buf);
	ret = hcv_dev_write(dev, HCV_SB_OFF0, buf, HCV_BLOCK_SIZE);
	if (!ret)
		ret = hcv_dev_flush(dev);
	if (ret)
		return ret;
	hcv_fmt_super_encode(sb, 1, buf);
	ret = hcv_dev_write(dev, HCV_SB_OFF1, buf, HCV_BLOCK_SIZE);
	if (!ret)
		ret = hcv_dev_flush(dev);
	return ret;
}

static int hcv_mkfs_write(const struct hcv_dev *dev, const struct hcv_super *sb,
			  void *buf)
{
	int ret;

	ret = hcv_mkfs_wipe(dev, &sb->lay, buf);
	if (!ret)
		ret = hcv_mkfs_table(dev, sb, buf);
	if (!ret)
		ret = hcv_mkfs_areas(dev, &sb->lay, buf);
	if (!ret)
		ret = hcv_dev_flush(dev);
	if (!ret)
		ret = hcv_mkfs_super(dev, sb, buf);
	return ret;
}

static int hcv_mkfs_layout(const struct hcv_dev *dev, struct hcv_super *sb,
			   char *err)
{
	int ret;

	if (dev->lba_bytes != 512 && dev->lba_bytes != 4096)
		return hcv_mkfs_fail(err, -EINVAL,
				     "%s has sectors of %u bytes: a store needs 512 or 4096",
				     dev->path, dev->lba_bytes);
	ret = hcv_fmt_layout(dev->bytes, &sb->lay);
	if (ret == -ENOSPC)
		return hcv_mkfs_fail(err, ret,
				     "%s is too small: it has %llu MiB, a store needs at least %llu MiB",
				     dev->path,
				     (unsigned long long)dev->bytes >> 20,
				     HCV_STORE_MIN_SIZE >> 20);
	if (ret)
		return hcv_mkfs_fail(err, ret,
				     "%s is too large for one store: partition it",
				     dev->path);
	return 0;
}

static void hcv_mkfs_fill(struct hcv_mkfs *mk, const struct hcv_dev *dev,
			  struct hcv_super *sb)
{
	if (uuid_is_null(mk->store))
		uuid_generate_random(mk->store);
	memcpy(sb->store, mk->store, HCV_UUID_SIZE);
	memcpy(sb->cluster, mk->cluster, HCV_UUID_SIZE);
	sb->seq = 1;
	sb->lba_bytes = dev->lba_bytes;
	/* Nobody ever got a lease from it: its first open need not wait. */
	sb->flags = HCV_SB_CLEAN | HCV_SB_NO_LEASE;
	sb->handle_next = HCV_HANDLE_CHUNK;
	sb->format_time = time(NULL);
	if (mk->label)
		strscpy(sb->label, mk->label, sizeof(sb->label));
	mk->dev_bytes = sb->lay.dev_bytes;
	mk->lba_bytes = sb->lba_bytes;
	mk->nr_extents = sb->lay.nr_extents;
	mk->nr_vols = sb->lay.nr_vols;
}

static int hcv_mkfs_dev(struct hcv_mkfs *mk, const struct hcv_dev *dev,
			void *buf, char *err)
{
	struct hcv_super sb = { 0 };
	int ret;

	ret = hcv_mkfs_layout(dev, &sb, err);
	if (!ret && !mk->force)
		ret = hcv_mkfs_probe_store(dev, buf, err);
	if (!ret && !mk->force)
		ret = hcv_mkfs_probe_other(dev, err);
	if (ret)
		return ret;
	hcv_mkfs_fill(mk, dev, &sb);
	memset(buf, 0, HCV_MKFS_WIPE);
	ret = hcv_mkfs_write(dev, &sb, buf);
	if (ret)
		return hcv_mkfs_fail(err, ret,
				     "%s: cannot write: %s: replace the device, or try again with --force",
				     dev->path, strerror(-ret));
	return 0;
}

int hcv_mkfs(struct hcv_mkfs *mk, char *err)
{
	struct hcv_dev dev;
	void *buf;
	int ret;

	err[0] = 0;
	ret = hcv_mkfs_label(mk->label, err);
	if (ret)
		return ret;
	ret = hcv_dev_open(&dev, mk->path, HCV_DEV_WRITE, err,
			   HCV_MKFS_ERR_SIZE);
	if (ret)
		return ret;
	buf = hcv_dev_alloc(HCV_MKFS_WIPE);
	if (buf)
		ret = hcv_mkfs_dev(mk, &dev, buf, err);
	else
		ret = hcv_mkfs_fail(err, -ENOMEM, "%s: out of memory",
				    mk->path);
	free(buf);
	hcv_dev_close(&dev);
	return ret;
}
