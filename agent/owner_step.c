// SPDX-License-Identifier: GPL-2.0-only
/*
 * The steps that core/volplan.c names, taken.
 *
 * Every step may be repeated and has at most one outside effect.  The crash
 * points lie around each of them; tests kill the agent at every one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/record.h"
#include "nvme_host.h"
#include "owner.h"
#include "sync_limit.h"

/* ------------------------------------------------------------------ outcomes */

enum hcv_owner_result hcv_owner_step_kernel(struct hcv_owner_step *s, int ret,
					    const char *what)
{
	const char *why;

	if (!ret)
		return HCV_OWNER_DONE;
	s->kernel_err = ret;
	why = hcv_klink_error(s->kl);
	snprintf(s->err, sizeof(s->err), "%s: %s", what,
		 why && why[0] ? why : strerror(-ret));
	return HCV_OWNER_FAILED;
}

static enum hcv_owner_result step_meta(struct hcv_owner_step *s,
				       enum hcv_meta_result res)
{
	switch (res) {
	case HCV_META_OK:
		return HCV_OWNER_DONE;
	case HCV_META_CONFLICT:
	case HCV_META_UNKNOWN:
		return HCV_OWNER_REREAD;
	default:
		snprintf(s->err, sizeof(s->err), "metadata store: %s",
			 hcv_meta_last_error());
		return HCV_OWNER_FAILED;
	}
}

static unsigned int step_meta_ms(const struct hcv_owner_step *s)
{
	unsigned int most = s->meta_ms ? s->meta_ms : HCV_META_MS;
	int64_t left = s->until_ms - hcv_now_ms();

	if (left < 1)
		return 1;
	return left < most ? (unsigned int)left : most;
}

static const char *step_node(const struct hcv_owner_step *s)
{
	return hcv_agent_id(s->a)->node;
}

static void step_object(const struct hcv_owner_step *s, char *out, size_t size)
{
	snprintf(out, size, "volume %s", hcv_owner_view_name(s->w));
}

static const struct hcv_vp_store *step_store(const struct hcv_owner_step *s)
{
	size_t i;

	for (i = 0; i < s->w->nr_st; i++)
		if (!strcmp(s->w->st[i].id, s->out->store))
			return &s->w->st[i];
	return NULL;
}

static const char *step_store_name(const struct hcv_owner_step *s)
{
	const struct hcv_vp_store *st = step_store(s);

	return st && st->name[0] ? st->name : s->out->store;
}

/* A transition that the record refuses: what was read is not what was planned. */
enum hcv_owner_result hcv_owner_step_refused(struct hcv_owner_step *s,
					     const char *err)
{
	snprintf(s->err, sizeof(s->err), "%s", err);
	return HCV_OWNER_FAILED;
}

/* --------------------------------------------------------------- the record */

static enum hcv_owner_result step_commit(struct hcv_owner_step *s,
					 const struct hcv_record *rec,
					 bool with_rows)
{
	enum hcv_meta_result res;

	res = hcv_owner_view_commit(s->w, rec, with_rows, step_meta_ms(s));
	return step_meta(s, res);
}

enum hcv_owner_result hcv_owner_step_record(struct hcv_owner_step *s,
					    const struct hcv_record *rec)
{
	return step_commit(s, rec, false);
}

static enum hcv_owner_result step_serve(struct hcv_owner_step *s)
{
	const char *set[HCV_REC_STORES], *local[HCV_REC_STORES];
	struct hcv_rec_ids confirmed = { .id = set }, own = { .id = local };
	struct hcv_record rec = s->w->v.rec;
	enum hcv_owner_result res;
	char err[HCV_ERR_SIZE];
	size_t i;

