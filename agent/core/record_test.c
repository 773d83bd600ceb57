// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transitions of a volume's record: a table, and random histories on stores
 * with contents, in which no in-sync copy may ever differ from another.
 *
 * Records are written like "S1 e3 v7 Ai5 Bs3": phase (None, Taking, Serving)
 * and owner, epoch, v, then c (clean) or w (was clean), then each store with
 * its state (in-sync, stale, y for syncing, passed over) and v.  "bl": what was
 * known before it was served: clean, by logs, or nothing.  "h2rg": a wish to hand it
 * over to node 2, which is ready, and it is to go now.
 */
#include <errno.h>
#include <kunit/test.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "record.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The UUID for a letter or digit. */
static const char *id(char c)
{
	static char ids[128][HCV_ID_LEN];

	snprintf(ids[(int)c], HCV_ID_LEN,
		 "%08x-0000-4000-8000-00000000000a", (unsigned int)c);
	return ids[(int)c];
}

static char letter(const char *uuid)
{
	return *uuid ? (char)strtoul(uuid, NULL, 16) : '-';
}

static struct hcv_rec_ids ids_of(const char *letters, const char **list)
{
	struct hcv_rec_ids ids = { list, 0 };

	for (; letters && *letters; letters++)
		list[ids.nr++] = id(*letters);
	return ids;
}

static struct hcv_record parse(const char *text)
{
	struct hcv_record r = { .lineage = 1 };
	struct hcv_rec_store *st;
	char *copy = strdup(text), *save, *t;

	t = strtok_r(copy, " ", &save);
	r.phase = t[0] == 'N' ? HCV_PH_NONE :
		  t[0] == 'T' ? HCV_PH_TAKING : HCV_PH_SERVING;
	if (t[1])
		strcpy(r.owner, id(t[1]));
	while ((t = strtok_r(NULL, " ", &save))) {
		if (*t == 'e') {
			r.epoch = strtoull(t + 1, NULL, 10);
		} else if (*t == 'v') {
			r.v = strtoull(t + 1, NULL, 10);
		} else if (*t == 'c') {
			r.clean = true;
		} else if (*t == 'w') {
			r.was_clean = true;
		} else if (*t == 'l') {
			r.log = true;
		} else if (*t == 'k') {
			r.care.on = t[1] != '!';
			r.care.leave = t[1];
		} else if (*t == 'b') {
			r.before = t[1] == 'c' ? HCV_RB_CLEAN :
				   t[1] == 'l' ? HCV_RB_LOG : HCV_RB_NOLOG;
		} else if (*t == 'h') {
			strcpy(r.hand.to, id(t[1]));
			r.hand.v = 1;
			r.hand.limit_ms = 9000;
			r.hand.ready = strchr(t, 'r');
			r.hand.go = strchr(t, 'g');
		} else {
			st = &r.st[r.nr++];
			strcpy(st->store, id(t[0]));
			st->state = t[1] == 'i' ? HCV_RS_INSYNC :
				    t[1] == 'y' ? HCV_RS_SYNCING :
				    HCV_RS_STALE;
			st->passed = t[1] == 'p';
			st->v = strtoull(t + 2, NULL, 10);
		}
	}
	free(copy);
	return r;
}

static const char *const befores[] = { "", "c", "l", "n" };

static void format(const struct hcv_record *r, char *out, size_t size)
{
	size_t len, i;

	len = (size_t)snprintf(out, size, "%c", "NTS"[r->phase]);
	if (*r->owner)
		len += (size_t)snprintf(out + len, size - len, "%c",
					letter(r->owner));
	len += (size_t)snprintf(out + len, size - len, " e%llu v%llu%s%s%s%s%s",
				(unsigned long long)r->epoch,
				(unsigned long long)r->v,
				r->clean ? " c" : "", r->was_clean ? " w" : "",
				r->log ? " l" : "", r->before ? " b" : "",
				befores[r->before]);
	for (i = 0; i < r->nr; i++)
		len += (size_t)snprintf(out + len, size - len, " %c%c%llu",
					letter(r->st[i].store),
					r->st[i].passed ? 'p' :
					"isy"[r->st[i].state],
					(unsigned long long)r->st[i].v);
	if (r->care.on)
		len += (size_t)snprintf(out + len, size - len, " k%s",
					r->care.leave ? "l" : "");
	if (*r->hand.to)
		snprintf(out + len, size - len, " h%c%s%s",
			 letter(r->hand.to), r->hand.ready ? "r" : "",
			 r->hand.go ? "g" : "");
}

/* "AB,BC": two rows; a store in lower case does not have it in full. */
static struct hcv_rows rows_of(struct kunit *test, const char *text)
{
	struct hcv_rows rows = { 0 };
	struct hcv_row *row;

	rows.row = kunit_kzalloc(test, 16 * sizeof(*row), 0);
	if (!*text)
		return rows;
	row = &rows.row[rows.nr++];
	for (; *text; text++) {
		if (*text == ',') {
			row = &rows.row[rows.nr++];
			row->index = row[-1].index + 1;
			continue;
		}
		if (*text < 'a')
			row->full |= (uint8_t)(1U << row->nr);
		strcpy(row->store[row->nr++], id(*text & ~32));
	}
	rows.next = (uint32_t)rows.nr;
	return rows;
}

enum op { CLAIM, SERVE, REMOVE, SYNC, JOIN, ADD, FORGET, DETACH, HAND, READY,
	  ABORT, OVER, CARE, TAKE, LEAVE, EVICT, AGAIN };

struct step {
	const char *name;
	const char *before;
	enum op op;
	char who;		/* node or store */
	bool flag;		/* alive, no log, insync, clean, go */
	bool takeover;
	const char *confirmed;
	const char *local;
	char pending;
	const char *rows;
	int ret;
	const char *after;	/* NULL: as before */
};

static struct step steps[] = {
	/* Claims. */
	{ "first attach", "N e0 v1 c Ai1 Bi1", CLAIM, '1',
	  .after = "T1 e1 v2 w Ai1 Bi1" },
	{ "attach after an unclean stop", "N e4 v9 Ai1 Bs3", CLAIM, '1',
	  .after = "T1 e5 v10 Ai1 Bs3" },
	{ "owner lives", "S2 e4 v9 Ai1", CLAIM, '1', .flag = true,
	  .ret = -EBUSY },
	{ "owner lives, told to", "S2 e4 v9 Ai1", CLAIM, '1', .flag = true,
	  .takeover = true, .after = "T1 e5 v10 Ai1" },
	{ "owner is gone", "S2 e4 v9 Ai1 By4", CLAIM, '1',
	  .after = "T1 e5 v10 Ai1 Bs4" },
	{ "owner again", "S1 e4 v9 Ai1", CLAIM, '1', .flag = true,
	  .after = "T1 e5 v10 Ai1" },
	{ "claimant died before it served", "T2 e4 v9 w Ai1", CLAIM, '1',
	  .after = "T1 e5 v10 w Ai1" },
	{ "claimant of an unclean one died", "T2 e4 v9 Ai1", CLAIM, '1',
	  .after = "T1 e5 v10 Ai1" },
	{ "whose owner kept logs", "S2 e4 v9 l Ai1", CLAIM, '1',
	  .after = "T1 e5 v10 l Ai1" },
	{ "epochs are used up", "N e18446744073709551614 v9 Ai1", CLAIM, '1',
	  .ret = -EOVERFLOW },
	{ "v is used up", "N e1 v18446744073709551614 Ai1", CLAIM, '1',
	  .ret = -EOVERFLOW },

