// SPDX-License-Identifier: GPL-2.0-only
/*
 * Links: the ties between a volume and the stores of its replicas, their
 * states, and the extents' positions on them.
 *
 * A link that gives an error is FAILING at once: no I/O begins on it, and no
 * write is acknowledged, until the agent has taken its store out of the in-
 * sync set and said so (I3).  If some extent has no other in-sync replica it is
 * LOST instead: there is nothing to confirm, I/O waits for its return, or until
 * another link is in-sync and has all it has.  A store of this node
 * is in-sync again at once then: what its disk says is what the user gets.
 *
 * Moves:	(add) -> INSYNC before the start, SYNCING after it
 *		SYNCING -> JOINING (equal) -> INSYNC (confirmed)
 *		INSYNC, JOINING -> FAILING -> OUT (confirmed)
 *		FAILING -> LOST -> INSYNC (tied anew, same incarnation)
 *		FAILING -> INSYNC (its disk's word is final); LOST -> FAILING
 *		SYNCING -> FAILING; SYNCING, JOINING -> OUT (confirmed)
 *
 * Confirmations take vol->confirm_mutex alone: they must not queue behind
 * whoever waits for a device with vol->mutex held.
 */
#include <linux/ktime.h>
#include <linux/slab.h>

#include "core/repl.h"
#include "netlink.h"
#include "rw.h"
#include "trace.h"
#include "volume.h"

static struct bio_set link_bs;

static const char * const link_state_name[__HCV_LINK_STATES] = {
	[HCV_LINK_OUT]		= "out",
	[HCV_LINK_INSYNC]	= "in-sync",
	[HCV_LINK_FAILING]	= "failing",
	[HCV_LINK_LOST]		= "lost",
	[HCV_LINK_SYNCING]	= "syncing",
	[HCV_LINK_JOINING]	= "joining",
};

const char *hcv_link_state_name(u32 state)
{
	return state < __HCV_LINK_STATES ? link_state_name[state] : "?";
}

struct hcv_link *hcv_link_find(struct hcv_vol *vol, const uuid_t *store)
{
	u32 i;

	for (i = 0; i < READ_ONCE(vol->nr_links); i++)
		if (uuid_equal(&vol->link[i]->store, store))
			return vol->link[i];
	return NULL;
}

static void link_event(struct hcv_link *link, u32 event)
{
	struct hcv_nl_event ev = {
		.event = event,
		.vol = &link->vol->uuid,
		.store = &link->store,
		.epoch = link->vol->epoch,
		.v = READ_ONCE(link->vol->map.v),
		.incarnation = link->incarnation,
		.link_state_plus1 = READ_ONCE(link->state) + 1,
		.err = link->err,
	};

	hcv_nl_send_event(&ev);
}

static bool link_counts_failing(u8 state)
{
	return state == HCV_LINK_FAILING || state == HCV_LINK_LOST;
}

void hcv_link_look_again(struct hcv_vol *vol)
{
	u32 i;

	lockdep_assert_held(&vol->lock);
	vol->insync_seq++;
	for (i = 0; i < vol->nr_links; i++) {
		struct hcv_link *link = vol->link[i];

		if (link_counts_failing(link->state) || link->final)
			queue_work(hcv_wq, &link->fail_work);
	}
}

/*
 * vol->lock held.  The gate is closed before a state that closes it shows, and
 * opened after one that opens it: see io_verdict().
 */
static void link_set_state(struct hcv_link *link, u8 state)
{
	struct hcv_vol *vol = link->vol;
	u8 old = link->state;
	u32 gate;

	lockdep_assert_held(&vol->lock);
	if (old == state)
		return;
	pr_info("hcivol %s/%pUb: %s -> %s\n", vol->name, &link->store,
		link_state_name[old], link_state_name[state]);
	trace_hcv_link_state(link, state);
	WRITE_ONCE(link->state_ns, ktime_get_boottime_ns());
	WRITE_ONCE(vol->nr_failing, vol->nr_failing +
		   link_counts_failing(state) - link_counts_failing(old));
	gate = vol->ack_gate;
	if (vol->nr_failing)
		gate |= HCV_ACK_CLOSED;
	WRITE_ONCE(vol->ack_gate, gate);
	/* Pairs with the barriers of an I/O between its legs and io_verdict() */
	smp_store_release(&link->state, state);
	if (hcv_link_writable(old) && !hcv_link_writable(state)) {
		/* Who sends a page has read its stamps before the state. */
		smp_mb();
		link->last_v = READ_ONCE(vol->map.v);
	}
	if (state != HCV_LINK_INSYNC)
		link->final = false;
	hcv_lease_update(vol);
	if (link_counts_failing(old) && hcv_link_writable(state))
		gate += HCV_ACK_RETURN;
	if (!vol->nr_failing)
		gate &= ~HCV_ACK_CLOSED;
	/* Pairs with hcv_io_submit() and io_verdict(). */
	smp_store_release(&vol->ack_gate, gate);
	/* Others may no longer be the last ones of anything. */
	if (state == HCV_LINK_INSYNC)
		hcv_link_look_again(vol);
}

