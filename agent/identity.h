/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * STATE/node.json: who this node is, and which metadata store it uses.
 */
#ifndef HCV_AGENT_IDENTITY_H
#define HCV_AGENT_IDENTITY_H

#include "agent.h"

/* What an init or join under way has drawn; see cmd_cluster.c. */
#define HCV_IDENTITY_PENDING	"pending.json"

/**
 * hcv_identity_load() - read STATE/@file
 * Return: 0, -ENOENT, or another -errno with a sentence in @why (HCV_ERR_SIZE)
 */
int hcv_identity_load(struct hcv_agent *a, const char *file,
		      struct hcv_identity *id, char *why);
/** hcv_identity_save() - write it durably; 0 or -errno */
int hcv_identity_save(struct hcv_agent *a, const char *file,
		      const struct hcv_identity *id);
/** hcv_identity_remove() - remove STATE/@file */
void hcv_identity_remove(struct hcv_agent *a, const char *file);

/**
 * hcv_identity_publish() - the node is who it is from now on; any thread
 * @meta: ownership passes
 *
 * Return: 0, -EEXIST when it has an identity already, -ENOMEM
 */
int hcv_identity_publish(struct hcv_agent *a, const struct hcv_identity *id,
			 struct hcv_meta *meta);

#endif /* HCV_AGENT_IDENTITY_H */
