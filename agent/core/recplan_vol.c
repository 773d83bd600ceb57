// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a volume has where, summed up for the recovery planner.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recplan.h"

static int vol_place(const struct hcv_record *rec, const char *store, int hint)
{
	size_t i;

	/* Neighbouring rows mostly have the same stores. */
	if (hint >= 0 && !strcmp(rec->st[hint].store, store))
		return hint;
	for (i = 0; i < rec->nr; i++)
		if (!strcmp(rec->st[i].store, store))
			return (int)i;
	return -1;
}

static int vol_store(const struct hcv_rp_in *in, const char *id)
{
	size_t i;

	for (i = 0; i < in->nr_stores; i++)
		if (!strcmp(in->store[i].id, id))
			return (int)i;
	return -1;
}

static bool vol_good(const struct hcv_rp_in *in, const struct hcv_rp_share *s)
{
	return s->state == HCV_RS_INSYNC && s->store >= 0 &&
	       in->store[s->store].live && !in->store[s->store].failed;
}

static void vol_count(struct hcv_rp_vol *vol, uint32_t set, uint32_t good)
{
	unsigned int nr = (unsigned int)__builtin_popcount(set);
	uint32_t left, bit;

	for (left = set; left; left &= ~bit) {
		struct hcv_rp_share *s = &vol->share[__builtin_ctz(left)];
		unsigned int others;

		bit = left & -left;
		others = (unsigned int)__builtin_popcount(good & ~bit);
		if (!s->extents++) {
			s->min_good = others;
			s->min_stores = nr;
			s->max_stores = nr;
		}
		s->peers |= set & ~bit;
		if (others < s->min_good)
			s->min_good = others;
		if (nr < s->min_stores)
			s->min_stores = nr;
		if (nr > s->max_stores)
			s->max_stores = nr;
	}
}

int hcv_recplan_vol(const struct hcv_rp_in *in, const struct hcv_record *rec,
		    const struct hcv_rows *rows, struct hcv_rp_vol *vol)
{
	int hint[HCV_ROW_STORES] = { -1, -1, -1, -1 };
	uint32_t good = 0;
	size_t i;

	vol->nr = rec->nr;
	for (i = 0; i < rec->nr; i++) {
		vol->share[i].store = vol_store(in, rec->st[i].store);
		vol->share[i].state = rec->st[i].state;
		if (vol_good(in, &vol->share[i]))
			good |= 1U << i;
	}
	for (i = 0; i < rows->nr; i++) {
		const struct hcv_row *row = &rows->row[i];
		uint32_t set = 0, full = 0;
		unsigned int k;

		for (k = 0; k < row->nr; k++) {
			hint[k] = vol_place(rec, row->store[k], hint[k]);
			if (hint[k] < 0) {
				vol->skip = true;
				return 0;
			}
			set |= 1U << hint[k];
			if (row->full & (1U << k))
				full |= 1U << hint[k];
		}
		vol_count(vol, set, set & full & good);
		if (hcv_elect_add(&vol->sets, set))
			return -ENOMEM;
	}
	return 0;
}

void hcv_recplan_vol_free(struct hcv_rp_vol *vol)
{
	free(vol->sets.set);
	memset(&vol->sets, 0, sizeof(vol->sets));
}
