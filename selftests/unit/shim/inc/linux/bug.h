/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_BUG_H
#define HCV_SHIM_LINUX_BUG_H

#include <stdio.h>
#include <stdlib.h>

#include "hcv_shim.h"

/* A warning is a failure: the program stops where it was raised. */
#define HCV_SHIM_DIE(what, cond) do {					\
	fprintf(stderr, "# %s(%s) at %s:%d in %s\n", what, cond,	\
		__FILE__, __LINE__, __func__);				\
	abort();							\
} while (0)

#define BUG()			HCV_SHIM_DIE("BUG", "")
#define BUG_ON(c)		do { if (c) HCV_SHIM_DIE("BUG_ON", #c); } while (0)
#define WARN_ON(c) ({							\
	bool __hcv_warn = !!(c);					\
									\
	if (__hcv_warn)							\
		HCV_SHIM_DIE("WARN_ON", #c);				\
	__hcv_warn; })
#define WARN_ON_ONCE(c)		WARN_ON(c)
#define WARN(c, fmt, ...)	WARN_ON(c)
#define WARN_ONCE(c, fmt, ...)	WARN_ON(c)

#endif /* HCV_SHIM_LINUX_BUG_H */
