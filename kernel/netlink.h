/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The generic netlink family.  netlink.c owns the family, its policies and the
 * events; nl_store.c and nl_volume.c hold the commands of their objects.
 */
#ifndef HCV_NETLINK_H
#define HCV_NETLINK_H

#include <linux/uuid.h>
#include <net/genetlink.h>

#include <linux/hcivol.h>

struct hcv_stats;

extern struct genl_family hcv_nl_family;
extern const struct nla_policy hcv_nl_policy[HCV_A_MAX + 1];

int hcv_netlink_init(void);
void hcv_netlink_exit(void);

/* nl_store.c */
int hcv_nl_node_set(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_store_open(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_store_close(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_store_get(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_store_dump(struct sk_buff *skb, struct netlink_callback *cb);
int hcv_nl_store_extent_add(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_store_extent_del(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_store_extent_withdraw(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_store_extent_dump(struct sk_buff *skb, struct netlink_callback *cb);
int hcv_nl_export_add(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_export_del(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_export_dump(struct sk_buff *skb, struct netlink_callback *cb);
int hcv_nl_grant(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_revoke(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_store_stats_dump(struct sk_buff *skb, struct netlink_callback *cb);
int hcv_nl_grant_dump(struct sk_buff *skb, struct netlink_callback *cb);

/* nl_volume.c */
int hcv_nl_vol_create(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_link_add(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_link_del(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_link_drop(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_extent_add(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_extent_retire(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_extent_del(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_start(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_suspend(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_resume(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_stop(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_set(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_confirm(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_nospace(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_fence(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_scrub(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_get(struct sk_buff *skb, struct genl_info *info);
int hcv_nl_vol_dump(struct sk_buff *skb, struct netlink_callback *cb);
int hcv_nl_vol_stats_dump(struct sk_buff *skb, struct netlink_callback *cb);

/**
 * hcv_nl_need() - whether all of @attrs are present
 * @n: how many
 *
 * Return: 0, or -EINVAL with the missing attribute named in the extack.
 */
int hcv_nl_need(struct genl_info *info, const u16 *attrs, size_t n);
/**
 * hcv_nl_indexes() - the list of extents in INDEXES; none if it is absent
 * @nr: its length
 *
 * Return: 0 or -EINVAL.
 */
int hcv_nl_indexes(struct genl_info *info, const u32 **index, u32 *nr);
/** hcv_nl_put_counters() - READ_IOS .. ERRORS; -EMSGSIZE */
int hcv_nl_put_counters(struct sk_buff *skb, const struct hcv_stats *sum);
/** hcv_nl_put_hists() - HIST_READ, HIST_WRITE, HIST_FLUSH; -EMSGSIZE */
int hcv_nl_put_hists(struct sk_buff *skb, const struct hcv_stats *sum);
/** hcv_nl_uuid() - copy a 16-byte attribute */
static inline void hcv_nl_uuid(const struct nlattr *attr, uuid_t *uuid)
{
	import_uuid(uuid, nla_data(attr));
}

/**
 * struct hcv_nl_event - what an event says; zero and NULL fields are left out
 */
struct hcv_nl_event {
	u32 event;
	const uuid_t *vol;
	const uuid_t *store;
	u64 epoch;
	u64 v;
	u64 incarnation;
	u32 column_plus1;
	u32 vol_state_plus1;
	u32 link_state_plus1;
	u32 wait;
	u32 err;
	const char *text;
};

/**
 * hcv_nl_send_event() - multicast an event
 *
 * Context: any; GFP_ATOMIC allocation.  A lost event is lost: the state that it
 * tells of is found by the dumps.
 */
void hcv_nl_send_event(const struct hcv_nl_event *ev);

/** hcv_node_uuid() - this node; false: not set yet */
bool hcv_node_uuid(uuid_t *node, uuid_t *cluster);

#endif /* HCV_NETLINK_H */
