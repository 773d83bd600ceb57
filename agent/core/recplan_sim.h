/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The simulated cluster of recplan_sim_test.c: what there is, and the owners of
 * the volumes, a few lines that do with a job what owners do, one step at a
 * time, by the real transitions of the record.
 */
#ifndef HCV_AGENT_CORE_RECPLAN_SIM_H
#define HCV_AGENT_CORE_RECPLAN_SIM_H

#include <kunit/test.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobplan.h"
#include "recplan.h"
#include "record.h"

#define NODES		6
#define STORES		18
#define VOLS		10
#define ROWS_MAX	40
#define JOB_FAILS	3
#define CHUNK		7	/* rows of a transaction */

struct sim_job {
	bool used;
	struct hcv_rp_job job;
	unsigned int fails;
};

struct sim_vol {
	struct hcv_record rec;
	struct hcv_rows rows;
	unsigned int replicas;
	enum hcv_domain domain;
	struct sim_job job;
	unsigned int progress[STORES];
	bool left[STORES];		/* by moving it, since it is calm */
	uint64_t left_epoch[STORES];	/* 0: it may get the volume */
};

struct sim {
	struct kunit *test;
	uint64_t rng;
	uint64_t seed;
	int64_t now_ms;
	struct hcv_rp_cfg cfg;
	struct hcv_rp_node node[NODES];
	struct hcv_rp_store store[STORES];
	bool drain[STORES];
	uint32_t garbage[STORES];	/* extents that are still being freed */
	size_t nr_stores;
	struct sim_vol vol[VOLS];
	struct hcv_rp_mem *mem;
	bool calm;
	bool trace;
	bool sick[STORES];		/* refuses to be filled */
	unsigned int starts, dones, cancels, by_hand, turn;
	unsigned int kinds[HCV_RP_KINDS];
};

#define sim_check(s, cond, ...)						\
	KUNIT_ASSERT_TRUE_MSG((s)->test, cond, __VA_ARGS__)

static uint32_t rnd(struct sim *s, uint32_t n)
{
	s->rng ^= s->rng << 13;
	s->rng ^= s->rng >> 7;
	s->rng ^= s->rng << 17;
	return (uint32_t)((s->rng >> 11) % n);
}

static void sim_id(char *out, unsigned int kind, size_t n)
{
	snprintf(out, HCV_ID_LEN, "%08u-0000-4000-8000-%012zu", kind, n);
}

static int sim_store(const struct sim *s, const char *id)
{
	size_t i;

	for (i = 0; i < s->nr_stores; i++)
		if (!strcmp(s->store[i].id, id))
			return (int)i;
	return -1;
}

static int sim_node(const char *id)
{
	return *id ? atoi(id + 24) : -1;
}

static bool well(const struct sim *s, int store)
{
	return s->store[store].live && !s->store[store].failed;
}

static bool row_has(const struct hcv_row *row, const char *id)
{
	unsigned int k;

	for (k = 0; k < row->nr; k++)
		if (!strcmp(row->store[k], id))
			return true;
	return false;
}

/* In-sync copies of a row on stores that are well, but for @but. */
static unsigned int row_good(struct sim *s, const struct sim_vol *vol,
			     const struct hcv_row *row, const char *but)
{
	unsigned int k, nr = 0;

	for (k = 0; k < row->nr; k++)
		nr += (!but || strcmp(row->store[k], but)) &&
		      hcv_record_insync(&vol->rec, row->store[k]) &&
		      well(s, sim_store(s, row->store[k]));
	return nr;
}

/* The fewest, of the rows that have @store; all rows: NULL. */
static unsigned int vol_good(struct sim *s, const struct sim_vol *vol,
			     const char *store, const char *but)
{
	unsigned int good, least = 99;
	size_t i;

	for (i = 0; i < vol->rows.nr; i++) {
		if (store && !row_has(&vol->rows.row[i], store))
			continue;
		good = row_good(s, vol, &vol->rows.row[i], but);
		if (good < least)
			least = good;
	}
	return least;
}

