// SPDX-License-Identifier: GPL-2.0-only
/*
 * Settings of recovery: what may be said, what of it ends in the metadata
 * store and is read back, what is in force on a node in the end.
 */
#include <kunit/test.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "throttle_conf.h"

#define MIB 1024U

static const struct say_case {
	const char *key, *value;
	int64_t want;		/* -1: refused */
	const char *err;	/* part of the sentence */
} say_cases[] = {
	{ "mode", "auto", HCV_THR_AUTO },
	{ "mode", "static", HCV_THR_STATIC },
	{ "mode", "latency", HCV_THR_LATENCY },
	{ "mode", "Auto", -1, "auto, static or latency, or default" },
	{ "mode", "", -1, "\"\" is no value for mode" },
	{ "limit", "1M", MIB },
	{ "limit", "500M", 500 * MIB },
	{ "limit", "501M", -1, "1M to 500M" },
	{ "limit", "1023K", -1, "limit" },
	{ "limit", "312.5M", 320000 },
	{ "limit", "0.25G", 256 * MIB },
	{ "limit", "100", -1, "limit" },
	{ "limit", "100MiB", -1, "limit" },
	{ "limit", "1.M", -1, "limit" },
	{ "limit", ".5G", -1, "limit" },
	{ "limit", "1.2.3M", -1, "limit" },
	{ "limit", "-1M", -1, "limit" },
	{ "limit", "M", -1, "limit" },
	{ "limit", "99999999999999999999M", -1, "limit" },
	{ "recovery_min", "64K", 64 },
	{ "recovery_min", "63K", -1, "64K to 64G" },
	{ "recovery_max", "64G", 64U * 1024 * MIB },
	{ "recovery_max", "65G", -1, "64K to 64G" },
	{ "migration_min", "156.25M", 160000 },
	{ "migration_max", "1562.5M", 1600000 },
	{ "bandwidth", "150M", 150 * MIB },
	{ "iops", "1500", 1500 },
	{ "iops", "0", -1, "1 to 100000000" },
	{ "iops", "1.5", -1, "iops" },
	{ "iops", "1500K", -1, "iops" },
	{ "latency_factor", "2", 200 },
	{ "latency_factor", "1.2", 120 },
	{ "latency_factor", "1.19", -1, "1.2 to 10" },
	{ "latency_factor", "10.01", -1, "latency_factor" },
	{ "latency_factor", "2.509", 250 },
	{ "latency_floor", "1M", MIB },
	{ "speed", "1M", -1, "\"speed\" cannot be set; what can: mode, limit" },
	{ "limits", "1M", -1, ", migration_max, latency_factor, latency_floor" },
};

static void say_to_desc(const struct say_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s=%s", c->key, c->value);
}

KUNIT_ARRAY_PARAM(say, say_cases, say_to_desc);

static int conf_key(const char *name)
{
	int i;

	for (i = 0; i < HCV_TK_NR; i++)
		if (!strcmp(hcv_thr_key_name(i), name))
			return i;
	return -1;
}

static void throttle_conf_says(struct kunit *test)
{
	const struct say_case *c = test->param_value;
	struct hcv_thr_set s = { 0 }, old, back;
	char err[HCV_ERR_SIZE] = "", *json;
	int ret, key = conf_key(c->key);

	if (key >= 0) {
		s.has = 1U << key;
		s.val[key] = 77;
	}
	old = s;
	ret = hcv_thr_set_value(&s, c->key, c->value, err);
	if (c->want < 0) {
		KUNIT_EXPECT_EQ(test, ret, -EINVAL);
		KUNIT_EXPECT_TRUE_MSG(test, strstr(err, c->err), "%s", err);
		KUNIT_EXPECT_EQ(test, memcmp(&s, &old, sizeof(s)), 0);
		return;
	}
	KUNIT_ASSERT_EQ_MSG(test, ret, 0, "%s", err);
	KUNIT_EXPECT_EQ(test, s.has, 1U << key);
	KUNIT_EXPECT_EQ(test, s.val[key], c->want);
	/* It survives the metadata store. */
	s.paused = true;
	json = hcv_thr_set_encode(&s);
	KUNIT_ASSERT_TRUE(test, json);
	memset(&back, 0xff, sizeof(back));
	KUNIT_EXPECT_EQ_MSG(test, hcv_thr_set_decode(json, &back, err), 0,
			    "%s: %s", json, err);
	KUNIT_EXPECT_EQ(test, back.has, s.has);
	KUNIT_EXPECT_EQ(test, back.val[key], s.val[key]);
	KUNIT_EXPECT_TRUE(test, back.paused);
	free(json);
	/* And may be taken back. */
	KUNIT_EXPECT_EQ(test, hcv_thr_set_value(&s, c->key, "default", err),
			0);
	KUNIT_EXPECT_EQ(test, s.has, 0);
}

