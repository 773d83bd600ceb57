// SPDX-License-Identifier: GPL-2.0-only
/*
 * The health of a store.  See health.h.
 */
#include "health.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "record.h"

/* By itself; an operator may put any store back to ok, or have it drained. */
static const uint8_t health_moves[HCV_HEALTH_STATES] = {
	[HCV_HEALTH_OK] = 1 << HCV_HEALTH_SUSPECT,
	[HCV_HEALTH_SUSPECT] = 1 << HCV_HEALTH_OK | 1 << HCV_HEALTH_DRAINING,
	[HCV_HEALTH_DRAINING] = 1 << HCV_HEALTH_OUT,
};

const char *hcv_health_state_name(enum hcv_health_state state)
{
	static const char *const name[HCV_HEALTH_STATES] = {
		[HCV_HEALTH_OK] = "ok",
		[HCV_HEALTH_SUSPECT] = "suspect",
		[HCV_HEALTH_DRAINING] = "draining",
		[HCV_HEALTH_OUT] = "out",
	};

	return state < HCV_HEALTH_STATES ? name[state] : "unknown";
}

const char *hcv_health_cause_name(enum hcv_health_cause cause)
{
	static const char *const name[HCV_HEALTH_CAUSES] = {
		[HCV_HEALTH_BY_NONE] = "",
		[HCV_HEALTH_BY_LATENCY] = "latency",
		[HCV_HEALTH_BY_MEDIA] = "media",
		[HCV_HEALTH_BY_SMART] = "smart",
		[HCV_HEALTH_BY_OPERATOR] = "operator",
	};

	return cause < HCV_HEALTH_CAUSES ? name[cause] : "unknown";
}

bool hcv_health_may_move(enum hcv_health_state from, enum hcv_health_state to)
{
	return from < HCV_HEALTH_STATES && to < HCV_HEALTH_STATES &&
	       health_moves[from] & 1 << to;
}

bool hcv_health_placeable(enum hcv_health_state state)
{
	return state < HCV_HEALTH_DRAINING;
}

/* ------------------------------------------------------------ what is counted */

/*
 * One error of a disk is a bad sector; many of them in a day are a bad disk.  Those
 * of one moment may have one cause, a cable say, however much was in flight.
 */
static void health_media(struct hcv_health *h, const struct hcv_health_in *in,
			 struct hcv_health_out *out)
{
	uint32_t burst = HCV_HEALTH_MEDIA_BURST;
	int64_t hours;

	/* The clock was set back, or nothing is left to be forgotten. */
	if (!h->media || h->media_at > in->now)
		h->media_at = in->now;
	hours = (in->now - h->media_at) / HCV_HEALTH_MEDIA_S;
	if (hours >= h->media) {
		h->media = 0;
		h->media_at = in->now;
	} else {
		h->media -= (uint32_t)hours;
		h->media_at += hours * HCV_HEALTH_MEDIA_S;
	}
	if (!in->errors)
		return;
	h->media += in->errors < burst ? (uint32_t)in->errors : burst;
	if (h->media > HCV_HEALTH_MEDIA_MAX)
		h->media = HCV_HEALTH_MEDIA_MAX;
	out->dirty = true;
}

/* A device that does not answer now has not become better. */
static void health_smart(struct hcv_health *h, const struct hcv_health_in *in,
			 struct hcv_health_out *out)
{
	if (in->smart == HCV_SMART_UNKNOWN || in->smart == h->smart)
		return;
	h->smart = in->smart;
	if (h->accepted > h->smart)
		h->accepted = h->smart;
	out->dirty = true;
}

static int64_t health_hold_ms(uint32_t relapses)
{
	int64_t ms = HCV_HEALTH_HOLD_MS;

	while (relapses-- && ms < HCV_HEALTH_HOLD_MAX_MS)
		ms *= 2;
	return ms < HCV_HEALTH_HOLD_MAX_MS ? ms : HCV_HEALTH_HOLD_MAX_MS;
}

static bool health_proved(const struct hcv_health *h,
			  const struct hcv_health_mem *mem, int64_t now_ms)
{
	return mem->history.fine >= HCV_HEALTH_FINE &&
	       now_ms - mem->slow_ms >= health_hold_ms(h->relapses);
}

static void health_set_slow(struct hcv_health *h, struct hcv_health_mem *mem,
			    bool slow, int64_t now_ms,
			    struct hcv_health_out *out)
{
	h->slow = slow;
	mem->slow_ms = slow ? now_ms : 0;
	out->changed = true;
	out->became_slow = slow;
}

