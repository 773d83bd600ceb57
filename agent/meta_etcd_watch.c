// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watches over etcd's JSON gateway: a reply without an end, of which each line
 * is a message.
 *
 * A watch begins behind the revision that it was given, and etcd tells what
 * changed from there on in order, whole revisions at a time, or ends it.  It also
 * ends when the member lost its leader.  hcv_etcd_watch() is one of which only
 * the first change is wanted.
 */
#include "meta_etcd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How long a watch that found no endpoint waits before it says so. */
#define UNREACHABLE_MS	200

enum watch_state {
	WATCH_CLOSED,
	WATCH_OPENING,
	WATCH_OPEN,
	WATCH_FAILED,		/* @why */
};

/*
 * struct hcv_etcd_watcher - a watch; in the hands of one thread at a time
 * @kvs: what changed and was not fetched yet, up to @rev
 * @news: keys of the caller's are among it, or @compacted is set
 * @compacted: what changed since @rev cannot be told any more
 */
struct hcv_etcd_watcher {
	struct hcv_meta_follow follow;
	struct hcv_etcd *e;
	struct hcv_etcd_watcher *next;
	CURLM *multi;
	CURL *easy;
	char *prefix;
	struct hcv_etcd_buf in;
	enum watch_state state;
	char why[128];
	struct hcv_kvs kvs;
	int64_t rev;
	int64_t compacted;
	bool news;
};

static void watch_failed(struct hcv_etcd_watcher *w, const char *why)
{
	w->state = WATCH_FAILED;
	snprintf(w->why, sizeof(w->why), "%s", why);
}

/* One change; tokens are not the caller's. */
static bool take_event(struct hcv_etcd_watcher *w, struct json_object *event)
{
	struct json_object *kv = hcv_etcd_member(event, "kv"), *type;
	size_t skip = strlen(w->e->prefix);
	char *key = hcv_etcd_text(kv, "key");
	char *value = hcv_etcd_text(kv, "value");
	int64_t rev = hcv_etcd_num(kv, "mod_revision");
	bool ok = key && value, gone;

	type = hcv_etcd_member(event, "type");
	gone = type && !strcmp(json_object_get_string(type), "DELETE");
	if (!ok) {
		watch_failed(w, "out of memory");
	} else if (strncmp(key, w->e->prefix, skip) || rev <= w->rev) {
		watch_failed(w, "a change that was not asked for");
		ok = false;
	} else if (strncmp(key + skip, HCV_ETCD_TOKENS,
			   strlen(HCV_ETCD_TOKENS))) {
		ok = !hcv_kvs_add(&w->kvs, key + skip, gone ? NULL : value,
				  rev);
		if (!ok)
			watch_failed(w, "out of memory");
		w->news = true;
	}
	if (ok && rev > w->kvs.rev)
		w->kvs.rev = rev;
	free(key);
	free(value);
	return ok;
}

/* Whole revisions: several changes may have the same one. */
static void take_events(struct hcv_etcd_watcher *w, struct json_object *events)
{
	size_t i;

	for (i = 0; i < json_object_array_length(events); i++)
		if (!take_event(w, json_object_array_get_idx(events, i)))
			return;
	if (w->kvs.rev > w->rev)
		w->rev = w->kvs.rev;
}

