// SPDX-License-Identifier: GPL-2.0-only
/*
 * Brings the volumes of this node to where the record wants them.
 *
 * How it works.  Snapshots, kernel events and a scan of the module once a
 * second start the job of a volume, at most one at a time.  The job reads the
 * module's view, asks core/volplan.c for the next step, takes it, and asks
 * again, until there is none or something has to be waited for.  It remembers
 * nothing that the metadata store or the module could not tell again.
 *
 * A snapshot is used only if it was read after this agent's last own write to
 * the volume's keys; otherwise the keys are read first.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "owner_vols.h"
#include "sync_limit.h"

static struct hcv_owner_urgent *owner_urgent;

struct owner_run {
	char uuid[HCV_ID_LEN];
	struct hcv_snap *snap;
	struct hcv_owner_view view;
	struct hcv_owner_vol vol;	/* a copy */
	struct hcv_k_vol k;
	bool present;
	uint64_t wish_read;		/* the view was read after this wish */
	struct hcv_vp_out out;
	struct hcv_owner_step step;
};

static void owner_start(struct hcv_agent *a, const char *uuid);

/* ------------------------------------------------------------- one decision */

/* Take the shared state; the wishes may change while the job runs. */
static void run_load(struct owner_run *r)
{
	struct hcv_owner_vol *v = hcv_owner_vols_lock(r->uuid, true);

	if (v)
		r->vol = *v;
	hcv_owner_vols_unlock(false);
}

static void run_links(struct owner_run *r)
{
	size_t i, j;

	if (r->vol.link_epoch != r->view.v.rec.epoch)
		return;
	for (i = 0; i < r->view.nr_st; i++)
		for (j = 0; j < r->vol.nr_links; j++)
			if (!strcmp(r->vol.link[j].store, r->view.st[i].id)) {
				r->view.st[i].linked_count =
					r->vol.link[j].count;
				r->view.st[i].dropped = r->vol.link[j].dropped;
			}
}

/* Whether the volume left the module in order in the record's epoch. */
static bool run_stopped(struct hcv_job *job, struct owner_run *r)
{
	const struct hcv_record *rec = &r->view.v.rec;
	struct hcv_k_module m;

	if (!rec->epoch || rec->phase != HCV_PH_SERVING ||
	    strcmp(rec->owner, hcv_agent_id(job->agent)->node))
		return false;
	if (r->vol.stopped_epoch == rec->epoch)
		return true;
	return !r->present && !hcv_k_module_get(r->step.kl, &m) &&
	       hcv_owner_stop_proved(job->agent, r->uuid, rec->epoch,
				     m.boot_id);
}

/* An older module is asked only when somebody wishes for a hand-over. */
static bool run_can_hand(const struct owner_run *r)
{
	struct hcv_k_module m;

	if (r->k.prepared || r->k.halted)
		return true;
	return r->view.v.rec.hand.to[0] && !hcv_k_module_get(r->step.kl, &m) &&
	       m.features & HCV_FEATURE_HANDOVER;
}

static bool run_live(const struct owner_run *r, const char *node)
{
	const struct hcv_snap *s = r->view.snap;
	const struct hcv_snap_node *n = s ? hcv_snap_node(s, node) : NULL;

	return n && n->i.live;
}

/* The module is asked only when it matters. */
static bool run_can_care(const struct owner_run *r, bool care)
{
	struct hcv_k_module m;

	return (care || r->view.v.rec.care.on) &&
	       !hcv_k_module_get(r->step.kl, &m) &&
	       m.features & HCV_FEATURE_DISKLESS;
}

