// SPDX-License-Identifier: GPL-2.0-only
/*
 * The activity log at work: histories of a small volume, step by random step.
 *
 * Two or three replicas with volatile caches, their owner, and the metadata
 * store.  A step is one I/O of one replica, one move of the owner, one change of
 * the record, or a fault: a link that gives an error while what it was sent may
 * still land, a power cut of one replica or of all, torn pages of metadata and log,
 * the end of the owner.  After that a new owner takes over from some of the in-
 * sync replicas that it can reach.  The table and the bytes of the log are the real
 * ones (log.c, format.c); what owner and replicas do around them is as in the module,
 * with 8 mibs of one block, and a log with room for half of them.
 * Checked:
 *   - what was flushed is there, or something later;
 *   - what was found or read once is found from then on, whoever is the source;
 *   - all in-sync replicas are equal wherever no write is under way;
 *   - the log never names more than it has room for, and a copy that comes back
 *     gets nothing but what was named or written since it left.
 * Then rules are left out, one at a time: each time some history goes wrong.
 */
#include "log_sim.h"

/* --- I/O ------------------------------------------------------------------ */

static void hcv_t_legs_end(struct hcv_t_sim *s, struct hcv_t_op *op);

/* The owner is told, unless it is another one by now. */
static void hcv_t_told(struct hcv_t_sim *s, struct hcv_t_bio *b, bool ok)
{
	struct hcv_t_op *op = &s->o.op[b->op];

	switch (b->kind) {
	case HCV_T_DATA:
		op->strong += ok && hcv_t_strong(s->o.link[b->rep]);
		if (!--op->pending)
			hcv_t_legs_end(s, op);
		break;
	case HCV_T_LOG:
		s->o.lg.fail |= !ok;
		s->o.lg.pending--;
		break;
	default:
		s->o.cm.fail |= !ok;
		s->o.cm.pending--;
	}
}

static void hcv_t_fail(struct hcv_t_sim *s, u32 rep)
{
	enum hcv_t_link *link = &s->o.link[rep];
	u32 i;

	if (!hcv_t_writable(*link))
		return;
	*link = *link == HCV_T_INSYNC &&
		hcv_t_links(s, BIT(HCV_T_INSYNC)) == 1 ? HCV_T_LOST :
							 HCV_T_FAILING;
	s->lost += *link == HCV_T_LOST;
	for (i = 0; i < HCV_T_BIOS; i++) {
		struct hcv_t_bio *b = &s->bio[i];

		if (!b->kind || b->rep != rep || b->orphan)
			continue;
		b->orphan = true;
		hcv_t_told(s, b, false);
	}
}

static void hcv_t_bio_step(struct hcv_t_sim *s)
{
	struct hcv_t_bio *b = &s->bio[hcv_t_rnd(s, HCV_T_BIOS)];
	u32 i;

	/* The next one that is in use. */
	for (i = 0; i < HCV_T_BIOS && !b->kind; i++)
		b = b == s->bio ? s->bio + HCV_T_BIOS - 1 : b - 1;
	if (!b->kind || (b->slow && hcv_t_rnd(s, 24)))
		return;
	if (b->orphan && b->kind == HCV_T_FLUSH) {
		b->kind = HCV_T_FREE;
		return;
	}
	if (!b->orphan && !s->calm &&
	    !hcv_t_rnd(s, b->kind == HCV_T_LOG ? 25 : 150)) {
		hcv_t_fail(s, b->rep);
		return;
	}
	hcv_t_land(s, b);
	if (!b->orphan)
		hcv_t_told(s, b, true);
	b->kind = HCV_T_FREE;
}

/* --- guest ---------------------------------------------------------------- */

static void hcv_t_op_end(struct hcv_t_sim *s, struct hcv_t_op *op, u32 val)
{
	struct hcv_t_model *b = &s->mib[op->mib];

	b->val = val;
	b->op = op->nr;
	op->stage = HCV_T_IDLE;
	s->reserved &= ~BIT(op->mib);
}

static void hcv_t_legs(struct hcv_t_sim *s, struct hcv_t_op *op)
{
	struct hcv_t_bio *b;
	u32 r;

	op->pending = 0;
	op->strong = 0;
	op->legs = 0;
	if (!hcv_t_links(s, BIT(HCV_T_INSYNC) | BIT(HCV_T_JOINING)))
		return;
	for (r = 0; r < s->nr_reps; r++) {
		if (!hcv_t_writable(s->o.link[r]))
			continue;
		b = hcv_t_send(s, r, HCV_T_DATA, op->mib);
		b->op = op - s->o.op;
		b->val = HCV_T_VALUE(op->nr, op->mib);
		op->pending++;
		op->legs |= BIT(r);
	}
	op->sent = true;
	op->stage = HCV_T_LEGS;
}