static const struct json_case {
	const char *name, *json;
	const char *err;	/* NULL: is taken */
} json_cases[] = {
	{ "nothing set", "{\"schema\":1,\"paused\":false}", NULL },
	{ "newer member", "{\"schema\":1,\"paused\":false,\"x\":1}", NULL },
	{ "newer schema", "{\"schema\":2,\"paused\":false}", "schema" },
	{ "no word on paused", "{\"schema\":1}", "paused" },
	{ "mode of another version",
	  "{\"schema\":1,\"paused\":false,\"mode\":\"pid\"}", "mode" },
	{ "limit too high",
	  "{\"schema\":1,\"paused\":false,\"limit_kibps\":512001}",
	  "limit_kibps" },
	{ "threshold of nothing", "{\"schema\":1,\"paused\":false,\"iops\":0}",
	  "iops" },
	{ "in the wrong order",
	  "{\"schema\":1,\"paused\":false,\"recovery_min_kibps\":2048,\"recovery_max_kibps\":1024}",
	  "recovery_min (2 MiB/s) is above recovery_max" },
	{ "floor above the highest",
	  "{\"schema\":1,\"paused\":false,\"latency_floor_kibps\":2048,\"recovery_max_kibps\":1024}",
	  "latency_floor (2 MiB/s) is above recovery_max" },
	{ "no object", "[]", "" },
	{ "no JSON", "{", "" },
};

static void json_to_desc(const struct json_case *c, char *desc)
{
	strcpy(desc, c->name);
}

KUNIT_ARRAY_PARAM(json, json_cases, json_to_desc);

static void throttle_conf_json(struct kunit *test)
{
	const struct json_case *c = test->param_value;
	struct hcv_thr_set s, old;
	char err[HCV_ERR_SIZE] = "";
	int ret;

	memset(&s, 0x5a, sizeof(s));
	old = s;
	ret = hcv_thr_set_decode(c->json, &s, err);
	KUNIT_EXPECT_EQ_MSG(test, ret, c->err ? -EINVAL : 0, "%s", err);
	if (!c->err) {
		KUNIT_EXPECT_EQ(test, s.has, 0);
		return;
	}
	KUNIT_EXPECT_TRUE_MSG(test, strstr(err, c->err), "%s", err);
	KUNIT_EXPECT_EQ(test, memcmp(&s, &old, sizeof(s)), 0);
}

