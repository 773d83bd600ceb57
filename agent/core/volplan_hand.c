// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handing a running volume over to another node, for live migration.
 *
 * How it works.  The wish stands in the record.  The target makes a disk whose
 * I/O waits and connects to the stores while the source still serves, then says
 * that it is ready.  The source halts the volume, which flushes it, and makes
 * the target owner under the next epoch, `taking` and clean, in one transaction.
 * Whatever the target does from there is what any take-over does: the stores
 * fence the old epoch, each with its grant, before the target serves.  The
 * source's module tells the stores that its epoch is over, so that no lease is
 * waited for.
 *
 * Either side may die or give up between any two steps:
 * - Before the transaction the source is the owner; the target has nothing but
 *   a disk that waits.  After it the target is, alive or not; `volume attach`
 *   takes over from it as from any other.
 * - A transaction of unknown outcome leaves the volume halted until the record
 *   has been read.  No wish in there: someone changed the record after the
 *   revision that the transaction compares, and it is void.  Otherwise it may
 *   land yet, so that taking the wish back comes before going on:
 *   hcv_vp_hand_halted().
 * - A wish ends with its owner (record.c), by the target when its limit has
 *   passed, by the source when the target is gone or has not kept to the limit,
 *   or by an operator.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "volplan_priv.h"

__attribute__((format(printf, 3, 4)))
static void hand_say(struct hcv_vp_out *out, enum hcv_vp_act act,
		     const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out->reason, sizeof(out->reason), fmt, ap);
	va_end(ap);
	out->act = act;
}

static bool hand_failing(const struct hcv_vp_in *in, enum hcv_vp_act act,
			 const char *store)
{
	const struct hcv_vp_retry *r = hcv_vp_retry_find(in->mem, act, store);

	return r && r->until_ms > in->now_ms;
}

/* ---------------------------------------------------------------- the target */

static bool hand_wished(const struct hcv_vp_in *in)
{
	return in->rec && in->rec->phase == HCV_PH_SERVING &&
	       !strcmp(in->rec->hand.to, in->node);
}

bool hcv_vp_hand_is_target(const struct hcv_vp_in *in,
			   const struct hcv_k_vol *k)
{
	if (!in->can_hand || (in->rec && !strcmp(in->rec->owner, in->node)))
		return false;
	return k ? k->prepared : hand_wished(in);
}

static const struct hcv_vp_store *hand_store(const struct hcv_vp_in *in,
					     const char *id)
{
	size_t i;

	for (i = 0; i < in->nr_st; i++)
		if (!strcmp(in->st[i].id, id))
			return &in->st[i];
	return NULL;
}

/*
 * A connection to each store that the target will need at once.
 * Return: whether all that can be had are there; else @out is a step or a wait
 */
static bool hand_connected(const struct hcv_vp_in *in, struct hcv_vp_out *out)
{
	const struct hcv_record *rec = in->rec;
	const struct hcv_vp_store *st;
	size_t i;

	for (i = 0; i < rec->nr; i++) {
		st = hand_store(in, rec->st[i].store);
		if (rec->st[i].state != HCV_RS_INSYNC || !st || !st->live ||
		    st->bad || st->local || st->path)
			continue;
		if (st->connecting ||
		    hand_failing(in, HCV_VP_CONNECT, st->id)) {
			hand_say(out, HCV_VP_WAIT,
				 "waits for the connection to %s",
				 st->name[0] ? st->name : st->id);
			continue;
		}
		out->act = HCV_VP_CONNECT;
		snprintf(out->store, sizeof(out->store), "%s", st->id);
		return false;
	}
	return out->act == HCV_VP_NONE;
}

void hcv_vp_hand_target(const struct hcv_vp_in *in, const struct hcv_k_vol *k,
			struct hcv_vp_out *out)
{
	const struct hcv_record *rec = in->rec;
	int64_t until = in->mem->hand_ms;

