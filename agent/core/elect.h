/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Elections after an unclean stop.  Pure.
 *
 * Copies of an extent may then differ in what was in flight, so of each set of
 * stores that hold the same extents exactly one must be chosen.  Stores are
 * bits of a mask, places in a list of the caller's.
 */
#ifndef HCV_AGENT_CORE_ELECT_H
#define HCV_AGENT_CORE_ELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** struct hcv_elect - the distinct sets; zero it before, free @set after */
struct hcv_elect {
	uint32_t *set;
	size_t nr;
	size_t room;
};

/** hcv_elect_add() - a set of stores; 0 or -ENOMEM */
int hcv_elect_add(struct hcv_elect *e, uint32_t set);

/**
 * hcv_elect_run() - choose exactly one store of each set
 * @allowed: stores that may be chosen
 * @prefer: stores to try first
 * @steps: how many choices to look at before giving up
 *
 * Return: whether there is a choice, in @chosen.
 */
bool hcv_elect_run(const struct hcv_elect *e, uint32_t allowed,
		   uint32_t prefer, unsigned int steps, uint32_t *chosen);

/**
 * hcv_elect_survives() - whether a choice is left whichever groups are missing
 * @group: masks of stores that fail together
 * @missing: how many groups may be missing at once, 0..2
 */
bool hcv_elect_survives(const struct hcv_elect *e, const uint32_t *group,
			size_t nr_group, unsigned int missing);

#endif /* HCV_AGENT_CORE_ELECT_H */
