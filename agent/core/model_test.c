// SPDX-License-Identifier: GPL-2.0-only
/*
 * JSON of the metadata store's values: what is written is pinned as text,
 * reads back as it was, and everything that does not fit is refused with a
 * sentence that names the member.
 */
#include <errno.h>
#include <kunit/test.h>
#include <linux/hcivol.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h"
#include "scrubplan.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define ID_A "aaaaaaaa-0000-4000-8000-000000000001"
#define ID_B "bbbbbbbb-0000-4000-8000-000000000002"
#define ID_C "cccccccc-0000-4000-8000-000000000003"

/* What is in the store must not change by accident. */
static void check_text(struct kunit *test, char *json, const char *want)
{
	KUNIT_ASSERT_NOT_NULL(test, json);
	KUNIT_EXPECT_STREQ(test, json, want);
	free(json);
}

static const char cluster_json[] =
	"{\"schema\":1,\"uuid\":\"" ID_A "\",\"name\":\"default\",\"created\":1700000000,\"scrub_days\":7,\"scrub_kibps\":2048}";

static void test_cluster(struct kunit *test)
{
	struct hcv_cluster_info c;
	char err[HCV_ERR_SIZE];

	KUNIT_ASSERT_EQ(test, hcv_model_cluster_decode(cluster_json, &c, err),
			0);
	KUNIT_EXPECT_STREQ(test, c.uuid, ID_A);
	KUNIT_EXPECT_STREQ(test, c.name, "default");
	KUNIT_EXPECT_EQ(test, c.created, 1700000000);
	KUNIT_EXPECT_EQ(test, c.scrub_days, 7);
	KUNIT_EXPECT_EQ(test, c.scrub_kibps, 2048);
	check_text(test, hcv_model_cluster_encode(&c), cluster_json);
	/* As written before there were scrubs. */
	KUNIT_ASSERT_EQ(test, hcv_model_cluster_decode(
			"{\"schema\":1,\"uuid\":\"" ID_A "\",\"name\":\"default\",\"created\":1}",
			&c, err), 0);
	KUNIT_EXPECT_EQ(test, c.scrub_days, HCV_SCRUB_DAYS);
	KUNIT_EXPECT_EQ(test, c.scrub_kibps, HCV_SCRUB_KIBPS);
}

static const char node_json[] =
	"{\"schema\":1,\"uuid\":\"" ID_A "\",\"name\":\"n1\",\"rack\":\"\",\"addr\":\"10.0.0.1\",\"port\":4420,\"transport\":\"tcp\",\"hostnqn\":\"nqn.2014-08.org.nvmexpress:uuid:"
	ID_A "\",\"hostid\":\"" ID_A "\",\"state\":\"draining\"}";

static void test_node(struct kunit *test)
{
	char err[HCV_ERR_SIZE];
	struct hcv_node_info n;

	KUNIT_ASSERT_EQ_MSG(test, hcv_model_node_decode(node_json, &n, err), 0,
			    "%s", err);
	KUNIT_EXPECT_TRUE(test, n.draining);
	KUNIT_EXPECT_FALSE(test, n.live);
	KUNIT_EXPECT_EQ(test, n.port, 4420);
	check_text(test, hcv_model_node_encode(&n), node_json);
}

static const char store_json[] =
	"{\"schema\":1,\"uuid\":\"" ID_A "\",\"node\":\"" ID_B "\",\"name\":\"s-1\",\"path\":\"/dev/disk/by-id/x\",\"dev_bytes\":18446744073709551614,\"nr_extents\":4294967295,\"class\":\"ssd\",\"state\":\"removed\"}";
static const char storelive_json[] =
	"{\"schema\":1,\"incarnation\":18446744073709551614,\"used_extents\":7,\"failed\":true,\"nqn\":\"nqn.2026-01.io.hcivol:"
	ID_A "\",\"addr\":\"fe80::1\",\"port\":4420,\"transport\":\"rdma\"}";

