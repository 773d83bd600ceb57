// SPDX-License-Identifier: GPL-2.0-only
/*
 * When there is to be a temporary replica, and on which store.
 */
#include <errno.h>
#include <kunit/test.h>

#include "record_temp_fix.h"
#include "temp.h"

/* ------------------------------------------------------------------- when */

struct when {
	const char *name;
	const char *rec;
	const char *rows;
	int64_t out[6];		/* since when, by place; now is 100 s */
	int64_t failed;
	unsigned int failures;
	bool unable;
	bool failing;
	bool unfit;
	bool at_once;		/* else after five seconds */
	enum hcv_temp_act act;
	char store;
	int64_t until;
	const char *words;
};

#define S(s) ((s) * 1000)

static struct when whens[] = {
	{ "all is well", "S1 e1 v6 Ai1 Bi1", "AB" },
	{ "nobody serves", "N e1 v6 Ai1 Bs5", "AB" },
	{ "in a take-over", "T1 e1 v6 Ai1 Bs5", "AB" },
	{ "just lost", "S1 e1 v6 Ai1 Bs5", "AB", { 0, S(99) },
	  .until = S(104), .words = "unless it is back" },
	{ "just lost, at once", "S1 e1 v6 Ai1 Bs5", "AB", { 0, S(100) },
	  .at_once = true, .act = HCV_TEMP_BEGIN, .store = 'B' },
	{ "at once, but one failed", "S1 e1 v8 Ai1 Bs5", "AB", { 0, S(99) },
	  .failed = S(95), .failures = 1, .at_once = true, .until = S(105),
	  .words = "tried again" },
	{ "lost for five seconds", "S1 e1 v6 Ai1 Bs5", "AB", { 0, S(95) },
	  .act = HCV_TEMP_BEGIN, .store = 'B' },
	{ "lost for nobody knows how long", "S1 e1 v6 Ai1 Bs5", "AB",
	  .act = HCV_TEMP_BEGIN, .store = 'B' },
	{ "on its way back", "S1 e1 v6 Ai1 By5", "AB", { 0, S(1) } },
	{ "with nothing to add to", "S1 e1 v6 Ai1 Bs0", "AB", { 0, S(1) } },
	{ "a link is failing", "S1 e1 v6 Ai1 Bs5", "AB", { 0, S(1) },
	  .failing = true },
	{ "somebody does not know it", "S1 e1 v6 Ai1 Bs5", "AB", { 0, S(1) },
	  .unable = true, .words = "knows no" },
	{ "two copies are left", "S1 e1 v6 Ai1 Bs5 Ci1", "ABC", { 0, S(1) } },
	{ "one of three is left", "S1 e1 v8 Ai1 Bs5 Cs6", "ABC",
	  { 0, S(1), S(2) }, .act = HCV_TEMP_BEGIN, .store = 'C' },
	{ "the one that left last is too fresh", "S1 e1 v8 Ai1 Bs5 Cs6",
	  "ABC", { 0, S(1), S(98) }, .until = S(103), .words = "back" },
	{ "the one with more extents", "S1 e1 v8 Ai1 Bs5 Cs6", "AB,AB,AC",
	  { 0, S(1), S(1) }, .act = HCV_TEMP_BEGIN, .store = 'B' },
	{ "some extents have two, some one", "S1 e1 v8 Ai1 Bs5 Ci1",
	  "AB,ABC", { 0, S(1) } },
	{ "it has no extent", "S1 e1 v8 Ai1 Bs5", "A", { 0, S(1) } },
	{ "an incomplete copy does not count", "S1 e1 v8 Ai1 Bs5 Ci1", "ABc",
	  { 0, S(1) }, .act = HCV_TEMP_BEGIN, .store = 'B' },

	{ "one failed", "S1 e1 v8 Ai1 Bs5", "AB", { 0, S(1) },
	  .failed = S(95), .failures = 1, .until = S(105),
	  .words = "tried again" },
	{ "one failed ten seconds ago", "S1 e1 v8 Ai1 Bs5", "AB",
	  { 0, S(1) }, .failed = S(90), .failures = 1,
	  .act = HCV_TEMP_BEGIN, .store = 'B' },
	{ "three failed", "S1 e1 v8 Ai1 Bs5", "AB", { 0, S(1) },
	  .failed = S(90), .failures = 3, .until = S(130), .words = "again" },
	{ "all failed", "S1 e1 v8 Ai1 Bs5", "AB", { 0, S(1) },
	  .failed = S(90), .failures = 99, .until = S(250), .words = "again" },

