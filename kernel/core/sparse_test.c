// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slot records of a temporary replica: cases, and random histories in which
 * the owner's records must be what temporary replica and old copy make together.
 */
#include <kunit/test.h>

#include "sparse.h"

#define HCV_T_SLOTS 5
#define HCV_T_BLOCKS 8		/* of a slot, spread over its words */
#define HCV_T_LIVES 3000
#define HCV_T_STEPS 120

static struct hcv_rec hcv_t_rec(u64 lo, u64 hi)
{
	struct hcv_rec rec = {
		.mib = 7, .gen = 2, .seq = 9, .stamp = 5,
		.state = HCV_REC_USED,
	};

	rec.lo[3] = lo;
	rec.hi[3] = hi;
	return rec;
}

static void hcv_t_image(struct kunit *test)
{
	struct hcv_rec full = hcv_t_rec(0x3, 0xc), free = { 0 }, out;
	u64 held[4] = { 0 }, back[4];

	hcv_sparse_image(&full, held, &out);
	KUNIT_EXPECT_EQ(test, out.mib, 7);
	KUNIT_EXPECT_EQ(test, out.stamp, 5);
	KUNIT_EXPECT_EQ(test, out.lo[3] & out.hi[3] & out.lo[0] & out.hi[1],
			~0ULL);
	KUNIT_EXPECT_FALSE(test, hcv_sparse_held(&out, back));
	KUNIT_EXPECT_EQ(test, back[3], 0ULL);

	/* A block of each kind. */
	held[3] = 0x15;
	hcv_sparse_image(&full, held, &out);
	KUNIT_EXPECT_EQ(test, out.lo[3] & 0x15, 0x1ULL);
	KUNIT_EXPECT_EQ(test, out.hi[3] & 0x15, 0x4ULL);
	KUNIT_EXPECT_FALSE(test, hcv_sparse_held(&out, back));
	KUNIT_EXPECT_EQ(test, memcmp(back, held, sizeof(held)), 0);

	memset(held, 0xff, sizeof(held));
	hcv_sparse_image(&full, held, &out);
	KUNIT_EXPECT_EQ(test, memcmp(&out, &full, sizeof(out)), 0);
	KUNIT_EXPECT_TRUE(test, hcv_sparse_held(&out, back));

	/* What is free is so for all. */
	memset(held, 0, sizeof(held));
	hcv_sparse_image(&free, held, &out);
	KUNIT_EXPECT_EQ(test, memcmp(&out, &free, sizeof(out)), 0);
}

static void hcv_t_pair(struct kunit *test)
{
	struct hcv_rec base = hcv_t_rec(0xf0, 0xf), temp, out;
	struct hcv_rec full = hcv_t_rec(0x3, 0xc), free = { 0 };
	u64 held[4] = { 0 };

	/* Blocks 0 and 2 are held: data and zero. */
	full.stamp = 8;
	held[3] = 0x5;
	hcv_sparse_image(&full, held, &temp);
	memset(held, 0, sizeof(held));
	KUNIT_EXPECT_EQ(test, hcv_sparse_pair(&temp, &base, false, &out, held), 0);
	KUNIT_EXPECT_EQ(test, held[3], 0x5ULL);
	KUNIT_EXPECT_EQ(test, held[0], 0ULL);
	KUNIT_EXPECT_EQ(test, out.lo[3], 0xf1ULL);
	KUNIT_EXPECT_EQ(test, out.hi[3], 0xeULL);
	KUNIT_EXPECT_EQ(test, out.stamp, 8ULL);

	/* Another slot than the one that is needed. */
	KUNIT_EXPECT_EQ(test, hcv_sparse_pair(&temp, &free, false, &out, held),
			-EUCLEAN);
	base.seq++;
	KUNIT_EXPECT_EQ(test, hcv_sparse_pair(&temp, &base, false, &out, held),
			-EUCLEAN);
	base.seq--;
	base.mib++;
	KUNIT_EXPECT_EQ(test, hcv_sparse_pair(&temp, &base, false, &out, held),
			-EUCLEAN);
	base.mib--;
	base.gen++;
	KUNIT_EXPECT_EQ(test, hcv_sparse_pair(&temp, &base, false, &out, held),
			-EUCLEAN);
	base.gen--;
	/* Nobody has block 5; that nobody has block 0 there does not matter. */
	base.lo[3] |= 0x1;
	KUNIT_EXPECT_EQ(test, hcv_sparse_pair(&temp, &base, false, &out, held), 0);
	base.hi[3] |= 0x20;
	KUNIT_EXPECT_EQ(test, hcv_sparse_pair(&temp, &base, false, &out, held),
			-EUCLEAN);

	/* Freed there by a round that did not end. */
	KUNIT_EXPECT_EQ(test, hcv_sparse_pair(&temp, &free, true, &out, held),
			0);
	KUNIT_EXPECT_EQ(test, (int)out.state, HCV_REC_USED);
	KUNIT_EXPECT_EQ(test, out.lo[3], 0x1ULL);
	KUNIT_EXPECT_EQ(test, out.hi[3], 0x4ULL);
	KUNIT_EXPECT_EQ(test, out.lo[0] | out.hi[1], 0ULL);

	/* Nothing of the old copy is needed. */
	base = hcv_t_rec(0xf0, 0xf);
	base.seq = 1;
	KUNIT_EXPECT_EQ(test, hcv_sparse_pair(&full, &base, false, &out, held), 0);
	KUNIT_EXPECT_EQ(test, memcmp(&out, &full, sizeof(out)), 0);
	KUNIT_EXPECT_EQ(test, hcv_sparse_pair(&free, &base, false, &out, held), 0);
	KUNIT_EXPECT_EQ(test, (int)out.state, HCV_REC_FREE);
}

