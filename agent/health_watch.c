// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watching this node's stores: latencies, errors, and what the disks say.
 *
 * One job every second looks at the counters that the module has for each open
 * store.  When a window is full it is compared with what the other stores of the
 * class wrote about theirs, core/health.c makes the step, and what others have to
 * know of it goes to health/STORE.  That key is the truth: what is remembered here
 * are marks of windows, which an agent that was killed collects anew.
 *
 * That a store became slow is one transaction with the key `slow`, of which every
 * agent notes when it saw it change: no clocks are compared, and of two that want
 * to call a store slow at the same time one is refused.
 *
 * A slow store that gets no I/O any more, since the volumes have dropped it, is
 * read by a child process; smartctl runs in one, too.  Both have a limit.
 */
#include "health_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "jout.h"
#include "place.h"
#include "slow.h"

#define WATCH_STORES	64
#define WATCH_JOB_MS	30000
#define WATCH_PROBE_MS	5000
#define WATCH_PROBE	"32"		/* reads */
#define WATCH_SMART_MS	1800000		/* between two questions to a disk */
#define WATCH_SMART_RUN	30000
#define WATCH_SMARTCTL	"/usr/sbin/smartctl"
#define WATCH_PEERS	4096

/**
 * struct watch_store - what is remembered of a store
 *
 * Of the watch job, but for what is under watch_lock: @smart and what follows.
 *
 * @rev: of health/STORE when @mem was last right; another one: somebody else
 *	has written it
 * @note_ms: when its note was written
 * @asked: that it is slow and was not admitted has been told
 */
struct watch_store {
	char uuid[HCV_ID_LEN];
	struct hcv_lat_sample last;
	struct hcv_health_mem mem;
	int64_t rev;
	int64_t note_ms;
	bool asked;
	enum hcv_smart_verdict smart;
	enum hcv_smart_verdict smart_told;
	char why_smart[HCV_ERR_SIZE];
	bool smart_running;
	int64_t smart_due;
};

static pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER;
static struct watch_store watch_store[WATCH_STORES];
static size_t watch_nr;
static int64_t watch_slow_rev = -1;	/* watch job; -1: not looked yet */
static int64_t watch_slow_ms;
static bool watch_no_tool;		/* watch_lock */

unsigned int hcv_health_speed(void)
{
	static unsigned int speed;
	const char *text;
	unsigned long n;

	if (!speed) {
		text = getenv("HCV_HEALTH_SPEED");
		n = text ? strtoul(text, NULL, 10) : 1;
		speed = n >= 1 && n <= 1000 ? (unsigned int)n : 1;
	}
	return speed;
}

/* The time that a store's health goes by. */
static int64_t watch_now(void)
{
	return hcv_now_ms() * hcv_health_speed();
}

/* A place whose store is no more is taken again. */
static struct watch_store *watch_find(const struct hcv_snap *s,
				      const char *uuid)
{
	struct watch_store *ws = NULL, *free = NULL;
	size_t i;

	pthread_mutex_lock(&watch_lock);
	for (i = 0; i < watch_nr; i++) {
		if (!strcmp(watch_store[i].uuid, uuid))
			ws = &watch_store[i];
		else if (!watch_store[i].smart_running &&
			 !hcv_snap_store(s, watch_store[i].uuid))
			free = &watch_store[i];
	}
	if (!ws && !free && watch_nr < WATCH_STORES)
		free = &watch_store[watch_nr++];
	if (!ws && free) {
		ws = free;
		memset(ws, 0, sizeof(*ws));
		snprintf(ws->uuid, sizeof(ws->uuid), "%s", uuid);
		ws->rev = -1;
	}
	pthread_mutex_unlock(&watch_lock);
	return ws;
}

/* --------------------------------------------------------------------- SMART */

struct watch_smart {
	struct watch_store *ws;
	char object[128];
	char path[256];
};

/*
 * The disk that a device is, or is a part of; -ENODEV: of device-mapper, a loop
 * device and the like nobody knows what is below.
 */
