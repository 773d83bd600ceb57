// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads and writes of whole blocks: the hot path.
 *
 * Write: take the busy bits of the blocks, mark the mib unflushed, see that the
 * activity log names it, find or take the slot of the current generation, one
 * leg per replica.  The link states are looked at after the bits are held:
 * whoever adds a replica and copies to it takes the same bits, so a write either
 * has a leg to the new replica or is copied to it.  On completion the map learns
 * of the data, and the write is acknowledged unless a replica failed (I3) or the
 * lease ran out (I5).
 *
 * Read: the newest slot that knows the blocks; in one piece where possible.
 */
#include <linux/blkdev.h>
#include <linux/ktime.h>

#include "actlog.h"
#include "hotslot.h"
#include "io.h"
#include "rw.h"
#include "volume.h"

static struct bio_set rw_bs;

static void rw_leg_init(struct hcv_leg *leg, struct hcv_io *io,
			struct hcv_link *link, blk_opf_t opf, sector_t sector,
			bio_end_io_t *end_io)
{
	struct bio *bio = &leg->bio;

	leg->io = io;
	if (!link->local)
		opf |= REQ_FAILFAST_TRANSPORT | REQ_FAILFAST_DRIVER |
		       REQ_FAILFAST_DEV;
	if (io->flags & HCV_IO_SYNC)
		opf |= REQ_SYNC;
	bio_init(bio, link->bdev, NULL, 0, opf);
	/* Shares the vectors, like a clone. */
	bio_set_flag(bio, BIO_CLONED);
	bio->bi_io_vec = io->bv;
	bio->bi_iter = io->iter;
	bio->bi_iter.bi_sector = sector;
	bio->bi_end_io = end_io;
	leg->bytes = bio->bi_iter.bi_size;
	hcv_stats_begin(link->stats);
}

static void rw_zero(struct hcv_io *io, u32 off, u32 bytes)
{
	struct bvec_iter iter = io->iter;
	struct bio_vec bv;

	bvec_iter_advance(io->bv, &iter, off);
	iter.bi_size = bytes;
	for_each_bvec(bv, io->bv, iter, iter)
		memzero_bvec(&bv);
}

/* The first replica of @ext that may be read and was not tried. */
static struct hcv_link *rw_source(struct hcv_io *io, struct hcv_ext *ext,
				  struct hcv_leg *leg, sector_t *data)
{
	struct hcv_vol *vol = io->vol;
	struct hcv_reps *reps;
	struct hcv_link *link;
	u32 i;

	reps = hcv_reps(ext);
	for (i = 0; i < reps->nr; i++) {
		link = vol->link[reps->rep[i].link];
		if (READ_ONCE(link->state) != HCV_LINK_INSYNC ||
		    !reps->rep[i].mapped || io->tried & BIT(link->nr))
			continue;
		if (!hcv_link_enter(link, leg)) {
			hcv_link_refused(link, leg);
			continue;
		}
		*data = reps->rep[i].data;
		return link;
	}
	return NULL;
}

/*
 * No replica is left to read from.  Those that were tried refused some block
 * each: block by block there may be one for each, and whether a refusal
 * is a replica's last word takes time to find out.
 */
static void rw_no_source(struct hcv_io *io)
{
	if (io->tried)
		hcv_rmw_submit(io);
	else
		hcv_io_park(io, HCV_WAIT_REPLICA);
}

/* False: the link goes on as the last one, and that was its final word. */
static bool rw_leg_error(struct hcv_leg *leg, const char *what)
{
	return hcv_link_fail(leg->link,
			     -blk_status_to_errno(leg->bio.bi_status), what);
}

static void rw_leg_count(struct hcv_leg *leg, u8 op, s64 now)
{
	hcv_stats_end(leg->link->stats, op, leg->bytes, now - leg->io->run_ns,
		      leg->bio.bi_status);
}

static void rw_read_error(struct hcv_leg *leg)
{
	if (hcv_link_read_error(leg->link,
				blk_status_to_errno(leg->bio.bi_status)))
		set_bit(leg->link->nr, &leg->io->tried);
}

