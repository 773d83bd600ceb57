// SPDX-License-Identifier: GPL-2.0-only
/*
 * The next step of a volume on its owner.  See volplan.h.
 *
 * One file section per phase of the record; each function returns true when it
 * has chosen a step, false when the next one may look.  What stands in the way
 * of a step is noted with vp_wait(); the first note, from the most urgent
 * matter, becomes the reason if no step is found at all.
 */
#include "volplan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "record.h"
#include "volplan_priv.h"

/* ------------------------------------------------------------------ helpers */

bool vp_wait(struct vp *p, int64_t until_ms, const char *fmt, ...)
{
	struct hcv_vp_out *o = p->out;
	va_list ap;

	if (!p->waits) {
		va_start(ap, fmt);
		vsnprintf(o->reason, sizeof(o->reason), fmt, ap);
		va_end(ap);
	}
	if (until_ms && (!o->until_ms || until_ms < o->until_ms))
		o->until_ms = until_ms;
	p->waits = true;
	return false;
}

/* Choose a step, unless it failed a moment ago. */
bool vp_do(struct vp *p, enum hcv_vp_act act, const char *store)
{
	const struct hcv_vp_retry *r;

	r = hcv_vp_retry_find(p->in->mem, act, store ? store : "");
	if (r && r->until_ms > p->in->now_ms)
		return vp_wait(p, r->until_ms, "%s%s%s failed %u times: %s",
			       hcv_volplan_act_name(act), store ? " " : "",
			       store ? store : "", r->fails, r->why);
	p->out->act = act;
	if (store)
		snprintf(p->out->store, sizeof(p->out->store), "%s", store);
	return true;
}

const char *vp_name(const struct vp *p, const char *id)
{
	const struct hcv_vp_store *st = vp_store(p, id);

	return st && st->name[0] ? st->name : id;
}

int vp_rec_index(const struct hcv_record *rec, const char *store)
{
	size_t i;

	for (i = 0; i < rec->nr; i++)
		if (!strcmp(rec->st[i].store, store))
			return (int)i;
	return -1;
}

/* The highest row index on the store, plus one. */
static uint32_t vp_rows_end(const struct vp *p, const char *store)
{
	const struct hcv_rows *rows = p->in->rows;
	uint32_t end = 0;
	size_t i, j;

	for (i = 0; rows && i < rows->nr; i++)
		for (j = 0; j < rows->row[i].nr; j++)
			if (rows->row[i].index >= end &&
			    !strcmp(rows->row[i].store[j], store))
				end = rows->row[i].index + 1;
	return end;
}

/*
 * The store's node has confirmed this epoch: older ones are fenced there, so
 * are handles of the epoch that were given up, and the rows below @rows_end are
 * formatted.
 */
bool vp_granted(const struct vp *p, const struct hcv_vp_store *st,
		uint32_t rows_end)
{
	const struct hcv_grant_info *g;
	int i;

	if (!vp_live(st) || !st->has_grant)
		return false;
	g = st->grant;
	i = vp_rec_index(p->in->rec, st->id);
	if (i >= 0 && g->renew != p->in->rec->st[i].renew)
		return false;
	return g->epoch == p->in->rec->epoch &&
	       !strcmp(g->client, p->in->node) &&
	       g->incarnation == st->incarnation && g->nr > 0 &&
	       g->ready >= rows_end;
}

uint32_t hcv_volplan_need(uint64_t size, unsigned int stripe)
{
	uint64_t row = HCV_VP_EXTENT_BYTES * (stripe ? stripe : 1);

	return (uint32_t)((size + row - 1) / row);
}

/* Whether the record may lose the store. */
static bool vp_removable(const struct vp *p, const char *store, char *err)
{
	struct hcv_record rec = *p->in->rec;

	return !hcv_record_remove(&rec, store, NULL, p->in->rows, err);
}

