// SPDX-License-Identifier: GPL-2.0-only
/*
 * The throttle over time, on a simulated node: a device of a given speed, a
 * guest that begins and stops, resyncs that take what they may.  Time goes in
 * steps of 50 ms, the throttle looks once a second, and the guest begins at
 * every moment between two looks.
 *
 * HCV_THR_TRACE=ROW in the environment prints idle -> load -> idle second by
 * second; tools/dev/throttle-plot makes a picture of it.
 */
#include <kunit/test.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "throttle.h"
#include "throttle_conf.h"
#include "throttle_hw.h"

#define MIB		1024U
#define STEP_MS		50
#define LOOKS_MS	HCV_THR_LOOK_MS
#define PARTS		160

/**
 * struct sim - a node
 * @device_kibps: what its disks and link carry, guest and recovery together
 * @fg_kibps: what the guest asks for, in I/Os of @io_kib
 * @idle_us: its latency alone
 * @rec_got: what recovery copied, of the step
 */
struct sim {
	struct hcv_thr_conf c;
	struct hcv_thr t;
	struct hcv_thr_sample s;
	struct hcv_thr_vol vol;
	uint64_t device_kibps;
	uint64_t fg_kibps;
	uint32_t io_kib;
	uint32_t idle_us;
	uint64_t rec_got;
	uint64_t ios_256;	/* fractions of an I/O that are left */
	uint64_t part[PARTS];
	int64_t looked_ms;
	bool recovering;
};

static void sim_init(struct sim *m, const struct hcv_hw_row *row,
		     enum hcv_thr_mode mode, int64_t phase_ms)
{
	struct hcv_thr_eff e;

	memset(m, 0, sizeof(*m));
	hcv_thr_merge(row, NULL, NULL, &e);
	hcv_thr_conf(&e, false, &m->c);
	m->c.mode = mode;
	m->device_kibps = row->max_kibps + 2ULL * row->fg_kibps;
	m->io_kib = 4;
	m->idle_us = 200;
	m->recovering = true;
	m->s.now_ms = 1000000;
	m->looked_ms = m->s.now_ms - phase_ms;
	snprintf(m->vol.name, sizeof(m->vol.name), "db1");
	m->s.vol = &m->vol;
	m->s.nr_vols = 1;
}

static unsigned int sim_log2(uint64_t us)
{
	unsigned int i = 0;

	while (us >>= 1)
		i++;
	return i < HCV_HIST_BUCKETS - 1 ? i : HCV_HIST_BUCKETS - 1;
}

/*
 * Latencies of a queue: idle / (1 - load) on average, exponentially spread.  A
 * sixteenth of what is left lies in each part of it.
 */
static uint64_t sim_latencies(struct sim *m, uint64_t ios, uint64_t rec)
{
	uint64_t busy = (m->fg_kibps + rec) * 1000 / m->device_kibps;
	uint64_t mean = m->idle_us * 1000ULL / (busy < 990 ? 1000 - busy : 10);
	uint64_t left = ios << 20, part;
	size_t i;

	for (i = 0; i < PARTS; i++) {
		part = i + 1 < PARTS ? left / 16 : left;
		left -= part;
		m->part[i] += part;
		/* -ln(15/16) = 0.064539 of the mean a part, taken in its middle */
		m->vol.hist[sim_log2(mean * (i * 64539 + 32270) / 1000000)] +=
			m->part[i] >> 20;
		m->part[i] &= (1 << 20) - 1;
	}
	return mean * 4605 / 1000;
}