/* hcv_io_submit(): once more, from the beginning. */
static void hcv_t_submit(struct hcv_t_sim *s, struct hcv_t_op *op)
{
	op->ret = s->o.ret;
	s->o.cur |= BIT(op->mib);
	if (!(s->o.logged & BIT(op->mib))) {
		s->misses += !(s->o.want & BIT(op->mib));
		s->o.want |= BIT(op->mib);
		if (s->mut != HCV_T_DATA_FIRST)
			return;
	}
	if (!op->discard) {
		hcv_t_legs(s, op);
		return;
	}
	s->o.present &= ~BIT(op->mib);
	s->o.dirty |= BIT(op->mib / 2);
	hcv_t_op_end(s, op, 0);
}

/* io_verdict(), and what comes of it. */
static void hcv_t_ack(struct hcv_t_sim *s, struct hcv_t_op *op)
{
	u32 m = op->mib;

	op->stage = HCV_T_HOLD;
	if (hcv_t_closed(s)) {
		hcv_t_stamp(s, BIT(m));
		return;
	}
	if (op->ret != s->o.ret) {
		hcv_t_stamp(s, BIT(m));
		op->stage = HCV_T_WAIT;
		return;
	}
	s->o.cur |= BIT(m);
	s->o.present |= BIT(m);
	s->o.stamp[m] = s->o.v;
	s->o.dirty |= BIT(m / 2);
	hcv_t_op_end(s, op, HCV_T_VALUE(op->nr, m));
}

static void hcv_t_legs_end(struct hcv_t_sim *s, struct hcv_t_op *op)
{
	s->o.cur |= BIT(op->mib);
	if (op->strong) {
		hcv_t_ack(s, op);
		return;
	}
	hcv_t_stamp(s, BIT(op->mib));
	op->stage = HCV_T_WAIT;
}

static void hcv_t_guest(struct hcv_t_sim *s)
{
	struct hcv_t_op *op = &s->o.op[hcv_t_rnd(s, HCV_T_OPS)];
	u32 m = hcv_t_rnd(s, HCV_T_MIBS), r;

	if (s->o.life != HCV_T_SERVING)
		return;
	if (op->stage == HCV_T_WAIT && (!op->sent || !hcv_t_rnd(s, 6)))
		hcv_t_submit(s, op);
	if (op->stage == HCV_T_HOLD)
		hcv_t_ack(s, op);
	/* Some mibs are written more often than others. */
	if (hcv_t_rnd(s, 3))
		m %= 3;
	if (op->stage != HCV_T_IDLE || s->reserved & BIT(m))
		return;
	*op = (struct hcv_t_op) {
		.stage = HCV_T_WAIT, .mib = m, .nr = ++s->ops,
		.discard = !hcv_t_rnd(s, 6),
	};
	if (op->discard)
		s->mib[m].zero_op = op->nr;
	s->reserved |= BIT(m);
	s->writes++;
	for (r = 0; r < s->nr_reps; r++)
		if (!hcv_t_strong(s->o.link[r]))
			s->differ[r] |= BIT(m);
	hcv_t_submit(s, op);
}

/* --- log ------------------------------------------------------------------ */

static bool hcv_t_drop(void *arg, u32 mib)
{
	struct hcv_t_sim *s = arg;
	u32 used = s->o.cur | s->o.flushing, i;

	/* New in this batch: nobody relies on it, somebody is about to. */
	if (!(s->o.logged & BIT(mib)))
		return false;
	if (s->mut == HCV_T_DROP_UNFLUSHED)
		used = 0;
	for (i = 0; i < HCV_T_OPS; i++) {
		struct hcv_t_op *op = &s->o.op[i];

		if (op->stage == HCV_T_WAIT ? op->sent && s->mut !=
					      HCV_T_DROP_UNSURE :
		    op->stage != HCV_T_IDLE && s->mut != HCV_T_DROP_IN_FLIGHT)
			used |= BIT(op->mib);
	}
	if (used & BIT(mib))
		return false;
	s->o.logged &= ~BIT(mib);
	s->evicted++;
	return true;
}

static u32 hcv_t_log_place(struct hcv_t_sim *s, u32 pg, u64 *seq)
{
	u32 place = hcv_log_next(s->log, pg, seq);

	return s->mut == HCV_T_ONE_PLACE ? 0 : place;
}

static void hcv_t_log_image(struct hcv_t_sim *s, u32 rep, u32 pg, u32 place,
			    u64 seq)
{
	struct hcv_t_bio *b = hcv_t_send(s, rep, HCV_T_LOG,
					 HCV_T_LOG_ITEM(pg, place));

	hcv_log_encode(s->log, pg, place, seq, b->buf);
}

