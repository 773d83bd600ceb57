// SPDX-License-Identifier: GPL-2.0-only
/*
 * Placement: a table of clusters and wishes, and the rules that hold for every
 * random one.
 *
 * A store of a table is "NODE[/RACK]:USED of 100"; its letter is its place in
 * the list.  "!" before it: not live, "-": not ready.
 */
#include <kunit/test.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "placement.h"
#include "record.h"

#define STORES 12

struct place_case {
	const char *name;
	const char *stores;
	unsigned int replicas;
	unsigned int stripe;
	enum hcv_domain domain;
	const char *owner;
	const char *rows;	/* "AB0 CD1": stores and column of each row */
	unsigned int column;
	bool degraded;
	const char *want;	/* letters, or "" for no place */
	const char *why;	/* part of the reason */
};

static const struct place_case place_cases[] = {
	{ "one store", "1:0", 1, 1, HCV_DOM_DISK, "1", "", 0, false, "A" },
	{ "owner first", "2:0 1:0 3:0", 2, 1, HCV_DOM_NODE, "1", "", 0, false,
	  "BA" },
	{ "owner first although fuller", "2:0 1:60 3:0", 2, 1, HCV_DOM_NODE,
	  "1", "", 0, false, "BA" },
	{ "owner first in the middle tier", "2:0 1:80 3:0", 2, 1,
	  HCV_DOM_NODE, "1", "", 0, false, "BA" },
	{ "owner nearly full", "2:0 1:95 3:10", 2, 1, HCV_DOM_NODE, "1", "",
	  0, false, "AC" },
	{ "owner full", "2:0 1:100 3:10", 2, 1, HCV_DOM_NODE, "1", "", 0,
	  false, "AC" },
	{ "everything nearly full", "2:95 1:96 3:91", 2, 1, HCV_DOM_NODE, "1",
	  "", 0, false, "CA" },
	{ "no owner: by free space", "1:30 2:20 3:10", 2, 1, HCV_DOM_NODE, "",
	  "", 0, false, "CB" },
	{ "other disk of the owner", "1:95 1:10 2:0", 2, 1, HCV_DOM_NODE, "1",
	  "", 0, false, "BC" },
	{ "below 75 %: where the volume is", "1:10 2:60 3:10", 2, 1,
	  HCV_DOM_NODE, "1", "AB0", 0, false, "AB" },
	{ "above 75 %: balance remote ones", "1:10 2:76 3:10", 2, 1,
	  HCV_DOM_NODE, "1", "AB0", 0, false, "AC" },
	{ "both above 75 %: the emptier", "1:10 2:85 3:80", 2, 1,
	  HCV_DOM_NODE, "1", "AB0", 0, false, "AC" },
	{ "disk domain prefers other nodes", "1:0 1:0 2:50", 2, 1,
	  HCV_DOM_DISK, "1", "", 0, false, "AC" },
	{ "disk domain on one node", "1:0 1:10 1:20", 2, 1, HCV_DOM_DISK, "1",
	  "", 0, false, "AB" },
	{ "node domain, one node", "1:0 1:0", 2, 1, HCV_DOM_NODE, "1", "", 0,
	  false, "", "there is 1" },
	{ "node domain, one node has room", "1:0 2:100", 2, 1, HCV_DOM_NODE,
	  "1", "", 0, false, "", "1 of 2 has any left" },
	{ "node domain prefers other racks", "1/a:0 2/a:0 3/b:50", 2, 1,
	  HCV_DOM_NODE, "1", "", 0, false, "AC" },
	{ "rack domain", "1/a:0 2/a:0 3/b:50", 2, 1, HCV_DOM_RACK, "1", "", 0,
	  false, "AC" },
	{ "rack domain, too few", "1/a:0 2/a:0", 2, 1, HCV_DOM_RACK, "1", "",
	  0, false, "", "racks" },
	{ "no rack given: the node is one", "1:0 2/a:0 3:50", 3, 1,
	  HCV_DOM_RACK, "1", "", 0, false, "ABC" },
	{ "three replicas", "1:0 2:0 3:0", 3, 1, HCV_DOM_NODE, "3", "", 0,
	  false, "CAB" },
	{ "draining is no place", "1:0 -2:0 3:70", 2, 1, HCV_DOM_NODE, "1",
	  "", 0, false, "AC" },
	{ "dead is no place", "1:0 !2:0 3:70", 2, 1, HCV_DOM_NODE, "1", "", 0,
	  false, "AC" },
	{ "dead, none left", "1:0 !2:0", 2, 1, HCV_DOM_NODE, "1", "", 0,
	  false, "", "there is 1" },
	{ "degraded takes the dead one", "1:0 !2:0", 2, 1, HCV_DOM_NODE, "1",
	  "", 0, true, "AB" },
	{ "degraded prefers live ones", "1:0 !2:0 3:80", 2, 1, HCV_DOM_NODE,
	  "1", "AB0", 0, true, "AC" },
	{ "degraded needs one live", "!1:0 !2:0", 2, 1, HCV_DOM_NODE, "1", "",
	  0, true, "", "live" },
	{ "degraded, draining is still no place", "1:0 -2:0", 2, 1,
	  HCV_DOM_NODE, "1", "", 0, true, "", "there is 1" },
	{ "columns on different disks", "1:0 1:0 1:0 1:0", 1, 4, HCV_DOM_DISK,
	  "1", "A0", 1, false, "B" },
	{ "third column", "1:0 1:0 1:0 1:0", 1, 4, HCV_DOM_DISK, "1",
	  "A0 B1", 2, false, "C" },
	{ "next row of the first column stays", "1:10 1:0 1:0", 1, 2,
	  HCV_DOM_DISK, "1", "A0 B1", 0, false, "A" },
	{ "more columns than disks", "1:0 1:0", 1, 4, HCV_DOM_DISK, "1",
	  "A0 B1", 2, false, "A" },
	{ "columns apart on other nodes, too", "1:0 1:0 2:0 2:0", 2, 2,
	  HCV_DOM_NODE, "1", "AC0", 1, false, "BD" },
	{ "owner elsewhere", "1:0 2:0", 1, 1, HCV_DOM_NODE, "9", "", 0, false,
	  "A" },
	{ "nothing at all", "", 1, 1, HCV_DOM_DISK, "1", "", 0, false, "",
	  "no store is ready" },
	{ "too few with a reason in the singular", "1:0", 3, 1, HCV_DOM_DISK,
	  "1", "", 0, false, "", "there is 1" },
};

