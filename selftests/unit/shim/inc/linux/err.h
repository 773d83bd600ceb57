/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_ERR_H
#define HCV_SHIM_LINUX_ERR_H

#include "hcv_shim.h"

#endif /* HCV_SHIM_LINUX_ERR_H */
