// SPDX-License-Identifier: GPL-2.0-only
/* Servers, folders and short forms for the tests of the metadata store. */
#include "meta_test.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "meta_etcd.h"

#define READY_MS 30000

const char *t_etcd_binary(void)
{
	static char path[512];
	const char *cache = getenv("HCV_CACHE");
	const char *home = getenv("HOME");

	if (cache)
		snprintf(path, sizeof(path), "%s/etcd/usr/bin/etcd", cache);
	else
		snprintf(path, sizeof(path),
			 "%s/.cache/hcivol/etcd/usr/bin/etcd",
			 home ? home : "");
	if (!access(path, X_OK))
		return path;
	return access("/usr/bin/etcd", X_OK) ? NULL : "/usr/bin/etcd";
}

bool t_tmp_dir(char *dir, size_t size)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, size, "%s/hcv-meta-XXXXXX", tmp ? tmp : "/tmp");
	return mkdtemp(dir);
}

static int rm_one(const char *path, const struct stat *st, int type,
		  struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void t_rm(const char *dir)
{
	nftw(dir, rm_one, 16, FTW_DEPTH | FTW_PHYS);
}

unsigned int t_free_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sa);
	unsigned int port = 0;

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && !bind(fd, (struct sockaddr *)&sa, sizeof(sa)) &&
	    !getsockname(fd, (struct sockaddr *)&sa, &len))
		port = ntohs(sa.sin_port);
	if (fd >= 0)
		close(fd);
	return port;
}

/* In the child. */
static void exec_etcd(const struct t_etcd *s, unsigned int i)
{
	char name[8], data[128], client[64], peer[64], all[256] = "";
	char log[128];
	unsigned int k;
	size_t len;
	int fd;

	/* No server outlives its test. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(name, sizeof(name), "m%u", i);
	snprintf(data, sizeof(data), "%s/m%u", s->dir, i);
	snprintf(log, sizeof(log), "%s/m%u.log", s->dir, i);
	snprintf(client, sizeof(client), "http://127.0.0.1:%u",
		 s->client_port[i]);
	snprintf(peer, sizeof(peer), "http://127.0.0.1:%u", s->peer_port[i]);
	for (k = 0; k < s->nr; k++) {
		len = strlen(all);
		snprintf(all + len, sizeof(all) - len,
			 "%sm%u=http://127.0.0.1:%u", k ? "," : "", k,
			 s->peer_port[k]);
	}
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd >= 0) {
		dup2(fd, 1);
		dup2(fd, 2);
	}
	execl(t_etcd_binary(), "etcd", "--name", name, "--data-dir", data,
	      "--listen-client-urls", client, "--advertise-client-urls",
	      client, "--listen-peer-urls", peer,
	      "--initial-advertise-peer-urls", peer, "--initial-cluster", all,
	      "--pre-vote=true", "--heartbeat-interval", "100",
	      "--election-timeout", "1000", "--log-level", "error",
	      "--quota-backend-bytes", s->quota ? s->quota : "0",
	      (char *)NULL);
	_exit(127);
}

bool t_etcd_run(struct t_etcd *s, unsigned int i)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return false;
	if (!pid)
		exec_etcd(s, i);
	s->pid[i] = pid;
	return true;
}

void t_etcd_spec(const struct t_etcd *s, const char *name, unsigned int first,
		 char *spec, size_t size)
{
	size_t len = (size_t)snprintf(spec, size, "etcd:%s:", name);
	unsigned int i;

	for (i = first; i < s->nr; i++)
		len += (size_t)snprintf(spec + len, size - len,
					"%shttp://127.0.0.1:%u",
					i > first ? "," : "",
					s->client_port[i]);
}

bool t_etcd_ready(struct t_etcd *s, unsigned int i)
{
	enum hcv_meta_result res;
	struct hcv_meta *m;
	struct hcv_kv kv;
	char spec[128];
	char *err;

	snprintf(spec, sizeof(spec), "etcd:ready:http://127.0.0.1:%u",
		 s->client_port[i]);
	m = hcv_meta_open(spec, &err);
	if (!m) {
		free(err);
		return false;
	}
	res = hcv_meta_get(m, "any", &kv, READY_MS);
	hcv_kv_free(&kv);
	hcv_meta_close(m);
	return res == HCV_META_OK;
}

bool t_etcd_start(struct t_etcd *s, unsigned int nr)
{
	unsigned int i;

	s->nr = nr;
	if (!t_tmp_dir(s->dir, sizeof(s->dir)))
		return false;
	for (i = 0; i < nr; i++) {
		s->client_port[i] = t_free_port();
		s->peer_port[i] = t_free_port();
	}
	for (i = 0; i < nr; i++)
		if (!t_etcd_run(s, i))
			return false;
	for (i = 0; i < nr; i++)
		if (!t_etcd_ready(s, i))
			return false;
	return true;
}

void t_etcd_kill(struct t_etcd *s, unsigned int i, int sig)
{
	siginfo_t info;

	if (!s->pid[i])
		return;
	kill(s->pid[i], sig);
	if (sig == SIGKILL) {
		waitpid(s->pid[i], NULL, 0);
		s->pid[i] = 0;
	}
	/* Its last thread may answer for a while. */
	if (sig == SIGSTOP)
		waitid(P_PID, (id_t)s->pid[i], &info,
		       WSTOPPED | WEXITED | WNOWAIT);
}