static u32 link_count_insync(struct hcv_vol *vol)
{
	u32 i, n = 0;

	for (i = 0; i < vol->nr_links; i++)
		n += vol->link[i]->state == HCV_LINK_INSYNC;
	return n;
}

bool hcv_link_fail(struct hcv_link *link, int err, const char *what)
{
	struct hcv_vol *vol = link->vol;
	bool failed = true, out = true;
	unsigned long flags;

	spin_lock_irqsave(&vol->lock, flags);
	if (vol->state == HCV_VOL_LOADING)
		WRITE_ONCE(link->unfit, true);
	switch (link->state) {
	case HCV_LINK_INSYNC:
		if (link->local && err != ESTALE &&
		    (link->final || link_count_insync(vol) == 1)) {
			failed = false;
			out = false;
			break;
		}
		fallthrough;
	case HCV_LINK_SYNCING:
	case HCV_LINK_JOINING:
		/*
		 * A syncing copy as well: some of its extents carry present
		 * stamps, and only a grown v tells what it misses from now on.
		 */
		link->spare = link->state;
		link->undecided = true;
		link->err = err;
		link_set_state(link, HCV_LINK_FAILING);
		break;
	default:
		failed = false;
	}
	spin_unlock_irqrestore(&vol->lock, flags);
	if (failed) {
		pr_warn("hcivol %s/%pUb: %s failed: error %d\n", vol->name,
			&link->store, what, err);
		queue_work(hcv_wq, &link->fail_work);
	}
	return out;
}

bool hcv_link_read_error(struct hcv_link *link, int err)
{
	bool place = err == -ENODATA ||
		     (!link->local && (err == -EIO || err == -EREMOTEIO));

	if (!place && err != -ECANCELED)
		hcv_link_fail(link, -err, "read");
	return READ_ONCE(link->state) == HCV_LINK_INSYNC;
}

/* Whether some extent has no in-sync replica but the one on @link. */
static bool link_is_sole(struct hcv_link *link)
{
	struct hcv_vol *vol = link->vol;
	bool sole = false;
	struct hcv_ext *ext;
	u32 i, insync = 0;

	for (i = 0; i < READ_ONCE(vol->nr_links); i++)
		if (READ_ONCE(vol->link[i]->state) == HCV_LINK_INSYNC)
			insync |= BIT(i);
	rcu_read_lock();
	spin_lock_irq(&vol->map.lock);
	list_for_each_entry(ext, &vol->map.exts, node) {
		struct hcv_reps *reps = hcv_reps(ext);
		u32 holders = 0;

		for (i = 0; i < reps->nr; i++)
			holders |= BIT(reps->rep[i].link);
		sole = hcv_repl_sole(holders, insync, link->nr);
		if (sole)
			break;
	}
	spin_unlock_irq(&vol->map.lock);
	rcu_read_unlock();
	return sole;
}

/* Stop counting legs in, so that the device can be let go. */
static void link_kill_ref(struct hcv_link *link)
{
	if (xchg(&link->ref_live, false))
		percpu_ref_kill(&link->ref);
}

/* False: legs are in flight still. vol->mutex held. */
static bool link_ref_end(struct hcv_link *link)
{
	link_kill_ref(link);
	if (!link->ref_used)
		return true;
	if (!wait_for_completion_timeout(&link->ref_dead, 10 * HZ))
		return false;
	percpu_ref_exit(&link->ref);
	link->ref_used = false;
	return true;
}

/*
 * Decide on a link that has failed, or look again at one that was LOST.
 * vol->lock held.  Return: whether there is something to tell.
 */
