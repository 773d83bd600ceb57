/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How fast this node's volumes recover: counters of the module to
 * core/throttle.c once a second, its limits to the module.
 *
 * The limit of a volume in the module has no other writer, but for the one with
 * which it is created.  What an operator sets for a volume is an upper bound.
 */
#ifndef HCV_AGENT_SYNC_LIMIT_H
#define HCV_AGENT_SYNC_LIMIT_H

#include "agent.h"
#include "core/throttle_conf.h"

/**
 * struct hcv_sync_limit - how it stands with one volume
 * @kibps: limit of each of its resyncs, HCV_SYNC_PAUSED: it stands still
 * @streams: its resyncs that are under way
 * @rate_kibps: what they copied in the last second
 */
struct hcv_sync_limit {
	char uuid[HCV_ID_LEN];
	uint32_t kibps;
	unsigned int streams;
	uint64_t rate_kibps;
	char reason[HCV_THR_WHY + 64];
};

/**
 * struct hcv_sync_report - how it stands with the node
 * @known: false: nothing was looked at yet; only @why is valid then
 * @why: "": the settings of now hold; else why they are older ones or defaults
 * @moves: all that is copied are replicas that move: migration-min and -max hold
 * @found: the hardware, in words; @row: the defaults that it has
 */
struct hcv_sync_report {
	bool known;
	char why[HCV_ERR_SIZE];
	char found[128];
	const struct hcv_hw_row *row;
	struct hcv_thr_eff eff;
	uint32_t limit_kibps;
	char reason[HCV_THR_WHY];
	uint64_t iops, fg_kibps, rec_kibps;
	unsigned int streams;
	bool moves;
};

/**
 * hcv_sync_limit_look() - take the counters in, set the limits
 * @vol: all volumes of the module, as they are now
 *
 * Pool threads, one at a time, about once a second.
 */
void hcv_sync_limit_look(struct hcv_job *job, const struct hcv_k_vol *vol,
			 size_t nr);
/**
 * hcv_sync_limit_first() - limit of a volume that is being created
 * @own_kibps: what is set for the volume, 0: nothing
 *
 * Paused until the settings are known; the next look gives it its own.
 */
uint32_t hcv_sync_limit_first(uint32_t own_kibps);
/** hcv_sync_limit_get() - false: the volume was not looked at; any thread */
bool hcv_sync_limit_get(const char *uuid, struct hcv_sync_limit *out);
/** hcv_sync_limit_loaded() - whether this node's guests load it; any thread */
bool hcv_sync_limit_loaded(void);
/** hcv_sync_limit_report() - any thread */
void hcv_sync_limit_report(struct hcv_sync_report *out);

#endif /* HCV_AGENT_SYNC_LIMIT_H */
