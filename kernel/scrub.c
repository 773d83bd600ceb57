// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scrub: compares the in-sync replicas of an attached volume in the background.
 *
 * core/scrub.c decides; this file reads, waits and writes.  One worker a volume
 * goes through the extents.  A piece is read from all copies under its busy
 * bits, so that nothing of it is in flight anywhere.  If it has suspects, the
 * bits are let go, a watch notes who takes them for a write, and a little later
 * the suspects are read again under the bits; what is to be repaired is written
 * before they are given back.
 *
 * A repair is a write like any other: the activity log names the mib before (I6),
 * and it is marked unflushed before and after, so that a FLUSH round makes it
 * durable, and a copy that leaves meanwhile, or refuses it, does not compare equal
 * when it is back.
 *
 * While a replica is failing, lost, or on its way in, the pass waits.
 */
#include <linux/ktime.h>
#include <linux/slab.h>

#include "actlog.h"
#include "hotslot.h"
#include "netlink.h"
#include "scrub.h"
#include "scrub_priv.h"
#include "trace.h"
#include "volume.h"

#define SCRUB_WAIT_MAX_NS	NSEC_PER_SEC
#define SCRUB_MEMORY_MS		100U
/* Older reads are waited for so long with the blocks, then without them. */
#define SCRUB_DRAIN_MS		1000U
/* Asked for again then: the log may be full, or have lost a replica. */
#define SCRUB_NAME_JIF		HZ
/* So many findings of a pass are told one by one; all are counted. */
#define SCRUB_TELL_MAX		16U

static_assert(HCV_SCRUB_COPIES == HCV_MAX_REPLICAS);
static_assert(HCV_SCRUB_LINKS == HCV_MAX_LINKS);

static struct workqueue_struct *scrub_wq;

bool hcv_scrub_over(struct hcv_scrub *s)
{
	return READ_ONCE(s->stop) || READ_ONCE(s->vol->failed);
}

/* I/O runs, no replica is failing, or on its way in, and the leases last. */
static bool scrub_quiet(struct hcv_vol *vol)
{
	u32 i;

	if (!rcu_access_pointer(vol->ref) ||
	    (s64)ktime_get_boottime_ns() >= READ_ONCE(vol->lease_end_ns))
		return false;
	for (i = 0; i < READ_ONCE(vol->nr_links); i++) {
		u8 state = READ_ONCE(vol->link[i]->state);

		if (state != HCV_LINK_INSYNC && state != HCV_LINK_OUT)
			return false;
	}
	return true;
}

static void scrub_set_state(struct hcv_scrub *s, u8 state)
{
	spin_lock_irq(&s->lock);
	WRITE_ONCE(s->state, state);
	spin_unlock_irq(&s->lock);
}

static void scrub_yield(struct hcv_scrub *s)
{
	if (scrub_quiet(s->vol))
		return;
	scrub_set_state(s, HCV_SCRUB_PAUSED);
	/* Each change of a link's state kicks the volume, and the tick does. */
	wait_event_idle(s->vol->wait,
			hcv_scrub_over(s) || scrub_quiet(s->vol));
	scrub_set_state(s, HCV_SCRUB_RUNNING);
}

/* Under a period, and until there is one PAUSED.  Return: 0; -EIO: it is over. */
static int scrub_enter(struct hcv_scrub *s, struct hcv_ioref **ref)
{
	while (!hcv_scrub_over(s)) {
		if (hcv_vol_try_enter(s->vol, ref))
			return 0;
		scrub_yield(s);
		cond_resched();
	}
	return -EIO;
}

/* A link came or went since the piece under way was begun. */
static bool scrub_moved(struct hcv_scrub *s)
{
	struct hcv_vol *vol = s->vol;
	bool moved;

	if (!scrub_quiet(vol))
		return true;
	/* After the states: one that came back is seen in-sync, and counted. */
	spin_lock_irq(&vol->lock);
	moved = vol->insync_seq != s->insync_seq;
	spin_unlock_irq(&vol->lock);
	return moved;
}

