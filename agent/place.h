/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Placement's view of a snapshot; the decisions are in core/placement.h.
 */
#ifndef HCV_AGENT_PLACE_H
#define HCV_AGENT_PLACE_H

#include "agent.h"
#include "core/placement.h"

/**
 * hcv_place_collect() - all stores of a snapshot, in its order
 * @out: gets a malloc'd array of s->nr_stores elements (NULL if that is 0)
 *
 * Extents that rows name are counted as used even while the store has not
 * formatted them, and on stores that are not live.
 *
 * Return: 0 or -ENOMEM
 */
int hcv_place_collect(const struct hcv_snap *s, struct hcv_place_store **out);

/** hcv_place_rows_on() - extents that rows place on a store */
uint32_t hcv_place_rows_on(const struct hcv_snap *s, const char *store);

/**
 * hcv_place_touch() - a put of the store's key with what it holds already
 *
 * Goes into every transaction that puts rows on a store and compares its key:
 * of two that place at once, from what they read before, one is refused and
 * looks again, so that together they do not promise more than there is.
 *
 * @op: its value is malloc'd. Return: 0 or -ENOMEM
 */
int hcv_place_touch(const struct hcv_snap_store *st, const char *key,
		    struct hcv_op *op);

#endif /* HCV_AGENT_PLACE_H */
