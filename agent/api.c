// SPDX-License-Identifier: GPL-2.0-only
/*
 * Server of the local API: a Unix socket, one JSON object a line.
 *
 * The loop thread reads, parses and answers; handlers run as jobs.  A client
 * is freed when its handle is closed and no request of it is left.  A client
 * that does not read its answers is dropped when HCV_API_BACKLOG bytes wait.
 */
#include "api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "jobs.h"
#include "state.h"

#define HCV_API_CLIENTS		64
#define HCV_API_BACKLOG		(8U << 20)
#define HCV_API_TABLES		16
#define HCV_API_QUEUE		256	/* requests at work or waiting */

struct hcv_client {
	uv_pipe_t pipe;
	struct hcv_agent *agent;
	struct hcv_client *next;
	unsigned int refs;	/* one for the handle, one per request */
	bool closed;
	const struct hcv_api_stream *stream;
	char *buf;
	size_t len, size;
};

struct hcv_api {
	uv_pipe_t server;
	bool listening;
	struct {
		const struct hcv_api_cmd *cmd;
		size_t nr;
	} table[HCV_API_TABLES];
	unsigned int nr_tables;
	const struct hcv_api_stream *stream[4];
	unsigned int nr_streams;
	struct hcv_client *clients;
	unsigned int nr_clients;
	unsigned int nr_requests;
	uint64_t next_job;
};

struct hcv_api_call {
	struct hcv_api_req req;		/* first: hcv_api_progress() casts */
	struct hcv_request rq;
	struct hcv_client *client;
	const struct hcv_api_cmd *cmd;
	int ret;
};

struct hcv_api_write {
	uv_write_t write;
	char *text;
};

int hcv_api_init(struct hcv_agent *a)
{
	a->api = calloc(1, sizeof(*a->api));
	return a->api ? 0 : -ENOMEM;
}

void hcv_api_register(struct hcv_agent *a, const struct hcv_api_cmd *cmd,
		      size_t nr)
{
	if (a->api->nr_tables == HCV_API_TABLES)
		abort();	/* a constant of the source is wrong */
	a->api->table[a->api->nr_tables].cmd = cmd;
	a->api->table[a->api->nr_tables++].nr = nr;
}

void hcv_api_stream_register(struct hcv_agent *a,
			     const struct hcv_api_stream *s)
{
	if (a->api->nr_streams == 4)
		abort();	/* as above */
	a->api->stream[a->api->nr_streams++] = s;
}

/* ------------------------------------------------------------------ clients */

static void hcv_client_put(struct hcv_client *c)
{
	if (--c->refs)
		return;
	free(c->buf);
	free(c);
}

static void hcv_client_closed(uv_handle_t *h)
{
	struct hcv_client *c = h->data, **p;
	struct hcv_api *api = c->agent->api;

	for (p = &api->clients; *p; p = &(*p)->next) {
		if (*p == c) {
			*p = c->next;
			break;
		}
	}
	api->nr_clients--;
	hcv_client_put(c);
}

static void hcv_client_close(struct hcv_client *c)
{
	if (c->closed)
		return;
	c->closed = true;
	if (c->stream && c->stream->end)
		c->stream->end(c->agent, c);
	c->stream = NULL;
	uv_close((uv_handle_t *)&c->pipe, hcv_client_closed);
}

static void hcv_client_written(uv_write_t *w, int status)
{
	struct hcv_api_write *write = w->data;

	(void)status;		/* the read side notices a client that is gone */
	free(write->text);
	free(write);
}

/* Sends and frees @o. */
static void hcv_client_send(struct hcv_client *c, struct json_object *o)
{
	struct hcv_api_write *w;
	const char *text;
	uv_buf_t buf;
	size_t len;

	if (c->closed || !o)
		goto out;
	if (uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) >
	    HCV_API_BACKLOG) {
		hcv_client_close(c);
		goto out;
	}
	text = json_object_to_json_string_length(o,
						 JSON_C_TO_STRING_PLAIN |
						 JSON_C_TO_STRING_NOSLASHESCAPE,
						 &len);
	w = calloc(1, sizeof(*w));
	if (w)
		w->text = malloc(len + 1);
	if (!text || !w || !w->text) {
		free(w);
		hcv_client_close(c);
		goto out;
	}
	memcpy(w->text, text, len);
	w->text[len] = '\n';
	w->write.data = w;
	buf = uv_buf_init(w->text, len + 1);
	if (uv_write(&w->write, (uv_stream_t *)&c->pipe, &buf, 1,
		     hcv_client_written) < 0) {
		free(w->text);
		free(w);
		hcv_client_close(c);
	}
