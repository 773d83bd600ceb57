// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of a scrub's decisions: a table of single blocks, each copy's content
 * given for both looks; the cursor, the counters, the rate; and copies beside a
 * model that knows who was damaged and who was written.
 */
#include <kunit/test.h>

#ifdef __KERNEL__
#include <linux/slab.h>
#endif

#include "scrub.h"

#define T_BYTES		16U	/* of a block, here */
#define T_BLK		5U	/* the block that the table is about */
#define T_BIT		(1U << T_BLK)

/* One look at all copies, and what it says of them. */
struct hcv_t_bufs {
	u8 b[HCV_SCRUB_COPIES][HCV_SCRUB_BLOCKS * T_BYTES];
	const void *p[HCV_SCRUB_COPIES];
};

static void hcv_t_point(struct hcv_t_bufs *bufs)
{
	u32 c;

	for (c = 0; c < HCV_SCRUB_COPIES; c++)
		bufs->p[c] = bufs->b[c];
}

/* --- the table ----------------------------------------------------------- */

/*
 * Looks: a character per copy, the elected one first: a content, '0' for the one
 * whose sum is 0 as that of a refused block is, '!' for a refusal, '-' for a copy
 * that is away.  Verdicts: copies as bits.
 */
static const struct {
	const char *first, *second;
	bool written;
	u32 damaged, media, repair;
	u8 source;
	bool changed, lost;
} hcv_t_table[] = {
	/* Differs both times: damage, repaired from the elected copy. */
	{ "AB", "AB", false, 2, 0, 2, 0, false, false },
	{ "ABA", "ABA", false, 2, 0, 2, 0, false, false },
	/* The elected one is the source, also against two. */
	{ "ABB", "ABB", false, 6, 0, 6, 0, false, false },
	{ "ABC", "ABC", false, 6, 0, 6, 0, false, false },
	{ "ABAB", "ABAB", false, 10, 0, 10, 0, false, false },
	/* A look that does not repeat itself is a media error, no damage. */
	{ "AB", "AA", false, 0, 2, 2, 0, false, false },
	{ "BA", "AA", false, 0, 1, 1, 1, false, false },
	{ "AB", "CB", false, 0, 1, 1, 1, false, false },
	{ "AB", "AC", false, 0, 2, 2, 0, false, false },
	{ "AB", "BA", false, 0, 3, 2, 0, false, false },
	/* Refused: rewritten from who gave it. */
	{ "A!", "A!", false, 0, 2, 2, 0, false, false },
	{ "!A", "!A", false, 0, 1, 1, 1, false, false },
	{ "!AB", "!AB", false, 4, 1, 5, 1, false, false },
	{ "A!B", "A!B", false, 4, 2, 6, 0, false, false },
	/* Refused once: while it did, reads went to the next one. */
	{ "!A", "BA", false, 0, 1, 1, 1, false, false },
	{ "!A", "0A", false, 0, 1, 1, 1, false, false },
	{ "A!", "AA", false, 0, 2, 2, 0, false, false },
	{ "AB", "!B", false, 0, 1, 1, 1, false, false },
	{ "!A", "B!", false, 0, 3, 2, 0, false, false },
	/* No copy gives it; a single copy has nobody to ask. */
	{ "!!", "!!", false, 0, 3, 0, 0, false, true },
	{ "AB", "!!", false, 0, 3, 0, 0, false, true },
	{ "!", "!", false, 0, 1, 0, 0, false, true },
	{ "!", "A", false, 0, 1, 0, 0, false, false },
	/* Written in between: changed under write, or a race with it. */
	{ "AB", "CC", true, 0, 0, 0, 0, true, false },
	{ "AB", "AA", true, 0, 0, 0, 0, true, false },
	{ "AB", "CD", true, 0, 0, 2, 0, true, false },
	{ "AB", "AB", true, 0, 0, 2, 0, true, false },
	{ "ABB", "CDD", true, 0, 0, 6, 0, true, false },
	/* Written over a media error: the write has repaired it. */
	{ "A!", "BB", true, 0, 2, 0, 0, false, false },
	{ "!A", "!B", true, 0, 1, 1, 1, false, false },
	{ "A!", "BC", true, 0, 2, 2, 0, true, false },
	{ "A!", "!!", true, 0, 3, 0, 0, false, true },
	/* Away at one of the looks: neither judged, nor written, nor source. */
	{ "AB-", "AB-", false, 2, 0, 2, 0, false, false },
	{ "AAB", "AA-", false, 0, 0, 0, 0, false, false },
	{ "AB", "A-", false, 0, 0, 0, 0, false, false },
	{ "-AB", "CAB", false, 4, 0, 4, 1, false, false },
	{ "-AB", "CAB", true, 0, 0, 4, 1, true, false },
	{ "AAB", "-AB", false, 4, 0, 4, 1, false, false },
	{ "AB", "--", false, 0, 0, 0, 0, false, false },
	{ "!A", "!-", false, 0, 1, 0, 0, false, true },
};

