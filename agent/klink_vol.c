// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands of the module's owner side: volumes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "klink_priv.h"

static struct nlmsghdr *vol_msg(struct hcv_klink *k, uint8_t cmd,
				const char *vol, uint64_t epoch)
{
	struct nlmsghdr *nlh = hcv_kl_new(k, cmd);

	hcv_kl_put_uuid(k, nlh, HCV_A_VOL, vol);
	hcv_kl_put_u64(k, nlh, HCV_A_EPOCH, epoch);
	return nlh;
}

static int vol_call(struct hcv_klink *k, struct nlmsghdr *nlh)
{
	return hcv_kl_call(k, nlh, NULL, NULL, HCV_KL_TIMEOUT_MS);
}

int hcv_k_vol_create(struct hcv_klink *k, const struct hcv_k_vol_create *c)
{
	struct nlmsghdr *nlh = vol_msg(k, HCV_CMD_VOL_CREATE, c->uuid,
				       c->epoch);

	hcv_kl_put_str(k, nlh, HCV_A_NAME, c->name);
	hcv_kl_put_u64(k, nlh, HCV_A_SIZE, c->size);
	hcv_kl_put_u32(k, nlh, HCV_A_STRIPE, c->stripe);
	hcv_kl_put_u32(k, nlh, HCV_A_REPLICAS, c->replicas);
	hcv_kl_put_u64(k, nlh, HCV_A_V, c->v);
	hcv_kl_put_u64(k, nlh, HCV_A_LINEAGE, c->lineage);
	hcv_kl_put_u32(k, nlh, HCV_A_QUEUE, c->queue);
	hcv_kl_put_u32(k, nlh, HCV_A_POLICY, c->policy);
	if (c->policy_ms)
		hcv_kl_put_u32(k, nlh, HCV_A_POLICY_MS, c->policy_ms);
	if (c->flags)
		hcv_kl_put_u32(k, nlh, HCV_A_VOL_FLAGS, c->flags);
	if (c->sync_kibps)
		hcv_kl_put_u32(k, nlh, HCV_A_SYNC_KIBPS, c->sync_kibps);
	if (c->handover_ms)
		hcv_kl_put_u32(k, nlh, HCV_A_HANDOVER_MS, c->handover_ms);
	return vol_call(k, nlh);
}

int hcv_k_vol_link_add(struct hcv_klink *k, const char *vol, uint64_t epoch,
		       const char *store, uint32_t state, uint32_t flags,
		       uint64_t incarnation, const char *path,
		       const struct hcv_nl_range *range, size_t nr)
{
	struct nlmsghdr *nlh = vol_msg(k, HCV_CMD_VOL_LINK_ADD, vol, epoch);

	hcv_kl_put_uuid(k, nlh, HCV_A_STORE, store);
	hcv_kl_put_u32(k, nlh, HCV_A_LINK_STATE, state);
	hcv_kl_put(k, nlh, HCV_A_RANGES, range, nr * sizeof(*range));
	hcv_kl_put_u64(k, nlh, HCV_A_INCARNATION, incarnation);
	if (path)
		hcv_kl_put_str(k, nlh, HCV_A_PATH, path);
	if (flags)
		hcv_kl_put_u32(k, nlh, HCV_A_LINK_FLAGS, flags);
	return vol_call(k, nlh);
}

int hcv_k_vol_link_del(struct hcv_klink *k, const char *vol, uint64_t epoch,
		       const char *store)
{
	struct nlmsghdr *nlh = vol_msg(k, HCV_CMD_VOL_LINK_DEL, vol, epoch);

	hcv_kl_put_uuid(k, nlh, HCV_A_STORE, store);
	return vol_call(k, nlh);
}

int hcv_k_vol_link_drop(struct hcv_klink *k, const char *vol, uint64_t epoch,
			const char *store)
{
	struct nlmsghdr *nlh = vol_msg(k, HCV_CMD_VOL_LINK_DROP, vol, epoch);

	hcv_kl_put_uuid(k, nlh, HCV_A_STORE, store);
	return vol_call(k, nlh);
}