	for (i = 0; i < s->w->v.rec.nr; i++) {
		const struct hcv_vp_store *st = &s->w->st[i];

		if (s->out->set[i])
			set[confirmed.nr++] = st->id;
		if (s->out->set[i] && st->local)
			local[own.nr++] = st->id;
	}
	/* The module was told at its creation, and is the one who knows. */
	if (hcv_record_serve(&rec, step_node(s), confirmed, own,
			     &s->w->v.rows,
			     s->k && s->k->flags & HCV_VOL_F_LOG, err))
		return hcv_owner_step_refused(s, err);
	HCV_CRASH_POINT("owner-serve");
	res = step_commit(s, &rec, true);
	HCV_CRASH_POINT("owner-serve-done");
	return res;
}

enum hcv_owner_result hcv_owner_remove(struct hcv_owner_step *s)
{
	struct hcv_record rec = s->w->v.rec;
	enum hcv_owner_result res;
	char object[128], err[HCV_ERR_SIZE];
	bool was_insync;

	was_insync = hcv_record_insync(&rec, s->out->store);
	if (hcv_record_remove(&rec, s->out->store, NULL, &s->w->v.rows, err))
		return hcv_owner_step_refused(s, err);
	if (s->out->distrust && hcv_record_find(&rec, s->out->store) &&
	    hcv_record_distrust(&rec, s->out->store, err))
		return hcv_owner_step_refused(s, err);
	HCV_CRASH_POINT("owner-remove");
	res = step_commit(s, &rec, true);
	HCV_CRASH_POINT("owner-remove-done");
	hcv_owner_gap_removed(s->w->v.uuid, s->out->store,
			      res == HCV_OWNER_DONE);
	if (res == HCV_OWNER_DONE && was_insync) {
		step_object(s, object, sizeof(object));
		hcv_event_emit(s->a, HCV_SEV_WARN, object, NULL,
			       "replica on %s is out of sync as of version %llu",
			       step_store_name(s), (unsigned long long)rec.v);
	}
	return res;
}

static enum hcv_owner_result step_begin_sync(struct hcv_owner_step *s)
{
	struct hcv_record rec = s->w->v.rec;
	enum hcv_owner_result res;
	char object[128], err[HCV_ERR_SIZE];

	if (hcv_record_begin_sync(&rec, s->out->store, err))
		return hcv_owner_step_refused(s, err);
	HCV_CRASH_POINT("owner-begin-sync");
	res = step_commit(s, &rec, false);
	HCV_CRASH_POINT("owner-begin-sync-done");
	if (res == HCV_OWNER_DONE) {
		step_object(s, object, sizeof(object));
		hcv_event_emit(s->a, HCV_SEV_INFO, object, NULL,
			       "replica on %s is being brought up to date",
			       step_store_name(s));
	}
	return res;
}

static enum hcv_owner_result step_renew(struct hcv_owner_step *s)
{
	struct hcv_record rec = s->w->v.rec;
	enum hcv_owner_result res;
	char err[HCV_ERR_SIZE];

	if (hcv_record_renew(&rec, s->out->store, err))
		return hcv_owner_step_refused(s, err);
	HCV_CRASH_POINT("owner-renew");
	res = step_commit(s, &rec, false);
	HCV_CRASH_POINT("owner-renew-done");
	return res;
}

enum hcv_owner_result hcv_owner_join(struct hcv_owner_step *s)
{
	struct hcv_record rec = s->w->v.rec;
	enum hcv_owner_result res;
	char object[128], err[HCV_ERR_SIZE];

	if (hcv_record_join(&rec, s->out->store, err))
		return hcv_owner_step_refused(s, err);
	HCV_CRASH_POINT("owner-join");
	res = step_commit(s, &rec, false);
	HCV_CRASH_POINT("owner-join-done");
	if (res == HCV_OWNER_DONE) {
		step_object(s, object, sizeof(object));
		hcv_event_emit(s->a, HCV_SEV_INFO, object, NULL,
			       "replica on %s is in-sync again",
			       step_store_name(s));
	}
	return res;
}

static enum hcv_owner_result step_detach(struct hcv_owner_step *s)
{
	struct hcv_record rec = s->w->v.rec;
	enum hcv_owner_result res;
	char err[HCV_ERR_SIZE];