static uint32_t vol_extents(const struct sim_vol *vol, const char *store)
{
	uint32_t nr = 0;
	size_t i;

	for (i = 0; i < vol->rows.nr; i++)
		nr += row_has(&vol->rows.row[i], store);
	return nr;
}

static void sim_count(struct sim *s)
{
	size_t i, v;

	for (i = 0; i < s->nr_stores; i++) {
		const struct hcv_rp_node *n = &s->node[s->store[i].node];

		s->store[i].used = s->garbage[i];
		s->store[i].live = n->live;
		s->store[i].empty = s->drain[i] || n->draining;
		for (v = 0; v < VOLS; v++)
			s->store[i].used += vol_extents(&s->vol[v],
							s->store[i].id);
	}
}

static bool same_group(const struct sim *s, int a, int b,
		       enum hcv_domain domain)
{
	const struct hcv_rp_node *na = &s->node[s->store[a].node];
	const struct hcv_rp_node *nb = &s->node[s->store[b].node];

	if (domain == HCV_DOM_DISK)
		return a == b;
	if (na == nb || domain == HCV_DOM_NODE)
		return na == nb;
	return *na->rack && !strcmp(na->rack, nb->rack);
}

static void trace_vol(struct sim *s, size_t v)
{
	static const char *const state[] = {
		"in-sync", "stale", "syncing", "temporary"
	};
	const struct sim_vol *vol = &s->vol[v];
	size_t i;

	printf("# volume %zu: owner %d phase %d replicas %u domain %d rows %zu",
	       v, sim_node(vol->rec.owner), vol->rec.phase, vol->replicas,
	       vol->domain, vol->rows.nr);
	if (vol->job.used)
		printf(" %s %d>%d%s", hcv_recplan_kind_name(vol->job.job.kind),
		       sim_store(s, vol->job.job.from),
		       sim_store(s, vol->job.job.to),
		       vol->job.job.cancel ? " off" : "");
	for (i = 0; i < vol->rec.nr; i++) {
		int st = sim_store(s, vol->rec.st[i].store);

		printf("; %d%s%s (node %d) %s %u", st,
		       well(s, st) ? "" : "!", s->store[st].empty ? "-" : "",
		       s->store[st].node, state[vol->rec.st[i].state],
		       vol_extents(vol, vol->rec.st[i].store));
	}
	printf("\n");
}

/* Whether a copy of each extent could be elected if all stores were in-sync. */
static bool electable(const struct sim_vol *vol)
{
	struct hcv_elect sets = { 0 };
	uint32_t chosen;
	unsigned int k;
	size_t i, j;
	bool ok;

	for (i = 0; i < vol->rows.nr; i++) {
		const struct hcv_row *row = &vol->rows.row[i];
		uint32_t set = 0;

		for (k = 0; k < row->nr; k++)
			for (j = 0; j < vol->rec.nr; j++)
				if (!strcmp(vol->rec.st[j].store,
					    row->store[k]))
					set |= 1U << j;
		hcv_elect_add(&sets, set);
	}
	ok = hcv_elect_run(&sets, UINT32_MAX, 0, 100000, &chosen);
	free(sets.set);
	return ok;
}

/* -------------------------------------------------------------- the owners */

static bool vol_served(const struct sim *s, const struct sim_vol *vol)
{
	int node = sim_node(vol->rec.owner);

	return node >= 0 && s->node[node].live &&
	       vol->rec.phase == HCV_PH_SERVING;
}

static void rows_drop(struct sim *s, struct sim_vol *vol, size_t first,
		      const char *store)
{
	unsigned int k, nr = 0;
	size_t i;

	for (i = first; i < vol->rows.nr && nr < CHUNK; i++) {
		struct hcv_row *row = &vol->rows.row[i];

		for (k = 0; k < row->nr && strcmp(row->store[k], store); k++)
			;
		if (k == row->nr)
			continue;
		row->nr--;
		memmove(row->store[k], row->store[k + 1],
			(size_t)(row->nr - k) * HCV_ID_LEN);
		row->full = (uint8_t)((1U << row->nr) - 1);
		s->garbage[sim_store(s, store)]++;
		nr++;
	}
	vol->progress[sim_store(s, store)] = 0;
}

