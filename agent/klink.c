// SPDX-License-Identifier: GPL-2.0-only
/*
 * Generic netlink transport to hcivol.ko: sockets, requests, dumps, extended
 * acks, attribute tables and events.  The commands are in klink_store.c and
 * klink_vol.c.
 *
 * The kernel runs a request inside the sender's sendmsg(), so that the time
 * limits here bound the wait for the answer, not the work itself: a command
 * that blocks in the module blocks the calling job.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/genetlink.h>

#include "fault.h"
#include "klink_priv.h"

#ifndef NETLINK_EXT_ACK
#define NETLINK_EXT_ACK		11
#endif

#define HCV_KL_DUMP_TRIES	8

/* Why the last open of this thread failed: there is no struct to keep it. */
static _Thread_local char open_error[HCV_ERR_SIZE];
static _Thread_local bool open_absent;

enum attr_kind { HCV_AK_ANY, HCV_AK_U32, HCV_AK_U64, HCV_AK_UUID, HCV_AK_STR };

static const uint8_t attr_kind[HCV_A_MAX + 1] = {
	[HCV_A_VERSION] = HCV_AK_STR,	[HCV_A_ABI] = HCV_AK_U32,
	[HCV_A_BOOT_ID] = HCV_AK_U64,	[HCV_A_NODE] = HCV_AK_UUID,
	[HCV_A_CLUSTER] = HCV_AK_UUID,	[HCV_A_STORE] = HCV_AK_UUID,
	[HCV_A_PATH] = HCV_AK_STR,		[HCV_A_LABEL] = HCV_AK_STR,
	[HCV_A_INCARNATION] = HCV_AK_U64,	[HCV_A_DEV_BYTES] = HCV_AK_U64,
	[HCV_A_LBA_BYTES] = HCV_AK_U32,	[HCV_A_NR_EXTENTS] = HCV_AK_U32,
	[HCV_A_NR_EXTENTS_USED] = HCV_AK_U32, [HCV_A_NR_VOLS] = HCV_AK_U32,
	[HCV_A_NR_VOLS_USED] = HCV_AK_U32,	[HCV_A_STORE_FLAGS] = HCV_AK_U32,
	[HCV_A_VOL] = HCV_AK_UUID,		[HCV_A_DEVNAME] = HCV_AK_STR,
	[HCV_A_EPOCH] = HCV_AK_U64,		[HCV_A_COUNT] = HCV_AK_U32,
	[HCV_A_FIRST] = HCV_AK_U64,		[HCV_A_INFLIGHT] = HCV_AK_U32,
	[HCV_A_LEASE_MS] = HCV_AK_U32,	[HCV_A_GRANT_FLAGS] = HCV_AK_U32,
	[HCV_A_NAME] = HCV_AK_STR,		[HCV_A_SIZE] = HCV_AK_U64,
	[HCV_A_STRIPE] = HCV_AK_U32,		[HCV_A_REPLICAS] = HCV_AK_U32,
	[HCV_A_V] = HCV_AK_U64,		[HCV_A_LINEAGE] = HCV_AK_U64,
	[HCV_A_QUEUE] = HCV_AK_U32,		[HCV_A_VOL_FLAGS] = HCV_AK_U32,
	[HCV_A_POLICY] = HCV_AK_U32,		[HCV_A_POLICY_MS] = HCV_AK_U32,
	[HCV_A_MINOR] = HCV_AK_U32,		[HCV_A_LINK_STATE] = HCV_AK_U32,
	[HCV_A_LINK_FLAGS] = HCV_AK_U32,	[HCV_A_COLUMN] = HCV_AK_U32,
	[HCV_A_VOL_STATE] = HCV_AK_U32,	[HCV_A_WAIT] = HCV_AK_U32,
	[HCV_A_WAIT_MS] = HCV_AK_U64,	[HCV_A_WAIT_COUNT] = HCV_AK_U32,
	[HCV_A_OPENERS] = HCV_AK_U32,	[HCV_A_READY] = HCV_AK_U32,
	[HCV_A_READ_IOS] = HCV_AK_U64,	[HCV_A_WRITE_IOS] = HCV_AK_U64,
	[HCV_A_FLUSH_IOS] = HCV_AK_U64,	[HCV_A_DISCARD_IOS] = HCV_AK_U64,
	[HCV_A_READ_BYTES] = HCV_AK_U64,	[HCV_A_WRITE_BYTES] = HCV_AK_U64,
	[HCV_A_DISCARD_BYTES] = HCV_AK_U64,	[HCV_A_ERRORS] = HCV_AK_U64,
	[HCV_A_SYNC_TOTAL] = HCV_AK_U64,	[HCV_A_SYNC_DONE] = HCV_AK_U64,
	[HCV_A_SYNC_COPIED] = HCV_AK_U64,	[HCV_A_SYNC_KIBPS] = HCV_AK_U32,
	[HCV_A_MISSED_MIBS] = HCV_AK_U32,	[HCV_A_USED_SLOTS] = HCV_AK_U64,
	[HCV_A_META_BYTES] = HCV_AK_U64,	[HCV_A_EVENT] = HCV_AK_U32,
	[HCV_A_EVENT_SEQ] = HCV_AK_U64,	[HCV_A_TIME_NS] = HCV_AK_U64,
	[HCV_A_TEXT] = HCV_AK_STR,		[HCV_A_ERRNO] = HCV_AK_U32,
	[HCV_A_UNFLUSHED_MIBS] = HCV_AK_U32,
	[HCV_A_STATE_MS] = HCV_AK_U64,
	[HCV_A_STALL_MS] = HCV_AK_U64,
	[HCV_A_LOG_ENTRIES] = HCV_AK_U32,	[HCV_A_LOG_NAMED] = HCV_AK_U32,
	[HCV_A_LOG_MISSES] = HCV_AK_U64,	[HCV_A_LOG_WRITES] = HCV_AK_U64,
	[HCV_A_LOG_DROPPED] = HCV_AK_U64,
};

