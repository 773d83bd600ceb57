// SPDX-License-Identifier: GPL-2.0-only
/*
 * Grants, handles, revocation, leases.
 *
 * Handles are reserved on the media in chunks; gate->chunks finds the chunk of
 * a handle, and a chunk knows its grant and the numbers of its objects.  The
 * I/O path does one xarray lookup, compares the client, takes the percpu_ref
 * of the grant's period, all under RCU, and then reads one number; nothing there
 * locks, allocates, or writes what another processor reads often.
 *
 * A revocation marks the grant under gate->spin, so that no beacon answered
 * later extends its lease, kills the percpu_ref, and takes the chunks out of
 * the xarray.  It is over when the last I/O has put its reference and the
 * lease has ended.  The grant then goes; its seat, the pair (client, volume),
 * stays with the revoked epoch for as long as the store is open, because the
 * beacons have to tell.
 *
 * A seat is one entry of the list that a client's beacons carry, spread over as
 * many control windows as it takes.  Each client sees its own only.  An entry
 * goes when the client says that it is done with the volume.
 *
 * Locks: store->lock > gate->lock (grants, volumes, seats; never held over
 * I/O, so that a revocation does not wait for a stuck disk) > gate->spin
 * (leases, marks; taken by beacons in any context).
 */
#include "gate_priv.h"

#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "netlink.h"
#include "store_priv.h"

static u32 hcv_gate_ms_left(u64 end_ns, u64 now_ns)
{
	if (end_ns <= now_ns)
		return 0;
	return min_t(u64, DIV_ROUND_UP_ULL(end_ns - now_ns, NSEC_PER_MSEC),
		     U32_MAX);
}

/* Clients, seats, volumes */

static struct hcv_client *hcv_gate_client(struct hcv_gate *gate,
					  const uuid_t *uuid)
{
	struct hcv_client *client;

	list_for_each_entry(client, &gate->clients, node)
		if (uuid_equal(&client->uuid, uuid))
			return client;
	return NULL;
}

static struct hcv_seat *hcv_gate_seat(struct hcv_client *client,
				      const uuid_t *vol)
{
	struct hcv_seat *seat;

	list_for_each_entry(seat, &client->seats, node)
		if (uuid_equal(&seat->vol, vol))
			return seat;
	return NULL;
}

static struct hcv_client *hcv_gate_client_get(struct hcv_gate *gate,
					      const uuid_t *uuid)
{
	struct hcv_client *client = hcv_gate_client(gate, uuid);
	uuid_t node;

	lockdep_assert_held(&gate->lock);
	if (client)
		return client;
	client = kzalloc(sizeof(*client), GFP_KERNEL);
	if (!client)
		return NULL;
	import_uuid(&node, gate->store->sb.node);
	client->uuid = *uuid;
	client->local = uuid_equal(uuid, &node);
	INIT_LIST_HEAD(&client->revoked);
	INIT_LIST_HEAD(&client->seats);
	spin_lock_irq(&gate->spin);
	list_add_tail(&client->node, &gate->clients);
	spin_unlock_irq(&gate->spin);
	return client;
}

int hcv_gate_client_add(struct hcv_gate *gate, const uuid_t *uuid)
{
	int ret;

	mutex_lock(&gate->lock);
	ret = hcv_gate_client_get(gate, uuid) ? 0 : -ENOMEM;
	mutex_unlock(&gate->lock);
	return ret;
}

struct hcv_seat *hcv_gate_seat_get(struct hcv_gate *gate, const uuid_t *uuid,
				   const uuid_t *vol)
{
	struct hcv_client *client = hcv_gate_client_get(gate, uuid);
	struct hcv_seat *seat;

	if (!client)
		return NULL;
	seat = hcv_gate_seat(client, vol);
	if (seat)
		return seat;
	seat = kzalloc(sizeof(*seat), GFP_KERNEL);
	if (!seat)
		return NULL;
	seat->client = client;
	seat->vol = *vol;
	INIT_LIST_HEAD(&seat->revoked_node);
	list_add_tail(&seat->node, &client->seats);
	return seat;
}

