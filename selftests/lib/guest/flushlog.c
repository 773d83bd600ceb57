// SPDX-License-Identifier: GPL-2.0-only
/*
 * What has been flushed, told to somebody who outlives this machine.
 *
 *   flushlog write FILE FIRST-BYTE BYTES
 *   flushlog check FILE FIRST-BYTE BYTES LAST
 *
 * write: numbered 4 KiB blocks, round and round, until a write fails or
 * SIGTERM; after each flush the number of the last block written before it is
 * printed. check: every number up to LAST must be there, or a later one of the
 * same block; one line of JSON says how many blocks are not, and how many hold
 * something that write never wrote.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK		4096
#define FLUSH_EVERY	4

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = sig;
}

static void fill(uint64_t *buf, uint64_t number)
{
	size_t i;

	for (i = 0; i < BLOCK / 8; i++)
		buf[i] = number * 0x9e3779b97f4a7c15ULL ^ i;
	buf[0] = number;
}

static int do_write(int fd, uint64_t *buf, long long first, uint64_t blocks)
{
	uint64_t n;

	for (n = 1; !stopped; n++) {
		fill(buf, n);
		if (pwrite(fd, buf, BLOCK, first + n % blocks * BLOCK) != BLOCK)
			break;
		if (n % FLUSH_EVERY)
			continue;
		if (fdatasync(fd))
			break;
		printf("%llu\n", (unsigned long long)n);
		fflush(stdout);
	}
	if (stopped)
		return 0;
	fprintf(stderr, "block %llu: %s\n", (unsigned long long)n,
		strerror(errno));
	return 1;
}

static int do_check(int fd, uint64_t *buf, long long first, uint64_t blocks,
		    uint64_t last)
{
	unsigned long lost = 0, foreign = 0, errors = 0;
	uint64_t b, least, newest = 0, want[BLOCK / 8];

	for (b = 0; b < blocks; b++) {
		if (pread(fd, buf, BLOCK, first + b * BLOCK) != BLOCK) {
			errors++;
			continue;
		}
		/* The latest number up to LAST that went into this block. */
		least = last < b ? 0 : last - (last - b) % blocks;
		fill(want, buf[0]);
		if (buf[0] || memcmp(buf, buf + 1, BLOCK - 8))
			foreign += buf[0] % blocks != b ||
				   memcmp(buf, want, BLOCK) != 0;
		lost += buf[0] < least;
		if (buf[0] > newest)
			newest = buf[0];
	}
	printf("{\"newest\": %llu, \"lost\": %lu, \"foreign\": %lu, \"errors\": %lu}\n",
	       (unsigned long long)newest, lost, foreign, errors);
	return lost || foreign || errors;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = stop };
	uint64_t *buf, blocks;
	int fd;

	if (argc < 5 || argc != (strcmp(argv[1], "check") ? 5 : 6)) {
		fprintf(stderr,
			"usage: flushlog write|check FILE FIRST BYTES [LAST]\n");
		return 2;
	}
	sigaction(SIGTERM, &sa, NULL);
	blocks = strtoull(argv[4], NULL, 10) / BLOCK;
	fd = open(argv[2], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || !blocks || posix_memalign((void **)&buf, BLOCK, BLOCK)) {
		perror(argv[2]);
		return 1;
	}
	if (argc == 5)
		return do_write(fd, buf, atoll(argv[3]), blocks);
	return do_check(fd, buf, atoll(argv[3]), blocks,
			strtoull(argv[5], NULL, 10));
}
