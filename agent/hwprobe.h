/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What this node is made of, for the defaults of recovery.
 */
#ifndef HCV_AGENT_HWPROBE_H
#define HCV_AGENT_HWPROBE_H

#include "agent.h"
#include "core/throttle_hw.h"

/**
 * hcv_hwprobe() - disks beneath the node's stores, and its link
 *
 * Reads sysfs only.  What cannot be found out is left at 0.  Pool threads.
 */
void hcv_hwprobe(struct hcv_agent *a, const struct hcv_snap *snap,
		 struct hcv_hw *out);

#endif /* HCV_AGENT_HWPROBE_H */
