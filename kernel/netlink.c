// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic netlink family: policies, which attributes a command takes, the
 * events.
 *
 * Commands run in parallel and take their objects' own locks.  What a command
 * needs and what it may have besides stands in one table, checked before the
 * command; an attribute that it does not know is refused, not ignored.
 *
 * Events may come from interrupts and are sent by a work item, in the order of
 * their sequence numbers.  The work queue can run under memory pressure: an
 * answer to a guest may wait for the agent that the event wakes.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "netlink.h"

#include <linux/limits.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/skbuff.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>

#include <linux/hcivol_format.h>

#include "compat.h"
#include "stats.h"
#include "version.h"

#define HCV_NL_ATTRS_MAX	16
#define HCV_NL_EVENTS_MAX	4096

#define HCV_NL_UUID		NLA_POLICY_EXACT_LEN(HCV_UUID_SIZE)

/* Attributes that are only ever sent by the module are not in here: refused. */
const struct nla_policy hcv_nl_policy[HCV_A_MAX + 1] = {
	[HCV_A_NODE]		= HCV_NL_UUID,
	[HCV_A_CLUSTER]		= HCV_NL_UUID,
	[HCV_A_STORE]		= HCV_NL_UUID,
	[HCV_A_PATH]		= { .type = NLA_NUL_STRING,
				    .len = PATH_MAX - 1 },
	[HCV_A_INCARNATION]	= { .type = NLA_U64 },
	[HCV_A_VOL]		= HCV_NL_UUID,
	[HCV_A_INDEXES]		= NLA_POLICY_MIN_LEN(sizeof(u32)),
	[HCV_A_EPOCH]		= NLA_POLICY_MIN(NLA_U64, 1),
	[HCV_A_COUNT]		= NLA_POLICY_MIN(NLA_U32, 1),
	[HCV_A_RANGES]		=
		NLA_POLICY_MIN_LEN(sizeof(struct hcv_nl_range)),
	[HCV_A_NAME]		= { .type = NLA_NUL_STRING,
				    .len = HCV_NAME_SIZE - 1 },
	[HCV_A_SIZE]		= { .type = NLA_U64 },
	[HCV_A_STRIPE]		= NLA_POLICY_RANGE(NLA_U32, 1, 4),
	[HCV_A_REPLICAS]	= NLA_POLICY_RANGE(NLA_U32, 1, 3),
	[HCV_A_V]		= { .type = NLA_U64 },
	[HCV_A_LINEAGE]		= { .type = NLA_U64 },
	[HCV_A_QUEUE]		= NLA_POLICY_MAX(NLA_U32, HCV_QUEUE_BIO),
	[HCV_A_VOL_FLAGS]	= NLA_POLICY_MASK(NLA_U32, HCV_VOL_F_ALL),
	[HCV_A_POLICY]		= NLA_POLICY_MAX(NLA_U32, HCV_POLICY_ERROR),
	[HCV_A_POLICY_MS]	= { .type = NLA_U32 },
	[HCV_A_LINK_STATE]	= NLA_POLICY_MAX(NLA_U32,
						 __HCV_LINK_STATES - 1),
	[HCV_A_LINK_FLAGS]	= NLA_POLICY_MASK(NLA_U32, HCV_LINK_F_ADD),
	[HCV_A_EXTENTS]		=
		NLA_POLICY_MIN_LEN(sizeof(struct hcv_nl_extent)),
	[HCV_A_COLUMN]		= NLA_POLICY_MAX(NLA_U32, 3),
	[HCV_A_READY]		= { .type = NLA_U32 },
	[HCV_A_SYNC_KIBPS]	= { .type = NLA_U32 },
	[HCV_A_RENEW]		= { .type = NLA_U64 },
	[HCV_A_SCRUB_OP]	= NLA_POLICY_RANGE(NLA_U32, HCV_SCRUB_OP_START,
						   __HCV_SCRUB_OPS - 1),
	[HCV_A_SCRUB_KIBPS]	= { .type = NLA_U32 },
	[HCV_A_HANDOVER_MS]	= { .type = NLA_U32 },
	[HCV_A_BASE]		= HCV_NL_UUID,
	[HCV_A_SINCE]		= { .type = NLA_U64 },
};

