/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The values of docs/agent.md in memory, and their JSON (json-c).  Pure: no
 * I/O. Decoders refuse what does not fit, naming member and reason in @err
 * (static size HCV_ERR_SIZE), and never leave a half-filled result.
 */
#ifndef HCV_AGENT_MODEL_H
#define HCV_AGENT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HCV_SCHEMA		1
#define HCV_ID_LEN		37	/* UUID text and NUL */
#define HCV_NAME_LEN		64
#define HCV_ERR_SIZE		256
#define HCV_REC_STORES		32
#define HCV_ROW_STORES		4
#define HCV_ROWS_PER_KEY	1000

struct hcv_cluster_info {
	char uuid[HCV_ID_LEN];
	char name[HCV_NAME_LEN];
	int64_t created;
	unsigned int scrub_days;	/* between passes; 0: only on demand */
	unsigned int scrub_kibps;	/* of a scheduled pass, 0: no limit */
};

struct hcv_node_info {
	char uuid[HCV_ID_LEN];
	char name[HCV_NAME_LEN];
	char rack[HCV_NAME_LEN];
	char addr[64];
	unsigned int port;
	char transport[8];	/* tcp, rdma */
	bool draining;
	bool live;		/* not in JSON: a live key exists */
};

enum hcv_store_state { HCV_ST_READY, HCV_ST_DRAINING, HCV_ST_REMOVED };

struct hcv_store_info {
	char uuid[HCV_ID_LEN];
	char node[HCV_ID_LEN];
	char name[HCV_NAME_LEN];
	char path[256];
	uint64_t dev_bytes;
	uint32_t nr_extents;
	char class[8];		/* ssd, hdd */
	enum hcv_store_state state;
	/* from storelive; live false: no such key */
	bool live;
	bool failed;
	uint64_t incarnation;
	uint32_t used_extents;
	char nqn_addr[64];
	unsigned int port;
	char transport[8];
};

enum hcv_domain { HCV_DOM_DISK, HCV_DOM_NODE, HCV_DOM_RACK };

struct hcv_vol_info {
	char uuid[HCV_ID_LEN];
	char name[HCV_NAME_LEN];
	uint64_t size;
	unsigned int replicas;	/* 1..3 */
	unsigned int stripe;	/* 1, 2, 4 */
	unsigned int queue;	/* enum hcv_queue of uapi */
	unsigned int policy;	/* enum hcv_policy of uapi */
	unsigned int policy_ms;
	unsigned int sync_kibps;	/* limit of resync, 0: none */
	bool readonly;
	bool deleting;
	bool slow_drop;		/* slow replicas leave the in-sync set */
	enum hcv_domain domain;
	int64_t created;
};

enum hcv_rec_phase { HCV_PH_NONE, HCV_PH_TAKING, HCV_PH_SERVING };
enum hcv_rec_sstate {
	HCV_RS_INSYNC,
	HCV_RS_STALE,
	HCV_RS_SYNCING,
	HCV_RS_TEMPORARY,
};

struct hcv_rec_store {
	char store[HCV_ID_LEN];
	enum hcv_rec_sstate state;
	uint64_t v;
	uint64_t renew;		/* renewal that its grant must have, 0: any */
	bool passed;		/* stale, but was in-sync before this owner served */
	/* of a temporary one (record_temp.h), "" and false of others */
	char base[HCV_ID_LEN];	/* the store that it is for */
	bool covers;		/* the mark: covers(base, v) */
	bool pair;		/* base and it are the volume */
	bool named;		/* rows may name it */
};

/* What was known of the copies when the owner that serves took the volume. */
enum hcv_rec_before {
	HCV_RB_UNKNOWN,		/* nobody serves, or an agent that did not say */
	HCV_RB_CLEAN,		/* all in-sync ones were equal */
	HCV_RB_LOG,		/* their logs name what may differ */
	HCV_RB_NOLOG,		/* nothing */
};

/* A wish to hand the volume over to another node. */
struct hcv_rec_hand {
	char to[HCV_ID_LEN];	/* "" : none */
	uint64_t v;		/* of the record that it came with: tells wishes apart */
	bool ready;		/* that node has all that can be had in advance */
	bool go;		/* switch as soon as it is ready */
	uint32_t limit_ms;	/* that node gives up after it */
};

/* The owner only takes care of the volume, which is attached nowhere. */
struct hcv_rec_care {
	bool on;
	bool leave;		/* it is to give the volume up */
};

