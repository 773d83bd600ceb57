// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests to etcd's JSON gateway with libcurl.
 *
 * A call goes to the endpoint that answered last.  A member that is frozen or
 * cut off, or one that has just lost the leader, accepts requests and stays
 * silent; so after a short while the next one is asked as well, and so on in
 * turn, without giving up those asked before: whoever answers first is taken.
 * What members forwarded to a leader that had died is lost, and only what is
 * asked anew after the election is done: hence the quick turns in the first
 * two rounds.  A slow cluster is not asked more because it is slow: the while
 * is twice what an answer takes of late, and grows with each further round.
 */
#include "meta_etcd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REPLY_MAX (128U << 20)
#define PAUSE_MS 50
#define HEDGE_MIN_MS 150
#define HEDGE_MAX_MS 1000
#define TRIES_MIN 4

static const char b64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int hcv_etcd_buf_add(struct hcv_etcd_buf *b, const void *data, size_t len)
{
	size_t room = b->room ? b->room : 4096;
	char *grown;

	if (len > REPLY_MAX - b->len)
		return -EFBIG;
	while (room < b->len + len + 1)
		room *= 2;
	if (room != b->room) {
		grown = realloc(b->data, room);
		if (!grown)
			return -ENOMEM;
		b->data = grown;
		b->room = room;
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return 0;
}

static size_t receive(char *data, size_t size, size_t nr, void *arg)
{
	struct hcv_etcd_try *t = arg;

	return hcv_etcd_buf_add(&t->in, data, size * nr) ? 0 : size * nr;
}

int hcv_etcd_easy_init(CURL *easy)
{
	/*
	 * Never through a proxy that the environment names for other ends,
	 * and without waiting for a name server when the time is over.
	 */
	if (curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) ||
	    curl_easy_setopt(easy, CURLOPT_PROXY, "") ||
	    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) ||
	    curl_easy_setopt(easy, CURLOPT_POST, 1L) ||
	    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) ||
	    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
			     (long)CURL_HTTP_VERSION_1_1) ||
	    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https"))
		return -ENOMEM;
	return 0;
}

static int try_init(struct hcv_etcd *e, struct hcv_etcd_try *t)
{
	t->easy = curl_easy_init();
	if (!t->easy || hcv_etcd_easy_init(t->easy) ||
	    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, e->headers) ||
	    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, receive) ||
	    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t) ||
	    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t))
		return -ENOMEM;
	return 0;
}

static struct hcv_etcd_conn *conn_alloc(struct hcv_etcd *e)
{
	struct hcv_etcd_conn *c = calloc(1, sizeof(*c));
	size_t i, nr = 2 * e->nr_url;

	if (!c)
		return NULL;
	if (nr < TRIES_MIN)
		nr = TRIES_MIN;
	c->multi = curl_multi_init();
	c->end = calloc(e->nr_url, sizeof(*c->end));
	c->try = calloc(nr, sizeof(*c->try));
	if (!c->multi || !c->end || !c->try)
		goto err;
	for (i = 0; i < nr; i++) {
		c->nr_tries++;
		if (try_init(e, &c->try[i]))
			goto err;
	}
	return c;
err:
	hcv_etcd_conn_free(c);
	return NULL;
}

void hcv_etcd_conn_free(struct hcv_etcd_conn *c)
{
	size_t i;

	for (i = 0; i < c->nr_tries; i++) {
		curl_easy_cleanup(c->try[i].easy);
		free(c->try[i].in.data);
	}
	curl_multi_cleanup(c->multi);
	free(c->end);
	free(c->try);
	free(c);
}

struct hcv_etcd_conn *hcv_etcd_conn_get(struct hcv_etcd *e)
{
	struct hcv_etcd_conn *c;

	pthread_mutex_lock(&e->lock);
	c = e->idle;
	if (c)
		e->idle = c->next;
	pthread_mutex_unlock(&e->lock);
	if (!c)
		c = conn_alloc(e);
	if (!c)
		hcv_meta_fail(HCV_META_UNREACHABLE, "out of memory");
	return c;
}

void hcv_etcd_conn_put(struct hcv_etcd *e, struct hcv_etcd_conn *c)
{
	pthread_mutex_lock(&e->lock);
	c->next = e->idle;
	e->idle = c;
	pthread_mutex_unlock(&e->lock);
}

