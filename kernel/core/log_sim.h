/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * State and media of log_sim_test.c.  Included once.
 */
#ifndef HCV_CORE_LOG_SIM_H
#define HCV_CORE_LOG_SIM_H

#include <kunit/test.h>
#include <linux/slab.h>

#include "log.h"

#define HCV_T_STEPS	2000	/* of a history */
#define HCV_T_REPS	3U
#define HCV_T_MIBS	8U	/* one block each */
#define HCV_T_PGS	4U	/* metadata pages, two mibs each */
#define HCV_T_LOGP	2U	/* log pages */
#define HCV_T_PER	2U	/* entries of each: half of the volume */
#define HCV_T_OPS	4U
#define HCV_T_BIOS	64U
#define HCV_T_VOL	((const u8 *)"volume-abcdefghi")
#define HCV_T_LINEAGE	77ULL

/* What a medium caches: data, pages in two places, log pages in two places. */
#define HCV_T_PAGE_ITEM(pg, place)	(HCV_T_MIBS + 2 * (pg) + (place))
#define HCV_T_LOG_ITEM(pg, place)	\
	(HCV_T_MIBS + 2 * HCV_T_PGS + 2 * (pg) + (place))
#define HCV_T_ITEMS	HCV_T_LOG_ITEM(HCV_T_LOGP, 0)

/* A value names its mib and its operation; 0 is zeroes. */
#define HCV_T_VALUE(op, mib)	((op) * HCV_T_MIBS + (mib))

/* Rules that are left out, one at a time: each must be noticed. */
enum hcv_t_mut {
	HCV_T_NONE,
	HCV_T_DATA_FIRST,	/* data go before the entry is durable */
	HCV_T_NO_FUA,		/* a log write may stay in the cache */
	HCV_T_DROP_UNFLUSHED,	/* an entry goes though data are not flushed */
	HCV_T_DROP_EARLY,	/* and though only data are, not pages */
	HCV_T_DROP_IN_FLIGHT,	/* and though a write is under way */
	HCV_T_DROP_UNSURE,	/* and though some replicas took a write */
	HCV_T_DROP_VOID,	/* and after a void round */
	HCV_T_VOID_GOOD,	/* a log write one replica missed counts */
	HCV_T_ONE_PLACE,	/* log pages are written in place */
	HCV_T_NO_STAMP,		/* what the log names is not stamped */
	HCV_T_EMPTY_FIRST,	/* the log is emptied before stamps are durable */
	HCV_T_NEWEST_FIRST,	/* and its newest place first */
	HCV_T_JOIN_BARE,	/* a replica joins without the log */
	HCV_T_JOIN_CACHED,	/* or with one that its cache has */
	HCV_T_STALE_LOG,	/* the log of a stale copy is believed */
	HCV_T_MUTS,
};

/* A metadata page; seq 0: blank. */
struct hcv_t_img {
	bool bad;
	u64 epoch;
	u64 seq;
	bool present[2];
	u64 stamp[2];
};

/* [0]: the medium, [1]: with its cache. */
struct hcv_t_med {
	u32 data[2][HCV_T_MIBS];
	struct hcv_t_img page[2][HCV_T_PGS][2];
	u8 log[2][HCV_VOLLOG_SIZE] __aligned(8);
	bool cached[HCV_T_ITEMS];
};

enum hcv_t_kind {
	HCV_T_FREE,
	HCV_T_DATA,
	HCV_T_PAGE,
	HCV_T_LOG,
	HCV_T_FLUSH,
};

struct hcv_t_bio {
	enum hcv_t_kind kind;
	bool orphan;	/* nobody waits for it, it may land all the same */
	bool slow;
	u32 rep;
	u32 item;
	u32 op;
	u32 val;
	struct hcv_t_img img;
	u8 buf[HCV_BLOCK_SIZE] __aligned(8);
};

enum hcv_t_link {
	HCV_T_OUT,
	HCV_T_INSYNC,
	HCV_T_FAILING,
	HCV_T_LOST,
	HCV_T_SYNCING,
	HCV_T_JOINING,
};

enum hcv_t_opstage {
	HCV_T_IDLE,
	HCV_T_WAIT,	/* for an entry, or a replica */
	HCV_T_LEGS,
	HCV_T_HOLD,	/* for the right to be acknowledged */
};

