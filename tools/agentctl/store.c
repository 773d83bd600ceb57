// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentctl store ...
 */
#include "agentctl.h"

#include <stdio.h>

static const char *hcv_store_state(struct json_object *s)
{
	if (hcv_out_bool(s, "failed"))
		return "FAILED";
	if (!hcv_out_bool(s, "live"))
		return "NOT OPEN";
	return hcv_out_str(s, "state");
}

/* "ok", or "suspect (latency)" */
static const char *hcv_store_health(struct json_object *s)
{
	struct json_object *h = hcv_out_get(s, "health");
	const char *cause = h ? hcv_out_str(h, "cause") : "";

	if (!h)
		return "-";
	return *cause ? hcv_out_fmt("%s (%s)", hcv_out_str(h, "state"), cause) :
			hcv_out_str(h, "state");
}

static const char *hcv_store_used(struct json_object *s)
{
	uint64_t all = hcv_out_u64(s, "extents");

	return hcv_out_fmt("%llu %%", all ? (unsigned long long)
			   hcv_out_u64(s, "used_extents") * 100 / all : 0ULL);
}

static void hcv_store_show_list(struct json_object *r)
{
	struct json_object *array = hcv_out_get(r, "stores");
	struct hcv_table t;
	size_t i;

	hcv_table_init(&t, "STORE|NODE|STATE|CLASS|HEALTH|>SIZE|>EXTENTS|>USED|DEVICE");
	for (i = 0; array && i < json_object_array_length(array); i++) {
		struct json_object *s = json_object_array_get_idx(array, i);

		hcv_table_row(&t, hcv_out_str(s, "name"),
			      hcv_out_str(s, "node"), hcv_store_state(s),
			      hcv_out_str(s, "class"), hcv_store_health(s),
			      hcv_out_size(hcv_out_u64(s, "bytes")),
			      hcv_out_fmt("%llu", (unsigned long long)
					  hcv_out_u64(s, "extents")),
			      hcv_store_used(s), hcv_out_str(s, "path"));
	}
	hcv_table_print(&t);
}

static void hcv_store_show_p95(struct json_object *h, const char *op,
			       const char *label)
{
	struct json_object *p95 = hcv_out_get(h, "p95_us");
	struct json_object *r = p95 ? hcv_out_get(p95, op) : NULL;

	if (!r)
		return;
	if (hcv_out_get(r, "below"))
		hcv_out_field(label, "95 %% end within %llu us",
			      (unsigned long long)hcv_out_u64(r, "below"));
	else
		hcv_out_field(label, "95 %% end within more than %llu us",
			      (unsigned long long)hcv_out_u64(r, "from"));
}

static void hcv_store_show_health(struct json_object *r)
{
	struct json_object *h = hcv_out_get(r, "health");

	if (!h)
		return;
	hcv_out_field("Health", "%s%s%s%s", hcv_store_health(r),
		      hcv_out_bool(h, "slow") ? ", slow" : "",
		      *hcv_out_str(h, "why") ? ": " : "",
		      hcv_out_str(h, "why"));
	if (hcv_out_bool(h, "drain"))
		hcv_out_field("Drain", "it is to be emptied");
	if (hcv_out_u64(h, "media_errors"))
		hcv_out_field("Errors", "%llu of its disk lately",
			      (unsigned long long)hcv_out_u64(h, "media_errors"));
	hcv_out_field("SMART", "%s", hcv_out_str(h, "smart"));
	hcv_store_show_p95(h, "read", "Reads");
	hcv_store_show_p95(h, "write", "Writes");
	hcv_store_show_p95(h, "flush", "Flushes");
}

static void hcv_store_show_cleared(struct json_object *r)
{
	if (hcv_out_get(r, "health")) {
		hcv_out_field("Store", "%s (%s)", hcv_out_str(r, "name"),
			      hcv_out_str(r, "uuid"));
		hcv_store_show_health(r);
	} else {
		printf("what was held against store %s is forgotten\n",
		       hcv_out_str(r, "name"));
	}
}

static void hcv_store_show(struct json_object *r)
{
	struct json_object *array = hcv_out_get(r, "volumes");
	struct json_object *m = hcv_out_get(r, "module");
	struct hcv_table t;
	size_t i;

	hcv_out_field("Store", "%s (%s)", hcv_out_str(r, "name"),
		      hcv_out_str(r, "uuid"));
	hcv_out_field("Node", "%s", hcv_out_str(r, "node"));
	hcv_out_field("Device", "%s (%s)", hcv_out_str(r, "path"),
		      hcv_out_str(r, "class"));
	hcv_out_field("State", "%s", hcv_store_state(r));
	if (*hcv_out_str(r, "error"))
		hcv_out_field("Error", "%s", hcv_out_str(r, "error"));
	hcv_out_field("Size", "%s, %llu of %llu extents used",
		      hcv_out_size(hcv_out_u64(r, "bytes")),
		      (unsigned long long)hcv_out_u64(r, "used_extents"),
		      (unsigned long long)hcv_out_u64(r, "extents"));
	hcv_store_show_health(r);
	if (m)
		hcv_out_iostat(m, hcv_out_get(m, "latency"));
	if (!array || !json_object_array_length(array))
		return;
	putchar('\n');
	hcv_table_init(&t, "VOLUME|STATE|>EXTENTS|PLAN");
	for (i = 0; i < json_object_array_length(array); i++) {
		struct json_object *v = json_object_array_get_idx(array, i);

		hcv_table_row(&t, hcv_out_str(v, "name"),
			      hcv_out_str(v, "state"),
			      hcv_out_fmt("%llu", (unsigned long long)
					  hcv_out_u64(v, "extents")),
			      *hcv_out_str(v, "plan") ?
			      hcv_out_str(v, "plan") : "-");
	}
	hcv_table_print(&t);
}

