/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters and latencies of volumes, replicas and stores, as JSON.
 */
#ifndef HCV_AGENT_IOSTAT_H
#define HCV_AGENT_IOSTAT_H

#include <json-c/json.h>

#include "klink.h"

/** hcv_iostat_counters() - members read_ios .. errors of @o */
void hcv_iostat_counters(const struct hcv_k_counters *c, struct json_object *o);
/** hcv_iostat_latency() - member "latency" of @o: percentiles, histograms */
void hcv_iostat_latency(const struct hcv_k_hists *h, struct json_object *o);

#endif /* HCV_AGENT_IOSTAT_H */
