// SPDX-License-Identifier: GPL-2.0-only
/*
 * Membership: the node's lease, its keys, its module and its stores.
 *
 * A thread of its own keeps the lease and writes live/NODE, so that no stuck
 * job can cost the node its liveness.  The rest is a reconciler: it tells the
 * module its name, opens the stores that the metadata give to this node, and
 * keeps storelive/STORE equal to what the module says.  Keys bound to a lease
 * are written again after every grant of a new one.
 *
 * When the agent ends, the lease is left to run out: the module goes on
 * serving I/O, and the agent that follows takes over within the lease's time.
 */
#include "member.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loop.h"
#include "lowerdev.h"

#define HCV_LEASE_KEEP_MS	2000
#define HCV_LEASE_CALL_MS	1500
#define HCV_MEMBER_STORES	256
#define HCV_MEMBER_JOB_MS	30000

struct hcv_member_store {
	char uuid[HCV_ID_LEN];
	int64_t lease;			/* storelive was written under it */
	char why[HCV_ERR_SIZE];		/* why it cannot be opened */
};

struct hcv_member {
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t cond;		/* CLOCK_MONOTONIC */
	/* under the lock: */
	bool stop;
	bool renew;			/* write live/NODE again now */
	int64_t lease;
	struct hcv_k_module module;
	bool module_ok;
	char module_why[HCV_ERR_SIZE];
	struct hcv_member_store store[HCV_MEMBER_STORES];
	unsigned int nr_stores;
	/* loop thread: */
	bool again;
};

const char *hcv_member_boot_id(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static char id[64];
	char *text;

	pthread_mutex_lock(&lock);
	if (!*id) {
		text = hcv_file_read("/proc/sys/kernel/random/boot_id");
		snprintf(id, sizeof(id), "%.36s", text ? text : "unknown");
		free(text);
	}
	pthread_mutex_unlock(&lock);
	return id;
}

int64_t hcv_member_lease(struct hcv_agent *a)
{
	int64_t lease;

	pthread_mutex_lock(&a->member->lock);
	lease = a->member->lease;
	pthread_mutex_unlock(&a->member->lock);
	return lease;
}

bool hcv_member_module(struct hcv_agent *a, struct hcv_k_module *m, char *why)
{
	bool ok;

	pthread_mutex_lock(&a->member->lock);
	ok = a->member->module_ok;
	if (m)
		*m = a->member->module;
	if (why)
		snprintf(why, HCV_ERR_SIZE, "%s", a->member->module_why);
	pthread_mutex_unlock(&a->member->lock);
	return ok;
}

bool hcv_member_module_ok(struct hcv_agent *a)
{
	return hcv_member_module(a, NULL, NULL);
}

/* ---------------------------------------------------------------- the lease */

static enum hcv_meta_result hcv_member_write_live(struct hcv_agent *a,
						  int64_t lease)
{
	const struct hcv_identity *id = hcv_agent_id(a);
	struct json_object *o = json_object_new_object();
	enum hcv_meta_result res;
	char key[64];
	struct hcv_op op = { .key = key, .lease = lease };
	struct hcv_k_module m;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(key, sizeof(key), "live/%s", id->node);
	json_object_object_add(o, "schema", json_object_new_int(HCV_SCHEMA));
	json_object_object_add(o, "boot_id",
			       json_object_new_string(hcv_member_boot_id()));
	json_object_object_add(o, "agent_version",
			       json_object_new_string(HCV_AGENT_VERSION));
	json_object_object_add(o, "since", json_object_new_int64(now.tv_sec));
	if (hcv_member_module(a, &m, NULL) &&
	    m.features & HCV_FEATURE_DISKLESS)
		json_object_object_add(o, "caretaker",
				       json_object_new_boolean(true));
	op.value = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	res = hcv_meta_txn(hcv_agent_meta(a), NULL, 0, &op, 1, NULL,
			   HCV_LEASE_CALL_MS);
	json_object_put(o);
	return res;
}