static int smart_disk(const char *path, char *disk, size_t size)
{
	char sys[64], real[PATH_MAX], probe[PATH_MAX + 16], *name, *c;
	struct stat st;

	if (stat(path, &st) || !S_ISBLK(st.st_mode))
		return -ENODEV;
	snprintf(sys, sizeof(sys), "/sys/dev/block/%u:%u", major(st.st_rdev),
		 minor(st.st_rdev));
	if (!realpath(sys, real))
		return -ENODEV;
	snprintf(probe, sizeof(probe), "%s/partition", real);
	name = strrchr(real, '/');
	if (!access(probe, F_OK) && name) {
		*name = '\0';
		name = strrchr(real, '/');
	}
	snprintf(probe, sizeof(probe), "%s/device", real);
	if (!name || access(probe, F_OK))
		return -ENODEV;
	for (c = name + 1; *c; c++)	/* as sysfs writes a slash */
		if (*c == '!')
			*c = '/';
	if (strchr(name + 1, ' '))
		return -ENODEV;
	snprintf(disk, size, "/dev/%s", name + 1);
	return 0;
}

static void smart_tool_missing(void)
{
	bool first;

	pthread_mutex_lock(&watch_lock);
	first = !watch_no_tool;
	watch_no_tool = true;
	pthread_mutex_unlock(&watch_lock);
	if (first)
		hcv_log(HCV_SEV_INFO, "%s is missing (package smartmontools): disks are not asked how they are",
			WATCH_SMARTCTL);
}

static int smart_ask(const char *path, struct hcv_smart *s, char *err)
{
	char disk[256], key[300], args[300], *text;
	int ret = smart_disk(path, disk, sizeof(disk));

	if (ret)
		return ret;
	text = malloc(HCV_SMART_TEXT_MAX);
	if (!text)
		return -ENOMEM;
	snprintf(key, sizeof(key), "smart %s", disk);
	/* a disk that sleeps is not woken up for this */
	snprintf(args, sizeof(args), "--json=c --nocheck=standby,0 -i -H -A %s",
		 disk);
	ret = hcv_slow_output(key, WATCH_SMARTCTL, args,
			      hcv_now_ms() + WATCH_SMART_RUN, text,
			      HCV_SMART_TEXT_MAX);
	if (ret == -ENOENT)
		smart_tool_missing();
	else if (ret)
		snprintf(err, HCV_ERR_SIZE, "smartctl: %s", strerror(-ret));
	else if (hcv_smart_parse(text, s, err))
		ret = -EINVAL;
	free(text);
	return ret;
}

static void smart_job(struct hcv_job *job)
{
	struct watch_smart *w = job->arg;
	struct watch_store *ws = w->ws;
	enum hcv_smart_verdict verdict = HCV_SMART_UNKNOWN, before;
	char err[HCV_ERR_SIZE] = "", why[HCV_ERR_SIZE] = "";
	struct hcv_smart s;
	int ret = smart_ask(w->path, &s, err);

	if (!ret)
		verdict = hcv_smart_judge(&s, why);
	pthread_mutex_lock(&watch_lock);
	before = ws->smart_told;
	if (verdict != HCV_SMART_UNKNOWN) {
		ws->smart = verdict;
		ws->smart_told = verdict;
		memcpy(ws->why_smart, why, sizeof(why));
	}
	ws->smart_running = false;
	ws->smart_due = hcv_now_ms() + WATCH_SMART_MS;
	pthread_mutex_unlock(&watch_lock);
	if (*err)
		hcv_log(HCV_SEV_WARN, "%s: %s", w->object, err);
	else if (!ret && !s.available)
		hcv_log(HCV_SEV_DEBUG, "%s: no SMART: %s", w->object,
			s.message);
	/* what is worse becomes a state, which is told as such */
	if (verdict == HCV_SMART_TOLD && before != verdict)
		hcv_event_emit(job->agent, HCV_SEV_WARN, w->object, NULL,
			       "its disk says: %s", why);
}

static void smart_done(struct hcv_job *job)
{
	free(job->arg);
}

