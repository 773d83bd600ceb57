// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bringing a returned replica up to date.
 *
 * From the moment its link is SYNCING all writes go to it as well.  What ran
 * before that is waited for; then, extent by extent, its metadata pages are read
 * and compared with the map: a slot whose record is the same (mib,
 * generation, sequence, stamp) was not written since it left (I9), every
 * other one is copied, 128 KiB at a time, under the busy bits of these blocks.
 * When an extent is equal it is flushed, and only from then on do page
 * images go to the replica: interrupted before, it still has its old pages,
 * whose stamps send us over the same slots again.  When all extents are equal,
 * a last round makes the pages durable, the activity log is written to it, and
 * the link is JOINING.
 *
 * A temporary replica is filled in the same way, but with another question: what its
 * base may lack, that is slots with a stamp above the base's v, and of them all
 * blocks that it does not hold.  Its pages say what those are, and go to it from the
 * beginning.
 */
#include <linux/ktime.h>
#include <linux/slab.h>

#include "actlog.h"
#include "hotslot.h"
#include "io.h"
#include "volume.h"

#define SYNC_CHUNK_BLOCKS	32U
#define SYNC_CHUNK_BYTES	(SYNC_CHUNK_BLOCKS << HCV_BLOCK_SHIFT)
#define SYNC_WINDOW_NS		(4LL * NSEC_PER_SEC)
#define SYNC_MEMORY_WAIT	(HZ / 10 + 1)

struct hcv_sync {
	struct hcv_link *link;
	struct work_struct work;
	bool stop;
	unsigned long *done;	/* extents by index */
	u32 nr_done;		/* bits in @done */
	void *pages;
	void *chunk;
	u32 kibps;		/* limit that is being kept */
	s64 since_ns;		/* counted from here */
	u64 since_copied;
	u64 last_copied;	/* when it was last looked at */
};

static struct workqueue_struct *sync_wq;

static bool sync_over(struct hcv_sync *s)
{
	return READ_ONCE(s->stop) || READ_ONCE(s->link->vol->failed) ||
	       READ_ONCE(s->link->state) != HCV_LINK_SYNCING;
}

bool hcv_sync_takes_pages(struct hcv_link *link, struct hcv_ext *ext)
{
	struct hcv_sync *s;
	bool takes;

	rcu_read_lock();
	s = READ_ONCE(link->sync);
	/* Extents that came later were fresh on all replicas. */
	takes = s && (ext->index >= s->nr_done ||
		      test_bit(ext->index, s->done));
	rcu_read_unlock();
	return takes;
}

/* Data blocks of a slot in [blk, blk + 32) as bits; false: slot changed. */
static bool sync_bits(struct hcv_ext *ext, u32 rec, const struct hcv_rec *want,
		      u32 blk, u32 *bits)
{
	struct hcv_rec now;

	hcv_map_record(ext, rec, &now);
	if (now.state != HCV_REC_USED || now.seq != want->seq)
		return false;
	*bits = now.lo[blk / 64] >> (blk % 64);
	return true;
}

/* From any in-sync replica; if not all at once, then block by block. */
static int sync_read(struct hcv_sync *s, struct hcv_ext *ext, u32 rec, u32 blk,
		     u32 nr)
{
	struct hcv_vol *vol = s->link->vol;
	u32 i;
	int ret;

	ret = hcv_ext_read(vol, ext, hcv_slot_sector(rec, blk), s->chunk,
			   nr << HCV_BLOCK_SHIFT);
	if (ret != -EIO)
		return ret;
	for (i = 0; i < nr; i++) {
		ret = hcv_ext_read(vol, ext, hcv_slot_sector(rec, blk + i),
				   s->chunk + (i << HCV_BLOCK_SHIFT),
				   HCV_BLOCK_SIZE);
		if (ret)
			break;
	}
	if (ret == -EIO)
		hcv_vol_warn(vol, "extent %u slot %u block %u can be read from no in-sync replica; write it, then resync\n",
			     ext->index, rec, blk + i);
	return ret;
}

