// SPDX-License-Identifier: GPL-2.0-only
/*
 * How fast this node's volumes recover.
 *
 * What is kept between two looks is only what counters said; an agent that
 * begins anew sets the lowest limits until it has seen a period.  Settings that
 * cannot be read any more hold as they were.  An agent that has not read any yet
 * goes by the defaults, but lowers limits only: a pause must not end because the
 * metadata store does not answer, and guests must not wait for that answer.
 */
#include "sync_limit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/recplan.h"
#include "hwprobe.h"

#define PROBE_MS	60000

/* One volume of the module; all members but @thr.name under limit.lock. */
struct limit_vol {
	char uuid[HCV_ID_LEN];
	bool seen;
	uint64_t epoch;
	uint64_t ios, bytes;		/* counters at the last look */
	size_t nr_links;
	struct limit_link {
		char store[HCV_ID_LEN];
		uint64_t copied;
	} link[HCV_MAX_LINKS];
	uint64_t grown;			/* copied since the last look */
	unsigned int streams;
	uint32_t own_kibps;
	uint32_t kibps;
	uint64_t rate_kibps;
	struct hcv_thr_vol thr;
};

static struct {
	pthread_mutex_t lock;
	struct limit_vol *vol;
	size_t nr, room;
	struct hcv_thr thr;
	struct hcv_thr_conf conf;
	uint64_t ios, bytes, copied;	/* never go back */
	int64_t look_ms;
	bool settled;			/* the settings were read once */
	struct hcv_sync_report report;
} limit = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Of the one thread that looks. */
static struct hcv_hw limit_hw;
static int64_t limit_probed_ms;
static size_t limit_probed_stores;

/* ------------------------------------------------------------------- settings */

static void limit_probe(struct hcv_agent *a, const struct hcv_snap *snap)
{
	int64_t now = hcv_now_ms();

	if (limit_probed_ms && now - limit_probed_ms < PROBE_MS &&
	    limit_probed_stores == snap->nr_stores)
		return;
	hcv_hwprobe(a, snap, &limit_hw);
	limit_probed_ms = now;
	limit_probed_stores = snap->nr_stores;
}

/*
 * Which settings hold, and why they are not those of now, "": they are.  False:
 * not even the hardware is known.
 */
static bool limit_settings(struct hcv_agent *a, const struct hcv_snap *snap,
			   struct hcv_sync_report *r)
{
	const struct hcv_snap_node *n;

	r->why[0] = 0;
	if (!snap) {
		snprintf(r->why, sizeof(r->why),
			 "the metadata store has not been read yet");
		return false;
	}
	n = hcv_snap_node(snap, hcv_agent_id(a)->node);
	limit_probe(a, snap);
	r->row = hcv_hw_detect(&limit_hw, r->found, sizeof(r->found));
	if (!snap->recovery.bad && !(n && n->recovery.bad)) {
		hcv_thr_merge(r->row, &snap->recovery.s,
			      n ? &n->recovery.s : NULL, &r->eff);
		return true;
	}
	snprintf(r->why, sizeof(r->why), "its settings cannot be read: %.180s",
		 snap->recovery.bad ? snap->recovery.why : n->recovery.why);
	if (limit.settled)
		r->eff = limit.report.eff;
	else
		hcv_thr_merge(r->row, NULL, NULL, &r->eff);
	return true;
}

/* ------------------------------------------------------------------- counters */

static struct limit_vol *limit_find(const char *uuid)
{
	size_t i;

	for (i = 0; i < limit.nr; i++)
		if (!strcmp(limit.vol[i].uuid, uuid))
			return &limit.vol[i];
	return NULL;
}

static bool limit_counts(const struct hcv_k_vol *k)
{
	return k->state != HCV_VOL_ZOMBIE && k->state != HCV_VOL_FENCED;
}

static struct limit_vol *limit_add(const char *uuid)
{
	struct limit_vol *v;

	if (limit.nr == limit.room) {
		v = realloc(limit.vol, (limit.room * 2 + 8) * sizeof(*v));
		if (!v)
			return NULL;	/* the next look tries again */
		limit.vol = v;
		limit.room = limit.room * 2 + 8;
	}
	v = &limit.vol[limit.nr++];
	memset(v, 0, sizeof(*v));
	snprintf(v->uuid, sizeof(v->uuid), "%s", uuid);
	return v;
}

/* What was copied before it was seen first is not counted. */
static void limit_link(struct limit_vol *v, const struct hcv_k_link *l)
{
	struct limit_link *link;
	size_t i;

	v->streams += l->state == HCV_LINK_SYNCING;
	for (i = 0; i < v->nr_links; i++)
		if (!strcmp(v->link[i].store, l->store))
			break;
	link = &v->link[i];
	if (i < v->nr_links) {
		v->grown += hcv_thr_count(&link->copied, l->sync_copied);
		return;
	}
	if (i == HCV_MAX_LINKS)
		return;
	v->nr_links++;
	snprintf(link->store, sizeof(link->store), "%s", l->store);
	link->copied = l->sync_copied;
}