/* Loop thread: jobs are started there. */
static void smart_deferred(struct hcv_agent *a, void *arg)
{
	struct watch_smart *w = arg;
	char key[96];

	snprintf(key, sizeof(key), "smart/%s", w->ws->uuid);
	if (hcv_job_start(a, key, WATCH_SMART_RUN + 5000, smart_job,
			  smart_done, w))
		return;
	pthread_mutex_lock(&watch_lock);
	w->ws->smart_running = false;
	pthread_mutex_unlock(&watch_lock);
	free(w);
}

static void smart_look(struct hcv_agent *a, struct watch_store *ws,
		       const char *object, const char *path)
{
	struct watch_smart *w;
	bool due;

	pthread_mutex_lock(&watch_lock);
	due = !ws->smart_running && hcv_now_ms() >= ws->smart_due;
	ws->smart_running |= due;
	pthread_mutex_unlock(&watch_lock);
	if (!due)
		return;
	w = calloc(1, sizeof(*w));
	if (!w) {
		pthread_mutex_lock(&watch_lock);
		ws->smart_running = false;
		pthread_mutex_unlock(&watch_lock);
		return;
	}
	w->ws = ws;
	snprintf(w->object, sizeof(w->object), "%s", object);
	snprintf(w->path, sizeof(w->path), "%s", path);
	hcv_agent_defer(a, smart_deferred, w);
}

/* ----------------------------------------------------------------- one store */

/**
 * struct watch_look - a look at one store
 * @old: as the metadata store has it; @new: as it should be
 * @why: of a slow window; @no: why the store was not admitted
 */
struct watch_look {
	struct hcv_job *job;
	const struct hcv_snap *s;
	const struct hcv_snap_store *st;
	struct watch_store *ws;
	struct hcv_k_store k;
	struct hcv_lat_window w;
	struct hcv_health_key old, new;
	struct hcv_health_mem mem;
	struct hcv_health_in in;
	struct hcv_health_out out;
	char object[128];
	char why[HCV_HEALTH_WHY];
	char why_smart[HCV_ERR_SIZE];
	char no[HCV_ERR_SIZE];
};

static bool look_sample(struct watch_look *l, struct hcv_lat_sample *now)
{
	struct hcv_klink *kl = hcv_job_klink(l->job);
	struct hcv_k_hists h;

	if (!kl || hcv_k_store_get(kl, l->st->i.uuid, &l->k) ||
	    hcv_k_store_hists(kl, l->st->i.uuid, &h))
		return false;
	memset(now, 0, sizeof(*now));
	now->source = l->k.incarnation;
	now->at_ms = watch_now();
	now->bytes = l->k.count.read_bytes + l->k.count.write_bytes;
	now->errors = l->k.count.errors;
	memcpy(now->hist[HCV_LAT_READ], h.read, sizeof(h.read));
	memcpy(now->hist[HCV_LAT_WRITE], h.write, sizeof(h.write));
	memcpy(now->hist[HCV_LAT_FLUSH], h.flush, sizeof(h.flush));
	return true;
}

static void look_text(struct watch_look *l, const struct hcv_lat_why *why)
{
	char most[32] = "more";

	if (why->median.hi != UINT64_MAX)
		snprintf(most, sizeof(most), "%llu",
			 (unsigned long long)why->median.hi);
	snprintf(l->why, sizeof(l->why),
		 "5 %% of its %s take %llu us and more, of %zu other stores %s at most",
		 hcv_lat_op_name(why->op), (unsigned long long)why->own.lo,
		 why->peers, most);
}

/* The other stores of the class that are there now. */
static size_t look_peers(const struct watch_look *l, struct hcv_lat_note *peer,
			 struct hcv_health_cluster *c)
{
	const struct hcv_snap *s = l->s;
	size_t i, nr = 0;

	for (i = 0; i < s->nr_stores; i++) {
		const struct hcv_snap_store *st = &s->store[i];

		c->slow += st->health.h.slow;
		if (!st->i.live || strcmp(st->i.class, l->st->i.class))
			continue;
		c->stores++;
		if (st != l->st && nr < WATCH_PEERS)
			peer[nr++] = st->health.note;
	}
	return nr;
}

