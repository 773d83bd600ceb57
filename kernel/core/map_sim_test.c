// SPDX-License-Identifier: GPL-2.0-only
/*
 * The extent map beside a trivial model, for many random steps.
 *
 * A volume of two columns lies on simulated media: every block of data and
 * every metadata page has what the medium holds and what its cache holds beside
 * it.  Writes are in flight for a while, flush rounds go step by step beside
 * them as in commit.c, some of them fail, and now and then the power goes.
 * Three things are checked:
 *   - a read gives the newest value; after a power cut the flushed one or a
 *     later one, and from then on that one; of a snapshot the newest of its
 *     generation, whatever is written, zeroed and discarded later;
 *   - what was loaded is what the records on the media say, of two with one
 *     (mib, generation) the one with the higher sequence;
 *   - on a replica that left, a record that equals the map's has the same data.
 * Extents come, are retired when they are idle, and go: their row first, then
 * the extent itself, with power cuts in between; once the row is gone nothing is
 * written to them.
 */
#include "map_sim.h"

/* A range without a busy block, or 0. */
static u32 hcv_t_range(struct hcv_t_sim *s, u32 idx, u32 *blk)
{
	u32 nr, i;

	*blk = hcv_t_rnd(s, HCV_SLOT_BLOCKS);
	nr = 1 + hcv_t_rnd(s, 12);
	if (!hcv_t_rnd(s, 6)) {
		*blk = 0;
		nr = HCV_SLOT_BLOCKS;
	}
	nr = min_t(u32, nr, HCV_SLOT_BLOCKS - *blk);
	for (i = *blk; i < *blk + nr; i++)
		if (hcv_t_now(s, idx)[i].busy)
			return 0;
	return nr;
}

/* From generation @gen on blocks have what operation @op made of them. */
static void hcv_t_settle(struct hcv_t_sim *s, u32 gen, u32 idx, u32 blk, u32 nr,
			 u32 op, bool zero)
{
	struct hcv_t_block *b;
	u32 i;

	for (; gen <= s->nr_gens; gen++)
		for (i = blk; i < blk + nr; i++) {
			b = &s->blk[gen][idx].at[i];
			b->val = zero ? 0 : HCV_T_VALUE(op, idx, i);
			b->op = op;
			b->busy = false;
			if (zero)
				b->zero_op = op;
		}
}

/* Head of a mib's layers. */
static struct hcv_slot *hcv_t_head(struct hcv_t_sim *s, u32 mib)
{
	struct hcv_slot *slot = NULL;
	struct hcv_leaf *leaf;

	rcu_read_lock();
	leaf = hcv_map_leaf(&s->map, mib);
	if (leaf)
		slot = rcu_dereference(leaf->ent[mib % HCV_LEAF_MIBS].slot);
	rcu_read_unlock();
	return slot;
}

static void hcv_t_issue(struct hcv_t_sim *s)
{
	struct hcv_t_flight *f = &s->flight[hcv_t_rnd(s, HCV_T_FLIGHT)];
	u32 idx = hcv_t_rnd(s, HCV_T_MIBS), mib = hcv_t_mib(idx), blk, nr, i;
	struct hcv_slot *slot;

	nr = f->nr ? 0 : hcv_t_range(s, idx, &blk);
	if (!nr)
		return;
	slot = hcv_t_head(s, mib);
	s->upgraded += slot && slot->rec >= HCV_EXTENT_SLOTS;
	KUNIT_ASSERT_EQ(s->test, hcv_map_leaf_make(&s->map, mib, GFP_NOIO), 0);
	hcv_t_mark(&s->map, mib);
	slot = hcv_map_take(&s->map, mib, GFP_NOIO);
	if (IS_ERR(slot)) {
		KUNIT_ASSERT_EQ(s->test, PTR_ERR(slot), -ENOSPC);
		KUNIT_ASSERT_EQ(s->test,
				hcv_map_free_slots(&s->map, mib % 2), 0U);
		s->full++;
		return;
	}
	KUNIT_ASSERT_LT(s->test, slot->rec, (u16)HCV_EXTENT_SLOTS);
	KUNIT_ASSERT_TRUE(s->test, s->row[hcv_map_slot_ext(slot)->index]);
	*f = (struct hcv_t_flight) {
		.slot = slot, .op = ++s->op, .idx = idx, .blk = blk, .nr = nr,
	};
	for (i = blk; i < blk + nr; i++)
		hcv_t_now(s, idx)[i].busy = true;
}

