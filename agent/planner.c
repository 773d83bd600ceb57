// SPDX-License-Identifier: GPL-2.0-only
/*
 * The leader, and what it has the owners of volumes do.
 *
 * Every agent looks at the cluster and makes the plan, so that each knows since
 * when things are as they are; only the one that holds the key `leader`, which
 * hangs on its node's lease, carries it out.  All of its transactions compare
 * that key: who is leader no more changes nothing.  A job is a key of its volume
 * (job/VOL); the volume's owner does what it says and deletes it.
 */
#include "planner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/health.h"
#include "core/json.h"
#include "core/recplan.h"
#include "jout.h"
#include "klink.h"

#define PLANNER_MS	3000	/* between two plans */
#define PLANNER_JOB_MS	30000
#define PLANNER_OLD_MS	10000	/* of what is older no plan is made */
#define PLANNER_WRITES	32	/* jobs begun or called off by one plan */

/* What a plan says cannot be done, for `recovery jobs`. */
struct planner_wait {
	char vol[HCV_ID_LEN];
	char from[HCV_ID_LEN];
	enum hcv_rp_kind kind;
	char why[HCV_RP_WHY];
};

static struct {
	pthread_mutex_t lock;
	struct planner_wait *wait;	/* of the last plan, under the lock */
	size_t nr_wait;
	/* one job at a time uses these: */
	struct hcv_rp_mem *mem;
	bool led;
	int64_t last_ms;		/* loop thread */
} planner = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* What a plan is made of; the arrays' places are those of the snapshot. */
struct planner_run {
	struct hcv_job *job;
	struct hcv_snap *s;
	struct hcv_rp_in in;
	struct hcv_rp_plan plan;
	struct hcv_rp_care *care;
	size_t nr_care;
};

/* ------------------------------------------------------------------ the leader */

static void planner_claim(struct planner_run *r)
{
	const struct hcv_identity *id = hcv_agent_id(r->job->agent);
	struct hcv_cmp cmp = { "leader", 0 };
	struct hcv_op op = {
		.key = "leader", .lease = hcv_member_lease(r->job->agent),
	};
	enum hcv_meta_result res;
	struct hcv_json j;
	char *value;

	if (!op.lease)
		return;
	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_str(&j, "node", id->node);
	hcv_json_put_u64(&j, "since", (uint64_t)time(NULL));
	value = hcv_json_finish(&j);
	if (!value)
		return;
	op.value = value;
	HCV_CRASH_POINT("planner-claim");
	res = hcv_meta_txn(hcv_agent_meta(r->job->agent), &cmp, 1, &op, 1,
			   NULL, HCV_META_MS);
	HCV_CRASH_POINT("planner-claim-done");
	free(value);
	if (res == HCV_META_OK)
		hcv_state_kick(r->job->agent);
}

/* Whether this node is the leader, as far as the snapshot tells. */
static bool planner_leads(struct planner_run *r)
{
	const struct hcv_identity *id = hcv_agent_id(r->job->agent);
	bool leads = r->s->leader_rev && !strcmp(r->s->leader, id->node);

	if (!r->s->leader_rev)
		planner_claim(r);
	if (leads && !planner.led)
		hcv_event_emit(r->job->agent, HCV_SEV_INFO, "recovery", NULL,
			       "%s is the leader: it plans recovery", id->name);
	planner.led = leads;
	return leads;
}

/* --------------------------------------------------------- the planner's input */

static int planner_node(const struct hcv_snap *s, const char *id)
{
	size_t i;

	for (i = 0; i < s->nr_nodes && *id; i++)
		if (!strcmp(s->node[i].i.uuid, id))
			return (int)i;
	return -1;
}

static void planner_nodes(struct planner_run *r)
{
	size_t i;

	for (i = 0; i < r->s->nr_nodes; i++) {
		const struct hcv_node_info *n = &r->s->node[i].i;
		struct hcv_rp_node *to = &r->in.node[i];

		memcpy(to->id, n->uuid, sizeof(to->id));
		memcpy(to->rack, n->rack, sizeof(to->rack));
		to->live = n->live;
		to->draining = n->draining;
		to->paused = r->s->node[i].recovery.s.paused;
		to->able = r->s->node[i].caretaker;
	}
	r->in.nr_nodes = r->s->nr_nodes;
}

