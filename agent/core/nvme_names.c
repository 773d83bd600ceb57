// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names of NVMe objects.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "nvme_names.h"

void hcv_nvme_subnqn(const char *store, const char *client,
		     char out[HCV_NQN_LEN])
{
	snprintf(out, HCV_NQN_LEN, HCV_NQN_PREFIX "%.36s:%.36s", store, client);
}

bool hcv_nvme_subnqn_parse(const char *nqn, char store[HCV_ID_LEN],
			   char client[HCV_ID_LEN])
{
	const size_t id = HCV_ID_LEN - 1, prefix = sizeof(HCV_NQN_PREFIX) - 1;

	if (strlen(nqn) != prefix + 2 * id + 1 ||
	    strncmp(nqn, HCV_NQN_PREFIX, prefix) || nqn[prefix + id] != ':')
		return false;
	memcpy(store, nqn + prefix, id);
	store[id] = '\0';
	memcpy(client, nqn + prefix + id + 1, id);
	client[id] = '\0';
	return hcv_model_uuid_ok(store) && hcv_model_uuid_ok(client);
}

void hcv_nvme_hostnqn(const char *client, char out[HCV_NQN_LEN])
{
	snprintf(out, HCV_NQN_LEN, "nqn.2014-08.org.nvmexpress:uuid:%.36s",
		 client);
}

void hcv_nvme_serial(const char *store, char out[HCV_SERIAL_LEN])
{
	size_t n = 0;

	for (; *store && n < HCV_SERIAL_LEN - 1; store++)
		if (*store != '-')
			out[n++] = *store;
	out[n] = '\0';
}

/*
 * FNV-1a over both names, 128 bits wide, marked as version 8 (made by a rule
 * of its own) of RFC 9562. Not a secret: it only has to be the same after
 * every restart and different for every pair.
 */
void hcv_nvme_nsuuid(const char *store, const char *client,
		     char out[HCV_ID_LEN])
{
	const unsigned __int128 prime = ((unsigned __int128)1 << 88) + 0x13b;
	unsigned __int128 h =
		((unsigned __int128)0x6c62272e07bb0142ULL << 64) |
		0x62b821756295c58dULL;
	uint64_t hi, lo;
	char both[2 * HCV_ID_LEN];
	const char *p;

	snprintf(both, sizeof(both), "%.36s:%.36s", store, client);
	for (p = both; *p; p++) {
		h ^= (unsigned char)*p;
		h *= prime;
	}
	hi = (uint64_t)(h >> 64);
	lo = (uint64_t)h;
	hi = (hi & ~0xf000ULL) | 0x8000;
	lo = (lo & ~(3ULL << 62)) | 2ULL << 62;
	snprintf(out, HCV_ID_LEN, "%08x-%04x-%04x-%04x-%012llx",
		 (unsigned int)(hi >> 32), (unsigned int)(hi >> 16) & 0xffff,
		 (unsigned int)hi & 0xffff, (unsigned int)(lo >> 48),
		 (unsigned long long)(lo & 0xffffffffffffULL));
}
