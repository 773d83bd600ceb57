/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests: records with temporary replicas as text, and rows.
 *
 * "S1 e3 v7 Ai5 Bs3 Dt3B!": phase (None, Taking, Serving) and owner, epoch, v,
 * then c (clean) or w (was clean), x without activity logs, l7 with lineage 7 (1
 * if nothing is said), bl with what was known before (clean, by logs, nothing),
 * then each store with its state (in-sync, stale, y for syncing, temporary, p for
 * stale and passed over) and v; of a temporary one its base and ! with the mark, =
 * as half of a pair, + if rows may name it.  format() leaves out what is of the
 * time before.
 */
#ifndef HCV_AGENT_CORE_RECORD_TEMP_FIX_H
#define HCV_AGENT_CORE_RECORD_TEMP_FIX_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record_temp.h"

/* The UUID for a letter or digit. */
static const char *id(char c)
{
	static char ids[128][HCV_ID_LEN];

	snprintf(ids[(int)c], HCV_ID_LEN,
		 "%08x-0000-4000-8000-00000000000a", (unsigned int)c);
	return ids[(int)c];
}

static char letter(const char *uuid)
{
	return *uuid ? (char)strtoul(uuid, NULL, 16) : '-';
}

static __attribute__((unused))
struct hcv_rec_ids ids_of(const char *letters, const char **list)
{
	struct hcv_rec_ids ids = { list, 0 };

	for (; letters && *letters; letters++)
		list[ids.nr++] = id(*letters);
	return ids;
}

static void parse_store(struct hcv_rec_store *st, const char *t)
{
	static const char states[] = "isyt";
	char *end;

	strcpy(st->store, id(t[0]));
	st->passed = t[1] == 'p';
	st->state = st->passed ? HCV_RS_STALE :
		    (enum hcv_rec_sstate)(strchr(states, t[1]) - states);
	st->v = strtoull(t + 2, &end, 10);
	if (*end >= 'A')
		strcpy(st->base, id(*end));
	st->pair = strchr(end, '=');
	st->covers = st->pair || strchr(end, '!');
	st->named = strchr(end, '+');
}

static __attribute__((unused))
struct hcv_record parse(const char *text)
{
	struct hcv_record r = { .lineage = 1, .log = true };
	char *copy = strdup(text), *save, *t;

	t = strtok_r(copy, " ", &save);
	r.phase = t[0] == 'N' ? HCV_PH_NONE :
		  t[0] == 'T' ? HCV_PH_TAKING : HCV_PH_SERVING;
	if (t[1])
		strcpy(r.owner, id(t[1]));
	while ((t = strtok_r(NULL, " ", &save))) {
		if (*t == 'e')
			r.epoch = strtoull(t + 1, NULL, 10);
		else if (*t == 'v')
			r.v = strtoull(t + 1, NULL, 10);
		else if (*t == 'c')
			r.clean = true;
		else if (*t == 'w')
			r.was_clean = true;
		else if (*t == 'x')
			r.log = false;
		else if (*t == 'l')
			r.lineage = strtoull(t + 1, NULL, 10);
		else if (*t == 'b')
			r.before = t[1] == 'c' ? HCV_RB_CLEAN :
				   t[1] == 'l' ? HCV_RB_LOG : HCV_RB_NOLOG;
		else
			parse_store(&r.st[r.nr++], t);
	}
	free(copy);
	return r;
}

static __attribute__((unused))
void format(const struct hcv_record *r, char *out, size_t size)
{
	const struct hcv_rec_store *st;
	size_t len, i;

	len = (size_t)snprintf(out, size, "%c", "NTS"[r->phase]);
	if (*r->owner)
		len += (size_t)snprintf(out + len, size - len, "%c",
					letter(r->owner));
	len += (size_t)snprintf(out + len, size - len, " e%llu v%llu%s%s",
				(unsigned long long)r->epoch,
				(unsigned long long)r->v,
				r->clean ? " c" : "", r->was_clean ? " w" : "");
	if (!r->log)
		len += (size_t)snprintf(out + len, size - len, " x");
	if (r->lineage != 1)
		len += (size_t)snprintf(out + len, size - len, " l%llu",
					(unsigned long long)r->lineage);
	for (i = 0; i < r->nr; i++) {
		st = &r->st[i];
		len += (size_t)snprintf(out + len, size - len, " %c%c%llu",
					letter(st->store), "isyt"[st->state],
					(unsigned long long)st->v);
		if (*st->base)
			len += (size_t)snprintf(out + len, size - len, "%c%s%s",
						letter(st->base),
						st->pair ? "=" :
						st->covers ? "!" : "",
						st->named ? "+" : "");
	}
}

/*
 * "AB,BC": two rows, at most 16; a store in lower case does not have it in
 * full.
 */
static void rows_of(const char *text, struct hcv_row *row,
		    struct hcv_rows *rows)
{
	memset(rows, 0, sizeof(*rows));
	memset(row, 0, 16 * sizeof(*row));
	rows->row = row;
	rows->nr = 1;
	for (; *text; text++) {
		if (*text == ',') {
			row++;
			row->index = (uint32_t)rows->nr++;
			continue;
		}
		if (*text < 'a')
			row->full |= (uint8_t)(1U << row->nr);
		strcpy(row->store[row->nr++], id(*text & ~32));
	}
	rows->next = (uint32_t)rows->nr;
}

#endif /* HCV_AGENT_CORE_RECORD_TEMP_FIX_H */
