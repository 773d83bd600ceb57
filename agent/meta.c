// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metadata store: argument checks and dispatch to the back ends.
 *
 * The limits are etcd's, and hold for every back end: what works on one node
 * must not fail on the day when the cluster grows.
 */
#include "meta.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "fault.h"
#include "meta-int.h"

static __thread char last_error[1024];

static const struct hcv_meta_ops *const back_ends[] = {
	&hcv_meta_sqlite_ops,
	&hcv_meta_etcd_ops,
	&hcv_meta_mem_ops,
};

#define NR_BACK_ENDS (sizeof(back_ends) / sizeof(back_ends[0]))

int64_t hcv_meta_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t hcv_meta_random(void)
{
	uint64_t n = 0;
	struct timespec ts;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n)) {
		/* Only before the kernel's pool is ready, and interrupted. */
		clock_gettime(CLOCK_REALTIME, &ts);
		n = ((uint64_t)ts.tv_sec << 30) ^ (uint64_t)ts.tv_nsec;
	}
	n &= (1ULL << 62) - 1;
	return n ? (int64_t)n : 1;
}

enum hcv_meta_result hcv_meta_fail(enum hcv_meta_result res,
				   const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(last_error, sizeof(last_error), fmt, ap);
	va_end(ap);
	return res;
}

char *hcv_meta_strdup_error(void)
{
	return strdup(last_error);
}

const char *hcv_meta_last_error(void)
{
	return last_error;
}

struct hcv_meta *hcv_meta_open(const char *spec, char **err)
{
	size_t len;
	size_t i;

	*err = NULL;
	for (i = 0; i < NR_BACK_ENDS; i++) {
		len = strlen(back_ends[i]->scheme);
		if (!strncmp(spec, back_ends[i]->scheme, len) &&
		    spec[len] == ':')
			return back_ends[i]->open(spec + len + 1, err);
	}
	hcv_meta_fail(HCV_META_INVALID,
		      "metadata store \"%s\" is neither sqlite:PATH nor etcd:NAME:URL,URL...",
		      spec);
	*err = hcv_meta_strdup_error();
	return NULL;
}

void hcv_meta_close(struct hcv_meta *m)
{
	if (m)
		m->ops->close(m);
}

bool hcv_meta_is_cluster(const struct hcv_meta *m)
{
	return m->ops->cluster;
}

/* Printable ASCII only: keys end up in URLs, messages and listings. */
static bool key_ok(const char *key, bool prefix)
{
	size_t len = strlen(key);
	size_t i;

	if (len > HCV_META_KEY_MAX || (!len && !prefix))
		return false;
	for (i = 0; i < len; i++)
		if (key[i] <= ' ' || key[i] > '~')
			return false;
	/* The etcd back end keeps its own keys there. */
	return strncmp(key, "token/", strlen("token/")) != 0;
}

static enum hcv_meta_result bad_key(const char *key)
{
	return hcv_meta_fail(HCV_META_INVALID,
			     "\"%s\" is not a key of the metadata store", key);
}

static int64_t deadline_in(unsigned int ms)
{
	return hcv_meta_now_ms() + ms;
}

static bool unsent(void)
{
	if (!hcv_fault(HCV_FAULT_META_UNSENT))
		return false;
	hcv_meta_fail(HCV_META_UNREACHABLE, "not sent: as a test wants it");
	return true;
}

/* Only what was done has an answer that can get lost. */
static enum hcv_meta_result lost(enum hcv_meta_result res,
				 enum hcv_meta_result told)
{
	if (res == HCV_META_OK && hcv_fault(HCV_FAULT_META_LOST))
		res = hcv_meta_fail(told, "no answer: as a test wants it");
	return res;
}

enum hcv_meta_result hcv_meta_get(struct hcv_meta *m, const char *key,
				  struct hcv_kv *kv, unsigned int deadline_ms)
{
	enum hcv_meta_result res;

	memset(kv, 0, sizeof(*kv));
	if (!key_ok(key, false))
		return bad_key(key);
	if (unsent())
		return HCV_META_UNREACHABLE;
	res = lost(m->ops->get(m, key, kv, deadline_in(deadline_ms)),
		   HCV_META_UNREACHABLE);
	if (res != HCV_META_OK)
		hcv_kv_free(kv);
	return res;
}