struct hcv_gate_vol *hcv_gate_vol(struct hcv_gate *gate, const uuid_t *uuid)
{
	struct hcv_gate_vol *vol;

	lockdep_assert_held(&gate->lock);
	hash_for_each_possible(gate->vols, vol, hash,
			       hcv_uuid_hash(uuid))
		if (uuid_equal(&vol->uuid, uuid))
			return vol;
	return NULL;
}

struct hcv_gate_vol *hcv_gate_vol_get(struct hcv_gate *gate,
				      const uuid_t *uuid)
{
	struct hcv_gate_vol *vol = hcv_gate_vol(gate, uuid);

	if (vol)
		return vol;
	vol = kzalloc(sizeof(*vol), GFP_KERNEL);
	if (!vol)
		return NULL;
	vol->uuid = *uuid;
	INIT_LIST_HEAD(&vol->grants);
	hash_add(gate->vols, &vol->hash, hcv_uuid_hash(uuid));
	return vol;
}

/* Revocation */

static u32 hcv_grant_inflight(struct hcv_grant *grant)
{
	long n;

	if (completion_done(&grant->drained))
		return 0;
	/*
	 * While the counter is still per processor, or is being collected, the
	 * sum says nothing: report one.
	 */
	n = atomic_long_read(&grant->period->ref.data->count) +
	    READ_ONCE(grant->ending);
	return n > 0 && n < U16_MAX ? n : 1;
}

/*
 * When the lease of a client ends, for a volume that was granted to it under
 * @epoch; gate->spin held.  Its beacons renew that until they tell it of the
 * revocation, whatever became of the grants: one may be retired, or gone.
 */
static u64 hcv_seat_lease_end(const struct hcv_seat *seat, u64 epoch)
{
	if (seat->done_epoch >= epoch)
		return 0;
	return seat->revoked_epoch >= epoch ? seat->lease_end_ns :
		seat->client->lease_end_ns;
}

/* When the lease through a grant's handles ends; gate->spin held. */
static u64 hcv_grant_lease_end(const struct hcv_grant *grant)
{
	u64 io = READ_ONCE(grant->io_ns), end;

	if (grant->done)
		return 0;
	end = grant->revoked ? grant->lease_end_ns :
		grant->seat->client->lease_end_ns;
	/* The stamp may be one tick old when it is taken. */
	return io ? max(end, io + HCV_LEASE_NS + 2 * TICK_NSEC) : end;
}

/* The client's beacons tell of it from now on; gate->spin held. */
static void hcv_seat_revoke(struct hcv_gate *gate, struct hcv_seat *seat,
			    u64 epoch)
{
	if (seat->revoked_epoch >= epoch || seat->done_epoch >= epoch)
		return;
	if (!seat->revoked_epoch)
		list_add_tail(&seat->revoked_node, &seat->client->revoked);
	seat->revoked_epoch = epoch;
	seat->lease_end_ns = seat->client->lease_end_ns;
	gate->revoke_seq++;
}

/* The seats of a volume, with or without grants: see hcv_seat_lease_end(). */
static void hcv_gate_revoke_seats(struct hcv_gate *gate, const uuid_t *vol,
				  u64 epoch, u64 now, u32 *lease_ms)
{
	struct hcv_client *client;
	struct hcv_seat *seat;
	u64 end;

	lockdep_assert_held(&gate->lock);
	list_for_each_entry(client, &gate->clients, node) {
		seat = hcv_gate_seat(client, vol);
		/* A later epoch goes on, and so does its lease. */
		if (!seat || !seat->granted_epoch ||
		    seat->granted_epoch > epoch)
			continue;
		spin_lock_irq(&gate->spin);
		hcv_seat_revoke(gate, seat, seat->granted_epoch);
		end = hcv_seat_lease_end(seat, seat->granted_epoch);
		spin_unlock_irq(&gate->spin);
		*lease_ms = max(*lease_ms, hcv_gate_ms_left(end, now));
	}
}

