// SPDX-License-Identifier: GPL-2.0-only
/*
 * agent/sync_limit.c between a module and a metadata store that are played
 * here: what the module is told, second by second.
 */
#include <kunit/test.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/recplan.h"
#include "hwprobe.h"
#include "sync_limit.h"

#define MIB	1024U
#define VOLS	3
#define FIRST	(25 * MIB)	/* a quarter of the lowest limit */

/* The world: time, the module's volumes, the newest snapshot. */
static struct {
	int64_t now_ms;
	struct hcv_snap *snap;
	struct hcv_snap_node node, other;	/* this one, and that of s1 */
	struct hcv_snap_vol def[VOLS];
	struct hcv_k_vol vol[VOLS];
	struct hcv_k_stats stats;
	size_t nr;
	unsigned int sets;
	uint64_t most_kibps;	/* that resyncs ever had together */
	struct hcv_snap a_snap;
} world;

int64_t hcv_now_ms(void)
{
	return world.now_ms;
}

const struct hcv_identity *hcv_agent_id(struct hcv_agent *a)
{
	static const struct hcv_identity id = { .node = "n" };

	return &id;
}

struct hcv_snap *hcv_snap_get(struct hcv_agent *a)
{
	return world.snap;
}

void hcv_snap_put(struct hcv_snap *s)
{
}

const struct hcv_snap_node *hcv_snap_node(const struct hcv_snap *s,
					  const char *uuid)
{
	return strcmp(uuid, "n2") ? &world.node : &world.other;
}

const struct hcv_snap_store *hcv_snap_store(const struct hcv_snap *s,
					    const char *uuid)
{
	static const struct hcv_snap_store here = { .i.node = "n" },
					   there = { .i.node = "n2" };

	return strcmp(uuid, "s1") ? &here : &there;
}

const struct hcv_snap_vol *hcv_snap_vol(const struct hcv_snap *s,
					const char *uuid)
{
	size_t i;

	for (i = 0; i < VOLS; i++)
		if (!strcmp(world.def[i].uuid, uuid))
			return &world.def[i];
	return NULL;
}

struct hcv_klink *hcv_job_klink(struct hcv_job *job)
{
	return (struct hcv_klink *)&world;
}

const char *hcv_klink_error(const struct hcv_klink *k)
{
	return "";
}

void hcv_crash_pass(struct hcv_crash_point *p)
{
}

void hcv_log(enum hcv_severity sev, const char *fmt, ...)
{
}

void hcv_hwprobe(struct hcv_agent *a, const struct hcv_snap *snap,
		 struct hcv_hw *out)
{
	*out = (struct hcv_hw){ .disks = { 0, 2, 0 }, .link_mbps = 10000 };
}

int hcv_k_vol_stats(struct hcv_klink *k, const char *vol,
		    struct hcv_k_stats *out)
{
	*out = world.stats;
	return 0;
}

static void world_sum(void)
{
	uint64_t sum = 0;
	size_t i, j;

	for (i = 0; i < world.nr; i++)
		for (j = 0; j < world.vol[i].nr_links; j++)
			if (world.vol[i].link[j].state == HCV_LINK_SYNCING &&
			    world.vol[i].sync_kibps != HCV_SYNC_PAUSED)
				sum += world.vol[i].sync_kibps;
	if (sum > world.most_kibps)
		world.most_kibps = sum;
}

int hcv_k_vol_set(struct hcv_klink *k, const char *vol, uint64_t epoch,
		  const struct hcv_k_vol_set *s)
{
	size_t i;

	world.sets++;
	for (i = 0; i < world.nr; i++) {
		if (strcmp(world.vol[i].uuid, vol))
			continue;
		if (world.vol[i].epoch != epoch)
			return -ESTALE;
		world.vol[i].sync_kibps = *s->sync_kibps;
		world_sum();
		return 0;
	}
	return -ENOENT;
}

/* -------------------------------------------------------------- what goes on */