static void hcv_member_set_lease(struct hcv_agent *a, int64_t lease)
{
	pthread_mutex_lock(&a->member->lock);
	a->member->lease = lease;
	pthread_mutex_unlock(&a->member->lock);
}

/*
 * One round: keep the lease, or get a new one and say that we live.
 * Return: false when live/NODE must be written again in the next round.
 */
static bool hcv_member_lease_round(struct hcv_agent *a, bool renew)
{
	struct hcv_meta *m = hcv_agent_meta(a);
	int64_t lease = hcv_member_lease(a);
	enum hcv_meta_result res;

	if (lease) {
		res = hcv_meta_lease_keep(m, lease, HCV_LEASE_CALL_MS);
		if (res == HCV_META_INVALID) {
			hcv_event_emit(a, HCV_SEV_WARN, "node", NULL,
				       "the lease ran out; asking for a new one");
			hcv_member_set_lease(a, 0);
			lease = 0;
		} else if (res != HCV_META_OK || !renew) {
			return !renew;
		}
	}
	if (!lease) {
		res = hcv_meta_lease_grant(m, HCV_LEASE_TTL_S, &lease,
					   HCV_LEASE_CALL_MS);
		if (res != HCV_META_OK) {
			hcv_log(HCV_SEV_DEBUG, "lease: %s",
				hcv_meta_last_error());
			return true;
		}
		HCV_CRASH_POINT("member-lease-granted");
	}
	/* Repeatable: until it is known to be written it is written again. */
	res = hcv_member_write_live(a, lease);
	if (res == HCV_META_INVALID) {
		hcv_member_set_lease(a, 0);
		return true;
	}
	hcv_member_set_lease(a, lease);
	if (res != HCV_META_OK)
		return false;
	hcv_state_kick(a);
	return true;
}

static void *hcv_member_thread(void *arg)
{
	struct hcv_agent *a = arg;
	struct hcv_member *mb = a->member;
	struct timespec ts;
	bool stop, renew, retry = false;
	int ret;

	do {
		if (hcv_agent_id(a)) {
			pthread_mutex_lock(&mb->lock);
			renew = mb->renew || retry;
			mb->renew = false;
			pthread_mutex_unlock(&mb->lock);
			retry = !hcv_member_lease_round(a, renew);
		}
		clock_gettime(CLOCK_MONOTONIC, &ts);
		ts.tv_sec += HCV_LEASE_KEEP_MS / 1000;
		ret = 0;
		pthread_mutex_lock(&mb->lock);
		while (!mb->stop && ret != ETIMEDOUT && !mb->renew)
			ret = pthread_cond_timedwait(&mb->cond, &mb->lock,
						     &ts);
		stop = mb->stop;
		pthread_mutex_unlock(&mb->lock);
	} while (!stop);
	return NULL;
}

void hcv_member_kick(struct hcv_agent *a)
{
	pthread_mutex_lock(&a->member->lock);
	a->member->renew = true;
	pthread_cond_signal(&a->member->cond);
	pthread_mutex_unlock(&a->member->lock);
}

/* ------------------------------------------------------ module and node key */

static void hcv_member_set_module(struct hcv_agent *a,
				  const struct hcv_k_module *m, const char *why)
{
	struct hcv_member *mb = a->member;
	uint32_t before;
	bool changed;

	pthread_mutex_lock(&mb->lock);
	before = mb->module.features;
	changed = mb->module_ok != !*why || strcmp(mb->module_why, why);
	mb->module_ok = !*why;
	if (m)
		mb->module = *m;
	/* The live key says what it can do. */
	if (changed || mb->module.features != before) {
		mb->renew = true;
		pthread_cond_signal(&mb->cond);
	}
	snprintf(mb->module_why, sizeof(mb->module_why), "%s", why);
	pthread_mutex_unlock(&mb->lock);
	if (!changed)
		return;
	if (*why)
		hcv_event_emit(a, HCV_SEV_WARN, "module", NULL, "%s", why);
	else
		hcv_event_emit(a, HCV_SEV_INFO, "module", NULL,
			       "version %s is in use", m->version);
}

