// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only the back ends inside one process have: files that are damaged,
 * foreign, shared or too small, crashes of the process, injected faults.
 */
#include "meta_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "meta_mem.h"

static char dir[64];
static char path[80];
static char spec[96];

static int init_file(struct kunit *test)
{
	(void)test;
	if (!t_tmp_dir(dir, sizeof(dir)))
		return -1;
	snprintf(path, sizeof(path), "%s/meta.db", dir);
	snprintf(spec, sizeof(spec), "sqlite:%s", path);
	return 0;
}

static void exit_file(struct kunit *test)
{
	(void)test;
	t_rm(dir);
}

static struct hcv_meta *open_file(struct kunit *test)
{
	char *err = NULL;
	struct hcv_meta *m = hcv_meta_open(spec, &err);

	KUNIT_ASSERT_NOT_NULL(test, m);
	return m;
}

/* It must not open, for a reason that names the file and has @words in it. */
static void refused(struct kunit *test, const char *words)
{
	char *err = NULL;
	struct hcv_meta *m = hcv_meta_open(spec, &err);

	KUNIT_EXPECT_NULL(test, m);
	KUNIT_ASSERT_NOT_NULL(test, err);
	KUNIT_EXPECT_TRUE_MSG(test, strstr(err, words), "%s", err);
	KUNIT_EXPECT_TRUE_MSG(test, strstr(err, dir), "%s", err);
	hcv_meta_close(m);
	free(err);
}

static void sql(struct kunit *test, const char *text)
{
	sqlite3 *db;

	KUNIT_ASSERT_EQ(test, sqlite3_open(path, &db), SQLITE_OK);
	KUNIT_EXPECT_EQ(test, sqlite3_exec(db, text, NULL, NULL, NULL),
			SQLITE_OK);
	sqlite3_close(db);
}

