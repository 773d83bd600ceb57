// SPDX-License-Identifier: GPL-2.0-only
/* Following etcd's changes: whatever is told, applied to a list, makes a list. */
#include "meta_test.h"

#include <kunit/test.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS	24
#define TXNS	400

static struct t_etcd etcd;
static struct hcv_meta *meta;

/* The writer's: each transaction changes a/N and b/N alike. */
struct writer {
	pthread_t thread;
	struct hcv_meta *m;
	unsigned int seed;
	unsigned int txns;
	int64_t rev;
	unsigned int errors;
	atomic_bool done;
};

static void *write_all(void *arg)
{
	struct writer *w = arg;
	unsigned int i, n;

	for (i = 0; i < w->txns; i++) {
		char a[16], b[16], value[16];
		struct hcv_op op[2] = { { .key = a }, { .key = b } };

		n = (unsigned int)rand_r(&w->seed) % KEYS;
		snprintf(a, sizeof(a), "a/%02u", n);
		snprintf(b, sizeof(b), "b/%02u", n);
		snprintf(value, sizeof(value), "%u", i);
		if (rand_r(&w->seed) % 4)
			op[0].value = op[1].value = value;
		w->errors += hcv_meta_txn(w->m, NULL, 0, op, 2, &w->rev,
					  T_MS) != HCV_META_OK;
	}
	atomic_store(&w->done, true);
	return NULL;
}

static bool same(const struct hcv_kvs *a, const struct hcv_kvs *b)
{
	size_t i;

	if (a->nr != b->nr)
		return false;
	for (i = 0; i < a->nr; i++)
		if (strcmp(a->kv[i].key, b->kv[i].key) ||
		    strcmp(a->kv[i].value, b->kv[i].value) ||
		    a->kv[i].rev != b->kv[i].rev)
			return false;
	return true;
}

/* No revision is seen in part: both keys of each pair, or none. */
static bool paired(const struct hcv_kvs *kvs)
{
	size_t half = kvs->nr / 2, i;

	if (kvs->nr % 2)
		return false;
	for (i = 0; i < half; i++)
		if (strcmp(kvs->kv[i].key + 1, kvs->kv[half + i].key + 1) ||
		    strcmp(kvs->kv[i].value, kvs->kv[half + i].value) ||
		    kvs->kv[i].rev != kvs->kv[half + i].rev)
			return false;
	return true;
}

static int follow_init(struct kunit *test)
{
	char spec[256], *err;

	if (!t_etcd_binary())
		kunit_skip(test, "no etcd");
	if (!t_etcd_start(&etcd, 1))
		return -1;
	t_etcd_spec(&etcd, "f", 0, spec, sizeof(spec));
	meta = hcv_meta_open(spec, &err);
	return meta ? 0 : -1;
}

static void follow_exit(struct kunit *test)
{
	(void)test;
	if (meta)
		hcv_meta_close(meta);
	meta = NULL;
	t_etcd_stop(&etcd);
}

