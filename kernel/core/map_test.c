// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the extent map.
 *
 * The property test runs a volume of two columns on simulated media: every
 * block of data and every metadata page has what the medium holds and what its
 * cache holds beside it, writes are in flight for a while, flush rounds go step
 * by step beside them as in commit.c, and now and then the power goes.
 * It checks three things against a trivial model:
 *   - a read gives the newest value; after a power cut the flushed one or a
 *     later one, and from then on that one;
 *   - what was loaded is what the records on the media say, of two with one
 *     (mib, generation) the one with the higher sequence;
 *   - on a replica that left, a record that equals the map's has the same data.
 */
#include <kunit/test.h>
#include <linux/slab.h>

#include "map.h"

static void (*hcv_t_race_fn)(void *arg);
static void *hcv_t_race_arg;

#ifdef __KERNEL__
#define HCV_T_HOST		false
#define HCV_T_STEPS		1500
#define hcv_t_alloc_fail(n)	do { } while (0)
#define hcv_t_alloc_failed()	false
#else
/*
 * White box: what another processor does while a page is being copied, in
 * between the two reads of a record's words.
 */
#define HCV_T_HOST		true
#define HCV_T_STEPS		16000
#define hcv_t_alloc_fail(n)	hcv_shim_alloc_fail(n)
#define hcv_t_alloc_failed()	hcv_shim_alloc_failed()

static void hcv_t_race(void)
{
	void (*fn)(void *arg) = hcv_t_race_fn;

	hcv_t_race_fn = NULL;
	if (fn)
		fn(hcv_t_race_arg);
	hcv_t_race_fn = fn;
}

#undef smp_rmb
#define smp_rmb()		hcv_t_race()
#include "map.c"
#endif

#define HCV_T_VOL		((const u8 *)"volume-abcdefghi")
#define HCV_T_LINEAGE		77

/* --- small cases ---------------------------------------------------------- */

static struct hcv_map *hcv_t_map(struct kunit *test, u32 stripe, u64 mibs)
{
	struct hcv_map *map = kunit_kzalloc(test, sizeof(*map), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, map);
	KUNIT_ASSERT_EQ(test, hcv_map_init(map, HCV_T_VOL, HCV_T_LINEAGE,
					   stripe, mibs), 0);
	map->v = 5;
	return map;
}

static struct hcv_ext *hcv_t_ext(struct kunit *test, struct hcv_map *map,
				 u32 index, u8 column)
{
	struct hcv_ext *ext = hcv_map_ext_new(map, index, column);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ext);
	KUNIT_ASSERT_EQ(test, hcv_map_ext_add(map, ext), 0);
	return ext;
}

/* A snapshot as its owner will take it: writes go to generation 2 now. */
static void hcv_t_gens(struct kunit *test, struct hcv_map *map)
{
	u32 *gens = kcalloc(2, sizeof(*gens), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, gens);
	gens[0] = 2;
	gens[1] = 1;
	kfree(map->gens);
	map->gens = gens;
	map->nr_gens = 2;
	map->cur_gen = 2;
}

static struct hcv_slot *hcv_t_where(struct hcv_map *map, u32 mib, u32 blk,
				    u32 nr, u32 *run_nr)
{
	struct hcv_run run = { .nr = nr };
	struct hcv_leaf *leaf;

	rcu_read_lock();
	leaf = hcv_map_leaf(map, mib);
	if (leaf)
		hcv_map_resolve(&leaf->ent[mib % HCV_LEAF_MIBS], blk, nr, &run);
	rcu_read_unlock();
	if (run_nr)
		*run_nr = run.nr;
	return run.slot;
}

static struct hcv_slot *hcv_t_at(struct hcv_map *map, u32 mib, u32 blk)
{
	return hcv_t_where(map, mib, blk, 1, NULL);
}

static void hcv_t_mark(struct hcv_map *map, u32 mib)
{
	rcu_read_lock();
	hcv_map_mark(map, hcv_map_leaf(map, mib), mib);
	rcu_read_unlock();
}

