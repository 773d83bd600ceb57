// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes stamped blocks and reads them beside, and says all of it on standard
 * output as log.h has it, without the lines with a "!".
 *
 *   ckwrite load FILE RUN SESSION FIRST BLOCKS THREAD WRITERS READERS \
 *           SEED SECONDS THINK-MS FLUSH-PERCENT
 *   ckwrite read FILE RUN SESSION FIRST BLOCKS THREAD
 *
 * load: WRITERS threads write 4 to 128 KiB to their own parts and to one that
 * all share, one write in eight with FUA, FLUSH-PERCENT of them followed by a
 * FLUSH; READERS threads read. Ends after SECONDS, at SIGTERM, or when every
 * thread gets nothing but errors, after what is under way; SIGUSR1 says that
 * another owner serves the volume. read: everything once. A thread pauses for
 * THINK-MS on average, and for as long as its last I/O took, so that a machine
 * that is slow has time for more than this load.
 *
 * A line is in the buffer before what it announces begins, and what it reports
 * has ended before. The buffer goes out at each FLUSH and every 20 ms: when the
 * machine dies, so much is missing at the end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define THREADS_MAX	64
#define BUFFER		(4 << 20)
#define BUFFER_FULL	(BUFFER - 2 * HCV_CK_LINE_MAX)
#define PUSH_MS		20
#define ERRORS_MAX	20	/* in a row, a thread's */
#define PAUSE_MAX_MS	500	/* after an I/O that took long */
#define SHARE		4	/* a fourth of the area is everybody's */

struct args {
	const char *file;
	u64 run, first;
	u32 session, blocks, thread;
	u32 writers, readers, seconds, think_ms, flush_percent;
	u64 seed;
};

struct worker {
	pthread_t thread;
	u32 number;		/* in the log */
	u32 index;		/* among its kind */
	u64 seq, random;
	u8 *buf;
	u32 errors;
	u64 took_us;		/* the last I/O */
};

static struct args args;
static int disk;
static volatile bool stopped;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t out_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t emptied = PTHREAD_COND_INITIALIZER;
static char buffer[2][BUFFER];
static u32 buffer_now;		/* which of them is filled */
static size_t buffer_len;
static u64 line_number;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static u64 now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

