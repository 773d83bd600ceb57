// SPDX-License-Identifier: GPL-2.0-only
/*
 * The suites register themselves; loading the module runs them.
 */
#include <linux/module.h>

MODULE_DESCRIPTION("KUnit tests of hcivol's pure code");
MODULE_LICENSE("GPL");