	memset(out, 0, sizeof(*out));
	if (in->urgent) {
		hand_say(out, HCV_VP_WAIT, "the volume's job takes care of it");
		return;
	}
	if (!hand_wished(in) || (k && k->epoch != rec->epoch + 1)) {
		hand_say(out, in->settled ? HCV_VP_STOP : HCV_VP_REREAD,
			 "the volume is not to be handed over to this node");
		return;
	}
	if (in->want_detach || in->want_force) {
		hand_say(out, HCV_VP_HAND_ABORT, "an operator gave it up");
		return;
	}
	until += rec->hand.limit_ms;
	if (in->mem->hand_v == rec->hand.v && in->now_ms >= until) {
		hand_say(out, HCV_VP_HAND_ABORT,
			 "it was not handed over within %u ms",
			 (unsigned int)rec->hand.limit_ms);
		return;
	}
	if (!k) {
		out->act = HCV_VP_PREPARE;
		return;
	}
	if (!hand_connected(in, out))
		return;
	if (!rec->hand.ready) {
		out->act = HCV_VP_HAND_READY;
		return;
	}
	hand_say(out, HCV_VP_WAIT,
		 "is ready to be handed the volume, which its owner still serves");
	out->until_ms = until;
}

/* ---------------------------------------------------------------- the source */

void hcv_vp_hand_source(const struct hcv_vp_in *in, struct hcv_vp_out *out)
{
	const struct hcv_vp_retry *r = hcv_vp_retry_find(in->mem, HCV_VP_HALT,
							 "");
	const struct hcv_rec_hand *h = &in->rec->hand;
	int64_t until = in->mem->to_gone_ms + HCV_VP_HAND_GONE_MS;
	int64_t late = in->mem->hand_ms + h->limit_ms + HCV_VP_HAND_GRACE_MS;

	memset(out, 0, sizeof(*out));
	if (!in->can_hand || in->urgent || !h->to[0])
		return;
	if (!in->to_live && in->mem->to_gone_ms && in->now_ms >= until) {
		hand_say(out, HCV_VP_HAND_ABORT,
			 "the node that was to have it is gone");
	} else if (in->mem->hand_v == h->v && in->now_ms >= late) {
		/* Its agent lives, but does nothing: the other one's limit. */
		hand_say(out, HCV_VP_HAND_ABORT,
			 "it was not handed over within %u ms",
			 (unsigned int)h->limit_ms);
	} else if (!in->to_live) {
		hand_say(out, HCV_VP_WAIT,
			 "the node that is to have it does not answer");
		out->until_ms = until;
	} else if (!h->ready) {
		hand_say(out, HCV_VP_WAIT,
			 "the node that is to have it gets ready");
		out->until_ms = late;
	} else if (!h->go) {
		hand_say(out, HCV_VP_WAIT,
			 "the node that is to have it is ready: waits for the word to hand it over");
		out->until_ms = late;
	} else if (r && r->fails >= HCV_VP_HAND_HALTS) {
		/* Each time its guests wait. */
		hand_say(out, HCV_VP_HAND_ABORT, "it cannot be halted: %s",
			 r->why);
	} else if (!in->settled) {
		/* Not for a wish that is over, nor while the store is away. */
		hand_say(out, HCV_VP_REREAD,
			 "whether the volume is still to be handed over is to be read");
	} else {
		out->act = HCV_VP_HALT;
	}
}

/*
 * I/O waits: either it goes over now, or it stays.  Nothing is removed or joined
 * here: what was flushed is on all of them, and it would make the wait longer.
 */
void hcv_vp_hand_halted(const struct hcv_vp_in *in, struct hcv_vp_out *out)
{
	const struct hcv_rec_hand *h = &in->rec->hand;

	memset(out, 0, sizeof(*out));
	if (in->urgent)
		return;
	if (!h->to[0]) {
		if (in->settled)
			out->act = HCV_VP_RESUME;
		else
			hand_say(out, HCV_VP_REREAD,
				 "whether the volume was handed over is to be read");
		return;
	}
	if (h->ready && h->go && in->can_hand && in->to_live &&
	    !in->want_detach &&
	    !hand_failing(in, HCV_VP_HAND_OVER, ""))
		out->act = HCV_VP_HAND_OVER;
	else
		hand_say(out, HCV_VP_HAND_ABORT, "%s",
			 in->want_detach ? "it is being detached" :
			 in->to_live ? "it could not be handed over" :
			 "the node that was to have it is gone");
}