static void test_histories(struct kunit *test)
{
	struct writer w = { .m = meta, .seed = 1, .txns = TXNS };
	unsigned int told = 0, cancels = 0;
	struct hcv_kvs base = { 0 }, now = { 0 };
	struct hcv_meta_follow *f;
	enum hcv_meta_result res;
	unsigned int seed = 7;

	KUNIT_ASSERT_EQ(test, hcv_meta_list(meta, "", &base, T_MS),
			HCV_META_OK);
	f = hcv_meta_follow(meta, "", base.rev);
	KUNIT_ASSERT_NOT_NULL(test, f);
	KUNIT_ASSERT_EQ(test, pthread_create(&w.thread, NULL, write_all, &w),
			0);
	while (!atomic_load(&w.done) || base.rev < w.rev) {
		struct hcv_kvs changes = { 0 };

		/* Who waits may be called away at any time. */
		if (!(rand_r(&seed) % 4)) {
			hcv_meta_watch_cancel(meta);
			cancels++;
		}
		res = hcv_meta_follow_next(f, &changes, 1000);
		if (res == HCV_META_CONFLICT)
			continue;
		KUNIT_ASSERT_EQ_MSG(test, res, HCV_META_OK, "%s",
				    hcv_meta_last_error());
		KUNIT_ASSERT_GT(test, changes.rev, base.rev);
		told += changes.nr > 0;
		KUNIT_ASSERT_EQ(test, hcv_kvs_apply(&base, &changes), 0);
		KUNIT_ASSERT_EQ(test, base.rev, changes.rev);
		hcv_kvs_free(&changes);
		KUNIT_ASSERT_TRUE(test, paired(&base));
	}
	pthread_join(w.thread, NULL);
	KUNIT_EXPECT_EQ(test, w.errors, 0U);
	KUNIT_EXPECT_EQ(test, hcv_meta_wrote(meta), w.rev);
	KUNIT_EXPECT_EQ(test, base.rev, w.rev);
	KUNIT_ASSERT_EQ(test, hcv_meta_list(meta, "", &now, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_TRUE(test, same(&base, &now));
	KUNIT_EXPECT_GT(test, now.nr, (size_t)KEYS);
	kunit_info(test, "%u transactions came in %u pieces, %u cancels", TXNS,
		   told, cancels);
	hcv_kvs_free(&base);
	hcv_kvs_free(&now);
	hcv_meta_follow_end(f);
}

/* Only what is below the prefix, and from the revision on that was named. */
static void test_prefix(struct kunit *test)
{
	struct hcv_kvs changes = { 0 };
	struct hcv_meta_follow *f;
	int64_t rev, later;

	KUNIT_ASSERT_EQ(test, t_put(meta, "x/1", 0, "1", &rev), HCV_META_OK);
	KUNIT_ASSERT_EQ(test, t_put(meta, "y/1", 0, "1", NULL), HCV_META_OK);
	KUNIT_ASSERT_EQ(test, t_put(meta, "x/2", 0, "2", &later), HCV_META_OK);
	KUNIT_ASSERT_EQ(test, t_put(meta, "x/1", -1, NULL, NULL), HCV_META_OK);
	f = hcv_meta_follow(meta, "x/", rev);
	KUNIT_ASSERT_NOT_NULL(test, f);
	KUNIT_ASSERT_EQ(test, hcv_meta_follow_next(f, &changes, T_MS),
			HCV_META_OK);
	KUNIT_ASSERT_EQ(test, changes.nr, (size_t)2);
	KUNIT_EXPECT_STREQ(test, changes.kv[0].key, "x/2");
	KUNIT_EXPECT_STREQ(test, changes.kv[0].value, "2");
	KUNIT_EXPECT_EQ(test, changes.kv[0].rev, later);
	KUNIT_EXPECT_STREQ(test, changes.kv[1].key, "x/1");
	KUNIT_EXPECT_NULL(test, changes.kv[1].value);
	hcv_kvs_free(&changes);
	KUNIT_EXPECT_EQ(test, hcv_meta_follow_next(f, &changes, 300),
			HCV_META_CONFLICT);
	KUNIT_EXPECT_EQ(test, changes.nr, (size_t)0);
	hcv_meta_follow_end(f);
}

/* What was compacted away cannot be told: the list has to be read anew. */
static void test_compacted(struct kunit *test)
{
	struct hcv_kvs changes = { 0 };
	struct hcv_meta_follow *f;
	int64_t first, rev = 0;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, t_put(meta, "k", -1, "0", &first), HCV_META_OK);
	for (i = 0; i < 5; i++)
		KUNIT_ASSERT_EQ(test, t_put(meta, "k", -1, "1", &rev),
				HCV_META_OK);
	KUNIT_ASSERT_TRUE(test, t_etcd_compact(&etcd, rev));
	f = hcv_meta_follow(meta, "", first);
	KUNIT_ASSERT_NOT_NULL(test, f);
	KUNIT_EXPECT_EQ(test, hcv_meta_follow_next(f, &changes, T_MS),
			HCV_META_INVALID);
	KUNIT_EXPECT_EQ(test, hcv_meta_follow_next(f, &changes, T_MS),
			HCV_META_INVALID);
	hcv_meta_follow_end(f);
}

/* The member dies while we wait: told at once, and not taken for quiet. */
static void test_server_dies(struct kunit *test)
{
	struct hcv_kvs changes = { 0 };
	struct hcv_meta_follow *f;
	int64_t rev, start;

	KUNIT_ASSERT_EQ(test, t_put(meta, "k", -1, "0", &rev), HCV_META_OK);
	f = hcv_meta_follow(meta, "", rev);
	KUNIT_ASSERT_NOT_NULL(test, f);
	KUNIT_EXPECT_EQ(test, hcv_meta_follow_next(f, &changes, 300),
			HCV_META_CONFLICT);
	t_etcd_kill(&etcd, 0, SIGKILL);
	start = hcv_meta_now_ms();
	KUNIT_EXPECT_EQ(test, hcv_meta_follow_next(f, &changes, T_MS),
			HCV_META_UNREACHABLE);
	KUNIT_EXPECT_LT(test, hcv_meta_now_ms() - start, T_MS);
	KUNIT_EXPECT_EQ(test, hcv_meta_follow_next(f, &changes, T_MS),
			HCV_META_UNREACHABLE);
	hcv_meta_follow_end(f);
}

/* Local ones say so. */
static void test_local(struct kunit *test)
{
	struct hcv_meta *m;
	char *err;

	m = hcv_meta_open("mem:", &err);
	KUNIT_ASSERT_NOT_NULL(test, m);
	KUNIT_EXPECT_NULL(test, hcv_meta_follow(m, "", 0));
	hcv_meta_close(m);
}

static struct kunit_case follow_cases[] = {
	KUNIT_CASE(test_histories),
	KUNIT_CASE(test_prefix),
	KUNIT_CASE(test_compacted),
	KUNIT_CASE(test_server_dies),
	KUNIT_CASE(test_local),
	{}
};

static struct kunit_suite follow_suite = {
	.name = "hcv_meta_follow",
	.init = follow_init,
	.exit = follow_exit,
	.test_cases = follow_cases,
};
kunit_test_suite(follow_suite);
