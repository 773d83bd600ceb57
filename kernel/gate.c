// SPDX-License-Identifier: GPL-2.0-only
/*
 * Grants, handles, revocation, leases.
 *
 * Handles are reserved on the media in chunks; gate->chunks finds the chunk of
 * a handle, and a chunk knows its grant and the numbers of its objects.  The
 * I/O path does one xarray lookup, compares the client, takes the grant's
 * percpu_ref, all under RCU, and reads one number; nothing there locks,
 * allocates, or writes what another processor reads often.
 *
 * A revocation marks the grant under gate->spin, so that no beacon answered
 * later extends its lease, kills the percpu_ref, and takes the chunks out of
 * the xarray.  It is over when the last I/O has put its reference and the
 * lease has ended.  The grant then goes; its seat, the pair (client, volume),
 * stays with the revoked epoch for as long as the store is open, because the
 * beacons have to tell.
 *
 * A seat is one entry of the control window.  Each client sees its own only.
 *
 * Locks: store->lock > gate->lock (grants, volumes, seats; never held over
 * I/O, so that a revocation does not wait for a stuck disk) > gate->spin
 * (leases, marks; taken by beacons in any context).
 */
#include "gate.h"

#include <linux/hashtable.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/xarray.h>

#include "netlink.h"
#include "store_priv.h"

#define HCV_NO_PHYS	U32_MAX
#define HCV_LEASE_NS	((u64)HCV_LEASE_MS * NSEC_PER_MSEC)

/**
 * struct hcv_chunk - HCV_HANDLE_CHUNK handles of a grant
 * @grant: whose they are
 * @first: first handle
 * @base: grant index of the first handle
 * @phys: numbers of the objects, HCV_NO_PHYS: not on the store (WRITE_ONCE)
 */
struct hcv_chunk {
	struct hcv_grant *grant;
	u64 first;
	u32 base;
	u32 phys[HCV_HANDLE_CHUNK];
};

/**
 * struct hcv_chunks - the chunks of a grant
 * @rcu: frees the old array when a grant grows
 * @nr: how many
 * @chunk: by grant index / HCV_HANDLE_CHUNK
 */
struct hcv_chunks {
	struct rcu_head rcu;
	u32 nr;
	struct hcv_chunk *chunk[];
};

/**
 * struct hcv_client - a node that I/O comes from
 * @node: entry in gate->clients
 * @uuid: of the node
 * @local: it is this node
 * @lease_end_ns: of its grants that are not revoked, CLOCK_BOOTTIME (spin)
 * @revoked: its seats that have a revoked epoch (spin)
 * @seats: all its seats (gate->lock)
 */
struct hcv_client {
	struct list_head node;
	uuid_t uuid;
	bool local;
	u64 lease_end_ns;
	struct list_head revoked;
	struct list_head seats;
};

/**
 * struct hcv_seat - one client of one volume
 * @node: entry in client->seats
 * @revoked_node: entry in client->revoked
 * @client: the client
 * @vol: the volume
 * @revoked_epoch: all its grants up to this epoch are gone, 0: none (spin)
 */
struct hcv_seat {
	struct list_head node;
	struct list_head revoked_node;
	struct hcv_client *client;
	uuid_t vol;
	u64 revoked_epoch;
};

/**
 * struct hcv_gate_vol - a volume that was granted or revoked
 * @hash: entry in gate->vols
 * @uuid: of the volume
 * @revoked_epoch: epochs up to this one get no grant, 0: none
 * @grants: that have not gone
 */
struct hcv_gate_vol {
	struct hlist_node hash;
	uuid_t uuid;
	u64 revoked_epoch;
	struct list_head grants;
};

