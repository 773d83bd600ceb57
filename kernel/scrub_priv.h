/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What scrub.c and scrub_page.c share.  All of it is the worker's, but for what
 * is begun and shown.
 */
#ifndef HCV_SCRUB_PRIV_H
#define HCV_SCRUB_PRIV_H

#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "core/scrub.h"
#include "hotslot.h"

#define SCRUB_PIECE_BYTES	(HCV_SCRUB_BLOCKS << HCV_BLOCK_SHIFT)

struct hcv_ioref;
struct hcv_link;

/**
 * struct hcv_scrub - the newest pass of a volume
 * @vol: the volume
 * @lock: what hcv_scrub_show() tells: @state, @nr, @total, the times, @pass
 * @work: the pass
 * @stop: it is to end
 * @state: enum hcv_scrub_state; RUNNING and PAUSED: @work is under way or queued
 * @nr: of the pass, since the volume was attached
 * @kibps: limit of what is read from one copy, 0: none
 * @begun_ns: CLOCK_BOOTTIME
 * @ended_ns: CLOCK_BOOTTIME
 * @total: blocks of data, when it began
 * @since_ns: of each link, since when it was in its state then
 * @told: findings that were told one by one
 * @pos: where it is
 * @pace: keeps to the limit
 * @pass: what it found
 * @piece: under way
 * @insync_seq: vol->insync_seq when its first look began
 * @single: block by block, since some of it cannot be read
 * @at: the next one then
 * @wrote: something was repaired
 * @asked_ns: since when a log entry is wanted for the piece, 0: none is
 * @watch: between the two looks at it
 * @buf: for each copy a piece; only while it runs
 */
struct hcv_scrub {
	struct hcv_vol *vol;
	spinlock_t lock;	/* of what is shown */
	struct work_struct work;
	bool stop;
	u8 state;
	u64 nr;
	u32 kibps;
	u64 begun_ns;
	u64 ended_ns;
	u64 total;
	u64 since_ns[HCV_MAX_LINKS];
	u32 told;
	struct hcv_scrub_pos pos;
	struct hcv_scrub_pace pace;
	struct hcv_scrub_pass pass;
	struct hcv_scrub_piece piece;
	u32 insync_seq;
	bool single;
	u8 at;
	bool wrote;
	u64 asked_ns;
	struct hcv_hotwatch watch;
	void *buf[HCV_SCRUB_COPIES];
};

/**
 * struct scrub_hold - what keeps a slot, and its extent, where they are
 * @ref: the period; NULL: there is none any more
 * @mib: of the record
 * @hot: its busy bits are held
 * @blk: from here on
 * @nr: so many
 * @ext: the extent
 * @rec: its record, as it is now
 */
struct scrub_hold {
	struct hcv_ioref *ref;
	u32 mib;
	struct hcv_hot *hot;
	u32 blk;
	u32 nr;
	struct hcv_ext *ext;
	struct hcv_rec rec;
};

/** hcv_scrub_over() - it is to end, or the volume has */
bool hcv_scrub_over(struct hcv_scrub *s);
/** hcv_scrub_throttle() - sleep until @bytes of each copy may be read */
void hcv_scrub_throttle(struct hcv_scrub *s, u32 bytes);
/**
 * hcv_scrub_peek() - a record of the extent at s->pos, as it is now
 *
 * The extent may go at once.  Return: false: there is no such extent.
 */
bool hcv_scrub_peek(struct hcv_scrub *s, u32 rec, struct hcv_rec *out);
/**
 * hcv_scrub_hold() - keep a record, and its extent, where they are
 * @want: the record as it was
 * @h: @blk and @nr are set: which busy bits of its mib to take
 *
 * A slot with data is freed only under all bits of its mib; and an extent of which
 * a record was in use stays as long as the period does, since no record is given
 * back before that is over.  Sleeps.  Return: 0; -ESTALE: it is another record by
 * now; -EIO: it is over.
 */
int hcv_scrub_hold(struct hcv_scrub *s, u32 rec, const struct hcv_rec *want,
		   struct scrub_hold *h);
/** hcv_scrub_release() - the end of hcv_scrub_hold(); h->ref may be gone */
void hcv_scrub_release(struct hcv_scrub *s, struct scrub_hold *h);
/** hcv_scrub_sleep() - for so long, or until it is over */
void hcv_scrub_sleep(struct hcv_scrub *s, u32 ms);
/**
 * hcv_scrub_read() - read @nr blocks at once
 *
 * Return: 0, -EIO: some cannot be read, and if it is one that is its copy's last
 * word; -ENOLINK: the copy is away, or it is over.
 */
int hcv_scrub_read(struct hcv_scrub *s, struct hcv_link *link,
		   sector_t sector, void *buf, u32 nr);
/** hcv_scrub_copies() - note which copies @ext has, in the order of reads */
void hcv_scrub_copies(struct hcv_scrub *s, struct hcv_ext *ext);
/** hcv_scrub_tell() - a finding on copy @c, for the log and the agent */
__printf(3, 4) void hcv_scrub_tell(struct hcv_scrub *s, u32 c,
				   const char *fmt, ...);

/* scrub_page.c */
/** hcv_scrub_step_pages() - the pages of the extent at s->pos */
int hcv_scrub_step_pages(struct hcv_scrub *s);

#endif /* HCV_SCRUB_PRIV_H */