static void hcv_t_log_send(struct hcv_t_sim *s)
{
	u32 pg, r, place;

	s->o.lg.active = true;
	s->o.lg.fail = false;
	s->o.lg.ret = s->o.ret;
	s->o.lg.pages = hcv_log_dirty(s->log);
	for (pg = 0; pg < HCV_T_LOGP; pg++) {
		if (!(s->o.lg.pages & BIT(pg)))
			continue;
		place = hcv_t_log_place(s, pg, &s->o.lg.seq[pg]);
		for (r = 0; r < s->nr_reps; r++) {
			if (!hcv_t_strong(s->o.link[r]))
				continue;
			hcv_t_log_image(s, r, pg, place, s->o.lg.seq[pg]);
			s->o.lg.pending++;
		}
	}
}

static void hcv_t_log_end(struct hcv_t_sim *s)
{
	bool good = !s->o.lg.fail && !hcv_t_closed(s) &&
		    s->o.lg.ret == s->o.ret;
	u32 pg;

	s->voids += !good;
	if (s->mut == HCV_T_VOID_GOOD)
		good = true;
	for (pg = 0; pg < HCV_T_LOGP; pg++)
		if (s->o.lg.pages & BIT(pg))
			hcv_log_sent(s->log, pg, s->o.lg.seq[pg], good);
	s->o.lg.active = false;
	if (!good)
		return;
	s->o.logged |= s->o.lg.batch;
	s->o.want &= ~s->o.lg.batch;
}

static void hcv_t_log_step(struct hcv_t_sim *s)
{
	u32 m, r;

	if (s->o.lg.active) {
		if (!s->o.lg.pending)
			hcv_t_log_end(s);
		return;
	}
	s->o.want &= ~s->o.logged;
	if (s->o.life != HCV_T_SERVING || !s->o.want || hcv_t_closed(s))
		return;
	for (r = 0; r < s->nr_reps; r++)
		if (s->o.sync[r].adopt)
			return;
	s->o.lg.batch = 0;
	for (m = 0; m < HCV_T_MIBS; m++) {
		if (!(s->o.want & BIT(m)))
			continue;
		if (hcv_log_add(s->log, m, hcv_t_drop, s)) {
			s->full++;
			s->o.cm.wanted = true;
			break;
		}
		s->o.lg.batch |= BIT(m);
	}
	if (s->o.lg.batch)
		hcv_t_log_send(s);
}

static void hcv_t_name(void *arg, u32 mib)
{
	u32 *named = arg;

	*named |= BIT(mib);
}

static u32 hcv_t_log_read(struct hcv_t_sim *s, u32 rep,
			  struct hcv_log_found *found)
{
	u32 named = 0;

	hcv_log_read(s->med[rep].log[1], HCV_T_VOL, HCV_T_LINEAGE, found,
		     hcv_t_name, &named);
	s->o.sync[rep].newest = found->newest;
	if (s->mut == HCV_T_NEWEST_FIRST)
		s->o.sync[rep].newest = ~found->newest;
	return named;
}

/*
 * One place of all pages, durable: that of the newest valid image last.
 * Return: false: cut in the middle.
 */
static bool hcv_t_log_all(struct hcv_t_sim *s, u32 rep, bool last)
{
	struct hcv_t_med *m = &s->med[rep];
	u32 pg, place, item;

	for (pg = 0; pg < HCV_T_LOGP; pg++) {
		place = (s->o.sync[rep].newest >> pg & 1) ^ !last;
		item = HCV_T_LOG_ITEM(pg, place);
		hcv_log_encode(s->log, pg, place, s->log->page[pg].pos.seq,
			       hcv_t_log_at(m, 1, item));
		m->cached[item] = true;
		if (s->mut == HCV_T_JOIN_CACHED)
			continue;
		if (!s->calm && !hcv_t_rnd(s, 20))
			return false;
		hcv_t_move(m, item, 1, 0);
	}
	return true;
}

/* --- FLUSH rounds --------------------------------------------------------- */

static void hcv_t_cm_send(struct hcv_t_sim *s, u32 pages)
{
	u32 r, pg;

	for (r = 0; r < s->nr_reps; r++) {
		enum hcv_t_link state = s->o.link[r];

		if (state == HCV_T_FAILING || state == HCV_T_LOST)
			s->o.cm.fail = true;
		if (!hcv_t_writable(state))
			continue;
		if (!pages) {
			hcv_t_send(s, r, HCV_T_FLUSH, 0);
			s->o.cm.pending++;
		}
		for (pg = 0; pg < HCV_T_PGS; pg++) {
			if (!(pages & BIT(pg)))
				continue;
			if (state == HCV_T_SYNCING &&
			    !(s->o.sync[r].done & BIT(pg)))
				continue;
			hcv_t_send(s, r, HCV_T_PAGE,
				   HCV_T_PAGE_ITEM(pg, s->o.cm.place[pg]))->img =
				s->o.cm.img[pg];
			s->o.cm.pending++;
		}
	}
}

