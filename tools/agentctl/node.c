// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentctl node ...
 */
#include "agentctl.h"

#include <stdio.h>

static void hcv_node_show_list(struct json_object *r)
{
	struct json_object *array = hcv_out_get(r, "nodes");
	struct hcv_table t;
	size_t i;

	hcv_table_init(&t, "NODE|STATE|LIVE|ADDRESS|TRANSPORT|RACK|>STORES|>VOLUMES|>USED|>SIZE");
	for (i = 0; array && i < json_object_array_length(array); i++) {
		struct json_object *n = json_object_array_get_idx(array, i);

		hcv_table_row(&t, hcv_out_str(n, "name"),
			      hcv_out_str(n, "state"),
			      hcv_out_bool(n, "live") ? "yes" : "NO",
			      hcv_out_str(n, "addr"),
			      hcv_out_str(n, "transport"),
			      hcv_out_str(n, "rack"),
			      hcv_out_fmt("%llu", (unsigned long long)
					  hcv_out_u64(n, "stores")),
			      hcv_out_fmt("%llu", (unsigned long long)
					  hcv_out_u64(n, "volumes_owned")),
			      hcv_out_size(hcv_out_u64(n, "used_bytes")),
			      hcv_out_size(hcv_out_u64(n, "bytes")));
	}
	hcv_table_print(&t);
}

static void hcv_node_show_contents(struct json_object *r)
{
	struct json_object *stores = hcv_out_get(r, "store_list");
	struct json_object *owned = hcv_out_get(r, "owned");
	struct hcv_table t;
	size_t i;

	for (i = 0; owned && i < json_object_array_length(owned); i++)
		hcv_out_field(i ? "" : "Attached", "%s",
			      json_object_get_string(json_object_array_get_idx(owned, i)));
	if (!stores || !json_object_array_length(stores))
		return;
	putchar('\n');
	hcv_table_init(&t, "STORE|DEVICE|LIVE|>EXTENTS|>SIZE");
	for (i = 0; i < json_object_array_length(stores); i++) {
		struct json_object *s = json_object_array_get_idx(stores, i);

		hcv_table_row(&t, hcv_out_str(s, "name"),
			      hcv_out_str(s, "path"),
			      hcv_out_bool(s, "live") ? "yes" : "NO",
			      hcv_out_fmt("%llu", (unsigned long long)
					  hcv_out_u64(s, "extents")),
			      hcv_out_size(hcv_out_u64(s, "bytes")));
	}
	hcv_table_print(&t);
}

static void hcv_node_show(struct json_object *r)
{
	hcv_out_field("Node", "%s (%s)", hcv_out_str(r, "name"),
		      hcv_out_str(r, "uuid"));
	hcv_out_field("State", "%s, %s", hcv_out_str(r, "state"),
		      hcv_out_bool(r, "live") ? "live" : "NOT LIVE");
	hcv_out_field("Address", "%s:%llu (%s)", hcv_out_str(r, "addr"),
		      (unsigned long long)hcv_out_u64(r, "port"),
		      hcv_out_str(r, "transport"));
	if (*hcv_out_str(r, "rack"))
		hcv_out_field("Rack", "%s", hcv_out_str(r, "rack"));
	hcv_out_field("Agent", "%s", hcv_out_str(r, "agent_version"));
	hcv_out_field("Capacity", "%s of %s used",
		      hcv_out_size(hcv_out_u64(r, "used_bytes")),
		      hcv_out_size(hcv_out_u64(r, "bytes")));
	hcv_node_show_contents(r);
}

static void hcv_node_show_drain(struct json_object *r)
{
	printf("node %s is %s: %s\n", hcv_out_str(r, "name"),
	       hcv_out_str(r, "state"), hcv_out_str(r, "text"));
	if (hcv_out_u64(r, "extents_left"))
		printf("%llu extents of volumes are still on its stores\n",
		       (unsigned long long)hcv_out_u64(r, "extents_left"));
	hcv_node_show_contents(r);
}

static const struct hcv_ctl_opt hcv_node_drain_opts[] = {
	{ "--off", NULL, "off", HCV_CTL_FLAG, NULL,
	  "allow new extents again, and move nothing more away" },
	{ NULL }
};

const struct hcv_ctl_cmd hcv_ctl_node[] = {
	{
		.noun = "node", .verb = "list", .api = "node.list",
		.summary = "List the nodes of the cluster",
		.timeout_ms = 10000, .show = hcv_node_show_list,
	}, {
		.noun = "node", .verb = "show", .api = "node.show",
		.summary = "Show a node, its stores and volumes",
		.details = "Without NODE: the node of this agent.",
		.timeout_ms = 10000, .pos = {
			{ "NODE", "name", HCV_CTL_STRING, true },
		},
		.show = hcv_node_show,
	}, {
		.noun = "node", .verb = "drain", .api = "node.drain",
		.summary = "Empty the stores of a node",
		.details =
	"New extents go elsewhere, and what volumes that are attached have there is moved\n"
	"away, in the background: see agentctl recovery jobs.  Shows what is still there.",
		.timeout_ms = 10000, .pos = {
			{ "NODE", "name", HCV_CTL_STRING, false },
		},
		.opts = hcv_node_drain_opts, .show = hcv_node_show_drain,
	},
	{ 0 }
};
