/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The activity log of an attached volume.  See actlog.c.
 */
#ifndef HCV_ACTLOG_H
#define HCV_ACTLOG_H

#include <linux/hcivol.h>
#include <linux/types.h>

#include "core/log.h"

struct hcv_io;
struct hcv_link;
struct hcv_vol;
struct netlink_ext_ack;

/**
 * struct hcv_actlog_numbers - what VOL_GET says of it
 * @entries: mibs that have an entry
 * @misses: times that a write waited for one
 * @writes: pages written, each to all in-sync replicas
 * @evicted: entries that made room for others
 * @named: mibs that the logs named when the volume started
 */
struct hcv_actlog_numbers {
	u32 entries;
	u32 named;
	u64 misses;
	u64 writes;
	u64 evicted;
};

/**
 * struct hcv_log_load - what a start finds
 * @damaged: some has one with damaged pages
 * @look: what they have in common
 * @newest: of each link: bit of a page set: its newest valid place is 1
 */
struct hcv_log_load {
	bool damaged;
	struct hcv_log_look look;
	u8 newest[HCV_MAX_LINKS];
};

/**
 * hcv_actlog_wait() - the log does not name @io's mib: park it until it does
 *
 * It has its leaf, its mark and its busy bits, and loses the bits.  It ends with
 * an error when the last replica's disk refused the entry that it waited for.
 * Any context.
 */
void hcv_actlog_wait(struct hcv_io *io);
/**
 * hcv_actlog_ask() - have the log name a mib for a write that is no I/O
 * @mib: it has a leaf
 * @since_ns: since when it was asked for, CLOCK_BOOTTIME
 *
 * Marks it unflushed, so that the entry stays at least until a round has ended.
 * vol->wait is woken when it is made; should it not be, ask again.  Who then holds
 * busy bits of the mib and sees hcv_map_is_logged() may write until he lets them go.
 * Context: process.  Return: 0; -EIO: the last replica's disk has refused it.
 */
int hcv_actlog_ask(struct hcv_vol *vol, u32 mib, u64 since_ns);
/** hcv_actlog_flushed() - a round has ended well: entries may be idle now */
void hcv_actlog_flushed(struct hcv_vol *vol);
void hcv_actlog_numbers(struct hcv_vol *vol, struct hcv_actlog_numbers *n);
/**
 * hcv_actlog_read() - read the log of an in-sync link
 * @buf: HCV_VOLLOG_SIZE bytes; no valid place is where it could not be read
 *
 * Return: 0, -ENOMEM, or the link's error, if nothing of it can be read.
 * Context: process, vol->mutex held.
 */
int hcv_actlog_read(struct hcv_link *link, void *buf);
/**
 * hcv_actlog_load() - what the log of an in-sync link names is marked
 * @buf: as hcv_actlog_read() filled it
 *
 * vol->mutex held, before the pages are loaded.
 *
 * Return: 0, -ENOMEM, or -ESTALE: it is of a later epoch than the volume.
 */
int hcv_actlog_load(struct hcv_link *link, const void *buf,
		    struct hcv_log_load *load, struct netlink_ext_ack *extack);
/**
 * hcv_actlog_start() - what was named gets stamps; the logs are empty after it
 *
 * Logs that are empty and alike are not written: guests may wait for the start.
 * After the volume page of this epoch was written, before I/O begins.
 * vol->mutex held.
 */
int hcv_actlog_start(struct hcv_vol *vol, const struct hcv_log_load *load);
/**
 * hcv_actlog_join() - give an equal copy the log, and let it be JOINING
 *
 * Return: 0, -ENOMEM, or the error of the link. Context: process.
 */
int hcv_actlog_join(struct hcv_link *link);
/** hcv_actlog_empty() - no I/O comes any more and all is flushed; process */
void hcv_actlog_empty(struct hcv_vol *vol);
/**
 * hcv_actlog_empty_for() - the same, of a volume that may go on
 *
 * From then on a write waits for a new entry.  Context: process.
 * Return: 0: no in-sync replica's log names anything; -EAGAIN: some may;
 * -ETIMEDOUT: not within @ms.  What is not in use is dropped in either case.
 */
int hcv_actlog_empty_for(struct hcv_vol *vol, unsigned int ms);
int hcv_actlog_create(struct hcv_vol *vol);
/** hcv_actlog_stop() - no I/O is left; it kicks nobody after that */
void hcv_actlog_stop(struct hcv_vol *vol);
/** hcv_actlog_destroy() - after that, and after the last round */
void hcv_actlog_destroy(struct hcv_vol *vol);
int hcv_actlog_init(void);
void hcv_actlog_exit(void);

#endif /* HCV_ACTLOG_H */
