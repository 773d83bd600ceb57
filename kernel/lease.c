// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases of the owner, and the beacons that renew them (I5).
 *
 * A target is the device of a remote store, shared by all volumes that have
 * a link to it.  Every HCV_BEACON_MS it reads the control window of the
 * export; an answer from the right incarnation that does not list
 * a volume as revoked renews that volume's lease on the store, counted from
 * the time the read was submitted.  A long list comes in several windows,
 * read one after the other: they count together, from the first one's time.
 * HCV_PATIENCE_MS without an answer fails the
 * target's links.  A volume may read and acknowledge as long as
 * the leases on all stores of its in-sync set last: that set includes
 * failing replicas until their removal is confirmed.
 *
 * Lock order: target_lock (list) > target->lock (links) > vol->lock.
 */
#include <linux/bio.h>
#include <linux/ktime.h>
#include <linux/slab.h>

#include "compat.h"
#include "rw.h"
#include "volume.h"

#define LEASE_NS	((s64)HCV_LEASE_MS * NSEC_PER_MSEC)
#define PATIENCE_NS	((s64)HCV_PATIENCE_MS * NSEC_PER_MSEC)
#define BEACON_TRIES	8	/* for a list that changes while it is read */
#define BEACON_SECTOR	(HCV_HANDLE_META_OFF >> SECTOR_SHIFT)

struct hcv_target {
	struct list_head node;
	u32 users;		/* target_lock */
	char *path;
	uuid_t store;
	u64 incarnation;
	struct hcv_compat_bdev dev;
	spinlock_t lock;	/* links, busy */
	struct list_head links;	/* lock */
	struct delayed_work work;
	struct work_struct answer;
	struct bio bio;
	struct bio_vec vec;
	void *buf;
	bool busy;		/* lock: a beacon is under way */
	bool stopping;
	u32 window;		/* of the read under way */
	u32 tries;		/* begun in this beacon */
	u64 seq;		/* of the windows read before it */
	s64 sent_ns;		/* when window 0 was asked for */
	s64 good_ns;		/* submission of the last good beacon */
	wait_queue_head_t idle;
};

static DEFINE_MUTEX(target_lock);
static LIST_HEAD(targets);

struct block_device *hcv_target_bdev(struct hcv_target *target)
{
	return target->dev.bdev;
}

void hcv_lease_update(struct hcv_vol *vol)
{
	s64 end = S64_MAX;
	u32 i;

	lockdep_assert_held(&vol->lock);
	for (i = 0; i < vol->nr_links; i++) {
		struct hcv_link *link = vol->link[i];

		if (link->state == HCV_LINK_OUT ||
		    link->state == HCV_LINK_SYNCING ||
		    (link->state == HCV_LINK_FAILING &&
		     link->spare == HCV_LINK_SYNCING))
			continue;
		end = min(end, link->lease_end_ns);
	}
	if (end == S64_MAX)
		end = 0;
	WRITE_ONCE(vol->lease_end_ns, end);
}

static void lease_renew(struct hcv_link *link, s64 sent_ns)
{
	struct hcv_vol *vol = link->vol;
	unsigned long flags;
	bool ran_out;

	spin_lock_irqsave(&vol->lock, flags);
	ran_out = vol->lease_end_ns < ktime_get_boottime_ns();
	if (sent_ns + LEASE_NS > link->lease_end_ns) {
		WRITE_ONCE(link->lease_end_ns, sent_ns + LEASE_NS);
		hcv_lease_update(vol);
	}
	ran_out = ran_out && vol->lease_end_ns > ktime_get_boottime_ns();
	spin_unlock_irqrestore(&vol->lock, flags);
	if (ran_out)
		hcv_vol_kick(vol, HCV_WAIT_LEASE);
}

bool hcv_lease_proved(struct hcv_link *link, s64 since_ns)
{
	return READ_ONCE(link->lease_end_ns) - LEASE_NS > since_ns;
}

