/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A volume put together from what several stores hold of it.
 *
 * The volume page with the highest (epoch, v, seq) is the one that counts;
 * stores of another lineage than its are left out.  Of the copies of
 * a metadata page the newest by (epoch, seq) counts, of equal ones that of the
 * store with the newer volume page.
 */
#ifndef HCV_INSPECT_VOLUME_H
#define HCV_INSPECT_VOLUME_H

#include "inspect.h"

/**
 * struct hcv_ins_copy - what one store holds of the volume
 * @store: the store, open
 * @vp: its volume page; @vp.place < 0: none valid
 * @used: takes part
 * @phys: of each extent of the volume (hcv_ins_vol.ext): where it lies here,
 *	or HCV_INS_NONE
 */
struct hcv_ins_copy {
	struct hcv_ins_store *store;
	struct hcv_ins_volpage vp;
	bool used;
	u32 *phys;
};

/**
 * struct hcv_ins_slot - a slot record of the lineage
 * @depth: 0: of the generation that is read, 1: of its parent, ...
 * @prio: 0: from the newest page; else only for blocks that it has elsewhere
 * @ext: position in hcv_ins_vol.ext
 * @rec: number of the record in the extent
 * @copies: bit i: copy i has this very record, and its page is as new
 */
struct hcv_ins_slot {
	u32 mib;
	u32 depth;
	u64 seq;
	u32 prio;
	u32 ext;
	u32 rec;
	u64 copies;
	u64 lo[4];
	u64 hi[4];
};

/**
 * struct hcv_ins_vol - the volume
 * @quiet: set by the caller: hcv_ins_vol_open() says nothing
 * @main: the copy whose volume page counts
 * @chain: generations from the one that is read to the root
 * @ext: indexes of all extents found, ascending
 * @slot: sorted by mib, depth, falling seq, prio
 * @unknown: records of generations that the volume page does not know
 * @pair: it is to be put together from a temporary replica and its base:
 *	hcv_ins_pair_open()
 * @base, @temp: which copies these are
 * @named: mibs that the temporary replica's log names, sorted
 */
struct hcv_ins_vol {
	u8 uuid[HCV_UUID_SIZE];
	bool quiet;
	struct hcv_ins_copy copy[HCV_INS_STORES_MAX];
	u32 nr_copies;
	struct hcv_ins_copy *main;
	u32 *chain;
	u32 nr_chain;
	u32 *ext;
	u32 nr_exts;
	struct hcv_ins_slot *slot;
	size_t nr_slots;
	size_t max_slots;
	u32 unknown;
	bool pair;
	u32 base;
	u32 temp;
	u32 *named;
	u32 nr_named;
};

/**
 * hcv_ins_vol_open() - find a volume on stores
 * @stores: open stores with their tables
 * @vol: zeroed but for @quiet; free with hcv_ins_vol_close(), also after an error
 *
 * Says on stderr what is wrong.  Return: 0 or a negative errno.
 */
int hcv_ins_vol_open(struct hcv_ins_vol *vol, struct hcv_ins_store *stores,
		     u32 nr, const u8 *uuid);
/**
 * hcv_ins_vol_load() - load the slots of one generation's lineage
 * @generation: 0: the current one
 */
int hcv_ins_vol_load(struct hcv_ins_vol *vol, u32 generation);
/**
 * hcv_ins_vol_find() - who has a block
 * @mib: which MiB of the volume
 * @block: which block of that
 * @slot: the slot that has its data, or NULL: it reads as zeroes
 *
 * Return: 0, or -EREMOTE when a store that is not here has it.
 */
int hcv_ins_vol_find(const struct hcv_ins_vol *vol, u32 mib, u32 block,
		     const struct hcv_ins_slot **slot);
/** hcv_ins_vol_empty() - whether nobody knows any block of @mib */
bool hcv_ins_vol_empty(const struct hcv_ins_vol *vol, u32 mib);
/**
 * hcv_ins_vol_read() - read consecutive blocks of a slot
 *
 * Takes the next copy when one cannot be read.
 */
int hcv_ins_vol_read(const struct hcv_ins_vol *vol,
		     const struct hcv_ins_slot *slot, u32 block, u32 nr,
		     void *buf);
void hcv_ins_vol_close(struct hcv_ins_vol *vol);

#endif /* HCV_INSPECT_VOLUME_H */