void hcv_scrub_sleep(struct hcv_scrub *s, u32 ms)
{
	wait_event_idle_timeout(s->vol->wait, hcv_scrub_over(s),
				msecs_to_jiffies(ms));
}

/* Until the next piece is due. */
void hcv_scrub_throttle(struct hcv_scrub *s, u32 bytes)
{
	u32 kibps;
	u64 ns;

	for (;;) {
		kibps = READ_ONCE(s->kibps);
		ns = hcv_scrub_wait_ns(&s->pace, kibps,
				       ktime_get_boottime_ns());
		if (!ns || hcv_scrub_over(s))
			break;
		ns = min_t(u64, ns, SCRUB_WAIT_MAX_NS);
		wait_event_idle_timeout(s->vol->wait, hcv_scrub_over(s) ||
					READ_ONCE(s->kibps) != kibps,
					nsecs_to_jiffies(ns) + 1);
	}
	hcv_scrub_paced(&s->pace, kibps, ktime_get_boottime_ns(), bytes);
}

/* --- records ------------------------------------------------------------- */

/* An extent's record as it is now; the extent may go at once.  False: none. */
bool hcv_scrub_peek(struct hcv_scrub *s, u32 rec, struct hcv_rec *out)
{
	struct hcv_ext *ext;

	rcu_read_lock();
	ext = hcv_map_ext_find(&s->vol->map, s->pos.ext);
	if (ext)
		hcv_map_record(ext, rec, out);
	rcu_read_unlock();
	return ext;
}

void hcv_scrub_release(struct hcv_scrub *s, struct scrub_hold *h)
{
	hcv_hot_unlock(s->vol, h->hot, h->blk, h->nr);
	if (!h->ref)
		return;
	hcv_zero_reap(s->vol, h->mib);
	hcv_vol_leave(h->ref);
}

int hcv_scrub_hold(struct hcv_scrub *s, u32 rec, const struct hcv_rec *want,
		   struct scrub_hold *h)
{
	struct hcv_vol *vol = s->vol;
	int ret;

	h->mib = want->mib;
	do {
		ret = scrub_enter(s, &h->ref);
		if (ret)
			return ret;
		ret = hcv_hot_lock_sync(vol, want->mib, h->blk, h->nr, &s->stop,
					&h->hot);
		if (ret)
			hcv_vol_leave(h->ref);
		if (ret == -ENOMEM)
			hcv_scrub_sleep(s, SCRUB_MEMORY_MS);
	} while (ret == -ENOMEM);
	if (ret)
		return ret;
	rcu_read_lock();
	h->ext = hcv_map_ext_find(&vol->map, s->pos.ext);
	if (h->ext)
		hcv_map_record(h->ext, rec, &h->rec);
	rcu_read_unlock();
	if (h->ext && h->rec.state == HCV_REC_USED &&
	    h->rec.mib == want->mib && h->rec.seq == want->seq)
		return 0;
	hcv_scrub_release(s, h);
	return -ESTALE;
}

/* --- reading ------------------------------------------------------------- */

/*
 * A remote store that refused may have refused because its gate is closed.
 * Bounded: without an answer the beacons' patience fails the link.
 */
static bool scrub_proved(struct hcv_scrub *s, struct hcv_link *link, s64 since)
{
	while (!link->local &&
	       !wait_event_timeout(s->vol->wait, hcv_scrub_over(s) ||
				   READ_ONCE(link->state) != HCV_LINK_INSYNC ||
				   hcv_lease_proved(link, since),
				   msecs_to_jiffies(HCV_BEACON_MS)))
		;
	return !hcv_scrub_over(s) && READ_ONCE(link->state) == HCV_LINK_INSYNC;
}

int hcv_scrub_read(struct hcv_scrub *s, struct hcv_link *link,
		   sector_t sector, void *buf, u32 nr)
{
	s64 since = ktime_get_boottime_ns();
	int ret;

	if (hcv_scrub_over(s))
		return -ENOLINK;
	ret = hcv_link_rw(link, REQ_OP_READ, sector, buf,
			  nr << HCV_BLOCK_SHIFT);
	if (!ret)
		return 0;
	if (ret == -ECANCELED || !hcv_link_read_error(link, ret))
		return -ENOLINK;
	/* Of more than one each will be asked for by itself. */
	return nr > 1 || scrub_proved(s, link, since) ? -EIO : -ENOLINK;
}

