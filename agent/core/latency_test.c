// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows, percentiles and outliers.
 *
 * The buckets are those of the module: a latency goes into the bucket that
 * hcv_stats_bucket() names, which is repeated here.
 */
#include <kunit/test.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "latency.h"

static unsigned int lat_bucket_of(uint64_t us)
{
	unsigned int i = 0;

	while (us > 1 && i < HCV_HIST_BUCKETS - 1) {
		us >>= 1;
		i++;
	}
	return i;
}

/* ------------------------------------------------------------------ windows */

struct window_case {
	const char *name;
	struct hcv_lat_sample from;
	struct hcv_lat_sample to;
	bool ok;
	uint64_t reads;
	uint64_t errors;
};

static const struct window_case window_cases[] = {
	{ "nothing happened", { 7, 1000, 5, 1, { { 3 } } },
	  { 7, 2000, 5, 1, { { 3 } } }, true, 0, 0 },
	{ "some I/O", { 7, 1000, 5, 1, { { 3, 2 } } },
	  { 7, 2000, 9, 4, { { 5, 9 } } }, true, 9, 3 },
	{ "another source", { 7, 1000, 0, 0, { { 3 } } },
	  { 8, 2000, 0, 0, { { 9 } } }, false, 0, 0 },
	{ "a bucket went back", { 7, 1000, 0, 0, { { 3, 9 } } },
	  { 7, 2000, 0, 0, { { 9, 8 } } }, false, 0, 0 },
	{ "a bucket of another operation went back",
	  { 7, 1000, 0, 0, { { 3 }, { 1 } } },
	  { 7, 2000, 0, 0, { { 9 }, { 0 } } }, false, 0, 0 },
	{ "bytes went back", { 7, 1000, 5, 0, { { 3 } } },
	  { 7, 2000, 4, 0, { { 3 } } }, false, 0, 0 },
	{ "errors went back", { 7, 1000, 5, 2, { { 3 } } },
	  { 7, 2000, 5, 1, { { 3 } } }, false, 0, 0 },
	{ "no time between", { 7, 1000, 0, 0, { { 3 } } },
	  { 7, 1000, 0, 0, { { 9 } } }, false, 0, 0 },
	{ "time went back", { 7, 1000, 0, 0, { { 3 } } },
	  { 7, 999, 0, 0, { { 9 } } }, false, 0, 0 },
};

static void window_case_desc(const struct window_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", c->name);
}

KUNIT_ARRAY_PARAM(window, window_cases, window_case_desc);

static void latency_window(struct kunit *test)
{
	const struct window_case *c = test->param_value;
	struct hcv_lat_window w;

	KUNIT_EXPECT_EQ(test, hcv_lat_window(&c->from, &c->to, &w), c->ok);
	KUNIT_EXPECT_EQ(test, w.ios[HCV_LAT_READ], c->reads);
	KUNIT_EXPECT_EQ(test, w.errors, c->errors);
	KUNIT_EXPECT_EQ(test, w.ms, c->ok ? 1000 : 0);
}

static void latency_window_full(struct kunit *test)
{
	static const struct { int64_t ms; uint64_t reads, writes; bool full; }
	c[] = {
		{ 9999, 1000, 1000, false },
		{ 10000, 19, 19, false },
		{ 10000, 0, 20, true },
		{ 10000, 20, 0, true },
		{ 59999, 19, 0, false },
		{ 60000, 0, 0, true },
	};
	size_t i;

	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct hcv_lat_window w = { .ms = c[i].ms };

		w.ios[HCV_LAT_READ] = c[i].reads;
		w.ios[HCV_LAT_WRITE] = c[i].writes;
		KUNIT_EXPECT_EQ_MSG(test, hcv_lat_window_full(&w), c[i].full,
				    "(case %zu)", i);
	}
}

/* -------------------------------------------------------------- percentiles */

static void latency_bucket(struct kunit *test)
{
	struct hcv_lat_range r, last = { 0 };
	unsigned int i;

	for (i = 0; i < HCV_HIST_BUCKETS; i++) {
		r = hcv_lat_bucket(i);
		KUNIT_EXPECT_EQ(test, r.lo, last.hi);	/* no gap */
		KUNIT_EXPECT_EQ(test, lat_bucket_of(r.lo), i);
		KUNIT_EXPECT_EQ(test, lat_bucket_of(r.hi - 1), i);
		last = r;
	}
	KUNIT_EXPECT_EQ(test, last.hi, UINT64_MAX);
}

