/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which stores of a volume can serve it: every row needs a full copy.  Pure.
 */
#ifndef HCV_AGENT_CORE_VOLELECT_H
#define HCV_AGENT_CORE_VOLELECT_H

#include <stdbool.h>
#include <stdint.h>

#include "model.h"

/** hcv_volelect_index() - the store's index in the record, -1: not in it */
int hcv_volelect_index(const struct hcv_record *rec, const char *store);

/**
 * hcv_volelect_covers() - whether each row has a full copy on a store in @set
 * @rows: NULL: none
 * @set: by index in @rec, HCV_REC_STORES entries
 * @missing: gets the index of a row without one; may be NULL
 */
bool hcv_volelect_covers(const struct hcv_record *rec,
			 const struct hcv_rows *rows, const bool *set,
			 uint32_t *missing);

/**
 * hcv_volelect() - choose the sources after an unclean stop
 * @may: the stores to choose from
 * @first: preferred store, or -1
 * @set: gets the choice
 *
 * After an unclean stop two copies of a row may differ in what was not
 * flushed, so the choice holds exactly one full copy of every row.
 *
 * Return: false if there is no such choice (@set is then all false).
 */
bool hcv_volelect(const struct hcv_record *rec, const struct hcv_rows *rows,
		  const bool *may, int first, bool *set);

#endif /* HCV_AGENT_CORE_VOLELECT_H */
