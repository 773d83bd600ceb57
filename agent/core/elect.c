// SPDX-License-Identifier: GPL-2.0-only
/*
 * Elections: a search with backtracking, short because stores are few and
 * volumes keep to few sets of them.
 */
#include "elect.h"

#include <errno.h>
#include <stdlib.h>

#define SURVIVE_STEPS 2000

int hcv_elect_add(struct hcv_elect *e, uint32_t set)
{
	uint32_t *grown;
	size_t i;

	/* Neighbouring rows mostly have the same stores. */
	for (i = e->nr; i > 0; i--)
		if (e->set[i - 1] == set)
			return 0;
	if (e->nr == e->room) {
		grown = realloc(e->set, (e->room * 2 + 16) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		e->set = grown;
		e->room = e->room * 2 + 16;
	}
	e->set[e->nr++] = set;
	return 0;
}

/* @chosen so far: one more for the first set that has none. */
static bool choose(const struct hcv_elect *e, uint32_t chosen,
		   uint32_t allowed, uint32_t prefer, unsigned int *steps,
		   uint32_t *result)
{
	uint32_t left, bit;
	size_t i;

	if (!*steps)
		return false;
	--*steps;
	for (i = 0; i < e->nr; i++)
		if (__builtin_popcount(e->set[i] & chosen) > 1)
			return false;
	for (i = 0; i < e->nr; i++)
		if (!(e->set[i] & chosen))
			break;
	if (i == e->nr) {
		*result = chosen;
		return true;
	}
	for (left = e->set[i] & allowed; left; left &= ~bit) {
		bit = left & prefer ? left & prefer : left;
		bit &= -bit;
		if (choose(e, chosen | bit, allowed, prefer, steps, result))
			return true;
	}
	return false;
}

bool hcv_elect_run(const struct hcv_elect *e, uint32_t allowed,
		   uint32_t prefer, unsigned int steps, uint32_t *chosen)
{
	return choose(e, 0, allowed, prefer, &steps, chosen);
}

bool hcv_elect_survives(const struct hcv_elect *e, const uint32_t *group,
			size_t nr_group, unsigned int missing)
{
	uint32_t chosen;
	size_t i, k;

	if (!missing)
		return hcv_elect_run(e, UINT32_MAX, 0, SURVIVE_STEPS, &chosen);
	for (i = 0; i < nr_group; i++)
		for (k = missing > 1 ? 0 : i; k <= i; k++)
			if (!hcv_elect_run(e, ~(group[i] | group[k]), 0,
					   SURVIVE_STEPS, &chosen))
				return false;
	return true;
}
