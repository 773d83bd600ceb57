// SPDX-License-Identifier: GPL-2.0-only
/*
 * Settings of recovery.  See throttle_conf.h.
 */
#include "throttle_conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "model.h"

enum conf_type { CONF_MODE, CONF_RATE, CONF_COUNT, CONF_PERCENT };

#define MIB		1024U
#define RATE_MIN	64U			/* 64 KiB/s: half a copy a second */
#define RATE_MAX	(64U * 1024 * MIB)	/* 64 GiB/s */
#define IOPS_MAX	100000000U

static const struct conf_key {
	const char *name, *json;
	enum conf_type type;
	uint32_t min, max;
	const char *values;
} conf_keys[HCV_TK_NR] = {
	[HCV_TK_MODE] = { "mode", "mode", CONF_MODE, 0, HCV_THR_LATENCY,
		"auto, static or latency" },
	[HCV_TK_LIMIT] = { "limit", "limit_kibps", CONF_RATE,
		HCV_THR_STATIC_MIN, HCV_THR_STATIC_MAX,
		"MiB/s in mode static, 1M to 500M" },
	[HCV_TK_IOPS] = { "iops", "iops", CONF_COUNT, 1, IOPS_MAX,
		"foreground I/Os per second, 1 to 100000000" },
	[HCV_TK_BANDWIDTH] = { "bandwidth", "bandwidth_kibps", CONF_RATE,
		RATE_MIN, RATE_MAX, "foreground bytes per second, 64K to 64G" },
	[HCV_TK_REC_MIN] = { "recovery_min", "recovery_min_kibps", CONF_RATE,
		RATE_MIN, RATE_MAX, "bytes per second, 64K to 64G" },
	[HCV_TK_REC_MAX] = { "recovery_max", "recovery_max_kibps", CONF_RATE,
		RATE_MIN, RATE_MAX, "bytes per second, 64K to 64G" },
	[HCV_TK_MIG_MIN] = { "migration_min", "migration_min_kibps", CONF_RATE,
		RATE_MIN, RATE_MAX, "bytes per second, 64K to 64G" },
	[HCV_TK_MIG_MAX] = { "migration_max", "migration_max_kibps", CONF_RATE,
		RATE_MIN, RATE_MAX, "bytes per second, 64K to 64G" },
	[HCV_TK_FACTOR] = { "latency_factor", "latency_factor_pct",
		CONF_PERCENT, HCV_THR_FACTOR_MIN, HCV_THR_FACTOR_MAX,
		"p99 over p99 without recovery in mode latency, 1.2 to 10" },
	[HCV_TK_FLOOR] = { "latency_floor", "latency_floor_kibps", CONF_RATE,
		RATE_MIN, RATE_MAX, "bytes per second, 64K to 64G" },
};

static const char *const conf_modes[] = { "auto", "static", "latency" };

/* The lowest limit and the highest one of a kind. */
static const struct { enum hcv_thr_key min, max; } conf_pairs[] = {
	{ HCV_TK_REC_MIN, HCV_TK_REC_MAX },
	{ HCV_TK_MIG_MIN, HCV_TK_MIG_MAX },
	{ HCV_TK_FLOOR, HCV_TK_REC_MAX },
};

#define CONF_PAIRS (sizeof(conf_pairs) / sizeof(conf_pairs[0]))

const char *hcv_thr_key_name(enum hcv_thr_key key)
{
	return conf_keys[key].name;
}

const char *hcv_thr_from_name(enum hcv_thr_from from)
{
	static const char *const names[] = { "hardware", "cluster", "node" };

	return names[from];
}

/* ------------------------------------------------------------------- as text */

/* "12", "12.5": @scale for one; what is finer than that is cut off. */
static bool conf_number(const char **text, uint64_t scale, uint64_t *out)
{
	uint64_t whole = 0, part = 0, of = 1;
	const char *p = *text;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		whole = whole * 10 + (uint64_t)(*p - '0');
		if (whole > UINT32_MAX)
			return false;
	}
	if (*p == '.' && (*++p < '0' || *p > '9'))
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (of == 1000000)
			continue;
		part = part * 10 + (uint64_t)(*p - '0');
		of *= 10;
	}
	*out = whole * scale + part * scale / of;
	*text = p;
	return true;
}

static bool conf_rate(const char *text, uint64_t *out)
{
	static const struct { char unit; uint64_t kib; } units[] = {
		{ 'K', 1 }, { 'M', MIB }, { 'G', 1024 * MIB },
	};
	const char *unit = text + strspn(text, "0123456789.");
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (*unit == units[i].unit && !unit[1])
			return conf_number(&text, units[i].kib, out) &&
			       text == unit;
	return false;
}

