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

#include "volplan_fix_hand.h"
#include "volplan_fix_slow.h"
#include "volplan_fix_care.h"

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
#define J(_job)		.flags = F(HCV_JP_##_job)

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
	C(elsewhere_detach, FORGET),
	C(elsewhere_force, FORGET),
	C(elsewhere_unsettled, REREAD),
	C(nobody_detach, FORGET),
	C(no_record_force, FORGET),
	C(newer_epoch, FENCE, .says = "epoch"),
	C(older_epoch, WAIT, .says = "older than the module"),
	C(older_v, WAIT, .says = "older than the module"),
	C(older_v_unsettled, REREAD),
	C(fenced_here, STOP, .flags = F(1)),
	C(fenced_unfit, AGAIN, .says = "failed for"),
	C(fenced_elected, AGAIN, .says = "failed for"),
	C(fenced_elected_last, STOP, .flags = F(1)),
	C(fenced_all_unfit, STOP, .flags = F(1)),
	C(fenced_not_known, STOP, .flags = F(1)),
	C(fenced_unfit_detach, AGAIN),
	C(fenced_unfit_force, STOP, .flags = F(1)),
	C(fenced_unfit_failed, WAIT, .says = "again failed"),
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
	C(fresh_connecting, WAIT, .says = "connection to store1"),
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
	C(loading_failing, WAIT, .says = "loads"),
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
	C(lost_remote, RENEW, SB),
	C(lost_renewing, WAIT, .says = "grant of store1"),
	C(lost_renewed, LINK_ADD, SB, S(HCV_LINK_INSYNC)),
	C(lost_renewed_again, WAIT, .says = "grant of store1"),
	C(lost_remote_restarted, WAIT, .says = "restarted"),
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
	C(stale_unrenewed, WAIT, .says = "grant of store1"),
	C(stale_renewed, BEGIN_SYNC, SB),
	C(syncing_used_up, RENEW, SB),
	C(stale_reborn, BEGIN_SYNC, SB),
	C(stale_unconnected, CONNECT, SB),
	C(stale_connecting, SET),
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
	C(newcomer_failing, REMOVE, SC),
	C(newcomer_failing_last, CONFIRM, SC, S(HCV_LINK_OUT)),
	C(newcomer_failing_last_urgent, WAIT, .says = "must come back"),
	C(newcomer_failing_last_used, WAIT, .says = "must come back"),
	C(newcomer_failed_last, LINK_DEL, SC),
	C(newcomer_linked, EXTENT_ADD, .flags = F(HCV_EXT_F_FRESH)),
	C(row_unformatted, WAIT, .says = "format"),
	C(row_handles, LINK_ADD, SB, S(HCV_LINK_INSYNC)),
	C(row_far, EXTENT_ADD, .flags = F(HCV_EXT_F_FRESH)),
	C(row_far_restarted, LINK_ADD, SB, S(HCV_LINK_INSYNC)),
	C(row_far_syncing, LINK_ADD, SB, S(HCV_LINK_SYNCING)),
	C(row_far_ungranted, WAIT, .says = "handles of store1"),
	C(row_stale_partner, EXTENT_ADD, .flags = F(HCV_EXT_F_FRESH)),
	C(grow, PLACE, .flags = F(0)),
	C(grow_pending, WAIT, .says = "format"),
	C(hungry, PLACE, .flags = F(1)),
	C(hungry_beyond, WAIT, .says = "as many extents"),
	C(sated, NONE),
	/* extents that go back */
	C(idle_more, RETIRE),
	C(idle_enough, NONE),
	C(idle_old_module, NONE),
	C(idle_readonly, NONE),
	C(idle_suspended, NONE),
	C(idle_hungry, NONE),
	C(idle_urgent, NONE),
	C(idle_syncing, NONE),
	C(idle_degraded, RETIRE),
	C(retired, DROP_ROWS),
	C(retired_settling, WAIT, .says = "wait for a flush"),
	C(retired_no_row, EXTENT_DEL),
	C(retired_old_view, NONE),
	C(retired_unread, WAIT, .says = "metadata store"),
	C(retired_stale_back, DROP_ROWS),
	C(retiring_stale_back, WAIT, .says = "wait for a flush"),
	C(retired_failing, REMOVE, SB),
	C(retired_detach, STOP, .flags = F(0)),
	C(hole, EXTENT_ADD, .flags = F(HCV_EXT_F_FRESH)),
	C(hole_retired, EXTENT_ADD, .flags = F(HCV_EXT_F_FRESH)),
	/* slow stores */
	C(slow_keep, NONE),
	C(slow, DROP_SLOW, SB),
	C(slow_local, DROP_SLOW, SA),
	C(slow_both, NONE),
	C(slow_unsettled, REREAD),
	C(slow_urgent, NONE),
	C(slow_suspended, NONE),
	C(slow_settling, WAIT, .says = "wait for a flush"),
	C(slow_failing, REMOVE, SB),
	C(slow_newcomer, LINK_ADD, SC, S(HCV_LINK_SYNCING), F(0)),
	C(slow_newcomer_syncing, WAIT, .says = "link to store2"),
	C(slow_row_last, NONE),
	C(slow_detach, STOP, .flags = F(0)),
	C(slow_backoff, WAIT, .says = "needed"),
	C(slow_out, LINK_DEL, SB),
	C(slow_stale, WAIT, .says = "stays out"),
	C(slow_stale_fast, BEGIN_SYNC, SB),
	C(slow_stale_keep, BEGIN_SYNC, SB),
	C(slow_syncing, LINK_ADD, SB, S(HCV_LINK_SYNCING), F(0)),
	/* recovery jobs */
	C(job_begins, JOB, SC, J(ADD)),
	C(job_half, JOB, SC, J(ADD)),
	C(job_added, BEGIN_SYNC, SC),
	C(job_syncing, NONE),
	C(job_tried, JOB, "", J(FAIL)),
	C(job_tried_told, WAIT),
	C(job_add_tried, JOB, "", J(FAIL)),
	C(job_filled, JOB, SB, J(RELEASE)),
	C(job_filled_unsettled, REREAD),
	C(job_filled_lost, LINK_ADD, SB, S(HCV_LINK_INSYNC), F(0)),
	C(job_released, REMOVE, SB),
	C(job_joining, CONFIRM, SC, S(HCV_LINK_INSYNC)),
	C(job_other_lost, JOB, "", J(END)),
	C(job_removed, CONFIRM, SB, S(HCV_LINK_OUT)),
	C(job_out, LINK_DEL, SB),
	C(job_dropped, JOB, SB, J(DROP)),
	C(job_off, JOB, SC, J(REMOVE)),
	C(job_retired, DROP_ROWS),
	C(job_urgent, NONE),
	C(job_failing, REMOVE, SC),
	/* definition */
	C(set_size, SET),
	C(set_smaller, NONE),
	C(set_name, SET),
	C(set_policy, SET),
	C(set_sync, NONE),
	/* detach */
	C(detach, STOP, .flags = F(0)),
	C(detach_failing, REMOVE, SB),
	C(detach_stopped, DETACH, .flags = F(1)),
	C(detach_forgotten, DETACH, .flags = F(1)),
	C(detach_restarted, DETACH, .flags = F(0)),
	C(force, STOP, .flags = F(1)),
	C(force_stopping, WAIT, .says = "being stopped"),
	C(force_zombie, DETACH, .flags = F(0)),
	/* hand-over, the source */
	C(hand_wished_for, WAIT, .says = "gets ready"),
	C(hand_ready, WAIT, .says = "waits for the word"),
	C(hand_ready_grow, PLACE),
	C(hand_go_early, WAIT, .says = "gets ready"),
	C(hand_go, HALT),
	C(hand_go_slow, HALT),
	C(hand_go_failed, HAND_ABORT, .says = "a flush hangs"),
	C(hand_go_failed_once_less, HALT),
	C(hand_go_unknown, NONE),
	C(hand_go_unsettled, REREAD),
	C(hand_go_urgent, NONE),
	C(hand_go_failing, REMOVE, SB),
	C(hand_go_detach, STOP, .flags = F(0)),
	C(hand_go_force, STOP, .flags = F(1)),
	C(hand_go_backoff, WAIT, .says = "a replica failed"),
	C(hand_away, WAIT, .says = "does not answer"),
	C(hand_gone, HAND_ABORT, .says = "gone"),
	C(hand_late, HAND_ABORT, .says = "within 60000 ms"),
	C(hand_late_soon, WAIT, .says = "gets ready"),
	C(hand_late_go, HAND_ABORT, .says = "within 60000 ms"),
	C(hand_late_other, HALT),
	C(hand_restarted, HAND_ABORT, .says = "restarted"),
	C(halted, HAND_OVER),
	C(halted_unsettled, HAND_OVER),
	C(halted_unread, WAIT, .says = "metadata store"),
	C(halted_failing, HAND_OVER),
	C(halted_urgent, NONE),
	C(halted_tried, HAND_ABORT, .says = "could not be handed over"),
	C(halted_tried_twice, WAIT, .says = "no answer either"),
	C(halted_unready, HAND_ABORT),
	C(halted_away, HAND_ABORT, .says = "gone"),
	C(halted_detach, HAND_ABORT, .says = "detached"),
	C(halted_force, STOP, .flags = F(1)),
	C(halted_unwished, RESUME),
	C(halted_unwished_unsettled, REREAD),
	C(handed_over, LET_GO),
	C(handed_over_force, LET_GO),
	C(halted_taken, LET_GO),
	C(halted_no_record, FENCE),
	/* hand-over, the target */
	C(next_wished, PREPARE),
	C(next_unknown, NONE),
	C(next_stranger, NONE),
	C(next_zombie, PREPARE),
	C(next_leftover, STOP, .flags = F(1)),
	C(next_prepared, CONNECT, SB),
	C(next_urgent, WAIT),
	C(next_connecting, WAIT, .says = "connection to store1"),
	C(next_refused, WAIT, .says = "connection to store1"),
	C(next_refused_one, CONNECT, SC),
	C(next_store_away, HAND_READY),
	C(next_store_stale, HAND_READY),
	C(next_connected, HAND_READY),
	C(next_ready, WAIT, .says = "is ready"),
	C(next_late, HAND_ABORT, .says = "within 60000 ms"),
	C(next_late_other, WAIT, .says = "is ready"),
	C(next_detach, HAND_ABORT, .says = "operator"),
	C(next_unwished, STOP, .flags = F(1)),
	C(next_unwished_unsettled, REREAD),
	C(next_unwished_detach, STOP, .flags = F(1)),
	C(next_taken, STOP, .flags = F(1)),
	C(next_again, STOP, .flags = F(1)),
	C(next_no_record, STOP, .flags = F(1)),
	C(next_owner_gone, STOP, .flags = F(1)),
	C(next_taking, SERVE, .says = "AB"),
	C(next_taking_ungranted, WAIT, .says = "store1"),
	C(next_claimed, SERVE, .says = "A"),
	C(next_claimed_other, STOP, .flags = F(1)),
	C(next_taking_limited, SET),
	C(next_limited, SET),
	C(next_serving, LINK_ADD, SA, S(HCV_LINK_INSYNC), F(0)),
	C(next_linked, EXTENT_ADD, .flags = F(0)),
	C(next_grown, SET),
	C(next_rows, START, ""),
	/* attached nowhere */
	C(care_due, CARE_CLAIM),
	C(care_due_elsewhere, NONE),
	C(care_due_old_module, NONE),
	C(care_due_deleting, NONE),
	C(care_due_no_volume, NONE),
	C(care_due_urgent, NONE),
	C(care_due_wish, FORGET),
	C(care_due_failed, WAIT, .says = "no answer"),
	C(care_due_leftover, FENCE),
	C(care_of_another, NONE),
	C(care_of_another_gone, CARE_CLAIM),
	C(care_attached_elsewhere_gone, NONE),
	C(care_taking, SERVE, .says = "AB"),
	C(care_taking_absent, CREATE),
	C(care_taking_old_module, DETACH, .flags = F(1)),
	C(care_taking_unwanted, CARE_LEAVE),
	C(care_taking_long, CARE_LEAVE),
	C(care_taking_leaves, STOP, .flags = F(0)),
	C(care_taking_stopping, WAIT, .says = "being stopped"),
	C(care_taking_left, DETACH, .flags = F(1)),
	C(care_taking_attached, SERVE, .says = "AB"),
	C(care_fresh, LINK_ADD, SA, S(HCV_LINK_INSYNC), F(0)),
	C(care_fresh_long, CARE_LEAVE),
	C(care_fresh_leaves, STOP, .flags = F(0)),
	C(care, NONE),
	C(care_job, JOB, SC, J(ADD)),
	C(care_stale_back, BEGIN_SYNC, SB),
	C(care_grow, SET),
	C(care_idle, NONE),
	C(care_set, SET),
	C(care_unwanted, CARE_LEAVE),
	C(care_unwanted_urgent, NONE),
	C(care_unwanted_failing, REMOVE, SB),
	C(care_leaves, STOP, .flags = F(0)),
	C(care_leaves_job, STOP, .flags = F(0)),
	C(care_leaves_suspended, STOP, .flags = F(0)),
	C(care_stop_fails, STOP, .flags = F(0)),
	C(care_stop_failed, STOP, .flags = F(1)),
	C(care_link_lost, WAIT, .says = "store0 is away"),
	C(care_link_reborn, CARE_LEAVE),
	C(care_leaves_urgent, NONE),
	C(care_left, DETACH, .flags = F(1)),
	C(care_left_unproved, DETACH, .flags = F(0)),
	C(care_lost, DETACH, .flags = F(0)),
	C(care_force, STOP, .flags = F(1)),
	C(care_attached, PUBLISH),
	C(care_attached_job, PUBLISH),
	C(care_attached_suspended, WAIT, .says = "suspended"),
	C(care_attached_urgent, NONE),
	C(care_attached_detach, STOP, .flags = F(0)),
	C(care_attached_lost, WAIT, .says = "attach it again"),
	C(care_evicted, FENCE, .says = "names no owner"),
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
	case HCV_VP_JOB:
		KUNIT_EXPECT_TRUE(test, !c->flags ||
				  F((int)out.job) == c->flags);
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
		KUNIT_EXPECT_EQ(test, out.distrust, !!c->says);
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

