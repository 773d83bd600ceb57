// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking care of a volume that is attached nowhere.
 *
 * How it works.  The leader names a node in care/VOL (recplan_care.c).  That one
 * claims the volume like any owner, with a mark in the record, and starts it
 * without a disk: what can be brought up to date is, jobs are carried out, and
 * nobody can read or write.  It ends when the key does not name the node any
 * more, or somebody who wants the volume asks for it in the record.
 *
 * Two words in the record keep an attach and the end apart, each set by a
 * transaction that compares it:
 * - Only a mark without `leave` may be taken away by an attach on this node; the
 *   volume in the module then gets its disk.
 * - Only under `leave`, which no one takes back, is the module told to stop.  An
 *   attach that finds it waits until nobody owns the volume, and claims it.
 *
 * A volume that cannot be stopped in order, since its last replica is away, is
 * stopped by force after a few tries: no guest has written anything under this
 * epoch, and who has it next makes its replicas equal as after a crash.
 *
 * A caretaker that is gone has nothing that anybody waits for: whoever wants the
 * volume makes the record one without an owner and goes on from there.  Should it
 * still run, its handles are closed before the next owner serves, as after any
 * claim, and its agent finds that the volume is not its own.
 */
#include "volplan_priv.h"

bool hcv_vp_care_due(const struct hcv_vp_in *in)
{
	const struct hcv_record *rec = in->rec;

	if (!in->care || !in->can_care || in->urgent || !rec || !in->vol ||
	    in->vol->deleting)
		return false;
	return !rec->owner[0] || (rec->care.on && !in->owner_live);
}

/* Only the incarnation that was lost may return, and it never will. */
static bool care_reborn(const struct hcv_vp_in *in, const struct hcv_k_vol *k)
{
	size_t i, j;

	for (i = 0; i < k->nr_links; i++)
		for (j = 0; k->link[i].state == HCV_LINK_LOST &&
		     j < in->nr_st; j++)
			if (!strcmp(in->st[j].id, k->link[i].store) &&
			    vp_live(&in->st[j]) &&
			    in->st[j].incarnation != k->link[i].incarnation)
				return true;
	return false;
}

/* Nobody looks after it: what an operator would detach by force ends by itself. */
static bool care_stuck(const struct hcv_vp_in *in, const struct hcv_k_vol *k)
{
	int64_t since = in->rec->phase == HCV_PH_TAKING ? in->mem->taking_ms :
							  in->mem->serving_ms;

	if (k && care_reborn(in, k))
		return true;
	return (!k || k->state == HCV_VOL_NEW) && since &&
	       in->now_ms - since >= HCV_VP_CARE_START_MS;
}

bool hcv_vp_care_forced(const struct hcv_vp_in *in)
{
	const struct hcv_vp_retry *r;

	r = hcv_vp_retry_find(in->mem, HCV_VP_STOP, "");
	return r && r->fails >= HCV_VP_CARE_STOPS;
}

enum hcv_vp_act hcv_vp_care_end(const struct hcv_vp_in *in,
				const struct hcv_k_vol *k)
{
	const struct hcv_record *rec = in->rec;

	if (!rec->care.on || in->urgent)
		return HCV_VP_NONE;
	if (k && k->state == HCV_VOL_STOPPING)
		return HCV_VP_NONE;
	if (rec->care.leave)
		return k ? HCV_VP_STOP : HCV_VP_DETACH;
	/* It was lost with its module, or this one cannot have it like that. */
	if (!k && (rec->phase == HCV_PH_SERVING || !in->can_care))
		return HCV_VP_DETACH;
	return in->care && !care_stuck(in, k) ? HCV_VP_NONE :
						HCV_VP_CARE_LEAVE;
}