static void hcv_t_content(u8 *block, char c)
{
	memset(block, c == '0' ? 0 : c, T_BYTES);
	if (c == '0')
		memset(block, 0xff, sizeof(u32));
}

static u32 hcv_t_look(struct hcv_scrub_look *look, struct hcv_t_bufs *bufs,
		      const char *s, bool sums)
{
	u32 c;

	memset(look, 0, sizeof(*look));
	hcv_t_point(bufs);
	memset(bufs->b, 0x5a, sizeof(bufs->b));
	for (c = 0; s[c]; c++) {
		if (s[c] == '-')
			continue;
		look->got |= 1U << c;
		if (s[c] == '!')
			look->bad[c] |= T_BIT;
		else
			hcv_t_content(bufs->b[c] + T_BLK * T_BYTES, s[c]);
	}
	return hcv_scrub_compare(look, ~0U, bufs->p, T_BYTES, sums);
}

/* The copies that have the block in @bits, as bits. */
static u32 hcv_t_who(const u32 *bits)
{
	u32 c, who = 0;

	for (c = 0; c < HCV_SCRUB_COPIES; c++)
		who |= (bits[c] >> T_BLK & 1) << c;
	return who;
}

static void hcv_scrub_test_table(struct kunit *test)
{
	struct hcv_t_bufs *bufs = kunit_kzalloc(test, sizeof(*bufs),
						GFP_KERNEL);
	struct hcv_scrub_piece *p = kunit_kzalloc(test, sizeof(*p),
						  GFP_KERNEL);
	struct hcv_scrub_verdict *v = &p->verdict;
	u32 i, blocks;

	for (i = 0; i < ARRAY_SIZE(hcv_t_table); i++) {
		blocks = hcv_t_look(&p->first, bufs, hcv_t_table[i].first,
				    false);
		KUNIT_EXPECT_EQ_MSG(test, T_BIT, blocks, "case %u", i);
		hcv_t_look(&p->second, bufs, hcv_t_table[i].second, true);
		hcv_scrub_decide(&p->first, &p->second, blocks,
				 hcv_t_table[i].written ? T_BIT : 0, v);
		KUNIT_EXPECT_EQ_MSG(test, hcv_t_table[i].damaged,
				    hcv_t_who(v->damaged), "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, hcv_t_table[i].media,
				    hcv_t_who(v->media), "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, hcv_t_table[i].repair,
				    hcv_t_who(v->repair), "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, hcv_t_table[i].changed ? T_BIT : 0,
				    v->changed, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, hcv_t_table[i].lost ? T_BIT : 0,
				    v->lost, "case %u", i);
		if (hcv_t_table[i].repair)
			KUNIT_EXPECT_EQ_MSG(test, hcv_t_table[i].source,
					    v->source[T_BLK], "case %u", i);
	}
}

/* What is equal, and what was not read, is no suspect. */
static void hcv_scrub_test_compare(struct kunit *test)
{
	struct hcv_t_bufs *bufs = kunit_kzalloc(test, sizeof(*bufs),
						GFP_KERNEL);
	struct hcv_scrub_look *look = kunit_kzalloc(test, sizeof(*look),
						    GFP_KERNEL);

	hcv_t_point(bufs);
	look->got = 7;
	KUNIT_EXPECT_EQ(test, 0U, hcv_scrub_compare(look, ~0U, bufs->p,
						    T_BYTES, false));
	/* The last byte of the last block, and the first of the first. */
	bufs->b[2][HCV_SCRUB_BLOCKS * T_BYTES - 1] = 1;
	bufs->b[1][0] = 1;
	KUNIT_EXPECT_EQ(test, 0x80000001U,
			hcv_scrub_compare(look, ~0U, bufs->p, T_BYTES, false));
	KUNIT_EXPECT_EQ(test, 0U, hcv_scrub_compare(look, 0x7ffffffeU, bufs->p,
						    T_BYTES, false));
	/* Copy 3 was not read, whatever is in its buffer. */
	bufs->b[3][7 * T_BYTES] = 1;
	KUNIT_EXPECT_EQ(test, 0U, hcv_scrub_compare(look, 1U << 7, bufs->p,
						    T_BYTES, false));
	/* One copy alone differs from nobody. */
	look->got = 2;
	KUNIT_EXPECT_EQ(test, 0U, hcv_scrub_compare(look, ~0U, bufs->p,
						    T_BYTES, false));
	look->bad[1] = 1U << 9;
	KUNIT_EXPECT_EQ(test, 1U << 9, hcv_scrub_compare(look, ~0U, bufs->p,
							 T_BYTES, false));
}