static void hcv_t_complete(struct hcv_t_sim *s, struct hcv_t_flight *f)
{
	struct hcv_t_data *d;
	u32 i;

	if (!f->nr)
		return;
	d = hcv_t_data(s, f->slot);
	d->cached = true;
	for (i = f->blk; i < f->blk + f->nr; i++) {
		d->now[i] = HCV_T_VALUE(f->op, f->idx, i);
		/* A cache may be written out at any time. */
		if (!hcv_t_rnd(s, 4))
			d->dur[i] = d->now[i];
	}
	hcv_t_mark(&s->map, hcv_t_mib(f->idx));
	hcv_map_written(&s->map, f->slot, f->blk, f->nr);
	KUNIT_ASSERT_EQ(s->test, READ_ONCE(f->slot->stamp), s->v);
	/* Blocks that a write was under way to got none since. */
	hcv_t_settle(s, f->slot->gen, f->idx, f->blk, f->nr, f->op, false);
	f->nr = 0;
}

static void hcv_t_race_complete(void *arg)
{
	struct hcv_t_sim *s = arg;
	struct hcv_t_flight *f = &s->flight[hcv_t_rnd(s, HCV_T_FLIGHT)];

	if (!f->nr || hcv_t_rnd(s, 8))
		return;
	s->races++;
	hcv_t_complete(s, f);
}

/* DISCARD or WRITE ZEROES of a range without busy blocks. */
static void hcv_t_clear_range(struct hcv_t_sim *s, u32 idx, u32 blk, u32 nr,
			      bool discard)
{
	u32 mib = hcv_t_mib(idx);
	struct hcv_slot *slot = hcv_t_head(s, mib);
	bool ignored = discard && slot && slot->gen != s->map.cur_gen;
	int ret;

	if (slot)
		hcv_t_mark(&s->map, mib);
	ret = hcv_t_clear(&s->map, mib, blk, nr, discard);
	if (ret == -ENOSPC) {
		KUNIT_ASSERT_FALSE(s->test, discard);
		KUNIT_ASSERT_EQ(s->test,
				hcv_map_free_slots(&s->map, mib % 2), 0U);
		return;
	}
	KUNIT_ASSERT_EQ(s->test, ret, 0);
	if (ignored)
		return;
	hcv_t_settle(s, s->nr_gens, idx, blk, nr, ++s->op, true);
	slot = hcv_t_head(s, mib);
	if (!slot)
		return;
	hcv_t_mark(&s->map, mib);
	KUNIT_ASSERT_EQ(s->test, hcv_t_stamp(slot), s->v);
}

static void hcv_t_discard(struct hcv_t_sim *s, bool discard)
{
	u32 idx = hcv_t_rnd(s, HCV_T_MIBS), blk, nr;

	nr = hcv_t_range(s, idx, &blk);
	if (nr)
		hcv_t_clear_range(s, idx, blk, nr, discard);
}

static void hcv_t_reap(struct hcv_t_sim *s, bool purge)
{
	u32 idx = hcv_t_rnd(s, HCV_T_MIBS), i;
	struct hcv_slot *slot = hcv_t_head(s, hcv_t_mib(idx));

	for (i = 0; i < HCV_SLOT_BLOCKS; i++)
		if (hcv_t_now(s, idx)[i].busy)
			return;
	if (purge)
		hcv_t_clear_range(s, idx, 0, HCV_SLOT_BLOCKS, true);
	hcv_map_reap(&s->map, hcv_t_mib(idx));
	s->reaped += slot != hcv_t_head(s, hcv_t_mib(idx));
}

/* Where a block of generation @gen is. */
static struct hcv_slot *hcv_t_view(struct hcv_t_sim *s, u32 mib, u32 gen,
				   u32 blk)
{
	struct hcv_slot *slot;
	int state = 0;

	rcu_read_lock();
	slot = hcv_t_head(s, mib);
	while (slot && (slot->gen > gen || !hcv_map_state(slot, blk)))
		slot = rcu_dereference(slot->older);
	if (slot)
		state = hcv_map_state(slot, blk);
	rcu_read_unlock();
	return state == 1 ? slot : NULL;
}

static void hcv_t_check_block(struct hcv_t_sim *s, u32 gen, u32 idx, u32 blk,
			      struct hcv_slot *slot)
{
	const struct hcv_t_block *b = &s->blk[gen][idx].at[blk];

	if (!b->busy)
		KUNIT_ASSERT_EQ_MSG(s->test,
				    slot ? hcv_t_data(s, slot)->now[blk] : 0,
				    b->val, "generation %u mib index %u block %u",
				    gen, idx, blk);
}

