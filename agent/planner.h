/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The leader and its recovery plan: core/recplan.c decides, planner.c acts.
 */
#ifndef HCV_AGENT_PLANNER_H
#define HCV_AGENT_PLANNER_H

#include "agent.h"

int hcv_planner_init(struct hcv_agent *a);
void hcv_planner_exit(struct hcv_agent *a);
/** hcv_planner_jobs() - leader, jobs, and what cannot be done now, to req->result */
void hcv_planner_jobs(struct hcv_api_req *req, const struct hcv_snap *s);
/**
 * hcv_planner_share() - what is to become of what a volume has on a store
 * @out: "": it stays
 */
void hcv_planner_share(const struct hcv_snap *s, const struct hcv_snap_vol *v,
		       const char *store, char *out, size_t size);

#endif /* HCV_AGENT_PLANNER_H */
