/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The owner side: volumes that this node has, or is to have.
 *
 * core/volplan.c decides, owner_step.c acts, owner_view.c reads and changes
 * the keys of one volume, owner_job.c takes the steps of recovery jobs,
 * owner_care.c those of a caretaker,
 * owner_connect.c makes connections in the background,
 * owner_urgent.c confirms failed replicas on a thread of its own, owner_gap.c
 * tells what I/O waited for, owner_reconcile.c has it all done at the right
 * time.
 *
 * Two threads may act on one volume at a time: its job and the urgent thread.
 * Both change the record by transactions that compare its revision, and the
 * module checks epoch, v and incarnation, so the later one just fails and
 * looks again.
 */
#ifndef HCV_AGENT_OWNER_H
#define HCV_AGENT_OWNER_H

#include "agent.h"
#include "core/volplan.h"

#define HCV_OWNER_JOB_MS	60000
#define HCV_OWNER_STEPS		128	/* of one job */
#define HCV_OWNER_CONNECT_MS	10000

/* -------------------------------------------------------------- owner_view.c */

/**
 * struct hcv_owner_view - the keys of one volume, to be changed
 * @snap: nodes and stores; a reference
 * @back: what @v points into; a reference
 * @v: the volume; its record is the view's own, and may be newer than @back
 * @known: @v is valid
 * @settled: @v was read by this view, linearizably, and not changed since
 * @path: devices of remote exports, as connected by this view
 * @st: hcv_owner_view_stores()
 */
struct hcv_owner_view {
	struct hcv_agent *a;
	struct hcv_snap *snap;
	struct hcv_snap *back;
	struct hcv_snap_vol v;
	bool known;
	bool settled;
	size_t nr_paths;
	struct hcv_owner_path {
		char store[HCV_ID_LEN];
		char dev[64];
	} path[HCV_REC_STORES];
	struct hcv_vp_store st[HCV_REC_STORES];
	size_t nr_st;
};

/** hcv_owner_view_init() - from a snapshot (reference taken), NULL: unknown */
void hcv_owner_view_init(struct hcv_owner_view *w, struct hcv_agent *a,
			 struct hcv_snap *snap, const char *uuid);
void hcv_owner_view_free(struct hcv_owner_view *w);
/**
 * hcv_owner_view_read() - read the volume's keys anew, linearizably
 *
 * Settles unknown outcomes.  On failure the view is not known any more; with
 * HCV_META_CONFLICT the keys kept changing while they were read.
 */
enum hcv_meta_result hcv_owner_view_read(struct hcv_owner_view *w,
					 unsigned int ms);
/** hcv_owner_view_stores() - fill @w->st for the planner; @node: this one */
void hcv_owner_view_stores(struct hcv_owner_view *w, const char *node);
/** hcv_owner_view_name() - of the volume, for people */
const char *hcv_owner_view_name(const struct hcv_owner_view *w);
/** hcv_owner_view_path() - device of a store's export, NULL: not connected */
const char *hcv_owner_view_path(const struct hcv_owner_view *w,
				const char *store);
void hcv_owner_view_set_path(struct hcv_owner_view *w, const char *store,
			     const char *dev);
/**
 * hcv_owner_view_commit() - write a changed record, if nobody else did
 * @rec: to be written; becomes the view's on success
 * @with_rows: the decision rests on the rows: compare them as well
 *
 * The outcome UNKNOWN leaves the view unknown: read it before anything else.
 */
enum hcv_meta_result hcv_owner_view_commit(struct hcv_owner_view *w,
					   const struct hcv_record *rec,
					   bool with_rows, unsigned int ms);
/**
 * hcv_owner_view_add_row() - append a row, with the record of the same moment
 * @rec: changed record, or NULL: only compared
 *
 * The view has to be read anew afterwards.
 */
enum hcv_meta_result hcv_owner_view_add_row(struct hcv_owner_view *w,
					    const struct hcv_row *row,
					    const struct hcv_record *rec,
					    unsigned int ms);

/**
 * hcv_owner_view_drop_rows() - rows go, tombstones for their extents come
 * @index: of the rows; those that are not in the chunk of the first one stay
 *
 * Compares the record.  The view has to be read anew afterwards.
 */
enum hcv_meta_result hcv_owner_view_drop_rows(struct hcv_owner_view *w,
					      const uint32_t *index, size_t nr,
					      unsigned int ms);

/* -------------------------------------------------------------- owner_step.c */

enum hcv_owner_result {
	HCV_OWNER_DONE,		/* look again */
	HCV_OWNER_STARTED,	/* look again; how it ends is not known yet */
	HCV_OWNER_REREAD,	/* the view is out of date or unknown */
	HCV_OWNER_FAILED,	/* @err says why; later again */
};