/* --- the cursor ---------------------------------------------------------- */

static void hcv_scrub_test_cursor(struct kunit *test)
{
	u32 pages = 0, pieces = 0, i;
	struct hcv_scrub_pos pos;

	hcv_scrub_pos_begin(&pos, 0);
	KUNIT_EXPECT_TRUE(test, hcv_scrub_pos_over(&pos));
	hcv_scrub_pos_begin(&pos, 2);
	for (i = 0; !hcv_scrub_pos_over(&pos) && i < 10000; i++) {
		if (pos.step == HCV_SCRUB_PAGES) {
			/* Before the extent's first piece. */
			KUNIT_EXPECT_EQ(test, pos.ext * HCV_EXTENT_SLOTS *
					HCV_SCRUB_PIECES, pieces);
			pages++;
		} else {
			KUNIT_EXPECT_EQ(test, pieces,
					(pos.ext * HCV_EXTENT_SLOTS + pos.rec) *
					HCV_SCRUB_PIECES + pos.piece);
			pieces++;
		}
		hcv_scrub_pos_next(&pos);
	}
	KUNIT_EXPECT_EQ(test, 2U, pages);
	KUNIT_EXPECT_EQ(test, 2 * HCV_EXTENT_SLOTS * HCV_SCRUB_PIECES, pieces);
	/* The end stays the end. */
	hcv_scrub_pos_skip_ext(&pos);
	KUNIT_EXPECT_EQ(test, 2U, pos.ext);
}

static void hcv_scrub_test_skip(struct kunit *test)
{
	struct hcv_scrub_pos pos;

	hcv_scrub_pos_begin(&pos, 3);
	hcv_scrub_pos_next(&pos);
	hcv_scrub_pos_next(&pos);
	KUNIT_EXPECT_EQ(test, 1U, (u32)pos.piece);
	hcv_scrub_pos_skip_rec(&pos);
	KUNIT_EXPECT_EQ(test, 1U, (u32)pos.rec);
	KUNIT_EXPECT_EQ(test, 0U, (u32)pos.piece);
	pos.rec = HCV_EXTENT_SLOTS - 1;
	hcv_scrub_pos_skip_rec(&pos);
	KUNIT_EXPECT_EQ(test, 1U, pos.ext);
	KUNIT_EXPECT_EQ(test, (u32)HCV_SCRUB_PAGES, (u32)pos.step);
	hcv_scrub_pos_next(&pos);
	hcv_scrub_pos_skip_ext(&pos);
	KUNIT_EXPECT_EQ(test, 2U, pos.ext);
	KUNIT_EXPECT_EQ(test, (u32)HCV_SCRUB_PAGES, (u32)pos.step);
	KUNIT_EXPECT_EQ(test, 0U, (u32)pos.rec);
}

