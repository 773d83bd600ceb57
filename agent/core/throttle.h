/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How fast a node recovers replicas.  Pure.
 *
 * How it works.  The agent looks at its node's counters once a second
 * (HCV_THR_LOOK_MS) and hands them to hcv_thr_look(), which sets one limit for
 * all copying of the node; hcv_thr_divide() makes limits of single resyncs of
 * it.  There are three modes:
 *
 * STATIC	one limit.
 * AUTO		when the foreground load, as a mean over HCV_THR_PERIOD_MS, reaches
 *		the threshold of I/Os or the one of bytes, the limit is at once the
 *		lowest one.  When it is below both, and recovery ran above 80 % of
 *		the limit for a whole period, the limit grows by half, once a
 *		period, up to the highest one.
 * LATENCY	each volume's p99 is compared with what it was without recovery.  One
 *		above `factor` times that halves the limit; when all are below the
 *		middle of 1 and `factor`, and the limit is used, it grows by a
 *		sixteenth of its range.  It never goes below a floor.
 *
 * The means are those of a period, but they are looked at each second: a load
 * that begins between two ends of a period need not fill the next one to be
 * seen.  A limit that has grown is kept for a period, because what recovery
 * did under the one before says nothing about it.
 *
 * Recovery writes to disks of other nodes as well.  A node that is loaded says so
 * (hcv_thr_loaded()), and to the one that recovers to it this is load of its
 * own: the lowest limit in mode AUTO, halved at each look in mode LATENCY.
 *
 * Without a mean (the agent has just begun, or was held up for long) the limit
 * is the lowest one, whatever it was: nobody knows the load.
 *
 * All rates are KiB/s of 1,024 bytes.
 */
#ifndef HCV_AGENT_CORE_THROTTLE_H
#define HCV_AGENT_CORE_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/hcivol.h>

#define HCV_THR_LOOK_MS		1000
#define HCV_THR_PERIOD_MS	4000
#define HCV_THR_SLACK_MS	250	/* by which a look may come early */
#define HCV_THR_RING		12
#define HCV_THR_USED_PCT	80	/* of the limit, to have it grow */
#define HCV_THR_WHY		256
#define HCV_THR_NAME		64

#define HCV_THR_STATIC_MIN	1024U		/* 1 MiB/s */
#define HCV_THR_STATIC_MAX	(500U * 1024)	/* 500 MiB/s */
#define HCV_THR_FACTOR_MIN	120U		/* percent */
#define HCV_THR_FACTOR_MAX	1000U

/* I/Os of a volume that say something about its p99. */
#define HCV_THR_LAT_SOON	100	/* before the period is over */
#define HCV_THR_LAT_LEAST	20	/* at its end; fewer: it is quiet */
#define HCV_THR_LAT_STEPS	16

enum hcv_thr_mode { HCV_THR_AUTO, HCV_THR_STATIC, HCV_THR_LATENCY };

/**
 * struct hcv_thr_conf - what is in force on a node
 * @paused: nothing is copied, whatever the mode says
 * @static_kibps: STATIC: HCV_THR_STATIC_MIN .. HCV_THR_STATIC_MAX
 * @iops, @fg_kibps: AUTO: thresholds of the foreground load, at least 1
 * @min_kibps, @max_kibps: AUTO: at least 1, in order; LATENCY: the highest one
 * @factor_pct: LATENCY: HCV_THR_FACTOR_MIN .. HCV_THR_FACTOR_MAX
 * @floor_kibps: LATENCY: the lowest limit, 1 .. @max_kibps
 */
struct hcv_thr_conf {
	enum hcv_thr_mode mode;
	bool paused;
	uint32_t static_kibps;
	uint32_t iops;
	uint32_t fg_kibps;
	uint32_t min_kibps;
	uint32_t max_kibps;
	uint32_t factor_pct;
	uint32_t floor_kibps;
};

/**
 * struct hcv_thr_vol - LATENCY: a volume's memory; zero it at its attach
 * @name: for people
 * @hist: in: its histogram now, reads and writes together
 * @marked: @mark is valid
 * @mark: the histogram when the present window began
 * @base_us: p99 without recovery, 0: not known yet
 * @p99_us: of the last window that had enough I/Os, 0: none yet
 */
struct hcv_thr_vol {
	char name[HCV_THR_NAME];
	uint64_t hist[HCV_HIST_BUCKETS];
	bool marked;
	uint64_t mark[HCV_HIST_BUCKETS];
	uint32_t base_us;
	uint32_t p99_us;
};

/**
 * struct hcv_thr_sample - one look
 * @now_ms: a clock that never goes back
 * @ios, @bytes: of all volumes of the node, counted up and never back
 * @copied: bytes that recovery has written, counted likewise
 * @streams: resyncs that are under way
 * @loaded: a node that recovery writes to and that says that it is loaded, NULL:
 *	there is none
 * @vol: LATENCY: the volumes of this node, their memory is changed
 */
struct hcv_thr_sample {
	int64_t now_ms;
	uint64_t ios;
	uint64_t bytes;
	uint64_t copied;
	unsigned int streams;
	const char *loaded;
	struct hcv_thr_vol *vol;
	size_t nr_vols;
};

