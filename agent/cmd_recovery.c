// SPDX-License-Identifier: GPL-2.0-only
/*
 * recovery.status, .pause, .resume, .set.
 *
 * Settings are keys of the metadata store, one of the cluster and one for each
 * node that has some of its own.  They are changed by a transaction that
 * compares the revision; every agent sees the new ones in its next snapshot.
 */
#include "agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/throttle_conf.h"
#include "jout.h"
#include "planner.h"
#include "sync_limit.h"

#define STATUS_READ_MS	1000

/* A change under way: of the cluster's settings, or of a node's. */
struct recovery {
	struct hcv_api_req *req;
	struct hcv_snap *s;
	const struct hcv_snap_recovery *at;
	const struct hcv_snap_node *node;	/* NULL: the cluster's */
	char key[64];
	char object[96];
};

/* ------------------------------------------------------------------- changes */

static const struct hcv_snap_node *recovery_node(const struct hcv_snap *s,
						 const char *ref)
{
	const struct hcv_snap_node *n = hcv_snap_node_by_name(s, ref);

	return n ? n : hcv_snap_node(s, ref);
}

static int recovery_begin(struct recovery *r, struct hcv_api_req *req)
{
	const char *ref = hcv_api_str(req, "node", "");
	enum hcv_meta_result res;

	memset(r, 0, sizeof(*r));
	r->req = req;
	res = hcv_state_read(req->agent, &r->s, HCV_META_MS);
	if (res != HCV_META_OK)
		return hcv_error_meta(&req->err, res, "recovery");
	if (*ref) {
		r->node = recovery_node(r->s, ref);
		snprintf(r->object, sizeof(r->object), "node %.60s", ref);
		if (!r->node)
			return hcv_error_set(&req->err, HCV_E_NOTFOUND,
					     r->object, "agentctl node list",
					     "the cluster has no node of this name");
		r->at = &r->node->recovery;
		snprintf(r->key, sizeof(r->key), "recovery/%s",
			 r->node->i.uuid);
		snprintf(r->object, sizeof(r->object), "recovery on %.60s",
			 r->node->i.name);
	} else {
		r->at = &r->s->recovery;
		snprintf(r->key, sizeof(r->key), "recovery");
		snprintf(r->object, sizeof(r->object), "recovery");
	}
	if (r->at->bad)
		return hcv_error_set(&req->err, HCV_E_REFUSED, r->object,
				     "agentctl recovery status",
				     "its settings cannot be read and are left as they are: %s",
				     r->at->why);
	return 0;
}

/* Put the settings; a key that would say nothing goes. */
static int recovery_write(struct recovery *r, const struct hcv_thr_set *set)
{
	struct hcv_cmp cmp = { .key = r->key, .rev = r->at->rev };
	struct hcv_op op = { .key = r->key };
	enum hcv_meta_result res;
	char *value = NULL;

	if (set->has || set->paused) {
		value = hcv_thr_set_encode(set);
		if (!value)
			return hcv_error_set(&r->req->err, HCV_E_INTERNAL,
					     r->object, NULL, "out of memory");
		op.value = value;
	} else if (!r->at->rev) {
		return 0;
	}
	HCV_CRASH_POINT("recovery-write");
	res = hcv_meta_txn(hcv_agent_meta(r->req->agent), &cmp, 1, &op, 1,
			   NULL, hcv_job_left(r->req->job));
	HCV_CRASH_POINT("recovery-write-done");
	free(value);
	if (res == HCV_META_CONFLICT)
		return hcv_error_set(&r->req->err, HCV_E_BUSY, r->object,
				     "agentctl recovery status",
				     "another command changed it at the same time");
	if (res != HCV_META_OK)
		return hcv_error_meta(&r->req->err, res, r->object);
	hcv_state_kick(r->req->agent);
	return 0;
}

/* "in the cluster", "on n1" */
static void recovery_where(const struct recovery *r, char *out, size_t size)
{
	if (r->node)
		snprintf(out, size, "on %s", r->node->i.name);
	else
		snprintf(out, size, "in the cluster");
}

static int recovery_pause(struct hcv_api_req *req, bool pause)
{
	struct hcv_thr_set set;
	struct recovery r;
	char where[80];
	int ret = recovery_begin(&r, req);

	if (!ret) {
		set = r.at->s;
		hcv_jo_str(req->result, "node",
			   r.node ? r.node->i.name : "");
		hcv_jo_bool(req->result, "paused", pause);
		hcv_jo_bool(req->result, "changed", set.paused != pause);
		/* What still holds it, if that is another word. */
		hcv_jo_bool(req->result, "paused_in_cluster",
			    r.node ? r.s->recovery.s.paused : pause);
	}
	if (!ret && set.paused != pause) {
		set.paused = pause;
		recovery_where(&r, where, sizeof(where));
		ret = recovery_write(&r, &set);
		if (!ret)
			hcv_event_emit(req->agent, HCV_SEV_INFO, "recovery",
				       NULL, pause ?
				       "paused %s: replicas that are out of date stay so" :
				       "resumed %s", where);
	}
	hcv_snap_put(r.s);
	return ret;
}

