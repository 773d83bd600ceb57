/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scrubs of the volumes that this node has: when, and what came of them.
 */
#ifndef HCV_AGENT_SCRUB_H
#define HCV_AGENT_SCRUB_H

#include "agent.h"

/** hcv_scrub_of_module() - the module's newest pass as it is remembered */
void hcv_scrub_of_module(const struct hcv_k_vol *k, const char *node,
			 struct hcv_scrub_info *out);
/** hcv_scrub_ended() - the module has a pass that is over */
bool hcv_scrub_ended(const struct hcv_k_vol *k);
int hcv_scrub_init(struct hcv_agent *a);

/* cmd_scrub.c */
/**
 * hcv_scrub_show() - member "scrub" of @out: the pass in the module, the last one
 * that is remembered, and when the next one is due
 * @k: NULL: it is not in the module of this node
 */
void hcv_scrub_show(const struct hcv_snap *s, const struct hcv_snap_vol *v,
		    const struct hcv_k_vol *k, struct json_object *out);

#endif /* HCV_AGENT_SCRUB_H */
