// SPDX-License-Identifier: GPL-2.0-only
/*
 * States of a store's health, and the choice of a replica to drop.
 *
 * A case of the machine is a script, one word per look:
 *	s f -	the mark of a window: slow, fine, none
 *	S	as s, and the cluster admits it
 *	eN	N I/Os failed at the disk
 *	h N	(hN) N hours pass, on both clocks; mN minutes, dN days
 *	o w F u	the disk says: fine, suspect (worn), failing, unknown
 *	E	nothing is left on the store
 *	C D	an operator puts it back to ok, has it drained
 *	R	the agent is restarted
 *	xN	the word before once more, N times
 */
#include <kunit/test.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health.h"
#include "record.h"

#define T0	1800000000	/* wall clock at the start */

/* --------------------------------------------------------------- the machine */

struct machine {
	struct hcv_health h;
	struct hcv_health_mem mem;
	struct hcv_health_in in;
	struct hcv_health_out out;
	unsigned int changes;
	bool asked;
};

static void machine_init(struct machine *m)
{
	memset(m, 0, sizeof(*m));
	m->in.now_ms = 1000;
	m->in.now = T0;
	m->h.since = T0;
	m->in.smart = HCV_SMART_UNKNOWN;
	m->in.why_slow = "reads are slow";
	m->in.why_smart = "it says so";
}

static void machine_look(struct kunit *test, struct machine *m)
{
	enum hcv_health_state from = m->h.state;
	bool slow = m->h.slow;

	hcv_health_step(&m->h, &m->mem, &m->in, &m->out);
	KUNIT_EXPECT_EQ(test, m->out.from, from);
	if (m->h.state != from)
		KUNIT_EXPECT_TRUE(test, hcv_health_may_move(from, m->h.state));
	KUNIT_EXPECT_TRUE(test, !m->out.changed || m->out.dirty);
	KUNIT_EXPECT_EQ(test, m->out.became_slow, m->h.slow && !slow);
	if (m->h.slow && !slow)
		KUNIT_EXPECT_TRUE(test, m->in.admitted);
	if (m->h.state == HCV_HEALTH_OK) {
		KUNIT_EXPECT_FALSE(test, m->h.slow);
		KUNIT_EXPECT_EQ(test, m->h.cause, HCV_HEALTH_BY_NONE);
		KUNIT_EXPECT_STREQ(test, m->h.why, "");
	} else {
		KUNIT_EXPECT_NE(test, m->h.cause, HCV_HEALTH_BY_NONE);
		KUNIT_EXPECT_STRNEQ(test, m->h.why, "");
	}
	m->changes += m->out.changed;
	m->asked = m->out.asks;
	m->in.errors = 0;
	m->in.mark = HCV_LAT_NONE;
	m->in.admitted = false;
	m->in.now_ms += 10000;
	m->in.now += 10;
}

static void machine_pass(struct machine *m, int64_t seconds)
{
	m->in.now_ms += seconds * 1000;
	m->in.now += seconds;
}

static void machine_word(struct kunit *test, struct machine *m,
			 const char *word)
{
	long n = word[1] ? atol(word + 1) : 1;

	switch (*word) {
	case 'S':
		m->in.admitted = true;
		m->in.mark = HCV_LAT_SLOW;
		break;
	case 's':
		m->in.mark = HCV_LAT_SLOW;
		break;
	case 'f':
		m->in.mark = HCV_LAT_FINE;
		break;
	case '-':
		break;
	case 'e':
		m->in.errors = (uint64_t)n;
		break;
	case 'm':
		machine_pass(m, n * 60);
		break;
	case 'h':
		machine_pass(m, n * 3600);
		break;
	case 'd':
		machine_pass(m, n * 86400);
		break;
	case 'o':
		m->in.smart = HCV_SMART_FINE;
		break;
	case 'w':
		m->in.smart = HCV_SMART_SUSPECT;
		break;
	case 'F':
		m->in.smart = HCV_SMART_FAILING;
		break;
	case 'u':
		m->in.smart = HCV_SMART_UNKNOWN;
		break;
	case 'E':
		m->in.empty = true;
		break;
	case 'C':
		hcv_health_set(&m->h, HCV_HEALTH_OK, NULL, m->in.now);
		memset(&m->mem, 0, sizeof(m->mem));
		return;
	case 'D':
		hcv_health_set(&m->h, HCV_HEALTH_DRAINING, NULL, m->in.now);
		return;
	case 'R':
		memset(&m->mem, 0, sizeof(m->mem));
		return;
	default:
		KUNIT_FAIL(test, "no such word: %s", word);
	}
	machine_look(test, m);
}

