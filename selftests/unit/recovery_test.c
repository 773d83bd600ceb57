// SPDX-License-Identifier: GPL-2.0-only
/*
 * agent/planner.c and agent/owner_job.c, on a metadata store and beside a module
 * that are played here: what is written, step by step.
 *
 * Three nodes with a store each; the volume is on the first two of them.
 */
#include <kunit/test.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/jobplan.h"
#include "core/recplan.h"
#include "core/record.h"
#include "owner.h"
#include "planner.h"
#include "snap.h"

#define KEYS	64
#define NODES	3
#define ROWS	1003		/* more than a key has */
#define VOL	"00000000-0000-4000-8000-0000000000ff"

static struct {
	struct hcv_kv kv[KEYS];
	size_t nr;
	int64_t rev;
	int64_t now_ms;
	enum hcv_meta_result answer;	/* instead of a transaction */
	struct hcv_snap *snap;
	const struct hcv_reconciler *planner;
	struct hcv_identity id;
	unsigned int rows_told;		/* to the module */
	char dropped[HCV_ID_LEN];	/* the link that it was to drop */
	int kernel_says;
} world;

static char node_id[NODES][HCV_ID_LEN], store_id[NODES][HCV_ID_LEN];

/* ---------------------------------------------------------- the metadata store */

static struct hcv_kv *kv_find(const char *key)
{
	size_t i;

	for (i = 0; i < world.nr; i++)
		if (!strcmp(world.kv[i].key, key))
			return &world.kv[i];
	return NULL;
}

static void kv_del(const char *key)
{
	struct hcv_kv *kv = kv_find(key);

	if (!kv)
		return;
	free(kv->key);
	free(kv->value);
	*kv = world.kv[--world.nr];
}

static void kv_put(const char *key, const char *value)
{
	kv_del(key);
	world.kv[world.nr++] = (struct hcv_kv){
		.key = strdup(key), .value = strdup(value), .rev = world.rev,
	};
}

/* @value is freed. */
static void kv_set(const char *prefix, const char *id, char *value)
{
	char key[128];

	snprintf(key, sizeof(key), "%s%s", prefix, id);
	world.rev++;
	kv_put(key, value);
	free(value);
}

static int kv_order(const void *a, const void *b)
{
	return strcmp(((const struct hcv_kv *)a)->key,
		      ((const struct hcv_kv *)b)->key);
}

enum hcv_meta_result hcv_meta_txn(struct hcv_meta *m,
				  const struct hcv_cmp *cmp, size_t nr_cmp,
				  const struct hcv_op *op, size_t nr_op,
				  int64_t *rev, unsigned int deadline_ms)
{
	size_t i;

	if (world.answer)
		return world.answer;
	for (i = 0; i < nr_cmp; i++) {
		const struct hcv_kv *kv = kv_find(cmp[i].key);

		if ((kv ? kv->rev : 0) != cmp[i].rev)
			return HCV_META_CONFLICT;
	}
	world.rev++;
	for (i = 0; i < nr_op; i++) {
		if (op[i].value)
			kv_put(op[i].key, op[i].value);
		else
			kv_del(op[i].key);
	}
	if (rev)
		*rev = world.rev;
	return HCV_META_OK;
}

const char *hcv_meta_last_error(void)
{
	return "none";
}

/* --------------------------------------------------------------- the rest of it */

int64_t hcv_now_ms(void)
{
	return world.now_ms;
}

const struct hcv_identity *hcv_agent_id(struct hcv_agent *a)
{
	return &world.id;
}

struct hcv_meta *hcv_agent_meta(struct hcv_agent *a)
{
	return NULL;
}

int64_t hcv_member_lease(struct hcv_agent *a)
{
	return 7;
}

struct hcv_snap *hcv_snap_get(struct hcv_agent *a)
{
	return hcv_snap_ref(world.snap);
}

void hcv_snap_bad_key(struct hcv_agent *a, const char *key, int64_t rev,
		      const char *why)
{
	printf("# %s: %s\n", key, why);
}

