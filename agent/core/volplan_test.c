// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each step of a volume on its owner, and each input that is stale, late or
 * contradicts itself.
 *
 * Every case starts from a running volume: node 1 owns it (epoch 5, v 9), two
 * rows on store A (node 1) and store B (node 2), both in-sync.  The case's
 * function changes what it is about.
 */
#include <kunit/test.h>

#include <stdio.h>
#include <string.h>

#include "volplan.h"

#define N1 "00000000-0000-4000-8000-000000000001"
#define N2 "00000000-0000-4000-8000-000000000002"
#define SA "00000000-0000-4000-8000-00000000000a"
#define SB "00000000-0000-4000-8000-00000000000b"
#define SC "00000000-0000-4000-8000-00000000000c"
#define NOW 100000

struct fix {
	struct hcv_record rec;
	struct hcv_vol_info vol;
	struct hcv_row row[8];
	struct hcv_rows rows;
	struct hcv_k_vol k;
	struct hcv_grant_info grant[3];
	struct hcv_vp_store st[3];
	struct hcv_vp_mem mem;
	struct hcv_vp_in in;
};

static void fix_row(struct fix *f, const char *s0, const char *s1)
{
	struct hcv_row *row = &f->row[f->rows.nr];

	row->index = f->rows.next++;
	row->column = 0;
	row->nr = s1 ? 2 : 1;
	row->full = s1 ? 3 : 1;
	strcpy(row->store[0], s0);
	if (s1)
		strcpy(row->store[1], s1);
	f->rows.nr++;
}

static void fix_store(struct fix *f, size_t i, const char *id, bool local)
{
	struct hcv_grant_info *g = &f->grant[i];
	struct hcv_vp_store *st = &f->st[i];

	g->epoch = 5;
	strcpy(g->client, N1);
	g->incarnation = 70 + i;
	g->ready = 8;
	g->nr = 1;
	g->range[0].first = 64;
	g->range[0].count = 64;
	strcpy(st->id, id);
	snprintf(st->name, sizeof(st->name), "store%zu", i);
	st->local = local;
	st->live = true;
	st->incarnation = 70 + i;
	st->has_grant = true;
	st->grant = g;
	st->path = local ? NULL : "/dev/nvme0n1";
	strcpy(f->rec.st[i].store, id);
	f->rec.st[i].state = HCV_RS_INSYNC;
	strcpy(f->k.link[i].store, id);
	f->k.link[i].state = HCV_LINK_INSYNC;
	f->k.link[i].incarnation = 70 + i;
}

static void fix_init(struct fix *f)
{
	memset(f, 0, sizeof(*f));
	fix_store(f, 0, SA, true);
	fix_store(f, 1, SB, false);
	fix_store(f, 2, SC, false);
	strcpy(f->rec.owner, N1);
	f->rec.epoch = 5;
	f->rec.v = 9;
	f->rec.phase = HCV_PH_SERVING;
	f->rec.nr = 2;
	strcpy(f->vol.name, "db1");
	f->vol.size = 512ULL << 20;
	f->vol.stripe = 1;
	f->vol.replicas = 2;
	f->rows.row = f->row;
	fix_row(f, SA, SB);
	fix_row(f, SA, SB);
	f->k.epoch = 5;
	f->k.v = 9;
	f->k.state = HCV_VOL_ACTIVE;
	f->k.size = f->vol.size;
	strcpy(f->k.name, "db1");
	f->k.stripe = 1;
	f->k.nr_extents = 2;
	f->k.nr_col = 1;
	f->k.col_ready[0] = 1;
	f->k.nr_links = 2;
	f->mem.epoch = 5;
	f->mem.taking_ms = NOW - 1000;
	f->mem.serving_ms = NOW - 1000;
	f->in = (struct hcv_vp_in) {
		.node = N1, .now_ms = NOW, .known = true, .settled = true,
		.rec = &f->rec, .vol = &f->vol, .rows = &f->rows, .k = &f->k,
		.st = f->st, .nr_st = 3, .mem = &f->mem,
	};
}

/* ------------------------------------------------------------- the changes */

static void absent(struct fix *f)
{
	f->in.k = NULL;
}

static void taking(struct fix *f)
{
	f->rec.phase = HCV_PH_TAKING;
	f->rec.was_clean = true;
	f->k.state = HCV_VOL_NEW;
	f->k.nr_links = 0;
	f->k.nr_extents = 0;
}

