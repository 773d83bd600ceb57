// SPDX-License-Identifier: GPL-2.0-only
/*
 * store.add, store.list, store.show, store.health, store.remove, store.drain,
 * store.undrain.
 *
 * add: format, then one transaction that makes the store known; the membership
 * reconciler opens it.  Killed in between, the device carries a store that
 * nobody knows and that was never opened, which a repeat may format again.
 *
 * remove: state "removed" first, which keeps new extents away; then close,
 * wipe, and delete the keys.  Killed in between, a repeat goes on.
 */
#include "agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/hcivol_format.h>
#include <uuid/uuid.h>

#include "hcv_mkfs.h"
#include "health_watch.h"
#include "iostat.h"
#include "jout.h"
#include "lowerdev.h"
#include "member.h"
#include "place.h"
#include "planner.h"

static const char *hcv_store_state(const struct hcv_store_info *st)
{
	if (st->state == HCV_ST_REMOVED)
		return "removed";
	return st->state == HCV_ST_DRAINING ? "draining" : "ready";
}

static void hcv_store_json(const struct hcv_snap *s,
			   const struct hcv_snap_store *st,
			   struct json_object *o)
{
	const struct hcv_snap_node *n = hcv_snap_node(s, st->i.node);

	hcv_jo_str(o, "name", st->i.name);
	hcv_jo_str(o, "uuid", st->i.uuid);
	hcv_jo_str(o, "node", n ? n->i.name : st->i.node);
	hcv_jo_str(o, "path", st->i.path);
	hcv_jo_str(o, "class", st->i.class);
	hcv_jo_str(o, "state", hcv_store_state(&st->i));
	hcv_jo_bool(o, "live", st->i.live);
	hcv_jo_bool(o, "failed", st->i.failed);
	hcv_jo_u64(o, "extents", st->i.nr_extents);
	hcv_jo_u64(o, "used_extents", st->i.live ? st->i.used_extents :
		   hcv_place_rows_on(s, st->i.uuid));
	hcv_jo_u64(o, "bytes", (uint64_t)st->i.nr_extents * HCV_EXTENT_SIZE);
	hcv_health_json(st, o);
}

static int hcv_cmd_store_list(struct hcv_api_req *req)
{
	struct json_object *array = hcv_jo_array(req->result, "stores");
	struct hcv_snap *s = hcv_snap_get(req->agent);
	size_t i;

	for (i = 0; i < s->nr_stores; i++)
		hcv_store_json(s, &s->store[i], hcv_jo_push(array));
	hcv_snap_put(s);
	return 0;
}

static const struct hcv_snap_store *hcv_store_arg(struct hcv_api_req *req,
						  const struct hcv_snap *s)
{
	const char *ref = hcv_api_str(req, "name", "");
	const struct hcv_snap_store *st = hcv_snap_store_find(s, ref);
	char object[128];

	if (st)
		return st;
	snprintf(object, sizeof(object), "store %.100s", ref);
	hcv_error_set(&req->err, HCV_E_NOTFOUND, object, "agentctl store list",
		      "there is none of this name, or several: then NODE:NAME or the UUID is needed");
	return NULL;
}

static uint32_t hcv_store_rows(const struct hcv_snap_vol *v, const char *store)
{
	uint32_t rows = 0;
	unsigned int k;
	size_t i;

	for (i = 0; i < v->rows.nr; i++)
		for (k = 0; k < v->rows.row[i].nr; k++)
			rows += !strcmp(v->rows.row[i].store[k], store);
	return rows;
}

/* What this node's module has counted, if the store is open here. */
static void hcv_store_iostat(struct hcv_api_req *req, const char *uuid)
{
	struct hcv_klink *kl = hcv_job_klink(req->job);
	struct json_object *o;
	struct hcv_k_store k;
	struct hcv_k_hists h;

	if (!kl || hcv_k_store_get(kl, uuid, &k) ||
	    hcv_k_store_hists(kl, uuid, &h))
		return;
	o = hcv_jo_obj(req->result, "module");
	hcv_iostat_counters(&k.count, o);
	hcv_iostat_latency(&h, o);
}

