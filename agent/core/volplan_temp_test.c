// SPDX-License-Identifier: GPL-2.0-only
/*
 * The steps of a temporary replica: a table, and an agent that carries them out
 * beside a module and a record, with everything dying at every step.
 */
#include <errno.h>
#include <kunit/test.h>

#include "record_temp_fix.h"
#include "volplan_temp.h"

/* ------------------------------------------------------------------ a table */

struct step {
	const char *name;
	const char *rec;
	enum hcv_temp_act say;
	char say_store;
	const char *say_why;
	char place;
	bool tomb;
	char store;		/* link */
	char base;
	uint64_t v;
	enum hcv_vpt_link link;
	bool dead;
	bool granted;
	bool path;
	bool stay;
	bool rows;
	bool filling;
	bool whole;
	enum hcv_vpt_act act;
	char on;
	uint64_t with_v;
	const char *words;
};

static struct step steps[] = {
	{ "nothing is wanted", "S1 e1 v6 Ai1 Bi1" },
	{ "not yet", "S1 e1 v6 Ai1 Bs5", .say_why = "a replica has left",
	  .words = "has left" },
	{ "begin", "S1 e1 v6 Ai1 Bs5", HCV_TEMP_BEGIN, 'B', .place = 'D',
	  .act = HCV_VPT_BEGIN, .on = 'D' },
	{ "no place", "S1 e1 v6 Ai1 Bs5", HCV_TEMP_BEGIN, 'B',
	  .words = "no room" },
	{ "a tombstone", "S1 e1 v6 Ai1 Bs5", HCV_TEMP_BEGIN, 'B', .place = 'D',
	  .tomb = true, .words = "to be freed" },
	{ "a link of before", "S1 e1 v6 Ai1 Bs5", HCV_TEMP_BEGIN, 'B',
	  .place = 'D', .store = 'D', .base = 'B', .v = 5,
	  .link = HCV_VPT_FAILING, .act = HCV_VPT_CONFIRM_OUT, .on = 'D',
	  .with_v = 6 },
	{ "a link of before that works", "S1 e1 v8 Ai1 Bi8", .store = 'D',
	  .base = 'B', .v = 5, .link = HCV_VPT_INSYNC,
	  .act = HCV_VPT_CONFIRM_OUT, .on = 'D', .with_v = 8 },
	{ "a link of before that is out", "S1 e1 v8 Ai1 Bi8", .store = 'D',
	  .base = 'B', .v = 5, .link = HCV_VPT_OUT, .act = HCV_VPT_LINK_DEL,
	  .on = 'D', .with_v = 8 },
	{ "of another life", "S1 e1 v9 Ai1 Bs8 Dt8B", .store = 'D',
	  .base = 'B', .v = 5, .link = HCV_VPT_JOINING,
	  .act = HCV_VPT_CONFIRM_OUT, .on = 'D', .with_v = 9 },
	{ "on another store", "S1 e1 v9 Ai1 Bs5 Dt5B", .store = 'E',
	  .base = 'B', .v = 5, .link = HCV_VPT_JOINING,
	  .act = HCV_VPT_CONFIRM_OUT, .on = 'E', .with_v = 9 },

	{ "no grant", "S1 e1 v9 Ai1 Bs5 Dt5B", .words = "grant" },
	{ "its store is dead", "S1 e1 v9 Ai1 Bs5 Dt5B", .dead = true,
	  .granted = true, .act = HCV_VPT_DROP, .on = 'D' },
	{ "no path", "S1 e1 v9 Ai1 Bs5 Dt5B", .granted = true,
	  .act = HCV_VPT_CONNECT, .on = 'D' },
	{ "to be tied", "S1 e1 v9 Ai1 Bs5 Dt5B", .granted = true, .path = true,
	  .act = HCV_VPT_LINK_ADD, .on = 'D', .with_v = 5 },
	{ "a mark and no link", "S1 e1 v9 Ai1 Bs5 Dt5B!", .granted = true,
	  .path = true, .act = HCV_VPT_DROP, .on = 'D' },
	{ "needed no more, before the tie", "S1 e1 v9 Ai1 Bs5 Dt5B",
	  HCV_TEMP_DROP, 'D', .granted = true, .path = true,
	  .act = HCV_VPT_DROP, .on = 'D' },