/* A write from its beginning to its end. */
static struct hcv_slot *hcv_t_write(struct kunit *test, struct hcv_map *map,
				    u32 mib, u32 blk, u32 nr)
{
	struct hcv_slot *slot;

	KUNIT_ASSERT_EQ(test, hcv_map_leaf_make(map, mib, GFP_NOIO), 0);
	hcv_t_mark(map, mib);
	slot = hcv_map_take(map, mib, GFP_NOIO);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, slot);
	hcv_map_written(map, slot, blk, nr);
	return slot;
}

static int hcv_t_clear(struct hcv_map *map, u32 mib, u32 blk, u32 nr,
		       bool discard)
{
	return hcv_map_clear(map, mib, blk, nr, discard, GFP_NOIO);
}

static void hcv_t_page_id(struct hcv_page_id *id, u32 extent, u32 page,
			  u32 place)
{
	memset(id, 0, sizeof(*id));
	memcpy(id->volume, HCV_T_VOL, HCV_UUID_SIZE);
	id->lineage = HCV_T_LINEAGE;
	id->extent = extent;
	id->page = page;
	id->place = place;
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

/* Of two slots with one (mib, generation) the higher sequence stays. */
static void hcv_map_duplicates(struct kunit *test)
{
	struct hcv_ext *ext, *other;
	struct hcv_slot *lost;
	struct hcv_map *map;
	int turn;

	for (turn = 0; turn < 2; turn++) {
		map = hcv_t_map(test, 1, 100);
		ext = hcv_t_ext(test, map, 0, 0);
		other = hcv_t_ext(test, map, 1, 0);
		KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 40,
						 turn ? &hcv_t_high :
						 &hcv_t_low), 0);
		KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, other, 80,
						 turn ? &hcv_t_low :
						 &hcv_t_high), 0);
		lost = turn ? &other->slot[80] : &ext->slot[40];
		KUNIT_EXPECT_NULL(test, hcv_t_at(map, 9, 0));
		KUNIT_EXPECT_PTR_EQ(test, hcv_t_at(map, 9, 1),
				    turn ? &ext->slot[40] : &other->slot[80]);
		KUNIT_EXPECT_EQ(test, lost->flags, (u8)0);
		KUNIT_EXPECT_TRUE(test, test_bit(lost->rec / HCV_PAGE_RECORDS,
						 &hcv_map_slot_ext(lost)->dirty));
		KUNIT_EXPECT_EQ(test, map->used_slots, 1ULL);
		KUNIT_EXPECT_EQ(test, map->next_seq, 12ULL);
		KUNIT_EXPECT_EQ(test, hcv_map_free_slots(map, 0), 511U);
		hcv_map_destroy(map);
	}
}

static void hcv_map_bad_pages(struct kunit *test)
{
	struct hcv_map *map = hcv_t_map(test, 1, 100);
	struct hcv_ext *ext = hcv_t_ext(test, map, 0, 0);
	struct hcv_rec r = hcv_t_low;

	r.hi[0] = 1;	/* elsewhere */
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 0, &r), -EUCLEAN);
	r.hi[0] = 0;
	r.gen = 2;	/* not of this lineage */
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 0, &r), -EUCLEAN);
	r.gen = 1;
	r.mib = HCV_LEAF_MIBS;	/* beyond the end */
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 0, &r), -ERANGE);
	r.mib = 9;	/* data where there is none */
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 256, &r), -EUCLEAN);
	KUNIT_EXPECT_EQ(test, map->used_slots, 0ULL);
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 0, &r), 0);
	/* The same page again would take the record away from its own mib. */
	KUNIT_EXPECT_EQ(test, hcv_t_load(test, map, ext, 0, &r), -EUCLEAN);
	KUNIT_EXPECT_PTR_EQ(test, hcv_t_at(map, 9, 0), &ext->slot[0]);
	KUNIT_EXPECT_NULL(test, hcv_t_at(map, 9, 1));
	hcv_map_destroy(map);
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

	hcv_t_gens(test, map);
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
	zero = rcu_dereference_protected(hcv_map_leaf(map, 9)->ent[9].slot, 1);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, zero);
	KUNIT_EXPECT_EQ(test, zero->rec, (u16)HCV_EXTENT_SLOTS);
	KUNIT_EXPECT_EQ(test, ext->free_zero, (u16)22);

	/* The first write moves what it says to one that does. */
	slot = hcv_t_write(test, map, 9, 20, 1);
	KUNIT_EXPECT_LT(test, slot->rec, (u16)HCV_EXTENT_SLOTS);
	KUNIT_EXPECT_PTR_EQ(test, hcv_t_at(map, 9, 20), slot);
	KUNIT_EXPECT_NULL(test, hcv_t_at(map, 9, 21));
	KUNIT_EXPECT_PTR_EQ(test, hcv_t_at(map, 9, 9), low);
	hcv_map_give_back(map, hcv_map_freed(map));
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

