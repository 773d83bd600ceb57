// SPDX-License-Identifier: GPL-2.0-only
/*
 * The extents of a volume that runs: rows that the module is given, places ahead
 * of the writes, and extents that go back.
 *
 * The last is decided in volplan_give.c.  Steps are chosen as volplan.c says.
 */
#include <string.h>

#include "volplan_priv.h"

static bool vp_row_copy_ready(struct vp *p, const struct hcv_row *row,
			      const char *id, bool insync)
{
	const struct hcv_k_link *link = vp_link(p, id);

	if (insync && (!link || link->state != HCV_LINK_INSYNC))
		return vp_wait(p, 0, "extent %u waits for the link to %s",
			       row->index, vp_name(p, id));
	if (!insync && (!link || (link->state != HCV_LINK_SYNCING &&
				  link->state != HCV_LINK_JOINING)))
		return true;	/* it gets no writes */
	if (!vp_granted(p, vp_store(p, id), row->index + 1))
		return vp_wait(p, 0, "extent %u waits for %s to format it",
			       row->index, vp_name(p, id));
	return true;
}

/*
 * Whether the module may be given the row: every store that the record calls
 * in-sync is in-sync there too, and all that get writes have formatted it.
 */
static bool vp_row_ready(struct vp *p, const struct hcv_row *row)
{
	const struct hcv_record *rec = p->in->rec;
	size_t j, nr = 0;
	int idx;

	for (j = 0; j < row->nr; j++) {
		bool insync;

		idx = vp_rec_index(rec, row->store[j]);
		/* Both come with one transaction: writes would pass it by. */
		if (idx < 0)
			return vp_wait(p, 0, "extent %u names the store %s, which the record does not have",
				       row->index, row->store[j]);
		insync = rec->st[idx].state == HCV_RS_INSYNC;
		if (!vp_row_copy_ready(p, row, row->store[j], insync))
			return false;
		nr += insync;
	}
	if (!nr)
		return vp_wait(p, 0, "extent %u has no in-sync store",
			       row->index);
	return true;
}

static uint32_t vp_handles(const struct hcv_grant_info *g)
{
	const struct hcv_grant_range *last = &g->range[g->nr - 1];

	return last->base + last->count;
}

/*
 * The row's handle, number index + 1, lies beyond what the link was given, as
 * far as that is known: no grant has less than HCV_VP_HANDLES.
 * Return: whether a step was chosen; @covered: all links have the handle
 */
static bool vp_more_handles(struct vp *p, const struct hcv_row *row,
			    bool *covered)
{
	size_t j;

	*covered = true;
	for (j = 0; j < row->nr; j++) {
		const struct hcv_vp_store *st = vp_store(p, row->store[j]);
		const struct hcv_k_link *link = vp_link(p, row->store[j]);
		uint32_t has;

		if (!st || !st->has_grant || !link ||
		    (link->state != HCV_LINK_INSYNC &&
		     link->state != HCV_LINK_SYNCING &&
		     link->state != HCV_LINK_JOINING))
			continue;
		has = st->linked_count ? st->linked_count : HCV_VP_HANDLES;
		if (has > row->index + 1)
			continue;
		*covered = false;
		if (vp_handles(st->grant) <= row->index + 1)
			return vp_wait(p, 0, "extent %u waits for handles of %s",
				       row->index, vp_name(p, st->id));
		return vp_link_add(p, st, link->state, 0);
	}
	return false;
}

bool vp_extents(struct vp *p)
{
	const struct hcv_rows *rows = p->in->rows;
	size_t i, first = 0, nr = 0;

	if (!rows)
		return false;
	while (first < rows->nr && hcv_vp_given(p->in, first))
		first++;
	for (i = first; i < rows->nr; i++, nr++) {
		bool covered;

		if (!vp_row_ready(p, &rows->row[i]))
			break;
		if (vp_more_handles(p, &rows->row[i], &covered))
			return true;
		if (!covered)
			break;
	}
	if (!nr || !vp_do(p, HCV_VP_EXTENT_ADD, NULL))
		return false;
	p->out->row = first;
	p->out->row_nr = nr;
	p->out->flags = HCV_EXT_F_FRESH;
	return true;
}

/* Keep free extents ahead of the writes of each column. */
bool vp_ahead(struct vp *p)
{
	const struct hcv_vol_info *vol = p->in->vol;
	const struct hcv_rows *rows = p->in->rows;
	uint32_t need = hcv_volplan_need(p->k->size, vol->stripe);
	uint32_t col, have, pending, free;
	size_t i;

	if (vol->size > p->k->size)
		need = hcv_volplan_need(vol->size, vol->stripe);
	for (col = 0; col < vol->stripe && col < p->k->nr_col; col++) {
		bool hungry = p->k->wait == HCV_WAIT_EXTENT &&
			      !p->k->col_ready[col];

		have = 0;
		pending = 0;
		for (i = 0; rows && i < rows->nr; i++) {
			if (rows->row[i].column != col ||
			    hcv_vp_retired(p->k, rows->row[i].index))
				continue;
			have++;
			pending += !hcv_vp_given(p->in, i);
		}
		free = p->k->col_ready[col] + pending;
		if (free >= HCV_VP_AHEAD)
			continue;
		/* Freed slots wait for FLUSH: allow some beyond the sum. */
		if (have >= need + (hungry && !pending ? HCV_VP_AHEAD : 0)) {
			if (hungry)
				vp_wait(p, 0, "column %u has as many extents as it can fill; freed ones come with the next flush",
					col);
			continue;
		}
		if (!vp_do(p, HCV_VP_PLACE, NULL))
			return false;
		p->out->column = col;
		p->out->urgent = hungry && !pending;
		return true;
	}
	return false;
}

/* ------------------------------------------------- extents that go back */

static bool vp_do_indexes(struct vp *p, enum hcv_vp_act act, bool with_row)
{
	uint32_t index[HCV_K_RETIRED_MAX];
	size_t nr = hcv_vp_settled(p->in, with_row, index);

	if (!nr || !vp_do(p, act, NULL))
		return false;
	memcpy(p->out->index, index, nr * sizeof(*index));
	p->out->nr_index = nr;
	return true;
}

/* Retired extents lose their rows, those without one go from the module. */
bool vp_give_back(struct vp *p)
{
	if (vp_do_indexes(p, HCV_VP_EXTENT_DEL, false) ||
	    vp_do_indexes(p, HCV_VP_DROP_ROWS, true))
		return true;
	if (p->k->nr_settling)
		vp_wait(p, 0, "extents that are given back wait for a flush");
	return false;
}

bool vp_retire(struct vp *p)
{
	struct hcv_vp_out want;

	if (!hcv_vp_retire(p->in, &want) || !vp_do(p, HCV_VP_RETIRE, NULL))
		return false;
	memcpy(p->out->index, want.index, sizeof(want.index));
	p->out->nr_index = want.nr_index;
	p->out->column = want.column;
	p->out->count = want.count;
	return true;
}
