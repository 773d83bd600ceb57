// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a device says about itself.  See smart.h.
 *
 * The text comes from a tool that prints what a device's firmware has put into
 * its pages, so nothing in it is trusted: sizes, types and ranges are checked,
 * and no string goes anywhere before it was made printable.
 */
#include "smart.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

#define DEPTH_MAX	16
#define ITEMS_MAX	256	/* attributes; ATA has 30 */
#define COUNT_MAX	HCV_JSON_U64_MAX

/* smartctl's exit status: the device could not be asked. */
#define EXIT_USAGE	(1U << 0)
#define EXIT_OPEN	(1U << 1)
/* It said that it is failing. */
#define EXIT_FAILING	(1U << 3)

static void smart_print(char *out, size_t size, const char *in)
{
	size_t i;

	for (i = 0; i < size - 1 && in[i]; i++)
		out[i] = in[i] >= ' ' && in[i] <= '~' ? in[i] : '?';
	out[i] = '\0';
}

/* A member that may be absent. */
static bool smart_has(struct json_object *o, const char *name)
{
	return json_object_object_get_ex(o, name, NULL);
}

static int smart_object(struct json_object *o, const char *name,
			struct json_object **out, char *err)
{
	*out = NULL;
	return smart_has(o, name) ? hcv_json_object(o, name, out, err) : 0;
}

static int smart_u64(struct json_object *o, const char *name, uint64_t max,
		     bool *has, uint64_t *out, char *err)
{
	*has = o && smart_has(o, name);
	*out = 0;
	return *has ? hcv_json_u64(o, name, 0, max, out, err) : 0;
}

/* Whatever cannot be added any more is the most there is. */
static void smart_add(uint64_t *sum, uint64_t n)
{
	*sum = n > COUNT_MAX - *sum ? COUNT_MAX : *sum + n;
}

static int smart_count(struct json_object *o, const char *name, uint64_t *sum,
		       char *err)
{
	uint64_t n;
	bool has;

	if (smart_u64(o, name, COUNT_MAX, &has, &n, err))
		return -EINVAL;
	smart_add(sum, n);
	return 0;
}

static int smart_message(struct json_object *tool, struct hcv_smart *s,
			 char *err)
{
	struct json_object *list, *item;
	const char *text;

	if (!smart_has(tool, "messages"))
		return 0;
	if (hcv_json_array(tool, "messages", ITEMS_MAX, &list, err))
		return -EINVAL;
	if (!json_object_array_length(list))
		return 0;
	item = json_object_array_get_idx(list, 0);
	if (!json_object_is_type(item, json_type_object) ||
	    !json_object_object_get_ex(item, "string", &item) ||
	    !json_object_is_type(item, json_type_string))
		return hcv_json_err(err, "\"messages\" has no text");
	text = json_object_get_string(item);
	smart_print(s->message, sizeof(s->message), text);
	return 0;
}

/* What the tool says of itself; without it the text is none of its. */
static int smart_tool(struct json_object *o, struct hcv_smart *s,
		      uint64_t *status, char *err)
{
	struct json_object *tool, *version;
	uint64_t major;

	if (hcv_json_array(o, "json_format_version", 8, &version, err) ||
	    hcv_json_item_u64(json_object_array_get_idx(version, 0),
			      "json_format_version", UINT32_MAX, &major, err))
		return -EINVAL;
	if (major != 1)
		return hcv_json_err(err, "\"json_format_version\" is %llu, known is 1",
				    (unsigned long long)major);
	if (hcv_json_object(o, "smartctl", &tool, err) ||
	    hcv_json_u64(tool, "exit_status", 0, 255, status, err))
		return -EINVAL;
	return smart_message(tool, s, err);
}

static int smart_status(struct json_object *o, struct hcv_smart *s, char *err)
{
	struct json_object *status, *temp;
	struct json_object *now;
	int32_t celsius;

	if (smart_object(o, "smart_status", &status, err) ||
	    smart_object(o, "temperature", &temp, err))
		return -EINVAL;
	/* "passed" is missing when the device did not answer that question */
	if (status && smart_has(status, "passed")) {
		if (hcv_json_bool(status, "passed", &s->passed, err))
			return -EINVAL;
		s->has_passed = true;
	}
	if (!temp || !json_object_object_get_ex(temp, "current", &now))
		return 0;
	if (!json_object_is_type(now, json_type_int))
		return hcv_json_err(err, "\"current\" is not a whole number");
	/* Nothing is decided by it: a sensor may say what it likes. */
	celsius = json_object_get_int(now);
	s->has_temperature = celsius > -100 && celsius < 1000;
	s->temperature = s->has_temperature ? celsius : 0;
	return 0;
}

