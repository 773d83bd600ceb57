/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Metadata store interface: a small part of what etcd offers, over etcd, over
 * one SQLite file, and in memory for tests.
 *
 * All calls block, bounded by @deadline_ms of the call (etcd: the endpoints are
 * asked in turn, without waiting long for one), and may be used from several threads at once; every
 * back end does its own locking.  Keys are given without the cluster's prefix.
 */
#ifndef HCV_AGENT_META_H
#define HCV_AGENT_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Compares, and changes, of one transaction at most. */
#define HCV_META_OPS_MAX	100

struct hcv_meta;

enum hcv_meta_result {
	HCV_META_OK = 0,
	HCV_META_CONFLICT,	/* a compare failed; nothing was written */
	HCV_META_UNKNOWN,	/* outcome unknown: settle by a read */
	HCV_META_UNREACHABLE,	/* surely not done */
	HCV_META_INVALID,	/* bad arguments, or a damaged store */
};

/** struct hcv_kv - one key; @rev is its MOD revision, 0: does not exist */
struct hcv_kv {
	char *key;
	char *value;
	int64_t rev;
};

struct hcv_kvs {
	struct hcv_kv *kv;
	size_t nr;
	int64_t rev;		/* revision of the store at the read */
};

/** struct hcv_cmp - the key's MOD revision must be @rev (0: not exist) */
struct hcv_cmp {
	const char *key;
	int64_t rev;
};

/** struct hcv_op - put (@value not NULL) or delete; @lease 0: none */
struct hcv_op {
	const char *key;
	const char *value;
	int64_t lease;
};

/**
 * hcv_meta_open() - "sqlite:PATH", "etcd:NAME:URL,URL...", "mem:"
 * @err: gets a sentence (caller frees) when NULL is returned
 */
struct hcv_meta *hcv_meta_open(const char *spec, char **err);
void hcv_meta_close(struct hcv_meta *m);
/** hcv_meta_is_cluster() - whether several nodes can share it */
bool hcv_meta_is_cluster(const struct hcv_meta *m);
/** hcv_meta_last_error() - sentence about this thread's last failure */
const char *hcv_meta_last_error(void);

/** hcv_meta_get() - linearizable read; @kv->rev = 0 if there is no such key */
enum hcv_meta_result hcv_meta_get(struct hcv_meta *m, const char *key,
				  struct hcv_kv *kv, unsigned int deadline_ms);
/** hcv_meta_list() - all keys with the prefix, sorted; linearizable */
enum hcv_meta_result hcv_meta_list(struct hcv_meta *m, const char *prefix,
				   struct hcv_kvs *kvs,
				   unsigned int deadline_ms);
/**
 * hcv_meta_txn() - all compares hold: do all ops, atomically
 *
 * Every transaction carries a token key so that a time-out can be settled
 * inside the call when the store answers again before the deadline; only
 * otherwise UNKNOWN comes back.  @rev (may be NULL) gets the new revision.
 */
enum hcv_meta_result hcv_meta_txn(struct hcv_meta *m,
				  const struct hcv_cmp *cmp, size_t nr_cmp,
				  const struct hcv_op *op, size_t nr_op,
				  int64_t *rev, unsigned int deadline_ms);

/** hcv_meta_lease_grant() - a lease of @ttl_s seconds; SQLite: until close */
enum hcv_meta_result hcv_meta_lease_grant(struct hcv_meta *m, unsigned int ttl_s,
					  int64_t *lease,
					  unsigned int deadline_ms);
/** hcv_meta_lease_keep() - renew; INVALID: the lease has expired */
enum hcv_meta_result hcv_meta_lease_keep(struct hcv_meta *m, int64_t lease,
					 unsigned int deadline_ms);
enum hcv_meta_result hcv_meta_lease_revoke(struct hcv_meta *m, int64_t lease,
					   unsigned int deadline_ms);

/**
 * hcv_meta_watch() - block until a key under the prefix changes after @rev
 * @timeout_ms: at most this long; a silent watch ends so too
 *
 * Return: OK something changed (@rev updated), CONFLICT: timed out quietly,
 * UNREACHABLE.  The caller lists again in all three cases: decisions never
 * rest on a watch.  hcv_meta_watch_cancel() ends it from another thread.
 */
enum hcv_meta_result hcv_meta_watch(struct hcv_meta *m, const char *prefix,
				    int64_t *rev, unsigned int timeout_ms);
void hcv_meta_watch_cancel(struct hcv_meta *m);

/** hcv_meta_wrote() - the newest revision that came of a hcv_meta_txn() here */
int64_t hcv_meta_wrote(struct hcv_meta *m);

struct hcv_meta_follow;

/**
 * hcv_meta_follow() - be told of each change under the prefix, from @rev + 1 on
 *
 * Changes come in the order of their revisions, none is left out, and those of
 * one transaction come together: added to a list of revision @rev they make the
 * list of a later one.  That is older than what a read would find, by the time
 * that a change takes to arrive: nothing is decided on it that needs a read.
 *
 * Return: NULL: this back end cannot (use hcv_meta_watch()), or no memory.
 */
struct hcv_meta_follow *hcv_meta_follow(struct hcv_meta *m, const char *prefix,
					int64_t rev);
/**
 * hcv_meta_follow_next() - wait for further changes; one thread at a time
 * @kvs: empty; gets them for hcv_kvs_apply(), free it
 *
 * hcv_meta_watch_cancel() ends the wait.
 *
 * Return: OK; CONFLICT: none in this time; UNREACHABLE, INVALID: it is over,
 * list and begin anew.
 */
enum hcv_meta_result hcv_meta_follow_next(struct hcv_meta_follow *f,
					  struct hcv_kvs *kvs,
					  unsigned int timeout_ms);
void hcv_meta_follow_end(struct hcv_meta_follow *f);

/**
 * hcv_kvs_apply() - make a sorted list one of a later revision
 * @changes: in order; a value of NULL: the key is gone.  What is taken over from
 *	it is not in it any more.
 *
 * Return: 0 or -ENOMEM: the list is of no use then.
 */
int hcv_kvs_apply(struct hcv_kvs *kvs, struct hcv_kvs *changes);

void hcv_kv_free(struct hcv_kv *kv);
void hcv_kvs_free(struct hcv_kvs *kvs);

#endif /* HCV_AGENT_META_H */