	/* Serving. */
	{ "clean, all there", "T1 e1 v2 w Ai1 Bi1", SERVE, '1',
	  .confirmed = "AB", .after = "S1 e1 v3 l bc Ai1 Bi1" },
	{ "clean, one missing", "T1 e1 v2 w Ai1 Bi1", SERVE, '1',
	  .confirmed = "B", .after = "S1 e1 v3 l bc Ap2 Bi1" },
	{ "clean, stale ones stay", "T1 e1 v7 w Ai1 Bs3 Cs0", SERVE, '1',
	  .confirmed = "ABC", .after = "S1 e1 v8 l bc Ai1 Bs3 Cs0" },
	{ "unclean, the local one", "T1 e1 v7 Ai1 Bi1 Cs3", SERVE, '1',
	  .confirmed = "ABC", .local = "B", .after = "S1 e1 v8 l bn Ap0 Bi1 Cs0" },
	{ "unclean, none local", "T1 e1 v7 Ai1 Bi1", SERVE, '1',
	  .confirmed = "BA", .local = "C", .after = "S1 e1 v8 l bn Ai1 Bp0" },
	{ "unclean, the local one is stale", "T1 e1 v7 Ai1 Bs3", SERVE, '1',
	  .confirmed = "AB", .local = "B", .after = "S1 e1 v8 l bn Ai1 Bs0" },
	{ "unclean, one answered", "T1 e1 v7 Ai1 Bi1", SERVE, '1',
	  .confirmed = "B", .local = "A", .after = "S1 e1 v8 l bn Ap0 Bi1" },
	{ "nobody answered", "T1 e1 v7 w Ai1 Bs2", SERVE, '1',
	  .confirmed = "", .ret = -EAGAIN },
	{ "only a stale one answered", "T1 e1 v7 w Ai1 Bs2", SERVE, '1',
	  .confirmed = "B", .ret = -EAGAIN },
	{ "only strangers answered", "T1 e1 v7 w Ai1", SERVE, '1',
	  .confirmed = "XY", .ret = -EAGAIN },
	{ "somebody else takes over", "T2 e1 v7 w Ai1", SERVE, '1',
	  .confirmed = "A", .ret = -EPERM },
	{ "served already", "S1 e1 v7 Ai1", SERVE, '1', .confirmed = "A",
	  .ret = -EPERM },
	{ "clean, rows covered", "T1 e1 v2 w Ai1 Bi1 Ci1", SERVE, '1',
	  .confirmed = "AB", .rows = "AB,BC", .after = "S1 e1 v3 l bc Ai1 Bi1 Cp2" },
	{ "clean, a row uncovered", "T1 e1 v2 w Ai1 Bi1 Ci1", SERVE, '1',
	  .confirmed = "A", .rows = "AB,BC", .ret = -EAGAIN },
	{ "clean, a row not full", "T1 e1 v2 w Ai1 Bi1", SERVE, '1',
	  .confirmed = "A", .rows = "aB", .ret = -EAGAIN },
	{ "unclean, one store has all rows", "T1 e1 v2 Ai1 Bi1 Ci1", SERVE,
	  '1', .confirmed = "ABC", .local = "A", .rows = "AB,BC,AB",
	  .after = "S1 e1 v3 l bn Ai1 Bp0 Ci1" },
	{ "unclean, two groups", "T1 e1 v2 Ai1 Bi1 Ci1 Di1", SERVE, '1',
	  .confirmed = "ABCD", .local = "BC", .rows = "AB,CD",
	  .after = "S1 e1 v3 l bn Ap0 Bi1 Ci1 Dp0" },
	{ "unclean, back from the preferred", "T1 e1 v2 Ai1 Bi1 Ci1", SERVE,
	  '1', .confirmed = "ABC", .local = "A", .rows = "AB,BC,AC,B",
	  .ret = -EXDEV },
	{ "unclean, the middle one", "T1 e1 v2 Ai1 Bi1 Ci1", SERVE, '1',
	  .confirmed = "ABC", .local = "A", .rows = "AB,BC,B",
	  .after = "S1 e1 v3 l bn Ap0 Bi1 Cp0" },
	{ "unclean, a group is missing", "T1 e1 v2 Ai1 Bi1 Ci1 Di1", SERVE,
	  '1', .confirmed = "AB", .rows = "AB,CD", .ret = -EAGAIN },
	{ "unclean, a later answer may help", "T1 e1 v2 Ai1 Bi1 Ci1", SERVE,
	  '1', .confirmed = "AC", .rows = "AB,BC,AC", .ret = -EAGAIN },
	{ "unclean, no rows yet", "T1 e1 v2 Ai1 Bi1", SERVE, '1',
	  .confirmed = "AB", .rows = "", .after = "S1 e1 v3 l bn Ai1 Bp0" },
	{ "unclean, with logs", "T1 e1 v7 l Ai1 Bi1 Cs3 Ds0", SERVE, '1',
	  .confirmed = "ABCD", .local = "B",
	  .after = "S1 e1 v8 l bl Ap7 Bi1 Cs3 Ds0" },
	{ "unclean, with logs, and none from now on", "T1 e1 v7 l Ai1 Bi1",
	  SERVE, '1', .flag = true, .confirmed = "AB", .local = "A",
	  .after = "S1 e1 v8 bl Ai1 Bp7" },
	{ "unclean, with logs, one answered", "T1 e1 v7 l Ai1 Bi1", SERVE, '1',
	  .confirmed = "B", .after = "S1 e1 v8 l bl Ap7 Bi1" },
	{ "unclean, logs, two groups", "T1 e1 v2 l Ai1 Bi1 Ci1 Di1", SERVE,
	  '1', .confirmed = "ABCD", .local = "BC", .rows = "AB,CD",
	  .after = "S1 e1 v3 l bl Ap2 Bi1 Ci1 Dp2" },