static int hcv_cmd_store_show(struct hcv_api_req *req)
{
	static const char * const state[] = {
		"insync", "stale", "syncing", "temporary"
	};
	struct hcv_snap *s = hcv_snap_get(req->agent);
	const struct hcv_snap_store *st = hcv_store_arg(req, s);
	const struct hcv_rec_store *rs;
	struct json_object *array, *o;
	char why[HCV_ERR_SIZE] = "", plan[512];
	uint32_t rows;
	size_t i;

	if (!st) {
		hcv_snap_put(s);
		return -1;
	}
	hcv_store_json(s, st, req->result);
	hcv_jo_u64(req->result, "dev_bytes", st->i.dev_bytes);
	hcv_jo_u64(req->result, "incarnation", st->i.incarnation);
	if (!strcmp(st->i.node, hcv_agent_id(req->agent)->node))
		hcv_member_store_error(req->agent, st->i.uuid, why);
	hcv_jo_str(req->result, "error", why);
	hcv_store_iostat(req, st->i.uuid);
	array = hcv_jo_array(req->result, "volumes");
	for (i = 0; i < s->nr_vols; i++) {
		rows = hcv_store_rows(&s->vol[i], st->i.uuid);
		if (!rows)
			continue;
		rs = hcv_snap_rec_store(&s->vol[i].rec, st->i.uuid);
		o = hcv_jo_push(array);
		hcv_jo_str(o, "name", s->vol[i].i.name);
		hcv_jo_u64(o, "extents", rows);
		hcv_jo_str(o, "state", rs ? state[rs->state] : "");
		hcv_planner_share(s, &s->vol[i], st->i.uuid, plan,
				  sizeof(plan));
		hcv_jo_str(o, "plan", plan);
	}
	hcv_snap_put(s);
	return 0;
}

/* ------------------------------------------------------------------- health */

/*
 * Forget what is held against a store, and with it the wish of its health that it
 * be emptied; what an operator wished stays.  The store's node goes on from there.
 */
static int hcv_store_clear(struct hcv_api_req *req,
			   const struct hcv_snap_store *st)
{
	struct hcv_health_key key = st->health;
	bool drain = st->drain_rev && st->drain.by_health;
	char hkey[64], skey[64], dkey[64], object[128];
	struct hcv_cmp cmp[3] = { { skey, st->rev }, { hkey, st->health_rev },
				  { dkey, st->drain_rev } };
	struct hcv_op op[2] = { { .key = hkey }, { .key = dkey } };
	enum hcv_meta_result res;
	char *value;

	snprintf(object, sizeof(object), "store %s", st->i.name);
	if (hcv_health_set(&key.h, HCV_HEALTH_OK, NULL, time(NULL)) && !drain)
		return 0;	/* there is nothing */
	snprintf(hkey, sizeof(hkey), "health/%s", st->i.uuid);
	snprintf(skey, sizeof(skey), "store/%s", st->i.uuid);
	snprintf(dkey, sizeof(dkey), "drain/%s", st->i.uuid);
	value = hcv_health_key_encode(&key);
	if (!value)
		return hcv_error_set(&req->err, HCV_E_INTERNAL, object, NULL,
				     "out of memory");
	op[0].value = value;
	HCV_CRASH_POINT("store-health");
	res = hcv_meta_txn(hcv_agent_meta(req->agent), cmp, drain ? 3 : 2, op,
			   drain ? 2 : 1, NULL, hcv_job_left(req->job));
	HCV_CRASH_POINT("store-health-done");
	free(value);
	if (res == HCV_META_CONFLICT)
		return 1;
	if (res != HCV_META_OK)
		return hcv_error_meta(&req->err, res, object);
	hcv_event_emit(req->agent, HCV_SEV_INFO, object, NULL,
		       "health is ok: an operator said so");
	hcv_state_kick(req->agent);
	return 0;
}

