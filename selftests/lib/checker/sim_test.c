// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random histories of a volume as it should be: several threads, crashes, logs
 * that lose their tails. None may be called a fault. Then the same with one
 * answer changed to what no such volume gives: each has to be.
 *
 * HCV_CK_SEEDS=N tries N of them, from HCV_CK_SEED on.
 */
#include <kunit/test.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"

#define HCV_S_BLOCKS	10
#define HCV_S_THREADS	5
#define HCV_S_IO	4	/* blocks */
#define HCV_S_OPS	1200
#define HCV_S_SESSIONS	6

struct hcv_s_op {
	u32 session, thread;
	char verb;		/* w, r, f */
	bool fua, failed, ended;
	u64 seq;		/* of a write */
	u32 block, count;
	u32 begin, end;		/* events */
	u32 todo;		/* blocks on which it has no effect yet, bits */
	u64 got[HCV_S_IO];
};

struct hcv_s_event {
	u32 op;
	bool end;
};

struct hcv_s_session {
	u32 first, nr, kept;	/* events */
	bool clean;
};

/* What a block is and what it may become in a crash, oldest first. */
struct hcv_s_block {
	u64 now;
	u64 since[HCV_S_OPS];
	u32 nr_since;
};

struct hcv_s_sim {
	u64 state;
	struct hcv_s_block block[HCV_S_BLOCKS];
	struct hcv_s_op op[HCV_S_OPS];
	u32 nr_ops;
	struct hcv_s_event event[2 * HCV_S_OPS];
	u32 nr_events;
	struct hcv_s_session session[HCV_S_SESSIONS + 1];
	u32 nr_sessions;
	u32 busy[HCV_S_THREADS];	/* operation; the first is none */
	u64 seq[HCV_S_THREADS];
	/* One answer that is changed: of a read, or of a replica. */
	u32 fence_at;			/* event before which there is a mark */
	int replica_block;
};

static u32 hcv_s_random(struct hcv_s_sim *sim, u32 below)
{
	sim->state = sim->state * 6364136223846793005ULL +
		1442695040888963407ULL;
	return (sim->state >> 33) % below;
}

/* --- the volume */

static u64 hcv_s_id(const struct hcv_s_op *op)
{
	return hcv_ck_id(op->session, op->thread, op->seq);
}

static void hcv_s_set(struct hcv_s_block *blk, u64 id)
{
	blk->now = id;
	blk->since[blk->nr_since++] = id;
}

/* Nothing older than this value can come back. */
static void hcv_s_durable(struct hcv_s_block *blk, u64 id)
{
	u32 i;

	for (i = 0; i < blk->nr_since && blk->since[i] != id; i++)
		;
	if (i == blk->nr_since)
		return;
	blk->nr_since -= i;
	memmove(blk->since, blk->since + i,
		blk->nr_since * sizeof(*blk->since));
}

/* A moment at which an operation has effect on one of its blocks. */
static void hcv_s_effect(struct hcv_s_sim *sim, struct hcv_s_op *op, u32 i)
{
	u32 b;

	op->todo &= ~(1U << i);
	if (op->verb == 'w') {
		hcv_s_set(&sim->block[op->block + i], hcv_s_id(op));
	} else if (op->verb == 'r') {
		op->got[i] = sim->block[op->block + i].now;
	} else {
		for (b = 0; b < HCV_S_BLOCKS; b++)
			hcv_s_durable(&sim->block[b], sim->block[b].now);
	}
}

static void hcv_s_event(struct hcv_s_sim *sim, u32 op, bool end)
{
	if (end)
		sim->op[op].end = sim->nr_events;
	else
		sim->op[op].begin = sim->nr_events;
	sim->event[sim->nr_events++] = (struct hcv_s_event){ op, end };
}

static void hcv_s_begin(struct hcv_s_sim *sim, u32 thread, char verb,
			u32 block, u32 count)
{
	struct hcv_s_op *op = &sim->op[sim->nr_ops];

	*op = (struct hcv_s_op){
		.session = sim->nr_sessions, .thread = thread, .verb = verb,
		.block = block, .count = count,
		.todo = verb == 'f' ? 1 : (1U << count) - 1,
	};
	if (verb == 'w') {
		op->seq = ++sim->seq[thread];
		op->fua = !hcv_s_random(sim, 12);
	}
	sim->busy[thread] = sim->nr_ops;
	hcv_s_event(sim, sim->nr_ops++, false);
}

