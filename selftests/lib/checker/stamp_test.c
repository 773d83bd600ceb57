// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of what is read out of a block.
 */
#include <kunit/test.h>

#include "stamp.h"

#define HCV_T_RUN	0x1122334455667788ULL
#define HCV_T_BLOCK	777

static u8 hcv_t_buf[HCV_CK_BLOCK], hcv_t_other[HCV_CK_BLOCK];

static void hcv_t_expect(struct kunit *test, enum hcv_ck_seen seen, u64 id,
			 u64 other)
{
	struct hcv_ck_stamp st = hcv_ck_stamp_read(hcv_t_buf, HCV_T_RUN,
						   HCV_T_BLOCK);

	KUNIT_EXPECT_EQ(test, (int)seen, (int)st.seen);
	KUNIT_EXPECT_EQ(test, id, st.id);
	KUNIT_EXPECT_EQ(test, other, st.other);
}

static void hcv_stamp_test_whole(struct kunit *test)
{
	u64 id = hcv_ck_id(HCV_CK_SESSIONS - 1, HCV_CK_WRITERS - 1,
			   HCV_CK_SEQ_MAX);

	KUNIT_EXPECT_EQ(test, HCV_CK_SESSIONS - 1, hcv_ck_id_session(id));
	KUNIT_EXPECT_EQ(test, HCV_CK_WRITERS - 1, hcv_ck_id_writer(id));
	KUNIT_EXPECT_EQ(test, HCV_CK_SEQ_MAX, hcv_ck_id_seq(id));
	hcv_ck_stamp_fill(hcv_t_buf, HCV_T_RUN, HCV_T_BLOCK, id);
	hcv_t_expect(test, HCV_CK_WHOLE, id, 0);
	memset(hcv_t_buf, 0, sizeof(hcv_t_buf));
	hcv_t_expect(test, HCV_CK_WHOLE, 0, 0);
}

/* Every byte counts, whatever is done to it. */
static void hcv_stamp_test_bytes(struct kunit *test)
{
	u64 id = hcv_ck_id(1, 2, 3);
	u32 i;

	hcv_ck_stamp_fill(hcv_t_buf, HCV_T_RUN, HCV_T_BLOCK, id);
	for (i = 0; i < HCV_CK_BLOCK; i++) {
		u8 was = hcv_t_buf[i];

		hcv_t_buf[i] ^= 1 << i % 8;
		if (hcv_ck_stamp_read(hcv_t_buf, HCV_T_RUN, HCV_T_BLOCK).seen !=
		    HCV_CK_GARBAGE)
			KUNIT_FAIL(test, "byte %u", i);
		hcv_t_buf[i] = was;
	}
}

/* Any cut between two writes, and between one and zeroes, is seen. */
static void hcv_stamp_test_torn(struct kunit *test)
{
	u64 a = hcv_ck_id(1, 0, 1), b = hcv_ck_id(1, 0, 2);
	u32 len;

	hcv_ck_stamp_fill(hcv_t_other, HCV_T_RUN, HCV_T_BLOCK, b);
	for (len = HCV_CK_SECTOR; len < HCV_CK_BLOCK; len += HCV_CK_SECTOR) {
		hcv_ck_stamp_fill(hcv_t_buf, HCV_T_RUN, HCV_T_BLOCK, a);
		memcpy(hcv_t_buf, hcv_t_other, len);
		hcv_t_expect(test, HCV_CK_TORN, b, a);
		memset(hcv_t_buf, 0, len);
		hcv_t_expect(test, HCV_CK_TORN, 0, a);
		hcv_ck_stamp_fill(hcv_t_buf, HCV_T_RUN, HCV_T_BLOCK, a);
		memset(hcv_t_buf + len, 0, HCV_CK_BLOCK - len);
		hcv_t_expect(test, HCV_CK_TORN, a, 0);
	}
	/* In the middle of a sector, and a sector of the block elsewhere. */
	hcv_ck_stamp_fill(hcv_t_buf, HCV_T_RUN, HCV_T_BLOCK, a);
	memcpy(hcv_t_buf, hcv_t_other, 3 * HCV_CK_SECTOR + 100);
	hcv_t_expect(test, HCV_CK_GARBAGE, 0, 3);
	hcv_ck_stamp_fill(hcv_t_buf, HCV_T_RUN, HCV_T_BLOCK, a);
	memmove(hcv_t_buf + HCV_CK_SECTOR, hcv_t_buf, HCV_CK_SECTOR);
	hcv_t_expect(test, HCV_CK_GARBAGE, a, 1);
}

static void hcv_stamp_test_foreign(struct kunit *test)
{
	u64 id = hcv_ck_id(1, 2, 3);

	hcv_ck_stamp_fill(hcv_t_buf, HCV_T_RUN, HCV_T_BLOCK + 1, id);
	hcv_t_expect(test, HCV_CK_MISPLACED, id, HCV_T_BLOCK + 1);
	hcv_ck_stamp_fill(hcv_t_buf, HCV_T_RUN + 1, HCV_T_BLOCK, id);
	hcv_t_expect(test, HCV_CK_OTHER_RUN, id, HCV_T_RUN + 1);
	memset(hcv_t_buf, 0xaa, sizeof(hcv_t_buf));
	hcv_t_expect(test, HCV_CK_GARBAGE, 0, 0);
	/* One sector of it is enough. */
	hcv_ck_stamp_fill(hcv_t_buf, HCV_T_RUN, HCV_T_BLOCK, id);
	hcv_ck_stamp_fill(hcv_t_other, HCV_T_RUN, HCV_T_BLOCK + 1, id);
	memcpy(hcv_t_buf + 7 * HCV_CK_SECTOR, hcv_t_other + 7 * HCV_CK_SECTOR,
	       HCV_CK_SECTOR);
	hcv_t_expect(test, HCV_CK_MISPLACED, id, HCV_T_BLOCK + 1);
}

static struct kunit_case hcv_stamp_cases[] = {
	KUNIT_CASE(hcv_stamp_test_whole),
	KUNIT_CASE(hcv_stamp_test_bytes),
	KUNIT_CASE(hcv_stamp_test_torn),
	KUNIT_CASE(hcv_stamp_test_foreign),
	{}
};

static struct kunit_suite hcv_stamp_suite = {
	.name = "checker_stamp",
	.test_cases = hcv_stamp_cases,
};

kunit_test_suite(hcv_stamp_suite);