static void run_plan(struct hcv_job *job, struct owner_run *r)
{
	struct hcv_owner_view *w = &r->view;
	const struct hcv_snap_vol *v = &w->v;
	bool opt = r->vol.opt_epoch && r->vol.opt_epoch == v->rec.epoch;
	/* Written for the next one before the claim: those of this one are gone. */
	bool next = r->vol.opt_epoch && r->vol.opt_epoch == v->rec.epoch + 1;
	struct hcv_owner_vol *shared;
	struct hcv_vp_in in = {
		.node = hcv_agent_id(job->agent)->node,
		.now_ms = hcv_now_ms(), .known = w->known,
		.settled = w->settled && r->wish_read == r->vol.wishes,
		.want_detach = r->vol.detach,
		.want_force = r->vol.force,
		.stopped = run_stopped(job, r),
		.can_hand = run_can_hand(r),
		.to_live = run_live(r, v->rec.hand.to),
		.owner_live = run_live(r, v->rec.owner),
		.rec = v->rec_rev ? &v->rec : NULL,
		.vol = v->rev ? &v->i : NULL, .rows = &v->rows,
		.job = v->job_rev ? &v->job : NULL,
		.k = r->present ? &r->k : NULL, .mem = &r->vol.mem,
	};

	in.care = v->care_rev && !strcmp(v->care.node, in.node);
	in.can_care = run_can_care(r, in.care);

	hcv_owner_view_stores(w, in.node);
	run_links(r);
	in.st = w->st;
	in.nr_st = w->nr_st;
	r->step.readonly = v->i.readonly ||
			   ((opt || next) && r->vol.opt_readonly);
	r->step.queue = opt || next ? r->vol.opt_queue : v->i.queue;
	in.other_disk = opt && r->k.prepared &&
			(r->step.queue != r->k.queue ||
			 r->step.readonly != !!(r->k.flags &
						HCV_VOL_F_READONLY));
	hcv_volplan_time(&r->vol.mem, &in);
	shared = hcv_owner_vols_lock(r->uuid, true);
	if (shared)
		hcv_volplan_time(&shared->mem, &in);
	hcv_owner_vols_unlock(false);
	hcv_volplan_next(&in, &r->out);
}

/* ---------------------------------------------------------------- reporting */

static void run_report(struct owner_run *r)
{
	struct hcv_owner_vol *v = hcv_owner_vols_lock(r->uuid, true);
	struct hcv_owner_report *rep;
	bool waiting = r->out.act == HCV_VP_WAIT ||
		       r->out.act == HCV_VP_REREAD;

	if (!v) {
		hcv_owner_vols_unlock(false);
		return;
	}
	rep = &v->report;
	rep->pass++;
	rep->in_module = r->present;
	rep->state = r->k.state;
	rep->prepared = r->k.prepared;
	rep->diskless = r->k.diskless;
	rep->epoch = r->k.epoch;
	rep->minor = r->k.minor;
	if (!waiting || !rep->waiting || strcmp(rep->reason, r->out.reason))
		rep->since_ms = hcv_now_ms();
	rep->waiting = waiting;
	snprintf(rep->reason, sizeof(rep->reason), "%s",
		 waiting ? r->out.reason : "");
	hcv_owner_vols_unlock(true);
}

static void run_note_link(const struct owner_run *r, struct hcv_owner_vol *v)
{
	size_t i;

	if (v->link_epoch != r->view.v.rec.epoch)
		v->nr_links = 0;
	v->link_epoch = r->view.v.rec.epoch;
	for (i = 0; i < v->nr_links; i++)
		if (!strcmp(v->link[i].store, r->out.store))
			break;
	if (i == HCV_REC_STORES)
		return;
	if (i == v->nr_links)
		v->nr_links++;
	memcpy(v->link[i].store, r->out.store, HCV_ID_LEN);
	v->link[i].count = r->step.linked_count;
	v->link[i].dropped = r->out.act == HCV_VP_LINK_DEL;
}

