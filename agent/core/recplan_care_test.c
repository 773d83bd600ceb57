// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who takes care of volumes that are attached nowhere: a table of clusters
 * (recplan_bed.h), each as it has been for a while, and who is named then.
 */
#include "recplan_bed.h"

struct care_case {
	struct plan_case c;
	int64_t ms;		/* for so long all has been as it is */
	const char *want;	/* "VOLUME>NODE", "VOLUME!": nobody any more */
};

#define CASE(_name, _stores, _vols, _jobs, _flags, _ms, _want) \
	{ { .name = _name, .stores = _stores, .vols = _vols, .jobs = _jobs, \
	    .flags = _flags }, _ms, _want }

static const struct care_case care_cases[] = {
	/* what there is to be done */
	CASE("nothing", "1:10 2:10 3:10", ". 2n AB", "", 0, 20000, ""),
	CASE("a store is gone", "1:10 !2:10 3:10", ". 2n Ab", "", 0, 20000,
	     "0>1"),
	CASE("and was a moment ago", "1:10 ?2:10 3:10", ". 2n AB", "", 0,
	     20000, ""),
	CASE("a drain", "-1:10 2:10 3:10", ". 2n AB", "", 0, 20000, "0>1"),
	CASE("a drain for which there is no place", "-1:10 2:10 2:10",
	     ". 2n AB", "", 0, 20000, ""),
	CASE("space", "1:10 2:80 3:10", ". 2n AB*20", "", 0, 20000, "0>1"),
	CASE("above 90 %, without an owner's share to be spared",
	     "1:80 2:10 3:10", ". 2n AB*20", "", 0, 20000, "0>1"),
	CASE("one failure domain", "1/x:10 2/x:10 3/y:10", ". 2r AB", "", 0,
	     20000, "0>1"),
	CASE("a replica is back", "1:10 2:10 3:10", ". 2n A~B", "", 0, 20000,
	     "0>1"),
	CASE("to a store whose health is bad", "1:10 +2:10 3:10", ". 2n A~B",
	     "", 0, 20000, ""),
	CASE("nothing to copy from", "!1:10 2:10 3:10", ". 2n A~B", "", 0,
	     20000, ""),
	CASE("of one extent", "1:10 !2:10 3:10", ". 2n A~C B~C", "", 0, 20000,
	     ""),
	CASE("a job is under way", "-1:10 2:10 3:10", ". 2n AB~C",
	     "0 drain A>C", 0, 20000, "0>1"),
	CASE("whose target is away", "-1:10 2:10 ?3:10", ". 2n AB~C",
	     "0 drain A>C", 0, 20000, ""),
	CASE("whose target is away, and in-sync", "-1:10 2:10 ?3:10",
	     ". 2n ABC", "0 drain A>C", 0, 20000, "0>1"),
	CASE("it has an owner", "1:10 !2:10 3:10", "1 2n Ab", "", 0, 20000,
	     ""),
	/* when */
	CASE("detached a moment ago", "-1:10 2:10 3:10", ". 2n AB", "", 0,
	     14000, ""),
	CASE("paused", "-1:10 2:10 3:10", ". 2n AB", "", PAUSED, 20000, ""),
	CASE("paused, with a job", "-1:10 2:10 3:10", ". 2n AB~C",
	     "0 drain A>C", PAUSED, 20000, ""),
	/* who */
	CASE("not the one that is to be emptied", "-1:10 2:10 3:10",
	     ". 2n AB", "", NODE_DRAINS, 20000, "0>2"),
	CASE("rather one that has nothing of it", "-1:10 3:10", ". 1n A",
	     "", NODE_DRAINS, 20000, "0>0"),
	CASE("not an older one", "-1:10 2:10 3:10", ". 2n AB", "", NODE_OLD,
	     20000, "0>2"),
	CASE("nor one that is paused", "-1:10 2:10 3:10", ". 2n AB", "",
	     NODE_PAUSED, 20000, "0>2"),
	CASE("nor one that is away", "?1:10 2:10 -3:10 4:10", ". 2n BC", "",
	     NODE_AWAY, 20000, "0>2"),
	CASE("who has most of it", "-1:10 2:10 3:10 4:10",
	     ". 2n AB AC BC BC*3", "", 0, 20000, "0>2"),
	CASE("who is least busy", "-1:10 2:10 3:10",
	     ". 2n AB; .1>1 2n AB", "", 0, 20000, "0>2"),
	CASE("who has a copy, though it is busier", "-1:10 2:10 3:10",
	     ". 2n AB; .1>1 2n AB; .2>2 2n AB", "", 0, 20000, "0>1"),
	CASE("jobs make busy", "-1:10 2:10 3:10", "1 2n AB~C; . 2n AB",
	     "0 drain A>C", 0, 20000, "1>2"),
	CASE("no more than a node may have", "-1:10 2:10 3:10",
	     ". 2n AB; . 2n AB", "", CAP1 | NODE_OLD, 20000, "0>2"),
	CASE("no more than a node may have, without jobs", "1:10 2:10 3:10",
	     ". 2n A~B; . 2n A~B; . 2n A~B", "", CAP1, 20000,
	     "0>1; 1>0; 2>2"),
	CASE("one node after the other", "-1:10 2:10 3:10 4:10 -5:10",
	     ". 2n AB; . 2n EC", "", CAP1, 20000, "0>1; 1>3"),
	CASE("the most urgent one first", "-1:10 2:10 3:10 !4:10 5:10",
	     ". 2n AB; . 2n Bd", "", CAP_STORE, 20000,
	     "1>2; 0>1"),
	CASE("a repair before a drain with fewer copies",
	     "-1:10 2:10 3:10 !4:10 5:10", ". 1n A; . 3n BCd", "", 0, 20000,
	     "1>2; 0>1"),
	CASE("without a copy of its own", "-1:10 2:10 3:10", ". 1n A", "",
	     NODE_OLD, 20000, "0>0"),
	/* how it goes on */
	CASE("named", "-1:10 2:10 3:10", ".>1 2n AB", "", 0, 29000, ""),
	CASE("it takes care", "-1:10 2:10 3:10", ".1>1 2n AB~C",
	     "0 drain A>C", 0, 100000, ""),
	CASE("its turn is not yet", "-1:10 2:10 3:10",
	     ".1>1 2n AB; 2 2n AB(C)", "1 drain A>C", CAP1, 100000, ""),
	CASE("others have their turn first", "-1:10 2:10 3:10",
	     ". 2n AB; 2 2n AB(C)", "1 drain A>C", CAP1, 100000, ""),
	CASE("it takes care while paused", "-1:10 2:10 3:10",
	     ".1>1 2n AB", "", PAUSED, 100000, ""),
	CASE("paused on its node", "-1:10 2:10 3:10", ".1>1 2n AB~C",
	     "0 drain A>C", NODE_PAUSED, 0, "0!"),
	CASE("all is done", "1:10 2:10 3:10", ".1>1 2n AB", "", 0, 14000, ""),
	CASE("all is done, for a while", "1:10 2:10 3:10", ".1>1 2n AB", "",
	     0, 15000, "0!"),
	CASE("all is done before it began", "1:10 2:10 3:10", ".>1 2n AB", "",
	     0, 15000, "0!"),
	CASE("no place any more", "-1:10 2:10 2:10", ".1>1 2n AB", "", 0,
	     15000, "0!"),
	CASE("it was attached", "-1:10 2:10 3:10", "1>1 2n AB", "", 0, 0,
	     "0!"),
	CASE("it was attached elsewhere", "-1:10 2:10 3:10", "2>1 2n AB", "",
	     0, 0, "0!"),
	CASE("not taken", "-1:10 2:10 3:10", ".>1 2n AB", "", 0, 30000,
	     "0>2"),
	CASE("not taken, with another one that leaves", "-1:10 2:10 3:10",
	     ".2>1 2n AB", "", 0, 30000, "0>2"),
	CASE("not taken, and there is no other", "1:10 2:10 3:10 -1:10",
	     ".>2 2n BD", "", NODE_AWAY | CAP1, 29000, ""),
	CASE("asked to give it up, which nobody else gets",
	     "-1:10 2:10 3:10", ".1l 2n AB", "", 0, 100000, ""),
	CASE("it gives it up for another one", "-1:10 2:10 3:10",
	     ".1l>2 2n AB", "", 0, 100000, ""),
	CASE("it is gone", "?1:10 2:10 -3:10 4:10", ".>1 2n BC", "",
	     NODE_AWAY, 29000, ""),
	CASE("it is gone for long", "?1:10 2:10 -3:10 4:10", ".>1 2n BC", "",
	     NODE_AWAY, 30000, "0>2"),
	CASE("it is to be emptied", "-1:10 2:10 3:10", ".1>1 2n AB", "",
	     NODE_DRAINS, 0, "0>2"),
};

