// SPDX-License-Identifier: GPL-2.0-only
/*
 * The part of compat.h that needs storage.
 */
#include "compat.h"

#include <linux/atomic.h>

/*
 * An extack points to text that must stay until the ack has been built,
 * which the caller's task does right after the command has returned.  A text
 * is overwritten only when this many further errors come in between.
 */
#define HCV_COMPAT_TEXTS	64
#define HCV_COMPAT_TEXT_LEN	160

static char hcv_compat_text[HCV_COMPAT_TEXTS][HCV_COMPAT_TEXT_LEN];
static atomic_t hcv_compat_next;

void hcv_compat_err(struct netlink_ext_ack *extack, const char *fmt, ...)
{
	unsigned int i;
	va_list args;

	if (!extack)
		return;
	i = (unsigned int)atomic_inc_return(&hcv_compat_next) % HCV_COMPAT_TEXTS;
	va_start(args, fmt);
	vscnprintf(hcv_compat_text[i], HCV_COMPAT_TEXT_LEN, fmt, args);
	va_end(args);
	extack->_msg = hcv_compat_text[i];
}
