// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is kept between two questions: timers, and steps that failed.
 */
#include <stdio.h>
#include <string.h>

#include "volplan_priv.h"

const struct hcv_vp_retry *hcv_vp_retry_find(const struct hcv_vp_mem *mem,
					     enum hcv_vp_act act,
					     const char *store)
{
	size_t i;

	for (i = 0; mem && i < mem->nr_retry; i++)
		if (mem->retry[i].act == act &&
		    !strcmp(mem->retry[i].store, store))
			return &mem->retry[i];
	return NULL;
}

static void vp_forget(struct hcv_vp_mem *mem, enum hcv_vp_act act,
		      const char *store)
{
	struct hcv_vp_retry *r;
	size_t i;

	r = (struct hcv_vp_retry *)hcv_vp_retry_find(mem, act, store);
	if (!r)
		return;
	i = (size_t)(r - mem->retry);
	memmove(r, r + 1, (mem->nr_retry - i - 1) * sizeof(*r));
	mem->nr_retry--;
}

void hcv_volplan_time(struct hcv_vp_mem *mem, const struct hcv_vp_in *in)
{
	const struct hcv_record *rec = in->rec;

	if (!in->known)
		return;
	if (rec && in->can_hand && !strcmp(rec->hand.to, in->node)) {
		/* The failures of the preparation are those of its epoch. */
		if (mem->hand_v != rec->hand.v)
			*mem = (struct hcv_vp_mem){
				.epoch = rec->epoch + 1,
				.hand_v = rec->hand.v, .hand_ms = in->now_ms,
			};
		return;
	}
	if (rec && strcmp(rec->owner, in->node) && hcv_vp_care_due(in)) {
		/* Claims that fail are those of the next epoch. */
		if (mem->epoch != rec->epoch + 1)
			*mem = (struct hcv_vp_mem){ .epoch = rec->epoch + 1 };
		return;
	}
	if (!rec || strcmp(rec->owner, in->node)) {
		memset(mem, 0, sizeof(*mem));
		return;
	}
	if (rec->epoch != mem->epoch) {
		memset(mem, 0, sizeof(*mem));
		mem->epoch = rec->epoch;
	}
	if (rec->phase == HCV_PH_TAKING && !mem->taking_ms)
		mem->taking_ms = in->now_ms;
	if (rec->phase == HCV_PH_SERVING && !mem->serving_ms)
		mem->serving_ms = in->now_ms;
	if (!rec->hand.to[0])
		vp_forget(mem, HCV_VP_HALT, "");
	if (mem->hand_v != rec->hand.v) {
		mem->hand_v = rec->hand.v;
		mem->hand_ms = in->now_ms;
	}
	if (!rec->hand.to[0] || in->to_live)
		mem->to_gone_ms = 0;
	else if (!mem->to_gone_ms)
		mem->to_gone_ms = in->now_ms;
}

void hcv_volplan_failed(struct hcv_vp_mem *mem, const struct hcv_vp_out *step,
			int64_t now_ms, const char *why)
{
	struct hcv_vp_retry *r;
	int64_t delay, max;

	r = (struct hcv_vp_retry *)hcv_vp_retry_find(mem, step->act, step->store);
	if (!r) {
		if (mem->nr_retry == HCV_VP_RETRIES)	/* the oldest one goes */
			memmove(mem->retry, mem->retry + 1,
				--mem->nr_retry * sizeof(*r));
		r = &mem->retry[mem->nr_retry++];
		memset(r, 0, sizeof(*r));
		r->act = step->act;
		snprintf(r->store, sizeof(r->store), "%s", step->store);
	}
	max = step->act == HCV_VP_BEGIN_SYNC ? HCV_VP_RESYNC_MAX_MS :
					       HCV_VP_RETRY_MAX_MS;
	delay = r->fails < 10 ? (int64_t)HCV_VP_RETRY_MIN_MS << r->fails : max;
	if (delay > max)
		delay = max;
	r->fails++;
	r->until_ms = now_ms + delay;
	snprintf(r->why, sizeof(r->why), "%s", why);
}

void hcv_volplan_done(struct hcv_vp_mem *mem, const struct hcv_vp_out *step,
		      int64_t now_ms)
{
	struct hcv_vp_out resync = { .act = HCV_VP_BEGIN_SYNC };

	if (step->act != HCV_VP_BEGIN_SYNC)
		vp_forget(mem, step->act, step->store);
	if (step->act == HCV_VP_JOIN)
		vp_forget(mem, HCV_VP_BEGIN_SYNC, step->store);
	if (step->act == HCV_VP_REMOVE && step->resync_failed) {
		memcpy(resync.store, step->store, sizeof(resync.store));
		hcv_volplan_failed(mem, &resync, now_ms,
				   "the copy failed half-way");
	}
}
