// SPDX-License-Identifier: GPL-2.0-only
/*
 * Latency outliers.  See latency.h.
 */
#include "latency.h"

#include <stdlib.h>
#include <string.h>

/*
 * What a healthy device of the class does under load is not slow, whatever its
 * peers do.  As powers of two, since a percentile is known no better.
 */
static const uint64_t lat_floor_us[HCV_LAT_CLASSES][HCV_LAT_OPS] = {
	[HCV_LAT_SSD] = { 4096, 4096, 32768 },
	[HCV_LAT_HDD] = { 65536, 65536, 262144 },
	[HCV_LAT_REMOTE] = { 8192, 8192, 65536 },
};

/* Whether a count went on; false: it began anew. */
static bool lat_diff(uint64_t from, uint64_t to, uint64_t *out)
{
	*out = to - from;
	return to >= from;
}

bool hcv_lat_window(const struct hcv_lat_sample *from,
		    const struct hcv_lat_sample *to,
		    struct hcv_lat_window *out)
{
	bool ok = from->source == to->source && to->at_ms > from->at_ms;
	unsigned int op, i;

	memset(out, 0, sizeof(*out));
	out->ms = to->at_ms - from->at_ms;
	ok &= lat_diff(from->bytes, to->bytes, &out->bytes);
	ok &= lat_diff(from->errors, to->errors, &out->errors);
	for (op = 0; op < HCV_LAT_OPS; op++) {
		for (i = 0; i < HCV_HIST_BUCKETS; i++) {
			ok &= lat_diff(from->hist[op][i], to->hist[op][i],
				       &out->hist[op][i]);
			out->ios[op] += out->hist[op][i];
		}
	}
	if (!ok)
		memset(out, 0, sizeof(*out));
	return ok;
}

bool hcv_lat_window_full(const struct hcv_lat_window *w)
{
	unsigned int op;

	if (w->ms >= HCV_LAT_WINDOW_MAX_MS)
		return true;
	for (op = 0; op < HCV_LAT_OPS; op++)
		if (w->ios[op] >= HCV_LAT_MIN_IOS)
			return w->ms >= HCV_LAT_WINDOW_MS;
	return false;
}

struct hcv_lat_range hcv_lat_bucket(unsigned int bucket)
{
	struct hcv_lat_range r = { 1ULL << bucket, 2ULL << bucket };

	if (!bucket)
		r.lo = 0;
	if (bucket >= HCV_HIST_BUCKETS - 1)
		r.hi = UINT64_MAX;
	return r;
}

static uint64_t lat_total(const uint64_t *hist)
{
	uint64_t total = 0;
	int i;

	for (i = 0; i < HCV_HIST_BUCKETS; i++)
		total += hist[i];
	return total;
}

/* The bucket of the I/O that is number @rank, from 1, by latency. */
static int lat_at(const uint64_t *hist, uint64_t rank)
{
	uint64_t seen = 0;
	int i;

	for (i = 0; i < HCV_HIST_BUCKETS - 1; i++) {
		seen += hist[i];
		if (seen >= rank)
			break;
	}
	return i;
}

/* In two parts, or the product would not fit. */
static uint64_t lat_rank(uint64_t total, unsigned int permille)
{
	return total / 1000 * permille +
	       (total % 1000 * permille + 999) / 1000;
}

int hcv_lat_percentile(const uint64_t *hist, unsigned int permille)
{
	uint64_t total = lat_total(hist);

	return total ? lat_at(hist, lat_rank(total, permille)) : -1;
}

/* Rounded up. */
static uint64_t lat_sqrt(uint64_t n)
{
	uint64_t root = 0, bit;

	for (bit = 1ULL << 31; bit; bit >>= 1)
		if ((root + bit) * (root + bit) <= n)
			root += bit;
	return root + (root * root < n);
}

/*
 * The rank of the 95th percentile is a guess with a binomial error.  One
 * standard deviation below it: of 20 I/Os three have to be slow, not two.
 */
static int lat_sure(const uint64_t *hist)
{
	uint64_t total = lat_total(hist);
	uint64_t error = lat_sqrt(total / 400 * 19 +
				  (total % 400 * 19 + 399) / 400);

	return lat_at(hist, lat_rank(total, HCV_LAT_PERMILLE) - error);
}

void hcv_lat_note_none(struct hcv_lat_note *note)
{
	memset(note, 0, sizeof(*note));
	memset(note->p95, HCV_LAT_UNKNOWN, sizeof(note->p95));
	memset(note->sure, HCV_LAT_UNKNOWN, sizeof(note->sure));
}