struct json_object *hcv_etcd_member(struct json_object *o, const char *name)
{
	struct json_object *member;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, name, &member))
		return NULL;
	return member;
}

int64_t hcv_etcd_num(struct json_object *o, const char *name)
{
	struct json_object *n = hcv_etcd_member(o, name);

	/* json-c reads numbers from strings, too. */
	return n ? json_object_get_int64(n) : 0;
}

int64_t hcv_etcd_revision(struct json_object *o)
{
	return hcv_etcd_num(hcv_etcd_member(o, "header"), "revision");
}

static void reply_error(struct hcv_etcd_reply *reply, int code,
			struct json_object *msg)
{
	reply->code = code;
	snprintf(reply->msg, sizeof(reply->msg), "%s",
		 msg ? json_object_get_string(msg) : "an error without text");
}

int hcv_etcd_reply_parse(const char *text, struct hcv_etcd_reply *reply)
{
	struct json_object *o = json_tokener_parse(text);
	struct json_object *error, *result;

	memset(reply, 0, sizeof(*reply));
	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		return -EINVAL;
	}
	error = hcv_etcd_member(o, "error");
	result = hcv_etcd_member(o, "result");
	if (error && json_object_is_type(error, json_type_object)) {
		/* On streams. */
		reply_error(reply, (int)hcv_etcd_num(error, "grpc_code"),
			    hcv_etcd_member(error, "message"));
	} else if (error) {
		reply_error(reply, (int)hcv_etcd_num(o, "code"), error);
	} else {
		reply->o = json_object_get(result ? result : o);
	}
	/* An error whose code was left out is one nevertheless. */
	if (error && !reply->code)
		reply->code = 2;
	json_object_put(o);
	return 0;
}

void hcv_etcd_reply_free(struct hcv_etcd_reply *reply)
{
	json_object_put(reply->o);
	reply->o = NULL;
}

static bool starts_with(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

/* An error that another try, or another member, cannot make go away. */
static bool is_final(const struct hcv_etcd_reply *reply)
{
	switch (reply->code) {
	case HCV_ETCD_OK:
	case HCV_ETCD_NOT_FOUND:
	case HCV_ETCD_PRECONDITION:
	case HCV_ETCD_OUT_OF_RANGE:
	case 3:			/* invalid argument */
	case 7:			/* permission denied */
	case 12:		/* not implemented */
	case 16:		/* not authenticated */
		return true;
	case HCV_ETCD_EXHAUSTED:
		return !starts_with(reply->msg,
				    "etcdserver: too many requests");
	default:
		return false;
	}
}

/* One request under way at perhaps several endpoints. */
struct call {
	struct hcv_etcd *e;
	struct hcv_etcd_conn *c;
	const char *path;
	const char *body;
	struct hcv_etcd_reply *reply;
	bool *maybe;
	int64_t hedge_ms;
	size_t first;			/* endpoint */
	unsigned int sent;		/* tries so far */
	int64_t next_ms;		/* of the next try */
	struct hcv_etcd_try *answer;
};

/* A whole round of endpoints, and then another, before it gets slower. */
static int64_t slower(const struct call *k, int64_t ms)
{
	unsigned int round = k->sent / k->e->nr_url;

	return ms << (round < 2 ? 0 : round < 5 ? round - 1 : 4);
}

/* End a try; a connection that had no answer goes with it. */
static void try_end(struct call *k, struct hcv_etcd_try *t)
{
	curl_multi_remove_handle(k->c->multi, t->easy);
	t->running = false;
	k->c->end[t->at].running--;
}

/* Nobody waits for it any more; what was sent may still be done. */
static void try_abort(struct call *k, struct hcv_etcd_try *t)
{
	long sent = 0;

	if (curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent) || sent)
		*k->maybe = true;
	try_end(k, t);
}

static struct hcv_etcd_try *try_slot(struct call *k)
{
	struct hcv_etcd_try *oldest = k->c->try;
	size_t i;

	for (i = 0; i < k->c->nr_tries; i++) {
		if (!k->c->try[i].running)
			return &k->c->try[i];
		if (k->c->try[i].started < oldest->started)
			oldest = &k->c->try[i];
	}
	try_abort(k, oldest);
	return oldest;
}

static size_t next_endpoint(const struct call *k)
{
	return (k->first + k->sent) % k->e->nr_url;
}

