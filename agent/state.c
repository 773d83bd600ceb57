// SPDX-License-Identifier: GPL-2.0-only
/*
 * State cache: a thread follows the metadata store and publishes snapshots.
 *
 * Everything is read at the beginning, and at least every HCV_SNAP_MS; in between
 * the changes that the store tells of are added to what was read.  A back end that
 * does not tell them says that there are some, and all is read anew.  What a
 * watch fails to deliver is so found 2 s later; what rests on a snapshot is a
 * wish, and becomes a decision by a transaction that compares what it rests on.
 */
#include "state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loop.h"
#include "snap.h"

#define HCV_STATE_RETRY_MS	500	/* between reads that fail */
#define HCV_STATE_PACE_MS	20	/* between snapshots under many changes */
#define HCV_STATE_HINT_MS	100	/* our own change is told of by then */
#define HCV_STATE_BAD		64	/* undecodable keys remembered */

struct hcv_state {
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t cond;	/* CLOCK_MONOTONIC; new snapshot, kick, stop */
	/* under the lock: */
	struct hcv_snap *cur;
	bool delivering;	/* a delivery to the loop is on its way */
	bool kicked;		/* something was written here */
	bool fresh;		/* somebody waits for a read */
	bool failed;		/* a read has */
	bool stop;
	uint64_t seq;
	uint64_t reads;
	bool reachable;
	int64_t reach_since_ms;
	char why[HCV_ERR_SIZE];
	struct {
		char key[128];
		int64_t rev;
	} bad[HCV_STATE_BAD];
	unsigned int next_bad;
};

static void hcv_state_timespec(struct timespec *ts, int64_t ms)
{
	clock_gettime(CLOCK_MONOTONIC, ts);
	ts->tv_sec += ms / 1000;
	ts->tv_nsec += ms % 1000 * 1000000;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_sec++;
		ts->tv_nsec -= 1000000000;
	}
}

int hcv_state_init(struct hcv_agent *a)
{
	struct hcv_state *st = calloc(1, sizeof(*st));
	pthread_condattr_t attr;

	if (!st)
		return -ENOMEM;
	pthread_mutex_init(&st->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&st->cond, &attr);
	pthread_condattr_destroy(&attr);
	st->reach_since_ms = hcv_now_ms();
	snprintf(st->why, sizeof(st->why), "not read yet");
	a->state = st;
	return 0;
}

struct hcv_snap *hcv_snap_get(struct hcv_agent *a)
{
	struct hcv_snap *s;

	pthread_mutex_lock(&a->state->lock);
	s = hcv_snap_ref(a->state->cur);
	pthread_mutex_unlock(&a->state->lock);
	return s;
}

bool hcv_state_reachable(struct hcv_agent *a, char *why, int64_t *since_ms)
{
	struct hcv_state *st = a->state;
	bool ok;

	pthread_mutex_lock(&st->lock);
	ok = st->reachable;
	if (why)
		snprintf(why, HCV_ERR_SIZE, "%s", ok ? "" : st->why);
	if (since_ms)
		*since_ms = st->reach_since_ms;
	pthread_mutex_unlock(&st->lock);
	return ok;
}

void hcv_snap_bad_key(struct hcv_agent *a, const char *key, int64_t rev,
		      const char *err)
{
	struct hcv_state *st = a->state;
	unsigned int i;

	pthread_mutex_lock(&st->lock);
	for (i = 0; i < HCV_STATE_BAD; i++)
		if (st->bad[i].rev == rev &&
		    !strncmp(st->bad[i].key, key, sizeof(st->bad[i].key) - 1))
			break;
	if (i == HCV_STATE_BAD) {
		snprintf(st->bad[st->next_bad].key, sizeof(st->bad[0].key),
			 "%s", key);
		st->bad[st->next_bad].rev = rev;
		st->next_bad = (st->next_bad + 1) % HCV_STATE_BAD;
	}
	pthread_mutex_unlock(&st->lock);
	if (i == HCV_STATE_BAD)
		hcv_event_emit(a, HCV_SEV_ERR, "metadata", NULL,
			       "key %s cannot be understood: %s", key, err);
}

