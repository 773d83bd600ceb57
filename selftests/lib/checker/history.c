// SPDX-License-Identifier: GPL-2.0-only
/*
 * The checker's model, see history.h: events are folded into values at once,
 * so that memory goes with the writes of a session, not with its reads.
 */
#include "history.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "history_priv.h"

#define HCV_CK_TEXTS	64	/* faults that are kept in words */

static const char *const hcv_ck_names[] = {
	[HCV_CK_F_EVENTS] = "events",
	[HCV_CK_F_TORN] = "torn",
	[HCV_CK_F_FOREIGN] = "foreign",
	[HCV_CK_F_LOST] = "lost",
	[HCV_CK_F_BACK] = "back",
	[HCV_CK_F_STALE] = "stale",
	[HCV_CK_F_LATE] = "late",
	[HCV_CK_F_FENCED] = "fenced",
	[HCV_CK_F_REPLICA] = "replica",
};

const char *hcv_ck_fault_name(enum hcv_ck_fault fault)
{
	return hcv_ck_names[fault];
}

void *hcv_ck_grow(void *array, u32 nr, u32 *cap, size_t size)
{
	if (nr < *cap)
		return array;
	*cap = *cap ? *cap * 2 : 4;
	array = realloc(array, *cap * size);
	if (!array) {
		perror("checker");
		exit(1);
	}
	return array;
}

struct hcv_ck *hcv_ck_new(u32 nr_blocks)
{
	struct hcv_ck *ck = calloc(1, sizeof(*ck));

	if (ck)
		ck->blocks = calloc(nr_blocks, sizeof(*ck->blocks));
	if (!ck || !ck->blocks) {
		perror("checker");
		exit(1);
	}
	ck->nr_blocks = nr_blocks;
	ck->ended = true;
	for (u32 b = 0; b < nr_blocks; b++)
		hcv_ck_may_be(&ck->blocks[b], 0);
	return ck;
}

void hcv_ck_free(struct hcv_ck *ck)
{
	u32 i;

	for (i = 0; i < ck->nr_blocks; i++) {
		free(ck->blocks[i].vals);
		free(ck->blocks[i].may);
	}
	for (i = 0; i < ck->nr_streams; i++)
		free(ck->streams[i].writes);
	for (i = 0; i < HCV_CK_TEXTS && i < ck->nr_texts; i++)
		free(ck->texts[i]);
	free(ck->texts);
	free(ck->blocks);
	free(ck->streams);
	free(ck);
}

/* --- faults */

__printf(3, 0)
static void hcv_ck_vfault(struct hcv_ck *ck, enum hcv_ck_fault fault,
			  const char *fmt, va_list ap)
{
	char text[512];
	int len;

	ck->count[fault]++;
	if (ck->nr_texts >= HCV_CK_TEXTS)
		return;
	len = snprintf(text, sizeof(text), "%s: session %u: ",
		       hcv_ck_names[fault], ck->session);
	vsnprintf(text + len, sizeof(text) - len, fmt, ap);
	ck->texts = hcv_ck_grow(ck->texts, ck->nr_texts, &ck->cap_texts,
				sizeof(*ck->texts));
	ck->texts[ck->nr_texts++] = strdup(text);
}

void hcv_ck_fault(struct hcv_ck *ck, enum hcv_ck_fault fault, const char *fmt,
		  ...)
{
	va_list ap;

	va_start(ap, fmt);
	hcv_ck_vfault(ck, fault, fmt, ap);
	va_end(ap);
}

void hcv_ck_note_events(struct hcv_ck *ck, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	hcv_ck_vfault(ck, HCV_CK_F_EVENTS, fmt, ap);
	va_end(ap);
}

u64 hcv_ck_count(const struct hcv_ck *ck, enum hcv_ck_fault fault)
{
	return ck->count[fault];
}

u64 hcv_ck_faults(const struct hcv_ck *ck)
{
	u64 sum = 0;

	for (u32 i = 0; i < HCV_CK_FAULTS; i++)
		sum += ck->count[i];
	return sum;
}

const char *hcv_ck_text(const struct hcv_ck *ck, u32 i)
{
	return i < ck->nr_texts ? ck->texts[i] : NULL;
}

u32 hcv_ck_unread(const struct hcv_ck *ck)
{
	u32 b, nr = 0;

	for (b = 0; b < ck->nr_blocks; b++)
		nr += ck->blocks[b].read_in != ck->session;
	return nr;
}

