// SPDX-License-Identifier: GPL-2.0-only
/*
 * The metadata store of a cluster: etcd v3 over its JSON gateway.
 *
 * How a time-out of a transaction is settled
 *
 * A request without an answer may have been done, may be done later, or never.
 * So every transaction also compares that a token, a key of its own, does not
 * exist, and puts it: however often the request is sent or arrives, it is done
 * at most once, and a reply that fails but finds the token means "done".  When
 * a compare failed and an earlier try had no answer, settle() puts the token
 * itself, as a fence: if that succeeds the earlier try can never be done.
 *
 * Tokens hang on a lease of this process, which is renewed along with the
 * node's own, so that a transaction that guests wait for finds it valid.  The
 * next transaction of the same connection deletes the token of the one before.
 * Only after a try without an answer it stays.  When many stayed, the lease is
 * given up for another: with its end they go, but late copies of the requests
 * name that lease too, and etcd refuses to do them without.
 */
#include "meta_etcd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/model.h"

#define PAGE_KEYS	64
#define TOKEN_TTL_S	60
#define TOKEN_RENEW_MS	15000	/* in the background */
#define TOKEN_OLD_MS	40000	/* before it is used */
#define TOKEN_ORPHANS	64
#define TOKEN_DONE	"done"
#define TOKEN_FENCE	"fence"

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static bool curl_ready;

static void init_curl(void)
{
	curl_ready = !curl_global_init(CURL_GLOBAL_DEFAULT);
}

static struct hcv_etcd *to_etcd(struct hcv_meta *m)
{
	return (struct hcv_etcd *)m;
}

static enum hcv_meta_result no_memory(void)
{
	return hcv_meta_fail(HCV_META_UNREACHABLE, "out of memory");
}