static void hcv_t_force(struct kunit *test)
{
	struct hcv_rec base = hcv_t_rec(0xf0, 0xf), temp, out;
	struct hcv_rec full = hcv_t_rec(0x3, 0xc), free = { 0 };
	u64 held[4] = { 0 }, lacks[4];

	held[3] = ~0x2aULL;
	held[0] = ~0ULL;
	held[1] = ~0ULL;
	held[2] = ~0ULL;
	hcv_sparse_image(&full, held, &temp);
	KUNIT_EXPECT_EQ(test, hcv_sparse_lacks(&temp, 5, lacks), 0U);
	KUNIT_EXPECT_EQ(test, lacks[3], 0ULL);
	KUNIT_EXPECT_EQ(test, hcv_sparse_lacks(&temp, 4, lacks), 3U);
	KUNIT_EXPECT_EQ(test, lacks[3], 0x2aULL);
	KUNIT_EXPECT_EQ(test, lacks[0], 0ULL);
	KUNIT_EXPECT_EQ(test, hcv_sparse_lacks(&full, 4, lacks), 0U);
	KUNIT_EXPECT_EQ(test, hcv_sparse_lacks(&free, 4, lacks), 0U);

	/* The base's blocks, as far as it has the slot. */
	KUNIT_EXPECT_EQ(test, hcv_sparse_force(&temp, &base, 4, &out, held), 0);
	KUNIT_EXPECT_EQ(test, out.lo[3], 0x21ULL);
	KUNIT_EXPECT_EQ(test, out.hi[3], 0xeULL);
	base.seq++;
	KUNIT_EXPECT_EQ(test, hcv_sparse_force(&temp, &base, 4, &out, held), 0);
	KUNIT_EXPECT_EQ(test, out.lo[3], 0x1ULL);
	KUNIT_EXPECT_EQ(test, out.hi[3], 0x4ULL);
	KUNIT_EXPECT_EQ(test, out.seq, 9ULL);
	KUNIT_EXPECT_EQ(test, held[3], ~0x2aULL);
	KUNIT_EXPECT_EQ(test, hcv_sparse_force(&temp, &free, 4, &out, held), 0);
	/* Of a slot that nobody wrote meanwhile it must be there. */
	KUNIT_EXPECT_EQ(test, hcv_sparse_force(&temp, &base, 5, &out, held),
			-EUCLEAN);
}

/* ------------------------------------------------------------- histories */

/* A copy: records and what the blocks hold. */
struct hcv_t_copy {
	struct hcv_rec rec[HCV_T_SLOTS];
	u32 val[HCV_T_SLOTS][HCV_T_BLOCKS];
};

struct hcv_t_world {
	u64 seed;
	struct hcv_t_copy full, base, temp;
	u64 held[HCV_T_SLOTS][4];
	bool left;		/* base has, at @v */
	bool tied;
	bool filling;		/* one by one, not at once */
	bool paired;		/* base gets all again */
	u64 v;
	u64 now;
	u32 writes;
};

static u32 hcv_t_rnd(struct hcv_t_world *w, u32 below)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return (u32)(w->seed >> 16) % below;
}