/**
 * struct hcv_owner_step - what a step works with
 * @k: the module's view that the decision rests on, NULL: not there
 * @readonly, @queue: how the volume is to be attached
 * @until_ms: limit
 * @meta_ms: limit of one transaction, 0: HCV_META_MS
 * @err: out: why it failed; @kernel_err: errno of the netlink call, negative
 * @stopped: out: VOL_STOP ended in order
 * @linked_count: out: handles that the link of out->store was given
 * @halt_ms: out: when the volume began to be halted
 * @conflict: for owner_job.c: a compare of its transaction failed
 */
struct hcv_owner_step {
	struct hcv_agent *a;
	struct hcv_owner_view *w;
	struct hcv_klink *kl;
	const struct hcv_k_vol *k;
	const struct hcv_vp_out *out;
	bool readonly;
	uint32_t queue;
	int64_t until_ms;
	unsigned int meta_ms;
	char err[HCV_ERR_SIZE];
	int kernel_err;
	bool stopped;
	uint32_t linked_count;
	int64_t halt_ms;
	bool conflict;
};

enum hcv_owner_result hcv_owner_step_run(struct hcv_owner_step *s);
/* what is done to a volume that is handed over: owner_hand.c */
enum hcv_owner_result hcv_owner_hand_prepare(struct hcv_owner_step *s);
enum hcv_owner_result hcv_owner_hand_ready(struct hcv_owner_step *s);
enum hcv_owner_result hcv_owner_hand_abort(struct hcv_owner_step *s);
enum hcv_owner_result hcv_owner_hand_halt(struct hcv_owner_step *s);
enum hcv_owner_result hcv_owner_hand_resume(struct hcv_owner_step *s);
enum hcv_owner_result hcv_owner_hand_over(struct hcv_owner_step *s);
enum hcv_owner_result hcv_owner_hand_let_go(struct hcv_owner_step *s);
/* volumes that are attached nowhere: owner_care.c */
enum hcv_owner_result hcv_owner_care_claim(struct hcv_owner_step *s);
enum hcv_owner_result hcv_owner_care_leave(struct hcv_owner_step *s);
enum hcv_owner_result hcv_owner_publish(struct hcv_owner_step *s);
/** hcv_owner_step_kernel() - what an errno of the module makes of a step */
enum hcv_owner_result hcv_owner_step_kernel(struct hcv_owner_step *s, int ret,
					    const char *what);
/** hcv_owner_step_record() - commit @rec, the view's record changed */
enum hcv_owner_result hcv_owner_step_record(struct hcv_owner_step *s,
					    const struct hcv_record *rec);
/** hcv_owner_step_refused() - the record does not allow the transition */
enum hcv_owner_result hcv_owner_step_refused(struct hcv_owner_step *s,
					     const char *err);
/** hcv_owner_step_create() - what VOL_CREATE needs, for the record's epoch */
struct hcv_k_vol_create hcv_owner_step_create(const struct hcv_owner_step *s);
/* the steps that the urgent thread takes as well */
enum hcv_owner_result hcv_owner_remove(struct hcv_owner_step *s);
enum hcv_owner_result hcv_owner_join(struct hcv_owner_step *s);
enum hcv_owner_result hcv_owner_confirm(struct hcv_owner_step *s);

/* ----------------------------------------------------------- owner_connect.c */

struct hcv_nvme_conn;

/**
 * struct hcv_owner_conn - a connection to be made, or dropped
 * @vol: on whose behalf
 * @drop: delete it, unless a volume uses it
 * @failed: its target is believed dead
 */
struct hcv_owner_conn {
	char vol[HCV_ID_LEN];
	char store[HCV_ID_LEN];
	char client[HCV_ID_LEN];
	char transport[8];
	char addr[64];
	unsigned int port;
	bool slow;
	bool drop;
	bool failed;
};

/**
 * hcv_owner_conn_start() - in the background; volumes are looked at afterwards
 * Return: 0; -EBUSY: too many are under way, later; -ENOMEM
 */
int hcv_owner_conn_start(struct hcv_agent *a, const struct hcv_owner_conn *to);
/** hcv_owner_conn_busy() - whether one to or from this store is under way */
bool hcv_owner_conn_busy(const char *store);
/** hcv_owner_conn_result() - of one that ended just now; true once */
bool hcv_owner_conn_result(const char *store, int *ret, char *err);
/** hcv_owner_conn_nvme() - as nvme_host.h wants it; points into @c */
struct hcv_nvme_conn hcv_owner_conn_nvme(const struct hcv_owner_conn *c);
void hcv_owner_conns_exit(void);

/* ------------------------------------------------------------- owner_place.c */

struct hcv_place_store;
struct hcv_place_row;

/** hcv_owner_row() - the next row of @rows on the stores that were chosen */
void hcv_owner_row(const struct hcv_rows *rows, unsigned int column,
		   const struct hcv_place_store *store,
		   const struct hcv_place_row *choice, struct hcv_row *row);
/** hcv_owner_place() - one more row, or VOL_NOSPACE if nothing is left */
enum hcv_owner_result hcv_owner_place(struct hcv_owner_step *s);

