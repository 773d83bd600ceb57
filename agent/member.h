/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Membership: the node's lease, its keys, its module and its stores.
 */
#ifndef HCV_AGENT_MEMBER_H
#define HCV_AGENT_MEMBER_H

#include "agent.h"

int hcv_member_start(struct hcv_agent *a);
/** hcv_member_exit() - join the thread; the lease is left to run out */
void hcv_member_exit(struct hcv_agent *a);

/** hcv_member_kick() - the node has just become a member: get a lease now */
void hcv_member_kick(struct hcv_agent *a);

/**
 * hcv_member_module() - what the module last said of itself
 * @m: may be NULL
 * @why: HCV_ERR_SIZE bytes: why it is of no use, "" if it is; may be NULL
 */
bool hcv_member_module(struct hcv_agent *a, struct hcv_k_module *m, char *why);
/** hcv_member_store_error() - why the store could not be opened, "" if open */
void hcv_member_store_error(struct hcv_agent *a, const char *store, char *why);
/** hcv_member_boot_id() - of the running kernel; static */
const char *hcv_member_boot_id(void);

#endif /* HCV_AGENT_MEMBER_H */
