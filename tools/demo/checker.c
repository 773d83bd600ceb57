// SPDX-License-Identifier: GPL-2.0-only
/*
 * The only program of the demo's small VM: init.  Loads the modules that
 * /modules lists, writes blocks to /dev/vda that say which block and which
 * round they are, and reads them back, for the seconds given on the kernel's
 * command line (check=SECONDS).  Prints "checker: ok ..." or what is wrong.
 * While the disk begins with "wait" it is not the real one yet.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK	4096
#define BLOCKS	512

static uint64_t round_of[BLOCKS];
static uint64_t buf[BLOCK / 8] __attribute__((aligned(BLOCK)));

static void off(int ok)
{
	printf("checker: %s\n", ok ? "end" : "FAILED");
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}

static void fail(const char *what)
{
	printf("checker: FAILED: %s: %s\n", what, strerror(errno));
	off(0);
}

static void load_modules(void)
{
	FILE *list = fopen("/modules", "r");
	char name[256];
	int fd;

	while (list && fscanf(list, "%255s", name) == 1) {
		fd = open(name, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) &&
			       errno != EEXIST))
			fail(name);
		close(fd);
	}
}

static long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static void fill(uint64_t block, uint64_t round)
{
	uint64_t i;

	for (i = 0; i < BLOCK / 8; i++)
		buf[i] = (block << 40) ^ (round << 12) ^ i;
}

static void verify(int fd, uint64_t block)
{
	uint64_t want, i;

	if (pread(fd, buf, BLOCK, block * BLOCK) != BLOCK)
		fail("read");
	for (i = 0; i < BLOCK / 8; i++) {
		want = (block << 40) ^ (round_of[block] << 12) ^ i;
		if (buf[i] == want)
			continue;
		printf("checker: FAILED: block %llu word %llu is %llx, not %llx\n",
		       (unsigned long long)block, (unsigned long long)i,
		       (unsigned long long)buf[i], (unsigned long long)want);
		off(0);
	}
}

static long check_seconds(void)
{
	char line[1024] = "", *p;
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, line, sizeof(line) - 1) < 0)
		fail("/proc/cmdline");
	close(fd);
	p = strstr(line, "check=");
	return p ? strtol(p + 6, NULL, 10) : 30;
}

static int open_disk(void)
{
	int i, fd = -1;

	for (i = 0; i < 600 && fd < 0; i++) {
		fd = open("/dev/vda", O_RDWR | O_DIRECT | O_CLOEXEC);
		if (fd < 0)
			usleep(100000);
	}
	if (fd < 0)
		fail("/dev/vda");
	return fd;
}

/* Until the VM has moved to where its disk is to be used. */
static void wait_for_disk(int fd)
{
	printf("checker: ready\n");
	for (;;) {
		if (pread(fd, buf, BLOCK, 0) != BLOCK)
			fail("read");
		if (memcmp(buf, "wait", 4))
			return;
		usleep(50000);
	}
}

int main(void)
{
	uint64_t round = 1, writes = 0, block;
	long end, limit;
	int fd;

	setvbuf(stdout, NULL, _IONBF, 0);
	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	load_modules();
	fd = open_disk();
	limit = check_seconds();
	wait_for_disk(fd);
	printf("checker: started\n");
	end = now() + limit;
	srand(1);
	while (now() < end) {
		block = rand() % BLOCKS;
		if (round_of[block])
			verify(fd, block);
		fill(block, ++round);
		if (pwrite(fd, buf, BLOCK, block * BLOCK) != BLOCK)
			fail("write");
		round_of[block] = round;
		if (++writes % 64 == 0) {
			if (fdatasync(fd))
				fail("flush");
			printf("checker: %llu writes\n",
			       (unsigned long long)writes);
		}
	}
	for (block = 0; block < BLOCKS; block++)
		if (round_of[block])
			verify(fd, block);
	printf("checker: ok after %llu writes\n", (unsigned long long)writes);
	off(1);
	return 0;
}