static u64 hcv_t_stamp(struct hcv_slot *slot)
{
	struct hcv_rec r;

	hcv_map_record(hcv_map_slot_ext(slot), slot->rec, &r);
	return r.stamp;
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

	/* A change of the bitmaps alone counts like a write. */
	KUNIT_EXPECT_EQ(test, hcv_t_clear(map, 1200, 0, 1, true), 0);
	KUNIT_EXPECT_EQ(test, hcv_t_stamp(c), 8ULL);
	hcv_map_destroy(map);
}

/* Each step of @fn with each of its allocations failing: an error, no harm. */
static void hcv_map_no_memory(struct kunit *test)
{
	struct hcv_map *map = hcv_t_map(test, 1, 1000);
	struct hcv_ext *ext = hcv_t_ext(test, map, 0, 0);
	struct hcv_rec r = hcv_t_low;
	struct hcv_slot *slot;
	u32 n, errors = 0;
	int ret;

	if (!HCV_T_HOST)
		kunit_skip(test, "needs the host's allocator");
	hcv_t_gens(test, map);
	r.lo[0] = ~0ULL;
	KUNIT_ASSERT_EQ(test, hcv_t_load(test, map, ext, 0, &r), 0);
	for (n = 1; n < 20; n++) {
		hcv_t_alloc_fail(n);
		ret = hcv_t_clear(map, 9, 0, 10, false);
		slot = hcv_map_take(map, 9, GFP_NOIO);
		hcv_t_alloc_fail(0);
		errors += ret == -ENOMEM || PTR_ERR(slot) == -ENOMEM;
		if (!hcv_t_alloc_failed())
			break;
		KUNIT_EXPECT_TRUE(test, !ret || ret == -ENOMEM);
		KUNIT_EXPECT_TRUE(test, !IS_ERR(slot) ||
				  PTR_ERR(slot) == -ENOMEM);
		KUNIT_EXPECT_PTR_EQ(test, hcv_t_at(map, 9, 20), &ext->slot[0]);
	}
	KUNIT_EXPECT_GE(test, errors, 3U);
	KUNIT_EXPECT_NULL(test, hcv_t_at(map, 9, 0));
	KUNIT_EXPECT_EQ(test, map->used_slots, 2ULL);
	for (n = 1; n < 5; n++) {
		hcv_t_alloc_fail(n);
		ret = hcv_map_grow(map, 100000);
		hcv_t_alloc_fail(0);
		KUNIT_EXPECT_EQ(test, ret, n == 1 ? -ENOMEM : 0);
	}
	hcv_map_destroy(map);
}

/* --- the property test ---------------------------------------------------- */

#define HCV_T_MIBS	24	/* that are written, 12 in each column */
#define HCV_T_ALL	2048	/* of the volume; the others fill the extents */
#define HCV_T_EXTS	3	/* two in column 0, one in column 1 */
#define HCV_T_FREE	20	/* data slots left to each column */
#define HCV_T_FLIGHT	6
#define HCV_T_IMAGES	(HCV_T_EXTS * HCV_EXTENT_PAGES)

/* A value names its operation and its block, 0 is zeroes. */
#define HCV_T_VALUE(op, idx, blk)	((op) << 13 | (idx) << 8 | (blk))
#define HCV_T_OWNER(val)		((val) & 0x1fff)
#define HCV_T_OP(val)			((val) >> 13)

