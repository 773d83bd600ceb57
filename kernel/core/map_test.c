// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the extent map, case by case; map_sim_test.c runs it at length.
 */
#include "map_test.h"

static struct hcv_map *hcv_t_map(struct kunit *test, u32 stripe, u64 mibs)
{
	struct hcv_map *map = kunit_kzalloc(test, sizeof(*map), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, map);
	KUNIT_ASSERT_EQ(test, hcv_map_init(map, HCV_T_VOL, HCV_T_LINEAGE,
					   stripe, mibs), 0);
	map->v = 5;
	return map;
}

/* Load a page with one record. */
static int hcv_t_load(struct kunit *test, struct hcv_map *map,
		      struct hcv_ext *ext, u32 rec, const struct hcv_rec *r)
{
	u8 *buf = kunit_kzalloc(test, HCV_BLOCK_SIZE, GFP_KERNEL);
	struct hcv_page_id id;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	hcv_t_page_id(&id, ext->index, rec / HCV_PAGE_RECORDS, 0);
	hcv_fmt_page_begin(buf, &id, 1, 1);
	hcv_fmt_page_put(buf, rec % HCV_PAGE_RECORDS, r);
	hcv_fmt_page_seal(buf);
	return hcv_map_load_page(map, ext, id.page, buf);
}

static void hcv_map_sizes(struct kunit *test)
{
	struct hcv_map *map = kunit_kzalloc(test, sizeof(*map), GFP_KERNEL);
	struct hcv_ext *ext;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, map);
	KUNIT_EXPECT_EQ(test, hcv_map_init(map, HCV_T_VOL, 1, 1, 0), -EFBIG);
	hcv_map_destroy(map);
	KUNIT_EXPECT_EQ(test, hcv_map_init(map, HCV_T_VOL, 1, 1,
					   (1ULL << 32) + 1), -EFBIG);
	hcv_map_destroy(map);

	map = hcv_t_map(test, 1, HCV_LEAF_MIBS);
	KUNIT_EXPECT_EQ(test, hcv_map_leaf_make(map, HCV_LEAF_MIBS, GFP_NOIO),
			-ERANGE);
	hcv_t_ext(test, map, 70, 0);
	ext = hcv_map_ext_new(map, 70, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ext);
	KUNIT_EXPECT_EQ(test, hcv_map_ext_add(map, ext), -EEXIST);
	ext->index = U32_MAX;
	KUNIT_EXPECT_EQ(test, hcv_map_ext_add(map, ext), -ERANGE);
	ext->index = HCV_EXTENT_INDEX_MAX;
	KUNIT_EXPECT_EQ(test, hcv_map_ext_add(map, ext), -ERANGE);
	hcv_map_ext_free(map, ext);
	KUNIT_EXPECT_NULL(test, hcv_map_ext_find(map, 69));
	KUNIT_EXPECT_NULL(test, hcv_map_ext_find(map, U32_MAX));
	KUNIT_EXPECT_NOT_NULL(test, hcv_map_ext_find(map, 70));

	/* What was there stays there. */
	hcv_t_write(test, map, 3, 9, 1);
	KUNIT_EXPECT_EQ(test, hcv_map_grow(map, 5000), 0);
	KUNIT_EXPECT_EQ(test, hcv_map_grow(map, 10), 0);
	KUNIT_EXPECT_EQ(test, hcv_map_leaf_make(map, 4999, GFP_NOIO), 0);
	KUNIT_EXPECT_NOT_NULL(test, hcv_t_at(map, 3, 9));
	KUNIT_EXPECT_EQ(test, hcv_map_grow(map, (1ULL << 32) + 1), -EFBIG);
	hcv_map_destroy(map);
}

/* A slot that is written in full gives up its bitmaps, and gets them back. */
static void hcv_map_full(struct kunit *test)
{
	u8 *buf = kunit_kzalloc(test, HCV_BLOCK_SIZE, GFP_KERNEL);
	struct hcv_map *map = hcv_t_map(test, 1, 100);
	struct hcv_ext *ext = hcv_t_ext(test, map, 0, 0);
	struct hcv_slot *slot;
	long bytes;
	u32 nr;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	slot = hcv_t_write(test, map, 1, 0, 200);
	bytes = atomic_long_read(&map->bytes);
	KUNIT_EXPECT_NULL(test, hcv_t_where(map, 1, 200, 56, &nr));
	KUNIT_EXPECT_EQ(test, nr, 56U);
	KUNIT_EXPECT_PTR_EQ(test, hcv_t_write(test, map, 1, 100, 156), slot);
	hcv_map_encode(map, ext, 0, 1, 1, 0, buf);
	KUNIT_EXPECT_LT(test, atomic_long_read(&map->bytes), bytes);
	KUNIT_EXPECT_PTR_EQ(test, hcv_t_where(map, 1, 0, 256, &nr), slot);
	KUNIT_EXPECT_EQ(test, nr, 256U);
	KUNIT_EXPECT_EQ(test, hcv_t_clear(map, 1, 64, 64, true), 0);
	KUNIT_EXPECT_PTR_EQ(test, hcv_t_where(map, 1, 0, 256, &nr), slot);
	KUNIT_EXPECT_EQ(test, nr, 64U);
	KUNIT_EXPECT_NULL(test, hcv_t_where(map, 1, 64, 192, &nr));
	KUNIT_EXPECT_EQ(test, nr, 64U);
	rcu_read_lock();
	KUNIT_EXPECT_TRUE(test, hcv_map_has(slot, 128, 128));
	KUNIT_EXPECT_FALSE(test, hcv_map_has(slot, 127, 2));
	rcu_read_unlock();
	hcv_map_destroy(map);
}

