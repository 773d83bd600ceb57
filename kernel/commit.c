// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making writes durable.
 *
 * A round, in this order:
 *   1  the unflushed mibs become the flushing ones; freed slots are noted
 *   2  images of dirty metadata pages are copied, as many as fit the batch
 *   3  FLUSH to every replica: the data that the images speak of is durable
 *   4  the images go to the other of each page's two places, on every replica
 *   5  FLUSH to every replica; then 2 again while pages are left
 * Bits set after 2 wait for the next round: a copy made after the FLUSH of 3 was
 * sent could name a block that is not durable.  I/Os that want a flush join the
 * next round that begins after they came.
 *
 * A temporary replica has images of its own, of the same instant and with the same
 * numbers and places: what it does not hold is elsewhere.  It gets them, and the
 * FLUSH, from its tie on.
 *
 * When a replica fails in a round, the round is void: its mibs are unflushed
 * again, and it is run anew once the agent has confirmed the removal.  A FLUSH
 * that failed is never sent to that replica again.  Its images may be on one
 * replica and not on another that returns as it was, so the next ones go to the
 * same places: the other places hold what all of them have.
 *
 * A removal that is confirmed while a round is under way stamps what the images
 * of that round do not show, and the link may be OUT before its FLUSH would be
 * sent.  Such a round is run anew, too: the copy that left would compare equal to
 * what it missed.  Of a removal that has begun the closed gate tells when the
 * round begins; a later one makes v grow before the link is OUT.
 *
 * One worker per volume; it sleeps, the I/O path never does for it.
 */
#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/ktime.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>

#include "actlog.h"
#include "io.h"
#include "rw.h"
#include "trace.h"
#include "volume.h"

#define COMMIT_BATCH	64

static uint autocommit_ms = 5000;
module_param(autocommit_ms, uint, 0644);
MODULE_PARM_DESC(autocommit_ms, "Flush what was written so many ms after the last flush (5000); looked at twice a second");

struct commit_page {
	struct hcv_ext *ext;
	u32 page;
	u64 seq;
	u8 place;
	void *buf;
	void *temp;		/* the image for a temporary replica */
	u64 life;		/* which it was made for, 0: there is none */
	atomic_t ok;
};

struct hcv_commit {
	struct hcv_vol *vol;
	spinlock_t lock;	/* waiting, running */
	struct list_head waiting;
	struct list_head running;
	struct work_struct work;
	bool fail;
	bool last_failed;
	bool moved;		/* a removal was confirmed in this round */
	atomic_t asked;		/* times that a round was asked for */
	int served;		/* of these, those before the last one that ended */
	u64 last_ns;
	atomic_t pending;
	struct completion done;
	u32 nr;
	u32 pages;		/* of this round */
	struct commit_page batch[COMMIT_BATCH];
};

struct commit_bio {
	struct hcv_commit *commit;
	struct commit_page *page;
	s64 start_ns;
	struct hcv_leg leg;
};

static struct bio_set commit_bs;

static void commit_sync_done(struct hcv_io *io);

static struct commit_bio *commit_bio_of(struct bio *bio)
{
	return container_of(bio, struct commit_bio, leg.bio);
}

static void commit_put(struct hcv_commit *c)
{
	if (atomic_dec_and_test(&c->pending))
		complete(&c->done);
}

static void commit_begin(struct hcv_commit *c)
{
	atomic_set(&c->pending, 1);
	reinit_completion(&c->done);
}

/* Every bio ends: lower devices have time-outs. Seen as WAIT_FLUSH meanwhile */
static void commit_wait(struct hcv_commit *c)
{
	commit_put(c);
	wait_for_completion_io(&c->done);
}

