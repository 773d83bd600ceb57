// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random histories of a volume with temporary replicas: the record by its
 * transitions, beside it stores with contents.
 *
 * Stores have volatile caches, pages (a stamp for each slot and, of a temporary
 * replica, which blocks it holds) and logs.  The module is played as
 * docs/decisions/temporary-replica.md has it: a write goes to all that take
 * part; when one of them leaves, unflushed slots get the new v as stamp; FLUSH is
 * data, then pages; a copy takes the slots whose stamps differ, a temporary one
 * those with a stamp above the v of its base.  A write that failed may land at
 * any time until the store's handles are new.  Links, power cuts, crashes
 * between any two steps, and other owners come at random.
 *
 * Checked after each step: what was flushed is readable whoever is elected;
 * what was acknowledged, as long as nobody lost a cache; in-sync copies are
 * equal; as long as there is a mark, base and temporary replica have everything.
 * Where a pair without the mark is forced, nothing is lost but what the pages of
 * the temporary replica name.
 *
 * HCV_TEST_SEED=N: another history, 0: by the clock.  HCV_TEST_TRACE=1: the
 * steps of the one that fails.
 */
#include <errno.h>
#include <kunit/test.h>
#include <time.h>

#include "record_temp_sim.h"

#define W_HIST 1500
#define W_STEPS 400

/* ------------------------------------------------------------- take-overs */

/* What a block is from now on; nothing that was flushed is lost. */
static void found(struct world *w, unsigned int r, unsigned int k,
		  unsigned int b, unsigned int s, bool named)
{
	struct guest *g = &w->guest[r][k][b];
	unsigned int has = w->has[s][r][k].cache[b];

	KUNIT_EXPECT_GE_MSG(w->test, has, g->flushed, "%c %u.%u.%u", 'A' + s,
			    r, k, b);
	if (!g->open && !named)
		KUNIT_EXPECT_EQ_MSG(w->test, has, g->acked, "%c %u.%u.%u",
				    'A' + s, r, k, b);
	g->acked = has;
	g->open = false;
}

static void load_full(struct world *w, unsigned int r)
{
	unsigned int k, b, s;

	for (s = 0; s < W_STORES; s++)
		if (insync(w, s) && in_row(w, s, r))
			break;
	KUNIT_ASSERT_LT(w->test, s, W_STORES);
	for (k = 0; k < W_SLOTS; k++) {
		struct slot *has = &w->has[s][r][k];

		for (b = 0; b < 2; b++)
			found(w, r, k, b, s, has->named);
		w->ram[r][k].stamp = has->named ? w->r.v : has->stamp;
	}
}

/* Forced, it may be older, if the pages say so. */
static void found_less(struct world *w, unsigned int r, unsigned int k,
		       unsigned int b)
{
	const struct slot *temp = &w->has[temp_of(w)][r][k];
	const struct slot *base = &w->has[base_of(w)][r][k];
	unsigned int has = base->cache[b];

	if (temp->held & (1U << b) || temp->stamp <= entry(w, temp_of(w))->v) {
		found(w, r, k, b, temp->held & (1U << b) ? temp_of(w) :
							   base_of(w), true);
		return;
	}
	w->lost += has < w->guest[r][k][b].flushed;
	w->guest[r][k][b] = (struct guest){ .acked = has, .flushed = has };
}

static void load_forced(struct world *w, unsigned int r)
{
	unsigned int k, b;

	for (k = 0; k < W_SLOTS; k++) {
		for (b = 0; b < 2; b++)
			found_less(w, r, k, b);
		w->ram[r][k].hold = w->has[temp_of(w)][r][k].held;
		/* No log tells what base and temporary one differ in. */
		w->ram[r][k].stamp = w->r.v;
	}
}