/* No slot is taken twice: not when full, and not before it is given back. */
static void hcv_map_space(struct kunit *test)
{
	struct hcv_map *map = hcv_t_map(test, 2, 2000);
	struct hcv_ext *ext = hcv_t_ext(test, map, 4, 1);
	struct hcv_slot *slot, *freed, *list;
	u32 i;

	KUNIT_ASSERT_EQ(test, hcv_map_leaf_make(map, 0, GFP_NOIO), 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR(hcv_map_take(map, 0, GFP_NOIO)), -ENOSPC);
	KUNIT_EXPECT_EQ(test, hcv_map_ready(map, 1), 1U);
	for (i = 0; i < HCV_EXTENT_SLOTS; i++)
		hcv_t_write(test, map, 2 * i + 1, i, 1);
	KUNIT_EXPECT_EQ(test, hcv_map_ready(map, 1), 0U);
	KUNIT_EXPECT_EQ(test, map->used_slots, (u64)HCV_EXTENT_SLOTS);
	KUNIT_ASSERT_EQ(test, hcv_map_leaf_make(map, 1001, GFP_NOIO), 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR(hcv_map_take(map, 1001, GFP_NOIO)),
			-ENOSPC);

	/* Block 7 of slot 7 was its only one. */
	freed = hcv_t_at(map, 15, 7);
	hcv_map_reap(map, 15);
	KUNIT_EXPECT_PTR_EQ(test, hcv_t_at(map, 15, 7), freed);
	KUNIT_EXPECT_FALSE(test, hcv_map_is_empty(map, 15));
	KUNIT_EXPECT_EQ(test, hcv_t_clear(map, 15, 0, 256, true), 0);
	KUNIT_EXPECT_TRUE(test, hcv_map_is_empty(map, 15));
	clear_bit(0, &ext->dirty);
	hcv_map_reap(map, 15);
	KUNIT_EXPECT_TRUE(test, test_bit(0, &ext->dirty));
	KUNIT_EXPECT_EQ(test, PTR_ERR(hcv_map_take(map, 1001, GFP_NOIO)),
			-ENOSPC);
	list = hcv_map_freed(map);
	KUNIT_EXPECT_PTR_EQ(test, list, freed);
	KUNIT_EXPECT_NULL(test, hcv_map_freed(map));
	KUNIT_EXPECT_EQ(test, PTR_ERR(hcv_map_take(map, 1001, GFP_NOIO)),
			-ENOSPC);
	hcv_map_unfreed(map, list);
	list = hcv_map_freed(map);
	KUNIT_EXPECT_PTR_EQ(test, list, freed);
	hcv_map_give_back(map, list);
	KUNIT_EXPECT_EQ(test, hcv_map_free_slots(map, 1), 1U);
	slot = hcv_map_take(map, 1001, GFP_NOIO);
	KUNIT_EXPECT_PTR_EQ(test, slot, freed);
	KUNIT_EXPECT_NULL(test, hcv_t_at(map, 1001, 7));
	hcv_map_destroy(map);
}

static const struct hcv_rec hcv_t_low = {
	.mib = 9, .gen = 1, .seq = 10, .stamp = 3, .state = HCV_REC_USED,
	.lo = { 1 },
};

static const struct hcv_rec hcv_t_high = {
	.mib = 9, .gen = 1, .seq = 11, .stamp = 3, .state = HCV_REC_USED,
	.lo = { 2 },
};

