// SPDX-License-Identifier: GPL-2.0-only
/*
 * A cluster of simulated agents around the real planner and the real record.
 *
 * Three nodes with a store each share one volume.  A node has a fake module
 * (links, epoch, v, writes that wait for confirmations), a fake gate (grants,
 * incarnations) and two actors as the agent has them: the volume's job and the
 * urgent thread, each with a view of the record that may be old.  Every turn
 * one actor takes one step, so being killed between any two steps is just a
 * node's actors losing their memory.  The metadata store answers a transaction
 * with success, conflict, "unreachable" or "unknown"; one of unknown outcome
 * may land at once, never, or many turns later.
 *
 * A remote write that a link gave up may land later, any time later, unless
 * the store has given up the handle it was sent with.
 *
 * Stores are slow now and then, and their replicas are dropped.
 * Operators have the volume handed over, at once or in two parts, and change their
 * mind at any time.
 *
 * While nobody has the volume a leader names somebody to take care of it, and
 * operators want to have it.
 *
 * After every turn:
 * - the in-sync set is not empty, epoch and v have not gone back;
 * - no two modules have the volume in one epoch, but for a disk that only waits;
 * - a volume is halted when it is handed over, and never goes on after that;
 * - one that is only taken care of has no disk, and one that is attached is not
 *   stopped since it was;
 * - every store that the record calls in-sync has all acknowledged writes;
 * - a volume that starts finds the same on all its in-sync stores;
 * - rows that were given back are neither written, nor copied, nor loaded.
 * In the end all faults are healed: an attach must succeed, no wish of an operator
 * and no disk that waits for a hand-over is left, and all stores must come back in-sync, with every acknowledged write.
 *
 * The same runs each time; HCV_SIM_SEED=N repeats one, HCV_SIM_RUNS=N makes
 * that many that nobody has seen.
 */
#include <kunit/test.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "volsim_care.h"
#include "volsim_hand.h"
#include "volsim_job.h"

/* ----------------------------------------------------------------- the agent */

static void sim_view(struct sim *s, int n, struct sim_actor *a,
		     struct hcv_vp_store *st)
{
	size_t i;

	for (i = 0; i < a->rec.nr; i++) {
		int x = sim_node_of(a->rec.st[i].store);
		struct sim_store *store = &s->store[x];

		memset(&st[i], 0, sizeof(st[i]));
		strcpy(st[i].id, a->rec.st[i].store);
		st[i].local = x == n;
		st[i].live = sim_live(s, x) && s->node[x].up;
		st[i].slow = store->slow;
		st[i].incarnation = store->incarnation;
		st[i].has_grant = store->has_key;
		st[i].grant = store->old_key.nr && sim_chance(s, 4) ?
			      &store->old_key : &store->key;
		store->seen_first = st[i].grant->range[0].first;
		st[i].path = a->path[x] ? "/dev/nvme0n1" : NULL;
	}
}

/* The owner that this view knows of. */
static bool sim_rec_live(const struct sim *s, const struct hcv_record *rec)
{
	int i;

	for (i = 0; i < NODES; i++)
		if (!strcmp(rec->owner, node_id[i]))
			return sim_live(s, i);
	return false;
}