static bool vp_remove(struct vp *p, const char *store, bool distrust)
{
	char err[HCV_ERR_SIZE];

	if (!vp_removable(p, store, err))
		return vp_wait(p, 0, "%s must come back: %s",
			       vp_name(p, store), err);
	if (!vp_do(p, HCV_VP_REMOVE, store))
		return false;
	p->out->distrust = distrust;
	p->out->resync_failed = p->in->rec->st[vp_rec_index(p->in->rec, store)]
					.state == HCV_RS_SYNCING;
	return true;
}

static bool vp_confirm(struct vp *p, const struct hcv_k_link *link,
		       uint32_t state)
{
	if (!vp_do(p, HCV_VP_CONFIRM, link->store))
		return false;
	p->out->state = state;
	p->out->v = p->in->rec->v;
	p->out->incarnation = link->incarnation;
	return true;
}

static bool vp_stop(struct vp *p, bool force)
{
	if (!vp_do(p, HCV_VP_STOP, NULL))
		return false;
	p->out->force = force;
	return true;
}

static bool vp_detach(struct vp *p, bool clean)
{
	if (!vp_do(p, HCV_VP_DETACH, NULL))
		return false;
	p->out->clean = clean;
	return true;
}

/* A decision of volplan_care.c; false: it goes on. */
static bool vp_care_end(struct vp *p)
{
	enum hcv_vp_act act = hcv_vp_care_end(p->in, p->k);

	switch (act) {
	case HCV_VP_NONE:
		return false;
	case HCV_VP_STOP:
		return vp_stop(p, hcv_vp_care_forced(p->in));
	case HCV_VP_DETACH:
		return vp_detach(p, p->in->rec->phase == HCV_PH_TAKING ?
				 p->in->rec->was_clean : p->in->stopped);
	default:
		return vp_do(p, act, NULL);
	}
}

/* A decision of volplan_hand.c. */
static bool vp_hand(struct vp *p, const struct hcv_vp_out *want)
{
	switch (want->act) {
	case HCV_VP_NONE:
		return false;
	case HCV_VP_WAIT:
		return vp_wait(p, want->until_ms, "%s", want->reason);
	case HCV_VP_REREAD:
		p->out->act = HCV_VP_REREAD;
		vp_wait(p, 0, "%s", want->reason);
		return true;
	case HCV_VP_STOP:
		return vp_stop(p, true);
	default:
		if (!vp_do(p, want->act, want->store[0] ? want->store : NULL))
			return false;
		memcpy(p->out->reason, want->reason, sizeof(want->reason));
		return true;
	}
}

/* ------------------------------------------------- contradictions and limits */

/*
 * The module has a volume that the record does not give to this node in this
 * epoch.  Nothing it does can be acknowledged any more: fail its I/O, then give
 * up the disk.
 */
static bool vp_foreign(struct vp *p, const char *why)
{
	if (!p->in->settled) {
		p->out->act = HCV_VP_REREAD;
		vp_wait(p, 0, "%s", why);
		return true;
	}
	vp_wait(p, 0, "%s", why);
	if (p->k->state == HCV_VOL_STOPPING)
		return false;
	if (p->k->state != HCV_VOL_FENCED && p->k->state != HCV_VOL_NEW)
		return vp_do(p, HCV_VP_FENCE, NULL);
	return vp_stop(p, true);
}

static bool vp_contradicts(struct vp *p)
{
	const struct hcv_record *rec = p->in->rec;

	if (!p->k)
		return false;
	if (!rec)
		return vp_foreign(p, "the volume has no record any more");
	/* An epoch does not come back: the record need not be read again. */
	if (p->k->halted && p->k->epoch < rec->epoch)
		return vp_do(p, HCV_VP_LET_GO, NULL);
	if (strcmp(rec->owner, p->in->node) || rec->phase == HCV_PH_NONE)
		return vp_foreign(p, rec->owner[0] ?
				  "another node has taken over" :
				  "the record names no owner");
	if (p->k->epoch < rec->epoch)
		return vp_foreign(p, "the module's epoch is over");
	return false;
}