static int put_rows(struct hcv_klink *k, const char *vol, uint64_t epoch,
		    const struct hcv_row *row, size_t nr, uint8_t flags)
{
	struct nlmsghdr *nlh = vol_msg(k, HCV_CMD_VOL_EXTENT_ADD, vol, epoch);
	struct hcv_nl_extent *ext;
	size_t i, j;
	int ret = 0;

	ext = calloc(nr, sizeof(*ext));
	if (!ext)
		return hcv_kl_fail(k, -ENOMEM, "out of memory");
	for (i = 0; !ret && i < nr; i++) {
		ext[i].index = row[i].index;
		ext[i].column = row[i].column;
		ext[i].nr = row[i].nr;
		ext[i].flags = flags;
		ext[i].full = row[i].full;
		if (row[i].nr > HCV_MAX_REPLICAS)
			ret = hcv_kl_fail(k, -EINVAL, "row %u has %u stores",
					  row[i].index, row[i].nr);
		for (j = 0; !ret && j < row[i].nr; j++)
			if (hcv_kl_uuid_parse(row[i].store[j],
					      ext[i].store[j]))
				ret = hcv_kl_fail(k, -EINVAL,
						  "row %u: '%s' is not a UUID",
						  row[i].index,
						  row[i].store[j]);
	}
	if (!ret) {
		hcv_kl_put(k, nlh, HCV_A_EXTENTS, ext, nr * sizeof(*ext));
		ret = vol_call(k, nlh);
	}
	free(ext);
	return ret;
}

int hcv_k_vol_extent_add(struct hcv_klink *k, const char *vol, uint64_t epoch,
			 const struct hcv_row *row, size_t nr, uint8_t flags)
{
	size_t i, n;
	int ret = 0;

	for (i = 0; !ret && i < nr; i += n) {
		n = nr - i < HCV_KL_EXTENTS_MAX ? nr - i : HCV_KL_EXTENTS_MAX;
		ret = put_rows(k, vol, epoch, row + i, n, flags);
	}
	return ret;
}

int hcv_k_vol_extent_retire(struct hcv_klink *k, const char *vol,
			    uint64_t epoch, uint32_t column, uint32_t count,
			    uint32_t leave, const uint32_t *keep, size_t nr)
{
	struct nlmsghdr *nlh = vol_msg(k, HCV_CMD_VOL_EXTENT_RETIRE, vol,
				       epoch);

	hcv_kl_put_u32(k, nlh, HCV_A_COLUMN, column);
	hcv_kl_put_u32(k, nlh, HCV_A_COUNT, count);
	hcv_kl_put_u32(k, nlh, HCV_A_READY, leave);
	if (nr)
		hcv_kl_put(k, nlh, HCV_A_INDEXES, keep, nr * sizeof(*keep));
	return vol_call(k, nlh);
}

int hcv_k_vol_extent_del(struct hcv_klink *k, const char *vol, uint64_t epoch,
			 const uint32_t *index, size_t nr)
{
	struct nlmsghdr *nlh = vol_msg(k, HCV_CMD_VOL_EXTENT_DEL, vol, epoch);

	hcv_kl_put(k, nlh, HCV_A_INDEXES, index, nr * sizeof(*index));
	return vol_call(k, nlh);
}

int hcv_k_vol_start(struct hcv_klink *k, const char *vol, uint64_t epoch,
		    uint64_t v, const char *store)
{
	struct nlmsghdr *nlh = vol_msg(k, HCV_CMD_VOL_START, vol, epoch);

	hcv_kl_put_u64(k, nlh, HCV_A_V, v);
	if (store)
		hcv_kl_put_uuid(k, nlh, HCV_A_STORE, store);
	return hcv_kl_call(k, nlh, NULL, NULL, HCV_KL_START_TIMEOUT_MS);
}

