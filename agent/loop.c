// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loop thread: calls from other threads, ticks, kernel events, reconcilers.
 *
 * Nothing here blocks. The end is in steps: a signal sets @stopping, queued
 * jobs end unrun and running ones see their deadline as over; when the last
 * one is done the loop closes its handles.  Jobs that do not end within
 * HCV_STOP_MS (a netlink call stuck in a broken device) are left behind: the
 * process exits around them, as it might be killed at any time anyway.
 */
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "jobs.h"
#include "state.h"

#define HCV_STOP_MS	8000
#define HCV_TICK_MS	1000
#define HCV_EVENTS_MAX	256	/* events taken in one go */

struct hcv_call {
	struct hcv_call *next;
	void (*fn)(struct hcv_agent *a, void *arg);
	void *arg;
};

struct hcv_loop {
	uv_async_t async;
	uv_timer_t tick;
	uv_timer_t stop;
	uv_signal_t sigterm;
	uv_signal_t sigint;
	uv_poll_t poll;
	bool poll_on;
	int64_t stop_ms;
	struct hcv_klink *events;
	pthread_mutex_t lock;
	struct hcv_call *head, **tail;	/* under the lock */
};

static struct hcv_loop hcv_loop;

bool hcv_agent_stopping(struct hcv_agent *a)
{
	return __atomic_load_n(&a->stopping, __ATOMIC_ACQUIRE);
}

const struct hcv_identity *hcv_agent_id(struct hcv_agent *a)
{
	return __atomic_load_n(&a->id, __ATOMIC_ACQUIRE);
}

struct hcv_meta *hcv_agent_meta(struct hcv_agent *a)
{
	return __atomic_load_n(&a->meta, __ATOMIC_ACQUIRE);
}

void hcv_reconciler_register(struct hcv_agent *a,
			     const struct hcv_reconciler *r)
{
	if (a->nr_rec == HCV_MAX_RECONCILERS)
		abort();	/* a constant of the source is wrong */
	a->rec[a->nr_rec++] = r;
}

void hcv_agent_defer(struct hcv_agent *a,
		     void (*fn)(struct hcv_agent *a, void *arg), void *arg)
{
	struct hcv_call *c = malloc(sizeof(*c));

	(void)a;
	if (!c)
		abort();	/* a lost completion would hang its object */
	c->next = NULL;
	c->fn = fn;
	c->arg = arg;
	pthread_mutex_lock(&hcv_loop.lock);
	*hcv_loop.tail = c;
	hcv_loop.tail = &c->next;
	pthread_mutex_unlock(&hcv_loop.lock);
	uv_async_send(&hcv_loop.async);
}

static void hcv_loop_calls(struct hcv_agent *a)
{
	struct hcv_call *c, *next;

	pthread_mutex_lock(&hcv_loop.lock);
	c = hcv_loop.head;
	hcv_loop.head = NULL;
	hcv_loop.tail = &hcv_loop.head;
	pthread_mutex_unlock(&hcv_loop.lock);
	for (; c; c = next) {
		next = c->next;
		c->fn(a, c->arg);
		free(c);
	}
}

static void hcv_loop_async(uv_async_t *async)
{
	hcv_loop_calls(async->data);
}

static void hcv_loop_kernel_close(void)
{
	if (hcv_loop.poll_on)
		uv_poll_stop(&hcv_loop.poll);
}

static void hcv_loop_kernel_closed(uv_handle_t *h)
{
	(void)h;
	hcv_klink_close(hcv_loop.events);
	hcv_loop.events = NULL;
	hcv_loop.poll_on = false;
}

static void hcv_loop_drop_events(void)
{
	hcv_loop_kernel_close();
	if (hcv_loop.poll_on && !uv_is_closing((uv_handle_t *)&hcv_loop.poll))
		uv_close((uv_handle_t *)&hcv_loop.poll,
			 hcv_loop_kernel_closed);
}

void hcv_loop_kernel_lost(struct hcv_agent *a)
{
	unsigned int i;

	for (i = 0; i < a->nr_rec; i++)
		if (a->rec[i]->kernel_event)
			a->rec[i]->kernel_event(a, NULL);
}

static void hcv_loop_event(struct hcv_agent *a, const struct hcv_k_event *ev)
{
	unsigned int i;

	for (i = 0; i < a->nr_rec; i++)
		if (a->rec[i]->kernel_event)
			a->rec[i]->kernel_event(a, ev);
}

static void hcv_loop_poll(uv_poll_t *poll, int status, int events)
{
	struct hcv_agent *a = poll->data;
	struct hcv_k_event ev;
	int i, ret;

	(void)events;
	if (status < 0) {
		hcv_log(HCV_SEV_WARN, "kernel events: %s", uv_strerror(status));
		hcv_loop_drop_events();
		return;
	}
	for (i = 0; i < HCV_EVENTS_MAX; i++) {
		ret = hcv_k_event_read(hcv_loop.events, &ev);
		if (ret == 1) {
			hcv_loop_event(a, &ev);
		} else if (ret == -ENOBUFS) {
			hcv_log(HCV_SEV_INFO, "kernel events were lost, looking at everything");
			hcv_loop_kernel_lost(a);
		} else if (ret < 0) {
			hcv_log(HCV_SEV_WARN, "kernel events: %s",
				strerror(-ret));
			hcv_loop_drop_events();
			return;
		} else {
			return;
		}
	}
}

