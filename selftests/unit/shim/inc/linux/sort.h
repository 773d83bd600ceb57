/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_SORT_H
#define HCV_SHIM_LINUX_SORT_H

#include <stdlib.h>

#include "hcv_shim.h"

/* Only the kernel's default swap is supported. */
static inline void sort(void *base, size_t num, size_t size,
			int (*cmp)(const void *, const void *),
			void (*swap_func)(void *, void *, int))
{
	assert(!swap_func);
	if (num)
		qsort(base, num, size, cmp);
}

#endif /* HCV_SHIM_LINUX_SORT_H */