int hcv_kl_fail(struct hcv_klink *k, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->error, sizeof(k->error), fmt, ap);
	va_end(ap);
	return err;
}

const char *hcv_klink_error(const struct hcv_klink *k)
{
	return k ? k->error : open_error;
}

bool hcv_klink_absent(void)
{
	return open_absent;
}

/* ---- UUIDs ---- */

int hcv_kl_uuid_parse(const char *text, uint8_t out[16])
{
	unsigned int i, n = 0;

	if (!text || strlen(text) != HCV_ID_LEN - 1)
		return -EINVAL;
	for (i = 0; i < HCV_ID_LEN - 1; i++) {
		unsigned char c = (unsigned char)text[i];
		unsigned int digit;

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (c != '-')
				return -EINVAL;
			continue;
		}
		if (!isxdigit(c))
			return -EINVAL;
		digit = (unsigned int)(isdigit(c) ? c - '0' :
					      tolower(c) - 'a' + 10);
		if (n % 2)
			out[n / 2] = (uint8_t)(out[n / 2] | digit);
		else
			out[n / 2] = (uint8_t)(digit << 4);
		n++;
	}
	return 0;
}

void hcv_kl_uuid_text(const uint8_t in[16], char out[HCV_ID_LEN])
{
	snprintf(out, HCV_ID_LEN,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 in[0], in[1], in[2], in[3], in[4], in[5], in[6], in[7],
		 in[8], in[9], in[10], in[11], in[12], in[13], in[14], in[15]);
}

/* ---- building a request ---- */

static struct nlmsghdr *start_msg(struct hcv_klink *k, uint16_t type,
				  uint8_t cmd, uint8_t version)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(k->tx);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = cmd;
	genl->version = version;
	k->bad = 0;
	k->error[0] = '\0';
	return nlh;
}

struct nlmsghdr *hcv_kl_new(struct hcv_klink *k, uint8_t cmd)
{
	return start_msg(k, k->family, cmd, HCV_GENL_VERSION);
}

void hcv_kl_put(struct hcv_klink *k, struct nlmsghdr *nlh, uint16_t attr,
		const void *data, size_t len)
{
	if (k->bad)
		return;
	if (!mnl_attr_put_check(nlh, sizeof(k->tx), attr, len, data))
		k->bad = hcv_kl_fail(k, -EMSGSIZE,
				     "request too long at attribute %u", attr);
}