/* What a snapshot is made of. */
struct hcv_state_base {
	struct hcv_kvs kvs;
	int64_t taken_ms;
	uint64_t read;
};

static enum hcv_meta_result hcv_state_list(struct hcv_agent *a,
					   struct hcv_state_base *b,
					   unsigned int deadline_ms)
{
	struct hcv_meta *m = hcv_agent_meta(a);
	struct hcv_state *st = a->state;

	if (!m)
		return HCV_META_UNREACHABLE;
	hcv_kvs_free(&b->kvs);
	b->taken_ms = hcv_now_ms();
	pthread_mutex_lock(&st->lock);
	b->read = ++st->reads;
	pthread_mutex_unlock(&st->lock);
	return hcv_meta_list(m, "", &b->kvs, deadline_ms);
}

static struct hcv_snap *hcv_state_build(struct hcv_agent *a,
					struct hcv_state_base *b)
{
	struct hcv_snap *s = hcv_snap_build(a, &b->kvs);

	if (s) {
		s->taken_ms = b->taken_ms;
		s->read = b->read;
	}
	return s;
}

enum hcv_meta_result hcv_state_read(struct hcv_agent *a, struct hcv_snap **out,
				    unsigned int deadline_ms)
{
	struct hcv_state_base b = { .read = 0 };
	enum hcv_meta_result res;

	*out = NULL;
	res = hcv_state_list(a, &b, deadline_ms);
	if (res != HCV_META_OK)
		return res;
	*out = hcv_state_build(a, &b);
	hcv_kvs_free(&b.kvs);
	return *out ? HCV_META_OK : HCV_META_UNREACHABLE;
}

static void hcv_state_deliver(struct hcv_agent *a, void *arg)
{
	struct hcv_state *st = a->state;
	struct hcv_snap *s;

	(void)arg;
	pthread_mutex_lock(&st->lock);
	st->delivering = false;
	s = hcv_snap_ref(st->cur);
	pthread_mutex_unlock(&st->lock);
	if (s)
		hcv_loop_snapshot(a, s);
	hcv_snap_put(s);
}

static void hcv_state_publish(struct hcv_agent *a, struct hcv_snap *s)
{
	struct hcv_state *st = a->state;
	struct hcv_snap *old;
	bool deliver;

	pthread_mutex_lock(&st->lock);
	old = st->cur;
	s->seq = ++st->seq;
	st->cur = s;
	deliver = !st->delivering;
	st->delivering = true;
	pthread_cond_broadcast(&st->cond);
	pthread_mutex_unlock(&st->lock);
	hcv_snap_put(old);
	if (deliver)
		hcv_agent_defer(a, hcv_state_deliver, NULL);
}

static void hcv_state_mark(struct hcv_agent *a, bool ok)
{
	struct hcv_state *st = a->state;
	const char *why = ok ? "" : hcv_meta_last_error();
	bool changed;

	pthread_mutex_lock(&st->lock);
	changed = st->reachable != ok;
	st->reachable = ok;
	if (changed)
		st->reach_since_ms = hcv_now_ms();
	snprintf(st->why, sizeof(st->why), "%s", why ? why : "");
	st->failed |= !ok;
	pthread_cond_broadcast(&st->cond);
	pthread_mutex_unlock(&st->lock);
	if (!changed)
		return;
	if (ok)
		hcv_event_emit(a, HCV_SEV_INFO, "metadata", NULL,
			       "the metadata store answers");
	else
		hcv_event_emit(a, HCV_SEV_WARN, "metadata", NULL,
			       "the metadata store cannot be read: %s",
			       why ? why : "");
}

