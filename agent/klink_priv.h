/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the klink*.c files share: one request at a time on one socket.
 *
 * A request is built in k->tx. A put that does not fit or has a bad value is
 * remembered and reported by the call, so that builders need no checks.
 */
#ifndef HCV_AGENT_KLINK_PRIV_H
#define HCV_AGENT_KLINK_PRIV_H

#include <libmnl/libmnl.h>

#include "klink.h"

#define HCV_KL_BUF		65536
#define HCV_KL_TIMEOUT_MS	10000
#define HCV_KL_START_TIMEOUT_MS	120000

/* Most array entries in one message: the attribute stays below 64 KiB. */
#define HCV_KL_INDEXES_MAX	4096
#define HCV_KL_EXTENTS_MAX	512

struct hcv_klink {
	struct mnl_socket *nl;
	uint16_t family;
	uint32_t seq;
	int bad;		/* first error while building, or 0 */
	char error[HCV_ERR_SIZE];
	size_t rx_off, rx_len;	/* event socket: rest of the last datagram */
	char tx[HCV_KL_BUF] __attribute__((aligned(8)));
	char rx[HCV_KL_BUF] __attribute__((aligned(8)));
};

/* An attribute table, checked against the type each attribute must have. */
struct hcv_kl_attrs {
	const struct nlmsghdr *nlh;	/* NULL for a nested table */
	const struct nlattr *a[HCV_A_MAX + 1];
};

/** hcv_kl_fail() - keep a sentence for hcv_klink_error(), return @err */
int hcv_kl_fail(struct hcv_klink *k, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* klink.c: building */
struct nlmsghdr *hcv_kl_new(struct hcv_klink *k, uint8_t cmd);
void hcv_kl_put(struct hcv_klink *k, struct nlmsghdr *nlh, uint16_t attr,
		const void *data, size_t len);
void hcv_kl_put_u32(struct hcv_klink *k, struct nlmsghdr *nlh, uint16_t attr,
		    uint32_t val);
void hcv_kl_put_u64(struct hcv_klink *k, struct nlmsghdr *nlh, uint16_t attr,
		    uint64_t val);
void hcv_kl_put_str(struct hcv_klink *k, struct nlmsghdr *nlh, uint16_t attr,
		    const char *s);
void hcv_kl_put_uuid(struct hcv_klink *k, struct nlmsghdr *nlh, uint16_t attr,
		     const char *text);

/* klink.c: calling; @cb gets each answer, its error ends the call */
typedef int (*hcv_kl_cb)(struct hcv_klink *k, const struct hcv_kl_attrs *t,
			 void *arg);
int hcv_kl_call(struct hcv_klink *k, struct nlmsghdr *nlh, hcv_kl_cb cb,
		void *arg, unsigned int timeout_ms);
/** hcv_kl_dump() - whole dump into a malloc'd array of @elem-sized items
 *
 * @cb fills one item and returns 1, or 0 to leave it out, or -errno; arrays
 * whose messages do not map one to one use hcv_kl_vec_add() themselves.
 */
struct hcv_kl_vec {
	char *p;
	size_t nr, cap, elem;
};

int hcv_kl_dump(struct hcv_klink *k, struct nlmsghdr *nlh, hcv_kl_cb cb,
		struct hcv_kl_vec *vec);
void *hcv_kl_vec_add(struct hcv_kl_vec *vec);

/* klink.c: reading; absent attributes give 0, "" or false */
int hcv_kl_parse(struct hcv_klink *k, const struct nlmsghdr *nlh,
		 struct hcv_kl_attrs *t);
int hcv_kl_parse_nested(struct hcv_klink *k, const struct nlattr *nest,
			struct hcv_kl_attrs *t);
uint32_t hcv_kl_u32(const struct hcv_kl_attrs *t, uint16_t attr);
uint64_t hcv_kl_u64(const struct hcv_kl_attrs *t, uint16_t attr);
void hcv_kl_str(const struct hcv_kl_attrs *t, uint16_t attr, char *out,
		size_t size);
bool hcv_kl_uuid(const struct hcv_kl_attrs *t, uint16_t attr,
		 char out[HCV_ID_LEN]);
/** hcv_kl_array() - elements of an array attribute, whole ones only */
size_t hcv_kl_array(const struct hcv_kl_attrs *t, uint16_t attr, size_t elem,
		    const void **data);

/** hcv_kl_counters(), hcv_kl_hists() - read them; absent ones are 0 */
void hcv_kl_counters(const struct hcv_kl_attrs *t, struct hcv_k_counters *out);
void hcv_kl_hists(const struct hcv_kl_attrs *t, struct hcv_k_hists *out);

int hcv_kl_uuid_parse(const char *text, uint8_t out[16]);
void hcv_kl_uuid_text(const uint8_t in[16], char out[HCV_ID_LEN]);

#endif /* HCV_AGENT_KLINK_PRIV_H */