static int planner_store(const struct hcv_snap *s, const char *id)
{
	size_t i;

	for (i = 0; i < s->nr_stores; i++)
		if (!strcmp(s->store[i].i.uuid, id))
			return (int)i;
	return -1;
}

/* What the rows of a volume need; neighbouring ones mostly have the same stores. */
static void planner_promised(const struct hcv_snap *s,
			     const struct hcv_rows *rows, uint32_t *nr)
{
	int hint[HCV_ROW_STORES] = { -1, -1, -1, -1 };
	unsigned int k;
	size_t i;

	for (i = 0; i < rows->nr; i++)
		for (k = 0; k < rows->row[i].nr; k++) {
			const char *id = rows->row[i].store[k];

			if (hint[k] < 0 ||
			    strcmp(s->store[hint[k]].i.uuid, id))
				hint[k] = planner_store(s, id);
			if (hint[k] >= 0)
				nr[hint[k]]++;
		}
}

/* As hcv_place_collect() counts, but with one look at the rows. */
static int planner_used(struct planner_run *r)
{
	const struct hcv_snap *s = r->s;
	uint32_t *nr = calloc(s->nr_stores + 1, sizeof(*nr));
	size_t i;
	int at;

	if (!nr)
		return -ENOMEM;
	for (i = 0; i < s->nr_vols; i++)
		planner_promised(s, &s->vol[i].rows, nr);
	for (i = 0; i < s->nr_tombs; i++) {
		at = s->tomb[i].one ? planner_store(s, s->tomb[i].store) : -1;
		if (at >= 0)
			nr[at]++;
	}
	for (i = 0; i < s->nr_stores; i++) {
		r->in.store[i].used = s->store[i].i.live ?
				      s->store[i].i.used_extents : 0;
		if (nr[i] > r->in.store[i].used)
			r->in.store[i].used = nr[i];
	}
	free(nr);
	return 0;
}

static int planner_stores(struct planner_run *r)
{
	size_t i;

	for (i = 0; i < r->s->nr_stores; i++) {
		const struct hcv_store_info *st = &r->s->store[i].i;
		const struct hcv_health *h = &r->s->store[i].health.h;
		struct hcv_rp_store *to = &r->in.store[i];

		memcpy(to->id, st->uuid, sizeof(to->id));
		to->node = planner_node(r->s, st->node);
		to->total = st->nr_extents;
		to->live = st->live && to->node >= 0 &&
			   r->in.node[to->node].live;
		to->failed = st->failed;
		to->empty = st->state != HCV_ST_READY ||
			    r->s->store[i].drain_rev ||
			    !hcv_health_placeable(h->state) ||
			    (to->node >= 0 && r->in.node[to->node].draining);
		to->ailing = h->state == HCV_HEALTH_SUSPECT || h->slow;
	}
	r->in.nr_stores = r->s->nr_stores;
	return planner_used(r);
}

/* Stores that do not give the volume's owner a grant, see core/storeplan.h. */
static int planner_left(struct planner_run *r)
{
	size_t i;

	r->in.left = calloc(r->s->nr_tombs + 1, sizeof(*r->in.left));
	if (!r->in.left)
		return -ENOMEM;
	for (i = 0; i < r->s->nr_tombs; i++) {
		const struct hcv_snap_tomb *t = &r->s->tomb[i];

		if (t->one)
			continue;
		memcpy(r->in.left[r->in.nr_left].vol, t->vol, HCV_ID_LEN);
		memcpy(r->in.left[r->in.nr_left++].store, t->store,
		       HCV_ID_LEN);
	}
	return 0;
}

static void planner_job(struct planner_run *r, const struct hcv_snap_vol *v)
{
	const struct hcv_rec_store *to = hcv_snap_rec_store(&v->rec,
							    v->job.to);
	struct hcv_rp_job *job = &r->in.job[r->in.nr_jobs++];

	memcpy(job->vol, v->uuid, sizeof(job->vol));
	memcpy(job->from, v->job.from, sizeof(job->from));
	memcpy(job->to, v->job.to, sizeof(job->to));
	job->kind = (enum hcv_rp_kind)v->job.kind;
	job->cancel = v->job.cancel;
	job->failed = v->job.failed;
	if (to && to->state == HCV_RS_INSYNC)
		hcv_recplan_done(planner.mem, v->uuid, v->job.to);
}

