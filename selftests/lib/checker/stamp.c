// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stamped blocks.  Each sector carries all of the stamp, so that of a torn
 * block it can be told whose parts it is made of; behind it come bytes that
 * follow from the stamp, and the checksum covers these as well.
 */
#include "stamp.h"

#define HCV_CK_MAGIC	0x4b434348U	/* "HCCK" */

struct hcv_ck_sector {
	__le32 magic;
	__le32 crc;		/* of the sector, this field being 0 */
	__le64 run;
	__le64 block;
	__le64 id;
	__le32 index;		/* of the sector in its block */
	__le32 pad;
	__le64 fill[(HCV_CK_SECTOR - 40) / 8];
};

_Static_assert(sizeof(struct hcv_ck_sector) == HCV_CK_SECTOR, "sector");

static u32 hcv_ck_sector_crc(struct hcv_ck_sector *sec)
{
	__le32 was = sec->crc;
	u32 crc;

	sec->crc = 0;
	crc = crc32c(~0U, sec, sizeof(*sec));
	sec->crc = was;
	return crc;
}

void hcv_ck_stamp_fill(u8 *buf, u64 run, u64 block, u64 id)
{
	struct hcv_ck_sector sec = {};
	u64 x = (run ^ id) * 0x9e3779b97f4a7c15ULL + block;
	u32 i, k;

	for (i = 0; i < HCV_CK_BLOCK / HCV_CK_SECTOR; i++) {
		sec.magic = cpu_to_le32(HCV_CK_MAGIC);
		sec.run = cpu_to_le64(run);
		sec.block = cpu_to_le64(block);
		sec.id = cpu_to_le64(id);
		sec.index = cpu_to_le32(i);
		for (k = 0; k < ARRAY_SIZE(sec.fill); k++) {
			x = x * 6364136223846793005ULL + 1442695040888963407ULL;
			sec.fill[k] = cpu_to_le64(x);
		}
		sec.crc = cpu_to_le32(hcv_ck_sector_crc(&sec));
		memcpy(buf + i * HCV_CK_SECTOR, &sec, sizeof(sec));
	}
}

/* Of one sector; TORN cannot come of that. */
static struct hcv_ck_stamp hcv_ck_sector_read(const u8 *buf, u64 run,
					      u64 block, u32 index)
{
	struct hcv_ck_stamp st = { HCV_CK_GARBAGE, 0, index };
	static const u8 zeroes[HCV_CK_SECTOR];
	struct hcv_ck_sector sec;

	if (!memcmp(buf, zeroes, HCV_CK_SECTOR)) {
		st.seen = HCV_CK_WHOLE;
		return st;
	}
	memcpy(&sec, buf, sizeof(sec));
	if (le32_to_cpu(sec.magic) != HCV_CK_MAGIC || !sec.id ||
	    le32_to_cpu(sec.crc) != hcv_ck_sector_crc(&sec))
		return st;
	st.id = le64_to_cpu(sec.id);
	if (le64_to_cpu(sec.run) != run) {
		st.seen = HCV_CK_OTHER_RUN;
		st.other = le64_to_cpu(sec.run);
	} else if (le64_to_cpu(sec.block) != block) {
		st.seen = HCV_CK_MISPLACED;
		st.other = le64_to_cpu(sec.block);
	} else if (le32_to_cpu(sec.index) == index) {
		st.seen = HCV_CK_WHOLE;
	}
	return st;
}

struct hcv_ck_stamp hcv_ck_stamp_read(const u8 *buf, u64 run, u64 block)
{
	struct hcv_ck_stamp all, one;
	u32 i;

	all = hcv_ck_sector_read(buf, run, block, 0);
	for (i = 1; i < HCV_CK_BLOCK / HCV_CK_SECTOR; i++) {
		one = hcv_ck_sector_read(buf + i * HCV_CK_SECTOR, run, block,
					 i);
		if (all.seen != HCV_CK_WHOLE)
			break;
		if (one.seen != HCV_CK_WHOLE)
			return one;
		if (one.id == all.id)
			continue;
		all.seen = HCV_CK_TORN;
		all.other = one.id;
	}
	if (all.seen == HCV_CK_WHOLE)
		all.other = 0;
	return all;
}
