// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the log's text: what does not belong there is noticed.
 */
#include <kunit/test.h>
#include <stdio.h>

#include "log.h"

#define HEAD	"! volume 1f 100 8\n! session 1\n! threads 2 2\n"

static struct hcv_ck_log *hcv_t_feed(const char *text)
{
	struct hcv_ck_log *log = hcv_ck_log_new();
	char line[256];
	size_t len;

	hcv_ck_log_file(log, "file");
	for (; *text; text += len + 1) {
		len = strcspn(text, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		hcv_ck_log_line(log, line);
	}
	hcv_ck_log_end(log);
	return log;
}

struct hcv_t_case {
	const char *text;
	u64 bad;
};

static const struct hcv_t_case hcv_t_cases[] = {
	{ "", 0 },
	{ HEAD, 0 },
	{ HEAD "0 w 2 1 0 1 0\n1 W 2 1 0 5\n2 f 3\n3 F 3 0 5\n4 e\n! end clean\n",
	  0 },
	{ HEAD "0 r 3 1 2\n1 R 3 0 9 0 x,0,5\n2 r 3 1 2\n3 R 3 5 9\n4 m\n", 0 },
	{ HEAD "! session 2\n! threads 0 1\n0 f 0\n! end crash\n", 0 },
	{ HEAD "0 f 2\n! threads 4 1\n0 f 4\n", 0 },
	/* A line is missing, in the middle and at the start. */
	{ HEAD "0 f 2\n2 F 2 0 5\n", 1 },
	{ HEAD "1 f 2\n", 1 },
	{ HEAD "0 f 2\n0 f 2\n", 1 },
	{ HEAD "0 f 2\n2 F 2 0 5\n3 f 2\n", 2 },
	/* What nobody says. */
	{ HEAD "hello\n", 1 },
	{ HEAD "0\n", 1 },
	{ HEAD "0 z 2\n", 1 },
	{ HEAD "0 w 2 1 0 1\n", 1 },
	{ HEAD "0 w 2 1 0 1 0 0\n", 1 },
	{ HEAD "0 w 2 1 0 33 0\n", 1 },
	{ HEAD "0 w 2 1 4294967296 1 0\n", 1 },
	{ HEAD "0 w 2 -1 0 1 0\n", 1 },
	{ HEAD "0 w 2 99999999999999999999 0 1 0\n", 1 },
	{ HEAD "0 r 2 0 1\n1 R 2 0 5\n", 1 },
	{ HEAD "0 r 2 0 1\n1 R 2 0 5 0 0\n", 1 },
	{ HEAD "0 r 2 0 1\n1 R 2 0 5 1.2\n", 1 },
	{ HEAD "0 r 2 0 1\n1 R 2 0 5 q,0,1\n", 1 },
	{ HEAD "0 r 2 0 1\n1 R 2 5 5 0\n", 1 },
	{ HEAD "! nothing\n", 1 },
	{ HEAD "! end\n", 1 },
	/* Threads that are not there, or elsewhere. */
	{ HEAD "0 f 1\n", 1 },
	{ HEAD "0 f 4\n", 1 },
	{ HEAD "0 f 9999999\n", 1 },
	{ HEAD "0 f 2\n1 r 2 0 1\n", 1 },
	{ HEAD "0 F 2 0 5\n", 1 },
	{ HEAD "0 f 2\n1 R 2 0 5\n", 1 },
	/* Sessions, volumes. */
	{ HEAD "0 e\n1 f 2\n", 1 },
	{ HEAD "! volume 2f 100 8\n", 1 },
	{ HEAD "! volume 1f 101 8\n", 1 },
	{ HEAD "! volume 1f 100 9\n", 1 },
	{ HEAD "! session 0\n", 1 },
	{ HEAD "! end clean\n! session 1\n", 1 },
	{ HEAD "! end clean\n! threads 0 1\n", 1 },
	{ HEAD "! session 2\n! session 1\n", 1 },
	{ HEAD "! session 4096\n", 1 },
	{ HEAD "! threads 4090 6\n", 1 },
	{ "! session 1\n", 1 },
	{ "0 f 2\n", 1 },
	{ "! volume 1f 100 0\n", 1 },
	{ "! volume 1f 100\n", 1 },
};

static void hcv_log_test_lines(struct kunit *test)
{
	struct hcv_ck_log *log;
	const char *first;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(hcv_t_cases); i++) {
		log = hcv_t_feed(hcv_t_cases[i].text);
		KUNIT_EXPECT_EQ_MSG(test, hcv_t_cases[i].bad,
				    hcv_ck_log_bad(log, &first), "%u: %s: %s",
				    i, hcv_t_cases[i].text, first);
		hcv_ck_log_free(log);
	}
}

