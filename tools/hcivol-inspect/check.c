// SPDX-License-Identifier: GPL-2.0-only
/*
 * hcivol-inspect check: is everything on a store consistent in itself, and
 * are the replicas of a volume equal?
 *
 * A "problem" is what no crash may leave; a "note" is what one may, and what
 * the next use of the store puts right.
 */
#include "pair.h"

#include <stdarg.h>
#include <stdlib.h>

struct hcv_ins_check {
	struct json_object *problems;
	struct json_object *notes;
	u32 nr_problems;
	u32 nr_notes;
	u8 *meta;
	u8 *data[2];
	bool with_data;
	bool pair;
};

__attribute__((format(printf, 4, 5)))
static void hcv_ins_report(struct hcv_ins_check *chk, bool problem,
			   const char *store, const char *fmt, ...)
{
	struct json_object *obj;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (problem)
		chk->nr_problems++;
	else
		chk->nr_notes++;
	if (!chk->problems) {
		printf("%s: %s: %s\n", problem ? "problem" : "note", store,
		       text);
		return;
	}
	obj = hcv_ins_json_push(problem ? chk->problems : chk->notes);
	hcv_ins_json_str(obj, "store", store);
	hcv_ins_json_str(obj, "text", text);
}

#define HCV_INS_PROBLEM(chk, store, ...) \
	hcv_ins_report(chk, true, (store)->dev.path, __VA_ARGS__)
#define HCV_INS_NOTE(chk, store, ...) \
	hcv_ins_report(chk, false, (store)->dev.path, __VA_ARGS__)

/* Of two places one may be torn by a crash, and one never written. */
static void hcv_ins_check_places(struct hcv_ins_check *chk,
				 const struct hcv_ins_store *store,
				 const char *what, const int *err, bool blank_ok)
{
	int place;

	if (err[0] && err[1]) {
		if (blank_ok && err[0] == -ENODATA && err[1] == -ENODATA)
			return;
		HCV_INS_PROBLEM(chk, store,
				"%s: no valid place: place 0: %s; place 1: %s",
				what, hcv_dump_error(err[0]),
				hcv_dump_error(err[1]));
		return;
	}
	for (place = 0; place < 2; place++)
		if (err[place] && err[place] != -ENODATA)
			HCV_INS_NOTE(chk, store, "%s: place %d: %s", what,
				     place, hcv_dump_error(err[place]));
}

static void hcv_ins_check_super(struct hcv_ins_check *chk,
				const struct hcv_ins_store *store)
{
	const struct hcv_super *a = &store->copy[0], *b = &store->copy[1];
	int copy;

	for (copy = 0; copy < 2; copy++)
		if (store->copy_err[copy])
			HCV_INS_NOTE(chk, store, "superblock copy %d: %s", copy,
				     hcv_dump_error(store->copy_err[copy]));
	if (store->copy_err[0] || store->copy_err[1])
		return;
	if (a->seq != b->seq)
		HCV_INS_NOTE(chk, store,
			     "superblock copies have sequences %llu and %llu: an update was interrupted",
			     a->seq, b->seq);
	else if (memcmp(a, b, sizeof(*a)))
		HCV_INS_PROBLEM(chk, store,
				"superblock copies differ with one sequence %llu",
				a->seq);
	if (store->sb.ro_compat & ~HCV_F_RO_COMPAT_ALL)
		HCV_INS_NOTE(chk, store,
			     "features %#llx are unknown here: it may only be read",
			     store->sb.ro_compat & ~HCV_F_RO_COMPAT_ALL);
}

static int hcv_ins_ent_cmp(const void *pa, const void *pb)
{
	const struct hcv_entry *a = *(const struct hcv_entry *const *)pa;
	const struct hcv_entry *b = *(const struct hcv_entry *const *)pb;
	int cmp = memcmp(a->volume, b->volume, HCV_UUID_SIZE);

	return cmp ? cmp : (a->index > b->index) - (a->index < b->index);
}

