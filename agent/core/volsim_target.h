/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For volsim_test.c alone: the stores with their gates, and the agents that tell
 * them what the metadata store says.
 */
#ifndef HCV_AGENT_CORE_VOLSIM_TARGET_H
#define HCV_AGENT_CORE_VOLSIM_TARGET_H

#include "volsim_world.h"

static uint64_t sim_renewal(const struct sim *s, int n)
{
	size_t i;

	for (i = 0; i < s->rec.nr; i++)
		if (!strcmp(s->rec.st[i].store, store_id[n]))
			return s->rec.st[i].renew;
	return 0;
}

/* The old handles die first, the new ones may take a while. */
static bool sim_target_handles(struct sim *s, int n)
{
	struct sim_store *st = &s->store[n];

	/* The gate would take it for a record from a backup. */
	if (st->renew > sim_renewal(s, n))
		sim_fail(s, "store %d: renewal %llu of the record, its gate is at %llu",
			 n, (unsigned long long)sim_renewal(s, n),
			 (unsigned long long)st->renew);
	if (st->renew != sim_renewal(s, n)) {
		st->renew = sim_renewal(s, n);
		st->handle = 0;
		s->nr_renewals++;
	}
	if (!st->handle && sim_chance(s, 3)) {
		s->next_handle += HANDLES;
		st->handle = s->next_handle;
	}
	return st->handle;
}

/*
 * Rows that are gone, on a copy that counts.  Late writes are refused from now
 * on: that of the row's handle alone.
 */
static void sim_target_free(struct sim *s, int n)
{
	struct sim_store *st = &s->store[n];
	uint32_t gone;
	size_t i, r;

	for (i = 0; i < s->rec.nr; i++)
		if (!strcmp(s->rec.st[i].store, store_id[n]) &&
		    s->rec.st[i].state != HCV_RS_INSYNC)
			return;
	gone = ALL_ROWS & ~s->there & ~st->freed;
	for (r = 0; r < ROWS; r++)
		s->nr_freed += gone >> r & 1 && sim_row_on(s, r, n);
	st->freed |= gone;
}

/* All that the store has goes, late writes are let in no more; the epoch goes on. */
static void sim_target_left(struct sim *s, int n)
{
	struct sim_store *st = &s->store[n];

	if (sim_named(s, n))
		sim_fail(s, "store %d left and has a part", n);
	st->handle = 0;
	if (st->granted == st->left && st->renew < st->left_renew)
		st->renew = st->left_renew;
	st->has_key = false;
	st->freed = ALL_ROWS;
	if (sim_chance(s, 3))
		st->left = 0;
}

/* Rows that came are empty. Return: up to where all are there */
static uint32_t sim_target_format(struct sim *s, int n)
{
	struct sim_store *st = &s->store[n];
	uint32_t ready = 0;
	size_t r;

	for (r = 0; r < ROWS; r++) {
		if (!sim_row_on(s, r, n))
			continue;
		ready = r + 1;
		if (!(s->there & st->freed & (1U << r)))
			continue;
		st->freed &= ~(1U << r);
		st->content[r] = 0;
	}
	return ready;
}

/* The owner can connect, and so can who is to be handed the volume. */
static void sim_export(struct sim *s, int n)
{
	int i;

	for (i = 0; i < NODES; i++)
		if (!strcmp(s->rec.owner, node_id[i]) ||
		    !strcmp(s->rec.hand.to, node_id[i]))
			s->store[n].exported |= 1U << i;
}

/* Whether the epoch before may have a lease still. */
static bool sim_leased(struct sim *s, int n)
{
	struct sim_store *st = &s->store[n];

	if (!s->leases || !st->granted || st->granted == s->rec.epoch ||
	    st->let_go >= st->granted)
		return false;
	if (!st->lease_end)
		st->lease_end = s->now + GATE_LEASE_MS;
	return s->now < st->lease_end;
}

static void sim_target(struct sim *s, int n)
{
	struct sim_store *st = &s->store[n];
	const struct hcv_record *rec = &s->rec;
	uint32_t ready;

	if (!s->node[n].up || !s->node[n].agent || !s->node[n].meta)
		return;
	if (st->left) {
		sim_target_left(s, n);
		return;
	}
	if (rec->phase == HCV_PH_NONE) {
		if (st->revoked < rec->epoch)
			st->revoked = rec->epoch;
		st->has_key = false;
		return;
	}
	if (sim_named(s, n))
		sim_export(s, n);
	if (sim_leased(s, n))
		return;
	if (st->revoked + 1 < rec->epoch)
		st->revoked = rec->epoch - 1;
	if (!sim_named(s, n))
		return;
	ready = sim_target_format(s, n);
	if (st->granted < rec->epoch && st->revoked < rec->epoch) {
		st->granted = rec->epoch;
		st->renew = 0;
		st->handle = 0;
	}
	if (st->granted != rec->epoch || !sim_target_handles(s, n))
		return;
	sim_target_free(s, n);
	st->has_key = true;
	if (st->key.range[0].first != st->handle)
		st->old_key = st->key;
	st->key = (struct hcv_grant_info){
		.epoch = rec->epoch, .incarnation = st->incarnation,
		.ready = ready, .renew = st->renew, .nr = 1,
	};
	strcpy(st->key.client, rec->owner);
	st->key.range[0].first = st->handle;
	st->key.range[0].count = HANDLES;
}

/* What the transport held back arrives, as old as it may be. */
static void sim_late_writes(struct sim *s)
{
	int i;

	for (i = 0; i < LATE_WRITES; i++) {
		struct sim_late_write *w = &s->late_write[i];
		struct sim_store *st = &s->store[w->store];

		if (!w->used || w->at > s->now || !s->node[w->store].up)
			continue;
		w->used = false;
		if (st->handle != w->handle || st->revoked >= st->granted ||
		    st->freed & (1U << w->row)) {
			s->nr_dead++;
			continue;
		}
		sim_log(s, "write %llu of row %zu lands late on %d",
			(unsigned long long)w->n, w->row, w->store);
		st->content[w->row] = w->n;
		s->nr_late++;
	}
}

#endif /* HCV_AGENT_CORE_VOLSIM_TARGET_H */