static void hcv_t_cm_copy(struct hcv_t_sim *s, u32 pg)
{
	struct hcv_t_img *img = &s->o.cm.img[pg];
	u32 i;

	s->o.cm.place[pg] = hcv_map_page_next(&s->o.pos[pg],
					      &s->o.cm.seq[pg]);
	*img = (struct hcv_t_img) {
		.epoch = s->o.epoch, .seq = s->o.cm.seq[pg],
	};
	for (i = 0; i < 2; i++) {
		img->present[i] = s->o.present >> (2 * pg + i) & 1;
		img->stamp[i] = s->o.stamp[2 * pg + i];
	}
}

static void hcv_t_cm_begin(struct hcv_t_sim *s)
{
	u32 pg, m;

	s->o.cm.begun++;
	s->o.cm.wanted = false;
	s->o.cm.fail = false;
	s->o.cm.closed = hcv_t_closed(s);
	s->o.cm.v = s->o.v;
	s->o.flushing |= s->o.cur;
	s->o.cur = 0;
	for (m = 0; m < HCV_T_MIBS; m++)
		s->o.cm.snap[m] = s->mib[m].op;
	s->o.cm.pages = s->o.dirty;
	s->o.dirty = 0;
	for (pg = 0; pg < HCV_T_PGS; pg++)
		if (s->o.cm.pages & BIT(pg))
			hcv_t_cm_copy(s, pg);
	s->o.cm.stage = HCV_T_C_DATA;
	hcv_t_cm_send(s, 0);
}

static void hcv_t_cm_end(struct hcv_t_sim *s)
{
	bool good;
	u32 pg, m;

	for (pg = 0; pg < HCV_T_PGS; pg++) {
		if (!(s->o.cm.pages & BIT(pg)))
			continue;
		if (s->o.cm.stage != HCV_T_C_DATA)
			hcv_map_page_sent(&s->o.pos[pg], s->o.cm.seq[pg],
					  s->o.cm.place[pg], !s->o.cm.fail);
		if (s->o.cm.fail)
			s->o.dirty |= BIT(pg);
	}
	good = !s->o.cm.fail && !s->o.cm.closed && s->o.cm.v == s->o.v;
	if (!good && s->mut != HCV_T_DROP_VOID)
		s->o.cur |= s->o.flushing;
	s->o.flushing = 0;
	s->o.cm.stage = HCV_T_C_IDLE;
	if (!good)
		return;
	s->o.cm.good = s->o.cm.begun;
	/* A FLUSH is acknowledged when the gate is open. */
	for (m = 0; m < HCV_T_MIBS && !hcv_t_closed(s); m++)
		s->mib[m].flushed = max(s->mib[m].flushed, s->o.cm.snap[m]);
}

static void hcv_t_cm_step(struct hcv_t_sim *s)
{
	if (s->o.cm.stage == HCV_T_C_IDLE) {
		/* Now and then, or when it is asked for. */
		if (s->o.life == HCV_T_STAMPING ||
		    (s->o.life == HCV_T_SERVING &&
		     (s->o.cm.wanted || !hcv_t_rnd(s, 4))))
			hcv_t_cm_begin(s);
		return;
	}
	if (s->o.cm.pending)
		return;
	if (s->mut == HCV_T_DROP_EARLY)
		s->o.flushing = 0;
	if (s->o.cm.fail || s->o.cm.stage == HCV_T_C_LAST ||
	    (s->o.cm.stage == HCV_T_C_DATA && !s->o.cm.pages)) {
		hcv_t_cm_end(s);
		return;
	}
	hcv_t_cm_send(s, s->o.cm.stage == HCV_T_C_DATA ? s->o.cm.pages : 0);
	s->o.cm.stage++;
}

/* --- replicas that leave and come back ------------------------------------ */

static void hcv_t_cut_one(struct hcv_t_sim *s, u32 rep);
static void hcv_t_cut_all(struct hcv_t_sim *s);

/* The agent takes a store out of the set, and tells the module. */
static void hcv_t_remove(struct hcv_t_sim *s, u32 rep)
{
	if (s->o.link[rep] != HCV_T_FAILING)
		return;
	if (s->rec[rep] != HCV_T_R_STALE) {
		if (!(hcv_t_in_set(s) & ~BIT(rep)))
			return;
		s->rec[rep] = HCV_T_R_STALE;
		s->v++;
		/* The word may reach the module later, or never. */
		if (hcv_t_rnd(s, 2))
			return;
	}
	if (s->v <= s->o.v)
		s->v++;
	s->o.v = s->v;
	hcv_t_stamp(s, s->o.cur | s->o.flushing);
	s->differ[rep] |= s->o.cur | s->o.flushing | s->reserved;
	s->o.link[rep] = HCV_T_OUT;
}

