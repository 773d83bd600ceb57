// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder of a control window, which comes over the network.
 */
#include "fuzz_main.h"

const u32 hcv_fuzz_crc_off = 4;

u32 hcv_fuzz_len(const u8 *buf, size_t size)
{
	return HCV_BLOCK_SIZE;
}

void hcv_fuzz_one(const u8 *buf, size_t size)
{
	const struct hcv_dsk_control *d = (const void *)buf;
	u8 out[HCV_BLOCK_SIZE] __aligned(8);
	struct hcv_control ctl;
	u32 i;

	/* Must not read behind the list, decoded or not. */
	hcv_fmt_control_revoked(buf, d->store, ~0ULL);
	if (hcv_fmt_control_decode(buf, &ctl))
		return;
	HCV_FUZZ_CHECK(ctl.count <= HCV_CONTROL_REVOKED);
	hcv_fmt_control_begin(out);
	for (i = 0; i < ctl.count; i++) {
		HCV_FUZZ_CHECK(hcv_fmt_control_add(out, d->revoked[i].volume,
						   le64_to_cpu(d->revoked[i].epoch)));
		HCV_FUZZ_CHECK(hcv_fmt_control_revoked(buf,
						       d->revoked[i].volume,
						       0));
	}
	hcv_fmt_control_seal(out, &ctl);
	HCV_FUZZ_CHECK(!memcmp(buf, out, sizeof(out)));
}
