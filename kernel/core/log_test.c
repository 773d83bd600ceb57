// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the activity log: its bytes, its table, and which entry goes when
 * room is needed.  What it is good for is in log_sim_test.c.
 */
#include <kunit/test.h>
#include <linux/slab.h>

#include "log.h"

#define HCV_T_LINEAGE	77ULL

static const u8 hcv_t_vol[16] = "volume-abcdefghi";
static const u8 hcv_t_other[16] = "other-xyzxyzxyzx";

static void *hcv_t_buf(struct kunit *test, size_t len)
{
	void *buf = kunit_kzalloc(test, len, GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	return buf;
}

static struct hcv_log *hcv_t_log(struct kunit *test, u32 pages, u32 per_page)
{
	struct hcv_log *log = hcv_t_buf(test, sizeof(*log));

	hcv_log_init(log, hcv_t_vol, HCV_T_LINEAGE, 5, pages, per_page);
	return log;
}

/* Write what is dirty into a log area, as if it were durable at once. */
static void hcv_t_write(struct hcv_log *log, u8 *area)
{
	u32 page, place;
	u64 seq;

	for (page = 0; page < log->nr_pages; page++) {
		if (!(hcv_log_dirty(log) & BIT(page)))
			continue;
		place = hcv_log_next(log, page, &seq);
		hcv_log_encode(log, page, place, seq, area +
			       hcv_fmt_log_off(page, place) - HCV_VOLLOG_OFF);
		hcv_log_sent(log, page, seq, true);
	}
}

struct hcv_t_set {
	u32 mib[4 * HCV_LOG_ENTRIES];
	u32 nr;
};

static void hcv_t_collect(void *arg, u32 mib)
{
	struct hcv_t_set *set = arg;

	if (set->nr < ARRAY_SIZE(set->mib))
		set->mib[set->nr++] = mib;
}

static bool hcv_t_in(const struct hcv_t_set *set, u32 mib)
{
	u32 i;

	for (i = 0; i < set->nr; i++)
		if (set->mib[i] == mib)
			return true;
	return false;
}

static void hcv_t_read(struct kunit *test, const u8 *area,
		       struct hcv_log_found *found, struct hcv_t_set *set)
{
	set->nr = 0;
	hcv_log_read(area, hcv_t_vol, HCV_T_LINEAGE, found, hcv_t_collect, set);
	KUNIT_EXPECT_EQ(test, found->entries, set->nr);
}

/* --- bytes ---------------------------------------------------------------- */

static void hcv_t_page(u8 *buf, u32 count)
{
	struct hcv_log_id id = {
		.lineage = HCV_T_LINEAGE, .page = 3, .place = 1,
	};
	u32 i;

	memcpy(id.volume, hcv_t_vol, sizeof(id.volume));
	hcv_fmt_log_begin(buf, &id, 6, 7);
	for (i = 0; i < count; i++)
		hcv_fmt_log_put(buf, i, U32_MAX - i);
	hcv_fmt_log_seal(buf, count);
}

static int hcv_t_check(const u8 *buf, u64 *epoch, u64 *seq, u32 *count)
{
	struct hcv_log_id id = {
		.lineage = HCV_T_LINEAGE, .page = 3, .place = 1,
	};

	memcpy(id.volume, hcv_t_vol, sizeof(id.volume));
	return hcv_fmt_log_check(buf, &id, epoch, seq, count);
}

static void hcv_log_test_bytes(struct kunit *test)
{
	static const u32 counts[] = { 0, 1, 31, HCV_LOG_ENTRIES };
	u8 *buf = hcv_t_buf(test, HCV_BLOCK_SIZE);
	u32 i, k, count;
	u64 epoch, seq;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		hcv_t_page(buf, counts[i]);
		KUNIT_ASSERT_EQ(test, hcv_t_check(buf, &epoch, &seq, &count),
				0);
		KUNIT_EXPECT_EQ(test, epoch, 6ULL);
		KUNIT_EXPECT_EQ(test, seq, 7ULL);
		KUNIT_ASSERT_EQ(test, count, counts[i]);
		for (k = 0; k < count; k++)
			KUNIT_ASSERT_EQ(test, hcv_fmt_log_get(buf, k),
					U32_MAX - k);
	}
	/* No bit of the 4 KiB may change unnoticed. */
	for (i = 0; i < HCV_BLOCK_SIZE; i++) {
		buf[i] ^= 1 << i % 8;
		KUNIT_ASSERT_NE_MSG(test,
				    hcv_t_check(buf, &epoch, &seq, &count), 0,
				    "byte %u", i);
		buf[i] ^= 1 << i % 8;
	}
	/* Nor be torn between two sectors. */
	for (i = 512; i < HCV_BLOCK_SIZE; i += 512) {
		hcv_t_page(buf, HCV_LOG_ENTRIES);
		memset(buf + i, 0, HCV_BLOCK_SIZE - i);
		KUNIT_ASSERT_EQ(test, hcv_t_check(buf, &epoch, &seq, &count),
				-EBADMSG);
	}
}