static bool sim_act_record(struct sim *s, int n, struct sim_actor *a,
			   const struct hcv_vp_out *o)
{
	const char *set[NODES];
	struct hcv_rec_ids ids = { .id = set };
	struct hcv_record rec = a->rec;
	char err[HCV_ERR_SIZE] = "";
	bool done;
	size_t i;
	int ret;

	switch (o->act) {
	case HCV_VP_SERVE:
		if (s->node[n].has_vol && s->node[n].k.handover_ms)
			sim_fail(s, "node %d serves with a disk that gives up",
				 n);
		for (i = 0; i < rec.nr; i++)
			if (o->set[i])
				set[ids.nr++] = a->rec.st[i].store;
		ret = hcv_record_serve(&rec, node_id[n], ids, ids, &a->rows,
				       true, err);
		s->nr_serves += !ret;
		break;
	case HCV_VP_REMOVE:
		ret = hcv_record_remove(&rec, o->store, NULL, &a->rows, err);
		s->nr_removes += !ret;
		break;
	case HCV_VP_BEGIN_SYNC:
		ret = hcv_record_begin_sync(&rec, o->store, err);
		break;
	case HCV_VP_RENEW:
		ret = hcv_record_renew(&rec, o->store, err);
		break;
	case HCV_VP_JOIN:
		ret = hcv_record_join(&rec, o->store, err);
		s->nr_joins += !ret;
		break;
	case HCV_VP_CARE_CLAIM:
		if (!sim_care_named(s, n, a))
			return false;
		ret = hcv_record_care_claim(&rec, node_id[n],
					    sim_rec_live(s, &a->rec), err);
		s->nr_cares += !ret;
		break;
	case HCV_VP_CARE_LEAVE:
		ret = hcv_record_care_leave(&rec, err);
		break;
	case HCV_VP_HAND_READY:
		ret = hcv_record_hand_ready(&rec, node_id[n], err);
		break;
	case HCV_VP_HAND_ABORT:
		ret = hcv_record_hand_abort(&rec, err);
		break;
	case HCV_VP_AGAIN:
		for (i = 0; i < rec.nr; i++)
			if (o->set[i])
				set[ids.nr++] = a->rec.st[i].store;
		ret = hcv_record_again(&rec, node_id[n], ids, &a->rows, err);
		s->nr_again += !ret;
		break;
	case HCV_VP_HAND_OVER:
		s->unsure_in = 3;
		ret = hcv_record_hand_over(&rec, node_id[n], err);
		break;
	default:
		ret = hcv_record_detach(&rec, node_id[n], o->clean, err);
	}
	if (ret)
		sim_fail(s, "the planner wants %s %s, the record refuses: %s",
			 hcv_volplan_act_name(o->act), o->store, err);
	done = !ret && sim_commit(s, n, a, &rec);
	s->unsure_in = UNSURE_IN;
	return done;
}

static bool sim_act_module(struct sim *s, int i, struct sim_actor *a,
			   const struct hcv_vp_out *o)
{
	struct sim_node *n = &s->node[i];
	size_t r;

	if (!n->has_vol && o->act != HCV_VP_CREATE &&
	    o->act != HCV_VP_PREPARE)
		return false;
	switch (o->act) {
	case HCV_VP_CREATE:
	case HCV_VP_PREPARE:
		if (n->has_vol)
			return false;
		n->has_vol = true;
		n->k.prepared = o->act == HCV_VP_PREPARE;
		s->nr_prepared += n->k.prepared;
		n->k.handover_ms = n->k.prepared ? 2000 : 0;
		n->k.epoch = a->rec.epoch + n->k.prepared;
		n->k.v = a->rec.v;
		n->k.state = HCV_VOL_NEW;
		n->k.size = s->vol.size;
		n->k.diskless = a->rec.care.on && !n->k.prepared;
		return true;
	case HCV_VP_SET:
		n->k.handover_ms = 0;
		return true;
	case HCV_VP_CONNECT:
		a->path[sim_node_of(o->store)] =
			sim_reach(s, i, sim_node_of(o->store)) &&
			s->store[sim_node_of(o->store)].exported & (1U << i);
		return a->path[sim_node_of(o->store)];
	case HCV_VP_LINK_ADD:
		return sim_link_add(s, n, a, o,
				    s->store[sim_node_of(o->store)].seen_first);
	case HCV_VP_LINK_DEL:
		a->path[sim_node_of(o->store)] = false;
		return sim_link_del(n, o->store);
	case HCV_VP_EXTENT_ADD:
		for (r = o->row; r < o->row + o->row_nr; r++) {
			n->has |= 1U << a->row[r].index;
			n->reps[a->row[r].index] = sim_row_stores(&a->row[r]);
		}
		n->k.next_index = ROWS;
		return true;
	case HCV_VP_RETIRE:
		return sim_retire(n, o);
	case HCV_VP_EXTENT_DEL:
		return sim_forget_rows(n, o);
	case HCV_VP_START:
		return sim_start(s, n, o->v);
	case HCV_VP_CONFIRM:
		return sim_confirm(n, o);
	case HCV_VP_DROP_SLOW:
		return sim_drop(s, n, o->store, true);
	case HCV_VP_FENCE:
		n->k.state = HCV_VOL_FENCED;
		return true;
	case HCV_VP_PUBLISH:
		return sim_publish(n);
	case HCV_VP_STOP:
		if (!o->force)
			sim_care_stops(s, n);
		if (!sim_stop(n, o->force))
			return false;
		if (!o->force)
			n->stopped_epoch = a->rec.epoch;
		return true;
	case HCV_VP_HALT:
		return sim_halt(s, n);
	case HCV_VP_RESUME:
		return sim_resume(s, n);
	case HCV_VP_LET_GO:
		return sim_let_go(s, n);
	default:
		return false;
	}
}

