// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life of a volume: created, tied to its stores, started, suspended, stopped.
 */
#include "volume.h"

#include <linux/idr.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "actlog.h"
#include "compat.h"
#include "hotslot.h"
#include "netlink.h"
#include "scrub.h"
#include "volume_priv.h"

#define VOL_READY_WANTED	4

struct workqueue_struct *hcv_wq;
struct workqueue_struct *hcv_beat_wq;
static struct workqueue_struct *vol_kick_wq;
static struct workqueue_struct *vol_zombie_wq;

static DEFINE_MUTEX(hcv_vol_lock);
static LIST_HEAD(hcv_vols);
static LIST_HEAD(hcv_vols_all);	/* those that are being taken down, too */
static DEFINE_IDA(hcv_minors);
static atomic_t hcv_vol_count = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(hcv_vol_gone);

static void vol_free_reps(struct hcv_vol *vol)
{
	struct hcv_ext *ext;

	if (!rcu_access_pointer(vol->map.dir))
		return;
	list_for_each_entry(ext, &vol->map.exts, node)
		kfree(ext->priv);
}

static void vol_free(struct kref *kref)
{
	struct hcv_vol *vol = container_of(kref, struct hcv_vol, kref);

	mutex_lock(&hcv_vol_lock);
	list_del(&vol->all_node);
	mutex_unlock(&hcv_vol_lock);
	hcv_commit_destroy(vol);
	hcv_actlog_destroy(vol);
	hcv_scrub_free(vol);
	while (vol->nr_links)
		hcv_link_free(vol->link[--vol->nr_links]);
	vol_free_reps(vol);
	hcv_hot_destroy(vol);
	hcv_map_destroy(&vol->map);
	free_percpu(vol->stats);
	if (vol->wq)
		destroy_workqueue(vol->wq);
	if (vol->minor >= 0)
		ida_free(&hcv_minors, vol->minor);
	kfree(vol);
	if (atomic_dec_and_test(&hcv_vol_count))
		wake_up(&hcv_vol_gone);
	/* hcv_volume_exit() waits for the work item that we run in. */
	module_put(THIS_MODULE);
}

/* The last reference may go in a context that cannot sleep. */
static void vol_free_fn(struct work_struct *work)
{
	struct hcv_vol *vol = container_of(work, struct hcv_vol, free_work);

	hcv_actlog_stop(vol);
	/* A late command may have kicked; nobody can any more. */
	cancel_work_sync(&vol->kick_work);
	vol_free(&vol->kref);
}

static void vol_release(struct kref *kref)
{
	struct hcv_vol *vol = container_of(kref, struct hcv_vol, kref);

	INIT_WORK(&vol->free_work, vol_free_fn);
	queue_work(hcv_wq, &vol->free_work);
}

int hcv_vol_alive(struct hcv_vol *vol, struct netlink_ext_ack *extack)
{
	lockdep_assert_held(&vol->mutex);
	if (!vol->dying && !READ_ONCE(vol->failed))
		return 0;
	NL_SET_ERR_MSG(extack, "the volume is fenced or being detached");
	return -ENODEV;
}

void hcv_vol_put(struct hcv_vol *vol)
{
	kref_put(&vol->kref, vol_release);
}

struct hcv_vol *hcv_vol_get(const uuid_t *uuid)
{
	struct hcv_vol *vol, *found = NULL;

	mutex_lock(&hcv_vol_lock);
	list_for_each_entry(vol, &hcv_vols, node)
		if (uuid_equal(&vol->uuid, uuid)) {
			kref_get(&vol->kref);
			found = vol;
			break;
		}
	mutex_unlock(&hcv_vol_lock);
	return found;
}

struct hcv_vol *hcv_vol_nth(u32 n)
{
	struct hcv_vol *vol, *found = NULL;

	mutex_lock(&hcv_vol_lock);
	list_for_each_entry(vol, &hcv_vols, node)
		if (!n--) {
			kref_get(&vol->kref);
			found = vol;
			break;
		}
	mutex_unlock(&hcv_vol_lock);
	return found;
}

struct hcv_vol *hcv_vol_nth_of_all(u32 n, char *name)
{
	struct hcv_vol *vol, *found = NULL;