	{ "is filled", "S1 e1 v9 Ai1 Bs5 Dt5B", .store = 'D', .base = 'B',
	  .v = 5, .link = HCV_VPT_SYNCING, .words = "filled" },
	{ "its node dies: the link tells", "S1 e1 v9 Ai1 Bs5 Dt5B",
	  .store = 'D', .base = 'B', .v = 5, .link = HCV_VPT_SYNCING,
	  .dead = true, .words = "filled" },
	{ "has all", "S1 e1 v9 Ai1 By5 Dt5B", .store = 'D', .base = 'B',
	  .v = 5, .link = HCV_VPT_JOINING, .act = HCV_VPT_COVERS, .on = 'D',
	  .with_v = 5 },
	{ "has the mark", "S1 e1 v9 Ai1 Bs5 Dt5B!", .store = 'D', .base = 'B',
	  .v = 5, .link = HCV_VPT_JOINING, .act = HCV_VPT_CONFIRM_IN,
	  .on = 'D', .with_v = 9 },
	{ "all is as it should be", "S1 e1 v9 Ai1 Bs5 Dt5B!", .store = 'D',
	  .base = 'B', .v = 5, .link = HCV_VPT_INSYNC },
	{ "failed", "S1 e1 v9 Ai1 Bs5 Dt5B!", .store = 'D', .base = 'B',
	  .v = 5, .link = HCV_VPT_FAILING, .act = HCV_VPT_DROP, .on = 'D' },
	{ "failed before it had the mark", "S1 e1 v9 Ai1 Bs5 Dt5B",
	  .store = 'D', .base = 'B', .v = 5, .link = HCV_VPT_FAILING,
	  .act = HCV_VPT_DROP, .on = 'D' },
	{ "out, and the record has it", "S1 e1 v9 Ai1 Bs5 Dt5B!", .store = 'D',
	  .base = 'B', .v = 5, .link = HCV_VPT_OUT, .act = HCV_VPT_DROP,
	  .on = 'D' },
	{ "a mark, and is being filled", "S1 e1 v9 Ai1 Bs5 Dt5B!",
	  .store = 'D', .base = 'B', .v = 5, .link = HCV_VPT_SYNCING,
	  .act = HCV_VPT_DROP, .on = 'D' },
	{ "no mark, and knows of one", "S1 e1 v9 Ai1 Bs5 Dt5B",
	  .store = 'D', .base = 'B', .v = 5, .link = HCV_VPT_INSYNC,
	  .act = HCV_VPT_DROP, .on = 'D' },
	{ "needed no more", "S1 e1 v9 Ai1 Bs5 Dt5B!", HCV_TEMP_DROP, 'D',
	  .store = 'D', .base = 'B', .v = 5, .link = HCV_VPT_INSYNC,
	  .act = HCV_VPT_DROP, .on = 'D' },
	{ "to stay", "S1 e1 v9 Ai1 Bs5 Dt5B!", .store = 'D', .base = 'B',
	  .v = 5, .link = HCV_VPT_INSYNC, .stay = true, .act = HCV_VPT_NAME,
	  .on = 'D' },
	{ "to stay, without the mark", "S1 e1 v9 Ai1 Bs5 Dt5B", .store = 'D',
	  .base = 'B', .v = 5, .link = HCV_VPT_SYNCING, .stay = true,
	  .words = "filled" },
	{ "to stay, named", "S1 e1 v9 Ai1 Bs5 Dt5B!+", .store = 'D',
	  .base = 'B', .v = 5, .link = HCV_VPT_INSYNC, .stay = true,
	  .act = HCV_VPT_FILL, .on = 'D' },
	{ "to stay, is filled", "S1 e1 v9 Ai1 Bs5 Dt5B!+", .store = 'D',
	  .base = 'B', .v = 5, .link = HCV_VPT_INSYNC, .stay = true,
	  .filling = true, .rows = true, .words = "the place" },
	{ "to stay, rows are missing", "S1 e1 v9 Ai1 Bs5 Dt5B!+", .store = 'D',
	  .base = 'B', .v = 5, .link = HCV_VPT_INSYNC, .stay = true,
	  .whole = true, .words = "the place" },
	{ "stays", "S1 e1 v9 Ai1 Bs5 Dt5B!+", .store = 'D', .base = 'B',
	  .v = 5, .link = HCV_VPT_INSYNC, .stay = true, .whole = true,
	  .rows = true, .act = HCV_VPT_STAY, .on = 'D' },
	{ "is not to stay any more", "S1 e1 v9 Ai1 Bs5 Dt5B!+", .store = 'D',
	  .base = 'B', .v = 5, .link = HCV_VPT_INSYNC, .whole = true,
	  .rows = true },
	{ "fails meanwhile", "S1 e1 v9 Ai1 Bs5 Dt5B!+", .store = 'D',
	  .base = 'B', .v = 5, .link = HCV_VPT_FAILING, .stay = true,
	  .whole = true, .rows = true, .act = HCV_VPT_DROP, .on = 'D' },
	{ "has stayed", "S1 e1 v9 Ai1 Bs5 Di9", .store = 'D', .base = 'B',
	  .v = 5, .link = HCV_VPT_INSYNC, .whole = true,
	  .act = HCV_VPT_CONFIRM_STAY, .on = 'D', .with_v = 9 },
	{ "has stayed, and fails", "S1 e1 v9 Ai1 Bs5 Di9", .store = 'D',
	  .base = 'B', .v = 5, .link = HCV_VPT_FAILING, .whole = true },
	{ "has stayed, and left", "S1 e1 v10 Ai1 Bs5 Ds9", .store = 'D',
	  .base = 'B', .v = 5, .link = HCV_VPT_FAILING, .whole = true,
	  .act = HCV_VPT_CONFIRM_OUT, .on = 'D', .with_v = 10 },
	{ "a pair is left alone", "S1 e1 v9 As8 By5 Dt5B=", HCV_TEMP_DROP, 'D',
	  .store = 'D', .base = 'B', .v = 5, .link = HCV_VPT_LOST },
};