/* For the texts: attributes that some command takes. */
static const char * const hcv_nl_names[HCV_A_MAX + 1] = {
	[HCV_A_NODE]		= "NODE",
	[HCV_A_CLUSTER]		= "CLUSTER",
	[HCV_A_STORE]		= "STORE",
	[HCV_A_PATH]		= "PATH",
	[HCV_A_INCARNATION]	= "INCARNATION",
	[HCV_A_VOL]		= "VOL",
	[HCV_A_INDEXES]		= "INDEXES",
	[HCV_A_EPOCH]		= "EPOCH",
	[HCV_A_COUNT]		= "COUNT",
	[HCV_A_RANGES]		= "RANGES",
	[HCV_A_NAME]		= "NAME",
	[HCV_A_SIZE]		= "SIZE",
	[HCV_A_STRIPE]		= "STRIPE",
	[HCV_A_REPLICAS]	= "REPLICAS",
	[HCV_A_V]		= "V",
	[HCV_A_LINEAGE]		= "LINEAGE",
	[HCV_A_QUEUE]		= "QUEUE",
	[HCV_A_VOL_FLAGS]	= "VOL_FLAGS",
	[HCV_A_POLICY]		= "POLICY",
	[HCV_A_POLICY_MS]	= "POLICY_MS",
	[HCV_A_LINK_STATE]	= "LINK_STATE",
	[HCV_A_LINK_FLAGS]	= "LINK_FLAGS",
	[HCV_A_EXTENTS]		= "EXTENTS",
	[HCV_A_COLUMN]		= "COLUMN",
	[HCV_A_READY]		= "READY",
	[HCV_A_SYNC_KIBPS]	= "SYNC_KIBPS",
	[HCV_A_RENEW]		= "RENEW",
	[HCV_A_SCRUB_OP]	= "SCRUB_OP",
	[HCV_A_SCRUB_KIBPS]	= "SCRUB_KIBPS",
	[HCV_A_HANDOVER_MS]	= "HANDOVER_MS",
	[HCV_A_BASE]		= "BASE",
	[HCV_A_SINCE]		= "SINCE",
};

/**
 * struct hcv_nl_rule - attributes of a command, ended by 0
 * @need: must be there
 * @may: may be there
 */
struct hcv_nl_rule {
	u16 need[HCV_NL_ATTRS_MAX];
	u16 may[HCV_NL_ATTRS_MAX];
};