static u64 hcv_t_bit(u32 blk)
{
	return 1ULL << (blk * 9 % 64);
}

/* Word of a block. */
static u32 hcv_t_word(u32 blk)
{
	return blk % 4;
}

static void hcv_t_set(struct hcv_rec *rec, u32 blk, bool lo, bool hi)
{
	rec->lo[hcv_t_word(blk)] &= ~hcv_t_bit(blk);
	rec->hi[hcv_t_word(blk)] &= ~hcv_t_bit(blk);
	rec->lo[hcv_t_word(blk)] |= lo ? hcv_t_bit(blk) : 0;
	rec->hi[hcv_t_word(blk)] |= hi ? hcv_t_bit(blk) : 0;
}

/* Whoever has not left gets what the owner does to a slot. */
static void hcv_t_spread(struct hcv_t_world *w, u32 slot)
{
	if (!w->left || w->paired) {
		w->base.rec[slot] = w->full.rec[slot];
		memcpy(w->base.val[slot], w->full.val[slot],
		       sizeof(w->full.val[slot]));
	}
}

static void hcv_t_hold(struct hcv_t_world *w, u32 slot, u32 blk)
{
	if (!w->tied)
		return;
	w->held[slot][hcv_t_word(blk)] |= hcv_t_bit(blk);
	w->temp.val[slot][blk] = w->full.val[slot][blk];
}

static void hcv_t_fill(struct hcv_t_world *w, u32 slot)
{
	memset(w->held[slot], 0xff, sizeof(w->held[slot]));
	memcpy(w->temp.val[slot], w->full.val[slot],
	       sizeof(w->full.val[slot]));
}

static void hcv_t_write(struct hcv_t_world *w, u32 slot, u32 blk)
{
	struct hcv_rec *rec = &w->full.rec[slot];

	if (rec->state == HCV_REC_FREE) {
		rec->state = HCV_REC_USED;
		rec->mib = hcv_t_rnd(w, 100);
		rec->seq = ++w->writes;
		memset(w->full.val[slot], 0, sizeof(w->full.val[slot]));
		if (w->tied)
			hcv_t_fill(w, slot);
	}
	rec->stamp = w->now;
	hcv_t_set(rec, blk, true, false);
	w->full.val[slot][blk] = ++w->writes;
	hcv_t_hold(w, slot, blk);
}

static void hcv_t_clear(struct hcv_t_world *w, u32 slot, u32 blk)
{
	struct hcv_rec *rec = &w->full.rec[slot];
	bool data = false;
	u32 i;

	if (rec->state == HCV_REC_FREE)
		return;
	/* All of it at once. */
	if (w->paired && !hcv_t_rnd(w, 4)) {
		for (blk = 0; blk < HCV_T_BLOCKS; blk++)
			hcv_t_hold(w, slot, blk);
		memset(rec, 0, sizeof(*rec));
		return;
	}
	rec->stamp = w->now;
	hcv_t_set(rec, blk, false, hcv_t_rnd(w, 2));
	hcv_t_hold(w, slot, blk);
	for (i = 0; i < 4; i++)
		data |= rec->lo[i];
	/* A slot without data leaves. */
	if (!data && hcv_t_rnd(w, 2))
		memset(rec, 0, sizeof(*rec));
}

/* The base leaves; what is unflushed has the new v, and may be on it or not. */
static void hcv_t_leave(struct hcv_t_world *w)
{
	u32 i;

	w->left = true;
	w->v = w->now++;
	for (i = 0; i < HCV_T_SLOTS; i++) {
		if (w->full.rec[i].state == HCV_REC_FREE || hcv_t_rnd(w, 3))
			continue;
		if (hcv_t_rnd(w, 2))
			hcv_t_write(w, i, hcv_t_rnd(w, HCV_T_BLOCKS));
		w->full.rec[i].stamp = w->now;
	}
}

static void hcv_t_tie(struct hcv_t_world *w)
{
	u32 i;

	memset(w->held, 0, sizeof(w->held));
	memset(&w->temp, 0, sizeof(w->temp));
	w->tied = true;
	for (i = 0; i < HCV_T_SLOTS && !w->filling; i++)
		if (w->full.rec[i].stamp > w->v)
			hcv_t_fill(w, i);
}

/* A slot is copied to the base as it is, as of a resync. */
static void hcv_t_resync(struct hcv_t_world *w, u32 slot)
{
	w->base.rec[slot] = w->full.rec[slot];
	memcpy(w->base.val[slot], w->full.val[slot],
	       sizeof(w->full.val[slot]));
}