static void limit_count(const struct hcv_k_vol *k)
{
	uint64_t ios = k->count.read_ios + k->count.write_ios;
	uint64_t bytes = k->count.read_bytes + k->count.write_bytes;
	struct limit_vol *v = limit_find(k->uuid);
	size_t i;

	if (!limit_counts(k))
		return;
	if (v && v->epoch != k->epoch) {
		memset(v, 0, sizeof(*v));
		memcpy(v->uuid, k->uuid, sizeof(v->uuid));
	}
	if (!v)
		v = limit_add(k->uuid);
	if (!v)
		return;
	if (!v->epoch) {
		v->epoch = k->epoch;
		v->ios = ios;
		v->bytes = bytes;
	}
	v->seen = true;
	snprintf(v->thr.name, sizeof(v->thr.name), "%s", k->name);
	limit.ios += hcv_thr_count(&v->ios, ios);
	limit.bytes += hcv_thr_count(&v->bytes, bytes);
	v->streams = 0;
	v->grown = 0;
	for (i = 0; i < k->nr_links; i++)
		limit_link(v, &k->link[i]);
	limit.copied += v->grown;
	v->kibps = k->sync_kibps;
}

static void limit_forget(void)
{
	size_t i, kept = 0;

	for (i = 0; i < limit.nr; i++)
		if (limit.vol[i].seen)
			limit.vol[kept++] = limit.vol[i];
	limit.nr = kept;
}

static void limit_count_all(const struct hcv_k_vol *vol, size_t nr)
{
	size_t i;

	for (i = 0; i < limit.nr; i++)
		limit.vol[i].seen = false;
	for (i = 0; i < nr; i++)
		limit_count(&vol[i]);
	limit_forget();
}

/* Reads and writes; the netlink call is made without the lock. */
static void limit_hists(struct hcv_klink *kl, const struct hcv_k_vol *vol,
			size_t nr, struct hcv_k_stats *st)
{
	struct limit_vol *v;
	size_t i, b;

	for (i = 0; i < nr; i++) {
		if (!limit_counts(&vol[i]) ||
		    hcv_k_vol_stats(kl, vol[i].uuid, st))
			continue;
		pthread_mutex_lock(&limit.lock);
		v = limit_find(vol[i].uuid);
		for (b = 0; v && b < HCV_HIST_BUCKETS; b++)
			v->thr.hist[b] = st->vol.read[b] + st->vol.write[b];
		pthread_mutex_unlock(&limit.lock);
	}
}

/* --------------------------------------------------------------- the decision */

/* A node that gets copies from here and says that it is loaded; its name. */
static const char *limit_loaded(const struct hcv_snap *snap, const char *node,
				const struct hcv_k_vol *vol, size_t nr)
{
	const struct hcv_snap_store *st;
	const struct hcv_snap_node *n;
	size_t i, j;

	for (i = 0; i < nr; i++) {
		for (j = 0; j < vol[i].nr_links; j++) {
			if (vol[i].link[j].state != HCV_LINK_SYNCING)
				continue;
			st = hcv_snap_store(snap, vol[i].link[j].store);
			n = st ? hcv_snap_node(snap, st->i.node) : NULL;
			if (n && n->load_rev && strcmp(n->i.uuid, node))
				return n->i.name;
		}
	}
	return NULL;
}

/*
 * Whether all that is copied are replicas that move though none is missing.  One
 * that is missing has the limits of recovery, and the rest with it.
 */
static bool limit_moves(const struct hcv_snap *snap,
			const struct hcv_k_vol *vol, size_t nr)
{
	const struct hcv_snap_vol *v;
	bool moves = false;
	size_t i, j;

	for (i = 0; i < nr; i++) {
		v = hcv_snap_vol(snap, vol[i].uuid);
		for (j = 0; j < vol[i].nr_links; j++) {
			if (vol[i].link[j].state != HCV_LINK_SYNCING)
				continue;
			moves = v && v->job_rev &&
				v->job.kind >= HCV_RP_DRAIN &&
				!strcmp(v->job.to, vol[i].link[j].store);
			if (!moves)
				return false;
		}
	}
	return moves;
}