static void step_desc(struct step *s, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", s->name);
}

KUNIT_ARRAY_PARAM(step, steps, step_desc);

static void test_step(struct kunit *test)
{
	const struct step *s = test->param_value;
	struct hcv_record r = parse(s->rec);
	struct hcv_temp_say say = { .act = s->say };
	struct hcv_vpt_in in = {
		.rec = &r, .say = &say, .place = s->place ? id(s->place) : "",
		.no_place = "no room", .place_tomb = s->tomb,
		.store = s->store ? id(s->store) : "",
		.base = s->base ? id(s->base) : "", .v = s->v,
		.link = s->link, .live = !s->dead, .granted = s->granted,
		.path = s->path, .stay = s->stay, .rows = s->rows,
		.filling = s->filling, .whole = s->whole,
	};
	struct hcv_vpt_out out;
	char err[HCV_ERR_SIZE];

	KUNIT_ASSERT_EQ_MSG(test, hcv_record_check(&r, err), 0, "%s", err);
	if (s->say_store)
		strcpy(say.store, id(s->say_store));
	if (s->say_why)
		strcpy(say.why, s->say_why);
	hcv_vp_temp(&in, &out);
	KUNIT_EXPECT_EQ_MSG(test, out.act, s->act, "%s", out.why);
	KUNIT_EXPECT_STREQ(test, out.store, s->on ? id(s->on) : "");
	KUNIT_EXPECT_EQ(test, out.v, s->with_v);
	KUNIT_EXPECT_EQ_MSG(test, !*out.why, !s->words, "%s", out.why);
	if (s->words)
		KUNIT_EXPECT_TRUE_MSG(test, strstr(out.why, s->words), "%s",
				      out.why);
	/* What it says about the record can be done. */
	if (out.act == HCV_VPT_NAME)
		KUNIT_EXPECT_EQ_MSG(test, hcv_record_temp_name(&r, out.store,
							       err), 0, "%s",
				    err);
	if (out.act == HCV_VPT_COVERS)
		KUNIT_EXPECT_EQ_MSG(test,
				    hcv_record_temp_covers(&r, out.store,
							   out.base, out.v,
							   err), 0, "%s", err);
	if (out.act == HCV_VPT_DROP)
		KUNIT_EXPECT_EQ_MSG(test, hcv_record_temp_out(&r, out.store,
							      err), 0, "%s",
				    err);
}

