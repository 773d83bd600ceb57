// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replicas on slow stores, by the volume's setting slow_replica.
 *
 * The choice is health.c's; here is what it rests on.
 */
#include <string.h>

#include "health.h"
#include "volplan_priv.h"

static const struct hcv_vp_store *slow_store(const struct hcv_vp_in *in,
					     const char *store)
{
	size_t i;

	for (i = 0; i < in->nr_st; i++)
		if (!strcmp(in->st[i].id, store))
			return &in->st[i];
	return NULL;
}

static bool slow_present(const struct hcv_vp_in *in, const char *store)
{
	size_t i;

	for (i = 0; i < in->k->nr_links; i++)
		if (!strcmp(in->k->link[i].store, store))
			return in->k->link[i].state == HCV_LINK_INSYNC;
	return false;
}

static void slow_look(const struct hcv_vp_in *in, struct hcv_health_drop_in *d)
{
	const struct hcv_vp_store *st;
	size_t i;

	memset(d, 0, sizeof(*d));
	d->rec = in->rec;
	d->rows = in->rows;
	d->drop = in->vol && in->vol->slow_drop;
	for (i = 0; i < in->rec->nr; i++) {
		st = slow_store(in, in->rec->st[i].store);
		d->slow[i] = st && st->slow;
		/* Nobody relies on one that is not known. */
		d->ailing[i] = !st || st->ailing;
		d->present[i] = slow_present(in, in->rec->st[i].store);
	}
}

const char *hcv_vp_slow(const struct hcv_vp_in *in)
{
	struct hcv_health_drop_in d;
	int i;

	if (in->k->state != HCV_VOL_ACTIVE)
		return NULL;
	slow_look(in, &d);
	i = hcv_health_drop(&d);
	return i < 0 ? NULL : in->rec->st[i].store;
}

bool hcv_vp_kept_out(const struct hcv_vp_in *in, const char *store)
{
	struct hcv_health_drop_in d;
	size_t i;

	slow_look(in, &d);
	for (i = 0; i < in->rec->nr; i++)
		if (!strcmp(in->rec->st[i].store, store))
			return hcv_health_keep_out(&d, i);
	return false;
}
