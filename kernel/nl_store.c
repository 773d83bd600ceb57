// SPDX-License-Identifier: GPL-2.0-only
/*
 * Netlink commands of the node, stores, exports and grants.
 *
 * Dumps keep the serial of the last object shown in cb->ctx: whatever exists
 * during a whole dump is in it once, whatever comes or goes meanwhile.
 */
#include "netlink.h"

#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "export.h"
#include "gate.h"
#include "store_priv.h"

/* Indexes in one message of STORE_EXTENT_GET. */
#define HCV_NL_INDEXES_MAX	4096

/**
 * struct hcv_nl_dump - where a dump is
 * @store: serial of the last store that is done
 * @sub: serial or number within the store that is done
 * @cur: serial of the volume whose extents are being shown
 * @index: next extent of that volume
 */
struct hcv_nl_dump {
	u64 store;
	u64 sub;
	u64 cur;
	u64 index;
};

static struct hcv_nl_dump *hcv_nl_dump(struct netlink_callback *cb)
{
	BUILD_BUG_ON(sizeof(struct hcv_nl_dump) > sizeof(cb->ctx));
	return (struct hcv_nl_dump *)cb->ctx;
}

static void *hcv_nl_dump_put(struct sk_buff *skb, struct netlink_callback *cb,
			     u8 cmd)
{
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   &hcv_nl_family, NLM_F_MULTI, cmd);
}

/* Return of a dump: more comes as long as something was put. */
static int hcv_nl_dump_ret(struct sk_buff *skb, int ret)
{
	return ret && !skb->len ? ret : skb->len;
}

/* The reply to a command, or an ERR_PTR. */
static struct sk_buff *hcv_nl_reply(struct genl_info *info, size_t size,
				    void **hdr)
{
	struct sk_buff *msg = genlmsg_new(size, GFP_KERNEL);

	if (!msg)
		return ERR_PTR(-ENOMEM);
	*hdr = genlmsg_put_reply(msg, info, &hcv_nl_family, 0,
				 info->genlhdr->cmd);
	if (*hdr)
		return msg;
	nlmsg_free(msg);
	return ERR_PTR(-EMSGSIZE);
}

static int hcv_nl_reply_send(struct sk_buff *msg, void *hdr,
			     struct genl_info *info, int ret)
{
	if (ret) {
		nlmsg_free(msg);
		return ret;
	}
	genlmsg_end(msg, hdr);
	return genlmsg_reply(msg, info);
}

static int hcv_nl_put_u64(struct sk_buff *skb, int attr, u64 val)
{
	return nla_put_u64_64bit(skb, attr, val, HCV_A_PAD);
}

/* The store that a command names, with a reference, or an ERR_PTR. */
static struct hcv_store *hcv_nl_store(struct nlattr *attr,
				      struct netlink_ext_ack *extack)
{
	struct hcv_store *store;
	uuid_t uuid;

	hcv_nl_uuid(attr, &uuid);
	store = hcv_store_get(&uuid);
	if (store)
		return store;
	hcv_compat_err(extack, "store %pUb is not open", &uuid);
	return ERR_PTR(-ENOENT);
}

/* Node */

static DEFINE_MUTEX(hcv_node_lock);
static uuid_t hcv_node, hcv_cluster;	/* hcv_node_lock */
static bool hcv_node_known;		/* hcv_node_lock */

bool hcv_node_uuid(uuid_t *node, uuid_t *cluster)
{
	bool known;

	mutex_lock(&hcv_node_lock);
	known = hcv_node_known;
	*node = hcv_node;
	*cluster = hcv_cluster;
	mutex_unlock(&hcv_node_lock);
	return known;
}

int hcv_nl_node_set(struct sk_buff *skb, struct genl_info *info)
{
	uuid_t node, cluster;
	bool same;
	int ret = 0;

	hcv_nl_uuid(info->attrs[HCV_A_NODE], &node);
	hcv_nl_uuid(info->attrs[HCV_A_CLUSTER], &cluster);
	if (uuid_is_null(&node) || uuid_is_null(&cluster)) {
		hcv_compat_err(info->extack, "a null UUID names nothing");
		return -EINVAL;
	}
	mutex_lock(&hcv_node_lock);
	same = hcv_node_known && uuid_equal(&node, &hcv_node) &&
		uuid_equal(&cluster, &hcv_cluster);
	if (!same && hcv_node_known && hcv_store_any()) {
		hcv_compat_err(info->extack,
			       "stores are open under the name %pUb",
			       &hcv_node);
		ret = -EBUSY;
	} else {
		hcv_node = node;
		hcv_cluster = cluster;
		hcv_node_known = true;
	}
	mutex_unlock(&hcv_node_lock);
	return ret;
}