static void load_pair(struct world *w, unsigned int r)
{
	unsigned int t = (unsigned int)temp_of(w), k, b;
	unsigned int base = (unsigned int)base_of(w);

	for (k = 0; k < W_SLOTS; k++) {
		struct slot *has = &w->has[t][r][k];
		struct ram *ram = &w->ram[r][k];

		ram->hold = has->held;
		w->partial += has->held == 1 || has->held == 2;
		for (b = 0; b < 2; b++)
			found(w, r, k, b, has->held & (1U << b) ? t : base,
			      has->named);
		ram->stamp = has->stamp;
		if (!has->held && !has->named &&
		    has->stamp <= entry(w, t)->v)
			KUNIT_EXPECT_EQ(w->test, has->stamp,
					w->has[base][r][k].stamp);
		if (!has->named)
			continue;
		ram->stamp = w->r.v;
		for (b = 0; b < 2; b++) {
			if (has->held & (1U << b))
				continue;
			w->named_taken++;
			has->cache[b] = w->has[base][r][k].cache[b];
		}
		ram->hold = 3;
	}
}

static void load(struct world *w, bool forced)
{
	unsigned int r, k, s;

	w->up = true;
	for (s = 0; s < W_STORES; s++) {
		if (insync(w, s) || is_temp(w, s))
			w->link[s] = IN;
		else if (entry(w, s) && entry(w, s)->state == HCV_RS_SYNCING)
			w->link[s] = SYNC;
		if (w->link[s] != OUT)
			settle(w, s);
	}
	for (r = 0; r < w->rows.nr; r++) {
		if (by_pair(w, r) && forced)
			load_forced(w, r);
		else if (by_pair(w, r))
			load_pair(w, r);
		else
			load_full(w, r);
	}
	/* The new stamps are durable, then the logs are empty. */
	if (!do_flush(w, !rnd(w, 6)))
		return;
	for (s = 0; s < W_STORES; s++)
		for_slots(w, r, k)
			if (w->link[s] == IN)
				w->has[s][r][k].named = false;
}

static void check_served(struct world *w, const struct hcv_record *old,
			 unsigned int granted)
{
	unsigned int s, r;
	int t = temp_of(w);

	for (s = 0; s < W_STORES; s++)
		if (insync(w, s))
			KUNIT_EXPECT_TRUE(w->test, granted & (1U << s));
	if (t < 0) {
		w->by_full += !!hcv_record_temp(old);
		return;
	}
	KUNIT_EXPECT_TRUE(w->test, hcv_record_pair(&w->r));
	KUNIT_EXPECT_TRUE(w->test, granted & (1U << t));
	KUNIT_EXPECT_TRUE(w->test, granted & (1U << base_of(w)));
	for (s = 0; s < W_STORES; s++)
		for (r = 0; r < w->rows.nr; r++)
			KUNIT_EXPECT_FALSE(w->test, insync(w, s) &&
					   in_row(w, s, r) && by_pair(w, r));
	w->pairs++;
	w->again += hcv_record_pair(old);
}

/* Without the mark, and without the last full copy. */
static bool do_force(struct world *w, const char *owner,
		     struct hcv_temp_force *force)
{
	char err[HCV_ERR_SIZE];
	int t = temp_of(w);

	force->lineage = w->r.lineage + 1;
	if (t < 0 || !w->told[t] || rnd(w, 4) ||
	    hcv_record_temp_force(&w->r, owner, force, &w->rows, err))
		return false;
	w->forced++;
	return true;
}

/* Return: whether somebody serves. */
static bool do_serve(struct world *w, const char *confirmed, bool *forced)
{
	const char *list[W_STORES], *local[1] = { name(rnd(w, W_STORES)) };
	struct hcv_temp_force force = {
		.confirmed = ids_of(confirmed, list), .local = { local, 1 },
	};
	struct hcv_record old = w->r;
	enum hcv_temp_merge merge;
	char owner[HCV_ID_LEN], err[HCV_ERR_SIZE];
	bool log = rnd(w, 25);
	int ret;

	strcpy(owner, w->r.owner);
	merge = hcv_record_temp_merge(&w->r, force.confirmed, &w->rows, err);
	ret = hcv_record_serve(&w->r, owner, force.confirmed, force.local,
			       &w->rows, log, err);
	KUNIT_EXPECT_EQ_MSG(w->test, !ret, merge == HCV_TM_FULL ||
			    (merge == HCV_TM_PAIR && log), "%d %d", ret, merge);
	*forced = false;
	if (!ret)
		return true;
	KUNIT_EXPECT_EQ(w->test, memcmp(&old, &w->r, sizeof(old)), 0);
	*forced = do_force(w, owner, &force);
	return *forced;
}

