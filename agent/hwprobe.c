// SPDX-License-Identifier: GPL-2.0-only
/*
 * What this node is made of, as sysfs shows it.  core/throttle_hw.c judges.
 */
#include "hwprobe.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define PROBE_DEPTH	8	/* of devices on devices */

static bool probe_number(const char *path, long *out)
{
	char *text = hcv_file_read(path), *end;

	if (!text)
		return false;
	*out = strtol(text, &end, 10);
	free(text);
	return end != text;
}

/* ---------------------------------------------------------------------- disks */

/* The directory of a device in sysfs, links resolved. */
static bool probe_dir(const char *path, char *dir)
{
	char link[64];
	struct stat st;

	if (stat(path, &st) || !S_ISBLK(st.st_mode))
		return false;
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(st.st_rdev),
		 minor(st.st_rdev));
	return realpath(link, dir);
}

static enum hcv_hw_disk probe_disk(const char *dir, unsigned int depth);

/* The slowest of those a device lies on; false: it lies on none. */
static bool probe_slaves(const char *dir, unsigned int depth,
			 enum hcv_hw_disk *out)
{
	enum hcv_hw_disk one;
	char path[PATH_MAX], real[PATH_MAX];
	bool found = false;
	struct dirent *d;
	DIR *slaves;

	snprintf(path, sizeof(path), "%.4000s/slaves", dir);
	slaves = depth < PROBE_DEPTH ? opendir(path) : NULL;
	if (!slaves)
		return false;
	while ((d = readdir(slaves))) {
		snprintf(path, sizeof(path), "%.3800s/slaves/%.200s", dir,
			 d->d_name);
		if (d->d_name[0] == '.' || !realpath(path, real))
			continue;
		one = probe_disk(real, depth + 1);
		if (!found || one < *out)
			*out = one;
		found = true;
	}
	closedir(slaves);
	return found;
}

static enum hcv_hw_disk probe_disk(const char *dir, unsigned int depth)
{
	char disk[PATH_MAX], path[PATH_MAX];
	enum hcv_hw_disk kind = HCV_HW_SATA;
	long rotational = 0;
	const char *kname;

	/* A partition lies in its disk's directory, and has no queue. */
	snprintf(disk, sizeof(disk), "%.4000s", dir);
	snprintf(path, sizeof(path), "%.4000s/queue", disk);
	if (access(path, F_OK) && strrchr(disk, '/'))
		*strrchr(disk, '/') = '\0';
	if (probe_slaves(disk, depth, &kind))
		return kind;
	snprintf(path, sizeof(path), "%.4000s/queue/rotational", disk);
	probe_number(path, &rotational);
	kname = strrchr(disk, '/');
	return hcv_hw_disk(kname ? kname + 1 : disk, rotational);
}

/* ----------------------------------------------------------------------- link */

/* Not as texts: an address of IPv6 has many. */
static bool probe_is_addr(const struct sockaddr *sa, const char *addr)
{
	struct in6_addr want;
	const void *has;
	size_t len;

	if (sa && sa->sa_family == AF_INET) {
		has = &((const struct sockaddr_in *)sa)->sin_addr;
		len = sizeof(struct in_addr);
	} else if (sa && sa->sa_family == AF_INET6) {
		has = &((const struct sockaddr_in6 *)sa)->sin6_addr;
		len = sizeof(struct in6_addr);
	} else {
		return false;
	}
	return inet_pton(sa->sa_family, addr, &want) == 1 &&
	       !memcmp(has, &want, len);
}

/* Of the interface that has the node's address; -1 there: not known. */
static unsigned int probe_link(const char *addr)
{
	struct ifaddrs *all, *one;
	char path[128];
	long mbps = 0;

	if (getifaddrs(&all))
		return 0;
	for (one = all; one; one = one->ifa_next) {
		if (!probe_is_addr(one->ifa_addr, addr))
			continue;
		snprintf(path, sizeof(path), "/sys/class/net/%.64s/speed",
			 one->ifa_name);
		probe_number(path, &mbps);
		break;
	}
	freeifaddrs(all);
	return mbps > 0 && mbps < 100000000 ? (unsigned int)mbps : 0;
}

void hcv_hwprobe(struct hcv_agent *a, const struct hcv_snap *snap,
		 struct hcv_hw *out)
{
	const struct hcv_identity *id = hcv_agent_id(a);
	char dir[PATH_MAX];
	size_t i;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < snap->nr_stores; i++) {
		const struct hcv_store_info *st = &snap->store[i].i;

		if (!strcmp(st->node, id->node) &&
		    st->state != HCV_ST_REMOVED && probe_dir(st->path, dir))
			out->disks[probe_disk(dir, 0)]++;
	}
	out->alone = snap->nr_nodes < 2;
	out->rdma = !strcmp(id->transport, "rdma");
	out->link_mbps = probe_link(id->addr);
}