/* Stores */

static int hcv_nl_put_store(struct sk_buff *skb, struct hcv_store *store)
{
	const struct hcv_table *tab = &store->priv->table;
	const struct hcv_layout *lay = &store->sb.lay;
	struct hcv_stats stats;

	if (nla_put(skb, HCV_A_STORE, sizeof(store->uuid), &store->uuid) ||
	    nla_put_string(skb, HCV_A_PATH, store->path) ||
	    nla_put_string(skb, HCV_A_LABEL, store->sb.label) ||
	    hcv_nl_put_u64(skb, HCV_A_INCARNATION, store->incarnation) ||
	    hcv_nl_put_u64(skb, HCV_A_DEV_BYTES, lay->dev_bytes) ||
	    nla_put_u32(skb, HCV_A_LBA_BYTES,
			bdev_logical_block_size(store->bdev)) ||
	    nla_put_u32(skb, HCV_A_NR_EXTENTS, lay->nr_extents) ||
	    nla_put_u32(skb, HCV_A_NR_EXTENTS_USED,
			READ_ONCE(tab->nr_extents_used)) ||
	    nla_put_u32(skb, HCV_A_NR_VOLS, lay->nr_vols) ||
	    nla_put_u32(skb, HCV_A_NR_VOLS_USED,
			READ_ONCE(tab->nr_vols_used)) ||
	    nla_put_u32(skb, HCV_A_STORE_FLAGS, hcv_store_flags(store)))
		return -EMSGSIZE;
	hcv_stats_group_sum(&store->stats, &stats);
	return hcv_nl_put_counters(skb, &stats);
}

static int hcv_nl_store_answer(struct genl_info *info, struct hcv_store *store)
{
	struct sk_buff *msg;
	void *hdr;

	/* A path may be as long as PATH_MAX. */
	msg = hcv_nl_reply(info, NLMSG_GOODSIZE + PATH_MAX, &hdr);
	if (IS_ERR(msg))
		return PTR_ERR(msg);
	return hcv_nl_reply_send(msg, hdr, info, hcv_nl_put_store(msg, store));
}

int hcv_nl_store_open(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_store *store;
	uuid_t expect;
	int ret;

	if (info->attrs[HCV_A_STORE])
		hcv_nl_uuid(info->attrs[HCV_A_STORE], &expect);
	store = hcv_store_open(nla_data(info->attrs[HCV_A_PATH]),
			       info->attrs[HCV_A_STORE] ? &expect : NULL,
			       info->extack);
	if (IS_ERR(store))
		return PTR_ERR(store);
	ret = hcv_nl_store_answer(info, store);
	hcv_store_put(store);
	return ret;
}

int hcv_nl_store_close(struct sk_buff *skb, struct genl_info *info)
{
	uuid_t uuid;

	hcv_nl_uuid(info->attrs[HCV_A_STORE], &uuid);
	return hcv_store_close(&uuid, info->extack);
}

int hcv_nl_store_get(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_store *store;
	int ret;

	store = hcv_nl_store(info->attrs[HCV_A_STORE], info->extack);
	if (IS_ERR(store))
		return PTR_ERR(store);
	ret = hcv_nl_store_answer(info, store);
	hcv_store_put(store);
	return ret;
}

int hcv_nl_store_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct hcv_nl_dump *pos = hcv_nl_dump(cb);
	struct hcv_store *store;
	int ret = 0;
	void *hdr;

	while (!ret && (store = hcv_store_next(pos->store)) != NULL) {
		ret = -EMSGSIZE;
		hdr = hcv_nl_dump_put(skb, cb, HCV_CMD_STORE_GET);
		if (hdr)
			ret = hcv_nl_put_store(skb, store);
		if (!ret) {
			genlmsg_end(skb, hdr);
			pos->store = hcv_store_serial(store);
		} else if (hdr) {
			genlmsg_cancel(skb, hdr);
		}
		hcv_store_put(store);
	}
	return hcv_nl_dump_ret(skb, ret);
}

