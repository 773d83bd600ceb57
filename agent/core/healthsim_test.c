// SPDX-License-Identifier: GPL-2.0-only
/*
 * Traces of clusters through the whole of latency.c and health.c.
 *
 * Each store has counters as the module has them.  Windows of all stores end at
 * different times, so that a store compares its newest window with notes of its
 * peers that are up to a window old, as agents do.  One admission is shared by
 * all: its time and number are what the metadata store would arbitrate.
 *
 * Noise of a healthy store: latencies are lognormal around a value of the store's
 * own (within 1.6 times up or down), one I/O in 50 takes 20 times as long, one window
 * in 100 is 10 times as slow as a whole (a disk that tidies up), loads differ by
 * 16 times and change, and a busy store queues.
 *
 * The same runs each time; HCV_SIM_SEED=N runs one, HCV_SIM_RUNS=N that many.
 */
#include <kunit/test.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health.h"

#define STORES_MAX	24
#define WINDOWS		60

struct sim_store {
	struct hcv_lat_sample now, last;
	struct hcv_lat_note note, next;
	struct hcv_health h;
	struct hcv_health_mem mem;
	double base;		/* us */
	double slow;		/* factor */
	unsigned int ios;	/* of a window */
	int64_t found;		/* window of its first suspicion, or -1 */
};

struct sim {
	uint64_t rand;
	size_t nr;
	unsigned int least;	/* I/Os of a store in a window */
	struct sim_store store[STORES_MAX];
	int64_t window;
	int64_t last;		/* admission, in windows */
	unsigned int admitted;
	unsigned int most;	/* slow at a time */
};

static uint32_t sim_rand(struct sim *s)
{
	s->rand = s->rand * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(s->rand >> 33);
}

static double sim_uniform(struct sim *s)
{
	return (sim_rand(s) + 0.5) / 2147483648.0;
}

/* exp(0.7 x) of normal x, from a table: millions of them are wanted. */
static double sim_noise(struct sim *s)
{
	static double table[4096];
	unsigned int i;

	if (!table[0])
		for (i = 0; i < 4096; i++) {
			double a = (i + 0.5) / 4096, x = 0, step = 4;

			/* the inverse of the normal distribution, bisected */
			for (; step > 0.000001; step /= 2)
				x += copysign(step,
					      a - 0.5 * erfc(-x / sqrt(2)));
			table[i] = exp(0.7 * x);
		}
	return table[sim_rand(s) % 4096];
}

static unsigned int sim_bucket(double us)
{
	uint64_t ns = us > 1e15 ? UINT64_MAX : (uint64_t)(us * 1000);
	unsigned int i = 0;

	for (ns >>= 11; ns && i < HCV_HIST_BUCKETS - 1; ns >>= 1)
		i++;
	return i;
}

static void sim_init(struct sim *s, uint64_t seed, size_t nr, double base,
		     unsigned int least)
{
	size_t i;

	memset(s, 0, sizeof(*s));
	s->rand = seed * 2654435761ULL + 12345;
	s->nr = nr;
	s->least = least;
	s->last = -1000000;
	for (i = 0; i < nr; i++) {
		struct sim_store *st = &s->store[i];

		st->base = base * pow(1.6, 2 * sim_uniform(s) - 1);
		st->slow = 1;
		st->ios = s->least << sim_rand(s) % 4;
		st->found = -1;
		st->last.source = 7;
		st->now.source = 7;
		hcv_lat_note_none(&st->note);
		hcv_lat_note_none(&st->next);
	}
}

/* The I/Os of one window of one store. */
static void sim_io(struct sim *s, struct sim_store *st)
{
	double factor = st->slow, busy = 1;
	unsigned int i, ios = st->ios;

	if (sim_rand(s) % 100 == 0)
		factor *= 10;
	if (sim_rand(s) % 20 == 0)
		st->ios = s->least << sim_rand(s) % 4;
	if (sim_rand(s) % 50 == 0) {	/* a burst that queues */
		busy = 16;
		ios *= 8;
	}
	for (i = 0; i < ios; i++) {
		double us = st->base * factor * busy * sim_noise(s);

		if (sim_rand(s) % 50 == 0)
			us *= 20;
		st->now.hist[sim_rand(s) % 2][sim_bucket(us)]++;
		st->now.bytes += 4096 * (uint64_t)busy;
	}
	st->now.at_ms += 10000 + sim_rand(s) % 1000;
}

static size_t sim_nr_slow(const struct sim *s)
{
	size_t i, n = 0;

	for (i = 0; i < s->nr; i++)
		n += s->store[i].h.slow;
	return n;
}

