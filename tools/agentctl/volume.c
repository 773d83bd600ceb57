// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentctl volume ...
 */
#include "agentctl.h"

#include <stdio.h>
#include <string.h>

static void hcv_volume_show_list(struct json_object *r)
{
	struct json_object *array = hcv_out_get(r, "volumes");
	struct hcv_table t;
	size_t i;

	hcv_table_init(&t, "VOLUME|>SIZE|>REPLICAS|>STRIPE|HEALTH|OWNER|DEVICE");
	for (i = 0; array && i < json_object_array_length(array); i++) {
		struct json_object *v = json_object_array_get_idx(array, i);

		hcv_table_row(&t, hcv_out_str(v, "name"),
			      hcv_out_size(hcv_out_u64(v, "size")),
			      hcv_out_fmt("%llu", (unsigned long long)
					  hcv_out_u64(v, "replicas")),
			      hcv_out_fmt("%llu", (unsigned long long)
					  hcv_out_u64(v, "stripe")),
			      strcmp(hcv_out_str(v, "state"), "deleting") ?
			      hcv_out_str(v, "health") : "deleting",
			      *hcv_out_str(v, "caretaker") ?
			      hcv_out_fmt("none (caretaker: %s)",
					  hcv_out_str(v, "caretaker")) :
			      hcv_out_str(v, "owner"),
			      hcv_out_str(v, "device"));
	}
	hcv_table_print(&t);
}

/* "37 %" of what is to be looked at or copied, while it goes on. */
static const char *hcv_volume_sync(struct json_object *s)
{
	uint64_t total = hcv_out_u64(s, "sync_total");
	uint64_t done = hcv_out_u64(s, "sync_done");

	if (!total || (strcmp(hcv_out_str(s, "link"), "syncing") &&
		       strcmp(hcv_out_str(s, "link"), "joining")))
		return "";
	return hcv_out_fmt("%.0f %% (%s copied)", done * 100.0 / total,
			   hcv_out_size(hcv_out_u64(s, "sync_copied")));
}

static const char *hcv_volume_num(struct json_object *o, const char *name)
{
	return hcv_out_has(o, name) ?
	       hcv_out_fmt("%llu", (unsigned long long)hcv_out_u64(o, name)) :
	       "";
}

static void hcv_volume_show_stores(struct json_object *array)
{
	struct hcv_table t;
	size_t i;

	if (!array || !json_object_array_length(array))
		return;
	putchar('\n');
	hcv_table_init(&t, "STORE|NODE|LIVE|STATE|LINK|>READS|>P99 us|>WRITES|>P99 us|>ERRORS|SYNC|ERROR");
	for (i = 0; i < json_object_array_length(array); i++) {
		struct json_object *s = json_object_array_get_idx(array, i);
		struct json_object *lat = hcv_out_get(s, "latency");

		hcv_table_row(&t, *hcv_out_str(s, "store_name") ?
			      hcv_out_str(s, "store_name") :
			      hcv_out_str(s, "store"),
			      hcv_out_str(s, "node"),
			      hcv_out_bool(s, "live") ? "yes" : "NO",
			      hcv_out_str(s, "state"), hcv_out_str(s, "link"),
			      hcv_volume_num(s, "read_ios"),
			      hcv_volume_num(hcv_out_get(lat, "read"),
					     "p99_us"),
			      hcv_volume_num(s, "write_ios"),
			      hcv_volume_num(hcv_out_get(lat, "write"),
					     "p99_us"),
			      hcv_volume_num(s, "errors"),
			      hcv_volume_sync(s), hcv_out_str(s, "error"));
	}
	hcv_table_print(&t);
}

