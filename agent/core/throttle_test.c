// SPDX-License-Identifier: GPL-2.0-only
/*
 * The throttle's rules one by one: tables for AUTO, p99 of histograms, LATENCY,
 * the division among volumes, hardware.  How they go together over time is in
 * throttle_sim_test.c.
 */
#include <kunit/test.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "throttle.h"
#include "throttle_hw.h"

#define MIB 1024U	/* KiB/s */

static const struct hcv_thr_conf sata = {
	.iops = 1500, .fg_kibps = 150 * MIB, .min_kibps = 100 * MIB,
	.max_kibps = 500 * MIB, .static_kibps = 7 * MIB, .factor_pct = 200,
	.floor_kibps = 10 * MIB,
};

/* ----------------------------------------------------------------------- AUTO */

/* A node whose rates are given, looked at every @look_ms. */
struct thr_node {
	struct hcv_thr t;
	struct hcv_thr_sample s;
	struct hcv_thr_conf c;
	uint32_t iops, fg_kibps, rec_kibps;
	int64_t look_ms;
};

static void node_begin(struct thr_node *n, int64_t look_ms)
{
	memset(n, 0, sizeof(*n));
	n->c = sata;
	n->look_ms = look_ms;
	n->s.now_ms = 1000000;
	n->s.streams = 1;
	hcv_thr_look(&n->t, &n->c, &n->s);
}

static void node_pass(struct thr_node *n, int64_t ms)
{
	n->s.now_ms += ms;
	n->s.ios += n->iops * (uint64_t)ms / 1000;
	n->s.bytes += ((uint64_t)n->fg_kibps << 10) * (uint64_t)ms / 1000;
	n->s.copied += ((uint64_t)n->rec_kibps << 10) * (uint64_t)ms / 1000;
}

static void node_run(struct thr_node *n, int64_t ms)
{
	int64_t end = n->s.now_ms + ms;

	while (n->s.now_ms < end) {
		node_pass(n, n->look_ms);
		hcv_thr_look(&n->t, &n->c, &n->s);
	}
}

/* One period at these rates, from this limit: the rules as they are written. */
static const struct auto_case {
	const char *name;
	uint32_t limit, iops, fg, rec, want;
	enum hcv_thr_why why;
} auto_cases[] = {
	{ "idle, used: grows by half", 100 * MIB, 0, 0, 100 * MIB, 150 * MIB,
	  HCV_THR_GROWING },
	{ "just above 80 %", 100 * MIB, 0, 0, 80 * MIB + 8, 150 * MIB,
	  HCV_THR_GROWING },
	{ "just 80 %: not above", 100 * MIB, 0, 0, 80 * MIB, 100 * MIB,
	  HCV_THR_UNUSED },
	{ "grows to the highest, not beyond", 400 * MIB, 0, 0, 400 * MIB,
	  500 * MIB, HCV_THR_HIGHEST },
	{ "highest stays", 500 * MIB, 0, 0, 500 * MIB, 500 * MIB,
	  HCV_THR_HIGHEST },
	{ "highest, unused, stays", 500 * MIB, 0, 0, 1 * MIB, 500 * MIB,
	  HCV_THR_HIGHEST },
	{ "IOPS below", 100 * MIB, 1499, 0, 100 * MIB, 150 * MIB,
	  HCV_THR_GROWING },
	{ "IOPS at the threshold", 500 * MIB, 1500, 0, 500 * MIB, 100 * MIB,
	  HCV_THR_LOAD_IOPS },
	{ "bandwidth below", 100 * MIB, 0, 150 * MIB - 4, 100 * MIB, 150 * MIB,
	  HCV_THR_GROWING },
	{ "bandwidth at the threshold", 500 * MIB, 10, 150 * MIB, 500 * MIB,
	  100 * MIB, HCV_THR_LOAD_BYTES },
	{ "both above", 337 * MIB, 9000, 900 * MIB, 300 * MIB, 100 * MIB,
	  HCV_THR_LOAD_IOPS },
	{ "at the lowest already", 100 * MIB, 9000, 0, 100 * MIB, 100 * MIB,
	  HCV_THR_LOAD_IOPS },
};

static void auto_to_desc(const struct auto_case *c, char *desc)
{
	strcpy(desc, c->name);
}

KUNIT_ARRAY_PARAM(auto, auto_cases, auto_to_desc);