static void hcv_member_reopen(struct hcv_agent *a, void *arg)
{
	(void)arg;
	hcv_loop_kernel_reopen(a);
}

static void hcv_member_name_module(struct hcv_job *job, struct hcv_klink *k,
				   struct hcv_k_module *m)
{
	const struct hcv_identity *id = hcv_agent_id(job->agent);
	char why[HCV_ERR_SIZE] = "";
	int ret;

	if (m->abi != HCV_ABI) {
		snprintf(why, sizeof(why),
			 "the loaded module has interface version %u, this agent needs %u",
			 m->abi, HCV_ABI);
	} else if (!m->has_node || strcmp(m->node, id->node) ||
		   strcmp(m->cluster, id->cluster)) {
		ret = hcv_k_node_set(k, id->node, id->cluster);
		HCV_CRASH_POINT("member-node-set");
		if (ret)
			snprintf(why, sizeof(why),
				 "the module does not accept this node's name: %.100s (%s)",
				 hcv_klink_error(k), strerror(-ret));
	}
	hcv_member_set_module(job->agent, m, why);
}

static void hcv_member_check_module(struct hcv_job *job)
{
	struct hcv_klink *k = hcv_job_klink(job);
	struct hcv_agent *a = job->agent;
	struct hcv_k_module m;
	uint64_t boot_id;
	char why[HCV_ERR_SIZE];
	int ret;

	if (!k) {
		hcv_member_set_module(a, NULL, hcv_klink_error(NULL));
		return;
	}
	ret = hcv_k_module_get(k, &m);
	if (ret) {
		snprintf(why, sizeof(why), "the module does not answer: %s",
			 strerror(-ret));
		hcv_member_set_module(a, NULL, why);
		return;
	}
	pthread_mutex_lock(&a->member->lock);
	boot_id = a->member->module.boot_id;
	pthread_mutex_unlock(&a->member->lock);
	hcv_member_name_module(job, k, &m);
	/* Loaded anew: the event group is another one. */
	if (boot_id && boot_id != m.boot_id)
		hcv_agent_defer(a, hcv_member_reopen, NULL);
}

/* The node key is this node's: write it when it is missing or out of date. */
static void hcv_member_check_node(struct hcv_job *job)
{
	const struct hcv_identity *id = hcv_agent_id(job->agent);
	struct hcv_snap *s = job->arg;
	const struct hcv_snap_node *n = hcv_snap_node(s, id->node);
	struct hcv_node_info i = { .draining = n && n->i.draining };
	struct hcv_cmp cmp;
	struct hcv_op op;
	char key[64];
	char *value;

	snprintf(i.uuid, sizeof(i.uuid), "%s", id->node);
	snprintf(i.name, sizeof(i.name), "%s", id->name);
	snprintf(i.rack, sizeof(i.rack), "%s", id->rack);
	snprintf(i.addr, sizeof(i.addr), "%s", id->addr);
	snprintf(i.transport, sizeof(i.transport), "%s", id->transport);
	i.port = id->port;
	if (n && !strcmp(n->i.name, i.name) && !strcmp(n->i.rack, i.rack) &&
	    !strcmp(n->i.addr, i.addr) && n->i.port == i.port &&
	    !strcmp(n->i.transport, i.transport))
		return;
	value = hcv_model_node_encode(&i);
	if (!value)
		return;
	snprintf(key, sizeof(key), "node/%s", id->node);
	cmp = (struct hcv_cmp){ .key = key, .rev = n ? n->rev : 0 };
	op = (struct hcv_op){ .key = key, .value = value };
	if (hcv_meta_txn(hcv_agent_meta(job->agent), &cmp, 1, &op, 1, NULL,
			 HCV_META_MS) == HCV_META_OK)
		hcv_state_kick(job->agent);
	free(value);
}

static void hcv_member_job(struct hcv_job *job)
{
	struct hcv_snap *s = job->arg;

	hcv_member_check_module(job);
	if (s && s->cluster_rev)
		hcv_member_check_node(job);
}

