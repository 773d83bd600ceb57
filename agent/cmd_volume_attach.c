// SPDX-License-Identifier: GPL-2.0-only
/*
 * volume.attach and volume.detach.
 *
 * attach makes the intent durable, the claim in the record, and then only
 * waits and tells: the reconciler does the rest and would go on without this
 * command.  detach leaves a wish with the reconciler and waits for the record.
 */
#include "cmd_volume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/record.h"
#include "jout.h"
#include "owner.h"

#define ATTACH_CLAIMS		8
#define ATTACH_TELL_MS		5000

static const char *attach_node(const struct hcv_volcmd *c)
{
	return hcv_agent_id(c->req->agent)->node;
}

static bool attach_alive(const struct hcv_snap *s, const char *node)
{
	const struct hcv_snap_node *n = hcv_snap_node(s, node);

	return n && n->i.live;
}

/* Tell what is waited for: when it changes, and now and then. */
struct progress {
	char said[HCV_VP_REASON];
	int64_t said_ms;
};

static void progress_tell(struct hcv_api_req *req, struct progress *p,
			  const struct hcv_owner_report *rep)
{
	int64_t now = hcv_now_ms();
	struct json_object *ev;

	if (!rep->waiting || !rep->reason[0])
		return;
	if (!strcmp(p->said, rep->reason) && now - p->said_ms < ATTACH_TELL_MS)
		return;
	snprintf(p->said, sizeof(p->said), "%s", rep->reason);
	p->said_ms = now;
	ev = json_object_new_object();
	hcv_jo_str(ev, "text", rep->reason);
	hcv_jo_u64(ev, "waiting_ms", (uint64_t)(now - rep->since_ms));
	hcv_api_progress(req, ev);
}

/* -------------------------------------------------------------------- attach */

/* Of one that is made already nothing can be chosen any more. */
static int attach_prepared(struct hcv_volcmd *c, const struct hcv_k_vol *k)
{
	const char *queue = hcv_api_str(c->req, "queue", NULL);
	bool readonly = hcv_api_bool(c->req, "readonly", false);

	if ((!queue || !strcmp(queue, "bio") == (k->queue == HCV_QUEUE_BIO)) &&
	    (!readonly || k->flags & HCV_VOL_F_READONLY))
		return 0;
	return hcv_error_set(&c->req->err, HCV_E_BUSY, c->object,
			     "agentctl volume handover --abort",
			     "its disk was made here for a hand-over, with another queue or writable");
}

/*
 * What the module already has of it.
 * Return: 0: nothing, 1: this very attachment is under way, -EAGAIN: an earlier
 * one is being removed; -1 with the error, which -EAGAIN has too
 */
static int attach_module(struct hcv_volcmd *c)
{
	struct hcv_api_req *req = c->req;
	struct hcv_klink *kl = hcv_job_klink(req->job);
	const struct hcv_record *rec = &c->v->rec;
	struct hcv_k_vol k;
	int ret;

	if (!kl)
		return hcv_error_kernel(&req->err, -ENODEV, NULL, c->object);
	ret = hcv_k_vol_get(kl, c->v->uuid, &k);
	if (ret == -ENOENT || (!ret && k.state == HCV_VOL_ZOMBIE))
		return 0;
	if (ret)
		return hcv_error_kernel(&req->err, ret, kl, c->object);
	/* A disk that waits for a hand-over is this attachment's, once claimed. */
	if (k.prepared && strcmp(rec->owner, attach_node(c)))
		return attach_prepared(c, &k);
	if (strcmp(rec->owner, attach_node(c)) || k.epoch != rec->epoch) {
		hcv_error_set(&req->err, HCV_E_BUSY, c->object,
			      "agentctl volume show",
			      "an attachment of epoch %llu is still being removed from this node",
			      (unsigned long long)k.epoch);
		return -EAGAIN;
	}
	if (k.state == HCV_VOL_NEW || k.state == HCV_VOL_LOADING)
		return 1;
	return hcv_error_set(&req->err, HCV_E_EXISTS, c->object,
			     "agentctl volume show",
			     "it is attached on this node already, as /dev/hcivol%u",
			     k.minor);
}

