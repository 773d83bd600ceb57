// SPDX-License-Identifier: GPL-2.0-only
/*
 * The keys of a store's health: there and back, and what is refused.
 */
#include <kunit/test.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health_key.h"

#define ID_A "aaaaaaaa-0000-4000-8000-000000000001"

static const char full[] =
	"{\"schema\":1,\"state\":\"draining\",\"cause\":\"smart\",\"slow\":true,\"since\":1800000000,\"relapses\":2,\"media\":7,\"media_at\":1800000007,\"smart\":\"failing\",\"accepted\":\"notice\",\"why\":\"the device says that it is failing\",\"p95\":[13,0,28],\"load\":64}";

static void key_round(struct kunit *test)
{
	char err[HCV_ERR_SIZE] = "", *text;
	struct hcv_health_key k;

	KUNIT_ASSERT_EQ_MSG(test, hcv_health_key_decode(full, &k, err), 0, "%s",
			    err);
	KUNIT_EXPECT_EQ(test, (int)k.h.state, (int)HCV_HEALTH_DRAINING);
	KUNIT_EXPECT_EQ(test, (int)k.h.cause, (int)HCV_HEALTH_BY_SMART);
	KUNIT_EXPECT_TRUE(test, k.h.slow);
	KUNIT_EXPECT_EQ(test, k.h.since, 1800000000);
	KUNIT_EXPECT_EQ(test, k.h.relapses, 2U);
	KUNIT_EXPECT_EQ(test, k.h.media, 7U);
	KUNIT_EXPECT_EQ(test, (int)k.h.smart, (int)HCV_SMART_FAILING);
	KUNIT_EXPECT_EQ(test, (int)k.h.accepted, (int)HCV_SMART_TOLD);
	KUNIT_EXPECT_EQ(test, k.note.p95[HCV_LAT_READ], 12);
	KUNIT_EXPECT_EQ(test, k.note.p95[HCV_LAT_WRITE], HCV_LAT_UNKNOWN);
	KUNIT_EXPECT_EQ(test, k.note.p95[HCV_LAT_FLUSH], 27);
	KUNIT_EXPECT_EQ(test, k.note.sure[HCV_LAT_READ], HCV_LAT_UNKNOWN);
	text = hcv_health_key_encode(&k);
	KUNIT_EXPECT_STREQ(test, text ? text : "", full);
	free(text);
}

/* Every name of the machine has one here, and comes back as what it was. */
static void key_names(struct kunit *test)
{
	struct hcv_health_key k = { 0 }, back;
	unsigned int state, cause, verdict;
	char err[HCV_ERR_SIZE], *text;
	const char *word;

	hcv_lat_note_none(&k.note);
	for (state = 0; state < HCV_HEALTH_STATES; state++) {
		for (cause = 0; cause < HCV_HEALTH_CAUSES; cause++) {
			verdict = cause;	/* as many */
			k.h.state = state;
			k.h.cause = cause;
			k.h.smart = verdict;
			text = hcv_health_key_encode(&k);
			KUNIT_ASSERT_NOT_NULL(test, text);
			word = hcv_health_state_name(k.h.state);
			KUNIT_EXPECT_NOT_NULL(test, strstr(text, word));
			word = hcv_smart_verdict_name(k.h.smart);
			KUNIT_EXPECT_NOT_NULL(test, strstr(text, word));
			if (hcv_health_key_decode(text, &back, err))
				KUNIT_EXPECT_NE(test, !state, !cause);
			else
				KUNIT_EXPECT_EQ(test, (int)back.h.smart,
						(int)k.h.smart);
			free(text);
		}
	}
}

struct refused {
	const char *from;
	const char *to;
};

static const struct refused refused[] = {
	{ "\"schema\":1", "\"schema\":2" },
	{ "\"draining\"", "\"dying\"" },
	{ "\"smart\",\"slow\"", "\"\",\"slow\"" },
	{ "\"draining\"", "\"ok\"" },
	{ "\"slow\":true", "\"slow\":1" },
	{ "\"since\":1800000000", "\"since\":-1" },
	{ "\"since\":1800000000", "\"since\":9223372036854775807" },
	{ "\"relapses\":2", "\"relapses\":4294967295" },
	{ "\"media\":7", "\"media\":1001" },
	{ "\"failing\"", "\"dead\"" },
	{ "[13,0,28]", "[13,0,29]" },
	{ "[13,0,28]", "[13,0,-1]" },
	{ "[13,0,28]", "[13,0,28,0]" },
	{ "[13,0,28]", "[13,\"0\",28]" },
	{ "\"load\":64", "\"load\":65" },
	{ "\"why\":", "\"because\":" },
};