	/* Starts that failed. */
	{ "clean, without one", "S1 e1 v7 l bc Ai1 Bi1 Cs3", AGAIN, '1',
	  .confirmed = "B", .after = "T1 e2 v8 w Ai1 Bs7 Cs3" },
	{ "elected, the other one", "S1 e1 v8 l bl Ai1 Bp7 Cs3", AGAIN, '1',
	  .confirmed = "A", .after = "T1 e2 v9 l As8 Bi7 Cs3" },
	{ "elected, no logs of before", "S1 e1 v8 l bn Ai1 Bp0", AGAIN, '1',
	  .confirmed = "A", .after = "T1 e2 v9 As0 Bi0" },
	{ "a wish goes", "S1 e1 v8 bl Ai1 Bp7 h2rg", AGAIN, '1',
	  .confirmed = "A", .after = "T1 e2 v9 l As8 Bi7" },
	{ "elected, no other one", "S1 e1 v8 l bl Ai1 Bs7", AGAIN, '1',
	  .confirmed = "A", .ret = -EBUSY },
	{ "all are unfit", "S1 e1 v8 l bl Ai1 Bp7", AGAIN, '1',
	  .confirmed = "AB", .ret = -EBUSY },
	{ "the others have not all rows", "S1 e1 v8 bc Ai1 Bi1 Ci1", AGAIN,
	  '1', .confirmed = "A", .rows = "AB,AC,A", .ret = -EBUSY },
	{ "the others have all rows", "S1 e1 v8 bc Ai1 Bi1 Ci1", AGAIN,
	  '1', .confirmed = "A", .rows = "AB,AC", .after = "T1 e2 v9 w As8 Bi1 Ci1" },
	{ "none is unfit", "S1 e1 v8 bc Ai1 Bi1", AGAIN, '1',
	  .confirmed = "", .ret = -EINVAL },
	{ "only passed ones are unfit", "S1 e1 v8 bl Ai1 Bp7", AGAIN, '1',
	  .confirmed = "B", .ret = -EINVAL },
	{ "not known what was before", "S1 e1 v8 Ai1 Bi1", AGAIN, '1',
	  .confirmed = "A", .ret = -EPERM },
	{ "another one's", "S2 e1 v8 bc Ai1 Bi1", AGAIN, '1',
	  .confirmed = "A", .ret = -EPERM },
	{ "taken again already", "T1 e2 v9 w Ai1 Bs7", AGAIN, '1',
	  .confirmed = "A", .ret = -EPERM },
	{ "a claim ends what was before", "S1 e1 v8 bl Ai1 Bp7", CLAIM, '1',
	  .after = "T1 e2 v9 Ai1 Bs7" },
	{ "a detach ends it", "S1 e1 v8 bl Ai1 Bp7", DETACH, '1',
	  .after = "N e1 v9 Ai1 Bs7" },
	{ "a resync ends it for one", "S1 e1 v8 bl Ai1 Bp7 Cp7", SYNC, 'B',
	  .after = "S1 e1 v9 bl Ai1 By7 Cp7" },

	/* Removals. */
	{ "one of two", "S1 e1 v5 Ai1 Bi1", REMOVE, 'B',
	  .after = "S1 e1 v6 Ai1 Bs5" },
	{ "the last", "S1 e1 v5 Ai1 Bs3", REMOVE, 'A', .ret = -EBUSY },
	{ "the last but for a syncing one", "S1 e1 v5 Ai1 By3", REMOVE, 'A',
	  .ret = -EBUSY },
	{ "a syncing one", "S1 e1 v5 Ai1 By3", REMOVE, 'B',
	  .after = "S1 e1 v6 Ai1 Bs3" },
	{ "a stale one", "S1 e1 v5 Ai1 Bs3", REMOVE, 'B' },
	{ "a stranger", "S1 e1 v5 Ai1 Bs3", REMOVE, 'C', .ret = -ENOENT },
	{ "while a join is open", "S1 e1 v5 Ai1 By3", REMOVE, 'A',
	  .pending = 'B', .ret = -EAGAIN },
	{ "while a join is open, seen as done", "S1 e1 v5 Ai1 Bi5", REMOVE,
	  'A', .pending = 'B', .ret = -EAGAIN },
	{ "a join is open, others are left", "S1 e1 v5 Ai1 By3 Ci1", REMOVE,
	  'A', .pending = 'B', .after = "S1 e1 v6 As5 By3 Ci1" },
	{ "the one whose join is open", "S1 e1 v5 Ai1 By3", REMOVE, 'B',
	  .pending = 'B', .after = "S1 e1 v6 Ai1 Bs3" },
	{ "the last of a row", "S1 e1 v5 Ai1 Bi1 Ci1", REMOVE, 'A',
	  .rows = "AB,Ac", .ret = -EBUSY },
	{ "not the last of a row", "S1 e1 v5 Ai1 Bi1 Ci1", REMOVE, 'B',
	  .rows = "AB,BC", .after = "S1 e1 v6 Ai1 Bs5 Ci1" },
	{ "the row depends on an open join", "S1 e1 v5 Ai1 By3 Ci1", REMOVE,
	  'A', .pending = 'B', .rows = "AB,C", .ret = -EAGAIN },
	{ "in a take-over", "T1 e1 v5 w Ai1 Bi1", REMOVE, 'B', .ret = -EPERM },
	{ "detached, clean", "N e1 v5 c Ai1 Bi1", REMOVE, 'B',
	  .after = "N e1 v6 c Ai1 Bs5" },
	{ "detached, unclean", "N e1 v5 Ai1 Bi1", REMOVE, 'B',
	  .after = "N e1 v6 Ai1 Bs0" },

	/* Coming back. */
	{ "start to copy", "S1 e1 v5 Ai1 Bs3", SYNC, 'B',
	  .after = "S1 e1 v6 Ai1 By3" },
	{ "copy an in-sync one", "S1 e1 v5 Ai1 Bi3", SYNC, 'B',
	  .ret = -EINVAL },
	{ "copy while nobody serves", "N e1 v5 Ai1 Bs3", SYNC, 'B',
	  .ret = -EPERM },
	{ "copy in a take-over", "T1 e1 v5 Ai1 Bs3", SYNC, 'B',
	  .ret = -EPERM },
	{ "join", "S1 e1 v6 Ai1 By3", JOIN, 'B', .after = "S1 e1 v7 Ai1 Bi7" },
	{ "join without a copy", "S1 e1 v6 Ai1 Bs3", JOIN, 'B',
	  .ret = -EINVAL },

	/* New stores, old stores. */
	{ "new with new rows", "S1 e1 v6 Ai1", ADD, 'B', .flag = true,
	  .after = "S1 e1 v7 Ai1 Bi7" },
	{ "new with old rows", "S1 e1 v6 Ai1", ADD, 'B',
	  .after = "S1 e1 v7 Ai1 Bs0" },
	{ "new to a detached volume", "N e1 v6 c Ai1", ADD, 'B', .flag = true,
	  .after = "N e1 v7 c Ai1 Bi7" },
	{ "new in a take-over", "T1 e1 v6 Ai1", ADD, 'B', .ret = -EPERM },
	{ "not new", "S1 e1 v6 Ai1", ADD, 'A', .ret = -EEXIST },
	{ "forget", "S1 e1 v6 As2 Bi1 Cs0", FORGET, 'A',
	  .rows = "BC", .after = "S1 e1 v7 Bi1 Cs0" },
	{ "forget with rows", "S1 e1 v6 As2 Bi1", FORGET, 'A', .rows = "B,aB",
	  .ret = -EBUSY },
	{ "forget an in-sync one", "S1 e1 v6 Ai2 Bi1", FORGET, 'A',
	  .ret = -EBUSY },
	{ "forget a syncing one", "S1 e1 v6 Ay2 Bi1", FORGET, 'A',
	  .ret = -EBUSY },

