/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A volume put together from a temporary replica and its base.
 */
#ifndef HCV_INSPECT_PAIR_H
#define HCV_INSPECT_PAIR_H

#include "volume.h"

/**
 * hcv_ins_pair_open() - @vol, which is open, is this pair
 *
 * From then on hcv_ins_vol_load() takes each block from the one that has it.
 * Says on stderr what is wrong.  Return: 0 or a negative errno.
 */
int hcv_ins_pair_open(struct hcv_ins_vol *vol,
		      const struct hcv_ins_store *base,
		      const struct hcv_ins_store *temp);
/**
 * hcv_ins_pair_page() - load the records of a page
 * @pg: of each copy, the page as it was found
 *
 * Return: 0, -ENOMEM, or -EUCLEAN: what is missing was said.
 */
int hcv_ins_pair_page(struct hcv_ins_vol *vol, const struct hcv_ins_page *pg,
		      u32 ext, u32 page);
/** hcv_ins_copy_behind() - has @a missed a change that @b knows of? volume.c */
bool hcv_ins_copy_behind(const struct hcv_ins_copy *a,
			 const struct hcv_ins_copy *b);
/** hcv_ins_slot_add() - note what a copy says of a slot; volume.c */
int hcv_ins_slot_add(struct hcv_ins_vol *vol, const struct hcv_rec *rec,
		     u32 ext, u32 nr, u32 prio, u64 copies);

#endif /* HCV_INSPECT_PAIR_H */
