// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replicas that failed or are about to join: guests wait for the answer.
 *
 * One thread that never queues behind a job, with a link to the module of its
 * own.  A kernel event only wakes it; what is to be done it finds in the
 * module's state, once a second in any case, so a lost event loses a second.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "owner_vols.h"

#define URGENT_POLL_MS	1000
#define URGENT_RETRY_MS	100
#define URGENT_STEPS	64		/* of one volume in one look */
#define URGENT_MS	5000

struct hcv_owner_urgent {
	struct hcv_agent *a;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool kicked;
	bool stop;
	struct hcv_klink *kl;		/* the thread's own from here */
	struct hcv_k_vol k;
	struct hcv_vp_mem mem;
	struct hcv_owner_view view;
};

static bool urgent_link(const struct hcv_k_vol *k)
{
	size_t i;

	for (i = 0; i < k->nr_links; i++)
		if (k->link[i].state == HCV_LINK_FAILING ||
		    k->link[i].state == HCV_LINK_JOINING)
			return true;
	return false;
}

static void urgent_plan(struct hcv_owner_urgent *u, struct hcv_vp_out *out)
{
	struct hcv_owner_view *w = &u->view;
	struct hcv_vp_in in = {
		.node = hcv_agent_id(u->a)->node, .now_ms = hcv_now_ms(),
		.known = w->known, .settled = w->settled, .urgent = true,
		.rec = w->v.rec_rev ? &w->v.rec : NULL,
		.vol = w->v.rev ? &w->v.i : NULL, .rows = &w->v.rows,
		.k = &u->k, .mem = &u->mem,
	};

	hcv_owner_view_stores(w, in.node);
	in.st = w->st;
	in.nr_st = w->nr_st;
	hcv_volplan_next(&in, out);
}

static bool urgent_reread(struct hcv_owner_urgent *u)
{
	return hcv_owner_view_read(&u->view, HCV_META_MS) == HCV_META_OK;
}

/* The volume's job is to know of it: a failed resync is not repeated at once. */
static void urgent_note(const char *uuid, const struct hcv_vp_out *out)
{
	struct hcv_owner_vol *v = hcv_owner_vols_lock(uuid, true);

	if (v)
		hcv_volplan_done(&v->mem, out, hcv_now_ms());
	hcv_owner_vols_unlock(false);
}

/* Return: false: something failed, look again soon */
static bool urgent_steps(struct hcv_owner_urgent *u, const char *uuid)
{
	struct hcv_owner_step s = {
		.a = u->a, .w = &u->view, .kl = u->kl, .meta_ms = URGENT_MS,
	};
	enum hcv_owner_result res;
	struct hcv_vp_out out;
	int i;

	for (i = 0; i < URGENT_STEPS && !hcv_agent_stopping(u->a); i++) {
		if (hcv_k_vol_get(u->kl, uuid, &u->k))
			return true;	/* gone */
		hcv_owner_gap_seen(&u->k);
		s.k = &u->k;
		s.out = &out;
		s.until_ms = hcv_now_ms() + URGENT_MS;
		urgent_plan(u, &out);
		switch (out.act) {
		case HCV_VP_REMOVE:
			res = hcv_owner_remove(&s);
			break;
		case HCV_VP_JOIN:
			res = hcv_owner_join(&s);
			break;
		case HCV_VP_CONFIRM:
			res = hcv_owner_confirm(&s);
			break;
		case HCV_VP_REREAD:
			res = HCV_OWNER_REREAD;
			break;
		default:
			return true;	/* the volume's job takes it from here */
		}
		if (res == HCV_OWNER_FAILED) {
			hcv_log(HCV_SEV_WARN, "volume %s: %s %s: %s",
				hcv_owner_view_name(&u->view),
				hcv_volplan_act_name(out.act), out.store,
				s.err);
			return false;
		}
		if (res == HCV_OWNER_DONE)
			urgent_note(uuid, &out);
		if (res == HCV_OWNER_REREAD && !urgent_reread(u))
			return false;
	}
	return true;
}

static bool urgent_volume(struct hcv_owner_urgent *u, const char *uuid)
{
	struct hcv_snap *snap = hcv_snap_get(u->a);
	bool ok = false;

	if (!snap)
		return false;
	hcv_owner_view_init(&u->view, u->a, snap, uuid);
	if (hcv_owner_current(u->a, uuid, snap->rev) || urgent_reread(u))
		ok = urgent_steps(u, uuid);
	hcv_owner_view_free(&u->view);
	hcv_snap_put(snap);
	hcv_owner_kick(u->a, uuid);
	return ok;
}

/* Return: how long until the next look */
static int urgent_look(struct hcv_owner_urgent *u)
{
	struct hcv_k_vol *vol = NULL;
	int wait = URGENT_POLL_MS;
	size_t nr = 0, i;

	if (!hcv_agent_id(u->a))
		return wait;
	if (!u->kl)
		u->kl = hcv_klink_open();
	if (!u->kl)
		return wait;
	if (hcv_k_vol_list(u->kl, &vol, &nr)) {
		hcv_klink_close(u->kl);
		u->kl = NULL;
		return wait;
	}
	for (i = 0; i < nr && !hcv_agent_stopping(u->a); i++)
		if (urgent_link(&vol[i]) && !urgent_volume(u, vol[i].uuid))
			wait = URGENT_RETRY_MS;
	free(vol);
	return wait;
}

static void *urgent_thread(void *arg)
{
	struct hcv_owner_urgent *u = arg;
	struct timespec ts;
	int wait;

	pthread_mutex_lock(&u->lock);
	while (!u->stop) {
		u->kicked = false;
		pthread_mutex_unlock(&u->lock);
		wait = urgent_look(u);
		pthread_mutex_lock(&u->lock);
		clock_gettime(CLOCK_MONOTONIC, &ts);
		ts.tv_nsec += wait % 1000 * 1000000L;
		ts.tv_sec += wait / 1000 + ts.tv_nsec / 1000000000;
		ts.tv_nsec %= 1000000000;
		while (!u->kicked && !u->stop &&
		       pthread_cond_timedwait(&u->cond, &u->lock, &ts) !=
		       ETIMEDOUT)
			;
	}
	pthread_mutex_unlock(&u->lock);
	if (u->kl)
		hcv_klink_close(u->kl);
	return NULL;
}

struct hcv_owner_urgent *hcv_owner_urgent_start(struct hcv_agent *a)
{
	struct hcv_owner_urgent *u = calloc(1, sizeof(*u));
	pthread_condattr_t attr;

	if (!u)
		return NULL;
	u->a = a;
	pthread_mutex_init(&u->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&u->cond, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&u->thread, NULL, urgent_thread, u)) {
		free(u);
		return NULL;
	}
	return u;
}

void hcv_owner_urgent_stop(struct hcv_owner_urgent *u)
{
	if (!u)
		return;
	pthread_mutex_lock(&u->lock);
	u->stop = true;
	pthread_cond_signal(&u->cond);
	pthread_mutex_unlock(&u->lock);
	pthread_join(u->thread, NULL);
	pthread_mutex_destroy(&u->lock);
	pthread_cond_destroy(&u->cond);
	free(u);
}

void hcv_owner_urgent_kick(struct hcv_owner_urgent *u)
{
	pthread_mutex_lock(&u->lock);
	u->kicked = true;
	pthread_cond_signal(&u->cond);
	pthread_mutex_unlock(&u->lock);
}