static void place_case_desc(const struct place_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", c->name);
}

KUNIT_ARRAY_PARAM(place, place_cases, place_case_desc);

static void place_uuid(char *out, char kind, unsigned int n)
{
	snprintf(out, HCV_ID_LEN, "00000000-0000-4000-8000-00000000%c%03u",
		 kind, n);
}

static size_t place_parse(const char *text, struct hcv_place_store *st)
{
	size_t nr = 0;
	char *copy = strdup(text), *word, *save, *colon, *slash;

	for (word = strtok_r(copy, " ", &save); word;
	     word = strtok_r(NULL, " ", &save), nr++) {
		memset(&st[nr], 0, sizeof(st[nr]));
		st[nr].live = *word != '!';
		st[nr].ready = *word != '-';
		word += *word == '!' || *word == '-';
		colon = strchr(word, ':');
		*colon = '\0';
		slash = strchr(word, '/');
		if (slash) {
			*slash = '\0';
			strcpy(st[nr].rack, slash + 1);
		}
		place_uuid(st[nr].node, 'a', atoi(word));
		place_uuid(st[nr].uuid, 'b', nr);
		st[nr].total = 100;
		st[nr].used = atoi(colon + 1);
	}
	free(copy);
	return nr;
}

static void place_rows(const char *text, const struct hcv_place_store *st,
		       struct hcv_rows *rows, struct hcv_row *row)
{
	struct hcv_row *r;

	rows->row = row;
	for (rows->nr = 0; *text; rows->nr++) {
		r = &row[rows->nr];
		memset(r, 0, sizeof(*r));
		r->index = rows->nr;
		for (; *text >= 'A' && *text <= 'Z'; text++)
			strcpy(r->store[r->nr++], st[*text - 'A'].uuid);
		r->column = *text++ - '0';
		text += *text == ' ';
	}
	rows->next = rows->nr;
}

