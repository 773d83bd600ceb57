/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slot records of a temporary replica (I10).  Pure.
 *
 * How it works.  Its pages are the owner's, record by record, but for the blocks
 * that it does not hold: those are `elsewhere`.  So they name every slot of the
 * extents, with the blocks' states where they are known here, and a free record
 * is one that is free; the old copy's record for it is void.  (Were a record
 * of which nothing is held left out, a slot that was freed since the old copy
 * left would come back with it.)
 *
 * What it holds, per slot (held: a bit for each block):
 *
 *   filled because of its stamp	all
 *   taken after the tie		all, those never written as absent
 *   written, or cleared, after it	these blocks
 *   without data (records 256 and up)	all
 *   otherwise				none
 *
 * A pair reads a block from the temporary replica if that holds it, else from
 * the old copy, whose record is of the same slot then: a slot that was freed
 * and taken again since has a stamp for which it was filled.
 */
#ifndef HCV_CORE_SPARSE_H
#define HCV_CORE_SPARSE_H

#include "format.h"

/**
 * hcv_sparse_image() - what the temporary replica's page says of a slot
 * @full: the owner's record of it
 * @held: bits of the blocks that are held
 */
void hcv_sparse_image(const struct hcv_rec *full, const u64 *held,
		      struct hcv_rec *out);

/** hcv_sparse_held() - the blocks that @rec holds; true: all of them */
bool hcv_sparse_held(const struct hcv_rec *rec, u64 *held);

/**
 * hcv_sparse_pair() - the slot as temporary replica and old copy have it
 * @temp, @base: their records in the same place
 * @named: the temporary replica's log names @temp's mib
 * @out: complete: nothing is elsewhere
 * @held: blocks that are @temp's, the others are @base's
 *
 * A pair's owner that dies in a round may have freed the slot on @base and not
 * yet on @temp.  Then the log names it, and what @temp does not hold is absent:
 * it was discarded.
 *
 * Return: 0; -EUCLEAN: @temp needs blocks of @base, which has another slot
 * there, none, or not these blocks either.
 */
int hcv_sparse_pair(const struct hcv_rec *temp, const struct hcv_rec *base,
		    bool named, struct hcv_rec *out, u64 *held);

/**
 * hcv_sparse_lacks() - blocks that the temporary replica was to get, and has not
 * @temp: record of one whose pages are all there
 * @v: of the base: what it has of slots with a higher stamp may be old
 * @lacks: bits of these blocks
 *
 * What would be lost with a pair that is forced before the temporary replica was
 * filled; none once it has the mark.
 *
 * Return: how many.
 */
u32 hcv_sparse_lacks(const struct hcv_rec *temp, u64 v, u64 *lacks);

/**
 * hcv_sparse_force() - hcv_sparse_pair() without the mark, and without a log
 * @v: of the base
 *
 * Blocks that are lacking are @base's, if it has the same slot there, else
 * absent.
 *
 * Return: 0; -EUCLEAN: as hcv_sparse_pair(), for a slot that lacks nothing.
 */
int hcv_sparse_force(const struct hcv_rec *temp, const struct hcv_rec *base,
		     u64 v, struct hcv_rec *out, u64 *held);

#endif /* HCV_CORE_SPARSE_H */
