// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder of a page of the extent table.
 */
#include "fuzz_main.h"

const u32 hcv_fuzz_crc_off = 4;

u32 hcv_fuzz_len(const u8 *buf, size_t size)
{
	return HCV_BLOCK_SIZE;
}

void hcv_fuzz_one(const u8 *buf, size_t size)
{
	const struct hcv_dsk_table *d = (const void *)buf;
	u8 out[HCV_BLOCK_SIZE] __aligned(8);
	struct hcv_entry ent;
	u32 i, place;
	u64 seq;

	place = le32_to_cpu(d->place) & 1;
	if (hcv_fmt_table_check(buf, d->store, le32_to_cpu(d->page), place,
				&seq))
		return;
	hcv_fmt_table_init(out, d->store, le32_to_cpu(d->page));
	for (i = 0; i < HCV_TABLE_ENTRIES; i++) {
		if (hcv_fmt_table_get(buf, i, &ent))
			return;
		HCV_FUZZ_CHECK(ent.state <= HCV_ENTRY_USED);
		hcv_fmt_table_set(out, i, &ent);
	}
	hcv_fmt_table_seal(out, place, seq);
	HCV_FUZZ_CHECK(!memcmp(buf, out, sizeof(out)));
}
