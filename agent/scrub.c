// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scrubs of the volumes that this node has.
 *
 * The module runs a pass, and keeps what it found until the next one or the end
 * of the attachment.  Once a minute, and when a pass has ended, a job looks at
 * the module: what ended and is not in the metadata store yet is written there;
 * then the volume that is overdue, if there is one, is begun
 * (core/scrubplan.c).  All of it is found again by an agent that was killed.
 */
#include "scrub.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "events.h"

#define SCRUB_LOOK_MS	60000
#define SCRUB_JOB_MS	30000

static int64_t scrub_next_ms;	/* of the next look; loop thread */

bool hcv_scrub_ended(const struct hcv_k_vol *k)
{
	return k->scrub.known && (k->scrub.state == HCV_SCRUB_DONE ||
				  k->scrub.state == HCV_SCRUB_STOPPED);
}

/* No replica is failing, lost, or on its way in: a pass would wait. */
static bool scrub_settled(const struct hcv_k_vol *k)
{
	size_t i;

	for (i = 0; i < k->nr_links; i++)
		if (k->link[i].state != HCV_LINK_INSYNC &&
		    k->link[i].state != HCV_LINK_OUT)
			return false;
	return true;
}

void hcv_scrub_of_module(const struct hcv_k_vol *k, const char *node,
			 struct hcv_scrub_info *out)
{
	const struct hcv_k_scrub *s = &k->scrub;
	size_t i;

	memset(out, 0, sizeof(*out));
	snprintf(out->node, sizeof(out->node), "%s", node);
	out->epoch = k->epoch;
	out->pass = s->pass;
	out->ended = (int64_t)time(NULL) - (int64_t)(s->ended_ms / 1000);
	out->whole = s->state == HCV_SCRUB_DONE;
	out->read = s->read;
	out->changed = s->changed;
	out->damaged = s->damaged;
	out->media = s->media;
	out->lost = s->lost;
	for (i = 0; i < s->nr && i < HCV_REC_STORES; i++) {
		struct hcv_scrub_store *st = &out->st[out->nr++];

		memcpy(st->store, s->copy[i].store, HCV_ID_LEN);
		st->result = s->copy[i].result;
		st->covered = s->copy[i].covered;
		st->missed = s->copy[i].missed;
		st->damaged = s->copy[i].damaged;
		st->media = s->copy[i].media;
		st->repaired = s->copy[i].repaired;
		st->failed = s->copy[i].failed;
		st->pages = s->copy[i].pages;
	}
}

/* ----------------------------------------------------------------- the job */

struct scrub_look {
	struct hcv_agent *a;
	struct hcv_job *job;
	struct hcv_klink *kl;
	struct hcv_snap *s;
	const char *node;
	struct hcv_k_vol *k;
	size_t nr;
};

/* The volume's keys, if it is this node's under the epoch of the module. */
static const struct hcv_snap_vol *scrub_vol(const struct scrub_look *l,
					    const struct hcv_k_vol *k)
{
	const struct hcv_snap_vol *v = hcv_snap_vol(l->s, k->uuid);

	/* What is only taken care of may be given up at any time. */
	return v && v->rev && v->rec_rev && !v->bad && !k->diskless &&
	       v->rec.epoch == k->epoch && !strcmp(v->rec.owner, l->node) ?
	       v : NULL;
}

static bool scrub_same(const struct hcv_scrub_info *a,
		       const struct hcv_scrub_info *b)
{
	return a && a->epoch == b->epoch && a->pass == b->pass;
}

static void scrub_emit(struct scrub_look *l, const struct hcv_snap_vol *v,
		       const struct hcv_scrub_info *i)
{
	bool found = i->damaged || i->media || i->lost, bad = false;
	char object[128], name[128];
	size_t n;

	snprintf(object, sizeof(object), "volume %s", v->i.name);
	hcv_event_emit(l->a, found ? HCV_SEV_WARN : HCV_SEV_INFO, object, NULL,
		       "scrub %s: %llu MiB read; %llu blocks differed, %llu had media errors, %llu are lost, %llu were changed under write",
		       i->whole ? "done" : "stopped",
		       (unsigned long long)(i->read >> 8),
		       (unsigned long long)i->damaged,
		       (unsigned long long)i->media,
		       (unsigned long long)i->lost,
		       (unsigned long long)i->changed);
	for (n = 0; n < i->nr; n++) {
		const struct hcv_snap_store *st =
			hcv_snap_store(l->s, i->st[n].store);

		bad = i->st[n].result == HCV_SCRUBBED_BAD;
		if (!bad && (!i->whole ||
			     i->st[n].result == HCV_SCRUBBED_GOOD))
			continue;
		snprintf(name, sizeof(name), "%s",
			 st ? st->i.name : i->st[n].store);
		hcv_event_emit(l->a, bad ? HCV_SEV_ERR : HCV_SEV_WARN, object,
			       NULL, "scrub: the replica on store %s %s", name,
			       bad ? "has blocks that could not be repaired" :
				     "was not read in full and is not known to be good");
	}
}

