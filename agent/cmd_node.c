// SPDX-License-Identifier: GPL-2.0-only
/*
 * node.list, node.show, node.drain.
 *
 * Draining a node keeps new extents away from it, has recovery jobs move what is
 * there (planner.c), and says what is still to go.
 */
#include "agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/hcivol_format.h>

#include "jout.h"
#include "place.h"

static void hcv_node_json(const struct hcv_snap *s,
			  const struct hcv_snap_node *n, struct json_object *o)
{
	uint64_t total = 0, used = 0, stores = 0, owned = 0;
	size_t i;

	for (i = 0; i < s->nr_stores; i++) {
		if (strcmp(s->store[i].i.node, n->i.uuid))
			continue;
		stores++;
		total += s->store[i].i.nr_extents;
		used += s->store[i].i.used_extents;
	}
	for (i = 0; i < s->nr_vols; i++)
		owned += s->vol[i].rec_rev && !s->vol[i].rec.care.on &&
			!strcmp(s->vol[i].rec.owner, n->i.uuid);
	hcv_jo_str(o, "name", n->i.name);
	hcv_jo_str(o, "uuid", n->i.uuid);
	hcv_jo_str(o, "addr", n->i.addr);
	hcv_jo_u64(o, "port", n->i.port);
	hcv_jo_str(o, "transport", n->i.transport);
	hcv_jo_str(o, "rack", n->i.rack);
	hcv_jo_str(o, "state", n->i.draining ? "draining" : "ready");
	hcv_jo_bool(o, "live", n->i.live);
	hcv_jo_str(o, "agent_version", n->agent_version);
	hcv_jo_u64(o, "stores", stores);
	hcv_jo_u64(o, "bytes", total * HCV_EXTENT_SIZE);
	hcv_jo_u64(o, "used_bytes", used * HCV_EXTENT_SIZE);
	hcv_jo_u64(o, "volumes_owned", owned);
}

static int hcv_cmd_node_list(struct hcv_api_req *req)
{
	struct json_object *array = hcv_jo_array(req->result, "nodes");
	struct hcv_snap *s = hcv_snap_get(req->agent);
	size_t i;

	for (i = 0; i < s->nr_nodes; i++)
		hcv_node_json(s, &s->node[i], hcv_jo_push(array));
	hcv_snap_put(s);
	return 0;
}

/* By name or UUID; without the argument the node of this agent. */
static const struct hcv_snap_node *hcv_node_arg(struct hcv_api_req *req,
						const struct hcv_snap *s)
{
	const char *ref = hcv_api_str(req, "name",
				      hcv_agent_id(req->agent)->node);
	const struct hcv_snap_node *n = hcv_snap_node(s, ref);
	char object[128];

	if (!n)
		n = hcv_snap_node_by_name(s, ref);
	if (n)
		return n;
	snprintf(object, sizeof(object), "node %.60s", ref);
	hcv_error_set(&req->err, HCV_E_NOTFOUND, object, "agentctl node list",
		      "the cluster has no node of this name");
	return NULL;
}

/* What a node still has: its stores' extents by volume, and owned volumes. */
static void hcv_node_contents(const struct hcv_snap *s,
			      const struct hcv_snap_node *n,
			      struct json_object *out)
{
	struct json_object *stores = hcv_jo_array(out, "store_list");
	struct json_object *owned = hcv_jo_array(out, "owned");
	uint64_t left = 0;
	struct json_object *o;
	size_t i;

	for (i = 0; i < s->nr_stores; i++) {
		const struct hcv_store_info *st = &s->store[i].i;
		uint32_t rows;

		if (strcmp(st->node, n->i.uuid))
			continue;
		rows = hcv_place_rows_on(s, st->uuid);
		left += rows;
		o = hcv_jo_push(stores);
		hcv_jo_str(o, "name", st->name);
		hcv_jo_str(o, "uuid", st->uuid);
		hcv_jo_str(o, "path", st->path);
		hcv_jo_bool(o, "live", st->live);
		hcv_jo_u64(o, "extents", rows);
		hcv_jo_u64(o, "bytes", (uint64_t)st->nr_extents *
			   HCV_EXTENT_SIZE);
	}
	for (i = 0; i < s->nr_vols; i++)
		if (s->vol[i].rec_rev && !s->vol[i].rec.care.on &&
		    !strcmp(s->vol[i].rec.owner, n->i.uuid))
			hcv_jo_push_str(owned, s->vol[i].i.name);
	hcv_jo_u64(out, "extents_left", left);
}

