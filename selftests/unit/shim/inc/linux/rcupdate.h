/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_RCUPDATE_H
#define HCV_SHIM_LINUX_RCUPDATE_H

#include <assert.h>

#include "hcv_shim.h"
#include <linux/slab.h>

/*
 * One thread: a grace period has passed as soon as it is in no read section.
 * What is freed inside of one waits for its end.
 */
struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

#define callback_head rcu_head

extern int hcv_shim_rcu_depth;

/* @func below 4096: free what holds @head at that offset. */
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
void hcv_shim_rcu_run(void);

static inline void rcu_read_lock(void)
{
	hcv_shim_rcu_depth++;
}

static inline void rcu_read_unlock(void)
{
	assert(hcv_shim_rcu_depth > 0);
	if (!--hcv_shim_rcu_depth)
		hcv_shim_rcu_run();
}

static inline bool rcu_read_lock_held(void)
{
	return hcv_shim_rcu_depth > 0;
}

static inline void synchronize_rcu(void)
{
	assert(!hcv_shim_rcu_depth);
}

#define rcu_barrier()				synchronize_rcu()
#define rcu_dereference(p)			READ_ONCE(p)
#define rcu_dereference_check(p, c)		READ_ONCE(p)
#define rcu_dereference_protected(p, c)		READ_ONCE(p)
#define rcu_dereference_raw(p)			READ_ONCE(p)
#define rcu_access_pointer(p)			READ_ONCE(p)
#define rcu_assign_pointer(p, v)		smp_store_release(&(p), v)
#define RCU_INIT_POINTER(p, v)			((p) = (v))
#define rcu_replace_pointer(p, v, c) ({					\
	__typeof__(p) __old = (p);					\
	rcu_assign_pointer(p, v);					\
	__old; })

#define kfree_rcu(p, field) do {					\
	__typeof__(p) __kp = (p);					\
									\
	if (__kp)							\
		call_rcu(&__kp->field, (void (*)(struct rcu_head *))	\
			 offsetof(__typeof__(*__kp), field));		\
} while (0)
#define kvfree_rcu(p, field)	kfree_rcu(p, field)

#endif /* HCV_SHIM_LINUX_RCUPDATE_H */