/* The block of the slot with which the piece begins. */
static u32 scrub_base(const struct hcv_scrub *s)
{
	return s->pos.piece * HCV_SCRUB_BLOCKS;
}

/*
 * @blocks of the piece from one copy.
 * Return: 0, -ENOLINK: it is away, -EAGAIN: some cannot be read.  A device may
 * take long to say so, hence the others are not kept meanwhile: block by block.
 */
static int scrub_read_copy(struct hcv_scrub *s, struct scrub_hold *h, u32 c,
			   u32 blocks, struct hcv_scrub_look *look)
{
	struct hcv_link *link = s->vol->link[s->piece.link[c]];
	u32 from = 0, nr;
	sector_t data;
	int ret;

	if (READ_ONCE(link->state) != HCV_LINK_INSYNC ||
	    !hcv_ext_place(h->ext, link, &data))
		return -ENOLINK;
	while ((nr = hcv_scrub_run(blocks, &from))) {
		ret = hcv_scrub_read(s, link, data +
				hcv_slot_sector(s->pos.rec,
						scrub_base(s) + from),
				s->buf[c] + (from << HCV_BLOCK_SHIFT), nr);
		if (ret == -EIO && !s->single)
			return -EAGAIN;
		if (ret == -EIO)
			look->bad[c] |= BIT(from);
		else if (ret)
			return ret;
		from += nr;
	}
	return 0;
}

/* Return: 0, -EAGAIN: anew, block by block. */
static int scrub_look(struct hcv_scrub *s, struct scrub_hold *h, u32 blocks,
		      struct hcv_scrub_look *look, bool second, u32 *suspects)
{
	int ret;
	u32 c;

	memset(look, 0, sizeof(*look));
	for (c = 0; c < s->piece.nr && !hcv_scrub_over(s); c++) {
		ret = scrub_read_copy(s, h, c, blocks, look);
		if (ret == -EAGAIN)
			return ret;
		if (!ret)
			look->got |= BIT(c);
	}
	*suspects = hcv_scrub_compare(look, blocks,
				      (const void *const *)s->buf,
				      HCV_BLOCK_SIZE, second);
	return 0;
}

/* --- repair and report --------------------------------------------------- */

/* A finding on one store. */
void hcv_scrub_tell(struct hcv_scrub *s, u32 c, const char *fmt, ...)
{
	struct hcv_link *link = s->vol->link[s->piece.link[c]];
	struct hcv_vol *vol = s->vol;
	struct hcv_nl_event ev = {
		.event = HCV_EVENT_SCRUB_FOUND,
		.vol = &vol->uuid,
		.store = &link->store,
		.epoch = vol->epoch,
	};
	char text[128];
	va_list args;

	if (s->told++ >= SCRUB_TELL_MAX)
		return;
	va_start(args, fmt);
	vscnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	hcv_vol_warn(vol, "scrub: store %pUb %s%s\n", &link->store, text,
		     s->told == SCRUB_TELL_MAX ?
		     "; further findings are counted only" : "");
	ev.text = text;
	hcv_nl_send_event(&ev);
}

static void scrub_tell_bits(struct hcv_scrub *s, u32 c, const char *what,
			    u32 mib, u32 bits)
{
	if (bits)
		hcv_scrub_tell(s, c, "%s: MiB %u, %u block(s) from block %lu on",
			       what, mib, hweight32(bits),
			       scrub_base(s) + __ffs(bits));
}

static void scrub_report(struct hcv_scrub *s, u32 mib)
{
	const struct hcv_scrub_piece *p = &s->piece;
	const struct hcv_scrub_verdict *v = &p->verdict;
	u32 c;

	trace_hcv_scrub_piece(s->vol, mib, s->pos.piece, p);
	for (c = 0; c < p->nr; c++) {
		scrub_tell_bits(s, c, "differs from the elected replica", mib,
				v->damaged[c]);
		scrub_tell_bits(s, c, "cannot be read, or not twice the same",
				mib, v->media[c]);
		scrub_tell_bits(s, c, "was not repaired", mib,
				v->repair[c] & ~p->done[c]);
	}
}

