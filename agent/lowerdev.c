// SPDX-License-Identifier: GPL-2.0-only
/*
 * The block devices beneath stores, as sysfs and their superblocks show them.
 */
#include "lowerdev.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <uuid/uuid.h>

#undef roundup		/* of sys/param.h, by way of uv.h */
#include "format.h"
#include "hcv_dev.h"

/* A disk that answers later than this is as good as dead (milliseconds). */
#define HCV_LOWER_SSD_MS	2000
#define HCV_LOWER_HDD_MS	4000

static bool hcv_lowerdev_ours(const char *kname)
{
	return !strncmp(kname, "hcivol", 6) || !strncmp(kname, "hcvx", 4);
}

static void hcv_lowerdev_kname(dev_t rdev, char *out, size_t size)
{
	char path[64], link[PATH_MAX];
	ssize_t len;
	char *slash;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(rdev),
		 minor(rdev));
	len = readlink(path, link, sizeof(link) - 1);
	link[len > 0 ? len : 0] = '\0';
	slash = strrchr(link, '/');
	snprintf(out, size, "%.60s", slash ? slash + 1 : "");
}

/* An attribute of the disk's queue; a partition's disk is its parent. */
static void hcv_lowerdev_queue(const char *kname, const char *attr,
			       char *path, size_t size)
{
	snprintf(path, size, "/sys/class/block/%s/queue/%s", kname, attr);
	if (access(path, F_OK))
		snprintf(path, size, "/sys/class/block/%s/../queue/%s", kname,
			 attr);
}

/* Whether the device, or what it lies on, is one of ours. */
static bool hcv_lowerdev_on_ours(const char *kname, unsigned int depth)
{
	char path[PATH_MAX];
	struct dirent *d;
	bool ours = false;
	DIR *dir;

	if (hcv_lowerdev_ours(kname))
		return true;
	snprintf(path, sizeof(path), "/sys/class/block/%s/slaves", kname);
	dir = depth < 8 ? opendir(path) : NULL;
	if (!dir)
		return false;
	while (!ours && (d = readdir(dir)))
		ours = d->d_name[0] != '.' &&
			hcv_lowerdev_on_ours(d->d_name, depth + 1);
	closedir(dir);
	return ours;
}

/* udev's by-id names survive reboots and other cables; prefer serials. */
static void hcv_lowerdev_stable(struct hcv_lowerdev *dev)
{
	static const char dir_name[] = "/dev/disk/by-id";
	char path[PATH_MAX], real[PATH_MAX];
	struct dirent *d;
	DIR *dir = opendir(dir_name);

	snprintf(dev->path, sizeof(dev->path), "%s", dev->real);
	if (!dir)
		return;
	while ((d = readdir(dir))) {
		if (!strncmp(d->d_name, "dm-name-", 8))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir_name, d->d_name);
		if (d->d_name[0] == '.' || !realpath(path, real) ||
		    strcmp(real, dev->real) ||
		    strlen(path) >= sizeof(dev->path))
			continue;
		/* several: the first in alphabet, to be the same next time */
		if (!strcmp(dev->path, dev->real) ||
		    strcmp(path, dev->path) < 0)
			strcpy(dev->path, path);
	}
	closedir(dir);
}

static int hcv_lowerdev_super(const char *path, struct hcv_super *sb)
{
	static const u64 off[2] = { HCV_SB_OFF0, HCV_SB_OFF1 };
	struct hcv_dev dev;
	char why[HCV_ERR_SIZE];
	void *buf;
	int copy, ret;

	ret = hcv_dev_open(&dev, path, HCV_DEV_READ, why, sizeof(why));
	if (ret)
		return ret;
	buf = hcv_dev_alloc(HCV_BLOCK_SIZE);
	ret = buf ? -ENODATA : -ENOMEM;
	for (copy = 0; buf && ret && copy < 2; copy++) {
		ret = hcv_dev_read(&dev, off[copy], buf, HCV_BLOCK_SIZE);
		if (!ret)
			ret = hcv_fmt_super_decode(buf, copy, dev.bytes, sb);
	}
	free(buf);
	hcv_dev_close(&dev);
	return ret;
}

int hcv_lowerdev_probe(const char *path, struct hcv_lowerdev *dev,
		       struct hcv_error *err)
{
	char real[PATH_MAX], queue[PATH_MAX], object[128];
	struct hcv_super sb;
	struct stat st;
	char *text;

