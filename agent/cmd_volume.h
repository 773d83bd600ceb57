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
/** hcv_volcmd_owner() - of the node that has it attached, "": none */
const char *hcv_volcmd_owner(const struct hcv_snap *s,
			     const struct hcv_snap_vol *v);
/** hcv_volcmd_caretaker() - of the node that takes care of it, "": none */
const char *hcv_volcmd_caretaker(const struct hcv_snap *s,
				 const struct hcv_snap_vol *v);

/** struct hcv_volcare - how long a command waits for a caretaker; zeroed first */
struct hcv_volcare {
	int64_t since_ms;
	int64_t told_ms;
};

/**
 * hcv_volcare_release() - have the volume's caretaker, if there is one, give it up
 * @s, @v: as just read
 *
 * Waits for half a second at most, so that the caller reads anew.
 * Return: 0: there is none; 1: read anew and call again; -1 with the error
 */
int hcv_volcare_release(struct hcv_api_req *req, const struct hcv_snap *s,
			const struct hcv_snap_vol *v, const char *object,
			struct hcv_volcare *w);
/** hcv_volcare_write() - change the record, and name nobody any more */
enum hcv_meta_result hcv_volcare_write(struct hcv_api_req *req,
				       const struct hcv_snap_vol *v,
				       const struct hcv_record *rec);

int hcv_cmd_volume_list(struct hcv_api_req *req);
int hcv_cmd_volume_show(struct hcv_api_req *req);
int hcv_cmd_volume_attach(struct hcv_api_req *req);
int hcv_cmd_volume_detach(struct hcv_api_req *req);
int hcv_cmd_volume_handover(struct hcv_api_req *req);
int hcv_cmd_volume_create(struct hcv_api_req *req);
int hcv_cmd_volume_delete(struct hcv_api_req *req);

#endif /* HCV_AGENT_CMD_VOLUME_H */
