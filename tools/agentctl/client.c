// SPDX-License-Identifier: GPL-2.0-only
/*
 * The client's side of the local API: JSON lines over a Unix socket.
 *
 * The agent limits a request by the time-out it is given; the client waits a
 * little longer than that, so that the agent's own answer is the usual one.
 */
#include "agentctl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define HCV_CTL_GRACE_MS	5000
#define HCV_CTL_LINE_MAX	(64U << 20)

struct hcv_conn {
	int fd;
	char *buf;
	size_t len, size;
	size_t scanned;		/* bytes known to hold no newline */
};

static int64_t hcv_ctl_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

enum hcv_ctl_exit hcv_ctl_exit_code(enum hcv_code code)
{
	switch (code) {
	case HCV_E_OK:
		return HCV_EXIT_OK;
	case HCV_E_USAGE:
		return HCV_EXIT_USAGE;
	case HCV_E_NOTFOUND:
		return HCV_EXIT_NOTFOUND;
	case HCV_E_EXISTS:
	case HCV_E_BUSY:
	case HCV_E_REFUSED:
		return HCV_EXIT_BUSY;
	case HCV_E_UNREACHABLE:
		return HCV_EXIT_UNREACHABLE;
	case HCV_E_TIMEOUT:
		return HCV_EXIT_TIMEOUT;
	case HCV_E_NOSPACE:
	case HCV_E_IO:
	case HCV_E_INTERNAL:
	case HCV_E_NR:
		break;
	}
	return HCV_EXIT_FAILED;
}

static int hcv_ctl_connect(struct hcv_ctl *ctl)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	/* A stopped agent accepts until its backlog is full, then blocks. */
	struct timeval limit = { .tv_sec = HCV_CTL_GRACE_MS / 1000 };
	int fd;

	if (strlen(ctl->socket) >= sizeof(sa.sun_path))
		return hcv_error_set(&ctl->err, HCV_E_USAGE, "agent", NULL,
				     "the socket's path is too long");
	strcpy(sa.sun_path, ctl->socket);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return fd;
	hcv_error_set(&ctl->err, HCV_E_UNREACHABLE, "agent",
		      errno == EACCES ? "sudo agentctl ..." :
		      "systemctl start hcivold", "%s: %s", ctl->socket,
		      errno == EACCES ? "only root may use it" :
		      strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int hcv_ctl_lost(struct hcv_ctl *ctl, const char *why)
{
	return hcv_error_set(&ctl->err, HCV_E_UNREACHABLE, "agent",
			     "systemctl status hcivold",
			     "the connection to it was lost: %s", why);
}

static int hcv_ctl_send(struct hcv_ctl *ctl, int fd, struct json_object *rq)
{
	const char *text = json_object_to_json_string_ext(rq,
				JSON_C_TO_STRING_PLAIN);
	size_t len = strlen(text), off = 0;
	ssize_t n;

	while (off <= len) {
		n = send(fd, off < len ? text + off : "\n",
			 off < len ? len - off : 1, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hcv_ctl_lost(ctl, strerror(errno));
		off += n;
	}
	return 0;
}

/* Wait for more bytes; 0, or -1 with an error. @until_ms 0: no limit. */
static int hcv_ctl_fill(struct hcv_ctl *ctl, struct hcv_conn *c,
			int64_t until_ms)
{
	struct pollfd pfd = { .fd = c->fd, .events = POLLIN };
	int64_t left = -1;
	char *more;
	ssize_t n;
	int ret;

	if (until_ms) {
		left = until_ms - hcv_ctl_now_ms();
		if (left < 0)
			left = 0;
	}
	ret = poll(&pfd, 1, left);
	if (ret < 0 && errno == EINTR)
		return 0;
	if (!ret)
		return hcv_error_set(&ctl->err, HCV_E_TIMEOUT, "agent",
				     "systemctl status hcivold",
				     "it did not answer in time");
	if (c->size - c->len < 4096) {
		if (c->size >= HCV_CTL_LINE_MAX)
			return hcv_ctl_lost(ctl, "its answer is too long");
		more = realloc(c->buf, c->size * 2 + 8192);
		if (!more)
			return hcv_ctl_lost(ctl, "out of memory");
		c->buf = more;
		c->size = c->size * 2 + 8192;
	}
	n = read(c->fd, c->buf + c->len, c->size - c->len);
	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0)
		return hcv_ctl_lost(ctl, n ? strerror(errno) : "it ended");
	c->len += n;
	return 0;
}

/* The next line as JSON, or NULL with an error. */
static struct json_object *hcv_ctl_line(struct hcv_ctl *ctl,
					struct hcv_conn *c, int64_t until_ms)
{
	struct json_object *o;
	char *nl;

	while (!(nl = c->len > c->scanned ?
		 memchr(c->buf + c->scanned, '\n', c->len - c->scanned) :
		 NULL)) {
		c->scanned = c->len;
		if (hcv_ctl_fill(ctl, c, until_ms))
			return NULL;
	}
	*nl = '\0';
	o = json_tokener_parse(c->buf);
	c->len -= nl + 1 - c->buf;
	c->scanned = 0;
	memmove(c->buf, nl + 1, c->len);
	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		hcv_ctl_lost(ctl, "its answer is not JSON");
		return NULL;
	}
	return o;
}

