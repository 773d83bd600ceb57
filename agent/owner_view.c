// SPDX-License-Identifier: GPL-2.0-only
/*
 * The keys of one volume, as the owner reads and changes them.
 *
 * A view starts from a snapshot and is read anew only when it may be behind:
 * after a conflict, an unknown outcome, or when the module knows more.  Every
 * change compares the revision of the record, so a view that is behind costs a
 * refused transaction and nothing else.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "owner.h"
#include "place.h"
#include "snap.h"

static void view_set(struct hcv_owner_view *w, struct hcv_snap *back)
{
	const struct hcv_snap_vol *v;
	char uuid[HCV_ID_LEN];

	memcpy(uuid, w->v.uuid, sizeof(uuid));
	hcv_snap_put(w->back);
	w->back = back;
	v = back ? hcv_snap_vol(back, uuid) : NULL;
	if (v)
		w->v = *v;
	else
		memset(&w->v, 0, sizeof(w->v));
	memcpy(w->v.uuid, uuid, sizeof(uuid));
	w->known = back && !w->v.bad;
}

void hcv_owner_view_init(struct hcv_owner_view *w, struct hcv_agent *a,
			 struct hcv_snap *snap, const char *uuid)
{
	memset(w, 0, sizeof(*w));
	w->a = a;
	w->snap = hcv_snap_ref(snap);
	snprintf(w->v.uuid, sizeof(w->v.uuid), "%s", uuid);
	view_set(w, hcv_snap_ref(snap));
}

void hcv_owner_view_free(struct hcv_owner_view *w)
{
	hcv_snap_put(w->back);
	hcv_snap_put(w->snap);
	memset(w, 0, sizeof(*w));
}

/* Append a list to another; the keys move. */
static int kvs_append(struct hcv_kvs *to, struct hcv_kvs *from)
{
	struct hcv_kv *kv;

	if (!from->nr)
		return 0;
	kv = realloc(to->kv, (to->nr + from->nr) * sizeof(*kv));
	if (!kv)
		return -ENOMEM;
	memcpy(kv + to->nr, from->kv, from->nr * sizeof(*kv));
	to->kv = kv;
	to->nr += from->nr;
	from->nr = 0;
	return 0;
}

/*
 * Whether a key was changed after the first of the lists was read: what was
 * written in one transaction may be there in part.  Keys that went are not seen;
 * nobody acts on rows that are gone.
 */
static bool view_torn(const struct hcv_kvs *all)
{
	size_t i;

	for (i = 0; i < all->nr; i++)
		if (all->kv[i].rev > all->rev)
			return true;
	return false;
}

static enum hcv_meta_result view_list(struct hcv_owner_view *w, int64_t until,
				      struct hcv_kvs *all)
{
	/* in the order of the keys, as a list of everything would be */
	static const char *const prefix[] = {
		"care/", "grant/", "job/", "rec/", "rows/", "vol/",
	};
	enum hcv_meta_result res = HCV_META_OK;
	struct hcv_kvs part;
	int64_t left;
	char key[64];
	size_t i;

	memset(all, 0, sizeof(*all));
	for (i = 0; i < 6 && res == HCV_META_OK; i++) {
		left = until - hcv_now_ms();
		snprintf(key, sizeof(key), "%s%s", prefix[i], w->v.uuid);
		memset(&part, 0, sizeof(part));
		res = hcv_meta_list(hcv_agent_meta(w->a), key, &part,
				    left < 1 ? 1 : left);
		if (res != HCV_META_OK)
			break;
		if (!i)
			all->rev = part.rev;
		if (kvs_append(all, &part))
			res = HCV_META_UNREACHABLE;	/* no memory: later */
		hcv_kvs_free(&part);
	}
	return res;
}

enum hcv_meta_result hcv_owner_view_read(struct hcv_owner_view *w,
					 unsigned int ms)
{
	int64_t until = hcv_now_ms() + ms;
	struct hcv_snap *back = NULL;
	enum hcv_meta_result res;
	struct hcv_kvs all;
	bool torn;

	w->settled = false;
	w->known = false;
	do {
		res = view_list(w, until, &all);
		torn = res == HCV_META_OK && view_torn(&all);
		if (res == HCV_META_OK && !torn)
			back = hcv_snap_build(w->a, &all);
		hcv_kvs_free(&all);
	} while (torn && hcv_now_ms() < until);
	if (torn)
		return HCV_META_CONFLICT;
	if (res != HCV_META_OK)
		return res;
	if (!back)
		return HCV_META_UNREACHABLE;	/* no memory: later */
	hcv_owner_wrote(w->a, w->v.uuid, back->rev, false);
	view_set(w, back);
	w->settled = w->known;
	return w->known ? HCV_META_OK : HCV_META_INVALID;
}