void hcv_lease_tick(struct hcv_vol *vol)
{
	s64 now = ktime_get_boottime_ns();
	u32 i;

	for (i = 0; i < READ_ONCE(vol->nr_links); i++) {
		struct hcv_link *link = vol->link[i];
		bool ours, alive = false;

		rcu_read_lock();
		/* One that is failing may stay: its gate is not asked meanwhile. */
		ours = hcv_link_writable(READ_ONCE(link->state)) && link->local;
		if (ours)
			alive = hcv_gate_beacon_local(link->grant);
		rcu_read_unlock();
		if (alive)
			lease_renew(link, now);
		else if (ours)
			hcv_link_fail(link, ESTALE, "its gate is closed");
	}
}

static void target_endio(struct bio *bio)
{
	struct hcv_target *t = container_of(bio, struct hcv_target, bio);

	queue_work(hcv_beat_wq, &t->answer);
}

/* Ask for t->window; who does so has set t->busy. */
static void target_send(struct hcv_target *t)
{
	struct bio *bio = &t->bio;

	bio_init(bio, t->dev.bdev, &t->vec, 1,
		 REQ_OP_READ | REQ_SYNC | REQ_FAILFAST_TRANSPORT |
		 REQ_FAILFAST_DRIVER | REQ_FAILFAST_DEV);
	bio->bi_iter.bi_sector = BEACON_SECTOR +
		((sector_t)t->window << (HCV_BLOCK_SHIFT - SECTOR_SHIFT));
	bio->bi_end_io = target_endio;
	__bio_add_page(bio, virt_to_page(t->buf), HCV_BLOCK_SIZE,
		       offset_in_page(t->buf));
	if (!t->window)
		t->sent_ns = ktime_get_boottime_ns();
	hcv_submit_bio(bio);
}

/* What the windows read so far say; @last: they are all. t->lock held. */
static void target_tell_links(struct hcv_target *t, bool last)
{
	struct hcv_link *link;

	list_for_each_entry(link, &t->links, tnode) {
		if (hcv_fmt_control_revoked(t->buf, link->vol->uuid.b,
					    link->vol->epoch)) {
			link->told = true;
			hcv_link_fail(link, ESTALE, "revoked: beacon");
		}
		/* Whoever came later was not looked for in all of them. */
		if (last && !link->told &&
		    (!t->window || link->tied_ns <= t->sent_ns))
			lease_renew(link, t->sent_ns);
	}
}

/* Return: whether the next window is to be read. t->lock held. */
static bool target_take_window(struct hcv_target *t,
			       const struct hcv_control *ctl)
{
	bool more = ctl->flags & HCV_CONTROL_MORE;
	bool good = ctl->window == t->window &&
		    (!t->window || ctl->revoke_seq == t->seq);

	/* That something is revoked is true in any case. */
	target_tell_links(t, good && !more);
	if (good && !more)
		WRITE_ONCE(t->good_ns, t->sent_ns);
	t->seq = ctl->revoke_seq;
	if (t->stopping)
		return false;
	if (!good && ctl->window == t->window && ++t->tries < BEACON_TRIES) {
		t->window = 0;
		return true;
	}
	if (!good || !more || t->window + 1 == HCV_CONTROL_WINDOWS)
		return false;
	t->window++;
	return true;
}

/* Look at an answer. Called from the work item, not from the interrupt. */
static void target_answer_fn(struct work_struct *work)
{
	struct hcv_target *t = container_of(work, struct hcv_target, answer);
	int ret = blk_status_to_errno(t->bio.bi_status);
	struct hcv_control ctl;
	struct hcv_link *link;
	bool more = false;

	bio_uninit(&t->bio);
	if (!ret)
		ret = hcv_fmt_control_decode(t->buf, &ctl);
	spin_lock_irq(&t->lock);
	if (!ret && (memcmp(ctl.store, t->store.b, HCV_UUID_SIZE) ||
		     ctl.incarnation != t->incarnation)) {
		list_for_each_entry(link, &t->links, tnode)
			hcv_link_fail(link, ESTALE, "the store restarted: beacon");
	} else if (!ret) {
		more = target_take_window(t, &ctl);
	}
	t->busy = more;
	spin_unlock_irq(&t->lock);
	if (more)
		target_send(t);
	else
		wake_up_all(&t->idle);
}