	/* The end. */
	{ "orderly", "S1 e3 v6 Ai1 By2", DETACH, '1', .flag = true,
	  .after = "N e3 v7 c Ai1 Bs2" },
	{ "forced", "S1 e3 v6 Ai1 Bs2", DETACH, '1',
	  .after = "N e3 v7 Ai1 Bs2" },
	{ "given up before it served", "T1 e3 v6 w Ai1", DETACH, '1',
	  .after = "N e3 v7 c Ai1" },
	{ "given up, never clean", "T1 e3 v6 Ai1", DETACH, '1', .flag = true,
	  .after = "N e3 v7 Ai1" },
	{ "not mine", "S1 e3 v6 Ai1", DETACH, '2', .flag = true,
	  .ret = -EPERM },
	{ "nobody's", "N e3 v6 c Ai1", DETACH, '1', .ret = -EPERM },

	/* Hand-overs. */
	{ "get ready", "S1 e3 v6 Ai1", HAND, '2', .after = "S1 e3 v7 Ai1 h2" },
	{ "get ready and go", "S1 e3 v6 Ai1", HAND, '2', .flag = true,
	  .after = "S1 e3 v7 Ai1 h2g" },
	{ "go", "S1 e3 v6 Ai1 h2r", HAND, '2', .flag = true,
	  .after = "S1 e3 v7 Ai1 h2rg" },
	{ "get ready once more", "S1 e3 v6 Ai1 h2r", HAND, '2' },
	{ "goes already", "S1 e3 v6 Ai1 h2rg", HAND, '2' },
	{ "to another one at once", "S1 e3 v6 Ai1 h2", HAND, '3',
	  .ret = -EBUSY },
	{ "to the owner", "S1 e3 v6 Ai1", HAND, '1', .ret = -EINVAL },
	{ "of nobody", "N e3 v6 c Ai1", HAND, '2', .ret = -EPERM },
	{ "in a take-over", "T1 e3 v6 w Ai1", HAND, '2', .ret = -EPERM },
	{ "ready", "S1 e3 v6 Ai1 h2g", READY, '2',
	  .after = "S1 e3 v7 Ai1 h2rg" },
	{ "ready again", "S1 e3 v6 Ai1 h2r", READY, '2' },
	{ "ready, but it is another one's", "S1 e3 v6 Ai1 h2", READY, '3',
	  .ret = -EPERM },
	{ "ready, but taken back", "S1 e3 v6 Ai1", READY, '2', .ret = -EPERM },
	{ "handed over", "S1 e3 v6 Ai1 By2 Cs1 h2rg", OVER, '1',
	  .after = "T2 e4 v7 w Ai1 Bs2 Cs1" },
	{ "handed over, with logs", "S1 e3 v6 l Ai1 h2rg", OVER, '1',
	  .after = "T2 e4 v7 w l Ai1" },
	{ "handed over, not ready", "S1 e3 v6 Ai1 h2g", OVER, '1',
	  .ret = -EPERM },
	{ "handed over, not told to go", "S1 e3 v6 Ai1 h2r", OVER, '1',
	  .ret = -EPERM },
	{ "handed over, taken back", "S1 e3 v6 Ai1", OVER, '1',
	  .ret = -EPERM },
	{ "handed over by another one", "S1 e3 v6 Ai1 h2rg", OVER, '3',
	  .ret = -EPERM },
	{ "handed over, epochs are used up",
	  "S1 e18446744073709551614 v6 Ai1 h2rg", OVER, '1',
	  .ret = -EOVERFLOW },
	{ "taken back", "S1 e3 v6 Ai1 h2rg", ABORT,
	  .after = "S1 e3 v7 Ai1" },
	{ "nothing to take back", "S1 e3 v6 Ai1", ABORT },
	{ "the wish goes with the owner's claim", "S1 e3 v6 Ai1 h2rg", CLAIM,
	  '1', .after = "T1 e4 v7 Ai1" },
	{ "the wish goes with a take-over", "S1 e3 v6 Ai1 h2rg", CLAIM, '2',
	  .after = "T2 e4 v7 Ai1" },
	{ "the wish goes with a detach", "S1 e3 v6 Ai1 h2rg", DETACH, '1',
	  .flag = true, .after = "N e3 v7 c Ai1" },
	{ "the wish outlives a removal", "S1 e3 v6 Ai1 Bi1 h2g", REMOVE, 'B',
	  .after = "S1 e3 v7 Ai1 Bs6 h2g" },
	{ "the wish outlives a join", "S1 e3 v6 Ai1 By1 h2g", JOIN, 'B',
	  .after = "S1 e3 v7 Ai1 Bi7 h2g" },