/* Who has it, and who takes care of it while nobody has. */
static void planner_owner(struct planner_run *r, const struct hcv_snap_vol *v,
			  struct hcv_rp_vol *to)
{
	to->owner = v->rec.phase == HCV_PH_SERVING ?
		    planner_node(r->s, v->rec.owner) : -1;
	to->free = !v->rec.owner[0] || v->rec.care.on;
	to->leaving = v->rec.care.leave;
	if (to->free && to->owner >= 0 && !r->in.node[to->owner].live)
		to->owner = -1;
	/* One that cannot be read names nobody. */
	to->has_care = v->care_key_rev;
	to->named = v->care_rev ? planner_node(r->s, v->care.node) : -1;
}

static int planner_vols(struct planner_run *r)
{
	size_t i;
	int ret;

	for (i = 0; i < r->s->nr_vols; i++) {
		const struct hcv_snap_vol *v = &r->s->vol[i];
		struct hcv_rp_vol *to = &r->in.vol[i];

		memcpy(to->id, v->uuid, sizeof(to->id));
		to->replicas = v->i.replicas;
		to->domain = v->i.domain;
		planner_owner(r, v, to);
		to->skip = v->bad || !v->rev || !v->rec_rev || v->i.deleting;
		r->in.nr_vols = i + 1;
		if (v->job_rev)
			planner_job(r, v);
		ret = to->skip ? 0 :
		      hcv_recplan_vol(&r->in, &v->rec, &v->rows, to);
		if (ret)
			return ret;
	}
	return 0;
}

/* Tests do not wait for minutes. */
static int64_t planner_limit(const char *name, int64_t ms)
{
	const char *text = getenv(name);
	long long n = text ? atoll(text) : 0;

	return n > 0 ? n : ms;
}

static int planner_fill(struct planner_run *r)
{
	struct hcv_rp_in *in = &r->in;
	int ret;

	hcv_recplan_defaults(&in->cfg);
	in->cfg.absent_ms = planner_limit("HCV_ABSENT_MS", in->cfg.absent_ms);
	in->cfg.failed_ms = planner_limit("HCV_FAILED_MS", in->cfg.failed_ms);
	in->cfg.settle_ms = planner_limit("HCV_SETTLE_MS", in->cfg.settle_ms);
	in->cfg.care_idle_ms = planner_limit("HCV_CARE_MS",
					     in->cfg.care_idle_ms);
	in->cfg.paused = r->s->recovery.s.paused;
	in->now_ms = hcv_now_ms();
	in->mem = planner.mem;
	in->node = calloc(r->s->nr_nodes + 1, sizeof(*in->node));
	in->store = calloc(r->s->nr_stores + 1, sizeof(*in->store));
	in->vol = calloc(r->s->nr_vols + 1, sizeof(*in->vol));
	in->job = calloc(r->s->nr_vols + 1, sizeof(*in->job));
	if (!in->node || !in->store || !in->vol || !in->job)
		return -ENOMEM;
	planner_nodes(r);
	ret = planner_stores(r);
	if (!ret)
		ret = planner_left(r);
	if (!ret)
		ret = planner_vols(r);
	if (!ret)
		ret = hcv_recplan_observe(planner.mem, in);
	return ret;
}

static void planner_free(struct planner_run *r)
{
	size_t i;

	for (i = 0; i < r->in.nr_vols; i++)
		hcv_recplan_vol_free(&r->in.vol[i]);
	free(r->in.node);
	free(r->in.store);
	free(r->in.vol);
	free(r->in.job);
	free(r->in.left);
	free(r->care);
	hcv_recplan_free(&r->plan);
}

/* -------------------------------------------------------------- what it does */

