// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests to etcd's JSON gateway with libcurl.
 *
 * A call goes to the endpoint that answered last, and then to the others in
 * turn.  A member that is frozen or cut off from the rest accepts requests and
 * stays silent, so each try has little time; when all failed the next round
 * gets twice as much, so that a slow cluster is still heard.
 */
#include "meta_etcd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPLY_MAX (128U << 20)
#define PAUSE_MS 50

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
	struct hcv_etcd_conn *c = arg;

	return hcv_etcd_buf_add(&c->in, data, size * nr) ? 0 : size * nr;
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

static struct hcv_etcd_conn *conn_alloc(struct hcv_etcd *e)
{
	struct hcv_etcd_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->easy = curl_easy_init();
	if (c->easy && !hcv_etcd_easy_init(c->easy) &&
	    !curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, e->headers) &&
	    !curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, receive) &&
	    !curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c))
		return c;
	hcv_etcd_conn_free(c);
	return NULL;
}

void hcv_etcd_conn_free(struct hcv_etcd_conn *c)
{
	curl_easy_cleanup(c->easy);
	free(c->in.data);
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

static bool surely_not_sent(CURL *easy, CURLcode ret)
{
	long sent = 0;

	if (ret == CURLE_COULDNT_CONNECT || ret == CURLE_COULDNT_RESOLVE_HOST)
		return true;
	return ret == CURLE_OPERATION_TIMEDOUT &&
	       !curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent) && !sent;
}

/*
 * Whether libcurl may have sent the request twice by itself: it does when a
 * connection from before turns out to be dead.
 */
static bool resent(const struct hcv_etcd_conn *c, size_t endpoint)
{
	long connects = 0;

	curl_easy_getinfo(c->easy, CURLINFO_NUM_CONNECTS, &connects);
	return c->connected == endpoint + 1 && connects;
}

/* Return: whether @reply is one to go by. */
static bool try_one(struct hcv_etcd *e, struct hcv_etcd_conn *c, size_t at,
		    const char *path, const char *body, long ms,
		    struct hcv_etcd_reply *reply, bool *maybe)
{
	char url[512];
	CURLcode ret;

	c->in.len = 0;
	snprintf(url, sizeof(url), "%s%s", e->url[at], path);
	if (curl_easy_setopt(c->easy, CURLOPT_URL, url) ||
	    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE,
			     (curl_off_t)strlen(body)) ||
	    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, body) ||
	    curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, ms)) {
		hcv_meta_fail(HCV_META_UNREACHABLE, "out of memory");
		return false;
	}
	ret = curl_easy_perform(c->easy);
	*maybe |= resent(c, at);
	if (ret != CURLE_OK) {
		c->connected = 0;
		*maybe |= !surely_not_sent(c->easy, ret);
		hcv_meta_fail(HCV_META_UNREACHABLE, "etcd at %s: %s",
			      e->url[at], curl_easy_strerror(ret));
		return false;
	}
	c->connected = at + 1;
	if (hcv_etcd_reply_parse(c->in.len ? c->in.data : "", reply)) {
		*maybe = true;
		hcv_meta_fail(HCV_META_UNREACHABLE,
			      "%s does not answer like etcd 3.4 or newer",
			      e->url[at]);
		return false;
	}
	if (is_final(reply))
		return true;
	*maybe = true;
	hcv_meta_fail(HCV_META_UNREACHABLE, "etcd at %s: %s", e->url[at],
		      reply->msg);
	hcv_etcd_reply_free(reply);
	return false;
}

static void pause_until(int64_t ms, int64_t deadline)
{
	struct timespec ts;

	if (ms > deadline)
		ms = deadline;
	if (ms <= hcv_meta_now_ms())
		return;
	ts.tv_sec = ms / 1000;
	ts.tv_nsec = ms % 1000 * 1000000;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) ==
	       EINTR)
		;
}

static unsigned int doubled(unsigned int ms, unsigned int round)
{
	return ms << (round < 3 ? round : 3);
}

enum hcv_meta_result hcv_etcd_call(struct hcv_etcd *e, struct hcv_etcd_conn *c,
				   const char *path, const char *body,
				   int64_t deadline,
				   struct hcv_etcd_reply *reply, bool *maybe)
{
	int64_t left, started, try_ms;
	unsigned int round;
	size_t first, i, at;

	memset(reply, 0, sizeof(*reply));
	hcv_meta_fail(HCV_META_UNREACHABLE, "no time left to ask etcd");
	pthread_mutex_lock(&e->lock);
	first = e->good;
	pthread_mutex_unlock(&e->lock);
	for (round = 0;; round++) {
		started = hcv_meta_now_ms();
		try_ms = doubled(HCV_ETCD_TRY_MS, round);
		for (i = 0; i < e->nr_url; i++) {
			left = deadline - hcv_meta_now_ms();
			if (left <= 0)
				return HCV_META_UNREACHABLE;
			at = (first + i) % e->nr_url;
			if (try_one(e, c, at, path, body,
				    (long)(left < try_ms ? left : try_ms),
				    reply, maybe))
				goto answered;
		}
		/* When all refuse at once: not again without a break. */
		pause_until(started + doubled(PAUSE_MS, round), deadline);
	}

answered:
	pthread_mutex_lock(&e->lock);
	e->good = at;
	pthread_mutex_unlock(&e->lock);
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
