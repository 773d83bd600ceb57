/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Jobs, for the core itself; the reconcilers' part is in agent.h.
 */
#ifndef HCV_AGENT_JOBS_H
#define HCV_AGENT_JOBS_H

#include "agent.h"

int hcv_jobs_init(struct hcv_agent *a);
/** hcv_jobs_exit() - all jobs have ended before (hcv_jobs_idle()) */
void hcv_jobs_exit(struct hcv_agent *a);
/** hcv_jobs_stop() - end queued jobs unrun; running ones see expiry */
void hcv_jobs_stop(struct hcv_agent *a);
bool hcv_jobs_idle(struct hcv_agent *a);
/** hcv_job_start_api() - as hcv_job_start(), from the API's share of threads */
bool hcv_job_start_api(struct hcv_agent *a, const char *key, bool quick,
		       unsigned int deadline_ms, hcv_job_fn fn,
		       hcv_job_fn done, void *arg);

#endif /* HCV_AGENT_JOBS_H */
