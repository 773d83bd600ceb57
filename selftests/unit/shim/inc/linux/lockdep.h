/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_LOCKDEP_H
#define HCV_SHIM_LINUX_LOCKDEP_H

#include "hcv_shim.h"

struct lock_class_key { int unused; };

#define lockdep_assert_held(l)		((void)(l))
#define lockdep_assert_held_write(l)	((void)(l))
#define lockdep_assert_held_read(l)	((void)(l))
#define lockdep_assert_not_held(l)	((void)(l))
#define lockdep_is_held(l)		((void)(l), 1)

#endif /* HCV_SHIM_LINUX_LOCKDEP_H */