/* A slow store that nobody uses is read by the agent itself. */
static bool look_probe(struct watch_look *l, struct hcv_lat_note *note)
{
	struct hcv_lat_window w = { .ms = HCV_LAT_WINDOW_MS };
	char answer[128] = "", key[80];
	size_t i;

	snprintf(key, sizeof(key), "probe %s", l->st->i.uuid);
	if (hcv_slow_run(key, HCV_SLOW_PROBE, l->k.path, WATCH_PROBE,
			 hcv_now_ms() + WATCH_PROBE_MS, answer,
			 sizeof(answer)))
		return false;
	for (i = 0; i < HCV_HIST_BUCKETS && answer[i] >= ' '; i++) {
		w.hist[HCV_LAT_READ][i] = (uint64_t)(answer[i] - ' ');
		w.ios[HCV_LAT_READ] += w.hist[HCV_LAT_READ][i];
	}
	hcv_lat_note(&w, note);
	return true;
}

static void look_judge(struct watch_look *l, struct hcv_lat_note *peer,
		       size_t nr)
{
	enum hcv_lat_class class = hcv_lat_class(l->st->i.class);
	struct hcv_lat_note probe;
	struct hcv_lat_why why;

	hcv_lat_note(&l->w, &l->new.note);
	l->in.mark = hcv_lat_judge(class, &l->new.note, peer, nr, &why);
	if (l->in.mark == HCV_LAT_NONE && l->old.h.slow &&
	    look_probe(l, &probe))
		l->in.mark = hcv_lat_judge(class, &probe, peer, nr, &why);
	if (l->in.mark == HCV_LAT_SLOW)
		look_text(l, &why);
}

static void look_step(struct watch_look *l)
{
	l->new.h = l->old.h;
	l->mem = l->ws->mem;
	hcv_health_step(&l->new.h, &l->mem, &l->in, &l->out);
}

/* When this agent saw that a store became slow, anywhere. */
static void look_slow_key(const struct hcv_snap *s)
{
	if (s->slow_rev == watch_slow_rev)
		return;
	if (watch_slow_rev >= 0 || s->slow_rev)
		watch_slow_ms = watch_now();
	else
		watch_slow_ms = INT64_MIN / 2;	/* none ever did */
	watch_slow_rev = s->slow_rev;
}

static void look_decide(struct watch_look *l)
{
	struct hcv_health_cluster c = { 0 };
	struct hcv_lat_note *peer;
	size_t nr;

	peer = calloc(WATCH_PEERS, sizeof(*peer));
	if (!peer)
		return;
	nr = look_peers(l, peer, &c);
	look_judge(l, peer, nr);
	free(peer);
	c.last_ms = watch_now() - watch_slow_ms;
	look_step(l);
	if (l->out.asks && hcv_health_admit(&c, l->no)) {
		l->in.admitted = true;
		look_step(l);
	}
}

/* ---------------------------------------------------------- what is written */

static char *look_drain_value(const struct watch_look *l)
{
	struct hcv_drain_key d = {
		.by_health = true, .since = l->new.h.since,
	};

	memcpy(d.why, l->new.h.why, sizeof(d.why));
	return hcv_drain_key_encode(&d);
}

/* Not for a store that was removed meanwhile, nor over what somebody else wrote. */
static enum hcv_meta_result look_write(struct watch_look *l, int64_t *rev)
{
	bool drain = l->new.h.state == HCV_HEALTH_DRAINING &&
		     !l->st->drain_rev;
	char *health = hcv_health_key_encode(&l->new);
	char *slow = l->out.became_slow ? hcv_slow_key_encode(l->st->i.uuid) :
					  NULL;
	char *wish = drain ? look_drain_value(l) : NULL;
	enum hcv_meta_result res = HCV_META_UNREACHABLE;
	char hkey[64], skey[64], dkey[64];
	struct hcv_cmp cmp[4];
	struct hcv_op op[3];
	size_t nr_cmp = 0, nr_op = 0;

