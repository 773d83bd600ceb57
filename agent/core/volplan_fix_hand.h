/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Situations of volumes that are handed over; see volplan_fix.h.  N1, the node
 * that decides, is the source in those that begin with hand_, the target in those
 * that begin with next_.
 */
#ifndef HCV_AGENT_CORE_VOLPLAN_FIX_HAND_H
#define HCV_AGENT_CORE_VOLPLAN_FIX_HAND_H

#include "volplan_fix.h"

/* ---------------------------------------------------------------- the source */

static void hand_wished_for(struct fix *f)
{
	strcpy(f->rec.hand.to, N2);
	f->rec.hand.v = 8;
	f->rec.hand.limit_ms = 60000;
	f->in.can_hand = true;
	f->in.to_live = true;
}

static void hand_ready(struct fix *f)
{
	hand_wished_for(f);
	f->rec.hand.ready = true;
}

static void hand_go(struct fix *f)
{
	hand_ready(f);
	f->rec.hand.go = true;
}

static void hand_go_early(struct fix *f)
{
	hand_wished_for(f);
	f->rec.hand.go = true;
}

static void hand_go_unknown(struct fix *f)
{
	hand_go(f);
	f->in.can_hand = false;
}

static void hand_go_unsettled(struct fix *f)
{
	hand_go(f);
	f->in.settled = false;
}

static void hand_go_urgent(struct fix *f)
{
	hand_go(f);
	f->in.urgent = true;
}

static void hand_go_failing(struct fix *f)
{
	hand_go(f);
	f->k.link[1].state = HCV_LINK_FAILING;
}

static void hand_go_detach(struct fix *f)
{
	hand_go(f);
	f->in.want_detach = true;
}

static void hand_go_force(struct fix *f)
{
	hand_go(f);
	f->in.want_force = true;
}

static void hand_go_slow(struct fix *f)
{
	hand_go(f);
	f->k.state = HCV_VOL_SUSPENDED;
}

static void hand_go_backoff(struct fix *f)
{
	struct hcv_vp_out halt = { .act = HCV_VP_HALT };

	hand_go(f);
	hcv_volplan_failed(&f->mem, &halt, NOW, "a replica failed");
}

/* Each time its guests wait. */
static void hand_go_failed(struct fix *f)
{
	struct hcv_vp_out halt = { .act = HCV_VP_HALT };
	int i;

	hand_go(f);
	for (i = 0; i < HCV_VP_HAND_HALTS; i++)
		hcv_volplan_failed(&f->mem, &halt, NOW - 100000, "a flush hangs");
}

static void hand_go_failed_once_less(struct fix *f)
{
	hand_go_failed(f);
	f->mem.retry[0].fails--;
}

/* A volume that waits for the word goes on with what it has to do. */
static void hand_ready_grow(struct fix *f)
{
	hand_ready(f);
	f->vol.size *= 2;
	f->k.col_ready[0] = 0;
}

static void hand_away(struct fix *f)
{
	hand_go(f);
	f->in.to_live = false;
	f->mem.to_gone_ms = NOW - HCV_VP_HAND_GONE_MS + 1;
}

static void hand_gone(struct fix *f)
{
	hand_away(f);
	f->mem.to_gone_ms = NOW - HCV_VP_HAND_GONE_MS;
}

/* The other node lives, but its agent does not give up at the limit. */
static void hand_late(struct fix *f)
{
	hand_wished_for(f);
	f->mem.hand_v = 8;
	f->mem.hand_ms = NOW - 60000 - HCV_VP_HAND_GRACE_MS;
}

static void hand_late_soon(struct fix *f)
{
	hand_late(f);
	f->mem.hand_ms++;
}

static void hand_late_go(struct fix *f)
{
	hand_late(f);
	f->rec.hand.ready = true;
	f->rec.hand.go = true;
}

static void hand_late_other(struct fix *f)
{
	hand_late_go(f);
	f->mem.hand_v = 7;
}

