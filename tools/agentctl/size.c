// SPDX-License-Identifier: GPL-2.0-only
/*
 * Numbers and sizes of the command line.
 */
#include "agentctl.h"

#include <string.h>

static const char *hcv_ctl_digits(const char *s, uint64_t *out)
{
	uint64_t n = 0;
	const char *p;

	for (p = s; *p >= '0' && *p <= '9'; p++) {
		unsigned int digit = *p - '0';

		if (n > ((uint64_t)INT64_MAX - digit) / 10)
			return NULL;
		n = n * 10 + digit;
	}
	*out = n;
	return p == s ? NULL : p;
}

bool hcv_ctl_parse_uint(const char *s, uint64_t *out)
{
	uint64_t n;
	const char *end = hcv_ctl_digits(s, &n);

	if (!end || *end)
		return false;
	*out = n;
	return true;
}

bool hcv_ctl_parse_size(const char *s, uint64_t *out)
{
	static const char units[] = "KMGTP";
	const char *end, *unit;
	uint64_t n;
	int shift = 0;

	end = hcv_ctl_digits(s, &n);
	if (!end)
		return false;
	/* upper and lower case alike; without the case bit '\0' is '\0' */
	unit = *end ? strchr(units, *end & ~0x20) : NULL;
	if (unit && *unit) {
		shift = 10 * (unit - units + 1);
		end++;
		if (!strcmp(end, "iB"))
			end += 2;
	}
	if (!strcmp(end, "B"))
		end++;
	if (*end || n > (uint64_t)INT64_MAX >> shift)
		return false;
	*out = n << shift;
	return true;
}