enum hcv_meta_result hcv_meta_list(struct hcv_meta *m, const char *prefix,
				   struct hcv_kvs *kvs,
				   unsigned int deadline_ms)
{
	enum hcv_meta_result res;

	memset(kvs, 0, sizeof(*kvs));
	if (!key_ok(prefix, true))
		return bad_key(prefix);
	if (unsent())
		return HCV_META_UNREACHABLE;
	res = lost(m->ops->list(m, prefix, kvs, deadline_in(deadline_ms)),
		   HCV_META_UNREACHABLE);
	if (res != HCV_META_OK)
		hcv_kvs_free(kvs);
	return res;
}

static enum hcv_meta_result check_ops(const struct hcv_op *op, size_t nr)
{
	size_t bytes = 0;
	size_t i, j;

	if (nr > HCV_META_OPS_MAX)
		return hcv_meta_fail(HCV_META_INVALID,
				     "%zu changes are too many for one transaction, %d is the limit",
				     nr, HCV_META_OPS_MAX);
	for (i = 0; i < nr; i++) {
		if (!key_ok(op[i].key, false))
			return bad_key(op[i].key);
		bytes += strlen(op[i].key);
		if (op[i].value)
			bytes += strlen(op[i].value);
		for (j = 0; j < i; j++)
			if (!strcmp(op[i].key, op[j].key))
				return hcv_meta_fail(HCV_META_INVALID,
						     "key %s changed twice in one transaction",
						     op[i].key);
	}
	if (bytes > HCV_META_TXN_BYTES_MAX)
		return hcv_meta_fail(HCV_META_INVALID,
				     "%zu bytes are too many for one transaction, %u is the limit",
				     bytes, HCV_META_TXN_BYTES_MAX);
	return HCV_META_OK;
}

