/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_ATOMIC_H
#define HCV_SHIM_LINUX_ATOMIC_H

#include "hcv_shim.h"

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	s64 counter;
} atomic64_t;

typedef struct {
	long counter;
} atomic_long_t;

#define ATOMIC_INIT(v)		{ (v) }
#define ATOMIC64_INIT(v)	{ (v) }

#define atomic_read(p)		__atomic_load_n(&(p)->counter, __ATOMIC_RELAXED)
#define atomic_set(p, v) \
	__atomic_store_n(&(p)->counter, v, __ATOMIC_RELAXED)
#define atomic_add(v, p) \
	((void)__atomic_fetch_add(&(p)->counter, v, __ATOMIC_RELAXED))
#define atomic_sub(v, p) \
	((void)__atomic_fetch_sub(&(p)->counter, v, __ATOMIC_RELAXED))
#define atomic_inc(p)		atomic_add(1, p)
#define atomic_dec(p)		atomic_sub(1, p)
#define atomic_add_return(v, p) \
	__atomic_add_fetch(&(p)->counter, v, __ATOMIC_SEQ_CST)
#define atomic_sub_return(v, p) \
	__atomic_sub_fetch(&(p)->counter, v, __ATOMIC_SEQ_CST)
#define atomic_inc_return(p)	atomic_add_return(1, p)
#define atomic_dec_return(p)	atomic_sub_return(1, p)
#define atomic_dec_and_test(p)	(atomic_dec_return(p) == 0)
#define atomic_cmpxchg(p, o, n)	cmpxchg(&(p)->counter, o, n)

#define atomic64_read(p)	atomic_read(p)
#define atomic64_set(p, v)	atomic_set(p, v)
#define atomic64_add(v, p)	atomic_add(v, p)
#define atomic64_sub(v, p)	atomic_sub(v, p)
#define atomic64_inc(p)		atomic_inc(p)
#define atomic64_dec(p)		atomic_dec(p)
#define atomic64_add_return(v, p)	atomic_add_return(v, p)
#define atomic64_sub_return(v, p)	atomic_sub_return(v, p)
#define atomic64_inc_return(p)	atomic_add_return(1, p)
#define atomic64_dec_return(p)	atomic_sub_return(1, p)
#define atomic64_dec_and_test(p)	(atomic64_dec_return(p) == 0)

#define ATOMIC_LONG_INIT(v)	{ (v) }
#define atomic_long_read(p)	atomic_read(p)
#define atomic_long_set(p, v)	atomic_set(p, v)
#define atomic_long_add(v, p)	atomic_add(v, p)
#define atomic_long_sub(v, p)	atomic_sub(v, p)
#define atomic_long_inc(p)	atomic_inc(p)
#define atomic_long_dec(p)	atomic_dec(p)
#define atomic_long_dec_and_test(p)	(atomic_sub_return(1, p) == 0)

#endif /* HCV_SHIM_LINUX_ATOMIC_H */