struct hcv_record {
	char owner[HCV_ID_LEN];	/* "" : none */
	uint64_t epoch;
	enum hcv_rec_phase phase;
	uint64_t v;
	uint64_t lineage;
	bool clean;
	bool was_clean;		/* while taking: clean before the claim */
	bool log;		/* its last owner that served kept activity logs */
	enum hcv_rec_before before;
	struct hcv_rec_hand hand;
	struct hcv_rec_care care;
	size_t nr;
	struct hcv_rec_store st[HCV_REC_STORES];
};

struct hcv_row {
	uint32_t index;
	uint8_t column;
	uint8_t nr;
	uint8_t full;
	char store[HCV_ROW_STORES][HCV_ID_LEN];
};

struct hcv_rows {
	uint32_t next;		/* next free index, never reused */
	size_t nr;
	struct hcv_row *row;
};

struct hcv_grant_range {
	uint64_t first;
	uint32_t base;
	uint32_t count;
};

#define HCV_GRANT_RANGES 16

struct hcv_grant_info {
	uint64_t epoch;
	char client[HCV_ID_LEN];
	uint64_t incarnation;
	uint32_t ready;		/* rows with an index below are formatted */
	uint64_t renew;		/* as the record wanted it */
	size_t nr;
	struct hcv_grant_range range[HCV_GRANT_RANGES];
};

/**
 * struct hcv_job_info - a recovery job, see core/jobplan.h
 * @kind: enum hcv_rp_kind
 * @to: "": @from is only to go
 * @cancel: called off
 * @failed: its owner could not fill @to
 * @why: what it is for, or what went wrong
 * @created: seconds since 1970
 */
struct hcv_job_info {
	unsigned int kind;
	char from[HCV_ID_LEN];
	char to[HCV_ID_LEN];
	bool cancel;
	bool failed;
	char why[200];
	int64_t created;
};

/**
 * struct hcv_care_info - who is to take care of a volume that is attached nowhere
 * @why: what is to be done
 * @since: seconds since 1970
 */
struct hcv_care_info {
	char node[HCV_ID_LEN];
	char why[200];
	int64_t since;
};

/* encoders return a malloc'd string, NULL out of memory */
char *hcv_model_cluster_encode(const struct hcv_cluster_info *c);
int hcv_model_cluster_decode(const char *json, struct hcv_cluster_info *c,
			     char *err);
char *hcv_model_node_encode(const struct hcv_node_info *n);
int hcv_model_node_decode(const char *json, struct hcv_node_info *n, char *err);
char *hcv_model_store_encode(const struct hcv_store_info *s);
int hcv_model_store_decode(const char *json, struct hcv_store_info *s,
			   char *err);
char *hcv_model_storelive_encode(const struct hcv_store_info *s);
int hcv_model_storelive_decode(const char *json, struct hcv_store_info *s,
			       char *err);
char *hcv_model_vol_encode(const struct hcv_vol_info *v);
int hcv_model_vol_decode(const char *json, struct hcv_vol_info *v, char *err);
char *hcv_model_record_encode(const struct hcv_record *r);
int hcv_model_record_decode(const char *json, struct hcv_record *r, char *err);
/** hcv_model_rows_encode() - rows [first, first + nr) of one key */
char *hcv_model_rows_encode(const struct hcv_rows *rows, size_t first,
			    size_t nr);
/** hcv_model_rows_decode() - appends to @rows; hcv_model_rows_free() */
int hcv_model_rows_decode(const char *json, struct hcv_rows *rows, char *err);
void hcv_model_rows_free(struct hcv_rows *rows);
char *hcv_model_grant_encode(const struct hcv_grant_info *g);
int hcv_model_grant_decode(const char *json, struct hcv_grant_info *g,
			   char *err);
char *hcv_model_job_encode(const struct hcv_job_info *job);
int hcv_model_job_decode(const char *json, struct hcv_job_info *job, char *err);
char *hcv_model_care_encode(const struct hcv_care_info *care);
int hcv_model_care_decode(const char *json, struct hcv_care_info *care,
			  char *err);
/** hcv_model_uuid_ok() / _name_ok() - text form checks */
bool hcv_model_uuid_ok(const char *s);
bool hcv_model_name_ok(const char *s);

#endif /* HCV_AGENT_MODEL_H */
