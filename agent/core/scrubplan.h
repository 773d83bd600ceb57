/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scrubs: what is remembered of the last pass of a volume (key scrub/VOL), and
 * which volume of this node is to be scrubbed next.  Pure.
 */
#ifndef HCV_AGENT_CORE_SCRUBPLAN_H
#define HCV_AGENT_CORE_SCRUBPLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/hcivol.h>

#include "model.h"

#define HCV_SCRUB_DAYS		28U	/* as long as nobody sets it */
#define HCV_SCRUB_DAYS_MAX	3650U
#define HCV_SCRUB_KIBPS		10240U	/* the same */
#define HCV_SCRUB_KIBPS_MAX	(1U << 30)
/* A pass that did not get to its end is tried again after this. */
#define HCV_SCRUB_RETRY_S	86400

/**
 * struct hcv_scrub_store - what a pass found out of one replica, in blocks
 * @result: enum hcv_scrub_result
 */
struct hcv_scrub_store {
	char store[HCV_ID_LEN];
	unsigned int result;
	uint64_t covered, missed, damaged, media, repaired, failed, pages;
};

/**
 * struct hcv_scrub_info - the last pass of a volume, in blocks
 * @node: where it ran
 * @epoch, @pass: which one it was
 * @ended: seconds since 1970
 * @whole: it went through to its end
 */
struct hcv_scrub_info {
	char node[HCV_ID_LEN];
	uint64_t epoch, pass;
	int64_t ended;
	bool whole;
	uint64_t read, changed, damaged, media, lost;
	size_t nr;
	struct hcv_scrub_store st[HCV_REC_STORES];
};

/** hcv_scrub_result_name() - "good", "bad", "uncovered" */
const char *hcv_scrub_result_name(unsigned int result);
/** hcv_scrub_encode() - malloc'd, NULL: out of memory */
char *hcv_scrub_encode(const struct hcv_scrub_info *i);
/** hcv_scrub_decode() - 0, or -EINVAL with the member named in @err */
int hcv_scrub_decode(const char *json, struct hcv_scrub_info *i, char *err);

/**
 * hcv_scrub_carry() - what is still to be said of a store after a further pass
 * @new: that pass
 * @old: what was remembered; of a store that could not be repaired that stays, unless
 *	the further pass found it good
 * @store: a store that the volume has
 */
void hcv_scrub_carry(struct hcv_scrub_info *new,
		     const struct hcv_scrub_info *old, const char *store);

/**
 * struct hcv_scrubplan_vol - a volume that the module of this node has
 * @active: it is in use, or could be, and no replica is coming or going
 * @running: a pass is under way, and does not wait for such a one
 * @created: seconds since 1970
 * @last: its last pass, NULL: none
 */
struct hcv_scrubplan_vol {
	bool active;
	bool running;
	int64_t created;
	const struct hcv_scrub_info *last;
};

/** hcv_scrubplan_due() - when, in seconds since 1970; @days: between passes */
int64_t hcv_scrubplan_due(const struct hcv_scrubplan_vol *v, unsigned int days,
			  int64_t now);
/**
 * hcv_scrubplan_next() - the volume that is to be scrubbed now
 * @days: 0: never
 *
 * The one that is overdue for longest; one at a time on a node, those that
 * people began count as well.  One that waits for its replicas keeps nobody: that
 * may last as long as recovery is paused.  Return: its place in @v, or -1.
 */
int hcv_scrubplan_next(const struct hcv_scrubplan_vol *v, size_t nr,
		       unsigned int days, int64_t now);

#endif /* HCV_AGENT_CORE_SCRUBPLAN_H */
