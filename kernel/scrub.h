/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scrub of an attached volume.  See scrub.c; decisions are in core/scrub.h.
 *
 * Locks: vol->mutex for start and stop; the worker takes none of the mutexes.
 * What is shown changes under scrub->lock, over which nothing else is taken.
 */
#ifndef HCV_SCRUB_H
#define HCV_SCRUB_H

#include "core/scrub.h"

struct hcv_vol;
struct netlink_ext_ack;

/**
 * struct hcv_scrub_show - the newest pass, for the agent
 * @state: enum hcv_scrub_state
 * @nr: of the pass, since the volume was attached
 * @kibps: its limit
 * @begun_ns: CLOCK_BOOTTIME
 * @ended_ns: CLOCK_BOOTTIME; 0: not yet
 * @total: blocks of data when it began
 * @pass: counters
 */
struct hcv_scrub_show {
	u32 state;
	u64 nr;
	u32 kibps;
	u64 begun_ns;
	u64 ended_ns;
	u64 total;
	struct hcv_scrub_pass pass;
};

/**
 * hcv_scrub_start() - begin a pass, or give the one under way another limit
 * @kibps: of what is read from one replica, 0: none
 *
 * Context: process; does not wait for the pass.  Return: 0, -EBUSY: the volume is
 * not active, or the pass before is just ending; -ENODEV, -ENOMEM.
 */
int hcv_scrub_start(struct hcv_vol *vol, u32 kibps,
		    struct netlink_ext_ack *extack);
/** hcv_scrub_stop() - ask the pass to end; its state tells when it has */
void hcv_scrub_stop(struct hcv_vol *vol);
/**
 * hcv_scrub_end() - stop, and wait for I/O under way
 *
 * The volume is stopping or dying, so that no pass begins after that.  What was
 * repaired is not flushed.  Context: process, without vol->mutex.
 */
void hcv_scrub_end(struct hcv_vol *vol);
/** hcv_scrub_free() - with the volume */
void hcv_scrub_free(struct hcv_vol *vol);
/**
 * hcv_scrub_show() - the newest pass, all of it as it was at one moment
 *
 * Return: false: there was none since the volume was attached.
 */
bool hcv_scrub_show(struct hcv_vol *vol, struct hcv_scrub_show *show);
int hcv_scrub_init(void);
void hcv_scrub_exit(void);

#endif /* HCV_SCRUB_H */