static void rw_read_end(struct bio *bio)
{
	struct hcv_leg *leg = container_of(bio, struct hcv_leg, bio);
	struct hcv_io *io = leg->io;
	blk_status_t status = bio->bi_status;
	s64 now = ktime_get_boottime_ns();

	rw_leg_count(leg, HCV_IO_READ, now);
	if (unlikely(status))
		rw_read_error(leg);
	bio_uninit(bio);
	hcv_link_leave(leg);
	if (unlikely(status))
		hcv_io_again(io);
	else
		hcv_io_end_at(io, BLK_STS_OK, now);
}

static sector_t rw_sector(sector_t data, struct hcv_slot *slot, u64 pos)
{
	return data + ((sector_t)slot->rec << (HCV_SLOT_SHIFT - SECTOR_SHIFT)) +
	       ((pos & (HCV_SLOT_SIZE - 1)) >> SECTOR_SHIFT);
}

/* All of it is in @slot. Under RCU, which ends here. */
static void rw_read_whole(struct hcv_io *io, struct hcv_slot *slot)
	__releases(RCU)
{
	struct hcv_leg *leg = &io->leg[0];
	struct hcv_link *link;
	sector_t data;

	link = rw_source(io, hcv_map_slot_ext(slot), leg, &data);
	rcu_read_unlock();
	if (unlikely(!link)) {
		rw_no_source(io);
		return;
	}
	if (unlikely((io->pos | io->len) &
		     (bdev_logical_block_size(link->bdev) - 1))) {
		hcv_link_leave(leg);
		hcv_rmw_submit(io);
		return;
	}
	rw_leg_init(leg, io, link, REQ_OP_READ, rw_sector(data, slot, io->pos),
		    rw_read_end);
	hcv_submit_bio(&leg->bio);
}

static void rw_part_done(struct hcv_io *io)
{
	if (!atomic_dec_and_test(&io->pending))
		return;
	/* Some part failed: all of it again, from another replica. */
	if (READ_ONCE(io->status))
		hcv_io_again(io);
	else
		hcv_io_end(io, BLK_STS_OK);
}

static void rw_part_end(struct bio *bio)
{
	struct hcv_leg *leg = container_of(bio, struct hcv_leg, bio);
	struct hcv_io *io = leg->io;

	rw_leg_count(leg, HCV_IO_READ, ktime_get_boottime_ns());
	if (bio->bi_status) {
		rw_read_error(leg);
		WRITE_ONCE(io->status, bio->bi_status);
	}
	hcv_link_leave(leg);
	bio_put(bio);
	rw_part_done(io);
}

static int rw_read_part(struct hcv_io *io, u32 off, u32 bytes,
			struct hcv_run *run)
{
	struct hcv_link *link;
	struct hcv_leg *leg;
	struct bio *bio;
	sector_t data;

	bio = bio_alloc_bioset(NULL, 0, REQ_OP_READ, GFP_NOIO, &rw_bs);
	leg = container_of(bio, struct hcv_leg, bio);
	rcu_read_lock();
	link = rw_source(io, hcv_map_slot_ext(run->slot), leg, &data);
	rcu_read_unlock();
	if (!link) {
		bio_put(bio);
		return -EIO;
	}
	leg->io = io;
	bio_set_dev(bio, link->bdev);
	if (!link->local)
		bio->bi_opf |= REQ_FAILFAST_TRANSPORT | REQ_FAILFAST_DRIVER |
			       REQ_FAILFAST_DEV;
	bio_set_flag(bio, BIO_CLONED);
	bio->bi_io_vec = io->bv;
	bio->bi_iter = io->iter;
	bvec_iter_advance(io->bv, &bio->bi_iter, off);
	bio->bi_iter.bi_size = bytes;
	bio->bi_iter.bi_sector = rw_sector(data, run->slot, io->pos + off);
	bio->bi_end_io = rw_part_end;
	leg->bytes = bytes;
	hcv_stats_begin(link->stats);
	atomic_inc(&io->pending);
	hcv_submit_bio(bio);
	return 0;
}