static bool link_decide(struct hcv_link *link, bool sole)
{
	bool fresh = link->state == HCV_LINK_FAILING && link->undecided;
	struct hcv_repl_case c = {
		.counts = link->spare == HCV_LINK_INSYNC,
		.sole = sole,
		.final = fresh && link->local && link->err != ESTALE,
	};

	link->undecided = false;
	/* Errors are final for as long as it has the last copy of something. */
	if (link->state == HCV_LINK_INSYNC)
		link->final = link->final && sole;
	if (!fresh && link->state != HCV_LINK_LOST)
		return false;
	switch (hcv_repl_fate(&c)) {
	case HCV_FATE_REMOVE:
		link_set_state(link, HCV_LINK_FAILING);
		break;
	case HCV_FATE_STAY:
		link->err = 0;
		link_set_state(link, HCV_LINK_INSYNC);
		link->final = true;
		return true;
	case HCV_FATE_WAIT:
		if (!fresh)
			return false;
		link_set_state(link, HCV_LINK_LOST);
	}
	/* A lost one may be about to be tied anew: that is not ours. */
	if (fresh)
		link_kill_ref(link);
	return true;
}

static void link_fail_fn(struct work_struct *work)
{
	struct hcv_link *link = container_of(work, struct hcv_link, fail_work);
	struct hcv_vol *vol = link->vol;
	bool tell = false, sole;
	u32 seq;
	u8 state;

	spin_lock_irq(&vol->lock);
	seq = vol->insync_seq;
	spin_unlock_irq(&vol->lock);
	sole = link_is_sole(link);
	spin_lock_irq(&vol->lock);
	/* If another one is in-sync since then, this was queued again. */
	if (seq == vol->insync_seq)
		tell = link_decide(link, sole);
	state = link->state;
	spin_unlock_irq(&vol->lock);
	if (!tell)
		return;
	link_event(link, state == HCV_LINK_FAILING ? HCV_EVENT_LINK_FAILED :
						     HCV_EVENT_LINK_STATE);
	if (state == HCV_LINK_INSYNC) {
		hcv_vol_warn(vol, "store %pUb has the last in-sync copy of some extent and stays: what its disk refuses is an error\n",
			     &link->store);
		hcv_vol_kick(vol, HCV_WAIT_NONE);
	}
	wake_up_all(&vol->wait);
}

static void link_ref_release(struct percpu_ref *ref)
{
	struct hcv_link *link = container_of(ref, struct hcv_link, ref);

	complete(&link->ref_dead);
}

struct hcv_link *hcv_link_make(struct hcv_vol *vol, const uuid_t *store)
{
	struct hcv_link *link = hcv_link_find(vol, store);

	if (link)
		return link;
	if (vol->nr_links == HCV_MAX_LINKS)
		return ERR_PTR(-E2BIG);
	link = kzalloc(sizeof(*link), GFP_KERNEL);
	if (!link)
		return ERR_PTR(-ENOMEM);
	link->stats = alloc_percpu(struct hcv_stats);
	if (!link->stats) {
		kfree(link);
		return ERR_PTR(-ENOMEM);
	}
	link->vol = vol;
	link->nr = vol->nr_links;
	uuid_copy(&link->store, store);
	init_completion(&link->ref_dead);
	INIT_WORK(&link->fail_work, link_fail_fn);
	vol->link[link->nr] = link;
	/* Pairs with readers of nr_links: the link is there before it counts */
	smp_store_release(&vol->nr_links, vol->nr_links + 1);
	return link;
}

void hcv_link_free(struct hcv_link *link)
{
	free_percpu(link->stats);
	kfree(link);
}

/* Let go of the device; no leg is in flight. vol->mutex held. */
static void link_untie(struct hcv_link *link)
{
	/* Drained before, or, when tying it failed half way, never used. */
	WARN_ON_ONCE(!link_ref_end(link));
	hcv_temp_end(link);
	if (link->target) {
		hcv_target_detach(link->target, link);
		hcv_target_put(link->target);
		link->target = NULL;
	}
	if (link->grant) {
		hcv_grant_put(link->grant);
		link->grant = NULL;
	}
	if (link->local) {
		hcv_stats_leave(&link->local->stats, &link->part);
		hcv_store_put(link->local);
		link->local = NULL;
	}
	kfree(link->range);
	link->range = NULL;
	link->nr_ranges = 0;
	link->bdev = NULL;
}

/* Wait for the legs of a failed link; bounded by the devices' time-outs. */
static int link_drain(struct hcv_link *link)
{
	flush_work(&link->fail_work);
	hcv_sync_stop(link);
	if (!link_ref_end(link))
		return -EBUSY;
	/* Pairs with hcv_link_enter(). */
	synchronize_rcu();
	return 0;
}