static void commit_endio(struct bio *bio)
{
	struct commit_bio *cb = commit_bio_of(bio);
	struct hcv_commit *c = cb->commit;
	struct hcv_link *link = cb->leg.link;
	int err = hcv_link_flushed(link, blk_status_to_errno(bio->bi_status));

	hcv_stats_end(link->stats, cb->page ? HCV_IO_WRITE : HCV_IO_FLUSH,
		      cb->page ? HCV_BLOCK_SIZE : 0,
		      ktime_get_boottime_ns() - cb->start_ns, bio->bi_status);
	if (err) {
		WRITE_ONCE(c->fail, true);
		/* The last replica stays: its disk's word is final. */
		if (!hcv_link_fail(link, -err,
				   cb->page ? "metadata write" : "flush"))
			WRITE_ONCE(c->last_failed, true);
	} else if (cb->page && cb->leg.strong) {
		atomic_inc(&cb->page->ok);
	}
	hcv_link_leave(&cb->leg);
	bio_put(bio);
	commit_put(c);
}

/* Where @page is on @link; false: it does not go there.  Under RCU. */
static bool commit_place(struct hcv_commit *c, struct hcv_link *link, u8 state,
			 struct commit_page *page, sector_t *sector)
{
	struct hcv_reps *reps = hcv_reps(page->ext);
	u32 i;

	if (link->life ? link->life != page->life :
			 state == HCV_LINK_SYNCING &&
			 !hcv_sync_takes_pages(link, page->ext))
		return false;
	for (i = 0; i < reps->nr; i++) {
		if (reps->rep[i].link != link->nr)
			continue;
		*sector = reps->rep[i].meta +
			  (page->place * HCV_EXTENT_PAGES + page->page) *
			  (HCV_BLOCK_SIZE >> SECTOR_SHIFT);
		if (reps->rep[i].mapped)
			return true;
		hcv_link_fail(link, ESTALE, "its gate is closed");
		WRITE_ONCE(c->fail, true);
	}
	return false;
}

/*
 * Count the bio in, if the link takes it.  There is one look at the state, in one
 * RCU section with hcv_link_enter(), since a link may be tied anew at any time:
 * it then gets no page of an extent that is not done, nor one for its old place.
 */
static bool commit_enter(struct hcv_commit *c, struct hcv_link *link,
			 struct commit_bio *cb)
{
	bool ok = false;
	u8 state;

	rcu_read_lock();
	/* Pairs with link_set_state(): the places were noted before. */
	state = smp_load_acquire(&link->state);
	if (state == HCV_LINK_FAILING || state == HCV_LINK_LOST) {
		/*
		 * Part of the in-sync set until its removal is confirmed: a
		 * round without it must not forget what it may have missed.
		 */
		WRITE_ONCE(c->fail, true);
		goto out;
	}
	if (!hcv_link_writable(state) ||
	    (cb->page && !commit_place(c, link, state, cb->page,
				       &cb->leg.bio.bi_iter.bi_sector)))
		goto out;
	if (!hcv_link_enter(link, &cb->leg)) {
		hcv_link_refused(link, &cb->leg);
		WRITE_ONCE(c->fail, true);
		goto out;
	}
	cb->leg.strong = state != HCV_LINK_SYNCING;
	ok = true;
out:
	rcu_read_unlock();
	return ok;
}

/* A bio for a link that takes writes, or NULL. */
static struct bio *commit_bio(struct hcv_commit *c, struct hcv_link *link,
			      blk_opf_t opf, struct commit_page *page)
{
	struct commit_bio *cb;
	struct bio *bio;

	bio = bio_alloc_bioset(NULL, page ? 1 : 0, opf, GFP_NOIO, &commit_bs);
	cb = commit_bio_of(bio);
	cb->commit = c;
	cb->page = page;
	if (!commit_enter(c, link, cb)) {
		bio_put(bio);
		return NULL;
	}
	if (link->local && READ_ONCE(link->local->failed)) {
		hcv_link_leave(&cb->leg);
		bio_put(bio);
		WRITE_ONCE(c->fail, true);
		if (!hcv_link_fail(link, EIO, "its store has failed: flush"))
			WRITE_ONCE(c->last_failed, true);
		return NULL;
	}
	bio_set_dev(bio, link->bdev);
	if (!link->local)
		bio->bi_opf |= REQ_FAILFAST_TRANSPORT | REQ_FAILFAST_DRIVER |
			       REQ_FAILFAST_DEV;
	bio->bi_end_io = commit_endio;
	cb->start_ns = ktime_get_boottime_ns();
	hcv_stats_begin(link->stats);
	atomic_inc(&c->pending);
	return bio;
}