/* Fields that are wrong although the checksum is right. */
static const struct hcv_t_bad {
	const char *name;
	u32 off;
	u32 len;
	u64 val;
	int ret;
} hcv_t_bads[] = {
	{ "magic", 0, 4, HCV_MAGIC_PAGE, -ENOMSG },
	{ "volume", 8, 1, 'x', -EXDEV },
	{ "lineage", 24, 8, HCV_T_LINEAGE + 1, -EXDEV },
	{ "version 0", 32, 2, 0, -EPROTONOSUPPORT },
	{ "version 2", 32, 2, 2, -EPROTONOSUPPORT },
	{ "page", 34, 1, 2, -EXDEV },
	{ "place", 35, 1, 0, -EXDEV },
	{ "count", 36, 4, HCV_LOG_ENTRIES + 1, -EUCLEAN },
	{ "all entries", 36, 4, HCV_LOG_ENTRIES, 0 },
	{ "an entry behind the count", 36, 4, 9, -EUCLEAN },
	{ "epoch 0", 40, 8, 0, -EUCLEAN },
	{ "sequence 0", 48, 8, 0, -EUCLEAN },
	{ "first byte of padding", 56, 1, 1, -EUCLEAN },
	{ "last byte of padding", 127, 1, 1, -EUCLEAN },
	{ "the last entry", 4092, 4, 5, -EUCLEAN },
};

