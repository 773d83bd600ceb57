// SPDX-License-Identifier: GPL-2.0-only
/*
 * Netlink commands of volumes.  See uapi/linux/hcivol.h for what they mean.
 */
#include <linux/ctype.h>
#include <linux/ktime.h>

#include "actlog.h"
#include "compat.h"
#include "netlink.h"
#include "scrub.h"
#include "volume.h"

#define NL_NEED(info, ...) ({						\
	static const u16 need[] = { __VA_ARGS__ };			\
	hcv_nl_need(info, need, ARRAY_SIZE(need)); })

/* The volume that a command names, with a reference; its epoch must fit. */
static struct hcv_vol *nl_vol(struct genl_info *info, bool epoch)
{
	struct hcv_vol *vol;
	uuid_t uuid;
	int ret;

	ret = NL_NEED(info, HCV_A_VOL);
	if (!ret && epoch)
		ret = NL_NEED(info, HCV_A_EPOCH);
	if (ret)
		return ERR_PTR(ret);
	hcv_nl_uuid(info->attrs[HCV_A_VOL], &uuid);
	vol = hcv_vol_get(&uuid);
	if (!vol) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[HCV_A_VOL],
				    "no such volume is attached here");
		return ERR_PTR(-ENOENT);
	}
	if (epoch && nla_get_u64(info->attrs[HCV_A_EPOCH]) != vol->epoch) {
		hcv_compat_err(info->extack, "the volume is attached under epoch %llu",
			       vol->epoch);
		hcv_vol_put(vol);
		return ERR_PTR(-ESTALE);
	}
	return vol;
}

static u32 nl_u32(struct genl_info *info, u16 attr, u32 none)
{
	return info->attrs[attr] ? nla_get_u32(info->attrs[attr]) : none;
}

static bool nl_name_ok(const char *name)
{
	const char *p;

	for (p = name; *p; p++)
		if (!isalnum(*p) && !strchr("._-", *p))
			return false;
	return *name && p - name < HCV_NAME_SIZE &&
	       strcmp(name, ".") && strcmp(name, "..");
}

#define NL_SIZE_TEXT	"a size is a multiple of 4096 bytes, up to 4 PiB"

static bool nl_size_ok(u64 bytes)
{
	return bytes && !(bytes % HCV_BLOCK_SIZE) && bytes <= 1ULL << 52;
}

static int nl_check_config(const struct hcv_vol_config *cfg,
			   struct genl_info *info)
{
	const char *text = NULL;

	if (!nl_name_ok(cfg->name))
		text = "a name has 1 to 63 of the characters A-Z a-z 0-9 . _ -";
	else if (!nl_size_ok(cfg->size_bytes))
		text = NL_SIZE_TEXT;
	else if (cfg->stripe != 1 && cfg->stripe != 2 && cfg->stripe != 4)
		text = "a stripe has 1, 2 or 4 columns";
	else if (cfg->replicas < 1 || cfg->replicas > 3)
		text = "a volume has 1 to 3 replicas";
	else if (cfg->queue > HCV_QUEUE_BIO)
		text = "the queue is mq or bio";
	else if (cfg->policy > HCV_POLICY_ERROR)
		text = "the policy is suspend or error";
	else if (cfg->flags & ~(HCV_VOL_F_READONLY | HCV_VOL_F_LOG |
				HCV_VOL_F_PREPARED | HCV_VOL_F_DISKLESS))
		text = "unknown volume flags";
	else if (cfg->flags & HCV_VOL_F_PREPARED &&
		 cfg->flags & HCV_VOL_F_DISKLESS)
		text = "a volume without a disk has none in advance";
	else if (cfg->hand_ms > HCV_HANDOVER_MS_MAX)
		text = "I/O waits for a hand-over for 60000 ms at most";
	else if (!cfg->epoch || !cfg->v || !cfg->lineage)
		text = "epochs, versions and lineages begin at 1";
	if (!text)
		return 0;
	/* Each of them is a literal. */
	hcv_compat_err(info->extack, "%s", text);
	return -EINVAL;
}

/* Who is not told of the minor has no volume. */
static int nl_vol_create(const struct hcv_vol_config *cfg,
			 struct genl_info *info)
{
	struct hcv_vol *vol;
	struct nlattr *minor;
	struct sk_buff *msg;
	void *hdr;
	int ret;

	msg = genlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!msg)
		return -ENOMEM;
	hdr = genlmsg_put_reply(msg, info, &hcv_nl_family, 0,
				HCV_CMD_VOL_CREATE);
	if (!hdr || nla_put(msg, HCV_A_VOL, UUID_SIZE, &cfg->uuid)) {
		nlmsg_free(msg);
		return -EMSGSIZE;
	}
	minor = nla_reserve(msg, HCV_A_MINOR, sizeof(u32));
	if (!minor) {
		nlmsg_free(msg);
		return -EMSGSIZE;
	}
	vol = hcv_vol_create(cfg, info->extack);
	if (IS_ERR(vol)) {
		nlmsg_free(msg);
		return PTR_ERR(vol);
	}
	*(u32 *)nla_data(minor) = vol->minor;
	genlmsg_end(msg, hdr);
	ret = genlmsg_reply(msg, info);
	/* Nothing is tied to it yet that could keep it, or be lost. */
	if (ret)
		hcv_vol_stop(vol, true, info->extack);
	hcv_vol_put(vol);
	return ret;
}

