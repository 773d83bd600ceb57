/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_STRING_H
#define HCV_SHIM_LINUX_STRING_H

#include_next <linux/string.h>

#include "hcv_shim.h"

#endif /* HCV_SHIM_LINUX_STRING_H */