void hcv_kl_put_u32(struct hcv_klink *k, struct nlmsghdr *nlh, uint16_t attr,
		    uint32_t val)
{
	hcv_kl_put(k, nlh, attr, &val, sizeof(val));
}

void hcv_kl_put_u64(struct hcv_klink *k, struct nlmsghdr *nlh, uint16_t attr,
		    uint64_t val)
{
	hcv_kl_put(k, nlh, attr, &val, sizeof(val));
}

void hcv_kl_put_str(struct hcv_klink *k, struct nlmsghdr *nlh, uint16_t attr,
		    const char *s)
{
	hcv_kl_put(k, nlh, attr, s, strlen(s) + 1);
}

void hcv_kl_put_uuid(struct hcv_klink *k, struct nlmsghdr *nlh, uint16_t attr,
		     const char *text)
{
	uint8_t raw[16];

	if (k->bad)
		return;
	if (hcv_kl_uuid_parse(text, raw)) {
		k->bad = hcv_kl_fail(k, -EINVAL, "'%s' is not a UUID",
				     text ? text : "");
		return;
	}
	hcv_kl_put(k, nlh, attr, raw, sizeof(raw));
}

/* ---- reading an answer ---- */

static bool attr_fits(const struct nlattr *a, uint8_t kind)
{
	uint16_t len = mnl_attr_get_payload_len(a);

	switch (kind) {
	case HCV_AK_U32:
		return len == sizeof(uint32_t);
	case HCV_AK_U64:
		return len == sizeof(uint64_t);
	case HCV_AK_UUID:
		return len == 16;
	case HCV_AK_STR:
		return len &&
		       memchr(mnl_attr_get_payload(a), '\0', len);
	default:
		return true;
	}
}

/* A newer module may send attributes we do not know: skipped. */
static int take_attr(struct hcv_klink *k, const struct nlattr *a,
		     struct hcv_kl_attrs *t)
{
	uint16_t type = mnl_attr_get_type(a);

	if (type > HCV_A_MAX)
		return 0;
	if (!attr_fits(a, attr_kind[type]))
		return hcv_kl_fail(k, -EBADMSG,
				   "the module sent attribute %u with %u bytes",
				   type, mnl_attr_get_payload_len(a));
	/* of repeated ones (HCV_A_LINK) the first; callers walk the rest */
	if (!t->a[type])
		t->a[type] = a;
	return 0;
}

int hcv_kl_parse(struct hcv_klink *k, const struct nlmsghdr *nlh,
		 struct hcv_kl_attrs *t)
{
	const struct nlattr *a;
	int ret;

	memset(t, 0, sizeof(*t));
	t->nlh = nlh;
	mnl_attr_for_each(a, nlh, sizeof(struct genlmsghdr)) {
		ret = take_attr(k, a, t);
		if (ret)
			return ret;
	}
	return 0;
}

int hcv_kl_parse_nested(struct hcv_klink *k, const struct nlattr *nest,
			struct hcv_kl_attrs *t)
{
	const struct nlattr *a;
	int ret;

	memset(t, 0, sizeof(*t));
	mnl_attr_for_each_nested(a, nest) {
		ret = take_attr(k, a, t);
		if (ret)
			return ret;
	}
	return 0;
}

uint32_t hcv_kl_u32(const struct hcv_kl_attrs *t, uint16_t attr)
{
	return t->a[attr] ? mnl_attr_get_u32(t->a[attr]) : 0;
}

uint64_t hcv_kl_u64(const struct hcv_kl_attrs *t, uint16_t attr)
{
	return t->a[attr] ? mnl_attr_get_u64(t->a[attr]) : 0;
}

void hcv_kl_str(const struct hcv_kl_attrs *t, uint16_t attr, char *out,
		size_t size)
{
	snprintf(out, size, "%s",
		 t->a[attr] ? mnl_attr_get_str(t->a[attr]) : "");
}

bool hcv_kl_uuid(const struct hcv_kl_attrs *t, uint16_t attr,
		 char out[HCV_ID_LEN])
{
	out[0] = '\0';
	if (!t->a[attr])
		return false;
	hcv_kl_uuid_text(mnl_attr_get_payload(t->a[attr]), out);
	return true;
}