/* -------------------------------------------------------------- a simulation */

/*
 * A has all, B is lost, D and E may take a temporary replica.  The record, the
 * module and the stores' side go on by themselves; the agent does one step at a
 * time, from a view of the module that may be of some time ago.  It is killed
 * anywhere: a change of the record that it sent may land later, if nobody changed
 * the record meanwhile (a command to the module runs in who sends it, and does
 * not).  The module acknowledges writes unless some link is failing; a write that
 * it acknowledges without needing the temporary link makes the mark a lie.
 */
struct sim {
	struct kunit *test;
	uint64_t seed;
	struct hcv_record r;
	struct hcv_row row[16];
	struct hcv_rows rows;
	bool tomb[2];		/* on D, E */
	bool has[2];		/* something of the volume */
	bool live[2];
	bool path[2];
	char link_store;	/* 0: none */
	char link_base;
	uint64_t link_v;
	enum hcv_vpt_link link;
	bool filling;
	bool whole;
	char full;		/* link of one that stayed, 0: none */
	bool stay;		/* what a job wants */
	uint64_t mod_v;
	int64_t now;
	/* on its way to the record, of an agent that was killed */
	struct hcv_vpt_out late;
	uint64_t late_v;
	unsigned int marks, drops, confirmed, landed, stayed;
};

static unsigned int rnd(struct sim *s, unsigned int below)
{
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 7;
	s->seed ^= s->seed << 17;
	return (unsigned int)((s->seed >> 16) % below);
}

/* Whether acknowledgments need the temporary link. */
static bool sim_counts(const struct sim *s)
{
	return s->link == HCV_VPT_JOINING || s->link == HCV_VPT_INSYNC ||
	       s->link == HCV_VPT_FAILING;
}

/* The mark is in the record: acknowledgments need the link. */
static void sim_check(struct sim *s)
{
	const struct hcv_rec_store *t = hcv_record_temp(&s->r);
	char err[HCV_ERR_SIZE], c;

	KUNIT_EXPECT_EQ_MSG(s->test, hcv_record_check(&s->r, err), 0, "%s",
			    err);
	for (c = 'D'; c <= 'E'; c++)
		if (hcv_record_insync(&s->r, id(c)))
			KUNIT_EXPECT_TRUE(s->test, s->full == c ||
					  (s->link_store == c && s->whole &&
					   sim_counts(s)));
	if (!t || !t->covers)
		return;
	KUNIT_EXPECT_EQ(s->test, s->link_store, letter(t->store));
	KUNIT_EXPECT_EQ(s->test, s->link_v, t->v);
	KUNIT_EXPECT_TRUE_MSG(s->test, sim_counts(s), "%d", s->link);
	KUNIT_EXPECT_TRUE(s->test, s->has[letter(t->store) - 'D']);
}

static void sim_tomb(struct sim *s, const struct hcv_record *old)
{
	const struct hcv_rec_store *t = hcv_record_temp(old);

	/* One that rows name is kept. */
	if (t && !hcv_record_find(&s->r, t->store))
		s->tomb[letter(t->store) - 'D'] = true;
}

