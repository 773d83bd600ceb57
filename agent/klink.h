/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The link to hcivol.ko: typed wrappers of uapi/linux/hcivol.h over libmnl.
 * Blocking calls on a socket of their own, one per call site and thread (struct hcv_klink
 * is not shared between threads); every receive has a time-out.
 * All return 0 or -errno; the kernel's sentence is in hcv_klink_error().
 */
#ifndef HCV_AGENT_KLINK_H
#define HCV_AGENT_KLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/hcivol.h>
#include "core/model.h"

struct hcv_klink;

/**
 * hcv_klink_open() - socket to the module's netlink family
 *
 * The family's number is looked up here: a socket does not outlive a reload
 * of the module (its calls then fail with -ENOENT), so open one per job.
 *
 * Return: NULL with errno (ENOENT: the module is not loaded), the sentence
 * from hcv_klink_error(NULL) on the same thread.
 */
struct hcv_klink *hcv_klink_open(void);
/** hcv_klink_absent() - whether that is why this thread's last open failed */
bool hcv_klink_absent(void);
void hcv_klink_close(struct hcv_klink *k);
/** hcv_klink_error() - sentence about the last failed call of @k */
const char *hcv_klink_error(const struct hcv_klink *k);

struct hcv_k_module { uint32_t abi; uint64_t boot_id; bool has_node;
	uint32_t features;	/* HCV_FEATURE_* */
	char version[32]; char node[HCV_ID_LEN]; char cluster[HCV_ID_LEN]; };

int hcv_k_module_get(struct hcv_klink *k, struct hcv_k_module *m);
int hcv_k_node_set(struct hcv_klink *k, const char *node, const char *cluster);

/* What volumes, links and stores count alike. */
struct hcv_k_counters {
	uint64_t read_ios, write_ios, flush_ios, read_bytes, write_bytes,
		 errors;
};

/* Latencies: see HCV_CMD_VOL_STATS_GET. */
struct hcv_k_hists {
	uint64_t read[HCV_HIST_BUCKETS], write[HCV_HIST_BUCKETS],
		 flush[HCV_HIST_BUCKETS];
};

struct hcv_k_store {
	char uuid[HCV_ID_LEN];
	char path[256];
	char label[HCV_NAME_LEN];
	uint64_t incarnation, dev_bytes;
	uint32_t lba_bytes, nr_extents, nr_extents_used, nr_vols, nr_vols_used;
	uint32_t flags;
	struct hcv_k_counters count;
};

int hcv_k_store_open(struct hcv_klink *k, const char *path, const char *uuid,
		     struct hcv_k_store *out);
int hcv_k_store_close(struct hcv_klink *k, const char *uuid);
int hcv_k_store_get(struct hcv_klink *k, const char *uuid,
		    struct hcv_k_store *out);
/** hcv_k_store_hists() - latencies of all I/O to a store's device */
int hcv_k_store_hists(struct hcv_klink *k, const char *uuid,
		      struct hcv_k_hists *out);
/* lists: malloc'd arrays, caller frees */
int hcv_k_store_list(struct hcv_klink *k, struct hcv_k_store **out, size_t *nr);
int hcv_k_extent_add(struct hcv_klink *k, const char *store, const char *vol,
		     const uint32_t *index, size_t nr);
/** hcv_k_extent_del() - @index NULL: all extents of the volume and its area */
int hcv_k_extent_del(struct hcv_klink *k, const char *store, const char *vol,
		     const uint32_t *index, size_t nr);
/**
 * hcv_k_extent_withdraw() - free extents of a volume that is in use
 *
 * Return: -EINPROGRESS: I/O that was let in before has not ended
 */
int hcv_k_extent_withdraw(struct hcv_klink *k, const char *store,
			  const char *vol, const uint32_t *index, size_t nr);
struct hcv_k_extent { char vol[HCV_ID_LEN]; uint32_t index; };

int hcv_k_extent_list(struct hcv_klink *k, const char *store,
		      struct hcv_k_extent **out, size_t *nr);

struct hcv_k_export { char store[HCV_ID_LEN]; char node[HCV_ID_LEN];
	char devname[32]; };

int hcv_k_export_add(struct hcv_klink *k, const char *store, const char *node,
		     struct hcv_k_export *out);
int hcv_k_export_del(struct hcv_klink *k, const char *store, const char *node);
int hcv_k_export_list(struct hcv_klink *k, struct hcv_k_export **out,
		      size_t *nr);

