// SPDX-License-Identifier: GPL-2.0-only
/*
 * All commands, in the order of help.
 */
#include "agentctl.h"

const struct hcv_ctl_cmd *const hcv_ctl_tables[] = {
	hcv_ctl_cluster, hcv_ctl_node, hcv_ctl_store, hcv_ctl_volume,
	hcv_ctl_recovery, hcv_ctl_events, hcv_ctl_version, NULL
};