out:
	json_object_put(o);
}

static struct json_object *hcv_api_answer(int64_t id, bool ok)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "id", json_object_new_int64(id));
	json_object_object_add(o, "ok", json_object_new_boolean(ok));
	return o;
}

static void hcv_api_send_error(struct hcv_client *c, int64_t id,
			       const struct hcv_error *err)
{
	struct json_object *o = hcv_api_answer(id, false);
	struct json_object *e = json_object_new_object();

	json_object_object_add(e, "code",
			       json_object_new_string(hcv_code_name(err->code)));
	json_object_object_add(e, "object",
			       json_object_new_string(err->object));
	json_object_object_add(e, "cause", json_object_new_string(err->cause));
	json_object_object_add(e, "hint", json_object_new_string(err->hint));
	json_object_object_add(o, "error", e);
	hcv_client_send(c, o);
}

void hcv_api_send_result(struct hcv_client *c, int64_t id,
			 struct json_object *result)
{
	struct json_object *o = hcv_api_answer(id, true);

	json_object_object_add(o, "result", result);
	hcv_client_send(c, o);
}

void hcv_api_send_event(struct hcv_client *c, int64_t id,
			struct json_object *ev)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "id", json_object_new_int64(id));
	json_object_object_add(o, "event", json_object_get(ev));
	hcv_client_send(c, o);
}

/* ----------------------------------------------------------------- requests */

/* What an agent that has just started waits for, as its clients do. */
static int hcv_api_known(struct hcv_job *job, struct hcv_error *err)
{
	struct hcv_snap *s = hcv_state_first(job->agent, job->deadline_ms);
	char why[HCV_ERR_SIZE];

	hcv_snap_put(s);
	if (s)
		return 0;
	hcv_state_reachable(job->agent, why, NULL);
	return hcv_error_set(err, HCV_E_UNREACHABLE, "metadata store",
			     "agentctl cluster status",
			     "it has not been read since the agent started: %s",
			     why);
}

static void hcv_api_job(struct hcv_job *job)
{
	struct hcv_api_call *call = job->arg;

	call->req.job = job;
	call->ret = call->cmd->flags & HCV_API_SNAPSHOT ?
		    hcv_api_known(job, &call->req.err) : 0;
	if (!call->ret)
		call->ret = call->cmd->handler(&call->req);
}

static void hcv_api_call_free(struct hcv_api_call *call)
{
	struct hcv_client *c = call->client;

	c->agent->api->nr_requests--;
	json_object_put(call->req.result);
	hcv_request_free(&call->rq);
	free(call);
	hcv_client_put(c);
}

/* Events of the call were deferred before this, so they come first. */
static void hcv_api_finish(struct hcv_agent *a, void *arg)
{
	struct hcv_api_call *call = arg;

	(void)a;
	if (call->ret) {
		hcv_api_send_error(call->client, call->rq.id, &call->req.err);
	} else {
		hcv_api_send_result(call->client, call->rq.id,
				    call->req.result);
		call->req.result = NULL;
	}
	hcv_api_call_free(call);
}

static void hcv_api_done(struct hcv_job *job)
{
	struct hcv_api_call *call = job->arg;

	if (!call->req.job) {	/* it was never run */
		call->ret = -1;
		call->req.err = job->err;
	}
	hcv_agent_defer(job->agent, hcv_api_finish, call);
}

struct hcv_api_event {
	struct hcv_api_call *call;
	struct json_object *ev;
};

static void hcv_api_progress_send(struct hcv_agent *a, void *arg)
{
	struct hcv_api_event *e = arg;

	(void)a;
	hcv_api_send_event(e->call->client, e->call->rq.id, e->ev);
	json_object_put(e->ev);
	free(e);
}

void hcv_api_progress(struct hcv_api_req *req, struct json_object *ev)
{
	struct hcv_api_event *e = malloc(sizeof(*e));

	if (!e) {
		json_object_put(ev);
		return;		/* progress is not worth an error */
	}
	e->call = (struct hcv_api_call *)req;
	e->ev = ev;
	hcv_agent_defer(req->agent, hcv_api_progress_send, e);
}

static const struct hcv_api_cmd *hcv_api_find(struct hcv_api *api,
					      const char *name)
{
	unsigned int i;
	size_t k;

	for (i = 0; i < api->nr_tables; i++)
		for (k = 0; k < api->table[i].nr; k++)
			if (!strcmp(api->table[i].cmd[k].name, name))
				return &api->table[i].cmd[k];
	return NULL;
}