/* Write to one copy what the verdict says; -errno of the first failure. */
static int scrub_write_copy(struct hcv_scrub *s, struct scrub_hold *h, u32 c)
{
	struct hcv_scrub_piece *p = &s->piece;
	struct hcv_link *link = s->vol->link[p->link[c]];
	sector_t data;
	u32 blk;
	int ret;

	if (!hcv_ext_place(h->ext, link, &data))
		return -ECANCELED;
	for (blk = 0; blk < HCV_SCRUB_BLOCKS; blk++) {
		if (!(p->verdict.repair[c] >> blk & 1))
			continue;
		/* Whoever took the volume over has closed the gates, too. */
		if (hcv_scrub_over(s) || (s64)ktime_get_boottime_ns() >=
				     READ_ONCE(s->vol->lease_end_ns))
			return -ECANCELED;
		ret = hcv_link_rw(link, REQ_OP_WRITE | REQ_SYNC, data +
				  hcv_slot_sector(s->pos.rec,
						  scrub_base(s) + blk),
				  s->buf[p->verdict.source[blk]] +
				  (blk << HCV_BLOCK_SHIFT), HCV_BLOCK_SIZE);
		/* It may land late, so its handles must die, as for any write. */
		if (ret && ret != -ECANCELED)
			hcv_link_fail(link, -ret, "scrub repair");
		if (ret)
			return ret;
		p->done[c] |= BIT(blk);
	}
	return 0;
}

/*
 * Reads that were sent before the bits were taken may be under way to what is
 * to be written.  They end: who waits for bits counts in no period, but for a
 * resync.  There was none when our caller looked, with our own count in a period
 * that one which began since then waits for: it takes no bits before we have let
 * go of that, and the period that we wait for has been killed by then.
 *
 * Not for long: one of them may be stuck at a device, and what waits for the
 * agent's word counts in that period as well.
 * Return: 0, -ESTALE: a link came or went, the volume is held, or it took too
 * long; -ENOMEM; -EIO: it is over.
 */
static int scrub_drain(struct hcv_scrub *s, struct scrub_hold *h)
{
	struct hcv_vol *vol = s->vol;
	u32 period;
	int ret;

	ret = hcv_vol_drain(vol, NULL, &period);
	if (ret)
		return ret;
	/* A suspend waits for it; no blocks are held while that lasts. */
	hcv_vol_leave(h->ref);
	if (!hcv_vol_try_enter(vol, &h->ref))
		return hcv_scrub_over(s) ? -EIO : -ESTALE;
	wait_event_idle_timeout(vol->wait, hcv_vol_period_over(vol, period) ||
				hcv_scrub_over(s),
				msecs_to_jiffies(SCRUB_DRAIN_MS));
	if (hcv_scrub_over(s))
		return -EIO;
	return hcv_vol_period_over(vol, period) && !scrub_moved(s) ? 0 :
								     -ESTALE;
}

/* The activity log names the mib, or the volume keeps none. */
static bool scrub_named(struct hcv_scrub *s, u32 mib)
{
	return !(s->vol->flags & HCV_VOL_F_LOG) ||
	       hcv_map_is_logged(&s->vol->map, mib);
}

/* Have it named.  Return: 0, -EIO: it cannot be. */
static int scrub_name(struct hcv_scrub *s, u32 mib)
{
	if (!s->asked_ns)
		s->asked_ns = ktime_get_boottime_ns();
	return hcv_actlog_ask(s->vol, mib, s->asked_ns);
}

/* No blocks are held; whatever came of it, the piece is taken anew. */
static void scrub_wait_named(struct hcv_scrub *s, u32 mib)
{
	wait_event_idle_timeout(s->vol->wait, hcv_scrub_over(s) ||
				scrub_named(s, mib), SCRUB_NAME_JIF);
}

/*
 * Under the busy bits of the second look.
 * Return: 0, also when a copy refused, or the log; otherwise nothing was written:
 * -EBUSY: the log is to name the mib first; scrub_drain().
 */