static void hcv_map_bad_pages(struct kunit *test)
{
	struct hcv_map *map = hcv_t_map(test, 2, 100);
	struct hcv_ext *ext = hcv_t_ext(test, map, 0, 1);
	struct hcv_rec r = hcv_t_low;

	r.hi[0] = 1;	/* elsewhere */
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 0, &r), -EUCLEAN);
	r.hi[0] = 0;
	r.gen = 2;	/* not of this lineage */
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 0, &r), -EUCLEAN);
	r.gen = 1;
	r.mib = HCV_LEAF_MIBS + 1;	/* beyond the end */
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 0, &r), -ERANGE);
	r.mib = 8;	/* of the other column */
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 0, &r), -EUCLEAN);
	r.mib = 9;
	r.stamp = 6;	/* v is 5 */
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 0, &r), -EUCLEAN);
	r.stamp = 5;
	r.seq = U64_MAX;	/* none would follow */
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 0, &r), -EUCLEAN);
	r.seq = 10;
	/* data where there is none */
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 256, &r), -EUCLEAN);
	KUNIT_EXPECT_EQ(test, map->used_slots, 0ULL);
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 0, &r), 0);
	/* The same page again would take the record away from its own mib. */
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 0, &r), -EUCLEAN);
	/* A sequence is given out once. */
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 40, &r), -EUCLEAN);
	KUNIT_EXPECT_EQ(test, map->used_slots, 1ULL);
	KUNIT_EXPECT_EQ(test, hcv_map_free_slots(map, 1), 255U);
	KUNIT_EXPECT_PTR_EQ(test, hcv_t_at(map, 9, 0), &ext->slot[0]);
	KUNIT_EXPECT_NULL(test, hcv_t_at(map, 9, 1));
	hcv_map_destroy(map);
}

/*
 * What a zero-only record said is on the media all the time: it stays there
 * until the round after the one that makes its successor durable.
 */
static void hcv_t_superseded(struct kunit *test, struct hcv_map *map,
			     struct hcv_slot *old, struct hcv_slot *slot)
{
	struct hcv_ext *ext = hcv_map_slot_ext(old);
	struct hcv_rec was, now;
	struct hcv_slot *list;

	KUNIT_EXPECT_TRUE(test, test_bit(slot->rec / HCV_PAGE_RECORDS,
					 &ext->dirty));
	hcv_map_record(ext, old->rec, &was);
	hcv_map_record(ext, slot->rec, &now);
	KUNIT_EXPECT_EQ(test, was.state, (u8)HCV_REC_USED);
	KUNIT_EXPECT_EQ(test, was.mib, now.mib);
	KUNIT_EXPECT_EQ(test, was.gen, now.gen);
	KUNIT_EXPECT_LT(test, was.seq, now.seq);
	KUNIT_EXPECT_LE(test, was.stamp, map->v);
	KUNIT_EXPECT_EQ(test, was.hi[0], now.hi[0] | now.lo[0]);

	/* A void round changes nothing. */
	list = hcv_map_freed(map);
	KUNIT_EXPECT_PTR_EQ(test, list, old);
	hcv_map_unfreed(map, list);
	list = hcv_map_freed(map);
	clear_bit(old->rec / HCV_PAGE_RECORDS, &ext->dirty);
	hcv_map_give_back(map, list);
	KUNIT_EXPECT_TRUE(test, test_bit(old->rec / HCV_PAGE_RECORDS,
					 &ext->dirty));
	hcv_map_record(ext, old->rec, &was);
	KUNIT_EXPECT_EQ(test, was.state, (u8)HCV_REC_FREE);
	list = hcv_map_freed(map);
	KUNIT_EXPECT_PTR_EQ(test, list, old);
	hcv_map_give_back(map, list);
	KUNIT_EXPECT_NULL(test, hcv_map_freed(map));
}

/* Two generations; slot 30 of generation 1 has blocks 0..99 of mib 9. */
static void hcv_map_layers(struct kunit *test)
{
	struct hcv_rec old = { .mib = 9, .gen = 1, .seq = 4, .stamp = 3,
			       .state = HCV_REC_USED,
			       .lo = { ~0ULL, (1ULL << 36) - 1 } };
	struct hcv_map *map = hcv_t_map(test, 1, 100);
	struct hcv_ext *ext = hcv_t_ext(test, map, 0, 0);
	struct hcv_slot *low = &ext->slot[30], *zero, *slot;
	u32 nr;

	hcv_t_gens(test, map, 2);
	KUNIT_ASSERT_EQ(test, hcv_t_load(test, map, ext, 30, &old), 0);
	KUNIT_EXPECT_PTR_EQ(test, hcv_t_where(map, 9, 0, 256, &nr), low);
	KUNIT_EXPECT_EQ(test, nr, 100U);

	/* A discard over an older layer without a slot is ignored. */
	KUNIT_EXPECT_EQ(test, hcv_t_clear(map, 9, 0, 50, true), 0);
	KUNIT_EXPECT_PTR_EQ(test, hcv_t_at(map, 9, 0), low);
	hcv_map_reap(map, 9);
	KUNIT_EXPECT_PTR_EQ(test, hcv_t_at(map, 9, 0), low);

	/* Zeroes take effect, in a record that owns no data. */
	KUNIT_EXPECT_EQ(test, hcv_t_clear(map, 9, 10, 50, false), 0);
	KUNIT_EXPECT_NULL(test, hcv_t_where(map, 9, 10, 90, &nr));
	KUNIT_EXPECT_EQ(test, nr, 50U);
	KUNIT_EXPECT_PTR_EQ(test, hcv_t_at(map, 9, 60), low);
	rcu_read_lock();
	zero = rcu_dereference(hcv_map_leaf(map, 9)->ent[9].slot);
	rcu_read_unlock();
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, zero);
	KUNIT_EXPECT_EQ(test, zero->rec, (u16)HCV_EXTENT_SLOTS);
	KUNIT_EXPECT_EQ(test, ext->free_zero, (u16)22);

	/* The first write moves what it says to one that does. */
	slot = hcv_t_write(test, map, 9, 20, 1);
	KUNIT_EXPECT_LT(test, slot->rec, (u16)HCV_EXTENT_SLOTS);
	KUNIT_EXPECT_PTR_EQ(test, hcv_t_at(map, 9, 20), slot);
	KUNIT_EXPECT_NULL(test, hcv_t_at(map, 9, 21));
	KUNIT_EXPECT_PTR_EQ(test, hcv_t_at(map, 9, 9), low);
	KUNIT_EXPECT_EQ(test, ext->free_zero, (u16)22);
	hcv_t_superseded(test, map, zero, slot);
	KUNIT_EXPECT_EQ(test, ext->free_zero, (u16)23);

	/* Now a discard finds a slot to write zero into; it is not freed. */
	KUNIT_EXPECT_EQ(test, hcv_t_clear(map, 9, 0, 256, true), 0);
	KUNIT_EXPECT_NULL(test, hcv_t_where(map, 9, 0, 256, &nr));
	KUNIT_EXPECT_EQ(test, nr, 256U);
	KUNIT_EXPECT_FALSE(test, hcv_map_is_empty(map, 9));
	hcv_map_reap(map, 9);
	KUNIT_EXPECT_NULL(test, hcv_map_freed(map));
	KUNIT_EXPECT_NULL(test, hcv_t_at(map, 9, 0));
	hcv_map_destroy(map);
}

