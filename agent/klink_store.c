// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands of the module's target side: module, stores, extents, exports,
 * grants.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "klink_priv.h"

static int take_module(struct hcv_klink *k, const struct hcv_kl_attrs *t,
		       void *arg)
{
	struct hcv_k_module *m = arg;

	(void)k;
	m->abi = hcv_kl_u32(t, HCV_A_ABI);
	m->boot_id = hcv_kl_u64(t, HCV_A_BOOT_ID);
	m->features = hcv_kl_u32(t, HCV_A_FEATURES);
	hcv_kl_str(t, HCV_A_VERSION, m->version, sizeof(m->version));
	m->has_node = hcv_kl_uuid(t, HCV_A_NODE, m->node);
	hcv_kl_uuid(t, HCV_A_CLUSTER, m->cluster);
	return 0;
}

int hcv_k_module_get(struct hcv_klink *k, struct hcv_k_module *m)
{
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_MODULE_GET);

	memset(m, 0, sizeof(*m));
	return hcv_kl_call(k, nlh, take_module, m, HCV_KL_TIMEOUT_MS);
}

int hcv_k_node_set(struct hcv_klink *k, const char *node, const char *cluster)
{
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_NODE_SET);

	hcv_kl_put_uuid(k, nlh, HCV_A_NODE, node);
	hcv_kl_put_uuid(k, nlh, HCV_A_CLUSTER, cluster);
	return hcv_kl_call(k, nlh, NULL, NULL, HCV_KL_TIMEOUT_MS);
}

/* ---- stores ---- */

static int take_store(struct hcv_klink *k, const struct hcv_kl_attrs *t,
		      void *arg)
{
	struct hcv_k_store *s = arg;

	if (!hcv_kl_uuid(t, HCV_A_STORE, s->uuid))
		return hcv_kl_fail(k, -EBADMSG, "store without a UUID");
	hcv_kl_str(t, HCV_A_PATH, s->path, sizeof(s->path));
	hcv_kl_str(t, HCV_A_LABEL, s->label, sizeof(s->label));
	s->incarnation = hcv_kl_u64(t, HCV_A_INCARNATION);
	s->dev_bytes = hcv_kl_u64(t, HCV_A_DEV_BYTES);
	s->lba_bytes = hcv_kl_u32(t, HCV_A_LBA_BYTES);
	s->nr_extents = hcv_kl_u32(t, HCV_A_NR_EXTENTS);
	s->nr_extents_used = hcv_kl_u32(t, HCV_A_NR_EXTENTS_USED);
	s->nr_vols = hcv_kl_u32(t, HCV_A_NR_VOLS);
	s->nr_vols_used = hcv_kl_u32(t, HCV_A_NR_VOLS_USED);
	s->flags = hcv_kl_u32(t, HCV_A_STORE_FLAGS);
	hcv_kl_counters(t, &s->count);
	return 0;
}

/* An answer that must come, or the caller would use a zeroed struct. */
static int call_store(struct hcv_klink *k, struct nlmsghdr *nlh,
		      struct hcv_k_store *out)
{
	struct hcv_k_store tmp;
	int ret;

	if (!out)
		out = &tmp;
	memset(out, 0, sizeof(*out));
	ret = hcv_kl_call(k, nlh, take_store, out, HCV_KL_TIMEOUT_MS);
	if (!ret && !out->uuid[0])
		ret = hcv_kl_fail(k, -EBADMSG, "no answer about the store");
	return ret;
}

int hcv_k_store_open(struct hcv_klink *k, const char *path, const char *uuid,
		     struct hcv_k_store *out)
{
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_STORE_OPEN);

	hcv_kl_put_str(k, nlh, HCV_A_PATH, path);
	if (uuid)
		hcv_kl_put_uuid(k, nlh, HCV_A_STORE, uuid);
	return call_store(k, nlh, out);
}

int hcv_k_store_close(struct hcv_klink *k, const char *uuid)
{
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_STORE_CLOSE);

	hcv_kl_put_uuid(k, nlh, HCV_A_STORE, uuid);
	return hcv_kl_call(k, nlh, NULL, NULL, HCV_KL_TIMEOUT_MS);
}

int hcv_k_store_get(struct hcv_klink *k, const char *uuid,
		    struct hcv_k_store *out)
{
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_STORE_GET);

	hcv_kl_put_uuid(k, nlh, HCV_A_STORE, uuid);
	return call_store(k, nlh, out);
}