static void hcv_s_end(struct hcv_s_sim *sim, u32 thread)
{
	u32 nr = sim->busy[thread], i;
	struct hcv_s_op *op = &sim->op[nr];

	op->failed = !hcv_s_random(sim, 15);
	for (i = 0; i < HCV_S_IO; i++)
		if (op->todo >> i & 1 &&
		    !(op->failed && hcv_s_random(sim, 2)))
			hcv_s_effect(sim, op, i);
	op->ended = true;
	sim->busy[thread] = 0;
	for (i = 0; op->fua && !op->failed && i < op->count; i++)
		hcv_s_durable(&sim->block[op->block + i], hcv_s_id(op));
	hcv_s_event(sim, nr, true);
}

static void hcv_s_step(struct hcv_s_sim *sim)
{
	u32 thread = hcv_s_random(sim, HCV_S_THREADS), i;
	struct hcv_s_op *op = &sim->op[sim->busy[thread]];
	u32 block = hcv_s_random(sim, HCV_S_BLOCKS);

	if (!sim->busy[thread]) {
		i = hcv_s_random(sim, 12);
		hcv_s_begin(sim, thread, i < 7 ? 'w' : i < 11 ? 'r' : 'f',
			    block, 1 + hcv_s_random(sim, min_t(u32, HCV_S_IO,
						HCV_S_BLOCKS - block)));
		return;
	}
	i = hcv_s_random(sim, HCV_S_IO);
	if (op->todo >> i & 1)
		hcv_s_effect(sim, op, i);
	else
		hcv_s_end(sim, thread);
}

static void hcv_s_crash(struct hcv_s_sim *sim)
{
	struct hcv_s_block *blk;
	u32 t, i, b;

	for (t = 0; t < HCV_S_THREADS; t++) {
		struct hcv_s_op *op = &sim->op[sim->busy[t]];

		for (i = 0; sim->busy[t] && op->verb == 'w' &&
		     i < op->count; i++)
			if (op->todo >> i & 1 && hcv_s_random(sim, 2))
				hcv_s_effect(sim, op, i);
		sim->busy[t] = 0;
	}
	for (b = 0; b < HCV_S_BLOCKS; b++) {
		blk = &sim->block[b];
		blk->now = blk->since[hcv_s_random(sim, blk->nr_since)];
		blk->since[0] = blk->now;
		blk->nr_since = 1;
	}
}

static void hcv_s_start(struct hcv_s_sim *sim)
{
	struct hcv_s_session *s = &sim->session[++sim->nr_sessions];

	*s = (struct hcv_s_session){ .first = sim->nr_events };
	memset(sim->seq, 0, sizeof(sim->seq));
}

static void hcv_s_stop(struct hcv_s_sim *sim, bool clean)
{
	struct hcv_s_session *s = &sim->session[sim->nr_sessions];
	u32 t, b;

	for (t = 0; clean && t < HCV_S_THREADS; t++)
		if (sim->busy[t])
			hcv_s_end(sim, t);
	s->clean = clean;
	s->nr = sim->nr_events - s->first;
	s->kept = s->nr;
	if (!clean) {
		/* Mostly little of the log is missing, at times all. */
		if (hcv_s_random(sim, 2))
			s->kept -= hcv_s_random(sim, 1 + min_t(u32, s->nr,
						hcv_s_random(sim, 4) ?
						12 : s->nr));
		hcv_s_crash(sim);
		return;
	}
	for (b = 0; b < HCV_S_BLOCKS; b++)
		hcv_s_durable(&sim->block[b], sim->block[b].now);
}

static void hcv_s_read_all(struct hcv_s_sim *sim, u32 step)
{
	u32 b, i, nr = sim->nr_ops;

	for (b = 0; b < HCV_S_BLOCKS; b += step) {
		hcv_s_begin(sim, HCV_S_THREADS - 1, 'r', b, step);
		for (i = 0; i < step; i++)
			hcv_s_effect(sim, &sim->op[nr], i);
		nr = sim->nr_ops;
		sim->op[nr - 1].ended = true;
		sim->busy[HCV_S_THREADS - 1] = 0;
		hcv_s_event(sim, nr - 1, true);
	}
}