static void health_latency(struct hcv_health *h, struct hcv_health_mem *mem,
			   const struct hcv_health_in *in,
			   struct hcv_health_out *out)
{
	hcv_lat_history_add(&mem->history, in->mark);
	if (h->slow) {
		if (!mem->slow_ms)
			mem->slow_ms = in->now_ms;
		if (!health_proved(h, mem, in->now_ms))
			return;
		health_set_slow(h, mem, false, in->now_ms, out);
		h->relapses++;
		return;
	}
	if (!hcv_lat_history_slow(&mem->history))
		return;
	if (!in->admitted) {
		out->asks = true;
		return;
	}
	if (h->state == HCV_HEALTH_OK &&
	    in->now - h->since >= HCV_HEALTH_FORGET_S)
		h->relapses = 0;
	health_set_slow(h, mem, true, in->now_ms, out);
}

/* ------------------------------------------------------------------- states */

struct health_target {
	enum hcv_health_state state;
	enum hcv_health_cause cause;
	char why[HCV_HEALTH_WHY];
};

static void health_why(struct health_target *t, const char *why)
{
	snprintf(t->why, sizeof(t->why), "%s", why ? why : "");
}

/* Where it belongs by what is known now; the gravest matter names it. */
static void health_target(const struct hcv_health *h,
			  const struct hcv_health_in *in,
			  struct health_target *t)
{
	bool worse = h->smart > h->accepted && in->smart == h->smart;
	bool again = h->slow && h->relapses >= HCV_HEALTH_RELAPSES;

	memset(t, 0, sizeof(*t));
	if (worse && h->smart == HCV_SMART_FAILING) {
		t->state = HCV_HEALTH_DRAINING;
		t->cause = HCV_HEALTH_BY_SMART;
	} else if (h->media >= HCV_HEALTH_MEDIA_DRAIN) {
		t->state = HCV_HEALTH_DRAINING;
		t->cause = HCV_HEALTH_BY_MEDIA;
	} else if (again) {
		t->state = HCV_HEALTH_DRAINING;
		t->cause = HCV_HEALTH_BY_LATENCY;
	} else if (worse && h->smart == HCV_SMART_SUSPECT) {
		t->state = HCV_HEALTH_SUSPECT;
		t->cause = HCV_HEALTH_BY_SMART;
	} else if (h->media >= HCV_HEALTH_MEDIA_SUSPECT) {
		t->state = HCV_HEALTH_SUSPECT;
		t->cause = HCV_HEALTH_BY_MEDIA;
	} else if (h->slow) {
		t->state = HCV_HEALTH_SUSPECT;
		t->cause = HCV_HEALTH_BY_LATENCY;
	}
	if (t->cause == HCV_HEALTH_BY_SMART)
		health_why(t, in->why_smart);
	else if (t->cause == HCV_HEALTH_BY_MEDIA)
		snprintf(t->why, sizeof(t->why),
			 "%u I/Os failed at its disk lately", h->media);
	else if (again)
		snprintf(t->why, sizeof(t->why), "slow for the %uth time",
			 h->relapses + 1);
	else if (t->cause == HCV_HEALTH_BY_LATENCY)
		health_why(t, in->why_slow);
}

/* @why: NULL: it stays what it was */
static void health_enter(struct hcv_health *h, enum hcv_health_state state,
			 enum hcv_health_cause cause, const char *why,
			 const struct hcv_health_in *in,
			 struct hcv_health_out *out)
{
	if (h->state != state)
		h->since = in->now;
	h->state = state;
	h->cause = cause;
	if (why)
		snprintf(h->why, sizeof(h->why), "%s", why);
	out->changed = true;
}

static void health_move(struct hcv_health *h, const struct hcv_health_in *in,
			struct hcv_health_out *out)
{
	struct health_target t;

	health_target(h, in, &t);
	if (h->state == HCV_HEALTH_DRAINING && in->empty) {
		health_enter(h, HCV_HEALTH_OUT, h->cause, NULL, in, out);
	} else if (h->state < t.state) {
		/* one at a time, so that each is seen and told */
		health_enter(h, h->state + 1, t.cause, t.why, in, out);
	} else if (h->state == HCV_HEALTH_SUSPECT &&
		   h->cause == HCV_HEALTH_BY_LATENCY && !h->slow &&
		   t.state == HCV_HEALTH_OK) {
		health_enter(h, HCV_HEALTH_OK, HCV_HEALTH_BY_NONE, "", in, out);
	} else if (h->state == t.state && h->cause < t.cause) {
		health_enter(h, h->state, t.cause, t.why, in, out);
	}
}