static int hcv_cmd_store_health(struct hcv_api_req *req)
{
	bool clear = hcv_api_bool(req, "clear", false);
	const struct hcv_snap_store *st;
	enum hcv_meta_result res;
	struct hcv_snap *s;
	int ret;

	do {
		res = hcv_state_read(req->agent, &s, HCV_META_MS);
		if (res != HCV_META_OK)
			return hcv_error_meta(&req->err, res, "metadata store");
		st = hcv_store_arg(req, s);
		ret = !st ? -1 : clear ? hcv_store_clear(req, st) : 0;
		if (!ret && !clear)
			hcv_store_json(s, st, req->result);
		if (!ret && clear)
			hcv_jo_str(req->result, "name", st->i.name);
		hcv_snap_put(s);
	} while (ret > 0 && !hcv_job_expired(req->job));
	if (ret > 0)
		return hcv_error_set(&req->err, HCV_E_TIMEOUT, "store", NULL,
				     "its health keeps changing; try again");
	return ret;
}

/* ---------------------------------------------------------------------- add */

/* May this device be formatted, and must an unused store be replaced? */
static int hcv_store_add_check(struct hcv_api_req *req,
			       const struct hcv_snap *s,
			       const struct hcv_lowerdev *dev, bool *replace)
{
	const struct hcv_snap_store *st;
	char object[128], hint[256];
	char why[HCV_ERR_SIZE];

	snprintf(object, sizeof(object), "device %.100s", dev->real);
	if (!hcv_member_module(req->agent, NULL, why))
		return hcv_error_set(&req->err, HCV_E_UNREACHABLE, "module",
				     "modprobe hcivol", "%s", why);
	*replace = false;
	if (!dev->has_store)
		return 0;
	st = hcv_snap_store(s, dev->store);
	if (st) {
		snprintf(hint, sizeof(hint), "agentctl store remove %s",
			 st->i.name);
		return hcv_error_set(&req->err, HCV_E_EXISTS, object, hint,
				     "it is store %s of this cluster",
				     st->i.name);
	}
	*replace = !strcmp(dev->cluster, hcv_agent_id(req->agent)->cluster) &&
		!dev->used;
	return 0;
}

static int hcv_store_names_ok(struct hcv_api_req *req,
			      const struct hcv_snap *s, const char *name)
{
	const struct hcv_identity *id = hcv_agent_id(req->agent);
	char object[128];
	size_t i;

	snprintf(object, sizeof(object), "store %.60s", name);
	if (!hcv_model_name_ok(name))
		return hcv_error_set(&req->err, HCV_E_USAGE, object, NULL,
				     "this is no name for a store; choose one with --name");
	for (i = 0; i < s->nr_stores; i++)
		if (!strcmp(s->store[i].i.node, id->node) &&
		    !strcmp(s->store[i].i.name, name))
			return hcv_error_set(&req->err, HCV_E_EXISTS, object,
					     "agentctl store list",
					     "this node has a store of this name; choose another with --name");
	return 0;
}

static int hcv_store_format(struct hcv_api_req *req,
			    const struct hcv_lowerdev *dev, bool force,
			    struct hcv_store_info *st)
{
	struct hcv_mkfs mk = { .path = dev->real, .label = st->name,
			       .force = force };
	char why[HCV_MKFS_ERR_SIZE], object[128];
	enum hcv_code code = HCV_E_IO;
	int ret;

	snprintf(object, sizeof(object), "device %.100s", dev->real);
	if (uuid_parse(hcv_agent_id(req->agent)->cluster, mk.cluster))
		return hcv_error_set(&req->err, HCV_E_INTERNAL, object, NULL,
				     "the cluster's UUID is malformed");
	ret = hcv_mkfs(&mk, why);
	HCV_CRASH_POINT("store-add-formatted");
	if (!ret) {
		uuid_unparse_lower(mk.store, st->uuid);
		st->dev_bytes = mk.dev_bytes;
		st->nr_extents = mk.nr_extents;
		return 0;
	}
	if (ret == -EEXIST)
		code = HCV_E_REFUSED;
	else if (ret == -EBUSY)
		code = HCV_E_BUSY;
	else if (ret == -ENOSPC || ret == -EFBIG || ret == -ENOTBLK ||
		 ret == -EINVAL)
		code = HCV_E_REFUSED;
	return hcv_error_set(&req->err, code, object,
			     ret == -EEXIST ? "agentctl store add --force" :
			     "lsblk -f", "%s", why);
}

