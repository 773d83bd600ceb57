// SPDX-License-Identifier: GPL-2.0-only
/*
 * One limit made into many: max-min fair.  Who wants less than an equal part
 * gets what it wants, what is left is divided among the others, and again.
 */
#include "throttle.h"

#define WANT_ALL	UINT64_MAX

/* What a volume can use, all its resyncs together. */
static uint64_t share_wants(const struct hcv_thr_share *s, uint64_t part)
{
	uint64_t want = WANT_ALL, had, most;

	had = (uint64_t)s->had_kibps * s->streams;
	if (had && s->used_kibps * 100 <= had * HCV_THR_USED_PCT) {
		/* Clear of the mark, or it would go to and fro across it. */
		want = s->used_kibps + s->used_kibps / 2;
		if (want < part / 4)
			want = part / 4;
	}
	most = (uint64_t)s->cap_kibps * s->streams;
	if (s->cap_kibps && most < want)
		want = most;
	return want;
}

/* Give those that want at most @part what they want; how many they were. */
static size_t share_modest(struct hcv_thr_share *s, size_t nr, uint64_t equal,
			   uint64_t part, uint64_t *left)
{
	uint64_t want;
	size_t i, given = 0;

	for (i = 0; i < nr; i++) {
		if (s[i].kibps)
			continue;
		want = share_wants(&s[i], equal);
		if (want > part)
			continue;
		s[i].kibps = (uint32_t)(want / s[i].streams);
		if (!s[i].kibps)
			s[i].kibps = 1;
		want = (uint64_t)s[i].kibps * s[i].streams;
		*left -= want < *left ? want : *left;
		given++;
	}
	return given;
}

/* All are content: what is left does no harm where it may be used. */
static void share_rest(struct hcv_thr_share *s, size_t nr, uint64_t left)
{
	size_t i, open = 0;
	uint64_t more, most;

	for (i = 0; i < nr; i++)
		open += !s[i].cap_kibps || s[i].kibps < s[i].cap_kibps;
	for (i = 0; i < nr; i++) {
		if (s[i].cap_kibps && s[i].kibps >= s[i].cap_kibps)
			continue;
		more = left / open / s[i].streams;
		most = s[i].cap_kibps ? s[i].cap_kibps - s[i].kibps : more;
		s[i].kibps += (uint32_t)(more < most ? more : most);
	}
}

void hcv_thr_divide(uint32_t limit_kibps, struct hcv_thr_share *s, size_t nr)
{
	uint64_t left = limit_kibps, equal, part;
	size_t i, more = nr, given;

	if (!nr)
		return;
	for (i = 0; i < nr; i++)
		s[i].kibps = 0;
	equal = left / nr;
	do {
		part = left / more;
		given = share_modest(s, nr, equal, part, &left);
		more -= given;
	} while (given && more);
	if (!more)
		share_rest(s, nr, left);
	for (i = 0; i < nr; i++) {
		if (s[i].kibps)
			continue;
		s[i].kibps = (uint32_t)(part / s[i].streams);
		/* 0 would be no limit at all */
		if (!s[i].kibps)
			s[i].kibps = 1;
	}
}
