// SPDX-License-Identifier: GPL-2.0-only
/*
 * Histories by hand: each kind of fault is caught, what is legal passes.
 *
 * Histories are logs as in log.h, the numbers of lines left out, and verbs
 * without what does not matter: "w 0 1 5 2" is write 1 of thread 0 to blocks 5
 * and 6, "W 0 1" its acknowledgment, "X 0 1" its error.
 */
#include <kunit/test.h>
#include <stdio.h>

#include "log.h"

#define HCV_T_BLOCKS	8

/* Attachments, and lines that come often. */
#define S(n)	"! session " #n "\n! threads 0 4\n"
#define SAME(n)	"! session " #n "\n! threads 4 4\n"
#define CRASH	"! end crash\n"
#define CLEAN	"e\n! end clean\n"
#define FLUSH	"f 3\nF 3\n"
#define PUT(t, seq, b, n) \
	"w " #t " " #seq " " #b " " #n "\nW " #t " " #seq "\n"
#define GET(b, stamp)	"r 2 " #b " 1\nR 2 " stamp "\n"

static void hcv_t_line(struct hcv_ck_log *log, char *line, u32 *number)
{
	char text[320], *rest = line + 1, verb = line[0];

	if (verb == '!') {
		if (strstr(line, "threads"))
			*number = 0;
		hcv_ck_log_line(log, line);
		return;
	}
	if (verb == 'w')
		snprintf(text, sizeof(text), "%u w%s 0", *number, rest);
	else if (verb == 'u')
		snprintf(text, sizeof(text), "%u w%s 1", *number, rest);
	else if (verb == 'W')
		snprintf(text, sizeof(text), "%u W%s 0 7", *number, rest);
	else if (verb == 'X')
		snprintf(text, sizeof(text), "%u W%s 5 7", *number, rest);
	else if (verb == 'F')
		snprintf(text, sizeof(text), "%u F%s 0 7", *number, rest);
	else if (verb == 'G')
		snprintf(text, sizeof(text), "%u F%s 5 7", *number, rest);
	else if (verb == 'R')
		snprintf(text, sizeof(text), "%u R%.2s 0 7%s", *number, rest,
			 rest + 2);
	else
		snprintf(text, sizeof(text), "%u %s", *number, line);
	++*number;
	hcv_ck_log_line(log, text);
}

/* Feeds it up to its end, which is one of the session as well. */
static struct hcv_ck_log *hcv_t_feed(struct kunit *test, const char *script)
{
	struct hcv_ck_log *log = hcv_ck_log_new();
	char line[256];
	const char *first;
	u32 number = 0;
	size_t len;

	snprintf(line, sizeof(line), "! volume 1f 100 %u", HCV_T_BLOCKS);
	hcv_ck_log_line(log, line);
	for (; *script; script += len + 1) {
		len = strcspn(script, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)len, script);
		hcv_t_line(log, line, &number);
	}
	hcv_ck_log_end(log);
	KUNIT_EXPECT_EQ_MSG(test, 0, hcv_ck_log_bad(log, &first), "%s", first);
	return log;
}

struct hcv_t_case {
	const char *name;
	const char *script;
	int fault;		/* -1: none */
};

