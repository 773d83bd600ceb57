/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For volsim_test.c alone: what the simulated cluster is made of, and the
 * metadata store.  Stores are in volsim_target.h, modules in volsim_module.h.
 */
#ifndef HCV_AGENT_CORE_VOLSIM_WORLD_H
#define HCV_AGENT_CORE_VOLSIM_WORLD_H

#include <kunit/test.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"
#include "volplan.h"

#define NODES		3
#define ROWS		14
#define ALL_ROWS	((1U << ROWS) - 1)
#define TURNS		3000
#define CALM_TURNS	6000
#define TURN_MS		20
#define LEASE_MS	10000
#define GATE_LEASE_MS	4500
#define LATE_TXNS	8
#define UNSURE_IN	12
#define WRITES		4
#define LATE_WRITES	32
#define HANDLES		1024

struct sim_store {
	uint64_t incarnation;
	uint64_t granted;		/* epoch at the gate, 0: none */
	uint64_t revoked;		/* epochs up to this are refused */
	uint64_t renew;			/* of the handles */
	uint64_t handle;		/* the first one, 0: none is let in */
	uint64_t content[ROWS];		/* newest write of each row */
	uint32_t freed;			/* rows that are another volume's now */
	uint64_t left;			/* tombstone: it left in this epoch */
	uint64_t left_renew;		/* handles of lower renewals are over */
	bool has_key;			/* the grant key */
	struct hcv_grant_info key;
	struct hcv_grant_info old_key;	/* for those who read it too early */
	uint64_t seen_first;		/* in the view of the present turn */
	bool slow;
	uint32_t exported;		/* nodes that can connect to it */
	uint64_t let_go;		/* epochs up to this need no lease wait */
	int64_t lease_end;		/* of the epoch before, see sim.leases */
};

/* Odd numbers are discards: what they leave needs no extent. */
struct sim_write {
	bool used;
	size_t row;
	uint64_t n;
	uint32_t sent;			/* stores that it was sent to */
};

/*
 * A write that a link gave up but the transport did not: it lands whenever it
 * likes, unless its handle is dead by then.
 */
struct sim_late_write {
	bool used;
	int store;
	uint64_t handle;
	size_t row;
	uint64_t n;
	int64_t at;
};

/* One of the agent's threads that act on the volume. */
struct sim_actor {
	struct hcv_record rec;		/* its view */
	uint32_t there;			/* rows of it */
	struct hcv_row row[ROWS];
	struct hcv_rows rows;
	int64_t rev;
	int64_t rows_rev;
	struct hcv_job_info job;
	int64_t job_rev;
	bool has_job;
	bool care;			/* this node is named */
	bool known;
	bool settled;
	bool fresh;			/* has a view at all */
	struct hcv_vp_mem mem;
	bool path[NODES];
};

struct sim_node {
	bool up;			/* the kernel runs */
	bool agent;			/* the agent runs */
	int64_t up_at;
	int64_t agent_at;
	int64_t lease_end;
	bool meta;			/* can reach the metadata store */
	bool wish_detach, wish_force;
	int64_t own_rev;
	bool unknown;
	uint64_t stopped_epoch;
	struct sim_actor job, urgent;
	bool has_vol;
	struct hcv_k_vol k;
	uint32_t has;			/* rows that the module has */
	uint32_t reps[ROWS];		/* and on which stores */
	uint32_t idle;			/* of them, without data */
	uint32_t retired, settled;
	struct sim_write write[WRITES];
	unsigned int sync_left[NODES];
	uint64_t used_end[NODES];	/* handles below were used */
};

struct sim_late {
	bool used;
	bool rows;			/* it changes the rows, not the record */
	uint32_t there;
	int64_t rev;
	struct hcv_record rec;
	int64_t at;
};

/* What a step of a job changes, all of it or nothing. */
struct sim_change {
	struct hcv_record rec;
	struct hcv_row row[ROWS];
	struct hcv_job_info job;
	bool with_rec, has_job;
	int leaves;			/* this store; -1: none does */
};

struct sim_late_job {
	bool used;
	struct sim_change change;
	int64_t rev, rows_rev, job_rev;
	int64_t at;
};