int hcv_nl_vol_create(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_vol_config cfg;
	int ret;

	ret = NL_NEED(info, HCV_A_VOL, HCV_A_NAME, HCV_A_SIZE, HCV_A_STRIPE,
		      HCV_A_REPLICAS, HCV_A_EPOCH, HCV_A_V, HCV_A_LINEAGE,
		      HCV_A_QUEUE);
	if (ret)
		return ret;
	cfg = (struct hcv_vol_config) {
		.name = nla_data(info->attrs[HCV_A_NAME]),
		.size_bytes = nla_get_u64(info->attrs[HCV_A_SIZE]),
		.epoch = nla_get_u64(info->attrs[HCV_A_EPOCH]),
		.v = nla_get_u64(info->attrs[HCV_A_V]),
		.lineage = nla_get_u64(info->attrs[HCV_A_LINEAGE]),
		.stripe = nla_get_u32(info->attrs[HCV_A_STRIPE]),
		.replicas = nla_get_u32(info->attrs[HCV_A_REPLICAS]),
		.queue = nla_get_u32(info->attrs[HCV_A_QUEUE]),
		.flags = nl_u32(info, HCV_A_VOL_FLAGS, 0),
		.policy = nl_u32(info, HCV_A_POLICY, HCV_POLICY_SUSPEND),
		.policy_ms = nl_u32(info, HCV_A_POLICY_MS, 30000),
		.sync_kibps = nl_u32(info, HCV_A_SYNC_KIBPS, 0),
		.hand_ms = nl_u32(info, HCV_A_HANDOVER_MS, 2000),
	};
	hcv_nl_uuid(info->attrs[HCV_A_VOL], &cfg.uuid);
	ret = nl_check_config(&cfg, info);
	if (ret)
		return ret;
	return nl_vol_create(&cfg, info);
}

/* @want->temp, if the flag says so. */
static int nl_temp_want(struct genl_info *info, struct hcv_link_want *want,
			struct hcv_temp_want *temp)
{
	struct nlattr *base = info->attrs[HCV_A_BASE];
	struct nlattr *since = info->attrs[HCV_A_SINCE];

	if (!(want->flags & HCV_LINK_F_TEMP)) {
		if (!base && !since)
			return 0;
		NL_SET_ERR_MSG(info->extack, "BASE and SINCE are of a link with the flag TEMP");
		return -EINVAL;
	}
	if (want->flags != HCV_LINK_F_TEMP || !base || !since ||
	    want->state == HCV_LINK_INSYNC) {
		NL_SET_ERR_MSG(info->extack, "a temporary replica has BASE and SINCE, no other flag, and is never in-sync");
		return -EINVAL;
	}
	hcv_nl_uuid(base, &temp->base);
	temp->since = nla_get_u64(since);
	want->temp = temp;
	return 0;
}

int hcv_nl_vol_link_add(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_link_want want = { };
	struct hcv_temp_want temp;
	struct hcv_vol *vol;
	struct nlattr *ranges;
	int ret;

	ret = NL_NEED(info, HCV_A_VOL, HCV_A_EPOCH, HCV_A_STORE,
		      HCV_A_LINK_STATE, HCV_A_RANGES, HCV_A_INCARNATION);
	if (ret)
		return ret;
	ranges = info->attrs[HCV_A_RANGES];
	hcv_nl_uuid(info->attrs[HCV_A_STORE], &want.store);
	want.state = nla_get_u32(info->attrs[HCV_A_LINK_STATE]);
	want.flags = nl_u32(info, HCV_A_LINK_FLAGS, 0);
	want.incarnation = nla_get_u64(info->attrs[HCV_A_INCARNATION]);
	if (info->attrs[HCV_A_PATH])
		want.path = nla_data(info->attrs[HCV_A_PATH]);
	want.range = nla_data(ranges);
	want.nr = nla_len(ranges) / sizeof(struct hcv_nl_range);
	if (want.flags & ~HCV_LINK_F_ADD || !want.nr ||
	    nla_len(ranges) % sizeof(struct hcv_nl_range)) {
		NL_SET_ERR_MSG(info->extack, "unknown link flags, or ranges that are not whole");
		return -EINVAL;
	}
	ret = nl_temp_want(info, &want, &temp);
	if (ret)
		return ret;
	vol = nl_vol(info, true);
	if (IS_ERR(vol))
		return PTR_ERR(vol);
	ret = hcv_link_add(vol, &want, info->extack);
	hcv_vol_put(vol);
	return ret;
}

int hcv_nl_vol_link_del(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_vol *vol;
	uuid_t store;
	int ret;

	ret = NL_NEED(info, HCV_A_STORE);
	if (ret)
		return ret;
	vol = nl_vol(info, true);
	if (IS_ERR(vol))
		return PTR_ERR(vol);
	hcv_nl_uuid(info->attrs[HCV_A_STORE], &store);
	ret = hcv_link_del(vol, &store, info->extack);
	hcv_vol_put(vol);
	return ret;
}

