/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of KUnit that the project's tests use, for the host; prints KTAP.
 *
 * Everything here exists with the same meaning in Linux 6.1.  What a test
 * does beyond that (fault points, files) goes under #ifndef __KERNEL__.
 */
#ifndef HCV_SHIM_KUNIT_TEST_H
#define HCV_SHIM_KUNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KUNIT_PARAM_DESC_SIZE	128

struct kunit_resource;

/**
 * struct kunit - one running case
 * @priv: the suite's own
 * @name: of the case
 * @param_value: of a parameterised case
 * @param_index: from 0
 */
struct kunit {
	void *priv;
	const char *name;
	const void *param_value;
	int param_index;
	/* private: */
	bool failed;
	bool skipped;
	jmp_buf stop;
	struct kunit_resource *resources;
};

struct kunit_case {
	void (*run_case)(struct kunit *test);
	const char *name;
	const void *(*generate_params)(const void *prev, char *desc);
};

struct kunit_suite {
	const char name[256];
	int (*suite_init)(struct kunit_suite *suite);
	void (*suite_exit)(struct kunit_suite *suite);
	int (*init)(struct kunit *test);
	void (*exit)(struct kunit *test);
	struct kunit_case *test_cases;
	/* private: */
	struct kunit_suite *next;
};

#define KUNIT_CASE(fn)			{ .run_case = fn, .name = #fn }
#define KUNIT_CASE_PARAM(fn, gen) \
	{ .run_case = fn, .name = #fn, .generate_params = gen }

#define KUNIT_ARRAY_PARAM(tag, array, get_desc)				\
	static const void *tag##_gen_params(const void *prev, char *desc) \
	{								\
		__typeof__((array)[0]) *next = prev ?			\
			((__typeof__(next))prev) + 1 : (array);		\
		void (*describe)(__typeof__(next), char *) = get_desc;	\
									\
		if (next - (array) >= (ptrdiff_t)(sizeof(array) /	\
						  sizeof((array)[0])))	\
			return NULL;					\
		if (describe)						\
			describe(next, desc);				\
		return next;						\
	}

void hcv_kunit_register(struct kunit_suite *suite);

#define kunit_test_suite(suite)						\
	__attribute__((constructor)) static void			\
	hcv_kunit_register_##suite(void)				\
	{								\
		hcv_kunit_register(&suite);				\
	}								\
	struct hcv_kunit_semicolon

__attribute__((format(printf, 4, 5)))
void hcv_kunit_fail(struct kunit *test, const char *file, int line,
		    const char *fmt, ...);
void hcv_kunit_stop(struct kunit *test) __attribute__((noreturn));
__attribute__((format(printf, 2, 3)))
void hcv_kunit_log(struct kunit *test, const char *fmt, ...);
/** kunit_kzalloc() - zeroed memory that goes away with the case */
void *kunit_kzalloc(struct kunit *test, size_t size, unsigned int gfp);
#define kunit_kmalloc(test, size, gfp)		kunit_kzalloc(test, size, gfp)
#define kunit_kcalloc(test, n, size, gfp) \
	kunit_kzalloc(test, (size_t)(n) * (size), gfp)
#define kunit_kmalloc_array(test, n, size, gfp) \
	kunit_kzalloc(test, (size_t)(n) * (size), gfp)

#define kunit_info(test, fmt, ...) hcv_kunit_log(test, fmt, ##__VA_ARGS__)
#define kunit_warn(test, fmt, ...) hcv_kunit_log(test, fmt, ##__VA_ARGS__)
#define kunit_err(test, fmt, ...) hcv_kunit_log(test, fmt, ##__VA_ARGS__)

#define kunit_mark_skipped(test, fmt, ...) do {				\
	(test)->skipped = true;						\
	hcv_kunit_log(test, "SKIP " fmt, ##__VA_ARGS__);		\
} while (0)
#define kunit_skip(test, fmt, ...) do {					\
	kunit_mark_skipped(test, fmt, ##__VA_ARGS__);			\
	hcv_kunit_stop(test);						\
} while (0)

#define __HCV_K_STOP(test, fatal) do {					\
	if (fatal)							\
		hcv_kunit_stop(test);					\
} while (0)

