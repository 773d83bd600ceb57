// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transitions of a volume's record.
 *
 * Every function works on a copy and hands it out when all of it is right, so
 * that a refusal leaves the caller's record as it was read.
 */
#include "record.h"

#include <stdlib.h>

#include "elect.h"
#include "record_priv.h"
#include "record_temp.h"

/* An election looks at this many choices at most. */
#define ELECT_STEPS 100000

uint32_t hcv_rec_mask(const struct hcv_record *r, struct hcv_rec_ids ids)
{
	uint32_t mask = 0;
	size_t i;

	for (i = 0; i < ids.nr; i++)
		mask |= bit_of(r, ids.id[i]);
	return mask;
}

/*
 * Whether the stores of @set have all data, with @pair together with base and
 * temporary replica; else @row is one they lack.
 */
static bool covers(const struct hcv_record *r, uint32_t set, bool pair,
		   const struct hcv_rows *rows, const struct hcv_row **row)
{
	size_t i;

	*row = NULL;
	if (!set && !pair)
		return false;
	for (i = 0; rows && i < rows->nr; i++) {
		if (row_mask(r, &rows->row[i]) & set ||
		    (pair && hcv_record_temp_row(r, &rows->row[i])))
			continue;
		*row = &rows->row[i];
		return false;
	}
	return true;
}

struct hcv_rec_store *hcv_record_find(struct hcv_record *r, const char *store)
{
	int i = place_of(r, store);

	return i < 0 ? NULL : &r->st[i];
}

bool hcv_record_insync(const struct hcv_record *r, const char *store)
{
	return insync_mask(r) & bit_of(r, store);
}

size_t hcv_record_nr_insync(const struct hcv_record *r)
{
	return (size_t)__builtin_popcount(insync_mask(r));
}

static int check_store(const struct hcv_record *r, size_t i, char *err)
{
	const struct hcv_rec_store *st = &r->st[i];

	if (!hcv_model_uuid_ok(st->store))
		return fail(err, -EINVAL, "\"stores\" names no store");
	if (place_of(r, st->store) != (int)i)
		return fail(err, -EINVAL, "store %s is named twice",
			    st->store);
	if (st->v > r->v || (st->v == r->v && st->state != HCV_RS_INSYNC))
		return fail(err, -EINVAL,
			    "store %s has v %llu, the volume %llu", st->store,
			    (unsigned long long)st->v,
			    (unsigned long long)r->v);
	if (st->renew > r->v)
		return fail(err, -EINVAL,
			    "store %s has renewal %llu, the volume v %llu",
			    st->store, (unsigned long long)st->renew,
			    (unsigned long long)r->v);
	if (st->state == HCV_RS_SYNCING && r->phase != HCV_PH_SERVING)
		return fail(err, -EINVAL,
			    "store %s is syncing while nobody serves",
			    st->store);
	if (st->passed && (st->state != HCV_RS_STALE || !r->before))
		return fail(err, -EINVAL,
			    "store %s was passed over, but is not stale, or by nobody",
			    st->store);
	return 0;
}

static int check_hand(const struct hcv_record *r, char *err)
{
	const struct hcv_rec_hand *h = &r->hand;

	if (!*h->to) {
		if (h->v || h->ready || h->go || h->limit_ms)
			return fail(err, -EINVAL,
				    "\"handover\" names no node");
		return 0;
	}
	if (!hcv_model_uuid_ok(h->to) || !strcmp(h->to, r->owner))
		return fail(err, -EINVAL,
			    "\"handover\" names no other node");
	if (r->phase != HCV_PH_SERVING)
		return fail(err, -EINVAL,
			    "\"handover\" is set while nobody serves");
	if (!h->v || h->v > r->v || !h->limit_ms)
		return fail(err, -EINVAL,
			    "\"handover\" has v %llu, the volume %llu, or no limit",
			    (unsigned long long)h->v,
			    (unsigned long long)r->v);
	return 0;
}

static int check_care(const struct hcv_record *r, char *err)
{
	if (r->care.leave && !r->care.on)
		return fail(err, -EINVAL, "no caretaker is to leave");
	if (r->care.on && !*r->owner)
		return fail(err, -EINVAL, "\"caretaker\" is set without an owner");
	if (r->care.on && *r->hand.to)
		return fail(err, -EINVAL,
			    "\"handover\" is set of a volume that is not attached");
	return 0;
}

