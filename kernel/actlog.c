// SPDX-License-Identifier: GPL-2.0-only
/*
 * The activity log of an attached volume; core/log.h says what it is.
 *
 * Kept by volumes with HCV_VOL_F_LOG; the start of any volume reads what it finds.
 *
 * A write that finds its mib not named waits, parked as HCV_WAIT_LOG.  One
 * worker collects who waits, makes entries, and writes the pages that changed to
 * all in-sync replicas at once, FUA; who comes meanwhile is in its next turn.
 * Data go only when the entry is durable on all replicas that the record may
 * call in-sync: a write of the log while a link is FAILING or LOST, or in
 * which one became so, is void, as a FLUSH round is, and is made anew when those
 * who wait are submitted again.  So the log of any in-sync replica names all
 * that may differ, and nobody needs the log of a copy that is away.
 *
 * An entry that is to make room for another goes in this order: the bit that lets
 * writers through is taken back; then, behind a barrier, the busy bits of the mib
 * are looked at; then whether it is unflushed.  A write holds its busy bits
 * when it looks at the first, and marks its mib before it gives them back: one of
 * the two sees the other.
 *
 * Before it serves, a new owner gives all slots of the mibs that it found named
 * the new v as stamp and has their pages made durable; only then are the logs
 * emptied.  A copy on its way in gets the log last.
 *
 * log->mutex is held over writes of the log; vol->mutex may be held around it.
 * Nobody waits for the agent under it.
 */
#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/ktime.h>
#include <linux/slab.h>

#include "actlog.h"
#include "core/log.h"
#include "compat.h"
#include "hotslot.h"
#include "io.h"
#include "rw.h"
#include "volume.h"

/* A batch of misses; as many as one page takes. */
#define ACTLOG_BATCH	HCV_LOG_ENTRIES

/**
 * struct hcv_actlog - the activity log of a volume
 * @vol: the volume
 * @mutex: the table, and its pages on the replicas
 * @work: names what is waited for
 * @pending: bios in flight, plus one
 * @done: there are none
 * @fail: one failed, or a replica was left out
 * @refused: the last replica's disk did not take it
 * @refused_ns: who waits since before that gets an error; 0: it was taken since
 * @full: somebody waits for a round to make entries idle
 * @purge: enum actlog_purge
 * @misses: times that a write had to wait for an entry
 * @writes: pages that were written, each to all replicas
 * @evicted: entries that made room
 * @named: mibs that the logs named when it started
 * @buf: images of the pages
 * @mib: the batch
 * @nr: mibs in it
 * @log: the table
 */
struct hcv_actlog {
	struct hcv_vol *vol;
	struct mutex mutex;	/* see above */
	struct work_struct work;
	atomic_t pending;
	struct completion done;
	bool fail;
	bool refused;
	bool full;
	int purge;
	u64 refused_ns;
	atomic64_t misses;
	u64 writes;
	u64 evicted;
	u32 named;
	void *buf[HCV_LOG_PAGES];
	u32 mib[ACTLOG_BATCH];
	u32 nr;
	struct hcv_log log;
};

/**
 * enum actlog_purge - what hcv_actlog_empty_for() waits for
 * @ACTLOG_NO_PURGE: nobody waits
 * @ACTLOG_PURGE: the worker is to drop what is idle
 * @ACTLOG_EMPTY: it has, and no in-sync replica's log names anything
 * @ACTLOG_LEFT: it has, and some may
 */
enum actlog_purge {
	ACTLOG_NO_PURGE,
	ACTLOG_PURGE,
	ACTLOG_EMPTY,
	ACTLOG_LEFT
};

struct actlog_bio {
	struct hcv_actlog *al;
	bool flush;
	s64 start_ns;
	struct hcv_leg leg;
};

static struct bio_set actlog_bs;
static struct workqueue_struct *actlog_wq;

/* --- writing pages -------------------------------------------------------- */