/* A write or a discard; its mib is nobody else's until it ends. */
struct hcv_t_op {
	enum hcv_t_opstage stage;
	u32 mib;
	u32 nr;
	bool discard;
	bool sent;	/* some replica may have it */
	u32 legs;
	u32 pending;
	u32 strong;
	u32 ret;	/* gate when the links were looked at */
};

struct hcv_t_sync {
	u32 at;		/* mib that is looked at */
	u32 done;	/* pages that are equal */
	u32 round;	/* one that begins after this is to end well */
	u32 adopt;
	u32 newest;	/* places of log pages that are written last */
};

/* The metadata store. */
enum hcv_t_state {
	HCV_T_R_STALE,
	HCV_T_R_SYNCING,
	HCV_T_R_INSYNC,
};

enum hcv_t_life {
	HCV_T_DOWN,
	HCV_T_STAMPING,	/* a round makes stamps durable */
	HCV_T_EMPTYING,	/* then the log is emptied, place by place */
	HCV_T_EMPTIED,
	HCV_T_SERVING,
};

enum hcv_t_commit {
	HCV_T_C_IDLE,
	HCV_T_C_DATA,
	HCV_T_C_PAGES,
	HCV_T_C_LAST,
};

/* All that an owner's crash takes away; masks are of mibs or pages. */
struct hcv_t_owner {
	enum hcv_t_life life;
	bool adopted;		/* the log was found empty, and is gone on with */
	enum hcv_t_link link[HCV_T_REPS];
	u32 ret;		/* how often a lost one came back */
	u64 v;
	u64 epoch;
	u32 present;
	u64 stamp[HCV_T_MIBS];
	u32 cur, flushing, logged, want, dirty;
	struct hcv_pagepos pos[HCV_T_PGS];
	struct hcv_t_op op[HCV_T_OPS];
	struct hcv_t_sync sync[HCV_T_REPS];
	struct {
		bool active;
		bool fail;
		u32 pending;
		u32 ret;
		u32 batch;
		u32 pages;
		u64 seq[HCV_T_LOGP];
	} lg;
	struct {
		enum hcv_t_commit stage;
		bool fail;
		bool closed;
		bool wanted;
		u32 begun;
		u32 good;	/* number of the newest that ended well */
		u32 pending;
		u64 v;
		u32 pages;
		u64 seq[HCV_T_PGS];
		u8 place[HCV_T_PGS];
		struct hcv_t_img img[HCV_T_PGS];
		u32 snap[HCV_T_MIBS];
	} cm;
};

/* What may be read of a mib: now, and after whatever may happen. */
struct hcv_t_model {
	u32 val;
	u32 op;		/* that made it */
	u32 flushed;	/* newest op that must survive */
	u32 zero_op;	/* newest discard */
	u32 base;	/* what was found last, and an op's number for that */
	u32 base_op;
};

struct hcv_t_sim {
	struct kunit *test;
	enum hcv_t_mut mut;
	bool calm;	/* no more faults */
	u32 rnd;
	u32 ops;
	const char *why;	/* the first thing that was wrong */
	u64 epoch, v;
	u32 nr_reps;
	enum hcv_t_state rec[HCV_T_REPS];
	struct hcv_t_med med[HCV_T_REPS];
	struct hcv_t_model mib[HCV_T_MIBS];
	u32 differ[HCV_T_REPS];	/* mibs in which a copy may differ */
	u32 reserved;
	struct hcv_t_owner o;
	struct hcv_log *log;
	struct hcv_t_bio bio[HCV_T_BIOS];
	u64 crashes, cuts, takeovers, named, compared, copied, misses, writes;
	u64 evicted, full, voids, joins, lost, torn, adopted;
};

static inline u32 hcv_t_rnd(struct hcv_t_sim *s, u32 below)
{
	s->rnd ^= s->rnd << 13;
	s->rnd ^= s->rnd >> 17;
	s->rnd ^= s->rnd << 5;
	return s->rnd % below;
}

static inline void hcv_t_wrong(struct hcv_t_sim *s, const char *why)
{
	if (!s->why)
		s->why = why;
}

/* --- media ---------------------------------------------------------------- */

static inline u8 *hcv_t_log_at(struct hcv_t_med *m, u32 which, u32 item)
{
	u32 i = item - HCV_T_LOG_ITEM(0, 0);

	return m->log[which] + hcv_fmt_log_off(i / 2, i % 2) - HCV_VOLLOG_OFF;
}