static void throttle_auto(struct kunit *test)
{
	const struct auto_case *c = test->param_value;
	int64_t look;

	/* Looked at once a period, as the rule is told, and once a second. */
	for (look = HCV_THR_PERIOD_MS; look; look = look > 1000 ? 1000 : 0) {
		struct thr_node n;

		node_begin(&n, look);
		node_run(&n, HCV_THR_PERIOD_MS);
		n.t.limit_kibps = c->limit;
		n.iops = c->iops;
		n.fg_kibps = c->fg;
		n.rec_kibps = c->rec;
		node_run(&n, HCV_THR_PERIOD_MS);
		KUNIT_EXPECT_EQ(test, n.t.limit_kibps, c->want);
		KUNIT_EXPECT_EQ(test, n.t.why, c->why);
	}
}

/* What recovery did under the limit before says nothing about this one. */
static void throttle_grows_once_a_period(struct kunit *test)
{
	struct thr_node n;
	uint32_t before;
	int i;

	node_begin(&n, 1000);
	n.rec_kibps = 100 * MIB;
	node_run(&n, 4000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 150 * MIB);
	n.rec_kibps = 150 * MIB;
	for (i = 0; i < 3; i++) {
		node_run(&n, 1000);
		KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 150 * MIB);
	}
	node_run(&n, 1000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 225 * MIB);
	/* As fast as under the limit before, so below 80 % of this one. */
	before = n.t.limit_kibps;
	node_run(&n, 40000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, before);
	KUNIT_EXPECT_EQ(test, n.t.why, HCV_THR_UNUSED);
	n.s.streams = 0;
	node_run(&n, 1000);
	KUNIT_EXPECT_EQ(test, n.t.why, HCV_THR_IDLE);
}

static void throttle_small_limits_grow(struct kunit *test)
{
	struct thr_node n;

	node_begin(&n, 1000);
	n.c.min_kibps = 1;
	n.t.limit_kibps = 1;
	n.c.max_kibps = 4;
	n.rec_kibps = 4;
	node_run(&n, 4000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 2);
	node_run(&n, 8000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 4);
}

/* Nobody knows the load: the lowest limit, whatever it was. */
static void throttle_unmeasured(struct kunit *test)
{
	struct thr_node n;

	node_begin(&n, 1000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 100 * MIB);
	KUNIT_EXPECT_EQ(test, n.t.why, HCV_THR_UNMEASURED);
	n.rec_kibps = 500 * MIB;
	node_run(&n, 20000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 500 * MIB);
	/* a hiccup is none */
	node_pass(&n, 8000);
	hcv_thr_look(&n.t, &n.c, &n.s);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 500 * MIB);
	node_pass(&n, 8001);
	hcv_thr_look(&n.t, &n.c, &n.s);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 100 * MIB);
	KUNIT_EXPECT_EQ(test, n.t.why, HCV_THR_UNMEASURED);
}

/* Looks that come more often than once a second, as kicks do. */
static void throttle_many_looks(struct kunit *test)
{
	struct thr_node n;

	node_begin(&n, 100);
	n.rec_kibps = 500 * MIB;
	node_run(&n, 20000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 500 * MIB);
	n.iops = 1500;
	node_run(&n, 4500);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 100 * MIB);
}

static void throttle_settings_change(struct kunit *test)
{
	struct thr_node n;
	char why[HCV_THR_WHY];

	node_begin(&n, 1000);
	n.rec_kibps = 500 * MIB;
	node_run(&n, 20000);
	n.c.max_kibps = 300 * MIB;
	node_run(&n, 1000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 300 * MIB);
	n.c.mode = HCV_THR_STATIC;
	node_run(&n, 1000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 7 * MIB);
	hcv_thr_reason(&n.t, &n.c, why);
	KUNIT_EXPECT_STREQ(test, why, "mode static: one limit");
	n.iops = 9000;
	node_run(&n, 9000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 7 * MIB);
	n.c.mode = HCV_THR_AUTO;
	node_run(&n, 1000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 100 * MIB);
	n.c.mode = HCV_THR_LATENCY;
	node_run(&n, 1000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 10 * MIB);
	n.c.floor_kibps = 30 * MIB;
	node_run(&n, 1000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 30 * MIB);
	n.c.paused = true;
	hcv_thr_reason(&n.t, &n.c, why);
	KUNIT_EXPECT_STREQ(test, why, "recovery is paused");
}