int hcv_nl_vol_link_drop(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_vol *vol;
	uuid_t store;
	int ret;

	ret = NL_NEED(info, HCV_A_STORE);
	if (ret)
		return ret;
	vol = nl_vol(info, true);
	if (IS_ERR(vol))
		return PTR_ERR(vol);
	hcv_nl_uuid(info->attrs[HCV_A_STORE], &store);
	ret = hcv_link_drop(vol, &store, info->extack);
	hcv_vol_put(vol);
	return ret;
}

int hcv_nl_vol_extent_add(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *rows;
	struct hcv_vol *vol;
	int ret;

	ret = NL_NEED(info, HCV_A_EXTENTS);
	if (ret)
		return ret;
	rows = info->attrs[HCV_A_EXTENTS];
	if (nla_len(rows) % sizeof(struct hcv_nl_extent)) {
		NL_SET_ERR_MSG_ATTR(info->extack, rows, "rows that are not whole");
		return -EINVAL;
	}
	vol = nl_vol(info, true);
	if (IS_ERR(vol))
		return PTR_ERR(vol);
	ret = hcv_extents_add(vol, nla_data(rows),
			      nla_len(rows) / sizeof(struct hcv_nl_extent),
			      info->extack);
	hcv_vol_put(vol);
	return ret;
}

int hcv_nl_vol_extent_retire(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *ready = info->attrs[HCV_A_READY];
	struct hcv_vol *vol;
	const u32 *keep;
	u32 nr;
	int ret;

	ret = hcv_nl_indexes(info, &keep, &nr);
	if (ret)
		return ret;
	vol = nl_vol(info, true);
	if (IS_ERR(vol))
		return PTR_ERR(vol);
	ret = hcv_extents_retire(vol, nla_get_u32(info->attrs[HCV_A_COLUMN]),
				 nla_get_u32(info->attrs[HCV_A_COUNT]),
				 ready ? nla_get_u32(ready) : 0, keep, nr,
				 info->extack);
	hcv_vol_put(vol);
	return ret;
}

int hcv_nl_vol_extent_del(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_vol *vol;
	const u32 *index;
	u32 nr;
	int ret;

	ret = hcv_nl_indexes(info, &index, &nr);
	if (ret)
		return ret;
	vol = nl_vol(info, true);
	if (IS_ERR(vol))
		return PTR_ERR(vol);
	ret = hcv_extents_del(vol, index, nr, info->extack);
	hcv_vol_put(vol);
	return ret;
}

int hcv_nl_vol_start(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_vol *vol;
	uuid_t store;
	int ret;

	ret = NL_NEED(info, HCV_A_V);
	if (ret)
		return ret;
	vol = nl_vol(info, true);
	if (IS_ERR(vol))
		return PTR_ERR(vol);
	if (info->attrs[HCV_A_STORE])
		hcv_nl_uuid(info->attrs[HCV_A_STORE], &store);
	ret = hcv_vol_start(vol, vol->epoch, nla_get_u64(info->attrs[HCV_A_V]),
			    info->attrs[HCV_A_STORE] ? &store : NULL,
			    info->extack);
	hcv_vol_put(vol);
	return ret;
}

int hcv_nl_vol_suspend(struct sk_buff *skb, struct genl_info *info)
{
	u32 flags = nl_u32(info, HCV_A_VOL_FLAGS, 0);
	struct hcv_vol *vol;
	int ret;

	if (flags & ~HCV_VOL_F_HANDOVER) {
		NL_SET_ERR_MSG(info->extack, "only the flag HANDOVER goes with a suspension");
		return -EINVAL;
	}
	vol = nl_vol(info, true);
	if (IS_ERR(vol))
		return PTR_ERR(vol);
	ret = flags ? hcv_vol_hand_halt(vol, info->extack) :
		      hcv_vol_suspend(vol, info->extack);
	hcv_vol_put(vol);
	return ret;
}

int hcv_nl_vol_resume(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_vol *vol = nl_vol(info, true);
	int ret;

	if (IS_ERR(vol))
		return PTR_ERR(vol);
	ret = hcv_vol_resume(vol, info->extack);
	hcv_vol_put(vol);
	return ret;
}

int hcv_nl_vol_stop(struct sk_buff *skb, struct genl_info *info)
{
	u32 flags = nl_u32(info, HCV_A_VOL_FLAGS, 0);
	struct hcv_vol *vol;
	int ret;

	if (flags & ~(HCV_VOL_F_FORCE | HCV_VOL_F_HANDOVER) ||
	    flags == (HCV_VOL_F_FORCE | HCV_VOL_F_HANDOVER)) {
		NL_SET_ERR_MSG(info->extack, "only the flag FORCE, or HANDOVER, goes with a stop");
		return -EINVAL;
	}
	vol = nl_vol(info, false);
	if (IS_ERR(vol))
		return PTR_ERR(vol);
	ret = flags & HCV_VOL_F_HANDOVER ?
	      hcv_vol_hand_let_go(vol, info->extack) :
	      hcv_vol_stop(vol, flags & HCV_VOL_F_FORCE, info->extack);
	hcv_vol_put(vol);
	return ret;
}