static int smart_used(struct json_object *o, const char *name,
		      struct hcv_smart *s, char *err)
{
	uint64_t n;
	bool has;

	if (smart_u64(o, name, 1000, &has, &n, err))
		return -EINVAL;
	if (has) {
		s->has_used = true;
		s->used = (uint32_t)n;
	}
	return 0;
}

static int smart_nvme(struct json_object *o, struct hcv_smart *s, char *err)
{
	struct json_object *log;
	uint64_t n;
	bool has;

	if (smart_object(o, "nvme_smart_health_information_log", &log, err))
		return -EINVAL;
	if (!log)
		return 0;
	if (smart_u64(log, "critical_warning", 255, &has, &n, err) ||
	    smart_used(log, "percentage_used", s, err) ||
	    smart_count(log, "media_errors", &s->uncorrected, err))
		return -EINVAL;
	s->has_nvme = has;
	s->warning = (uint32_t)n;
	return 0;
}

static int smart_attribute(struct json_object *attr, struct hcv_smart *s,
			   char *err)
{
	struct json_object *raw, *flags;
	char when[16], name[64];
	uint64_t id, value;
	bool has, prefail = false;

	if (!json_object_is_type(attr, json_type_object))
		return hcv_json_err(err, "an attribute is not an object");
	if (hcv_json_u64(attr, "id", 0, 255, &id, err) ||
	    hcv_json_str(attr, "name", name, sizeof(name), err) ||
	    hcv_json_str(attr, "when_failed", when, sizeof(when), err) ||
	    smart_object(attr, "flags", &flags, err) ||
	    hcv_json_object(attr, "raw", &raw, err) ||
	    smart_u64(raw, "value", COUNT_MAX, &has, &value, err))
		return -EINVAL;
	if (flags && smart_has(flags, "prefailure") &&
	    hcv_json_bool(flags, "prefailure", &prefail, err))
		return -EINVAL;
	/* the upper bytes of some raw values are something else */
	value &= 0xffffffff;
	if (id == 5)
		smart_add(&s->reallocated, value);
	else if (id == 197)
		smart_add(&s->pending, value);
	else if (id == 198)
		smart_add(&s->uncorrected, value);
	if (prefail && !strcmp(when, "now") && !*s->failing)
		smart_print(s->failing, sizeof(s->failing), name);
	return 0;
}

static int smart_ata(struct json_object *o, struct hcv_smart *s, char *err)
{
	struct json_object *attrs, *table, *wear;
	size_t i;

	if (smart_object(o, "ata_smart_attributes", &attrs, err) ||
	    smart_object(o, "endurance_used", &wear, err) ||
	    smart_used(wear, "current_percent", s, err))
		return -EINVAL;
	if (!attrs)
		return 0;
	if (hcv_json_array(attrs, "table", ITEMS_MAX, &table, err))
		return -EINVAL;
	for (i = 0; i < json_object_array_length(table); i++)
		if (smart_attribute(json_object_array_get_idx(table, i), s,
				    err))
			return -EINVAL;
	return 0;
}

static int smart_scsi(struct json_object *o, struct hcv_smart *s, char *err)
{
	static const char *const kind[] = { "read", "write", "verify" };
	struct json_object *log, *one;
	size_t i;

	if (smart_count(o, "scsi_grown_defect_list", &s->reallocated, err) ||
	    smart_used(o, "scsi_percentage_used_endurance_indicator", s, err) ||
	    smart_object(o, "scsi_error_counter_log", &log, err))
		return -EINVAL;
	for (i = 0; log && i < 3; i++) {
		if (smart_object(log, kind[i], &one, err) ||
		    smart_count(one, "total_uncorrected_errors",
				&s->uncorrected, err))
			return -EINVAL;
	}
	return 0;
}

/* A device that has none, or does not let it be read, says nothing. */
static int smart_available(struct json_object *o, struct hcv_smart *s,
			   uint64_t status, char *err)
{
	struct json_object *support;
	bool yes;

	s->available = !(status & (EXIT_USAGE | EXIT_OPEN));
	if (smart_object(o, "smart_support", &support, err))
		return -EINVAL;
	if (support && smart_has(support, "available")) {
		if (hcv_json_bool(support, "available", &yes, err))
			return -EINVAL;
		s->available &= yes;
	}
	s->available &= s->has_passed || s->has_nvme || s->has_used ||
			smart_has(o, "ata_smart_attributes") ||
			smart_has(o, "scsi_grown_defect_list") ||
			smart_has(o, "scsi_error_counter_log");
	return 0;
}

