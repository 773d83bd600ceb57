// SPDX-License-Identifier: GPL-2.0-only
/*
 * Logs of the checker's writers, see log.h.
 */
#include "log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct hcv_ck_thread {
	char busy;		/* verb of what it does, or 0 */
	u64 begin;
	u32 block, count;
};

struct hcv_ck_log {
	struct hcv_ck *ck;
	u64 run, first;
	u32 blocks;
	u32 session;
	bool ended;		/* that session, by a line that said so */
	u32 first_thread, nr_threads;
	bool part_over;
	u64 next;		/* number of the next line of the program */
	const char *file;
	u64 line;
	u64 total;		/* of all files */
	u64 bad;
	char first_bad[256];
	struct hcv_ck_thread threads[HCV_CK_WRITERS];
	struct hcv_ck_stats *stats;
	u32 nr_stats;
};

struct hcv_ck_log *hcv_ck_log_new(void)
{
	struct hcv_ck_log *log = calloc(1, sizeof(*log));

	if (!log) {
		perror("checker");
		exit(1);
	}
	log->part_over = true;
	log->ended = true;
	log->file = "?";
	return log;
}

void hcv_ck_log_free(struct hcv_ck_log *log)
{
	if (log->ck)
		hcv_ck_free(log->ck);
	free(log->stats);
	free(log);
}

__printf(2, 3)
static void hcv_ck_bad(struct hcv_ck_log *log, const char *fmt, ...)
{
	va_list ap;
	int len;

	if (log->bad++)
		return;
	len = snprintf(log->first_bad, sizeof(log->first_bad), "%s:%llu: ",
		       log->file, log->line);
	va_start(ap, fmt);
	vsnprintf(log->first_bad + len, sizeof(log->first_bad) - len, fmt, ap);
	va_end(ap);
}

/* --- stamps */

static int hcv_ck_id_print(char *buf, u64 id)
{
	if (!id)
		return sprintf(buf, "0");
	return sprintf(buf, "%u.%u.%llu", hcv_ck_id_session(id),
		       hcv_ck_id_writer(id), hcv_ck_id_seq(id));
}

int hcv_ck_stamp_print(char *buf, const struct hcv_ck_stamp *stamp)
{
	static const char seen[] = {
		[HCV_CK_TORN] = 't', [HCV_CK_MISPLACED] = 'p',
		[HCV_CK_OTHER_RUN] = 'o', [HCV_CK_GARBAGE] = 'x',
	};
	int len = 0;

	if (stamp->seen != HCV_CK_WHOLE)
		len = sprintf(buf, "%c,", seen[stamp->seen]);
	len += hcv_ck_id_print(buf + len, stamp->id);
	if (stamp->seen != HCV_CK_WHOLE)
		len += sprintf(buf + len, ",%llx", stamp->other);
	return len;
}

/* Digits only: strtoull() takes signs and spaces as well. */
static const char *hcv_ck_number(const char *p, int base, u64 max, u64 *out)
{
	char *end;

	if (!p || !isxdigit((unsigned char)*p))
		return NULL;
	errno = 0;
	*out = strtoull(p, &end, base);
	return end == p || errno || *out > max ? NULL : end;
}

static const char *hcv_ck_after(const char *p, char c)
{
	return p && *p == c ? p + 1 : NULL;
}

static const char *hcv_ck_id_parse(const char *p, u64 *id)
{
	u64 session, writer, seq;

	*id = 0;
	if (*p == '0' && p[1] != '.')
		return p + 1;
	p = hcv_ck_number(p, 10, HCV_CK_SESSIONS - 1, &session);
	p = hcv_ck_number(hcv_ck_after(p, '.'), 10, HCV_CK_WRITERS - 1,
			  &writer);
	p = hcv_ck_number(hcv_ck_after(p, '.'), 10, HCV_CK_SEQ_MAX, &seq);
	if (p)
		*id = hcv_ck_id(session, writer, seq);
	return p;
}

const char *hcv_ck_stamp_parse(const char *p, struct hcv_ck_stamp *stamp)
{
	static const char seen[] = "\0tpox";
	const char *kind = *p ? strchr(seen + 1, *p) : NULL;

	*stamp = (struct hcv_ck_stamp){ HCV_CK_WHOLE, 0, 0 };
	if (!kind)
		return hcv_ck_id_parse(p, &stamp->id);
	stamp->seen = kind - seen;
	p = hcv_ck_after(p + 1, ',');
	p = p ? hcv_ck_id_parse(p, &stamp->id) : NULL;
	return hcv_ck_number(hcv_ck_after(p, ','), 16, U64_MAX, &stamp->other);
}

/* --- files, sessions */

struct hcv_ck *hcv_ck_log_history(struct hcv_ck_log *log)
{
	return log->ck;
}

u64 hcv_ck_log_run(const struct hcv_ck_log *log)
{
	return log->run;
}

u64 hcv_ck_log_first(const struct hcv_ck_log *log)
{
	return log->first;
}

u32 hcv_ck_log_blocks(const struct hcv_ck_log *log)
{
	return log->blocks;
}