/* One step; returns the true p99 of the guest's I/O in it. */
static uint64_t sim_step(struct sim *m)
{
	uint64_t rec, free_kibps, ios, p99;

	/* The guest is served first: it has more I/Os in flight. */
	free_kibps = m->device_kibps > m->fg_kibps ?
		     m->device_kibps - m->fg_kibps : 0;
	rec = !m->recovering || m->c.paused ? 0 :
	      m->t.limit_kibps < free_kibps ? m->t.limit_kibps : free_kibps;
	m->s.now_ms += STEP_MS;
	m->ios_256 += m->fg_kibps * 256 * STEP_MS / 1000 / m->io_kib;
	ios = m->ios_256 / 256;
	m->ios_256 %= 256;
	m->s.ios += ios;
	m->s.bytes += ios * m->io_kib << 10;
	m->rec_got = rec;
	m->s.copied += (rec << 10) * STEP_MS / 1000;
	m->s.streams = m->recovering;
	p99 = sim_latencies(m, ios, rec);
	if (m->s.now_ms - m->looked_ms >= LOOKS_MS) {
		m->looked_ms = m->s.now_ms;
		hcv_thr_look(&m->t, &m->c, &m->s);
	}
	return p99;
}

static void sim_run(struct sim *m, int64_t ms)
{
	for (; ms > 0; ms -= STEP_MS)
		sim_step(m);
}

/* --------------------------------------------------- AUTO: idle, load, idle */

/* From the lowest limit to the highest, by the rule alone. */
static unsigned int sim_steps_up(const struct hcv_thr_conf *c)
{
	uint64_t limit = c->min_kibps;
	unsigned int n = 0;

	while (limit < c->max_kibps) {
		limit = limit * 3 / 2;
		n++;
	}
	return n;
}

/* Going up: each step is the rule's, and a period lies between two. */
static void sim_climb(struct kunit *test, struct sim *m)
{
	int64_t last = m->s.now_ms, end = last + 120000, ms;
	unsigned int steps = 0, want = sim_steps_up(&m->c);
	uint32_t limit = m->t.limit_kibps, next;

	KUNIT_ASSERT_EQ(test, limit, m->c.min_kibps);
	while (limit < m->c.max_kibps && m->s.now_ms < end) {
		sim_step(m);
		if (m->t.limit_kibps == limit)
			continue;
		next = (uint32_t)((uint64_t)limit * 3 / 2);
		if (next > m->c.max_kibps)
			next = m->c.max_kibps;
		KUNIT_ASSERT_EQ(test, m->t.limit_kibps, next);
		ms = m->s.now_ms - last;
		if (steps)
			KUNIT_ASSERT_GE(test, ms, HCV_THR_PERIOD_MS);
		KUNIT_ASSERT_LE(test, ms, 2 * HCV_THR_PERIOD_MS + LOOKS_MS);
		limit = m->t.limit_kibps;
		last = m->s.now_ms;
		steps++;
	}
	KUNIT_ASSERT_EQ(test, steps, want);
}

/* How long after the guest began recovery ran no faster than the lowest. */
static int64_t sim_fall(struct sim *m)
{
	int64_t began = m->s.now_ms;

	while (m->s.now_ms - began < 60000) {
		sim_step(m);
		if (m->t.limit_kibps == m->c.min_kibps) {
			sim_step(m);
			if (m->rec_got <= m->c.min_kibps)
				break;
		}
	}
	return m->s.now_ms - STEP_MS - began;
}

/* Idle at full speed, down within a period of load, back up step by step. */
static void sim_reference(struct kunit *test, const struct hcv_hw_row *row,
			  uint32_t io_kib, unsigned int load_pct,
			  int64_t phase_ms, int64_t most_ms)
{
	struct sim m;
	int64_t fell;
	uint64_t load;

	sim_init(&m, row, HCV_THR_AUTO, phase_ms);
	sim_run(&m, LOOKS_MS);
	sim_climb(test, &m);
	sim_run(&m, 20000);
	KUNIT_ASSERT_EQ(test, m.rec_got, row->max_kibps);
	KUNIT_ASSERT_EQ(test, m.t.why, HCV_THR_HIGHEST);
	/* small I/Os reach the one threshold, large ones the other */
	m.io_kib = io_kib;
	load = (uint64_t)row->iops * io_kib;
	if (load > row->fg_kibps)
		load = row->fg_kibps;
	m.fg_kibps = load * load_pct / 100 + io_kib;
	fell = sim_fall(&m);
	KUNIT_EXPECT_LE_MSG(test, fell, most_ms,
			    "%s, I/Os of %u KiB, %u %%, phase %lld", row->name,
			    io_kib, load_pct, (long long)phase_ms);
	sim_run(&m, 30000);
	KUNIT_ASSERT_EQ(test, m.t.limit_kibps, row->min_kibps);
	KUNIT_ASSERT_LE(test, m.rec_got, row->min_kibps);
	KUNIT_ASSERT_GT(test, m.rec_got, 0);
	m.fg_kibps = 0;
	sim_climb(test, &m);
	sim_run(&m, LOOKS_MS);
	KUNIT_ASSERT_EQ(test, m.rec_got, row->max_kibps);
}