static void test_store(struct kunit *test)
{
	struct hcv_store_info s;
	char err[HCV_ERR_SIZE];

	KUNIT_ASSERT_EQ_MSG(test, hcv_model_store_decode(store_json, &s, err),
			    0, "%s", err);
	KUNIT_EXPECT_FALSE(test, s.live);
	KUNIT_EXPECT_STREQ(test, s.path, "/dev/disk/by-id/x");
	KUNIT_EXPECT_EQ(test, s.state, HCV_ST_REMOVED);
	KUNIT_EXPECT_TRUE(test, s.dev_bytes == UINT64_MAX - 1);
	KUNIT_ASSERT_EQ_MSG(test,
			    hcv_model_storelive_decode(storelive_json, &s,
						       err), 0, "%s", err);
	KUNIT_EXPECT_TRUE(test, s.live && s.failed);
	KUNIT_EXPECT_TRUE(test, s.incarnation == UINT64_MAX - 1);
	check_text(test, hcv_model_store_encode(&s), store_json);
	check_text(test, hcv_model_storelive_encode(&s), storelive_json);
	/* A bad live key leaves the rest alone. */
	KUNIT_EXPECT_EQ(test, hcv_model_storelive_decode("{\"schema\":1}", &s,
							 err), -EINVAL);
	KUNIT_EXPECT_EQ(test, s.used_extents, 7);
}

static const char vol_json[] =
	"{\"schema\":1,\"uuid\":\"" ID_A "\",\"name\":\"db_1.x\",\"size\":1099511627776,\"replicas\":2,\"stripe\":4,\"queue\":\"bio\",\"policy\":\"error\",\"policy_ms\":30000,\"sync_kibps\":51200,\"readonly\":true,\"slow_replica\":\"drop\",\"domain\":\"rack\",\"state\":\"deleting\",\"created\":0}";

static void test_vol(struct kunit *test)
{
	static const char old[] =
		"{\"schema\":1,\"uuid\":\"" ID_A "\",\"name\":\"a\",\"size\":4096,\"replicas\":1,\"stripe\":1,\"queue\":\"mq\",\"policy\":\"suspend\",\"policy_ms\":0,\"readonly\":false,\"domain\":\"disk\",\"state\":\"ready\",\"created\":0}";
	struct hcv_vol_info v;
	char err[HCV_ERR_SIZE];

	KUNIT_ASSERT_EQ_MSG(test, hcv_model_vol_decode(vol_json, &v, err), 0,
			    "%s", err);
	KUNIT_EXPECT_EQ(test, v.queue, HCV_QUEUE_BIO);
	KUNIT_EXPECT_EQ(test, v.policy, HCV_POLICY_ERROR);
	KUNIT_EXPECT_EQ(test, v.domain, HCV_DOM_RACK);
	KUNIT_EXPECT_EQ(test, v.sync_kibps, 51200);
	KUNIT_EXPECT_TRUE(test, v.readonly && v.deleting && v.slow_drop);
	check_text(test, hcv_model_vol_encode(&v), vol_json);
	/* One that was written before there was a limit. */
	KUNIT_ASSERT_EQ_MSG(test, hcv_model_vol_decode(old, &v, err), 0, "%s",
			    err);
	KUNIT_EXPECT_EQ(test, v.sync_kibps, 0);
	KUNIT_EXPECT_FALSE(test, v.slow_drop);
}

static const char record_json[] =
	"{\"schema\":1,\"owner\":\"" ID_C "\",\"epoch\":3,\"phase\":\"serving\",\"v\":18446744073709551614,\"lineage\":9,\"clean\":false,\"was_clean\":false,\"log\":true,\"before\":\"log\",\"stores\":{\""
	ID_A "\":{\"state\":\"insync\",\"v\":1},\"" ID_B "\":{\"state\":\"stale\",\"v\":0,\"renew\":7,\"passed\":true}}}";

/* With a temporary replica on C, for B. */
static const char temp_json[] =
	"{\"schema\":1,\"owner\":\"" ID_C "\",\"epoch\":3,\"phase\":\"serving\",\"v\":9,\"lineage\":9,\"clean\":false,\"was_clean\":false,\"log\":true,\"stores\":{\""
	ID_A "\":{\"state\":\"stale\",\"v\":8},\"" ID_B "\":{\"state\":\"syncing\",\"v\":5,\"renew\":6},\""
	ID_C "\":{\"state\":\"temporary\",\"v\":5,\"renew\":7,\"base\":\"" ID_B "\",\"covers\":true,\"pair\":true,\"named\":false}}}";

