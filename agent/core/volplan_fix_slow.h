/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For volplan_test.c alone: replicas on slow stores.
 */
#ifndef HCV_AGENT_CORE_VOLPLAN_FIX_SLOW_H
#define HCV_AGENT_CORE_VOLPLAN_FIX_SLOW_H

#include "volplan_fix_give.h"

static void slow_keep(struct fix *f)
{
	f->st[1].slow = true;
}

static void slow(struct fix *f)
{
	slow_keep(f);
	f->vol.slow_drop = true;
}

static void slow_local(struct fix *f)
{
	slow(f);
	f->st[1].slow = false;
	f->st[0].slow = true;
}

static void slow_both(struct fix *f)
{
	slow(f);
	f->st[0].slow = true;
}

static void slow_unsettled(struct fix *f)
{
	slow(f);
	f->in.settled = false;
}

static void slow_urgent(struct fix *f)
{
	slow(f);
	f->in.urgent = true;
}

static void slow_suspended(struct fix *f)
{
	slow(f);
	f->k.state = HCV_VOL_SUSPENDED;
}

static void slow_settling(struct fix *f)
{
	retired_settling(f);
	slow(f);
}

static void slow_failing(struct fix *f)
{
	slow(f);
	f->k.link[1].state = HCV_LINK_FAILING;
}

/* In-sync by the record, not in the module yet. */
static void slow_newcomer(struct fix *f)
{
	newcomer(f);
	slow(f);
}

static void slow_newcomer_syncing(struct fix *f)
{
	slow_newcomer(f);
	f->k.nr_links = 3;
	f->k.link[2].state = HCV_LINK_SYNCING;
}

static void slow_row_last(struct fix *f)
{
	slow(f);
	fix_row(f, SB, NULL);
	f->k.nr_extents = 3;
}

static void slow_detach(struct fix *f)
{
	slow(f);
	f->in.want_detach = true;
}

static void slow_backoff(struct fix *f)
{
	slow(f);
	f->mem.nr_retry = 1;
	f->mem.retry[0].act = HCV_VP_DROP_SLOW;
	strcpy(f->mem.retry[0].store, SB);
	strcpy(f->mem.retry[0].why, "it is needed");
	f->mem.retry[0].until_ms = NOW + 500;
}

static void slow_out(struct fix *f)
{
	out_stale(f);
	f->vol.slow_drop = true;
	f->st[1].slow = true;
}

static void slow_stale(struct fix *f)
{
	stale_back(f);
	f->vol.slow_drop = true;
	f->st[1].slow = true;
}

static void slow_stale_fast(struct fix *f)
{
	slow_stale(f);
	f->st[1].slow = false;
}

static void slow_stale_keep(struct fix *f)
{
	slow_stale(f);
	f->vol.slow_drop = false;
}

static void slow_syncing(struct fix *f)
{
	syncing_unlinked(f);
	f->vol.slow_drop = true;
	f->st[1].slow = true;
}

#endif /* HCV_AGENT_CORE_VOLPLAN_FIX_SLOW_H */
