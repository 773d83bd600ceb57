/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loop and the order in which the agent starts and stops.
 */
#ifndef HCV_AGENT_LOOP_H
#define HCV_AGENT_LOOP_H

#include "agent.h"

int hcv_loop_init(struct hcv_agent *a);
/** hcv_loop_run() - returns after SIGTERM, SIGINT or hcv_loop_stop() */
void hcv_loop_run(struct hcv_agent *a);
void hcv_loop_exit(struct hcv_agent *a);

/** hcv_loop_snapshot() - hand a snapshot to the reconcilers; loop thread */
void hcv_loop_snapshot(struct hcv_agent *a, struct hcv_snap *s);
/** hcv_loop_kernel_lost() - reconcilers look at everything; loop thread */
void hcv_loop_kernel_lost(struct hcv_agent *a);
/** hcv_loop_kernel_reopen() - subscribe to events anew; loop thread */
void hcv_loop_kernel_reopen(struct hcv_agent *a);

#endif /* HCV_AGENT_LOOP_H */