static void limit_throttle(const char *loaded)
{
	struct hcv_thr_sample s = {
		.now_ms = hcv_now_ms(), .ios = limit.ios,
		.bytes = limit.bytes, .copied = limit.copied,
		.loaded = loaded,
	};
	struct hcv_thr_vol *vol;
	size_t i;

	for (i = 0; i < limit.nr; i++)
		s.streams += limit.vol[i].streams;
	limit.report.streams = s.streams;
	vol = calloc(limit.nr + 1, sizeof(*vol));
	for (i = 0; vol && i < limit.nr; i++)
		vol[i] = limit.vol[i].thr;
	s.vol = vol;
	s.nr_vols = vol ? limit.nr : 0;
	hcv_thr_look(&limit.thr, &limit.conf, &s);
	for (i = 0; vol && i < limit.nr; i++)
		limit.vol[i].thr = vol[i];
	free(vol);
}

static uint32_t limit_own(uint32_t kibps, uint32_t own)
{
	return own && own < kibps ? own : kibps;
}

/* Those in recovery share the limit, the others have what they begin with. */
static void limit_divide(int64_t ms)
{
	struct hcv_thr_share *s = calloc(limit.nr + 1, sizeof(*s));
	uint32_t first = hcv_thr_start(&limit.thr, &limit.conf);
	size_t i, nr = 0;

	for (i = 0; i < limit.nr; i++) {
		struct limit_vol *v = &limit.vol[i];

		v->rate_kibps = ms > 0 ? v->grown * 1000 / (uint64_t)ms >> 10 :
					 0;
		if (!s || !v->streams)
			continue;
		s[nr++] = (struct hcv_thr_share){
			.streams = v->streams, .cap_kibps = v->own_kibps,
			.had_kibps = v->kibps == HCV_SYNC_PAUSED ? 0 : v->kibps,
			.used_kibps = v->rate_kibps,
		};
	}
	hcv_thr_divide(limit.thr.limit_kibps, s, nr);
	for (i = 0, nr = 0; i < limit.nr; i++) {
		struct limit_vol *v = &limit.vol[i];

		if (limit.conf.paused)
			v->kibps = HCV_SYNC_PAUSED;
		else if (s && v->streams)
			v->kibps = s[nr].kibps;
		else
			v->kibps = limit_own(first, v->own_kibps);
		nr += v->streams > 0;
	}
	free(s);
}

static void limit_report(struct hcv_sync_report *r)
{
	const char *by = r->eff.paused_by == HCV_TF_NODE ? "on this node" :
							   "in the cluster";

	r->known = true;
	r->limit_kibps = limit.thr.limit_kibps;
	r->iops = limit.thr.iops;
	r->fg_kibps = limit.thr.fg_kibps;
	r->rec_kibps = limit.thr.rec_kibps;
	if (limit.conf.paused)
		snprintf(r->reason, sizeof(r->reason),
			 "recovery is paused %s", by);
	else
		hcv_thr_reason(&limit.thr, &limit.conf, r->reason);
}

static void limit_set(struct hcv_klink *kl, const struct hcv_k_vol *k,
		      uint32_t kibps)
{
	struct hcv_k_vol_set set = { .sync_kibps = &kibps };
	int ret;

	HCV_CRASH_POINT("sync-limit");
	ret = hcv_k_vol_set(kl, k->uuid, k->epoch, &set);
	HCV_CRASH_POINT("sync-limit-done");
	/* Gone, or another epoch: the next look sees it. */
	if (ret && ret != -ENOENT && ret != -ESTALE)
		hcv_log(HCV_SEV_WARN, "volume %s: limit of its resync: %s",
			k->name, hcv_klink_error(kl));
}

/* 0 is no limit at all, HCV_SYNC_PAUSED the lowest one. */
static bool limit_falls(uint32_t from, uint32_t to)
{
	return from != HCV_SYNC_PAUSED &&
	       (!from || to == HCV_SYNC_PAUSED || to < from);
}

/*
 * The module is told only what it does not have yet; what one volume loses
 * before another gets it.
 */
static void limit_apply(struct hcv_klink *kl, const struct hcv_k_vol *vol,
			size_t nr, bool only_falls)
{
	const struct limit_vol *v;
	uint32_t kibps;
	unsigned int pass;
	size_t i;

	for (pass = 0; pass < (only_falls ? 1 : 2); pass++) {
		for (i = 0; i < nr; i++) {
			pthread_mutex_lock(&limit.lock);
			v = limit_counts(&vol[i]) ? limit_find(vol[i].uuid) :
						    NULL;
			kibps = v ? v->kibps : vol[i].sync_kibps;
			pthread_mutex_unlock(&limit.lock);
			if (kibps != vol[i].sync_kibps &&
			    limit_falls(vol[i].sync_kibps, kibps) == !pass)
				limit_set(kl, &vol[i], kibps);
		}
	}
}