static void placement_table(struct kunit *test)
{
	const struct place_case *c = test->param_value;
	struct hcv_place_store st[STORES];
	struct hcv_row row[STORES];
	struct hcv_rows rows = { 0 };
	struct hcv_place_row out;
	char owner[HCV_ID_LEN] = "", got[HCV_ROW_STORES + 1] = "";
	struct hcv_place_want want = {
		.replicas = c->replicas, .stripe = c->stripe,
		.domain = c->domain, .owner = owner, .column = c->column,
		.rows = &rows, .degraded = c->degraded,
	};
	size_t nr = place_parse(c->stores, st);
	unsigned int i;
	int ret;

	place_rows(c->rows, st, &rows, row);
	if (*c->owner)
		place_uuid(owner, 'a', atoi(c->owner));
	ret = hcv_place(st, nr, &want, &out);
	for (i = 0; i < out.nr; i++)
		got[i] = 'A' + out.store[i];
	KUNIT_EXPECT_STREQ(test, got, c->want);
	KUNIT_EXPECT_EQ(test, ret, *c->want ? 0 : -ENOSPC);
	if (c->why)
		KUNIT_EXPECT_TRUE_MSG(test, strstr(out.why, c->why),
				      "reason: %s", out.why);
	for (i = 0; i < out.nr; i++)
		KUNIT_EXPECT_EQ(test, (out.live >> i) & 1,
				(unsigned int)st[out.store[i]].live);
}

static void placement_refuses_nonsense(struct kunit *test)
{
	struct hcv_place_store st[1];
	struct hcv_rows rows = { 0 };
	struct hcv_place_row out;
	struct hcv_place_want want = {
		.replicas = 1, .stripe = 1, .owner = "", .rows = &rows,
	};

	place_parse("1:0", st);
	KUNIT_EXPECT_EQ(test, hcv_place(st, 1, &want, &out), 0);
	want.replicas = 0;
	KUNIT_EXPECT_EQ(test, hcv_place(st, 1, &want, &out), -EINVAL);
	want.replicas = HCV_ROW_STORES + 1;
	KUNIT_EXPECT_EQ(test, hcv_place(st, 1, &want, &out), -EINVAL);
	want.replicas = 1;
	want.column = 1;
	KUNIT_EXPECT_EQ(test, hcv_place(st, 1, &want, &out), -EINVAL);
	want.stripe = 0;
	want.column = 0;
	KUNIT_EXPECT_EQ(test, hcv_place(st, 1, &want, &out), -EINVAL);
}

/* A volume may lie on HCV_REC_STORES stores, not on one more. */
static void placement_limits_links(struct kunit *test)
{
	struct hcv_place_store st[HCV_REC_STORES + 2];
	struct hcv_row row[HCV_REC_STORES];
	struct hcv_rows rows = { .row = row };
	struct hcv_place_row out;
	struct hcv_place_want want = {
		.replicas = 1, .stripe = 1, .owner = "", .rows = &rows,
	};
	size_t i;

	memset(st, 0, sizeof(st));
	memset(row, 0, sizeof(row));
	for (i = 0; i < HCV_REC_STORES + 2; i++) {
		place_uuid(st[i].uuid, 'b', i);
		place_uuid(st[i].node, 'a', i);
		st[i].total = 100;
		st[i].used = i < HCV_REC_STORES ? 80 : 0;
		st[i].ready = true;
		st[i].live = true;
	}
	for (i = 0; i < HCV_REC_STORES; i++) {
		row[i].nr = 1;
		strcpy(row[i].store[0], st[i].uuid);
	}
	rows.nr = HCV_REC_STORES - 1;
	KUNIT_EXPECT_EQ(test, hcv_place(st, HCV_REC_STORES + 2, &want, &out),
			0);
	KUNIT_EXPECT_GE(test, out.store[0], (size_t)HCV_REC_STORES);
	rows.nr = HCV_REC_STORES;
	KUNIT_EXPECT_EQ(test, hcv_place(st, HCV_REC_STORES + 2, &want, &out),
			0);
	KUNIT_EXPECT_LT(test, out.store[0], (size_t)HCV_REC_STORES);
	for (i = 0; i < HCV_REC_STORES; i++)
		st[i].used = 100;
	KUNIT_EXPECT_EQ(test, hcv_place(st, HCV_REC_STORES + 2, &want, &out),
			-ENOSPC);
	KUNIT_EXPECT_TRUE_MSG(test, strstr(out.why, "lies on"), "%s", out.why);
}

