// SPDX-License-Identifier: GPL-2.0-only
/*
 * State behind the shim headers: RCU's list and the allocator's fault point.
 */
#include <linux/rcupdate.h>
#include <linux/slab.h>

int hcv_shim_rcu_depth;

static struct rcu_head *hcv_shim_rcu_list;

void hcv_shim_rcu_run(void)
{
	struct rcu_head *head;

	while ((head = hcv_shim_rcu_list)) {
		hcv_shim_rcu_list = head->next;
		if ((uintptr_t)head->func < 4096)
			kfree((char *)head - (uintptr_t)head->func);
		else
			head->func(head);
	}
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	head->func = func;
	head->next = hcv_shim_rcu_list;
	hcv_shim_rcu_list = head;
	if (!hcv_shim_rcu_depth)
		hcv_shim_rcu_run();
}

static unsigned int hcv_shim_fail_in;
static bool hcv_shim_hit;

void hcv_shim_alloc_fail(unsigned int nth)
{
	hcv_shim_fail_in = nth;
	hcv_shim_hit = false;
}

bool hcv_shim_alloc_failed(void)
{
	return hcv_shim_hit;
}

static bool hcv_shim_should_fail(gfp_t gfp)
{
	if (gfp & __GFP_NOFAIL || !hcv_shim_fail_in || --hcv_shim_fail_in)
		return false;
	hcv_shim_hit = true;
	return true;
}

void *hcv_shim_alloc(size_t size, gfp_t gfp)
{
	void *ptr;

	if (hcv_shim_should_fail(gfp))
		return NULL;
	ptr = malloc(size ? size : 1);
	if (!ptr)
		abort();
	/* What the kernel leaves undefined must not look like zeroes. */
	memset(ptr, gfp & __GFP_ZERO ? 0 : 0xa5, size);
	return ptr;
}

void *hcv_shim_realloc(void *old, size_t size, gfp_t gfp)
{
	void *ptr;

	if (hcv_shim_should_fail(gfp))
		return NULL;
	ptr = realloc(old, size ? size : 1);
	if (!ptr)
		abort();
	return ptr;
}

void kfree(const void *ptr)
{
	free((void *)(uintptr_t)ptr);
}

struct kmem_cache *hcv_shim_cache_create(size_t size)
{
	struct kmem_cache *cache = kmalloc(sizeof(*cache), GFP_KERNEL);

	if (cache)
		cache->size = size;
	return cache;
}

void kmem_cache_destroy(struct kmem_cache *cache)
{
	kfree(cache);
}