	mutex_lock(&hcv_vol_lock);
	list_for_each_entry(vol, &hcv_vols_all, all_node) {
		/* One that is about to be freed does not count. */
		if (!kref_read(&vol->kref) || n--)
			continue;
		if (kref_get_unless_zero(&vol->kref)) {
			strscpy(name, vol->name, HCV_NAME_SIZE);
			found = vol;
			break;
		}
		n = 0;
	}
	mutex_unlock(&hcv_vol_lock);
	return found;
}

u32 hcv_vol_shown_state(struct hcv_vol *vol)
{
	u32 state = READ_ONCE(vol->state);

	return state == HCV_VOL_ACTIVE && READ_ONCE(vol->told_suspended) ?
	       HCV_VOL_SUSPENDED : state;
}

void hcv_vol_event_state(struct hcv_vol *vol)
{
	struct hcv_nl_event ev = {
		.event = HCV_EVENT_VOL_STATE,
		.vol = &vol->uuid,
		.epoch = vol->epoch,
		.vol_state_plus1 = hcv_vol_shown_state(vol) + 1,
	};

	hcv_nl_send_event(&ev);
}

/* A volume that has failed stays so, whatever was under way with it. */
static void vol_set_state(struct hcv_vol *vol, u8 state)
{
	bool set;

	spin_lock_irq(&vol->lock);
	set = !vol->failed;
	if (set)
		WRITE_ONCE(vol->state, state);
	spin_unlock_irq(&vol->lock);
	if (set)
		hcv_vol_event_state(vol);
}

void hcv_vol_queue_kick(struct hcv_vol *vol)
{
	queue_work(vol_kick_wq, &vol->kick_work);
}

void hcv_vol_again(struct hcv_vol *vol, struct list_head *list)
{
	unsigned long flags;

	spin_lock_irqsave(&vol->lock, flags);
	list_splice_tail_init(list, &vol->again);
	spin_unlock_irqrestore(&vol->lock, flags);
	hcv_vol_queue_kick(vol);
}

void hcv_vol_kick(struct hcv_vol *vol, u8 wait)
{
	struct hcv_io *io, *tmp;
	unsigned long flags;

	spin_lock_irqsave(&vol->lock, flags);
	/* Pairs with hcv_io_submit(). */
	smp_store_release(&vol->kick_seq, vol->kick_seq + 1);
	list_for_each_entry_safe(io, tmp, &vol->held, node)
		if (!wait || io->wait == wait)
			list_move_tail(&io->node, &vol->again);
	spin_unlock_irqrestore(&vol->lock, flags);
	hcv_vol_queue_kick(vol);
	wake_up_all(&vol->wait);
}

static void vol_kick_fn(struct work_struct *work)
{
	struct hcv_vol *vol = container_of(work, struct hcv_vol, kick_work);
	LIST_HEAD(again);
	LIST_HEAD(acks);
	struct hcv_io *io, *tmp;

	spin_lock_irq(&vol->lock);
	list_splice_init(&vol->again, &again);
	if (vol->failed || !(vol->ack_gate & HCV_ACK_CLOSED))
		list_splice_init(&vol->acks, &acks);
	spin_unlock_irq(&vol->lock);
	list_for_each_entry_safe(io, tmp, &acks, node) {
		list_del(&io->node);
		/* It may be put back: the lease is looked at there. */
		hcv_io_ack(io, ktime_get_boottime_ns());
	}
	list_for_each_entry_safe(io, tmp, &again, node) {
		list_del(&io->node);
		hcv_io_submit(io);
		cond_resched();
	}
}

void hcv_vol_want_extent(struct hcv_vol *vol, u32 column)
{
	struct hcv_nl_event ev = {
		.event = HCV_EVENT_NEED_EXTENT,
		.vol = &vol->uuid,
		.epoch = vol->epoch,
		.column_plus1 = column + 1,
	};
	unsigned long flags;
	bool told;

	spin_lock_irqsave(&vol->lock, flags);
	told = vol->want_extent & BIT(column);
	vol->want_extent |= BIT(column);
	spin_unlock_irqrestore(&vol->lock, flags);
	if (!told)
		hcv_nl_send_event(&ev);
}

/* --- the tick ------------------------------------------------------------ */

