/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_SLAB_H
#define HCV_SHIM_LINUX_SLAB_H

#include <stdlib.h>

#include "hcv_shim.h"

typedef unsigned int gfp_t;

#define __GFP_ZERO	1U
#define __GFP_NOWARN	2U
#define __GFP_NOFAIL	4U
#define GFP_KERNEL	0x10U
#define GFP_NOIO	0x20U
#define GFP_NOWAIT	0x40U
#define GFP_ATOMIC	0x80U

/**
 * hcv_shim_alloc_fail() - make one of the following allocations fail
 * @nth: 1: the very next one; 0: none
 *
 * For "fail the n-th allocation" sweeps: the test repeats its subject with
 * n = 1, 2, ... until hcv_shim_alloc_failed() says that none failed.
 * __GFP_NOFAIL allocations are neither counted nor failed.
 */
void hcv_shim_alloc_fail(unsigned int nth);
/** hcv_shim_alloc_failed() - whether the chosen allocation was reached */
bool hcv_shim_alloc_failed(void);

void *hcv_shim_alloc(size_t size, gfp_t gfp) __attribute__((malloc));
void *hcv_shim_realloc(void *old, size_t size, gfp_t gfp);
void kfree(const void *ptr);

static inline void *kmalloc(size_t size, gfp_t gfp)
{
	return hcv_shim_alloc(size, gfp);
}

static inline void *kzalloc(size_t size, gfp_t gfp)
{
	return hcv_shim_alloc(size, gfp | __GFP_ZERO);
}

static inline void *kmalloc_array(size_t n, size_t size, gfp_t gfp)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return hcv_shim_alloc(bytes, gfp);
}

static inline void *kcalloc(size_t n, size_t size, gfp_t gfp)
{
	return kmalloc_array(n, size, gfp | __GFP_ZERO);
}

static inline void *krealloc(void *old, size_t size, gfp_t gfp)
{
	return hcv_shim_realloc(old, size, gfp);
}

static inline void *krealloc_array(void *old, size_t n, size_t size, gfp_t gfp)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return hcv_shim_realloc(old, bytes, gfp);
}

static inline void *kmemdup(const void *src, size_t size, gfp_t gfp)
{
	void *dst = kmalloc(size, gfp);

	if (dst)
		memcpy(dst, src, size);
	return dst;
}

#define kvmalloc(size, gfp)		kmalloc(size, gfp)
#define kvzalloc(size, gfp)		kzalloc(size, gfp)
#define kvmalloc_array(n, size, gfp)	kmalloc_array(n, size, gfp)
#define kvcalloc(n, size, gfp)		kcalloc(n, size, gfp)
#define kvfree(ptr)			kfree(ptr)
#define vmalloc(size)			kmalloc(size, GFP_KERNEL)
#define vzalloc(size)			kzalloc(size, GFP_KERNEL)
#define vfree(ptr)			kfree(ptr)

/* A cache is its object size. */
struct kmem_cache {
	size_t size;
};

struct kmem_cache *hcv_shim_cache_create(size_t size);
void kmem_cache_destroy(struct kmem_cache *cache);

#define SLAB_HWCACHE_ALIGN	0
#define SLAB_RECLAIM_ACCOUNT	0
#define kmem_cache_create(name, size, align, flags, ctor) \
	hcv_shim_cache_create(size)
#define KMEM_CACHE(tag, flags)		hcv_shim_cache_create(sizeof(struct tag))
#define kmem_cache_alloc(c, gfp)	kmalloc((c)->size, gfp)
#define kmem_cache_zalloc(c, gfp)	kzalloc((c)->size, gfp)
#define kmem_cache_free(c, ptr)		kfree(ptr)

#endif /* HCV_SHIM_LINUX_SLAB_H */