u32 hcv_ck_choices(const struct hcv_ck *ck, u32 block)
{
	return ck->blocks[block].nr_may;
}

struct hcv_ck_words hcv_ck_words(u64 id)
{
	struct hcv_ck_words w;

	if (!id)
		snprintf(w.text, sizeof(w.text), "zeroes");
	else
		snprintf(w.text, sizeof(w.text), "%u.%u.%llu",
			 hcv_ck_id_session(id), hcv_ck_id_writer(id),
			 hcv_ck_id_seq(id));
	return w;
}

/* --- who has written what */

static struct hcv_ck_stream *hcv_ck_stream(struct hcv_ck *ck, u32 session,
					   u32 writer)
{
	u32 i;

	for (i = ck->nr_streams; i--;)
		if (ck->streams[i].session == session &&
		    ck->streams[i].writer == writer)
			return &ck->streams[i];
	return NULL;
}

void hcv_ck_writer(struct hcv_ck *ck, u32 writer)
{
	struct hcv_ck_stream *st;

	if (hcv_ck_stream(ck, ck->session, writer))
		return;
	ck->streams = hcv_ck_grow(ck->streams, ck->nr_streams,
				  &ck->cap_streams, sizeof(*ck->streams));
	st = &ck->streams[ck->nr_streams++];
	*st = (struct hcv_ck_stream){
		.session = ck->session, .writer = writer,
	};
}

void hcv_ck_over(struct hcv_ck *ck, u32 writer, bool complete)
{
	struct hcv_ck_stream *st = hcv_ck_stream(ck, ck->session, writer);

	if (!st) {
		hcv_ck_note_events(ck, "end of an unknown writer %u", writer);
		return;
	}
	if (complete && st->pending)
		hcv_ck_note_events(ck, "writer %u has not ended its last write",
				   writer);
	st->over = true;
	st->tail = !complete;
}

/*
 * Whether this is a write of the block that is known or may belong to the
 * missing tail of its writer's events; *known tells these apart.
 */
static bool hcv_ck_written_there(struct hcv_ck *ck, u64 id, u32 block,
				 bool *known)
{
	struct hcv_ck_stream *st = hcv_ck_stream(ck, hcv_ck_id_session(id),
						 hcv_ck_id_writer(id));
	u64 seq = hcv_ck_id_seq(id);
	const struct hcv_ck_range *w;

	*known = true;
	if (!id)
		return true;
	if (!st || !seq)
		return false;
	if (seq > st->nr) {
		*known = false;
		return st->over && st->tail;
	}
	w = &st->writes[seq - 1];
	return block - w->block < w->count;
}

/* --- sessions */

void hcv_ck_session(struct hcv_ck *ck, u32 session)
{
	struct hcv_ck_value *base;
	u32 b;

	if (!ck->ended || session <= ck->session ||
	    session >= HCV_CK_SESSIONS)
		hcv_ck_note_events(ck, "session %u follows %u", session,
				   ck->session);
	ck->session = session;
	ck->ended = false;
	ck->superseded = 0;
	ck->flushed = 0;
	ck->started = ++ck->now;
	for (b = 0; b < ck->nr_blocks; b++) {
		ck->blocks[b].nr_vals = 0;
		base = hcv_ck_add(&ck->blocks[b], 0);
		base->first_end = ck->now;
		base->last_begin = ck->now;
		base->write_end = ck->now;
		base->acked = true;
	}
}

void hcv_ck_at(struct hcv_ck *ck, u64 event)
{
	if (event > ck->now)
		ck->now = event - 1;
}

void hcv_ck_superseded(struct hcv_ck *ck)
{
	ck->now++;
	if (!ck->superseded)
		ck->superseded = ck->now;
}

static void hcv_ck_check_fenced(struct hcv_ck *ck, u64 begin, const char *what)
{
	if (ck->superseded && begin > ck->superseded)
		hcv_ck_fault(ck, HCV_CK_F_FENCED,
			     "a %s of event %llu succeeded, another owner has served since event %llu",
			     what, begin, ck->superseded);
}

