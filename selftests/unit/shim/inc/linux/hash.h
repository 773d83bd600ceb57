/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_SHIM_LINUX_HASH_H
#define HCV_SHIM_LINUX_HASH_H

#include "hcv_shim.h"

static inline u32 hash_64(u64 val, unsigned int bits)
{
	return (u32)(val * 0x61c8864680b583ebULL >> (64 - bits));
}

static inline u32 hash_32(u32 val, unsigned int bits)
{
	return val * 0x61c88647U >> (32 - bits);
}

#endif /* HCV_SHIM_LINUX_HASH_H */