struct hcv_t_racer {
	struct hcv_map *map;
	struct hcv_slot *slot;
	u32 blk;
	u32 fires;
	u32 after;
};

static void hcv_t_race_write(void *arg)
{
	struct hcv_t_racer *r = arg;

	if (r->fires++ == r->after)
		hcv_map_written(r->map, r->slot, r->blk, 1);
}

/* A copied page shows a block as it was or as it is, and nothing else. */
static void hcv_map_race(struct kunit *test)
{
	u8 *buf = kunit_kzalloc(test, HCV_BLOCK_SIZE, GFP_KERNEL);
	struct hcv_rec zero = { .mib = 9, .gen = 1, .seq = 4, .stamp = 5,
				.state = HCV_REC_USED,
				.hi = { ~0ULL, ~0ULL, ~0ULL, ~0ULL } };
	struct hcv_t_racer r = { };
	struct hcv_rec got;
	struct hcv_ext *ext;
	bool lo, hi;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	if (!HCV_T_HOST)
		kunit_skip(test, "needs the hook of the host's build");
	for (r.after = 0; r.after < 4; r.after++) {
		r.map = hcv_t_map(test, 1, 100);
		ext = hcv_t_ext(test, r.map, 0, 0);
		KUNIT_ASSERT_EQ(test, hcv_t_load(test, r.map, ext, 0, &zero),
				0);
		r.slot = &ext->slot[0];
		r.blk = 64 * r.after + 11;
		r.fires = 0;
		hcv_t_race_fn = hcv_t_race_write;
		hcv_t_race_arg = &r;
		hcv_map_encode(r.map, ext, 0, 1, 1, 0, buf);
		hcv_t_race_fn = NULL;
		KUNIT_EXPECT_GT(test, r.fires, r.after);
		KUNIT_ASSERT_EQ(test, hcv_fmt_page_get(buf, 0, 0, &got), 0);
		lo = got.lo[r.after] >> 11 & 1;
		hi = got.hi[r.after] >> 11 & 1;
		KUNIT_EXPECT_TRUE(test, lo != hi);
		/* Whatever it shows, the next round writes it again. */
		KUNIT_EXPECT_TRUE(test, test_bit(0, &ext->dirty));
		hcv_map_destroy(r.map);
	}
}

