/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * State and media of map_sim_test.c.  Included once.
 */
#ifndef HCV_CORE_MAP_SIM_H
#define HCV_CORE_MAP_SIM_H

#include "map_test.h"
#include "map_priv.h"

#define HCV_T_STEPS	2000	/* of a volume's life */
#define HCV_T_GENS	4
#define HCV_T_MIBS	24	/* that are written, 12 in each column */
#define HCV_T_ALL	2048	/* of the volume; the others fill the extents */
#define HCV_T_BASE	3	/* two in column 0, one in column 1 */
#define HCV_T_EXTS	5	/* and one in each that comes and goes */
#define HCV_T_FREE	48	/* data slots left to each column, at most */
#define HCV_T_FLIGHT	6
#define HCV_T_IMAGES	(HCV_T_EXTS * HCV_EXTENT_PAGES)

/* A value names its operation and its block, 0 is zeroes. */
#define HCV_T_VALUE(op, idx, blk)	((op) << 13 | (idx) << 8 | (blk))
#define HCV_T_OWNER(val)		((val) & 0x1fff)
#define HCV_T_OP(val)			((val) >> 13)

/* The data of a slot, as its medium's cache and the medium itself have them. */
struct hcv_t_data {
	u32 now[HCV_SLOT_BLOCKS];
	u32 dur[HCV_SLOT_BLOCKS];
	bool cached;
};

struct hcv_t_place {
	u8 now[HCV_BLOCK_SIZE] __aligned(8);
	u8 dur[HCV_BLOCK_SIZE] __aligned(8);
	bool cached;
};

struct hcv_t_media {
	struct hcv_t_data slot[HCV_EXTENT_SLOTS];
	struct hcv_t_place page[HCV_EXTENT_PAGES][2];
};

/* What may be read of a block: now, and after a power cut. */
struct hcv_t_block {
	u32 val;	/* newest, and the operation that made it */
	u32 op;
	u32 snap;	/* the same when the running round began */
	u32 snap_op;
	u32 flushed;	/* the same when the last good round began */
	u32 flushed_op;
	u32 zero_op;	/* newest operation that made it zero */
	bool busy;
};

struct hcv_t_mib {
	struct hcv_t_block at[HCV_SLOT_BLOCKS];
};

struct hcv_t_flight {
	struct hcv_slot *slot;
	u32 op;
	u32 idx;
	u32 blk;
	u32 nr;		/* 0: not in use */
};

struct hcv_t_image {
	struct hcv_ext *ext;
	u32 page;
	u64 seq;
	u8 place;
	u8 *buf;
};

enum hcv_t_stage {
	HCV_T_IDLE,
	HCV_T_COPY,
	HCV_T_FLUSH,
	HCV_T_PAGES,
	HCV_T_END,
};

/* A replica that left: what its medium has. */
struct hcv_t_left {
	bool valid;
	struct hcv_rec rec[HCV_T_EXTS][HCV_EXTENT_RECORDS];
	u32 data[HCV_T_EXTS][HCV_EXTENT_SLOTS][HCV_SLOT_BLOCKS];
};

struct hcv_t_sim {
	struct kunit *test;
	u32 rnd;
	u32 op;
	u32 nr_gens;
	u64 epoch;
	u64 v;
	struct hcv_map map;
	struct hcv_ext *ext[HCV_T_EXTS];	/* NULL: not in the map */
	bool row[HCV_T_EXTS];	/* the volume has it, as its owner's agent knows */
	struct hcv_t_media *media[HCV_T_EXTS];
	struct hcv_t_mib blk[HCV_T_GENS + 1][HCV_T_MIBS];	/* as of a generation */
	struct hcv_t_flight flight[HCV_T_FLIGHT];
	struct hcv_t_left *left;
	struct hcv_rec (*loaded)[HCV_EXTENT_RECORDS];
	bool filler[HCV_T_ALL];
	bool filled;
	u32 nr_free;
	enum hcv_t_stage stage;
	struct llist_node *leaves;
	struct hcv_slot *freed;
	struct hcv_slot *draining;
	struct hcv_ext *todo[HCV_T_EXTS];
	u32 nr_todo;
	u32 next;
	struct hcv_t_image image[HCV_T_IMAGES];
	u32 nr_images;
	u32 crashes, races, compared, full, dups, reaped, upgraded;
	u32 retired, given_back;
};

