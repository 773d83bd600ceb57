/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Latency outliers: one store against the others of its class.  Pure.
 *
 * The module counts I/Os by latency in buckets that double (hcv_stats_bucket()),
 * since a store was opened.  The difference of two such samples is a window.
 * What a percentile of a window is, is known up to its bucket only: the value
 * lies in [lo, hi) with hi = 2 lo (and its microseconds have 1,024 ns).  A
 * store is an outlier of a window if even the lower end of its 95th percentile
 * is HCV_LAT_FACTOR times the upper end of the median of its peers'.  So no
 * store is one that is less than 4 times slower than its peers, and every store
 * that is 8 times slower is.  A percentile of few I/Os has an error of its own,
 * which is taken in favour of the store.
 *
 * Some that are slow are busy, so one that moves much more than its peers is not
 * judged; and below a floor nobody is an outlier, however fast the peers are.  A
 * slowdown of all moves the median, and makes no outlier of anybody.
 */
#ifndef HCV_AGENT_CORE_LATENCY_H
#define HCV_AGENT_CORE_LATENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/hcivol.h>

#define HCV_LAT_PERMILLE	950	/* the percentile that is compared */
#define HCV_LAT_MIN_IOS		20	/* fewer do not have one */
#define HCV_LAT_MIN_PEERS	2
#define HCV_LAT_FACTOR		4	/* hi of the median to lo of the store */
#define HCV_LAT_BUSY		4	/* 2^this times the median load: busy */
/*
 * Windows of the last HCV_LAT_WINDOWS.  Up to two may be slow when something
 * common begins, since the peers' notes are older ones, and a disk that tidies up
 * is slow for one every now and then.
 */
#define HCV_LAT_BAD		5
#define HCV_LAT_WINDOWS		6
#define HCV_LAT_WINDOW_MS	10000	/* a window is not shorter than this, */
#define HCV_LAT_WINDOW_MAX_MS	60000	/* nor longer for want of I/O */

/** enum hcv_lat_op - the operations that have histograms, as in the module */
enum hcv_lat_op { HCV_LAT_READ, HCV_LAT_WRITE, HCV_LAT_FLUSH, HCV_LAT_OPS };

/**
 * enum hcv_lat_class - who is compared with whom
 * @HCV_LAT_SSD, @HCV_LAT_HDD: disks, as the nodes that have them see them
 * @HCV_LAT_REMOTE: stores of other nodes, as one node sees them over the network
 */
enum hcv_lat_class {
	HCV_LAT_SSD,
	HCV_LAT_HDD,
	HCV_LAT_REMOTE,
	HCV_LAT_CLASSES
};

/**
 * struct hcv_lat_sample - counters of a store at one time
 * @source: they began anew when this changes: the store's incarnation
 * @at_ms: CLOCK_BOOTTIME
 * @bytes: read and written
 * @errors: I/Os that failed
 */
struct hcv_lat_sample {
	uint64_t source;
	int64_t at_ms;
	uint64_t bytes;
	uint64_t errors;
	uint64_t hist[HCV_LAT_OPS][HCV_HIST_BUCKETS];
};

/** struct hcv_lat_window - what happened between two samples, @ms apart */
struct hcv_lat_window {
	int64_t ms;
	uint64_t bytes;
	uint64_t errors;
	uint64_t ios[HCV_LAT_OPS];
	uint64_t hist[HCV_LAT_OPS][HCV_HIST_BUCKETS];
};

/**
 * hcv_lat_window() - the difference of two samples
 *
 * Return: false if they are not of one count: another source, a counter that
 * went back, or no time between them.  The caller goes on from @to.
 */
bool hcv_lat_window(const struct hcv_lat_sample *from,
		    const struct hcv_lat_sample *to,
		    struct hcv_lat_window *out);

/**
 * hcv_lat_window_full() - whether it is to be judged now
 *
 * It is long enough and some operation has enough I/Os, or it is as long as a
 * window gets.
 */
bool hcv_lat_window_full(const struct hcv_lat_window *w);

/** struct hcv_lat_range - a latency is within [lo, hi) microseconds */
struct hcv_lat_range {
	uint64_t lo;
	uint64_t hi;	/* UINT64_MAX: nobody knows */
};

/** hcv_lat_bucket() - the latencies that a bucket counts */
struct hcv_lat_range hcv_lat_bucket(unsigned int bucket);

/**
 * hcv_lat_percentile() - the bucket of the I/O of rank n * permille / 1000
 * @permille: 1..1000; the rank is rounded up
 *
 * Return: the bucket, or -1 if there is no I/O.
 */
int hcv_lat_percentile(const uint64_t *hist, unsigned int permille);

#define HCV_LAT_UNKNOWN	(-1)

/**
 * struct hcv_lat_note - what others have to know of a window
 * @p95: bucket of the 95th percentile, HCV_LAT_UNKNOWN with too few I/Os
 * @sure: the same less the error of so few I/Os; for its own store only
 * @load: n for [2^(n-1), 2^n) KiB/s, 0 below 1
 *
 * All in powers of two, so that it changes seldom.
 */
struct hcv_lat_note {
	int8_t p95[HCV_LAT_OPS];
	int8_t sure[HCV_LAT_OPS];
	uint8_t load;
};

/** hcv_lat_note() - of a window */
void hcv_lat_note(const struct hcv_lat_window *w, struct hcv_lat_note *note);
/** hcv_lat_note_none() - of no window at all */
void hcv_lat_note_none(struct hcv_lat_note *note);

/**
 * enum hcv_lat_mark - what a window says about its store
 * @HCV_LAT_NONE: nothing: too few I/Os, too few peers, or it is busy
 */
enum hcv_lat_mark { HCV_LAT_NONE, HCV_LAT_FINE, HCV_LAT_SLOW };

/** struct hcv_lat_why - about a mark HCV_LAT_SLOW */
struct hcv_lat_why {
	enum hcv_lat_op op;
	struct hcv_lat_range own;
	struct hcv_lat_range median;
	size_t peers;
};

/**
 * hcv_lat_judge() - compare a store with its peers
 * @peer: of the other stores of @class, as new as can be had
 * @why: filled in for HCV_LAT_SLOW; may be NULL
 */
enum hcv_lat_mark hcv_lat_judge(enum hcv_lat_class class,
				const struct hcv_lat_note *own,
				const struct hcv_lat_note *peer, size_t nr,
				struct hcv_lat_why *why);

/**
 * struct hcv_lat_history - the marks of the last windows, newest in bit 0
 * @fine: windows in a row that were FINE; those that say nothing are skipped
 */
struct hcv_lat_history {
	uint32_t slow;
	uint32_t fine;
};

void hcv_lat_history_add(struct hcv_lat_history *h, enum hcv_lat_mark mark);
/** hcv_lat_history_slow() - HCV_LAT_BAD of the last HCV_LAT_WINDOWS were SLOW */
bool hcv_lat_history_slow(const struct hcv_lat_history *h);

/** hcv_lat_class() - of a disk; "ssd", "hdd" */
enum hcv_lat_class hcv_lat_class(const char *class);
/** hcv_lat_op_name() - "reads", "writes", "flushes" */
const char *hcv_lat_op_name(enum hcv_lat_op op);

#endif /* HCV_AGENT_CORE_LATENCY_H */
