// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentctl recovery ...
 */
#include "agentctl.h"

#include <stdio.h>
#include <string.h>

static const char *hcv_recovery_rate(struct json_object *o, const char *name)
{
	return hcv_out_has(o, name) ?
	       hcv_out_fmt("%s/s", hcv_out_size(hcv_out_u64(o, name) << 10)) :
	       "";
}

static const char *hcv_recovery_done(struct json_object *o)
{
	uint64_t total = hcv_out_u64(o, "sync_total");

	return total ? hcv_out_fmt("%.0f %%", hcv_out_u64(o, "sync_done") *
				   100.0 / total) : "";
}

static void hcv_recovery_show_replicas(struct json_object *array)
{
	struct hcv_table t;
	size_t i;

	if (!array || !json_object_array_length(array)) {
		hcv_out_field("Replicas", "all up to date");
		return;
	}
	putchar('\n');
	hcv_table_init(&t, "VOLUME|STORE|STATE|OWNER|>DONE|>COPIED|>RATE|>LIMIT");
	for (i = 0; i < json_object_array_length(array); i++) {
		struct json_object *o = json_object_array_get_idx(array, i);

		hcv_table_row(&t, hcv_out_str(o, "volume"),
			      *hcv_out_str(o, "store_name") ?
			      hcv_out_str(o, "store_name") :
			      hcv_out_str(o, "store"),
			      hcv_out_str(o, "state"), hcv_out_str(o, "owner"),
			      hcv_recovery_done(o),
			      hcv_out_has(o, "sync_copied") ?
			      hcv_out_size(hcv_out_u64(o, "sync_copied")) : "",
			      hcv_recovery_rate(o, "rate_kibps"),
			      hcv_out_has(o, "limit_kibps") &&
			      !hcv_out_u64(o, "limit_kibps") ? "paused" :
			      hcv_recovery_rate(o, "limit_kibps"));
	}
	hcv_table_print(&t);
}

static void hcv_recovery_show_settings(struct json_object *array)
{
	struct hcv_table t;
	size_t i;

	if (!array)
		return;
	putchar('\n');
	hcv_table_init(&t, "SETTING|>VALUE|FROM");
	for (i = 0; i < json_object_array_length(array); i++) {
		struct json_object *o = json_object_array_get_idx(array, i);

		hcv_table_row(&t, hcv_out_str(o, "key"),
			      hcv_out_str(o, "text"), hcv_out_str(o, "from"));
	}
	hcv_table_print(&t);
}

static void hcv_recovery_show_paused(struct json_object *r)
{
	struct json_object *nodes = hcv_out_get(r, "paused_nodes");
	size_t i;

	if (hcv_out_bool(r, "paused_in_cluster"))
		hcv_out_field("PAUSED", "in the cluster; agentctl recovery resume");
	for (i = 0; nodes && i < json_object_array_length(nodes); i++) {
		struct json_object *n = json_object_array_get_idx(nodes, i);

		hcv_out_field("PAUSED", "on %s; agentctl recovery resume --node %s",
			      json_object_get_string(n),
			      json_object_get_string(n));
	}
}

static const char *hcv_recovery_progress(struct json_object *job)
{
	uint64_t all = hcv_out_u64(job, "total_bytes");
	uint64_t done = hcv_out_u64(job, "done_bytes");

	/* Known on the node that has the volume. */
	if (!all)
		return "-";
	return hcv_out_fmt("%llu %%", (unsigned long long)(done * 100 / all));
}

/* What is begun, and what is to be done and cannot be now. */
static void hcv_recovery_show_plan(struct json_object *r)
{
	struct json_object *jobs = hcv_out_get(r, "jobs");
	struct json_object *waits = hcv_out_get(r, "waiting"), *o;
	struct hcv_table t;
	size_t i;

	if (jobs && json_object_array_length(jobs))
		hcv_table_init(&t, "VOLUME|KIND|FROM|TO|STATE|>DONE|WHY");
	for (i = 0; jobs && i < json_object_array_length(jobs); i++) {
		o = json_object_array_get_idx(jobs, i);
		hcv_table_row(&t, hcv_out_str(o, "volume"),
			      hcv_out_str(o, "kind"), hcv_out_str(o, "from"),
			      *hcv_out_str(o, "to") ? hcv_out_str(o, "to") :
			      "-", hcv_out_str(o, "state"),
			      hcv_recovery_progress(o),
			      *hcv_out_str(o, "waits") ?
			      hcv_out_fmt("waits: %s", hcv_out_str(o, "waits")) :
			      hcv_out_str(o, "why"));
	}
	if (jobs && json_object_array_length(jobs))
		hcv_table_print(&t);
	if (!waits || !json_object_array_length(waits))
		return;
	putchar('\n');
	hcv_table_init(&t, "WAITING|KIND|FROM|FOR");
	for (i = 0; i < json_object_array_length(waits); i++) {
		o = json_object_array_get_idx(waits, i);
		hcv_table_row(&t, hcv_out_str(o, "volume"),
			      hcv_out_str(o, "kind"), hcv_out_str(o, "from"),
			      hcv_out_str(o, "why"));
	}
	hcv_table_print(&t);
}

static void hcv_recovery_show_jobs(struct json_object *r)
{
	struct json_object *jobs = hcv_out_get(r, "jobs");

	if (!*hcv_out_str(r, "leader"))
		puts("no node is the leader now: nothing is begun");
	if (!jobs || !json_object_array_length(jobs))
		puts("no jobs");
	hcv_recovery_show_plan(r);
}

