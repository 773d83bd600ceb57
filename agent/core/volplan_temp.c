// SPDX-License-Identifier: GPL-2.0-only
/*
 * Steps of a temporary replica.
 */
#include "volplan_temp.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void vpt_do(struct hcv_vpt_out *out, enum hcv_vpt_act act,
		   const char *store, const char *base, uint64_t v)
{
	out->act = act;
	out->v = v;
	snprintf(out->store, sizeof(out->store), "%s", store);
	snprintf(out->base, sizeof(out->base), "%s", base);
}

static __attribute__((format(printf, 2, 3)))
void vpt_wait(struct hcv_vpt_out *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out->why, sizeof(out->why), fmt, ap);
	va_end(ap);
}

/* The record has none, or another one, the module has this link. */
static void vpt_leftover(const struct hcv_vpt_in *in, struct hcv_vpt_out *out)
{
	if (hcv_record_insync(in->rec, in->store)) {
		/* It stayed.  One that fails is removed like any other. */
		if (in->link == HCV_VPT_JOINING || in->link == HCV_VPT_INSYNC)
			vpt_do(out, HCV_VPT_CONFIRM_STAY, in->store, in->base,
			       in->rec->v);
		return;
	}
	vpt_do(out, in->link == HCV_VPT_OUT ? HCV_VPT_LINK_DEL :
					      HCV_VPT_CONFIRM_OUT,
	       in->store, in->base, in->rec->v);
}

static void vpt_begin(const struct hcv_vpt_in *in, struct hcv_vpt_out *out)
{
	if (in->say->act != HCV_TEMP_BEGIN) {
		vpt_wait(out, "%s", in->say->why);
		return;
	}
	if (!*in->place)
		vpt_wait(out, "%s", in->no_place);
	else if (in->place_tomb)
		vpt_wait(out, "store %s still has something of the volume, which is to be freed",
			 in->place);
	else
		vpt_do(out, HCV_VPT_BEGIN, in->place, in->say->store, 0);
}

/* It is to be tied. */
static void vpt_tie(const struct hcv_vpt_in *in, const struct hcv_rec_store *t,
		    struct hcv_vpt_out *out)
{
	if (!in->granted)
		vpt_wait(out, "waits for the grant of %s, which is to be a temporary replica",
			 t->store);
	else if (!in->path)
		vpt_do(out, HCV_VPT_CONNECT, t->store, t->base, 0);
	else
		vpt_do(out, HCV_VPT_LINK_ADD, t->store, t->base, t->v);
}

/* Whether the module's link is what the record has. */
static bool vpt_same(const struct hcv_vpt_in *in,
		     const struct hcv_rec_store *t)
{
	return !strcmp(in->store, t->store) && !strcmp(in->base, t->base) &&
	       in->v == t->v;
}

/* It has the mark, and the module knows. */
static void vpt_marked(const struct hcv_vpt_in *in,
		       const struct hcv_rec_store *t, struct hcv_vpt_out *out)
{
	if (!in->stay)
		return;
	if (!t->named)
		vpt_do(out, HCV_VPT_NAME, t->store, t->base, 0);
	else if (!in->whole && !in->filling)
		vpt_do(out, HCV_VPT_FILL, t->store, t->base, 0);
	else if (in->whole && in->rows)
		vpt_do(out, HCV_VPT_STAY, t->store, t->base, 0);
	else
		vpt_wait(out, "the temporary replica on %s takes the place of %s",
			 t->store, t->base);
}

static void vpt_linked(const struct hcv_vpt_in *in,
		       const struct hcv_rec_store *t, struct hcv_vpt_out *out)
{
	switch (in->link) {
	case HCV_VPT_SYNCING:
		if (t->covers)
			break;
		vpt_wait(out, "the temporary replica on %s is being filled",
			 t->store);
		return;
	case HCV_VPT_JOINING:
		vpt_do(out, t->covers ? HCV_VPT_CONFIRM_IN : HCV_VPT_COVERS,
		       t->store, t->base, t->covers ? in->rec->v : t->v);
		return;
	case HCV_VPT_INSYNC:
		if (!t->covers)
			break;
		vpt_marked(in, t, out);
		return;
	default:
		break;
	}
	/* It failed, or record and module contradict each other. */
	vpt_do(out, HCV_VPT_DROP, t->store, t->base, 0);
}

void hcv_vp_temp(const struct hcv_vpt_in *in, struct hcv_vpt_out *out)
{
	const struct hcv_rec_store *t = hcv_record_temp(in->rec);
	bool linked = *in->store;

	memset(out, 0, sizeof(*out));
	if (t && t->pair)
		return;
	if (linked && !(t && vpt_same(in, t))) {
		/* One of before: the record forgot it, now the module does. */
		vpt_leftover(in, out);
		return;
	}
	if (!t) {
		vpt_begin(in, out);
		return;
	}
	if (in->say->act == HCV_TEMP_DROP || (!linked && t->covers) ||
	    (!linked && !in->live)) {
		vpt_do(out, HCV_VPT_DROP, t->store, t->base, 0);
		return;
	}
	if (linked)
		vpt_linked(in, t, out);
	else
		vpt_tie(in, t, out);
}