static int sync_copy_run(struct hcv_sync *s, struct hcv_ext *ext, u32 rec,
			 u32 blk, u32 nr)
{
	u32 bytes = nr << HCV_BLOCK_SHIFT;
	sector_t to;
	int ret;

	if (!hcv_ext_place(ext, s->link, &to))
		return -ENOLINK;
	ret = sync_read(s, ext, rec, blk, nr);
	if (ret)
		return ret;
	ret = hcv_link_rw(s->link, REQ_OP_WRITE,
			  to + hcv_slot_sector(rec, blk), s->chunk, bytes);
	if (!ret)
		WRITE_ONCE(s->link->sync_copied, s->link->sync_copied + bytes);
	return ret;
}

/* Short of memory is no reason to give a replica up: a little later again. */
static bool sync_again(struct hcv_sync *s, int ret)
{
	if (ret != -ENOMEM)
		return false;
	wait_event_timeout(s->link->vol->wait, sync_over(s), SYNC_MEMORY_WAIT);
	return !sync_over(s);
}

/* What was copied, and what has no data, is held; under busy bits. */
static void sync_hold(struct hcv_sync *s, struct hcv_ext *ext, u32 rec, u32 blk)
{
	if (s->link->life)
		hcv_map_hold(&s->link->vol->map, &ext->slot[rec], blk,
			     SYNC_CHUNK_BLOCKS);
}

static int sync_chunk(struct hcv_sync *s, struct hcv_ext *ext, u32 rec,
		      const struct hcv_rec *want, u32 blk)
{
	struct hcv_vol *vol = s->link->vol;
	u32 bits, i, n;
	struct hcv_ioref *ref;
	struct hcv_hot *hot;
	int ret;

	do {
		ret = hcv_vol_enter(vol, &s->stop, &ref);
		if (ret)
			return ret;
		ret = hcv_hot_lock_sync(vol, want->mib, blk, SYNC_CHUNK_BLOCKS,
					&s->stop, &hot);
		/* A stop waits for periods, and must not wait for memory. */
		if (ret)
			hcv_vol_leave(ref);
	} while (sync_again(s, ret));
	if (ret)
		return ret;
	if (sync_bits(ext, rec, want, blk, &bits)) {
		for (i = 0; i < SYNC_CHUNK_BLOCKS && !ret; i += n) {
			for (n = 1; i + n < SYNC_CHUNK_BLOCKS &&
			     (bits >> i & 1) == (bits >> (i + n) & 1); n++)
				;
			if (bits >> i & 1)
				ret = sync_copy_run(s, ext, rec, blk + i, n);
		}
		if (!ret)
			sync_hold(s, ext, rec, blk);
	}
	hcv_hot_unlock(vol, hot, blk, SYNC_CHUNK_BLOCKS);
	/* A DISCARD of all of it may have found our bits. */
	hcv_zero_reap(vol, want->mib);
	hcv_vol_leave(ref);
	return ret;
}

/*
 * The agent has paused it: nothing is held meanwhile, neither blocks nor a
 * period, and what ends the resync ends the wait.  It stands before a copy and
 * not after one, so that a replica to which nothing has to be copied joins.
 */
static void sync_pause(struct hcv_sync *s)
{
	struct hcv_vol *vol = s->link->vol;

	while (READ_ONCE(vol->sync_kibps) == HCV_SYNC_PAUSED && !sync_over(s))
		wait_event_idle_timeout(vol->wait, sync_over(s) ||
					READ_ONCE(vol->sync_kibps) !=
					HCV_SYNC_PAUSED, HZ);
}

/*
 * Keep to the limit of the agent.  It is counted anew every few seconds and
 * when it changes: what was not used is not saved up for a burst, and a limit
 * set half-way does not ask for what was copied before.
 */
static void sync_throttle(struct hcv_sync *s)
{
	struct hcv_vol *vol = s->link->vol;
	u32 kibps = READ_ONCE(vol->sync_kibps);
	u64 copied = s->link->sync_copied;
	s64 now = ktime_get_boottime_ns(), ahead;

	/* Nothing is owed but for what was copied since the last look. */
	if (kibps != s->kibps || now - s->since_ns > SYNC_WINDOW_NS) {
		s->kibps = kibps;
		s->since_ns = now;
		s->since_copied = s->last_copied;
	}
	s->last_copied = copied;
	while (kibps && kibps != HCV_SYNC_PAUSED && !sync_over(s)) {
		ahead = div_u64((copied - s->since_copied) *
				(NSEC_PER_SEC >> 10), kibps) -
			(ktime_get_boottime_ns() - s->since_ns);
		if (ahead <= 0)
			break;
		wait_event_timeout(vol->wait, sync_over(s) ||
				   READ_ONCE(vol->sync_kibps) != kibps,
				   nsecs_to_jiffies(min_t(s64, ahead,
							  NSEC_PER_SEC)) + 1);
		kibps = READ_ONCE(vol->sync_kibps);
		if (kibps != s->kibps) {
			s->kibps = kibps;
			s->since_ns = ktime_get_boottime_ns();
			s->since_copied = copied;
		}
	}
}