int hcv_k_vol_suspend(struct hcv_klink *k, const char *vol, uint64_t epoch)
{
	return vol_call(k, vol_msg(k, HCV_CMD_VOL_SUSPEND, vol, epoch));
}

int hcv_k_vol_resume(struct hcv_klink *k, const char *vol, uint64_t epoch)
{
	return vol_call(k, vol_msg(k, HCV_CMD_VOL_RESUME, vol, epoch));
}

int hcv_k_vol_halt(struct hcv_klink *k, const char *vol, uint64_t epoch)
{
	struct nlmsghdr *nlh = vol_msg(k, HCV_CMD_VOL_SUSPEND, vol, epoch);

	hcv_kl_put_u32(k, nlh, HCV_A_VOL_FLAGS, HCV_VOL_F_HANDOVER);
	return vol_call(k, nlh);
}

int hcv_k_vol_let_go(struct hcv_klink *k, const char *vol)
{
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_VOL_STOP);

	hcv_kl_put_uuid(k, nlh, HCV_A_VOL, vol);
	hcv_kl_put_u32(k, nlh, HCV_A_VOL_FLAGS, HCV_VOL_F_HANDOVER);
	return vol_call(k, nlh);
}

int hcv_k_vol_stop(struct hcv_klink *k, const char *vol, bool force)
{
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_VOL_STOP);

	hcv_kl_put_uuid(k, nlh, HCV_A_VOL, vol);
	if (force)
		hcv_kl_put_u32(k, nlh, HCV_A_VOL_FLAGS, HCV_VOL_F_FORCE);
	return vol_call(k, nlh);
}

int hcv_k_vol_set(struct hcv_klink *k, const char *vol, uint64_t epoch,
		  const struct hcv_k_vol_set *s)
{
	struct nlmsghdr *nlh = vol_msg(k, HCV_CMD_VOL_SET, vol, epoch);

	if (s->size)
		hcv_kl_put_u64(k, nlh, HCV_A_SIZE, *s->size);
	if (s->name)
		hcv_kl_put_str(k, nlh, HCV_A_NAME, s->name);
	if (s->policy)
		hcv_kl_put_u32(k, nlh, HCV_A_POLICY, *s->policy);
	if (s->policy_ms)
		hcv_kl_put_u32(k, nlh, HCV_A_POLICY_MS, *s->policy_ms);
	if (s->flags)
		hcv_kl_put_u32(k, nlh, HCV_A_VOL_FLAGS, *s->flags);
	if (s->sync_kibps)
		hcv_kl_put_u32(k, nlh, HCV_A_SYNC_KIBPS, *s->sync_kibps);
	if (s->handover_ms)
		hcv_kl_put_u32(k, nlh, HCV_A_HANDOVER_MS, *s->handover_ms);
	if (s->queue)
		hcv_kl_put_u32(k, nlh, HCV_A_QUEUE, *s->queue);
	return vol_call(k, nlh);
}

int hcv_k_vol_confirm(struct hcv_klink *k, const char *vol, uint64_t epoch,
		      uint64_t v, const char *store, uint64_t incarnation,
		      uint32_t link_state)
{
	struct nlmsghdr *nlh = vol_msg(k, HCV_CMD_VOL_CONFIRM, vol, epoch);

	hcv_kl_put_u64(k, nlh, HCV_A_V, v);
	hcv_kl_put_uuid(k, nlh, HCV_A_STORE, store);
	hcv_kl_put_u64(k, nlh, HCV_A_INCARNATION, incarnation);
	hcv_kl_put_u32(k, nlh, HCV_A_LINK_STATE, link_state);
	return vol_call(k, nlh);
}

int hcv_k_vol_nospace(struct hcv_klink *k, const char *vol, uint64_t epoch,
		      uint32_t column)
{
	struct nlmsghdr *nlh = vol_msg(k, HCV_CMD_VOL_NOSPACE, vol, epoch);

	hcv_kl_put_u32(k, nlh, HCV_A_COLUMN, column);
	return vol_call(k, nlh);
}

