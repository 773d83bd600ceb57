/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Watching this node's stores; the decisions are in core/health.h.
 */
#ifndef HCV_AGENT_HEALTH_WATCH_H
#define HCV_AGENT_HEALTH_WATCH_H

#include "agent.h"

/** hcv_health_json() - member "health" of @o, for a store of the cluster */
void hcv_health_json(const struct hcv_snap_store *st, struct json_object *o);

/**
 * hcv_health_speed() - how much faster time goes for a store's health
 *
 * HCV_HEALTH_SPEED in the environment, for tests; 1 otherwise.
 */
unsigned int hcv_health_speed(void);

#endif /* HCV_AGENT_HEALTH_WATCH_H */