static int scrub_repair(struct hcv_scrub *s, struct scrub_hold *h)
{
	struct hcv_map *map = &s->vol->map;
	bool failed = false;
	struct hcv_leaf *leaf;
	u32 c;
	int ret;

	for (c = 0; c < s->piece.nr && !s->piece.verdict.repair[c]; c++)
		;
	if (c == s->piece.nr || s->vol->flags & HCV_VOL_F_READONLY)
		return 0;
	/* Not dropped as long as the bits are held. */
	if (!scrub_named(s, h->mib))
		return scrub_name(s, h->mib) ? 0 : -EBUSY;
	ret = scrub_drain(s, h);
	if (ret)
		return ret;
	s->wrote = true;
	rcu_read_lock();
	leaf = hcv_map_leaf(map, h->rec.mib);
	rcu_read_unlock();
	hcv_map_mark(map, leaf, h->rec.mib);
	for (; c < s->piece.nr; c++)
		if (s->piece.verdict.repair[c] && scrub_write_copy(s, h, c))
			failed = true;
	/* A round may have ended since the first mark. */
	hcv_map_mark(map, leaf, h->rec.mib);
	if (failed)
		hcv_map_stamp(map, &h->ext->slot[s->pos.rec]);
	return 0;
}

/* --- pieces -------------------------------------------------------------- */

/* Which copies there are to be, in the order of reads. */
void hcv_scrub_copies(struct hcv_scrub *s, struct hcv_ext *ext)
{
	struct hcv_reps *reps;
	u32 i;

	rcu_read_lock();
	reps = hcv_reps(ext);
	s->piece.nr = reps->nr;
	for (i = 0; i < reps->nr; i++)
		s->piece.link[i] = reps->rep[i].link;
	rcu_read_unlock();
}

/* @mask: blocks of which the bits are held.  Return: see scrub_look(). */
static int scrub_first(struct hcv_scrub *s, struct scrub_hold *h, u32 mask)
{
	struct hcv_scrub_piece *p = &s->piece;
	int ret;

	hcv_scrub_copies(s, h->ext);
	p->blocks = hcv_scrub_blocks(&h->rec, s->pos.piece) & mask;
	ret = scrub_look(s, h, p->blocks, &p->first, false, &p->suspects);
	if (ret || !p->suspects)
		return ret;
	hcv_hot_watch(h->hot, &s->watch);
	/* In time for the second look, should something be repaired then. */
	if (hweight32(p->first.got) > 1 && !scrub_named(s, h->mib) &&
	    !(s->vol->flags & HCV_VOL_F_READONLY))
		scrub_name(s, h->mib);
	return 0;
}

/* Before the second look; what was refused is asked for again at once. */
static void scrub_wait_again(struct hcv_scrub *s)
{
	struct hcv_scrub_piece *p = &s->piece;
	u32 c, refused = 0;

	for (c = 0; c < p->nr; c++)
		refused |= p->first.bad[c];
	if (p->suspects & ~refused)
		hcv_scrub_sleep(s, hcv_scrub_again_ms(&s->pass));
}

/* Which of the piece's blocks were taken for a write since the first look. */
static u32 scrub_written(struct hcv_scrub *s)
{
	u32 i, written = 0;

	for (i = 0; i < HCV_SCRUB_BLOCKS; i++)
		if (test_bit(scrub_base(s) + i, s->watch.written))
			written |= BIT(i);
	return written;
}

/*
 * Return: 0; -ESTALE, -EBUSY, -ENOMEM: all of it anew, a little later; -EAGAIN:
 * block by block; -EIO: it is over.
 */
