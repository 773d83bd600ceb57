// SPDX-License-Identifier: GPL-2.0-only
/*
 * A volume that is attached nowhere, and that a node takes care of: whoever wants
 * to have it gets it.
 *
 * On the caretaker's own node the mark in the record goes, and the volume that
 * runs there gets its disk.  Otherwise the caretaker is asked, in the record, to
 * give it up; who is gone, or does not do so in time, is evicted: nobody has a
 * disk there, so no one's I/O is lost.  After that the volume is one without an
 * owner, as if there had been no caretaker.
 */
#include "cmd_volume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/record.h"
#include "jout.h"
#include "owner.h"

#define CARE_LEAVE_MS	15000	/* that it may take to give a volume up */
#define CARE_LOOK_MS	500
#define CARE_TELL_MS	5000

/* With the record goes who was named: no one is to come in between. */
enum hcv_meta_result hcv_volcare_write(struct hcv_api_req *req,
				       const struct hcv_snap_vol *v,
				       const struct hcv_record *rec)
{
	char *json = hcv_model_record_encode(rec);
	char rec_key[64], vol_key[64], care_key[64];
	struct hcv_cmp cmp[] = {
		{ rec_key, v->rec_rev }, { vol_key, v->rev },
	};
	struct hcv_op op[] = {
		{ .key = rec_key, .value = json }, { .key = care_key },
	};
	enum hcv_meta_result res;
	int64_t rev = 0;

	if (!json)
		return HCV_META_UNREACHABLE;
	snprintf(rec_key, sizeof(rec_key), "rec/%s", v->uuid);
	snprintf(vol_key, sizeof(vol_key), "vol/%s", v->uuid);
	snprintf(care_key, sizeof(care_key), "care/%s", v->uuid);
	HCV_CRASH_POINT("volume-care");
	res = hcv_meta_txn(hcv_agent_meta(req->agent), cmp, 2, op, 2, &rev,
			   HCV_META_MS);
	HCV_CRASH_POINT("volume-care-done");
	free(json);
	hcv_owner_wrote(req->agent, v->uuid, res == HCV_META_OK ? rev : 0,
			res == HCV_META_UNKNOWN);
	hcv_state_kick(req->agent);
	hcv_owner_kick(req->agent, v->uuid);
	return res;
}

static void care_tell(struct hcv_api_req *req, struct hcv_volcare *w,
		      const char *node)
{
	int64_t now = hcv_now_ms();
	struct json_object *ev;
	char text[160];

	if (w->told_ms && now - w->told_ms < CARE_TELL_MS)
		return;
	w->told_ms = now;
	snprintf(text, sizeof(text),
		 "waits for node %.63s, which takes care of it, to give it up",
		 node);
	ev = json_object_new_object();
	hcv_jo_str(ev, "text", text);
	hcv_jo_u64(ev, "waiting_ms", (uint64_t)(now - w->since_ms));
	hcv_api_progress(req, ev);
}

/* Until something may have changed; what a command reads itself has no number. */
static void care_wait(struct hcv_api_req *req)
{
	struct hcv_snap *s = hcv_snap_get(req->agent);
	uint64_t seen = s ? s->seq : 0;

	hcv_snap_put(s);
	hcv_snap_put(hcv_snap_wait(req->agent, seen,
				   hcv_now_ms() + CARE_LOOK_MS));
}

int hcv_volcare_release(struct hcv_api_req *req, const struct hcv_snap *s,
			const struct hcv_snap_vol *v, const char *object,
			struct hcv_volcare *w)
{
	const struct hcv_snap_node *n = hcv_snap_node(s, v->rec.owner);
	struct hcv_record rec = v->rec;
	enum hcv_meta_result res;
	char err[HCV_ERR_SIZE];
	bool late;
	int ret;

	if (!v->rec_rev || !rec.care.on)
		return 0;
	if (hcv_job_expired(req->job))
		return hcv_error_set(&req->err, HCV_E_TIMEOUT, object,
				     "agentctl volume show",
				     "node %s takes care of it and has not given it up yet",
				     n ? n->i.name : rec.owner);
	if (!w->since_ms)
		w->since_ms = hcv_now_ms();
	late = hcv_now_ms() - w->since_ms >= CARE_LEAVE_MS;
	if (rec.care.leave && n && n->i.live && !late) {
		care_tell(req, w, n->i.name);
		care_wait(req);
		return 1;
	}
	ret = n && n->i.live && !late ? hcv_record_care_leave(&rec, err) :
					hcv_record_care_evict(&rec, err);
	if (ret)
		return hcv_error_set(&req->err, HCV_E_REFUSED, object, NULL,
				     "%s", err);
	res = hcv_volcare_write(req, v, &rec);
	/* Surely not done, or not known: again, as long as the command may take. */
	return res == HCV_META_INVALID ?
	       hcv_error_meta(&req->err, res, object) : 1;
}
