// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connections to other nodes' stores, made and dropped beside the volumes' jobs.
 *
 * Against a node that is dead or frozen either takes up to ten seconds, and a
 * volume has more urgent things to do meanwhile.  So the steps only start it,
 * one job per store for all volumes, and look whether it has ended.  What is
 * kept here is forgotten with the process: connections are found in sysfs.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nvme_host.h"
#include "owner_vols.h"

#define RESULT_MS	5000	/* an older one is of no use */
#define CONNS_MAX	4	/* at once: they share threads with volumes */

struct conn {
	struct conn *next;
	char store[HCV_ID_LEN];
	bool busy;
	bool ended;		/* nobody has taken its result yet */
	int64_t ended_ms;
	int ret;
	char err[HCV_ERR_SIZE];
};

struct conn_job {
	struct hcv_owner_conn c;
	int ret;
	char err[HCV_ERR_SIZE];
};

static pthread_mutex_t conn_lock = PTHREAD_MUTEX_INITIALIZER;
static struct conn *conns;		/* conn_lock */
static unsigned int nr_busy;		/* conn_lock */

static struct conn *conn_find(const char *store, bool create)
{
	struct conn *c;

	for (c = conns; c; c = c->next)
		if (!strcmp(c->store, store))
			return c;
	if (!create)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	snprintf(c->store, sizeof(c->store), "%s", store);
	c->next = conns;
	conns = c;
	return c;
}

bool hcv_owner_conn_busy(const char *store)
{
	struct conn *c;
	bool busy;

	pthread_mutex_lock(&conn_lock);
	c = conn_find(store, false);
	busy = c && c->busy;
	pthread_mutex_unlock(&conn_lock);
	return busy;
}

bool hcv_owner_conn_result(const char *store, int *ret, char *err)
{
	bool ended = false;
	struct conn *c;

	pthread_mutex_lock(&conn_lock);
	c = conn_find(store, false);
	if (c && c->ended && hcv_now_ms() - c->ended_ms < RESULT_MS) {
		ended = true;
		*ret = c->ret;
		memcpy(err, c->err, HCV_ERR_SIZE);
	}
	if (c)
		c->ended = false;
	pthread_mutex_unlock(&conn_lock);
	return ended;
}

static void conn_end(struct hcv_agent *a, struct conn_job *j)
{
	char (*uuid)[HCV_ID_LEN];
	struct conn *c;
	size_t i, nr;

	pthread_mutex_lock(&conn_lock);
	c = conn_find(j->c.store, false);
	nr_busy--;
	if (c) {
		c->busy = false;
		c->ended = !j->c.drop;
		c->ended_ms = hcv_now_ms();
		c->ret = j->ret;
		memcpy(c->err, j->err, sizeof(c->err));
	}
	pthread_mutex_unlock(&conn_lock);
	if (!hcv_agent_stopping(a)) {
		nr = hcv_owner_vols_tracked(&uuid);
		for (i = 0; i < nr; i++)
			hcv_owner_kick(a, uuid[i]);
		free(uuid);
		hcv_owner_kick(a, j->c.vol);
	}
	free(j);
}

/* Whether a volume of this node uses the connection to the store. */
static bool conn_used(struct hcv_job *job, const char *store)
{
	struct hcv_klink *kl = hcv_job_klink(job);
	struct hcv_k_vol *vol = NULL;
	size_t nr = 0, i, j;
	bool used = true;

	if (kl && !hcv_k_vol_list(kl, &vol, &nr)) {
		used = false;
		for (i = 0; i < nr; i++)
			for (j = 0; j < vol[i].nr_links; j++)
				used |= vol[i].link[j].state != HCV_LINK_OUT &&
					!strcmp(vol[i].link[j].store, store);
	}
	free(vol);
	return used;
}

static void conn_drop(struct hcv_job *job, struct conn_job *j)
{
	if (conn_used(job, j->c.store))
		return;
	HCV_CRASH_POINT("owner-disconnect");
	/* What the failed connection still holds must not arrive later on. */
	j->ret = hcv_nvme_disconnect(j->c.store, j->c.client, j->c.failed,
				     job->deadline_ms, j->err);
	HCV_CRASH_POINT("owner-disconnect-done");
	if (j->ret)
		hcv_log(HCV_SEV_WARN, "dropping the connection to store %s: %s",
			j->c.store, j->err);
}

static void conn_work(struct hcv_job *job)
{
	struct conn_job *j = job->arg;
	struct hcv_nvme_conn c = hcv_owner_conn_nvme(&j->c);
	char dev[HCV_NVME_DEV_LEN];

	j->ret = 0;
	if (j->c.drop) {
		conn_drop(job, j);
		return;
	}
	HCV_CRASH_POINT("owner-connect");
	j->ret = hcv_nvme_connect(&c, dev, job->deadline_ms, j->err);
	HCV_CRASH_POINT("owner-connect-done");
}

static void conn_done(struct hcv_job *job)
{
	conn_end(job->agent, job->arg);
}

static void conn_start(struct hcv_agent *a, void *arg)
{
	struct conn_job *j = arg;
	char key[64];

	snprintf(key, sizeof(key), "owner/conn/%s", j->c.store);
	if (!hcv_job_start(a, key, HCV_OWNER_CONNECT_MS, conn_work, conn_done,
			   j))
		conn_end(a, j);
}

/* Return: 1: it is the caller's to make; 0: it is under way; -errno */
static int conn_claim(const char *store)
{
	struct conn *c;
	int ret = 1;

	pthread_mutex_lock(&conn_lock);
	c = conn_find(store, true);
	if (!c) {
		ret = -ENOMEM;
	} else if (c->busy) {
		ret = 0;
	} else if (nr_busy == CONNS_MAX) {
		ret = -EBUSY;
	} else {
		c->busy = true;
		nr_busy++;
	}
	pthread_mutex_unlock(&conn_lock);
	return ret;
}

int hcv_owner_conn_start(struct hcv_agent *a, const struct hcv_owner_conn *to)
{
	struct conn_job *j = calloc(1, sizeof(*j));
	int ret;

	if (!j)
		return -ENOMEM;
	ret = conn_claim(to->store);
	if (ret <= 0) {
		free(j);
		return ret;
	}
	j->c = *to;
	j->ret = -ECANCELED;
	snprintf(j->err, sizeof(j->err), "the agent is stopping");
	hcv_agent_defer(a, conn_start, j);
	return 0;
}

struct hcv_nvme_conn hcv_owner_conn_nvme(const struct hcv_owner_conn *c)
{
	return (struct hcv_nvme_conn){
		.client = c->client, .store = c->store,
		.transport = c->transport, .addr = c->addr, .port = c->port,
		.slow = c->slow,
	};
}

void hcv_owner_conns_exit(void)
{
	struct conn *c;

	while ((c = conns)) {
		conns = c->next;
		free(c);
	}
}
