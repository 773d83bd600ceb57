// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module with deliberate faults, one per checker of the debug kernel.
 *
 * "insmod hcv_faulty.ko fault=NAME" commits one of them at load; the report in
 * the kernel log shows that the checker works. Never load it anywhere but in
 * a guest that is thrown away.
 */

#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

static char *fault = "";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "name of the fault to commit");

static int index = 9;
module_param(index, int, 0444);
MODULE_PARM_DESC(index, "what fault=bounds indexes eight elements with");

static DEFINE_MUTEX(hcv_lock_a);
static DEFINE_MUTEX(hcv_lock_b);
static DEFINE_SPINLOCK(hcv_spin);

/* READ_ONCE and HIDE_VAR keep the compiler from seeing through a fault. */

static void hcv_use_after_free(void)
{
	u8 *buf = kmalloc(64, GFP_KERNEL);

	if (!buf)
		return;
	kfree(buf);
	OPTIMIZER_HIDE_VAR(buf);
	READ_ONCE(*buf);
}

static void hcv_vmalloc_overrun(void)
{
	u8 *buf = vmalloc(3 * PAGE_SIZE - 64);

	if (!buf)
		return;
	OPTIMIZER_HIDE_VAR(buf);
	READ_ONCE(buf[3 * PAGE_SIZE - 64]);
	vfree(buf);
}

static void hcv_lock_inversion(void)
{
	mutex_lock(&hcv_lock_a);
	mutex_lock(&hcv_lock_b);
	mutex_unlock(&hcv_lock_b);
	mutex_unlock(&hcv_lock_a);

	mutex_lock(&hcv_lock_b);
	mutex_lock(&hcv_lock_a);
	mutex_unlock(&hcv_lock_a);
	mutex_unlock(&hcv_lock_b);
}

static void hcv_sleep_in_atomic(void)
{
	spin_lock(&hcv_spin);
	might_sleep();
	spin_unlock(&hcv_spin);
}

static void hcv_rcu_unprotected(void)
{
	static int __rcu *pointer;

	rcu_dereference(pointer);
}

static noinline void hcv_leak(void)
{
	void *buf = kmalloc(1234, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(buf);
	buf = NULL;
	OPTIMIZER_HIDE_VAR(buf);
}

static void hcv_bounds(void)
{
	struct {
		int element[8];
		int behind[8];
	} array = {};

	WRITE_ONCE(array.element[index], 1);
}

static const struct {
	const char *name;
	void (*commit)(void);
} hcv_faults[] = {
	{ "use-after-free", hcv_use_after_free },
	{ "vmalloc-overrun", hcv_vmalloc_overrun },
	{ "lock-inversion", hcv_lock_inversion },
	{ "sleep-in-atomic", hcv_sleep_in_atomic },
	{ "rcu-unprotected", hcv_rcu_unprotected },
	{ "leak", hcv_leak },
	{ "bounds", hcv_bounds },
};

static int __init hcv_faulty_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(hcv_faults); i++) {
		if (strcmp(fault, hcv_faults[i].name))
			continue;
		hcv_faults[i].commit();
		return 0;
	}
	pr_err("hcv_faulty: no fault named '%s'\n", fault);
	return -EINVAL;
}

static void __exit hcv_faulty_exit(void)
{
}

module_init(hcv_faulty_init);
module_exit(hcv_faulty_exit);

MODULE_DESCRIPTION("Deliberate faults for the debug kernel's self test");
MODULE_LICENSE("GPL");