static void hcv_store_show_add(struct json_object *r)
{
	printf("store %s is open: %s, %llu extents\n", hcv_out_str(r, "name"),
	       hcv_out_size(hcv_out_u64(r, "bytes")),
	       (unsigned long long)hcv_out_u64(r, "extents"));
}

static void hcv_store_show_remove(struct json_object *r)
{
	printf("store %s is removed, its device is free\n",
	       hcv_out_str(r, "name"));
}

static void hcv_store_show_drain(struct json_object *r)
{
	const char *by = hcv_out_str(r, "drained_by");

	printf("store %s is %s\n", hcv_out_str(r, "name"),
	       hcv_out_str(r, "state"));
	if (hcv_out_u64(r, "extents_left"))
		printf("%llu extents of volumes are still on it\n",
		       (unsigned long long)hcv_out_u64(r, "extents_left"));
	if (*by)
		printf("it is still emptied because of its health: agentctl store health %s --clear\n",
		       hcv_out_str(r, "name"));
}

static const struct hcv_ctl_opt hcv_store_add_opts[] = {
	{ "--name", "NAME", "name", HCV_CTL_STRING, NULL,
	  "its name on this node (the device's)" },
	{ "--class", "CLASS", "class", HCV_CTL_STRING, "ssd|hdd",
	  "kind of disk (what the kernel says)" },
	{ "--force", NULL, "force", HCV_CTL_FLAG, NULL,
	  "destroy what the device holds" },
	{ NULL }
};

static const struct hcv_ctl_opt hcv_store_health_opts[] = {
	{ "--clear", NULL, "clear", HCV_CTL_FLAG, NULL,
	  "forget what is held against it" },
	{ NULL }
};

const struct hcv_ctl_cmd hcv_ctl_store[] = {
	{
		.noun = "store", .verb = "add", .api = "store.add",
		.summary = "Format a block device of this node and use it",
		.details =
	"Refused when the device holds something, unless --force is given, and always\n"
	"when it is mounted, in use, or a store of this cluster.",
		.timeout_ms = 60000, .pos = {
			{ "DEVICE", "path", HCV_CTL_PATH, false },
		},
		.opts = hcv_store_add_opts, .show = hcv_store_show_add,
	}, {
		.noun = "store", .verb = "list", .api = "store.list",
		.summary = "List the stores of the cluster",
		.timeout_ms = 10000, .show = hcv_store_show_list,
	}, {
		.noun = "store", .verb = "show", .api = "store.show",
		.summary = "Show a store and the volumes on it",
		.timeout_ms = 10000, .pos = {
			{ "STORE", "name", HCV_CTL_STRING, false },
		},
		.show = hcv_store_show,
	}, {
		.noun = "store", .verb = "health", .api = "store.health",
		.summary = "Show how healthy a store is, or call it healthy",
		.details =
	"A store is ok, suspect, draining or out.  With --clear it is ok again; what its\n"
	"disk says counts anew only when it gets worse.",
		.timeout_ms = 15000, .pos = {
			{ "STORE", "name", HCV_CTL_STRING, false },
		},
		.opts = hcv_store_health_opts, .show = hcv_store_show_cleared,
	}, {
		.noun = "store", .verb = "remove", .api = "store.remove",
		.summary = "Stop using an empty store of this node",
		.details = "Refused while it holds extents.  STORE is NAME, NODE:NAME or a UUID.",
		.timeout_ms = 30000, .pos = {
			{ "STORE", "name", HCV_CTL_STRING, false },
		},
		.show = hcv_store_show_remove,
	}, {
		.noun = "store", .verb = "drain", .api = "store.drain",
		.summary = "Empty a store",
		.details =
	"New extents go elsewhere, and what volumes that are attached have there is moved\n"
	"away, in the background: see agentctl recovery jobs.  A store that is empty can be\n"
	"removed.  STORE is NAME, NODE:NAME or a UUID.",
		.timeout_ms = 10000, .pos = {
			{ "STORE", "name", HCV_CTL_STRING, false },
		},
		.show = hcv_store_show_drain,
	}, {
		.noun = "store", .verb = "undrain", .api = "store.undrain",
		.summary = "Use a store again that was to be emptied",
		.details = "What has moved away stays where it is.",
		.timeout_ms = 10000, .pos = {
			{ "STORE", "name", HCV_CTL_STRING, false },
		},
		.show = hcv_store_show_drain,
	},
	{ 0 }
};
