// SPDX-License-Identifier: GPL-2.0-only
/*
 * hcivol-inspect format: make a store, without an agent.
 */
#include "hcv_mkfs.h"
#include "inspect.h"

int hcv_ins_cmd_format(struct hcv_ins_args *args)
{
	struct hcv_mkfs mk = { .path = args->dev[0], .label = args->label,
			       .force = args->force };
	char err[HCV_MKFS_ERR_SIZE];
	struct json_object *obj;

	memcpy(mk.cluster, args->cluster, HCV_UUID_SIZE);
	memcpy(mk.store, args->uuid, HCV_UUID_SIZE);
	if (hcv_mkfs(&mk, err)) {
		hcv_ins_error("%s", err);
		return HCV_INS_FAILED;
	}
	if (args->json) {
		obj = hcv_ins_json("format");
		hcv_ins_json_str(obj, "path", mk.path);
		hcv_ins_json_uuid(obj, "store", mk.store);
		hcv_ins_json_u64(obj, "dev_bytes", mk.dev_bytes);
		hcv_ins_json_u64(obj, "lba_bytes", mk.lba_bytes);
		hcv_ins_json_u64(obj, "nr_extents", mk.nr_extents);
		hcv_ins_json_u64(obj, "nr_vols", mk.nr_vols);
		return hcv_ins_json_out(obj) ? HCV_INS_OK : HCV_INS_FAILED;
	}
	printf("%s: store %s, %u extents of 256 MiB, up to %u volumes\n",
	       mk.path, hcv_dump_uuid(mk.store), mk.nr_extents, mk.nr_vols);
	return fflush(stdout) ? HCV_INS_FAILED : HCV_INS_OK;
}