/* No extent or area of a volume twice; used entries in @sorted. */
static u32 hcv_ins_check_twice(struct hcv_ins_check *chk,
			       const struct hcv_ins_store *store, u32 from,
			       u32 to, const struct hcv_entry **sorted)
{
	bool area = from >= store->sb.lay.nr_extents;
	u32 i, n = 0;

	for (i = from; i < to; i++)
		if (store->ent[i].state == HCV_ENTRY_USED)
			sorted[n++] = &store->ent[i];
	qsort(sorted, n, sizeof(*sorted), hcv_ins_ent_cmp);
	for (i = 0; i + 1 < n; i++)
		if (!memcmp(sorted[i]->volume, sorted[i + 1]->volume,
			    HCV_UUID_SIZE) &&
		    (area || sorted[i]->index == sorted[i + 1]->index))
			HCV_INS_PROBLEM(chk, store,
					"volume %s: %s %u is in the table twice",
					hcv_dump_uuid(sorted[i]->volume),
					area ? "area" : "extent",
					sorted[i]->index);
	return n;
}

static void hcv_ins_check_table(struct hcv_ins_check *chk,
				const struct hcv_ins_store *store)
{
	const struct hcv_entry **sorted = calloc(store->nr_ents, sizeof(*sorted));
	u32 i, n, nr_extents = store->sb.lay.nr_extents;
	char what[32];

	for (i = 0; i < store->sb.lay.table_pages; i++) {
		snprintf(what, sizeof(what), "table page %u", i);
		hcv_ins_check_places(chk, store, what, store->page[i].err,
				     false);
		if (store->page[i].differ)
			HCV_INS_PROBLEM(chk, store,
					"%s: places differ with one sequence %llu",
					what, store->page[i].seq[0]);
	}
	if (store->bad_entries)
		HCV_INS_PROBLEM(chk, store, "%u table entries are damaged",
				store->bad_entries);
	if (!sorted) {
		HCV_INS_PROBLEM(chk, store, "out of memory: not checked");
		return;
	}
	hcv_ins_check_twice(chk, store, nr_extents, store->nr_ents, sorted);
	n = hcv_ins_check_twice(chk, store, 0, nr_extents, sorted);
	for (i = 0; i < n; i++)
		if ((!i || memcmp(sorted[i]->volume, sorted[i - 1]->volume,
				  HCV_UUID_SIZE)) &&
		    hcv_ins_store_area(store, sorted[i]->volume) ==
		    HCV_INS_NONE)
			HCV_INS_PROBLEM(chk, store,
					"volume %s has extents but no volume area",
					hcv_dump_uuid(sorted[i]->volume));
	free(sorted);
}

static bool hcv_ins_gen_known(const struct hcv_ins_volpage *vp, u32 id)
{
	struct hcv_gen gen;
	u32 i;

	for (i = 0; !hcv_fmt_volpage_gen(vp->buf, i, &gen); i++)
		if (gen.id == id)
			return true;
	return false;
}

/* What identifies the content of a slot: two of them must not be equal. */
struct hcv_ins_key {
	u32 mib;
	u32 gen;
	u64 seq;
	u32 extent;
	u32 rec;
};

struct hcv_ins_keys {
	struct hcv_ins_key *key;
	size_t nr;
	size_t max;
};

static int hcv_ins_key_cmp(const void *pa, const void *pb)
{
	const struct hcv_ins_key *a = pa, *b = pb;

	if (a->mib != b->mib)
		return a->mib < b->mib ? -1 : 1;
	if (a->gen != b->gen)
		return a->gen < b->gen ? -1 : 1;
	return (a->seq > b->seq) - (a->seq < b->seq);
}

static bool hcv_ins_key_add(struct hcv_ins_keys *keys, const struct hcv_rec *rec,
			    u32 extent, u32 nr)
{
	size_t max = keys->max ? 2 * keys->max : 1024;
	struct hcv_ins_key *key;

	if (keys->nr == keys->max) {
		key = realloc(keys->key, max * sizeof(*key));
		if (!key)
			return false;
		keys->key = key;
		keys->max = max;
	}
	key = &keys->key[keys->nr++];
	key->mib = rec->mib;
	key->gen = rec->gen;
	key->seq = rec->seq;
	key->extent = extent;
	key->rec = nr;
	return true;
}

static void hcv_ins_check_keys(struct hcv_ins_check *chk,
			       const struct hcv_ins_store *store,
			       struct hcv_ins_keys *keys)
{
	size_t i;

