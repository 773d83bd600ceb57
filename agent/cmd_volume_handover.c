// SPDX-License-Identifier: GPL-2.0-only
/*
 * volume.handover: a volume that runs here is to run on another node.
 *
 * The command writes the wish into the record, waits and tells; the reconcilers
 * of both nodes do the rest and would go on without it.  When its time is over
 * it takes the wish back, unless the volume was handed over meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd_volume.h"
#include "core/record.h"
#include "jout.h"
#include "owner.h"

#define HANDOVER_LIMIT_S	600
#define HANDOVER_LIMIT_MAX_S	86400
#define HANDOVER_TRIES		8
#define HANDOVER_TELL_MS	5000
#define HANDOVER_UNDO_MS	5000	/* of the command's time, for the end */

/**
 * struct handover - one run of the command
 * @to: the other node
 * @go: not only to get ready
 * @epoch: of the owner who hands it over
 * @wish: the wish's v
 */
struct handover {
	struct hcv_volcmd *c;
	char to[HCV_ID_LEN];
	char to_name[HCV_NAME_LEN];
	bool go;
	uint64_t epoch;
	uint64_t wish;
	char said[HCV_VP_REASON];
	int64_t said_ms;
};

static const char *handover_self(const struct hcv_volcmd *c)
{
	return hcv_agent_id(c->req->agent)->node;
}

/* -------------------------------------------------------------------- the wish */

static int handover_write(struct hcv_volcmd *c, const struct hcv_record *rec,
			  enum hcv_meta_result *res)
{
	char *json = hcv_model_record_encode(rec);
	char key[64];
	struct hcv_cmp cmp;
	struct hcv_op op;
	int64_t rev = 0;

	if (!json)
		return hcv_error_set(&c->req->err, HCV_E_INTERNAL, c->object,
				     NULL, "out of memory");
	snprintf(key, sizeof(key), "rec/%s", c->v->uuid);
	cmp = (struct hcv_cmp){ key, c->v->rec_rev };
	op = (struct hcv_op){ .key = key, .value = json };
	HCV_CRASH_POINT("volume-handover");
	*res = hcv_meta_txn(hcv_agent_meta(c->req->agent), &cmp, 1, &op, 1,
			    &rev, HCV_META_MS);
	HCV_CRASH_POINT("volume-handover-done");
	free(json);
	hcv_owner_wrote(c->req->agent, c->v->uuid,
			*res == HCV_META_OK ? rev : 0,
			*res == HCV_META_UNKNOWN);
	hcv_state_kick(c->req->agent);
	hcv_owner_kick(c->req->agent, c->v->uuid);
	return 0;
}

/* Return: 0: there is none any more; -1 with the error */
static int handover_take_back(struct hcv_volcmd *c)
{
	enum hcv_meta_result res = HCV_META_OK;
	char err[HCV_ERR_SIZE];
	struct hcv_record rec;
	int i;

	for (i = 0; i < HANDOVER_TRIES; i++) {
		if (i && hcv_volcmd_again(c))
			return -1;
		rec = c->v->rec;
		if (!c->v->rec_rev || !rec.hand.to[0])
			return 0;
		if (hcv_record_hand_abort(&rec, err))
			return hcv_error_set(&c->req->err, HCV_E_REFUSED,
					     c->object, NULL, "%s", err);
		if (handover_write(c, &rec, &res))
			return -1;
		if (res == HCV_META_OK)
			return 0;
		if (hcv_job_expired(c->req->job))
			break;
	}
	return hcv_error_meta(&c->req->err,
			      res == HCV_META_OK ? HCV_META_UNKNOWN : res,
			      c->object);
}

static int handover_not_here(struct hcv_volcmd *c)
{
	char hint[256];

	if (!c->v->rec.owner[0] || c->v->rec.care.on)
		return hcv_error_set(&c->req->err, HCV_E_REFUSED, c->object,
				     "agentctl volume attach",
				     "it is not attached: attach it where it is wanted");
	snprintf(hint, sizeof(hint),
		 "agentctl volume handover %s, on node %s", c->v->i.name,
		 hcv_volcmd_owner(c->s, c->v));
	return hcv_error_set(&c->req->err, HCV_E_REFUSED, c->object, hint,
			     "it is attached on node %s, not here",
			     hcv_volcmd_owner(c->s, c->v));
}

static int handover_module(struct hcv_volcmd *c)
{
	struct hcv_klink *kl = hcv_job_klink(c->req->job);
	struct hcv_k_module m;

	if (!kl || hcv_k_module_get(kl, &m) ||
	    !(m.features & HCV_FEATURE_HANDOVER))
		return hcv_error_set(&c->req->err, HCV_E_REFUSED, c->object,
				     "agentctl version",
				     "the module of this node cannot hand volumes over");
	return 0;
}