static void hcv_t_step(struct hcv_t_world *w)
{
	u32 slot = hcv_t_rnd(w, HCV_T_SLOTS), blk = hcv_t_rnd(w, HCV_T_BLOCKS);

	switch (hcv_t_rnd(w, 20)) {
	case 0:
		if (!w->left)
			hcv_t_leave(w);
		else if (!w->tied)
			hcv_t_tie(w);
		break;
	case 1:
		w->now++;
		break;
	case 2:
		if (w->tied && w->filling && hcv_t_rnd(w, 3))
			hcv_t_fill(w, slot);
		else if (w->tied)
			hcv_t_resync(w, slot);
		break;
	case 3:
	case 4:
	case 5:
	case 6:
	case 7:
	case 8:
		hcv_t_clear(w, slot, blk);
		break;
	default:
		hcv_t_write(w, slot, blk);
	}
	hcv_t_spread(w, slot);
}

/* The pair is the owner's copy, whoever holds what. */
static u32 hcv_t_check(struct kunit *test, struct hcv_t_world *w)
{
	u32 i, b, from_base = 0;

	for (i = 0; i < HCV_T_SLOTS; i++) {
		const struct hcv_rec *full = &w->full.rec[i];
		struct hcv_rec temp, out;
		u64 held[4];

		hcv_sparse_image(full, w->held[i], &temp);
		KUNIT_EXPECT_EQ(test, hcv_sparse_pair(&temp, &w->base.rec[i],
						      false, &out, held), 0);
		KUNIT_EXPECT_EQ(test, memcmp(&out, full, sizeof(out)), 0);
		if (full->state == HCV_REC_FREE)
			continue;
		for (b = 0; b < HCV_T_BLOCKS; b++) {
			bool mine = held[hcv_t_word(b)] & hcv_t_bit(b);

			if (!(full->lo[hcv_t_word(b)] & hcv_t_bit(b)))
				continue;
			from_base += !mine;
			KUNIT_EXPECT_EQ(test, mine ? w->temp.val[i][b] :
					w->base.val[i][b], w->full.val[i][b]);
		}
	}
	return from_base;
}

/* Forced while it is filled, the pair lacks what it says and nothing else. */
static u32 hcv_t_check_filling(struct kunit *test, struct hcv_t_world *w,
			       u32 *lost)
{
	u64 held[4], lacks[4];
	struct hcv_rec temp, out;
	u32 i, b, k, n = 0;
	bool same, mine;

	for (i = 0; i < HCV_T_SLOTS; i++) {
		const struct hcv_rec *full = &w->full.rec[i];

		hcv_sparse_image(full, w->held[i], &temp);
		n += hcv_sparse_lacks(&temp, w->v, lacks);
		KUNIT_EXPECT_EQ(test, hcv_sparse_force(&temp, &w->base.rec[i],
						       w->v, &out, held), 0);
		KUNIT_EXPECT_EQ(test, (int)out.state, (int)full->state);
		if (full->state == HCV_REC_FREE)
			continue;
		for (b = 0; b < HCV_T_BLOCKS; b++) {
			u64 bit = hcv_t_bit(b);

			k = hcv_t_word(b);
			mine = held[k] & bit;
			same = !((out.lo[k] ^ full->lo[k]) & bit) &&
			       !((out.hi[k] ^ full->hi[k]) & bit) &&
			       (!(full->lo[k] & bit) ||
				(mine ? w->temp.val[i][b] :
				 w->base.val[i][b]) == w->full.val[i][b]);
			*lost += !same;
			if (!(lacks[k] & bit))
				KUNIT_EXPECT_TRUE(test, same);
		}
	}
	return n;
}

static void hcv_t_forced(struct kunit *test)
{
	struct hcv_t_world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	u32 life, i, lacks = 0, lost = 0, none = 0, n;
	u64 seed = 1;

	KUNIT_ASSERT_NOT_NULL(test, w);
	for (life = 0; life < HCV_T_LIVES; life++) {
		memset(w, 0, sizeof(*w));
		w->seed = seed;
		w->now = 1;
		w->filling = true;
		for (i = 0; i < HCV_T_STEPS; i++) {
			hcv_t_step(w);
			if (!w->tied)
				continue;
			n = hcv_t_check_filling(test, w, &lost);
			lacks += n;
			none += !n;
		}
		seed = w->seed;
	}
	kunit_info(test, "%u blocks lacking, %u of the looked at lost, %u times none",
		   lacks, lost, none);
	KUNIT_EXPECT_GT(test, lost, 1000U);
	KUNIT_EXPECT_GT(test, none, 1000U);
}