static void hcv_recovery_show_status_plan(struct json_object *r)
{
	struct json_object *jobs = hcv_out_get(r, "jobs");
	struct json_object *waits = hcv_out_get(r, "waiting");
	size_t nr = jobs ? json_object_array_length(jobs) : 0;

	if (!nr && !(waits && json_object_array_length(waits)))
		return;
	if (nr)
		putchar('\n');
	hcv_recovery_show_plan(r);
}

static void hcv_recovery_show_status(struct json_object *r)
{
	struct json_object *hw = hcv_out_get(r, "hardware");

	hcv_out_field("Node", "%s", hcv_out_str(r, "node"));
	hcv_recovery_show_paused(r);
	if (*hcv_out_str(r, "unknown_because") && hcv_out_bool(r, "known"))
		hcv_out_field("Settings", "not those of now: %s",
			      hcv_out_str(r, "unknown_because"));
	else if (*hcv_out_str(r, "unknown_because"))
		hcv_out_field("Limits", "left as they are: %s",
			      hcv_out_str(r, "unknown_because"));
	if (hcv_out_bool(r, "known")) {
		hcv_out_field("Hardware", "%s (%s: %s)",
			      hcv_out_str(hw, "found"), hcv_out_str(hw, "row"),
			      hcv_out_str(hw, "text"));
		hcv_out_field("Limit", "%s, mode %s",
			      hcv_out_bool(r, "paused") ? "paused" :
			      hcv_recovery_rate(r, "limit_kibps"),
			      hcv_out_str(r, "mode"));
		hcv_out_field("Because", "%s", hcv_out_str(r, "reason"));
		hcv_out_field("Recovery", "%s, %llu under way%s",
			      hcv_recovery_rate(r, "recovery_kibps"),
			      (unsigned long long)hcv_out_u64(r, "resyncs"),
			      hcv_out_bool(r, "only_moves") ?
			      ": replicas that move" : "");
		hcv_out_field("Foreground", "%llu IOPS, %s",
			      (unsigned long long)
			      hcv_out_u64(r, "foreground_iops"),
			      hcv_recovery_rate(r, "foreground_kibps"));
	}
	hcv_recovery_show_replicas(hcv_out_get(r, "replicas"));
	hcv_recovery_show_status_plan(r);
	hcv_recovery_show_settings(hcv_out_get(r, "settings"));
}

static void hcv_recovery_show_pause(struct json_object *r)
{
	const char *node = hcv_out_str(r, "node");
	bool paused = hcv_out_bool(r, "paused");

	printf("recovery %s%s%s%s\n",
	       hcv_out_bool(r, "changed") ? "" : "was ",
	       paused ? "paused" : hcv_out_bool(r, "changed") ? "goes on" :
	       "not paused", *node ? " on " : " in the cluster", node);
	if (!paused && *node && hcv_out_bool(r, "paused_in_cluster"))
		puts("it is still paused in the cluster: agentctl recovery resume");
}

static const struct hcv_ctl_opt hcv_recovery_opts[] = {
	{ "--node", "NODE", "node", HCV_CTL_STRING, NULL,
	  "on one node only (the whole cluster)" },
	{ NULL }
};

const struct hcv_ctl_cmd hcv_ctl_recovery[] = {
	{
		.noun = "recovery", .verb = "status", .api = "recovery.status",
		.summary = "Show the limit in force and why, resyncs and settings",
		.details =
	"Replicas that are out of date are those of the whole cluster; limits, loads and\n"
	"progress are those of the node that is asked.",
		.timeout_ms = 10000, .show = hcv_recovery_show_status,
	}, {
		.noun = "recovery", .verb = "pause", .api = "recovery.pause",
		.summary = "Copy nothing until it is resumed",
		.details =
	"What was copied stays; replicas that are being brought up to date still take all\n"
	"writes, and those to which nothing has to be copied join.",
		.timeout_ms = 30000, .opts = hcv_recovery_opts,
		.show = hcv_recovery_show_pause,
	}, {
		.noun = "recovery", .verb = "resume", .api = "recovery.resume",
		.summary = "Go on where it was paused",
		.timeout_ms = 30000, .opts = hcv_recovery_opts,
		.show = hcv_recovery_show_pause,
	}, {
		.noun = "recovery", .verb = "set", .api = "recovery.set",
		.summary = "Change how fast replicas are recovered",
		.timeout_ms = 30000, .pos = {
			{ "SETTING=VALUE", "key", HCV_CTL_KEYVAL, false },
		},
		.opts = hcv_recovery_opts,
		.details =
	"Settings: mode (auto, static, latency); limit (mode static, 1M to 500M a second);\n"
	"iops, bandwidth (foreground load at which mode auto takes the lowest limit);\n"
	"recovery-min, recovery-max; migration-min, migration-max (while all that is\n"
	"copied are moves); latency-factor (1.2 to 10), latency-floor.\n"
	"The value \"default\" takes a setting back.",
	}, {
		.noun = "recovery", .verb = "jobs", .api = "recovery.jobs",
		.summary = "List replicas that are being moved or made anew",
		.details =
	"WAITING lists what is to be done and cannot be done now, and why.  How much of a\n"
	"copy is done is known on the node that has the volume.",
		.timeout_ms = 10000, .show = hcv_recovery_show_jobs,
	},
	{ 0 }
};