static void commit_flush(struct hcv_commit *c)
{
	struct hcv_vol *vol = c->vol;
	struct bio *bio;
	u32 i;

	commit_begin(c);
	for (i = 0; i < vol->nr_links; i++) {
		bio = commit_bio(c, vol->link[i],
				 REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC, NULL);
		if (bio)
			hcv_submit_bio(bio);
	}
	commit_wait(c);
}

static void commit_write_page(struct hcv_commit *c, struct commit_page *cp)
{
	struct hcv_vol *vol = c->vol;
	struct hcv_reps reps;
	struct bio *bio;
	void *buf;
	u32 i;

	rcu_read_lock();
	reps = *hcv_reps(cp->ext);
	rcu_read_unlock();
	for (i = 0; i < reps.nr; i++) {
		struct hcv_link *link = vol->link[reps.rep[i].link];

		bio = commit_bio(c, link, REQ_OP_WRITE | REQ_SYNC | REQ_META,
				 cp);
		if (!bio)
			continue;
		/* Counted in: it is what commit_place() saw. */
		buf = link->life ? cp->temp : cp->buf;
		__bio_add_page(bio, virt_to_page(buf), HCV_BLOCK_SIZE,
			       offset_in_page(buf));
		hcv_submit_bio(bio);
	}
}

static void commit_redirty(struct hcv_vol *vol, struct commit_page *cp)
{
	hcv_map_dirty(&vol->map, &cp->ext->slot[cp->page * HCV_PAGE_RECORDS]);
}

/* Steps 4 and 5: the images, and what became of each. */
static void commit_pages(struct hcv_commit *c)
{
	bool good;
	u32 i;

	commit_begin(c);
	for (i = 0; i < c->nr; i++)
		commit_write_page(c, &c->batch[i]);
	commit_wait(c);
	if (!READ_ONCE(c->fail))
		commit_flush(c);
	for (i = 0; i < c->nr; i++) {
		struct commit_page *cp = &c->batch[i];

		good = atomic_read(&cp->ok) && !READ_ONCE(c->fail);
		hcv_map_page_sent(&cp->ext->page[cp->page], cp->seq, cp->place,
				  good);
		if (!good)
			commit_redirty(c->vol, cp);
	}
}

/* Steps 3 to 5 for what is in the batch. */
static void commit_batch(struct hcv_commit *c)
{
	u32 i;

	commit_flush(c);
	if (c->nr && !READ_ONCE(c->fail))
		commit_pages(c);
	else
		for (i = 0; i < c->nr; i++)
			commit_redirty(c->vol, &c->batch[i]);
	c->nr = 0;
}

static void commit_copy(struct hcv_commit *c, struct hcv_ext *ext, u32 page)
{
	struct commit_page *cp = &c->batch[c->nr++];
	struct hcv_map_image img = {
		.epoch = c->vol->epoch,
		.buf = cp->buf,
	};

	c->pages++;
	cp->ext = ext;
	cp->page = page;
	cp->place = hcv_map_page_next(&ext->page[page], &cp->seq);
	cp->life = hcv_map_held_life(ext);
	atomic_set(&cp->ok, 0);
	img.seq = cp->seq;
	img.place = cp->place;
	img.life = cp->life;
	/* Pairs with hcv_map_held_put(): hcv_commit_temp() came before. */
	smp_rmb();
	if (cp->life)
		img.temp = cp->temp;
	hcv_map_encode_both(&c->vol->map, ext, page, &img);
}

static void commit_ext(struct hcv_commit *c, struct hcv_ext *ext)
{
	u32 page;

	for (page = 0; page < HCV_EXTENT_PAGES; page++) {
		if (!test_bit(page, &ext->dirty))
			continue;
		if (c->nr == COMMIT_BATCH)
			commit_batch(c);
		commit_copy(c, ext, page);
	}
}