static int hcv_api_allowed(struct hcv_agent *a, const struct hcv_api_cmd *cmd,
			   struct hcv_error *err)
{
	if ((cmd->flags & HCV_API_DEBUG) && !a->debug)
		return hcv_error_set(err, HCV_E_REFUSED, cmd->name, NULL,
				     "the agent runs without --debug");
	if (!(cmd->flags & HCV_API_NO_CLUSTER) && !hcv_agent_id(a))
		return hcv_error_set(err, HCV_E_REFUSED, "node",
				     "agentctl cluster init",
				     "this node belongs to no cluster yet");
	return 0;
}

/* True if @rq was for a stream (answered or refused here). */
static bool hcv_api_try_stream(struct hcv_client *c, struct hcv_request *rq)
{
	struct hcv_api *api = c->agent->api;
	struct hcv_error err = { 0 };
	unsigned int i;
	int ret = -1;

	for (i = 0; i < api->nr_streams; i++)
		if (!strcmp(api->stream[i]->name, rq->cmd))
			break;
	if (i == api->nr_streams)
		return false;
	if (c->stream)
		hcv_error_set(&err, HCV_E_BUSY, rq->cmd, NULL,
			      "this connection has a stream already");
	else if (!hcv_request_check(rq->cmd, rq->args, api->stream[i]->args,
				    &err))
		ret = api->stream[i]->start(c->agent, c, rq->id, rq->args,
					    &err);
	if (ret < 0)
		hcv_api_send_error(c, rq->id, &err);
	else if (!ret && !c->closed)
		c->stream = api->stream[i];
	else if (!ret && api->stream[i]->end)
		api->stream[i]->end(c->agent, c);	/* it fell behind */
	return true;
}

static int hcv_api_start(struct hcv_client *c, struct hcv_request *rq,
			 struct hcv_error *err)
{
	struct hcv_agent *a = c->agent;
	const struct hcv_api_cmd *cmd = hcv_api_find(a->api, rq->cmd);
	struct hcv_api_call *call;
	unsigned int ms;
	char key[32];

	if (!cmd)
		return hcv_error_set(err, HCV_E_USAGE, "request", "agentctl version",
				     "unknown command \"%.60s\"", rq->cmd);
	if (hcv_request_check(cmd->name, rq->args, cmd->args, err) ||
	    hcv_api_allowed(a, cmd, err))
		return -1;
	if (a->api->nr_requests >= HCV_API_QUEUE)
		return hcv_error_set(err, HCV_E_BUSY, "agent", NULL,
				     "too many requests are waiting");
	call = calloc(1, sizeof(*call));
	if (call)
		call->req.result = json_object_new_object();
	if (!call || !call->req.result) {
		free(call);
		return hcv_error_set(err, HCV_E_INTERNAL, "agent", NULL,
				     "out of memory");
	}
	call->req.agent = a;
	call->req.args = rq->args;
	call->rq = *rq;
	call->cmd = cmd;
	call->client = c;
	ms = rq->timeout_ms ? rq->timeout_ms : cmd->deadline_ms;
	snprintf(key, sizeof(key), "api/%llu",
		 (unsigned long long)a->api->next_job++);
	if (!hcv_job_start_api(a, key, cmd->deadline_ms <= HCV_QUICK_MS, ms,
			       hcv_api_job, hcv_api_done, call)) {
		json_object_put(call->req.result);
		free(call);
		return hcv_error_set(err, HCV_E_UNREACHABLE, "agent", NULL,
				     "the agent is stopping");
	}
	memset(rq, 0, sizeof(*rq));	/* the call owns it now */
	a->api->nr_requests++;
	c->refs++;
	return 0;
}

static void hcv_client_line(struct hcv_client *c, const char *line, size_t len)
{
	struct hcv_error err = { 0 };
	struct hcv_request rq;

	if (hcv_request_parse(line, len, &rq, &err) ||
	    (!hcv_api_try_stream(c, &rq) && hcv_api_start(c, &rq, &err)))
		hcv_api_send_error(c, rq.id, &err);
	hcv_request_free(&rq);
}

static void hcv_client_lines(struct hcv_client *c)
{
	char *p = c->buf, *end = c->buf + c->len, *nl;

	while (!c->closed && (nl = memchr(p, '\n', end - p))) {
		if (nl > p)
			hcv_client_line(c, p, nl - p);
		p = nl + 1;
	}
	c->len = end - p;
	memmove(c->buf, p, c->len);
}

