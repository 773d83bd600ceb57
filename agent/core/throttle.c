// SPDX-License-Identifier: GPL-2.0-only
/*
 * The limit of a node's recovery.  See throttle.h.
 */
#include "throttle.h"

#include <stdio.h>
#include <string.h>

#define GAP_MS	(2 * HCV_THR_PERIOD_MS)	/* without a look: nothing is known */

static uint64_t thr_rate(uint64_t count, int64_t ms)
{
	return ms > 0 ? count * 1000 / (uint64_t)ms : 0;
}

uint64_t hcv_thr_count(uint64_t *last, uint64_t now)
{
	uint64_t grown = now >= *last ? now - *last : now;

	*last = now;
	return grown;
}

/* ------------------------------------------------------------------ the means */

static void thr_push(struct hcv_thr *t, const struct hcv_thr_sample *s)
{
	if (t->nr && s->now_ms - t->ring[t->nr - 1].ms > GAP_MS)
		t->nr = 0;
	/* Looks between two ticks must not push a period out of the ring. */
	if (t->nr > 1 && t->ring[t->nr - 1].ms - t->ring[t->nr - 2].ms <
			 HCV_THR_LOOK_MS / 2)
		t->nr--;
	if (t->nr == HCV_THR_RING)
		memmove(t->ring, t->ring + 1, --t->nr * sizeof(*t->ring));
	t->ring[t->nr++] = (struct hcv_thr_point){
		s->now_ms, s->ios, s->bytes, s->copied,
	};
}

/* Where the period that ends now began, NULL: it was not seen as a whole. */
static const struct hcv_thr_point *thr_began(const struct hcv_thr *t,
					     int64_t now_ms)
{
	size_t i = t->nr;

	while (i-- > 0)
		if (now_ms - t->ring[i].ms >=
		    HCV_THR_PERIOD_MS - HCV_THR_SLACK_MS)
			return &t->ring[i];
	return NULL;
}

static bool thr_measure(struct hcv_thr *t, const struct hcv_thr_sample *s)
{
	const struct hcv_thr_point *from;
	int64_t ms;

	thr_push(t, s);
	from = thr_began(t, s->now_ms);
	ms = from ? s->now_ms - from->ms : 0;
	t->iops = from ? thr_rate(s->ios - from->ios, ms) : 0;
	t->fg_kibps = from ? thr_rate(s->bytes - from->bytes, ms) >> 10 : 0;
	t->rec_kibps = from ? thr_rate(s->copied - from->copied, ms) >> 10 : 0;
	return from;
}

static void thr_limit(struct hcv_thr *t, uint32_t kibps, int64_t now_ms)
{
	if (kibps == t->limit_kibps)
		return;
	t->limit_kibps = kibps;
	t->changed_ms = now_ms;
}

static bool thr_used(const struct hcv_thr *t)
{
	return t->rec_kibps * 100 > (uint64_t)t->limit_kibps * HCV_THR_USED_PCT;
}

/* Under one limit for a whole period: what was measured belongs to it. */
static bool thr_settled(const struct hcv_thr *t, int64_t now_ms)
{
	return now_ms - t->changed_ms >= HCV_THR_PERIOD_MS - HCV_THR_SLACK_MS;
}

/* ----------------------------------------------------------------------- load */

static bool thr_at_threshold(const struct hcv_thr *t,
			     const struct hcv_thr_conf *c)
{
	return t->iops >= c->iops || t->fg_kibps >= c->fg_kibps;
}

static void thr_note_load(struct hcv_thr *t, const struct hcv_thr_conf *c,
			  const struct hcv_thr_sample *s)
{
	snprintf(t->loaded, sizeof(t->loaded), "%s",
		 s->loaded ? s->loaded : "");
	if (!thr_at_threshold(t, c))
		return;
	t->was_loaded = true;
	t->load_ms = s->now_ms;
}

bool hcv_thr_loaded(const struct hcv_thr *t, int64_t now_ms)
{
	return t->was_loaded && now_ms - t->load_ms < 2 * HCV_THR_PERIOD_MS;
}

/* ----------------------------------------------------------------------- AUTO */

