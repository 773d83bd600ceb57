/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_BITMAP_H
#define HCV_SHIM_LINUX_BITMAP_H

#include "hcv_shim.h"

#endif /* HCV_SHIM_LINUX_BITMAP_H */
