// SPDX-License-Identifier: GPL-2.0-only
/*
 * Steps of recovery jobs: a table.
 *
 * Rows are words; a store is a letter: large in-sync, small stale, "(A)" syncing,
 * "!A" in-sync but not well, "~a" stale and still tied in the module.  What a
 * step names is "ACT STORE ROW".
 */
#include <kunit/test.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobplan.h"

#define ROWS	8

struct job_case {
	const char *name;
	const char *rows;
	unsigned int replicas;
	const char *job;	/* "A>B", "!A>B": called off, "?A>B": taking, "A>" */
	const char *want;
	const char *holds;	/* stores not to be brought up to date */
};

static const struct job_case job_cases[] = {
	{ "begins", "AC AD BD", 2, "A>E", "add E 0", "" },
	{ "goes on", "ACe AD", 2, "A>E", "add E 1", "e" },
	{ "is filled", "ACe ADe", 2, "A>E", "wait", "" },
	{ "is syncing", "AC(E) AD(E)", 2, "A>E", "wait", "" },
	{ "gets no rows while it is syncing", "AC(E) AD", 2, "A>E", "wait",
	  "" },
	{ "is in-sync", "ACE ADE", 2, "A>E", "remove A 0", "" },
	{ "the old one is stale", "aCE aDE", 2, "A>E", "drop A 0", "a" },
	{ "the old one is stale, the new one not there yet", "aCe", 2, "A>E",
	  "wait", "" },
	{ "some rows are gone", "CE aDE", 2, "A>E", "drop A 1", "a" },
	{ "the module still has it", "~aCE", 2, "A>E", "wait", "a" },
	{ "all is done", "CE DE", 2, "A>E", "end 1", "" },
	{ "another replica was lost", "AcE", 2, "A>E", "end 0", "" },
	{ "another replica's store was lost", "A!CE", 2, "A>E", "end 0", "" },
	{ "then it is needed after all", "acE", 2, "A>E", "end 0", "" },
	{ "new rows came", "ACE AC", 2, "A>E", "end 0", "" },
	{ "a repair", "aC", 2, "A>E", "add E 0", "" },
	{ "one replica", "A A", 1, "A>E", "add E 0", "" },
	{ "one replica moves", "AE AE", 1, "A>E", "remove A 0", "" },
	{ "called off before it began", "AC", 2, "!A>E", "end 0", "" },
	{ "called off", "ACe AD", 2, "!A>E", "drop E 0", "e" },
	{ "called off when all rows have it", "ACe ADe", 2, "!A>E",
	  "drop E 0", "e" },
	{ "called off, with an extent of its own", "ACe Ce", 2, "!A>E",
	  "end 0", "e" },
	{ "with an extent of its own", "ACE CE", 2, "A>E", "remove A 0", "" },
	{ "nobody serves the volume", "AC AD", 2, "?A>E", "wait", "" },
	{ "called off while syncing", "AC(E)", 2, "!A>E", "remove E 0", "" },
	{ "called off too late", "ACE", 2, "!A>E", "remove A 0", "" },
	{ "full rows", "ABCD", 3, "A>E", "end 0", "" },
	{ "nothing there", "BC", 2, "A>E", "end 0", "" },
	{ "too many", "ABC", 2, "A>", "remove A 0", "" },
	{ "too many, one stale", "aBC", 2, "A>", "drop A 0", "a" },
	{ "not too many", "AB", 2, "A>", "end 0", "" },
	{ "full rows make room", "abCD", 3, "A>", "drop A 0", "a" },
	{ "full rows do not for one that is in-sync", "AbCD", 3, "A>",
	  "end 0", "" },
	{ "but not the last copy", "abcd", 3, "A>", "end 0", "" },
	{ "elections stay possible", "ABC BD CD", 2, "A>", "end 0", "" },
};

struct job_bed {
	struct hcv_record rec;
	struct hcv_row row[ROWS];
	struct hcv_rows rows;
	struct hcv_jp_in in;
	char from[HCV_ID_LEN], to[HCV_ID_LEN];
};

static void job_id(char *out, char letter)
{
	*out = 0;
	if (letter)
		snprintf(out, HCV_ID_LEN, "0000000%c-0000-4000-8000-%012d",
			 toupper(letter), 0);
}

static size_t job_store(struct job_bed *b, char letter)
{
	char id[HCV_ID_LEN];
	size_t i;

	job_id(id, letter);
	for (i = 0; i < b->rec.nr; i++)
		if (!strcmp(b->rec.st[i].store, id))
			return i;
	strcpy(b->rec.st[b->rec.nr++].store, id);
	return i;
}