static void machine_run(struct kunit *test, struct machine *m,
			const char *script)
{
	char *copy = strdup(script), *word, *save, last[16] = "-";
	long n;

	for (word = strtok_r(copy, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		if (*word != 'x') {
			machine_word(test, m, word);
			snprintf(last, sizeof(last), "%s", word);
			continue;
		}
		for (n = atol(word + 1); n > 0; n--)
			machine_word(test, m, last);
	}
	free(copy);
}

struct machine_case {
	const char *name;
	const char *script;
	enum hcv_health_state state;
	enum hcv_health_cause cause;
	bool slow;
	bool asks;		/* in the last look */
};

#define OK	HCV_HEALTH_OK
#define NONE	HCV_HEALTH_BY_NONE
#define SUS	HCV_HEALTH_SUSPECT
#define DRAIN	HCV_HEALTH_DRAINING
#define OUT	HCV_HEALTH_OUT
#define LAT	HCV_HEALTH_BY_LATENCY
#define MEDIA	HCV_HEALTH_BY_MEDIA
#define SMART	HCV_HEALTH_BY_SMART
#define OPER	HCV_HEALTH_BY_OPERATOR

/* Slow once, and recovered. */
#define ONCE	"S x4 f x40 "

static const struct machine_case machine_cases[] = {
	{ "nothing", "- x20", OK, NONE, false, false },
	{ "fine", "f x20", OK, NONE, false, false },
	{ "four slow windows", "S x3", OK, NONE, false, false },
	{ "five slow windows", "S x4", SUS, LAT, true, false },
	{ "five slow windows, not admitted", "s x4", OK, NONE, false, true },
	{ "it goes on asking", "s x30", OK, NONE, false, true },
	{ "and is admitted later", "s x30 S", SUS, LAT, true, false },
	{ "it asks no more once it is fine", "s x4 f x5", OK, NONE, false, false },
	{ "admission alone is nothing", "S f x20 S f x20 S", OK, NONE, false, false },
	{ "slow goes on", "S x4 s x50", SUS, LAT, true, false },
	{ "fine, but not for long enough", "S x4 f x20", SUS, LAT, true,
	  false },
	{ "long enough, but not fine", "S x4 h9", SUS, LAT, true, false },
	{ "eleven fine windows", "S x4 m9 f x10", SUS, LAT, true, false },
	{ "twelve fine windows", "S x4 m9 f x11", OK, NONE, false, false },
	{ "a slow one between", "S x4 m9 f x10 s f x10", SUS, LAT, true,
	  false },
	{ "windows that say nothing between", "S x4 m9 f x5 - x9 f x5",
	  OK, NONE, false, false },
	{ "a slow store is fine", ONCE, OK, NONE, false, false },
	{ "the second time takes twice as long", ONCE "S x4 m7 f x11", SUS,
	  LAT, true, false },
	{ "and no longer", ONCE "S x4 m10 f x11", OK, NONE, false, false },
	{ "the third time is no end yet", ONCE ONCE "f x30 S x9", SUS, LAT,
	  true, false },
	{ "the fourth time it is drained",
	  ONCE ONCE "f x30 S x4 m20 f x11 S x9", DRAIN, LAT, true, false },
	{ "after a day the times are forgotten",
	  ONCE ONCE "f x30 S x4 m20 f x11 d1 S x9", SUS, LAT, true, false },
	{ "a restart begins the proof anew", "S x4 m9 f x11 x0", OK, NONE, false,
	  false },
	{ "a restart begins the proof anew, really", "S x4 m9 R f x11", SUS,
	  LAT, true, false },
	{ "and it is proved then", "S x4 m9 R f m5 f x10", OK, NONE, false, false },
	{ "four errors", "e4", OK, NONE, false, false },
	{ "five errors", "e5", SUS, MEDIA, false, false },
	{ "five errors, one by one", "e1 x4", SUS, MEDIA, false, false },
	{ "an error an hour is free", "e1 h1 e1 h1 e1 h1 e1 h1 e1 h1 e1 h1",
	  OK, NONE, false, false },
	{ "two an hour are not", "e2 h1 e2 h1 e2 h1 e2", SUS, MEDIA, false,
	  false },
	{ "errors are forgotten, the suspicion is not", "e5 d1 f x99", SUS,
	  MEDIA, false, false },
	{ "fifty errors at once", "e50 - x9", SUS, MEDIA, false, false },
	{ "forty-nine errors", "e5 x8 e4", SUS, MEDIA, false, false },
	{ "fifty errors", "e5 x9", DRAIN, MEDIA, false, false },
	{ "a billion errors at once", "e1000000000 x8", SUS, MEDIA, false,
	  false },
	{ "worn", "w", SUS, SMART, false, false },
	{ "worn stays suspect", "w x99", SUS, SMART, false, false },
	{ "worn no more", "w o x99", SUS, SMART, false, false },
	{ "the device does not answer any more", "w u x99", SUS, SMART, false,
	  false },
	{ "failing: first suspect", "F", SUS, SMART, false, false },
	{ "then draining", "F x1", DRAIN, SMART, false, false },
	{ "and not out while something is on it", "F x99", DRAIN, SMART,
	  false, false },
	{ "out when it is empty", "F x2 E", OUT, SMART, false, false },
	{ "out stays", "F x2 E x9 o x99", OUT, SMART, false, false },
	{ "empty alone is no reason", "E x9", OK, NONE, false, false },
	{ "suspect and empty is not out", "w E x9", SUS, SMART, false, false },
	{ "the graver matter is named", "S x4 e5", SUS, MEDIA, true, false },
	{ "fast again, the errors stay", "S x4 e5 m9 f x11", SUS, MEDIA,
	  false, false },
	{ "slow while suspect for errors", "e5 S x4", SUS, MEDIA, true,
	  false },
	{ "slow while draining", "F x1 S x4", DRAIN, SMART, true, false },
	{ "fast again while draining", "F x1 S x4 m9 f x11", DRAIN, SMART,
	  false, false },
	{ "an operator clears", "S x4 C", OK, NONE, false, false },
	{ "cleared: it must be slow anew", "S x4 C S x3", OK, NONE, false, false },
	{ "cleared of errors", "e50 x2 C - x9", OK, NONE, false, false },
	{ "an operator accepts wear", "w C - x9", OK, NONE, false, false },
	{ "but not what is worse", "w C - x9 F", SUS, SMART, false, false },
	{ "accepted as failing", "F x2 C - x99", OK, NONE, false, false },
	{ "accepted until it was better", "F x2 C - o - F", SUS, SMART,
	  false, false },
	{ "an operator drains", "D - x9", DRAIN, OPER, false, false },
	{ "drained", "D - E", OUT, OPER, false, false },
	{ "and takes it back", "D - E C", OK, NONE, false, false },
};

static void machine_case_desc(const struct machine_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", c->name);
}

KUNIT_ARRAY_PARAM(machine, machine_cases, machine_case_desc);

static void health_machine(struct kunit *test)
{
	const struct machine_case *c = test->param_value;
	struct machine m;

	machine_init(&m);
	machine_run(test, &m, c->script);
	KUNIT_EXPECT_STREQ(test, hcv_health_state_name(m.h.state),
			   hcv_health_state_name(c->state));
	KUNIT_EXPECT_STREQ(test, hcv_health_cause_name(m.h.cause),
			   hcv_health_cause_name(c->cause));
	KUNIT_EXPECT_EQ(test, m.h.slow, c->slow);
	KUNIT_EXPECT_EQ(test, m.asked, c->asks);
}

/* Each change is told once, and nothing is when nothing changes. */
static void health_told(struct kunit *test)
{
	struct machine m;

	machine_init(&m);
	machine_run(test, &m, "S x4");
	KUNIT_EXPECT_EQ(test, m.changes, 1);
	KUNIT_EXPECT_STREQ(test, m.h.why, "reads are slow");
	KUNIT_EXPECT_EQ(test, m.h.since, T0 + 40);
	machine_run(test, &m, "s x9 e3 - x9");
	KUNIT_EXPECT_EQ(test, m.changes, 1);
	machine_run(test, &m, "e3");
	KUNIT_EXPECT_EQ(test, m.changes, 2);	/* another cause */
	KUNIT_EXPECT_EQ(test, m.h.since, T0 + 40);
	KUNIT_EXPECT_STREQ(test, m.h.why, "6 I/Os failed at its disk lately");
	machine_run(test, &m, "F -");
	KUNIT_EXPECT_EQ(test, m.changes, 3);
	KUNIT_EXPECT_STREQ(test, m.h.why, "it says so");
	machine_run(test, &m, "- x9");
	KUNIT_EXPECT_EQ(test, m.changes, 3);
}

/* What only has to be kept is written, and told to nobody. */
static void health_dirty(struct kunit *test)
{
	struct machine m;

	machine_init(&m);
	machine_run(test, &m, "e1");
	KUNIT_EXPECT_TRUE(test, m.out.dirty && !m.out.changed);
	machine_run(test, &m, "-");
	KUNIT_EXPECT_FALSE(test, m.out.dirty);
	machine_run(test, &m, "o");
	KUNIT_EXPECT_TRUE(test, m.out.dirty && !m.out.changed);
	machine_run(test, &m, "o");
	KUNIT_EXPECT_FALSE(test, m.out.dirty);
	machine_run(test, &m, "u");
	KUNIT_EXPECT_FALSE(test, m.out.dirty);
	KUNIT_EXPECT_EQ(test, m.h.smart, HCV_SMART_FINE);
}

/* A wall clock that is set back, or far ahead, breaks nothing. */
static void health_clock(struct kunit *test)
{
	struct machine m;
	int i;

	machine_init(&m);
	machine_run(test, &m, "e4");
	m.in.now -= 86400;
	machine_run(test, &m, "-");
	KUNIT_EXPECT_EQ(test, m.h.media, 4);
	KUNIT_EXPECT_LE(test, m.h.media_at, m.in.now);
	machine_run(test, &m, "h2 -");
	KUNIT_EXPECT_EQ(test, m.h.media, 2);
	m.in.now += 1000000000;
	machine_run(test, &m, "-");
	KUNIT_EXPECT_EQ(test, m.h.media, 0);
	machine_run(test, &m, "e1");
	KUNIT_EXPECT_EQ(test, m.h.media, 1);
	for (i = 0; i < 300; i++) {
		m.in.errors = UINT64_MAX;
		machine_run(test, &m, "-");
	}
	KUNIT_EXPECT_EQ(test, m.h.media, HCV_HEALTH_MEDIA_MAX);
	machine_run(test, &m, "C");
	/* parts of an hour are not lost */
	machine_run(test, &m, "e9 m59 m59 m59");
	KUNIT_EXPECT_EQ(test, m.h.media, 3);
}

static void health_hold(struct kunit *test)
{
	struct machine m;
	int64_t since;

	machine_init(&m);
	m.h.relapses = 500;	/* no shift beyond the type, no endless loop */
	machine_run(test, &m, "S x4");
	since = m.in.now_ms;
	while (m.h.slow && m.in.now_ms < since + 2 * HCV_HEALTH_HOLD_MAX_MS)
		machine_run(test, &m, "f");
	KUNIT_EXPECT_FALSE(test, m.h.slow);
	KUNIT_EXPECT_GE(test, m.in.now_ms - since, HCV_HEALTH_HOLD_MAX_MS -
			20000);
	KUNIT_EXPECT_LE(test, m.in.now_ms - since, HCV_HEALTH_HOLD_MAX_MS +
			20000);
}

static void health_set(struct kunit *test)
{
	struct hcv_health h = { 0 };

	KUNIT_EXPECT_EQ(test, hcv_health_set(&h, HCV_HEALTH_OK, NULL, T0),
			-EALREADY);
	KUNIT_EXPECT_EQ(test, hcv_health_set(&h, HCV_HEALTH_OUT, NULL, T0),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, hcv_health_set(&h, HCV_HEALTH_SUSPECT, NULL, T0),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, hcv_health_set(&h, HCV_HEALTH_DRAINING, "old",
					     T0), 0);
	KUNIT_EXPECT_STREQ(test, h.why, "old");
	KUNIT_EXPECT_EQ(test, hcv_health_set(&h, HCV_HEALTH_DRAINING, "new",
					     T0), -EALREADY);
	KUNIT_EXPECT_STREQ(test, h.why, "old");
	KUNIT_EXPECT_EQ(test, hcv_health_set(&h, HCV_HEALTH_OK, NULL, T0), 0);
	h.media = 1;	/* ok, with something to be forgotten */
	KUNIT_EXPECT_EQ(test, hcv_health_set(&h, HCV_HEALTH_OK, NULL, T0), 0);
	KUNIT_EXPECT_EQ(test, h.media, 0);
}

/*
 * Whatever is looked at in whatever order: the machine's own rules hold
 * (machine_look()), and nothing ends in a state that it cannot be put back from.
 */
static void health_random(struct kunit *test)
{
	static const char *const word[] = {
		"s", "S", "S x4", "f", "f x20", "-", "e1", "e7", "e99", "m7",
		"h5", "d2", "o", "w", "F", "u", "C", "D", "R",
	};
	unsigned int run, i;
	struct machine m;

	for (run = 0; run < 400; run++) {
		srand(run);
		machine_init(&m);
		for (i = 0; i < 60; i++) {
			m.in.empty = !(rand() % 9);
			machine_run(test, &m, word[(size_t)rand() %
						   (sizeof(word) /
						    sizeof(word[0]))]);
			KUNIT_ASSERT_LE(test, m.h.media, HCV_HEALTH_MEDIA_MAX);
			KUNIT_ASSERT_TRUE(test, m.h.accepted <= m.h.smart);
		}
		machine_run(test, &m, "o C - x9");
		KUNIT_ASSERT_EQ(test, m.h.state, HCV_HEALTH_OK);
	}
}

static void health_names(struct kunit *test)
{
	unsigned int a, b, moves = 0;

	for (a = 0; a <= HCV_HEALTH_STATES; a++)
		for (b = 0; b <= HCV_HEALTH_STATES; b++)
			moves += hcv_health_may_move(a, b);
	KUNIT_EXPECT_EQ(test, moves, 4);
	KUNIT_EXPECT_FALSE(test, hcv_health_may_move(HCV_HEALTH_OUT,
						     HCV_HEALTH_OK));
	KUNIT_EXPECT_STREQ(test, hcv_health_state_name(HCV_HEALTH_OUT), "out");
	KUNIT_EXPECT_STREQ(test, hcv_health_state_name(HCV_HEALTH_STATES),
			   "unknown");
	KUNIT_EXPECT_STREQ(test, hcv_health_cause_name(HCV_HEALTH_BY_MEDIA),
			   "media");
	KUNIT_EXPECT_TRUE(test, hcv_health_placeable(HCV_HEALTH_SUSPECT));
	KUNIT_EXPECT_FALSE(test, hcv_health_placeable(HCV_HEALTH_DRAINING));
	KUNIT_EXPECT_FALSE(test, hcv_health_placeable(HCV_HEALTH_OUT));
}

/* --------------------------------------------------------------- admissions */

struct admit_case {
	const char *name;
	struct hcv_health_cluster c;
	bool yes;
};

static const struct admit_case admit_cases[] = {
	{ "the first one", { 3, 0, 600000 }, true },
	{ "a moment after another", { 12, 0, 599999 }, false },
	{ "the agent was just started", { 12, 0, 0 }, false },
	{ "one of three is slow", { 3, 1, 600000 }, false },
	{ "one of seven", { 7, 1, 600000 }, false },
	{ "one of eight", { 8, 1, 600000 }, true },
	{ "two of eight", { 8, 2, 6000000 }, false },
	{ "two of twelve", { 12, 2, 6000000 }, true },
	{ "no store at all", { 0, 0, 6000000 }, true },
};

static void admit_case_desc(const struct admit_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", c->name);
}

KUNIT_ARRAY_PARAM(admit, admit_cases, admit_case_desc);

static void health_admit(struct kunit *test)
{
	const struct admit_case *c = test->param_value;
	char why[HCV_ERR_SIZE] = "";

	KUNIT_EXPECT_EQ(test, hcv_health_admit(&c->c, why), c->yes);
	KUNIT_EXPECT_EQ(test, !*why, c->yes);
}

/* ------------------------------------------------------------ slow replicas */

/*
 * The record is "A+ B+ C-": a letter per store, in-sync, stale (-) or syncing
 * (~); "*" after it: slow, "!": not in-sync in the module, "=": in-sync there,
 * although the record says something else, "?": ailing.  Rows are "AB Ab":
 * the letters of the stores, small ones do not have it in full.
 */
struct drop_case {
	const char *name;
	const char *record;
	const char *rows;
	const char *want;	/* the store to drop, "" for none */
	const char *out;	/* stale ones that are kept out */
};

static const struct drop_case drop_cases[] = {
	{ "nobody is slow", "A+ B+", "AB AB", "", "" },
	{ "one of two", "A+ B+*", "AB AB", "B", "" },
	{ "the first of two", "A+* B+", "AB AB", "A", "" },
	{ "one of three", "A+ B+ C+*", "ABC ABC", "C", "" },
	{ "the last in-sync copy", "A+*", "A", "", "" },
	{ "both are slow", "A+* B+*", "AB", "", "" },
	{ "two of three are slow: one goes", "A+* B+* C+", "ABC", "A", "" },
	{ "three of three", "A+* B+* C+*", "ABC", "", "" },
	{ "the only one of an extent", "A+ B+*", "AB AB B", "", "" },
	{ "of another store's extent", "A+ B+*", "AB A", "B", "" },
	{ "its partner there is not full", "A+ B+*", "AB aB", "", "" },
	{ "one is not full, the other one is slow", "A+* B+ C+*", "AbC", "",
	  "" },
	{ "itself is not full", "A+ B+*", "Ab", "B", "" },
	{ "its partner there is slow, too", "A+ B+* C+*", "AB BC", "", "" },
	{ "the other slow one can go", "A+ B+* C+* D+", "BC CD AC", "", "" },
	{ "of two slow ones the one that can", "A+ B+* C+*", "AB AC C", "B",
	  "" },
	{ "a copy is stale already", "A+ B+* C-", "ABC", "", "" },
	{ "a copy is syncing", "A+ B+* C~", "ABC", "", "" },
	{ "a copy is failing in the module", "A+ B+* C+!", "ABC", "", "" },
	{ "a stale copy is in-sync in the module", "A+ B+* C-=", "ABC", "", "" },
	{ "its partner is ailing", "A+? B+*", "AB", "", "" },
	{ "one of its partners is ailing", "A+? B+*? C+", "ABC AB C", "", "" },
	{ "of two partners one is sound", "A+? B+*? C+", "ABC BC", "B", "" },
	{ "its own link is failing", "A+ B+*!", "AB", "", "" },
	{ "one was dropped: no second one", "A-* B+* C+", "ABC", "", "A" },
	{ "a dropped one stays out", "A+ B-*", "AB", "", "B" },
	{ "a stale one that is not slow does not", "A+ B-", "AB", "", "" },
	{ "one whose partner is ailing comes back", "A+? B-*?", "AB", "", "" },
	{ "one whose partner is slow comes back", "A+ B-* C+*", "AB BC", "", "" },
	{ "one whose partners are sound does not", "A+ B-* C+?", "AB ABC", "",
	  "B" },
	{ "a dropped one is needed", "A+ B-* C-", "ABC", "", "" },
	{ "a dropped one is needed: another is failing", "A+ B-* C+!", "ABC",
	  "", "" },
	{ "both are out and slow", "A+ B-* C-*", "ABC", "", "" },
	{ "it has no extent", "A+ B+*", "A", "", "" },
	{ "no extents yet", "A+ B+*", "", "", "" },
};

static void drop_case_desc(const struct drop_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", c->name);
}

KUNIT_ARRAY_PARAM(drop, drop_cases, drop_case_desc);

static void drop_id(char *out, char letter)
{
	snprintf(out, HCV_ID_LEN, "00000000-0000-4000-8000-0000000000%02x",
		 letter | 0x20);
}

static void drop_record(const char *text, struct hcv_record *rec,
			struct hcv_health_drop_in *in)
{
	const char *c;
	size_t i;

	memset(rec, 0, sizeof(*rec));
	memset(in, 0, sizeof(*in));
	in->rec = rec;
	in->drop = true;
	rec->epoch = 3;
	rec->v = 20;
	rec->phase = HCV_PH_SERVING;
	strcpy(rec->owner, "12345678-0000-4000-8000-000000000001");
	for (c = text; *c; c++) {
		i = rec->nr - 1;
		if (*c >= 'A' && *c <= 'Z') {
			drop_id(rec->st[rec->nr].store, *c);
			rec->st[rec->nr].v = 9;
			in->present[rec->nr++] = true;
		} else if (*c == '-') {
			rec->st[i].state = HCV_RS_STALE;
			in->present[i] = false;
		} else if (*c == '~') {
			rec->st[i].state = HCV_RS_SYNCING;
			in->present[i] = false;
		} else if (*c == '!') {
			in->present[i] = false;
		} else if (*c == '?') {
			in->ailing[i] = true;
		} else if (*c == '=') {
			in->present[i] = true;
		} else if (*c == '*') {
			in->slow[i] = true;
		}
	}
}

static void drop_rows(const char *text, struct hcv_rows *rows,
		      struct hcv_row *row)
{
	const char *c;

	memset(rows, 0, sizeof(*rows));
	memset(row, 0, 8 * sizeof(*row));
	rows->row = row;
	rows->nr = *text ? 1 : 0;
	for (c = text; *c; c++) {
		struct hcv_row *r = &row[rows->nr - 1];

		if (*c == ' ') {
			row[rows->nr].index = (uint32_t)rows->nr;
			rows->nr++;
			continue;
		}
		if (!(*c & 0x20))
			r->full |= (uint8_t)(1U << r->nr);
		drop_id(r->store[r->nr++], *c);
	}
	rows->next = (uint32_t)rows->nr;
}

static void health_drop(struct kunit *test)
{
	const struct drop_case *c = test->param_value;
	struct hcv_health_drop_in in;
	struct hcv_record rec, after;
	struct hcv_row row[8];
	struct hcv_rows rows;
	char err[HCV_ERR_SIZE], id[HCV_ID_LEN];
	char out[HCV_REC_STORES + 1] = "";
	size_t i, nr = 0;
	int choice;

	drop_record(c->record, &rec, &in);
	drop_rows(c->rows, &rows, row);
	KUNIT_ASSERT_EQ(test, hcv_record_check(&rec, err), 0);
	in.rows = &rows;
	choice = hcv_health_drop(&in);
	for (i = 0; i < rec.nr; i++)
		if (rec.st[i].state == HCV_RS_STALE &&
		    hcv_health_keep_out(&in, i))
			out[nr++] = (char)('A' + i);
	KUNIT_EXPECT_STREQ(test, out, c->out);
	if (!*c->want) {
		KUNIT_EXPECT_EQ(test, choice, -1);
	} else {
		KUNIT_ASSERT_GE(test, choice, 0);
		drop_id(id, *c->want);
		KUNIT_EXPECT_STREQ(test, rec.st[choice].store, id);
		/* The record agrees, and nothing more goes after that. */
		after = rec;
		KUNIT_EXPECT_EQ(test, hcv_record_remove(&after, id, NULL,
							&rows, err), 0);
		in.rec = &after;
		in.present[choice] = false;
		KUNIT_EXPECT_EQ(test, hcv_health_drop(&in), -1);
		i = (size_t)choice;
		KUNIT_EXPECT_TRUE(test, hcv_health_keep_out(&in, i));
		in.rec = &rec;
		in.present[choice] = true;
	}
	/* With the setting "keep" nothing is done, and nobody kept out. */
	in.drop = false;
	KUNIT_EXPECT_EQ(test, hcv_health_drop(&in), -1);
	for (i = 0; i < rec.nr; i++)
		KUNIT_EXPECT_FALSE(test, hcv_health_keep_out(&in, i));
	in.drop = true;
	/* Nor without rows, nor by anybody but who serves. */
	in.rows = NULL;
	KUNIT_EXPECT_EQ(test, hcv_health_drop(&in), -1);
	in.rows = &rows;
	rec.phase = HCV_PH_TAKING;
	KUNIT_EXPECT_EQ(test, hcv_health_drop(&in), -1);
	rec.phase = HCV_PH_NONE;
	*rec.owner = '\0';
	KUNIT_EXPECT_EQ(test, hcv_health_drop(&in), -1);
}

/* Of random volumes: what is dropped leaves every extent a copy that is fast. */
static void health_drop_random(struct kunit *test)
{
	unsigned int run, dropped = 0;

	srand(7);
	for (run = 0; run < 20000; run++) {
		struct hcv_health_drop_in in;
		struct hcv_record rec;
		struct hcv_row row[8];
		struct hcv_rows rows;
		char text[64] = "";
		size_t i, j, k, nr = 1 + (size_t)rand() % 5;
		bool good;
		int choice;

		for (i = 0; i < nr; i++)
			sprintf(text + strlen(text), "%c%c%s%s", (char)('A' + i),
				"++++++-~"[rand() % 8], rand() % 3 ? "" : "*",
				rand() % 9 ? "" : "!");
		drop_record(text, &rec, &in);
		*text = '\0';
		for (i = 0; i < 1 + (size_t)rand() % 4; i++) {
			if (i)
				strcat(text, " ");
			for (j = 0; j < nr; j++)
				if (rand() % 2 && j < 4)
					sprintf(text + strlen(text), "%c",
						(char)((rand() % 5 ? 'A' : 'a')
						       + (char)j));
		}
		drop_rows(text, &rows, row);
		in.rows = &rows;
		choice = hcv_health_drop(&in);
		if (choice < 0)
			continue;
		dropped++;
		KUNIT_ASSERT_TRUE(test, in.slow[choice]);
		for (i = 0; i < rows.nr; i++) {
			good = !row[i].nr;
			for (j = 0; j < row[i].nr; j++)
				for (k = 0; k < rec.nr; k++)
					good |= k != (size_t)choice &&
						row[i].full & 1U << j &&
						rec.st[k].state ==
							HCV_RS_INSYNC &&
						!strcmp(rec.st[k].store,
							row[i].store[j]);
			KUNIT_ASSERT_TRUE(test, good);
		}
	}
	KUNIT_EXPECT_GT(test, dropped, 500);
}

static struct kunit_case health_cases[] = {
	KUNIT_CASE_PARAM(health_machine, machine_gen_params),
	KUNIT_CASE(health_told),
	KUNIT_CASE(health_dirty),
	KUNIT_CASE(health_clock),
	KUNIT_CASE(health_hold),
	KUNIT_CASE(health_set),
	KUNIT_CASE(health_random),
	KUNIT_CASE(health_names),
	KUNIT_CASE_PARAM(health_admit, admit_gen_params),
	KUNIT_CASE_PARAM(health_drop, drop_gen_params),
	KUNIT_CASE(health_drop_random),
	{}
};

static struct kunit_suite health_suite = {
	.name = "hcv_health",
	.test_cases = health_cases,
};

kunit_test_suite(health_suite);
