// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two processors on one map: one does something in steps, the other does
 * something whole before each of these steps in turn.
 */
#include "map_test.h"

struct hcv_t_pair {
	struct hcv_map map;
	struct hcv_slot *slot;	/* of mib 3 */
	struct llist_node *round;
	void (*second)(void *arg);	/* by the other one, see hcv_t_flushes() */
	u8 *page;			/* what the other one's round has written */
	bool wrote, flushed;
};

static void hcv_t_bump(void *arg)
{
	struct hcv_t_pair *p = arg;

	hcv_map_bump(&p->map, 7);
}

/* What a completed write does in a mib that has its slot. */
static void hcv_t_overwrite(void *arg)
{
	struct hcv_t_pair *p = arg;

	hcv_t_mark(&p->map, 3);
	hcv_map_written(&p->map, p->slot, 1, 1);
}

static void hcv_t_begin(void *arg)
{
	struct hcv_t_pair *p = arg;

	p->round = hcv_map_round_begin(&p->map);
}

static void hcv_t_end(struct hcv_t_pair *p, bool ok)
{
	hcv_map_round_end(&p->map, p->round, ok);
	p->round = NULL;
}

static void hcv_t_end_good(void *arg)
{
	hcv_t_end(arg, true);
}

static void hcv_t_end_void(void *arg)
{
	hcv_t_end(arg, false);
}

static void hcv_t_zero(void *arg)
{
	struct hcv_t_pair *p = arg;

	hcv_t_clear(&p->map, 3, 1, 1, false);
}

/* One thing and what comes before it. */
struct hcv_t_act {
	const char *name;
	bool grown;		/* v has grown since mib 3 was written */
	bool dirty;		/* mib 3 is unflushed */
	bool round;		/* a round is under way then */
	bool again;		/* and mib 3 is written beside it */
	void (*fn)(void *arg);
};

static void hcv_t_prepare(struct kunit *test, struct hcv_t_pair *p,
			  const struct hcv_t_act *act)
{
	memset(p, 0, sizeof(*p));
	KUNIT_ASSERT_EQ(test, hcv_map_init(&p->map, HCV_T_VOL, HCV_T_LINEAGE,
					   1, 2000), 0);
	p->map.v = 5;
	hcv_t_ext(test, &p->map, 0, 0);
	p->slot = hcv_t_write(test, &p->map, 3, 0, 4);
	hcv_t_write(test, &p->map, 600, 0, 4);
	hcv_map_round_end(&p->map, hcv_map_round_begin(&p->map), true);
	if (act->grown)
		hcv_map_bump(&p->map, 6);
	/* Beside the leaf that matters there is another one. */
	hcv_t_write(test, &p->map, 600, 0, 4);
	if (act->dirty)
		hcv_t_overwrite(p);
	if (act->round)
		hcv_t_begin(p);
	if (act->again)
		hcv_t_overwrite(p);
}

/* Run @act with @other before its @n-th step; false: it has fewer. */
static bool hcv_t_beside(struct hcv_t_pair *p, const struct hcv_t_act *act,
			 void (*other)(void *arg), spinlock_t *lock, u32 n)
{
	bool fired;

	hcv_t_other = (struct hcv_t_other) {
		.fn = other, .arg = p, .lock = lock,
		.inner = &p->map.dirty_lock, .in = n,
	};
	act->fn(p);
	fired = !hcv_t_other.fn;
	hcv_t_other.fn = NULL;
	return fired;
}

static const struct hcv_t_act hcv_t_stamped[] = {
	{ "a round begins", .dirty = true, .fn = hcv_t_begin },
	{ "a void round ends", .dirty = true, .round = true,
	  .fn = hcv_t_end_void },
	{ "a round ends", .dirty = true, .round = true, .again = true,
	  .fn = hcv_t_end_good },
	{ "a write ends", .dirty = true, .fn = hcv_t_overwrite },
	{ "a write ends after another replica left", .grown = true,
	  .fn = hcv_t_overwrite },
	{ "a write ends in a round", .dirty = true, .round = true,
	  .again = true, .fn = hcv_t_overwrite },
	{ "the first write ends", .fn = hcv_t_overwrite },
	{ "blocks are zeroed", .dirty = true, .fn = hcv_t_zero },
};

