// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading.
 *
 * Netlink goes up last and down first, so that no command meets half a module;
 * in between each layer stands on those before it.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "export.h"
#include "netlink.h"
#include "store.h"
#include "version.h"

static int __init hcv_main_init(void)
{
	int ret;

	ret = hcv_export_init();
	if (ret)
		return ret;
	ret = hcv_netlink_init();
	if (ret)
		goto err_export;
	return 0;

err_export:
	hcv_export_exit();
	return ret;
}

static void __exit hcv_main_exit(void)
{
	hcv_netlink_exit();
	hcv_export_exit();
	hcv_store_exit();
	/* Grants and chunks are freed by RCU callbacks. */
	rcu_barrier();
}

module_init(hcv_main_init);
module_exit(hcv_main_exit);

MODULE_DESCRIPTION("Distributed block storage: volumes, stores, exports");
MODULE_LICENSE("GPL");
MODULE_VERSION(HCV_VERSION);
