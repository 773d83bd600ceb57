// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading.
 *
 * Netlink goes up last, so that no command meets half a module, and only what
 * looks on comes after it; in between each layer stands on those before it.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "actlog.h"
#include "debugfs.h"
#include "export.h"
#include "io.h"
#include "netlink.h"
#include "scrub.h"
#include "store.h"
#include "version.h"
#include "volume.h"

/* In the order of going up; going down is the reverse. */
static const struct {
	int (*init)(void);
	void (*exit)(void);
} hcv_rooms[] = {
	{ hcv_export_init,	hcv_export_exit },
	{ hcv_link_init,	hcv_link_exit },
	{ hcv_rw_init,		hcv_rw_exit },
	{ hcv_rmw_init,		hcv_rmw_exit },
	{ hcv_settle_init,	hcv_settle_exit },
	{ hcv_zero_init,	hcv_zero_exit },
	{ hcv_commit_init,	hcv_commit_exit },
	{ hcv_actlog_init,	hcv_actlog_exit },
	{ hcv_sync_init,	hcv_sync_exit },
	{ hcv_scrub_init,	hcv_scrub_exit },
	{ hcv_front_init,	hcv_front_exit },
	{ hcv_volume_init,	hcv_volume_exit },
	{ hcv_netlink_init,	hcv_netlink_exit },
	{ hcv_debugfs_init,	hcv_debugfs_exit },
};

static int __init hcv_main_init(void)
{
	int i, ret;

	for (i = 0; i < ARRAY_SIZE(hcv_rooms); i++) {
		ret = hcv_rooms[i].init();
		if (ret)
			goto err_rooms;
	}
	return 0;

err_rooms:
	while (--i >= 0)
		hcv_rooms[i].exit();
	return ret;
}

static void __exit hcv_main_exit(void)
{
	int i;

	for (i = ARRAY_SIZE(hcv_rooms) - 1; i > 0; i--)
		hcv_rooms[i].exit();
	/* Exports before stores; volumes were gone before both. */
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