static int cmp_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The true percentile of random latencies lies in the bucket that is named. */
static void latency_percentile_random(struct kunit *test)
{
	uint64_t us[600], hist[HCV_HIST_BUCKETS];
	unsigned int permille, run, n, i, rank;
	struct hcv_lat_range r;
	int bucket;

	srand(1);
	for (run = 0; run < 3000; run++) {
		n = 1 + (unsigned int)rand() % 600;
		permille = 1 + (unsigned int)rand() % 1000;
		memset(hist, 0, sizeof(hist));
		for (i = 0; i < n; i++) {
			us[i] = ((uint64_t)rand() << 8) >> (rand() % 40);
			hist[lat_bucket_of(us[i])]++;
		}
		qsort(us, n, sizeof(us[0]), cmp_u64);
		rank = (n * permille + 999) / 1000;
		bucket = hcv_lat_percentile(hist, permille);
		KUNIT_ASSERT_TRUE(test, bucket >= 0);
		r = hcv_lat_bucket((unsigned int)bucket);
		KUNIT_ASSERT_TRUE(test, us[rank - 1] >= r.lo &&
				  us[rank - 1] < r.hi);
	}
}

static void latency_percentile_edges(struct kunit *test)
{
	uint64_t hist[HCV_HIST_BUCKETS] = { 0 };

	KUNIT_EXPECT_EQ(test, hcv_lat_percentile(hist, 950), -1);
	hist[5] = 1;
	KUNIT_EXPECT_EQ(test, hcv_lat_percentile(hist, 1), 5);
	KUNIT_EXPECT_EQ(test, hcv_lat_percentile(hist, 1000), 5);
	hist[27] = 19;
	KUNIT_EXPECT_EQ(test, hcv_lat_percentile(hist, 50), 5);
	KUNIT_EXPECT_EQ(test, hcv_lat_percentile(hist, 51), 27);
	/* 2^60 I/Os do not overflow */
	hist[5] = 1ULL << 60;
	hist[27] = 1ULL << 53;
	KUNIT_EXPECT_EQ(test, hcv_lat_percentile(hist, 990), 5);
	KUNIT_EXPECT_EQ(test, hcv_lat_percentile(hist, 1000), 27);
}

/* -------------------------------------------------------------------- notes */

static void latency_note(struct kunit *test)
{
	struct hcv_lat_window w = { .ms = 10000 };
	struct hcv_lat_note note;

	hcv_lat_note(&w, &note);
	KUNIT_EXPECT_EQ(test, note.p95[HCV_LAT_READ], HCV_LAT_UNKNOWN);
	KUNIT_EXPECT_EQ(test, note.sure[HCV_LAT_READ], HCV_LAT_UNKNOWN);
	KUNIT_EXPECT_EQ(test, note.load, 0);
	w.hist[HCV_LAT_WRITE][4] = 17;
	w.hist[HCV_LAT_WRITE][20] = 2;
	w.ios[HCV_LAT_WRITE] = 19;
	hcv_lat_note(&w, &note);
	KUNIT_EXPECT_EQ(test, note.p95[HCV_LAT_WRITE], HCV_LAT_UNKNOWN);
	/* two of twenty say something about the 95th percentile, nothing sure */
	w.hist[HCV_LAT_WRITE][4]++;
	w.ios[HCV_LAT_WRITE]++;
	hcv_lat_note(&w, &note);
	KUNIT_EXPECT_EQ(test, note.p95[HCV_LAT_WRITE], 20);
	KUNIT_EXPECT_EQ(test, note.sure[HCV_LAT_WRITE], 4);
	KUNIT_EXPECT_EQ(test, note.p95[HCV_LAT_READ], HCV_LAT_UNKNOWN);
	w.hist[HCV_LAT_WRITE][4]--;
	w.hist[HCV_LAT_WRITE][20]++;
	hcv_lat_note(&w, &note);
	KUNIT_EXPECT_EQ(test, note.sure[HCV_LAT_WRITE], 20);
	/* of many I/Os the 95th percentile is known well */
	w.hist[HCV_LAT_WRITE][4] = 9400;
	w.hist[HCV_LAT_WRITE][20] = 600;
	w.ios[HCV_LAT_WRITE] = 10000;
	hcv_lat_note(&w, &note);
	KUNIT_EXPECT_EQ(test, note.sure[HCV_LAT_WRITE], 20);
	w.hist[HCV_LAT_WRITE][4] = 9490;
	w.hist[HCV_LAT_WRITE][20] = 510;
	hcv_lat_note(&w, &note);
	KUNIT_EXPECT_EQ(test, note.p95[HCV_LAT_WRITE], 20);
	KUNIT_EXPECT_EQ(test, note.sure[HCV_LAT_WRITE], 4);
}