	if (hcv_record_detach(&rec, step_node(s), s->out->clean, err))
		return hcv_owner_step_refused(s, err);
	HCV_CRASH_POINT("owner-detach");
	res = step_commit(s, &rec, false);
	HCV_CRASH_POINT("owner-detach-done");
	return res;
}

/* --------------------------------------------------------------- the module */

struct hcv_k_vol_create hcv_owner_step_create(const struct hcv_owner_step *s)
{
	const struct hcv_snap_vol *v = &s->w->v;

	return (struct hcv_k_vol_create){
		.uuid = v->uuid, .name = v->i.name, .size = v->i.size,
		.epoch = v->rec.epoch, .v = v->rec.v,
		.lineage = v->rec.lineage, .stripe = v->i.stripe,
		.replicas = v->i.replicas, .queue = s->queue,
		.policy = v->i.policy, .policy_ms = v->i.policy_ms,
		.sync_kibps = hcv_sync_limit_first(v->i.sync_kibps),
		/*
		 * Of one replica there is nothing that could differ.  A module
		 * older than the flag refuses it, and is to be loaded anew:
		 * without a log every unclean stop would mean a full copy, on
		 * a node that looks updated.
		 */
		.flags = (s->readonly ? HCV_VOL_F_READONLY : 0) |
			 (v->i.replicas > 1 ? HCV_VOL_F_LOG : 0) |
			 (v->rec.care.on ? HCV_VOL_F_DISKLESS : 0),
	};
}

static enum hcv_owner_result step_create(struct hcv_owner_step *s)
{
	struct hcv_k_vol_create c = hcv_owner_step_create(s);
	int ret;

	if (!s->w->v.rev)
		return hcv_owner_step_refused(s, "the volume has no definition");
	HCV_CRASH_POINT("owner-create");
	ret = hcv_k_vol_create(s->kl, &c);
	HCV_CRASH_POINT("owner-create-done");
	return hcv_owner_step_kernel(s, ret, "creating the volume");
}

static struct hcv_owner_conn step_conn(struct hcv_owner_step *s)
{
	struct hcv_owner_conn c = { .drop = false };

	snprintf(c.vol, sizeof(c.vol), "%s", s->w->v.uuid);
	snprintf(c.store, sizeof(c.store), "%s", s->out->store);
	snprintf(c.client, sizeof(c.client), "%s", step_node(s));
	return c;
}

/* Use the connection that there is, or have one made in the background. */
static enum hcv_owner_result step_connect(struct hcv_owner_step *s)
{
	const struct hcv_snap_store *st = hcv_snap_store(s->w->snap,
							 s->out->store);
	struct hcv_owner_conn to = step_conn(s);
	char dev[HCV_NVME_DEV_LEN], err[HCV_ERR_SIZE] = "";
	struct hcv_nvme_conn c;
	int ret = 0;

	if (!st)
		return hcv_owner_step_refused(s, "the store is not known");
	snprintf(to.transport, sizeof(to.transport), "%s", st->i.transport);
	snprintf(to.addr, sizeof(to.addr), "%s", st->i.nqn_addr);
	to.port = st->i.port;
	to.slow = !strcmp(st->i.class, "hdd");
	c = hcv_owner_conn_nvme(&to);
	if (hcv_owner_conn_busy(to.store))
		return HCV_OWNER_STARTED;
	if (!hcv_nvme_lookup(&c, dev, err)) {
		hcv_owner_conn_result(to.store, &ret, err);
		hcv_owner_view_set_path(s->w, to.store, dev);
		return HCV_OWNER_DONE;
	}
	if (!hcv_owner_conn_result(to.store, &ret, err)) {
		ret = hcv_owner_conn_start(s->a, &to);
		if (!ret)
			return HCV_OWNER_STARTED;
		snprintf(err, sizeof(err), "%s", strerror(-ret));
	} else if (!ret) {
		snprintf(err, sizeof(err), "the connection broke at once");
	}
	snprintf(s->err, sizeof(s->err), "connecting to %.60s: %.160s",
		 step_store_name(s), err);
	return HCV_OWNER_FAILED;
}

