// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the schedule of scrubs, and of what is remembered of a pass.
 */
#include <kunit/test.h>
#include <stdlib.h>

#include "scrubplan.h"

#define DAY	86400LL
#define NOW	(1000 * DAY)
#define ID_A	"11111111-2222-3333-4444-555555555555"
#define ID_B	"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"

/* Days before now; 0 in @ended: there was no pass. */
struct hcv_t_vol {
	bool active, running;
	int created, ended;
	bool stopped;
};

static const struct {
	const char *what;
	unsigned int days;
	struct hcv_t_vol v[4];
	int next;
} hcv_t_plans[] = {
	{ "nothing there", 28, { { 0 } }, -1 },
	{ "off", 0, { { true, false, 100, 0, false } }, -1 },
	{ "never, and old enough", 28, { { true, false, 29, 0, false } }, 0 },
	{ "never, and young", 28, { { true, false, 27, 0, false } }, -1 },
	{ "on the day", 28, { { true, false, 28, 0, false } }, 0 },
	{ "long ago", 28, { { true, false, 300, 40, false } }, 0 },
	{ "not long ago", 28, { { true, false, 300, 2, false } }, -1 },
	{ "stopped: a day later again", 28,
	  { { true, false, 300, 2, true } }, 0 },
	{ "stopped: not at once", 2, { { true, false, 300, -1, true } }, -1 },
	{ "every day, stopped", 1, { { true, false, 300, 1, true } }, 0 },
	{ "not active", 28, { { false, false, 100, 0, false } }, -1 },
	{ "one at a time", 28, { { true, false, 100, 0, false },
				 { true, true, 100, 0, false } }, -1 },
	{ "one at a time, whatever its state", 28,
	  { { true, false, 100, 0, false }, { false, true, 100, 0, false } },
	  -1 },
	{ "the most overdue", 28, { { true, false, 300, 40, false },
				    { true, false, 300, 60, false },
				    { true, false, 50, 0, false } }, 1 },
	{ "equally overdue: the first", 28,
	  { { true, false, 300, 40, false }, { true, false, 300, 40, false } },
	  0 },
	{ "a clock was far ahead", 28,
	  { { true, false, 300, -400, false } }, 0 },
};

static void hcv_scrubplan_test_next(struct kunit *test)
{
	struct hcv_scrubplan_vol v[4];
	struct hcv_scrub_info last[4];
	unsigned int i, k;

	for (i = 0; i < sizeof(hcv_t_plans) / sizeof(hcv_t_plans[0]); i++) {
		memset(v, 0, sizeof(v));
		memset(last, 0, sizeof(last));
		for (k = 0; k < 4; k++) {
			const struct hcv_t_vol *t = &hcv_t_plans[i].v[k];

			v[k].active = t->active;
			v[k].running = t->running;
			v[k].created = NOW - t->created * DAY;
			last[k].ended = NOW - t->ended * DAY;
			/* -1: some minutes ago. */
			if (t->ended == -1)
				last[k].ended = NOW - 300;
			last[k].whole = !t->stopped;
			v[k].last = t->ended ? &last[k] : NULL;
		}
		KUNIT_EXPECT_EQ_MSG(test, hcv_t_plans[i].next,
				    hcv_scrubplan_next(v, 4,
						       hcv_t_plans[i].days,
						       NOW),
				    "%s", hcv_t_plans[i].what);
	}
}

static void hcv_scrubplan_test_json(struct kunit *test)
{
	struct hcv_scrub_info i = {
		.node = ID_A, .epoch = 7, .pass = 3, .ended = 1700000000,
		.whole = false, .read = 1ULL << 40, .changed = 5, .damaged = 6,
		.media = 7, .lost = 8, .nr = 2,
		.st = {
			{ ID_A, HCV_SCRUBBED_GOOD, 1, 2, 3, 4, 5, 6, 7 },
			{ ID_B, HCV_SCRUBBED_UNCOVERED, 9, 8, 7, 6, 5, 4, 3 },
		},
	}, out;
	char err[HCV_ERR_SIZE] = "";
	char *text = hcv_scrub_encode(&i);

	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_ASSERT_EQ_MSG(test, 0, hcv_scrub_decode(text, &out, err), "%s",
			    err);
	KUNIT_EXPECT_EQ(test, 0, memcmp(&i, &out, sizeof(i)));
	free(text);
}

/* Each of them is refused, with the member named. */
#define HCV_T_HEAD \
	"{\"schema\":1,\"node\":\"" ID_A "\",\"ended\":1,\"whole\":true,\"epoch\":1,\"pass\":1,\"read\":1,\"changed\":0,\"damaged\":0,\"media\":0,\"lost\":0"

