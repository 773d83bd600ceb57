/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The agent's core: identity, state cache, jobs, local API, events.
 *
 * Threads.  The loop thread runs callbacks that never block.  Whatever may
 * block runs as a job in libuv's pool (jobs.c).  Two threads of their own
 * never queue behind a job: one follows the metadata store and builds
 * snapshots (state.c), one keeps the node's lease (member.c).
 *
 * A field's letter in struct hcv_agent says who may touch it: I = set before
 * the loop runs, L = loop thread only, P = published once with release order
 * and never changed again, A = atomic, M = under agent->lock.
 */
#ifndef HCV_AGENT_AGENT_H
#define HCV_AGENT_AGENT_H

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>
#include <uv.h>

#include "../kernel/version.h"
#include "core/health_key.h"
#include "core/model.h"
#include "core/request.h"
#include "core/scrubplan.h"
#include "core/throttle_conf.h"
#include "klink.h"
#include "meta.h"

#define HCV_AGENT_VERSION	HCV_VERSION
#define HCV_NVME_PORT		4420
#define HCV_META_MS		3000	/* deadline of one metadata call */
#define HCV_LEASE_TTL_S		10
#define HCV_SNAP_MS		2000	/* a snapshot is at most this old */
#define HCV_POOL_THREADS	32
#define HCV_POOL_API		6	/* of these, for commands that may wait */
#define HCV_POOL_QUICK		4	/* and for those that only look */
#define HCV_QUICK_MS		10000	/* deadline of a command that only looks */

/* ------------------------------------------------------------ small things */

/** hcv_now_ms() - CLOCK_BOOTTIME in milliseconds; any thread */
int64_t hcv_now_ms(void);

enum hcv_severity { HCV_SEV_DEBUG, HCV_SEV_INFO, HCV_SEV_WARN, HCV_SEV_ERR };