/* One look after the other, none of them too late to count. */
static void care_history(struct kunit *test, struct bed *b, int64_t ms,
			 struct hcv_rp_plan *plan, struct hcv_rp_care **out,
			 size_t *nr)
{
	int64_t at = NOW_MS - ms;

	for (;;) {
		b->in.now_ms = at;
		KUNIT_ASSERT_EQ(test, hcv_recplan_care(b->mem, &b->in, plan,
						       out, nr), 0);
		if (at == NOW_MS)
			return;
		free(*out);
		at = at + 10000 < NOW_MS ? at + 10000 : NOW_MS;
	}
}

static void care_tell(const struct hcv_rp_care *care, size_t nr, char *text)
{
	size_t i;

	*text = 0;
	for (i = 0; i < nr; i++) {
		text += sprintf(text, "%s%zu", i ? "; " : "", care[i].vol);
		text += care[i].node < 0 ? sprintf(text, "!") :
					   sprintf(text, ">%d", care[i].node);
	}
}

static void care_table(struct kunit *test)
{
	const struct care_case *c = test->param_value;
	struct hcv_rp_care *care;
	struct hcv_rp_plan plan;
	char text[256];
	struct bed b;
	size_t nr;

	bed_make(test, &b, &c->c);
	KUNIT_ASSERT_EQ(test, hcv_recplan(&b.in, &plan), 0);
	care_history(test, &b, c->ms, &plan, &care, &nr);
	care_tell(care, nr, text);
	KUNIT_EXPECT_STREQ_MSG(test, (const char *)text, c->want,
			       "work: %s", plan.work[0].why);
	free(care);
	hcv_recplan_free(&plan);
	bed_free(&b);
}

