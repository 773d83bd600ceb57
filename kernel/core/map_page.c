// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metadata pages: loaded into a volume's map, and copied out of it.
 */
#include "map.h"
#include "map_priv.h"
#include "sparse.h"

/* So many slots nobody takes; the next one must not be 0 again. */
#define HCV_SEQ_MAX	BIT_ULL(63)

/* Whether an older record of the same (mib, gen) is in the map already. */
static struct hcv_slot *map_same(struct hcv_mibent *ent, u32 gen)
{
	struct hcv_slot *slot = rcu_dereference_protected(ent->slot, true);

	while (slot && slot->gen != gen)
		slot = rcu_dereference_protected(slot->older, true);
	return slot;
}

static int map_load_bits(struct hcv_map *map, struct hcv_slot *slot,
			 const struct hcv_rec *rec)
{
	struct hcv_bm *bm;
	u32 i;

	if (slot->rec < HCV_EXTENT_SLOTS &&
	    !(~rec->lo[0] | ~rec->lo[1] | ~rec->lo[2] | ~rec->lo[3]) &&
	    !(rec->hi[0] | rec->hi[1] | rec->hi[2] | rec->hi[3]))
		return 0;
	bm = hcv_map_bm_alloc(map, GFP_KERNEL);
	if (!bm)
		return -ENOMEM;
	for (i = 0; i < HCV_SLOT_BLOCKS; i++) {
		bool lo = rec->lo[i / 64] >> (i % 64) & 1;
		bool hi = rec->hi[i / 64] >> (i % 64) & 1;

		/* Elsewhere: this copy is incomplete, and not to be read. */
		if (lo && hi) {
			hcv_map_account(map, -(long)sizeof(*bm));
			kfree(bm);
			return -EUCLEAN;
		}
		if (lo)
			__set_bit(i, bm->data);
		else if (hi)
			__set_bit(i, bm->zero);
	}
	RCU_INIT_POINTER(slot->bm, bm);
	return 0;
}

/* Taken again only when it is off the media, like any that is freed. */
static void map_load_drop(struct hcv_map *map, struct hcv_mibent *ent,
			  struct hcv_slot *slot)
{
	if (ent)
		hcv_map_layer_del(ent, slot);
	hcv_map_drop_bm(map, slot);
	slot->flags = HCV_SLOT_FREEING;
	slot->next = map->freeing;
	map->freeing = slot;
	map->nr_dropped++;
	hcv_map_dirty(map, slot);
}

/* What no owner writes: these pages are not to be trusted. */
static bool map_load_bad(struct hcv_map *map, struct hcv_ext *ext, u32 rec,
			 const struct hcv_rec *r)
{
	return hcv_map_gen_pos(map, r->gen) == map->nr_gens ||
	       r->mib % map->stripe != ext->column ||
	       r->stamp > READ_ONCE(map->v) || r->seq > HCV_SEQ_MAX ||
	       ext->slot[rec].flags;
}

/* Of two records of a (mib, gen) the higher sequence stays; map->lock held. */
static int map_load_link(struct hcv_map *map, struct hcv_slot *slot)
{
	struct hcv_mibent *ent = hcv_map_entry(map, slot->mib);
	struct hcv_slot *same = map_same(ent, slot->gen);

	if (same && same->seq == slot->seq)
		return -EUCLEAN;
	slot->flags = HCV_SLOT_USED;
	hcv_map_count_used(map, hcv_map_slot_ext(slot), slot->rec);
	if (slot->seq >= map->next_seq)
		map->next_seq = slot->seq + 1;
	if (same && same->seq > slot->seq) {
		map_load_drop(map, NULL, slot);
		same->flags |= HCV_SLOT_DOUBLE;
		return 0;
	}
	if (same) {
		map_load_drop(map, ent, same);
		slot->flags |= HCV_SLOT_DOUBLE;
	}
	hcv_map_layer_add(map, ent, slot);
	return 0;
}

static int map_load_rec(struct hcv_map *map, struct hcv_ext *ext, u32 rec,
			const struct hcv_rec *r)
{
	struct hcv_slot *slot = &ext->slot[rec];
	int ret;

	if (map_load_bad(map, ext, rec, r))
		return -EUCLEAN;
	rcu_read_lock();
	ret = hcv_map_leaf(map, r->mib) ? 0 : -ENOENT;
	rcu_read_unlock();
	if (ret)
		ret = hcv_map_leaf_make(map, r->mib, GFP_KERNEL);
	if (ret)
		return ret;
	ret = map_load_bits(map, slot, r);
	if (ret)
		return ret;

	spin_lock_irq(&map->lock);
	slot->mib = r->mib;
	slot->gen = r->gen;
	slot->seq = r->seq;
	slot->stamp = r->stamp;
	ret = map_load_link(map, slot);
	if (ret)
		hcv_map_drop_bm(map, slot);
	spin_unlock_irq(&map->lock);
	return ret;
}

int hcv_map_load_page(struct hcv_map *map, struct hcv_ext *ext, u32 page,
		      const void *buf)
{
	struct hcv_rec rec;
	u32 i;
	int ret;

	for (i = 0; i < HCV_PAGE_RECORDS; i++) {
		ret = hcv_fmt_page_get(buf, page, i, &rec);
		if (ret)
			return ret;
		if (rec.state == HCV_REC_FREE)
			continue;
		ret = map_load_rec(map, ext, page * HCV_PAGE_RECORDS + i, &rec);
		if (ret)
			return ret;
	}
	return 0;
}

