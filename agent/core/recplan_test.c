// SPDX-License-Identifier: GPL-2.0-only
/*
 * The recovery planner: a table of clusters (recplan_bed.h) and what is to be
 * done in them.
 */
#include <errno.h>

#include "recplan_bed.h"

static const struct plan_case plan_cases[] = {
	{ "nothing to do", "1:10 2:10 3:10", "1 2n AB AB" },
	{ "a store is gone for long", "1:10 !2:10 3:10", "1 2n Ab*5", "",
	  "0 repair B>C" },
	{ "in-sync on paper, since nothing was written",
	  "1:10 !2:10 3:10", "1 2n AB", "", "0 repair B>C" },
	{ "gone since just now", "1:10 ?2:10 3:10", "1 2n A~B" },
	{ "failed for long", "1:10 x2:10 3:10", "1 2n Ab", "",
	  "0 repair B>C" },
	{ "stale although its store is well", "1:10 2:10 3:10", "1 2n Ab", "",
	  "0 repair B>C" },
	{ "stale since just now", "1:10 2:10 3:10", "1 2n A~B" },
	{ "on its way back", "1:10 2:10 3:10", "1 2n A(B)" },
	{ "no other node", "1:10 !2:10 1:10", "1 2n Ab", "", "", "",
	  "repair: 1 in the failure domain" },
	{ "disks as failure domain", "1:10 !1:10 1:10", "1 2d Ab", "",
	  "0 repair B>C" },
	{ "racks", "1/x:10 !2/y:10 3/x:10 4/z:50", "1 2r Ab", "",
	  "0 repair B>D" },
	{ "the owner's node first", "!1:10 2:10 1:60 3:10", "1 2n aB", "",
	  "0 repair A>C" },
	{ "but not when it is nearly full", "!1:10 2:10 1:89 3:10",
	  "1 2n aB*3", "", "0 repair A>D" },
	{ "which has a replica already", "1:10 !2:10 3:50 4:10", "1 2n Ab",
	  "", "0 repair B>D" },
	{ "not into the reserve", "1:10 !2:10 3:93", "1 2n Ab*3", "", "", "",
	  "repair: 1 too full" },
	{ "up to the reserve", "1:10 !2:10 3:92", "1 2n Ab*3", "",
	  "0 repair B>C" },
	{ "not where the volume is", "1:10 !2:10 3:10 4:10", "1 2n Ab DC", "",
	  "", "", "repair: 1 away, failed or to be emptied, 3 part of the volume already" },
	{ "not to what is to be emptied", "1:10 !2:10 -3:10", "1 2n Ab", "",
	  "", "", "repair: 2 away, failed or to be emptied" },
	{ "nothing to copy from", "!1:10 !2:10 3:10", "3 2n AB", "", "", "",
	  "repair: no in-sync copy" },
	{ "attached nowhere", "1:10 !2:10 3:10", ". 2n Ab", "", "", "",
	  "repair: the volume is attached nowhere" },
	{ "its owner is away", "!1:10 2:10 3:10", "1 2n AB", "", "", "",
	  "repair: the node that has the volume is away", NODE_AWAY },
	{ "paused", "1:10 !2:10 3:10", "1 2n Ab", "", "", "",
	  "repair: recovery is paused", PAUSED },
	{ "paused on its owner", "1:10 !2:10 3:10 4:80",
	  "1 2n Ab; 3 2n Cb; 1 2n AD*20", "", "1 repair B>A", "",
	  "repair: recovery is paused on the node", NODE_PAUSED },
	{ "the most endangered first", "1:10 !2:10 !3:10 4:10 5:10",
	  "1 3n AbD; 1 3n Abc; 1 2n AB", "",
	  "1 repair B>D; 2 repair B>E; 0 repair B>E", "",
	  "repair: another job of the volume" },
	{ "equal ones spread", "1:10 !2:10 3:10 4:10",
	  "1 2n Ab; 1 2n Ab; 1 2n Ab", "",
	  "0 repair B>C; 1 repair B>D; 2 repair B>C" },
	{ "one at a time", "1:10 !2:10 3:10 4:10", "1 2n Ab; 1 2n Ab", "",
	  "0 repair B>C", "", "repair: waits for its turn", CAP1 },
	{ "other owners are not held up", "1:10 !2:10 3:10 4:10 5:10",
	  "1 2n Ab; 4 2n Db; 1 2n Ab", "", "0 repair B>C; 1 repair B>E", "",
	  "repair: waits for its turn", CAP1 },
	{ "one for each store", "1:10 !2:10 3:10", "1 2n Ab; 1 2n Ab", "",
	  "0 repair B>C", "", "repair: waits for its turn", CAP_STORE },
	{ "a drain does not hold up a repair", "-1:10 !2:10 3:10 4:10",
	  "3 2n AC; 3 2n Cb", "0 drain A>D", "1 repair B>D", "", NULL, CAP1 },
	{ "a repair holds up a drain", "-1:10 !2:10 3:10 4:10",
	  "3 2n AC; 3 2n Cb", "1 repair B>D", "", "",
	  "drain: waits for its turn", CAP1 },
	{ "repairs before drains", "-1:10 !2:10 3:10 4:10 1:10",
	  "1 2n AC; 4 2n Db", "", "1 repair B>C; 0 drain A>E" },
	{ "a drain stays on the owner's node", "-1:10 2:10 1:50 3:10",
	  "1 2n AB", "", "0 drain A>C" },
	{ "a drain of a store that is gone", "!-1:10 2:10 3:10", "2 2n aB",
	  "", "0 repair A>C" },
	{ "a node to be emptied", "-1:10 -1:10 2:10 3:10 4:10",
	  "2 2n AC BC", "", "0 drain A>D", "", "drain: another job" },
	{ "a repair in vain: another place", "1:10 !2:10 3:10 4:50",
	  "1 2n Ab", "", "0 repair B>D", "", NULL, AVOID_C },
	{ "no other place: later", "1:10 !2:10 3:10", "1 2n Ab", "", "", "",
	  "repair: 1 away, failed or to be emptied, 1 part of the volume already, 1 to be tried again later",
	  AVOID_C },
	{ "under way", "1:10 !2:10 3:10", "1 2n Ab", "0 repair B>C" },
	{ "under way, its place is counted", "1:10 !2:10 3:80 4:80",
	  "1 2n Ab*14; 1 2n Ab*14", "0 repair B>C", "1 repair B>D" },
	{ "under way, which leaves no room", "1:10 !2:10 3:80",
	  "1 2n Ab*14; 1 2n Ab*14", "0 repair B>C", "", "",
	  "repair: 1 too full" },
	{ "a job that nobody carries out holds up none", "1:10 !2:10 3:10",
	  ". 2n Ab; 1 2n Ab", "0 repair B>C", "1 repair B>C", "", NULL,
	  CAP1 },
	{ "nor does one whose owner is away", "2:10 !3:10 4:10",
	  "1 2n Ab; 2 2n Ab", "0 repair B>C", "1 repair B>C", "", NULL,
	  CAP1 | NODE_AWAY },
	{ "nor one whose target is away", "1:10 !2:10 ?3:10 4:10",
	  "1 2n Ab; 1 2n Ab", "0 repair B>C", "1 repair B>D", "", NULL,
	  CAP1 },
	{ "nor one that its owner gave up", "1:10 !2:10 3:10 1:10",
	  "1 2n Abc; 1 2n Cb", "!0 repair B>C", "1 repair B>A", "", NULL,
	  CAP1 },
	{ "the target went", "1:10 !2:10 !3:10 4:10", "1 2n Abc",
	  "0 repair B>C", "", "!0" },
	{ "the target went, another one on its node", "1:10 !2:10 !3:10 3:10",
	  "1 2n Abc", "0 repair B>C", "", "!0" },
	{ "the target went, and there is no other", "1:10 !2:10 !3:10",
	  "1 2n Abc", "0 repair B>C" },
	{ "the target went, and nothing is lost yet", "1:10 !2:10 !3:10",
	  "1 2n Ab", "0 repair B>C", "", "!0" },
	{ "the target of a move went", "1:10 2:10 !3:10", "3 2n ABc",
	  "0 move A>C", "", "!0" },
	{ "the target is away for a moment", "1:10 !2:10 ?3:10 4:10",
	  "1 2n Ab~C", "0 repair B>C" },
	{ "the target failed", "1:10 !2:10 x3:10 4:10", "1 2n Ab",
	  "0 repair B>C", "", "!0" },
	{ "its owner gave up", "1:10 !2:10 3:10 4:10", "1 2n Abc",
	  "!0 repair B>C", "", "!0" },
	{ "its owner gave up, but tries again", "1:10 !2:10 3:10 4:10",
	  "1 2n Ab(C)", "!0 repair B>C" },
	{ "its owner gave up, and there is no other", "1:10 !2:10 3:10",
	  "1 2n Abc", "!0 repair B>C" },
	{ "its owner gave up, and elections rule the other one out",
	  "!1:10 2:10 3:10 4:10 4:10 6:10", "1 2n aBf CB CD",
	  "!0 repair A>F" },
	{ "not to where it left", "1:10 !2:10 3:10", "1 2n Ab", "", "", "",
	  "repair: 1 left by it", LEFT_C },
	{ "what others left is no matter", "1:10 !2:10 3:10",
	  ". 2n AB; 1 2n Ab", "", "1 repair B>C", "",
	  "repair: 1 left by it", LEFT_C },
	{ "a suspect store is the second choice", "1:10 !2:10 +3:10 4:50",
	  "1 2n Ab", "", "0 repair B>D" },
	{ "and one if there is no other", "1:10 !2:10 +3:10", "1 2n Ab", "",
	  "0 repair B>C" },
	{ "not for a move", "1:10 2:10 +3:10", "3 2n AB", "", "", "",
	  "move: 1 not worth it" },
	{ "the target is suspect, and not begun", "1:10 !2:10 +3:10 4:50",
	  "1 2n Abc", "0 repair B>C", "", "!0" },
	{ "the target is suspect, as the other one is",
	  "1:10 !2:10 +3:10 +4:50", "1 2n Abc", "0 repair B>C" },
	{ "the target is suspect, and half full", "1:10 !2:10 +3:10 4:50",
	  "1 2n Ab(C)", "0 repair B>C" },
	{ "the target is to be emptied", "1:10 !2:10 -3:10 4:10", "1 2n Ab(C)",
	  "0 repair B>C", "", "0" },
	{ "it came back", "1:10 2:10 3:10", "1 2n AB(C)", "0 repair B>C", "",
	  "0" },
	{ "it came back too late", "1:10 2:10 3:10", "1 2n ABC",
	  "0 repair B>C" },
	{ "not to be emptied any more", "1:10 2:10 3:10", "2 2n AB(C)",
	  "0 drain A>C", "", "0" },
	{ "a repair waits for a drain", "-1:10 !2:10 3:10 4:10",
	  "4 2n Ab(C)", "0 drain A>C" },
	{ "a drain, since a repair finds no place", "-1/x:10 !2/y:10 3/x:10",
	  "1 2r Ab", "", "0 drain A>C", "", "repair: 1 in the failure" },
	{ "a repair calls a move off", "1:10 !2:10 3:10 4:10",
	  "3 2n Ab(C)", "0 move A>C", "", "0" },
	{ "too many stores", "1:10 2:10 3:10", "1 2n ABC", "",
	  "0 trim B" },
	{ "too many stores, one gone", "1:10 !2:10 3:10", "1 2n ABC", "",
	  "0 trim B" },
	{ "too many stores, one to be emptied", "-1:10 2:10 3:10",
	  "1 2n ABC", "", "0 trim A" },
	{ "too many stores, but not enough copies", "1:10 ?2:10 3:10",
	  "1 2n A~Bc" },
	{ "too many stores, one away for a moment", "-1:10 ?2:10 3:10",
	  "1 2n A~BC", "", "", "", "drain: 2 away, failed or to be emptied" },
	{ "too many stores, one on its way back", "-1:10 2:10 3:10",
	  "1 2n A(B)C", "", "", "", "drain: 1 away, failed or to be emptied" },
	{ "too many stores, one stale for long", "-1:10 2:10 3:10", "1 2n AbC",
	  "", "0 trim B" },
	{ "too many stores, one to be emptied that is away",
	  "1:10 ?-2:10 3:10", "1 2n A~BC", "", "0 trim B" },
	{ "too many stores, and one for all of its extents",
	  "1:10 2:10 3:10", "1 2n ABC AB", "", "0 trim C" },
	{ "none for all of its extents", "1:10 2:10 3:10",
	  "1 2n ABC AB BC AC" },
	{ "rows are full", "1:10 !2:10 !3:10 4:10 5:10", "1 3n AbcD", "",
	  "0 trim B" },
	{ "rows are full of those that may return",
	  "1:10 ?2:10 ?3:10 4:10 5:10", "1 3n A~B~CD" },
	{ "one failure domain", "1/x:10 2/x:10 3/y:10", "1 2r AB", "",
	  "0 domain B>C" },
	{ "one failure domain, but nothing else", "1/x:10 2/x:10", "1 2r AB",
	  "", "", "", "domain: " },
	{ "below 75 % space is no matter", "1:10 2:74 3:10", "1 2n AB*20" },
	{ "above 75 % others are moved", "1:10 2:80 3:10", "1 2n AB*20", "",
	  "0 balance B>C" },
	{ "but not to a store that is nearly as full", "1:10 2:82 3:75",
	  "1 2n AB*5" },
	{ "nor the owner's", "1:80 2:10 3:10", "1 2n AB*20" },
	{ "above 90 % the owner's as well", "1:92 2:10 3:10", "1 2n AB*20", "",
	  "0 balance A>C" },
	{ "above 90 % others first", "1:92 2:10 3:10 4:10",
	  "1 2n AB*40; 2 2n BA*20", "", "1 balance A>C" },
	{ "what is leaving counts", "1:10 2:80 3:10 4:10",
	  "1 2n AB*6; 1 2n AB*6", "0 balance B>C" },
	{ "nothing for space while a replica is missing",
	  "1:10 2:80 ?3:10 4:10", "1 3n AB~C*20" },
	{ "a new owner", "1:10 2:10 3:10", "3 2n AB", "", "0 move A>C" },
	{ "the fuller one moves", "1:10 2:20 3:10", "3 2n AB", "",
	  "0 move B>C" },
	{ "a new owner, not for long", "1:10 2:10 3:10", "3 2n AB", "", "", "",
	  NULL, YOUNG },
	{ "a new owner without room", "1:10 2:10 3:70", "3 2n AB", "", "", "",
	  "move: 1 not worth it" },
	{ "a new owner without stores", "1:10 2:10", "3 2n AB" },
	{ "a new owner that is to be emptied", "1:10 2:10 -3:10", "3 2n AB" },
	{ "an owner with a replica", "1:10 2:10 3:10", "2 2n AB" },
	{ "the owner moved on", "1:10 2:10 3:10", "2 2n AB(C)",
	  "0 move A>C", "", "0" },
	{ "elections are kept possible",
	  "!1:10 2:10 3:10 4:10 4:10 5:50", "2 2n aB CB CD", "",
	  "0 repair A>F" },
};

