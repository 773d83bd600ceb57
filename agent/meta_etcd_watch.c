// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watches over etcd's JSON gateway: a reply without an end, of which each line
 * is a message.
 *
 * Every call opens a watch from the revision that it was given, so nothing is
 * missed between two calls, and ends it with the first change.  A silent watch
 * ends with the caller's time-out, and also when the member lost its leader.
 */
#include "meta_etcd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How long a watch that found no endpoint waits before it says so. */
#define UNREACHABLE_MS	200

enum watch_state {
	WATCH_OPENING,
	WATCH_QUIET,		/* open, nothing yet */
	WATCH_CHANGED,
	WATCH_FAILED,		/* hcv_meta_last_error() says why */
};

struct hcv_etcd_watcher {
	struct hcv_etcd *e;
	struct hcv_etcd_watcher *next;
	CURLM *multi;
	CURL *easy;
	struct hcv_etcd_buf in;
	enum watch_state state;
	int64_t rev;
};

static void watch_failed(struct hcv_etcd_watcher *w, const char *why)
{
	w->state = WATCH_FAILED;
	hcv_meta_fail(HCV_META_UNREACHABLE, "etcd's watch: %s", why);
}

/* Whether a key of ours is among the events; tokens are not the caller's. */
static bool has_key(const struct hcv_etcd *e, struct json_object *events)
{
	size_t skip = strlen(e->prefix);
	struct json_object *kv;
	bool found = false;
	char *key;
	size_t i;

	for (i = 0; i < json_object_array_length(events) && !found; i++) {
		kv = hcv_etcd_member(json_object_array_get_idx(events, i),
				     "kv");
		key = hcv_etcd_text(kv, "key");
		/* Without memory: better once too often. */
		found = !key || strlen(key) < skip ||
			strncmp(key + skip, HCV_ETCD_TOKENS,
				strlen(HCV_ETCD_TOKENS));
		free(key);
	}
	return found;
}

static void message(struct hcv_etcd_watcher *w, struct json_object *o)
{
	struct json_object *events = hcv_etcd_member(o, "events");
	int64_t compacted = hcv_etcd_num(o, "compact_revision");
	int64_t rev = hcv_etcd_revision(o);

	if (compacted) {
		/* What changed since then cannot be told any more. */
		w->rev = compacted > rev ? compacted : rev;
		w->state = WATCH_CHANGED;
	} else if (json_object_get_boolean(hcv_etcd_member(o, "canceled"))) {
		watch_failed(w, "ended by etcd");
	} else if (json_object_is_type(events, json_type_array) &&
		   has_key(w->e, events)) {
		w->rev = rev;
		w->state = WATCH_CHANGED;
	} else if (w->state == WATCH_OPENING) {
		w->state = WATCH_QUIET;
	}
}

static void line(struct hcv_etcd_watcher *w, const char *text)
{
	struct hcv_etcd_reply reply;

	if (hcv_etcd_reply_parse(text, &reply))
		watch_failed(w, "an answer that is not JSON");
	else if (reply.code)
		watch_failed(w, reply.msg);
	else
		message(w, reply.o);
	hcv_etcd_reply_free(&reply);
}

static size_t receive(char *data, size_t size, size_t nr, void *arg)
{
	struct hcv_etcd_watcher *w = arg;
	char *start, *end;

	if (hcv_etcd_buf_add(&w->in, data, size * nr))
		return 0;
	start = w->in.data;
	while (w->state <= WATCH_QUIET && (end = strchr(start, '\n'))) {
		*end = '\0';
		line(w, start);
		start = end + 1;
	}
	w->in.len -= (size_t)(start - w->in.data);
	memmove(w->in.data, start, w->in.len + 1);
	return size * nr;
}

static char *watch_body(struct hcv_etcd *e, const char *prefix, int64_t rev)
{
	char *body = NULL;
	size_t size;
	FILE *f = open_memstream(&body, &size);
	bool failed;

	if (f) {
		fputs("{\"create_request\":{", f);
		hcv_etcd_put_range(f, e, prefix, strlen(prefix), prefix);
		fprintf(f, ",\"start_revision\":\"%lld\"}}",
			(long long)rev + 1);
		failed = ferror(f);
		if (!fclose(f) && !failed)
			return body;
		free(body);
	}
	hcv_meta_fail(HCV_META_UNREACHABLE, "out of memory");
	return NULL;
}

static bool cancelled(struct hcv_etcd *e)
{
	bool cancel;

	pthread_mutex_lock(&e->lock);
	cancel = e->cancel;
	pthread_mutex_unlock(&e->lock);
	return cancel;
}

static void check_ended(struct hcv_etcd_watcher *w)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(w->multi, &left))) {
		if (msg->msg != CURLMSG_DONE || w->state > WATCH_QUIET)
			continue;
		/* An error comes as a line without an end. */
		if (w->in.len)
			line(w, w->in.data);
		if (w->state <= WATCH_QUIET)
			watch_failed(w, msg->data.result ?
				     curl_easy_strerror(msg->data.result) :
				     "ended by etcd");
	}
}