void hcv_state_kick(struct hcv_agent *a)
{
}

void hcv_event_emit(struct hcv_agent *a, enum hcv_severity sev,
		    const char *object, struct json_object *data,
		    const char *fmt, ...)
{
}

void hcv_crash_pass(struct hcv_crash_point *p)
{
}

void hcv_reconciler_register(struct hcv_agent *a,
			     const struct hcv_reconciler *r)
{
	world.planner = r;
}

void hcv_api_register(struct hcv_agent *a, const struct hcv_api_cmd *cmd,
		      size_t nr)
{
}

bool hcv_job_start(struct hcv_agent *a, const char *key,
		   unsigned int deadline_ms, hcv_job_fn fn, hcv_job_fn done,
		   void *arg)
{
	struct hcv_job job = { .agent = a, .key = key };

	fn(&job);
	done(&job);
	return true;
}

bool hcv_job_expired(const struct hcv_job *job)
{
	return false;
}

struct hcv_klink *hcv_job_klink(struct hcv_job *job)
{
	return NULL;
}

int hcv_k_vol_get(struct hcv_klink *k, const char *vol, struct hcv_k_vol *out)
{
	return -1;
}

int hcv_k_vol_extent_add(struct hcv_klink *k, const char *vol, uint64_t epoch,
			 const struct hcv_row *row, size_t nr, uint8_t flags)
{
	world.rows_told = nr;
	return 0;
}

int hcv_k_vol_link_drop(struct hcv_klink *k, const char *vol, uint64_t epoch,
			const char *store)
{
	snprintf(world.dropped, sizeof(world.dropped), "%s", store);
	return world.kernel_says;
}

const char *hcv_klink_error(const struct hcv_klink *k)
{
	return world.kernel_says ? "it is needed" : "";
}

void hcv_owner_wrote(struct hcv_agent *a, const char *uuid, int64_t rev,
		     bool unknown)
{
}

const char *hcv_owner_view_name(const struct hcv_owner_view *w)
{
	return w->v.uuid;
}

/* ------------------------------------------------------------------- the cluster */

static void snap_take(void)
{
	struct hcv_kvs all = { .kv = world.kv, .nr = world.nr, .rev = world.rev };

	qsort(world.kv, world.nr, sizeof(*world.kv), kv_order);
	if (world.snap)
		hcv_snap_put(world.snap);
	world.snap = hcv_snap_build(NULL, &all);
	world.snap->taken_ms = world.now_ms;
}

static const struct hcv_snap_vol *the_vol(void)
{
	return hcv_snap_vol(world.snap, VOL);
}

static void store_put(unsigned int i, enum hcv_store_state state)
{
	struct hcv_store_info st = {
		.nr_extents = 4000, .state = state, .class = "ssd",
		.path = "/dev/x", .dev_bytes = 1ULL << 40,
	};

	strcpy(st.uuid, store_id[i]);
	strcpy(st.node, node_id[i]);
	snprintf(st.name, sizeof(st.name), "s%u", i);
	kv_set("store/", store_id[i], hcv_model_store_encode(&st));
}

static void store_live(unsigned int i, bool failed)
{
	struct hcv_store_info st = {
		.failed = failed, .incarnation = 5, .nqn_addr = "10.0.0.1",
		.port = 4420, .transport = "tcp",
	};

	strcpy(st.uuid, store_id[i]);
	kv_set("storelive/", store_id[i], hcv_model_storelive_encode(&st));
}

static void record_put(const struct hcv_record *rec)
{
	kv_set("rec/", VOL, hcv_model_record_encode(rec));
}

