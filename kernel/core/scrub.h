/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a scrub reads, and what it makes of it.
 *
 * A pass goes through the extents that were there when it began: of each one the
 * metadata pages, then the data blocks of its slots, a piece of 32 blocks at
 * a time, from all in-sync copies.  Copies are numbered in the order in
 * which reads ask them: 0 is the elected one.
 *
 * A piece is looked at under its busy bits.  Blocks that are not the same on all
 * copies, or that some copy refused, are suspects: they are looked at again a
 * little later, under the bits again, and it is known which of them
 * were written in between.  Then:
 *
 *   written in between, and copies differed	changed under write (a guest that
 *						changes its pages meanwhile)
 *   not written, and a copy differs		damage of that copy
 *   not written, and a copy refused, or read
 *   differently the second time		media error of that copy
 *   no copy can be read			lost
 *
 * What differs, or was refused, is written again from the source: the first copy,
 * in the order of reads, that gave the same both times, since that is what
 * the user has been reading.  Which of two copies that differ is the
 * right one nobody can tell.
 *
 * A copy is good only if all that it should have was read from it, in one pass, while
 * it was in-sync all along.
 */
#ifndef HCV_CORE_SCRUB_H
#define HCV_CORE_SCRUB_H

#include <linux/hcivol.h>

#include "format.h"

#define HCV_SCRUB_COPIES	4U	/* of an extent */
#define HCV_SCRUB_LINKS		32U	/* of a volume */
#define HCV_SCRUB_BLOCKS	32U	/* of a piece */
#define HCV_SCRUB_PIECES	(HCV_SLOT_BLOCKS / HCV_SCRUB_BLOCKS)
#define HCV_SCRUB_AGAIN_MS	500U	/* before a second look */
/* So much of a pass is spent on waiting for second looks. */
#define HCV_SCRUB_PATIENCE_MS	60000U

/* --- the cursor ---------------------------------------------------------- */

enum hcv_scrub_step {
	HCV_SCRUB_PAGES,	/* the metadata pages of an extent */
	HCV_SCRUB_PIECE		/* HCV_SCRUB_BLOCKS blocks of a record */
};

/**
 * struct hcv_scrub_pos - where a pass is
 * @ext: index of the extent
 * @end: extents below this one belong to the pass
 * @rec: record, when @step is HCV_SCRUB_PIECE
 * @piece: of the record
 * @step: what is looked at
 */
struct hcv_scrub_pos {
	u32 ext;
	u32 end;
	u16 rec;
	u8 piece;
	u8 step;
};

/** hcv_scrub_pos_begin() - before extent 0; @end: one above the last one */
void hcv_scrub_pos_begin(struct hcv_scrub_pos *pos, u32 end);
/** hcv_scrub_pos_over() - whether all was visited */
bool hcv_scrub_pos_over(const struct hcv_scrub_pos *pos);
/** hcv_scrub_pos_next() - the next piece, record, or extent */
void hcv_scrub_pos_next(struct hcv_scrub_pos *pos);
/** hcv_scrub_pos_skip_rec() - nothing more of this record */
void hcv_scrub_pos_skip_rec(struct hcv_scrub_pos *pos);
/** hcv_scrub_pos_skip_ext() - nothing more of this extent */
void hcv_scrub_pos_skip_ext(struct hcv_scrub_pos *pos);
/**
 * hcv_scrub_blocks() - data blocks of a piece, as bits
 *
 * Nothing else has a content that copies agree on.
 */
u32 hcv_scrub_blocks(const struct hcv_rec *rec, u32 piece);
/**
 * hcv_scrub_run() - consecutive set bits of @blocks, from bit @from on
 * @from: where to look; becomes the first one
 *
 * Return: how many, 0: none is left.
 */
u32 hcv_scrub_run(u32 blocks, u32 *from);

/* --- looks at a piece ---------------------------------------------------- */

/**
 * struct hcv_scrub_look - a piece as its copies gave it
 * @got: copies that were read, as bits; one that is away is not among them
 * @bad: for each copy the blocks that it refused, as bits
 * @like: the lowest copy with the same content of the block
 * @sum: CRC32C of the block; of suspects, and where it was asked for
 */
struct hcv_scrub_look {
	u32 got;
	u32 bad[HCV_SCRUB_COPIES];
	u8 like[HCV_SCRUB_COPIES][HCV_SCRUB_BLOCKS];
	u32 sum[HCV_SCRUB_COPIES][HCV_SCRUB_BLOCKS];
};

/**
 * hcv_scrub_compare() - fill @like of a look whose @got and @bad are there
 * @blocks: those that were read, as bits
 * @buf: for each copy what it gave, block after block
 * @bytes: of a block
 * @sums: whether to sum all of them: second looks, to be held against the first
 *
 * Return: the suspects, as bits; their sums are filled in as well.
 */