/* The rows go; what became of it is read again. */
static bool sim_act_rows(struct sim *s, int n, struct sim_actor *a,
			 const struct hcv_vp_out *o)
{
	uint32_t there = a->there;
	enum sim_res res;
	size_t i;

	for (i = 0; i < o->nr_index; i++)
		there &= ~(1U << o->index[i]);
	res = sim_rows_txn(s, n, a->rev, a->rows_rev, there);
	s->node[n].unknown |= res == SIM_UNKNOWN;
	a->known = false;
	a->settled = false;
	return res == SIM_OK;
}

static void sim_turn(struct sim *s, int i, struct sim_actor *a, bool urgent)
{
	struct sim_node *n = &s->node[i];
	struct hcv_vp_store st[HCV_REC_STORES];
	struct hcv_vp_out out;
	struct hcv_vp_in in;
	bool ok;

	/* a snapshot comes now and then; own writes must be in the view */
	if (!a->fresh || !a->known || n->unknown || a->rev < n->own_rev ||
	    sim_chance(s, 10)) {
		if (!sim_read(s, i, a) && (!a->fresh || !a->known ||
					   n->unknown || a->rev < n->own_rev))
			a->known = false;
		else
			a->settled = a->settled && sim_chance(s, 2);
	}
	in = (struct hcv_vp_in){
		.node = node_id[i], .now_ms = s->now, .known = a->known,
		.settled = a->settled, .urgent = urgent,
		.want_detach = n->wish_detach, .want_force = n->wish_force,
		.stopped = n->stopped_epoch == a->rec.epoch,
		.can_hand = true, .to_live = sim_to_live(s, &a->rec),
		.care = a->care, .can_care = true,
		.owner_live = sim_rec_live(s, &a->rec),
		.rec = &a->rec, .vol = &s->vol, .rows = &a->rows,
		.job = a->has_job ? &a->job : NULL,
		.k = n->has_vol ? &n->k : NULL, .st = st, .nr_st = a->rec.nr,
		.mem = &a->mem,
	};
	if (urgent && !n->has_vol)
		return;
	sim_view(s, i, a, st);
	sim_dump_rows(n);
	hcv_volplan_time(&a->mem, &in);
	hcv_volplan_next(&in, &out);
	if (out.act == HCV_VP_NONE || out.act == HCV_VP_WAIT)
		return;
	if (urgent && out.act != HCV_VP_REMOVE && out.act != HCV_VP_JOIN &&
	    out.act != HCV_VP_CONFIRM && out.act != HCV_VP_REREAD)
		return;
	if (!urgent)
		sim_trace(s, i, out.act);
	if (out.act == HCV_VP_REREAD) {
		sim_read(s, i, a);
		return;
	}
	if (out.act == HCV_VP_SERVE || out.act == HCV_VP_REMOVE ||
	    out.act == HCV_VP_BEGIN_SYNC || out.act == HCV_VP_JOIN ||
	    out.act == HCV_VP_RENEW || out.act == HCV_VP_DETACH ||
	    out.act == HCV_VP_HAND_READY || out.act == HCV_VP_HAND_ABORT ||
	    out.act == HCV_VP_HAND_OVER || out.act == HCV_VP_CARE_CLAIM ||
	    out.act == HCV_VP_CARE_LEAVE || out.act == HCV_VP_AGAIN)
		ok = sim_act_record(s, i, a, &out);
	else if (out.act == HCV_VP_DROP_ROWS)
		ok = sim_act_rows(s, i, a, &out);
	else if (out.act == HCV_VP_JOB)
		ok = sim_act_job(s, i, a, &out);
	else if (out.act == HCV_VP_FORGET)
		ok = true;
	else
		ok = sim_act_module(s, i, a, &out);
	sim_log(s, "node %d%s: %s %d %s, epoch %llu v %llu", i,
		urgent ? "u" : "", hcv_volplan_act_name(out.act),
		out.store[0] ? sim_node_of(out.store) : -1, ok ? "ok" : "failed",
		(unsigned long long)a->rec.epoch, (unsigned long long)a->rec.v);
	if (ok) {
		hcv_volplan_done(&a->mem, &out, s->now);
		if (out.act == HCV_VP_DETACH || out.act == HCV_VP_FORGET) {
			n->wish_force = false;
			n->wish_detach = false;
		}
	} else {
		hcv_volplan_failed(&a->mem, &out, s->now, "simulated");
		if (out.act == HCV_VP_STOP && !out.force)
			n->wish_detach = false;
	}
}