static void throttle_sim_reference(struct kunit *test)
{
	/* A load of the threshold itself has to last as long as the mean. */
	int64_t just = HCV_THR_PERIOD_MS + LOOKS_MS, phase;
	const struct hcv_hw_row *rows;
	size_t i, nr;

	rows = hcv_hw_rows(&nr);
	for (i = 0; i < nr; i++) {
		for (phase = 0; phase < LOOKS_MS; phase += STEP_MS) {
			sim_reference(test, &rows[i], 4, 100, phase, just);
			sim_reference(test, &rows[i], 4, 150, phase,
				      HCV_THR_PERIOD_MS);
			sim_reference(test, &rows[i], 1024, 100, phase, just);
			sim_reference(test, &rows[i], 1024, 150, phase,
				      HCV_THR_PERIOD_MS);
		}
	}
}

/* A minute idle, 40 s of load, a minute idle; the load begins between looks. */
static void throttle_sim_trace(struct kunit *test)
{
	const char *name = getenv("HCV_THR_TRACE");
	const struct hcv_hw_row *rows, *row;
	char why[HCV_THR_WHY];
	struct sim m;
	size_t i, nr;
	int s;

	rows = hcv_hw_rows(&nr);
	row = rows;
	for (i = 0; name && i < nr; i++)
		if (!strcmp(rows[i].name, name))
			row = &rows[i];
	sim_init(&m, row, HCV_THR_AUTO, 500);
	for (s = 0; s < 160; s++) {
		m.fg_kibps = s >= 60 && s < 100 ? row->iops * 8ULL : 0;
		sim_run(&m, LOOKS_MS);
		if (!name)
			continue;
		hcv_thr_reason(&m.t, &m.c, why);
		kunit_info(test, "t=%d limit_kibps=%u rate_kibps=%llu iops=%llu why=%s",
			   s + 1, m.t.limit_kibps,
			   (unsigned long long)m.rec_got,
			   (unsigned long long)m.fg_kibps / m.io_kib, why);
	}
	KUNIT_EXPECT_EQ(test, m.t.limit_kibps, row->max_kibps);
}

/* Just below both thresholds recovery is not touched. */
static void throttle_sim_below(struct kunit *test)
{
	const struct hcv_hw_row *rows;
	struct sim m;
	size_t i, nr;

	rows = hcv_hw_rows(&nr);
	for (i = 0; i < nr; i++) {
		sim_init(&m, &rows[i], HCV_THR_AUTO, 0);
		m.device_kibps *= 2;
		m.fg_kibps = (rows[i].iops - 2ULL) * 4;
		sim_run(&m, 60000);
		KUNIT_EXPECT_EQ(test, m.t.limit_kibps, rows[i].max_kibps);
		m.io_kib = 1024;
		m.fg_kibps = rows[i].fg_kibps - 1024;
		if (m.fg_kibps / 1024 >= rows[i].iops)
			continue;
		sim_run(&m, 60000);
		KUNIT_EXPECT_EQ(test, m.t.limit_kibps, rows[i].max_kibps);
	}
}

/* ------------------------------------------------------------- AUTO: any load */

static uint32_t sim_random(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33) % n;
}