static const struct hcv_t_case hcv_t_legal[] = {
	{ "nothing", S(1) GET(0, "0") CRASH, -1 },
	{ "read back", S(1) PUT(0, 1, 0, 2) GET(0, "1.0.1") GET(1, "1.0.1")
	  GET(2, "0") CLEAN, -1 },
	{ "in flight, seen or not",
	  S(1) "w 0 1 0 1\n" GET(0, "0") GET(0, "1.0.1") "W 0 1\n" CLEAN, -1 },
	{ "unacknowledged write appears after a crash",
	  S(1) "w 0 1 0 1\n" CRASH S(2) GET(0, "1.0.1") CLEAN, -1 },
	{ "unacknowledged write does not appear",
	  S(1) "w 0 1 0 1\n" CRASH S(2) GET(0, "0") CLEAN, -1 },
	{ "acknowledged, not flushed, lost",
	  S(1) PUT(0, 1, 0, 1) CRASH S(2) GET(0, "0") CLEAN, -1 },
	{ "acknowledged, read, not flushed, lost",
	  S(1) PUT(0, 1, 0, 1) GET(0, "1.0.1") CRASH S(2) GET(0, "0") CLEAN,
	  -1 },
	{ "writes of one flush period in any order",
	  S(1) PUT(0, 1, 0, 1) PUT(0, 2, 1, 1) PUT(0, 3, 0, 1) CRASH
	  S(2) GET(0, "1.0.1") GET(1, "0") CLEAN, -1 },
	{ "flushed, then a newer one that was not",
	  S(1) PUT(0, 1, 0, 1) FLUSH PUT(0, 2, 0, 1) CRASH
	  S(2) GET(0, "1.0.2") CLEAN, -1 },
	{ "the flush began before the acknowledgment",
	  S(1) "w 0 1 0 1\nf 3\nW 0 1\nF 3\n" CRASH S(2) GET(0, "0") CLEAN,
	  -1 },
	{ "the flush failed",
	  S(1) PUT(0, 1, 0, 1) "f 3\nG 3\n" CRASH S(2) GET(0, "0") CLEAN, -1 },
	{ "the flush did not end",
	  S(1) PUT(0, 1, 0, 1) "f 3\n" CRASH S(2) GET(0, "0") CLEAN, -1 },
	{ "overlapping writers, one wins",
	  S(1) "w 0 1 0 1\nw 1 1 0 1\nW 0 1\nW 1 1\n" GET(0, "1.0.1")
	  GET(0, "1.0.1") CLEAN S(2) GET(0, "1.0.1") CLEAN, -1 },
	{ "overlapping writers, the other wins",
	  S(1) "w 0 1 0 1\nw 1 1 0 1\nW 0 1\nW 1 1\n" FLUSH CRASH
	  S(2) GET(0, "1.1.1") CLEAN, -1 },
	{ "overlapping writers, one block each",
	  S(1) "w 0 1 0 2\nw 1 1 0 2\nW 0 1\nW 1 1\n" GET(0, "1.0.1")
	  GET(1, "1.1.1") CLEAN, -1 },
	{ "reads at the same time differ",
	  S(1) "r 2 0 1\nr 3 0 1\n" PUT(0, 1, 0, 1) "R 3 1.0.1\nR 2 0\n" CLEAN,
	  -1 },
	{ "a failed write is there",
	  S(1) "w 0 1 0 1\nX 0 1\n" GET(0, "1.0.1") CLEAN, -1 },
	{ "a failed write is there later, or not",
	  S(1) "w 0 1 0 2\nX 0 1\n" GET(0, "0") GET(1, "0") GET(0, "1.0.1")
	  CLEAN S(2) GET(0, "1.0.1") GET(1, "0") CLEAN, -1 },
	{ "a failed write survives the crash that loses a newer one",
	  S(1) "w 0 1 0 1\nX 0 1\n" PUT(0, 2, 0, 1) CRASH S(2) GET(0, "1.0.1")
	  CLEAN, -1 },
	{ "two crashes, nothing read between",
	  S(1) PUT(0, 1, 0, 1) CRASH S(2) PUT(0, 1, 0, 1) CRASH
	  S(3) GET(0, "1.0.1") CLEAN, -1 },
	{ "the tail of the log is missing",
	  S(1) PUT(0, 1, 0, 1) FLUSH CRASH S(2) GET(0, "1.0.9") GET(1, "1.3.1")
	  GET(1, "1.3.1") CLEAN, -1 },
	{ "the tail of the log is missing, and nothing came of it",
	  S(1) PUT(0, 1, 0, 1) FLUSH CRASH S(2) GET(0, "1.0.1") CLEAN, -1 },
	{ "another program in the same session",
	  S(1) PUT(0, 1, 0, 1) "e\n" SAME(1) "r 4 0 1\nR 4 1.0.1\n"
	  "w 5 1 0 1\nW 5 1\n" CLEAN S(2) GET(0, "1.5.1") CLEAN, -1 },
	{ "the same, and the first one was killed",
	  S(1) PUT(0, 1, 0, 1) SAME(1) "r 4 0 1\nR 4 1.0.2\n"
	  CLEAN S(2) GET(0, "1.0.2") CLEAN, -1 },
	{ "superseded while a read was under way",
	  S(1) PUT(0, 1, 0, 1) "r 2 0 1\nm\nR 2 1.0.1\n" CRASH
	  S(2) GET(0, "1.0.1") CLEAN, -1 },
	{ "superseded, all fails",
	  S(1) "w 0 1 0 1\nm\nX 0 1\nw 0 2 0 1\nX 0 2\nf 3\nG 3\n" CRASH
	  S(2) GET(0, "0") CLEAN, -1 },
	{ "a FUA write is no flush",
	  S(1) PUT(0, 1, 0, 1) "u 1 1 1 1\nW 1 1\n" CRASH S(2) GET(0, "0")
	  GET(1, "1.1.1") CLEAN, -1 },
};

