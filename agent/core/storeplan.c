// SPDX-License-Identifier: GPL-2.0-only
/*
 * The next step of a store's node for one volume; see the header.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "storeplan.h"

static const char *const hcv_sp_names[HCV_SP_NR] = {
	[HCV_SP_NONE] = "none",
	[HCV_SP_WAIT] = "wait",
	[HCV_SP_REVOKE] = "revoke",
	[HCV_SP_ADD_EXTENTS] = "add-extents",
	[HCV_SP_EXPORT] = "export",
	[HCV_SP_GRANT] = "grant",
	[HCV_SP_WRITE_GRANT] = "write-grant",
	[HCV_SP_DELETE_GRANT] = "delete-grant",
	[HCV_SP_WITHDRAW] = "withdraw",
	[HCV_SP_DELETE_GONE] = "delete-gone",
	[HCV_SP_FREE] = "free",
	[HCV_SP_DELETE_TOMB] = "delete-tomb",
	[HCV_SP_QUARANTINE] = "quarantine",
	[HCV_SP_REFUSE] = "refuse",
};

const char *hcv_storeplan_act_name(enum hcv_sp_act act)
{
	return (size_t)act < HCV_SP_NR ? hcv_sp_names[act] : "unknown";
}

/* All helpers return true when they have put a step into @out. */

static bool sp_do(struct hcv_sp_out *out, enum hcv_sp_act act)
{
	out->act = act;
	return true;
}

static bool __attribute__((format(printf, 3, 4)))
sp_say(struct hcv_sp_out *out, enum hcv_sp_act act, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out->reason, sizeof(out->reason), fmt, ap);
	va_end(ap);
	return sp_do(out, act);
}

const struct hcv_sp_grant *hcv_storeplan_find(const struct hcv_sp_in *in,
					      uint64_t epoch,
					      const char *client)
{
	size_t i;

	for (i = 0; i < in->nr_k; i++)
		if (in->k[i].epoch == epoch && !in->k[i].revoked &&
		    !strcmp(in->k[i].client, client))
			return &in->k[i];
	return NULL;
}

static uint64_t sp_max_epoch(const struct hcv_sp_in *in)
{
	uint64_t max = 0;
	size_t i;

	for (i = 0; i < in->nr_k; i++)
		if (in->k[i].epoch > max)
			max = in->k[i].epoch;
	return max;
}

/* Grants of the module with an epoch of at most @epoch, draining or not. */
static bool sp_older(const struct hcv_sp_in *in, uint64_t epoch)
{
	size_t i;

	for (i = 0; i < in->nr_k; i++)
		if (in->k[i].epoch <= epoch)
			return true;
	return false;
}

/* ---- extents ---- */