static int commit_round(struct hcv_commit *c)
{
	struct hcv_vol *vol = c->vol;
	struct llist_node *leaves, *node, *next;
	s64 start = ktime_get_boottime_ns();
	struct hcv_slot *freed;
	struct hcv_ext *ext;
	bool closed;
	u64 v;

	WRITE_ONCE(c->fail, false);
	WRITE_ONCE(c->last_failed, false);
	c->nr = 0;
	c->pages = 0;
	v = READ_ONCE(vol->map.v);
	/* Open by now: the removals that v tells of are over, stamps and all. */
	smp_rmb();
	/* Pairs with link_set_state(). */
	closed = smp_load_acquire(&vol->ack_gate) & HCV_ACK_CLOSED;
	leaves = hcv_map_round_begin(&vol->map);
	freed = hcv_map_freed(&vol->map);
	hcv_map_settle_begin(&vol->map);
	node = hcv_map_dirty_take(&vol->map);
	llist_for_each_safe(node, next, node) {
		ext = llist_entry(node, struct hcv_ext, dnode);
		clear_bit(HCV_EXT_LISTED, &ext->flags);
		/* Pairs with hcv_map_dirty(): listed again, or seen here. */
		smp_mb__after_atomic();
		commit_ext(c, ext);
	}
	commit_batch(c);
	/* After commit_enter(): a link that was OUT there let v grow before. */
	c->moved = !READ_ONCE(c->fail) &&
		   (closed || READ_ONCE(vol->map.v) != v);
	if (c->moved)
		WRITE_ONCE(c->fail, true);
	hcv_map_round_end(&vol->map, leaves, !c->fail);
	hcv_map_settle_end(&vol->map, !c->fail);
	trace_hcv_commit_round(vol, c->pages, ktime_get_boottime_ns() - start,
			       c->fail ? -EIO : 0);
	if (c->fail) {
		hcv_map_unfreed(&vol->map, freed);
		return -EIO;
	}
	c->last_ns = ktime_get_boottime_ns();
	hcv_actlog_flushed(vol);
	/* Without memory for that the slots are freed by a later round. */
	if (freed)
		hcv_vol_drain(vol, freed, NULL);
	return 0;
}

/* Whether a void round may be run anew: the removal was confirmed. */
static bool commit_may_retry(struct hcv_vol *vol)
{
	return READ_ONCE(vol->failed) || READ_ONCE(vol->impatient) ||
	       !READ_ONCE(vol->nr_failing);
}

static int commit_until_done(struct hcv_commit *c)
{
	struct hcv_vol *vol = c->vol;
	int ret;

	for (;;) {
		if (READ_ONCE(vol->failed) || READ_ONCE(vol->flush_lost))
			return -EIO;
		ret = commit_round(c);
		if (!ret)
			return 0;
		/*
		 * The last replica's disk said no: that is the answer, now and
		 * to every later FLUSH, since what was lost stays lost.
		 */
		if (READ_ONCE(c->last_failed)) {
			WRITE_ONCE(vol->flush_lost, true);
			hcv_vol_err(vol, "the last replica failed a flush; no write can be made durable until the volume is attached anew\n");
			return ret;
		}
		if (c->moved)
			continue;
		if (READ_ONCE(vol->impatient))
			return -EAGAIN;
		wait_event(vol->wait, commit_may_retry(vol));
	}
}

static void commit_finish(struct hcv_commit *c, int ret)
{
	struct hcv_io *io, *tmp;
	LIST_HEAD(list);

	spin_lock_irq(&c->lock);
	list_splice_init(&c->running, &list);
	spin_unlock_irq(&c->lock);
	list_for_each_entry_safe(io, tmp, &list, node) {
		list_del(&io->node);
		/* Our own ask for a round, not for the right to tell a guest. */
		if (!ret && io->done != commit_sync_done)
			hcv_io_ack(io, ktime_get_boottime_ns());
		else
			hcv_io_end(io, ret == -EAGAIN ? BLK_STS_IOERR :
				   hcv_io_errno_status(ret));
	}
}

