/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_PRINTK_H
#define HCV_SHIM_LINUX_PRINTK_H

#include <stdio.h>

#define KERN_INFO
#define printk(...)		fprintf(stderr, __VA_ARGS__)
#define pr_err(...)		fprintf(stderr, __VA_ARGS__)
#define pr_warn(...)		fprintf(stderr, __VA_ARGS__)
#define pr_info(...)		fprintf(stderr, __VA_ARGS__)
#define pr_debug(...)		do { } while (0)

#endif /* HCV_SHIM_LINUX_PRINTK_H */