static void actlog_put(struct hcv_actlog *al)
{
	if (atomic_dec_and_test(&al->pending))
		complete(&al->done);
}

static void actlog_endio(struct bio *bio)
{
	struct actlog_bio *ab = container_of(bio, struct actlog_bio, leg.bio);
	struct hcv_link *link = ab->leg.link;
	struct hcv_actlog *al = ab->al;
	int err = blk_status_to_errno(bio->bi_status);

	hcv_stats_end(link->stats, ab->flush ? HCV_IO_FLUSH : HCV_IO_WRITE,
		      ab->flush ? 0 : HCV_BLOCK_SIZE,
		      ktime_get_boottime_ns() - ab->start_ns, bio->bi_status);
	/*
	 * The error of a write says nothing of what else the disk has cached, and
	 * nobody relies on what it did not take.  That of a FLUSH does: the
	 * store is not believed any more.
	 */
	if (!err || ab->flush)
		err = hcv_link_flushed(link, err);
	if (err) {
		WRITE_ONCE(al->fail, true);
		/* The last replica stays: its disk's word is final. */
		if (!hcv_link_fail(link, -err,
				   ab->flush ? "log flush" : "log write"))
			WRITE_ONCE(al->refused, true);
	}
	hcv_link_leave(&ab->leg);
	bio_put(bio);
	actlog_put(al);
}

/* Count the bio in, if the link is in-sync or is about to be. */
static bool actlog_enter(struct hcv_actlog *al, struct hcv_link *link,
			 struct hcv_leg *leg)
{
	bool ok = false;
	u8 state;

	rcu_read_lock();
	/* Pairs with link_set_state(): link->area was noted before. */
	state = smp_load_acquire(&link->state);
	if (state == HCV_LINK_FAILING || state == HCV_LINK_LOST) {
		WRITE_ONCE(al->fail, true);
	} else if (state == HCV_LINK_INSYNC || state == HCV_LINK_JOINING) {
		ok = hcv_link_enter(link, leg);
		if (!ok) {
			hcv_link_refused(link, leg);
			WRITE_ONCE(al->fail, true);
		}
	}
	rcu_read_unlock();
	return ok;
}

/*
 * Whether durable writes need a FLUSH of their own.  With FUA the block layer
 * would send one behind the write and tell of either's failure in the same way.
 * A leg is counted in: the device stays.
 */
static bool actlog_flushes(const struct hcv_link *link)
{
	return link->local && bdev_write_cache(link->bdev) &&
	       !bdev_fua(link->bdev);
}

/* @page: HCV_LOG_PAGES: a FLUSH.  Return: whether the link needs one later */
static bool actlog_send(struct hcv_actlog *al, struct hcv_link *link, u32 page,
			u32 place)
{
	bool flush = page == HCV_LOG_PAGES, later = false;
	blk_opf_t opf = REQ_OP_WRITE | REQ_SYNC;
	struct actlog_bio *ab;
	struct bio *bio;

	bio = bio_alloc_bioset(NULL, !flush, opf, GFP_NOIO, &actlog_bs);
	ab = container_of(bio, struct actlog_bio, leg.bio);
	if (!actlog_enter(al, link, &ab->leg)) {
		bio_put(bio);
		return false;
	}
	ab->al = al;
	ab->flush = flush;
	bio_set_dev(bio, link->bdev);
	if (!link->local)
		bio->bi_opf |= REQ_FAILFAST_TRANSPORT | REQ_FAILFAST_DRIVER |
			       REQ_FAILFAST_DEV;
	if (flush) {
		bio->bi_opf |= REQ_PREFLUSH;
	} else {
		later = actlog_flushes(link);
		bio->bi_opf |= REQ_META | (later ? 0 : REQ_FUA);
		bio->bi_iter.bi_sector = READ_ONCE(link->area) +
			(hcv_fmt_log_off(page, place) >> SECTOR_SHIFT);
		__bio_add_page(bio, virt_to_page(al->buf[page]),
			       HCV_BLOCK_SIZE, offset_in_page(al->buf[page]));
	}
	bio->bi_end_io = actlog_endio;
	ab->start_ns = ktime_get_boottime_ns();
	hcv_stats_begin(link->stats);
	atomic_inc(&al->pending);
	hcv_submit_bio(bio);
	return later;
}