/* Everything that is not busy reads as the model says. */
static void hcv_t_check_mib(struct hcv_t_sim *s, u32 idx)
{
	u32 blk = 0, nr, i, gen, mib = hcv_t_mib(idx);
	struct hcv_slot *slot;

	while (blk < HCV_SLOT_BLOCKS) {
		slot = hcv_t_where(&s->map, mib, blk, HCV_SLOT_BLOCKS - blk,
				   &nr);
		KUNIT_ASSERT_TRUE(s->test, nr && nr <= HCV_SLOT_BLOCKS - blk);
		for (i = blk; i < blk + nr; i++)
			hcv_t_check_block(s, s->nr_gens, idx, i, slot);
		blk += nr;
	}
	/* What a snapshot has stays as it is. */
	for (gen = 1; gen < s->nr_gens; gen++)
		for (i = 0; i < HCV_SLOT_BLOCKS; i++)
			hcv_t_check_block(s, gen, idx, i,
					  hcv_t_view(s, mib, gen, i));
}

/* --- rounds --------------------------------------------------------------- */

static void hcv_t_each_block(struct hcv_t_sim *s,
			     void (*fn)(struct hcv_t_block *b))
{
	u32 gen, i, k;

	for (gen = 1; gen <= s->nr_gens; gen++)
		for (i = 0; i < HCV_T_MIBS; i++)
			for (k = 0; k < HCV_SLOT_BLOCKS; k++)
				fn(&s->blk[gen][i].at[k]);
}

/* A round begins: this is what it makes durable. */
static void hcv_t_note(struct hcv_t_block *b)
{
	b->snap = b->val;
	b->snap_op = b->op;
}

static void hcv_t_promise(struct hcv_t_block *b)
{
	b->flushed = b->snap;
	b->flushed_op = b->snap_op;
}

static void hcv_t_round_begin(struct hcv_t_sim *s)
{
	struct llist_node *node, *next;

	s->leaves = hcv_map_round_begin(&s->map);
	s->freed = hcv_map_freed(&s->map);
	hcv_map_settle_begin(&s->map);
	s->nr_todo = 0;
	s->nr_images = 0;
	s->next = 0;
	node = hcv_map_dirty_take(&s->map);
	llist_for_each_safe(node, next, node)
		s->todo[s->nr_todo++] = llist_entry(node, struct hcv_ext,
						    dnode);
	hcv_t_each_block(s, hcv_t_note);
	s->stage = HCV_T_COPY;
}

/* Copy the next dirty page. */
static void hcv_t_round_copy(struct hcv_t_sim *s)
{
	struct hcv_t_image *im = &s->image[s->nr_images];
	struct hcv_pagepos *pos;
	struct hcv_ext *ext;
	u32 page;

	for (; s->next < s->nr_todo * HCV_EXTENT_PAGES; s->next++) {
		ext = s->todo[s->next / HCV_EXTENT_PAGES];
		page = s->next % HCV_EXTENT_PAGES;
		if (!page) {
			clear_bit(HCV_EXT_LISTED, &ext->flags);
			/* As in commit.c: listed again, or seen here. */
			smp_mb__after_atomic();
		}
		if (!test_bit(page, &ext->dirty))
			continue;
		pos = &ext->page[page];
		im->ext = ext;
		im->page = page;
		im->place = hcv_map_page_next(pos, &im->seq);
		hcv_t_race_arg = s;
		hcv_t_race_fn = hcv_t_race_complete;
		hcv_map_encode(&s->map, ext, page, s->epoch, im->seq,
			       im->place, im->buf);
		hcv_t_race_fn = NULL;
		s->nr_images++;
		s->next++;
		return;
	}
	s->stage = HCV_T_FLUSH;
}

static void hcv_t_redirty(struct hcv_t_sim *s, struct hcv_t_image *im)
{
	hcv_map_dirty(&s->map, &im->ext->slot[im->page * HCV_PAGE_RECORDS]);
}

