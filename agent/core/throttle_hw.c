// SPDX-License-Identifier: GPL-2.0-only
/*
 * Defaults by hardware.  See throttle_hw.h.
 */
#include "throttle_hw.h"

#include <stdio.h>
#include <string.h>

#define MIB		1024U
#define MBPS_10G	10000U
#define MBPS_25G	25000U

enum hw_row {
	ROW_HDD_1G, ROW_HDD, ROW_SSD_1G, ROW_SATA_10G, ROW_NVME_10G,
	ROW_NVME_25G, ROW_NVME_25G_RDMA, ROW_NR
};

/* R-FAIL-5 rounds 156.25 MiB/s to 156.3. */
static const struct hcv_hw_row rows[ROW_NR] = {
	[ROW_HDD_1G] = { "hdd-1g", "rotating disks, link below 10 Gbit/s",
		50, 20 * MIB, 10 * MIB, 80 * MIB, 5 * MIB, 80 * MIB },
	[ROW_HDD] = { "hdd-10g", "rotating disks, 10 Gbit/s",
		50, 20 * MIB, 10 * MIB, 100 * MIB, 5 * MIB, 100 * MIB },
	[ROW_SSD_1G] = { "ssd-1g", "SSDs, link below 10 Gbit/s",
		500, 40 * MIB, 10 * MIB, 80 * MIB, 5 * MIB, 80 * MIB },
	[ROW_SATA_10G] = { "sata-10g", "SATA SSDs, 10 Gbit/s",
		1500, 150 * MIB, 100 * MIB, 500 * MIB, 50 * MIB, 500 * MIB },
	[ROW_NVME_10G] = { "nvme-10g", "NVMe, 10 Gbit/s",
		5000, 500 * MIB, 100 * MIB, 500 * MIB, 50 * MIB, 500 * MIB },
	[ROW_NVME_25G] = { "nvme-25g", "NVMe, 25 Gbit/s",
		5000, 500 * MIB, 240 * MIB, 1200 * MIB, 120 * MIB,
		1200 * MIB },
	[ROW_NVME_25G_RDMA] = { "nvme-25g-rdma", "NVMe, 25 Gbit/s with RDMA",
		5000, 500 * MIB, 3125 * MIB / 10, 15625 * MIB / 10,
		15625 * MIB / 100, 15625 * MIB / 10 },
};

const struct hcv_hw_row *hcv_hw_rows(size_t *nr)
{
	*nr = ROW_NR;
	return rows;
}

enum hcv_hw_disk hcv_hw_disk(const char *kname, bool rotational)
{
	/* Hypervisors call their disks rotating unless told otherwise. */
	bool is_virtual = !strncmp(kname, "vd", 2) ||
			  !strncmp(kname, "xvd", 3);

	if (rotational && !is_virtual)
		return HCV_HW_HDD;
	return !strncmp(kname, "nvme", 4) ? HCV_HW_NVME : HCV_HW_SATA;
}

static enum hw_row hw_row(const struct hcv_hw *hw)
{
	/* Not known, or not needed: nothing says that it is slow. */
	bool slow = hw->link_mbps && hw->link_mbps < MBPS_10G && !hw->alone;

	if (hw->disks[HCV_HW_HDD])
		return slow ? ROW_HDD_1G : ROW_HDD;
	if (slow)
		return ROW_SSD_1G;
	if (hw->disks[HCV_HW_SATA] || !hw->disks[HCV_HW_NVME])
		return ROW_SATA_10G;
	if (hw->alone || hw->link_mbps < MBPS_25G)
		return ROW_NVME_10G;
	return hw->rdma ? ROW_NVME_25G_RDMA : ROW_NVME_25G;
}

static void hw_words(const struct hcv_hw *hw, char *out, size_t size)
{
	static const char *const names[HCV_HW_DISKS] = {
		"rotating", "SSD", "NVMe",
	};
	size_t len = 0, i;

	out[0] = 0;
	for (i = 0; i < HCV_HW_DISKS && len < size; i++)
		if (hw->disks[i])
			len += (size_t)snprintf(out + len, size - len,
						"%s%u %s", len ? ", " : "",
						hw->disks[i], names[i]);
	if (!len)
		len = (size_t)snprintf(out, size, "no store");
	if (len >= size)
		return;
	if (hw->alone)
		snprintf(out + len, size - len, "; no other node");
	else if (!hw->link_mbps)
		snprintf(out + len, size - len,
			 "; speed of the link not known, taken for 10 Gbit/s");
	else
		snprintf(out + len, size - len, "; link of %u Mbit/s%s",
			 hw->link_mbps, hw->rdma ? " with RDMA" : "");
}

const struct hcv_hw_row *hcv_hw_detect(const struct hcv_hw *hw, char *found,
				       size_t size)
{
	hw_words(hw, found, size);
	return &rows[hw_row(hw)];
}