	/* Caretakers. */
	{ "a caretaker of a clean one", "N e4 v9 c Ai1 Bs3", CARE, '1',
	  .after = "T1 e5 v10 w Ai1 Bs3 k" },
	{ "a caretaker of an unclean one", "N e4 v9 Ai1", CARE, '1',
	  .after = "T1 e5 v10 Ai1 k" },
	{ "none for one that is attached", "S2 e4 v9 Ai1", CARE, '1',
	  .flag = true, .ret = -EBUSY },
	{ "nor if that node is gone", "S2 e4 v9 Ai1", CARE, '1',
	  .ret = -EBUSY },
	{ "nor for one that is attached here", "S1 e4 v9 Ai1", CARE, '1',
	  .ret = -EBUSY },
	{ "another caretaker lives", "S2 e4 v9 Ai1 k", CARE, '1',
	  .flag = true, .ret = -EBUSY },
	{ "another caretaker is gone", "S2 e4 v9 Ai1 By4 k", CARE, '1',
	  .after = "T1 e5 v10 Ai1 Bs4 k" },
	{ "another caretaker is gone before it served", "T2 e4 v9 w Ai1 kl",
	  CARE, '1', .after = "T1 e5 v10 w Ai1 k" },
	{ "a caretaker, epochs are used up",
	  "N e18446744073709551614 v9 Ai1", CARE, '1', .ret = -EOVERFLOW },
	{ "an attach does not ask a caretaker that lives", "S2 e4 v9 Ai1 k",
	  CLAIM, '1', .flag = true, .ret = -EBUSY },
	{ "an attach ends the care of a node that is gone",
	  "S2 e4 v9 Ai1 kl", CLAIM, '1', .after = "T1 e5 v10 Ai1" },
	{ "serving, with care", "T1 e1 v2 w Ai1 Bi1 k", SERVE, '1',
	  .confirmed = "AB", .after = "S1 e1 v3 l bc Ai1 Bi1 k" },
	{ "the caretaker has it attached", "S1 e4 v9 Ai1 By4 k", TAKE, '1',
	  .after = "S1 e4 v10 Ai1 By4" },
	{ "before it serves", "T1 e4 v9 w Ai1 k", TAKE, '1',
	  .after = "T1 e4 v10 w Ai1" },
	{ "which another node takes care of", "S2 e4 v9 Ai1 k", TAKE, '1',
	  .ret = -EPERM },
	{ "which nobody takes care of", "S1 e4 v9 Ai1", TAKE, '1',
	  .ret = -EPERM },
	{ "which is being given up", "S1 e4 v9 Ai1 kl", TAKE, '1',
	  .ret = -EBUSY },
	{ "it is to be given up", "S1 e4 v9 Ai1 By4 k", LEAVE,
	  .after = "S1 e4 v10 Ai1 By4 kl" },
	{ "as it is already", "S1 e4 v9 Ai1 kl", LEAVE },
	{ "but it is attached", "S1 e4 v9 Ai1", LEAVE, .ret = -EPERM },
	{ "but nobody has it", "N e4 v9 Ai1", LEAVE, .ret = -EPERM },
	{ "given up", "S1 e4 v9 Ai1 By4 kl", DETACH, '1', .flag = true,
	  .after = "N e4 v10 c Ai1 Bs4" },
	{ "evicted", "S2 e4 v9 l Ai1 By4 k", EVICT,
	  .after = "N e4 v10 l Ai1 Bs4" },
	{ "evicted before it served", "T2 e4 v9 w Ai1 kl", EVICT,
	  .after = "N e4 v10 c Ai1" },
	{ "who has it attached is not evicted", "S2 e4 v9 Ai1", EVICT,
	  .ret = -EPERM },
	{ "nobody is evicted", "N e4 v9 c Ai1", EVICT, .ret = -EPERM },
	{ "a caretaker hands nothing over", "S1 e3 v5 Ai1 k", HAND, '2',
	  .flag = true, .ret = -EPERM },
	{ "the care outlives a removal", "S1 e3 v6 Ai1 Bi1 kl", REMOVE, 'B',
	  .after = "S1 e3 v7 Ai1 Bs6 kl" },
};

static void step_desc(struct step *s, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", s->name);
}

KUNIT_ARRAY_PARAM(step, steps, step_desc);

static int apply(const struct step *s, struct hcv_record *r,
		 const struct hcv_rows *rows, char *err)
{
	const char *confirmed[16], *local[16];

	switch (s->op) {
	case CLAIM:
		return hcv_record_claim(r, id(s->who), s->flag, s->takeover,
					err);
	case SERVE:
		return hcv_record_serve(r, id(s->who),
					ids_of(s->confirmed, confirmed),
					ids_of(s->local, local), rows, !s->flag,
					err);
	case REMOVE:
		return hcv_record_remove(r, id(s->who),
					 s->pending ? id(s->pending) : NULL,
					 rows, err);
	case SYNC:
		return hcv_record_begin_sync(r, id(s->who), err);
	case JOIN:
		return hcv_record_join(r, id(s->who), err);
	case ADD:
		return hcv_record_add(r, id(s->who), s->flag, err);
	case FORGET:
		return hcv_record_forget(r, id(s->who), rows, err);
	case DETACH:
		return hcv_record_detach(r, id(s->who), s->flag, err);
	case HAND:
		return hcv_record_hand_begin(r, id(s->who), s->flag, 9000,
					     err);
	case READY:
		return hcv_record_hand_ready(r, id(s->who), err);
	case ABORT:
		return hcv_record_hand_abort(r, err);
	case OVER:
		return hcv_record_hand_over(r, id(s->who), err);
	case CARE:
		return hcv_record_care_claim(r, id(s->who), s->flag, err);
	case TAKE:
		return hcv_record_care_take(r, id(s->who), err);
	case LEAVE:
		return hcv_record_care_leave(r, err);
	case EVICT:
		return hcv_record_care_evict(r, err);
	case AGAIN:
		return hcv_record_again(r, id(s->who),
					ids_of(s->confirmed, confirmed), rows,
					err);
	}
	return -ENOSYS;
}

static void test_step(struct kunit *test)
{
	const struct step *s = test->param_value;
	struct hcv_record r = parse(s->before);
	char err[HCV_ERR_SIZE] = "", text[256];
	struct hcv_rows rows = { 0 };

	KUNIT_ASSERT_EQ_MSG(test, hcv_record_check(&r, err), 0, "%s", err);
	if (s->rows)
		rows = rows_of(test, s->rows);
	KUNIT_EXPECT_EQ_MSG(test, apply(s, &r, s->rows ? &rows : NULL, err),
			    s->ret, "%s", err);
	KUNIT_EXPECT_EQ(test, !*err, !s->ret);
	format(&r, text, sizeof(text));
	KUNIT_EXPECT_STREQ(test, text, s->after ? s->after : s->before);
}

static char *bad_records[] = {
	"N1 e1 v2 Ai1",			/* an owner of nothing */
	"S e1 v2 Ai1", "T e1 v2 Ai1",	/* nobody serves */
	"S1 e0 v2 Ai1",			/* without an epoch */
	"S1 e1 v2 c Ai1", "N e1 v2 w Ai1", "S1 e1 v2 w Ai1",
	"S1 e1 v2 Ai3", "S1 e1 v2 Ai1 Bs2", "S1 e1 v2 Ai1 By2",
	"N e1 v3 Ai1 By2", "T1 e1 v3 Ai1 By2",
	"S1 e1 v2 As1", "S1 e1 v2 Ai1 Ai1",
	"S1 e1 v3 Ai1 Bp2",		/* passed over by nobody */
	"T1 e1 v3 bc Ai1", "N e1 v3 bl Ai1",
	"S1 e1 v2 Ai1 h1", "T1 e1 v2 Ai1 h2", "N e1 v2 Ai1 h2",
	"N e1 v2 Ai1 k", "S1 e1 v2 Ai1 k!", "S1 e1 v2 Ai1 k h2",
};

static void test_check(struct kunit *test)
{
	char err[HCV_ERR_SIZE];
	struct hcv_record r;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad_records); i++) {
		r = parse(bad_records[i]);
		*err = 0;
		KUNIT_EXPECT_EQ_MSG(test, hcv_record_check(&r, err), -EINVAL,
				    "%s", bad_records[i]);
		KUNIT_EXPECT_TRUE(test, *err);
	}
}

