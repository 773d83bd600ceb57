/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rooms of the data path share and no other needs.
 */
#ifndef HCV_RW_H
#define HCV_RW_H

#include <linux/blkdev.h>
#include <linux/sched.h>
#include "compat.h"

struct hcv_io;

/**
 * hcv_submit_bio() - submit to a lower device, out of the caller's plug
 *
 * A plug that belongs to the submitter of our request is filled with requests
 * of the lower device's queue otherwise, which 6.1 does not stand.
 */
static inline void hcv_submit_bio(struct bio *bio)
{
	struct blk_plug *plug = current->plug;

	hcv_compat_plug_drop_time();
	current->plug = NULL;
	submit_bio_noacct(bio);
	current->plug = plug;
}

/**
 * hcv_rw_lock() - busy bits for io->mib, blk and nblk, unless it has them
 *
 * Return: 0, or -EINPROGRESS: the I/O was parked or ended.
 */
int hcv_rw_lock(struct hcv_io *io);
/** hcv_rw_no_slot() - no slot could be taken: park @io, or end it */
void hcv_rw_no_slot(struct hcv_io *io, int err);
/**
 * hcv_rw_prepare() - busy bits, unflushed mark, log entry and slot for a write
 *
 * Return: 0, or -EINPROGRESS: the I/O was parked or ended.
 */
int hcv_rw_prepare(struct hcv_io *io);

/** hcv_rmw_free() - give up the bounce buffer, back to the parent's data */
void hcv_rmw_free(struct hcv_io *io);

#endif /* HCV_RW_H */