static void hcv_s_make(struct hcv_s_sim *sim, u64 seed)
{
	u32 sessions, steps, n, b;

	memset(sim, 0, sizeof(*sim));
	sim->state = seed * 0x9e3779b97f4a7c15ULL + 12345;
	sim->replica_block = -1;
	sim->nr_ops = 1;
	for (b = 0; b < HCV_S_BLOCKS; b++)
		sim->block[b].nr_since = 1;
	sessions = 1 + hcv_s_random(sim, HCV_S_SESSIONS - 1);
	for (n = 0; n < sessions; n++) {
		hcv_s_start(sim);
		if (hcv_s_random(sim, 2))
			hcv_s_read_all(sim, 1 + hcv_s_random(sim, 2));
		/* Two events an operation, and fewer steps than events. */
		steps = hcv_s_random(sim, 400);
		while (steps--)
			hcv_s_step(sim);
		hcv_s_stop(sim, !hcv_s_random(sim, 4));
	}
	hcv_s_start(sim);
	hcv_s_read_all(sim, 2);
	hcv_s_stop(sim, true);
}

/* --- as a log */

static void hcv_s_print(char *text, u32 line, const struct hcv_s_op *op,
			bool end)
{
	struct hcv_ck_stamp st = { HCV_CK_WHOLE, 0, 0 };
	int len, err = op->failed ? EIO : 0;
	u32 i;

	if (op->verb == 'w' && !end)
		sprintf(text, "%u w %u %llu %u %u %u", line, op->thread,
			op->seq, op->block, op->count, op->fua);
	else if (op->verb == 'w')
		sprintf(text, "%u W %u %llu %d 3", line, op->thread, op->seq,
			err);
	else if (op->verb == 'f' && !end)
		sprintf(text, "%u f %u", line, op->thread);
	else if (op->verb == 'f')
		sprintf(text, "%u F %u %d 3", line, op->thread, err);
	else if (!end)
		sprintf(text, "%u r %u %u %u", line, op->thread, op->block,
			op->count);
	if (op->verb != 'r' || !end)
		return;
	len = sprintf(text, "%u R %u %d 3", line, op->thread, err);
	for (i = 0; !err && i < op->count; i++) {
		st.id = op->got[i];
		text[len++] = ' ';
		len += hcv_ck_stamp_print(text + len, &st);
	}
}

static void hcv_s_feed_session(struct hcv_s_sim *sim, struct hcv_ck_log *log,
			       u32 nr)
{
	const struct hcv_s_session *s = &sim->session[nr];
	char text[HCV_CK_LINE_MAX];
	u32 i, line = 0;

	snprintf(text, sizeof(text), "session %u", nr);
	hcv_ck_log_file(log, "sim");
	snprintf(text, sizeof(text), "! volume 5eed 0 %u", HCV_S_BLOCKS);
	hcv_ck_log_line(log, text);
	snprintf(text, sizeof(text), "! session %u", nr);
	hcv_ck_log_line(log, text);
	snprintf(text, sizeof(text), "! threads 0 %u", HCV_S_THREADS);
	hcv_ck_log_line(log, text);
	for (i = s->first; i < s->first + s->kept; i++) {
		if (sim->fence_at == i && i) {
			snprintf(text, sizeof(text), "%u m", line++);
			hcv_ck_log_line(log, text);
		}
		hcv_s_print(text, line++, &sim->op[sim->event[i].op],
			    sim->event[i].end);
		hcv_ck_log_line(log, text);
	}
	if (s->clean) {
		snprintf(text, sizeof(text), "%u e", line);
		hcv_ck_log_line(log, text);
		hcv_ck_log_line(log, "! end clean");
	}
}

static struct hcv_ck_log *hcv_s_feed(struct hcv_s_sim *sim)
{
	struct hcv_ck_log *log = hcv_ck_log_new();
	struct hcv_ck_stamp st = { HCV_CK_WHOLE, 0, 0 };
	u32 n, b, replica;

	for (n = 1; n <= sim->nr_sessions; n++)
		hcv_s_feed_session(sim, log, n);
	hcv_ck_log_end(log);
	for (b = 0; b < 2 * HCV_S_BLOCKS; b++) {
		replica = b / HCV_S_BLOCKS;
		st.id = sim->block[b % HCV_S_BLOCKS].now;
		if (replica && sim->replica_block == (int)b - HCV_S_BLOCKS)
			st.id = st.id ? 0 : hcv_ck_id(1, 0, 1);
		hcv_ck_replica(hcv_ck_log_history(log), replica,
			       b % HCV_S_BLOCKS, &st);
	}
	return log;
}

