// SPDX-License-Identifier: GPL-2.0-only
/*
 * JSON of a recovery job, and of who takes care of a volume that is attached
 * nowhere: job/VOL and care/VOL in docs/agent.md.
 */
#include "model.h"

#include <errno.h>
#include <string.h>

#include "json.h"

/* In the order of enum hcv_rp_kind. */
static const char *const job_kinds[] = {
	"repair", "trim", "drain", "domain", "balance", "move",
};

enum { JOB_RUN, JOB_CANCEL, JOB_FAILED };

static const char *const job_states[] = { "run", "cancel", "failed" };

char *hcv_model_job_encode(const struct hcv_job_info *job)
{
	unsigned int state = job->cancel ? JOB_CANCEL :
			     job->failed ? JOB_FAILED : JOB_RUN;
	struct hcv_json j;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_str(&j, "kind", job_kinds[job->kind]);
	hcv_json_put_str(&j, "from", job->from);
	hcv_json_put_str(&j, "to", job->to);
	hcv_json_put_str(&j, "state", job_states[state]);
	hcv_json_put_str(&j, "why", job->why);
	hcv_json_put_u64(&j, "created", (uint64_t)job->created);
	return hcv_json_finish(&j);
}

int hcv_model_job_decode(const char *json, struct hcv_job_info *job, char *err)
{
	struct json_object *o = hcv_json_parse(json, HCV_SCHEMA, err);
	struct hcv_job_info new = { 0 };
	unsigned int state;
	uint64_t created;
	int ret = -EINVAL;

	if (!o)
		return ret;
	if (hcv_json_enum(o, "kind", job_kinds,
			  sizeof(job_kinds) / sizeof(*job_kinds), &new.kind,
			  err) ||
	    hcv_json_str(o, "from", new.from, sizeof(new.from), err) ||
	    hcv_json_str(o, "to", new.to, sizeof(new.to), err) ||
	    hcv_json_enum(o, "state", job_states, 3, &state, err) ||
	    hcv_json_str(o, "why", new.why, sizeof(new.why), err) ||
	    hcv_json_u64(o, "created", 0, INT64_MAX, &created, err))
		goto out;
	if (!hcv_model_uuid_ok(new.from) ||
	    (*new.to && !hcv_model_uuid_ok(new.to)) ||
	    !strcmp(new.from, new.to)) {
		hcv_json_err(err, "\"from\" or \"to\" is no store");
		goto out;
	}
	new.cancel = state == JOB_CANCEL;
	new.failed = state == JOB_FAILED;
	new.created = (int64_t)created;
	*job = new;
	ret = 0;
out:
	json_object_put(o);
	return ret;
}

char *hcv_model_care_encode(const struct hcv_care_info *care)
{
	struct hcv_json j;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_str(&j, "node", care->node);
	hcv_json_put_str(&j, "why", care->why);
	hcv_json_put_u64(&j, "since", (uint64_t)care->since);
	return hcv_json_finish(&j);
}

int hcv_model_care_decode(const char *json, struct hcv_care_info *care,
			  char *err)
{
	struct json_object *o = hcv_json_parse(json, HCV_SCHEMA, err);
	struct hcv_care_info new = { 0 };
	uint64_t since;
	int ret = -EINVAL;

	if (!o)
		return ret;
	if (hcv_json_str(o, "node", new.node, sizeof(new.node), err) ||
	    hcv_json_str(o, "why", new.why, sizeof(new.why), err) ||
	    hcv_json_u64(o, "since", 0, INT64_MAX, &since, err))
		goto out;
	if (!hcv_model_uuid_ok(new.node)) {
		hcv_json_err(err, "\"node\" is no node");
		goto out;
	}
	new.since = (int64_t)since;
	*care = new;
	ret = 0;
out:
	json_object_put(o);
	return ret;
}
