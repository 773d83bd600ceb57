// SPDX-License-Identifier: GPL-2.0-only
/*
 * What goes wrong with etcd: lost answers, late requests, servers that die,
 * freeze, lose their majority, come back, or are full.
 */
#include "meta_test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "meta_etcd.h"

static struct t_etcd etcd;
static struct t_proxy *proxy;
static struct hcv_meta *direct;		/* straight to the server(s) */
static struct hcv_meta *bent;		/* through the proxy, then straight */
static struct hcv_meta *lost;		/* through the proxy only */

static struct hcv_meta *open_spec(struct kunit *test, const char *spec)
{
	char *err = NULL;
	struct hcv_meta *m = hcv_meta_open(spec, &err);

	if (!m)
		kunit_err(test, "%s", err);
	free(err);
	return m;
}

static int need_etcd(struct kunit *test)
{
	if (!t_etcd_binary())
		kunit_skip(test, "no etcd: run tools/dev/deps etcd");
	return 0;
}

static int init_one(struct kunit *test)
{
	char spec[256];

	need_etcd(test);
	if (!t_etcd_start(&etcd, 1))
		return -1;
	proxy = t_proxy_start(etcd.client_port[0]);
	if (!proxy)
		return -1;
	t_etcd_spec(&etcd, "x", 0, spec, sizeof(spec));
	direct = open_spec(test, spec);
	snprintf(spec, sizeof(spec),
		 "etcd:x:http://127.0.0.1:%u,http://127.0.0.1:%u",
		 t_proxy_port(proxy), etcd.client_port[0]);
	bent = open_spec(test, spec);
	snprintf(spec, sizeof(spec), "etcd:x:http://127.0.0.1:%u",
		 t_proxy_port(proxy));
	lost = open_spec(test, spec);
	if (!direct || !bent || !lost)
		return -1;
	/* The lease of tokens is there; what is disturbed is what is tested. */
	return t_put(bent, "warm", -1, "x", NULL) ||
	       t_put(lost, "warm", -1, "x", NULL);
}

static void exit_any(struct kunit *test)
{
	(void)test;
	hcv_meta_close(direct);
	hcv_meta_close(bent);
	hcv_meta_close(lost);
	direct = NULL;
	bent = NULL;
	lost = NULL;
	t_proxy_stop(proxy);
	proxy = NULL;
	t_etcd_stop(&etcd);
}

/* Done by the first try, found out by the second. */
static void test_reply_lost(struct kunit *test)
{
	int64_t rev;
	unsigned int i;
	char key[16];

	for (i = 0; i < 3; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		((struct hcv_etcd *)bent)->good = 0;
		t_proxy_mode(proxy, T_PROXY_NO_REPLY);
		KUNIT_EXPECT_EQ(test, t_put(bent, key, 0, "x", &rev),
				HCV_META_OK);
		t_proxy_mode(proxy, T_PROXY_PASS);
		KUNIT_EXPECT_EQ(test, t_get(direct, key, NULL), rev);
	}
}

static void test_reply_lost_for_good(struct kunit *test)
{
	struct hcv_op op = { "k", "x", 0 };
	struct hcv_cmp cmp = { "k", 0 };
	int64_t start = hcv_meta_now_ms();

	t_proxy_mode(proxy, T_PROXY_NO_REPLY);
	KUNIT_EXPECT_EQ(test, hcv_meta_txn(lost, &cmp, 1, &op, 1, NULL, 1200),
			HCV_META_UNKNOWN);
	KUNIT_EXPECT_LT(test, hcv_meta_now_ms() - start, 1200 + T_SLOW_MS);
	KUNIT_EXPECT_GT(test, t_get(direct, "k", NULL), 0);
	t_proxy_mode(proxy, T_PROXY_PASS);
	KUNIT_EXPECT_GT(test, t_get(lost, "k", NULL), 0);
	KUNIT_EXPECT_EQ(test, t_put(lost, "k2", 0, "x", NULL), HCV_META_OK);
}

/* The first try arrives when a later transaction has been done. */
static void test_request_late(struct kunit *test)
{
	char *value = NULL;
	int64_t rev;

	((struct hcv_etcd *)bent)->good = 0;
	t_proxy_mode(proxy, T_PROXY_HOLD);
	KUNIT_EXPECT_EQ(test, t_put(bent, "k", -1, "first", NULL),
			HCV_META_OK);
	/* These go straight; one deletes the token of the one before. */
	KUNIT_EXPECT_EQ(test, t_put(bent, "k", -1, "second", NULL),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, t_put(bent, "k", -1, "third", &rev),
			HCV_META_OK);
	KUNIT_ASSERT_TRUE(test, t_proxy_wait_held(proxy, 0));
	KUNIT_ASSERT_TRUE(test, t_proxy_release(proxy));
	KUNIT_EXPECT_EQ(test, t_get(direct, "k", &value), rev);
	KUNIT_EXPECT_STREQ(test, value, "third");
	free(value);
}