int hcv_record_check(const struct hcv_record *r, char *err)
{
	bool idle = r->phase == HCV_PH_NONE;
	bool owned = *r->owner;
	size_t i;

	if (owned == idle)
		return fail(err, -EINVAL,
			    "\"owner\" and \"phase\" contradict each other");
	if (owned && (!hcv_model_uuid_ok(r->owner) || !r->epoch))
		return fail(err, -EINVAL,
			    "\"owner\" is no node, or has no epoch");
	if (r->clean && !idle)
		return fail(err, -EINVAL, "\"clean\" is set with an owner");
	if (r->was_clean && r->phase != HCV_PH_TAKING)
		return fail(err, -EINVAL,
			    "\"was_clean\" is set outside of a take-over");
	if (r->before && r->phase != HCV_PH_SERVING)
		return fail(err, -EINVAL,
			    "\"before\" is set while nobody serves");
	if (check_hand(r, err) || check_care(r, err))
		return -EINVAL;
	if (r->nr > HCV_REC_STORES)
		return fail(err, -EINVAL, "more than %d stores",
			    HCV_REC_STORES);
	for (i = 0; i < r->nr; i++)
		if (check_store(r, i, err))
			return -EINVAL;
	if (hcv_rec_temp_check(r, err))
		return -EINVAL;
	if (r->nr && !insync_mask(r) && !hcv_record_pair(r))
		return fail(err, -EINVAL, "no store is in-sync");
	return 0;
}

int hcv_record_init(struct hcv_record *r, uint64_t lineage,
		    struct hcv_rec_ids stores, char *err)
{
	struct hcv_record new = { .lineage = lineage, .clean = true };
	size_t i;

	if (stores.nr > HCV_REC_STORES)
		return fail(err, -ENOSPC, "%zu stores are too many for a volume, %d is the limit",
			    stores.nr, HCV_REC_STORES);
	for (i = 0; i < stores.nr; i++) {
		new.st[i].state = HCV_RS_INSYNC;
		new.st[i].v = 1;
		snprintf(new.st[i].store, HCV_ID_LEN, "%s", stores.id[i]);
	}
	new.nr = stores.nr;
	return commit(r, &new, err);
}

/* What a new owner finds; a copy under way does not outlive its owner. */
static void end_syncs(struct hcv_record *r)
{
	size_t i;

	for (i = 0; i < r->nr; i++)
		if (r->st[i].state == HCV_RS_SYNCING)
			r->st[i].state = HCV_RS_STALE;
}

static void end_hand(struct hcv_record *r)
{
	memset(&r->hand, 0, sizeof(r->hand));
}

/* What was about one owner goes with it. */
static void end_owner(struct hcv_record *r)
{
	end_hand(r);
	memset(&r->care, 0, sizeof(r->care));
}

int hcv_record_claim(struct hcv_record *r, const char *node, bool owner_alive,
		     bool takeover, char *err)
{
	struct hcv_record new = *r;

	if (!hcv_model_uuid_ok(node))
		return fail(err, -EINVAL, "\"%s\" is no node", node);
	if (*r->owner && strcmp(r->owner, node) && owner_alive && !takeover)
		return fail(err, -EBUSY,
			    "node %s owns the volume and is alive: detach it there, or attach with --takeover",
			    r->owner);
	if (r->epoch >= NUMBER_MAX)
		return fail(err, -EOVERFLOW, "the epoch cannot grow any more");
	/* A claimant that never served has not written either. */
	if (r->phase == HCV_PH_NONE)
		new.was_clean = r->clean;
	else if (r->phase == HCV_PH_SERVING)
		new.was_clean = false;
	snprintf(new.owner, sizeof(new.owner), "%s", node);
	new.epoch++;
	new.phase = HCV_PH_TAKING;
	new.clean = false;
	end_owner(&new);
	end_syncs(&new);
	return commit(r, &new, err);
}

int hcv_record_care_claim(struct hcv_record *r, const char *node,
			  bool owner_alive, char *err)
{
	struct hcv_record new = *r;
	int ret;

	if (*r->owner && (!r->care.on || owner_alive))
		return fail(err, -EBUSY, "node %s %s", r->owner,
			    r->care.on ? "takes care of the volume" :
					 "has the volume attached");
	ret = hcv_record_claim(&new, node, false, false, err);
	if (ret)
		return ret;
	new.care.on = true;
	*r = new;
	return 0;
}