u64 hcv_ck_log_bad(const struct hcv_ck_log *log, const char **first)
{
	*first = log->first_bad;
	return log->bad;
}

const struct hcv_ck_stats *hcv_ck_log_stats(const struct hcv_ck_log *log,
					    u32 i)
{
	return i < log->nr_stats ? &log->stats[i] : NULL;
}

/* The program whose lines were read last says no more. */
static void hcv_ck_part_over(struct hcv_ck_log *log, bool complete)
{
	u32 i;

	if (log->part_over)
		return;
	for (i = 0; i < log->nr_threads; i++)
		hcv_ck_over(log->ck, log->first_thread + i, complete);
	memset(log->threads, 0, sizeof(log->threads));
	log->part_over = true;
}

void hcv_ck_log_file(struct hcv_ck_log *log, const char *name)
{
	if (log->ck)
		hcv_ck_part_over(log, false);
	log->file = name;
	log->line = 0;
	log->next = 0;
}

static void hcv_ck_end_session(struct hcv_ck_log *log, enum hcv_ck_end how)
{
	hcv_ck_part_over(log, false);
	if (!log->ended)
		hcv_ck_end(log->ck, how);
	log->ended = true;
}

void hcv_ck_log_end(struct hcv_ck_log *log)
{
	if (log->ck)
		hcv_ck_end_session(log, HCV_CK_CRASH);
}

static void hcv_ck_take_volume(struct hcv_ck_log *log, const char *p)
{
	u64 run, first, blocks;

	p = hcv_ck_number(p, 16, U64_MAX, &run);
	p = hcv_ck_number(hcv_ck_after(p, ' '), 10, U64_MAX >> 13, &first);
	p = hcv_ck_number(hcv_ck_after(p, ' '), 10, 1U << 28, &blocks);
	if (!p || *p || !blocks) {
		hcv_ck_bad(log, "no volume");
	} else if (!log->ck) {
		log->ck = hcv_ck_new(blocks);
		log->run = run;
		log->first = first;
		log->blocks = blocks;
	} else if (run != log->run || first != log->first ||
		   blocks != log->blocks) {
		hcv_ck_bad(log, "another volume");
	}
}

static void hcv_ck_take_session(struct hcv_ck_log *log, const char *p)
{
	u64 session;

	p = hcv_ck_number(p, 10, HCV_CK_SESSIONS - 1, &session);
	if (!p || *p || session < log->session ||
	    (session == log->session && log->ended)) {
		hcv_ck_bad(log, "no session that may follow %u", log->session);
		return;
	}
	if (session == log->session)
		return;
	hcv_ck_end_session(log, HCV_CK_CRASH);
	hcv_ck_session(log->ck, session);
	log->session = session;
	log->ended = false;
	log->stats = realloc(log->stats,
			     (log->nr_stats + 1) * sizeof(*log->stats));
	if (!log->stats) {
		perror("checker");
		exit(1);
	}
	log->stats[log->nr_stats++] = (struct hcv_ck_stats){
		.session = session,
	};
}

static void hcv_ck_take_threads(struct hcv_ck_log *log, const char *p)
{
	u64 first, nr;
	u32 i;

	p = hcv_ck_number(p, 10, HCV_CK_WRITERS - 1, &first);
	/* The highest number stands for unknown writers in history.c. */
	p = hcv_ck_number(hcv_ck_after(p, ' '), 10, HCV_CK_WRITERS - 1, &nr);
	if (!p || *p || first + nr > HCV_CK_WRITERS - 1 || log->ended) {
		hcv_ck_bad(log, "no threads");
		return;
	}
	hcv_ck_part_over(log, false);
	log->next = 0;
	log->first_thread = first;
	log->nr_threads = nr;
	log->part_over = false;
	for (i = 0; i < nr; i++)
		hcv_ck_writer(log->ck, first + i);
}

static void hcv_ck_host_line(struct hcv_ck_log *log, const char *p)
{
	if (!strncmp(p, "volume ", 7))
		hcv_ck_take_volume(log, p + 7);
	else if (!log->ck)
		hcv_ck_bad(log, "no volume yet");
	else if (!strncmp(p, "session ", 8))
		hcv_ck_take_session(log, p + 8);
	else if (!strncmp(p, "threads ", 8))
		hcv_ck_take_threads(log, p + 8);
	else if (!strcmp(p, "end clean"))
		hcv_ck_end_session(log, HCV_CK_CLEAN);
	else if (!strcmp(p, "end crash"))
		hcv_ck_end_session(log, HCV_CK_CRASH);
	else
		hcv_ck_bad(log, "'%s' means nothing", p);
}

/* --- the program's lines */

/* Up to @max numbers; returns what follows, or NULL if there are fewer. */
static const char *hcv_ck_numbers(const char *p, u64 *out, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		p = hcv_ck_number(hcv_ck_after(p, ' '), 10, U64_MAX >> 1,
				  &out[i]);
	return p;
}