static int sync_slot(struct hcv_sync *s, struct hcv_ext *ext, u32 rec,
		     const struct hcv_rec *want)
{
	u32 blk;
	int ret = 0;

	for (blk = 0; blk < HCV_SLOT_BLOCKS && !ret; blk += SYNC_CHUNK_BLOCKS) {
		sync_pause(s);
		if (sync_over(s))
			return -ECANCELED;
		ret = sync_chunk(s, ext, rec, want, blk);
		sync_throttle(s);
	}
	return ret;
}

static bool sync_same(const struct hcv_rec *a, const struct hcv_rec *b)
{
	return a->state == b->state && a->mib == b->mib && a->gen == b->gen &&
	       a->seq == b->seq && a->stamp == b->stamp;
}

/* The replica's records of an extent; false: there is nothing to trust. */
static bool sync_read_pages(struct hcv_sync *s, struct hcv_ext *ext,
			    const void **page)
{
	struct hcv_vol *vol = s->link->vol;
	struct hcv_pagepos pos;
	u32 i;

	if (s->link->full || hcv_load_pages(s->link, ext, s->pages))
		return false;
	for (i = 0; i < HCV_EXTENT_PAGES; i++) {
		page[i] = hcv_load_newest(vol, ext, i, s->pages, &pos);
		if (IS_ERR(page[i]))
			page[i] = NULL;
	}
	return true;
}

static int sync_ext(struct hcv_sync *s, struct hcv_ext *ext)
{
	const void *page[HCV_EXTENT_PAGES] = {};
	struct hcv_vol *vol = s->link->vol;
	struct hcv_rec have, want;
	struct hcv_ioref *ref;
	u32 rec;
	int ret;

	sync_read_pages(s, ext, page);
	for (rec = 0; rec < HCV_EXTENT_SLOTS; rec++) {
		const void *p = page[rec / HCV_PAGE_RECORDS];

		hcv_map_record(ext, rec, &want);
		if (want.state != HCV_REC_USED)
			continue;
		WRITE_ONCE(s->link->sync_done,
			   s->link->sync_done + HCV_SLOT_SIZE);
		if (p && !hcv_fmt_page_get(p, rec / HCV_PAGE_RECORDS,
					   rec % HCV_PAGE_RECORDS, &have) &&
		    sync_same(&have, &want))
			continue;
		ret = sync_slot(s, ext, rec, &want);
		if (ret)
			return ret;
	}
	/* One that is suspended has no dirty pages, and gets none. */
	ret = hcv_vol_enter(vol, &s->stop, &ref);
	if (ret)
		return -ECANCELED;
	ret = hcv_link_rw(s->link, REQ_OP_WRITE | REQ_PREFLUSH, 0, NULL, 0);
	if (!ret) {
		set_bit(ext->index, s->done);
		for (rec = 0; rec < HCV_EXTENT_RECORDS; rec += HCV_PAGE_RECORDS)
			hcv_map_dirty(&vol->map, &ext->slot[rec]);
	}
	hcv_vol_leave(ref);
	return ret;
}

/* Whether the base may lack some of a record's data, and so does the copy. */
static bool sync_lacks(struct hcv_sync *s, struct hcv_ext *ext, u32 rec)
{
	const struct hcv_slot *slot = &ext->slot[rec];

	return READ_ONCE(slot->flags) & HCV_SLOT_USED &&
	       READ_ONCE(slot->stamp) > s->link->since &&
	       !hcv_map_holds_all(ext, rec);
}

