// SPDX-License-Identifier: GPL-2.0-only
/*
 * volume.list and volume.show: the metadata store's view of a volume, and on
 * the node that owns it the module's.
 */
#include "cmd_volume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_status.h"
#include "iostat.h"
#include "jout.h"
#include "owner.h"
#include "scrub.h"
#include "sync_limit.h"

static const char *const show_phases[] = { "none", "taking", "serving" };
static const char *const show_sstates[] = {
	"insync", "stale", "syncing", "temporary"
};

static const char *const show_domains[] = { "disk", "node", "rack" };

static const char *show_name(const char *const *names, size_t nr, uint32_t i)
{
	return i < nr ? names[i] : "unknown";
}

static const char *show_state(uint32_t state)
{
	static const char *const names[] = {
		"new", "loading", "active", "suspended", "stopping", "fenced",
		"zombie",
	};

	return show_name(names, sizeof(names) / sizeof(*names), state);
}

/* With what hand-overs add to it. */
static const char *show_vol_state(const struct hcv_k_vol *k)
{
	return k->prepared ? "prepared" : k->halted ? "halted" :
	       show_state(k->state);
}

static const char *show_link(uint32_t state)
{
	static const char *const names[] = {
		"out", "insync", "failing", "lost", "syncing", "joining",
	};

	return show_name(names, sizeof(names) / sizeof(*names), state);
}

static const char *show_wait(uint32_t wait)
{
	static const char *const names[] = {
		"", "confirm", "extent", "replica", "lease", "suspend", "busy",
		"flush", "io", "memory", "log", "handover",
	};

	return show_name(names, sizeof(names) / sizeof(*names), wait);
}

/* Attached nowhere, but something is done for it. */
static void show_care(const struct hcv_snap *s, const struct hcv_snap_vol *v,
		      struct json_object *o)
{
	hcv_jo_str(o, "caretaker", hcv_volcmd_caretaker(s, v));
	if (v->rec_rev && v->rec.care.on)
		hcv_jo_str(o, "caretaker_why", v->rec.care.leave ?
			   "it is just giving it up" :
			   v->care_rev ? v->care.why : "");
}

/* What both commands tell. */
static void show_common(const struct hcv_snap *s, const struct hcv_snap_vol *v,
			struct json_object *o)
{
	uint64_t insync = 0;
	size_t i;

	for (i = 0; i < v->rec.nr; i++)
		insync += v->rec.st[i].state == HCV_RS_INSYNC;
	hcv_jo_str(o, "name", v->i.name);
	hcv_jo_str(o, "uuid", v->uuid);
	hcv_jo_u64(o, "size", v->i.size);
	hcv_jo_u64(o, "replicas", v->i.replicas);
	hcv_jo_u64(o, "stripe", v->i.stripe);
	hcv_jo_str(o, "state", v->i.deleting ? "deleting" : "ready");
	hcv_jo_str(o, "health", hcv_vol_health_name(hcv_vol_health(s, v)));
	hcv_jo_str(o, "owner", hcv_volcmd_owner(s, v));
	hcv_jo_str(o, "phase", v->rec_rev && !v->rec.care.on ?
			       show_phases[v->rec.phase] : "none");
	show_care(s, v, o);
	hcv_jo_u64(o, "stores", v->rec.nr);
	hcv_jo_u64(o, "stores_insync", insync);
	hcv_jo_u64(o, "extents", v->rows.nr);
}

int hcv_cmd_volume_list(struct hcv_api_req *req)
{
	struct json_object *array = hcv_jo_array(req->result, "volumes"), *o;
	struct hcv_klink *kl = hcv_job_klink(req->job);
	struct hcv_snap *s = hcv_snap_get(req->agent);
	struct hcv_k_vol *vol = NULL;
	char device[32];
	size_t nr = 0, i, j;

	if (kl && hcv_k_vol_list(kl, &vol, &nr))
		nr = 0;		/* no module: no devices */
	for (i = 0; i < s->nr_vols; i++) {
		if (!s->vol[i].rev)
			continue;
		o = hcv_jo_push(array);
		show_common(s, &s->vol[i], o);
		device[0] = 0;
		for (j = 0; j < nr; j++)
			if (!strcmp(vol[j].uuid, s->vol[i].uuid) &&
			    vol[j].state != HCV_VOL_ZOMBIE &&
			    !vol[j].diskless)
				snprintf(device, sizeof(device),
					 "/dev/hcivol%u", vol[j].minor);
		hcv_jo_str(o, "device", device);
	}
	free(vol);
	hcv_snap_put(s);
	return 0;
}

/* ---------------------------------------------------------------------- show */

static const struct hcv_k_link *show_klink(const struct hcv_k_vol *k,
					   const char *store)
{
	size_t i;

	for (i = 0; k && i < k->nr_links; i++)
		if (!strcmp(k->link[i].store, store))
			return &k->link[i];
	return NULL;
}