static void hcv_member_job_done(struct hcv_job *job)
{
	hcv_snap_put(job->arg);
}

/* ------------------------------------------------------------------- stores */

static struct hcv_member_store *__hcv_member_store(struct hcv_member *mb,
						   const char *uuid)
{
	unsigned int i;

	for (i = 0; i < mb->nr_stores; i++)
		if (!strcmp(mb->store[i].uuid, uuid))
			return &mb->store[i];
	if (mb->nr_stores == HCV_MEMBER_STORES)
		return NULL;
	memset(&mb->store[i], 0, sizeof(mb->store[i]));
	snprintf(mb->store[i].uuid, HCV_ID_LEN, "%s", uuid);
	mb->nr_stores++;
	return &mb->store[i];
}

void hcv_member_store_error(struct hcv_agent *a, const char *store, char *why)
{
	struct hcv_member_store *ms;

	pthread_mutex_lock(&a->member->lock);
	ms = __hcv_member_store(a->member, store);
	snprintf(why, HCV_ERR_SIZE, "%s", ms ? ms->why : "");
	pthread_mutex_unlock(&a->member->lock);
}

static void hcv_member_store_set(struct hcv_agent *a,
				 const struct hcv_store_info *st,
				 const char *why)
{
	struct hcv_member_store *ms;
	char object[128];
	bool changed = false;

	pthread_mutex_lock(&a->member->lock);
	ms = __hcv_member_store(a->member, st->uuid);
	if (ms) {
		changed = strcmp(ms->why, why);
		snprintf(ms->why, sizeof(ms->why), "%s", why);
	}
	pthread_mutex_unlock(&a->member->lock);
	snprintf(object, sizeof(object), "store %s", st->name);
	if (changed && *why)
		hcv_event_emit(a, HCV_SEV_ERR, object, NULL,
			       "%s cannot be opened: %s", st->path, why);
	else if (changed)
		hcv_event_emit(a, HCV_SEV_INFO, object, NULL, "%s is open",
			       st->path);
}

static int64_t hcv_member_store_lease(struct hcv_agent *a, const char *uuid)
{
	struct hcv_member_store *ms;
	int64_t lease;

	pthread_mutex_lock(&a->member->lock);
	ms = __hcv_member_store(a->member, uuid);
	lease = ms ? ms->lease : 0;
	pthread_mutex_unlock(&a->member->lock);
	return lease;
}

static void hcv_member_store_written(struct hcv_agent *a, const char *uuid,
				     int64_t lease)
{
	struct hcv_member_store *ms;

	pthread_mutex_lock(&a->member->lock);
	ms = __hcv_member_store(a->member, uuid);
	if (ms)
		ms->lease = lease;
	pthread_mutex_unlock(&a->member->lock);
}

struct hcv_member_store_job {
	struct hcv_store_info i;	/* as the snapshot has it */
	int64_t rev;
	int64_t live_rev;
};

/* Open it if it is not; 0 with @k filled in, or -errno with @why. */
static int hcv_member_open(struct hcv_klink *kl,
			   const struct hcv_store_info *st,
			   struct hcv_k_store *k, char *why)
{
	char path[256];
	int ret;

	ret = hcv_k_store_get(kl, st->uuid, k);
	if (ret != -ENOENT)
		goto out;
	HCV_CRASH_POINT("member-store-absent");
	snprintf(path, sizeof(path), "%s", st->path);
	hcv_lowerdev_tune(path, st->class);
	ret = hcv_k_store_open(kl, path, st->uuid, k);
	/* Gone, or another device now: disks change names. */
	if ((ret == -ENOENT || ret == -ENXIO || ret == -ENODEV ||
	     ret == -EUCLEAN || ret == -ESTALE) &&
	    !hcv_lowerdev_find(st->uuid, path) && strcmp(path, st->path)) {
		hcv_lowerdev_tune(path, st->class);
		ret = hcv_k_store_open(kl, path, st->uuid, k);
	}
	HCV_CRASH_POINT("member-store-open");
out:
	if (ret)
		snprintf(why, HCV_ERR_SIZE, "%.180s (%s)", hcv_klink_error(kl),
			 strerror(-ret));
	else
		*why = '\0';
	return ret;
}