static const struct hcv_nl_rule hcv_nl_rules[HCV_CMD_MAX + 1] = {
	[HCV_CMD_NODE_SET] = { .need = { HCV_A_NODE, HCV_A_CLUSTER } },
	[HCV_CMD_STORE_OPEN] = {
		.need = { HCV_A_PATH }, .may = { HCV_A_STORE } },
	[HCV_CMD_STORE_CLOSE] = { .need = { HCV_A_STORE } },
	[HCV_CMD_STORE_GET] = { .need = { HCV_A_STORE } },
	[HCV_CMD_STORE_EXTENT_ADD] = {
		.need = { HCV_A_STORE, HCV_A_VOL, HCV_A_INDEXES } },
	[HCV_CMD_STORE_EXTENT_DEL] = {
		.need = { HCV_A_STORE, HCV_A_VOL },
		.may = { HCV_A_INDEXES } },
	[HCV_CMD_STORE_EXTENT_WITHDRAW] = {
		.need = { HCV_A_STORE, HCV_A_VOL, HCV_A_INDEXES } },
	[HCV_CMD_EXPORT_ADD] = { .need = { HCV_A_STORE, HCV_A_NODE } },
	[HCV_CMD_EXPORT_DEL] = { .need = { HCV_A_STORE, HCV_A_NODE } },
	[HCV_CMD_GRANT] = {
		.need = { HCV_A_STORE, HCV_A_VOL, HCV_A_EPOCH, HCV_A_NODE,
			  HCV_A_COUNT },
		.may = { HCV_A_RENEW } },
	[HCV_CMD_REVOKE] = {
		.need = { HCV_A_STORE, HCV_A_VOL, HCV_A_EPOCH },
		.may = { HCV_A_RENEW } },
	[HCV_CMD_VOL_CREATE] = {
		.need = { HCV_A_VOL, HCV_A_NAME, HCV_A_SIZE, HCV_A_STRIPE,
			  HCV_A_REPLICAS, HCV_A_EPOCH, HCV_A_V, HCV_A_LINEAGE,
			  HCV_A_QUEUE },
		.may = { HCV_A_VOL_FLAGS, HCV_A_POLICY, HCV_A_POLICY_MS,
			 HCV_A_SYNC_KIBPS, HCV_A_HANDOVER_MS } },
	[HCV_CMD_VOL_LINK_ADD] = {
		.need = { HCV_A_VOL, HCV_A_EPOCH, HCV_A_STORE,
			  HCV_A_LINK_STATE, HCV_A_RANGES, HCV_A_INCARNATION },
		.may = { HCV_A_PATH, HCV_A_LINK_FLAGS, HCV_A_BASE,
			 HCV_A_SINCE } },
	[HCV_CMD_VOL_LINK_DEL] = {
		.need = { HCV_A_VOL, HCV_A_EPOCH, HCV_A_STORE } },
	[HCV_CMD_VOL_LINK_DROP] = {
		.need = { HCV_A_VOL, HCV_A_EPOCH, HCV_A_STORE } },
	[HCV_CMD_VOL_EXTENT_ADD] = {
		.need = { HCV_A_VOL, HCV_A_EPOCH, HCV_A_EXTENTS } },
	[HCV_CMD_VOL_EXTENT_RETIRE] = {
		.need = { HCV_A_VOL, HCV_A_EPOCH, HCV_A_COLUMN, HCV_A_COUNT },
		.may = { HCV_A_INDEXES, HCV_A_READY } },
	[HCV_CMD_VOL_EXTENT_DEL] = {
		.need = { HCV_A_VOL, HCV_A_EPOCH, HCV_A_INDEXES } },
	[HCV_CMD_VOL_START] = {
		.need = { HCV_A_VOL, HCV_A_EPOCH, HCV_A_V },
		.may = { HCV_A_STORE } },
	[HCV_CMD_VOL_SUSPEND] = {
		.need = { HCV_A_VOL, HCV_A_EPOCH }, .may = { HCV_A_VOL_FLAGS } },
	[HCV_CMD_VOL_RESUME] = { .need = { HCV_A_VOL, HCV_A_EPOCH } },
	[HCV_CMD_VOL_STOP] = {
		.need = { HCV_A_VOL }, .may = { HCV_A_VOL_FLAGS } },
	[HCV_CMD_VOL_SET] = {
		.need = { HCV_A_VOL, HCV_A_EPOCH },
		.may = { HCV_A_SIZE, HCV_A_NAME, HCV_A_POLICY,
			 HCV_A_POLICY_MS, HCV_A_VOL_FLAGS,
			 HCV_A_SYNC_KIBPS, HCV_A_HANDOVER_MS,
			 HCV_A_QUEUE } },
	[HCV_CMD_VOL_CONFIRM] = {
		.need = { HCV_A_VOL, HCV_A_EPOCH, HCV_A_V, HCV_A_STORE,
			  HCV_A_INCARNATION, HCV_A_LINK_STATE } },
	[HCV_CMD_VOL_NOSPACE] = {
		.need = { HCV_A_VOL, HCV_A_EPOCH, HCV_A_COLUMN } },
	[HCV_CMD_VOL_FENCE] = { .need = { HCV_A_VOL, HCV_A_EPOCH } },
	[HCV_CMD_VOL_GET] = { .need = { HCV_A_VOL } },
	[HCV_CMD_VOL_SCRUB] = {
		.need = { HCV_A_VOL, HCV_A_EPOCH, HCV_A_SCRUB_OP },
		.may = { HCV_A_SCRUB_KIBPS } },
};

