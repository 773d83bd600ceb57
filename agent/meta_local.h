/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the back ends inside one process share: the lock, leases, and watches.
 *
 * One struct hcv_local per store, one struct hcv_local_client per handle.
 * All functions but hcv_local_init(), hcv_local_exit() and hcv_local_lock()
 * are called with the lock held.
 */
#ifndef HCV_AGENT_META_LOCAL_H
#define HCV_AGENT_META_LOCAL_H

#include <pthread.h>

#include "meta-int.h"

#define HCV_LOCAL_RING 1024

struct hcv_local_lease;

struct hcv_local_change {
	int64_t rev;
	char *key;		/* NULL: could be any */
};

/** struct hcv_local_client - a handle: its leases and watches */
struct hcv_local_client {
	unsigned int watching;
	bool cancel;
};

struct hcv_local {
	pthread_mutex_t lock;
	pthread_cond_t cond;		/* CLOCK_MONOTONIC */
	int64_t rev;			/* newest revision */
	int64_t floor;			/* changes up to here are forgotten */
	uint64_t foreign;		/* changes that are no revision */
	uint64_t next_change;
	struct hcv_local_change ring[HCV_LOCAL_RING];
	struct hcv_local_lease *leases;
	int64_t skew_ms;		/* tests put the clock forward */
	/* Delete the keys of a lease that ended; sets rev, logs changes. */
	enum hcv_meta_result (*drop)(struct hcv_local *l, int64_t lease);
	/* Look for changes by others while watching; may be NULL. */
	void (*poll)(struct hcv_local *l);
	unsigned int poll_ms;
};

int hcv_local_init(struct hcv_local *l);
void hcv_local_exit(struct hcv_local *l);

/**
 * hcv_local_lock() - take the lock and end the leases that ran out
 * @deadline: of hcv_meta_now_ms()
 *
 * Return: OK with the lock held, otherwise without it.
 */
enum hcv_meta_result hcv_local_lock(struct hcv_local *l, int64_t deadline);
void hcv_local_unlock(struct hcv_local *l);

/** hcv_local_changed() - log that @key (NULL: any) changed at @l->rev */
void hcv_local_changed(struct hcv_local *l, const char *key);
/** hcv_local_changed_outside() - wake all watches */
void hcv_local_changed_outside(struct hcv_local *l);

bool hcv_local_lease_valid(const struct hcv_local *l, int64_t lease);
enum hcv_meta_result hcv_local_lease_grant(struct hcv_local *l,
					   struct hcv_local_client *c,
					   unsigned int ttl_s, int64_t *lease);
enum hcv_meta_result hcv_local_lease_keep(struct hcv_local *l, int64_t lease);
enum hcv_meta_result hcv_local_lease_revoke(struct hcv_local *l,
					    int64_t lease);
/** hcv_local_client_gone() - end the leases that @c granted */
void hcv_local_client_gone(struct hcv_local *l, struct hcv_local_client *c);

enum hcv_meta_result hcv_local_watch(struct hcv_local *l,
				     struct hcv_local_client *c,
				     const char *prefix, int64_t *rev,
				     int64_t deadline);
void hcv_local_cancel(struct hcv_local *l, struct hcv_local_client *c);

#endif /* HCV_AGENT_META_LOCAL_H */