/* Rounds, and what a removal does to the stamps of what is not flushed. */
static void hcv_map_rounds(struct kunit *test)
{
	struct hcv_map *map = hcv_t_map(test, 1, 2000);
	struct hcv_slot *a, *b, *c;
	struct llist_node *round;

	hcv_t_ext(test, map, 0, 0);
	a = hcv_t_write(test, map, 1, 0, 1);
	b = hcv_t_write(test, map, 600, 0, 1);
	c = hcv_t_write(test, map, 1200, 0, 1);
	KUNIT_EXPECT_EQ(test, hcv_map_unflushed(map), 3U);
	hcv_map_round_end(map, hcv_map_round_begin(map), true);
	KUNIT_EXPECT_EQ(test, hcv_map_unflushed(map), 0U);

	hcv_t_write(test, map, 1, 0, 1);
	round = hcv_map_round_begin(map);
	hcv_t_write(test, map, 600, 0, 1);
	KUNIT_EXPECT_EQ(test, hcv_map_unflushed(map), 2U);
	hcv_map_bump(map, 6);
	KUNIT_EXPECT_EQ(test, hcv_t_stamp(a), 6ULL);
	KUNIT_EXPECT_EQ(test, hcv_t_stamp(b), 6ULL);
	KUNIT_EXPECT_EQ(test, hcv_t_stamp(c), 5ULL);
	hcv_map_round_end(map, round, false);
	KUNIT_EXPECT_EQ(test, hcv_map_unflushed(map), 2U);
	hcv_map_bump(map, 7);
	KUNIT_EXPECT_EQ(test, hcv_t_stamp(a), 7ULL);
	round = hcv_map_round_begin(map);
	hcv_t_write(test, map, 600, 0, 1);
	hcv_map_round_end(map, round, true);
	KUNIT_EXPECT_EQ(test, hcv_map_unflushed(map), 1U);
	hcv_map_bump(map, 8);
	KUNIT_EXPECT_EQ(test, hcv_t_stamp(a), 7ULL);
	KUNIT_EXPECT_EQ(test, hcv_t_stamp(b), 8ULL);

	/* Its write was not flushed when the next generation began. */
	hcv_t_gens(test, map, 2);
	hcv_t_write(test, map, 1200, 7, 1);
	a = hcv_t_write(test, map, 600, 9, 1);
	KUNIT_EXPECT_PTR_NE(test, a, b);
	hcv_map_bump(map, 9);
	KUNIT_EXPECT_EQ(test, hcv_t_stamp(a), 9ULL);
	KUNIT_EXPECT_EQ(test, hcv_t_stamp(b), 9ULL);
	hcv_map_destroy(map);

	/* A change of the bitmaps alone counts like a write. */
	map = hcv_t_map(test, 1, 2000);
	hcv_t_ext(test, map, 0, 0);
	c = hcv_t_write(test, map, 1200, 0, 1);
	hcv_map_round_end(map, hcv_map_round_begin(map), true);
	hcv_map_bump(map, 8);
	KUNIT_EXPECT_EQ(test, hcv_t_stamp(c), 5ULL);
	KUNIT_EXPECT_EQ(test, hcv_t_clear(map, 1200, 0, 1, true), 0);
	KUNIT_EXPECT_EQ(test, hcv_t_stamp(c), 8ULL);
	hcv_map_destroy(map);
}

/* Each step of @fn with each of its allocations failing: an error, no harm. */
static void hcv_map_no_memory(struct kunit *test)
{
	struct hcv_rec r = hcv_t_low;
	struct hcv_slot *slot;
	struct hcv_map *map;
	struct hcv_ext *ext;
	u32 n, errors = 0;
	bool hit;
	int ret;

	if (!HCV_T_HOST)
		kunit_skip(test, "needs the host's allocator");
	map = hcv_t_map(test, 1, 1000);
	ext = hcv_t_ext(test, map, 0, 0);
	hcv_t_gens(test, map, 2);
	r.lo[0] = ~0ULL;
	for (r.mib = 8; r.mib < 10; r.mib++, r.seq++)
		KUNIT_ASSERT_EQ(test, hcv_t_load(test, map, ext, 20 * r.mib,
						 &r), 0);
	for (n = 1; n < 20; n++) {
		hcv_t_alloc_fail(n);
		ret = hcv_t_clear(map, 7 + n, 0, 10, false);
		slot = hcv_map_take(map, 7 + n, GFP_NOIO);
		hit = hcv_t_alloc_failed();
		hcv_t_alloc_fail(0);
		if (!hit)
			break;
		errors += ret == -ENOMEM || PTR_ERR(slot) == -ENOMEM;
		KUNIT_EXPECT_TRUE(test, !ret || ret == -ENOMEM);
		KUNIT_EXPECT_TRUE(test, !IS_ERR(slot) ||
				  PTR_ERR(slot) == -ENOMEM);
		KUNIT_EXPECT_PTR_EQ(test, hcv_t_at(map, 7 + n, 20),
				    &ext->slot[140 + 20 * n]);
	}
	KUNIT_EXPECT_EQ(test, errors, 2U);
	KUNIT_EXPECT_NULL(test, hcv_t_at(map, 9, 0));
	KUNIT_EXPECT_EQ(test, map->used_slots, 4ULL);
	/* What is there takes no memory. */
	slot = hcv_map_take(map, 9, GFP_NOIO);
	hcv_t_alloc_fail(1);
	KUNIT_EXPECT_PTR_EQ(test, hcv_map_take(map, 9, GFP_NOIO), slot);
	KUNIT_EXPECT_EQ(test, hcv_t_clear(map, 9, 0, 10, false), 0);
	KUNIT_EXPECT_EQ(test, hcv_t_clear(map, 11, 0, 10, true), 0);
	KUNIT_EXPECT_FALSE(test, hcv_t_alloc_failed());
	hcv_t_alloc_fail(0);
	for (n = 1; n < 5; n++) {
		hcv_t_alloc_fail(n);
		ret = hcv_map_grow(map, 100000);
		hcv_t_alloc_fail(0);
		KUNIT_EXPECT_EQ(test, ret, n == 1 ? -ENOMEM : 0);
	}
	hcv_map_destroy(map);
}

