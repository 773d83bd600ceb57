/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For volsim_test.c alone: recovery jobs.  A leader begins and calls them off as
 * it likes: what an owner does with a job has to be right for any of them.
 */
#ifndef HCV_AGENT_CORE_VOLSIM_JOB_H
#define HCV_AGENT_CORE_VOLSIM_JOB_H

#include "volsim_module.h"

#define JOB_CHUNK 5	/* rows of a transaction */

static unsigned int sim_copies(const struct hcv_record *rec,
			       const struct hcv_row *row)
{
	unsigned int nr = 0;
	size_t j;

	for (j = 0; j < row->nr; j++)
		nr += hcv_record_insync(rec, row->store[j]);
	return nr;
}

/* No step takes a copy that the volume is to have. */
static void sim_copies_stay(struct sim *s, unsigned int before,
			    unsigned int now, size_t row)
{
	if (now < before && now < s->vol.replicas)
		sim_fail(s, "a job leaves row %zu with %u copies of %u", row,
			 now, before);
}

static void sim_job_apply(struct sim *s, const struct sim_change *c)
{
	unsigned int before[ROWS];
	size_t r;

	for (r = 0; r < ROWS; r++)
		before[r] = sim_copies(&s->rec, &s->row[r]);
	if (c->with_rec)
		sim_apply(s, &c->rec);
	memcpy(s->row, c->row, sizeof(s->row));
	s->rows_rev++;
	s->job = c->job;
	s->has_job = c->has_job;
	s->job_rev++;
	if (c->leaves >= 0) {
		s->store[c->leaves].left = s->rec.epoch;
		s->store[c->leaves].left_renew = s->rec.v;
	}
	s->nr_moved += c->leaves >= 0;
	for (r = 0; r < ROWS; r++)
		if (s->there >> r & 1)
			sim_copies_stay(s, before[r],
					sim_copies(&s->rec, &s->row[r]), r);
}

/* It may come when the volume is halted, or has been handed over. */
static void sim_late_job(struct sim *s)
{
	struct sim_late_job *l = &s->late_job;

	if (!l->used || l->at > s->now)
		return;
	l->used = false;
	if (l->rev != s->rev || l->rows_rev != s->rows_rev ||
	    l->job_rev != s->job_rev)
		return;
	sim_log(s, "a late transaction of the job lands");
	s->nr_late_jobs++;
	sim_job_apply(s, &l->change);
}

static void sim_job_later(struct sim *s, const struct sim_actor *a,
			  const struct sim_change *c)
{
	struct sim_late_job *l = &s->late_job;

	if (l->used)
		return;
	*l = (struct sim_late_job){
		.used = true, .change = *c, .rev = a->rev,
		.rows_rev = a->rows_rev, .job_rev = a->job_rev,
		.at = s->now + sim_rand(s, 400),
	};
}

static bool sim_job_txn(struct sim *s, int n, struct sim_actor *a,
			const struct sim_change *c)
{
	bool same = a->rev == s->rev && a->rows_rev == s->rows_rev &&
		    a->job_rev == s->job_rev;
	bool unknown = !s->calm && sim_chance(s, 8);

	if (!s->node[n].meta)
		return false;
	a->known = false;
	a->settled = false;
	s->node[n].unknown |= unknown;
	if (unknown && sim_chance(s, 2)) {
		sim_job_later(s, a, c);
		return false;
	}
	if (!same)
		return false;
	sim_job_apply(s, c);
	if (!unknown && s->node[n].own_rev < s->rev)
		s->node[n].own_rev = s->rev;
	return !unknown;
}

static void sim_row_cut(struct hcv_row *row, const char *store)
{
	unsigned int k;

	for (k = 0; k < row->nr && strcmp(row->store[k], store); k++)
		;
	if (k == row->nr)
		return;
	row->nr--;
	memmove(row->store[k], row->store[k + 1],
		(size_t)(row->nr - k) * HCV_ID_LEN);
	row->full = (uint8_t)((1U << row->nr) - 1);
}

static void sim_change_init(const struct sim *s, const struct sim_actor *a,
			    struct sim_change *c)
{
	size_t i;

	*c = (struct sim_change){
		.rec = a->rec, .job = a->job, .has_job = true, .leaves = -1,
	};
	memcpy(c->row, s->row, sizeof(c->row));
	for (i = 0; i < a->rows.nr; i++)
		c->row[a->row[i].index] = a->row[i];
}