static void commit_fn(struct work_struct *work)
{
	struct hcv_commit *c = container_of(work, struct hcv_commit, work);
	bool more;
	int asked;

	do {
		asked = atomic_read(&c->asked);
		spin_lock_irq(&c->lock);
		list_splice_tail_init(&c->waiting, &c->running);
		spin_unlock_irq(&c->lock);
		commit_finish(c, commit_until_done(c));
		spin_lock_irq(&c->lock);
		more = !list_empty(&c->waiting);
		spin_unlock_irq(&c->lock);
	} while (more);
	WRITE_ONCE(c->served, asked);
	/* Nobody waits for that but who halts the volume, and sleepers are few. */
	wake_up_all(&c->vol->wait);
}

/* Whoever finds it queued, its ask is counted when it begins. */
static void commit_ask(struct hcv_commit *c)
{
	atomic_inc(&c->asked);
	queue_work(c->vol->wq, &c->work);
}

void hcv_commit_join(struct hcv_io *io)
{
	struct hcv_commit *c = io->vol->commit;
	unsigned long flags;

	io->wait = HCV_WAIT_FLUSH;
	if (!io->wait_ns)
		io->wait_ns = ktime_get_boottime_ns();
	if (!io->start_ns)
		io->start_ns = io->wait_ns;
	spin_lock_irqsave(&c->lock, flags);
	list_add_tail(&io->node, &c->waiting);
	spin_unlock_irqrestore(&c->lock, flags);
	commit_ask(c);
}

struct commit_sync {
	struct hcv_io io;
	struct kref ref;
	bool done;
};

static void commit_sync_free(struct kref *ref)
{
	kfree(container_of(ref, struct commit_sync, ref));
}

static void commit_sync_done(struct hcv_io *io)
{
	struct commit_sync *s = container_of(io, struct commit_sync, io);
	struct hcv_vol *vol = io->vol;

	/* Pairs with hcv_commit_sync(): the status is there. */
	smp_store_release(&s->done, true);
	wake_up_all(&vol->wait);
	kref_put(&s->ref, commit_sync_free);
}

static bool commit_sync_is_done(struct commit_sync *s)
{
	/* Pairs with commit_sync_done(). */
	return smp_load_acquire(&s->done);
}

/* Have a round run; NULL: no memory. */
static struct commit_sync *commit_sync_begin(struct hcv_vol *vol)
{
	struct commit_sync *s = kzalloc(sizeof(*s), GFP_NOIO);

	if (!s)
		return NULL;
	/* One for us, one for the round: we may leave first. */
	kref_init(&s->ref);
	kref_get(&s->ref);
	hcv_io_init(&s->io, vol, HCV_IO_FLUSH, 0, 0, NULL, NULL);
	s->io.done = commit_sync_done;
	hcv_commit_join(&s->io);
	return s;
}

static int commit_sync_end(struct commit_sync *s, int ret)
{
	if (commit_sync_is_done(s))
		ret = blk_status_to_errno(s->io.status);
	kref_put(&s->ref, commit_sync_free);
	return ret;
}

int hcv_commit_sync(struct hcv_vol *vol, const bool *stop)
{
	struct commit_sync *s = commit_sync_begin(vol);

	if (!s)
		return -ENOMEM;
	wait_event(vol->wait, commit_sync_is_done(s) ||
		   (stop && READ_ONCE(*stop)));
	return commit_sync_end(s, -ECANCELED);
}

int hcv_commit_sync_for(struct hcv_vol *vol, unsigned int ms)
{
	struct commit_sync *s = commit_sync_begin(vol);

	if (!s)
		return -ENOMEM;
	wait_event_timeout(vol->wait, commit_sync_is_done(s),
			   msecs_to_jiffies(ms));
	return commit_sync_end(s, -ETIMEDOUT);
}

void hcv_commit_tick(struct hcv_vol *vol)
{
	struct hcv_commit *c = vol->commit;

	if (ktime_get_boottime_ns() - c->last_ns <
	    (u64)READ_ONCE(autocommit_ms) * NSEC_PER_MSEC ||
	    (llist_empty(&vol->map.dirty) && llist_empty(&vol->map.unflushed) &&
	     !READ_ONCE(vol->map.nr_unsettled) &&
	     !READ_ONCE(vol->map.freeing)))
		return;
	hcv_commit_kick(vol);
}

