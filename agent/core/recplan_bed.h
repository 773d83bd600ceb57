/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests of the recovery planner: clusters as text.
 *
 * A store of a table is "NODE[/RACK]:USED of 100"; its letter is its place in
 * the list.  Before it "!": away for long, "?": away since just now, "x": failed
 * for long, "-": to be emptied, "+": suspect.  A volume is "OWNER REPLICAS+DOMAIN ROWS", with
 * "." for no owner and d, n or r for the domain.  ".1" is attached nowhere, node 1
 * takes care of it, ".1l" is just giving it up; ">2" after the owner: node 2 is
 * named to.  In a row a small letter is a
 * replica that has been stale for long, "(A)" one that is syncing, "~A" one that
 * is stale since just now; "*N" after it repeats the row.  A job is
 * "VOLUME KIND FROM>TO", with "!" before it if its owner gave up.
 */
#ifndef HCV_AGENT_CORE_RECPLAN_BED_H
#define HCV_AGENT_CORE_RECPLAN_BED_H

#include <kunit/test.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recplan.h"

#define NOW_MS	100000000
#define STORES	16
#define NODES	10
#define VOLS	8
#define JOBS	8

struct plan_case {
	const char *name;
	const char *stores;
	const char *vols;	/* separated by ";" */
	const char *jobs;	/* the same */
	const char *start;	/* "0 repair A>C; ..." */
	const char *cancel;	/* numbers of jobs, "!" before: blamed */
	const char *why;	/* "KIND: part of the reason" of what waits */
	unsigned int flags;
};

#define PAUSED		1	/* recovery is */
#define YOUNG		2	/* owners are new */
#define AVOID_C		4	/* store C failed to be filled a moment ago */
#define CAP1		8	/* one job for each node and store */
#define NODE_AWAY	16	/* node 1 is */
#define CAP_STORE	32	/* one for each store */
#define LEFT_C		64	/* volume 0 left store C */
#define NODE_PAUSED	128	/* node 1 is */
#define NODE_OLD	256	/* node 1 cannot take care of volumes */
#define NODE_DRAINS	512	/* node 1 is to be emptied */

/* ------------------------------------------------------------ the language */

struct bed {
	struct hcv_rp_in in;
	struct hcv_rp_node node[NODES];
	struct hcv_rp_store store[STORES];
	struct hcv_rp_vol vol[VOLS];
	struct hcv_rp_job job[JOBS];
	struct hcv_rp_left left;
	struct hcv_rp_mem *mem;
};

static void bed_id(char *out, unsigned int kind, unsigned int n)
{
	snprintf(out, HCV_ID_LEN, "%08u-0000-4000-8000-%012u", kind, n);
}

static void bed_stores(struct bed *b, const char *s)
{
	struct hcv_rp_store *st = b->store;
	unsigned int node, used;
	char rack[8];
	int n, r;

	for (; *s; s += n) {
		for (; strchr(" !?x-+", *s); s++) {
			st->failed |= *s == 'x';
			st->empty |= *s == '-';
			st->ailing |= *s == '+';
			if (*s == '!' || *s == 'x')
				st->gone_ms = 1;
			if (*s == '?')
				st->gone_ms = NOW_MS - 1000;
		}
		rack[0] = 0;
		n = 0;
		r = sscanf(s, "%u:%u%n", &node, &used, &n);
		if (r != 2)
			sscanf(s, "%u/%7[^:]:%u%n", &node, rack, &used, &n);
		bed_id(st->id, 2, (unsigned int)(st - b->store));
		st->live = !st->gone_ms || st->failed;
		st->node = (int)node;
		st->total = 100;
		st->used = used;
		strcpy(b->node[node].rack, rack);
		st++;
	}
	b->in.nr_stores = (size_t)(st - b->store);
}

struct rows_bed {
	struct hcv_record rec;
	struct hcv_rows rows;
	bool stale[HCV_REC_STORES];	/* for long */
};

static void bed_share(struct rows_bed *r, struct bed *b, struct hcv_row *row,
		      char letter, char mark)
{
	const char *id = b->store[toupper(letter) - 'A'].id;
	size_t i;

	for (i = 0; i < r->rec.nr; i++)
		if (!strcmp(r->rec.st[i].store, id))
			break;
	if (i == r->rec.nr) {
		strcpy(r->rec.st[r->rec.nr++].store, id);
		r->rec.st[i].state = HCV_RS_INSYNC;
	}
	if (islower(letter) || mark == '~')
		r->rec.st[i].state = HCV_RS_STALE;
	if (mark == '(')
		r->rec.st[i].state = HCV_RS_SYNCING;
	r->stale[i] |= islower(letter);
	row->full |= 1U << row->nr;
	strcpy(row->store[row->nr++], id);
}

static void bed_rows(struct rows_bed *r, struct bed *b, const char *s)
{
	struct hcv_row row = { 0 };
	unsigned int times = 1;
	char mark = 0;

	for (; *s && *s != '*'; s++) {
		if (isalpha(*s)) {
			bed_share(r, b, &row, *s, mark);
			mark = 0;
		} else {
			mark = *s;
		}
	}
	if (*s == '*')
		times = (unsigned int)atoi(s + 1);
	r->rows.row = realloc(r->rows.row, (r->rows.nr + times) * sizeof(row));
	while (times--) {
		row.index = r->rows.next++;
		r->rows.row[r->rows.nr++] = row;
	}
}