static int not_cared_for(const struct hcv_record *r, const char *node,
			 char *err)
{
	if (r->care.on && (!node || !strcmp(r->owner, node)))
		return 0;
	return fail(err, -EPERM, "%s does not take care of the volume",
		    node ? node : "a caretaker");
}

int hcv_record_care_take(struct hcv_record *r, const char *node, char *err)
{
	struct hcv_record new = *r;
	int ret = not_cared_for(r, node, err);

	if (ret)
		return ret;
	if (r->care.leave)
		return fail(err, -EBUSY,
			    "node %s is just giving the volume up", node);
	new.care.on = false;
	return commit(r, &new, err);
}

int hcv_record_care_leave(struct hcv_record *r, char *err)
{
	struct hcv_record new = *r;
	int ret = not_cared_for(r, NULL, err);

	if (ret || r->care.leave)
		return ret;
	new.care.leave = true;
	return commit(r, &new, err);
}

int hcv_record_care_evict(struct hcv_record *r, char *err)
{
	int ret = not_cared_for(r, NULL, err);

	return ret ? ret : hcv_record_detach(r, r->owner, false, err);
}

int hcv_record_hand_begin(struct hcv_record *r, const char *to, bool go,
			  uint32_t limit_ms, char *err)
{
	struct hcv_record new = *r;

	if (r->phase != HCV_PH_SERVING || r->care.on)
		return fail(err, -EPERM, "no node serves the volume");
	if (!hcv_model_uuid_ok(to) || !strcmp(to, r->owner) || !limit_ms)
		return fail(err, -EINVAL,
			    "a volume is handed over to another node, within a time");
	if (*r->hand.to && strcmp(r->hand.to, to))
		return fail(err, -EBUSY,
			    "it is being handed over to node %s already",
			    r->hand.to);
	if (*r->hand.to) {
		/* The target counts on: the limit is that of the beginning. */
		if (r->hand.go || !go)
			return 0;
		new.hand.go = true;
		return commit(r, &new, err);
	}
	snprintf(new.hand.to, sizeof(new.hand.to), "%s", to);
	new.hand.v = r->v + 1;
	new.hand.go = go;
	new.hand.limit_ms = limit_ms;
	return commit(r, &new, err);
}

int hcv_record_hand_ready(struct hcv_record *r, const char *node, char *err)
{
	struct hcv_record new = *r;

	if (!*r->hand.to || strcmp(r->hand.to, node))
		return fail(err, -EPERM,
			    "the volume is not to be handed over to node %s",
			    node);
	if (r->hand.ready)
		return 0;
	new.hand.ready = true;
	return commit(r, &new, err);
}

int hcv_record_hand_abort(struct hcv_record *r, char *err)
{
	struct hcv_record new = *r;

	if (!*r->hand.to)
		return 0;
	end_hand(&new);
	return commit(r, &new, err);
}

int hcv_record_hand_over(struct hcv_record *r, const char *node, char *err)
{
	struct hcv_record new = *r;

	if (r->phase != HCV_PH_SERVING || strcmp(r->owner, node))
		return fail(err, -EPERM, "node %s does not serve the volume",
			    node);
	if (!*r->hand.to || !r->hand.ready || !r->hand.go)
		return fail(err, -EPERM, "no other node is to have it by now");
	if (r->epoch >= NUMBER_MAX)
		return fail(err, -EOVERFLOW, "the epoch cannot grow any more");
	memcpy(new.owner, r->hand.to, sizeof(new.owner));
	new.epoch++;
	new.phase = HCV_PH_TAKING;
	new.was_clean = true;
	end_owner(&new);
	end_syncs(&new);
	return commit(r, &new, err);
}

/*
 * @pair: the place of the temporary replica stands for it and its base: one
 * more choice for each extent of the base; 0: it is none.
 */