/* Whatever happens: in range, grows by the rule and in its time only. */
static void throttle_sim_any(struct kunit *test)
{
	const struct hcv_hw_row *rows;
	unsigned int grown = 0, fallen = 0, turn;
	uint64_t seed = 99, next;
	int64_t changed;
	uint32_t limit;
	struct sim m;
	size_t i, nr;

	rows = hcv_hw_rows(&nr);
	for (i = 0; i < nr; i++) {
		sim_init(&m, &rows[i], HCV_THR_AUTO, 0);
		sim_run(&m, LOOKS_MS);
		changed = m.s.now_ms;
		for (turn = 0; turn < 40000; turn++) {
			if (!sim_random(&seed, 100)) {
				m.io_kib = 4U << sim_random(&seed, 9);
				m.fg_kibps = sim_random(&seed, 3) ? 0 :
					     sim_random(&seed,
							rows[i].max_kibps);
				m.recovering = sim_random(&seed, 8);
			}
			if (!sim_random(&seed, 2000))
				m.s.now_ms += sim_random(&seed, 20000);
			limit = m.t.limit_kibps;
			sim_step(&m);
			KUNIT_ASSERT_GE(test, m.t.limit_kibps, m.c.min_kibps);
			KUNIT_ASSERT_LE(test, m.t.limit_kibps, m.c.max_kibps);
			if (m.looked_ms == m.s.now_ms &&
			    (m.t.iops >= m.c.iops ||
			     m.t.fg_kibps >= m.c.fg_kibps))
				KUNIT_ASSERT_EQ(test, m.t.limit_kibps,
						m.c.min_kibps);
			if (m.t.limit_kibps == limit)
				continue;
			if (m.t.limit_kibps < limit) {
				fallen++;
				KUNIT_ASSERT_EQ(test, m.t.limit_kibps,
						m.c.min_kibps);
			} else {
				next = limit * 3ULL / 2;
				grown++;
				KUNIT_ASSERT_EQ(test, m.t.limit_kibps,
						next < m.c.max_kibps ? next :
						m.c.max_kibps);
				KUNIT_ASSERT_GE(test, m.s.now_ms - changed,
						HCV_THR_PERIOD_MS -
						HCV_THR_SLACK_MS);
				KUNIT_ASSERT_GT(test, m.t.rec_kibps * 100,
						limit * 80ULL);
			}
			changed = m.s.now_ms;
		}
	}
	kunit_info(test, "grew %u times, fell %u times", grown, fallen);
	KUNIT_EXPECT_GT(test, grown, 1000);
	KUNIT_EXPECT_GT(test, fallen, 300);
}

/* -------------------------------------------------------------------- LATENCY */

/* How a run of LATENCY went, once it had settled. */
struct sim_result {
	unsigned int over_pct;	/* of the time: p99 above 1.1 x the factor */
	uint64_t rec_kibps;
	uint64_t ideal_kibps;	/* with which the p99 is the factor */
};

static struct sim_result sim_latency(struct kunit *test,
				     const struct hcv_hw_row *row,
				     unsigned int load, unsigned int factor)
{
	struct sim_result r = { 0 };
	uint64_t alone, p99, over = 0;
	unsigned int steps;
	struct sim m;

	sim_init(&m, row, HCV_THR_LATENCY, 0);
	m.c.factor_pct = factor;
	m.recovering = false;
	m.fg_kibps = m.device_kibps * load / 100;
	sim_run(&m, 120000);
	alone = sim_step(&m);
	m.recovering = true;
	sim_run(&m, 300000);
	for (steps = 0; steps < 12000; steps++) {
		p99 = sim_step(&m);
		over += p99 * 100 > alone * factor * 11 / 10;
		r.rec_kibps += m.rec_got;
		KUNIT_EXPECT_GE(test, m.t.limit_kibps, m.c.floor_kibps);
	}
	r.over_pct = over * 100 / steps;
	r.rec_kibps /= steps;
	/* 1 / (1 - load - x) = factor / (1 - load) */
	r.ideal_kibps = m.device_kibps * (100 - load) / 100 *
			(factor - 100) / factor;
	if (r.ideal_kibps > m.c.max_kibps)
		r.ideal_kibps = m.c.max_kibps;
	return r;
}

/*
 * A guest that takes part of the device: its p99 stays within the factor, and
 * recovery uses about half of what that leaves, or more.
 */
