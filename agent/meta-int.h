/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between meta.c and the back ends of the metadata store.
 *
 * meta.c checks arguments and dispatches; a back end may rely on: keys and
 * prefixes well-formed, no key twice among the ops of a transaction, sizes
 * within the limits below, results zeroed before the call.
 */
#ifndef HCV_AGENT_META_INT_H
#define HCV_AGENT_META_INT_H

#include "meta.h"

/* What etcd takes in one transaction, less room for our own token. */
#define HCV_META_KEY_MAX	512
#define HCV_META_TXN_BYTES_MAX	(1U << 20)

/** struct hcv_meta_ops - a back end; semantics as in meta.h */
struct hcv_meta_ops {
	const char *scheme;
	bool cluster;
	/* @arg: what follows the scheme; @err as for hcv_meta_open() */
	struct hcv_meta *(*open)(const char *arg, char **err);
	void (*close)(struct hcv_meta *m);
	enum hcv_meta_result (*get)(struct hcv_meta *m, const char *key,
				    struct hcv_kv *kv, int64_t deadline);
	enum hcv_meta_result (*list)(struct hcv_meta *m, const char *prefix,
				     struct hcv_kvs *kvs, int64_t deadline);
	enum hcv_meta_result (*txn)(struct hcv_meta *m,
				    const struct hcv_cmp *cmp, size_t nr_cmp,
				    const struct hcv_op *op, size_t nr_op,
				    int64_t *rev, int64_t deadline);
	enum hcv_meta_result (*lease_grant)(struct hcv_meta *m,
					    unsigned int ttl_s, int64_t *lease,
					    int64_t deadline);
	enum hcv_meta_result (*lease_keep)(struct hcv_meta *m, int64_t lease,
					   int64_t deadline);
	enum hcv_meta_result (*lease_revoke)(struct hcv_meta *m, int64_t lease,
					     int64_t deadline);
	enum hcv_meta_result (*watch)(struct hcv_meta *m, const char *prefix,
				      int64_t *rev, int64_t deadline);
	void (*watch_cancel)(struct hcv_meta *m);
	/* NULL, all three: changes are not told with their values */
	struct hcv_meta_follow *(*follow)(struct hcv_meta *m,
					  const char *prefix, int64_t rev);
	enum hcv_meta_result (*follow_next)(struct hcv_meta_follow *f,
					    struct hcv_kvs *kvs,
					    int64_t deadline);
	void (*follow_end)(struct hcv_meta_follow *f);
};

/** struct hcv_meta - first member of every back end's handle */
struct hcv_meta {
	const struct hcv_meta_ops *ops;
	int64_t wrote;		/* A: the newest revision written by it */
};

/** struct hcv_meta_follow - first member of what follow() gives out */
struct hcv_meta_follow {
	struct hcv_meta *meta;
};

extern const struct hcv_meta_ops hcv_meta_mem_ops;
extern const struct hcv_meta_ops hcv_meta_sqlite_ops;
extern const struct hcv_meta_ops hcv_meta_etcd_ops;

/** hcv_meta_now_ms() - CLOCK_MONOTONIC, the clock of all deadlines here */
int64_t hcv_meta_now_ms(void);

/** hcv_meta_random() - a random number of 62 bits, never 0 */
int64_t hcv_meta_random(void);

/**
 * hcv_meta_fail() - set this thread's hcv_meta_last_error()
 * Return: @res, so that callers can return the call.
 */
enum hcv_meta_result hcv_meta_fail(enum hcv_meta_result res,
				   const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** hcv_meta_strdup_error() - this thread's last error, for the caller */
char *hcv_meta_strdup_error(void);

/** hcv_kvs_add() - append copies; 0 or -ENOMEM */
int hcv_kvs_add(struct hcv_kvs *kvs, const char *key, const char *value,
		int64_t rev);

#endif /* HCV_AGENT_META_INT_H */