static int hcv_nl_put_store_stats(struct sk_buff *skb, struct hcv_store *store)
{
	struct hcv_stats sum;

	hcv_stats_group_sum(&store->stats, &sum);
	if (nla_put(skb, HCV_A_STORE, sizeof(store->uuid), &store->uuid))
		return -EMSGSIZE;
	return hcv_nl_put_hists(skb, &sum);
}

int hcv_nl_store_stats_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct nlattr *only = hcv_compat_dump_attrs(cb)[HCV_A_STORE];
	struct hcv_nl_dump *pos = hcv_nl_dump(cb);
	struct hcv_store *store;
	int ret = 0;
	void *hdr;

	while (!ret && (store = hcv_store_next(pos->store)) != NULL) {
		pos->cur = hcv_store_serial(store);
		if (!only || !memcmp(nla_data(only), &store->uuid, UUID_SIZE)) {
			ret = -EMSGSIZE;
			hdr = hcv_nl_dump_put(skb, cb, HCV_CMD_STORE_STATS_GET);
			if (hdr)
				ret = hcv_nl_put_store_stats(skb, store);
			if (!ret)
				genlmsg_end(skb, hdr);
			else if (hdr)
				genlmsg_cancel(skb, hdr);
		}
		if (!ret)
			pos->store = pos->cur;
		hcv_store_put(store);
	}
	return hcv_nl_dump_ret(skb, ret);
}

/* Extents */

int hcv_nl_indexes(struct genl_info *info, const u32 **index, u32 *nr)
{
	struct nlattr *attr = info->attrs[HCV_A_INDEXES];

	*index = NULL;
	*nr = 0;
	if (!attr)
		return 0;
	if (nla_len(attr) % sizeof(u32)) {
		NL_SET_BAD_ATTR(info->extack, attr);
		hcv_compat_err(info->extack, "INDEXES is not an array of u32");
		return -EINVAL;
	}
	*index = nla_data(attr);
	*nr = nla_len(attr) / sizeof(u32);
	return 0;
}

int hcv_nl_store_extent_add(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_store *store;
	const u32 *index;
	uuid_t vol;
	u32 nr;
	int ret;

	ret = hcv_nl_indexes(info, &index, &nr);
	if (ret)
		return ret;
	hcv_nl_uuid(info->attrs[HCV_A_VOL], &vol);
	if (uuid_is_null(&vol)) {
		hcv_compat_err(info->extack, "a null UUID names no volume");
		return -EINVAL;
	}
	store = hcv_nl_store(info->attrs[HCV_A_STORE], info->extack);
	if (IS_ERR(store))
		return PTR_ERR(store);
	ret = hcv_store_extents_add(store, &vol, index, nr, info->extack);
	hcv_store_put(store);
	return ret;
}

/* Have @fn do something with the extents in INDEXES. */
static int nl_store_indexes(struct genl_info *info,
			    int (*fn)(struct hcv_store *store,
				      const uuid_t *vol, const u32 *index,
				      u32 nr, struct netlink_ext_ack *extack))
{
	struct hcv_store *store;
	const u32 *index;
	uuid_t vol;
	u32 nr;
	int ret;

	ret = hcv_nl_indexes(info, &index, &nr);
	if (ret)
		return ret;
	hcv_nl_uuid(info->attrs[HCV_A_VOL], &vol);
	store = hcv_nl_store(info->attrs[HCV_A_STORE], info->extack);
	if (IS_ERR(store))
		return PTR_ERR(store);
	ret = fn(store, &vol, index, nr, info->extack);
	hcv_store_put(store);
	return ret;
}

int hcv_nl_store_extent_del(struct sk_buff *skb, struct genl_info *info)
{
	return nl_store_indexes(info, hcv_store_extents_del);
}

int hcv_nl_store_extent_withdraw(struct sk_buff *skb, struct genl_info *info)
{
	return nl_store_indexes(info, hcv_store_extents_withdraw);
}

