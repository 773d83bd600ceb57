// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the map knows of a temporary replica: which blocks it holds, and what its
 * pages say.
 */
#include "map_test.h"

#define HCV_T_LIFE	9

struct hcv_t_temp {
	struct hcv_map map;
	struct hcv_ext *ext;
	u8 *full, *temp;
};

static struct hcv_t_temp *hcv_t_temp(struct kunit *test)
{
	struct hcv_t_temp *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, t);
	KUNIT_ASSERT_EQ(test, hcv_map_init(&t->map, HCV_T_VOL, HCV_T_LINEAGE,
					   1, 2000), 0);
	t->map.v = 5;
	t->ext = hcv_t_ext(test, &t->map, 0, 0);
	t->full = kunit_kzalloc(test, HCV_BLOCK_SIZE, GFP_KERNEL);
	t->temp = kunit_kzalloc(test, HCV_BLOCK_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, t->full);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, t->temp);
	return t;
}

static void hcv_t_tie(struct kunit *test, struct hcv_t_temp *t, u64 life)
{
	struct hcv_held *held = hcv_map_held_new(&t->map, life);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, held);
	hcv_map_held_put(t->ext, held);
}

static void hcv_t_images(struct hcv_t_temp *t, u32 page, u64 life)
{
	struct hcv_map_image img = {
		.epoch = 2, .seq = 3, .place = 1,
		.buf = t->full, .temp = t->temp, .life = life,
	};

	hcv_map_encode_both(&t->map, t->ext, page, &img);
}

/* 0 absent, 1 data, 2 zero, 3 elsewhere, 9: the record is free */
static u32 hcv_t_state(const u8 *buf, u32 rec, u32 blk)
{
	struct hcv_rec r = { };

	if (hcv_fmt_page_get(buf, rec / HCV_PAGE_RECORDS,
			     rec % HCV_PAGE_RECORDS, &r) ||
	    r.state == HCV_REC_FREE)
		return 9;
	return (r.lo[blk / 64] >> (blk % 64) & 1) |
	       (r.hi[blk / 64] >> (blk % 64) & 1) << 1;
}

/* What both images say of a block of a record. */
static u32 hcv_t_says(struct hcv_t_temp *t, u32 rec, u32 blk)
{
	hcv_t_images(t, rec / HCV_PAGE_RECORDS, HCV_T_LIFE);
	return hcv_t_state(t->full, rec, blk) * 10 +
	       hcv_t_state(t->temp, rec, blk);
}

static long hcv_t_held_count(struct hcv_t_temp *t)
{
	return atomic_long_read(&t->map.nr_held);
}

/* A slot's blocks from before the tie to its end, and the slot after it. */
static void hcv_temp_slot(struct kunit *test)
{
	struct hcv_t_temp *t = hcv_t_temp(test);
	struct hcv_slot *slot = hcv_t_write(test, &t->map, 3, 10, 4);
	struct hcv_slot *fresh;
	long bytes;

	KUNIT_EXPECT_EQ(test, hcv_map_held_life(t->ext), 0);
	bytes = atomic_long_read(&t->map.bytes);
	hcv_map_hold(&t->map, slot, 10, 1);
	KUNIT_EXPECT_EQ(test, hcv_t_held_count(t), 0);
	hcv_t_tie(test, t, HCV_T_LIFE);
	KUNIT_EXPECT_EQ(test, hcv_map_held_life(t->ext), HCV_T_LIFE);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, 0, 10), 13);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, 0, 0), 3);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, 1, 0), 99);

	/* A write makes the page dirty although the owner's stays the same. */
	KUNIT_EXPECT_FALSE(test, test_bit(0, &t->ext->dirty));
	hcv_map_hold(&t->map, slot, 10, 2);
	KUNIT_EXPECT_TRUE(test, test_bit(0, &t->ext->dirty));
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, 0, 10), 11);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, 0, 11), 11);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, 0, 12), 13);
	hcv_map_hold(&t->map, slot, 10, 2);
	KUNIT_EXPECT_FALSE(test, test_bit(0, &t->ext->dirty));
	KUNIT_EXPECT_EQ(test, hcv_t_held_count(t), 2);

	/* What is cleared is known here from then on. */
	KUNIT_EXPECT_EQ(test, hcv_t_clear(&t->map, 3, 11, 2, false), 0);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, 0, 11), 0);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, 0, 12), 0);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, 0, 13), 13);
	KUNIT_EXPECT_FALSE(test, hcv_map_holds_all(t->ext, 0));

	/* A slot that is taken now is all here, what nobody wrote too. */
	fresh = hcv_t_write(test, &t->map, 4, 1, 1);
	KUNIT_EXPECT_TRUE(test, hcv_map_holds_all(t->ext, fresh->rec));
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, fresh->rec, 1), 11);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, fresh->rec, 2), 0);
	KUNIT_EXPECT_EQ(test, hcv_t_held_count(t), 3 + HCV_SLOT_BLOCKS);

	/* One that is freed is free in both, and counts no more. */
	KUNIT_EXPECT_EQ(test, hcv_t_clear(&t->map, 4, 0, HCV_SLOT_BLOCKS,
					  true), 0);
	hcv_map_reap(&t->map, 4);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, fresh->rec, 1), 99);
	KUNIT_EXPECT_EQ(test, hcv_t_held_count(t), 3);
	hcv_map_give_back(&t->map, hcv_map_freed(&t->map));

	hcv_map_held_drop(&t->map, t->ext);
	KUNIT_EXPECT_EQ(test, hcv_map_held_life(t->ext), 0);
	KUNIT_EXPECT_EQ(test, hcv_t_held_count(t), 0);
	/* The bitmaps of the second slot are gone. */
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->map.bytes), bytes);
	hcv_map_destroy(&t->map);
}