static void unclean(struct fix *f)
{
	taking(f);
	f->rec.was_clean = false;
}

static void fresh(struct fix *f)
{
	f->k.state = HCV_VOL_NEW;
	f->k.nr_links = 0;
	f->k.nr_extents = 0;
}

static void no_record(struct fix *f)
{
	f->in.rec = NULL;
}

static void unread(struct fix *f)
{
	f->in.known = false;
	f->in.rec = NULL;
}

static void unread_force(struct fix *f)
{
	unread(f);
	f->in.want_force = true;
}

static void other_owner(struct fix *f)
{
	strcpy(f->rec.owner, N2);
	f->rec.epoch = 6;
	f->rec.phase = HCV_PH_TAKING;
}

static void other_owner_unsettled(struct fix *f)
{
	other_owner(f);
	f->in.settled = false;
}

static void other_owner_fenced(struct fix *f)
{
	other_owner(f);
	f->k.state = HCV_VOL_FENCED;
}

static void other_owner_stopping(struct fix *f)
{
	other_owner(f);
	f->k.state = HCV_VOL_STOPPING;
}

static void other_owner_zombie(struct fix *f)
{
	other_owner(f);
	f->k.state = HCV_VOL_ZOMBIE;
}

static void other_owner_absent(struct fix *f)
{
	other_owner(f);
	absent(f);
}

static void newer_epoch(struct fix *f)
{
	f->rec.epoch = 6;
}

static void older_epoch(struct fix *f)
{
	f->rec.epoch = 4;
}

static void older_v(struct fix *f)
{
	f->rec.v = 8;
}

static void older_v_unsettled(struct fix *f)
{
	f->rec.v = 8;
	f->in.settled = false;
}

static void taking_absent(struct fix *f)
{
	taking(f);
	absent(f);
}

static void taking_zombie(struct fix *f)
{
	taking(f);
	f->k.state = HCV_VOL_ZOMBIE;
	f->k.epoch = 4;
}

static void taking_active(struct fix *f)
{
	taking(f);
	f->k.state = HCV_VOL_ACTIVE;
}

static void taking_no_grant(struct fix *f)
{
	taking(f);
	f->st[1].has_grant = false;
}

static void taking_old_grant(struct fix *f)
{
	taking(f);
	f->grant[1].epoch = 4;
}

static void taking_foreign_grant(struct fix *f)
{
	taking(f);
	strcpy(f->grant[1].client, N2);
}

static void taking_old_incarnation(struct fix *f)
{
	taking(f);
	f->grant[1].incarnation = 60;
}

static void taking_unformatted(struct fix *f)
{
	taking(f);
	f->grant[1].ready = 1;
}

static void taking_late(struct fix *f)
{
	taking_no_grant(f);
	f->mem.taking_ms = NOW - HCV_VP_GRANT_WAIT_MS;
}

static void taking_dead(struct fix *f)
{
	taking(f);
	f->st[1].live = false;
}

static void taking_all_dead(struct fix *f)
{
	taking_dead(f);
	f->st[0].live = false;
	f->mem.taking_ms = NOW - 100 * HCV_VP_GRANT_WAIT_MS;
}

static void taking_uncovered(struct fix *f)
{
	taking_dead(f);
	f->mem.taking_ms = NOW - 100 * HCV_VP_GRANT_WAIT_MS;
	fix_row(f, SB, NULL);
}

static void taking_detach(struct fix *f)
{
	taking(f);
	f->in.want_detach = true;
}

static void taking_detach_absent(struct fix *f)
{
	taking_absent(f);
	f->in.want_detach = true;
}

static void unclean_detach_absent(struct fix *f)
{
	unclean(f);
	absent(f);
	f->in.want_detach = true;
}

static void unclean_local_waits(struct fix *f)
{
	unclean(f);
	f->st[0].has_grant = false;
}

static void unclean_local_late(struct fix *f)
{
	unclean_local_waits(f);
	f->mem.taking_ms = NOW - HCV_VP_GRANT_WAIT_MS;
}

static void unclean_remote_waits(struct fix *f)
{
	unclean(f);
	f->st[1].has_grant = false;
}

static void fresh_granted(struct fix *f)
{
	fresh(f);
	f->st[1].path = NULL;
	f->k.nr_links = 1;
}

static void fresh_connected(struct fix *f)
{
	fresh(f);
	f->k.nr_links = 1;
}