static int hcv_store_register(struct hcv_api_req *req,
			      const struct hcv_store_info *st)
{
	char *value = hcv_model_store_encode(st);
	enum hcv_meta_result res;
	struct hcv_cmp cmp;
	struct hcv_op op;
	char key[64];

	if (!value)
		return hcv_error_set(&req->err, HCV_E_INTERNAL, st->name, NULL,
				     "out of memory");
	snprintf(key, sizeof(key), "store/%s", st->uuid);
	cmp = (struct hcv_cmp){ .key = key, .rev = 0 };
	op = (struct hcv_op){ .key = key, .value = value };
	res = hcv_meta_txn(hcv_agent_meta(req->agent), &cmp, 1, &op, 1, NULL,
			   hcv_job_left(req->job));
	HCV_CRASH_POINT("store-add-registered");
	free(value);
	return hcv_error_meta(&req->err, res, st->name);
}

/* Until the store is announced as open, or known not to open. */
static int hcv_store_wait_open(struct hcv_api_req *req, const char *uuid)
{
	const struct hcv_snap_store *st;
	struct hcv_snap *s;
	char why[HCV_ERR_SIZE] = "";
	uint64_t seq = 0;
	bool live;

	do {
		s = hcv_snap_wait(req->agent, seq, req->job->deadline_ms);
		if (!s)
			break;
		seq = s->seq;
		st = hcv_snap_store(s, uuid);
		live = st && st->i.live;
		if (live)
			hcv_store_json(s, st, req->result);
		hcv_snap_put(s);
		if (live)
			return 0;
		hcv_member_store_error(req->agent, uuid, why);
	} while (!*why && !hcv_job_expired(req->job));
	return hcv_error_set(&req->err, *why ? HCV_E_IO : HCV_E_TIMEOUT,
			     "store", "agentctl store list",
			     "it was formatted and registered, but is not open: %s",
			     *why ? why : "no answer yet");
}

/* Two at a time could format one device twice. */
static pthread_mutex_t hcv_store_lock = PTHREAD_MUTEX_INITIALIZER;

static int hcv_store_add(struct hcv_api_req *req, const struct hcv_snap *s)
{
	const char *class = hcv_api_str(req, "class", NULL);
	struct hcv_store_info st = { .state = HCV_ST_READY };
	struct hcv_lowerdev dev;
	bool replace;

	if (class && strcmp(class, "ssd") && strcmp(class, "hdd"))
		return hcv_error_set(&req->err, HCV_E_USAGE, "store", NULL,
				     "class must be ssd or hdd");
	if (hcv_lowerdev_probe(hcv_api_str(req, "path", ""), &dev, &req->err) ||
	    hcv_store_add_check(req, s, &dev, &replace))
		return -1;
	snprintf(st.name, sizeof(st.name), "%s",
		 hcv_api_str(req, "name", dev.kname));
	if (hcv_store_names_ok(req, s, st.name))
		return -1;
	snprintf(st.node, sizeof(st.node), "%s", hcv_agent_id(req->agent)->node);
	snprintf(st.path, sizeof(st.path), "%s", dev.path);
	snprintf(st.class, sizeof(st.class), "%s", class ? class :
		 dev.rotational ? "hdd" : "ssd");
	if (hcv_store_format(req, &dev, replace ||
			     hcv_api_bool(req, "force", false), &st) ||
	    hcv_store_register(req, &st))
		return -1;
	hcv_event_emit(req->agent, HCV_SEV_INFO, "store", NULL,
		       "%s was added (%s)", st.name, st.path);
	return hcv_store_wait_open(req, st.uuid);
}

