// SPDX-License-Identifier: GPL-2.0-only
/*
 * A volume put together from what several stores hold of it.
 */
#include "pair.h"

#include <stdlib.h>

/* Does @a come before @b? */
static bool hcv_ins_vp_newer(const struct hcv_volpage *a,
			     const struct hcv_volpage *b)
{
	if (a->epoch != b->epoch)
		return a->epoch > b->epoch;
	if (a->v != b->v)
		return a->v > b->v;
	return a->seq > b->seq;
}

/* Has @a missed a change of owner or replicas that @b knows of? */
bool hcv_ins_copy_behind(const struct hcv_ins_copy *a,
			 const struct hcv_ins_copy *b)
{
	const struct hcv_volpage *va = &a->vp.vp, *vb = &b->vp.vp;

	return va->epoch != vb->epoch ? va->epoch < vb->epoch : va->v < vb->v;
}

static int hcv_ins_copy_cmp(const void *pa, const void *pb)
{
	const struct hcv_ins_copy *a = pa, *b = pb;

	if (a->vp.place < 0 || b->vp.place < 0)
		return (a->vp.place < 0) - (b->vp.place < 0);
	return hcv_ins_vp_newer(&b->vp.vp, &a->vp.vp) -
		hcv_ins_vp_newer(&a->vp.vp, &b->vp.vp);
}

static int hcv_ins_u32_cmp(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return (x > y) - (x < y);
}

static bool hcv_ins_ent_of(const struct hcv_entry *ent, const u8 *uuid)
{
	return ent->state == HCV_ENTRY_USED &&
		!memcmp(ent->volume, uuid, HCV_UUID_SIZE);
}

#define hcv_ins_vol_say(vol, ...) do {		\
	if (!(vol)->quiet)			\
		hcv_ins_error(__VA_ARGS__);	\
} while (0)

static void hcv_ins_vol_add(struct hcv_ins_vol *vol, struct hcv_ins_store *store)
{
	struct hcv_ins_copy *copy = &vol->copy[vol->nr_copies];
	u32 area = hcv_ins_store_area(store, vol->uuid), i, n = 0;

	for (i = 0; i < store->sb.lay.nr_extents; i++)
		n += hcv_ins_ent_of(&store->ent[i], vol->uuid);
	if (area == HCV_INS_NONE && !n)
		return;
	vol->nr_copies++;
	copy->store = store;
	copy->vp.place = -1;
	if (area == HCV_INS_NONE) {
		hcv_ins_vol_say(vol, "%s: has %u extents of the volume but no volume area: left out",
			      store->dev.path, n);
		return;
	}
	if (hcv_ins_volpage_read(store, area, vol->uuid, &copy->vp))
		hcv_ins_vol_say(vol, "%s: no valid volume page (place 0: %s; place 1: %s): left out",
			      store->dev.path, hcv_dump_error(copy->vp.err[0]),
			      hcv_dump_error(copy->vp.err[1]));
}

/* Which copies take part: those of the lineage of the first in order. */
static int hcv_ins_vol_choose(struct hcv_ins_vol *vol)
{
	u32 i;

	qsort(vol->copy, vol->nr_copies, sizeof(vol->copy[0]),
	      hcv_ins_copy_cmp);
	if (!vol->nr_copies || vol->copy[0].vp.place < 0) {
		hcv_ins_vol_say(vol, "no valid volume page of volume %s on these stores: name others, see hcivol-inspect volumes",
			      hcv_dump_uuid(vol->uuid));
		return -ENOENT;
	}
	vol->main = &vol->copy[0];
	for (i = 0; i < vol->nr_copies; i++) {
		struct hcv_ins_copy *copy = &vol->copy[i];

		if (copy->vp.place < 0)
			continue;
		copy->used = copy->vp.vp.lineage == vol->main->vp.vp.lineage;
		if (!copy->used)
			hcv_ins_vol_say(vol, "%s: is of another lineage than %s: left out",
				      copy->store->dev.path,
				      vol->main->store->dev.path);
		else if (hcv_ins_copy_behind(copy, vol->main))
			hcv_ins_vol_say(vol, "note: %s: is behind %s: used only for pages that are no older there",
				      copy->store->dev.path,
				      vol->main->store->dev.path);
	}
	return 0;
}

