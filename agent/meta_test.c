// SPDX-License-Identifier: GPL-2.0-only
/*
 * One set of tests for all back ends of the metadata store.
 *
 * They stand for what etcd does; the suites at the end run them in memory,
 * over SQLite and over a real etcd.
 */
#include "meta_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The store of the running case: two handles, as of two nodes. */
struct env {
	struct hcv_meta *m;
	struct hcv_meta *other;
	char dir[64];
};

static struct env env;
static struct t_etcd etcd;
static unsigned int case_nr;

static int open_both(struct kunit *test, const char *spec)
{
	char *err = NULL;

	env.m = hcv_meta_open(spec, &err);
	if (env.m)
		env.other = hcv_meta_open(spec, &err);
	if (err)
		kunit_err(test, "%s", err);
	free(err);
	return env.m && env.other ? 0 : -1;
}

static void exit_case(struct kunit *test)
{
	(void)test;
	hcv_meta_close(env.m);
	hcv_meta_close(env.other);
	if (*env.dir)
		t_rm(env.dir);
	memset(&env, 0, sizeof(env));
}

static void test_create_update_delete(struct kunit *test)
{
	char *value = NULL;
	int64_t rev, rev2, rev3;

	KUNIT_ASSERT_EQ(test, t_get(env.m, "vol/a", NULL), 0);
	KUNIT_ASSERT_EQ(test, t_put(env.m, "vol/a", 0, "one", &rev),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, t_get(env.other, "vol/a", &value), rev);
	KUNIT_EXPECT_STREQ(test, value, "one");
	KUNIT_EXPECT_EQ(test, t_put(env.other, "vol/a", 0, "two", NULL),
			HCV_META_CONFLICT);
	KUNIT_ASSERT_EQ(test, t_put(env.other, "vol/a", rev, "two", &rev2),
			HCV_META_OK);
	KUNIT_EXPECT_GT(test, rev2, rev);
	KUNIT_EXPECT_EQ(test, t_put(env.m, "vol/a", rev, "three", NULL),
			HCV_META_CONFLICT);
	KUNIT_EXPECT_EQ(test, t_get(env.m, "vol/a", &value), rev2);
	KUNIT_EXPECT_STREQ(test, value, "two");
	KUNIT_EXPECT_EQ(test, t_put(env.m, "vol/a", rev, NULL, NULL),
			HCV_META_CONFLICT);
	KUNIT_ASSERT_EQ(test, t_put(env.m, "vol/a", rev2, NULL, NULL),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, t_get(env.other, "vol/a", NULL), 0);
	/* Deleting what is not there is no error, and no change. */
	KUNIT_EXPECT_EQ(test, t_put(env.m, "vol/a", -1, NULL, NULL),
			HCV_META_OK);
	KUNIT_ASSERT_EQ(test, t_put(env.m, "vol/a", 0, "new", &rev3),
			HCV_META_OK);
	KUNIT_EXPECT_GT(test, rev3, rev2);
	free(value);
}

