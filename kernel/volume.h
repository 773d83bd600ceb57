/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Volumes: the owner's side.
 *
 * Locks, outer first (docs/locking.md):
 *   vol->life_mutex  start, stop, suspend, resume, size, name: one at a time
 *   vol->mutex       configuration: links, extents, the volume page
 *   hcv_vol_lock     mutex, list of volumes, names
 *   vol->confirm_mutex  growth of v; never held over anything that waits
 *   vol->lock        state, link states, lists of waiting I/Os
 *   map->lock, ext->lock   see core/map.h
 *   vol->hot_lock    list of hot slots
 *   hot->lock        waiters of one hot slot
 * From vol->lock on they are spinlocks taken with interrupts off.
 */
#ifndef HCV_VOLUME_H
#define HCV_VOLUME_H

#include <linux/blk-mq.h>
#include <linux/kref.h>
#include <linux/percpu-refcount.h>
#include <linux/uuid.h>
#include <linux/workqueue.h>

#include <linux/hcivol.h>
#include "core/map.h"
#include "gate.h"
#include "io.h"

struct hcv_actlog;
struct hcv_commit;
struct hcv_disk_limits;
struct hcv_log_load;
struct hcv_scrub;
struct hcv_sync;
struct hcv_target;

/**
 * struct hcv_ioref - counts the I/Os that run under it
 * @ref: the count; killed to let a period end
 * @rcu: for freeing
 * @vol: the volume
 * @work: runs when the count is zero
 * @node: on vol->draining, once killed
 * @nr: number of the period, once killed
 * @ended: the count is zero
 * @freed: slots that may be taken again then
 */
struct hcv_ioref {
	struct percpu_ref ref;
	struct rcu_head rcu;
	struct hcv_vol *vol;
	struct work_struct work;
	struct list_head node;
	u32 nr;
	bool ended;
	struct hcv_slot *freed;
};

/**
 * struct hcv_link - the tie between a volume and one store
 * @vol: the volume
 * @nr: index in vol->link
 * @store: the store's UUID
 * @state: enum hcv_link_state (vol->lock; READ_ONCE on the I/O path)
 * @io_flags: HCV_IO_* that a write with a leg to it gets (vol->mutex, while no leg
 *	is counted in)
 * @incarnation: of the store, when tied
 * @err: errno of the failure, positive
 * @bdev: where its bios go
 * @local: the store, if it is this node's
 * @grant: its local gate
 * @target: the remote device, if it is another node's
 * @tnode: in the target's list of links
 * @tied_ns: since when, CLOCK_BOOTTIME (target's lock)
 * @told: the store said that it is revoked (target's lock)
 * @area: first sector of the volume area, as the device counts
 * @range: handles, @nr_ranges of them
 * @used_first: first handle of its newest tie to another node's store, 0: none
 * @used_end: all handles of such ties, this one's too, are below (vol->mutex)
 * @ref: legs in flight; killed when it fails
 * @ref_dead: the count is zero
 * @ref_live: @ref was not killed
 * @ref_used: @ref is initialised
 * @lease_end_ns: CLOCK_BOOTTIME (WRITE_ONCE under vol->lock)
 * @fail_work: tells the agent of the failure
 * @spare: the state in which it failed
 * @last_v: of the map, when it last took writes (vol->lock)
 * @undecided: it failed, and what becomes of it is not known yet (vol->lock)
 * @final: it has the last in-sync copy of some extent, on this node: its disk's
 *	errors are the user's, not its end (vol->lock)
 * @full: resync without trusting stamps
 * @sync: resync under way
 * @stats: all I/O to it, that of the volume and its own
 * @part: @stats as a part of the local store's
 * @state_ns: CLOCK_BOOTTIME since when it is in its state (vol->lock)
 * @seen_ended: I/Os that had ended at @seen_ns (the tick's)
 * @seen_ns: since then none has, though some are out; 0: none is
 * @sync_total: bytes to be looked at
 * @sync_done: bytes looked at
 * @sync_copied: bytes copied
 * @life: of a temporary replica, not 0 (vol->mutex, while no leg is counted in)
 * @base: the link of the store that it stands in for
 * @since: that store has all up to this v
 * @named: all of its pages have been written
 * @covers: the record has the mark (vol->lock)
 */