static u64 hcv_s_seeds(u64 *first)
{
	const char *nr = getenv("HCV_CK_SEEDS"), *seed = getenv("HCV_CK_SEED");

	*first = seed ? strtoull(seed, NULL, 10) : 1;
	return nr ? strtoull(nr, NULL, 10) : 3000;
}

static void hcv_sim_test_legal(struct kunit *test)
{
	struct hcv_s_sim *sim = kunit_kzalloc(test, sizeof(*sim), 0);
	u64 first, nr = hcv_s_seeds(&first), seed, ops = 0;
	struct hcv_ck_log *log;
	struct hcv_ck *ck;
	const char *bad;

	for (seed = first; seed < first + nr && !test->failed; seed++) {
		hcv_s_make(sim, seed);
		log = hcv_s_feed(sim);
		ck = hcv_ck_log_history(log);
		ops += sim->nr_ops;
		KUNIT_EXPECT_EQ_MSG(test, 0, hcv_ck_log_bad(log, &bad),
				    "seed %llu: %s", seed, bad);
		KUNIT_EXPECT_EQ_MSG(test, 0, hcv_ck_faults(ck),
				    "seed %llu: %s", seed, hcv_ck_text(ck, 0));
		KUNIT_EXPECT_EQ_MSG(test, 0, hcv_ck_unread(ck), "seed %llu",
				    seed);
		hcv_ck_log_free(log);
	}
	kunit_info(test, "%llu histories, %llu operations", nr, ops);
}

/* --- one answer changed */

enum hcv_s_change {
	HCV_S_LOST,		/* a flushed value gives way to an older one */
	HCV_S_STALE,		/* an acknowledged one, in the same session */
	HCV_S_BACK,		/* one that was read */
	HCV_S_SWAP,		/* blocks change places */
	HCV_S_FENCE,
	HCV_S_REPLICA,
	HCV_S_CHANGES,
};

static const char *const hcv_s_change_names[] = {
	"lost", "stale", "back", "swap", "fence", "replica",
};

static bool hcv_s_covers(const struct hcv_s_op *op, u32 block)
{
	return block - op->block < op->count;
}

static bool hcv_s_good(const struct hcv_s_sim *sim, const struct hcv_s_op *op)
{
	const struct hcv_s_session *s = &sim->session[op->session];

	return op->ended && !op->failed && op->end - s->first < s->kept;
}

static bool hcv_s_begun(const struct hcv_s_sim *sim, const struct hcv_s_op *op)
{
	const struct hcv_s_session *s = &sim->session[op->session];

	return op->begin - s->first < s->kept;
}

/* A flush, or an end in order, that made a write durable for certain. */
static bool hcv_s_flushed(const struct hcv_s_sim *sim,
			  const struct hcv_s_op *op)
{
	u32 i;

	if (op->fua || sim->session[op->session].clean)
		return true;
	for (i = 0; i < sim->nr_ops; i++)
		if (sim->op[i].verb == 'f' && hcv_s_good(sim, &sim->op[i]) &&
		    sim->op[i].session == op->session &&
		    sim->op[i].begin > op->end)
			return true;
	return false;
}

/*
 * What the read must not return: a value that was over before the newer one
 * began. Zeroes, if there is no such write.
 */
static u64 hcv_s_older(struct hcv_s_sim *sim, const struct hcv_s_op *newer,
		       u32 block)
{
	u32 i, k, from = hcv_s_random(sim, sim->nr_ops);

	for (k = 0; k < sim->nr_ops; k++) {
		i = (from + k) % sim->nr_ops;
		if (sim->op[i].verb == 'w' && hcv_s_covers(&sim->op[i], block) &&
		    hcv_s_good(sim, &sim->op[i]) &&
		    (sim->op[i].session < newer->session ||
		     (sim->op[i].session == newer->session &&
		      sim->op[i].end < newer->begin)))
			return hcv_s_id(&sim->op[i]);
	}
	return 0;
}

/* Whether a read that returned an older value than @op's would be wrong. */
static bool hcv_s_wrong(const struct hcv_s_sim *sim, enum hcv_s_change change,
			const struct hcv_s_op *op, const struct hcv_s_op *read,
			u32 block)
{
	bool same = op->session == read->session;

	if (!hcv_s_covers(op, block) || !hcv_s_good(sim, op))
		return false;
	if (change == HCV_S_BACK)
		return op->verb == 'r' && same && op->end < read->begin &&
			op->got[block - op->block];
	if (op->verb != 'w')
		return false;
	if (change == HCV_S_STALE)
		return same && op->end < read->begin;
	return op->session < read->session && hcv_s_flushed(sim, op);
}

