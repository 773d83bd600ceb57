/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that fail when a test wants them to.
 *
 * HCV_FAULT=KIND:N/EVERY in the environment: of all calls of the kind, counted
 * from 1 and over all threads, the N-th fails, then the EVERY-th after it, the
 * (EVERY + 1)-th after that and so on.  Growing distances, since what comes round
 * in a pass of as many calls would else fail in each of them.
 */
#ifndef HCV_AGENT_FAULT_H
#define HCV_AGENT_FAULT_H

#include <stdbool.h>

/**
 * enum hcv_fault - what fails, and how
 * @HCV_FAULT_NETLINK_UNSENT: a request to the module; not carried out
 * @HCV_FAULT_NETLINK_LOST: carried out, but its answer does not arrive
 * @HCV_FAULT_META_UNSENT: a call of the metadata store; not carried out
 * @HCV_FAULT_META_LOST: carried out; a transaction's outcome is unknown
 */
enum hcv_fault {
	HCV_FAULT_NETLINK_UNSENT,
	HCV_FAULT_NETLINK_LOST,
	HCV_FAULT_META_UNSENT,
	HCV_FAULT_META_LOST,
	__HCV_FAULTS
};

/**
 * hcv_fault_arm() - have calls fail
 * @spec: "netlink-unsent|netlink-lost|meta-unsent|meta-lost:N/EVERY", 1 <= N
 *	<= EVERY, 2 <= EVERY <= 1000000
 *
 * Before there are threads.  Return: 0 or -EINVAL.
 */
int hcv_fault_arm(const char *spec);

/** hcv_fault() - count a call; true: it is to fail.  Any thread. */
bool hcv_fault(enum hcv_fault kind);

#endif /* HCV_AGENT_FAULT_H */