static void test_temporary(struct kunit *test)
{
	char err[HCV_ERR_SIZE], *text;
	struct hcv_record r;

	KUNIT_ASSERT_EQ_MSG(test, hcv_model_record_decode(temp_json, &r, err),
			    0, "%s", err);
	KUNIT_EXPECT_EQ(test, r.nr, 3);
	KUNIT_EXPECT_EQ(test, r.st[2].state, HCV_RS_TEMPORARY);
	KUNIT_EXPECT_STREQ(test, r.st[2].base, ID_B);
	KUNIT_EXPECT_TRUE(test, r.st[2].covers && r.st[2].pair);
	KUNIT_EXPECT_FALSE(test, r.st[2].named);
	KUNIT_EXPECT_STREQ(test, r.st[1].base, "");
	check_text(test, hcv_model_record_encode(&r), temp_json);
	r.st[0].state = HCV_RS_INSYNC;
	r.st[2].pair = false;
	r.st[2].covers = false;
	r.st[2].named = true;
	text = hcv_model_record_encode(&r);
	KUNIT_ASSERT_NOT_NULL(test, text);
	memset(&r, 0, sizeof(r));
	KUNIT_EXPECT_EQ_MSG(test, hcv_model_record_decode(text, &r, err), 0,
			    "%s", err);
	KUNIT_EXPECT_FALSE(test, r.st[2].covers || r.st[2].pair);
	KUNIT_EXPECT_TRUE(test, r.st[2].named);
	free(text);
}

static void test_record(struct kunit *test)
{
	static const char unowned[] =
		"{\"schema\":1,\"owner\":\"\",\"epoch\":0,\"phase\":\"none\",\"v\":1,\"lineage\":1,\"clean\":true,\"stores\":{}}";
	struct hcv_record r;
	char err[HCV_ERR_SIZE];

	KUNIT_ASSERT_EQ_MSG(test, hcv_model_record_decode(record_json, &r,
							  err), 0, "%s", err);
	KUNIT_EXPECT_EQ(test, r.nr, 2);
	KUNIT_EXPECT_STREQ(test, r.st[1].store, ID_B);
	KUNIT_EXPECT_EQ(test, r.st[1].state, HCV_RS_STALE);
	KUNIT_EXPECT_EQ(test, r.st[0].renew, 0);
	KUNIT_EXPECT_EQ(test, r.st[1].renew, 7);
	KUNIT_EXPECT_TRUE(test, r.log);
	KUNIT_EXPECT_EQ(test, r.before, HCV_RB_LOG);
	KUNIT_EXPECT_FALSE(test, r.st[0].passed);
	KUNIT_EXPECT_TRUE(test, r.st[1].passed);
	KUNIT_EXPECT_TRUE(test, r.v == UINT64_MAX - 1);
	check_text(test, hcv_model_record_encode(&r), record_json);
	KUNIT_EXPECT_EQ_MSG(test, hcv_model_record_decode(unowned, &r, err), 0,
			    "%s", err);
	KUNIT_EXPECT_EQ(test, r.nr, 0);
	KUNIT_EXPECT_FALSE(test, r.log);
	KUNIT_EXPECT_EQ(test, r.before, HCV_RB_UNKNOWN);
}

static const char hand_json[] =
	"{\"schema\":1,\"owner\":\"" ID_C "\",\"epoch\":3,\"phase\":\"serving\",\"v\":9,\"lineage\":9,\"clean\":false,\"was_clean\":false,\"handover\":{\"to\":\"" ID_A "\",\"v\":8,\"ready\":true,\"go\":false,\"limit_ms\":600000},\"stores\":{\""
	ID_A "\":{\"state\":\"insync\",\"v\":1}}}";

