// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoders of the metadata store's values: a letter that says which one,
 * then its text.  What is accepted must come back as it was after a further
 * round, and a record that is accepted must obey its transitions' rules.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "health_key.h"
#include "model.h"
#include "record.h"
#include "scrubplan.h"
#include "throttle_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond) do {	\
	if (!(cond))		\
		abort();	\
} while (0)

/* Decode, encode, decode, encode: both texts are the same. */
#define ROUND(name, type)	ROUND_OF(hcv_model_##name, name, type)
#define ROUND_OF(fn, name, type)					\
static void round_##name(const char *text)				\
{									\
	struct type one, two;						\
	char err[HCV_ERR_SIZE] = "";					\
	char *a, *b;							\
									\
	memset(&one, 0, sizeof(one));					\
	memset(&two, 0, sizeof(two));					\
	if (fn##_decode(text, &one, err)) {		\
		CHECK(*err);						\
		return;							\
	}								\
	a = fn##_encode(&one);				\
	CHECK(a && !fn##_decode(a, &two, err));		\
	b = fn##_encode(&two);				\
	CHECK(b && !strcmp(a, b));					\
	free(a);							\
	free(b);							\
}

ROUND(cluster, hcv_cluster_info)
ROUND(node, hcv_node_info)
ROUND(store, hcv_store_info)
ROUND(storelive, hcv_store_info)
ROUND(vol, hcv_vol_info)
ROUND(record, hcv_record)
ROUND(grant, hcv_grant_info)
ROUND_OF(hcv_health_key, health, hcv_health_key)
ROUND_OF(hcv_drain_key, drain, hcv_drain_key)
ROUND_OF(hcv_scrub, scrub, hcv_scrub_info)

static void round_rows(const char *text)
{
	struct hcv_rows one = { 0 }, two = { 0 };
	char err[HCV_ERR_SIZE] = "";
	char *a, *b;

	if (hcv_model_rows_decode(text, &one, err)) {
		CHECK(*err && !one.nr && !one.next);
	} else {
		a = hcv_model_rows_encode(&one, 0, one.nr);
		CHECK(a && !hcv_model_rows_decode(a, &two, err));
		b = hcv_model_rows_encode(&two, 0, two.nr);
		CHECK(b && !strcmp(a, b) && one.nr == two.nr);
		free(a);
		free(b);
	}
	hcv_model_rows_free(&one);
	hcv_model_rows_free(&two);
}

/* Whatever a record says, a claim and a detach of it are right. */
static void claim_and_detach(const char *text)
{
	static const char node[] = "12345678-0000-4000-8000-000000000001";
	char err[HCV_ERR_SIZE];
	struct hcv_record r;

	if (hcv_model_record_decode(text, &r, err))
		return;
	CHECK(!hcv_record_check(&r, err));
	if (!hcv_record_claim(&r, node, true, true, err)) {
		CHECK(!hcv_record_check(&r, err) && r.phase == HCV_PH_TAKING);
		if (!hcv_record_detach(&r, node, true, err))
			CHECK(!hcv_record_check(&r, err) && !*r.owner);
	}
}

/* Settings of recovery: whatever they say, the limits are in order. */
static void settings(const char *text)
{
	struct hcv_thr_set one, two;
	char err[HCV_ERR_SIZE] = "";
	const struct hcv_hw_row *rows;
	struct hcv_thr_conf c;
	struct hcv_thr_eff e;
	char *a, *b;
	size_t nr;

	if (hcv_thr_set_decode(text, &one, err)) {
		CHECK(*err);
		return;
	}
	a = hcv_thr_set_encode(&one);
	CHECK(a && !hcv_thr_set_decode(a, &two, err));
	b = hcv_thr_set_encode(&two);
	CHECK(b && !strcmp(a, b));
	free(a);
	free(b);
	for (rows = hcv_hw_rows(&nr); nr; nr--) {
		hcv_thr_merge(&rows[nr - 1], &one, NULL, &e);
		hcv_thr_conf(&e, false, &c);
		CHECK(c.min_kibps && c.min_kibps <= c.max_kibps &&
		      c.floor_kibps && c.floor_kibps <= c.max_kibps);
		hcv_thr_merge(&rows[nr - 1], NULL, &one, &e);
		hcv_thr_conf(&e, true, &c);
		CHECK(c.min_kibps && c.min_kibps <= c.max_kibps);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const round[])(const char *text) = {
		round_cluster, round_node, round_store, round_storelive,
		round_vol, round_record, round_rows, round_grant,
		claim_and_detach, round_health, round_drain, round_scrub,
	};
	char *text;

	if (!size)
		return 0;
	text = malloc(size);
	CHECK(text);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	/* The seeds' letters go on from 'B', whatever is added at the end. */
	if (data[0] == 'R')
		settings(text);
	else
		round[(uint8_t)(data[0] - 'B') %
		      (sizeof(round) / sizeof(round[0]))](text);
	free(text);
	return 0;
}
