// SPDX-License-Identifier: GPL-2.0-only
/*
 * When the passes over this node's stores run; see target.h.
 *
 * Snapshots given to a store's passes only get newer: what was freed because
 * nothing named it any more is never made again from an older view.
 */
#include "target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HCV_SWEEP_MS		15000
#define HCV_SWEEP_JOB_MS	60000

struct hcv_target {
	struct hcv_agent *agent;
	struct hcv_target_store *store;
	uv_timer_t timer;
	bool sweeping;
	int64_t sweep_ms;
};

static struct hcv_target hcv_target;	/* L */

static void hcv_target_start(struct hcv_target_store *ts);

static struct hcv_target_store *hcv_target_find(const char *uuid)
{
	struct hcv_target_store *ts;

	for (ts = hcv_target.store; ts; ts = ts->next)
		if (!strcmp(ts->uuid, uuid))
			return ts;
	return NULL;
}

static void hcv_target_timeout(uv_timer_t *t)
{
	int64_t now = hcv_now_ms();
	struct hcv_target_store *ts;

	(void)t;
	for (ts = hcv_target.store; ts; ts = ts->next)
		if (ts->due_ms && ts->due_ms <= now)
			hcv_target_start(ts);
}

/* One timer for all stores, at the earliest time that one of them wants. */
static void hcv_target_arm(void)
{
	int64_t now = hcv_now_ms(), due = 0;
	struct hcv_target_store *ts;

	for (ts = hcv_target.store; ts; ts = ts->next)
		if (ts->due_ms && (!due || ts->due_ms < due))
			due = ts->due_ms;
	if (!due) {
		uv_timer_stop(&hcv_target.timer);
		return;
	}
	uv_timer_start(&hcv_target.timer, hcv_target_timeout,
		       due > now ? (uint64_t)(due - now) : 0, 0);
}

static void hcv_target_done(struct hcv_job *job)
{
	struct hcv_target_pass *p = job->arg;
	struct hcv_target_store *ts = p->ts;
	bool again = ts->again || job->again;

	hcv_snap_put(p->snap);
	free(p);
	ts->running = false;
	ts->again = false;
	if (hcv_agent_stopping(job->agent))
		return;
	ts->due_ms = ts->next_ms ? ts->next_ms :
				   hcv_now_ms() + HCV_TARGET_IDLE_MS;
	if (again)
		hcv_target_start(ts);
	hcv_target_arm();
}

static void hcv_target_start(struct hcv_target_store *ts)
{
	struct hcv_agent *a = hcv_target.agent;
	struct hcv_target_pass *p;
	char key[64];

	if (ts->running) {
		ts->again = true;
		return;
	}
	/* without memory, or while the module is away: the tick comes back */
	ts->due_ms = hcv_now_ms() + HCV_TARGET_RETRY_MS;
	if (!hcv_member_module_ok(a))
		return;
	p = calloc(1, sizeof(*p));
	if (!p)
		return;
	p->snap = hcv_snap_get(a);
	p->ts = ts;
	if (!p->snap || p->snap->seq < ts->seq ||
	    p->snap->rev < ts->written_rev)
		goto out_free;
	ts->seq = p->snap->seq;
	snprintf(key, sizeof(key), "target/%s", ts->uuid);
	ts->running = hcv_job_start(a, key, HCV_TARGET_PASS_MS, hcv_target_run,
				    hcv_target_done, p);
	if (!ts->running)
		goto out_free;
	ts->due_ms = 0;
	return;
out_free:
	hcv_snap_put(p->snap);
	free(p);
}

/* ---------------------------------------------------------------- the sweep */

static void hcv_target_swept(struct hcv_job *job)
{
	hcv_snap_put(job->arg);
	hcv_target.sweeping = false;
}

static void hcv_target_start_sweep(void)
{
	struct hcv_agent *a = hcv_target.agent;
	struct hcv_snap *s;

	if (hcv_target.sweeping || hcv_now_ms() < hcv_target.sweep_ms)
		return;
	s = hcv_snap_get(a);
	if (!s)
		return;
	hcv_target.sweep_ms = hcv_now_ms() + HCV_SWEEP_MS;
	hcv_target.sweeping = hcv_job_start(a, "target-sweep",
					    HCV_SWEEP_JOB_MS,
					    hcv_target_sweep, hcv_target_swept,
					    s);
	if (!hcv_target.sweeping)
		hcv_snap_put(s);
}

/* -------------------------------------------------------------- what is new */

/*
 * Stores that left the metadata keep their entry: a few hundred bytes, and
 * their passes end at once.
 */
static void hcv_target_snapshot(struct hcv_agent *a, struct hcv_snap *snap)
{
	const struct hcv_identity *id = hcv_agent_id(a);
	struct hcv_target_store *ts;
	size_t i;

	for (i = 0; id && i < snap->nr_stores; i++) {
		const struct hcv_store_info *st = &snap->store[i].i;

		if (strcmp(st->node, id->node))
			continue;
		ts = hcv_target_find(st->uuid);
		if (!ts) {
			ts = calloc(1, sizeof(*ts));
			if (!ts)
				return;	/* the next snapshot comes soon */
			memcpy(ts->uuid, st->uuid, HCV_ID_LEN);
			ts->next = hcv_target.store;
			hcv_target.store = ts;
		}
		hcv_target_start(ts);
	}
	hcv_target_arm();
}

static void hcv_target_event(struct hcv_agent *a, const struct hcv_k_event *ev)
{
	struct hcv_target_store *ts;

	(void)a;
	if (ev && ev->event != HCV_EVENT_REVOKED &&
	    ev->event != HCV_EVENT_STORE_FAILED)
		return;
	for (ts = hcv_target.store; ts; ts = ts->next)
		if (!ev || (ev->has_store && !strcmp(ts->uuid, ev->store)))
			hcv_target_start(ts);
	hcv_target_arm();
}

/* The timer does the rest; a start that had to be put off comes back here. */
static void hcv_target_tick(struct hcv_agent *a)
{
	(void)a;
	hcv_target_timeout(NULL);
	hcv_target_arm();
	hcv_target_start_sweep();
}

int hcv_target_init(struct hcv_agent *a)
{
	static const struct hcv_reconciler rec = {
		.name = "target",
		.snapshot = hcv_target_snapshot,
		.kernel_event = hcv_target_event,
		.tick = hcv_target_tick,
	};
	int ret;

	hcv_target.agent = a;
	ret = uv_timer_init(&a->loop, &hcv_target.timer);
	if (ret)
		return ret;
	/* it must not keep the loop from ending */
	uv_unref((uv_handle_t *)&hcv_target.timer);
	hcv_reconciler_register(a, &rec);
	return 0;
}