static void sim_record(struct sim *s, const struct hcv_vpt_out *o)
{
	struct hcv_temp_want want = {
		.store = o->store, .base = o->base,
	};
	struct hcv_record old = s->r;
	char err[HCV_ERR_SIZE];

	switch (o->act) {
	case HCV_VPT_BEGIN:
		/* Compared in the same transaction. */
		want.cleared = !s->tomb[letter(o->store) - 'D'];
		want.failing = s->link == HCV_VPT_FAILING;
		if (!hcv_record_temp_begin(&s->r, &want, &s->rows, err))
			KUNIT_EXPECT_FALSE(s->test,
					   s->has[letter(o->store) - 'D']);
		break;
	case HCV_VPT_COVERS:
		s->marks += !hcv_record_temp_covers(&s->r, o->store, o->base,
						    o->v, err);
		break;
	case HCV_VPT_DROP:
		if (!hcv_record_temp_out(&s->r, o->store, err))
			s->drops++;
		break;
	case HCV_VPT_NAME:
		hcv_record_temp_name(&s->r, o->store, err);
		break;
	case HCV_VPT_STAY:
		s->stayed += !hcv_record_temp_stay(&s->r, o->store, &s->rows,
						   err);
		break;
	default:
		return;
	}
	sim_tomb(s, &old);
}

static bool sim_names(const struct hcv_row *row, const char *store)
{
	size_t i;

	for (i = 0; i < row->nr; i++)
		if (!strcmp(row->store[i], store))
			return true;
	return false;
}

static void sim_module(struct sim *s, const struct hcv_vpt_out *o)
{
	int place = *o->store ? letter(o->store) - 'D' : 0;

	switch (o->act) {
	case HCV_VPT_CONNECT:
		s->path[place] = s->live[place];
		break;
	case HCV_VPT_LINK_ADD:
		if (s->link_store || !s->path[place])
			break;
		s->link_store = letter(o->store);
		s->link_base = letter(o->base);
		s->link_v = o->v;
		s->link = HCV_VPT_SYNCING;
		s->filling = false;
		s->whole = false;
		break;
	case HCV_VPT_FILL:
		s->filling |= s->link == HCV_VPT_INSYNC && !s->whole;
		break;
	case HCV_VPT_CONFIRM_STAY:
		if ((s->link != HCV_VPT_JOINING && s->link != HCV_VPT_INSYNC) ||
		    o->v < s->mod_v)
			break;
		s->full = s->link_store;
		s->link = HCV_VPT_NONE;
		s->link_store = 0;
		s->mod_v = o->v;
		break;
	case HCV_VPT_CONFIRM_IN:
		if (s->link == HCV_VPT_JOINING && o->v > s->mod_v) {
			s->link = HCV_VPT_INSYNC;
			s->mod_v = o->v;
			s->confirmed++;
		}
		break;
	case HCV_VPT_CONFIRM_OUT:
		if (s->link_store == letter(o->store) && o->v >= s->mod_v) {
			s->link = HCV_VPT_OUT;
			s->mod_v = o->v;
		}
		break;
	case HCV_VPT_LINK_DEL:
		if (s->link == HCV_VPT_OUT) {
			s->link = HCV_VPT_NONE;
			s->link_store = 0;
		}
		break;
	default:
		break;
	}
}

/* One more row names it. */
static void sim_row(struct sim *s, const struct hcv_rec_store *t)
{
	size_t i;

	for (i = 0; i < s->rows.nr; i++) {
		struct hcv_row *row = &s->row[i];

		if (sim_names(row, t->store) || row->nr == HCV_ROW_STORES)
			continue;
		row->full |= (uint8_t)(1U << row->nr);
		strcpy(row->store[row->nr++], t->store);
		return;
	}
}

