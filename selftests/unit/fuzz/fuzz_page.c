// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder of a metadata page.
 */
#include "fuzz_main.h"

const u32 hcv_fuzz_crc_off = 4;

u32 hcv_fuzz_len(const u8 *buf, size_t size)
{
	return HCV_BLOCK_SIZE;
}

void hcv_fuzz_one(const u8 *buf, size_t size)
{
	const struct hcv_dsk_page *d = (const void *)buf;
	u8 out[HCV_BLOCK_SIZE] __aligned(8) = { 0 };
	struct hcv_page_id id = { .lineage = 0 };
	struct hcv_rec rec;
	u64 epoch, seq;
	u32 i;

	memcpy(id.volume, d->volume, HCV_UUID_SIZE);
	id.extent = le32_to_cpu(d->extent);
	id.page = d->page;
	id.place = d->place;
	if (hcv_fmt_page_check(buf, &id, &epoch, &seq))
		return;
	HCV_FUZZ_CHECK(id.lineage && id.page < HCV_EXTENT_PAGES &&
		       id.place < 2);
	hcv_fmt_page_begin(out, &id, epoch, seq);
	for (i = 0; i < HCV_PAGE_RECORDS; i++) {
		if (hcv_fmt_page_get(buf, id.page, i, &rec))
			return;
		HCV_FUZZ_CHECK(rec.state <= HCV_REC_USED);
		hcv_fmt_page_put(out, i, &rec);
	}
	hcv_fmt_page_seal(out);
	HCV_FUZZ_CHECK(!memcmp(buf, out, sizeof(out)));
}