static void fresh_linked(struct fix *f)
{
	fresh(f);
	f->k.nr_links = 2;
}

static void fresh_rows(struct fix *f)
{
	fresh_linked(f);
	f->k.nr_extents = 2;
}

static void fresh_elected(struct fix *f)
{
	fresh_rows(f);
	f->rec.st[1].state = HCV_RS_STALE;
	f->k.nr_links = 1;
}

static void fresh_dead(struct fix *f)
{
	fresh(f);
	f->k.nr_links = 1;
	f->st[1].live = false;
}

static void fresh_late(struct fix *f)
{
	fresh(f);
	f->k.nr_links = 1;
	f->st[1].has_grant = false;
	f->mem.serving_ms = NOW - HCV_VP_LINK_WAIT_MS;
}

static void fresh_last_dead(struct fix *f)
{
	fresh(f);
	f->rec.st[0].state = HCV_RS_STALE;
	f->st[1].live = false;
}

static void fresh_failing(struct fix *f)
{
	fresh_rows(f);
	f->k.link[1].state = HCV_LINK_FAILING;
}

static void fresh_failing_removed(struct fix *f)
{
	fresh_failing(f);
	f->rec.st[1].state = HCV_RS_STALE;
}

static void fresh_contradiction(struct fix *f)
{
	fresh_rows(f);
	f->rec.st[1].state = HCV_RS_STALE;
}

static void loading(struct fix *f)
{
	f->k.state = HCV_VOL_LOADING;
}

static void failing(struct fix *f)
{
	f->k.link[1].state = HCV_LINK_FAILING;
}

static void failing_urgent(struct fix *f)
{
	failing(f);
	f->in.urgent = true;
}

static void failing_removed(struct fix *f)
{
	failing(f);
	f->rec.st[1].state = HCV_RS_STALE;
	f->rec.v = 10;
}

static void failing_unknown_store(struct fix *f)
{
	failing(f);
	f->rec.nr = 1;
}

static void failing_last(struct fix *f)
{
	failing(f);
	f->rec.st[0].state = HCV_RS_STALE;
	f->k.link[0].state = HCV_LINK_SYNCING;
	f->rec.st[0].state = HCV_RS_SYNCING;
}

static void failing_row_last(struct fix *f)
{
	failing(f);
	fix_row(f, SB, NULL);
	f->k.nr_extents = 3;
}

static void failing_join_first(struct fix *f)
{
	failing(f);
	f->rec.st[0].state = HCV_RS_SYNCING;
	f->k.link[0].state = HCV_LINK_JOINING;
}

static void failing_joined(struct fix *f)
{
	failing(f);
	f->k.link[0].state = HCV_LINK_JOINING;
}

static void failing_both(struct fix *f)
{
	failing(f);
	f->k.link[0].state = HCV_LINK_FAILING;
}

static void joining(struct fix *f)
{
	f->rec.st[1].state = HCV_RS_SYNCING;
	f->k.link[1].state = HCV_LINK_JOINING;
}

static void joining_recorded(struct fix *f)
{
	f->k.link[1].state = HCV_LINK_JOINING;
}

static void joining_stale(struct fix *f)
{
	joining(f);
	f->rec.st[1].state = HCV_RS_STALE;
}

static void joining_failed(struct fix *f)
{
	joining(f);
	f->k.link[1].state = HCV_LINK_FAILING;
}

static void lost(struct fix *f)
{
	f->rec.st[1].state = HCV_RS_STALE;
	f->st[1].live = false;
	f->k.nr_links = 1;
	f->k.link[0].state = HCV_LINK_LOST;
}

static void lost_away(struct fix *f)
{
	lost(f);
	f->st[0].live = false;
}

static void lost_reborn(struct fix *f)
{
	lost(f);
	f->st[0].incarnation = 99;
	f->grant[0].incarnation = 99;
}

static void out_stale(struct fix *f)
{
	f->rec.st[1].state = HCV_RS_STALE;
	f->k.link[1].state = HCV_LINK_OUT;
}

static void fresh_out_stale(struct fix *f)
{
	fresh_elected(f);
	f->k.nr_links = 2;
	f->k.link[1].state = HCV_LINK_OUT;
}

static void out_dropped(struct fix *f)
{
	out_stale(f);
	f->st[1].dropped = true;
}

static void out_syncing_dropped(struct fix *f)
{
	out_dropped(f);
	f->rec.st[1].state = HCV_RS_SYNCING;
	f->rec.st[1].v = 3;
}

