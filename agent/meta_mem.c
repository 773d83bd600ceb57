// SPDX-License-Identifier: GPL-2.0-only
/*
 * The metadata store in memory, for tests.
 *
 * A sorted array of keys under the lock of struct hcv_local.  A transaction
 * takes all the memory it needs before it changes anything.
 */
#include "meta_mem.h"

#include <stdlib.h>
#include <string.h>

#include "meta_local.h"

struct mem_entry {
	struct hcv_kv kv;
	int64_t lease;
};

struct mem_store {
	struct hcv_local local;		/* first: see drop_lease() */
	struct mem_store *next;
	unsigned int users;		/* stores_lock */
	char *name;
	struct mem_entry *entry;
	size_t nr;
	size_t room;
};

struct mem_meta {
	struct hcv_meta meta;
	struct hcv_local_client client;
	struct mem_store *store;
	/* store->local.lock */
	unsigned int calls;
	unsigned int fail_in;
	enum hcv_meta_mem_fault fail_kind;
	bool cut;
};

static pthread_mutex_t stores_lock = PTHREAD_MUTEX_INITIALIZER;
static struct mem_store *stores;

static struct mem_meta *to_mem(struct hcv_meta *m)
{
	return (struct mem_meta *)m;
}

static enum hcv_meta_result no_memory(void)
{
	return hcv_meta_fail(HCV_META_UNREACHABLE, "out of memory");
}