/* Return: false if the events make no sense */
static bool hcv_ck_check_range(struct hcv_ck *ck, u32 block, u32 count)
{
	if (ck->ended || !count || block >= ck->nr_blocks ||
	    count > ck->nr_blocks - block) {
		hcv_ck_note_events(ck, "an I/O of %u blocks at %u", count,
				   block);
		return false;
	}
	return true;
}

/* --- writes and flushes */

void hcv_ck_write(struct hcv_ck *ck, u32 writer, u64 seq, u32 block, u32 count,
		  bool fua)
{
	struct hcv_ck_stream *st;
	struct hcv_ck_value *val;
	u32 b;

	ck->now++;
	hcv_ck_writer(ck, writer);
	st = hcv_ck_stream(ck, ck->session, writer);
	if (st->pending || st->over || seq != st->nr + 1) {
		hcv_ck_note_events(ck, "write %llu of writer %u follows %u",
				   seq, writer, st->nr);
		return;
	}
	if (!hcv_ck_check_range(ck, block, count))
		return;
	st->writes = hcv_ck_grow(st->writes, st->nr, &st->cap,
				 sizeof(*st->writes));
	st->writes[st->nr++] = (struct hcv_ck_range){ block, count };
	st->pending = true;
	for (b = block; b < block + count; b++) {
		val = hcv_ck_add(&ck->blocks[b],
				 hcv_ck_id(ck->session, writer, seq));
		val->write_begin = ck->now;
		val->last_begin = ck->now;
		val->fua = fua;
	}
}

void hcv_ck_written(struct hcv_ck *ck, u32 writer, u64 seq, int err)
{
	struct hcv_ck_stream *st = hcv_ck_stream(ck, ck->session, writer);
	const struct hcv_ck_range *w;
	struct hcv_ck_value *val;
	u32 b;

	ck->now++;
	if (!st || !st->pending || seq != st->nr) {
		hcv_ck_note_events(ck, "end of write %llu of writer %u", seq,
				   writer);
		return;
	}
	st->pending = false;
	w = &st->writes[seq - 1];
	for (b = w->block; b < w->block + w->count; b++) {
		val = hcv_ck_find(&ck->blocks[b],
				  hcv_ck_id(ck->session, writer, seq));
		val->write_end = ck->now;
		val->acked = !err;
		if (!err && val->first_end > ck->now)
			val->first_end = ck->now;
		if (!err && b == w->block)
			hcv_ck_check_fenced(ck, val->write_begin, "write");
	}
}

u64 hcv_ck_begin(struct hcv_ck *ck)
{
	return ++ck->now;
}

void hcv_ck_flushed(struct hcv_ck *ck, u64 begin, int err)
{
	ck->now++;
	if (err)
		return;
	hcv_ck_check_fenced(ck, begin, "flush");
	if (begin > ck->flushed)
		ck->flushed = begin;
}

/* --- reads */

/* Return: false, and the fault is noted, if it is no block of ours */
static bool hcv_ck_check_stamp(struct hcv_ck *ck, u32 block,
			       const struct hcv_ck_stamp *stamp)
{
	struct hcv_ck_words id = hcv_ck_words(stamp->id);

	switch (stamp->seen) {
	case HCV_CK_WHOLE:
		return true;
	case HCV_CK_TORN:
		hcv_ck_fault(ck, HCV_CK_F_TORN,
			     "block %u, event %llu: sectors of %s and of %s",
			     block, ck->now, id.text,
			     hcv_ck_words(stamp->other).text);
		return false;
	case HCV_CK_MISPLACED:
		hcv_ck_fault(ck, HCV_CK_F_FOREIGN,
			     "block %u, event %llu: has %s, written to address %llu",
			     block, ck->now, id.text, stamp->other);
		return false;
	case HCV_CK_OTHER_RUN:
		hcv_ck_fault(ck, HCV_CK_F_FOREIGN,
			     "block %u, event %llu: has %s of run %llx",
			     block, ck->now, id.text, stamp->other);
		return false;
	case HCV_CK_GARBAGE:
		break;
	}
	hcv_ck_fault(ck, HCV_CK_F_TORN,
		     "block %u, event %llu: sector %llu is nobody's", block,
		     ck->now, stamp->other);
	return false;
}

static bool hcv_ck_allowed(const struct hcv_ck_block *blk, u64 id, bool known)
{
	u32 session = hcv_ck_id_session(id);
	u64 tail = hcv_ck_id(session, HCV_CK_WRITERS - 1, HCV_CK_SEQ_MAX);
	u32 i;

	for (i = 0; i < blk->nr_may; i++)
		if (blk->may[i] == id || (!known && blk->may[i] == tail))
			return true;
	return false;
}