#define __HCV_K_CMP(test, fatal, a, op, b, fmt, ...) do {		\
	__typeof__(a) __ka = (a);					\
	__typeof__(b) __kb = (b);					\
									\
	if (!(__ka op __kb)) {						\
		hcv_kunit_fail(test, __FILE__, __LINE__,		\
			       "%s " #op " %s: %lld and %lld " fmt,	\
			       #a, #b, (long long)__ka,			\
			       (long long)__kb, ##__VA_ARGS__);		\
		__HCV_K_STOP(test, fatal);				\
	}								\
} while (0)

#define __HCV_K_PTR(test, fatal, a, op, b, fmt, ...) do {		\
	const void *__ka = (a);						\
	const void *__kb = (b);						\
									\
	if (!(__ka op __kb)) {						\
		hcv_kunit_fail(test, __FILE__, __LINE__,		\
			       "%s " #op " %s: %p and %p " fmt,		\
			       #a, #b, __ka, __kb, ##__VA_ARGS__);	\
		__HCV_K_STOP(test, fatal);				\
	}								\
} while (0)

#define __HCV_K_TRUE(test, fatal, want, c, fmt, ...) do {		\
	bool __kc = !!(c);						\
									\
	if (__kc != (want)) {						\
		hcv_kunit_fail(test, __FILE__, __LINE__,		\
			       "%s is %s " fmt, #c,			\
			       (want) ? "false" : "true",		\
			       ##__VA_ARGS__);				\
		__HCV_K_STOP(test, fatal);				\
	}								\
} while (0)

#define __HCV_K_STR(test, fatal, a, op, b, fmt, ...) do {		\
	const char *__ka = (a);						\
	const char *__kb = (b);						\
									\
	if (!(strcmp(__ka, __kb) op 0)) {				\
		hcv_kunit_fail(test, __FILE__, __LINE__,		\
			       "%s " #op " %s: \"%s\" and \"%s\" " fmt,	\
			       #a, #b, __ka, __kb, ##__VA_ARGS__);	\
		__HCV_K_STOP(test, fatal);				\
	}								\
} while (0)

#define __HCV_K_PTR_OK(test, fatal, p, fmt, ...) do {			\
	const void *__kp = (p);						\
									\
	if (!__kp || (uintptr_t)__kp >= (uintptr_t)-4095) {		\
		hcv_kunit_fail(test, __FILE__, __LINE__,		\
			       "%s is %ld " fmt, #p, (long)__kp,	\
			       ##__VA_ARGS__);				\
		__HCV_K_STOP(test, fatal);				\
	}								\
} while (0)