static void vol_tick_fn(struct work_struct *work)
{
	struct hcv_vol *vol = container_of(work, struct hcv_vol, tick.work);
	u8 hand = READ_ONCE(vol->hand);

	/* What is only prepared has no lease and nothing to flush. */
	if (hand != HCV_HAND_PREPARED) {
		hcv_lease_tick(vol);
		hcv_hot_prune(vol);
	}
	/* One that is halted is flushed, and may be another node's by now. */
	if (hand == HCV_HAND_NONE)
		hcv_commit_tick(vol);
	hcv_waits_tick(vol);
	spin_lock_irq(&vol->lock);
	vol->want_extent = 0;
	spin_unlock_irq(&vol->lock);
	/* Also what waits for memory, or lost a wake-up, goes on. */
	hcv_vol_kick(vol, HCV_WAIT_NONE);
	queue_delayed_work(hcv_beat_wq, &vol->tick,
			   msecs_to_jiffies(HCV_VOL_TICK_MS));
}

/* --- life ---------------------------------------------------------------- */

static void vol_zombie_fn(struct work_struct *work);

static int vol_init(struct hcv_vol *vol, const struct hcv_vol_config *cfg)
{
	int ret;

	kref_init(&vol->kref);
	mutex_init(&vol->life_mutex);
	mutex_init(&vol->mutex);
	mutex_init(&vol->confirm_mutex);
	spin_lock_init(&vol->lock);
	spin_lock_init(&vol->hot_lock);
	INIT_LIST_HEAD(&vol->held);
	INIT_LIST_HEAD(&vol->acks);
	INIT_LIST_HEAD(&vol->again);
	INIT_LIST_HEAD(&vol->hots);
	INIT_LIST_HEAD(&vol->draining);
	INIT_WORK(&vol->kick_work, vol_kick_fn);
	INIT_WORK(&vol->zombie_work, vol_zombie_fn);
	INIT_DELAYED_WORK(&vol->tick, vol_tick_fn);
	init_waitqueue_head(&vol->wait);
	INIT_LIST_HEAD(&vol->node);
	INIT_LIST_HEAD(&vol->all_node);
	atomic_set(&vol->openers, 0);
	vol->minor = -1;
	uuid_copy(&vol->uuid, &cfg->uuid);
	strscpy(vol->name, cfg->name, sizeof(vol->name));
	vol->size_bytes = cfg->size_bytes;
	vol->epoch = cfg->epoch;
	vol->stripe = cfg->stripe;
	vol->replicas = cfg->replicas;
	vol->queue = cfg->queue;
	vol->flags = cfg->flags & ~HCV_VOL_F_PREPARED;
	if (cfg->flags & HCV_VOL_F_PREPARED) {
		vol->hand = HCV_HAND_PREPARED;
		vol->hand_ms = cfg->hand_ms;
	}
	vol->policy = cfg->policy;
	vol->policy_ms = cfg->policy_ms;
	vol->sync_kibps = cfg->sync_kibps;

	ret = hcv_map_init(&vol->map, vol->uuid.b, cfg->lineage, cfg->stripe,
			   DIV_ROUND_UP_ULL(cfg->size_bytes, HCV_SLOT_SIZE));
	if (ret)
		return ret;
	vol->map.v = cfg->v;
	vol->stats = alloc_percpu(struct hcv_stats);
	if (!vol->stats)
		return -ENOMEM;
	vol->wq = alloc_ordered_workqueue("hcivol-c%u", WQ_MEM_RECLAIM,
					  (u32)vol->uuid.b[0]);
	if (!vol->wq)
		return -ENOMEM;
	ret = hcv_commit_create(vol);
	if (!ret)
		ret = hcv_actlog_create(vol);
	if (ret)
		return ret;
	vol->minor = ida_alloc_max(&hcv_minors, MINORMASK >> 4, GFP_KERNEL);
	return vol->minor < 0 ? vol->minor : 0;
}

struct hcv_vol *hcv_vol_create(const struct hcv_vol_config *cfg,
			       struct netlink_ext_ack *extack)
{
	struct hcv_vol *vol, *other;
	int ret = 0;