/* The module has seen more than the metadata store: not our read, or a backup */
static bool vp_behind(struct vp *p)
{
	const struct hcv_record *rec = p->in->rec;

	if (!p->k || !rec)
		return false;
	if (p->k->epoch == rec->epoch && p->k->v <= rec->v)
		return false;
	if (!p->in->settled) {
		p->out->act = HCV_VP_REREAD;
		vp_wait(p, 0, "the record read is older than the module's");
		return true;
	}
	vp_wait(p, 0, "the metadata store is older than the module (record epoch %llu v %llu, module %llu v %llu): restored from a backup? nothing is done",
		(unsigned long long)rec->epoch, (unsigned long long)rec->v,
		(unsigned long long)p->k->epoch, (unsigned long long)p->k->v);
	return true;
}

/* ------------------------------------------------------------------- taking */

struct vp_claim {
	const char *granted[HCV_REC_STORES];
	const char *local[HCV_REC_STORES];
	size_t nr_granted;
	size_t nr_local;
	bool alive_missing;		/* a live one has not granted yet */
	bool local_missing;
	char missing[HCV_VP_REASON / 2];
};

static void vp_claim_look(const struct vp *p, struct vp_claim *c)
{
	const struct hcv_record *rec = p->in->rec;
	size_t i, len;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < rec->nr; i++) {
		const char *id = rec->st[i].store;
		const struct hcv_vp_store *st = vp_store(p, id);

		if (rec->st[i].state != HCV_RS_INSYNC)
			continue;
		if (vp_granted(p, st, vp_rows_end(p, id))) {
			c->granted[c->nr_granted++] = id;
			if (st->local)
				c->local[c->nr_local++] = id;
			continue;
		}
		c->alive_missing |= vp_live(st);
		c->local_missing |= vp_live(st) && st->local;
		len = strlen(c->missing);
		snprintf(c->missing + len, sizeof(c->missing) - len, "%s%s%s",
			 len ? ", " : "", vp_name(p, id),
			 !st ? " (unknown)" : !st->live ? " (its node is away)" :
			 st->bad ? " (failed)" : "");
	}
}

static bool vp_serve(struct vp *p)
{
	int64_t until = p->in->mem->taking_ms + HCV_VP_GRANT_WAIT_MS;
	struct hcv_record rec = *p->in->rec;
	struct hcv_rec_ids granted, local;
	char err[HCV_ERR_SIZE];
	struct vp_claim c;
	bool wait;
	size_t i;

	vp_claim_look(p, &c);
	/* Unclean: one copy is enough, ours is the best one. */
	wait = rec.was_clean ? c.alive_missing :
	       c.alive_missing && (!c.nr_granted || c.local_missing);
	if (wait && p->in->now_ms < until)
		return vp_wait(p, until, "waits for the grant of %s",
			       c.missing);
	if (!c.nr_granted)
		return vp_wait(p, 0, "no in-sync store is available: waits for %s",
			       c.missing[0] ? c.missing : "any in-sync store");
	granted = (struct hcv_rec_ids){ c.granted, c.nr_granted };
	local = (struct hcv_rec_ids){ c.local, c.nr_local };
	if (hcv_record_serve(&rec, p->in->node, granted, local, p->in->rows,
			     false, err))
		return vp_wait(p, 0, "%s%s%s", err,
			       c.missing[0] ? "; waits for " : "", c.missing);
	if (!vp_do(p, HCV_VP_SERVE, NULL))
		return false;
	for (i = 0; i < rec.nr; i++)
		p->out->set[i] = rec.st[i].state == HCV_RS_INSYNC;
	return true;
}

/*
 * A disk that was made in advance, and is this node's by now.  Its I/O fails soon
 * until the module is told: before anybody hears that this node serves it.
 */
static bool vp_prepared(struct vp *p)
{
	if (!p->k->prepared)
		return false;
	if (p->in->other_disk)
		return vp_stop(p, true);
	return p->k->handover_ms && vp_do(p, HCV_VP_SET, NULL);
}