static void hcv_scrub_test_blocks(struct kunit *test)
{
	struct hcv_rec rec = { .state = HCV_REC_USED };
	u32 from, i;

	for (i = 0; i < HCV_SCRUB_PIECES; i++)
		KUNIT_EXPECT_EQ(test, 0U, hcv_scrub_blocks(&rec, i));
	rec.lo[0] = 0x00000001f0000000ULL;
	rec.lo[3] = ~0ULL;
	rec.hi[0] = 0x0000000080000000ULL;	/* elsewhere */
	rec.hi[1] = ~0ULL;			/* zero */
	KUNIT_EXPECT_EQ(test, 0x70000000U, hcv_scrub_blocks(&rec, 0));
	KUNIT_EXPECT_EQ(test, 1U, hcv_scrub_blocks(&rec, 1));
	KUNIT_EXPECT_EQ(test, 0U, hcv_scrub_blocks(&rec, 2));
	KUNIT_EXPECT_EQ(test, ~0U, hcv_scrub_blocks(&rec, 7));
	rec.state = HCV_REC_FREE;
	KUNIT_EXPECT_EQ(test, 0U, hcv_scrub_blocks(&rec, 7));

	from = 0;
	KUNIT_EXPECT_EQ(test, 0U, hcv_scrub_run(0, &from));
	from = 0;
	KUNIT_EXPECT_EQ(test, 32U, hcv_scrub_run(~0U, &from));
	from = 0;
	KUNIT_EXPECT_EQ(test, 3U, hcv_scrub_run(0x80000070U, &from));
	KUNIT_EXPECT_EQ(test, 4U, from);
	from += 3;
	KUNIT_EXPECT_EQ(test, 1U, hcv_scrub_run(0x80000070U, &from));
	KUNIT_EXPECT_EQ(test, 31U, from);
	from++;
	KUNIT_EXPECT_EQ(test, 0U, hcv_scrub_run(0x80000070U, &from));
}

/* --- counters ------------------------------------------------------------ */

static const struct {
	struct hcv_scrub_copy copy;
	bool whole;
	enum hcv_scrub_result result;
} hcv_t_results[] = {
	{ { .covered = 9 }, true, HCV_SCRUBBED_GOOD },
	{ { .covered = 9, .damaged = 2, .repaired = 2 }, true, HCV_SCRUBBED_GOOD },
	/* It has nothing: nothing of it was left out. */
	{ { }, true, HCV_SCRUBBED_GOOD },
	{ { .covered = 9 }, false, HCV_SCRUBBED_UNCOVERED },
	{ { .covered = 9, .missed = 1 }, true, HCV_SCRUBBED_UNCOVERED },
	{ { .covered = 9, .left = true }, true, HCV_SCRUBBED_UNCOVERED },
	{ { .missed = 9 }, true, HCV_SCRUBBED_UNCOVERED },
	{ { .covered = 9, .failed = 1 }, true, HCV_SCRUBBED_BAD },
	{ { .covered = 9, .failed = 1, .missed = 1 }, false, HCV_SCRUBBED_BAD },
};

static void hcv_scrub_test_result(struct kunit *test)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(hcv_t_results); i++)
		KUNIT_EXPECT_EQ_MSG(test, (int)hcv_t_results[i].result,
				    (int)hcv_scrub_result(&hcv_t_results[i].copy,
							  hcv_t_results[i].whole),
				    "case %u", i);
}

/* The third copy is away, the second leaves between the looks. */
static void hcv_scrub_test_tally(struct kunit *test)
{
	struct hcv_scrub_pass *pass = kunit_kzalloc(test, sizeof(*pass),
						    GFP_KERNEL);
	struct hcv_scrub_piece *p = kunit_kzalloc(test, sizeof(*p),
						  GFP_KERNEL);

	p->nr = 3;
	p->link[0] = 7;
	p->link[1] = 0;
	p->link[2] = 31;
	p->blocks = 0xff;
	p->first.got = 3;
	hcv_scrub_tally(pass, p);
	KUNIT_EXPECT_EQ(test, 8ULL, pass->copy[7].covered);
	KUNIT_EXPECT_EQ(test, 8ULL, pass->copy[0].covered);
	KUNIT_EXPECT_EQ(test, 0ULL, pass->copy[31].covered);
	KUNIT_EXPECT_EQ(test, 8ULL, pass->copy[31].missed);
	/* Suspects without a second look were not read. */
	p->suspects = 0x0f;
	hcv_scrub_tally(pass, p);
	KUNIT_EXPECT_EQ(test, 12ULL, pass->copy[7].covered);
	KUNIT_EXPECT_EQ(test, 4ULL, pass->copy[7].missed);
	KUNIT_EXPECT_EQ(test, 0ULL, pass->damaged);
	/* One of them is data no more, one was repaired, one was not. */
	p->again = true;
	p->second.got = 1;
	p->gone = 0x01;
	p->verdict.damaged[0] = 0x02;
	p->verdict.media[0] = 0x0c;
	p->verdict.lost = 0x08;
	p->verdict.repair[0] = 0x06;
	p->done[0] = 0x02;
	hcv_scrub_tally(pass, p);
	KUNIT_EXPECT_EQ(test, 19ULL, pass->copy[7].covered);
	KUNIT_EXPECT_EQ(test, 4ULL, pass->copy[7].missed);
	KUNIT_EXPECT_EQ(test, 16ULL, pass->copy[0].covered);
	KUNIT_EXPECT_EQ(test, 7ULL, pass->copy[0].missed);
	KUNIT_EXPECT_EQ(test, 23ULL, pass->copy[31].missed);
	KUNIT_EXPECT_EQ(test, 1ULL, pass->copy[7].repaired);
	KUNIT_EXPECT_EQ(test, 2ULL, pass->copy[7].failed);
	KUNIT_EXPECT_EQ(test, 1ULL, pass->damaged);
	KUNIT_EXPECT_EQ(test, 2ULL, pass->media);
	KUNIT_EXPECT_EQ(test, 1ULL, pass->lost);
	KUNIT_EXPECT_EQ(test, 23ULL, pass->read);
}