static int attach_options(struct hcv_volcmd *c, uint64_t epoch)
{
	struct hcv_api_req *req = c->req;
	const char *queue = hcv_api_str(req, "queue", NULL);
	uint32_t q = c->v->i.queue;
	int ret;

	if (queue && strcmp(queue, "mq") && strcmp(queue, "bio"))
		return hcv_error_set(&req->err, HCV_E_USAGE, c->object, NULL,
				     "queue must be mq or bio");
	if (queue)
		q = strcmp(queue, "bio") ? HCV_QUEUE_MQ : HCV_QUEUE_BIO;
	ret = hcv_owner_options(req->agent, c->v->uuid, epoch,
				hcv_api_bool(req, "readonly", false), q);
	if (ret)
		return hcv_error_set(&req->err, HCV_E_IO, c->object, NULL,
				     "writing to %.100s: %s",
				     req->agent->state_dir, strerror(-ret));
	return 0;
}

static int attach_write(struct hcv_volcmd *c, const struct hcv_record *rec,
			enum hcv_meta_result *res)
{
	char *json = hcv_model_record_encode(rec);
	char key[64], vol_key[64], care_key[64];
	struct hcv_cmp cmp[2];
	struct hcv_op op[2];
	int64_t rev = 0;

	if (!json)
		return hcv_error_set(&c->req->err, HCV_E_INTERNAL, c->object,
				     NULL, "out of memory");
	snprintf(key, sizeof(key), "rec/%s", c->v->uuid);
	snprintf(vol_key, sizeof(vol_key), "vol/%s", c->v->uuid);
	snprintf(care_key, sizeof(care_key), "care/%s", c->v->uuid);
	cmp[0] = (struct hcv_cmp){ key, c->v->rec_rev };
	cmp[1] = (struct hcv_cmp){ vol_key, c->v->rev };
	op[0] = (struct hcv_op){ .key = key, .value = json };
	/* Nobody has to take care of it. */
	op[1] = (struct hcv_op){ .key = care_key };
	HCV_CRASH_POINT("volume-claim");
	*res = hcv_meta_txn(hcv_agent_meta(c->req->agent), cmp, 2, op, 2,
			    &rev, HCV_META_MS);
	HCV_CRASH_POINT("volume-claim-done");
	free(json);
	hcv_owner_wrote(c->req->agent, c->v->uuid,
			*res == HCV_META_OK ? rev : 0,
			*res == HCV_META_UNKNOWN);
	return 0;
}

static int attach_refused(struct hcv_volcmd *c)
{
	const char *owner = hcv_volcmd_owner(c->s, c->v);
	char hint[256];

	snprintf(hint, sizeof(hint), "agentctl volume detach %s",
		 c->v->i.name);
	return hcv_error_set(&c->req->err, HCV_E_REFUSED, c->object, hint,
			     "it is attached on node %s, which is alive: detach it there, or take it over with --takeover, which ends its I/O there",
			     owner);
}

/* Whether the volume that is taken care of here can get its disk as it is. */
static bool attach_cared_here(struct hcv_volcmd *c)
{
	struct hcv_klink *kl = hcv_job_klink(c->req->job);
	const struct hcv_record *rec = &c->v->rec;
	struct hcv_k_vol k;

	return !strcmp(rec->owner, attach_node(c)) && !rec->care.leave && kl &&
	       !hcv_k_vol_get(kl, c->v->uuid, &k) && k.diskless &&
	       k.epoch == rec->epoch &&
	       (k.state == HCV_VOL_NEW || k.state == HCV_VOL_LOADING ||
		k.state == HCV_VOL_ACTIVE);
}

/*
 * A volume that some node takes care of: this one has it from now on, or nobody.
 * Return: 0, @epoch: that of the attachment, or 0; -1 with the error
 */
static int attach_cared(struct hcv_volcmd *c, uint64_t *epoch)
{
	struct hcv_volcare wait = { 0 };
	enum hcv_meta_result res;
	char err[HCV_ERR_SIZE];
	struct hcv_record rec;
	int ret;

	while (c->v->rec_rev && c->v->rec.care.on) {
		rec = c->v->rec;
		if (!hcv_job_expired(c->req->job) && attach_cared_here(c) &&
		    !hcv_record_care_take(&rec, attach_node(c), err)) {
			if (attach_options(c, rec.epoch))
				return -1;
			*epoch = rec.epoch;
			res = hcv_volcare_write(c->req, c->v, &rec);
			if (res == HCV_META_OK)
				return 0;
			if (res == HCV_META_INVALID)
				return hcv_error_meta(&c->req->err, res,
						      c->object);
		} else {
			*epoch = 0;
			ret = hcv_volcare_release(c->req, c->s, c->v,
						  c->object, &wait);
			if (ret < 0)
				return -1;
		}
		if (hcv_volcmd_again(c))
			return -1;
	}
	/* An unknown outcome was success. */
	if (*epoch && (strcmp(c->v->rec.owner, attach_node(c)) ||
		       c->v->rec.epoch != *epoch))
		*epoch = 0;
	return 0;
}