static enum hcv_meta_result planner_write(struct planner_run *r,
					  const struct hcv_snap_vol *v,
					  const struct hcv_job_info *job)
{
	char job_key[64], rec_key[64];
	struct hcv_cmp cmp[] = {
		{ "leader", r->s->leader_rev }, { job_key, v->job_rev },
		{ rec_key, v->rec_rev },
	};
	struct hcv_op op = { .key = job_key };
	char *value = hcv_model_job_encode(job);
	enum hcv_meta_result res;

	if (!value)
		return HCV_META_UNREACHABLE;
	op.value = value;
	snprintf(job_key, sizeof(job_key), "job/%s", v->uuid);
	snprintf(rec_key, sizeof(rec_key), "rec/%s", v->uuid);
	HCV_CRASH_POINT("planner-write");
	/* What is called off may be at any step. */
	res = hcv_meta_txn(hcv_agent_meta(r->job->agent), cmp,
			   job->cancel ? 2 : 3, &op, 1, NULL, HCV_META_MS);
	HCV_CRASH_POINT("planner-write-done");
	free(value);
	return res;
}

static const char *planner_store_name(const struct hcv_snap *s,
				      const char *store, char *buf, size_t size)
{
	const struct hcv_snap_store *st = hcv_snap_store(s, store);
	const struct hcv_snap_node *n = st ? hcv_snap_node(s, st->i.node) :
					     NULL;

	if (n)
		snprintf(buf, size, "%s:%s", n->i.name, st->i.name);
	else
		snprintf(buf, size, "%s", store);
	return buf;
}

static void planner_begin(struct planner_run *r, const struct hcv_rp_start *st)
{
	const struct hcv_snap_vol *v = &r->s->vol[st->vol];
	struct hcv_job_info job = {
		.kind = st->kind, .created = (int64_t)time(NULL),
	};
	char from[2 * HCV_NAME_LEN], to[2 * HCV_NAME_LEN], object[128];

	/* The shares are in the order of the record. */
	memcpy(job.from, v->rec.st[st->share].store, sizeof(job.from));
	if (st->to >= 0)
		memcpy(job.to, r->in.store[st->to].id, sizeof(job.to));
	snprintf(job.why, sizeof(job.why), "%s", st->why);
	if (planner_write(r, v, &job) != HCV_META_OK)
		return;		/* the next plan is made of what is there then */
	hcv_recplan_begun(planner.mem, v->uuid, job.from);
	snprintf(object, sizeof(object), "volume %s", v->i.name);
	planner_store_name(r->s, job.from, from, sizeof(from));
	planner_store_name(r->s, job.to, to, sizeof(to));
	hcv_event_emit(r->job->agent, HCV_SEV_INFO, object, NULL,
		       "%s: what is on %s %s%s: %s",
		       hcv_recplan_kind_name(st->kind), from,
		       st->to < 0 ? "goes" : "moves to ",
		       st->to < 0 ? "" : to, st->why);
}

static void planner_cancel(struct planner_run *r, const struct hcv_rp_cancel *c)
{
	const struct hcv_rp_job *old = &r->in.job[c->job];
	const struct hcv_snap_vol *v = hcv_snap_vol(r->s, old->vol);
	struct hcv_job_info job;
	char object[128];

	if (!v)
		return;
	job = v->job;
	job.cancel = true;
	snprintf(job.why, sizeof(job.why), "%s", c->why);
	if (planner_write(r, v, &job) != HCV_META_OK)
		return;
	hcv_recplan_called_off(planner.mem, old->vol, old->from);
	if (c->blame)
		hcv_recplan_failed(planner.mem, old->vol, old->to,
				   r->in.now_ms);
	snprintf(object, sizeof(object), "volume %s", v->i.name);
	hcv_event_emit(r->job->agent, HCV_SEV_WARN, object, NULL,
		       "%s is called off: %s",
		       hcv_recplan_kind_name(old->kind), c->why);
}

static enum hcv_meta_result planner_write_care(struct planner_run *r,
					       const struct hcv_snap_vol *v,
					       const char *value)
{
	char care_key[64], rec_key[64], vol_key[64];
	struct hcv_cmp cmp[] = {
		{ "leader", r->s->leader_rev }, { care_key, v->care_key_rev },
		{ rec_key, v->rec_rev }, { vol_key, v->rev },
	};
	struct hcv_op op = { .key = care_key, .value = value };
	enum hcv_meta_result res;

	snprintf(care_key, sizeof(care_key), "care/%s", v->uuid);
	snprintf(rec_key, sizeof(rec_key), "rec/%s", v->uuid);
	snprintf(vol_key, sizeof(vol_key), "vol/%s", v->uuid);
	HCV_CRASH_POINT("planner-care");
	/* Nobody can be named at any time, somebody for what was looked at. */
	res = hcv_meta_txn(hcv_agent_meta(r->job->agent), cmp, value ? 4 : 2,
			   &op, 1, NULL, HCV_META_MS);
	HCV_CRASH_POINT("planner-care-done");
	return res;
}

