// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a scrub reads, and what it makes of it.  See scrub.h.
 */
#include "scrub.h"

#ifdef __KERNEL__
#include <linux/math64.h>
#endif

/* Late by no more than this, a piece counts from when it was due. */
#define PACE_GRAIN_NS	50000000ULL

/* --- the cursor ---------------------------------------------------------- */

static void pos_extent(struct hcv_scrub_pos *pos, u32 ext)
{
	pos->ext = ext;
	pos->rec = 0;
	pos->piece = 0;
	pos->step = HCV_SCRUB_PAGES;
}

void hcv_scrub_pos_begin(struct hcv_scrub_pos *pos, u32 end)
{
	pos->end = end;
	pos_extent(pos, 0);
}

bool hcv_scrub_pos_over(const struct hcv_scrub_pos *pos)
{
	return pos->ext >= pos->end;
}

void hcv_scrub_pos_skip_ext(struct hcv_scrub_pos *pos)
{
	if (!hcv_scrub_pos_over(pos))
		pos_extent(pos, pos->ext + 1);
}

void hcv_scrub_pos_skip_rec(struct hcv_scrub_pos *pos)
{
	if (pos->step == HCV_SCRUB_PAGES) {
		pos->step = HCV_SCRUB_PIECE;
		return;
	}
	pos->piece = 0;
	if (++pos->rec == HCV_EXTENT_SLOTS)
		hcv_scrub_pos_skip_ext(pos);
}

void hcv_scrub_pos_next(struct hcv_scrub_pos *pos)
{
	if (pos->step == HCV_SCRUB_PIECE &&
	    pos->piece + 1U < HCV_SCRUB_PIECES)
		pos->piece++;
	else
		hcv_scrub_pos_skip_rec(pos);
}

u32 hcv_scrub_blocks(const struct hcv_rec *rec, u32 piece)
{
	u32 blk = piece * HCV_SCRUB_BLOCKS;

	if (rec->state != HCV_REC_USED)
		return 0;
	/* Both bits: elsewhere, not in this copy. */
	return (rec->lo[blk / 64] & ~rec->hi[blk / 64]) >> (blk % 64);
}

u32 hcv_scrub_run(u32 blocks, u32 *from)
{
	u32 n = 0;

	while (*from < HCV_SCRUB_BLOCKS && !(blocks >> *from & 1))
		(*from)++;
	while (*from + n < HCV_SCRUB_BLOCKS && blocks >> (*from + n) & 1)
		n++;
	return n;
}

/* --- looks at a piece ---------------------------------------------------- */

/* Copies that gave a block. */
static u32 look_readable(const struct hcv_scrub_look *look, u32 blk)
{
	u32 c, copies = 0;

	for (c = 0; c < HCV_SCRUB_COPIES; c++)
		if (look->got >> c & 1 && !(look->bad[c] >> blk & 1))
			copies |= 1U << c;
	return copies;
}

static u32 lowest(u32 copies)
{
	u32 c = 0;

	while (!(copies >> c & 1))
		c++;
	return c;
}

/* Whether all of @copies gave the same. */
static bool look_agrees(const struct hcv_scrub_look *look, u32 copies, u32 blk)
{
	u32 c;

	for (c = 0; c < HCV_SCRUB_COPIES; c++)
		if (copies >> c & 1 &&
		    look->like[c][blk] != look->like[lowest(copies)][blk])
			return false;
	return true;
}

static void look_block(struct hcv_scrub_look *look, u32 copies, u32 blk,
		       const void *const *buf, u32 bytes)
{
	u32 off = blk * bytes, c, k;

	for (c = 0; c < HCV_SCRUB_COPIES; c++) {
		look->like[c][blk] = c;
		for (k = 0; copies >> c & 1 && k < c; k++) {
			if (!(copies >> k & 1) ||
			    memcmp((const u8 *)buf[c] + off,
				   (const u8 *)buf[k] + off, bytes))
				continue;
			look->like[c][blk] = k;
			break;
		}
	}
}

static void look_sum(struct hcv_scrub_look *look, u32 copies, u32 blk,
		     const void *const *buf, u32 bytes)
{
	u32 c;

	for (c = 0; c < HCV_SCRUB_COPIES; c++)
		look->sum[c][blk] = copies >> c & 1 ?
			crc32c(~0U, (const u8 *)buf[c] + blk * bytes, bytes) :
			0;
}

u32 hcv_scrub_compare(struct hcv_scrub_look *look, u32 blocks,
		      const void *const *buf, u32 bytes, bool sums)
{
	u32 blk, copies, suspects = 0;
	bool same;

	for (blk = 0; blk < HCV_SCRUB_BLOCKS; blk++) {
		if (!(blocks >> blk & 1))
			continue;
		copies = look_readable(look, blk);
		look_block(look, copies, blk, buf, bytes);
		same = copies == look->got && look_agrees(look, copies, blk);
		if (!same)
			suspects |= 1U << blk;
		if (!same || sums)
			look_sum(look, copies, blk, buf, bytes);
	}
	return suspects;
}

/* Copies that gave a block twice, and the same. */
static u32 look_steady(const struct hcv_scrub_look *first,
		       const struct hcv_scrub_look *second, u32 blk)
{
	u32 copies = look_readable(first, blk) & look_readable(second, blk);
	u32 c;

	for (c = 0; c < HCV_SCRUB_COPIES; c++)
		if (first->sum[c][blk] != second->sum[c][blk])
			copies &= ~(1U << c);
	return copies;
}