/* A record without a wish has no such member; half a wish is none. */
static void test_record_hand(struct kunit *test)
{
	static const char *const cut[] = {
		"\"to\":\"" ID_A "\",", "\"v\":8,", "\"ready\":true,",
		"\"go\":false,", ",\"limit_ms\":600000",
	};
	struct hcv_record r;
	char err[HCV_ERR_SIZE], *json, *at;
	size_t i;

	KUNIT_ASSERT_EQ_MSG(test, hcv_model_record_decode(hand_json, &r, err),
			    0, "%s", err);
	KUNIT_EXPECT_STREQ(test, r.hand.to, ID_A);
	KUNIT_EXPECT_EQ(test, r.hand.v, 8);
	KUNIT_EXPECT_TRUE(test, r.hand.ready && !r.hand.go);
	KUNIT_EXPECT_EQ(test, r.hand.limit_ms, 600000);
	check_text(test, hcv_model_record_encode(&r), hand_json);
	for (i = 0; i < 5; i++) {
		json = strdup(hand_json);
		at = strstr(json + strlen("{\"schema\":1,\"owner\""), cut[i]);
		if (i == 1)	/* not the record's own */
			at = strstr(strstr(json, "handover"), cut[i]);
		KUNIT_ASSERT_NOT_NULL(test, at);
		memmove(at, at + strlen(cut[i]),
			strlen(at + strlen(cut[i])) + 1);
		KUNIT_EXPECT_EQ_MSG(test, hcv_model_record_decode(json, &r,
								  err),
				    -EINVAL, "%s", cut[i]);
		free(json);
	}
	KUNIT_ASSERT_EQ(test, hcv_model_record_decode(record_json, &r, err),
			0);
	KUNIT_EXPECT_STREQ(test, r.hand.to, "");
}

static const char care_json[] =
	"{\"schema\":1,\"owner\":\"" ID_C "\",\"epoch\":3,\"phase\":\"taking\",\"v\":9,\"lineage\":9,\"clean\":false,\"was_clean\":true,\"caretaker\":{\"leave\":true},\"stores\":{\""
	ID_A "\":{\"state\":\"insync\",\"v\":1}}}";

/* Who attaches a volume has no such member, who takes care of it has all of it. */
static void test_record_care(struct kunit *test)
{
	char err[HCV_ERR_SIZE], *json, *at;
	struct hcv_record r;

	KUNIT_ASSERT_EQ_MSG(test, hcv_model_record_decode(care_json, &r, err),
			    0, "%s", err);
	KUNIT_EXPECT_TRUE(test, r.care.on && r.care.leave);
	check_text(test, hcv_model_record_encode(&r), care_json);
	json = strdup(care_json);
	at = strstr(json, "\"leave\":true");
	memmove(at, at + strlen("\"leave\":true"),
		strlen(at + strlen("\"leave\":true")) + 1);
	KUNIT_EXPECT_EQ(test, hcv_model_record_decode(json, &r, err), -EINVAL);
	free(json);
	KUNIT_ASSERT_EQ(test, hcv_model_record_decode(record_json, &r, err),
			0);
	KUNIT_EXPECT_FALSE(test, r.care.on || r.care.leave);
}

static const char grant_json[] =
	"{\"schema\":1,\"epoch\":3,\"client\":\"" ID_A "\",\"incarnation\":5,\"ready\":8,\"renew\":12,\"ranges\":[[1024,0,8],[9007199254740993,8,4294967288]]}";

static void test_grant(struct kunit *test)
{
	struct hcv_grant_info g;
	char err[HCV_ERR_SIZE];

	KUNIT_ASSERT_EQ_MSG(test, hcv_model_grant_decode(grant_json, &g, err),
			    0, "%s", err);
	KUNIT_EXPECT_EQ(test, g.nr, 2);
	KUNIT_EXPECT_EQ(test, g.renew, 12);
	KUNIT_EXPECT_EQ(test, g.range[1].first, 9007199254740993LL);
	check_text(test, hcv_model_grant_encode(&g), grant_json);
}

static const char rows_json[] =
	"{\"schema\":1,\"next\":5,\"stores\":[\"" ID_A "\",\"" ID_B "\",\"" ID_C "\"],\"rows\":[[0,0,[0,1],3],[1,1,[1],1],[4,3,[2,0],2]]}";