static int nl_vol_set_name(struct hcv_vol *vol, struct genl_info *info)
{
	const char *name = nla_data(info->attrs[HCV_A_NAME]);

	if (!nl_name_ok(name)) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[HCV_A_NAME],
				    "a name has 1 to 63 of the characters A-Z a-z 0-9 . _ -");
		return -EINVAL;
	}
	return hcv_vol_rename(vol, name, info->extack);
}

int hcv_nl_vol_set(struct sk_buff *skb, struct genl_info *info)
{
	u32 policy = nl_u32(info, HCV_A_POLICY, HCV_POLICY_SUSPEND);
	struct hcv_vol *vol;
	int ret = 0;

	if (nl_u32(info, HCV_A_HANDOVER_MS, 0)) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[HCV_A_HANDOVER_MS],
				    "the limit of a hand-over can be taken away only, with 0");
		return -EINVAL;
	}
	if (policy > HCV_POLICY_ERROR) {
		NL_SET_ERR_MSG(info->extack, "the policy is suspend or error");
		return -EINVAL;
	}
	if (nl_u32(info, HCV_A_VOL_FLAGS, 0) & ~HCV_VOL_F_READONLY ||
	    nl_u32(info, HCV_A_QUEUE, 0) > HCV_QUEUE_BIO ||
	    (info->attrs[HCV_A_QUEUE] && !info->attrs[HCV_A_VOL_FLAGS])) {
		NL_SET_ERR_MSG(info->extack, "a disk is made with the flag READONLY or none, and the queue mq or bio");
		return -EINVAL;
	}
	vol = nl_vol(info, true);
	if (IS_ERR(vol))
		return PTR_ERR(vol);
	if (info->attrs[HCV_A_SIZE]) {
		u64 size = nla_get_u64(info->attrs[HCV_A_SIZE]);

		if (nl_size_ok(size)) {
			ret = hcv_vol_resize(vol, size, info->extack);
		} else {
			NL_SET_ERR_MSG_ATTR(info->extack,
					    info->attrs[HCV_A_SIZE],
					    NL_SIZE_TEXT);
			ret = -EINVAL;
		}
	}
	if (!ret && info->attrs[HCV_A_NAME])
		ret = nl_vol_set_name(vol, info);
	if (!ret && info->attrs[HCV_A_HANDOVER_MS])
		hcv_vol_hand_owned(vol);
	if (!ret && info->attrs[HCV_A_POLICY])
		WRITE_ONCE(vol->policy, policy);
	if (!ret && info->attrs[HCV_A_POLICY_MS])
		WRITE_ONCE(vol->policy_ms,
			   nla_get_u32(info->attrs[HCV_A_POLICY_MS]));
	if (!ret && info->attrs[HCV_A_SYNC_KIBPS]) {
		WRITE_ONCE(vol->sync_kibps,
			   nla_get_u32(info->attrs[HCV_A_SYNC_KIBPS]));
		/* Resyncs wait there for their time, or for the end of a pause. */
		wake_up_all(&vol->wait);
	}
	/* Last: with what was changed along with it. */
	if (!ret && info->attrs[HCV_A_VOL_FLAGS])
		ret = hcv_vol_publish(vol,
				      nla_get_u32(info->attrs[HCV_A_VOL_FLAGS]),
				      nl_u32(info, HCV_A_QUEUE, vol->queue),
				      info->extack);
	hcv_vol_put(vol);
	return ret;
}

int hcv_nl_vol_confirm(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_vol *vol;
	uuid_t store;
	int ret;

	ret = NL_NEED(info, HCV_A_V, HCV_A_STORE, HCV_A_INCARNATION,
		      HCV_A_LINK_STATE);
	if (ret)
		return ret;
	vol = nl_vol(info, true);
	if (IS_ERR(vol))
		return PTR_ERR(vol);
	hcv_nl_uuid(info->attrs[HCV_A_STORE], &store);
	ret = hcv_link_confirm(vol, nla_get_u64(info->attrs[HCV_A_V]), &store,
			       nla_get_u64(info->attrs[HCV_A_INCARNATION]),
			       nla_get_u32(info->attrs[HCV_A_LINK_STATE]),
			       info->extack);
	hcv_vol_put(vol);
	return ret;
}

int hcv_nl_vol_nospace(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_vol *vol;
	u32 column;
	int ret;

	ret = NL_NEED(info, HCV_A_COLUMN);
	if (ret)
		return ret;
	vol = nl_vol(info, true);
	if (IS_ERR(vol))
		return PTR_ERR(vol);
	column = nla_get_u32(info->attrs[HCV_A_COLUMN]);
	if (column >= vol->stripe) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[HCV_A_COLUMN],
				    "the volume has fewer columns");
		ret = -EINVAL;
	} else {
		spin_lock_irq(&vol->lock);
		WRITE_ONCE(vol->no_space, vol->no_space | BIT(column));
		spin_unlock_irq(&vol->lock);
		hcv_vol_kick(vol, HCV_WAIT_EXTENT);
	}
	hcv_vol_put(vol);
	return ret;
}

int hcv_nl_vol_fence(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_vol *vol = nl_vol(info, true);

	if (IS_ERR(vol))
		return PTR_ERR(vol);
	hcv_vol_fence(vol);
	hcv_vol_put(vol);
	return 0;
}