/* What goes on without the agent of the temporary replica. */
static void sim_others(struct sim *s)
{
	struct hcv_record old = s->r;
	const struct hcv_rec_store *t = hcv_record_temp(&s->r);
	unsigned int i = rnd(s, 2);
	char err[HCV_ERR_SIZE];

	switch (rnd(s, 20)) {
	case 0:			/* the store's node frees what is left */
	case 1:
	case 2:
		if (s->tomb[i] && s->live[i] &&
		    (!t || letter(t->store) != (char)('D' + i))) {
			s->has[i] = false;
			s->tomb[i] = false;
		}
		break;
	case 3:			/* and makes room for what is to be */
	case 4:
	case 5:
		if (t && s->live[letter(t->store) - 'D'])
			s->has[letter(t->store) - 'D'] = true;
		break;
	case 6:
	case 7:
	case 8:
		if (s->link == HCV_VPT_SYNCING)
			s->link = HCV_VPT_JOINING;
		break;
	case 9:			/* a store goes, another comes */
		s->live[i] = !s->live[i];
		if (!s->live[i]) {
			s->path[i] = false;
			if (s->link_store == (char)('D' + i) &&
			    s->link != HCV_VPT_OUT)
				s->link = HCV_VPT_FAILING;
		}
		break;
	case 10:		/* a write fails */
		if (s->link == HCV_VPT_SYNCING ||
		    s->link == HCV_VPT_JOINING || s->link == HCV_VPT_INSYNC)
			s->link = rnd(s, 4) ? s->link : HCV_VPT_FAILING;
		break;
	case 11:
		if (!rnd(s, 3))
			hcv_record_begin_sync(&s->r, id('B'), err);
		break;
	case 12:		/* the base is in-sync: the module needs no other */
		if (rnd(s, 3) || hcv_record_join(&s->r, id('B'), err))
			break;
		s->mod_v = s->r.v;
		break;
	case 13:
		if (!rnd(s, 3))
			hcv_record_remove(&s->r, id('B'), NULL, &s->rows, err);
		break;
	case 14:		/* a job, and its rows */
		s->stay = rnd(s, 4);
		break;
	case 15:
		if (t && t->named)
			sim_row(s, t);
		break;
	case 16:
		if (s->filling) {
			s->filling = false;
			s->whole = true;
		}
		break;
	case 17:		/* one that stayed fails: as any other */
		if (s->link == HCV_VPT_FAILING)
			hcv_record_remove(&s->r, id(s->link_store), NULL,
					  &s->rows, err);
		break;
	default:
		/* A write: what a mark needs, it had. */
		break;
	}
	sim_tomb(s, &old);
}

/* Of an agent that is not there any more. */
static void sim_late(struct sim *s)
{
	if (s->late_v && s->late_v == s->r.v) {
		s->landed += s->late.act == HCV_VPT_BEGIN ||
			     s->late.act == HCV_VPT_COVERS ||
			     s->late.act == HCV_VPT_DROP;
		sim_record(s, &s->late);
	}
	s->late_v = 0;
}

/* One step of an agent, decided by a view of the module, then the record. */
static void sim_agent(struct sim *s, bool calm)
{
	static const int64_t out_ms[HCV_REC_STORES] = { 0 };
	struct sim seen = *s;
	unsigned int i = calm ? 0 : rnd(s, 3);
	const struct hcv_rec_store *t;
	struct hcv_record read;
	struct hcv_temp_say say;
	struct hcv_temp_now now;
	struct hcv_vpt_out out;
	struct hcv_vpt_in in;
	int place, mine;

	/* What happens between the two; not the agent's own doing. */
	while (i--)
		sim_others(s);
	read = s->r;
	t = hcv_record_temp(&read);
	mine = t ? letter(t->store) - 'D' : 0;
	place = s->live[0] && (!s->live[1] || rnd(s, 2)) ? 0 : 1;
	if (hcv_record_find(&read, id((char)('D' + place))))
		place = !place;
	now = (struct hcv_temp_now){
		.now_ms = s->now, .rec = &read, .rows = &s->rows,
		.out_ms = out_ms, .able = true,
		.failing = seen.link == HCV_VPT_FAILING,
	};
	in = (struct hcv_vpt_in){
		.rec = &read, .say = &say, .no_place = "none",
		.place = s->live[place] ? id((char)('D' + place)) : "",
		.place_tomb = s->tomb[place],
		.store = seen.link_store ? id(seen.link_store) : "",
		.base = seen.link_store ? id(seen.link_base) : "",
		.v = seen.link_v, .link = seen.link, .live = s->live[mine],
		.granted = s->has[mine], .path = s->path[mine],
		.stay = s->stay, .filling = seen.filling, .whole = seen.whole,
		.rows = t && sim_names(&s->row[0], t->store) &&
			sim_names(&s->row[1], t->store),
	};
	hcv_temp_policy(&now, &say);
	hcv_vp_temp(&in, &out);
	if (calm || rnd(s, 10)) {
		sim_record(s, &out);
		sim_module(s, &out);
		return;
	}
	/* Killed, before or after it was sent. */
	if (s->late_v || rnd(s, 3))
		return;
	s->late = out;
	s->late_v = read.v;
}