static void throttle_reasons(struct kunit *test)
{
	struct thr_node n;
	char why[HCV_THR_WHY];
	int w;

	node_begin(&n, 1000);
	n.iops = 2130;
	node_run(&n, 4000);
	hcv_thr_reason(&n.t, &n.c, why);
	KUNIT_EXPECT_STREQ(test, why, "foreground load of 2130 IOPS, the threshold is 1500: lowest limit");
	n.iops = 1;
	n.fg_kibps = 2125 * MIB / 10;
	node_run(&n, 4000);
	hcv_thr_reason(&n.t, &n.c, why);
	KUNIT_EXPECT_STREQ(test, why, "foreground load of 212.5 MiB/s, the threshold is 150 MiB/s: lowest limit");
	strcpy(n.t.worst, "db1");
	n.t.worst_pct = 312;
	n.t.why = HCV_THR_SLOWED;
	hcv_thr_reason(&n.t, &n.c, why);
	KUNIT_EXPECT_STREQ(test, why, "the p99 of volume db1 is 3.12 x what it is without recovery, allowed are 2.00: halved");
	/* Each of them has words of its own. */
	for (w = 0; w < HCV_THR_WHYS; w++) {
		n.t.why = w;
		hcv_thr_reason(&n.t, &n.c, why);
		KUNIT_EXPECT_EQ(test, w == HCV_THR_UNMEASURED,
				!!strstr(why, "not been measured"));
		KUNIT_EXPECT_LT(test, strlen(why), HCV_THR_WHY - 1);
	}
}

/* The guests of another node are load as well, for as long as it says so. */
static void throttle_other_node(struct kunit *test)
{
	struct thr_node n;
	char why[HCV_THR_WHY];

	node_begin(&n, 1000);
	n.rec_kibps = 500 * MIB;
	node_run(&n, 20000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 500 * MIB);
	n.s.loaded = "n2";
	node_run(&n, 1000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 100 * MIB);
	KUNIT_EXPECT_EQ(test, n.t.why, HCV_THR_LOAD_OTHER);
	hcv_thr_reason(&n.t, &n.c, why);
	KUNIT_EXPECT_STREQ(test, why, "node n2, which gets the copies, is loaded by its guests: lowest limit");
	node_run(&n, 20000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 100 * MIB);
	/* step by step again */
	n.s.loaded = NULL;
	node_run(&n, 1000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 150 * MIB);
	node_run(&n, 4000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 225 * MIB);
	/* mode latency: down to the floor, halved at each look */
	n.c.mode = HCV_THR_LATENCY;
	node_run(&n, 80000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 500 * MIB);
	n.s.loaded = "n2";
	node_run(&n, 1000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 250 * MIB);
	KUNIT_EXPECT_EQ(test, n.t.why, HCV_THR_LOAD_OTHER);
	node_run(&n, 8000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 10 * MIB);
}

/* What this node tells the others: at once, and for two periods after it. */
static void throttle_says_loaded(struct kunit *test)
{
	enum hcv_thr_mode mode;
	struct thr_node n;

	memset(&n, 0, sizeof(n));
	KUNIT_EXPECT_FALSE(test, hcv_thr_loaded(&n.t, 100));
	for (mode = HCV_THR_AUTO; mode <= HCV_THR_LATENCY; mode++) {
		node_begin(&n, 1000);
		n.c.mode = mode;
		node_run(&n, 8000);
		KUNIT_EXPECT_FALSE(test, hcv_thr_loaded(&n.t, n.s.now_ms));
		n.iops = 3000;
		node_run(&n, 1000);
		KUNIT_EXPECT_FALSE(test, hcv_thr_loaded(&n.t, n.s.now_ms));
		node_run(&n, 1000);
		KUNIT_EXPECT_TRUE(test, hcv_thr_loaded(&n.t, n.s.now_ms));
		n.iops = 0;
		node_run(&n, 9000);
		KUNIT_EXPECT_TRUE(test, hcv_thr_loaded(&n.t, n.s.now_ms));
		node_run(&n, 1000);
		KUNIT_EXPECT_FALSE(test, hcv_thr_loaded(&n.t, n.s.now_ms));
	}
}

static void throttle_counts(struct kunit *test)
{
	uint64_t last = 0;

	KUNIT_EXPECT_EQ(test, hcv_thr_count(&last, 7), 7);
	KUNIT_EXPECT_EQ(test, hcv_thr_count(&last, 7), 0);
	KUNIT_EXPECT_EQ(test, hcv_thr_count(&last, 10), 3);
	/* a new volume of the same name, or a new module */
	KUNIT_EXPECT_EQ(test, hcv_thr_count(&last, 4), 4);
	KUNIT_EXPECT_EQ(test, last, 4);
}

/* ------------------------------------------------------------------------ p99 */