static const struct hcv_hw_row *conf_row(const char *name)
{
	const struct hcv_hw_row *rows;
	size_t i, nr;

	rows = hcv_hw_rows(&nr);
	for (i = 0; i < nr; i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

static void conf_set(struct kunit *test, struct hcv_thr_set *s,
		     const char *key, const char *value)
{
	char err[HCV_ERR_SIZE];

	KUNIT_ASSERT_EQ(test, hcv_thr_set_value(s, key, value, err), 0);
}

static void throttle_conf_merges(struct kunit *test)
{
	const struct hcv_hw_row *row = conf_row("nvme-25g-rdma");
	struct hcv_thr_set cluster = { 0 }, node = { 0 };
	struct hcv_thr_conf c;
	struct hcv_thr_eff e;

	hcv_thr_merge(row, NULL, NULL, &e);
	hcv_thr_conf(&e, false, &c);
	KUNIT_EXPECT_EQ(test, c.mode, HCV_THR_AUTO);
	KUNIT_EXPECT_EQ(test, c.iops, 5000);
	KUNIT_EXPECT_EQ(test, c.fg_kibps, 500 * MIB);
	KUNIT_EXPECT_EQ(test, c.min_kibps, 320000);
	KUNIT_EXPECT_EQ(test, c.max_kibps, 1600000);
	KUNIT_EXPECT_EQ(test, c.floor_kibps, 32000);
	KUNIT_EXPECT_EQ(test, c.factor_pct, 200);
	KUNIT_EXPECT_FALSE(test, c.paused);
	hcv_thr_conf(&e, true, &c);
	KUNIT_EXPECT_EQ(test, c.min_kibps, 160000);
	KUNIT_EXPECT_EQ(test, c.max_kibps, 1600000);
	/* the cluster's over the hardware's, the node's over both */
	conf_set(test, &cluster, "mode", "static");
	conf_set(test, &cluster, "limit", "200M");
	conf_set(test, &cluster, "iops", "700");
	conf_set(test, &node, "iops", "800");
	conf_set(test, &node, "mode", "latency");
	hcv_thr_merge(row, &cluster, &node, &e);
	hcv_thr_conf(&e, false, &c);
	KUNIT_EXPECT_EQ(test, c.mode, HCV_THR_LATENCY);
	KUNIT_EXPECT_EQ(test, c.static_kibps, 200 * MIB);
	KUNIT_EXPECT_EQ(test, c.iops, 800);
	KUNIT_EXPECT_EQ(test, e.from[HCV_TK_IOPS], HCV_TF_NODE);
	KUNIT_EXPECT_EQ(test, e.from[HCV_TK_LIMIT], HCV_TF_CLUSTER);
	KUNIT_EXPECT_EQ(test, e.from[HCV_TK_BANDWIDTH], HCV_TF_HARDWARE);
	KUNIT_EXPECT_STREQ(test, hcv_thr_from_name(e.from[HCV_TK_IOPS]),
			   "node");
}

/* A word that is said counts more than a default. */
static void throttle_conf_contradicts(struct kunit *test)
{
	const struct hcv_hw_row *row = conf_row("sata-10g");
	struct hcv_thr_set cluster = { 0 }, node = { 0 };
	struct hcv_thr_eff e;

	conf_set(test, &cluster, "recovery_max", "50M");
	hcv_thr_merge(row, &cluster, NULL, &e);
	KUNIT_EXPECT_EQ(test, e.val[HCV_TK_REC_MIN], 50 * MIB);
	KUNIT_EXPECT_EQ(test, e.val[HCV_TK_REC_MAX], 50 * MIB);
	conf_set(test, &node, "recovery_min", "80M");
	hcv_thr_merge(row, &cluster, &node, &e);
	KUNIT_EXPECT_EQ(test, e.val[HCV_TK_REC_MIN], 80 * MIB);
	KUNIT_EXPECT_EQ(test, e.val[HCV_TK_REC_MAX], 80 * MIB);
	conf_set(test, &cluster, "recovery_max", "5M");
	hcv_thr_merge(row, &cluster, NULL, &e);
	KUNIT_EXPECT_EQ(test, e.val[HCV_TK_REC_MIN], 5 * MIB);
	KUNIT_EXPECT_EQ(test, e.val[HCV_TK_FLOOR], 5 * MIB);
	conf_set(test, &cluster, "migration_min", "600M");
	hcv_thr_merge(row, &cluster, NULL, &e);
	KUNIT_EXPECT_EQ(test, e.val[HCV_TK_MIG_MAX], 600 * MIB);
}

static void throttle_conf_pauses(struct kunit *test)
{
	const struct hcv_hw_row *row = conf_row("sata-10g");
	struct hcv_thr_set cluster = { 0 }, node = { 0 };
	struct hcv_thr_conf c;
	struct hcv_thr_eff e;

	node.paused = true;
	hcv_thr_merge(row, &cluster, &node, &e);
	KUNIT_EXPECT_TRUE(test, e.paused);
	KUNIT_EXPECT_EQ(test, e.paused_by, HCV_TF_NODE);
	cluster.paused = true;
	hcv_thr_merge(row, &cluster, &node, &e);
	KUNIT_EXPECT_EQ(test, e.paused_by, HCV_TF_CLUSTER);
	/* a node cannot go on alone */
	node.paused = false;
	hcv_thr_merge(row, &cluster, &node, &e);
	hcv_thr_conf(&e, false, &c);
	KUNIT_EXPECT_TRUE(test, c.paused);
}

static void throttle_conf_texts(struct kunit *test)
{
	char out[32];

	hcv_thr_value_text(HCV_TK_REC_MIN, 320000, out);
	KUNIT_EXPECT_STREQ(test, out, "312.5 MiB/s");
	hcv_thr_value_text(HCV_TK_MIG_MIN, 160000, out);
	KUNIT_EXPECT_STREQ(test, out, "156.3 MiB/s");
	hcv_thr_value_text(HCV_TK_REC_MAX, 500 * MIB, out);
	KUNIT_EXPECT_STREQ(test, out, "500 MiB/s");
	hcv_thr_value_text(HCV_TK_REC_MAX, 64, out);
	KUNIT_EXPECT_STREQ(test, out, "64 KiB/s");
	hcv_thr_value_text(HCV_TK_IOPS, 1500, out);
	KUNIT_EXPECT_STREQ(test, out, "1500 IOPS");
	hcv_thr_value_text(HCV_TK_FACTOR, 205, out);
	KUNIT_EXPECT_STREQ(test, out, "2.05");
	hcv_thr_value_text(HCV_TK_MODE, HCV_THR_LATENCY, out);
	KUNIT_EXPECT_STREQ(test, out, hcv_thr_mode_name(HCV_THR_LATENCY));
}

static struct kunit_case throttle_conf_test_cases[] = {
	KUNIT_CASE_PARAM(throttle_conf_says, say_gen_params),
	KUNIT_CASE_PARAM(throttle_conf_json, json_gen_params),
	KUNIT_CASE(throttle_conf_merges),
	KUNIT_CASE(throttle_conf_contradicts),
	KUNIT_CASE(throttle_conf_pauses),
	KUNIT_CASE(throttle_conf_texts),
	{}
};

static struct kunit_suite throttle_conf_suite = {
	.name = "hcv_throttle_conf",
	.test_cases = throttle_conf_test_cases,
};

kunit_test_suite(throttle_conf_suite);
