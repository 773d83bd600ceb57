/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_GFP_H
#define HCV_SHIM_LINUX_GFP_H

#include <linux/slab.h>

#endif /* HCV_SHIM_LINUX_GFP_H */
