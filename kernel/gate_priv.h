/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What gate.c (clients, revocation, I/O path, leases) and gate_grant.c (life
 * and growth of grants) share.
 */
#ifndef HCV_GATE_PRIV_H
#define HCV_GATE_PRIV_H

#include <linux/hashtable.h>
#include <linux/xarray.h>

#include "gate.h"

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
 * @lease_end_ns: of its seats that are not revoked, CLOCK_BOOTTIME (spin)
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
 * @done_epoch: the client has let go of all epochs up to this one (spin)
 * @lease_end_ns: of @revoked_epoch, CLOCK_BOOTTIME (spin)
 * @granted_epoch: the highest epoch that was granted, 0: none (gate->lock)
 * @renew_epoch: the highest epoch that was asked for (gate->lock)
 * @renew: the highest renewal number of that epoch (gate->lock)
 */
struct hcv_seat {
	struct list_head node;
	struct list_head revoked_node;
	struct hcv_client *client;
	uuid_t vol;
	u64 revoked_epoch;
	u64 done_epoch;
	u64 lease_end_ns;
	u64 granted_epoch;
	u64 renew_epoch;
	u64 renew;
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
 * @revoke_seq: grows when what is listed for some client changes (spin)
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

/* gate.c; gate->lock held */

/** hcv_gate_vol() - a volume that was granted or revoked here, or NULL */
struct hcv_gate_vol *hcv_gate_vol(struct hcv_gate *gate, const uuid_t *uuid);
/** hcv_gate_vol_get() - same, made if need be; NULL: no memory */
struct hcv_gate_vol *hcv_gate_vol_get(struct hcv_gate *gate,
				      const uuid_t *uuid);
/** hcv_gate_seat_get() - the seat of a client, made if need be, or NULL */
struct hcv_seat *hcv_gate_seat_get(struct hcv_gate *gate, const uuid_t *uuid,
				   const uuid_t *vol);
/**
 * hcv_gate_retire() - let no I/O in any more, without telling the client
 *
 * The volume stays open to the client: its beacons do not list it.
 */
void hcv_gate_retire(struct hcv_grant *grant);
/**
 * hcv_gate_drain_retired() - forget what ended of the retired grants of @want
 *
 * Return: I/Os that have not ended; exact once it is small.
 */
u32 hcv_gate_drain_retired(struct hcv_gate *gate,
			   const struct hcv_grant_want *want);

/* gate_grant.c */

/** hcv_gate_remove() - take a grant off the lists; gate->lock held */
void hcv_gate_remove(struct hcv_grant *grant);

#endif /* HCV_GATE_PRIV_H */