	if (keys->nr)
		qsort(keys->key, keys->nr, sizeof(*keys->key), hcv_ins_key_cmp);
	for (i = 1; i < keys->nr; i++) {
		const struct hcv_ins_key *a = &keys->key[i - 1];
		const struct hcv_ins_key *b = &keys->key[i];

		if (a->mib != b->mib || a->gen != b->gen)
			continue;
		hcv_ins_report(chk, a->seq == b->seq, store->dev.path,
			       "mib %u of generation %u has two slots: extent %u record %u (seq %llu) and extent %u record %u (seq %llu)",
			       a->mib, a->gen, a->extent, a->rec, a->seq,
			       b->extent, b->rec, b->seq);
	}
}

static void hcv_ins_check_recs(struct hcv_ins_check *chk,
			       const struct hcv_ins_store *store,
			       const struct hcv_ins_volpage *vp,
			       const struct hcv_ins_page *pg, u32 extent,
			       u32 page, struct hcv_ins_keys *keys)
{
	u32 i, nr, known = 0;
	struct hcv_rec rec;
	int ret;

	for (i = 0; i < HCV_PAGE_RECORDS; i++) {
		nr = page * HCV_PAGE_RECORDS + i;
		ret = hcv_fmt_page_get(pg->img, page, i, &rec);
		if (ret)
			HCV_INS_PROBLEM(chk, store, "extent %u record %u: %s",
					extent, nr, hcv_dump_error(ret));
		if (ret || rec.state == HCV_REC_FREE)
			continue;
		if (!hcv_ins_key_add(keys, &rec, extent, nr))
			HCV_INS_PROBLEM(chk, store, "out of memory: extent %u record %u is not checked",
					extent, nr);
		if (rec.gen != known && !hcv_ins_gen_known(vp, rec.gen))
			HCV_INS_PROBLEM(chk, store,
					"extent %u record %u: generation %u is not in the volume page",
					extent, nr, rec.gen);
		known = rec.gen;
		if ((u64)rec.mib << HCV_SLOT_SHIFT >= vp->vp.size_bytes)
			HCV_INS_NOTE(chk, store,
				     "extent %u record %u: mib %u is beyond the volume's end",
				     extent, nr, rec.mib);
	}
}

static void hcv_ins_check_page(struct hcv_ins_check *chk,
			       const struct hcv_ins_store *store,
			       const struct hcv_ins_volpage *vp,
			       const struct hcv_entry *ent, u32 page,
			       struct hcv_ins_keys *keys)
{
	struct hcv_ins_page pg;
	char what[48];

	snprintf(what, sizeof(what), "extent %u page %u", ent->index, page);
	hcv_ins_page_pick(chk->meta, ent->volume, ent->index, page, &pg);
	hcv_ins_check_places(chk, store, what, pg.err, true);
	if (pg.place < 0)
		return;
	if (pg.differ)
		HCV_INS_PROBLEM(chk, store,
				"%s: places differ with one epoch and sequence",
				what);
	if (vp->place < 0) {
		HCV_INS_PROBLEM(chk, store,
				"%s was written, but no volume page was", what);
		return;
	}
	if (pg.lineage != vp->vp.lineage)
		HCV_INS_NOTE(chk, store, "%s is of another lineage", what);
	else if (pg.epoch[pg.place] > vp->vp.epoch)
		HCV_INS_PROBLEM(chk, store,
				"%s has epoch %llu, newer than the volume page's %llu",
				what, pg.epoch[pg.place], vp->vp.epoch);
	hcv_ins_check_recs(chk, store, vp, &pg, ent->index, page, keys);
}

/* One volume on one store. */
static void hcv_ins_check_volume(struct hcv_ins_check *chk,
				 const struct hcv_ins_store *store,
				 const u8 *uuid)
{
	u32 area = hcv_ins_store_area(store, uuid), i, page;
	struct hcv_ins_volpage vp = { .place = -1 };
	struct hcv_ins_keys keys = { 0 };
	char what[64];
	int ret;

	if (area != HCV_INS_NONE) {
		hcv_ins_volpage_read(store, area, uuid, &vp);
		snprintf(what, sizeof(what), "volume %s: volume page",
			 hcv_dump_uuid(uuid));
		hcv_ins_check_places(chk, store, what, vp.err, true);
	}
	for (i = 0; i < store->sb.lay.nr_extents; i++) {
		const struct hcv_entry *ent = &store->ent[i];

		if (ent->state != HCV_ENTRY_USED ||
		    memcmp(ent->volume, uuid, HCV_UUID_SIZE))
			continue;
		ret = hcv_ins_meta_read(store, i, chk->meta);
		if (ret) {
			HCV_INS_PROBLEM(chk, store,
					"extent %u: cannot read its metadata: %s",
					ent->index, strerror(-ret));
			continue;
		}
		for (page = 0; page < HCV_EXTENT_PAGES; page++)
			hcv_ins_check_page(chk, store, &vp, ent, page, &keys);
	}
	hcv_ins_check_keys(chk, store, &keys);
	free(keys.key);
	hcv_ins_volpage_free(&vp);
}