struct sim {
	struct kunit *test;
	uint64_t seed, rng;
	int64_t now;
	bool calm;
	bool cut[NODES][NODES];
	struct sim_node node[NODES];
	struct sim_store store[NODES];
	struct sim_late late[LATE_TXNS];
	struct sim_late_job late_job;
	struct sim_late_write late_write[LATE_WRITES];
	uint64_t next_handle;
	struct hcv_record rec;		/* the truth */
	int64_t rev;
	struct hcv_vol_info vol;
	struct hcv_row row[ROWS];	/* all that there ever were */
	uint32_t there;			/* that have not gone */
	int64_t rows_rev;
	struct hcv_job_info job;
	int64_t job_rev;
	bool has_job;
	bool jobs;			/* there are any */
	uint64_t acked[ROWS];
	uint64_t next_n;
	unsigned long nr_acks, nr_serves, nr_removes, nr_joins, nr_again;
	unsigned long nr_late, nr_dead, nr_renewals, nr_dropped, nr_freed;
	unsigned long nr_slow;		/* replicas dropped for that */
	unsigned long nr_jobs, nr_moved, nr_undone, nr_late_jobs;
	uint32_t unsure_in;		/* so many transactions, one of them unsure */
	/* volsim_hand.h */
	uint32_t hand_in;		/* so many turns, a wish in one of them */
	uint64_t handed;		/* epochs that were, a bit each */
	unsigned long nr_wishes, nr_hands, nr_resumes, nr_prepared;
	bool leases;			/* a store waits for the end of leases */
	/* volsim_care.h */
	uint32_t care_in;		/* so many turns, the leader names somebody; 0: never */
	int care;			/* who is named; -1: nobody */
	int wants;			/* the volume, if it is only taken care of; -1 */
	unsigned long nr_cares, nr_takes, nr_leaves, nr_evicts;
	struct {
		int node;
		enum hcv_vp_act act;
		int64_t at;
	} trace[128];
	unsigned int nr_trace;
	bool failed;
	char log[64][160];
	unsigned int nr_log;
};

static char node_id[NODES][HCV_ID_LEN];
static char store_id[NODES][HCV_ID_LEN];

/* ----------------------------------------------------------------- utilities */

static uint32_t sim_rand(struct sim *s, uint32_t n)
{
	s->rng ^= s->rng << 13;
	s->rng ^= s->rng >> 7;
	s->rng ^= s->rng << 17;
	return (uint32_t)((s->rng >> 16) % n);
}

static bool sim_chance(struct sim *s, uint32_t one_in)
{
	return !sim_rand(s, one_in);
}

__attribute__((format(printf, 2, 3)))
static void sim_log(struct sim *s, const char *fmt, ...)
{
	char *line = s->log[s->nr_log++ % 64];
	va_list ap;
	int n;

	n = snprintf(line, sizeof(s->log[0]), "%lld: ", (long long)s->now);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(s->log[0]) - n, fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 2, 3)))
static void sim_fail(struct sim *s, const char *fmt, ...)
{
	char text[256];
	unsigned int i;
	va_list ap;

	if (s->failed)
		return;
	s->failed = true;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (i = s->nr_log < 64 ? 0 : s->nr_log - 64; i < s->nr_log; i++)
		kunit_info(s->test, "%s\n", s->log[i % 64]);
	KUNIT_FAIL(s->test, "HCV_SIM_SEED=%llu at %lld: %s",
		   (unsigned long long)s->seed, (long long)s->now, text);
}

static int sim_node_of(const char *store)
{
	int i;

	for (i = 0; i < NODES; i++)
		if (!strcmp(store, store_id[i]))
			return i;
	return -1;
}

static bool sim_reach(const struct sim *s, int a, int b)
{
	return s->node[a].up && s->node[b].up && !s->cut[a][b];
}

static bool sim_live(const struct sim *s, int n)
{
	return s->node[n].lease_end > s->now;
}

static struct hcv_k_link *sim_link(struct sim_node *n, const char *store)
{
	size_t i;

	for (i = 0; i < n->k.nr_links; i++)
		if (!strcmp(n->k.link[i].store, store))
			return &n->k.link[i];
	return NULL;
}

static uint32_t sim_row_stores(const struct hcv_row *row)
{
	uint32_t stores = 0;
	size_t j;

	for (j = 0; j < row->nr; j++)
		stores |= 1U << sim_node_of(row->store[j]);
	return stores;
}

static bool sim_row_on(const struct sim *s, size_t row, int store)
{
	return sim_row_stores(&s->row[row]) >> store & 1;
}

/* Whether the record or a row names the store. */
static bool sim_named(const struct sim *s, int store)
{
	size_t i;

	for (i = 0; i < s->rec.nr; i++)
		if (!strcmp(s->rec.st[i].store, store_id[store]))
			return true;
	for (i = 0; i < ROWS; i++)
		if (s->there >> i & 1 && sim_row_on(s, i, store))
			return true;
	return false;
}

/* ------------------------------------------------------------ metadata store */

enum sim_res { SIM_OK, SIM_CONFLICT, SIM_UNKNOWN, SIM_UNREACHABLE };

static void sim_hand_seen(struct sim *s, const struct hcv_record *rec);