/*
 * No beacon answered after this extends the grant's lease.  Return: whether it
 * was neither revoked nor retired before.
 */
static bool hcv_grant_mark(struct hcv_gate *gate, struct hcv_grant *grant,
			   bool tell)
{
	bool first = !grant->revoked;

	lockdep_assert_held(&gate->lock);
	spin_lock_irq(&gate->spin);
	if (first)
		grant->lease_end_ns = grant->seat->client->lease_end_ns;
	grant->revoked = true;
	if (tell)
		hcv_seat_revoke(gate, grant->seat, grant->epoch);
	spin_unlock_irq(&gate->spin);
	return first;
}

/* Lets no I/O in any more. */
static void hcv_grant_kill(struct hcv_gate *gate, struct hcv_grant *grant)
{
	struct hcv_chunks *chunks;
	u32 i;

	percpu_ref_kill(&grant->period->ref);
	chunks = rcu_dereference_protected(grant->chunks,
					   lockdep_is_held(&gate->lock));
	for (i = 0; i < chunks->nr; i++)
		xa_erase(&gate->chunks,
			 chunks->chunk[i]->first / HCV_HANDLE_CHUNK);
}

/* What a revoked grant still has; forgets it when that is nothing. */
static void hcv_grant_reap(struct hcv_gate *gate, struct hcv_grant *grant,
			   u64 now, u32 *inflight, u32 *lease_ms)
{
	u32 n = hcv_grant_inflight(grant), ms;

	spin_lock_irq(&gate->spin);
	ms = hcv_gate_ms_left(hcv_grant_lease_end(grant), now);
	spin_unlock_irq(&gate->spin);
	*inflight += n;
	*lease_ms = max(*lease_ms, ms);
	if (n || ms)
		return;
	hcv_gate_remove(grant);
	hcv_grant_put(grant);
}

int hcv_gate_revoke(struct hcv_store *store, const uuid_t *vol, u64 epoch,
		    u32 *inflight, u32 *lease_ms)
{
	struct hcv_gate *gate = store->gate;
	struct hcv_grant *grant, *next;
	struct hcv_nl_event ev = {
		.event = HCV_EVENT_REVOKED,
		.store = &store->uuid,
		.vol = vol,
		.epoch = epoch,
	};
	u64 now = ktime_get_boottime_ns();
	struct hcv_gate_vol *gv;
	bool any = false;

	mutex_lock(&gate->lock);
	gv = hcv_gate_vol_get(gate, vol);
	if (!gv) {
		mutex_unlock(&gate->lock);
		return -ENOMEM;
	}
	gv->revoked_epoch = max(gv->revoked_epoch, epoch);
	*inflight = 0;
	*lease_ms = hcv_gate_ms_left(gate->silent_end_ns, now);
	hcv_gate_revoke_seats(gate, vol, epoch, now, lease_ms);
	list_for_each_entry_safe(grant, next, &gv->grants, vol_node) {
		if (grant->epoch > epoch)
			continue;
		if (hcv_grant_mark(gate, grant, true)) {
			hcv_grant_kill(gate, grant);
			any = true;
		}
		hcv_grant_reap(gate, grant, now, inflight, lease_ms);
	}
	mutex_unlock(&gate->lock);
	if (any)
		hcv_nl_send_event(&ev);
	return 0;
}

/* Renewal */

void hcv_gate_retire(struct hcv_grant *grant)
{
	struct hcv_gate *gate = grant->store->gate;

	if (hcv_grant_mark(gate, grant, false))
		hcv_grant_kill(gate, grant);
}