/* Whether this is about more handles for a link that there is. */
static bool step_takes_writes(const struct hcv_owner_step *s,
			      const char *store)
{
	size_t i;

	for (i = 0; i < s->k->nr_links; i++)
		if (!strcmp(s->k->link[i].store, store))
			return s->k->link[i].state == HCV_LINK_SYNCING ||
			       s->k->link[i].state == HCV_LINK_JOINING;
	return false;
}

static enum hcv_owner_result step_link_add(struct hcv_owner_step *s)
{
	const struct hcv_vp_store *st = step_store(s);
	struct hcv_nl_range range[HCV_GRANT_RANGES];
	enum hcv_owner_result res;
	size_t i;
	int ret;

	if (!st || !st->grant)
		return hcv_owner_step_refused(s, "the store's grant is gone");
	for (i = 0; i < st->grant->nr; i++) {
		range[i] = (struct hcv_nl_range){
			.first = st->grant->range[i].first,
			.base = st->grant->range[i].base,
			.count = st->grant->range[i].count,
		};
		s->linked_count = range[i].base + range[i].count;
	}
	if (s->out->state == HCV_LINK_SYNCING &&
	    !step_takes_writes(s, s->out->store)) {
		res = hcv_owner_job_rows(s);
		if (res != HCV_OWNER_DONE)
			return res;
	}
	HCV_CRASH_POINT("owner-link-add");
	ret = hcv_k_vol_link_add(s->kl, s->w->v.uuid, s->w->v.rec.epoch,
				 st->id, s->out->state, s->out->flags,
				 s->out->incarnation,
				 st->local ? NULL : st->path, range,
				 st->grant->nr);
	HCV_CRASH_POINT("owner-link-add-done");
	if (ret)	/* the device may be another one by now */
		hcv_owner_view_set_path(s->w, st->id, NULL);
	return hcv_owner_step_kernel(s, ret, "linking a store");
}

static enum hcv_owner_result step_link_del(struct hcv_owner_step *s)
{
	const struct hcv_vp_store *st = step_store(s);
	struct hcv_owner_conn from = step_conn(s);
	enum hcv_owner_result res;
	int ret;

	HCV_CRASH_POINT("owner-link-del");
	ret = hcv_k_vol_link_del(s->kl, s->w->v.uuid, s->w->v.rec.epoch,
				 s->out->store);
	HCV_CRASH_POINT("owner-link-del-done");
	res = hcv_owner_step_kernel(s, ret, "dropping a link");
	hcv_owner_view_set_path(s->w, s->out->store, NULL);
	if (res != HCV_OWNER_DONE || (st && st->local))
		return res;
	from.drop = true;
	from.failed = !st || !st->live;
	ret = hcv_owner_conn_start(s->a, &from);
	if (ret)	/* the next one to connect replaces it */
		hcv_log(HCV_SEV_WARN, "volume %s: dropping the connection to %s: %s",
			hcv_owner_view_name(s->w), step_store_name(s),
			strerror(-ret));
	return res;
}

/* What follows is the ordinary removal: the module tells that the link failed. */
static enum hcv_owner_result step_drop_slow(struct hcv_owner_step *s)
{
	enum hcv_owner_result res;
	char object[128];
	int ret;

	HCV_CRASH_POINT("owner-drop-slow");
	ret = hcv_k_vol_link_drop(s->kl, s->w->v.uuid, s->w->v.rec.epoch,
				  s->out->store);
	HCV_CRASH_POINT("owner-drop-slow-done");
	res = hcv_owner_step_kernel(s, ret, "dropping a slow replica");
	if (res == HCV_OWNER_DONE) {
		step_object(s, object, sizeof(object));
		hcv_event_emit(s->a, HCV_SEV_WARN, object, NULL,
			       "replica on %s is dropped: the store is slow",
			       step_store_name(s));
	}
	return res;
}