/* Written between the looks: the first one says nothing of what is there now. */
static void decide_written(const struct hcv_scrub_look *first,
			   const struct hcv_scrub_look *second, u32 judged,
			   u32 blk, struct hcv_scrub_verdict *v)
{
	u32 before = look_readable(first, blk) & judged;
	u32 now = look_readable(second, blk) & judged;
	u32 bit = 1U << blk, src = lowest(now), c;

	v->source[blk] = src;
	if (!look_agrees(first, before, blk) ||
	    !look_agrees(second, now, blk))
		v->changed |= bit;
	for (c = 0; c < HCV_SCRUB_COPIES; c++) {
		if (!(judged >> c & 1))
			continue;
		if (!(before >> c & 1) || !(now >> c & 1))
			v->media[c] |= bit;
		if (!(now >> c & 1) ||
		    second->like[c][blk] != second->like[src][blk])
			v->repair[c] |= bit;
	}
}

static void decide_unwritten(const struct hcv_scrub_look *first,
			     const struct hcv_scrub_look *second, u32 judged,
			     u32 blk, struct hcv_scrub_verdict *v)
{
	u32 steady = look_steady(first, second, blk) & judged;
	u32 now = look_readable(second, blk) & judged;
	u32 bit = 1U << blk, src = lowest(steady ? steady : now), c;

	v->source[blk] = src;
	for (c = 0; c < HCV_SCRUB_COPIES; c++) {
		if (!(judged >> c & 1))
			continue;
		if (!(steady >> c & 1))
			v->media[c] |= bit;
		else if (second->like[c][blk] != second->like[src][blk])
			v->damaged[c] |= bit;
		else
			continue;
		if (c != src)
			v->repair[c] |= bit;
	}
}

void hcv_scrub_decide(const struct hcv_scrub_look *first,
		      const struct hcv_scrub_look *second, u32 blocks,
		      u32 written, struct hcv_scrub_verdict *v)
{
	u32 judged = first->got & second->got, blk, c;

	memset(v, 0, sizeof(*v));
	for (blk = 0; blk < HCV_SCRUB_BLOCKS; blk++) {
		if (!(blocks >> blk & 1))
			continue;
		if (!(look_readable(second, blk) & judged)) {
			if (judged)
				v->lost |= 1U << blk;
			for (c = 0; c < HCV_SCRUB_COPIES; c++)
				if (judged >> c & 1)
					v->media[c] |= 1U << blk;
		} else if (written >> blk & 1) {
			decide_written(first, second, judged, blk, v);
		} else {
			decide_unwritten(first, second, judged, blk, v);
		}
	}
}

/* --- a pass -------------------------------------------------------------- */

/* Blocks of a piece that copy @c gave as often as was asked. */
static u32 piece_covered(const struct hcv_scrub_piece *p, u32 c)
{
	u32 covered = 0;

	if (p->first.got >> c & 1)
		covered |= p->blocks & ~p->suspects;
	if (p->again && p->first.got & p->second.got & (1U << c))
		covered |= p->suspects;
	return covered & ~p->gone;
}

void hcv_scrub_tally(struct hcv_scrub_pass *pass,
		     const struct hcv_scrub_piece *p)
{
	const struct hcv_scrub_verdict *v = &p->verdict;
	u32 damaged = 0, media = 0, blocks = p->blocks & ~p->gone, c;

	for (c = 0; c < p->nr; c++) {
		struct hcv_scrub_copy *copy = &pass->copy[p->link[c]];
		u32 covered = piece_covered(p, c);

		copy->covered += hweight32(covered);
		copy->missed += hweight32(blocks & ~covered);
		if (!p->again)
			continue;
		copy->damaged += hweight32(v->damaged[c]);
		copy->media += hweight32(v->media[c]);
		copy->repaired += hweight32(v->repair[c] & p->done[c]);
		copy->failed += hweight32(v->repair[c] & ~p->done[c]) +
				hweight32(v->lost & v->media[c]);
		damaged |= v->damaged[c];
		media |= v->media[c];
	}
	pass->read += hweight32(blocks);
	if (!p->again)
		return;
	pass->changed += hweight32(v->changed);
	pass->damaged += hweight32(damaged);
	pass->media += hweight32(media);
	pass->lost += hweight32(v->lost);
}

enum hcv_scrub_result hcv_scrub_result(const struct hcv_scrub_copy *copy,
				       bool whole)
{
	if (copy->failed)
		return HCV_SCRUBBED_BAD;
	if (!whole || copy->left || copy->missed)
		return HCV_SCRUBBED_UNCOVERED;
	return HCV_SCRUBBED_GOOD;
}

u32 hcv_scrub_again_ms(struct hcv_scrub_pass *pass)
{
	u32 ms = min(HCV_SCRUB_AGAIN_MS,
		     HCV_SCRUB_PATIENCE_MS - pass->waited_ms);

	pass->waited_ms += ms;
	return ms;
}

/* --- the rate ------------------------------------------------------------ */

/* When the next piece may begin. */
static u64 pace_due(const struct hcv_scrub_pace *pace, u32 kibps)
{
	if (!kibps)
		return pace->at_ns;
	return pace->at_ns + div_u64((pace->bytes * 1000000000ULL) >> 10, kibps);
}

u64 hcv_scrub_wait_ns(const struct hcv_scrub_pace *pace, u32 kibps, u64 now_ns)
{
	u64 due = pace_due(pace, kibps);

	return due > now_ns ? due - now_ns : 0;
}

void hcv_scrub_paced(struct hcv_scrub_pace *pace, u32 kibps, u64 now_ns,
		     u64 bytes)
{
	u64 due = pace_due(pace, kibps);

	pace->at_ns = due < now_ns && now_ns - due <= PACE_GRAIN_NS ? due :
								      now_ns;
	pace->bytes = bytes;
}