	memset(dev, 0, sizeof(*dev));
	snprintf(object, sizeof(object), "device %.100s", path);
	if (*path != '/')
		return hcv_error_set(err, HCV_E_USAGE, object, NULL,
				     "it is not an absolute path");
	if (!realpath(path, real) || stat(real, &st) < 0)
		return hcv_error_set(err, HCV_E_NOTFOUND, object, "lsblk",
				     "%s", strerror(errno));
	if (!S_ISBLK(st.st_mode))
		return hcv_error_set(err, HCV_E_USAGE, object, "lsblk",
				     "it is no block device");
	if (strlen(real) >= sizeof(dev->real))
		return hcv_error_set(err, HCV_E_USAGE, object, NULL,
				     "its path is too long");
	strcpy(dev->real, real);
	hcv_lowerdev_kname(st.st_rdev, dev->kname, sizeof(dev->kname));
	if (hcv_lowerdev_on_ours(dev->kname, 0))
		return hcv_error_set(err, HCV_E_REFUSED, object, "lsblk -s",
				     "it is, or lies on, a hcivol device: a store on it would wait for itself");
	hcv_lowerdev_stable(dev);
	hcv_lowerdev_queue(dev->kname, "rotational", queue, sizeof(queue));
	text = hcv_file_read(queue);
	dev->rotational = text && *text == '1';
	free(text);
	if (!hcv_lowerdev_super(real, &sb)) {
		dev->has_store = true;
		dev->used = sb.incarnation;
		uuid_unparse_lower(sb.store, dev->store);
		uuid_unparse_lower(sb.cluster, dev->cluster);
	}
	return 0;
}

int hcv_lowerdev_find(const char *store, char *path)
{
	struct hcv_lowerdev dev;
	struct hcv_super sb;
	char text[HCV_ID_LEN];
	struct dirent *d;
	DIR *dir = opendir("/sys/class/block");
	int ret = -ENOENT;

	if (!dir)
		return -ENOENT;
	while (ret && (d = readdir(dir))) {
		if (d->d_name[0] == '.' || hcv_lowerdev_on_ours(d->d_name, 0))
			continue;
		memset(&dev, 0, sizeof(dev));
		snprintf(dev.real, sizeof(dev.real), "/dev/%.200s", d->d_name);
		if (hcv_lowerdev_super(dev.real, &sb))
			continue;
		uuid_unparse_lower(sb.store, text);
		if (strcmp(text, store))
			continue;
		hcv_lowerdev_stable(&dev);
		snprintf(path, 256, "%s", dev.path);
		ret = 0;
	}
	closedir(dir);
	return ret;
}

void hcv_lowerdev_tune(const char *path, const char *class)
{
	unsigned long ms = strcmp(class, "hdd") ? HCV_LOWER_SSD_MS :
		HCV_LOWER_HDD_MS;
	char real[PATH_MAX], attr[PATH_MAX], kname[64];
	struct stat st;
	char *text;
	FILE *f;

	if (!realpath(path, real) || stat(real, &st) < 0)
		return;
	hcv_lowerdev_kname(st.st_rdev, kname, sizeof(kname));
	hcv_lowerdev_queue(kname, "io_timeout", attr, sizeof(attr));
	text = hcv_file_read(attr);
	if (!text || strtoul(text, NULL, 10) <= ms) {
		free(text);
		return;		/* stacked devices have none */
	}
	free(text);
	f = fopen(attr, "we");
	if (!f || fprintf(f, "%lu\n", ms) < 0 || fflush(f))
		hcv_log(HCV_SEV_WARN, "%s: %s", attr, strerror(errno));
	if (f)
		fclose(f);
}

int hcv_lowerdev_wipe(const char *path, const char *store, char *why)
{
	struct hcv_super sb;
	struct hcv_dev dev;
	char text[HCV_ID_LEN];
	void *zero;
	int ret;

	ret = hcv_lowerdev_super(path, &sb);
	if (ret) {
		snprintf(why, HCV_ERR_SIZE, "%s holds no store any more", path);
		return -ESTALE;
	}
	uuid_unparse_lower(sb.store, text);
	if (strcmp(text, store)) {
		snprintf(why, HCV_ERR_SIZE, "%s holds another store, %s", path,
			 text);
		return -ESTALE;
	}
	ret = hcv_dev_open(&dev, path, HCV_DEV_WRITE, why, HCV_ERR_SIZE);
	if (ret)
		return ret;
	zero = hcv_dev_alloc(HCV_BLOCK_SIZE);
	ret = zero ? 0 : -ENOMEM;
	if (!ret)
		ret = hcv_dev_write(&dev, HCV_SB_OFF0, zero, HCV_BLOCK_SIZE);
	if (!ret)
		ret = hcv_dev_write(&dev, HCV_SB_OFF1, zero, HCV_BLOCK_SIZE);
	if (!ret)
		ret = hcv_dev_flush(&dev);
	free(zero);
	hcv_dev_close(&dev);
	if (ret)
		snprintf(why, HCV_ERR_SIZE, "%s: %s", path, strerror(-ret));
	return ret;
}
