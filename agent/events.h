/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The events ring, for main(); emitting is in agent.h.
 */
#ifndef HCV_AGENT_EVENTS_H
#define HCV_AGENT_EVENTS_H

#include "agent.h"

/** hcv_events_init() - reads back what an earlier run logged */
int hcv_events_init(struct hcv_agent *a);
void hcv_events_exit(struct hcv_agent *a);

#endif /* HCV_AGENT_EVENTS_H */