int hcv_k_vol_fence(struct hcv_klink *k, const char *vol, uint64_t epoch)
{
	return vol_call(k, vol_msg(k, HCV_CMD_VOL_FENCE, vol, epoch));
}

int hcv_k_vol_scrub(struct hcv_klink *k, const char *vol, uint64_t epoch,
		    bool start, uint32_t kibps)
{
	struct nlmsghdr *nlh = vol_msg(k, HCV_CMD_VOL_SCRUB, vol, epoch);

	hcv_kl_put_u32(k, nlh, HCV_A_SCRUB_OP,
		       start ? HCV_SCRUB_OP_START : HCV_SCRUB_OP_STOP);
	if (start)
		hcv_kl_put_u32(k, nlh, HCV_A_SCRUB_KIBPS, kibps);
	return vol_call(k, nlh);
}

/* ---- state ---- */

static void fill_link(struct hcv_k_link *l, const struct hcv_kl_attrs *t)
{
	hcv_kl_str(t, HCV_A_PATH, l->path, sizeof(l->path));
	l->state = hcv_kl_u32(t, HCV_A_LINK_STATE);
	l->incarnation = hcv_kl_u64(t, HCV_A_INCARNATION);
	l->first = hcv_kl_u64(t, HCV_A_FIRST);
	l->lease_ms = hcv_kl_u32(t, HCV_A_LEASE_MS);
	l->err = hcv_kl_u32(t, HCV_A_ERRNO);
	l->unfit = hcv_kl_u32(t, HCV_A_LINK_FLAGS) & HCV_LINK_F_UNFIT;
	l->sync_total = hcv_kl_u64(t, HCV_A_SYNC_TOTAL);
	l->sync_done = hcv_kl_u64(t, HCV_A_SYNC_DONE);
	l->sync_copied = hcv_kl_u64(t, HCV_A_SYNC_COPIED);
	l->inflight = hcv_kl_u32(t, HCV_A_INFLIGHT);
	l->state_ms = hcv_kl_u64(t, HCV_A_STATE_MS);
	l->stall_ms = hcv_kl_u64(t, HCV_A_STALL_MS);
	hcv_kl_counters(t, &l->count);
}

static int take_link(struct hcv_klink *k, const struct nlattr *nest, void *arg)
{
	struct hcv_k_vol *v = arg;
	struct hcv_kl_attrs t;
	struct hcv_k_link *l;
	int ret;

	if (v->nr_links == HCV_MAX_LINKS)
		return hcv_kl_fail(k, -E2BIG, "more than %d links",
				   HCV_MAX_LINKS);
	ret = hcv_kl_parse_nested(k, nest, &t);
	if (ret)
		return ret;
	l = &v->link[v->nr_links];
	if (!hcv_kl_uuid(&t, HCV_A_STORE, l->store))
		return hcv_kl_fail(k, -EBADMSG, "link without a store");
	fill_link(l, &t);
	v->nr_links++;
	return 0;
}

static int take_wait(struct hcv_klink *k, const struct nlattr *nest, void *arg)
{
	struct hcv_k_vol *v = arg;
	struct hcv_kl_attrs t;
	struct hcv_k_wait *w;
	int ret;

	/* A newer module may know more reasons: the first ones will do. */
	if (v->nr_waits == __HCV_WAITS)
		return 0;
	ret = hcv_kl_parse_nested(k, nest, &t);
	if (ret)
		return ret;
	w = &v->waits[v->nr_waits++];
	w->wait = hcv_kl_u32(&t, HCV_A_WAIT);
	w->count = hcv_kl_u32(&t, HCV_A_WAIT_COUNT);
	w->ms = hcv_kl_u64(&t, HCV_A_WAIT_MS);
	return 0;
}