struct hcv_k_grant {
	char store[HCV_ID_LEN], vol[HCV_ID_LEN], node[HCV_ID_LEN];
	uint64_t epoch, incarnation, renew;
	uint32_t inflight, lease_ms, flags;
	size_t nr;
	struct hcv_nl_range range[HCV_GRANT_RANGES];
};

/**
 * hcv_k_grant() - handles of an epoch
 * @renew: a grant of an older renewal is replaced, 0: any will do
 *
 * Return: -EINPROGRESS: I/O through the replaced handles has not ended yet
 */
int hcv_k_grant(struct hcv_klink *k, const char *store, const char *vol,
		uint64_t epoch, const char *node, uint32_t count,
		uint64_t renew, struct hcv_k_grant *out);
/**
 * hcv_k_revoke() - revoke the grants of all epochs up to @epoch
 * @renew: not 0: instead, let go of handles of just @epoch with a lower renewal
 */
int hcv_k_revoke(struct hcv_klink *k, const char *store, const char *vol,
		 uint64_t epoch, uint64_t renew, uint32_t *inflight,
		 uint32_t *lease_ms);
int hcv_k_grant_list(struct hcv_klink *k, struct hcv_k_grant **out, size_t *nr);

struct hcv_k_link {
	char store[HCV_ID_LEN];
	char path[256];
	uint32_t state;		/* enum hcv_link_state */
	uint64_t incarnation;
	uint64_t first;		/* of the newest tie to another node, or 0 */
	uint32_t lease_ms;
	uint32_t err;		/* positive errno of the failure */
	bool unfit;		/* the start failed for it, the volume never ran */
	uint64_t sync_total, sync_done, sync_copied;
	uint32_t inflight;	/* I/Os at its device */
	uint64_t state_ms;	/* since when it is in its state */
	uint64_t stall_ms;	/* since when none came back, 0: they do */
	struct hcv_k_counters count;
};

/* I/Os that wait for one thing. */
struct hcv_k_wait {
	uint32_t wait;		/* enum hcv_wait */
	uint32_t count;
	uint64_t ms;
};

/* The newest scrub of a volume, in blocks; ms: ago. */
struct hcv_k_scrub {
	bool known;		/* there was one since the attach */
	uint32_t state;		/* enum hcv_scrub_state */
	uint64_t pass, total, read, changed, damaged, media, lost;
	uint64_t begun_ms, ended_ms;
	uint32_t kibps;
	size_t nr;
	struct {
		char store[HCV_ID_LEN];
		uint32_t result;	/* enum hcv_scrub_result */
		uint64_t covered, missed, damaged, media, repaired, failed,
			 pages;
	} copy[HCV_MAX_LINKS];
};

#define HCV_K_RETIRED_MAX 64	/* that the module has at a time */

struct hcv_k_vol {
	char uuid[HCV_ID_LEN];
	char name[HCV_NAME_LEN];
	uint64_t size, epoch, v, lineage;
	uint32_t stripe, replicas, queue, flags, policy, policy_ms, minor;
	uint32_t state;		/* enum hcv_vol_state */
	bool prepared;		/* NEW, with a disk: for a hand-over to here */
	uint32_t handover_ms;	/* its I/O fails after so long; 0: it waits */
	bool halted;		/* SUSPENDED and flushed for one to elsewhere */
	bool diskless;		/* a caretaker's: nobody can open it */
	uint32_t wait;		/* enum hcv_wait */
	uint64_t wait_ms;
	uint32_t wait_count, openers, nr_extents;
	uint32_t nr_col;
	uint32_t col_ready[4];
	bool can_retire;	/* an older module tells nothing of these: */
	uint32_t next_index;	/* above all that it was ever given */
	uint32_t col_idle[4];
	size_t nr_settling, nr_settled;
	uint32_t settling[HCV_K_RETIRED_MAX], settled[HCV_K_RETIRED_MAX];
	uint64_t used_slots, meta_bytes;
	struct hcv_k_counters count;
	uint64_t discard_ios, discard_bytes;
	size_t nr_waits;
	struct hcv_k_wait waits[__HCV_WAITS];
	uint32_t unflushed_mibs, sync_kibps;
	uint32_t log_entries, log_named;
	uint64_t log_misses, log_writes, log_dropped;
	size_t nr_links;
	struct hcv_k_link link[HCV_MAX_LINKS];
	struct hcv_k_scrub scrub;
};
struct hcv_k_vol_create {
	const char *uuid, *name;
	uint64_t size, epoch, v, lineage;
	uint32_t stripe, replicas, queue, policy, policy_ms, flags, sync_kibps;
	uint32_t handover_ms;	/* with HCV_VOL_F_PREPARED; 0: the module's */
};