static const struct p99_case {
	const char *name;
	struct { unsigned int bucket; uint64_t nr; } in[4];
	uint32_t want;
} p99_cases[] = {
	{ "none", { { 0, 0 } }, 0 },
	{ "one, fast", { { 0, 1 } }, 1 },
	{ "one", { { 5, 1 } }, 32 + 27 },
	{ "all in one", { { 9, 1000 } }, 512 + 341 },
	{ "all in one, many", { { 9, 1ULL << 40 } }, 512 + 341 },
	{ "one in a hundred is not seen", { { 5, 99 }, { 12, 1 } }, 64 },
	{ "two in a hundred are", { { 5, 98 }, { 12, 2 } }, 4096 + 944 },
	{ "the same of more", { { 5, 980 }, { 12, 20 } }, 4096 + 944 },
	{ "the tail goes on", { { 5, 980 }, { 12, 15 }, { 13, 5 } }, 4096 + 2048 },
	{ "the last bucket", { { 27, 1000 } }, (1U << 27) + 89391104 },
	{ "few: the slowest", { { 3, 9 }, { 10, 1 } }, 1536 },
};

static void p99_to_desc(const struct p99_case *c, char *desc)
{
	strcpy(desc, c->name);
}

KUNIT_ARRAY_PARAM(p99, p99_cases, p99_to_desc);

static void throttle_p99(struct kunit *test)
{
	const struct p99_case *c = test->param_value;
	uint64_t from[HCV_HIST_BUCKETS], to[HCV_HIST_BUCKETS], nr, total = 0;
	size_t i;

	/* Only what has come since counts. */
	for (i = 0; i < HCV_HIST_BUCKETS; i++)
		from[i] = 1000 * (i % 3);
	memcpy(to, from, sizeof(to));
	for (i = 0; i < 4; i++) {
		to[c->in[i].bucket] += c->in[i].nr;
		total += c->in[i].nr;
	}
	KUNIT_EXPECT_EQ(test, hcv_thr_p99(from, to, &nr), c->want);
	KUNIT_EXPECT_EQ(test, nr, total);
}

/* -------------------------------------------------------------------- LATENCY */

static void latency_ios(struct hcv_thr_vol *v, unsigned int bucket, uint64_t nr)
{
	v->hist[bucket] += nr;
}

/* Looks of a second in which each volume does @nr I/Os of its bucket. */
static void latency_run(struct thr_node *n, const unsigned int *bucket,
			uint64_t nr, int64_t ms)
{
	int64_t end = n->s.now_ms + ms;
	size_t i;

	while (n->s.now_ms < end) {
		for (i = 0; i < n->s.nr_vols; i++)
			latency_ios(&n->s.vol[i], bucket[i], nr);
		node_pass(n, 1000);
		hcv_thr_look(&n->t, &n->c, &n->s);
	}
}

static void latency_begin(struct thr_node *n, struct hcv_thr_vol *vol,
			  size_t nr_vols)
{
	size_t i;

	memset(n, 0, sizeof(*n));
	memset(vol, 0, nr_vols * sizeof(*vol));
	for (i = 0; i < nr_vols; i++)
		snprintf(vol[i].name, sizeof(vol[i].name), "v%zu", i);
	n->c = sata;
	n->c.mode = HCV_THR_LATENCY;
	n->look_ms = 1000;
	n->s.now_ms = 5;
	n->s.vol = vol;
	n->s.nr_vols = nr_vols;
	hcv_thr_look(&n->t, &n->c, &n->s);
}

static void throttle_latency_rules(struct kunit *test)
{
	struct hcv_thr_vol vol[2];
	unsigned int bucket[2] = { 8, 4 };
	struct thr_node n;
	uint32_t step = (500 - 10) * MIB / 16, base, limit;
	char why[HCV_THR_WHY];

	latency_begin(&n, vol, 2);
	/* Without recovery: the base is learnt, the limit is the floor. */
	latency_run(&n, bucket, 500, 40000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 10 * MIB);
	KUNIT_EXPECT_EQ(test, n.t.why, HCV_THR_IDLE);
	base = vol[0].base_us;
	KUNIT_EXPECT_EQ(test, base, 256 + 170);
	/* Recovery that harms nobody grows by a sixteenth of the range. */
	n.s.streams = 1;
	n.rec_kibps = 500 * MIB;
	latency_run(&n, bucket, 500, 4000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 10 * MIB + step);
	latency_run(&n, bucket, 500, 80000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 500 * MIB);
	KUNIT_EXPECT_EQ(test, n.t.why, HCV_THR_HIGHEST);
	/* Between the marks (1.5 and 2): it stays.  2 x: no more than allowed */
	n.s.now_ms -= 1;
	bucket[0] = 9;
	latency_run(&n, bucket, 500, 8000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 500 * MIB);
	KUNIT_EXPECT_EQ(test, n.t.why, HCV_THR_BETWEEN);
	/* Above: halved by each second with enough I/Os, never below the floor. */
	bucket[0] = 10;
	limit = 500 * MIB;
	while (limit > 10 * MIB) {
		latency_run(&n, bucket, 500, 1000);
		limit = limit / 2 > 10 * MIB ? limit / 2 : 10 * MIB;
		KUNIT_EXPECT_EQ(test, n.t.limit_kibps, limit);
		KUNIT_EXPECT_EQ(test, n.t.why, HCV_THR_SLOWED);
	}
	hcv_thr_reason(&n.t, &n.c, why);
	KUNIT_EXPECT_TRUE(test, strstr(why, "volume v0 is 4.0"));
	KUNIT_EXPECT_EQ(test, vol[0].base_us, base);
	latency_run(&n, bucket, 500, 1000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 10 * MIB);
	KUNIT_EXPECT_EQ(test, n.t.why, HCV_THR_AT_FLOOR);
	/* The other volume is looked at as well. */
	bucket[0] = 8;
	latency_run(&n, bucket, 500, 12000);
	limit = n.t.limit_kibps;
	KUNIT_EXPECT_GT(test, limit, 10 * MIB + step);
	bucket[1] = 7;
	latency_run(&n, bucket, 500, 2000);
	KUNIT_EXPECT_LT(test, n.t.limit_kibps, limit);
	KUNIT_EXPECT_STREQ(test, n.t.worst, "v1");
}