/* The data of a slot, as its medium's cache and the medium itself have them. */
struct hcv_t_data {
	u32 now[HCV_SLOT_BLOCKS];
	u32 dur[HCV_SLOT_BLOCKS];
	bool cached;
};

struct hcv_t_place {
	u8 now[HCV_BLOCK_SIZE];
	u8 dur[HCV_BLOCK_SIZE];
	bool cached;
};

struct hcv_t_media {
	struct hcv_t_data slot[HCV_EXTENT_SLOTS];
	struct hcv_t_place page[HCV_EXTENT_PAGES][2];
};

/* What may be read of a block: now, and after a power cut. */
struct hcv_t_block {
	u32 val;	/* newest, and the operation that made it */
	u32 op;
	u32 snap;	/* the same when the running round began */
	u32 snap_op;
	u32 flushed;	/* the same when the last good round began */
	u32 flushed_op;
	u32 zero_op;	/* newest operation that made it zero */
	bool busy;
};

struct hcv_t_flight {
	struct hcv_slot *slot;
	u32 op;
	u32 idx;
	u32 blk;
	u32 nr;		/* 0: not in use */
};

struct hcv_t_image {
	struct hcv_ext *ext;
	u32 page;
	u64 seq;
	u8 place;
	u8 *buf;
};

enum hcv_t_stage {
	HCV_T_IDLE,
	HCV_T_COPY,
	HCV_T_FLUSH,
	HCV_T_PAGES,
	HCV_T_END,
};

/* A replica that left: what its medium has. */
struct hcv_t_left {
	bool valid;
	struct hcv_rec rec[HCV_T_EXTS][HCV_EXTENT_RECORDS];
	u32 data[HCV_T_EXTS][HCV_EXTENT_SLOTS][HCV_SLOT_BLOCKS];
};

struct hcv_t_sim {
	struct kunit *test;
	u32 rnd;
	u32 op;
	u32 nr_gens;
	u64 epoch;
	u64 v;
	struct hcv_map map;
	struct hcv_ext *ext[HCV_T_EXTS];
	struct hcv_t_media *media[HCV_T_EXTS];
	struct hcv_t_block blk[HCV_T_MIBS][HCV_SLOT_BLOCKS];
	struct hcv_t_flight flight[HCV_T_FLIGHT];
	struct hcv_t_left *left;
	enum hcv_t_stage stage;
	struct llist_node *leaves;
	struct hcv_slot *freed;
	struct hcv_slot *draining;
	struct hcv_ext *todo[HCV_T_EXTS];
	u32 nr_todo;
	u32 next;
	struct hcv_t_image image[HCV_T_IMAGES];
	u32 nr_images;
	u32 crashes, races, compared, full, dups, reaped;
};

static u32 hcv_t_rnd(struct hcv_t_sim *s, u32 below)
{
	s->rnd ^= s->rnd << 13;
	s->rnd ^= s->rnd >> 17;
	s->rnd ^= s->rnd << 5;
	return s->rnd % below;
}

static u32 hcv_t_mib(u32 idx)
{
	return idx * 80 + (idx & 1);
}

static struct hcv_t_data *hcv_t_data(struct hcv_t_sim *s, struct hcv_slot *slot)
{
	return &s->media[hcv_map_slot_ext(slot)->index]->slot[slot->rec];
}

/* A range without a busy block, or 0. */
static u32 hcv_t_range(struct hcv_t_sim *s, u32 idx, u32 *blk)
{
	u32 nr, i;

	*blk = hcv_t_rnd(s, HCV_SLOT_BLOCKS);
	nr = 1 + hcv_t_rnd(s, 12);
	if (!hcv_t_rnd(s, 6)) {
		*blk = 0;
		nr = HCV_SLOT_BLOCKS;
	}
	nr = min_t(u32, nr, HCV_SLOT_BLOCKS - *blk);
	for (i = *blk; i < *blk + nr; i++)
		if (s->blk[idx][i].busy)
			return 0;
	return nr;
}