static void message(struct hcv_etcd_watcher *w, struct json_object *o)
{
	struct json_object *events = hcv_etcd_member(o, "events");
	int64_t compacted = hcv_etcd_num(o, "compact_revision");
	int64_t rev = hcv_etcd_revision(o);

	if (compacted) {
		w->compacted = compacted > rev ? compacted : rev;
		w->news = true;
		watch_failed(w, "what changed was compacted away");
	} else if (json_object_get_boolean(hcv_etcd_member(o, "canceled"))) {
		watch_failed(w, "ended by etcd");
	} else {
		w->state = WATCH_OPEN;
		if (json_object_is_type(events, json_type_array))
			take_events(w, events);
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
	while (w->state != WATCH_FAILED && (end = strchr(start, '\n'))) {
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
		if (msg->msg != CURLMSG_DONE || w->state == WATCH_FAILED)
			continue;
		/* An error comes as a line without an end. */
		if (w->in.len)
			line(w, w->in.data);
		if (w->state != WATCH_FAILED)
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
		if (w->state == WATCH_FAILED || w->news || cancelled(w->e))
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

static void watch_close(struct hcv_etcd_watcher *w)
{
	if (w->easy) {
		curl_multi_remove_handle(w->multi, w->easy);
		curl_easy_cleanup(w->easy);
		w->easy = NULL;
	}
	w->in.len = 0;
	if (w->state != WATCH_FAILED)
		w->state = WATCH_CLOSED;
}

static void watch_open(struct hcv_etcd_watcher *w, const char *url)
{
	char *body = watch_body(w->e, w->prefix, w->rev);
	char full[512];

	snprintf(full, sizeof(full), "%s/v3/watch", url);
	w->state = WATCH_OPENING;
	w->easy = body ? curl_easy_init() : NULL;
	if (!w->easy || hcv_etcd_easy_init(w->easy) ||
	    curl_easy_setopt(w->easy, CURLOPT_URL, full) ||
	    curl_easy_setopt(w->easy, CURLOPT_HTTPHEADER,
			     w->e->watch_headers) ||
	    curl_easy_setopt(w->easy, CURLOPT_COPYPOSTFIELDS, body) ||
	    curl_easy_setopt(w->easy, CURLOPT_WRITEFUNCTION, receive) ||
	    curl_easy_setopt(w->easy, CURLOPT_WRITEDATA, w) ||
	    curl_multi_add_handle(w->multi, w->easy)) {
		curl_easy_cleanup(w->easy);
		w->easy = NULL;
		watch_failed(w, "out of memory");
	}
	free(body);
}

/* All endpoints in turn, until one has let the watch wait. */
static void watch_any(struct hcv_etcd_watcher *w, int64_t deadline)
{
	struct hcv_etcd *e = w->e;
	int64_t wait_ms;
	size_t first, i;

	pthread_mutex_lock(&e->lock);
	first = e->good;
	pthread_mutex_unlock(&e->lock);
	for (i = 0; i < e->nr_url; i++) {
		watch_open(w, e->url[(first + i) % e->nr_url]);
		if (w->state == WATCH_OPENING)
			follow(w, deadline);
		if (w->state != WATCH_FAILED || w->news || cancelled(e))
			return;
		watch_close(w);
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

struct hcv_meta_follow *hcv_etcd_follow(struct hcv_meta *meta,
					const char *prefix, int64_t rev)
{
	struct hcv_etcd_watcher *w = calloc(1, sizeof(*w));

	if (!w)
		goto err;
	w->follow.meta = meta;
	w->e = (struct hcv_etcd *)meta;
	w->rev = rev;
	w->kvs.rev = rev;
	w->prefix = strdup(prefix);
	w->multi = curl_multi_init();
	if (w->prefix && w->multi)
		return &w->follow;
	hcv_etcd_follow_end(&w->follow);
err:
	hcv_meta_fail(HCV_META_UNREACHABLE, "out of memory");
	return NULL;
}

enum hcv_meta_result hcv_etcd_follow_next(struct hcv_meta_follow *follow_of,
					  struct hcv_kvs *kvs,
					  int64_t deadline)
{
	struct hcv_etcd_watcher *w = (struct hcv_etcd_watcher *)follow_of;
	bool cancel;

	watcher_add(w);
	if (w->state == WATCH_CLOSED)
		watch_any(w, deadline);
	else if (w->state != WATCH_FAILED)
		follow(w, deadline);
	cancel = watcher_del(w);
	if (w->news && !w->compacted) {
		*kvs = w->kvs;
		w->kvs = (struct hcv_kvs){ .rev = w->rev };
		w->news = false;
		return HCV_META_OK;
	}
	if (w->compacted)
		return hcv_meta_fail(HCV_META_INVALID, "etcd's watch: %s",
				     w->why);
	if (w->state == WATCH_FAILED && !cancel)
		return hcv_meta_fail(HCV_META_UNREACHABLE, "etcd's watch: %s",
				     w->why);
	return HCV_META_CONFLICT;
}

void hcv_etcd_follow_end(struct hcv_meta_follow *follow_of)
{
	struct hcv_etcd_watcher *w = (struct hcv_etcd_watcher *)follow_of;

	watch_close(w);
	if (w->multi)
		curl_multi_cleanup(w->multi);
	hcv_kvs_free(&w->kvs);
	free(w->in.data);
	free(w->prefix);
	free(w);
}

enum hcv_meta_result hcv_etcd_watch(struct hcv_meta *meta, const char *prefix,
				    int64_t *rev, int64_t deadline)
{
	struct hcv_meta_follow *f = hcv_etcd_follow(meta, prefix, *rev);
	struct hcv_etcd_watcher *w = (struct hcv_etcd_watcher *)f;
	struct hcv_kvs kvs = { 0 };
	enum hcv_meta_result res;

	if (!f)
		return HCV_META_UNREACHABLE;
	res = hcv_etcd_follow_next(f, &kvs, deadline);
	if (res == HCV_META_OK) {
		*rev = kvs.rev;
	} else if (res == HCV_META_INVALID) {
		*rev = w->compacted;
		res = HCV_META_OK;
	}
	hcv_kvs_free(&kvs);
	hcv_etcd_follow_end(f);
	return res;
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