static struct hcv_ck_thread *hcv_ck_thread(struct hcv_ck_log *log, u64 nr,
					   char before)
{
	struct hcv_ck_thread *thread = &log->threads[nr % HCV_CK_WRITERS];

	if (nr < log->first_thread ||
	    nr >= log->first_thread + log->nr_threads ||
	    thread->busy != before) {
		hcv_ck_bad(log, "thread %llu is not where that may come", nr);
		return NULL;
	}
	return thread;
}

static void hcv_ck_begun(struct hcv_ck_log *log, char verb, const char *p)
{
	struct hcv_ck_thread *thread;
	u64 v[5] = {};

	p = hcv_ck_numbers(p, v, verb == 'w' ? 5 : verb == 'r' ? 3 : 1);
	if (!p || *p) {
		hcv_ck_bad(log, "no begin of '%c'", verb);
		return;
	}
	thread = hcv_ck_thread(log, v[0], 0);
	if (!thread)
		return;
	thread->busy = verb;
	if (verb == 'w') {
		if (v[2] > U32_MAX || v[3] > HCV_CK_IO_MAX) {
			hcv_ck_bad(log, "block %llu + %llu", v[2], v[3]);
			return;
		}
		hcv_ck_write(log->ck, v[0], v[1], v[2], v[3], v[4]);
		return;
	}
	thread->block = min_t(u64, v[1], U32_MAX);
	thread->count = min_t(u64, v[2], HCV_CK_IO_MAX);
	thread->begin = hcv_ck_begin(log->ck);
}

/* Return: whether it ended well */
static bool hcv_ck_count_io(struct hcv_ck_log *log, u64 *counter, u64 err,
			    u64 usec)
{
	struct hcv_ck_stats *stats = &log->stats[log->nr_stats - 1];

	if (err) {
		stats->errors++;
		return false;
	}
	++*counter;
	if (usec > stats->worst_us) {
		stats->worst_us = usec;
		stats->worst_line = log->line;
	}
	return true;
}

static void hcv_ck_read_ended(struct hcv_ck_log *log,
			      const struct hcv_ck_thread *thread, u64 err,
			      const char *p)
{
	struct hcv_ck_stamp stamps[HCV_CK_IO_MAX];
	u32 i;

	for (i = 0; !err && i < thread->count; i++) {
		p = hcv_ck_after(p, ' ');
		p = p ? hcv_ck_stamp_parse(p, &stamps[i]) : NULL;
		if (!p)
			break;
	}
	if (!p || *p)
		hcv_ck_bad(log, "no %u stamps", thread->count);
	else if (!err)
		hcv_ck_read(log->ck, thread->begin, thread->block,
			    thread->count, stamps);
}

static void hcv_ck_ended(struct hcv_ck_log *log, char verb, const char *p)
{
	struct hcv_ck_stats *stats = &log->stats[log->nr_stats - 1];
	struct hcv_ck_thread *thread;
	u64 v[4] = {}, *rest = &v[1];

	p = hcv_ck_numbers(p, v, verb == 'W' ? 4 : 3);
	if (!p || (verb != 'R' && *p)) {
		hcv_ck_bad(log, "no end '%c'", verb);
		return;
	}
	thread = hcv_ck_thread(log, v[0], tolower(verb));
	if (!thread)
		return;
	thread->busy = 0;
	if (verb == 'W')
		rest = &v[2];
	if (rest[0] > S32_MAX)
		hcv_ck_bad(log, "no error number");
	if (verb == 'W') {
		hcv_ck_count_io(log, &stats->writes, rest[0], rest[1]);
		hcv_ck_written(log->ck, v[0], v[1], rest[0]);
	} else if (verb == 'F') {
		hcv_ck_count_io(log, &stats->flushes, rest[0], rest[1]);
		hcv_ck_flushed(log->ck, thread->begin, rest[0]);
	} else {
		hcv_ck_count_io(log, &stats->reads, rest[0], rest[1]);
		hcv_ck_read_ended(log, thread, rest[0], p);
	}
}

static void hcv_ck_program_line(struct hcv_ck_log *log, const char *line)
{
	const char *p;
	u64 number;

	p = hcv_ck_after(hcv_ck_number(line, 10, U64_MAX, &number), ' ');
	if (!p || log->part_over || number != log->next) {
		hcv_ck_bad(log, "no line %llu", log->next);
		/* Tell of each gap once. */
		if (p)
			log->next = number + 1;
		return;
	}
	log->next++;
	if (*p && strchr("wfr", *p))
		hcv_ck_begun(log, *p, p + 1);
	else if (*p && strchr("WFR", *p))
		hcv_ck_ended(log, *p, p + 1);
	else if (!strcmp(p, "m"))
		hcv_ck_superseded(log->ck);
	else if (!strcmp(p, "e"))
		hcv_ck_part_over(log, true);
	else
		hcv_ck_bad(log, "'%s' means nothing", p);
}

void hcv_ck_log_line(struct hcv_ck_log *log, const char *line)
{
	log->line++;
	log->total++;
	if (log->ck)
		hcv_ck_at(log->ck, log->total);
	if (line[0] == '!' && line[1] == ' ')
		hcv_ck_host_line(log, line + 2);
	else
		hcv_ck_program_line(log, line);
}
