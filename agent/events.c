// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events for operators and programs: a ring in RAM, a bounded log, a stream.
 *
 * The ring belongs to the loop thread; hcv_event_emit() hands its event over.
 * Lines reach the log through a job, so that a slow disk delays nothing.  The
 * log is two files of at most HCV_EVENTS_FILE bytes, and is not fsynced: it
 * tells people what happened, nothing is decided by it.
 */
#include "events.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api.h"

#define HCV_EVENTS_RING		1000U
#define HCV_EVENTS_FILE		(1U << 20)
#define HCV_EVENTS_FOLLOWERS	32
#define HCV_EVENTS_PENDING	(1U << 20)	/* unwritten bytes kept */

struct hcv_events {
	struct json_object *ring[HCV_EVENTS_RING];	/* by seq */
	uint64_t next;			/* seq of the next event, from 1 */
	struct {
		struct hcv_client *client;
		int64_t id;
	} follow[HCV_EVENTS_FOLLOWERS];
	char *pending;
	size_t pending_len;
};

static const char * const hcv_events_sev[] = {
	"debug", "info", "warning", "error"
};

static void hcv_events_path(struct hcv_agent *a, char *path, size_t size,
			    const char *suffix)
{
	snprintf(path, size, "%s/events.log%s", a->state_dir, suffix);
}

struct hcv_events_batch {
	char *text;
	size_t len;
	int err;
};

static void hcv_events_write(struct hcv_job *job)
{
	struct hcv_events_batch *batch = job->arg;
	char path[PATH_MAX], old[PATH_MAX];
	struct stat st;
	size_t off = 0;
	ssize_t n;
	int fd;

	hcv_events_path(job->agent, path, sizeof(path), "");
	hcv_events_path(job->agent, old, sizeof(old), ".1");
	if (!stat(path, &st) &&
	    st.st_size + (off_t)batch->len > (off_t)HCV_EVENTS_FILE &&
	    rename(path, old) < 0)
		batch->err = errno;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0) {
		batch->err = errno;
		return;
	}
	while (off < batch->len) {
		n = write(fd, batch->text + off, batch->len - off);
		if (n < 0 && errno != EINTR) {
			batch->err = errno;
			break;
		}
		if (n > 0)
			off += n;
	}
	close(fd);
}

static void hcv_events_flush(struct hcv_agent *a);

static void hcv_events_written(struct hcv_job *job)
{
	struct hcv_events_batch *batch = job->arg;

	if (batch->err)
		hcv_log(HCV_SEV_WARN, "events log: %s", strerror(batch->err));
	free(batch->text);
	free(batch);
	hcv_events_flush(job->agent);
}

static void hcv_events_flush(struct hcv_agent *a)
{
	struct hcv_events *e = a->events;
	struct hcv_events_batch *batch;

	if (!e->pending_len || hcv_job_running(a, "events/log"))
		return;
	batch = calloc(1, sizeof(*batch));
	if (!batch)
		return;		/* the next event tries again */
	batch->text = e->pending;
	batch->len = e->pending_len;
	e->pending = NULL;
	e->pending_len = 0;
	if (!hcv_job_start(a, "events/log", 30000, hcv_events_write,
			   hcv_events_written, batch)) {
		free(batch->text);
		free(batch);
	}
}

static void hcv_events_log(struct hcv_agent *a, struct json_object *ev)
{
	struct hcv_events *e = a->events;
	const char *text;
	char *more;
	size_t len;

	text = json_object_to_json_string_length(ev, JSON_C_TO_STRING_PLAIN,
						 &len);
	if (!text || e->pending_len + len + 1 > HCV_EVENTS_PENDING)
		return;
	more = realloc(e->pending, e->pending_len + len + 1);
	if (!more)
		return;
	e->pending = more;
	memcpy(more + e->pending_len, text, len);
	more[e->pending_len + len] = '\n';
	e->pending_len += len + 1;
	hcv_events_flush(a);
}

static void hcv_events_store(struct hcv_events *e, struct json_object *ev)
{
	struct json_object **slot = &e->ring[e->next % HCV_EVENTS_RING];

	json_object_put(*slot);
	*slot = ev;
	e->next++;
}

static void hcv_events_add(struct hcv_agent *a, void *arg)
{
	struct hcv_events *e = a->events;
	struct json_object *ev = arg;
	int i;

	json_object_object_add(ev, "seq", json_object_new_int64(e->next));
	hcv_events_log(a, ev);
	for (i = 0; i < HCV_EVENTS_FOLLOWERS; i++)
		if (e->follow[i].client)
			hcv_api_send_event(e->follow[i].client,
					   e->follow[i].id, ev);
	hcv_events_store(e, ev);
}