size_t hcv_kl_array(const struct hcv_kl_attrs *t, uint16_t attr, size_t elem,
		    const void **data)
{
	*data = NULL;
	if (!t->a[attr])
		return 0;
	*data = mnl_attr_get_payload(t->a[attr]);
	return mnl_attr_get_payload_len(t->a[attr]) / elem;
}

void hcv_kl_counters(const struct hcv_kl_attrs *t, struct hcv_k_counters *out)
{
	out->read_ios = hcv_kl_u64(t, HCV_A_READ_IOS);
	out->write_ios = hcv_kl_u64(t, HCV_A_WRITE_IOS);
	out->flush_ios = hcv_kl_u64(t, HCV_A_FLUSH_IOS);
	out->read_bytes = hcv_kl_u64(t, HCV_A_READ_BYTES);
	out->write_bytes = hcv_kl_u64(t, HCV_A_WRITE_BYTES);
	out->errors = hcv_kl_u64(t, HCV_A_ERRORS);
}

static void fill_hist(const struct hcv_kl_attrs *t, uint16_t attr,
		      uint64_t *out)
{
	const void *data;
	size_t nr = hcv_kl_array(t, attr, sizeof(uint64_t), &data);

	if (nr > HCV_HIST_BUCKETS)
		nr = HCV_HIST_BUCKETS;
	if (nr)
		memcpy(out, data, nr * sizeof(uint64_t));
}

void hcv_kl_hists(const struct hcv_kl_attrs *t, struct hcv_k_hists *out)
{
	fill_hist(t, HCV_A_HIST_READ, out->read);
	fill_hist(t, HCV_A_HIST_WRITE, out->write);
	fill_hist(t, HCV_A_HIST_FLUSH, out->flush);
}

/* ---- one exchange ---- */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int wait_readable(struct hcv_klink *k, int64_t deadline)
{
	struct pollfd p = { mnl_socket_get_fd(k->nl), POLLIN, 0 };

	for (;;) {
		int64_t left = deadline - now_ms();
		int ret;

		if (left <= 0)
			return hcv_kl_fail(k, -ETIMEDOUT,
					   "the module did not answer in time");
		ret = poll(&p, 1, (int)left);
		if (ret > 0)
			return 0;
		if (ret < 0 && errno != EINTR)
			return hcv_kl_fail(k, -errno, "poll: %m");
	}
}

/* The kernel's sentence of an NLMSG_ERROR or NLMSG_DONE, if it has one. */
static void take_extack(struct hcv_klink *k, const struct nlmsghdr *nlh,
			unsigned int skip)
{
	const struct nlattr *a;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	mnl_attr_for_each(a, nlh, skip) {
		if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG &&
		    attr_fits(a, HCV_AK_STR)) {
			snprintf(k->error, sizeof(k->error), "%s",
				 mnl_attr_get_str(a));
			return;
		}
	}
}

static int take_error(struct hcv_klink *k, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	unsigned int skip = sizeof(*e);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*e))
		return hcv_kl_fail(k, -EBADMSG, "short netlink ack");
	if (!e->error)
		return 0;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += e->msg.nlmsg_len - MNL_NLMSG_HDRLEN;
	hcv_kl_fail(k, 0, "%s", strerror(-e->error));
	take_extack(k, nlh, skip);
	return e->error;
}

static int take_done(struct hcv_klink *k, const struct nlmsghdr *nlh)
{
	int err;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(err))
		return 0;
	memcpy(&err, mnl_nlmsg_get_payload(nlh), sizeof(err));
	if (err >= 0)
		return 0;
	hcv_kl_fail(k, 0, "%s", strerror(-err));
	take_extack(k, nlh, sizeof(err));
	return err;
}

struct exchange {
	hcv_kl_cb cb;
	/* for answers of another family than ours */
	void (*raw_cb)(const struct nlmsghdr *nlh, void *arg);
	void *arg;
	bool intr;		/* a dump changed under way */
	bool done;
	int err;
};

