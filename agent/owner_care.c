// SPDX-License-Identifier: GPL-2.0-only
/*
 * The steps of a caretaker (core/volplan_care.c).
 *
 * As in owner_step.c each may be repeated and has one outside effect, with
 * crash points around it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/record.h"
#include "owner.h"

static void care_event(struct hcv_owner_step *s, const char *text)
{
	char object[128];

	snprintf(object, sizeof(object), "volume %s",
		 hcv_owner_view_name(s->w));
	hcv_event_emit(s->a, HCV_SEV_INFO, object, NULL, "%s", text);
}

/* The wish and the volume are as they were read: neither was taken back. */
static enum hcv_meta_result care_txn(struct hcv_owner_step *s,
				     const struct hcv_record *rec,
				     const char *json)
{
	struct hcv_owner_view *w = s->w;
	char rec_key[64], vol_key[64], care_key[64];
	struct hcv_cmp cmp[] = {
		{ rec_key, w->v.rec_rev }, { vol_key, w->v.rev },
		{ care_key, w->v.care_rev },
	};
	struct hcv_op op = { .key = rec_key, .value = json };
	enum hcv_meta_result res;
	int64_t rev = 0;

	snprintf(rec_key, sizeof(rec_key), "rec/%s", w->v.uuid);
	snprintf(vol_key, sizeof(vol_key), "vol/%s", w->v.uuid);
	snprintf(care_key, sizeof(care_key), "care/%s", w->v.uuid);
	HCV_CRASH_POINT("owner-care-claim");
	res = hcv_meta_txn(hcv_agent_meta(s->a), cmp, 3, &op, 1, &rev,
			   HCV_META_MS);
	HCV_CRASH_POINT("owner-care-claim-done");
	hcv_owner_wrote(s->a, w->v.uuid, res == HCV_META_OK ? rev : 0,
			res == HCV_META_UNKNOWN);
	w->settled = false;
	if (res == HCV_META_OK) {
		w->v.rec = *rec;
		w->v.rec_rev = rev;
	} else if (res == HCV_META_UNKNOWN) {
		w->known = false;
	}
	return res;
}

enum hcv_owner_result hcv_owner_care_claim(struct hcv_owner_step *s)
{
	const char *node = hcv_agent_id(s->a)->node;
	struct hcv_record rec = s->w->v.rec;
	enum hcv_meta_result res;
	char err[HCV_ERR_SIZE];
	const struct hcv_snap_node *n;
	char *json;

	n = s->w->snap ? hcv_snap_node(s->w->snap, rec.owner) : NULL;
	if (hcv_record_care_claim(&rec, node, n && n->i.live, err))
		return hcv_owner_step_refused(s, err);
	json = hcv_model_record_encode(&rec);
	if (!json)
		return hcv_owner_step_refused(s, "out of memory");
	res = care_txn(s, &rec, json);
	free(json);
	if (res == HCV_META_OK) {
		hcv_state_kick(s->a);
		care_event(s, "is taken care of here, since it is attached nowhere");
		return HCV_OWNER_DONE;
	}
	if (res == HCV_META_CONFLICT || res == HCV_META_UNKNOWN)
		return HCV_OWNER_REREAD;
	snprintf(s->err, sizeof(s->err), "metadata store: %s",
		 hcv_meta_last_error());
	return HCV_OWNER_FAILED;
}

enum hcv_owner_result hcv_owner_care_leave(struct hcv_owner_step *s)
{
	struct hcv_record rec = s->w->v.rec;
	enum hcv_owner_result res;
	char err[HCV_ERR_SIZE];

	if (hcv_record_care_leave(&rec, err))
		return hcv_owner_step_refused(s, err);
	HCV_CRASH_POINT("owner-care-leave");
	res = hcv_owner_step_record(s, &rec);
	HCV_CRASH_POINT("owner-care-leave-done");
	if (res == HCV_OWNER_DONE)
		care_event(s, "is taken care of here no more");
	return res;
}

/* The record says that it is attached here. */
enum hcv_owner_result hcv_owner_publish(struct hcv_owner_step *s)
{
	uint32_t flags = s->readonly ? HCV_VOL_F_READONLY : 0;
	uint32_t queue = s->queue;
	struct hcv_k_vol_set set = { .flags = &flags, .queue = &queue };
	enum hcv_owner_result res;
	int ret;

	HCV_CRASH_POINT("owner-publish");
	ret = hcv_k_vol_set(s->kl, s->w->v.uuid, s->w->v.rec.epoch, &set);
	HCV_CRASH_POINT("owner-publish-done");
	res = hcv_owner_step_kernel(s, ret, "making the disk");
	if (res == HCV_OWNER_DONE)
		care_event(s, "is attached here, where it was taken care of");
	return res;
}