static int handover_target(struct handover *h)
{
	const char *to = hcv_api_str(h->c->req, "to", "");
	const struct hcv_snap_node *n;
	struct hcv_volcmd *c = h->c;

	n = hcv_snap_node_by_name(c->s, to);
	if (!n)
		n = hcv_snap_node(c->s, to);
	if (!n)
		return hcv_error_set(&c->req->err, HCV_E_NOTFOUND, c->object,
				     "agentctl node list",
				     "there is no node \"%.60s\"", to);
	if (!strcmp(n->i.uuid, handover_self(c)))
		return hcv_error_set(&c->req->err, HCV_E_USAGE, c->object, NULL,
				     "it is attached on node %s already",
				     n->i.name);
	if (!n->i.live)
		return hcv_error_set(&c->req->err, HCV_E_REFUSED, c->object,
				     "agentctl node list",
				     "node %s is not live", n->i.name);
	memcpy(h->to, n->i.uuid, sizeof(h->to));
	snprintf(h->to_name, sizeof(h->to_name), "%s", n->i.name);
	return 0;
}

/* Return: 0: the record has the wish; -1 with the error */
static int handover_wish(struct handover *h)
{
	uint64_t limit = hcv_api_uint(h->c->req, "limit_s", HANDOVER_LIMIT_S);
	enum hcv_meta_result res = HCV_META_OK;
	struct hcv_volcmd *c = h->c;
	char err[HCV_ERR_SIZE];
	struct hcv_record rec;
	int i, ret;

	if (!limit || limit > HANDOVER_LIMIT_MAX_S)
		return hcv_error_set(&c->req->err, HCV_E_USAGE, c->object, NULL,
				     "the limit is 1 to %d seconds",
				     HANDOVER_LIMIT_MAX_S);
	for (i = 0; i < HANDOVER_TRIES; i++) {
		if (i && hcv_volcmd_again(c))
			return -1;
		/* A try of unknown outcome has come true by now. */
		if (h->epoch && c->v->rec.epoch > h->epoch &&
		    !strcmp(c->v->rec.owner, h->to))
			return 0;
		if (strcmp(c->v->rec.owner, handover_self(c)) ||
		    c->v->rec.care.on)
			return handover_not_here(c);
		rec = c->v->rec;
		ret = hcv_record_hand_begin(&rec, h->to, h->go,
					    (uint32_t)limit * 1000, err);
		if (ret)
			return hcv_error_set(&c->req->err, ret == -EBUSY ?
					     HCV_E_BUSY : HCV_E_REFUSED,
					     c->object, "agentctl volume show",
					     "%s", err);
		h->epoch = rec.epoch;
		h->wish = rec.hand.v;
		if (rec.v == c->v->rec.v)
			return 0;
		if (handover_write(c, &rec, &res))
			return -1;
		if (res == HCV_META_OK)
			return 0;
		if (res == HCV_META_INVALID || hcv_job_expired(c->req->job))
			break;
	}
	return hcv_error_meta(&c->req->err,
			      res == HCV_META_OK ? HCV_META_UNKNOWN : res,
			      c->object);
}

/* -------------------------------------------------------------------- the wait */

static void handover_tell(struct handover *h, const char *reason)
{
	int64_t now = hcv_now_ms();
	struct json_object *ev;

	if (!reason[0] || (!strcmp(h->said, reason) &&
			   now - h->said_ms < HANDOVER_TELL_MS))
		return;
	snprintf(h->said, sizeof(h->said), "%s", reason);
	h->said_ms = now;
	ev = json_object_new_object();
	hcv_jo_str(ev, "text", reason);
	hcv_api_progress(h->c->req, ev);
}

static void handover_done(struct handover *h, const struct hcv_record *rec)
{
	struct hcv_api_req *req = h->c->req;
	struct hcv_owner_report rep;

	hcv_owner_get_report(req->agent, h->c->v->uuid, &rep);
	hcv_jo_str(req->result, "node", h->to_name);
	hcv_jo_u64(req->result, "epoch", rec->epoch);
	hcv_jo_str(req->result, "phase",
		   rec->owner[0] && !strcmp(rec->owner, h->to) ? "serving" :
								 "prepared");
	if (rep.halt_ms && rec->epoch > h->epoch)
		hcv_jo_u64(req->result, "halt_ms",
			   (uint64_t)(hcv_now_ms() - rep.halt_ms));
}

/*
 * What became of it, by a record as new as any decision of ours needs.
 * Return: 0: not known yet; 1: done; -1 with the error
 */
