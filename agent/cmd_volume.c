// SPDX-License-Identifier: GPL-2.0-only
/*
 * volume.resize, .rename, .set, and the table of the volume commands.
 *
 * A definition is changed by a transaction that compares its revision; the
 * owner's reconciler sees the new one and tells its module.
 */
#include "cmd_volume.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "jout.h"
#include "owner.h"

#define VOLUME_POLICY_MS_MAX	(24U * 3600 * 1000)
#define VOLUME_SYNC_KIBPS_MAX	(1U << 30)
#define VOLUME_POLL_MS		200

int hcv_volcmd_again(struct hcv_volcmd *c)
{
	struct hcv_api_req *req = c->req;
	const char *ref = hcv_api_str(req, "name", "");
	enum hcv_meta_result res;
	unsigned int left;

	hcv_snap_put(c->s);
	c->s = NULL;
	c->v = NULL;
	do {
		left = hcv_job_left(req->job);
		res = hcv_state_read(req->agent, &c->s,
				     left < HCV_META_MS ? left : HCV_META_MS);
		if (res != HCV_META_UNREACHABLE || c->hasty)
			break;
		hcv_owner_wait(req->agent, hcv_now_ms() + VOLUME_POLL_MS);
	} while (!hcv_job_expired(req->job));
	if (res != HCV_META_OK)
		return hcv_error_meta(&req->err, res, c->object);
	c->v = hcv_snap_vol_by_name(c->s, ref);
	if (!c->v)
		c->v = hcv_snap_vol(c->s, ref);
	if (!c->v || !c->v->rev || c->v->i.deleting) {
		c->v = NULL;
		return hcv_error_set(&req->err, HCV_E_NOTFOUND, c->object,
				     "agentctl volume list",
				     "there is none of this name");
	}
	if (c->v->bad)
		return hcv_error_set(&req->err, HCV_E_IO, c->object, NULL,
				     "its metadata is damaged: %s", c->v->why);
	return 0;
}

int hcv_volcmd_begin(struct hcv_volcmd *c, struct hcv_api_req *req)
{
	memset(c, 0, sizeof(*c));
	c->req = req;
	c->hasty = hcv_api_bool(req, "force", false);
	snprintf(c->object, sizeof(c->object), "volume %.100s",
		 hcv_api_str(req, "name", ""));
	return hcv_volcmd_again(c);
}

void hcv_volcmd_end(struct hcv_volcmd *c)
{
	hcv_snap_put(c->s);
}

const char *hcv_volcmd_owner(const struct hcv_snap *s,
			     const struct hcv_snap_vol *v)
{
	const struct hcv_snap_node *n;

	if (!v->rec_rev || !v->rec.owner[0] || v->rec.care.on)
		return "";
	n = hcv_snap_node(s, v->rec.owner);
	return n ? n->i.name : v->rec.owner;
}

const char *hcv_volcmd_caretaker(const struct hcv_snap *s,
				 const struct hcv_snap_vol *v)
{
	const struct hcv_snap_node *n;

	if (!v->rec_rev || !v->rec.care.on)
		return "";
	n = hcv_snap_node(s, v->rec.owner);
	return n ? n->i.name : v->rec.owner;
}