static bool conf_mode(const char *text, uint64_t *out)
{
	for (*out = 0; *out <= HCV_THR_LATENCY; ++*out)
		if (!strcmp(text, conf_modes[*out]))
			return true;
	return false;
}

static bool conf_parse(const struct conf_key *k, const char *text,
		       uint64_t *out)
{
	switch (k->type) {
	case CONF_MODE:
		return conf_mode(text, out);
	case CONF_RATE:
		return conf_rate(text, out);
	case CONF_PERCENT:
		return conf_number(&text, 100, out) && !*text;
	default:
		return !strchr(text, '.') && conf_number(&text, 1, out) &&
		       !*text;
	}
}

static const struct conf_key *conf_find(const char *name, char *err)
{
	char names[160] = "";
	size_t i, len = 0;

	for (i = 0; i < HCV_TK_NR; i++) {
		if (!strcmp(name, conf_keys[i].name))
			return &conf_keys[i];
		len += (size_t)snprintf(names + len, sizeof(names) - len,
					"%s%s", len ? ", " : "",
					conf_keys[i].name);
	}
	snprintf(err, HCV_ERR_SIZE,
		 "\"%.40s\" cannot be set; what can: %s", name, names);
	return NULL;
}

int hcv_thr_set_value(struct hcv_thr_set *s, const char *key,
		      const char *value, char *err)
{
	const struct conf_key *k = conf_find(key, err);
	uint64_t val;
	size_t i;

	if (!k)
		return -EINVAL;
	i = (size_t)(k - conf_keys);
	if (!strcmp(value, "default")) {
		s->has &= ~(1U << i);
		s->val[i] = 0;
		return 0;
	}
	if (!conf_parse(k, value, &val) || val < k->min || val > k->max) {
		snprintf(err, HCV_ERR_SIZE,
			 "\"%.40s\" is no value for %s: %s, or default", value,
			 k->name, k->values);
		return -EINVAL;
	}
	s->has |= 1U << i;
	s->val[i] = (uint32_t)val;
	return 0;
}

int hcv_thr_set_check(const struct hcv_thr_set *s, char *err)
{
	uint32_t both;
	char low[32];
	size_t i;

	for (i = 0; i < CONF_PAIRS; i++) {
		both = 1U << conf_pairs[i].min | 1U << conf_pairs[i].max;
		if ((s->has & both) != both ||
		    s->val[conf_pairs[i].min] <= s->val[conf_pairs[i].max])
			continue;
		hcv_thr_value_text(conf_pairs[i].min,
				   s->val[conf_pairs[i].min], low);
		snprintf(err, HCV_ERR_SIZE, "%s (%s) is above %s",
			 conf_keys[conf_pairs[i].min].name, low,
			 conf_keys[conf_pairs[i].max].name);
		return -EINVAL;
	}
	return 0;
}

void hcv_thr_value_text(enum hcv_thr_key key, uint32_t val, char *out)
{
	unsigned int tenths = (unsigned int)(((uint64_t)val * 10 + 512) / 1024);

	switch (conf_keys[key].type) {
	case CONF_MODE:
		snprintf(out, 32, "%s", conf_modes[val]);
		break;
	case CONF_RATE:
		if (val < MIB)
			snprintf(out, 32, "%u KiB/s", val);
		else if (tenths % 10)
			snprintf(out, 32, "%u.%u MiB/s", tenths / 10,
				 tenths % 10);
		else
			snprintf(out, 32, "%u MiB/s", tenths / 10);
		break;
	case CONF_PERCENT:
		snprintf(out, 32, "%u.%02u", val / 100, val % 100);
		break;
	default:
		snprintf(out, 32, "%u IOPS", val);
	}
}

/* -------------------------------------------------------------------- as JSON */

char *hcv_thr_set_encode(const struct hcv_thr_set *s)
{
	struct hcv_json j;
	size_t i;

	hcv_json_init(&j, HCV_SCHEMA);
	for (i = 0; i < HCV_TK_NR; i++) {
		if (!(s->has & 1U << i))
			continue;
		if (conf_keys[i].type == CONF_MODE)
			hcv_json_put_str(&j, conf_keys[i].json,
					 conf_modes[s->val[i]]);
		else
			hcv_json_put_u64(&j, conf_keys[i].json, s->val[i]);
	}
	hcv_json_put_bool(&j, "paused", s->paused);
	return hcv_json_finish(&j);
}

