// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls that may block in the kernel for a long time, with a limit.
 *
 * A child that was left behind stays in the table until its end of the pipe
 * closes, which happens when the kernel lets it go.  The children only make
 * system calls: after fork() of a process with threads nothing else is safe.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "slow.h"

#define HCV_SLOW_KEY	192
#define HCV_SLOW_WORDS	16

struct child {
	pid_t pid;		/* 0: free */
	int fd;			/* closed by the kernel when it ends */
	bool left;		/* nobody waits for it any more */
	char key[HCV_SLOW_KEY];
};

/* What the child reports; written at once, so it arrives whole. */
struct report {
	int err;
	char answer[128];
};

static pthread_mutex_t slow_lock = PTHREAD_MUTEX_INITIALIZER;
static struct child slow_child[HCV_SLOW_MAX];	/* slow_lock */

/* ---- in the child ---- */

static int child_write(const char *path, const char *arg, size_t len,
		       struct report *r)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t n;

	/* most attributes of sysfs and configfs cannot be read */
	if (fd < 0 && errno == EACCES)
		fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, arg, len);
	if (n < 0)
		return -errno;
	if ((size_t)n != len)
		return -EIO;
	n = read(fd, r->answer, sizeof(r->answer) - 1);
	if (n > 0)
		r->answer[n] = '\0';
	return 0;
}

/* @out: where its output goes, -1: nowhere */
static int child_exec(const char *path, char *const *argv, int out)
{
	static char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
				     NULL };
	int status, null = open("/dev/null", O_RDWR);
	pid_t pid;

	if (null >= 0) {
		dup2(null, 0);
		dup2(out < 0 ? null : out, 1);
		dup2(null, 2);
	}
	pid = vfork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		execve(path, argv, env);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (out >= 0 && WIFEXITED(status) && WEXITSTATUS(status) != 127)
		return 0;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

#define PROBE_READS	64
#define PROBE_BYTES	4096

static int64_t child_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* Latencies as the module counts them: a character a bucket, ' ' for none. */
static int child_probe(const char *path, const char *arg, struct report *r)
{
	static char buf[PROBE_BYTES] __attribute__((aligned(PROBE_BYTES)));
	unsigned int count[HCV_HIST_BUCKETS] = { 0 }, bucket, i, nr = 0;
	uint64_t rand = (uint64_t)child_now_ns(), ns;
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	int64_t start;

	while (*arg >= '0' && *arg <= '9' && nr < PROBE_READS)
		nr = nr * 10 + (unsigned int)(*arg++ - '0');
	if (fd < 0 || size < PROBE_BYTES || nr > PROBE_READS)
		return fd < 0 ? -errno : -EINVAL;
	for (i = 0; i < nr; i++) {
		rand = rand * 6364136223846793005ULL + 1442695040888963407ULL;
		start = child_now_ns();
		if (pread(fd, buf, sizeof(buf), (off_t)(rand >> 1) %
			  (size / PROBE_BYTES) * PROBE_BYTES) < 0)
			return -errno;
		ns = (uint64_t)(child_now_ns() - start);
		bucket = 0;
		for (ns >>= 11; ns && bucket < HCV_HIST_BUCKETS - 1; ns >>= 1)
			bucket++;
		count[bucket]++;
	}
	for (i = 0; i < HCV_HIST_BUCKETS; i++)
		r->answer[i] = (char)(' ' + count[i]);
	return 0;
}

