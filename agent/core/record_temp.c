// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transitions of a volume's record that concern its temporary replica.
 */
#include "record_temp.h"

#include "record_priv.h"

int hcv_rec_temp_place(const struct hcv_record *r)
{
	size_t i;

	for (i = 0; i < r->nr; i++)
		if (r->st[i].state == HCV_RS_TEMPORARY)
			return (int)i;
	return -1;
}

const struct hcv_rec_store *hcv_record_temp(const struct hcv_record *r)
{
	int i = hcv_rec_temp_place(r);

	return i < 0 ? NULL : &r->st[i];
}

bool hcv_record_pair(const struct hcv_record *r)
{
	const struct hcv_rec_store *t = hcv_record_temp(r);

	return t && t->pair;
}

bool hcv_record_temp_row(const struct hcv_record *r, const struct hcv_row *row)
{
	const struct hcv_rec_store *t = hcv_record_temp(r);

	return t && row_mask(r, row) & bit_of(r, t->base);
}

/* Of a base whatever the temporary replica is: it has a v, and is not in-sync. */
static bool base_ok(const struct hcv_rec_store *base)
{
	return (base->state == HCV_RS_STALE || base->state == HCV_RS_SYNCING) &&
	       base->v;
}

static int check_temp(const struct hcv_record *r, size_t i, char *err)
{
	const struct hcv_rec_store *t = &r->st[i];
	int base = place_of(r, t->base);

	if (hcv_rec_temp_place(r) != (int)i)
		return fail(err, -EINVAL, "store %s is temporary as well",
			    t->store);
	if (!r->log)
		return fail(err, -EINVAL,
			    "store %s is temporary, but there are no activity logs",
			    t->store);
	if (base < 0)
		return fail(err, -EINVAL,
			    "store %s is temporary for a store that holds nothing",
			    t->store);
	if (!base_ok(&r->st[base]) || r->st[base].v != t->v)
		return fail(err, -EINVAL,
			    "store %s is temporary for store %s since v %llu, which is not so",
			    t->store, t->base, (unsigned long long)t->v);
	if (t->pair && !t->covers)
		return fail(err, -EINVAL,
			    "store %s is half of a pair without the mark",
			    t->store);
	if (t->pair && r->phase == HCV_PH_SERVING &&
	    r->st[base].state != HCV_RS_SYNCING)
		return fail(err, -EINVAL,
			    "store %s is half of a pair, store %s is not",
			    t->store, t->base);
	return 0;
}

int hcv_rec_temp_check(const struct hcv_record *r, char *err)
{
	const struct hcv_rec_store *st;
	size_t i;

	for (i = 0; i < r->nr; i++) {
		st = &r->st[i];
		if (st->state == HCV_RS_TEMPORARY) {
			if (check_temp(r, i, err))
				return -EINVAL;
			continue;
		}
		if (*st->base || st->covers || st->pair || st->named)
			return fail(err, -EINVAL,
				    "store %s is not temporary, but for another one",
				    st->store);
	}
	return 0;
}

void hcv_rec_temp_leave(struct hcv_record *new)
{
	int i = hcv_rec_temp_place(new);
	struct hcv_rec_store *t;

	if (i < 0)
		return;
	t = &new->st[i];
	if (t->named) {
		/* Rows name it: an ordinary copy without anything. */
		t->state = HCV_RS_STALE;
		t->v = 0;
		t->renew = new->v + 1;
		memset(t->base, 0, sizeof(t->base));
		t->covers = false;
		t->pair = false;
		t->named = false;
		return;
	}
	new->nr--;
	memmove(&new->st[i], &new->st[i + 1],
		(new->nr - (size_t)i) * sizeof(new->st[0]));
	memset(&new->st[new->nr], 0, sizeof(new->st[0]));
}

int hcv_rec_temp_ready(const struct hcv_record *r, uint32_t confirmed,
		       char *err)
{
	const struct hcv_rec_store *t = hcv_record_temp(r);

	if (!t || !t->covers)
		return fail(err, -EAGAIN,
			    "no temporary replica covers what is missing");
	/* Both: the former owner must reach neither any more. */
	if (!(confirmed & bit_of(r, t->base)))
		return fail(err, -EAGAIN,
			    "the temporary replica on store %s needs store %s, which has not answered",
			    t->store, t->base);
	if (!(confirmed & bit_of(r, t->store)))
		return fail(err, -EAGAIN,
			    "the temporary replica on store %s has not answered",
			    t->store);
	return 0;
}

uint32_t hcv_rec_temp_mates(const struct hcv_record *r,
			    const struct hcv_rows *rows)
{
	uint32_t mask = 0;
	size_t i;

	if (!rows)
		return UINT32_MAX;
	for (i = 0; i < rows->nr; i++)
		if (hcv_record_temp_row(r, &rows->row[i]))
			mask |= row_mask(r, &rows->row[i]);
	return mask;
}