const char *hcv_owner_view_name(const struct hcv_owner_view *w)
{
	return w->v.rev ? w->v.i.name : w->v.uuid;
}

const char *hcv_owner_view_path(const struct hcv_owner_view *w,
				const char *store)
{
	size_t i;

	for (i = 0; i < w->nr_paths; i++)
		if (!strcmp(w->path[i].store, store) && w->path[i].dev[0])
			return w->path[i].dev;
	return NULL;
}

void hcv_owner_view_set_path(struct hcv_owner_view *w, const char *store,
			     const char *dev)
{
	size_t i;

	for (i = 0; i < w->nr_paths; i++)
		if (!strcmp(w->path[i].store, store))
			break;
	if (i == HCV_REC_STORES)
		return;
	if (i == w->nr_paths)
		w->nr_paths++;
	snprintf(w->path[i].store, sizeof(w->path[i].store), "%s", store);
	snprintf(w->path[i].dev, sizeof(w->path[i].dev), "%s", dev ? dev : "");
}

void hcv_owner_view_stores(struct hcv_owner_view *w, const char *node)
{
	size_t i;

	w->nr_st = 0;
	for (i = 0; i < w->v.rec.nr && w->v.rec_rev; i++) {
		const char *id = w->v.rec.st[i].store;
		const struct hcv_snap_store *s = hcv_snap_store(w->snap, id);
		const struct hcv_snap_grant *g = hcv_snap_grant(&w->v, id);
		struct hcv_vp_store *st = &w->st[w->nr_st++];
		const struct hcv_snap_node *n;

		memset(st, 0, sizeof(*st));
		snprintf(st->id, sizeof(st->id), "%s", id);
		st->has_grant = g;
		st->grant = g ? &g->g : NULL;
		st->path = hcv_owner_view_path(w, id);
		if (!s)
			continue;
		n = hcv_snap_node(w->snap, s->i.node);
		snprintf(st->name, sizeof(st->name), "%s:%s",
			 n ? n->i.name : "?", s->i.name);
		st->local = !strcmp(s->i.node, node);
		st->connecting = !st->local && hcv_owner_conn_busy(id);
		st->live = s->i.live && n && n->i.live;
		st->bad = s->i.failed || s->i.state == HCV_ST_REMOVED;
		st->slow = s->health.h.slow;
		st->ailing = s->health.h.state != HCV_HEALTH_OK;
		st->incarnation = s->i.incarnation;
	}
}

/* -------------------------------------------------------------- transactions */

#define VIEW_KEY 96

/*
 * The record and the last chunk of rows are compared, and that no chunk
 * follows: new rows are appended there.  Of rows that went from another chunk
 * meanwhile nothing is left to be decided.
 */
struct view_txn {
	struct hcv_cmp cmp[3 + 2 * HCV_ROW_STORES];
	size_t nr_cmp;
	struct hcv_op op[2 + HCV_ROW_STORES];
	size_t nr_op;
	char key[2 + 2 * HCV_ROW_STORES][VIEW_KEY];
	char rec_key[VIEW_KEY];
};

static void txn_rows_key(char *key, const char *uuid, size_t chunk)
{
	if (chunk)
		snprintf(key, VIEW_KEY, "rows/%s/%zu", uuid, chunk);
	else
		snprintf(key, VIEW_KEY, "rows/%s", uuid);
}

static void txn_compare(struct view_txn *t, const struct hcv_owner_view *w,
			bool with_rows)
{
	size_t nr = w->v.nr_row_keys;

	memset(t, 0, sizeof(*t));
	snprintf(t->rec_key, sizeof(t->rec_key), "rec/%s", w->v.uuid);
	t->cmp[t->nr_cmp++] = (struct hcv_cmp){ t->rec_key, w->v.rec_rev };
	if (!with_rows)
		return;
	txn_rows_key(t->key[0], w->v.uuid, nr);
	t->cmp[t->nr_cmp++] = (struct hcv_cmp){ t->key[0], 0 };
	if (!nr)
		return;
	txn_rows_key(t->key[1], w->v.uuid, nr - 1);
	t->cmp[t->nr_cmp++] = (struct hcv_cmp){
		t->key[1], w->v.row_key[nr - 1].rev
	};
}

/*
 * Stores that get a row must still be what they were when it was placed, and
 * new ones must not have left the volume: what they had is being freed.
 * Return: 0 or -ENOMEM; txn_free_stores() in both cases
 */
