// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentctl version
 */
#include "agentctl.h"

#include <stdio.h>

static int hcv_version_run(struct hcv_ctl *ctl, struct json_object *args)
{
	struct json_object *r, *o;

	if (!ctl->json) {
		hcv_out_field("agentctl", "%s", HCV_CTL_VERSION);
		fflush(stdout);
	}
	r = hcv_ctl_call(ctl, "version", args,
			 ctl->timeout_ms ? ctl->timeout_ms : 5000, NULL);
	if (!r)
		return -1;
	if (ctl->json) {
		o = json_object_new_object();
		json_object_object_add(o, "schema",
				       json_object_new_int(HCV_CTL_SCHEMA));
		json_object_object_add(o, "agentctl",
				       json_object_new_string(HCV_CTL_VERSION));
		json_object_object_foreach(r, key, val)
			json_object_object_add(o, key, json_object_get(val));
		puts(json_object_to_json_string_ext(o,
						    JSON_C_TO_STRING_PRETTY));
		json_object_put(o);
	} else {
		hcv_out_field("hcivold", "%s", hcv_out_str(r, "agent"));
		hcv_out_field("module", "%s",
			      hcv_out_has(r, "module") ?
			      hcv_out_str(r, "module") : "not loaded");
	}
	json_object_put(r);
	return 0;
}

const struct hcv_ctl_cmd hcv_ctl_version[] = {
	{
		.noun = "version", .api = "version",
		.summary = "Print the versions of agentctl, agent and module",
		.run = hcv_version_run,
	},
	{ 0 }
};
