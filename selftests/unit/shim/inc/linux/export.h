/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_EXPORT_H
#define HCV_SHIM_LINUX_EXPORT_H

#include <linux/module.h>

#endif /* HCV_SHIM_LINUX_EXPORT_H */