static void hcv_t_return(struct hcv_t_sim *s, u32 rep)
{
	if (s->o.link[rep] == HCV_T_LOST) {
		hcv_t_drain(s, rep);
		s->o.link[rep] = HCV_T_INSYNC;
		s->o.ret++;
		return;
	}
	if (s->o.link[rep] != HCV_T_OUT || s->rec[rep] != HCV_T_R_STALE)
		return;
	s->rec[rep] = HCV_T_R_SYNCING;
	s->v++;
	hcv_t_drain(s, rep);
	s->o.sync[rep] = (struct hcv_t_sync) { };
	s->o.link[rep] = HCV_T_SYNCING;
}

static void hcv_t_joined(struct hcv_t_sim *s, u32 rep)
{
	u32 r;

	if (s->o.link[rep] != HCV_T_JOINING)
		return;
	if (s->rec[rep] == HCV_T_R_SYNCING) {
		s->rec[rep] = HCV_T_R_INSYNC;
		s->v++;
		/* The word may come later, and the worst moment is now. */
		if (!s->calm && !hcv_t_rnd(s, 10))
			hcv_t_cut_all(s);
		if (hcv_t_rnd(s, 2) || s->o.life == HCV_T_DOWN)
			return;
	}
	s->o.v = s->v;
	hcv_t_stamp(s, s->o.cur | s->o.flushing);
	s->o.link[rep] = HCV_T_INSYNC;
	s->joins++;
	/* link_decide(): it is not the last one any more. */
	for (r = 0; r < s->nr_reps; r++)
		if (s->o.link[r] == HCV_T_LOST)
			s->o.link[r] = HCV_T_FAILING;
}

/* A mib of a copy that is on its way in; false: not now. */
static bool hcv_t_sync_mib(struct hcv_t_sim *s, u32 rep, u32 m)
{
	const struct hcv_t_img *img;
	struct hcv_pagepos pos;
	bool lost;
	u32 i, src;

	img = hcv_t_newest(s, &s->med[rep], m / 2, &pos, &lost);

	for (i = 0; i < HCV_T_OPS; i++) {
		struct hcv_t_op *op = &s->o.op[i];

		/* What has no leg to it is waited for, and what is busy. */
		if ((op->stage == HCV_T_LEGS || op->stage == HCV_T_HOLD) &&
		    (op->mib == m || !(op->legs & BIT(rep))))
			return false;
	}
	for (src = 0; src < s->nr_reps; src++)
		if (s->o.link[src] == HCV_T_INSYNC)
			break;
	if (src == s->nr_reps)
		return false;
	s->compared++;
	if (!(s->o.present & BIT(m)) ||
	    (img && img->present[m % 2] && img->stamp[m % 2] == s->o.stamp[m]))
		return true;
	/* A torn page, on its way in before, may have an older one left. */
	if (!(s->differ[rep] & BIT(m)) &&
	    !s->med[rep].page[1][m / 2][0].bad &&
	    !s->med[rep].page[1][m / 2][1].bad)
		hcv_t_wrong(s, "a mib is copied that nobody named");
	s->copied++;
	s->med[rep].data[1][m] = s->med[src].data[1][m];
	s->med[rep].cached[m] = true;
	return true;
}

/* The log that it joins with, before anybody may elect it. */
static void hcv_t_adopt(struct hcv_t_sim *s, u32 rep)
{
	struct hcv_t_sync *y = &s->o.sync[rep];

	if (s->o.lg.active && !y->adopt)
		return;
	/* One write of both places: either may be there first. */
	if (!y->adopt)
		y->newest = s->v;
	if (s->mut != HCV_T_JOIN_BARE && y->adopt < 2) {
		if (!hcv_t_log_all(s, rep, y->adopt))
			hcv_t_cut_one(s, rep);
		else
			y->adopt++;
		return;
	}
	y->adopt = 0;
	s->o.link[rep] = HCV_T_JOINING;
	s->differ[rep] = 0;
}

/* The next mib of a copy; a page that is equal is flushed. */
static void hcv_t_sync_step(struct hcv_t_sim *s, u32 rep)
{
	struct hcv_t_sync *y = &s->o.sync[rep];
	u32 pg = y->at / 2;

	if (s->o.link[rep] != HCV_T_SYNCING) {
		y->adopt = 0;
		return;
	}
	if (pg == HCV_T_PGS) {
		if (s->o.cm.good > y->round)
			hcv_t_adopt(s, rep);
		return;
	}
	if (!hcv_t_sync_mib(s, rep, y->at) || ++y->at / 2 == pg)
		return;
	hcv_t_settle(&s->med[rep]);
	y->done |= BIT(pg);
	s->o.dirty |= BIT(pg);
	y->round = s->o.cm.begun;
}