static void care_desc(const struct care_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", c->c.name);
}

KUNIT_ARRAY_PARAM(care, care_cases, care_desc);

/*
 * What a volume that nobody has would do counts for the others' turns, and a
 * caretaker that serves it is given the job, not to a store of its own first.
 */
static void care_turns(struct kunit *test)
{
	static const struct plan_case free_first = {
		.stores = "-1:10 2:10 3:10", .vols = ". 2n AB; 2 2n AB",
		.flags = CAP1,
	}, served = {
		.stores = "-1:10 2:10 4:60 3:10", .vols = ".4>4 2n AB",
	}, full = {
		.stores = "1:80 2:10 3:10", .vols = ".1>1 2n AB*20",
	};
	struct hcv_rp_plan plan;
	struct bed b;

	bed_make(test, &b, &free_first);
	KUNIT_ASSERT_EQ(test, hcv_recplan(&b.in, &plan), 0);
	KUNIT_EXPECT_EQ(test, plan.nr_start, 0);
	KUNIT_EXPECT_TRUE(test, plan.work[0].now);
	KUNIT_EXPECT_FALSE(test, plan.work[1].now || plan.work[1].later);
	hcv_recplan_free(&plan);
	bed_free(&b);

	bed_make(test, &b, &served);
	KUNIT_ASSERT_EQ(test, hcv_recplan(&b.in, &plan), 0);
	KUNIT_ASSERT_EQ(test, plan.nr_start, 1);
	KUNIT_EXPECT_EQ(test, plan.start[0].to, 3);
	KUNIT_EXPECT_TRUE(test, plan.work[0].now);
	hcv_recplan_free(&plan);
	bed_free(&b);

	/* Nor are its extents spared when space is evened out. */
	bed_make(test, &b, &full);
	KUNIT_ASSERT_EQ(test, hcv_recplan(&b.in, &plan), 0);
	KUNIT_ASSERT_EQ(test, plan.nr_start, 1);
	KUNIT_EXPECT_EQ(test, plan.start[0].kind, HCV_RP_BALANCE);
	hcv_recplan_free(&plan);
	bed_free(&b);
}

static size_t care_at(struct kunit *test, struct bed *b, int64_t ms,
		      struct hcv_rp_care *first)
{
	struct hcv_rp_care *care;
	struct hcv_rp_plan plan;
	size_t nr;

	b->in.now_ms = NOW_MS + ms;
	KUNIT_ASSERT_EQ(test, hcv_recplan(&b->in, &plan), 0);
	KUNIT_ASSERT_EQ(test, hcv_recplan_care(b->mem, &b->in, &plan, &care,
					       &nr), 0);
	if (nr)
		*first = care[0];
	free(care);
	hcv_recplan_free(&plan);
	return nr;
}

