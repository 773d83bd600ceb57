// SPDX-License-Identifier: GPL-2.0-only
/*
 * Placement's view of a snapshot.
 */
#include "place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint32_t hcv_place_rows_on(const struct hcv_snap *s, const char *store)
{
	uint32_t rows = 0;
	size_t v, r;
	unsigned int k;

	for (v = 0; v < s->nr_vols; v++) {
		const struct hcv_rows *list = &s->vol[v].rows;

		for (r = 0; r < list->nr; r++)
			for (k = 0; k < list->row[r].nr; k++)
				rows += !strcmp(list->row[r].store[k], store);
	}
	return rows;
}

/* Extents that have lost their row and are not free yet. */
static uint32_t hcv_place_tombs_on(const struct hcv_snap *s, const char *store)
{
	uint32_t nr = 0;
	size_t i;

	for (i = 0; i < s->nr_tombs; i++)
		nr += s->tomb[i].one && !strcmp(s->tomb[i].store, store);
	return nr;
}

int hcv_place_collect(const struct hcv_snap *s, struct hcv_place_store **out)
{
	struct hcv_place_store *p;
	uint32_t rows;
	size_t i;

	*out = NULL;
	if (!s->nr_stores)
		return 0;
	p = calloc(s->nr_stores, sizeof(*p));
	if (!p)
		return -ENOMEM;
	for (i = 0; i < s->nr_stores; i++) {
		const struct hcv_store_info *st = &s->store[i].i;
		const struct hcv_snap_node *n = hcv_snap_node(s, st->node);

		memcpy(p[i].uuid, st->uuid, sizeof(p[i].uuid));
		memcpy(p[i].node, st->node, sizeof(p[i].node));
		p[i].total = st->nr_extents;
		p[i].used = st->live ? st->used_extents : 0;
		rows = hcv_place_rows_on(s, st->uuid) +
		       hcv_place_tombs_on(s, st->uuid);
		if (rows > p[i].used)
			p[i].used = rows;
		if (!n)
			continue;	/* its node is unknown: not ready */
		memcpy(p[i].node_name, n->i.name, sizeof(p[i].node_name));
		memcpy(p[i].rack, n->i.rack, sizeof(p[i].rack));
		p[i].ready = st->state == HCV_ST_READY && !st->failed &&
			hcv_health_placeable(s->store[i].health.h.state) &&
			!n->i.draining;
		p[i].live = n->i.live && st->live;
	}
	*out = p;
	return 0;
}

int hcv_place_touch(const struct hcv_snap_store *st, const char *key,
		    struct hcv_op *op)
{
	*op = (struct hcv_op){
		.key = key, .value = hcv_model_store_encode(&st->i),
	};
	return op->value ? 0 : -ENOMEM;
}