/* --- crashes and take-over ------------------------------------------------ */

static void hcv_t_crash(struct hcv_t_sim *s)
{
	u32 i;

	for (i = 0; i < HCV_T_BIOS; i++)
		s->bio[i].orphan = true;
	/* Of a write that waited for its entry a stamp may be all there is. */
	for (i = 0; i < s->nr_reps; i++)
		s->differ[i] |= (s->o.cur | s->o.flushing) & ~s->o.logged;
	s->o = (struct hcv_t_owner) { };
	s->reserved = 0;
	s->crashes++;
}

static void hcv_t_cut_one(struct hcv_t_sim *s, u32 rep)
{
	bool last;

	hcv_t_fail(s, rep);
	last = s->o.link[rep] == HCV_T_LOST;
	hcv_t_cut(s, rep);
	/* Another incarnation: the volume has to be attached anew. */
	if (last)
		hcv_t_crash(s);
}

static void hcv_t_cut_all(struct hcv_t_sim *s)
{
	u32 r;

	hcv_t_crash(s);
	for (r = 0; r < s->nr_reps; r++)
		hcv_t_cut(s, r);
}

/* What a new owner finds must be flushed, or later; from now on it stays. */
static void hcv_t_found(struct hcv_t_sim *s, u32 m, u32 val)
{
	struct hcv_t_model *b = &s->mib[m];
	u32 op = val == b->base ? b->base_op : val / HCV_T_MIBS;

	if (!val && b->zero_op >= b->flushed)
		op = b->zero_op;
	if (op < b->flushed || (val && val % HCV_T_MIBS != m))
		hcv_t_wrong(s, "something flushed or found before is gone");
	b->base = val;
	b->base_op = ++s->ops;
	b->val = val;
	b->op = b->base_op;
	b->flushed = b->base_op;
	b->zero_op = 0;
}

static void hcv_t_load(struct hcv_t_sim *s, u32 src)
{
	struct hcv_t_med *med = &s->med[src];
	const struct hcv_t_img *img;
	bool lost;
	u32 m;

	for (m = 0; m < HCV_T_MIBS; m++) {
		img = hcv_t_newest(s, med, m / 2, &s->o.pos[m / 2], &lost);
		if (lost)
			hcv_t_wrong(s, "a metadata page is lost");
		if (img && img->present[m % 2]) {
			s->o.present |= BIT(m);
			s->o.stamp[m] = img->stamp[m % 2];
		}
		hcv_t_found(s, m, s->o.present & BIT(m) ? med->data[1][m] : 0);
	}
}

/* Whose log a new owner reads. */
static u32 hcv_t_named(struct hcv_t_sim *s, u32 src)
{
	struct hcv_log_found found;
	struct hcv_log_look look;
	u32 named, r = src, pg;

	if (s->mut == HCV_T_STALE_LOG)
		for (r = 0; r < s->nr_reps - 1 && s->rec[r] == HCV_T_R_INSYNC;)
			r++;
	named = hcv_t_log_read(s, r, &found);
	if (r != src)
		hcv_t_log_read(s, src, &found);
	if (found.lost)
		hcv_t_wrong(s, "a page of the log is lost");
	if (found.entries > HCV_T_LOGP * HCV_T_PER)
		hcv_t_wrong(s, "the log names more than it has room for");
	hcv_log_init(s->log, HCV_T_VOL, HCV_T_LINEAGE, s->epoch, HCV_T_LOGP,
		     HCV_T_PER);
	for (pg = 0; pg < HCV_T_LOGP; pg++)
		s->log->page[pg].pos = (struct hcv_pagepos) {
			.seq = found.seq + 1, .kept = true,
		};
	s->named += hweight_long(named);
	memset(&look, 0, sizeof(look));
	hcv_log_look(&look, s->log, &found);
	s->o.adopted = hcv_log_adopt(s->log, &look);
	s->adopted += s->o.adopted;
	return named;
}

static void hcv_t_take_over(struct hcv_t_sim *s)
{
	u32 set = hcv_t_in_set(s), some, src, named, r;

	for (r = 0; r < s->nr_reps; r++)
		hcv_t_drain(s, r);
	/* Those that answered, and one of them is the source. */
	some = set & (1 + hcv_t_rnd(s, BIT(s->nr_reps) - 1));
	src = hcv_t_pick(s, some ? some : set);
	s->epoch++;
	s->v += 2;
	s->o = (struct hcv_t_owner) { .epoch = s->epoch, .v = s->v };
	hcv_t_settle(&s->med[src]);
	hcv_t_load(s, src);
	for (r = 0; r < s->nr_reps; r++)
		s->rec[r] = r == src ? HCV_T_R_INSYNC : HCV_T_R_STALE;
	named = hcv_t_named(s, src);
	for (r = 0; r < s->nr_reps; r++)
		s->differ[r] |= r == src ? 0 : named;
	s->o.link[src] = HCV_T_INSYNC;
	s->o.cur = named;
	if (s->mut != HCV_T_NO_STAMP)
		hcv_t_stamp(s, named);
	s->o.life = s->mut == HCV_T_EMPTY_FIRST ? HCV_T_EMPTYING :
						  HCV_T_STAMPING;
	s->takeovers++;
}