/* The union of the extents of all copies, and where each copy has them. */
static int hcv_ins_vol_extents(struct hcv_ins_vol *vol)
{
	struct hcv_ins_copy *copy;
	size_t max = 0;
	u32 i, k, *at;

	for (i = 0; i < vol->nr_copies; i++)
		max += vol->copy[i].store->sb.lay.nr_extents;
	vol->ext = calloc(max, sizeof(*vol->ext));
	if (!vol->ext)
		return -ENOMEM;
	for (copy = vol->copy; copy < vol->copy + vol->nr_copies; copy++)
		for (k = 0; k < copy->store->sb.lay.nr_extents; k++)
			if (copy->used &&
			    hcv_ins_ent_of(&copy->store->ent[k], vol->uuid))
				vol->ext[vol->nr_exts++] =
					copy->store->ent[k].index;
	qsort(vol->ext, vol->nr_exts, sizeof(*vol->ext), hcv_ins_u32_cmp);
	for (i = 0, k = 0; i < vol->nr_exts; i++)
		if (!k || vol->ext[k - 1] != vol->ext[i])
			vol->ext[k++] = vol->ext[i];
	vol->nr_exts = k;
	for (copy = vol->copy; copy < vol->copy + vol->nr_copies; copy++) {
		copy->phys = malloc((vol->nr_exts + 1) * sizeof(u32));
		if (!copy->phys)
			return -ENOMEM;
		memset(copy->phys, 0xff, (vol->nr_exts + 1) * sizeof(u32));
		for (k = 0; k < copy->store->sb.lay.nr_extents; k++) {
			if (!copy->used ||
			    !hcv_ins_ent_of(&copy->store->ent[k], vol->uuid))
				continue;
			at = bsearch(&copy->store->ent[k].index, vol->ext,
				     vol->nr_exts, sizeof(u32),
				     hcv_ins_u32_cmp);
			copy->phys[at - vol->ext] = k;
		}
	}
	return 0;
}

/* An extent may have been given back, or lie on a store that is not here. */
static void hcv_ins_vol_gaps(const struct hcv_ins_vol *vol)
{
	u32 i, missing = 0;

	if (vol->nr_exts)
		missing = vol->ext[vol->nr_exts - 1] + 1 - vol->nr_exts;
	if (!missing)
		return;
	for (i = 0; i < vol->nr_exts && vol->ext[i] == i; i++)
		;
	hcv_ins_vol_say(vol, "note: %u extents of the volume (the first is %u) are not on these stores; if they exist, name their stores too",
		      missing, i);
}

int hcv_ins_vol_open(struct hcv_ins_vol *vol, struct hcv_ins_store *stores,
		     u32 nr, const u8 *uuid)
{
	u32 i;
	int ret;

	memcpy(vol->uuid, uuid, HCV_UUID_SIZE);
	for (i = 0; i < nr; i++)
		hcv_ins_vol_add(vol, &stores[i]);
	ret = hcv_ins_vol_choose(vol);
	if (!ret)
		ret = hcv_ins_vol_extents(vol);
	if (!ret)
		hcv_ins_vol_gaps(vol);
	if (ret == -ENOMEM)
		hcv_ins_error("out of memory");
	return ret;
}

/* Generations from @generation to the root. */
static int hcv_ins_vol_chain(struct hcv_ins_vol *vol, u32 generation)
{
	const struct hcv_ins_volpage *vp = &vol->main->vp;
	u32 want = generation ? generation : vp->vp.cur_gen, i;
	struct hcv_gen gen;

	vol->chain = calloc(vp->vp.nr_gens, sizeof(u32));
	if (!vol->chain)
		return -ENOMEM;
	/* Parents stand in front of their children. */
	for (i = vp->vp.nr_gens; i-- && want;) {
		hcv_fmt_volpage_gen(vp->buf, i, &gen);
		if (gen.id != want)
			continue;
		vol->chain[vol->nr_chain++] = want;
		want = gen.parent;
	}
	if (vol->nr_chain)
		return 0;
	hcv_ins_error("volume %s has no generation %u: see hcivol-inspect volumes",
		      hcv_dump_uuid(vol->uuid), generation);
	return -ENOENT;
}

static bool hcv_ins_vol_knows(const struct hcv_ins_vol *vol, u32 id)
{
	struct hcv_gen gen;
	u32 i;

	for (i = 0; !hcv_fmt_volpage_gen(vol->main->vp.buf, i, &gen); i++)
		if (gen.id == id)
			return true;
	return false;
}