/* The dumps differ from the commands of the same number. */
static const struct hcv_nl_rule hcv_nl_dump_rules[HCV_CMD_MAX + 1] = {
	[HCV_CMD_STORE_EXTENT_GET] = { .need = { HCV_A_STORE } },
	[HCV_CMD_VOL_STATS_GET] = { .may = { HCV_A_VOL } },
	[HCV_CMD_STORE_STATS_GET] = { .may = { HCV_A_STORE } },
};

static bool hcv_nl_listed(const u16 *list, u16 attr)
{
	int i;

	for (i = 0; i < HCV_NL_ATTRS_MAX && list[i]; i++)
		if (list[i] == attr)
			return true;
	return false;
}

static int hcv_nl_missing(struct netlink_ext_ack *extack, u16 attr)
{
	hcv_compat_err(extack, "attribute %s is missing",
		       hcv_nl_names[attr] ?: "?");
	return -EINVAL;
}

static int hcv_nl_check_rule(const struct hcv_nl_rule *rule,
			     struct nlattr **attrs,
			     struct netlink_ext_ack *extack)
{
	u16 i;

	for (i = 0; i < HCV_NL_ATTRS_MAX && rule->need[i]; i++)
		if (!attrs[rule->need[i]])
			return hcv_nl_missing(extack, rule->need[i]);
	for (i = 1; i <= HCV_A_MAX; i++) {
		if (!attrs[i] || i == HCV_A_PAD ||
		    hcv_nl_listed(rule->need, i) || hcv_nl_listed(rule->may, i))
			continue;
		NL_SET_BAD_ATTR(extack, attrs[i]);
		hcv_compat_err(extack, "attribute %s is not of this command",
			       hcv_nl_names[i] ?: "?");
		return -EINVAL;
	}
	return 0;
}

int hcv_nl_need(struct genl_info *info, const u16 *attrs, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!info->attrs[attrs[i]])
			return hcv_nl_missing(info->extack, attrs[i]);
	return 0;
}

int hcv_nl_put_counters(struct sk_buff *skb, const struct hcv_stats *sum)
{
	if (nla_put_u64_64bit(skb, HCV_A_READ_IOS, sum->ios[HCV_IO_READ],
			      HCV_A_PAD) ||
	    nla_put_u64_64bit(skb, HCV_A_WRITE_IOS, sum->ios[HCV_IO_WRITE],
			      HCV_A_PAD) ||
	    nla_put_u64_64bit(skb, HCV_A_FLUSH_IOS, sum->ios[HCV_IO_FLUSH],
			      HCV_A_PAD) ||
	    nla_put_u64_64bit(skb, HCV_A_READ_BYTES, sum->bytes[HCV_IO_READ],
			      HCV_A_PAD) ||
	    nla_put_u64_64bit(skb, HCV_A_WRITE_BYTES, sum->bytes[HCV_IO_WRITE],
			      HCV_A_PAD) ||
	    nla_put_u64_64bit(skb, HCV_A_ERRORS, sum->errors, HCV_A_PAD))
		return -EMSGSIZE;
	return 0;
}

int hcv_nl_put_hists(struct sk_buff *skb, const struct hcv_stats *sum)
{
	if (nla_put(skb, HCV_A_HIST_READ, sizeof(sum->hist[0]),
		    sum->hist[HCV_IO_READ]) ||
	    nla_put(skb, HCV_A_HIST_WRITE, sizeof(sum->hist[0]),
		    sum->hist[HCV_IO_WRITE]) ||
	    nla_put(skb, HCV_A_HIST_FLUSH, sizeof(sum->hist[0]),
		    sum->hist[HCV_IO_FLUSH]))
		return -EMSGSIZE;
	return 0;
}

static int hcv_nl_pre_doit(const struct hcv_compat_genl_ops *ops,
			   struct sk_buff *skb, struct genl_info *info)
{
	return hcv_nl_check_rule(&hcv_nl_rules[info->genlhdr->cmd],
				 info->attrs, info->extack);
}