#define KUNIT_SUCCEED(t)	do { (void)(t); } while (0)
#define KUNIT_FAIL(t, fmt, ...) \
	hcv_kunit_fail(t, __FILE__, __LINE__, fmt, ##__VA_ARGS__)

#define KUNIT_EXPECT_EQ(t, a, b)	__HCV_K_CMP(t, 0, a, ==, b, "")
#define KUNIT_EXPECT_NE(t, a, b)	__HCV_K_CMP(t, 0, a, !=, b, "")
#define KUNIT_EXPECT_LT(t, a, b)	__HCV_K_CMP(t, 0, a, <, b, "")
#define KUNIT_EXPECT_LE(t, a, b)	__HCV_K_CMP(t, 0, a, <=, b, "")
#define KUNIT_EXPECT_GT(t, a, b)	__HCV_K_CMP(t, 0, a, >, b, "")
#define KUNIT_EXPECT_GE(t, a, b)	__HCV_K_CMP(t, 0, a, >=, b, "")
#define KUNIT_EXPECT_TRUE(t, c)		__HCV_K_TRUE(t, 0, true, c, "")
#define KUNIT_EXPECT_FALSE(t, c)	__HCV_K_TRUE(t, 0, false, c, "")
#define KUNIT_EXPECT_STREQ(t, a, b)	__HCV_K_STR(t, 0, a, ==, b, "")
#define KUNIT_EXPECT_STRNEQ(t, a, b)	__HCV_K_STR(t, 0, a, !=, b, "")
#define KUNIT_EXPECT_PTR_EQ(t, a, b)	__HCV_K_PTR(t, 0, a, ==, b, "")
#define KUNIT_EXPECT_PTR_NE(t, a, b)	__HCV_K_PTR(t, 0, a, !=, b, "")
#define KUNIT_EXPECT_NULL(t, p)		__HCV_K_PTR(t, 0, p, ==, NULL, "")
#define KUNIT_EXPECT_NOT_NULL(t, p)	__HCV_K_PTR(t, 0, p, !=, NULL, "")
#define KUNIT_EXPECT_NOT_ERR_OR_NULL(t, p) __HCV_K_PTR_OK(t, 0, p, "")

#define KUNIT_EXPECT_EQ_MSG(t, a, b, ...) __HCV_K_CMP(t, 0, a, ==, b, __VA_ARGS__)
#define KUNIT_EXPECT_NE_MSG(t, a, b, ...) __HCV_K_CMP(t, 0, a, !=, b, __VA_ARGS__)
#define KUNIT_EXPECT_LT_MSG(t, a, b, ...) __HCV_K_CMP(t, 0, a, <, b, __VA_ARGS__)
#define KUNIT_EXPECT_LE_MSG(t, a, b, ...) __HCV_K_CMP(t, 0, a, <=, b, __VA_ARGS__)
#define KUNIT_EXPECT_GT_MSG(t, a, b, ...) __HCV_K_CMP(t, 0, a, >, b, __VA_ARGS__)
#define KUNIT_EXPECT_GE_MSG(t, a, b, ...) __HCV_K_CMP(t, 0, a, >=, b, __VA_ARGS__)
#define KUNIT_EXPECT_TRUE_MSG(t, c, ...) __HCV_K_TRUE(t, 0, true, c, __VA_ARGS__)
#define KUNIT_EXPECT_FALSE_MSG(t, c, ...) __HCV_K_TRUE(t, 0, false, c, __VA_ARGS__)
#define KUNIT_EXPECT_STREQ_MSG(t, a, b, ...) __HCV_K_STR(t, 0, a, ==, b, __VA_ARGS__)

#define KUNIT_ASSERT_EQ(t, a, b)	__HCV_K_CMP(t, 1, a, ==, b, "")
#define KUNIT_ASSERT_NE(t, a, b)	__HCV_K_CMP(t, 1, a, !=, b, "")
#define KUNIT_ASSERT_LT(t, a, b)	__HCV_K_CMP(t, 1, a, <, b, "")
#define KUNIT_ASSERT_LE(t, a, b)	__HCV_K_CMP(t, 1, a, <=, b, "")
#define KUNIT_ASSERT_GT(t, a, b)	__HCV_K_CMP(t, 1, a, >, b, "")
#define KUNIT_ASSERT_GE(t, a, b)	__HCV_K_CMP(t, 1, a, >=, b, "")
#define KUNIT_ASSERT_TRUE(t, c)		__HCV_K_TRUE(t, 1, true, c, "")
#define KUNIT_ASSERT_FALSE(t, c)	__HCV_K_TRUE(t, 1, false, c, "")
#define KUNIT_ASSERT_STREQ(t, a, b)	__HCV_K_STR(t, 1, a, ==, b, "")
#define KUNIT_ASSERT_PTR_EQ(t, a, b)	__HCV_K_PTR(t, 1, a, ==, b, "")
#define KUNIT_ASSERT_PTR_NE(t, a, b)	__HCV_K_PTR(t, 1, a, !=, b, "")
#define KUNIT_ASSERT_NULL(t, p)		__HCV_K_PTR(t, 1, p, ==, NULL, "")
#define KUNIT_ASSERT_NOT_NULL(t, p)	__HCV_K_PTR(t, 1, p, !=, NULL, "")
#define KUNIT_ASSERT_NOT_ERR_OR_NULL(t, p) __HCV_K_PTR_OK(t, 1, p, "")

#define KUNIT_ASSERT_EQ_MSG(t, a, b, ...) __HCV_K_CMP(t, 1, a, ==, b, __VA_ARGS__)
#define KUNIT_ASSERT_NE_MSG(t, a, b, ...) __HCV_K_CMP(t, 1, a, !=, b, __VA_ARGS__)
#define KUNIT_ASSERT_TRUE_MSG(t, c, ...) __HCV_K_TRUE(t, 1, true, c, __VA_ARGS__)
#define KUNIT_ASSERT_FALSE_MSG(t, c, ...) __HCV_K_TRUE(t, 1, false, c, __VA_ARGS__)

#endif /* HCV_SHIM_KUNIT_TEST_H */