static int link_tie_local(struct hcv_link *link, struct hcv_store *store,
			  struct netlink_ext_ack *extack)
{
	struct hcv_vol *vol = link->vol;
	uuid_t node, cluster;
	struct hcv_grant_want want = {
		.vol = &vol->uuid,
		.client = &node,
		.epoch = vol->epoch,
		.count = 1,
	};
	struct hcv_grant *grant;

	if (!hcv_node_uuid(&node, &cluster))
		return -EINVAL;
	grant = hcv_gate_grant(store, &want, extack);
	if (IS_ERR(grant))
		return PTR_ERR(grant);
	kref_get(&store->ref);
	hcv_stats_join(&store->stats, &link->part, link->stats);
	link->local = store;
	link->grant = grant;
	link->bdev = store->bdev;
	return 0;
}

static int link_tie_remote(struct hcv_link *link, const char *path,
			   struct netlink_ext_ack *extack)
{
	struct hcv_target *target;

	target = hcv_target_get(path, &link->store, link->incarnation, extack);
	if (IS_ERR(target))
		return PTR_ERR(target);
	link->target = target;
	link->bdev = hcv_target_bdev(target);
	hcv_target_attach(target, link);
	return 0;
}

static int link_tie(struct hcv_link *link, const struct hcv_link_want *want,
		    struct netlink_ext_ack *extack)
{
	struct hcv_store *store;
	int ret;

	link->range = kmemdup(want->range, want->nr * sizeof(*want->range),
			      GFP_KERNEL);
	if (!link->range)
		return -ENOMEM;
	link->nr_ranges = want->nr;
	ret = percpu_ref_init(&link->ref, link_ref_release, 0, GFP_KERNEL);
	if (ret)
		goto out;
	reinit_completion(&link->ref_dead);
	link->ref_live = true;
	link->ref_used = true;
	if (want->path) {
		ret = link_tie_remote(link, want->path, extack);
	} else {
		store = hcv_store_get(&link->store);
		if (!store) {
			NL_SET_ERR_MSG(extack, "no such store is open here, and no path was given");
			ret = -ENOENT;
		} else if (store->incarnation != link->incarnation) {
			NL_SET_ERR_MSG(extack, "the store was opened anew meanwhile");
			ret = -ESTALE;
		} else {
			ret = link_tie_local(link, store, extack);
		}
		if (store)
			hcv_store_put(store);
	}
out:
	if (ret)
		link_untie(link);
	return ret;
}

static int link_check_add(struct hcv_vol *vol, struct hcv_link *link,
			  const struct hcv_link_want *want,
			  struct netlink_ext_ack *extack)
{
	bool started = vol->state != HCV_VOL_NEW;
	u32 state = want->state;

	if (link && link->state == state &&
	    link->incarnation == want->incarnation &&
	    hcv_temp_same(link, want->temp))
		return -EALREADY;
	if (link && link->state == HCV_LINK_LOST && state == HCV_LINK_INSYNC) {
		if (link->incarnation == want->incarnation)
			return 0;
		NL_SET_ERR_MSG(extack, "the store restarted since its last write; attach the volume anew");
		return -ESTALE;
	}
	if (link && link->state != HCV_LINK_OUT) {
		NL_SET_ERR_MSG(extack, "the store is tied to the volume already");
		return -EBUSY;
	}
	if (state != (started ? HCV_LINK_SYNCING : HCV_LINK_INSYNC)) {
		NL_SET_ERR_MSG(extack, "a store comes in-sync before the start, syncing after it");
		return -EINVAL;
	}
	/* See hcv_extents_retire(). */
	if (vol->map.nr_retired) {
		NL_SET_ERR_MSG(extack, "extents are being given back; delete them first");
		return -EBUSY;
	}
	return want->temp ? hcv_temp_check(vol, link, want->temp, extack) : 0;
}

/* One above the highest of these handles. */
static u64 link_ranges_end(const struct hcv_nl_range *range, u32 nr)
{
	u64 end = 0;
	u32 i;

	for (i = 0; i < nr; i++)
		end = max(end, range[i].first + range[i].count);
	return end;
}

/*
 * A write that failed here may still be on its way to the store, and whatever
 * the store does with it is harmless only if its handle is dead (I8).
 * On a store of this node the end of a bio is final: there is nothing between.
 */
static int link_check_ranges(struct hcv_link *link,
			     const struct hcv_link_want *want,
			     struct netlink_ext_ack *extack)
{
	const struct hcv_nl_range *range = want->range;
	u32 i, nr = want->nr;

