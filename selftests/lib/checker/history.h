/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a volume may return, from what its users were told: events in, faults
 * out.  No I/O, no clock.
 *
 * How it works
 *
 * A session is one attachment of the volume; sessions follow each other. Within
 * one, each block is an atomic register: every write of it takes effect at one
 * moment between its begin and its acknowledgment, and a read returns what
 * took effect last at one moment between begin and end. Events are given in an
 * order in which an acknowledgment never comes too early and a begin never
 * too late, so that "ended before the other one began" is true whenever the
 * events say so. Their numbers are the time.
 *
 * Values are unique. So the operations of one value (its write and the reads
 * that returned it) can be taken together, and it is enough to know of each
 * value when the first of its operations ended and when the last one began:
 * value V was there before value W if that end lies before this begin. A
 * history is possible exactly if no two values come before each other (Gibbons
 * and Korach, "Testing shared memories", SIAM J. Comput. 26, 1997).
 *
 *   a write without an end     takes effect at any time, or never
 *   one that ended in an error the same, but not after a later write of the
 *                              block that began after the error was
 *                              acknowledged: it may not land late
 *
 * A FLUSH makes durable what had taken effect for certain when it began: what
 * was acknowledged or read before. So does the acknowledgment of a FUA write,
 * for that write. When a session ends in a crash, a block keeps one of its
 * values, but none that came before a durable one. When it ends in order, all
 * that took effect is durable. What a block holds at the start of a session
 * stays: once one of the values that it may have has been read, the others
 * never appear again, whatever fails next, since who takes over flushes before
 * it serves.
 *
 * The tail of the events of a session may be missing. Missing ends say nothing
 * against a value. A value whose begin is missing is taken for one of the tail
 * unless its writer's events are known to be complete.
 */
#ifndef HCV_CK_HISTORY_H
#define HCV_CK_HISTORY_H

#include "stamp.h"

enum hcv_ck_fault {
	HCV_CK_F_EVENTS,	/* the events make no sense: no verdict */
	HCV_CK_F_TORN,
	HCV_CK_F_FOREIGN,	/* nobody wrote that there */
	HCV_CK_F_LOST,		/* older than what is durable */
	HCV_CK_F_BACK,		/* a value that was read went back */
	HCV_CK_F_STALE,		/* older than what was acknowledged */
	HCV_CK_F_LATE,		/* a failed write landed after a newer one */
	HCV_CK_F_FENCED,	/* I/O of who is not the owner any more */
	HCV_CK_F_REPLICA,	/* replicas differ, or all are wrong */
	HCV_CK_FAULTS,
};

enum hcv_ck_end {
	HCV_CK_CRASH,
	HCV_CK_CLEAN,		/* stopped in order: all is durable */
};

struct hcv_ck;

/**
 * hcv_ck_new() - nothing has been written
 * @nr_blocks: blocks that events are about, all of them zeroes
 *
 * Runs out of memory by ending the program, as all functions here.
 */
struct hcv_ck *hcv_ck_new(u32 nr_blocks);
void hcv_ck_free(struct hcv_ck *ck);

/** hcv_ck_fault_name() - for people, "lost" for example */
const char *hcv_ck_fault_name(enum hcv_ck_fault fault);

/**
 * hcv_ck_at() - number of the next event, for messages
 * @event: one that is not above that of the last event is left out
 */
void hcv_ck_at(struct hcv_ck *ck, u64 event);

/**
 * hcv_ck_session() - the volume has been attached
 * @session: above that of the one before, which has to have ended
 */
void hcv_ck_session(struct hcv_ck *ck, u32 session);

/** hcv_ck_end() - the attachment is over */
void hcv_ck_end(struct hcv_ck *ck, enum hcv_ck_end how);

/** hcv_ck_writer() - there is such a writer, whether it writes or not */
void hcv_ck_writer(struct hcv_ck *ck, u32 writer);
/**
 * hcv_ck_over() - no more events of this writer come in this session
 * @complete: none is missing
 *
 * A writer of which that is not said has lost its tail when the session ends.
 */
void hcv_ck_over(struct hcv_ck *ck, u32 writer, bool complete);

/**
 * hcv_ck_superseded() - another owner serves the volume
 *
 * No I/O of this session that begins later may succeed.
 */
void hcv_ck_superseded(struct hcv_ck *ck);

/**
 * hcv_ck_write() - a write is about to begin
 * @writer: one write at a time each
 * @seq: 1, 2, ...
 * @fua: its acknowledgment says that it is durable
 */
void hcv_ck_write(struct hcv_ck *ck, u32 writer, u64 seq, u32 block, u32 count,
		  bool fua);
/** hcv_ck_written() - it ended; @err: 0 or not */
void hcv_ck_written(struct hcv_ck *ck, u32 writer, u64 seq, int err);

/** hcv_ck_begin() - a FLUSH or a read begins; returns the time for its end */
u64 hcv_ck_begin(struct hcv_ck *ck);
void hcv_ck_flushed(struct hcv_ck *ck, u64 begin, int err);
/** hcv_ck_read() - a read ended well with these stamps */
void hcv_ck_read(struct hcv_ck *ck, u64 begin, u32 block, u32 count,
		 const struct hcv_ck_stamp *stamps);

/**
 * hcv_ck_replica() - what one replica holds, read by itself
 *
 * After a session has ended in order; all that are named for a block have to
 * agree.
 */
void hcv_ck_replica(struct hcv_ck *ck, u32 replica, u32 block,
		    const struct hcv_ck_stamp *stamp);

/** hcv_ck_note_events() - the source of the events is broken */
__printf(2, 3)
void hcv_ck_note_events(struct hcv_ck *ck, const char *fmt, ...);

/* The verdict; that on a session is complete when it has ended. */
u64 hcv_ck_count(const struct hcv_ck *ck, enum hcv_ck_fault fault);
u64 hcv_ck_faults(const struct hcv_ck *ck);
/** hcv_ck_text() - what the @i-th fault is; NULL: no more are kept */
const char *hcv_ck_text(const struct hcv_ck *ck, u32 i);
/** hcv_ck_unread() - blocks that nobody read in the last session */
u32 hcv_ck_unread(const struct hcv_ck *ck);
/** hcv_ck_choices() - how many values a block may have after the last end */
u32 hcv_ck_choices(const struct hcv_ck *ck, u32 block);

#endif