static void actlog_begin(struct hcv_actlog *al)
{
	atomic_set(&al->pending, 1);
	reinit_completion(&al->done);
}

/* Every bio ends: lower devices have time-outs. */
static void actlog_wait(struct hcv_actlog *al)
{
	actlog_put(al);
	wait_for_completion_io(&al->done);
}

/*
 * Write the pages that changed.  Return: whether all that they name is durable
 * on every replica of the in-sync set.
 */
static bool actlog_write(struct hcv_actlog *al)
{
	u32 dirty = hcv_log_dirty(&al->log), page, place, i, gate, later = 0;
	struct hcv_vol *vol = al->vol;
	u64 seq[HCV_LOG_PAGES];
	bool good;

	lockdep_assert_held(&al->mutex);
	/* Pairs with link_set_state(), as for io_verdict(). */
	gate = smp_load_acquire(&vol->ack_gate);
	if (gate & HCV_ACK_CLOSED)
		return false;
	WRITE_ONCE(al->fail, false);
	WRITE_ONCE(al->refused, false);
	actlog_begin(al);
	for (page = 0; page < HCV_LOG_PAGES; page++) {
		if (!(dirty & BIT(page)))
			continue;
		place = hcv_log_next(&al->log, page, &seq[page]);
		hcv_log_encode(&al->log, page, place, seq[page],
			       al->buf[page]);
		for (i = 0; i < READ_ONCE(vol->nr_links); i++)
			if (actlog_send(al, vol->link[i], page, place))
				later |= BIT(i);
		WRITE_ONCE(al->writes, al->writes + 1);
	}
	actlog_wait(al);
	if (later && !READ_ONCE(al->fail)) {
		actlog_begin(al);
		for (i = 0; i < HCV_MAX_LINKS; i++)
			if (later & BIT(i))
				actlog_send(al, vol->link[i], HCV_LOG_PAGES, 0);
		actlog_wait(al);
	}
	/* Pairs with link_set_state(): none failed, and none came back. */
	good = !READ_ONCE(al->fail) && smp_load_acquire(&vol->ack_gate) == gate;
	for (page = 0; page < HCV_LOG_PAGES; page++)
		if (dirty & BIT(page))
			hcv_log_sent(&al->log, page, seq[page], good);
	return good;
}

/* --- naming mibs ---------------------------------------------------------- */

static bool actlog_busy(struct hcv_vol *vol, u32 mib)
{
	struct hcv_leaf *leaf;
	struct hcv_hot *hot;
	bool busy = false;

	rcu_read_lock();
	leaf = hcv_map_leaf(&vol->map, mib);
	hot = leaf ? rcu_dereference(leaf->ent[mib % HCV_LEAF_MIBS].hot) : NULL;
	if (hot)
		busy = hcv_hot_test(hot, 0, HCV_SLOT_BLOCKS);
	rcu_read_unlock();
	/* What was marked under bits that are clear is seen by who asks next. */
	smp_rmb();
	return busy;
}

static bool actlog_in_batch(const struct hcv_actlog *al, u32 mib)
{
	u32 i;

	for (i = 0; i < al->nr; i++)
		if (al->mib[i] == mib)
			return true;
	return false;
}