void hcv_commit_kick(struct hcv_vol *vol)
{
	commit_ask(vol->commit);
}

static bool commit_idle(struct hcv_commit *c)
{
	return atomic_read(&c->asked) == READ_ONCE(c->served);
}

int hcv_commit_idle_for(struct hcv_vol *vol, unsigned int ms)
{
	return wait_event_timeout(vol->wait, commit_idle(vol->commit),
				  msecs_to_jiffies(ms)) ? 0 : -ETIMEDOUT;
}

/* c->lock held. */
static void commit_expire(struct list_head *from, u64 before_ns,
			  struct list_head *list)
{
	struct hcv_io *io, *tmp;

	list_for_each_entry_safe(io, tmp, from, node)
		if (io->done != commit_sync_done && io->wait_ns < before_ns)
			list_move_tail(&io->node, list);
}

void hcv_commit_expire(struct hcv_vol *vol, u64 before_ns,
		       struct list_head *list)
{
	struct hcv_commit *c = vol->commit;

	spin_lock_irq(&c->lock);
	commit_expire(&c->running, before_ns, list);
	commit_expire(&c->waiting, before_ns, list);
	spin_unlock_irq(&c->lock);
}

bool hcv_commit_waiting(struct hcv_vol *vol, u64 *since_ns, u32 *count)
{
	struct hcv_commit *c = vol->commit;
	struct hcv_io *io;

	*count = 0;
	*since_ns = U64_MAX;
	spin_lock_irq(&c->lock);
	list_for_each_entry(io, &c->running, node) {
		*since_ns = min(*since_ns, io->wait_ns);
		(*count)++;
	}
	list_for_each_entry(io, &c->waiting, node) {
		*since_ns = min(*since_ns, io->wait_ns);
		(*count)++;
	}
	spin_unlock_irq(&c->lock);
	return *count;
}

int hcv_commit_create(struct hcv_vol *vol)
{
	struct hcv_commit *c = kvzalloc(sizeof(*c), GFP_KERNEL);
	u32 i;

	if (!c)
		return -ENOMEM;
	c->vol = vol;
	spin_lock_init(&c->lock);
	INIT_LIST_HEAD(&c->waiting);
	INIT_LIST_HEAD(&c->running);
	INIT_WORK(&c->work, commit_fn);
	init_completion(&c->done);
	vol->commit = c;
	for (i = 0; i < COMMIT_BATCH; i++) {
		c->batch[i].buf = (void *)__get_free_page(GFP_KERNEL);
		if (!c->batch[i].buf)
			return -ENOMEM;
	}
	return 0;
}

int hcv_commit_temp(struct hcv_vol *vol)
{
	struct hcv_commit *c = vol->commit;
	u32 i;

	lockdep_assert_held(&vol->mutex);
	for (i = 0; i < COMMIT_BATCH; i++) {
		if (c->batch[i].temp)
			continue;
		c->batch[i].temp = (void *)__get_free_page(GFP_NOIO);
		if (!c->batch[i].temp)
			return -ENOMEM;
	}
	return 0;
}

void hcv_commit_destroy(struct hcv_vol *vol)
{
	struct hcv_commit *c = vol->commit;
	u32 i;

	if (!c)
		return;
	cancel_work_sync(&c->work);
	for (i = 0; i < COMMIT_BATCH; i++) {
		free_page((unsigned long)c->batch[i].buf);
		free_page((unsigned long)c->batch[i].temp);
	}
	kvfree(c);
	vol->commit = NULL;
}

int hcv_commit_init(void)
{
	return bioset_init(&commit_bs, COMMIT_BATCH,
			   offsetof(struct commit_bio, leg.bio),
			   BIOSET_NEED_BVECS);
}

void hcv_commit_exit(void)
{
	bioset_exit(&commit_bs);
}
