// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of what becomes of a replica that gave an error: every case there is.
 */
#include <kunit/test.h>

#include "repl.h"

static const struct {
	struct hcv_repl_case c;
	enum hcv_fate fate;
} hcv_t_fate[] = {
	/* counts, sole, final */
	{ { false, false, false }, HCV_FATE_REMOVE },
	{ { false, false, true }, HCV_FATE_REMOVE },
	{ { false, true, false }, HCV_FATE_REMOVE },
	{ { false, true, true }, HCV_FATE_REMOVE },
	{ { true, false, false }, HCV_FATE_REMOVE },
	{ { true, false, true }, HCV_FATE_REMOVE },
	{ { true, true, false }, HCV_FATE_WAIT },
	{ { true, true, true }, HCV_FATE_STAY },
};

static void hcv_repl_test_fate(struct kunit *test)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(hcv_t_fate); i++)
		KUNIT_EXPECT_EQ(test, (int)hcv_t_fate[i].fate,
				(int)hcv_repl_fate(&hcv_t_fate[i].c));
}

static const struct {
	u32 holders, insync, link;
	bool sole;
} hcv_t_sole[] = {
	/* Nobody else has it, in-sync or not. */
	{ 0x1, 0x1, 0, true },
	{ 0x1, 0x0, 0, true },
	{ 0x80000000, 0xffffffff, 31, true },
	/* Another one has it, but not all of it. */
	{ 0x3, 0x1, 0, true },
	{ 0x3, 0x0, 1, true },
	{ 0x7, 0x4, 2, true },
	/* Others are in-sync, of other extents: the volume's number says nothing. */
	{ 0x3, 0xfd, 0, true },
	{ 0x6, 0xfffffffb, 1, true },
	/* Another one has all of it. */
	{ 0x3, 0x3, 0, false },
	{ 0x3, 0x2, 0, false },
	{ 0xc0000000, 0x40000000, 31, false },
	{ 0x7, 0x6, 2, false },
	/* It has nothing of it. */
	{ 0x2, 0x1, 0, false },
	{ 0x6, 0x0, 0, false },
	{ 0x0, 0x0, 5, false },
};

static void hcv_repl_test_sole(struct kunit *test)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(hcv_t_sole); i++)
		KUNIT_EXPECT_EQ_MSG(test, hcv_t_sole[i].sole,
				    hcv_repl_sole(hcv_t_sole[i].holders,
						  hcv_t_sole[i].insync,
						  hcv_t_sole[i].link),
				    "case %u", i);
}

/* By definition: the extent has no in-sync replica once the link is gone. */
static void hcv_repl_test_all(struct kunit *test)
{
	u32 holders, insync, link, i, left;

	for (holders = 0; holders < 16; holders++)
		for (insync = 0; insync < 16; insync++)
			for (link = 0; link < 4; link++) {
				for (left = 0, i = 0; i < 4; i++)
					left += i != link && holders >> i & 1 &&
						insync >> i & 1;
				KUNIT_EXPECT_EQ(test,
						holders >> link & 1 && !left,
						hcv_repl_sole(holders, insync,
							      link));
			}
}

/* Stamps up to @last_v may be on a copy: what it misses needs a higher one. */
static void hcv_repl_test_go(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, hcv_repl_may_go(5, 4));
	KUNIT_EXPECT_TRUE(test, hcv_repl_may_go(9, 4));
	KUNIT_EXPECT_FALSE(test, hcv_repl_may_go(5, 5));
	KUNIT_EXPECT_FALSE(test, hcv_repl_may_go(4, 5));
	/* Never tied by this owner. */
	KUNIT_EXPECT_TRUE(test, hcv_repl_may_go(1, 0));
}

static struct kunit_case hcv_repl_cases[] = {
	KUNIT_CASE(hcv_repl_test_fate),
	KUNIT_CASE(hcv_repl_test_sole),
	KUNIT_CASE(hcv_repl_test_all),
	KUNIT_CASE(hcv_repl_test_go),
	{ }
};

static struct kunit_suite hcv_repl_suite = {
	.name = "hcv_repl",
	.test_cases = hcv_repl_cases,
};

kunit_test_suite(hcv_repl_suite);