struct hcv_link {
	struct hcv_vol *vol;
	u8 nr;
	uuid_t store;
	u8 state;
	u16 io_flags;
	u64 incarnation;
	int err;
	struct block_device *bdev;
	struct hcv_store *local;
	struct hcv_grant *grant;
	struct hcv_target *target;
	struct list_head tnode;
	s64 tied_ns;
	bool told;
	sector_t area;
	struct hcv_nl_range *range;
	u32 nr_ranges;
	u64 used_first;
	u64 used_end;
	struct percpu_ref ref;
	struct completion ref_dead;
	bool ref_live;
	bool ref_used;
	s64 lease_end_ns;
	struct work_struct fail_work;
	u8 spare;
	u64 last_v;
	bool undecided;
	bool final;
	bool full;
	bool unfit;
	struct hcv_sync *sync;
	struct hcv_stats __percpu *stats;
	struct hcv_stats_part part;
	u64 state_ns;
	u64 seen_ended;
	u64 seen_ns;
	u64 sync_total;
	u64 sync_done;
	u64 sync_copied;
	u64 life;
	struct hcv_link *base;
	u64 since;
	bool named;
	bool covers;
};

/**
 * struct hcv_rep - where an extent lies on one store
 * @link: index of the link
 * @mapped: the link's handles have it
 * @full: the row says that the copy is full, as far as its link is in-sync
 * @temp: of a temporary replica: no row names it
 * @data: first sector of the data, in what the link's device counts
 * @meta: first sector of the metadata pages
 */
struct hcv_rep {
	u8 link;
	bool mapped;
	bool full;
	bool temp;
	sector_t data;
	sector_t meta;
};

/** hcv_slot_sector() - where a block of record @rec lies in an extent's data */
static inline sector_t hcv_slot_sector(u32 rec, u32 blk)
{
	return ((sector_t)rec << (HCV_SLOT_SHIFT - SECTOR_SHIFT)) +
	       ((sector_t)blk << (HCV_BLOCK_SHIFT - SECTOR_SHIFT));
}

/**
 * struct hcv_reps - the replicas of one extent; ext->priv, replaced under RCU
 *
 * The preferred source of reads comes first.
 */
struct hcv_reps {
	struct rcu_head rcu;
	u8 nr;
	struct hcv_rep rep[HCV_MAX_REPLICAS];
};

/** hcv_reps() - replicas of an extent; under rcu_read_lock() */
static inline struct hcv_reps *hcv_reps(struct hcv_ext *ext)
{
	return rcu_dereference(*(struct hcv_reps __rcu **)&ext->priv);
}

/**
 * struct hcv_vol - an attached volume
 */
struct hcv_vol {
	struct list_head node;
	struct list_head all_node;	/* until it is freed */
	struct kref kref;
	uuid_t uuid;
	char name[HCV_NAME_SIZE];
	u64 size_bytes;
	u64 epoch;
	u32 stripe;
	u32 replicas;
	u32 queue;
	u32 flags;
	u32 policy;
	u32 policy_ms;
	u32 sync_kibps;
	int minor;
	u64 volpage_seq;

	/*
	 * The life cycle; may be held over waits that only a confirmation or
	 * a link that is tied anew can end: these take the mutexes below.
	 */
	struct mutex life_mutex;
	struct mutex mutex;	/* configuration; held over device I/O only */
	struct mutex confirm_mutex;	/* v; nothing slow under it */
	spinlock_t lock;	/* states and lists of waiting I/Os */
	u8 state;		/* enum hcv_vol_state, under lock */
	bool running;		/* I/O may start; under lock */
	bool failed;		/* all I/O fails: fenced, zombie */
	bool dying;		/* being taken down; under mutex */
	bool flush_lost;	/* the last replica failed a flush: no more */
	bool impatient;		/* a stop does not wait for confirmations */
	bool told_suspended;
	u8 hand;		/* enum hcv_hand; life_mutex, READ_ONCE else */
	bool handed;		/* its disk goes with the last opener; xchg */
	u32 hand_ms;		/* I/O of a prepared one fails after it, or 0 */
	u32 kick_seq;
	u32 ack_gate;		/* HCV_ACK_*; written under lock, see io.c */
	atomic_t nr_draining;
	u32 period;		/* the newest that was killed; under lock */
	u32 period_over;	/* it and all before it; written under lock */
	u32 nr_failing;		/* links FAILING or LOST; under lock */
	u32 insync_seq;		/* how often some link became INSYNC; lock */
	u32 want_extent;	/* columns for which the agent was asked */
	u32 no_space;		/* columns for which it said no */
	s64 lease_end_ns;
	struct hcv_ioref __rcu *ref;
	struct list_head draining;	/* ended periods, oldest first */
	struct list_head held;	/* parked, by time */
	struct list_head acks;	/* finished, not acknowledged */
	struct list_head again;	/* to be submitted again */
	struct work_struct kick_work;
	struct delayed_work tick;
	wait_queue_head_t wait;

