// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentctl: what volume show and volume scrub say of scrubs.
 */
#include "agentctl.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* "3 days" of seconds. */
static const char *scrub_days(int64_t s)
{
	if (s < 0)
		s = 0;
	if (s < 2 * 3600)
		return hcv_out_fmt("%lld min", (long long)s / 60);
	if (s < 2 * 86400)
		return hcv_out_fmt("%lld h", (long long)s / 3600);
	return hcv_out_fmt("%lld days", (long long)s / 86400);
}

/* What was found, as part of a sentence. */
static void scrub_found(struct json_object *o, char *out, size_t size)
{
	static const struct {
		const char *name, *text;
	} map[] = {
		{ "damaged_blocks", "blocks differed" },
		{ "media_blocks", "blocks had media errors" },
		{ "lost_blocks", "blocks are lost" },
		{ "changed_blocks", "blocks were changed under write" },
	};
	size_t i, len = 0;

	out[0] = '\0';
	for (i = 0; i < sizeof(map) / sizeof(map[0]) && len < size; i++)
		if (hcv_out_u64(o, map[i].name))
			len += snprintf(out + len, size - len,
					"%s%llu %s", len ? ", " : "",
					(unsigned long long)
					hcv_out_u64(o, map[i].name),
					map[i].text);
	if (!len)
		snprintf(out, size, "nothing found");
}

/* Names of the replicas with a result, or "". */
static void scrub_replicas(struct json_object *o, const char *result, char *out,
			   size_t size)
{
	struct json_object *array = hcv_out_get(o, "stores"), *s;
	size_t i, len = 0;

	out[0] = '\0';
	for (i = 0; array && i < json_object_array_length(array); i++) {
		s = json_object_array_get_idx(array, i);
		if (strcmp(hcv_out_str(s, "result"), result) || len >= size)
			continue;
		len += snprintf(out + len, size - len, "%s%s",
				len ? ", " : "",
				*hcv_out_str(s, "store_name") ?
				hcv_out_str(s, "store_name") :
				hcv_out_str(s, "store"));
	}
}

static bool scrub_runs(struct json_object *pass)
{
	return pass && (!strcmp(hcv_out_str(pass, "state"), "running") ||
			!strcmp(hcv_out_str(pass, "state"), "paused"));
}

static void scrub_show_pass(struct json_object *pass)
{
	uint64_t total = hcv_out_u64(pass, "total_bytes");
	uint64_t done = hcv_out_u64(pass, "read_bytes");
	char found[256];

	scrub_found(pass, found, sizeof(found));
	hcv_out_field("Scrub", "%s, %.0f %% (%s read) since %s; %s",
		      !strcmp(hcv_out_str(pass, "state"), "paused") ?
		      "waits for a replica to come or go" : "runs",
		      total ? done >= total ? 100.0 : done * 100.0 / total :
			      100.0,
		      hcv_out_size(done),
		      hcv_out_ms(hcv_out_u64(pass, "begun_ms")), found);
}

static void scrub_show_last(struct json_object *last)
{
	int64_t ago = (int64_t)time(NULL) -
		      (int64_t)hcv_out_u64(last, "ended");
	char found[256], names[512];

	scrub_found(last, found, sizeof(found));
	hcv_out_field("Scrub", "%s %s ago on %s, %s read: %s",
		      hcv_out_bool(last, "whole") ? "done" : "stopped",
		      scrub_days(ago), hcv_out_str(last, "node"),
		      hcv_out_size(hcv_out_u64(last, "read_bytes")), found);
	scrub_replicas(last, "bad", names, sizeof(names));
	if (names[0])
		hcv_out_field("Scrub", "NOT REPAIRED on %s", names);
	scrub_replicas(last, "uncovered", names, sizeof(names));
	if (names[0])
		hcv_out_field("Scrub", "not read in full, so not known to be good: %s",
			      names);
}

void hcv_scrub_show(struct json_object *r)
{
	struct json_object *s = hcv_out_get(r, "scrub");
	struct json_object *pass = hcv_out_get(s, "pass");
	struct json_object *last = hcv_out_get(s, "last");
	int64_t due = (int64_t)hcv_out_u64(s, "due") - (int64_t)time(NULL);

	if (!s)
		return;
	if (scrub_runs(pass))
		scrub_show_pass(pass);
	if (last)
		scrub_show_last(last);
	else if (!scrub_runs(pass))
		hcv_out_field("Scrub", "none so far");
	if (scrub_runs(pass))
		return;
	if (!hcv_out_has(s, "due"))
		hcv_out_field("Next scrub", "none is scheduled");
	else if (due > 0)
		hcv_out_field("Next scrub", "in %s", scrub_days(due));
	else
		hcv_out_field("Next scrub", "when the volume is attached and its node's turn comes");
}

static void scrub_show_stores(struct json_object *o)
{
	struct json_object *array = hcv_out_get(o, "stores"), *s;
	struct hcv_table t;
	size_t i;

	if (!array || !json_object_array_length(array))
		return;
	putchar('\n');
	hcv_table_init(&t, "STORE|RESULT|>READ|>NOT READ|>DIFFERED|>MEDIA|>REPAIRED|>NOT REPAIRED|>BAD PAGES");
	for (i = 0; i < json_object_array_length(array); i++) {
		s = json_object_array_get_idx(array, i);
#define SCRUB_NUM(name) \
	hcv_out_fmt("%llu", (unsigned long long)hcv_out_u64(s, name))
		hcv_table_row(&t, *hcv_out_str(s, "store_name") ?
			      hcv_out_str(s, "store_name") :
			      hcv_out_str(s, "store"),
			      hcv_out_str(s, "result"),
			      hcv_out_size(hcv_out_u64(s, "covered_bytes")),
			      hcv_out_size(hcv_out_u64(s, "missed_bytes")),
			      SCRUB_NUM("damaged_blocks"),
			      SCRUB_NUM("media_blocks"),
			      SCRUB_NUM("repaired_blocks"),
			      SCRUB_NUM("failed_blocks"),
			      SCRUB_NUM("bad_pages"));
#undef SCRUB_NUM
	}
	hcv_table_print(&t);
}

void hcv_scrub_show_status(struct json_object *r)
{
	struct json_object *s = hcv_out_get(r, "scrub");
	struct json_object *pass = hcv_out_get(s, "pass");

	hcv_scrub_show(r);
	scrub_show_stores(scrub_runs(pass) || !hcv_out_get(s, "last") ?
			  pass : hcv_out_get(s, "last"));
}