/* Sleep up to @ms, or until a kick or the end; false at the end. */
static bool hcv_state_sleep(struct hcv_state *st, unsigned int ms,
			    bool until_kick)
{
	struct timespec ts;
	bool stop;
	int ret = 0;

	hcv_state_timespec(&ts, ms);
	pthread_mutex_lock(&st->lock);
	while (!st->stop && !(until_kick && st->kicked) && ret != ETIMEDOUT)
		ret = pthread_cond_timedwait(&st->cond, &st->lock, &ts);
	stop = st->stop;
	pthread_mutex_unlock(&st->lock);
	return !stop;
}

/* Return: somebody waits for a read, or it is the end; @kicked: or anything */
static bool hcv_state_take_kick(struct hcv_state *st, bool *kicked)
{
	bool fresh;

	pthread_mutex_lock(&st->lock);
	fresh = st->fresh || st->stop;
	*kicked = st->kicked || fresh;
	st->kicked = false;
	pthread_mutex_unlock(&st->lock);
	return fresh;
}

/* Who waits for a read from now on waits for another one. */
static void hcv_state_begin_read(struct hcv_state *st)
{
	pthread_mutex_lock(&st->lock);
	st->fresh = false;
	pthread_mutex_unlock(&st->lock);
}

static bool hcv_state_has_kick(struct hcv_state *st)
{
	bool kicked;

	pthread_mutex_lock(&st->lock);
	kicked = st->kicked || st->stop;
	pthread_mutex_unlock(&st->lock);
	return kicked;
}

/* Until it is time to read all of it again. */
static enum hcv_meta_result hcv_state_follow(struct hcv_agent *a,
					     struct hcv_state_base *b,
					     struct hcv_meta_follow *f)
{
	int64_t until = b->taken_ms + HCV_SNAP_MS, own = 0, now, end;
	struct hcv_meta *m = hcv_agent_meta(a);
	struct hcv_state *st = a->state;
	enum hcv_meta_result res;
	struct hcv_kvs changes;
	struct hcv_snap *s;
	bool kicked;

	for (;;) {
		now = hcv_now_ms();
		if (hcv_state_take_kick(st, &kicked))
			return HCV_META_CONFLICT;
		if (b->kvs.rev >= hcv_meta_wrote(m))
			own = 0;
		else if (kicked && !own)
			own = now + HCV_STATE_HINT_MS;
		end = own && own < until ? own : until;
		if (now >= end)
			return HCV_META_CONFLICT;
		memset(&changes, 0, sizeof(changes));
		res = hcv_meta_follow_next(f, &changes,
					   (unsigned int)(end - now));
		if (res == HCV_META_CONFLICT)
			continue;
		if (res != HCV_META_OK)
			return res;
		s = hcv_kvs_apply(&b->kvs, &changes) ? NULL :
		    hcv_state_build(a, b);
		hcv_kvs_free(&changes);
		if (!s)
			return HCV_META_CONFLICT;
		hcv_state_publish(a, s);
		if (!hcv_state_sleep(st, HCV_STATE_PACE_MS, false))
			return HCV_META_CONFLICT;
	}
}

/* Until there is something new that is not in @b. */
static enum hcv_meta_result hcv_state_watch(struct hcv_agent *a,
					    struct hcv_state_base *b)
{
	struct hcv_meta *m = hcv_agent_meta(a);
	struct hcv_meta_follow *f;
	enum hcv_meta_result res;
	int64_t rev = b->kvs.rev;

	f = hcv_meta_follow(m, "", rev);
	if (f) {
		res = hcv_state_follow(a, b, f);
		hcv_meta_follow_end(f);
		return res;
	}
	if (hcv_state_has_kick(a->state))
		return HCV_META_OK;
	return hcv_meta_watch(m, "", &rev, HCV_SNAP_MS);
}