/* Few I/Os are judged at the end of a period, very few not at all. */
static void throttle_latency_few(struct kunit *test)
{
	struct hcv_thr_vol vol[1];
	unsigned int fast = 8, slow = 12;
	struct thr_node n;

	latency_begin(&n, vol, 1);
	latency_run(&n, &fast, 5, 40000);
	KUNIT_EXPECT_GT(test, vol[0].base_us, 0);
	n.s.streams = 1;
	n.rec_kibps = 500 * MIB;
	latency_run(&n, &fast, 5, 80000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 500 * MIB);
	latency_run(&n, &slow, 5, 3000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 500 * MIB);
	latency_run(&n, &slow, 5, 1000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 250 * MIB);
	latency_run(&n, &slow, 4, 40000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 500 * MIB);
}

/* A guest that is slow of its own accord does not hold recovery up for ever. */
static void throttle_latency_follows(struct kunit *test)
{
	struct hcv_thr_vol vol[1];
	unsigned int bucket = 8;
	struct thr_node n;

	latency_begin(&n, vol, 1);
	latency_run(&n, &bucket, 500, 40000);
	n.s.streams = 1;
	n.rec_kibps = 500 * MIB;
	latency_run(&n, &bucket, 500, 80000);
	bucket = 12;
	latency_run(&n, &bucket, 30, 30000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 10 * MIB);
	latency_run(&n, &bucket, 30, 600000);
	KUNIT_EXPECT_GT(test, n.t.limit_kibps, 10 * MIB);
	/* and when it is fast again, with recovery at work, the base stays */
	bucket = 8;
	latency_run(&n, &bucket, 500, 80000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 500 * MIB);
	KUNIT_EXPECT_GT(test, vol[0].base_us, 1000);
	/* The next recovery begins at the floor again. */
	n.s.streams = 0;
	latency_run(&n, &bucket, 500, 1000);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 10 * MIB);
	KUNIT_EXPECT_EQ(test, n.t.why, HCV_THR_IDLE);
	n.s.streams = 1;
	/* nothing is copied while it is paused: that teaches it */
	n.rec_kibps = 0;
	latency_run(&n, &bucket, 500, 200000);
	KUNIT_EXPECT_LT(test, vol[0].base_us, 600);
}

/* Attached just now, without a base: the floor gives one. */
static void throttle_latency_no_base(struct kunit *test)
{
	struct hcv_thr_vol vol[1];
	unsigned int bucket = 8;
	struct thr_node n;

	latency_begin(&n, vol, 1);
	n.s.streams = 1;
	n.rec_kibps = 10 * MIB;
	latency_run(&n, &bucket, 500, 3000);
	KUNIT_EXPECT_EQ(test, vol[0].base_us, 0);
	KUNIT_EXPECT_EQ(test, n.t.limit_kibps, 10 * MIB);
	latency_run(&n, &bucket, 500, 1000);
	KUNIT_EXPECT_EQ(test, vol[0].base_us, 256 + 170);
}

/* ------------------------------------------------------------------- division */