static void bed_tell(const struct bed *b, const struct hcv_rp_plan *plan,
		     char *start, char *cancel, char *why)
{
	size_t i;

	*start = 0;
	*cancel = 0;
	*why = 0;
	for (i = 0; i < plan->nr_start; i++) {
		const struct hcv_rp_start *s = &plan->start[i];

		start += sprintf(start, "%s%zu %s %c", i ? "; " : "", s->vol,
				 hcv_recplan_kind_name(s->kind),
				 'A' + b->vol[s->vol].share[s->share].store);
		if (s->to >= 0)
			start += sprintf(start, ">%c", 'A' + s->to);
	}
	for (i = 0; i < plan->nr_cancel; i++)
		cancel += sprintf(cancel, "%s%s%zu", i ? " " : "",
				  plan->cancel[i].blame ? "!" : "",
				  plan->cancel[i].job);
	for (i = 0; i < plan->nr_blocked; i++)
		why += sprintf(why, "%s: %s\n",
			       hcv_recplan_kind_name(plan->blocked[i].kind),
			       plan->blocked[i].why);
}

static bool why_matches(const char *why, const char *want)
{
	const char *colon = strchr(want, ':');
	size_t kind = (size_t)(colon - want) + 1;

	return !strncmp(why, want, kind) && strstr(why, colon + 2);
}