static const struct hcv_t_case hcv_t_faults[] = {
	{ "lost flushed write",
	  S(1) PUT(0, 1, 0, 1) FLUSH CRASH S(2) GET(0, "0") CLEAN,
	  HCV_CK_F_LOST },
	{ "lost flushed write, older one instead",
	  S(1) PUT(0, 1, 0, 1) PUT(0, 2, 0, 1) FLUSH CRASH S(2)
	  GET(0, "1.0.1") CLEAN, HCV_CK_F_LOST },
	{ "lost flushed write, the second of two sessions",
	  S(1) PUT(0, 1, 0, 1) CRASH S(2) PUT(0, 1, 0, 1) FLUSH CRASH
	  S(3) GET(0, "1.0.1") CLEAN, HCV_CK_F_LOST },
	{ "lost after the next crash but one",
	  S(1) PUT(0, 1, 0, 1) FLUSH CRASH S(2) CRASH S(3) GET(0, "0") CLEAN,
	  HCV_CK_F_LOST },
	{ "lost FUA write",
	  S(1) "u 0 1 0 1\nW 0 1\n" CRASH S(2) GET(0, "0") CLEAN,
	  HCV_CK_F_LOST },
	{ "lost at a stop in order",
	  S(1) PUT(0, 1, 0, 1) CLEAN S(2) GET(0, "0") CLEAN, HCV_CK_F_LOST },
	{ "lost though it was read before the flush",
	  S(1) "w 0 1 0 1\n" GET(0, "1.0.1") FLUSH CRASH S(2) GET(0, "0")
	  CLEAN, HCV_CK_F_LOST },
	{ "lost flushed write of a killed program",
	  S(1) PUT(0, 1, 0, 1) FLUSH SAME(1) CRASH S(2) GET(0, "0") CLEAN,
	  HCV_CK_F_LOST },
	{ "lost, as a read between two others' ends shows",
	  S(1) "w 0 1 0 1\nw 1 1 0 1\nW 1 1\nu 3 1 0 1\nW 0 1\n"
	  GET(0, "1.1.1") "W 3 1\n" CRASH S(2) GET(0, "1.0.1") CLEAN,
	  HCV_CK_F_LOST },
	{ "torn", S(1) "w 0 1 0 1\n" CRASH S(2) GET(0, "t,1.0.1,0") CLEAN,
	  HCV_CK_F_TORN },
	{ "garbage", S(1) GET(0, "x,0,5") CRASH, HCV_CK_F_TORN },
	{ "of another address", S(1) PUT(0, 1, 1, 1) GET(0, "p,1.0.1,65")
	  CLEAN, HCV_CK_F_FOREIGN },
	{ "of another run", S(1) GET(0, "o,1.0.1,2f") CLEAN, HCV_CK_F_FOREIGN },
	{ "never written", S(1) PUT(0, 1, 0, 1) CLEAN S(2) GET(0, "1.0.2")
	  CLEAN, HCV_CK_F_FOREIGN },
	{ "never written in this session", S(1) PUT(0, 1, 0, 1)
	  GET(0, "1.0.2") CRASH, HCV_CK_F_FOREIGN },
	{ "of an unknown writer", S(1) CRASH S(2) GET(0, "1.9.1") CLEAN,
	  HCV_CK_F_FOREIGN },
	{ "right address, not what the write covered", S(1) PUT(0, 1, 0, 1)
	  GET(1, "1.0.1") CRASH, HCV_CK_F_FOREIGN },
	{ "of a session that is to come", S(1) GET(0, "2.0.1") CRASH S(2)
	  PUT(0, 1, 0, 1) CLEAN, HCV_CK_F_FOREIGN },
	{ "older than an acknowledged one",
	  S(1) PUT(0, 1, 0, 1) GET(0, "0") CRASH, HCV_CK_F_STALE },
	{ "older than an acknowledged one of another writer",
	  S(1) PUT(0, 1, 0, 1) PUT(1, 1, 0, 1) GET(0, "1.0.1") CRASH,
	  HCV_CK_F_STALE },
	{ "read, and back to zeroes",
	  S(1) "w 0 1 0 1\n" GET(0, "1.0.1") GET(0, "0") CRASH,
	  HCV_CK_F_BACK },
	{ "concurrent writes, read to and fro",
	  S(1) "w 0 1 0 1\nw 1 1 0 1\n" GET(0, "1.0.1") GET(0, "1.1.1")
	  GET(0, "1.0.1") CRASH, HCV_CK_F_BACK },
	{ "concurrent, then read to and fro after their end",
	  S(1) "w 0 1 0 1\nw 1 1 0 1\nW 0 1\nW 1 1\n" GET(0, "1.1.1")
	  GET(0, "1.0.1") CRASH, HCV_CK_F_BACK },
	{ "read after a crash, and then otherwise",
	  S(1) "w 0 1 0 1\n" CRASH S(2) GET(0, "0") GET(0, "1.0.1") CLEAN,
	  HCV_CK_F_BACK },
	{ "read after a crash, gone after the next one",
	  S(1) "w 0 1 0 1\n" CRASH S(2) GET(0, "1.0.1") CRASH S(3) GET(0, "0")
	  CLEAN, HCV_CK_F_BACK },
	{ "lost in a crash, back after the next one",
	  S(1) PUT(0, 1, 0, 1) CRASH S(2) GET(0, "0") CRASH S(3)
	  GET(0, "1.0.1") CLEAN, HCV_CK_F_BACK },
	{ "a former owner's write lands on a newer one",
	  S(1) "w 0 1 0 1\n" CRASH S(2) PUT(0, 1, 0, 1) GET(0, "1.0.1") CLEAN,
	  HCV_CK_F_STALE },
	{ "a failed write lands on a newer one",
	  S(1) "w 0 1 0 1\nX 0 1\n" PUT(0, 2, 0, 1) GET(0, "1.0.1") CLEAN,
	  HCV_CK_F_LATE },
	{ "the same, through what was read",
	  S(1) "w 0 1 0 1\nX 0 1\nw 1 1 0 1\n" PUT(0, 2, 0, 1)
	  GET(0, "1.1.1") GET(0, "1.0.1") CRASH, HCV_CK_F_LATE },
	{ "the same, though it was read before the newer one ended",
	  S(1) "w 0 1 0 1\nw 3 1 0 1\nX 0 1\nw 1 1 0 1\nW 3 1\nr 0 0 1\n"
	  "W 1 1\n" GET(0, "1.3.1") "R 0 1.0.1\n" CRASH, HCV_CK_F_LATE },
	{ "a failed write lands on a flushed one",
	  S(1) "w 0 1 0 1\nX 0 1\n" PUT(0, 2, 0, 1) FLUSH CRASH S(2)
	  GET(0, "1.0.1") CLEAN, HCV_CK_F_LOST },
	{ "a fenced owner's read", S(1) "m\n" GET(0, "0") CRASH,
	  HCV_CK_F_FENCED },
	{ "a fenced owner's write", S(1) "m\n" PUT(0, 1, 0, 1) CRASH,
	  HCV_CK_F_FENCED },
	{ "a fenced owner's flush", S(1) "m\n" FLUSH CRASH, HCV_CK_F_FENCED },
	{ "a fenced owner's flush that lied",
	  S(1) PUT(0, 1, 0, 1) "f 3\nm\nF 3\n" CRASH S(2) GET(0, "0") CLEAN,
	  HCV_CK_F_LOST },
	{ "a gap in a writer's writes",
	  S(1) PUT(0, 1, 0, 1) "w 1 2 0 1\n" CRASH, HCV_CK_F_EVENTS },
	{ "outside of the area", S(1) "w 0 1 7 2\n" CRASH, HCV_CK_F_EVENTS },
	{ "ended in order in the middle of a write",
	  S(1) "w 0 1 0 1\n" CLEAN, HCV_CK_F_EVENTS },
};

