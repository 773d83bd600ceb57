/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Settings of recovery: of the cluster, of single nodes, and what they make of
 * the hardware's defaults.  Pure but for malloc.
 */
#ifndef HCV_AGENT_CORE_THROTTLE_CONF_H
#define HCV_AGENT_CORE_THROTTLE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "throttle.h"
#include "throttle_hw.h"

/* What may be set; rates are KiB/s. */
enum hcv_thr_key {
	HCV_TK_MODE,		/* enum hcv_thr_mode */
	HCV_TK_LIMIT,		/* STATIC */
	HCV_TK_IOPS,		/* AUTO, both thresholds of the foreground */
	HCV_TK_BANDWIDTH,
	HCV_TK_REC_MIN,
	HCV_TK_REC_MAX,
	HCV_TK_MIG_MIN,
	HCV_TK_MIG_MAX,
	HCV_TK_FACTOR,		/* LATENCY, percent */
	HCV_TK_FLOOR,
	HCV_TK_NR
};

/**
 * struct hcv_thr_set - one key of the metadata store: "recovery", or that of a
 * node; all zero: nothing is set
 * @has: bit i: @val[i] is set
 * @val: by enum hcv_thr_key
 * @paused: nothing is copied here
 */
struct hcv_thr_set {
	uint32_t has;
	uint32_t val[HCV_TK_NR];
	bool paused;
};

/* Where a value comes from, the weakest first. */
enum hcv_thr_from { HCV_TF_HARDWARE, HCV_TF_CLUSTER, HCV_TF_NODE };

/**
 * struct hcv_thr_eff - what is in force on a node, and where it comes from
 * @paused_by: who paused it, if @paused; the cluster's word is the first one
 */
struct hcv_thr_eff {
	uint32_t val[HCV_TK_NR];
	enum hcv_thr_from from[HCV_TK_NR];
	bool paused;
	enum hcv_thr_from paused_by;
};

/** hcv_thr_key_name() - as it is set, "recovery_max" */
const char *hcv_thr_key_name(enum hcv_thr_key key);
/** hcv_thr_from_name() - "hardware", "cluster", "node" */
const char *hcv_thr_from_name(enum hcv_thr_from from);

/**
 * hcv_thr_set_value() - set one by name and text
 * @value: "default": take the setting back
 * @err: HCV_ERR_SIZE bytes
 *
 * Return: 0, or -EINVAL with a sentence and @s as it was
 */
int hcv_thr_set_value(struct hcv_thr_set *s, const char *key,
		      const char *value, char *err);
/** hcv_thr_set_check() - do they go together?  0, or -EINVAL with a sentence */
int hcv_thr_set_check(const struct hcv_thr_set *s, char *err);
/**
 * hcv_thr_value_text() - for people: "312.5 MiB/s", "1500 IOPS", "2.00", "auto"
 * @out: 32 bytes
 */
void hcv_thr_value_text(enum hcv_thr_key key, uint32_t val, char *out);

/** hcv_thr_set_encode() - JSON, malloc'd; NULL without memory */
char *hcv_thr_set_encode(const struct hcv_thr_set *s);
int hcv_thr_set_decode(const char *json, struct hcv_thr_set *s, char *err);

/**
 * hcv_thr_merge() - a node's settings over the cluster's over the hardware's
 * @cluster, @node: NULL: there is none
 *
 * Where the lowest limit and the highest one contradict each other the weaker
 * one gives way.
 */
void hcv_thr_merge(const struct hcv_hw_row *row,
		   const struct hcv_thr_set *cluster,
		   const struct hcv_thr_set *node, struct hcv_thr_eff *out);
/** hcv_thr_conf() - for the controller of recovery, or of migrations */
void hcv_thr_conf(const struct hcv_thr_eff *e, bool migration,
		  struct hcv_thr_conf *out);

#endif /* HCV_AGENT_CORE_THROTTLE_CONF_H */