/* Why the limit is what it is. */
enum hcv_thr_why {
	HCV_THR_UNMEASURED,	/* no mean yet */
	HCV_THR_IDLE,		/* nothing to recover */
	HCV_THR_FIXED,		/* STATIC */
	HCV_THR_LOAD_IOPS,	/* at the threshold */
	HCV_THR_LOAD_BYTES,
	HCV_THR_LOAD_OTHER,	/* at another node */
	HCV_THR_HIGHEST,
	HCV_THR_UNUSED,		/* recovery does not use what it has */
	HCV_THR_GROWING,
	HCV_THR_SLOWED,		/* LATENCY: above the high mark */
	HCV_THR_AT_FLOOR,	/* the same, and there is nothing to halve */
	HCV_THR_BETWEEN,	/* LATENCY: between the marks */
	HCV_THR_WHYS
};

struct hcv_thr_point {
	int64_t ms;
	uint64_t ios, bytes, copied;
};

/**
 * struct hcv_thr - the controller of one node; zero it first
 * @limit_kibps: for all copying of the node; 0 only before the first look
 * @why: of @limit_kibps
 * @iops, @fg_kibps, @rec_kibps: means over the last period
 * @worst_pct: LATENCY: the highest p99 as percent of its volume's base
 * @worst: LATENCY: name of that volume
 * @loaded: of the last look, or ""
 *
 * The other members are hcv_thr_look()'s own.
 */
struct hcv_thr {
	uint32_t limit_kibps;
	enum hcv_thr_why why;
	uint64_t iops;
	uint64_t fg_kibps;
	uint64_t rec_kibps;
	uint32_t worst_pct;
	char worst[HCV_THR_NAME];
	char loaded[HCV_THR_NAME];

	enum hcv_thr_mode mode;
	bool was_loaded;	/* @load_ms is valid */
	int64_t load_ms;	/* a threshold was reached last */
	int64_t changed_ms;	/* of the limit */
	int64_t window_ms;	/* LATENCY: the window began */
	bool window_quiet;	/* nothing was copied in it */
	uint64_t window_copied;
	size_t nr;
	struct hcv_thr_point ring[HCV_THR_RING];	/* oldest first */
};

/** hcv_thr_look() - take a look at the counters, set the limit */
void hcv_thr_look(struct hcv_thr *t, const struct hcv_thr_conf *c,
		  struct hcv_thr_sample *s);

/**
 * hcv_thr_loaded() - whether this node's guests reach a threshold, whatever the mode
 *
 * Or did within the last two periods: the others are told, and each change costs
 * a transaction.
 */
bool hcv_thr_loaded(const struct hcv_thr *t, int64_t now_ms);

/**
 * hcv_thr_reason() - why the limit is what it is, in words
 * @out: HCV_THR_WHY bytes
 */
void hcv_thr_reason(const struct hcv_thr *t, const struct hcv_thr_conf *c,
		    char *out);

/** hcv_thr_mode_name() - "auto", "static", "latency" */
const char *hcv_thr_mode_name(enum hcv_thr_mode mode);

/**
 * hcv_thr_p99() - 99 % of the I/Os between two histograms were as fast
 * @nr: gets how many they were
 *
 * Within a bucket it is taken to fall exponentially, which is right within
 * 5 % for exponential and log-normal latencies.
 * Return: microseconds (of 1,024 ns), at least 1; 0: there were none
 */
uint32_t hcv_thr_p99(const uint64_t *from, const uint64_t *to, uint64_t *nr);

/**
 * hcv_thr_count() - what a counter has grown by since @last, which is moved
 *
 * One that went back belongs to a new volume, or a new module, and begins at 0.
 */
uint64_t hcv_thr_count(uint64_t *last, uint64_t now);

/**
 * struct hcv_thr_share - a volume that is in recovery
 * @streams: its resyncs that are under way, at least 1
 * @cap_kibps: its own limit of each resync, 0: none
 * @had_kibps: the limit of each that was in force, 0: none was
 * @used_kibps: what all of them copied meanwhile
 * @kibps: out: the limit of each, at least 1
 */
struct hcv_thr_share {
	unsigned int streams;
	uint32_t cap_kibps;
	uint32_t had_kibps;
	uint64_t used_kibps;
	uint32_t kibps;
};

/**
 * hcv_thr_divide() - make one limit into those of single resyncs
 * @limit_kibps: of the node, at least 1
 *
 * Volumes get equal parts.  One that may use less, by its own limit or because
 * it does not get on faster, leaves the rest to those that want more, but keeps
 * a quarter of an equal part to show that it got faster.  The sum is at most
 * @limit_kibps, unless there are more resyncs than KiB/s.
 */
void hcv_thr_divide(uint32_t limit_kibps, struct hcv_thr_share *s, size_t nr);

/**
 * hcv_thr_start() - limit of a resync that begins, until the next look
 *
 * A quarter of the lowest limit: a few that begin at once are no burst.
 */
uint32_t hcv_thr_start(const struct hcv_thr *t, const struct hcv_thr_conf *c);

#endif /* HCV_AGENT_CORE_THROTTLE_H */