static int hcv_cmd_store_add(struct hcv_api_req *req)
{
	enum hcv_meta_result res;
	struct hcv_snap *s;
	int ret;

	if (pthread_mutex_trylock(&hcv_store_lock))
		return hcv_error_set(&req->err, HCV_E_BUSY, "store", NULL,
				     "another store is being added or removed");
	res = hcv_state_read(req->agent, &s, HCV_META_MS);
	if (res == HCV_META_OK)
		ret = hcv_store_add(req, s);
	else
		ret = hcv_error_meta(&req->err, res, "metadata store");
	pthread_mutex_unlock(&hcv_store_lock);
	hcv_snap_put(s);
	return ret;
}

/* ------------------------------------------------------------------- remove */

static int hcv_store_empty(struct hcv_api_req *req, const struct hcv_snap *s,
			   const struct hcv_snap_store *st)
{
	uint32_t rows = hcv_place_rows_on(s, st->i.uuid);
	char object[128], hint[256];

	snprintf(object, sizeof(object), "store %s", st->i.name);
	snprintf(hint, sizeof(hint), "agentctl store show %s", st->i.name);
	if (rows)
		return hcv_error_set(&req->err, HCV_E_BUSY, object, hint,
				     "it holds %u extents of volumes", rows);
	/* A disk that failed frees nothing any more. */
	if (st->i.live && !st->i.failed && st->i.used_extents)
		return hcv_error_set(&req->err, HCV_E_BUSY, object, hint,
				     "%u extents of deleted volumes are still being freed",
				     st->i.used_extents);
	return 0;
}

static int hcv_store_set_state(struct hcv_api_req *req,
			       const struct hcv_snap_store *st,
			       enum hcv_store_state state)
{
	struct hcv_store_info i = st->i;
	enum hcv_meta_result res;
	struct hcv_cmp cmp;
	struct hcv_op op;
	char key[64];
	char *value;

	if (i.state == state)
		return 0;
	i.state = state;
	value = hcv_model_store_encode(&i);
	if (!value)
		return hcv_error_set(&req->err, HCV_E_INTERNAL, i.name, NULL,
				     "out of memory");
	snprintf(key, sizeof(key), "store/%s", i.uuid);
	cmp = (struct hcv_cmp){ .key = key, .rev = st->rev };
	op = (struct hcv_op){ .key = key, .value = value };
	res = hcv_meta_txn(hcv_agent_meta(req->agent), &cmp, 1, &op, 1, NULL,
			   HCV_META_MS);
	free(value);
	return hcv_error_meta(&req->err, res, i.name);
}

/*
 * The store as it is now, by a linearizable read; put *out.  By its UUID: once
 * a command has found its store, a name must not lead to another one or none.
 */
static int hcv_store_read(struct hcv_api_req *req, const char *uuid,
			  struct hcv_snap **out,
			  const struct hcv_snap_store **st)
{
	enum hcv_meta_result res = hcv_state_read(req->agent, out, HCV_META_MS);

	*st = NULL;
	if (res != HCV_META_OK)
		return hcv_error_meta(&req->err, res, "metadata store");
	*st = hcv_snap_store(*out, uuid);
	return 0;
}

static int hcv_store_changed(struct hcv_api_req *req, const char *name)
{
	char object[128];

	snprintf(object, sizeof(object), "store %s", name);
	return hcv_error_set(&req->err, HCV_E_BUSY, object,
			     "agentctl store list",
			     "it was changed at the same time; try again");
}

/* Extents of deleted volumes are freed when the last lease on them is over. */
static void hcv_store_wait_freed(struct hcv_api_req *req, const char *uuid)
{
	const struct hcv_snap_store *st;
	bool wait = true;
	struct hcv_snap *s;
	uint64_t seq = 0;

	while (wait && !hcv_job_expired(req->job)) {
		s = hcv_snap_wait(req->agent, seq, req->job->deadline_ms);
		if (!s)
			return;
		seq = s->seq;
		st = hcv_snap_store(s, uuid);
		wait = st && st->i.live && !st->i.failed &&
			st->i.used_extents &&
			!hcv_place_rows_on(s, st->i.uuid);
		hcv_snap_put(s);
	}
}

