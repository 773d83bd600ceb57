/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The next step of a volume's temporary replica on its owner.  Pure.
 *
 * Whether there is to be one, and where, is temp.h's; what it is in the record
 * record_temp.h's.  Here is the order in which record and module follow each
 * other, which holds over every crash of the agent and every answer that is
 * lost:
 *
 *   begin      the record first; the link when the store has granted for it
 *   mark       the module first: the link is JOINING, so that acknowledgments
 *              need it, then the record, then the module hears of it
 *   the end    the record first: no link goes before the entry has gone
 *   to stay    rows may name it, they do, the module fills it; then the record,
 *              then the module hears that the link is an ordinary one
 *
 * So the mark is in the record only while the module's acknowledgments need the
 * link.  An entry with a mark and a module without the link cannot be by these
 * rules; it goes all the same.
 */
#ifndef HCV_AGENT_CORE_VOLPLAN_TEMP_H
#define HCV_AGENT_CORE_VOLPLAN_TEMP_H

#include "temp.h"

/** enum hcv_vpt_link - the link of a temporary replica, as the module has it */
enum hcv_vpt_link {
	HCV_VPT_NONE,
	HCV_VPT_OUT,
	HCV_VPT_SYNCING,	/* is being filled */
	HCV_VPT_JOINING,	/* filled: counts, and asks for the mark */
	HCV_VPT_INSYNC,		/* knows of the mark */
	HCV_VPT_FAILING,
	HCV_VPT_LOST,		/* half of a pair */
};

enum hcv_vpt_act {
	HCV_VPT_REST,		/* nothing to be done, or @why says for what it waits */
	HCV_VPT_BEGIN,		/* record: @store is temporary for @base */
	HCV_VPT_CONNECT,
	HCV_VPT_LINK_ADD,	/* module, flag TEMP, with @base and its v */
	HCV_VPT_COVERS,		/* record: the mark */
	HCV_VPT_CONFIRM_IN,	/* module: the mark is there, v */
	HCV_VPT_DROP,		/* record: entry and mark are gone, a tombstone comes */
	HCV_VPT_CONFIRM_OUT,	/* module: it is gone, v */
	HCV_VPT_LINK_DEL,
	HCV_VPT_NAME,		/* record: rows may name it */
	HCV_VPT_FILL,		/* module: all that it does not hold */
	HCV_VPT_STAY,		/* record: it is in-sync */
	HCV_VPT_CONFIRM_STAY,	/* module: it is a full copy like any, v */
};

/**
 * struct hcv_vpt_in - what a step rests on
 * @say: of hcv_temp_policy() for this record
 * @place: store for a new one, "": there is none, @no_place says why
 * @place_tomb: the volume's tombstone on that store is there
 * @store: of the link, "": the module has no link of a temporary replica
 * @base, @v: which it is for, as the module was told
 * @live: the store in the record, or else @store, is live and has not failed
 * @granted: it has granted this epoch, with the renewal of its entry, all
 *	extents that the base has
 * @path: it is on this node, or connected
 * @stay: it is to take the place of its base (a job says so)
 * @rows: each row that has the base in full names it in full
 * @filling, @whole: the module fills, or has filled and flushed, all that it did
 *	not hold
 */
struct hcv_vpt_in {
	const struct hcv_record *rec;
	const struct hcv_temp_say *say;
	const char *place;
	const char *no_place;
	bool place_tomb;
	const char *store;
	const char *base;
	uint64_t v;
	enum hcv_vpt_link link;
	bool live;
	bool granted;
	bool path;
	bool stay;
	bool rows;
	bool filling;
	bool whole;
};

/** struct hcv_vpt_out - the step */
struct hcv_vpt_out {
	enum hcv_vpt_act act;
	char store[HCV_ID_LEN];
	char base[HCV_ID_LEN];
	uint64_t v;
	char why[HCV_ERR_SIZE];
};

/**
 * hcv_vp_temp() - the next step; to be asked after failing links of full copies
 *
 * @in->rec is served by this node and has just been read.
 */
void hcv_vp_temp(const struct hcv_vpt_in *in, struct hcv_vpt_out *out);

#endif /* HCV_AGENT_CORE_VOLPLAN_TEMP_H */