	snprintf(hkey, sizeof(hkey), "health/%s", l->st->i.uuid);
	snprintf(skey, sizeof(skey), "store/%s", l->st->i.uuid);
	snprintf(dkey, sizeof(dkey), "drain/%s", l->st->i.uuid);
	cmp[nr_cmp++] = (struct hcv_cmp){ skey, l->st->rev };
	cmp[nr_cmp++] = (struct hcv_cmp){ hkey, l->st->health_rev };
	op[nr_op++] = (struct hcv_op){ .key = hkey, .value = health };
	if (slow) {
		cmp[nr_cmp++] = (struct hcv_cmp){ "slow", l->s->slow_rev };
		op[nr_op++] = (struct hcv_op){ .key = "slow", .value = slow };
	}
	if (wish) {
		cmp[nr_cmp++] = (struct hcv_cmp){ dkey, 0 };
		op[nr_op++] = (struct hcv_op){ .key = dkey, .value = wish };
	}
	HCV_CRASH_POINT("health-write");
	if (health && (slow || !l->out.became_slow) && (wish || !drain))
		res = hcv_meta_txn(hcv_agent_meta(l->job->agent), cmp, nr_cmp,
				   op, nr_op, rev, HCV_META_MS);
	HCV_CRASH_POINT("health-write-done");
	free(health);
	free(slow);
	free(wish);
	return res;
}

static void look_tell(struct watch_look *l)
{
	const struct hcv_health *h = &l->new.h;
	struct hcv_agent *a = l->job->agent;

	if (h->slow && !l->old.h.slow && h->cause != HCV_HEALTH_BY_LATENCY)
		hcv_event_emit(a, HCV_SEV_WARN, l->object, NULL,
			       "is slow: %s", l->why);
	if (!h->slow && l->old.h.slow)
		hcv_event_emit(a, HCV_SEV_INFO, l->object, NULL,
			       "is as fast as the others again");
	if (h->state == l->out.from && h->cause == l->old.h.cause)
		return;
	hcv_event_emit(a, h->state == HCV_HEALTH_OK ? HCV_SEV_INFO :
		       h->state == HCV_HEALTH_SUSPECT ? HCV_SEV_WARN :
		       HCV_SEV_ERR, l->object, NULL, "health is %s%s%s",
		       hcv_health_state_name(h->state), *h->why ? ": " : "",
		       h->why);
}

static void look_asked(struct watch_look *l)
{
	bool tell = l->out.asks && !l->in.admitted && !l->ws->asked;

	l->ws->asked = l->out.asks && !l->in.admitted;
	if (tell)
		hcv_event_emit(l->job->agent, HCV_SEV_WARN, l->object, NULL,
			       "is slow (%s), but is not suspected: %s", l->why,
			       l->no);
}

/*
 * What could not be written did not happen: the window goes on, and is looked at
 * again in a second.
 */
static void look_keep(struct watch_look *l, const struct hcv_lat_sample *now)
{
	bool news = hcv_health_note_news(&l->old.note, &l->new.note,
					 watch_now() - l->ws->note_ms);
	int64_t rev = l->ws->rev;

	look_asked(l);
	if (l->out.dirty || news) {
		if (look_write(l, &rev) != HCV_META_OK)
			return;
		l->ws->rev = rev;
		l->ws->note_ms = watch_now();
		look_tell(l);
		hcv_state_kick(l->job->agent);
	}
	l->ws->mem = l->mem;
	l->ws->last = *now;
}

/* ------------------------------------------------------------------- the job */

static void watch_inputs(struct watch_look *l)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	l->in.now_ms = watch_now();
	l->in.now = ts.tv_sec;
	l->in.errors = l->w.errors;
	l->in.why_slow = l->why;
	l->in.empty = !l->k.nr_extents_used &&
		      !hcv_place_rows_on(l->s, l->st->i.uuid);
	pthread_mutex_lock(&watch_lock);
	l->in.smart = l->ws->smart;
	memcpy(l->why_smart, l->ws->why_smart, sizeof(l->why_smart));
	pthread_mutex_unlock(&watch_lock);
	l->in.why_smart = l->why_smart;
}

