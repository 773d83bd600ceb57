// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder of a done message, which comes over the network.
 */
#include "fuzz_main.h"

const u32 hcv_fuzz_crc_off = 4;

u32 hcv_fuzz_len(const u8 *buf, size_t size)
{
	return HCV_BLOCK_SIZE;
}

void hcv_fuzz_one(const u8 *buf, size_t size)
{
	u8 out[HCV_BLOCK_SIZE] __aligned(8);
	struct hcv_done done;

	if (hcv_fmt_done_decode(buf, &done))
		return;
	HCV_FUZZ_CHECK(done.epoch);
	hcv_fmt_done_encode(&done, out);
	HCV_FUZZ_CHECK(!memcmp(buf, out, sizeof(out)));
}