/* Nests are repeated, one for each link or wait; the table holds the first. */
static int take_nests(struct hcv_klink *k, const struct hcv_kl_attrs *t,
		      uint16_t attr, void *arg,
		      int (*take)(struct hcv_klink *k,
				  const struct nlattr *nest, void *arg))
{
	const struct nlattr *a = t->a[attr];
	const char *end;
	int ret = 0;

	if (!a)
		return 0;
	end = (const char *)mnl_nlmsg_get_payload_tail(t->nlh);
	for (; !ret && mnl_attr_ok(a, (int)(end - (const char *)a));
	     a = mnl_attr_next(a))
		if (mnl_attr_get_type(a) == attr)
			ret = take(k, a, arg);
	return ret;
}

static int take_scrub_copy(struct hcv_klink *k, const struct nlattr *nest,
			   struct hcv_k_scrub *s)
{
	struct hcv_kl_attrs t;
	int ret;

	if (s->nr == HCV_MAX_LINKS)
		return hcv_kl_fail(k, -E2BIG, "more than %d links",
				   HCV_MAX_LINKS);
	ret = hcv_kl_parse_nested(k, nest, &t);
	if (ret)
		return ret;
	if (!hcv_kl_uuid(&t, HCV_A_STORE, s->copy[s->nr].store))
		return hcv_kl_fail(k, -EBADMSG, "scrub without a store");
	s->copy[s->nr].result = hcv_kl_u32(&t, HCV_A_SCRUB_RESULT);
	s->copy[s->nr].covered = hcv_kl_u64(&t, HCV_A_SCRUB_COVERED);
	s->copy[s->nr].missed = hcv_kl_u64(&t, HCV_A_SCRUB_MISSED);
	s->copy[s->nr].damaged = hcv_kl_u64(&t, HCV_A_SCRUB_DAMAGED);
	s->copy[s->nr].media = hcv_kl_u64(&t, HCV_A_SCRUB_MEDIA);
	s->copy[s->nr].repaired = hcv_kl_u64(&t, HCV_A_SCRUB_REPAIRED);
	s->copy[s->nr].failed = hcv_kl_u64(&t, HCV_A_SCRUB_FAILED);
	s->copy[s->nr++].pages = hcv_kl_u64(&t, HCV_A_SCRUB_PAGES);
	return 0;
}

static int take_scrub(struct hcv_klink *k, const struct nlattr *nest, void *arg)
{
	struct hcv_k_scrub *s = &((struct hcv_k_vol *)arg)->scrub;
	const struct nlattr *a;
	struct hcv_kl_attrs t;
	int ret;

	ret = hcv_kl_parse_nested(k, nest, &t);
	if (ret)
		return ret;
	s->known = true;
	s->state = hcv_kl_u32(&t, HCV_A_SCRUB_STATE);
	s->kibps = hcv_kl_u32(&t, HCV_A_SCRUB_KIBPS);
	s->pass = hcv_kl_u64(&t, HCV_A_SCRUB_PASS);
	s->total = hcv_kl_u64(&t, HCV_A_SCRUB_TOTAL);
	s->read = hcv_kl_u64(&t, HCV_A_SCRUB_READ);
	s->changed = hcv_kl_u64(&t, HCV_A_SCRUB_CHANGED);
	s->damaged = hcv_kl_u64(&t, HCV_A_SCRUB_DAMAGED);
	s->media = hcv_kl_u64(&t, HCV_A_SCRUB_MEDIA);
	s->lost = hcv_kl_u64(&t, HCV_A_SCRUB_LOST);
	s->begun_ms = hcv_kl_u64(&t, HCV_A_SCRUB_BEGUN_MS);
	s->ended_ms = hcv_kl_u64(&t, HCV_A_SCRUB_ENDED_MS);
	mnl_attr_for_each_nested(a, nest) {
		if (mnl_attr_get_type(a) != HCV_A_LINK)
			continue;
		ret = take_scrub_copy(k, a, s);
		if (ret)
			return ret;
	}
	return 0;
}