static void sim_forget(struct sim_node *n)
{
	memset(&n->job, 0, sizeof(n->job));
	memset(&n->urgent, 0, sizeof(n->urgent));
	n->wish_force = false;
	n->wish_detach = n->wish_force;
	n->own_rev = 0;
	n->unknown = false;
	n->stopped_epoch = 0;
}

/* What cmd_volume_attach.c does; the rest is the actors' business. */
static void sim_attach(struct sim *s, int i, bool takeover)
{
	struct sim_node *n = &s->node[i];
	struct hcv_record rec = s->rec;
	char err[HCV_ERR_SIZE];
	int64_t rev = s->rev;
	enum sim_res res;
	int owner;

	if (!n->up || !n->agent || !n->meta || n->wish_detach ||
	    n->wish_force)
		return;
	if (sim_care_release(s, i) || (n->has_vol && !n->k.prepared))
		return;
	if (!strcmp(rec.owner, node_id[i]) && rec.phase == HCV_PH_TAKING)
		return;
	for (owner = 0; owner < NODES; owner++)
		if (!strcmp(rec.owner, node_id[owner]))
			break;
	if (hcv_record_claim(&rec, node_id[i], owner < NODES &&
			     sim_live(s, owner), takeover, err))
		return;
	res = sim_txn(s, i, rev, &rec);
	sim_log(s, "node %d claims epoch %llu: %d", i,
		(unsigned long long)rec.epoch, res);
	if (res == SIM_OK && n->own_rev < s->rev)
		n->own_rev = s->rev;
	n->unknown |= res == SIM_UNKNOWN;
}

/* ------------------------------------------------------------------- faults */

static bool sim_served(const struct sim *s)
{
	int i;

	for (i = 0; i < NODES; i++)
		if (s->node[i].has_vol && !s->node[i].k.prepared && s->node[i].k.epoch == s->rec.epoch)
			return true;
	return false;
}

static void sim_crash_node(struct sim *s, int i)
{
	struct sim_node *n = &s->node[i];

	sim_log(s, "node %d crashes", i);
	sim_forget(n);
	sim_module_drop(n);
	n->agent = false;
	n->up = n->agent;
	n->up_at = s->now + 200 + sim_rand(s, 30000);
}

static void sim_faults(struct sim *s)
{
	int a = sim_rand(s, NODES), b = sim_rand(s, NODES);
	struct sim_node *n = &s->node[a];

	if (s->calm)
		return;
	if (sim_chance(s, 60) && n->agent) {
		sim_log(s, "node %d: agent killed", a);
		sim_forget(n);
		n->agent = false;
		n->agent_at = s->now + sim_rand(s, 8000);
	}
	if (sim_chance(s, 400) && n->up)
		sim_crash_node(s, a);
	if (a != b && sim_chance(s, s->cut[a][b] ? 30 : 200)) {
		s->cut[b][a] = !s->cut[a][b];
		s->cut[a][b] = s->cut[b][a];
	}
	if (sim_chance(s, n->meta ? 200 : 30))
		n->meta = !n->meta;
	if (sim_chance(s, s->store[b].slow ? 200 : 400))
		s->store[b].slow = !s->store[b].slow;
	if (sim_chance(s, s->rec.care.on ? 60 : sim_served(s) ? 300 :
			  s->care_in ? 150 : 30))
		sim_attach(s, a, sim_chance(s, 3));
	sim_hand_faults(s, a, b);
	sim_care_faults(s);
	if (sim_chance(s, s->care_in && !s->rec.care.on ? 60 : 400) &&
	    n->agent && !strcmp(s->rec.owner, node_id[a])) {
		n->wish_detach = true;
		n->wish_force = sim_chance(s, 3);
		if (n->wish_force)
			n->wish_detach = false;
		n->job.settled = false;
		n->urgent.settled = false;
	}
}