/*
 * Puts as many extents of a volume as fit, from pos->index on.  Returns 0 when
 * all are out, -EMSGSIZE when the message is full, -EAGAIN when one more
 * message of this volume must follow.
 */
static int hcv_nl_put_indexes(struct sk_buff *skb, struct hcv_store_vol *vol,
			      struct hcv_nl_dump *pos)
{
	unsigned long index;
	struct nlattr *nla;
	void *entry;
	u32 nr = 0;

	if (nla_put(skb, HCV_A_VOL, sizeof(vol->uuid), &vol->uuid))
		return -EMSGSIZE;
	nla = nla_reserve(skb, HCV_A_INDEXES, 0);
	if (!nla)
		return -EMSGSIZE;
	xa_for_each_start(&vol->extent, index, entry, pos->index) {
		if (nr == HCV_NL_INDEXES_MAX || skb_tailroom(skb) < 4) {
			pos->index = index;
			return nr ? -EAGAIN : -EMSGSIZE;
		}
		*(u32 *)skb_put(skb, sizeof(u32)) = index;
		nla->nla_len += sizeof(u32);
		nr++;
	}
	return 0;
}

static int hcv_nl_put_extents(struct sk_buff *skb, struct netlink_callback *cb,
			      struct hcv_store_vol *vol)
{
	struct hcv_nl_dump *pos = hcv_nl_dump(cb);
	void *hdr;
	int ret;

	if (pos->cur != vol->serial) {
		pos->cur = vol->serial;
		pos->index = 0;
	}
	hdr = hcv_nl_dump_put(skb, cb, HCV_CMD_STORE_EXTENT_GET);
	if (!hdr)
		return -EMSGSIZE;
	ret = hcv_nl_put_indexes(skb, vol, pos);
	if (ret == -EMSGSIZE) {
		genlmsg_cancel(skb, hdr);
		return ret;
	}
	genlmsg_end(skb, hdr);
	if (!ret)
		pos->sub = vol->serial;
	return 0;
}

int hcv_nl_store_extent_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct nlattr **attrs = hcv_compat_dump_attrs(cb);
	struct hcv_nl_dump *pos = hcv_nl_dump(cb);
	struct hcv_store_vol *vol;
	struct hcv_store *store;
	int ret = 0;

	store = hcv_nl_store(attrs[HCV_A_STORE], cb->extack);
	if (IS_ERR(store))
		return PTR_ERR(store);
	mutex_lock(&store->lock);
	while (!ret && (vol = hcv_table_vol_next(store, pos->sub)) != NULL)
		ret = hcv_nl_put_extents(skb, cb, vol);
	mutex_unlock(&store->lock);
	hcv_store_put(store);
	return hcv_nl_dump_ret(skb, ret);
}

/* Exports */

int hcv_nl_export_add(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_store *store;
	struct sk_buff *msg;
	char name[16];
	uuid_t client;
	void *hdr;
	int ret;

	hcv_nl_uuid(info->attrs[HCV_A_NODE], &client);
	store = hcv_nl_store(info->attrs[HCV_A_STORE], info->extack);
	if (IS_ERR(store))
		return PTR_ERR(store);
	msg = hcv_nl_reply(info, NLMSG_GOODSIZE, &hdr);
	if (IS_ERR(msg)) {
		ret = PTR_ERR(msg);
		goto out_put;
	}
	ret = hcv_export_add(store, &client);
	if (ret < 0) {
		nlmsg_free(msg);
		hcv_compat_err(info->extack, "export cannot be made: error %d",
			       -ret);
		goto out_put;
	}
	snprintf(name, sizeof(name), "hcvx%d", ret);
	ret = nla_put(msg, HCV_A_STORE, sizeof(store->uuid), &store->uuid) ?:
		nla_put(msg, HCV_A_NODE, sizeof(client), &client) ?:
		nla_put_string(msg, HCV_A_DEVNAME, name);
	ret = hcv_nl_reply_send(msg, hdr, info, ret);
out_put:
	hcv_store_put(store);
	return ret;
}

int hcv_nl_export_del(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_store *store;
	uuid_t client;
	int ret;

	hcv_nl_uuid(info->attrs[HCV_A_NODE], &client);
	store = hcv_nl_store(info->attrs[HCV_A_STORE], info->extack);
	if (IS_ERR(store))
		return PTR_ERR(store);
	ret = hcv_export_del(store, &client, info->extack);
	hcv_store_put(store);
	return ret;
}