static void map_record_bits(struct hcv_bm *bm, struct hcv_rec *out)
{
	u32 i;

	for (i = 0; i < HCV_SLOT_BLOCKS; i += 64) {
		u64 zero = 0, data = 0;
		u32 k;

		/* A completion sets data before it clears zero. */
		for (k = 0; k < 64 / BITS_PER_LONG; k++)
			zero |= (u64)READ_ONCE(bm->zero[i / BITS_PER_LONG + k])
				<< (k * (BITS_PER_LONG % 64));
		/* Pairs with hcv_map_written(). */
		smp_rmb();
		for (k = 0; k < 64 / BITS_PER_LONG; k++)
			data |= (u64)READ_ONCE(bm->data[i / BITS_PER_LONG + k])
				<< (k * (BITS_PER_LONG % 64));
		out->lo[i / 64] = data;
		out->hi[i / 64] = zero & ~data;
	}
}

u8 hcv_map_page_next(const struct hcv_pagepos *pos, u64 *seq)
{
	*seq = pos->seq + 1;
	/* The first one ever goes to place 0: hcv_load_newest(). */
	return pos->kept ? !pos->place : 0;
}

void hcv_map_page_sent(struct hcv_pagepos *pos, u64 seq, u8 place, bool good)
{
	if (good) {
		WRITE_ONCE(pos->place, place);
		WRITE_ONCE(pos->kept, true);
	}
	/* Pairs with hcv_map_page_kept(): a new number comes with its place. */
	smp_store_release(&pos->seq, seq);
}

bool hcv_map_page_kept(const struct hcv_pagepos *pos, u64 *seq, u8 *place)
{
	/*
	 * Nothing goes to the kept place before another one is kept, and then
	 * the number has grown: before the first bio to it is sent.
	 */
	*seq = smp_load_acquire(&pos->seq);
	*place = READ_ONCE(pos->place);
	return READ_ONCE(pos->kept);
}

/* ext->lock held. */
static void map_record(struct hcv_ext *ext, u32 rec, struct hcv_rec *out)
{
	struct hcv_slot *slot = &ext->slot[rec];
	struct hcv_bm *bm = rcu_dereference_protected(slot->bm, true);

	memset(out, 0, sizeof(*out));
	if (!(slot->flags & (HCV_SLOT_USED | HCV_SLOT_SUPERSEDED)))
		return;
	out->state = HCV_REC_USED;
	out->mib = slot->mib;
	out->gen = slot->gen;
	out->seq = slot->seq;
	/* Stamps tell of data, and a superseded record has none. */
	out->stamp = slot->flags & HCV_SLOT_USED ? READ_ONCE(slot->stamp) : 0;
	if (bm)
		map_record_bits(bm, out);
	else
		memset(out->lo, 0xff, sizeof(out->lo));
}

/* ext->lock held: a slot that became full needs its bitmaps no more. */
static void map_promote(struct hcv_map *map, struct hcv_slot *slot)
{
	struct hcv_bm *bm = rcu_dereference_protected(slot->bm, true);

	if (!(slot->flags & HCV_SLOT_USED) || slot->rec >= HCV_EXTENT_SLOTS ||
	    !bm || !bitmap_full(bm->data, HCV_SLOT_BLOCKS))
		return;
	rcu_assign_pointer(slot->bm, NULL);
	hcv_map_bm_free(map, bm);
}

void hcv_map_record(struct hcv_ext *ext, u32 rec, struct hcv_rec *out)
{
	unsigned long flags;

	spin_lock_irqsave(&ext->lock, flags);
	map_record(ext, rec, out);
	spin_unlock_irqrestore(&ext->lock, flags);
}

void hcv_map_encode_both(struct hcv_map *map, struct hcv_ext *ext, u32 page,
			 const struct hcv_map_image *img)
{
	struct hcv_page_id id = {
		.lineage = map->lineage,
		.extent = ext->index,
		.page = page,
		.place = img->place,
	};
	u64 held[HCV_SLOT_BLOCKS / 64];
	struct hcv_rec rec, sparse;
	unsigned long flags;
	u32 i;

	memcpy(id.volume, map->volume, sizeof(id.volume));
	memset(img->buf, 0, HCV_BLOCK_SIZE);
	hcv_fmt_page_begin(img->buf, &id, img->epoch, img->seq);
	if (img->temp) {
		memset(img->temp, 0, HCV_BLOCK_SIZE);
		hcv_fmt_page_begin(img->temp, &id, img->epoch, img->seq);
	}
	clear_bit(page, &ext->dirty);
	/* Pairs with hcv_map_dirty(): bit first there, record first here. */
	smp_mb__after_atomic();
	for (i = 0; i < HCV_PAGE_RECORDS; i++) {
		struct hcv_slot *slot = &ext->slot[page * HCV_PAGE_RECORDS + i];

		spin_lock_irqsave(&ext->lock, flags);
		map_record(ext, slot->rec, &rec);
		if (img->temp)
			hcv_map_held_words(ext, slot->rec, img->life, held);
		map_promote(map, slot);
		spin_unlock_irqrestore(&ext->lock, flags);
		hcv_fmt_page_put(img->buf, i, &rec);
		if (!img->temp)
			continue;
		hcv_sparse_image(&rec, held, &sparse);
		hcv_fmt_page_put(img->temp, i, &sparse);
	}
	hcv_fmt_page_seal(img->buf);
	if (img->temp)
		hcv_fmt_page_seal(img->temp);
}

void hcv_map_encode(struct hcv_map *map, struct hcv_ext *ext, u32 page,
		    u64 epoch, u64 seq, u32 place, void *buf)
{
	struct hcv_map_image img = {
		.epoch = epoch,
		.seq = seq,
		.place = place,
		.buf = buf,
	};

	hcv_map_encode_both(map, ext, page, &img);
}