u32 hcv_scrub_compare(struct hcv_scrub_look *look, u32 blocks,
		      const void *const *buf, u32 bytes, bool sums);

/**
 * struct hcv_scrub_verdict - what two looks say of the suspects, as bits
 * @changed: changed under write
 * @lost: no copy gives them
 * @damaged: for each copy those that differ from the source
 * @media: for each copy those that it refused, or did not give back steadily
 * @repair: for each copy those to be written
 * @source: for each block the copy to write them from
 */
struct hcv_scrub_verdict {
	u32 changed;
	u32 lost;
	u32 damaged[HCV_SCRUB_COPIES];
	u32 media[HCV_SCRUB_COPIES];
	u32 repair[HCV_SCRUB_COPIES];
	u8 source[HCV_SCRUB_BLOCKS];
};

/**
 * hcv_scrub_decide() - after the second look
 * @blocks: suspects of the first look that are data still
 * @written: those that somebody took for a write between the looks
 *
 * Only copies that gave both looks are judged or written.  The verdict holds as
 * long as the busy bits of the second look are held.
 */
void hcv_scrub_decide(const struct hcv_scrub_look *first,
		      const struct hcv_scrub_look *second, u32 blocks,
		      u32 written, struct hcv_scrub_verdict *v);

/* --- a pass -------------------------------------------------------------- */

/**
 * struct hcv_scrub_copy - what a pass found out of one store, in blocks
 * @covered: read, both looks included
 * @missed: it should have been read, but was away
 * @damaged: differed from the source
 * @media: refused, or not steady
 * @repaired: written again
 * @failed: to be written again, but that failed or is not allowed
 * @pages: metadata pages that were bad, and are written anew
 * @left: it was not in-sync all along
 */
struct hcv_scrub_copy {
	u64 covered;
	u64 missed;
	u64 damaged;
	u64 media;
	u64 repaired;
	u64 failed;
	u64 pages;
	bool left;
};

/**
 * struct hcv_scrub_pass - counters of a pass, in blocks of the volume
 * @read: looked at
 * @changed: changed under write
 * @damaged: differed
 * @media: some copy refused them
 * @lost: no copy gives them
 * @waited_ms: spent on waiting for second looks
 * @copy: by number of the link
 */
struct hcv_scrub_pass {
	u64 read;
	u64 changed;
	u64 damaged;
	u64 media;
	u64 lost;
	u32 waited_ms;
	struct hcv_scrub_copy copy[HCV_SCRUB_LINKS];
};

/**
 * struct hcv_scrub_piece - a piece that was looked at
 * @blocks: data blocks at the first look
 * @gone: those that were data no more at the second
 * @nr: copies that the extent has, the stale and absent among them
 * @link: number of the link of each; @first and @second count the same
 * @again: there was a second look, and a verdict
 * @suspects: of the first look
 * @done: for each copy the blocks that were written again
 */
struct hcv_scrub_piece {
	u32 blocks;
	u32 gone;
	u8 nr;
	u8 link[HCV_SCRUB_COPIES];
	bool again;
	u32 suspects;
	u32 done[HCV_SCRUB_COPIES];
	struct hcv_scrub_look first;
	struct hcv_scrub_look second;
	struct hcv_scrub_verdict verdict;
};

/** hcv_scrub_tally() - count a piece, whatever became of it */
void hcv_scrub_tally(struct hcv_scrub_pass *pass,
		     const struct hcv_scrub_piece *p);
/**
 * hcv_scrub_result() - what may be said of a copy
 * @whole: the pass went through to its end
 */
enum hcv_scrub_result hcv_scrub_result(const struct hcv_scrub_copy *copy,
				       bool whole);
/**
 * hcv_scrub_again_ms() - how long to wait for the second look
 *
 * Takes it from what the pass has left: a copy that differs everywhere must not
 * make it last for ever.
 */
u32 hcv_scrub_again_ms(struct hcv_scrub_pass *pass);

/* --- the rate ------------------------------------------------------------ */

/**
 * struct hcv_scrub_pace - keeps to a limit
 * @at_ns: when the last piece was due
 * @bytes: what it read from one copy
 */
struct hcv_scrub_pace {
	u64 at_ns;
	u64 bytes;
};

/**
 * hcv_scrub_wait_ns() - how long until the next piece is due
 * @kibps: the limit as it is now, 0: none
 *
 * What was owed is counted anew when the limit changes.
 */
u64 hcv_scrub_wait_ns(const struct hcv_scrub_pace *pace, u32 kibps,
		      u64 now_ns);
/**
 * hcv_scrub_paced() - a piece begins now
 *
 * Late by little, the time is made up for, else the timer's grain would show in
 * the rate; what was not used for longer is not saved up.
 */
void hcv_scrub_paced(struct hcv_scrub_pace *pace, u32 kibps, u64 now_ns,
		     u64 bytes);

#endif /* HCV_CORE_SCRUB_H */
