// SPDX-License-Identifier: GPL-2.0-only
/*
 * What I/O of a volume waits for, and since when (I12); who waits too long by the
 * volume's policy gets an error.
 *
 * I/Os that wait for something of ours stand in lists.  What is at a device
 * stands in none: a link counts what it sent and what came back, and the tick
 * notes since when nothing came back although something is out.
 */
#include <linux/ktime.h>

#include "hotslot.h"
#include "volume.h"

/* From then on the volume is called suspended. */
#define WAITS_SUSPENDED_NS	(5LL * NSEC_PER_SEC)

const char *hcv_wait_name(u32 wait)
{
	static const char * const name[__HCV_WAITS] = {
		[HCV_WAIT_NONE]		= "nothing",
		[HCV_WAIT_CONFIRM]	= "the removal of a replica",
		[HCV_WAIT_EXTENT]	= "an extent",
		[HCV_WAIT_REPLICA]	= "a usable replica",
		[HCV_WAIT_LEASE]	= "a lease",
		[HCV_WAIT_SUSPEND]	= "the agent to resume",
		[HCV_WAIT_BUSY]		= "another write of the block",
		[HCV_WAIT_FLUSH]	= "a flush round",
		[HCV_WAIT_IO]		= "a disk",
		[HCV_WAIT_MEMORY]	= "memory",
		[HCV_WAIT_LOG]		= "the activity log",
		[HCV_WAIT_HANDOVER]	= "the volume to be handed over",
	};

	return wait < __HCV_WAITS && name[wait] ? name[wait] : "?";
}

static void waits_add(struct hcv_waits *w, u8 wait, u64 since_ns)
{
	if (wait >= __HCV_WAITS)
		return;
	if (!w->count[wait]++ || since_ns < w->since_ns[wait])
		w->since_ns[wait] = since_ns;
}

void hcv_vol_waits(struct hcv_vol *vol, struct hcv_waits *w)
{
	struct hcv_io *io;
	u64 since;
	u32 n;

	memset(w, 0, sizeof(*w));
	spin_lock_irq(&vol->lock);
	list_for_each_entry(io, &vol->held, node)
		waits_add(w, io->wait, io->wait_ns);
	list_for_each_entry(io, &vol->acks, node)
		waits_add(w, io->wait, io->wait_ns);
	spin_unlock_irq(&vol->lock);
	if (hcv_commit_waiting(vol, &since, &n)) {
		w->count[HCV_WAIT_FLUSH] = n;
		w->since_ns[HCV_WAIT_FLUSH] = since;
	}
	n = hcv_hot_waiting(vol, &since);
	if (n) {
		w->count[HCV_WAIT_BUSY] = n;
		w->since_ns[HCV_WAIT_BUSY] = since;
	}
}

u64 hcv_vol_longest_wait(struct hcv_vol *vol, u32 *wait, u32 *count)
{
	u64 since = U64_MAX, flush, busy;
	struct hcv_io *io;
	u32 n;

	*wait = HCV_WAIT_NONE;
	*count = 0;
	if (hcv_commit_waiting(vol, &flush, count)) {
		since = flush;
		*wait = HCV_WAIT_FLUSH;
	}
	n = hcv_hot_waiting(vol, &busy);
	if (n && busy < since) {
		since = busy;
		*wait = HCV_WAIT_BUSY;
	}
	spin_lock_irq(&vol->lock);
	list_for_each_entry(io, &vol->held, node) {
		n++;
		if (io->wait_ns < since) {
			since = io->wait_ns;
			*wait = io->wait;
		}
	}
	list_for_each_entry(io, &vol->acks, node) {
		n++;
		if (io->wait_ns < since) {
			since = io->wait_ns;
			*wait = io->wait;
		}
	}
	if (*wait == HCV_WAIT_FLUSH && vol->nr_failing)
		*wait = HCV_WAIT_CONFIRM;
	spin_unlock_irq(&vol->lock);
	*count += n;
	return *count ? since : 0;
}

static void waits_report(struct hcv_vol *vol)
{
	u32 wait, count;
	u64 since = hcv_vol_longest_wait(vol, &wait, &count);
	s64 now = ktime_get_boottime_ns();
	bool suspended;

	suspended = since && now - (s64)since > WAITS_SUSPENDED_NS;
	if (suspended == vol->told_suspended)
		return;
	vol->told_suspended = suspended;
	if (suspended)
		hcv_vol_warn(vol, "suspended: %u I/O(s) wait for %s since %lld ms\n",
			     count, hcv_wait_name(wait), (now - (s64)since) / NSEC_PER_MSEC);
	else
		hcv_vol_info(vol, "resumed\n");
	hcv_vol_event_state(vol);
}

