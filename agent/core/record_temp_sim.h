/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The world of record_temp_sim_test.c: stores with contents, an owner with its
 * links, and what its module and agent do while it serves.
 */
#ifndef HCV_AGENT_CORE_RECORD_TEMP_SIM_H
#define HCV_AGENT_CORE_RECORD_TEMP_SIM_H

#include <errno.h>
#include <kunit/test.h>

#include "record_temp_fix.h"

#define W_STORES 6
#define W_ROWS 3
#define W_SLOTS 2

enum { OUT, SYNC, IN };			/* a link */
enum { BEGUN, FLUSHED, WRITTEN };	/* how far a copy is */

/* A slot: two blocks with numbers of writes, 0: never written. */
struct slot {
	unsigned int cache[2];
	unsigned int disk[2];
	uint64_t stamp;
	unsigned int held;	/* bits, of a temporary replica */
	bool named;		/* by the log */
};

struct late {
	struct slot *slot;
	unsigned int block;
	unsigned int write;
};

/* What the owner knows of a slot. */
struct ram {
	uint64_t stamp;
	unsigned int hold;
	bool dirty;
	bool named;
};

/* What the guest knows of a block. */
struct guest {
	unsigned int acked;
	unsigned int flushed;
	bool open;		/* a write of it was not acknowledged */
};

struct world {
	struct kunit *test;
	uint64_t seed;
	struct hcv_record r;
	struct hcv_row row[16];
	struct hcv_rows rows;
	struct slot has[W_STORES][W_ROWS][W_SLOTS];
	struct late late[W_STORES];
	struct guest guest[W_ROWS][W_SLOTS][2];
	unsigned int writes;
	bool up;
	struct ram ram[W_ROWS][W_SLOTS];
	unsigned int link[W_STORES];
	unsigned int stage[W_STORES];
	bool told[W_STORES];	/* all pages of the temporary one are there */
	unsigned int granted;	/* bits */
	unsigned int dead;
	char trace[8192];
	size_t trace_len;
	unsigned int began, marks, pairs, partial, merged, again, joined,
		     taken, named_taken, by_full, stayed, forced, lost;
};

#define for_slots(w, r, k) \
	for (r = 0, k = 0; r < (w)->rows.nr; k = (k + 1) % W_SLOTS, r += !k)

static __attribute__((format(printf, 2, 3)))
void note(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->trace_len >= sizeof(w->trace))
		return;
	va_start(ap, fmt);
	w->trace_len += (size_t)vsnprintf(w->trace + w->trace_len,
					  sizeof(w->trace) - w->trace_len,
					  fmt, ap);
	va_end(ap);
}

static unsigned int rnd(struct world *w, unsigned int below)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return (unsigned int)((w->seed >> 16) % below);
}

static const char *name(unsigned int s)
{
	return id((char)('A' + s));
}

static const struct hcv_rec_store *entry(struct world *w, unsigned int s)
{
	return hcv_record_find(&w->r, name(s));
}

static bool is_temp(struct world *w, unsigned int s)
{
	return entry(w, s) && entry(w, s)->state == HCV_RS_TEMPORARY;
}

static int temp_of(const struct world *w)
{
	const struct hcv_rec_store *t = hcv_record_temp(&w->r);

	return t ? letter(t->store) - 'A' : -1;
}

static int base_of(const struct world *w)
{
	const struct hcv_rec_store *t = hcv_record_temp(&w->r);

	return t ? letter(t->base) - 'A' : -1;
}

static bool in_row(struct world *w, unsigned int s, unsigned int row)
{
	unsigned int i;

	if (is_temp(w, s))
		return hcv_record_temp_row(&w->r, &w->row[row]);
	for (i = 0; i < w->row[row].nr; i++)
		if (!strcmp(w->row[row].store[i], name(s)))
			return true;
	return false;
}

static bool insync(struct world *w, unsigned int s)
{
	return hcv_record_insync(&w->r, name(s));
}

/* Whether the pair serves this row. */
static bool by_pair(struct world *w, unsigned int row)
{
	return hcv_record_pair(&w->r) &&
	       hcv_record_temp_row(&w->r, &w->row[row]);
}