static void test_rows(struct kunit *test)
{
	static const char more[] =
		"{\"schema\":1,\"next\":9,\"stores\":[\"" ID_C "\"],\"rows\":[[7,0,[0],0]]}";
	static const char bad[] =
		"{\"schema\":1,\"next\":9,\"stores\":[\"" ID_C "\"],\"rows\":[[7,0,[0],0],[8,0,[1],0]]}";
	struct hcv_rows rows = { 0 };
	char err[HCV_ERR_SIZE];

	KUNIT_ASSERT_EQ_MSG(test, hcv_model_rows_decode(rows_json, &rows, err),
			    0, "%s", err);
	KUNIT_ASSERT_EQ(test, rows.nr, 3);
	KUNIT_EXPECT_EQ(test, rows.next, 5);
	KUNIT_EXPECT_STREQ(test, rows.row[2].store[0], ID_C);
	KUNIT_EXPECT_EQ(test, rows.row[2].full, 2);
	check_text(test, hcv_model_rows_encode(&rows, 0, 3), rows_json);
	/* A further key appends; a bad one changes nothing. */
	KUNIT_ASSERT_EQ(test, hcv_model_rows_decode(more, &rows, err), 0);
	KUNIT_EXPECT_EQ(test, rows.nr, 4);
	KUNIT_EXPECT_EQ(test, rows.next, 9);
	KUNIT_EXPECT_EQ(test, hcv_model_rows_decode(bad, &rows, err), -EINVAL);
	KUNIT_EXPECT_EQ(test, rows.nr, 4);
	check_text(test, hcv_model_rows_encode(&rows, 3, 1), more);
	hcv_model_rows_free(&rows);
	check_text(test, hcv_model_rows_encode(&rows, 0, 0),
		   "{\"schema\":1,\"next\":0,\"stores\":[],\"rows\":[]}");
}

static void test_rows_full_key(struct kunit *test)
{
	struct hcv_rows rows = { .next = HCV_ROWS_PER_KEY }, back = { 0 };
	char err[HCV_ERR_SIZE], *json;
	struct hcv_row *row;
	unsigned int i, k;

	rows.row = kunit_kzalloc(test, HCV_ROWS_PER_KEY * sizeof(*row), 0);
	for (i = 0; i < HCV_ROWS_PER_KEY; i++) {
		row = &rows.row[rows.nr++];
		row->index = i;
		row->nr = 3;
		row->full = 7;
		for (k = 0; k < 3; k++)
			snprintf(row->store[k], HCV_ID_LEN,
				 "%08x-0000-4000-8000-000000000000",
				 1 + (i + k) % 40);
	}
	json = hcv_model_rows_encode(&rows, 0, rows.nr);
	KUNIT_ASSERT_NOT_NULL(test, json);
	/* Ten of them fit into a transaction of etcd. */
	KUNIT_EXPECT_LT(test, strlen(json), 100000);
	KUNIT_ASSERT_EQ_MSG(test, hcv_model_rows_decode(json, &back, err), 0,
			    "%s", err);
	KUNIT_EXPECT_EQ(test, back.nr, rows.nr);
	KUNIT_EXPECT_EQ(test, memcmp(back.row, rows.row,
				     rows.nr * sizeof(*row)), 0);
	hcv_model_rows_free(&back);
	free(json);
}

/* All decoders, each into a copy that must not change. */
enum kind { CLUSTER, NODE, STORE, STORELIVE, VOL, RECORD, TEMP, ROWS, GRANT,
	    KINDS };

union any {
	struct hcv_cluster_info cluster;
	struct hcv_node_info node;
	struct hcv_store_info store;
	struct hcv_vol_info vol;
	struct hcv_record record;
	struct hcv_rows rows;
	struct hcv_grant_info grant;
};

static const char *const good[KINDS] = {
	[CLUSTER] = cluster_json, [NODE] = node_json, [STORE] = store_json,
	[STORELIVE] = storelive_json, [VOL] = vol_json,
	[RECORD] = record_json, [TEMP] = temp_json, [ROWS] = rows_json, [GRANT] = grant_json,
};