static void target_impatient(struct hcv_target *t, s64 now)
{
	struct hcv_link *link;

	spin_lock_irq(&t->lock);
	if (now - t->good_ns > PATIENCE_NS)
		list_for_each_entry(link, &t->links, tnode)
			hcv_link_fail(link, ETIMEDOUT, "beacon");
	spin_unlock_irq(&t->lock);
}

static void target_fn(struct work_struct *work)
{
	struct hcv_target *t = container_of(work, struct hcv_target,
					    work.work);
	bool send;

	spin_lock_irq(&t->lock);
	send = !t->busy && !t->stopping;
	if (send) {
		t->busy = true;
		t->window = 0;
		t->tries = 0;
	}
	spin_unlock_irq(&t->lock);
	target_impatient(t, ktime_get_boottime_ns());
	if (send)
		target_send(t);
	if (!READ_ONCE(t->stopping))
		queue_delayed_work(hcv_beat_wq, &t->work,
				   msecs_to_jiffies(HCV_BEACON_MS));
}

static void target_free(struct hcv_target *t)
{
	kfree(t->buf);
	kfree(t->path);
	kfree(t);
}

static struct hcv_target *target_open(const char *path, const uuid_t *store,
				      u64 incarnation,
				      struct netlink_ext_ack *extack)
{
	struct hcv_target *t = kzalloc(sizeof(*t), GFP_KERNEL);
	int ret = -ENOMEM;

	if (!t)
		return ERR_PTR(-ENOMEM);
	t->path = kstrdup(path, GFP_KERNEL);
	t->buf = kzalloc(HCV_BLOCK_SIZE, GFP_KERNEL);
	if (!t->path || !t->buf)
		goto err_free;
	ret = hcv_compat_bdev_open(path, t, &t->dev);
	if (ret) {
		NL_SET_ERR_MSG(extack, "the remote device cannot be opened");
		goto err_free;
	}
	uuid_copy(&t->store, store);
	t->incarnation = incarnation;
	spin_lock_init(&t->lock);
	INIT_LIST_HEAD(&t->links);
	init_waitqueue_head(&t->idle);
	INIT_DELAYED_WORK(&t->work, target_fn);
	INIT_WORK(&t->answer, target_answer_fn);
	t->good_ns = ktime_get_boottime_ns();
	t->users = 1;
	list_add_tail(&t->node, &targets);
	/* The first beacon goes out now, so that the volume may start. */
	t->busy = true;
	target_send(t);
	queue_delayed_work(hcv_beat_wq, &t->work, msecs_to_jiffies(HCV_BEACON_MS));
	return t;

err_free:
	target_free(t);
	return ERR_PTR(ret);
}

struct hcv_target *hcv_target_get(const char *path, const uuid_t *store,
				  u64 incarnation,
				  struct netlink_ext_ack *extack)
{
	struct hcv_target *t;

	mutex_lock(&target_lock);
	list_for_each_entry(t, &targets, node)
		if (uuid_equal(&t->store, store) && !strcmp(t->path, path) &&
		    t->incarnation == incarnation) {
			t->users++;
			goto out;
		}
	t = target_open(path, store, incarnation, extack);
out:
	mutex_unlock(&target_lock);
	return t;
}

void hcv_target_put(struct hcv_target *target)
{
	mutex_lock(&target_lock);
	if (--target->users) {
		mutex_unlock(&target_lock);
		return;
	}
	list_del(&target->node);
	mutex_unlock(&target_lock);
	WRITE_ONCE(target->stopping, true);
	cancel_delayed_work_sync(&target->work);
	/* A beacon ends at the latest with the transport's time-out. */
	wait_event(target->idle, !READ_ONCE(target->busy));
	flush_work(&target->answer);
	hcv_compat_bdev_close(&target->dev);
	target_free(target);
}

void hcv_target_attach(struct hcv_target *target, struct hcv_link *link)
{
	spin_lock_irq(&target->lock);
	link->tied_ns = ktime_get_boottime_ns();
	link->told = false;
	list_add_tail(&link->tnode, &target->links);
	spin_unlock_irq(&target->lock);
	/* Reads and acknowledgments wait for the first answer: ask now. */
	mod_delayed_work(hcv_beat_wq, &target->work, 0);
}