static bool row_names(const struct hcv_row *row, const char *store)
{
	size_t k;

	for (k = 0; k < row->nr; k++)
		if (!strcmp(row->store[k], store))
			return true;
	return false;
}

/* Whether the rows let @want be. */
static int rows_fit(const struct hcv_record *r,
		    const struct hcv_temp_want *want,
		    const struct hcv_rows *rows, char *err)
{
	uint32_t insync = insync_mask(r), base = bit_of(r, want->base);
	bool used = !rows;
	size_t i;

	if (!rows && __builtin_popcount(insync) > 1)
		return fail(err, -EBUSY,
			    "the volume has more than one in-sync copy");
	for (i = 0; rows && i < rows->nr; i++) {
		uint32_t full = row_mask(r, &rows->row[i]);

		if (row_names(&rows->row[i], want->store))
			return fail(err, -EEXIST,
				    "store %s has extent %u of the volume",
				    want->store, rows->row[i].index);
		if (!(full & base))
			continue;
		used = true;
		if (__builtin_popcount(full & insync) > 1)
			return fail(err, -EBUSY,
				    "extent %u has more than one in-sync copy",
				    rows->row[i].index);
	}
	if (!used)
		return fail(err, -EINVAL,
			    "store %s has no extent of the volume in full",
			    want->base);
	return 0;
}

static int may_begin(const struct hcv_record *r,
		     const struct hcv_temp_want *want,
		     const struct hcv_rows *rows, char *err)
{
	const struct hcv_rec_store *t = hcv_record_temp(r);
	int base = place_of(r, want->base);

	if (r->phase != HCV_PH_SERVING)
		return fail(err, -EPERM, "no node serves the volume");
	if (!r->log)
		return fail(err, -EOPNOTSUPP,
			    "the volume keeps no activity logs");
	if (t)
		return fail(err, -EEXIST,
			    "the volume has a temporary replica on store %s",
			    t->store);
	if (place_of(r, want->store) >= 0)
		return fail(err, -EEXIST, "store %s is in the record already",
			    want->store);
	if (base < 0)
		return fail(err, -ENOENT,
			    "store %s holds nothing of the volume",
			    want->base);
	if (!base_ok(&r->st[base]))
		return fail(err, -EINVAL,
			    "store %s is in-sync, or nothing on it is to be trusted",
			    want->base);
	if (r->nr == HCV_REC_STORES)
		return fail(err, -ENOSPC,
			    "the volume is on %d stores already, which is the limit",
			    HCV_REC_STORES);
	if (want->failing)
		return fail(err, -EAGAIN,
			    "a replica is failing: its removal comes first");
	if (!want->cleared)
		return fail(err, -EAGAIN,
			    "store %s still has something of the volume",
			    want->store);
	return rows_fit(r, want, rows, err);
}

int hcv_record_temp_begin(struct hcv_record *r,
			  const struct hcv_temp_want *want,
			  const struct hcv_rows *rows, char *err)
{
	struct hcv_record new = *r;
	struct hcv_rec_store *st;
	int ret = may_begin(r, want, rows, err);

	if (ret)
		return ret;
	st = &new.st[new.nr++];
	snprintf(st->store, sizeof(st->store), "%s", want->store);
	snprintf(st->base, sizeof(st->base), "%s", want->base);
	st->state = HCV_RS_TEMPORARY;
	st->v = hcv_record_find(&new, want->base)->v;
	st->renew = r->v + 1;
	return commit(r, &new, err);
}

int hcv_record_temp_covers(struct hcv_record *r, const char *store,
			   const char *base, uint64_t v, char *err)
{
	const struct hcv_rec_store *t = hcv_record_temp(r);
	struct hcv_record new = *r;

	if (r->phase != HCV_PH_SERVING)
		return fail(err, -EPERM, "no node serves the volume");
	if (!t || strcmp(t->store, store) || strcmp(t->base, base) ||
	    t->v != v)
		return fail(err, -EINVAL,
			    "store %s is not temporary for store %s since v %llu",
			    store, base, (unsigned long long)v);
	if (t->covers)
		return fail(err, -EALREADY, "store %s has the mark", store);
	hcv_record_find(&new, store)->covers = true;
	return commit(r, &new, err);
}

int hcv_record_temp_out(struct hcv_record *r, const char *store, char *err)
{
	const struct hcv_rec_store *t = hcv_record_temp(r);
	struct hcv_record new = *r;

	if (!t || strcmp(t->store, store))
		return fail(err, -ENOENT, "store %s is not temporary", store);
	if (r->phase == HCV_PH_TAKING)
		return fail(err, -EPERM, "node %s is taking the volume over",
			    r->owner);
	if (t->pair)
		return fail(err, -EBUSY,
			    "store %s has what store %s lacks, and nobody else has it",
			    store, t->base);
	hcv_rec_temp_leave(&new);
	return commit(r, &new, err);
}

