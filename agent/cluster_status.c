// SPDX-License-Identifier: GPL-2.0-only
/*
 * cluster.status: everything on one page, and what is wrong, in words.
 */
#include "cluster_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/hcivol_format.h>

#include "core/record.h"
#include "jout.h"
#include "member.h"
#include "place.h"

static bool hcv_status_store_live(const struct hcv_snap *s, const char *store)
{
	const struct hcv_snap_store *st = hcv_snap_store(s, store);
	const struct hcv_snap_node *n = st ? hcv_snap_node(s, st->i.node) :
		NULL;

	return n && n->i.live && st->i.live && !st->i.failed;
}

/*
 * A copy that a recovery job is still making, or has no use for any more: that
 * it is not in-sync takes nothing from the volume.
 */
static bool hcv_status_spare(const struct hcv_snap_vol *v,
			     const struct hcv_rec_store *rs)
{
	const struct hcv_job_info *job = &v->job;

	if (!v->job_rev || rs->state == HCV_RS_INSYNC)
		return false;
	if (!strcmp(rs->store, job->to))
		return true;
	return !strcmp(rs->store, job->from) &&
	       (!*job->to || hcv_record_insync(&v->rec, job->to));
}

enum hcv_vol_health hcv_vol_health(const struct hcv_snap *s,
				   const struct hcv_snap_vol *v)
{
	unsigned int good = 0, bad = 0;
	size_t i;

	if (v->bad)
		return HCV_VH_BAD;
	if (!v->rec_rev || !v->rec.nr)
		return HCV_VH_EMPTY;
	for (i = 0; i < v->rec.nr; i++) {
		if (v->rec.st[i].state == HCV_RS_INSYNC &&
		    hcv_status_store_live(s, v->rec.st[i].store))
			good++;
		else if (!hcv_status_spare(v, &v->rec.st[i]))
			bad++;
	}
	if (!good)
		return HCV_VH_DOWN;
	return bad ? HCV_VH_DEGRADED : HCV_VH_OK;
}

const char *hcv_vol_health_name(enum hcv_vol_health h)
{
	static const char * const name[] = {
		[HCV_VH_EMPTY] = "new",
		[HCV_VH_OK] = "ok",
		[HCV_VH_DEGRADED] = "degraded",
		[HCV_VH_DOWN] = "down",
		[HCV_VH_BAD] = "unreadable",
	};

	return name[h];
}

struct hcv_status {
	struct hcv_agent *a;
	const struct hcv_snap *s;
	struct json_object *out;
	struct json_object *problems;
};