static void hcv_scrub_test_again(struct kunit *test)
{
	struct hcv_scrub_pass *pass = kunit_kzalloc(test, sizeof(*pass),
						    GFP_KERNEL);
	u32 i, sum = 0;

	for (i = 0; i < 1000; i++) {
		u32 ms = hcv_scrub_again_ms(pass);

		KUNIT_EXPECT_LE(test, ms, HCV_SCRUB_AGAIN_MS);
		sum += ms;
	}
	KUNIT_EXPECT_EQ(test, HCV_SCRUB_PATIENCE_MS, sum);
	KUNIT_EXPECT_EQ(test, 0U, hcv_scrub_again_ms(pass));
}

/* --- the rate ------------------------------------------------------------ */

#define T_MS	1000000ULL

/* Pieces as fast as they may come: how many bytes in a second from @now on. */
static u64 hcv_t_second(struct hcv_scrub_pace *pace, u32 kibps, u64 now,
			u64 grain)
{
	u64 end = now + 1000 * T_MS, sum = 0, wait;

	while (now < end && sum < 1ULL << 40) {
		wait = hcv_scrub_wait_ns(pace, kibps, now);
		if (wait) {
			/* The timer is late by its grain. */
			now += wait + grain;
			continue;
		}
		hcv_scrub_paced(pace, kibps, now, 131072);
		sum += 131072;
	}
	return sum;
}

static void hcv_scrub_test_pace(struct kunit *test)
{
	static const u32 rates[] = { 1024, 10240, 102400, 1048576 };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		struct hcv_scrub_pace pace = { };
		u64 want = (u64)rates[i] << 10, got;

		got = hcv_t_second(&pace, rates[i], 5000 * T_MS, 4 * T_MS);
		KUNIT_EXPECT_LE(test, got, want + want / 10 + 131072);
		KUNIT_EXPECT_GE(test, got + 131072, want - want / 10);
		/* An hour without use is worth no more than the grain. */
		got = hcv_t_second(&pace, rates[i], 3600 * 1000 * T_MS,
				   4 * T_MS);
		KUNIT_EXPECT_LE(test, got, want + want / 10 + 131072);
	}
}

static void hcv_scrub_test_pace_change(struct kunit *test)
{
	struct hcv_scrub_pace pace = { };
	u64 now = 1000 * T_MS;

	KUNIT_EXPECT_EQ(test, 0ULL, hcv_scrub_wait_ns(&pace, 1, now));
	hcv_scrub_paced(&pace, 1, now, 131072);
	/* 128 KiB at 1 KiB/s; the limit goes up, and goes. */
	KUNIT_EXPECT_EQ(test, 128000 * T_MS,
			hcv_scrub_wait_ns(&pace, 1, now));
	KUNIT_EXPECT_EQ(test, 125 * T_MS,
			hcv_scrub_wait_ns(&pace, 1024, now));
	KUNIT_EXPECT_EQ(test, 0ULL,
			hcv_scrub_wait_ns(&pace, 1024, now + 125 * T_MS));
	KUNIT_EXPECT_EQ(test, 0ULL, hcv_scrub_wait_ns(&pace, 0, now));
	/* Early is not late: the clock of the next piece begins now. */
	hcv_scrub_paced(&pace, 0, now, 131072);
	KUNIT_EXPECT_EQ(test, now, (unsigned long long)pace.at_ns);
}

/* --- copies beside a model ----------------------------------------------- */

#define T_ROUNDS	3000