/* Write the definition; @new_name: move the name as well. */
static int volume_write(struct hcv_volcmd *c, const struct hcv_vol_info *i)
{
	char key[64], old_key[96], new_key[96];
	char *value = hcv_model_vol_encode(i), *name = NULL;
	struct hcv_cmp cmp[2];
	struct hcv_op op[3];
	size_t nr_cmp = 0, nr_op = 0;
	enum hcv_meta_result res;
	struct hcv_json j;

	snprintf(key, sizeof(key), "vol/%s", i->uuid);
	cmp[nr_cmp++] = (struct hcv_cmp){ key, c->v->rev };
	op[nr_op++] = (struct hcv_op){ .key = key, .value = value };
	if (strcmp(i->name, c->v->i.name)) {
		hcv_json_init(&j, HCV_SCHEMA);
		hcv_json_put_str(&j, "uuid", i->uuid);
		name = hcv_json_finish(&j);
		snprintf(old_key, sizeof(old_key), "volname/%s",
			 c->v->i.name);
		snprintf(new_key, sizeof(new_key), "volname/%s", i->name);
		cmp[nr_cmp++] = (struct hcv_cmp){ new_key, 0 };
		op[nr_op++] = (struct hcv_op){ .key = new_key, .value = name };
		op[nr_op++] = (struct hcv_op){ .key = old_key };
	}
	if (!value || (nr_op > 1 && !name)) {
		free(value);
		free(name);
		return hcv_error_set(&c->req->err, HCV_E_INTERNAL, c->object,
				     NULL, "out of memory");
	}
	HCV_CRASH_POINT("volume-write");
	res = hcv_meta_txn(hcv_agent_meta(c->req->agent), cmp, nr_cmp, op,
			   nr_op, NULL, hcv_job_left(c->req->job));
	HCV_CRASH_POINT("volume-write-done");
	free(value);
	free(name);
	if (res == HCV_META_CONFLICT)
		return hcv_error_set(&c->req->err, HCV_E_BUSY, c->object,
				     "agentctl volume list",
				     "another command changed it at the same time");
	hcv_state_kick(c->req->agent);
	return hcv_error_meta(&c->req->err, res, c->object);
}

/* ------------------------------------------------------------------- resize */

/* Until the module of this node has the size, if it has the volume. */
static int resize_wait(struct hcv_volcmd *c, uint64_t size)
{
	struct hcv_api_req *req = c->req;
	struct hcv_klink *kl = hcv_job_klink(req->job);
	struct hcv_owner_report rep;
	struct hcv_k_vol k;

	while (kl && !hcv_k_vol_get(kl, c->v->uuid, &k) && k.size < size) {
		hcv_owner_get_report(req->agent, c->v->uuid, &rep);
		if (hcv_job_expired(req->job))
			return hcv_error_set(&req->err, HCV_E_TIMEOUT,
					     c->object, "agentctl volume show",
					     "the new size is recorded, but the module has not taken it yet%s%s",
					     rep.why[0] ? ": " : "", rep.why);
		hcv_owner_wait(req->agent, hcv_now_ms() + VOLUME_POLL_MS);
	}
	return 0;
}

static int resize_run(struct hcv_volcmd *c)
{
	struct hcv_api_req *req = c->req;
	struct hcv_vol_info i = c->v->i;
	uint64_t size = hcv_api_uint(req, "size", 0);

	if (size < 4096 || size % 4096 || size > 1ULL << 50)
		return hcv_error_set(&req->err, HCV_E_USAGE, c->object, NULL,
				     "the size must be a multiple of 4096 bytes, at most 1 PiB");
	if (size < i.size)
		return hcv_error_set(&req->err, HCV_E_REFUSED, c->object,
				     "agentctl volume create --help",
				     "it has %llu bytes and cannot be made smaller; create a smaller volume and copy what is needed",
				     (unsigned long long)i.size);
	hcv_jo_u64(req->result, "old_size", i.size);
	hcv_jo_u64(req->result, "size", size);
	if (size > i.size) {
		i.size = size;
		if (volume_write(c, &i))
			return -1;
		hcv_owner_kick(req->agent, c->v->uuid);
	}
	return resize_wait(c, size);
}

static int hcv_cmd_volume_resize(struct hcv_api_req *req)
{
	struct hcv_volcmd c;
	int ret = hcv_volcmd_begin(&c, req);

	if (!ret)
		ret = resize_run(&c);
	hcv_volcmd_end(&c);
	return ret;
}

/* ------------------------------------------------------------------- rename */

static int rename_run(struct hcv_volcmd *c)
{
	const char *name = hcv_api_str(c->req, "new_name", "");
	struct hcv_vol_info i = c->v->i;

	if (!strcmp(name, i.name))
		return 0;
	if (hcv_snap_vol_by_name(c->s, name))
		return hcv_error_set(&c->req->err, HCV_E_EXISTS, c->object,
				     "agentctl volume list",
				     "there is a volume %.63s already", name);
	snprintf(i.name, sizeof(i.name), "%s", name);
	return volume_write(c, &i);
}