void hcv_event_emit(struct hcv_agent *a, enum hcv_severity sev,
		    const char *object, struct json_object *data,
		    const char *text_fmt, ...)
{
	struct json_object *ev = json_object_new_object();
	struct timespec ts;
	char text[512];
	va_list ap;

	va_start(ap, text_fmt);
	vsnprintf(text, sizeof(text), text_fmt, ap);
	va_end(ap);
	hcv_log(sev, "%s: %s", object, text);
	if (!ev) {
		json_object_put(data);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	json_object_object_add(ev, "time_ms",
			       json_object_new_int64((int64_t)ts.tv_sec * 1000 +
						     ts.tv_nsec / 1000000));
	json_object_object_add(ev, "severity",
			       json_object_new_string(hcv_events_sev[sev]));
	json_object_object_add(ev, "object", json_object_new_string(object));
	json_object_object_add(ev, "text", json_object_new_string(text));
	if (data)
		json_object_object_add(ev, "data", data);
	hcv_agent_defer(a, hcv_events_add, ev);
}

static int hcv_events_start(struct hcv_agent *a, struct hcv_client *c,
			    int64_t id, struct json_object *args,
			    struct hcv_error *err)
{
	struct hcv_events *e = a->events;
	struct json_object *o;
	bool follow = true;
	uint64_t seq = 0;
	int i;

	if (json_object_object_get_ex(args, "since", &o))
		seq = json_object_get_int64(o);
	if (json_object_object_get_ex(args, "follow", &o))
		follow = json_object_get_boolean(o);
	for (i = 0; i < HCV_EVENTS_FOLLOWERS && e->follow[i].client; i++)
		;
	if (follow && i == HCV_EVENTS_FOLLOWERS)
		return hcv_error_set(err, HCV_E_BUSY, "events", NULL,
				     "%d clients follow already", i);
	if (e->next > HCV_EVENTS_RING && seq < e->next - HCV_EVENTS_RING - 1)
		seq = e->next - HCV_EVENTS_RING - 1;
	for (seq++; seq < e->next; seq++)
		if (e->ring[seq % HCV_EVENTS_RING])
			hcv_api_send_event(c, id,
					   e->ring[seq % HCV_EVENTS_RING]);
	if (!follow) {
		hcv_api_send_result(c, id, json_object_new_object());
		return 1;
	}
	e->follow[i].client = c;
	e->follow[i].id = id;
	return 0;
}

static void hcv_events_end(struct hcv_agent *a, struct hcv_client *c)
{
	int i;

	for (i = 0; i < HCV_EVENTS_FOLLOWERS; i++)
		if (a->events->follow[i].client == c)
			a->events->follow[i].client = NULL;
}

static const struct hcv_api_arg hcv_events_args[] = {
	{ "since", HCV_ARG_UINT, false },
	{ "follow", HCV_ARG_BOOL, false },
	{ NULL }
};

static const struct hcv_api_stream hcv_events_stream = {
	.name = "events.follow",
	.args = hcv_events_args,
	.start = hcv_events_start,
	.end = hcv_events_end,
};

/* The log may end in half a line, or hold anything: take what is an event. */
static void hcv_events_load(struct hcv_agent *a, const char *suffix)
{
	char path[PATH_MAX];
	struct json_object *ev, *seq;
	char *text, *line, *save;

	hcv_events_path(a, path, sizeof(path), suffix);
	text = hcv_file_read(path);
	if (!text)
		return;
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		ev = json_tokener_parse(line);
		if (!ev || !json_object_is_type(ev, json_type_object) ||
		    !json_object_object_get_ex(ev, "seq", &seq) ||
		    json_object_get_int64(seq) < (int64_t)a->events->next) {
			json_object_put(ev);
			continue;
		}
		a->events->next = json_object_get_int64(seq);
		hcv_events_store(a->events, ev);
	}
	free(text);
}

int hcv_events_init(struct hcv_agent *a)
{
	a->events = calloc(1, sizeof(*a->events));
	if (!a->events)
		return -ENOMEM;
	a->events->next = 1;
	hcv_events_load(a, ".1");
	hcv_events_load(a, "");
	hcv_api_stream_register(a, &hcv_events_stream);
	return 0;
}

void hcv_events_exit(struct hcv_agent *a)
{
	unsigned int i;

	for (i = 0; i < HCV_EVENTS_RING; i++)
		json_object_put(a->events->ring[i]);
	free(a->events->pending);
	free(a->events);
	a->events = NULL;
}