static bool actlog_idle(void *arg, u32 mib)
{
	struct hcv_actlog *al = arg;
	struct hcv_vol *vol = al->vol;

	/* Spares most the round trip; what tells comes below. */
	if (hcv_map_is_unflushed(&vol->map, mib))
		return false;
	/* Of a void write, unless it is about to be used: nobody relies on it. */
	if (!hcv_map_log_reset(&vol->map, mib))
		return !actlog_in_batch(al, mib);
	if (actlog_busy(vol, mib) || atomic_read(&vol->nr_unsure) ||
	    hcv_map_is_unflushed(&vol->map, mib)) {
		hcv_map_log_set(&vol->map, mib);
		return false;
	}
	return true;
}

static bool actlog_drop(void *arg, u32 mib)
{
	struct hcv_actlog *al = arg;

	if (!actlog_idle(al, mib))
		return false;
	al->evicted++;
	return true;
}

/* Make entries for the batch; returns how many there are now. */
static u32 actlog_add(struct hcv_actlog *al)
{
	u32 i;

	for (i = 0; i < al->nr; i++)
		if (hcv_log_add(&al->log, al->mib[i], actlog_drop, al))
			break;
	return i;
}

/*
 * Who waits for which mibs; false: nobody.  One that is named by now is not in the
 * batch: its entry may make room for another one of it.
 */
static bool actlog_collect(struct hcv_actlog *al)
{
	struct hcv_map *map = &al->vol->map;
	u32 nr = hcv_map_log_take(map, al->mib, ACTLOG_BATCH), i;

	al->nr = 0;
	for (i = 0; i < nr; i++)
		if (!hcv_map_is_logged(map, al->mib[i]))
			al->mib[al->nr++] = al->mib[i];
	return nr;
}

/* False: nothing to do, or nothing can be done now. */
static bool actlog_turn(struct hcv_actlog *al)
{
	struct hcv_vol *vol = al->vol;
	u32 added, i;

	/* Nothing is written then; who waits asks again when it goes on. */
	if (READ_ONCE(vol->hand) >= HCV_HAND_HALTING || !actlog_collect(al))
		return false;
	added = actlog_add(al);
	if (added < al->nr) {
		/* The others ask again when a round has made room. */
		WRITE_ONCE(al->full, true);
		/* Pairs with hcv_actlog_flushed(). */
		smp_mb();
		hcv_commit_kick(vol);
	}
	/* Void: the same ones ask again when that replica is out, or back. */
	if ((al->nr && !added) || !actlog_write(al)) {
		if (!added || !READ_ONCE(al->refused))
			return false;
		WRITE_ONCE(al->refused_ns, ktime_get_boottime_ns());
		hcv_vol_kick(vol, HCV_WAIT_LOG);
		return true;
	}
	WRITE_ONCE(al->refused_ns, 0);
	for (i = 0; i < added; i++)
		hcv_map_log_set(&vol->map, al->mib[i]);
	hcv_vol_kick(vol, HCV_WAIT_LOG);
	return true;
}

/*
 * By the rules for any entry, so that whoever waits for it may give up, and let
 * I/O go on, at any time.
 */
static void actlog_purge(struct hcv_actlog *al)
{
	bool empty;

	if (READ_ONCE(al->purge) != ACTLOG_PURGE)
		return;
	al->nr = 0;
	empty = !hcv_log_purge(&al->log, actlog_idle, al) &&
		(!hcv_log_dirty(&al->log) || actlog_write(al));
	cmpxchg(&al->purge, ACTLOG_PURGE, empty ? ACTLOG_EMPTY : ACTLOG_LEFT);
	wake_up_all(&al->vol->wait);
}

static void actlog_fn(struct work_struct *work)
{
	struct hcv_actlog *al = container_of(work, struct hcv_actlog, work);
	bool more;

	do {
		mutex_lock(&al->mutex);
		actlog_purge(al);
		more = actlog_turn(al);
		mutex_unlock(&al->mutex);
	} while (more);
}