static void fill_counters(struct hcv_k_vol *v, const struct hcv_kl_attrs *t)
{
	v->used_slots = hcv_kl_u64(t, HCV_A_USED_SLOTS);
	v->meta_bytes = hcv_kl_u64(t, HCV_A_META_BYTES);
	hcv_kl_counters(t, &v->count);
	v->discard_ios = hcv_kl_u64(t, HCV_A_DISCARD_IOS);
	v->discard_bytes = hcv_kl_u64(t, HCV_A_DISCARD_BYTES);
	v->sync_kibps = hcv_kl_u32(t, HCV_A_SYNC_KIBPS);
	v->unflushed_mibs = hcv_kl_u32(t, HCV_A_UNFLUSHED_MIBS);
	v->log_entries = hcv_kl_u32(t, HCV_A_LOG_ENTRIES);
	v->log_named = hcv_kl_u32(t, HCV_A_LOG_NAMED);
	v->log_misses = hcv_kl_u64(t, HCV_A_LOG_MISSES);
	v->log_writes = hcv_kl_u64(t, HCV_A_LOG_WRITES);
	v->log_dropped = hcv_kl_u64(t, HCV_A_LOG_DROPPED);
}

static size_t fill_u32(const struct hcv_kl_attrs *t, uint16_t attr,
		       uint32_t *out, size_t max)
{
	const void *data;
	size_t nr;

	nr = hcv_kl_array(t, attr, sizeof(uint32_t), &data);
	if (nr > max)
		nr = max;
	if (nr)
		memcpy(out, data, nr * sizeof(uint32_t));
	return nr;
}

static void fill_columns(struct hcv_k_vol *v, const struct hcv_kl_attrs *t)
{
	v->nr_col = (uint32_t)fill_u32(t, HCV_A_COL_READY, v->col_ready, 4);
	fill_u32(t, HCV_A_COL_IDLE, v->col_idle, 4);
	v->can_retire = t->a[HCV_A_NEXT_INDEX];
	v->next_index = hcv_kl_u32(t, HCV_A_NEXT_INDEX);
	v->nr_settling = fill_u32(t, HCV_A_SETTLING, v->settling,
				  HCV_K_RETIRED_MAX);
	v->nr_settled = fill_u32(t, HCV_A_SETTLED, v->settled,
				 HCV_K_RETIRED_MAX);
}

static int take_vol(struct hcv_klink *k, const struct hcv_kl_attrs *t,
		    void *arg)
{
	struct hcv_k_vol *v = arg;
	int ret;

	if (!hcv_kl_uuid(t, HCV_A_VOL, v->uuid))
		return hcv_kl_fail(k, -EBADMSG, "volume without a UUID");
	hcv_kl_str(t, HCV_A_NAME, v->name, sizeof(v->name));
	v->size = hcv_kl_u64(t, HCV_A_SIZE);
	v->epoch = hcv_kl_u64(t, HCV_A_EPOCH);
	v->v = hcv_kl_u64(t, HCV_A_V);
	v->lineage = hcv_kl_u64(t, HCV_A_LINEAGE);
	v->stripe = hcv_kl_u32(t, HCV_A_STRIPE);
	v->replicas = hcv_kl_u32(t, HCV_A_REPLICAS);
	v->queue = hcv_kl_u32(t, HCV_A_QUEUE);
	v->flags = hcv_kl_u32(t, HCV_A_VOL_FLAGS);
	v->policy = hcv_kl_u32(t, HCV_A_POLICY);
	v->policy_ms = hcv_kl_u32(t, HCV_A_POLICY_MS);
	v->minor = hcv_kl_u32(t, HCV_A_MINOR);
	v->state = hcv_kl_u32(t, HCV_A_VOL_STATE);
	v->prepared = v->flags & HCV_VOL_F_PREPARED;
	v->handover_ms = hcv_kl_u32(t, HCV_A_HANDOVER_MS);
	v->halted = v->flags & HCV_VOL_F_HANDOVER;
	v->diskless = v->flags & HCV_VOL_F_DISKLESS;
	v->wait = hcv_kl_u32(t, HCV_A_WAIT);
	v->wait_ms = hcv_kl_u64(t, HCV_A_WAIT_MS);
	v->wait_count = hcv_kl_u32(t, HCV_A_WAIT_COUNT);
	v->openers = hcv_kl_u32(t, HCV_A_OPENERS);
	v->nr_extents = hcv_kl_u32(t, HCV_A_NR_EXTENTS);
	fill_columns(v, t);
	fill_counters(v, t);
	ret = take_nests(k, t, HCV_A_WAITS, v, take_wait);
	if (!ret)
		ret = take_nests(k, t, HCV_A_SCRUB, v, take_scrub);
	return ret ? ret : take_nests(k, t, HCV_A_LINK, v, take_link);
}