static bool vp_taking(struct vp *p)
{
	const struct hcv_record *rec = p->in->rec;

	if (p->in->want_detach || p->in->want_force) {
		if (p->k)
			return vp_stop(p, p->in->want_force);
		/* This epoch wrote nothing. */
		return vp_detach(p, rec->was_clean);
	}
	if (vp_care_end(p))
		return true;
	if (!p->k)
		return vp_do(p, HCV_VP_CREATE, NULL);
	switch (p->k->state) {
	case HCV_VOL_NEW:
		return vp_prepared(p) || vp_serve(p);
	case HCV_VOL_STOPPING:
		return vp_wait(p, 0, "the volume is being stopped");
	default:
		return vp_foreign(p, "the module serves a volume that the record does not");
	}
}

/* ----------------------------------------- serving: the volume is put together */

/*
 * The link had these handles and failed with them: a write of before may come
 * in late through them.  On this node the end of an I/O is final.
 */
static bool vp_used_up(const struct vp *p, const struct hcv_vp_store *st,
		       uint32_t state)
{
	const struct hcv_k_link *link = vp_link(p, st->id);

	return !st->local && link && link->state != state &&
	       st->grant->range[0].first <= link->first;
}

/* The next one to be connected may have its turn meanwhile. */
static bool vp_connect(struct vp *p, const struct hcv_vp_store *st)
{
	if (st->connecting)
		return vp_wait(p, 0, "waits for the connection to %s",
			       vp_name(p, st->id));
	return vp_do(p, HCV_VP_CONNECT, st->id);
}

/* A link for @st: connection first. @state, @flags as VOL_LINK_ADD has them. */
bool vp_link_add(struct vp *p, const struct hcv_vp_store *st,
		 uint32_t state, uint32_t flags)
{
	if (vp_used_up(p, st, state))
		return vp_do(p, HCV_VP_RENEW, st->id);
	if (!st->local && !st->path)
		return vp_connect(p, st);
	if (!vp_do(p, HCV_VP_LINK_ADD, st->id))
		return false;
	p->out->state = state;
	p->out->flags = flags;
	p->out->incarnation = st->grant->incarnation;
	return true;
}

/* An in-sync store before the start. Return: a step, or false: see waits */
static bool vp_new_link(struct vp *p, const char *id)
{
	const struct hcv_vp_store *st = vp_store(p, id);
	const struct hcv_k_link *link = vp_tied(p, id);
	int64_t until = p->in->mem->serving_ms + HCV_VP_LINK_WAIT_MS;
	char err[HCV_ERR_SIZE];
	bool late;

	if (link && link->state == HCV_LINK_INSYNC)
		return false;
	if (link && link->state == HCV_LINK_FAILING)
		return vp_remove(p, id, false);
	if (link)
		return vp_wait(p, 0, "the link to %s failed before the start; detach by force and attach again",
			       vp_name(p, id));
	late = !vp_live(st) || p->in->now_ms >= until;
	if (late && vp_removable(p, id, err))
		return vp_remove(p, id, false);
	if (!vp_granted(p, st, vp_rows_end(p, id)))
		return vp_wait(p, late ? 0 : until,
			       "waits for the grant of %s%s", vp_name(p, id),
			       vp_live(st) ? "" : ", which is away");
	return vp_link_add(p, st, HCV_LINK_INSYNC, 0);
}

static bool vp_new(struct vp *p)
{
	const struct hcv_record *rec = p->in->rec;
	const char *only = NULL;
	size_t i, nr = 0;

	for (i = 0; i < rec->nr; i++) {
		const struct hcv_k_link *link = vp_link(p, rec->st[i].store);

		if (rec->st[i].state == HCV_RS_INSYNC) {
			if (vp_new_link(p, rec->st[i].store))
				return true;
			only = rec->st[i].store;
			nr++;
		} else if (link && link->state == HCV_LINK_FAILING) {
			return vp_confirm(p, link, HCV_LINK_OUT);
		} else if (link && link->state != HCV_LINK_OUT) {
			vp_wait(p, 0, "the module would start from %s, which is not in-sync; detach by force and attach again",
				vp_name(p, link->store));
		}
	}
	if (p->waits)
		return false;
	if (p->in->rows && p->k->nr_extents < p->in->rows->nr) {
		if (!vp_do(p, HCV_VP_EXTENT_ADD, NULL))
			return false;
		p->out->row = 0;
		p->out->row_nr = p->in->rows->nr;
		return true;
	}
	if (!vp_do(p, HCV_VP_START, nr == 1 ? only : NULL))
		return false;
	p->out->v = rec->v;
	return true;
}