/* Where a block is read; -1: nowhere. */
static int source(struct world *w, unsigned int row, unsigned int slot,
		  unsigned int block)
{
	unsigned int s;

	if (by_pair(w, row))
		return w->ram[row][slot].hold & (1U << block) ? temp_of(w) :
							       base_of(w);
	for (s = 0; s < W_STORES; s++)
		if (w->link[s] == IN && insync(w, s) && in_row(w, s, row))
			return (int)s;
	return -1;
}

static void settle(struct world *w, unsigned int s)
{
	unsigned int r, k;

	for_slots(w, r, k)
		memcpy(w->has[s][r][k].disk, w->has[s][r][k].cache,
		       sizeof(w->has[s][r][k].disk));
}

/* Old handles are no good any more: what is on its way has landed, or never. */
static void drain(struct world *w, unsigned int s)
{
	struct late *l = &w->late[s];

	if (l->slot && rnd(w, 2))
		l->slot->cache[l->block] = l->write;
	l->slot = NULL;
}

static void owner_down(struct world *w)
{
	note(w, " down");
	w->up = false;
	memset(w->ram, 0, sizeof(w->ram));
	memset(w->link, 0, sizeof(w->link));
	memset(w->stage, 0, sizeof(w->stage));
	w->granted = 0;
}

/* The new v, for whatever the store that left may lack. */
static void stamp_unflushed(struct world *w)
{
	unsigned int r, k;

	for_slots(w, r, k)
		if (w->ram[r][k].dirty)
			w->ram[r][k].stamp = w->r.v;
}

/* Its link failed.  Return: the owner goes on. */
static bool leave(struct world *w, unsigned int s)
{
	char err[HCV_ERR_SIZE];
	bool base = base_of(w) == (int)s && hcv_record_pair(&w->r);

	note(w, " fail%c", 'A' + s);
	if (base && !hcv_record_renew(&w->r, name(s), err)) {
		/* It begins anew; what it alone has waits until then. */
		drain(w, s);
		w->stage[s] = BEGUN;
		stamp_unflushed(w);
		return true;
	}
	if (hcv_record_remove(&w->r, name(s), NULL, &w->rows, err)) {
		owner_down(w);
		return false;
	}
	w->link[s] = OUT;
	stamp_unflushed(w);
	return true;
}

/* ------------------------------------------------------------------ writes */

/* The log of all that count names the slot. */
static void do_name(struct world *w, unsigned int r, unsigned int k)
{
	unsigned int s;

	if (!w->r.log)
		return;
	for (s = 0; s < W_STORES && !w->ram[r][k].named; s++)
		if (w->link[s] == IN)
			w->has[s][r][k].named = true;
	w->ram[r][k].named = true;
}

/*
 * A write that fails on store @lost (-1: none), or is cut off by a crash.
 */
static void do_write(struct world *w, int lost, bool crash)
{
	unsigned int r = rnd(w, (unsigned int)w->rows.nr);
	unsigned int k = rnd(w, W_SLOTS), b = rnd(w, 2), s, good = 0;
	struct guest *g = &w->guest[r][k][b];
	struct ram *ram = &w->ram[r][k];
	int t;

	if (source(w, r, k, b) < 0)
		return;
	note(w, " write%u.%u.%u", r, k, b);
	do_name(w, r, k);
	w->writes++;
	g->open = true;
	ram->dirty = true;
	for (s = 0; s < W_STORES; s++) {
		if (w->link[s] == OUT || !in_row(w, s, r))
			continue;
		if ((int)s == lost || (crash && rnd(w, 2))) {
			w->late[s] = (struct late){ &w->has[s][r][k], b,
						    w->writes };
			continue;
		}
		w->has[s][r][k].cache[b] = w->writes;
		good |= 1U << s;
	}
	if (crash) {
		owner_down(w);
		return;
	}
	if (lost >= 0 && !leave(w, (unsigned int)lost))
		return;
	t = temp_of(w);
	if (t >= 0 && good & (1U << t) && w->link[t] != OUT)
		ram->hold |= 1U << b;
	ram->stamp = w->r.v;
	g->acked = w->writes;
	g->open = false;
}

static bool has_page(struct world *w, unsigned int s)
{
	return w->link[s] == IN || is_temp(w, s) ||
	       (w->link[s] == SYNC && w->stage[s] >= FLUSHED);
}