	/* Not while the module is on its way out, and waits for volumes to go. */
	if (!try_module_get(THIS_MODULE))
		return ERR_PTR(-ENODEV);
	vol = kzalloc(sizeof(*vol), GFP_KERNEL);
	if (!vol) {
		module_put(THIS_MODULE);
		return ERR_PTR(-ENOMEM);
	}
	atomic_inc(&hcv_vol_count);
	ret = vol_init(vol, cfg);
	if (ret) {
		hcv_vol_put(vol);
		return ERR_PTR(ret);
	}
	mutex_lock(&hcv_vol_lock);
	list_for_each_entry(other, &hcv_vols, node)
		if (uuid_equal(&other->uuid, &vol->uuid) ||
		    !strcmp(other->name, vol->name)) {
			NL_SET_ERR_MSG(extack,
				       "a volume with this id or name is attached here already");
			ret = -EEXIST;
			break;
		}
	if (!ret) {
		kref_get(&vol->kref);
		list_add_tail(&vol->node, &hcv_vols);
		list_add_tail(&vol->all_node, &hcv_vols_all);
	}
	mutex_unlock(&hcv_vol_lock);
	if (ret) {
		hcv_vol_put(vol);
		return ERR_PTR(ret);
	}
	ret = vol->hand == HCV_HAND_PREPARED ? hcv_vol_prepare(vol, extack) : 0;
	if (ret) {
		hcv_vol_stop(vol, true, extack);
		hcv_vol_put(vol);
		return ERR_PTR(ret);
	}
	return vol;
}

/* The name is given up; drops the list's reference. False: it was gone. */
bool hcv_vol_unlist(struct hcv_vol *vol)
{
	bool listed;

	mutex_lock(&hcv_vol_lock);
	listed = !list_empty(&vol->node);
	if (listed)
		list_del_init(&vol->node);
	mutex_unlock(&hcv_vol_lock);
	return listed;
}

/* Load, and let I/O run. life_mutex and mutex held. */
static int vol_start(struct hcv_vol *vol, u64 epoch, u64 v, const uuid_t *store,
		     struct netlink_ext_ack *extack)
{
	struct hcv_log_load log = {};
	int ret = 0;
	u32 i;

	/* Confirmations let v grow, and come beside this. */
	mutex_lock(&vol->confirm_mutex);
	if (epoch != vol->epoch || v < vol->map.v)
		ret = -ESTALE;
	else if (vol->state == HCV_VOL_ACTIVE)
		ret = -EALREADY;
	else if (vol->state != HCV_VOL_NEW)
		ret = -EBUSY;
	else
		vol->map.v = v;
	mutex_unlock(&vol->confirm_mutex);
	if (ret == -ESTALE)
		NL_SET_ERR_MSG(extack, "the epoch or version is not the present one");
	else if (ret == -EBUSY)
		NL_SET_ERR_MSG(extack, "the volume is past its start");
	if (ret)
		return ret;
	vol_set_state(vol, HCV_VOL_LOADING);
	ret = hcv_load(vol, store, &log, extack);
	if (ret)
		goto err_fence;
	ret = hcv_load_write_volpage(vol);
	if (ret) {
		NL_SET_ERR_MSG(extack, "the volume page could not be written to an in-sync replica");
		goto err_fence;
	}
	ret = hcv_actlog_start(vol, &log);
	if (ret) {
		if (ret == -EAGAIN)
			NL_SET_ERR_MSG(extack, "an in-sync replica fails while the activity log names what others may lack");
		else
			NL_SET_ERR_MSG(extack, "the activity log could not be written to an in-sync replica");
		goto err_fence;
	}
	hcv_lease_tick(vol);
	/* A forced stop may have come meanwhile. */
	ret = hcv_vol_alive(vol, extack);
	if (ret)
		return ret;
	ret = hcv_vol_run(vol);
	if (ret)
		goto err_fence;
	WRITE_ONCE(vol->hand, HCV_HAND_NONE);
	vol_set_state(vol, HCV_VOL_ACTIVE);
	for (i = 0; i < vol->nr_links; i++)
		WRITE_ONCE(vol->link[i]->unfit, false);
	/* Their successors do not go back before that: hcv_map_reap(). */
	if (vol->map.nr_dropped)
		hcv_commit_kick(vol);
	queue_delayed_work(hcv_beat_wq, &vol->tick,
			   msecs_to_jiffies(HCV_VOL_TICK_MS));
	return 0;

err_fence:
	/* The map may be half loaded: it must be made anew. */
	hcv_vol_fence(vol);
	return ret;
}

int hcv_vol_start(struct hcv_vol *vol, u64 epoch, u64 v, const uuid_t *store,
		  struct netlink_ext_ack *extack)
{
	int ret;