/* No new row can name it any more; was one written just before? */
static int hcv_store_reserve(struct hcv_api_req *req,
			     const struct hcv_store_info *info)
{
	enum hcv_store_state before = HCV_ST_READY;
	const struct hcv_snap_store *st;
	struct hcv_error first;
	struct hcv_snap *s;
	int ret;

	hcv_store_wait_freed(req, info->uuid);
	ret = hcv_store_read(req, info->uuid, &s, &st);
	if (!ret && !st)
		ret = hcv_store_changed(req, info->name);
	if (!ret)
		ret = hcv_store_empty(req, s, st);
	if (!ret && st->i.state == HCV_ST_DRAINING)
		before = HCV_ST_DRAINING;
	if (!ret)
		ret = hcv_store_set_state(req, st, HCV_ST_REMOVED);
	hcv_snap_put(s);
	HCV_CRASH_POINT("store-remove-marked");
	if (ret)
		return ret;
	ret = hcv_store_read(req, info->uuid, &s, &st);
	if (!ret && !st)
		ret = hcv_store_changed(req, info->name);
	if (!ret)
		ret = hcv_store_empty(req, s, st);
	if (ret && st) {
		first = req->err;
		hcv_store_set_state(req, st, before);
		req->err = first;
	}
	hcv_snap_put(s);
	return ret;
}

/*
 * Close the store in the module, and wait for those who use it.  Reconcilers
 * drop exports and grants as they see the new state.
 */
static int hcv_store_close(struct hcv_api_req *req, struct hcv_klink *k,
			   const struct hcv_store_info *st)
{
	char object[128];
	int ret;

	do {
		ret = hcv_k_store_close(k, st->uuid);
		if (ret == -EBUSY)
			hcv_snap_put(hcv_snap_wait(req->agent, 0,
						   req->job->deadline_ms));
	} while (ret == -EBUSY && !hcv_job_expired(req->job));
	if (!ret || ret == -ENOENT || ret == -ENODEV)
		return 0;
	snprintf(object, sizeof(object), "store %s", st->name);
	return hcv_error_kernel(&req->err, ret, k, object);
}

/*
 * Close it, and wipe its superblock.  Membership may have looked at the store
 * before it was marked and open it after the close: so every wipe that finds
 * the disk in use closes once more.  There is an end to that, because who
 * looks after the mark opens nothing, and a wiped disk cannot be opened.  The
 * last user in the kernel, a dump say, lets go a moment after the close.
 */
static int hcv_store_wipe(struct hcv_api_req *req,
			  const struct hcv_store_info *st)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	struct hcv_klink *k = hcv_job_klink(req->job);
	char object[128], why[HCV_ERR_SIZE];
	int ret, tries = 50;

	snprintf(object, sizeof(object), "store %s", st->name);
	if (!k)
		return hcv_error_kernel(&req->err, -ENODEV, NULL, object);
	for (;;) {
		ret = hcv_store_close(req, k, st);
		HCV_CRASH_POINT("store-remove-closed");
		if (ret)
			return ret;
		ret = hcv_lowerdev_wipe(st->path, st->uuid, why);
		if (ret != -EBUSY || !--tries || hcv_job_expired(req->job))
			break;
		nanosleep(&pause, NULL);
	}
	HCV_CRASH_POINT("store-remove-wiped");
	/* A disk that is gone, or was wiped before, need not be wiped. */
	if (ret && ret != -ESTALE && ret != -ENOENT && ret != -ENXIO)
		return hcv_error_set(&req->err, HCV_E_IO, object, NULL,
				     "its superblock cannot be wiped: %s", why);
	return 0;
}

/*
 * One try to delete its keys.  *@done: they are gone, by this try or by an
 * earlier one whose outcome was not known: nobody else deletes them.
 */