static void hcv_member_write_storelive(struct hcv_agent *a,
				       const struct hcv_member_store_job *sj,
				       const struct hcv_store_info *now,
				       int64_t lease)
{
	struct hcv_cmp cmp;
	struct hcv_op op;
	char key[64], skey[64];
	char *value;

	value = hcv_model_storelive_encode(now);
	if (!value)
		return;
	snprintf(key, sizeof(key), "storelive/%s", now->uuid);
	snprintf(skey, sizeof(skey), "store/%s", now->uuid);
	/* not for a store that was removed meanwhile */
	cmp = (struct hcv_cmp){ .key = skey, .rev = sj->rev };
	op = (struct hcv_op){ .key = key, .value = value, .lease = lease };
	if (hcv_meta_txn(hcv_agent_meta(a), &cmp, 1, &op, 1, NULL,
			 HCV_META_MS) == HCV_META_OK) {
		hcv_member_store_written(a, now->uuid, lease);
		hcv_state_kick(a);
	}
	HCV_CRASH_POINT("member-storelive-written");
	free(value);
}

static void hcv_member_drop_storelive(struct hcv_agent *a,
				      const struct hcv_member_store_job *sj)
{
	struct hcv_cmp cmp;
	struct hcv_op op;
	char key[64];

	if (!sj->live_rev)
		return;
	snprintf(key, sizeof(key), "storelive/%s", sj->i.uuid);
	cmp = (struct hcv_cmp){ .key = key, .rev = sj->live_rev };
	op = (struct hcv_op){ .key = key };
	if (hcv_meta_txn(hcv_agent_meta(a), &cmp, 1, &op, 1, NULL,
			 HCV_META_MS) == HCV_META_OK)
		hcv_state_kick(a);
}

static void hcv_member_store_work(struct hcv_job *job)
{
	const struct hcv_identity *id = hcv_agent_id(job->agent);
	struct hcv_member_store_job *sj = job->arg;
	struct hcv_klink *kl = hcv_job_klink(job);
	struct hcv_store_info now = sj->i;
	int64_t lease = hcv_member_lease(job->agent);
	struct hcv_k_store k;
	char why[HCV_ERR_SIZE];

	if (!kl)
		return;
	if (sj->i.state == HCV_ST_REMOVED)
		return;		/* store.remove sees to it */
	if (hcv_member_open(kl, &sj->i, &k, why)) {
		hcv_member_store_set(job->agent, &sj->i, why);
		hcv_member_drop_storelive(job->agent, sj);
		return;
	}
	hcv_member_store_set(job->agent, &sj->i, "");
	now.incarnation = k.incarnation;
	now.used_extents = k.nr_extents_used;
	now.failed = k.flags & HCV_STORE_F_FAILED;
	snprintf(now.nqn_addr, sizeof(now.nqn_addr), "%s", id->addr);
	snprintf(now.transport, sizeof(now.transport), "%s", id->transport);
	now.port = id->port;
	if (!lease)
		return;		/* written when there is one */
	if (sj->live_rev && hcv_member_store_lease(job->agent, now.uuid) == lease &&
	    now.incarnation == sj->i.incarnation &&
	    now.used_extents == sj->i.used_extents &&
	    now.failed == sj->i.failed && now.port == sj->i.port &&
	    !strcmp(now.nqn_addr, sj->i.nqn_addr) &&
	    !strcmp(now.transport, sj->i.transport))
		return;
	hcv_member_write_storelive(job->agent, sj, &now, lease);
}

static void hcv_member_store_done(struct hcv_job *job)
{
	free(job->arg);
}