static void rows_put(void)
{
	struct hcv_rows rows = { .next = ROWS, .nr = ROWS };
	char *one, *two;
	size_t i;

	rows.row = calloc(ROWS, sizeof(*rows.row));
	for (i = 0; i < ROWS; i++) {
		rows.row[i].index = i;
		rows.row[i].nr = 2;
		rows.row[i].full = 3;
		strcpy(rows.row[i].store[0], store_id[0]);
		strcpy(rows.row[i].store[1], store_id[1]);
	}
	one = hcv_model_rows_encode(&rows, 0, HCV_ROWS_PER_KEY);
	two = hcv_model_rows_encode(&rows, HCV_ROWS_PER_KEY,
				    ROWS - HCV_ROWS_PER_KEY);
	kv_set("rows/", VOL, one);
	kv_set("rows/", VOL "/1", two);
	free(rows.row);
}

static void world_begin(struct kunit *test)
{
	const char *ids[] = { store_id[0], store_id[1] };
	struct hcv_rec_ids both = { .id = ids, .nr = 2 };
	struct hcv_vol_info vol = {
		.uuid = VOL, .name = "db1", .size = 1ULL << 38, .replicas = 2, .stripe = 1,
		.domain = HCV_DOM_NODE,
	};
	char err[HCV_ERR_SIZE];
	struct hcv_record rec;
	unsigned int i;
	int64_t now_ms;

	/* Time goes on. */
	now_ms = world.now_ms + 1000000;
	memset(&world, 0, sizeof(world));
	world.now_ms = now_ms;
	for (i = 0; i < NODES; i++) {
		struct hcv_node_info n = {
			.addr = "10.0.0.1", .port = 4420, .transport = "tcp",
		};

		snprintf(node_id[i], HCV_ID_LEN,
			 "00000000-0000-4000-8000-00000000001%u", i);
		snprintf(store_id[i], HCV_ID_LEN,
			 "00000000-0000-4000-8000-00000000002%u", i);
		strcpy(n.uuid, node_id[i]);
		snprintf(n.name, sizeof(n.name), "n%u", i);
		kv_set("node/", node_id[i], hcv_model_node_encode(&n));
		kv_set("live/", node_id[i], strdup("{}"));
		store_put(i, HCV_ST_READY);
		store_live(i, false);
	}
	strcpy(world.id.node, node_id[0]);
	KUNIT_ASSERT_EQ(test, hcv_record_init(&rec, 1, both, err), 0);
	KUNIT_ASSERT_EQ(test, hcv_record_claim(&rec, node_id[0], false, false,
					       err), 0);
	rec.phase = HCV_PH_SERVING;
	rec.was_clean = false;
	record_put(&rec);
	rows_put();
	kv_set("vol/", VOL, hcv_model_vol_encode(&vol));
	KUNIT_ASSERT_EQ(test, hcv_planner_init(NULL), 0);
	snap_take();
	KUNIT_ASSERT_EQ(test, world.snap->nr_stores, NODES);
	KUNIT_ASSERT_TRUE(test, world.snap->store[2].i.live);
	KUNIT_ASSERT_EQ(test, the_vol()->rows.nr, ROWS);
}

static void world_end(void)
{
	hcv_planner_exit(NULL);
	hcv_snap_put(world.snap);
	while (world.nr)
		kv_del(world.kv[0].key);
}

/* The planner looks, of a snapshot that is up to date. */
static void plan(void)
{
	world.now_ms += 5000;
	world.planner->tick(NULL);
	snap_take();
}

/* ---------------------------------------------------------------- the owner */

static struct hcv_owner_step owner_step(struct hcv_owner_view *w,
					struct hcv_vp_out *out)
{
	struct hcv_owner_step s = { .w = w, .out = out };

	memset(w, 0, sizeof(*w));
	w->snap = world.snap;
	w->v = *the_vol();
	w->known = true;
	return s;
}

/* As step_commit() does. */
enum hcv_owner_result hcv_owner_remove(struct hcv_owner_step *s)
{
	struct hcv_record rec = s->w->v.rec;
	char err[HCV_ERR_SIZE];

	if (hcv_record_remove(&rec, s->out->store, NULL, &s->w->v.rows, err))
		return HCV_OWNER_FAILED;
	record_put(&rec);
	return HCV_OWNER_DONE;
}