static int list_store(struct hcv_klink *k, const struct hcv_kl_attrs *t,
		      void *arg)
{
	struct hcv_k_store *s = hcv_kl_vec_add(arg);

	if (!s)
		return hcv_kl_fail(k, -ENOMEM, "out of memory");
	return take_store(k, t, s);
}

int hcv_k_store_list(struct hcv_klink *k, struct hcv_k_store **out, size_t *nr)
{
	struct hcv_kl_vec vec = { .elem = sizeof(**out) };
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_STORE_GET);
	int ret = hcv_kl_dump(k, nlh, list_store, &vec);

	*out = (struct hcv_k_store *)vec.p;
	*nr = vec.nr;
	return ret;
}

static int take_store_hists(struct hcv_klink *k, const struct hcv_kl_attrs *t,
			    void *arg)
{
	struct hcv_k_hists *h = hcv_kl_vec_add(arg);

	if (!h)
		return hcv_kl_fail(k, -ENOMEM, "out of memory");
	hcv_kl_hists(t, h);
	return 0;
}

int hcv_k_store_hists(struct hcv_klink *k, const char *uuid,
		      struct hcv_k_hists *out)
{
	struct hcv_kl_vec vec = { .elem = sizeof(*out) };
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_STORE_STATS_GET);
	int ret;

	memset(out, 0, sizeof(*out));
	hcv_kl_put_uuid(k, nlh, HCV_A_STORE, uuid);
	ret = hcv_kl_dump(k, nlh, take_store_hists, &vec);
	if (!ret && !vec.nr)
		ret = hcv_kl_fail(k, -ENOENT, "no answer about the store");
	if (!ret)
		memcpy(out, vec.p, sizeof(*out));
	free(vec.p);
	return ret;
}

/* ---- extents ---- */

static int call_extents(struct hcv_klink *k, uint8_t cmd, const char *store,
			const char *vol, const uint32_t *index, size_t nr)
{
	struct nlmsghdr *nlh = hcv_kl_new(k, cmd);

	hcv_kl_put_uuid(k, nlh, HCV_A_STORE, store);
	hcv_kl_put_uuid(k, nlh, HCV_A_VOL, vol);
	if (nr)
		hcv_kl_put(k, nlh, HCV_A_INDEXES, index, nr * sizeof(*index));
	return hcv_kl_call(k, nlh, NULL, NULL, HCV_KL_TIMEOUT_MS);
}

/* Long lists go in several requests; each may be repeated as a whole. */
static int call_extents_split(struct hcv_klink *k, uint8_t cmd,
			      const char *store, const char *vol,
			      const uint32_t *index, size_t nr)
{
	size_t i, n;
	int ret = 0;

	for (i = 0; !ret && i < nr; i += n) {
		n = nr - i < HCV_KL_INDEXES_MAX ? nr - i : HCV_KL_INDEXES_MAX;
		ret = call_extents(k, cmd, store, vol, index + i, n);
	}
	return ret;
}

int hcv_k_extent_add(struct hcv_klink *k, const char *store, const char *vol,
		     const uint32_t *index, size_t nr)
{
	return call_extents_split(k, HCV_CMD_STORE_EXTENT_ADD, store, vol,
				  index, nr);
}

int hcv_k_extent_del(struct hcv_klink *k, const char *store, const char *vol,
		     const uint32_t *index, size_t nr)
{
	/* an empty list is not "nothing" to the module but "all" */
	if (!index)
		return call_extents(k, HCV_CMD_STORE_EXTENT_DEL, store, vol,
				    NULL, 0);
	return call_extents_split(k, HCV_CMD_STORE_EXTENT_DEL, store, vol,
				  index, nr);
}

int hcv_k_extent_withdraw(struct hcv_klink *k, const char *store,
			  const char *vol, const uint32_t *index, size_t nr)
{
	return call_extents_split(k, HCV_CMD_STORE_EXTENT_WITHDRAW, store, vol,
				  index, nr);
}

static int list_extents(struct hcv_klink *k, const struct hcv_kl_attrs *t,
			void *arg)
{
	char vol[HCV_ID_LEN];
	const void *data;
	size_t i, nr;

	if (!hcv_kl_uuid(t, HCV_A_VOL, vol))
		return hcv_kl_fail(k, -EBADMSG, "extents without a volume");
	nr = hcv_kl_array(t, HCV_A_INDEXES, sizeof(uint32_t), &data);
	for (i = 0; i < nr; i++) {
		struct hcv_k_extent *e = hcv_kl_vec_add(arg);

		if (!e)
			return hcv_kl_fail(k, -ENOMEM, "out of memory");
		memcpy(e->vol, vol, sizeof(e->vol));
		memcpy(&e->index, (const char *)data + i * sizeof(e->index),
		       sizeof(e->index));
	}
	return 0;
}

