/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One I/O of a volume, whichever front it came in by.
 *
 * Life: a front fills in the object and calls hcv_io_submit().  From there it
 * either waits (parked: no reference on the volume's I/O reference, no
 * busy bits), or runs (holds both), or has run and waits for the right to be
 * acknowledged (holds both).  From the queue for busy bits it comes back with
 * the bits and without the reference.  It ends exactly once, in hcv_io_end().
 */
#ifndef HCV_IO_H
#define HCV_IO_H

#include <linux/blkdev.h>
#include <linux/list.h>
#include <linux/percpu-refcount.h>
#include <linux/workqueue.h>

#include <linux/hcivol.h>
#include <linux/hcivol_format.h>
#include "hotslot.h"
#include "stats.h"

/* What the submitter of the moment must not have merged with our bios. */
#define HCV_BIO_FLAGS	(REQ_SYNC | REQ_META | REQ_PRIO | REQ_IDLE)

struct hcv_io;
struct hcv_ioref;
struct hcv_link;
struct hcv_period;
struct hcv_vol;

/**
 * struct hcv_leg - the part of an I/O that goes to one replica
 * @io: the I/O
 * @link: the replica
 * @period: of the local gate, that counts it; NULL: another node's
 * @strong: counts for the acknowledgment (in-sync or joining when submitted)
 * @bytes: its length, for the counters
 * @bio: shares the pages of the parent; last, it may carry inline vectors
 */
struct hcv_leg {
	struct hcv_io *io;
	struct hcv_link *link;
	struct hcv_period *period;
	bool strong;
	bool refused;		/* the gate of its store let it not in */
	u32 bytes;
	struct bio bio;
};

/* Flags of an I/O; only the one who runs it looks at them. */
#define HCV_IO_FUA	BIT(0)
#define HCV_IO_SYNC	BIT(1)	/* REQ_SYNC of the parent */
#define HCV_IO_BUSY	BIT(2)	/* holds busy bits */
#define HCV_IO_BOUNCED	BIT(3)	/* @bv is a bounce table */
#define HCV_IO_PREFLUSHED BIT(4)	/* a bio's PREFLUSH was served */
#define HCV_IO_NOWAIT	BIT(5)	/* fail with AGAIN rather than wait */
#define HCV_IO_COUNTED	BIT(6)	/* a front's, seen by statistics */
#define HCV_IO_LANDED	BIT(7)	/* a write, on all replicas and in the map */
#define HCV_IO_UNSURE	BIT(8)	/* a write that is counted in vol->nr_unsure */
#define HCV_IO_TEMP	BIT(9)	/* had a leg to a temporary replica, some time */

/**
 * struct hcv_io - one I/O
 * @vol: the volume
 * @done: of the front: ends the parent, frees the object; any context
 * @parent: request or bio, the front's business
 * @ref: the volume's I/O reference, when it runs
 * @hot: its busy bits' object, when HCV_IO_BUSY
 * @leaf: the map's leaf of @mib, once looked up
 * @slot: where it goes
 * @bv: vectors of the data, shared with the parent unless bounced
 * @iter: position in @bv; size in bytes
 * @pos: first byte in the volume
 * @len: bytes
 * @op: enum hcv_io_op
 * @flags: HCV_IO_*
 * @wait: enum hcv_wait while it waits
 * @status: of the last replica that said no and stays in-sync; in the end
 *	that of the I/O
 * @strong_ok: strong legs that completed well
 * @tried: links that a read got a final no from (atomic bits)
 * @ack_gate: vol->ack_gate, open, before the links were looked at
 * @work: for what needs process context
 * @mib: megabyte of the volume
 * @blk: first block in it
 * @nblk: blocks touched
 * @pending: legs in flight, plus one while they are being submitted
 * @legs: legs of a write
 * @kick_seq: the volume's kick sequence when it was submitted
 * @start_ns: CLOCK_BOOTTIME of the first submission
 * @run_ns: CLOCK_BOOTTIME of the latest one
 * @wait_ns: CLOCK_BOOTTIME since when it waits
 * @at: of DISCARD and WRITE ZEROES: all before this byte is done
 * @node: in the volume's lists of those who wait
 * @hotwait: in the queue for busy bits
 * @leg: one per replica
 */
struct hcv_io {
	struct hcv_vol *vol;
	void (*done)(struct hcv_io *io);
	void *parent;
	struct hcv_ioref *ref;
	struct hcv_hot *hot;
	struct hcv_leaf *leaf;
	struct hcv_slot *slot;
	struct bio_vec *bv;
	struct bvec_iter iter;
	u64 pos;
	u32 len;
	u8 op;
	u8 wait;
	u8 legs;
	u16 flags;
	blk_status_t status;
	atomic_t strong_ok;
	unsigned long tried;
	u32 mib;
	u16 blk;
	u16 nblk;
	atomic_t pending;
	u32 kick_seq;
	u32 ack_gate;
	struct work_struct work;
	u64 start_ns;
	s64 run_ns;
	u64 wait_ns;
	u64 at;
	struct list_head node;
	struct hcv_hotwait hotwait;
	struct hcv_leg leg[HCV_MAX_REPLICAS];
};