static void hand_restarted(struct fix *f)
{
	hand_go(f);
	f->in.k = NULL;
}

static void halted(struct fix *f)
{
	hand_go(f);
	f->k.state = HCV_VOL_SUSPENDED;
	f->k.halted = true;
}

static void halted_unsettled(struct fix *f)
{
	halted(f);
	f->in.settled = false;
}

static void halted_unread(struct fix *f)
{
	halted(f);
	f->in.known = false;
}

static void halted_failing(struct fix *f)
{
	halted(f);
	f->k.link[1].state = HCV_LINK_FAILING;
}

static void halted_urgent(struct fix *f)
{
	halted_failing(f);
	f->in.urgent = true;
}

/* The transaction was refused, or did not get through. */
static void halted_tried(struct fix *f)
{
	struct hcv_vp_out over = { .act = HCV_VP_HAND_OVER };

	halted(f);
	hcv_volplan_failed(&f->mem, &over, NOW, "no answer");
}

static void halted_tried_twice(struct fix *f)
{
	struct hcv_vp_out no = { .act = HCV_VP_HAND_ABORT };

	halted_tried(f);
	hcv_volplan_failed(&f->mem, &no, NOW, "no answer either");
}

static void halted_unready(struct fix *f)
{
	halted(f);
	f->rec.hand.ready = false;
}

static void halted_away(struct fix *f)
{
	halted(f);
	f->in.to_live = false;
}

static void halted_detach(struct fix *f)
{
	halted(f);
	f->in.want_detach = true;
}

static void halted_force(struct fix *f)
{
	halted(f);
	f->in.want_force = true;
}

static void halted_unwished(struct fix *f)
{
	halted(f);
	memset(&f->rec.hand, 0, sizeof(f->rec.hand));
}

static void halted_unwished_unsettled(struct fix *f)
{
	halted_unwished(f);
	f->in.settled = false;
}

static void handed_over(struct fix *f)
{
	halted_unwished_unsettled(f);
	other_owner(f);
}

static void handed_over_force(struct fix *f)
{
	handed_over(f);
	f->in.want_force = true;
}

/* Not to whom it was to be handed: the same. */
static void halted_taken(struct fix *f)
{
	halted_unwished(f);
	f->rec.epoch = 7;
}

static void halted_no_record(struct fix *f)
{
	halted(f);
	f->in.rec = NULL;
}

/* ---------------------------------------------------------------- the target */

static void next_wished(struct fix *f)
{
	hand_wished_for(f);
	strcpy(f->rec.hand.to, N1);
	strcpy(f->rec.owner, N2);
	f->st[1].path = NULL;
	f->in.k = NULL;
	f->mem.hand_v = 8;
	f->mem.hand_ms = NOW - 100;
}

static void next_unknown(struct fix *f)
{
	next_wished(f);
	f->in.can_hand = false;
}

static void next_stranger(struct fix *f)
{
	next_wished(f);
	strcpy(f->rec.hand.to, "00000000-0000-4000-8000-000000000003");
}

static void next_zombie(struct fix *f)
{
	next_wished(f);
	f->in.k = &f->k;
	f->k.state = HCV_VOL_ZOMBIE;
}

static void next_leftover(struct fix *f)
{
	next_wished(f);
	f->in.k = &f->k;
	f->k.state = HCV_VOL_FENCED;
	f->k.epoch = 3;
}

static void next_prepared(struct fix *f)
{
	next_wished(f);
	f->in.k = &f->k;
	f->k.state = HCV_VOL_NEW;
	f->k.prepared = true;
	f->k.epoch = 6;
	f->k.nr_links = 0;
	f->k.nr_extents = 0;
}

static void next_urgent(struct fix *f)
{
	next_prepared(f);
	f->in.urgent = true;
}

static void next_connecting(struct fix *f)
{
	next_prepared(f);
	f->st[1].connecting = true;
}