static void watch_look_at(struct watch_look *l)
{
	struct hcv_lat_sample now;

	if (!look_sample(l, &now))
		return;
	if (!hcv_lat_window(&l->ws->last, &now, &l->w)) {
		l->ws->last = now;
		return;
	}
	if (!hcv_lat_window_full(&l->w))
		return;
	/* The snapshot must have what was written last. */
	if (l->ws->rev > l->st->health_rev)
		return;
	if (l->ws->rev != l->st->health_rev) {
		/* Another agent's word, or the first look: marks are void. */
		memset(&l->ws->mem, 0, sizeof(l->ws->mem));
		l->ws->rev = l->st->health_rev;
	}
	l->old = l->st->health;
	l->new = l->old;
	watch_inputs(l);
	look_decide(l);
	look_keep(l, &now);
}

static void watch_job(struct hcv_job *job)
{
	const struct hcv_identity *id = hcv_agent_id(job->agent);
	struct hcv_snap *s = job->arg;
	struct watch_look *l;
	size_t i;

	look_slow_key(s);
	l = malloc(sizeof(*l));
	for (i = 0; l && i < s->nr_stores && !hcv_job_expired(job); i++) {
		const struct hcv_snap_store *st = &s->store[i];

		if (strcmp(st->i.node, id->node) || !st->i.live ||
		    st->i.state == HCV_ST_REMOVED)
			continue;
		memset(l, 0, sizeof(*l));
		l->job = job;
		l->s = s;
		l->st = st;
		l->ws = watch_find(s, st->i.uuid);
		if (!l->ws)
			continue;
		snprintf(l->object, sizeof(l->object), "store %s", st->i.name);
		watch_look_at(l);
		if (l->k.path[0])
			smart_look(job->agent, l->ws, l->object, l->k.path);
	}
	free(l);
}

static void watch_done(struct hcv_job *job)
{
	hcv_snap_put(job->arg);
}

static void watch_tick(struct hcv_agent *a)
{
	struct hcv_snap *s;

	if (!hcv_agent_id(a) || hcv_job_running(a, "health"))
		return;
	s = hcv_snap_get(a);
	if (s && !hcv_job_start(a, "health", WATCH_JOB_MS, watch_job,
				watch_done, s))
		hcv_snap_put(s);
}

static const struct hcv_reconciler watch_reconciler = {
	.name = "health",
	.tick = watch_tick,
};

int hcv_health_init(struct hcv_agent *a)
{
	if (hcv_health_speed() > 1)
		hcv_log(HCV_SEV_WARN, "HCV_HEALTH_SPEED: time goes %u times faster for the health of stores",
			hcv_health_speed());
	hcv_reconciler_register(a, &watch_reconciler);
	return 0;
}

/* ------------------------------------------------------------------- showing */

static void json_p95(const struct hcv_lat_note *note, struct json_object *o)
{
	static const char *const name[HCV_LAT_OPS] = { "read", "write",
						       "flush" };
	struct json_object *p95 = hcv_jo_obj(o, "p95_us"), *range;
	struct hcv_lat_range r;
	unsigned int op;

	for (op = 0; op < HCV_LAT_OPS; op++) {
		if (note->p95[op] < 0)
			continue;
		r = hcv_lat_bucket((unsigned int)note->p95[op]);
		range = hcv_jo_obj(p95, name[op]);
		hcv_jo_u64(range, "from", r.lo);
		if (r.hi != UINT64_MAX)
			hcv_jo_u64(range, "below", r.hi);
	}
}

void hcv_health_json(const struct hcv_snap_store *st, struct json_object *o)
{
	const struct hcv_health *h = &st->health.h;
	struct json_object *j = hcv_jo_obj(o, "health");

	hcv_jo_str(j, "state", hcv_health_state_name(h->state));
	hcv_jo_str(j, "cause", hcv_health_cause_name(h->cause));
	hcv_jo_bool(j, "slow", h->slow);
	hcv_jo_str(j, "why", h->why);
	hcv_jo_u64(j, "since", (uint64_t)h->since);
	hcv_jo_u64(j, "relapses", h->relapses);
	hcv_jo_u64(j, "media_errors", h->media);
	hcv_jo_str(j, "smart", hcv_smart_verdict_name(h->smart));
	hcv_jo_bool(j, "drain", st->drain_rev);
	json_p95(&st->health.note, j);
}