int hcv_nl_vol_scrub(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_vol *vol = nl_vol(info, true);
	int ret = 0;

	if (IS_ERR(vol))
		return PTR_ERR(vol);
	if (nl_u32(info, HCV_A_SCRUB_OP, 0) == HCV_SCRUB_OP_START)
		ret = hcv_scrub_start(vol, nl_u32(info, HCV_A_SCRUB_KIBPS, 0),
				      info->extack);
	else
		hcv_scrub_stop(vol);
	hcv_vol_put(vol);
	return ret;
}

static u32 nl_lease_ms(const struct hcv_link *link)
{
	s64 left = READ_ONCE(link->lease_end_ns) -
		   (s64)ktime_get_boottime_ns();

	return left > 0 ? div_u64(left, NSEC_PER_MSEC) : 0;
}

static u64 nl_ms_since(u64 since_ns)
{
	u64 now = ktime_get_boottime_ns();

	return since_ns && now > since_ns ?
	       div_u64(now - since_ns, NSEC_PER_MSEC) : 0;
}

/* What has failed shows it when it is decided what becomes of it. */
static u32 nl_link_state(struct hcv_link *link)
{
	u32 state;

	spin_lock_irq(&link->vol->lock);
	state = link->undecided ? link->spare : link->state;
	spin_unlock_irq(&link->vol->lock);
	return state;
}

/* Said only of a volume that never ran: its in-sync set may be chosen anew. */
static u32 nl_link_flags(struct hcv_link *link)
{
	bool unfit;

	spin_lock_irq(&link->vol->lock);
	unfit = READ_ONCE(link->unfit) && link->vol->state == HCV_VOL_FENCED;
	spin_unlock_irq(&link->vol->lock);
	return unfit ? HCV_LINK_F_UNFIT : 0;
}

/* The flags, and what is said of a temporary replica alone. */
static int nl_put_link_flags(struct sk_buff *msg, struct hcv_link *link)
{
	struct hcv_vol *vol = link->vol;
	u32 temp = hcv_temp_shown_flags(link);
	u32 flags = temp | nl_link_flags(link);
	struct hcv_link *base = READ_ONCE(link->base);
	/* Bits are counted after they were set, or taken back. */
	long held = atomic_long_read(&vol->map.nr_held);

	if (flags && nla_put_u32(msg, HCV_A_LINK_FLAGS, flags))
		return -EMSGSIZE;
	if (!temp)
		return 0;
	if (nla_put(msg, HCV_A_BASE, UUID_SIZE, &base->store) ||
	    nla_put_u64_64bit(msg, HCV_A_SINCE, READ_ONCE(link->since),
			      HCV_A_PAD) ||
	    nla_put_u64_64bit(msg, HCV_A_HELD, max(held, 0L), HCV_A_PAD))
		return -EMSGSIZE;
	return 0;
}

static int nl_put_link(struct sk_buff *msg, struct hcv_link *link)
{
	struct nlattr *nest = nla_nest_start(msg, HCV_A_LINK);
	u64 state_ns = READ_ONCE(link->state_ns), stall_ns;
	u32 inflight = hcv_link_inflight(link, &stall_ns);
	struct hcv_stats sum;

	if (!nest || nla_put(msg, HCV_A_STORE, UUID_SIZE, &link->store) ||
	    nla_put_u32(msg, HCV_A_LINK_STATE, nl_link_state(link)) ||
	    nla_put_u64_64bit(msg, HCV_A_INCARNATION, link->incarnation,
			      HCV_A_PAD) ||
	    nla_put_u32(msg, HCV_A_LEASE_MS, nl_lease_ms(link)) ||
	    nla_put_u64_64bit(msg, HCV_A_FIRST, READ_ONCE(link->used_first),
			      HCV_A_PAD) ||
	    nla_put_u32(msg, HCV_A_ERRNO, link->err) ||
	    nla_put_u64_64bit(msg, HCV_A_SYNC_TOTAL, link->sync_total,
			      HCV_A_PAD) ||
	    nla_put_u64_64bit(msg, HCV_A_SYNC_DONE,
			      READ_ONCE(link->sync_done), HCV_A_PAD) ||
	    nla_put_u64_64bit(msg, HCV_A_SYNC_COPIED,
			      READ_ONCE(link->sync_copied), HCV_A_PAD) ||
	    nla_put_u64_64bit(msg, HCV_A_STATE_MS, nl_ms_since(state_ns),
			      HCV_A_PAD) ||
	    nla_put_u32(msg, HCV_A_INFLIGHT, inflight) ||
	    (stall_ns && nla_put_u64_64bit(msg, HCV_A_STALL_MS,
					   div_u64(stall_ns, NSEC_PER_MSEC),
					   HCV_A_PAD)))
		return -EMSGSIZE;
	hcv_stats_sum(link->stats, &sum);
	if (hcv_nl_put_counters(msg, &sum) || nl_put_link_flags(msg, link))
		return -EMSGSIZE;
	nla_nest_end(msg, nest);
	return 0;
}