static void plan_table(struct kunit *test)
{
	char start[1024], cancel[256], why[4096];
	const struct plan_case *c = test->param_value;
	struct hcv_rp_plan plan;
	struct bed b;

	bed_make(test, &b, c);
	KUNIT_ASSERT_EQ(test, hcv_recplan(&b.in, &plan), 0);
	bed_tell(&b, &plan, start, cancel, why);
	KUNIT_EXPECT_STREQ_MSG(test, (const char *)start,
			       c->start ? c->start : "", "waits:\n%s", why);
	KUNIT_EXPECT_STREQ(test, (const char *)cancel,
			   c->cancel ? c->cancel : "");
	if (c->why)
		KUNIT_EXPECT_TRUE_MSG(test, why_matches(why, c->why),
				      "waits:\n%s", why);
	else
		KUNIT_EXPECT_STREQ(test, (const char *)why, "");
	hcv_recplan_free(&plan);
	bed_free(&b);
}

static void plan_desc(const struct plan_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", c->name);
}

KUNIT_ARRAY_PARAM(plan, plan_cases, plan_desc);

/* -------------------------------------------------------------- its memory */

static void plan_times(struct kunit *test)
{
	static const struct plan_case c = {
		.stores = "1:10 2:10 3:10", .vols = "1 2n A~B",
	};
	struct hcv_rp_share *share;
	struct bed b;

	bed_make(test, &b, &c);
	share = &b.vol[0].share[1];
	b.in.now_ms = 1000;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, share->stale_ms, 1000);
	KUNIT_EXPECT_EQ(test, b.vol[0].owner_ms, 1000);
	KUNIT_EXPECT_EQ(test, b.store[1].gone_ms, 0);
	/* Nobody could have brought it back meanwhile. */
	b.in.now_ms = 1100;
	b.vol[0].owner = -1;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, share->stale_ms, 0);
	b.in.now_ms = 1200;
	b.vol[0].owner = 1;
	b.node[1].live = false;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, share->stale_ms, 0);
	b.in.now_ms = 1300;
	b.node[1].live = true;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, share->stale_ms, 1300);
	/* The replica's store goes: that is another matter. */
	b.in.now_ms = 2000;
	b.store[1].live = false;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, share->stale_ms, 0);
	KUNIT_EXPECT_EQ(test, b.store[1].gone_ms, 2000);
	KUNIT_EXPECT_EQ(test, b.vol[0].owner_ms, 1200);
	b.in.now_ms = 3000;
	b.vol[0].owner = 2;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, b.store[1].gone_ms, 2000);
	KUNIT_EXPECT_EQ(test, b.vol[0].owner_ms, 3000);
	/* It is back, its replica is still stale, and goes once more. */
	b.in.now_ms = 4000;
	b.store[1].live = true;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, share->stale_ms, 4000);
	KUNIT_EXPECT_EQ(test, b.store[1].gone_ms, 0);
	b.in.now_ms = 5000;
	b.store[1].failed = true;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, b.store[1].gone_ms, 5000);
	/* Nobody looked for ten minutes: it has been gone for two seconds. */
	b.in.now_ms = 7000;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	b.in.now_ms += 600000;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, b.store[1].gone_ms, b.in.now_ms - 2000);
	/* Now and then a look is late. */
	b.in.now_ms += HCV_RP_GAP_MS - 1;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, b.store[1].gone_ms,
			b.in.now_ms - HCV_RP_GAP_MS - 1999);
	bed_free(&b);
}