static void sim_recover(struct sim *s, int i)
{
	struct sim_node *n = &s->node[i];

	if (!n->up && n->up_at <= s->now) {
		n->up = true;
		n->agent_at = s->now;
		s->store[i].incarnation++;
		s->store[i].granted = 0;
		s->store[i].revoked = 0;
		s->store[i].renew = 0;
		s->store[i].handle = 0;
		s->store[i].exported = 0;
	}
	if (n->up && !n->agent && n->agent_at <= s->now)
		n->agent = true;
	if (n->up && n->agent && n->meta)
		n->lease_end = s->now + LEASE_MS;
}

static void sim_check(struct sim *s)
{
	size_t i, r;
	int a, b;

	if (!hcv_record_nr_insync(&s->rec))
		sim_fail(s, "no store is in-sync");
	sim_hand_check(s);
	sim_care_check(s);
	for (a = 0; a < NODES; a++)
		for (b = a + 1; b < NODES; b++)
			if (s->node[a].has_vol && s->node[b].has_vol &&
			    s->node[a].k.epoch == s->node[b].k.epoch &&
			    !s->node[a].k.prepared && !s->node[b].k.prepared)
				sim_fail(s, "nodes %d and %d have epoch %llu",
					 a, b, (unsigned long long)
					 s->node[a].k.epoch);
	for (i = 0; i < s->rec.nr; i++) {
		a = sim_node_of(s->rec.st[i].store);
		if (s->rec.st[i].state != HCV_RS_INSYNC)
			continue;
		for (r = 0; r < ROWS; r++)
			if (sim_row_on(s, r, a) && s->there & (1U << r) &&
			    s->store[a].content[r] < s->acked[r])
				sim_fail(s, "store %d is in-sync but has write %llu of row %zu, %llu was acknowledged",
					 a, (unsigned long long)
					 s->store[a].content[r], r,
					 (unsigned long long)s->acked[r]);
	}
}

/* ---------------------------------------------------------------- a whole run */

/* Who wants a volume that is taken care of looks again until it has it. */
static void sim_wanted(struct sim *s)
{
	if (s->wants < 0 || !sim_chance(s, 10))
		return;
	if (s->rec.owner[0] && !s->rec.care.on)
		s->wants = -1;
	else
		sim_attach(s, s->wants, false);
}

static void sim_tick(struct sim *s)
{
	int i;

	s->now += TURN_MS;
	sim_faults(s);
	sim_wanted(s);
	sim_leader(s);
	sim_late_txns(s);
	sim_late_job(s);
	sim_late_writes(s);
	for (i = 0; i < NODES; i++) {
		sim_recover(s, i);
		if (s->calm || sim_chance(s, 2))
			sim_target(s, i);
		sim_module(s, &s->node[i]);
		sim_check(s);
		if (s->node[i].agent && sim_chance(s, 2))
			sim_turn(s, i, &s->node[i].urgent, true);
		sim_check(s);
		if (s->node[i].agent && sim_chance(s, 2))
			sim_turn(s, i, &s->node[i].job, false);
		sim_check(s);
	}
}

static bool sim_whole(const struct sim *s)
{
	size_t i;

	for (i = 0; i < s->rec.nr; i++)
		if (s->rec.st[i].state != HCV_RS_INSYNC)
			return false;
	for (i = 0; i < NODES; i++)
		if (s->node[i].has_vol && s->node[i].k.state == HCV_VOL_ACTIVE &&
		    s->node[i].k.epoch == s->rec.epoch)
			return s->rec.phase == HCV_PH_SERVING;
	return false;
}

/* Who wished for something got it. */
static bool sim_calm(const struct sim *s)
{
	int i;

	for (i = 0; i < NODES; i++)
		if (s->node[i].wish_detach || s->node[i].wish_force)
			return false;
	return sim_whole(s) && !sim_hand_left(s) && !sim_care_left(s) &&
	       !s->has_job;
}

static void sim_heal(struct sim *s)
{
	int i, j, t;

	s->calm = true;
	s->care = -1;
	for (i = 0; i < NODES; i++) {
		s->node[i].meta = true;
		s->store[i].slow = false;
		for (j = 0; j < NODES; j++)
			s->cut[i][j] = false;
	}
	for (t = 0; t < CALM_TURNS && !sim_calm(s) && !s->failed; t++) {
		sim_tick(s);
		/* an operator: force what is stuck, then attach again */
		if (t % 1500 == 1000)
			for (i = 0; i < NODES; i++)
				s->node[i].wish_force |=
					!strcmp(s->rec.owner, node_id[i]) &&
					s->node[i].agent;
		if (t % 1500 == 1250)
			sim_attach(s, sim_rand(s, NODES), false);
	}
	if (sim_whole(s) && s->has_job)
		sim_fail(s, "a job is never over");
	else if (sim_whole(s) && !sim_calm(s))
		sim_fail(s, "a wish is never over");
	else if (!sim_whole(s))
		sim_fail(s, "the volume does not come back: owner %s phase %d epoch %llu v %llu, states %d %d %d",
			 s->rec.owner, s->rec.phase,
			 (unsigned long long)s->rec.epoch,
			 (unsigned long long)s->rec.v, s->rec.st[0].state,
			 s->rec.st[1].state, s->rec.st[2].state);
}