static void show_link_module(const struct hcv_k_link *l, struct json_object *o)
{
	hcv_jo_str(o, "link", show_link(l->state));
	hcv_jo_u64(o, "state_ms", l->state_ms);
	hcv_jo_u64(o, "lease_ms", l->lease_ms);
	hcv_jo_u64(o, "inflight", l->inflight);
	hcv_jo_u64(o, "stall_ms", l->stall_ms);
	hcv_iostat_counters(&l->count, o);
	if (l->err)
		hcv_jo_str(o, "error", strerror((int)l->err));
	/* Of the copy that is under way or, of a replica in-sync, the last. */
	if (!l->sync_total)
		return;
	hcv_jo_u64(o, "sync_total", l->sync_total);
	hcv_jo_u64(o, "sync_done", l->sync_done);
	hcv_jo_u64(o, "sync_copied", l->sync_copied);
}

static void show_link_stats(const struct hcv_k_stats *st, const char *store,
			    struct json_object *o)
{
	size_t i;

	for (i = 0; st && i < st->nr_links; i++)
		if (!strcmp(st->link[i].store, store))
			hcv_iostat_latency(&st->link[i].hists, o);
}

static void show_replicas(const struct hcv_snap *s,
			  const struct hcv_snap_vol *v,
			  const struct hcv_k_vol *k,
			  const struct hcv_k_stats *st,
			  struct json_object *out)
{
	struct json_object *array = hcv_jo_array(out, "replica_list"), *o;
	size_t i;

	for (i = 0; i < v->rec.nr; i++) {
		const struct hcv_rec_store *rs = &v->rec.st[i];
		const struct hcv_snap_store *store = hcv_snap_store(s, rs->store);
		const struct hcv_k_link *l = show_klink(k, rs->store);
		const struct hcv_snap_node *n;

		o = hcv_jo_push(array);
		hcv_jo_str(o, "store", rs->store);
		hcv_jo_str(o, "state", show_sstates[rs->state]);
		hcv_jo_u64(o, "v", rs->v);
		n = store ? hcv_snap_node(s, store->i.node) : NULL;
		hcv_jo_str(o, "store_name", store ? store->i.name : "");
		hcv_jo_str(o, "node", n ? n->i.name : "");
		hcv_jo_bool(o, "live", store && store->i.live && n && n->i.live);
		if (!l)
			continue;
		show_link_module(l, o);
		show_link_stats(st, rs->store, o);
	}
}

static void show_module_waits(const struct hcv_k_vol *k, struct json_object *out)
{
	struct json_object *array = hcv_jo_array(out, "waits"), *o;
	size_t i;

	for (i = 0; i < k->nr_waits; i++) {
		o = hcv_jo_push(array);
		hcv_jo_str(o, "wait", show_wait(k->waits[i].wait));
		hcv_jo_u64(o, "count", k->waits[i].count);
		hcv_jo_u64(o, "ms", k->waits[i].ms);
	}
}

static void show_module(const struct hcv_k_vol *k, struct json_object *out)
{
	struct json_object *o = hcv_jo_obj(out, "module"), *array;
	char device[32];
	uint32_t i;

	snprintf(device, sizeof(device), "/dev/hcivol%u", k->minor);
	hcv_jo_str(o, "device", k->diskless ? "" : device);
	hcv_jo_str(o, "state", show_vol_state(k));
	hcv_jo_u64(o, "epoch", k->epoch);
	hcv_jo_u64(o, "v", k->v);
	hcv_jo_u64(o, "size", k->size);
	hcv_jo_str(o, "queue", k->queue == HCV_QUEUE_BIO ? "bio" : "mq");
	hcv_jo_bool(o, "readonly", k->flags & HCV_VOL_F_READONLY);
	hcv_jo_u64(o, "openers", k->openers);
	hcv_jo_str(o, "wait", show_wait(k->wait));
	hcv_jo_u64(o, "wait_ms", k->wait_ms);
	hcv_jo_u64(o, "wait_count", k->wait_count);
	hcv_jo_u64(o, "extents", k->nr_extents);
	array = hcv_jo_array(o, "free_extents");
	for (i = 0; i < k->nr_col && i < 4; i++)
		json_object_array_add(array,
				      json_object_new_int64(k->col_ready[i]));
	hcv_jo_u64(o, "used_bytes", k->used_slots << 20);
	hcv_jo_u64(o, "meta_bytes", k->meta_bytes);
	hcv_jo_u64(o, "unflushed_bytes", (uint64_t)k->unflushed_mibs << 20);
	hcv_jo_u64(o, "log_bytes", (uint64_t)k->log_entries << 20);
	hcv_jo_u64(o, "log_named_bytes", (uint64_t)k->log_named << 20);
	hcv_jo_u64(o, "log_misses", k->log_misses);
	hcv_jo_u64(o, "log_writes", k->log_writes);
	hcv_jo_u64(o, "log_dropped", k->log_dropped);
	hcv_iostat_counters(&k->count, o);
	hcv_jo_u64(o, "discard_ios", k->discard_ios);
	hcv_jo_u64(o, "discard_bytes", k->discard_bytes);
	hcv_jo_u64(o, "sync_kibps", k->sync_kibps);
	show_module_waits(k, o);
}