static void hcv_member_stores(struct hcv_agent *a, const struct hcv_snap *s)
{
	const struct hcv_identity *id = hcv_agent_id(a);
	struct hcv_member_store_job *sj;
	char key[64];
	size_t i;

	for (i = 0; i < s->nr_stores; i++) {
		if (strcmp(s->store[i].i.node, id->node))
			continue;
		snprintf(key, sizeof(key), "member/%s", s->store[i].i.uuid);
		if (hcv_job_running(a, key))
			continue;
		sj = malloc(sizeof(*sj));
		if (!sj)
			return;
		sj->i = s->store[i].i;
		sj->rev = s->store[i].rev;
		sj->live_rev = s->store[i].live_rev;
		if (!hcv_job_start(a, key, HCV_MEMBER_JOB_MS,
				   hcv_member_store_work,
				   hcv_member_store_done, sj))
			free(sj);
	}
}

/* --------------------------------------------------------------- reconciler */

static void hcv_member_reconcile(struct hcv_agent *a, struct hcv_snap *s)
{
	if (!hcv_agent_id(a))
		return;
	if (!hcv_job_running(a, "member") &&
	    !hcv_job_start(a, "member", HCV_MEMBER_JOB_MS, hcv_member_job,
			   hcv_member_job_done, hcv_snap_ref(s)))
		hcv_snap_put(s);
	if (s && hcv_member_module_ok(a))
		hcv_member_stores(a, s);
}

static void hcv_member_snapshot(struct hcv_agent *a, struct hcv_snap *s)
{
	const struct hcv_identity *id = hcv_agent_id(a);
	const struct hcv_snap_node *n;

	if (!id)
		return;
	n = hcv_snap_node(s, id->node);
	/* a lease that we have, and nobody sees: the key was deleted */
	if (n && !n->i.live && hcv_member_lease(a))
		hcv_member_kick(a);
	hcv_member_reconcile(a, s);
}

static void hcv_member_tick(struct hcv_agent *a)
{
	struct hcv_snap *s = hcv_snap_get(a);

	hcv_member_reconcile(a, s);
	hcv_snap_put(s);
}

static void hcv_member_kernel_event(struct hcv_agent *a,
				    const struct hcv_k_event *ev)
{
	if (!ev || ev->event == HCV_EVENT_STORE_FAILED)
		hcv_member_tick(a);
	if (!ev)
		return;
	if (ev->event == HCV_EVENT_STORE_FAILED ||
	    ev->event == HCV_EVENT_MEDIA_ERROR) {
		char object[128];

		snprintf(object, sizeof(object), "store %s", ev->store);
		hcv_event_emit(a, HCV_SEV_ERR, object, NULL, "%s", ev->text);
	}
}

static const struct hcv_reconciler hcv_member_reconciler = {
	.name = "member",
	.snapshot = hcv_member_snapshot,
	.kernel_event = hcv_member_kernel_event,
	.tick = hcv_member_tick,
};

int hcv_member_init(struct hcv_agent *a)
{
	struct hcv_member *mb = calloc(1, sizeof(*mb));
	pthread_condattr_t attr;

	if (!mb)
		return -ENOMEM;
	pthread_mutex_init(&mb->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&mb->cond, &attr);
	pthread_condattr_destroy(&attr);
	snprintf(mb->module_why, sizeof(mb->module_why), "not looked at yet");
	a->member = mb;
	hcv_reconciler_register(a, &hcv_member_reconciler);
	return 0;
}

int hcv_member_start(struct hcv_agent *a)
{
	int ret = pthread_create(&a->member->thread, NULL, hcv_member_thread,
				 a);

	a->member->started = !ret;
	return -ret;
}

void hcv_member_exit(struct hcv_agent *a)
{
	struct hcv_member *mb = a->member;

	pthread_mutex_lock(&mb->lock);
	mb->stop = true;
	pthread_cond_signal(&mb->cond);
	pthread_mutex_unlock(&mb->lock);
	if (mb->started)
		pthread_join(mb->thread, NULL);
	pthread_cond_destroy(&mb->cond);
	pthread_mutex_destroy(&mb->lock);
	free(mb);
	a->member = NULL;
}