u32 hcv_gate_retire_vol(struct hcv_store *store, const uuid_t *vol, u64 epoch,
			u64 renew)
{
	u64 now = ktime_get_boottime_ns();
	struct hcv_gate *gate = store->gate;
	struct hcv_grant *grant, *next;
	u32 inflight = 0, lease_ms = 0;
	struct hcv_client *client;
	struct hcv_gate_vol *gv;
	struct hcv_seat *seat;

	mutex_lock(&gate->lock);
	list_for_each_entry(client, &gate->clients, node) {
		seat = hcv_gate_seat(client, vol);
		if (seat && seat->renew_epoch == epoch)
			seat->renew = max(seat->renew, renew);
	}
	gv = hcv_gate_vol(gate, vol);
	if (!gv)
		goto out_unlock;
	list_for_each_entry_safe(grant, next, &gv->grants, vol_node) {
		if (grant->epoch != epoch || grant->renew >= renew)
			continue;
		hcv_gate_retire(grant);
		hcv_grant_reap(gate, grant, now, &inflight, &lease_ms);
	}
out_unlock:
	mutex_unlock(&gate->lock);
	return inflight;
}

u32 hcv_gate_drain_retired(struct hcv_gate *gate,
			   const struct hcv_grant_want *want)
{
	struct hcv_gate_vol *gv = hcv_gate_vol(gate, want->vol);
	u32 inflight = 0, lease_ms = 0;
	u64 now = ktime_get_boottime_ns();
	struct hcv_grant *grant, *next;

	if (!gv)
		return 0;
	list_for_each_entry_safe(grant, next, &gv->grants, vol_node)
		if (grant->revoked && grant->epoch == want->epoch &&
		    uuid_equal(&grant->client, want->client))
			hcv_grant_reap(gate, grant, now, &inflight, &lease_ms);
	return inflight;
}

/* Letting go */

/* The client need not be told of what it has let go of; gate->spin held. */
static void hcv_seat_done(struct hcv_gate *gate, struct hcv_seat *seat,
			  u64 epoch)
{
	seat->done_epoch = max(seat->done_epoch, epoch);
	if (!seat->revoked_epoch || seat->revoked_epoch > seat->done_epoch)
		return;
	list_del_init(&seat->revoked_node);
	seat->revoked_epoch = 0;
	gate->revoke_seq++;
}

static void hcv_grant_done(struct hcv_gate *gate, struct hcv_grant *grant)
{
	if (hcv_grant_mark(gate, grant, false))
		hcv_grant_kill(gate, grant);
	spin_lock_irq(&gate->spin);
	grant->done = true;
	spin_unlock_irq(&gate->spin);
}

void hcv_gate_done(struct hcv_store *store, const uuid_t *uuid,
		   const uuid_t *vol, u64 epoch)
{
	struct hcv_gate *gate = store->gate;
	struct hcv_nl_event ev = {
		.event = HCV_EVENT_REVOKED,
		.store = &store->uuid,
		.vol = vol,
		.epoch = epoch,
	};
	struct hcv_client *client;
	struct hcv_gate_vol *gv;
	struct hcv_grant *grant;
	struct hcv_seat *seat;
	bool known = false;

	mutex_lock(&gate->lock);
	client = hcv_gate_client(gate, uuid);
	seat = client ? hcv_gate_seat(client, vol) : NULL;
	gv = hcv_gate_vol(gate, vol);
	/* Nobody can let go of what he never had. */
	if (!seat || !gv || epoch > seat->renew_epoch)
		goto out;
	/* Its word is for ever: this epoch gets no grant again. */
	gv->revoked_epoch = max(gv->revoked_epoch, epoch);
	list_for_each_entry(grant, &gv->grants, vol_node)
		if (grant->seat == seat && grant->epoch == epoch)
			hcv_grant_done(gate, grant);
	spin_lock_irq(&gate->spin);
	hcv_seat_done(gate, seat, epoch);
	spin_unlock_irq(&gate->spin);
	known = true;
out:
	mutex_unlock(&gate->lock);
	/* Whoever revoked it before this came waits for the end of a lease. */
	if (known)
		hcv_nl_send_event(&ev);
}

/* The I/O path */