static void planner_care(struct planner_run *r, const struct hcv_rp_care *c)
{
	const struct hcv_snap_vol *v = &r->s->vol[c->vol];
	struct hcv_care_info care = { .since = (int64_t)time(NULL) };
	char *value = NULL, object[128];

	if (c->node >= 0) {
		memcpy(care.node, r->in.node[c->node].id, sizeof(care.node));
		snprintf(care.why, sizeof(care.why), "%s", c->why);
		value = hcv_model_care_encode(&care);
		if (!value)
			return;
	}
	if (planner_write_care(r, v, value) == HCV_META_OK && value) {
		snprintf(object, sizeof(object), "volume %s", v->i.name);
		hcv_event_emit(r->job->agent, HCV_SEV_INFO, object, NULL,
			       "node %s is to take care of it: %s",
			       r->s->node[c->node].i.name, c->why);
	}
	free(value);
}

/* Tombstones of stores that were removed since: nobody else deletes them. */
static void planner_sweep(struct planner_run *r)
{
	size_t i, writes = 0;

	for (i = 0; i < r->s->nr_tombs && writes < PLANNER_WRITES &&
	     !hcv_job_expired(r->job); i++) {
		const struct hcv_snap_tomb *t = &r->s->tomb[i];
		char key[128], store_key[64];
		struct hcv_cmp cmp[] = {
			{ "leader", r->s->leader_rev }, { key, t->rev },
			{ store_key, 0 },
		};
		struct hcv_op op = { .key = key };

		if (hcv_snap_store(r->s, t->store))
			continue;
		snprintf(store_key, sizeof(store_key), "store/%s", t->store);
		if (t->one)
			snprintf(key, sizeof(key), "tomb/%s/%s/%u", t->store,
				 t->vol, t->index);
		else
			snprintf(key, sizeof(key), "tomb/%s/%s", t->store,
				 t->vol);
		HCV_CRASH_POINT("planner-sweep");
		hcv_meta_txn(hcv_agent_meta(r->job->agent), cmp, 3, &op, 1,
			     NULL, HCV_META_MS);
		writes++;
	}
}

static void planner_act(struct planner_run *r)
{
	size_t i, writes = 0;

	for (i = 0; i < r->plan.nr_cancel && writes < PLANNER_WRITES &&
	     !hcv_job_expired(r->job); i++, writes++)
		planner_cancel(r, &r->plan.cancel[i]);
	for (i = 0; i < r->plan.nr_start && writes < PLANNER_WRITES &&
	     !hcv_job_expired(r->job); i++, writes++)
		planner_begin(r, &r->plan.start[i]);
	for (i = 0; i < r->nr_care && writes < PLANNER_WRITES &&
	     !hcv_job_expired(r->job); i++, writes++)
		planner_care(r, &r->care[i]);
	if (writes)
		hcv_state_kick(r->job->agent);
	planner_sweep(r);
}

/* For those who ask. */
static void planner_publish(struct planner_run *r)
{
	struct planner_wait *wait, *old;
	size_t i, nr = r->plan.nr_blocked;

	wait = calloc(nr + 1, sizeof(*wait));
	if (!wait)
		return;
	for (i = 0; i < nr; i++) {
		const struct hcv_rp_blocked *b = &r->plan.blocked[i];
		const struct hcv_snap_vol *v = &r->s->vol[b->vol];

		memcpy(wait[i].vol, v->uuid, sizeof(wait[i].vol));
		memcpy(wait[i].from, v->rec.st[b->share].store,
		       sizeof(wait[i].from));
		wait[i].kind = b->kind;
		memcpy(wait[i].why, b->why, sizeof(wait[i].why));
	}
	pthread_mutex_lock(&planner.lock);
	old = planner.wait;
	planner.wait = wait;
	planner.nr_wait = nr;
	pthread_mutex_unlock(&planner.lock);
	free(old);
}