static void sim_look(struct sim *s, struct sim_store *st)
{
	struct hcv_health_in in = { .why_slow = "slow" };
	struct hcv_health_cluster c = { 0 };
	struct hcv_lat_note peer[STORES_MAX];
	struct hcv_health h = st->h;
	struct hcv_health_mem mem = st->mem;
	struct hcv_health_out out;
	struct hcv_lat_window w;
	char why[HCV_ERR_SIZE];
	size_t i, nr = 0;

	for (i = 0; i < s->nr; i++)
		if (&s->store[i] != st)
			peer[nr++] = s->store[i].note;
	if (!hcv_lat_window(&st->last, &st->now, &w) ||
	    !hcv_lat_window_full(&w))
		return;
	st->last = st->now;
	hcv_lat_note(&w, &st->next);
	in.now_ms = st->now.at_ms;
	in.now = in.now_ms / 1000;
	in.mark = hcv_lat_judge(HCV_LAT_SSD, &st->next, peer, nr, NULL);
	hcv_health_step(&h, &mem, &in, &out);
	c.stores = s->nr;
	c.slow = sim_nr_slow(s);
	c.last_ms = (s->window - s->last) * 10000;
	if (out.asks && hcv_health_admit(&c, why)) {
		h = st->h;
		mem = st->mem;
		in.admitted = true;
		hcv_health_step(&h, &mem, &in, &out);
	}
	if (out.became_slow) {
		s->last = s->window;
		s->admitted++;
		if (st->found < 0)
			st->found = s->window;
	}
	st->h = h;
	st->mem = mem;
}

/* One window: in random order, so that half of the notes are old ones. */
static void sim_window(struct sim *s)
{
	size_t i, first = sim_rand(s) % s->nr;

	for (i = 0; i < s->nr; i++) {
		struct sim_store *st = &s->store[(first + i) % s->nr];

		sim_io(s, st);
		sim_look(s, st);
		if (i % 2)
			st->note = st->next;
	}
	for (i = 0; i < s->nr; i++)
		s->store[i].note = s->store[i].next;
	if (sim_nr_slow(s) > s->most)
		s->most = (unsigned int)sim_nr_slow(s);
	s->window++;
}

static void sim_run(struct sim *s, int windows)
{
	while (windows--)
		sim_window(s);
}

/* From fast flash to hard disks that are called SSDs. */
static double sim_base(uint64_t seed)
{
	static const double base[] = { 90, 700, 3000, 9000, 30000 };

	return base[seed % 5];
}

static void sim_seeds(uint64_t *first, uint64_t *nr, uint64_t runs)
{
	const char *seed = getenv("HCV_SIM_SEED"), *n = getenv("HCV_SIM_RUNS");

	*first = seed ? strtoull(seed, NULL, 0) : 0;
	*nr = seed ? 1 : n ? strtoull(n, NULL, 0) : runs;
}

/* Thousands of healthy clusters, ten minutes each: nobody is suspect. */
static void healthsim_healthy(struct kunit *test)
{
	uint64_t seed, nr, i;
	struct sim s;

	sim_seeds(&seed, &nr, 2000);
	for (i = 0; i < nr; i++, seed++) {
		sim_init(&s, seed, 3 + seed % 6, sim_base(seed), 25);
		sim_run(&s, WINDOWS);
		KUNIT_EXPECT_EQ_MSG(test, s.admitted, 0U, "(seed %llu)",
				    (unsigned long long)seed);
	}
}

static int sim_cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* What the peers of a store are like. */
static double sim_median(const struct sim *s, size_t but)
{
	double base[STORES_MAX];
	size_t i, nr = 0;

	for (i = 0; i < s->nr; i++)
		if (i != but)
			base[nr++] = s->store[i].base;
	qsort(base, nr, sizeof(base[0]), sim_cmp);
	return base[nr / 2];
}

struct found {
	int64_t worst;
	uint64_t nr, late, sum;
};

static void sim_find(struct kunit *test, double factor, uint64_t runs,
		     struct found *f)
{
	uint64_t seed, i;
	int64_t took;
	struct sim s;
	size_t bad;

	memset(f, 0, sizeof(*f));
	sim_seeds(&seed, &f->nr, runs);
	for (i = 0; i < f->nr; i++, seed++) {
		sim_init(&s, seed, 4 + seed % 8, 700 * (1 + seed % 7), 100);
		bad = seed % s.nr;
		s.store[bad].base = sim_median(&s, bad);
		sim_run(&s, 10);
		s.store[bad].slow = factor;
		sim_run(&s, 30);
		KUNIT_EXPECT_EQ_MSG(test, s.admitted, 1U, "(seed %llu)",
				    (unsigned long long)seed);
		KUNIT_EXPECT_TRUE_MSG(test, s.store[bad].found >= 10,
				      "(seed %llu)", (unsigned long long)seed);
		took = s.store[bad].found - 9;
		f->sum += (uint64_t)took;
		f->late += took > HCV_LAT_WINDOWS;
		if (took > f->worst)
			f->worst = took;
	}
	kunit_info(test, "%.0f times slower, %llu clusters: found after %.1f windows, %lld at worst, %llu after more than %d",
		   factor, (unsigned long long)f->nr,
		   (double)f->sum / (double)f->nr, (long long)f->worst,
		   (unsigned long long)f->late, HCV_LAT_WINDOWS);
}

/*
 * A disk that becomes ten times slower than its peers is found, and nobody else.
 * Five windows are what the rule needs; one in which the disk was busy or its
 * peers tidied up costs one more, and so does one in which the noise of a
 * hundred I/Os makes less than eight of the ten times.
 */
