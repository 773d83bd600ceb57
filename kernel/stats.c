// SPDX-License-Identifier: GPL-2.0-only
/*
 * Adding up counters.  See stats.h.
 */
#include "stats.h"

#include <linux/string.h>

#define STATS_WORDS	(sizeof(struct hcv_stats) / sizeof(u64))

static u64 stats_word(struct hcv_stats __percpu *stats, size_t i)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(((u64 *)per_cpu_ptr(stats, cpu))[i]);
	return sum;
}

void hcv_stats_sum(struct hcv_stats __percpu *stats, struct hcv_stats *sum)
{
	size_t i;

	BUILD_BUG_ON(sizeof(struct hcv_stats) % sizeof(u64));
	for (i = 0; i < STATS_WORDS; i++)
		((u64 *)sum)[i] = stats_word(stats, i);
}

int hcv_stats_group_init(struct hcv_stats_group *group)
{
	mutex_init(&group->lock);
	INIT_LIST_HEAD(&group->parts);
	group->own = alloc_percpu(struct hcv_stats);
	return group->own ? 0 : -ENOMEM;
}

void hcv_stats_group_exit(struct hcv_stats_group *group)
{
	WARN_ON_ONCE(!list_empty(&group->parts));
	free_percpu(group->own);
	mutex_destroy(&group->lock);
}

void hcv_stats_join(struct hcv_stats_group *group, struct hcv_stats_part *part,
		    struct hcv_stats __percpu *stats)
{
	part->stats = stats;
	hcv_stats_sum(stats, &part->base);
	mutex_lock(&group->lock);
	list_add_tail(&part->node, &group->parts);
	mutex_unlock(&group->lock);
}

static u64 stats_part_word(struct hcv_stats_part *part, size_t i)
{
	return stats_word(part->stats, i) - ((u64 *)&part->base)[i];
}

void hcv_stats_leave(struct hcv_stats_group *group, struct hcv_stats_part *part)
{
	u64 __percpu *own = (u64 __percpu *)group->own;
	size_t i;

	mutex_lock(&group->lock);
	list_del(&part->node);
	for (i = 0; i < STATS_WORDS; i++)
		this_cpu_add(own[i], stats_part_word(part, i));
	mutex_unlock(&group->lock);
}

void hcv_stats_group_sum(struct hcv_stats_group *group, struct hcv_stats *sum)
{
	struct hcv_stats_part *part;
	size_t i;

	mutex_lock(&group->lock);
	hcv_stats_sum(group->own, sum);
	list_for_each_entry(part, &group->parts, node)
		for (i = 0; i < STATS_WORDS; i++)
			((u64 *)sum)[i] += stats_part_word(part, i);
	mutex_unlock(&group->lock);
}