static void test_reopen(struct kunit *test)
{
	struct hcv_meta *m = open_file(test);
	struct hcv_op op = { "live/a", "x", 0 };
	char *value = NULL;
	int64_t rev, later;

	KUNIT_EXPECT_EQ(test, t_put(m, "a", 0, "kept", &rev), HCV_META_OK);
	KUNIT_EXPECT_EQ(test, hcv_meta_lease_grant(m, 60, &op.lease, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, hcv_meta_txn(m, NULL, 0, &op, 1, &later, T_MS),
			HCV_META_OK);
	hcv_meta_close(m);
	m = open_file(test);
	KUNIT_EXPECT_EQ(test, t_get(m, "a", &value), rev);
	KUNIT_EXPECT_STREQ(test, value, "kept");
	/* The lease ended with its handle. */
	KUNIT_EXPECT_EQ(test, t_get(m, "live/a", NULL), 0);
	KUNIT_EXPECT_EQ(test, t_put(m, "b", 0, "x", &rev), HCV_META_OK);
	KUNIT_EXPECT_GT(test, rev, later);
	hcv_meta_close(m);
	free(value);
}

/* A process counts until it is killed; what it told of is there. */
static long count_and_die(struct kunit *test)
{
	struct hcv_op op[2] = { { "count", NULL, 0 }, { "live/a", "x", 0 } };
	char text[24], *err = NULL;
	struct hcv_meta *m;
	long n, last = 0;
	int fd[2];
	pid_t pid;

	KUNIT_ASSERT_EQ(test, pipe(fd), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		m = hcv_meta_open(spec, &err);
		if (!m || hcv_meta_lease_grant(m, 60, &op[1].lease, T_MS))
			_exit(1);
		for (n = t_get_num(m, "count", &(int64_t){ 0 });;) {
			n = n < 0 ? 1 : n + 1;
			snprintf(text, sizeof(text), "%ld", n);
			op[0].value = text;
			if (hcv_meta_txn(m, NULL, 0, op, 2, NULL, T_MS) ||
			    write(fd[1], &n, sizeof(n)) != sizeof(n))
				_exit(1);
		}
	}
	close(fd[1]);
	while (read(fd[0], &n, sizeof(n)) == sizeof(n)) {
		last = n;
		if (n % 50 == 0)
			kill(pid, SIGKILL);
	}
	close(fd[0]);
	waitpid(pid, NULL, 0);
	return last;
}

static void test_killed(struct kunit *test)
{
	struct hcv_meta *m;
	long acked, found;
	int64_t rev;
	int i;

	for (i = 0; i < 5; i++) {
		acked = count_and_die(test);
		KUNIT_EXPECT_GT(test, acked, 0);
		m = open_file(test);
		found = t_get_num(m, "count", &rev);
		KUNIT_EXPECT_GE(test, found, acked);
		KUNIT_EXPECT_LE(test, found, acked + 1);
		KUNIT_EXPECT_EQ(test, t_get(m, "live/a", NULL), 0);
		hcv_meta_close(m);
	}
}

/* Another process has it open; it ends when the pipe is closed. */
static void test_in_use(struct kunit *test)
{
	int go[2], ready[2];
	char byte = 0, *err;
	pid_t pid;

	KUNIT_ASSERT_EQ(test, pipe(go), 0);
	KUNIT_ASSERT_EQ(test, pipe(ready), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		close(go[1]);
		if (!hcv_meta_open(spec, &err) ||
		    write(ready[1], &byte, 1) != 1)
			_exit(1);
		_exit(read(go[0], &byte, 1) != 0);
	}
	close(go[0]);
	close(ready[1]);
	KUNIT_EXPECT_EQ(test, read(ready[0], &byte, 1), 1);
	refused(test, "in use by another process");
	close(go[1]);
	close(ready[0]);
	KUNIT_EXPECT_EQ(test, waitpid(pid, NULL, 0), pid);
	hcv_meta_close(open_file(test));
}

static void test_damaged(struct kunit *test)
{
	char junk[4096];
	struct hcv_meta *m = open_file(test);
	char key[16];
	int fd, i;

	for (i = 0; i < 200; i++) {
		snprintf(key, sizeof(key), "key/%d", i);
		KUNIT_EXPECT_EQ(test, t_put(m, key, 0, "some value", NULL),
				HCV_META_OK);
	}
	hcv_meta_close(m);
	memset(junk, 0x5a, sizeof(junk));
	fd = open(path, O_RDWR);
	KUNIT_ASSERT_GE(test, fd, 0);
	KUNIT_EXPECT_EQ(test, pwrite(fd, junk, 4096, 3 * 4096), 4096);
	close(fd);
	refused(test, "is damaged");
	fd = open(path, O_RDWR);
	KUNIT_ASSERT_GE(test, fd, 0);
	KUNIT_EXPECT_EQ(test, pwrite(fd, junk, 4096, 0), 4096);
	close(fd);
	refused(test, "is damaged");
}

static void test_truncated(struct kunit *test)
{
	struct hcv_meta *m = open_file(test);
	char *big = kunit_kzalloc(test, 100001, 0);

	memset(big, 'x', 100000);
	KUNIT_EXPECT_EQ(test, t_put(m, "big", 0, big, NULL), HCV_META_OK);
	hcv_meta_close(m);
	KUNIT_EXPECT_EQ(test, truncate(path, 8192), 0);
	refused(test, "is damaged");
}

static void test_foreign(struct kunit *test)
{
	sql(test, "CREATE TABLE mail(x)");
	refused(test, "another program");
}

static void test_newer(struct kunit *test)
{
	hcv_meta_close(open_file(test));
	sql(test, "PRAGMA user_version=2");
	refused(test, "version 2");
}

static void test_bad_paths(struct kunit *test)
{
	snprintf(spec, sizeof(spec), "sqlite:%s/none/meta.db", dir);
	refused(test, "No such file");
	snprintf(spec, sizeof(spec), "sqlite:%s", dir);
	refused(test, "directory");
}

static void test_bad_specs(struct kunit *test)
{
	static const char *const bad[] = {
		"", "sqlite", "sqlite:", "oracle:x", "etcd:", "etcd:x",
		"etcd:x:", "etcd:x:10.0.0.1:2379", "etcd:a b:http://h:1",
		"etcd:x:http://h:1,", "etcd:x:,http://h:1", "etcd:x:ftp://h",
		"etcd:../x:http://h:1",
	};
	char *err;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err = NULL;
		KUNIT_EXPECT_NULL(test, hcv_meta_open(bad[i], &err));
		KUNIT_EXPECT_NOT_NULL(test, err);
		free(err);
	}
}

/* In a child: no file may grow beyond @bytes. */
static int fill(unsigned long bytes)
{
	struct rlimit lim = { bytes, bytes };
	enum hcv_meta_result res = HCV_META_OK;
	char value[20001], key[16], *err;
	struct hcv_meta *m = hcv_meta_open(spec, &err);
	int64_t rev;
	int i;

	if (!m)
		return 1;
	memset(value, 'x', 20000);
	value[20000] = 0;
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &lim))
		return 2;
	for (i = 0; i < 100 && res == HCV_META_OK; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		res = t_put(m, key, 0, value, &rev);
	}
	if (res != HCV_META_UNREACHABLE && res != HCV_META_UNKNOWN)
		return 3;
	if (!strstr(hcv_meta_last_error(), path))
		return 4;
	/* What was there is there. */
	if (t_get(m, "k0", NULL) <= 0)
		return 5;
	hcv_meta_close(m);
	return 0;
}

static void test_full(struct kunit *test)
{
	struct hcv_meta *m;
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(fill(200000));
	waitpid(pid, &status, 0);
	KUNIT_EXPECT_EQ(test, status, 0);
	m = open_file(test);
	KUNIT_EXPECT_GT(test, t_get(m, "k0", NULL), 0);
	KUNIT_EXPECT_EQ(test, t_put(m, "new", 0, "x", NULL), HCV_META_OK);
	hcv_meta_close(m);
}

/* Somebody writes with the sqlite3 shell: watches end. */
static void test_written_outside(struct kunit *test)
{
	struct hcv_meta *m = open_file(test);
	int64_t rev;

	KUNIT_EXPECT_EQ(test, t_put(m, "a", 0, "x", &rev), HCV_META_OK);
	sql(test, "UPDATE kv SET value = 'y' WHERE key = 'a'");
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(m, "a", &rev, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(m, "a", &rev, 100),
			HCV_META_CONFLICT);
	hcv_meta_close(m);
}