/* What a step that was taken leaves to be remembered. */
static void run_done(struct hcv_job *job, struct owner_run *r)
{
	const struct hcv_owner_step *s = &r->step;
	struct hcv_owner_vol *v = hcv_owner_vols_lock(r->uuid, true);
	bool over;

	if (!v) {
		hcv_owner_vols_unlock(false);
		return;
	}
	hcv_volplan_done(&v->mem, &r->out, hcv_now_ms());
	if (s->stopped)
		v->stopped_epoch = r->k.epoch;
	if (r->out.act == HCV_VP_STOP || r->out.act == HCV_VP_LET_GO)
		v->devlink[0] = 0;
	if (r->out.act == HCV_VP_HALT)
		v->report.halt_ms = s->halt_ms;
	/* A wish that came meanwhile is another one. */
	over = (r->out.act == HCV_VP_DETACH || r->out.act == HCV_VP_FORGET) &&
	       v->wishes == r->vol.wishes;
	if (over) {
		v->detach = false;
		v->force = false;
	}
	if (r->out.act == HCV_VP_LINK_ADD || r->out.act == HCV_VP_LINK_DEL)
		run_note_link(r, v);
	hcv_owner_vols_unlock(false);
	if (over)
		hcv_owner_options_drop(job->agent, r->uuid,
				       r->view.v.rec_rev ?
				       r->view.v.rec.epoch : UINT64_MAX);
	if (r->out.act == HCV_VP_LET_GO)
		hcv_owner_options_drop(job->agent, r->uuid, r->k.epoch);
}

static void run_failed(struct owner_run *r)
{
	struct hcv_owner_vol *v = hcv_owner_vols_lock(r->uuid, true);
	const struct hcv_owner_step *s = &r->step;
	int64_t now = hcv_now_ms();

	hcv_log(HCV_SEV_WARN, "volume %s: %s %s: %s",
		hcv_owner_view_name(&r->view),
		hcv_volplan_act_name(r->out.act), r->out.store, s->err);
	if (v) {
		hcv_volplan_failed(&v->mem, &r->out, now, s->err);
		v->report.failed = r->out.act;
		v->report.failed_err = s->kernel_err;
		snprintf(v->report.why, sizeof(v->report.why), "%s", s->err);
		/* An orderly stop is tried once per wish: it may be in use. */
		if (r->out.act == HCV_VP_STOP && !r->out.force)
			v->detach = false;
	}
	hcv_owner_vols_unlock(false);
}

/* The links in /dev follow the module's state, after every restart too. */
static void run_devlinks(struct hcv_job *job, struct owner_run *r)
{
	struct hcv_owner_vol *v;
	bool same;
	int ret;

	if (!r->present || r->k.diskless ||
	    (r->k.state != HCV_VOL_ACTIVE &&
			    r->k.state != HCV_VOL_SUSPENDED && !r->k.prepared))
		return;
	v = hcv_owner_vols_lock(r->uuid, true);
	same = !v || (!strcmp(v->devlink, r->k.name) &&
		      v->devlink_minor == r->k.minor);
	hcv_owner_vols_unlock(false);
	if (same)
		return;
	HCV_CRASH_POINT("owner-devlink");
	ret = hcv_devlink_add(r->k.name, r->uuid, r->k.minor);
	if (ret) {
		hcv_log(HCV_SEV_WARN, "volume %s: links in /dev/hcivol: %s",
			r->k.name, strerror(-ret));
		return;
	}
	v = hcv_owner_vols_lock(r->uuid, true);
	if (v) {
		memcpy(v->devlink, r->k.name, sizeof(v->devlink));
		v->devlink_minor = r->k.minor;
	}
	hcv_owner_vols_unlock(false);
	(void)job;
}

/* ------------------------------------------------------------------ the job */

static bool run_reread(struct hcv_job *job, struct owner_run *r)
{
	unsigned int left = hcv_job_left(job);

	run_load(r);
	r->wish_read = r->vol.wishes;
	return hcv_owner_view_read(&r->view, left < HCV_META_MS ? left :
					     HCV_META_MS) == HCV_META_OK;
}