/* Each one that is named has its time, and so has who wants the volume. */
static void care_times(struct kunit *test)
{
	static const struct plan_case c = {
		.stores = "-1:10 2:10 3:10", .vols = ".>1 2n AB",
	};
	struct hcv_rp_care care;
	struct bed b;

	bed_make(test, &b, &c);
	KUNIT_EXPECT_EQ(test, care_at(test, &b, 0, &care), 0);
	KUNIT_EXPECT_EQ(test, care_at(test, &b, 25000, &care), 0);
	b.vol[0].named = 2;
	KUNIT_EXPECT_EQ(test, care_at(test, &b, 30000, &care), 0);
	KUNIT_EXPECT_EQ(test, care_at(test, &b, 50000, &care), 0);
	KUNIT_ASSERT_EQ(test, care_at(test, &b, 60000, &care), 1);
	KUNIT_EXPECT_EQ(test, care.node, 1);
	/* It had been attached nowhere for long, and was asked for. */
	b.vol[0].owner = 2;
	b.vol[0].leaving = true;
	b.vol[0].has_care = false;
	KUNIT_EXPECT_EQ(test, care_at(test, &b, 61000, &care), 0);
	b.vol[0].owner = -1;
	b.vol[0].leaving = false;
	KUNIT_EXPECT_EQ(test, care_at(test, &b, 62000, &care), 0);
	KUNIT_EXPECT_EQ(test, care_at(test, &b, 76000, &care), 0);
	KUNIT_EXPECT_EQ(test, care_at(test, &b, 77000, &care), 1);
	bed_free(&b);
}

/* Its times are those of a caretaker: no owner whom replicas follow. */
static void care_is_no_owner(struct kunit *test)
{
	static const struct plan_case c = {
		.stores = "1:10 2:10 3:10", .vols = ".3>3 2n AB",
	};
	struct hcv_rp_plan plan;
	struct bed b;

	bed_make(test, &b, &c);
	b.in.now_ms = 1000;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	b.in.now_ms = 2000;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, b.vol[0].owner_ms, 1000);
	b.in.cfg.settle_ms = 500;
	KUNIT_ASSERT_EQ(test, hcv_recplan(&b.in, &plan), 0);
	KUNIT_EXPECT_EQ(test, plan.nr_start, 0);
	hcv_recplan_free(&plan);
	b.vol[0].free = false;
	KUNIT_EXPECT_EQ(test, hcv_recplan_observe(b.mem, &b.in), 0);
	KUNIT_EXPECT_EQ(test, b.vol[0].owner_ms, 2000);
	bed_free(&b);
}

/* Nobody looked for a while: it may have been attached meanwhile. */
static void care_gap(struct kunit *test)
{
	static const struct plan_case c = {
		.stores = "-1:10 2:10 3:10", .vols = ". 2n AB",
	};
	struct hcv_rp_care *care;
	struct hcv_rp_plan plan;
	struct bed b;
	size_t nr;

	bed_make(test, &b, &c);
	KUNIT_ASSERT_EQ(test, hcv_recplan(&b.in, &plan), 0);
	care_history(test, &b, 10000, &plan, &care, &nr);
	KUNIT_EXPECT_EQ(test, nr, 0);
	free(care);
	b.in.now_ms += HCV_RP_GAP_MS;
	KUNIT_ASSERT_EQ(test, hcv_recplan_care(b.mem, &b.in, &plan, &care,
					       &nr), 0);
	KUNIT_EXPECT_EQ(test, nr, 0);
	free(care);
	b.in.now_ms += b.in.cfg.care_idle_ms;
	KUNIT_ASSERT_EQ(test, hcv_recplan_care(b.mem, &b.in, &plan, &care,
					       &nr), 0);
	KUNIT_EXPECT_EQ(test, nr, 1);
	free(care);
	hcv_recplan_free(&plan);
	bed_free(&b);
}

static struct kunit_case care_cases_list[] = {
	KUNIT_CASE_PARAM(care_table, care_gen_params),
	KUNIT_CASE(care_turns),
	KUNIT_CASE(care_is_no_owner),
	KUNIT_CASE(care_times),
	KUNIT_CASE(care_gap),
	{}
};

static struct kunit_suite care_suite = {
	.name = "recplan_care",
	.test_cases = care_cases_list,
};

kunit_test_suite(care_suite);