	{ "there is one", "S1 e1 v8 Ai1 Bs5 Dt5B", "AB", { 0, S(1) } },
	{ "there is one, and others are out", "S1 e1 v8 Ai1 Bs5 Dt5B Es3",
	  "AB,AE,AE", { 0, S(1), 0, S(1) } },
	{ "two copies again", "S1 e1 v8 Ai1 Bs5 Ci7 Dt5B!", "ABC",
	  .act = HCV_TEMP_DROP, .store = 'D', .words = "single copy" },
	{ "of some extents", "S1 e1 v8 Ai1 Bs5 Ci7 Dt5B!", "ABC,AB" },
	{ "the base has no extents any more", "S1 e1 v8 Ai1 Bs5 Ci7 Dt5B!",
	  "AC", .act = HCV_TEMP_DROP, .store = 'D' },
	{ "its store is to be emptied", "S1 e1 v8 Ai1 Bs5 Dt5B!", "AB",
	  .unfit = true, .act = HCV_TEMP_DROP, .store = 'D',
	  .words = "emptied" },
	{ "a pair stays", "S1 e1 v8 As7 By5 Dt5B=", "AB", .unfit = true },
};

static void when_desc(struct when *w, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", w->name);
}

KUNIT_ARRAY_PARAM(when, whens, when_desc);

static void test_when(struct kunit *test)
{
	const struct when *w = test->param_value;
	struct hcv_record r = parse(w->rec);
	struct hcv_row row[16];
	struct hcv_rows rows;
	struct hcv_temp_now now = {
		.now_ms = S(100), .delay_ms = w->at_once ? 0 : S(5), .rec = &r,
		.rows = &rows, .out_ms = w->out,
		.failed_ms = w->failed, .failures = w->failures,
		.able = !w->unable, .failing = w->failing, .unfit = w->unfit,
	};
	struct hcv_temp_want want = { .store = id('F'), .cleared = true };
	struct hcv_temp_say say;
	char err[HCV_ERR_SIZE];

	rows_of(w->rows, row, &rows);
	KUNIT_ASSERT_EQ_MSG(test, hcv_record_check(&r, err), 0, "%s", err);
	hcv_temp_policy(&now, &say);
	KUNIT_EXPECT_EQ_MSG(test, say.act, w->act, "%s", say.why);
	KUNIT_EXPECT_STREQ(test, say.store, w->store ? id(w->store) : "");
	KUNIT_EXPECT_EQ(test, say.until_ms, w->until);
	KUNIT_EXPECT_EQ_MSG(test, !*say.why, !w->words &&
			    say.act != HCV_TEMP_DROP, "%s", say.why);
	if (w->words)
		KUNIT_EXPECT_TRUE_MSG(test, strstr(say.why, w->words), "%s",
				      say.why);
	/* What it says can be done. */
	want.base = say.store;
	if (say.act == HCV_TEMP_BEGIN)
		KUNIT_EXPECT_EQ_MSG(test, hcv_record_temp_begin(&r, &want,
								&rows, err),
				    0, "%s", err);
	if (say.act == HCV_TEMP_DROP)
		KUNIT_EXPECT_EQ_MSG(test, hcv_record_temp_out(&r, say.store,
							      err), 0, "%s",
				    err);
}

/* ------------------------------------------------------------------ where */

/*
 * Stores "Ax1.10/2": letter, rack, node, total, used, then ! not live, - not
 * ready, ~ suspect, < left.  Rack 0: none was configured.
 */
struct where {
	const char *name;
	const char *stores;
	char owner;
	const char *rec;	/* NULL: "S1 e1 v6 Ai1 Bs5" */
	const char *rows;	/* NULL: "AB,AB" */
	char base;		/* 0: B */
	char choice;		/* 0: none */
	const char *words;
};

