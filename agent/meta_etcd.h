/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside the etcd back end: requests to etcd's JSON gateway.
 *
 * In the gateway's JSON keys and values are base64, 64-bit numbers are
 * strings, and members that are zero, false or empty are left out.
 */
#ifndef HCV_AGENT_META_ETCD_H
#define HCV_AGENT_META_ETCD_H

#include <curl/curl.h>
#include <json-c/json.h>
#include <pthread.h>
#include <stdio.h>

#include "meta-int.h"

#define HCV_ETCD_OPEN_MS	500	/* for a watch to be opened */
#define HCV_ETCD_TOKENS		"token/"

/* gRPC status codes, as in replies. */
enum hcv_etcd_code {
	HCV_ETCD_OK = 0,
	HCV_ETCD_NOT_FOUND = 5,
	HCV_ETCD_EXHAUSTED = 8,
	HCV_ETCD_PRECONDITION = 9,
	HCV_ETCD_OUT_OF_RANGE = 11,
};

/** struct hcv_etcd_buf - bytes being received, always NUL-terminated */
struct hcv_etcd_buf {
	char *data;
	size_t len;
	size_t room;
};

/**
 * struct hcv_etcd_try - a request to one endpoint
 * @at: the endpoint
 * @running: under way, in the connection's multi handle
 * @reuse: there was a connection from before when it began
 * @started: when, hcv_meta_now_ms()
 */
struct hcv_etcd_try {
	CURL *easy;
	struct hcv_etcd_buf in;
	size_t at;
	bool running;
	bool reuse;
	int64_t started;
};

/** struct hcv_etcd_end - an endpoint, as one struct hcv_etcd_conn knows it */
struct hcv_etcd_end {
	int64_t asked_ms;
	unsigned int running;	/* tries */
	unsigned int idle;	/* connections kept open */
};

/** struct hcv_etcd_conn - connections, in the hands of one call at a time */
struct hcv_etcd_conn {
	struct hcv_etcd_conn *next;
	CURLM *multi;
	struct hcv_etcd_try *try;
	size_t nr_tries;
	struct hcv_etcd_end *end;	/* one per endpoint */
	char old_token[64];	/* to be deleted by the next transaction */
};

struct hcv_etcd_watcher;

struct hcv_etcd {
	struct hcv_meta meta;
	char *prefix;			/* "/hcivol/NAME/" */
	char **url;
	size_t nr_url;
	struct curl_slist *headers;
	struct curl_slist *watch_headers;
	int64_t id;			/* makes tokens unique */
	pthread_mutex_t lock;
	/* below: lock */
	size_t good;			/* endpoint that answered last */
	int64_t answer_us;		/* what an answer takes, on average */
	struct hcv_etcd_conn *idle;
	uint64_t next_token;
	int64_t token_lease;		/* 0: none */
	int64_t token_lease_ms;		/* when it was renewed last */
	unsigned int token_orphans;	/* tokens that stay as long as it does */
	struct hcv_etcd_watcher *watchers;
	bool cancel;
};

/**
 * struct hcv_etcd_reply - what came back
 * @o: the reply's object (of a stream: its first "result"), NULL on errors
 * @code: gRPC status; @msg is etcd's sentence
 */
struct hcv_etcd_reply {
	struct json_object *o;
	int code;
	char msg[256];
};

struct hcv_etcd_conn *hcv_etcd_conn_get(struct hcv_etcd *e);
void hcv_etcd_conn_put(struct hcv_etcd *e, struct hcv_etcd_conn *c);
void hcv_etcd_conn_free(struct hcv_etcd_conn *c);
/** hcv_etcd_easy_init() - options that all requests share; 0 or -ENOMEM */
int hcv_etcd_easy_init(CURL *easy);
/** hcv_etcd_buf_add() - append; 0, -ENOMEM or -EFBIG */
int hcv_etcd_buf_add(struct hcv_etcd_buf *b, const void *data, size_t len);

/**
 * hcv_etcd_call() - POST @body to one endpoint, soon to others as well
 * @maybe: set when a try may have been done without us knowing; never cleared
 *
 * Return: OK with a reply for good in @reply, which may be an error of etcd's
 * that no retry would change (free with hcv_etcd_reply_free()); UNREACHABLE
 * when the deadline passed, @reply empty, hcv_meta_last_error() set.
 */
enum hcv_meta_result hcv_etcd_call(struct hcv_etcd *e, struct hcv_etcd_conn *c,
				   const char *path, const char *body,
				   int64_t deadline,
				   struct hcv_etcd_reply *reply, bool *maybe);
void hcv_etcd_reply_free(struct hcv_etcd_reply *reply);
/** hcv_etcd_reply_parse() - of one JSON line; 0 or -EINVAL: no such thing */
int hcv_etcd_reply_parse(const char *text, struct hcv_etcd_reply *reply);

/** hcv_etcd_num() - member @name, a string of digits; 0 if it is missing */
int64_t hcv_etcd_num(struct json_object *o, const char *name);
/** hcv_etcd_revision() - of the reply's header */
int64_t hcv_etcd_revision(struct json_object *o);
/** hcv_etcd_member() - member @name, or NULL */
struct json_object *hcv_etcd_member(struct json_object *o, const char *name);
/** hcv_etcd_text() - member @name, base64, decoded; "" if it is missing */
char *hcv_etcd_text(struct json_object *o, const char *name);
/** hcv_etcd_put_b64() - write the bytes of @a and then @b as one base64 */
void hcv_etcd_put_b64(FILE *f, const char *a, const char *b, size_t len_b);
/** hcv_etcd_put_range() - write "key" and "range_end" for a prefix */
void hcv_etcd_put_range(FILE *f, const struct hcv_etcd *e, const char *from,
			size_t from_len, const char *prefix);

enum hcv_meta_result hcv_etcd_watch(struct hcv_meta *meta, const char *prefix,
				    int64_t *rev, int64_t deadline);
void hcv_etcd_watch_cancel(struct hcv_meta *meta);
struct hcv_meta_follow *hcv_etcd_follow(struct hcv_meta *meta,
					const char *prefix, int64_t rev);
enum hcv_meta_result hcv_etcd_follow_next(struct hcv_meta_follow *follow_of,
					  struct hcv_kvs *kvs,
					  int64_t deadline);
void hcv_etcd_follow_end(struct hcv_meta_follow *follow_of);

#endif /* HCV_AGENT_META_ETCD_H */