static int decode(enum kind kind, const char *json, union any *out, char *err)
{
	switch (kind) {
	case CLUSTER:
		return hcv_model_cluster_decode(json, &out->cluster, err);
	case NODE:
		return hcv_model_node_decode(json, &out->node, err);
	case STORE:
		return hcv_model_store_decode(json, &out->store, err);
	case STORELIVE:
		return hcv_model_storelive_decode(json, &out->store, err);
	case VOL:
		return hcv_model_vol_decode(json, &out->vol, err);
	case RECORD:
	case TEMP:
		return hcv_model_record_decode(json, &out->record, err);
	case ROWS:
		return hcv_model_rows_decode(json, &out->rows, err);
	default:
		return hcv_model_grant_decode(json, &out->grant, err);
	}
}

static void expect_bad(struct kunit *test, enum kind kind, const char *json,
		       const char *words)
{
	union any out, before;
	char err[HCV_ERR_SIZE] = "";

	memset(&out, 0, sizeof(out));
	before = out;
	KUNIT_EXPECT_EQ_MSG(test, decode(kind, json, &out, err), -EINVAL,
			    "%s", json);
	/* Of rows, room may have been made; none was added. */
	if (kind == ROWS) {
		free(out.rows.row);
		out.rows.row = NULL;
	}
	KUNIT_EXPECT_EQ_MSG(test, memcmp(&out, &before, sizeof(out)), 0, "%s",
			    json);
	KUNIT_EXPECT_TRUE_MSG(test, *err && strstr(err, words), "%s: %s", err,
			      json);
}

/* Text of @kind with the first @from replaced. */
struct change {
	enum kind kind;
	const char *from;
	const char *to;
	const char *words;
};

