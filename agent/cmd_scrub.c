// SPDX-License-Identifier: GPL-2.0-only
/*
 * volume.scrub, and cluster.set, which has the schedule.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd_volume.h"
#include "jout.h"
#include "scrub.h"

static const char *scrub_state(uint32_t state)
{
	static const char *const names[] = {
		"none", "running", "paused", "done", "stopped",
	};

	return state < sizeof(names) / sizeof(*names) ? names[state] :
							"unknown";
}

/* -------------------------------------------------------------------- show */

static void show_stores(const struct hcv_snap *s,
			const struct hcv_scrub_info *i, struct json_object *out)
{
	struct json_object *array = hcv_jo_array(out, "stores"), *o;
	const struct hcv_snap_store *st;
	size_t n;

	for (n = 0; n < i->nr; n++) {
		const struct hcv_scrub_store *c = &i->st[n];

		o = hcv_jo_push(array);
		st = hcv_snap_store(s, c->store);
		hcv_jo_str(o, "store", c->store);
		hcv_jo_str(o, "store_name", st ? st->i.name : "");
		hcv_jo_str(o, "result", hcv_scrub_result_name(c->result));
		hcv_jo_u64(o, "covered_bytes", c->covered << 12);
		hcv_jo_u64(o, "missed_bytes", c->missed << 12);
		hcv_jo_u64(o, "damaged_blocks", c->damaged);
		hcv_jo_u64(o, "media_blocks", c->media);
		hcv_jo_u64(o, "repaired_blocks", c->repaired);
		hcv_jo_u64(o, "failed_blocks", c->failed);
		hcv_jo_u64(o, "bad_pages", c->pages);
	}
}

static void show_counters(const struct hcv_scrub_info *i, struct json_object *o)
{
	hcv_jo_u64(o, "read_bytes", i->read << 12);
	hcv_jo_u64(o, "damaged_blocks", i->damaged);
	hcv_jo_u64(o, "media_blocks", i->media);
	hcv_jo_u64(o, "lost_blocks", i->lost);
	hcv_jo_u64(o, "changed_blocks", i->changed);
}

/* The pass that the module has, over or not. */
static void show_module(const struct hcv_snap *s, const struct hcv_k_vol *k,
			struct json_object *out)
{
	struct json_object *o = hcv_jo_obj(out, "pass");
	struct hcv_scrub_info i;

	hcv_scrub_of_module(k, "", &i);
	hcv_jo_str(o, "state", scrub_state(k->scrub.state));
	hcv_jo_u64(o, "kibps", k->scrub.kibps);
	hcv_jo_u64(o, "begun_ms", k->scrub.begun_ms);
	if (hcv_scrub_ended(k))
		hcv_jo_u64(o, "ended_ms", k->scrub.ended_ms);
	hcv_jo_u64(o, "total_bytes", k->scrub.total << 12);
	show_counters(&i, o);
	show_stores(s, &i, o);
}

static void show_last(const struct hcv_snap *s, const struct hcv_scrub_info *i,
		      struct json_object *out)
{
	struct json_object *o = hcv_jo_obj(out, "last");
	const struct hcv_snap_node *n = hcv_snap_node(s, i->node);

	hcv_jo_str(o, "node", n ? n->i.name : i->node);
	hcv_jo_u64(o, "ended", (uint64_t)i->ended);
	hcv_jo_bool(o, "whole", i->whole);
	show_counters(i, o);
	show_stores(s, i, o);
}

void hcv_scrub_show(const struct hcv_snap *s, const struct hcv_snap_vol *v,
		    const struct hcv_k_vol *k, struct json_object *out)
{
	struct json_object *o = hcv_jo_obj(out, "scrub");
	struct hcv_scrubplan_vol plan = {
		.created = v->i.created, .last = v->scrub,
	};
	int64_t now = time(NULL);

	hcv_jo_u64(o, "days", s->cluster.scrub_days);
	if (s->cluster.scrub_days)
		hcv_jo_u64(o, "due", (uint64_t)
			   hcv_scrubplan_due(&plan, s->cluster.scrub_days,
					     now));
	if (k && k->scrub.known)
		show_module(s, k, o);
	if (v->scrub)
		show_last(s, v->scrub, o);
}