/* The images go out; sometimes the round fails, with some of them written. */
static void hcv_t_round_pages(struct hcv_t_sim *s)
{
	bool fail = !hcv_t_rnd(s, 10);
	struct hcv_pagepos *pos;
	struct hcv_t_image *im;
	struct hcv_t_place *p;
	u32 i;

	for (i = 0; i < s->nr_images; i++) {
		im = &s->image[i];
		pos = &im->ext->page[im->page];
		p = &s->media[im->ext->index]->page[im->page][im->place];
		/* Its place may be another volume's by now. */
		KUNIT_ASSERT_TRUE(s->test, s->row[im->ext->index]);
		if (!fail || hcv_t_rnd(s, 2)) {
			memcpy(p->now, im->buf, HCV_BLOCK_SIZE);
			p->cached = true;
		}
		/* An error may come after the write has landed. */
		hcv_map_page_sent(pos, im->seq, im->place, !fail);
		if (fail)
			hcv_t_redirty(s, im);
	}
	s->stage = HCV_T_END;
	if (!fail)
		return;
	hcv_map_round_end(&s->map, s->leaves, false);
	hcv_map_settle_end(&s->map, false);
	hcv_map_unfreed(&s->map, s->freed);
	s->freed = NULL;
	s->stage = HCV_T_IDLE;
}

static void hcv_t_round_end(struct hcv_t_sim *s)
{
	struct hcv_slot *last = s->freed;

	hcv_t_flush(s);
	hcv_map_round_end(&s->map, s->leaves, true);
	hcv_map_settle_end(&s->map, true);
	hcv_t_each_block(s, hcv_t_promise);
	/* Slots wait for the end of what runs: given back some steps later. */
	while (last && last->next)
		last = last->next;
	if (last) {
		last->next = s->draining;
		s->draining = s->freed;
	}
	s->freed = NULL;
	s->stage = HCV_T_IDLE;
}

static void hcv_t_crash(struct hcv_t_sim *s);

static void hcv_t_round(struct hcv_t_sim *s)
{
	switch (s->stage) {
	case HCV_T_IDLE:
		hcv_t_round_begin(s);
		break;
	case HCV_T_COPY:
		hcv_t_round_copy(s);
		break;
	case HCV_T_FLUSH:
		hcv_t_flush(s);
		s->stage = HCV_T_PAGES;
		break;
	case HCV_T_PAGES:
		hcv_t_round_pages(s);
		break;
	case HCV_T_END:
		/* The worst moment: some pages are on the medium, some not. */
		if (s->filled && !hcv_t_rnd(s, 10))
			hcv_t_crash(s);
		else
			hcv_t_round_end(s);
		break;
	}
}

static void hcv_t_whole_round(struct hcv_t_sim *s)
{
	do {
		hcv_t_round(s);
	} while (s->stage != HCV_T_IDLE);
}

/* --- power cuts ----------------------------------------------------------- */

static void hcv_t_load_ext(struct hcv_t_sim *s, u32 e)
{
	struct hcv_rec *rec;
	const u8 *buf;
	u32 page, i;

	s->ext[e] = hcv_t_ext(s->test, &s->map, e, e % 2);
	for (page = 0; page < HCV_EXTENT_PAGES; page++) {
		buf = hcv_t_newest(s, e, page, &s->ext[e]->page[page]);
		for (i = 0; i < HCV_PAGE_RECORDS; i++) {
			rec = &s->loaded[e][page * HCV_PAGE_RECORDS + i];
			memset(rec, 0, sizeof(*rec));
			if (buf)
				KUNIT_ASSERT_EQ(s->test,
						hcv_fmt_page_get(buf, page, i,
								 rec), 0);
		}
		if (buf)
			KUNIT_ASSERT_EQ(s->test,
					hcv_map_load_page(&s->map, s->ext[e],
							  page, buf), 0);
	}
}

/* The record that says what (mib, generation) is, and its slot. */
static const struct hcv_rec *hcv_t_oracle(struct hcv_t_sim *s, u32 mib, u32 gen,
					  struct hcv_slot **slot)
{
	const struct hcv_rec *best = NULL, *r;
	u32 e, i;

	for (e = 0; e < HCV_T_EXTS; e++)
		for (i = 0; i < HCV_EXTENT_RECORDS; i++) {
			r = &s->loaded[e][i];
			if (r->state != HCV_REC_USED || r->mib != mib ||
			    r->gen != gen)
				continue;
			s->dups += !!best;
			if (best && best->seq > r->seq)
				continue;
			best = r;
			*slot = &s->ext[e]->slot[i];
		}
	return best;
}

/* Whether a block may read as @val after a power cut. */
static bool hcv_t_allowed(const struct hcv_t_block *b, u32 val, u32 owner)
{
	if (val == b->flushed)
		return true;
	if (!val)
		return b->zero_op > b->flushed_op;
	return HCV_T_OWNER(val) == owner && HCV_T_OP(val) > b->flushed_op;
}