void hcv_lat_note(const struct hcv_lat_window *w, struct hcv_lat_note *note)
{
	uint64_t kib = w->bytes >> 10;
	unsigned int op;

	hcv_lat_note_none(note);
	for (op = 0; op < HCV_LAT_OPS; op++) {
		if (w->ios[op] < HCV_LAT_MIN_IOS)
			continue;
		note->p95[op] = (int8_t)hcv_lat_percentile(w->hist[op],
							   HCV_LAT_PERMILLE);
		note->sure[op] = (int8_t)lat_sure(w->hist[op]);
	}
	if (w->ms < 1)
		return;
	kib = kib / (uint64_t)w->ms * 1000 +
	      kib % (uint64_t)w->ms * 1000 / (uint64_t)w->ms;
	for (; kib; kib >>= 1)
		note->load++;
}

static int lat_cmp(const void *a, const void *b)
{
	return (int)*(const uint8_t *)a - (int)*(const uint8_t *)b;
}

/*
 * Of an even number the upper one of the two in the middle: who is compared
 * with two has to be slower than both.
 */
static unsigned int lat_median(uint8_t *v, size_t nr)
{
	qsort(v, nr, sizeof(*v), lat_cmp);
	return v[nr / 2];
}

#define LAT_PEERS	1024	/* more say nothing that these do not */

struct lat_peers {
	uint8_t p95[LAT_PEERS];
	uint8_t load[LAT_PEERS];
	size_t nr;
};

static void lat_collect(struct lat_peers *p, enum hcv_lat_op op,
			const struct hcv_lat_note *peer, size_t nr)
{
	size_t i;

	p->nr = 0;
	for (i = 0; i < nr && p->nr < LAT_PEERS; i++) {
		if (peer[i].p95[op] < 0)
			continue;
		p->p95[p->nr] = (uint8_t)peer[i].p95[op];
		p->load[p->nr++] = peer[i].load;
	}
}

static enum hcv_lat_mark lat_judge_op(enum hcv_lat_class class,
				      enum hcv_lat_op op,
				      const struct hcv_lat_note *own,
				      struct lat_peers *p,
				      struct hcv_lat_why *why)
{
	struct hcv_lat_range mine, median;

	if (own->sure[op] < 0)
		return HCV_LAT_NONE;
	mine = hcv_lat_bucket((unsigned int)own->sure[op]);
	if (mine.lo < lat_floor_us[class][op])
		return HCV_LAT_FINE;
	if (p->nr < HCV_LAT_MIN_PEERS)
		return HCV_LAT_NONE;
	median = hcv_lat_bucket(lat_median(p->p95, p->nr));
	if (mine.lo / HCV_LAT_FACTOR < median.hi)
		return HCV_LAT_FINE;
	if (own->load > lat_median(p->load, p->nr) + HCV_LAT_BUSY)
		return HCV_LAT_NONE;
	if (why)
		*why = (struct hcv_lat_why){ op, mine, median, p->nr };
	return HCV_LAT_SLOW;
}

enum hcv_lat_mark hcv_lat_judge(enum hcv_lat_class class,
				const struct hcv_lat_note *own,
				const struct hcv_lat_note *peer, size_t nr,
				struct hcv_lat_why *why)
{
	enum hcv_lat_mark mark, worst = HCV_LAT_NONE;
	struct lat_peers p;
	unsigned int op;

	for (op = 0; op < HCV_LAT_OPS && worst != HCV_LAT_SLOW; op++) {
		lat_collect(&p, op, peer, nr);
		mark = lat_judge_op(class, op, own, &p, why);
		if (mark > worst)
			worst = mark;
	}
	return worst;
}

void hcv_lat_history_add(struct hcv_lat_history *h, enum hcv_lat_mark mark)
{
	h->slow = h->slow << 1 | (mark == HCV_LAT_SLOW);
	if (mark == HCV_LAT_SLOW)
		h->fine = 0;
	else if (mark == HCV_LAT_FINE && h->fine < UINT32_MAX)
		h->fine++;
}

bool hcv_lat_history_slow(const struct hcv_lat_history *h)
{
	uint32_t recent = h->slow & ((1U << HCV_LAT_WINDOWS) - 1);

	return __builtin_popcount(recent) >= HCV_LAT_BAD;
}

enum hcv_lat_class hcv_lat_class(const char *class)
{
	return strcmp(class, "hdd") ? HCV_LAT_SSD : HCV_LAT_HDD;
}

const char *hcv_lat_op_name(enum hcv_lat_op op)
{
	static const char *const name[HCV_LAT_OPS] = {
		[HCV_LAT_READ] = "reads",
		[HCV_LAT_WRITE] = "writes",
		[HCV_LAT_FLUSH] = "flushes",
	};

	return op < HCV_LAT_OPS ? name[op] : "I/Os";
}