/* ------------------------------------------------- serving: the volume runs */

/* Whether the module already uses a row of the store. */
static bool vp_rows_used(const struct vp *p, const char *store)
{
	const struct hcv_rows *rows = p->in->rows;
	size_t i, j;

	for (i = 0; rows && i < rows->nr && hcv_vp_given(p->in, i); i++)
		for (j = 0; j < rows->row[i].nr; j++)
			if (!strcmp(rows->row[i].store[j], store))
				return true;
	return false;
}

/*
 * The record cannot let the store go, since rows that the module was not given
 * yet are on no other.  No write went there, so it missed none: its link may go
 * while it stays in the set, and vp_newcomer() ties it anew.  Only who gives the
 * rows may say so: given meanwhile, they would be written without it.
 */
static bool vp_missed_nothing(const struct vp *p, const char *store)
{
	char err[HCV_ERR_SIZE];

	return !p->in->urgent && !vp_rows_used(p, store) &&
	       !vp_removable(p, store, err);
}

/* Replicas that failed: the guest's acknowledgment waits for this. */
static bool vp_failing(struct vp *p)
{
	const struct hcv_record *rec = p->in->rec;
	size_t i;

	for (i = 0; i < p->k->nr_links; i++) {
		const struct hcv_k_link *link = &p->k->link[i];
		int idx = vp_rec_index(rec, link->store);

		if (link->state != HCV_LINK_FAILING)
			continue;
		if (idx < 0 || rec->st[idx].state == HCV_RS_STALE ||
		    vp_missed_nothing(p, link->store)) {
			if (vp_confirm(p, link, HCV_LINK_OUT))
				return true;
			continue;
		}
		if (vp_remove(p, link->store, false))
			return true;
	}
	return false;
}

static bool vp_joining(struct vp *p)
{
	const struct hcv_record *rec = p->in->rec;
	size_t i;

	for (i = 0; i < p->k->nr_links; i++) {
		const struct hcv_k_link *link = &p->k->link[i];
		int idx = vp_rec_index(rec, link->store);
		bool step;

		if (link->state != HCV_LINK_JOINING)
			continue;
		if (idx < 0 || rec->st[idx].state == HCV_RS_STALE)
			step = vp_confirm(p, link, HCV_LINK_OUT);
		else if (rec->st[idx].state == HCV_RS_SYNCING)
			step = vp_do(p, HCV_VP_JOIN, link->store);
		else
			step = vp_confirm(p, link, HCV_LINK_INSYNC);
		if (step)
			return true;
	}
	return false;
}

/*
 * A slow replica, by policy.  From the module's side it then is one that failed:
 * acknowledgments wait for the record, so the metadata store must have answered
 * a moment ago.
 */
static bool vp_slow(struct vp *p)
{
	const char *store = hcv_vp_slow(p->in);

	if (!store || !vp_do(p, HCV_VP_DROP_SLOW, store))
		return false;
	if (!p->in->settled) {
		p->out->act = HCV_VP_REREAD;
		p->out->store[0] = '\0';
		vp_wait(p, 0, "%s is slow and is to be dropped",
			vp_name(p, store));
	}
	return true;
}

/* The last in-sync replica went away; only the same incarnation may return. */
static bool vp_lost(struct vp *p)
{
	size_t i;

	for (i = 0; i < p->k->nr_links; i++) {
		const struct hcv_k_link *link = &p->k->link[i];
		const struct hcv_vp_store *st = vp_store(p, link->store);

		if (link->state != HCV_LINK_LOST)
			continue;
		if (!vp_live(st)) {
			vp_wait(p, 0, "the last in-sync store %s is away",
				vp_name(p, link->store));
			continue;
		}
		if (st->incarnation != link->incarnation) {
			vp_wait(p, 0, "the last in-sync store %s was restarted: what was not flushed may be lost; detach by force and attach again",
				vp_name(p, link->store));
			continue;
		}
		if (!vp_granted(p, st, 0)) {
			vp_wait(p, 0, "waits for the grant of %s",
				vp_name(p, link->store));
			continue;
		}
		if (vp_link_add(p, st, HCV_LINK_INSYNC, 0))
			return true;
	}
	return false;
}