static bool hcv_gate_place(const struct hcv_store *store, bool area, u32 phys,
			   u32 off, u32 len, struct hcv_where *where)
{
	u32 end = HCV_EXTENT_SIZE;
	sector_t start;

	if (area) {
		end = HCV_VOLAREA_SIZE;
		start = hcv_store_area_sector(store, phys);
	} else if (off < HCV_HANDLE_META_OFF) {
		start = hcv_store_data_sector(store, phys);
	} else {
		off -= HCV_HANDLE_META_OFF;
		end = HCV_EXTENT_META_SIZE;
		start = hcv_store_meta_sector(store, phys);
	}
	if (!len || off >= end || len > end - off)
		return false;
	where->bdev = store->bdev;
	where->sector = start + (off >> SECTOR_SHIFT);
	return true;
}

/* Notes that an I/O has arrived; a write a tick and grant at most. */
static void hcv_grant_touch(struct hcv_grant *grant)
{
	u64 now = ktime_get_coarse_boottime_ns();

	if (READ_ONCE(grant->io_ns) != now)
		WRITE_ONCE(grant->io_ns, now);
}

struct hcv_period *hcv_gate_lookup(struct hcv_store *store,
				   const uuid_t *client, u64 handle, u32 off,
				   u32 len, struct hcv_where *where)
{
	struct hcv_period *period = NULL;
	struct hcv_chunk *chunk;
	u32 i, phys;

	if (unlikely(READ_ONCE(store->failed)))
		return NULL;
	rcu_read_lock();
	chunk = xa_load(&store->gate->chunks, handle / HCV_HANDLE_CHUNK);
	if (!chunk || !uuid_equal(&chunk->grant->client, client))
		goto out_unlock;
	period = hcv_grant_enter(chunk->grant);
	if (!period)
		goto out_unlock;
	/* After that: what is withdrawn is not let in by a later period. */
	i = handle % HCV_HANDLE_CHUNK;
	phys = READ_ONCE(chunk->phys[i]);
	if (phys == HCV_NO_PHYS ||
	    !hcv_gate_place(store, chunk->base + i == HCV_GRANT_VOLAREA, phys,
			    off, len, where)) {
		hcv_grant_exit(period);
		period = NULL;
		goto out_unlock;
	}
	hcv_grant_touch(chunk->grant);
out_unlock:
	rcu_read_unlock();
	return period;
}

int hcv_grant_map(struct hcv_grant *grant, u32 index, u32 off, u32 len,
		  struct hcv_where *where)
{
	u32 i = index / HCV_HANDLE_CHUNK, phys = HCV_NO_PHYS;
	struct hcv_chunks *chunks;

	if (unlikely(READ_ONCE(grant->store->failed)))
		return -EIO;
	rcu_read_lock();
	chunks = rcu_dereference(grant->chunks);
	if (i < chunks->nr)
		phys = READ_ONCE(chunks->chunk[i]->phys[index %
							HCV_HANDLE_CHUNK]);
	rcu_read_unlock();
	if (phys == HCV_NO_PHYS)
		return -ENOENT;
	if (!hcv_gate_place(grant->store, index == HCV_GRANT_VOLAREA, phys, off,
			    len, where))
		return -ERANGE;
	return 0;
}

/* Beacons */

/* Lists what is revoked for a client; false: there is more of it. */
static bool hcv_gate_list_revoked(const struct hcv_client *client, u32 window,
				  void *buf)
{
	u64 skip = (u64)window * HCV_CONTROL_REVOKED;
	struct hcv_seat *seat;
	u8 vol[HCV_UUID_SIZE];

	list_for_each_entry(seat, &client->revoked, revoked_node) {
		if (skip) {
			skip--;
			continue;
		}
		export_uuid(vol, &seat->vol);
		if (!hcv_fmt_control_add(buf, vol, seat->revoked_epoch))
			return false;
	}
	return true;
}

