/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_MATH64_H
#define HCV_SHIM_LINUX_MATH64_H

#include "hcv_shim.h"

#endif /* HCV_SHIM_LINUX_MATH64_H */