/* What I/O in the module waits for, in words. */
static const char *hcv_volume_wait_text(const char *wait)
{
	static const struct {
		const char *wait, *text;
	} map[] = {
		{ "confirm", "the agent to take a failed replica out of the record" },
		{ "extent", "the agent to place another extent" },
		{ "replica", "a usable replica" },
		{ "lease", "its lease to be renewed" },
		{ "suspend", "the agent to resume it" },
		{ "busy", "an earlier write of the same block" },
		{ "flush", "a flush round" },
		{ "io", "a disk" },
		{ "memory", "memory" },
		{ "log", "an entry of the activity log" },
		{ "handover", "the volume to be handed over" },
	};
	size_t i;

	for (i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (!strcmp(map[i].wait, wait))
			return map[i].text;
	return wait;
}

/* I/O of ours that a device has and does not end. */
static void hcv_volume_show_stalls(struct json_object *r)
{
	struct json_object *array = hcv_out_get(r, "replica_list"), *s;
	size_t i;

	for (i = 0; array && i < json_object_array_length(array); i++) {
		s = json_object_array_get_idx(array, i);
		if (!hcv_out_u64(s, "stall_ms"))
			continue;
		hcv_out_field("I/O waits", "for the disk of %s: %llu, none came back for %s",
			      hcv_out_str(s, "store_name"),
			      (unsigned long long)hcv_out_u64(s, "inflight"),
			      hcv_out_ms(hcv_out_u64(s, "stall_ms")));
	}
}

static void hcv_volume_show_wait(struct json_object *r, struct json_object *m)
{
	struct json_object *array = hcv_out_get(m, "waits"), *w;
	size_t i;

	for (i = 0; array && i < json_object_array_length(array); i++) {
		w = json_object_array_get_idx(array, i);
		hcv_out_field("I/O waits", "for %s: %llu, the longest for %s",
			      hcv_volume_wait_text(hcv_out_str(w, "wait")),
			      (unsigned long long)hcv_out_u64(w, "count"),
			      hcv_out_ms(hcv_out_u64(w, "ms")));
	}
	hcv_volume_show_stalls(r);
	if (*hcv_out_str(r, "waits_for"))
		hcv_out_field("Agent waits", "for %s, since %s",
			      hcv_out_str(r, "waits_for"),
			      hcv_out_ms(hcv_out_u64(r, "waits_ms")));
	if (*hcv_out_str(r, "last_failure"))
		hcv_out_field("Last failure", "%s",
			      hcv_out_str(r, "last_failure"));
}

static void hcv_volume_show_module(struct json_object *m)
{
	if (!m)
		return;
	hcv_out_field("Device", "%s, %s%s, %llu openers",
		      *hcv_out_str(m, "device") ? hcv_out_str(m, "device") :
						  "none",
		      hcv_out_str(m, "state"),
		      hcv_out_bool(m, "readonly") ? ", read-only" : "",
		      (unsigned long long)hcv_out_u64(m, "openers"));
	hcv_out_field("Used", "%s, %s of memory for the map",
		      hcv_out_size(hcv_out_u64(m, "used_bytes")),
		      hcv_out_size(hcv_out_u64(m, "meta_bytes")));
	hcv_out_field("Not flushed", "%s",
		      hcv_out_size(hcv_out_u64(m, "unflushed_bytes")));
	hcv_out_field("Activity log", "names %s; %llu writes waited for it, %llu pages written",
		      hcv_out_size(hcv_out_u64(m, "log_bytes")),
		      (unsigned long long)hcv_out_u64(m, "log_misses"),
		      (unsigned long long)hcv_out_u64(m, "log_writes"));
}

static void hcv_volume_show_layout(struct json_object *r)
{
	hcv_out_field("Volume", "%s (%s)", hcv_out_str(r, "name"),
		      hcv_out_str(r, "uuid"));
	hcv_out_field("Size", "%s, %llu extents placed%s",
		      hcv_out_size(hcv_out_u64(r, "size")),
		      (unsigned long long)hcv_out_u64(r, "extents"),
		      hcv_out_bool(r, "readonly") ? ", read-only" : "");
	if (hcv_out_u64(r, "replicas") > 1)
		hcv_out_field("Layout", "%llu replicas on different %ss, stripe %llu",
			      (unsigned long long)hcv_out_u64(r, "replicas"),
			      hcv_out_str(r, "domain"),
			      (unsigned long long)hcv_out_u64(r, "stripe"));
	else
		hcv_out_field("Layout", "1 replica, stripe %llu",
			      (unsigned long long)hcv_out_u64(r, "stripe"));
	if (!strcmp(hcv_out_str(r, "policy"), "error"))
		hcv_out_field("Policy", "I/O without a usable replica fails after %s",
			      hcv_out_ms(hcv_out_u64(r, "policy_ms")));
	else
		hcv_out_field("Policy", "I/O without a usable replica waits");
	if (hcv_out_u64(r, "sync_kibps"))
		hcv_out_field("Resync", "at most %s/s",
			      hcv_out_size(hcv_out_u64(r, "sync_kibps") << 10));
	if (!strcmp(hcv_out_str(r, "slow_replica"), "drop"))
		hcv_out_field("Slow replica", "is dropped while others have all it has");
}

static void hcv_volume_show_limit(struct json_object *l)
{
	if (!l || (!hcv_out_u64(l, "resyncs") && !hcv_out_bool(l, "paused")))
		return;
	if (hcv_out_bool(l, "paused"))
		hcv_out_field("Resync now", "%s", hcv_out_str(l, "reason"));
	else
		hcv_out_field("Resync now", "%s/s, at most %s/s: %s",
			      hcv_out_size(hcv_out_u64(l, "rate_kibps") << 10),
			      hcv_out_size(hcv_out_u64(l, "kibps") << 10),
			      hcv_out_str(l, "reason"));
}

static void hcv_volume_show(struct json_object *r)
{
	struct json_object *m = hcv_out_get(r, "module");

	hcv_volume_show_layout(r);
	hcv_out_field("Health", "%s%s", hcv_out_str(r, "health"),
		      strcmp(hcv_out_str(r, "state"), "deleting") ? "" :
		      ", being deleted");
	if (*hcv_out_str(r, "damaged"))
		hcv_out_field("Damaged", "%s", hcv_out_str(r, "damaged"));
	if (*hcv_out_str(r, "owner"))
		hcv_out_field("Owner", "%s (%s, epoch %llu, v %llu)",
			      hcv_out_str(r, "owner"),
			      hcv_out_str(r, "phase"),
			      (unsigned long long)hcv_out_u64(r, "epoch"),
			      (unsigned long long)hcv_out_u64(r, "v"));
	else
		hcv_out_field("Owner", "none");
	if (*hcv_out_str(r, "caretaker"))
		hcv_out_field("Caretaker", "%s (%s)",
			      hcv_out_str(r, "caretaker"),
			      hcv_out_str(r, "caretaker_why"));
	if (hcv_out_has(r, "handover")) {
		struct json_object *h = hcv_out_get(r, "handover");

		hcv_out_field("Hand-over", "to node %s, which %s%s",
			      hcv_out_str(h, "to"),
			      hcv_out_bool(h, "ready") ? "is ready" :
							 "gets ready",
			      hcv_out_bool(h, "go") ? ", at once" : "");
	}
	hcv_volume_show_module(m);
	hcv_volume_show_limit(hcv_out_get(r, "sync_limit"));
	hcv_volume_show_wait(r, m);
	hcv_scrub_show(r);
	hcv_volume_show_stores(hcv_out_get(r, "replica_list"));
	hcv_out_iostat(m, hcv_out_get(r, "latency"));
}

static void hcv_volume_show_create(struct json_object *r)
{
	unsigned long long replicas = hcv_out_u64(r, "replicas");

	printf("volume %s: %s, %llu replica%s", hcv_out_str(r, "name"),
	       hcv_out_size(hcv_out_u64(r, "size")), replicas,
	       replicas == 1 ? "" : "s");
	if (replicas > 1)
		printf(" on different %ss", hcv_out_str(r, "domain"));
	putchar('\n');
}

static void hcv_volume_show_resize(struct json_object *r)
{
	printf("size: %s, was %s\n", hcv_out_size(hcv_out_u64(r, "size")),
	       hcv_out_size(hcv_out_u64(r, "old_size")));
}

static void hcv_volume_show_handover(struct json_object *r)
{
	if (hcv_out_has(r, "aborted"))
		printf("%s; node %s has it\n", hcv_out_bool(r, "aborted") ?
		       "given up" : "there was nothing to be given up",
		       hcv_out_str(r, "node"));
	else if (strcmp(hcv_out_str(r, "phase"), "serving"))
		printf("node %s is ready\n", hcv_out_str(r, "node"));
	else
		printf("node %s has it, epoch %llu; halted for %s\n",
		       hcv_out_str(r, "node"),
		       (unsigned long long)hcv_out_u64(r, "epoch"),
		       hcv_out_ms(hcv_out_u64(r, "halt_ms")));
}

static void hcv_volume_show_attach(struct json_object *r)
{
	puts(hcv_out_str(r, "device"));
}

static const struct hcv_ctl_opt hcv_volume_create_opts[] = {
	{ "--replicas", "N", "replicas", HCV_CTL_UINT, "1|2|3",
	  "copies of all data (2; 1 when there is one store)" },
	{ "--stripe", "N", "stripe", HCV_CTL_UINT, "1|2|4",
	  "disks that share consecutive data (1)" },
	{ "--queue", "FRONT", "queue", HCV_CTL_STRING, "mq|bio",
	  "block layer front (mq)" },
	{ "--policy", "POLICY", "policy", HCV_CTL_STRING, "suspend|error",
	  "I/O without a usable replica waits, or fails (suspend)" },
	{ "--policy-ms", "MS", "policy_ms", HCV_CTL_UINT, NULL,
	  "after how long it fails" },
	{ "--domain", "DOMAIN", "domain", HCV_CTL_STRING, "disk|node|rack",
	  "what replicas never share (as the cluster allows)" },
	{ "--readonly", NULL, "readonly", HCV_CTL_FLAG, NULL,
	  "refuse writes" },
	{ NULL }
};

static const struct hcv_ctl_opt hcv_volume_attach_opts[] = {
	{ "--takeover", NULL, "takeover", HCV_CTL_FLAG, NULL,
	  "also while its owner is another node that lives" },
	{ "--readonly", NULL, "readonly", HCV_CTL_FLAG, NULL,
	  "refuse writes" },
	{ "--queue", "FRONT", "queue", HCV_CTL_STRING, "mq|bio",
	  "block layer front, for this time" },
	{ NULL }
};

static const struct hcv_ctl_opt hcv_volume_detach_opts[] = {
	{ "--force", NULL, "force", HCV_CTL_FLAG, NULL,
	  "also while it is open: its I/O fails from then on" },
	{ NULL }
};

static const struct hcv_ctl_opt hcv_volume_scrub_opts[] = {
	{ "--kibps", "N", "kibps", HCV_CTL_UINT, NULL,
	  "read at most N KiB/s of each replica, 0: no limit (the cluster's scrub-kibps)" },
	{ NULL }
};

static const struct hcv_ctl_opt hcv_volume_handover_opts[] = {
	{ "--to", "NODE", "to", HCV_CTL_STRING, NULL,
	  "the node that is to have it" },
	{ "--prepare", NULL, "prepare", HCV_CTL_FLAG, NULL,
	  "only have that node get ready: its device is there and waits" },
	{ "--limit", "SECONDS", "limit_s", HCV_CTL_UINT, NULL,
	  "how long that node stays ready (600)" },
	{ "--abort", NULL, "abort", HCV_CTL_FLAG, NULL,
	  "it stays where it is; on any node" },
	{ NULL }
};

#define HCV_POS_VOLUME { "VOLUME", "name", HCV_CTL_STRING, false }

const struct hcv_ctl_cmd hcv_ctl_volume[] = {
	{
		.noun = "volume", .verb = "create", .api = "volume.create",
		.summary = "Create a thin volume",
		.timeout_ms = 60000, .pos = {
			{ "NAME", "name", HCV_CTL_STRING, false },
			{ "SIZE", "size", HCV_CTL_SIZE, false },
		},
		.opts = hcv_volume_create_opts,
		.show = hcv_volume_show_create,
	}, {
		.noun = "volume", .verb = "list", .api = "volume.list",
		.summary = "List the volumes of the cluster",
		.timeout_ms = 10000, .show = hcv_volume_show_list,
	}, {
		.noun = "volume", .verb = "show", .api = "volume.show",
		.summary = "Show a volume, its replicas, waits and latencies",
		.timeout_ms = 10000, .pos = { HCV_POS_VOLUME },
		.show = hcv_volume_show,
	}, {
		.noun = "volume", .verb = "attach", .api = "volume.attach",
		.summary = "Make a volume a block device of this node",
		.details =
	"Prints the device.  Refused while another node that lives owns the volume,\n"
	"unless --takeover is given.",
		.timeout_ms = 60000, .pos = { HCV_POS_VOLUME },
		.opts = hcv_volume_attach_opts,
		.show = hcv_volume_show_attach,
	}, {
		.noun = "volume", .verb = "detach", .api = "volume.detach",
		.summary = "Take the block device away again",
		.timeout_ms = 60000, .pos = { HCV_POS_VOLUME },
		.opts = hcv_volume_detach_opts,
	}, {
		.noun = "volume", .verb = "handover", .api = "volume.handover",
		.summary = "Have another node go on with a volume in use",
		.details =
	"For live migration, on the node that has it.  With --prepare the other node gets\n"
	"ready first; the command without it then takes well below a second, in which I/O\n"
	"waits.  After it all I/O to the device of this node fails.",
		.timeout_ms = 70000, .pos = { HCV_POS_VOLUME },
		.opts = hcv_volume_handover_opts,
		.show = hcv_volume_show_handover,
	}, {
		.noun = "volume", .verb = "resize", .api = "volume.resize",
		.summary = "Make a volume larger, also while it is in use",
		.timeout_ms = 60000, .pos = {
			HCV_POS_VOLUME,
			{ "SIZE", "size", HCV_CTL_SIZE, false },
		},
		.show = hcv_volume_show_resize,
	}, {
		.noun = "volume", .verb = "rename", .api = "volume.rename",
		.summary = "Give a volume another name",
		.timeout_ms = 30000, .pos = {
			HCV_POS_VOLUME,
			{ "NEW-NAME", "new_name", HCV_CTL_STRING, false },
		},
	}, {
		.noun = "volume", .verb = "set", .api = "volume.set",
		.summary = "Change a setting of a volume",
		.timeout_ms = 30000, .pos = {
			HCV_POS_VOLUME,
			{ "KEY=VALUE", "key", HCV_CTL_KEYVAL, false },
		},
		.details =
	"Keys: policy (suspend, error), policy-ms, sync-kibps (KiB/s of a resync at most,\n"
	"0: what recovery allows), slow-replica (keep, drop: one on a slow store leaves\n"
	"while others have all it has); from the next attach on: readonly (on, off),\n"
	"queue (mq, bio).",
	}, {
		.noun = "volume", .verb = "scrub", .api = "volume.scrub",
		.summary = "Compare the replicas of an attached volume, and repair",
		.details =
	"ACTION is start, stop or status.  start begins a pass in the background, or\n"
	"gives the one under way another limit; start and stop are for the node that\n"
	"has the volume attached.  Passes also begin by themselves: cluster set\n"
	"scrub-days=N.",
		.timeout_ms = 10000, .pos = {
			{ "ACTION", "action", HCV_CTL_STRING, false },
			HCV_POS_VOLUME,
		},
		.opts = hcv_volume_scrub_opts,
		.show = hcv_scrub_show_status,
	}, {
		.noun = "volume", .verb = "delete", .api = "volume.delete",
		.summary = "Delete a detached volume and its data",
		.timeout_ms = 60000, .pos = { HCV_POS_VOLUME },
	},
	{ 0 }
};
