// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder of a page of the activity log.
 */
#include "fuzz_main.h"

const u32 hcv_fuzz_crc_off = 4;

u32 hcv_fuzz_len(const u8 *buf, size_t size)
{
	return HCV_BLOCK_SIZE;
}

void hcv_fuzz_one(const u8 *buf, size_t size)
{
	const struct hcv_dsk_log *d = (const void *)buf;
	u8 out[HCV_BLOCK_SIZE] __aligned(8);
	struct hcv_log_id id;
	u64 epoch, seq;
	u32 count, i;

	memcpy(id.volume, d->volume, HCV_UUID_SIZE);
	id.lineage = le64_to_cpu(d->lineage);
	id.page = d->page;
	id.place = d->place;
	if (hcv_fmt_log_check(buf, &id, &epoch, &seq, &count)) {
		HCV_FUZZ_CHECK(!count);
		return;
	}
	HCV_FUZZ_CHECK(epoch && seq && count <= HCV_LOG_ENTRIES);
	hcv_fmt_log_begin(out, &id, epoch, seq);
	for (i = 0; i < count; i++)
		hcv_fmt_log_put(out, i, hcv_fmt_log_get(buf, i));
	hcv_fmt_log_seal(out, count);
	HCV_FUZZ_CHECK(!memcmp(buf, out, sizeof(out)));
}