/* Where a block of generation @gen is, by the records that were loaded. */
static struct hcv_slot *hcv_t_lookup(const struct hcv_rec **r,
				     struct hcv_slot **slot, u32 gen, u32 blk)
{
	u64 bit = 1ULL << (blk % 64);

	for (; gen; gen--) {
		if (r[gen] && r[gen]->lo[blk / 64] & bit)
			return slot[gen];
		if (r[gen] && r[gen]->hi[blk / 64] & bit)
			break;
	}
	return NULL;
}

/* What a power cut left of a block; from now on that is what it is. */
static void hcv_t_check_cut(struct hcv_t_sim *s, u32 gen, u32 idx, u32 blk,
			    struct hcv_slot *slot)
{
	u32 val = slot ? hcv_t_data(s, slot)->now[blk] : 0;
	u32 owner = HCV_T_OWNER(HCV_T_VALUE(0U, idx, blk));
	struct hcv_t_block *b = &s->blk[gen][idx].at[blk];

	KUNIT_ASSERT_TRUE_MSG(s->test, hcv_t_allowed(b, val, owner),
			      "generation %u mib index %u block %u: read %x, flushed %x by %u",
			      gen, idx, blk, val, b->flushed, b->flushed_op);
	*b = (struct hcv_t_block) {
		.val = val, .op = s->op, .flushed = val, .flushed_op = s->op,
	};
}

/* What was loaded is what the records say, and what was promised. */
static void hcv_t_check_loaded(struct hcv_t_sim *s, u32 idx)
{
	const struct hcv_rec *r[HCV_T_GENS + 1];
	struct hcv_slot *slot[HCV_T_GENS + 1], *want;
	u32 i, gen, mib = hcv_t_mib(idx);

	for (gen = 1; gen <= s->nr_gens; gen++)
		r[gen] = hcv_t_oracle(s, mib, gen, &slot[gen]);
	for (gen = 1; gen <= s->nr_gens; gen++)
		for (i = 0; i < HCV_SLOT_BLOCKS; i++) {
			want = hcv_t_lookup(r, slot, gen, i);
			KUNIT_ASSERT_PTR_EQ(s->test,
					    hcv_t_view(s, mib, gen, i), want);
			hcv_t_check_cut(s, gen, idx, i, want);
		}
	for (i = 0; i < HCV_SLOT_BLOCKS; i++)
		KUNIT_ASSERT_PTR_EQ(s->test, hcv_t_at(&s->map, mib, i),
				    hcv_t_view(s, mib, s->nr_gens, i));
}

static void hcv_t_check_space(struct hcv_t_sim *s)
{
	u32 col, e, i, used = 0, mib, all = 0;

	for (e = 0; e < HCV_T_EXTS; e++) {
		if (!s->ext[e])
			continue;
		for (i = 0; i < HCV_EXTENT_SLOTS; i++)
			used += !!s->ext[e]->slot[i].flags;
		if (!test_bit(HCV_EXT_RETIRED, &s->ext[e]->flags))
			all += HCV_EXTENT_SLOTS;
	}
	KUNIT_ASSERT_EQ(s->test, s->map.used_slots, (u64)used);
	for (col = 0; col < 2; col++)
		used += hcv_map_free_slots(&s->map, col);
	KUNIT_ASSERT_EQ(s->test, used, all);
	for (mib = 0; mib < HCV_T_ALL; mib++)
		if (s->filler[mib])
			KUNIT_ASSERT_NOT_NULL(s->test, hcv_t_at(&s->map, mib,
								mib % 256));
}

static void hcv_t_init(struct hcv_t_sim *s)
{
	KUNIT_ASSERT_EQ(s->test, hcv_map_init(&s->map, HCV_T_VOL, HCV_T_LINEAGE,
					      2, HCV_T_ALL), 0);
	hcv_t_gens(s->test, &s->map, s->nr_gens);
	s->map.v = s->v;
	s->epoch++;
	s->stage = HCV_T_IDLE;
	s->freed = NULL;
	s->draining = NULL;
	s->left->valid = false;
}

static void hcv_t_crash(struct hcv_t_sim *s)
{
	u32 i;

	hcv_t_cut(s);
	hcv_map_destroy(&s->map);
	/* Each attach is a take-over: v grows with it. */
	s->v++;
	hcv_t_init(s);
	memset(s->loaded, 0, HCV_T_EXTS * sizeof(*s->loaded));
	for (i = 0; i < HCV_T_EXTS; i++) {
		s->ext[i] = NULL;
		if (s->row[i])
			hcv_t_load_ext(s, i);
	}
	s->op++;
	for (i = 0; i < HCV_T_MIBS; i++)
		hcv_t_check_loaded(s, i);
	hcv_t_check_space(s);
	s->crashes++;
}