/* Data blocks of slot @slot in two copies whose records are equal. */
static void hcv_ins_compare_data(struct hcv_ins_check *chk,
				 const struct hcv_ins_vol *vol, u32 ext,
				 u32 nr, const struct hcv_rec *rec,
				 const u32 copy[2])
{
	struct hcv_ins_slot slot = { .ext = ext, .rec = nr };
	u32 i, block, bad = 0, first = 0;

	if (!hcv_dump_rec_count(rec, 1))
		return;
	for (i = 0; i < 2; i++) {
		slot.copies = 1ULL << copy[i];
		if (hcv_ins_vol_read(vol, &slot, 0, HCV_SLOT_BLOCKS,
				     chk->data[i])) {
			HCV_INS_PROBLEM(chk, vol->copy[copy[i]].store,
					"extent %u record %u: data cannot be read",
					vol->ext[ext], nr);
			return;
		}
	}
	for (block = 0; block < HCV_SLOT_BLOCKS; block++) {
		u32 off = block << HCV_BLOCK_SHIFT;

		if (!(rec->lo[block / 64] >> (block % 64) & 1) ||
		    rec->hi[block / 64] >> (block % 64) & 1 ||
		    !memcmp(chk->data[0] + off, chk->data[1] + off,
			    HCV_BLOCK_SIZE))
			continue;
		if (!bad++)
			first = block;
	}
	if (bad)
		HCV_INS_PROBLEM(chk, vol->copy[copy[1]].store,
				"mib %u of generation %u: the data of %u blocks differ from %s, the first is block %u (extent %u record %u)",
				rec->mib, rec->gen, bad,
				vol->copy[copy[0]].store->dev.path, first,
				vol->ext[ext], nr);
}

/*
 * Are two records equal but for blocks that are elsewhere in one of them?  A temporary
 * replica's are.
 * @both: what both say; elsewhere what one of them does not
 */
static bool hcv_ins_same_rec(const struct hcv_rec *a, const struct hcv_rec *b,
			     struct hcv_rec *both)
{
	u64 not;
	u32 i;

	*both = *a;
	if (a->state != b->state || a->mib != b->mib || a->gen != b->gen ||
	    a->seq != b->seq || a->stamp != b->stamp)
		return false;
	for (i = 0; i < 4; i++) {
		not = (a->lo[i] & a->hi[i]) | (b->lo[i] & b->hi[i]);
		if (((a->lo[i] ^ b->lo[i]) | (a->hi[i] ^ b->hi[i])) & ~not)
			return false;
		both->lo[i] |= not;
		both->hi[i] |= not;
	}
	return true;
}

static void hcv_ins_compare_page(struct hcv_ins_check *chk,
				 const struct hcv_ins_vol *vol, u32 ext,
				 u32 page, const struct hcv_ins_page *a,
				 const struct hcv_ins_page *b,
				 const u32 copy[2])
{
	const struct hcv_ins_store *store = vol->copy[copy[1]].store;
	const char *other = vol->copy[copy[0]].store->dev.path;
	struct hcv_rec ra, rb, both;
	u32 i, diff = 0;

	if (a->blank && b->blank)
		return;
	if (a->place < 0 || b->place < 0) {
		if (a->blank || b->blank)
			HCV_INS_PROBLEM(chk, store,
					"extent %u page %u was written here or on %s, but not on both",
					vol->ext[ext], page, other);
		return;
	}
	if (a->epoch[a->place] != b->epoch[b->place] ||
	    a->seq[a->place] != b->seq[b->place])
		HCV_INS_NOTE(chk, store,
			     "extent %u page %u has order (%llu, %llu), on %s it is (%llu, %llu)",
			     vol->ext[ext], page, b->epoch[b->place],
			     b->seq[b->place], other, a->epoch[a->place],
			     a->seq[a->place]);
	for (i = 0; i < HCV_PAGE_RECORDS; i++) {
		if (hcv_fmt_page_get(a->img, page, i, &ra) ||
		    hcv_fmt_page_get(b->img, page, i, &rb))
			continue;
		if (!hcv_ins_same_rec(&ra, &rb, &both))
			diff++;
		else if (chk->with_data && ra.state == HCV_REC_USED)
			hcv_ins_compare_data(chk, vol, ext,
					     page * HCV_PAGE_RECORDS + i, &both,
					     copy);
	}
	if (diff)
		HCV_INS_PROBLEM(chk, store,
				"extent %u page %u: %u records differ from %s",
				vol->ext[ext], page, diff, other);
}

