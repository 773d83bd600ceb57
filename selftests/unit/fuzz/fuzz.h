/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzzers of media structures have in common: the input is an image,
 * most mutations get a right checksum, and an image that is accepted must come
 * out of the encoder as it went into the decoder.
 */
#ifndef HCV_FUZZ_H
#define HCV_FUZZ_H

#include <stdlib.h>

#include "format.h"

#define HCV_FUZZ_MAX	HCV_VOLPAGE_SIZE

/* Given by each fuzzer. */
extern const u32 hcv_fuzz_crc_off;
/** hcv_fuzz_len() - bytes that the checksum of @buf covers, 0: senseless */
u32 hcv_fuzz_len(const u8 *buf, size_t size);
/** hcv_fuzz_one() - @buf: HCV_FUZZ_MAX bytes, aligned, zero behind @size */
void hcv_fuzz_one(const u8 *buf, size_t size);

#define HCV_FUZZ_CHECK(cond) do {	\
	if (!(cond))			\
		abort();		\
} while (0)

#endif /* HCV_FUZZ_H */