/*
 * In-sync by the record, no link: the store got its first rows a moment ago and
 * the module uses none of them yet.  Should it use one after all, the store has
 * missed writes: out of the set with it.
 */
static bool vp_newcomer(struct vp *p, const struct hcv_rec_store *rs)
{
	const struct hcv_k_link *link = vp_tied(p, rs->store);
	const struct hcv_vp_store *st = vp_store(p, rs->store);

	if (link && link->state != HCV_LINK_OUT)
		return false;
	if (vp_rows_used(p, rs->store))
		return vp_remove(p, rs->store, true);
	if (!vp_live(st))
		return vp_remove(p, rs->store, false);
	if (link)
		return vp_do(p, HCV_VP_LINK_DEL, rs->store);
	if (!vp_granted(p, st, 0))
		return vp_wait(p, 0, "waits for the first grant of %s",
			       vp_name(p, rs->store));
	return vp_link_add(p, st, HCV_LINK_SYNCING, 0);
}

/* A stale or syncing store: bring it back when it can be had. */
static bool vp_return(struct vp *p, const struct hcv_rec_store *rs)
{
	const struct hcv_k_link *link = vp_tied(p, rs->store);
	const struct hcv_vp_store *st = vp_store(p, rs->store);
	bool syncing = rs->state == HCV_RS_SYNCING;

	if (link && link->state == HCV_LINK_OUT)
		return syncing ? vp_remove(p, rs->store, false) :
				 vp_do(p, HCV_VP_LINK_DEL, rs->store);
	if (link && link->state == HCV_LINK_INSYNC)
		return vp_wait(p, 0, "the module calls %s in-sync, the record does not: detach by force and attach again",
			       vp_name(p, rs->store));
	if (link && link->state == HCV_LINK_SYNCING && !syncing)
		return vp_confirm(p, link, HCV_LINK_OUT);
	if (link || hcv_vp_job_held(p, rs->store))
		return false;
	if (!vp_live(st))
		return syncing ? vp_remove(p, rs->store, false) : false;
	if (!syncing && hcv_vp_kept_out(p->in, rs->store))
		return vp_wait(p, 0, "%s is slow and stays out until it is fast again",
			       vp_name(p, rs->store));
	if (!vp_granted(p, st, vp_rows_end(p, rs->store)))
		return vp_wait(p, 0, "waits for the grant of %s, which is to be brought up to date",
			       vp_name(p, rs->store));
	if (!st->local && !st->path)
		return vp_connect(p, st);
	if (!syncing)
		return vp_do(p, HCV_VP_BEGIN_SYNC, st->id);
	return vp_link_add(p, st, HCV_LINK_SYNCING, rs->v ? 0 : HCV_LINK_F_FULL);
}

static bool vp_bring_in(struct vp *p)
{
	const struct hcv_record *rec = p->in->rec;
	size_t i;

	for (i = 0; i < rec->nr; i++) {
		if (rec->st[i].state == HCV_RS_TEMPORARY)
			continue;
		if (rec->st[i].state == HCV_RS_INSYNC ?
		    vp_newcomer(p, &rec->st[i]) : vp_return(p, &rec->st[i]))
			return true;
	}
	return false;
}

/* The limit of resyncs is not in it: that has a writer of its own. */
static bool vp_set(struct vp *p)
{
	const struct hcv_vol_info *vol = p->in->vol;

	if (vol->size <= p->k->size && !strcmp(vol->name, p->k->name) &&
	    vol->policy == p->k->policy &&
	    (vol->policy == HCV_POLICY_SUSPEND ||
	     vol->policy_ms == p->k->policy_ms))
		return false;
	return vp_do(p, HCV_VP_SET, NULL);
}