/* One item from @from to @to, of these two. */
static inline void hcv_t_move(struct hcv_t_med *m, u32 item, u32 from, u32 to)
{
	u32 i = item - HCV_T_MIBS;

	if (item < HCV_T_MIBS)
		m->data[to][item] = m->data[from][item];
	else if (item < HCV_T_LOG_ITEM(0, 0))
		m->page[to][i / 2][i % 2] = m->page[from][i / 2][i % 2];
	else
		memcpy(hcv_t_log_at(m, to, item), hcv_t_log_at(m, from, item),
		       HCV_BLOCK_SIZE);
	m->cached[item] = false;
}

static inline void hcv_t_settle(struct hcv_t_med *m)
{
	u32 i;

	for (i = 0; i < HCV_T_ITEMS; i++)
		if (m->cached[i])
			hcv_t_move(m, i, 1, 0);
}

/* Half of it is written; blocks of data are whole or not at all. */
static inline void hcv_t_tear(struct hcv_t_sim *s, struct hcv_t_med *m,
			      u32 item)
{
	u32 i = item - HCV_T_MIBS;

	if (item < HCV_T_MIBS)
		return;
	s->torn++;
	if (item < HCV_T_LOG_ITEM(0, 0))
		m->page[0][i / 2][i % 2] = (struct hcv_t_img) {
			.bad = true, .seq = 1,
		};
	else
		/* All entries that there are lie in the first sector. */
		memset(hcv_t_log_at(m, 0, item) + hcv_t_rnd(s, 128), 0xa5, 64);
}

/* What is in the cache is lost, written, or torn. */
static inline void hcv_t_lose(struct hcv_t_sim *s, struct hcv_t_med *m)
{
	u32 i, what;

	for (i = 0; i < HCV_T_ITEMS; i++) {
		if (!m->cached[i])
			continue;
		what = hcv_t_rnd(s, 3);
		if (what == 1)
			hcv_t_tear(s, m, i);
		if (what == 2)
			hcv_t_move(m, i, 1, 0);
		hcv_t_move(m, i, 0, 1);
	}
	s->cuts++;
}

/* The newest valid place of a metadata page, as load.c finds it, or NULL. */
static inline const struct hcv_t_img *hcv_t_newest(struct hcv_t_sim *s,
						   struct hcv_t_med *m, u32 pg,
						   struct hcv_pagepos *pos,
						   bool *lost)
{
	const struct hcv_t_img *best = NULL, *p;
	u32 place, bad = 0;

	*pos = (struct hcv_pagepos) { };
	for (place = 0; place < 2; place++) {
		p = &m->page[1][pg][place];
		if (p->bad)
			bad |= BIT(place);
		if (p->bad || !p->seq ||
		    (best && !hcv_fmt_page_newer(p->epoch, p->seq, best->epoch,
						 best->seq)))
			continue;
		best = p;
		pos->seq = p->seq;
		pos->place = place;
		pos->kept = true;
	}
	/* As in load.c: a first write, torn, or all there was of the page. */
	*lost = !best && bad && (bad != BIT(0) || m->page[1][pg][1].seq);
	return best;
}

/* --- links and gate ------------------------------------------------------- */

static inline bool hcv_t_writable(enum hcv_t_link state)
{
	return state == HCV_T_INSYNC || state == HCV_T_JOINING ||
	       state == HCV_T_SYNCING;
}

static inline bool hcv_t_strong(enum hcv_t_link state)
{
	return state == HCV_T_INSYNC || state == HCV_T_JOINING;
}

static inline u32 hcv_t_links(struct hcv_t_sim *s, u32 states)
{
	u32 r, n = 0;

	for (r = 0; r < s->nr_reps; r++)
		n += states >> s->o.link[r] & 1;
	return n;
}

static inline bool hcv_t_closed(struct hcv_t_sim *s)
{
	return hcv_t_links(s, BIT(HCV_T_FAILING) | BIT(HCV_T_LOST));
}

static inline u32 hcv_t_in_set(struct hcv_t_sim *s)
{
	u32 r, mask = 0;

	for (r = 0; r < s->nr_reps; r++)
		mask |= (s->rec[r] == HCV_T_R_INSYNC) << r;
	return mask;
}

static inline u32 hcv_t_pick(struct hcv_t_sim *s, u32 mask)
{
	u32 i = hcv_t_rnd(s, hweight_long(mask));

	while (i--)
		mask &= mask - 1;
	return __builtin_ctz(mask);
}