static bool sim_job_add(struct sim *s, int n, struct sim_actor *a, size_t first)
{
	const char *from = a->job.from, *to = a->job.to;
	char err[HCV_ERR_SIZE] = "";
	int t = sim_node_of(to);
	struct sim_change c;
	size_t i;

	if (!sim_live(s, t) || s->store[t].left)
		return false;
	sim_change_init(s, a, &c);
	for (i = first; i < a->rows.nr && i < first + JOB_CHUNK; i++) {
		struct hcv_row *row = &c.row[a->row[i].index];
		uint32_t stores = sim_row_stores(row);

		if (!(stores >> sim_node_of(from) & 1) || stores >> t & 1)
			continue;
		strcpy(row->store[row->nr], to);
		row->full |= (uint8_t)(1U << row->nr++);
	}
	c.with_rec = !hcv_record_find(&c.rec, to);
	if (c.with_rec && hcv_record_add(&c.rec, to, false, err))
		sim_fail(s, "the record refuses store %d: %s", t, err);
	return sim_job_txn(s, n, a, &c);
}

static bool sim_job_drop(struct sim *s, int n, struct sim_actor *a,
			 const char *store, size_t first)
{
	struct hcv_rows rows = { .next = ROWS };
	char err[HCV_ERR_SIZE] = "";
	struct sim_change c;
	bool left = false;
	size_t i;

	sim_change_init(s, a, &c);
	for (i = first; i < a->rows.nr && i < first + JOB_CHUNK; i++)
		sim_row_cut(&c.row[a->row[i].index], store);
	for (i = 0; i < a->rows.nr; i++)
		left |= sim_row_stores(&c.row[a->row[i].index]) >>
			sim_node_of(store) & 1;
	if (!left) {
		c.with_rec = true;
		c.leaves = sim_node_of(store);
		if (hcv_record_forget(&c.rec, store, &rows, err))
			sim_fail(s, "store %d cannot be forgotten: %s",
				 c.leaves, err);
	}
	return sim_job_txn(s, n, a, &c);
}

static bool sim_job_remove(struct sim *s, int n, struct sim_actor *a,
			   const char *store)
{
	struct hcv_record rec = a->rec;
	char err[HCV_ERR_SIZE] = "";
	size_t i;

	if (hcv_record_remove(&rec, store, NULL, &a->rows, err)) {
		sim_fail(s, "store %d cannot leave: %s", sim_node_of(store),
			 err);
		return false;
	}
	for (i = 0; i < a->rows.nr; i++)
		sim_copies_stay(s, sim_copies(&a->rec, &a->row[i]),
				sim_copies(&rec, &a->row[i]), a->row[i].index);
	return sim_commit(s, n, a, &rec);
}

static bool sim_act_job(struct sim *s, int n, struct sim_actor *a,
			const struct hcv_vp_out *o)
{
	struct sim_change c;

	if (s->node[n].k.halted)
		sim_fail(s, "node %d: a step of a job while I/O waits", n);
	sim_change_init(s, a, &c);
	switch (o->job) {
	case HCV_JP_ADD:
		return sim_job_add(s, n, a, o->row);
	case HCV_JP_DROP:
		return sim_job_drop(s, n, a, o->store, o->row);
	case HCV_JP_REMOVE:
		return sim_job_remove(s, n, a, o->store);
	case HCV_JP_RELEASE:
		return sim_drop(s, &s->node[n], o->store, false);
	case HCV_JP_FAIL:
		c.job.failed = true;
		return sim_job_txn(s, n, a, &c);
	case HCV_JP_END:
		c.has_job = false;
		s->nr_undone += !o->done;
		return sim_job_txn(s, n, a, &c);
	case HCV_JP_WAIT:
		break;
	}
	sim_fail(s, "the planner asks for nothing");
	return false;
}

static void sim_leader(struct sim *s)
{
	int to = -1, i;

	if (!s->jobs)
		return;
	if (s->has_job) {
		if (s->job.cancel || !sim_chance(s, s->job.failed ? 20 : 600))
			return;
		if (s->calm && !s->job.failed)
			return;
		s->job.cancel = true;
		s->job_rev++;
		sim_log(s, "the job is called off");
		return;
	}
	if (s->calm || s->rec.phase != HCV_PH_SERVING || !sim_chance(s, 10))
		return;
	for (i = 0; i < NODES; i++)
		if (!s->store[i].left && !sim_named(s, i))
			to = i;
	if (to < 0 && s->rec.nr < NODES)
		return;
	s->job = (struct hcv_job_info){ .created = s->now };
	strcpy(s->job.from, s->rec.st[sim_rand(s, s->rec.nr)].store);
	if (to >= 0)
		strcpy(s->job.to, store_id[to]);
	s->has_job = true;
	s->job_rev++;
	s->nr_jobs++;
	sim_log(s, "a job: %d to %d", sim_node_of(s->job.from), to);
}

#endif /* HCV_AGENT_CORE_VOLSIM_JOB_H */
