// SPDX-License-Identifier: GPL-2.0-only
/*
 * What waits for what, in debugfs (I12).
 *
 * Netlink tells the agent of attached volumes.  This needs neither, and shows
 * those as well that were detached by force and wait for their last I/O: they
 * keep the module.  It takes no mutex that anybody holds over I/O.
 */
#include <linux/debugfs.h>
#include <linux/ktime.h>
#include <linux/seq_file.h>

#include "debugfs.h"
#include "volume.h"

static struct dentry *hcv_dir;

static const char *vol_state_name(u32 state)
{
	static const char * const name[__HCV_VOL_STATES] = {
		[HCV_VOL_NEW]		= "new",
		[HCV_VOL_LOADING]	= "loading",
		[HCV_VOL_ACTIVE]	= "active",
		[HCV_VOL_SUSPENDED]	= "suspended",
		[HCV_VOL_STOPPING]	= "stopping",
		[HCV_VOL_FENCED]	= "fenced",
		[HCV_VOL_ZOMBIE]	= "zombie",
	};

	return state < __HCV_VOL_STATES ? name[state] : "?";
}

static void show_waits(struct seq_file *m, struct hcv_vol *vol, u64 now)
{
	struct hcv_waits waits;
	u32 i;

	hcv_vol_waits(vol, &waits);
	for (i = 1; i < __HCV_WAITS; i++)
		if (waits.count[i])
			seq_printf(m, "  wait: %u for %s since %llu ms\n",
				   waits.count[i], hcv_wait_name(i),
				   div_u64(now - min(now, waits.since_ns[i]),
					   NSEC_PER_MSEC));
}

static void show_links(struct seq_file *m, struct hcv_vol *vol)
{
	/* Pairs with hcv_link_make(). */
	u32 i, n, nr = smp_load_acquire(&vol->nr_links);
	u64 stall_ns;

	for (i = 0; i < nr; i++) {
		struct hcv_link *link = vol->link[i];

		n = hcv_link_inflight(link, &stall_ns);
		seq_printf(m, "  store %pUb: %s, %u in flight", &link->store,
			   hcv_link_state_name(READ_ONCE(link->state)), n);
		if (stall_ns)
			seq_printf(m, ", nothing came back for %llu ms",
				   div_u64(stall_ns, NSEC_PER_MSEC));
		seq_putc(m, '\n');
	}
}

static int waits_show(struct seq_file *m, void *unused)
{
	char name[HCV_NAME_SIZE];
	struct hcv_vol *vol;
	u32 n;

	for (n = 0; (vol = hcv_vol_nth_of_all(n, name)); n++) {
		seq_printf(m, "volume %s %pUb: %s, open %d times\n", name,
			   &vol->uuid, vol_state_name(hcv_vol_shown_state(vol)),
			   atomic_read(&vol->openers));
		show_waits(m, vol, ktime_get_boottime_ns());
		show_links(m, vol);
		hcv_vol_put(vol);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(waits);

int hcv_debugfs_init(void)
{
	/* Errors are debugfs's own business, and mean nothing to I/O. */
	hcv_dir = debugfs_create_dir("hcivol", NULL);
	debugfs_create_file("waits", 0400, hcv_dir, NULL, &waits_fops);
	return 0;
}

void hcv_debugfs_exit(void)
{
	debugfs_remove_recursive(hcv_dir);
}
