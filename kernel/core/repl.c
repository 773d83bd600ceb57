// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a replica that gave an error.  See repl.h.
 */
#include "repl.h"

enum hcv_fate hcv_repl_fate(const struct hcv_repl_case *c)
{
	/* Nothing is lost with it. */
	if (!c->counts || !c->sole)
		return HCV_FATE_REMOVE;
	return c->final ? HCV_FATE_STAY : HCV_FATE_WAIT;
}

bool hcv_repl_sole(u32 holders, u32 insync, u32 link)
{
	u32 self = 1U << link;

	return holders & self && !(holders & insync & ~self);
}

bool hcv_repl_may_go(u64 v, u64 last_v)
{
	return v > last_v;
}