static int nl_put_counters(struct sk_buff *msg, struct hcv_vol *vol)
{
	struct hcv_stats sum;

	hcv_stats_sum(vol->stats, &sum);
	if (hcv_nl_put_counters(msg, &sum) ||
	    nla_put_u64_64bit(msg, HCV_A_DISCARD_IOS,
			      sum.ios[HCV_IO_DISCARD] + sum.ios[HCV_IO_ZEROES],
			      HCV_A_PAD) ||
	    nla_put_u64_64bit(msg, HCV_A_DISCARD_BYTES,
			      sum.bytes[HCV_IO_DISCARD] +
			      sum.bytes[HCV_IO_ZEROES], HCV_A_PAD))
		return -EMSGSIZE;
	return 0;
}

/* Extents on their way out. */
static int nl_put_retired(struct sk_buff *msg, struct hcv_vol *vol)
{
	u32 index[HCV_MAP_RETIRED_MAX], nr;

	nr = hcv_map_retired(&vol->map, false, index);
	if (nr && nla_put(msg, HCV_A_SETTLING, nr * sizeof(u32), index))
		return -EMSGSIZE;
	nr = hcv_map_retired(&vol->map, true, index);
	if (nr && nla_put(msg, HCV_A_SETTLED, nr * sizeof(u32), index))
		return -EMSGSIZE;
	return nla_put_u32(msg, HCV_A_NEXT_INDEX,
			   READ_ONCE(vol->map.next_index));
}

static int nl_put_map(struct sk_buff *msg, struct hcv_vol *vol)
{
	u32 ready[HCV_MAX_COLUMNS], idle[HCV_MAX_COLUMNS], slots = 0, i;

	for (i = 0; i < vol->stripe; i++) {
		ready[i] = hcv_map_ready(&vol->map, i);
		idle[i] = hcv_map_idle(&vol->map, i);
		slots += hcv_map_free_slots(&vol->map, i);
	}
	if (nla_put_u32(msg, HCV_A_NR_EXTENTS, vol->map.nr_exts) ||
	    nla_put_u32(msg, HCV_A_READY, slots) ||
	    nla_put(msg, HCV_A_COL_READY, vol->stripe * sizeof(u32), ready) ||
	    nla_put(msg, HCV_A_COL_IDLE, vol->stripe * sizeof(u32), idle) ||
	    nl_put_retired(msg, vol) ||
	    nla_put_u64_64bit(msg, HCV_A_USED_SLOTS, vol->map.used_slots,
			      HCV_A_PAD) ||
	    nla_put_u64_64bit(msg, HCV_A_META_BYTES,
			      atomic_long_read(&vol->map.bytes), HCV_A_PAD) ||
	    nla_put_u32(msg, HCV_A_UNFLUSHED_MIBS,
			hcv_map_unflushed(&vol->map)))
		return -EMSGSIZE;
	return 0;
}

static int nl_put_log(struct sk_buff *msg, struct hcv_vol *vol)
{
	struct hcv_actlog_numbers n;

	hcv_actlog_numbers(vol, &n);
	if (nla_put_u32(msg, HCV_A_LOG_ENTRIES, n.entries) ||
	    nla_put_u32(msg, HCV_A_LOG_NAMED, n.named) ||
	    nla_put_u64_64bit(msg, HCV_A_LOG_MISSES, n.misses, HCV_A_PAD) ||
	    nla_put_u64_64bit(msg, HCV_A_LOG_WRITES, n.writes, HCV_A_PAD) ||
	    nla_put_u64_64bit(msg, HCV_A_LOG_DROPPED, n.evicted, HCV_A_PAD))
		return -EMSGSIZE;
	return 0;
}

static int nl_put_wait(struct sk_buff *msg, struct hcv_vol *vol)
{
	u32 wait, count, state = hcv_vol_shown_state(vol);
	u64 since = hcv_vol_longest_wait(vol, &wait, &count);

	if (nla_put_u32(msg, HCV_A_VOL_STATE, state) ||
	    nla_put_u32(msg, HCV_A_WAIT, wait) ||
	    nla_put_u64_64bit(msg, HCV_A_WAIT_MS, nl_ms_since(since),
			      HCV_A_PAD) ||
	    nla_put_u32(msg, HCV_A_WAIT_COUNT, count))
		return -EMSGSIZE;
	return 0;
}

/* Each thing that some I/O waits for. */
static int nl_put_waits(struct sk_buff *msg, struct hcv_vol *vol)
{
	struct hcv_waits waits;
	struct nlattr *nest;
	u32 i;

	hcv_vol_waits(vol, &waits);
	for (i = 1; i < __HCV_WAITS; i++) {
		if (!waits.count[i])
			continue;
		nest = nla_nest_start(msg, HCV_A_WAITS);
		if (!nest || nla_put_u32(msg, HCV_A_WAIT, i) ||
		    nla_put_u32(msg, HCV_A_WAIT_COUNT, waits.count[i]) ||
		    nla_put_u64_64bit(msg, HCV_A_WAIT_MS,
				      nl_ms_since(waits.since_ns[i]),
				      HCV_A_PAD))
			return -EMSGSIZE;
		nla_nest_end(msg, nest);
	}
	return 0;
}