static enum hcv_owner_result step_extent_add(struct hcv_owner_step *s)
{
	int ret;

	HCV_CRASH_POINT("owner-extent-add");
	ret = hcv_k_vol_extent_add(s->kl, s->w->v.uuid, s->w->v.rec.epoch,
				   s->w->v.rows.row + s->out->row,
				   s->out->row_nr, (uint8_t)s->out->flags);
	HCV_CRASH_POINT("owner-extent-add-done");
	return hcv_owner_step_kernel(s, ret, "adding extents");
}

/* Idle for good: the module's side of it. */
static enum hcv_owner_result step_retire(struct hcv_owner_step *s)
{
	int ret;

	HCV_CRASH_POINT("owner-retire");
	ret = hcv_k_vol_extent_retire(s->kl, s->w->v.uuid, s->w->v.rec.epoch,
				      s->out->column, s->out->count,
				      s->out->leave, s->out->index,
				      s->out->nr_index);
	HCV_CRASH_POINT("owner-retire-done");
	return hcv_owner_step_kernel(s, ret, "retiring extents");
}

static enum hcv_owner_result step_drop_rows(struct hcv_owner_step *s)
{
	enum hcv_meta_result res;

	HCV_CRASH_POINT("owner-drop-rows");
	res = hcv_owner_view_drop_rows(s->w, s->out->index, s->out->nr_index,
				       step_meta_ms(s));
	HCV_CRASH_POINT("owner-drop-rows-done");
	/* Its rows are the old ones. */
	return res == HCV_META_OK ? HCV_OWNER_REREAD : step_meta(s, res);
}

static enum hcv_owner_result step_extent_del(struct hcv_owner_step *s)
{
	enum hcv_owner_result res;
	char object[128];
	int ret;

	HCV_CRASH_POINT("owner-extent-del");
	ret = hcv_k_vol_extent_del(s->kl, s->w->v.uuid, s->w->v.rec.epoch,
				   s->out->index, s->out->nr_index);
	HCV_CRASH_POINT("owner-extent-del-done");
	res = hcv_owner_step_kernel(s, ret, "forgetting extents");
	if (res == HCV_OWNER_DONE) {
		step_object(s, object, sizeof(object));
		hcv_event_emit(s->a, HCV_SEV_INFO, object, NULL,
			       "%zu extents without data go back to their stores",
			       s->out->nr_index);
	}
	return res;
}

static enum hcv_owner_result step_start(struct hcv_owner_step *s)
{
	enum hcv_owner_result res;
	char object[128];
	int ret;

	HCV_CRASH_POINT("owner-start");
	ret = hcv_k_vol_start(s->kl, s->w->v.uuid, s->w->v.rec.epoch, s->out->v,
			      s->out->store[0] ? s->out->store : NULL);
	HCV_CRASH_POINT("owner-start-done");
	res = hcv_owner_step_kernel(s, ret, "starting the volume");
	if (res == HCV_OWNER_DONE) {
		step_object(s, object, sizeof(object));
		if (s->k->diskless)
			hcv_event_emit(s->a, HCV_SEV_INFO, object, NULL,
				       "started without a disk, epoch %llu",
				       (unsigned long long)s->w->v.rec.epoch);
		else
			hcv_event_emit(s->a, HCV_SEV_INFO, object, NULL,
				       "attached as /dev/hcivol%u, epoch %llu",
				       s->k->minor,
				       (unsigned long long)s->w->v.rec.epoch);
	}
	return res;
}

static enum hcv_owner_result step_grow(struct hcv_owner_step *s)
{
	struct hcv_record rec = s->w->v.rec;
	char err[HCV_ERR_SIZE];

	if (hcv_record_grow(&rec, err))
		return hcv_owner_step_refused(s, err);
	return step_commit(s, &rec, false);
}

enum hcv_owner_result hcv_owner_confirm(struct hcv_owner_step *s)
{
	int ret;