static void healthsim_slow(struct kunit *test)
{
	struct found f;

	sim_find(test, 10, 400, &f);
	KUNIT_EXPECT_LE(test, f.late * 10, f.nr);
}

static void healthsim_very_slow(struct kunit *test)
{
	struct found f;

	sim_find(test, 20, 400, &f);
	KUNIT_EXPECT_LE(test, f.late * 20, f.nr);
	KUNIT_EXPECT_LE(test, f.worst, 2 * HCV_LAT_WINDOWS);
}

/* All of them become ten times slower, within one window of each other. */
static void healthsim_common(struct kunit *test)
{
	uint64_t seed, nr, i;
	struct sim s;
	size_t k;

	sim_seeds(&seed, &nr, 1000);
	for (i = 0; i < nr; i++, seed++) {
		sim_init(&s, seed, 3 + seed % 10, 700 * (1 + seed % 7), 25);
		sim_run(&s, 10);
		for (k = 0; k < s.nr / 2; k++)
			s.store[k].slow = 10;
		sim_run(&s, 1);
		for (; k < s.nr; k++)
			s.store[k].slow = 10;
		sim_run(&s, 20);
		for (k = 0; k < s.nr; k++)	/* a hundred times */
			s.store[k].slow = 100;
		sim_run(&s, 20);
		KUNIT_EXPECT_EQ_MSG(test, s.admitted, 0U, "(seed %llu)",
				    (unsigned long long)seed);
	}
}

/*
 * A third of the stores, behind one switch or adapter, become slow together and
 * stay so.  That looks like that many bad disks; one is called slow at once,
 * another one only long after, and never more than the share.
 */
static void healthsim_some(struct kunit *test)
{
	uint64_t seed, nr, i;
	struct sim s;
	size_t k;

	sim_seeds(&seed, &nr, 200);
	for (i = 0; i < nr; i++, seed++) {
		sim_init(&s, seed, 6 + seed % 18, 3000, 25);
		sim_run(&s, 10);
		for (k = 0; k < s.nr / 3; k++)
			s.store[k].slow = 30;
		sim_run(&s, 55);
		KUNIT_EXPECT_EQ_MSG(test, s.admitted, 1U, "(seed %llu)",
				    (unsigned long long)seed);
		sim_run(&s, 300);
		KUNIT_EXPECT_LE(test, s.admitted, 6U);
		KUNIT_EXPECT_LE(test, s.most, s.nr / HCV_HEALTH_SHARE);
	}
}

/* What was slow for a while and is fast again becomes ok, and stays it. */
static void healthsim_recovery(struct kunit *test)
{
	uint64_t seed, nr, i;
	struct sim s;

	sim_seeds(&seed, &nr, 300);
	for (i = 0; i < nr; i++, seed++) {
		sim_init(&s, seed, 5, 700, 25);
		s.store[2].base = 700;
		sim_run(&s, 5);
		s.store[2].slow = 50;
		sim_run(&s, 20);
		KUNIT_EXPECT_EQ(test, s.store[2].h.state, HCV_HEALTH_SUSPECT);
		s.store[2].slow = 1;
		sim_run(&s, 9);		/* it has to prove it */
		KUNIT_EXPECT_EQ(test, s.store[2].h.state, HCV_HEALTH_SUSPECT);
		sim_run(&s, 60);
		KUNIT_EXPECT_EQ_MSG(test, s.store[2].h.state, HCV_HEALTH_OK,
				    "(seed %llu)", (unsigned long long)seed);
		KUNIT_EXPECT_EQ(test, s.admitted, 1U);
	}
}

/* One that is slow every now and then is drained in the end. */
static void healthsim_relapses(struct kunit *test)
{
	uint64_t seed, nr, i;
	struct sim s;
	int n;

	sim_seeds(&seed, &nr, 50);
	for (i = 0; i < nr; i++, seed++) {
		sim_init(&s, seed, 5, 700, 25);
		s.store[2].base = 700;
		for (n = 0; n < 4; n++) {
			KUNIT_EXPECT_LT(test, s.store[2].h.state,
					HCV_HEALTH_DRAINING);
			s.store[2].slow = 50;
			sim_run(&s, 70);
			s.store[2].slow = 1;
			sim_run(&s, 300);
		}
		KUNIT_EXPECT_EQ_MSG(test, s.store[2].h.state,
				    HCV_HEALTH_DRAINING, "(seed %llu)",
				    (unsigned long long)seed);
	}
}

static struct kunit_case healthsim_cases[] = {
	KUNIT_CASE(healthsim_healthy),
	KUNIT_CASE(healthsim_slow),
	KUNIT_CASE(healthsim_very_slow),
	KUNIT_CASE(healthsim_common),
	KUNIT_CASE(healthsim_some),
	KUNIT_CASE(healthsim_recovery),
	KUNIT_CASE(healthsim_relapses),
	{}
};

static struct kunit_suite healthsim_suite = {
	.name = "hcv_healthsim",
	.test_cases = healthsim_cases,
};

kunit_test_suite(healthsim_suite);