static void do_take(struct world *w)
{
	char confirmed[W_STORES + 1] = "", err[HCV_ERR_SIZE];
	struct hcv_record old = w->r;
	unsigned int s, n = 0, granted = w->granted;
	bool forced;

	if (w->r.phase != HCV_PH_TAKING || !rnd(w, 8)) {
		if (hcv_record_claim(&w->r, id((char)('1' + rnd(w, 2))), false,
				     true, err))
			return;
		note(w, " claim");
		w->granted = 0;
		return;
	}
	s = rnd(w, W_STORES);
	if (!((granted | w->dead) & (1U << s))) {
		note(w, " grant%c", 'A' + s);
		drain(w, s);
		granted |= 1U << s;
		w->granted = granted;
	}
	if (rnd(w, 3))
		return;
	for (s = 0; s < W_STORES; s++)
		if (granted & (1U << s))
			confirmed[n++] = (char)('A' + s);
	if (!do_serve(w, confirmed, &forced))
		return;
	note(w, " serve-%s%s", confirmed, forced ? "=!" :
	     hcv_record_pair(&w->r) ? "=" : "");
	w->taken++;
	check_served(w, &old, granted);
	load(w, forced);
}

/* ----------------------------------------------------------------- faults */

static void cut(struct world *w, unsigned int s)
{
	unsigned int r, k, b;

	note(w, " power%c", 'A' + s);
	w->late[s].slot = NULL;
	w->granted &= ~(1U << s);
	for_slots(w, r, k) {
		struct slot *has = &w->has[s][r][k];

		for (b = 0; b < 2; b++) {
			/* It may hold a write that nobody waits for. */
			if (has->cache[b] != has->disk[b])
				w->guest[r][k][b].open = true;
			if (rnd(w, 2))
				has->disk[b] = has->cache[b];
			else
				has->cache[b] = has->disk[b];
		}
	}
}

static void do_fault(struct world *w)
{
	unsigned int s = rnd(w, W_STORES), r, k, b;
	char owner[HCV_ID_LEN], err[HCV_ERR_SIZE];

	switch (rnd(w, 12)) {
	case 0:
		owner_down(w);
		break;
	case 10:
	case 11:
		/* All full copies, in the middle of a write. */
		if (temp_of(w) < 0)
			break;
		do_write(w, -1, true);
		owner_down(w);
		for (s = 0; s < W_STORES; s++) {
			if (!insync(w, s))
				continue;
			cut(w, s);
			w->dead |= 1U << s;
		}
		break;
	case 1:
		do_write(w, -1, true);
		break;
	case 2:
		do_flush(w, true);
		break;
	case 3:
		owner_down(w);
		for (s = 0; s < W_STORES; s++)
			cut(w, s);
		break;
	case 4:
		if (!do_flush(w, false))
			break;
		for (s = 0; s < W_STORES; s++)
			for_slots(w, r, k)
				if (w->link[s] == IN)
					w->has[s][r][k].named = false;
		note(w, " detach");
		strcpy(owner, w->r.owner);
		hcv_record_detach(&w->r, owner, true, err);
		owner_down(w);
		break;
	case 5:
	case 6:
	case 7:
		/* What it is all for: the last full copy. */
		while (hcv_record_temp(&w->r) && hcv_record_nr_insync(&w->r) &&
		       !insync(w, s))
			s = rnd(w, W_STORES);
		cut(w, s);
		/* It may stay away. */
		if (rnd(w, 4))
			w->dead |= 1U << s;
		if (w->link[s] != OUT && !leave(w, s))
			break;
		/* The others have what this one lost. */
		for_slots(w, r, k)
			for (b = 0; b < 2; b++)
				w->guest[r][k][b].open = w->up &&
					w->guest[r][k][b].open &&
					source(w, r, k, b) < 0;
		break;
	default:
		if (w->link[s] != OUT)
			leave(w, s);
	}
}