void hcv_gate_beacon(struct hcv_store *store, const uuid_t *uuid, u32 window,
		     void *buf)
{
	struct hcv_control ctl = {
		.incarnation = store->incarnation,
		.window = window,
	};
	struct hcv_gate *gate = store->gate;
	struct hcv_client *client;
	unsigned long flags;

	export_uuid(ctl.store, &store->uuid);
	hcv_fmt_control_begin(buf);
	spin_lock_irqsave(&gate->spin, flags);
	client = hcv_gate_client(gate, uuid);
	if (!client)
		ctl.flags = HCV_CONTROL_ALL;
	else if (!hcv_gate_list_revoked(client, window, buf))
		ctl.flags = HCV_CONTROL_MORE;
	/* The client counts from when it asked for the first one. */
	if (client && !window)
		client->lease_end_ns = ktime_get_boottime_ns() + HCV_LEASE_NS;
	ctl.revoke_seq = gate->revoke_seq;
	spin_unlock_irqrestore(&gate->spin, flags);
	hcv_fmt_control_seal(buf, &ctl);
}

bool hcv_gate_beacon_local(struct hcv_grant *grant)
{
	struct hcv_gate *gate = grant->store->gate;
	unsigned long flags;
	bool live;

	spin_lock_irqsave(&gate->spin, flags);
	live = !grant->revoked;
	if (live)
		grant->seat->client->lease_end_ns =
			ktime_get_boottime_ns() + HCV_LEASE_NS;
	spin_unlock_irqrestore(&gate->spin, flags);
	return live;
}

/* Of all seats of a client; gate->lock and gate->spin held. */
static u64 hcv_client_lease_end(const struct hcv_client *client)
{
	struct hcv_seat *seat;
	u64 end = 0;

	list_for_each_entry(seat, &client->seats, node)
		if (seat->granted_epoch)
			end = max(end, hcv_seat_lease_end(seat,
							  seat->granted_epoch));
	return end;
}

u32 hcv_gate_lease_ms(struct hcv_gate *gate)
{
	u64 now = ktime_get_boottime_ns(), end = gate->silent_end_ns;
	struct hcv_client *client;
	struct hcv_grant *grant;

	mutex_lock(&gate->lock);
	spin_lock_irq(&gate->spin);
	/* A beacon of a client that was granted nothing is no lease. */
	list_for_each_entry(client, &gate->clients, node)
		if (!client->local)
			end = max(end, hcv_client_lease_end(client));
	list_for_each_entry(grant, &gate->grants, node)
		if (!grant->seat->client->local)
			end = max(end, hcv_grant_lease_end(grant));
	spin_unlock_irq(&gate->spin);
	mutex_unlock(&gate->lock);
	return hcv_gate_ms_left(end, now);
}

/* Looking at a gate */

static bool hcv_grant_busy(struct hcv_grant *grant)
{
	return !grant->revoked || !completion_done(&grant->drained);
}

bool hcv_gate_busy(struct hcv_gate *gate)
{
	struct hcv_grant *grant;
	bool busy = false;

	mutex_lock(&gate->lock);
	list_for_each_entry(grant, &gate->grants, node)
		busy |= hcv_grant_busy(grant);
	mutex_unlock(&gate->lock);
	return busy;
}

bool hcv_gate_client_busy(struct hcv_gate *gate, const uuid_t *client)
{
	struct hcv_grant *grant;
	bool busy = false;

	mutex_lock(&gate->lock);
	list_for_each_entry(grant, &gate->grants, node)
		if (uuid_equal(&grant->client, client))
			busy |= hcv_grant_busy(grant);
	mutex_unlock(&gate->lock);
	return busy;
}

bool hcv_gate_vol_busy(struct hcv_gate *gate, const uuid_t *vol)
{
	struct hcv_gate_vol *gv;
	struct hcv_grant *grant;
	bool busy = false;

	mutex_lock(&gate->lock);
	gv = hcv_gate_vol(gate, vol);
	if (gv)
		list_for_each_entry(grant, &gv->grants, vol_node)
			busy |= hcv_grant_busy(grant);
	mutex_unlock(&gate->lock);
	return busy;
}

