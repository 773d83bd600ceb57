// SPDX-License-Identifier: GPL-2.0-only
/*
 * Output for people: tables, fields, sizes, times.
 */
#include "agentctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct json_object *hcv_out_get(struct json_object *o, const char *name)
{
	struct json_object *v;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, name, &v))
		return NULL;
	return v;
}

const char *hcv_out_str(struct json_object *o, const char *name)
{
	struct json_object *v = hcv_out_get(o, name);

	return json_object_is_type(v, json_type_string) ?
		json_object_get_string(v) : "";
}

uint64_t hcv_out_u64(struct json_object *o, const char *name)
{
	return json_object_get_uint64(hcv_out_get(o, name));
}

bool hcv_out_bool(struct json_object *o, const char *name)
{
	return json_object_get_boolean(hcv_out_get(o, name));
}

bool hcv_out_has(struct json_object *o, const char *name)
{
	return hcv_out_get(o, name);
}

/* Enough for one row of a table. */
static char *hcv_out_buffer(void)
{
	static char buf[32][128];
	static unsigned int next;

	return buf[next++ % 32];
}

const char *hcv_out_fmt(const char *fmt, ...)
{
	char *buf = hcv_out_buffer();
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, 128, fmt, ap);
	va_end(ap);
	return buf;
}

const char *hcv_out_size(uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	double n = bytes;
	int i = -1;

	if (bytes < 1024)
		return hcv_out_fmt("%llu B", (unsigned long long)bytes);
	for (; n >= 1024 && i < 5; i++)
		n /= 1024;
	/* whole numbers without a fraction: sizes usually are */
	if (n == (uint64_t)n)
		return hcv_out_fmt("%.0f %ciB", n, units[i]);
	return hcv_out_fmt(n < 100 ? "%.1f %ciB" : "%.0f %ciB", n, units[i]);
}

const char *hcv_out_ms(uint64_t ms)
{
	if (ms < 1000)
		return hcv_out_fmt("%llu ms", (unsigned long long)ms);
	if (ms < 60000)
		return hcv_out_fmt("%.1f s", ms / 1000.0);
	if (ms < 3600000)
		return hcv_out_fmt("%llu min", (unsigned long long)ms / 60000);
	return hcv_out_fmt("%llu h", (unsigned long long)ms / 3600000);
}

static void hcv_table_add(struct hcv_table *t, const char *text, size_t len)
{
	char **more;

	if (t->rows == t->size) {
		t->size = t->size ? t->size * 2 : 64;
		more = realloc(t->cell, t->size * sizeof(*more));
		if (!more) {
			fputs("agentctl: out of memory\n", stderr);
			exit(HCV_EXIT_FAILED);
		}
		t->cell = more;
	}
	t->cell[t->rows] = strndup(text, len);
	if (!t->cell[t->rows++]) {
		fputs("agentctl: out of memory\n", stderr);
		exit(HCV_EXIT_FAILED);
	}
}

void hcv_table_init(struct hcv_table *t, const char *titles)
{
	size_t n;

	memset(t, 0, sizeof(*t));
	for (;;) {
		if (*titles == '>') {
			t->right |= 1U << t->cols;
			titles++;
		}
		n = strcspn(titles, "|");
		hcv_table_add(t, titles, n);
		t->cols++;
		if (!titles[n])
			return;
		titles += n + 1;
	}
}

void hcv_table_row(struct hcv_table *t, ...)
{
	const char *text;
	unsigned int i;
	va_list ap;

	va_start(ap, t);
	for (i = 0; i < t->cols; i++) {
		text = va_arg(ap, const char *);
		if (!text || !*text)
			text = "-";
		hcv_table_add(t, text, strlen(text));
	}
	va_end(ap);
}

void hcv_table_print(struct hcv_table *t)
{
	size_t width[HCV_OUT_COLS] = { 0 }, i;
	unsigned int c;

	for (i = 0; i < t->rows; i++)
		if (strlen(t->cell[i]) > width[i % t->cols])
			width[i % t->cols] = strlen(t->cell[i]);
	for (i = 0; i < t->rows; i++) {
		c = i % t->cols;
		if (t->right & (1U << c))
			printf("%*s", (int)width[c], t->cell[i]);
		else if (c + 1 < t->cols)
			printf("%-*s", (int)width[c], t->cell[i]);
		else
			fputs(t->cell[i], stdout);
		fputs(c + 1 < t->cols ? "  " : "\n", stdout);
		free(t->cell[i]);
	}
	free(t->cell);
	memset(t, 0, sizeof(*t));
}

void hcv_out_field(const char *name, const char *fmt, ...)
{
	va_list ap;

	printf("%-12s ", name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static const char *hcv_out_us(struct json_object *lat, const char *name)
{
	return hcv_out_fmt("%llu", (unsigned long long)hcv_out_u64(lat, name));
}

void hcv_out_iostat(struct json_object *count, struct json_object *lat)
{
	static const struct {
		const char *title, *ios, *bytes;
	} op[] = {
		{ "read", "read_ios", "read_bytes" },
		{ "write", "write_ios", "write_bytes" },
		{ "flush", "flush_ios", NULL },
		{ "discard", "discard_ios", "discard_bytes" },
	};
	struct hcv_table t;
	size_t i;

	if (!count)
		return;
	putchar('\n');
	hcv_table_init(&t, "I/O|>COUNT|>BYTES|>P50 us|>P90 us|>P99 us|>P99.9 us");
	for (i = 0; i < sizeof(op) / sizeof(op[0]); i++) {
		struct json_object *h = hcv_out_get(lat, op[i].title);
		bool any = h && hcv_out_u64(count, op[i].ios);

		if (!hcv_out_has(count, op[i].ios))
			continue;
		hcv_table_row(&t, op[i].title, hcv_out_us(count, op[i].ios),
			      op[i].bytes ?
			      hcv_out_size(hcv_out_u64(count, op[i].bytes)) :
			      "",
			      any ? hcv_out_us(h, "p50_us") : "",
			      any ? hcv_out_us(h, "p90_us") : "",
			      any ? hcv_out_us(h, "p99_us") : "",
			      any ? hcv_out_us(h, "p999_us") : "");
	}
	hcv_table_print(&t);
	if (hcv_out_u64(count, "errors"))
		printf("errors: %s\n", hcv_out_us(count, "errors"));
}