static inline u32 hcv_t_rnd(struct hcv_t_sim *s, u32 below)
{
	s->rnd ^= s->rnd << 13;
	s->rnd ^= s->rnd >> 17;
	s->rnd ^= s->rnd << 5;
	return s->rnd % below;
}

static inline u32 hcv_t_mib(u32 idx)
{
	return idx * 80 + (idx & 1);
}

/* What a mib is now, as writes see it. */
static inline struct hcv_t_block *hcv_t_now(struct hcv_t_sim *s, u32 idx)
{
	return s->blk[s->nr_gens][idx].at;
}

static inline struct hcv_t_data *hcv_t_data(struct hcv_t_sim *s, struct hcv_slot *slot)
{
	return &s->media[hcv_map_slot_ext(slot)->index]->slot[slot->rec];
}

/* Whatever has completed is on the medium now. */
static inline void hcv_t_flush(struct hcv_t_sim *s)
{
	struct hcv_t_place *p;
	struct hcv_t_data *d;
	u32 e, i;

	for (e = 0; e < HCV_T_EXTS; e++) {
		for (i = 0; i < HCV_EXTENT_SLOTS; i++) {
			d = &s->media[e]->slot[i];
			if (d->cached)
				memcpy(d->dur, d->now, sizeof(d->dur));
			d->cached = false;
		}
		for (i = 0; i < 2 * HCV_EXTENT_PAGES; i++) {
			p = &s->media[e]->page[i / 2][i % 2];
			if (p->cached)
				memcpy(p->dur, p->now, sizeof(p->dur));
			p->cached = false;
		}
	}
}

static inline void hcv_t_cut_page(struct hcv_t_sim *s, struct hcv_t_place *p)
{
	/* Kept, lost, or torn between two sectors. */
	if (p->cached && hcv_t_rnd(s, 3))
		memcpy(p->dur, p->now, hcv_t_rnd(s, 2) ? HCV_BLOCK_SIZE :
		       512 * (1 + hcv_t_rnd(s, 7)));
	memcpy(p->now, p->dur, sizeof(p->now));
	p->cached = false;
}

static inline void hcv_t_cut(struct hcv_t_sim *s)
{
	struct hcv_t_flight *f;
	struct hcv_t_data *d;
	u32 e, i, k;

	for (i = 0; i < HCV_T_FLIGHT; i++) {
		f = &s->flight[i];
		d = f->nr ? hcv_t_data(s, f->slot) : NULL;
		for (k = f->blk; d && k < f->blk + f->nr; k++) {
			d->cached = true;
			if (hcv_t_rnd(s, 2))
				d->now[k] = HCV_T_VALUE(f->op, f->idx, k);
		}
		f->nr = 0;
	}
	for (e = 0; e < HCV_T_EXTS; e++) {
		for (i = 0; i < HCV_EXTENT_SLOTS; i++) {
			d = &s->media[e]->slot[i];
			for (k = 0; d->cached && k < HCV_SLOT_BLOCKS; k++) {
				if (hcv_t_rnd(s, 2))
					d->dur[k] = d->now[k];
				d->now[k] = d->dur[k];
			}
			d->cached = false;
		}
		for (i = 0; i < 2 * HCV_EXTENT_PAGES; i++)
			hcv_t_cut_page(s, &s->media[e]->page[i / 2][i % 2]);
	}
}

/* The newest valid place, as load.c finds it; NULL: none was written. */
static inline const u8 *hcv_t_newest(struct hcv_t_sim *s, u32 e, u32 page,
				     struct hcv_pagepos *pos)
{
	u64 epoch, seq, best_epoch = 0;
	const u8 *best = NULL, *buf;
	struct hcv_page_id id;
	u32 place;
	int ret;

	*pos = (struct hcv_pagepos) { };
	for (place = 0; place < 2; place++) {
		buf = s->media[e]->page[page][place].dur;
		hcv_t_page_id(&id, e, page, place);
		ret = hcv_fmt_page_check(buf, &id, &epoch, &seq);
		KUNIT_ASSERT_TRUE(s->test, !ret || ret == -ENODATA ||
				  ret == -EBADMSG);
		if (ret || (best && !hcv_fmt_page_newer(epoch, seq, best_epoch,
							pos->seq)))
			continue;
		best = buf;
		best_epoch = epoch;
		pos->seq = seq;
		pos->place = place;
		pos->kept = true;
	}
	return best;
}

#endif /* HCV_CORE_MAP_SIM_H */
