/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Formatting a block device as a store.  Links with kernel/core/format.c,
 * tools/lib/hcv_crc32c.c, tools/lib/hcv_dev.c, -lblkid and -luuid.
 */
#ifndef HCV_LIB_MKFS_H
#define HCV_LIB_MKFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HCV_MKFS_ERR_SIZE	512

/**
 * struct hcv_mkfs - what to make, and what was made
 * @path: the device
 * @label: at most 63 bytes without control characters, or NULL
 * @cluster: UUID of the cluster or of the single node's own; zero: none yet
 * @store: UUID of the store; zero: one is drawn and returned here
 * @force: destroy whatever the device holds
 * @dev_bytes: returned: bytes used of the device
 * @lba_bytes: returned: logical sector size
 * @nr_extents: returned: extents of 256 MiB that it offers
 * @nr_vols: returned: volumes that can have a part here
 */
struct hcv_mkfs {
	const char *path;
	const char *label;
	uint8_t cluster[16];
	uint8_t store[16];
	bool force;
	uint64_t dev_bytes;
	uint32_t lba_bytes;
	uint32_t nr_extents;
	uint32_t nr_vols;
};

/**
 * hcv_mkfs() - make a store on a device
 * @err: HCV_MKFS_ERR_SIZE bytes; a sentence when this fails
 *
 * Blocks while it writes: a few seconds at most on a slow large disk.  Until
 * its very end the device carries no valid superblock.
 *
 * Return: 0; -EEXIST: the device holds something and @force is not set;
 * -EBUSY: in use; -ENOSPC: too small; -EFBIG: too large; -ENOTBLK: no block
 * device; -EINVAL: sector size or label; or an I/O error.
 */
int hcv_mkfs(struct hcv_mkfs *mk, char *err);

#endif /* HCV_LIB_MKFS_H */
