// SPDX-License-Identifier: GPL-2.0-only
#include "iostat.h"

#include "jout.h"

void hcv_iostat_counters(const struct hcv_k_counters *c, struct json_object *o)
{
	hcv_jo_u64(o, "read_ios", c->read_ios);
	hcv_jo_u64(o, "write_ios", c->write_ios);
	hcv_jo_u64(o, "flush_ios", c->flush_ios);
	hcv_jo_u64(o, "read_bytes", c->read_bytes);
	hcv_jo_u64(o, "write_bytes", c->write_bytes);
	hcv_jo_u64(o, "errors", c->errors);
}

/* The upper end of the bucket in which the @permille-th I/O lies, in us. */
static uint64_t iostat_percentile(const uint64_t *hist, unsigned int permille)
{
	uint64_t total = 0, seen = 0, want;
	unsigned int i;

	for (i = 0; i < HCV_HIST_BUCKETS; i++)
		total += hist[i];
	want = (total * permille + 999) / 1000;
	for (i = 0; i < HCV_HIST_BUCKETS && total; i++) {
		seen += hist[i];
		if (seen >= want)
			return 2ULL << i;
	}
	return 0;
}

static void iostat_op(const uint64_t *hist, const char *name,
		      struct json_object *out)
{
	struct json_object *o = hcv_jo_obj(out, name), *array;
	unsigned int i;

	hcv_jo_u64(o, "p50_us", iostat_percentile(hist, 500));
	hcv_jo_u64(o, "p90_us", iostat_percentile(hist, 900));
	hcv_jo_u64(o, "p99_us", iostat_percentile(hist, 990));
	hcv_jo_u64(o, "p999_us", iostat_percentile(hist, 999));
	array = hcv_jo_array(o, "log2_us");
	for (i = 0; i < HCV_HIST_BUCKETS; i++)
		json_object_array_add(array, json_object_new_uint64(hist[i]));
}

void hcv_iostat_latency(const struct hcv_k_hists *h, struct json_object *o)
{
	struct json_object *lat = hcv_jo_obj(o, "latency");

	iostat_op(h->read, "read", lat);
	iostat_op(h->write, "write", lat);
	iostat_op(h->flush, "flush", lat);
}
