// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slot records of a temporary replica.
 */
#include "sparse.h"

#define HCV_SPARSE_WORDS 4

void hcv_sparse_image(const struct hcv_rec *full, const u64 *held,
		      struct hcv_rec *out)
{
	u32 i;

	*out = *full;
	if (full->state == HCV_REC_FREE)
		return;
	for (i = 0; i < HCV_SPARSE_WORDS; i++) {
		out->lo[i] |= ~held[i];
		out->hi[i] |= ~held[i];
	}
}

bool hcv_sparse_held(const struct hcv_rec *rec, u64 *held)
{
	u64 all = ~0ULL;
	u32 i;

	for (i = 0; i < HCV_SPARSE_WORDS; i++) {
		held[i] = ~(rec->lo[i] & rec->hi[i]);
		all &= held[i];
	}
	return !~all;
}

/* Blocks that are not held become absent. */
static void hcv_sparse_drop(struct hcv_rec *rec, const u64 *held)
{
	u32 i;

	for (i = 0; i < HCV_SPARSE_WORDS; i++) {
		rec->lo[i] &= held[i];
		rec->hi[i] &= held[i];
	}
}

int hcv_sparse_pair(const struct hcv_rec *temp, const struct hcv_rec *base,
		    bool named, struct hcv_rec *out, u64 *held)
{
	bool all = hcv_sparse_held(temp, held);
	u32 i;

	*out = *temp;
	if (all || temp->state == HCV_REC_FREE)
		return 0;
	if (base->state == HCV_REC_FREE && named) {
		hcv_sparse_drop(out, held);
		return 0;
	}
	if (base->state == HCV_REC_FREE || base->mib != temp->mib ||
	    base->gen != temp->gen || base->seq != temp->seq)
		return -EUCLEAN;
	for (i = 0; i < HCV_SPARSE_WORDS; i++) {
		if (base->lo[i] & base->hi[i] & ~held[i])
			return -EUCLEAN;
		out->lo[i] = (temp->lo[i] & held[i]) |
			     (base->lo[i] & ~held[i]);
		out->hi[i] = (temp->hi[i] & held[i]) |
			     (base->hi[i] & ~held[i]);
	}
	return 0;
}

u32 hcv_sparse_lacks(const struct hcv_rec *temp, u64 v, u64 *lacks)
{
	u32 i, n = 0;

	for (i = 0; i < HCV_SPARSE_WORDS; i++) {
		lacks[i] = temp->state != HCV_REC_FREE && temp->stamp > v ?
			   temp->lo[i] & temp->hi[i] : 0;
		n += (u32)hweight64(lacks[i]);
	}
	return n;
}

int hcv_sparse_force(const struct hcv_rec *temp, const struct hcv_rec *base,
		     u64 v, struct hcv_rec *out, u64 *held)
{
	/* No log tells; freed by a round that did not end is all it can be. */
	int ret = hcv_sparse_pair(temp, base, true, out, held);

	if (!ret || temp->stamp <= v)
		return ret;
	*out = *temp;
	hcv_sparse_drop(out, held);
	return 0;
}