static void hcv_t_act_desc(const struct hcv_t_act *act, char *desc)
{
	strscpy(desc, act->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(hcv_t_stamped, hcv_t_stamped, hcv_t_act_desc);

/* No unflushed mib slips through while a replica leaves. */
static void hcv_race_bump(struct kunit *test)
{
	const struct hcv_t_act *act = test->param_value;
	struct hcv_t_pair p;
	bool fired;
	u32 n;

	if (!HCV_T_HOST)
		kunit_skip(test, "needs the hooks of the host's build");
	for (n = 0, fired = true; fired; n++) {
		hcv_t_prepare(test, &p, act);
		fired = hcv_t_beside(&p, act, hcv_t_bump, &p.map.lock, n);
		KUNIT_EXPECT_EQ_MSG(test, hcv_t_stamp(p.slot),
				    p.map.v, "step %u", n);
		KUNIT_EXPECT_TRUE(test, !fired || p.map.v == 7);
		hcv_map_destroy(&p.map);
	}
	KUNIT_EXPECT_GT(test, n, 2U);
}

static const struct hcv_t_act hcv_t_marked[] = {
	{ "a round begins", .fn = hcv_t_begin },
	{ "a round begins, marked before", .dirty = true, .fn = hcv_t_begin },
	{ "a round ends", .dirty = true, .round = true, .fn = hcv_t_end_good },
	{ "a void round ends", .dirty = true, .round = true,
	  .fn = hcv_t_end_void },
	{ "another write ends", .fn = hcv_t_overwrite },
	{ "a replica leaves", .dirty = true, .fn = hcv_t_bump },
};

KUNIT_ARRAY_PARAM(hcv_t_marked, hcv_t_marked, hcv_t_act_desc);

/* What is written beside a round is in it or in the next one. */
static void hcv_race_mark(struct kunit *test)
{
	const struct hcv_t_act *act = test->param_value;
	struct hcv_t_pair p;
	struct hcv_leaf *leaf;
	bool fired;
	u32 n;

	if (!HCV_T_HOST)
		kunit_skip(test, "needs the hooks of the host's build");
	for (n = 0, fired = true; fired; n++) {
		hcv_t_prepare(test, &p, act);
		fired = hcv_t_beside(&p, act, hcv_t_overwrite, NULL, n);
		leaf = hcv_map_leaf(&p.map, 3);
		if (fired)
			KUNIT_EXPECT_TRUE_MSG(test, test_bit(3, leaf->cur) ||
					      test_bit(3, leaf->flushing),
					      "step %u", n);
		KUNIT_EXPECT_EQ(test, hcv_t_stamp(p.slot), p.map.v);
		if (p.round)
			hcv_t_end(&p, true);
		hcv_t_begin(&p);
		hcv_t_end(&p, true);
		KUNIT_EXPECT_EQ_MSG(test, hcv_map_unflushed(&p.map), 0U,
				    "step %u", n);
		hcv_map_destroy(&p.map);
	}
	KUNIT_EXPECT_GT(test, n, 2U);
}

static void hcv_t_extend(void *arg)
{
	struct hcv_t_pair *p = arg;

	hcv_t_mark(&p->map, 3);
	hcv_map_written(&p->map, p->slot, 4, HCV_SLOT_BLOCKS - 4);
}

static void hcv_t_reap(void *arg)
{
	struct hcv_t_pair *p = arg;

	hcv_t_clear(&p->map, 3, 0, HCV_SLOT_BLOCKS, true);
	hcv_map_reap(&p->map, 3);
}

static void hcv_t_first(void *arg)
{
	struct hcv_t_pair *p = arg;
	struct hcv_slot *slot = hcv_map_take(&p->map, 601, GFP_NOIO);

	if (!IS_ERR(slot))
		hcv_map_written(&p->map, slot, 0, 1);
}

static const struct hcv_t_act hcv_t_copied[] = {
	{ "new blocks are written", .fn = hcv_t_extend },
	{ "a block is written again", .grown = true, .fn = hcv_t_overwrite },
	{ "blocks are zeroed", .fn = hcv_t_zero },
	{ "a slot is freed", .fn = hcv_t_reap },
	{ "a slot is taken", .fn = hcv_t_first },
	{ "a replica leaves", .dirty = true, .fn = hcv_t_bump },
};

KUNIT_ARRAY_PARAM(hcv_t_copied, hcv_t_copied, hcv_t_act_desc);

static void hcv_t_copy(struct hcv_t_pair *p, u8 *buf)
{
	hcv_map_encode(&p->map, hcv_map_slot_ext(p->slot), 0, 1, 1, 0, buf);
}

/* What a page copy has not got makes the page dirty for the next round. */
static void hcv_race_copy(struct kunit *test)
{
	u8 *buf = kunit_kzalloc(test, 2 * HCV_BLOCK_SIZE, GFP_KERNEL);
	const struct hcv_t_act *act = test->param_value;
	u32 n, differ = 0;
	struct hcv_t_pair p;
	bool fired, dirty;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	if (!HCV_T_HOST)
		kunit_skip(test, "needs the hooks of the host's build");
	for (n = 0, fired = true; fired; n++) {
		hcv_t_prepare(test, &p, act);
		hcv_t_other = (struct hcv_t_other) {
			.fn = act->fn, .arg = &p, .in = n,
			.lock = &hcv_map_slot_ext(p.slot)->lock,
			.inner = &p.map.dirty_lock,
		};
		hcv_t_copy(&p, buf);
		fired = !hcv_t_other.fn;
		hcv_t_other.fn = NULL;
		dirty = test_bit(0, &hcv_map_slot_ext(p.slot)->dirty);
		hcv_t_copy(&p, buf + HCV_BLOCK_SIZE);
		if (memcmp(buf, buf + HCV_BLOCK_SIZE, HCV_BLOCK_SIZE)) {
			KUNIT_EXPECT_TRUE_MSG(test, dirty, "step %u", n);
			differ++;
		}
		hcv_map_destroy(&p.map);
	}
	KUNIT_EXPECT_GT(test, differ, 1U);
	KUNIT_EXPECT_GT(test, n, HCV_PAGE_RECORDS);
}

static void hcv_t_again(struct hcv_t_pair *p, void (*fn)(void *arg))
{
	hcv_t_other = (struct hcv_t_other) {
		.fn = fn, .arg = p, .lock = &p->map.lock,
		.inner = &p->map.dirty_lock,
	};
}

/* The round of a FLUSH: what it finds dirty it writes. */
static void hcv_t_flush_round(void *arg)
{
	struct hcv_t_pair *p = arg;
	struct llist_node *node;
	struct hcv_ext *ext = hcv_map_slot_ext(p->slot);

	if (hcv_t_held(&ext->lock)) {
		hcv_t_again(p, hcv_t_flush_round);
		return;
	}
	hcv_t_begin(p);
	hcv_map_freed(&p->map);
	node = hcv_map_dirty_take(&p->map);
	if (node) {
		clear_bit(HCV_EXT_LISTED, &ext->flags);
		if (test_bit(0, &ext->dirty))
			hcv_t_copy(p, p->page);
	}
	hcv_t_end(p, true);
	p->flushed = true;
}

/*
 * The second write ends and is flushed, by rounds that begin after that.  It
 * needs the lock only if it is the first to say what it says.
 */
static void hcv_t_flushes(void *arg)
{
	struct hcv_t_pair *p = arg;
	struct hcv_ext *ext = hcv_map_slot_ext(p->slot);

	if (hcv_t_held(&p->map.dirty_lock) &&
	    (!test_bit(0, &ext->dirty) || p->slot->stamp != p->map.v)) {
		hcv_t_other = (struct hcv_t_other) {
			.fn = hcv_t_flushes, .arg = p,
		};
		return;
	}
	p->second(p);
	p->wrote = true;
	hcv_t_again(p, hcv_t_flush_round);
}

/* In a mib whose record is on the same page. */
static void hcv_t_neighbour(void *arg)
{
	struct hcv_t_pair *p = arg;

	hcv_t_mark(&p->map, 600);
	hcv_map_written(&p->map, p->slot + 1, 7, 1);
}

static void hcv_t_neighbour_zero(void *arg)
{
	struct hcv_t_pair *p = arg;

	hcv_t_clear(&p->map, 600, 0, 1, false);
}

static void hcv_t_neighbour_reap(void *arg)
{
	struct hcv_t_pair *p = arg;

	hcv_t_clear(&p->map, 600, 0, HCV_SLOT_BLOCKS, true);
	hcv_map_reap(&p->map, 600);
}

/* One makes the page dirty, or stamps the slot, while the other one ends. */
static const struct hcv_t_flushed {
	const char *name;
	bool grown;
	void (*first)(void *arg);
	void (*second)(void *arg);
} hcv_t_flushed[] = {
	{ "new blocks beside a neighbour's", .first = hcv_t_neighbour,
	  .second = hcv_t_extend },
	{ "new blocks beside zeroes", .first = hcv_t_neighbour_zero,
	  .second = hcv_t_extend },
	{ "new blocks beside a freed slot", .first = hcv_t_neighbour_reap,
	  .second = hcv_t_extend },
	{ "new blocks in the same mib", .grown = true,
	  .first = hcv_t_overwrite, .second = hcv_t_extend },
	{ "a stamp that another write gave", .grown = true,
	  .first = hcv_t_overwrite, .second = hcv_t_overwrite },
	{ "a stamp that zeroes gave", .grown = true, .first = hcv_t_zero,
	  .second = hcv_t_overwrite },
	{ "a stamp beside a neighbour's", .grown = true,
	  .first = hcv_t_neighbour, .second = hcv_t_overwrite },
};

static void hcv_t_flushed_desc(const struct hcv_t_flushed *f, char *desc)
{
	strscpy(desc, f->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(hcv_t_flushed, hcv_t_flushed, hcv_t_flushed_desc);

/* What the second one's round has to have written. */
static void hcv_t_check_flushed(struct kunit *test, struct hcv_t_pair *p,
				u32 n)
{
	struct hcv_rec got;

	KUNIT_ASSERT_EQ(test, hcv_fmt_page_get(p->page, 0, p->slot->rec, &got),
			0);
	KUNIT_EXPECT_EQ_MSG(test, got.stamp, p->map.v, "step %u", n);
	if (p->second == hcv_t_extend)
		KUNIT_EXPECT_EQ_MSG(test, got.lo[3], ~0ULL, "step %u", n);
}

/* A FLUSH has all that ended before it, whoever made its page dirty. */
static void hcv_race_flush(struct kunit *test)
{
	u8 *buf = kunit_kzalloc(test, HCV_BLOCK_SIZE, GFP_KERNEL);
	const struct hcv_t_flushed *f = test->param_value;
	struct hcv_t_act act = { .grown = f->grown };
	struct hcv_t_pair p;
	u32 n, beside = 0;
	bool fired;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	if (!HCV_T_HOST)
		kunit_skip(test, "needs the hooks of the host's build");
	for (n = 0, fired = true; fired; n++) {
		hcv_t_prepare(test, &p, &act);
		p.second = f->second;
		p.page = buf;
		/* Nothing is dirty, but v may have grown. */
		hcv_t_flush_round(&p);
		p.flushed = false;
		hcv_t_other = (struct hcv_t_other) {
			.fn = hcv_t_flushes, .arg = &p, .in = n,
		};
		f->first(&p);
		fired = p.wrote;
		beside += p.flushed;
		if (fired && !p.flushed) {
			hcv_t_other.fn = NULL;
			hcv_t_flush_round(&p);
		}
		hcv_t_other.fn = NULL;
		if (fired)
			hcv_t_check_flushed(test, &p, n);
		hcv_map_destroy(&p.map);
	}
	KUNIT_EXPECT_GT(test, beside, 2U);
}

/* Somebody reads the place that is kept, beside a round that ends. */
struct hcv_t_kept {
	struct hcv_pagepos pos;
	u64 seq;		/* as it was seen before the read */
	u8 place;
	bool kept;
};

static void hcv_t_look(void *arg)
{
	struct hcv_t_kept *k = arg;

	k->kept = hcv_map_page_kept(&k->pos, &k->seq, &k->place);
}

static void hcv_t_sent(void *arg)
{
	struct hcv_t_kept *k = arg;
	u64 seq;
	u8 place = hcv_map_page_next(&k->pos, &seq);

	hcv_map_page_sent(&k->pos, seq, place, true);
}

/*
 * As long as the number is the one that was seen, the next round's images do not
 * go to the place that was.  @first in steps, @other before the @n-th of them.
 */
static bool hcv_t_kept_beside(struct kunit *test, void (*first)(void *arg),
			      void (*other)(void *arg), u32 n)
{
	struct hcv_t_kept k = {
		.pos = { .seq = 4, .place = 0, .kept = true },
	};
	bool fired;
	u64 seq;
	u8 next;

	hcv_t_other = (struct hcv_t_other) { .fn = other, .arg = &k, .in = n };
	first(&k);
	fired = !hcv_t_other.fn;
	hcv_t_other.fn = NULL;
	next = hcv_map_page_next(&k.pos, &seq);
	if (fired && k.kept && k.seq == k.pos.seq)
		KUNIT_EXPECT_NE_MSG(test, k.place, next, "step %u", n);
	return fired;
}

static void hcv_race_kept(struct kunit *test)
{
	u32 n;

	if (!HCV_T_HOST)
		kunit_skip(test, "needs the hooks of the host's build");
	for (n = 0; hcv_t_kept_beside(test, hcv_t_sent, hcv_t_look, n); n++)
		;
	KUNIT_EXPECT_GT(test, n, 2U);
	for (n = 0; hcv_t_kept_beside(test, hcv_t_look, hcv_t_sent, n); n++)
		;
	KUNIT_EXPECT_GT(test, n, 2U);
}

static struct kunit_case hcv_map_race_cases[] = {
	KUNIT_CASE_PARAM(hcv_race_bump, hcv_t_stamped_gen_params),
	KUNIT_CASE_PARAM(hcv_race_mark, hcv_t_marked_gen_params),
	KUNIT_CASE_PARAM(hcv_race_copy, hcv_t_copied_gen_params),
	KUNIT_CASE_PARAM(hcv_race_flush, hcv_t_flushed_gen_params),
	KUNIT_CASE(hcv_race_kept),
	{ }
};

static struct kunit_suite hcv_map_race_suite = {
	.name = "hcv_map_race",
	.test_cases = hcv_map_race_cases,
};

kunit_test_suite(hcv_map_race_suite);