static int elect_by_rows(const struct hcv_record *r, uint32_t allowed,
			 uint32_t prefer, uint32_t pair,
			 const struct hcv_rows *rows, uint32_t *result,
			 char *err)
{
	struct hcv_elect sets = { 0 };
	uint32_t insync = insync_mask(r), set;
	int ret = 0;
	size_t i;

	for (i = 0; rows && i < rows->nr && !ret; i++) {
		set = row_mask(r, &rows->row[i]) & insync;
		if (hcv_record_temp_row(r, &rows->row[i]))
			set |= pair;
		ret = hcv_elect_add(&sets, set);
	}
	/* Without rows: as if all stores had one in common. */
	if (!sets.nr && !ret)
		ret = hcv_elect_add(&sets, insync | pair);
	if (ret) {
		fail(err, ret, "out of memory");
	} else if (!hcv_elect_run(&sets, allowed | pair, prefer, ELECT_STEPS,
				  result)) {
		if (allowed == insync)
			ret = fail(err, -EXDEV,
				   "no choice of stores holds each extent exactly once");
		else
			ret = fail(err, -EAGAIN,
				   "the stores that answered hold no copy of all extents that is sure to be one");
	}
	free(sets.set);
	return ret;
}

/* The first in-sync store that did not confirm, for messages. */
static const char *missing(const struct hcv_record *r, uint32_t confirmed)
{
	uint32_t left = insync_mask(r) & ~confirmed;

	return left ? r->st[__builtin_ctz(left)].store : "none";
}

int hcv_rec_taking(const struct hcv_record *r, const char *node, char *err)
{
	if (r->phase == HCV_PH_TAKING && !strcmp(r->owner, node))
		return 0;
	return fail(err, -EPERM, "node %s is not taking the volume over", node);
}

/* The new in-sync set in @set: full copies. */
static int choose_full(const struct hcv_record *r, uint32_t confirmed,
		       uint32_t local, const struct hcv_rows *rows,
		       uint32_t *set, char *err)
{
	const struct hcv_row *row;

	*set = confirmed & insync_mask(r);
	if (!*set)
		return fail(err, -EAGAIN,
			    "no in-sync store has answered: waiting for store %s",
			    missing(r, 0));
	if (!covers(r, *set, false, rows, &row))
		return fail(err, -EAGAIN,
			    "extent %u is on no store that answered: waiting for store %s",
			    row->index, missing(r, *set));
	if (r->was_clean)
		return 0;
	return elect_by_rows(r, *set, local, 0, rows, set, err);
}

/*
 * The pair for all extents of its base, full copies for the others.  Whoever
 * has some extent of the base is left out, as it would be of two copies that
 * may differ.
 */
int hcv_rec_choose_pair(const struct hcv_record *r, uint32_t confirmed,
			uint32_t local, const struct hcv_rows *rows,
			uint32_t *set, char *err)
{
	uint32_t pair = 1U << hcv_rec_temp_place(r);
	const struct hcv_row *row;
	int ret;

	*set = confirmed & insync_mask(r);
	if (!r->was_clean) {
		ret = elect_by_rows(r, *set, local, pair, rows, set, err);
	} else {
		*set &= ~hcv_rec_temp_mates(r, rows);
		ret = covers(r, *set, true, rows, &row) ? 0 :
		      fail(err, -EAGAIN,
			   "extent %u is on no store that answered: waiting for store %s",
			   row->index, missing(r, confirmed));
	}
	*set |= pair;
	return ret;
}

/*
 * A full copy wherever there is one.  Only if none has answered the pair, whose
 * place in @set is that of the temporary replica.
 */
int hcv_rec_choose(const struct hcv_record *r, uint32_t confirmed,
		   uint32_t local, const struct hcv_rows *rows, uint32_t *set,
		   char *err)
{
	char why[HCV_ERR_SIZE], unused[HCV_ERR_SIZE];
	int ret;

	if (hcv_record_pair(r)) {
		ret = hcv_rec_temp_ready(r, confirmed, err);
		return ret ? ret :
		       hcv_rec_choose_pair(r, confirmed, local, rows, set, err);
	}
	ret = choose_full(r, confirmed, local, rows, set, why);
	if ((ret == -EAGAIN || ret == -EXDEV) &&
	    !hcv_rec_temp_ready(r, confirmed, unused) &&
	    !hcv_rec_choose_pair(r, confirmed, local, rows, set, unused))
		return 0;
	return ret ? fail(err, ret, "%s", why) : 0;
}