/* The temporary replica, if it is on @store and may become more than that. */
static const struct hcv_rec_store *temp_may_stay(const struct hcv_record *r,
						 const char *store, int *ret,
						 char *err)
{
	const struct hcv_rec_store *t = hcv_record_temp(r);

	if (r->phase != HCV_PH_SERVING)
		*ret = fail(err, -EPERM, "no node serves the volume");
	else if (!t || strcmp(t->store, store))
		*ret = fail(err, -ENOENT, "store %s is not temporary", store);
	else if (t->pair)
		*ret = fail(err, -EBUSY,
			    "store %s is half of what there is: store %s is to be in-sync first",
			    store, t->base);
	else
		*ret = 0;
	return *ret ? NULL : t;
}

int hcv_record_temp_name(struct hcv_record *r, const char *store, char *err)
{
	const struct hcv_rec_store *t;
	struct hcv_record new = *r;
	int ret;

	t = temp_may_stay(r, store, &ret, err);
	if (!t)
		return ret;
	if (t->named)
		return fail(err, -EALREADY, "rows may name store %s already",
			    store);
	hcv_record_find(&new, store)->named = true;
	return commit(r, &new, err);
}

int hcv_record_temp_stay(struct hcv_record *r, const char *store,
			 const struct hcv_rows *rows, char *err)
{
	const struct hcv_rec_store *t;
	struct hcv_record new = *r;
	struct hcv_rec_store *st;
	uint32_t full;
	size_t i;
	int ret;

	t = temp_may_stay(r, store, &ret, err);
	if (!t)
		return ret;
	if (!t->named || !t->covers)
		return fail(err, -EINVAL, "store %s has no %s", store,
			    t->covers ? "rows" : "mark");
	for (i = 0; i < rows->nr; i++) {
		full = row_mask(r, &rows->row[i]);
		if (!(full & bit_of(r, store)) == !(full & bit_of(r, t->base)))
			continue;
		return fail(err, -EBUSY,
			    "extent %u is not on both store %s and store %s",
			    rows->row[i].index, t->base, store);
	}
	st = hcv_record_find(&new, store);
	memset(st->base, 0, sizeof(st->base));
	st->covers = false;
	st->named = false;
	st->state = HCV_RS_INSYNC;
	st->v = r->v + 1;
	return commit(r, &new, err);
}

enum hcv_temp_merge hcv_record_temp_merge(const struct hcv_record *r,
					  struct hcv_rec_ids confirmed,
					  const struct hcv_rows *rows,
					  char *why)
{
	const struct hcv_rec_store *t = hcv_record_temp(r);
	uint32_t mask = hcv_rec_mask(r, confirmed), set;
	char unused[HCV_ERR_SIZE];
	uint32_t both;

	*why = 0;
	if (!hcv_rec_choose(r, mask, 0, rows, &set, why)) {
		*why = 0;
		return t && set & bit_of(r, t->store) ? HCV_TM_PAIR :
							HCV_TM_FULL;
	}
	if (!t)
		return HCV_TM_WAIT;
	both = bit_of(r, t->store) | bit_of(r, t->base);
	if (hcv_rec_choose_pair(r, mask | both, 0, rows, &set, unused))
		return HCV_TM_WAIT;
	if ((mask & both) != both) {
		fail(why, 0, "store %s and its temporary replica on store %s %s: waiting for store %s",
		     t->base, t->store, t->covers ? "have all" :
		     "have all but what was written before it was filled",
		     mask & bit_of(r, t->base) ? t->store : t->base);
		return HCV_TM_WAIT;
	}
	fail(why, 0, "the temporary replica on store %s was not filled when the last full copy went: what store %s lacks, and it did not get yet, would be lost",
	     t->store, t->base);
	return HCV_TM_FORCE;
}

int hcv_record_temp_force(struct hcv_record *r, const char *node,
			  const struct hcv_temp_force *force,
			  const struct hcv_rows *rows, char *err)
{
	struct hcv_rec_as as = { .log = true, .lineage = force->lineage };
	uint32_t mask = hcv_rec_mask(r, force->confirmed), set;
	int ret;

	ret = hcv_rec_taking(r, node, err);
	if (ret)
		return ret;
	if (!force->lineage || force->lineage == r->lineage)
		return fail(err, -EINVAL, "a new lineage is needed");
	switch (hcv_record_temp_merge(r, force->confirmed, rows, err)) {
	case HCV_TM_FULL:
	case HCV_TM_PAIR:
		return fail(err, -EALREADY, "nothing has to be given up");
	case HCV_TM_WAIT:
		return -EAGAIN;
	case HCV_TM_FORCE:
		*err = 0;
		break;
	}
	ret = hcv_rec_choose_pair(r, mask, hcv_rec_mask(r, force->local), rows,
				  &set, err);
	return ret ? ret : hcv_rec_serve_as(r, set, &as, err);
}