static struct hcv_ins_slot *hcv_ins_slot_new(struct hcv_ins_vol *vol)
{
	size_t max = vol->max_slots ? 2 * vol->max_slots : 4096;
	struct hcv_ins_slot *slot;

	if (vol->nr_slots == vol->max_slots) {
		slot = realloc(vol->slot, max * sizeof(*slot));
		if (!slot)
			return NULL;
		vol->slot = slot;
		vol->max_slots = max;
	}
	slot = &vol->slot[vol->nr_slots++];
	memset(slot, 0, sizeof(*slot));
	return slot;
}

static int hcv_ins_slot_cmp(const void *pa, const void *pb)
{
	const struct hcv_ins_slot *a = pa, *b = pb;

	if (a->mib != b->mib)
		return a->mib < b->mib ? -1 : 1;
	if (a->depth != b->depth)
		return a->depth < b->depth ? -1 : 1;
	if (a->seq != b->seq)
		return a->seq > b->seq ? -1 : 1;
	return (a->prio > b->prio) - (a->prio < b->prio);
}

static bool hcv_ins_rec_elsewhere(const struct hcv_rec *rec)
{
	return hcv_dump_rec_count(rec, 3);
}

int hcv_ins_slot_add(struct hcv_ins_vol *vol, const struct hcv_rec *rec,
		     u32 ext, u32 nr, u32 prio, u64 copies)
{
	struct hcv_ins_slot *slot;
	u32 depth;

	for (depth = 0; depth < vol->nr_chain; depth++)
		if (vol->chain[depth] == rec->gen)
			break;
	if (depth == vol->nr_chain) {
		vol->unknown += !hcv_ins_vol_knows(vol, rec->gen);
		return 0;
	}
	slot = hcv_ins_slot_new(vol);
	if (!slot)
		return -ENOMEM;
	slot->mib = rec->mib;
	slot->depth = depth;
	slot->seq = rec->seq;
	slot->prio = prio;
	slot->ext = ext;
	slot->rec = nr;
	slot->copies = copies;
	memcpy(slot->lo, rec->lo, sizeof(slot->lo));
	memcpy(slot->hi, rec->hi, sizeof(slot->hi));
	return 0;
}

/* Is page @a newer than @b? */
static bool hcv_ins_page_newer(const struct hcv_ins_page *a,
			       const struct hcv_ins_page *b)
{
	return hcv_fmt_page_newer(a->epoch[a->place], a->seq[a->place],
				  b->epoch[b->place], b->seq[b->place]);
}

/*
 * What copies other than @best say of a record that has blocks elsewhere: the
 * newest first, and only those that were written last at the same v.
 */
static int hcv_ins_slot_others(struct hcv_ins_vol *vol,
			       const struct hcv_ins_page *pg, u32 best, u32 ext,
			       u32 page, u32 i, const struct hcv_rec *rec)
{
	struct hcv_rec other;
	u32 c, k, prio;
	int ret = 0;

	for (c = 0; !ret && c < vol->nr_copies; c++) {
		if (c == best || pg[c].place < 0 ||
		    hcv_fmt_page_get(pg[c].img, page, i, &other) ||
		    other.state == HCV_REC_FREE || other.mib != rec->mib ||
		    other.gen != rec->gen || other.seq != rec->seq ||
		    other.stamp != rec->stamp)
			continue;
		for (k = 0, prio = 1; k < vol->nr_copies; k++)
			prio += pg[k].place >= 0 &&
				hcv_ins_page_newer(&pg[k], &pg[c]);
		ret = hcv_ins_slot_add(vol, &other, ext,
				       page * HCV_PAGE_RECORDS + i, prio,
				       1ULL << c);
	}
	return ret;
}

static int hcv_ins_page_load(struct hcv_ins_vol *vol,
			     const struct hcv_ins_page *pg, u32 best, u32 ext,
			     u32 page)
{
	struct hcv_rec rec, other;
	u64 copies;
	u32 i, c;
	int ret;

	for (i = 0; i < HCV_PAGE_RECORDS; i++) {
		ret = hcv_fmt_page_get(pg[best].img, page, i, &rec);
		if (ret) {
			hcv_ins_error("%s: extent %u record %u: %s",
				      vol->copy[best].store->dev.path,
				      vol->ext[ext],
				      page * HCV_PAGE_RECORDS + i,
				      hcv_dump_error(ret));
			return ret;
		}
		if (rec.state == HCV_REC_FREE)
			continue;
		copies = 1ULL << best;
		for (c = 0; c < vol->nr_copies; c++)
			if (pg[c].place >= 0 &&
			    !hcv_ins_page_newer(&pg[best], &pg[c]) &&
			    !hcv_fmt_page_get(pg[c].img, page, i, &other) &&
			    !memcmp(&rec, &other, sizeof(rec)))
				copies |= 1ULL << c;
		ret = hcv_ins_slot_add(vol, &rec, ext,
				       page * HCV_PAGE_RECORDS + i, 0, copies);
		if (!ret && hcv_ins_rec_elsewhere(&rec))
			ret = hcv_ins_slot_others(vol, pg, best, ext, page, i,
						  &rec);
		if (ret)
			return ret;
	}
	return 0;
}