static void hcv_t_desc(const struct hcv_t_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", c->name);
}

KUNIT_ARRAY_PARAM(hcv_t_legal, hcv_t_legal, hcv_t_desc);
KUNIT_ARRAY_PARAM(hcv_t_faults, hcv_t_faults, hcv_t_desc);

static void hcv_history_test_legal(struct kunit *test)
{
	const struct hcv_t_case *c = test->param_value;
	struct hcv_ck_log *log = hcv_t_feed(test, c->script);
	struct hcv_ck *ck = hcv_ck_log_history(log);

	KUNIT_EXPECT_EQ_MSG(test, 0, hcv_ck_faults(ck), "%s",
			    hcv_ck_text(ck, 0));
	hcv_ck_log_free(log);
}

static void hcv_history_test_fault(struct kunit *test)
{
	const struct hcv_t_case *c = test->param_value;
	struct hcv_ck_log *log = hcv_t_feed(test, c->script);
	struct hcv_ck *ck = hcv_ck_log_history(log);

	KUNIT_EXPECT_EQ_MSG(test, 1, hcv_ck_faults(ck), "%s",
			    hcv_ck_text(ck, 0) ?: "no fault");
	KUNIT_EXPECT_EQ_MSG(test, 1, hcv_ck_count(ck, c->fault), "%s",
			    hcv_ck_text(ck, 0) ?: "no fault");
	hcv_ck_log_free(log);
}

