// SPDX-License-Identifier: GPL-2.0-only
/*
 * A relay between a client and a server that loses answers, or keeps requests
 * and delivers them late, when the client has long given up.
 *
 * One thread for each connection; a request is taken to be complete when its
 * bytes have come: the tests' requests are small.
 */
#include "meta_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNS_MAX 64
#define REPLY_MS 10000

struct conn {
	struct t_proxy *p;
	pthread_t thread;
	int client;
	int server;
};

struct t_proxy {
	int listen_fd;
	unsigned int port;
	unsigned int to;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	/* lock */
	enum t_proxy_mode mode;
	unsigned int held;
	unsigned int late;	/* held once, answered by the server now */
	bool release;
	bool stop;
	struct conn conn[CONNS_MAX];
	unsigned int nr;
};

static struct sockaddr_in loopback(unsigned int port)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
	};

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sa;
}

static int connect_to(unsigned int port)
{
	struct sockaddr_in sa = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool stopped(struct t_proxy *p)
{
	bool stop;

	pthread_mutex_lock(&p->lock);
	stop = p->stop;
	pthread_mutex_unlock(&p->lock);
	return stop;
}

static bool send_all(int fd, const char *data, ssize_t len)
{
	ssize_t n;

	for (; len > 0; data += n, len -= n) {
		n = send(fd, data, (size_t)len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
	}
	return true;
}

/* Keep a request; send it when released, to a server that still listens. */
static bool hold(struct conn *c, const char *data, ssize_t len)
{
	struct pollfd pfd = { .fd = c->server, .events = POLLIN };
	struct t_proxy *p = c->p;
	char reply[4096];
	bool ok;

	pthread_mutex_lock(&p->lock);
	p->held++;
	pthread_cond_broadcast(&p->cond);
	while (!p->release && !p->stop)
		pthread_cond_wait(&p->cond, &p->lock);
	ok = !p->stop;
	pthread_mutex_unlock(&p->lock);
	ok = ok && send_all(c->server, data, len) &&
	     poll(&pfd, 1, REPLY_MS) == 1 &&
	     recv(c->server, reply, sizeof(reply), 0) > 0;
	pthread_mutex_lock(&p->lock);
	p->held--;
	p->late += ok;
	pthread_cond_broadcast(&p->cond);
	pthread_mutex_unlock(&p->lock);
	return false;
}

static bool from_client(struct conn *c)
{
	enum t_proxy_mode mode;
	char data[65536];
	ssize_t len = recv(c->client, data, sizeof(data), 0);

	if (len <= 0)
		return false;
	pthread_mutex_lock(&c->p->lock);
	mode = c->p->mode;
	pthread_mutex_unlock(&c->p->lock);
	if (mode == T_PROXY_HOLD)
		return hold(c, data, len);
	return send_all(c->server, data, len);
}

static bool from_server(struct conn *c)
{
	enum t_proxy_mode mode;
	char data[65536];
	ssize_t len = recv(c->server, data, sizeof(data), 0);

	if (len <= 0)
		return false;
	pthread_mutex_lock(&c->p->lock);
	mode = c->p->mode;
	pthread_mutex_unlock(&c->p->lock);
	return mode == T_PROXY_NO_REPLY || send_all(c->client, data, len);
}

static void *conn_run(void *arg)
{
	struct conn *c = arg;
	struct pollfd pfd[2] = {
		{ .fd = c->client, .events = POLLIN },
		{ .fd = c->server, .events = POLLIN },
	};

	while (!stopped(c->p)) {
		if (poll(pfd, 2, 100) < 0)
			break;
		if (pfd[0].revents && !from_client(c))
			break;
		if (pfd[1].revents && !from_server(c))
			break;
	}
	close(c->client);
	close(c->server);
	return NULL;
}

static void accept_one(struct t_proxy *p)
{
	int fd = accept(p->listen_fd, NULL, NULL);
	struct conn *c = &p->conn[p->nr];

	if (fd < 0)
		return;
	c->p = p;
	c->client = fd;
	c->server = p->nr < CONNS_MAX - 1 ? connect_to(p->to) : -1;
	if (c->server < 0) {
		close(fd);
		return;
	}
	if (pthread_create(&c->thread, NULL, conn_run, c)) {
		close(fd);
		close(c->server);
		return;
	}
	p->nr++;
}

static void *proxy_run(void *arg)
{
	struct t_proxy *p = arg;
	struct pollfd pfd = { .fd = p->listen_fd, .events = POLLIN };

	while (!stopped(p))
		if (poll(&pfd, 1, 100) == 1)
			accept_one(p);
	return NULL;
}

struct t_proxy *t_proxy_start(unsigned int to)
{
	struct sockaddr_in sa = loopback(0);
	socklen_t len = sizeof(sa);
	struct t_proxy *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;

	if (!p)
		return NULL;
	p->to = to;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->cond, &attr);
	pthread_condattr_destroy(&attr);
	p->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->listen_fd < 0 ||
	    bind(p->listen_fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    listen(p->listen_fd, 16) ||
	    getsockname(p->listen_fd, (struct sockaddr *)&sa, &len) ||
	    pthread_create(&p->thread, NULL, proxy_run, p)) {
		close(p->listen_fd);
		free(p);
		return NULL;
	}
	p->port = ntohs(sa.sin_port);
	return p;
}

unsigned int t_proxy_port(const struct t_proxy *p)
{
	return p->port;
}

void t_proxy_mode(struct t_proxy *p, enum t_proxy_mode mode)
{
	pthread_mutex_lock(&p->lock);
	p->mode = mode;
	p->release = false;
	pthread_mutex_unlock(&p->lock);
}

static struct timespec in_ms(unsigned int ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += ms % 1000 * 1000000L;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

bool t_proxy_wait_held(struct t_proxy *p, unsigned int ms)
{
	struct timespec ts = in_ms(ms);
	int ret = 0;
	bool held;

	pthread_mutex_lock(&p->lock);
	while (!p->held && !ret)
		ret = pthread_cond_timedwait(&p->cond, &p->lock, &ts);
	held = p->held;
	pthread_mutex_unlock(&p->lock);
	return held;
}

bool t_proxy_release(struct t_proxy *p)
{
	struct timespec ts = in_ms(2 * REPLY_MS);
	int ret = 0;
	bool late;

	pthread_mutex_lock(&p->lock);
	p->late = 0;
	p->mode = T_PROXY_PASS;
	p->release = true;
	pthread_cond_broadcast(&p->cond);
	while (p->held && !ret)
		ret = pthread_cond_timedwait(&p->cond, &p->lock, &ts);
	late = p->late;
	pthread_mutex_unlock(&p->lock);
	return late && !ret;
}

void t_proxy_stop(struct t_proxy *p)
{
	unsigned int i;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->cond);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	for (i = 0; i < p->nr; i++)
		pthread_join(p->conn[i].thread, NULL);
	close(p->listen_fd);
	pthread_cond_destroy(&p->cond);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