/* What a write waits for whose entry no log write could make now. */
static u8 actlog_closed_wait(struct hcv_vol *vol)
{
	u32 i;

	for (i = 0; i < READ_ONCE(vol->nr_links); i++) {
		u8 state = READ_ONCE(vol->link[i]->state);

		if (state == HCV_LINK_INSYNC || state == HCV_LINK_JOINING)
			return HCV_WAIT_CONFIRM;
	}
	return HCV_WAIT_REPLICA;
}

/*
 * Who waits since then has waited for a log write that the last replica refused;
 * or no round will ever make room, since that one has failed a flush.
 */
static bool actlog_refused(const struct hcv_actlog *al, u64 since_ns)
{
	return (since_ns && since_ns <= READ_ONCE(al->refused_ns)) ||
	       (READ_ONCE(al->full) && READ_ONCE(al->vol->flush_lost));
}

static void actlog_want(struct hcv_actlog *al, struct hcv_leaf *leaf, u32 mib)
{
	atomic64_inc(&al->misses);
	hcv_map_log_want(&al->vol->map, leaf, mib);
	queue_work(actlog_wq, &al->work);
}

void hcv_actlog_wait(struct hcv_io *io)
{
	struct hcv_vol *vol = io->vol;

	if (unlikely(actlog_refused(vol->actlog, io->wait_ns))) {
		hcv_io_end(io, BLK_STS_IOERR);
		return;
	}
	/* Whoever opens the gate kicks all after that. */
	if (unlikely(READ_ONCE(vol->ack_gate) & HCV_ACK_CLOSED)) {
		hcv_io_park(io, actlog_closed_wait(vol));
		return;
	}
	actlog_want(vol->actlog, io->leaf, io->mib);
	/* Named since then: hcv_vol_kick() came, and it is submitted again. */
	hcv_io_park(io, HCV_WAIT_LOG);
}

int hcv_actlog_ask(struct hcv_vol *vol, u32 mib, u64 since_ns)
{
	struct hcv_leaf *leaf;

	if (actlog_refused(vol->actlog, since_ns))
		return -EIO;
	/* Leaves stay. */
	rcu_read_lock();
	leaf = hcv_map_leaf(&vol->map, mib);
	rcu_read_unlock();
	hcv_map_mark(&vol->map, leaf, mib);
	actlog_want(vol->actlog, leaf, mib);
	return 0;
}

void hcv_actlog_flushed(struct hcv_vol *vol)
{
	struct hcv_actlog *al = vol->actlog;

	if (!READ_ONCE(al->full))
		return;
	WRITE_ONCE(al->full, false);
	/* Pairs with actlog_turn(): who finds it full now has a round run. */
	smp_mb();
	hcv_vol_kick(vol, HCV_WAIT_LOG);
}

void hcv_actlog_numbers(struct hcv_vol *vol, struct hcv_actlog_numbers *n)
{
	struct hcv_actlog *al = vol->actlog;

	n->entries = READ_ONCE(al->log.nr);
	n->misses = atomic64_read(&al->misses);
	n->writes = READ_ONCE(al->writes);
	n->evicted = READ_ONCE(al->evicted);
	n->named = READ_ONCE(al->named);
}

/* --- whole logs ----------------------------------------------------------- */

/*
 * Write all pages to both places on @link: the one first that is not the newest
 * valid one there, since a power cut may have torn the other.
 */
static int actlog_write_all(struct hcv_actlog *al, struct hcv_link *link,
			    u32 newest)
{
	u32 i, page, place;
	u64 seq;
	int ret;

	lockdep_assert_held(&al->mutex);
	for (i = 0; i < 2 * HCV_LOG_PAGES; i++) {
		page = i % HCV_LOG_PAGES;
		place = (newest >> page & 1) ^ (i < HCV_LOG_PAGES);
		hcv_log_next(&al->log, page, &seq);
		hcv_log_encode(&al->log, page, place, seq, al->buf[page]);
		ret = hcv_link_rw(link, REQ_OP_WRITE | REQ_FUA | REQ_META,
				  READ_ONCE(link->area) +
				  (hcv_fmt_log_off(page, place) >>
				   SECTOR_SHIFT), al->buf[page],
				  HCV_BLOCK_SIZE);
		if (ret)
			return ret;
		/* The next image of the page is newer than this one. */
		if (i >= HCV_LOG_PAGES)
			hcv_log_sent(&al->log, page, seq, false);
	}
	WRITE_ONCE(al->writes, al->writes + 2 * HCV_LOG_PAGES);
	return 0;
}