struct meddler {
	pthread_t thread;
	bool held;
	enum hcv_meta_result res;
};

/* Between the first try and the second somebody else takes the key. */
static void *meddle(void *arg)
{
	struct meddler *m = arg;

	m->held = t_proxy_wait_held(proxy, T_MS);
	m->res = t_put(direct, "k", 0, "theirs", NULL);
	return NULL;
}

/* A conflict stays one, even when its compare becomes true again. */
static void test_late_after_conflict(struct kunit *test)
{
	struct meddler m = { .res = HCV_META_INVALID };
	enum hcv_meta_result res;

	((struct hcv_etcd *)bent)->good = 0;
	t_proxy_mode(proxy, T_PROXY_HOLD);
	KUNIT_ASSERT_EQ(test, pthread_create(&m.thread, NULL, meddle, &m), 0);
	res = t_put(bent, "k", 0, "ours", NULL);
	pthread_join(m.thread, NULL);
	KUNIT_EXPECT_TRUE(test, m.held);
	KUNIT_EXPECT_EQ(test, m.res, HCV_META_OK);
	KUNIT_EXPECT_EQ(test, res, HCV_META_CONFLICT);
	KUNIT_EXPECT_EQ(test, t_put(direct, "k", -1, NULL, NULL), HCV_META_OK);
	KUNIT_ASSERT_TRUE(test, t_proxy_release(proxy));
	KUNIT_EXPECT_EQ(test, t_get(direct, "k", NULL), 0);
}

/* The lease under our tokens is taken away. */
static void test_token_lease_lost(struct kunit *test)
{
	struct hcv_etcd *e = (struct hcv_etcd *)direct;

	KUNIT_ASSERT_EQ(test, t_put(direct, "a", 0, "x", NULL), HCV_META_OK);
	KUNIT_ASSERT_NE(test, e->token_lease, 0);
	KUNIT_ASSERT_EQ(test, hcv_meta_lease_revoke(direct, e->token_lease,
						    T_MS), HCV_META_OK);
	KUNIT_EXPECT_EQ(test, t_put(direct, "b", 0, "x", NULL), HCV_META_OK);
	/* Also when it is found missing at its renewal. */
	KUNIT_ASSERT_EQ(test, hcv_meta_lease_revoke(direct, e->token_lease,
						    T_MS), HCV_META_OK);
	e->token_lease_ms -= 40000;
	KUNIT_EXPECT_EQ(test, t_put(direct, "c", 0, "x", NULL), HCV_META_OK);
}

/* As many tokens as connections, not as transactions. */
static void test_tokens_cleaned(struct kunit *test)
{
	struct hcv_etcd *e = (struct hcv_etcd *)direct;
	struct hcv_etcd_reply reply;
	struct hcv_etcd_conn *c;
	bool maybe = false;
	int64_t nr;
	char *body;
	size_t size;
	FILE *f;
	int i;

	for (i = 0; i < 20; i++)
		KUNIT_ASSERT_EQ(test, t_put(direct, "a", -1, "x", NULL),
				HCV_META_OK);
	f = open_memstream(&body, &size);
	KUNIT_ASSERT_NOT_NULL(test, f);
	fputs("{", f);
	hcv_etcd_put_range(f, e, "token/", 6, "token/");
	fputs(",\"count_only\":true}", f);
	fclose(f);
	c = hcv_etcd_conn_get(e);
	KUNIT_ASSERT_EQ(test, hcv_etcd_call(e, c, "/v3/kv/range", body,
					    hcv_meta_now_ms() + T_MS, &reply,
					    &maybe), HCV_META_OK);
	nr = hcv_etcd_num(reply.o, "count");
	hcv_etcd_reply_free(&reply);
	hcv_etcd_conn_put(e, c);
	free(body);
	/* Three handles, each of one connection. */
	KUNIT_EXPECT_EQ(test, nr, 3);
}