static void hcv_t_bad_desc(const struct hcv_t_bad *bad, char *desc)
{
	strscpy(desc, bad->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(hcv_t_bads, hcv_t_bads, hcv_t_bad_desc);

static void hcv_log_test_fields(struct kunit *test)
{
	const struct hcv_t_bad *bad = test->param_value;
	u8 *buf = hcv_t_buf(test, HCV_BLOCK_SIZE);
	u32 i, count, crc;
	u64 epoch, seq;

	hcv_t_page(buf, 10);
	for (i = 0; i < bad->len; i++)
		buf[bad->off + i] = bad->val >> (8 * i);
	memset(buf + 4, 0, 4);
	crc = hcv_crc32c(buf, HCV_BLOCK_SIZE);
	for (i = 0; i < 4; i++)
		buf[4 + i] = crc >> (8 * i);
	KUNIT_EXPECT_EQ(test, hcv_t_check(buf, &epoch, &seq, &count),
			bad->ret);
	if (!bad->ret)
		return;
	/* A caller that does not look is told nothing. */
	KUNIT_EXPECT_EQ(test, count, 0U);
	KUNIT_EXPECT_EQ(test, seq, 0ULL);
}

/* --- reading -------------------------------------------------------------- */

static void hcv_t_spoil(u8 *area, u32 page, u32 place)
{
	area[hcv_fmt_log_off(page, place) - HCV_VOLLOG_OFF + 200] ^= 1;
}

static void hcv_log_test_read(struct kunit *test)
{
	struct hcv_log *log = hcv_t_log(test, HCV_LOG_PAGES, 4);
	u8 *area = hcv_t_buf(test, HCV_VOLLOG_SIZE);
	struct hcv_log_found found;
	struct hcv_t_set *set = hcv_t_buf(test, sizeof(*set));
	u32 i;

	hcv_t_read(test, area, &found, set);
	KUNIT_EXPECT_EQ(test, found.valid + found.lost + set->nr, 0U);
	for (i = 0; i < 6; i++)
		KUNIT_ASSERT_EQ(test, hcv_log_add(log, 100 + i, NULL, NULL), 0);
	hcv_t_write(log, area);
	KUNIT_EXPECT_EQ(test, hcv_log_dirty(log), 0U);
	hcv_t_read(test, area, &found, set);
	KUNIT_EXPECT_EQ(test, found.valid, HCV_LOG_PAGES);
	KUNIT_EXPECT_EQ(test, found.epoch, 5ULL);
	KUNIT_EXPECT_EQ(test, found.seq, 1ULL);
	KUNIT_EXPECT_EQ(test, set->nr, 6U);
	for (i = 0; i < 6; i++)
		KUNIT_EXPECT_TRUE(test, hcv_t_in(set, 100 + i));
	/* The first write of a page, torn, beside a blank place: no loss. */
	hcv_t_spoil(area, 1, 0);
	hcv_t_read(test, area, &found, set);
	KUNIT_EXPECT_EQ(test, found.lost, 0U);
	KUNIT_EXPECT_EQ(test, found.valid, HCV_LOG_PAGES - 1);
	KUNIT_EXPECT_EQ(test, set->nr, 4U);
	hcv_t_spoil(area, 1, 0);

	/* Torn, the second write leaves what the first one said. */
	KUNIT_ASSERT_EQ(test, hcv_log_add(log, 200, NULL, NULL), 0);
	KUNIT_EXPECT_EQ(test, hcv_log_dirty(log), (u32)BIT(1));
	hcv_t_write(log, area);
	hcv_t_spoil(area, 1, 1);
	hcv_t_read(test, area, &found, set);
	KUNIT_EXPECT_EQ(test, found.lost, 0U);
	KUNIT_EXPECT_FALSE(test, hcv_t_in(set, 200));
	KUNIT_EXPECT_TRUE(test, hcv_t_in(set, 105));
	hcv_t_spoil(area, 1, 0);
	hcv_t_read(test, area, &found, set);
	KUNIT_EXPECT_EQ(test, found.lost, 1U);
	KUNIT_EXPECT_EQ(test, found.valid, HCV_LOG_PAGES - 1);

	/* Of another volume or lineage: as if nobody had written it. */
	hcv_t_spoil(area, 1, 0);
	hcv_t_spoil(area, 1, 1);
	hcv_log_read(area, hcv_t_other, HCV_T_LINEAGE, &found, NULL, NULL);
	KUNIT_EXPECT_EQ(test, found.valid + found.lost + found.entries, 0U);
	hcv_log_read(area, hcv_t_vol, HCV_T_LINEAGE + 1, &found, NULL, NULL);
	KUNIT_EXPECT_EQ(test, found.valid + found.lost + found.entries, 0U);
}

/* A later owner's images count, whatever sequence the former ones had. */
static void hcv_log_test_epochs(struct kunit *test)
{
	struct hcv_log *log = hcv_t_log(test, 1, 4);
	u8 *area = hcv_t_buf(test, HCV_VOLLOG_SIZE);
	struct hcv_log_found found;
	struct hcv_t_set *set = hcv_t_buf(test, sizeof(*set));
	u32 i;

	for (i = 0; i < 4; i++) {
		hcv_log_add(log, i, NULL, NULL);
		hcv_t_write(log, area);
	}
	hcv_log_init(log, hcv_t_vol, HCV_T_LINEAGE, 6, 1, 4);
	hcv_log_add(log, 50, NULL, NULL);
	hcv_t_write(log, area);
	hcv_t_read(test, area, &found, set);
	KUNIT_EXPECT_EQ(test, found.epoch, 6ULL);
	KUNIT_EXPECT_EQ(test, set->nr, 1U);
	KUNIT_EXPECT_EQ(test, set->mib[0], 50U);
}

/* --- table ---------------------------------------------------------------- */

static bool hcv_t_drop_all(void *arg, u32 mib)
{
	(*(u32 *)arg)++;
	return true;
}

static bool hcv_t_drop_none(void *arg, u32 mib)
{
	(*(u32 *)arg)++;
	return false;
}

static bool hcv_t_drop_odd(void *arg, u32 mib)
{
	return mib % 2;
}

/* All 7,936 entries, each found; those that share a hash too. */
static void hcv_log_test_full(struct kunit *test)
{
	const u32 all = HCV_LOG_PAGES * HCV_LOG_ENTRIES;
	struct hcv_log *log = hcv_t_log(test, HCV_LOG_PAGES, HCV_LOG_ENTRIES);
	u32 i, asked = 0;

	for (i = 0; i < all; i++) {
		KUNIT_ASSERT_EQ(test, hcv_log_add(log, i * 1024, NULL, NULL),
				0);
		KUNIT_ASSERT_EQ(test, hcv_log_add(log, i * 1024, NULL, NULL),
				0);
	}
	KUNIT_EXPECT_EQ(test, log->nr, all);
	for (i = 0; i < all; i++)
		KUNIT_ASSERT_TRUE(test, hcv_log_has(log, i * 1024));
	KUNIT_EXPECT_FALSE(test, hcv_log_has(log, 1));
	KUNIT_EXPECT_EQ(test, hcv_log_add(log, 1, NULL, NULL), -ENOSPC);
	KUNIT_EXPECT_EQ(test, hcv_log_add(log, 1, hcv_t_drop_none, &asked),
			-ENOSPC);
	/* Each of them is asked for, so that a hot one does not hide others. */
	KUNIT_EXPECT_GE(test, asked, all);
	KUNIT_EXPECT_EQ(test, log->nr, all);
	hcv_log_clear(log);
	KUNIT_EXPECT_EQ(test, log->nr, 0U);
	KUNIT_EXPECT_FALSE(test, hcv_log_has(log, 0));
	KUNIT_EXPECT_EQ(test, hcv_log_dirty(log), 0xffU);
}

/* A batch of misses costs one image, whether there is room or not. */
static void hcv_log_test_batch(struct kunit *test)
{
	struct hcv_log *log = hcv_t_log(test, HCV_LOG_PAGES, HCV_LOG_ENTRIES);
	u8 *area = hcv_t_buf(test, HCV_VOLLOG_SIZE);
	u32 i, n, asked = 0, images = 0;

	hcv_t_write(log, area);
	for (n = 0; n < 248; n++) {
		for (i = 0; i < 32; i++)
			hcv_log_add(log, n * 32 + i, NULL, NULL);
		images += hweight_long(hcv_log_dirty(log));
		hcv_t_write(log, area);
	}
	KUNIT_EXPECT_EQ(test, images, 248U);
	for (images = 0, n = 0; n < 1000; n++) {
		for (i = 0; i < 32; i++)
			KUNIT_ASSERT_EQ(test,
					hcv_log_add(log, 10000 + n * 32 + i,
						    hcv_t_drop_all, &asked), 0);
		images += hweight_long(hcv_log_dirty(log));
		hcv_t_write(log, area);
	}
	/* 992 is 31 batches: none is divided between two pages. */
	KUNIT_EXPECT_EQ(test, images, 1000U);
	KUNIT_EXPECT_EQ(test, log->nr, HCV_LOG_PAGES * HCV_LOG_ENTRIES);
	KUNIT_EXPECT_EQ(test, asked, 32000U);
}

/* What is in use stays, and what was in use lately stays longer. */
static void hcv_log_test_evict(struct kunit *test)
{
	struct hcv_log *log = hcv_t_log(test, 2, 4);
	u32 i, asked = 0;

	for (i = 0; i < 8; i++)
		hcv_log_add(log, i, NULL, NULL);
	for (i = 0; i < 4; i++)
		KUNIT_ASSERT_EQ(test, hcv_log_add(log, 101 + 2 * i,
						  hcv_t_drop_odd, NULL), 0);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, hcv_log_has(log, i), !(i % 2));
	/* The hand is at the beginning; these are seen in use once more. */
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_TRUE(test, log->ent[i / 2 * HCV_LOG_ENTRIES +
						 i % 2 * 2].seen);
	/* All are idle now: the four that came last go before the old ones. */
	for (i = 0; i < 4; i++)
		KUNIT_ASSERT_EQ(test, hcv_log_add(log, 200 + i, hcv_t_drop_all,
						  &asked), 0);
	KUNIT_EXPECT_EQ(test, asked, 4U);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_TRUE(test, hcv_log_has(log, 2 * i));
		KUNIT_EXPECT_FALSE(test, hcv_log_has(log, 101 + 2 * i));
	}
	KUNIT_EXPECT_EQ(test, hcv_log_add(log, 300, hcv_t_drop_all, &asked),
			0);
	KUNIT_EXPECT_FALSE(test, hcv_log_has(log, 0));
}

