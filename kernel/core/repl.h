/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What becomes of a replica that gave an error.
 */
#ifndef HCV_CORE_REPL_H
#define HCV_CORE_REPL_H

#include "host.h"

/**
 * enum hcv_fate - of a store that gave an error
 * @HCV_FATE_REMOVE: others have all it has: it leaves the in-sync set
 * @HCV_FATE_STAY: it has the last in-sync copy of something, and its disk has
 *	spoken: what it refuses is an error for the user, the rest goes on
 * @HCV_FATE_WAIT: it has the last in-sync copy of something, and is only out of
 *	reach: I/O waits for its return
 */
enum hcv_fate {
	HCV_FATE_REMOVE,
	HCV_FATE_STAY,
	HCV_FATE_WAIT
};

/**
 * struct hcv_repl_case - what is known of it
 * @counts: it was in-sync, not a copy in the making
 * @sole: for some extent that it holds there is no other in-sync replica
 * @final: the error is its disk's word, not that of the path or the gate
 */
struct hcv_repl_case {
	bool counts;
	bool sole;
	bool final;
};

/** hcv_repl_fate() - what becomes of it */
enum hcv_fate hcv_repl_fate(const struct hcv_repl_case *c);
/**
 * hcv_repl_sole() - whether a link is an extent's last in-sync replica
 * @holders: links with a replica of the extent, as bits
 * @insync: links that are in-sync; whether @link itself is does not matter
 * @link: number of the link
 */
bool hcv_repl_sole(u32 holders, u32 insync, u32 link);
/**
 * hcv_repl_may_go() - whether a removal under version @v tells what it missed
 * @last_v: of the map, when the replica last took writes
 *
 * Its pages may have stamps up to @last_v, and what it misses has to get a
 * higher one.
 */
bool hcv_repl_may_go(u64 v, u64 last_v);

#endif /* HCV_CORE_REPL_H */