	for (i = 0; i < nr; i++) {
		/* Handle 0 is the control window. */
		if (range[i].first && range[i].count &&
		    range[i].first < HCV_HANDLE_MAX &&
		    range[i].count <= HCV_HANDLE_MAX - range[i].first &&
		    range[i].count <= U32_MAX - range[i].base)
			continue;
		NL_SET_ERR_MSG(extack, "a range of handles that does not exist");
		return -EINVAL;
	}
	for (i = 0; link && want->path && i < nr; i++) {
		if (range[i].first >= link->used_end)
			continue;
		NL_SET_ERR_MSG(extack, "the store was tied with these handles before; it has to renew its grant");
		return -ESTALE;
	}
	return 0;
}

static void link_note_ranges(struct hcv_link *link)
{
	if (!link->target)
		return;
	WRITE_ONCE(link->used_first, link->range[0].first);
	link->used_end = max(link->used_end,
			     link_ranges_end(link->range, link->nr_ranges));
}

/* The same tie again, maybe with handles for further extents. */
static int link_more_ranges(struct hcv_link *link,
			    const struct hcv_nl_range *range, u32 nr,
			    struct netlink_ext_ack *extack)
{
	struct hcv_nl_range *copy;

	if (link->target && range[0].first != link->used_first) {
		NL_SET_ERR_MSG(extack, "the store has renewed its grant; it is to be tied anew");
		return -ESTALE;
	}
	if (link_ranges_end(range, nr) <=
	    link_ranges_end(link->range, link->nr_ranges))
		return 0;
	copy = kmemdup(range, nr * sizeof(*range), GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	kfree(link->range);
	link->range = copy;
	link->nr_ranges = nr;
	link_note_ranges(link);
	return hcv_link_resolve(link);
}

/* All that may fail, of a link that is still OUT, or LOST; vol->mutex held. */
static int link_prepare(struct hcv_link *link, const struct hcv_link_want *want,
			struct netlink_ext_ack *extack)
{
	int ret;

	link->incarnation = want->incarnation;
	link->full = want->flags & HCV_LINK_F_FULL;
	ret = link_tie(link, want, extack);
	if (ret)
		return ret;
	ret = hcv_link_volarea(link, &link->area);
	if (!ret)
		ret = hcv_link_resolve(link);
	if (!ret && want->temp)
		ret = hcv_temp_begin(link, want->temp, extack);
	if (!ret && want->state == HCV_LINK_SYNCING)
		ret = hcv_sync_prepare(link);
	if (ret)
		link_untie(link);
	return ret;
}

/* False: it moved since it was looked at. */
static bool link_enlist(struct hcv_link *link, u8 old, u8 state)
{
	struct hcv_vol *vol = link->vol;
	bool moved;

	spin_lock_irq(&vol->lock);
	/* A lost one may be on its way out, since others have all it has. */
	moved = link->state != old;
	if (!moved) {
		link->err = 0;
		link->undecided = false;
		link_set_state(link, state);
	}
	spin_unlock_irq(&vol->lock);
	return !moved;
}

/* @volpage: a buffer for it, when a temporary replica is wanted */
static int link_add(struct hcv_vol *vol, const struct hcv_link_want *want,
		    void *volpage, struct netlink_ext_ack *extack)
{
	struct hcv_link *link = hcv_link_find(vol, &want->store);
	u8 old = link ? READ_ONCE(link->state) : HCV_LINK_OUT;
	int ret = link_check_add(vol, link, want, extack);
	bool known = ret == -EALREADY;

	if (ret && !known)
		return ret;
	ret = link_check_ranges(known ? NULL : link, want, extack);
	if (!ret && known)
		ret = link_more_ranges(link, want->range, want->nr, extack);
	if (ret || known)
		return ret;
	if (link && link->bdev) {
		ret = link_drain(link);
		if (ret) {
			NL_SET_ERR_MSG(extack, "I/O to the failed device has not ended yet");
			return ret;
		}
		link_untie(link);
	}
	link = hcv_link_make(vol, &want->store);
	ret = PTR_ERR_OR_ZERO(link);
	if (!ret)
		ret = link_prepare(link, want, extack);
	if (ret)
		return ret;
	/* Who still has the places of before must not see the new state. */
	synchronize_rcu();
	link_note_ranges(link);
	if (!link_enlist(link, old, want->state)) {
		NL_SET_ERR_MSG(extack, "the link is to be removed by now");
		link_untie(link);
		return -EBUSY;
	}
	/* What completed without a lost one runs again: hcv_io_ack(). */
	hcv_vol_kick(vol, HCV_WAIT_NONE);
	/* A copy may be equal, and its lease count, before the next tick. */
	hcv_lease_tick(vol);
	if (want->temp)
		hcv_temp_volpage(link, volpage);
	if (want->state == HCV_LINK_SYNCING)
		hcv_sync_start(link);
	return 0;
}

int hcv_link_add(struct hcv_vol *vol, const struct hcv_link_want *want,
		 struct netlink_ext_ack *extack)
{
	struct hcv_ioref *ref = NULL;
	void *volpage = NULL;
	int ret;