/* ------------------------------------------------------------ volume.scrub */

static int scrub_refuse(struct hcv_api_req *req, const struct hcv_snap *s,
			const struct hcv_snap_vol *v, const char *object)
{
	const char *owner = hcv_volcmd_owner(s, v);
	char hint[256];

	snprintf(hint, sizeof(hint), "agentctl volume %s %s",
		 *owner ? "show" : "attach", v->i.name);
	if (*owner)
		return hcv_error_set(&req->err, HCV_E_REFUSED, object, hint,
				     "it is attached on node %s: run the command there",
				     owner);
	return hcv_error_set(&req->err, HCV_E_REFUSED, object, hint,
			     "it is not attached: only the node that has it can compare its replicas");
}

static int scrub_do(struct hcv_api_req *req, const struct hcv_snap *s,
		    const struct hcv_snap_vol *v, struct hcv_k_vol *k,
		    const char *object)
{
	const char *action = hcv_api_str(req, "action", "");
	struct hcv_klink *kl = hcv_job_klink(req->job);
	bool start = !strcmp(action, "start");
	uint64_t kibps = hcv_api_uint(req, "kibps", s->cluster.scrub_kibps);
	bool here = kl && !hcv_k_vol_get(kl, v->uuid, k);
	int ret;

	if (!start && strcmp(action, "stop") && strcmp(action, "status"))
		return hcv_error_set(&req->err, HCV_E_USAGE, object, NULL,
				     "\"%.40s\" is none of start, stop, status",
				     action);
	if (kibps > HCV_SCRUB_KIBPS_MAX)
		return hcv_error_set(&req->err, HCV_E_USAGE, object, NULL,
				     "a limit is at most %u KiB/s, 0: none",
				     HCV_SCRUB_KIBPS_MAX);
	if (strcmp(action, "status")) {
		if (!here || k->diskless)
			return scrub_refuse(req, s, v, object);
		ret = hcv_k_vol_scrub(kl, v->uuid, k->epoch, start,
				      (uint32_t)kibps);
		if (ret)
			return hcv_error_kernel(&req->err, ret, kl, object);
		here = !hcv_k_vol_get(kl, v->uuid, k);
	}
	hcv_jo_str(req->result, "name", v->i.name);
	hcv_scrub_show(s, v, here ? k : NULL, req->result);
	return 0;
}

static int hcv_cmd_volume_scrub(struct hcv_api_req *req)
{
	const char *ref = hcv_api_str(req, "name", "");
	struct hcv_snap *s = hcv_snap_get(req->agent);
	const struct hcv_snap_vol *v = hcv_snap_vol_by_name(s, ref);
	struct hcv_k_vol *k = calloc(1, sizeof(*k));
	char object[128];
	int ret;

	snprintf(object, sizeof(object), "volume %.100s", ref);
	if (!v)
		v = hcv_snap_vol(s, ref);
	if (!k)
		ret = hcv_error_set(&req->err, HCV_E_INTERNAL, object, NULL,
				    "out of memory");
	else if (!v || !v->rev)
		ret = hcv_error_set(&req->err, HCV_E_NOTFOUND, object,
				    "agentctl volume list",
				    "there is none of this name");
	else
		ret = scrub_do(req, s, v, k, object);
	free(k);
	hcv_snap_put(s);
	return ret;
}

/* -------------------------------------------------------------- cluster.set */

struct set_key {
	const char *name;
	const char *values;
	size_t off;
	unsigned int max;
};

static const struct set_key set_keys[] = {
	{ "scrub_days", "days between scrubs, 0 (none) to 3650",
	  offsetof(struct hcv_cluster_info, scrub_days), HCV_SCRUB_DAYS_MAX },
	{ "scrub_kibps",
	  "KiB/s of a scrub from each replica, 0 (no limit) to 1073741824",
	  offsetof(struct hcv_cluster_info, scrub_kibps),
	  HCV_SCRUB_KIBPS_MAX },
};