static int hcv_nl_dump_start(struct netlink_callback *cb)
{
	u8 cmd = genl_dumpit_info(cb)->op.cmd;

	/* Room for the largest list of extents in one message. */
	cb->min_dump_alloc = SKB_WITH_OVERHEAD(32768);
	return hcv_nl_check_rule(&hcv_nl_dump_rules[cmd],
				 hcv_compat_dump_attrs(cb), cb->extack);
}

/* Module */

static u64 hcv_nl_boot_id;

static int hcv_nl_module_get(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *msg = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	uuid_t node, cluster;
	void *hdr;

	if (!msg)
		return -ENOMEM;
	hdr = genlmsg_put_reply(msg, info, &hcv_nl_family, 0,
				HCV_CMD_MODULE_GET);
	if (!hdr ||
	    nla_put_string(msg, HCV_A_VERSION, HCV_VERSION) ||
	    nla_put_u32(msg, HCV_A_ABI, HCV_ABI) ||
	    nla_put_u64_64bit(msg, HCV_A_BOOT_ID, hcv_nl_boot_id, HCV_A_PAD) ||
	    nla_put_u32(msg, HCV_A_FEATURES, HCV_FEATURE_ALL))
		goto err_free;
	if (hcv_node_uuid(&node, &cluster) &&
	    (nla_put(msg, HCV_A_NODE, sizeof(node), &node) ||
	     nla_put(msg, HCV_A_CLUSTER, sizeof(cluster), &cluster)))
		goto err_free;
	genlmsg_end(msg, hdr);
	return genlmsg_reply(msg, info);

err_free:
	nlmsg_free(msg);
	return -EMSGSIZE;
}

/* Family */

#define HCV_NL_DO(command, fn) {		\
	.cmd = HCV_CMD_##command,		\
	.flags = GENL_ADMIN_PERM,		\
	.doit = fn,				\
}

#define HCV_NL_GET(command, do_fn, dump_fn) {	\
	.cmd = HCV_CMD_##command,		\
	.doit = do_fn,				\
	.start = hcv_nl_dump_start,		\
	.dumpit = dump_fn,			\
}

#define HCV_NL_DUMP(command, fn) {		\
	.cmd = HCV_CMD_##command,		\
	.start = hcv_nl_dump_start,		\
	.dumpit = fn,				\
}

static const struct genl_ops hcv_nl_ops[] = {
	{ .cmd = HCV_CMD_MODULE_GET, .doit = hcv_nl_module_get },
	HCV_NL_DO(NODE_SET, hcv_nl_node_set),
	HCV_NL_DO(STORE_OPEN, hcv_nl_store_open),
	HCV_NL_DO(STORE_CLOSE, hcv_nl_store_close),
	HCV_NL_GET(STORE_GET, hcv_nl_store_get, hcv_nl_store_dump),
	HCV_NL_DO(STORE_EXTENT_ADD, hcv_nl_store_extent_add),
	HCV_NL_DO(STORE_EXTENT_DEL, hcv_nl_store_extent_del),
	HCV_NL_DO(STORE_EXTENT_WITHDRAW, hcv_nl_store_extent_withdraw),
	HCV_NL_DUMP(STORE_EXTENT_GET, hcv_nl_store_extent_dump),
	HCV_NL_DO(EXPORT_ADD, hcv_nl_export_add),
	HCV_NL_DO(EXPORT_DEL, hcv_nl_export_del),
	HCV_NL_DUMP(EXPORT_GET, hcv_nl_export_dump),
	HCV_NL_DO(GRANT, hcv_nl_grant),
	HCV_NL_DO(REVOKE, hcv_nl_revoke),
	HCV_NL_DUMP(GRANT_GET, hcv_nl_grant_dump),
	HCV_NL_DO(VOL_CREATE, hcv_nl_vol_create),
	HCV_NL_DO(VOL_LINK_ADD, hcv_nl_vol_link_add),
	HCV_NL_DO(VOL_LINK_DEL, hcv_nl_vol_link_del),
	HCV_NL_DO(VOL_LINK_DROP, hcv_nl_vol_link_drop),
	HCV_NL_DO(VOL_EXTENT_ADD, hcv_nl_vol_extent_add),
	HCV_NL_DO(VOL_EXTENT_RETIRE, hcv_nl_vol_extent_retire),
	HCV_NL_DO(VOL_EXTENT_DEL, hcv_nl_vol_extent_del),
	HCV_NL_DO(VOL_START, hcv_nl_vol_start),
	HCV_NL_DO(VOL_SUSPEND, hcv_nl_vol_suspend),
	HCV_NL_DO(VOL_RESUME, hcv_nl_vol_resume),
	HCV_NL_DO(VOL_STOP, hcv_nl_vol_stop),
	HCV_NL_DO(VOL_SET, hcv_nl_vol_set),
	HCV_NL_DO(VOL_CONFIRM, hcv_nl_vol_confirm),
	HCV_NL_DO(VOL_NOSPACE, hcv_nl_vol_nospace),
	HCV_NL_DO(VOL_FENCE, hcv_nl_vol_fence),
	HCV_NL_DO(VOL_SCRUB, hcv_nl_vol_scrub),
	HCV_NL_GET(VOL_GET, hcv_nl_vol_get, hcv_nl_vol_dump),
	HCV_NL_DUMP(VOL_STATS_GET, hcv_nl_vol_stats_dump),
	HCV_NL_DUMP(STORE_STATS_GET, hcv_nl_store_stats_dump),
};

