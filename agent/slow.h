/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls that may block in the kernel for a long time, with a limit.
 *
 * Connecting to a frozen target, deleting its controller or draining an NVMe
 * target namespace can keep the caller in an uninterruptible sleep for a
 * minute.  A thread in that state could not be left, and would keep a killed
 * agent from ending and being restarted; so each such call is made by a small
 * child process which is left behind when the limit is over.
 */
#ifndef HCV_AGENT_SLOW_H
#define HCV_AGENT_SLOW_H

#include <stddef.h>
#include <stdint.h>

enum hcv_slow_op {
	HCV_SLOW_WRITE,		/* write @arg to @path, read the answer */
	HCV_SLOW_SYMLINK,	/* @path is a link to @arg */
	HCV_SLOW_UNLINK,
	HCV_SLOW_RMDIR,
	HCV_SLOW_EXEC,		/* run @path; @arg: words with spaces */
	/*
	 * @arg 4 KiB reads of @path, 64 at most; the answer has a character for
	 * each bucket of the module's histograms: ' ' and the reads in it
	 */
	HCV_SLOW_PROBE,
};

#define HCV_SLOW_ARG	1024
#define HCV_SLOW_MAX	32	/* children at a time */

/**
 * hcv_slow_run() - one call, in a child process
 * @key: what it acts on; a call with the same key that was left behind is
 *	waited for first, so that there is never more than one
 * @until_ms: hcv_now_ms() limit
 * @answer: what a read() after the write gave, or NULL
 *
 * Any thread that may block.  Return: 0, the call's -errno, -ETIMEDOUT (it
 * may still take effect later), -EAGAIN (HCV_SLOW_MAX children are stuck);
 * HCV_SLOW_EXEC: -EIO for another exit status than 0.
 */
int hcv_slow_run(const char *key, enum hcv_slow_op op, const char *path,
		 const char *arg, int64_t until_ms, char *answer, size_t size);

/**
 * hcv_slow_output() - run a program and take what it prints
 * @out: ends with NUL; a program that prints more fails to
 * @size: of @out
 *
 * As hcv_slow_run() with HCV_SLOW_EXEC, but whatever its exit status is it
 * counts as having run.  Return: -ENOENT: there is no such program.
 */
int hcv_slow_output(const char *key, const char *path, const char *arg,
		    int64_t until_ms, char *out, size_t size);

#endif /* HCV_AGENT_SLOW_H */