/* The policy of volumes whose users rather have errors than waits. */
static void waits_expire(struct hcv_vol *vol)
{
	s64 limit = (s64)READ_ONCE(vol->policy_ms) * NSEC_PER_MSEC;
	s64 now = ktime_get_boottime_ns();
	struct hcv_io *io, *tmp;
	LIST_HEAD(list);

	if (READ_ONCE(vol->policy) != HCV_POLICY_ERROR || now <= limit)
		return;
	spin_lock_irq(&vol->lock);
	list_for_each_entry_safe(io, tmp, &vol->held, node)
		if (now - (s64)io->wait_ns > limit)
			list_move_tail(&io->node, &list);
	list_for_each_entry_safe(io, tmp, &vol->acks, node)
		if (now - (s64)io->wait_ns > limit)
			list_move_tail(&io->node, &list);
	spin_unlock_irq(&vol->lock);
	hcv_hot_drain_waiters(vol, now - limit, &list);
	/* A round is at the devices, which have time-outs, or waits as well. */
	if (READ_ONCE(vol->nr_failing))
		hcv_commit_expire(vol, now - limit, &list);
	list_for_each_entry_safe(io, tmp, &list, node) {
		list_del(&io->node);
		hcv_io_end(io, BLK_STS_IOERR);
	}
}

/* Sent and not back; two processors' counters may be read out of step. */
static u32 link_inflight(struct hcv_link *link, u64 *ended)
{
	u64 begun = 0;
	int cpu, op;

	*ended = 0;
	for_each_possible_cpu(cpu) {
		struct hcv_stats *st = per_cpu_ptr(link->stats, cpu);

		for (op = 0; op < HCV_IO_OPS; op++)
			*ended += READ_ONCE(st->ios[op]);
	}
	for_each_possible_cpu(cpu)
		begun += READ_ONCE(per_cpu_ptr(link->stats, cpu)->begun);
	return max_t(s64, begun - *ended, 0);
}

u32 hcv_link_inflight(struct hcv_link *link, u64 *stall_ns)
{
	u64 ended, now = ktime_get_boottime_ns();
	u32 n = link_inflight(link, &ended);

	*stall_ns = 0;
	if (n && ended == READ_ONCE(link->seen_ended) &&
	    READ_ONCE(link->seen_ns))
		*stall_ns = now - READ_ONCE(link->seen_ns);
	return n;
}

static void waits_note_stalls(struct hcv_vol *vol)
{
	/* Pairs with hcv_link_make(). */
	u32 i, n, nr = smp_load_acquire(&vol->nr_links);

	for (i = 0; i < nr; i++) {
		struct hcv_link *link = vol->link[i];
		u64 ended;

		n = link_inflight(link, &ended);
		if (!n) {
			WRITE_ONCE(link->seen_ns, 0);
		} else if (!link->seen_ns || ended != link->seen_ended) {
			WRITE_ONCE(link->seen_ended, ended);
			WRITE_ONCE(link->seen_ns, ktime_get_boottime_ns());
		}
	}
}

/*
 * The disk of a volume that another node serves yet: nobody who just looks at it,
 * as QEMU does when it opens it, waits for long.  Once the agent has said that
 * this node owns it, or the start has begun, what waits is served.
 */
static void waits_expire_prepared(struct hcv_vol *vol)
{
	struct hcv_io *io, *tmp;
	LIST_HEAD(list);
	s64 since;

	spin_lock_irq(&vol->lock);
	since = ktime_get_boottime_ns() - (s64)vol->hand_ms * NSEC_PER_MSEC;
	list_for_each_entry_safe(io, tmp, &vol->held, node)
		if (vol->hand_ms && vol->state == HCV_VOL_NEW &&
		    (s64)io->wait_ns < since)
			list_move_tail(&io->node, &list);
	spin_unlock_irq(&vol->lock);
	list_for_each_entry_safe(io, tmp, &list, node) {
		list_del(&io->node);
		hcv_io_end(io, BLK_STS_IOERR);
	}
}

void hcv_waits_tick(struct hcv_vol *vol)
{
	if (READ_ONCE(vol->hand) == HCV_HAND_PREPARED &&
	    READ_ONCE(vol->hand_ms)) {
		waits_expire_prepared(vol);
		return;
	}
	waits_note_stalls(vol);
	waits_report(vol);
	waits_expire(vol);
}