static const struct genl_multicast_group hcv_nl_groups[] = {
	{ .name = HCV_GENL_GROUP_EVENTS, .flags = GENL_MCAST_CAP_NET_ADMIN },
};

struct genl_family hcv_nl_family __ro_after_init = {
	.name = HCV_GENL_NAME,
	.version = HCV_GENL_VERSION,
	.maxattr = HCV_A_MAX,
	.policy = hcv_nl_policy,
	.module = THIS_MODULE,
	.parallel_ops = true,
	.resv_start_op = HCV_CMD_MODULE_GET,
	.pre_doit = hcv_nl_pre_doit,
	.ops = hcv_nl_ops,
	.n_ops = ARRAY_SIZE(hcv_nl_ops),
	.mcgrps = hcv_nl_groups,
	.n_mcgrps = ARRAY_SIZE(hcv_nl_groups),
};

/* Events */

static struct workqueue_struct *hcv_nl_wq;
static struct sk_buff_head hcv_nl_queue;
static u64 hcv_nl_seq;			/* hcv_nl_queue.lock */
static bool hcv_nl_up;			/* hcv_nl_queue.lock */
static bool hcv_nl_lost;		/* hcv_nl_queue.lock; still to be told */

static void hcv_nl_event_work(struct work_struct *work)
{
	struct sk_buff *skb;
	bool lost;

	while ((skb = skb_dequeue(&hcv_nl_queue)) != NULL)
		/* -ESRCH: nobody listens; the agent reads the state later. */
		genlmsg_multicast(&hcv_nl_family, skb, 0, 0, GFP_NOIO);
	spin_lock_irq(&hcv_nl_queue.lock);
	lost = hcv_nl_lost;
	hcv_nl_lost = false;
	spin_unlock_irq(&hcv_nl_queue.lock);
	/* As if their buffers had run over: they look at everything. */
	if (lost)
		genl_set_err(&hcv_nl_family, &init_net, 0, 0, -ENOBUFS);
}

static DECLARE_WORK(hcv_nl_event_job, hcv_nl_event_work);

static int hcv_nl_put_event_ids(struct sk_buff *skb,
				const struct hcv_nl_event *ev)
{
	if (ev->vol && nla_put(skb, HCV_A_VOL, sizeof(*ev->vol), ev->vol))
		return -EMSGSIZE;
	if (ev->store &&
	    nla_put(skb, HCV_A_STORE, sizeof(*ev->store), ev->store))
		return -EMSGSIZE;
	if (ev->epoch && nla_put_u64_64bit(skb, HCV_A_EPOCH, ev->epoch,
					   HCV_A_PAD))
		return -EMSGSIZE;
	if (ev->v && nla_put_u64_64bit(skb, HCV_A_V, ev->v, HCV_A_PAD))
		return -EMSGSIZE;
	if (ev->incarnation &&
	    nla_put_u64_64bit(skb, HCV_A_INCARNATION, ev->incarnation,
			      HCV_A_PAD))
		return -EMSGSIZE;
	return 0;
}

