/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between history.c, which takes events, and order.c, which judges a session.
 */
#ifndef HCV_CK_HISTORY_PRIV_H
#define HCV_CK_HISTORY_PRIV_H

#include "history.h"

#define HCV_CK_NEVER	U64_MAX

/*
 * One value of a block in the current session. The first of a block stands for
 * what was there before: written and over when the session began.
 */
struct hcv_ck_value {
	u64 id;
	u64 first_end;		/* of its operations; a failed write has none */
	u64 last_begin;
	u64 write_begin;
	u64 write_end;		/* well or not; HCV_CK_NEVER */
	bool acked;
	bool read;
	bool fua;
	bool before;		/* order.c: comes before what is durable */
};

struct hcv_ck_block {
	struct hcv_ck_value *vals;
	u32 nr_vals, cap_vals;
	u32 nr_may, cap_may;
	u64 *may;		/* what it may hold when a session begins */
	u64 floor;		/* why not others: this one was durable, */
	bool floor_read;	/* or read after the session began with it */
	u32 read_in;		/* session */
	bool settled;		/* the one value that it may hold was read */
};

struct hcv_ck_range {
	u32 block, count;
};

/* The writes of one writer in one session. */
struct hcv_ck_stream {
	u32 session, writer;
	u32 nr, cap;
	struct hcv_ck_range *writes;
	bool pending;
	bool over, tail;
};

struct hcv_ck {
	struct hcv_ck_block *blocks;
	u32 nr_blocks;
	u32 session;
	bool ended;
	u64 now;
	u64 started;		/* when this session was */
	u64 superseded;		/* 0: not */
	u64 flushed;		/* begin of the latest FLUSH that ended well */
	struct hcv_ck_stream *streams;
	u32 nr_streams, cap_streams;
	u64 count[HCV_CK_FAULTS];
	char **texts;
	u32 nr_texts, cap_texts;
};

struct hcv_ck_words {
	char text[40];
};

/** hcv_ck_words() - "SESSION.WRITER.SEQ" */
struct hcv_ck_words hcv_ck_words(u64 id);

/** hcv_ck_grow() - room for one more in an array of @nr */
void *hcv_ck_grow(void *array, u32 nr, u32 *cap, size_t size);

__printf(3, 4)
void hcv_ck_fault(struct hcv_ck *ck, enum hcv_ck_fault fault, const char *fmt,
		  ...);

/* order.c */
void hcv_ck_may_be(struct hcv_ck_block *blk, u64 id);
struct hcv_ck_value *hcv_ck_add(struct hcv_ck_block *blk, u64 id);
/** hcv_ck_find() - a value of this session, or NULL */
struct hcv_ck_value *hcv_ck_find(struct hcv_ck_block *blk, u64 id);

#endif