static int hcv_store_forget_once(struct hcv_api_req *req,
				 const struct hcv_store_info *info, bool *done)
{
	const struct hcv_snap_store *st;
	enum hcv_meta_result res;
	char key[64], live[64], health[64], drain[64];
	struct hcv_cmp cmp = { .key = key };
	struct hcv_op op[4] = { { .key = key }, { .key = live },
				{ .key = health }, { .key = drain } };
	struct hcv_snap *s;
	bool changed;

	if (hcv_store_read(req, info->uuid, &s, &st))
		return -1;
	*done = !st;
	changed = st && st->i.state != HCV_ST_REMOVED;
	cmp.rev = st ? st->rev : 0;
	hcv_snap_put(s);
	if (*done)
		return 0;
	if (changed)
		return hcv_store_changed(req, info->name);
	snprintf(key, sizeof(key), "store/%s", info->uuid);
	snprintf(live, sizeof(live), "storelive/%s", info->uuid);
	snprintf(health, sizeof(health), "health/%s", info->uuid);
	snprintf(drain, sizeof(drain), "drain/%s", info->uuid);
	res = hcv_meta_txn(hcv_agent_meta(req->agent), &cmp, 1, op, 4, NULL,
			   HCV_META_MS);
	*done = res == HCV_META_OK;
	if (res == HCV_META_CONFLICT || res == HCV_META_UNKNOWN)
		return 0;
	return hcv_error_meta(&req->err, res, info->name);
}

static int hcv_store_forget(struct hcv_api_req *req,
			    const struct hcv_store_info *info)
{
	bool done = false;

	while (!done) {
		if (hcv_job_expired(req->job))
			return hcv_error_set(&req->err, HCV_E_TIMEOUT,
					     info->name, NULL,
					     "its keys could not be deleted; repeat the command");
		if (hcv_store_forget_once(req, info, &done))
			return -1;
	}
	hcv_event_emit(req->agent, HCV_SEV_INFO, "store", NULL,
		       "%s was removed (%s)", info->name, info->path);
	hcv_state_kick(req->agent);
	hcv_jo_str(req->result, "name", info->name);
	hcv_jo_str(req->result, "uuid", info->uuid);
	return 0;
}

static int hcv_store_remove(struct hcv_api_req *req)
{
	const struct hcv_identity *id = hcv_agent_id(req->agent);
	const struct hcv_snap_store *st;
	const struct hcv_snap_node *n;
	struct hcv_store_info info;
	enum hcv_meta_result res;
	char object[128];
	struct hcv_snap *s;
	bool here, refuse;

	res = hcv_state_read(req->agent, &s, HCV_META_MS);
	if (res != HCV_META_OK)
		return hcv_error_meta(&req->err, res, "metadata store");
	st = hcv_store_arg(req, s);
	if (!st) {
		hcv_snap_put(s);
		return -1;
	}
	info = st->i;
	here = !strcmp(info.node, id->node);
	n = hcv_snap_node(s, info.node);
	refuse = !here && n && n->i.live;
	snprintf(object, sizeof(object), "store %s", info.name);
	if (refuse)
		hcv_error_set(&req->err, HCV_E_REFUSED, object, NULL,
			      "it belongs to node %s: run the command there",
			      n->i.name);
	hcv_snap_put(s);
	if (refuse || hcv_store_reserve(req, &info))
		return -1;
	if (here && hcv_store_wipe(req, &info))
		return -1;
	return hcv_store_forget(req, &info);
}

static int hcv_cmd_store_remove(struct hcv_api_req *req)
{
	int ret;

	if (pthread_mutex_trylock(&hcv_store_lock))
		return hcv_error_set(&req->err, HCV_E_BUSY, "store", NULL,
				     "another store is being added or removed");
	ret = hcv_store_remove(req);
	pthread_mutex_unlock(&hcv_store_lock);
	return ret;
}

/* ---------------------------------------------------------- drain, undrain */