/* What the commit worker does, the media aside. */
static void hcv_t_whole_round(struct kunit *test, struct hcv_map *map, bool ok)
{
	u8 *buf = kunit_kzalloc(test, HCV_BLOCK_SIZE, GFP_KERNEL);
	struct llist_node *leaves, *node, *next;
	struct hcv_slot *freed;
	struct hcv_ext *ext;
	u32 page;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	leaves = hcv_map_round_begin(map);
	freed = hcv_map_freed(map);
	hcv_map_settle_begin(map);
	node = hcv_map_dirty_take(map);
	llist_for_each_safe(node, next, node) {
		ext = llist_entry(node, struct hcv_ext, dnode);
		clear_bit(HCV_EXT_LISTED, &ext->flags);
		for (page = 0; page < HCV_EXTENT_PAGES; page++) {
			if (!test_bit(page, &ext->dirty))
				continue;
			hcv_map_encode(map, ext, page, 1, 1, 0, buf);
			if (!ok)
				hcv_map_dirty(map, &ext->slot[page *
							HCV_PAGE_RECORDS]);
		}
	}
	hcv_map_round_end(map, leaves, ok);
	hcv_map_settle_end(map, ok);
	if (ok)
		hcv_map_give_back(map, freed);
	else
		hcv_map_unfreed(map, freed);
}

/* Of two slots with one (mib, generation) the higher sequence stays. */
static void hcv_t_duplicates(struct kunit *test, bool turn)
{
	struct hcv_map *map = hcv_t_map(test, 1, 100);
	struct hcv_ext *ext = hcv_t_ext(test, map, 0, 0);
	struct hcv_ext *other = hcv_t_ext(test, map, 1, 0);
	struct hcv_slot *lost;

	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 40,
					 turn ? &hcv_t_high : &hcv_t_low), 0);
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, other, 80,
					 turn ? &hcv_t_low : &hcv_t_high), 0);
	lost = turn ? &other->slot[80] : &ext->slot[40];
	KUNIT_EXPECT_NULL(test, hcv_t_at(map, 9, 0));
	KUNIT_EXPECT_PTR_EQ(test, hcv_t_at(map, 9, 1),
			    turn ? &ext->slot[40] : &other->slot[80]);
	KUNIT_EXPECT_TRUE(test, test_bit(lost->rec / HCV_PAGE_RECORDS,
					 &hcv_map_slot_ext(lost)->dirty));
	KUNIT_EXPECT_EQ(test, map->next_seq, 12ULL);

	/* On the media until its page is written: neither taken, nor alone. */
	KUNIT_EXPECT_EQ(test, hcv_map_clear(map, 9, 0, HCV_SLOT_BLOCKS, true,
					    GFP_KERNEL), 0);
	hcv_t_whole_round(test, map, false);
	KUNIT_EXPECT_EQ(test, lost->flags, (u8)HCV_SLOT_FREEING);
	KUNIT_EXPECT_EQ(test, hcv_map_free_slots(map, 0), 510U);
	KUNIT_EXPECT_FALSE(test, hcv_map_is_empty(map, 9));
	hcv_map_reap(map, 9);
	KUNIT_EXPECT_EQ(test, map->nr_dropped, 1U);
	hcv_t_whole_round(test, map, true);
	KUNIT_EXPECT_EQ(test, lost->flags, (u8)0);
	KUNIT_EXPECT_EQ(test, hcv_map_free_slots(map, 0), 511U);
	KUNIT_EXPECT_EQ(test, map->used_slots, 1ULL);
	KUNIT_EXPECT_TRUE(test, hcv_map_is_empty(map, 9));
	hcv_map_reap(map, 9);
	hcv_t_whole_round(test, map, true);
	KUNIT_EXPECT_EQ(test, hcv_map_free_slots(map, 0), 512U);
	hcv_map_destroy(map);
}

static void hcv_map_duplicates(struct kunit *test)
{
	hcv_t_duplicates(test, false);
	hcv_t_duplicates(test, true);
}