int hcv_k_extent_list(struct hcv_klink *k, const char *store,
		      struct hcv_k_extent **out, size_t *nr)
{
	struct hcv_kl_vec vec = { .elem = sizeof(**out) };
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_STORE_EXTENT_GET);
	int ret;

	hcv_kl_put_uuid(k, nlh, HCV_A_STORE, store);
	ret = hcv_kl_dump(k, nlh, list_extents, &vec);
	*out = (struct hcv_k_extent *)vec.p;
	*nr = vec.nr;
	return ret;
}

/* ---- exports ---- */

static int take_export(struct hcv_klink *k, const struct hcv_kl_attrs *t,
		       void *arg)
{
	struct hcv_k_export *e = arg;

	if (!hcv_kl_uuid(t, HCV_A_STORE, e->store) ||
	    !hcv_kl_uuid(t, HCV_A_NODE, e->node) || !t->a[HCV_A_DEVNAME])
		return hcv_kl_fail(k, -EBADMSG, "incomplete export");
	hcv_kl_str(t, HCV_A_DEVNAME, e->devname, sizeof(e->devname));
	return 0;
}

int hcv_k_export_add(struct hcv_klink *k, const char *store, const char *node,
		     struct hcv_k_export *out)
{
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_EXPORT_ADD);
	struct hcv_k_export tmp;
	int ret;

	if (!out)
		out = &tmp;
	memset(out, 0, sizeof(*out));
	hcv_kl_put_uuid(k, nlh, HCV_A_STORE, store);
	hcv_kl_put_uuid(k, nlh, HCV_A_NODE, node);
	ret = hcv_kl_call(k, nlh, take_export, out, HCV_KL_TIMEOUT_MS);
	if (!ret && !out->devname[0])
		ret = hcv_kl_fail(k, -EBADMSG, "no answer about the export");
	return ret;
}

int hcv_k_export_del(struct hcv_klink *k, const char *store, const char *node)
{
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_EXPORT_DEL);

	hcv_kl_put_uuid(k, nlh, HCV_A_STORE, store);
	hcv_kl_put_uuid(k, nlh, HCV_A_NODE, node);
	return hcv_kl_call(k, nlh, NULL, NULL, HCV_KL_TIMEOUT_MS);
}

static int list_export(struct hcv_klink *k, const struct hcv_kl_attrs *t,
		       void *arg)
{
	struct hcv_k_export *e = hcv_kl_vec_add(arg);

	if (!e)
		return hcv_kl_fail(k, -ENOMEM, "out of memory");
	return take_export(k, t, e);
}

int hcv_k_export_list(struct hcv_klink *k, struct hcv_k_export **out,
		      size_t *nr)
{
	struct hcv_kl_vec vec = { .elem = sizeof(**out) };
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_EXPORT_GET);
	int ret = hcv_kl_dump(k, nlh, list_export, &vec);

	*out = (struct hcv_k_export *)vec.p;
	*nr = vec.nr;
	return ret;
}

/* ---- grants ---- */

static int take_ranges(struct hcv_klink *k, const struct hcv_kl_attrs *t,
		       struct hcv_k_grant *g)
{
	const void *data;

	g->nr = hcv_kl_array(t, HCV_A_RANGES, sizeof(g->range[0]), &data);
	if (g->nr > HCV_GRANT_RANGES)
		return hcv_kl_fail(k, -E2BIG,
			"the grant has %zu ranges, %u are supported: attach the volume anew",
			g->nr, HCV_GRANT_RANGES);
	if (g->nr)
		memcpy(g->range, data, g->nr * sizeof(g->range[0]));
	return 0;
}

static int take_grant(struct hcv_klink *k, const struct hcv_kl_attrs *t,
		      void *arg)
{
	struct hcv_k_grant *g = arg;

	g->incarnation = hcv_kl_u64(t, HCV_A_INCARNATION);
	g->renew = hcv_kl_u64(t, HCV_A_RENEW);
	return take_ranges(k, t, g);
}