static void hcv_t_settle(struct hcv_t_sim *s, u32 idx, u32 blk, u32 nr, u32 op,
			 bool zero)
{
	struct hcv_t_block *b;
	u32 i;

	for (i = blk; i < blk + nr; i++) {
		b = &s->blk[idx][i];
		b->val = zero ? 0 : HCV_T_VALUE(op, idx, i);
		b->op = op;
		if (zero)
			b->zero_op = op;
	}
}

static void hcv_t_issue(struct hcv_t_sim *s)
{
	struct hcv_t_flight *f = &s->flight[hcv_t_rnd(s, HCV_T_FLIGHT)];
	u32 idx = hcv_t_rnd(s, HCV_T_MIBS), mib = hcv_t_mib(idx), blk, nr, i;
	struct hcv_slot *slot;

	nr = f->nr ? 0 : hcv_t_range(s, idx, &blk);
	if (!nr)
		return;
	KUNIT_ASSERT_EQ(s->test, hcv_map_leaf_make(&s->map, mib, GFP_NOIO), 0);
	hcv_t_mark(&s->map, mib);
	slot = hcv_map_take(&s->map, mib, GFP_NOIO);
	if (IS_ERR(slot)) {
		KUNIT_ASSERT_EQ(s->test, PTR_ERR(slot), -ENOSPC);
		KUNIT_ASSERT_EQ(s->test,
				hcv_map_free_slots(&s->map, mib % 2), 0U);
		s->full++;
		return;
	}
	KUNIT_ASSERT_LT(s->test, slot->rec, (u16)HCV_EXTENT_SLOTS);
	*f = (struct hcv_t_flight) {
		.slot = slot, .op = ++s->op, .idx = idx, .blk = blk, .nr = nr,
	};
	for (i = blk; i < blk + nr; i++)
		s->blk[idx][i].busy = true;
}

static void hcv_t_complete(struct hcv_t_sim *s, struct hcv_t_flight *f)
{
	struct hcv_t_data *d;
	u32 i;

	if (!f->nr)
		return;
	d = hcv_t_data(s, f->slot);
	d->cached = true;
	for (i = f->blk; i < f->blk + f->nr; i++) {
		d->now[i] = HCV_T_VALUE(f->op, f->idx, i);
		/* A cache may be written out at any time. */
		if (!hcv_t_rnd(s, 4))
			d->dur[i] = d->now[i];
		s->blk[f->idx][i].busy = false;
	}
	hcv_t_mark(&s->map, hcv_t_mib(f->idx));
	hcv_map_written(&s->map, f->slot, f->blk, f->nr);
	KUNIT_ASSERT_EQ(s->test, READ_ONCE(f->slot->stamp), s->v);
	hcv_t_settle(s, f->idx, f->blk, f->nr, f->op, false);
	f->nr = 0;
}

static void hcv_t_race_complete(void *arg)
{
	struct hcv_t_sim *s = arg;
	struct hcv_t_flight *f = &s->flight[hcv_t_rnd(s, HCV_T_FLIGHT)];

	if (!f->nr || hcv_t_rnd(s, 8))
		return;
	s->races++;
	hcv_t_complete(s, f);
}

/* Head of a mib's layers. */
static struct hcv_slot *hcv_t_head(struct hcv_t_sim *s, u32 mib)
{
	struct hcv_slot *slot = NULL;
	struct hcv_leaf *leaf;

	rcu_read_lock();
	leaf = hcv_map_leaf(&s->map, mib);
	if (leaf)
		slot = rcu_dereference(leaf->ent[mib % HCV_LEAF_MIBS].slot);
	rcu_read_unlock();
	return slot;
}

