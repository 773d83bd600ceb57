/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of the metadata store's back ends share. */
#ifndef HCV_AGENT_META_TEST_H
#define HCV_AGENT_META_TEST_H

#include <pthread.h>
#include <sys/types.h>

#include <kunit/test.h>

#include "meta-int.h"

#define T_MS		10000	/* deadline of calls that should succeed */
#define T_SLOW_MS	5000	/* what a busy machine may take beyond a deadline */
#define T_MEMBERS	3

/** struct t_etcd - etcd servers of a test, on ports of 127.0.0.1 */
struct t_etcd {
	unsigned int nr;
	char dir[64];
	pid_t pid[T_MEMBERS];		/* 0: does not run */
	unsigned int client_port[T_MEMBERS];
	unsigned int peer_port[T_MEMBERS];
	const char *quota;		/* bytes, or NULL */
};

/** t_etcd_binary() - the path, or NULL: there is none */
const char *t_etcd_binary(void);
/** t_etcd_start() - @nr servers in a new folder; false: they do not answer */
bool t_etcd_start(struct t_etcd *s, unsigned int nr);
/** t_etcd_run() - start one (again); t_etcd_ready() waits for an answer */
bool t_etcd_run(struct t_etcd *s, unsigned int i);
bool t_etcd_ready(struct t_etcd *s, unsigned int i);
/** t_etcd_kill() - send a signal to one; wait for what SIGKILL, SIGSTOP do */
void t_etcd_kill(struct t_etcd *s, unsigned int i, int sig);
/** t_etcd_stop() - all of them, and remove the folder */
void t_etcd_stop(struct t_etcd *s);
/** t_etcd_spec() - of hcv_meta_open() with the members [@first, @nr) */
void t_etcd_spec(const struct t_etcd *s, const char *name, unsigned int first,
		 char *spec, size_t size);
/** t_etcd_leader() - the number of the leader; -1: nobody knows one */
int t_etcd_leader(const struct t_etcd *s);
/** t_etcd_compact() - forget all revisions before @rev */
bool t_etcd_compact(const struct t_etcd *s, int64_t rev);

/** t_tmp_dir() - a new folder below $TMPDIR; t_rm() removes one */
bool t_tmp_dir(char *dir, size_t size);
void t_rm(const char *dir);
/** t_free_port() - a port of 127.0.0.1 that nobody listens on */
unsigned int t_free_port(void);

/** enum t_proxy_mode - what a proxy does with requests */
enum t_proxy_mode {
	T_PROXY_PASS,
	T_PROXY_NO_REPLY,	/* forwarded; replies are dropped */
	T_PROXY_HOLD,		/* kept until t_proxy_release() */
};

struct t_proxy;

/** t_proxy_start() - relay from @port of 127.0.0.1 to @to */
struct t_proxy *t_proxy_start(unsigned int to);
unsigned int t_proxy_port(const struct t_proxy *p);
void t_proxy_mode(struct t_proxy *p, enum t_proxy_mode mode);
/** t_proxy_wait_held() - until it holds a request; false after @ms */
bool t_proxy_wait_held(struct t_proxy *p, unsigned int ms);
/** t_proxy_release() - forward what is held, wait for the replies */
bool t_proxy_release(struct t_proxy *p);
void t_proxy_stop(struct t_proxy *p);

/* One compare (@rev < 0: none) and one put (or delete) of a key. */
enum hcv_meta_result t_put(struct hcv_meta *m, const char *key, int64_t rev,
			   const char *value, int64_t *new_rev);
/* The key's revision, 0: no such key, -1: no answer; @value is freed first. */
int64_t t_get(struct hcv_meta *m, const char *key, char **value);
/* The number in a key; -1: no such key or no answer. */
long t_get_num(struct hcv_meta *m, const char *key, int64_t *rev);

#endif /* HCV_AGENT_META_TEST_H */
