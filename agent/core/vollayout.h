/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which new rows leave a volume recoverable.  Pure.
 *
 * After an unclean stop two copies of a row may differ in what was not
 * flushed, so a volume is served from stores of which each row has exactly
 * one.  Not every layout has such a choice: rows on (a, b), (b, c) and (c, a)
 * have none.  So a row that would close such a circle is not added.
 */
#ifndef HCV_AGENT_CORE_VOLLAYOUT_H
#define HCV_AGENT_CORE_VOLLAYOUT_H

#include "model.h"
#include "placement.h"

/**
 * hcv_vollayout_ok() - whether @rows and @more together have such a choice
 * @more: a further row, or NULL
 */
bool hcv_vollayout_ok(const struct hcv_rows *rows, const struct hcv_row *more);

/**
 * hcv_vollayout_place() - hcv_place(), among choices that are ok
 * @store: changed: stores that did not do are not ready any more
 * @row: gets the row, with @want's column and the next free index, all full
 *
 * Rows that are not ok themselves already are not held against a new one.
 *
 * Return: as hcv_place().
 */
int hcv_vollayout_place(struct hcv_place_store *store, size_t nr,
			const struct hcv_place_want *want,
			struct hcv_place_row *choice, struct hcv_row *row);

#endif /* HCV_AGENT_CORE_VOLLAYOUT_H */
