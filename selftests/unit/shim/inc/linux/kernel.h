/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_KERNEL_H
#define HCV_SHIM_LINUX_KERNEL_H

#include_next <linux/kernel.h>

#include "hcv_shim.h"

#endif /* HCV_SHIM_LINUX_KERNEL_H */