static void do_step(struct world *w)
{
	unsigned int s = rnd(w, W_STORES);
	struct late *l = &w->late[s];

	if (l->slot && !rnd(w, 6)) {
		note(w, " late%c", 'A' + s);
		l->slot->cache[l->block] = l->write;
		l->slot = NULL;
	} else if (w->dead && !rnd(w, 60)) {
		w->dead &= ~(1U << s);
	} else if (!w->up) {
		if (!rnd(w, 40))
			cut(w, s);
		else
			do_take(w);
	} else if (!rnd(w, 40)) {
		do_fault(w);
	} else if (!rnd(w, 5)) {
		do_write(w, w->link[s] != OUT && !rnd(w, 12) ? (int)s : -1,
			 false);
	} else if (!rnd(w, 8)) {
		do_flush(w, false);
	} else if (!rnd(w, 12)) {
		do_unname(w);
	} else if (w->dead & (1U << s)) {
		return;
	} else if (!entry(w, s) || is_temp(w, s)) {
		do_temp(w, s);
	} else {
		do_full(w, s);
	}
}

/* ----------------------------------------------------------------- checks */

static void check_mark(struct world *w)
{
	const struct hcv_rec_store *t = hcv_record_temp(&w->r);
	unsigned int temp, base, r, k, b, has, held;

	if (!t || !t->covers)
		return;
	temp = (unsigned int)temp_of(w);
	base = (unsigned int)base_of(w);
	for_slots(w, r, k) {
		if (!hcv_record_temp_row(&w->r, &w->row[r]))
			continue;
		for (b = 0; b < 2; b++) {
			const struct guest *g = &w->guest[r][k][b];

			/* Whatever fails now. */
			held = w->has[temp][r][k].held & (1U << b);
			has = w->has[held ? temp : base][r][k].disk[b];
			KUNIT_EXPECT_GE_MSG(w->test, has, g->flushed,
					    "the mark is wrong: %u.%u.%u", r,
					    k, b);
			if (!w->up || g->open || w->link[temp] != IN)
				continue;
			held = w->ram[r][k].hold & (1U << b);
			has = w->has[held ? temp : base][r][k].cache[b];
			KUNIT_EXPECT_EQ_MSG(w->test, has, g->acked,
					    "the mark is wrong now: %u.%u.%u",
					    r, k, b);
		}
	}
}

static void check_world(struct world *w)
{
	unsigned int r, k, b, s, has;
	char err[HCV_ERR_SIZE];
	int from;

	KUNIT_EXPECT_EQ_MSG(w->test, hcv_record_check(&w->r, err), 0, "%s",
			    err);
	check_mark(w);
	for_slots(w, r, k)
		for (b = 0; b < 2 && w->up; b++) {
			const struct guest *g = &w->guest[r][k][b];

			if (g->open)
				continue;
			from = source(w, r, k, b);
			KUNIT_EXPECT_GE(w->test, from, 0);
			if (from < 0)
				continue;
			KUNIT_EXPECT_EQ_MSG(w->test,
					    w->has[from][r][k].cache[b],
					    g->acked, "%u.%u.%u is read", r, k,
					    b);
			for (s = 0; s < W_STORES; s++) {
				if (w->link[s] != IN || !insync(w, s) ||
				    !in_row(w, s, r))
					continue;
				has = w->has[s][r][k].cache[b];
				KUNIT_EXPECT_EQ_MSG(w->test, has, g->acked,
						    "%c: %u.%u.%u", 'A' + s, r,
						    k, b);
			}
		}
}

/* Rows on two or three sides, as placement has them. */
static void world_init(struct world *w)
{
	static const char *const sides[3] = { "AB", "CD", "E" };
	unsigned int nr = 2 + !rnd(w, 4), rows = 1 + rnd(w, W_ROWS), r, i, n;
	const char *list[W_STORES];
	struct hcv_rec_ids ids = { list, 0 };
	char text[64] = "", err[HCV_ERR_SIZE];
	size_t len = 0;

	for (r = 0; r < rows; r++) {
		for (i = 0; i < nr; i++) {
			n = rnd(w, 3) ? 0 : rnd(w, (unsigned int)
						strlen(sides[i]));
			text[len++] = sides[i][n];
		}
		text[len++] = r + 1 < rows ? ',' : 0;
	}
	rows_of(text, w->row, &w->rows);
	for (i = 0; i < W_STORES; i++)
		if (strchr(text, (int)('A' + i)))
			list[ids.nr++] = name(i);
	KUNIT_ASSERT_EQ_MSG(w->test, hcv_record_init(&w->r, 1, ids, err), 0,
			    "%s", err);
	note(w, "%s:", text);
}

