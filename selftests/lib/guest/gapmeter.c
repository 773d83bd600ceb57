// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes 4 KiB blocks one after the other and tells the longest time that one
 * took: the gap that a guest would feel.
 *
 *   gapmeter FILE FIRST-BYTE BYTES SECONDS [GAP-MS COMMAND]
 *
 * Ends after SECONDS or at SIGTERM, then reads back what it wrote and prints
 * one line of JSON: writes, errors, the longest write and when it began, in
 * milliseconds. With COMMAND, a write that took longer than GAP-MS is told on
 * a line of its own at once, and COMMAND is run, its output being one line,
 * before the next write is made.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK	4096

struct meter {
	int fd;
	long long first;
	uint64_t blocks, round;
	uint64_t *rounds;	/* what each block was written with last */
	uint64_t *buf, *want;
	double start, worst, worst_at;
	unsigned long writes, errors;
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = sig;
}

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

/* Return: 0, or 1 when a block cannot be read or is not as written */
static int verify(struct meter *m)
{
	uint64_t b;

	for (b = 0; b < m->blocks; b++) {
		if (!m->rounds[b])
			continue;
		if (pread(m->fd, m->buf, BLOCK, m->first + b * BLOCK) != BLOCK)
			return 1;
		fill(m->want, b, m->rounds[b]);
		if (memcmp(m->buf, m->want, BLOCK))
			return 1;
	}
	return 0;
}

/* Return: how long it took, in ms */
static double write_one(struct meter *m)
{
	uint64_t b = m->round++ % m->blocks;
	double begin, took;

	fill(m->buf, b, m->round);
	begin = now_ms();
	if (pwrite(m->fd, m->buf, BLOCK, m->first + b * BLOCK) == BLOCK)
		m->rounds[b] = m->round;
	else
		m->errors++;
	took = now_ms() - begin;
	if (took > m->worst) {
		m->worst = took;
		m->worst_at = begin - m->start;
	}
	m->writes++;
	return took;
}

static void tell_gap(struct meter *m, double took, const char *command)
{
	int ret;

	printf("{\"write\": %lu, \"ms\": %.1f}\n", m->writes, took);
	fflush(stdout);
	ret = system(command);
	printf("\n{\"ended\": %d}\n", ret);
	fflush(stdout);
}

static int setup(struct meter *m, char **argv)
{
	struct sigaction sa = { .sa_handler = stop, .sa_flags = SA_RESTART };

	sigaction(SIGTERM, &sa, NULL);
	m->first = atoll(argv[2]);
	m->blocks = strtoull(argv[3], NULL, 10) / BLOCK;
	m->fd = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
	m->rounds = calloc(m->blocks, sizeof(*m->rounds));
	if (m->fd < 0 || !m->blocks || !m->rounds ||
	    posix_memalign((void **)&m->buf, BLOCK, BLOCK) ||
	    posix_memalign((void **)&m->want, BLOCK, BLOCK)) {
		perror(argv[1]);
		return -1;
	}
	m->start = now_ms();
	return 0;
}

int main(int argc, char **argv)
{
	struct meter m = { .fd = -1 };
	double took, gap;
	int bad;

	if (argc != 5 && argc != 7) {
		fprintf(stderr,
			"usage: gapmeter FILE FIRST BYTES SECONDS [GAP-MS COMMAND]\n");
		return 2;
	}
	if (setup(&m, argv))
		return 1;
	gap = argc == 7 ? atof(argv[5]) : 0;
	while (!stopped && now_ms() < m.start + atof(argv[4]) * 1e3) {
		took = write_one(&m);
		if (argc == 7 && took > gap)
			tell_gap(&m, took, argv[6]);
	}
	bad = verify(&m);
	printf("{\"writes\": %lu, \"errors\": %lu, \"gap_ms\": %.1f, \"gap_at_ms\": %.0f, \"verified\": %s}\n",
	       m.writes, m.errors, m.worst, m.worst_at, bad ? "false" : "true");
	return m.errors || bad;
}