/* A store that leaves, however it does, needs new handles; others do not. */
static void test_renew(struct kunit *test)
{
	struct hcv_record r = parse("S1 e1 v5 Ai1 By3 Ci1");
	char err[HCV_ERR_SIZE];

	KUNIT_ASSERT_EQ(test, hcv_record_remove(&r, id('B'), NULL, NULL, err),
			0);
	KUNIT_EXPECT_EQ(test, hcv_record_find(&r, id('B'))->renew, 6);
	KUNIT_EXPECT_EQ(test, hcv_record_find(&r, id('A'))->renew, 0);
	/* It is stale: there is nothing to be asked for again. */
	KUNIT_ASSERT_EQ(test, hcv_record_remove(&r, id('B'), NULL, NULL, err),
			0);
	KUNIT_EXPECT_EQ(test, hcv_record_find(&r, id('B'))->renew, 6);
	KUNIT_ASSERT_EQ(test, hcv_record_begin_sync(&r, id('B'), err), 0);
	KUNIT_ASSERT_EQ(test, hcv_record_join(&r, id('B'), err), 0);
	KUNIT_EXPECT_EQ(test, hcv_record_find(&r, id('B'))->renew, 6);
	KUNIT_ASSERT_EQ(test, hcv_record_remove(&r, id('C'), NULL, NULL, err),
			0);
	KUNIT_EXPECT_EQ(test, hcv_record_find(&r, id('C'))->renew, 9);
	KUNIT_ASSERT_EQ(test, hcv_record_renew(&r, id('A'), err), 0);
	KUNIT_EXPECT_EQ(test, hcv_record_find(&r, id('A'))->renew, 10);
	KUNIT_EXPECT_EQ(test, r.v, 10);
	KUNIT_EXPECT_TRUE(test, hcv_record_insync(&r, id('A')));
	KUNIT_EXPECT_EQ(test, hcv_record_renew(&r, id('F'), err), -ENOENT);
	KUNIT_ASSERT_EQ(test, hcv_record_grow(&r, err), 0);
	KUNIT_EXPECT_EQ(test, r.v, 11);
	KUNIT_EXPECT_EQ(test, hcv_record_find(&r, id('A'))->renew, 10);
	hcv_record_find(&r, id('A'))->renew = r.v + 1;
	KUNIT_EXPECT_EQ(test, hcv_record_check(&r, err), -EINVAL);
	r = parse("T1 e2 v5 Ai1");
	KUNIT_EXPECT_EQ(test, hcv_record_renew(&r, id('A'), err), -EPERM);
	KUNIT_EXPECT_EQ(test, hcv_record_grow(&r, err), -EPERM);
}

/* A later wish is another one, and what is left of one is none. */
static void test_hand(struct kunit *test)
{
	struct hcv_record r = parse("S1 e1 v5 Ai1"), bad;
	char err[HCV_ERR_SIZE];

	KUNIT_ASSERT_EQ(test, hcv_record_hand_begin(&r, id('2'), false, 700,
						    err), 0);
	KUNIT_EXPECT_EQ(test, r.hand.v, 6);
	KUNIT_EXPECT_EQ(test, r.hand.limit_ms, 700);
	KUNIT_ASSERT_EQ(test, hcv_record_hand_ready(&r, id('2'), err), 0);
	/* The limit is that of the beginning. */
	KUNIT_ASSERT_EQ(test, hcv_record_hand_begin(&r, id('2'), true, 900,
						    err), 0);
	KUNIT_EXPECT_EQ(test, r.hand.v, 6);
	KUNIT_EXPECT_EQ(test, r.hand.limit_ms, 700);
	KUNIT_EXPECT_TRUE(test, r.hand.ready);
	KUNIT_ASSERT_EQ(test, hcv_record_hand_abort(&r, err), 0);
	KUNIT_EXPECT_EQ(test, r.hand.v, 0);
	KUNIT_ASSERT_EQ(test, hcv_record_hand_begin(&r, id('2'), true, 900,
						    err), 0);
	KUNIT_EXPECT_EQ(test, r.hand.v, 10);
	KUNIT_EXPECT_FALSE(test, r.hand.ready);
	KUNIT_EXPECT_EQ(test, hcv_record_hand_begin(&r, "x", true, 900, err),
			-EINVAL);
	bad = r;
	bad.hand.v = r.v + 1;
	KUNIT_EXPECT_EQ(test, hcv_record_check(&bad, err), -EINVAL);
	bad = r;
	bad.hand.limit_ms = 0;
	KUNIT_EXPECT_EQ(test, hcv_record_check(&bad, err), -EINVAL);
	bad = r;
	bad.hand.to[0] = 0;
	KUNIT_EXPECT_EQ(test, hcv_record_check(&bad, err), -EINVAL);
	r = parse("S1 e1 v5 Ai1");
	KUNIT_EXPECT_EQ(test, hcv_record_hand_begin(&r, id('2'), true, 0, err),
			-EINVAL);
}

static void test_init(struct kunit *test)
{
	const char *list[HCV_REC_STORES + 1];
	char err[HCV_ERR_SIZE], text[256];
	struct hcv_record r;
	int i;

	KUNIT_ASSERT_EQ(test, hcv_record_init(&r, 7, ids_of("AB", list), err),
			0);
	format(&r, text, sizeof(text));
	KUNIT_EXPECT_STREQ(test, text, "N e0 v1 c Ai1 Bi1");
	KUNIT_EXPECT_EQ(test, r.lineage, 7);
	KUNIT_EXPECT_EQ(test, hcv_record_init(&r, 7, ids_of("AA", list), err),
			-EINVAL);
	for (i = 0; i <= HCV_REC_STORES; i++)
		list[i] = id((char)('A' + i));
	KUNIT_EXPECT_EQ(test, hcv_record_init(&r, 7, (struct hcv_rec_ids) {
				list, HCV_REC_STORES + 1 }, err), -ENOSPC);
	KUNIT_ASSERT_EQ(test, hcv_record_init(&r, 7, (struct hcv_rec_ids) {
				list, HCV_REC_STORES }, err), 0);
	KUNIT_EXPECT_EQ(test, hcv_record_add(&r, id('1'), true, err), -ENOSPC);
	KUNIT_EXPECT_TRUE(test, hcv_record_insync(&r, id('B')));
	KUNIT_EXPECT_FALSE(test, hcv_record_insync(&r, id('1')));
	KUNIT_EXPECT_EQ(test, hcv_record_nr_insync(&r), HCV_REC_STORES);
	KUNIT_EXPECT_NULL(test, hcv_record_find(&r, id('1')));
}

/*
 * Random histories.  Every store holds the blocks of its rows, each with the
 * number of its newest write and the v under which that was made.  The module
 * is played as it promises to behave: a write goes to all in-sync and syncing
 * stores; when one of them leaves, the write in flight counts as made under
 * the new v; a copy takes what the source has from beyond the store's v.  The logs
 * name the writes that a crash cut off; whoever serves next after an unclean stop
 * gives those blocks its v.  Some owners keep no logs.
 */