/* Blocks from several places. Aligned to blocks. */
static void rw_read_mixed(struct hcv_io *io, struct hcv_leaf *leaf)
{
	struct hcv_mibent *ent = &leaf->ent[io->mib % HCV_LEAF_MIBS];
	u32 done = 0;
	struct hcv_run run;

	io->status = BLK_STS_OK;
	atomic_set(&io->pending, 1);
	while (done < io->nblk) {
		u32 off = done << HCV_BLOCK_SHIFT;

		rcu_read_lock();
		hcv_map_resolve(ent, io->blk + done, io->nblk - done, &run);
		rcu_read_unlock();
		if (!run.slot) {
			rw_zero(io, off, run.nr << HCV_BLOCK_SHIFT);
		} else if (rw_read_part(io, off, run.nr << HCV_BLOCK_SHIFT,
					&run)) {
			WRITE_ONCE(io->status, BLK_STS_IOERR);
			break;
		}
		done += run.nr;
	}
	if (done < io->nblk && atomic_read(&io->pending) == 1) {
		rw_no_source(io);
		return;
	}
	rw_part_done(io);
}

/*
 * Wait for a busy range, in the queue; it comes back with the bits. Under RCU,
 * which ends here.
 */
static void rw_wait_busy(struct hcv_io *io, struct hcv_hot *hot)
	__releases(RCU)
{
	if (io->flags & HCV_IO_NOWAIT) {
		rcu_read_unlock();
		hcv_io_end(io, BLK_STS_AGAIN);
		return;
	}
	hcv_io_release(io);
	if (!hcv_hot_wait(io->vol, hot, io))
		hcv_io_again(io);
	rcu_read_unlock();
}

void hcv_rw_read(struct hcv_io *io)
{
	struct hcv_vol *vol = io->vol;
	struct hcv_mibent *ent;
	struct hcv_leaf *leaf;
	struct hcv_slot *slot;
	struct hcv_hot *hot;

	if (unlikely(io->run_ns >= READ_ONCE(vol->lease_end_ns))) {
		hcv_io_park(io, HCV_WAIT_LEASE);
		return;
	}
	rcu_read_lock();
	leaf = hcv_map_leaf(&vol->map, io->mib);
	if (!leaf) {
		rcu_read_unlock();
		rw_zero(io, 0, io->len);
		hcv_io_end(io, BLK_STS_OK);
		return;
	}
	ent = &leaf->ent[io->mib % HCV_LEAF_MIBS];
	hot = rcu_dereference(ent->hot);
	if (unlikely(hot && !(io->flags & HCV_IO_BUSY) &&
		     hcv_hot_test(hot, io->blk, io->nblk))) {
		rw_wait_busy(io, hot);
		return;
	}
	slot = rcu_dereference(ent->slot);
	if (likely(slot && hcv_map_has(slot, io->blk, io->nblk))) {
		rw_read_whole(io, slot);
		return;
	}
	rcu_read_unlock();
	if (unlikely((io->pos | io->len) & (HCV_BLOCK_SIZE - 1)))
		hcv_rmw_submit(io);
	else
		rw_read_mixed(io, leaf);
}

void hcv_rw_landed(struct hcv_io *io)
{
	struct hcv_map *map = &io->vol->map;

	/* A round that ended since the last mark may have forgotten it. */
	hcv_map_mark(map, io->leaf, io->mib);
	hcv_map_written(map, io->slot, io->blk, io->nblk);
}

void hcv_rw_unsure(struct hcv_io *io)
{
	if (!(io->flags & HCV_IO_UNSURE)) {
		io->flags |= HCV_IO_UNSURE;
		atomic_inc(&io->vol->nr_unsure);
	}
	hcv_map_stamp(&io->vol->map, io->slot);
}

/*
 * The temporary replica has these blocks now if its leg has ended well, whether or not
 * this is ever acknowledged: what others have got of it would else be read from
 * them now, and what was there before from the base later.
 */