	struct hcv_link *link[HCV_MAX_LINKS];
	u32 nr_links;
	struct hcv_link *temp;	/* the temporary replica, until untied; mutex */
	u64 temp_life;		/* of the newest one; mutex */

	struct hcv_map map;
	spinlock_t hot_lock;	/* hots, nr_hots */
	struct list_head hots;
	u32 nr_hots;
	atomic_t nr_hot_waiters;
	atomic_t nr_unsure;	/* writes that some replicas may have */

	struct hcv_commit *commit;
	struct hcv_actlog *actlog;
	struct hcv_scrub *scrub;	/* newest pass, or NULL; see scrub.h */
	struct workqueue_struct *wq;
	struct hcv_stats __percpu *stats;

	struct gendisk *disk;
	struct blk_mq_tag_set tags;
	bool has_tags;
	bool disk_added;
	atomic_t openers;
	struct work_struct zombie_work;
	struct work_struct free_work;
};

/**
 * enum hcv_hand - where a volume is in a hand-over
 * @HCV_HAND_NONE: in none
 * @HCV_HAND_PREPARED: NEW, and the disk is there: its I/O waits for the start
 * @HCV_HAND_HALTING: about to be halted, I/O waits
 * @HCV_HAND_HALTED: SUSPENDED, nothing runs, all is flushed
 */
enum hcv_hand {
	HCV_HAND_NONE,
	HCV_HAND_PREPARED,
	HCV_HAND_HALTING,
	HCV_HAND_HALTED
};

/*
 * vol->ack_gate: one word, so that one load tells both.  Bit 0: a link is FAILING
 * or LOST, nothing is acknowledged; above it: how often such a link came back.
 */
#define HCV_ACK_CLOSED	1U
#define HCV_ACK_RETURN	2U

extern struct workqueue_struct *hcv_wq;
/* Beacons, leases, ticks: what runs here never waits for a device. */
extern struct workqueue_struct *hcv_beat_wq;

/* volume.c, handover.c: life cycle */
struct hcv_vol_config {
	uuid_t uuid;
	const char *name;
	u64 size_bytes, epoch, v, lineage;
	u32 stripe, replicas, queue, flags, policy, policy_ms, sync_kibps;
	u32 hand_ms;
};

struct hcv_vol *hcv_vol_create(const struct hcv_vol_config *cfg,
			       struct netlink_ext_ack *extack);
/** hcv_vol_get() - find by UUID and take a reference, or NULL */
struct hcv_vol *hcv_vol_get(const uuid_t *uuid);
void hcv_vol_put(struct hcv_vol *vol);
/** hcv_vol_alive() - 0, or -ENODEV when it is being taken down; vol->mutex */
int hcv_vol_alive(struct hcv_vol *vol, struct netlink_ext_ack *extack);
/** hcv_vol_nth() - the @n-th volume with a reference, or NULL; for dumps */
struct hcv_vol *hcv_vol_nth(u32 n);
/**
 * hcv_vol_nth_of_all() - the same, and those that are being taken down
 * @name: gets the name it has or had, HCV_NAME_SIZE bytes
 */
struct hcv_vol *hcv_vol_nth_of_all(u32 n, char *name);
int hcv_vol_start(struct hcv_vol *vol, u64 epoch, u64 v, const uuid_t *store,
		  struct netlink_ext_ack *extack);
int hcv_vol_stop(struct hcv_vol *vol, bool force,
		 struct netlink_ext_ack *extack);
int hcv_vol_suspend(struct hcv_vol *vol, struct netlink_ext_ack *extack);
int hcv_vol_resume(struct hcv_vol *vol, struct netlink_ext_ack *extack);
/**
 * hcv_vol_hand_halt() - suspend it for a hand-over: soon, or not at all
 *
 * Flushes while I/O goes on, so that little is left to be flushed while it waits.
 * Return: 0; -EBUSY: a replica is failing; -ETIMEDOUT, -EAGAIN: it goes on.
 */
