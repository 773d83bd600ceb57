// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scrub of metadata pages.
 *
 * What the RAM knows is the truth, and all replicas get the
 * same images.  Of a page's two places only the one is compared that holds
 * the newest image which all replicas have (struct hcv_pagepos): the images of a
 * void round, in the other one, may be on some replicas alone.  As long as the
 * page's number does not grow nothing is sent there.  A page that is bad somewhere
 * is made dirty: the next round writes it, on all replicas, to its other place.
 * Extents without any record are passed over: there is nothing in their pages,
 * and they may be given back at any time.  One record's busy bit keeps the others.
 */
#include <linux/ktime.h>

#include "scrub_priv.h"
#include "volume.h"

#define SCRUB_META_BLOCKS	(HCV_EXTENT_META_SIZE >> HCV_BLOCK_SHIFT)
#define SCRUB_META_NS		(2LL * NSEC_PER_SEC)

static_assert(HCV_EXTENT_META_SIZE <= SCRUB_PIECE_BYTES);

/**
 * struct scrub_pages - a look at the pages of an extent
 * @seq: number of each page when they were read
 * @place: the place that was looked at
 * @kept: pages that have such a place, as bits
 * @got: copies that were read
 * @bad: for each copy the pages that are not what they should be
 */
struct scrub_pages {
	u64 seq[HCV_EXTENT_PAGES];
	u8 place[HCV_EXTENT_PAGES];
	u32 kept;
	u32 got;
	u32 bad[HCV_SCRUB_COPIES];
};

/* Something of that copy was not read: it is not to be called good. */
static void scrub_uncovered(struct hcv_scrub *s, u32 c)
{
	spin_lock_irq(&s->lock);
	s->pass.copy[s->piece.link[c]].left = true;
	spin_unlock_irq(&s->lock);
}

static void *scrub_page(struct hcv_scrub *s, const struct scrub_pages *look,
			u32 c, u32 page)
{
	return s->buf[c] + ((look->place[page] * HCV_EXTENT_PAGES + page) <<
			    HCV_BLOCK_SHIFT);
}

/*
 * All at once, or else one by one, but not for long: a block of the volume is
 * held meanwhile.
 * Return: 0, -ENOLINK: the copy is away, -ETIMEDOUT.
 */
static int scrub_read_meta(struct hcv_scrub *s, struct hcv_link *link,
			   sector_t meta, void *buf, u32 *bad)
{
	s64 until = ktime_get_boottime_ns() + SCRUB_META_NS;
	u32 i;
	int ret;

	*bad = 0;
	ret = hcv_scrub_read(s, link, meta, buf, SCRUB_META_BLOCKS);
	for (i = 0; ret == -EIO && i < SCRUB_META_BLOCKS; i++) {
		if ((s64)ktime_get_boottime_ns() > until)
			return -ETIMEDOUT;
		ret = hcv_scrub_read(s, link, meta +
				     i * (HCV_BLOCK_SIZE >> SECTOR_SHIFT),
				     buf + (i << HCV_BLOCK_SHIFT), 1);
		if (ret == -EIO)
			*bad |= BIT(i);
		else if (!ret)
			ret = -EIO;	/* on to the next one */
	}
	return ret == -EIO ? 0 : ret;
}

static bool scrub_read_pages(struct hcv_scrub *s, struct hcv_ext *ext, u32 c,
			     struct scrub_pages *look)
{
	struct hcv_link *link = s->vol->link[s->piece.link[c]];
	sector_t meta;
	u32 bad, i;
	int ret;

	if (READ_ONCE(link->state) != HCV_LINK_INSYNC ||
	    !hcv_ext_meta(ext, link, &meta))
		return false;
	ret = scrub_read_meta(s, link, meta, s->buf[c], &bad);
	if (ret == -ETIMEDOUT)
		scrub_uncovered(s, c);
	if (ret)
		return false;
	for (i = 0; i < HCV_EXTENT_PAGES; i++)
		if (bad >> (look->place[i] * HCV_EXTENT_PAGES + i) & 1)
			look->bad[c] |= BIT(i);
	return true;
}

/* Hold one page of all copies against the newest good image among them. */
static void scrub_compare_page(struct hcv_scrub *s, struct hcv_ext *ext,
			       u32 page, struct scrub_pages *look)
{
	struct hcv_page_id id = {
		.lineage = s->vol->map.lineage,
		.extent = ext->index,
		.page = page,
		.place = look->place[page],
	};
	u64 epoch, seq, best_epoch = 0, best_seq = 0;
	const void *best = NULL, *p;
	u32 c;

	memcpy(id.volume, s->vol->uuid.b, HCV_UUID_SIZE);
	for (c = 0; c < s->piece.nr; c++) {
		p = scrub_page(s, look, c, page);
		if (!(look->got >> c & 1) || look->bad[c] >> page & 1)
			continue;
		if (hcv_fmt_page_check(p, &id, &epoch, &seq)) {
			look->bad[c] |= BIT(page);
		} else if (!best || hcv_fmt_page_newer(epoch, seq, best_epoch,
						       best_seq)) {
			best = p;
			best_epoch = epoch;
			best_seq = seq;
		}
	}
	for (c = 0; c < s->piece.nr && best; c++)
		if (look->got >> c & 1 && !(look->bad[c] >> page & 1) &&
		    memcmp(scrub_page(s, look, c, page), best, HCV_BLOCK_SIZE))
			look->bad[c] |= BIT(page);
}

