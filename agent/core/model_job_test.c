// SPDX-License-Identifier: GPL-2.0-only
/*
 * Recovery jobs as JSON: what is written is read, and what does not fit refused.
 */
#include <kunit/test.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "recplan.h"

#define A "00000000-0000-4000-8000-00000000000a"
#define B "00000000-0000-4000-8000-00000000000b"

static void job_both_ways(struct kunit *test)
{
	struct hcv_job_info job = {
		.from = A, .to = B, .why = "its store is gone",
		.created = 1234567890,
	}, back;
	char err[HCV_ERR_SIZE], kind[64], *json;
	unsigned int i;

	for (i = 0; i < HCV_RP_KINDS * 3; i++) {
		job.kind = i / 3;
		job.cancel = i % 3 == 1;
		job.failed = i % 3 == 2;
		json = hcv_model_job_encode(&job);
		KUNIT_ASSERT_NOT_NULL(test, json);
		/* The names are those of the planner. */
		snprintf(kind, sizeof(kind), "\"kind\":\"%s\"",
			 hcv_recplan_kind_name((enum hcv_rp_kind)job.kind));
		KUNIT_EXPECT_NOT_NULL(test, strstr(json, kind));
		KUNIT_EXPECT_EQ(test, hcv_model_job_decode(json, &back, err),
				0);
		KUNIT_EXPECT_EQ(test, memcmp(&job, &back, sizeof(job)), 0);
		free(json);
	}
}

static void job_refused(struct kunit *test)
{
	static const char *const bad[] = {
		"{}", "{\"schema\":2}",
		"{\"schema\":1,\"kind\":\"repair\",\"from\":\"x\",\"to\":\"\",\"state\":\"run\",\"why\":\"\",\"created\":1}",
		"{\"schema\":1,\"kind\":\"mend\",\"from\":\"" A "\",\"to\":\"\",\"state\":\"run\",\"why\":\"\",\"created\":1}",
		"{\"schema\":1,\"kind\":\"repair\",\"from\":\"" A "\",\"to\":\"" A "\",\"state\":\"run\",\"why\":\"\",\"created\":1}",
		"{\"schema\":1,\"kind\":\"repair\",\"from\":\"" A "\",\"to\":\"\",\"state\":\"\",\"why\":\"\",\"created\":1}",
	};
	struct hcv_job_info job;
	char err[HCV_ERR_SIZE];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		err[0] = 0;
		KUNIT_EXPECT_NE_MSG(test, hcv_model_job_decode(bad[i], &job,
							       err), 0,
				    "%s", bad[i]);
		KUNIT_EXPECT_NE(test, err[0], 0);
	}
}

static void care_both_ways(struct kunit *test)
{
	static const char *const bad[] = {
		"{}", "{\"schema\":2}",
		"{\"schema\":1,\"node\":\"x\",\"why\":\"\",\"since\":1}",
		"{\"schema\":1,\"node\":\"" A "\",\"since\":1}",
		"{\"schema\":1,\"node\":\"" A "\",\"why\":\"\"}",
	};
	struct hcv_care_info care = {
		.node = A, .why = "drain", .since = 1234567890,
	}, back;
	char err[HCV_ERR_SIZE] = "", *json = hcv_model_care_encode(&care);
	size_t i;

	KUNIT_ASSERT_NOT_NULL(test, json);
	KUNIT_EXPECT_EQ(test, hcv_model_care_decode(json, &back, err), 0);
	KUNIT_EXPECT_STREQ(test, back.node, care.node);
	KUNIT_EXPECT_STREQ(test, back.why, care.why);
	KUNIT_EXPECT_EQ(test, back.since, care.since);
	free(json);
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		KUNIT_EXPECT_NE_MSG(test, hcv_model_care_decode(bad[i], &back,
								err), 0,
				    "%s", bad[i]);
}

static struct kunit_case model_job_cases[] = {
	KUNIT_CASE(job_both_ways),
	KUNIT_CASE(job_refused),
	KUNIT_CASE(care_both_ways),
	{}
};

static struct kunit_suite model_job_suite = {
	.name = "model_job",
	.test_cases = model_job_cases,
};

kunit_test_suite(model_job_suite);