/* How many go, of which column, and which stay. */
static void volplan_gives_back(struct kunit *test)
{
	struct fix *f = kunit_kzalloc(test, sizeof(*f), 0);
	struct hcv_vp_out out;
	size_t i;

	fix_init(f);
	idle_more(f);
	f->k.nr_col = 2;
	f->k.stripe = 2;
	f->vol.stripe = 2;
	f->k.col_ready[1] = 20;
	f->k.col_idle[0] = 7;
	f->k.col_idle[1] = 20;
	for (i = 1; i < 8; i += 2)
		f->row[i].column = 1;
	/* A third store has but one row, which stays whatever its column. */
	f->rec.nr = 3;
	f->k.nr_links = 3;
	strcpy(f->row[5].store[1], SC);
	hcv_volplan_next(&f->in, &out);
	KUNIT_EXPECT_EQ(test, out.act, HCV_VP_RETIRE);
	KUNIT_EXPECT_EQ(test, out.column, 1U);
	KUNIT_EXPECT_EQ(test, out.count, 20U - HCV_VP_AHEAD - HCV_VP_IDLE - 1);
	KUNIT_ASSERT_EQ(test, out.nr_index, (size_t)2);
	KUNIT_EXPECT_EQ(test, out.index[0], 0U);
	KUNIT_EXPECT_EQ(test, out.index[1], 5U);

	fix_init(f);
	retired(f);
	f->k.nr_settled = 2;
	f->k.settled[1] = 6;
	hcv_volplan_next(&f->in, &out);
	KUNIT_EXPECT_EQ(test, out.act, HCV_VP_DROP_ROWS);
	KUNIT_ASSERT_EQ(test, out.nr_index, (size_t)2);
	KUNIT_EXPECT_EQ(test, out.index[0], 3U);
	KUNIT_EXPECT_EQ(test, out.index[1], 6U);

	/* The module was given what is below: not by the number of rows. */
	fix_init(f);
	hole(f);
	hcv_volplan_next(&f->in, &out);
	KUNIT_EXPECT_EQ(test, out.act, HCV_VP_EXTENT_ADD);
	KUNIT_EXPECT_EQ(test, out.row, (size_t)7);
	KUNIT_EXPECT_EQ(test, out.row_nr, (size_t)1);
	KUNIT_EXPECT_EQ(test, f->row[out.row].index, 8U);
}