/* Some rows, and with the last ones the record. */
static void job_drop(struct sim *s, struct sim_vol *vol,
		     const struct hcv_jp_out *out)
{
	struct hcv_rp_job *job = &vol->job.job;
	char err[HCV_ERR_SIZE], store[HCV_ID_LEN];
	int ret;

	strcpy(store, out->store);
	rows_drop(s, vol, out->row, store);
	if (vol_extents(vol, store))
		return;
	ret = hcv_record_forget(&vol->rec, store, &vol->rows, err);
	sim_check(s, !ret, "forget: %s", err);
	vol->left_epoch[sim_store(s, store)] = vol->rec.epoch;
	if (s->calm && !strcmp(store, job->from) &&
	    (job->kind == HCV_RP_BALANCE || job->kind == HCV_RP_MOVE))
		vol->left[sim_store(s, store)] = true;
}

static void job_add(struct sim *s, struct sim_vol *vol, size_t first)
{
	struct hcv_rp_job *job = &vol->job.job;
	char err[HCV_ERR_SIZE];
	unsigned int nr = 0;
	size_t i;

	for (i = first; i < vol->rows.nr && nr < CHUNK; i++) {
		struct hcv_row *row = &vol->rows.row[i];

		if (!row_has(row, job->from) || row_has(row, job->to))
			continue;
		sim_check(s, row->nr < HCV_ROW_STORES, "a row is full");
		strcpy(row->store[row->nr], job->to);
		row->full |= (uint8_t)(1U << row->nr++);
		nr++;
	}
	if (!hcv_record_find(&vol->rec, job->to))
		sim_check(s, !hcv_record_add(&vol->rec, job->to, false, err),
			  "add: %s", err);
}

static void job_end(struct sim *s, struct sim_vol *vol, bool done)
{
	if (done && *vol->job.job.to)
		hcv_recplan_done(s->mem, vol->job.job.vol, vol->job.job.to);
	s->dones += done;
	memset(&vol->job, 0, sizeof(vol->job));
}

static void job_view(struct sim *s, const struct sim_vol *vol,
		     struct hcv_jp_in *in)
{
	size_t i;

	memset(in, 0, sizeof(*in));
	in->from = vol->job.job.from;
	in->to = vol->job.job.to;
	in->cancel = vol->job.job.cancel;
	in->replicas = vol->replicas;
	in->rec = &vol->rec;
	in->rows = &vol->rows;
	for (i = 0; i < vol->rec.nr; i++) {
		in->good[i] = vol->rec.st[i].state == HCV_RS_INSYNC &&
			      well(s, sim_store(s, vol->rec.st[i].store));
		in->tied[i] = rnd(s, 3) == 0;
	}
}

static void job_step(struct sim *s, struct sim_vol *vol)
{
	struct hcv_jp_out out;
	char err[HCV_ERR_SIZE];
	struct hcv_jp_in in;

	job_view(s, vol, &in);
	hcv_jobplan_next(&in, &out);
	switch (out.act) {
	case HCV_JP_FAIL:
	case HCV_JP_RELEASE:	/* neither comes from there */
	case HCV_JP_WAIT:
		if (vol->job.fails >= JOB_FAILS)
			vol->job.job.failed = true;
		break;
	case HCV_JP_ADD:
		job_add(s, vol, out.row);
		break;
	case HCV_JP_REMOVE:
		sim_check(s, !hcv_record_remove(&vol->rec, out.store, NULL,
						&vol->rows, err), "%s", err);
		break;
	case HCV_JP_DROP:
		job_drop(s, vol, &out);
		break;
	case HCV_JP_END:
		if (s->trace)
			printf("# turn %u: volume %zu: end: %s\n", s->turn,
			       (size_t)(vol - s->vol),
			       out.done ? "done" : out.why);
		job_end(s, vol, out.done);
	}
}

static void vol_sync(struct sim *s, struct sim_vol *vol,
		     struct hcv_rec_store *rs, int store)
{
	char err[HCV_ERR_SIZE];

