/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Situations of extents that go back to their stores; see volplan_fix.h.
 */
#ifndef HCV_AGENT_CORE_VOLPLAN_FIX_GIVE_H
#define HCV_AGENT_CORE_VOLPLAN_FIX_GIVE_H

#include "volplan_fix.h"

/* Eight rows, all of them idle. */
static void idle_more(struct fix *f)
{
	while (f->rows.nr < 8)
		fix_row(f, SA, SB);
	f->k.can_retire = true;
	f->k.nr_extents = 8;
	f->k.next_index = 8;
	f->k.col_ready[0] = 8;
	f->k.col_idle[0] = 8;
}

static void idle_enough(struct fix *f)
{
	idle_more(f);
	f->k.col_idle[0] = 7;
}

static void idle_old_module(struct fix *f)
{
	idle_more(f);
	f->k.can_retire = false;
}

static void idle_readonly(struct fix *f)
{
	idle_more(f);
	f->k.flags = HCV_VOL_F_READONLY;
}

static void idle_suspended(struct fix *f)
{
	idle_more(f);
	f->k.state = HCV_VOL_SUSPENDED;
}

static void idle_hungry(struct fix *f)
{
	idle_more(f);
	f->k.wait = HCV_WAIT_EXTENT;
}

static void idle_urgent(struct fix *f)
{
	idle_more(f);
	f->in.urgent = true;
}

static void idle_syncing(struct fix *f)
{
	idle_more(f);
	f->rec.st[1].state = HCV_RS_SYNCING;
	f->k.link[1].state = HCV_LINK_SYNCING;
}

static void idle_degraded(struct fix *f)
{
	idle_more(f);
	stale_gone(f);
}

static void retired(struct fix *f)
{
	idle_more(f);
	f->k.col_idle[0] = 7;
	f->k.nr_settled = 1;
	f->k.settled[0] = 3;
}

static void retired_settling(struct fix *f)
{
	retired(f);
	f->k.nr_settled = 0;
	f->k.nr_settling = 1;
	f->k.settling[0] = 3;
}

/* Row 3 is gone; the module still has the extent. */
static void retired_no_row(struct fix *f)
{
	retired(f);
	memmove(&f->row[3], &f->row[4], 4 * sizeof(f->row[0]));
	f->rows.nr = 7;
}

/* The rows were read before there was one of that index. */
static void retired_old_view(struct fix *f)
{
	retired(f);
	f->k.settled[0] = 8;
	f->k.next_index = 9;
}

static void retired_unread(struct fix *f)
{
	retired(f);
	f->in.known = false;
}

static void retired_stale_back(struct fix *f)
{
	stale_back(f);
	retired(f);
}

static void retiring_stale_back(struct fix *f)
{
	stale_back(f);
	retired_settling(f);
}

static void retired_failing(struct fix *f)
{
	retired(f);
	f->k.link[1].state = HCV_LINK_FAILING;
}

static void retired_detach(struct fix *f)
{
	retired(f);
	f->in.want_detach = true;
}

/* A row in the middle is gone, one at the end is new. */
static void hole(struct fix *f)
{
	retired_no_row(f);
	f->k.nr_settled = 0;
	f->k.nr_extents = 7;
	fix_row(f, SA, SB);
	f->grant[0].ready = 9;
	f->grant[1].ready = 9;
}

/* The same while the module has not forgotten it: as many extents as rows. */
static void hole_retired(struct fix *f)
{
	hole(f);
	f->k.nr_extents = 8;
	f->k.nr_settled = 1;
}

#endif /* HCV_AGENT_CORE_VOLPLAN_FIX_GIVE_H */