void hcv_target_detach(struct hcv_target *target, struct hcv_link *link)
{
	spin_lock_irq(&target->lock);
	list_del(&link->tnode);
	spin_unlock_irq(&target->lock);
}

/* Told to a store: this node has let go of a volume. */
struct target_word {
	struct bio bio;
	struct bio_vec vec;
	struct completion ended;
	void *buf;
};

static bool target_answers(struct hcv_target *target)
{
	return ktime_get_boottime_ns() - READ_ONCE(target->good_ns) <
	       2LL * HCV_BEACON_MS * NSEC_PER_MSEC;
}

static void target_word_end(struct bio *bio)
{
	struct target_word *word = bio->bi_private;

	complete(&word->ended);
}

static struct target_word *target_done_send(struct hcv_target *target,
					    const uuid_t *vol, u64 epoch)
{
	struct hcv_done done = {
		.incarnation = target->incarnation,
		.epoch = epoch,
	};
	struct target_word *word = kzalloc(sizeof(*word), GFP_NOIO);
	struct bio *bio;

	if (!word)
		return NULL;
	word->buf = kmalloc(HCV_BLOCK_SIZE, GFP_NOIO);
	if (!word->buf) {
		kfree(word);
		return NULL;
	}
	memcpy(done.store, target->store.b, HCV_UUID_SIZE);
	memcpy(done.volume, vol->b, HCV_UUID_SIZE);
	hcv_fmt_done_encode(&done, word->buf);
	init_completion(&word->ended);
	bio = &word->bio;
	bio_init(bio, target->dev.bdev, &word->vec, 1,
		 REQ_OP_WRITE | REQ_SYNC | REQ_FAILFAST_TRANSPORT |
		 REQ_FAILFAST_DRIVER | REQ_FAILFAST_DEV);
	bio->bi_iter.bi_sector = BEACON_SECTOR;
	bio->bi_private = word;
	bio->bi_end_io = target_word_end;
	__bio_add_page(bio, virt_to_page(word->buf), HCV_BLOCK_SIZE,
		       offset_in_page(word->buf));
	hcv_submit_bio(bio);
	return word;
}

static int target_done_end(struct target_word *word)
{
	int ret;

	wait_for_completion_io(&word->ended);
	ret = blk_status_to_errno(word->bio.bi_status);
	bio_uninit(&word->bio);
	kfree(word->buf);
	kfree(word);
	return ret;
}

/* In which order they are told: who does not answer delays nobody else. */
static u32 lease_word_turn(struct hcv_link *link)
{
	return link->local ? 0 : !link->target ? 3 :
	       target_answers(link->target) ? 1 : 2;
}

/*
 * Leases end at once when the owner says that it will not act on them again.  A
 * store that does not answer waits them out; one that failed is not asked.
 */
static int lease_let_go_link(struct hcv_link *link, struct target_word **word)
{
	struct hcv_vol *vol = link->vol;

	*word = NULL;
	if (link->local)
		hcv_gate_done(link->local, &link->grant->client, &vol->uuid,
			      vol->epoch);
	if (!link->target || (link->err && link->err != ESTALE))
		return 0;
	*word = target_done_send(link->target, &vol->uuid, vol->epoch);
	return *word ? 0 : -ENOMEM;
}

void hcv_lease_let_go(struct hcv_vol *vol)
{
	struct target_word *word[HCV_MAX_LINKS] = {};
	int ret[HCV_MAX_LINKS] = {};
	u32 turn[HCV_MAX_LINKS];
	u32 i, t;

	for (i = 0; i < vol->nr_links; i++)
		turn[i] = lease_word_turn(vol->link[i]);
	for (t = 0; t < 4; t++)
		for (i = 0; i < vol->nr_links; i++)
			if (turn[i] == t)
				ret[i] = lease_let_go_link(vol->link[i], &word[i]);
	for (i = 0; i < vol->nr_links; i++) {
		if (word[i])
			ret[i] = target_done_end(word[i]);
		if (ret[i])
			hcv_vol_info(vol, "store %pUb waits for the end of the lease: error %d\n",
				     &vol->link[i]->store, -ret[i]);
	}
}
