// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentctl events
 */
#include "agentctl.h"

#include <stdio.h>
#include <time.h>

static void hcv_events_text(struct json_object *ev)
{
	uint64_t ms = hcv_out_u64(ev, "time_ms");
	time_t t = ms / 1000;
	char when[32] = "";
	struct tm tm;

	if (localtime_r(&t, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s.%03u %-7s %s: %s\n", when, (unsigned int)(ms % 1000),
	       hcv_out_str(ev, "severity"), hcv_out_str(ev, "object"),
	       hcv_out_str(ev, "text"));
}

/* One line each, at once: a reader at the other end of a pipe waits for it. */
static bool hcv_events_print(struct hcv_ctl *ctl, struct json_object *ev)
{
	if (ctl->json) {
		json_object_object_add(ev, "schema",
				       json_object_new_int(HCV_CTL_SCHEMA));
		puts(json_object_to_json_string_ext(ev, JSON_C_TO_STRING_PLAIN |
					JSON_C_TO_STRING_NOSLASHESCAPE));
	} else {
		hcv_events_text(ev);
	}
	return !fflush(stdout);
}

static int hcv_events_run(struct hcv_ctl *ctl, struct json_object *args)
{
	bool follow = hcv_out_bool(args, "follow");
	struct json_object *result;

	if (!follow)
		json_object_object_add(args, "follow",
				       json_object_new_boolean(false));
	result = hcv_ctl_call(ctl, "events.follow", args,
			      ctl->timeout_ms ? ctl->timeout_ms :
			      follow ? 0 : 10000, hcv_events_print);
	if (!result && ctl->err.code)
		return -1;
	json_object_put(result);
	return 0;
}

static const struct hcv_ctl_opt hcv_events_opts[] = {
	{ "--follow", NULL, "follow", HCV_CTL_FLAG, NULL,
	  "go on with new ones until interrupted" },
	{ "--since", "SEQ", "since", HCV_CTL_UINT, NULL,
	  "only those after this sequence number" },
	{ NULL }
};

const struct hcv_ctl_cmd hcv_ctl_events[] = {
	{
		.noun = "events", .api = "events.follow",
		.summary = "Print what happened on this node",
		.details = "The last 1,000 events; with --json one object a line, with \"seq\".",
		.opts = hcv_events_opts, .run = hcv_events_run,
	},
	{ 0 }
};