static const struct hcv_s_op *hcv_s_writer(const struct hcv_s_sim *sim, u64 id)
{
	u32 i;

	for (i = 0; i < sim->nr_ops; i++)
		if (sim->op[i].verb == 'w' && hcv_s_id(&sim->op[i]) == id)
			return &sim->op[i];
	return NULL;
}

static bool hcv_s_change_read(struct hcv_s_sim *sim, enum hcv_s_change change,
			      struct hcv_s_op *read)
{
	u32 i, k, from = hcv_s_random(sim, sim->nr_ops), block = read->block;
	const struct hcv_s_op *op;
	u64 id;

	for (k = 0; k < sim->nr_ops; k++) {
		i = (from + k) % sim->nr_ops;
		if (!hcv_s_wrong(sim, change, &sim->op[i], read, block))
			continue;
		op = &sim->op[i];
		if (change == HCV_S_BACK)
			op = hcv_s_writer(sim, op->got[block - op->block]);
		id = hcv_s_older(sim, op, block);
		if (id == read->got[0])
			continue;
		read->got[0] = id;
		return true;
	}
	return false;
}

static bool hcv_s_apply(struct hcv_s_sim *sim, enum hcv_s_change change)
{
	u32 i, k, from = hcv_s_random(sim, sim->nr_ops);
	const struct hcv_s_op *writer;
	struct hcv_s_op *op;
	u64 id;

	if (change == HCV_S_REPLICA) {
		sim->replica_block = hcv_s_random(sim, HCV_S_BLOCKS);
		return true;
	}
	for (k = 0; k < sim->nr_ops; k++) {
		i = (from + k) % sim->nr_ops;
		op = &sim->op[i];
		if (!hcv_s_good(sim, op))
			continue;
		if (change == HCV_S_FENCE) {
			/* A mark before event 0 cannot be told from none. */
			sim->fence_at = op->begin;
			return op->begin > 0;
		}
		if (op->verb != 'r')
			continue;
		if (change != HCV_S_SWAP) {
			if (hcv_s_change_read(sim, change, op))
				return true;
			continue;
		}
		if (op->count < 2 || op->got[0] == op->got[1] || !op->got[0])
			continue;
		writer = hcv_s_writer(sim, op->got[0]);
		/* Of a write whose begin is missing nobody knows where it was. */
		if (hcv_s_covers(writer, op->block + 1) ||
		    !hcv_s_begun(sim, writer))
			continue;
		id = op->got[0];
		op->got[0] = op->got[1];
		op->got[1] = id;
		return true;
	}
	return false;
}

static void hcv_sim_test_changed(struct kunit *test)
{
	struct hcv_s_sim *sim = kunit_kzalloc(test, sizeof(*sim), 0);
	u64 first, nr = hcv_s_seeds(&first), seed;
	u32 caught[HCV_S_CHANGES] = {}, change;
	struct hcv_ck_log *log;
	const char *bad;

	for (seed = first; seed < first + nr && !test->failed; seed++) {
		change = seed % HCV_S_CHANGES;
		hcv_s_make(sim, seed);
		if (!hcv_s_apply(sim, change))
			continue;
		log = hcv_s_feed(sim);
		KUNIT_EXPECT_EQ_MSG(test, 0, hcv_ck_log_bad(log, &bad),
				    "seed %llu: %s", seed, bad);
		if (!hcv_ck_faults(hcv_ck_log_history(log)))
			KUNIT_FAIL(test, "seed %llu: '%s' was not noticed",
				   seed, hcv_s_change_names[change]);
		caught[change]++;
		hcv_ck_log_free(log);
	}
	for (change = 0; change < HCV_S_CHANGES; change++)
		KUNIT_EXPECT_GT_MSG(test, caught[change],
				    nr / HCV_S_CHANGES / 3, "'%s' is rare",
				    hcv_s_change_names[change]);
}

static struct kunit_case hcv_sim_cases[] = {
	KUNIT_CASE(hcv_sim_test_legal),
	KUNIT_CASE(hcv_sim_test_changed),
	{}
};

static struct kunit_suite hcv_sim_suite = {
	.name = "checker_sim",
	.test_cases = hcv_sim_cases,
};

kunit_test_suite(hcv_sim_suite);