int hcv_vol_hand_halt(struct hcv_vol *vol, struct netlink_ext_ack *extack);
/**
 * hcv_vol_hand_let_go() - of a halted volume that another node owns
 *
 * Its I/O fails, its stores are told; the disk stays until it is closed.
 */
int hcv_vol_hand_let_go(struct hcv_vol *vol, struct netlink_ext_ack *extack);
/** hcv_vol_hand_owned() - I/O of a prepared volume waits without limit from now on */
void hcv_vol_hand_owned(struct hcv_vol *vol);
/** hcv_vol_closed() - one opener less; any context that may not sleep as well */
void hcv_vol_closed(struct hcv_vol *vol);
/** hcv_vol_shown_flags() - HCV_VOL_F_* with those of a hand-over */
u32 hcv_vol_shown_flags(struct hcv_vol *vol);
/** hcv_vol_set_name() - take a name that no other volume here has; vol->mutex */
int hcv_vol_set_name(struct hcv_vol *vol, const char *name,
		     struct netlink_ext_ack *extack);
void hcv_vol_fence(struct hcv_vol *vol);
/** hcv_vol_kick() - something changed: submit again those who wait for @wait
 *
 * HCV_WAIT_NONE: all. Any context. Acknowledgements are looked at as well.
 */
void hcv_vol_kick(struct hcv_vol *vol, u8 wait);
/** hcv_vol_queue_kick() - have vol->again and vol->acks looked at; any context */
void hcv_vol_queue_kick(struct hcv_vol *vol);
/** hcv_vol_again() - submit all of @list again from a worker; any context */
void hcv_vol_again(struct hcv_vol *vol, struct list_head *list);
/** hcv_vol_want_extent() - ask the agent for space in a column; any context */
void hcv_vol_want_extent(struct hcv_vol *vol, u32 column);
/** hcv_vol_shown_state() - enum hcv_vol_state; active with long waits: suspended */
u32 hcv_vol_shown_state(struct hcv_vol *vol);
/** hcv_vol_event_state() - tell the agent of the state */
void hcv_vol_event_state(struct hcv_vol *vol);

/* period.c */
/** hcv_vol_run() - let I/O begin; -ENOMEM */
int hcv_vol_run(struct hcv_vol *vol);
/** hcv_ioref_new() - a period to come, for who must be able to go on; NULL: no memory */
struct hcv_ioref *hcv_ioref_new(struct hcv_vol *vol);
/** hcv_ioref_drop() - of one that nothing ever ran under */
void hcv_ioref_drop(struct hcv_ioref *ref);
/** hcv_vol_run_under() - let I/O begin under @ref, which is vol's from now on */
void hcv_vol_run_under(struct hcv_vol *vol, struct hcv_ioref *ref);
/** hcv_vol_halt() - none begins any more; what runs goes on, see hcv_vol_drained() */
void hcv_vol_halt(struct hcv_vol *vol);
/**
 * hcv_vol_drain() - let a period end: what runs now is told from what follows
 * @freed: slots that may be taken again when it has ended, or NULL
 * @period: where to put its number for hcv_vol_period_over(), or NULL
 *
 * Context: process; does not wait.
 */
int hcv_vol_drain(struct hcv_vol *vol, struct hcv_slot *freed, u32 *period);
/**
 * hcv_vol_period_over() - whether all has ended that ran in a period or before
 *
 * See vol->wait.  Whatever begins, and periods that end, later do not count.
 */
bool hcv_vol_period_over(struct hcv_vol *vol, u32 period);
/** hcv_vol_drained() - whether all ended periods are over; see vol->wait */
bool hcv_vol_drained(struct hcv_vol *vol);
/**
 * hcv_vol_enter() - run under the volume's I/O reference, in process context
 * @stop: gives up when it becomes true (wake vol->wait), or NULL
 *
 * Waits while the volume is suspended. Return: 0, or -EIO.
 */
int hcv_vol_enter(struct hcv_vol *vol, const bool *stop,
		  struct hcv_ioref **ref);
/** hcv_vol_try_enter() - the same, but false where that would wait, or may */
bool hcv_vol_try_enter(struct hcv_vol *vol, struct hcv_ioref **ref);
void hcv_vol_leave(struct hcv_ioref *ref);

/* volume_set.c: what may be changed while attached */
int hcv_vol_resize(struct hcv_vol *vol, u64 bytes,
		   struct netlink_ext_ack *extack);