/* What the module has of the volume; a module that is not there has nothing. */
static int run_module(struct hcv_job *job, struct owner_run *r)
{
	int ret;

	r->present = false;
	r->step.kl = hcv_job_klink(job);
	if (!r->step.kl)
		return -ENODEV;
	ret = hcv_k_vol_get(r->step.kl, r->uuid, &r->k);
	if (ret == -ENOENT)
		memset(&r->k, 0, sizeof(r->k));
	r->present = !ret;
	if (!ret)
		hcv_owner_gap_seen(&r->k);
	return ret == -ENOENT ? 0 : ret;
}

/* Return: false: nothing more to do now */
static bool run_once(struct hcv_job *job, struct owner_run *r)
{
	int ret = run_module(job, r);

	if (ret) {
		memset(&r->out, 0, sizeof(r->out));
		r->out.act = HCV_VP_WAIT;
		snprintf(r->out.reason, sizeof(r->out.reason),
			 "the kernel module does not answer: %s",
			 strerror(-ret));
		return false;
	}
	/* Written before the claim that they belong to, which was read by now. */
	hcv_owner_options_load(job->agent, r->uuid);
	run_load(r);
	run_plan(job, r);
	if (r->out.act == HCV_VP_NONE || r->out.act == HCV_VP_WAIT)
		return false;
	if (r->out.act == HCV_VP_REREAD)
		return run_reread(job, r);
	hcv_log(HCV_SEV_DEBUG, "volume %s: %s %s",
		hcv_owner_view_name(&r->view),
		hcv_volplan_act_name(r->out.act), r->out.store);
	r->step.a = job->agent;
	r->step.w = &r->view;
	r->step.k = r->present ? &r->k : NULL;
	r->step.out = &r->out;
	r->step.until_ms = job->deadline_ms;
	switch (hcv_owner_step_run(&r->step)) {
	case HCV_OWNER_DONE:
		run_done(job, r);
		return true;
	case HCV_OWNER_STARTED:
		return true;
	case HCV_OWNER_REREAD:
		return run_reread(job, r);
	default:
		run_failed(r);
		return true;
	}
}

static void owner_job(struct hcv_job *job)
{
	struct owner_run *r = job->arg;
	int i;

	hcv_owner_view_init(&r->view, job->agent, r->snap, r->uuid);
	if (!hcv_owner_current(job->agent, r->uuid,
			       r->snap ? r->snap->rev : 0))
		run_reread(job, r);
	for (i = 0; i < HCV_OWNER_STEPS && !hcv_job_expired(job); i++)
		if (!run_once(job, r))
			break;
	run_devlinks(job, r);
	run_report(r);
	hcv_owner_view_free(&r->view);
}

static void owner_job_done(struct hcv_job *job)
{
	struct hcv_agent *a = job->agent;
	struct owner_run *r = job->arg;
	bool again = job->again;
	char uuid[HCV_ID_LEN];

	memcpy(uuid, r->uuid, sizeof(uuid));
	hcv_snap_put(r->snap);
	free(r);
	if (again && !hcv_agent_stopping(a))
		owner_start(a, uuid);
}

static void owner_start(struct hcv_agent *a, const char *uuid)
{
	struct owner_run *r;
	char key[64];

	if (!hcv_agent_id(a))
		return;
	r = calloc(1, sizeof(*r));
	if (!r)
		return;	/* the next tick tries again */
	snprintf(r->uuid, sizeof(r->uuid), "%s", uuid);
	r->snap = hcv_snap_get(a);
	snprintf(key, sizeof(key), "owner/%s", uuid);
	if (!hcv_job_start(a, key, HCV_OWNER_JOB_MS, owner_job, owner_job_done,
			   r)) {
		hcv_snap_put(r->snap);
		free(r);
	}
}

/* ----------------------------------------------------------------- triggers */

struct owner_kick {
	char uuid[HCV_ID_LEN];
};

static void owner_kicked(struct hcv_agent *a, void *arg)
{
	struct owner_kick *k = arg;

	owner_start(a, k->uuid);
	free(k);
}