/* Return: what was done; HCV_JP_WAIT: nothing, or it did not work */
static enum hcv_jp_act own(void)
{
	struct hcv_jp_out next;
	struct hcv_owner_view w;
	struct hcv_vp_out out = { 0 };
	struct hcv_owner_step s = owner_step(&w, &out);
	struct hcv_jp_in in = {
		.from = w.v.job.from, .to = w.v.job.to,
		.cancel = w.v.job.cancel, .replicas = 2, .rec = &w.v.rec,
		.rows = &w.v.rows,
	};
	size_t i;

	for (i = 0; i < w.v.rec.nr; i++)
		in.good[i] = w.v.rec.st[i].state == HCV_RS_INSYNC;
	hcv_jobplan_next(&in, &next);
	if (next.act == HCV_JP_WAIT)
		return next.act;
	out.act = HCV_VP_JOB;
	out.job = next.act;
	out.row = next.row;
	out.done = next.done;
	out.why = next.why;
	if (next.store)
		snprintf(out.store, sizeof(out.store), "%s", next.store);
	if (hcv_owner_job(&s) == HCV_OWNER_FAILED || s.conflict)
		next.act = HCV_JP_WAIT;
	snap_take();
	return next.act;
}

static unsigned int own_all(enum hcv_jp_act act)
{
	unsigned int nr = 0;

	while (nr < 20 && own() == act)
		nr++;
	return nr;
}

static unsigned int rows_on(unsigned int store)
{
	const struct hcv_rows *rows = &the_vol()->rows;
	unsigned int nr = 0, k;
	size_t i;

	for (i = 0; i < rows->nr; i++)
		for (k = 0; k < rows->row[i].nr; k++)
			nr += !strcmp(rows->row[i].store[k], store_id[store]);
	return nr;
}

static void fill(struct kunit *test, unsigned int store)
{
	struct hcv_record rec = the_vol()->rec;
	char err[HCV_ERR_SIZE];

	KUNIT_ASSERT_EQ(test, hcv_record_begin_sync(&rec, store_id[store],
						    err), 0);
	KUNIT_ASSERT_EQ(test, hcv_record_join(&rec, store_id[store], err), 0);
	record_put(&rec);
	snap_take();
}

static const char *key_of(const char *prefix, unsigned int store)
{
	static char key[128];

	snprintf(key, sizeof(key), "%s%s/%s", prefix, store_id[store], VOL);
	return key;
}

/* ---------------------------------------------------------------------- cases */

