// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentctl cluster ...
 */
#include "agentctl.h"

#include <stdio.h>
#include <string.h>

static const struct hcv_ctl_opt hcv_cluster_init_opts[] = {
	{ "--metadata", "URL,...", "metadata", HCV_CTL_LIST, NULL,
	  "etcd members; without it this node keeps the metadata itself" },
	{ "--name", "NAME", "name", HCV_CTL_STRING, NULL,
	  "name of the cluster (default)" },
	{ "--node-name", "NAME", "node_name", HCV_CTL_STRING, NULL,
	  "name of this node (its host name)" },
	{ "--addr", "ADDRESS", "addr", HCV_CTL_STRING, NULL,
	  "where other nodes reach this node's stores" },
	{ "--port", "PORT", "port", HCV_CTL_UINT, NULL,
	  "and the port (4420)" },
	{ "--rack", "RACK", "rack", HCV_CTL_STRING, NULL,
	  "failure domain beyond the node" },
	{ "--transport", "NAME", "transport", HCV_CTL_STRING, "tcp|rdma",
	  "between nodes" },
	{ NULL }
};

static void hcv_cluster_show_enter(struct json_object *r)
{
	printf("node %s belongs to cluster %s\n", hcv_out_str(r, "node_name"),
	       hcv_out_str(r, "cluster_name"));
}

static void hcv_cluster_show_nodes(struct json_object *array)
{
	struct hcv_table t;
	size_t i;

	hcv_table_init(&t, "NODE|STATE|LIVE|ADDRESS|RACK|>STORES|>USED|>SIZE");
	for (i = 0; i < json_object_array_length(array); i++) {
		struct json_object *n = json_object_array_get_idx(array, i);

		hcv_table_row(&t, hcv_out_str(n, "name"),
			      hcv_out_str(n, "state"),
			      hcv_out_bool(n, "live") ? "yes" : "NO",
			      hcv_out_str(n, "addr"), hcv_out_str(n, "rack"),
			      hcv_out_fmt("%llu", (unsigned long long)
					  hcv_out_u64(n, "stores")),
			      hcv_out_size(hcv_out_u64(n, "used_bytes")),
			      hcv_out_size(hcv_out_u64(n, "bytes")));
	}
	hcv_table_print(&t);
}

static void hcv_cluster_show_problems(struct json_object *array)
{
	size_t i;

	if (!array || !json_object_array_length(array)) {
		puts("\nNo problems.");
		return;
	}
	puts("\nProblems:");
	for (i = 0; i < json_object_array_length(array); i++) {
		struct json_object *p = json_object_array_get_idx(array, i);

		printf("  %s: %s\n", hcv_out_str(p, "object"),
		       hcv_out_str(p, "text"));
		if (*hcv_out_str(p, "hint"))
			printf("    see: %s\n", hcv_out_str(p, "hint"));
	}
}

static void hcv_cluster_show_volumes(struct json_object *v)
{
	static const char * const health[] = {
		"ok", "degraded", "down", "new", "unreadable"
	};
	char text[160];
	size_t i, len;

	len = snprintf(text, sizeof(text), "%llu (%llu attached)",
		       (unsigned long long)hcv_out_u64(v, "count"),
		       (unsigned long long)hcv_out_u64(v, "attached"));
	for (i = 0; i < sizeof(health) / sizeof(health[0]); i++)
		if (hcv_out_u64(v, health[i]))
			len += snprintf(text + len, sizeof(text) - len,
					", %llu %s", (unsigned long long)
					hcv_out_u64(v, health[i]), health[i]);
	hcv_out_field("Volumes", "%s", text);
}

static void hcv_cluster_show_status(struct json_object *r)
{
	struct json_object *c = hcv_out_get(r, "cluster");
	struct json_object *m = hcv_out_get(r, "metadata");
	struct json_object *k = hcv_out_get(r, "module");
	struct json_object *s = hcv_out_get(r, "stores");

	if (!hcv_out_bool(r, "member")) {
		puts("This node belongs to no cluster yet.\n"
		     "  see: agentctl cluster init --help, agentctl cluster join --help");
		return;
	}
	hcv_out_field("Cluster", "%s (%s)", hcv_out_str(c, "name"),
		      hcv_out_str(c, "uuid"));
	hcv_out_field("This node", "%s",
		      hcv_out_str(hcv_out_get(r, "node"), "name"));
	if (hcv_out_bool(m, "reachable"))
		hcv_out_field("Metadata", "%s, reachable",
			      hcv_out_str(m, "kind"));
	else
		hcv_out_field("Metadata", "%s, NOT REACHABLE for %s: %s",
			      hcv_out_str(m, "kind"),
			      hcv_out_ms(hcv_out_u64(m, "since_ms")),
			      hcv_out_str(m, "why"));
	if (hcv_out_bool(k, "ok"))
		hcv_out_field("Module", "%s", hcv_out_str(k, "version"));
	else
		hcv_out_field("Module", "NOT IN USE: %s",
			      hcv_out_str(k, "why"));
	if (hcv_out_has(r, "failure_domain"))
		hcv_out_field("Domain", "%s: %s",
			      hcv_out_str(r, "failure_domain"),
			      hcv_out_str(r, "failure_domain_text"));
	if (s)
		hcv_out_field("Capacity", "%s of %s used on %llu stores",
			      hcv_out_size(hcv_out_u64(s, "used_bytes")),
			      hcv_out_size(hcv_out_u64(s, "bytes")),
			      (unsigned long long)hcv_out_u64(s, "count"));
	if (hcv_out_has(r, "volumes"))
		hcv_cluster_show_volumes(hcv_out_get(r, "volumes"));
	if (hcv_out_has(r, "nodes")) {
		putchar('\n');
		hcv_cluster_show_nodes(hcv_out_get(r, "nodes"));
	}
	hcv_cluster_show_problems(hcv_out_get(r, "problems"));
}

const struct hcv_ctl_cmd hcv_ctl_cluster[] = {
	{
		.noun = "cluster", .verb = "init", .api = "cluster.init",
		.summary = "Make a new cluster with this node as its first",
		.details =
	"Without --metadata the node stands alone and keeps the metadata in a file.\n"
	"With it, --addr is needed, and the name must not be in use there.",
		.timeout_ms = 20000, .opts = hcv_cluster_init_opts,
		.show = hcv_cluster_show_enter,
	}, {
		.noun = "cluster", .verb = "join", .api = "cluster.join",
		.summary = "Make this node a member of a cluster",
		.details = "--metadata and --addr are needed; --name as given to cluster init.",
		.timeout_ms = 20000, .opts = hcv_cluster_init_opts,
		.show = hcv_cluster_show_enter,
	}, {
		.noun = "cluster", .verb = "status", .api = "cluster.status",
		.summary = "Show nodes, capacity, volumes, and what is wrong",
		.timeout_ms = 10000, .show = hcv_cluster_show_status,
	}, {
		.noun = "cluster", .verb = "set", .api = "cluster.set",
		.summary = "Change a setting of the cluster",
		.details =
	"Settings: scrub-days (days between scrubs of a volume, 0: none by themselves;\n"
	"28), scrub-kibps (KiB/s of a scrub from each replica, 0: no limit; 10240).",
		.timeout_ms = 20000, .pos = {
			{ "NAME=VALUE", "key", HCV_CTL_KEYVAL, false },
		},
	},
	{ 0 }
};