/** hcv_log() - one line to stderr, which the service manager keeps */
void hcv_log(enum hcv_severity sev, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void hcv_log_debug_enable(bool on);

/** hcv_error_meta() - the same for a failed metadata call */
int hcv_error_meta(struct hcv_error *e, enum hcv_meta_result res,
		   const char *object);
/**
 * hcv_error_kernel() - the same for a failed netlink call
 * @err: negative errno; @k may be NULL (the module cannot be reached)
 */
int hcv_error_kernel(struct hcv_error *e, int err, struct hcv_klink *k,
		     const char *object);

/**
 * hcv_file_write() - replace a file durably: new file, fsync, rename, fsync
 * Return: 0 or -errno
 */
int hcv_file_write(const char *path, const void *data, size_t len);
/** hcv_file_remove() - durably; 0 also if there was none, or -errno */
int hcv_file_remove(const char *path);
/** hcv_file_read() - whole file, NUL terminated, at most 16 MiB; NULL: errno */
char *hcv_file_read(const char *path);

/** hcv_uuid_new() - a random UUID as text; 0 or -errno */
int hcv_uuid_new(char out[HCV_ID_LEN]);

/* ------------------------------------------------------------ crash points */

/**
 * HCV_CRASH_POINT() - a place at which a test may have the agent killed
 *
 * With HCV_CRASH=NAME:N in the environment, or after debug.crash, the agent
 * sends itself SIGKILL at the N-th pass.  Put one between any two steps with
 * outside effects.  All names are in `hcivold --list-crash-points`.  A point
 * inside a loop counts every pass.
 */
struct hcv_crash_point {
	const char *name;
	unsigned int passes;	/* A */
};

#define HCV_CRASH_POINT(_name)						\
do {									\
	static struct hcv_crash_point __hcv_cp				\
	__attribute__((section("hcv_crash"), used, aligned(8))) =	\
		{ .name = (_name) };					\
	hcv_crash_pass(&__hcv_cp);					\
} while (0)

/* bounds of the section, from the linker */
extern struct hcv_crash_point __start_hcv_crash[] __attribute__((weak));
extern struct hcv_crash_point __stop_hcv_crash[] __attribute__((weak));

void hcv_crash_pass(struct hcv_crash_point *p);
/** hcv_crash_arm() - "NAME:N"; -ENOENT: no such point, -EINVAL */
int hcv_crash_arm(const char *spec);
/**
 * hcv_crash_hold_set() - "NAME:MS[,NAME:MS...]": each pass of NAME waits MS
 *
 * Up to four, 60000 ms at most each; before any thread starts.  -ENOENT: no
 * such point, -EINVAL.
 */
int hcv_crash_hold_set(const char *spec);
/** hcv_crash_list() - print every name once, sorted */
void hcv_crash_list(void);

/* ---------------------------------------------------------------- identity */

/**
 * struct hcv_identity - who this node is (STATE/node.json); immutable
 * @meta_spec: what hcv_meta_open() gets
 */
#define HCV_ADDR_LEN		64
#define HCV_TRANSPORT_LEN	8
#define HCV_SPEC_LEN		1024

struct hcv_identity {
	char node[HCV_ID_LEN];
	char name[HCV_NAME_LEN];
	char cluster[HCV_ID_LEN];
	char cluster_name[HCV_NAME_LEN];
	char rack[HCV_NAME_LEN];
	char addr[HCV_ADDR_LEN];
	unsigned int port;
	char transport[HCV_TRANSPORT_LEN];
	char meta_spec[HCV_SPEC_LEN];
};

struct hcv_agent;

/** hcv_agent_id() - this node, or NULL before cluster init/join; any thread */
const struct hcv_identity *hcv_agent_id(struct hcv_agent *a);
/** hcv_agent_meta() - the metadata store, NULL as above; any thread */
struct hcv_meta *hcv_agent_meta(struct hcv_agent *a);

/* -------------------------------------------------------------- state cache */

/**
 * struct hcv_snap_recovery - "recovery" or "recovery/NODE"
 * @rev: 0: there is no such key
 * @bad: it cannot be decoded, @why
 */
struct hcv_snap_recovery {
	struct hcv_thr_set s;
	int64_t rev;
	bool bad;
	char why[HCV_ERR_SIZE];
};

struct hcv_snap_node {
	struct hcv_node_info i;		/* i.live is valid */
	struct hcv_snap_recovery recovery;	/* this node's own */
	int64_t load_rev;		/* of load/NODE; 0: it is not loaded */
	int64_t rev;			/* of node/NODE */
	char boot_id[64];		/* from live/NODE */
	char agent_version[32];
	bool caretaker;			/* the same: it can be one */
};

struct hcv_snap_store {
	struct hcv_store_info i;	/* i.live and what follows it as well */
	int64_t rev;			/* of store/STORE; 0: only storelive */
	int64_t live_rev;		/* of storelive/STORE; 0: none */
	struct hcv_health_key health;	/* ok, no note: there is none */
	int64_t health_rev;		/* of health/STORE; 0: none */
	struct hcv_drain_key drain;
	int64_t drain_rev;		/* of drain/STORE; 0: none */
};

struct hcv_snap_grant {
	char store[HCV_ID_LEN];
	struct hcv_grant_info g;
	char devpath[256];		/* "" for a local grant */
	int64_t rev;
};

/** struct hcv_snap_rowkey - chunk K of the rows: rows/VOL, or rows/VOL/K */
struct hcv_snap_rowkey {
	int64_t rev;
	size_t first;			/* its first row in rows.row */
	size_t nr;
};

/**
 * struct hcv_snap_vol - all keys about one volume
 *
 * A volume has an entry if any of vol/, rec/, rows/, grant/, job/ or care/ exists; a
 * revision of 0 says which ones do not.
 */
struct hcv_snap_vol {
	char uuid[HCV_ID_LEN];
	struct hcv_vol_info i;
	int64_t rev;
	struct hcv_record rec;
	int64_t rec_rev;
	struct hcv_rows rows;		/* of all chunks, in order */
	size_t nr_row_keys;		/* 0: rows/VOL does not exist */
	struct hcv_snap_rowkey *row_key;
	size_t nr_grants;
	struct hcv_snap_grant *grant;
	struct hcv_scrub_info *scrub;	/* last pass, NULL: none is known */
	int64_t scrub_rev;
	struct hcv_job_info job;
	int64_t job_rev;		/* 0: none, or it cannot be decoded */
	int64_t job_key_rev;		/* 0: none */
	struct hcv_care_info care;
	int64_t care_rev;		/* as of the job */
	int64_t care_key_rev;
	bool bad;			/* a key could not be decoded: hands off */
	char why[HCV_ERR_SIZE];
};

/**
 * struct hcv_snap_tomb - extents that a store is to free
 * @one: only extent @index, else all of the volume
 * @left: all of a volume that goes on without this store since @epoch; handles
 *	of a lower renewal than @renew are over (0: those of the epoch)
 */
struct hcv_snap_tomb {
	char store[HCV_ID_LEN];
	char vol[HCV_ID_LEN];
	int64_t rev;
	bool one;
	uint32_t index;
	bool left;
	uint64_t epoch;
	uint64_t renew;
};

/**
 * struct hcv_snap - everything as of one revision; immutable
 * @rev: that revision; a linearizable read found it, or one before it from which
 *	on the metadata store told of all changes
 * @seq: grows with each snapshot of this process
 * @read: number of that read, counted when it was sent
 * @taken_ms: hcv_now_ms() before that read was sent
 */
struct hcv_snap {
	unsigned int refs;		/* A */
	int64_t rev;
	uint64_t seq;
	uint64_t read;
	int64_t taken_ms;
	struct hcv_cluster_info cluster;
	int64_t cluster_rev;
	struct hcv_snap_recovery recovery;	/* the cluster's */
	int64_t slow_rev;		/* of slow; 0: no store was ever */
	char leader[HCV_ID_LEN];	/* node, "": none */
	int64_t leader_rev;
	size_t nr_nodes, nr_stores, nr_vols, nr_tombs;
	struct hcv_snap_node *node;
	struct hcv_snap_store *store;
	struct hcv_snap_vol *vol;
	struct hcv_snap_tomb *tomb;
};

/**
 * hcv_snap_get() - the newest snapshot with a reference, NULL: none yet
 *
 * Any thread.  hcv_snap_put() drops it; both accept being called often.
 */
struct hcv_snap *hcv_snap_get(struct hcv_agent *a);
struct hcv_snap *hcv_snap_ref(struct hcv_snap *s);
void hcv_snap_put(struct hcv_snap *s);

/**
 * hcv_snap_wait() - wait for a snapshot whose read began after now
 * @until_ms: hcv_now_ms() limit
 *
 * Pool threads only.  Return: a referenced snapshot, NULL at the limit or
 * when the agent ends.  With @after > 0 any snapshot with seq > @after will do.
 */
struct hcv_snap *hcv_snap_wait(struct hcv_agent *a, uint64_t after,
			       int64_t until_ms);
/**
 * hcv_state_reachable() - whether the last read of the metadata store went well
 * @why: HCV_ERR_SIZE bytes, gets the reason if not; may be NULL
 * @since_ms: gets hcv_now_ms() of the last change; may be NULL
 */
bool hcv_state_reachable(struct hcv_agent *a, char *why, int64_t *since_ms);
/**
 * hcv_state_kick() - something was written here: have a snapshot with it soon, told
 * of or read; any thread
 */
void hcv_state_kick(struct hcv_agent *a);

/**
 * hcv_state_read() - build a snapshot right now, in the calling thread
 *
 * For decisions that must not rest on what a watch said.  Pool threads.
 */
enum hcv_meta_result hcv_state_read(struct hcv_agent *a, struct hcv_snap **out,
				    unsigned int deadline_ms);

const struct hcv_snap_node *hcv_snap_node(const struct hcv_snap *s,
					  const char *uuid);
const struct hcv_snap_node *hcv_snap_node_by_name(const struct hcv_snap *s,
						  const char *name);
const struct hcv_snap_store *hcv_snap_store(const struct hcv_snap *s,
					    const char *uuid);
/** hcv_snap_store_find() - by UUID, or by name, or by NODENAME:NAME */
const struct hcv_snap_store *hcv_snap_store_find(const struct hcv_snap *s,
						 const char *ref);
const struct hcv_snap_vol *hcv_snap_vol(const struct hcv_snap *s,
					const char *uuid);
const struct hcv_snap_vol *hcv_snap_vol_by_name(const struct hcv_snap *s,
						const char *name);
const struct hcv_snap_grant *hcv_snap_grant(const struct hcv_snap_vol *v,
					    const char *store);
/** hcv_snap_rec_store() - the store's entry in a record, NULL: none */
const struct hcv_rec_store *hcv_snap_rec_store(const struct hcv_record *r,
					       const char *store);

/* --------------------------------------------------------------------- jobs */

/**
 * struct hcv_job - one piece of blocking work
 * @deadline_ms: hcv_now_ms() limit; the function sees to it itself, with
 *	hcv_job_left() as the time-out of its calls
 * @again: valid in done(): someone asked for this key meanwhile
 */
struct hcv_job {
	struct hcv_agent *agent;
	const char *key;
	int64_t deadline_ms;
	void *arg;
	bool again;
	struct hcv_error err;	/* for the function's own use */
};

typedef void (*hcv_job_fn)(struct hcv_job *job);

/**
 * hcv_job_start() - run @fn in the pool, then @done in the loop
 * @key: "volume/UUID", "store/UUID" ...; at most one job of a key at a time
 * @deadline_ms: from now
 * @done: called in the loop in every case in which true was returned, also
 *	when the agent ends; frees @arg.  May start the next job of the key.
 *
 * Loop thread only.  Return: false if a job of this key is running; it then
 * gets @again, and @arg stays with the caller.
 */
bool hcv_job_start(struct hcv_agent *a, const char *key,
		   unsigned int deadline_ms, hcv_job_fn fn, hcv_job_fn done,
		   void *arg);
/** hcv_job_running() - loop thread only */
bool hcv_job_running(struct hcv_agent *a, const char *key);
/** hcv_job_left() - milliseconds up to the deadline, at least 1 */
unsigned int hcv_job_left(const struct hcv_job *job);
/** hcv_job_expired() - deadline over, or the agent ends */
bool hcv_job_expired(const struct hcv_job *job);
/**
 * hcv_job_klink() - the job's own link to the module, opened at first use
 * Return: NULL when the module is not loaded
 */
struct hcv_klink *hcv_job_klink(struct hcv_job *job);

/**
 * hcv_agent_defer() - have @fn(@agent, @arg) called in the loop; any thread
 */
void hcv_agent_defer(struct hcv_agent *a,
		     void (*fn)(struct hcv_agent *a, void *arg), void *arg);

/* -------------------------------------------------------------- reconcilers */

/**
 * struct hcv_reconciler - called in the loop thread, must not block
 * @snapshot: a new snapshot; take a reference to keep it
 * @kernel_event: an event of the module; NULL: some were lost, or the module
 *	was loaded anew, look at everything
 * @tick: once a second, also while the metadata store is unreachable
 */
struct hcv_reconciler {
	const char *name;
	void (*snapshot)(struct hcv_agent *a, struct hcv_snap *snap);
	void (*kernel_event)(struct hcv_agent *a, const struct hcv_k_event *ev);
	void (*tick)(struct hcv_agent *a);
};

/** hcv_reconciler_register() - before the loop runs */
void hcv_reconciler_register(struct hcv_agent *a,
			     const struct hcv_reconciler *r);

/* ---------------------------------------------------------------------- API */

/**
 * struct hcv_api_req - one request, seen by its handler
 * @job: deadline and link to the module
 * @args: checked against the command's table
 * @result: the handler puts its answer here (it starts as an empty object)
 * @err: filled in when the handler fails
 */
struct hcv_api_req {
	struct hcv_agent *agent;
	struct hcv_job *job;
	struct json_object *args;
	struct json_object *result;
	struct hcv_error err;
};

#define HCV_API_NO_CLUSTER	(1U << 0)	/* also before init/join */
#define HCV_API_SNAPSHOT	(1U << 1)	/* wants a snapshot to exist */
#define HCV_API_DEBUG		(1U << 2)	/* only with --debug */

/**
 * struct hcv_api_cmd - a row of the command table
 * @handler: runs in the pool, 0 or -1 with req->err; may block up to the
 *	deadline; not cut short when the client goes away
 * @deadline_ms: default; the request's "timeout_ms" replaces it; up to
 *	HCV_QUICK_MS the command runs beside those that wait for something
 */
struct hcv_api_cmd {
	const char *name;
	int (*handler)(struct hcv_api_req *req);
	unsigned int deadline_ms;
	unsigned int flags;
	const struct hcv_api_arg *args;
};

/** hcv_api_register() - before the loop runs; @cmd must stay */
void hcv_api_register(struct hcv_agent *a, const struct hcv_api_cmd *cmd,
		      size_t nr);
/** hcv_api_progress() - send {"id":N,"event":@ev}; takes @ev; any thread */
void hcv_api_progress(struct hcv_api_req *req, struct json_object *ev);
/** arguments that passed the table; the default when absent */
const char *hcv_api_str(const struct hcv_api_req *req, const char *name,
			const char *def);
uint64_t hcv_api_uint(const struct hcv_api_req *req, const char *name,
		      uint64_t def);
bool hcv_api_bool(const struct hcv_api_req *req, const char *name, bool def);
bool hcv_api_has(const struct hcv_api_req *req, const char *name);

/* ------------------------------------------------------------------- events */

/**
 * hcv_event_emit() - tell operators something; any thread
 * @object: "volume db1"
 * @data: more for programs, or NULL; ownership passes
 */
void hcv_event_emit(struct hcv_agent *a, enum hcv_severity sev,
		    const char *object, struct json_object *data,
		    const char *text_fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* --------------------------------------------------------------- membership */

/** hcv_member_lease() - the node's lease, 0: none at present; any thread */
int64_t hcv_member_lease(struct hcv_agent *a);
/** hcv_member_module_ok() - the module is loaded and knows this node */
bool hcv_member_module_ok(struct hcv_agent *a);

/* ----------------------------------------------------------------- devlinks */

/**
 * hcv_devlink_add() - /dev/hcivol/by-name/NAME and by-id/UUID -> /dev/hcivolN
 *
 * Each link is replaced atomically; links of this UUID under another name are
 * removed.  Pool threads.  Return: 0 or -errno
 */
int hcv_devlink_add(const char *name, const char *uuid, unsigned int minor);
/** hcv_devlink_del() - remove the links that still mean this volume */
int hcv_devlink_del(const char *uuid, unsigned int minor);

/* -------------------------------------------------------------------- rooms */

/*
 * Each registers its reconciler and its commands; called by main() in this
 * order before the loop runs.  0 or -errno (a sentence was logged).
 */
int hcv_member_init(struct hcv_agent *a);
int hcv_target_init(struct hcv_agent *a);	/* target_*.c */
int hcv_owner_init(struct hcv_agent *a);	/* owner_*.c */
int hcv_node_load_init(struct hcv_agent *a);
int hcv_health_init(struct hcv_agent *a);	/* health_watch.c */
int hcv_cmd_misc_init(struct hcv_agent *a);	/* version, debug.* */
int hcv_cmd_cluster_init(struct hcv_agent *a);
int hcv_cmd_node_init(struct hcv_agent *a);
int hcv_cmd_recovery_init(struct hcv_agent *a);
int hcv_cmd_store_init(struct hcv_agent *a);
int hcv_cmd_volume_init(struct hcv_agent *a);
int hcv_cmd_scrub_init(struct hcv_agent *a);

/* ---------------------------------------------------------------- the agent */

struct hcv_state;
struct hcv_jobs;
struct hcv_api;
struct hcv_events;
struct hcv_member;

#define HCV_MAX_RECONCILERS	8

struct hcv_agent {
	uv_loop_t loop;			/* L */
	char state_dir[256];		/* I */
	char socket[108];		/* I */
	bool debug;			/* I */
	bool stopping;			/* A */
	const struct hcv_identity *id;	/* P */
	struct hcv_meta *meta;		/* P */
	pthread_mutex_t lock;
	struct hcv_state *state;	/* I */
	struct hcv_jobs *jobs;		/* I */
	struct hcv_api *api;		/* I */
	struct hcv_events *events;	/* I */
	struct hcv_member *member;	/* I */
	const struct hcv_reconciler *rec[HCV_MAX_RECONCILERS];	/* I */
	unsigned int nr_rec;		/* I */
};

/** hcv_agent_stopping() - any thread */
bool hcv_agent_stopping(struct hcv_agent *a);

#endif /* HCV_AGENT_AGENT_H */
