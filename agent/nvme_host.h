/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NVMe over Fabrics, host side: one disposable controller per (this node,
 * remote store).
 *
 * A controller that failed is not waited for but deleted and replaced: what
 * the kernel's own reconnect brings back is refused by the target's gate
 * anyway, and kernels differ in when they give up.
 *
 * All functions may block up to @until_ms (hcv_now_ms() time) and may be
 * repeated after any failure or kill.  They return 0 or -errno with a
 * sentence in @err (HCV_ERR_SIZE).
 */
#ifndef HCV_AGENT_NVME_HOST_H
#define HCV_AGENT_NVME_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/model.h"

/**
 * struct hcv_nvme_conn - whom to reach
 * @client: this node
 * @slow: a disk that may take seconds (class hdd): longer time-outs
 */
struct hcv_nvme_conn {
	const char *client;
	const char *store;
	const char *transport;	/* "tcp", "rdma" */
	const char *addr;
	unsigned int port;
	bool slow;
};

enum hcv_nvme_state {
	HCV_NVME_NEW,
	HCV_NVME_LIVE,
	HCV_NVME_RESETTING,
	HCV_NVME_CONNECTING,
	HCV_NVME_DELETING,
	HCV_NVME_DEAD,
};

/** struct hcv_nvme_ctrl - one controller of ours in this kernel */
struct hcv_nvme_ctrl {
	char name[32];			/* "nvme3" */
	char store[HCV_ID_LEN];
	char client[HCV_ID_LEN];
	char address[128];		/* "traddr=...,trsvcid=...[,...]" */
	char transport[8];
	enum hcv_nvme_state state;
};

#define HCV_NVME_DEV_LEN	64

/**
 * hcv_nvme_load_core() - load nvme_core as we want it, unless it is there
 *
 * The target side needs it first too: from 6.12 on nvmet pulls it in.
 */
int hcv_nvme_load_core(int64_t until_ms, char *err);

/** hcv_nvme_prepare() - load the host's modules */
int hcv_nvme_prepare(const char *transport, int64_t until_ms, char *err);

/**
 * hcv_nvme_connect() - have the store as a block device
 * @dev: HCV_NVME_DEV_LEN bytes, gets "/dev/nvme0n1"
 *
 * A LIVE controller of the pair at this address is used; one in any other
 * state, or at another address, is deleted and a new one made.  Returns once
 * the namespace is there, has the expected UUID and the right time-outs.
 * nvme names are not stable: open the device at once.
 */
int hcv_nvme_connect(const struct hcv_nvme_conn *c, char *dev,
		     int64_t until_ms, char *err);

/**
 * hcv_nvme_lookup() - the block device, if hcv_nvme_connect() need do nothing
 *
 * Does not block.  -EAGAIN: there is no LIVE controller with a namespace.
 */
int hcv_nvme_lookup(const struct hcv_nvme_conn *c, char *dev, char *err);

/**
 * hcv_nvme_disconnect() - delete the pair's controllers; none is fine
 * @failed: the target is believed dead: wait for the state `connecting`,
 *	in which deletion is quick, before deleting; a LIVE controller whose
 *	target is frozen takes 20 s and more
 *
 * -ETIMEDOUT: still under way; it will end, a repeat waits on.
 */
int hcv_nvme_disconnect(const char *store, const char *client, bool failed,
			int64_t until_ms, char *err);

/** hcv_nvme_list() - controllers of @client, NULL: of all; caller frees */
int hcv_nvme_list(const char *client, struct hcv_nvme_ctrl **out, size_t *nr,
		  char *err);

/** hcv_nvme_state_name() - the kernel's word */
const char *hcv_nvme_state_name(enum hcv_nvme_state state);

#endif /* HCV_AGENT_NVME_HOST_H */