static void hcv_t_discard(struct hcv_t_sim *s, bool discard)
{
	u32 idx = hcv_t_rnd(s, HCV_T_MIBS), mib = hcv_t_mib(idx), blk;
	u32 nr = hcv_t_range(s, idx, &blk);
	struct hcv_slot *slot = hcv_t_head(s, mib);
	bool ignored = discard && slot && slot->gen != s->map.cur_gen;
	int ret;

	if (!nr)
		return;
	if (hcv_t_head(s, mib))
		hcv_t_mark(&s->map, mib);
	ret = hcv_t_clear(&s->map, mib, blk, nr, discard);
	if (ret == -ENOSPC) {
		KUNIT_ASSERT_FALSE(s->test, discard);
		KUNIT_ASSERT_EQ(s->test,
				hcv_map_free_slots(&s->map, mib % 2), 0U);
		return;
	}
	KUNIT_ASSERT_EQ(s->test, ret, 0);
	if (ignored)
		return;
	hcv_t_settle(s, idx, blk, nr, ++s->op, true);
	slot = hcv_t_head(s, mib);
	if (!slot)
		return;
	hcv_t_mark(&s->map, mib);
	KUNIT_ASSERT_EQ(s->test, hcv_t_stamp(slot), s->v);
}

static void hcv_t_reap(struct hcv_t_sim *s)
{
	u32 idx = hcv_t_rnd(s, HCV_T_MIBS), i;
	struct hcv_slot *slot = hcv_t_head(s, hcv_t_mib(idx));

	for (i = 0; i < HCV_SLOT_BLOCKS; i++)
		if (s->blk[idx][i].busy)
			return;
	hcv_map_reap(&s->map, hcv_t_mib(idx));
	s->reaped += slot != hcv_t_head(s, hcv_t_mib(idx));
}

/* Everything that is not busy reads as the model says. */
static void hcv_t_check_mib(struct hcv_t_sim *s, u32 idx)
{
	u32 blk = 0, nr, i, val;
	struct hcv_slot *slot;

	while (blk < HCV_SLOT_BLOCKS) {
		slot = hcv_t_where(&s->map, hcv_t_mib(idx), blk,
				   HCV_SLOT_BLOCKS - blk, &nr);
		KUNIT_ASSERT_TRUE(s->test, nr && nr <= HCV_SLOT_BLOCKS - blk);
		for (i = blk; i < blk + nr; i++) {
			if (s->blk[idx][i].busy)
				continue;
			val = slot ? hcv_t_data(s, slot)->now[i] : 0;
			KUNIT_ASSERT_EQ_MSG(s->test, val, s->blk[idx][i].val,
					    "mib index %u block %u", idx, i);
		}
		blk += nr;
	}
}

/* --- rounds --------------------------------------------------------------- */

static void hcv_t_round_begin(struct hcv_t_sim *s)
{
	struct llist_node *node, *next;
	u32 i, k;

	s->leaves = hcv_map_round_begin(&s->map);
	s->freed = hcv_map_freed(&s->map);
	s->nr_todo = 0;
	s->nr_images = 0;
	s->next = 0;
	node = llist_del_all(&s->map.dirty);
	llist_for_each_safe(node, next, node)
		s->todo[s->nr_todo++] = llist_entry(node, struct hcv_ext,
						    dnode);
	for (i = 0; i < HCV_T_MIBS; i++)
		for (k = 0; k < HCV_SLOT_BLOCKS; k++) {
			s->blk[i][k].snap = s->blk[i][k].val;
			s->blk[i][k].snap_op = s->blk[i][k].op;
		}
	s->stage = HCV_T_COPY;
}

/* Copy the next dirty page. */
static void hcv_t_round_copy(struct hcv_t_sim *s)
{
	struct hcv_t_image *im = &s->image[s->nr_images];
	struct hcv_pagepos *pos;
	struct hcv_ext *ext;
	u32 page;

	for (; s->next < s->nr_todo * HCV_EXTENT_PAGES; s->next++) {
		ext = s->todo[s->next / HCV_EXTENT_PAGES];
		page = s->next % HCV_EXTENT_PAGES;
		if (!page) {
			clear_bit(HCV_EXT_LISTED, &ext->flags);
			smp_mb__after_atomic();
		}
		if (!test_bit(page, &ext->dirty))
			continue;
		pos = &ext->page[page];
		im->ext = ext;
		im->page = page;
		im->seq = pos->seq + 1;
		im->place = pos->seq ? !pos->place : 0;
		hcv_t_race_arg = s;
		hcv_t_race_fn = hcv_t_race_complete;
		hcv_map_encode(&s->map, ext, page, s->epoch, im->seq,
			       im->place, im->buf);
		hcv_t_race_fn = NULL;
		s->nr_images++;
		s->next++;
		return;
	}
	s->stage = HCV_T_FLUSH;
}