/* Until something is known, the time is over, or a cancel. */
static void follow(struct hcv_etcd_watcher *w, int64_t deadline)
{
	int64_t open_by = hcv_meta_now_ms() + HCV_ETCD_OPEN_MS;
	int64_t until, now;
	int running;

	for (;;) {
		if (curl_multi_perform(w->multi, &running)) {
			watch_failed(w, "out of memory");
			return;
		}
		check_ended(w);
		if (w->state > WATCH_QUIET || cancelled(w->e))
			return;
		now = hcv_meta_now_ms();
		until = deadline;
		if (w->state == WATCH_OPENING && open_by < until)
			until = open_by;
		if (now >= until)
			break;
		curl_multi_poll(w->multi, NULL, 0, (int)(until - now), NULL);
	}
	if (w->state == WATCH_OPENING && now < deadline)
		watch_failed(w, "no answer");
}

static void watch_one(struct hcv_etcd_watcher *w, const char *url,
		      const char *body, int64_t deadline)
{
	char full[512];

	snprintf(full, sizeof(full), "%s/v3/watch", url);
	w->state = WATCH_OPENING;
	w->in.len = 0;
	w->easy = curl_easy_init();
	if (!w->easy || hcv_etcd_easy_init(w->easy) ||
	    curl_easy_setopt(w->easy, CURLOPT_URL, full) ||
	    curl_easy_setopt(w->easy, CURLOPT_HTTPHEADER,
			     w->e->watch_headers) ||
	    curl_easy_setopt(w->easy, CURLOPT_POSTFIELDS, body) ||
	    curl_easy_setopt(w->easy, CURLOPT_WRITEFUNCTION, receive) ||
	    curl_easy_setopt(w->easy, CURLOPT_WRITEDATA, w) ||
	    curl_multi_add_handle(w->multi, w->easy)) {
		curl_easy_cleanup(w->easy);
		watch_failed(w, "out of memory");
		return;
	}
	follow(w, deadline);
	curl_multi_remove_handle(w->multi, w->easy);
	curl_easy_cleanup(w->easy);
}

/* All endpoints in turn, until one has let the watch wait. */
static void watch_any(struct hcv_etcd_watcher *w, const char *body,
		      int64_t deadline)
{
	struct hcv_etcd *e = w->e;
	int64_t wait_ms;
	size_t first, i;

	pthread_mutex_lock(&e->lock);
	first = e->good;
	pthread_mutex_unlock(&e->lock);
	for (i = 0; i < e->nr_url; i++) {
		watch_one(w, e->url[(first + i) % e->nr_url], body, deadline);
		if (w->state != WATCH_FAILED || cancelled(e))
			return;
	}
	/* The caller comes back at once: not too often. */
	wait_ms = deadline - hcv_meta_now_ms();
	if (wait_ms > UNREACHABLE_MS)
		wait_ms = UNREACHABLE_MS;
	if (wait_ms > 0)
		curl_multi_poll(w->multi, NULL, 0, (int)wait_ms, NULL);
}

static void watcher_add(struct hcv_etcd_watcher *w)
{
	pthread_mutex_lock(&w->e->lock);
	w->next = w->e->watchers;
	w->e->watchers = w;
	pthread_mutex_unlock(&w->e->lock);
}

/* Return: whether it was cancelled. */
static bool watcher_del(struct hcv_etcd_watcher *w)
{
	struct hcv_etcd_watcher **at;
	bool cancel;

	pthread_mutex_lock(&w->e->lock);
	for (at = &w->e->watchers; *at != w; at = &(*at)->next)
		;
	*at = w->next;
	cancel = w->e->cancel;
	/* A cancel ends all watches that run, or else the next one. */
	if (!w->e->watchers)
		w->e->cancel = false;
	pthread_mutex_unlock(&w->e->lock);
	return cancel;
}

enum hcv_meta_result hcv_etcd_watch(struct hcv_meta *meta, const char *prefix,
				    int64_t *rev, int64_t deadline)
{
	struct hcv_etcd *e = (struct hcv_etcd *)meta;
	struct hcv_etcd_watcher w = { .e = e, .rev = *rev };
	char *body = watch_body(e, prefix, *rev);
	bool cancel;

	if (!body)
		return HCV_META_UNREACHABLE;
	w.multi = curl_multi_init();
	if (!w.multi) {
		free(body);
		return hcv_meta_fail(HCV_META_UNREACHABLE, "out of memory");
	}
	watcher_add(&w);
	watch_any(&w, body, deadline);
	cancel = watcher_del(&w);
	curl_multi_cleanup(w.multi);
	free(w.in.data);
	free(body);
	if (w.state == WATCH_CHANGED) {
		*rev = w.rev;
		return HCV_META_OK;
	}
	return w.state == WATCH_FAILED && !cancel ? HCV_META_UNREACHABLE :
						    HCV_META_CONFLICT;
}

void hcv_etcd_watch_cancel(struct hcv_meta *meta)
{
	struct hcv_etcd *e = (struct hcv_etcd *)meta;
	struct hcv_etcd_watcher *w;

	pthread_mutex_lock(&e->lock);
	e->cancel = true;
	for (w = e->watchers; w; w = w->next)
		curl_multi_wakeup(w->multi);
	pthread_mutex_unlock(&e->lock);
}