static void rw_hold(struct hcv_io *io)
{
	u32 i;

	for (i = 0; i < io->legs; i++)
		if (READ_ONCE(io->leg[i].link->life) &&
		    !io->leg[i].bio.bi_status)
			hcv_map_hold(&io->vol->map, io->slot, io->blk,
				     io->nblk);
}

static void rw_write_done(struct hcv_io *io, s64 now)
{
	struct hcv_vol *vol = io->vol;

	/* It has been sent: from here on it is seen through. */
	io->flags &= ~HCV_IO_NOWAIT;
	/* Whatever becomes of it: a copy that leaves now may differ here. */
	hcv_map_mark(&vol->map, io->leaf, io->mib);
	if (unlikely(io->flags & HCV_IO_TEMP))
		rw_hold(io);
	if (unlikely(io->flags & HCV_IO_BOUNCED))
		hcv_rmw_free(io);
	if (likely(!io->status && atomic_read(&io->strong_ok))) {
		hcv_io_ack(io, now);
		return;
	}
	hcv_rw_unsure(io);
	if (io->status && hcv_io_same_links(io))
		/* The last replica said no, whatever others did. */
		hcv_settle(io);
	else
		hcv_io_park(io, HCV_WAIT_REPLICA);
}

static void rw_write_end(struct bio *bio)
{
	struct hcv_leg *leg = container_of(bio, struct hcv_leg, bio);
	struct hcv_io *io = leg->io;
	s64 now = ktime_get_boottime_ns();

	rw_leg_count(leg, HCV_IO_WRITE, now);
	if (unlikely(bio->bi_status)) {
		if (!rw_leg_error(leg, "write"))
			WRITE_ONCE(io->status, bio->bi_status);
	} else if (leg->strong) {
		atomic_inc(&io->strong_ok);
	}
	bio_uninit(bio);
	hcv_link_leave(leg);
	if (atomic_dec_and_test(&io->pending))
		rw_write_done(io, now);
}

/* One leg per replica; returns their number, or 0: none of them is strong. */
static u32 rw_write_legs(struct hcv_io *io)
{
	struct hcv_ext *ext = hcv_map_slot_ext(io->slot);
	struct hcv_vol *vol = io->vol;
	u32 i, n = 0, strong = 0;
	struct hcv_reps *reps;

	rcu_read_lock();
	reps = hcv_reps(ext);
	for (i = 0; i < reps->nr; i++) {
		struct hcv_link *link = vol->link[reps->rep[i].link];
		struct hcv_leg *leg = &io->leg[n];
		u8 state = READ_ONCE(link->state);

		if (!hcv_link_writable(state))
			continue;
		if (!reps->rep[i].mapped) {
			hcv_link_fail(link, ESTALE, "its gate is closed");
			continue;
		}
		if (!hcv_link_enter(link, leg)) {
			hcv_link_refused(link, leg);
			continue;
		}
		leg->strong = state != HCV_LINK_SYNCING;
		strong += leg->strong;
		io->flags |= link->io_flags;
		rw_leg_init(leg, io, link, REQ_OP_WRITE,
			    rw_sector(reps->rep[i].data, io->slot,
				      round_down(io->pos, HCV_BLOCK_SIZE)),
			    rw_write_end);
		n++;
	}
	rcu_read_unlock();
	if (strong)
		return n;
	while (n--) {
		hcv_stats_cancel(io->leg[n].link->stats);
		bio_uninit(&io->leg[n].bio);
		hcv_link_leave(&io->leg[n]);
	}
	return 0;
}

void hcv_rw_submit_write(struct hcv_io *io)
{
	u32 i, n;

	io->status = BLK_STS_OK;
	atomic_set(&io->strong_ok, 0);
	n = rw_write_legs(io);
	if (unlikely(!n)) {
		hcv_io_park(io, HCV_WAIT_REPLICA);
		return;
	}
	io->legs = n;
	atomic_set(&io->pending, n);
	for (i = 0; i < n; i++)
		hcv_submit_bio(&io->leg[i].bio);
}