/*
 * Become the owner.  @epoch gets the epoch of the claim.
 * Return: 0; -1 with the error
 */
static int attach_claim(struct hcv_volcmd *c, uint64_t *epoch)
{
	bool takeover = hcv_api_bool(c->req, "takeover", false);
	enum hcv_meta_result res = HCV_META_OK;
	char err[HCV_ERR_SIZE];
	struct hcv_record rec;
	int i, ret;

	for (i = 0; i < ATTACH_CLAIMS; i += res == HCV_META_CONFLICT) {
		if (res != HCV_META_OK && hcv_volcmd_again(c))
			return -1;
		/* Somebody has begun to take care of it just now. */
		if (c->v->rec.care.on) {
			*epoch = 0;
			if (attach_cared(c, epoch))
				return -1;
			if (*epoch)
				return 0;
		}
		rec = c->v->rec;
		if (!c->v->rec_rev)
			return hcv_error_set(&c->req->err, HCV_E_IO, c->object,
					     NULL, "it has no record");
		/* Our own claim: of an unknown outcome, or of a killed agent. */
		if (!strcmp(rec.owner, attach_node(c)) &&
		    (*epoch ? rec.epoch == *epoch :
			      rec.phase == HCV_PH_TAKING)) {
			*epoch = rec.epoch;
			return 0;
		}
		ret = hcv_record_claim(&rec, attach_node(c),
				       attach_alive(c->s, rec.owner), takeover,
				       err);
		if (ret == -EBUSY)
			return attach_refused(c);
		if (ret)
			return hcv_error_set(&c->req->err, HCV_E_REFUSED,
					     c->object, NULL, "%s", err);
		if (attach_options(c, rec.epoch) ||
		    attach_write(c, &rec, &res))
			return -1;
		*epoch = rec.epoch;
		if (res == HCV_META_OK)
			return 0;
		/* Surely not done: again, as long as the command may take. */
		if (res == HCV_META_INVALID || hcv_job_expired(c->req->job))
			return hcv_error_meta(&c->req->err, res, c->object);
		/* Whoever won has a live claim now: a takeover is not for it. */
		if (res == HCV_META_CONFLICT) {
			takeover = false;
			*epoch = 0;
		}
	}
	return hcv_error_set(&c->req->err, HCV_E_BUSY, c->object,
			     "agentctl volume show",
			     "its record keeps changing");
}

static void attach_result(struct hcv_volcmd *c,
			  const struct hcv_owner_report *rep)
{
	struct json_object *o = c->req->result;
	char path[128];

	snprintf(path, sizeof(path), "/dev/hcivol%u", rep->minor);
	hcv_jo_str(o, "device", path);
	snprintf(path, sizeof(path), "/dev/hcivol/by-name/%s", c->v->i.name);
	hcv_jo_str(o, "link", path);
	hcv_jo_str(o, "uuid", c->v->uuid);
	hcv_jo_u64(o, "epoch", rep->epoch);
}

/*
 * Whether the record still has our claim, as of what is known here.  A later
 * one of this node is ours, too: it began anew without a replica that failed.
 */
static bool attach_lost(struct hcv_volcmd *c, uint64_t epoch)
{
	struct hcv_snap *s = hcv_snap_get(c->req->agent);
	const struct hcv_snap_vol *v = s ? hcv_snap_vol(s, c->v->uuid) : NULL;
	bool taken = v && v->rec_rev && v->rec.epoch > epoch &&
		     strcmp(v->rec.owner, attach_node(c));
	bool given_up = v && v->rec_rev && v->rec.epoch == epoch &&
			!v->rec.owner[0];

	if (taken)
		hcv_error_set(&c->req->err, HCV_E_REFUSED, c->object,
			      "agentctl volume show",
			      "node %s took it over meanwhile",
			      hcv_volcmd_owner(s, v));
	else if (given_up)
		hcv_error_set(&c->req->err, HCV_E_REFUSED, c->object,
			      "agentctl volume show",
			      "the attachment was given up meanwhile");
	hcv_snap_put(s);
	return taken || given_up;
}