void hcv_sync_limit_look(struct hcv_job *job, const struct hcv_k_vol *vol,
			 size_t nr)
{
	struct hcv_klink *kl = hcv_job_klink(job);
	struct hcv_snap *snap = hcv_snap_get(job->agent);
	const struct hcv_snap_vol *sv;
	struct hcv_sync_report r = { 0 };
	struct hcv_k_stats *st = NULL;
	int64_t now = hcv_now_ms(), ms;
	bool known, settled;
	size_t i;

	/* Nobody else writes them. */
	known = limit_settings(job->agent, snap, &r);
	pthread_mutex_lock(&limit.lock);
	limit_count_all(vol, nr);
	ms = limit.look_ms ? now - limit.look_ms : 0;
	limit.look_ms = now;
	for (i = 0; i < limit.nr; i++) {
		sv = snap ? hcv_snap_vol(snap, limit.vol[i].uuid) : NULL;
		if (sv && sv->rev)
			limit.vol[i].own_kibps = sv->i.sync_kibps;
	}
	memcpy(limit.report.why, r.why, sizeof(r.why));
	pthread_mutex_unlock(&limit.lock);
	if (!known || !kl) {
		hcv_snap_put(snap);
		return;
	}
	if (r.eff.val[HCV_TK_MODE] == HCV_THR_LATENCY)
		st = calloc(1, sizeof(*st));
	if (st)
		limit_hists(kl, vol, nr, st);
	free(st);
	pthread_mutex_lock(&limit.lock);
	r.moves = limit_moves(snap, vol, nr);
	hcv_thr_conf(&r.eff, r.moves, &limit.conf);
	limit.settled |= !*r.why;
	settled = limit.settled;
	limit.report = r;
	limit_throttle(limit_loaded(snap, hcv_agent_id(job->agent)->node, vol,
				    nr));
	limit_divide(ms);
	limit_report(&limit.report);
	pthread_mutex_unlock(&limit.lock);
	hcv_snap_put(snap);
	limit_apply(kl, vol, nr, !settled);
}

/* -------------------------------------------------------------------- answers */

uint32_t hcv_sync_limit_first(uint32_t own_kibps)
{
	uint32_t kibps = HCV_SYNC_PAUSED;

	pthread_mutex_lock(&limit.lock);
	if (limit.settled && !limit.conf.paused)
		kibps = limit_own(hcv_thr_start(&limit.thr, &limit.conf),
				  own_kibps);
	pthread_mutex_unlock(&limit.lock);
	return kibps;
}

static void limit_reason(const struct limit_vol *v, struct hcv_sync_limit *out)
{
	const struct hcv_sync_report *r = &limit.report;
	char whole[32];

	if (!limit.settled && *r->why) {
		snprintf(out->reason, sizeof(out->reason), "%s: %s",
			 r->known ? "not raised" : "left as it was", r->why);
	} else if (v->kibps == HCV_SYNC_PAUSED) {
		snprintf(out->reason, sizeof(out->reason), "%s", r->reason);
	} else if (!v->streams) {
		snprintf(out->reason, sizeof(out->reason),
			 "nothing is being recovered");
	} else if (v->own_kibps && v->kibps == v->own_kibps) {
		snprintf(out->reason, sizeof(out->reason),
			 "the volume's own limit (sync-kibps)");
	} else if (v->streams == r->streams) {
		snprintf(out->reason, sizeof(out->reason), "%s", r->reason);
	} else {
		hcv_thr_value_text(HCV_TK_REC_MAX, r->limit_kibps, whole);
		snprintf(out->reason, sizeof(out->reason),
			 "its part of %s: %s", whole, r->reason);
	}
}

bool hcv_sync_limit_get(const char *uuid, struct hcv_sync_limit *out)
{
	const struct limit_vol *v;

	pthread_mutex_lock(&limit.lock);
	v = limit_find(uuid);
	if (v) {
		memcpy(out->uuid, v->uuid, sizeof(out->uuid));
		out->kibps = v->kibps;
		out->streams = v->streams;
		out->rate_kibps = v->rate_kibps;
		limit_reason(v, out);
	}
	pthread_mutex_unlock(&limit.lock);
	return v;
}

bool hcv_sync_limit_loaded(void)
{
	bool loaded;

	pthread_mutex_lock(&limit.lock);
	loaded = hcv_thr_loaded(&limit.thr, hcv_now_ms());
	pthread_mutex_unlock(&limit.lock);
	return loaded;
}

void hcv_sync_limit_report(struct hcv_sync_report *out)
{
	pthread_mutex_lock(&limit.lock);
	*out = limit.report;
	pthread_mutex_unlock(&limit.lock);
	if (!out->known && !*out->why)
		snprintf(out->why, sizeof(out->why),
			 "the module has not been looked at yet");
}