static int smart_all(struct json_object *o, struct hcv_smart *s, char *err)
{
	uint64_t status;

	if (!json_object_is_type(o, json_type_object))
		return hcv_json_err(err, "is not a JSON object");
	if (smart_tool(o, s, &status, err) || smart_status(o, s, err) ||
	    smart_nvme(o, s, err) || smart_ata(o, s, err) ||
	    smart_scsi(o, s, err) || smart_available(o, s, status, err))
		return -EINVAL;
	if (s->available && status & EXIT_FAILING) {
		s->has_passed = true;
		s->passed = false;
	}
	return 0;
}

int hcv_smart_parse(const char *text, struct hcv_smart *out, char *err)
{
	struct json_object *o;
	int ret;

	memset(out, 0, sizeof(*out));
	if (strnlen(text, HCV_SMART_TEXT_MAX) == HCV_SMART_TEXT_MAX)
		return hcv_json_err(err, "is longer than %d bytes",
				    HCV_SMART_TEXT_MAX - 1);
	o = hcv_json_read(text, DEPTH_MAX, err);
	if (!o)
		return -EINVAL;
	ret = smart_all(o, out, err);
	if (ret)
		memset(out, 0, sizeof(*out));
	json_object_put(o);
	return ret;
}

/* ------------------------------------------------------------------ verdict */

static const char *smart_nvme_failing(uint32_t warning)
{
	if (warning & HCV_SMART_NVME_READONLY)
		return "the device has gone read-only";
	if (warning & HCV_SMART_NVME_DEGRADED)
		return "the device's reliability is degraded";
	if (warning & HCV_SMART_NVME_SPARE)
		return "the device runs out of spare blocks";
	if (warning & HCV_SMART_NVME_BACKUP)
		return "the device's power-loss protection has failed";
	return NULL;
}

static bool smart_failing(const struct hcv_smart *s, char *why)
{
	const char *text = smart_nvme_failing(s->warning);

	if (text)
		snprintf(why, HCV_ERR_SIZE, "%s", text);
	else if (s->has_passed && !s->passed)
		snprintf(why, HCV_ERR_SIZE, "the device says that it is failing");
	else if (*s->failing)
		snprintf(why, HCV_ERR_SIZE, "attribute %s is beyond its limit",
			 s->failing);
	else
		return false;
	return true;
}

static bool smart_suspect(const struct hcv_smart *s, char *why)
{
	if (s->uncorrected >= HCV_SMART_UNCORRECTED)
		snprintf(why, HCV_ERR_SIZE, "%llu uncorrected errors",
			 (unsigned long long)s->uncorrected);
	else if (s->pending >= HCV_SMART_PENDING)
		snprintf(why, HCV_ERR_SIZE, "%llu sectors cannot be read",
			 (unsigned long long)s->pending);
	else if (s->reallocated >= HCV_SMART_REALLOCATED)
		snprintf(why, HCV_ERR_SIZE, "%llu sectors were replaced",
			 (unsigned long long)s->reallocated);
	else if (s->has_used && s->used >= HCV_SMART_WORN)
		snprintf(why, HCV_ERR_SIZE, "%u %% of its life are used",
			 s->used);
	else
		return false;
	return true;
}

static bool smart_told(const struct hcv_smart *s, char *why)
{
	if (s->warning & HCV_SMART_NVME_TEMPERATURE)
		snprintf(why, HCV_ERR_SIZE, "the device is too hot or too cold");
	else if (s->has_used && s->used >= HCV_SMART_WEARING)
		snprintf(why, HCV_ERR_SIZE, "%u %% of its life are used",
			 s->used);
	else
		return false;
	return true;
}

enum hcv_smart_verdict hcv_smart_judge(const struct hcv_smart *s, char *why)
{
	*why = '\0';
	if (!s->available)
		return HCV_SMART_UNKNOWN;
	if (smart_failing(s, why))
		return HCV_SMART_FAILING;
	if (smart_suspect(s, why))
		return HCV_SMART_SUSPECT;
	if (smart_told(s, why))
		return HCV_SMART_TOLD;
	return HCV_SMART_FINE;
}

const char *hcv_smart_verdict_name(enum hcv_smart_verdict verdict)
{
	static const char *const name[] = {
		[HCV_SMART_UNKNOWN] = "unknown",
		[HCV_SMART_FINE] = "ok",
		[HCV_SMART_TOLD] = "notice",
		[HCV_SMART_SUSPECT] = "suspect",
		[HCV_SMART_FAILING] = "failing",
	};

	return name[verdict];
}