static void planner_run(struct hcv_job *job)
{
	struct planner_run r = { .job = job };

	r.s = hcv_snap_get(job->agent);
	if (!r.s)
		return;
	/* The metadata store does not answer: who is away there may be back. */
	if (hcv_now_ms() - r.s->taken_ms > PLANNER_OLD_MS) {
		hcv_snap_put(r.s);
		return;
	}
	if (!planner_fill(&r) && !hcv_recplan(&r.in, &r.plan) &&
	    !hcv_recplan_care(planner.mem, &r.in, &r.plan, &r.care,
			      &r.nr_care)) {
		planner_publish(&r);
		if (planner_leads(&r))
			planner_act(&r);
	}
	planner_free(&r);
	hcv_snap_put(r.s);
}

static void planner_done(struct hcv_job *job)
{
	(void)job;
}

static void planner_tick(struct hcv_agent *a)
{
	int64_t now = hcv_now_ms();

	if (!hcv_agent_id(a) || now - planner.last_ms < PLANNER_MS)
		return;
	planner.last_ms = now;
	hcv_job_start(a, "planner", PLANNER_JOB_MS, planner_run, planner_done,
		      NULL);
}

/* ------------------------------------------------------------- recovery.jobs */

/* How far the copy is, as the module of the volume's owner says. */
static void planner_progress(struct hcv_api_req *req,
			     const struct hcv_snap_vol *v,
			     struct json_object *o)
{
	struct hcv_klink *kl = hcv_job_klink(req->job);
	struct hcv_k_vol k;
	size_t i;

	if (strcmp(v->rec.owner, hcv_agent_id(req->agent)->node) || !kl ||
	    hcv_k_vol_get(kl, v->uuid, &k))
		return;
	for (i = 0; i < k.nr_links; i++) {
		if (strcmp(k.link[i].store, v->job.to) ||
		    (k.link[i].state != HCV_LINK_SYNCING &&
		     k.link[i].state != HCV_LINK_JOINING))
			continue;
		hcv_jo_u64(o, "done_bytes", k.link[i].sync_done);
		hcv_jo_u64(o, "total_bytes", k.link[i].sync_total);
	}
}

static const char *planner_state(const struct hcv_snap_vol *v)
{
	const struct hcv_rec_store *to = hcv_snap_rec_store(&v->rec,
							    v->job.to);

	if (!*v->job.to || (to && to->state == HCV_RS_INSYNC))
		return "leaving";
	if (v->job.cancel)
		return "called off";
	if (!to)
		return "waiting";
	if (v->job.failed && to->state == HCV_RS_STALE)
		return "failed";
	return to->state == HCV_RS_SYNCING ? "copying" : "preparing";
}

/* What keeps a job's owner from it; "": nothing that is known here. */
static const char *planner_job_waits(const struct hcv_snap *s,
				     const struct hcv_snap_vol *v)
{
	const struct hcv_rec_store *to = hcv_snap_rec_store(&v->rec,
							    v->job.to);
	const struct hcv_snap_node *n = hcv_snap_node(s, v->rec.owner);

	if (!n || v->rec.phase == HCV_PH_NONE)
		return v->care_rev ?
		       "the volume is attached nowhere: a node is just about to take care of it" :
		       "the volume is attached nowhere: it goes on when a node takes care of it, or attaches it";
	if (!n->i.live)
		return v->rec.care.on ?
		       "the node that took care of the volume is away" :
		       "the node that has the volume is away";
	if (v->rec.phase != HCV_PH_SERVING)
		return v->rec.care.on ?
		       "the volume is just being taken care of" :
		       "the volume is being attached";
	/* A pause holds copying only. */
	if (!to || to->state != HCV_RS_SYNCING)
		return "";
	if (s->recovery.s.paused)
		return "recovery is paused";
	if (n->recovery.s.paused)
		return "recovery is paused on the node that has the volume";
	return "";
}