/**
 * hcv_vol_publish() - an active volume without a disk gets one
 * @flags: HCV_VOL_F_READONLY or 0
 * @queue: enum hcv_queue
 *
 * Return: 0; -EINVAL: it has one, or is not active.
 */
int hcv_vol_publish(struct hcv_vol *vol, u32 flags, u32 queue,
		    struct netlink_ext_ack *extack);
int hcv_vol_rename(struct hcv_vol *vol, const char *name,
		   struct netlink_ext_ack *extack);

/* waits.c */
/**
 * struct hcv_waits - I/Os that wait, by enum hcv_wait
 * @count: how many
 * @since_ns: CLOCK_BOOTTIME since when the first of them does
 *
 * HCV_WAIT_IO is not in here: see hcv_link_inflight().
 */
struct hcv_waits {
	u32 count[__HCV_WAITS];
	u64 since_ns[__HCV_WAITS];
};

/** hcv_wait_name() - an enum hcv_wait in words */
const char *hcv_wait_name(u32 wait);
/** hcv_vol_waits() - what waits for what; process context */
void hcv_vol_waits(struct hcv_vol *vol, struct hcv_waits *w);
/**
 * hcv_link_inflight() - I/Os that the link's device has
 * @stall_ns: how long no I/O has come back from it at all, to the tick
 */
u32 hcv_link_inflight(struct hcv_link *link, u64 *stall_ns);
/** hcv_vol_longest_wait() - CLOCK_BOOTTIME since when, or 0; process context */
u64 hcv_vol_longest_wait(struct hcv_vol *vol, u32 *wait, u32 *count);
/**
 * hcv_waits_tick() - from vol->tick: look at what does not come back, tell of long
 * waits, end those that the policy gives up
 */
void hcv_waits_tick(struct hcv_vol *vol);

int hcv_volume_init(void);
void hcv_volume_exit(void);

/* front.c */
int hcv_front_add(struct hcv_vol *vol);
/** hcv_front_del() - remove the disk; waits for its requests */
void hcv_front_del(struct hcv_vol *vol);
/** hcv_front_started() - a disk that was made in advance can be read now */
void hcv_front_started(struct hcv_vol *vol);
int hcv_front_init(void);
void hcv_front_exit(void);

/* temp.c; vol->mutex held but for hcv_temp_covers(), hcv_temp_shown_flags() */
/**
 * struct hcv_temp_want - a temporary replica that is asked for
 * @base: store that it stands in for
 * @since: v up to which that one has all
 */
struct hcv_temp_want {
	uuid_t base;
	u64 since;
};

/** hcv_temp_check() - whether there can be one; @link: of its store, or NULL */
int hcv_temp_check(struct hcv_vol *vol, const struct hcv_link *link,
		   const struct hcv_temp_want *want,
		   struct netlink_ext_ack *extack);
/** hcv_temp_same() - whether @link is what is wanted; @want: NULL: an ordinary one */
bool hcv_temp_same(const struct hcv_link *link,
		   const struct hcv_temp_want *want);
/**
 * hcv_temp_begin() - make @link a temporary replica; it is tied, and still OUT
 *
 * Undone by hcv_temp_end(), after an error too.
 */
int hcv_temp_begin(struct hcv_link *link, const struct hcv_temp_want *want,
		   struct netlink_ext_ack *extack);
/** hcv_temp_end() - @link is none any more, if it was; no leg is in flight */
void hcv_temp_end(struct hcv_link *link);
/**
 * hcv_temp_volpage() - give it a volume page; the link fails if that fails
 * @buf: HCV_VOLPAGE_SIZE bytes: no memory is no reason to fail it
 */
void hcv_temp_volpage(struct hcv_link *link, void *buf);
/** hcv_temp_covers() - the record has the mark; vol->confirm_mutex held */
int hcv_temp_covers(struct hcv_link *link, u64 v,
		    struct netlink_ext_ack *extack);
/** hcv_temp_shown_flags() - HCV_LINK_F_* for VOL_GET */
u32 hcv_temp_shown_flags(const struct hcv_link *link);

/* link.c */
/** hcv_link_state_name() - an enum hcv_link_state in words */
const char *hcv_link_state_name(u32 state);
/**
 * struct hcv_link_want - a tie that is asked for
 * @path: the remote device, NULL: a store of this node
 * @range: handles, @nr of them
 * @temp: a temporary replica, or NULL
 */