/* --- a replica that leaves ------------------------------------------------ */

static void hcv_t_leave(struct hcv_t_sim *s)
{
	struct hcv_t_left *l = s->left;
	struct hcv_pagepos pos;
	struct hcv_t_data *d;
	const u8 *buf;
	u32 e, i, k;

	memset(l, 0, sizeof(*l));
	for (e = 0; e < HCV_T_EXTS; e++) {
		for (i = 0; i < HCV_EXTENT_RECORDS; i++) {
			buf = hcv_t_newest(s, e, i / HCV_PAGE_RECORDS, &pos);
			if (buf)
				hcv_fmt_page_get(buf, i / HCV_PAGE_RECORDS,
						 i % HCV_PAGE_RECORDS,
						 &l->rec[e][i]);
		}
		for (i = 0; i < HCV_EXTENT_SLOTS; i++) {
			d = &s->media[e]->slot[i];
			for (k = 0; k < HCV_SLOT_BLOCKS; k++)
				l->data[e][i][k] = hcv_t_rnd(s, 2) ?
						   d->now[k] : d->dur[k];
		}
	}
	l->valid = true;
	s->v++;
	hcv_map_bump(&s->map, s->v);
}

/* Blocks in flight of a mib, NULL: it is not one that is written. */
static const struct hcv_t_block *hcv_t_blocks(struct hcv_t_sim *s, u32 mib)
{
	u32 i;

	for (i = 0; i < HCV_T_MIBS; i++)
		if (hcv_t_mib(i) == mib)
			return hcv_t_now(s, i);
	return NULL;
}

/* Records that are equal have equal data: a resync would skip them. */
static void hcv_t_check_left(struct hcv_t_sim *s)
{
	const struct hcv_t_block *b;
	struct hcv_rec now, *old;
	u32 e, i, k;

	for (e = 0; s->left->valid && e < HCV_T_EXTS; e++)
		for (i = 0; s->ext[e] && i < HCV_EXTENT_SLOTS; i++) {
			old = &s->left->rec[e][i];
			hcv_map_record(s->ext[e], i, &now);
			if (old->state != HCV_REC_USED ||
			    now.state != HCV_REC_USED || old->mib != now.mib ||
			    old->gen != now.gen || old->seq != now.seq ||
			    old->stamp != now.stamp)
				continue;
			b = hcv_t_blocks(s, now.mib);
			if (!b)
				continue;
			for (k = 0; k < HCV_SLOT_BLOCKS; k++) {
				if (!(now.lo[k / 64] >> (k % 64) & 1) ||
				    b[k].busy)
					continue;
				KUNIT_ASSERT_EQ_MSG(s->test,
						    s->left->data[e][i][k],
						    s->media[e]->slot[i].now[k],
						    "mib %u block %u", now.mib,
						    k);
			}
			s->compared++;
		}
}

/* --- extents that come and go --------------------------------------------- */

/* A fresh extent; its first slots are taken next. */
static void hcv_t_grow(struct hcv_t_sim *s, u32 e)
{
	memset(s->media[e], 0, sizeof(*s->media[e]));
	s->ext[e] = hcv_t_ext(s->test, &s->map, e, e % 2);
	list_move(&s->ext[e]->fnode, &s->map.avail[e % 2]);
	s->row[e] = true;
}

static void hcv_t_forget(struct hcv_t_sim *s, u32 e)
{
	KUNIT_ASSERT_EQ(s->test, hcv_map_forget(&s->map, s->ext[e]), 0);
	hcv_map_ext_free(&s->map, s->ext[e]);
	s->ext[e] = NULL;
	s->given_back++;
}

