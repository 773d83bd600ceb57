// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases and watches of metadata stores that live inside one process.
 *
 * A lease that ran out is ended by whoever takes the lock next, or by a watch,
 * which wakes up for it: no call ever sees a key whose lease is over.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE		/* pthread_mutex_clocklock() */
#endif

#include "meta_local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct hcv_local_lease {
	struct hcv_local_lease *next;
	struct hcv_local_client *client;
	int64_t id;
	int64_t ends_ms;
	unsigned int ttl_s;
};

int hcv_local_init(struct hcv_local *l)
{
	pthread_condattr_t attr;
	int ret;

	memset(l, 0, sizeof(*l));
	ret = pthread_mutex_init(&l->lock, NULL);
	if (ret)
		return -ret;
	ret = pthread_condattr_init(&attr);
	if (ret)
		goto err_mutex;
	ret = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (!ret)
		ret = pthread_cond_init(&l->cond, &attr);
	pthread_condattr_destroy(&attr);
	if (ret)
		goto err_mutex;
	return 0;

err_mutex:
	pthread_mutex_destroy(&l->lock);
	return -ret;
}

void hcv_local_exit(struct hcv_local *l)
{
	struct hcv_local_lease *lease;
	size_t i;

	while ((lease = l->leases)) {
		l->leases = lease->next;
		free(lease);
	}
	for (i = 0; i < HCV_LOCAL_RING; i++)
		free(l->ring[i].key);
	pthread_cond_destroy(&l->cond);
	pthread_mutex_destroy(&l->lock);
}

static struct timespec to_timespec(int64_t ms)
{
	return (struct timespec){
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000,
	};
}

static int64_t lease_clock(const struct hcv_local *l)
{
	return hcv_meta_now_ms() + l->skew_ms;
}

static enum hcv_meta_result end_lease(struct hcv_local *l,
				      struct hcv_local_lease **at)
{
	struct hcv_local_lease *lease = *at;
	enum hcv_meta_result res;

	res = l->drop(l, lease->id);
	if (res != HCV_META_OK)
		return res;
	*at = lease->next;
	free(lease);
	return HCV_META_OK;
}

static enum hcv_meta_result end_leases(struct hcv_local *l)
{
	struct hcv_local_lease **at = &l->leases;
	int64_t now = lease_clock(l);
	enum hcv_meta_result res;

	while (*at) {
		if ((*at)->ends_ms > now) {
			at = &(*at)->next;
			continue;
		}
		res = end_lease(l, at);
		/* Keys that ought to be gone must not be shown. */
		if (res != HCV_META_OK)
			return res;
	}
	return HCV_META_OK;
}

enum hcv_meta_result hcv_local_lock(struct hcv_local *l, int64_t deadline)
{
	struct timespec ts = to_timespec(deadline);
	enum hcv_meta_result res;
	int ret;

	ret = pthread_mutex_clocklock(&l->lock, CLOCK_MONOTONIC, &ts);
	if (ret)
		return hcv_meta_fail(HCV_META_UNREACHABLE,
				     "the metadata store is busy: %s",
				     strerror(ret));
	res = end_leases(l);
	if (res != HCV_META_OK)
		pthread_mutex_unlock(&l->lock);
	return res;
}

void hcv_local_unlock(struct hcv_local *l)
{
	pthread_mutex_unlock(&l->lock);
}

void hcv_local_changed(struct hcv_local *l, const char *key)
{
	struct hcv_local_change *c;

	c = &l->ring[l->next_change++ % HCV_LOCAL_RING];
	if (c->rev > l->floor)
		l->floor = c->rev;
	free(c->key);
	c->rev = l->rev;
	/* Without memory for its name the change wakes everybody. */
	c->key = key ? strdup(key) : NULL;
	pthread_cond_broadcast(&l->cond);
}

void hcv_local_changed_outside(struct hcv_local *l)
{
	l->foreign++;
	pthread_cond_broadcast(&l->cond);
}