#define W_STORES 6
#define W_ROWS 5
#define W_BLOCKS 4

struct block {
	unsigned int write;
	uint64_t stamp;
};

struct world {
	struct kunit *test;
	uint64_t seed;
	struct hcv_record r;
	struct hcv_rows rows;
	struct hcv_row row[W_ROWS];
	struct block has[W_STORES][W_ROWS][W_BLOCKS];
	unsigned int acked[W_ROWS][W_BLOCKS];
	unsigned int writes;
	bool torn;		/* copies may differ until served again */
	bool named[W_ROWS][W_BLOCKS];
	unsigned int served, refused, unsettled, again;
};

static unsigned int rnd(struct world *w, unsigned int below)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return (unsigned int)((w->seed >> 16) % below);
}

static char store_name(unsigned int s)
{
	return (char)('A' + s);
}

static bool in_row(const struct world *w, unsigned int row, unsigned int s)
{
	unsigned int i;

	for (i = 0; i < w->row[row].nr; i++)
		if (!strcmp(w->row[row].store[i], id(store_name(s))))
			return true;
	return false;
}

static enum hcv_rec_sstate state_of(struct world *w, unsigned int s)
{
	struct hcv_rec_store *st = hcv_record_find(&w->r, id(store_name(s)));

	return st ? st->state : HCV_RS_STALE;
}

/* An in-sync store with the row, other than @but. */
static int source_of(struct world *w, unsigned int row, int but)
{
	int s;

	for (s = 0; s < W_STORES; s++)
		if (s != but && in_row(w, row, (unsigned int)s) &&
		    state_of(w, (unsigned int)s) == HCV_RS_INSYNC)
			return s;
	return -1;
}

static void world_init(struct world *w)
{
	unsigned int r, i, s, used = 0;
	const char *list[W_STORES];
	struct hcv_rec_ids ids = { list, 0 };
	char err[HCV_ERR_SIZE];
	struct hcv_row *row;

	w->rows.row = w->row;
	w->rows.nr = 1 + rnd(w, W_ROWS);
	w->rows.next = (uint32_t)w->rows.nr;
	for (r = 0; r < w->rows.nr; r++) {
		row = &w->row[r];
		row->index = r;
		row->nr = (uint8_t)(1 + rnd(w, 3));
		row->full = (uint8_t)((1U << row->nr) - 1);
		s = rnd(w, W_STORES);
		for (i = 0; i < row->nr; i++, s = (s + 1) % W_STORES) {
			strcpy(row->store[i], id(store_name(s)));
			used |= 1U << s;
		}
	}
	for (s = 0; s < W_STORES; s++)
		if (used & (1U << s))
			list[ids.nr++] = id(store_name(s));
	KUNIT_ASSERT_EQ_MSG(w->test, hcv_record_init(&w->r, 1, ids, err), 0,
			    "%s", err);
}

/* While served all in-sync copies of a row are equal, and hold every ack. */
static void world_check(struct world *w)
{
	char err[HCV_ERR_SIZE] = "";
	const struct block *has;
	unsigned int r, b, s;
	int first;

	KUNIT_EXPECT_EQ_MSG(w->test, hcv_record_check(&w->r, err), 0, "%s",
			    err);
	for (r = 0; r < w->rows.nr; r++) {
		first = source_of(w, r, -1);
		KUNIT_ASSERT_GE(w->test, first, 0);
		for (s = 0; s < W_STORES; s++) {
			if (!in_row(w, r, s) ||
			    state_of(w, s) != HCV_RS_INSYNC)
				continue;
			for (b = 0; b < W_BLOCKS; b++) {
				has = &w->has[s][r][b];
				KUNIT_EXPECT_GE(w->test, has->write,
						w->acked[r][b]);
				if (w->torn)
					continue;
				KUNIT_EXPECT_EQ(w->test, has->write,
						w->has[first][r][b].write);
				KUNIT_EXPECT_EQ(w->test, has->stamp,
						w->has[first][r][b].stamp);
			}
		}
	}
}

static void put_block(struct world *w, unsigned int s, unsigned int r,
		      unsigned int b, uint64_t stamp)
{
	w->has[s][r][b].write = w->writes;
	w->has[s][r][b].stamp = stamp;
}

/*
 * A write that fails on store @lost (-1: on none), or is cut off by a crash
 * after it has reached some stores (@crash).
 */
static void do_write(struct world *w, int lost, bool crash)
{
	unsigned int r = rnd(w, (unsigned int)w->rows.nr);
	unsigned int b = rnd(w, W_BLOCKS), s;
	char err[HCV_ERR_SIZE];

	w->writes++;
	if (lost >= 0 && !crash &&
	    hcv_record_remove(&w->r, id(store_name((unsigned int)lost)), NULL,
			      &w->rows, err))
		return;		/* refused: the write waits, for ever here */
	for (s = 0; s < W_STORES; s++) {
		if (!in_row(w, r, s) || state_of(w, s) == HCV_RS_STALE)
			continue;
		if (!crash || rnd(w, 2))
			put_block(w, s, r, b, w->r.v);
	}
	if (!crash)
		w->acked[r][b] = w->writes;
	w->named[r][b] |= crash;
}

/* The logs of those that serve name what may differ, and are emptied. */
static void do_stamp(struct world *w)
{
	unsigned int s, r, b;

	for (r = 0; r < w->rows.nr; r++)
		for (b = 0; b < W_BLOCKS; b++)
			for (s = 0; s < W_STORES && w->named[r][b]; s++)
				if (state_of(w, s) == HCV_RS_INSYNC)
					w->has[s][r][b].stamp = w->r.v;
	memset(w->named, 0, sizeof(w->named));
}

/* Copy what @s lacks according to its v; then it may join. */
static void do_copy(struct world *w, unsigned int s)
{
	struct hcv_rec_store *st = hcv_record_find(&w->r, id(store_name(s)));
	const struct block *from;
	unsigned int r, b;
	int source;

	for (r = 0; r < w->rows.nr; r++) {
		source = source_of(w, r, (int)s);
		if (!in_row(w, r, s) || source < 0)
			continue;
		for (b = 0; b < W_BLOCKS; b++) {
			from = &w->has[source][r][b];
			if (!st->v || from->stamp > st->v)
				w->has[s][r][b] = *from;
		}
	}
}

