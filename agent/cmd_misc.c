// SPDX-License-Identifier: GPL-2.0-only
/*
 * version, and the commands for tests.
 */
#include "agent.h"

#include <errno.h>

#include "member.h"

static int hcv_cmd_version(struct hcv_api_req *req)
{
	struct hcv_k_module m;
	char why[HCV_ERR_SIZE];

	json_object_object_add(req->result, "agent",
			       json_object_new_string(HCV_AGENT_VERSION));
	json_object_object_add(req->result, "abi",
			       json_object_new_int(HCV_ABI));
	if (hcv_member_module(req->agent, &m, why)) {
		json_object_object_add(req->result, "module",
				       json_object_new_string(m.version));
		json_object_object_add(req->result, "module_abi",
				       json_object_new_int64(m.abi));
		return 0;
	}
	/* Before init/join nobody has looked yet. */
	if (hcv_job_klink(req->job) &&
	    !hcv_k_module_get(hcv_job_klink(req->job), &m)) {
		json_object_object_add(req->result, "module",
				       json_object_new_string(m.version));
		json_object_object_add(req->result, "module_abi",
				       json_object_new_int64(m.abi));
		return 0;
	}
	json_object_object_add(req->result, "module", NULL);
	return 0;
}

static int hcv_cmd_debug_crash(struct hcv_api_req *req)
{
	const char *spec = hcv_api_str(req, "point", "");
	int ret = hcv_crash_arm(spec);

	if (ret == -ENOENT)
		return hcv_error_set(&req->err, HCV_E_NOTFOUND, "crash point",
				     "hcivold --list-crash-points",
				     "there is none named %.60s", spec);
	if (ret)
		return hcv_error_set(&req->err, HCV_E_USAGE, "crash point",
				     "hcivold --list-crash-points",
				     "NAME:N is wanted");
	return 0;
}

static const struct hcv_api_arg hcv_cmd_crash_args[] = {
	{ "point", HCV_ARG_STRING, true },
	{ NULL }
};

static const struct hcv_api_cmd hcv_cmd_misc[] = {
	{ "version", hcv_cmd_version, 5000, HCV_API_NO_CLUSTER, NULL },
	{ "debug.crash", hcv_cmd_debug_crash, 1000,
	  HCV_API_NO_CLUSTER | HCV_API_DEBUG, hcv_cmd_crash_args },
};

int hcv_cmd_misc_init(struct hcv_agent *a)
{
	hcv_api_register(a, hcv_cmd_misc,
			 sizeof(hcv_cmd_misc) / sizeof(hcv_cmd_misc[0]));
	return 0;
}