static int hcv_cmd_node_show(struct hcv_api_req *req)
{
	struct hcv_snap *s = hcv_snap_get(req->agent);
	const struct hcv_snap_node *n = hcv_node_arg(req, s);

	if (n) {
		hcv_node_json(s, n, req->result);
		hcv_node_contents(s, n, req->result);
	}
	hcv_snap_put(s);
	return n ? 0 : -1;
}

static int hcv_node_set_draining(struct hcv_api_req *req,
				 const struct hcv_snap_node *n, bool draining)
{
	struct hcv_node_info i = n->i;
	enum hcv_meta_result res;
	struct hcv_cmp cmp;
	struct hcv_op op;
	char key[64];
	char *value;

	if (i.draining == draining)
		return 0;
	i.draining = draining;
	snprintf(key, sizeof(key), "node/%s", i.uuid);
	value = hcv_model_node_encode(&i);
	if (!value)
		return hcv_error_set(&req->err, HCV_E_INTERNAL, i.name, NULL,
				     "out of memory");
	cmp = (struct hcv_cmp){ .key = key, .rev = n->rev };
	op = (struct hcv_op){ .key = key, .value = value };
	res = hcv_meta_txn(hcv_agent_meta(req->agent), &cmp, 1, &op, 1, NULL,
			   hcv_job_left(req->job));
	free(value);
	if (res != HCV_META_OK)
		return hcv_error_meta(&req->err, res, i.name);
	hcv_event_emit(req->agent, HCV_SEV_INFO, "node", NULL, "%s %s", i.name,
		       draining ? "is draining: it gets no new extents, what it has moves away" :
		       "is ready for new extents again");
	hcv_state_kick(req->agent);
	return 0;
}

static int hcv_cmd_node_drain(struct hcv_api_req *req)
{
	bool draining = !hcv_api_bool(req, "off", false);
	const struct hcv_snap_node *n;
	enum hcv_meta_result res;
	struct hcv_snap *s;
	int ret = -1;

	res = hcv_state_read(req->agent, &s, HCV_META_MS);
	if (res != HCV_META_OK)
		return hcv_error_meta(&req->err, res, "metadata store");
	n = hcv_node_arg(req, s);
	if (n)
		ret = hcv_node_set_draining(req, n, draining);
	if (!ret) {
		hcv_jo_str(req->result, "name", n->i.name);
		hcv_jo_str(req->result, "state",
			   draining ? "draining" : "ready");
		hcv_node_contents(s, n, req->result);
		hcv_jo_str(req->result, "text",
			   draining ? "new extents go elsewhere, what is there moves away" :
				      "new extents may be placed here again");
	}
	hcv_snap_put(s);
	return ret;
}

static const struct hcv_api_arg hcv_cmd_node_args[] = {
	{ "name", HCV_ARG_STRING, false },
	{ NULL }
};

static const struct hcv_api_arg hcv_cmd_drain_args[] = {
	{ "name", HCV_ARG_STRING, true },
	{ "off", HCV_ARG_BOOL, false },
	{ NULL }
};

static const struct hcv_api_cmd hcv_cmd_node[] = {
	{ "node.list", hcv_cmd_node_list, 5000, HCV_API_SNAPSHOT, NULL },
	{ "node.show", hcv_cmd_node_show, 5000, HCV_API_SNAPSHOT,
	  hcv_cmd_node_args },
	{ "node.drain", hcv_cmd_node_drain, 10000, HCV_API_SNAPSHOT,
	  hcv_cmd_drain_args },
};

int hcv_cmd_node_init(struct hcv_agent *a)
{
	hcv_api_register(a, hcv_cmd_node,
			 sizeof(hcv_cmd_node) / sizeof(hcv_cmd_node[0]));
	return 0;
}
