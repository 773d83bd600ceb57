/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For volplan_test.c alone: volumes that are attached nowhere, and taken care of.
 */
#ifndef HCV_AGENT_CORE_VOLPLAN_FIX_CARE_H
#define HCV_AGENT_CORE_VOLPLAN_FIX_CARE_H

#include "volplan_fix_job.h"

/* It runs here without a disk, as the leader wants it. */
static void care(struct fix *f)
{
	f->rec.care.on = true;
	f->k.diskless = true;
	f->in.care = true;
	f->in.can_care = true;
	f->in.owner_live = true;
}

/* --------------------------------------------------------------- the beginning */

static void care_due(struct fix *f)
{
	care(f);
	absent(f);
	f->rec.care.on = false;
	f->rec.owner[0] = 0;
	f->rec.phase = HCV_PH_NONE;
	f->in.owner_live = false;
}

static void care_due_elsewhere(struct fix *f)
{
	care_due(f);
	f->in.care = false;
}

static void care_due_old_module(struct fix *f)
{
	care_due(f);
	f->in.can_care = false;
}

static void care_due_deleting(struct fix *f)
{
	care_due(f);
	f->vol.deleting = true;
}

static void care_due_no_volume(struct fix *f)
{
	care_due(f);
	f->in.vol = NULL;
}

static void care_due_urgent(struct fix *f)
{
	care_due(f);
	f->in.urgent = true;
}

static void care_due_wish(struct fix *f)
{
	care_due(f);
	f->in.want_detach = true;
}

static void care_due_failed(struct fix *f)
{
	struct hcv_vp_retry *r = &f->mem.retry[f->mem.nr_retry++];

	care_due(f);
	r->act = HCV_VP_CARE_CLAIM;
	r->fails = 1;
	r->until_ms = NOW + 1;
	strcpy(r->why, "no answer");
}

/* What it had in an epoch of before goes first. */
static void care_due_leftover(struct fix *f)
{
	care_due(f);
	f->in.k = &f->k;
	f->rec.epoch = 6;
}

static void care_of_another(struct fix *f)
{
	care_due(f);
	strcpy(f->rec.owner, N2);
	f->rec.phase = HCV_PH_SERVING;
	f->rec.care.on = true;
	f->in.owner_live = true;
}

static void care_of_another_gone(struct fix *f)
{
	care_of_another(f);
	f->in.owner_live = false;
}

static void care_attached_elsewhere_gone(struct fix *f)
{
	care_of_another_gone(f);
	f->rec.care.on = false;
}

/* ----------------------------------------------------------------- on its way */

static void care_taking(struct fix *f)
{
	taking(f);
	care(f);
}

static void care_taking_absent(struct fix *f)
{
	care_taking(f);
	absent(f);
}

static void care_taking_old_module(struct fix *f)
{
	care_taking_absent(f);
	f->in.can_care = false;
}

static void care_taking_unwanted(struct fix *f)
{
	care_taking(f);
	f->in.care = false;
}

static void care_taking_long(struct fix *f)
{
	care_taking(f);
	f->grant[0].epoch = 4;
	f->grant[1].epoch = 4;
	f->mem.taking_ms = NOW - HCV_VP_CARE_START_MS;
}

static void care_taking_leaves(struct fix *f)
{
	care_taking(f);
	f->rec.care.leave = true;
}

static void care_taking_stopping(struct fix *f)
{
	care_taking_leaves(f);
	f->k.state = HCV_VOL_STOPPING;
}

static void care_taking_left(struct fix *f)
{
	care_taking_leaves(f);
	absent(f);
}

/* Attached on this node before it served. */
static void care_taking_attached(struct fix *f)
{
	care_taking(f);
	f->rec.care.on = false;
	f->in.care = false;
}

static void care_fresh(struct fix *f)
{
	fresh(f);
	care(f);
}

static void care_fresh_long(struct fix *f)
{
	care_fresh(f);
	f->mem.serving_ms = NOW - HCV_VP_CARE_START_MS;
}

static void care_fresh_leaves(struct fix *f)
{
	care_fresh(f);
	f->rec.care.leave = true;
}

/* --------------------------------------------------------------------- it runs */

static void care_job(struct fix *f)
{
	job_begins(f);
	care(f);
}

static void care_stale_back(struct fix *f)
{
	stale_back(f);
	care(f);
}

/* Nobody writes: nothing is to be had in advance, or given back. */
static void care_grow(struct fix *f)
{
	grow(f);
	care(f);
}

static void care_idle(struct fix *f)
{
	idle_more(f);
	care(f);
}

static void care_set(struct fix *f)
{
	set_size(f);
	care(f);
}

static void care_unwanted(struct fix *f)
{
	care(f);
	f->in.care = false;
}

static void care_unwanted_urgent(struct fix *f)
{
	care_unwanted(f);
	f->in.urgent = true;
}

static void care_unwanted_failing(struct fix *f)
{
	failing(f);
	care_unwanted(f);
}

static void care_leaves(struct fix *f)
{
	care(f);
	f->rec.care.leave = true;
}

static void care_leaves_job(struct fix *f)
{
	job_begins(f);
	care_leaves(f);
}

static void care_leaves_suspended(struct fix *f)
{
	care_leaves(f);
	f->k.state = HCV_VOL_SUSPENDED;
}

/* What it cannot flush was written by no guest. */
static void care_stop_fails(struct fix *f)
{
	struct hcv_vp_retry *r = &f->mem.retry[f->mem.nr_retry++];

	care_leaves(f);
	r->act = HCV_VP_STOP;
	r->fails = HCV_VP_CARE_STOPS - 1;
}

static void care_stop_failed(struct fix *f)
{
	care_stop_fails(f);
	f->mem.retry[0].fails++;
}

static void care_link_lost(struct fix *f)
{
	lost_away(f);
	care(f);
}

/* It waits for an incarnation that does not come back. */
static void care_link_reborn(struct fix *f)
{
	lost_reborn(f);
	care(f);
}

static void care_leaves_urgent(struct fix *f)
{
	care_leaves(f);
	f->in.urgent = true;
}

static void care_left(struct fix *f)
{
	care_leaves(f);
	absent(f);
	f->in.stopped = true;
}

static void care_left_unproved(struct fix *f)
{
	care_leaves(f);
	absent(f);
}

static void care_lost(struct fix *f)
{
	care(f);
	absent(f);
}

static void care_force(struct fix *f)
{
	care(f);
	f->in.want_force = true;
}

/* ------------------------------------------------------------ it gets its disk */

static void care_attached(struct fix *f)
{
	care(f);
	f->rec.care.on = false;
}

static void care_attached_job(struct fix *f)
{
	job_begins(f);
	care_attached(f);
}

static void care_attached_suspended(struct fix *f)
{
	care_attached(f);
	f->k.state = HCV_VOL_SUSPENDED;
}

static void care_attached_urgent(struct fix *f)
{
	care_attached(f);
	f->in.urgent = true;
}

static void care_attached_detach(struct fix *f)
{
	care_attached(f);
	f->in.want_detach = true;
}

static void care_attached_lost(struct fix *f)
{
	care_attached(f);
	absent(f);
}

static void care_evicted(struct fix *f)
{
	care(f);
	f->rec.care.on = false;
	f->rec.owner[0] = 0;
	f->rec.phase = HCV_PH_NONE;
}

#endif /* HCV_AGENT_CORE_VOLPLAN_FIX_CARE_H */
