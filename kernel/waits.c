// SPDX-License-Identifier: GPL-2.0-only
/*
 * What I/O of a volume waits for, and since when (I12).
 *
 * I/Os that wait for something of ours stand in lists.  What is at a device
 * stands in none: a link counts what it sent and what came back, and the tick
 * notes since when nothing came back although something is out.
 */
#include <linux/ktime.h>

#include "hotslot.h"
#include "volume.h"

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

void hcv_waits_tick(struct hcv_vol *vol)
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
