/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What record.c and record_temp.c share with each other and nobody else.
 *
 * Sets of stores are bit masks over the places in the record.
 */
#ifndef HCV_AGENT_CORE_RECORD_PRIV_H
#define HCV_AGENT_CORE_RECORD_PRIV_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "record.h"

/* The largest that its JSON holds. */
#define NUMBER_MAX (UINT64_MAX - 1)

static __attribute__((unused, format(printf, 3, 4)))
int fail(char *err, int ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, HCV_ERR_SIZE, fmt, ap);
	va_end(ap);
	return ret;
}

static inline int place_of(const struct hcv_record *r, const char *store)
{
	size_t i;

	for (i = 0; i < r->nr; i++)
		if (!strcmp(r->st[i].store, store))
			return (int)i;
	return -1;
}

static inline uint32_t bit_of(const struct hcv_record *r, const char *store)
{
	int i = place_of(r, store);

	return i < 0 ? 0 : 1U << i;
}

static inline uint32_t insync_mask(const struct hcv_record *r)
{
	uint32_t mask = 0;
	size_t i;

	for (i = 0; i < r->nr; i++)
		if (r->st[i].state == HCV_RS_INSYNC)
			mask |= 1U << i;
	return mask;
}

/* The stores that have all of a row. */
static inline uint32_t row_mask(const struct hcv_record *r,
				const struct hcv_row *row)
{
	uint32_t mask = 0;
	size_t i;

	for (i = 0; i < row->nr; i++)
		if (row->full & (1U << i))
			mask |= bit_of(r, row->store[i]);
	return mask;
}

/* What an owner found is its own business: the next one finds something else. */
static inline void end_before(struct hcv_record *r)
{
	size_t i;

	if (r->phase != HCV_PH_SERVING)
		r->before = HCV_RB_UNKNOWN;
	for (i = 0; i < r->nr; i++)
		if (!r->before || r->st[i].state != HCV_RS_STALE)
			r->st[i].passed = false;
}

/* The way out of every transition: v grows, and the result must be right. */
static inline int commit(struct hcv_record *r, struct hcv_record *new,
			 char *err)
{
	int ret;

	end_before(new);
	if (new->v >= NUMBER_MAX)
		return fail(err, -EOVERFLOW, "v cannot grow any more");
	new->v++;
	ret = hcv_record_check(new, err);
	if (!ret)
		*r = *new;
	return ret;
}

/** hcv_rec_mask() - the stores of a list; those not in the record are left out */
uint32_t hcv_rec_mask(const struct hcv_record *r, struct hcv_rec_ids ids);

/** hcv_rec_taking() - 0, or -EPERM: @node is not taking the volume over */
int hcv_rec_taking(const struct hcv_record *r, const char *node, char *err);

/**
 * hcv_rec_choose() - who is to be in-sync after a take-over
 * @confirmed: stores that granted the record's epoch
 * @local: stores of the owner's node, preferred when one is elected
 * @set: the place of the temporary replica stands for the pair
 *
 * Return: 0; -EAGAIN, -EXDEV, -ENOMEM with a sentence.
 */
int hcv_rec_choose(const struct hcv_record *r, uint32_t confirmed,
		   uint32_t local, const struct hcv_rows *rows, uint32_t *set,
		   char *err);

/**
 * hcv_rec_choose_pair() - the same, the pair for each extent of its base
 *
 * Whether the pair may be elected is not looked at.
 */
int hcv_rec_choose_pair(const struct hcv_record *r, uint32_t confirmed,
			uint32_t local, const struct hcv_rows *rows,
			uint32_t *set, char *err);

/**
 * struct hcv_rec_as - how a volume is going to be served
 * @log: the owner's module keeps activity logs
 * @lineage: a new one, by force: nobody else is to be trusted; 0: the old one
 */
struct hcv_rec_as {
	bool log;
	uint64_t lineage;
};

/** hcv_rec_serve_as() - taking to serving with the chosen @set, v + 1 */
int hcv_rec_serve_as(struct hcv_record *r, uint32_t set,
		     const struct hcv_rec_as *as, char *err);

/** hcv_rec_temp_check() - what hcv_record_check() asks of a temporary replica */
int hcv_rec_temp_check(const struct hcv_record *r, char *err);

/** hcv_rec_temp_leave() - in a change under way: no temporary replica any more */
void hcv_rec_temp_leave(struct hcv_record *new);

/** hcv_rec_temp_place() - of the temporary replica, -1: there is none */
int hcv_rec_temp_place(const struct hcv_record *r);

/**
 * hcv_rec_temp_ready() - whether the pair may be elected
 * @confirmed: stores that granted the record's epoch
 *
 * Return: 0; -EAGAIN with a sentence.
 */
int hcv_rec_temp_ready(const struct hcv_record *r, uint32_t confirmed,
		       char *err);

/** hcv_rec_temp_mates() - stores that have some extent of the base in full */
uint32_t hcv_rec_temp_mates(const struct hcv_record *r,
			    const struct hcv_rows *rows);

#endif /* HCV_AGENT_CORE_RECORD_PRIV_H */