/* The copy with the newest valid page; copies are in order of preference. */
static u32 hcv_ins_page_best(const struct hcv_ins_vol *vol,
			     const struct hcv_ins_page *pg)
{
	u32 c, best = HCV_INS_NONE;

	for (c = 0; c < vol->nr_copies; c++) {
		if (pg[c].place < 0)
			continue;
		if (best == HCV_INS_NONE ||
		    hcv_ins_page_newer(&pg[c], &pg[best]))
			best = c;
	}
	return best;
}

/*
 * A damaged page of a store that is not behind may have been the newest: an
 * older one of a store that is behind must not be taken for it.
 */
static bool hcv_ins_page_stale(const struct hcv_ins_vol *vol, u32 best,
			       u64 lost)
{
	u32 c;

	for (c = 0; c < vol->nr_copies; c++)
		if (lost >> c & 1 &&
		    hcv_ins_copy_behind(&vol->copy[best], &vol->copy[c]))
			return true;
	return false;
}

/* @lost: copies whose metadata of this extent cannot be read. */
static int hcv_ins_extent_page(struct hcv_ins_vol *vol, u8 *meta, u32 ext,
			       u32 page, u64 lost)
{
	struct hcv_ins_page pg[HCV_INS_STORES_MAX];
	const struct hcv_ins_copy *copy;
	u32 c, best, blank = HCV_INS_NONE;

	for (c = 0; c < vol->nr_copies; c++) {
		copy = &vol->copy[c];
		pg[c].place = -1;
		pg[c].blank = false;
		if (copy->phys[ext] == HCV_INS_NONE || lost >> c & 1)
			continue;
		hcv_ins_page_pick(meta + (size_t)c * HCV_EXTENT_META_SIZE,
				  vol->uuid, vol->ext[ext], page, &pg[c]);
		if (pg[c].blank && blank == HCV_INS_NONE)
			blank = c;
		if (pg[c].place >= 0 || pg[c].blank)
			continue;
		lost |= 1ULL << c;
		hcv_ins_error("%s: extent %u page %u: place 0: %s; place 1: %s",
			      copy->store->dev.path, vol->ext[ext], page,
			      hcv_dump_error(pg[c].err[0]),
			      hcv_dump_error(pg[c].err[1]));
	}
	if (vol->pair)
		return hcv_ins_pair_page(vol, pg, ext, page);
	best = hcv_ins_page_best(vol, pg);
	if (best != HCV_INS_NONE && !hcv_ins_page_stale(vol, best, lost))
		return hcv_ins_page_load(vol, pg, best, ext, page);
	if (best == HCV_INS_NONE && blank != HCV_INS_NONE &&
	    !hcv_ins_page_stale(vol, blank, lost))
		return 0;
	hcv_ins_error("extent %u page %u is valid on none of these stores that are up to date: name others that hold it",
		      vol->ext[ext], page);
	return -EUCLEAN;
}

static int hcv_ins_extent_load(struct hcv_ins_vol *vol, u8 *meta, u32 ext)
{
	u64 lost = 0;
	u32 c, page;
	int ret;

	for (c = 0; c < vol->nr_copies; c++) {
		struct hcv_ins_copy *copy = &vol->copy[c];

		if (copy->phys[ext] == HCV_INS_NONE)
			continue;
		ret = hcv_ins_meta_read(copy->store, copy->phys[ext], meta +
					(size_t)c * HCV_EXTENT_META_SIZE);
		if (!ret)
			continue;
		lost |= 1ULL << c;
		hcv_ins_error("%s: cannot read the metadata of extent %u: %s",
			      copy->store->dev.path, vol->ext[ext],
			      strerror(-ret));
	}
	for (page = 0, ret = 0; !ret && page < HCV_EXTENT_PAGES; page++)
		ret = hcv_ins_extent_page(vol, meta, ext, page, lost);
	return ret;
}