static int hcv_cmd_recovery_pause(struct hcv_api_req *req)
{
	return recovery_pause(req, true);
}

static int hcv_cmd_recovery_resume(struct hcv_api_req *req)
{
	return recovery_pause(req, false);
}

static int recovery_set(struct recovery *r)
{
	const char *key = hcv_api_str(r->req, "key", "");
	const char *value = hcv_api_str(r->req, "value", "");
	struct hcv_thr_set set = r->at->s;
	char err[HCV_ERR_SIZE], where[80];

	if (hcv_thr_set_value(&set, key, value, err))
		return hcv_error_set(&r->req->err, HCV_E_USAGE, r->object,
				     NULL, "%s", err);
	if (hcv_thr_set_check(&set, err))
		return hcv_error_set(&r->req->err, HCV_E_REFUSED, r->object,
				     "agentctl recovery status",
				     "%s; set the other one first", err);
	if (recovery_write(r, &set))
		return -1;
	recovery_where(r, where, sizeof(where));
	hcv_event_emit(r->req->agent, HCV_SEV_INFO, "recovery", NULL,
		       "%.40s=%.40s %s", key, value, where);
	hcv_jo_str(r->req->result, "node", r->node ? r->node->i.name : "");
	hcv_jo_str(r->req->result, "key", key);
	hcv_jo_str(r->req->result, "value", value);
	return 0;
}

static int hcv_cmd_recovery_set(struct hcv_api_req *req)
{
	struct recovery r;
	int ret = recovery_begin(&r, req);

	if (!ret)
		ret = recovery_set(&r);
	hcv_snap_put(r.s);
	return ret;
}

/* -------------------------------------------------------------------- status */

static void status_node(const struct hcv_sync_report *r, struct json_object *o)
{
	struct json_object *hw = hcv_jo_obj(o, "hardware");

	hcv_jo_str(hw, "row", r->row->name);
	hcv_jo_str(hw, "text", r->row->text);
	hcv_jo_str(hw, "found", r->found);
	hcv_jo_str(o, "mode", hcv_thr_mode_name((enum hcv_thr_mode)
						r->eff.val[HCV_TK_MODE]));
	hcv_jo_bool(o, "paused", r->eff.paused);
	hcv_jo_str(o, "paused_by", r->eff.paused ?
		   hcv_thr_from_name(r->eff.paused_by) : "");
	hcv_jo_u64(o, "limit_kibps", r->limit_kibps);
	hcv_jo_str(o, "reason", r->reason);
	hcv_jo_u64(o, "resyncs", r->streams);
	hcv_jo_bool(o, "only_moves", r->moves);
	hcv_jo_u64(o, "recovery_kibps", r->rec_kibps);
	hcv_jo_u64(o, "foreground_iops", r->iops);
	hcv_jo_u64(o, "foreground_kibps", r->fg_kibps);
}

static void status_settings(const struct hcv_thr_eff *e, struct json_object *out)
{
	struct json_object *array = hcv_jo_array(out, "settings"), *o;
	char text[32];
	size_t i;

	for (i = 0; i < HCV_TK_NR; i++) {
		hcv_thr_value_text((enum hcv_thr_key)i, e->val[i], text);
		o = hcv_jo_push(array);
		hcv_jo_str(o, "key", hcv_thr_key_name((enum hcv_thr_key)i));
		hcv_jo_u64(o, "value", e->val[i]);
		hcv_jo_str(o, "text", text);
		hcv_jo_str(o, "from", hcv_thr_from_name(e->from[i]));
	}
}

/* The module's view of one copy; only its owner has one. */
static void status_link(const struct hcv_k_vol *k, const char *store,
			const char *uuid, struct json_object *o)
{
	struct hcv_sync_limit l;
	size_t i;

	for (i = 0; i < k->nr_links; i++) {
		if (strcmp(k->link[i].store, store) ||
		    k->link[i].state != HCV_LINK_SYNCING)
			continue;
		hcv_jo_u64(o, "sync_total", k->link[i].sync_total);
		hcv_jo_u64(o, "sync_done", k->link[i].sync_done);
		hcv_jo_u64(o, "sync_copied", k->link[i].sync_copied);
		if (!hcv_sync_limit_get(uuid, &l))
			continue;
		hcv_jo_u64(o, "limit_kibps",
			   l.kibps == HCV_SYNC_PAUSED ? 0 : l.kibps);
		hcv_jo_u64(o, "rate_kibps",
			   l.rate_kibps / (l.streams ? l.streams : 1));
		hcv_jo_str(o, "reason", l.reason);
	}
}

