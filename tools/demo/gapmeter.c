// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes 4 KiB blocks one after the other and tells the longest time that one
 * took: the gap that a guest would feel.
 *
 *   gapmeter FILE FIRST-BYTE BYTES SECONDS
 *
 * Prints one line of JSON: writes, errors, the longest write and when it began,
 * in milliseconds; and verifies what it wrote.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK	4096

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static void fill(uint64_t *buf, uint64_t block, uint64_t round)
{
	size_t i;

	for (i = 0; i < BLOCK / 8; i++)
		buf[i] = block << 32 ^ round ^ i;
}

static int verify(int fd, uint64_t *buf, uint64_t *want, long long first,
		  uint64_t blocks, const uint64_t *rounds)
{
	uint64_t b;

	for (b = 0; b < blocks; b++) {
		if (!rounds[b])
			continue;
		if (pread(fd, buf, BLOCK, first + b * BLOCK) != BLOCK)
			return 1;
		fill(want, b, rounds[b]);
		if (memcmp(buf, want, BLOCK))
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	double start, begin, took, worst = 0, worst_at = 0;
	unsigned long writes = 0, errors = 0;
	uint64_t *buf, *want, *rounds, blocks, round = 0, b;
	long long first;
	int fd, bad;

	if (argc != 5) {
		fprintf(stderr, "usage: gapmeter FILE FIRST BYTES SECONDS\n");
		return 2;
	}
	first = atoll(argv[2]);
	blocks = strtoull(argv[3], NULL, 10) / BLOCK;
	fd = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
	rounds = calloc(blocks, sizeof(*rounds));
	if (fd < 0 || !rounds || posix_memalign((void **)&buf, BLOCK, BLOCK) ||
	    posix_memalign((void **)&want, BLOCK, BLOCK)) {
		perror(argv[1]);
		return 1;
	}
	start = now_ms();
	while (now_ms() < start + atof(argv[4]) * 1e3) {
		b = round++ % blocks;
		fill(buf, b, round);
		begin = now_ms();
		if (pwrite(fd, buf, BLOCK, first + b * BLOCK) == BLOCK)
			rounds[b] = round;
		else
			errors++;
		took = now_ms() - begin;
		if (took > worst) {
			worst = took;
			worst_at = begin - start;
		}
		writes++;
	}
	bad = verify(fd, buf, want, first, blocks, rounds);
	printf("{\"writes\": %lu, \"errors\": %lu, \"gap_ms\": %.1f, \"gap_at_ms\": %.0f, \"verified\": %s}\n",
	       writes, errors, worst, worst_at, bad ? "false" : "true");
	return errors || bad;
}