static void hcv_log_test_stats(struct kunit *test)
{
	struct hcv_ck_log *log = hcv_t_feed(HEAD
		"0 w 2 1 0 1 0\n1 W 2 1 0 50\n2 f 3\n3 F 3 0 900\n"
		"4 r 2 0 1\n5 R 2 0 7 1.2.1\n6 w 2 2 0 1 0\n7 W 2 2 5 9999\n"
		"! session 3\n! threads 0 1\n0 f 0\n1 F 0 0 4\n");
	const struct hcv_ck_stats *s = hcv_ck_log_stats(log, 0);

	KUNIT_EXPECT_EQ(test, 1, s->session);
	KUNIT_EXPECT_EQ(test, 1, s->writes);
	KUNIT_EXPECT_EQ(test, 1, s->flushes);
	KUNIT_EXPECT_EQ(test, 1, s->reads);
	KUNIT_EXPECT_EQ(test, 1, s->errors);
	KUNIT_EXPECT_EQ(test, 900, s->worst_us);
	KUNIT_EXPECT_EQ(test, 7, s->worst_line);
	s = hcv_ck_log_stats(log, 1);
	KUNIT_EXPECT_EQ(test, 3, s->session);
	KUNIT_EXPECT_EQ(test, 4, s->worst_us);
	KUNIT_EXPECT_NULL(test, hcv_ck_log_stats(log, 2));
	KUNIT_EXPECT_EQ(test, 0x1f, hcv_ck_log_run(log));
	KUNIT_EXPECT_EQ(test, 100, hcv_ck_log_first(log));
	KUNIT_EXPECT_EQ(test, 8, hcv_ck_log_blocks(log));
	KUNIT_EXPECT_EQ(test, 0, hcv_ck_faults(hcv_ck_log_history(log)));
	hcv_ck_log_free(log);
}

/* Messages lead to lines, in the second session and file as well. */
static void hcv_log_test_places(struct kunit *test)
{
	struct hcv_ck_log *log = hcv_t_feed(HEAD
		"0 w 2 1 0 1 0\n1 W 2 1 0 5\n2 r 3 0 1\n3 R 3 0 7 0\n"
		"! volume 1f 100 8\n! session 2\n! threads 0 1\n"
		"0 r 0 1 1\n1 R 0 0 7 t,0,0\n");
	struct hcv_ck *ck = hcv_ck_log_history(log);
	const char *text = hcv_ck_text(ck, 0);

	KUNIT_EXPECT_EQ(test, 2, hcv_ck_faults(ck));
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "event 6: a read of zeroes"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "in event 5"));
	text = hcv_ck_text(ck, 1);
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "block 1, event 12:"));
	hcv_ck_log_free(log);
}

static void hcv_log_test_stamps(struct kunit *test)
{
	static const struct hcv_ck_stamp stamps[] = {
		{ HCV_CK_WHOLE, 0, 0 },
		{ HCV_CK_WHOLE, U64_MAX, 0 },
		{ HCV_CK_TORN, 0, 1ULL << 60 | 5ULL << 40 | 1 },
		{ HCV_CK_TORN, U64_MAX, U64_MAX },
		{ HCV_CK_MISPLACED, 1ULL << 60, 12345 },
		{ HCV_CK_OTHER_RUN, 1, U64_MAX },
		{ HCV_CK_GARBAGE, 0, 7 },
	};
	struct hcv_ck_stamp st;
	const char *rest;
	char text[73];
	u32 i, len;

	for (i = 0; i < ARRAY_SIZE(stamps); i++) {
		len = hcv_ck_stamp_print(text, &stamps[i]);
		KUNIT_EXPECT_LE(test, len, 71);
		KUNIT_EXPECT_NULL(test, strchr(text, ' '));
		rest = hcv_ck_stamp_parse(text, &st);
		if (!rest || *rest || st.seen != stamps[i].seen ||
		    st.id != stamps[i].id || st.other != stamps[i].other)
			KUNIT_FAIL(test, "%s", text);
	}
}

static struct kunit_case hcv_log_cases[] = {
	KUNIT_CASE(hcv_log_test_lines),
	KUNIT_CASE(hcv_log_test_stats),
	KUNIT_CASE(hcv_log_test_places),
	KUNIT_CASE(hcv_log_test_stamps),
	{}
};

static struct kunit_suite hcv_log_suite = {
	.name = "checker_log",
	.test_cases = hcv_log_cases,
};

kunit_test_suite(hcv_log_suite);