static void bed_vol(struct kunit *test, struct bed *b, char *s)
{
	struct hcv_rp_vol *vol = &b->vol[b->in.nr_vols];
	struct rows_bed r = { 0 };
	char *word, *save;
	size_t i;

	bed_id(vol->id, 3, (unsigned int)b->in.nr_vols++);
	word = strtok_r(s, " ", &save);
	vol->free = *word == '.';
	word += vol->free;
	vol->owner = isdigit(*word) ? atoi(word) : -1;
	vol->leaving = strchr(word, 'l');
	vol->has_care = strchr(word, '>');
	vol->named = vol->has_care ? atoi(strchr(word, '>') + 1) : -1;
	vol->owner_ms = vol->owner < 0 ? 0 : 1;
	word = strtok_r(NULL, " ", &save);
	vol->replicas = (unsigned int)(word[0] - '0');
	vol->domain = word[1] == 'd' ? HCV_DOM_DISK :
		      word[1] == 'n' ? HCV_DOM_NODE : HCV_DOM_RACK;
	while ((word = strtok_r(NULL, " ", &save)))
		bed_rows(&r, b, word);
	KUNIT_ASSERT_EQ(test, hcv_recplan_vol(&b->in, &r.rec, &r.rows, vol), 0);
	for (i = 0; i < vol->nr; i++) {
		const struct hcv_rp_store *st = &b->store[vol->share[i].store];

		if (vol->share[i].state == HCV_RS_STALE && st->live &&
		    !st->failed)
			vol->share[i].stale_ms = r.stale[i] ? 1 : NOW_MS - 1000;
	}
	free(r.rows.row);
}

static void bed_job(struct bed *b, const char *s)
{
	struct hcv_rp_job *job = &b->job[b->in.nr_jobs++];
	char kind[16], from, to = 0;
	unsigned int vol;

	while (*s == ' ' || *s == '!')
		job->failed |= *s++ == '!';
	if (sscanf(s, "%u %15s %c>%c", &vol, kind, &from, &to) < 3)
		abort();
	strcpy(job->vol, b->vol[vol].id);
	strcpy(job->from, b->store[from - 'A'].id);
	if (to)
		strcpy(job->to, b->store[to - 'A'].id);
	job->kind = (enum hcv_rp_kind)hcv_recplan_kind_parse(kind);
}

static void bed_make(struct kunit *test, struct bed *b,
		     const struct plan_case *c)
{
	char text[512], *one, *save;
	size_t i;

	memset(b, 0, sizeof(*b));
	hcv_recplan_defaults(&b->in.cfg);
	b->in.now_ms = NOW_MS;
	b->in.node = b->node;
	b->in.store = b->store;
	b->in.vol = b->vol;
	b->in.job = b->job;
	b->in.nr_nodes = NODES;
	b->mem = hcv_recplan_mem_new();
	b->in.mem = b->mem;
	for (i = 0; i < NODES; i++) {
		bed_id(b->node[i].id, 1, (unsigned int)i);
		b->node[i].live = !(c->flags & NODE_AWAY) || i != 1;
		b->node[i].paused = c->flags & NODE_PAUSED && i == 1;
		b->node[i].able = !(c->flags & NODE_OLD) || i != 1;
		b->node[i].draining = c->flags & NODE_DRAINS && i == 1;
	}
	bed_stores(b, c->stores);
	strcpy(text, c->vols);
	for (one = strtok_r(text, ";", &save); one;
	     one = strtok_r(NULL, ";", &save)) {
		char copy[512];

		strcpy(copy, one);
		bed_vol(test, b, copy);
	}
	strcpy(text, c->jobs ? c->jobs : "");
	for (one = strtok_r(text, ";", &save); one;
	     one = strtok_r(NULL, ";", &save))
		bed_job(b, one);
	b->in.cfg.paused = c->flags & PAUSED;
	for (i = 0; i < b->in.nr_vols && c->flags & YOUNG; i++)
		b->vol[i].owner_ms = NOW_MS - 1000;
	if (c->flags & AVOID_C)
		hcv_recplan_failed(b->mem, b->vol[0].id, b->store[2].id,
				   NOW_MS - 1000);
	if (c->flags & LEFT_C) {
		strcpy(b->left.vol, b->vol[0].id);
		strcpy(b->left.store, b->store[2].id);
		b->in.left = &b->left;
		b->in.nr_left = 1;
	}
	if (c->flags & CAP1)
		b->in.cfg.per_node = 1;
	if (c->flags & (CAP1 | CAP_STORE))
		b->in.cfg.per_store = 1;
}

static void bed_free(struct bed *b)
{
	size_t i;

	for (i = 0; i < b->in.nr_vols; i++)
		hcv_recplan_vol_free(&b->vol[i]);
	hcv_recplan_mem_free(b->mem);
}

#endif /* HCV_AGENT_CORE_RECPLAN_BED_H */