/* --------------------------------------------------------------- owner_job.c */

/** hcv_owner_job() - a step of the volume's recovery job */
enum hcv_owner_result hcv_owner_job(struct hcv_owner_step *s);
/**
 * hcv_owner_job_rows() - tell the module of all rows that it has as they are
 *
 * Before a link fills extents: a job may have added or removed stores.
 */
enum hcv_owner_result hcv_owner_job_rows(struct hcv_owner_step *s);

/* ------------------------------------------------------------ owner_urgent.c */

struct hcv_owner_urgent;
struct hcv_owner_urgent *hcv_owner_urgent_start(struct hcv_agent *a);
void hcv_owner_urgent_stop(struct hcv_owner_urgent *u);
/** hcv_owner_urgent_kick() - look at all volumes of the module now */
void hcv_owner_urgent_kick(struct hcv_owner_urgent *u);

/* --------------------------------------------------------------- owner_gap.c */

/** hcv_owner_gap_event() - the module told that a link failed */
void hcv_owner_gap_event(const char *vol, const char *store, int64_t event_ms);
/** hcv_owner_gap_seen() - this is what the module says now */
void hcv_owner_gap_seen(const struct hcv_k_vol *k);
/** hcv_owner_gap_removed() - the record was to be changed, was it @done? */
void hcv_owner_gap_removed(const char *vol, const char *store, bool done);
/** hcv_owner_gap_left() - the module was told; writes the line to the log */
void hcv_owner_gap_left(const char *name, const char *vol, const char *store,
			const char *store_name);

/* --------------------------------------------------------- owner_reconcile.c */

/**
 * struct hcv_owner_report - how it stands with a volume on this node
 * @pass: grows with each look at the volume
 * @waiting: it waits for @reason, since @since_ms
 * @in_module, @state, @prepared, @diskless, @epoch, @minor: as the module says
 * @wished: a wish (hcv_owner_wish()) is pending
 * @failed: the step that failed last and why; NONE: none since the last wish
 * @halt_ms: when it was last halted for a hand-over
 */
struct hcv_owner_report {
	uint64_t pass;
	bool waiting;
	int64_t since_ms;
	char reason[HCV_VP_REASON];
	bool in_module;
	uint32_t state;
	bool prepared;
	bool diskless;
	uint64_t epoch;
	uint32_t minor;
	int64_t halt_ms;
	bool wished;
	enum hcv_vp_act failed;
	int failed_err;
	char why[HCV_ERR_SIZE];
};

/** hcv_owner_kick() - look at the volume now; any thread */
void hcv_owner_kick(struct hcv_agent *a, const char *uuid);
/** hcv_owner_get_report() - false: nothing is known here; any thread */
bool hcv_owner_get_report(struct hcv_agent *a, const char *uuid,
			  struct hcv_owner_report *out);
/** hcv_owner_wait() - until some volume was looked at, or the limit */
void hcv_owner_wait(struct hcv_agent *a, int64_t until_ms);
/** hcv_owner_wish() - detach, by force or not; false, false: take it back */
void hcv_owner_wish(struct hcv_agent *a, const char *uuid, bool detach,
		    bool force);
/**
 * hcv_owner_busy() - at most one command attaches a volume at a time
 * Return: whether the caller got it (or @begin is false)
 */
bool hcv_owner_busy(struct hcv_agent *a, const char *uuid, bool begin);
/**
 * hcv_owner_options() - how the next epoch is to be attached; durable
 * Return: 0 or -errno
 */
int hcv_owner_options(struct hcv_agent *a, const char *uuid, uint64_t epoch,
		      bool readonly, uint32_t queue);
/**
 * hcv_owner_stop_begin() - note durably that an orderly stop begins
 * Return: 0; -ECANCELED: one by force was begun; another -errno: no note
 */
int hcv_owner_stop_begin(struct hcv_agent *a, const char *uuid, uint64_t epoch,
			 uint64_t boot_id);
/** hcv_owner_stop_forced() - to be called before any stop by force */
void hcv_owner_stop_forced(struct hcv_agent *a, const char *uuid,
			   uint64_t epoch);
/**
 * hcv_owner_stop_proved() - whether a volume that the module with this boot ID
 * does not have was stopped in order in this epoch
 */
bool hcv_owner_stop_proved(struct hcv_agent *a, const char *uuid,
			   uint64_t epoch, uint64_t boot_id);
/** hcv_owner_wrote() - a write or a settled read of the volume's keys */
void hcv_owner_wrote(struct hcv_agent *a, const char *uuid, int64_t rev,
		     bool unknown);

/** hcv_owner_current() - whether a read as of @rev shows all own writes */
bool hcv_owner_current(struct hcv_agent *a, const char *uuid, int64_t rev);
/** hcv_owner_exit() - end the urgent thread; after the loop */
void hcv_owner_exit(struct hcv_agent *a);

#endif /* HCV_AGENT_OWNER_H */