static void etcd_close(struct hcv_meta *m)
{
	struct hcv_etcd *e = to_etcd(m);
	struct hcv_etcd_conn *c;
	size_t i;

	while ((c = e->idle)) {
		e->idle = c->next;
		hcv_etcd_conn_free(c);
	}
	for (i = 0; i < e->nr_url; i++)
		free(e->url[i]);
	free(e->url);
	free(e->prefix);
	curl_slist_free_all(e->headers);
	curl_slist_free_all(e->watch_headers);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

static bool url_ok(const char *url, size_t len)
{
	size_t i;

	if (len > 256)
		return false;
	for (i = 0; i < len; i++)
		if (url[i] <= ' ' || url[i] > '~')
			return false;
	return (len > 7 && !strncmp(url, "http://", 7)) ||
	       (len > 8 && !strncmp(url, "https://", 8));
}

/* "URL,URL..." */
static bool add_urls(struct hcv_etcd *e, const char *list)
{
	char **grown;
	size_t len;

	for (;; list += len + 1) {
		len = strcspn(list, ",");
		if (!url_ok(list, len)) {
			hcv_meta_fail(HCV_META_INVALID,
				      "\"%.*s\" is not a URL of etcd such as http://10.0.0.1:2379",
				      (int)len, list);
			return false;
		}
		grown = realloc(e->url, (e->nr_url + 1) * sizeof(*grown));
		if (!grown)
			break;
		e->url = grown;
		e->url[e->nr_url] = strndup(list, len);
		if (!e->url[e->nr_url])
			break;
		while (len && e->url[e->nr_url][len - 1] == '/')
			e->url[e->nr_url][--len] = '\0';
		e->nr_url++;
		len = strcspn(list, ",");
		if (!list[len])
			return true;
	}
	no_memory();
	return false;
}

static bool add_header(struct curl_slist **list, const char *header)
{
	struct curl_slist *longer = curl_slist_append(*list, header);

	if (longer)
		*list = longer;
	else
		no_memory();
	return longer;
}

static bool set_prefix(struct hcv_etcd *e, const char *name, size_t len)
{
	char copy[HCV_NAME_LEN] = "";

	if (len < sizeof(copy))
		memcpy(copy, name, len);
	if (!hcv_model_name_ok(copy)) {
		hcv_meta_fail(HCV_META_INVALID,
			      "\"%.*s\" is not a valid name of a cluster",
			      (int)len, name);
		return false;
	}
	e->prefix = malloc(len + sizeof("/hcivol//"));
	if (!e->prefix) {
		no_memory();
		return false;
	}
	sprintf(e->prefix, "/hcivol/%s/", copy);
	return true;
}

static struct hcv_meta *etcd_open(const char *arg, char **err)
{
	size_t name_len = strcspn(arg, ":");
	struct hcv_etcd *e = NULL;

	pthread_once(&curl_once, init_curl);
	if (!arg[name_len]) {
		hcv_meta_fail(HCV_META_INVALID,
			      "\"etcd:%s\" is not of the form etcd:NAME:URL,URL...",
			      arg);
		goto err;
	}
	if (curl_ready)
		e = calloc(1, sizeof(*e));
	if (!e) {
		no_memory();
		goto err;
	}
	e->meta.ops = &hcv_meta_etcd_ops;
	pthread_mutex_init(&e->lock, NULL);
	e->id = hcv_meta_random();
	if (set_prefix(e, arg, name_len) && add_urls(e, arg + name_len + 1) &&
	    add_header(&e->headers, "Content-Type: application/json") &&
	    add_header(&e->headers, "Expect:") &&
	    add_header(&e->watch_headers, "Content-Type: application/json") &&
	    /* Ends when the member has lost its leader. */
	    add_header(&e->watch_headers, "Grpc-Metadata-hasleader: true"))
		return &e->meta;
err:
	*err = hcv_meta_strdup_error();
	if (e)
		etcd_close(&e->meta);
	return NULL;
}

/* The end of a body written with open_memstream(). */
static char *finish_body(FILE *f, char **body)
{
	bool failed = ferror(f);

	if (!fclose(f) && !failed)
		return *body;
	free(*body);
	no_memory();
	return NULL;
}

static enum hcv_meta_result fail_reply(const struct hcv_etcd_reply *reply)
{
	if (reply->code == HCV_ETCD_EXHAUSTED)
		return hcv_meta_fail(HCV_META_UNREACHABLE,
				     "etcd refuses to store more (%s): see \"etcdctl alarm list\", compact and defragment it",
				     reply->msg);
	return hcv_meta_fail(HCV_META_UNREACHABLE, "etcd: %s", reply->msg);
}

/* @rev_at: 0 for the newest. */
static char *range_body(const struct hcv_etcd *e, const char *from,
			size_t from_len, const char *prefix,
			unsigned int limit, int64_t rev_at)
{
	char *body = NULL;
	size_t size;
	FILE *f = open_memstream(&body, &size);

	if (!f) {
		no_memory();
		return NULL;
	}
	fputs("{", f);
	if (prefix) {
		hcv_etcd_put_range(f, e, from, from_len, prefix);
		fprintf(f, ",\"limit\":\"%u\"", limit);
	} else {
		fputs("\"key\":\"", f);
		hcv_etcd_put_b64(f, e->prefix, from, from_len);
		fputs("\"", f);
	}
	if (rev_at)
		fprintf(f, ",\"revision\":\"%lld\"", (long long)rev_at);
	fputs("}", f);
	return finish_body(f, &body);
}

static enum hcv_meta_result ask_range(struct hcv_etcd *e, char *body,
				      int64_t deadline,
				      struct hcv_etcd_reply *reply)
{
	enum hcv_meta_result res = HCV_META_UNREACHABLE;
	struct hcv_etcd_conn *c;
	bool maybe = false;

	if (!body)
		return res;
	c = hcv_etcd_conn_get(e);
	if (c) {
		res = hcv_etcd_call(e, c, "/v3/kv/range", body, deadline,
				    reply, &maybe);
		hcv_etcd_conn_put(e, c);
	}
	free(body);
	return res;
}

static enum hcv_meta_result etcd_get(struct hcv_meta *m, const char *key,
				     struct hcv_kv *kv, int64_t deadline)
{
	struct hcv_etcd *e = to_etcd(m);
	struct hcv_etcd_reply reply;
	enum hcv_meta_result res;
	struct json_object *kvs, *item;

	res = ask_range(e, range_body(e, key, strlen(key), NULL, 0, 0),
			deadline, &reply);
	if (res != HCV_META_OK)
		return res;
	if (reply.code)
		return fail_reply(&reply);
	kvs = hcv_etcd_member(reply.o, "kvs");
	if (json_object_is_type(kvs, json_type_array) &&
	    json_object_array_length(kvs)) {
		item = json_object_array_get_idx(kvs, 0);
		kv->key = strdup(key);
		kv->value = hcv_etcd_text(item, "value");
		kv->rev = hcv_etcd_num(item, "mod_revision");
		if (!kv->key || !kv->value) {
			hcv_kv_free(kv);
			res = no_memory();
		}
	}
	hcv_etcd_reply_free(&reply);
	return res;
}

static bool is_token(const char *key)
{
	return !strncmp(key, HCV_ETCD_TOKENS, strlen(HCV_ETCD_TOKENS));
}

/* One key of a page; *@last becomes its name, without the prefix. */
static enum hcv_meta_result list_item(struct hcv_etcd *e,
				      struct json_object *item,
				      struct hcv_kvs *kvs, char **last)
{
	size_t skip = strlen(e->prefix);
	char *key = hcv_etcd_text(item, "key");
	char *value = hcv_etcd_text(item, "value");
	enum hcv_meta_result res = HCV_META_OK;

	if (!key || !value) {
		res = no_memory();
	} else if (strncmp(key, e->prefix, skip)) {
		res = hcv_meta_fail(HCV_META_UNREACHABLE,
				    "etcd answered with the foreign key %s",
				    key);
	} else {
		memmove(key, key + skip, strlen(key + skip) + 1);
		if (!is_token(key) &&
		    hcv_kvs_add(kvs, key, value,
				hcv_etcd_num(item, "mod_revision")))
			res = no_memory();
		free(*last);
		*last = key;
		key = NULL;
	}
	free(key);
	free(value);
	return res;
}

static enum hcv_meta_result list_page(struct hcv_etcd *e,
				      struct json_object *page,
				      struct hcv_kvs *kvs, char **last,
				      bool *more)
{
	struct json_object *items = hcv_etcd_member(page, "kvs");
	enum hcv_meta_result res = HCV_META_OK;
	size_t nr = 0;
	size_t i;

	if (json_object_is_type(items, json_type_array))
		nr = json_object_array_length(items);
	for (i = 0; i < nr && res == HCV_META_OK; i++)
		res = list_item(e, json_object_array_get_idx(items, i), kvs,
				last);
	*more = nr && json_object_get_boolean(hcv_etcd_member(page, "more"));
	if (!kvs->rev)
		kvs->rev = hcv_etcd_revision(page);
	return res;
}

/*
 * All pages as of the revision of the first.  *@again: that one was compacted
 * in the meantime, or a page was too large.
 */
static enum hcv_meta_result list_once(struct hcv_etcd *e, const char *prefix,
				      struct hcv_kvs *kvs,
				      unsigned int *limit, bool *again,
				      int64_t deadline)
{
	enum hcv_meta_result res = HCV_META_OK;
	char *last = strdup(prefix);
	struct hcv_etcd_reply reply;
	bool more = true;
	size_t len;

	*again = false;
	if (!last)
		return no_memory();
	while (more && res == HCV_META_OK) {
		/* After the first page: the key and its NUL, one further. */
		len = strlen(last) + (kvs->rev ? 1 : 0);
		res = ask_range(e, range_body(e, last, len, prefix, *limit,
					      kvs->rev), deadline, &reply);
		if (res != HCV_META_OK)
			break;
		if (reply.code) {
			*again = reply.code == HCV_ETCD_OUT_OF_RANGE ||
				 (reply.code == HCV_ETCD_EXHAUSTED &&
				  *limit > 1);
			if (reply.code == HCV_ETCD_EXHAUSTED)
				*limit = *limit / 2 + 1;
			res = fail_reply(&reply);
			break;
		}
		res = list_page(e, reply.o, kvs, &last, &more);
		hcv_etcd_reply_free(&reply);
	}
	free(last);
	return res;
}

static enum hcv_meta_result etcd_list(struct hcv_meta *m, const char *prefix,
				      struct hcv_kvs *kvs, int64_t deadline)
{
	struct hcv_etcd *e = to_etcd(m);
	unsigned int limit = PAGE_KEYS;
	enum hcv_meta_result res;
	bool again;

	for (;;) {
		res = list_once(e, prefix, kvs, &limit, &again, deadline);
		if (!again || hcv_meta_now_ms() >= deadline)
			return res;
		hcv_kvs_free(kvs);
	}
}

/* Return: OK, or INVALID: there is no such lease (any more). */
static enum hcv_meta_result lease_call(struct hcv_etcd *e,
				       struct hcv_etcd_conn *c,
				       const char *path, unsigned int ttl_s,
				       int64_t lease, int64_t deadline)
{
	struct hcv_etcd_reply reply;
	enum hcv_meta_result res;
	bool maybe = false;
	char ttl[32] = "";
	char body[128];

	if (ttl_s)
		snprintf(ttl, sizeof(ttl), ",\"TTL\":\"%u\"", ttl_s);
	snprintf(body, sizeof(body), "{\"ID\":\"%lld\"%s}", (long long)lease,
		 ttl);
	res = hcv_etcd_call(e, c, path, body, deadline, &reply, &maybe);
	if (res != HCV_META_OK)
		return res;
	if (reply.code == HCV_ETCD_NOT_FOUND ||
	    (!reply.code && strstr(path, "keepalive") &&
	     hcv_etcd_num(reply.o, "TTL") <= 0))
		res = hcv_meta_fail(HCV_META_INVALID,
				    "lease %lld has expired",
				    (long long)lease);
	/* We chose the number: an earlier try of ours made it. */
	else if (reply.code == HCV_ETCD_PRECONDITION && ttl_s && maybe)
		res = HCV_META_OK;
	else if (reply.code)
		res = fail_reply(&reply);
	hcv_etcd_reply_free(&reply);
	return res;
}

static enum hcv_meta_result etcd_lease_call(struct hcv_meta *m,
					    const char *path,
					    unsigned int ttl_s, int64_t lease,
					    int64_t deadline)
{
	struct hcv_etcd *e = to_etcd(m);
	struct hcv_etcd_conn *c = hcv_etcd_conn_get(e);
	enum hcv_meta_result res;

	if (!c)
		return HCV_META_UNREACHABLE;
	res = lease_call(e, c, path, ttl_s, lease, deadline);
	hcv_etcd_conn_put(e, c);
	return res;
}

static enum hcv_meta_result etcd_lease_grant(struct hcv_meta *m,
					     unsigned int ttl_s,
					     int64_t *lease, int64_t deadline)
{
	int64_t id = hcv_meta_random();
	enum hcv_meta_result res;

	res = etcd_lease_call(m, "/v3/lease/grant", ttl_s, id, deadline);
	if (res == HCV_META_OK)
		*lease = id;
	return res;
}

static enum hcv_meta_result etcd_lease_revoke(struct hcv_meta *m,
					      int64_t lease, int64_t deadline)
{
	enum hcv_meta_result res;

	res = etcd_lease_call(m, "/v3/lease/revoke", 0, lease, deadline);
	return res == HCV_META_INVALID ? HCV_META_OK : res;
}

/* The lease of tokens is not used any more, and ends by itself. */
static void drop_token_lease(struct hcv_etcd *e, int64_t lease)
{
	pthread_mutex_lock(&e->lock);
	if (e->token_lease == lease)
		e->token_lease = 0;
	pthread_mutex_unlock(&e->lock);
}

/* A lease for tokens that was renewed not longer than @old_ms ago. */
static enum hcv_meta_result token_lease(struct hcv_etcd *e,
					struct hcv_etcd_conn *c,
					int64_t old_ms, int64_t *lease,
					int64_t deadline)
{
	enum hcv_meta_result res = HCV_META_INVALID;
	int64_t now = hcv_meta_now_ms();
	int64_t renewed;

	pthread_mutex_lock(&e->lock);
	*lease = e->token_lease;
	renewed = e->token_lease_ms;
	pthread_mutex_unlock(&e->lock);
	if (*lease && now < renewed + old_ms)
		return HCV_META_OK;
	if (*lease)
		res = lease_call(e, c, "/v3/lease/keepalive", 0, *lease,
				 deadline);
	if (res == HCV_META_INVALID) {
		*lease = hcv_meta_random();
		res = lease_call(e, c, "/v3/lease/grant", TOKEN_TTL_S, *lease,
				 deadline);
	}
	if (res != HCV_META_OK)
		return res;
	pthread_mutex_lock(&e->lock);
	if (e->token_lease != *lease)
		e->token_orphans = 0;
	e->token_lease = *lease;
	e->token_lease_ms = now;
	pthread_mutex_unlock(&e->lock);
	return HCV_META_OK;
}

static enum hcv_meta_result etcd_lease_keep(struct hcv_meta *m, int64_t lease,
					    int64_t deadline)
{
	struct hcv_etcd *e = to_etcd(m);
	struct hcv_etcd_conn *c = hcv_etcd_conn_get(e);
	enum hcv_meta_result res;
	int64_t tokens;

	if (!c)
		return HCV_META_UNREACHABLE;
	res = lease_call(e, c, "/v3/lease/keepalive", 0, lease, deadline);
	/* Without success this time: a transaction will see to it itself. */
	if (res == HCV_META_OK)
		token_lease(e, c, TOKEN_RENEW_MS, &tokens, deadline);
	hcv_etcd_conn_put(e, c);
	return res;
}

/* What a reply to a transaction says. */
enum txn_seen {
	TXN_NO_REPLY,
	TXN_NO_LEASE,		/* one that it names, ours or the caller's */
	TXN_REFUSED,
	TXN_COMPARE_FAILED,
	TXN_SUCCEEDED,
	TXN_FOUND_DONE,
	TXN_FOUND_FENCE,
};

/* A transaction under way. */
struct txn {
	struct hcv_etcd *e;
	struct hcv_etcd_conn *c;
	const struct hcv_cmp *cmp;
	size_t nr_cmp;
	const struct hcv_op *op;
	size_t nr_op;
	int64_t deadline;
	char token[64];		/* "": only compares */
	int64_t lease;		/* of the token */
	bool maybe;		/* some try may have been done, or will be */
	int64_t rev;
};

static void put_key(FILE *f, const struct hcv_etcd *e, const char *key)
{
	fputs("\"key\":\"", f);
	hcv_etcd_put_b64(f, e->prefix, key, strlen(key));
	fputs("\"", f);
}

static void put_compare(FILE *f, const struct hcv_etcd *e, const char *key,
			int64_t rev)
{
	fputs("{", f);
	put_key(f, e, key);
	fprintf(f, ",\"target\":\"MOD\",\"result\":\"EQUAL\",\"mod_revision\":\"%lld\"}",
		(long long)rev);
}

static void put_op(FILE *f, const struct hcv_etcd *e, const struct hcv_op *op)
{
	fprintf(f, "{\"request_%s\":{",
		op->value ? "put" : "delete_range");
	put_key(f, e, op->key);
	if (op->value) {
		fputs(",\"value\":\"", f);
		hcv_etcd_put_b64(f, "", op->value, strlen(op->value));
		fprintf(f, "\",\"lease\":\"%lld\"", (long long)op->lease);
	}
	fputs("}}", f);
}

/* @mark: what the token is to say. */
static char *txn_body(const struct txn *t, const char *mark)
{
	struct hcv_op put_token = { t->token, mark, t->lease };
	struct hcv_op del_token = { t->c->old_token, NULL, 0 };
	const char *comma = "";
	char *body = NULL;
	size_t size, i;
	FILE *f = open_memstream(&body, &size);

	if (!f) {
		no_memory();
		return NULL;
	}
	fputs("{\"compare\":[", f);
	for (i = 0; i < t->nr_cmp; i++, comma = ",") {
		fputs(comma, f);
		put_compare(f, t->e, t->cmp[i].key, t->cmp[i].rev);
	}
	if (!*t->token) {
		fputs("]}", f);
		return finish_body(f, &body);
	}
	fputs(comma, f);
	put_compare(f, t->e, t->token, 0);
	fputs("],\"success\":[", f);
	for (i = 0; i < t->nr_op; i++) {
		put_op(f, t->e, &t->op[i]);
		fputs(",", f);
	}
	if (*t->c->old_token) {
		put_op(f, t->e, &del_token);
		fputs(",", f);
	}
	put_op(f, t->e, &put_token);
	fputs("],\"failure\":[{\"request_range\":{", f);
	put_key(f, t->e, t->token);
	fputs("}}]}", f);
	return finish_body(f, &body);
}

/* The token as the failed transaction found it, or NULL. */
static struct json_object *found_token(struct json_object *reply)
{
	struct json_object *list = hcv_etcd_member(reply, "responses");

	if (!json_object_is_type(list, json_type_array))
		return NULL;
	list = hcv_etcd_member(json_object_array_get_idx(list, 0),
			       "response_range");
	list = hcv_etcd_member(list, "kvs");
	return json_object_is_type(list, json_type_array) ?
	       json_object_array_get_idx(list, 0) : NULL;
}

static enum txn_seen read_reply(struct txn *t, struct json_object *reply)
{
	struct json_object *token;
	enum txn_seen seen;
	char *mark;

	if (json_object_get_boolean(hcv_etcd_member(reply, "succeeded"))) {
		t->rev = hcv_etcd_revision(reply);
		return TXN_SUCCEEDED;
	}
	token = found_token(reply);
	if (!token) {
		hcv_meta_fail(HCV_META_CONFLICT, "%s%s has changed",
			      t->nr_cmp ? t->cmp[0].key : "nothing",
			      t->nr_cmp > 1 ? ", or what else was compared," :
					      "");
		return TXN_COMPARE_FAILED;
	}
	mark = hcv_etcd_text(token, "value");
	if (!mark) {
		no_memory();
		return TXN_NO_REPLY;
	}
	seen = TXN_FOUND_FENCE;
	if (!strcmp(mark, TOKEN_DONE)) {
		t->rev = hcv_etcd_num(token, "mod_revision");
		seen = TXN_FOUND_DONE;
	}
	free(mark);
	return seen;
}

/* Send it until there is an answer, or no time. */
static enum txn_seen txn_send(struct txn *t, const char *mark)
{
	char *body = txn_body(t, mark);
	struct hcv_etcd_reply reply;
	enum hcv_meta_result res;
	enum txn_seen seen;

	if (!body)
		return TXN_NO_REPLY;
	res = hcv_etcd_call(t->e, t->c, "/v3/kv/txn", body, t->deadline,
			    &reply, &t->maybe);
	free(body);
	if (res != HCV_META_OK)
		return TXN_NO_REPLY;
	if (!reply.code) {
		seen = read_reply(t, reply.o);
	} else {
		seen = reply.code == HCV_ETCD_NOT_FOUND ? TXN_NO_LEASE :
							  TXN_REFUSED;
		fail_reply(&reply);
	}
	hcv_etcd_reply_free(&reply);
	return seen;
}

/*
 * A try was left without an answer, and @res, not OK, is what came of later
 * ones.  Put up the fence: afterwards what was not done never will be.
 */
static enum hcv_meta_result settle(struct txn *t, enum hcv_meta_result res)
{
	char *why = hcv_meta_strdup_error();
	struct txn fence = {
		.e = t->e, .c = t->c, .deadline = t->deadline,
		.lease = t->lease,
	};

	memcpy(fence.token, t->token, sizeof(fence.token));
	switch (txn_send(&fence, TOKEN_FENCE)) {
	case TXN_SUCCEEDED:
	case TXN_FOUND_FENCE:
		break;
	case TXN_FOUND_DONE:
		t->rev = fence.rev;
		res = HCV_META_OK;
		break;
	default:
		res = HCV_META_UNKNOWN;
		break;
	}
	if (res == HCV_META_UNKNOWN)
		hcv_meta_fail(res,
			      "whether etcd did the change is not known: %s",
			      why ? why : "out of memory");
	else if (res != HCV_META_OK)
		hcv_meta_fail(res, "%s", why ? why : "out of memory");
	free(why);
	return res;
}

static enum hcv_meta_result txn_once(struct txn *t, bool *no_lease)
{
	enum hcv_meta_result res;

	*no_lease = false;
	if (t->nr_op) {
		res = token_lease(t->e, t->c, TOKEN_OLD_MS, &t->lease,
				  t->deadline);
		if (res != HCV_META_OK)
			return res;
		pthread_mutex_lock(&t->e->lock);
		snprintf(t->token, sizeof(t->token), HCV_ETCD_TOKENS "%llx-%llx",
			 (unsigned long long)t->e->id,
			 (unsigned long long)t->e->next_token++);
		pthread_mutex_unlock(&t->e->lock);
	}
	switch (txn_send(t, TOKEN_DONE)) {
	case TXN_SUCCEEDED:
	case TXN_FOUND_DONE:
		return HCV_META_OK;
	case TXN_COMPARE_FAILED:
		return HCV_META_CONFLICT;
	case TXN_NO_LEASE:
		*no_lease = true;
		drop_token_lease(t->e, t->lease);
		return hcv_meta_fail(HCV_META_INVALID,
				     "the lease of a key has expired");
	default:
		return HCV_META_UNREACHABLE;
	}
}

/* Which token the next transaction on this connection is to delete. */
static void txn_end(struct txn *t, enum hcv_meta_result res)
{
	bool drop = false;

	if (t->maybe) {
		/* Copies of it may still arrive: only its lease ends it. */
		*t->c->old_token = '\0';
		pthread_mutex_lock(&t->e->lock);
		if (t->e->token_lease == t->lease)
			drop = ++t->e->token_orphans >= TOKEN_ORPHANS;
		pthread_mutex_unlock(&t->e->lock);
		if (drop)
			drop_token_lease(t->e, t->lease);
	} else if (res == HCV_META_OK) {
		memcpy(t->c->old_token, t->token, sizeof(t->token));
	}
}

static enum hcv_meta_result etcd_txn(struct hcv_meta *m,
				     const struct hcv_cmp *cmp, size_t nr_cmp,
				     const struct hcv_op *op, size_t nr_op,
				     int64_t *rev, int64_t deadline)
{
	struct txn t = {
		.e = to_etcd(m), .cmp = cmp, .nr_cmp = nr_cmp, .op = op,
		.nr_op = nr_op, .deadline = deadline,
	};
	enum hcv_meta_result res;
	bool no_lease;

	t.c = hcv_etcd_conn_get(t.e);
	if (!t.c)
		return HCV_META_UNREACHABLE;
	res = txn_once(&t, &no_lease);
	/* If it was the token's lease that had ended, another will do. */
	if (no_lease && !t.maybe)
		res = txn_once(&t, &no_lease);
	if (*t.token) {
		if (t.maybe && res != HCV_META_OK)
			res = settle(&t, res);
		txn_end(&t, res);
	}
	if (res == HCV_META_OK)
		*rev = t.rev;
	hcv_etcd_conn_put(t.e, t.c);
	return res;
}

const struct hcv_meta_ops hcv_meta_etcd_ops = {
	.scheme = "etcd",
	.cluster = true,
	.open = etcd_open,
	.close = etcd_close,
	.get = etcd_get,
	.list = etcd_list,
	.txn = etcd_txn,
	.lease_grant = etcd_lease_grant,
	.lease_keep = etcd_lease_keep,
	.lease_revoke = etcd_lease_revoke,
	.watch = hcv_etcd_watch,
	.watch_cancel = hcv_etcd_watch_cancel,
	.follow = hcv_etcd_follow,
	.follow_next = hcv_etcd_follow_next,
	.follow_end = hcv_etcd_follow_end,
};