static void test_no_server(struct kunit *test)
{
	struct hcv_op op = { "k", "x", 0 };
	int64_t start, rev = 1, lease;
	struct hcv_kv kv;

	t_etcd_kill(&etcd, 0, SIGKILL);
	start = hcv_meta_now_ms();
	KUNIT_EXPECT_EQ(test, hcv_meta_get(direct, "k", &kv, 700),
			HCV_META_UNREACHABLE);
	KUNIT_EXPECT_EQ(test, hcv_meta_lease_grant(direct, 10, &lease, 700),
			HCV_META_UNREACHABLE);
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(direct, "", &rev, 700),
			HCV_META_UNREACHABLE);
	KUNIT_EXPECT_LT(test, hcv_meta_now_ms() - start, 3 * 700 + T_SLOW_MS);
	KUNIT_EXPECT_EQ(test, hcv_meta_txn(direct, NULL, 0, &op, 1, NULL, 700),
			HCV_META_UNREACHABLE);
	KUNIT_EXPECT_TRUE(test, strstr(hcv_meta_last_error(), "127.0.0.1"));
}

/* A counter is grown until told to stop. */
struct counter {
	pthread_t thread;
	struct hcv_meta *m;
	bool stop;
	long value;		/* that was acknowledged last */
	long maybe;		/* that of a change with an unknown outcome */
	unsigned int wrong;
	unsigned int done;
};

static void count_once(struct counter *c)
{
	enum hcv_meta_result res;
	char text[24];
	int64_t rev;
	long n;

	n = t_get_num(c->m, "count", &rev);
	if (rev < 0)
		return;
	n = rev ? n : 0;
	/* Nothing acknowledged is missing, nothing came out of the blue. */
	c->wrong += n != c->value && n != c->maybe;
	c->value = n;
	snprintf(text, sizeof(text), "%ld", n + 1);
	res = t_put(c->m, "count", rev, text, NULL);
	c->maybe = n;
	if (res == HCV_META_OK)
		c->value = n + 1;
	else if (res == HCV_META_UNKNOWN)
		c->maybe = n + 1;
	c->wrong += res == HCV_META_CONFLICT && c->maybe == n;
	__atomic_add_fetch(&c->done, res == HCV_META_OK, __ATOMIC_RELAXED);
}

static void *count(void *arg)
{
	struct counter *c = arg;

	while (!__atomic_load_n(&c->stop, __ATOMIC_ACQUIRE))
		count_once(c);
	return NULL;
}

static void wait_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* Let the counter run on by @more; false: it stands still. */
static bool counts_on(struct counter *c, unsigned int more)
{
	unsigned int start = __atomic_load_n(&c->done, __ATOMIC_RELAXED);
	int64_t until = hcv_meta_now_ms() + 3 * T_MS;

	while (__atomic_load_n(&c->done, __ATOMIC_RELAXED) < start + more) {
		if (hcv_meta_now_ms() > until)
			return false;
		wait_ms(20);
	}
	return true;
}

static void count_end(struct kunit *test, struct counter *c)
{
	int64_t rev;

	__atomic_store_n(&c->stop, true, __ATOMIC_RELEASE);
	pthread_join(c->thread, NULL);
	kunit_info(test, "%u increments, value %ld", c->done, c->value);
	KUNIT_EXPECT_EQ(test, c->wrong, 0);
	KUNIT_EXPECT_GE(test, t_get_num(c->m, "count", &rev), c->value);
}

static void test_restart(struct kunit *test)
{
	struct counter c = { .m = direct };
	unsigned int i;

	KUNIT_ASSERT_EQ(test, pthread_create(&c.thread, NULL, count, &c), 0);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_TRUE(test, counts_on(&c, 50));
		t_etcd_kill(&etcd, 0, SIGKILL);
		wait_ms(300);
		KUNIT_EXPECT_TRUE(test, t_etcd_run(&etcd, 0));
	}
	KUNIT_EXPECT_TRUE(test, counts_on(&c, 50));
	count_end(test, &c);
}

static void test_frozen(struct kunit *test)
{
	struct hcv_op op = { "k", "x", 0 };
	int64_t start, rev;

	/* With a lease for its token, the request itself gets out. */
	KUNIT_EXPECT_EQ(test, t_put(direct, "k", 0, "x", NULL), HCV_META_OK);
	t_etcd_kill(&etcd, 0, SIGSTOP);
	start = hcv_meta_now_ms();
	KUNIT_EXPECT_EQ(test, hcv_meta_txn(direct, NULL, 0, &op, 1, NULL,
					   1000), HCV_META_UNKNOWN);
	KUNIT_EXPECT_LT(test, hcv_meta_now_ms() - start, 1000 + T_SLOW_MS);
	rev = 1;
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(direct, "", &rev, 3000),
			HCV_META_UNREACHABLE);
	t_etcd_kill(&etcd, 0, SIGCONT);
	KUNIT_EXPECT_EQ(test, t_put(direct, "k", -1, "y", NULL), HCV_META_OK);
}