	mutex_lock(&vol->life_mutex);
	mutex_lock(&vol->mutex);
	ret = hcv_vol_alive(vol, extack);
	if (!ret)
		ret = vol_start(vol, epoch, v, store, extack);
	mutex_unlock(&vol->mutex);
	if (ret)
		goto out;
	/* Looks for partitions: a replica may be lost and tied anew meanwhile */
	if (vol->disk_added)
		hcv_front_started(vol);
	else if (!(vol->flags & HCV_VOL_F_DISKLESS))
		ret = hcv_front_add(vol);
	if (ret) {
		NL_SET_ERR_MSG(extack, "the disk could not be made");
		cancel_delayed_work_sync(&vol->tick);
		hcv_vol_fence(vol);
		goto out;
	}
	if (vol->disk_added)
		hcv_vol_info(vol, "attached as hcivol%d, epoch %llu\n",
			     vol->minor, vol->epoch);
	else
		hcv_vol_info(vol, "started without a disk, epoch %llu\n",
			     vol->epoch);
out:
	mutex_unlock(&vol->life_mutex);
	return ret == -EALREADY ? 0 : ret;
}

/* All I/O fails from now on; those who wait end now. */
void hcv_vol_fail(struct hcv_vol *vol, u8 state)
{
	LIST_HEAD(list);

	spin_lock_irq(&vol->lock);
	WRITE_ONCE(vol->failed, true);
	if (vol->state != HCV_VOL_ZOMBIE)
		WRITE_ONCE(vol->state, state);
	spin_unlock_irq(&vol->lock);
	hcv_hot_drain_waiters(vol, U64_MAX, &list);
	hcv_vol_again(vol, &list);
	hcv_vol_kick(vol, HCV_WAIT_NONE);
	hcv_vol_event_state(vol);
}

void hcv_vol_fence(struct hcv_vol *vol)
{
	hcv_vol_warn(vol, "fenced: another owner, or a failed start; all I/O fails\n");
	hcv_vol_fail(vol, HCV_VOL_FENCED);
}

/* Commands that are under way end first, later ones find it dying. */
void hcv_vol_set_dying(struct hcv_vol *vol)
{
	mutex_lock(&vol->life_mutex);
	mutex_lock(&vol->mutex);
	vol->dying = true;
	mutex_unlock(&vol->mutex);
	mutex_unlock(&vol->life_mutex);
}

/* All but the disk; what still comes in by it fails, or it is gone. */
void hcv_vol_wind_down(struct hcv_vol *vol)
{
	cancel_delayed_work_sync(&vol->tick);
	/*
	 * The replicas are let go one after the other below: a round that a resync
	 * asks for then would be good on the others.  And nobody confirms a
	 * removal any more that a round might wait for.
	 */
	WRITE_ONCE(vol->impatient, true);
	wake_up_all(&vol->wait);
	hcv_links_end_sync(vol);
	hcv_scrub_end(vol);
	/* What runs are our own, all of them bounded, once the disk's fail. */
	hcv_vol_halt(vol);
	wait_event(vol->wait, hcv_vol_drained(vol));
	flush_workqueue(vol->wq);
	hcv_links_destroy(vol);
	spin_lock_irq(&vol->lock);
	WRITE_ONCE(vol->failed, true);
	spin_unlock_irq(&vol->lock);
	/*
	 * What still waits for its turn to fail is not waited for: whoever has I/O
	 * here has the disk open, and that keeps the volume.
	 */
	hcv_vol_kick(vol, HCV_WAIT_NONE);
	/* A resync that was stopped may have left a flush behind. */
	flush_workqueue(vol->wq);
}

/* Take everything down; no new I/O comes. Drops the list's reference. */
static void vol_teardown(struct hcv_vol *vol)
{
	hcv_vol_set_dying(vol);
	hcv_front_del(vol);
	hcv_vol_wind_down(vol);
	hcv_vol_put(vol);
}

static void vol_zombie_fn(struct work_struct *work)
{
	struct hcv_vol *vol = container_of(work, struct hcv_vol, zombie_work);

	if (!vol->dying) {
		vol_teardown(vol);
		return;
	}
	/* One that was let go, and is closed now: the disk alone is left. */
	hcv_front_del(vol);
	hcv_vol_put(vol);
}

