// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/hcivol/by-name/NAME and /dev/hcivol/by-id/UUID.
 *
 * udev makes the same links with the same targets (tools/udev); where both
 * run they agree, and where there is no udev the agent is enough.
 */
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HCV_DEV_DIR	"/dev/hcivol"

static const char * const hcv_devlink_dirs[] = {
	HCV_DEV_DIR "/by-name", HCV_DEV_DIR "/by-id"
};

static int hcv_devlink_mkdir(const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

/* rename() replaces a link in one step: there is never a moment without. */
static int hcv_devlink_make(const char *dir, const char *name,
			    const char *target)
{
	char path[PATH_MAX], tmp[PATH_MAX], old[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(tmp, sizeof(tmp), "%s/.%s.%d", dir, name, (int)getpid());
	len = readlink(path, old, sizeof(old) - 1);
	if (len > 0) {
		old[len] = '\0';
		if (!strcmp(old, target))
			return 0;
	}
	if (unlink(tmp) < 0 && errno != ENOENT)
		return -errno;
	if (symlink(target, tmp) < 0)
		return -errno;
	HCV_CRASH_POINT("devlink-made");
	if (rename(tmp, path) < 0) {
		int err = errno;

		unlink(tmp);
		return -err;
	}
	return 0;
}

/* Remove the links of @dir to @target, except @keep (may be NULL). */
static int hcv_devlink_sweep(const char *dir, const char *target,
			     const char *keep)
{
	char path[PATH_MAX], link[PATH_MAX];
	struct dirent *d;
	ssize_t len;
	int ret = 0;
	DIR *list;

	list = opendir(dir);
	if (!list)
		return errno == ENOENT ? 0 : -errno;
	while ((d = readdir(list))) {
		if (keep && !strcmp(d->d_name, keep))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, d->d_name);
		len = readlink(path, link, sizeof(link) - 1);
		if (len <= 0)
			continue;
		link[len] = '\0';
		if (!strcmp(link, target) && unlink(path) < 0 &&
		    errno != ENOENT)
			ret = -errno;
	}
	closedir(list);
	return ret;
}

int hcv_devlink_add(const char *name, const char *uuid, unsigned int minor)
{
	const char *entry[2] = { name, uuid };
	char target[32];
	int i, ret;

	snprintf(target, sizeof(target), "../../hcivol%u", minor);
	ret = hcv_devlink_mkdir(HCV_DEV_DIR);
	for (i = 0; i < 2 && !ret; i++) {
		ret = hcv_devlink_mkdir(hcv_devlink_dirs[i]);
		if (!ret)
			ret = hcv_devlink_make(hcv_devlink_dirs[i], entry[i],
					       target);
		/* the device had another volume, or another name, before */
		if (!ret)
			ret = hcv_devlink_sweep(hcv_devlink_dirs[i], target,
						entry[i]);
	}
	return ret;
}

int hcv_devlink_del(const char *uuid, unsigned int minor)
{
	char path[PATH_MAX], link[PATH_MAX], target[32];
	ssize_t len;
	int i, ret = 0, err;

	snprintf(target, sizeof(target), "../../hcivol%u", minor);
	snprintf(path, sizeof(path), "%s/%s", hcv_devlink_dirs[1], uuid);
	len = readlink(path, link, sizeof(link) - 1);
	if (len <= 0)
		return 0;
	link[len] = '\0';
	/* the number may have been given to another volume meanwhile */
	if (strcmp(link, target))
		return 0;
	for (i = 0; i < 2; i++) {
		err = hcv_devlink_sweep(hcv_devlink_dirs[i], target, NULL);
		if (err)
			ret = err;
	}
	return ret;
}