static void out_syncing(struct fix *f)
{
	f->rec.st[1].state = HCV_RS_SYNCING;
	f->k.link[1].state = HCV_LINK_OUT;
}

static void stale_gone(struct fix *f)
{
	f->rec.st[1].state = HCV_RS_STALE;
	f->rec.st[1].v = 8;
	f->k.nr_links = 1;
	f->st[1].live = false;
}

static void stale_failed_disk(struct fix *f)
{
	stale_gone(f);
	f->st[1].live = true;
	f->st[1].bad = true;
}

static void stale_back(struct fix *f)
{
	stale_gone(f);
	f->st[1].live = true;
}

static void stale_reborn_ungranted(struct fix *f)
{
	stale_back(f);
	f->st[1].incarnation = 99;
}

static void stale_reborn(struct fix *f)
{
	stale_back(f);
	f->st[1].incarnation = 99;
	f->grant[1].incarnation = 99;
}

static void stale_unconnected(struct fix *f)
{
	stale_back(f);
	f->st[1].path = NULL;
}

static void stale_backoff(struct fix *f)
{
	struct hcv_vp_out step = { .act = HCV_VP_BEGIN_SYNC };

	stale_back(f);
	strcpy(step.store, SB);
	hcv_volplan_failed(&f->mem, &step, NOW, "no answer");
}

static void stale_urgent(struct fix *f)
{
	stale_back(f);
	f->in.urgent = true;
}

static void syncing_unlinked(struct fix *f)
{
	stale_back(f);
	f->rec.st[1].state = HCV_RS_SYNCING;
}

static void syncing_full(struct fix *f)
{
	syncing_unlinked(f);
	f->rec.st[1].v = 0;
}

static void syncing_dead(struct fix *f)
{
	syncing_unlinked(f);
	f->st[1].live = false;
}

static void syncing_linked(struct fix *f)
{
	f->rec.st[1].state = HCV_RS_SYNCING;
	f->k.link[1].state = HCV_LINK_SYNCING;
}

static void syncing_not_recorded(struct fix *f)
{
	syncing_linked(f);
	f->rec.st[1].state = HCV_RS_STALE;
}

static void newcomer(struct fix *f)
{
	f->rec.nr = 3;
	fix_row(f, SA, SC);
}

static void newcomer_ungranted(struct fix *f)
{
	newcomer(f);
	f->st[2].has_grant = false;
}

static void newcomer_dead(struct fix *f)
{
	newcomer(f);
	f->st[2].live = false;
}

static void newcomer_out(struct fix *f)
{
	newcomer(f);
	f->k.nr_links = 3;
	f->k.link[2].state = HCV_LINK_OUT;
}

static void newcomer_joining(struct fix *f)
{
	newcomer(f);
	f->k.nr_links = 3;
	f->k.link[2].state = HCV_LINK_JOINING;
}

static void newcomer_used(struct fix *f)
{
	newcomer(f);
	f->k.nr_extents = 3;
}

static void newcomer_linked(struct fix *f)
{
	newcomer(f);
	f->k.nr_links = 3;
}

static void row_unformatted(struct fix *f)
{
	fix_row(f, SA, SB);
	f->grant[1].ready = 2;
}

static void row_handles(struct fix *f)
{
	fix_row(f, SA, SB);
	f->st[1].linked_count = 2;
}

static void row_stale_partner(struct fix *f)
{
	stale_gone(f);
	fix_row(f, SA, SB);
}

static void grow(struct fix *f)
{
	f->vol.size = 4ULL << 30;
}

static void grow_pending(struct fix *f)
{
	grow(f);
	fix_row(f, SA, SB);
	fix_row(f, SA, SB);
	fix_row(f, SA, SB);
	f->grant[1].ready = 2;
	f->k.size = f->vol.size;
}

static void hungry(struct fix *f)
{
	f->k.col_ready[0] = 0;
	f->k.wait = HCV_WAIT_EXTENT;
	f->in.urgent = true;
}

static void hungry_beyond(struct fix *f)
{
	int i;

	for (i = 0; i < 4; i++)
		fix_row(f, SA, SB);
	f->k.nr_extents = 6;
	hungry(f);
}

static void sated(struct fix *f)
{
	f->k.col_ready[0] = 0;
}

static void set_size(struct fix *f)
{
	f->vol.size += 4096;
	f->k.col_ready[0] = 4;
}

