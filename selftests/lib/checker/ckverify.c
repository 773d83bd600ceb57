// SPDX-License-Identifier: GPL-2.0-only
/*
 * Judges the logs of ckwrite.
 *
 *   ckverify [--partial] [--replica FILE]... LOG...
 *
 * Logs in the order of their sessions. FILE: what one replica holds of the area,
 * read by itself after the last session has ended in order. Prints one line of
 * JSON. Exit status: 0 nothing to report; 1 faults, bad lines, or blocks that
 * nobody read in the last session (with --partial these do not matter); 2 usage.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "log.h"

#define REPLICAS_MAX	8

/* A last line without its end is the lost tail. Return: false: unreadable */
static bool take_log(struct hcv_ck_log *log, const char *name)
{
	FILE *file = fopen(name, "r");
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;

	if (!file) {
		perror(name);
		return false;
	}
	hcv_ck_log_file(log, name);
	while ((len = getline(&line, &cap, file)) > 0) {
		if (line[len - 1] != '\n')
			break;
		line[len - 1] = 0;
		hcv_ck_log_line(log, line);
	}
	free(line);
	fclose(file);
	return true;
}

static bool take_replica(struct hcv_ck_log *log, const char *name, u32 replica)
{
	struct hcv_ck *ck = hcv_ck_log_history(log);
	u8 buf[HCV_CK_BLOCK];
	struct hcv_ck_stamp st;
	FILE *file = fopen(name, "r");
	u32 b;

	for (b = 0; file && b < hcv_ck_log_blocks(log); b++) {
		if (fread(buf, sizeof(buf), 1, file) != 1)
			break;
		st = hcv_ck_stamp_read(buf, hcv_ck_log_run(log),
				       hcv_ck_log_first(log) + b);
		hcv_ck_replica(ck, replica, b, &st);
	}
	if (file)
		fclose(file);
	if (b < hcv_ck_log_blocks(log)) {
		fprintf(stderr, "%s: ends before block %u\n", name, b);
		return false;
	}
	return true;
}

static void print_text(const char *text)
{
	putchar('"');
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else
			putchar((unsigned char)*text < ' ' ? '?' : *text);
	putchar('"');
}

static void print_sessions(struct hcv_ck_log *log)
{
	const struct hcv_ck_stats *s;
	u32 i;

	for (i = 0; (s = hcv_ck_log_stats(log, i)); i++)
		printf("%s{\"session\": %u, \"writes\": %llu, \"reads\": %llu, \"flushes\": %llu, \"errors\": %llu, \"worst_ms\": %.1f, \"worst_line\": %llu}",
		       i ? ", " : "", s->session, s->writes, s->reads,
		       s->flushes, s->errors, s->worst_us / 1e3,
		       s->worst_line);
}

/* Return: whether there is nothing to report */
static bool verdict(struct hcv_ck_log *log, bool partial)
{
	struct hcv_ck *ck = hcv_ck_log_history(log);
	const char *first, *text;
	u64 bad = hcv_ck_log_bad(log, &first), faults = hcv_ck_faults(ck);
	u32 i, unread = hcv_ck_unread(ck);

	printf("{\"faults\": %llu, \"bad_lines\": %llu, \"unread\": %u, \"blocks\": %u",
	       faults, bad, unread, hcv_ck_log_blocks(log));
	for (i = 0; i < HCV_CK_FAULTS; i++)
		if (hcv_ck_count(ck, i))
			printf(", \"%s\": %llu", hcv_ck_fault_name(i),
			       hcv_ck_count(ck, i));
	printf(", \"sessions\": [");
	print_sessions(log);
	printf("], \"texts\": [");
	if (bad)
		print_text(first);
	for (i = 0; (text = hcv_ck_text(ck, i)); i++) {
		if (bad || i)
			printf(", ");
		print_text(text);
	}
	printf("]}\n");
	return !faults && !bad && (partial || !unread);
}

int main(int argc, char **argv)
{
	struct hcv_ck_log *log = hcv_ck_log_new();
	const char *replicas[REPLICAS_MAX];
	bool partial = false, good = true;
	u32 i, nr = 0;
	int arg;

	for (arg = 1; arg < argc && !strncmp(argv[arg], "--", 2); arg++) {
		if (!strcmp(argv[arg], "--partial"))
			partial = true;
		else if (!strcmp(argv[arg], "--replica") && arg + 1 < argc &&
			 nr < REPLICAS_MAX)
			replicas[nr++] = argv[++arg];
		else
			arg = argc;
	}
	for (i = arg; i < argc; i++)
		good &= take_log(log, argv[i]);
	hcv_ck_log_end(log);
	if (arg >= argc || !hcv_ck_log_history(log)) {
		fprintf(stderr, "usage: ckverify [--partial] [--replica FILE]... LOG...\n");
		return 2;
	}
	for (i = 0; i < nr; i++)
		good &= take_replica(log, replicas[i], i);
	good &= verdict(log, partial);
	hcv_ck_log_free(log);
	return !good;
}