/* The leader is found, and store 1 emptied: to store 2, from begin to end. */
static void recovery_drain(struct kunit *test)
{
	world_begin(test);
	plan();
	KUNIT_EXPECT_STREQ(test, (const char *)world.snap->leader, node_id[0]);
	plan();
	KUNIT_EXPECT_EQ(test, the_vol()->job_rev, 0);
	store_put(1, HCV_ST_DRAINING);
	snap_take();
	plan();
	KUNIT_ASSERT_NE(test, the_vol()->job_rev, 0);
	KUNIT_EXPECT_EQ(test, the_vol()->job.kind, HCV_RP_DRAIN);
	KUNIT_EXPECT_STREQ(test, the_vol()->job.from, store_id[1]);
	KUNIT_EXPECT_STREQ(test, the_vol()->job.to, store_id[2]);
	/* Two keys with rows. */
	KUNIT_EXPECT_EQ(test, own(), HCV_JP_ADD);
	KUNIT_EXPECT_EQ(test, rows_on(2), HCV_ROWS_PER_KEY);
	KUNIT_EXPECT_EQ(test, own_all(HCV_JP_ADD), 1);
	KUNIT_EXPECT_EQ(test, rows_on(2), ROWS);
	KUNIT_EXPECT_EQ(test, the_vol()->rec.nr, 3);
	fill(test, 2);
	plan();
	KUNIT_EXPECT_EQ(test, own(), HCV_JP_REMOVE);
	KUNIT_EXPECT_EQ(test, own_all(HCV_JP_DROP), 2);
	KUNIT_EXPECT_EQ(test, rows_on(0), ROWS);
	KUNIT_EXPECT_EQ(test, rows_on(1), 0);
	KUNIT_EXPECT_EQ(test, the_vol()->rec.nr, 2);
	KUNIT_EXPECT_EQ(test, the_vol()->job_rev, 0);
	KUNIT_EXPECT_EQ(test, the_vol()->rows.next, ROWS);
	KUNIT_ASSERT_EQ(test, world.snap->nr_tombs, 1);
	KUNIT_EXPECT_TRUE(test, world.snap->tomb[0].left);
	KUNIT_EXPECT_EQ(test, world.snap->tomb[0].epoch, the_vol()->rec.epoch);
	/* Whoever is added again gets a higher renewal. */
	KUNIT_EXPECT_EQ(test, world.snap->tomb[0].renew, the_vol()->rec.v);
	KUNIT_EXPECT_NOT_NULL(test, kv_find(key_of("tomb/", 1)));
	/* It cannot go back there before all is free. */
	store_put(1, HCV_ST_READY);
	store_put(2, HCV_ST_DRAINING);
	snap_take();
	plan();
	KUNIT_EXPECT_EQ(test, the_vol()->job_rev, 0);
	kv_del(key_of("tomb/", 1));
	snap_take();
	plan();
	KUNIT_EXPECT_NE(test, the_vol()->job_rev, 0);
	world_end();
}

/*
 * A store that was forgotten with something of the volume on it: nobody is to
 * free that, unless it is known again by then.
 */
static void recovery_forgotten(struct kunit *test)
{
	world_begin(test);
	plan();
	kv_del("store/00000000-0000-4000-8000-000000000021");
	kv_del("storelive/00000000-0000-4000-8000-000000000021");
	snap_take();
	plan();
	KUNIT_ASSERT_NE(test, the_vol()->job_rev, 0);
	KUNIT_EXPECT_STREQ(test, the_vol()->job.from, store_id[1]);
	KUNIT_EXPECT_EQ(test, own_all(HCV_JP_ADD), 2);
	fill(test, 2);
	KUNIT_EXPECT_EQ(test, own(), HCV_JP_REMOVE);
	KUNIT_EXPECT_EQ(test, own(), HCV_JP_DROP);
	store_put(1, HCV_ST_READY);
	KUNIT_EXPECT_EQ(test, own(), HCV_JP_WAIT);
	KUNIT_EXPECT_EQ(test, rows_on(1), ROWS - HCV_ROWS_PER_KEY);
	KUNIT_EXPECT_EQ(test, own(), HCV_JP_DROP);
	KUNIT_EXPECT_EQ(test, rows_on(1), 0);
	KUNIT_EXPECT_NOT_NULL(test, kv_find(key_of("tomb/", 1)));
	world_end();
}

/* What was read long ago is no reason to begin anything. */
static void recovery_old_view(struct kunit *test)
{
	world_begin(test);
	plan();
	store_put(1, HCV_ST_DRAINING);
	snap_take();
	world.now_ms += 5001;
	plan();
	KUNIT_EXPECT_EQ(test, the_vol()->job_rev, 0);
	plan();
	KUNIT_EXPECT_NE(test, the_vol()->job_rev, 0);
	world_end();
}

/* Who is not the leader, or not any more, writes nothing. */
static void recovery_two_leaders(struct kunit *test)
{
	world_begin(test);
	kv_set("leader", "", strdup("{\"schema\":1,\"node\":\"other\"}"));
	store_put(1, HCV_ST_DRAINING);
	snap_take();
	plan();
	KUNIT_EXPECT_EQ(test, the_vol()->job_rev, 0);
	kv_del("leader");
	snap_take();
	plan();
	/* It thinks that it leads, and another one was faster. */
	kv_set("leader", "", strdup("{\"schema\":1,\"node\":\"other\"}"));
	world.now_ms += 5000;
	world.planner->tick(NULL);
	snap_take();
	KUNIT_EXPECT_EQ(test, the_vol()->job_rev, 0);
	world_end();
}