static bool sp_have(const struct hcv_sp_in *in, uint32_t index)
{
	size_t lo = 0, hi = in->nr_have;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (in->have[mid] == index)
			return true;
		if (in->have[mid] < index)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

/* The first row, by position, that the store lacks; nr_row: none. */
static size_t sp_first_missing(const struct hcv_sp_in *in)
{
	size_t i;

	for (i = 0; i < in->nr_row; i++)
		if (!sp_have(in, in->row[i].index))
			break;
	return i;
}

/* Rows with an index below are formatted. */
static uint32_t sp_ready(const struct hcv_sp_in *in)
{
	size_t i = sp_first_missing(in);

	if (i < in->nr_row)
		return in->row[i].index;
	return in->nr_row ? in->row[in->nr_row - 1].index + 1 : 0;
}

/*
 * A full copy below what was once ready held data. If its extent is not in
 * the table any more, a new and empty one in its place would be read as if
 * that were the volume's content.
 */
static bool sp_lost(const struct hcv_sp_in *in, struct hcv_sp_out *out)
{
	size_t i;

	if (!in->grant)
		return false;
	for (i = sp_first_missing(in); i < in->nr_row; i++)
		if (in->row[i].full && in->row[i].index < in->grant->ready &&
		    !sp_have(in, in->row[i].index))
			return sp_say(out, HCV_SP_REFUSE,
				      "the store has lost extent %" PRIu32
				      " of the volume, which was in use",
				      in->row[i].index);
	return false;
}

static bool sp_extents(const struct hcv_sp_in *in, struct hcv_sp_out *out)
{
	size_t last = in->nr_row;

	if (sp_first_missing(in) == in->nr_row)
		return false;
	if (in->row[last - 1].index >= HCV_SP_INDEX_MAX)
		return sp_say(out, HCV_SP_REFUSE,
			      "row %" PRIu32 " is beyond what a volume can have",
			      in->row[last - 1].index);
	if (in->failed)
		return sp_say(out, HCV_SP_WAIT,
			      "the store failed and takes no extents");
	return sp_do(out, HCV_SP_ADD_EXTENTS);
}

/* ---- extents that were given up ---- */

/* Whether the record has this store, but not as one that is in-sync. */
static bool sp_behind(const struct hcv_sp_in *in)
{
	size_t i;

	for (i = 0; in->rec && i < in->rec->nr; i++)
		if (!strcmp(in->rec->st[i].store, in->store))
			return in->rec->st[i].state != HCV_RS_INSYNC;
	return false;
}

static bool sp_gone(const struct hcv_sp_in *in, struct hcv_sp_out *out)
{
	bool held = false;
	size_t i, j;

	for (i = 0; i < in->nr_gone; i++) {
		for (j = 0; j < in->nr_row; j++)
			if (in->row[j].index == in->gone[i])
				return sp_say(out, HCV_SP_REFUSE,
					      "extent %" PRIu32
					      " has a tombstone and a row: it is kept",
					      in->gone[i]);
		held |= sp_have(in, in->gone[i]);
	}
	if (!in->nr_gone || sp_behind(in))
		return false;
	if (held && in->failed)
		return sp_say(out, HCV_SP_WAIT,
			      "the store failed and cannot free extents");
	return sp_do(out, held ? HCV_SP_WITHDRAW : HCV_SP_DELETE_GONE);
}

/* ---- a volume with an owner ---- */

/*
 * Everything older than @epoch must be gone before anything is granted; once
 * the grant is there it was, unless stragglers show up.
 */
static bool sp_fence(const struct hcv_sp_in *in, struct hcv_sp_out *out,
		     uint64_t epoch, bool granted)
{
	if (epoch < 2 || in->fence != HCV_SP_UNKNOWN)
		return false;
	if (granted && !sp_older(in, epoch - 1))
		return false;
	out->epoch = epoch - 1;
	return sp_do(out, HCV_SP_REVOKE);
}

static uint32_t sp_handles(const struct hcv_sp_grant *k)
{
	uint32_t n = 0;
	size_t i;

	for (i = 0; i < k->nr; i++)
		n += k->range[i].count;
	return n;
}

/* The volume's area has number 0, extent i has number i + 1. */
static uint32_t sp_handles_used(const struct hcv_sp_in *in)
{
	return in->nr_row ? in->row[in->nr_row - 1].index + 2 : 1;
}

/* Doubling keeps a grant that grows within its few ranges. */
static uint32_t sp_handles_want(const struct hcv_sp_in *in)
{
	uint32_t need = sp_handles_used(in) + HCV_SP_SLACK, count = 1024;

	while (count < need)
		count *= 2;
	return count > HCV_SP_INDEX_MAX ? HCV_SP_INDEX_MAX : count;
}

static bool sp_ranges_equal(const struct hcv_grant_info *g,
			    const struct hcv_sp_grant *k)
{
	size_t i;

	if (g->nr != k->nr)
		return false;
	for (i = 0; i < g->nr; i++)
		if (g->range[i].first != k->range[i].first ||
		    g->range[i].base != k->range[i].base ||
		    g->range[i].count != k->range[i].count)
			return false;
	return true;
}

static bool sp_key(const struct hcv_sp_in *in, struct hcv_sp_out *out,
		   const struct hcv_sp_grant *k)
{
	const struct hcv_grant_info *g = in->grant;
	const char *dev = in->want_devpath ? in->want_devpath : "";

	out->epoch = k->epoch;
	out->ready = sp_ready(in);
	if (g && g->epoch == k->epoch && g->renew == k->renew &&
	    !strcmp(g->client, k->client) &&
	    g->incarnation == in->incarnation && g->ready == out->ready &&
	    sp_ranges_equal(g, k) && !strcmp(in->devpath, dev))
		return false;
	return sp_do(out, HCV_SP_WRITE_GRANT);
}

static bool sp_export(const struct hcv_sp_in *in, struct hcv_sp_out *out)
{
	if (!strcmp(in->rec->owner, in->node) ||
	    in->export == HCV_SP_EX_READY)
		return false;
	if (in->export == HCV_SP_EX_FAILED)
		return sp_say(out, HCV_SP_WAIT,
			      "the store cannot be exported to the owner");
	memcpy(out->client, in->rec->owner, sizeof(out->client));
	return sp_do(out, HCV_SP_EXPORT);
}

/*
 * The way to the store for a node that is to be handed the volume; nothing gets
 * in by it before that node has a grant.
 */
static bool sp_export_next(const struct hcv_sp_in *in, struct hcv_sp_out *out)
{
	const char *to = in->rec->hand.to;

	if (!in->can_hand || !*to || !strcmp(to, in->node) ||
	    in->export_next != HCV_SP_EX_UNKNOWN)
		return false;
	memcpy(out->client, to, sizeof(out->client));
	return sp_do(out, HCV_SP_EXPORT);
}

/* What the record says of this store: the renewal that its grant must have. */
static uint64_t sp_renew(const struct hcv_sp_in *in)
{
	const struct hcv_record *rec = in->rec;
	size_t i;

	for (i = 0; i < rec->nr; i++)
		if (!strcmp(rec->st[i].store, in->store))
			return rec->st[i].renew;
	return 0;
}

/* The owner's module has stopped the volume; its record is about to say so. */
static bool sp_let_go(const struct hcv_sp_in *in)
{
	size_t i;

	for (i = 0; i < in->nr_k; i++)
		if (in->k[i].done && in->k[i].epoch == in->rec->epoch &&
		    !strcmp(in->k[i].client, in->rec->owner))
			return true;
	return false;
}

static bool sp_grant(const struct hcv_sp_in *in, struct hcv_sp_out *out,
		     const struct hcv_sp_grant *k)
{
	uint64_t renew = sp_renew(in);

	if (sp_let_go(in))
		return sp_say(out, HCV_SP_WAIT,
			      "the owner has stopped the volume, its record does not say so yet");
	if (k && k->renew > renew)
		return sp_say(out, HCV_SP_REFUSE,
			      "the module has renewal %" PRIu64
			      " of the grant, the record is at %" PRIu64
			      ": the metadata store is older than the volume",
			      k->renew, renew);
	if (k && k->renew == renew &&
	    (sp_handles(k) >= sp_handles_used(in) || in->failed))
		return false;
	if (in->failed)
		return sp_say(out, HCV_SP_WAIT,
			      "the store failed and grants nothing");
	out->epoch = in->rec->epoch;
	out->count = sp_handles_want(in);
	out->renew = renew;
	return sp_do(out, HCV_SP_GRANT);
}

static bool sp_owned(const struct hcv_sp_in *in, struct hcv_sp_out *out)
{
	const struct hcv_record *rec = in->rec;
	const struct hcv_sp_grant *k;

	/* a store without rows holds nothing of the volume */
	if (!in->nr_row && !sp_older(in, rec->epoch))
		return sp_gone(in, out);
	k = hcv_storeplan_find(in, rec->epoch, rec->owner);
	if (sp_fence(in, out, rec->epoch, k))
		return true;
	if (!in->nr_row)
		return sp_gone(in, out);
	if (sp_lost(in, out) || sp_extents(in, out) || sp_export(in, out))
		return true;
	if (in->fence == HCV_SP_DRAINING)
		return sp_say(out, HCV_SP_WAIT,
			      "older grants still have I/O in flight or a lease");
	return sp_grant(in, out, k) || sp_key(in, out, k) ||
	       sp_export_next(in, out) || sp_gone(in, out);
}

/* ---- a volume without an owner ---- */

static bool sp_free(const struct hcv_sp_in *in, struct hcv_sp_out *out)
{
	/* rows are formatted in advance, so that the first attach is quick */
	if (!in->nr_row || in->deleting)
		return false;
	return sp_lost(in, out) || sp_extents(in, out);
}

static bool sp_revoke_all(const struct hcv_sp_in *in, struct hcv_sp_out *out,
			  uint64_t epoch)
{
	if (!in->nr_k || in->fence == HCV_SP_FENCED)
		return false;
	if (in->fence == HCV_SP_DRAINING)
		return sp_say(out, HCV_SP_WAIT,
			      "revoked grants still have I/O in flight or a lease");
	out->epoch = epoch;
	return sp_do(out, HCV_SP_REVOKE);
}

static bool sp_detached(const struct hcv_sp_in *in, struct hcv_sp_out *out)
{
	if (sp_revoke_all(in, out, in->rec->epoch))
		return true;
	if (in->grant)
		return sp_do(out, HCV_SP_DELETE_GRANT);
	return sp_free(in, out) || sp_gone(in, out);
}

/*
 * A tombstone counts once nothing names the volume any more.  A UUID is never
 * used again, so that this cannot become untrue.
 */
static bool sp_dead(const struct hcv_sp_in *in, struct hcv_sp_out *out)
{
	if (in->has_vol || in->rec || in->has_rows)
		return sp_say(out, HCV_SP_WAIT,
			      "the volume is still being deleted");
	if (sp_revoke_all(in, out, sp_max_epoch(in)))
		return true;
	if (in->grant)
		return sp_do(out, HCV_SP_DELETE_GRANT);
	if (in->nr_have && in->failed)
		return sp_say(out, HCV_SP_WAIT,
			      "the store failed and cannot free extents");
	if (in->nr_have)
		return sp_do(out, HCV_SP_FREE);
	return sp_do(out, in->nr_gone ? HCV_SP_DELETE_GONE :
					HCV_SP_DELETE_TOMB);
}

static bool sp_named(const struct hcv_sp_in *in)
{
	size_t i;

	for (i = 0; i < in->rec->nr; i++)
		if (!strcmp(in->rec->st[i].store, in->store))
			return true;
	return in->nr_row;
}

/* In the epoch in which the volume left nobody else has access. */
static bool sp_left_now(const struct hcv_sp_in *in)
{
	return in->rec->phase != HCV_PH_NONE &&
	       in->rec->epoch <= in->left_epoch;
}

/*
 * Late writes are let in no more.  The epoch itself is revoked only if the
 * module knows nothing else: it would refuse the grant of a volume that comes
 * back.
 */
static bool sp_left_fence(const struct hcv_sp_in *in, struct hcv_sp_out *out)
{
	size_t i;

	if (!sp_left_now(in) || !in->can_retire || !in->left_renew)
		return sp_revoke_all(in, out, sp_max_epoch(in));
	for (i = 0; i < in->nr_k; i++)
		if (in->k[i].epoch == in->left_epoch &&
		    in->k[i].renew >= in->left_renew)
			return sp_say(out, HCV_SP_REFUSE,
				      "the store has left the volume, and the module has a newer grant: it is kept");
	if (!sp_revoke_all(in, out, in->left_epoch))
		return false;
	if (out->act == HCV_SP_REVOKE)
		out->renew = in->left_renew;
	return true;
}

/*
 * The volume goes on without this store.  Whoever puts it into a row again
 * makes sure that there is no tombstone.
 */
static bool sp_left(const struct hcv_sp_in *in, struct hcv_sp_out *out)
{
	if (sp_named(in))
		return sp_say(out, HCV_SP_REFUSE,
			      "the store has left the volume, and has a part of it: it is kept");
	if (sp_left_fence(in, out))
		return true;
	if (in->grant)
		return sp_do(out, HCV_SP_DELETE_GRANT);
	if (in->nr_have && in->failed)
		return sp_say(out, HCV_SP_WAIT,
			      "the store failed and cannot free extents");
	if (in->nr_have)
		return sp_do(out, HCV_SP_FREE);
	if (in->nr_gone)
		return sp_do(out, HCV_SP_DELETE_GONE);
	/* Until then it could not give a grant to the owner that there is. */
	if (sp_left_now(in) && !(in->can_retire && in->left_renew))
		return false;
	return sp_do(out, HCV_SP_DELETE_TOMB);
}

static bool sp_unnamed(const struct hcv_sp_in *in, struct hcv_sp_out *out)
{
	if (in->nr_have)
		return sp_say(out, HCV_SP_QUARANTINE,
			      "%zu extents of a volume that the metadata store does not know",
			      in->nr_have);
	/* a grant key alone: its writer was killed after the deletion */
	if (in->grant && !in->nr_k)
		return sp_do(out, HCV_SP_DELETE_GRANT);
	return in->nr_gone && sp_do(out, HCV_SP_DELETE_GONE);
}

void hcv_storeplan_next(const struct hcv_sp_in *in, struct hcv_sp_out *out)
{
	memset(out, 0, sizeof(*out));
	if (in->bad)
		return (void)sp_say(out, HCV_SP_REFUSE,
				    "a key of the volume cannot be read");
	if (in->tomb && !(in->left && in->rec))
		return (void)sp_dead(in, out);
	if (!in->rec && (in->has_vol || in->has_rows))
		return (void)sp_free(in, out);
	if (!in->rec)
		return (void)sp_unnamed(in, out);
	if (sp_max_epoch(in) > in->rec->epoch)
		return (void)sp_say(out, HCV_SP_REFUSE,
				    "the module has a grant of epoch %" PRIu64
				    ", the record is at %" PRIu64
				    ": the metadata store is older than the volume",
				    sp_max_epoch(in), in->rec->epoch);
	if (in->tomb)
		return (void)sp_left(in, out);
	if (in->rec->phase == HCV_PH_NONE || !in->rec->owner[0])
		return (void)sp_detached(in, out);
	sp_owned(in, out);
}