static void __attribute__((noreturn))
child_main(int out, enum hcv_slow_op op, const char *path, const char *arg,
	   char *const *argv, int print)
{
	struct report r = { 0 };
	sigset_t none;
	int ret = 0;

	/* neither the agent's sockets nor its locks may live on in here */
	if (print >= 0) {
		/* out of the way of 3 and 4 first */
		print = fcntl(print, F_DUPFD_CLOEXEC, 5);
		out = fcntl(out, F_DUPFD_CLOEXEC, 5);
		if (print < 0 || out < 0 || dup2(print, 4) < 0)
			_exit(1);
	}
	if (out != 3 && dup2(out, 3) < 0)
		_exit(1);
	close_range(print < 0 ? 4 : 5, ~0U, 0);
	fcntl(3, F_SETFD, FD_CLOEXEC);
	if (print >= 0) {
		print = 4;
		fcntl(4, F_SETFD, FD_CLOEXEC);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	switch (op) {
	case HCV_SLOW_WRITE:
		ret = child_write(path, arg, strlen(arg), &r);
		break;
	case HCV_SLOW_SYMLINK:
		ret = symlink(arg, path) ? -errno : 0;
		break;
	case HCV_SLOW_UNLINK:
		ret = unlink(path) ? -errno : 0;
		break;
	case HCV_SLOW_RMDIR:
		ret = rmdir(path) ? -errno : 0;
		break;
	case HCV_SLOW_EXEC:
		ret = child_exec(path, argv, print);
		break;
	case HCV_SLOW_PROBE:
		ret = child_probe(path, arg, &r);
		break;
	}
	r.err = ret;
	/* the agent may be gone: nothing to tell then */
	_exit(write(3, &r, sizeof(r)) == (ssize_t)sizeof(r) ? 0 : 1);
}

/* ---- the table ---- */

static void reap(struct child *c)
{
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(c->fd);
	memset(c, 0, sizeof(*c));
}

/* Has a child that was left behind ended?  Its report interests nobody. */
static bool ended(const struct child *c)
{
	struct pollfd p = { c->fd, POLLIN, 0 };

	return poll(&p, 1, 0) > 0;
}

static struct child *find_slot(const char *key, bool *busy)
{
	struct child *slot = NULL;
	size_t i;

	*busy = false;
	for (i = 0; i < HCV_SLOW_MAX; i++) {
		struct child *c = &slow_child[i];

		if (c->pid && c->left && ended(c))
			reap(c);
		if (!c->pid)
			slot = c;
		else if (!strcmp(c->key, key))
			*busy = true;
	}
	return *busy ? NULL : slot;
}

static int start_child(struct child *c, const char *key, enum hcv_slow_op op,
		       const char *path, const char *arg, int print)
{
	char words[HCV_SLOW_ARG], *argv[HCV_SLOW_WORDS + 2], *save = NULL;
	int pipes[2], n = 0;
	pid_t pid;

	argv[n++] = (char *)path;
	snprintf(words, sizeof(words), "%s", arg ? arg : "");
	if (op == HCV_SLOW_EXEC) {
		char *w = strtok_r(words, " ", &save);

		for (; w && n <= HCV_SLOW_WORDS; w = strtok_r(NULL, " ", &save))
			argv[n++] = w;
	}
	argv[n] = NULL;
	if (pipe2(pipes, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0) {
		n = -errno;
		close(pipes[0]);
		close(pipes[1]);
		return n;
	}
	if (!pid)
		child_main(pipes[1], op, path, words, argv, print);
	close(pipes[1]);
	c->pid = pid;
	c->fd = pipes[0];
	c->left = false;
	snprintf(c->key, sizeof(c->key), "%s", key);
	return 0;
}

/* A slot of this key's own; waits for a predecessor that was left behind. */
static int claim(const char *key, enum hcv_slow_op op, const char *path,
		 const char *arg, int print, int64_t until_ms,
		 struct child **out)
{
	for (;;) {
		struct timespec nap = { 0, 20 * 1000 * 1000 };
		struct child *c;
		bool busy;
		int ret;

		pthread_mutex_lock(&slow_lock);
		c = find_slot(key, &busy);
		ret = c ? start_child(c, key, op, path, arg, print) : -EAGAIN;
		pthread_mutex_unlock(&slow_lock);
		if (c || !busy) {
			*out = c;
			return ret;
		}
		if (hcv_now_ms() >= until_ms)
			return -ETIMEDOUT;
		/* a child has no event of its own when it is not ours */
		nanosleep(&nap, NULL);
	}
}

static int wait_report(int fd, int64_t until_ms, struct report *r)
{
	for (;;) {
		int64_t left = until_ms - hcv_now_ms();
		struct pollfd p = { fd, POLLIN, 0 };
		int n = poll(&p, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			break;
		if (!n && left <= 0)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
	if (read(fd, r, sizeof(*r)) != (ssize_t)sizeof(*r))
		return -EINTR;		/* somebody killed it */
	return 0;
}

static int slow_run(const char *key, enum hcv_slow_op op, const char *path,
		    const char *arg, int print, int64_t until_ms, char *answer,
		    size_t size)
{
	struct report r = { 0 };
	struct child *c = NULL;
	int ret;

	if (arg && strlen(arg) >= HCV_SLOW_ARG)
		return -E2BIG;
	ret = claim(key, op, path, arg, print, until_ms, &c);
	if (ret)
		return ret;
	ret = wait_report(c->fd, until_ms, &r);
	pthread_mutex_lock(&slow_lock);
	if (ret == -ETIMEDOUT)
		c->left = true;
	else
		reap(c);
	pthread_mutex_unlock(&slow_lock);
	if (!ret && answer) {
		r.answer[sizeof(r.answer) - 1] = '\0';
		snprintf(answer, size, "%s", r.answer);
	}
	return ret ? ret : r.err;
}

int hcv_slow_run(const char *key, enum hcv_slow_op op, const char *path,
		 const char *arg, int64_t until_ms, char *answer, size_t size)
{
	return slow_run(key, op, path, arg, -1, until_ms, answer, size);
}

/*
 * The output goes to a file in memory that cannot grow: whoever is left behind
 * cannot fill anything, and closes it when it ends.
 */
int hcv_slow_output(const char *key, const char *path, const char *arg,
		    int64_t until_ms, char *out, size_t size)
{
	int fd, ret = 0;
	ssize_t n;

	*out = '\0';
	if (access(path, X_OK))
		return -errno;
	fd = memfd_create("hcivold-output", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size - 1) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK))
		ret = -errno;
	if (!ret)
		ret = slow_run(key, HCV_SLOW_EXEC, path, arg, fd, until_ms,
			       NULL, 0);
	if (!ret) {
		n = pread(fd, out, size - 1, 0);
		if (n < 0)
			ret = -errno;
		out[n < 0 ? 0 : n] = '\0';
	}
	close(fd);
	return ret;
}