void hcv_vol_zombie(struct hcv_vol *vol)
{
	queue_work(vol_zombie_wq, &vol->zombie_work);
}

static int vol_stop_force(struct hcv_vol *vol)
{
	if (!hcv_vol_unlist(vol))
		return 0;
	hcv_vol_fail(vol, HCV_VOL_ZOMBIE);
	hcv_vol_zombie(vol);
	return 0;
}

int hcv_vol_flush_round(struct hcv_vol *vol, unsigned int ms)
{
	int ret;

	/* That may take for ever: an error instead, the command can be repeated. */
	WRITE_ONCE(vol->impatient, true);
	wake_up_all(&vol->wait);
	ret = ms ? hcv_commit_sync_for(vol, ms) : hcv_commit_sync(vol, NULL);
	WRITE_ONCE(vol->impatient, false);
	return ret;
}

static int vol_write_page(struct hcv_vol *vol)
{
	int ret;

	mutex_lock(&vol->mutex);
	ret = hcv_load_write_volpage(vol);
	mutex_unlock(&vol->mutex);
	return ret;
}

static int vol_flush(struct hcv_vol *vol, unsigned int ms)
{
	int ret = hcv_vol_flush_round(vol, ms);

	return ret ? ret : vol_write_page(vol);
}

/* life_mutex held. */
static int vol_stop_clean(struct hcv_vol *vol, struct netlink_ext_ack *extack)
{
	u8 old = READ_ONCE(vol->state);
	int ret;

	if (READ_ONCE(vol->failed)) {
		NL_SET_ERR_MSG(extack, "the volume is fenced; stop it with force");
		return -EIO;
	}
	vol_set_state(vol, HCV_VOL_STOPPING);
	/* Pairs with hcv_front_open(). */
	smp_mb();
	ret = -EBUSY;
	if (atomic_read(&vol->openers)) {
		NL_SET_ERR_MSG(extack, "the disk is open; close it, or stop with force");
		goto err_state;
	}
	/* Its repairs are writes. */
	hcv_scrub_end(vol);
	if (old == HCV_VOL_ACTIVE)
		ret = vol_flush(vol, 0);
	else
		/* Flushed when it was halted, but its page was left as it was. */
		ret = vol->hand == HCV_HAND_HALTED ? vol_write_page(vol) : 0;
	if (ret) {
		NL_SET_ERR_MSG(extack, "flushing failed, or a failed replica is not yet removed; stop with force gives up what is not flushed");
		goto err_state;
	}
	/* Nobody can write any more, and all is flushed on all. */
	if (old == HCV_VOL_ACTIVE || old == HCV_VOL_SUSPENDED)
		hcv_actlog_empty(vol);
	if (!hcv_vol_unlist(vol)) {
		/* It takes everything down: once is enough. */
		NL_SET_ERR_MSG(extack, "a stop with force came meanwhile");
		return -ENODEV;
	}
	return 0;

err_state:
	vol_set_state(vol, old);
	return ret;
}

int hcv_vol_stop(struct hcv_vol *vol, bool force, struct netlink_ext_ack *extack)
{
	int ret;

	/* A forced stop must not wait for whoever holds the mutex. */
	if (force)
		return vol_stop_force(vol);
	mutex_lock(&vol->life_mutex);
	/* Stopped while this one waited: the first teardown is enough. */
	ret = vol->dying || list_empty_careful(&vol->node) ? -ENODEV :
	      vol_stop_clean(vol, extack);
	mutex_unlock(&vol->life_mutex);
	if (!ret)
		vol_teardown(vol);
	return ret;
}

int hcv_vol_hold(struct hcv_vol *vol, unsigned int drain_ms,
		 struct netlink_ext_ack *extack)
{
	/* Going on must not fail for lack of memory. */
	struct hcv_ioref *ref = hcv_ioref_new(vol);
	int ret = -ETIMEDOUT;

	if (!ref)
		return -ENOMEM;
	vol_set_state(vol, HCV_VOL_SUSPENDED);
	hcv_vol_halt(vol);
	if (wait_event_timeout(vol->wait, hcv_vol_drained(vol),
			       msecs_to_jiffies(drain_ms)))
		ret = vol->hand == HCV_HAND_HALTING ?
		      hcv_vol_hand_still(vol, drain_ms) :
		      vol_flush(vol, drain_ms);
	if (!ret) {
		hcv_ioref_drop(ref);
		return 0;
	}
	NL_SET_ERR_MSG(extack, "I/O in flight did not end or could not be flushed; the volume goes on");
	/* Before those who wait ask for entries in the log anew. */
	WRITE_ONCE(vol->hand, HCV_HAND_NONE);
	hcv_vol_run_under(vol, ref);
	vol_set_state(vol, HCV_VOL_ACTIVE);
	return ret;
}