static void hcv_status_problem(struct hcv_status *st, const char *object,
			       const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void hcv_status_problem(struct hcv_status *st, const char *object,
			       const char *hint, const char *fmt, ...)
{
	struct json_object *p = hcv_jo_push(st->problems);
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	hcv_jo_str(p, "object", object);
	hcv_jo_str(p, "text", text);
	hcv_jo_str(p, "hint", hint);
}

static void hcv_status_meta(struct hcv_status *st)
{
	const struct hcv_identity *id = hcv_agent_id(st->a);
	struct json_object *m = hcv_jo_obj(st->out, "metadata");
	char why[HCV_ERR_SIZE];
	int64_t since;
	bool ok;

	ok = hcv_state_reachable(st->a, why, &since);
	hcv_jo_str(m, "kind", strncmp(id->meta_spec, "etcd:", 5) ? "sqlite" :
		   "etcd");
	hcv_jo_str(m, "spec", id->meta_spec);
	hcv_jo_bool(m, "reachable", ok);
	hcv_jo_u64(m, "since_ms", hcv_now_ms() - since);
	hcv_jo_str(m, "why", why);
	if (!ok)
		hcv_status_problem(st, "metadata store",
				   strncmp(id->meta_spec, "etcd:", 5) ? "" :
				   "etcdctl endpoint health",
				   "not reachable for %lld s: %s",
				   (long long)(hcv_now_ms() - since) / 1000,
				   why);
}

static void hcv_status_module(struct hcv_status *st)
{
	struct json_object *m = hcv_jo_obj(st->out, "module");
	struct hcv_k_module k;
	char why[HCV_ERR_SIZE];
	bool ok = hcv_member_module(st->a, &k, why);

	hcv_jo_bool(m, "ok", ok);
	hcv_jo_str(m, "version", ok ? k.version : "");
	hcv_jo_str(m, "why", why);
	if (!ok)
		hcv_status_problem(st, "module", "modprobe hcivol", "%s", why);
}

static void hcv_status_nodes(struct hcv_status *st)
{
	struct json_object *array = hcv_jo_array(st->out, "nodes"), *o;
	const struct hcv_snap *s = st->s;
	char object[96];
	size_t i, k;

	for (i = 0; i < s->nr_nodes; i++) {
		const struct hcv_snap_node *n = &s->node[i];
		uint64_t total = 0, used = 0, stores = 0;

		for (k = 0; k < s->nr_stores; k++) {
			if (strcmp(s->store[k].i.node, n->i.uuid))
				continue;
			stores++;
			total += s->store[k].i.nr_extents;
			used += s->store[k].i.used_extents;
		}
		o = hcv_jo_push(array);
		hcv_jo_str(o, "name", n->i.name);
		hcv_jo_str(o, "uuid", n->i.uuid);
		hcv_jo_str(o, "addr", n->i.addr);
		hcv_jo_str(o, "rack", n->i.rack);
		hcv_jo_str(o, "state", n->i.draining ? "draining" : "ready");
		hcv_jo_bool(o, "live", n->i.live);
		hcv_jo_str(o, "agent_version", n->agent_version);
		hcv_jo_u64(o, "stores", stores);
		hcv_jo_u64(o, "bytes", total * HCV_EXTENT_SIZE);
		hcv_jo_u64(o, "used_bytes", used * HCV_EXTENT_SIZE);
		snprintf(object, sizeof(object), "node %s", n->i.name);
		if (!n->i.live)
			hcv_status_problem(st, object,
					   "systemctl status hcivold",
					   "it is not live: its agent does not answer the metadata store");
	}
}

static void hcv_status_stores(struct hcv_status *st)
{
	const struct hcv_identity *id = hcv_agent_id(st->a);
	const struct hcv_snap *s = st->s;
	char object[96], why[HCV_ERR_SIZE];
	uint64_t total = 0, used = 0;
	struct json_object *o;
	size_t i;

	for (i = 0; i < s->nr_stores; i++) {
		const struct hcv_store_info *si = &s->store[i].i;
		const struct hcv_snap_node *n = hcv_snap_node(s, si->node);

		total += si->nr_extents;
		used += si->used_extents;
		snprintf(object, sizeof(object), "store %s", si->name);
		if (si->live && si->failed)
			hcv_status_problem(st, object, "agentctl store show",
					   "its disk reported an error; its replicas are out of use");
		if (si->live || si->state == HCV_ST_REMOVED || !n ||
		    !n->i.live)
			continue;
		*why = '\0';
		if (!strcmp(si->node, id->node))
			hcv_member_store_error(st->a, si->uuid, why);
		hcv_status_problem(st, object, "agentctl store show",
				   "it is not open on node %s%s%s", n->i.name,
				   *why ? ": " : "", why);
	}
	o = hcv_jo_obj(st->out, "stores");
	hcv_jo_u64(o, "count", s->nr_stores);
	hcv_jo_u64(o, "bytes", total * HCV_EXTENT_SIZE);
	hcv_jo_u64(o, "used_bytes", used * HCV_EXTENT_SIZE);
}

static void hcv_status_volume(struct hcv_status *st,
			      const struct hcv_snap_vol *v,
			      enum hcv_vol_health h)
{
	const struct hcv_snap *s = st->s;
	char object[96], hint[128];
	size_t i, spare = 0;
	unsigned int good = 0;

	snprintf(object, sizeof(object), "volume %s", v->i.name);
	snprintf(hint, sizeof(hint), "agentctl volume show %s", v->i.name);
	for (i = 0; i < v->rec.nr; i++)
		spare += hcv_status_spare(v, &v->rec.st[i]);
	for (i = 0; i < v->rec.nr; i++)
		good += v->rec.st[i].state == HCV_RS_INSYNC &&
			hcv_status_store_live(s, v->rec.st[i].store);
	if (h == HCV_VH_BAD)
		hcv_status_problem(st, object, hint, "%s", v->why);
	else if (h == HCV_VH_DOWN)
		hcv_status_problem(st, object, hint,
				   "none of its %zu stores is in-sync and live",
				   v->rec.nr);
	else if (h == HCV_VH_DEGRADED)
		hcv_status_problem(st, object, hint,
				   "%u of its %zu stores are in-sync and live",
				   good, v->rec.nr - spare);
}

/* What a scrub could not put right stays a problem until one has. */
static void hcv_status_scrub(struct hcv_status *st, const struct hcv_snap_vol *v)
{
	char object[96], hint[128];
	size_t i;

	snprintf(object, sizeof(object), "volume %s", v->i.name);
	snprintf(hint, sizeof(hint), "agentctl volume scrub status %s",
		 v->i.name);
	for (i = 0; v->scrub && i < v->scrub->nr; i++) {
		const struct hcv_snap_store *s;

		if (v->scrub->st[i].result != HCV_SCRUBBED_BAD)
			continue;
		s = hcv_snap_store(st->s, v->scrub->st[i].store);
		hcv_status_problem(st, object, hint,
				   "its last scrub could not repair the replica on store %s",
				   s ? s->i.name : v->scrub->st[i].store);
	}
}

static void hcv_status_volumes(struct hcv_status *st)
{
	const struct hcv_snap *s = st->s;
	unsigned int count[HCV_VH_BAD + 1] = { 0 }, attached = 0, nr = 0;
	struct json_object *o = hcv_jo_obj(st->out, "volumes");
	enum hcv_vol_health h;
	size_t i;

	for (i = 0; i < s->nr_vols; i++) {
		const struct hcv_snap_vol *v = &s->vol[i];

		if (!v->rev)
			continue;
		nr++;
		attached += v->rec_rev && *v->rec.owner && !v->rec.care.on;
		h = hcv_vol_health(s, v);
		count[h]++;
		hcv_status_volume(st, v, h);
		hcv_status_scrub(st, v);
	}
	hcv_jo_u64(o, "count", nr);
	hcv_jo_u64(o, "attached", attached);
	for (i = 0; i <= HCV_VH_BAD; i++)
		hcv_jo_u64(o, hcv_vol_health_name(i), count[i]);
}

/* Paused is easily forgotten, and costs copies. */
static void hcv_status_recovery(struct hcv_status *st)
{
	const struct hcv_snap *s = st->s;
	char object[96], hint[128];
	size_t i;

	if (s->recovery.bad)
		hcv_status_problem(st, "recovery", "agentctl recovery status",
				   "its settings cannot be read: %s",
				   s->recovery.why);
	else if (s->recovery.s.paused)
		hcv_status_problem(st, "recovery", "agentctl recovery resume",
				   "it is paused in the cluster: what is out of date stays so");
	for (i = 0; i < s->nr_nodes; i++) {
		const struct hcv_snap_node *n = &s->node[i];

		snprintf(object, sizeof(object), "recovery on %s", n->i.name);
		snprintf(hint, sizeof(hint), "agentctl recovery resume --node %s",
			 n->i.name);
		if (n->recovery.bad)
			hcv_status_problem(st, object,
					   "agentctl recovery status",
					   "its settings cannot be read: %s",
					   n->recovery.why);
		else if (n->recovery.s.paused)
			hcv_status_problem(st, object, hint,
					   "it is paused on this node: what is out of date stays so");
	}
}

static void hcv_status_domain(struct hcv_status *st)
{
	static const char * const noun[] = { "disk", "node", "rack" };
	static const char * const text[] = {
		"replicas lie on different disks of one node: its loss is not survived",
		"replicas lie on different nodes",
		"replicas lie in different racks",
	};
	struct hcv_place_store *stores;
	enum hcv_domain d;

	if (hcv_place_collect(st->s, &stores))
		return;
	d = hcv_place_domain(stores, st->s->nr_stores, 2,
			     hcv_meta_is_cluster(hcv_agent_meta(st->a)));
	hcv_jo_str(st->out, "failure_domain", noun[d]);
	hcv_jo_str(st->out, "failure_domain_text", text[d]);
	free(stores);
}

int hcv_cluster_status(struct hcv_api_req *req)
{
	const struct hcv_identity *id = hcv_agent_id(req->agent);
	struct hcv_status st = { .a = req->agent, .out = req->result };
	struct json_object *o;
	struct hcv_snap *s;

	hcv_jo_bool(req->result, "member", id);
	if (!id)
		return 0;
	st.problems = json_object_new_array();
	o = hcv_jo_obj(req->result, "cluster");
	hcv_jo_str(o, "name", id->cluster_name);
	hcv_jo_str(o, "uuid", id->cluster);
	o = hcv_jo_obj(req->result, "node");
	hcv_jo_str(o, "name", id->name);
	hcv_jo_str(o, "uuid", id->node);
	hcv_status_meta(&st);
	hcv_status_module(&st);
	s = hcv_snap_get(req->agent);
	st.s = s;
	if (s) {
		hcv_jo_u64(req->result, "age_ms", hcv_now_ms() - s->taken_ms);
		hcv_status_nodes(&st);
		hcv_status_stores(&st);
		hcv_status_volumes(&st);
		hcv_status_recovery(&st);
		hcv_status_domain(&st);
		hcv_snap_put(s);
	}
	json_object_object_add(req->result, "problems", st.problems);
	return 0;
}