/* A view that has the row, but not the record that came with it. */
static void volplan_row_of_nobody(struct kunit *test)
{
	struct fix *f = kunit_kzalloc(test, sizeof(*f), 0);
	struct hcv_vp_out out;

	fix_init(f);
	hole(f);
	strcpy(f->row[7].store[1], SC);
	f->rec.nr = 2;
	hcv_volplan_next(&f->in, &out);
	KUNIT_EXPECT_NE(test, out.act, HCV_VP_EXTENT_ADD);
	KUNIT_EXPECT_NOT_NULL(test, strstr(out.reason, "which the record does not have"));
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

/* Each wish has a limit of its own; what is kept of one goes over into its epoch. */
static void volplan_hand_timers(struct kunit *test)
{
	struct hcv_vp_out c = { .act = HCV_VP_CONNECT, .store = SB };
	struct fix *f = kunit_kzalloc(test, sizeof(*f), 0);

	fix_init(f);
	next_prepared(f);
	memset(&f->mem, 0, sizeof(f->mem));
	hcv_volplan_time(&f->mem, &f->in);
	KUNIT_EXPECT_EQ(test, f->mem.hand_ms, (int64_t)NOW);
	KUNIT_EXPECT_EQ(test, f->mem.epoch, 6ULL);
	hcv_volplan_failed(&f->mem, &c, NOW, "refused");
	f->in.now_ms = NOW + 50;
	hcv_volplan_time(&f->mem, &f->in);
	KUNIT_EXPECT_EQ(test, f->mem.hand_ms, (int64_t)NOW);
	f->rec.hand.v = 12;
	hcv_volplan_time(&f->mem, &f->in);
	KUNIT_EXPECT_EQ(test, f->mem.hand_ms, (int64_t)NOW + 50);
	KUNIT_EXPECT_EQ(test, f->mem.nr_retry, (size_t)0);
	hcv_volplan_failed(&f->mem, &c, NOW, "refused");
	next_taking(f);
	hcv_volplan_time(&f->mem, &f->in);
	KUNIT_EXPECT_EQ(test, f->mem.taking_ms, f->in.now_ms);
	KUNIT_EXPECT_EQ(test, f->mem.nr_retry, (size_t)1);

	fix_init(f);
	hand_go_failed(f);
	hcv_volplan_time(&f->mem, &f->in);
	KUNIT_EXPECT_EQ(test, f->mem.nr_retry, (size_t)1);
	memset(&f->rec.hand, 0, sizeof(f->rec.hand));
	hcv_volplan_time(&f->mem, &f->in);
	KUNIT_EXPECT_EQ(test, f->mem.nr_retry, (size_t)0);

	fix_init(f);
	hand_go(f);
	f->in.to_live = false;
	hcv_volplan_time(&f->mem, &f->in);
	KUNIT_EXPECT_EQ(test, f->mem.to_gone_ms, (int64_t)NOW);
	f->in.now_ms = NOW + 50;
	hcv_volplan_time(&f->mem, &f->in);
	KUNIT_EXPECT_EQ(test, f->mem.to_gone_ms, (int64_t)NOW);
	KUNIT_EXPECT_EQ(test, f->mem.hand_ms, (int64_t)NOW);
	f->in.to_live = true;
	f->rec.hand.v++;
	hcv_volplan_time(&f->mem, &f->in);
	KUNIT_EXPECT_EQ(test, f->mem.hand_ms, (int64_t)NOW + 50);
	KUNIT_EXPECT_EQ(test, f->mem.to_gone_ms, (int64_t)0);
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
	KUNIT_CASE(volplan_gives_back),
	KUNIT_CASE(volplan_row_of_nobody),
	KUNIT_CASE(volplan_retry_backs_off),
	KUNIT_CASE(volplan_resync_backs_off),
	KUNIT_CASE(volplan_timers),
	KUNIT_CASE(volplan_hand_timers),
	KUNIT_CASE(volplan_need_rows),
	{}
};

static struct kunit_suite volplan_suite = {
	.name = "hcv_volplan",
	.test_cases = volplan_test_cases,
};

kunit_test_suite(volplan_suite);