static void thr_auto(struct hcv_thr *t, const struct hcv_thr_conf *c,
		     const struct hcv_thr_sample *s)
{
	uint64_t grown = (uint64_t)t->limit_kibps * 3 / 2;

	if (thr_at_threshold(t, c) || *t->loaded) {
		t->why = t->iops >= c->iops ? HCV_THR_LOAD_IOPS :
			 t->fg_kibps >= c->fg_kibps ? HCV_THR_LOAD_BYTES :
						      HCV_THR_LOAD_OTHER;
		thr_limit(t, c->min_kibps, s->now_ms);
		return;
	}
	t->why = HCV_THR_GROWING;
	if (t->limit_kibps < c->max_kibps && thr_settled(t, s->now_ms)) {
		if (thr_used(t))
			/* 1 KiB/s and a half is 1: it has to get on */
			thr_limit(t, grown >= c->max_kibps ? c->max_kibps :
				     (uint32_t)grown > t->limit_kibps ?
				     (uint32_t)grown : t->limit_kibps + 1,
				  s->now_ms);
		else
			t->why = s->streams ? HCV_THR_UNUSED : HCV_THR_IDLE;
	}
	if (t->limit_kibps == c->max_kibps)
		t->why = HCV_THR_HIGHEST;
}

/* -------------------------------------------------------------------- LATENCY */

/* log2(@x) in 1/1024, bit by bit from the square; @x is not 0 */
static uint32_t thr_log2(uint64_t x)
{
	uint32_t log, bit;

	log = 63U - (uint32_t)__builtin_clzll(x);
	x = log > 31 ? x >> (log - 31) : x << (31 - log);
	for (log <<= 10, bit = 512; bit; bit >>= 1) {
		x = x * x >> 31;
		if (x >> 32) {
			x >>= 1;
			log += bit;
		}
	}
	return log;
}

/*
 * Where in a bucket of @in I/Os, with @rest in it and beyond, as many are beyond
 * as @beyond / 200: in 1/1024.  Latencies have long tails, so that their number
 * falls by equal factors and not by equal counts: an even spread would be off
 * by up to a half, this is by a twentieth.
 */
static uint64_t thr_within(uint64_t rest, uint64_t in, uint64_t beyond)
{
	uint64_t end = 200 * (rest - in);
	uint32_t from, to, at = thr_log2(beyond);

	/* Ten times as rare may be none at all, by chance. */
	if (end < beyond / 10)
		end = beyond / 10;
	from = thr_log2(200 * rest);
	to = thr_log2(end ? end : 1);
	if (at <= to || to >= from)
		return 1024;
	return at < from ? (from - at) * 1024ULL / (from - to) : 0;
}

uint32_t hcv_thr_p99(const uint64_t *from, const uint64_t *to, uint64_t *nr)
{
	uint64_t total = 0, below = 0, want, us;
	unsigned int i;

	for (i = 0; i < HCV_HIST_BUCKETS; i++)
		total += to[i] - from[i];
	*nr = total;
	if (!total)
		return 0;
	want = (total * 99 + 99) / 100;
	for (i = 0; i < HCV_HIST_BUCKETS - 1; i++) {
		if (below + (to[i] - from[i]) >= want)
			break;
		below += to[i] - from[i];
	}
	us = thr_within(total - below, to[i] - from[i], 2 * total);
	/* The last bucket has no end: as wide as it begins. */
	us = i ? (1ULL << i) + (us << i) / 1024 : us * 2 / 1024;
	return us ? (uint32_t)us : 1;
}

static void thr_window(struct hcv_thr *t, struct hcv_thr_sample *s)
{
	size_t i;

	for (i = 0; i < s->nr_vols; i++) {
		memcpy(s->vol[i].mark, s->vol[i].hist, sizeof(s->vol[i].mark));
		s->vol[i].marked = true;
	}
	t->window_ms = s->now_ms;
	t->window_copied = s->copied;
}

/*
 * The p99 without recovery.  Moves by an eighth towards what is seen when
 * nothing is copied.  At the floor it follows too, upwards and slower: a guest
 * that does other work than before must not hold recovery there for ever.
 */
static void thr_base(struct hcv_thr_vol *v, uint32_t p99, bool quiet,
		     bool at_floor)
{
	int64_t by = (int64_t)p99 - v->base_us;

	if (!v->base_us) {
		if (quiet || at_floor)
			v->base_us = p99;
		return;
	}
	if (quiet)
		by /= 8;
	else if (at_floor && by > 0)
		by /= 32;
	else
		return;
	v->base_us = (uint32_t)(v->base_us + by);
}

/* Percent of the base, 0: the volume says nothing; @over: end of a period. */
static uint32_t thr_strain(struct hcv_thr *t, const struct hcv_thr_conf *c,
			   struct hcv_thr_vol *v, bool over)
{
	bool quiet = t->window_quiet, at_floor;
	uint64_t nr;
	uint32_t p99;

