// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of volumes of the owner side, and the small durable file that
 * tells how a volume is to be attached in one epoch.
 */
#include "owner_vols.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/json.h"

static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;		/* CLOCK_MONOTONIC */
	uint64_t passes;
	struct hcv_owner_vol *vol;
} vols;

/* Over the notes of orderly stops; taken before the table's lock. */
static pthread_mutex_t stop_lock = PTHREAD_MUTEX_INITIALIZER;
/* Over the files of attach options and what is known of them; the same. */
static pthread_mutex_t options_lock = PTHREAD_MUTEX_INITIALIZER;

int hcv_owner_vols_init(void)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&vols.lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&vols.cond, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

void hcv_owner_vols_exit(void)
{
	struct hcv_owner_vol *v;

	while ((v = vols.vol)) {
		vols.vol = v->next;
		free(v);
	}
	pthread_cond_destroy(&vols.cond);
	pthread_mutex_destroy(&vols.lock);
}

struct hcv_owner_vol *hcv_owner_vols_lock(const char *uuid, bool create)
{
	struct hcv_owner_vol *v;

	pthread_mutex_lock(&vols.lock);
	for (v = vols.vol; v; v = v->next)
		if (!strcmp(v->uuid, uuid))
			return v;
	if (!create)
		return NULL;
	v = calloc(1, sizeof(*v));
	if (!v)
		return NULL;
	snprintf(v->uuid, sizeof(v->uuid), "%s", uuid);
	v->next = vols.vol;
	vols.vol = v;
	return v;
}

void hcv_owner_vols_unlock(bool wake)
{
	if (wake) {
		vols.passes++;
		pthread_cond_broadcast(&vols.cond);
	}
	pthread_mutex_unlock(&vols.lock);
}

void hcv_owner_wait(struct hcv_agent *a, int64_t until_ms)
{
	int64_t left = until_ms - hcv_now_ms();
	struct timespec ts;
	uint64_t passes;

	if (left <= 0)
		return;
	/* The agent's end wakes nobody here. */
	if (left > 500)
		left = 500;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += left * 1000000L;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	pthread_mutex_lock(&vols.lock);
	passes = vols.passes;
	while (passes == vols.passes && !hcv_agent_stopping(a) &&
	       pthread_cond_timedwait(&vols.cond, &vols.lock, &ts) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&vols.lock);
}

size_t hcv_owner_vols_tracked(char (**out)[HCV_ID_LEN])
{
	const struct hcv_owner_vol *v;
	size_t nr = 0, n = 0;

	pthread_mutex_lock(&vols.lock);
	for (v = vols.vol; v; v = v->next)
		nr += v->tracked || v->detach || v->force;
	*out = nr ? calloc(nr, sizeof(**out)) : NULL;
	for (v = vols.vol; v && *out; v = v->next)
		if (v->tracked || v->detach || v->force)
			memcpy((*out)[n++], v->uuid, HCV_ID_LEN);
	pthread_mutex_unlock(&vols.lock);
	return n;
}

void hcv_owner_vols_scan(const struct hcv_k_vol *vol, size_t nr)
{
	struct hcv_owner_vol *v;
	size_t i;

	pthread_mutex_lock(&vols.lock);
	for (v = vols.vol; v; v = v->next)
		v->tracked = false;
	pthread_mutex_unlock(&vols.lock);
	for (i = 0; i < nr; i++) {
		v = hcv_owner_vols_lock(vol[i].uuid, true);
		if (v)
			v->tracked = true;
		hcv_owner_vols_unlock(false);
	}
}

/* ------------------------------------------------------------- owner.h's part */

bool hcv_owner_get_report(struct hcv_agent *a, const char *uuid,
			  struct hcv_owner_report *out)
{
	struct hcv_owner_vol *v = hcv_owner_vols_lock(uuid, false);
	bool known = v && v->report.pass;

	(void)a;
	memset(out, 0, sizeof(*out));
	if (known)
		*out = v->report;
	if (v)
		out->wished = v->detach || v->force;
	hcv_owner_vols_unlock(false);
	return known;
}

void hcv_owner_wish(struct hcv_agent *a, const char *uuid, bool detach,
		    bool force)
{
	struct hcv_owner_vol *v = hcv_owner_vols_lock(uuid, detach || force);

	if (v) {
		v->detach = detach;
		v->force = force;
		v->wishes++;
		v->report.failed = HCV_VP_NONE;
		/* A new wish does not wait for an old failure's retry. */
		v->mem.nr_retry = 0;
	}
	hcv_owner_vols_unlock(false);
	hcv_owner_kick(a, uuid);
}