static int scrub_second(struct hcv_scrub *s, struct scrub_hold *h)
{
	struct hcv_scrub_piece *p = &s->piece;
	u32 blocks = hcv_scrub_blocks(&h->rec, s->pos.piece) & p->suspects;
	u32 again;
	int ret;

	hcv_hot_unwatch(&s->watch);
	p->gone = p->suspects & ~blocks;
	ret = scrub_look(s, h, blocks, &p->second, true, &again);
	if (ret)
		return ret;
	if (hcv_scrub_over(s))
		return 0;
	/* A copy that went may have come back as another one. */
	if (scrub_moved(s))
		return -ESTALE;
	hcv_scrub_decide(&p->first, &p->second, blocks, scrub_written(s),
			 &p->verdict);
	ret = scrub_repair(s, h);
	if (ret)
		return ret;
	/* Cut short: that was not looked at, rather than not repaired. */
	p->again = !hcv_scrub_over(s);
	s->pace.bytes += (u64)hweight32(blocks) << HCV_BLOCK_SHIFT;
	return 0;
}

/*
 * Look at a piece that has data; @mask: all of it, or one block.
 * Return: 0, -ESTALE: anew; -EIO: it is over.
 */
static int scrub_piece(struct hcv_scrub *s, const struct hcv_rec *want,
		       u32 mask)
{
	struct scrub_hold h = {
		.blk = scrub_base(s) + (s->single ? __ffs(mask) : 0),
		.nr = s->single ? 1 : HCV_SCRUB_BLOCKS,
	};
	struct hcv_scrub_piece *p = &s->piece;
	int ret;

	memset(p, 0, sizeof(*p));
	ret = hcv_scrub_hold(s, s->pos.rec, want, &h);
	if (ret)
		return ret;
	spin_lock_irq(&s->vol->lock);
	s->insync_seq = s->vol->insync_seq;
	spin_unlock_irq(&s->vol->lock);
	ret = scrub_first(s, &h, mask);
	hcv_scrub_release(s, &h);
	/* One that failed just now may stay, or go: first that. */
	if (!ret && scrub_moved(s))
		ret = -ESTALE;
	if (p->suspects && !ret) {
		scrub_wait_again(s);
		ret = hcv_scrub_hold(s, s->pos.rec, want, &h);
		if (!ret) {
			ret = scrub_second(s, &h);
			hcv_scrub_release(s, &h);
		}
	}
	hcv_hot_unwatch(&s->watch);
	if (ret == -EBUSY) {
		scrub_wait_named(s, want->mib);
		return -ESTALE;
	}
	s->asked_ns = 0;
	if (ret == -ENOMEM) {
		hcv_scrub_sleep(s, SCRUB_MEMORY_MS);
		ret = -ESTALE;
	}
	if (ret == -EAGAIN) {
		s->single = true;
		s->at = 0;
		ret = -ESTALE;
	}
	/* Its record is another one by now, or replicas come and go. */
	if (ret == -ESTALE)
		return ret;
	spin_lock_irq(&s->lock);
	hcv_scrub_tally(&s->pass, p);
	spin_unlock_irq(&s->lock);
	if (p->again)
		scrub_report(s, want->mib);
	return ret;
}

/* Of the blocks of a piece those that are looked at together, from s->at on. */
static u32 scrub_part(const struct hcv_scrub *s, u32 blocks)
{
	u32 from = s->at;

	if (!s->single)
		return blocks;
	return hcv_scrub_run(blocks, &from) ? BIT(from) : 0;
}

static int scrub_step_piece(struct hcv_scrub *s)
{
	struct hcv_rec want;
	u32 blocks;
	int ret;

	if (!hcv_scrub_peek(s, s->pos.rec, &want)) {
		s->single = false;
		hcv_scrub_pos_skip_ext(&s->pos);
		return 0;
	}
	if (want.state != HCV_REC_USED) {
		s->single = false;
		hcv_scrub_pos_skip_rec(&s->pos);
		return 0;
	}
	blocks = scrub_part(s, hcv_scrub_blocks(&want, s->pos.piece));
	if (blocks) {
		hcv_scrub_throttle(s, hweight32(blocks) << HCV_BLOCK_SHIFT);
		ret = scrub_piece(s, &want, blocks);
		if (ret)
			return ret == -ESTALE ? 0 : ret;
		s->at = __ffs(blocks) + 1;
	}
	if (!s->single || !blocks) {
		s->single = false;
		hcv_scrub_pos_next(&s->pos);
	}
	return 0;
}

/* --- a pass -------------------------------------------------------------- */