void t_etcd_stop(struct t_etcd *s)
{
	unsigned int i;

	for (i = 0; i < s->nr; i++)
		t_etcd_kill(s, i, SIGKILL);
	if (*s->dir)
		t_rm(s->dir);
	memset(s, 0, sizeof(*s));
}

/* One request to one member. */
static bool ask_one(unsigned int port, const char *path, const char *body,
		    struct hcv_etcd_reply *reply)
{
	enum hcv_meta_result res = HCV_META_UNREACHABLE;
	struct hcv_etcd_conn *c;
	struct hcv_meta *m;
	bool maybe = false;
	char spec[128];
	char *err;

	snprintf(spec, sizeof(spec), "etcd:ask:http://127.0.0.1:%u", port);
	m = hcv_meta_open(spec, &err);
	if (!m) {
		free(err);
		return false;
	}
	c = hcv_etcd_conn_get((struct hcv_etcd *)m);
	if (c) {
		res = hcv_etcd_call((struct hcv_etcd *)m, c, path, body,
				    hcv_meta_now_ms() + 1000, reply, &maybe);
		hcv_etcd_conn_put((struct hcv_etcd *)m, c);
	}
	hcv_meta_close(m);
	return res == HCV_META_OK && !reply->code;
}

int t_etcd_leader(const struct t_etcd *s)
{
	struct hcv_etcd_reply reply;
	int64_t leader, id;
	unsigned int i;

	for (i = 0; i < s->nr; i++) {
		if (!s->pid[i] ||
		    !ask_one(s->client_port[i], "/v3/maintenance/status", "{}",
			     &reply))
			continue;
		leader = hcv_etcd_num(reply.o, "leader");
		id = hcv_etcd_num(hcv_etcd_member(reply.o, "header"),
				  "member_id");
		hcv_etcd_reply_free(&reply);
		if (id && id == leader)
			return (int)i;
	}
	return -1;
}

bool t_etcd_compact(const struct t_etcd *s, int64_t rev)
{
	struct hcv_etcd_reply reply;
	char body[64];
	bool ok;

	snprintf(body, sizeof(body), "{\"revision\":\"%lld\"}",
		 (long long)rev);
	ok = ask_one(s->client_port[0], "/v3/kv/compaction", body, &reply);
	hcv_etcd_reply_free(&reply);
	return ok;
}

enum hcv_meta_result t_put(struct hcv_meta *m, const char *key, int64_t rev,
			   const char *value, int64_t *new_rev)
{
	struct hcv_cmp cmp = { key, rev };
	struct hcv_op op = { key, value, 0 };

	return hcv_meta_txn(m, &cmp, rev >= 0, &op, 1, new_rev, T_MS);
}

int64_t t_get(struct hcv_meta *m, const char *key, char **value)
{
	struct hcv_kv kv;
	int64_t rev;

	if (hcv_meta_get(m, key, &kv, T_MS) != HCV_META_OK)
		return -1;
	rev = kv.rev;
	if (value) {
		free(*value);
		*value = kv.value;
		kv.value = NULL;
	}
	hcv_kv_free(&kv);
	return rev;
}

long t_get_num(struct hcv_meta *m, const char *key, int64_t *rev)
{
	char *value = NULL;
	long n = -1;

	*rev = t_get(m, key, &value);
	if (*rev > 0)
		n = strtol(value, NULL, 10);
	free(value);
	return n;
}