	if (want->temp) {
		volpage = kvmalloc(HCV_VOLPAGE_SIZE, GFP_KERNEL);
		if (!volpage)
			return -ENOMEM;
	}
	mutex_lock(&vol->mutex);
	ret = hcv_vol_alive(vol, extack);
	/* Its volume page is written: not to a volume that is halted. */
	if (!ret && want->temp && !hcv_vol_try_enter(vol, &ref) &&
	    !hcv_vol_try_enter(vol, &ref)) {
		NL_SET_ERR_MSG(extack, "the volume is suspended, or about to be");
		ret = -EBUSY;
	}
	if (!ret)
		ret = link_add(vol, want, volpage, extack);
	if (ref)
		hcv_vol_leave(ref);
	mutex_unlock(&vol->mutex);
	kvfree(volpage);
	return ret;
}

int hcv_link_del(struct hcv_vol *vol, const uuid_t *store,
		 struct netlink_ext_ack *extack)
{
	struct hcv_link *link;
	int ret;

	mutex_lock(&vol->mutex);
	ret = hcv_vol_alive(vol, extack);
	if (ret)
		goto out;
	link = hcv_link_find(vol, store);
	if (!link || !link->bdev)
		goto out;
	ret = -EBUSY;
	if (link->state != HCV_LINK_OUT) {
		NL_SET_ERR_MSG(extack, "the store is still part of the volume");
		goto out;
	}
	ret = link_drain(link);
	if (ret) {
		NL_SET_ERR_MSG(extack, "I/O to the device has not ended yet");
		goto out;
	}
	link_untie(link);
	ret = hcv_link_resolve(link);
out:
	mutex_unlock(&vol->mutex);
	return ret;
}

/* Move a link on the agent's word, unless it moved on its own meanwhile. */
static bool link_confirm_move(struct hcv_link *link, u32 from, u32 to)
{
	struct hcv_vol *vol = link->vol;
	bool moved;

	spin_lock_irq(&vol->lock);
	/* The agent cannot know yet what the module is about to decide. */
	moved = from & BIT(link->state) && !link->undecided;
	if (moved && to == HCV_LINK_FAILING)
		link->spare = link->state;
	if (moved)
		link_set_state(link, to);
	if (moved && to == HCV_LINK_OUT)
		link_kill_ref(link);
	spin_unlock_irq(&vol->lock);
	return moved;
}

/*
 * The confirm_mutex is held: the module's v stays, so that a link which takes
 * writes will have taken them under this one at most when it is OUT.
 */
static bool link_may_go(struct hcv_link *link, u64 v)
{
	struct hcv_vol *vol = link->vol;
	bool may;

	lockdep_assert_held(&vol->confirm_mutex);
	spin_lock_irq(&vol->lock);
	may = hcv_repl_may_go(v, hcv_link_writable(link->state) ?
				 READ_ONCE(vol->map.v) : link->last_v);
	spin_unlock_irq(&vol->lock);
	return may;
}

static int link_confirm(struct hcv_link *link, u64 v, u32 state,
			struct netlink_ext_ack *extack)
{
	u32 from = state == HCV_LINK_OUT ?
		   BIT(HCV_LINK_FAILING) | BIT(HCV_LINK_SYNCING) |
		   BIT(HCV_LINK_JOINING) : BIT(HCV_LINK_JOINING);
	struct hcv_vol *vol = link->vol;