static void key_refused(struct kunit *test)
{
	char text[sizeof(full) + 64], err[HCV_ERR_SIZE];
	struct hcv_health_key k;
	const char *at;
	size_t i;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		at = strstr(full, refused[i].from);
		KUNIT_ASSERT_NOT_NULL(test, at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - full), full,
			 refused[i].to, at + strlen(refused[i].from));
		memset(&k, 0x5a, sizeof(k));
		KUNIT_EXPECT_EQ_MSG(test, hcv_health_key_decode(text, &k, err),
				    -EINVAL, "(%s)", refused[i].to);
		KUNIT_EXPECT_EQ(test, ((unsigned char *)&k)[0], 0x5a);
	}
}

/* An agent of an older version that knows of fewer operations. */
static void key_fewer(struct kunit *test)
{
	char text[sizeof(full)], err[HCV_ERR_SIZE];
	struct hcv_health_key k;
	char *at;

	strcpy(text, full);
	at = strstr(text, "[13,0,28]");
	memcpy(at, "[13]     ", 9);
	KUNIT_ASSERT_EQ(test, hcv_health_key_decode(text, &k, err), 0);
	KUNIT_EXPECT_EQ(test, k.note.p95[HCV_LAT_READ], 12);
	KUNIT_EXPECT_EQ(test, k.note.p95[HCV_LAT_FLUSH], HCV_LAT_UNKNOWN);
}

static void key_news(struct kunit *test)
{
	struct hcv_lat_note a = { { 8, 9, 10 }, { 0 }, 5 }, b = a;

	KUNIT_EXPECT_FALSE(test, hcv_health_note_news(&a, &b, 1000000));
	b.p95[0] = 9;
	KUNIT_EXPECT_FALSE(test, hcv_health_note_news(&a, &b, 59999));
	KUNIT_EXPECT_TRUE(test, hcv_health_note_news(&a, &b, 60000));
	b.p95[0] = 10;
	KUNIT_EXPECT_TRUE(test, hcv_health_note_news(&a, &b, 0));
	b.p95[0] = 6;
	KUNIT_EXPECT_TRUE(test, hcv_health_note_news(&a, &b, 0));
	b = a;
	b.load = 60;
	KUNIT_EXPECT_FALSE(test, hcv_health_note_news(&a, &b, 0));
	KUNIT_EXPECT_TRUE(test, hcv_health_note_news(&a, &b, 60000));
	/* that there is a percentile, or no more, is always news */
	b = a;
	a.p95[2] = HCV_LAT_UNKNOWN;
	b.p95[2] = 0;
	KUNIT_EXPECT_TRUE(test, hcv_health_note_news(&a, &b, 0));
	KUNIT_EXPECT_TRUE(test, hcv_health_note_news(&b, &a, 0));
}

static void key_others(struct kunit *test)
{
	struct hcv_drain_key d = { .by_health = true, .since = 9 }, back;
	char err[HCV_ERR_SIZE], store[HCV_ID_LEN] = "", *text;

	strcpy(d.why, "worn");
	text = hcv_drain_key_encode(&d);
	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_ASSERT_EQ(test, hcv_drain_key_decode(text, &back, err), 0);
	KUNIT_EXPECT_TRUE(test, back.by_health && back.since == 9);
	KUNIT_EXPECT_STREQ(test, back.why, "worn");
	free(text);
	KUNIT_EXPECT_EQ(test, hcv_drain_key_decode("{\"schema\":1}", &back,
						   err), -EINVAL);
	text = hcv_slow_key_encode(ID_A);
	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_ASSERT_EQ(test, hcv_slow_key_decode(text, store, err), 0);
	KUNIT_EXPECT_STREQ(test, store, ID_A);
	free(text);
	KUNIT_EXPECT_EQ(test, hcv_slow_key_decode("{\"schema\":1,\"store\":\"x\"}",
						  store, err), -EINVAL);
}

static struct kunit_case key_cases[] = {
	KUNIT_CASE(key_round),
	KUNIT_CASE(key_names),
	KUNIT_CASE(key_refused),
	KUNIT_CASE(key_fewer),
	KUNIT_CASE(key_news),
	KUNIT_CASE(key_others),
	{}
};

static struct kunit_suite key_suite = {
	.name = "hcv_health_key",
	.test_cases = key_cases,
};

kunit_test_suite(key_suite);