static void plan_backoff(struct kunit *test)
{
	struct hcv_rp_mem *mem = hcv_recplan_mem_new();
	int64_t last = 0, until;
	int i;

	KUNIT_EXPECT_EQ(test, hcv_recplan_avoid(mem, "v", "s"), 0);
	hcv_recplan_failed(mem, "v", "s", 1000);
	KUNIT_EXPECT_EQ(test, hcv_recplan_avoid(mem, "v", "s"), 61000);
	/* Other volumes try sooner, unless it goes on. */
	KUNIT_EXPECT_EQ(test, hcv_recplan_avoid(mem, "w", "s"), 16000);
	KUNIT_EXPECT_EQ(test, hcv_recplan_avoid(mem, "v", "t"), 0);
	for (i = 0; i < 40; i++) {
		hcv_recplan_failed(mem, "v", "s", 1000);
		until = hcv_recplan_avoid(mem, "v", "s");
		KUNIT_EXPECT_GE(test, until, last);
		last = until;
	}
	KUNIT_EXPECT_EQ(test, last, 3601000);
	KUNIT_EXPECT_EQ(test, hcv_recplan_avoid(mem, "w", "s"), 601000);
	/* What is over for long makes room. */
	hcv_recplan_failed(mem, "x", "y", 20000000);
	KUNIT_EXPECT_EQ(test, hcv_recplan_avoid(mem, "v", "s"), 0);
	hcv_recplan_done(mem, "x", "y");
	KUNIT_EXPECT_EQ(test, hcv_recplan_avoid(mem, "x", "y"), 0);
	hcv_recplan_mem_free(mem);
}

