/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_MUTEX_H
#define HCV_SHIM_LINUX_MUTEX_H

#include <linux/spinlock.h>

struct mutex {
	bool held;
};

static inline void mutex_init(struct mutex *lock)
{
	lock->held = false;
}

static inline void mutex_destroy(struct mutex *lock)
{
	assert(!lock->held);
}

static inline void mutex_lock(struct mutex *lock)
{
	assert(!lock->held);
	lock->held = true;
}

static inline void mutex_unlock(struct mutex *lock)
{
	assert(lock->held);
	lock->held = false;
}

#endif /* HCV_SHIM_LINUX_MUTEX_H */
