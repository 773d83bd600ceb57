/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The metadata store in memory, for tests: faults and a clock to be moved.
 *
 * "mem:NAME" opens the store NAME of this process, created with its first
 * handle and gone with the last; "mem:" is a store of its own.  Each handle
 * stands for one node of a cluster.
 */
#ifndef HCV_AGENT_META_MEM_H
#define HCV_AGENT_META_MEM_H

#include "meta.h"

enum hcv_meta_mem_fault {
	HCV_MEM_UNREACHABLE,		/* not done, and known */
	HCV_MEM_UNKNOWN_DONE,		/* done, not known */
	HCV_MEM_UNKNOWN_NOT_DONE,	/* not done, not known */
};

/**
 * hcv_meta_mem_fail() - make one call of this handle fail
 * @nth: 1 is the next call; 0 takes a fault back that has not struck yet
 * @kind: the UNKNOWN ones strike transactions as that, and other calls as
 *	UNREACHABLE, done or not
 *
 * Watches do not count as calls.
 */
void hcv_meta_mem_fail(struct hcv_meta *m, unsigned int nth,
		       enum hcv_meta_mem_fault kind);

/** hcv_meta_mem_calls() - how many calls this handle has seen */
unsigned int hcv_meta_mem_calls(struct hcv_meta *m);

/** hcv_meta_mem_cut() - all calls of this handle are UNREACHABLE */
void hcv_meta_mem_cut(struct hcv_meta *m, bool cut);

/** hcv_meta_mem_advance() - the store's leases get older by @ms */
void hcv_meta_mem_advance(struct hcv_meta *m, unsigned int ms);

#endif /* HCV_AGENT_META_MEM_H */