/**
 * struct hcv_gate - the gate of one store
 * @store: the store
 * @lock: lists of grants, volumes, seats
 * @spin: leases and marks
 * @chunks: handle / HCV_HANDLE_CHUNK -> hcv_chunk
 * @grants: all grants by serial
 * @serials: of the newest grant
 * @clients: all clients (changed under both locks)
 * @vols: by uuid
 * @revoke_seq: grows with each revocation (spin)
 * @silent_end_ns: no revocation is done before
 */
struct hcv_gate {
	struct hcv_store *store;
	struct mutex lock;	/* grants, volumes, seats */
	spinlock_t spin;	/* leases, marks */
	struct xarray chunks;
	struct list_head grants;
	u64 serials;
	struct list_head clients;
	DECLARE_HASHTABLE(vols, 8);
	u64 revoke_seq;
	u64 silent_end_ns;
};

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

static struct hcv_seat *hcv_gate_seat_get(struct hcv_gate *gate,
					  const uuid_t *uuid, const uuid_t *vol)
{
	struct hcv_client *client = hcv_gate_client_get(gate, uuid);
	struct hcv_seat *seat;

	if (!client)
		return NULL;
	list_for_each_entry(seat, &client->seats, node)
		if (uuid_equal(&seat->vol, vol))
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

static struct hcv_gate_vol *hcv_gate_vol(struct hcv_gate *gate,
					 const uuid_t *uuid)
{
	struct hcv_gate_vol *vol;

	lockdep_assert_held(&gate->lock);
	hash_for_each_possible(gate->vols, vol, hash,
			       hcv_uuid_hash(uuid))
		if (uuid_equal(&vol->uuid, uuid))
			return vol;
	return NULL;
}

static struct hcv_gate_vol *hcv_gate_vol_get(struct hcv_gate *gate,
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

/* Life of a grant */

static void hcv_grant_drained(struct percpu_ref *ref)
{
	complete(&container_of(ref, struct hcv_grant, ref)->drained);
}

static void hcv_grant_free_rcu(struct rcu_head *rcu)
{
	struct hcv_grant *grant = container_of(rcu, struct hcv_grant, rcu);
	struct hcv_chunks *chunks = rcu_dereference_raw(grant->chunks);
	u32 i;

	for (i = 0; chunks && i < chunks->nr; i++)
		kfree(chunks->chunk[i]);
	kfree(chunks);
	kfree(grant->range);
	percpu_ref_exit(&grant->ref);
	kfree(grant);
}

static void hcv_grant_release(struct kref *kref)
{
	struct hcv_grant *grant = container_of(kref, struct hcv_grant, kref);

	/* Lookups may still look at the chunks and try the percpu_ref. */
	call_rcu(&grant->rcu, hcv_grant_free_rcu);
}

void hcv_grant_put(struct hcv_grant *grant)
{
	kref_put(&grant->kref, hcv_grant_release);
}

static struct hcv_grant *hcv_grant_alloc(struct hcv_gate *gate,
					 const uuid_t *vol, u64 epoch,
					 const uuid_t *client)
{
	struct hcv_grant *grant = kzalloc(sizeof(*grant), GFP_KERNEL);

	if (!grant)
		return NULL;
	if (percpu_ref_init(&grant->ref, hcv_grant_drained, 0, GFP_KERNEL)) {
		kfree(grant);
		return NULL;
	}
	grant->store = gate->store;
	grant->vol = *vol;
	grant->epoch = epoch;
	grant->client = *client;
	INIT_LIST_HEAD(&grant->node);
	INIT_LIST_HEAD(&grant->vol_node);
	kref_init(&grant->kref);
	init_completion(&grant->drained);
	return grant;
}

static struct hcv_grant *hcv_gate_find(struct hcv_gate *gate, const uuid_t *vol,
				       u64 epoch, const uuid_t *client)
{
	struct hcv_gate_vol *gv = hcv_gate_vol(gate, vol);
	struct hcv_grant *grant;

	if (!gv)
		return NULL;
	list_for_each_entry(grant, &gv->grants, vol_node)
		if (grant->epoch == epoch && !grant->revoked &&
		    uuid_equal(&grant->client, client))
			return grant;
	return NULL;
}

static u32 hcv_grant_handles(const struct hcv_grant *grant)
{
	u32 i, n = 0;

	for (i = 0; i < grant->nr_ranges; i++)
		n += grant->range[i].count;
	return n;
}

/* Growing a grant */

/**
 * struct hcv_grow - handles about to be added to a grant
 * @chunks: all chunks, those that the grant has first
 * @old: how many of them it has
 * @range: all ranges; the new one is last, or extends the last
 * @nr_ranges: how many
 */
struct hcv_grow {
	struct hcv_chunks *chunks;
	u32 old;
	struct hcv_nl_range *range;
	u32 nr_ranges;
};

static void hcv_grow_free(struct hcv_grow *grow)
{
	u32 i;

	for (i = grow->old; grow->chunks && i < grow->chunks->nr; i++)
		kfree(grow->chunks->chunk[i]);
	kfree(grow->chunks);
	kfree(grow->range);
}

static struct hcv_chunk *hcv_chunk_alloc(struct hcv_store_vol *vol,
					 struct hcv_grant *grant, u64 first,
					 u32 base)
{
	struct hcv_chunk *chunk = kmalloc(sizeof(*chunk), GFP_KERNEL);
	s64 phys;
	u32 i;

	if (!chunk)
		return NULL;
	chunk->grant = grant;
	chunk->first = first;
	chunk->base = base;
	for (i = 0; i < HCV_HANDLE_CHUNK; i++) {
		phys = hcv_table_find(vol, base + i);
		chunk->phys[i] = phys < 0 ? HCV_NO_PHYS : phys;
	}
	return chunk;
}

/* Reserves handles on the media and makes the chunks; store->lock held. */
static int hcv_grow_prepare(struct hcv_grow *grow, struct hcv_store_vol *vol,
			    struct hcv_grant *grant, u32 add)
{
	struct hcv_chunks *old, *chunks;
	u32 i, nr = grant->nr_ranges;
	u64 first;
	int ret;

	/* Only ever changed under store->lock. */
	old = rcu_dereference_protected(grant->chunks, 1);
	grow->old = old ? old->nr : 0;
	chunks = kzalloc(struct_size(chunks, chunk, grow->old + add),
			 GFP_KERNEL);
	grow->chunks = chunks;
	grow->range = kcalloc(nr + 1, sizeof(*grow->range), GFP_KERNEL);
	if (!chunks || !grow->range)
		return -ENOMEM;
	chunks->nr = grow->old + add;
	ret = __hcv_store_reserve_handles(grant->store, add, &first);
	if (ret)
		return ret;
	for (i = 0; i < grow->old; i++)
		chunks->chunk[i] = old->chunk[i];
	for (i = 0; i < add; i++) {
		chunks->chunk[grow->old + i] =
			hcv_chunk_alloc(vol, grant,
					first + (u64)i * HCV_HANDLE_CHUNK,
					(grow->old + i) * HCV_HANDLE_CHUNK);
		if (!chunks->chunk[grow->old + i])
			return -ENOMEM;
	}
	memcpy(grow->range, grant->range, nr * sizeof(*grow->range));
	if (nr && grow->range[nr - 1].first + grow->range[nr - 1].count ==
	    first) {
		grow->range[nr - 1].count += add * HCV_HANDLE_CHUNK;
		grow->nr_ranges = nr;
		return 0;
	}
	grow->range[nr].first = first;
	grow->range[nr].base = grow->old * HCV_HANDLE_CHUNK;
	grow->range[nr].count = add * HCV_HANDLE_CHUNK;
	grow->nr_ranges = nr + 1;
	return 0;
}

/* Makes the new handles valid: all of them or none. */
static int hcv_grow_publish(struct hcv_gate *gate, struct hcv_grow *grow,
			    struct hcv_grant *grant)
{
	struct hcv_chunks *old, *chunks = grow->chunks;
	unsigned long key;
	u32 i;

	lockdep_assert_held(&gate->lock);
	for (i = grow->old; i < chunks->nr; i++) {
		key = chunks->chunk[i]->first / HCV_HANDLE_CHUNK;
		if (xa_reserve(&gate->chunks, key, GFP_KERNEL))
			goto err_release;
	}
	for (i = grow->old; i < chunks->nr; i++) {
		key = chunks->chunk[i]->first / HCV_HANDLE_CHUNK;
		xa_store(&gate->chunks, key, chunks->chunk[i], GFP_KERNEL);
	}
	old = rcu_replace_pointer(grant->chunks, chunks,
				  lockdep_is_held(&gate->lock));
	if (old)
		kfree_rcu(old, rcu);
	kfree(grant->range);
	grant->range = grow->range;
	grant->nr_ranges = grow->nr_ranges;
	return 0;

err_release:
	while (i-- > grow->old)
		xa_release(&gate->chunks,
			   chunks->chunk[i]->first / HCV_HANDLE_CHUNK);
	return -ENOMEM;
}

/* Granting */

static int hcv_gate_check_epoch(struct hcv_gate *gate, const uuid_t *vol,
				u64 epoch, struct netlink_ext_ack *extack)
{
	struct hcv_gate_vol *gv = hcv_gate_vol(gate, vol);

	if (!gv || epoch > gv->revoked_epoch)
		return 0;
	hcv_compat_err(extack, "epoch %llu is revoked here, up to %llu", epoch,
		       gv->revoked_epoch);
	return -ESTALE;
}

/* Puts a new grant into the lists; gate->lock held. */
static int hcv_gate_insert(struct hcv_gate *gate, struct hcv_grant *grant)
{
	struct hcv_gate_vol *gv = hcv_gate_vol_get(gate, &grant->vol);

	if (!gv)
		return -ENOMEM;
	grant->seat = hcv_gate_seat_get(gate, &grant->client, &grant->vol);
	if (!grant->seat)
		return -ENOMEM;
	grant->serial = ++gate->serials;
	list_add_tail(&grant->node, &gate->grants);
	list_add_tail(&grant->vol_node, &gv->grants);
	return 0;
}

static void hcv_gate_remove(struct hcv_grant *grant)
{
	list_del_init(&grant->node);
	list_del_init(&grant->vol_node);
}

/* Adds @add chunks to @grant, which is new or in the lists. */
static int hcv_gate_grow(struct hcv_gate *gate, struct hcv_grant *grant,
			 struct hcv_store_vol *vol, u32 add,
			 struct netlink_ext_ack *extack)
{
	bool fresh = list_empty(&grant->node);
	struct hcv_grow grow = { };
	int ret;

	ret = hcv_grow_prepare(&grow, vol, grant, add);
	if (ret) {
		hcv_grow_free(&grow);
		return ret;
	}
	mutex_lock(&gate->lock);
	ret = hcv_gate_check_epoch(gate, &grant->vol, grant->epoch, extack);
	if (!ret && fresh)
		ret = hcv_gate_insert(gate, grant);
	if (!ret) {
		ret = hcv_grow_publish(gate, &grow, grant);
		if (ret && fresh)
			hcv_gate_remove(grant);
	}
	mutex_unlock(&gate->lock);
	if (ret)
		hcv_grow_free(&grow);
	return ret;
}

/* Store->lock held: nobody else adds grants. */
static struct hcv_grant *__hcv_gate_grant(struct hcv_gate *gate,
					  const uuid_t *vol, u64 epoch,
					  const uuid_t *client, u32 count,
					  struct netlink_ext_ack *extack)
{
	struct hcv_store_vol *sv = hcv_table_vol(gate->store, vol);
	u32 want = DIV_ROUND_UP(count, HCV_HANDLE_CHUNK), has = 0;
	struct hcv_grant *grant;
	int ret;

	ret = hcv_store_writable(gate->store, extack);
	if (ret)
		return ERR_PTR(ret);
	if (!sv) {
		hcv_compat_err(extack, "the store has nothing of this volume");
		return ERR_PTR(-ENOENT);
	}
	mutex_lock(&gate->lock);
	ret = hcv_gate_check_epoch(gate, vol, epoch, extack);
	grant = ret ? NULL : hcv_gate_find(gate, vol, epoch, client);
	if (grant) {
		kref_get(&grant->kref);
		has = hcv_grant_handles(grant) / HCV_HANDLE_CHUNK;
	}
	mutex_unlock(&gate->lock);
	if (ret)
		return ERR_PTR(ret);
	if (grant && has >= want)
		return grant;
	if (!grant) {
		grant = hcv_grant_alloc(gate, vol, epoch, client);
		if (!grant)
			return ERR_PTR(-ENOMEM);
		ret = hcv_gate_grow(gate, grant, sv, want, extack);
		if (!ret)
			kref_get(&grant->kref);	/* the list's, the caller's */
	} else {
		ret = hcv_gate_grow(gate, grant, sv, want - has, extack);
	}
	if (ret) {
		hcv_grant_put(grant);
		return ERR_PTR(ret);
	}
	return grant;
}

struct hcv_grant *hcv_gate_grant(struct hcv_store *store, const uuid_t *vol,
				 u64 epoch, const uuid_t *client, u32 count,
				 struct netlink_ext_ack *extack)
{
	struct hcv_grant *grant;
	unsigned int noio;

	if (!count || count > HCV_EXTENT_INDEX_MAX + 1) {
		hcv_compat_err(extack, "a grant has 1 to %u handles",
			       HCV_EXTENT_INDEX_MAX + 1);
		return ERR_PTR(-EINVAL);
	}
	noio = memalloc_noio_save();
	mutex_lock(&store->lock);
	grant = __hcv_gate_grant(store->gate, vol, epoch, client, count,
				 extack);
	mutex_unlock(&store->lock);
	memalloc_noio_restore(noio);
	return grant;
}

static void hcv_grant_set_phys(struct hcv_gate *gate, struct hcv_grant *grant,
			       u32 grant_index, u32 phys)
{
	u32 i = grant_index % HCV_HANDLE_CHUNK;
	struct hcv_chunks *chunks;

	grant_index /= HCV_HANDLE_CHUNK;
	chunks = rcu_dereference_protected(grant->chunks,
					   lockdep_is_held(&gate->lock));
	if (grant_index < chunks->nr)
		WRITE_ONCE(chunks->chunk[grant_index]->phys[i], phys);
}

void hcv_gate_refresh(struct hcv_gate *gate, const uuid_t *vol, u32 grant_index,
		      u32 phys)
{
	struct hcv_gate_vol *gv;
	struct hcv_grant *grant;

	mutex_lock(&gate->lock);
	gv = hcv_gate_vol(gate, vol);
	if (gv)
		list_for_each_entry(grant, &gv->grants, vol_node)
			hcv_grant_set_phys(gate, grant, grant_index, phys);
	mutex_unlock(&gate->lock);
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
	n = atomic_long_read(&grant->ref.data->count);
	return n > 0 && n < U16_MAX ? n : 1;
}

/* When the lease of a grant ends; gate->spin held. */
static u64 hcv_grant_lease_end(const struct hcv_grant *grant)
{
	u64 io = READ_ONCE(grant->io_ns), end;

	end = grant->revoked ? grant->lease_end_ns :
		grant->seat->client->lease_end_ns;
	/* The stamp may be one tick old when it is taken. */
	return io ? max(end, io + HCV_LEASE_NS + 2 * TICK_NSEC) : end;
}

/* No beacon answered after this extends the grant's lease. */
static bool hcv_grant_mark(struct hcv_gate *gate, struct hcv_grant *grant)
{
	struct hcv_seat *seat = grant->seat;

	lockdep_assert_held(&gate->lock);
	if (grant->revoked)
		return false;
	spin_lock_irq(&gate->spin);
	grant->lease_end_ns = seat->client->lease_end_ns;
	grant->revoked = true;
	if (!seat->revoked_epoch)
		list_add_tail(&seat->revoked_node, &seat->client->revoked);
	seat->revoked_epoch = max(seat->revoked_epoch, grant->epoch);
	gate->revoke_seq++;
	spin_unlock_irq(&gate->spin);
	return true;
}

/* Lets no I/O in any more. */
static void hcv_grant_kill(struct hcv_gate *gate, struct hcv_grant *grant)
{
	struct hcv_chunks *chunks;
	u32 i;

	percpu_ref_kill(&grant->ref);
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
	list_for_each_entry_safe(grant, next, &gv->grants, vol_node) {
		if (grant->epoch > epoch)
			continue;
		if (hcv_grant_mark(gate, grant)) {
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

struct hcv_grant *hcv_gate_lookup(struct hcv_store *store,
				  const uuid_t *client, u64 handle, u32 off,
				  u32 len, struct hcv_where *where)
{
	struct hcv_grant *grant = NULL;
	struct hcv_chunk *chunk;
	u32 i, phys;

	if (unlikely(READ_ONCE(store->failed)))
		return NULL;
	rcu_read_lock();
	chunk = xa_load(&store->gate->chunks, handle / HCV_HANDLE_CHUNK);
	if (!chunk || !uuid_equal(&chunk->grant->client, client))
		goto out_unlock;
	i = handle % HCV_HANDLE_CHUNK;
	phys = READ_ONCE(chunk->phys[i]);
	if (phys == HCV_NO_PHYS ||
	    !hcv_gate_place(store, chunk->base + i == HCV_GRANT_VOLAREA, phys,
			    off, len, where) ||
	    !percpu_ref_tryget_live_rcu(&chunk->grant->ref))
		goto out_unlock;
	grant = chunk->grant;
	hcv_grant_touch(grant);
out_unlock:
	rcu_read_unlock();
	return grant;
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

/* Lists what is revoked for a client; false: it does not fit. */
static bool hcv_gate_list_revoked(const struct hcv_client *client, void *buf)
{
	struct hcv_seat *seat;
	u8 vol[HCV_UUID_SIZE];

	list_for_each_entry(seat, &client->revoked, revoked_node) {
		export_uuid(vol, &seat->vol);
		if (!hcv_fmt_control_add(buf, vol, seat->revoked_epoch))
			return false;
	}
	return true;
}

void hcv_gate_beacon(struct hcv_store *store, const uuid_t *uuid, void *buf)
{
	struct hcv_control ctl = { .incarnation = store->incarnation };
	struct hcv_gate *gate = store->gate;
	struct hcv_client *client;
	unsigned long flags;

	export_uuid(ctl.store, &store->uuid);
	hcv_fmt_control_begin(buf);
	spin_lock_irqsave(&gate->spin, flags);
	client = hcv_gate_client(gate, uuid);
	/* "All are revoked" extends nothing. */
	if (!client || !hcv_gate_list_revoked(client, buf))
		ctl.flags = HCV_CONTROL_ALL;
	else
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

u32 hcv_gate_lease_ms(struct hcv_gate *gate)
{
	u64 now = ktime_get_boottime_ns(), end = gate->silent_end_ns;
	struct hcv_client *client;
	struct hcv_grant *grant;

	mutex_lock(&gate->lock);
	spin_lock_irq(&gate->spin);
	list_for_each_entry(client, &gate->clients, node)
		if (!client->local)
			end = max(end, client->lease_end_ns);
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
		.flags = grant->revoked ? HCV_GRANT_F_REVOKED : 0,
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
		if (hcv_grant_mark(gate, grant))
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
