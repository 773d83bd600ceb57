// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which new rows leave a volume recoverable.
 *
 * The record's own election is asked: all stores in-sync and all confirmed
 * after an unclean stop is the best case, and it must have a solution.
 */
#include "vollayout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

/* Any node will do as the claimant. */
#define LAYOUT_NODE "00000000-0000-4000-8000-000000000000"

struct layout_ids {
	const char *id[HCV_REC_STORES];
	size_t nr;
};

/* Return: false: more stores than a volume may have */
static bool layout_collect(struct layout_ids *ids, const struct hcv_row *row)
{
	size_t i, j;

	for (i = 0; i < row->nr; i++) {
		for (j = 0; j < ids->nr; j++)
			if (!strcmp(ids->id[j], row->store[i]))
				break;
		if (j < ids->nr)
			continue;
		if (ids->nr == HCV_REC_STORES)
			return false;
		ids->id[ids->nr++] = row->store[i];
	}
	return true;
}

static bool layout_elect(const struct layout_ids *ids,
			 const struct hcv_rows *rows)
{
	struct hcv_rec_ids all = { .id = ids->id, .nr = ids->nr }, none = { 0 };
	char err[HCV_ERR_SIZE];
	struct hcv_record rec;

	memset(&rec, 0, sizeof(rec));
	if (hcv_record_init(&rec, 1, all, err))
		return false;
	rec.clean = false;
	return !hcv_record_claim(&rec, LAYOUT_NODE, false, false, err) &&
	       !hcv_record_serve(&rec, LAYOUT_NODE, all, none, rows, err);
}

bool hcv_vollayout_ok(const struct hcv_rows *rows, const struct hcv_row *more)
{
	struct layout_ids ids = { .nr = 0 };
	struct hcv_rows all = { 0 };
	bool ok = true;
	size_t i;

	all.row = calloc(rows->nr + 1, sizeof(*all.row));
	if (!all.row)
		return false;
	if (rows->nr)
		memcpy(all.row, rows->row, rows->nr * sizeof(*all.row));
	all.nr = rows->nr;
	if (more)
		all.row[all.nr++] = *more;
	all.next = rows->next + 1;
	for (i = 0; i < all.nr && ok; i++)
		ok = layout_collect(&ids, &all.row[i]);
	ok = ok && (!all.nr || layout_elect(&ids, &all));
	free(all.row);
	return ok;
}

static void layout_row(const struct hcv_place_store *store,
		       const struct hcv_place_want *want,
		       const struct hcv_place_row *choice, struct hcv_row *row)
{
	unsigned int i;

	memset(row, 0, sizeof(*row));
	row->index = want->rows->next;
	row->column = (uint8_t)want->column;
	row->nr = (uint8_t)choice->nr;
	row->full = (uint8_t)((1U << choice->nr) - 1);
	for (i = 0; i < choice->nr; i++)
		memcpy(row->store[i], store[choice->store[i]].uuid, HCV_ID_LEN);
}

int hcv_vollayout_place(struct hcv_place_store *store, size_t nr,
			const struct hcv_place_want *want,
			struct hcv_place_row *choice, struct hcv_row *row)
{
	bool *ready = calloc(nr ? nr : 1, sizeof(*ready));
	size_t first = 0, i;
	int ret, pass;
	bool strict;

	if (!ready)
		return -ENOMEM;
	strict = hcv_vollayout_ok(want->rows, NULL);
	for (i = 0; i < nr; i++)
		ready[i] = store[i].ready;
	/* Keep the best store and vary the others; then without it. */
	for (pass = 0; pass < 2; pass++) {
		while (!(ret = hcv_place(store, nr, want, choice))) {
			layout_row(store, want, choice, row);
			if (!strict || hcv_vollayout_ok(want->rows, row))
				goto out;
			first = choice->store[0];
			store[choice->store[choice->nr - 1]].ready = false;
		}
		if (ret != -ENOSPC)
			goto out;
		for (i = 0; i < nr && !pass; i++)
			store[i].ready = ready[i] && i != first;
	}
out:
	free(ready);
	return ret;
}