static void set_smaller(struct fix *f)
{
	f->vol.size -= 4096;
}

static void set_name(struct fix *f)
{
	strcpy(f->vol.name, "db2");
}

static void set_policy(struct fix *f)
{
	f->vol.policy = HCV_POLICY_ERROR;
}

static void nothing(struct fix *f)
{
}

static void detach(struct fix *f)
{
	f->in.want_detach = true;
}

static void detach_failing(struct fix *f)
{
	failing(f);
	detach(f);
}

static void detach_stopped(struct fix *f)
{
	detach(f);
	absent(f);
	f->in.stopped = true;
}

static void detach_forgotten(struct fix *f)
{
	absent(f);
	f->in.stopped = true;
}

static void detach_restarted(struct fix *f)
{
	detach(f);
	absent(f);
}

static void force(struct fix *f)
{
	f->in.want_force = true;
}

static void force_stopping(struct fix *f)
{
	force(f);
	f->k.state = HCV_VOL_STOPPING;
}

static void force_zombie(struct fix *f)
{
	force(f);
	f->k.state = HCV_VOL_ZOMBIE;
}

static void fenced_here(struct fix *f)
{
	f->k.state = HCV_VOL_FENCED;
}

/* ---------------------------------------------------------------- the table */

struct plan_case {
	void (*change)(struct fix *f);
	enum hcv_vp_act act;
	const char *store;
	int state;		/* S() of LINK_ADD and CONFIRM; 0: any */
	int flags;		/* F(); 0: any */
	const char *says;	/* part of the reason */
};