static struct change changes[] = {
	{ CLUSTER, "\"schema\":1,", "", "schema" },
	{ CLUSTER, "\"schema\":1", "\"schema\":2", "update hcivol" },
	{ CLUSTER, "\"schema\":1", "\"schema\":\"1\"", "schema" },
	{ CLUSTER, ID_A, "AAAAAAAA-0000-4000-8000-000000000001", "uuid" },
	{ CLUSTER, ID_A, "00000000-0000-0000-0000-000000000000", "uuid" },
	{ CLUSTER, ID_A, "aaaaaaaa-0000-4000-8000-00000000000", "uuid" },
	{ CLUSTER, ID_A, "aaaaaaaa-0000-4000-8000-0000000000011", "uuid" },
	{ CLUSTER, ID_A, "aaaaaaaa00000-4000-8000-000000000001", "uuid" },
	{ CLUSTER, "default", "", "name" },
	{ CLUSTER, "default", "-x", "name" },
	{ CLUSTER, "default", "a/b", "name" },
	{ CLUSTER, "default", ID_A, "name" },
	{ CLUSTER, "default", "a\\u0000b", "name" },
	{ CLUSTER, "default",
	  "a123456789012345678901234567890123456789012345678901234567890123",
	  "name" },
	{ CLUSTER, "1700000000", "-1", "created" },
	{ CLUSTER, "1700000000", "1.5", "created" },
	{ CLUSTER, "1700000000", "9223372036854775808", "created" },
	{ CLUSTER, "}", "", "JSON" },
	{ CLUSTER, "}", "}x", "JSON" },
	{ CLUSTER, "}", ",}", "JSON" },
	{ CLUSTER, "\"", "'", "JSON" },
	{ NODE, "4420", "0", "port" },
	{ NODE, "4420", "65536", "port" },
	{ NODE, "tcp", "fc", "transport" },
	{ NODE, "draining", "gone", "state" },
	{ NODE, "\"rack\":\"\"", "\"rack\":null", "rack" },
	{ STORE, "18446744073709551614", "18446744073709551616", "dev_bytes" },
	{ STORE, "18446744073709551614", "18446744073709551615", "dev_bytes" },
	{ STORE, "18446744073709551614", "-18446744073709551616", "dev_bytes" },
	{ STORE, "18446744073709551614", "0", "dev_bytes" },
	{ STORE, "4294967295", "4294967296", "nr_extents" },
	{ STORE, "ssd", "tape", "class" },
	{ STORELIVE, "true", "1", "failed" },
	{ STORELIVE, "18446744073709551614", "-1", "incarnation" },
	{ VOL, "1099511627776", "0", "size" },
	{ VOL, "1099511627776", "513", "size" },
	{ VOL, "1099511627776", "1152921504606847488", "size" },
	{ VOL, "\"replicas\":2", "\"replicas\":4", "replicas" },
	{ VOL, "\"replicas\":2", "\"replicas\":0", "replicas" },
	{ VOL, "\"stripe\":4", "\"stripe\":3", "stripe" },
	{ VOL, "\"bio\"", "\"rq\"", "queue" },
	{ VOL, "\"error\"", "\"\"", "policy" },
	{ VOL, "\"rack\"", "\"row\"", "domain" },
	{ RECORD, ID_C, "x", "owner" },
	{ RECORD, ID_C, "", "owner" },
	{ RECORD, "\"epoch\":3", "\"epoch\":0", "epoch" },
	{ RECORD, "serving", "none", "owner" },
	{ RECORD, "serving", "idle", "phase" },
	{ RECORD, "\"clean\":false", "\"clean\":true", "clean" },
	{ RECORD, "\"was_clean\":false", "\"was_clean\":true", "was_clean" },
	{ RECORD, "\"log\":true", "\"log\":1", "log" },
	{ RECORD, "\"v\":18446744073709551614", "\"v\":0", "v" },
	{ RECORD, "insync", "stale", "in-sync" },
	{ RECORD, "insync", "good", "state" },
	{ RECORD, ID_A, "a", "stores" },
	{ RECORD, "{\"state\":\"stale\",\"v\":0,\"renew\":7,\"passed\":true}",
	  "7", "stores" },
	{ RECORD, "\"passed\":true", "\"passed\":1", "passed" },
	{ RECORD, "\"before\":\"log\"", "\"before\":\"maybe\"", "before" },
	{ RECORD, "\"before\":\"log\",", "", "passed over" },
	{ RECORD, "\"renew\":7", "\"renew\":-7", "renew" },
	{ RECORD, "\"renew\":7", "\"renew\":\"7\"", "renew" },
	{ TEMP, "temporary", "passing", "state" },
	{ TEMP, "\"base\":\"" ID_B "\",", "", "base" },
	{ TEMP, "\"base\":\"" ID_B, "\"base\":\"b", "base" },
	{ TEMP, "\"base\":\"" ID_B, "\"base\":\"" ID_C, "temporary" },
	{ TEMP, "\"base\":\"" ID_B, "\"base\":\"" ID_A, "temporary" },
	{ TEMP, "\"covers\":true,", "", "covers" },
	{ TEMP, "\"covers\":true", "\"covers\":false", "mark" },
	{ TEMP, "\"covers\":true", "\"covers\":1", "covers" },
	{ TEMP, ",\"pair\":true", "", "pair" },
	{ TEMP, ",\"named\":false", "", "named" },
	{ TEMP, "\"log\":true,", "", "logs" },
	{ TEMP, "\"pair\":true", "\"pair\":false", "in-sync" },
	{ TEMP, "syncing", "insync", "temporary" },
	{ TEMP, "\"v\":5,\"renew\":6", "\"v\":4,\"renew\":6", "temporary" },
	{ ROWS, "\"next\":5", "\"next\":4", "next" },
	{ ROWS, "[0,0,[0,1],3]", "[0,0,[0,1]]", "no row" },
	{ ROWS, "[0,0,[0,1],3]", "[0,0,[0,1],4]", "mask" },
	{ ROWS, "[0,0,[0,1],3]", "[0,0,[0,0],3]", "twice" },
	{ ROWS, "[0,0,[0,1],3]", "[0,0,[0,3],3]", "not listed" },
	{ ROWS, "[0,0,[0,1],3]", "[0,0,[],0]", "0 stores" },
	{ ROWS, "[0,0,[0,1],3]", "[0,0,[0,1,2,0,1],3]", "5 stores" },
	{ ROWS, "[0,0,[0,1],3]", "[0,0,3,3]", "stores" },
	{ ROWS, "[0,0,[0,1],3]", "[0,4,[0,1],3]", "column" },
	{ ROWS, "[0,0,[0,1],3]", "[1,0,[0,1],3]", "order" },
	{ ROWS, "[0,0,[0,1],3]", "[-1,0,[0,1],3]", "index" },
	{ ROWS, "[0,0,[0,1],3]", "[\"0\",0,[0,1],3]", "index" },
	{ ROWS, ID_B, "b", "store" },
	{ GRANT, "\"epoch\":3", "\"epoch\":0", "epoch" },
	{ GRANT, "\"renew\":12", "\"renew\":0", "renew" },
	{ GRANT, "[1024,0,8]", "[0,0,8]", "range" },
	{ GRANT, "[1024,0,8]", "[1024,0,0]", "range" },
	{ GRANT, "[1024,0,8]", "[1024,8]", "range" },
	{ GRANT, "[1024,0,8]", "[1024,4294967295,2]", "range" },
	{ GRANT, "[1024,0,8]", "[18446744073709551615,0,2]", "range" },
};

