/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a device says about itself: the output of smartctl --json.  Pure.
 *
 * The fields are those of smartmontools' JSON format 1.x.  What is absent is not
 * known; what is there and of another type or range makes the whole text refused.
 */
#ifndef HCV_AGENT_CORE_SMART_H
#define HCV_AGENT_CORE_SMART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"

#define HCV_SMART_TEXT_MAX	(256 * 1024)	/* bytes of JSON */

/* Counts at which a device is suspect.  One bad sector is no dying disk. */
#define HCV_SMART_REALLOCATED	100
#define HCV_SMART_PENDING	10
#define HCV_SMART_UNCORRECTED	10
#define HCV_SMART_WORN		100	/* percent of the life used */
#define HCV_SMART_WEARING	90	/* operators are told */

/* NVMe's critical warnings, bits of SMART log page 02h. */
#define HCV_SMART_NVME_SPARE		(1U << 0)
#define HCV_SMART_NVME_TEMPERATURE	(1U << 1)
#define HCV_SMART_NVME_DEGRADED		(1U << 2)
#define HCV_SMART_NVME_READONLY		(1U << 3)
#define HCV_SMART_NVME_BACKUP		(1U << 4)

/**
 * struct hcv_smart - what smartctl found
 * @available: the device has SMART and it could be read; else only @message
 * @has_passed: @passed is what the device thinks of itself
 * @has_nvme: @warning is there
 * @warning: HCV_SMART_NVME_*
 * @has_used: @used is there, percent of the life, may be above 100
 * @has_temperature: @temperature is there, in degrees Celsius
 * @reallocated: sectors that were replaced
 * @pending: sectors that could not be read and were not replaced yet
 * @uncorrected: errors that the device could not correct
 * @failing: name of an attribute beyond its limit now, of those that tell of a
 *	failure to come; or ""
 * @message: of smartctl; printable
 */
struct hcv_smart {
	bool available;
	bool has_passed;
	bool passed;
	bool has_nvme;
	uint32_t warning;
	bool has_used;
	uint32_t used;
	bool has_temperature;
	int32_t temperature;
	uint64_t reallocated;
	uint64_t pending;
	uint64_t uncorrected;
	char failing[64];
	char message[128];
};

/**
 * hcv_smart_parse() - read the output of smartctl --json
 * @text: ends with NUL
 * @err: a sentence, HCV_ERR_SIZE bytes
 *
 * Return: 0, or -EINVAL and @out is empty
 */
int hcv_smart_parse(const char *text, struct hcv_smart *out, char *err);

/**
 * enum hcv_smart_verdict - what follows
 * @HCV_SMART_UNKNOWN: the device says nothing
 * @HCV_SMART_FINE: nothing
 * @HCV_SMART_TOLD: operators should know, nothing else
 * @HCV_SMART_SUSPECT: more bad sectors or wear than a healthy device has
 * @HCV_SMART_FAILING: it says itself that it is failing
 */
enum hcv_smart_verdict {
	HCV_SMART_UNKNOWN,
	HCV_SMART_FINE,
	HCV_SMART_TOLD,
	HCV_SMART_SUSPECT,
	HCV_SMART_FAILING
};

/** hcv_smart_judge() - @why: a sentence, HCV_ERR_SIZE bytes, "" if FINE */
enum hcv_smart_verdict hcv_smart_judge(const struct hcv_smart *s, char *why);

/** hcv_smart_verdict_name() - "unknown", "ok", "notice", "suspect", "failing" */
const char *hcv_smart_verdict_name(enum hcv_smart_verdict verdict);

#endif /* HCV_AGENT_CORE_SMART_H */