#define C(_change, _act, ...) \
	{ .change = _change, .act = HCV_VP_##_act, ##__VA_ARGS__ }
#define S(_state)	((_state) + 1)
#define F(_flags)	((_flags) + 1)

static const struct plan_case plan_cases[] = {
	C(nothing, NONE),
	/* who owns it */
	C(no_record, FENCE, .says = "no record"),
	C(unread, WAIT, .says = "metadata store"),
	C(unread_force, STOP, .flags = F(1)),
	C(other_owner, FENCE, .says = "another node"),
	C(other_owner_unsettled, REREAD),
	C(other_owner_fenced, STOP, .flags = F(1)),
	C(other_owner_stopping, WAIT, .says = "another node"),
	C(other_owner_zombie, NONE),
	C(other_owner_absent, NONE),
	C(newer_epoch, FENCE, .says = "epoch"),
	C(older_epoch, WAIT, .says = "older than the module"),
	C(older_v, WAIT, .says = "older than the module"),
	C(older_v_unsettled, REREAD),
	C(fenced_here, STOP, .flags = F(1)),
	/* taking */
	C(taking, SERVE, .says = "AB"),
	C(taking_absent, CREATE),
	C(taking_zombie, CREATE),
	C(taking_active, FENCE),
	C(taking_no_grant, WAIT, .says = "store1"),
	C(taking_old_grant, WAIT, .says = "store1"),
	C(taking_foreign_grant, WAIT, .says = "store1"),
	C(taking_old_incarnation, WAIT, .says = "store1"),
	C(taking_unformatted, WAIT, .says = "store1"),
	C(taking_late, SERVE, .says = "A"),
	C(taking_dead, SERVE, .says = "A"),
	C(taking_all_dead, WAIT, .says = "store0 (its node is away), store1"),
	C(taking_uncovered, WAIT, .says = "extent 2 is on no store"),
	C(taking_detach, STOP, .flags = F(0)),
	C(taking_detach_absent, DETACH, .flags = F(1)),
	C(unclean_detach_absent, DETACH, .flags = F(0)),
	C(unclean, SERVE, .says = "A"),
	C(unclean_local_waits, WAIT, .says = "store0"),
	C(unclean_local_late, SERVE, .says = "B"),
	C(unclean_remote_waits, SERVE, .says = "A"),
	/* put together */
	C(absent, WAIT, .says = "restarted"),
	C(fresh, LINK_ADD, SA, S(HCV_LINK_INSYNC), F(0)),
	C(fresh_granted, CONNECT, SB),
	C(fresh_connected, LINK_ADD, SB, S(HCV_LINK_INSYNC), F(0)),
	C(fresh_linked, EXTENT_ADD, .flags = F(0)),
	C(fresh_rows, START, ""),
	C(fresh_elected, START, SA),
	C(fresh_dead, REMOVE, SB),
	C(fresh_late, REMOVE, SB),
	C(fresh_last_dead, WAIT, .says = "store1"),
	C(fresh_failing, REMOVE, SB),
	C(fresh_failing_removed, CONFIRM, SB, S(HCV_LINK_OUT)),
	C(fresh_contradiction, WAIT, .says = "not in-sync"),
	C(loading, WAIT, .says = "loads"),
	/* replicas that leave and join */
	C(failing, REMOVE, SB),
	C(failing_urgent, REMOVE, SB),
	C(failing_removed, CONFIRM, SB, S(HCV_LINK_OUT)),
	C(failing_unknown_store, CONFIRM, SB, S(HCV_LINK_OUT)),
	C(failing_last, WAIT, .says = "last in-sync store"),
	C(failing_row_last, WAIT, .says = "extent 2"),
	C(failing_join_first, JOIN, SA),
	C(failing_joined, REMOVE, SB),
	C(failing_both, REMOVE, SA),
	C(joining, JOIN, SB),
	C(joining_recorded, CONFIRM, SB, S(HCV_LINK_INSYNC)),
	C(joining_stale, CONFIRM, SB, S(HCV_LINK_OUT)),
	C(joining_failed, REMOVE, SB),
	C(lost, LINK_ADD, SA, S(HCV_LINK_INSYNC)),
	C(lost_away, WAIT, .says = "store0 is away"),
	C(lost_reborn, WAIT, .says = "restarted"),
	C(out_stale, LINK_DEL, SB),
	C(fresh_out_stale, START, SA),
	C(out_dropped, BEGIN_SYNC, SB),
	C(out_syncing_dropped, LINK_ADD, SB, S(HCV_LINK_SYNCING), F(0)),
	C(out_syncing, REMOVE, SB),
	C(stale_gone, NONE),
	C(stale_failed_disk, NONE),
	C(stale_back, BEGIN_SYNC, SB),
	C(stale_reborn_ungranted, WAIT, .says = "grant of store1"),
	C(stale_reborn, BEGIN_SYNC, SB),
	C(stale_unconnected, CONNECT, SB),
	C(stale_backoff, WAIT, .says = "no answer"),
	C(stale_urgent, NONE),
	C(syncing_unlinked, LINK_ADD, SB, S(HCV_LINK_SYNCING), F(0)),
	C(syncing_full, LINK_ADD, SB, S(HCV_LINK_SYNCING), F(HCV_LINK_F_FULL)),
	C(syncing_dead, REMOVE, SB),
	C(syncing_linked, NONE),
	C(syncing_not_recorded, CONFIRM, SB, S(HCV_LINK_OUT)),
	/* rows */
	C(newcomer, LINK_ADD, SC, S(HCV_LINK_SYNCING), F(0)),
	C(newcomer_ungranted, WAIT, .says = "link to store2"),
	C(newcomer_dead, REMOVE, SC),
	C(newcomer_out, LINK_DEL, SC),
	C(newcomer_joining, CONFIRM, SC, S(HCV_LINK_INSYNC)),
	C(newcomer_used, REMOVE, SC, .says = "distrust"),
	C(newcomer_linked, EXTENT_ADD, .flags = F(HCV_EXT_F_FRESH)),
	C(row_unformatted, WAIT, .says = "format"),
	C(row_handles, LINK_ADD, SB, S(HCV_LINK_INSYNC)),
	C(row_stale_partner, EXTENT_ADD, .flags = F(HCV_EXT_F_FRESH)),
	C(grow, PLACE, .flags = F(0)),
	C(grow_pending, WAIT, .says = "format"),
	C(hungry, PLACE, .flags = F(1)),
	C(hungry_beyond, WAIT, .says = "as many extents"),
	C(sated, NONE),
	/* definition */
	C(set_size, SET),
	C(set_smaller, NONE),
	C(set_name, SET),
	C(set_policy, SET),
	/* detach */
	C(detach, STOP, .flags = F(0)),
	C(detach_failing, REMOVE, SB),
	C(detach_stopped, DETACH, .flags = F(1)),
	C(detach_forgotten, DETACH, .flags = F(1)),
	C(detach_restarted, DETACH, .flags = F(0)),
	C(force, STOP, .flags = F(1)),
	C(force_stopping, WAIT, .says = "being stopped"),
	C(force_zombie, DETACH, .flags = F(0)),
};

static void plan_desc(const struct plan_case *c, char *desc)
{
	static unsigned int n;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu %s %u",
		 (size_t)(c - plan_cases), hcv_volplan_act_name(c->act), ++n);
}