	at_floor = t->limit_kibps <= c->floor_kibps;
	if (!v->marked)
		return 0;
	p99 = hcv_thr_p99(v->mark, v->hist, &nr);
	if (nr < (over ? HCV_THR_LAT_LEAST : HCV_THR_LAT_SOON))
		return 0;
	v->p99_us = p99;
	if (over)
		thr_base(v, p99, quiet, at_floor);
	if (!v->base_us)
		return 0;
	return (uint32_t)((uint64_t)p99 * 100 / v->base_us);
}

static uint32_t thr_step(const struct hcv_thr *t, const struct hcv_thr_conf *c)
{
	uint64_t step = (c->max_kibps - c->floor_kibps) / HCV_THR_LAT_STEPS;

	step += t->limit_kibps + (step ? 0 : 1);
	return step < c->max_kibps ? (uint32_t)step : c->max_kibps;
}

static void thr_slow_down(struct hcv_thr *t, const struct hcv_thr_conf *c,
			  int64_t now_ms)
{
	uint32_t half = t->limit_kibps / 2;

	t->why = t->limit_kibps > c->floor_kibps ? HCV_THR_SLOWED :
						   HCV_THR_AT_FLOOR;
	thr_limit(t, half > c->floor_kibps ? half : c->floor_kibps, now_ms);
}

static void thr_speed_up(struct hcv_thr *t, const struct hcv_thr_conf *c,
			 int64_t now_ms)
{
	if (t->limit_kibps < c->max_kibps) {
		if (!thr_settled(t, now_ms))
			return;
		if (!thr_used(t)) {
			t->why = HCV_THR_UNUSED;
			return;
		}
		t->why = HCV_THR_GROWING;
		thr_limit(t, thr_step(t, c), now_ms);
	}
	if (t->limit_kibps == c->max_kibps)
		t->why = HCV_THR_HIGHEST;
}

/*
 * A window is a period, or ends as soon as enough I/Os were slow: what is
 * too slow need not be so for four seconds.
 */
static void thr_latency(struct hcv_thr *t, const struct hcv_thr_conf *c,
			struct hcv_thr_sample *s)
{
	bool over = s->now_ms - t->window_ms >=
		    HCV_THR_PERIOD_MS - HCV_THR_SLACK_MS;
	uint32_t worst = 0, pct;
	size_t i;

	t->window_quiet = s->copied == t->window_copied;
	for (i = 0; i < s->nr_vols; i++) {
		pct = thr_strain(t, c, &s->vol[i], over);
		if (pct <= worst)
			continue;
		worst = pct;
		snprintf(t->worst, sizeof(t->worst), "%s", s->vol[i].name);
	}
	if (!s->streams) {
		t->why = HCV_THR_IDLE;
		thr_limit(t, c->floor_kibps, s->now_ms);
		if (!over)
			return;
	} else if (worst > c->factor_pct && !t->window_quiet) {
		thr_slow_down(t, c, s->now_ms);
	} else if (*t->loaded) {
		thr_slow_down(t, c, s->now_ms);
		t->why = HCV_THR_LOAD_OTHER;
	} else if (!over) {
		return;
	} else if (worst >= 100 + (c->factor_pct - 100) / 2 &&
		   !t->window_quiet) {
		t->why = HCV_THR_BETWEEN;
	} else {
		thr_speed_up(t, c, s->now_ms);
	}
	t->worst_pct = worst;
	thr_window(t, s);
}

/* ------------------------------------------------------------------ the whole */

static uint32_t thr_lowest(const struct hcv_thr_conf *c)
{
	switch (c->mode) {
	case HCV_THR_STATIC:
		return c->static_kibps;
	case HCV_THR_LATENCY:
		return c->floor_kibps;
	default:
		return c->min_kibps;
	}
}

static void thr_clamp(struct hcv_thr *t, const struct hcv_thr_conf *c,
		      int64_t now_ms)
{
	uint32_t low = thr_lowest(c);

	if (t->limit_kibps < low)
		thr_limit(t, low, now_ms);
	else if (t->limit_kibps > c->max_kibps)
		thr_limit(t, c->max_kibps, now_ms);
}

void hcv_thr_look(struct hcv_thr *t, const struct hcv_thr_conf *c,
		  struct hcv_thr_sample *s)
{
	bool measured = thr_measure(t, s);
	bool anew = !t->limit_kibps || t->mode != c->mode;

	thr_note_load(t, c, s);
	if (c->mode == HCV_THR_STATIC) {
		t->mode = c->mode;
		t->why = HCV_THR_FIXED;
		thr_limit(t, c->static_kibps, s->now_ms);
		return;
	}
	if (anew || !measured) {
		t->mode = c->mode;
		t->why = HCV_THR_UNMEASURED;
		t->worst_pct = 0;
		thr_limit(t, thr_lowest(c), s->now_ms);
		if (anew || t->nr == 1)
			thr_window(t, s);
		return;
	}
	thr_clamp(t, c, s->now_ms);
	if (c->mode == HCV_THR_LATENCY)
		thr_latency(t, c, s);
	else
		thr_auto(t, c, s);
}

