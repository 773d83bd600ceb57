// SPDX-License-Identifier: GPL-2.0-only
/*
 * CRC32C with slicing by eight: tools read gigabytes of metadata with it.
 */
#include "hcv_shim.h"

#define HCV_CRC32C_POLY		0x82f63b78U	/* Castagnoli, reflected */

static u32 hcv_crc_table[8][256];

__attribute__((constructor)) static void hcv_crc_init(void)
{
	u32 i, k, crc;

	for (i = 0; i < 256; i++) {
		crc = i;
		for (k = 0; k < 8; k++)
			crc = crc & 1 ? crc >> 1 ^ HCV_CRC32C_POLY : crc >> 1;
		hcv_crc_table[0][i] = crc;
	}
	for (i = 0; i < 256; i++)
		for (k = 1; k < 8; k++) {
			crc = hcv_crc_table[k - 1][i];
			hcv_crc_table[k][i] = hcv_crc_table[0][crc & 0xff] ^
				crc >> 8;
		}
}

u32 crc32c(u32 crc, const void *buf, unsigned int len)
{
	const u8 *p = buf;
	u64 word;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		word = le64toh(word) ^ crc;
		crc = hcv_crc_table[7][word & 0xff] ^
			hcv_crc_table[6][word >> 8 & 0xff] ^
			hcv_crc_table[5][word >> 16 & 0xff] ^
			hcv_crc_table[4][word >> 24 & 0xff] ^
			hcv_crc_table[3][word >> 32 & 0xff] ^
			hcv_crc_table[2][word >> 40 & 0xff] ^
			hcv_crc_table[1][word >> 48 & 0xff] ^
			hcv_crc_table[0][word >> 56];
	}
	while (len--)
		crc = hcv_crc_table[0][(crc ^ *p++) & 0xff] ^ crc >> 8;
	return crc;
}