/*
 * A power cut may leave what was being written unreadable instead of torn: such
 * a place is a damaged one, for which there is the other.
 */
int hcv_actlog_read(struct hcv_link *link, void *buf)
{
	sector_t at = READ_ONCE(link->area) + (HCV_VOLLOG_OFF >> SECTOR_SHIFT);
	u32 off, bad = 0;
	int ret, err;

	ret = hcv_link_rw(link, REQ_OP_READ | REQ_META, at, buf,
			  HCV_VOLLOG_SIZE);
	if (!ret || ret == -ECANCELED)
		return ret;
	for (off = 0; off < HCV_VOLLOG_SIZE; off += HCV_BLOCK_SIZE) {
		err = hcv_link_rw(link, REQ_OP_READ | REQ_META,
				  at + (off >> SECTOR_SHIFT), buf + off,
				  HCV_BLOCK_SIZE);
		if (err == -ECANCELED)
			return err;
		if (!err)
			continue;
		/* Not blank, which would say that it was never written. */
		memset(buf + off, 0xff, HCV_BLOCK_SIZE);
		bad++;
	}
	return bad * HCV_BLOCK_SIZE < HCV_VOLLOG_SIZE ? 0 : ret;
}

/*
 * Both places of all pages at once: no record calls that copy in-sync yet, and
 * what a power cut tears here is read by nobody.
 */
static int actlog_write_joining(struct hcv_actlog *al, struct hcv_link *link,
				void *buf)
{
	u32 page, place;
	u64 seq;

	lockdep_assert_held(&al->mutex);
	for (page = 0; page < HCV_LOG_PAGES; page++) {
		hcv_log_next(&al->log, page, &seq);
		for (place = 0; place < 2; place++)
			hcv_log_encode(&al->log, page, place, seq,
				       buf + hcv_fmt_log_off(page, place) -
				       HCV_VOLLOG_OFF);
		/* The next image of the page is newer than this one. */
		hcv_log_sent(&al->log, page, seq, false);
	}
	WRITE_ONCE(al->writes, al->writes + 2 * HCV_LOG_PAGES);
	return hcv_link_rw(link, REQ_OP_WRITE | REQ_FUA | REQ_META,
			   READ_ONCE(link->area) +
			   (HCV_VOLLOG_OFF >> SECTOR_SHIFT), buf,
			   HCV_VOLLOG_SIZE);
}

int hcv_actlog_join(struct hcv_link *link)
{
	struct hcv_vol *vol = link->vol;
	struct hcv_actlog *al = vol->actlog;
	void *buf;
	int ret;

	if (!(vol->flags & HCV_VOL_F_LOG)) {
		hcv_link_joined(link);
		return 0;
	}
	BUILD_BUG_ON(2 * HCV_LOG_PAGES * HCV_BLOCK_SIZE != HCV_VOLLOG_SIZE);
	buf = kvmalloc(HCV_VOLLOG_SIZE, GFP_NOIO);
	if (!buf)
		return -ENOMEM;
	/* Misses wait for this, but for one write only. */
	mutex_lock(&al->mutex);
	ret = actlog_write_joining(al, link, buf);
	/* From here on it gets what the others get. */
	if (!ret)
		hcv_link_joined(link);
	mutex_unlock(&al->mutex);
	kvfree(buf);
	return ret;
}

struct actlog_load {
	struct hcv_vol *vol;
	int ret;
};