static struct where wheres[] = {
	{ "the only one", "A01.9/2 B02.9/2! C03.9/2", '1', .choice = 'C' },
	{ "none", "A01.9/2 B02.9/2!", '1', .words = "no other live" },
	{ "not live", "A01.9/2 B02.9/2! C03.9/2!", '1', .words = "live" },
	{ "not ready", "A01.9/2 B02.9/2! C03.9/2-", '1', .words = "live" },
	{ "left", "A01.9/2 B02.9/2! C03.9/2<", '1', .words = "next attach" },
	{ "left, and another one", "A01.9/2 B02.9/2! C03.9/2< D03.9/6", '1',
	  .choice = 'D' },
	{ "suspect", "A01.9/2 B02.9/2! C03.9/2~", '1', .words = "ailing" },
	{ "of the record", "A01.9/2 B02.9/2! C03.9/2 D03.9/2", '1',
	  "S1 e1 v6 Ai1 Bs5 Cs0", .choice = 'D' },
	{ "of a row", "A01.9/2 B02.9/2! C03.9/2 D03.9/2", '1',
	  .rows = "AB,ABc", .choice = 'D' },
	{ "no room", "A01.9/2 B02.9/2! C03.9/8", '1', .words = "2 extents" },
	{ "room, but too full then", "A01.9/2 B02.9/2! C03.20/16", '1',
	  .words = "room" },
	{ "room enough", "A01.9/2 B02.9/2! C03.20/15", '1', .choice = 'C' },
	{ "room for what the base has", "A01.9/2 B02.9/2! C03.20/15", '1',
	  .rows = "AB,AB,AE,Ab", .choice = 'C' },
	{ "another node", "A01.9/2 B02.9/2! C01.9/0 D03.9/6", '1',
	  .choice = 'D' },
	{ "the same node is better than none",
	  "A01.9/2 B02.9/2! C01.9/0", '1', .choice = 'C' },
	{ "another rack", "Ax1.9/2 By2.9/2! Cx3.9/0 Dy4.9/6", '1',
	  .choice = 'D' },
	{ "another node of the same rack", "Ax1.9/2 By2.9/2! Cx1.9/0 Dx4.9/6",
	  '1', .choice = 'D' },
	{ "apart from all copies", "A01.9/2 B02.9/2! C03.9/2 D03.9/0 E04.9/6",
	  '1', "S1 e1 v6 Ai1 Bs5 Ci1", "AB,CB", .choice = 'E' },
	{ "copies of other extents do not count",
	  "A01.9/2 B02.9/2! C03.9/2 D03.9/0 E04.9/6",
	  '1', "S1 e1 v6 Ai1 Bs5 Ci1", "AB,AC", .choice = 'D' },
	{ "the owner's node", "A01.9/2 B02.9/2! C03.9/0 D04.9/6", '4',
	  .choice = 'D' },
	{ "the owner's node is that of the copy",
	  "A01.9/2 B02.9/2! C01.9/0 D04.9/6", '1', .choice = 'D' },
	{ "one that is not busy", "A01.9/2 B02.9/2! C03.99/78 D04.9/4", '1',
	  .choice = 'D' },
	{ "the emptiest", "A01.9/2 B02.9/2! C03.9/3 D04.9/2 E05.9/4", '1',
	  .choice = 'D' },
};

static void where_desc(struct where *w, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", w->name);
}

KUNIT_ARRAY_PARAM(where, wheres, where_desc);

static size_t stores_of(const char *text, struct hcv_place_store *st,
			bool *suspect, bool *left)
{
	char *copy = strdup(text), *save, *t, *end;
	size_t nr = 0;

	for (t = strtok_r(copy, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
		memset(&st[nr], 0, sizeof(st[nr]));
		strcpy(st[nr].uuid, id(t[0]));
		if (t[1] != '0')
			st[nr].rack[0] = t[1];
		strcpy(st[nr].node, id(t[2]));
		st[nr].total = (uint32_t)strtoul(t + 4, &end, 10);
		st[nr].used = (uint32_t)strtoul(end + 1, &end, 10);
		st[nr].live = *end != '!';
		st[nr].ready = *end != '-';
		left[nr] = *end == '<';
		suspect[nr++] = *end == '~';
	}
	free(copy);
	return nr;
}

static void test_where(struct kunit *test)
{
	const struct where *w = test->param_value;
	struct hcv_record r = parse(w->rec ? w->rec : "S1 e1 v6 Ai1 Bs5");
	struct hcv_place_store st[8];
	char err[HCV_ERR_SIZE] = "";
	bool suspect[8], left[8];
	struct hcv_row row[16];
	struct hcv_rows rows;
	struct hcv_temp_where where = {
		.store = st, .suspect = suspect, .left = left,
		.owner = id(w->owner),
		.base = id(w->base ? w->base : 'B'), .rec = &r, .rows = &rows,
	};
	size_t choice = 99;

	where.nr = stores_of(w->stores, st, suspect, left);
	rows_of(w->rows ? w->rows : "AB,AB", row, &rows);
	KUNIT_EXPECT_EQ_MSG(test, hcv_temp_place(&where, &choice, err),
			    w->choice ? 0 : -ENOSPC, "%s", err);
	if (w->choice && choice < where.nr)
		KUNIT_EXPECT_EQ_MSG(test, letter(st[choice].uuid), w->choice,
				    "%c", letter(st[choice].uuid));
	KUNIT_EXPECT_EQ_MSG(test, !*err, !w->words, "%s", err);
	if (w->words)
		KUNIT_EXPECT_TRUE_MSG(test, strstr(err, w->words), "%s", err);
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(test_when, when_gen_params),
	KUNIT_CASE_PARAM(test_where, where_gen_params),
	{}
};

static struct kunit_suite suite = {
	.name = "hcv_temp",
	.test_cases = cases,
};
kunit_test_suite(suite);
