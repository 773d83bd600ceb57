// SPDX-License-Identifier: GPL-2.0-only
/*
 * The recovery planner in a simulated cluster: nodes and stores die, return, are
 * added and emptied, volumes change their owners and grow, leaders forget.
 *
 * The owners are in recplan_sim.h.  Between rounds of disorder the cluster is left
 * alone until nothing is begun any more.
 *
 * What has to hold: no step of a job leaves an extent with fewer in-sync copies
 * than it had, but for those beyond the number of replicas; a target is never in
 * a failure domain with the replicas that stay, never filled into its reserve,
 * and never busier than the caps allow; a crash always finds copies to elect; and
 * once it is calm all that is still to be done has a reason, and nothing that was
 * moved for space or for its owner goes back to where it was.
 *
 * HCV_RECPLAN_SEED=N runs one seed, HCV_RECPLAN_TURNS=N for so long,
 * HCV_RECPLAN_TRACE=1 tells what is begun and how it ends.
 */
#include "recplan_sim.h"

#include "placement.h"

#define SEEDS		4
#define ROUNDS		2
#define TURNS		500
#define CALM_TURNS	6000
#define CALM_QUIET	160	/* turns without a job that end it */
#define TURN_MS		2000

/* --------------------------------------------------------------- the leader */

static void in_free(struct hcv_rp_in *in)
{
	size_t i;

	for (i = 0; i < in->nr_vols; i++)
		hcv_recplan_vol_free(&in->vol[i]);
}

static void in_fill(struct sim *s, struct hcv_rp_in *in,
		    struct hcv_rp_vol *vol, struct hcv_rp_job *job)
{
	static struct hcv_rp_left left[VOLS * STORES];
	size_t i, k;

	memset(in, 0, sizeof(*in));
	memset(vol, 0, VOLS * sizeof(*vol));
	in->cfg = s->cfg;
	in->now_ms = s->now_ms;
	in->node = s->node;
	in->nr_nodes = NODES;
	in->store = s->store;
	in->nr_stores = s->nr_stores;
	in->vol = vol;
	in->nr_vols = VOLS;
	in->job = job;
	in->mem = s->mem;
	for (i = 0; i < VOLS; i++) {
		struct sim_vol *v = &s->vol[i];

		sim_id(vol[i].id, 3, i);
		vol[i].replicas = v->replicas;
		vol[i].domain = v->domain;
		vol[i].owner = v->rec.phase == HCV_PH_SERVING ?
			       sim_node(v->rec.owner) : -1;
		sim_check(s, !hcv_recplan_vol(in, &v->rec, &v->rows, &vol[i]),
			  "memory");
		sim_check(s, !vol[i].skip, "strange rows");
		if (v->job.used)
			job[in->nr_jobs++] = v->job.job;
		for (k = 0; k < s->nr_stores; k++)
			if (v->left_epoch[k] == v->rec.epoch) {
				struct hcv_rp_left *l = &left[in->nr_left++];

				strcpy(l->vol, vol[i].id);
				strcpy(l->store, s->store[k].id);
			}
	}
	in->left = left;
	sim_check(s, !hcv_recplan_observe(s->mem, in), "memory");
}

/* Extents that jobs under way will still put there. */
static uint32_t promised(struct sim *s, int store)
{
	uint32_t nr = 0;
	size_t i;

	for (i = 0; i < VOLS; i++) {
		const struct sim_vol *v = &s->vol[i];

		if (v->job.used && !v->job.job.cancel &&
		    !strcmp(v->job.job.to, s->store[store].id)) {
			uint32_t all = vol_extents(v, v->job.job.from);
			uint32_t has = vol_extents(v, v->job.job.to);

			nr += all > has ? all - has : 0;
		}
	}
	return nr;
}

static unsigned int node_jobs(struct sim *s, int node, enum hcv_rp_kind kind)
{
	unsigned int nr = 0;
	size_t i;

	for (i = 0; i < VOLS; i++) {
		const struct hcv_rp_job *job = &s->vol[i].job.job;
		int from = sim_store(s, job->from), to = sim_store(s, job->to);

		/* One that does not go on takes nobody's turn. */
		if (!s->vol[i].job.used || to < 0 || job->kind > kind ||
		    !well(s, to) || job->failed || !vol_served(s, &s->vol[i]))
			continue;
		nr += s->store[to].node == node ||
		      sim_node(s->vol[i].rec.owner) == node ||
		      (from >= 0 && well(s, from) &&
		       s->store[from].node == node);
	}
	return nr;
}