/* Where @key is, or where it belongs. */
static size_t find(const struct mem_store *s, const char *key, bool *found)
{
	size_t lo = 0;
	size_t hi = s->nr;
	size_t mid;
	int c;

	*found = false;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		c = strcmp(s->entry[mid].kv.key, key);
		if (!c) {
			*found = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void delete_at(struct mem_store *s, size_t at)
{
	hcv_local_changed(&s->local, s->entry[at].kv.key);
	hcv_kv_free(&s->entry[at].kv);
	s->nr--;
	memmove(&s->entry[at], &s->entry[at + 1],
		(s->nr - at) * sizeof(*s->entry));
}

static enum hcv_meta_result drop_lease(struct hcv_local *l, int64_t lease)
{
	struct mem_store *s = (struct mem_store *)l;
	bool any = false;
	size_t i = 0;

	while (i < s->nr) {
		if (s->entry[i].lease != lease) {
			i++;
			continue;
		}
		if (!any)
			l->rev++;
		any = true;
		delete_at(s, i);
	}
	return HCV_META_OK;
}

static struct mem_store *store_alloc(const char *name)
{
	struct mem_store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->name = strdup(name);
	if (!s->name || hcv_local_init(&s->local)) {
		free(s->name);
		free(s);
		return NULL;
	}
	s->local.drop = drop_lease;
	/* Revision 0 is "does not exist". */
	s->local.rev = 1;
	return s;
}

static void store_free(struct mem_store *s)
{
	size_t i;

	for (i = 0; i < s->nr; i++)
		hcv_kv_free(&s->entry[i].kv);
	free(s->entry);
	free(s->name);
	hcv_local_exit(&s->local);
	free(s);
}

static struct mem_store *store_get(const char *name)
{
	struct mem_store *s;

	pthread_mutex_lock(&stores_lock);
	for (s = *name ? stores : NULL; s; s = s->next)
		if (!strcmp(s->name, name))
			break;
	if (!s) {
		s = store_alloc(name);
		if (s) {
			s->next = stores;
			stores = s;
		}
	}
	if (s)
		s->users++;
	pthread_mutex_unlock(&stores_lock);
	return s;
}

static void store_put(struct mem_store *s)
{
	struct mem_store **at;
	bool last;

	pthread_mutex_lock(&stores_lock);
	last = !--s->users;
	if (last) {
		for (at = &stores; *at != s; at = &(*at)->next)
			;
		*at = s->next;
	}
	pthread_mutex_unlock(&stores_lock);
	if (last)
		store_free(s);
}

static struct hcv_meta *mem_open(const char *arg, char **err)
{
	struct mem_meta *m = calloc(1, sizeof(*m));

	if (m)
		m->store = store_get(arg);
	if (!m || !m->store) {
		free(m);
		no_memory();
		*err = hcv_meta_strdup_error();
		return NULL;
	}
	m->meta.ops = &hcv_meta_mem_ops;
	return &m->meta;
}

/* Leases stay until they run out: closing is what dying looks like. */
static void mem_close(struct hcv_meta *meta)
{
	struct mem_meta *m = to_mem(meta);

	store_put(m->store);
	free(m);
}

/*
 * Start a call: the lock, and the fault that is due.  @fault says what comes
 * back in the end, @skip whether nothing is to be done before.
 */
static enum hcv_meta_result begin(struct mem_meta *m, int64_t deadline,
				  enum hcv_meta_result *fault, bool *skip)
{
	enum hcv_meta_result res = hcv_local_lock(&m->store->local, deadline);

	*fault = HCV_META_OK;
	*skip = false;
	if (res != HCV_META_OK)
		return res;
	m->calls++;
	if (m->cut) {
		*fault = HCV_META_UNREACHABLE;
		*skip = true;
	}
	if (!m->fail_in || --m->fail_in)
		return HCV_META_OK;
	*fault = m->fail_kind == HCV_MEM_UNREACHABLE ?
		 HCV_META_UNREACHABLE : HCV_META_UNKNOWN;
	*skip |= m->fail_kind != HCV_MEM_UNKNOWN_DONE;
	return HCV_META_OK;
}

static enum hcv_meta_result end(struct mem_meta *m, enum hcv_meta_result res,
				enum hcv_meta_result fault, bool is_txn)
{
	hcv_local_unlock(&m->store->local);
	if (fault == HCV_META_OK)
		return res;
	if (!is_txn)
		fault = HCV_META_UNREACHABLE;
	return hcv_meta_fail(fault, "injected fault");
}

static enum hcv_meta_result mem_get(struct hcv_meta *meta, const char *key,
				    struct hcv_kv *kv, int64_t deadline)
{
	struct mem_meta *m = to_mem(meta);
	enum hcv_meta_result res, fault;
	const struct hcv_kv *found;
	bool exists, skip;
	size_t at;

	res = begin(m, deadline, &fault, &skip);
	if (res != HCV_META_OK)
		return res;
	at = find(m->store, key, &exists);
	if (!exists || fault != HCV_META_OK)
		goto out;
	found = &m->store->entry[at].kv;
	kv->key = strdup(found->key);
	kv->value = strdup(found->value);
	kv->rev = found->rev;
	if (!kv->key || !kv->value) {
		hcv_kv_free(kv);
		res = no_memory();
	}
out:
	return end(m, res, fault, false);
}

static enum hcv_meta_result mem_list(struct hcv_meta *meta, const char *prefix,
				     struct hcv_kvs *kvs, int64_t deadline)
{
	struct mem_meta *m = to_mem(meta);
	enum hcv_meta_result res, fault;
	size_t len = strlen(prefix);
	const struct hcv_kv *kv;
	bool exists, skip;
	size_t at;

	res = begin(m, deadline, &fault, &skip);
	if (res != HCV_META_OK)
		return res;
	kvs->rev = m->store->local.rev;
	for (at = find(m->store, prefix, &exists); at < m->store->nr; at++) {
		kv = &m->store->entry[at].kv;
		if (strncmp(kv->key, prefix, len))
			break;
		if (hcv_kvs_add(kvs, kv->key, kv->value, kv->rev)) {
			res = no_memory();
			break;
		}
	}
	return end(m, res, fault, false);
}

static enum hcv_meta_result compare(const struct mem_store *s,
				    const struct hcv_cmp *cmp, size_t nr)
{
	int64_t rev;
	bool exists;
	size_t i, at;

	for (i = 0; i < nr; i++) {
		at = find(s, cmp[i].key, &exists);
		rev = exists ? s->entry[at].kv.rev : 0;
		if (rev != cmp[i].rev)
			return hcv_meta_fail(HCV_META_CONFLICT,
					     "%s has changed", cmp[i].key);
	}
	return HCV_META_OK;
}

/* Copies of what @op will store, and room for all of it. */
static struct mem_entry *prepare(struct mem_store *s, const struct hcv_op *op,
				 size_t nr_op)
{
	struct mem_entry *new = calloc(nr_op + 1, sizeof(*new));
	struct mem_entry *grown;
	size_t i;

	if (!new)
		return NULL;
	if (s->nr + nr_op > s->room) {
		grown = realloc(s->entry, (s->nr + nr_op) * 2 * sizeof(*new));
		if (!grown)
			goto err;
		s->entry = grown;
		s->room = (s->nr + nr_op) * 2;
	}
	for (i = 0; i < nr_op; i++) {
		if (!op[i].value)
			continue;
		new[i].kv.key = strdup(op[i].key);
		new[i].kv.value = strdup(op[i].value);
		new[i].lease = op[i].lease;
		if (!new[i].kv.key || !new[i].kv.value)
			goto err;
	}
	return new;

err:
	for (i = 0; i < nr_op; i++)
		hcv_kv_free(&new[i].kv);
	free(new);
	return NULL;
}

static void apply(struct mem_store *s, const struct hcv_op *op,
		  struct mem_entry *new, int64_t rev)
{
	bool exists;
	size_t at = find(s, op->key, &exists);

	if (!op->value) {
		if (exists) {
			s->local.rev = rev;
			delete_at(s, at);
		}
		return;
	}
	s->local.rev = rev;
	new->kv.rev = rev;
	if (exists) {
		hcv_kv_free(&s->entry[at].kv);
	} else {
		memmove(&s->entry[at + 1], &s->entry[at],
			(s->nr - at) * sizeof(*s->entry));
		s->nr++;
	}
	s->entry[at] = *new;
	hcv_local_changed(&s->local, op->key);
}

static enum hcv_meta_result do_txn(struct mem_store *s,
				   const struct hcv_cmp *cmp, size_t nr_cmp,
				   const struct hcv_op *op, size_t nr_op)
{
	int64_t rev = s->local.rev + 1;
	enum hcv_meta_result res;
	struct mem_entry *new;
	size_t i;

	res = compare(s, cmp, nr_cmp);
	if (res != HCV_META_OK)
		return res;
	for (i = 0; i < nr_op; i++)
		if (op[i].value && op[i].lease &&
		    !hcv_local_lease_valid(&s->local, op[i].lease))
			return hcv_meta_fail(HCV_META_INVALID,
					     "lease %lld of %s has expired",
					     (long long)op[i].lease,
					     op[i].key);
	new = prepare(s, op, nr_op);
	if (!new)
		return no_memory();
	for (i = 0; i < nr_op; i++)
		apply(s, &op[i], &new[i], rev);
	free(new);
	return HCV_META_OK;
}

static enum hcv_meta_result mem_txn(struct hcv_meta *meta,
				    const struct hcv_cmp *cmp, size_t nr_cmp,
				    const struct hcv_op *op, size_t nr_op,
				    int64_t *rev, int64_t deadline)
{
	struct mem_meta *m = to_mem(meta);
	enum hcv_meta_result res, fault;
	bool skip;

	res = begin(m, deadline, &fault, &skip);
	if (res != HCV_META_OK)
		return res;
	if (!skip)
		res = do_txn(m->store, cmp, nr_cmp, op, nr_op);
	*rev = m->store->local.rev;
	return end(m, res, fault, true);
}

static enum hcv_meta_result mem_lease_grant(struct hcv_meta *meta,
					    unsigned int ttl_s, int64_t *lease,
					    int64_t deadline)
{
	struct mem_meta *m = to_mem(meta);
	enum hcv_meta_result res, fault;
	bool skip;

	res = begin(m, deadline, &fault, &skip);
	if (res != HCV_META_OK)
		return res;
	if (!skip)
		res = hcv_local_lease_grant(&m->store->local, NULL,
					    ttl_s, lease);
	if (fault != HCV_META_OK)
		*lease = 0;
	return end(m, res, fault, false);
}

static enum hcv_meta_result mem_lease_keep(struct hcv_meta *meta,
					   int64_t lease, int64_t deadline)
{
	struct mem_meta *m = to_mem(meta);
	enum hcv_meta_result res, fault;
	bool skip;

	res = begin(m, deadline, &fault, &skip);
	if (res != HCV_META_OK)
		return res;
	if (!skip)
		res = hcv_local_lease_keep(&m->store->local, lease);
	return end(m, res, fault, false);
}

static enum hcv_meta_result mem_lease_revoke(struct hcv_meta *meta,
					     int64_t lease, int64_t deadline)
{
	struct mem_meta *m = to_mem(meta);
	enum hcv_meta_result res, fault;
	bool skip;

	res = begin(m, deadline, &fault, &skip);
	if (res != HCV_META_OK)
		return res;
	if (!skip)
		res = hcv_local_lease_revoke(&m->store->local, lease);
	return end(m, res, fault, false);
}

static enum hcv_meta_result mem_watch(struct hcv_meta *meta,
				      const char *prefix, int64_t *rev,
				      int64_t deadline)
{
	struct mem_meta *m = to_mem(meta);
	enum hcv_meta_result res;

	res = hcv_local_lock(&m->store->local, deadline);
	if (res != HCV_META_OK)
		return res;
	if (m->cut)
		res = hcv_meta_fail(HCV_META_UNREACHABLE, "injected fault");
	else
		res = hcv_local_watch(&m->store->local, &m->client, prefix,
				      rev, deadline);
	hcv_local_unlock(&m->store->local);
	return res;
}

static void mem_watch_cancel(struct hcv_meta *meta)
{
	struct mem_meta *m = to_mem(meta);

	pthread_mutex_lock(&m->store->local.lock);
	hcv_local_cancel(&m->store->local, &m->client);
	hcv_local_unlock(&m->store->local);
}

void hcv_meta_mem_fail(struct hcv_meta *meta, unsigned int nth,
		       enum hcv_meta_mem_fault kind)
{
	struct mem_meta *m = to_mem(meta);

	pthread_mutex_lock(&m->store->local.lock);
	m->fail_in = nth;
	m->fail_kind = kind;
	hcv_local_unlock(&m->store->local);
}

unsigned int hcv_meta_mem_calls(struct hcv_meta *meta)
{
	struct mem_meta *m = to_mem(meta);
	unsigned int calls;

	pthread_mutex_lock(&m->store->local.lock);
	calls = m->calls;
	hcv_local_unlock(&m->store->local);
	return calls;
}

void hcv_meta_mem_cut(struct hcv_meta *meta, bool cut)
{
	struct mem_meta *m = to_mem(meta);

	pthread_mutex_lock(&m->store->local.lock);
	m->cut = cut;
	/* A watch that waits sees nothing more; it may as well end. */
	if (cut && m->client.watching)
		hcv_local_cancel(&m->store->local, &m->client);
	hcv_local_unlock(&m->store->local);
}

void hcv_meta_mem_advance(struct hcv_meta *meta, unsigned int ms)
{
	struct mem_meta *m = to_mem(meta);

	pthread_mutex_lock(&m->store->local.lock);
	m->store->local.skew_ms += ms;
	pthread_cond_broadcast(&m->store->local.cond);
	hcv_local_unlock(&m->store->local);
}

const struct hcv_meta_ops hcv_meta_mem_ops = {
	.scheme = "mem",
	.cluster = true,
	.open = mem_open,
	.close = mem_close,
	.get = mem_get,
	.list = mem_list,
	.txn = mem_txn,
	.lease_grant = mem_lease_grant,
	.lease_keep = mem_lease_keep,
	.lease_revoke = mem_lease_revoke,
	.watch = mem_watch,
	.watch_cancel = mem_watch_cancel,
};