static int attach_wait(struct hcv_volcmd *c, uint64_t epoch)
{
	struct hcv_api_req *req = c->req;
	struct hcv_owner_report rep = { 0 };
	struct progress p = { 0 };
	char hint[256];

	while (!hcv_job_expired(req->job)) {
		hcv_owner_get_report(req->agent, c->v->uuid, &rep);
		if (rep.in_module && rep.epoch >= epoch && !rep.diskless &&
		    (rep.state == HCV_VOL_ACTIVE ||
		     rep.state == HCV_VOL_SUSPENDED)) {
			attach_result(c, &rep);
			return 0;
		}
		if (attach_lost(c, epoch))
			return -1;
		progress_tell(req, &p, &rep);
		hcv_owner_wait(req->agent, req->job->deadline_ms);
	}
	snprintf(hint, sizeof(hint), "agentctl volume detach --force %s",
		 c->v->i.name);
	return hcv_error_set(&req->err, HCV_E_TIMEOUT, c->object, hint,
			     "%s; it goes on in the background until it is given up",
			     rep.waiting && rep.reason[0] ? rep.reason :
			     "it is not attached yet");
}

static int attach_run(struct hcv_volcmd *c)
{
	struct hcv_owner_report rep;
	uint64_t epoch = 0;
	int ret;

	hcv_owner_get_report(c->req->agent, c->v->uuid, &rep);
	if (rep.wished)
		return hcv_error_set(&c->req->err, HCV_E_BUSY, c->object,
				     "agentctl volume show",
				     "it is just being detached from this node");
	if (attach_cared(c, &epoch))
		return -1;
	ret = epoch ? 1 : attach_module(c);
	while (ret == -EAGAIN && !hcv_job_expired(c->req->job)) {
		hcv_owner_wait(c->req->agent, c->req->job->deadline_ms);
		ret = hcv_volcmd_again(c) ? -1 : attach_module(c);
	}
	if (ret < 0)
		return -1;
	if (ret)
		epoch = c->v->rec.epoch;
	else if (attach_claim(c, &epoch))
		return -1;
	hcv_state_kick(c->req->agent);
	hcv_owner_kick(c->req->agent, c->v->uuid);
	return attach_wait(c, epoch);
}

int hcv_cmd_volume_attach(struct hcv_api_req *req)
{
	char uuid[HCV_ID_LEN];
	struct hcv_volcmd c;
	int ret = hcv_volcmd_begin(&c, req);

	if (!ret) {
		memcpy(uuid, c.v->uuid, sizeof(uuid));
		if (hcv_owner_busy(req->agent, uuid, true)) {
			ret = attach_run(&c);
			hcv_owner_busy(req->agent, uuid, false);
		} else {
			ret = hcv_error_set(&req->err, HCV_E_BUSY, c.object,
					    "agentctl volume show",
					    "another command is attaching it on this node");
		}
	}
	hcv_volcmd_end(&c);
	return ret;
}

/* -------------------------------------------------------------------- detach */

static int detach_not_here(struct hcv_volcmd *c)
{
	char hint[256];

	if (!c->v->rec.owner[0] || c->v->rec.care.on)
		return hcv_error_set(&c->req->err, HCV_E_REFUSED, c->object,
				     "agentctl volume list",
				     "it is not attached");
	snprintf(hint, sizeof(hint), "agentctl volume detach %s, on node %s",
		 c->v->i.name, hcv_volcmd_owner(c->s, c->v));
	return hcv_error_set(&c->req->err, HCV_E_REFUSED, c->object, hint,
			     "it is attached on node %s, not here",
			     hcv_volcmd_owner(c->s, c->v));
}

/* I/O ends now, whatever the metadata store and other jobs do. */
static int detach_force_module(struct hcv_volcmd *c)
{
	struct hcv_api_req *req = c->req;
	struct hcv_klink *kl = hcv_job_klink(req->job);
	struct hcv_k_vol k;
	int ret;

	if (!kl || hcv_k_vol_get(kl, c->v->uuid, &k))
		return 0;
	if (k.state == HCV_VOL_ZOMBIE || k.state == HCV_VOL_STOPPING)
		return 0;
	hcv_owner_stop_forced(req->agent, c->v->uuid, k.epoch);
	HCV_CRASH_POINT("volume-force-stop");
	ret = hcv_k_vol_stop(kl, c->v->uuid, true);
	HCV_CRASH_POINT("volume-force-stop-done");
	if (ret && ret != -ENOENT)
		return hcv_error_kernel(&req->err, ret, kl, c->object);
	return 0;
}