static bool vp_job(struct vp *p)
{
	struct hcv_jp_out o;

	hcv_vp_job(p, &o);
	if (o.act == HCV_JP_WAIT)
		return o.why && vp_wait(p, 0, "its job waits: %s", o.why);
	if (!vp_do(p, HCV_VP_JOB, o.store))
		return false;
	/* As for a slow one: acknowledgments will wait for the record. */
	if (o.act == HCV_JP_RELEASE && !p->in->settled) {
		p->out->act = HCV_VP_REREAD;
		p->out->store[0] = '\0';
		vp_wait(p, 0, "%s is to leave", vp_name(p, o.store));
		return true;
	}
	p->out->job = o.act;
	p->out->row = o.row;
	p->out->done = o.done;
	p->out->why = o.why;
	return true;
}

/* It was taken care of on this node, which has it attached by now. */
static bool vp_publish(struct vp *p)
{
	if (!p->k->diskless || p->in->rec->care.on || p->in->urgent)
		return false;
	if (p->k->state != HCV_VOL_ACTIVE)
		return vp_wait(p, 0, "the volume is suspended: its disk is made when it goes on");
	return vp_do(p, HCV_VP_PUBLISH, NULL);
}

static bool vp_run(struct vp *p)
{
	struct hcv_vp_out hand;

	/*
	 * A removal that would take the last copy waits; a join that is due
	 * makes it possible and is settled first, by this very order.
	 */
	if (vp_failing(p) || vp_joining(p))
		return true;
	if (p->in->want_detach)
		return vp_stop(p, false);
	if (vp_care_end(p) || vp_publish(p))
		return true;
	hcv_vp_hand_source(p->in, &hand);
	if (vp_hand(p, &hand))
		return true;
	if (vp_extents(p))
		return true;
	if (p->in->vol && !p->in->rec->care.on && vp_ahead(p))
		return true;
	if (p->in->urgent)
		return false;
	if (vp_lost(p) || vp_give_back(p))
		return true;
	/* A resync would not cover extents that are on their way out. */
	if (p->k->nr_settling || p->k->nr_settled)
		return p->in->vol && vp_set(p);
	if (vp_slow(p))
		return true;
	return vp_bring_in(p) || vp_job(p) || (p->in->vol && vp_set(p)) ||
	       (!p->in->rec->care.on && vp_retire(p));
}

/* The stores that the start failed for; returns whether it can do without. */
static bool vp_unfit(const struct vp *p, struct hcv_rec_ids *unfit,
		     const char **id)
{
	const struct hcv_record *rec = p->in->rec;
	struct hcv_record new = *rec;
	char err[HCV_ERR_SIZE];
	size_t i;

	*unfit = (struct hcv_rec_ids){ .id = id };
	for (i = 0; i < p->k->nr_links; i++)
		if (p->k->link[i].unfit &&
		    vp_rec_index(rec, p->k->link[i].store) >= 0)
			id[unfit->nr++] = p->k->link[i].store;
	return !hcv_record_again(&new, p->in->node, *unfit, p->in->rows, err);
}

/*
 * A failed start: the volume never ran, so whatever was in-sync before this node
 * served still is.  Again without those that it failed for: each time there are
 * less.  The module, which knows them, is kept until that is in the record.
 */
static bool vp_fenced(struct vp *p)
{
	const char *id[HCV_REC_STORES];
	struct hcv_rec_ids unfit;
	size_t i;

	if (!vp_unfit(p, &unfit, id))
		return vp_foreign(p, "the volume was fenced");
	if (!vp_do(p, HCV_VP_AGAIN, NULL))
		return false;
	for (i = 0; i < unfit.nr; i++)
		p->out->set[vp_rec_index(p->in->rec, id[i])] = true;
	snprintf(p->out->reason, sizeof(p->out->reason),
		 "the start failed for %s%s", vp_name(p, id[0]),
		 unfit.nr > 1 ? " and others" : "");
	return true;
}