static int nl_put_config(struct sk_buff *msg, struct hcv_vol *vol)
{
	if (nla_put(msg, HCV_A_VOL, UUID_SIZE, &vol->uuid) ||
	    nla_put_string(msg, HCV_A_NAME, vol->name) ||
	    nla_put_u64_64bit(msg, HCV_A_SIZE, vol->size_bytes, HCV_A_PAD) ||
	    nla_put_u32(msg, HCV_A_STRIPE, vol->stripe) ||
	    nla_put_u32(msg, HCV_A_REPLICAS, vol->replicas) ||
	    nla_put_u64_64bit(msg, HCV_A_EPOCH, vol->epoch, HCV_A_PAD) ||
	    nla_put_u64_64bit(msg, HCV_A_V, READ_ONCE(vol->map.v),
			      HCV_A_PAD) ||
	    nla_put_u64_64bit(msg, HCV_A_LINEAGE, vol->map.lineage,
			      HCV_A_PAD) ||
	    nla_put_u32(msg, HCV_A_QUEUE, vol->queue) ||
	    nla_put_u32(msg, HCV_A_VOL_FLAGS, hcv_vol_shown_flags(vol)) ||
	    (vol->hand_ms && nla_put_u32(msg, HCV_A_HANDOVER_MS, vol->hand_ms)) ||
	    nla_put_u32(msg, HCV_A_POLICY, vol->policy) ||
	    nla_put_u32(msg, HCV_A_POLICY_MS, vol->policy_ms) ||
	    nla_put_u32(msg, HCV_A_SYNC_KIBPS, vol->sync_kibps) ||
	    nla_put_u32(msg, HCV_A_MINOR, vol->minor) ||
	    nla_put_u32(msg, HCV_A_OPENERS, atomic_read(&vol->openers)))
		return -EMSGSIZE;
	return 0;
}

struct nl_u64 {
	u16 attr;
	u64 value;
};

static int nl_put_u64s(struct sk_buff *msg, const struct nl_u64 *list, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (nla_put_u64_64bit(msg, list[i].attr, list[i].value,
				      HCV_A_PAD))
			return -EMSGSIZE;
	return 0;
}

static int nl_put_scrub_copy(struct sk_buff *msg, struct hcv_link *link,
			     const struct hcv_scrub_copy *copy, bool whole)
{
	const struct nl_u64 list[] = {
		{ HCV_A_SCRUB_COVERED, copy->covered },
		{ HCV_A_SCRUB_MISSED, copy->missed },
		{ HCV_A_SCRUB_DAMAGED, copy->damaged },
		{ HCV_A_SCRUB_MEDIA, copy->media },
		{ HCV_A_SCRUB_REPAIRED, copy->repaired },
		{ HCV_A_SCRUB_FAILED, copy->failed },
		{ HCV_A_SCRUB_PAGES, copy->pages },
	};
	struct nlattr *nest = nla_nest_start(msg, HCV_A_LINK);

	if (!nest || nla_put(msg, HCV_A_STORE, UUID_SIZE, &link->store) ||
	    nla_put_u32(msg, HCV_A_SCRUB_RESULT,
			hcv_scrub_result(copy, whole)) ||
	    nl_put_u64s(msg, list, ARRAY_SIZE(list)))
		return -EMSGSIZE;
	nla_nest_end(msg, nest);
	return 0;
}

static int nl_put_scrub_pass(struct sk_buff *msg,
			     const struct hcv_scrub_show *show)
{
	const struct nl_u64 list[] = {
		{ HCV_A_SCRUB_PASS, show->nr },
		{ HCV_A_SCRUB_TOTAL, show->total },
		{ HCV_A_SCRUB_READ, show->pass.read },
		{ HCV_A_SCRUB_CHANGED, show->pass.changed },
		{ HCV_A_SCRUB_DAMAGED, show->pass.damaged },
		{ HCV_A_SCRUB_MEDIA, show->pass.media },
		{ HCV_A_SCRUB_LOST, show->pass.lost },
		{ HCV_A_SCRUB_BEGUN_MS, nl_ms_since(show->begun_ns) },
	};

	if (nla_put_u32(msg, HCV_A_SCRUB_STATE, show->state) ||
	    nla_put_u32(msg, HCV_A_SCRUB_KIBPS, show->kibps) ||
	    nl_put_u64s(msg, list, ARRAY_SIZE(list)) ||
	    (show->ended_ns &&
	     nla_put_u64_64bit(msg, HCV_A_SCRUB_ENDED_MS,
			       nl_ms_since(show->ended_ns), HCV_A_PAD)))
		return -EMSGSIZE;
	return 0;
}

/* Stores of which it was to read nothing are not in. */
static int nl_put_scrub_copies(struct sk_buff *msg, struct hcv_vol *vol,
			       const struct hcv_scrub_show *show)
{
	/* Pairs with hcv_link_make(). */
	u32 i, nr = smp_load_acquire(&vol->nr_links);

	for (i = 0; i < nr; i++) {
		const struct hcv_scrub_copy *copy = &show->pass.copy[i];

		if ((copy->covered || copy->missed) &&
		    nl_put_scrub_copy(msg, vol->link[i], copy,
				      show->state == HCV_SCRUB_DONE))
			return -EMSGSIZE;
	}
	return 0;
}