static void status_volume(const struct hcv_snap *s,
			  const struct hcv_snap_vol *v, struct hcv_klink *kl,
			  struct hcv_k_vol *k, struct json_object *array)
{
	bool have = kl && !hcv_k_vol_get(kl, v->uuid, k);
	const struct hcv_snap_store *st;
	const struct hcv_snap_node *n;
	struct json_object *o;
	size_t i;

	n = hcv_snap_node(s, v->rec.owner);
	for (i = 0; i < v->rec.nr; i++) {
		if (v->rec.st[i].state == HCV_RS_INSYNC ||
		    v->rec.st[i].state == HCV_RS_TEMPORARY)
			continue;
		st = hcv_snap_store(s, v->rec.st[i].store);
		o = hcv_jo_push(array);
		hcv_jo_str(o, "volume", v->i.name);
		hcv_jo_str(o, "store", v->rec.st[i].store);
		hcv_jo_str(o, "store_name", st ? st->i.name : "");
		hcv_jo_str(o, "state", v->rec.st[i].state == HCV_RS_SYNCING ?
				       "syncing" : "stale");
		hcv_jo_str(o, "owner", n ? n->i.name : "");
		if (have)
			status_link(k, v->rec.st[i].store, v->uuid, o);
	}
}

static void status_volumes(struct hcv_api_req *req, const struct hcv_snap *s)
{
	struct json_object *array = hcv_jo_array(req->result, "replicas");
	struct hcv_klink *kl = hcv_job_klink(req->job);
	struct hcv_k_vol *k = calloc(1, sizeof(*k));
	size_t i, j;

	for (i = 0; k && i < s->nr_vols; i++) {
		const struct hcv_snap_vol *v = &s->vol[i];

		if (!v->rev || !v->rec_rev || v->i.deleting)
			continue;
		for (j = 0; j < v->rec.nr; j++)
			if (v->rec.st[j].state != HCV_RS_INSYNC)
				break;
		if (j < v->rec.nr)
			status_volume(s, v, kl, k, array);
	}
	free(k);
}

static int hcv_cmd_recovery_status(struct hcv_api_req *req)
{
	struct hcv_sync_report r;
	struct json_object *nodes;
	struct hcv_snap *s;
	size_t i;

	/* What was set just now is to be seen; without an answer what is known. */
	if (hcv_state_read(req->agent, &s, STATUS_READ_MS) != HCV_META_OK)
		s = hcv_snap_get(req->agent);
	hcv_sync_limit_report(&r);
	hcv_jo_str(req->result, "node", hcv_agent_id(req->agent)->name);
	hcv_jo_bool(req->result, "known", r.known);
	if (*r.why)
		hcv_jo_str(req->result, "unknown_because", r.why);
	if (r.known) {
		status_node(&r, req->result);
		status_settings(&r.eff, req->result);
	}
	hcv_jo_bool(req->result, "paused_in_cluster", s->recovery.s.paused);
	nodes = hcv_jo_array(req->result, "paused_nodes");
	for (i = 0; i < s->nr_nodes; i++)
		if (s->node[i].recovery.s.paused)
			hcv_jo_push_str(nodes, s->node[i].i.name);
	status_volumes(req, s);
	hcv_planner_jobs(req, s);
	hcv_snap_put(s);
	return 0;
}

/* ----------------------------------------------------------------- the table */

static const struct hcv_api_arg args_pause[] = {
	{ "node", HCV_ARG_STRING, false },
	{ NULL }
};

static const struct hcv_api_arg args_set[] = {
	{ "key", HCV_ARG_STRING, true },
	{ "value", HCV_ARG_STRING, true },
	{ "node", HCV_ARG_STRING, false },
	{ NULL }
};

static const struct hcv_api_cmd recovery_cmds[] = {
	{ "recovery.status", hcv_cmd_recovery_status, 10000, HCV_API_SNAPSHOT,
	  NULL },
	{ "recovery.pause", hcv_cmd_recovery_pause, 15000, 0, args_pause },
	{ "recovery.resume", hcv_cmd_recovery_resume, 15000, 0, args_pause },
	{ "recovery.set", hcv_cmd_recovery_set, 15000, 0, args_set },
};

int hcv_cmd_recovery_init(struct hcv_agent *a)
{
	hcv_api_register(a, recovery_cmds,
			 sizeof(recovery_cmds) / sizeof(recovery_cmds[0]));
	return 0;
}