struct hcv_link_want {
	uuid_t store;
	u32 state;
	u32 flags;
	u64 incarnation;
	const char *path;
	const struct hcv_nl_range *range;
	u32 nr;
	const struct hcv_temp_want *temp;
};

int hcv_link_add(struct hcv_vol *vol, const struct hcv_link_want *want,
		 struct netlink_ext_ack *extack);
int hcv_link_del(struct hcv_vol *vol, const uuid_t *store,
		 struct netlink_ext_ack *extack);
struct hcv_link *hcv_link_find(struct hcv_vol *vol, const uuid_t *store);
/**
 * hcv_link_fail() - a link gave an error; any context
 *
 * Return: false: it has the last replica of something, on this node, and stays
 * in-sync.  Where that has to be found out first it is failing meanwhile.
 */
bool hcv_link_fail(struct hcv_link *link, int err, const char *what);
/**
 * hcv_link_read_error() - a read of a link's data gave @err; any context
 * @err: negative
 *
 * A place that cannot be read says nothing of the others: the link goes on.
 * Exports answer an I/O error to that and to a closed gate alike, and
 * only a beacon tells these apart (hcv_lease_proved()).  Other errors, of the
 * path or of a whole disk, fail the link.
 * Return: whether it goes on: then ask another one for this place.
 */
bool hcv_link_read_error(struct hcv_link *link, int err);
int hcv_link_confirm(struct hcv_vol *vol, u64 v, const uuid_t *store,
		     u64 incarnation, u32 state,
		     struct netlink_ext_ack *extack);
/**
 * hcv_link_drop() - the agent wants a slow store out; process context
 *
 * The link fails as by an error: acknowledgments wait for the record.
 * Return: 0, -ENOENT, or -EBUSY with a sentence: it is needed.
 */
int hcv_link_drop(struct hcv_vol *vol, const uuid_t *store,
		  struct netlink_ext_ack *extack);
/** hcv_links_end_sync() - resyncs under way end; none begins, it is dying */
void hcv_links_end_sync(struct hcv_vol *vol);
void hcv_links_destroy(struct hcv_vol *vol);
int hcv_link_init(void);
void hcv_link_exit(void);
/** hcv_link_writable() - whether writes go to a link in this state */
static inline bool hcv_link_writable(u8 state)
{
	return state == HCV_LINK_INSYNC || state == HCV_LINK_JOINING ||
	       state == HCV_LINK_SYNCING;
}

/**
 * hcv_link_enter() - count a leg in; hcv_link_leave() counts it out
 *
 * A link's device and gate are let go one RCU grace period after it left the
 * states in which this says yes, and once all legs have ended: in between
 * @link->local, ->grant, ->target and ->bdev stay.
 * Return: false: its gate is closed (@leg->refused), or it is failing or out.
 */
static inline bool hcv_link_enter(struct hcv_link *link, struct hcv_leg *leg)
{
	bool ok = false;

	leg->period = NULL;
	leg->refused = false;
	rcu_read_lock();
	if (hcv_link_writable(READ_ONCE(link->state)) &&
	    percpu_ref_tryget_live(&link->ref)) {
		if (link->grant)
			leg->period = hcv_grant_enter(link->grant);
		ok = !link->grant || leg->period;
		if (!ok) {
			percpu_ref_put(&link->ref);
			leg->refused = true;
		}
	}
	rcu_read_unlock();
	leg->link = link;
	return ok;
}

/**
 * hcv_link_refused() - hcv_link_enter() said no; any context
 *
 * A closed gate fails the link.  One that was failing may stay, by link_decide(),
 * or be out: that says nothing of its gate, and changed the volume's.
 */
static inline void hcv_link_refused(struct hcv_link *link,
				    const struct hcv_leg *leg)
{
	if (leg->refused)
		hcv_link_fail(link, ESTALE, "its gate is closed");
}

/** hcv_link_leave() - a leg has ended; any context */
static inline void hcv_link_leave(struct hcv_leg *leg)
{
	struct hcv_link *link = leg->link;

	if (leg->period)
		hcv_grant_exit(leg->period);
	percpu_ref_put(&link->ref);
}