static void placement_domain(struct kunit *test)
{
	static const struct {
		const char *stores;
		unsigned int replicas;
		bool cluster;
		enum hcv_domain want;
	} cases[] = {
		{ "1:0 1:0", 2, false, HCV_DOM_DISK },
		{ "1:0", 2, true, HCV_DOM_NODE },
		{ "1:0 2:0", 2, true, HCV_DOM_NODE },
		{ "1/a:0 2/a:0", 2, true, HCV_DOM_NODE },
		{ "1/a:0 2/b:0", 2, true, HCV_DOM_RACK },
		{ "1/a:0 2/b:0", 3, true, HCV_DOM_NODE },
		{ "1/a:0 2:0 3:0", 1, true, HCV_DOM_NODE },
		{ "", 2, true, HCV_DOM_NODE },
	};
	struct hcv_place_store st[STORES];
	size_t i, nr;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		nr = place_parse(cases[i].stores, st);
		KUNIT_EXPECT_EQ_MSG(test,
				    hcv_place_domain(st, nr, cases[i].replicas,
						     cases[i].cluster),
				    cases[i].want, "case %zu", i);
	}
}

/* A small generator: the same cases in each run. */
static unsigned int place_random(uint64_t *seed, unsigned int below)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (*seed >> 33) % below;
}

static unsigned int place_count_groups(const struct hcv_place_store *st,
				       size_t nr, enum hcv_domain d)
{
	unsigned int groups = 0;
	size_t i, k;

	for (i = 0; i < nr; i++) {
		if (!st[i].ready || !st[i].live || st[i].used >= st[i].total)
			continue;
		for (k = 0; k < i; k++) {
			if (!st[k].ready || !st[k].live ||
			    st[k].used >= st[k].total)
				continue;
			if (d == HCV_DOM_DISK)
				continue;
			if (!strcmp(st[i].node, st[k].node))
				break;
		}
		groups += k == i;
	}
	return groups;
}

/* Fill random clusters: hard rules hold, and it fails only when it must. */
static void placement_properties(struct kunit *test)
{
	uint64_t seed = 20260101;
	unsigned int round, i, k, nr, placed, groups;
	bool same;

	for (round = 0; round < 300; round++) {
		struct hcv_place_store st[STORES];
		struct hcv_rows rows = { 0 };
		struct hcv_row row[64];
		struct hcv_place_row out;
		char owner[HCV_ID_LEN];
		struct hcv_place_want want = {
			.replicas = 1 + place_random(&seed, 3), .stripe = 1,
			.domain = place_random(&seed, 2), .owner = owner,
			.rows = &rows,
		};

		memset(st, 0, sizeof(st));
		memset(row, 0, sizeof(row));
		rows.row = row;
		nr = 1 + place_random(&seed, STORES);
		for (i = 0; i < nr; i++) {
			place_uuid(st[i].uuid, 'b', i);
			place_uuid(st[i].node, 'a', place_random(&seed, 4));
			st[i].total = 1 + place_random(&seed, 20);
			st[i].used = place_random(&seed, st[i].total + 1);
			st[i].ready = place_random(&seed, 8);
			st[i].live = place_random(&seed, 8);
		}
		place_uuid(owner, 'a', place_random(&seed, 4));
		for (placed = 0; placed < 64; placed++) {
			if (hcv_place(st, nr, &want, &out))
				break;
			KUNIT_ASSERT_EQ(test, out.nr, want.replicas);
			for (i = 0; i < out.nr; i++) {
				struct hcv_place_store *a = &st[out.store[i]];

				KUNIT_ASSERT_TRUE(test, a->ready && a->live);
				KUNIT_ASSERT_LT(test, a->used, a->total);
				strcpy(row[placed].store[i], a->uuid);
				for (k = 0; k < i; k++) {
					struct hcv_place_store *b =
						&st[out.store[k]];

					KUNIT_ASSERT_TRUE(test, a != b);
					same = !strcmp(a->node, b->node);
					same = same && want.domain;
					KUNIT_ASSERT_FALSE(test, same);
				}
			}
			row[placed].nr = out.nr;
			rows.nr = placed + 1;
			hcv_place_take(st, &out);
		}
		groups = place_count_groups(st, nr, want.domain);
		KUNIT_ASSERT_TRUE_MSG(test,
				      placed == 64 || groups < want.replicas ||
				      strstr(out.why, "told apart"),
				      "round %u: %s", round, out.why);
	}
}

