/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_MODULE_H
#define HCV_SHIM_LINUX_MODULE_H

#define MODULE_LICENSE(x)	struct hcv_shim_module
#define MODULE_DESCRIPTION(x)	struct hcv_shim_module
#define MODULE_AUTHOR(x)	struct hcv_shim_module
#define EXPORT_SYMBOL_GPL(x)	struct hcv_shim_module

#endif /* HCV_SHIM_LINUX_MODULE_H */