/* Paused: nothing is begun. */
static void recovery_paused(struct kunit *test)
{
	world_begin(test);
	plan();
	store_put(1, HCV_ST_DRAINING);
	kv_set("recovery", "", strdup("{\"schema\":1,\"paused\":true}"));
	snap_take();
	plan();
	KUNIT_EXPECT_EQ(test, the_vol()->job_rev, 0);
	kv_del("recovery");
	kv_set("recovery/", node_id[0],
	       strdup("{\"schema\":1,\"paused\":true}"));
	snap_take();
	plan();
	KUNIT_EXPECT_EQ(test, the_vol()->job_rev, 0);
	kv_del("recovery/00000000-0000-4000-8000-000000000010");
	snap_take();
	plan();
	KUNIT_EXPECT_NE(test, the_vol()->job_rev, 0);
	world_end();
}

/* A target that fails is called off, and what it had is given back. */
static void recovery_target_fails(struct kunit *test)
{
	world_begin(test);
	plan();
	store_put(1, HCV_ST_DRAINING);
	snap_take();
	plan();
	KUNIT_EXPECT_EQ(test, own_all(HCV_JP_ADD), 2);
	store_live(2, true);
	snap_take();
	plan();
	KUNIT_EXPECT_TRUE(test, the_vol()->job.cancel);
	KUNIT_EXPECT_EQ(test, own_all(HCV_JP_DROP), 2);
	KUNIT_EXPECT_EQ(test, rows_on(2), 0);
	KUNIT_EXPECT_EQ(test, rows_on(1), ROWS);
	KUNIT_EXPECT_EQ(test, the_vol()->job_rev, 0);
	KUNIT_EXPECT_NOT_NULL(test, kv_find(key_of("tomb/", 2)));
	KUNIT_EXPECT_EQ(test, hcv_record_nr_insync(&the_vol()->rec), 2);
	/* Its store is removed: nobody else frees what it had. */
	kv_del("store/00000000-0000-4000-8000-000000000022");
	kv_del("storelive/00000000-0000-4000-8000-000000000022");
	snap_take();
	plan();
	KUNIT_EXPECT_EQ(test, world.snap->nr_tombs, 0);
	world_end();
}

/* Somebody writes what was there. */
static void touch(const char *prefix)
{
	char key[128];

	snprintf(key, sizeof(key), "%s%s", prefix, VOL);
	kv_set(key, "", strdup(kv_find(key)->value));
}

/* Steps that do not find things as they were change nothing. */
static void recovery_conflicts(struct kunit *test)
{
	static const char *const keys[] = { "job/", "rec/", "rows/" };
	size_t i;

	world_begin(test);
	plan();
	store_put(1, HCV_ST_DRAINING);
	snap_take();
	touch("rec/");
	plan();
	KUNIT_EXPECT_EQ(test, the_vol()->job_rev, 0);
	plan();
	KUNIT_EXPECT_NE(test, the_vol()->job_rev, 0);
	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		touch(keys[i]);
		KUNIT_EXPECT_EQ_MSG(test, own(), HCV_JP_WAIT, "%s", keys[i]);
		KUNIT_EXPECT_EQ(test, rows_on(2), 0);
	}
	world.answer = HCV_META_UNREACHABLE;
	KUNIT_EXPECT_EQ(test, own(), HCV_JP_WAIT);
	world.answer = HCV_META_OK;
	/* The target is as full as another one has just made it. */
	store_put(2, HCV_ST_READY);
	KUNIT_EXPECT_EQ(test, own(), HCV_JP_WAIT);
	KUNIT_EXPECT_EQ(test, rows_on(2), 0);
	/* It has something of the volume to free still. */
	kv_set("tomb/", key_of("", 2), strdup("{\"schema\":1,\"left\":1}"));
	KUNIT_EXPECT_EQ(test, own(), HCV_JP_WAIT);
	KUNIT_EXPECT_EQ(test, rows_on(2), 0);
	kv_del(key_of("tomb/", 2));
	/* It is to be emptied itself. */
	store_put(2, HCV_ST_DRAINING);
	snap_take();
	KUNIT_EXPECT_EQ(test, own(), HCV_JP_WAIT);
	store_put(2, HCV_ST_READY);
	snap_take();
	KUNIT_EXPECT_EQ(test, own_all(HCV_JP_ADD), 2);
	world_end();
}

