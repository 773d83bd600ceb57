// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of what the map knows of the activity log: who waits, what is named, and
 * that no entry goes while a write relies on it.
 */
#include <kunit/test.h>
#include <linux/slab.h>

#include "map.h"

#define HCV_T_VOL	((const u8 *)"volume-abcdefghi")
#define HCV_T_MIBS	2048	/* four leaves */

static void hcv_t_init(struct kunit *test, struct hcv_map *map)
{
	u32 i;

	KUNIT_ASSERT_EQ(test, hcv_map_init(map, HCV_T_VOL, 77, 1, HCV_T_MIBS),
			0);
	for (i = 0; i < HCV_T_MIBS; i += 2 * HCV_LEAF_MIBS)
		KUNIT_ASSERT_EQ(test, hcv_map_leaf_make(map, i, GFP_KERNEL), 0);
}

static struct hcv_leaf *hcv_t_leaf(struct hcv_map *map, u32 mib)
{
	struct hcv_leaf *leaf;

	rcu_read_lock();
	leaf = hcv_map_leaf(map, mib);
	rcu_read_unlock();
	return leaf;
}

static void hcv_t_want(struct hcv_map *map, u32 mib)
{
	hcv_map_log_want(map, hcv_t_leaf(map, mib), mib);
}

static bool hcv_t_logged(struct hcv_map *map, u32 mib)
{
	return hcv_map_logged(hcv_t_leaf(map, mib), mib);
}

/* Each want is given out once, whatever room there is. */
static void hcv_map_log_test_want(struct kunit *test)
{
	struct hcv_map map;
	u32 mib[8], n, i, k, seen[8] = { }, max;
	static const u32 wanted[] = { 0, 1, 63, 64, 511, 1024, 1100, 1535 };

	hcv_t_init(test, &map);
	KUNIT_EXPECT_EQ(test, hcv_map_log_take(&map, mib, 8), 0U);
	for (max = 1; max <= 8; max++) {
		memset(seen, 0, sizeof(seen));
		for (i = 0; i < 8; i++) {
			hcv_t_want(&map, wanted[i]);
			hcv_t_want(&map, wanted[i]);
		}
		while ((n = hcv_map_log_take(&map, mib, max))) {
			KUNIT_ASSERT_LE(test, n, max);
			for (i = 0; i < n; i++)
				for (k = 0; k < 8; k++)
					seen[k] += mib[i] == wanted[k];
		}
		for (k = 0; k < 8; k++)
			KUNIT_EXPECT_EQ(test, seen[k], 1U);
	}
	hcv_map_destroy(&map);
}

static void hcv_map_log_test_bits(struct kunit *test)
{
	struct llist_node *leaves;
	struct hcv_map map;

	hcv_t_init(test, &map);
	KUNIT_EXPECT_FALSE(test, hcv_map_log_reset(&map, 5));
	hcv_map_log_set(&map, 5);
	KUNIT_EXPECT_TRUE(test, hcv_t_logged(&map, 5));
	KUNIT_EXPECT_TRUE(test, hcv_map_is_logged(&map, 5));
	KUNIT_EXPECT_FALSE(test, hcv_map_is_logged(&map, 600));
	KUNIT_EXPECT_FALSE(test, hcv_t_logged(&map, 4));
	KUNIT_EXPECT_TRUE(test, hcv_map_log_reset(&map, 5));
	KUNIT_EXPECT_FALSE(test, hcv_t_logged(&map, 5));
	/* Where there is no leaf nothing is named. */
	hcv_map_log_set(&map, 600);
	KUNIT_EXPECT_FALSE(test, hcv_map_log_reset(&map, 600));

	KUNIT_EXPECT_FALSE(test, hcv_map_is_unflushed(&map, 600));
	KUNIT_EXPECT_EQ(test, hcv_map_name(&map, 600), 0);
	KUNIT_EXPECT_EQ(test, hcv_map_name(&map, HCV_T_MIBS), 0);
	KUNIT_EXPECT_EQ(test, hcv_map_unflushed(&map), 1U);
	KUNIT_EXPECT_TRUE(test, hcv_map_is_unflushed(&map, 600));
	leaves = hcv_map_round_begin(&map);
	KUNIT_EXPECT_TRUE(test, hcv_map_is_unflushed(&map, 600));
	hcv_map_round_end(&map, leaves, false);
	KUNIT_EXPECT_TRUE(test, hcv_map_is_unflushed(&map, 600));
	leaves = hcv_map_round_begin(&map);
	hcv_map_round_end(&map, leaves, true);
	KUNIT_EXPECT_FALSE(test, hcv_map_is_unflushed(&map, 600));
	hcv_map_destroy(&map);
}