static void hcv_ctl_take_error(struct hcv_ctl *ctl, struct json_object *answer)
{
	struct json_object *e = hcv_out_get(answer, "error");
	const char *code = hcv_out_str(e, "code");

	hcv_error_set(&ctl->err, *code ? hcv_code_parse(code) :
		      HCV_E_INTERNAL, hcv_out_str(e, "object"),
		      hcv_out_str(e, "hint"), "%s", hcv_out_str(e, "cause"));
}

static struct json_object *hcv_ctl_talk(struct hcv_ctl *ctl,
					struct hcv_conn *c, int64_t until_ms,
					bool (*event)(struct hcv_ctl *ctl,
						      struct json_object *ev))
{
	struct json_object *o, *ev, *result = NULL;
	bool more = true;

	while (more) {
		o = hcv_ctl_line(ctl, c, until_ms);
		if (!o)
			return NULL;
		ev = hcv_out_get(o, "event");
		if (ev) {
			more = !event || event(ctl, ev);
		} else if (hcv_out_bool(o, "ok")) {
			result = json_object_get(hcv_out_get(o, "result"));
			more = false;
			if (!result)
				hcv_ctl_lost(ctl, "its answer is malformed");
		} else {
			hcv_ctl_take_error(ctl, o);
			more = false;
		}
		json_object_put(o);
	}
	return result;
}

struct json_object *hcv_ctl_call(struct hcv_ctl *ctl, const char *api,
				 struct json_object *args,
				 unsigned int timeout_ms,
				 bool (*event)(struct hcv_ctl *ctl,
					       struct json_object *ev))
{
	struct json_object *rq, *result = NULL;
	struct hcv_conn c = { 0 };
	int64_t until = 0;

	c.fd = hcv_ctl_connect(ctl);
	if (c.fd < 0)
		return NULL;
	rq = json_object_new_object();
	json_object_object_add(rq, "id", json_object_new_int(1));
	json_object_object_add(rq, "cmd", json_object_new_string(api));
	json_object_object_add(rq, "args", json_object_get(args));
	if (timeout_ms) {
		json_object_object_add(rq, "timeout_ms",
				       json_object_new_int64(timeout_ms));
		until = hcv_ctl_now_ms() + timeout_ms + HCV_CTL_GRACE_MS;
	}
	if (!hcv_ctl_send(ctl, c.fd, rq))
		result = hcv_ctl_talk(ctl, &c, until, event);
	json_object_put(rq);
	free(c.buf);
	close(c.fd);
	return result;
}