/* --- what is left besides verdicts */

static void hcv_history_test_unread(struct kunit *test)
{
	struct hcv_ck_log *log;

	log = hcv_t_feed(test, S(1) GET(0, "0") "r 2 3 4\nR 2 0 0 0 0\n" CLEAN);
	KUNIT_EXPECT_EQ(test, 3, hcv_ck_unread(hcv_ck_log_history(log)));
	hcv_ck_log_free(log);
	log = hcv_t_feed(test, S(1) GET(0, "0") CLEAN S(2) GET(1, "0") CLEAN);
	KUNIT_EXPECT_EQ(test, 7, hcv_ck_unread(hcv_ck_log_history(log)));
	hcv_ck_log_free(log);
}

static void hcv_t_replica(struct hcv_ck *ck, u32 replica, u32 block, u64 id,
			  enum hcv_ck_seen seen)
{
	struct hcv_ck_stamp st = { seen, id, 0 };

	hcv_ck_replica(ck, replica, block, &st);
}

static void hcv_history_test_replicas(struct kunit *test)
{
	/* Blocks 0 and 1 may have either write's, block 2 has zeroes. */
	static const char script[] = S(1)
		"w 0 1 0 2\nw 1 1 0 2\nW 0 1\nW 1 1\n" CLEAN;
	u64 a = hcv_ck_id(1, 0, 1), b = hcv_ck_id(1, 1, 1);
	const struct {
		u32 block;
		u64 first, second;
		enum hcv_ck_seen seen;
		int fault;
	} cases[] = {
		{ 0, a, a, 0, -1 },
		{ 1, b, b, 0, -1 },
		{ 0, a, b, 0, HCV_CK_F_REPLICA },
		{ 0, b, 0, 0, HCV_CK_F_REPLICA },
		{ 2, 0, 0, 0, -1 },
		{ 2, 0, 0, HCV_CK_TORN, HCV_CK_F_TORN },
		{ 2, 0, a, 0, HCV_CK_F_FOREIGN },
	};
	struct hcv_ck_log *log;
	struct hcv_ck *ck;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		log = hcv_t_feed(test, script);
		ck = hcv_ck_log_history(log);
		hcv_t_replica(ck, 0, cases[i].block, cases[i].first, 0);
		hcv_t_replica(ck, 1, cases[i].block, cases[i].second,
			      cases[i].seen);
		KUNIT_EXPECT_EQ_MSG(test, cases[i].fault >= 0,
				    hcv_ck_faults(ck), "case %u", i);
		if (cases[i].fault >= 0)
			KUNIT_EXPECT_EQ_MSG(test, 1,
					    hcv_ck_count(ck, cases[i].fault),
					    "case %u", i);
		hcv_ck_log_free(log);
	}
	/* What was read last is what they must hold. */
	log = hcv_t_feed(test, S(1) "w 0 1 0 2\nw 1 1 0 2\nW 0 1\nW 1 1\n"
			 GET(0, "1.0.1") CLEAN);
	ck = hcv_ck_log_history(log);
	hcv_t_replica(ck, 0, 0, a, 0);
	KUNIT_EXPECT_EQ(test, 0, hcv_ck_faults(ck));
	hcv_ck_log_free(log);
	log = hcv_t_feed(test, S(1) "w 0 1 0 2\nw 1 1 0 2\nW 0 1\nW 1 1\n"
			 CLEAN S(2) GET(0, "1.0.1") CLEAN);
	ck = hcv_ck_log_history(log);
	hcv_t_replica(ck, 0, 0, b, 0);
	hcv_t_replica(ck, 1, 0, b, 0);
	KUNIT_EXPECT_EQ(test, 1, hcv_ck_count(ck, HCV_CK_F_REPLICA));
	hcv_ck_log_free(log);
}