static void throttle_sim_latency(struct kunit *test)
{
	static const unsigned int factors[] = { 150, 200, 300, 500 };
	static const unsigned int loads[] = { 5, 20, 40 };
	const struct hcv_hw_row *rows;
	uint64_t least = 100, pct;
	unsigned int most = 0;
	struct sim_result r;
	size_t i, k, nr;

	rows = hcv_hw_rows(&nr);
	for (i = 0; i < nr * 12; i++) {
		k = i % 12;
		r = sim_latency(test, &rows[i / 12], loads[k / 4],
				factors[k % 4]);
		pct = r.rec_kibps * 100 / r.ideal_kibps;
		most = r.over_pct > most ? r.over_pct : most;
		least = pct < least ? pct : least;
		KUNIT_EXPECT_LE_MSG(test, r.over_pct, 2,
				    "%s, load %u %%, factor %u",
				    rows[i / 12].name, loads[k / 4],
				    factors[k % 4]);
		KUNIT_EXPECT_GE_MSG(test, pct, 45, "%s, load %u %%, factor %u",
				    rows[i / 12].name, loads[k / 4],
				    factors[k % 4]);
	}
	kunit_info(test, "above 1.1 x the factor for %u %% of the time at most, %llu %% of the ideal rate at least",
		   most, (unsigned long long)least);
}

/* A device that even the floor is too much for: it still gets on. */
static void throttle_sim_floor(struct kunit *test)
{
	const struct hcv_hw_row *rows;
	unsigned int steps;
	uint64_t copied;
	struct sim m;
	size_t i, nr;

	rows = hcv_hw_rows(&nr);
	for (i = 0; i < nr; i++) {
		sim_init(&m, &rows[i], HCV_THR_LATENCY, 0);
		m.recovering = false;
		m.device_kibps = m.c.floor_kibps * 3 / 2;
		m.fg_kibps = m.device_kibps * 3 / 10;
		sim_run(&m, 120000);
		m.recovering = true;
		copied = m.s.copied;
		for (steps = 0; steps < 1200; steps++) {
			sim_step(&m);
			KUNIT_ASSERT_GE(test, m.t.limit_kibps,
					m.c.floor_kibps);
			KUNIT_ASSERT_GT(test, m.rec_got, 0);
		}
		KUNIT_EXPECT_EQ(test, m.t.limit_kibps, m.c.floor_kibps);
		KUNIT_EXPECT_EQ(test, m.t.why, HCV_THR_AT_FLOOR);
		/* a minute at the floor */
		KUNIT_EXPECT_GE(test, (m.s.copied - copied) >> 10,
				m.c.floor_kibps * 59ULL);
	}
}

/* Nobody is there to be harmed: full speed. */
static void throttle_sim_latency_idle(struct kunit *test)
{
	const struct hcv_hw_row *rows;
	struct sim m;
	size_t i, nr;

	rows = hcv_hw_rows(&nr);
	for (i = 0; i < nr; i++) {
		sim_init(&m, &rows[i], HCV_THR_LATENCY, 0);
		sim_run(&m, 4000 * (HCV_THR_LAT_STEPS + 3));
		KUNIT_EXPECT_EQ(test, m.t.limit_kibps, m.c.max_kibps);
		KUNIT_EXPECT_EQ(test, m.rec_got, m.c.max_kibps);
	}
}

static struct kunit_case throttle_sim_test_cases[] = {
	KUNIT_CASE(throttle_sim_reference),
	KUNIT_CASE(throttle_sim_trace),
	KUNIT_CASE(throttle_sim_below),
	KUNIT_CASE(throttle_sim_any),
	KUNIT_CASE(throttle_sim_latency),
	KUNIT_CASE(throttle_sim_floor),
	KUNIT_CASE(throttle_sim_latency_idle),
	{}
};

static struct kunit_suite throttle_sim_suite = {
	.name = "hcv_throttle_sim",
	.test_cases = throttle_sim_test_cases,
};

kunit_test_suite(throttle_sim_suite);