static void check_target(struct sim *s, struct sim_vol *vol,
			 const struct hcv_rp_job *job)
{
	int to = sim_store(s, job->to), from = sim_store(s, job->from);
	struct hcv_rp_store *t = &s->store[to];
	uint32_t need = vol_extents(vol, job->from);
	size_t i;
	unsigned int k;

	sim_check(s, well(s, to) && !t->empty, "a target that is none");
	sim_check(s, !hcv_record_find(&vol->rec, job->to), "it has a part");
	sim_check(s, vol->left_epoch[to] != vol->rec.epoch, "it was left");
	sim_check(s, t->used + promised(s, to) + need <=
		  t->total - (t->total * s->cfg.reserve_pct + 99) / 100,
		  "seed %llu turn %u: %s: store %d is filled into its reserve",
		  (unsigned long long)s->seed, s->turn,
		  hcv_recplan_kind_name(job->kind), to);
	for (i = 0; i < vol->rows.nr; i++) {
		const struct hcv_row *row = &vol->rows.row[i];

		if (!row_has(row, job->from))
			continue;
		for (k = 0; k < row->nr; k++) {
			int other = sim_store(s, row->store[k]);

			sim_check(s, other == from ||
				  !same_group(s, other, to, vol->domain),
				  "two replicas in one failure domain");
		}
	}
}

static void leader_start(struct sim *s, const struct hcv_rp_in *in,
			 const struct hcv_rp_start *st)
{
	struct sim_vol *vol = &s->vol[st->vol];
	int from = in->vol[st->vol].share[st->share].store;
	struct hcv_rp_job job = { .kind = st->kind };
	int node;

	sim_check(s, !vol->job.used, "two jobs for a volume");
	strcpy(job.vol, in->vol[st->vol].id);
	strcpy(job.from, s->store[from].id);
	if (st->to >= 0) {
		strcpy(job.to, s->store[st->to].id);
		check_target(s, vol, &job);
		sim_check(s, !s->calm || !vol->left[st->to],
			  "seed %llu turn %u: volume %zu goes back to store %d, which it left (%s)",
			  (unsigned long long)s->seed, s->turn, st->vol,
			  st->to, hcv_recplan_kind_name(st->kind));
	}
	vol->job = (struct sim_job){ .used = true, .job = job };
	if (s->trace)
		printf("# turn %u: volume %zu %s store %d > %d: %s\n", s->turn,
		       st->vol, hcv_recplan_kind_name(st->kind), from, st->to,
		       st->why);
	s->starts++;
	s->kinds[st->kind]++;
	for (node = 0; node < NODES && st->to >= 0; node++)
		sim_check(s, s->store[st->to].node != node ||
			  node_jobs(s, node, st->kind) <= s->cfg.per_node,
			  "node %d has too many jobs", node);
}

static void leader_cancel(struct sim *s, const struct hcv_rp_in *in,
			  const struct hcv_rp_cancel *c)
{
	const struct hcv_rp_job *job = &in->job[c->job];
	size_t v = (size_t)atoi(job->vol + 24);

	if (s->trace)
		printf("# turn %u: volume %zu is called off: %s\n", s->turn, v,
		       c->why);
	if (c->blame)
		hcv_recplan_failed(s->mem, job->vol, job->to, s->now_ms);
	s->vol[v].job.job.cancel = true;
	s->cancels++;
}

/* Once it is calm: what is not as it should be has to have a reason. */
static void check_reasons(struct sim *s, const struct hcv_rp_in *in,
			  const struct hcv_rp_plan *plan)
{
	size_t v, i, k;

	for (v = 0; v < VOLS; v++) {
		const struct hcv_rp_vol *vol = &in->vol[v];
		bool wrong = false, told = false;

		for (i = 0; i < vol->nr; i++) {
			const struct hcv_rp_share *sh = &vol->share[i];

			wrong |= sh->extents &&
				 (sh->state != HCV_RS_INSYNC ||
				  s->store[sh->store].empty ||
				  s->store[sh->store].failed);
		}
		for (k = 0; k < plan->nr_blocked; k++)
			told |= plan->blocked[k].vol == v &&
				plan->blocked[k].kind < HCV_RP_DOMAIN;
		if (wrong && !told && s->trace)
			trace_vol(s, v);
		sim_check(s, !wrong || told,
			  "seed %llu turn %u: volume %zu is not as it should be and nothing says why",
			  (unsigned long long)s->seed, s->turn, v);
	}
}