static void next_refused(struct fix *f)
{
	struct hcv_vp_out c = { .act = HCV_VP_CONNECT, .store = SB };

	next_prepared(f);
	hcv_volplan_failed(&f->mem, &c, NOW, "refused");
}

/* One store cannot be connected to: the others all the same. */
static void next_refused_one(struct fix *f)
{
	next_refused(f);
	f->rec.nr = 3;
	f->st[2].path = NULL;
}

static void next_store_away(struct fix *f)
{
	next_prepared(f);
	f->st[1].live = false;
}

static void next_store_stale(struct fix *f)
{
	next_prepared(f);
	f->rec.st[1].state = HCV_RS_STALE;
}

static void next_connected(struct fix *f)
{
	next_prepared(f);
	f->st[1].path = "/dev/nvme0n1";
}

static void next_ready(struct fix *f)
{
	next_connected(f);
	f->rec.hand.ready = true;
}

static void next_late(struct fix *f)
{
	next_ready(f);
	f->mem.hand_ms = NOW - 60000;
}

/* The limit is that of this wish, not of one before. */
static void next_late_other(struct fix *f)
{
	next_late(f);
	f->mem.hand_v = 7;
}

static void next_detach(struct fix *f)
{
	next_ready(f);
	f->in.want_detach = true;
}

static void next_unwished(struct fix *f)
{
	next_ready(f);
	memset(&f->rec.hand, 0, sizeof(f->rec.hand));
}

static void next_unwished_unsettled(struct fix *f)
{
	next_unwished(f);
	f->in.settled = false;
}

static void next_unwished_detach(struct fix *f)
{
	next_unwished(f);
	f->in.want_detach = true;
}

/* Another node took over, in the very epoch that was meant for this one. */
static void next_taken(struct fix *f)
{
	next_unwished(f);
	f->rec.epoch = 6;
	f->rec.phase = HCV_PH_TAKING;
}

/* And hands it over to this node in turn. */
static void next_again(struct fix *f)
{
	next_wished(f);
	f->in.k = &f->k;
	f->k.state = HCV_VOL_NEW;
	f->k.prepared = true;
	f->rec.epoch = 6;
	f->k.epoch = 6;
}

static void next_no_record(struct fix *f)
{
	next_ready(f);
	f->in.rec = NULL;
}

static void next_owner_gone(struct fix *f)
{
	next_unwished(f);
	f->rec.owner[0] = 0;
	f->rec.phase = HCV_PH_NONE;
}

/* It is this node's now; grants and links as in any take-over. */
static void next_taking(struct fix *f)
{
	next_ready(f);
	taking(f);
	memset(&f->rec.hand, 0, sizeof(f->rec.hand));
	strcpy(f->rec.owner, N1);
	f->rec.epoch = 6;
	f->grant[0].epoch = 6;
	f->grant[1].epoch = 6;
}

static void next_taking_ungranted(struct fix *f)
{
	next_taking(f);
	f->grant[1].epoch = 5;
}

static void next_serving(struct fix *f)
{
	next_taking(f);
	f->rec.phase = HCV_PH_SERVING;
	f->rec.was_clean = false;
}

static void next_linked(struct fix *f)
{
	next_serving(f);
	f->k.nr_links = 2;
}

static void next_rows(struct fix *f)
{
	next_linked(f);
	f->k.nr_extents = 2;
}

/* It grew after the disk was made. */
static void next_grown(struct fix *f)
{
	next_linked(f);
	f->vol.size *= 2;
}

static void next_limited(struct fix *f)
{
	next_serving(f);
	f->k.handover_ms = 2000;
}

static void next_taking_limited(struct fix *f)
{
	next_taking(f);
	f->k.handover_ms = 2000;
}

/* The source died: attached here by hand. */
static void next_claimed(struct fix *f)
{
	next_taking(f);
	f->rec.was_clean = false;
}

static void next_claimed_other(struct fix *f)
{
	next_claimed(f);
	f->in.other_disk = true;
}

#endif /* HCV_AGENT_CORE_VOLPLAN_FIX_HAND_H */