static const struct share_case {
	const char *name;
	uint32_t limit;
	struct hcv_thr_share in[4];
	uint32_t want[4];
} share_cases[] = {
	{ "one", 1000, { { 1 } }, { 1000 } },
	{ "equal", 1000, { { 1 }, { 1 } }, { 500, 500 } },
	{ "each resync of a volume", 1000, { { 2 }, { 1 } }, { 250, 500 } },
	{ "own limit", 1000, { { 1, 100 }, { 1 } }, { 100, 900 } },
	{ "own limit of each resync", 1000, { { 2, 100 }, { 1 } },
	  { 100, 800 } },
	{ "own limit above the part", 1000, { { 1, 700 }, { 1 } },
	  { 500, 500 } },
	{ "both limited", 1000, { { 1, 100 }, { 1, 200 } }, { 100, 200 } },
	{ "does not get on: half as much again", 1000,
	  { { 1, 0, 500, 200 }, { 1, 0, 500, 500 } }, { 300, 700 } },
	{ "just above 80 %: it may use more", 1000,
	  { { 1, 0, 500, 401 }, { 1, 0, 500, 500 } }, { 500, 500 } },
	{ "at 80 %: it does not", 1000,
	  { { 1, 0, 300, 240 }, { 1, 0, 500, 500 } }, { 360, 640 } },
	{ "stands still: a quarter", 1000,
	  { { 1, 0, 500, 0 }, { 1, 0, 500, 500 } }, { 125, 875 } },
	{ "new: an equal part", 1000,
	  { { 1, 0, 0, 0 }, { 1, 0, 1000, 1000 } }, { 500, 500 } },
	{ "what one leaves is for all others", 1200,
	  { { 1, 30 }, { 1 }, { 1, 300 }, { 1 } }, { 30, 435, 300, 435 } },
	{ "more resyncs than KiB/s", 2, { { 1 }, { 1 }, { 1 }, { 1 } },
	  { 1, 1, 1, 1 } },
	{ "alone, does not get on: nobody wants the rest", 1000,
	  { { 1, 0, 1000, 200 } }, { 1000 } },
	{ "all content: what is left for all that may", 1000,
	  { { 1, 50, 50, 50 }, { 1, 0, 500, 100 }, { 1, 0, 500, 200 } },
	  { 50, 400, 550 } },
	{ "the rest within its own limit", 1000,
	  { { 2, 400, 400, 100 }, { 1, 0, 500, 100 } }, { 250, 500 } },
	{ "nothing is lost by many streams", 10, { { 3 } }, { 3 } },
};

static void share_to_desc(const struct share_case *c, char *desc)
{
	strcpy(desc, c->name);
}

KUNIT_ARRAY_PARAM(share, share_cases, share_to_desc);

static void throttle_divides(struct kunit *test)
{
	const struct share_case *c = test->param_value;
	struct hcv_thr_share s[4];
	size_t i, nr = 0;

	memcpy(s, c->in, sizeof(s));
	while (nr < 4 && s[nr].streams)
		nr++;
	hcv_thr_divide(c->limit, s, nr);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ_MSG(test, s[i].kibps, c->want[i], "volume %zu",
				    i);
}

static uint32_t share_random(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33) % n;
}

/* Fair, sum <= limit, nobody starved; looked at as it goes on. */
static void throttle_divides_any(struct kunit *test)
{
	struct hcv_thr_share s[16];
	uint32_t speed[16], limit;
	uint64_t seed = 4711, sum, equal, all;
	unsigned int round, turn, same;
	size_t i, nr;

	for (round = 0; round < 20000; round++) {
		nr = 1 + share_random(&seed, 16);
		limit = 10000 + share_random(&seed, 1600000);
		memset(s, 0, sizeof(s));
		for (i = 0; i < nr; i++) {
			s[i].streams = 1 + share_random(&seed, 3);
			if (!share_random(&seed, 4))
				s[i].cap_kibps = 1 + share_random(&seed, 9999);
			speed[i] = share_random(&seed, 2) ? limit * 2 :
				   share_random(&seed, limit);
		}
		equal = limit / nr;
		same = 0;
		for (turn = 0; turn < 8; turn++) {
			struct hcv_thr_share old[16];

			memcpy(old, s, sizeof(s));
			hcv_thr_divide(limit, s, nr);
			sum = 0;
			for (i = 0; i < nr; i++) {
				all = (uint64_t)s[i].kibps * s[i].streams;
				sum += all;
				KUNIT_ASSERT_GE(test, s[i].kibps, 1);
				if (s[i].cap_kibps)
					KUNIT_ASSERT_LE(test, s[i].kibps,
							s[i].cap_kibps);
				/* a quarter of an equal part, if it may */
				if (s[i].kibps != s[i].cap_kibps)
					KUNIT_ASSERT_GE(test,
							all + s[i].streams,
							equal / 4);
				same += turn == 7 &&
					s[i].kibps == old[i].kibps;
				s[i].had_kibps = s[i].kibps;
				s[i].used_kibps = all < speed[i] ? all :
						  speed[i];
			}
			KUNIT_ASSERT_LE(test, sum, limit);
		}
		/* It comes to rest, and who can use more has it. */
		KUNIT_ASSERT_EQ(test, same, nr);
		for (i = 0; i < nr; i++) {
			all = (uint64_t)s[i].kibps * s[i].streams;
			if (s[i].kibps != s[i].cap_kibps &&
			    s[i].used_kibps * 100 > all * HCV_THR_USED_PCT)
				KUNIT_ASSERT_GE(test, all + s[i].streams,
						equal);
		}
	}
}