/* Ten of them have three hash heads; which may go varies within a page. */
static u32 hcv_t_mib(u32 i)
{
	return i * 1024 + (i ^ i % 3);
}

/* What may go goes, from any place of a page, and what is left is found. */
static void hcv_log_test_purge(struct kunit *test)
{
	struct hcv_t_set *set = hcv_t_buf(test, sizeof(*set));
	struct hcv_log *log = hcv_t_log(test, 3, 5);
	u8 *area = hcv_t_buf(test, HCV_VOLLOG_SIZE);
	struct hcv_log_found found;
	u32 i, asked = 0;

	hcv_t_write(log, area);
	for (i = 0; i < 10; i++)
		hcv_log_add(log, hcv_t_mib(i), NULL, NULL);
	hcv_t_write(log, area);
	KUNIT_EXPECT_EQ(test, hcv_log_purge(log, hcv_t_drop_none, &asked), 10U);
	KUNIT_EXPECT_EQ(test, asked, 10U);
	KUNIT_EXPECT_EQ(test, hcv_log_dirty(log), 0U);
	KUNIT_EXPECT_EQ(test, hcv_log_purge(log, hcv_t_drop_odd, NULL), 6U);
	KUNIT_EXPECT_EQ(test, log->page[1].nr, 3);
	/* The third page has none, and is as it was. */
	KUNIT_EXPECT_EQ(test, hcv_log_dirty(log), 3U);
	hcv_t_write(log, area);
	hcv_t_read(test, area, &found, set);
	KUNIT_EXPECT_EQ(test, set->nr, 6U);
	for (i = 0; i < 10; i++) {
		u32 mib = hcv_t_mib(i);

		KUNIT_EXPECT_EQ(test, hcv_log_has(log, mib), !(mib % 2));
		KUNIT_EXPECT_EQ(test, hcv_t_in(set, mib), !(mib % 2));
	}
	/* There is room for others in their places. */
	for (i = 0; i < 9; i++)
		KUNIT_ASSERT_EQ(test, hcv_log_add(log, 20000 + i, NULL, NULL),
				0);
	KUNIT_EXPECT_EQ(test, hcv_log_add(log, 30000, NULL, NULL), -ENOSPC);
	KUNIT_EXPECT_EQ(test, hcv_log_purge(log, hcv_t_drop_all, &asked), 0U);
	KUNIT_EXPECT_EQ(test, asked, 25U);
	hcv_t_write(log, area);
	hcv_t_read(test, area, &found, set);
	KUNIT_EXPECT_EQ(test, set->nr, 0U);
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_FALSE(test, hcv_log_has(log, hcv_t_mib(i)));
	KUNIT_EXPECT_EQ(test, hcv_log_add(log, 7, hcv_t_drop_none, &asked), 0);
	KUNIT_EXPECT_TRUE(test, hcv_log_has(log, 7));
}