static void sim_layout(struct sim *s, bool jobs)
{
	/* one store in every row; pairs around one; all the same */
	static const int layout[3][4][2] = {
		{ { 0, 1 }, { 0, 2 }, { 0, 1 }, { 0, 2 } },
		{ { 0, 1 }, { 1, 2 }, { 1, 0 }, { 2, 1 } },
		{ { 0, 1 }, { 0, 1 }, { 1, 0 }, { 1, 0 } },
	};
	uint32_t which = jobs ? 2 : sim_rand(s, 3);
	bool third = which == 2 && sim_chance(s, 2);
	size_t i;

	for (i = 0; i < ROWS; i++) {
		s->row[i].index = i;
		s->row[i].nr = 2;
		s->row[i].full = 3;
		strcpy(s->row[i].store[0], store_id[layout[which][i % 4][0]]);
		strcpy(s->row[i].store[1], store_id[layout[which][i % 4][1]]);
	}
	/* a third copy of everything, in some runs */
	for (i = 0; i < ROWS && third; i++) {
		s->row[i].nr = 3;
		s->row[i].full = 7;
		strcpy(s->row[i].store[2], store_id[2]);
	}
	s->there = ALL_ROWS;
	s->jobs = jobs;
}

static void sim_init(struct kunit *test, struct sim *s, uint64_t seed,
		     bool jobs)
{
	const char *ids[NODES] = { store_id[0], store_id[1], store_id[2] };
	struct hcv_rec_ids all = { .id = ids };
	char err[HCV_ERR_SIZE];
	int i;

	memset(s, 0, sizeof(*s));
	s->test = test;
	s->seed = seed;
	s->rng = seed * 0x9e3779b97f4a7c15ULL + 1;
	s->now = 1000;
	s->unsure_in = UNSURE_IN;
	s->care = -1;
	s->wants = -1;
	s->rev = 1;
	for (i = 0; i < 10; i++)
		sim_rand(s, 2);
	for (i = 0; i < NODES; i++) {
		s->node[i].up = true;
		s->node[i].agent = true;
		s->node[i].meta = true;
		s->node[i].lease_end = s->now + LEASE_MS;
		s->store[i].incarnation = 100 * (i + 1);
	}
	sim_layout(s, jobs);
	s->vol.size = ROWS * HCV_VP_EXTENT_BYTES;
	s->vol.stripe = 1;
	s->vol.replicas = 2;
	s->vol.slow_drop = true;
	for (all.nr = 0; all.nr < NODES && sim_named(s, (int)all.nr); all.nr++)
		;
	if (hcv_record_init(&s->rec, 7, all, err))
		sim_fail(s, "%s", err);
	sim_attach(s, 0, false);
}

static void sim_run(struct kunit *test, struct sim *s, uint64_t seed,
		    uint32_t hand_in, bool jobs, uint32_t care_in)
{
	int i;

	sim_init(test, s, seed, jobs);
	s->hand_in = hand_in;
	s->care_in = care_in;
	for (i = 0; i < TURNS && !s->failed; i++)
		sim_tick(s);
	if (!s->failed)
		sim_heal(s);
}

static void sim_names(void)
{
	unsigned int i;

	for (i = 0; i < NODES; i++) {
		snprintf(node_id[i], HCV_ID_LEN,
			 "00000000-0000-4000-8000-00000000000%u", i + 1);
		snprintf(store_id[i], HCV_ID_LEN,
			 "00000000-0000-4000-8000-00000000000%c", 'a' + i);
	}
}

/*
 * @hand_in: how rare wishes for a hand-over are; @jobs: there are any; @care_in: how
 * rarely somebody is named to take care of it, 0: never
 */
