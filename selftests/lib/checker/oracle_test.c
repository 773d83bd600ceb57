// SPDX-License-Identifier: GPL-2.0-only
/*
 * The checker beside an oracle: short histories of one block, most of them
 * nonsense, and for each all orders in which its operations can have taken
 * effect, one by one. Both have to agree on whether there is one, and on what
 * the block may hold afterwards.
 */
#include <kunit/test.h>
#include <stdio.h>
#include <stdlib.h>

#include "history_priv.h"

#define HCV_O_OPS	7	/* of a session */
#define HCV_O_SESSIONS	3
#define HCV_O_NEVER	1000
#define HCV_O_VALUES	32	/* value 0: zeroes; bit v of a set: value v */

enum hcv_o_kind { HCV_O_WRITE, HCV_O_READ, HCV_O_FLUSH };

struct hcv_o_op {
	enum hcv_o_kind kind;
	u32 begin, end;		/* HCV_O_NEVER */
	bool failed, fua;
	u32 value;		/* written or read */
};

struct hcv_o_session {
	struct hcv_o_op op[HCV_O_OPS];
	u32 nr;
	bool clean, superseded;
};

/* --- random ones */

static u64 hcv_o_state;

static u32 hcv_o_random(u32 below)
{
	hcv_o_state = hcv_o_state * 6364136223846793005ULL +
		1442695040888963407ULL;
	return (hcv_o_state >> 33) % below;
}

/* Operations begin and end in random order; values are filled in later. */
static void hcv_o_make(struct hcv_o_session *s, u32 *values)
{
	u32 open[HCV_O_OPS], nr_open = 0, want = hcv_o_random(HCV_O_OPS + 1);
	u32 now = 0, i;
	struct hcv_o_op *op;

	*s = (struct hcv_o_session){ .clean = !hcv_o_random(4) };
	while (s->nr < want || nr_open) {
		now++;
		if (nr_open && (s->nr == want || hcv_o_random(2))) {
			i = hcv_o_random(nr_open);
			op = &s->op[open[i]];
			open[i] = open[--nr_open];
			if (hcv_o_random(8)) {
				op->end = now;
				op->failed = !hcv_o_random(5);
			}
			continue;
		}
		op = &s->op[s->nr];
		*op = (struct hcv_o_op){ .begin = now, .end = HCV_O_NEVER };
		open[nr_open++] = s->nr++;
		i = hcv_o_random(10);
		op->kind = i < 5 ? HCV_O_WRITE : i < 9 ? HCV_O_READ :
			HCV_O_FLUSH;
		op->fua = !hcv_o_random(8);
		if (op->kind == HCV_O_WRITE)
			op->value = ++*values;
	}
}

/* Most reads return something that is near. */
static void hcv_o_fill_reads(struct hcv_o_session *s, u32 last, u32 before)
{
	u32 i;

	for (i = 0; i < s->nr; i++)
		if (s->op[i].kind == HCV_O_READ)
			s->op[i].value = hcv_o_random(3) && last > before ?
				before + 1 + hcv_o_random(last - before) :
				hcv_o_random(last + 1);
}

/* --- the oracle */

struct hcv_o_walk {
	const struct hcv_o_session *s;
	u32 done;		/* bits of operations */
	u32 now;		/* value */
	u32 since;		/* values since the last durable one */
	u32 after;		/* what may be there in the end, of all walks */
	bool possible;
};

static bool hcv_o_matters(const struct hcv_o_op *op)
{
	/* A read or a FLUSH that did not end well says nothing. */
	return op->kind == HCV_O_WRITE || (op->end != HCV_O_NEVER &&
					   !op->failed);
}

static bool hcv_o_must_happen(const struct hcv_o_op *op)
{
	return hcv_o_matters(op) && op->end != HCV_O_NEVER && !op->failed;
}

static bool hcv_o_before(const struct hcv_o_op *a, const struct hcv_o_op *b)
{
	if (a->kind == HCV_O_WRITE && a->failed && a->end != HCV_O_NEVER)
		return b->kind == HCV_O_WRITE && hcv_o_must_happen(b) &&
			a->end < b->begin;
	return a->end < b->begin;
}