/* An image that was not durable on all is written again to its place. */
static void hcv_log_test_places(struct kunit *test)
{
	struct hcv_log *log = hcv_t_log(test, 1, 4);
	u64 seq, last = 0;
	u32 i, place, want = 0;

	for (i = 0; i < 20; i++) {
		bool good = i % 5 != 2 && i % 7 != 3;

		place = hcv_log_next(log, 0, &seq);
		KUNIT_EXPECT_EQ(test, place, want);
		KUNIT_EXPECT_EQ(test, seq, last + 1);
		last = seq;
		hcv_log_sent(log, 0, seq, good);
		KUNIT_EXPECT_EQ(test, hcv_log_dirty(log), (u32)!good);
		if (good) {
			want = !want;
			log->page[0].dirty = true;
		}
	}
}

/* Logs as found on up to three stores; two pages are in use. */
struct hcv_t_looks {
	const char *name;
	u32 nr;
	struct hcv_log_found found[3];
	u32 entries;	/* of the log in RAM */
	bool adopts;
};

#define HCV_T_FOUND(...)	{ .epoch = 4, .valid = 2, __VA_ARGS__ }

static const struct hcv_t_looks hcv_t_looks[] = {
	{ "no store", 0 },
	{ "one", 1, { HCV_T_FOUND(.newest = 1) }, .adopts = true },
	{ "three alike", 3, { HCV_T_FOUND(.newest = 2), HCV_T_FOUND(.newest = 2),
			      HCV_T_FOUND(.newest = 2) }, .adopts = true },
	{ "other numbers", 2, { HCV_T_FOUND(.newest = 2),
				HCV_T_FOUND(.newest = 2, .seq = 12) },
	  .adopts = true },
	{ "other numbers, the first", 2, { HCV_T_FOUND(.seq = 12),
					   HCV_T_FOUND() }, .adopts = true },
	{ "other places, the last", 2, { HCV_T_FOUND(.newest = 2),
					 HCV_T_FOUND(.newest = 3) } },
	{ "other places, the middle", 3, { HCV_T_FOUND(.newest = 2),
					   HCV_T_FOUND(.newest = 3),
					   HCV_T_FOUND(.newest = 3) } },
	{ "an entry", 2, { HCV_T_FOUND(.entries = 1), HCV_T_FOUND() } },
	{ "an entry on the last", 2, { HCV_T_FOUND(),
				       HCV_T_FOUND(.entries = 1) } },
	{ "damaged", 1, { HCV_T_FOUND(.lost = 1) } },
	{ "never written", 1, { { .valid = 0 } } },
	{ "a page never written", 2, { HCV_T_FOUND(),
				       { .seq = 9, .valid = 1 } } },
	{ "entries in RAM", 1, { HCV_T_FOUND() }, .entries = 1 },
};