KUNIT_ARRAY_PARAM(plan, plan_cases, plan_desc);

static void volplan_table(struct kunit *test)
{
	const struct plan_case *c = test->param_value;
	struct fix *f = kunit_kzalloc(test, sizeof(*f), 0);
	struct hcv_vp_out out;
	char set[4] = "";
	size_t n = 0;

	fix_init(f);
	c->change(f);
	hcv_volplan_next(&f->in, &out);
	KUNIT_EXPECT_EQ_MSG(test, out.act, c->act, "(%s, wanted %s): %s",
			    hcv_volplan_act_name(out.act),
			    hcv_volplan_act_name(c->act), out.reason);
	if (c->store)
		KUNIT_EXPECT_STREQ(test, out.store, c->store);
	if (c->state)
		KUNIT_EXPECT_EQ(test, (int)out.state + 1, c->state);
	switch (out.act) {
	case HCV_VP_STOP:
		KUNIT_EXPECT_TRUE(test, !c->flags || F(out.force) == c->flags);
		break;
	case HCV_VP_DETACH:
		KUNIT_EXPECT_TRUE(test, !c->flags || F(out.clean) == c->flags);
		break;
	case HCV_VP_PLACE:
		KUNIT_EXPECT_TRUE(test, !c->flags || F(out.urgent) == c->flags);
		break;
	case HCV_VP_CONFIRM:
		KUNIT_EXPECT_EQ(test, out.v, f->rec.v);
		KUNIT_EXPECT_NE(test, out.incarnation, 0ULL);
		break;
	case HCV_VP_START:
		KUNIT_EXPECT_EQ(test, out.v, f->rec.v);
		break;
	case HCV_VP_REMOVE:
		KUNIT_EXPECT_EQ(test, out.distrust, c->says != NULL);
		break;
	case HCV_VP_SERVE:
		if (out.set[0])
			set[n++] = 'A';
		if (out.set[1])
			set[n++] = 'B';
		KUNIT_EXPECT_STREQ(test, set, c->says);
		break;
	default:
		KUNIT_EXPECT_TRUE(test, !c->flags ||
				  F((int)out.flags) == c->flags);
		if (c->says)
			KUNIT_EXPECT_TRUE_MSG(test,
					      strstr(out.reason, c->says),
					      "'%s' in '%s'", c->says,
					      out.reason);
	}
}

/* Whatever the module says, the last in-sync copy is not given up. */
static void volplan_never_empties_the_set(struct kunit *test)
{
	struct fix *f = kunit_kzalloc(test, sizeof(*f), 0);
	struct hcv_vp_out out;
	unsigned int bits, i;

	for (bits = 0; bits < 3 * 6 * 3 * 6 * 4; bits++) {
		unsigned int b = bits;

		fix_init(f);
		for (i = 0; i < 2; i++, b /= 18) {
			f->rec.st[i].state = b % 3;
			f->k.link[i].state = b / 3 % 6;
		}
		f->st[0].live = b & 1;
		f->st[1].live = b & 2;
		hcv_volplan_next(&f->in, &out);
		if (out.act != HCV_VP_REMOVE)
			continue;
		i = !strcmp(out.store, SB);
		KUNIT_EXPECT_TRUE(test, f->rec.st[i].state != HCV_RS_INSYNC ||
				  f->rec.st[!i].state == HCV_RS_INSYNC);
	}
}

static void volplan_retry_backs_off(struct kunit *test)
{
	struct hcv_vp_out step = { .act = HCV_VP_CONNECT, .store = SB };
	struct hcv_vp_mem *mem = kunit_kzalloc(test, sizeof(*mem), 0);
	int64_t before = 0;
	int i;

	for (i = 0; i < 12; i++) {
		hcv_volplan_failed(mem, &step, 0, "refused");
		KUNIT_EXPECT_EQ(test, mem->nr_retry, (size_t)1);
		KUNIT_EXPECT_GE(test, mem->retry[0].until_ms, before);
		before = mem->retry[0].until_ms;
	}
	KUNIT_EXPECT_EQ(test, before, (int64_t)HCV_VP_RETRY_MAX_MS);
	hcv_volplan_done(mem, &step, 0);
	KUNIT_EXPECT_EQ(test, mem->nr_retry, (size_t)0);
	for (i = 0; i < 2 * HCV_VP_RETRIES; i++) {
		snprintf(step.store, sizeof(step.store), "%d", i);
		hcv_volplan_failed(mem, &step, 0, "refused");
	}
	KUNIT_EXPECT_EQ(test, mem->nr_retry, (size_t)HCV_VP_RETRIES);
}

