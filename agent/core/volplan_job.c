// SPDX-License-Identifier: GPL-2.0-only
/*
 * The recovery job of a volume, as its owner sees it: core/jobplan.c decides.
 */
#include <string.h>

#include "record.h"
#include "volplan_priv.h"

static void job_in(const struct vp *p, struct hcv_jp_in *j)
{
	const struct hcv_record *rec = p->in->rec;
	size_t i;

	memset(j, 0, sizeof(*j));
	j->from = p->in->job->from;
	j->to = p->in->job->to;
	j->cancel = p->in->job->cancel;
	j->replicas = p->in->vol->replicas;
	j->rec = rec;
	j->rows = p->in->rows;
	for (i = 0; i < rec->nr; i++) {
		const char *id = rec->st[i].store;
		const struct hcv_k_link *link = vp_link(p, id);

		j->good[i] = rec->st[i].state == HCV_RS_INSYNC && link &&
			     link->state == HCV_LINK_INSYNC &&
			     vp_live(vp_store(p, id));
		j->tied[i] = vp_tied(p, id);
	}
}

static bool job_is_there(const struct vp *p)
{
	return p->in->job && p->in->vol && p->in->rows;
}

bool hcv_vp_job_held(const struct vp *p, const char *store)
{
	struct hcv_jp_in j;

	if (!job_is_there(p) || (strcmp(store, p->in->job->from) &&
				 strcmp(store, p->in->job->to)))
		return false;
	job_in(p, &j);
	return hcv_jobplan_holds(&j, store);
}

static bool job_failed(const struct vp *p, enum hcv_vp_act act,
		       unsigned int tries)
{
	const struct hcv_vp_retry *r;

	r = hcv_vp_retry_find(p->in->mem, act, p->in->job->to);
	return r && r->fails >= tries;
}

/*
 * A target that was tried often enough: it may be better to take another one.
 * The leader calls the job off then.  Return: NULL, or what failed
 */
static const char *job_hopeless(const struct vp *p,
				const struct hcv_jp_out *out)
{
	const struct hcv_job_info *job = p->in->job;

	if (job->failed || job->cancel)
		return NULL;
	if (out->act == HCV_JP_WAIT && !out->why &&
	    job_failed(p, HCV_VP_BEGIN_SYNC, HCV_VP_JOB_TRIES))
		return "it could not be brought up to date";
	if (out->act == HCV_JP_ADD &&
	    job_failed(p, HCV_VP_JOB, HCV_VP_JOB_ADD_TRIES))
		return "it cannot take the extents";
	return NULL;
}

/*
 * In-sync copies leave by the module first: were the record first, a failure of
 * the other one in between would find nobody to be removed for.  A link that is
 * on its way in or out is settled before that, by others.
 */
static void job_release(const struct vp *p, struct hcv_jp_out *out)
{
	const struct hcv_k_link *link = vp_link(p, out->store);

	if (!hcv_record_insync(p->in->rec, out->store) || !link ||
	    link->state == HCV_LINK_OUT)
		return;
	if (link->state == HCV_LINK_INSYNC) {
		out->act = HCV_JP_RELEASE;
		return;
	}
	out->act = HCV_JP_WAIT;
	out->why = "the replica that goes is on its way in or out";
}

void hcv_vp_job(const struct vp *p, struct hcv_jp_out *out)
{
	const char *why;
	struct hcv_jp_in j;

	memset(out, 0, sizeof(*out));
	if (!job_is_there(p))
		return;
	job_in(p, &j);
	hcv_jobplan_next(&j, out);
	if (out->act == HCV_JP_REMOVE)
		job_release(p, out);
	why = job_hopeless(p, out);
	if (!why)
		return;
	memset(out, 0, sizeof(*out));
	out->act = HCV_JP_FAIL;
	out->why = why;
}