static bool vp_serving(struct vp *p)
{
	if (!p->k) {
		/* What this agent stopped in order it also gives up. */
		if (p->in->want_detach || p->in->want_force || p->in->stopped)
			return vp_detach(p, p->in->stopped);
		if (p->in->rec->care.on)
			return vp_care_end(p);
		if (p->in->can_hand && p->in->rec->hand.to[0] &&
		    vp_do(p, HCV_VP_HAND_ABORT, NULL)) {
			snprintf(p->out->reason, sizeof(p->out->reason),
				 "its owner was restarted");
			return true;
		}
		vp_wait(p, 0, "not attached since the node or its module was restarted; attach it again");
		return false;
	}
	if (p->in->want_force && p->k->state != HCV_VOL_STOPPING)
		return vp_stop(p, true);
	if (p->k->halted) {
		struct hcv_vp_out hand;

		hcv_vp_hand_halted(p->in, &hand);
		return vp_hand(p, &hand);
	}
	switch (p->k->state) {
	case HCV_VOL_NEW:
		if (p->in->want_detach)
			return vp_stop(p, false);
		if (vp_care_end(p))
			return true;
		/* A disk made in advance is as it was defined at that time. */
		if (vp_prepared(p) ||
		    (p->k->prepared && p->in->vol && vp_set(p)))
			return true;
		return vp_new(p);
	case HCV_VOL_LOADING:
		/* What fails leaves when it is known that the others have all. */
		return vp_wait(p, 0, "the module loads the volume's map");
	case HCV_VOL_ACTIVE:
	case HCV_VOL_SUSPENDED:
		return vp_run(p);
	case HCV_VOL_STOPPING:
		return vp_failing(p) ||
		       vp_wait(p, 0, "the volume is being stopped");
	default:
		return vp_fenced(p);
	}
}

/*
 * Another node's, or nobody's, and not in the module but as a zombie.  A wish ends
 * with the step that gives the volume up; but the outcome of that may not have been
 * known, or another node took over before it could be done.
 */
static bool vp_elsewhere(struct vp *p)
{
	if (!p->in->want_detach && !p->in->want_force)
		return hcv_vp_care_due(p->in) &&
		       vp_do(p, HCV_VP_CARE_CLAIM, NULL);
	if (!p->in->settled) {
		p->out->act = HCV_VP_REREAD;
		vp_wait(p, 0, "the record read is older than the wish");
		return true;
	}
	return vp_do(p, HCV_VP_FORGET, NULL);
}

/* ------------------------------------------------------------------ the whole */

void hcv_volplan_next(const struct hcv_vp_in *in, struct hcv_vp_out *out)
{
	struct vp p = { .in = in, .out = out, .k = in->k };
	bool step;

	memset(out, 0, sizeof(*out));
	if (p.k && p.k->state == HCV_VOL_ZOMBIE)
		p.k = NULL;	/* it has given up its name and its epoch */
	if (!in->known) {
		step = p.k && in->want_force &&
		       p.k->state != HCV_VOL_STOPPING && vp_stop(&p, true);
		if (!step)
			vp_wait(&p, 0, "waits for the metadata store");
	} else if (hcv_vp_hand_is_target(in, p.k)) {
		struct hcv_vp_out hand;

		hcv_vp_hand_target(in, p.k, &hand);
		step = vp_hand(&p, &hand);
	} else if (p.k && (!in->rec || p.k->epoch < in->rec->epoch ||
			   strcmp(in->rec->owner, in->node) ||
			   in->rec->phase == HCV_PH_NONE)) {
		step = vp_contradicts(&p);
	} else if (!in->rec || strcmp(in->rec->owner, in->node)) {
		step = vp_elsewhere(&p);
	} else if (vp_behind(&p)) {
		step = out->act == HCV_VP_REREAD;
	} else if (in->rec->phase == HCV_PH_TAKING) {
		step = vp_taking(&p);
	} else {
		step = vp_serving(&p);
	}
	if (!step)
		out->act = p.waits ? HCV_VP_WAIT : HCV_VP_NONE;
	else if (out->act != HCV_VP_REREAD && out->act != HCV_VP_FENCE &&
		 out->act != HCV_VP_HAND_ABORT && out->act != HCV_VP_AGAIN &&
		 !(out->act == HCV_VP_STOP && out->force))
		out->reason[0] = 0;
}
