/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For volplan_test.c alone: the running volume that every case starts from, and
 * what each case changes of it.
 */
#ifndef HCV_AGENT_CORE_VOLPLAN_FIX_H
#define HCV_AGENT_CORE_VOLPLAN_FIX_H

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

static void fresh_connecting(struct fix *f)
{
	fresh_granted(f);
	f->st[1].connecting = true;
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

static void loading_failing(struct fix *f)
{
	loading(f);
	failing(f);
	f->in.urgent = true;
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

static void lost_remote(struct fix *f)
{
	f->k.link[1].state = HCV_LINK_LOST;
	f->k.link[1].first = 64;
}

/* Asked for; the store's key is the one of before. */
static void lost_renewing(struct fix *f)
{
	lost_remote(f);
	f->rec.st[1].renew = 9;
}

static void lost_renewed(struct fix *f)
{
	lost_renewing(f);
	f->grant[1].renew = 9;
	f->grant[1].range[0].first = 2048;
}

/* Granted for a later renewal than the record read here knows. */
static void lost_renewed_again(struct fix *f)
{
	lost_renewed(f);
	f->grant[1].renew = 11;
}

static void lost_remote_restarted(struct fix *f)
{
	lost_renewed(f);
	f->st[1].incarnation = 99;
	f->grant[1].incarnation = 99;
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

static void stale_unrenewed(struct fix *f)
{
	stale_back(f);
	f->rec.st[1].renew = 9;
}

static void stale_renewed(struct fix *f)
{
	stale_unrenewed(f);
	f->grant[1].renew = 9;
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

/* What else there is to do does not wait for it. */
static void stale_connecting(struct fix *f)
{
	stale_unconnected(f);
	f->st[1].connecting = true;
	strcpy(f->vol.name, "db2");
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

/* Nobody asked for new handles; the module would refuse these. */
static void syncing_used_up(struct fix *f)
{
	out_syncing_dropped(f);
	f->k.link[1].first = 64;
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

/* The only one that the new row is on fails before the module has the row. */
static void newcomer_failing_last(struct fix *f)
{
	f->rec.nr = 3;
	fix_row(f, SC, NULL);
	f->k.nr_links = 3;
	f->k.link[2].state = HCV_LINK_FAILING;
}

/* Another one has the row as well: the ordinary way. */
static void newcomer_failing(struct fix *f)
{
	newcomer_failing_last(f);
	f->rows.nr--;
	f->rows.next--;
	fix_row(f, SA, SC);
}

static void newcomer_failing_last_urgent(struct fix *f)
{
	newcomer_failing_last(f);
	f->in.urgent = true;
}

static void newcomer_failing_last_used(struct fix *f)
{
	newcomer_failing_last(f);
	f->k.nr_extents = 3;
}

/* Its link has gone, the record never let it go: it is tied anew. */
static void newcomer_failed_last(struct fix *f)
{
	newcomer_failing_last(f);
	f->k.link[2].state = HCV_LINK_OUT;
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

/* A row beyond the first handles, on stores that have granted enough. */
static void row_far(struct fix *f)
{
	size_t i;

	fix_row(f, SA, SB);
	f->row[2].index = 1100;
	for (i = 0; i < 2; i++) {
		f->grant[i].ready = 1101;
		f->grant[i].nr = 2;
		f->grant[i].range[1].first = 9000;
		f->grant[i].range[1].base = 1024;
		f->grant[i].range[1].count = 1024;
		f->st[i].linked_count = 2048;
	}
}

/* This agent was restarted since the links were tied. */
static void row_far_restarted(struct fix *f)
{
	row_far(f);
	f->st[1].linked_count = 0;
}

static void row_far_syncing(struct fix *f)
{
	row_far(f);
	f->rec.st[1].state = HCV_RS_SYNCING;
	f->k.link[1].state = HCV_LINK_SYNCING;
	f->st[1].linked_count = 1024;
}

static void row_far_ungranted(struct fix *f)
{
	row_far(f);
	f->grant[1].nr = 1;
	f->grant[1].range[0].count = 1024;
	f->st[1].linked_count = 1024;
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

static void set_sync(struct fix *f)
{
	f->vol.sync_kibps = 1024;
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

static void elsewhere_detach(struct fix *f)
{
	other_owner(f);
	absent(f);
	f->in.want_detach = true;
}

static void elsewhere_force(struct fix *f)
{
	other_owner(f);
	absent(f);
	f->in.want_force = true;
}

static void elsewhere_unsettled(struct fix *f)
{
	elsewhere_detach(f);
	f->in.settled = false;
}

/* The step of a detach that was done without an answer. */
static void nobody_detach(struct fix *f)
{
	absent(f);
	f->rec.owner[0] = 0;
	f->rec.phase = HCV_PH_NONE;
	f->in.want_detach = true;
}

static void no_record_force(struct fix *f)
{
	no_record(f);
	absent(f);
	f->in.want_force = true;
}

static void fenced_here(struct fix *f)
{
	f->k.state = HCV_VOL_FENCED;
}

/* The start failed for B while A has everything. */
static void fenced_unfit(struct fix *f)
{
	fenced_here(f);
	f->rec.before = HCV_RB_CLEAN;
	f->k.link[1].state = HCV_LINK_FAILING;
	f->k.link[1].unfit = true;
}

/* B was elected after an unclean stop. */
static void fenced_elected(struct fix *f)
{
	fenced_unfit(f);
	f->rec.before = HCV_RB_LOG;
	f->rec.st[0].state = HCV_RS_STALE;
	f->rec.st[0].passed = true;
}

static void fenced_elected_last(struct fix *f)
{
	fenced_elected(f);
	f->rec.st[0].passed = false;
}

static void fenced_all_unfit(struct fix *f)
{
	fenced_elected(f);
	f->k.link[0].unfit = true;
}

/* An agent that knows no better served. */
static void fenced_not_known(struct fix *f)
{
	fenced_unfit(f);
	f->rec.before = HCV_RB_UNKNOWN;
}

static void fenced_unfit_detach(struct fix *f)
{
	fenced_unfit(f);
	f->in.want_detach = true;
}

static void fenced_unfit_force(struct fix *f)
{
	fenced_unfit(f);
	f->in.want_force = true;
}

/* What is known of them goes with the module's volume: not before it is told. */
static void fenced_unfit_failed(struct fix *f)
{
	struct hcv_vp_out again = { .act = HCV_VP_AGAIN };

	fenced_unfit(f);
	hcv_volplan_failed(&f->mem, &again, f->in.now_ms, "no answer");
}

/* ------------------------------------------------- extents that go back */

#endif /* HCV_AGENT_CORE_VOLPLAN_FIX_H */
