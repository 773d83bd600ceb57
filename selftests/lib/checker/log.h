/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The events of the checker as lines of text, from a writer's standard output
 * to a file of whoever outlives it.
 *
 * A file is what one program said, in one attachment. Lines with a "!" are the
 * file's owner's; those of the program are numbered, so that a missing one is
 * noticed. Only the last lines can be missing.
 *
 *	! volume RUN FIRST BLOCKS	area, in blocks of the volume; RUN in hex
 *	! session S			attachment, from 1 on
 *	! threads T N			the program's threads T .. T + N - 1
 *	N w T SEQ BLOCK COUNT FUA	write begins; BLOCK from the area's start
 *	N W T SEQ ERRNO USEC		and ended
 *	N f T				FLUSH begins
 *	N F T ERRNO USEC
 *	N r T BLOCK COUNT		read begins
 *	N R T ERRNO USEC STAMP...	and ended; the stamps if ERRNO is 0
 *	N m				another owner serves the volume
 *	N e				the program has ended in order
 *	! end clean|crash		the attachment is over
 *
 * The number of an event, in messages, is that of its line in all files
 * together. Files of one session follow each other when one program has ended before the
 * next began. A session without an end has crashed.
 */
#ifndef HCV_CK_LOG_H
#define HCV_CK_LOG_H

#include "history.h"

#define HCV_CK_IO_MAX	32		/* blocks of an I/O */
#define HCV_CK_LINE_MAX	(64 + HCV_CK_IO_MAX * 72)

/* What the I/O of one session took. */
struct hcv_ck_stats {
	u32 session;
	u64 writes, reads, flushes;	/* ended well */
	u64 errors;
	u64 worst_us;			/* of what ended well */
	u64 worst_line;
};

struct hcv_ck_log;

/** hcv_ck_log_new() - reads logs; @name of the first in messages */
struct hcv_ck_log *hcv_ck_log_new(void);
void hcv_ck_log_free(struct hcv_ck_log *log);

/** hcv_ck_log_file() - lines of another file follow */
void hcv_ck_log_file(struct hcv_ck_log *log, const char *name);

/**
 * hcv_ck_log_line() - take the next line, which ended with a newline
 * @line: without that
 */
void hcv_ck_log_line(struct hcv_ck_log *log, const char *line);

/** hcv_ck_log_end() - that was all; a last session without an end crashed */
void hcv_ck_log_end(struct hcv_ck_log *log);

/** hcv_ck_log_history() - NULL before the first "! volume" */
struct hcv_ck *hcv_ck_log_history(struct hcv_ck_log *log);
u64 hcv_ck_log_run(const struct hcv_ck_log *log);
u64 hcv_ck_log_first(const struct hcv_ck_log *log);
u32 hcv_ck_log_blocks(const struct hcv_ck_log *log);
/** hcv_ck_log_bad() - lines that could not be understood */
u64 hcv_ck_log_bad(const struct hcv_ck_log *log, const char **first);
/** hcv_ck_log_stats() - of the @i-th session, or NULL */
const struct hcv_ck_stats *hcv_ck_log_stats(const struct hcv_ck_log *log,
					    u32 i);

/**
 * hcv_ck_stamp_print() - as text without spaces
 * @buf: 72 bytes
 * Return: length
 */
int hcv_ck_stamp_print(char *buf, const struct hcv_ck_stamp *stamp);
/** hcv_ck_stamp_parse() - the reverse; returns what follows, or NULL */
const char *hcv_ck_stamp_parse(const char *text, struct hcv_ck_stamp *stamp);

#endif