static void world_begin(size_t nr)
{
	size_t i;

	/* Time goes on, and what the code remembers was of other volumes. */
	world.now_ms += 100000;
	world.nr = nr;
	world.snap = NULL;
	memset(&world.a_snap, 0, sizeof(world.a_snap));
	memset(&world.node, 0, sizeof(world.node));
	memset(&world.other, 0, sizeof(world.other));
	strcpy(world.node.i.uuid, "n");
	strcpy(world.node.i.name, "one");
	strcpy(world.other.i.uuid, "n2");
	strcpy(world.other.i.name, "two");
	memset(world.vol, 0, sizeof(world.vol));
	for (i = 0; i < VOLS; i++) {
		struct hcv_k_vol *k = &world.vol[i];

		snprintf(k->uuid, sizeof(k->uuid), "u%zu-%lld", i,
			 (long long)world.now_ms);
		snprintf(k->name, sizeof(k->name), "db%zu", i);
		k->epoch = 1;
		k->state = HCV_VOL_ACTIVE;
		k->nr_links = 2;
		strcpy(k->link[0].store, "s0");
		strcpy(k->link[1].store, "s1");
		k->link[0].state = HCV_LINK_INSYNC;
		k->link[1].state = HCV_LINK_INSYNC;
		/* of a resync that was over long ago */
		k->link[0].sync_copied = 777ULL << 30;
		memset(&world.def[i], 0, sizeof(world.def[i]));
		memcpy(world.def[i].uuid, k->uuid, sizeof(k->uuid));
		world.def[i].rev = 1;
	}
}

static void world_settings(void)
{
	world.snap = &world.a_snap;
}

/* A second in which resyncs copy what they may, and db0 does @ios writes. */
static void world_second(unsigned int ios)
{
	struct hcv_job job = { 0 };
	struct hcv_k_vol *k;
	size_t i, j;

	world.now_ms += 1000;
	world.vol[0].count.write_ios += ios;
	world.vol[0].count.write_bytes += ios * 4096ULL;
	for (i = 0; i < world.nr; i++) {
		k = &world.vol[i];
		for (j = 0; j < k->nr_links; j++)
			if (k->link[j].state == HCV_LINK_SYNCING &&
			    k->sync_kibps != HCV_SYNC_PAUSED)
				k->link[j].sync_copied +=
					(uint64_t)k->sync_kibps << 10;
	}
	hcv_sync_limit_look(&job, world.vol, world.nr);
}

static void world_run(unsigned int seconds, unsigned int ios)
{
	while (seconds--)
		world_second(ios);
}

static void recover(unsigned int vol)
{
	world.vol[vol].link[1].state = HCV_LINK_SYNCING;
}

static uint32_t kibps(unsigned int vol)
{
	return world.vol[vol].sync_kibps;
}

static void expect_reason(struct kunit *test, unsigned int vol,
			  const char *part)
{
	struct hcv_sync_limit l;

	KUNIT_ASSERT_TRUE(test, hcv_sync_limit_get(world.vol[vol].uuid, &l));
	KUNIT_EXPECT_EQ(test, l.kibps, kibps(vol));
	KUNIT_EXPECT_TRUE_MSG(test, strstr(l.reason, part), "%s", l.reason);
}

/* ------------------------------------------------------------------ the cases */

/* Nothing is known of the settings: nothing is touched, new ones are paused. */
static void sync_limit_unknown(struct kunit *test)
{
	struct hcv_sync_report r;

	world_begin(1);
	world.vol[0].sync_kibps = 4711;
	recover(0);
	world_run(6, 0);
	KUNIT_EXPECT_EQ(test, kibps(0), 4711);
	expect_reason(test, 0, "left as it was: the metadata store");
	hcv_sync_limit_report(&r);
	KUNIT_EXPECT_FALSE(test, r.known);
	KUNIT_EXPECT_EQ(test, hcv_sync_limit_first(0), HCV_SYNC_PAUSED);
	/* There are some that nobody here understands: guests come first. */
	world_settings();
	world.a_snap.recovery.bad = true;
	strcpy(world.a_snap.recovery.why, "schema 9");
	world_second(0);
	KUNIT_EXPECT_EQ(test, kibps(0), 4711);
	world.vol[0].sync_kibps = 400 * MIB;
	world_second(0);
	KUNIT_EXPECT_EQ(test, kibps(0), 100 * MIB);
	expect_reason(test, 0, "not raised: its settings cannot be read");
	world.vol[0].sync_kibps = HCV_SYNC_PAUSED;
	world_run(6, 0);
	KUNIT_EXPECT_EQ(test, kibps(0), HCV_SYNC_PAUSED);
	KUNIT_EXPECT_EQ(test, hcv_sync_limit_first(0), HCV_SYNC_PAUSED);
	world.vol[0].sync_kibps = 4711;
	world.a_snap.recovery.bad = false;
	world.now_ms += 100000;
	world_second(0);
	KUNIT_EXPECT_EQ(test, kibps(0), 100 * MIB);
	KUNIT_EXPECT_EQ(test, hcv_sync_limit_first(0), FIRST);
	KUNIT_EXPECT_EQ(test, hcv_sync_limit_first(100), 100);
	hcv_sync_limit_report(&r);
	KUNIT_EXPECT_TRUE(test, r.known);
	KUNIT_EXPECT_STREQ(test, r.row->name, "sata-10g");
}