int hcv_k_vol_get(struct hcv_klink *k, const char *uuid, struct hcv_k_vol *out)
{
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_VOL_GET);
	int ret;

	memset(out, 0, sizeof(*out));
	hcv_kl_put_uuid(k, nlh, HCV_A_VOL, uuid);
	ret = hcv_kl_call(k, nlh, take_vol, out, HCV_KL_TIMEOUT_MS);
	if (!ret && !out->uuid[0])
		ret = hcv_kl_fail(k, -EBADMSG, "no answer about the volume");
	return ret;
}

static int list_vol(struct hcv_klink *k, const struct hcv_kl_attrs *t,
		    void *arg)
{
	struct hcv_k_vol *v = hcv_kl_vec_add(arg);

	if (!v)
		return hcv_kl_fail(k, -ENOMEM, "out of memory");
	return take_vol(k, t, v);
}

int hcv_k_vol_list(struct hcv_klink *k, struct hcv_k_vol **out, size_t *nr)
{
	struct hcv_kl_vec vec = { .elem = sizeof(**out) };
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_VOL_GET);
	int ret = hcv_kl_dump(k, nlh, list_vol, &vec);

	*out = (struct hcv_k_vol *)vec.p;
	*nr = vec.nr;
	return ret;
}

static int take_link_stats(struct hcv_klink *k, const struct nlattr *nest,
			   void *arg)
{
	struct hcv_k_stats *s = arg;
	struct hcv_kl_attrs t;
	int ret;

	if (s->nr_links == HCV_MAX_LINKS)
		return hcv_kl_fail(k, -E2BIG, "more than %d links",
				   HCV_MAX_LINKS);
	ret = hcv_kl_parse_nested(k, nest, &t);
	if (ret)
		return ret;
	if (!hcv_kl_uuid(&t, HCV_A_STORE, s->link[s->nr_links].store))
		return hcv_kl_fail(k, -EBADMSG, "link without a store");
	hcv_kl_hists(&t, &s->link[s->nr_links++].hists);
	return 0;
}

/* The dump is of one volume: it has one element, or none. */
static int take_stats(struct hcv_klink *k, const struct hcv_kl_attrs *t,
		      void *arg)
{
	struct hcv_k_stats *s = hcv_kl_vec_add(arg);

	if (!s)
		return hcv_kl_fail(k, -ENOMEM, "out of memory");
	hcv_kl_hists(t, &s->vol);
	return take_nests(k, t, HCV_A_LINK, s, take_link_stats);
}

int hcv_k_vol_stats(struct hcv_klink *k, const char *vol,
		    struct hcv_k_stats *out)
{
	struct hcv_kl_vec vec = { .elem = sizeof(*out) };
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_VOL_STATS_GET);
	int ret;

	memset(out, 0, sizeof(*out));
	hcv_kl_put_uuid(k, nlh, HCV_A_VOL, vol);
	ret = hcv_kl_dump(k, nlh, take_stats, &vec);
	if (!ret && !vec.nr)
		ret = hcv_kl_fail(k, -ENOENT, "no answer about the volume");
	if (!ret)
		memcpy(out, vec.p, sizeof(*out));
	free(vec.p);
	return ret;
}