/* Before a link fills extents the module gets the rows that it has, anew. */
static void recovery_rows(struct kunit *test)
{
	static struct hcv_k_vol k;
	struct hcv_owner_view w;
	struct hcv_vp_out out = { 0 };
	struct hcv_owner_step s;

	world_begin(test);
	s = owner_step(&w, &out);
	s.k = &k;
	k.can_retire = true;
	k.next_index = 500;
	KUNIT_EXPECT_EQ(test, hcv_owner_job_rows(&s), HCV_OWNER_DONE);
	KUNIT_EXPECT_EQ(test, world.rows_told, 500);
	k.can_retire = false;
	k.nr_extents = 7;
	KUNIT_EXPECT_EQ(test, hcv_owner_job_rows(&s), HCV_OWNER_DONE);
	KUNIT_EXPECT_EQ(test, world.rows_told, 7);
	world_end();
}

/* What has not failed leaves by the module; the record is not touched yet. */
static void recovery_release(struct kunit *test)
{
	struct hcv_owner_view w;
	struct hcv_vp_out out = { .act = HCV_VP_JOB, .job = HCV_JP_RELEASE };
	struct hcv_owner_step s;
	int64_t rev;

	world_begin(test);
	s = owner_step(&w, &out);
	strcpy(out.store, store_id[1]);
	rev = world.rev;
	KUNIT_EXPECT_EQ(test, hcv_owner_job(&s), HCV_OWNER_DONE);
	KUNIT_EXPECT_STREQ(test, (const char *)world.dropped, store_id[1]);
	world.kernel_says = -EBUSY;
	KUNIT_EXPECT_EQ(test, hcv_owner_job(&s), HCV_OWNER_FAILED);
	KUNIT_EXPECT_EQ(test, s.kernel_err, -EBUSY);
	KUNIT_EXPECT_NOT_NULL(test, strstr(s.err, "it is needed"));
	KUNIT_EXPECT_EQ(test, world.rev, rev);
	world_end();
}

static void plan_for(unsigned int ms)
{
	for (; ms >= 5000; ms -= 5000)
		plan();
}

static void care_able(void)
{
	unsigned int i;

	for (i = 0; i < NODES; i++)
		kv_set("live/", node_id[i], strdup("{\"caretaker\":true}"));
}

static void owned_by(unsigned int node, enum hcv_rec_phase phase, bool care,
		     bool leave)
{
	struct hcv_record rec = the_vol()->rec;

	strcpy(rec.owner, phase ? node_id[node] : "");
	rec.phase = phase;
	rec.care.on = care;
	rec.care.leave = leave;
	record_put(&rec);
	snap_take();
}

/*
 * A store of a volume that nobody has is to be emptied: a node is named, which is
 * given the job when it serves, and is named no more when the volume is attached.
 */