/** hcv_link_make() - find a store's link, or make an untied one; vol->mutex */
struct hcv_link *hcv_link_make(struct hcv_vol *vol, const uuid_t *store);
/** hcv_link_free() - of a link that is not tied */
void hcv_link_free(struct hcv_link *link);
/** hcv_link_joined() - a syncing link's copy is equal now */
void hcv_link_joined(struct hcv_link *link);
/** hcv_link_look_again() - have links decided on anew; vol->lock held */
void hcv_link_look_again(struct hcv_vol *vol);
int hcv_extents_add(struct hcv_vol *vol, const struct hcv_nl_extent *row,
		    u32 nr, struct netlink_ext_ack *extack);
/** hcv_ext_place() - first sector of @ext's data on @link; false: nowhere */
bool hcv_ext_place(struct hcv_ext *ext, struct hcv_link *link, sector_t *data);
/** hcv_ext_meta() - first sector of @ext's metadata pages there */
bool hcv_ext_meta(struct hcv_ext *ext, struct hcv_link *link, sector_t *meta);
/**
 * hcv_extents_retire() - give up to @nr idle extents of a column no more records
 * @leave: so many idle ones are to be left
 * @keep: indexes of extents that are to stay, @nr_keep of them
 *
 * Return: 0, also if there is none; -EBUSY while a replica is on its way out or
 * in, -EINVAL.
 */
int hcv_extents_retire(struct hcv_vol *vol, u32 column, u32 nr, u32 leave,
		       const u32 *keep, u32 nr_keep,
		       struct netlink_ext_ack *extack);
/** hcv_extents_del() - forget settled extents; -EBUSY: one is not settled */
int hcv_extents_del(struct hcv_vol *vol, const u32 *index, u32 nr,
		    struct netlink_ext_ack *extack);
/**
 * hcv_link_resolve() - recompute all extents' positions on @link
 *
 * Places of a temporary replica that it is no more are gone then.
 */
int hcv_link_resolve(struct hcv_link *link);
/**
 * hcv_temp_place() - give a temporary replica its places: where its base is full
 *
 * Return: 0; -EBUSY a row names its store, -E2BIG an extent has no room for
 * another replica, -ENOENT an extent is not within its handles, -EINVAL there
 * is no such extent, -ENOMEM.
 */
int hcv_temp_place(struct hcv_link *temp, struct netlink_ext_ack *extack);

/**
 * hcv_ext_read() - read a piece of an extent from a replica that gives it
 * @off: sector in the extent's data
 *
 * Context: process; waits for a beacon where only that can tell.
 * Return: 0; -EIO: no replica can read this place, and none is failing;
 * -ENOLINK: wait for a replica.
 */
int hcv_ext_read(struct hcv_vol *vol, struct hcv_ext *ext, sector_t off,
		 void *buf, u32 len);

/** hcv_link_volarea() - sector of the volume area on a link */
int hcv_link_volarea(struct hcv_link *link, sector_t *sector);

/* lease.c */
/**
 * hcv_lease_proved() - whether a link's gate was open at @since
 *
 * A beacon that was sent after that, and answered well, says so.
 */
bool hcv_lease_proved(struct hcv_link *link, s64 since_ns);
/** hcv_target_get() - open a remote export and start its beacons */
struct hcv_target *hcv_target_get(const char *path, const uuid_t *store,
				  u64 incarnation,
				  struct netlink_ext_ack *extack);
void hcv_target_put(struct hcv_target *target);
struct block_device *hcv_target_bdev(struct hcv_target *target);
void hcv_target_attach(struct hcv_target *target, struct hcv_link *link);
void hcv_target_detach(struct hcv_target *target, struct hcv_link *link);
/**
 * hcv_lease_let_go() - tell all stores that this node has let go of the volume
 *
 * All at the same time, then the answers are waited for, for the transport's time-out
 * at most; one that does not come costs whoever wants the volume next a lease's
 * time.  Context: process; vol->mutex, nothing of the volume is under way.
 */
void hcv_lease_let_go(struct hcv_vol *vol);
/** hcv_lease_tick() - local beacons, the volume's lease; from vol->tick */
void hcv_lease_tick(struct hcv_vol *vol);
/** hcv_lease_update() - recompute vol->lease_end_ns; vol->lock held */
void hcv_lease_update(struct hcv_vol *vol);

/* load.c */
/**
 * hcv_load() - flush the in-sync links, read their logs and the pages
 * @log: what hcv_actlog_start() wants to know
 *
 * vol->mutex held.
 */
int hcv_load(struct hcv_vol *vol, const uuid_t *store,
	     struct hcv_log_load *log, struct netlink_ext_ack *extack);
