// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which extents of a volume go back to their stores.
 *
 * A column keeps the extents that are to be ready and some more, so that a
 * workload at the edge does not go to and fro.
 */
#include <string.h>

#include "volplan_priv.h"

static bool give_listed(const uint32_t *list, size_t nr, uint32_t index)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (list[i] == index)
			return true;
	return false;
}

/* Rows go to the module in their order. */
bool hcv_vp_given(const struct hcv_vp_in *in, size_t row)
{
	if (!in->k->can_retire)
		return row < in->k->nr_extents;
	return in->rows->row[row].index < in->k->next_index;
}

bool hcv_vp_retired(const struct hcv_k_vol *k, uint32_t index)
{
	return give_listed(k->settling, k->nr_settling, index) ||
	       give_listed(k->settled, k->nr_settled, index);
}

static bool give_has_row(const struct hcv_rows *rows, uint32_t index)
{
	size_t i;

	for (i = 0; i < rows->nr; i++)
		if (rows->row[i].index == index)
			return true;
	return false;
}

size_t hcv_vp_settled(const struct hcv_vp_in *in, bool with_row,
		      uint32_t *index)
{
	const struct hcv_k_vol *k = in->k;
	size_t i, nr = 0;

	for (i = 0; in->rows && i < k->nr_settled; i++) {
		/* The rows are of before it had one. */
		if (k->settled[i] >= in->rows->next)
			continue;
		if (give_has_row(in->rows, k->settled[i]) == with_row)
			index[nr++] = k->settled[i];
	}
	return nr;
}

static const struct hcv_k_link *give_link(const struct hcv_k_vol *k,
					  const char *store)
{
	size_t i;

	for (i = 0; i < k->nr_links; i++)
		if (!strcmp(k->link[i].store, store))
			return &k->link[i];
	return NULL;
}

/* All replicas are where the record wants them, in the set or out of it. */
static bool give_quiet(const struct hcv_vp_in *in)
{
	const struct hcv_record *rec = in->rec;
	size_t i;

	for (i = 0; i < in->k->nr_links; i++)
		if (in->k->link[i].state != HCV_LINK_INSYNC &&
		    in->k->link[i].state != HCV_LINK_OUT)
			return false;
	for (i = 0; i < rec->nr; i++) {
		const struct hcv_k_link *link = give_link(in->k,
							  rec->st[i].store);

		if (rec->st[i].state == HCV_RS_SYNCING ||
		    rec->st[i].state == HCV_RS_TEMPORARY ||
		    (rec->st[i].state == HCV_RS_INSYNC &&
		     (!link || link->state != HCV_LINK_INSYNC)))
			return false;
	}
	return true;
}

static const struct hcv_row *give_first(const struct hcv_rows *rows,
					const char *store)
{
	size_t i, j;

	for (i = 0; i < rows->nr; i++)
		for (j = 0; j < rows->row[i].nr; j++)
			if (!strcmp(rows->row[i].store[j], store))
				return &rows->row[i];
	return NULL;
}

/*
 * The first row of each store stays.
 * Return: how many; @nr_col: of each column
 */
static size_t give_keep(const struct hcv_vp_in *in, uint32_t *keep,
			uint32_t *nr_col)
{
	const struct hcv_row *row;
	size_t i, nr = 0;

	for (i = 0; i < in->rec->nr; i++) {
		row = give_first(in->rows, in->rec->st[i].store);
		if (!row || give_listed(keep, nr, row->index))
			continue;
		keep[nr++] = row->index;
		nr_col[row->column]++;
	}
	return nr;
}

bool hcv_vp_retire(const struct hcv_vp_in *in, struct hcv_vp_out *out)
{
	const struct hcv_k_vol *k = in->k;
	uint32_t nr_col[4] = { 0 }, limit;

	if (!k->can_retire || !in->rows || k->state != HCV_VOL_ACTIVE ||
	    k->flags & HCV_VOL_F_READONLY || k->wait == HCV_WAIT_EXTENT ||
	    !give_quiet(in))
		return false;
	memset(out, 0, sizeof(*out));
	out->nr_index = give_keep(in, out->index, nr_col);
	for (out->column = 0; out->column < k->nr_col; out->column++) {
		/* Those that stay may be idle too. */
		limit = HCV_VP_AHEAD + HCV_VP_IDLE + nr_col[out->column];
		if (k->col_idle[out->column] <= limit)
			continue;
		out->count = k->col_idle[out->column] - limit;
		out->leave = limit;
		return true;
	}
	return false;
}