static void throttle_start(struct kunit *test)
{
	struct thr_node n;

	node_begin(&n, 1000);
	KUNIT_EXPECT_EQ(test, hcv_thr_start(&n.t, &n.c), 25 * MIB);
	n.t.limit_kibps = 500 * MIB;
	KUNIT_EXPECT_EQ(test, hcv_thr_start(&n.t, &n.c), 25 * MIB);
	n.c.mode = HCV_THR_STATIC;
	KUNIT_EXPECT_EQ(test, hcv_thr_start(&n.t, &n.c), 7 * MIB / 4);
	n.c.static_kibps = 1;
	KUNIT_EXPECT_EQ(test, hcv_thr_start(&n.t, &n.c), 1);
}

/* ------------------------------------------------------------------- hardware */

static const struct hw_case {
	const char *name;
	struct hcv_hw hw;	/* rotating, SSD, NVMe */
	const char *row, *found;
} hw_cases[] = {
	{ "reference 1", { { 0, 2, 0 }, 10000 }, "sata-10g",
	  "2 SSD; link of 10000 Mbit/s" },
	{ "reference 2", { { 0, 0, 2 }, 10000 }, "nvme-10g",
	  "2 NVMe; link of 10000 Mbit/s" },
	{ "reference 3", { { 0, 0, 2 }, 25000 }, "nvme-25g",
	  "2 NVMe; link of 25000 Mbit/s" },
	{ "reference 4", { { 0, 0, 2 }, 25000, true }, "nvme-25g-rdma",
	  "2 NVMe; link of 25000 Mbit/s with RDMA" },
	{ "faster link", { { 0, 0, 8 }, 100000, true }, "nvme-25g-rdma", NULL },
	{ "bonded 10 GbE", { { 0, 0, 2 }, 20000 }, "nvme-10g", NULL },
	{ "RDMA over 10 GbE", { { 0, 0, 2 }, 10000, true }, "nvme-10g", NULL },
	{ "SATA and a fast link", { { 0, 2, 0 }, 25000, true }, "sata-10g",
	  NULL },
	{ "the slowest disk decides", { { 0, 1, 7 }, 25000 }, "sata-10g",
	  "1 SSD, 7 NVMe; link of 25000 Mbit/s" },
	{ "rotating", { { 1, 1, 7 }, 25000 }, "hdd-10g",
	  "1 rotating, 1 SSD, 7 NVMe; link of 25000 Mbit/s" },
	{ "slow link", { { 0, 0, 2 }, 1000 }, "ssd-1g", NULL },
	{ "2.5 GbE", { { 0, 2, 0 }, 2500 }, "ssd-1g", NULL },
	{ "slow link and rotating", { { 2, 0, 0 }, 1000 }, "hdd-1g", NULL },
	{ "link not known", { { 0, 0, 2 }, 0 }, "nvme-10g",
	  "2 NVMe; speed of the link not known, taken for 10 Gbit/s" },
	{ "RDMA, speed not known", { { 0, 0, 2 }, 0, true }, "nvme-10g", NULL },
	{ "one node", { { 0, 0, 2 }, 1000, false, true }, "nvme-10g",
	  "2 NVMe; no other node" },
	{ "no store", { { 0, 0, 0 }, 25000 }, "sata-10g",
	  "no store; link of 25000 Mbit/s" },
};

static void hw_to_desc(const struct hw_case *c, char *desc)
{
	strcpy(desc, c->name);
}

KUNIT_ARRAY_PARAM(hw, hw_cases, hw_to_desc);

static void throttle_hardware(struct kunit *test)
{
	const struct hw_case *c = test->param_value;
	char found[128];

	KUNIT_EXPECT_STREQ(test, hcv_hw_detect(&c->hw, found, 128)->name,
			   c->row);
	if (c->found)
		KUNIT_EXPECT_STREQ(test, found, c->found);
	/* cut off, not overrun */
	hcv_hw_detect(&c->hw, found, 5);
	KUNIT_EXPECT_LT(test, strlen(found), 5);
}