/* A start that fails half-way, after a part of the stamps, for some stores. */
static void do_again(struct world *w, const struct hcv_record *old, bool torn)
{
	char unfit[W_STORES + 1] = "", owner[HCV_ID_LEN], err[HCV_ERR_SIZE];
	const char *list[W_STORES];
	unsigned int s, r, b, n = 0;

	for (s = 0; s < W_STORES; s++) {
		if (!hcv_record_insync(&w->r, id(store_name(s))))
			continue;
		for (r = 0; r < w->rows.nr; r++)
			for (b = 0; b < W_BLOCKS; b++)
				if (w->named[r][b] && rnd(w, 2))
					w->has[s][r][b].stamp = w->r.v;
		if (rnd(w, 2))
			unfit[n++] = store_name(s);
	}
	w->torn = torn;
	strcpy(owner, w->r.owner);
	if (hcv_record_again(&w->r, owner, ids_of(unfit, list), &w->rows,
			     err)) {
		/* Nothing else helps: as after a crash. */
		w->torn = true;
		hcv_record_claim(&w->r, owner, true, true, err);
		return;
	}
	w->again++;
	for (s = 0; s < W_STORES; s++)
		KUNIT_EXPECT_EQ(w->test,
				hcv_record_insync(&w->r, id(store_name(s))),
				hcv_record_insync(old, id(store_name(s))) &&
				!strchr(unfit, store_name(s)));
	KUNIT_EXPECT_EQ(w->test, w->r.was_clean, old->was_clean);
	KUNIT_EXPECT_TRUE(w->test, old->was_clean || w->r.log == old->log);
}

static void do_serve(struct world *w)
{
	struct hcv_record old = w->r;
	char confirmed[W_STORES + 1] = "", local[2] = "";
	const char *list[W_STORES], *local_list[2];
	char err[HCV_ERR_SIZE];
	unsigned int s, n = 0;
	bool clean = old.was_clean, torn = w->torn;
	char owner[HCV_ID_LEN];
	int ret;

	for (s = 0; s < W_STORES; s++)
		if (rnd(w, 4))
			confirmed[n++] = store_name(s);
	local[0] = store_name(rnd(w, W_STORES));
	strcpy(owner, old.owner);
	ret = hcv_record_serve(&w->r, owner, ids_of(confirmed, list),
			       ids_of(local, local_list), &w->rows,
			       rnd(w, 4), err);
	if (ret) {
		w->unsettled += ret == -EXDEV;
		w->refused++;
		KUNIT_EXPECT_EQ(w->test, memcmp(&old, &w->r, sizeof(old)), 0);
		return;
	}
	w->served++;
	w->torn = false;
	for (s = 0; s < W_STORES; s++) {
		if (!hcv_record_insync(&w->r, id(store_name(s))))
			continue;
		KUNIT_EXPECT_TRUE(w->test,
				  hcv_record_insync(&old, id(store_name(s))));
		KUNIT_EXPECT_TRUE(w->test, strchr(confirmed, store_name(s)));
	}
	if (!rnd(w, 4)) {
		do_again(w, &old, torn);
		return;
	}
	/* Without logs nobody can tell what others lack: they trust nothing. */
	for (s = 0; s < W_STORES && !clean && !old.log; s++)
		if (hcv_record_find(&w->r, id(store_name(s))) &&
		    state_of(w, s) == HCV_RS_STALE)
			KUNIT_EXPECT_EQ(w->test,
					hcv_record_find(&w->r,
							id(store_name(s)))->v,
					0);
	do_stamp(w);
}

static void do_serving(struct world *w)
{
	unsigned int s = rnd(w, W_STORES);
	const char *store = id(store_name(s));
	char err[HCV_ERR_SIZE], owner[HCV_ID_LEN];

	strcpy(owner, w->r.owner);
	switch (rnd(w, 10)) {
	case 0:
		hcv_record_detach(&w->r, owner, true, err);
		break;
	case 1:
		/* Forced, with a write cut off. */
		do_write(w, -1, true);
		hcv_record_detach(&w->r, owner, false, err);
		w->torn = true;
		break;
	case 2:
		hcv_record_begin_sync(&w->r, store, err);
		break;
	case 3:
	case 4:
		if (!hcv_record_find(&w->r, store) ||
		    state_of(w, s) != HCV_RS_SYNCING)
			break;
		do_copy(w, s);
		/* Now and then the copy was for nothing. */
		if (rnd(w, 4))
			hcv_record_join(&w->r, store, err);
		break;
	case 5:
		if (hcv_record_find(&w->r, store))
			do_write(w, (int)s, false);
		break;
	default:
		do_write(w, -1, false);
	}
}

static void do_step(struct world *w)
{
	char node = (char)('1' + rnd(w, 3));
	bool serving = w->r.phase == HCV_PH_SERVING;
	struct hcv_record claimed = w->r;
	char err[HCV_ERR_SIZE];

	if (!rnd(w, 12) || w->r.phase == HCV_PH_NONE) {
		if (hcv_record_claim(&claimed, id(node), rnd(w, 2), rnd(w, 2),
				     err))
			return;
		/* Whoever served has crashed. */
		if (serving && rnd(w, 2))
			do_write(w, -1, true);
		w->torn |= serving;
		w->r = claimed;
	} else if (serving) {
		do_serving(w);
	} else {
		do_serve(w);
	}
}

/* The same each time, unless another one is asked for; 0: by the clock. */
static uint64_t seed(struct kunit *test)
{
	const char *given = getenv("HCV_TEST_SEED");
	uint64_t n = given ? strtoull(given, NULL, 0) : 1;
	struct timespec ts;

	if (!n) {
		clock_gettime(CLOCK_REALTIME, &ts);
		n = (uint64_t)ts.tv_sec * 1000003 + (uint64_t)ts.tv_nsec;
	}
	kunit_info(test, "HCV_TEST_SEED=%llu", (unsigned long long)n);
	return n;
}

static void test_histories(struct kunit *test)
{
	struct world *w = kunit_kzalloc(test, sizeof(*w), 0);
	uint64_t next = seed(test), v, epoch;
	unsigned int served = 0, refused = 0, unsettled = 0, again = 0, i, k;
	struct hcv_record old;

	for (i = 0; i < 3000 && !test->failed; i++) {
		memset(w, 0, sizeof(*w));
		w->test = test;
		w->seed = next;
		world_init(w);
		for (k = 0; k < 80 && !test->failed; k++) {
			old = w->r;
			v = w->r.v;
			epoch = w->r.epoch;
			do_step(w);
			KUNIT_EXPECT_GE(test, w->r.epoch, epoch);
			if (memcmp(&old, &w->r, sizeof(old)))
				KUNIT_EXPECT_GT(test, w->r.v, v);
			world_check(w);
		}
		next = w->seed;
		served += w->served;
		refused += w->refused;
		unsettled += w->unsettled;
		again += w->again;
	}
	kunit_info(test, "%u histories, served %u, to wait %u, no choice %u, again %u",
		   i, served, refused, unsettled, again);
	KUNIT_EXPECT_GT(test, again, 100);
	KUNIT_EXPECT_GT(test, served, 1000);
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(test_step, step_gen_params),
	KUNIT_CASE(test_check),
	KUNIT_CASE(test_init),
	KUNIT_CASE(test_renew),
	KUNIT_CASE(test_hand),
	KUNIT_CASE(test_histories),
	{}
};

static struct kunit_suite suite = {
	.name = "hcv_record",
	.test_cases = cases,
};
kunit_test_suite(suite);