/* What a callback that fills a dump needs. */
struct hcv_nl_fill {
	struct sk_buff *skb;
	struct netlink_callback *cb;
};

static int hcv_nl_put_export(struct sk_buff *skb,
			     const struct hcv_export_info *exp)
{
	char name[16];

	snprintf(name, sizeof(name), "hcvx%d", exp->minor);
	if (nla_put(skb, HCV_A_STORE, sizeof(uuid_t), &exp->store->uuid) ||
	    nla_put(skb, HCV_A_NODE, sizeof(uuid_t), exp->client) ||
	    nla_put_string(skb, HCV_A_DEVNAME, name) ||
	    nla_put_u32(skb, HCV_A_OPENERS, exp->openers))
		return -EMSGSIZE;
	return hcv_nl_put_counters(skb, &exp->stats);
}

static int hcv_nl_dump_export(const struct hcv_export_info *exp, void *arg)
{
	struct hcv_nl_fill *fill = arg;
	void *hdr = hcv_nl_dump_put(fill->skb, fill->cb, HCV_CMD_EXPORT_GET);

	if (!hdr)
		return -EMSGSIZE;
	if (hcv_nl_put_export(fill->skb, exp)) {
		genlmsg_cancel(fill->skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(fill->skb, hdr);
	hcv_nl_dump(fill->cb)->sub = exp->minor + 1;
	return 0;
}

int hcv_nl_export_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct hcv_nl_fill fill = { .skb = skb, .cb = cb };
	int ret = hcv_export_each(hcv_nl_dump(cb)->sub, hcv_nl_dump_export,
				  &fill);

	return hcv_nl_dump_ret(skb, ret);
}

/* Grants */

/* The answer to GRANT, made under the gate's lock. */
struct hcv_nl_granted {
	struct genl_info *info;
	struct sk_buff *msg;
	void *hdr;
};

static int hcv_nl_answer_grant(const struct hcv_grant_info *g, void *arg)
{
	struct hcv_nl_granted *out = arg;
	const struct hcv_store *store = g->grant->store;
	u32 bytes = g->nr_ranges * sizeof(*g->range), i, count = 0;

	for (i = 0; i < g->nr_ranges; i++)
		count += g->range[i].count;
	out->msg = hcv_nl_reply(out->info, NLMSG_GOODSIZE +
				nla_total_size(bytes), &out->hdr);
	if (IS_ERR(out->msg))
		return PTR_ERR(out->msg);
	if (hcv_nl_put_u64(out->msg, HCV_A_FIRST, g->range[0].first) ||
	    nla_put_u32(out->msg, HCV_A_COUNT, count) ||
	    hcv_nl_put_u64(out->msg, HCV_A_INCARNATION, store->incarnation) ||
	    nla_put(out->msg, HCV_A_RANGES, bytes, g->range) ||
	    hcv_nl_put_u64(out->msg, HCV_A_RENEW, g->grant->renew)) {
		nlmsg_free(out->msg);
		return -EMSGSIZE;
	}
	return 0;
}

int hcv_nl_grant(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_nl_granted out = { .info = info };
	struct hcv_grant_want want;
	struct hcv_store *store;
	struct hcv_grant *grant;
	uuid_t vol, client;
	unsigned int noio;
	int ret;

	hcv_nl_uuid(info->attrs[HCV_A_VOL], &vol);
	hcv_nl_uuid(info->attrs[HCV_A_NODE], &client);
	store = hcv_nl_store(info->attrs[HCV_A_STORE], info->extack);
	if (IS_ERR(store))
		return PTR_ERR(store);
	want = (struct hcv_grant_want) {
		.vol = &vol,
		.client = &client,
		.epoch = nla_get_u64(info->attrs[HCV_A_EPOCH]),
		.count = nla_get_u32(info->attrs[HCV_A_COUNT]),
	};
	if (info->attrs[HCV_A_RENEW])
		want.renew = nla_get_u64(info->attrs[HCV_A_RENEW]);
	grant = hcv_gate_grant(store, &want, info->extack);
	ret = PTR_ERR_OR_ZERO(grant);
	if (!ret) {
		noio = memalloc_noio_save();
		ret = hcv_gate_show(grant, hcv_nl_answer_grant, &out);
		memalloc_noio_restore(noio);
		hcv_grant_put(grant);
	}
	hcv_store_put(store);
	if (ret)
		return ret;
	return hcv_nl_reply_send(out.msg, out.hdr, info, 0);
}

int hcv_nl_revoke(struct sk_buff *skb, struct genl_info *info)
{
	u32 inflight = 0, lease_ms = 0;
	struct hcv_store *store;
	struct sk_buff *msg;
	uuid_t vol;
	void *hdr;
	u64 epoch;
	int ret = 0;

	hcv_nl_uuid(info->attrs[HCV_A_VOL], &vol);
	store = hcv_nl_store(info->attrs[HCV_A_STORE], info->extack);
	if (IS_ERR(store))
		return PTR_ERR(store);
	epoch = nla_get_u64(info->attrs[HCV_A_EPOCH]);
	if (info->attrs[HCV_A_RENEW])
		inflight = hcv_gate_retire_vol(store, &vol, epoch,
					       nla_get_u64(info->attrs[HCV_A_RENEW]));
	else
		ret = hcv_gate_revoke(store, &vol, epoch, &inflight,
				      &lease_ms);
	hcv_store_put(store);
	if (ret)
		return ret;
	msg = hcv_nl_reply(info, NLMSG_GOODSIZE, &hdr);
	if (IS_ERR(msg))
		return PTR_ERR(msg);
	ret = nla_put_u32(msg, HCV_A_INFLIGHT, inflight) ?:
		nla_put_u32(msg, HCV_A_LEASE_MS, lease_ms);
	return hcv_nl_reply_send(msg, hdr, info, ret);
}

static int hcv_nl_put_grant(struct sk_buff *skb, const struct hcv_grant_info *g)
{
	const struct hcv_grant *grant = g->grant;

	if (nla_put(skb, HCV_A_STORE, sizeof(uuid_t), &grant->store->uuid) ||
	    nla_put(skb, HCV_A_VOL, sizeof(uuid_t), &grant->vol) ||
	    hcv_nl_put_u64(skb, HCV_A_EPOCH, grant->epoch) ||
	    nla_put(skb, HCV_A_NODE, sizeof(uuid_t), &grant->client) ||
	    nla_put(skb, HCV_A_RANGES, g->nr_ranges * sizeof(*g->range),
		    g->range) ||
	    nla_put_u32(skb, HCV_A_INFLIGHT, g->inflight) ||
	    nla_put_u32(skb, HCV_A_LEASE_MS, g->lease_ms) ||
	    nla_put_u32(skb, HCV_A_GRANT_FLAGS, g->flags) ||
	    hcv_nl_put_u64(skb, HCV_A_RENEW, grant->renew))
		return -EMSGSIZE;
	return 0;
}

static int hcv_nl_dump_grant(const struct hcv_grant_info *g, void *arg)
{
	struct hcv_nl_fill *fill = arg;
	void *hdr = hcv_nl_dump_put(fill->skb, fill->cb, HCV_CMD_GRANT_GET);

	if (!hdr)
		return -EMSGSIZE;
	if (hcv_nl_put_grant(fill->skb, g)) {
		genlmsg_cancel(fill->skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(fill->skb, hdr);
	hcv_nl_dump(fill->cb)->sub = g->serial;
	return 0;
}

int hcv_nl_grant_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct hcv_nl_fill fill = { .skb = skb, .cb = cb };
	struct hcv_nl_dump *pos = hcv_nl_dump(cb);
	struct hcv_store *store;
	int ret = 0;

	while (!ret && (store = hcv_store_next(pos->store)) != NULL) {
		if (pos->cur != hcv_store_serial(store)) {
			pos->cur = hcv_store_serial(store);
			pos->sub = 0;
		}
		ret = hcv_gate_each(store->gate, pos->sub, hcv_nl_dump_grant,
				    &fill);
		if (!ret)
			pos->store = pos->cur;
		hcv_store_put(store);
	}
	return hcv_nl_dump_ret(skb, ret);
}