bool hcv_owner_busy(struct hcv_agent *a, const char *uuid, bool begin)
{
	struct hcv_owner_vol *v = hcv_owner_vols_lock(uuid, begin);
	bool got = v && (!begin || !v->attaching);

	(void)a;
	if (got) {
		v->attaching = begin;
		v->report.failed = HCV_VP_NONE;
	}
	hcv_owner_vols_unlock(false);
	return got;
}

void hcv_owner_wrote(struct hcv_agent *a, const char *uuid, int64_t rev,
		     bool unknown)
{
	struct hcv_owner_vol *v = hcv_owner_vols_lock(uuid, true);

	(void)a;
	if (v) {
		v->unknown = unknown;
		if (rev > v->seen_rev)
			v->seen_rev = rev;
	}
	hcv_owner_vols_unlock(false);
}

bool hcv_owner_current(struct hcv_agent *a, const char *uuid, int64_t rev)
{
	struct hcv_owner_vol *v = hcv_owner_vols_lock(uuid, false);
	bool ok = !v || (!v->unknown && rev >= v->seen_rev);

	(void)a;
	hcv_owner_vols_unlock(false);
	return ok;
}

/* ------------------------------------------------------------------ options */

static void options_path(struct hcv_agent *a, const char *uuid, char *path,
			 size_t size)
{
	snprintf(path, size, "%s/attach-%s.json", a->state_dir, uuid);
}

int hcv_owner_options(struct hcv_agent *a, const char *uuid, uint64_t epoch,
		      bool readonly, uint32_t queue)
{
	struct hcv_owner_vol *v;
	struct hcv_json j;
	char path[384];
	char *text;
	int ret;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_u64(&j, "epoch", epoch);
	hcv_json_put_bool(&j, "readonly", readonly);
	hcv_json_put_u64(&j, "queue", queue);
	text = hcv_json_finish(&j);
	if (!text)
		return -ENOMEM;
	options_path(a, uuid, path, sizeof(path));
	pthread_mutex_lock(&options_lock);
	ret = hcv_file_write(path, text, strlen(text));
	v = hcv_owner_vols_lock(uuid, true);
	if (v)
		v->opt_loaded = false;
	hcv_owner_vols_unlock(false);
	pthread_mutex_unlock(&options_lock);
	free(text);
	return ret;
}

/* ------------------------------------------------------------- orderly stops */

/*
 * An orderly stop leaves a note before it begins: epoch and boot ID of the
 * module.  A volume that this very module does not have any more was then
 * stopped in order, whatever became of the agent meanwhile: the only other way
 * out of a module is a stop by force, and that takes the note away first.
 */
static void stop_path(struct hcv_agent *a, const char *uuid, char *path,
		      size_t size)
{
	snprintf(path, size, "%s/stop-%s.json", a->state_dir, uuid);
}

static int stop_note_write(struct hcv_agent *a, const char *uuid,
			   uint64_t epoch, uint64_t boot_id)
{
	struct hcv_json j;
	char path[384];
	char *text;
	int ret;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_u64(&j, "epoch", epoch);
	hcv_json_put_u64(&j, "module", boot_id >> 1);
	text = hcv_json_finish(&j);
	if (!text)
		return -ENOMEM;
	stop_path(a, uuid, path, sizeof(path));
	ret = hcv_file_write(path, text, strlen(text));
	free(text);
	return ret;
}

int hcv_owner_stop_begin(struct hcv_agent *a, const char *uuid, uint64_t epoch,
			 uint64_t boot_id)
{
	struct hcv_owner_vol *v;
	int ret = -ENOMEM;

	pthread_mutex_lock(&stop_lock);
	v = hcv_owner_vols_lock(uuid, true);
	if (v)
		ret = v->forced_epoch == epoch ? -ECANCELED : 0;
	hcv_owner_vols_unlock(false);
	if (!ret)
		ret = stop_note_write(a, uuid, epoch, boot_id);
	pthread_mutex_unlock(&stop_lock);
	return ret;
}