static void sync_limit_auto(struct kunit *test)
{
	unsigned int sets;

	world_begin(2);
	world_settings();
	world_second(0);
	KUNIT_EXPECT_EQ(test, kibps(0), FIRST);
	expect_reason(test, 0, "nothing is being recovered");
	recover(0);
	world_run(30, 0);
	KUNIT_EXPECT_EQ(test, kibps(0), 500 * MIB);
	/* One more: the sum stays, and what one may not use the other has. */
	recover(1);
	world_run(2, 0);
	KUNIT_EXPECT_EQ(test, kibps(0), 250 * MIB);
	KUNIT_EXPECT_EQ(test, kibps(1), 250 * MIB);
	expect_reason(test, 0, "its part of 500 MiB/s: ");
	world.def[1].i.sync_kibps = 1000;
	world_second(0);
	KUNIT_EXPECT_EQ(test, kibps(1), 1000);
	KUNIT_EXPECT_EQ(test, kibps(0), 500 * MIB - 1000);
	expect_reason(test, 1, "the volume's own limit");
	/* The module is told what changes, and nothing else. */
	sets = world.sets;
	world_run(10, 0);
	KUNIT_EXPECT_EQ(test, world.sets, sets);
	world_run(4, 1500);
	KUNIT_EXPECT_EQ(test, kibps(0) + kibps(1), 100 * MIB);
	expect_reason(test, 0, "foreground load of 1500 IOPS");
	world_run(8, 0);
	KUNIT_EXPECT_GT(test, kibps(0), 100 * MIB);
}

/* What was read last holds, and the guests are looked at as before. */
static void sync_limit_unreadable(struct kunit *test)
{
	world_begin(1);
	world_settings();
	world_second(0);
	recover(0);
	world_run(30, 0);
	KUNIT_EXPECT_EQ(test, kibps(0), 500 * MIB);
	world.a_snap.recovery.bad = true;
	world_run(2, 0);
	KUNIT_EXPECT_EQ(test, kibps(0), 500 * MIB);
	world_run(4, 1500);
	KUNIT_EXPECT_EQ(test, kibps(0), 100 * MIB);
	expect_reason(test, 0, "foreground load of 1500 IOPS");
	world_run(30, 0);
	KUNIT_EXPECT_EQ(test, kibps(0), 500 * MIB);
}

static void sync_limit_paused(struct kunit *test)
{
	struct hcv_sync_report r;
	uint64_t copied;

	world_begin(2);
	world_settings();
	recover(0);
	world_run(6, 0);
	world.a_snap.recovery.s.paused = true;
	world_second(0);
	KUNIT_EXPECT_EQ(test, kibps(0), HCV_SYNC_PAUSED);
	KUNIT_EXPECT_EQ(test, kibps(1), HCV_SYNC_PAUSED);
	KUNIT_EXPECT_EQ(test, hcv_sync_limit_first(5), HCV_SYNC_PAUSED);
	expect_reason(test, 0, "recovery is paused in the cluster");
	copied = world.vol[0].link[1].sync_copied;
	world_run(5, 0);
	KUNIT_EXPECT_EQ(test, world.vol[0].link[1].sync_copied, copied);
	/* What cannot be read does not end it. */
	world.a_snap.recovery.s.paused = false;
	world.a_snap.recovery.bad = true;
	world_run(5, 0);
	KUNIT_EXPECT_EQ(test, kibps(0), HCV_SYNC_PAUSED);
	expect_reason(test, 0, "recovery is paused in the cluster");
	hcv_sync_limit_report(&r);
	KUNIT_EXPECT_TRUE(test, strstr(r.why, "its settings cannot be read"));
	world.a_snap.recovery.bad = false;
	world.node.recovery.s.paused = true;
	world_second(0);
	KUNIT_EXPECT_EQ(test, kibps(0), HCV_SYNC_PAUSED);
	expect_reason(test, 0, "on this node");
	world.node.recovery.s.paused = false;
	world_second(0);
	KUNIT_EXPECT_NE(test, kibps(0), HCV_SYNC_PAUSED);
	KUNIT_EXPECT_EQ(test, kibps(1), FIRST);
}