static void hcv_ins_compare_extent(struct hcv_ins_check *chk,
				   const struct hcv_ins_vol *vol, u32 ext,
				   const u32 copy[2])
{
	struct hcv_ins_page pg[2];
	u32 page, i;
	int ret;

	for (i = 0; i < 2; i++) {
		ret = hcv_ins_meta_read(vol->copy[copy[i]].store,
					vol->copy[copy[i]].phys[ext],
					chk->meta + i * HCV_EXTENT_META_SIZE);
		if (ret)
			return;		/* was reported with its store */
	}
	for (page = 0; page < HCV_EXTENT_PAGES; page++) {
		for (i = 0; i < 2; i++)
			hcv_ins_page_pick(chk->meta + i * HCV_EXTENT_META_SIZE,
					  vol->uuid, vol->ext[ext], page,
					  &pg[i]);
		hcv_ins_compare_page(chk, vol, ext, page, &pg[0], &pg[1], copy);
	}
}

/* Is the copy as new as the one whose volume page counts? */
static bool hcv_ins_compare_copy(struct hcv_ins_check *chk,
				 const struct hcv_ins_vol *vol, u32 nr)
{
	const struct hcv_ins_copy *copy = &vol->copy[nr];
	const struct hcv_volpage *vp = &copy->vp.vp, *top = &vol->main->vp.vp;

	if (!copy->used)
		return false;
	if (vp->epoch == top->epoch && vp->v == top->v)
		return true;
	HCV_INS_NOTE(chk, copy->store,
		     "volume %s: stale: (epoch, v) is (%llu, %llu), on %s it is (%llu, %llu)",
		     hcv_dump_uuid(vol->uuid), vp->epoch, vp->v,
		     vol->main->store->dev.path, top->epoch, top->v);
	return false;
}

static void hcv_ins_compare_volume(struct hcv_ins_check *chk,
				   struct hcv_ins_store *stores, u32 nr,
				   const u8 *uuid)
{
	struct hcv_ins_vol *vol = calloc(1, sizeof(*vol));
	bool fresh[HCV_INS_STORES_MAX];
	u32 ext, c, copy[2];

	if (!vol) {
		hcv_ins_report(chk, true, stores[0].dev.path,
			       "out of memory: volume %s is not compared",
			       hcv_dump_uuid(uuid));
		return;
	}
	/* What is wrong with a single store was said before. */
	vol->quiet = true;
	if (hcv_ins_vol_open(vol, stores, nr, uuid)) {
		hcv_ins_report(chk, false, stores[0].dev.path,
			       "volume %s has no valid volume page on any store: not compared",
			       hcv_dump_uuid(uuid));
		goto out_close;
	}
	if (chk->pair) {
		if (hcv_ins_pair_open(vol, &stores[0], &stores[1]) ||
		    hcv_ins_vol_load(vol, 0))
			hcv_ins_report(chk, true, stores[1].dev.path,
				       "volume %s: does not complete %s",
				       hcv_dump_uuid(uuid), stores[0].dev.path);
		goto out_close;
	}
	for (c = 0; c < vol->nr_copies; c++)
		fresh[c] = hcv_ins_compare_copy(chk, vol, c);
	for (ext = 0; ext < vol->nr_exts; ext++) {
		copy[0] = HCV_INS_NONE;
		for (c = 0; c < vol->nr_copies; c++) {
			if (!fresh[c] ||
			    vol->copy[c].phys[ext] == HCV_INS_NONE)
				continue;
			copy[1] = c;
			if (copy[0] != HCV_INS_NONE)
				hcv_ins_compare_extent(chk, vol, ext, copy);
			else
				copy[0] = c;
		}
	}
out_close:
	hcv_ins_vol_close(vol);
	free(vol);
}

