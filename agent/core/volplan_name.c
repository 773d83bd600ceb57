// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the steps of volplan.h are called.
 */
#include "volplan.h"

static const char *const vp_act_names[HCV_VP_NR] = {
	[HCV_VP_NONE] = "none",
	[HCV_VP_WAIT] = "wait",
	[HCV_VP_REREAD] = "reread",
	[HCV_VP_CREATE] = "create",
	[HCV_VP_SERVE] = "serve",
	[HCV_VP_CONNECT] = "connect",
	[HCV_VP_LINK_ADD] = "link-add",
	[HCV_VP_LINK_DEL] = "link-del",
	[HCV_VP_EXTENT_ADD] = "extent-add",
	[HCV_VP_START] = "start",
	[HCV_VP_REMOVE] = "remove",
	[HCV_VP_BEGIN_SYNC] = "begin-sync",
	[HCV_VP_JOIN] = "join",
	[HCV_VP_RENEW] = "renew",
	[HCV_VP_CONFIRM] = "confirm",
	[HCV_VP_DROP_SLOW] = "drop-slow",
	[HCV_VP_PLACE] = "place",
	[HCV_VP_DROP_ROWS] = "drop-rows",
	[HCV_VP_EXTENT_DEL] = "extent-del",
	[HCV_VP_RETIRE] = "retire",
	[HCV_VP_JOB] = "job",
	[HCV_VP_SET] = "set",
	[HCV_VP_FENCE] = "fence",
	[HCV_VP_STOP] = "stop",
	[HCV_VP_DETACH] = "detach",
	[HCV_VP_FORGET] = "forget",
	[HCV_VP_PREPARE] = "prepare",
	[HCV_VP_HAND_READY] = "hand-ready",
	[HCV_VP_HAND_ABORT] = "hand-abort",
	[HCV_VP_HALT] = "halt",
	[HCV_VP_RESUME] = "resume",
	[HCV_VP_HAND_OVER] = "hand-over",
	[HCV_VP_LET_GO] = "let-go",
	[HCV_VP_CARE_CLAIM] = "care-claim",
	[HCV_VP_CARE_LEAVE] = "care-leave",
	[HCV_VP_PUBLISH] = "publish",
	[HCV_VP_AGAIN] = "again",
};

const char *hcv_volplan_act_name(enum hcv_vp_act act)
{
	return act < HCV_VP_NR ? vp_act_names[act] : "unknown";
}