uint32_t hcv_thr_start(const struct hcv_thr *t, const struct hcv_thr_conf *c)
{
	uint32_t low = thr_lowest(c);

	if (t->limit_kibps && t->limit_kibps < low)
		low = t->limit_kibps;
	return low >= 4 ? low / 4 : 1;
}

/* ------------------------------------------------------------------- in words */

const char *hcv_thr_mode_name(enum hcv_thr_mode mode)
{
	switch (mode) {
	case HCV_THR_STATIC:
		return "static";
	case HCV_THR_LATENCY:
		return "latency";
	default:
		return "auto";
	}
}

/* "312.5 MiB/s" */
static const char *thr_mibps(uint64_t kibps, char *out, size_t size)
{
	unsigned long long tenths = (kibps * 10 + 512) / 1024;

	if (tenths % 10)
		snprintf(out, size, "%llu.%u MiB/s", tenths / 10,
			 (unsigned int)(tenths % 10));
	else
		snprintf(out, size, "%llu MiB/s", tenths / 10);
	return out;
}

static void thr_reason_latency(const struct hcv_thr *t,
			       const struct hcv_thr_conf *c, const char *what,
			       char *out)
{
	snprintf(out, HCV_THR_WHY,
		 "the p99 of volume %s is %u.%02u x what it is without recovery, allowed are %u.%02u: %s",
		 t->worst, t->worst_pct / 100, t->worst_pct % 100,
		 c->factor_pct / 100, c->factor_pct % 100, what);
}

static void thr_reason_load(const struct hcv_thr *t,
			    const struct hcv_thr_conf *c, char *out)
{
	char have[32], most[32];

	if (t->why == HCV_THR_LOAD_IOPS)
		snprintf(out, HCV_THR_WHY,
			 "foreground load of %llu IOPS, the threshold is %u: lowest limit",
			 (unsigned long long)t->iops, c->iops);
	else
		snprintf(out, HCV_THR_WHY,
			 "foreground load of %s, the threshold is %s: lowest limit",
			 thr_mibps(t->fg_kibps, have, sizeof(have)),
			 thr_mibps(c->fg_kibps, most, sizeof(most)));
}

void hcv_thr_reason(const struct hcv_thr *t, const struct hcv_thr_conf *c,
		    char *out)
{
	bool lat = c->mode == HCV_THR_LATENCY;
	char rate[32];

	if (c->paused) {
		snprintf(out, HCV_THR_WHY, "recovery is paused");
		return;
	}
	switch (t->why) {
	case HCV_THR_IDLE:
		snprintf(out, HCV_THR_WHY, "nothing is being recovered");
		break;
	case HCV_THR_FIXED:
		snprintf(out, HCV_THR_WHY, "mode static: one limit");
		break;
	case HCV_THR_LOAD_IOPS:
	case HCV_THR_LOAD_BYTES:
		thr_reason_load(t, c, out);
		break;
	case HCV_THR_LOAD_OTHER:
		snprintf(out, HCV_THR_WHY,
			 "node %s, which gets the copies, is loaded by its guests: %s",
			 t->loaded, lat ? "halved" : "lowest limit");
		break;
	case HCV_THR_HIGHEST:
		snprintf(out, HCV_THR_WHY, "%s: highest limit",
			 lat ? "latencies are as without recovery" :
			       "foreground load is below its thresholds");
		break;
	case HCV_THR_UNUSED:
		snprintf(out, HCV_THR_WHY,
			 "recovery runs at %s, not above %u %% of the limit: it stays",
			 thr_mibps(t->rec_kibps, rate, sizeof(rate)),
			 HCV_THR_USED_PCT);
		break;
	case HCV_THR_GROWING:
		snprintf(out, HCV_THR_WHY, "%s: grows every %u s",
			 lat ? "latencies are as without recovery" :
			       "foreground load is below its thresholds",
			 HCV_THR_PERIOD_MS / 1000);
		break;
	case HCV_THR_SLOWED:
		thr_reason_latency(t, c, "halved", out);
		break;
	case HCV_THR_AT_FLOOR:
		thr_reason_latency(t, c, "already at the floor", out);
		break;
	case HCV_THR_BETWEEN:
		thr_reason_latency(t, c, "it stays", out);
		break;
	default:
		snprintf(out, HCV_THR_WHY,
			 "the load has not been measured for a period yet: lowest limit");
	}
}
