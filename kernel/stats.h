/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters and latency histograms of volumes, links, exports and stores.
 *
 * One type for all, per processor: counting takes a few instructions, no lock
 * and no shared cache line.  A store's figures are its own plus those of its
 * parts (exports, and links of this node's volumes), so that an I/O is counted
 * once: what a part had counted when it leaves is added to the store's own.
 */
#ifndef HCV_STATS_H
#define HCV_STATS_H

#include <linux/bitops.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/percpu.h>

#include <linux/hcivol.h>

enum hcv_io_op {
	HCV_IO_READ,
	HCV_IO_WRITE,
	HCV_IO_FLUSH,
	HCV_IO_DISCARD,
	HCV_IO_ZEROES,
	HCV_IO_OPS
};

/* The operations that have a histogram come first. */
#define HCV_STATS_HISTS	(HCV_IO_FLUSH + 1)

/**
 * struct hcv_stats - of one processor, or the sum of all
 * @begun: I/Os that were sent down; only where hcv_stats_begin() is used
 * @ios: those that have ended, well or not
 * @bytes: of those that ended well
 * @errors: those that failed
 * @hist: by latency, see hcv_stats_bucket()
 *
 * Nothing but u64.
 */
struct hcv_stats {
	u64 begun;
	u64 ios[HCV_IO_OPS];
	u64 bytes[HCV_IO_OPS];
	u64 errors;
	u64 hist[HCV_STATS_HISTS][HCV_HIST_BUCKETS];
};

/**
 * struct hcv_stats_part - what belongs to a group for some time
 * @node: entry of the group
 * @stats: the counters
 * @base: what they said when it joined
 */
struct hcv_stats_part {
	struct list_head node;
	struct hcv_stats __percpu *stats;
	struct hcv_stats base;
};

/**
 * struct hcv_stats_group - counters that add up
 * @lock: @parts; nothing is taken under it
 * @own: counted directly, and what former parts have left
 * @parts: those of now
 */
struct hcv_stats_group {
	struct mutex lock;	/* @parts */
	struct hcv_stats __percpu *own;
	struct list_head parts;
};

/**
 * hcv_stats_bucket() - i for latencies of [2^i, 2^(i+1)) us, us of 1,024 ns
 *
 * Bucket 0 has those below 2 us, the last one everything longer.
 */
static inline u32 hcv_stats_bucket(s64 ns)
{
	return min_t(u32, fls64((u64)ns >> 11), HCV_HIST_BUCKETS - 1);
}

/** hcv_stats_begin() - an I/O is sent down; any context */
static inline void hcv_stats_begin(struct hcv_stats __percpu *stats)
{
	this_cpu_inc(stats->begun);
}

/** hcv_stats_cancel() - it was not sent after all */
static inline void hcv_stats_cancel(struct hcv_stats __percpu *stats)
{
	this_cpu_dec(stats->begun);
}

/**
 * hcv_stats_end() - count an I/O that has ended; any context
 * @op: enum hcv_io_op
 * @ns: its latency
 */
static inline void hcv_stats_end(struct hcv_stats __percpu *stats, u8 op,
				 u32 bytes, s64 ns, bool error)
{
	this_cpu_inc(stats->ios[op]);
	if (unlikely(error))
		this_cpu_inc(stats->errors);
	else
		this_cpu_add(stats->bytes[op], bytes);
	if (op < HCV_STATS_HISTS)
		this_cpu_inc(stats->hist[op][hcv_stats_bucket(ns)]);
}

/** hcv_stats_sum() - add up all processors' counters */
void hcv_stats_sum(struct hcv_stats __percpu *stats, struct hcv_stats *sum);

int hcv_stats_group_init(struct hcv_stats_group *group);
/** hcv_stats_group_exit() - all parts have left */
void hcv_stats_group_exit(struct hcv_stats_group *group);
/** hcv_stats_join() - what @part counts from now on counts for @group too */
void hcv_stats_join(struct hcv_stats_group *group, struct hcv_stats_part *part,
		    struct hcv_stats __percpu *stats);
/** hcv_stats_leave() - no longer; what it has counted stays with @group */
void hcv_stats_leave(struct hcv_stats_group *group,
		     struct hcv_stats_part *part);
/** hcv_stats_group_sum() - of a group with all its parts; process context */
void hcv_stats_group_sum(struct hcv_stats_group *group, struct hcv_stats *sum);

#endif /* HCV_STATS_H */