/* A new owner's way to serving. */
static void hcv_t_start(struct hcv_t_sim *s)
{
	u32 src, pg;

	for (src = 0; src < s->nr_reps; src++)
		if (s->o.link[src] == HCV_T_INSYNC)
			break;
	if (s->o.life == HCV_T_STAMPING) {
		if (s->o.cm.good && s->o.cm.stage == HCV_T_C_IDLE)
			s->o.life = s->o.adopted ? HCV_T_SERVING :
						   HCV_T_EMPTYING;
		return;
	}
	if (src == s->nr_reps)
		return;
	if (!hcv_t_log_all(s, src, s->o.life == HCV_T_EMPTIED)) {
		hcv_t_cut_one(s, src);
		return;
	}
	s->o.life++;
	for (pg = 0; pg < HCV_T_LOGP && s->o.life == HCV_T_SERVING; pg++)
		s->log->page[pg].dirty = false;
}

/* --- histories ------------------------------------------------------------ */

/* What an in-sync replica says of a mib that nobody is about to change. */
static void hcv_t_check(struct hcv_t_sim *s)
{
	u32 r, m, val;

	for (r = 0; r < s->nr_reps; r++) {
		if (!hcv_t_strong(s->o.link[r]))
			continue;
		for (m = 0; m < HCV_T_MIBS; m++) {
			val = s->o.present & BIT(m) ? s->med[r].data[1][m] : 0;
			if (!(s->reserved & BIT(m)) && val != s->mib[m].val)
				hcv_t_wrong(s, "an in-sync replica differs");
		}
	}
}

static void hcv_t_fault(struct hcv_t_sim *s)
{
	u32 what = hcv_t_rnd(s, 50);

	if (what < 2)
		hcv_t_fail(s, hcv_t_rnd(s, s->nr_reps));
	else if (what < 4)
		hcv_t_cut_one(s, hcv_t_rnd(s, s->nr_reps));
	else if (what < 7)
		hcv_t_cut_all(s);
	else if (what < 10)
		hcv_t_crash(s);
}

/* The agent looks at a store. */
static void hcv_t_agent(struct hcv_t_sim *s, u32 rep)
{
	hcv_t_remove(s, rep);
	hcv_t_return(s, rep);
	hcv_t_joined(s, rep);
}

static void hcv_t_step(struct hcv_t_sim *s)
{
	u32 what = hcv_t_rnd(s, 100), rep = hcv_t_rnd(s, s->nr_reps);

	hcv_t_bio_step(s);
	if (s->o.life == HCV_T_DOWN)
		hcv_t_take_over(s);
	else if (s->o.life != HCV_T_SERVING && what < 50)
		hcv_t_start(s);
	else if (what < 25)
		hcv_t_bio_step(s);
	else if (what < 40)
		hcv_t_guest(s);
	else if (what < 52)
		hcv_t_log_step(s);
	else if (what < 66)
		hcv_t_cm_step(s);
	else if (what < 80)
		hcv_t_agent(s, rep);
	else if (what < 98)
		hcv_t_sync_step(s, rep);
	else if (!s->calm)
		hcv_t_fault(s);
	hcv_t_check(s);
}

/* Without faults everybody is in-sync again in the end, and empty-handed. */
static void hcv_t_calm(struct hcv_t_sim *s)
{
	u32 i, all = BIT(s->nr_reps) - 1;

	s->calm = true;
	for (i = 0; i < 20000 && !s->why; i++) {
		hcv_t_step(s);
		if (hcv_t_in_set(s) == all &&
		    hcv_t_links(s, BIT(HCV_T_INSYNC)) == s->nr_reps)
			return;
	}
	hcv_t_wrong(s, "no progress");
}

static void hcv_t_history(struct hcv_t_sim *s, u32 seed)
{
	u32 r, i;

	s->rnd = seed * 2654435761U | 1;
	s->why = NULL;
	s->calm = false;
	s->ops = 0;
	s->epoch = 0;
	s->v = 1;
	s->nr_reps = 2 + seed % 2;
	s->o = (struct hcv_t_owner) { };
	s->reserved = 0;
	memset(s->mib, 0, sizeof(s->mib));
	memset(s->differ, 0, sizeof(s->differ));
	memset(s->bio, 0, sizeof(s->bio));
	for (r = 0; r < HCV_T_REPS; r++) {
		memset(&s->med[r], 0, sizeof(s->med[r]));
		s->rec[r] = HCV_T_R_INSYNC;
	}
	for (i = 0; i < HCV_T_STEPS && !s->why; i++)
		hcv_t_step(s);
	hcv_t_calm(s);
}