/*
 * Each step is a round of the pair's owner that dies in it, the page is on the
 * old copy and not on the temporary one: slots are as they were, or as they are.
 */
static u32 hcv_t_check_round(struct kunit *test, struct hcv_t_world *w,
			     const struct hcv_t_copy *old,
			     const struct hcv_rec *image)
{
	u32 i, b, k, freed = 0;
	struct hcv_rec out;
	u64 held[4];

	for (i = 0; i < HCV_T_SLOTS; i++) {
		const struct hcv_rec *is = &w->full.rec[i], *was = &old->rec[i];
		bool named = memcmp(is, was, sizeof(*is)) ||
			     memcmp(w->full.val[i], old->val[i],
				    sizeof(old->val[i]));

		KUNIT_EXPECT_EQ(test, hcv_sparse_pair(&image[i],
						      &w->base.rec[i], named,
						      &out, held), 0);
		KUNIT_EXPECT_EQ(test, (int)out.state, (int)was->state);
		freed += was->state != is->state &&
			 was->state != HCV_REC_FREE &&
			 !hcv_sparse_held(&image[i], held);
		if (was->state == HCV_REC_FREE)
			continue;
		for (b = 0; b < HCV_T_BLOCKS; b++) {
			u64 bit = hcv_t_bit(b);

			k = hcv_t_word(b);
			KUNIT_EXPECT_TRUE(test, !((out.lo[k] ^ was->lo[k]) &
						  bit) ||
					  !((out.lo[k] ^ is->lo[k]) & bit));
		}
	}
	return freed;
}

static void hcv_t_rounds(struct kunit *test)
{
	struct hcv_t_world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	struct hcv_rec image[HCV_T_SLOTS];
	u32 life, i, k, freed = 0;
	struct hcv_t_copy old;
	u64 seed = 1;

	KUNIT_ASSERT_NOT_NULL(test, w);
	for (life = 0; life < HCV_T_LIVES; life++) {
		memset(w, 0, sizeof(*w));
		w->seed = seed;
		w->now = 1;
		for (i = 0; i < HCV_T_STEPS; i++) {
			old = w->full;
			for (k = 0; k < HCV_T_SLOTS; k++)
				hcv_sparse_image(&old.rec[k], w->held[k],
						 &image[k]);
			hcv_t_step(w);
			if (w->paired)
				freed += hcv_t_check_round(test, w, &old,
							   image);
			if (!w->tied || w->paired || hcv_t_rnd(w, 8))
				continue;
			for (k = 0; k < HCV_T_SLOTS; k++)
				hcv_t_resync(w, k);
			w->paired = true;
		}
		seed = w->seed;
	}
	kunit_info(test, "%u slots freed on the old copy alone", freed);
	KUNIT_EXPECT_GT(test, freed, 50U);
}

static void hcv_t_histories(struct kunit *test)
{
	struct hcv_t_world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	u32 life, i, checked = 0, from_base = 0;
	u64 seed = 1;

	KUNIT_ASSERT_NOT_NULL(test, w);
	for (life = 0; life < HCV_T_LIVES; life++) {
		memset(w, 0, sizeof(*w));
		w->seed = seed;
		w->now = 1;
		for (i = 0; i < HCV_T_STEPS; i++) {
			hcv_t_step(w);
			if (!w->tied)
				continue;
			from_base += hcv_t_check(test, w);
			checked++;
		}
		seed = w->seed;
	}
	kunit_info(test, "%u pairs looked at, %u blocks of the old copy", checked,
		   from_base);
	KUNIT_EXPECT_GT(test, from_base, 1000U);
}

static struct kunit_case hcv_sparse_cases[] = {
	KUNIT_CASE(hcv_t_image),
	KUNIT_CASE(hcv_t_pair),
	KUNIT_CASE(hcv_t_force),
	KUNIT_CASE(hcv_t_forced),
	KUNIT_CASE(hcv_t_rounds),
	KUNIT_CASE(hcv_t_histories),
	{}
};

static struct kunit_suite hcv_sparse_suite = {
	.name = "hcv_sparse",
	.test_cases = hcv_sparse_cases,
};
kunit_test_suite(hcv_sparse_suite);