void hcv_planner_share(const struct hcv_snap *s, const struct hcv_snap_vol *v,
		       const char *store, char *out, size_t size)
{
	char to[2 * HCV_NAME_LEN];
	const char *waits;
	size_t i;

	*out = 0;
	if (v->job_rev && !strcmp(v->job.from, store)) {
		waits = planner_job_waits(s, v);
		planner_store_name(s, v->job.to, to, sizeof(to));
		snprintf(out, size, "%s%s%s, %s%s%s",
			 hcv_recplan_kind_name((enum hcv_rp_kind)v->job.kind),
			 *v->job.to ? " to " : "", *v->job.to ? to : "",
			 planner_state(v), *waits ? "; waits: " : "", waits);
		return;
	}
	pthread_mutex_lock(&planner.lock);
	for (i = 0; i < planner.nr_wait && !*out; i++) {
		const struct planner_wait *w = &planner.wait[i];

		if (!strcmp(w->vol, v->uuid) && !strcmp(w->from, store))
			snprintf(out, size, "%s waits: %s",
				 hcv_recplan_kind_name(w->kind), w->why);
	}
	pthread_mutex_unlock(&planner.lock);
}

void hcv_planner_jobs(struct hcv_api_req *req, const struct hcv_snap *s)
{
	struct json_object *jobs = hcv_jo_array(req->result, "jobs"), *o;
	struct json_object *waits = hcv_jo_array(req->result, "waiting");
	const struct hcv_snap_node *n = hcv_snap_node(s, s->leader);
	char name[2 * HCV_NAME_LEN];
	size_t i;

	hcv_jo_str(req->result, "leader", n ? n->i.name : "");
	for (i = 0; i < s->nr_vols; i++) {
		const struct hcv_snap_vol *v = &s->vol[i];

		if (!v->job_rev)
			continue;
		o = hcv_jo_push(jobs);
		hcv_jo_str(o, "volume", v->rev ? v->i.name : v->uuid);
		hcv_jo_str(o, "kind", hcv_recplan_kind_name(v->job.kind));
		hcv_jo_str(o, "from", planner_store_name(s, v->job.from, name,
							 sizeof(name)));
		hcv_jo_str(o, "to", *v->job.to ?
			   planner_store_name(s, v->job.to, name,
					      sizeof(name)) : "");
		hcv_jo_str(o, "state", planner_state(v));
		hcv_jo_str(o, "why", v->job.why);
		hcv_jo_str(o, "waits", planner_job_waits(s, v));
		hcv_jo_u64(o, "created", (uint64_t)v->job.created);
		planner_progress(req, v, o);
	}
	pthread_mutex_lock(&planner.lock);
	for (i = 0; i < planner.nr_wait; i++) {
		const struct planner_wait *w = &planner.wait[i];
		const struct hcv_snap_vol *v = hcv_snap_vol(s, w->vol);

		o = hcv_jo_push(waits);
		hcv_jo_str(o, "volume", v && v->rev ? v->i.name : w->vol);
		hcv_jo_str(o, "kind", hcv_recplan_kind_name(w->kind));
		hcv_jo_str(o, "from", planner_store_name(s, w->from, name,
							 sizeof(name)));
		hcv_jo_str(o, "why", w->why);
	}
	pthread_mutex_unlock(&planner.lock);
}

static int planner_cmd_jobs(struct hcv_api_req *req)
{
	struct hcv_snap *s = hcv_snap_get(req->agent);

	hcv_planner_jobs(req, s);
	hcv_snap_put(s);
	return 0;
}

static const struct hcv_api_cmd planner_cmds[] = {
	{ "recovery.jobs", planner_cmd_jobs, 5000, HCV_API_SNAPSHOT, NULL },
};

static const struct hcv_reconciler planner_reconciler = {
	.name = "planner",
	.tick = planner_tick,
};

int hcv_planner_init(struct hcv_agent *a)
{
	planner.mem = hcv_recplan_mem_new();
	if (!planner.mem)
		return -ENOMEM;
	hcv_reconciler_register(a, &planner_reconciler);
	hcv_api_register(a, planner_cmds,
			 sizeof(planner_cmds) / sizeof(planner_cmds[0]));
	return 0;
}

void hcv_planner_exit(struct hcv_agent *a)
{
	(void)a;
	hcv_recplan_mem_free(planner.mem);
	free(planner.wait);
	planner.mem = NULL;
	planner.wait = NULL;
	planner.nr_wait = 0;
}