static void take_msg(struct hcv_klink *k, struct exchange *x,
		     const struct nlmsghdr *nlh)
{
	struct hcv_kl_attrs t;

	/* an answer to a call that timed out earlier */
	if (nlh->nlmsg_seq != k->seq)
		return;
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		x->intr = true;
	if (nlh->nlmsg_type == NLMSG_ERROR || nlh->nlmsg_type == NLMSG_DONE) {
		int err = nlh->nlmsg_type == NLMSG_ERROR ?
				  take_error(k, nlh) : take_done(k, nlh);

		/* an error of ours came first and says more */
		if (!x->err)
			x->err = err;
		x->done = true;
		return;
	}
	if (nlh->nlmsg_type < NLMSG_MIN_TYPE)
		return;
	if (x->raw_cb)
		x->raw_cb(nlh, x->arg);
	if (!x->cb || x->err)
		return;
	x->err = hcv_kl_parse(k, nlh, &t);
	if (!x->err)
		x->err = x->cb(k, &t, x->arg);
	if (x->err > 0)
		x->err = 0;
}

static int take_answers(struct hcv_klink *k, struct exchange *x,
		   unsigned int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;

	while (!x->done) {
		const struct nlmsghdr *nlh = (void *)k->rx;
		ssize_t got;
		int len, ret;

		ret = wait_readable(k, deadline);
		if (ret)
			return ret;
		got = mnl_socket_recvfrom(k->nl, k->rx, sizeof(k->rx));
		if (got < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return hcv_kl_fail(k, -errno, "netlink receive: %m");
		}
		for (len = (int)got; mnl_nlmsg_ok(nlh, len);
		     nlh = mnl_nlmsg_next(nlh, &len))
			take_msg(k, x, nlh);
	}
	return x->err;
}

static int exchange(struct hcv_klink *k, struct nlmsghdr *nlh,
		    struct exchange *x, unsigned int timeout_ms)
{
	int ret;

	x->err = 0;
	x->done = false;
	x->intr = false;
	nlh->nlmsg_seq = ++k->seq;
	if (hcv_fault(HCV_FAULT_NETLINK_UNSENT))
		return hcv_kl_fail(k, -ENOBUFS, "netlink send: as a test wants it");
	if (mnl_socket_sendto(k->nl, nlh, nlh->nlmsg_len) < 0)
		return hcv_kl_fail(k, -errno, "netlink send: %m");
	ret = take_answers(k, x, timeout_ms);
	if (hcv_fault(HCV_FAULT_NETLINK_LOST))
		return hcv_kl_fail(k, -ETIMEDOUT, "no answer: as a test wants it");
	return ret;
}

/* ---- the family ---- */

struct family {
	uint16_t id;
	uint32_t version;
	uint32_t group;		/* of the events, 0: none */
};

static void take_group(const struct nlattr *groups, struct family *f)
{
	const struct nlattr *g, *a;

	mnl_attr_for_each_nested(g, groups) {
		const char *name = NULL;
		uint32_t id = 0;

		mnl_attr_for_each_nested(a, g) {
			if (mnl_attr_get_type(a) == CTRL_ATTR_MCAST_GRP_NAME &&
			    attr_fits(a, HCV_AK_STR))
				name = mnl_attr_get_str(a);
			else if (mnl_attr_get_type(a) ==
					 CTRL_ATTR_MCAST_GRP_ID &&
				 attr_fits(a, HCV_AK_U32))
				id = mnl_attr_get_u32(a);
		}
		if (name && !strcmp(name, HCV_GENL_GROUP_EVENTS))
			f->group = id;
	}
}

static void take_family(const struct nlmsghdr *nlh, void *arg)
{
	struct family *f = arg;
	const struct nlattr *a;

	mnl_attr_for_each(a, nlh, sizeof(struct genlmsghdr)) {
		switch (mnl_attr_get_type(a)) {
		case CTRL_ATTR_FAMILY_ID:
			if (mnl_attr_get_payload_len(a) == sizeof(uint16_t))
				f->id = mnl_attr_get_u16(a);
			break;
		case CTRL_ATTR_VERSION:
			if (attr_fits(a, HCV_AK_U32))
				f->version = mnl_attr_get_u32(a);
			break;
		case CTRL_ATTR_MCAST_GROUPS:
			take_group(a, f);
			break;
		}
	}
}