	if (READ_ONCE(link->state) == state) {
		if (v > vol->map.v)
			hcv_map_bump(&vol->map, v);
		return 0;
	}
	if (state != HCV_LINK_OUT && state != HCV_LINK_INSYNC) {
		NL_SET_ERR_MSG(extack, "only OUT and INSYNC are confirmed");
		return -EINVAL;
	}
	if (!(from & BIT(READ_ONCE(link->state))) ||
	    READ_ONCE(link->undecided)) {
		NL_SET_ERR_MSG(extack, "the link is not in a state that this confirms");
		return -EBUSY;
	}
	/*
	 * Another one's confirmation told of this version while this copy took
	 * pages: what it misses would get the stamps that it has.  Until the
	 * record has moved on nothing changes: acknowledgments go on.
	 */
	if (state == HCV_LINK_OUT && !link_may_go(link, v)) {
		NL_SET_ERR_MSG(extack, "the store took part under this version; the record has to move on");
		return -ERANGE;
	}
	/*
	 * First the stamps, then the acknowledgments: the copy that left must
	 * not compare equal to a mib of which it may have missed a write.
	 */
	if (state == HCV_LINK_OUT &&
	    link_confirm_move(link, from & ~BIT(HCV_LINK_FAILING),
			      HCV_LINK_FAILING))
		/*
		 * No page with the new stamp may reach it: who copies one looks
		 * at the state after that, in hcv_link_enter(), under RCU.
		 */
		synchronize_rcu();
	/* In the record it is a mark, and nobody reads from it with that. */
	if (state == HCV_LINK_INSYNC && link->life)
		return hcv_temp_covers(link, v, extack);
	hcv_map_bump(&vol->map, v);
	if (!link_confirm_move(link, from, state)) {
		NL_SET_ERR_MSG(extack, "the link failed meanwhile");
		return -EBUSY;
	}
	hcv_vol_kick(vol, HCV_WAIT_NONE);
	return 0;
}

int hcv_link_confirm(struct hcv_vol *vol, u64 v, const uuid_t *store,
		     u64 incarnation, u32 state,
		     struct netlink_ext_ack *extack)
{
	struct hcv_link *link;
	int ret;

	mutex_lock(&vol->confirm_mutex);
	link = hcv_link_find(vol, store);
	if (!link) {
		NL_SET_ERR_MSG(extack, "the store is not tied to this volume");
		ret = -ENOENT;
	} else if (v < vol->map.v || link->incarnation != incarnation) {
		NL_SET_ERR_MSG(extack, "an older version, or another incarnation of the store");
		ret = -ESTALE;
	} else {
		ret = link_confirm(link, v, state, extack);
	}
	mutex_unlock(&vol->confirm_mutex);
	return ret;
}

/* Whether some link is neither in-sync nor out for good. */
static bool link_others_move(struct hcv_vol *vol, const struct hcv_link *but)
{
	u32 i;

	for (i = 0; i < READ_ONCE(vol->nr_links); i++) {
		const struct hcv_link *link = vol->link[i];
		u8 state = READ_ONCE(link->state);

		/* A temporary replica with its mark is where it was to go. */
		if (link != but && state != HCV_LINK_INSYNC &&
		    state != HCV_LINK_OUT &&
		    !(state == HCV_LINK_JOINING && READ_ONCE(link->covers)))
			return true;
	}
	return false;
}

/*
 * Should another link fail between the look and the move, this one may be LOST
 * instead of FAILING: it is brought back like any other then.  One of this node
 * stays.
 */
static int link_drop(struct hcv_link *link, struct netlink_ext_ack *extack)
{
	struct hcv_vol *vol = link->vol;
	u8 state = READ_ONCE(link->state);

	if (state == HCV_LINK_FAILING || state == HCV_LINK_OUT)
		return 0;
	if (state != HCV_LINK_INSYNC ||
	    READ_ONCE(vol->state) != HCV_VOL_ACTIVE) {
		NL_SET_ERR_MSG(extack, "only an in-sync replica of an active volume is dropped");
		return -EBUSY;
	}
	if (link_others_move(vol, link)) {
		NL_SET_ERR_MSG(extack, "another replica is on its way in or out");
		return -EBUSY;
	}
	if (link_is_sole(link)) {
		NL_SET_ERR_MSG(extack, "the store has the last in-sync copy of some extent");
		return -EBUSY;
	}
	if (!hcv_link_fail(link, ETIME, "dropped by the agent, so it")) {
		NL_SET_ERR_MSG(extack, "the store has become the last one of some extent");
		return -EBUSY;
	}
	return 0;
}

int hcv_link_drop(struct hcv_vol *vol, const uuid_t *store,
		  struct netlink_ext_ack *extack)
{
	struct hcv_link *link;
	int ret = -ENOENT;

