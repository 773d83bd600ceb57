/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the checker's writers put into a 4 KiB block, and what a reader makes
 * of a block that it finds.
 */
#ifndef HCV_CK_STAMP_H
#define HCV_CK_STAMP_H

#include "hcv_shim.h"

#define HCV_CK_BLOCK	4096
#define HCV_CK_SECTOR	512

/*
 * Who wrote: session (one attachment of the volume) from bit 52, writer from
 * bit 40, and its how manieth write, from 1 on. 0 stands for a block of zeroes.
 */
#define HCV_CK_SEQ_BITS		40
#define HCV_CK_WRITER_BITS	12
#define HCV_CK_SEQ_MAX		((1ULL << HCV_CK_SEQ_BITS) - 1)
#define HCV_CK_WRITERS		(1U << HCV_CK_WRITER_BITS)
#define HCV_CK_SESSIONS		(1U << (64 - HCV_CK_SEQ_BITS - \
					HCV_CK_WRITER_BITS))

static inline u64 hcv_ck_id(u32 session, u32 writer, u64 seq)
{
	return (u64)session << (HCV_CK_SEQ_BITS + HCV_CK_WRITER_BITS) |
		(u64)writer << HCV_CK_SEQ_BITS | seq;
}

static inline u32 hcv_ck_id_session(u64 id)
{
	return id >> (HCV_CK_SEQ_BITS + HCV_CK_WRITER_BITS);
}

static inline u32 hcv_ck_id_writer(u64 id)
{
	return id >> HCV_CK_SEQ_BITS & (HCV_CK_WRITERS - 1);
}

static inline u64 hcv_ck_id_seq(u64 id)
{
	return id & HCV_CK_SEQ_MAX;
}

enum hcv_ck_seen {
	HCV_CK_WHOLE,		/* one write's, or zeroes (id 0) */
	HCV_CK_TORN,		/* sectors of two writes: id and other */
	HCV_CK_MISPLACED,	/* written for the block in other */
	HCV_CK_OTHER_RUN,	/* of the run in other */
	HCV_CK_GARBAGE,		/* other: the first sector that no writer made */
};

struct hcv_ck_stamp {
	enum hcv_ck_seen seen;
	u64 id;
	u64 other;
};

/**
 * hcv_ck_stamp_fill() - make the content of a block
 * @buf: HCV_CK_BLOCK bytes
 * @run: tells this use of the volume from earlier ones
 * @block: address in the volume, in blocks
 * @id: not 0
 */
void hcv_ck_stamp_fill(u8 *buf, u64 run, u64 block, u64 id);

/**
 * hcv_ck_stamp_read() - what is in a block that was read at @block
 *
 * Every sector is looked at by itself: its checksum covers all its bytes.
 */
struct hcv_ck_stamp hcv_ck_stamp_read(const u8 *buf, u64 run, u64 block);

#endif