	HCV_CRASH_POINT("owner-confirm");
	ret = hcv_k_vol_confirm(s->kl, s->w->v.uuid, s->w->v.rec.epoch,
				s->out->v, s->out->store, s->out->incarnation,
				s->out->state);
	HCV_CRASH_POINT("owner-confirm-done");
	if (!ret && s->out->state == HCV_LINK_OUT)
		hcv_owner_gap_left(hcv_owner_view_name(s->w), s->w->v.uuid,
				   s->out->store, step_store_name(s));
	/* It still took writes under this version: v has to grow once more. */
	if (ret == -ERANGE)
		return step_grow(s);
	return hcv_owner_step_kernel(s, ret, "confirming a replica's state");
}

static enum hcv_owner_result step_set(struct hcv_owner_step *s)
{
	const struct hcv_vol_info *i = &s->w->v.i;
	const struct hcv_k_vol *k = s->k;
	uint32_t policy = i->policy, policy_ms = i->policy_ms;
	struct hcv_k_vol_set set = { 0 };
	uint32_t no_limit = 0;
	int ret;

	if (i->size > k->size)
		set.size = &i->size;
	if (strcmp(i->name, k->name))
		set.name = i->name;
	if (policy != k->policy)
		set.policy = &policy;
	if (policy == HCV_POLICY_ERROR && policy_ms != k->policy_ms)
		set.policy_ms = &policy_ms;
	if (k->prepared && k->handover_ms)
		set.handover_ms = &no_limit;
	HCV_CRASH_POINT("owner-set");
	ret = hcv_k_vol_set(s->kl, s->w->v.uuid, s->w->v.rec.epoch, &set);
	HCV_CRASH_POINT("owner-set-done");
	return hcv_owner_step_kernel(s, ret, "changing the volume");
}

static enum hcv_owner_result step_fence(struct hcv_owner_step *s)
{
	char object[128];
	int ret;

	step_object(s, object, sizeof(object));
	hcv_event_emit(s->a, HCV_SEV_ERR, object, NULL,
		       "%s: its I/O fails on this node from now on",
		       s->out->reason);
	HCV_CRASH_POINT("owner-fence");
	ret = hcv_k_vol_fence(s->kl, s->w->v.uuid, s->k->epoch);
	HCV_CRASH_POINT("owner-fence-done");
	return hcv_owner_step_kernel(s, ret, "fencing the volume");
}

/* Without a note the stop may still be in order, but a crash makes it unclean. */
static void step_stop_note(struct hcv_owner_step *s)
{
	struct hcv_k_module m;
	int ret;

	if (s->out->force) {
		hcv_owner_stop_forced(s->a, s->w->v.uuid, s->k->epoch);
		return;
	}
	ret = hcv_k_module_get(s->kl, &m);
	if (!ret)
		ret = hcv_owner_stop_begin(s->a, s->w->v.uuid, s->k->epoch,
					   m.boot_id);
	if (ret && ret != -ECANCELED)
		hcv_log(HCV_SEV_WARN, "volume %s: a note of the stop: %s",
			hcv_owner_view_name(s->w), strerror(-ret));
}

static enum hcv_owner_result step_stop(struct hcv_owner_step *s)
{
	uint32_t minor = s->k->minor;
	enum hcv_owner_result res;
	int ret;

	step_stop_note(s);
	HCV_CRASH_POINT("owner-stop");
	ret = hcv_k_vol_stop(s->kl, s->w->v.uuid, s->out->force);
	s->stopped = !ret && !s->out->force;
	/* Gone already: the note tells how. */
	if (ret == -ENOENT)
		ret = 0;
	HCV_CRASH_POINT("owner-stop-done");
	res = hcv_owner_step_kernel(s, ret, "stopping the volume");
	if (res == HCV_OWNER_DONE)
		hcv_devlink_del(s->w->v.uuid, minor);
	return res;
}