/* The value that the block had at the start of the session. */
static struct hcv_ck_value *hcv_ck_read_base(struct hcv_ck *ck, u32 block,
					     u64 id, bool known)
{
	struct hcv_ck_block *blk = &ck->blocks[block];
	struct hcv_ck_value *base = &blk->vals[0];

	if (hcv_ck_allowed(blk, id, known))
		;
	else if (blk->floor_read)
		hcv_ck_fault(ck, HCV_CK_F_BACK,
			     "block %u, event %llu: %s, but %s was read after an earlier failure",
			     block, ck->now, hcv_ck_words(id).text,
			     hcv_ck_words(blk->floor).text);
	else
		hcv_ck_fault(ck, HCV_CK_F_LOST,
			     "block %u, event %llu: %s, but %s is durable",
			     block, ck->now, hcv_ck_words(id).text,
			     hcv_ck_words(blk->floor).text);
	if (!blk->settled) {
		blk->settled = true;
		blk->floor = id;
		blk->floor_read = true;
		blk->nr_may = 0;
		hcv_ck_may_be(blk, id);
	}
	return base;
}

static void hcv_ck_read_one(struct hcv_ck *ck, u64 begin, u32 block,
			    const struct hcv_ck_stamp *stamp)
{
	struct hcv_ck_block *blk = &ck->blocks[block];
	struct hcv_ck_value *val;
	bool known;

	blk->read_in = ck->session;
	if (!hcv_ck_check_stamp(ck, block, stamp))
		return;
	if (!hcv_ck_written_there(ck, stamp->id, block, &known)) {
		hcv_ck_fault(ck, HCV_CK_F_FOREIGN,
			     "block %u, event %llu: %s, which was not written there",
			     block, ck->now, hcv_ck_words(stamp->id).text);
		return;
	}
	if (hcv_ck_id_session(stamp->id) != ck->session || !stamp->id) {
		val = hcv_ck_read_base(ck, block, stamp->id, known);
	} else {
		val = hcv_ck_find(blk, stamp->id);
		if (!val) {
			/* Begun before it was seen, no more is known. */
			val = hcv_ck_add(blk, stamp->id);
			val->write_begin = ck->started;
			val->last_begin = ck->started;
		}
	}
	val->read = true;
	if (val->first_end > ck->now)
		val->first_end = ck->now;
	if (val->last_begin < begin)
		val->last_begin = begin;
}

void hcv_ck_read(struct hcv_ck *ck, u64 begin, u32 block, u32 count,
		 const struct hcv_ck_stamp *stamps)
{
	u32 i;

	ck->now++;
	if (!hcv_ck_check_range(ck, block, count))
		return;
	hcv_ck_check_fenced(ck, begin, "read");
	for (i = 0; i < count; i++)
		hcv_ck_read_one(ck, begin, block + i, &stamps[i]);
}

/* --- replicas */

void hcv_ck_replica(struct hcv_ck *ck, u32 replica, u32 block,
		    const struct hcv_ck_stamp *stamp)
{
	struct hcv_ck_block *blk = &ck->blocks[block];
	bool known;

	ck->now++;
	if (!ck->ended || block >= ck->nr_blocks) {
		hcv_ck_note_events(ck, "replica %u, block %u", replica, block);
		return;
	}
	if (!hcv_ck_check_stamp(ck, block, stamp))
		return;
	if (!hcv_ck_written_there(ck, stamp->id, block, &known))
		hcv_ck_fault(ck, HCV_CK_F_FOREIGN,
			     "replica %u, block %u: %s, which was not written there",
			     replica, block, hcv_ck_words(stamp->id).text);
	else if (!hcv_ck_allowed(blk, stamp->id, known))
		hcv_ck_fault(ck, HCV_CK_F_REPLICA,
			     "replica %u, block %u: %s instead of %s%s",
			     replica, block, hcv_ck_words(stamp->id).text,
			     hcv_ck_words(blk->may[0]).text,
			     blk->nr_may > 1 ? " or others" : "");
	/* The next one has to hold the same. */
	blk->nr_may = 0;
	hcv_ck_may_be(blk, stamp->id);
}