int hcv_k_vol_create(struct hcv_klink *k, const struct hcv_k_vol_create *c);
int hcv_k_vol_link_add(struct hcv_klink *k, const char *vol, uint64_t epoch,
		       const char *store, uint32_t state, uint32_t flags,
		       uint64_t incarnation, const char *path,
		       const struct hcv_nl_range *range, size_t nr);
int hcv_k_vol_link_del(struct hcv_klink *k, const char *vol, uint64_t epoch,
		       const char *store);
/** hcv_k_vol_link_drop() - a slow store is to fail; -EBUSY: it is needed */
int hcv_k_vol_link_drop(struct hcv_klink *k, const char *vol, uint64_t epoch,
			const char *store);
int hcv_k_vol_extent_add(struct hcv_klink *k, const char *vol, uint64_t epoch,
			 const struct hcv_row *row, size_t nr, uint8_t flags);
/** hcv_k_vol_extent_retire() - up to @count idle ones, none of @keep; @leave stay */
int hcv_k_vol_extent_retire(struct hcv_klink *k, const char *vol,
			    uint64_t epoch, uint32_t column, uint32_t count,
			    uint32_t leave, const uint32_t *keep, size_t nr);
int hcv_k_vol_extent_del(struct hcv_klink *k, const char *vol, uint64_t epoch,
			 const uint32_t *index, size_t nr);
int hcv_k_vol_start(struct hcv_klink *k, const char *vol, uint64_t epoch,
		    uint64_t v, const char *store);
int hcv_k_vol_suspend(struct hcv_klink *k, const char *vol, uint64_t epoch);
int hcv_k_vol_resume(struct hcv_klink *k, const char *vol, uint64_t epoch);
/** hcv_k_vol_halt() - suspend it for a hand-over: soon, or not at all */
int hcv_k_vol_halt(struct hcv_klink *k, const char *vol, uint64_t epoch);
/** hcv_k_vol_let_go() - of a halted volume that another node owns */
int hcv_k_vol_let_go(struct hcv_klink *k, const char *vol);
int hcv_k_vol_stop(struct hcv_klink *k, const char *vol, bool force);
struct hcv_k_vol_set { const uint64_t *size; const char *name;
	const uint32_t *policy, *policy_ms, *flags, *sync_kibps;
	const uint32_t *handover_ms, *queue; };

int hcv_k_vol_set(struct hcv_klink *k, const char *vol, uint64_t epoch,
		  const struct hcv_k_vol_set *s);
int hcv_k_vol_confirm(struct hcv_klink *k, const char *vol, uint64_t epoch,
		      uint64_t v, const char *store, uint64_t incarnation,
		      uint32_t link_state);
int hcv_k_vol_nospace(struct hcv_klink *k, const char *vol, uint64_t epoch,
		      uint32_t column);
/** hcv_k_vol_scrub() - begin a pass, or give it a limit; @start false: end it */
int hcv_k_vol_scrub(struct hcv_klink *k, const char *vol, uint64_t epoch,
		    bool start, uint32_t kibps);
int hcv_k_vol_fence(struct hcv_klink *k, const char *vol, uint64_t epoch);
int hcv_k_vol_get(struct hcv_klink *k, const char *uuid, struct hcv_k_vol *out);
int hcv_k_vol_list(struct hcv_klink *k, struct hcv_k_vol **out, size_t *nr);
/* Latencies of a volume and of its links. */
struct hcv_k_stats {
	struct hcv_k_hists vol;
	size_t nr_links;
	struct {
		char store[HCV_ID_LEN];
		struct hcv_k_hists hists;
	} link[HCV_MAX_LINKS];
};

int hcv_k_vol_stats(struct hcv_klink *k, const char *vol,
		    struct hcv_k_stats *out);

struct hcv_k_event {
	uint32_t event;		/* enum hcv_event */
	uint64_t seq, time_ns, epoch, v, incarnation;
	bool has_vol, has_store;
	char vol[HCV_ID_LEN], store[HCV_ID_LEN];
	int column;		/* -1: none */
	int vol_state, link_state, wait;	/* -1: none */
	uint32_t err;
	char text[256];
};
/** hcv_k_event_open() - socket subscribed to the events; fd for the loop */
struct hcv_klink *hcv_k_event_open(int *fd);
/**
 * hcv_k_event_read() - 1: one event, 0: nothing now, -ENOBUFS: some were lost,
 * look at all state; other -errno
 */
int hcv_k_event_read(struct hcv_klink *k, struct hcv_k_event *ev);

#endif /* HCV_AGENT_KLINK_H */