/*
 * Zeroes without data are known by the page alone.  They move to another record: that
 * is all here, too, and the old one says what it said until it is free.
 */
static void hcv_temp_upgrade(struct kunit *test)
{
	struct hcv_t_temp *t = hcv_t_temp(test);
	struct hcv_slot *old, *slot;

	hcv_t_gens(test, &t->map, 1);
	hcv_t_write(test, &t->map, 3, 0, HCV_SLOT_BLOCKS);
	hcv_t_gens(test, &t->map, 2);
	KUNIT_ASSERT_EQ(test, hcv_t_clear(&t->map, 3, 5, 2, false), 0);
	old = &t->ext->slot[HCV_EXTENT_SLOTS];
	KUNIT_ASSERT_TRUE(test, old->flags & HCV_SLOT_USED);
	hcv_t_tie(test, t, HCV_T_LIFE);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, old->rec, 5), 22);
	KUNIT_ASSERT_EQ(test, hcv_t_clear(&t->map, 3, 7, 1, false), 0);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, old->rec, 7), 22);
	KUNIT_EXPECT_EQ(test, hcv_t_held_count(t), 0);
	slot = hcv_t_write(test, &t->map, 3, 9, 1);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, slot->rec, 6), 22);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, slot->rec, 9), 11);
	/* Superseded, and still on the media. */
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, old->rec, 5), 22);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, old->rec, 6), 22);
	hcv_map_give_back(&t->map, hcv_map_freed(&t->map));
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, old->rec, 5), 99);
	KUNIT_EXPECT_EQ(test, hcv_t_held_count(t), HCV_SLOT_BLOCKS);
	hcv_map_give_back(&t->map, hcv_map_freed(&t->map));
	hcv_map_destroy(&t->map);
}

/* Bits of before count no more, nor do those of another temporary replica. */
static void hcv_temp_lives(struct kunit *test)
{
	struct hcv_t_temp *t = hcv_t_temp(test);
	struct hcv_slot *slot;

	hcv_t_tie(test, t, HCV_T_LIFE);
	slot = hcv_t_write(test, &t->map, 3, 0, 1);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, 0, 0), 11);
	hcv_map_held_reset(&t->map, t->ext);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, 0, 0), 13);
	KUNIT_EXPECT_EQ(test, hcv_t_held_count(t), 0);
	hcv_map_hold(&t->map, slot, 0, HCV_SLOT_BLOCKS);
	KUNIT_EXPECT_EQ(test, hcv_t_says(t, 0, 0), 11);
	hcv_t_images(t, 0, HCV_T_LIFE + 1);
	KUNIT_EXPECT_EQ(test, hcv_t_state(t->full, 0, 0), 1);
	KUNIT_EXPECT_EQ(test, hcv_t_state(t->temp, 0, 0), 3);
	hcv_map_held_drop(&t->map, t->ext);
	hcv_t_images(t, 0, HCV_T_LIFE);
	KUNIT_EXPECT_EQ(test, hcv_t_state(t->temp, 0, 0), 3);
	hcv_map_destroy(&t->map);
}

static void hcv_temp_memory(struct kunit *test)
{
	struct hcv_t_temp *t = hcv_t_temp(test);

	if (!HCV_T_HOST)
		kunit_skip(test, "needs the hooks of the host's build");
	hcv_t_alloc_fail(1);
	KUNIT_EXPECT_NULL(test, hcv_map_held_new(&t->map, HCV_T_LIFE));
	KUNIT_EXPECT_TRUE(test, hcv_t_alloc_failed());
	hcv_map_destroy(&t->map);
}

static void hcv_t_zero_one(void *arg)
{
	struct hcv_t_temp *t = arg;

	hcv_t_clear(&t->map, 3, 7, 1, true);
}

/*
 * While images are made a block is dropped of which the temporary replica has no
 * data: whenever that is, its image does not say that it has.
 */
static void hcv_temp_race(struct kunit *test)
{
	bool fired = true;
	u32 n, seen = 0;

	if (!HCV_T_HOST)
		kunit_skip(test, "needs the hooks of the host's build");
	for (n = 0; fired; n++) {
		struct hcv_t_temp *t = hcv_t_temp(test);

		hcv_t_write(test, &t->map, 3, 0, 64);
		hcv_t_tie(test, t, HCV_T_LIFE);
		hcv_t_other = (struct hcv_t_other) {
			.fn = hcv_t_zero_one, .arg = t, .in = n,
			.lock = &t->map.lock, .inner = &t->ext->lock,
		};
		hcv_t_images(t, 0, HCV_T_LIFE);
		fired = !hcv_t_other.fn;
		hcv_t_other.fn = NULL;
		KUNIT_EXPECT_NE_MSG(test, hcv_t_state(t->temp, 0, 7), 1,
				    "step %u", n);
		seen |= BIT(hcv_t_state(t->temp, 0, 7));
		if (!fired)
			hcv_t_zero_one(t);
		KUNIT_EXPECT_EQ(test, hcv_t_says(t, 0, 7), 0);
		hcv_map_destroy(&t->map);
	}
	/* Before and after it. */
	KUNIT_EXPECT_EQ(test, seen, BIT(0) | BIT(3));
}

static struct kunit_case hcv_map_temp_cases[] = {
	KUNIT_CASE(hcv_temp_slot),
	KUNIT_CASE(hcv_temp_upgrade),
	KUNIT_CASE(hcv_temp_lives),
	KUNIT_CASE(hcv_temp_memory),
	KUNIT_CASE(hcv_temp_race),
	{ }
};

static struct kunit_suite hcv_map_temp_suite = {
	.name = "hcv_map_temp",
	.test_cases = hcv_map_temp_cases,
};

kunit_test_suite(hcv_map_temp_suite);