/* R-FAIL-5, word by word. */
static void throttle_reference_rows(struct kunit *test)
{
	static const struct {
		const char *name;
		uint32_t iops, fg, min, max, mig_min, mig_max;	/* MiB/s x 10 */
	} want[] = {
		{ "sata-10g", 1500, 1500, 1000, 5000, 500, 5000 },
		{ "nvme-10g", 5000, 5000, 1000, 5000, 500, 5000 },
		{ "nvme-25g", 5000, 5000, 2400, 12000, 1200, 12000 },
		{ "nvme-25g-rdma", 5000, 5000, 3125, 15625, 1563, 15625 },
	};
	const struct hcv_hw_row *rows;
	size_t i, k, nr, found = 0;

	rows = hcv_hw_rows(&nr);
	for (i = 0; i < nr; i++) {
		const struct hcv_hw_row *r = &rows[i];

		KUNIT_EXPECT_LE(test, r->min_kibps, r->max_kibps);
		KUNIT_EXPECT_LE(test, r->mig_min_kibps, r->mig_max_kibps);
		KUNIT_EXPECT_GE(test, r->min_kibps, HCV_THR_STATIC_MIN * 10);
		for (k = 0; k < sizeof(want) / sizeof(want[0]); k++) {
			if (strcmp(r->name, want[k].name))
				continue;
			found++;
			KUNIT_EXPECT_EQ(test, r->iops, want[k].iops);
			KUNIT_EXPECT_EQ(test, r->fg_kibps * 10,
					want[k].fg * MIB);
			KUNIT_EXPECT_EQ(test, r->min_kibps * 10,
					want[k].min * MIB);
			KUNIT_EXPECT_EQ(test, r->max_kibps * 10,
					want[k].max * MIB);
			/* 156.25 is rounded there */
			KUNIT_EXPECT_EQ(test,
					(r->mig_min_kibps * 10 + 512) / MIB,
					want[k].mig_min);
			KUNIT_EXPECT_EQ(test, r->mig_max_kibps * 10,
					want[k].mig_max * MIB);
		}
	}
	KUNIT_EXPECT_EQ(test, found, 4);
}

static void throttle_disks(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, hcv_hw_disk("nvme0n1", false), HCV_HW_NVME);
	KUNIT_EXPECT_EQ(test, hcv_hw_disk("sda", false), HCV_HW_SATA);
	KUNIT_EXPECT_EQ(test, hcv_hw_disk("vdb", false), HCV_HW_SATA);
	KUNIT_EXPECT_EQ(test, hcv_hw_disk("sda", true), HCV_HW_HDD);
	KUNIT_EXPECT_EQ(test, hcv_hw_disk("vdb", true), HCV_HW_SATA);
	KUNIT_EXPECT_EQ(test, hcv_hw_disk("xvdb", true), HCV_HW_SATA);
	KUNIT_EXPECT_EQ(test, hcv_hw_disk("nvme0n1", true), HCV_HW_HDD);
}

static struct kunit_case throttle_test_cases[] = {
	KUNIT_CASE_PARAM(throttle_auto, auto_gen_params),
	KUNIT_CASE(throttle_grows_once_a_period),
	KUNIT_CASE(throttle_small_limits_grow),
	KUNIT_CASE(throttle_unmeasured),
	KUNIT_CASE(throttle_many_looks),
	KUNIT_CASE(throttle_settings_change),
	KUNIT_CASE(throttle_reasons),
	KUNIT_CASE(throttle_other_node),
	KUNIT_CASE(throttle_says_loaded),
	KUNIT_CASE(throttle_counts),
	KUNIT_CASE_PARAM(throttle_p99, p99_gen_params),
	KUNIT_CASE(throttle_latency_rules),
	KUNIT_CASE(throttle_latency_few),
	KUNIT_CASE(throttle_latency_follows),
	KUNIT_CASE(throttle_latency_no_base),
	KUNIT_CASE_PARAM(throttle_divides, share_gen_params),
	KUNIT_CASE(throttle_divides_any),
	KUNIT_CASE(throttle_start),
	KUNIT_CASE_PARAM(throttle_hardware, hw_gen_params),
	KUNIT_CASE(throttle_reference_rows),
	KUNIT_CASE(throttle_disks),
	{}
};

static struct kunit_suite throttle_suite = {
	.name = "hcv_throttle",
	.test_cases = throttle_test_cases,
};

kunit_test_suite(throttle_suite);
