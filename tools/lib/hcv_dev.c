// SPDX-License-Identifier: GPL-2.0-only
/*
 * A block device, or a plain file in place of one, as user space sees it.
 */
#include "hcv_dev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int hcv_dev_fail(struct hcv_dev *dev, int ret, char *err, size_t len,
			const char *what)
{
	const char *help = "";

	if (ret == -EBUSY)
		help = "; it is mounted, swap space, part of another device or an open store: stop that use first";
	else if (ret == -EACCES || ret == -EPERM)
		help = "; run as root";
	else if (ret == -ENOTBLK)
		help = "; name a block device";
	snprintf(err, len, "%s: %s: %s%s", dev->path, what, strerror(-ret),
		 help);
	hcv_dev_close(dev);
	return ret;
}

static int hcv_dev_size(struct hcv_dev *dev, const struct stat *st)
{
	int lba;

	if (!dev->block) {
		dev->bytes = st->st_size;
		dev->lba_bytes = 512;
		return 0;
	}
	if (ioctl(dev->fd, BLKGETSIZE64, &dev->bytes) ||
	    ioctl(dev->fd, BLKSSZGET, &lba))
		return -errno;
	dev->lba_bytes = lba;
	return 0;
}

int hcv_dev_open(struct hcv_dev *dev, const char *path, unsigned int mode,
		 char *err, size_t err_len)
{
	int flags = O_CLOEXEC | (mode & HCV_DEV_WRITE ? O_RDWR : O_RDONLY);
	struct stat st, now;
	int ret;

	memset(dev, 0, sizeof(*dev));
	dev->fd = -1;
	dev->path = path;
	if (stat(path, &st))
		return hcv_dev_fail(dev, -errno, err, err_len, "cannot open");
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return hcv_dev_fail(dev, -ENOTBLK, err, err_len, "cannot open");
	dev->block = S_ISBLK(st.st_mode);
	if (dev->block)
		flags |= O_DIRECT | (mode & HCV_DEV_WRITE ? O_EXCL : 0);
	dev->fd = open(path, flags);
	if (dev->fd < 0)
		return hcv_dev_fail(dev, -errno, err, err_len, "cannot open");
	/* What was looked at is what was opened. */
	if (fstat(dev->fd, &now))
		return hcv_dev_fail(dev, -errno, err, err_len, "cannot open");
	if (now.st_rdev != st.st_rdev || now.st_ino != st.st_ino ||
	    now.st_mode != st.st_mode)
		return hcv_dev_fail(dev, -ESTALE, err, err_len, "cannot open");
	ret = hcv_dev_size(dev, &now);
	if (ret)
		return hcv_dev_fail(dev, ret, err, err_len,
				    "cannot tell the size");
	return 0;
}

void hcv_dev_close(struct hcv_dev *dev)
{
	if (dev->fd >= 0)
		close(dev->fd);
	dev->fd = -1;
}

int hcv_dev_read(const struct hcv_dev *dev, uint64_t off, void *buf,
		 size_t len)
{
	ssize_t n;

	for (; len; len -= n, off += n, buf = (char *)buf + n) {
		n = pread(dev->fd, buf, len, off);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return -errno;
		else if (!n)
			return -EIO;
	}
	return 0;
}

int hcv_dev_write(const struct hcv_dev *dev, uint64_t off, const void *buf,
		  size_t len)
{
	ssize_t n;

	for (; len; len -= n, off += n, buf = (const char *)buf + n) {
		n = pwrite(dev->fd, buf, len, off);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return -errno;
		else if (!n)
			return -EIO;
	}
	return 0;
}

int hcv_dev_flush(const struct hcv_dev *dev)
{
	return fsync(dev->fd) ? -errno : 0;
}

void *hcv_dev_alloc(size_t len)
{
	void *buf = NULL;

	if (posix_memalign(&buf, HCV_DEV_ALIGN, len))
		return NULL;
	memset(buf, 0, len);
	return buf;
}