int hcv_k_grant(struct hcv_klink *k, const char *store, const char *vol,
		uint64_t epoch, const char *node, uint32_t count,
		uint64_t renew, struct hcv_k_grant *out)
{
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_GRANT);
	int ret;

	memset(out, 0, sizeof(*out));
	hcv_kl_put_uuid(k, nlh, HCV_A_STORE, store);
	hcv_kl_put_uuid(k, nlh, HCV_A_VOL, vol);
	hcv_kl_put_u64(k, nlh, HCV_A_EPOCH, epoch);
	hcv_kl_put_uuid(k, nlh, HCV_A_NODE, node);
	hcv_kl_put_u32(k, nlh, HCV_A_COUNT, count);
	if (renew)
		hcv_kl_put_u64(k, nlh, HCV_A_RENEW, renew);
	ret = hcv_kl_call(k, nlh, take_grant, out, HCV_KL_TIMEOUT_MS);
	if (!ret && !out->nr)
		ret = hcv_kl_fail(k, -EBADMSG, "the grant has no ranges");
	if (ret)
		return ret;
	memcpy(out->store, store, HCV_ID_LEN);
	memcpy(out->vol, vol, HCV_ID_LEN);
	memcpy(out->node, node, HCV_ID_LEN);
	out->epoch = epoch;
	return 0;
}

struct revoked {
	uint32_t inflight, lease_ms;
	bool seen;
};

static int take_revoked(struct hcv_klink *k, const struct hcv_kl_attrs *t,
			void *arg)
{
	struct revoked *r = arg;

	/* absent must not read as "fenced" */
	if (!t->a[HCV_A_INFLIGHT] || !t->a[HCV_A_LEASE_MS])
		return hcv_kl_fail(k, -EBADMSG, "incomplete revoke answer");
	r->inflight = hcv_kl_u32(t, HCV_A_INFLIGHT);
	r->lease_ms = hcv_kl_u32(t, HCV_A_LEASE_MS);
	r->seen = true;
	return 0;
}

int hcv_k_revoke(struct hcv_klink *k, const char *store, const char *vol,
		 uint64_t epoch, uint64_t renew, uint32_t *inflight,
		 uint32_t *lease_ms)
{
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_REVOKE);
	struct revoked r = { 0 };
	int ret;

	hcv_kl_put_uuid(k, nlh, HCV_A_STORE, store);
	hcv_kl_put_uuid(k, nlh, HCV_A_VOL, vol);
	hcv_kl_put_u64(k, nlh, HCV_A_EPOCH, epoch);
	if (renew)
		hcv_kl_put_u64(k, nlh, HCV_A_RENEW, renew);
	ret = hcv_kl_call(k, nlh, take_revoked, &r, HCV_KL_TIMEOUT_MS);
	if (!ret && !r.seen)
		ret = hcv_kl_fail(k, -EBADMSG, "no answer to the revoke");
	if (ret)
		return ret;
	*inflight = r.inflight;
	*lease_ms = r.lease_ms;
	return 0;
}

static int list_grant(struct hcv_klink *k, const struct hcv_kl_attrs *t,
		      void *arg)
{
	struct hcv_k_grant *g = hcv_kl_vec_add(arg);

	if (!g)
		return hcv_kl_fail(k, -ENOMEM, "out of memory");
	if (!hcv_kl_uuid(t, HCV_A_STORE, g->store) ||
	    !hcv_kl_uuid(t, HCV_A_VOL, g->vol) ||
	    !hcv_kl_uuid(t, HCV_A_NODE, g->node))
		return hcv_kl_fail(k, -EBADMSG, "incomplete grant");
	g->epoch = hcv_kl_u64(t, HCV_A_EPOCH);
	g->incarnation = hcv_kl_u64(t, HCV_A_INCARNATION);
	g->renew = hcv_kl_u64(t, HCV_A_RENEW);
	g->inflight = hcv_kl_u32(t, HCV_A_INFLIGHT);
	g->lease_ms = hcv_kl_u32(t, HCV_A_LEASE_MS);
	g->flags = hcv_kl_u32(t, HCV_A_GRANT_FLAGS);
	return take_ranges(k, t, g);
}

int hcv_k_grant_list(struct hcv_klink *k, struct hcv_k_grant **out, size_t *nr)
{
	struct hcv_kl_vec vec = { .elem = sizeof(**out) };
	struct nlmsghdr *nlh = hcv_kl_new(k, HCV_CMD_GRANT_GET);
	int ret = hcv_kl_dump(k, nlh, list_grant, &vec);

	*out = (struct hcv_k_grant *)vec.p;
	*nr = vec.nr;
	return ret;
}