static int resolve(struct hcv_klink *k, struct family *f)
{
	struct exchange x = { .raw_cb = take_family, .arg = f };
	struct nlmsghdr *nlh;
	int ret;

	memset(f, 0, sizeof(*f));
	nlh = start_msg(k, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	hcv_kl_put_str(k, nlh, CTRL_ATTR_FAMILY_NAME, HCV_GENL_NAME);
	ret = exchange(k, nlh, &x, HCV_KL_TIMEOUT_MS);
	if (ret == -ENOENT || (!ret && !f->id))
		return hcv_kl_fail(k, -ENOENT,
			"the hcivol module is not loaded on this node");
	if (ret)
		return ret;
	if (f->version != HCV_GENL_VERSION)
		return hcv_kl_fail(k, -EPROTONOSUPPORT,
			"the loaded module hcivol speaks netlink version %u, this program speaks %u",
			f->version, HCV_GENL_VERSION);
	return 0;
}

/* ---- public transport ---- */

static int prepare_socket(struct hcv_klink *k)
{
	int on = 1, fd;

	k->nl = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!k->nl)
		return hcv_kl_fail(k, -errno, "netlink socket: %m");
	if (mnl_socket_bind(k->nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return hcv_kl_fail(k, -errno, "netlink bind: %m");
	if (mnl_socket_setsockopt(k->nl, NETLINK_EXT_ACK, &on, sizeof(on)) ||
	    mnl_socket_setsockopt(k->nl, NETLINK_CAP_ACK, &on, sizeof(on)))
		return hcv_kl_fail(k, -errno, "netlink options: %m");
	fd = mnl_socket_get_fd(k->nl);
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		return hcv_kl_fail(k, -errno, "netlink socket: %m");
	return 0;
}

static struct hcv_klink *open_family(struct family *f)
{
	struct hcv_klink *k = calloc(1, sizeof(*k));
	int ret;

	if (!k) {
		snprintf(open_error, sizeof(open_error), "out of memory");
		errno = ENOMEM;
		return NULL;
	}
	ret = prepare_socket(k);
	if (!ret)
		ret = resolve(k, f);
	open_absent = ret == -ENOENT;
	if (ret) {
		memcpy(open_error, k->error, sizeof(open_error));
		hcv_klink_close(k);
		errno = -ret;
		return NULL;
	}
	k->family = f->id;
	return k;
}

struct hcv_klink *hcv_klink_open(void)
{
	struct family f;

	return open_family(&f);
}

void hcv_klink_close(struct hcv_klink *k)
{
	if (!k)
		return;
	if (k->nl)
		mnl_socket_close(k->nl);
	free(k);
}

int hcv_kl_call(struct hcv_klink *k, struct nlmsghdr *nlh, hcv_kl_cb cb,
		void *arg, unsigned int timeout_ms)
{
	struct exchange x = { .cb = cb, .arg = arg };

	if (k->bad)
		return k->bad;
	return exchange(k, nlh, &x, timeout_ms);
}

void *hcv_kl_vec_add(struct hcv_kl_vec *vec)
{
	char *slot;

	if (vec->nr == vec->cap) {
		size_t cap = vec->cap ? vec->cap * 2 : 16;
		char *p = reallocarray(vec->p, cap, vec->elem);

		if (!p)
			return NULL;
		vec->p = p;
		vec->cap = cap;
	}
	slot = vec->p + vec->nr++ * vec->elem;
	memset(slot, 0, vec->elem);
	return slot;
}

/*
 * A dump that changed under way may miss objects: taken again. One that never
 * settles is an error, not a guess.
 */
int hcv_kl_dump(struct hcv_klink *k, struct nlmsghdr *nlh, hcv_kl_cb cb,
		struct hcv_kl_vec *vec)
{
	struct exchange x = { .cb = cb, .arg = vec };
	int tries, ret = k->bad;

	/* an ack besides NLMSG_DONE would end the next exchange early */
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	for (tries = 0; !ret && tries < HCV_KL_DUMP_TRIES; tries++) {
		vec->nr = 0;
		ret = exchange(k, nlh, &x, HCV_KL_TIMEOUT_MS);
		if (!x.intr)
			break;
	}
	if (!ret && x.intr)
		ret = hcv_kl_fail(k, -EAGAIN,
				  "the list kept changing while it was read");
	if (ret) {
		free(vec->p);
		memset(vec, 0, sizeof(*vec));
	}
	return ret;
}

/* ---- events ---- */

struct hcv_klink *hcv_k_event_open(int *fd)
{
	struct hcv_klink *k;
	struct family f;
	int size = 1 << 20;

	k = open_family(&f);
	if (!k)
		return NULL;
	*fd = mnl_socket_get_fd(k->nl);
	/* best effort: a smaller buffer only means ENOBUFS earlier */
	if (setsockopt(*fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(*fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (!f.group ||
	    mnl_socket_setsockopt(k->nl, NETLINK_ADD_MEMBERSHIP, &f.group,
				  sizeof(f.group))) {
		int err = f.group ? errno : ENOENT;

		snprintf(open_error, sizeof(open_error),
			 "cannot subscribe to the module's events: %s",
			 strerror(err));
		hcv_klink_close(k);
		errno = err;
		return NULL;
	}
	return k;
}

static int take_event(struct hcv_klink *k, const struct nlmsghdr *nlh,
		      struct hcv_k_event *ev)
{
	struct hcv_kl_attrs t;
	int ret = hcv_kl_parse(k, nlh, &t);

	if (ret)
		return ret;
	memset(ev, 0, sizeof(*ev));
	ev->event = hcv_kl_u32(&t, HCV_A_EVENT);
	ev->seq = hcv_kl_u64(&t, HCV_A_EVENT_SEQ);
	ev->time_ns = hcv_kl_u64(&t, HCV_A_TIME_NS);
	ev->epoch = hcv_kl_u64(&t, HCV_A_EPOCH);
	ev->v = hcv_kl_u64(&t, HCV_A_V);
	ev->incarnation = hcv_kl_u64(&t, HCV_A_INCARNATION);
	ev->has_vol = hcv_kl_uuid(&t, HCV_A_VOL, ev->vol);
	ev->has_store = hcv_kl_uuid(&t, HCV_A_STORE, ev->store);
	ev->column = t.a[HCV_A_COLUMN] ?
			     (int)hcv_kl_u32(&t, HCV_A_COLUMN) : -1;
	ev->vol_state = t.a[HCV_A_VOL_STATE] ?
				(int)hcv_kl_u32(&t, HCV_A_VOL_STATE) : -1;
	ev->link_state = t.a[HCV_A_LINK_STATE] ?
				 (int)hcv_kl_u32(&t, HCV_A_LINK_STATE) : -1;
	ev->wait = t.a[HCV_A_WAIT] ? (int)hcv_kl_u32(&t, HCV_A_WAIT) : -1;
	ev->err = hcv_kl_u32(&t, HCV_A_ERRNO);
	hcv_kl_str(&t, HCV_A_TEXT, ev->text, sizeof(ev->text));
	return 0;
}

/* Next message of the last datagram, or NULL. */
static const struct nlmsghdr *pending_msg(struct hcv_klink *k)
{
	const struct nlmsghdr *nlh = (void *)(k->rx + k->rx_off);
	int len = (int)(k->rx_len - k->rx_off);

	if (!mnl_nlmsg_ok(nlh, len)) {
		k->rx_off = 0;
		k->rx_len = 0;
		return NULL;
	}
	mnl_nlmsg_next(nlh, &len);
	k->rx_off = len > 0 ? k->rx_len - (size_t)len : k->rx_len;
	return nlh;
}

int hcv_k_event_read(struct hcv_klink *k, struct hcv_k_event *ev)
{
	for (;;) {
		const struct nlmsghdr *nlh = pending_msg(k);
		const struct genlmsghdr *genl;
		ssize_t got;
		int ret;

		if (!nlh) {
			got = mnl_socket_recvfrom(k->nl, k->rx, sizeof(k->rx));
			if (got < 0 && errno == EINTR)
				continue;
			if (got < 0 && errno == EAGAIN)
				return 0;
			if (got < 0)
				return hcv_kl_fail(k, -errno,
						   "event receive: %m");
			k->rx_off = 0;
			k->rx_len = (size_t)got;
			continue;
		}
		genl = mnl_nlmsg_get_payload(nlh);
		if (nlh->nlmsg_type != k->family ||
		    mnl_nlmsg_get_payload_len(nlh) < sizeof(*genl) ||
		    genl->cmd != HCV_CMD_EVENT)
			continue;
		ret = take_event(k, nlh, ev);
		return ret ? ret : 1;
	}
}