static void job_make(struct job_bed *b, const struct job_case *c)
{
	struct hcv_row *row = b->row;
	const char *s;
	char mark = 0;
	size_t i;

	memset(b, 0, sizeof(*b));
	b->rec.phase = HCV_PH_SERVING;
	for (s = c->rows; *s; s++) {
		if (*s == ' ') {
			row[1].index = row->index + 1;
			row++;
			continue;
		}
		if (!isalpha(*s)) {
			mark = *s;
			continue;
		}
		i = job_store(b, *s);
		b->rec.st[i].state = mark == '(' ? HCV_RS_SYNCING :
				     islower(*s) ? HCV_RS_STALE :
				     HCV_RS_INSYNC;
		b->in.good[i] = isupper(*s) && !mark;
		b->in.tied[i] = mark == '~';
		job_id(row->store[row->nr], *s);
		row->full |= (uint8_t)(1U << row->nr++);
		if (mark == '(')
			s++;
		mark = 0;
	}
	b->rows.row = b->row;
	b->rows.nr = (size_t)(row - b->row) + 1;
	s = c->job;
	b->in.cancel = *s == '!';
	if (*s == '?')
		b->rec.phase = HCV_PH_TAKING;
	s += *s == '!' || *s == '?';
	job_id(b->from, s[0]);
	job_id(b->to, s[2]);
	b->in.from = b->from;
	b->in.to = b->to;
	b->in.replicas = c->replicas;
	b->in.rec = &b->rec;
	b->in.rows = &b->rows;
}

static void job_table(struct kunit *test)
{
	static const char *const act[] = {
		"wait", "add", "remove", "drop", "end",
	};
	const struct job_case *c = test->param_value;
	char got[64], holds[HCV_REC_STORES + 1] = "";
	struct hcv_jp_out out;
	struct job_bed b;
	size_t i, nr = 0;

	job_make(&b, c);
	hcv_jobplan_next(&b.in, &out);
	if (out.act == HCV_JP_WAIT)
		strcpy(got, "wait");
	else if (out.act == HCV_JP_END)
		sprintf(got, "end %d", out.done);
	else
		sprintf(got, "%s %c %zu", act[out.act], out.store[7], out.row);
	KUNIT_EXPECT_STREQ_MSG(test, (const char *)got, c->want, "%s",
			       out.why ? out.why : "");
	for (i = 0; i < b.rec.nr; i++)
		if (hcv_jobplan_holds(&b.in, b.rec.st[i].store))
			holds[nr++] = (char)tolower(b.rec.st[i].store[7]);
	KUNIT_EXPECT_STREQ(test, (const char *)holds, c->holds);
}

static void job_desc(const struct job_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", c->name);
}

KUNIT_ARRAY_PARAM(job, job_cases, job_desc);

/* What placement sees: both ends of the job, the second one in no column. */
static void job_place_rows(struct kunit *test)
{
	static const struct job_case c = { .rows = "ACe BD", .job = "A>E" };
	struct hcv_rows out;
	struct job_bed b;

	job_make(&b, &c);
	KUNIT_ASSERT_EQ(test, hcv_jobplan_place_rows(b.from, b.to, &b.rows,
						     &out), 0);
	KUNIT_ASSERT_EQ(test, out.nr, 3);
	KUNIT_EXPECT_EQ(test, out.row[0].nr, 2);
	KUNIT_EXPECT_EQ(test, out.row[0].full, 3);
	KUNIT_EXPECT_EQ(test, out.row[0].store[0][7], 'A');
	KUNIT_EXPECT_EQ(test, out.row[1].nr, 2);
	KUNIT_EXPECT_EQ(test, out.row[1].full, 3);
	KUNIT_EXPECT_EQ(test, out.row[1].store[0][7], 'C');
	KUNIT_EXPECT_EQ(test, out.row[1].store[1][7], 'E');
	KUNIT_EXPECT_EQ(test, out.row[1].column, UINT8_MAX);
	KUNIT_EXPECT_EQ(test, out.row[2].store[0][7], 'B');
	hcv_model_rows_free(&out);
}

/* When the target may get new rows, though it is not in-sync. */
static void job_takes(struct kunit *test)
{
	static const struct {
		struct job_case c;
		bool takes;
	} cases[] = {
		{ { .rows = "AC AD", .job = "A>E" }, false },
		{ { .rows = "ACe AD", .job = "A>E" }, false },
		{ { .rows = "ACe ADe", .job = "A>E" }, true },
		{ { .rows = "ACe ADe CD", .job = "A>E" }, true },
		{ { .rows = "AC(E) AD(E) C(E)", .job = "A>E" }, true },
		{ { .rows = "ACe ADe", .job = "!A>E" }, false },
		{ { .rows = "CE DE", .job = "A>E" }, true },
		{ { .rows = "CD", .job = "A>E" }, false },
		{ { .rows = "ACD", .job = "A>" }, false },
	};
	struct hcv_job_info job;
	struct job_bed b;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		job_make(&b, &cases[i].c);
		job = (struct hcv_job_info){ .cancel = b.in.cancel };
		strcpy(job.from, b.from);
		strcpy(job.to, b.to);
		KUNIT_EXPECT_EQ_MSG(test, hcv_jobplan_takes(&job, &b.rows),
				    cases[i].takes, "%s %s", cases[i].c.rows,
				    cases[i].c.job);
	}
}

static struct kunit_case jobplan_cases[] = {
	KUNIT_CASE_PARAM(job_table, job_gen_params),
	KUNIT_CASE(job_place_rows),
	KUNIT_CASE(job_takes),
	{}
};

static struct kunit_suite jobplan_suite = {
	.name = "jobplan",
	.test_cases = jobplan_cases,
};

kunit_test_suite(jobplan_suite);