/* From now on writes miss a temporary replica, or need it. */
static void settle_temp(struct hcv_record *new, bool pair)
{
	int temp = hcv_rec_temp_place(new);

	if (temp < 0)
		return;
	if (!pair) {
		hcv_rec_temp_leave(new);
		return;
	}
	new->st[temp].covers = true;
	new->st[temp].pair = true;
	hcv_record_find(new, new->st[temp].base)->state = HCV_RS_SYNCING;
}

int hcv_rec_serve_as(struct hcv_record *r, uint32_t set,
		     const struct hcv_rec_as *as, char *err)
{
	int temp = hcv_rec_temp_place(r);
	bool pair = temp >= 0 && set & (1U << temp);
	struct hcv_record new = *r;
	size_t i;

	/* After an unclean stop nobody would know what base and it differ in. */
	if (pair && !as->log)
		return fail(err, -EOPNOTSUPP,
			    "this node keeps no activity log, without which stores %s and %s cannot be used together",
			    r->st[temp].base, r->st[temp].store);
	for (i = 0; i < r->nr; i++) {
		if (set & (1U << i) || (int)i == temp ||
		    (pair && !strcmp(r->st[i].store, r->st[temp].base)))
			continue;
		/* Nothing was written since the claim. */
		if (new.st[i].state == HCV_RS_INSYNC) {
			new.st[i].v = r->v;
			new.st[i].passed = true;
		}
		/*
		 * The logs name what it may lack or have for itself, and the
		 * source gives that a stamp above all it has.
		 */
		if ((!r->was_clean && !r->log) || as->lineage)
			new.st[i].v = 0;
		new.st[i].state = HCV_RS_STALE;
	}
	new.phase = HCV_PH_SERVING;
	/* Of another lineage there is no other copy. */
	new.before = as->lineage ? HCV_RB_UNKNOWN :
		     r->was_clean ? HCV_RB_CLEAN :
		     r->log ? HCV_RB_LOG : HCV_RB_NOLOG;
	new.was_clean = false;
	/* The module is told by the record, and has them before it serves. */
	new.log = as->log;
	if (as->lineage)
		new.lineage = as->lineage;
	settle_temp(&new, pair);
	return commit(r, &new, err);
}

int hcv_record_again(struct hcv_record *r, const char *node,
		     struct hcv_rec_ids unfit, const struct hcv_rows *rows,
		     char *err)
{
	uint32_t out = hcv_rec_mask(r, unfit);
	struct hcv_record new = *r;
	const struct hcv_row *row;
	size_t i;

	if (r->phase != HCV_PH_SERVING || strcmp(r->owner, node))
		return fail(err, -EPERM, "node %s does not serve the volume",
			    node);
	if (!r->before)
		return fail(err, -EPERM,
			    "which copies were in-sync before is not known");
	if (hcv_record_pair(r))
		return fail(err, -EBUSY,
			    "no full copy was elected, but stores that are one together");
	if (!(out & insync_mask(r)))
		return fail(err, -EINVAL, "no in-sync store is unfit");
	if (r->epoch >= NUMBER_MAX)
		return fail(err, -EOVERFLOW, "the epoch cannot grow any more");
	for (i = 0; i < r->nr; i++) {
		struct hcv_rec_store *st = &new.st[i];

		if (st->passed && !(out & (1U << i))) {
			st->state = HCV_RS_INSYNC;
		} else if (st->state == HCV_RS_INSYNC && out & (1U << i)) {
			st->state = HCV_RS_STALE;
			st->v = r->before == HCV_RB_NOLOG ? 0 : r->v;
		}
	}
	if (!covers(&new, insync_mask(&new), false, rows, &row))
		return fail(err, -EBUSY,
			    "no copy was in-sync that is fit");
	new.epoch++;
	new.phase = HCV_PH_TAKING;
	new.was_clean = r->before == HCV_RB_CLEAN;
	new.log = r->before == HCV_RB_LOG;
	/* It is for a store that may be in-sync again, and without logs for none. */
	hcv_rec_temp_leave(&new);
	end_hand(&new);
	end_syncs(&new);
	return commit(r, &new, err);
}

