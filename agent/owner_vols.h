/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the owner side remembers about volumes between two looks; nothing of it
 * is needed to be right, only to be quick and to answer.
 */
#ifndef HCV_AGENT_OWNER_VOLS_H
#define HCV_AGENT_OWNER_VOLS_H

#include <pthread.h>

#include "owner.h"

/**
 * struct hcv_owner_link - what was last done to a link
 * @count: handles that the module was given
 * @dropped: it was deleted
 */
struct hcv_owner_link {
	char store[HCV_ID_LEN];
	uint32_t count;
	bool dropped;
};

/**
 * struct hcv_owner_vol - one volume; all fields under the table's lock
 * @seen_rev: keys read before this revision of the metadata store are old
 * @unknown: the outcome of a transaction is unknown: read first
 * @tracked: was in the module at the last scan
 * @detach, @force: an operator's wish; @wishes: how many there were
 * @attaching: a command attaches it
 * @stopped_epoch: VOL_STOP ended in order in this epoch
 * @forced_epoch: a stop by force was begun in this epoch
 * @opt_loaded: @opt_* are what the file says; @opt_epoch: they belong to
 * @link_epoch: @link belongs to
 * @devlink: name under which the device links were made, "" none
 */
struct hcv_owner_vol {
	struct hcv_owner_vol *next;
	char uuid[HCV_ID_LEN];
	int64_t seen_rev;
	bool unknown;
	bool tracked;
	bool detach;
	bool force;
	uint64_t wishes;
	bool attaching;
	uint64_t stopped_epoch;
	uint64_t forced_epoch;
	bool opt_loaded;
	uint64_t opt_epoch;
	bool opt_readonly;
	uint32_t opt_queue;
	uint64_t link_epoch;
	size_t nr_links;
	struct hcv_owner_link link[HCV_REC_STORES];
	char devlink[HCV_NAME_LEN];
	uint32_t devlink_minor;
	struct hcv_vp_mem mem;
	struct hcv_owner_report report;
};

/** hcv_owner_vols_lock() - the table; returns the volume, made if @create */
struct hcv_owner_vol *hcv_owner_vols_lock(const char *uuid, bool create);
/** hcv_owner_vols_unlock() - @wake those in hcv_owner_wait() */
void hcv_owner_vols_unlock(bool wake);
/** hcv_owner_vols_tracked() - UUIDs of volumes of interest; malloc'd */
size_t hcv_owner_vols_tracked(char (**out)[HCV_ID_LEN]);
/** hcv_owner_vols_scan() - these are in the module, all others are not */
void hcv_owner_vols_scan(const struct hcv_k_vol *vol, size_t nr);
/** hcv_owner_options_load() - of the volume's file, if not loaded yet */
void hcv_owner_options_load(struct hcv_agent *a, const char *uuid);
/**
 * hcv_owner_options_drop() - an epoch is over: its file, and an older one
 *
 * The options of a later epoch stay: the next attach may have claimed, and left
 * them, since the record was read.
 */
void hcv_owner_options_drop(struct hcv_agent *a, const char *uuid,
			    uint64_t epoch);
int hcv_owner_vols_init(void);
void hcv_owner_vols_exit(void);

#endif /* HCV_AGENT_OWNER_VOLS_H */