static uint64_t first_seed(struct kunit *test)
{
	const char *given = getenv("HCV_TEST_SEED");
	uint64_t n = given ? strtoull(given, NULL, 0) : 1;
	struct timespec ts;

	if (!n) {
		clock_gettime(CLOCK_REALTIME, &ts);
		n = (uint64_t)ts.tv_sec * 1000003 + (uint64_t)ts.tv_nsec;
	}
	kunit_info(test, "HCV_TEST_SEED=%llu", (unsigned long long)n);
	return n;
}

static void add_up(struct world *sum, const struct world *w)
{
	sum->began += w->began;
	sum->marks += w->marks;
	sum->pairs += w->pairs;
	sum->partial += w->partial;
	sum->merged += w->merged;
	sum->again += w->again;
	sum->joined += w->joined;
	sum->taken += w->taken;
	sum->named_taken += w->named_taken;
	sum->by_full += w->by_full;
	sum->stayed += w->stayed;
	sum->forced += w->forced;
	sum->lost += w->lost;
	sum->writes += w->writes;
}

static void test_histories(struct kunit *test)
{
	struct world *w = kunit_kzalloc(test, sizeof(*w), 0);
	struct world *sum = kunit_kzalloc(test, sizeof(*sum), 0);
	uint64_t next = first_seed(test), seed = next;
	unsigned int i, k;
	uint64_t v;

	for (i = 0; i < W_HIST && !test->failed; i++) {
		memset(w, 0, sizeof(*w));
		w->test = test;
		seed = next;
		w->seed = seed;
		world_init(w);
		for (k = 0; k < W_STEPS && !test->failed; k++) {
			struct hcv_record old = w->r;

			v = w->r.v;
			do_step(w);
			if (memcmp(&old, &w->r, sizeof(old)))
				KUNIT_EXPECT_GT(test, w->r.v, v);
			check_world(w);
		}
		next = w->seed;
		add_up(sum, w);
	}
	if (test->failed)
		kunit_info(test, "HCV_TEST_SEED=%llu: %s",
			   (unsigned long long)seed,
			   getenv("HCV_TEST_TRACE") ? w->trace : "");
	kunit_info(test, "%u histories, %u writes, %u take-overs, %u joined",
		   i, sum->writes, sum->taken, sum->joined);
	kunit_info(test, "%u began, %u marks, %u full copies came first, %u pairs (%u again, %u slots held in part, %u blocks named), %u merged",
		   sum->began, sum->marks, sum->by_full, sum->pairs,
		   sum->again, sum->partial, sum->named_taken, sum->merged);
	kunit_info(test, "%u stayed, %u forced (%u blocks lost)", sum->stayed,
		   sum->forced, sum->lost);
	if (test->failed)
		return;
	KUNIT_EXPECT_GT(test, sum->marks, 300);
	KUNIT_EXPECT_GT(test, sum->pairs, 100);
	KUNIT_EXPECT_GT(test, sum->again, 20);
	KUNIT_EXPECT_GT(test, sum->partial, 20);
	KUNIT_EXPECT_GT(test, sum->named_taken, 5);
	KUNIT_EXPECT_GT(test, sum->merged, 20);
	KUNIT_EXPECT_GT(test, sum->stayed, 20);
	KUNIT_EXPECT_GT(test, sum->forced, 20);
	KUNIT_EXPECT_GT(test, sum->lost, 5);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(test_histories),
	{}
};

static struct kunit_suite suite = {
	.name = "hcv_record_temp_sim",
	.test_cases = cases,
};
kunit_test_suite(suite);