/*
 * A job that its owner ended without success is not begun anew at once; one that
 * was called off, or did what it was for, is no reason to wait.
 */
static void plan_begun(struct kunit *test)
{
	static const struct plan_case c = {
		.stores = "1:10 2:10 3:10", .vols = "1 2n ABC",
		.jobs = "0 trim B>",
	};
	struct hcv_rp_plan plan;
	const char *vol, *from;
	struct bed b;

	bed_make(test, &b, &c);
	vol = b.vol[0].id;
	from = b.store[1].id;
	hcv_recplan_begun(b.mem, vol, from);
	hcv_recplan_begun(b.mem, vol, from);
	b.in.now_ms = NOW_MS;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, hcv_recplan_stayed(b.mem, vol, from), 0);
	/* The job is gone, the share is there. */
	b.in.nr_jobs = 0;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, hcv_recplan_stayed(b.mem, vol, from),
			NOW_MS + 60000);
	/* Others are not to blame. */
	KUNIT_EXPECT_EQ(test, hcv_recplan_avoid(b.mem, "w", from), 0);
	KUNIT_ASSERT_EQ(test, hcv_recplan(&b.in, &plan), 0);
	KUNIT_EXPECT_EQ(test, plan.nr_start, 0);
	KUNIT_ASSERT_EQ(test, plan.nr_blocked, 1);
	KUNIT_EXPECT_NOT_NULL(test, strstr(plan.blocked[0].why, "begun anew"));
	hcv_recplan_free(&plan);
	b.in.now_ms += 60000;
	KUNIT_ASSERT_EQ(test, hcv_recplan(&b.in, &plan), 0);
	KUNIT_EXPECT_EQ(test, plan.nr_start, 1);
	hcv_recplan_free(&plan);
	/* Called off: at once again. */
	hcv_recplan_done(b.mem, vol, from);
	hcv_recplan_begun(b.mem, vol, from);
	hcv_recplan_called_off(b.mem, vol, from);
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, hcv_recplan_stayed(b.mem, vol, from), 0);
	/* With success. */
	hcv_recplan_begun(b.mem, vol, from);
	b.vol[0].share[1].extents = 0;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, hcv_recplan_stayed(b.mem, vol, from), 0);
	bed_free(&b);
}