/* Return: whether something is under way. */
static bool leader_turn(struct sim *s, bool last)
{
	struct hcv_rp_vol vol[VOLS];
	struct hcv_rp_job job[VOLS];
	struct hcv_rp_plan plan;
	struct hcv_rp_in in;
	bool busy;
	size_t i;

	in_fill(s, &in, vol, job);
	sim_check(s, !hcv_recplan(&in, &plan), "memory");
	for (i = 0; i < plan.nr_cancel; i++)
		leader_cancel(s, &in, &plan.cancel[i]);
	for (i = 0; i < plan.nr_start; i++)
		leader_start(s, &in, &plan.start[i]);
	busy = in.nr_jobs || plan.nr_start;
	if (last)
		check_reasons(s, &in, &plan);
	hcv_recplan_free(&plan);
	in_free(&in);
	return busy;
}

/* ------------------------------------------------------------------ the world */

static void place_row(struct sim *s, size_t v)
{
	struct hcv_place_store st[STORES] = { 0 };
	struct sim_vol *vol = &s->vol[v];
	struct hcv_rows rows;
	struct hcv_place_want want = {
		.replicas = vol->replicas, .stripe = 1, .domain = vol->domain,
		.owner = vol->rec.owner, .rows = &rows,
	};
	const struct hcv_rec_store *rs;
	struct hcv_place_row choice;
	char err[HCV_ERR_SIZE];
	struct hcv_row *row;
	unsigned int k;
	size_t i;
	int ret;

	if (vol->rows.nr == ROWS_MAX)
		return;
	sim_check(s, !hcv_jobplan_place_rows(vol->job.job.from,
					     vol->job.job.to, &vol->rows,
					     &rows), "memory");
	for (i = 0; i < s->nr_stores; i++) {
		const struct hcv_rp_store *f = &s->store[i];

		strcpy(st[i].uuid, f->id);
		strcpy(st[i].node, s->node[f->node].id);
		strcpy(st[i].rack, s->node[f->node].rack);
		st[i].total = f->total;
		st[i].used = f->used;
		rs = hcv_record_find(&vol->rec, f->id);
		st[i].live = well(s, (int)i);
		st[i].ready = st[i].live && !f->empty &&
			      (!rs || rs->state == HCV_RS_INSYNC) &&
			      vol->left_epoch[i] != vol->rec.epoch &&
			      strcmp(f->id, vol->job.job.from);
	}
	ret = hcv_place(st, s->nr_stores, &want, &choice);
	hcv_model_rows_free(&rows);
	if (ret)
		return;
	vol->rows.row = realloc(vol->rows.row,
				(vol->rows.nr + 1) * sizeof(*row));
	row = &vol->rows.row[vol->rows.nr++];
	memset(row, 0, sizeof(*row));
	row->index = vol->rows.next++;
	row->nr = (uint8_t)choice.nr;
	row->full = (uint8_t)((1U << row->nr) - 1);
	for (k = 0; k < choice.nr; k++) {
		strcpy(row->store[k], st[choice.store[k]].uuid);
		if (!hcv_record_find(&vol->rec, row->store[k]))
			sim_check(s, !hcv_record_add(&vol->rec, row->store[k],
						     true, err), "%s", err);
	}
}

static void drop_row(struct sim *s, struct sim_vol *vol)
{
	size_t i = rnd(s, (uint32_t)vol->rows.nr);
	struct hcv_row *row = &vol->rows.row[i];
	unsigned int k;

	/* The first row of each store stays. */
	for (k = 0; k < row->nr; k++)
		if (vol_extents(vol, row->store[k]) < 2)
			return;
	for (k = 0; k < row->nr; k++)
		s->garbage[sim_store(s, row->store[k])]++;
	memmove(row, row + 1, (vol->rows.nr - i - 1) * sizeof(*row));
	vol->rows.nr--;
}

/* Whether all that the stores have is in-sync elsewhere. */
static bool may_fail(struct sim *s, int store)
{
	size_t v;

	for (v = 0; v < VOLS; v++)
		if (!vol_served(s, &s->vol[v]) ||
		    !vol_good(s, &s->vol[v], s->store[store].id,
			      s->store[store].id))
			return false;
	return true;
}