static void actlog_name(void *arg, u32 mib)
{
	struct actlog_load *l = arg;

	if (!l->ret)
		l->ret = hcv_map_name(&l->vol->map, mib);
}

int hcv_actlog_load(struct hcv_link *link, const void *buf,
		    struct hcv_log_load *load, struct netlink_ext_ack *extack)
{
	struct hcv_vol *vol = link->vol;
	struct actlog_load l = { .vol = vol };
	struct hcv_actlog *al = vol->actlog;
	struct hcv_log_found found;
	u32 i;

	hcv_log_read(buf, vol->uuid.b, vol->map.lineage, &found, actlog_name,
		     &l);
	if (found.epoch > vol->epoch) {
		hcv_compat_err(extack, "the activity log on store %pUb is of epoch %llu: the metadata store is older than the data",
			       &link->store, found.epoch);
		return -ESTALE;
	}
	if (found.lost) {
		load->damaged = true;
		hcv_vol_warn(vol, "%u page(s) of the activity log on store %pUb are damaged\n",
			     found.lost, &link->store);
	}
	load->newest[link->nr] = found.newest;
	hcv_log_look(&load->look, &al->log, &found);
	for (i = 0; i < HCV_LOG_PAGES; i++)
		al->log.page[i].pos.seq = max(al->log.page[i].pos.seq,
					      found.seq);
	return l.ret;
}

/* A round, and none that waits for the agent: the start holds what that needs. */
static int actlog_round(struct hcv_vol *vol)
{
	int ret;

	WRITE_ONCE(vol->impatient, true);
	ret = hcv_commit_sync(vol, NULL);
	WRITE_ONCE(vol->impatient, false);
	return ret;
}

/* One that fails here leaves, as with the volume page; the last does not. */
static int actlog_empty_all(struct hcv_actlog *al,
			    const struct hcv_log_load *load)
{
	struct hcv_vol *vol = al->vol;
	int ret = 0, err;
	u32 i, done = 0;

	for (i = 0; i < vol->nr_links; i++) {
		struct hcv_link *link = vol->link[i];

		if (READ_ONCE(link->state) != HCV_LINK_INSYNC)
			continue;
		err = actlog_write_all(al, link, load->newest[i]);
		if (!err)
			done++;
		else if (err == -ECANCELED ?
			 hcv_link_writable(READ_ONCE(link->state)) :
			 !hcv_link_fail(link, -err, "log write"))
			ret = err;
	}
	return ret ? ret : done ? 0 : -ENOLINK;
}

int hcv_actlog_start(struct hcv_vol *vol, const struct hcv_log_load *load)
{
	struct hcv_actlog *al = vol->actlog;
	u32 page;
	u64 seq;
	int ret = 0;

	/*
	 * A whole one beside it does not help: it may be that of a store which
	 * came into the set with extents that have had no data so far.
	 */
	if (load->damaged) {
		hcv_vol_warn(vol, "an in-sync replica's activity log is damaged; all slots count as written\n");
		hcv_map_name_all(&vol->map);
	}
	al->named = hcv_map_unflushed(&vol->map);
	if (al->named) {
		hcv_vol_info(vol, "the activity log names %u MiB that other copies may lack\n",
			     al->named);
		mutex_lock(&vol->confirm_mutex);
		hcv_map_bump(&vol->map, vol->map.v);
		mutex_unlock(&vol->confirm_mutex);
		ret = actlog_round(vol);
	}
	/* One that was kept before and is not now is emptied once. */
	if (!(vol->flags & HCV_VOL_F_LOG) && !al->named)
		return 0;
	if (ret)
		return ret;
	mutex_lock(&al->mutex);
	if (!al->named && hcv_log_adopt(&al->log, &load->look))
		goto out;
	ret = actlog_empty_all(al, load);
	for (page = 0; page < HCV_LOG_PAGES && !ret; page++) {
		hcv_log_next(&al->log, page, &seq);
		hcv_log_sent(&al->log, page, seq - 1, true);
	}
out:
	mutex_unlock(&al->mutex);
	return ret;
}