static void write_pages(struct world *w, unsigned int s)
{
	unsigned int r, k;

	for_slots(w, r, k) {
		if (!in_row(w, s, r))
			continue;
		/* Those of a temporary one name all slots (core/sparse.h). */
		w->has[s][r][k].stamp = w->ram[r][k].stamp;
		w->has[s][r][k].held = is_temp(w, s) ? w->ram[r][k].hold : 0;
	}
}

/* @crash: in the middle of it. */
static bool do_flush(struct world *w, bool crash)
{
	unsigned int r, k, b, s, parts = 0;

	note(w, crash ? " flush!" : " flush");
	for (s = 0; s < W_STORES; s++) {
		if (w->link[s] == OUT)
			continue;
		if (crash && !rnd(w, 3)) {
			owner_down(w);
			return false;
		}
		settle(w, s);
		if (w->stage[s] == FLUSHED)
			parts |= 1U << s;
	}
	for (s = 0; s < W_STORES; s++) {
		if (w->link[s] == OUT || !has_page(w, s))
			continue;
		if (crash && rnd(w, 2))
			continue;
		write_pages(w, s);
	}
	if (crash) {
		owner_down(w);
		return false;
	}
	for (s = 0; s < W_STORES; s++) {
		if (parts & (1U << s))
			w->stage[s] = WRITTEN;
		w->told[s] |= w->link[s] != OUT && is_temp(w, s);
	}
	for_slots(w, r, k) {
		w->ram[r][k].dirty = false;
		for (b = 0; b < 2; b++)
			w->guest[r][k][b].flushed = w->guest[r][k][b].acked;
	}
	return true;
}

/* Entries go lazily. */
static void do_unname(struct world *w)
{
	unsigned int r, k, s;

	for_slots(w, r, k) {
		if (w->ram[r][k].dirty || rnd(w, 2))
			continue;
		w->ram[r][k].named = false;
		for (s = 0; s < W_STORES; s++)
			if (w->link[s] == IN)
				w->has[s][r][k].named = false;
	}
}

static void take_log(struct world *w, unsigned int s)
{
	unsigned int r, k;

	for_slots(w, r, k)
		w->has[s][r][k].named = w->ram[r][k].named;
}

/* ---------------------------------------------------- copies, full ones */

static void do_copy(struct world *w, unsigned int s)
{
	const struct hcv_rec_store *st = entry(w, s);
	unsigned int r, k, b;
	int from;

	for_slots(w, r, k) {
		struct slot *to = &w->has[s][r][k];

		if (!in_row(w, s, r) ||
		    (st->v && to->stamp == w->ram[r][k].stamp))
			continue;
		for (b = 0; b < 2; b++) {
			from = source(w, r, k, b);
			if (from >= 0)
				to->cache[b] = w->has[from][r][k].cache[b];
		}
	}
	settle(w, s);
	w->stage[s] = FLUSHED;
}

static void do_join(struct world *w, unsigned int s)
{
	bool base = base_of(w) == (int)s, pair = hcv_record_pair(&w->r);
	int t = temp_of(w);
	char err[HCV_ERR_SIZE];

	take_log(w, s);
	if (hcv_record_join(&w->r, name(s), err))
		return;
	note(w, " join%c", 'A' + s);
	w->link[s] = IN;
	w->stage[s] = BEGUN;
	w->joined++;
	if (!base)
		return;
	w->merged += pair;
	w->link[t] = OUT;
	w->stage[t] = BEGUN;
	stamp_unflushed(w);
}

static void do_full(struct world *w, unsigned int s)
{
	const struct hcv_rec_store *st = entry(w, s);
	char err[HCV_ERR_SIZE];

	if (st->state == HCV_RS_STALE) {
		/* Not always: an absence is to last. */
		if (rnd(w, 6) || hcv_record_begin_sync(&w->r, name(s), err))
			return;
		note(w, " sync%c", 'A' + s);
		drain(w, s);
		w->link[s] = SYNC;
		w->stage[s] = BEGUN;
	} else if (st->state == HCV_RS_SYNCING) {
		/* That what can happen meanwhile does. */
		if (temp_of(w) >= 0 && rnd(w, 4))
			return;
		if (w->stage[s] == BEGUN)
			do_copy(w, s);
		else if (w->stage[s] == WRITTEN)
			do_join(w, s);
	}
}

