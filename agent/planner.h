/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The leader and its recovery plan: core/recplan.c decides, planner.c acts.
 */
#ifndef HCV_AGENT_PLANNER_H
#define HCV_AGENT_PLANNER_H

#include "agent.h"

int hcv_planner_init(struct hcv_agent *a);
void hcv_planner_exit(struct hcv_agent *a);

#endif /* HCV_AGENT_PLANNER_H */