static void new_owner(struct sim *s, struct sim_vol *vol, bool clean)
{
	int node = (int)rnd(s, NODES), tries;
	char err[HCV_ERR_SIZE];

	for (tries = 0; tries < NODES && !s->node[node].live; tries++)
		node = (node + 1) % NODES;
	if (!s->node[node].live)
		return;
	if (clean && vol_served(s, vol))
		sim_check(s, !hcv_record_detach(&vol->rec, vol->rec.owner,
						true, err), "%s", err);
	sim_check(s, !hcv_record_claim(&vol->rec, s->node[node].id, false,
				       true, err), "%s", err);
}

static void add_store(struct sim *s)
{
	struct hcv_rp_store *st = &s->store[s->nr_stores];

	if (s->nr_stores == STORES)
		return;
	sim_id(st->id, 2, s->nr_stores++);
	st->node = (int)rnd(s, NODES);
	st->total = 40 + rnd(s, 80);
	st->live = s->node[st->node].live;
}

/* A store that failed is replaced once nothing is left on it. */
static void replace_stores(struct sim *s)
{
	size_t i;

	for (i = 0; i < s->nr_stores; i++)
		if (s->store[i].failed && s->store[i].used ==
					  s->garbage[i]) {
			s->store[i].failed = false;
			s->garbage[i] = 0;
		}
}

static unsigned int nodes_away(const struct sim *s)
{
	unsigned int nr = 0, i;

	for (i = 0; i < NODES; i++)
		nr += !s->node[i].live;
	return nr;
}

static void disorder(struct sim *s)
{
	struct sim_vol *vol = &s->vol[rnd(s, VOLS)];
	size_t store = rnd(s, (uint32_t)s->nr_stores);
	struct hcv_rp_node *node = &s->node[rnd(s, NODES)];

	switch (rnd(s, 40)) {
	case 0:
		if (!node->live || nodes_away(s) < 2)
			node->live = !node->live;
		break;
	case 1:
	case 2:
		node->live = true;
		break;
	case 3:
		if (may_fail(s, (int)store))
			s->store[store].failed = true;
		break;
	case 4:
		replace_stores(s);
		break;
	case 5:
		s->drain[store] = !s->drain[store] && rnd(s, 3) == 0;
		break;
	case 6:
		node->draining = !node->draining && rnd(s, 4) == 0;
		break;
	case 7:
		new_owner(s, vol, rnd(s, 2));
		break;
	case 8:
		if (rnd(s, 4) == 0)
			add_store(s);
		break;
	case 9:
		s->sick[store] = !s->sick[store] && rnd(s, 3) == 0;
		break;
	case 10:	/* another leader */
		if (rnd(s, 8) == 0) {
			hcv_recplan_mem_free(s->mem);
			s->mem = hcv_recplan_mem_new();
		}
		break;
	case 11:
		if (vol_served(s, vol) && vol->rows.nr > 1 && !vol->job.used)
			drop_row(s, vol);
		break;
	default:
		if (rnd(s, 3) == 0 && vol_served(s, vol))
			place_row(s, (size_t)(vol - s->vol));
	}
}

static void turn(struct sim *s)
{
	size_t i;

	s->turn++;
	s->now_ms += TURN_MS;
	sim_count(s);
	for (i = 0; i < VOLS; i++) {
		int node = sim_node(s->vol[i].rec.owner);

		vol_turn(s, &s->vol[i]);
		if (!s->node[node].live && rnd(s, 10) == 0)
			new_owner(s, &s->vol[i], false);
	}
	for (i = 0; i < s->nr_stores; i++)
		if (s->garbage[i] && s->store[i].live)
			s->garbage[i]--;
	sim_count(s);
}

static void calm(struct sim *s)
{
	unsigned int quiet = 0, i;

	for (i = 0; i < NODES; i++)
		s->node[i].live = true;
	memset(s->sick, 0, sizeof(s->sick));
	for (i = 0; i < VOLS; i++)
		memset(s->vol[i].left, 0, sizeof(s->vol[i].left));
	/* What was begun before may still go wherever it was to go. */
	for (i = 0; i < CALM_TURNS && quiet < CALM_QUIET; i++) {
		turn(s);
		s->calm = i > CALM_QUIET;
		quiet = leader_turn(s, quiet == CALM_QUIET - 1) ? 0 :
			quiet + 1;
	}
	for (i = 0; i < VOLS && s->trace && quiet != CALM_QUIET; i++)
		trace_vol(s, i);
	sim_check(s, quiet == CALM_QUIET,
		  "seed %llu: jobs are begun without end",
		  (unsigned long long)s->seed);
	s->calm = false;
}