/* The next step of one of them, as the agent and its owner's module go. */
static void hcv_t_come_and_go(struct hcv_t_sim *s)
{
	static const u32 keep[] = { 0, 1, 2 };
	u32 e = HCV_T_BASE + hcv_t_rnd(s, HCV_T_EXTS - HCV_T_BASE);
	struct hcv_ext *ext = s->ext[e];

	if (!s->filled)
		return;
	if (!ext && !s->row[e]) {
		hcv_t_grow(s, e);
	} else if (!test_bit(HCV_EXT_RETIRED, &ext->flags)) {
		KUNIT_ASSERT_EQ(s->test, hcv_map_forget(&s->map, ext), -EBUSY);
		s->retired += hcv_map_retire(&s->map, e % 2,
					     hcv_t_rnd(s, 3), keep,
					     ARRAY_SIZE(keep));
	} else if (!s->row[e]) {
		hcv_t_forget(s, e);
	} else if (!hcv_t_rnd(s, 4)) {
		hcv_map_unretire(&s->map, ext);
	} else if (test_bit(HCV_EXT_SETTLED, &ext->flags)) {
		/* From now on another volume may have its place. */
		s->row[e] = false;
	} else {
		KUNIT_ASSERT_EQ(s->test, hcv_map_forget(&s->map, ext), -EBUSY);
	}
}

/* --- the run -------------------------------------------------------------- */

static void *hcv_t_zalloc(struct kunit *test, size_t size)
{
	void *p = kunit_kzalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, p);
	return p;
}

static struct hcv_t_sim *hcv_t_sim(struct kunit *test, u32 seed)
{
	struct hcv_t_sim *s = hcv_t_zalloc(test, sizeof(*s));
	u32 i;

	s->test = test;
	s->rnd = seed ?: 1;
	s->v = 5;
	s->left = hcv_t_zalloc(test, sizeof(*s->left));
	s->loaded = hcv_t_zalloc(test, HCV_T_EXTS * sizeof(*s->loaded));
	for (i = 0; i < HCV_T_EXTS; i++)
		s->media[i] = hcv_t_zalloc(test, sizeof(*s->media[i]));
	for (i = 0; i < HCV_T_IMAGES; i++)
		s->image[i].buf = hcv_t_zalloc(test, HCV_BLOCK_SIZE);
	return s;
}

/* A new volume on blank media. */
static void hcv_t_create(struct hcv_t_sim *s)
{
	u32 i;

	memset(s->blk, 0, sizeof(s->blk));
	memset(s->flight, 0, sizeof(s->flight));
	memset(s->filler, 0, sizeof(s->filler));
	s->filled = false;
	s->op = 0;
	s->nr_gens = 1;
	s->nr_free = 12 + hcv_t_rnd(s, HCV_T_FREE - 11);
	hcv_t_init(s);
	for (i = 0; i < HCV_T_EXTS; i++) {
		s->ext[i] = NULL;
		s->row[i] = i < HCV_T_BASE;
		if (s->row[i])
			hcv_t_grow(s, i);
	}
}

/* Fill the extents but for a few slots, strewn over all pages. */
static void hcv_t_fill(struct hcv_t_sim *s)
{
	u32 mib, i, col;

	for (i = 0; i < HCV_T_MIBS; i++)
		s->filler[hcv_t_mib(i)] = true;	/* not to be used */
	for (mib = 0; mib < HCV_T_ALL; mib++) {
		if (!s->filler[mib] && hcv_map_free_slots(&s->map, mib % 2)) {
			hcv_t_write(s->test, &s->map, mib, 0, HCV_SLOT_BLOCKS);
			s->filler[mib] = true;
		}
	}
	for (i = 0; i < HCV_T_MIBS; i++)
		s->filler[hcv_t_mib(i)] = false;
	for (col = 0; col < 2; col++)
		for (i = 0; i < s->nr_free;) {
			mib = hcv_t_rnd(s, HCV_T_ALL / 2) * 2 + col;
			if (!s->filler[mib])
				continue;
			KUNIT_ASSERT_EQ(s->test, hcv_t_clear(&s->map, mib, 0,
							     HCV_SLOT_BLOCKS,
							     true), 0);
			hcv_map_reap(&s->map, mib);
			s->filler[mib] = false;
			i++;
		}
	do {
		hcv_t_whole_round(s);
		hcv_map_give_back(&s->map, s->draining);
		s->draining = NULL;
	} while (hcv_map_free_slots(&s->map, 0) != s->nr_free);
	KUNIT_ASSERT_EQ(s->test, hcv_map_free_slots(&s->map, 1), s->nr_free);
	s->filled = true;
}

/*
 * Writes in flight go on in the generation in which they began.  Every other
 * time nothing of it is left unflushed.
 */