static void volsim_runs(struct kunit *test, uint32_t hand_in, bool jobs,
			uint32_t care_in)
{
	unsigned long cares = 0, takes = 0, leaves = 0, evicts = 0;
	unsigned long wishes = 0, prepared = 0, hands = 0, resumes = 0;
	const char *env = getenv("HCV_SIM_SEED"), *runs = getenv("HCV_SIM_RUNS");
	unsigned long acks = 0, serves = 0, removes = 0, joins = 0;
	unsigned long late = 0, dead = 0, renewals = 0, dropped = 0, freed = 0;
	unsigned long begun = 0, moved = 0, undone = 0, late_jobs = 0;
	unsigned long slow = 0, again = 0;
	uint64_t seed = env ? strtoull(env, NULL, 0) :
			runs ? (uint64_t)time(NULL) : 1;
	unsigned int i, nr = env ? 1 : runs ? strtoul(runs, NULL, 0) : 40;
	struct sim *s = kunit_kzalloc(test, sizeof(*s), 0);

	sim_names();
	for (i = 0; i < nr; i++) {
		sim_run(test, s, seed + i, hand_in, jobs, care_in);
		acks += s->nr_acks;
		serves += s->nr_serves;
		removes += s->nr_removes;
		joins += s->nr_joins;
		late += s->nr_late;
		dead += s->nr_dead;
		renewals += s->nr_renewals;
		dropped += s->nr_dropped;
		freed += s->nr_freed;
		slow += s->nr_slow;
		again += s->nr_again;
		begun += s->nr_jobs;
		moved += s->nr_moved;
		undone += s->nr_undone;
		late_jobs += s->nr_late_jobs;
		wishes += s->nr_wishes;
		prepared += s->nr_prepared;
		hands += s->nr_hands;
		resumes += s->nr_resumes;
		cares += s->nr_cares;
		takes += s->nr_takes;
		leaves += s->nr_leaves;
		evicts += s->nr_evicts;
		if (s->failed)
			return;
	}
	kunit_info(test, "seeds %llu to %llu: %lu writes acknowledged, %lu take-overs, %lu removals, %lu joins\n",
		   (unsigned long long)seed, (unsigned long long)seed + nr - 1,
		   acks, serves, removes, joins);
	kunit_info(test, "%lu late writes landed, %lu were refused, %lu renewals\n",
		   late, dead, renewals);
	kunit_info(test, "rows went %lu times, %lu copies were freed, %lu slow replicas dropped, %lu began again\n",
		   dropped, freed, slow, again);
	if (jobs)
		kunit_info(test, "%lu jobs, %lu stores left by them, %lu ended otherwise, %lu late transactions of them\n",
			   begun, moved, undone, late_jobs);
	kunit_info(test, "%lu wishes for a hand-over, %lu prepared, %lu done, %lu went on after a halt\n",
		   wishes, prepared, hands, resumes);
	if (care_in)
		kunit_info(test, "taken care of %lu times, attached there %lu times, asked for %lu times, evicted %lu times\n",
			   cares, takes, leaves, evicts);
	/* a run in which nothing happens proves nothing */
	KUNIT_EXPECT_GT(test, acks, 100UL * nr);
	KUNIT_EXPECT_GT(test, serves + removes + joins, (unsigned long)nr);
	KUNIT_EXPECT_TRUE(test, env || hand_in < 50 || slow > nr / 8);
	KUNIT_EXPECT_GT(test, hands, hand_in < 50 ? nr * 2UL : nr / 4UL);
	KUNIT_EXPECT_TRUE(test, nr < 20 || again);
	KUNIT_EXPECT_TRUE(test, !jobs || nr < 20 || (moved > nr && undone));
	KUNIT_EXPECT_TRUE(test, !care_in || nr < 20 ||
			  (cares > nr && takes > nr / 8 && leaves > nr / 4 &&
			   evicts > nr / 20));
}

static void volsim(struct kunit *test)
{
	volsim_runs(test, 200, false, 0);
}

/* Hardly is a volume somewhere, it is to go elsewhere. */
static void volsim_hands(struct kunit *test)
{
	volsim_runs(test, 10, false, 0);
}

/* Recovery jobs, and now and then a hand-over in their midst. */
static void volsim_jobs(struct kunit *test)
{
	volsim_runs(test, 200, true, 0);
}

/* An owner seldom ends a job that it began. */
static void volsim_both(struct kunit *test)
{
	volsim_runs(test, 10, true, 0);
}