static int txn_touch_stores(struct view_txn *t, const struct hcv_owner_view *w,
			    const struct hcv_row *row)
{
	const struct hcv_snap_store *st;
	char *tomb;
	size_t i;

	for (i = 0; i < row->nr; i++) {
		st = hcv_snap_store(w->snap, row->store[i]);
		if (!st)
			continue;
		snprintf(t->key[2 + i], VIEW_KEY, "store/%s", row->store[i]);
		t->cmp[t->nr_cmp++] = (struct hcv_cmp){ t->key[2 + i], st->rev };
		if (hcv_place_touch(st, t->key[2 + i], &t->op[t->nr_op]))
			return -ENOMEM;
		t->nr_op++;
		if (hcv_snap_rec_store(&w->v.rec, row->store[i]))
			continue;
		tomb = t->key[2 + HCV_ROW_STORES + i];
		snprintf(tomb, VIEW_KEY, "tomb/%s/%s", row->store[i],
			 w->v.uuid);
		t->cmp[t->nr_cmp++] = (struct hcv_cmp){ tomb, 0 };
	}
	return 0;
}

static void txn_free_stores(struct view_txn *t)
{
	while (t->nr_op)
		free((char *)t->op[--t->nr_op].value);
}

static enum hcv_meta_result txn_run(struct view_txn *t,
				    struct hcv_owner_view *w,
				    const struct hcv_record *rec, char *json,
				    unsigned int ms)
{
	enum hcv_meta_result res;
	int64_t rev = 0;

	res = hcv_meta_txn(hcv_agent_meta(w->a), t->cmp, t->nr_cmp, t->op,
			   t->nr_op, &rev, ms);
	free(json);
	w->settled = false;
	if (res == HCV_META_OK) {
		hcv_owner_wrote(w->a, w->v.uuid, rev, false);
		if (rec) {
			w->v.rec = *rec;
			w->v.rec_rev = rev;
		}
	} else if (res == HCV_META_UNKNOWN) {
		hcv_owner_wrote(w->a, w->v.uuid, 0, true);
		w->known = false;
	}
	return res;
}

enum hcv_meta_result hcv_owner_view_commit(struct hcv_owner_view *w,
					   const struct hcv_record *rec,
					   bool with_rows, unsigned int ms)
{
	struct view_txn t;
	char *json = hcv_model_record_encode(rec);

	if (!json)
		return HCV_META_UNREACHABLE;
	txn_compare(&t, w, with_rows);
	t.op[t.nr_op++] = (struct hcv_op){ .key = t.rec_key, .value = json };
	return txn_run(&t, w, rec, json, ms);
}

/* The chunk that the next row goes to, encoded with it. */
static char *view_rows_encode(const struct hcv_owner_view *w,
			      const struct hcv_row *row, size_t *chunk)
{
	const struct hcv_snap_vol *v = &w->v;
	size_t first = 0, nr = 0;
	struct hcv_rows rows;
	char *json;

	*chunk = v->nr_row_keys ? v->nr_row_keys - 1 : 0;
	if (v->nr_row_keys) {
		first = v->row_key[*chunk].first;
		nr = v->row_key[*chunk].nr;
	}
	if (nr >= HCV_ROWS_PER_KEY) {
		(*chunk)++;
		nr = 0;
	}
	rows.next = row->index + 1;
	rows.nr = nr + 1;
	rows.row = calloc(rows.nr, sizeof(*rows.row));
	if (!rows.row)
		return NULL;
	if (nr)
		memcpy(rows.row, v->rows.row + first, nr * sizeof(*rows.row));
	rows.row[nr] = *row;
	json = hcv_model_rows_encode(&rows, 0, rows.nr);
	free(rows.row);
	return json;
}

enum hcv_meta_result hcv_owner_view_add_row(struct hcv_owner_view *w,
					    const struct hcv_row *row,
					    const struct hcv_record *rec,
					    unsigned int ms)
{
	char *rec_json = rec ? hcv_model_record_encode(rec) : NULL;
	enum hcv_meta_result res = HCV_META_UNREACHABLE;
	struct view_txn t;
	char key[VIEW_KEY];
	size_t chunk;
	char *json;

	json = view_rows_encode(w, row, &chunk);
	txn_compare(&t, w, true);
	if (!txn_touch_stores(&t, w, row) && json && (rec_json || !rec)) {
		size_t touched = t.nr_op;

		txn_rows_key(key, w->v.uuid, chunk);
		t.op[t.nr_op++] = (struct hcv_op){ .key = key, .value = json };
		if (rec)
			t.op[t.nr_op++] = (struct hcv_op){
				.key = t.rec_key, .value = rec_json,
			};
		res = txn_run(&t, w, NULL, NULL, ms);
		t.nr_op = touched;
		w->known = false;	/* its rows are the old ones */
	}
	txn_free_stores(&t);
	free(json);
	free(rec_json);
	return res;
}

/* ------------------------------------------------------------ rows that go */

#define VIEW_DROP 16	/* rows of one transaction */