/* A log that nobody has: whatever has a slot gets the new stamp. */
static void hcv_map_log_test_all(struct kunit *test)
{
	struct hcv_map map;
	struct hcv_ext *ext;
	struct hcv_slot *slot[3];
	u32 i;

	hcv_t_init(test, &map);
	map.v = 3;
	ext = hcv_map_ext_new(&map, 0, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ext);
	KUNIT_ASSERT_EQ(test, hcv_map_ext_add(&map, ext), 0);
	for (i = 0; i < 3; i++) {
		slot[i] = hcv_map_take(&map, i * 200, GFP_KERNEL);
		KUNIT_ASSERT_FALSE(test, IS_ERR(slot[i]));
		hcv_map_written(&map, slot[i], 0, 1);
		KUNIT_EXPECT_EQ(test, slot[i]->stamp, 3ULL);
	}
	KUNIT_EXPECT_EQ(test, hcv_map_unflushed(&map), 0U);
	KUNIT_EXPECT_EQ(test, hcv_map_name(&map, 200), 0);
	hcv_map_bump(&map, 9);
	KUNIT_EXPECT_EQ(test, slot[0]->stamp, 3ULL);
	KUNIT_EXPECT_EQ(test, slot[1]->stamp, 9ULL);
	hcv_map_name_all(&map);
	KUNIT_EXPECT_EQ(test, hcv_map_unflushed(&map), 3U);
	hcv_map_bump(&map, 11);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, slot[i]->stamp, 11ULL);
	hcv_map_destroy(&map);
}

/*
 * A write, a FLUSH round, and whoever drops the entry, in every order of their
 * steps.  The write relies on the entry from the moment it saw it until a round
 * that began after its end is over.
 */
struct hcv_t_race {
	struct hcv_map map;
	u32 step[3];
	bool busy, sent, ended, covered, flushed;
	bool looked, dropped, wrong;
	struct llist_node *leaves;
};

#define HCV_T_RACE_MIB	7

static void hcv_t_write(struct hcv_t_race *r)
{
	struct hcv_leaf *leaf = hcv_t_leaf(&r->map, HCV_T_RACE_MIB);

	switch (r->step[0]) {
	case 0:
		r->busy = true;
		break;
	case 1:
		hcv_map_mark(&r->map, leaf, HCV_T_RACE_MIB);
		break;
	case 2:
		r->sent = hcv_map_logged(leaf, HCV_T_RACE_MIB);
		break;
	case 3:
		r->ended = r->sent;
		hcv_map_mark(&r->map, leaf, HCV_T_RACE_MIB);
		break;
	default:
		r->busy = false;
	}
}

static void hcv_t_round(struct hcv_t_race *r)
{
	if (!r->step[1]) {
		r->leaves = hcv_map_round_begin(&r->map);
		r->covered = r->ended;
		return;
	}
	hcv_map_round_end(&r->map, r->leaves, true);
	r->flushed = r->covered;
}

/* As actlog_drop(). */
static void hcv_t_drop(struct hcv_t_race *r)
{
	switch (r->step[2]) {
	case 0:
		hcv_map_log_reset(&r->map, HCV_T_RACE_MIB);
		break;
	case 1:
		r->looked = r->busy;
		break;
	default:
		if (r->looked ||
		    hcv_map_is_unflushed(&r->map, HCV_T_RACE_MIB))
			hcv_map_log_set(&r->map, HCV_T_RACE_MIB);
		else
			r->dropped = true;
	}
	r->wrong |= r->dropped && r->sent && !r->flushed;
}

static void hcv_t_step(struct hcv_t_race *r, u32 who)
{
	if (who == 0)
		hcv_t_write(r);
	else if (who == 1)
		hcv_t_round(r);
	else
		hcv_t_drop(r);
	r->step[who]++;
	/* It saw the entry, and it is gone. */
	r->wrong |= r->dropped && r->sent && !r->flushed;
}

/* One order: the digits of @order say who is next. */
static bool hcv_t_order(struct kunit *test, struct hcv_t_race *r, u64 order)
{
	static const u32 steps[3] = { 5, 2, 3 };
	u32 i;

	memset(r, 0, sizeof(*r));
	hcv_t_init(test, &r->map);
	hcv_map_log_set(&r->map, HCV_T_RACE_MIB);
	for (i = 0; i < 10; i++, order /= 3) {
		if (r->step[order % 3] == steps[order % 3])
			break;
		hcv_t_step(r, order % 3);
	}
	hcv_map_destroy(&r->map);
	return i == 10;
}

static void hcv_map_log_test_race(struct kunit *test)
{
	struct hcv_t_race *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	u32 orders = 0, dropped = 0, sent = 0;
	u64 order;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, r);
	for (order = 0; order < 59049; order++) {
		if (!hcv_t_order(test, r, order))
			continue;
		orders++;
		dropped += r->dropped;
		sent += r->sent;
		KUNIT_ASSERT_FALSE_MSG(test, r->wrong, "order %llu", order);
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, orders, 2520U);
	KUNIT_EXPECT_GT(test, dropped, 0U);
	KUNIT_EXPECT_GT(test, sent, 0U);
}

static struct kunit_case hcv_map_log_cases[] = {
	KUNIT_CASE(hcv_map_log_test_want),
	KUNIT_CASE(hcv_map_log_test_bits),
	KUNIT_CASE(hcv_map_log_test_all),
	KUNIT_CASE(hcv_map_log_test_race),
	{ }
};

static struct kunit_suite hcv_map_log_suite = {
	.name = "hcv_map_log",
	.test_cases = hcv_map_log_cases,
};

kunit_test_suite(hcv_map_log_suite);