/* Counters of before are no load: a new epoch, a volume that comes. */
static void sync_limit_counters(struct kunit *test)
{
	struct hcv_sync_report r;
	struct hcv_sync_limit l;

	world_begin(1);
	world_settings();
	recover(0);
	world_run(6, 1000);
	world_run(6, 0);
	world.vol[0].epoch = 2;
	world.vol[0].count.write_ios = 5000000;
	world.vol[0].link[1].sync_copied = 5ULL << 40;
	world_run(2, 0);
	hcv_sync_limit_report(&r);
	KUNIT_EXPECT_EQ(test, r.iops, 0);
	KUNIT_EXPECT_LT(test, r.rec_kibps, 600 * MIB);
	world.vol[1].count.write_ios = 1000000;
	world.nr = 2;
	world_run(2, 0);
	hcv_sync_limit_report(&r);
	KUNIT_EXPECT_EQ(test, r.iops, 0);
	/* The next resync of a replica counts from 0 again. */
	world.vol[0].link[1].sync_copied = 0;
	world_run(2, 0);
	hcv_sync_limit_report(&r);
	KUNIT_EXPECT_GT(test, r.rec_kibps, 0);
	KUNIT_EXPECT_LT(test, r.rec_kibps, 600 * MIB);
	/* What is gone, and what waits for its last I/O, has no limit. */
	world.nr = 1;
	world_second(0);
	KUNIT_EXPECT_FALSE(test, hcv_sync_limit_get(world.vol[1].uuid, &l));
	world.vol[0].state = HCV_VOL_ZOMBIE;
	world.vol[0].sync_kibps = 1;
	world_second(0);
	KUNIT_EXPECT_FALSE(test, hcv_sync_limit_get(world.vol[0].uuid, &l));
	KUNIT_EXPECT_EQ(test, kibps(0), 1);
}

/* Resyncs of one volume to two replicas share what the volume has. */
static void sync_limit_streams(struct kunit *test)
{
	world_begin(2);
	world_settings();
	recover(0);
	recover(1);
	world.vol[0].link[0].state = HCV_LINK_SYNCING;
	world_run(40, 0);
	KUNIT_EXPECT_EQ(test, kibps(0), 125 * MIB);
	KUNIT_EXPECT_EQ(test, kibps(1), 250 * MIB);
}

/* The node that gets the copies says that it is loaded. */
static void sync_limit_other_node(struct kunit *test)
{
	struct hcv_sync_report r;

	world_begin(1);
	world_settings();
	world.other.load_rev = 7;
	world_run(6, 0);
	/* nothing is copied to it */
	KUNIT_EXPECT_EQ(test, kibps(0), FIRST);
	recover(0);
	world_run(20, 0);
	KUNIT_EXPECT_EQ(test, kibps(0), 100 * MIB);
	expect_reason(test, 0, "node two, which gets the copies, is loaded");
	world.other.load_rev = 0;
	world_run(20, 0);
	KUNIT_EXPECT_EQ(test, kibps(0), 500 * MIB);
	/* nothing is copied to it any more */
	world.vol[0].link[1].state = HCV_LINK_INSYNC;
	world.other.load_rev = 9;
	world_run(3, 0);
	hcv_sync_limit_report(&r);
	KUNIT_EXPECT_EQ(test, r.limit_kibps, 500 * MIB);
	world.other.load_rev = 0;
	recover(0);
	/* what this node says of itself is not another's word */
	world.node.load_rev = 8;
	world.vol[0].link[0].state = HCV_LINK_SYNCING;
	world_run(2, 0);
	KUNIT_EXPECT_EQ(test, kibps(0), 250 * MIB);
	KUNIT_EXPECT_FALSE(test, hcv_sync_limit_loaded());
	world_run(3, 1600);
	KUNIT_EXPECT_FALSE(test, hcv_sync_limit_loaded());
	world_run(1, 1600);
	KUNIT_EXPECT_TRUE(test, hcv_sync_limit_loaded());
}