static void hcv_o_step(struct hcv_o_walk *w);

static void hcv_o_take(struct hcv_o_walk *w, u32 i)
{
	const struct hcv_o_op *op = &w->s->op[i];
	struct hcv_o_walk was = *w;

	w->done |= 1U << i;
	if (op->kind == HCV_O_WRITE) {
		w->now = op->value;
		w->since |= 1U << op->value;
		if (op->fua && hcv_o_must_happen(op))
			w->since = 1U << op->value;
	} else if (op->kind == HCV_O_FLUSH) {
		w->since = 1U << w->now;
	} else if (op->value != w->now) {
		*w = was;
		return;
	}
	hcv_o_step(w);
	was.after = w->after;
	was.possible = w->possible;
	*w = was;
}

static void hcv_o_step(struct hcv_o_walk *w)
{
	const struct hcv_o_session *s = w->s;
	bool all = true, first;
	u32 i, k;

	for (i = 0; i < s->nr; i++) {
		if (w->done >> i & 1 || !hcv_o_matters(&s->op[i]))
			continue;
		all &= !hcv_o_must_happen(&s->op[i]);
		first = true;
		for (k = 0; k < s->nr; k++)
			if (!(w->done >> k & 1) && hcv_o_matters(&s->op[k]) &&
			    hcv_o_must_happen(&s->op[k]) &&
			    hcv_o_before(&s->op[k], &s->op[i]))
				first = false;
		/* What may not happen does not come behind either. */
		for (k = 0; k < s->nr; k++)
			if (w->done >> k & 1 && hcv_o_matters(&s->op[k]) &&
			    hcv_o_before(&s->op[i], &s->op[k]))
				first = false;
		if (first)
			hcv_o_take(w, i);
	}
	if (all) {
		w->possible = true;
		w->after |= s->clean ? 1U << w->now : w->since;
	}
}

/* Return: what may be there after the session, 0 if it is not possible. */
static u32 hcv_o_session(const struct hcv_o_session *s, u32 base)
{
	struct hcv_o_walk w = { .s = s };
	u32 v;

	for (v = 0; v < HCV_O_VALUES; v++) {
		if (!(base >> v & 1))
			continue;
		w.now = v;
		w.since = 1U << v;
		w.done = 0;
		hcv_o_step(&w);
	}
	return w.possible ? w.after : 0;
}

/* --- the same for the checker */

struct hcv_o_names {
	u64 id[HCV_O_VALUES];
};

static struct hcv_ck_stamp hcv_o_stamp(const struct hcv_o_names *names, u32 v)
{
	return (struct hcv_ck_stamp){ HCV_CK_WHOLE, names->id[v], 0 };
}

/* Each write has a writer of its own, so that any number is under way. */
static void hcv_o_event(struct hcv_ck *ck, const struct hcv_o_op *op, u32 i,
			bool begin, u64 *begun,
			const struct hcv_o_names *names)
{
	struct hcv_ck_stamp st = hcv_o_stamp(names, op->value);

	if (op->kind == HCV_O_WRITE && begin)
		hcv_ck_write(ck, i, 1, 0, 1, op->fua);
	else if (op->kind == HCV_O_WRITE)
		hcv_ck_written(ck, i, 1, op->failed);
	else if (begin)
		*begun = hcv_ck_begin(ck);
	else if (op->kind == HCV_O_FLUSH)
		hcv_ck_flushed(ck, *begun, op->failed);
	else if (!op->failed)
		hcv_ck_read(ck, *begun, 0, 1, &st);
}

static void hcv_o_feed(struct hcv_ck *ck, u32 nr,
		       const struct hcv_o_session *s,
		       const struct hcv_o_names *names)
{
	u64 begun[HCV_O_OPS];
	u32 t, i;

	hcv_ck_session(ck, nr);
	for (t = 1; t < HCV_O_NEVER && t <= 2 * HCV_O_OPS; t++)
		for (i = 0; i < s->nr; i++)
			if (s->op[i].begin == t || s->op[i].end == t)
				hcv_o_event(ck, &s->op[i], i,
					    s->op[i].begin == t, &begun[i],
					    names);
	/* Nothing is missing, or every block might hold something unknown. */
	for (i = 0; i < s->nr; i++)
		if (s->op[i].kind == HCV_O_WRITE)
			hcv_ck_over(ck, i, s->op[i].end != HCV_O_NEVER);
}

