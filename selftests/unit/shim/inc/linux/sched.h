/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_SCHED_H
#define HCV_SHIM_LINUX_SCHED_H

#define cond_resched()	do { } while (0)

#endif /* HCV_SHIM_LINUX_SCHED_H */