static void hcv_t_snapshot(struct hcv_t_sim *s)
{
	bool sealed = hcv_t_rnd(s, 2);
	u32 i;

	for (i = 0; sealed && i < HCV_T_FLIGHT; i++)
		hcv_t_complete(s, &s->flight[i]);
	while (sealed &&
	       (s->stage != HCV_T_IDLE || hcv_map_unflushed(&s->map)))
		hcv_t_round(s);
	/* So far they are equal, writes in flight included. */
	memcpy(s->blk[s->nr_gens + 1], s->blk[s->nr_gens],
	       sizeof(s->blk[0]));
	hcv_t_gens(s->test, &s->map, ++s->nr_gens);
}

/* A resync has all pages of an extent written anew, unless it is retired. */
static void hcv_t_resynced(struct hcv_t_sim *s)
{
	struct hcv_ext *ext = s->ext[hcv_t_rnd(s, HCV_T_EXTS)];
	u32 page;

	if (!ext || test_bit(HCV_EXT_RETIRED, &ext->flags))
		return;
	for (page = 0; page < HCV_EXTENT_PAGES; page++)
		hcv_map_dirty(&s->map, &ext->slot[page * HCV_PAGE_RECORDS]);
}

static void hcv_t_rare(struct hcv_t_sim *s)
{
	u32 what = hcv_t_rnd(s, 16);

	if (what < 3) {
		hcv_t_crash(s);
	} else if (what < 6) {
		hcv_t_check_left(s);
		hcv_t_leave(s);
	} else if (what < 8 && s->nr_gens < HCV_T_GENS) {
		hcv_t_snapshot(s);
	} else if (what < 11) {
		hcv_t_resynced(s);
	} else {
		hcv_t_check_left(s);
		hcv_t_check_space(s);
	}
}

static void hcv_t_step(struct hcv_t_sim *s)
{
	u32 what = hcv_t_rnd(s, 200);

	if (what < 60) {
		hcv_t_issue(s);
	} else if (what < 110) {
		hcv_t_complete(s, &s->flight[hcv_t_rnd(s, HCV_T_FLIGHT)]);
	} else if (what < 126) {
		hcv_t_discard(s, what < 118);
	} else if (what < 140) {
		hcv_t_reap(s, what < 134);
	} else if (what < 178) {
		hcv_t_round(s);
	} else if (what < 188) {
		hcv_t_come_and_go(s);
	} else if (what < 191) {
		hcv_map_give_back(&s->map, s->draining);
		s->draining = NULL;
	} else if (what < 198) {
		hcv_t_check_mib(s, hcv_t_rnd(s, HCV_T_MIBS));
	} else {
		hcv_t_rare(s);
	}
}

static const u32 hcv_t_seeds[] = { 1, 7, 42, 1999, 31337, 65538, 99989, 4711 };

static void hcv_t_seed_desc(const u32 *seed, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "seed %u", *seed);
}

KUNIT_ARRAY_PARAM(hcv_t_seeds, hcv_t_seeds, hcv_t_seed_desc);

static void hcv_t_life(struct hcv_t_sim *s)
{
	u32 i;

	hcv_t_create(s);
	hcv_t_fill(s);
	for (i = 0; i < HCV_T_STEPS; i++) {
		hcv_t_step(s);
		cond_resched();
	}
	hcv_t_crash(s);
	hcv_map_destroy(&s->map);
}

static void hcv_map_sim(struct kunit *test)
{
	const u32 *seed = test->param_value;
	struct hcv_t_sim *s = hcv_t_sim(test, *seed + hcv_t_seed_add());
	u32 i;

	for (i = 0; i < hcv_t_lives(); i++)
		hcv_t_life(s);
	kunit_info(test, "seed %u: %u power cuts, %u writes raced a copy, %u equal slots, %u times full, %u duplicates, %u slots freed, %u records moved, %u extents retired, %u gone\n",
		   *seed, s->crashes, s->races, s->compared, s->full, s->dups,
		   s->reaped, s->upgraded, s->retired, s->given_back);
	if (!HCV_T_HOST)
		return;
	KUNIT_EXPECT_GT(test, s->crashes, 9U);
	KUNIT_EXPECT_GT(test, s->races, 9U);
	KUNIT_EXPECT_GT(test, s->compared, 9U);
	KUNIT_EXPECT_GT(test, s->reaped, 9U);
	KUNIT_EXPECT_GT(test, s->given_back, 2U);
}

static struct kunit_case hcv_map_sim_cases[] = {
	KUNIT_CASE_PARAM(hcv_map_sim, hcv_t_seeds_gen_params),
	{ }
};

static struct kunit_suite hcv_map_sim_suite = {
	.name = "hcv_map_sim",
	.test_cases = hcv_map_sim_cases,
};

kunit_test_suite(hcv_map_sim_suite);