static u32 hcv_o_may(const struct hcv_ck *ck, const struct hcv_o_names *names)
{
	const struct hcv_ck_block *blk = &ck->blocks[0];
	u32 i, v, set = 0;

	for (i = 0; i < blk->nr_may; i++)
		for (v = 0; v < HCV_O_VALUES; v++)
			if (blk->may[i] == names->id[v])
				set |= 1U << v;
	return set;
}

static void hcv_o_print(const struct hcv_o_session *s, u32 nr)
{
	static const char kind[] = "wrf";
	u32 i;

	fprintf(stderr, "# session %u%s:", nr, s->clean ? " (clean)" : "");
	for (i = 0; i < s->nr; i++)
		fprintf(stderr, " %c%u[%u,%u]%s%s", kind[s->op[i].kind],
			s->op[i].value, s->op[i].begin, s->op[i].end,
			s->op[i].failed ? "failed" : "",
			s->op[i].fua && !s->op[i].kind ? "fua" : "");
	fprintf(stderr, "\n");
}

/* Return: 1 if the history was possible */
static u32 hcv_o_one(struct kunit *test, u64 seed, u32 *agreed)
{
	struct hcv_o_session s[HCV_O_SESSIONS];
	struct hcv_ck *ck = hcv_ck_new(1);
	struct hcv_o_names names;
	u32 n, i, before, values = 0, base = 1, may;

	hcv_o_state = seed * 0x9e3779b97f4a7c15ULL + 1;
	memset(&names, 0xff, sizeof(names));
	names.id[0] = 0;
	for (n = 0; n < HCV_O_SESSIONS && base; n++) {
		before = values;
		hcv_o_make(&s[n], &values);
		hcv_o_fill_reads(&s[n], values, before);
		for (i = 0; i < s[n].nr; i++)
			if (s[n].op[i].kind == HCV_O_WRITE)
				names.id[s[n].op[i].value] =
					hcv_ck_id(n + 1, i, 1);
		base = hcv_o_session(&s[n], base);
		hcv_o_feed(ck, n + 1, &s[n], &names);
		hcv_ck_end(ck, s[n].clean ? HCV_CK_CLEAN : HCV_CK_CRASH);
		may = hcv_o_may(ck, &names);
		if (!base != !!hcv_ck_faults(ck) || (base && may != base)) {
			KUNIT_FAIL(test, "seed %llu: the oracle says %x, the checker %x, %s",
				   seed, base, may,
				   hcv_ck_text(ck, 0) ?: "no fault");
			for (i = 0; i <= n; i++)
				hcv_o_print(&s[i], i + 1);
			break;
		}
		++*agreed;
	}
	hcv_ck_free(ck);
	return base ? 1 : 0;
}

static void hcv_oracle_test_random(struct kunit *test)
{
	const char *env = getenv("HCV_CK_SEEDS");
	u64 seed, seeds = env ? strtoull(env, NULL, 10) : 20000;
	u32 legal = 0, agreed = 0;

	for (seed = 1; seed <= seeds && !test->failed; seed++)
		legal += hcv_o_one(test, seed, &agreed);
	/* Both kinds have to come up, or nothing was compared. */
	KUNIT_EXPECT_GT(test, legal, seeds / 20);
	KUNIT_EXPECT_GT(test, seeds - legal, seeds / 20);
	kunit_info(test, "%u of %llu histories possible, %u sessions compared",
		   legal, seeds, agreed);
}

static struct kunit_case hcv_oracle_cases[] = {
	KUNIT_CASE(hcv_oracle_test_random),
	{}
};

static struct kunit_suite hcv_oracle_suite = {
	.name = "checker_oracle",
	.test_cases = hcv_oracle_cases,
};

kunit_test_suite(hcv_oracle_suite);