/**
 * struct hcv_t_model - what really became of the blocks of a piece
 * @rnd: state of the random generator
 * @nr: copies
 * @media: content of each copy
 * @bad: blocks that a copy refuses, until they are written
 * @hurt: blocks of a copy that were damaged since they were written
 * @torn: blocks whose newest write was changed under way
 * @away: copies that are away now
 * @written: blocks written since the first look
 * @seen: what the copies gave at a look
 * @p: the piece as the pass sees it
 */
struct hcv_t_model {
	u32 rnd;
	u32 nr;
	struct hcv_t_bufs media;
	u32 bad[HCV_SCRUB_COPIES];
	u32 hurt[HCV_SCRUB_COPIES];
	u32 torn;
	u32 away;
	u32 written;
	struct hcv_t_bufs seen;
	struct hcv_scrub_piece p;
};

static u32 hcv_t_rnd(struct hcv_t_model *m, u32 below)
{
	m->rnd ^= m->rnd << 13;
	m->rnd ^= m->rnd >> 17;
	m->rnd ^= m->rnd << 5;
	return m->rnd % below;
}

static u8 *hcv_t_at(struct hcv_t_model *m, u32 c, u32 blk)
{
	return m->media.b[c] + blk * T_BYTES;
}

static void hcv_t_fill(struct hcv_t_model *m, u32 c, u32 blk)
{
	u32 i;

	for (i = 0; i < T_BYTES; i++)
		hcv_t_at(m, c, blk)[i] = hcv_t_rnd(m, 256);
}

/* A guest's write; @racing: it changes the page meanwhile. */
static void hcv_t_write(struct hcv_t_model *m, u32 blk, bool racing)
{
	u32 c;

	hcv_t_fill(m, 0, blk);
	for (c = 0; c < m->nr; c++) {
		memcpy(hcv_t_at(m, c, blk), hcv_t_at(m, 0, blk), T_BYTES);
		if (racing && c)
			hcv_t_at(m, c, blk)[T_BYTES - 1] ^= c;
		m->bad[c] &= ~(1U << blk);
		m->hurt[c] &= ~(1U << blk);
	}
	m->torn &= ~(1U << blk);
	if (racing)
		m->torn |= 1U << blk;
	m->written |= 1U << blk;
}

static void hcv_t_happens(struct hcv_t_model *m)
{
	/* Half of it to a few blocks, so that things meet. */
	u32 blk = hcv_t_rnd(m, hcv_t_rnd(m, 2) ? HCV_SCRUB_BLOCKS : 4);
	u32 c = hcv_t_rnd(m, m->nr);

	switch (hcv_t_rnd(m, 8)) {
	case 0:
		hcv_t_at(m, c, blk)[hcv_t_rnd(m, T_BYTES)] ^= 0x80;
		m->hurt[c] |= 1U << blk;
		break;
	case 1:
		m->bad[c] |= 1U << blk;
		break;
	case 2:
		if (!hcv_t_rnd(m, 16))
			m->away |= 1U << c;
		break;
	case 3:
	case 4:
		hcv_t_write(m, blk, true);
		break;
	default:
		hcv_t_write(m, blk, false);
	}
}

static u32 hcv_t_sim_look(struct hcv_t_model *m, struct hcv_scrub_look *look,
			  u32 blocks, bool sums)
{
	u32 c;

	memset(look, 0, sizeof(*look));
	hcv_t_point(&m->seen);
	for (c = 0; c < m->nr; c++) {
		if (m->away >> c & 1)
			continue;
		look->got |= 1U << c;
		look->bad[c] = m->bad[c] & blocks;
		memcpy(m->seen.b[c], m->media.b[c], sizeof(m->seen.b[c]));
	}
	return hcv_scrub_compare(look, blocks, m->seen.p, T_BYTES, sums);
}

/* Write what the verdict says, from where it says. */
static void hcv_t_repair(struct kunit *test, struct hcv_t_model *m)
{
	struct hcv_scrub_piece *p = &m->p;
	u32 blk, c, src;

	for (blk = 0; blk < HCV_SCRUB_BLOCKS; blk++) {
		src = p->verdict.source[blk];
		for (c = 0; c < HCV_SCRUB_COPIES; c++) {
			if (!(p->verdict.repair[c] >> blk & 1))
				continue;
			KUNIT_EXPECT_NE(test, c, src);
			KUNIT_EXPECT_TRUE(test, p->suspects >> blk & 1);
			KUNIT_EXPECT_FALSE(test, m->away >> c & 1);
			KUNIT_EXPECT_FALSE(test, m->away >> src & 1);
			KUNIT_EXPECT_FALSE(test, m->bad[src] >> blk & 1);
			memcpy(hcv_t_at(m, c, blk), hcv_t_at(m, src, blk),
			       T_BYTES);
			m->bad[c] &= ~(1U << blk);
			p->done[c] |= 1U << blk;
		}
	}
}