static void show_definition(const struct hcv_snap_vol *v,
			    struct json_object *o)
{
	hcv_jo_str(o, "queue", v->i.queue == HCV_QUEUE_BIO ? "bio" : "mq");
	hcv_jo_str(o, "policy", v->i.policy == HCV_POLICY_ERROR ? "error" :
								  "suspend");
	hcv_jo_u64(o, "policy_ms", v->i.policy_ms);
	hcv_jo_u64(o, "sync_kibps", v->i.sync_kibps);
	hcv_jo_str(o, "slow_replica", v->i.slow_drop ? "drop" : "keep");
	hcv_jo_bool(o, "readonly", v->i.readonly);
	hcv_jo_str(o, "domain", show_domains[v->i.domain]);
	hcv_jo_u64(o, "created", (uint64_t)v->i.created);
	hcv_jo_u64(o, "epoch", v->rec.epoch);
	hcv_jo_u64(o, "v", v->rec.v);
	hcv_jo_bool(o, "clean", v->rec.clean);
	if (v->bad)
		hcv_jo_str(o, "damaged", v->why);
}

static void show_hand(const struct hcv_snap *s, const struct hcv_snap_vol *v,
		      struct json_object *out)
{
	const struct hcv_rec_hand *h = &v->rec.hand;
	const struct hcv_snap_node *n = hcv_snap_node(s, h->to);
	struct json_object *o;

	if (!h->to[0])
		return;
	o = hcv_jo_obj(out, "handover");
	hcv_jo_str(o, "to", n ? n->i.name : h->to);
	hcv_jo_bool(o, "ready", h->ready);
	hcv_jo_bool(o, "go", h->go);
	hcv_jo_u64(o, "limit_ms", h->limit_ms);
}

/* What the agent waits for on behalf of the volume. */
static void show_waits(struct hcv_agent *a, const char *uuid,
		       struct json_object *o)
{
	struct hcv_owner_report rep;

	if (!hcv_owner_get_report(a, uuid, &rep))
		return;
	if (rep.waiting) {
		hcv_jo_str(o, "waits_for", rep.reason);
		hcv_jo_u64(o, "waits_ms",
			   (uint64_t)(hcv_now_ms() - rep.since_ms));
	}
	if (rep.failed != HCV_VP_NONE)
		hcv_jo_str(o, "last_failure", rep.why);
}

/* The limit in force and why; only where the volume is. */
static void show_sync_limit(const char *uuid, struct json_object *out)
{
	struct hcv_sync_limit l;
	struct json_object *o;

	if (!hcv_sync_limit_get(uuid, &l))
		return;
	o = hcv_jo_obj(out, "sync_limit");
	hcv_jo_bool(o, "paused", l.kibps == HCV_SYNC_PAUSED);
	hcv_jo_u64(o, "kibps", l.kibps == HCV_SYNC_PAUSED ? 0 : l.kibps);
	hcv_jo_u64(o, "resyncs", l.streams);
	hcv_jo_u64(o, "rate_kibps", l.rate_kibps);
	hcv_jo_str(o, "reason", l.reason);
}

int hcv_cmd_volume_show(struct hcv_api_req *req)
{
	const char *ref = hcv_api_str(req, "name", "");
	struct hcv_klink *kl = hcv_job_klink(req->job);
	struct hcv_snap *s = hcv_snap_get(req->agent);
	const struct hcv_snap_vol *v = hcv_snap_vol_by_name(s, ref);
	struct hcv_k_stats *st = NULL;
	struct hcv_k_vol *k = NULL;
	char object[128];

	if (!v)
		v = hcv_snap_vol(s, ref);
	if (!v || !v->rev) {
		hcv_snap_put(s);
		snprintf(object, sizeof(object), "volume %.100s", ref);
		return hcv_error_set(&req->err, HCV_E_NOTFOUND, object,
				     "agentctl volume list",
				     "there is none of this name");
	}
	if (kl)
		k = calloc(1, sizeof(*k));
	if (k && hcv_k_vol_get(kl, v->uuid, k)) {
		free(k);
		k = NULL;
	}
	if (k)
		st = calloc(1, sizeof(*st));
	if (st && hcv_k_vol_stats(kl, v->uuid, st)) {
		free(st);
		st = NULL;
	}
	show_common(s, v, req->result);
	show_definition(v, req->result);
	show_hand(s, v, req->result);
	show_replicas(s, v, k, st, req->result);
	show_waits(req->agent, v->uuid, req->result);
	hcv_scrub_show(s, v, k, req->result);
	if (k) {
		show_module(k, req->result);
		show_sync_limit(v->uuid, req->result);
	}
	if (st)
		hcv_iostat_latency(&st->vol, req->result);
	free(st);
	free(k);
	hcv_snap_put(s);
	return 0;
}