static void test_full(struct kunit *test)
{
	char *value = kunit_kzalloc(test, 1000001, 0);
	enum hcv_meta_result res = HCV_META_OK;
	char key[16];
	int64_t rev;
	int i;

	t_etcd_kill(&etcd, 0, SIGKILL);
	etcd.quota = "4000000";
	KUNIT_ASSERT_TRUE(test, t_etcd_run(&etcd, 0));
	KUNIT_ASSERT_TRUE(test, t_etcd_ready(&etcd, 0));
	memset(value, 'x', 1000000);
	for (i = 0; i < 10 && res == HCV_META_OK; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		res = t_put(direct, key, 0, value, &rev);
	}
	/* UNKNOWN if a try had no answer: no room for the fence either. */
	KUNIT_EXPECT_TRUE(test, res == HCV_META_UNREACHABLE ||
				res == HCV_META_UNKNOWN);
	KUNIT_EXPECT_TRUE_MSG(test, strstr(hcv_meta_last_error(), "alarm"),
			      "%s", hcv_meta_last_error());
	KUNIT_EXPECT_GT(test, t_get(direct, "k0", NULL), 0);
}

static struct kunit_case one_cases[] = {
	KUNIT_CASE(test_reply_lost),
	KUNIT_CASE(test_reply_lost_for_good),
	KUNIT_CASE(test_request_late),
	KUNIT_CASE(test_late_after_conflict),
	KUNIT_CASE(test_token_lease_lost),
	KUNIT_CASE(test_tokens_cleaned),
	KUNIT_CASE(test_no_server),
	KUNIT_CASE(test_restart),
	KUNIT_CASE(test_frozen),
	KUNIT_CASE(test_full),
	{}
};

static struct kunit_suite one_suite = {
	.name = "hcv_meta_etcd_one",
	.init = init_one,
	.exit = exit_any,
	.test_cases = one_cases,
};
kunit_test_suite(one_suite);

static int init_three(struct kunit *test)
{
	char spec[256];

	need_etcd(test);
	if (!t_etcd_start(&etcd, 3))
		return -1;
	t_etcd_spec(&etcd, "x", 0, spec, sizeof(spec));
	direct = open_spec(test, spec);
	return direct ? 0 : -1;
}

static void disturb_leader(struct kunit *test, int sig)
{
	struct counter c = { .m = direct };
	int leader;

	KUNIT_ASSERT_EQ(test, pthread_create(&c.thread, NULL, count, &c), 0);
	KUNIT_EXPECT_TRUE(test, counts_on(&c, 50));
	leader = t_etcd_leader(&etcd);
	KUNIT_EXPECT_GE(test, leader, 0);
	if (leader >= 0) {
		t_etcd_kill(&etcd, (unsigned int)leader, sig);
		KUNIT_EXPECT_TRUE(test, counts_on(&c, 50));
		if (sig == SIGSTOP)
			t_etcd_kill(&etcd, (unsigned int)leader, SIGCONT);
		else
			t_etcd_run(&etcd, (unsigned int)leader);
		KUNIT_EXPECT_TRUE(test, counts_on(&c, 50));
	}
	count_end(test, &c);
}

static void test_leader_killed(struct kunit *test)
{
	disturb_leader(test, SIGKILL);
}

static void test_leader_frozen(struct kunit *test)
{
	disturb_leader(test, SIGSTOP);
}

/* What a put takes that goes to a given member first. */
static int64_t put_ms(struct kunit *test, size_t first)
{
	int64_t start = hcv_meta_now_ms();

	((struct hcv_etcd *)direct)->good = first;
	KUNIT_EXPECT_EQ(test, t_put(direct, "k", -1, "y", NULL), HCV_META_OK);
	return hcv_meta_now_ms() - start;
}

/*
 * As when a node with a replica dies, and with it etcd's leader: a second later
 * a guest waits for one transaction, the first one for a while.  It takes the
 * rest of the election and little more, and then little.
 */
