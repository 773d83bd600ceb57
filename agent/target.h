/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The target side: what this node's stores do for the volumes of the cluster.
 *
 * target_reconcile.c (loop thread) runs one pass per store at a time, when a
 * snapshot or an event of the module says that something may have changed and
 * when a pass asked for it; target_pass.c and target_step.c are the pass (pool
 * thread); target_sweep.c tidies up.
 */
#ifndef HCV_AGENT_TARGET_H
#define HCV_AGENT_TARGET_H

#include "agent.h"
#include "core/storeplan.h"

#define HCV_TARGET_PASS_MS	20000	/* deadline of a pass */
#define HCV_TARGET_IDLE_MS	10000	/* longest time without a pass */
#define HCV_TARGET_RETRY_MS	1000	/* after a failure, then doubled */
#define HCV_TARGET_NVMET_MS	8000	/* for one subsystem */
#define HCV_TARGET_CHECK_MS	10000	/* NVMe objects are looked at again */

/**
 * struct hcv_target_client - an export of the store, as last seen to be well
 * @devname: "hcvx3", empty: not checked in this process
 * @retry_ms: not before, after @fails failures
 */
struct hcv_target_client {
	char node[HCV_ID_LEN];
	char devname[32];
	int64_t checked_ms;
	int64_t retry_ms;
	unsigned int fails;
};

/**
 * struct hcv_target_note - what was said about a volume of the store
 * @since_ms: since when @text has been true
 * @told: operators were told
 * @seen: in this pass
 */
struct hcv_target_note {
	char vol[HCV_ID_LEN];
	char text[HCV_SP_REASON + 64];
	int64_t since_ms;
	bool told;
	bool seen;
};

/**
 * struct hcv_target_store - a store of this node
 *
 * L: loop thread only; J: the pass, or the loop while none runs.
 *
 * @due_ms: next pass, 0: only when something changes
 * @seq: newest snapshot that a pass was given
 * @next_ms: when the pass wants to be repeated, 0: need not be
 * @fails: passes in a row in which something failed
 * @written_rev: of the newest change of keys by a pass: older snapshots would
 *	make it again
 */
struct hcv_target_store {
	struct hcv_target_store *next;		/* L */
	char uuid[HCV_ID_LEN];			/* never changes */
	bool running;				/* L */
	bool again;				/* L */
	int64_t due_ms;				/* L */
	uint64_t seq;				/* L */
	int64_t next_ms;			/* J */
	unsigned int fails;			/* J */
	int64_t written_rev;			/* J */
	struct hcv_target_client *client;	/* J */
	size_t nr_clients;
	struct hcv_target_note *note;		/* J */
	size_t nr_notes;
};

/**
 * struct hcv_target_pass - one pass over all volumes of a store
 * @st: the store's entry in @snap
 * @k: what the module says about the store
 * @ext: its extents, by volume and index
 * @grant: grants on it, @export: exports of it
 */
struct hcv_target_pass {
	struct hcv_job *job;
	struct hcv_agent *agent;
	struct hcv_klink *kl;
	struct hcv_target_store *ts;
	struct hcv_snap *snap;
	const struct hcv_snap_store *st;
	struct hcv_k_store k;
	struct hcv_k_extent *ext;
	size_t nr_ext;
	struct hcv_k_grant *grant;
	size_t nr_grants;
	struct hcv_k_export *export;
	size_t nr_exports;
	uint32_t features;	/* of the module */
	int64_t start_ms;
	bool failed;		/* something must be tried again */
	bool changed;		/* metadata were written */
};

/**
 * struct hcv_target_vol - one volume in a pass
 * @v: its keys, NULL: there are none
 * @tomb: its tombstone on this store, NULL: none
 * @gone: extents with tombstones of their own, @gone_rev: their revisions
 * The arrays are what @in points to.
 */
struct hcv_target_vol {
	const char *uuid;
	const struct hcv_snap_vol *v;
	const struct hcv_snap_tomb *tomb;
	struct hcv_sp_in in;
	struct hcv_sp_row *row;
	uint32_t *have;
	uint32_t *gone;
	int64_t *gone_rev;
	struct hcv_sp_grant *k;
	struct hcv_grant_info key;
	uint32_t inflight;	/* what REVOKE said */
	uint32_t lease_ms;
	char devpath[256];
	char want_devpath[64];
	char object[128];
};

/* target_pass.c */

/** hcv_target_run() - the job; job->arg is a struct hcv_target_pass */
void hcv_target_run(struct hcv_job *job);
/** hcv_target_later() - have the pass repeated in @ms */
void hcv_target_later(struct hcv_target_pass *p, int64_t ms);
/**
 * hcv_target_note() - operators are told once, @after_ms after it became true
 * Return: for how long it has been true, in milliseconds
 */
int64_t hcv_target_note(struct hcv_target_pass *p, const char *vol,
			const char *object, enum hcv_severity sev,
			int64_t after_ms, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
/** hcv_target_note_keep() - what was said before is still true */
void hcv_target_note_keep(struct hcv_target_pass *p, const char *vol);

/* target_sweep.c */

/** hcv_target_sweep() - the job: NVMe objects that nobody wants any more */
void hcv_target_sweep(struct hcv_job *job);

/* target_step.c */

/**
 * hcv_target_step() - take the step and bring @tv->in up to date
 * Return: true: ask for the next one; false: nothing more for now
 */
bool hcv_target_step(struct hcv_target_pass *p, struct hcv_target_vol *tv,
		     const struct hcv_sp_out *out);
/** hcv_target_drop_exports() - exports that nobody can want any more */
void hcv_target_drop_exports(struct hcv_target_pass *p);

#endif /* HCV_AGENT_TARGET_H */