static const char *const hcv_t_bad[][2] = {
	{ "{\"schema\":2}", "schema" },
	{ "{\"schema\":1}", "node" },
	{ "{\"schema\":1,\"node\":\"" ID_A "\",\"ended\":-1}", "ended" },
	{ "{\"schema\":1,\"node\":\"" ID_A "\",\"ended\":1,\"whole\":1}",
	  "whole" },
	{ HCV_T_HEAD "}", "stores" },
	{ HCV_T_HEAD ",\"stores\":{\"x\":{}}}", "UUID" },
	{ HCV_T_HEAD ",\"stores\":{\"" ID_A "\":{\"result\":\"fine\"}}}",
	  "result" },
};

static void hcv_scrubplan_test_bad(struct kunit *test)
{
	struct hcv_scrub_info out;
	char err[HCV_ERR_SIZE];
	unsigned int i;

	for (i = 0; i < sizeof(hcv_t_bad) / sizeof(hcv_t_bad[0]); i++) {
		KUNIT_EXPECT_NE(test, 0,
				hcv_scrub_decode(hcv_t_bad[i][0], &out, err));
		KUNIT_EXPECT_TRUE_MSG(test, strstr(err, hcv_t_bad[i][1]),
				      "case %u: %s", i, err);
	}
}

/* result before, result of the further pass (-1: not in it), what is kept */
static const int hcv_t_carry[][3] = {
	{ HCV_SCRUBBED_BAD, HCV_SCRUBBED_GOOD, HCV_SCRUBBED_GOOD },
	{ HCV_SCRUBBED_BAD, HCV_SCRUBBED_UNCOVERED, HCV_SCRUBBED_BAD },
	{ HCV_SCRUBBED_BAD, HCV_SCRUBBED_BAD, HCV_SCRUBBED_BAD },
	{ HCV_SCRUBBED_BAD, -1, HCV_SCRUBBED_BAD },
	{ HCV_SCRUBBED_GOOD, HCV_SCRUBBED_UNCOVERED, HCV_SCRUBBED_UNCOVERED },
	{ HCV_SCRUBBED_GOOD, HCV_SCRUBBED_BAD, HCV_SCRUBBED_BAD },
	{ HCV_SCRUBBED_UNCOVERED, HCV_SCRUBBED_GOOD, HCV_SCRUBBED_GOOD },
	{ HCV_SCRUBBED_GOOD, -1, -1 },
	{ -1, HCV_SCRUBBED_GOOD, HCV_SCRUBBED_GOOD },
	{ -1, -1, -1 },
};

static void hcv_t_put(struct hcv_scrub_info *i, const char *store, int result)
{
	if (result < 0)
		return;
	strcpy(i->st[i->nr].store, store);
	i->st[i->nr].covered = 7;
	i->st[i->nr++].result = (unsigned int)result;
}

static void hcv_scrubplan_test_carry(struct kunit *test)
{
	unsigned int n;

	for (n = 0; n < sizeof(hcv_t_carry) / sizeof(hcv_t_carry[0]); n++) {
		const int *c = hcv_t_carry[n];
		struct hcv_scrub_info was = { 0 }, is = { 0 };

		/* Another store, that is none of the volume's any more. */
		hcv_t_put(&was, ID_B, HCV_SCRUBBED_BAD);
		hcv_t_put(&was, ID_A, c[0]);
		hcv_t_put(&is, ID_A, c[1]);
		hcv_scrub_carry(&is, &was, ID_A);
		KUNIT_EXPECT_EQ_MSG(test, c[2] < 0 ? 0U : 1U, is.nr, "case %u",
				    n);
		if (!is.nr)
			continue;
		KUNIT_EXPECT_STREQ(test, ID_A, is.st[0].store);
		KUNIT_EXPECT_EQ_MSG(test, c[2], (int)is.st[0].result,
				    "case %u", n);
		KUNIT_EXPECT_EQ(test, c[1] < 0 ? 0 : 7,
				(int)is.st[0].covered);
	}
}

static struct kunit_case hcv_scrubplan_cases[] = {
	KUNIT_CASE(hcv_scrubplan_test_carry),
	KUNIT_CASE(hcv_scrubplan_test_next),
	KUNIT_CASE(hcv_scrubplan_test_json),
	KUNIT_CASE(hcv_scrubplan_test_bad),
	{ }
};

static struct kunit_suite hcv_scrubplan_suite = {
	.name = "hcv_scrubplan",
	.test_cases = hcv_scrubplan_cases,
};

kunit_test_suite(hcv_scrubplan_suite);