static void hcv_log_test_adopt(struct kunit *test)
{
	struct hcv_log_look look;
	struct hcv_log *log;
	u32 i, k, page;
	bool adopts;
	u64 seq;

	for (i = 0; i < ARRAY_SIZE(hcv_t_looks); i++) {
		const struct hcv_t_looks *c = &hcv_t_looks[i];

		log = hcv_t_log(test, 2, 4);
		for (k = 0; k < c->entries; k++)
			hcv_log_add(log, k, NULL, NULL);
		memset(&look, 0, sizeof(look));
		for (k = 0; k < c->nr; k++)
			hcv_log_look(&look, log, &c->found[k]);
		adopts = hcv_log_adopt(log, &look);
		KUNIT_EXPECT_EQ_MSG(test, adopts, c->adopts, "%s", c->name);
		KUNIT_EXPECT_EQ_MSG(test, hcv_log_dirty(log), adopts ? 0U : 3U,
				    "%s", c->name);
		for (page = 0; page < 2 && adopts; page++) {
			KUNIT_EXPECT_EQ_MSG(test, hcv_log_next(log, page, &seq),
					    !(c->found[0].newest >> page & 1),
					    "%s", c->name);
			for (k = 0; k < c->nr; k++)
				KUNIT_EXPECT_GT_MSG(test, seq, c->found[k].seq,
						    "%s", c->name);
		}
	}
}

/* The table beside a trivial model, for many random steps. */
static bool hcv_t_drop_some(void *arg, u32 mib)
{
	u32 *rnd = arg;

	*rnd = *rnd * 1664525 + 1013904223;
	return *rnd >> 28;
}

static void hcv_log_test_random(struct kunit *test)
{
	struct hcv_log *log = hcv_t_log(test, 3, 7);
	u8 *area = hcv_t_buf(test, HCV_VOLLOG_SIZE);
	struct hcv_log_found found;
	struct hcv_t_set *set = hcv_t_buf(test, sizeof(*set));
	u32 rnd = 42, step, mib, i, n;

	for (step = 0; step < 20000; step++) {
		rnd = rnd * 1664525 + 1013904223;
		/* All have one hash. */
		mib = (rnd >> 8) % 64 << 20;
		if (hcv_log_add(log, mib, hcv_t_drop_some, &rnd))
			continue;
		KUNIT_ASSERT_TRUE(test, hcv_log_has(log, mib));
		if (rnd >> 30)
			continue;
		hcv_t_write(log, area);
		for (n = 0, i = 0; i < 64; i++)
			n += hcv_log_has(log, i << 20);
		KUNIT_ASSERT_EQ(test, n, log->nr);
		if (step % 16)
			continue;
		hcv_t_read(test, area, &found, set);
		KUNIT_ASSERT_EQ(test, set->nr, log->nr);
		for (i = 0; i < 64; i++)
			KUNIT_ASSERT_EQ(test, hcv_t_in(set, i << 20),
					hcv_log_has(log, i << 20));
	}
	KUNIT_EXPECT_EQ(test, log->nr, 21U);
}

static struct kunit_case hcv_log_cases[] = {
	KUNIT_CASE(hcv_log_test_bytes),
	KUNIT_CASE_PARAM(hcv_log_test_fields, hcv_t_bads_gen_params),
	KUNIT_CASE(hcv_log_test_read),
	KUNIT_CASE(hcv_log_test_epochs),
	KUNIT_CASE(hcv_log_test_full),
	KUNIT_CASE(hcv_log_test_batch),
	KUNIT_CASE(hcv_log_test_evict),
	KUNIT_CASE(hcv_log_test_purge),
	KUNIT_CASE(hcv_log_test_places),
	KUNIT_CASE(hcv_log_test_adopt),
	KUNIT_CASE(hcv_log_test_random),
	{ }
};

static struct kunit_suite hcv_log_suite = {
	.name = "hcv_log",
	.test_cases = hcv_log_cases,
};

kunit_test_suite(hcv_log_suite);
