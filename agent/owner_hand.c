// SPDX-License-Identifier: GPL-2.0-only
/*
 * The steps of a hand-over (core/volplan_hand.c), on both nodes.
 *
 * As in owner_step.c each may be repeated and has one outside effect, with
 * crash points around it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/record.h"
#include "owner.h"

__attribute__((format(printf, 3, 4)))
static void hand_event(struct hcv_owner_step *s, enum hcv_severity sev,
		       const char *fmt, ...)
{
	char object[128], text[HCV_VP_REASON + 128];
	va_list ap;

	snprintf(object, sizeof(object), "volume %s",
		 hcv_owner_view_name(s->w));
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	hcv_event_emit(s->a, sev, object, NULL, "%s", text);
}

static const char *hand_node(const struct hcv_owner_step *s, const char *uuid)
{
	const struct hcv_snap_node *n;

	n = s->w->snap ? hcv_snap_node(s->w->snap, uuid) : NULL;
	return n ? n->i.name : uuid;
}

static const char *hand_self(const struct hcv_owner_step *s)
{
	return hcv_agent_id(s->a)->node;
}

/* ---------------------------------------------------------------- the target */

enum hcv_owner_result hcv_owner_hand_prepare(struct hcv_owner_step *s)
{
	struct hcv_k_vol_create c = hcv_owner_step_create(s);
	enum hcv_owner_result res;
	int ret;

	if (!s->w->v.rev)
		return hcv_owner_step_refused(s, "the volume has no definition");
	c.epoch++;
	c.flags |= HCV_VOL_F_PREPARED;
	HCV_CRASH_POINT("owner-prepare");
	ret = hcv_k_vol_create(s->kl, &c);
	HCV_CRASH_POINT("owner-prepare-done");
	res = hcv_owner_step_kernel(s, ret, "preparing the volume");
	if (res == HCV_OWNER_DONE)
		hand_event(s, HCV_SEV_INFO, "gets ready to be taken over from node %s",
			   hand_node(s, s->w->v.rec.owner));
	return res;
}

enum hcv_owner_result hcv_owner_hand_ready(struct hcv_owner_step *s)
{
	struct hcv_record rec = s->w->v.rec;
	enum hcv_owner_result res;
	char err[HCV_ERR_SIZE];

	if (hcv_record_hand_ready(&rec, hand_self(s), err))
		return hcv_owner_step_refused(s, err);
	HCV_CRASH_POINT("owner-hand-ready");
	res = hcv_owner_step_record(s, &rec);
	HCV_CRASH_POINT("owner-hand-ready-done");
	return res;
}

/* ------------------------------------------------------------------ either one */

enum hcv_owner_result hcv_owner_hand_abort(struct hcv_owner_step *s)
{
	struct hcv_record rec = s->w->v.rec;
	enum hcv_owner_result res;
	char err[HCV_ERR_SIZE];

	if (hcv_record_hand_abort(&rec, err))
		return hcv_owner_step_refused(s, err);
	HCV_CRASH_POINT("owner-hand-abort");
	res = hcv_owner_step_record(s, &rec);
	HCV_CRASH_POINT("owner-hand-abort-done");
	if (res == HCV_OWNER_DONE)
		hand_event(s, HCV_SEV_WARN, "not handed over: %s",
			   s->out->reason);
	return res;
}

/* ---------------------------------------------------------------- the source */

enum hcv_owner_result hcv_owner_hand_halt(struct hcv_owner_step *s)
{
	int ret;

	s->halt_ms = hcv_now_ms();
	HCV_CRASH_POINT("owner-halt");
	ret = hcv_k_vol_halt(s->kl, s->w->v.uuid, s->k->epoch);
	HCV_CRASH_POINT("owner-halt-done");
	return hcv_owner_step_kernel(s, ret, "halting the volume");
}

enum hcv_owner_result hcv_owner_hand_resume(struct hcv_owner_step *s)
{
	enum hcv_owner_result res;
	int ret;

	HCV_CRASH_POINT("owner-resume");
	ret = hcv_k_vol_resume(s->kl, s->w->v.uuid, s->k->epoch);
	HCV_CRASH_POINT("owner-resume-done");
	res = hcv_owner_step_kernel(s, ret, "resuming the volume");
	if (res == HCV_OWNER_DONE)
		hand_event(s, HCV_SEV_WARN, "goes on here, it was not handed over");
	return res;
}

enum hcv_owner_result hcv_owner_hand_over(struct hcv_owner_step *s)
{
	struct hcv_record rec = s->w->v.rec;
	enum hcv_owner_result res;
	char err[HCV_ERR_SIZE];

	if (hcv_record_hand_over(&rec, hand_self(s), err))
		return hcv_owner_step_refused(s, err);
	HCV_CRASH_POINT("owner-hand-over");
	res = hcv_owner_step_record(s, &rec);
	HCV_CRASH_POINT("owner-hand-over-done");
	return res;
}

enum hcv_owner_result hcv_owner_hand_let_go(struct hcv_owner_step *s)
{
	uint32_t minor = s->k->minor;
	enum hcv_owner_result res;
	int ret;

	HCV_CRASH_POINT("owner-let-go");
	ret = hcv_k_vol_let_go(s->kl, s->w->v.uuid);
	HCV_CRASH_POINT("owner-let-go-done");
	/* Gone already. */
	if (ret == -ENOENT || ret == -ENODEV)
		ret = 0;
	res = hcv_owner_step_kernel(s, ret, "letting go of the volume");
	if (res != HCV_OWNER_DONE)
		return res;
	hcv_devlink_del(s->w->v.uuid, minor);
	hand_event(s, HCV_SEV_INFO, "handed over to node %s",
		   hand_node(s, s->w->v.rec.owner));
	return res;
}