/* Nobody has it for long: somebody takes care of it, or wants it. */
static void volsim_care(struct kunit *test)
{
	volsim_runs(test, 100, false, 8);
}

static void volsim_care_jobs(struct kunit *test)
{
	volsim_runs(test, 100, true, 8);
}

/* What happened from the halt on, to whom; REREADs of the others do not count. */
static void volsim_hand_trace(struct kunit *test, const struct sim *s)
{
	static const enum hcv_vp_act source[] = {
		HCV_VP_HALT, HCV_VP_HAND_OVER, HCV_VP_LET_GO,
	};
	size_t nr_source = 0, nr_target = 0;
	int64_t halted = 0, running = 0;
	unsigned int i;

	for (i = 0; i < s->nr_trace; i++) {
		if (s->trace[i].node == 0 && nr_source < 3) {
			if (!nr_source && s->trace[i].act != HCV_VP_HALT)
				continue;
			KUNIT_EXPECT_EQ(test, s->trace[i].act,
					source[nr_source]);
			if (!nr_source)
				halted = s->trace[i].at;
			nr_source++;
		} else if (s->trace[i].node == 1 && halted && !running) {
			/* Connections are made, the disk is there. */
			KUNIT_EXPECT_NE(test, s->trace[i].act, HCV_VP_CONNECT);
			KUNIT_EXPECT_NE(test, s->trace[i].act, HCV_VP_CREATE);
			KUNIT_EXPECT_NE(test, s->trace[i].act, HCV_VP_REREAD);
			/* Its disk's I/O waits before anybody is told. */
			if (nr_target < 2)
				KUNIT_EXPECT_EQ(test, s->trace[i].act,
						nr_target ? HCV_VP_SERVE :
							    HCV_VP_SET);
			nr_target++;
			if (s->trace[i].act == HCV_VP_START)
				running = s->trace[i].at;
		}
	}
	KUNIT_EXPECT_EQ(test, nr_source, (size_t)3);
	/* the limit, serve, links, rows, start */
	KUNIT_EXPECT_EQ(test, nr_target, 4 + s->rec.nr);
	KUNIT_EXPECT_LT(test, running - halted, (int64_t)GATE_LEASE_MS);
}

/*
 * Nothing fails: while I/O waits the record is written twice, by the source and
 * by the target, nothing is read again, and no lease is waited for.
 */
static void volsim_hand(struct kunit *test)
{
	struct sim *s = kunit_kzalloc(test, sizeof(*s), 0);
	unsigned int seed, i;
	uint64_t v;

	sim_names();
	for (seed = 1; seed <= 20; seed++) {
		sim_init(test, s, seed, false);
		s->calm = true;
		s->leases = true;
		for (i = 0; i < 1000 && !sim_whole(s); i++)
			sim_tick(s);
		s->nr_trace = 0;
		sim_hand_wish(s, 0, 1, seed & 1, 60000);
		for (i = 0; i < 1000 && !s->rec.hand.ready; i++)
			sim_tick(s);
		KUNIT_EXPECT_TRUE(test, s->node[1].k.prepared);
		sim_hand_wish(s, 0, 1, true, 60000);
		v = s->rec.v;
		for (i = 0; i < 1000 && !(sim_whole(s) && s->nr_hands); i++)
			sim_tick(s);
		KUNIT_EXPECT_EQ(test, s->nr_hands, 1UL);
		KUNIT_EXPECT_STREQ(test, s->rec.owner, node_id[1]);
		KUNIT_EXPECT_EQ(test, s->rec.epoch, 2ULL);
		KUNIT_EXPECT_EQ(test, s->rec.v, v + 2);
		KUNIT_EXPECT_FALSE(test, s->node[0].has_vol);
		volsim_hand_trace(test, s);
		if (s->failed)
			return;
	}
}

static struct kunit_case volsim_cases[] = {
	KUNIT_CASE(volsim),
	KUNIT_CASE(volsim_hands),
	KUNIT_CASE(volsim_jobs),
	KUNIT_CASE(volsim_both),
	KUNIT_CASE(volsim_care),
	KUNIT_CASE(volsim_care_jobs),
	KUNIT_CASE(volsim_hand),
	{}
};

static struct kunit_suite volsim_suite = {
	.name = "hcv_volsim",
	.test_cases = volsim_cases,
};

kunit_test_suite(volsim_suite);