void hcv_health_step(struct hcv_health *h, struct hcv_health_mem *mem,
		     const struct hcv_health_in *in, struct hcv_health_out *out)
{
	memset(out, 0, sizeof(*out));
	out->from = h->state;
	health_media(h, in, out);
	health_smart(h, in, out);
	health_latency(h, mem, in, out);
	health_move(h, in, out);
	out->dirty |= out->changed;
}

int hcv_health_set(struct hcv_health *h, enum hcv_health_state state,
		   const char *why, int64_t now)
{
	struct hcv_health new = { .since = now, .media_at = now,
				  .smart = h->smart, .accepted = h->smart };

	if (state == HCV_HEALTH_OK) {
		if (h->state == HCV_HEALTH_OK && !h->slow && !h->media &&
		    !h->relapses)
			return -EALREADY;
		*h = new;
		return 0;
	}
	if (state != HCV_HEALTH_DRAINING)
		return -EINVAL;
	if (h->state >= HCV_HEALTH_DRAINING)
		return -EALREADY;
	h->state = state;
	h->cause = HCV_HEALTH_BY_OPERATOR;
	h->since = now;
	snprintf(h->why, sizeof(h->why), "%s", why ? why : "an operator said so");
	return 0;
}

bool hcv_health_admit(const struct hcv_health_cluster *c, char *why)
{
	size_t most = c->stores / HCV_HEALTH_SHARE;

	if (c->last_ms < HCV_HEALTH_SPACING_MS) {
		snprintf(why, HCV_ERR_SIZE,
			 "another one may have become slow less than %d min ago: a common cause is not the disks'",
			 HCV_HEALTH_SPACING_MS / 60000);
		return false;
	}
	if (c->slow >= (most ? most : 1)) {
		snprintf(why, HCV_ERR_SIZE,
			 "%zu of %zu stores are slow already: a common cause is not the disks'",
			 c->slow, c->stores);
		return false;
	}
	return true;
}

/* ------------------------------------------------------------ slow replicas */

/* Whether an extent has an in-sync copy on a store that is fast and healthy. */
static bool drop_row_safe(const struct hcv_health_drop_in *in,
			  const struct hcv_row *row)
{
	const struct hcv_record *rec = in->rec;
	size_t j, k;

	for (j = 0; j < row->nr; j++) {
		if (!(row->full & 1U << j))
			continue;
		for (k = 0; k < rec->nr; k++)
			if (rec->st[k].state == HCV_RS_INSYNC &&
			    in->present[k] && !in->slow[k] && !in->ailing[k] &&
			    !strcmp(rec->st[k].store, row->store[j]))
				return true;
	}
	return false;
}

/* Whether each extent with a copy on store @i is safe; @on: there is one. */
static bool drop_rows_safe(const struct hcv_health_drop_in *in, size_t i,
			   bool *on)
{
	const char *store = in->rec->st[i].store;
	size_t r, j;

	*on = false;
	if (!in->rows)
		return false;
	for (r = 0; r < in->rows->nr; r++) {
		const struct hcv_row *row = &in->rows->row[r];

		for (j = 0; j < row->nr; j++)
			if (!strcmp(row->store[j], store))
				break;
		if (j == row->nr)
			continue;
		*on = true;
		if (!drop_row_safe(in, row))
			return false;
	}
	return true;
}

static bool drop_safe(const struct hcv_health_drop_in *in, size_t i)
{
	struct hcv_record rec = *in->rec;
	char err[HCV_ERR_SIZE];
	bool on;

	if (!drop_rows_safe(in, i, &on))
		return false;
	/* What the record itself refuses is refused here as well. */
	return on && !hcv_record_remove(&rec, rec.st[i].store, NULL, in->rows,
					err);
}

/* Whether a store of the volume other than @but is out, or about to be. */
static bool drop_lacks(const struct hcv_health_drop_in *in, size_t but)
{
	size_t i;

	for (i = 0; i < in->rec->nr; i++)
		if (i != but && (in->rec->st[i].state != HCV_RS_INSYNC ||
				 !in->present[i]))
			return true;
	return false;
}

int hcv_health_drop(const struct hcv_health_drop_in *in)
{
	size_t i;

	if (!in->drop || !in->rows || in->rec->phase != HCV_PH_SERVING ||
	    drop_lacks(in, in->rec->nr))
		return -1;
	for (i = 0; i < in->rec->nr; i++)
		if (in->slow[i] && drop_safe(in, i))
			return (int)i;
	return -1;
}

bool hcv_health_keep_out(const struct hcv_health_drop_in *in, size_t i)
{
	bool on;

	return in->drop && in->slow[i] && !drop_lacks(in, i) &&
	       drop_rows_safe(in, i, &on);
}