static void sim_apply(struct sim *s, const struct hcv_record *rec)
{
	if (rec->epoch < s->rec.epoch || rec->v <= s->rec.v)
		sim_fail(s, "the record goes back: epoch %llu v %llu",
			 (unsigned long long)rec->epoch,
			 (unsigned long long)rec->v);
	sim_hand_seen(s, rec);
	s->rec = *rec;
	s->rev++;
}

static void sim_apply_rows(struct sim *s, uint32_t there)
{
	if (there & ~s->there)
		sim_fail(s, "a row comes back");
	s->nr_dropped += s->there != there;
	s->there = there;
	s->rows_rev++;
}

/* Rows go; compares the record and the key with the rows. */
static enum sim_res sim_rows_txn(struct sim *s, int n, int64_t rev,
				 int64_t rows_rev, uint32_t there)
{
	struct sim_late *l = &s->late[sim_rand(s, LATE_TXNS)];

	if (!s->node[n].meta)
		return SIM_UNREACHABLE;
	if (!s->calm && sim_chance(s, 4)) {
		if (!l->used)
			*l = (struct sim_late){
				.used = true, .rows = true, .there = there,
				.rev = rev << 20 | rows_rev,
				.at = s->now + sim_rand(s, 4000),
			};
		return SIM_UNKNOWN;
	}
	if (rev != s->rev || rows_rev != s->rows_rev)
		return SIM_CONFLICT;
	sim_apply_rows(s, there);
	return SIM_OK;
}

static enum sim_res sim_txn(struct sim *s, int n, int64_t rev,
			    const struct hcv_record *rec)
{
	struct sim_late *l = &s->late[sim_rand(s, LATE_TXNS)];

	if (!s->node[n].meta)
		return SIM_UNREACHABLE;
	if (!s->calm && sim_chance(s, s->unsure_in)) {
		switch (sim_rand(s, 3)) {
		case 0:
			return SIM_UNREACHABLE;
		case 1:
			if (rev == s->rev)
				sim_apply(s, rec);
			break;
		default:
			if (l->used)
				break;
			*l = (struct sim_late){
				.used = true, .rev = rev, .rec = *rec,
				.at = s->now + sim_rand(s, 4000),
			};
		}
		return SIM_UNKNOWN;
	}
	if (rev != s->rev)
		return SIM_CONFLICT;
	sim_apply(s, rec);
	return SIM_OK;
}

static void sim_late_txns(struct sim *s)
{
	int i;

	for (i = 0; i < LATE_TXNS; i++) {
		if (!s->late[i].used || s->late[i].at > s->now)
			continue;
		s->late[i].used = false;
		if (s->late[i].rows) {
			if (s->late[i].rev == (s->rev << 20 | s->rows_rev))
				sim_apply_rows(s, s->late[i].there);
			continue;
		}
		if (s->late[i].rev != s->rev)
			continue;
		sim_log(s, "a late transaction lands");
		sim_apply(s, &s->late[i].rec);
	}
}

static void sim_rows(const struct sim *s, struct sim_actor *a)
{
	size_t r;

	a->rows = (struct hcv_rows){ .next = ROWS, .row = a->row };
	for (r = 0; r < ROWS; r++)
		if (a->there & (1U << r))
			a->row[a->rows.nr++] = s->row[r];
}

static bool sim_read(struct sim *s, int n, struct sim_actor *a)
{
	if (!s->node[n].meta)
		return false;
	a->rec = s->rec;
	a->rev = s->rev;
	a->there = s->there;
	a->rows_rev = s->rows_rev;
	a->job = s->job;
	a->job_rev = s->job_rev;
	a->has_job = s->has_job;
	a->care = s->care == n;
	sim_rows(s, a);
	a->known = true;
	a->settled = true;
	a->fresh = true;
	s->node[n].unknown = false;
	if (s->node[n].own_rev < s->rev)
		s->node[n].own_rev = s->rev;
	return true;
}

/* Write a record that was derived from the actor's view. */
static bool sim_commit(struct sim *s, int n, struct sim_actor *a,
		       const struct hcv_record *rec)
{
	enum sim_res res = sim_txn(s, n, a->rev, rec);

	a->settled = false;
	switch (res) {
	case SIM_OK:
		a->rec = *rec;
		a->rev = s->rev;
		if (s->node[n].own_rev < s->rev)
			s->node[n].own_rev = s->rev;
		return true;
	case SIM_UNKNOWN:
		s->node[n].unknown = true;
		a->known = false;
		return false;
	case SIM_CONFLICT:
		a->known = false;
		return false;
	default:
		return false;
	}
}

#endif /* HCV_AGENT_CORE_VOLSIM_WORLD_H */