/* Whatever has completed is on the medium now. */
static void hcv_t_flush(struct hcv_t_sim *s)
{
	struct hcv_t_place *p;
	struct hcv_t_data *d;
	u32 e, i;

	for (e = 0; e < HCV_T_EXTS; e++) {
		for (i = 0; i < HCV_EXTENT_SLOTS; i++) {
			d = &s->media[e]->slot[i];
			if (d->cached)
				memcpy(d->dur, d->now, sizeof(d->dur));
			d->cached = false;
		}
		for (i = 0; i < 2 * HCV_EXTENT_PAGES; i++) {
			p = &s->media[e]->page[i / 2][i % 2];
			if (p->cached)
				memcpy(p->dur, p->now, sizeof(p->dur));
			p->cached = false;
		}
	}
}

static void hcv_t_redirty(struct hcv_t_sim *s, struct hcv_t_image *im)
{
	hcv_map_dirty(&s->map, &im->ext->slot[im->page * HCV_PAGE_RECORDS]);
}

/* The images go out; sometimes the round fails, with some of them written. */
static void hcv_t_round_pages(struct hcv_t_sim *s)
{
	bool fail = !hcv_t_rnd(s, 10);
	struct hcv_pagepos *pos;
	struct hcv_t_image *im;
	struct hcv_t_place *p;
	u32 i;

	for (i = 0; i < s->nr_images; i++) {
		im = &s->image[i];
		pos = &im->ext->page[im->page];
		p = &s->media[im->ext->index]->page[im->page][im->place];
		if (!fail || hcv_t_rnd(s, 2)) {
			memcpy(p->now, im->buf, HCV_BLOCK_SIZE);
			p->cached = true;
		}
		if (!fail || hcv_t_rnd(s, 2)) {
			/* An error may come after the write has landed. */
			if (memcmp(p->now, im->buf, HCV_BLOCK_SIZE) == 0) {
				pos->seq = im->seq;
				pos->place = im->place;
			}
		}
		if (fail)
			hcv_t_redirty(s, im);
	}
	s->stage = HCV_T_END;
	if (!fail)
		return;
	hcv_map_round_end(&s->map, s->leaves, false);
	hcv_map_unfreed(&s->map, s->freed);
	s->freed = NULL;
	s->stage = HCV_T_IDLE;
}

static void hcv_t_round_end(struct hcv_t_sim *s)
{
	struct hcv_slot *last = s->freed;
	u32 i, k;

	hcv_t_flush(s);
	hcv_map_round_end(&s->map, s->leaves, true);
	for (i = 0; i < HCV_T_MIBS; i++)
		for (k = 0; k < HCV_SLOT_BLOCKS; k++) {
			s->blk[i][k].flushed = s->blk[i][k].snap;
			s->blk[i][k].flushed_op = s->blk[i][k].snap_op;
		}
	/* Slots wait for the end of what runs: given back some steps later. */
	while (last && last->next)
		last = last->next;
	if (last) {
		last->next = s->draining;
		s->draining = s->freed;
	}
	s->freed = NULL;
	s->stage = HCV_T_IDLE;
}

static void hcv_t_round(struct hcv_t_sim *s)
{
	switch (s->stage) {
	case HCV_T_IDLE:
		hcv_t_round_begin(s);
		break;
	case HCV_T_COPY:
		hcv_t_round_copy(s);
		break;
	case HCV_T_FLUSH:
		hcv_t_flush(s);
		s->stage = HCV_T_PAGES;
		break;
	case HCV_T_PAGES:
		hcv_t_round_pages(s);
		break;
	case HCV_T_END:
		hcv_t_round_end(s);
		break;
	}
}

static void hcv_t_whole_round(struct hcv_t_sim *s)
{
	do {
		hcv_t_round(s);
	} while (s->stage != HCV_T_IDLE);
}
