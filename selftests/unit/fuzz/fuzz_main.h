/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libFuzzer's entry points, included once by each fuzzer.
 */
#ifndef HCV_FUZZ_MAIN_H
#define HCV_FUZZ_MAIN_H

#include "fuzz.h"

size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max,
			       unsigned int seed);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max,
			       unsigned int seed)
{
	u32 crc, len, i;

	size = LLVMFuzzerMutate(data, size, max);
	len = hcv_fuzz_len(data, size);
	if (seed % 8 == 0 || !len || len > size)
		return size;
	memset(data + hcv_fuzz_crc_off, 0, 4);
	crc = hcv_crc32c(data, len);
	for (i = 0; i < 4; i++)
		data[hcv_fuzz_crc_off + i] = crc >> (8 * i);
	return size;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	/* As aligned as every buffer of the decoders' users. */
	u8 *buf = aligned_alloc(4096, HCV_FUZZ_MAX);

	HCV_FUZZ_CHECK(buf);
	if (size > HCV_FUZZ_MAX)
		size = HCV_FUZZ_MAX;
	memcpy(buf, data, size);
	memset(buf + size, 0, HCV_FUZZ_MAX - size);
	hcv_fuzz_one(buf, size);
	free(buf);
	return 0;
}

#endif /* HCV_FUZZ_MAIN_H */