static void latency_note_load(struct kunit *test)
{
	static const struct { int64_t ms; uint64_t bytes; unsigned int load; }
	c[] = {
		{ 1000, 1023, 0 },
		{ 1000, 1024, 1 },
		{ 1000, 2047, 1 },
		{ 1000, 2048, 2 },
		{ 10000, 10240, 1 },
		{ 10000, 10ULL << 30, 21 },
		{ 1, UINT64_MAX, 64 },
		{ 0, 4096, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct hcv_lat_window w = { .ms = c[i].ms, .bytes = c[i].bytes };
		struct hcv_lat_note note;

		hcv_lat_note(&w, &note);
		KUNIT_EXPECT_EQ_MSG(test, note.load, c[i].load, "(case %zu)", i);
	}
}

/* ----------------------------------------------------------------- outliers */

/*
 * A store is "READ/WRITE/FLUSH@LOAD": the buckets of its percentiles, "-" for
 * none; the first one is judged.
 */
struct judge_case {
	const char *name;
	enum hcv_lat_class class;
	const char *stores;
	enum hcv_lat_mark want;
	int op;			/* that is slow */
};

static const struct judge_case judge_cases[] = {
	{ "alike", HCV_LAT_SSD, "13/-/-@8 13/-/-@8 13/-/-@8", HCV_LAT_FINE, 0 },
	{ "three buckets above", HCV_LAT_SSD, "15/-/-@8 12/-/-@8 12/-/-@8",
	  HCV_LAT_SLOW, HCV_LAT_READ },
	{ "two buckets above: may be 2 times slower", HCV_LAT_SSD,
	  "15/-/-@8 13/-/-@8 13/-/-@8", HCV_LAT_FINE, 0 },
	{ "writes", HCV_LAT_SSD, "8/16/-@8 8/9/-@8 8/9/-@8", HCV_LAT_SLOW,
	  HCV_LAT_WRITE },
	{ "flushes", HCV_LAT_SSD, "8/9/18@8 8/9/9@8 8/9/9@8", HCV_LAT_SLOW,
	  HCV_LAT_FLUSH },
	{ "below the floor of SSDs", HCV_LAT_SSD,
	  "11/-/-@8 2/-/-@8 2/-/-@8", HCV_LAT_FINE, 0 },
	{ "at the floor of SSDs", HCV_LAT_SSD,
	  "12/-/-@8 2/-/-@8 2/-/-@8", HCV_LAT_SLOW, HCV_LAT_READ },
	{ "below the floor of their flushes", HCV_LAT_SSD,
	  "-/-/14@8 -/-/2@8 -/-/2@8", HCV_LAT_FINE, 0 },
	{ "below the floor of hard disks", HCV_LAT_HDD,
	  "15/-/-@8 2/-/-@8 2/-/-@8", HCV_LAT_FINE, 0 },
	{ "at the floor of hard disks", HCV_LAT_HDD,
	  "16/-/-@8 2/-/-@8 2/-/-@8", HCV_LAT_SLOW, HCV_LAT_READ },
	{ "below the floor of remote stores", HCV_LAT_REMOTE,
	  "12/-/-@8 2/-/-@8 2/-/-@8", HCV_LAT_FINE, 0 },
	{ "one peer is not enough", HCV_LAT_SSD, "20/-/-@8 9/-/-@8",
	  HCV_LAT_NONE, 0 },
	{ "one peer with I/O is not enough", HCV_LAT_SSD,
	  "20/-/-@8 9/-/-@8 -/-/-@0", HCV_LAT_NONE, 0 },
	{ "peers with other I/O are not enough", HCV_LAT_SSD,
	  "20/-/-@8 -/9/-@8 -/9/-@8", HCV_LAT_NONE, 0 },
	{ "below the floor nobody needs peers", HCV_LAT_SSD, "9/-/-@8",
	  HCV_LAT_FINE, 0 },
	{ "too few I/Os", HCV_LAT_SSD, "-/-/-@8 9/-/-@8 9/-/-@8",
	  HCV_LAT_NONE, 0 },
	{ "of two peers the slower one counts", HCV_LAT_SSD,
	  "20/-/-@8 9/-/-@8 18/-/-@8", HCV_LAT_FINE, 0 },
	{ "of three the middle one", HCV_LAT_SSD,
	  "20/-/-@8 9/-/-@8 9/-/-@8 20/-/-@8", HCV_LAT_SLOW, HCV_LAT_READ },
	{ "all are slow", HCV_LAT_SSD, "20/-/-@8 20/-/-@8 20/-/-@8 19/-/-@8",
	  HCV_LAT_FINE, 0 },
	{ "half are slow", HCV_LAT_SSD, "20/-/-@8 20/-/-@8 9/-/-@8",
	  HCV_LAT_FINE, 0 },
	{ "busy", HCV_LAT_SSD, "20/-/-@13 9/-/-@8 9/-/-@8", HCV_LAT_NONE, 0 },
	{ "sixteen times the load is not yet busy", HCV_LAT_SSD,
	  "20/-/-@12 9/-/-@8 9/-/-@8", HCV_LAT_SLOW, HCV_LAT_READ },
	{ "busy, and fast", HCV_LAT_SSD, "9/-/-@20 9/-/-@8 9/-/-@8",
	  HCV_LAT_FINE, 0 },
	{ "peers beyond all buckets", HCV_LAT_SSD,
	  "27/-/-@8 27/-/-@8 27/-/-@8", HCV_LAT_FINE, 0 },
	{ "beyond all buckets", HCV_LAT_HDD, "27/-/-@8 24/-/-@8 24/-/-@8",
	  HCV_LAT_SLOW, HCV_LAT_READ },
	{ "a fine operation does not hide a slow one", HCV_LAT_SSD,
	  "9/20/9@8 9/9/9@8 9/9/9@8", HCV_LAT_SLOW, HCV_LAT_WRITE },
};

static void judge_case_desc(const struct judge_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", c->name);
}

KUNIT_ARRAY_PARAM(judge, judge_cases, judge_case_desc);

static size_t judge_parse(const char *text, struct hcv_lat_note *note)
{
	char *copy = strdup(text), *word, *save, *part, *inner;
	size_t nr = 0;
	int op;

	for (word = strtok_r(copy, " ", &save); word;
	     word = strtok_r(NULL, " ", &save), nr++) {
		hcv_lat_note_none(&note[nr]);
		note[nr].load = (uint8_t)atoi(strchr(word, '@') + 1);
		part = strtok_r(word, "/@", &inner);
		for (op = 0; op < HCV_LAT_OPS; op++) {
			if (*part != '-')
				note[nr].p95[op] = (int8_t)atoi(part);
			note[nr].sure[op] = note[nr].p95[op];
			part = strtok_r(NULL, "/@", &inner);
		}
	}
	free(copy);
	return nr;
}

static void latency_judge(struct kunit *test)
{
	const struct judge_case *c = test->param_value;
	struct hcv_lat_note note[8];
	struct hcv_lat_why why;
	size_t nr = judge_parse(c->stores, note);
	enum hcv_lat_mark mark;

	mark = hcv_lat_judge(c->class, &note[0], note + 1, nr - 1, &why);
	KUNIT_ASSERT_EQ(test, mark, c->want);
	KUNIT_EXPECT_EQ(test, hcv_lat_judge(c->class, &note[0], note + 1,
					    nr - 1, NULL), c->want);
	if (mark != HCV_LAT_SLOW)
		return;
	KUNIT_EXPECT_EQ(test, (int)why.op, c->op);
	KUNIT_EXPECT_GE(test, why.peers, 2);
	KUNIT_EXPECT_GE(test, why.own.lo, HCV_LAT_FACTOR * why.median.hi);
}

/* What the header promises: never below 4 times, always from 8 times on. */
static void latency_judge_promise(struct kunit *test)
{
	struct hcv_lat_note own, peer[3];
	uint64_t base, us;
	unsigned int i;

	for (base = 4096; base < 1 << 20; base = base * 9 / 8 + 1) {
		for (us = base; us < 16 * base; us += base / 8) {
			enum hcv_lat_mark mark;

			hcv_lat_note_none(&own);
			own.sure[0] = (int8_t)lat_bucket_of(us);
			for (i = 0; i < 3; i++) {
				hcv_lat_note_none(&peer[i]);
				peer[i].p95[0] = (int8_t)lat_bucket_of(base);
			}
			mark = hcv_lat_judge(HCV_LAT_SSD, &own, peer, 3, NULL);
			if (us <= HCV_LAT_FACTOR * base)
				KUNIT_ASSERT_EQ(test, mark, HCV_LAT_FINE);
			if (us >= 2 * HCV_LAT_FACTOR * base)
				KUNIT_ASSERT_EQ(test, mark, HCV_LAT_SLOW);
		}
	}
}

static void latency_judge_many(struct kunit *test)
{
	struct hcv_lat_note own, *peer;
	size_t i;

	peer = kunit_kcalloc(test, 5000, sizeof(*peer), 0);
	judge_parse("20/-/-@8", &own);
	for (i = 0; i < 5000; i++)
		judge_parse("9/-/-@8", &peer[i]);
	KUNIT_EXPECT_EQ(test, hcv_lat_judge(HCV_LAT_SSD, &own, peer, 5000,
					    NULL), HCV_LAT_SLOW);
}

/* ------------------------------------------------------------------ history */

struct history_case {
	const char *marks;	/* s: slow, f: fine, -: none; oldest first */
	bool slow;
	uint32_t fine;
};

static const struct history_case history_cases[] = {
	{ "", false, 0 },
	{ "ssss", false, 0 },
	{ "sssss", true, 0 },
	{ "sfssss", true, 0 },
	{ "sssfss", true, 0 },
	{ "sffssss", false, 0 },
	{ "s-ssss", true, 0 },
	{ "s--ssss", false, 0 },
	{ "sssssf", true, 1 },
	{ "sssssff", false, 2 },
	{ "sssss--", false, 0 },
	{ "ff-f", false, 3 },
	{ "ffsf", false, 1 },
};

static void history_case_desc(const struct history_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "\"%s\"", c->marks);
}