static int detach_failed(struct hcv_volcmd *c,
			 const struct hcv_owner_report *rep)
{
	struct hcv_klink *kl = hcv_job_klink(c->req->job);
	unsigned int openers = 0;
	struct hcv_k_vol k;
	char hint[256];

	snprintf(hint, sizeof(hint), "agentctl volume detach --force %s",
		 c->v->i.name);
	if (rep->failed_err != -EBUSY)
		return hcv_error_set(&c->req->err, HCV_E_IO, c->object, hint,
				     "%s", rep->why);
	if (kl && !hcv_k_vol_get(kl, c->v->uuid, &k))
		openers = k.openers;
	return hcv_error_set(&c->req->err, HCV_E_BUSY, c->object, hint,
			     "/dev/hcivol%u is in use, by %u openers",
			     rep->minor, openers);
}

/* Read anew: does the record still name this node in this epoch? */
static int detach_done(struct hcv_volcmd *c, uint64_t epoch, bool *done)
{
	if (hcv_volcmd_again(c))
		return -1;
	*done = strcmp(c->v->rec.owner, attach_node(c)) ||
		c->v->rec.epoch != epoch;
	return 0;
}

static int detach_wait(struct hcv_volcmd *c, bool force)
{
	struct hcv_api_req *req = c->req;
	uint64_t epoch = c->v->rec.epoch;
	struct hcv_owner_report rep = { 0 };
	struct progress p = { 0 };
	char uuid[HCV_ID_LEN];
	bool done = false;

	memcpy(uuid, c->v->uuid, sizeof(uuid));
	while (!hcv_job_expired(req->job)) {
		hcv_owner_get_report(req->agent, uuid, &rep);
		if (!rep.wished && detach_done(c, epoch, &done))
			return -1;
		if (done)
			return 0;
		if (!rep.wished && rep.failed == HCV_VP_STOP && !force)
			return detach_failed(c, &rep);
		progress_tell(req, &p, &rep);
		hcv_owner_wait(req->agent, req->job->deadline_ms);
	}
	if (!force)
		hcv_owner_wish(req->agent, uuid, false, false);
	return hcv_error_set(&req->err, HCV_E_TIMEOUT, c->object,
			     "agentctl volume detach --force", "%s%s",
			     force ? "its I/O has ended, but the record still names this node: " :
			     "it is not detached yet: ",
			     rep.waiting && rep.reason[0] ? rep.reason :
			     rep.why[0] ? rep.why : "no answer");
}

/*
 * By force, without the metadata store: end the I/O by what the module knows;
 * the record follows when the store can be reached again.
 */
static int detach_blind(struct hcv_volcmd *c)
{
	struct hcv_api_req *req = c->req;
	struct hcv_klink *kl = hcv_job_klink(req->job);
	const char *ref = hcv_api_str(req, "name", "");
	struct hcv_k_vol *vol = NULL;
	size_t nr = 0, i;
	int ret = -ENOENT;

	if (!kl || hcv_k_vol_list(kl, &vol, &nr))
		return -1;	/* with the error of the metadata store */
	for (i = 0; i < nr && ret == -ENOENT; i++) {
		if (strcmp(vol[i].uuid, ref) && strcmp(vol[i].name, ref))
			continue;
		if (vol[i].state == HCV_VOL_ZOMBIE)
			continue;
		hcv_owner_stop_forced(req->agent, vol[i].uuid, vol[i].epoch);
		ret = hcv_k_vol_stop(kl, vol[i].uuid, true);
		hcv_owner_wish(req->agent, vol[i].uuid, false, true);
	}
	free(vol);
	if (!ret)
		hcv_error_set(&req->err, HCV_E_UNREACHABLE, c->object,
			      "agentctl cluster status",
			      "its I/O on this node has ended; the record still names this node, as the metadata store cannot be reached");
	return -1;
}

int hcv_cmd_volume_detach(struct hcv_api_req *req)
{
	bool force = hcv_api_bool(req, "force", false);
	struct hcv_volcmd c;
	int ret = hcv_volcmd_begin(&c, req);

	if (ret && force && req->err.code == HCV_E_UNREACHABLE)
		ret = detach_blind(&c);
	/* By force also what only this node takes care of. */
	if (!ret && (strcmp(c.v->rec.owner, attach_node(&c)) ||
		     (c.v->rec.care.on && !force)))
		ret = detach_not_here(&c);
	if (!ret && force)
		ret = detach_force_module(&c);
	if (!ret) {
		hcv_owner_wish(req->agent, c.v->uuid, !force, force);
		ret = detach_wait(&c, force);
	}
	hcv_volcmd_end(&c);
	return ret;
}