/* Subscribe as soon as the module is there; then look at everything. */
static void hcv_loop_kernel_open(struct hcv_agent *a)
{
	int fd;

	if (hcv_loop.poll_on)
		return;
	hcv_loop.events = hcv_k_event_open(&fd);
	if (!hcv_loop.events)
		return;
	if (uv_poll_init(&a->loop, &hcv_loop.poll, fd) < 0) {
		hcv_klink_close(hcv_loop.events);
		hcv_loop.events = NULL;
		return;
	}
	hcv_loop.poll.data = a;
	hcv_loop.poll_on = true;
	uv_poll_start(&hcv_loop.poll, UV_READABLE, hcv_loop_poll);
	hcv_loop_kernel_lost(a);
}

void hcv_loop_kernel_reopen(struct hcv_agent *a)
{
	/* the next tick opens it anew */
	(void)a;
	hcv_loop_drop_events();
}

void hcv_loop_snapshot(struct hcv_agent *a, struct hcv_snap *s)
{
	unsigned int i;

	for (i = 0; i < a->nr_rec && !hcv_agent_stopping(a); i++)
		if (a->rec[i]->snapshot)
			a->rec[i]->snapshot(a, s);
}

static void hcv_loop_tick(uv_timer_t *t)
{
	struct hcv_agent *a = t->data;
	unsigned int i;

	hcv_loop_kernel_open(a);
	for (i = 0; i < a->nr_rec; i++)
		if (a->rec[i]->tick)
			a->rec[i]->tick(a);
}

static void hcv_loop_stop_poll(uv_timer_t *t)
{
	struct hcv_agent *a = t->data;

	if (!hcv_jobs_idle(a) && hcv_now_ms() < hcv_loop.stop_ms)
		return;
	uv_timer_stop(t);
	uv_stop(&a->loop);
}

static void hcv_loop_signal(uv_signal_t *sig, int signum)
{
	struct hcv_agent *a = sig->data;

	if (hcv_agent_stopping(a))
		return;
	hcv_log(HCV_SEV_INFO, "stopping: %s", strsignal(signum));
	__atomic_store_n(&a->stopping, true, __ATOMIC_RELEASE);
	hcv_loop.stop_ms = hcv_now_ms() + HCV_STOP_MS;
	uv_timer_stop(&hcv_loop.tick);
	hcv_loop_drop_events();
	hcv_state_stop(a);
	hcv_jobs_stop(a);
	uv_timer_start(&hcv_loop.stop, hcv_loop_stop_poll, 0, 20);
}

int hcv_loop_init(struct hcv_agent *a)
{
	struct hcv_loop *l = &hcv_loop;
	int ret;

	pthread_mutex_init(&l->lock, NULL);
	l->tail = &l->head;
	ret = uv_loop_init(&a->loop);
	if (!ret)
		ret = uv_async_init(&a->loop, &l->async, hcv_loop_async);
	if (!ret)
		ret = uv_timer_init(&a->loop, &l->tick);
	if (!ret)
		ret = uv_timer_init(&a->loop, &l->stop);
	if (!ret)
		ret = uv_signal_init(&a->loop, &l->sigterm);
	if (!ret)
		ret = uv_signal_init(&a->loop, &l->sigint);
	if (ret) {
		hcv_log(HCV_SEV_ERR, "event loop: %s", uv_strerror(ret));
		return ret;
	}
	l->async.data = a;
	l->tick.data = a;
	l->stop.data = a;
	l->sigterm.data = a;
	l->sigint.data = a;
	return 0;
}

void hcv_loop_run(struct hcv_agent *a)
{
	struct hcv_loop *l = &hcv_loop;

	uv_signal_start(&l->sigterm, hcv_loop_signal, SIGTERM);
	uv_signal_start(&l->sigint, hcv_loop_signal, SIGINT);
	uv_timer_start(&l->tick, hcv_loop_tick, 0, HCV_TICK_MS);
	uv_run(&a->loop, UV_RUN_DEFAULT);
	/* answers and completions of what ended last */
	hcv_loop_calls(a);
	if (!hcv_jobs_idle(a)) {
		hcv_log(HCV_SEV_WARN, "a job does not end: exiting without it");
		_exit(0);
	}
}

void hcv_loop_exit(struct hcv_agent *a)
{
	struct hcv_loop *l = &hcv_loop;

	uv_close((uv_handle_t *)&l->async, NULL);
	uv_close((uv_handle_t *)&l->tick, NULL);
	uv_close((uv_handle_t *)&l->stop, NULL);
	uv_close((uv_handle_t *)&l->sigterm, NULL);
	uv_close((uv_handle_t *)&l->sigint, NULL);
	uv_run(&a->loop, UV_RUN_DEFAULT);
	uv_loop_close(&a->loop);
	pthread_mutex_destroy(&l->lock);
}