/* Rows that name a store which the record does not have are not touched. */
static void plan_strange_rows(struct kunit *test)
{
	struct hcv_record rec = { .nr = 1 };
	struct hcv_row row = { .nr = 2, .full = 3 };
	struct hcv_rows rows = { .next = 1, .nr = 1, .row = &row };
	struct hcv_rp_vol vol = { .replicas = 2 };
	struct hcv_rp_in in = { .nr_stores = 0 };

	bed_id(rec.st[0].store, 2, 0);
	bed_id(row.store[0], 2, 0);
	bed_id(row.store[1], 2, 1);
	KUNIT_EXPECT_EQ(test, hcv_recplan_vol(&in, &rec, &rows, &vol), 0);
	KUNIT_EXPECT_TRUE(test, vol.skip);
	hcv_recplan_vol_free(&vol);
}

/* A copy in a row that is not full is none. */
static void plan_not_full(struct kunit *test)
{
	static const struct plan_case c = {
		.stores = "1:10 2:10 3:10", .vols = "1 2n AB",
	};
	struct hcv_record rec = { .nr = 2 };
	struct hcv_row row = { .nr = 2, .full = 1 };
	struct hcv_rows rows = { .next = 1, .nr = 1, .row = &row };
	struct hcv_rp_vol vol = { .replicas = 2 };
	struct bed b;

	bed_make(test, &b, &c);
	strcpy(rec.st[0].store, b.store[0].id);
	strcpy(rec.st[1].store, b.store[1].id);
	strcpy(row.store[0], b.store[0].id);
	strcpy(row.store[1], b.store[1].id);
	KUNIT_EXPECT_EQ(test, hcv_recplan_vol(&b.in, &rec, &rows, &vol), 0);
	KUNIT_EXPECT_EQ(test, vol.share[0].min_good, 0);
	KUNIT_EXPECT_EQ(test, vol.share[1].min_good, 1);
	hcv_recplan_vol_free(&vol);
	bed_free(&b);
}

static struct kunit_case recplan_cases[] = {
	KUNIT_CASE_PARAM(plan_table, plan_gen_params),
	KUNIT_CASE(plan_times),
	KUNIT_CASE(plan_backoff),
	KUNIT_CASE(plan_begun),
	KUNIT_CASE(plan_strange_rows),
	KUNIT_CASE(plan_not_full),
	{}
};

static struct kunit_suite recplan_suite = {
	.name = "recplan",
	.test_cases = recplan_cases,
};

kunit_test_suite(recplan_suite);