/*
 * What is on the store is moved away by recovery jobs (planner.c), with its
 * state as all that asks for it.
 */
static int hcv_store_drain(struct hcv_api_req *req, enum hcv_store_state state)
{
	bool drain = state == HCV_ST_DRAINING;
	const struct hcv_snap_store *st;
	enum hcv_meta_result res;
	char object[128];
	struct hcv_snap *s;
	uint32_t left = 0;
	int ret = -1;

	res = hcv_state_read(req->agent, &s, HCV_META_MS);
	if (res != HCV_META_OK)
		return hcv_error_meta(&req->err, res, "metadata store");
	st = hcv_store_arg(req, s);
	if (st && st->i.state == HCV_ST_REMOVED) {
		snprintf(object, sizeof(object), "store %s", st->i.name);
		hcv_error_set(&req->err, HCV_E_REFUSED, object,
			      "agentctl store list", "it is being removed");
	} else if (st) {
		left = hcv_place_rows_on(s, st->i.uuid);
		ret = hcv_store_set_state(req, st, state);
	}
	if (!ret && st->i.state != state)
		hcv_event_emit(req->agent, HCV_SEV_INFO, "store", NULL, "%s %s",
			       st->i.name, drain ? "is being emptied" :
			       "may get extents again");
	if (!ret) {
		hcv_jo_str(req->result, "name", st->i.name);
		hcv_jo_str(req->result, "uuid", st->i.uuid);
		hcv_jo_str(req->result, "state", drain ? "draining" : "ready");
		hcv_jo_u64(req->result, "extents_left", left);
		if (!drain && st->drain_rev)
			hcv_jo_str(req->result, "drained_by",
				   st->drain.by_health ? "health" : "operator");
		hcv_state_kick(req->agent);
	}
	hcv_snap_put(s);
	return ret;
}

static int hcv_cmd_store_drain(struct hcv_api_req *req)
{
	return hcv_store_drain(req, HCV_ST_DRAINING);
}

static int hcv_cmd_store_undrain(struct hcv_api_req *req)
{
	return hcv_store_drain(req, HCV_ST_READY);
}

static const struct hcv_api_arg hcv_cmd_store_args[] = {
	{ "name", HCV_ARG_STRING, true },
	{ NULL }
};

static const struct hcv_api_arg hcv_cmd_health_args[] = {
	{ "name", HCV_ARG_STRING, true },
	{ "clear", HCV_ARG_BOOL, false },
	{ NULL }
};

static const struct hcv_api_arg hcv_cmd_add_args[] = {
	{ "path", HCV_ARG_STRING, true },
	{ "name", HCV_ARG_NAME, false },
	{ "class", HCV_ARG_STRING, false },
	{ "force", HCV_ARG_BOOL, false },
	{ NULL }
};

static const struct hcv_api_cmd hcv_cmd_store[] = {
	{ "store.add", hcv_cmd_store_add, 60000, HCV_API_SNAPSHOT,
	  hcv_cmd_add_args },
	{ "store.list", hcv_cmd_store_list, 5000, HCV_API_SNAPSHOT, NULL },
	{ "store.show", hcv_cmd_store_show, 5000, HCV_API_SNAPSHOT,
	  hcv_cmd_store_args },
	{ "store.health", hcv_cmd_store_health, 10000, HCV_API_SNAPSHOT,
	  hcv_cmd_health_args },
	{ "store.remove", hcv_cmd_store_remove, 30000, HCV_API_SNAPSHOT,
	  hcv_cmd_store_args },
	{ "store.drain", hcv_cmd_store_drain, 10000, HCV_API_SNAPSHOT,
	  hcv_cmd_store_args },
	{ "store.undrain", hcv_cmd_store_undrain, 10000, HCV_API_SNAPSHOT,
	  hcv_cmd_store_args },
};

int hcv_cmd_store_init(struct hcv_agent *a)
{
	hcv_api_register(a, hcv_cmd_store,
			 sizeof(hcv_cmd_store) / sizeof(hcv_cmd_store[0]));
	return 0;
}
