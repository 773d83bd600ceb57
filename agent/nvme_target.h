/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NVMe over Fabrics, target side: nvmet through configfs.
 *
 * One subsystem per (store, client node) with one namespace and one allowed
 * host, one port per node address.  All functions may block up to @until_ms
 * (hcv_now_ms() time), may be repeated after a failure at any point and after
 * the agent was killed at any point, and leave objects of others alone.
 * They return 0 or -errno with a sentence in @err (HCV_ERR_SIZE).
 *
 * None of this fences anything: the module's gate does.
 */
#ifndef HCV_AGENT_NVME_TARGET_H
#define HCV_AGENT_NVME_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/model.h"

/** struct hcv_nvmet_addr - where this node listens */
struct hcv_nvmet_addr {
	const char *transport;	/* "tcp", "rdma" */
	const char *addr;	/* IPv4 or IPv6 */
	unsigned int port;
};

/** struct hcv_nvmet_subsys - a subsystem of ours found in configfs */
struct hcv_nvmet_subsys {
	char store[HCV_ID_LEN];
	char client[HCV_ID_LEN];
};

/** hcv_nvmet_prepare() - load the modules, mount configfs */
int hcv_nvmet_prepare(const char *transport, int64_t until_ms, char *err);

/**
 * hcv_nvmet_ensure() - have @client reach @dev of @store at @at
 * @dev: block device, "/dev/hcvx3"
 *
 * Does nothing if all is as it should be.  What a killed agent left half-made
 * or what serves another device is taken down first.
 */
int hcv_nvmet_ensure(const struct hcv_nvmet_addr *at, const char *store,
		     const char *client, const char *dev, int64_t until_ms,
		     char *err);

/**
 * hcv_nvmet_remove() - take the pair's subsystem down; none is fine
 *
 * Host, port, then the namespace: disabling waits for what the client has in
 * flight (12-17 s when it was cut off in a large write), so it may time out;
 * repeat then.  @dev is closed when this returned 0.
 */
int hcv_nvmet_remove(const char *store, const char *client, int64_t until_ms,
		     char *err);

/** hcv_nvmet_list() - all subsystems of ours; malloc'd, caller frees */
int hcv_nvmet_list(struct hcv_nvmet_subsys **out, size_t *nr, char *err);

#endif /* HCV_AGENT_NVME_TARGET_H */