/* The newest pass, if there was one. */
static int nl_put_scrub(struct sk_buff *msg, struct hcv_vol *vol)
{
	struct hcv_scrub_show *show;
	struct nlattr *nest;
	int ret = 0;

	if (!READ_ONCE(vol->scrub))
		return 0;
	show = kmalloc(sizeof(*show), GFP_KERNEL);
	if (!show)
		return -ENOMEM;
	if (hcv_scrub_show(vol, show)) {
		nest = nla_nest_start(msg, HCV_A_SCRUB);
		if (!nest || nl_put_scrub_pass(msg, show) ||
		    nl_put_scrub_copies(msg, vol, show))
			ret = -EMSGSIZE;
		else
			nla_nest_end(msg, nest);
	}
	kfree(show);
	return ret;
}

static int nl_fill_vol(struct sk_buff *msg, struct hcv_vol *vol)
{
	u32 i;
	int ret;

	ret = nl_put_config(msg, vol);
	if (!ret)
		ret = nl_put_wait(msg, vol);
	if (!ret)
		ret = nl_put_waits(msg, vol);
	if (!ret)
		ret = nl_put_map(msg, vol);
	if (!ret)
		ret = nl_put_log(msg, vol);
	if (!ret)
		ret = nl_put_counters(msg, vol);
	/* Links are freed with the volume's last reference: no lock. */
	for (i = 0; !ret && i < smp_load_acquire(&vol->nr_links); i++)
		if (READ_ONCE(vol->link[i]->state) != HCV_LINK_OUT ||
		    READ_ONCE(vol->link[i]->bdev))
			ret = nl_put_link(msg, vol->link[i]);
	if (!ret)
		ret = nl_put_scrub(msg, vol);
	return ret;
}

int hcv_nl_vol_get(struct sk_buff *skb, struct genl_info *info)
{
	struct hcv_vol *vol = nl_vol(info, false);
	struct sk_buff *msg;
	void *hdr;
	int ret = -ENOMEM;

	if (IS_ERR(vol))
		return PTR_ERR(vol);
	msg = genlmsg_new(16384, GFP_KERNEL);
	if (!msg)
		goto out;
	hdr = genlmsg_put_reply(msg, info, &hcv_nl_family, 0, HCV_CMD_VOL_GET);
	ret = hdr ? nl_fill_vol(msg, vol) : -EMSGSIZE;
	if (ret) {
		nlmsg_free(msg);
		goto out;
	}
	genlmsg_end(msg, hdr);
	ret = genlmsg_reply(msg, info);
out:
	hcv_vol_put(vol);
	return ret;
}

static int nl_dump(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd,
		   int (*fill)(struct sk_buff *msg, struct hcv_vol *vol))
{
	struct nlattr *only = hcv_compat_dump_attrs(cb)[HCV_A_VOL];
	struct hcv_vol *vol;
	void *hdr;
	int ret;

	while ((vol = hcv_vol_nth(cb->args[0]))) {
		if (only && memcmp(nla_data(only), &vol->uuid, UUID_SIZE)) {
			hcv_vol_put(vol);
			cb->args[0]++;
			continue;
		}
		hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				  cb->nlh->nlmsg_seq, &hcv_nl_family,
				  NLM_F_MULTI, cmd);
		ret = hdr ? fill(skb, vol) : -EMSGSIZE;
		hcv_vol_put(vol);
		if (ret) {
			if (hdr)
				genlmsg_cancel(skb, hdr);
			/* What fits no message at all must not loop. */
			return skb->len ? skb->len : ret;
		}
		genlmsg_end(skb, hdr);
		cb->args[0]++;
	}
	return skb->len;
}

int hcv_nl_vol_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	return nl_dump(skb, cb, HCV_CMD_VOL_GET, nl_fill_vol);
}

static int nl_put_link_stats(struct sk_buff *msg, struct hcv_link *link)
{
	struct nlattr *nest = nla_nest_start(msg, HCV_A_LINK);
	struct hcv_stats sum;

	hcv_stats_sum(link->stats, &sum);
	if (!nest || nla_put(msg, HCV_A_STORE, UUID_SIZE, &link->store) ||
	    hcv_nl_put_hists(msg, &sum))
		return -EMSGSIZE;
	nla_nest_end(msg, nest);
	return 0;
}

static int nl_fill_stats(struct sk_buff *msg, struct hcv_vol *vol)
{
	struct hcv_stats sum;
	/* Pairs with hcv_link_make(). */
	u32 i, nr = smp_load_acquire(&vol->nr_links);
	int ret;

	hcv_stats_sum(vol->stats, &sum);
	if (nla_put(msg, HCV_A_VOL, UUID_SIZE, &vol->uuid))
		return -EMSGSIZE;
	ret = hcv_nl_put_hists(msg, &sum);
	for (i = 0; !ret && i < nr; i++)
		ret = nl_put_link_stats(msg, vol->link[i]);
	return ret;
}

int hcv_nl_vol_stats_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	return nl_dump(skb, cb, HCV_CMD_VOL_STATS_GET, nl_fill_stats);
}