static void try_start(struct call *k)
{
	struct hcv_etcd_try *t = try_slot(k);
	struct hcv_etcd_end *end;
	char url[512];

	t->at = next_endpoint(k);
	t->in.len = 0;
	t->started = hcv_meta_now_ms();
	end = &k->c->end[t->at];
	end->asked_ms = t->started;
	k->sent++;
	k->next_ms = t->started + slower(k, k->hedge_ms);
	snprintf(url, sizeof(url), "%s%s", k->e->url[t->at], k->path);
	if (curl_easy_setopt(t->easy, CURLOPT_URL, url) ||
	    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE,
			     (curl_off_t)strlen(k->body)) ||
	    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, k->body) ||
	    curl_multi_add_handle(k->c->multi, t->easy)) {
		hcv_meta_fail(HCV_META_UNREACHABLE, "out of memory");
		return;
	}
	t->reuse = end->idle;
	if (end->idle)
		end->idle--;
	end->running++;
	t->running = true;
}

/*
 * A try has failed: the next endpoint now, but none without a break, so that
 * members that refuse at once are not asked in a busy loop.
 */
static void try_next_soon(struct call *k)
{
	const struct hcv_etcd_end *end = &k->c->end[next_endpoint(k)];
	int64_t soon = hcv_meta_now_ms();
	int64_t pause = slower(k, end->running ? k->hedge_ms : PAUSE_MS);

	if (k->sent >= k->e->nr_url && soon < end->asked_ms + pause)
		soon = end->asked_ms + pause;
	if (soon < k->next_ms)
		k->next_ms = soon;
}

/* Return: whether the try brought a reply to go by. */
static bool try_result(struct call *k, struct hcv_etcd_try *t, CURLcode ret)
{
	const char *url = k->e->url[t->at];
	long sent = 0, connects = 0;

	curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent);
	curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
	/*
	 * libcurl sends a request again by itself when a connection from
	 * before turns out to be dead.
	 */
	*k->maybe |= t->reuse && connects;
	if (ret != CURLE_OK) {
		*k->maybe |= ret != CURLE_COULDNT_CONNECT &&
			     ret != CURLE_COULDNT_RESOLVE_HOST && sent;
		hcv_meta_fail(HCV_META_UNREACHABLE, "etcd at %s: %s", url,
			      curl_easy_strerror(ret));
		return false;
	}
	k->c->end[t->at].idle++;
	if (hcv_etcd_reply_parse(t->in.len ? t->in.data : "", k->reply)) {
		*k->maybe = true;
		hcv_meta_fail(HCV_META_UNREACHABLE,
			      "%s does not answer like etcd 3.4 or newer", url);
		return false;
	}
	if (is_final(k->reply))
		return true;
	*k->maybe = true;
	hcv_meta_fail(HCV_META_UNREACHABLE, "etcd at %s: %s", url,
		      k->reply->msg);
	hcv_etcd_reply_free(k->reply);
	return false;
}

/* Take in what has ended. */
static void call_collect(struct call *k)
{
	struct hcv_etcd_try *t;
	CURLcode ret;
	CURLMsg *msg;
	char *priv;
	int left;

	while (!k->answer && (msg = curl_multi_info_read(k->c->multi, &left))) {
		if (msg->msg != CURLMSG_DONE ||
		    curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE,
				      &priv))
			continue;
		t = (struct hcv_etcd_try *)priv;
		ret = msg->data.result;
		try_end(k, t);
		if (try_result(k, t, ret))
			k->answer = t;
		else
			try_next_soon(k);
	}
}

static void call_run(struct call *k, int64_t deadline)
{
	int64_t now = hcv_meta_now_ms(), until;
	int running;

	k->next_ms = now;
	while (now < deadline) {
		if (now >= k->next_ms)
			try_start(k);
		if (curl_multi_perform(k->c->multi, &running)) {
			hcv_meta_fail(HCV_META_UNREACHABLE, "out of memory");
			return;
		}
		call_collect(k);
		if (k->answer)
			return;
		now = hcv_meta_now_ms();
		until = k->next_ms < deadline ? k->next_ms : deadline;
		if (until > now)
			curl_multi_poll(k->c->multi, NULL, 0,
					(int)(until - now), NULL);
		now = hcv_meta_now_ms();
	}
}

