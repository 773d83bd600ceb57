/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The block devices beneath stores, as sysfs and their superblocks show them.
 */
#ifndef HCV_AGENT_LOWERDEV_H
#define HCV_AGENT_LOWERDEV_H

#include "agent.h"

/**
 * struct hcv_lowerdev - what is known of a device
 * @path: a name that survives a reboot where udev gives one, else the real one
 * @kname: the kernel's name, "sdb1"
 * @has_store: it carries a valid superblock
 * @used: the superblock says that a module opened it at least once
 * @store, @cluster: UUIDs in the superblock
 */
struct hcv_lowerdev {
	char path[256];
	char real[256];
	char kname[64];
	bool rotational;
	bool has_store;
	bool used;
	char store[HCV_ID_LEN];
	char cluster[HCV_ID_LEN];
};

/**
 * hcv_lowerdev_probe() - look at a device
 * Return: 0, or -1 with @err: no block device, one of hcivol's own, or one
 * that lies on a hcivol device
 */
int hcv_lowerdev_probe(const char *path, struct hcv_lowerdev *dev,
		       struct hcv_error *err);

/**
 * hcv_lowerdev_find() - the device that carries a store
 * @path: 256 bytes
 *
 * Reads the first block of every block device of the node.
 * Return: 0 or -ENOENT
 */
int hcv_lowerdev_find(const char *store, char *path);

/**
 * hcv_lowerdev_tune() - short time-outs, so that a hung disk fails in time
 * @class: "ssd" or "hdd"
 *
 * Never lengthens one, and devices without the setting are left as they are.
 */
void hcv_lowerdev_tune(const char *path, const char *class);

/**
 * hcv_lowerdev_wipe() - make both superblocks of a closed store unreadable
 * Return: 0 or -errno with @why (HCV_ERR_SIZE): -ESTALE: another store
 */
int hcv_lowerdev_wipe(const char *path, const char *store, char *why);

#endif /* HCV_AGENT_LOWERDEV_H */