/**
 * hcv_io_init() - prepare an object that a front owns
 * @bv: vectors of the data, NULL without data
 *
 * Reads and writes lie in one mib: the disk's limits see to it.
 */
static inline void hcv_io_init(struct hcv_io *io, struct hcv_vol *vol, u8 op,
			       u64 pos, u32 len, struct bio_vec *bv,
			       const struct bvec_iter *iter)
{
	io->vol = vol;
	io->ref = NULL;
	io->hot = NULL;
	io->leaf = NULL;
	io->slot = NULL;
	io->bv = bv;
	if (iter)
		io->iter = *iter;
	io->pos = pos;
	io->at = pos;
	io->len = len;
	io->op = op;
	io->flags = 0;
	io->wait = HCV_WAIT_NONE;
	io->status = BLK_STS_OK;
	io->tried = 0;
	io->start_ns = 0;
	io->wait_ns = 0;
	io->mib = pos >> HCV_SLOT_SHIFT;
	io->blk = (pos & (HCV_SLOT_SIZE - 1)) >> HCV_BLOCK_SHIFT;
	io->nblk = DIV_ROUND_UP((pos & (HCV_BLOCK_SIZE - 1)) + len,
				HCV_BLOCK_SIZE);
}

/** hcv_io_submit() - start it; also starts it again; may sleep */
void hcv_io_submit(struct hcv_io *io);
/** hcv_io_end() - release what it holds and complete it; any context */
void hcv_io_end(struct hcv_io *io, blk_status_t status);
/** hcv_io_end_at() - the same, when the clock was just read */
void hcv_io_end_at(struct hcv_io *io, blk_status_t status, s64 now_ns);
/**
 * hcv_io_park() - wait for @wait, then be submitted again
 *
 * Gives up reference and busy bits.  If anything it may wait for has changed
 * since it was submitted, it is submitted again at once. Any context.
 */
void hcv_io_park(struct hcv_io *io, u8 wait);
/** hcv_io_again() - submit it again from a worker; any context */
void hcv_io_again(struct hcv_io *io);
/** hcv_io_same_links() - none failed or came back since @io was submitted */
bool hcv_io_same_links(const struct hcv_io *io);
/** hcv_io_unlock() - give up busy bits */
void hcv_io_unlock(struct hcv_io *io);
/** hcv_io_release() - give up busy bits and reference, not the I/O */
void hcv_io_release(struct hcv_io *io);
/**
 * hcv_io_ack() - an I/O is done: acknowledge it as soon as that may be
 *
 * The only way to a guest's success of anything but a read.  A write that some
 * replica lacks is run again instead. Any context.
 */
void hcv_io_ack(struct hcv_io *io, s64 now_ns);
/** hcv_io_errno_status() - the one place where errno becomes a status */
blk_status_t hcv_io_errno_status(int err);

/* rmw.c: data that does not cover whole blocks. */
void hcv_rmw_submit(struct hcv_io *io);
int hcv_rmw_init(void);
void hcv_rmw_exit(void);

/* settle.c */
/**
 * hcv_settle() - end a write that the last replica's disk has refused
 *
 * Its legs have ended, its blocks are busy. What other replicas took of it is
 * made equal to what that disk has; then it ends with @io->status. Any context.
 */
void hcv_settle(struct hcv_io *io);
int hcv_settle_init(void);
void hcv_settle_exit(void);

/* zero.c: DISCARD and WRITE ZEROES, in process context. */
void hcv_zero_submit(struct hcv_io *io);
/**
 * hcv_zero_reap() - free the slot of a mib if nothing is in it, nor on its way
 *
 * For who held some of its busy bits: a DISCARD that wanted all of them found
 * them taken, and left this to others.  The caller is counted in a period and
 * has given its bits back.  Context: process.
 */
void hcv_zero_reap(struct hcv_vol *vol, u32 mib);
int hcv_zero_init(void);
void hcv_zero_exit(void);

/* rw.c */
void hcv_rw_read(struct hcv_io *io);
void hcv_rw_write(struct hcv_io *io);
/** hcv_rw_submit_write() - send @io->bv/@iter to all replicas; busy, mapped */
void hcv_rw_submit_write(struct hcv_io *io);
/** hcv_rw_landed() - all replicas have a write: tell the map */
void hcv_rw_landed(struct hcv_io *io);
/**
 * hcv_rw_unsure() - a write may end without having landed: stamp its blocks
 * @io: with its slot and its mark
 *
 * Who has got it is not known.  A copy that left before the mark, which a round
 * may have forgotten in between, must not compare equal; one that leaves
 * later finds the mark.  Until it ends no entry of the activity log is dropped: it
 * may let its blocks go and be run again.  Any context.
 */
void hcv_rw_unsure(struct hcv_io *io);
int hcv_rw_init(void);
void hcv_rw_exit(void);

#endif /* HCV_IO_H */
