/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cluster.status: everything on one page.
 */
#ifndef HCV_AGENT_CLUSTER_STATUS_H
#define HCV_AGENT_CLUSTER_STATUS_H

#include "agent.h"

int hcv_cluster_status(struct hcv_api_req *req);

/** enum hcv_vol_health - what an operator should make of a volume */
enum hcv_vol_health {
	HCV_VH_EMPTY,		/* no record yet: it was never attached */
	HCV_VH_OK,
	HCV_VH_DEGRADED,	/* a replica is not in-sync, or not live */
	HCV_VH_DOWN,		/* no in-sync store is live */
	HCV_VH_BAD,		/* a key cannot be understood */
};

enum hcv_vol_health hcv_vol_health(const struct hcv_snap *s,
				   const struct hcv_snap_vol *v);
const char *hcv_vol_health_name(enum hcv_vol_health h);

#endif /* HCV_AGENT_CLUSTER_STATUS_H */
