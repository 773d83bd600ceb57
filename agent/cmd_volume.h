/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the volume commands share.
 */
#ifndef HCV_AGENT_CMD_VOLUME_H
#define HCV_AGENT_CMD_VOLUME_H

#include "agent.h"

/**
 * struct hcv_volcmd - a command about one volume, as just read
 * @hasty: with --force: not to wait for a metadata store that is away
 */
struct hcv_volcmd {
	struct hcv_api_req *req;
	struct hcv_snap *s;
	const struct hcv_snap_vol *v;
	char object[128];	/* "volume db1" */
	bool hasty;
};

/**
 * hcv_volcmd_begin() - read everything and find the volume of "name"
 *
 * Return: 0, or -1 with the request's error; hcv_volcmd_end() in both cases.
 */
int hcv_volcmd_begin(struct hcv_volcmd *c, struct hcv_api_req *req);
/** hcv_volcmd_again() - read anew, the same volume */
int hcv_volcmd_again(struct hcv_volcmd *c);
void hcv_volcmd_end(struct hcv_volcmd *c);
/** hcv_volcmd_owner() - the owner's name, "" without one */
const char *hcv_volcmd_owner(const struct hcv_snap *s,
			     const struct hcv_snap_vol *v);

int hcv_cmd_volume_list(struct hcv_api_req *req);
int hcv_cmd_volume_show(struct hcv_api_req *req);
int hcv_cmd_volume_attach(struct hcv_api_req *req);
int hcv_cmd_volume_detach(struct hcv_api_req *req);
int hcv_cmd_volume_handover(struct hcv_api_req *req);
int hcv_cmd_volume_create(struct hcv_api_req *req);
int hcv_cmd_volume_delete(struct hcv_api_req *req);

#endif /* HCV_AGENT_CMD_VOLUME_H */