/* An attach without the stores that failed it, with the same wishes for the disk. */
static enum hcv_owner_result step_again(struct hcv_owner_step *s)
{
	struct hcv_record rec = s->w->v.rec;
	const char *id[HCV_REC_STORES];
	struct hcv_rec_ids unfit = { .id = id };
	enum hcv_owner_result res;
	char err[HCV_ERR_SIZE];
	size_t i;
	int ret;

	for (i = 0; i < s->w->v.rec.nr; i++)
		if (s->out->set[i])
			id[unfit.nr++] = s->w->v.rec.st[i].store;
	if (hcv_record_again(&rec, step_node(s), unfit, &s->w->v.rows, err))
		return hcv_owner_step_refused(s, err);
	ret = hcv_owner_options(s->a, s->w->v.uuid, rec.epoch, s->readonly,
				s->queue);
	if (ret) {
		snprintf(s->err, sizeof(s->err), "writing to %.100s: %s",
			 s->a->state_dir, strerror(-ret));
		return HCV_OWNER_FAILED;
	}
	HCV_CRASH_POINT("owner-again");
	res = step_commit(s, &rec, true);
	HCV_CRASH_POINT("owner-again-done");
	if (res == HCV_OWNER_DONE)
		hcv_log(HCV_SEV_WARN, "volume %s: %s; attached anew without",
			hcv_owner_view_name(s->w), s->out->reason);
	return res;
}

/* What is to be forgotten is the caller's. */
static enum hcv_owner_result step_forget(struct hcv_owner_step *s)
{
	(void)s;
	return HCV_OWNER_DONE;
}

static enum hcv_owner_result (*const step_table[HCV_VP_NR])
	(struct hcv_owner_step *s) = {
	[HCV_VP_CREATE] = step_create,
	[HCV_VP_SERVE] = step_serve,
	[HCV_VP_CONNECT] = step_connect,
	[HCV_VP_LINK_ADD] = step_link_add,
	[HCV_VP_LINK_DEL] = step_link_del,
	[HCV_VP_DROP_SLOW] = step_drop_slow,
	[HCV_VP_EXTENT_ADD] = step_extent_add,
	[HCV_VP_START] = step_start,
	[HCV_VP_REMOVE] = hcv_owner_remove,
	[HCV_VP_BEGIN_SYNC] = step_begin_sync,
	[HCV_VP_JOIN] = hcv_owner_join,
	[HCV_VP_RENEW] = step_renew,
	[HCV_VP_CONFIRM] = hcv_owner_confirm,
	[HCV_VP_PLACE] = hcv_owner_place,
	[HCV_VP_DROP_ROWS] = step_drop_rows,
	[HCV_VP_EXTENT_DEL] = step_extent_del,
	[HCV_VP_RETIRE] = step_retire,
	[HCV_VP_JOB] = hcv_owner_job,
	[HCV_VP_SET] = step_set,
	[HCV_VP_FENCE] = step_fence,
	[HCV_VP_STOP] = step_stop,
	[HCV_VP_DETACH] = step_detach,
	[HCV_VP_FORGET] = step_forget,
	[HCV_VP_PREPARE] = hcv_owner_hand_prepare,
	[HCV_VP_HAND_READY] = hcv_owner_hand_ready,
	[HCV_VP_HAND_ABORT] = hcv_owner_hand_abort,
	[HCV_VP_HALT] = hcv_owner_hand_halt,
	[HCV_VP_RESUME] = hcv_owner_hand_resume,
	[HCV_VP_HAND_OVER] = hcv_owner_hand_over,
	[HCV_VP_LET_GO] = hcv_owner_hand_let_go,
	[HCV_VP_CARE_CLAIM] = hcv_owner_care_claim,
	[HCV_VP_CARE_LEAVE] = hcv_owner_care_leave,
	[HCV_VP_PUBLISH] = hcv_owner_publish,
	[HCV_VP_AGAIN] = step_again,
};

enum hcv_owner_result hcv_owner_step_run(struct hcv_owner_step *s)
{
	s->err[0] = 0;
	s->kernel_err = 0;
	s->stopped = false;
	s->linked_count = 0;
	return step_table[s->out->act](s);
}
