// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the suites that were linked in, and prints KTAP.
 *
 * Usage: PROGRAM [FILTER]: only cases whose name holds FILTER.
 * Exit status: 0 all passed, 1 something failed, 2 nothing was run.
 */
#include <stdio.h>
#include <stdlib.h>

#include "test.h"

struct kunit_resource {
	struct kunit_resource *next;
	max_align_t data[];
};

static struct kunit_suite *hcv_kunit_first;
static struct kunit_suite **hcv_kunit_tail = &hcv_kunit_first;

void hcv_kunit_register(struct kunit_suite *suite)
{
	*hcv_kunit_tail = suite;
	hcv_kunit_tail = &suite->next;
}

/* Floods say no more than their start does. */
#define HCV_KUNIT_REPORTS	20

static unsigned int hcv_kunit_reports;

void hcv_kunit_fail(struct kunit *test, const char *file, int line,
		    const char *fmt, ...)
{
	va_list ap;

	test->failed = true;
	if (hcv_kunit_reports++ >= HCV_KUNIT_REPORTS)
		return;
	printf("    # %s: failed at %s:%d: ", test->name, file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

void hcv_kunit_log(struct kunit *test, const char *fmt, ...)
{
	va_list ap;

	printf("    # %s: ", test->name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	if (fmt[strlen(fmt) - 1] != '\n')
		printf("\n");
}

void hcv_kunit_stop(struct kunit *test)
{
	longjmp(test->stop, 1);
}

void *kunit_kzalloc(struct kunit *test, size_t size, unsigned int gfp)
{
	struct kunit_resource *res = calloc(1, sizeof(*res) + size);

	(void)gfp;
	if (!res)
		abort();
	res->next = test->resources;
	test->resources = res;
	return res->data;
}

static void hcv_kunit_release(struct kunit *test)
{
	struct kunit_resource *res;

	while ((res = test->resources)) {
		test->resources = res->next;
		free(res);
	}
}

/* Run @fn up to its end or its first failed assertion. */
static void hcv_kunit_guard(struct kunit *test, struct kunit_suite *suite,
			    struct kunit_case *kc)
{
	if (setjmp(test->stop))
		return;
	if (suite->init && suite->init(test)) {
		hcv_kunit_fail(test, __FILE__, __LINE__, "suite init failed");
		return;
	}
	kc->run_case(test);
}

static void hcv_kunit_run_one(struct kunit *test, struct kunit_suite *suite,
			      struct kunit_case *kc)
{
	hcv_kunit_guard(test, suite, kc);
	if (suite->exit && !setjmp(test->stop))
		suite->exit(test);
	hcv_kunit_release(test);
}

static bool hcv_kunit_run_case(struct kunit_suite *suite, struct kunit_case *kc,
			       unsigned int nr)
{
	char desc[KUNIT_PARAM_DESC_SIZE] = "";
	struct kunit test = { .name = kc->name };
	const void *param = NULL;
	bool failed = false;

	hcv_kunit_reports = 0;
	if (!kc->generate_params) {
		hcv_kunit_run_one(&test, suite, kc);
		failed = test.failed;
	} else {
		printf("        KTAP version 1\n        # Subtest: %s\n",
		       kc->name);
		while ((param = kc->generate_params(param, desc))) {
			test.failed = false;
			test.priv = NULL;
			test.param_value = param;
			hcv_kunit_run_one(&test, suite, kc);
			printf("        %sok %d %s\n",
			       test.failed ? "not " : "",
			       ++test.param_index, desc);
			failed |= test.failed;
			desc[0] = 0;
		}
		if (!test.param_index)
			failed = true;	/* no parameter is no test */
	}
	printf("    %sok %u %s%s\n", failed ? "not " : "", nr, kc->name,
	       test.skipped && !failed ? " # SKIP" : "");
	fflush(stdout);
	return !failed;
}

static bool hcv_kunit_run_suite(struct kunit_suite *suite, const char *filter,
				unsigned int nr, unsigned int *ran)
{
	unsigned int n = 0, at = 0;
	struct kunit_case *kc;
	bool passed = true;

	for (kc = suite->test_cases; kc->run_case; kc++)
		n += !filter || strstr(kc->name, filter);
	if (!n)
		return true;
	printf("    KTAP version 1\n    # Subtest: %s\n    1..%u\n",
	       suite->name, n);
	if (suite->suite_init && suite->suite_init(suite)) {
		printf("    # suite_init failed\nnot ok %u %s\n", nr,
		       suite->name);
		return false;
	}
	for (kc = suite->test_cases; kc->run_case; kc++)
		if (!filter || strstr(kc->name, filter))
			passed &= hcv_kunit_run_case(suite, kc, ++at);
	if (suite->suite_exit)
		suite->suite_exit(suite);
	*ran += n;
	printf("%sok %u %s\n", passed ? "" : "not ", nr, suite->name);
	return passed;
}

int main(int argc, char **argv)
{
	const char *filter = argc > 1 ? argv[1] : NULL;
	struct kunit_suite *suite;
	unsigned int nr = 0, ran = 0;
	bool passed = true;

	for (suite = hcv_kunit_first; suite; suite = suite->next)
		nr++;
	printf("KTAP version 1\n1..%u\n", nr);
	for (nr = 0, suite = hcv_kunit_first; suite; suite = suite->next)
		passed &= hcv_kunit_run_suite(suite, filter, ++nr, &ran);
	if (!ran) {
		printf("# no case was run\n");
		return 2;
	}
	return passed ? 0 : 1;
}