/* Forget pages of which the place was written since, or may have been. */
static void scrub_pages_still(struct hcv_ext *ext, struct scrub_pages *look)
{
	u32 i, c;
	u8 place;
	u64 seq;

	/* Pairs with hcv_map_page_sent(); after the reads. */
	smp_mb();
	for (i = 0; i < HCV_EXTENT_PAGES; i++) {
		if (hcv_map_page_kept(&ext->page[i], &seq, &place) &&
		    seq == look->seq[i])
			continue;
		look->kept &= ~BIT(i);
	}
	for (c = 0; c < HCV_SCRUB_COPIES; c++)
		look->bad[c] &= look->kept;
}

static bool scrub_look_pages(struct hcv_scrub *s, struct hcv_ext *ext,
			     struct scrub_pages *look)
{
	bool any = false;
	u32 i;

	memset(look, 0, sizeof(*look));
	for (i = 0; i < HCV_EXTENT_PAGES; i++)
		if (hcv_map_page_kept(&ext->page[i], &look->seq[i],
				      &look->place[i]))
			look->kept |= BIT(i);
	if (!look->kept)
		return false;
	for (i = 0; i < s->piece.nr && !hcv_scrub_over(s); i++)
		if (scrub_read_pages(s, ext, i, look))
			look->got |= BIT(i);
	for (i = 0; i < HCV_EXTENT_PAGES; i++)
		scrub_compare_page(s, ext, i, look);
	scrub_pages_still(ext, look);
	for (i = 0; i < s->piece.nr; i++)
		any |= look->bad[i];
	return any;
}

/* Pages that were bad twice, with nothing sent to them in between. */
static void scrub_judge_pages(struct hcv_scrub *s, struct hcv_ext *ext,
			      const struct scrub_pages *first,
			      const struct scrub_pages *second)
{
	bool readonly = s->vol->flags & HCV_VOL_F_READONLY;
	u32 c, i, bad;

	for (c = 0; c < s->piece.nr; c++) {
		struct hcv_scrub_copy *copy =
			&s->pass.copy[s->piece.link[c]];

		bad = first->bad[c] & second->bad[c];
		for (i = 0; i < HCV_EXTENT_PAGES; i++)
			if (first->seq[i] != second->seq[i])
				bad &= ~BIT(i);
		if (!bad)
			continue;
		spin_lock_irq(&s->lock);
		copy->pages += hweight32(bad);
		if (readonly)
			copy->failed += hweight32(bad);
		spin_unlock_irq(&s->lock);
		hcv_scrub_tell(s, c, "has bad metadata: extent %u, %u page(s) from page %lu on",
			       ext->index, hweight32(bad), __ffs(bad));
		s->wrote |= !readonly;
		for (i = 0; i < HCV_EXTENT_PAGES && !readonly; i++)
			if (bad >> i & 1)
				hcv_map_dirty(&s->vol->map,
					      &ext->slot[i * HCV_PAGE_RECORDS]);
	}
}

/* The first record in use of the extent: it is held while pages are read. */
static bool scrub_pin(struct hcv_scrub *s, u32 *rec, struct hcv_rec *want)
{
	for (*rec = 0; *rec < HCV_EXTENT_RECORDS; (*rec)++) {
		if (!hcv_scrub_peek(s, *rec, want))
			return false;
		if (want->state == HCV_REC_USED)
			return true;
	}
	return false;
}

static int scrub_pages(struct hcv_scrub *s, u32 rec, const struct hcv_rec *want)
{
	struct scrub_hold h = { .nr = 1 };
	struct scrub_pages first, second;
	bool suspect;
	int ret;

	memset(&s->piece, 0, sizeof(s->piece));
	ret = hcv_scrub_hold(s, rec, want, &h);
	if (ret)
		return ret;
	hcv_scrub_copies(s, h.ext);
	suspect = scrub_look_pages(s, h.ext, &first);
	hcv_scrub_release(s, &h);
	if (!suspect || hcv_scrub_over(s))
		return 0;
	hcv_scrub_sleep(s, hcv_scrub_again_ms(&s->pass));
	ret = hcv_scrub_hold(s, rec, want, &h);
	if (ret)
		return ret;
	hcv_scrub_copies(s, h.ext);
	if (scrub_look_pages(s, h.ext, &second) && !hcv_scrub_over(s))
		scrub_judge_pages(s, h.ext, &first, &second);
	hcv_scrub_release(s, &h);
	return 0;
}

int hcv_scrub_step_pages(struct hcv_scrub *s)
{
	struct hcv_rec want;
	u32 rec;
	int ret;

	if (!scrub_pin(s, &rec, &want)) {
		hcv_scrub_pos_skip_ext(&s->pos);
		return 0;
	}
	hcv_scrub_throttle(s, HCV_EXTENT_META_SIZE);
	ret = scrub_pages(s, rec, &want);
	/* The record went meanwhile: another one may keep the extent. */
	if (ret == -ESTALE)
		return 0;
	if (!ret)
		hcv_scrub_pos_next(&s->pos);
	return ret;
}