/* Remember who answered, and what an answer takes. */
static void call_learn(const struct call *k)
{
	int64_t took = hcv_meta_now_ms() - k->answer->started;
	struct hcv_etcd *e = k->e;

	pthread_mutex_lock(&e->lock);
	e->good = k->answer->at;
	e->answer_us += (took * 1000 - e->answer_us) / 8;
	pthread_mutex_unlock(&e->lock);
}

enum hcv_meta_result hcv_etcd_call(struct hcv_etcd *e, struct hcv_etcd_conn *c,
				   const char *path, const char *body,
				   int64_t deadline,
				   struct hcv_etcd_reply *reply, bool *maybe)
{
	struct call k = {
		.e = e, .c = c, .path = path, .body = body, .reply = reply,
		.maybe = maybe,
	};
	size_t i;

	memset(reply, 0, sizeof(*reply));
	for (i = 0; i < e->nr_url; i++)
		c->end[i].asked_ms = 0;
	hcv_meta_fail(HCV_META_UNREACHABLE, "no time left to ask etcd");
	pthread_mutex_lock(&e->lock);
	k.first = e->good;
	k.hedge_ms = 2 * e->answer_us / 1000;
	pthread_mutex_unlock(&e->lock);
	if (k.hedge_ms < HEDGE_MIN_MS)
		k.hedge_ms = HEDGE_MIN_MS;
	if (k.hedge_ms > HEDGE_MAX_MS)
		k.hedge_ms = HEDGE_MAX_MS;
	call_run(&k, deadline);
	for (i = 0; i < c->nr_tries; i++)
		if (c->try[i].running)
			try_abort(&k, &c->try[i]);
	if (!k.answer)
		return HCV_META_UNREACHABLE;
	call_learn(&k);
	return HCV_META_OK;
}

/* The @i-th byte of @a and @b put together. */
static unsigned int byte_of(const char *a, size_t len_a, const char *b,
			    size_t i)
{
	return (unsigned char)(i < len_a ? a[i] : b[i - len_a]);
}

void hcv_etcd_put_b64(FILE *f, const char *a, const char *b, size_t len_b)
{
	size_t len_a = strlen(a);
	size_t len = len_a + len_b;
	unsigned int three;
	size_t i, k;

	for (i = 0; i < len; i += 3) {
		three = 0;
		for (k = 0; k < 3; k++) {
			three <<= 8;
			if (i + k < len)
				three |= byte_of(a, len_a, b, i + k);
		}
		putc(b64_digits[three >> 18], f);
		putc(b64_digits[three >> 12 & 63], f);
		putc(i + 1 < len ? b64_digits[three >> 6 & 63] : '=', f);
		putc(i + 2 < len ? b64_digits[three & 63] : '=', f);
	}
}

void hcv_etcd_put_range(FILE *f, const struct hcv_etcd *e, const char *from,
			size_t from_len, const char *prefix)
{
	char end[2 * HCV_META_KEY_MAX];
	size_t len;

	/* One past the prefix: keys are ASCII, so this never wraps. */
	len = (size_t)snprintf(end, sizeof(end), "%s%s", e->prefix, prefix);
	end[len - 1]++;
	fputs("\"key\":\"", f);
	hcv_etcd_put_b64(f, e->prefix, from, from_len);
	fputs("\",\"range_end\":\"", f);
	hcv_etcd_put_b64(f, "", end, len);
	fputs("\"", f);
}

static int b64_value(char c)
{
	const char *at = c ? strchr(b64_digits, c) : NULL;

	return at ? (int)(at - b64_digits) : -1;
}

char *hcv_etcd_text(struct json_object *o, const char *name)
{
	struct json_object *member = hcv_etcd_member(o, name);
	const char *in = member ? json_object_get_string(member) : "";
	size_t len = strlen(in);
	char *out = malloc(len / 4 * 3 + 4);
	unsigned int bits = 0;
	size_t i, n = 0;
	int value;

	if (!out)
		return NULL;
	for (i = 0; i < len && in[i] != '='; i++) {
		value = b64_value(in[i]);
		if (value < 0)
			break;
		bits = bits << 6 | (unsigned int)value;
		if (i % 4)
			out[n++] = (char)(bits >> (6 - i % 4 * 2));
	}
	out[n] = '\0';
	return out;
}
