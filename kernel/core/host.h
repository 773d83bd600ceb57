/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What pure code needs from its surroundings: fixed-width types, byte order,
 * errno, memcpy.  In the kernel these are the kernel's own; on the host
 * selftests/unit/shim supplies the same names.
 */
#ifndef HCV_CORE_HOST_H
#define HCV_CORE_HOST_H

#ifdef __KERNEL__
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/crc32c.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/byteorder.h>
#else
#include "hcv_shim.h"
#endif

#endif /* HCV_CORE_HOST_H */
