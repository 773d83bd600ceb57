// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reader of smartctl's output: whatever is accepted has printable words and
 * counts that fit, and says the same when it is judged again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond) do {	\
	if (!(cond))		\
		abort();	\
} while (0)

static void check_words(const char *text, size_t size)
{
	CHECK(memchr(text, '\0', size));
	for (; *text; text++)
		CHECK(*text >= ' ' && *text <= '~');
}

static void check(const char *text)
{
	char err[HCV_ERR_SIZE] = "", why[HCV_ERR_SIZE], again[HCV_ERR_SIZE];
	enum hcv_smart_verdict verdict;
	static const struct hcv_smart empty;
	struct hcv_smart s;

	if (hcv_smart_parse(text, &s, err)) {
		CHECK(*err && !memcmp(&s, &empty, sizeof(s)));
		return;
	}
	check_words(s.failing, sizeof(s.failing));
	check_words(s.message, sizeof(s.message));
	verdict = hcv_smart_judge(&s, why);
	check_words(why, sizeof(why));
	CHECK((verdict <= HCV_SMART_FINE) == !*why);
	CHECK(s.available || verdict == HCV_SMART_UNKNOWN);
	CHECK(hcv_smart_judge(&s, again) == verdict && !strcmp(why, again));
	CHECK(s.used <= 1000 && s.warning <= 255);
	CHECK(*hcv_smart_verdict_name(verdict));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	CHECK(text);
	memcpy(text, data, size);
	text[size] = '\0';
	check(text);
	free(text);
	return 0;
}