static int hcv_cmd_volume_rename(struct hcv_api_req *req)
{
	struct hcv_volcmd c;
	int ret = hcv_volcmd_begin(&c, req);

	if (!ret)
		ret = rename_run(&c);
	if (!ret)
		hcv_jo_str(req->result, "name",
			   hcv_api_str(req, "new_name", ""));
	hcv_volcmd_end(&c);
	return ret;
}

/* ---------------------------------------------------------------------- set */

struct set_key {
	const char *name;
	const char *values;
	bool (*apply)(struct hcv_vol_info *i, const char *value);
};

static bool set_policy(struct hcv_vol_info *i, const char *value)
{
	if (!strcmp(value, "suspend"))
		i->policy = HCV_POLICY_SUSPEND;
	else if (!strcmp(value, "error"))
		i->policy = HCV_POLICY_ERROR;
	else
		return false;
	return true;
}

static bool set_number(const char *value, unsigned long max, unsigned int *out)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || *end || *value < '0' || *value > '9' || n > max)
		return false;
	*out = (unsigned int)n;
	return true;
}

static bool set_policy_ms(struct hcv_vol_info *i, const char *value)
{
	return set_number(value, VOLUME_POLICY_MS_MAX, &i->policy_ms);
}

static bool set_sync_kibps(struct hcv_vol_info *i, const char *value)
{
	return set_number(value, VOLUME_SYNC_KIBPS_MAX, &i->sync_kibps);
}

static bool set_queue(struct hcv_vol_info *i, const char *value)
{
	if (!strcmp(value, "mq"))
		i->queue = HCV_QUEUE_MQ;
	else if (!strcmp(value, "bio"))
		i->queue = HCV_QUEUE_BIO;
	else
		return false;
	return true;
}

static bool set_readonly(struct hcv_vol_info *i, const char *value)
{
	if (strcmp(value, "on") && strcmp(value, "off"))
		return false;
	i->readonly = !strcmp(value, "on");
	return true;
}

static bool set_slow_replica(struct hcv_vol_info *i, const char *value)
{
	if (strcmp(value, "keep") && strcmp(value, "drop"))
		return false;
	i->slow_drop = !strcmp(value, "drop");
	return true;
}

static const struct set_key set_keys[] = {
	{ "policy", "suspend or error", set_policy },
	{ "policy_ms", "0 to 86400000", set_policy_ms },
	{ "sync_kibps", "KiB/s of a resync, 0 (no limit) to 1073741824",
	  set_sync_kibps },
	{ "slow_replica", "keep or drop", set_slow_replica },
	{ "queue", "mq or bio; from the next attach on", set_queue },
	{ "readonly", "on or off; from the next attach on", set_readonly },
};

#define SET_KEYS (sizeof(set_keys) / sizeof(set_keys[0]))

static int set_run(struct hcv_volcmd *c)
{
	const char *key = hcv_api_str(c->req, "key", "");
	const char *value = hcv_api_str(c->req, "value", "");
	struct hcv_vol_info i = c->v->i;
	char keys[128] = "";
	size_t k, len;

	for (k = 0; k < SET_KEYS; k++) {
		if (!strcmp(key, set_keys[k].name))
			break;
		len = strlen(keys);
		snprintf(keys + len, sizeof(keys) - len, "%s%s",
			 len ? ", " : "", set_keys[k].name);
	}
	if (k == SET_KEYS)
		return hcv_error_set(&c->req->err, HCV_E_USAGE, c->object, NULL,
				     "\"%.40s\" cannot be set; what can: %s",
				     key, keys);
	if (!set_keys[k].apply(&i, value))
		return hcv_error_set(&c->req->err, HCV_E_USAGE, c->object, NULL,
				     "\"%.40s\" is no value for %s: %s", value,
				     key, set_keys[k].values);
	if (volume_write(c, &i))
		return -1;
	hcv_owner_kick(c->req->agent, c->v->uuid);
	hcv_jo_str(c->req->result, "key", key);
	hcv_jo_str(c->req->result, "value", value);
	return 0;
}