static void hcv_client_alloc(uv_handle_t *h, size_t want, uv_buf_t *buf)
{
	struct hcv_client *c = h->data;
	char *more;

	(void)want;
	if (c->len == c->size && c->size <= HCV_REQUEST_MAX) {
		more = realloc(c->buf, c->size ? c->size * 2 : 4096);
		if (more) {
			c->buf = more;
			c->size = c->size ? c->size * 2 : 4096;
		}
	}
	*buf = uv_buf_init(c->buf + c->len, c->size - c->len);
}

static void hcv_client_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct hcv_client *c = s->data;
	struct hcv_error err = { 0 };

	(void)buf;
	if (n == UV_ENOBUFS) {
		hcv_error_set(&err, HCV_E_USAGE, "request", NULL,
			      "it is too long");
		hcv_api_send_error(c, 0, &err);
	}
	if (n < 0) {
		hcv_client_close(c);
		return;
	}
	c->len += n;
	hcv_client_lines(c);
}

static void hcv_api_connection(uv_stream_t *server, int status)
{
	struct hcv_agent *a = server->data;
	struct hcv_client *c;

	if (status < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c)
		return;		/* libuv asks again with the next client */
	c->agent = a;
	c->refs = 1;
	if (uv_pipe_init(&a->loop, &c->pipe, 0) < 0) {
		free(c);
		return;
	}
	c->pipe.data = c;
	c->next = a->api->clients;
	a->api->clients = c;
	a->api->nr_clients++;
	if (uv_accept(server, (uv_stream_t *)&c->pipe) < 0 ||
	    a->api->nr_clients > HCV_API_CLIENTS ||
	    uv_read_start((uv_stream_t *)&c->pipe, hcv_client_alloc,
			  hcv_client_read) < 0)
		hcv_client_close(c);
}

/* Somebody who answers there is another agent; a dead socket is removed. */
static int hcv_api_clear(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, ret = 0;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    errno == EAGAIN)
		ret = -EADDRINUSE;
	else if (errno != ENOENT && unlink(path) < 0 && errno != ENOENT)
		ret = -errno;
	close(fd);
	return ret;
}

int hcv_api_listen(struct hcv_agent *a)
{
	struct hcv_api *api = a->api;
	mode_t mask;
	int ret;

	ret = hcv_api_clear(a->socket);
	if (ret)
		goto out;
	ret = uv_pipe_init(&a->loop, &api->server, 0);
	if (ret)
		goto out;
	api->server.data = a;
	api->listening = true;
	mask = umask(0177);	/* the socket is root's alone from the start */
	ret = uv_pipe_bind(&api->server, a->socket);
	umask(mask);
	if (!ret)
		ret = uv_listen((uv_stream_t *)&api->server, 64,
				hcv_api_connection);
out:
	if (ret)
		hcv_log(HCV_SEV_ERR, "socket %s: %s", a->socket,
			strerror(-ret));
	return ret;
}

void hcv_api_exit(struct hcv_agent *a)
{
	struct hcv_client *c, *next;

	if (a->api->listening)
		uv_close((uv_handle_t *)&a->api->server, NULL);
	for (c = a->api->clients; c; c = next) {
		next = c->next;
		hcv_client_close(c);
	}
	/* the closing callbacks run in the loop's last turn */
}

void hcv_api_free(struct hcv_agent *a)
{
	free(a->api);
	a->api = NULL;
}

/* ---------------------------------------------------------------- arguments */

bool hcv_api_has(const struct hcv_api_req *req, const char *name)
{
	return json_object_object_get_ex(req->args, name, NULL);
}

const char *hcv_api_str(const struct hcv_api_req *req, const char *name,
			const char *def)
{
	struct json_object *o;

	if (!json_object_object_get_ex(req->args, name, &o))
		return def;
	return json_object_get_string(o);
}

uint64_t hcv_api_uint(const struct hcv_api_req *req, const char *name,
		      uint64_t def)
{
	struct json_object *o;

	if (!json_object_object_get_ex(req->args, name, &o))
		return def;
	return json_object_get_int64(o);
}

bool hcv_api_bool(const struct hcv_api_req *req, const char *name, bool def)
{
	struct json_object *o;

	if (!json_object_object_get_ex(req->args, name, &o))
		return def;
	return json_object_get_boolean(o);
}