/* What a read of a block gives, or NULL; @from: its copy. */
static const u8 *hcv_t_reads(struct hcv_t_model *m, u32 blk, u32 *from)
{
	for (*from = 0; *from < m->nr; (*from)++)
		if (!(m->away >> *from & 1) && !(m->bad[*from] >> blk & 1))
			return hcv_t_at(m, *from, blk);
	return NULL;
}

/* After a verdict and its repairs. */
static void hcv_t_check(struct kunit *test, struct hcv_t_model *m,
			const struct hcv_t_bufs *before)
{
	struct hcv_scrub_piece *p = &m->p;
	u32 blk, c, bit, src, here = ((1U << m->nr) - 1) & ~m->away;

	here &= p->first.got;
	for (blk = 0; blk < HCV_SCRUB_BLOCKS; blk++) {
		const u8 *now = hcv_t_reads(m, blk, &src);

		bit = 1U << blk;
		if (!(p->suspects & bit))
			continue;
		KUNIT_EXPECT_EQ(test, !now && here, !!(p->verdict.lost & bit));
		if (p->verdict.changed & bit)
			KUNIT_EXPECT_TRUE(test, m->written & bit);
		for (c = 0; c < m->nr && now; c++) {
			if (!(here >> c & 1))
				continue;
			/* Equal from now on. */
			KUNIT_EXPECT_FALSE(test, m->bad[c] & bit);
			KUNIT_EXPECT_EQ(test, 0, memcmp(now,
							hcv_t_at(m, c, blk),
							T_BYTES));
		}
		/* The elected copy is nobody's to write, unless it refused. */
		if (here & 1 && !(p->first.bad[0] & bit) &&
		    !(p->second.bad[0] & bit) &&
		    !(p->verdict.media[0] & bit))
			KUNIT_EXPECT_EQ(test, 0, memcmp(hcv_t_at(m, 0, blk),
							before->b[0] +
							blk * T_BYTES,
							T_BYTES));
		for (c = 0; c < m->nr; c++)
			if (p->verdict.damaged[c] & bit)
				KUNIT_EXPECT_FALSE(test, m->written & bit);
	}
}

/*
 * What nobody hurt is not called damaged, be it written as often as it likes;
 * a page that was changed under a write between the looks is told apart, and
 * what was made equal is of no more interest.
 */
static void hcv_t_innocent(struct kunit *test, struct hcv_t_model *m,
			   u32 torn)
{
	u32 all = (1U << m->nr) - 1, hurt = 0, bad = 0, c;
	struct hcv_scrub_piece *p = &m->p;

	for (c = 0; c < m->nr; c++) {
		hurt |= m->hurt[c];
		bad |= p->first.bad[c] | p->second.bad[c];
	}
	for (c = 0; c < m->nr; c++)
		KUNIT_EXPECT_EQ(test, 0U,
				p->verdict.damaged[c] & ~(hurt | torn));
	if (m->nr < 2 || (p->first.got & p->second.got) != all)
		return;
	KUNIT_EXPECT_EQ(test, 0U, m->written & m->torn & p->suspects &
			~bad & ~p->verdict.changed);
	m->torn &= ~p->suspects;
	for (c = 0; c < m->nr; c++)
		m->hurt[c] &= ~p->suspects;
}

static void hcv_t_round(struct kunit *test, struct hcv_t_model *m,
			struct hcv_scrub_pass *pass, struct hcv_t_bufs *before)
{
	struct hcv_scrub_piece *p = &m->p;
	u32 c, i, n, torn;