/* life_mutex held: 0 once the volume is in state @to, coming from @from. */
static int vol_change(struct hcv_vol *vol, u8 from, u8 to,
		      struct netlink_ext_ack *extack)
{
	struct hcv_ioref *ref;
	int ret;

	mutex_lock(&vol->mutex);
	ret = hcv_vol_alive(vol, extack);
	mutex_unlock(&vol->mutex);
	if (ret || vol->state == to)
		return ret;
	if (vol->state != from) {
		hcv_compat_err(extack, "the volume is not %s",
			       from == HCV_VOL_ACTIVE ? "active" : "suspended");
		return -EINVAL;
	}
	if (to == HCV_VOL_SUSPENDED)
		return hcv_vol_hold(vol, HCV_VOL_DRAIN_MS, extack);
	ref = hcv_ioref_new(vol);
	if (!ref)
		return -ENOMEM;
	/* Before those who wait ask for entries in the log. */
	WRITE_ONCE(vol->hand, HCV_HAND_NONE);
	hcv_vol_run_under(vol, ref);
	vol_set_state(vol, to);
	return 0;
}

int hcv_vol_suspend(struct hcv_vol *vol, struct netlink_ext_ack *extack)
{
	int ret;

	mutex_lock(&vol->life_mutex);
	ret = vol_change(vol, HCV_VOL_ACTIVE, HCV_VOL_SUSPENDED, extack);
	mutex_unlock(&vol->life_mutex);
	return ret;
}

int hcv_vol_resume(struct hcv_vol *vol, struct netlink_ext_ack *extack)
{
	int ret;

	mutex_lock(&vol->life_mutex);
	ret = vol_change(vol, HCV_VOL_SUSPENDED, HCV_VOL_ACTIVE, extack);
	mutex_unlock(&vol->life_mutex);
	return ret;
}

int hcv_vol_set_name(struct hcv_vol *vol, const char *name,
		     struct netlink_ext_ack *extack)
{
	struct hcv_vol *other;
	int ret = 0;

	mutex_lock(&hcv_vol_lock);
	list_for_each_entry(other, &hcv_vols, node)
		if (other != vol && !strcmp(other->name, name))
			ret = -EEXIST;
	if (!ret)
		strscpy(vol->name, name, sizeof(vol->name));
	else
		NL_SET_ERR_MSG(extack, "a volume with this name is attached here already");
	mutex_unlock(&hcv_vol_lock);
	return ret;
}

static void vol_destroy_wqs(void)
{
	struct workqueue_struct *const wqs[] = {
		vol_zombie_wq, vol_kick_wq, hcv_beat_wq, hcv_wq,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(wqs); i++)
		if (wqs[i])
			destroy_workqueue(wqs[i]);
}

int hcv_volume_init(void)
{
	const unsigned int flags = WQ_UNBOUND | WQ_MEM_RECLAIM;

	hcv_wq = alloc_workqueue("hcivol", flags, 0);
	/*
	 * Those who submit I/O may wait for a device's tags: neither the leases
	 * nor what frees memory may queue behind them, short of memory as well.
	 */
	hcv_beat_wq = alloc_workqueue("hcivol-beat", flags | WQ_HIGHPRI, 0);
	vol_kick_wq = alloc_workqueue("hcivol-kick", flags, 0);
	vol_zombie_wq = alloc_workqueue("hcivol-end", WQ_UNBOUND, 0);
	if (hcv_wq && hcv_beat_wq && vol_kick_wq && vol_zombie_wq)
		return 0;
	vol_destroy_wqs();
	return -ENOMEM;
}

void hcv_volume_exit(void)
{
	/* Each volume holds the module: none is left, but maybe its work. */
	wait_event(hcv_vol_gone, !atomic_read(&hcv_vol_count));
	vol_destroy_wqs();
	rcu_barrier();
	ida_destroy(&hcv_minors);
}