/* Mibs that a page has records of. */
static inline u32 hcv_t_page_mibs(u32 pg)
{
	return 3U << 2 * pg;
}

/* A slot without a record has no stamp. */
static inline void hcv_t_stamp(struct hcv_t_sim *s, u32 mibs)
{
	u32 m;

	for (m = 0; m < HCV_T_MIBS; m++)
		if (mibs & s->o.present & BIT(m) && s->o.stamp[m] != s->o.v) {
			s->o.stamp[m] = s->o.v;
			s->o.dirty |= BIT(m / 2);
		}
}

/* --- I/O ------------------------------------------------------------------ */

static inline struct hcv_t_bio *hcv_t_send(struct hcv_t_sim *s, u32 rep,
					   enum hcv_t_kind kind, u32 item)
{
	struct hcv_t_bio *b = s->bio;

	while (b < s->bio + HCV_T_BIOS && b->kind)
		b++;
	KUNIT_ASSERT_LT(s->test, b - s->bio, (long)HCV_T_BIOS);
	b->kind = kind;
	b->rep = rep;
	b->item = item;
	b->orphan = false;
	b->slow = kind == HCV_T_DATA && !hcv_t_rnd(s, 6);
	return b;
}

/* What a bio writes is in the cache; a FUA write is on the medium as well. */
static inline void hcv_t_land(struct hcv_t_sim *s, struct hcv_t_bio *b)
{
	struct hcv_t_med *m = &s->med[b->rep];
	u32 i = b->item - HCV_T_MIBS;

	if (b->kind == HCV_T_FLUSH) {
		hcv_t_settle(m);
		return;
	}
	if (b->kind == HCV_T_DATA)
		m->data[1][b->item] = b->val;
	else if (b->kind == HCV_T_PAGE)
		m->page[1][i / 2][i % 2] = b->img;
	else
		memcpy(hcv_t_log_at(m, 1, b->item), b->buf, HCV_BLOCK_SIZE);
	m->cached[b->item] = true;
	if (b->kind == HCV_T_LOG ? s->mut != HCV_T_NO_FUA : !hcv_t_rnd(s, 4))
		hcv_t_move(m, b->item, 1, 0);
}

/* All that a store was sent has landed, or never will. */
static inline void hcv_t_drain(struct hcv_t_sim *s, u32 rep)
{
	u32 i;

	for (i = 0; i < HCV_T_BIOS; i++) {
		struct hcv_t_bio *b = &s->bio[i];

		if (!b->kind || b->rep != rep)
			continue;
		if (b->kind != HCV_T_FLUSH && hcv_t_rnd(s, 2))
			hcv_t_land(s, b);
		b->kind = HCV_T_FREE;
	}
}

/* Power cut: what was under way may be torn. */
static inline void hcv_t_cut(struct hcv_t_sim *s, u32 rep)
{
	struct hcv_t_med *m = &s->med[rep];
	u32 i;

	for (i = 0; i < HCV_T_BIOS; i++) {
		struct hcv_t_bio *b = &s->bio[i];

		if (b->kind != HCV_T_LOG || b->rep != rep)
			continue;
		memcpy(hcv_t_log_at(m, 1, b->item), b->buf, HCV_BLOCK_SIZE);
		m->cached[b->item] = true;
		b->kind = HCV_T_FREE;
	}
	hcv_t_drain(s, rep);
	hcv_t_lose(s, m);
}

/* --- histories ------------------------------------------------------------ */

static inline struct hcv_t_sim *hcv_t_new(struct kunit *test,
					  enum hcv_t_mut mut)
{
	struct hcv_t_sim *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, s);
	s->log = kunit_kzalloc(test, sizeof(*s->log), GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, s->log);
	s->test = test;
	s->mut = mut;
	return s;
}

#ifdef __KERNEL__
#define hcv_t_histories()	20U
#define hcv_t_seed_add()	0U
#else
static inline u32 hcv_t_env(const char *name, u32 val)
{
	const char *env = getenv(name);

	return env ? strtoul(env, NULL, 10) : val;
}

/* Histories of each of four parts, and a number added to their seeds. */
#define hcv_t_histories()	hcv_t_env("HCV_LOG_HISTORIES", 1000)
#define hcv_t_seed_add()	hcv_t_env("HCV_SIM_SEED", 0)
#endif

#endif /* HCV_CORE_LOG_SIM_H */