void hcv_owner_kick(struct hcv_agent *a, const char *uuid)
{
	struct owner_kick *k = calloc(1, sizeof(*k));

	if (!k)
		return;	/* the next tick looks anyway */
	snprintf(k->uuid, sizeof(k->uuid), "%s", uuid);
	hcv_agent_defer(a, owner_kicked, k);
}

static void owner_look_all(struct hcv_agent *a, struct hcv_snap *snap)
{
	const struct hcv_identity *id = hcv_agent_id(a);
	char (*uuid)[HCV_ID_LEN];
	size_t i, nr;

	if (!id)
		return;
	nr = hcv_owner_vols_tracked(&uuid);
	for (i = 0; i < nr; i++)
		owner_start(a, uuid[i]);
	free(uuid);
	for (i = 0; snap && i < snap->nr_vols; i++)
		if (!strcmp(snap->vol[i].rec.owner, id->node) ||
		    !strcmp(snap->vol[i].rec.hand.to, id->node) ||
		    (snap->vol[i].care_rev &&
		     !strcmp(snap->vol[i].care.node, id->node)))
			owner_start(a, snap->vol[i].uuid);
}

static void owner_snapshot(struct hcv_agent *a, struct hcv_snap *snap)
{
	owner_look_all(a, snap);
}

static void scan_job(struct hcv_job *job)
{
	struct hcv_klink *kl = hcv_job_klink(job);
	struct hcv_k_vol *vol = NULL;
	size_t nr = 0;

	if (kl && !hcv_k_vol_list(kl, &vol, &nr)) {
		hcv_owner_vols_scan(vol, nr);
		hcv_sync_limit_look(job, vol, nr);
	}
	free(vol);
}

static void scan_done(struct hcv_job *job)
{
	struct hcv_snap *snap;

	if (hcv_agent_stopping(job->agent))
		return;
	snap = hcv_snap_get(job->agent);
	owner_look_all(job->agent, snap);
	hcv_snap_put(snap);
}

static void owner_tick(struct hcv_agent *a)
{
	if (!owner_urgent)
		owner_urgent = hcv_owner_urgent_start(a);
	if (hcv_agent_id(a))
		hcv_job_start(a, "owner/scan", HCV_OWNER_JOB_MS, scan_job,
			      scan_done, NULL);
}

static void owner_kernel_event(struct hcv_agent *a,
			       const struct hcv_k_event *ev)
{
	if (!ev) {
		if (owner_urgent)
			hcv_owner_urgent_kick(owner_urgent);
		owner_tick(a);
		return;
	}
	if (ev->event == HCV_EVENT_LINK_FAILED && ev->has_vol && ev->has_store)
		hcv_owner_gap_event(ev->vol, ev->store,
				    (int64_t)(ev->time_ns / 1000000));
	/* The state: what failed while the map was loaded may leave from then on. */
	if (owner_urgent && (ev->event == HCV_EVENT_LINK_FAILED ||
			     ev->event == HCV_EVENT_SYNC_DONE ||
			     ev->event == HCV_EVENT_VOL_STATE))
		hcv_owner_urgent_kick(owner_urgent);
	if (ev->has_vol && ev->event != HCV_EVENT_REVOKED)
		owner_start(a, ev->vol);
}

static const struct hcv_reconciler owner_reconciler = {
	.name = "owner",
	.snapshot = owner_snapshot,
	.kernel_event = owner_kernel_event,
	.tick = owner_tick,
};

int hcv_owner_init(struct hcv_agent *a)
{
	int ret = hcv_owner_vols_init();

	if (!ret)
		hcv_reconciler_register(a, &owner_reconciler);
	return ret;
}

void hcv_owner_exit(struct hcv_agent *a)
{
	(void)a;
	hcv_owner_urgent_stop(owner_urgent);
	owner_urgent = NULL;
	hcv_owner_conns_exit();
}
