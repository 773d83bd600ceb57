/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a node's hardware lets its recovery be by default.  Pure.
 *
 * The rows with SSDs are those of a shipping system of this field (R-FAIL-5 of
 * the requirements); those with slower hardware are ours.  The slowest kind of
 * disk decides, since a replica is as fast as its slowest leg.
 */
#ifndef HCV_AGENT_CORE_THROTTLE_HW_H
#define HCV_AGENT_CORE_THROTTLE_HW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hcv_hw_disk { HCV_HW_HDD, HCV_HW_SATA, HCV_HW_NVME, HCV_HW_DISKS };

/**
 * struct hcv_hw - what was found on a node
 * @disks: stores on each kind
 * @link_mbps: Mbit/s of the link to the other nodes, 0: not known
 * @rdma: it carries NVMe over RDMA
 * @alone: there are no other nodes to reach
 */
struct hcv_hw {
	unsigned int disks[HCV_HW_DISKS];
	unsigned int link_mbps;
	bool rdma;
	bool alone;
};

/**
 * struct hcv_hw_row - defaults, all rates KiB/s
 * @name: for people and programs
 * @iops, @fg_kibps: thresholds of the foreground load
 * @mig_min_kibps, @mig_max_kibps: of moves that no failure asks for
 */
struct hcv_hw_row {
	const char *name;
	const char *text;
	uint32_t iops, fg_kibps;
	uint32_t min_kibps, max_kibps;
	uint32_t mig_min_kibps, mig_max_kibps;
};

/** hcv_hw_rows() - the whole table; @nr gets its length */
const struct hcv_hw_row *hcv_hw_rows(size_t *nr);

/**
 * hcv_hw_disk() - the kind of a disk
 * @kname: the kernel's name of the disk beneath, "nvme0n1"
 *
 * What is neither is taken for a SATA SSD; so are disks of virtual machines,
 * whatever they say of themselves.
 */
enum hcv_hw_disk hcv_hw_disk(const char *kname, bool rotational);

/**
 * hcv_hw_detect() - the row of a node, never NULL
 * @found: @size bytes, gets what was found, in words
 */
const struct hcv_hw_row *hcv_hw_detect(const struct hcv_hw *hw, char *found,
				       size_t size);

#endif /* HCV_AGENT_CORE_THROTTLE_HW_H */