/* --------------------------------------------------- temporary replicas */

static void do_begin(struct world *w, unsigned int s)
{
	struct hcv_temp_want want = { .store = name(s), .cleared = !rnd(w, 4) };
	unsigned int base = rnd(w, W_STORES), r, k, i;
	char err[HCV_ERR_SIZE];

	for (i = 0; i < W_STORES && !(entry(w, base) && !insync(w, base)); i++)
		base = (base + 1) % W_STORES;
	want.base = name(base);

	if (want.cleared) {
		drain(w, s);
		memset(w->has[s], 0, sizeof(w->has[s]));
	}
	if (hcv_record_temp_begin(&w->r, &want, &w->rows, err))
		return;
	note(w, " temp%c-%c", 'A' + s, letter(want.base));
	/* The handles are new ones. */
	drain(w, s);
	w->began++;
	w->link[s] = SYNC;
	w->stage[s] = BEGUN;
	w->told[s] = false;
	for_slots(w, r, k)
		w->ram[r][k].hold = w->has[s][r][k].held;
}

/* What changed since @v. */
static void do_fill(struct world *w, unsigned int s, uint64_t v)
{
	unsigned int r, k, b;
	int from;

	for_slots(w, r, k) {
		if (!in_row(w, s, r) || w->ram[r][k].stamp <= v)
			continue;
		for (b = 0; b < 2; b++) {
			from = source(w, r, k, b);
			w->has[s][r][k].cache[b] = w->has[from][r][k].cache[b];
		}
		w->ram[r][k].hold = 3;
	}
	settle(w, s);
	w->stage[s] = FLUSHED;
}

/* Each row of the base names it: one more.  Return: all do. */
static bool name_row(struct world *w, unsigned int s)
{
	unsigned int r, i;

	for (r = 0; r < w->rows.nr; r++) {
		struct hcv_row *row = &w->row[r];

		if (!in_row(w, s, r))
			continue;
		for (i = 0; i < row->nr; i++)
			if (!strcmp(row->store[i], name(s)))
				break;
		if (i < row->nr)
			continue;
		if (row->nr < HCV_ROW_STORES) {
			row->full |= (uint8_t)(1U << row->nr);
			strcpy(row->store[row->nr++], name(s));
		}
		return false;
	}
	return true;
}

/* It has the mark, and is to be a full copy: then without @hold. */
static void do_stay(struct world *w, unsigned int s)
{
	char err[HCV_ERR_SIZE];

	if (!entry(w, s)->named) {
		if (!rnd(w, 4) && !hcv_record_temp_name(&w->r, name(s), err))
			note(w, " name%c", 'A' + s);
		return;
	}
	if (!name_row(w, s))
		return;
	if (w->stage[s] == BEGUN) {
		do_fill(w, s, 0);
	} else if (w->stage[s] == WRITTEN &&
		   !hcv_record_temp_stay(&w->r, name(s), &w->rows, err)) {
		note(w, " stay%c", 'A' + s);
		w->stage[s] = BEGUN;
		w->stayed++;
	}
}

static void do_temp(struct world *w, unsigned int s)
{
	const struct hcv_rec_store *t = entry(w, s);
	char err[HCV_ERR_SIZE];

	if (!t) {
		do_begin(w, s);
	} else if (t->pair) {
		return;
	} else if (!rnd(w, 25)) {
		if (hcv_record_temp_out(&w->r, name(s), err))
			return;
		note(w, " out%c", 'A' + s);
		w->link[s] = OUT;
		stamp_unflushed(w);
	} else if (t->covers) {
		do_stay(w, s);
	} else if (w->link[s] == SYNC && w->stage[s] == BEGUN) {
		do_fill(w, s, t->v);
	} else if (w->link[s] == SYNC && w->stage[s] == WRITTEN) {
		take_log(w, s);
		w->link[s] = IN;
		w->stage[s] = BEGUN;
	} else if (w->link[s] == IN &&
		   !hcv_record_temp_covers(&w->r, name(s), t->base, t->v,
					   err)) {
		note(w, " mark%c", 'A' + s);
		w->marks++;
	}
}

#endif /* HCV_AGENT_CORE_RECORD_TEMP_SIM_H */