#define SET_KEYS (sizeof(set_keys) / sizeof(set_keys[0]))

static int set_number(struct hcv_api_req *req, const struct set_key *k,
		      struct hcv_cluster_info *c)
{
	const char *value = hcv_api_str(req, "value", "");
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || *end || *value < '0' || *value > '9' || n > k->max)
		return hcv_error_set(&req->err, HCV_E_USAGE, "cluster", NULL,
				     "\"%.40s\" is no value for %s: %s", value,
				     k->name, k->values);
	*(unsigned int *)((char *)c + k->off) = (unsigned int)n;
	return 0;
}

static int set_write(struct hcv_api_req *req, const struct hcv_snap *s,
		     const struct hcv_cluster_info *c)
{
	char *value = hcv_model_cluster_encode(c);
	struct hcv_cmp cmp = { "cluster", s->cluster_rev };
	struct hcv_op op = { .key = "cluster", .value = value };
	enum hcv_meta_result res;

	if (!value)
		return hcv_error_set(&req->err, HCV_E_INTERNAL, "cluster",
				     NULL, "out of memory");
	HCV_CRASH_POINT("scrub-set");
	res = hcv_meta_txn(hcv_agent_meta(req->agent), &cmp, 1, &op, 1, NULL,
			   hcv_job_left(req->job));
	HCV_CRASH_POINT("scrub-set-done");
	free(value);
	hcv_state_kick(req->agent);
	if (res == HCV_META_CONFLICT)
		return hcv_error_set(&req->err, HCV_E_BUSY, "cluster",
				     "agentctl cluster status",
				     "another command changed it at the same time");
	return hcv_error_meta(&req->err, res, "cluster");
}

static int set_run(struct hcv_api_req *req, const struct hcv_snap *s)
{
	const char *key = hcv_api_str(req, "key", "");
	struct hcv_cluster_info c = s->cluster;
	size_t k;

	for (k = 0; k < SET_KEYS && strcmp(key, set_keys[k].name); k++)
		;
	if (k == SET_KEYS)
		return hcv_error_set(&req->err, HCV_E_USAGE, "cluster", NULL,
				     "\"%.40s\" cannot be set; what can: scrub_days, scrub_kibps",
				     key);
	if (set_number(req, &set_keys[k], &c) || set_write(req, s, &c))
		return -1;
	hcv_jo_str(req->result, "key", key);
	hcv_jo_str(req->result, "value", hcv_api_str(req, "value", ""));
	return 0;
}

static int hcv_cmd_cluster_set(struct hcv_api_req *req)
{
	struct hcv_snap *s = NULL;
	enum hcv_meta_result res;
	int ret;

	res = hcv_state_read(req->agent, &s, HCV_META_MS);
	if (res != HCV_META_OK)
		ret = hcv_error_meta(&req->err, res, "cluster");
	else if (!s->cluster_rev)
		ret = hcv_error_set(&req->err, HCV_E_IO, "cluster", NULL,
				    "its key cannot be understood");
	else
		ret = set_run(req, s);
	hcv_snap_put(s);
	return ret;
}

/* ---------------------------------------------------------------- the table */

static const struct hcv_api_arg args_scrub[] = {
	{ "action", HCV_ARG_STRING, true },
	{ "name", HCV_ARG_STRING, true },
	{ "kibps", HCV_ARG_UINT, false },
	{ NULL }
};

static const struct hcv_api_arg args_set[] = {
	{ "key", HCV_ARG_STRING, true },
	{ "value", HCV_ARG_STRING, true },
	{ NULL }
};

static const struct hcv_api_cmd scrub_cmds[] = {
	{ "volume.scrub", hcv_cmd_volume_scrub, 10000, HCV_API_SNAPSHOT,
	  args_scrub },
	{ "cluster.set", hcv_cmd_cluster_set, 15000, 0, args_set },
};

int hcv_cmd_scrub_init(struct hcv_agent *a)
{
	hcv_api_register(a, scrub_cmds,
			 sizeof(scrub_cmds) / sizeof(scrub_cmds[0]));
	return 0;
}