/* Who writes after all, since the stop does not go through, waits again. */
static void actlog_unname(struct hcv_actlog *al)
{
	u32 page, i;

	for (page = 0; page < HCV_LOG_PAGES; page++)
		for (i = 0; i < al->log.page[page].nr; i++)
			hcv_map_log_reset(&al->vol->map,
					  al->log.ent[page * HCV_LOG_ENTRIES +
						      i].mib);
}

void hcv_actlog_empty(struct hcv_vol *vol)
{
	struct hcv_actlog *al = vol->actlog;

	if (!(vol->flags & HCV_VOL_F_LOG))
		return;
	mutex_lock(&al->mutex);
	actlog_unname(al);
	hcv_log_clear(&al->log);
	if (hcv_log_dirty(&al->log) && !actlog_write(al))
		hcv_vol_info(vol, "the activity log could not be emptied\n");
	mutex_unlock(&al->mutex);
}

int hcv_actlog_empty_for(struct hcv_vol *vol, unsigned int ms)
{
	struct hcv_actlog *al = vol->actlog;

	if (!(vol->flags & HCV_VOL_F_LOG))
		return 0;
	WRITE_ONCE(al->purge, ACTLOG_PURGE);
	queue_work(actlog_wq, &al->work);
	wait_event_timeout(vol->wait, READ_ONCE(al->purge) != ACTLOG_PURGE,
			   msecs_to_jiffies(ms));
	switch (xchg(&al->purge, ACTLOG_NO_PURGE)) {
	case ACTLOG_EMPTY:
		return 0;
	case ACTLOG_LEFT:
		return -EAGAIN;
	default:
		return -ETIMEDOUT;
	}
}

int hcv_actlog_create(struct hcv_vol *vol)
{
	struct hcv_actlog *al = kvzalloc(sizeof(*al), GFP_KERNEL);
	u32 i;

	if (!al)
		return -ENOMEM;
	al->vol = vol;
	mutex_init(&al->mutex);
	INIT_WORK(&al->work, actlog_fn);
	init_completion(&al->done);
	hcv_log_init(&al->log, vol->uuid.b, vol->map.lineage, vol->epoch,
		     HCV_LOG_PAGES, HCV_LOG_ENTRIES);
	vol->actlog = al;
	for (i = 0; i < HCV_LOG_PAGES; i++) {
		al->buf[i] = (void *)__get_free_page(GFP_KERNEL);
		if (!al->buf[i])
			return -ENOMEM;
	}
	return 0;
}

void hcv_actlog_stop(struct hcv_vol *vol)
{
	if (vol->actlog)
		cancel_work_sync(&vol->actlog->work);
}

void hcv_actlog_destroy(struct hcv_vol *vol)
{
	struct hcv_actlog *al = vol->actlog;
	u32 i;

	if (!al)
		return;
	for (i = 0; i < HCV_LOG_PAGES; i++)
		free_page((unsigned long)al->buf[i]);
	kvfree(al);
	vol->actlog = NULL;
}

int hcv_actlog_init(void)
{
	int ret;

	/* Writes wait for it, those that free memory too. */
	actlog_wq = alloc_workqueue("hcivol-log", WQ_UNBOUND | WQ_MEM_RECLAIM |
				    WQ_HIGHPRI, 0);
	if (!actlog_wq)
		return -ENOMEM;
	/* One volume's pages on all its links may be in flight at a time. */
	ret = bioset_init(&actlog_bs, HCV_LOG_PAGES * HCV_MAX_REPLICAS,
			  offsetof(struct actlog_bio, leg.bio),
			  BIOSET_NEED_BVECS);
	if (ret)
		destroy_workqueue(actlog_wq);
	return ret;
}

void hcv_actlog_exit(void)
{
	bioset_exit(&actlog_bs);
	destroy_workqueue(actlog_wq);
}
