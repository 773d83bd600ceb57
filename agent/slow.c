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
#include <sys/wait.h>
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

static int child_exec(const char *path, char *const *argv)
{
	static char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
				     NULL };
	int status, null = open("/dev/null", O_RDWR);
	pid_t pid;

	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
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
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

static void __attribute__((noreturn))
child_main(int out, enum hcv_slow_op op, const char *path, const char *arg,
	   char *const *argv)
{
	struct report r = { 0 };
	sigset_t none;
	int ret = 0;

	/* neither the agent's sockets nor its locks may live on in here */
	if (out != 3 && dup2(out, 3) < 0)
		_exit(1);
	close_range(4, ~0U, 0);
	fcntl(3, F_SETFD, FD_CLOEXEC);
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
		ret = child_exec(path, argv);
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
		       const char *path, const char *arg)
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
		child_main(pipes[1], op, path, words, argv);
	close(pipes[1]);
	c->pid = pid;
	c->fd = pipes[0];
	c->left = false;
	snprintf(c->key, sizeof(c->key), "%s", key);
	return 0;
}

/* A slot of this key's own; waits for a predecessor that was left behind. */
static int claim(const char *key, enum hcv_slow_op op, const char *path,
		 const char *arg, int64_t until_ms, struct child **out)
{
	for (;;) {
		struct timespec nap = { 0, 20 * 1000 * 1000 };
		struct child *c;
		bool busy;
		int ret;

		pthread_mutex_lock(&slow_lock);
		c = find_slot(key, &busy);
		ret = c ? start_child(c, key, op, path, arg) : -EAGAIN;
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

int hcv_slow_run(const char *key, enum hcv_slow_op op, const char *path,
		 const char *arg, int64_t until_ms, char *answer, size_t size)
{
	struct report r = { 0 };
	struct child *c = NULL;
	int ret;

	if (arg && strlen(arg) >= HCV_SLOW_ARG)
		return -E2BIG;
	ret = claim(key, op, path, arg, until_ms, &c);
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