/* What one gets another has lost before: the sum is kept at each moment. */
static void sync_limit_sum(struct kunit *test)
{
	unsigned int first, turn;

	for (first = 0; first < 2; first++) {
		world_begin(2);
		world_settings();
		recover(first);
		world_run(40, 0);
		KUNIT_EXPECT_EQ(test, kibps(first), 500 * MIB);
		recover(!first);
		world_second(0);	/* it was there before its part was */
		world.most_kibps = 0;
		for (turn = 0; turn < 4; turn++) {
			world.def[turn % 2].i.sync_kibps = turn < 2 ? 1000 : 0;
			world_run(3, 0);
		}
		world.a_snap.recovery.s.paused = true;
		world_second(0);
		world.a_snap.recovery.s.paused = false;
		world_run(3, 0);
		KUNIT_EXPECT_LE(test, world.most_kibps, 500 * MIB);
		KUNIT_EXPECT_EQ(test, kibps(0), 250 * MIB);
	}
}

static void sync_limit_latency(struct kunit *test)
{
	unsigned int s;

	world_begin(1);
	world_settings();
	world.a_snap.recovery.s.has = 1U << HCV_TK_MODE;
	world.a_snap.recovery.s.val[HCV_TK_MODE] = HCV_THR_LATENCY;
	for (s = 0; s < 90; s++) {
		if (s == 20)
			recover(0);
		world.stats.vol.write[7] += 300;
		world.stats.vol.read[6] += 200;
		world_second(500);
	}
	KUNIT_EXPECT_GT(test, kibps(0), 300 * MIB);
	for (s = 0; s < 8; s++) {
		world.stats.vol.write[7] += 300;
		world.stats.vol.read[11] += 200;
		world_second(500);
	}
	KUNIT_EXPECT_EQ(test, kibps(0), 10 * MIB);
	expect_reason(test, 0, "the p99 of volume db0");
}

/* Replicas that move have limits of their own, until one is missing. */
static void sync_limit_moves(struct kunit *test)
{
	struct hcv_sync_report r;

	world_begin(2);
	world_settings();
	recover(0);
	world.def[0].job_rev = 1;
	world.def[0].job.kind = HCV_RP_DRAIN;
	strcpy(world.def[0].job.to, "s1");
	world_run(10, 2000);
	hcv_sync_limit_report(&r);
	KUNIT_EXPECT_TRUE(test, r.moves);
	KUNIT_EXPECT_EQ(test, world.vol[0].sync_kibps, 50 * MIB);
	/* Another volume's replica is missing. */
	recover(1);
	world_run(10, 2000);
	hcv_sync_limit_report(&r);
	KUNIT_EXPECT_FALSE(test, r.moves);
	KUNIT_EXPECT_EQ(test, r.limit_kibps, 100 * MIB);
	world.vol[1].link[1].state = HCV_LINK_INSYNC;
	world_run(2, 2000);
	hcv_sync_limit_report(&r);
	KUNIT_EXPECT_TRUE(test, r.moves);
	/* The job's is a repair; another link than the job's. */
	world.def[0].job.kind = HCV_RP_REPAIR;
	world_run(2, 2000);
	hcv_sync_limit_report(&r);
	KUNIT_EXPECT_FALSE(test, r.moves);
	world.def[0].job.kind = HCV_RP_MOVE;
	strcpy(world.def[0].job.to, "s0");
	world_run(2, 2000);
	hcv_sync_limit_report(&r);
	KUNIT_EXPECT_FALSE(test, r.moves);
}

static struct kunit_case sync_limit_test_cases[] = {
	KUNIT_CASE(sync_limit_unknown),
	KUNIT_CASE(sync_limit_auto),
	KUNIT_CASE(sync_limit_unreadable),
	KUNIT_CASE(sync_limit_paused),
	KUNIT_CASE(sync_limit_counters),
	KUNIT_CASE(sync_limit_streams),
	KUNIT_CASE(sync_limit_other_node),
	KUNIT_CASE(sync_limit_sum),
	KUNIT_CASE(sync_limit_latency),
	KUNIT_CASE(sync_limit_moves),
	{}
};

static struct kunit_suite sync_limit_suite = {
	.name = "hcv_sync_limit",
	.test_cases = sync_limit_test_cases,
};

kunit_test_suite(sync_limit_suite);