/* The slots of an extent that a temporary replica is to have. */
static int sync_fill(struct hcv_sync *s, struct hcv_ext *ext)
{
	struct hcv_link *link = s->link;
	struct hcv_rec want;
	u32 rec;
	int ret;

	for (rec = 0; rec < HCV_EXTENT_SLOTS; rec++) {
		if (!sync_lacks(s, ext, rec))
			continue;
		hcv_map_record(ext, rec, &want);
		if (want.state != HCV_REC_USED)
			continue;
		ret = sync_slot(s, ext, rec, &want);
		if (ret)
			return ret;
		/* One that was written since they were counted is one more. */
		if (link->sync_done + HCV_SLOT_SIZE > link->sync_total)
			WRITE_ONCE(link->sync_total,
				   link->sync_done + HCV_SLOT_SIZE);
		WRITE_ONCE(link->sync_done, link->sync_done + HCV_SLOT_SIZE);
	}
	set_bit(ext->index, s->done);
	return 0;
}

/* The next extent with a replica on the link that is not done yet. */
static struct hcv_ext *sync_next(struct hcv_sync *s)
{
	struct hcv_vol *vol = s->link->vol;
	struct hcv_ext *ext, *found = NULL;
	u32 i;

	rcu_read_lock();
	spin_lock_irq(&vol->map.lock);
	list_for_each_entry(ext, &vol->map.exts, node) {
		struct hcv_reps *reps = hcv_reps(ext);

		if (ext->index >= s->nr_done || test_bit(ext->index, s->done))
			continue;
		for (i = 0; i < reps->nr; i++)
			if (reps->rep[i].link == s->link->nr)
				found = reps->rep[i].mapped ? ext :
					ERR_PTR(-ENOLINK);
		if (found)
			break;
	}
	spin_unlock_irq(&vol->map.lock);
	rcu_read_unlock();
	return found;
}

static int sync_last_round(struct hcv_sync *s)
{
	return hcv_commit_sync(s->link->vol, &s->stop);
}

static int sync_join(struct hcv_sync *s)
{
	return hcv_actlog_join(s->link);
}

/* Not while the volume is suspended: of one that is halted nothing is written. */
static int sync_entered(struct hcv_sync *s, int (*step)(struct hcv_sync *s))
{
	struct hcv_vol *vol = s->link->vol;
	struct hcv_ioref *ref;
	int ret;

	do {
		if (hcv_vol_enter(vol, &s->stop, &ref))
			return -ECANCELED;
		ret = step(s);
		hcv_vol_leave(ref);
	} while (sync_again(s, ret));
	return ret;
}

/* What runs now is waited for, alone: periods end all the time under load. */
static int sync_drain(struct hcv_sync *s)
{
	struct hcv_vol *vol = s->link->vol;
	u32 period;
	int ret;

	do {
		ret = hcv_vol_drain(vol, NULL, &period);
	} while (sync_again(s, ret));
	if (ret)
		return ret;
	wait_event(vol->wait, hcv_vol_period_over(vol, period) || sync_over(s));
	return sync_over(s) ? -ECANCELED : 0;
}

/* For each extent on the link that was there when it was tied. */
static void sync_each(struct hcv_sync *s,
		      void (*fn)(struct hcv_sync *s, struct hcv_ext *ext))
{
	struct hcv_ext *ext;
	sector_t data;
	u32 i;

	/* None goes while the link is neither in-sync nor out. */
	for (i = 0; i < s->nr_done && !sync_over(s); i++) {
		ext = hcv_map_ext_find(&s->link->vol->map, i);
		if (ext && hcv_ext_place(ext, s->link, &data))
			fn(s, ext);
		cond_resched();
	}
}

static void sync_forget(struct hcv_sync *s, struct hcv_ext *ext)
{
	hcv_map_held_reset(&s->link->vol->map, ext);
}

static void sync_count(struct hcv_sync *s, struct hcv_ext *ext)
{
	u64 bytes = 0;
	u32 rec;

	for (rec = 0; rec < HCV_EXTENT_SLOTS; rec++)
		bytes += sync_lacks(s, ext, rec) ? HCV_SLOT_SIZE : 0;
	WRITE_ONCE(s->link->sync_total, s->link->sync_total + bytes);
	for (rec = 0; rec < HCV_EXTENT_RECORDS; rec += HCV_PAGE_RECORDS)
		hcv_map_dirty(&s->link->vol->map, &ext->slot[rec]);
}

static int sync_first_round(struct hcv_sync *s)
{
	WRITE_ONCE(s->link->sync_total, 0);
	sync_each(s, sync_count);
	return hcv_commit_sync(s->link->vol, &s->stop);
}