/* What a block may hold after a crash, by number. */
static void hcv_history_test_choices(struct kunit *test)
{
	static const struct {
		const char *script;
		u32 nr;
	} cases[] = {
		{ S(1) CRASH, 1 + 1 },
		{ S(1) "e\n" CRASH, 1 },
		{ S(1) PUT(0, 1, 0, 1) "e\n" CRASH, 2 },
		{ S(1) PUT(0, 1, 0, 1) FLUSH "e\n" CRASH, 1 },
		{ S(1) PUT(0, 1, 0, 1) FLUSH PUT(0, 2, 0, 1) "e\n" CRASH, 2 },
		{ S(1) PUT(0, 1, 0, 1) PUT(0, 2, 0, 1) "e\n" CRASH, 3 },
		{ S(1) PUT(0, 1, 0, 1) PUT(0, 2, 0, 1) CLEAN, 1 },
		{ S(1) "w 0 1 0 1\nX 0 1\n" PUT(0, 2, 0, 1) CLEAN, 1 },
		{ S(1) PUT(0, 1, 0, 1) "w 0 2 0 1\nX 0 2\n" CLEAN, 2 },
	};
	struct hcv_ck_log *log;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		log = hcv_t_feed(test, cases[i].script);
		KUNIT_EXPECT_EQ_MSG(test, cases[i].nr,
				    hcv_ck_choices(hcv_ck_log_history(log), 0),
				    "case %u", i);
		hcv_ck_log_free(log);
	}
}

static struct kunit_case hcv_history_cases[] = {
	KUNIT_CASE_PARAM(hcv_history_test_legal, hcv_t_legal_gen_params),
	KUNIT_CASE_PARAM(hcv_history_test_fault, hcv_t_faults_gen_params),
	KUNIT_CASE(hcv_history_test_unread),
	KUNIT_CASE(hcv_history_test_replicas),
	KUNIT_CASE(hcv_history_test_choices),
	{}
};

static struct kunit_suite hcv_history_suite = {
	.name = "checker_history",
	.test_cases = hcv_history_cases,
};

kunit_test_suite(hcv_history_suite);