/* What was repaired is good when it is durable. */
static int scrub_flush(struct hcv_scrub *s)
{
	struct hcv_ioref *ref;
	int ret = 0;

	while (s->wrote) {
		scrub_yield(s);
		/* Of a volume that is halted nothing is written. */
		if (scrub_enter(s, &ref))
			return -ECANCELED;
		ret = hcv_commit_sync(s->vol, &s->stop);
		hcv_vol_leave(ref);
		if (ret != -ENOMEM)
			break;
		hcv_scrub_sleep(s, SCRUB_MEMORY_MS);
	}
	return ret;
}

static int scrub_run(struct hcv_scrub *s)
{
	int ret;

	while (!hcv_scrub_pos_over(&s->pos)) {
		scrub_yield(s);
		if (hcv_scrub_over(s))
			return -ECANCELED;
		ret = s->pos.step == HCV_SCRUB_PAGES ? hcv_scrub_step_pages(s) :
						       scrub_step_piece(s);
		if (ret)
			return ret;
		cond_resched();
	}
	return scrub_flush(s);
}

static void scrub_free_bufs(struct hcv_scrub *s)
{
	u32 i;

	for (i = 0; i < HCV_SCRUB_COPIES; i++) {
		kvfree(s->buf[i]);
		s->buf[i] = NULL;
	}
}

static int scrub_alloc_bufs(struct hcv_scrub *s)
{
	u32 i;

	for (i = 0; i < HCV_SCRUB_COPIES; i++) {
		s->buf[i] = kvmalloc(SCRUB_PIECE_BYTES, GFP_KERNEL);
		if (!s->buf[i]) {
			scrub_free_bufs(s);
			return -ENOMEM;
		}
	}
	return 0;
}

/* A copy that was not in-sync all along was not read as one. */
static void scrub_note_left(struct hcv_scrub *s)
{
	struct hcv_vol *vol = s->vol;
	u32 i;

	for (i = 0; i < READ_ONCE(vol->nr_links); i++)
		if (READ_ONCE(vol->link[i]->state) != HCV_LINK_INSYNC ||
		    READ_ONCE(vol->link[i]->state_ns) != s->since_ns[i])
			s->pass.copy[i].left = true;
}

static void scrub_fn(struct work_struct *work)
{
	struct hcv_scrub *s = container_of(work, struct hcv_scrub, work);
	struct hcv_vol *vol = s->vol;
	struct hcv_nl_event ev = {
		.event = HCV_EVENT_SCRUB_ENDED,
		.vol = &vol->uuid,
		.epoch = vol->epoch,
	};
	int ret = scrub_run(s);

	scrub_free_bufs(s);
	hcv_vol_info(vol, "scrub %s: %llu blocks read, %llu differed, %llu media errors, %llu lost, %llu changed under write\n",
		     ret ? "stopped" : "done", s->pass.read, s->pass.damaged,
		     s->pass.media, s->pass.lost, s->pass.changed);
	spin_lock_irq(&s->lock);
	scrub_note_left(s);
	s->ended_ns = ktime_get_boottime_ns();
	WRITE_ONCE(s->state, ret ? HCV_SCRUB_STOPPED : HCV_SCRUB_DONE);
	spin_unlock_irq(&s->lock);
	hcv_nl_send_event(&ev);
}

static bool scrub_runs(struct hcv_scrub *s)
{
	u8 state = READ_ONCE(s->state);

	return state == HCV_SCRUB_RUNNING || state == HCV_SCRUB_PAUSED;
}

static struct hcv_scrub *scrub_make(struct hcv_vol *vol)
{
	struct hcv_scrub *s = vol->scrub;

	if (s)
		return s;
	s = kvzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return NULL;
	s->vol = vol;
	spin_lock_init(&s->lock);
	INIT_WORK(&s->work, scrub_fn);
	/* Pairs with hcv_scrub_show(). */
	smp_store_release(&vol->scrub, s);
	return s;
}