static void *hcv_state_thread(void *arg)
{
	struct hcv_state_base base = { .read = 0 };
	struct hcv_agent *a = arg;
	struct hcv_state *st = a->state;
	unsigned int pause_ms = 0;
	struct hcv_snap *s;
	bool kicked;

	while (hcv_state_sleep(st, pause_ms, pause_ms > HCV_STATE_PACE_MS)) {
		hcv_state_take_kick(st, &kicked);
		pause_ms = HCV_STATE_RETRY_MS;
		if (!hcv_agent_meta(a))
			continue;
		hcv_state_begin_read(st);
		s = NULL;
		if (hcv_state_list(a, &base, HCV_META_MS) == HCV_META_OK)
			s = hcv_state_build(a, &base);
		hcv_state_mark(a, s);
		if (!s)
			continue;
		hcv_state_publish(a, s);
		pause_ms = HCV_STATE_PACE_MS;
		if (hcv_state_watch(a, &base) == HCV_META_UNREACHABLE)
			pause_ms = HCV_STATE_RETRY_MS;
	}
	hcv_kvs_free(&base.kvs);
	return NULL;
}

void hcv_state_kick(struct hcv_agent *a)
{
	struct hcv_state *st = a->state;
	struct hcv_meta *m = hcv_agent_meta(a);

	pthread_mutex_lock(&st->lock);
	st->kicked = true;
	pthread_cond_broadcast(&st->cond);
	pthread_mutex_unlock(&st->lock);
	if (m)
		hcv_meta_watch_cancel(m);
}

struct hcv_snap *hcv_snap_wait(struct hcv_agent *a, uint64_t after,
			       int64_t until_ms)
{
	struct hcv_state *st = a->state;
	struct hcv_snap *s = NULL;
	struct timespec ts;
	uint64_t read;

	hcv_state_timespec(&ts, until_ms > hcv_now_ms() ?
			   until_ms - hcv_now_ms() : 0);
	pthread_mutex_lock(&st->lock);
	read = st->reads + 1;
	st->fresh |= !after;
	pthread_mutex_unlock(&st->lock);
	if (!after)
		hcv_state_kick(a);
	pthread_mutex_lock(&st->lock);
	while (!st->stop) {
		if (st->cur && (after ? st->cur->seq > after :
				st->cur->read >= read)) {
			s = hcv_snap_ref(st->cur);
			break;
		}
		if (pthread_cond_timedwait(&st->cond, &st->lock, &ts) ==
		    ETIMEDOUT)
			break;
	}
	pthread_mutex_unlock(&st->lock);
	return s;
}

struct hcv_snap *hcv_state_first(struct hcv_agent *a, int64_t until_ms)
{
	struct hcv_state *st = a->state;
	struct timespec ts;
	struct hcv_snap *s;
	int ret = 0;

	hcv_state_timespec(&ts, until_ms > hcv_now_ms() ?
			   until_ms - hcv_now_ms() : 0);
	pthread_mutex_lock(&st->lock);
	while (!st->cur && !st->failed && !st->stop && ret != ETIMEDOUT)
		ret = pthread_cond_timedwait(&st->cond, &st->lock, &ts);
	s = hcv_snap_ref(st->cur);
	pthread_mutex_unlock(&st->lock);
	return s;
}

int hcv_state_start(struct hcv_agent *a)
{
	int ret = pthread_create(&a->state->thread, NULL, hcv_state_thread, a);

	a->state->started = !ret;
	return -ret;
}

void hcv_state_stop(struct hcv_agent *a)
{
	struct hcv_state *st = a->state;

	pthread_mutex_lock(&st->lock);
	st->stop = true;
	pthread_cond_broadcast(&st->cond);
	pthread_mutex_unlock(&st->lock);
	if (hcv_agent_meta(a))
		hcv_meta_watch_cancel(hcv_agent_meta(a));
}

void hcv_state_exit(struct hcv_agent *a)
{
	struct hcv_state *st = a->state;

	if (st->started)
		pthread_join(st->thread, NULL);
	hcv_snap_put(st->cur);
	pthread_cond_destroy(&st->cond);
	pthread_mutex_destroy(&st->lock);
	free(st);
	a->state = NULL;
}
