// SPDX-License-Identifier: GPL-2.0-only
/*
 * The superblock's decoder.
 */
#include "fuzz_main.h"

const u32 hcv_fuzz_crc_off = 8;

u32 hcv_fuzz_len(const u8 *buf, size_t size)
{
	return HCV_BLOCK_SIZE;
}

void hcv_fuzz_one(const u8 *buf, size_t size)
{
	const struct hcv_dsk_super *d = (const void *)buf;
	struct hcv_super sb;
	u8 out[HCV_BLOCK_SIZE] __aligned(8);
	int copy;

	for (copy = 0; copy < 2; copy++) {
		if (hcv_fmt_super_decode(buf, copy, 1ULL << 52, &sb))
			continue;
		HCV_FUZZ_CHECK(strnlen(sb.label, sizeof(sb.label)) <
			       sizeof(sb.label));
		HCV_FUZZ_CHECK(sb.lay.nr_extents > 0);
		HCV_FUZZ_CHECK(sb.lay.data_off + ((u64)sb.lay.nr_extents <<
						  HCV_EXTENT_SHIFT) <=
			       sb.lay.dev_bytes);
		hcv_fmt_super_encode(&sb, copy, out);
		/* A newer minor version may know more than we do. */
		if (le16_to_cpu(d->minor) == HCV_FMT_MINOR)
			HCV_FUZZ_CHECK(!memcmp(buf, out, sizeof(out)));
	}
}
