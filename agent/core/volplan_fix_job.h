/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For volplan_test.c alone: recovery jobs.  Store B's place is to be taken by
 * store C, unless told otherwise.
 */
#ifndef HCV_AGENT_CORE_VOLPLAN_FIX_JOB_H
#define HCV_AGENT_CORE_VOLPLAN_FIX_JOB_H

#include "volplan_fix_give.h"

static void job_begins(struct fix *f)
{
	static struct hcv_job_info job;

	job = (struct hcv_job_info){ .from = SB, .to = SC };
	f->in.job = &job;
}

static void job_row(struct fix *f, size_t i)
{
	strcpy(f->row[i].store[2], SC);
	f->row[i].nr = 3;
	f->row[i].full = 7;
}

/* One row of two has it: it is not brought up to date yet. */
static void job_half(struct fix *f)
{
	job_begins(f);
	job_row(f, 0);
	f->rec.nr = 3;
	f->rec.st[2].state = HCV_RS_STALE;
}

static void job_added(struct fix *f)
{
	job_half(f);
	job_row(f, 1);
}

static void job_syncing(struct fix *f)
{
	job_added(f);
	f->rec.st[2].state = HCV_RS_SYNCING;
	f->k.nr_links = 3;
	f->k.link[2].state = HCV_LINK_SYNCING;
}

/* It failed as often as is tried. */
static void job_tried(struct fix *f)
{
	struct hcv_vp_retry *r = &f->mem.retry[f->mem.nr_retry++];

	job_added(f);
	r->act = HCV_VP_BEGIN_SYNC;
	strcpy(r->store, SC);
	r->fails = HCV_VP_JOB_TRIES;
	r->until_ms = NOW + 1000;
}

/* The owner has said so; until it is called off there is nothing else to do. */
static void job_tried_told(struct fix *f)
{
	struct hcv_job_info *job;

	job_tried(f);
	job = (struct hcv_job_info *)f->in.job;
	job->failed = true;
}

/* It has no room for the extents. */
static void job_add_tried(struct fix *f)
{
	struct hcv_vp_retry *r = &f->mem.retry[f->mem.nr_retry++];

	job_begins(f);
	r->act = HCV_VP_JOB;
	strcpy(r->store, SC);
	r->fails = HCV_VP_JOB_ADD_TRIES;
	r->until_ms = NOW + 1000;
}

static void job_filled(struct fix *f)
{
	job_syncing(f);
	f->rec.st[2].state = HCV_RS_INSYNC;
	f->k.link[2].state = HCV_LINK_INSYNC;
}

/* In the record it is in-sync, in the module not yet. */
static void job_joining(struct fix *f)
{
	job_filled(f);
	f->k.link[2].state = HCV_LINK_JOINING;
}

static void job_other_lost(struct fix *f)
{
	job_filled(f);
	f->rec.st[0].state = HCV_RS_STALE;
	f->k.link[0].state = HCV_LINK_OUT;
	f->st[0].dropped = true;
	f->st[0].live = false;
}

static void job_filled_unsettled(struct fix *f)
{
	job_filled(f);
	f->in.settled = false;
}

/* It is the last one of something in the module: it comes back first. */
static void job_filled_lost(struct fix *f)
{
	job_filled(f);
	f->k.link[1].state = HCV_LINK_LOST;
}

static void job_released(struct fix *f)
{
	job_filled(f);
	f->k.link[1].state = HCV_LINK_FAILING;
}

static void job_removed(struct fix *f)
{
	job_released(f);
	f->rec.st[1].state = HCV_RS_STALE;
}

static void job_out(struct fix *f)
{
	job_removed(f);
	f->k.link[1].state = HCV_LINK_OUT;
}

static void job_dropped(struct fix *f)
{
	job_out(f);
	f->st[1].dropped = true;
}

static void job_off(struct fix *f)
{
	struct hcv_job_info *job;

	job_syncing(f);
	job = (struct hcv_job_info *)f->in.job;
	job->cancel = true;
}

static void job_retired(struct fix *f)
{
	retired(f);
	job_begins(f);
}

static void job_urgent(struct fix *f)
{
	job_begins(f);
	f->in.urgent = true;
}

static void job_failing(struct fix *f)
{
	job_filled(f);
	f->k.link[2].state = HCV_LINK_FAILING;
}

#endif /* HCV_AGENT_CORE_VOLPLAN_FIX_JOB_H */
