// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls that fail when a test wants them to.
 */
#include "fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const char *const fault_name[__HCV_FAULTS] = {
	[HCV_FAULT_NETLINK_UNSENT]	= "netlink-unsent",
	[HCV_FAULT_NETLINK_LOST]	= "netlink-lost",
	[HCV_FAULT_META_UNSENT]		= "meta-unsent",
	[HCV_FAULT_META_LOST]		= "meta-lost",
};

/* Set before there are threads. */
static enum hcv_fault fault_kind;
static bool fault_armed;

static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int fault_calls, fault_next, fault_gap;	/* under the lock */

int hcv_fault_arm(const char *spec)
{
	unsigned int i, n, every;
	char name[32];
	int len = 0;

	if (sscanf(spec, "%31[^:]:%u/%u%n", name, &n, &every, &len) != 3 ||
	    spec[len] || every < 2 || every > 1000000 || !n || n > every)
		return -EINVAL;
	for (i = 0; i < __HCV_FAULTS; i++)
		if (!strcmp(name, fault_name[i])) {
			fault_kind = i;
			fault_next = n;
			fault_gap = every;
			fault_armed = true;
			return 0;
		}
	return -EINVAL;
}

bool hcv_fault(enum hcv_fault kind)
{
	unsigned int n;
	bool fails;

	if (!fault_armed || kind != fault_kind)
		return false;
	pthread_mutex_lock(&fault_lock);
	n = ++fault_calls;
	fails = n == fault_next;
	if (fails)
		fault_next += fault_gap++;
	pthread_mutex_unlock(&fault_lock);
	if (fails)
		fprintf(stderr, "fault %s: call %u fails\n", fault_name[kind],
			n);
	return fails;
}