int hcv_record_serve(struct hcv_record *r, const char *node,
		     struct hcv_rec_ids confirmed, struct hcv_rec_ids local,
		     const struct hcv_rows *rows, bool log, char *err)
{
	struct hcv_rec_as as = { .log = log };
	uint32_t set;
	int ret;

	ret = hcv_rec_taking(r, node, err);
	if (!ret)
		ret = hcv_rec_choose(r, hcv_rec_mask(r, confirmed),
				     hcv_rec_mask(r, local), rows, &set, err);
	return ret ? ret : hcv_rec_serve_as(r, set, &as, err);
}

static int find_store(const struct hcv_record *r, const char *store, char *err)
{
	int i = place_of(r, store);

	if (i < 0)
		return fail(err, -ENOENT,
			    "store %s holds nothing of the volume", store);
	return i;
}

/* In a take-over hcv_record_serve() alone decides about the set. */
static int not_taking(const struct hcv_record *r, char *err)
{
	if (r->phase == HCV_PH_TAKING)
		return fail(err, -EPERM, "node %s is taking the volume over",
			    r->owner);
	return 0;
}

/* Whether there is a temporary replica for the store. */
static bool is_base(const struct hcv_record *r, int i)
{
	const struct hcv_rec_store *t = hcv_record_temp(r);

	return t && !strcmp(t->base, r->st[i].store);
}

static int may_leave(const struct hcv_record *r, uint32_t bit,
		     const char *pending, const struct hcv_rows *rows,
		     char *err)
{
	uint32_t joining = pending ? bit_of(r, pending) & ~bit : 0;
	uint32_t rest = insync_mask(r) & ~bit & ~joining;
	bool pair = hcv_record_pair(r);
	const struct hcv_row *row;

	if (covers(r, rest, pair, rows, &row))
		return 0;
	if (joining && covers(r, rest | joining, pair, rows, &row))
		return fail(err, -EAGAIN,
			    "whether store %s has joined is not known yet",
			    pending);
	if (row)
		return fail(err, -EBUSY,
			    "it is the last in-sync store with extent %u",
			    row->index);
	return fail(err, -EBUSY, "it is the last in-sync store");
}

int hcv_record_remove(struct hcv_record *r, const char *store,
		      const char *pending, const struct hcv_rows *rows,
		      char *err)
{
	struct hcv_record new = *r;
	int i = find_store(r, store, err);
	int ret;

	if (i < 0)
		return i;
	ret = not_taking(r, err);
	if (ret || r->st[i].state == HCV_RS_STALE)
		return ret;
	if (r->st[i].state == HCV_RS_TEMPORARY)
		return hcv_record_temp_out(r, store, err);
	if (is_base(r, i) && hcv_record_pair(r))
		return fail(err, -EBUSY,
			    "nobody else has what store %s and its temporary replica have",
			    store);
	if (r->st[i].state == HCV_RS_INSYNC) {
		ret = may_leave(r, 1U << i, pending, rows, err);
		if (ret)
			return ret;
		/* After an unclean stop nobody knows what it has. */
		new.st[i].v = r->phase == HCV_PH_NONE && !r->clean ? 0 : r->v;
	}
	new.st[i].state = HCV_RS_STALE;
	/* What it was sent may still be on its way: not with these handles. */
	new.st[i].renew = r->v + 1;
	return commit(r, &new, err);
}

int hcv_record_distrust(struct hcv_record *r, const char *store, char *err)
{
	struct hcv_record new = *r;
	int i = find_store(r, store, err);
	int ret;

	if (i < 0)
		return i;
	if (r->st[i].state != HCV_RS_STALE)
		return fail(err, -EBUSY, "store %s takes part in the volume",
			    store);
	if (is_base(r, i) && hcv_record_pair(r))
		return fail(err, -EBUSY,
			    "nobody else has what store %s and its temporary replica have",
			    store);
	new.st[i].v = 0;
	/* What it would add to is not to be trusted. */
	if (is_base(r, i))
		hcv_rec_temp_leave(&new);
	ret = hcv_record_check(&new, err);
	if (!ret)
		*r = new;
	return ret;
}

static int move(struct hcv_record *r, const char *store,
		enum hcv_rec_sstate from, enum hcv_rec_sstate to, char *err)
{
	struct hcv_record new = *r;
	int i = find_store(r, store, err);