static void scrub_begin(struct hcv_scrub *s, u32 kibps)
{
	struct hcv_vol *vol = s->vol;
	u32 i;

	memset(&s->pace, 0, sizeof(s->pace));
	s->told = 0;
	s->wrote = false;
	s->single = false;
	s->asked_ns = 0;
	WRITE_ONCE(s->kibps, kibps);
	spin_lock_irq(&s->lock);
	memset(&s->pass, 0, sizeof(s->pass));
	s->total = vol->map.used_slots * HCV_SLOT_BLOCKS;
	s->begun_ns = ktime_get_boottime_ns();
	s->ended_ns = 0;
	for (i = 0; i < HCV_MAX_LINKS; i++) {
		s->since_ns[i] = i < vol->nr_links ?
				 READ_ONCE(vol->link[i]->state_ns) : 0;
		/* Links that come later were not there for all of it. */
		s->pass.copy[i].left = i >= vol->nr_links;
	}
	s->nr++;
	WRITE_ONCE(s->state, HCV_SCRUB_RUNNING);
	spin_unlock_irq(&s->lock);
	hcv_scrub_pos_begin(&s->pos, vol->map.next_index);
	WRITE_ONCE(s->stop, false);
	queue_work(scrub_wq, &s->work);
}

/* vol->mutex held. */
static int scrub_start(struct hcv_vol *vol, u32 kibps,
		       struct netlink_ext_ack *extack)
{
	struct hcv_scrub *s;
	int ret;

	if (vol->state != HCV_VOL_ACTIVE && vol->state != HCV_VOL_SUSPENDED) {
		NL_SET_ERR_MSG(extack, "the volume is not active");
		return -EBUSY;
	}
	s = scrub_make(vol);
	if (!s)
		return -ENOMEM;
	if (scrub_runs(s)) {
		if (READ_ONCE(s->stop)) {
			NL_SET_ERR_MSG(extack, "the pass before is just ending");
			return -EBUSY;
		}
		WRITE_ONCE(s->kibps, kibps);
		wake_up_all(&vol->wait);
		return 0;
	}
	/* It has said so; this is about its last steps. */
	flush_work(&s->work);
	ret = scrub_alloc_bufs(s);
	if (!ret)
		scrub_begin(s, kibps);
	return ret;
}

int hcv_scrub_start(struct hcv_vol *vol, u32 kibps,
		    struct netlink_ext_ack *extack)
{
	int ret;

	mutex_lock(&vol->mutex);
	ret = hcv_vol_alive(vol, extack);
	if (!ret)
		ret = scrub_start(vol, kibps, extack);
	mutex_unlock(&vol->mutex);
	return ret;
}

void hcv_scrub_stop(struct hcv_vol *vol)
{
	mutex_lock(&vol->mutex);
	if (vol->scrub)
		WRITE_ONCE(vol->scrub->stop, true);
	wake_up_all(&vol->wait);
	mutex_unlock(&vol->mutex);
}

void hcv_scrub_end(struct hcv_vol *vol)
{
	hcv_scrub_stop(vol);
	/* None begins any more, and one that did is seen here. */
	if (vol->scrub)
		flush_work(&vol->scrub->work);
}

void hcv_scrub_free(struct hcv_vol *vol)
{
	kvfree(vol->scrub);
}

bool hcv_scrub_show(struct hcv_vol *vol, struct hcv_scrub_show *show)
{
	/* Pairs with scrub_make(). */
	struct hcv_scrub *s = smp_load_acquire(&vol->scrub);

	if (!s)
		return false;
	spin_lock_irq(&s->lock);
	show->state = s->state;
	show->nr = s->nr;
	show->kibps = READ_ONCE(s->kibps);
	show->begun_ns = s->begun_ns;
	show->ended_ns = s->ended_ns;
	show->total = s->total;
	show->pass = s->pass;
	spin_unlock_irq(&s->lock);
	/* None yet: there was no memory for it. */
	return show->nr;
}

int hcv_scrub_init(void)
{
	scrub_wq = alloc_workqueue("hcivol-scrub", WQ_UNBOUND, 0);
	return scrub_wq ? 0 : -ENOMEM;
}

void hcv_scrub_exit(void)
{
	destroy_workqueue(scrub_wq);
}
