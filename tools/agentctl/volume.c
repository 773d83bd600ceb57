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

static void hcv_volume_show_stores(struct json_object *array)
{
	struct hcv_table t;
	size_t i;

	if (!array || !json_object_array_length(array))
		return;
	putchar('\n');
	hcv_table_init(&t, "STORE|NODE|LIVE|STATE|LINK|>EXTENTS|SYNC|ERROR");
	for (i = 0; i < json_object_array_length(array); i++) {
		struct json_object *s = json_object_array_get_idx(array, i);

		hcv_table_row(&t, hcv_out_str(s, "store"),
			      hcv_out_str(s, "node"),
			      hcv_out_bool(s, "live") ? "yes" : "NO",
			      hcv_out_str(s, "state"), hcv_out_str(s, "link"),
			      hcv_out_fmt("%llu", (unsigned long long)
					  hcv_out_u64(s, "extents")),
			      hcv_volume_sync(s), hcv_out_str(s, "error"));
	}
	hcv_table_print(&t);
}

static void hcv_volume_show_wait(struct json_object *r)
{
	struct json_object *w = hcv_out_get(r, "wait");

	if (w && *hcv_out_str(w, "text"))
		hcv_out_field("Waiting", "%s (%llu I/Os, longest for %s)",
			      hcv_out_str(w, "text"),
			      (unsigned long long)hcv_out_u64(w, "count"),
			      hcv_out_ms(hcv_out_u64(w, "ms")));
	if (*hcv_out_str(r, "waiting"))
		hcv_out_field("Agent", "%s", hcv_out_str(r, "waiting"));
}

static void hcv_volume_show_stats(struct json_object *r)
{
	static const struct {
		const char *title, *hist, *ios, *bytes;
	} op[] = {
		{ "read", "read", "read_ios", "read_bytes" },
		{ "write", "write", "write_ios", "write_bytes" },
		{ "flush", "flush", "flush_ios", "" },
		{ "discard", "", "discard_ios", "discard_bytes" },
	};
	struct json_object *c = hcv_out_get(r, "counters");
	struct json_object *lat = hcv_out_get(r, "latency_us");
	struct hcv_table t;
	size_t i;

	if (!c)
		return;
	putchar('\n');
	hcv_table_init(&t, "I/O|>COUNT|>BYTES|>P50 us|>P95 us|>P99 us|>MAX us");
	for (i = 0; i < sizeof(op) / sizeof(op[0]); i++) {
		struct json_object *h = hcv_out_get(lat, op[i].hist);
		bool any = h && hcv_out_u64(c, op[i].ios);

#define HCV_US(m) (any ? hcv_out_fmt("%llu", \
			(unsigned long long)hcv_out_u64(h, m)) : "")
		hcv_table_row(&t, op[i].title,
			      hcv_out_fmt("%llu", (unsigned long long)
					  hcv_out_u64(c, op[i].ios)),
			      *op[i].bytes ?
			      hcv_out_size(hcv_out_u64(c, op[i].bytes)) : "",
			      HCV_US("p50"), HCV_US("p95"), HCV_US("p99"),
			      HCV_US("max"));
#undef HCV_US
	}
	hcv_table_print(&t);
	if (hcv_out_u64(c, "errors"))
		printf("errors: %llu\n",
		       (unsigned long long)hcv_out_u64(c, "errors"));
}

static void hcv_volume_show_owner(struct json_object *r)
{
	const char *owner = hcv_out_str(r, "owner");

	if (!*owner) {
		hcv_out_field("Owner", "none");
		return;
	}
	hcv_out_field("Owner", "%s (%s, epoch %llu)%s%s", owner,
		      hcv_out_str(r, "phase"),
		      (unsigned long long)hcv_out_u64(r, "epoch"),
		      *hcv_out_str(r, "device") ? ", here " : "",
		      hcv_out_str(r, "device"));
}

static void hcv_volume_show(struct json_object *r)
{
	hcv_out_field("Volume", "%s (%s)", hcv_out_str(r, "name"),
		      hcv_out_str(r, "uuid"));
	hcv_out_field("Size", "%s, %llu extents placed%s",
		      hcv_out_size(hcv_out_u64(r, "size")),
		      (unsigned long long)hcv_out_u64(r, "extents"),
		      hcv_out_bool(r, "readonly") ? ", read-only" : "");
	if (hcv_out_has(r, "used_bytes"))
		hcv_out_field("Used", "%s",
			      hcv_out_size(hcv_out_u64(r, "used_bytes")));
	hcv_out_field("Layout", "%llu replicas on different %ss, stripe %llu",
		      (unsigned long long)hcv_out_u64(r, "replicas"),
		      hcv_out_str(r, "domain"),
		      (unsigned long long)hcv_out_u64(r, "stripe"));
	if (!strcmp(hcv_out_str(r, "policy"), "error"))
		hcv_out_field("Policy", "errors after %s without a replica",
			      hcv_out_ms(hcv_out_u64(r, "policy_ms")));
	else
		hcv_out_field("Policy", "I/O waits while there is no replica");
	hcv_out_field("Health", "%s%s", hcv_out_str(r, "health"),
		      strcmp(hcv_out_str(r, "state"), "deleting") ? "" :
		      ", being deleted");
	hcv_volume_show_owner(r);
	if (*hcv_out_str(r, "device_state"))
		hcv_out_field("Device", "%s, %llu openers",
			      hcv_out_str(r, "device_state"),
			      (unsigned long long)hcv_out_u64(r, "openers"));
	hcv_volume_show_wait(r);
	hcv_volume_show_stores(hcv_out_get(r, "stores"));
	hcv_volume_show_stats(r);
}

static void hcv_volume_show_create(struct json_object *r)
{
	printf("volume %s: %s, %llu replicas on different %ss\n",
	       hcv_out_str(r, "name"), hcv_out_size(hcv_out_u64(r, "size")),
	       (unsigned long long)hcv_out_u64(r, "replicas"),
	       hcv_out_str(r, "domain"));
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

static const struct hcv_ctl_opt hcv_volume_resize_opts[] = {
	{ "--force", NULL, "force", HCV_CTL_FLAG, NULL,
	  "also to a smaller size: what lies beyond is lost" },
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
		.details = "Prints the device.  Refused while another node that lives owns the volume,\n"
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
		.noun = "volume", .verb = "resize", .api = "volume.resize",
		.summary = "Change the size, also while it is in use",
		.timeout_ms = 60000, .pos = {
			HCV_POS_VOLUME,
			{ "SIZE", "size", HCV_CTL_SIZE, false },
		},
		.opts = hcv_volume_resize_opts,
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
		.details = "Keys: policy (suspend, error), policy-ms, readonly (on, off), queue (mq, bio),\n"
			   "copy-writes (on, off), sync-kibps (0: no limit).",
	}, {
		.noun = "volume", .verb = "delete", .api = "volume.delete",
		.summary = "Delete a detached volume and its data",
		.timeout_ms = 60000, .pos = { HCV_POS_VOLUME },
	},
	{ 0 }
};