static void change_desc(struct change *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s to %s", c->from, c->to);
}

KUNIT_ARRAY_PARAM(change, changes, change_desc);

static void test_refused(struct kunit *test)
{
	const struct change *c = test->param_value;
	const char *text = good[c->kind];
	const char *at = strstr(text, c->from);
	char changed[2048];

	KUNIT_ASSERT_NOT_NULL(test, at);
	snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text,
		 c->to, at + strlen(c->from));
	expect_bad(test, c->kind, changed, c->words);
}

/* Cut off anywhere, no text is one. */
static void test_truncated(struct kunit *test)
{
	char text[2048];
	size_t len;
	int kind;

	for (kind = 0; kind < KINDS; kind++) {
		for (len = 0; len < strlen(good[kind]); len++) {
			snprintf(text, len + 1, "%s", good[kind]);
			expect_bad(test, (enum kind)kind, text, "");
		}
	}
	expect_bad(test, VOL, "[]", "object");
	expect_bad(test, VOL, "null", "");
	expect_bad(test, VOL, "7", "");
}

/* Newer versions may add members. */
static void test_unknown_members(struct kunit *test)
{
	char text[2048], err[HCV_ERR_SIZE] = "";
	union any out;
	int kind;

	for (kind = 0; kind < KINDS; kind++) {
		memset(&out, 0, sizeof(out));
		snprintf(text, sizeof(text), "{\"new\":{\"a\":[1]},%s",
			 good[kind] + 1);
		KUNIT_EXPECT_EQ_MSG(test, decode((enum kind)kind, text, &out,
						 err), 0, "%s", err);
		if (kind == ROWS)
			hcv_model_rows_free(&out.rows);
	}
}

static void test_names(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, hcv_model_name_ok("a"));
	KUNIT_EXPECT_TRUE(test, hcv_model_name_ok("0"));
	KUNIT_EXPECT_TRUE(test, hcv_model_name_ok("Db-1.old_2"));
	KUNIT_EXPECT_FALSE(test, hcv_model_name_ok(""));
	KUNIT_EXPECT_FALSE(test, hcv_model_name_ok("."));
	KUNIT_EXPECT_FALSE(test, hcv_model_name_ok(".."));
	KUNIT_EXPECT_FALSE(test, hcv_model_name_ok("a b"));
	KUNIT_EXPECT_FALSE(test, hcv_model_name_ok("\xc3\xbc"));
	KUNIT_EXPECT_FALSE(test, hcv_model_name_ok(ID_A));
	KUNIT_EXPECT_TRUE(test, hcv_model_uuid_ok(ID_A));
	KUNIT_EXPECT_FALSE(test, hcv_model_uuid_ok(""));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(test_cluster),
	KUNIT_CASE(test_node),
	KUNIT_CASE(test_store),
	KUNIT_CASE(test_vol),
	KUNIT_CASE(test_record),
	KUNIT_CASE(test_record_hand),
	KUNIT_CASE(test_record_care),
	KUNIT_CASE(test_temporary),
	KUNIT_CASE(test_grant),
	KUNIT_CASE(test_rows),
	KUNIT_CASE(test_rows_full_key),
	KUNIT_CASE_PARAM(test_refused, change_gen_params),
	KUNIT_CASE(test_truncated),
	KUNIT_CASE(test_unknown_members),
	KUNIT_CASE(test_names),
	{}
};

static struct kunit_suite suite = {
	.name = "hcv_model",
	.test_cases = cases,
};
kunit_test_suite(suite);