	if (vol_good(s, vol, rs->store, rs->store) < 1)
		return;
	if (rs->state == HCV_RS_STALE) {
		vol->progress[store] = 0;
		sim_check(s, !hcv_record_begin_sync(&vol->rec, rs->store, err),
			  "%s", err);
		return;
	}
	if (s->sick[store] && rnd(s, 3) == 0) {
		sim_check(s, !hcv_record_remove(&vol->rec, rs->store, NULL,
						&vol->rows, err), "%s", err);
		if (!strcmp(vol->job.job.to, rs->store))
			vol->job.fails++;
		return;
	}
	vol->progress[store] += 1 + rnd(s, 4);
	if (vol->progress[store] < vol_extents(vol, rs->store))
		return;
	sim_check(s, !hcv_record_join(&vol->rec, rs->store, err), "%s", err);
}

/* What a volume's owner does anyway. */
static void vol_step(struct sim *s, struct sim_vol *vol)
{
	char err[HCV_ERR_SIZE];
	struct hcv_jp_in in;
	size_t i;

	job_view(s, vol, &in);
	for (i = 0; i < vol->rec.nr; i++) {
		struct hcv_rec_store *rs = &vol->rec.st[i];
		int store = sim_store(s, rs->store);

		if (vol->job.used && rs->state == HCV_RS_STALE &&
		    hcv_jobplan_holds(&in, rs->store))
			continue;

		if (!well(s, store)) {
			if (rs->state != HCV_RS_STALE)
				hcv_record_remove(&vol->rec, rs->store, NULL,
						  &vol->rows, err);
		} else if (rs->state != HCV_RS_INSYNC && rnd(s, 3)) {
			vol_sync(s, vol, rs, store);
		}
	}
}

static void vol_take(struct sim *s, struct sim_vol *vol)
{
	const char *node = vol->rec.owner, *confirmed[HCV_REC_STORES];
	struct hcv_rec_ids ids = { .id = confirmed }, none = { NULL, 0 };
	char err[HCV_ERR_SIZE];
	size_t i;
	int ret;

	for (i = 0; i < vol->rec.nr; i++)
		if (well(s, sim_store(s, vol->rec.st[i].store)))
			confirmed[ids.nr++] = vol->rec.st[i].store;
	ret = hcv_record_serve(&vol->rec, node, ids, none, &vol->rows, true,
			       err);
	/* More failure domains gone than it is to stand: by hand. */
	for (i = 0; i < vol->rec.nr && ret == -EXDEV; i++)
		vol->rec.st[i].state = HCV_RS_INSYNC;
	s->by_hand += ret == -EXDEV;
	sim_check(s, !ret || ret == -EAGAIN || ret == -EXDEV, "take-over: %s",
		  err);
}

static void vol_turn(struct sim *s, struct sim_vol *vol)
{
	unsigned int before[ROWS_MAX], after, keep;
	int node = sim_node(vol->rec.owner);
	bool could;
	size_t i;

	if (node >= 0 && s->node[node].live &&
	    vol->rec.phase == HCV_PH_TAKING)
		vol_take(s, vol);
	if (!vol_served(s, vol))
		return;
	vol_step(s, vol);
	if (!vol->job.used)
		return;
	for (i = 0; i < vol->rows.nr; i++)
		before[i] = row_good(s, vol, &vol->rows.row[i], NULL);
	could = electable(vol);
	job_step(s, vol);
	sim_check(s, !could || electable(vol),
		  "seed %llu turn %u: a job makes elections impossible",
		  (unsigned long long)s->seed, s->turn);
	for (i = 0; i < vol->rows.nr; i++) {
		after = row_good(s, vol, &vol->rows.row[i], NULL);
		keep = before[i] < vol->replicas ? before[i] : vol->replicas;
		sim_check(s, after >= keep,
			  "seed %llu turn %u: an extent had %u in-sync copies and has %u",
			  (unsigned long long)s->seed, s->turn, before[i],
			  after);
	}
}

#endif /* HCV_AGENT_CORE_RECPLAN_SIM_H */