static void test_leader_frozen_gap(struct kunit *test)
{
	struct hcv_etcd *e = (struct hcv_etcd *)direct;
	int64_t took, least = T_MS, usual = 0;
	int leader, i;

	KUNIT_ASSERT_EQ(test, t_put(direct, "k", -1, "x", NULL), HCV_META_OK);
	leader = t_etcd_leader(&etcd);
	KUNIT_ASSERT_GE(test, leader, 0);
	/* What a slow machine needs without any fault. */
	for (i = 0; i < 5; i++) {
		int64_t ms = put_ms(test, (size_t)leader);

		usual = ms > usual ? ms : usual;
	}
	e->token_lease_ms -= 30000;
	t_etcd_kill(&etcd, (unsigned int)leader, SIGSTOP);
	wait_ms(1000);
	took = put_ms(test, (size_t)leader);
	for (i = 0; i < 5; i++) {
		int64_t ms = put_ms(test, (size_t)leader);

		least = ms < least ? ms : least;
	}
	t_etcd_kill(&etcd, (unsigned int)leader, SIGCONT);
	kunit_info(test, "usually %lld ms, now %lld ms, then %lld ms",
		   (long long)usual, (long long)took, (long long)least);
	KUNIT_EXPECT_LT(test, took, 1900 + 20 * usual);
	KUNIT_EXPECT_LT(test, least, 400 + 10 * usual);
}

/* Of a member without the others, nothing is believed. */
static void test_minority(struct kunit *test)
{
	struct hcv_op op = { "k", "x", 0 };
	struct hcv_kv kv;
	int64_t rev, start;

	KUNIT_ASSERT_EQ(test, t_put(direct, "k", 0, "x", &rev), HCV_META_OK);
	t_etcd_kill(&etcd, 1, SIGKILL);
	t_etcd_kill(&etcd, 2, SIGKILL);
	start = hcv_meta_now_ms();
	KUNIT_EXPECT_EQ(test, hcv_meta_get(direct, "k", &kv, 2000),
			HCV_META_UNREACHABLE);
	KUNIT_EXPECT_NE(test, hcv_meta_txn(direct, NULL, 0, &op, 1, NULL,
					   2000), HCV_META_OK);
	KUNIT_EXPECT_LT(test, hcv_meta_now_ms() - start, 2 * 2000 + T_SLOW_MS);
	/* The watch tells within a few election time-outs. */
	start = hcv_meta_now_ms();
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(direct, "", &rev, 3 * T_MS),
			HCV_META_UNREACHABLE);
	KUNIT_EXPECT_LT(test, hcv_meta_now_ms() - start, T_MS);
	KUNIT_ASSERT_TRUE(test, t_etcd_run(&etcd, 1));
	KUNIT_ASSERT_TRUE(test, t_etcd_ready(&etcd, 0));
	KUNIT_EXPECT_EQ(test, t_put(direct, "k", -1, "y", NULL), HCV_META_OK);
}

/* A lease outlives its leader, and ends after a new one is there. */
static void test_lease_over_leaders(struct kunit *test)
{
	struct hcv_op op = { "live/a", "x", 0 };
	int64_t rev;
	int leader;

	KUNIT_ASSERT_EQ(test, hcv_meta_lease_grant(direct, 5, &op.lease, T_MS),
			HCV_META_OK);
	KUNIT_ASSERT_EQ(test, hcv_meta_txn(direct, NULL, 0, &op, 1, &rev,
					   T_MS), HCV_META_OK);
	leader = t_etcd_leader(&etcd);
	KUNIT_ASSERT_GE(test, leader, 0);
	t_etcd_kill(&etcd, (unsigned int)leader, SIGKILL);
	KUNIT_EXPECT_EQ(test, hcv_meta_lease_keep(direct, op.lease, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, t_get(direct, "live/a", NULL), rev);
	while (hcv_meta_watch(direct, "live/", &rev, 3 * T_MS) ==
	       HCV_META_UNREACHABLE)
		;
	KUNIT_EXPECT_EQ(test, t_get(direct, "live/a", NULL), 0);
}

static struct kunit_case three_cases[] = {
	KUNIT_CASE(test_leader_killed),
	KUNIT_CASE(test_leader_frozen),
	KUNIT_CASE(test_leader_frozen_gap),
	KUNIT_CASE(test_minority),
	KUNIT_CASE(test_lease_over_leaders),
	{}
};

static struct kunit_suite three_suite = {
	.name = "hcv_meta_etcd_three",
	.init = init_three,
	.exit = exit_any,
	.test_cases = three_cases,
};
kunit_test_suite(three_suite);