/* Take a slot for the first write of a mib. */
static int rw_take(struct hcv_io *io)
{
	struct hcv_vol *vol = io->vol;
	u32 col = io->mib % vol->stripe;
	struct hcv_slot *slot;

	slot = hcv_map_take(&vol->map, io->mib, GFP_NOIO);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	io->slot = slot;
	/* A further extent was begun: time to look at the reserve. */
	if (!slot->rec)
		hcv_vol_want_extent(vol, col);
	return 0;
}

void hcv_rw_no_slot(struct hcv_io *io, int err)
{
	struct hcv_vol *vol = io->vol;
	u32 col = io->mib % vol->stripe;

	if (err == -ENOMEM) {
		hcv_io_park(io, HCV_WAIT_MEMORY);
		return;
	}
	if (err != -ENOSPC || READ_ONCE(vol->no_space) & BIT(col)) {
		hcv_io_end(io, hcv_io_errno_status(err));
		return;
	}
	hcv_vol_want_extent(vol, col);
	hcv_io_park(io, HCV_WAIT_EXTENT);
}

int hcv_rw_lock(struct hcv_io *io)
{
	struct hcv_vol *vol = io->vol;
	struct hcv_leaf *leaf;
	struct hcv_hot *hot;
	int ret;

again:
	rcu_read_lock();
	leaf = hcv_map_leaf(&vol->map, io->mib);
	io->leaf = leaf;
	/* Granted by hcv_hot_wait(). */
	if (io->flags & HCV_IO_BUSY) {
		rcu_read_unlock();
		return 0;
	}
	hot = leaf ? rcu_dereference(leaf->ent[io->mib % HCV_LEAF_MIBS].hot) :
		     NULL;
	if (unlikely(!hot)) {
		rcu_read_unlock();
		ret = hcv_hot_make(vol, io->mib);
		if (!ret)
			goto again;
		hcv_rw_no_slot(io, ret);
		return -EINPROGRESS;
	}
	ret = hcv_hot_trylock(vol, hot, io->blk, io->nblk);
	if (unlikely(ret == -EBUSY)) {
		rw_wait_busy(io, hot);
		return -EINPROGRESS;
	}
	if (unlikely(ret)) {
		rcu_read_unlock();
		cpu_relax();
		goto again;
	}
	io->hot = hot;
	io->flags |= HCV_IO_BUSY;
	rcu_read_unlock();
	return 0;
}

int hcv_rw_prepare(struct hcv_io *io)
{
	struct hcv_map *map = &io->vol->map;
	int ret;

	ret = hcv_rw_lock(io);
	if (unlikely(ret))
		return ret;
	hcv_map_mark(map, io->leaf, io->mib);
	if (io->vol->flags & HCV_VOL_F_LOG &&
	    unlikely(!hcv_map_logged(io->leaf, io->mib))) {
		hcv_actlog_wait(io);
		return -EINPROGRESS;
	}
	rcu_read_lock();
	io->slot = hcv_map_current(map,
				   &io->leaf->ent[io->mib % HCV_LEAF_MIBS]);
	rcu_read_unlock();
	if (likely(io->slot && io->slot->rec < HCV_EXTENT_SLOTS))
		return 0;
	ret = rw_take(io);
	if (!ret)
		return 0;
	hcv_rw_no_slot(io, ret);
	return -EINPROGRESS;
}

void hcv_rw_write(struct hcv_io *io)
{
	if (unlikely((io->pos | io->len) & (HCV_BLOCK_SIZE - 1))) {
		hcv_rmw_submit(io);
		return;
	}
	if (likely(!hcv_rw_prepare(io)))
		hcv_rw_submit_write(io);
}

int hcv_rw_init(void)
{
	/* Many at a time, from within a submit_bio: what waits must go out. */
	return bioset_init(&rw_bs, BIO_POOL_SIZE, offsetof(struct hcv_leg, bio),
			   BIOSET_NEED_RESCUER);
}

void hcv_rw_exit(void)
{
	bioset_exit(&rw_bs);
}
