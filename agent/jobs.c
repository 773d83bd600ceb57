// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs: blocking work in libuv's pool, one at a time for each key.
 *
 * Three classes share the pool, with a fixed number of threads each: API
 * requests that wait for something can neither starve the reconcilers that
 * would bring it about, nor those requests that only look.  Everything here
 * runs in the loop thread, except hcv_job_work() and the helpers a job's
 * function calls.
 */
#include "jobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum hcv_job_class {
	HCV_JOB_WORK,
	HCV_JOB_API,
	HCV_JOB_QUICK,
	HCV_JOB_CLASSES
};

struct hcv_job_run {
	struct hcv_job job;		/* first: hcv_job_klink() casts back */
	uv_work_t work;
	struct hcv_job_run *next;
	hcv_job_fn fn;
	hcv_job_fn done;
	struct hcv_klink *klink;
	enum hcv_job_class class;
	char key[96];
};

struct hcv_jobs {
	struct hcv_job_run *running[HCV_JOB_CLASSES];
	struct hcv_job_run *queued[HCV_JOB_CLASSES];
	unsigned int nr_running[HCV_JOB_CLASSES];
};

static const unsigned int hcv_jobs_limit[HCV_JOB_CLASSES] = {
	[HCV_JOB_WORK] = HCV_POOL_THREADS - HCV_POOL_API - HCV_POOL_QUICK,
	[HCV_JOB_API] = HCV_POOL_API,
	[HCV_JOB_QUICK] = HCV_POOL_QUICK,
};

static void hcv_jobs_dispatch(struct hcv_agent *a, enum hcv_job_class class);

int hcv_jobs_init(struct hcv_agent *a)
{
	a->jobs = calloc(1, sizeof(*a->jobs));
	return a->jobs ? 0 : -ENOMEM;
}

void hcv_jobs_exit(struct hcv_agent *a)
{
	free(a->jobs);
	a->jobs = NULL;
}

static struct hcv_job_run *hcv_jobs_find(struct hcv_job_run *list,
					 const char *key)
{
	for (; list; list = list->next)
		if (!strcmp(list->key, key))
			return list;
	return NULL;
}

static void hcv_jobs_unlink(struct hcv_job_run **list, struct hcv_job_run *run)
{
	while (*list != run)
		list = &(*list)->next;
	*list = run->next;
}

static void hcv_job_finish(struct hcv_job_run *run)
{
	run->done(&run->job);
	free(run);
}

static void hcv_job_work(uv_work_t *work)
{
	struct hcv_job_run *run = work->data;

	run->fn(&run->job);
	if (run->klink)
		hcv_klink_close(run->klink);
}

static void hcv_job_after(uv_work_t *work, int status)
{
	struct hcv_job_run *run = work->data;
	struct hcv_agent *a = run->job.agent;
	enum hcv_job_class class = run->class;

	(void)status;		/* nothing here cancels pool work */
	hcv_jobs_unlink(&a->jobs->running[class], run);
	a->jobs->nr_running[class]--;
	hcv_job_finish(run);
	hcv_jobs_dispatch(a, class);
}

static void hcv_jobs_dispatch(struct hcv_agent *a, enum hcv_job_class class)
{
	struct hcv_jobs *j = a->jobs;
	struct hcv_job_run *run;

	while (j->queued[class] && !hcv_agent_stopping(a) &&
	       j->nr_running[class] < hcv_jobs_limit[class]) {
		run = j->queued[class];
		j->queued[class] = run->next;
		run->next = j->running[class];
		j->running[class] = run;
		j->nr_running[class]++;
		run->work.data = run;
		/* fails only for a NULL callback */
		uv_queue_work(&a->loop, &run->work, hcv_job_work,
			      hcv_job_after);
	}
}

static bool hcv_jobs_start(struct hcv_agent *a, enum hcv_job_class class,
			   const char *key, unsigned int deadline_ms,
			   hcv_job_fn fn, hcv_job_fn done, void *arg)
{
	struct hcv_jobs *j = a->jobs;
	struct hcv_job_run *run, **tail;

	run = hcv_jobs_find(j->running[class], key);
	if (!run)
		run = hcv_jobs_find(j->queued[class], key);
	if (run) {
		run->job.again = true;
		return false;
	}
	if (hcv_agent_stopping(a))
		return false;
	run = calloc(1, sizeof(*run));
	if (!run)
		return false;	/* the next tick or snapshot tries again */
	snprintf(run->key, sizeof(run->key), "%s", key);
	run->class = class;
	run->fn = fn;
	run->done = done;
	run->job.agent = a;
	run->job.key = run->key;
	run->job.arg = arg;
	run->job.deadline_ms = hcv_now_ms() + deadline_ms;
	for (tail = &j->queued[class]; *tail; tail = &(*tail)->next)
		;
	*tail = run;
	hcv_jobs_dispatch(a, class);
	return true;
}

bool hcv_job_start(struct hcv_agent *a, const char *key,
		   unsigned int deadline_ms, hcv_job_fn fn, hcv_job_fn done,
		   void *arg)
{
	return hcv_jobs_start(a, HCV_JOB_WORK, key, deadline_ms, fn, done, arg);
}

bool hcv_job_start_api(struct hcv_agent *a, const char *key, bool quick,
		       unsigned int deadline_ms, hcv_job_fn fn,
		       hcv_job_fn done, void *arg)
{
	return hcv_jobs_start(a, quick ? HCV_JOB_QUICK : HCV_JOB_API, key,
			      deadline_ms, fn, done, arg);
}

bool hcv_job_running(struct hcv_agent *a, const char *key)
{
	return hcv_jobs_find(a->jobs->running[HCV_JOB_WORK], key) ||
		hcv_jobs_find(a->jobs->queued[HCV_JOB_WORK], key);
}

void hcv_jobs_stop(struct hcv_agent *a)
{
	struct hcv_job_run *run;
	int class;

	for (class = 0; class < HCV_JOB_CLASSES; class++) {
		while ((run = a->jobs->queued[class])) {
			a->jobs->queued[class] = run->next;
			hcv_error_set(&run->job.err, HCV_E_UNREACHABLE,
				      "agent", NULL, "the agent is stopping");
			hcv_job_finish(run);
		}
	}
}

bool hcv_jobs_idle(struct hcv_agent *a)
{
	return !a->jobs->nr_running[HCV_JOB_WORK] &&
		!a->jobs->nr_running[HCV_JOB_API] &&
		!a->jobs->nr_running[HCV_JOB_QUICK];
}

bool hcv_job_expired(const struct hcv_job *job)
{
	return hcv_agent_stopping(job->agent) ||
		hcv_now_ms() >= job->deadline_ms;
}

unsigned int hcv_job_left(const struct hcv_job *job)
{
	int64_t left = job->deadline_ms - hcv_now_ms();

	if (left < 1)
		return 1;
	return left > INT32_MAX ? INT32_MAX : left;
}

struct hcv_klink *hcv_job_klink(struct hcv_job *job)
{
	struct hcv_job_run *run = (struct hcv_job_run *)job;

	if (!run->klink)
		run->klink = hcv_klink_open();
	return run->klink;
}