KUNIT_ARRAY_PARAM(history, history_cases, history_case_desc);

static void latency_history(struct kunit *test)
{
	const struct history_case *c = test->param_value;
	struct hcv_lat_history h = { 0 };
	const char *m;

	for (m = c->marks; *m; m++)
		hcv_lat_history_add(&h, *m == 's' ? HCV_LAT_SLOW :
				    *m == 'f' ? HCV_LAT_FINE : HCV_LAT_NONE);
	KUNIT_EXPECT_EQ(test, hcv_lat_history_slow(&h), c->slow);
	KUNIT_EXPECT_EQ(test, h.fine, c->fine);
}

static void latency_names(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, hcv_lat_class("ssd"), HCV_LAT_SSD);
	KUNIT_EXPECT_EQ(test, hcv_lat_class("hdd"), HCV_LAT_HDD);
	KUNIT_EXPECT_STREQ(test, hcv_lat_op_name(HCV_LAT_WRITE), "writes");
	KUNIT_EXPECT_STREQ(test, hcv_lat_op_name(HCV_LAT_OPS), "I/Os");
}

static struct kunit_case latency_cases[] = {
	KUNIT_CASE_PARAM(latency_window, window_gen_params),
	KUNIT_CASE(latency_window_full),
	KUNIT_CASE(latency_bucket),
	KUNIT_CASE(latency_percentile_random),
	KUNIT_CASE(latency_percentile_edges),
	KUNIT_CASE(latency_note),
	KUNIT_CASE(latency_note_load),
	KUNIT_CASE_PARAM(latency_judge, judge_gen_params),
	KUNIT_CASE(latency_judge_promise),
	KUNIT_CASE(latency_judge_many),
	KUNIT_CASE_PARAM(latency_history, history_gen_params),
	KUNIT_CASE(latency_names),
	{}
};

static struct kunit_suite latency_suite = {
	.name = "hcv_latency",
	.test_cases = latency_cases,
};

kunit_test_suite(latency_suite);