static const u32 hcv_t_parts[] = { 0, 1, 2, 3 };

static void hcv_t_part_desc(const u32 *part, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "part %u", *part);
}

KUNIT_ARRAY_PARAM(hcv_t_parts, hcv_t_parts, hcv_t_part_desc);

static void hcv_log_sim(struct kunit *test)
{
	u32 nr = hcv_t_histories(), i, seed;
	struct hcv_t_sim *s = hcv_t_new(test, HCV_T_NONE);

	for (i = 0; i < nr; i++) {
		seed = *(const u32 *)test->param_value * nr + i +
		       hcv_t_seed_add() + 1;
		hcv_t_history(s, seed);
		KUNIT_ASSERT_TRUE_MSG(test, !s->why, "seed %u: %s", seed,
				      s->why);
		cond_resched();
	}
	kunit_info(test, "%u histories: %llu take-overs, %llu power cuts, %llu torn blocks, %llu writes, %llu misses, %llu entries dropped, %llu times full, %llu void log writes, %llu times the last replica lost, %llu joins; named %llu mibs, compared %llu, copied %llu; %llu logs adopted\n",
		   nr, s->takeovers, s->cuts, s->torn, s->writes, s->misses,
		   s->evicted, s->full, s->voids, s->lost, s->joins, s->named,
		   s->compared, s->copied, s->adopted);
	KUNIT_EXPECT_GT(test, s->takeovers, (u64)nr);
	KUNIT_EXPECT_GT(test, s->adopted, (u64)nr / 4);
	KUNIT_EXPECT_GT(test, s->joins, (u64)nr);
	KUNIT_EXPECT_GT(test, s->evicted, (u64)nr);
	KUNIT_EXPECT_GT(test, s->full, 0ULL);
	KUNIT_EXPECT_GT(test, s->voids, 0ULL);
	KUNIT_EXPECT_GT(test, s->lost, 0ULL);
}

static const struct hcv_t_left_out {
	enum hcv_t_mut mut;
	const char *name;
	u32 from;	/* rare ones: a seed from which on it does not take long */
} hcv_t_left_outs[] = {
	{ HCV_T_DATA_FIRST, "data before the entry" },
	{ HCV_T_NO_FUA, "an entry in the cache" },
	{ HCV_T_DROP_UNFLUSHED, "dropped before data are flushed" },
	{ HCV_T_DROP_EARLY, "dropped before pages are flushed" },
	{ HCV_T_DROP_IN_FLIGHT, "dropped under a write" },
	{ HCV_T_DROP_UNSURE, "dropped under an unsure write", 3640 },
	{ HCV_T_DROP_VOID, "dropped by a void round" },
	{ HCV_T_VOID_GOOD, "an entry that one replica lacks", 15470 },
	{ HCV_T_ONE_PLACE, "pages written in place", 1610 },
	{ HCV_T_NO_STAMP, "named mibs not stamped" },
	{ HCV_T_EMPTY_FIRST, "emptied before stamps are durable" },
	{ HCV_T_NEWEST_FIRST, "emptied in any order" },
	{ HCV_T_JOIN_BARE, "joined without the log" },
	{ HCV_T_JOIN_CACHED, "joined with a cached log" },
	{ HCV_T_STALE_LOG, "the log of a stale copy" },
};

static void hcv_t_left_out_desc(const struct hcv_t_left_out *p, char *desc)
{
	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(hcv_t_left_outs, hcv_t_left_outs, hcv_t_left_out_desc);

/* A rule is left out, and some history must go wrong. */
static void hcv_log_sim_rules(struct kunit *test)
{
	const struct hcv_t_left_out *p = test->param_value;
	struct hcv_t_sim *s = hcv_t_new(test, p->mut);
	u32 i;

	for (i = p->from; i < p->from + 20000 && !s->why; i++) {
		hcv_t_history(s, i);
		cond_resched();
	}
	KUNIT_EXPECT_TRUE(test, s->why);
	kunit_info(test, "%s: seed %u: %s\n", p->name, i - 1, s->why);
}

static struct kunit_case hcv_log_sim_cases[] = {
	KUNIT_CASE_PARAM(hcv_log_sim, hcv_t_parts_gen_params),
	KUNIT_CASE_PARAM(hcv_log_sim_rules, hcv_t_left_outs_gen_params),
	{ }
};

static struct kunit_suite hcv_log_sim_suite = {
	.name = "hcv_log_sim",
	.test_cases = hcv_log_sim_cases,
};

kunit_test_suite(hcv_log_sim_suite);
