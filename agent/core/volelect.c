// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which stores of a volume can serve it.
 *
 * Rows with the same stores are one case: the search works on their distinct
 * masks (bit i: store i of the record holds a full copy), of which a volume
 * has few.  It is an exact cover search, bounded in steps.
 */
#include "volelect.h"

#include <string.h>

#define VE_MASKS	512
#define VE_STEPS	100000

_Static_assert(HCV_REC_STORES <= 32, "a mask has 32 bits");

struct ve {
	uint32_t mask[VE_MASKS];
	size_t nr;
	uint32_t may;
	unsigned int steps;
};

int hcv_volelect_index(const struct hcv_record *rec, const char *store)
{
	size_t i;

	for (i = 0; i < rec->nr; i++)
		if (!strcmp(rec->st[i].store, store))
			return (int)i;
	return -1;
}

static uint32_t ve_row_mask(const struct hcv_record *rec,
			    const struct hcv_row *row)
{
	uint32_t mask = 0;
	size_t j;
	int s;

	for (j = 0; j < row->nr; j++) {
		s = hcv_volelect_index(rec, row->store[j]);
		if (s >= 0 && (row->full & (1U << j)))
			mask |= 1U << s;
	}
	return mask;
}

static uint32_t ve_set_mask(const bool *set)
{
	uint32_t mask = 0;
	size_t i;

	for (i = 0; i < HCV_REC_STORES; i++)
		mask |= (uint32_t)set[i] << i;
	return mask;
}

bool hcv_volelect_covers(const struct hcv_record *rec,
			 const struct hcv_rows *rows, const bool *set,
			 uint32_t *missing)
{
	uint32_t have = ve_set_mask(set);
	size_t i;

	for (i = 0; rows && i < rows->nr; i++) {
		if (ve_row_mask(rec, &rows->row[i]) & have)
			continue;
		if (missing)
			*missing = rows->row[i].index;
		return false;
	}
	return true;
}

static bool ve_collect(struct ve *e, const struct hcv_record *rec,
		       const struct hcv_rows *rows)
{
	size_t i, j;

	for (i = 0; rows && i < rows->nr; i++) {
		uint32_t mask = ve_row_mask(rec, &rows->row[i]);

		for (j = 0; j < e->nr && e->mask[j] != mask; j++)
			;
		if (j < e->nr)
			continue;
		if (e->nr == VE_MASKS)
			return false;
		e->mask[e->nr++] = mask;
	}
	return true;
}

/* Extend @set to an exact cover; 0 if it cannot be done. */
static uint32_t ve_search(struct ve *e, uint32_t set)
{
	uint32_t open = 0, options, bit, found;
	size_t i;

	if (++e->steps > VE_STEPS)
		return 0;
	for (i = 0; i < e->nr; i++) {
		int n = __builtin_popcount(e->mask[i] & set);

		if (n > 1)
			return 0;
		if (!n && !open)
			open = e->mask[i] & e->may;
		if (!n && !(e->mask[i] & e->may))
			return 0;
	}
	if (!open)
		return set;
	for (options = open; options; options &= options - 1) {
		bit = options & -options;
		found = ve_search(e, set | bit);
		if (found)
			return found;
	}
	return 0;
}

bool hcv_volelect(const struct hcv_record *rec, const struct hcv_rows *rows,
		  const bool *may, int first, bool *set)
{
	struct ve e = { .may = ve_set_mask(may) };
	uint32_t found = 0;
	size_t i;

	memset(set, 0, sizeof(bool) * HCV_REC_STORES);
	if (!e.may || !ve_collect(&e, rec, rows))
		return false;
	if (first >= 0)
		found = ve_search(&e, 1U << first);
	e.steps = 0;
	if (!found)
		found = e.nr ? ve_search(&e, 0) : e.may & -e.may;
	for (i = 0; i < HCV_REC_STORES; i++)
		set[i] = found & (1U << i);
	return found;
}