static int handover_look(struct handover *h, const struct hcv_record *rec)
{
	struct hcv_volcmd *c = h->c;

	if (rec->epoch > h->epoch && !strcmp(rec->owner, h->to)) {
		if (rec->phase != HCV_PH_SERVING)
			return 0;
		handover_done(h, rec);
		return 1;
	}
	if (rec->epoch > h->epoch || strcmp(rec->owner, handover_self(c)))
		return hcv_error_set(&c->req->err, HCV_E_REFUSED, c->object,
				     "agentctl volume show",
				     "it has another owner by now, which is not node %s",
				     h->to_name);
	/* A read of before the wish. */
	if (rec->v < h->wish)
		return 0;
	if (rec->hand.v != h->wish)
		return hcv_error_set(&c->req->err, HCV_E_IO, c->object,
				     "agentctl events, on both nodes",
				     "the hand-over was given up; it stays on this node");
	if (!h->go && rec->hand.ready) {
		handover_done(h, rec);
		return 1;
	}
	return 0;
}

/* Whoever is quicker: we take the wish back, or it comes true. */
static int handover_timeout(struct handover *h)
{
	struct hcv_volcmd *c = h->c;
	int ret;

	if (hcv_volcmd_again(c))
		return -1;
	ret = handover_look(h, &c->v->rec);
	if (ret)
		return ret < 0 ? -1 : 0;
	if (c->v->rec.epoch == h->epoch &&
	    (handover_take_back(c) || hcv_volcmd_again(c)))
		return -1;
	if (c->v->rec.epoch > h->epoch)
		return hcv_error_set(&c->req->err, HCV_E_TIMEOUT, c->object,
				     "agentctl volume show",
				     "it was handed over to node %s, which does not serve it yet",
				     h->to_name);
	return hcv_error_set(&c->req->err, HCV_E_TIMEOUT, c->object,
			     "agentctl events, on both nodes",
			     "node %s did not get it in time; it stays on this node%s%s",
			     h->to_name, h->said[0] ? ": " : "", h->said);
}

static int handover_wait(struct handover *h)
{
	struct hcv_api_req *req = h->c->req;
	int64_t until = req->job->deadline_ms - HANDOVER_UNDO_MS;
	const char *uuid = h->c->v->uuid;
	struct hcv_owner_report rep;
	struct hcv_snap *s;
	uint64_t seen = 0;
	int ret = 0;

	while (!ret && hcv_now_ms() < until) {
		const struct hcv_snap_vol *v;

		s = hcv_snap_get(req->agent);
		v = s ? hcv_snap_vol(s, uuid) : NULL;
		if (v && v->rec_rev)
			ret = handover_look(h, &v->rec);
		seen = s ? s->seq : 0;
		hcv_snap_put(s);
		if (ret)
			break;
		if (hcv_owner_get_report(req->agent, uuid, &rep) &&
		    rep.waiting)
			handover_tell(h, rep.reason);
		s = hcv_snap_wait(req->agent, seen, hcv_now_ms() + 500);
		hcv_snap_put(s);
	}
	if (ret)
		return ret < 0 ? -1 : 0;
	return handover_timeout(h);
}

static int handover_run(struct hcv_volcmd *c)
{
	struct handover h = {
		.c = c, .go = !hcv_api_bool(c->req, "prepare", false),
	};

	if (strcmp(c->v->rec.owner, handover_self(c)) || c->v->rec.care.on)
		return handover_not_here(c);
	if (c->v->rec.phase != HCV_PH_SERVING)
		return hcv_error_set(&c->req->err, HCV_E_BUSY, c->object,
				     "agentctl volume show",
				     "it is just being attached");
	if (handover_module(c) || handover_target(&h) || handover_wish(&h))
		return -1;
	return handover_wait(&h);
}

/*
 * It may have been handed over meanwhile, or have no wish: who has it is what the
 * caller, who is about to let a guest go on somewhere, has to know.
 */
static int handover_abort(struct hcv_volcmd *c)
{
	struct json_object *r = c->req->result;
	bool wished = c->v->rec.hand.to[0];

	if (handover_take_back(c) || hcv_volcmd_again(c))
		return -1;
	if (!c->v->rec.owner[0] || c->v->rec.care.on)
		return hcv_error_set(&c->req->err, HCV_E_REFUSED, c->object,
				     "agentctl volume attach",
				     "no node has it: there is nothing to be given up");
	hcv_jo_str(r, "node", hcv_volcmd_owner(c->s, c->v));
	hcv_jo_u64(r, "epoch", c->v->rec.epoch);
	hcv_jo_str(r, "phase", c->v->rec.phase == HCV_PH_SERVING ? "serving" :
								   "taking");
	hcv_jo_bool(r, "aborted", wished);
	return 0;
}

int hcv_cmd_volume_handover(struct hcv_api_req *req)
{
	bool abort = hcv_api_bool(req, "abort", false);
	struct hcv_volcmd c;
	int ret = hcv_volcmd_begin(&c, req);

	if (!ret && abort == !!hcv_api_str(req, "to", NULL))
		ret = hcv_error_set(&req->err, HCV_E_USAGE, c.object,
				    "agentctl volume handover --help",
				    "one of --to and --abort is wanted");
	if (!ret)
		ret = abort ? handover_abort(&c) : handover_run(&c);
	hcv_volcmd_end(&c);
	return ret;
}