static void sleep_ms(u32 ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* --- the log */

__printf(1, 2)
static void say(const char *fmt, ...)
{
	va_list ap;
	char *to;

	pthread_mutex_lock(&lock);
	while (buffer_len > BUFFER_FULL)
		pthread_cond_wait(&emptied, &lock);
	to = buffer[buffer_now] + buffer_len;
	to += sprintf(to, "%llu ", line_number++);
	va_start(ap, fmt);
	to += vsprintf(to, fmt, ap);
	va_end(ap);
	*to++ = '\n';
	buffer_len = to - buffer[buffer_now];
	pthread_mutex_unlock(&lock);
}

static void push(void)
{
	const char *from;
	size_t len;
	ssize_t n;

	pthread_mutex_lock(&out_lock);
	pthread_mutex_lock(&lock);
	from = buffer[buffer_now];
	len = buffer_len;
	buffer_now ^= 1;
	buffer_len = 0;
	pthread_cond_broadcast(&emptied);
	pthread_mutex_unlock(&lock);
	for (; len; len -= n, from += n) {
		n = write(STDOUT_FILENO, from, len);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			die("standard output");
	}
	pthread_mutex_unlock(&out_lock);
}

static void *pusher(void *arg)
{
	for (;;) {
		sleep_ms(PUSH_MS);
		push();
	}
	return arg;
}

/* --- I/O */

static u32 random_below(struct worker *w, u32 below)
{
	w->random = w->random * 6364136223846793005ULL +
		1442695040888963407ULL;
	return (w->random >> 33) % below;
}

static off_t offset_of(u32 block)
{
	return (off_t)(args.first + block) * HCV_CK_BLOCK;
}

static int result_of(ssize_t n, size_t want)
{
	return n == (ssize_t)want ? 0 : n < 0 ? errno : EIO;
}

/* Return: whether the thread goes on */
static bool note_result(struct worker *w, int err, u64 took_us)
{
	w->took_us = took_us;
	if (!err) {
		w->errors = 0;
		return true;
	}
	sleep_ms(100);
	return ++w->errors < ERRORS_MAX;
}

static bool do_write(struct worker *w, u32 block, u32 count)
{
	struct iovec iov = { w->buf, count * HCV_CK_BLOCK };
	bool fua = !random_below(w, 8);
	u64 id = hcv_ck_id(args.session, w->number, ++w->seq), begin;
	u32 i;
	int err;

	for (i = 0; i < count; i++)
		hcv_ck_stamp_fill(w->buf + i * HCV_CK_BLOCK, args.run,
				  args.first + block + i, id);
	say("w %u %llu %u %u %u", w->number, w->seq, block, count, fua);
	begin = now_us();
	err = result_of(pwritev2(disk, &iov, 1, offset_of(block),
				 fua ? RWF_DSYNC : 0), iov.iov_len);
	begin = now_us() - begin;
	say("W %u %llu %d %llu", w->number, w->seq, err, begin);
	return note_result(w, err, begin);
}

static bool do_flush(struct worker *w)
{
	u64 begin = now_us();
	int err;

	say("f %u", w->number);
	err = fdatasync(disk) ? errno : 0;
	begin = now_us() - begin;
	say("F %u %d %llu", w->number, err, begin);
	push();
	return note_result(w, err, begin);
}

static bool do_read(struct worker *w, u32 block, u32 count)
{
	char text[HCV_CK_LINE_MAX] = "";
	struct hcv_ck_stamp st;
	u64 begin = now_us();
	u32 i, len = 0;
	int err;

	say("r %u %u %u", w->number, block, count);
	err = result_of(pread(disk, w->buf, count * HCV_CK_BLOCK,
			      offset_of(block)), count * HCV_CK_BLOCK);
	begin = now_us() - begin;
	for (i = 0; !err && i < count; i++) {
		st = hcv_ck_stamp_read(w->buf + i * HCV_CK_BLOCK, args.run,
				       args.first + block + i);
		text[len++] = ' ';
		len += hcv_ck_stamp_print(text + len, &st);
	}
	say("R %u %d %llu%s", w->number, err, begin, text);
	return note_result(w, err, begin);
}

/* Up to as many blocks as one I/O takes, small ones as often as large ones. */
static u32 random_count(struct worker *w, u32 room)
{
	u32 count = 1 + random_below(w, 1U << random_below(w, 6));

	return min_t(u32, min_t(u32, count, HCV_CK_IO_MAX), room);
}

static void pause_for(struct worker *w)
{
	if (args.think_ms)
		sleep_ms(min_t(u64, w->took_us / 1000, PAUSE_MAX_MS) +
			 random_below(w, 2 * args.think_ms));
}

static void *writer(void *arg)
{
	u32 shared = args.blocks / SHARE, own, first, room, block;
	struct worker *w = arg;
	bool on = true;

	own = (args.blocks - shared) / args.writers;
	while (!stopped && on) {
		first = random_below(w, 3) ? shared + w->index * own : 0;
		room = first ? own : shared;
		block = random_below(w, room);
		on = do_write(w, first + block,
			      random_count(w, room - block));
		if (on && random_below(w, 100) < args.flush_percent)
			on = do_flush(w);
		pause_for(w);
	}
	return NULL;
}

static void *reader(void *arg)
{
	struct worker *w = arg;
	bool on = true;
	u32 block;

	while (!stopped && on) {
		block = random_below(w, random_below(w, 2) ? args.blocks :
				     args.blocks / SHARE);
		on = do_read(w, block, random_count(w, args.blocks - block));
		pause_for(w);
	}
	return NULL;
}

/* --- the program */

static void *signals(void *arg)
{
	sigset_t *set = arg;
	int sig;

	for (;;) {
		if (sigwait(set, &sig))
			continue;
		if (sig == SIGUSR1) {
			say("m");
			push();
		} else {
			stopped = true;
		}
	}
	return NULL;
}

static void start_worker(struct worker *w, u32 number, u32 index,
			 void *(*run)(void *))
{
	w->number = args.thread + number;
	w->index = index;
	w->random = args.seed * 0x9e3779b97f4a7c15ULL + number;
	if (posix_memalign((void **)&w->buf, HCV_CK_BLOCK,
			   HCV_CK_IO_MAX * HCV_CK_BLOCK) ||
	    pthread_create(&w->thread, NULL, run, w))
		die("thread");
}

/* Return: whether all threads ended without giving up */
static bool load(void)
{
	static struct worker workers[THREADS_MAX];
	u32 i, nr = args.writers + args.readers;
	u64 end = now_us() + args.seconds * 1000000ULL;
	struct timespec ts = {};
	bool good = true;

	for (i = 0; i < nr; i++)
		start_worker(&workers[i], i, i, i < args.writers ? writer :
			     reader);
	for (i = 0; i < nr;) {
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_nsec += 50000000;
		ts.tv_sec += ts.tv_nsec / 1000000000;
		ts.tv_nsec %= 1000000000;
		if (now_us() > end)
			stopped = true;
		if (!pthread_timedjoin_np(workers[i].thread, NULL, &ts))
			good &= workers[i++].errors < ERRORS_MAX;
	}
	return good;
}

static bool read_all(void)
{
	struct worker w = { .number = args.thread };
	bool good = true;
	u32 b, count;

	if (posix_memalign((void **)&w.buf, HCV_CK_BLOCK,
			   HCV_CK_IO_MAX * HCV_CK_BLOCK))
		die("memory");
	for (b = 0; b < args.blocks && !stopped; b += count) {
		count = min_t(u32, HCV_CK_IO_MAX, args.blocks - b);
		do_read(&w, b, count);
		good &= !w.errors;
	}
	free(w.buf);
	return good && !stopped;
}

static u64 to_number(const char *text, int base)
{
	char *end;
	u64 value;

	errno = 0;
	value = strtoull(text, &end, base);
	if (errno || end == text || *end) {
		fprintf(stderr, "ckwrite: '%s' is no number\n", text);
		exit(2);
	}
	return value;
}

static bool take_args(int argc, char **argv)
{
	bool is_load = argc > 1 && !strcmp(argv[1], "load");

	if (argc != (is_load ? 14 : 8) ||
	    (!is_load && strcmp(argv[1], "read"))) {
		fprintf(stderr, "usage: ckwrite load|read FILE RUN SESSION FIRST BLOCKS THREAD\n"
			"       [WRITERS READERS SEED SECONDS THINK-MS FLUSH-PERCENT]\n");
		exit(2);
	}
	args.file = argv[2];
	args.run = to_number(argv[3], 16);
	args.session = to_number(argv[4], 10);
	args.first = to_number(argv[5], 10);
	args.blocks = to_number(argv[6], 10);
	args.thread = to_number(argv[7], 10);
	if (!is_load)
		return false;
	args.writers = to_number(argv[8], 10);
	args.readers = to_number(argv[9], 10);
	args.seed = to_number(argv[10], 10);
	args.seconds = to_number(argv[11], 10);
	args.think_ms = to_number(argv[12], 10);
	args.flush_percent = to_number(argv[13], 10);
	if (args.writers + args.readers > THREADS_MAX ||
	    args.blocks / SHARE < 1 || !args.writers ||
	    (args.blocks - args.blocks / SHARE) / args.writers < 1) {
		fprintf(stderr, "ckwrite: too many threads for so few blocks\n");
		exit(2);
	}
	return true;
}

int main(int argc, char **argv)
{
	bool is_load = take_args(argc, argv), good;
	pthread_t thread;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	disk = open(args.file, (is_load ? O_RDWR : O_RDONLY) | O_DIRECT |
		    O_CLOEXEC);
	if (disk < 0)
		die(args.file);
	if (pthread_create(&thread, NULL, signals, &set) ||
	    pthread_create(&thread, NULL, pusher, NULL))
		die("thread");
	good = is_load ? load() : read_all();
	say("e");
	push();
	return !good;
}
