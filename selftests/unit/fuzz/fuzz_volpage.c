// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder of a volume page, with lengths that lie.
 */
#include "fuzz_main.h"

const u32 hcv_fuzz_crc_off = 4;

u32 hcv_fuzz_len(const u8 *buf, size_t size)
{
	u32 bytes;

	if (size < 12)
		return 0;
	memcpy(&bytes, buf + 8, sizeof(bytes));
	return le32toh(bytes);
}

void hcv_fuzz_one(const u8 *buf, size_t size)
{
	static struct hcv_gen gen[HCV_GENS_MAX];
	static u8 out[HCV_VOLPAGE_SIZE] __aligned(8);
	const struct hcv_dsk_volpage *d = (const void *)buf;
	struct hcv_volpage vp;
	u32 place, bytes, i;

	place = le32_to_cpu(d->place) & 1;
	/* A short buffer must not be read behind its end. */
	if (size >= HCV_BLOCK_SIZE) {
		u8 *cut = aligned_alloc(8, ALIGN(size, 8));

		HCV_FUZZ_CHECK(cut);
		memcpy(cut, buf, size);
		hcv_fmt_volpage_decode(cut, size, place, &vp);
		free(cut);
	}
	if (hcv_fmt_volpage_decode(buf, HCV_FUZZ_MAX, place, &vp))
		return;
	HCV_FUZZ_CHECK(vp.nr_gens && vp.nr_gens <= HCV_GENS_MAX);
	for (i = 0; i < vp.nr_gens; i++)
		HCV_FUZZ_CHECK(!hcv_fmt_volpage_gen(buf, i, &gen[i]));
	HCV_FUZZ_CHECK(hcv_fmt_volpage_gen(buf, i, &gen[0]) == -EINVAL);
	HCV_FUZZ_CHECK(!hcv_fmt_volpage_gen(buf, 0, &gen[0]));
	bytes = hcv_fmt_volpage_encode(&vp, gen, place, out);
	HCV_FUZZ_CHECK(bytes == le32_to_cpu(d->bytes));
	HCV_FUZZ_CHECK(!memcmp(buf, out, bytes));
}
