// SPDX-License-Identifier: GPL-2.0-only
/*
 * Layouts that can and cannot be served after an unclean stop, and placement
 * that keeps to the former.
 */
#include <kunit/test.h>

#include <stdio.h>
#include <string.h>

#include "vollayout.h"

static void layout_id(char *id, char kind, unsigned int i)
{
	snprintf(id, HCV_ID_LEN, "0000000%c-0000-4000-8000-%012x", kind, i);
}

/* "ab bc": a row on stores a and b, one on b and c. */
static void layout_rows(struct hcv_rows *rows, struct hcv_row *row,
			const char *text)
{
	memset(rows, 0, sizeof(*rows));
	rows->row = row;
	for (; *text; text++) {
		if (*text == ' ') {
			rows->nr++;
			continue;
		}
		row[rows->nr].index = rows->nr;
		row[rows->nr].full |= 1U << row[rows->nr].nr;
		layout_id(row[rows->nr].store[row[rows->nr].nr++], '1',
			  *text - 'a');
	}
	if (row[0].nr)
		rows->nr++;
	rows->next = rows->nr;
}

static void vollayout_table(struct kunit *test)
{
	static const struct {
		const char *rows;
		bool ok;
	} cases[] = {
		{ "", true }, { "a", true }, { "ab ab", true },
		{ "ab ac", true }, { "ab ac bc", false },
		{ "ab cd", true }, { "ab bc cd da", true },
		{ "ab bc cd de ea", false }, { "abc abd", true },
		{ "abc abd bcd", true }, { "abc abd bcd acd", false },
	};
	struct hcv_row row[8];
	struct hcv_rows rows;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(row, 0, sizeof(row));
		layout_rows(&rows, row, cases[i].rows);
		KUNIT_EXPECT_EQ_MSG(test, hcv_vollayout_ok(&rows, NULL),
				    cases[i].ok, "(%s)", cases[i].rows);
	}
}

static void layout_cluster(struct hcv_place_store *st, size_t nr)
{
	size_t i;

	memset(st, 0, nr * sizeof(*st));
	for (i = 0; i < nr; i++) {
		layout_id(st[i].uuid, '1', i);
		layout_id(st[i].node, '2', i);
		snprintf(st[i].node_name, sizeof(st[i].node_name), "n%zu", i);
		st[i].total = 100;
		st[i].ready = st[i].live = true;
	}
}

/* A volume that moves from node to node and grows on each of them. */
static void vollayout_moving_owner(struct kunit *test)
{
	struct hcv_place_store st[3];
	struct hcv_row row[64];
	struct hcv_rows rows = { .row = row };
	struct hcv_place_row choice;
	unsigned int i, k, used[3] = { 0 };
	char owner[HCV_ID_LEN];

	for (i = 0; i < 60; i++) {
		struct hcv_place_want want = {
			.replicas = 2, .stripe = 1, .domain = HCV_DOM_NODE,
			.owner = owner, .rows = &rows,
		};

		layout_id(owner, '2', i / 10 % 3);
		layout_cluster(st, 3);
		for (k = 0; k < 3; k++)
			st[k].used = used[k];
		KUNIT_ASSERT_EQ(test, hcv_vollayout_place(st, 3, &want, &choice,
							  &row[i]), 0);
		for (k = 0; k < choice.nr; k++)
			used[choice.store[k]]++;
		rows.nr++;
		rows.next++;
		KUNIT_EXPECT_TRUE(test, hcv_vollayout_ok(&rows, NULL));
		/* in three nodes one copy can always be local */
		KUNIT_EXPECT_TRUE(test, !strcmp(st[choice.store[0]].node,
						owner) ||
				  !strcmp(st[choice.store[1]].node, owner));
	}
}

static struct kunit_case vollayout_cases[] = {
	KUNIT_CASE(vollayout_table),
	KUNIT_CASE(vollayout_moving_owner),
	{}
};

static struct kunit_suite vollayout_suite = {
	.name = "hcv_vollayout",
	.test_cases = vollayout_cases,
};

kunit_test_suite(vollayout_suite);
