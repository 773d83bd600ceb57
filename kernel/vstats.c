// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters and latency histograms of a volume, per CPU.
 */
#include <linux/log2.h>
#include <linux/percpu.h>

#include "volume.h"

struct hcv_vstats {
	struct hcv_vstats_sum sum;
};

int hcv_vstats_create(struct hcv_vol *vol)
{
	vol->stats = alloc_percpu(struct hcv_vstats);
	return vol->stats ? 0 : -ENOMEM;
}

void hcv_vstats_destroy(struct hcv_vol *vol)
{
	free_percpu(vol->stats);
}

void hcv_vstats_account(struct hcv_vol *vol, const struct hcv_io *io, s64 now,
			blk_status_t status)
{
	u64 us = (u64)(now - (s64)io->start_ns) >> 10;
	struct hcv_vstats *st;
	unsigned int bucket;

	bucket = us < 2 ? 0 : min_t(unsigned int, ilog2(us),
				    HCV_HIST_BUCKETS - 1);
	st = get_cpu_ptr(vol->stats);
	st->sum.ios[io->op]++;
	st->sum.bytes[io->op] += io->len;
	if (unlikely(status))
		st->sum.errors++;
	if (io->op <= HCV_IO_FLUSH)
		st->sum.hist[io->op][bucket]++;
	put_cpu_ptr(vol->stats);
}

void hcv_vstats_sum(struct hcv_vol *vol, struct hcv_vstats_sum *sum)
{
	u64 *to = (u64 *)sum;
	size_t i;
	int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		u64 *from = (u64 *)&per_cpu_ptr(vol->stats, cpu)->sum;

		for (i = 0; i < sizeof(*sum) / sizeof(u64); i++)
			to[i] += READ_ONCE(from[i]);
	}
}
