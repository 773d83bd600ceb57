/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_SPINLOCK_H
#define HCV_SHIM_LINUX_SPINLOCK_H

#include <assert.h>

#include <linux/lockdep.h>

/* Not a lock, but it knows whether it is held: tests are single-threaded. */
typedef struct {
	bool held;
} spinlock_t;

#define __SPIN_LOCK_UNLOCKED(x)	{ false }
#define DEFINE_SPINLOCK(x)	spinlock_t x = __SPIN_LOCK_UNLOCKED(x)

static inline void spin_lock_init(spinlock_t *lock)
{
	lock->held = false;
}

static inline void spin_lock(spinlock_t *lock)
{
	assert(!lock->held);
	lock->held = true;
}

static inline bool spin_trylock(spinlock_t *lock)
{
	if (lock->held)
		return false;
	lock->held = true;
	return true;
}

static inline void spin_unlock(spinlock_t *lock)
{
	assert(lock->held);
	lock->held = false;
}

#define spin_lock_bh(l)			spin_lock(l)
#define spin_unlock_bh(l)		spin_unlock(l)
#define spin_lock_irq(l)		spin_lock(l)
#define spin_unlock_irq(l)		spin_unlock(l)
#define spin_lock_irqsave(l, f)		do { (f) = 0; spin_lock(l); } while (0)
#define spin_unlock_irqrestore(l, f)	do { (void)(f); spin_unlock(l); } while (0)

#undef lockdep_assert_held
#define lockdep_assert_held(l)		assert((l)->held)

#endif /* HCV_SHIM_LINUX_SPINLOCK_H */