	memset(p, 0, sizeof(*p));
	m->away = 0;
	for (n = hcv_t_rnd(m, 6), i = 0; i < n; i++)
		hcv_t_happens(m);
	m->written = 0;
	torn = m->torn;
	p->nr = m->nr;
	p->blocks = m->rnd | 1;
	for (c = 0; c < m->nr; c++)
		p->link[c] = 3 * c;
	p->suspects = hcv_t_sim_look(m, &p->first, p->blocks, false);
	for (n = hcv_t_rnd(m, 4), i = 0; i < n; i++)
		hcv_t_happens(m);
	if (p->suspects) {
		p->again = true;
		hcv_t_sim_look(m, &p->second, p->suspects, true);
		hcv_scrub_decide(&p->first, &p->second, p->suspects,
				 m->written, &p->verdict);
		*before = m->media;
		hcv_t_repair(test, m);
		hcv_t_check(test, m, before);
		hcv_t_innocent(test, m, torn);
	}
	hcv_scrub_tally(pass, p);
}

/* Every block of every copy was read, or is missing from what is said of it. */
static void hcv_t_coverage(struct kunit *test, struct hcv_t_model *m,
			   const struct hcv_scrub_pass *pass, u64 missed)
{
	u32 c;
	u64 sum = 0;

	for (c = 0; c < m->nr; c++) {
		const struct hcv_scrub_copy *copy = &pass->copy[3 * c];

		KUNIT_EXPECT_EQ(test, pass->read,
				copy->covered + copy->missed);
		if (copy->missed)
			KUNIT_EXPECT_NE(test, (int)HCV_SCRUBBED_GOOD,
					(int)hcv_scrub_result(copy, true));
		sum += copy->missed;
	}
	KUNIT_EXPECT_EQ(test, missed, sum);
}

/* Blocks that some copy was not there for when it was asked. */
static u64 hcv_t_missed(struct hcv_t_model *m)
{
	struct hcv_scrub_piece *p = &m->p;
	u64 missed = 0;
	u32 c;

	for (c = 0; c < m->nr; c++) {
		if (!(p->first.got >> c & 1))
			missed += hweight32(p->blocks);
		else if (p->again && !(p->second.got >> c & 1))
			missed += hweight32(p->suspects);
	}
	return missed;
}

static void hcv_scrub_test_model(struct kunit *test)
{
	struct hcv_t_model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	struct hcv_scrub_pass *pass = kunit_kzalloc(test, sizeof(*pass),
						    GFP_KERNEL);
	struct hcv_t_bufs *before = kunit_kzalloc(test, sizeof(*before),
						  GFP_KERNEL);
	u64 missed;
	u32 nr, i;

	m->rnd = 2463534242U;
	for (nr = 1; nr <= HCV_SCRUB_COPIES; nr++) {
		memset(pass, 0, sizeof(*pass));
		m->nr = nr;
		for (missed = 0, i = 0; i < HCV_SCRUB_BLOCKS; i++)
			hcv_t_write(m, i, false);
		for (i = 0; i < T_ROUNDS; i++) {
			hcv_t_round(test, m, pass, before);
			missed += hcv_t_missed(m);
		}
		hcv_t_coverage(test, m, pass, missed);
		kunit_info(test, "%u copies: %llu blocks damaged, %llu changed, %llu media errors, %llu lost, %llu missed\n",
			   nr, pass->damaged, pass->changed, pass->media,
			   pass->lost, missed);
		if (nr <= 2)
			KUNIT_EXPECT_GT(test, pass->lost, 0ULL);
		if (nr == 1)
			continue;
		KUNIT_EXPECT_GT(test, pass->damaged, 0ULL);
		KUNIT_EXPECT_GT(test, pass->changed, 0ULL);
		KUNIT_EXPECT_GT(test, pass->media, 0ULL);
		KUNIT_EXPECT_GT(test, missed, 0ULL);
	}
}

static struct kunit_case hcv_scrub_cases[] = {
	KUNIT_CASE(hcv_scrub_test_table),
	KUNIT_CASE(hcv_scrub_test_compare),
	KUNIT_CASE(hcv_scrub_test_cursor),
	KUNIT_CASE(hcv_scrub_test_skip),
	KUNIT_CASE(hcv_scrub_test_blocks),
	KUNIT_CASE(hcv_scrub_test_result),
	KUNIT_CASE(hcv_scrub_test_tally),
	KUNIT_CASE(hcv_scrub_test_again),
	KUNIT_CASE(hcv_scrub_test_pace),
	KUNIT_CASE(hcv_scrub_test_pace_change),
	KUNIT_CASE(hcv_scrub_test_model),
	{ }
};

static struct kunit_suite hcv_scrub_suite = {
	.name = "hcv_scrub",
	.test_cases = hcv_scrub_cases,
};

kunit_test_suite(hcv_scrub_suite);
