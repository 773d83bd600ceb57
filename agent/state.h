/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The thread that follows the metadata store; its results are in agent.h.
 */
#ifndef HCV_AGENT_STATE_H
#define HCV_AGENT_STATE_H

#include "agent.h"

int hcv_state_init(struct hcv_agent *a);
int hcv_state_start(struct hcv_agent *a);
/**
 * hcv_state_first() - the snapshot; until @until_ms (hcv_now_ms()) the first one is
 *	waited for, unless a read has failed
 *
 * In a job.  Return: a reference, or NULL.
 */
struct hcv_snap *hcv_state_first(struct hcv_agent *a, int64_t until_ms);
/** hcv_state_stop() - end waits of jobs and of the thread; loop thread */
void hcv_state_stop(struct hcv_agent *a);
/** hcv_state_exit() - join the thread, drop the snapshot */
void hcv_state_exit(struct hcv_agent *a);

#endif /* HCV_AGENT_STATE_H */
