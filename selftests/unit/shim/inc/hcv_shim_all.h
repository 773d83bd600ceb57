/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that the kernel's pure code may use, included in front of it: on
 * the host it sees host.h only.
 */
#ifndef HCV_SHIM_ALL_H
#define HCV_SHIM_ALL_H

#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/hash.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/spinlock.h>

#define might_sleep()	do { } while (0)

#endif /* HCV_SHIM_ALL_H */
