/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Placement: which stores the next extent of a volume goes to.  Pure.
 *
 * Hard rules: replicas never share a failure domain; only stores that are
 * ready, and with room; at most HCV_REC_STORES stores per volume; and with a
 * failure domain missing (two with three replicas) exactly one copy of each
 * extent can still be chosen (core/elect.h), or else the volume could never be
 * attached again after a crash.  With two replicas this means that the stores
 * of a volume form two sides; one volume may so be refused space that is free
 * on one side only.  Then, in
 * this order: stores that are live; one replica on the owner's node while a
 * store there is below HCV_PLACE_FULL percent used (beyond it locality counts
 * no more); other nodes and racks than the replicas chosen already; columns of
 * a stripe on different disks; lower tier of use;
 * below HCV_PLACE_BUSY percent stores that the volume uses already (few links,
 * and a whole copy in one place); then the one with most free space.
 */
#ifndef HCV_AGENT_PLACEMENT_H
#define HCV_AGENT_PLACEMENT_H

#include "model.h"

#define HCV_PLACE_BUSY	75	/* percent used: balance remote replicas */
#define HCV_PLACE_FULL	90	/* percent used: balance all replicas */

/**
 * struct hcv_place_store - a store as placement sees it
 * @node: UUID of its node
 * @node_name: for reasons given to people
 * @rack: "" if none was configured: the node is then a rack of its own
 * @total: extents of the store
 * @used: extents in use or promised by rows
 * @ready: may get extents: neither draining, removed nor failed, nor its node
 * @live: store and node are live
 */
struct hcv_place_store {
	char uuid[HCV_ID_LEN];
	char node[HCV_ID_LEN];
	char node_name[HCV_NAME_LEN];
	char rack[HCV_NAME_LEN];
	uint32_t total;
	uint32_t used;
	bool ready;
	bool live;
};

/**
 * struct hcv_place_want - what is asked for
 * @owner: UUID of the node that holds or will hold the volume, or ""
 * @column: of the new row, below @stripe
 * @rows: the volume's rows so far
 * @degraded: stores that are not live may be used where live ones are missing;
 *	at least one of the row is live in any case
 */
struct hcv_place_want {
	unsigned int replicas;
	unsigned int stripe;
	enum hcv_domain domain;
	const char *owner;
	unsigned int column;
	const struct hcv_rows *rows;
	bool degraded;
};

/**
 * struct hcv_place_row - the answer
 * @nr: stores chosen; the first one is the best to read from
 * @store: indexes into the array of stores
 * @live: bit mask over @store
 * @why: when impossible: a sentence
 */
struct hcv_place_row {
	unsigned int nr;
	size_t store[HCV_ROW_STORES];
	unsigned int live;
	char why[HCV_ERR_SIZE];
};

/**
 * hcv_place() - choose the stores of one row
 * Return: 0; -ENOSPC with @row->why; -EINVAL for a senseless @want
 */
int hcv_place(const struct hcv_place_store *store, size_t nr,
	      const struct hcv_place_want *want, struct hcv_place_row *row);

/** hcv_place_take() - count the row's extents as used, before the next one */
void hcv_place_take(struct hcv_place_store *store,
		    const struct hcv_place_row *row);

/**
 * hcv_place_domain() - the failure domain of a new volume
 * @cluster: the metadata store is shared by several nodes
 *
 * Rack if at least @replicas racks were configured, else node in a cluster,
 * else disk.
 */
enum hcv_domain hcv_place_domain(const struct hcv_place_store *store, size_t nr,
				 unsigned int replicas, bool cluster);

/** hcv_place_used_pct() - percent of a store in use, rounded down */
unsigned int hcv_place_used_pct(const struct hcv_place_store *st);

#endif /* HCV_AGENT_PLACEMENT_H */
