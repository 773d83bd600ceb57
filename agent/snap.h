/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Building snapshots; their use is in agent.h.
 */
#ifndef HCV_AGENT_SNAP_H
#define HCV_AGENT_SNAP_H

#include "agent.h"

/**
 * hcv_snap_build() - decode a list of all keys
 * @a: only passed on to hcv_snap_bad_key()
 *
 * Return: a snapshot with one reference; NULL without memory
 */
struct hcv_snap *hcv_snap_build(struct hcv_agent *a, const struct hcv_kvs *kvs);

/** hcv_snap_bad_key() - called for a key that cannot be decoded (state.c) */
void hcv_snap_bad_key(struct hcv_agent *a, const char *key, int64_t rev,
		      const char *err);

#endif /* HCV_AGENT_SNAP_H */