static struct hcv_local_lease **find_lease(struct hcv_local *l, int64_t id)
{
	struct hcv_local_lease **at = &l->leases;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

bool hcv_local_lease_valid(const struct hcv_local *l, int64_t lease)
{
	const struct hcv_local_lease *at = l->leases;

	while (at && at->id != lease)
		at = at->next;
	return at;
}

enum hcv_meta_result hcv_local_lease_grant(struct hcv_local *l,
					   struct hcv_local_client *c,
					   unsigned int ttl_s, int64_t *lease)
{
	struct hcv_local_lease *new = calloc(1, sizeof(*new));

	if (!new)
		return hcv_meta_fail(HCV_META_UNREACHABLE, "out of memory");
	new->client = c;
	new->id = hcv_meta_random();
	new->ttl_s = ttl_s;
	new->ends_ms = lease_clock(l) + (int64_t)ttl_s * 1000;
	new->next = l->leases;
	l->leases = new;
	*lease = new->id;
	/* Watches sleep until the next lease ends. */
	pthread_cond_broadcast(&l->cond);
	return HCV_META_OK;
}

enum hcv_meta_result hcv_local_lease_keep(struct hcv_local *l, int64_t lease)
{
	struct hcv_local_lease *at = *find_lease(l, lease);

	if (!at)
		return hcv_meta_fail(HCV_META_INVALID,
				     "lease %lld has expired",
				     (long long)lease);
	at->ends_ms = lease_clock(l) + (int64_t)at->ttl_s * 1000;
	return HCV_META_OK;
}

enum hcv_meta_result hcv_local_lease_revoke(struct hcv_local *l, int64_t lease)
{
	struct hcv_local_lease **at = find_lease(l, lease);

	return *at ? end_lease(l, at) : HCV_META_OK;
}

void hcv_local_client_gone(struct hcv_local *l, struct hcv_local_client *c)
{
	struct hcv_local_lease **at = &l->leases;

	while (*at) {
		if ((*at)->client != c) {
			at = &(*at)->next;
			continue;
		}
		if (end_lease(l, at) == HCV_META_OK)
			continue;
		/* Stays behind without an owner, and is tried again. */
		(*at)->client = NULL;
		(*at)->ends_ms = 0;
		at = &(*at)->next;
	}
}

static bool changed_since(const struct hcv_local *l, const char *prefix,
			  int64_t rev)
{
	size_t len = strlen(prefix);
	size_t i;

	/* A revision from before a restored backup counts as changed too. */
	if (rev < l->floor || rev > l->rev)
		return true;
	for (i = 0; i < HCV_LOCAL_RING; i++)
		if (l->ring[i].rev > rev &&
		    (!l->ring[i].key ||
		     !strncmp(l->ring[i].key, prefix, len)))
			return true;
	return false;
}

/* Until the deadline, the next lease's end, or the next look outside. */
static void watch_wait(struct hcv_local *l, int64_t deadline)
{
	int64_t now = hcv_meta_now_ms();
	const struct hcv_local_lease *at;
	struct timespec ts;
	int64_t left;

	for (at = l->leases; at; at = at->next) {
		left = at->ends_ms - lease_clock(l);
		if (left < 1)
			left = 1;
		if (now + left < deadline)
			deadline = now + left;
	}
	if (l->poll && now + l->poll_ms < deadline)
		deadline = now + l->poll_ms;
	ts = to_timespec(deadline);
	pthread_cond_timedwait(&l->cond, &l->lock, &ts);
}

enum hcv_meta_result hcv_local_watch(struct hcv_local *l,
				     struct hcv_local_client *c,
				     const char *prefix, int64_t *rev,
				     int64_t deadline)
{
	enum hcv_meta_result res = HCV_META_CONFLICT;
	uint64_t foreign = l->foreign;

	c->watching++;
	for (;;) {
		res = end_leases(l);
		if (res != HCV_META_OK)
			break;
		if (l->poll)
			l->poll(l);
		if (l->foreign != foreign || changed_since(l, prefix, *rev)) {
			*rev = l->rev;
			break;
		}
		res = HCV_META_CONFLICT;
		if (c->cancel || hcv_meta_now_ms() >= deadline)
			break;
		watch_wait(l, deadline);
	}
	/* A cancel ends all watches that run, or else the next one. */
	if (!--c->watching)
		c->cancel = false;
	return res;
}

void hcv_local_cancel(struct hcv_local *l, struct hcv_local_client *c)
{
	c->cancel = true;
	pthread_cond_broadcast(&l->cond);
}
