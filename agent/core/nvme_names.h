/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names of NVMe objects, the same on both sides without talking: all follow
 * from the UUIDs of the store and of the client node.  Pure.
 */
#ifndef HCV_AGENT_CORE_NVME_NAMES_H
#define HCV_AGENT_CORE_NVME_NAMES_H

#include <stdbool.h>

#include "model.h"

#define HCV_NQN_LEN	128
#define HCV_SERIAL_LEN	21	/* 20 characters and NUL */
#define HCV_NQN_PREFIX	"nqn.2026-01.io.hcivol:"

/** hcv_nvme_subnqn() - the subsystem through which @client reaches @store */
void hcv_nvme_subnqn(const char *store, const char *client,
		     char out[HCV_NQN_LEN]);
/** hcv_nvme_subnqn_parse() - false: not one of ours */
bool hcv_nvme_subnqn_parse(const char *nqn, char store[HCV_ID_LEN],
			   char client[HCV_ID_LEN]);
/** hcv_nvme_hostnqn() - what node @client calls itself */
void hcv_nvme_hostnqn(const char *client, char out[HCV_NQN_LEN]);
/** hcv_nvme_serial() - the subsystem's serial number */
void hcv_nvme_serial(const char *store, char out[HCV_SERIAL_LEN]);
/** hcv_nvme_nsuuid() - UUID (and NGUID) of the one namespace of the pair */
void hcv_nvme_nsuuid(const char *store, const char *client,
		     char out[HCV_ID_LEN]);

#endif /* HCV_AGENT_CORE_NVME_NAMES_H */