static int conf_member(struct json_object *o, const struct conf_key *k,
		       uint32_t *out, char *err)
{
	unsigned int mode;
	uint64_t val;

	if (k->type == CONF_MODE) {
		if (hcv_json_enum(o, k->json, conf_modes, HCV_THR_LATENCY + 1,
				  &mode, err))
			return -EINVAL;
		*out = mode;
		return 0;
	}
	if (hcv_json_u64(o, k->json, k->min, k->max, &val, err))
		return -EINVAL;
	*out = (uint32_t)val;
	return 0;
}

int hcv_thr_set_decode(const char *json, struct hcv_thr_set *s, char *err)
{
	struct json_object *o = hcv_json_parse(json, HCV_SCHEMA, err);
	struct hcv_thr_set new = { 0 };
	int ret = 0;
	size_t i;

	if (!o)
		return -EINVAL;
	for (i = 0; !ret && i < HCV_TK_NR; i++) {
		if (!json_object_object_get_ex(o, conf_keys[i].json, NULL))
			continue;
		ret = conf_member(o, &conf_keys[i], &new.val[i], err);
		new.has |= 1U << i;
	}
	if (!ret)
		ret = hcv_json_bool(o, "paused", &new.paused, err);
	if (!ret)
		ret = hcv_thr_set_check(&new, err);
	json_object_put(o);
	if (!ret)
		*s = new;
	return ret ? -EINVAL : 0;
}

/* ---------------------------------------------------------------- in force */

static void conf_take(struct hcv_thr_eff *e, const struct hcv_thr_set *s,
		      enum hcv_thr_from from)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < HCV_TK_NR; i++) {
		if (!(s->has & 1U << i))
			continue;
		e->val[i] = s->val[i];
		e->from[i] = from;
	}
	if (s->paused && !e->paused) {
		e->paused = true;
		e->paused_by = from;
	}
}

static void conf_defaults(struct hcv_thr_eff *e, const struct hcv_hw_row *row)
{
	memset(e, 0, sizeof(*e));
	e->val[HCV_TK_MODE] = HCV_THR_AUTO;
	e->val[HCV_TK_LIMIT] = row->min_kibps;
	e->val[HCV_TK_IOPS] = row->iops;
	e->val[HCV_TK_BANDWIDTH] = row->fg_kibps;
	e->val[HCV_TK_REC_MIN] = row->min_kibps;
	e->val[HCV_TK_REC_MAX] = row->max_kibps;
	e->val[HCV_TK_MIG_MIN] = row->mig_min_kibps;
	e->val[HCV_TK_MIG_MAX] = row->mig_max_kibps;
	e->val[HCV_TK_FACTOR] = 200;
	e->val[HCV_TK_FLOOR] = row->min_kibps / 10;
}

void hcv_thr_merge(const struct hcv_hw_row *row,
		   const struct hcv_thr_set *cluster,
		   const struct hcv_thr_set *node, struct hcv_thr_eff *out)
{
	enum hcv_thr_key min, max;
	size_t i;

	conf_defaults(out, row);
	conf_take(out, cluster, HCV_TF_CLUSTER);
	conf_take(out, node, HCV_TF_NODE);
	for (i = 0; i < CONF_PAIRS; i++) {
		min = conf_pairs[i].min;
		max = conf_pairs[i].max;
		if (out->val[min] <= out->val[max])
			continue;
		if (out->from[min] > out->from[max])
			out->val[max] = out->val[min];
		else
			out->val[min] = out->val[max];
	}
}

void hcv_thr_conf(const struct hcv_thr_eff *e, bool migration,
		  struct hcv_thr_conf *out)
{
	*out = (struct hcv_thr_conf){
		.mode = (enum hcv_thr_mode)e->val[HCV_TK_MODE],
		.paused = e->paused,
		.static_kibps = e->val[HCV_TK_LIMIT],
		.iops = e->val[HCV_TK_IOPS],
		.fg_kibps = e->val[HCV_TK_BANDWIDTH],
		.min_kibps = e->val[migration ? HCV_TK_MIG_MIN :
						HCV_TK_REC_MIN],
		.max_kibps = e->val[migration ? HCV_TK_MIG_MAX :
						HCV_TK_REC_MAX],
		.factor_pct = e->val[HCV_TK_FACTOR],
		.floor_kibps = e->val[HCV_TK_FLOOR],
	};
	if (out->floor_kibps > out->max_kibps)
		out->floor_kibps = out->max_kibps;
}
