/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Temporary replicas (I10): when there is to be one, and where.  Pure.
 *
 * When: from the moment a replica is lost (R-FAIL-4), whatever the absence is:
 * who reboots a node for service has a single copy meanwhile, too.  It is not for
 * nothing, since extents are allocated and formatted; @delay_ms is for who has
 * paths that come and go.  Not while the lost one is being copied to: it has all
 * again when a temporary one would.
 *
 * For whom: the record has one temporary replica.  Of several stores that are
 * away it is for the one with most extents that have a single in-sync copy left;
 * among equals for the one that left last, which lacks least.
 *
 * How long: until no extent of its base depends on a single copy, or its own
 * store is to be emptied.
 */
#ifndef HCV_AGENT_CORE_TEMP_H
#define HCV_AGENT_CORE_TEMP_H

#include "placement.h"
#include "record_temp.h"

/* After one that failed; doubles up to the second. */
#define HCV_TEMP_AGAIN_MS	10000
#define HCV_TEMP_AGAIN_MAX_MS	160000

enum hcv_temp_act {
	HCV_TEMP_NONE,
	HCV_TEMP_BEGIN,		/* for the base @store */
	HCV_TEMP_DROP,		/* of the store @store */
};

/**
 * struct hcv_temp_now - what the decision rests on
 * @now_ms: any clock
 * @delay_ms: for which a lost replica is waited for
 * @rec: served by this node
 * @out_ms: for each store of @rec since when it is not in-sync, as far as this
 *	agent knows; 0: unknown, it is out for as long as there is a record
 * @failed_ms: when the last one failed, 0: none did
 * @failures: in a row
 * @able: the volume's module keeps activity logs, and every agent and module
 *	that is live knows temporary replicas
 * @failing: some link has failed and is not removed yet
 * @unfit: the store of the one that there is, is to be emptied
 */
struct hcv_temp_now {
	int64_t now_ms;
	int64_t delay_ms;
	const struct hcv_record *rec;
	const struct hcv_rows *rows;
	const int64_t *out_ms;
	int64_t failed_ms;
	unsigned int failures;
	bool able;
	bool failing;
	bool unfit;
};

/**
 * struct hcv_temp_say - the decision
 * @until_ms: to be asked again then, at the latest; 0: when something changed
 * @why: a sentence, "" if there is nothing to be said
 */
struct hcv_temp_say {
	enum hcv_temp_act act;
	char store[HCV_ID_LEN];
	int64_t until_ms;
	char why[HCV_ERR_SIZE];
};

/** hcv_temp_policy() - whether a temporary replica is to come, or to go */
void hcv_temp_policy(const struct hcv_temp_now *now, struct hcv_temp_say *say);

/**
 * struct hcv_temp_where - what a place is chosen by
 * @suspect: for each of @store, that it is slow or ailing; NULL: none is
 * @left: for each of @store, that the volume left it, so that it gives no grant
 *	of this epoch again; NULL: none
 * @owner: UUID of the node that serves the volume
 */
struct hcv_temp_where {
	const struct hcv_place_store *store;
	size_t nr;
	const bool *suspect;
	const bool *left;
	const char *owner;
	const char *base;
	const struct hcv_record *rec;
	const struct hcv_rows *rows;
};

/**
 * hcv_temp_place() - the store for the temporary replica of a base
 *
 * Only live stores that take extents, have nothing of the volume, were not left
 * by it, are not suspect, and stay below HCV_PLACE_FULL percent with all extents
 * of the base.
 * Of those, in this order: another rack, then another node than the in-sync
 * copies that it is to outlive; the owner's node; below HCV_PLACE_BUSY percent;
 * most free space.
 *
 * Return: 0, with the index in @choice; -ENOSPC with a sentence.
 */
int hcv_temp_place(const struct hcv_temp_where *where, size_t *choice,
		   char *err);

#endif /* HCV_AGENT_CORE_TEMP_H */