static int hcv_nl_put_event(struct sk_buff *skb, const struct hcv_nl_event *ev,
			    u64 seq)
{
	if (nla_put_u32(skb, HCV_A_EVENT, ev->event) ||
	    nla_put_u64_64bit(skb, HCV_A_EVENT_SEQ, seq, HCV_A_PAD) ||
	    nla_put_u64_64bit(skb, HCV_A_TIME_NS, ktime_get_boottime_ns(),
			      HCV_A_PAD) ||
	    hcv_nl_put_event_ids(skb, ev))
		return -EMSGSIZE;
	if (ev->column_plus1 &&
	    nla_put_u32(skb, HCV_A_COLUMN, ev->column_plus1 - 1))
		return -EMSGSIZE;
	if (ev->vol_state_plus1 &&
	    (nla_put_u32(skb, HCV_A_VOL_STATE, ev->vol_state_plus1 - 1) ||
	     nla_put_u32(skb, HCV_A_WAIT, ev->wait)))
		return -EMSGSIZE;
	if (ev->link_state_plus1 &&
	    nla_put_u32(skb, HCV_A_LINK_STATE, ev->link_state_plus1 - 1))
		return -EMSGSIZE;
	if (ev->err && nla_put_u32(skb, HCV_A_ERRNO, ev->err))
		return -EMSGSIZE;
	if (ev->text && nla_put_string(skb, HCV_A_TEXT, ev->text))
		return -EMSGSIZE;
	return 0;
}

/* Queues an event; false: lost.  Queue lock held. */
static bool hcv_nl_queue_event(struct sk_buff *skb,
			       const struct hcv_nl_event *ev)
{
	void *hdr;

	hcv_nl_seq++;
	if (!skb || skb_queue_len(&hcv_nl_queue) >= HCV_NL_EVENTS_MAX)
		return false;
	hdr = genlmsg_put(skb, 0, 0, &hcv_nl_family, 0, HCV_CMD_EVENT);
	if (!hdr || hcv_nl_put_event(skb, ev, hcv_nl_seq))
		return false;
	genlmsg_end(skb, hdr);
	__skb_queue_tail(&hcv_nl_queue, skb);
	queue_work(hcv_nl_wq, &hcv_nl_event_job);
	return true;
}

void hcv_nl_send_event(const struct hcv_nl_event *ev)
{
	struct sk_buff *skb = genlmsg_new(NLMSG_GOODSIZE, GFP_ATOMIC);
	bool up, sent = false;
	unsigned long flags;

	spin_lock_irqsave(&hcv_nl_queue.lock, flags);
	up = hcv_nl_up;
	if (up)
		sent = hcv_nl_queue_event(skb, ev);
	if (up && !sent) {
		hcv_nl_lost = true;
		queue_work(hcv_nl_wq, &hcv_nl_event_job);
	}
	spin_unlock_irqrestore(&hcv_nl_queue.lock, flags);
	if (sent)
		return;
	dev_kfree_skb_any(skb);
	if (up)
		pr_warn_ratelimited("an event of kind %u was lost\n",
				    ev->event);
}

int hcv_netlink_init(void)
{
	int ret;

	skb_queue_head_init(&hcv_nl_queue);
	hcv_nl_boot_id = get_random_u64();
	hcv_nl_wq = alloc_ordered_workqueue("hcivol_event", WQ_MEM_RECLAIM);
	if (!hcv_nl_wq)
		return -ENOMEM;
	ret = genl_register_family(&hcv_nl_family);
	if (ret) {
		destroy_workqueue(hcv_nl_wq);
		return ret;
	}
	hcv_nl_up = true;
	return 0;
}

void hcv_netlink_exit(void)
{
	spin_lock_irq(&hcv_nl_queue.lock);
	hcv_nl_up = false;
	spin_unlock_irq(&hcv_nl_queue.lock);
	destroy_workqueue(hcv_nl_wq);
	genl_unregister_family(&hcv_nl_family);
}