/* Which of its two places an image goes to, and its sequence. */
static void hcv_map_page_places(struct kunit *test)
{
	static const struct {
		bool good;
		u8 place;
	} step[] = {
		{ false, 0 },	/* the first one: until it is whole */
		{ false, 0 },
		{ true, 0 },
		{ false, 1 },	/* the good one stays */
		{ false, 1 },
		{ true, 1 },
		{ true, 0 },
		{ true, 1 },
	};
	struct hcv_pagepos pos = { };
	u64 seq, at, last = 0;
	bool was;
	u8 kept;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(step); i++) {
		was = hcv_map_page_kept(&pos, &at, &kept);
		KUNIT_EXPECT_EQ(test, was, i > 2);
		KUNIT_EXPECT_EQ(test, at, last);
		KUNIT_EXPECT_EQ(test, hcv_map_page_next(&pos, &seq),
				step[i].place);
		/* Nothing goes there. */
		KUNIT_EXPECT_TRUE(test, !was || kept != step[i].place);
		KUNIT_EXPECT_EQ(test, seq, last + 1);
		hcv_map_page_sent(&pos, seq, step[i].place, step[i].good);
		last = seq;
	}
	/* As it was loaded. */
	pos = (struct hcv_pagepos) { .seq = 7, .place = 0, .kept = true };
	KUNIT_EXPECT_EQ(test, hcv_map_page_next(&pos, &seq), (u8)1);
	KUNIT_EXPECT_EQ(test, seq, 8ULL);
}

/* An extent is idle when its last record is, of whichever kind, and not before. */
static void hcv_map_idle_extents(struct kunit *test)
{
	struct hcv_map *map = hcv_t_map(test, 2, 100);
	struct hcv_ext *ext = hcv_t_ext(test, map, 0, 0);
	struct hcv_slot *slot;

	KUNIT_EXPECT_EQ(test, hcv_map_idle(map, 0), 1U);
	KUNIT_EXPECT_EQ(test, hcv_map_idle(map, 1), 0U);
	hcv_t_write(test, map, 4, 0, 256);
	KUNIT_EXPECT_EQ(test, hcv_map_idle(map, 0), 0U);
	KUNIT_EXPECT_EQ(test, hcv_t_clear(map, 4, 0, 256, true), 0);
	hcv_map_reap(map, 4);
	/* Being freed: its page, and I/O that began before. */
	KUNIT_EXPECT_EQ(test, hcv_map_retire(map, 0, 9, NULL, 0), 0U);
	hcv_t_whole_round(test, map, false);
	KUNIT_EXPECT_EQ(test, hcv_map_retire(map, 0, 9, NULL, 0), 0U);
	hcv_t_whole_round(test, map, true);
	KUNIT_EXPECT_EQ(test, hcv_map_idle(map, 0), 1U);
	/* Zeroes over an older generation: a record without data. */
	hcv_t_write(test, map, 2, 0, 1);
	hcv_t_gens(test, map, 2);
	KUNIT_EXPECT_EQ(test, hcv_t_clear(map, 2, 0, 1, false), 0);
	slot = hcv_t_at(map, 2, 1);
	KUNIT_EXPECT_NULL(test, slot);
	KUNIT_EXPECT_EQ(test, hcv_map_idle(map, 0), 0U);
	KUNIT_EXPECT_LT(test, ext->free_zero,
			(u16)(HCV_EXTENT_RECORDS - HCV_EXTENT_SLOTS));
	hcv_map_destroy(map);
}

/* Retired ones are passed over by all that take records. */
static void hcv_map_retires(struct kunit *test)
{
	struct hcv_map *map = hcv_t_map(test, 1, 1000);
	u32 keep[] = { 2 }, index[HCV_MAP_RETIRED_MAX], i;
	struct hcv_ext *ext[3];
	struct hcv_slot *slot;

	for (i = 0; i < 3; i++)
		ext[i] = hcv_t_ext(test, map, i, 0);
	hcv_t_write(test, map, 1, 0, 1);	/* of extent 0 */
	KUNIT_EXPECT_EQ(test, hcv_map_retire(map, 0, 9, keep, 1), 1U);
	KUNIT_EXPECT_EQ(test, hcv_map_retired(map, false, index), 1U);
	KUNIT_EXPECT_EQ(test, index[0], 1U);
	KUNIT_EXPECT_EQ(test, hcv_map_retired(map, true, index), 0U);
	KUNIT_EXPECT_EQ(test, hcv_map_ready(map, 0), 1U);
	KUNIT_EXPECT_EQ(test, hcv_map_free_slots(map, 0),
			2 * HCV_EXTENT_SLOTS - 1);
	for (i = 2; i <= 2 * HCV_EXTENT_SLOTS; i++) {
		slot = hcv_t_write(test, map, i, 0, 1);
		KUNIT_ASSERT_PTR_NE(test, hcv_map_slot_ext(slot), ext[1]);
	}
	KUNIT_EXPECT_EQ(test, PTR_ERR(hcv_map_take(map, 0, GFP_NOIO)),
			-ENOSPC);
	/* Records for zeroes are left in each, and taken from the others. */
	hcv_t_gens(test, map, 2);
	for (i = 1; i <= 2 * (HCV_EXTENT_RECORDS - HCV_EXTENT_SLOTS); i++)
		KUNIT_ASSERT_EQ(test, hcv_t_clear(map, i, 0, 1, false), 0);
	KUNIT_EXPECT_EQ(test, hcv_t_clear(map, i, 0, 1, false), -ENOSPC);
	KUNIT_EXPECT_EQ(test, ext[1]->free_zero,
			(u16)(HCV_EXTENT_RECORDS - HCV_EXTENT_SLOTS));
	hcv_map_unretire(map, ext[0]);		/* is not */
	hcv_map_unretire(map, ext[1]);
	KUNIT_EXPECT_EQ(test, hcv_map_retired(map, false, index), 0U);
	KUNIT_EXPECT_PTR_EQ(test, hcv_map_slot_ext(hcv_t_write(test, map, 600,
							       0, 1)), ext[1]);
	hcv_map_destroy(map);
}