/* A store whose resync fails is not tried again and again without a pause. */
static void volplan_resync_backs_off(struct kunit *test)
{
	struct fix *f = kunit_kzalloc(test, sizeof(*f), 0);
	struct hcv_vp_out out, begin = { .act = HCV_VP_BEGIN_SYNC, .store = SB };
	struct hcv_vp_out join = { .act = HCV_VP_JOIN, .store = SB };
	int64_t pause = 0;
	int i;

	for (i = 0; i < 12; i++) {
		struct hcv_vp_mem mem = f->mem;

		fix_init(f);
		if (i)
			f->mem = mem;
		out_syncing(f);
		hcv_volplan_next(&f->in, &out);
		KUNIT_EXPECT_EQ(test, out.act, HCV_VP_REMOVE);
		KUNIT_EXPECT_TRUE(test, out.resync_failed);
		hcv_volplan_done(&f->mem, &out, NOW);
		stale_back(f);
		hcv_volplan_next(&f->in, &out);
		KUNIT_EXPECT_EQ(test, out.act, HCV_VP_WAIT);
		KUNIT_EXPECT_GE(test, out.until_ms - NOW, pause);
		pause = out.until_ms - NOW;
		f->in.now_ms = out.until_ms;
		hcv_volplan_next(&f->in, &out);
		KUNIT_EXPECT_EQ(test, out.act, HCV_VP_BEGIN_SYNC);
		hcv_volplan_done(&f->mem, &begin, NOW);
	}
	KUNIT_EXPECT_EQ(test, pause, (int64_t)HCV_VP_RESYNC_MAX_MS);
	hcv_volplan_done(&f->mem, &join, NOW);
	KUNIT_EXPECT_EQ(test, f->mem.nr_retry, (size_t)0);
}

/* A new epoch forgets the timers of the old one. */
static void volplan_timers(struct kunit *test)
{
	struct fix *f = kunit_kzalloc(test, sizeof(*f), 0);

	fix_init(f);
	taking(f);
	f->rec.epoch = 6;
	hcv_volplan_time(&f->mem, &f->in);
	KUNIT_EXPECT_EQ(test, f->mem.taking_ms, (int64_t)NOW);
	KUNIT_EXPECT_EQ(test, f->mem.serving_ms, (int64_t)0);
	f->in.now_ms = NOW + 50;
	f->rec.phase = HCV_PH_SERVING;
	hcv_volplan_time(&f->mem, &f->in);
	KUNIT_EXPECT_EQ(test, f->mem.taking_ms, (int64_t)NOW);
	KUNIT_EXPECT_EQ(test, f->mem.serving_ms, (int64_t)NOW + 50);
	strcpy(f->rec.owner, N2);
	hcv_volplan_time(&f->mem, &f->in);
	KUNIT_EXPECT_EQ(test, f->mem.epoch, 0ULL);
}

static void volplan_need_rows(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, hcv_volplan_need(4096, 1), 1U);
	KUNIT_EXPECT_EQ(test, hcv_volplan_need(256ULL << 20, 1), 1U);
	KUNIT_EXPECT_EQ(test, hcv_volplan_need((256ULL << 20) + 1, 1), 2U);
	KUNIT_EXPECT_EQ(test, hcv_volplan_need(1ULL << 30, 4), 1U);
	KUNIT_EXPECT_EQ(test, hcv_volplan_need(1ULL << 40, 2), 2048U);
}

static struct kunit_case volplan_test_cases[] = {
	KUNIT_CASE_PARAM(volplan_table, plan_gen_params),
	KUNIT_CASE(volplan_never_empties_the_set),
	KUNIT_CASE(volplan_retry_backs_off),
	KUNIT_CASE(volplan_resync_backs_off),
	KUNIT_CASE(volplan_timers),
	KUNIT_CASE(volplan_need_rows),
	{}
};

static struct kunit_suite volplan_suite = {
	.name = "hcv_volplan",
	.test_cases = volplan_test_cases,
};

kunit_test_suite(volplan_suite);