static int hcv_gate_show_one(struct hcv_gate *gate, struct hcv_grant *grant,
			     int (*fn)(const struct hcv_grant_info *info,
				       void *arg), void *arg)
{
	struct hcv_grant_info info = {
		.grant = grant,
		.serial = grant->serial,
		.range = grant->range,
		.nr_ranges = grant->nr_ranges,
		.inflight = grant->revoked ? hcv_grant_inflight(grant) : 0,
		.flags = (grant->revoked ? HCV_GRANT_F_REVOKED : 0) |
			 (grant->done ? HCV_GRANT_F_DONE : 0),
	};

	lockdep_assert_held(&gate->lock);
	spin_lock_irq(&gate->spin);
	info.lease_ms = hcv_gate_ms_left(hcv_grant_lease_end(grant),
					 ktime_get_boottime_ns());
	spin_unlock_irq(&gate->spin);
	return fn(&info, arg);
}

int hcv_gate_each(struct hcv_gate *gate, u64 after,
		  int (*fn)(const struct hcv_grant_info *info, void *arg),
		  void *arg)
{
	struct hcv_grant *grant;
	int ret = 0;

	mutex_lock(&gate->lock);
	list_for_each_entry(grant, &gate->grants, node) {
		if (grant->serial <= after)
			continue;
		ret = hcv_gate_show_one(gate, grant, fn, arg);
		if (ret)
			break;
	}
	mutex_unlock(&gate->lock);
	return ret;
}

int hcv_gate_show(struct hcv_grant *grant,
		  int (*fn)(const struct hcv_grant_info *info, void *arg),
		  void *arg)
{
	struct hcv_gate *gate = grant->store->gate;
	int ret;

	mutex_lock(&gate->lock);
	ret = hcv_gate_show_one(gate, grant, fn, arg);
	mutex_unlock(&gate->lock);
	return ret;
}

/* Life of a gate */

struct hcv_gate *hcv_gate_create(struct hcv_store *store, bool silent)
{
	struct hcv_gate *gate = kzalloc(sizeof(*gate), GFP_KERNEL);

	if (!gate)
		return ERR_PTR(-ENOMEM);
	gate->store = store;
	mutex_init(&gate->lock);
	spin_lock_init(&gate->spin);
	xa_init(&gate->chunks);
	INIT_LIST_HEAD(&gate->grants);
	INIT_LIST_HEAD(&gate->clients);
	hash_init(gate->vols);
	if (silent)
		gate->silent_end_ns = ktime_get_boottime_ns() + HCV_LEASE_NS;
	return gate;
}

static void hcv_gate_drop_grants(struct hcv_gate *gate)
{
	struct hcv_grant *grant, *next;

	mutex_lock(&gate->lock);
	list_for_each_entry_safe(grant, next, &gate->grants, node) {
		if (hcv_grant_mark(gate, grant, true))
			hcv_grant_kill(gate, grant);
		wait_for_completion(&grant->drained);
		hcv_gate_remove(grant);
		hcv_grant_put(grant);
	}
	mutex_unlock(&gate->lock);
}

void hcv_gate_destroy(struct hcv_gate *gate)
{
	struct hcv_client *client, *next_client;
	struct hcv_seat *seat, *next_seat;
	struct hcv_gate_vol *gv;
	struct hlist_node *next_vol;
	int i;

	hcv_gate_drop_grants(gate);
	list_for_each_entry_safe(client, next_client, &gate->clients, node) {
		list_for_each_entry_safe(seat, next_seat, &client->seats, node)
			kfree(seat);
		kfree(client);
	}
	hash_for_each_safe(gate->vols, i, next_vol, gv, hash)
		kfree(gv);
	xa_destroy(&gate->chunks);
	mutex_destroy(&gate->lock);
	kfree(gate);
}