void hcv_owner_stop_forced(struct hcv_agent *a, const char *uuid,
			   uint64_t epoch)
{
	struct hcv_owner_vol *v;
	char path[384];
	int ret;

	pthread_mutex_lock(&stop_lock);
	v = hcv_owner_vols_lock(uuid, true);
	if (v) {
		v->forced_epoch = epoch;
		v->stopped_epoch = 0;
	}
	hcv_owner_vols_unlock(false);
	stop_path(a, uuid, path, sizeof(path));
	ret = hcv_file_remove(path);
	if (ret)
		hcv_log(HCV_SEV_ERR, "%s: %s", path, strerror(-ret));
	pthread_mutex_unlock(&stop_lock);
}

bool hcv_owner_stop_proved(struct hcv_agent *a, const char *uuid,
			   uint64_t epoch, uint64_t boot_id)
{
	uint64_t of_epoch = 0, of_module = 0;
	struct json_object *o = NULL;
	char err[HCV_ERR_SIZE] = "";
	struct hcv_owner_vol *v;
	bool proved = false;
	char path[384];
	char *text;

	pthread_mutex_lock(&stop_lock);
	stop_path(a, uuid, path, sizeof(path));
	text = hcv_file_read(path);
	if (text)
		o = hcv_json_parse(text, HCV_SCHEMA, err);
	free(text);
	if (o && !hcv_json_u64(o, "epoch", 0, UINT64_MAX, &of_epoch, err) &&
	    !hcv_json_u64(o, "module", 0, UINT64_MAX, &of_module, err))
		proved = of_epoch == epoch && of_module == boot_id >> 1;
	else if (*err)
		hcv_log(HCV_SEV_WARN, "%s: %s", path, err);
	json_object_put(o);
	v = hcv_owner_vols_lock(uuid, false);
	if (v && v->forced_epoch == epoch)
		proved = false;
	hcv_owner_vols_unlock(false);
	pthread_mutex_unlock(&stop_lock);
	return proved;
}

/* ------------------------------------------------------------------ options */

static int options_read(const char *path, uint64_t *epoch, bool *readonly,
			uint64_t *queue)
{
	char *text = hcv_file_read(path);
	struct json_object *o;
	char err[HCV_ERR_SIZE];
	int ret = -EINVAL;

	if (!text)
		return -errno;
	o = hcv_json_parse(text, HCV_SCHEMA, err);
	free(text);
	if (!o || hcv_json_u64(o, "epoch", 0, UINT64_MAX, epoch, err) ||
	    hcv_json_bool(o, "readonly", readonly, err) ||
	    hcv_json_u64(o, "queue", 0, HCV_QUEUE_BIO, queue, err))
		hcv_log(HCV_SEV_WARN, "%s: %s", path, err);
	else
		ret = 0;
	json_object_put(o);
	return ret;
}

void hcv_owner_options_load(struct hcv_agent *a, const char *uuid)
{
	uint64_t epoch = 0, queue = 0;
	struct hcv_owner_vol *v;
	bool readonly = false;
	char path[384];
	bool loaded;

	pthread_mutex_lock(&options_lock);
	v = hcv_owner_vols_lock(uuid, true);
	loaded = !v || v->opt_loaded;
	hcv_owner_vols_unlock(false);
	if (loaded)
		goto out;
	options_path(a, uuid, path, sizeof(path));
	if (options_read(path, &epoch, &readonly, &queue))
		epoch = 0;
	v = hcv_owner_vols_lock(uuid, true);
	if (v) {
		v->opt_loaded = true;
		v->opt_epoch = epoch;
		v->opt_readonly = readonly;
		v->opt_queue = (uint32_t)queue;
	}
	hcv_owner_vols_unlock(false);
out:
	pthread_mutex_unlock(&options_lock);
}

void hcv_owner_options_drop(struct hcv_agent *a, const char *uuid,
			    uint64_t epoch)
{
	uint64_t of = 0, queue = 0;
	struct hcv_owner_vol *v;
	bool readonly = false;
	char path[384];

	options_path(a, uuid, path, sizeof(path));
	pthread_mutex_lock(&options_lock);
	if (options_read(path, &of, &readonly, &queue) || of <= epoch)
		unlink(path);	/* a leftover names an epoch that is over */
	v = hcv_owner_vols_lock(uuid, false);
	if (v)
		v->opt_loaded = false;
	hcv_owner_vols_unlock(false);
	pthread_mutex_unlock(&options_lock);
	stop_path(a, uuid, path, sizeof(path));
	unlink(path);	/* the same; one that goes too early costs a comparison */
}