static void recovery_care(struct kunit *test)
{
	world_begin(test);
	store_put(1, HCV_ST_DRAINING);
	owned_by(0, HCV_PH_NONE, false, false);
	plan_for(40000);
	/* None of them is able to. */
	KUNIT_EXPECT_TRUE(test, !kv_find("care/" VOL) && !kv_find("job/" VOL));
	care_able();
	snap_take();
	plan();
	KUNIT_ASSERT_NOT_NULL(test, kv_find("care/" VOL));
	KUNIT_EXPECT_FALSE(test, kv_find("job/" VOL));
	KUNIT_EXPECT_STREQ(test, the_vol()->care.node, node_id[0]);
	KUNIT_EXPECT_NOT_NULL(test, strstr(the_vol()->care.why, "drain"));
	owned_by(0, HCV_PH_TAKING, true, false);
	plan();
	KUNIT_EXPECT_FALSE(test, kv_find("job/" VOL));
	owned_by(0, HCV_PH_SERVING, true, false);
	plan();
	KUNIT_EXPECT_NOT_NULL(test, kv_find("job/" VOL));
	KUNIT_EXPECT_NOT_NULL(test, kv_find("care/" VOL));
	/* Somebody wants it: nobody is named after it is free, for a while. */
	owned_by(0, HCV_PH_SERVING, true, true);
	kv_del("care/" VOL);
	snap_take();
	plan_for(40000);
	KUNIT_EXPECT_FALSE(test, kv_find("care/" VOL));
	owned_by(0, HCV_PH_NONE, false, false);
	plan_for(15000);
	KUNIT_EXPECT_FALSE(test, kv_find("care/" VOL));
	plan();
	KUNIT_EXPECT_NOT_NULL(test, kv_find("care/" VOL));
	owned_by(2, HCV_PH_SERVING, false, false);
	plan();
	KUNIT_EXPECT_FALSE(test, kv_find("care/" VOL));
	world_end();
}

/* The one that is named, or takes care of it, is gone: another one is named. */
static void recovery_care_gone(struct kunit *test)
{
	world_begin(test);
	store_put(1, HCV_ST_DRAINING);
	care_able();
	owned_by(0, HCV_PH_NONE, false, false);
	plan_for(20000);
	KUNIT_ASSERT_NOT_NULL(test, kv_find("care/" VOL));
	owned_by(0, HCV_PH_SERVING, true, false);
	plan();
	kv_del("live/00000000-0000-4000-8000-000000000010");
	snap_take();
	plan_for(30000);
	KUNIT_EXPECT_STREQ(test, the_vol()->care.node, node_id[0]);
	plan();
	KUNIT_EXPECT_STRNEQ(test, the_vol()->care.node, node_id[0]);
	world_end();
}

/* What was decided on a record, or as the leader, of before is void. */
static void recovery_care_late(struct kunit *test)
{
	world_begin(test);
	store_put(1, HCV_ST_DRAINING);
	care_able();
	owned_by(0, HCV_PH_NONE, false, false);
	plan_for(15000);
	touch("rec/");
	world.now_ms += 5000;
	world.planner->tick(NULL);
	KUNIT_EXPECT_FALSE(test, kv_find("care/" VOL));
	snap_take();
	touch("vol/");
	world.now_ms += 5000;
	world.planner->tick(NULL);
	KUNIT_EXPECT_FALSE(test, kv_find("care/" VOL));
	snap_take();
	kv_set("leader", "", strdup("{\"node\":\"x\"}"));
	world.now_ms += 5000;
	world.planner->tick(NULL);
	KUNIT_EXPECT_FALSE(test, kv_find("care/" VOL));
	world_end();
}

static struct kunit_case recovery_cases[] = {
	KUNIT_CASE(recovery_drain),
	KUNIT_CASE(recovery_forgotten),
	KUNIT_CASE(recovery_old_view),
	KUNIT_CASE(recovery_two_leaders),
	KUNIT_CASE(recovery_paused),
	KUNIT_CASE(recovery_target_fails),
	KUNIT_CASE(recovery_conflicts),
	KUNIT_CASE(recovery_rows),
	KUNIT_CASE(recovery_release),
	KUNIT_CASE(recovery_care),
	KUNIT_CASE(recovery_care_gone),
	KUNIT_CASE(recovery_care_late),
	{}
};

static struct kunit_suite recovery_suite = {
	.name = "recovery",
	.test_cases = recovery_cases,
};

kunit_test_suite(recovery_suite);