static void test_atomic(struct kunit *test)
{
	struct hcv_op op[] = {
		{ "a", "1", 0 }, { "b", "2", 0 }, { "gone", NULL, 0 },
	};
	struct hcv_cmp cmp[] = { { "a", 0 }, { "gone", 0 } };
	int64_t rev, gone;

	KUNIT_ASSERT_EQ(test, t_put(env.m, "gone", 0, "x", &gone),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, hcv_meta_txn(env.m, cmp, 2, op, 3, &rev, T_MS),
			HCV_META_CONFLICT);
	KUNIT_EXPECT_EQ(test, t_get(env.m, "a", NULL), 0);
	KUNIT_EXPECT_EQ(test, t_get(env.m, "b", NULL), 0);
	KUNIT_EXPECT_EQ(test, t_get(env.m, "gone", NULL), gone);
	cmp[1].rev = gone;
	KUNIT_ASSERT_EQ(test, hcv_meta_txn(env.m, cmp, 2, op, 3, &rev, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, t_get(env.m, "a", NULL), rev);
	KUNIT_EXPECT_EQ(test, t_get(env.m, "b", NULL), rev);
	KUNIT_EXPECT_EQ(test, t_get(env.m, "gone", NULL), 0);
	/* Comparing alone. */
	cmp[0].rev = rev;
	cmp[1].rev = 0;
	KUNIT_EXPECT_EQ(test, hcv_meta_txn(env.m, cmp, 2, NULL, 0, NULL, T_MS),
			HCV_META_OK);
	cmp[1].rev = gone;
	KUNIT_EXPECT_EQ(test, hcv_meta_txn(env.m, cmp, 2, NULL, 0, NULL, T_MS),
			HCV_META_CONFLICT);
}

static void test_list(struct kunit *test)
{
	struct hcv_op op[50];
	char key[300][32];
	struct hcv_kvs kvs;
	int64_t rev = 0;
	unsigned int i;

	/* Several pages; and neighbours of the prefix. */
	KUNIT_ASSERT_EQ(test, t_put(env.m, "rows", 0, "x", NULL), HCV_META_OK);
	KUNIT_ASSERT_EQ(test, t_put(env.m, "rows0", 0, "x", NULL),
			HCV_META_OK);
	for (i = 0; i < 300; i++) {
		snprintf(key[i], sizeof(key[i]), "rows/%03u", 299 - i);
		op[i % 50] = (struct hcv_op){ key[i], key[i], 0 };
		if (i % 50 == 49)
			KUNIT_ASSERT_EQ(test, hcv_meta_txn(env.m, NULL, 0, op,
							   50, &rev, T_MS),
					HCV_META_OK);
	}
	KUNIT_ASSERT_EQ(test, hcv_meta_list(env.other, "rows/", &kvs, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, kvs.rev, rev);
	KUNIT_ASSERT_EQ(test, kvs.nr, 300);
	for (i = 0; i < 300; i++) {
		KUNIT_EXPECT_STREQ(test, kvs.kv[i].key, key[299 - i]);
		KUNIT_EXPECT_STREQ(test, kvs.kv[i].value, key[299 - i]);
	}
	KUNIT_EXPECT_EQ(test, kvs.kv[0].rev, rev);
	hcv_kvs_free(&kvs);
	/* Everything, and nothing of the back end's own. */
	KUNIT_ASSERT_EQ(test, hcv_meta_list(env.other, "", &kvs, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, kvs.nr, 302);
	hcv_kvs_free(&kvs);
	KUNIT_ASSERT_EQ(test, hcv_meta_list(env.other, "none/", &kvs, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, kvs.nr, 0);
	hcv_kvs_free(&kvs);
}

static void test_values(struct kunit *test)
{
	static const char *const values[] = {
		"", "x", "xy", "xyz", "{\"a\":\"b\\n\"}", "\xc3\xbc\n\t\x01",
		"'; DROP TABLE kv; --",
	};
	char *big = kunit_kzalloc(test, 100001, 0);
	char *value = NULL;
	struct hcv_kvs kvs;
	char key[32];
	size_t i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		KUNIT_ASSERT_EQ(test, t_put(env.m, "v", -1, values[i], NULL),
				HCV_META_OK);
		KUNIT_ASSERT_GT(test, t_get(env.other, "v", &value), 0);
		KUNIT_EXPECT_STREQ(test, value, values[i]);
	}
	for (i = 0; i < 100000; i++)
		big[i] = (char)('a' + i % 26);
	for (i = 0; i < 80; i++) {
		snprintf(key, sizeof(key), "big/%zu", i);
		KUNIT_ASSERT_EQ(test, t_put(env.m, key, 0, big, NULL),
				HCV_META_OK);
	}
	KUNIT_ASSERT_EQ(test, hcv_meta_list(env.m, "big/", &kvs, 3 * T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, kvs.nr, 80);
	for (i = 0; i < kvs.nr; i++)
		KUNIT_EXPECT_TRUE(test, !strcmp(kvs.kv[i].value, big));
	hcv_kvs_free(&kvs);
	free(value);
}

static void test_invalid(struct kunit *test)
{
	static const char *const keys[] = {
		"", "with space", "\n", "token/1", "\xc3\xbc",
	};
	struct hcv_op twice[] = { { "a", "1", 0 }, { "a", NULL, 0 } };
	struct hcv_op many[HCV_META_OPS_MAX + 1];
	char name[HCV_META_OPS_MAX + 1][8];
	struct hcv_kv kv;
	int64_t lease;
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		KUNIT_EXPECT_EQ(test, t_put(env.m, keys[i], 0, "x", NULL),
				HCV_META_INVALID);
		KUNIT_EXPECT_EQ(test, hcv_meta_get(env.m, keys[i], &kv, T_MS),
				HCV_META_INVALID);
	}
	KUNIT_EXPECT_EQ(test, hcv_meta_txn(env.m, NULL, 0, twice, 2, NULL,
					   T_MS), HCV_META_INVALID);
	for (i = 0; i < HCV_META_OPS_MAX + 1; i++) {
		snprintf(name[i], sizeof(name[i]), "k%zu", i);
		many[i] = (struct hcv_op){ name[i], "x", 0 };
	}
	KUNIT_EXPECT_EQ(test, hcv_meta_txn(env.m, NULL, 0, many,
					   HCV_META_OPS_MAX + 1, NULL, T_MS),
			HCV_META_INVALID);
	KUNIT_EXPECT_EQ(test, hcv_meta_txn(env.m, NULL, 0, many,
					   HCV_META_OPS_MAX, NULL, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, hcv_meta_lease_grant(env.m, 0, &lease, T_MS),
			HCV_META_INVALID);
}

static void test_lease(struct kunit *test)
{
	int64_t lease;
	struct hcv_op op = { "live/a", "x", 0 };

	KUNIT_ASSERT_EQ(test, hcv_meta_lease_grant(env.m, 60, &lease, T_MS),
			HCV_META_OK);
	op.lease = lease;
	KUNIT_ASSERT_EQ(test, hcv_meta_txn(env.m, NULL, 0, &op, 1, NULL, T_MS),
			HCV_META_OK);
	KUNIT_ASSERT_EQ(test, t_put(env.m, "live/b", 0, "stays", NULL),
			HCV_META_OK);
	op.key = "live/b";
	KUNIT_ASSERT_EQ(test, hcv_meta_txn(env.m, NULL, 0, &op, 1, NULL, T_MS),
			HCV_META_OK);
	/* A put without a lease takes the key off it. */
	KUNIT_ASSERT_EQ(test, t_put(env.m, "live/b", -1, "stays", NULL),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, hcv_meta_lease_keep(env.m, lease, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_GT(test, t_get(env.other, "live/a", NULL), 0);
	KUNIT_EXPECT_EQ(test, hcv_meta_lease_revoke(env.m, lease, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, t_get(env.other, "live/a", NULL), 0);
	KUNIT_EXPECT_GT(test, t_get(env.other, "live/b", NULL), 0);
	KUNIT_EXPECT_EQ(test, hcv_meta_lease_keep(env.m, lease, T_MS),
			HCV_META_INVALID);
	KUNIT_EXPECT_EQ(test, hcv_meta_lease_revoke(env.m, lease, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, hcv_meta_txn(env.m, NULL, 0, &op, 1, NULL, T_MS),
			HCV_META_INVALID);
	KUNIT_EXPECT_GT(test, t_get(env.other, "live/b", NULL), 0);
}

static void test_lease_ends(struct kunit *test)
{
	int64_t lease, rev;
	struct hcv_op op = { "live/a", "x", 0 };

	KUNIT_ASSERT_EQ(test, hcv_meta_lease_grant(env.m, 2, &lease, T_MS),
			HCV_META_OK);
	op.lease = lease;
	KUNIT_ASSERT_EQ(test, hcv_meta_txn(env.m, NULL, 0, &op, 1, &rev, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(env.other, "live/", &rev,
					     3 * T_MS), HCV_META_OK);
	KUNIT_EXPECT_EQ(test, t_get(env.other, "live/a", NULL), 0);
	KUNIT_EXPECT_EQ(test, hcv_meta_lease_keep(env.m, lease, T_MS),
			HCV_META_INVALID);
}

/* Something done a little later, by another node. */
struct later {
	pthread_t thread;
	struct hcv_meta *m;
	unsigned int ms;
	const char *key;
	const char *value;
	bool cancel;
	enum hcv_meta_result res;
};

static void *later_run(void *arg)
{
	struct later *l = arg;
	struct timespec ts = { 0, l->ms * 1000000L };

	nanosleep(&ts, NULL);
	if (l->cancel)
		hcv_meta_watch_cancel(l->m);
	else
		l->res = t_put(l->m, l->key, -1, l->value, NULL);
	return NULL;
}

static void test_watch(struct kunit *test)
{
	struct later l = {
		.m = env.other, .ms = 300, .key = "vol/x", .value = "1",
	};
	int64_t rev, start;

	KUNIT_ASSERT_EQ(test, t_put(env.m, "vol/y", 0, "0", &rev),
			HCV_META_OK);
	/* Quiet. */
	start = hcv_meta_now_ms();
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(env.m, "vol/", &rev, 300),
			HCV_META_CONFLICT);
	KUNIT_EXPECT_GE(test, hcv_meta_now_ms() - start, 295);
	/* Woken by a put, and by a delete. */
	KUNIT_ASSERT_EQ(test, pthread_create(&l.thread, NULL, later_run, &l),
			0);
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(env.m, "vol/", &rev, T_MS),
			HCV_META_OK);
	pthread_join(l.thread, NULL);
	KUNIT_EXPECT_EQ(test, rev, t_get(env.m, "vol/x", NULL));
	l.value = NULL;
	KUNIT_ASSERT_EQ(test, pthread_create(&l.thread, NULL, later_run, &l),
			0);
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(env.m, "vol/", &rev, T_MS),
			HCV_META_OK);
	pthread_join(l.thread, NULL);
	/* Not by other prefixes. */
	l.key = "volname/x";
	l.value = "1";
	KUNIT_ASSERT_EQ(test, pthread_create(&l.thread, NULL, later_run, &l),
			0);
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(env.m, "vol/", &rev, 1000),
			HCV_META_CONFLICT);
	pthread_join(l.thread, NULL);
	KUNIT_EXPECT_EQ(test, l.res, HCV_META_OK);
}

/* A change between the list and the watch is seen. */
static void test_watch_past(struct kunit *test)
{
	int64_t rev, later;

	KUNIT_ASSERT_EQ(test, t_put(env.m, "a", -1, "0", &rev), HCV_META_OK);
	KUNIT_ASSERT_EQ(test, t_put(env.other, "b", -1, "1", &later),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(env.m, "", &rev, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, rev, later);
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(env.m, "", &rev, 200),
			HCV_META_CONFLICT);
}

static void test_watch_cancel(struct kunit *test)
{
	struct later l = { .m = env.m, .ms = 300, .cancel = true };
	int64_t rev, start;

	KUNIT_ASSERT_EQ(test, t_put(env.m, "a", -1, "0", &rev), HCV_META_OK);
	KUNIT_ASSERT_EQ(test, pthread_create(&l.thread, NULL, later_run, &l),
			0);
	start = hcv_meta_now_ms();
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(env.m, "", &rev, 6 * T_MS),
			HCV_META_CONFLICT);
	pthread_join(l.thread, NULL);
	/* Before it begins, and only once. */
	hcv_meta_watch_cancel(env.m);
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(env.m, "", &rev, 6 * T_MS),
			HCV_META_CONFLICT);
	KUNIT_EXPECT_LT(test, hcv_meta_now_ms() - start, T_MS);
	start = hcv_meta_now_ms();
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(env.m, "", &rev, 500),
			HCV_META_CONFLICT);
	KUNIT_EXPECT_GE(test, hcv_meta_now_ms() - start, 495);
}

/* From a revision of which nothing is known any more. */
static void test_watch_forgotten(struct kunit *test)
{
	int64_t first, rev = 0;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, t_put(env.m, "a", -1, "0", &first), HCV_META_OK);
	for (i = 0; i < 1100; i++)
		KUNIT_ASSERT_EQ(test, t_put(env.m, i % 2 ? "b" : "c", -1, "0",
					    &rev), HCV_META_OK);
	if (etcd.nr)
		KUNIT_ASSERT_TRUE(test, t_etcd_compact(&etcd, rev));
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(env.m, "d", &first, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, first, rev);
}

#define RACERS	4
#define ROUNDS	25

struct racer {
	pthread_t thread;
	struct hcv_meta *m;
	unsigned int nr;
	unsigned int won;
	unsigned int lost;
	unsigned int errors;
};

/* A counter, grown by compare and swap. */
static void *race_count(void *arg)
{
	struct racer *r = arg;
	enum hcv_meta_result res;
	int64_t rev;
	char text[24];
	long n;

	while (r->won < ROUNDS && !r->errors) {
		n = t_get_num(r->m, "count", &rev);
		if (rev < 0) {
			r->errors++;
			break;
		}
		snprintf(text, sizeof(text), "%ld", rev ? n + 1 : 1);
		res = t_put(r->m, "count", rev, text, NULL);
		r->won += res == HCV_META_OK;
		r->lost += res == HCV_META_CONFLICT;
		r->errors += res != HCV_META_OK && res != HCV_META_CONFLICT;
	}
	return NULL;
}

/* The same keys, created by all. */
static void *race_create(void *arg)
{
	struct racer *r = arg;
	enum hcv_meta_result res;
	unsigned int i;
	char key[16];

	for (i = 0; i < ROUNDS; i++) {
		snprintf(key, sizeof(key), "name/%u", i);
		res = t_put(r->m, key, 0, "mine", NULL);
		r->won += res == HCV_META_OK;
		r->lost += res == HCV_META_CONFLICT;
		r->errors += res != HCV_META_OK && res != HCV_META_CONFLICT;
	}
	return NULL;
}

static struct racer race(struct kunit *test, void *(*run)(void *arg))
{
	struct racer r[RACERS] = { 0 }, sum = { 0 };
	unsigned int i;

	for (i = 0; i < RACERS; i++) {
		r[i].m = i % 2 ? env.m : env.other;
		r[i].nr = i;
		KUNIT_EXPECT_EQ(test, pthread_create(&r[i].thread, NULL, run,
						     &r[i]), 0);
	}
	for (i = 0; i < RACERS; i++) {
		pthread_join(r[i].thread, NULL);
		sum.won += r[i].won;
		sum.lost += r[i].lost;
		sum.errors += r[i].errors;
	}
	return sum;
}

static void test_race_count(struct kunit *test)
{
	struct racer sum = race(test, race_count);
	int64_t rev;

	KUNIT_EXPECT_EQ(test, sum.errors, 0);
	KUNIT_EXPECT_EQ(test, sum.won, RACERS * ROUNDS);
	KUNIT_EXPECT_EQ(test, t_get_num(env.m, "count", &rev),
			RACERS * ROUNDS);
}

static void test_race_create(struct kunit *test)
{
	struct racer sum = race(test, race_create);

	KUNIT_EXPECT_EQ(test, sum.errors, 0);
	KUNIT_EXPECT_EQ(test, sum.won, ROUNDS);
	KUNIT_EXPECT_EQ(test, sum.lost, (RACERS - 1) * ROUNDS);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(test_create_update_delete),
	KUNIT_CASE(test_atomic),
	KUNIT_CASE(test_list),
	KUNIT_CASE(test_values),
	KUNIT_CASE(test_invalid),
	KUNIT_CASE(test_lease),
	KUNIT_CASE(test_lease_ends),
	KUNIT_CASE(test_watch),
	KUNIT_CASE(test_watch_past),
	KUNIT_CASE(test_watch_cancel),
	KUNIT_CASE(test_watch_forgotten),
	KUNIT_CASE(test_race_count),
	KUNIT_CASE(test_race_create),
	{}
};

static int init_mem(struct kunit *test)
{
	char spec[32];

	snprintf(spec, sizeof(spec), "mem:case%u", case_nr++);
	return open_both(test, spec);
}

static struct kunit_suite mem_suite = {
	.name = "hcv_meta_mem",
	.init = init_mem,
	.exit = exit_case,
	.test_cases = cases,
};
kunit_test_suite(mem_suite);

static int init_sqlite(struct kunit *test)
{
	char spec[128];

	if (!t_tmp_dir(env.dir, sizeof(env.dir)))
		return -1;
	snprintf(spec, sizeof(spec), "sqlite:%s/meta.db", env.dir);
	return open_both(test, spec);
}

static struct kunit_suite sqlite_suite = {
	.name = "hcv_meta_sqlite",
	.init = init_sqlite,
	.exit = exit_case,
	.test_cases = cases,
};
kunit_test_suite(sqlite_suite);

static int start_etcd(struct kunit_suite *suite)
{
	(void)suite;
	if (!t_etcd_binary())
		return 0;
	return t_etcd_start(&etcd, 1) ? 0 : -1;
}

static void stop_etcd(struct kunit_suite *suite)
{
	(void)suite;
	t_etcd_stop(&etcd);
}

static int init_etcd(struct kunit *test)
{
	char name[16], spec[256];

	if (!t_etcd_binary())
		kunit_skip(test, "no etcd: run tools/dev/deps etcd");
	snprintf(name, sizeof(name), "case%u", case_nr++);
	t_etcd_spec(&etcd, name, 0, spec, sizeof(spec));
	return open_both(test, spec);
}

static struct kunit_suite etcd_suite = {
	.name = "hcv_meta_etcd",
	.suite_init = start_etcd,
	.suite_exit = stop_etcd,
	.init = init_etcd,
	.exit = exit_case,
	.test_cases = cases,
};
kunit_test_suite(etcd_suite);