int hcv_load_write_volpage(struct hcv_vol *vol);
/** hcv_load_write_volpage_by() - the same; @buf: HCV_VOLPAGE_SIZE, kvmalloc()ed */
int hcv_load_write_volpage_by(struct hcv_vol *vol, void *buf);
/** hcv_load_pages() - read an extent's pages from one link into @buf
 *
 * @buf: HCV_EXTENT_META_SIZE bytes.
 */
int hcv_load_pages(struct hcv_link *link, struct hcv_ext *ext, void *buf);
/** hcv_load_newest() - the newest valid place of a page in such a buffer
 *
 * Return: the page, NULL: never written; ERR_PTR: -EUCLEAN: none is valid,
 * -ENODATA: nor this one, but it may be its first write, torn.
 */
const void *hcv_load_newest(struct hcv_vol *vol, struct hcv_ext *ext, u32 page,
			    const void *buf, struct hcv_pagepos *pos);

/* commit.c */
int hcv_commit_create(struct hcv_vol *vol);
/** hcv_commit_temp() - room for the page images of a temporary replica; vol->mutex */
int hcv_commit_temp(struct hcv_vol *vol);
void hcv_commit_destroy(struct hcv_vol *vol);
/** hcv_commit_join() - end @io when a round that begins now is durable */
void hcv_commit_join(struct hcv_io *io);
/**
 * hcv_commit_sync() - run a round and wait; process context
 * @stop: gives up with -ECANCELED when it becomes true (wake vol->wait), or NULL
 */
int hcv_commit_sync(struct hcv_vol *vol, const bool *stop);
/** hcv_commit_sync_for() - the same, -ETIMEDOUT after so many ms; it goes on */
int hcv_commit_sync_for(struct hcv_vol *vol, unsigned int ms);
/** hcv_commit_kick() - have a round run; any context */
void hcv_commit_kick(struct hcv_vol *vol);
/**
 * hcv_commit_idle_for() - wait until no round runs, or was asked for
 *
 * Context: process.  Return: 0, or -ETIMEDOUT: not within @ms.
 */
int hcv_commit_idle_for(struct hcv_vol *vol, unsigned int ms);
/** hcv_commit_tick() - write dirty pages now and then */
void hcv_commit_tick(struct hcv_vol *vol);
int hcv_commit_init(void);
void hcv_commit_exit(void);
/**
 * hcv_commit_expire() - move to @list guests' I/Os that wait since @before_ns
 */
void hcv_commit_expire(struct hcv_vol *vol, u64 before_ns,
		       struct list_head *list);
bool hcv_commit_waiting(struct hcv_vol *vol, u64 *since_ns, u32 *count);

/* recover.c */
/** hcv_sync_prepare() - all that may fail, before a link is SYNCING */
int hcv_sync_prepare(struct hcv_link *link);
/** hcv_sync_start() - it is SYNCING now; vol->mutex held */
void hcv_sync_start(struct hcv_link *link);
/** hcv_sync_stop() - stop a resync and wait for it; process context */
void hcv_sync_stop(struct hcv_link *link);
/** hcv_sync_takes_pages() - whether an extent's pages go to a syncing link */
bool hcv_sync_takes_pages(struct hcv_link *link, struct hcv_ext *ext);
int hcv_sync_init(void);
void hcv_sync_exit(void);

/**
 * hcv_link_flushed() - what the end of a FLUSH or metadata write says; any context
 * @err: negative, of a leg that is still counted in
 *
 * A disk tells of a loss once, to whoever asks first: a store of this node
 * has failed with that for all volumes, and no other FLUSH that ends from then on
 * says anything. Return: @err, or -EIO.
 */
int hcv_link_flushed(struct hcv_link *link, int err);
/* Synchronous I/O on a link, process context: returns 0 or -errno. */
int hcv_link_rw(struct hcv_link *link, blk_opf_t opf, sector_t sector,
		void *buf, u32 len);

#define hcv_vol_err(vol, fmt, ...) \
	pr_err("hcivol %s: " fmt, (vol)->name, ##__VA_ARGS__)
#define hcv_vol_warn(vol, fmt, ...) \
	pr_warn("hcivol %s: " fmt, (vol)->name, ##__VA_ARGS__)
#define hcv_vol_info(vol, fmt, ...) \
	pr_info("hcivol %s: " fmt, (vol)->name, ##__VA_ARGS__)

#endif /* HCV_VOLUME_H */