/* All volumes of all stores, each once.  Return: how many. */
static u32 hcv_ins_check_volumes(struct hcv_ins_check *chk,
				 struct hcv_ins_store *stores, u32 nr)
{
	const struct hcv_entry **sorted;
	size_t total = 0, n = 0, i;
	u32 s, k, volumes = 0;

	for (s = 0; s < nr; s++)
		total += stores[s].nr_ents;
	sorted = calloc(total, sizeof(*sorted));
	if (!sorted) {
		hcv_ins_report(chk, true, stores[0].dev.path,
			       "out of memory: volumes are not checked");
		return 0;
	}
	for (s = 0; s < nr; s++)
		for (k = 0; k < stores[s].nr_ents; k++)
			if (stores[s].ent[k].state == HCV_ENTRY_USED)
				sorted[n++] = &stores[s].ent[k];
	qsort(sorted, n, sizeof(*sorted), hcv_ins_ent_cmp);
	for (i = 0; i < n; i++) {
		if (i && !memcmp(sorted[i]->volume, sorted[i - 1]->volume,
				 HCV_UUID_SIZE))
			continue;
		volumes++;
		for (s = 0; s < nr; s++)
			hcv_ins_check_volume(chk, &stores[s],
					     sorted[i]->volume);
		if (nr > 1)
			hcv_ins_compare_volume(chk, stores, nr,
					       sorted[i]->volume);
	}
	free(sorted);
	return volumes;
}

static int hcv_ins_check_run(struct hcv_ins_check *chk,
			     struct hcv_ins_store *stores,
			     const struct hcv_ins_args *args)
{
	u32 opened = hcv_ins_stores_open(stores, args), i, n = 0, volumes = 0;
	struct json_object *obj = NULL;
	bool good = true;

	if (args->json) {
		obj = hcv_ins_json("check");
		chk->problems = hcv_ins_json_array(obj, "problems");
		chk->notes = hcv_ins_json_array(obj, "notes");
	}
	/* Those that could not be opened are out, and are a problem. */
	for (i = 0; i < args->nr_devs; i++) {
		if (stores[i].dev.fd < 0)
			hcv_ins_report(chk, true, args->dev[i],
				       "is not checked: no store that can be opened");
		else if (i != n)
			stores[n++] = stores[i];
		else
			n++;
	}
	for (i = 0; i < opened; i++) {
		hcv_ins_check_super(chk, &stores[i]);
		hcv_ins_check_table(chk, &stores[i]);
	}
	if (opened)
		volumes = hcv_ins_check_volumes(chk, stores, opened);
	if (obj) {
		hcv_ins_json_u64(obj, "stores", opened);
		hcv_ins_json_u64(obj, "volumes", volumes);
		good = hcv_ins_json_out(obj);
	} else {
		printf("%u stores, %u volumes: %u problems, %u notes\n", opened,
		       volumes, chk->nr_problems, chk->nr_notes);
		good = !fflush(stdout) && !ferror(stdout);
	}
	for (i = 0; i < opened; i++)
		hcv_ins_store_close(&stores[i]);
	return good && !chk->nr_problems ? HCV_INS_OK : HCV_INS_FAILED;
}

int hcv_ins_cmd_check(struct hcv_ins_args *args)
{
	struct hcv_ins_store *stores = calloc(args->nr_devs, sizeof(*stores));
	struct hcv_ins_check chk = { .with_data = args->data,
				     .pair = args->pair };
	int ret = HCV_INS_FAILED;

	chk.meta = hcv_dev_alloc(2 * HCV_EXTENT_META_SIZE);
	chk.data[0] = hcv_dev_alloc(HCV_SLOT_SIZE);
	chk.data[1] = hcv_dev_alloc(HCV_SLOT_SIZE);
	if (stores && chk.meta && chk.data[0] && chk.data[1])
		ret = hcv_ins_check_run(&chk, stores, args);
	else
		hcv_ins_error("out of memory");
	free(chk.data[0]);
	free(chk.data[1]);
	free(chk.meta);
	free(stores);
	return ret;
}