static struct kunit_case file_cases[] = {
	KUNIT_CASE(test_reopen),
	KUNIT_CASE(test_killed),
	KUNIT_CASE(test_in_use),
	KUNIT_CASE(test_damaged),
	KUNIT_CASE(test_truncated),
	KUNIT_CASE(test_foreign),
	KUNIT_CASE(test_newer),
	KUNIT_CASE(test_bad_paths),
	KUNIT_CASE(test_bad_specs),
	KUNIT_CASE(test_full),
	KUNIT_CASE(test_written_outside),
	{}
};

static struct kunit_suite file_suite = {
	.name = "hcv_meta_sqlite_file",
	.init = init_file,
	.exit = exit_file,
	.test_cases = file_cases,
};
kunit_test_suite(file_suite);

static void test_faults(struct kunit *test)
{
	char *err;
	struct hcv_meta *a = hcv_meta_open("mem:faults", &err);
	struct hcv_meta *b = hcv_meta_open("mem:faults", &err);
	struct hcv_kv kv;
	int64_t rev;

	KUNIT_EXPECT_TRUE(test, hcv_meta_is_cluster(a));
	hcv_meta_mem_fail(a, 2, HCV_MEM_UNREACHABLE);
	KUNIT_EXPECT_EQ(test, t_put(a, "a", 0, "x", NULL), HCV_META_OK);
	KUNIT_EXPECT_EQ(test, t_put(a, "b", 0, "x", NULL),
			HCV_META_UNREACHABLE);
	KUNIT_EXPECT_EQ(test, t_get(b, "b", NULL), 0);
	hcv_meta_mem_fail(a, 1, HCV_MEM_UNKNOWN_DONE);
	KUNIT_EXPECT_EQ(test, t_put(a, "c", 0, "x", NULL), HCV_META_UNKNOWN);
	KUNIT_EXPECT_GT(test, t_get(b, "c", NULL), 0);
	hcv_meta_mem_fail(a, 1, HCV_MEM_UNKNOWN_NOT_DONE);
	KUNIT_EXPECT_EQ(test, t_put(a, "d", 0, "x", NULL), HCV_META_UNKNOWN);
	KUNIT_EXPECT_EQ(test, t_get(b, "d", NULL), 0);
	hcv_meta_mem_fail(a, 1, HCV_MEM_UNKNOWN_DONE);
	KUNIT_EXPECT_EQ(test, hcv_meta_get(a, "a", &kv, T_MS),
			HCV_META_UNREACHABLE);
	KUNIT_EXPECT_NULL(test, kv.value);
	KUNIT_EXPECT_EQ(test, hcv_meta_mem_calls(a), 5);
	hcv_meta_mem_cut(a, true);
	KUNIT_EXPECT_EQ(test, t_put(a, "e", 0, "x", NULL),
			HCV_META_UNREACHABLE);
	rev = 1;
	KUNIT_EXPECT_EQ(test, hcv_meta_watch(a, "", &rev, T_MS),
			HCV_META_UNREACHABLE);
	hcv_meta_mem_cut(a, false);
	KUNIT_EXPECT_EQ(test, t_put(a, "e", 0, "x", NULL), HCV_META_OK);
	hcv_meta_close(a);
	hcv_meta_close(b);
}

static void test_clock(struct kunit *test)
{
	char *err;
	struct hcv_meta *a = hcv_meta_open("mem:clock", &err);
	struct hcv_meta *b = hcv_meta_open("mem:clock", &err);
	struct hcv_op op = { "live/a", "x", 0 };

	KUNIT_EXPECT_EQ(test, hcv_meta_lease_grant(a, 10, &op.lease, T_MS),
			HCV_META_OK);
	KUNIT_EXPECT_EQ(test, hcv_meta_txn(a, NULL, 0, &op, 1, NULL, T_MS),
			HCV_META_OK);
	/* A node that is gone: its lease runs on. */
	hcv_meta_close(a);
	hcv_meta_mem_advance(b, 9000);
	KUNIT_EXPECT_GT(test, t_get(b, "live/a", NULL), 0);
	KUNIT_EXPECT_EQ(test, hcv_meta_lease_keep(b, op.lease, T_MS),
			HCV_META_OK);
	hcv_meta_mem_advance(b, 9000);
	KUNIT_EXPECT_GT(test, t_get(b, "live/a", NULL), 0);
	hcv_meta_mem_advance(b, 2000);
	KUNIT_EXPECT_EQ(test, t_get(b, "live/a", NULL), 0);
	hcv_meta_close(b);
}

static struct kunit_case mem_cases[] = {
	KUNIT_CASE(test_faults),
	KUNIT_CASE(test_clock),
	{}
};

static struct kunit_suite mem_suite = {
	.name = "hcv_meta_mem_faults",
	.test_cases = mem_cases,
};
kunit_test_suite(mem_suite);