/*
 * Until the first drain is over there may be writes without a leg to the temporary
 * replica, or with one to its predecessor: what they noted as held is forgotten.
 * What others noted by then may go with it; all of these have got their stamps,
 * which are above its base's v, when the second drain is over.  Then all of its pages
 * are written once, so that they tell from there on what it lacks.
 */
static int sync_begin_temp(struct hcv_sync *s)
{
	int ret;

	sync_each(s, sync_forget);
	ret = sync_drain(s);
	if (!ret)
		ret = sync_entered(s, sync_first_round);
	if (!ret)
		WRITE_ONCE(s->link->named, true);
	return ret;
}

static int sync_run(struct hcv_sync *s)
{
	struct hcv_ext *ext;
	int ret;

	/* Writes that began before the link was SYNCING had no leg to it. */
	ret = sync_drain(s);
	if (!ret && s->link->life)
		ret = sync_begin_temp(s);
	if (ret)
		return ret;
	while (!sync_over(s)) {
		ext = sync_next(s);
		if (IS_ERR(ext))
			return PTR_ERR(ext);
		if (!ext) {
			ret = sync_entered(s, sync_last_round);
			return ret ? ret : sync_entered(s, sync_join);
		}
		ret = s->link->life ? sync_fill(s, ext) : sync_ext(s, ext);
		if (ret)
			return ret;
	}
	return -ECANCELED;
}

static void sync_fn(struct work_struct *work)
{
	struct hcv_sync *s = container_of(work, struct hcv_sync, work);
	int ret = sync_run(s);

	if (ret && ret != -ECANCELED && !READ_ONCE(s->stop))
		hcv_link_fail(s->link, -ret, "resync");
}

static void sync_free(struct hcv_sync *s)
{
	kvfree(s->pages);
	kvfree(s->chunk);
	bitmap_free(s->done);
	kfree(s);
}

static u64 sync_total(struct hcv_link *link)
{
	struct hcv_vol *vol = link->vol;
	struct hcv_ext *ext;
	u64 slots = 0;
	u32 i;

	rcu_read_lock();
	spin_lock_irq(&vol->map.lock);
	list_for_each_entry(ext, &vol->map.exts, node) {
		struct hcv_reps *reps = hcv_reps(ext);

		for (i = 0; i < reps->nr; i++)
			if (reps->rep[i].link == link->nr)
				slots += HCV_EXTENT_SLOTS - ext->free_data;
	}
	spin_unlock_irq(&vol->map.lock);
	rcu_read_unlock();
	return slots << HCV_SLOT_SHIFT;
}

int hcv_sync_prepare(struct hcv_link *link)
{
	struct hcv_vol *vol = link->vol;
	struct hcv_sync *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return -ENOMEM;
	s->link = link;
	INIT_WORK(&s->work, sync_fn);
	/*
	 * Not the room there is for further ones: an extent that comes while
	 * the last round runs is looked at no more.
	 */
	s->nr_done = vol->map.next_index;
	s->done = bitmap_zalloc(max(s->nr_done, 1U), GFP_KERNEL);
	s->pages = kvmalloc(HCV_EXTENT_META_SIZE, GFP_KERNEL);
	s->chunk = kvmalloc(SYNC_CHUNK_BYTES, GFP_KERNEL);
	if (!s->done || !s->pages || !s->chunk) {
		sync_free(s);
		return -ENOMEM;
	}
	/* What is to be filled is known when nothing runs without it. */
	link->sync_total = link->life ? 0 : sync_total(link);
	link->sync_done = 0;
	link->sync_copied = 0;
	WRITE_ONCE(link->sync, s);
	return 0;
}

void hcv_sync_start(struct hcv_link *link)
{
	queue_work(sync_wq, &link->sync->work);
}

void hcv_sync_stop(struct hcv_link *link)
{
	struct hcv_sync *s = link->sync;

	if (!s)
		return;
	WRITE_ONCE(s->stop, true);
	wake_up_all(&link->vol->wait);
	cancel_work_sync(&s->work);
	/* The commit worker may look at it. */
	WRITE_ONCE(link->sync, NULL);
	synchronize_rcu();
	sync_free(s);
}

int hcv_sync_init(void)
{
	sync_wq = alloc_workqueue("hcivol-sync", WQ_UNBOUND, 0);
	return sync_wq ? 0 : -ENOMEM;
}

void hcv_sync_exit(void)
{
	destroy_workqueue(sync_wq);
}