/* There is what there is to be, and the module has heard of it. */
static void sim_end(struct sim *s)
{
	const struct hcv_rec_store *t = hcv_record_temp(&s->r);

	if (hcv_record_nr_insync(&s->r) > 1) {
		KUNIT_EXPECT_EQ(s->test, s->link, HCV_VPT_NONE);
		KUNIT_EXPECT_NULL(s->test, t);
	} else if (hcv_record_find(&s->r, id('B'))->state == HCV_RS_STALE &&
		   t) {
		KUNIT_EXPECT_EQ(s->test, s->link, HCV_VPT_INSYNC);
	}
}

static void test_sim(struct kunit *test)
{
	unsigned int i, k, idle, marks = 0, drops = 0, confirmed = 0;
	struct sim *s = kunit_kzalloc(test, sizeof(*s), 0);
	unsigned int landed = 0, stayed = 0;
	char err[HCV_ERR_SIZE];
	uint64_t seed = 1;

	for (i = 0; i < 2000 && !test->failed; i++) {
		memset(s, 0, sizeof(*s));
		s->test = test;
		s->seed = seed;
		s->r = parse("S1 e1 v9 Ai1 Bs5");
		rows_of("AB,AB", s->row, &s->rows);
		s->live[0] = true;
		s->live[1] = true;
		s->now = 100000;
		for (k = 0; k < 300 && !test->failed; k++) {
			if (!rnd(s, 8))
				sim_late(s);
			else if (rnd(s, 2))
				sim_agent(s, false);
			else
				sim_others(s);
			sim_check(s);
		}
		/* When nothing happens any more it comes to an end. */
		sim_late(s);
		s->live[0] = true;
		s->live[1] = true;
		for (idle = 0; idle < 400 && !test->failed; idle++) {
			const struct hcv_rec_store *t;

			sim_agent(s, true);
			t = hcv_record_temp(&s->r);
			for (k = 0; k < 2; k++)
				if (s->tomb[k] && (!t || letter(t->store) !=
						   (char)('D' + k))) {
					s->tomb[k] = false;
					s->has[k] = false;
				}
			if (t)
				s->has[letter(t->store) - 'D'] = true;
			if (s->link == HCV_VPT_SYNCING)
				s->link = HCV_VPT_JOINING;
			s->whole |= s->filling;
			s->filling = false;
			if (t && t->named)
				sim_row(s, t);
			if (s->link == HCV_VPT_FAILING)
				hcv_record_remove(&s->r, id(s->link_store),
						  NULL, &s->rows, err);
			sim_check(s);
		}
		sim_end(s);
		seed = s->seed;
		marks += s->marks;
		drops += s->drops;
		confirmed += s->confirmed;
		landed += s->landed;
		stayed += s->stayed;
	}
	kunit_info(test, "%u histories, %u marks, %u confirmed, %u dropped, %u stayed, %u steps landed late",
		   i, marks, confirmed, drops, stayed, landed);
	KUNIT_EXPECT_GT(test, marks, 1000);
	KUNIT_EXPECT_GT(test, drops, 1000);
	KUNIT_EXPECT_GT(test, stayed, 100);
	KUNIT_EXPECT_GT(test, landed, 100);
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(test_step, step_gen_params),
	KUNIT_CASE(test_sim),
	{}
};

static struct kunit_suite suite = {
	.name = "hcv_volplan_temp",
	.test_cases = cases,
};
kunit_test_suite(suite);