	mutex_lock(&vol->confirm_mutex);
	link = hcv_link_find(vol, store);
	if (link)
		ret = link_drop(link, extack);
	else
		NL_SET_ERR_MSG(extack, "the store is not tied to this volume");
	mutex_unlock(&vol->confirm_mutex);
	return ret;
}

void hcv_link_joined(struct hcv_link *link)
{
	struct hcv_vol *vol = link->vol;
	bool ok;

	spin_lock_irq(&vol->lock);
	ok = link->state == HCV_LINK_SYNCING;
	if (ok)
		link_set_state(link, HCV_LINK_JOINING);
	spin_unlock_irq(&vol->lock);
	if (ok)
		link_event(link, HCV_EVENT_SYNC_DONE);
}

void hcv_links_end_sync(struct hcv_vol *vol)
{
	u32 i;

	mutex_lock(&vol->mutex);
	for (i = 0; i < vol->nr_links; i++)
		hcv_sync_stop(vol->link[i]);
	mutex_unlock(&vol->mutex);
}

void hcv_links_destroy(struct hcv_vol *vol)
{
	u32 i;

	mutex_lock(&vol->mutex);
	for (i = 0; i < vol->nr_links; i++) {
		struct hcv_link *link = vol->link[i];

		spin_lock_irq(&vol->lock);
		link_set_state(link, HCV_LINK_OUT);
		spin_unlock_irq(&vol->lock);
		/* Legs end when their device says so: a zombie waits for them */
		while (link->bdev && link_drain(link) == -EBUSY)
			hcv_vol_warn(vol, "waits for I/O in flight on %pUb\n",
				     &link->store);
		/* One that is not tied may be looked at again as well. */
		flush_work(&link->fail_work);
	}
	/* Now nothing of the volume is under way anywhere on this node. */
	hcv_lease_let_go(vol);
	for (i = 0; i < vol->nr_links; i++)
		link_untie(vol->link[i]);
	mutex_unlock(&vol->mutex);
}

int hcv_link_flushed(struct hcv_link *link, int err)
{
	if (!link->local)
		return err;
	if (err)
		hcv_store_fail(link->local, -err, "flush");
	return err || !READ_ONCE(link->local->failed) ? err : -EIO;
}

static void link_rw_end(struct bio *bio)
{
	struct completion *done = bio->bi_private;

	complete(done);
}

int hcv_link_rw(struct hcv_link *link, blk_opf_t opf, sector_t sector,
		void *buf, u32 len)
{
	DECLARE_COMPLETION_ONSTACK(done);
	struct hcv_leg leg;
	struct bio *bio;
	s64 start;
	int ret;
	u32 off;

	if (!hcv_link_enter(link, &leg))
		return leg.refused ? -ESTALE : -ECANCELED;
	if (!link->local)
		opf |= REQ_FAILFAST_TRANSPORT | REQ_FAILFAST_DRIVER |
		       REQ_FAILFAST_DEV;
	bio = bio_alloc_bioset(link->bdev, DIV_ROUND_UP(len, PAGE_SIZE) + 1,
			       opf, GFP_NOIO, &link_bs);
	bio->bi_iter.bi_sector = sector;
	bio->bi_private = &done;
	bio->bi_end_io = link_rw_end;
	for (off = 0; off < len; ) {
		void *p = buf + off;
		struct page *page = is_vmalloc_addr(p) ? vmalloc_to_page(p) :
							 virt_to_page(p);
		u32 n = min_t(u32, len - off, PAGE_SIZE - offset_in_page(p));

		__bio_add_page(bio, page, n, offset_in_page(p));
		off += n;
	}
	start = ktime_get_boottime_ns();
	hcv_stats_begin(link->stats);
	hcv_submit_bio(bio);
	wait_for_completion_io(&done);
	ret = blk_status_to_errno(bio->bi_status);
	if (opf & (REQ_PREFLUSH | REQ_FUA))
		ret = hcv_link_flushed(link, ret);
	hcv_stats_end(link->stats, !len ? HCV_IO_FLUSH :
		      op_is_write(opf) ? HCV_IO_WRITE : HCV_IO_READ, len,
		      ktime_get_boottime_ns() - start, ret);
	bio_put(bio);
	hcv_link_leave(&leg);
	return ret;
}

int hcv_link_init(void)
{
	return bioset_init(&link_bs, BIO_POOL_SIZE, 0, BIOSET_NEED_BVECS);
}

void hcv_link_exit(void)
{
	bioset_exit(&link_bs);
}