/* After an unclean stop, with @gone missing: is there a copy of everything? */
static int placement_elect(const struct hcv_place_store *st, size_t nr,
			   const struct hcv_rows *rows, const char *gone,
			   char *err)
{
	const char *id[STORES], *there[STORES];
	struct hcv_rec_ids all = { id, 0 }, left = { there, 0 };
	struct hcv_record rec;
	char node[HCV_ID_LEN];
	size_t i;

	for (i = 0; i < nr; i++) {
		id[all.nr++] = st[i].uuid;
		if (strcmp(st[i].node, gone))
			there[left.nr++] = st[i].uuid;
	}
	place_uuid(node, 'a', 99);
	if (hcv_record_init(&rec, 1, all, err))
		return -1;
	rec.clean = false;
	if (hcv_record_claim(&rec, node, false, false, err))
		return -1;
	return hcv_record_serve(&rec, node, left, (struct hcv_rec_ids) { 0 },
				rows, false, err);
}

/*
 * Wherever rows were put, an owner's crash together with the loss of a node
 * leaves a volume that can be taken over.
 */
static void placement_leaves_elections(struct kunit *test)
{
	unsigned int round, nodes, per, i, stripe, placed = 0, refused = 0;
	uint64_t seed = 20260102;

	for (round = 0; round < 100; round++) {
		struct hcv_place_store st[STORES];
		char owner[HCV_ID_LEN] = "", gone[HCV_ID_LEN];
		struct hcv_row row[64];
		struct hcv_rows rows = { .row = row };
		struct hcv_place_row out;
		char err[HCV_ERR_SIZE] = "";
		struct hcv_place_want want = {
			.replicas = 2 + place_random(&seed, 2),
			.domain = HCV_DOM_NODE, .owner = owner, .rows = &rows,
		};

		memset(st, 0, sizeof(st));
		memset(row, 0, sizeof(row));
		nodes = 3 + place_random(&seed, 3);
		per = 1 + place_random(&seed, STORES / nodes);
		for (i = 0; i < nodes * per; i++) {
			place_uuid(st[i].uuid, 'b', i);
			place_uuid(st[i].node, 'a', i % nodes);
			st[i].total = 5 + place_random(&seed, 20);
			st[i].ready = true;
			st[i].live = true;
		}
		stripe = 1U << place_random(&seed, 3);
		want.stripe = stripe;
		while (rows.nr < 64) {
			struct hcv_row *r = &row[rows.nr];

			if (!place_random(&seed, 8))
				place_uuid(owner, 'a',
					   place_random(&seed, nodes));
			want.column = rows.nr % stripe;
			if (hcv_place(st, nodes * per, &want, &out))
				break;
			hcv_place_take(st, &out);
			r->index = rows.nr;
			r->column = want.column;
			r->nr = out.nr;
			r->full = (1U << out.nr) - 1;
			for (i = 0; i < out.nr; i++)
				strcpy(r->store[i], st[out.store[i]].uuid);
			rows.next = ++rows.nr;
		}
		placed += rows.nr;
		refused += rows.nr < 64 && strstr(out.why, "told apart");
		for (i = 0; i <= nodes; i++) {
			place_uuid(gone, 'a', i);
			KUNIT_EXPECT_EQ_MSG(test,
					    placement_elect(st, nodes * per,
							    &rows, gone, err),
					    0, "round %u: %s", round, err);
		}
	}
	kunit_info(test, "%u rows, %u times nothing fitted", placed, refused);
	KUNIT_EXPECT_GT(test, placed, 1000);
}

static struct kunit_case placement_test_cases[] = {
	KUNIT_CASE_PARAM(placement_table, place_gen_params),
	KUNIT_CASE(placement_refuses_nonsense),
	KUNIT_CASE(placement_limits_links),
	KUNIT_CASE(placement_domain),
	KUNIT_CASE(placement_properties),
	KUNIT_CASE(placement_leaves_elections),
	{}
};

static struct kunit_suite placement_suite = {
	.name = "hcv_placement",
	.test_cases = placement_test_cases,
};

kunit_test_suite(placement_suite);