struct view_drop {
	struct hcv_cmp cmp[2 + VIEW_DROP * HCV_ROW_STORES];
	struct hcv_op op[1 + VIEW_DROP * HCV_ROW_STORES];
	char key[VIEW_DROP * HCV_ROW_STORES][128];
	size_t nr_cmp, nr_op, nr_tombs, nr_rows;
	char rec_key[VIEW_KEY], rows_key[VIEW_KEY];
	struct hcv_rows left;	/* of the chunk */
};

static bool drop_listed(const uint32_t *index, size_t nr, uint32_t one)
{
	while (nr--)
		if (index[nr] == one)
			return true;
	return false;
}

/* The chunk that has one of the rows; nr_row_keys: none has. */
static size_t drop_chunk(const struct hcv_snap_vol *v, const uint32_t *index,
			 size_t nr)
{
	size_t chunk, i;

	for (chunk = 0; chunk < v->nr_row_keys; chunk++)
		for (i = 0; i < v->row_key[chunk].nr; i++)
			if (drop_listed(index, nr, v->rows.row[
					v->row_key[chunk].first + i].index))
				return chunk;
	return chunk;
}

/* A key that is there already is of the same extent: it may stay as it is. */
static void drop_tombs(struct view_drop *d, const struct hcv_snap_vol *v,
		       const struct hcv_row *row, const char *tomb)
{
	size_t i;

	for (i = 0; i < row->nr; i++) {
		char *key = d->key[d->nr_tombs++];

		snprintf(key, sizeof(d->key[0]), "tomb/%s/%s/%u",
			 row->store[i], v->uuid, row->index);
		d->op[d->nr_op++] = (struct hcv_op){ .key = key, .value = tomb };
	}
}

static int drop_fill(struct view_drop *d, const struct hcv_snap_vol *v,
		     size_t chunk, const uint32_t *index, size_t nr,
		     const char *tomb)
{
	const struct hcv_snap_rowkey *rk = &v->row_key[chunk];
	const struct hcv_row *row = v->rows.row + rk->first;
	size_t i;

	d->left.next = v->rows.next;
	d->left.row = calloc(rk->nr, sizeof(*row));
	if (!d->left.row)
		return -ENOMEM;
	for (i = 0; i < rk->nr; i++) {
		if (d->nr_rows < VIEW_DROP &&
		    drop_listed(index, nr, row[i].index)) {
			drop_tombs(d, v, &row[i], tomb);
			d->nr_rows++;
		} else {
			d->left.row[d->left.nr++] = row[i];
		}
	}
	snprintf(d->rec_key, sizeof(d->rec_key), "rec/%s", v->uuid);
	txn_rows_key(d->rows_key, v->uuid, chunk);
	d->cmp[d->nr_cmp++] = (struct hcv_cmp){ d->rec_key, v->rec_rev };
	d->cmp[d->nr_cmp++] = (struct hcv_cmp){ d->rows_key, rk->rev };
	return 0;
}

static char *drop_tomb_value(uint64_t epoch)
{
	struct hcv_json j;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_u64(&j, "epoch", epoch);
	return hcv_json_finish(&j);
}

static enum hcv_meta_result drop_run(struct hcv_owner_view *w,
				     struct view_drop *d, unsigned int ms)
{
	enum hcv_meta_result res;
	int64_t rev = 0;

	res = hcv_meta_txn(hcv_agent_meta(w->a), d->cmp, d->nr_cmp, d->op,
			   d->nr_op, &rev, ms);
	if (res == HCV_META_OK)
		hcv_owner_wrote(w->a, w->v.uuid, rev, false);
	else if (res == HCV_META_UNKNOWN)
		hcv_owner_wrote(w->a, w->v.uuid, 0, true);
	w->settled = false;
	w->known = false;
	return res;
}

enum hcv_meta_result hcv_owner_view_drop_rows(struct hcv_owner_view *w,
					      const uint32_t *index, size_t nr,
					      unsigned int ms)
{
	enum hcv_meta_result res = HCV_META_UNREACHABLE;
	size_t chunk = drop_chunk(&w->v, index, nr);
	char *tomb = drop_tomb_value(w->v.rec.epoch);
	struct view_drop *d = calloc(1, sizeof(*d));
	char *json = NULL;

	if (chunk == w->v.nr_row_keys) {
		res = HCV_META_CONFLICT;	/* gone meanwhile: read */
	} else if (d && tomb &&
		   !drop_fill(d, &w->v, chunk, index, nr, tomb)) {
		json = hcv_model_rows_encode(&d->left, 0, d->left.nr);
		d->op[d->nr_op++] = (struct hcv_op){
			.key = d->rows_key, .value = json,
		};
		if (json)
			res = drop_run(w, d, ms);
	}
	if (d)
		free(d->left.row);
	free(json);
	free(tomb);
	free(d);
	return res;
}