static void scrub_record(struct scrub_look *l, const struct hcv_snap_vol *v,
			 const struct hcv_scrub_info *i)
{
	struct hcv_scrub_info sum = *i;
	char rec[64], key[64], *value;
	struct hcv_cmp cmp[2] = { { rec, v->rec_rev }, { key, v->scrub_rev } };
	struct hcv_op op = { .key = key };
	enum hcv_meta_result res;
	size_t n;

	for (n = 0; v->scrub && n < v->rec.nr; n++)
		hcv_scrub_carry(&sum, v->scrub, v->rec.st[n].store);
	value = hcv_scrub_encode(&sum);
	if (!value)
		return;		/* the next look tries again */
	op.value = value;
	snprintf(rec, sizeof(rec), "rec/%s", v->uuid);
	snprintf(key, sizeof(key), "scrub/%s", v->uuid);
	HCV_CRASH_POINT("scrub-record");
	res = hcv_meta_txn(hcv_agent_meta(l->a), cmp, 2, &op, 1, NULL,
			   hcv_job_left(l->job));
	HCV_CRASH_POINT("scrub-record-done");
	free(value);
	/* Otherwise the next look finds it there, or writes it again. */
	if (res == HCV_META_OK)
		scrub_emit(l, v, i);
}

static void scrub_begin(struct scrub_look *l, const struct hcv_k_vol *k)
{
	uint32_t kibps = l->s->cluster.scrub_kibps;
	char object[128];
	int ret;

	ret = hcv_k_vol_scrub(l->kl, k->uuid, k->epoch, true, kibps);
	snprintf(object, sizeof(object), "volume %s", k->name);
	if (ret)
		hcv_log(HCV_SEV_WARN, "%s: scrub: %s", object,
			hcv_klink_error(l->kl));
	else
		hcv_event_emit(l->a, HCV_SEV_INFO, object, NULL,
			       "scrub begun, at most %u KiB/s from each replica; it is due every %u days",
			       kibps, l->s->cluster.scrub_days);
}

static void scrub_look(struct scrub_look *l)
{
	struct hcv_scrubplan_vol *plan = calloc(l->nr + 1, sizeof(*plan));
	struct hcv_scrub_info *last = calloc(l->nr + 1, sizeof(*last));
	const struct hcv_snap_vol *v;
	int next = -1;
	size_t i;

	for (i = 0; plan && last && i < l->nr; i++) {
		const struct hcv_k_vol *k = &l->k[i];

		plan[i].running = k->scrub.known &&
				  k->scrub.state == HCV_SCRUB_RUNNING;
		v = scrub_vol(l, k);
		if (!v)
			continue;
		plan[i].active = k->state == HCV_VOL_ACTIVE &&
				 scrub_settled(k);
		plan[i].created = v->i.created;
		plan[i].last = v->scrub;
		if (!hcv_scrub_ended(k))
			continue;
		hcv_scrub_of_module(k, l->node, &last[i]);
		if (scrub_same(v->scrub, &last[i]))
			continue;
		plan[i].last = &last[i];
		scrub_record(l, v, &last[i]);
	}
	if (plan && last)
		next = hcv_scrubplan_next(plan, l->nr,
					  l->s->cluster.scrub_days,
					  time(NULL));
	if (next >= 0)
		scrub_begin(l, &l->k[next]);
	free(plan);
	free(last);
}

static void scrub_job(struct hcv_job *job)
{
	struct scrub_look l = {
		.a = job->agent, .job = job, .kl = hcv_job_klink(job),
		.s = hcv_snap_get(job->agent),
		.node = hcv_agent_id(job->agent)->node,
	};

	if (l.kl && l.s && l.s->cluster_rev &&
	    !hcv_k_vol_list(l.kl, &l.k, &l.nr))
		scrub_look(&l);
	free(l.k);
	hcv_snap_put(l.s);
}

static void scrub_done(struct hcv_job *job)
{
	(void)job;
}

/* -------------------------------------------------------------- reconciler */

static void scrub_tick(struct hcv_agent *a)
{
	if (!hcv_agent_id(a) || hcv_now_ms() < scrub_next_ms ||
	    !hcv_job_start(a, "scrub", SCRUB_JOB_MS, scrub_job, scrub_done,
			   NULL))
		return;
	scrub_next_ms = hcv_now_ms() + SCRUB_LOOK_MS;
}

/* A finding, as it is made; what was lost of these is in the counters. */
static void scrub_found(struct hcv_agent *a, const struct hcv_k_event *ev)
{
	struct hcv_snap *s = hcv_snap_get(a);
	const struct hcv_snap_store *st = s ? hcv_snap_store(s, ev->store) :
					      NULL;
	const struct hcv_snap_vol *v = s ? hcv_snap_vol(s, ev->vol) : NULL;
	char object[128];

	snprintf(object, sizeof(object), "volume %s",
		 v && v->rev ? v->i.name : ev->vol);
	hcv_event_emit(a, HCV_SEV_WARN, object, NULL, "scrub: store %s %s",
		       st ? st->i.name : ev->store, ev->text);
	hcv_snap_put(s);
}

static void scrub_kernel_event(struct hcv_agent *a,
			       const struct hcv_k_event *ev)
{
	if (ev && ev->event == HCV_EVENT_SCRUB_FOUND && ev->has_vol &&
	    ev->has_store)
		scrub_found(a, ev);
	/* The next tick looks: a second for what cannot be urgent. */
	if (!ev || ev->event == HCV_EVENT_SCRUB_ENDED)
		scrub_next_ms = 0;
}

static const struct hcv_reconciler scrub_reconciler = {
	.name = "scrub",
	.kernel_event = scrub_kernel_event,
	.tick = scrub_tick,
};

int hcv_scrub_init(struct hcv_agent *a)
{
	hcv_reconciler_register(a, &scrub_reconciler);
	return 0;
}