static void note_written(struct hcv_meta *m, int64_t rev)
{
	int64_t seen = __atomic_load_n(&m->wrote, __ATOMIC_RELAXED);

	while (rev > seen &&
	       !__atomic_compare_exchange_n(&m->wrote, &seen, rev, true,
					    __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
}

enum hcv_meta_result hcv_meta_txn(struct hcv_meta *m,
				  const struct hcv_cmp *cmp, size_t nr_cmp,
				  const struct hcv_op *op, size_t nr_op,
				  int64_t *rev, unsigned int deadline_ms)
{
	enum hcv_meta_result res;
	int64_t dummy;
	size_t i;

	if (nr_cmp > HCV_META_OPS_MAX)
		return hcv_meta_fail(HCV_META_INVALID,
				     "%zu comparisons are too many for one transaction, %d is the limit",
				     nr_cmp, HCV_META_OPS_MAX);
	for (i = 0; i < nr_cmp; i++)
		if (!key_ok(cmp[i].key, false))
			return bad_key(cmp[i].key);
	if (check_ops(op, nr_op) != HCV_META_OK)
		return HCV_META_INVALID;
	if (unsent())
		return HCV_META_UNREACHABLE;
	if (!rev)
		rev = &dummy;
	res = m->ops->txn(m, cmp, nr_cmp, op, nr_op, rev,
			  deadline_in(deadline_ms));
	if (res == HCV_META_OK)
		note_written(m, *rev);
	return lost(res, HCV_META_UNKNOWN);
}

enum hcv_meta_result hcv_meta_lease_grant(struct hcv_meta *m,
					  unsigned int ttl_s, int64_t *lease,
					  unsigned int deadline_ms)
{
	*lease = 0;
	if (!ttl_s || ttl_s > 24 * 3600)
		return hcv_meta_fail(HCV_META_INVALID,
				     "a lease of %u seconds is out of range",
				     ttl_s);
	if (unsent())
		return HCV_META_UNREACHABLE;
	return lost(m->ops->lease_grant(m, ttl_s, lease,
					deadline_in(deadline_ms)),
		    HCV_META_UNREACHABLE);
}

enum hcv_meta_result hcv_meta_lease_keep(struct hcv_meta *m, int64_t lease,
					 unsigned int deadline_ms)
{
	if (unsent())
		return HCV_META_UNREACHABLE;
	return lost(m->ops->lease_keep(m, lease, deadline_in(deadline_ms)),
		    HCV_META_UNREACHABLE);
}

enum hcv_meta_result hcv_meta_lease_revoke(struct hcv_meta *m, int64_t lease,
					   unsigned int deadline_ms)
{
	if (unsent())
		return HCV_META_UNREACHABLE;
	return lost(m->ops->lease_revoke(m, lease, deadline_in(deadline_ms)),
		    HCV_META_UNREACHABLE);
}

enum hcv_meta_result hcv_meta_watch(struct hcv_meta *m, const char *prefix,
				    int64_t *rev, unsigned int timeout_ms)
{
	if (!key_ok(prefix, true))
		return bad_key(prefix);
	return m->ops->watch(m, prefix, rev, deadline_in(timeout_ms));
}

void hcv_meta_watch_cancel(struct hcv_meta *m)
{
	m->ops->watch_cancel(m);
}

int64_t hcv_meta_wrote(struct hcv_meta *m)
{
	return __atomic_load_n(&m->wrote, __ATOMIC_ACQUIRE);
}

struct hcv_meta_follow *hcv_meta_follow(struct hcv_meta *m, const char *prefix,
					int64_t rev)
{
	if (!m->ops->follow || !key_ok(prefix, true))
		return NULL;
	return m->ops->follow(m, prefix, rev);
}

enum hcv_meta_result hcv_meta_follow_next(struct hcv_meta_follow *f,
					  struct hcv_kvs *kvs,
					  unsigned int timeout_ms)
{
	return f->meta->ops->follow_next(f, kvs, deadline_in(timeout_ms));
}

void hcv_meta_follow_end(struct hcv_meta_follow *f)
{
	if (f)
		f->meta->ops->follow_end(f);
}

void hcv_kv_free(struct hcv_kv *kv)
{
	free(kv->key);
	free(kv->value);
	memset(kv, 0, sizeof(*kv));
}

void hcv_kvs_free(struct hcv_kvs *kvs)
{
	size_t i;

	for (i = 0; i < kvs->nr; i++)
		hcv_kv_free(&kvs->kv[i]);
	free(kvs->kv);
	memset(kvs, 0, sizeof(*kvs));
}

/* Room for one more: grows at 0, 1, 2, 4, 8...: the size need not be known. */
static int kvs_room(struct hcv_kvs *kvs)
{
	struct hcv_kv *grown;

	if (kvs->nr & (kvs->nr - 1))
		return 0;
	grown = realloc(kvs->kv, (kvs->nr ? kvs->nr * 2 : 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	kvs->kv = grown;
	return 0;
}

int hcv_kvs_add(struct hcv_kvs *kvs, const char *key, const char *value,
		int64_t rev)
{
	struct hcv_kv kv = { .rev = rev };

	if (kvs_room(kvs))
		return -ENOMEM;
	kv.key = strdup(key);
	kv.value = value ? strdup(value) : NULL;
	if (!kv.key || (value && !kv.value)) {
		hcv_kv_free(&kv);
		return -ENOMEM;
	}
	kvs->kv[kvs->nr++] = kv;
	return 0;
}

/* Where the key is, or would be; @found tells which. */
static size_t kvs_place(const struct hcv_kvs *kvs, const char *key, bool *found)
{
	size_t low = 0, high = kvs->nr, mid;
	int diff;

	*found = false;
	while (low < high && !*found) {
		mid = low + (high - low) / 2;
		diff = strcmp(kvs->kv[mid].key, key);
		*found = !diff;
		if (diff < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return high;
}

int hcv_kvs_apply(struct hcv_kvs *kvs, struct hcv_kvs *changes)
{
	size_t i, at;
	bool found;

	for (i = 0; i < changes->nr; i++) {
		struct hcv_kv *c = &changes->kv[i];

		at = kvs_place(kvs, c->key, &found);
		if (found) {
			hcv_kv_free(&kvs->kv[at]);
		} else if (!c->value) {
			continue;
		} else {
			if (kvs_room(kvs))
				return -ENOMEM;
			memmove(&kvs->kv[at + 1], &kvs->kv[at],
				(kvs->nr++ - at) * sizeof(*c));
		}
		if (c->value) {
			kvs->kv[at] = *c;
			memset(c, 0, sizeof(*c));
		} else {
			memmove(&kvs->kv[at], &kvs->kv[at + 1],
				(--kvs->nr - at) * sizeof(*c));
		}
	}
	if (changes->rev > kvs->rev)
		kvs->rev = changes->rev;
	return 0;
}