static void sim_init(struct sim *s, struct kunit *test, uint64_t seed)
{
	struct hcv_rec_ids none = { NULL, 0 };
	char err[HCV_ERR_SIZE];
	size_t i;

	memset(s, 0, sizeof(*s));
	s->test = test;
	s->seed = seed;
	s->rng = seed * 0x9e3779b97f4a7c15ULL + 1;
	s->now_ms = 1000000;
	s->trace = getenv("HCV_RECPLAN_TRACE");
	s->mem = hcv_recplan_mem_new();
	hcv_recplan_defaults(&s->cfg);
	s->cfg.absent_ms = 60000;
	s->cfg.settle_ms = 240000;
	s->cfg.target_ms = 20000;
	s->cfg.per_node = 2;
	for (i = 0; i < NODES; i++) {
		sim_id(s->node[i].id, 1, i);
		s->node[i].live = true;
		if (seed % 3 == 0)
			snprintf(s->node[i].rack, HCV_NAME_LEN, "r%zu", i / 2);
	}
	for (i = 0; i < STORES * 2 / 3; i++) {
		add_store(s);
		if (i < NODES)
			s->store[i].node = (int)i;
	}
	sim_count(s);
	for (i = 0; i < VOLS; i++) {
		struct sim_vol *vol = &s->vol[i];
		uint32_t rows = 1 + rnd(s, ROWS_MAX / 2);

		vol->replicas = 1 + rnd(s, 3);
		vol->domain = seed % 3 == 0 && rnd(s, 2) ? HCV_DOM_RACK :
			      rnd(s, 4) ? HCV_DOM_NODE : HCV_DOM_DISK;
		sim_check(s, !hcv_record_init(&vol->rec, 1, none, err), "%s",
			  err);
		sim_check(s, !hcv_record_claim(&vol->rec,
					       s->node[rnd(s, NODES)].id,
					       false, false, err), "%s", err);
		/* Nothing there yet: served at once. */
		vol->rec.phase = HCV_PH_SERVING;
		vol->rec.was_clean = false;
		while (rows--) {
			place_row(s, i);
			sim_count(s);
		}
	}
}

static void sim_exit(struct sim *s)
{
	size_t i;

	for (i = 0; i < VOLS; i++)
		free(s->vol[i].rows.row);
	hcv_recplan_mem_free(s->mem);
}

static void recplan_sim(struct kunit *test)
{
	const char *one = getenv("HCV_RECPLAN_SEED");
	const char *long_ = getenv("HCV_RECPLAN_TURNS");
	unsigned int turns = long_ ? (unsigned int)atoi(long_) : TURNS;
	uint64_t seed = one ? strtoull(one, NULL, 0) : 1;
	uint64_t end = one ? seed : seed + SEEDS - 1;
	unsigned int kinds[HCV_RP_KINDS] = { 0 }, round, i, k;
	static struct sim s;

	for (; seed <= end; seed++) {
		sim_init(&s, test, seed);
		for (round = 0; round < ROUNDS; round++) {
			for (i = 0; i < turns; i++) {
				disorder(&s);
				turn(&s);
				leader_turn(&s, false);
			}
			calm(&s);
		}
		printf("# seed %llu: %u turns, %u jobs begun, %u done, %u called off; %u elections by hand\n",
		       (unsigned long long)seed, s.turn, s.starts, s.dones,
		       s.cancels, s.by_hand);
		for (k = 0; k < HCV_RP_KINDS; k++)
			kinds[k] += s.kinds[k];
		sim_exit(&s);
	}
	/*
	 * A simulation that never does a thing proves nothing about it.  Racks
	 * do not change here, and nothing else puts two replicas into one.
	 */
	for (k = 0; k < HCV_RP_KINDS && !one; k++) {
		printf("# %s: %u\n", hcv_recplan_kind_name((enum hcv_rp_kind)k),
		       kinds[k]);
		if (k == HCV_RP_DOMAIN)
			continue;
		KUNIT_EXPECT_GT_MSG(test, kinds[k], 0, "no %s was begun",
				    hcv_recplan_kind_name((enum hcv_rp_kind)k));
	}
}

static struct kunit_case recplan_sim_cases[] = {
	KUNIT_CASE(recplan_sim),
	{}
};

static struct kunit_suite recplan_sim_suite = {
	.name = "recplan_sim",
	.test_cases = recplan_sim_cases,
};

kunit_test_suite(recplan_sim_suite);