int hcv_ins_vol_load(struct hcv_ins_vol *vol, u32 generation)
{
	u8 *meta = hcv_dev_alloc((size_t)vol->nr_copies * HCV_EXTENT_META_SIZE);
	u32 ext;
	int ret;

	ret = meta ? hcv_ins_vol_chain(vol, generation) : -ENOMEM;
	for (ext = 0; !ret && ext < vol->nr_exts; ext++)
		ret = hcv_ins_extent_load(vol, meta, ext);
	free(meta);
	if (ret == -ENOMEM)
		hcv_ins_error("out of memory");
	if (ret)
		return ret;
	if (vol->unknown)
		hcv_ins_error("note: %u records are of generations that the volume page does not know, and are left out",
			      vol->unknown);
	if (vol->nr_slots)
		qsort(vol->slot, vol->nr_slots, sizeof(*vol->slot),
		      hcv_ins_slot_cmp);
	return 0;
}

/* 0 absent, 1 data, 2 zero, 3 elsewhere. */
static u32 hcv_ins_slot_state(const struct hcv_ins_slot *slot, u32 block)
{
	return (slot->lo[block / 64] >> (block % 64) & 1) |
		(slot->hi[block / 64] >> (block % 64) & 1) << 1;
}

/* The first slot of @mib, or the end of all slots. */
static const struct hcv_ins_slot *hcv_ins_slot_first(const struct hcv_ins_vol *v,
						     u32 mib)
{
	size_t lo = 0, hi = v->nr_slots, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (v->slot[mid].mib < mib)
			lo = mid + 1;
		else
			hi = mid;
	}
	return v->slot + lo;
}

bool hcv_ins_vol_empty(const struct hcv_ins_vol *vol, u32 mib)
{
	const struct hcv_ins_slot *slot = hcv_ins_slot_first(vol, mib);

	return slot == vol->slot + vol->nr_slots || slot->mib != mib;
}

int hcv_ins_vol_find(const struct hcv_ins_vol *vol, u32 mib, u32 block,
		     const struct hcv_ins_slot **slot)
{
	const struct hcv_ins_slot *end = vol->slot + vol->nr_slots, *s, *top;
	bool elsewhere;
	u32 state;

	*slot = NULL;
	s = hcv_ins_slot_first(vol, mib);
	while (s < end && s->mib == mib) {
		/* Of one layer only the slot with the highest seq counts. */
		top = s;
		elsewhere = false;
		for (; s < end && s->mib == mib && s->depth == top->depth;
		     s++) {
			state = hcv_ins_slot_state(s, block);
			if (s->seq != top->seq || (s != top && !elsewhere))
				continue;
			if (state == 1)
				*slot = s;
			if (state == 1 || state == 2)
				return 0;
			elsewhere |= state == 3;
		}
		if (elsewhere)
			return -EREMOTE;
	}
	return 0;
}

int hcv_ins_vol_read(const struct hcv_ins_vol *vol,
		     const struct hcv_ins_slot *slot, u32 block, u32 nr,
		     void *buf)
{
	const struct hcv_ins_copy *copy;
	u64 off;
	u32 c;
	int ret = -EIO;

	for (c = 0; c < vol->nr_copies; c++) {
		copy = &vol->copy[c];
		if (!(slot->copies >> c & 1) ||
		    copy->phys[slot->ext] == HCV_INS_NONE)
			continue;
		off = copy->store->sb.lay.data_off +
			((u64)copy->phys[slot->ext] << HCV_EXTENT_SHIFT) +
			((u64)slot->rec << HCV_SLOT_SHIFT) +
			((u64)block << HCV_BLOCK_SHIFT);
		ret = hcv_dev_read(&copy->store->dev, off, buf,
				   (size_t)nr << HCV_BLOCK_SHIFT);
		if (!ret)
			return 0;
		hcv_ins_error("%s: cannot read %u blocks at byte %llu: %s",
			      copy->store->dev.path, nr, off, strerror(-ret));
	}
	return ret;
}

void hcv_ins_vol_close(struct hcv_ins_vol *vol)
{
	u32 i;

	for (i = 0; i < vol->nr_copies; i++) {
		hcv_ins_volpage_free(&vol->copy[i].vp);
		free(vol->copy[i].phys);
	}
	free(vol->chain);
	free(vol->ext);
	free(vol->slot);
	free(vol->named);
}