/* Only a good round that began later tells that no page is on its way. */
static void hcv_map_settles(struct kunit *test)
{
	struct hcv_map *map = hcv_t_map(test, 1, 1000);
	struct hcv_ext *ext = hcv_t_ext(test, map, 7, 0);
	struct hcv_rec r = { .state = HCV_REC_USED, .mib = 5, .gen = 1,
			     .seq = 3, .lo = { 1 } };
	u32 index[HCV_MAP_RETIRED_MAX], i;
	struct hcv_ext *other;

	/* A duplicate: in use until its page has gone to the medium. */
	KUNIT_ASSERT_EQ(test, hcv_t_load(test, map, ext, 0, &r), 0);
	other = hcv_t_ext(test, map, 8, 0);
	r.seq++;
	KUNIT_ASSERT_EQ(test, hcv_t_load(test, map, other, 0, &r), 0);
	KUNIT_EXPECT_EQ(test, hcv_map_retire(map, 0, 9, NULL, 0), 0U);
	hcv_t_whole_round(test, map, true);
	/* As a resync does with all pages. */
	hcv_map_dirty(map, &ext->slot[0]);
	KUNIT_EXPECT_EQ(test, hcv_map_retire(map, 0, 9, NULL, 0), 1U);
	KUNIT_EXPECT_EQ(test, hcv_map_forget(map, ext), -EBUSY);
	hcv_map_settle_end(map, true);		/* it began before */
	KUNIT_EXPECT_EQ(test, hcv_map_forget(map, ext), -EBUSY);
	hcv_t_whole_round(test, map, false);
	KUNIT_EXPECT_EQ(test, hcv_map_forget(map, ext), -EBUSY);
	KUNIT_EXPECT_TRUE(test, test_bit(0, &ext->dirty));
	hcv_t_whole_round(test, map, true);
	KUNIT_EXPECT_EQ(test, hcv_map_retired(map, true, index), 1U);
	KUNIT_EXPECT_EQ(test, index[0], 7U);
	KUNIT_EXPECT_EQ(test, hcv_map_forget(map, ext), 0);
	KUNIT_EXPECT_NULL(test, hcv_map_ext_find(map, 7));
	KUNIT_EXPECT_EQ(test, map->nr_exts, 1U);
	KUNIT_EXPECT_EQ(test, map->next_index, 9U);
	hcv_map_ext_free(map, ext);
	/* One that is used again has to begin anew. */
	ext = hcv_t_ext(test, map, 9, 0);
	KUNIT_EXPECT_EQ(test, hcv_map_retire(map, 0, 9, NULL, 0), 1U);
	hcv_t_whole_round(test, map, true);
	hcv_map_unretire(map, ext);
	KUNIT_EXPECT_EQ(test, hcv_map_forget(map, ext), -EBUSY);
	for (i = 0; i < 2 * HCV_MAP_RETIRED_MAX; i++)
		hcv_t_ext(test, map, 10 + i, 0);
	KUNIT_EXPECT_EQ(test, hcv_map_retire(map, 0, 1000, NULL, 0),
			(u32)HCV_MAP_RETIRED_MAX);
	KUNIT_EXPECT_EQ(test, hcv_map_retire(map, 0, 1000, NULL, 0), 0U);
	hcv_map_destroy(map);
}

static struct kunit_case hcv_map_cases[] = {
	KUNIT_CASE(hcv_map_sizes),
	KUNIT_CASE(hcv_map_full),
	KUNIT_CASE(hcv_map_space),
	KUNIT_CASE(hcv_map_duplicates),
	KUNIT_CASE(hcv_map_page_places),
	KUNIT_CASE(hcv_map_bad_pages),
	KUNIT_CASE(hcv_map_layers),
	KUNIT_CASE(hcv_map_race),
	KUNIT_CASE(hcv_map_rounds),
	KUNIT_CASE(hcv_map_no_memory),
	KUNIT_CASE(hcv_map_idle_extents),
	KUNIT_CASE(hcv_map_retires),
	KUNIT_CASE(hcv_map_settles),
	{ }
};

static struct kunit_suite hcv_map_suite = {
	.name = "hcv_map",
	.test_cases = hcv_map_cases,
};

kunit_test_suite(hcv_map_suite);