static int hcv_cmd_volume_set(struct hcv_api_req *req)
{
	struct hcv_volcmd c;
	int ret = hcv_volcmd_begin(&c, req);

	if (!ret)
		ret = set_run(&c);
	hcv_volcmd_end(&c);
	return ret;
}

/* ---------------------------------------------------------------- the table */

static const struct hcv_api_arg args_create[] = {
	{ "name", HCV_ARG_NAME, true },
	{ "size", HCV_ARG_UINT, true },
	{ "replicas", HCV_ARG_UINT, false },
	{ "stripe", HCV_ARG_UINT, false },
	{ "domain", HCV_ARG_STRING, false },
	{ "queue", HCV_ARG_STRING, false },
	{ "policy", HCV_ARG_STRING, false },
	{ "policy_ms", HCV_ARG_UINT, false },
	{ "readonly", HCV_ARG_BOOL, false },
	{ NULL }
};

static const struct hcv_api_arg args_name[] = {
	{ "name", HCV_ARG_STRING, true },
	{ NULL }
};

static const struct hcv_api_arg args_attach[] = {
	{ "name", HCV_ARG_STRING, true },
	{ "takeover", HCV_ARG_BOOL, false },
	{ "readonly", HCV_ARG_BOOL, false },
	{ "queue", HCV_ARG_STRING, false },
	{ NULL }
};

static const struct hcv_api_arg args_detach[] = {
	{ "name", HCV_ARG_STRING, true },
	{ "force", HCV_ARG_BOOL, false },
	{ NULL }
};

static const struct hcv_api_arg args_handover[] = {
	{ "name", HCV_ARG_STRING, true },
	{ "to", HCV_ARG_STRING, false },
	{ "prepare", HCV_ARG_BOOL, false },
	{ "abort", HCV_ARG_BOOL, false },
	{ "limit_s", HCV_ARG_UINT, false },
	{ NULL }
};

static const struct hcv_api_arg args_resize[] = {
	{ "name", HCV_ARG_STRING, true },
	{ "size", HCV_ARG_UINT, true },
	{ NULL }
};

static const struct hcv_api_arg args_rename[] = {
	{ "name", HCV_ARG_STRING, true },
	{ "new_name", HCV_ARG_NAME, true },
	{ NULL }
};

static const struct hcv_api_arg args_set[] = {
	{ "name", HCV_ARG_STRING, true },
	{ "key", HCV_ARG_STRING, true },
	{ "value", HCV_ARG_STRING, true },
	{ NULL }
};

static const struct hcv_api_cmd volume_cmds[] = {
	{ "volume.create", hcv_cmd_volume_create, 15000, 0, args_create },
	{ "volume.list", hcv_cmd_volume_list, 10000, HCV_API_SNAPSHOT, NULL },
	{ "volume.show", hcv_cmd_volume_show, 10000, HCV_API_SNAPSHOT,
	  args_name },
	{ "volume.attach", hcv_cmd_volume_attach, 60000, 0, args_attach },
	{ "volume.detach", hcv_cmd_volume_detach, 30000, 0, args_detach },
	{ "volume.handover", hcv_cmd_volume_handover, 60000, 0,
	  args_handover },
	{ "volume.resize", hcv_cmd_volume_resize, 30000, 0, args_resize },
	{ "volume.delete", hcv_cmd_volume_delete, 30000, 0, args_name },
	{ "volume.rename", hcv_cmd_volume_rename, 15000, 0, args_rename },
	{ "volume.set", hcv_cmd_volume_set, 15000, 0, args_set },
};

int hcv_cmd_volume_init(struct hcv_agent *a)
{
	hcv_api_register(a, volume_cmds,
			 sizeof(volume_cmds) / sizeof(volume_cmds[0]));
	return 0;
}