	if (i < 0)
		return i;
	if (r->phase != HCV_PH_SERVING)
		return fail(err, -EPERM, "no node serves the volume");
	if (r->st[i].state != from)
		return fail(err, -EINVAL, "store %s is not %s", store,
			    from == HCV_RS_STALE ? "stale" : "syncing");
	/* Copied from a pair, it would have to know whose each block is. */
	if (to == HCV_RS_SYNCING && hcv_record_pair(r))
		return fail(err, -EAGAIN,
			    "store %s waits until store %s is in-sync", store,
			    hcv_record_temp(r)->base);
	new.st[i].state = to;
	if (to == HCV_RS_INSYNC) {
		new.st[i].v = r->v + 1;
		if (is_base(r, i))
			hcv_rec_temp_leave(&new);
	}
	return commit(r, &new, err);
}

int hcv_record_begin_sync(struct hcv_record *r, const char *store, char *err)
{
	return move(r, store, HCV_RS_STALE, HCV_RS_SYNCING, err);
}

int hcv_record_renew(struct hcv_record *r, const char *store, char *err)
{
	struct hcv_record new = *r;
	int i = find_store(r, store, err);

	if (i < 0)
		return i;
	if (r->phase != HCV_PH_SERVING)
		return fail(err, -EPERM, "no node serves the volume");
	new.st[i].renew = r->v + 1;
	return commit(r, &new, err);
}

int hcv_record_grow(struct hcv_record *r, char *err)
{
	struct hcv_record new = *r;

	if (r->phase != HCV_PH_SERVING)
		return fail(err, -EPERM, "no node serves the volume");
	return commit(r, &new, err);
}

int hcv_record_join(struct hcv_record *r, const char *store, char *err)
{
	return move(r, store, HCV_RS_SYNCING, HCV_RS_INSYNC, err);
}

int hcv_record_add(struct hcv_record *r, const char *store, bool insync,
		   char *err)
{
	struct hcv_record new = *r;
	struct hcv_rec_store *st;
	int ret;

	if (place_of(r, store) >= 0)
		return fail(err, -EEXIST, "store %s is in the record already",
			    store);
	if (r->nr == HCV_REC_STORES)
		return fail(err, -ENOSPC,
			    "the volume is on %d stores already, which is the limit",
			    HCV_REC_STORES);
	ret = not_taking(r, err);
	if (ret)
		return ret;
	st = &new.st[new.nr++];
	snprintf(st->store, sizeof(st->store), "%s", store);
	st->state = insync ? HCV_RS_INSYNC : HCV_RS_STALE;
	st->v = insync ? r->v + 1 : 0;
	/* It may have been here before, in this epoch: those handles are over. */
	st->renew = r->v + 1;
	return commit(r, &new, err);
}

int hcv_record_forget(struct hcv_record *r, const char *store,
		      const struct hcv_rows *rows, char *err)
{
	struct hcv_record new = *r;
	int i = find_store(r, store, err);
	size_t n, k;
	int ret;

	if (i < 0)
		return i;
	ret = not_taking(r, err);
	if (ret)
		return ret;
	if (r->st[i].state != HCV_RS_STALE)
		return fail(err, -EBUSY, "store %s takes part in the volume",
			    store);
	if (is_base(r, i))
		return fail(err, -EBUSY,
			    "store %s is the base of the temporary replica on store %s",
			    store, hcv_record_temp(r)->store);
	for (n = 0; rows && n < rows->nr; n++)
		for (k = 0; k < rows->row[n].nr; k++)
			if (!strcmp(rows->row[n].store[k], store))
				return fail(err, -EBUSY,
					    "store %s has extent %u of the volume",
					    store, rows->row[n].index);
	new.nr--;
	memmove(&new.st[i], &new.st[i + 1],
		(new.nr - (size_t)i) * sizeof(new.st[0]));
	memset(&new.st[new.nr], 0, sizeof(new.st[0]));
	return commit(r, &new, err);
}

int hcv_record_detach(struct hcv_record *r, const char *node, bool clean,
		      char *err)
{
	struct hcv_record new = *r;

	if (!*r->owner || strcmp(r->owner, node))
		return fail(err, -EPERM, "node %s does not own the volume",
			    node);
	new.clean = r->phase == HCV_PH_TAKING ? r->was_clean : clean;
	new.was_clean = false;
	new.phase = HCV_PH_NONE;
	memset(new.owner, 0, sizeof(new.owner));
	end_owner(&new);
	end_syncs(&new);
	return commit(r, &new, err);
}
