/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For volsim_test.c alone: the simulated cluster around the agents, that is
 * the metadata store, the stores with their gates, and the nodes' modules.
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

struct sim {
	struct kunit *test;
	uint64_t seed, rng;
	int64_t now;
	bool calm;
	bool cut[NODES][NODES];
	struct sim_node node[NODES];
	struct sim_store store[NODES];
	struct sim_late late[LATE_TXNS];
	struct sim_late_write late_write[LATE_WRITES];
	uint64_t next_handle;
	struct hcv_record rec;		/* the truth */
	int64_t rev;
	struct hcv_vol_info vol;
	struct hcv_row row[ROWS];	/* all that there ever were */
	uint32_t there;			/* that have not gone */
	int64_t rows_rev;
	uint64_t acked[ROWS];
	uint64_t next_n;
	unsigned long nr_acks, nr_serves, nr_removes, nr_joins;
	unsigned long nr_late, nr_dead, nr_renewals, nr_dropped, nr_freed;
	unsigned long nr_slow;			/* replicas dropped */
	uint32_t unsure_in;		/* so many transactions, one of them unsure */
	/* volsim_hand.h */
	uint32_t hand_in;		/* so many turns, a wish in one of them */
	uint64_t handed;		/* epochs that were, a bit each */
	unsigned long nr_wishes, nr_hands, nr_resumes, nr_prepared;
	bool leases;			/* a store waits for the end of leases */
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

static bool sim_row_on(const struct sim *s, size_t row, int store)
{
	size_t j;

	for (j = 0; j < s->row[row].nr; j++)
		if (!strcmp(s->row[row].store[j], store_id[store]))
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

/* ------------------------------------------------------------- target side */

static uint64_t sim_renewal(const struct sim *s, int n)
{
	size_t i;

	for (i = 0; i < s->rec.nr; i++)
		if (!strcmp(s->rec.st[i].store, store_id[n]))
			return s->rec.st[i].renew;
	return 0;
}

/* The old handles die first, the new ones may take a while. */
static bool sim_target_handles(struct sim *s, int n)
{
	struct sim_store *st = &s->store[n];

	if (st->renew != sim_renewal(s, n)) {
		st->renew = sim_renewal(s, n);
		st->handle = 0;
		s->nr_renewals++;
	}
	if (!st->handle && sim_chance(s, 3)) {
		s->next_handle += HANDLES;
		st->handle = s->next_handle;
	}
	return st->handle;
}

/*
 * Rows that are gone, on a copy that counts.  Late writes are refused from now
 * on: that of the row's handle alone.
 */
static void sim_target_free(struct sim *s, int n)
{
	struct sim_store *st = &s->store[n];
	uint32_t gone;
	size_t i, r;

	for (i = 0; i < s->rec.nr; i++)
		if (!strcmp(s->rec.st[i].store, store_id[n]) &&
		    s->rec.st[i].state != HCV_RS_INSYNC)
			return;
	gone = ALL_ROWS & ~s->there & ~st->freed;
	for (r = 0; r < ROWS; r++)
		s->nr_freed += gone >> r & 1 && sim_row_on(s, r, n);
	st->freed |= gone;
}

/* The owner can connect, and so can who is to be handed the volume. */
static void sim_export(struct sim *s, int n)
{
	int i;

	for (i = 0; i < NODES; i++)
		if (!strcmp(s->rec.owner, node_id[i]) ||
		    !strcmp(s->rec.hand.to, node_id[i]))
			s->store[n].exported |= 1U << i;
}

/* Whether the epoch before may have a lease still. */
static bool sim_leased(struct sim *s, int n)
{
	struct sim_store *st = &s->store[n];

	if (!s->leases || !st->granted || st->granted == s->rec.epoch ||
	    st->let_go >= st->granted)
		return false;
	if (!st->lease_end)
		st->lease_end = s->now + GATE_LEASE_MS;
	return s->now < st->lease_end;
}

static void sim_target(struct sim *s, int n)
{
	struct sim_store *st = &s->store[n];
	const struct hcv_record *rec = &s->rec;

	if (!s->node[n].up || !s->node[n].agent || !s->node[n].meta)
		return;
	if (rec->phase == HCV_PH_NONE) {
		if (st->revoked < rec->epoch)
			st->revoked = rec->epoch;
		st->has_key = false;
		return;
	}
	sim_export(s, n);
	if (sim_leased(s, n))
		return;
	if (st->revoked + 1 < rec->epoch)
		st->revoked = rec->epoch - 1;
	if (st->granted < rec->epoch && st->revoked < rec->epoch) {
		st->granted = rec->epoch;
		st->handle = 0;
	}
	if (st->granted != rec->epoch || !sim_target_handles(s, n))
		return;
	sim_target_free(s, n);
	st->has_key = true;
	if (st->key.range[0].first != st->handle)
		st->old_key = st->key;
	st->key = (struct hcv_grant_info){
		.epoch = rec->epoch, .incarnation = st->incarnation,
		.ready = ROWS, .renew = st->renew, .nr = 1,
	};
	strcpy(st->key.client, rec->owner);
	st->key.range[0].first = st->handle;
	st->key.range[0].count = HANDLES;
}

/* What the transport held back arrives, as old as it may be. */
static void sim_late_writes(struct sim *s)
{
	int i;

	for (i = 0; i < LATE_WRITES; i++) {
		struct sim_late_write *w = &s->late_write[i];
		struct sim_store *st = &s->store[w->store];

		if (!w->used || w->at > s->now || !s->node[w->store].up)
			continue;
		w->used = false;
		if (st->handle != w->handle || st->revoked >= st->granted ||
		    st->freed & (1U << w->row)) {
			s->nr_dead++;
			continue;
		}
		sim_log(s, "write %llu of row %zu lands late on %d",
			(unsigned long long)w->n, w->row, w->store);
		st->content[w->row] = w->n;
		s->nr_late++;
	}
}

/* --------------------------------------------------------------- the module */

/* Whether I/O with the handles from @first on gets through. */
static bool sim_gate(const struct sim *s, int owner, int store, uint64_t epoch,
		     uint64_t incarnation, uint64_t first)
{
	const struct sim_store *st = &s->store[store];

	return sim_reach(s, owner, store) && st->granted == epoch &&
	       st->revoked < epoch && st->incarnation == incarnation &&
	       st->handle == first;
}

static bool sim_link_gate(const struct sim *s, const struct sim_node *n,
			  const struct hcv_k_link *l)
{
	int st = sim_node_of(l->store);
	bool local = &s->node[st] == n;

	/* A local tie has no handles of its own: the gate's of the moment. */
	return sim_gate(s, n - s->node, st, n->k.epoch, l->incarnation,
			local ? s->store[st].handle : l->first) &&
	       s->store[st].handle;
}

static size_t sim_insync_links(const struct sim_node *n)
{
	size_t i, nr = 0;

	for (i = 0; i < n->k.nr_links; i++)
		nr += n->k.link[i].state == HCV_LINK_INSYNC;
	return nr;
}

static void sim_link_fails(struct sim *s, struct sim_node *n,
			   struct hcv_k_link *l)
{
	switch (l->state) {
	case HCV_LINK_SYNCING:
		l->state = HCV_LINK_OUT;
		break;
	case HCV_LINK_JOINING:
		l->state = HCV_LINK_FAILING;
		break;
	case HCV_LINK_INSYNC:
		l->state = sim_insync_links(n) > 1 ? HCV_LINK_FAILING :
						     HCV_LINK_LOST;
		break;
	default:
		return;
	}
	sim_log(s, "node %d: link to %d is now %u", (int)(n - s->node),
		sim_node_of(l->store), l->state);
}

/* The link gives the write up; whether the transport does is another matter. */
static void sim_write_hold(struct sim *s, const struct sim_node *n,
			   const struct sim_write *w,
			   const struct hcv_k_link *l)
{
	struct sim_late_write *late = &s->late_write[sim_rand(s, LATE_WRITES)];
	int st = sim_node_of(l->store);

	if (late->used || &s->node[st] == n || !sim_chance(s, 2))
		return;
	*late = (struct sim_late_write){
		.used = true, .store = st, .handle = l->first, .row = w->row,
		.n = w->n, .at = s->now + sim_rand(s, 20000),
	};
}

/* Legs go out one by one, so that a crash finds writes on some stores only. */
static bool sim_write_send(struct sim *s, struct sim_node *n,
			   struct sim_write *w)
{
	bool all = true;
	size_t i;

	for (i = 0; i < n->k.nr_links; i++) {
		struct hcv_k_link *l = &n->k.link[i];
		int st = sim_node_of(l->store);

		if (!sim_row_on(s, w->row, st) || (w->sent & (1U << st)) ||
		    (l->state != HCV_LINK_INSYNC &&
		     l->state != HCV_LINK_JOINING &&
		     l->state != HCV_LINK_SYNCING))
			continue;
		if (sim_chance(s, 2)) {
			all = false;
			continue;
		}
		if (!sim_link_gate(s, n, l)) {
			sim_write_hold(s, n, w, l);
			sim_link_fails(s, n, l);
			continue;
		}
		if (s->store[st].freed & (1U << w->row))
			sim_fail(s, "a write to row %zu, which is not there",
				 w->row);
		w->sent |= 1U << st;
		if (s->store[st].content[w->row] < w->n)
			s->store[st].content[w->row] = w->n;
	}
	return all;
}

/* Acknowledged once no failed replica of the row is left to be confirmed. */
static void sim_write_ack(struct sim *s, struct sim_node *n,
			  struct sim_write *w)
{
	size_t i, good = 0;

	for (i = 0; i < n->k.nr_links; i++) {
		struct hcv_k_link *l = &n->k.link[i];
		int st = sim_node_of(l->store);

		if (!sim_row_on(s, w->row, st))
			continue;
		if (l->state == HCV_LINK_FAILING || l->state == HCV_LINK_LOST)
			return;
		if (l->state == HCV_LINK_INSYNC ||
		    l->state == HCV_LINK_JOINING) {
			if (s->store[st].content[w->row] < w->n) {
				w->sent &= ~(1U << st);	/* came back: again */
				return;
			}
			good += l->state == HCV_LINK_INSYNC;
		}
	}
	if (!good)
		return;
	w->used = false;
	s->nr_acks++;
	if (w->n & 1)
		n->idle |= 1U << w->row;
	if (s->acked[w->row] < w->n)
		s->acked[w->row] = w->n;
}

static void sim_sync(struct sim *s, struct sim_node *n, struct hcv_k_link *l)
{
	int from = -1, to = sim_node_of(l->store);
	size_t i, r;

	if (l->state != HCV_LINK_SYNCING)
		return;
	if (!sim_link_gate(s, n, l)) {
		sim_link_fails(s, n, l);
		return;
	}
	if (n->sync_left[to] && --n->sync_left[to])
		return;
	if (n->retired)
		sim_fail(s, "a resync while rows are retired");
	for (r = 0; r < ROWS; r++) {
		if (!sim_row_on(s, r, to) || !(n->has & (1U << r)))
			continue;
		for (i = 0, from = -1; i < n->k.nr_links; i++) {
			int st = sim_node_of(n->k.link[i].store);

			if (n->k.link[i].state == HCV_LINK_INSYNC &&
			    sim_row_on(s, r, st) &&
			    sim_link_gate(s, n, &n->k.link[i]))
				from = st;
		}
		if (from < 0)
			return;
		s->store[to].content[r] = s->store[from].content[r];
	}
	l->state = HCV_LINK_JOINING;
}

/* Writes of one row wait for each other, as those of one block do. */
static bool sim_row_busy(const struct sim_node *n, size_t row)
{
	size_t i;

	for (i = 0; i < WRITES; i++)
		if (n->write[i].used && n->write[i].row == row)
			return true;
	return false;
}

/* What the dump tells of rows. */
static void sim_dump_rows(struct sim_node *n)
{
	uint32_t idle = n->idle & n->has & ~n->retired;
	struct hcv_k_vol *k = &n->k;
	size_t r;

	k->can_retire = true;
	k->nr_col = 1;
	k->col_ready[0] = HCV_VP_AHEAD;
	k->nr_settled = 0;
	k->nr_settling = 0;
	k->col_idle[0] = 0;
	k->nr_extents = 0;
	for (r = 0; r < ROWS; r++) {
		k->nr_extents += n->has >> r & 1;
		k->col_idle[0] += idle >> r & 1;
		if (n->settled >> r & 1)
			k->settled[k->nr_settled++] = r;
		else if (n->retired >> r & 1)
			k->settling[k->nr_settling++] = r;
	}
}

/* A round, if no replica is on its way out. */
static void sim_settle(struct sim *s, struct sim_node *n)
{
	size_t i;

	for (i = 0; i < n->k.nr_links; i++)
		if (n->k.link[i].state == HCV_LINK_FAILING ||
		    n->k.link[i].state == HCV_LINK_LOST)
			return;
	if (sim_chance(s, 3))
		n->settled = n->retired;
}

static bool sim_retire(struct sim_node *n, const struct hcv_vp_out *o)
{
	uint32_t left = o->count, keep = 0;
	size_t i, r;

	for (i = 0; i < n->k.nr_links; i++)
		if (n->k.link[i].state != HCV_LINK_INSYNC &&
		    n->k.link[i].state != HCV_LINK_OUT)
			return false;
	for (i = 0; i < o->nr_index; i++)
		keep |= 1U << o->index[i];
	for (i = 0; i < WRITES; i++)
		if (n->write[i].used)
			keep |= 1U << n->write[i].row;
	for (r = 0; r < ROWS && left; r++) {
		if (!(n->has & n->idle & ~n->retired & ~keep & (1U << r)))
			continue;
		n->retired |= 1U << r;
		left--;
	}
	return true;
}

static bool sim_forget_rows(struct sim_node *n, const struct hcv_vp_out *o)
{
	uint32_t gone = 0;
	size_t i;

	for (i = 0; i < o->nr_index; i++)
		gone |= 1U << o->index[i];
	if (gone & n->has & ~n->settled)
		return false;
	n->has &= ~gone;
	n->retired &= ~gone;
	n->settled &= ~gone;
	return true;
}

static void sim_module(struct sim *s, struct sim_node *n)
{
	size_t i, row;

	if (!n->up || !n->has_vol || (n->k.state != HCV_VOL_ACTIVE &&
				      n->k.state != HCV_VOL_STOPPING))
		return;
	for (i = 0; i < n->k.nr_links; i++)
		sim_sync(s, n, &n->k.link[i]);
	sim_settle(s, n);
	for (i = 0; i < WRITES; i++) {
		struct sim_write *w = &n->write[i];

		row = sim_rand(s, ROWS);
		if (!w->used && n->k.state == HCV_VOL_ACTIVE &&
		    n->has & ~n->retired & (1U << row) &&
		    !sim_row_busy(n, row) && sim_chance(s, 6)) {
			w->used = true;
			w->sent = 0;
			w->row = row;
			/* Mostly discards, so that rows are idle. */
			s->next_n += 2;
			w->n = s->next_n | !sim_chance(s, 8);
			n->idle &= ~(1U << row);
		}
		if (w->used && sim_write_send(s, n, w))
			sim_write_ack(s, n, w);
	}
}

static void sim_module_drop(struct sim_node *n)
{
	n->has_vol = false;
	n->has = 0;
	n->idle = 0;
	n->retired = 0;
	n->settled = 0;
	memset(&n->k, 0, sizeof(n->k));
	memset(n->write, 0, sizeof(n->write));
	memset(n->used_end, 0, sizeof(n->used_end));
}

/* ------------------------------------------------------------ module commands */

static void sim_link_tie(struct sim_node *n, struct hcv_k_link *l, int st,
			 uint64_t first, bool local)
{
	if (local)
		return;
	l->first = first;
	n->used_end[st] = first + HANDLES;
}

static bool sim_link_add(struct sim *s, struct sim_node *n,
			 const struct hcv_vp_out *o, uint64_t first)
{
	struct hcv_k_link *l = sim_link(n, o->store);
	int st = sim_node_of(o->store);
	bool local = &s->node[st] == n;

	if (!sim_gate(s, n - s->node, st, n->k.epoch, o->incarnation,
		      local ? s->store[st].handle : first) ||
	    (!local && first < n->used_end[st]))
		return false;
	if (l) {
		if (l->state != HCV_LINK_LOST ||
		    l->incarnation != o->incarnation ||
		    o->state != HCV_LINK_INSYNC)
			return false;
		l->state = HCV_LINK_INSYNC;
		sim_link_tie(n, l, st, first, local);
		return true;
	}
	if (o->state != (n->k.state == HCV_VOL_NEW ? HCV_LINK_INSYNC :
						     HCV_LINK_SYNCING) ||
	    n->retired)
		return false;
	l = &n->k.link[n->k.nr_links++];
	memset(l, 0, sizeof(*l));
	strcpy(l->store, o->store);
	l->state = o->state;
	l->incarnation = o->incarnation;
	sim_link_tie(n, l, st, first, local);
	n->sync_left[st] = 1 + sim_rand(s, 20);
	return true;
}

static bool sim_confirm(struct sim_node *n, const struct hcv_vp_out *o)
{
	struct hcv_k_link *l = sim_link(n, o->store);

	if (!l || o->v < n->k.v || o->incarnation != l->incarnation)
		return false;
	if (o->state == HCV_LINK_OUT) {
		if (l->state == HCV_LINK_INSYNC || l->state == HCV_LINK_LOST)
			return false;
		l->state = HCV_LINK_OUT;
	} else {
		if (l->state != HCV_LINK_JOINING)
			return false;
		l->state = HCV_LINK_INSYNC;
	}
	n->k.v = o->v;
	return true;
}

/* A slow one fails if others have all it has, and nobody else moves. */
static bool sim_drop(struct sim *s, struct sim_node *n, const char *store)
{
	struct hcv_k_link *l = sim_link(n, store);
	size_t i, r;
	bool other;

	if (!l || l->state != HCV_LINK_INSYNC || n->k.state != HCV_VOL_ACTIVE)
		return false;
	for (i = 0; i < n->k.nr_links; i++)
		if (n->k.link[i].state != HCV_LINK_INSYNC &&
		    n->k.link[i].state != HCV_LINK_OUT)
			return false;
	for (r = 0; r < ROWS; r++) {
		if (!sim_row_on(s, r, sim_node_of(store)) ||
		    !(n->has & (1U << r)))
			continue;
		other = false;
		for (i = 0; i < n->k.nr_links; i++)
			other |= &n->k.link[i] != l &&
				n->k.link[i].state == HCV_LINK_INSYNC &&
				sim_row_on(s, r,
					   sim_node_of(n->k.link[i].store));
		if (!other)
			return false;
	}
	l->state = HCV_LINK_FAILING;
	s->nr_slow++;
	return true;
}

static bool sim_link_del(struct sim_node *n, const char *store)
{
	struct hcv_k_link *l = sim_link(n, store);

	if (!l || l->state != HCV_LINK_OUT)
		return false;
	*l = n->k.link[--n->k.nr_links];
	return true;
}

/* What a volume starts from: all its replicas must read the same. */
static void sim_check_equal(struct sim *s, const struct sim_node *n)
{
	size_t i, r;

	for (r = 0; r < ROWS; r++) {
		int first = -1;

		if (!(n->has & (1U << r)))
			continue;
		for (i = 0; i < n->k.nr_links; i++) {
			int st = sim_node_of(n->k.link[i].store);

			if (n->k.link[i].state != HCV_LINK_INSYNC ||
			    !sim_row_on(s, r, st))
				continue;
			if (s->store[st].freed & (1U << r))
				sim_fail(s, "started with row %zu, which %d has given away",
					 r, st);
			if (first >= 0 && s->store[st].content[r] !=
					  s->store[first].content[r])
				sim_fail(s, "started with row %zu different on %d and %d",
					 r, first, st);
			first = st;
		}
		if (first < 0)
			sim_fail(s, "started without row %zu", r);
	}
}

static void sim_load_idle(struct sim *s, struct sim_node *n)
{
	size_t i, r;

	for (r = 0; r < ROWS; r++)
		for (i = 0; i < n->k.nr_links; i++) {
			int st = sim_node_of(n->k.link[i].store);

			if (n->k.link[i].state == HCV_LINK_INSYNC &&
			    sim_row_on(s, r, st) &&
			    (s->store[st].content[r] & 1 ||
			     !s->store[st].content[r]))
				n->idle |= 1U << r;
		}
}

static bool sim_start(struct sim *s, struct sim_node *n, uint64_t v)
{
	size_t i;

	for (i = 0; i < n->k.nr_links; i++) {
		struct hcv_k_link *l = &n->k.link[i];

		if (l->state == HCV_LINK_INSYNC && !sim_link_gate(s, n, l)) {
			l->state = sim_insync_links(n) > 1 ? HCV_LINK_FAILING :
							     HCV_LINK_LOST;
			return false;
		}
	}
	n->k.state = HCV_VOL_ACTIVE;
	n->k.prepared = false;
	n->k.v = v;
	sim_check_equal(s, n);
	sim_load_idle(s, n);
	return true;
}

static bool sim_stop(struct sim_node *n, bool force)
{
	size_t i;

	for (i = 0; i < n->k.nr_links && !force; i++)
		if (n->k.link[i].state == HCV_LINK_FAILING ||
		    n->k.link[i].state == HCV_LINK_LOST)
			return false;
	for (i = 0; i < WRITES && !force; i++)
		if (n->write[i].used)
			return false;	/* open */
	sim_module_drop(n);
	return true;
}

#endif /* HCV_AGENT_CORE_VOLSIM_WORLD_H */
