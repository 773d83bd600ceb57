/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Temporary replicas (I10): docs/decisions/temporary-replica.md.
 *
 * Stores 0 and 1 have full copies, store T has none.  Store 1 leaves once, for
 * nothing; T becomes a sparse copy of what changed since; then a full copy that
 * left and T together may be all that there is.  One slot of two blocks: a
 * stamp for both, and in T's record a bit for each block that it holds
 * (`elsewhere` is not set).
 *
 *   record     rec[], rec_sv[]: the v from which on a copy lacks data; tm: what T
 *              is; mk, mk_v: covers(mk, mk_v)
 *   pair       a new owner serves from store mk and T together: a block is T's if T
 *              holds it, else that of the old copy
 *   zombie     an owner that was replaced and has not noticed: it has a
 *              write under way, may acknowledge it and read, as long as legs and
 *              leases allow
 *   gate       closed[]: what the epochs before sent lands no more; granted[]:
 *              besides, leases that they had of this store are over
 *
 * With LEFT store 1 has left before; with AWAY nobody who left comes back.
 *
 * The activity log is one bit here, written at once on all who take part:
 * actlog.pml has it in steps.  Messages, caches, links as there.
 * MUT_*: mutations.tsv; PROBE: probes.tsv.
 */
#ifndef WRITES
#define WRITES 2
#endif
#ifndef FAULTS
#define FAULTS 1
#endif

/* Which faults, as bits: a link, a power cut of a store, the owner's crash, a
 * claim while it lives, a power cut of all, the link of store 1.
 */
#ifndef KINDS
#define KINDS 31
#endif
#define fault(k) ((KINDS & (k)) && g_faults > 0)

#define UNKNOWN 255
#define T 2
#define STORES 3
#define X(r, b) ((r) * 2 + (b))
#define B(r) (1 << (r))

/* The record. */
#define STALE 0
#define SYNCING 1
#define INSYNC 2
byte rec[2] = INSYNC;
byte rec_sv[2];
byte rec_v = 1;
#define NO_TEMP 0
#define TEMP 1			/* gets what changed */
#define MARK 2			/* covers(mk, mk_v) */
byte tm;
byte mk;
byte mk_v;

/* The stores. */
byte cache[STORES * 2];
byte disk[STORES * 2];
byte page[STORES] = 1;		/* stamp of the slot, T: 0 without one */
byte held;			/* T: blocks that its durable page has */
bool log[STORES];		/* the log names the slot */
byte msg[STORES];		/* data on their way: 2 x value + block, 0: none */
byte zmsg[STORES];		/* those of an owner before */
byte closed;			/* stores, as bits */
byte granted;

/* The owner. */
#define DOWN 0
#define TAKING 1
#define STAMPING 2
#define SERVING 3
byte ow = SERVING;
bool pair;			/* serves from store mk and T */
byte ow_v = 1;
byte ow_ret;
byte stamp = 1;
byte hold;			/* blocks that T holds, in RAM */
bool cur;
bool flushing;
bool logged;
byte cm;			/* round: 0 none, 1 data FLUSH, 2 pages */
bool cm_fail;
byte cm_v;
byte cm_done;
byte img;
byte img_hold;
byte snap[2];
#define IDLE 0
#define PEND 1
#define LEGS 2
#define HOLD 3
byte op;
byte op_b;
byte op_val;
byte op_ret;
#define NONE 0
#define WAIT 1
#define GOOD 2
#define BAD 3
byte leg[STORES];

/* The owner before. */
bool z_on;
byte z_b;
byte z_val;			/* 0: no write */
byte z_need;			/* whose answers and leases it needs */
byte z_good;			/* who has answered */
byte z_lease;

/* The links. */
#define OUT 0
#define SYNC 1
#define JOIN 2
#define IN 3
#define FAILING 4
#define LOST 5
byte ln[STORES];
#define BEGUN 0
#define COPIED 1
#define FLUSHED 2
#define IN_ROUND 3
#define WRITTEN 4
byte sy[STORES];

/* The guest. */
byte g_writes;
byte g_acked[2];
byte g_flushed[2];
byte g_val[2];
byte g_faults = FAULTS;
bool g_left;			/* store 1 has left for nothing */

#define takes(r) (ln[r] == IN || ln[r] == JOIN || ln[r] == SYNC)
#define strong(r) (ln[r] == IN || ln[r] == JOIN)
#ifdef MUT_ACK_WITHOUT_TEMP
#define is_closed(r) ((ln[r] == FAILING && (r) != T) || ln[r] == LOST)
#else
#define is_closed(r) (ln[r] == FAILING || ln[r] == LOST)
#endif
#define has_page(r) (ln[r] != SYNC || (r) == T || sy[r] >= FLUSHED)
#define ended(r) (!takes(r) || (cm_done & B(r)) || (cm == 2 && !has_page(r)))
#define waits_round(r) (ln[r] == SYNC && sy[r] == FLUSHED)
#define leg_ends(r) (leg[r] != WAIT)
#define leg_good(r) (leg[r] == GOOD && ln[r] != SYNC && takes(r) && \
		     ((r) != T || pair))
#define all(p) (p(0) && p(1) && p(2))
#define any(p) (p(0) || p(1) || p(2))
#define gate_shut any(is_closed)
#define out (op == LEGS || op == HOLD)
/* Who has all: one of the full copies, or the pair. */
#define full_in(r) (ln[r] == IN && (r) != T)
#define have_full (full_in(0) || full_in(1))
#define have_source (have_full || (pair && ln[T] == IN))
#define source (full_in(0) -> 0 : 1)
#define nr_full (full_in(0) + full_in(1))
#define insyncs ((rec[0] == INSYNC) + (rec[1] == INSYNC))
/* A block of the pair: whose it is. */
#define whose(b) ((hold & B(b)) -> T : mk)
#define last(r) (pair -> (r) == T : full_in(r) && nr_full == 1)

#ifdef PROBE
bool again;
#define probe(x) assert(x != PROBE)
#define went() again = (again || tm == MARK)
#else
#define probe(x) skip
#define went() skip
#define again false
#endif
#define PARTIAL 1	/* a pair of which T holds one block */
#define MERGED 2	/* a pair has become a full copy */
#define DROPPED 3	/* the old copy came back first */
#define UNMARKED 4	/* T failed, and is marked again */
#define TOOK_NAMED 5	/* a named block is taken from the old copy */
#define ZOMBIE_ACK 6	/* the owner before acknowledges, with T's answer */
#define SYNCING_BASE 7	/* the old copy was being resynced when the rest died */

inline fail_link(r)
{
	/* It was sent no page, which might land all the same. */
	if
	:: cm == 2 && !has_page(r) -> cm_done = cm_done | B(r)
	:: else
	fi;
	ln[r] = (last(r) -> LOST : FAILING);
	if
	:: leg[r] == WAIT -> leg[r] = BAD
	:: else
	fi;
	cm_fail = (cm != 0);
	sy[r] = BEGUN
}

inline crash()
{
	ow = DOWN;
	pair = false;
	ow_v = 0;
	ow_ret = 0;
	stamp = 0;
	hold = 0;
	cur = false;
	flushing = false;
	logged = false;
	cm = 0;
	cm_fail = false;
	cm_v = 0;
	cm_done = 0;
	img = 0;
	img_hold = 0;
	snap[0] = 0;
	snap[1] = 0;
	op = IDLE;
	op_b = 0;
	op_val = 0;
	op_ret = 0;
	closed = 0;
	granted = 0;
	for (i : 0 .. STORES - 1) {
		leg[i] = NONE;
		ln[i] = OUT;
		sy[i] = BEGUN
	}
	i = 0
}

/* A power cut: any part of the cache, another incarnation. */
inline cut(r)
{
	msg[r] = 0;
	zmsg[r] = 0;
	granted = granted & ~B(r);
	if
	:: cache[X(r, 0)] != disk[X(r, 0)] ->
		if
		:: cache[X(r, 0)] = disk[X(r, 0)]
		:: disk[X(r, 0)] = cache[X(r, 0)]
		fi
	:: else
	fi;
	if
	:: cache[X(r, 1)] != disk[X(r, 1)] ->
		if
		:: cache[X(r, 1)] = disk[X(r, 1)]
		:: disk[X(r, 1)] = cache[X(r, 1)]
		fi
	:: else
	fi
}

/* What it had on its way is another epoch's now. */
inline go_on(r)
{
	if
	:: msg[r] != 0 ->
		zmsg[r] = msg[r];
		msg[r] = 0
	:: else
	fi
}

inline settle(r)
{
	disk[X(r, 0)] = cache[X(r, 0)];
	disk[X(r, 1)] = cache[X(r, 1)]
}

inline round_ends(good)
{
	if
	:: good ->
		for (i : 0 .. 1) {
			if
			:: snap[i] > g_flushed[i] -> g_flushed[i] = snap[i]
			:: else
			fi
		}
	:: else -> cur = cur || flushing
	fi;
	flushing = false;
	for (i : 0 .. STORES - 1) {
		if
		:: sy[i] == IN_ROUND -> sy[i] = (good -> WRITTEN : FLUSHED)
		:: else
		fi;
		if
		:: good && ow == STAMPING && (strong(i)) -> log[i] = false
		:: else
		fi
	}
	i = 0;
	if
	:: good && ow == STAMPING -> ow = SERVING
	:: else
	fi;
	cm = 0;
	cm_fail = false;
	cm_v = 0;
	cm_done = 0;
	img = 0;
	img_hold = 0;
	snap[0] = 0;
	snap[1] = 0
}

/* T is needed no more, or no use. */
inline drop_temp()
{
	tm = NO_TEMP;
	mk = 0;
	mk_v = 0
}

/* I1, I7: what a block reads as from now on. */
inline found(b, r, named)
{
	assert(cache[X(r, b)] >= g_flushed[b]);
	assert(g_val[b] == UNKNOWN || named || cache[X(r, b)] == g_val[b]);
	g_flushed[b] = cache[X(r, b)];
	g_acked[b] = cache[X(r, b)];
	g_val[b] = cache[X(r, b)]
}

proctype Owner()
{
	byte i, k;

	do
	:: d_step {
		ow == SERVING && op == IDLE && g_writes < WRITES ->
		printf("write of block 0 is submitted\n");
		g_writes++;
		op = PEND;
		op_b = 0;
		op_val = g_writes;
		cur = true;
		g_val[0] = UNKNOWN
	   }
	:: d_step {
		ow == SERVING && op == IDLE && g_writes < WRITES ->
		printf("write of block 1 is submitted\n");
		g_writes++;
		op = PEND;
		op_b = 1;
		op_val = g_writes;
		cur = true;
		g_val[1] = UNKNOWN
	   }
	:: d_step {
		ow == SERVING && op == PEND && !logged && !gate_shut ->
		printf("the slot is named\n");
		logged = true;
		for (i : 0 .. STORES - 1) {
			if
#ifdef MUT_TEMP_WITHOUT_LOG
			:: strong(i) && i != T -> log[i] = true
#else
			:: strong(i) -> log[i] = true
#endif
			:: else
			fi
		}
		i = 0
	   }
	/* An entry goes lazily. */
	:: d_step {
		ow == SERVING && logged && op == IDLE && !cur && !flushing &&
		!gate_shut ->
		printf("the slot is named no more\n");
		logged = false;
		for (i : 0 .. STORES - 1) {
			if
			:: strong(i) -> log[i] = false
			:: else
			fi
		}
		i = 0
	   }
	:: d_step {
		ow == SERVING && op == PEND && logged && have_source ->
		printf("write is sent\n");
		cur = true;
		op = LEGS;
		op_ret = ow_ret;
		for (i : 0 .. STORES - 1) {
			if
			:: takes(i) ->
				assert(msg[i] == 0);
				msg[i] = 2 * op_val + op_b;
				leg[i] = WAIT
			:: else ->
				leg[i] = NONE
			fi
		}
		i = 0
	   }
	:: d_step {
		op == LEGS && all(leg_ends) ->
		printf("write has ended\n");
		cur = true;
		op = (any(leg_good) -> HOLD : PEND);
		if
		:: op == PEND || gate_shut -> stamp = ow_v
		:: else
		fi
	   }
	:: d_step {
		op == HOLD && !gate_shut ->
		printf("write: %d, stamp %d\n", op_ret == ow_ret, ow_v);
		cur = true;
		stamp = ow_v;
		if
		:: op_ret != ow_ret -> op = PEND
		:: else ->
			if
			:: takes(T) && leg[T] == GOOD ->
				hold = hold | B(op_b)
			:: else
			fi;
			g_acked[op_b] = op_val;
			g_val[op_b] = op_val;
			op = IDLE;
			op_b = 0;
			op_val = 0;
			op_ret = 0;
			for (i : 0 .. STORES - 1) {
				leg[i] = NONE
			}
			i = 0
		fi
	   }
	/* FLUSH. */
	:: d_step {
		cm == 0 && (ow == SERVING || ow == STAMPING) &&
		(cur || ow == STAMPING || any(waits_round)) ->
		printf("round begins\n");
		cm = 1;
		cm_fail = gate_shut;
		cm_v = ow_v;
		cm_done = 0;
		flushing = cur;
		cur = false;
		img = stamp;
		img_hold = hold;
		snap[0] = g_acked[0];
		snap[1] = g_acked[1];
		for (i : 0 .. STORES - 1) {
			if
			:: waits_round(i) -> sy[i] = IN_ROUND
			:: else
			fi
		}
		i = 0
	   }
	:: d_step {
		cm == 1 && all(ended) ->
		printf("round: data are flushed\n");
		cm_done = 0;
		if
		:: cm_fail -> round_ends(false)
		:: else -> cm = 2
		fi
	   }
	:: d_step {
		cm == 2 && all(ended) ->
		printf("round ends\n");
		round_ends((!cm_fail && !gate_shut && cm_v == ow_v))
	   }
	:: d_step {
		ow != DOWN && fault(4) ->
		printf("owner crashes\n");
		g_faults--;
		crash()
	   }
	:: atomic {
		fault(16) ->
		printf("power cut of all\n");
		g_faults--;
		crash();
		z_on = false;
		z_val = 0;
		z_b = 0;
		z_need = 0;
		z_good = 0;
		z_lease = 0;
		cut(0);
		cut(1);
		cut(2)
	   }
	/* I4, 1: a claim. */
	:: d_step {
		ow == DOWN ->
		printf("claim\n");
		for (i : 0 .. STORES - 1) {
			go_on(i)
		}
		i = 0;
		ow = TAKING;
		rec_v++
	   }
	/* The same, of an owner that lives: it goes on for as long as it can. */
	:: d_step {
		ow == SERVING && !z_on && fault(8) ->
		printf("claim, the owner before lives\n");
		g_faults--;
		z_on = true;
		z_val = (op == LEGS || op == HOLD -> op_val : 0);
		z_b = op_b;
		for (i : 0 .. STORES - 1) {
			if
			:: strong(i) || is_closed(i) -> z_need = z_need | B(i)
			:: else
			fi;
			if
			:: strong(i) -> z_lease = z_lease | B(i)
			:: else
			fi;
			if
			:: z_val != 0 && leg[i] == GOOD -> z_good = z_good | B(i)
			:: else
			fi;
			go_on(i)
		}
		i = 0;
		crash();
		ow = TAKING;
		rec_v++
	   }
	:: d_step {
		z_on ->
		printf("the owner before sees that it was replaced\n");
		z_on = false;
		z_val = 0;
		z_b = 0;
		z_need = 0;
		z_good = 0;
		z_lease = 0
	   }
	:: d_step {
		z_on && z_val != 0 && (z_good & z_need) == z_need &&
		(z_lease & z_need) == z_need ->
		printf("the owner before acknowledges\n");
		assert(ow != STAMPING && ow != SERVING);
		if
		:: z_need & B(T) -> probe(ZOMBIE_ACK)
		:: else
		fi;
		g_acked[z_b] = z_val;
		g_val[z_b] = z_val;
		z_val = 0;
		z_good = 0;
		z_b = 0
	   }
	/* Nor may it read: it may be old, for all it knows. */
	:: d_step {
		z_on && (z_lease & z_need) == z_need && z_need != 0 &&
		(ow == STAMPING || ow == SERVING) ->
		printf("the owner before may read\n");
		assert(false)
	   }
	/* I10: the pair has what is flushed, whatever fails now. */
	:: d_step {
		tm == MARK &&
		(disk[X(((held & 1) -> T : mk), 0)] < g_flushed[0] ||
		 disk[X(((held & 2) -> T : mk), 1)] < g_flushed[1]) ->
		printf("the mark is wrong\n");
		assert(false)
	   }
	/* And what was acknowledged, but for lost caches. */
	:: d_step {
		tm == MARK && ow == SERVING && ln[T] == IN && !gate_shut &&
		op == IDLE && !pair &&
		((g_val[0] != UNKNOWN && cache[X(whose(0), 0)] != g_val[0]) ||
		 (g_val[1] != UNKNOWN && cache[X(whose(1), 1)] != g_val[1])) ->
		printf("the mark is wrong now\n");
		assert(false)
	   }
	od
}

proctype Store(byte r)
{
	byte i, k;

	do
	:: d_step {
		msg[r] != 0 ->
		printf("store %d: data land\n", r);
		cache[X(r, msg[r] & 1)] = msg[r] / 2;
		msg[r] = 0;
		if
		:: leg[r] == WAIT -> leg[r] = GOOD
		:: else
		fi
	   }
	:: d_step {
		zmsg[r] != 0 ->
		printf("store %d: data of the owner before land\n", r);
		cache[X(r, zmsg[r] & 1)] = zmsg[r] / 2;
		z_good = (z_val != 0 && z_val == zmsg[r] / 2 ->
			  z_good | B(r) : z_good);
		zmsg[r] = 0
	   }
	:: d_step {
		cm == 1 && takes(r) && !(cm_done & B(r)) ->
		printf("store %d: FLUSH\n", r);
		settle(r);
		cm_done = cm_done | B(r)
	   }
	:: d_step {
		cm == 2 && (takes(r) || ln[r] == FAILING) && has_page(r) &&
		!(cm_done & B(r)) ->
		printf("store %d: page, stamp %d\n", r, img);
		if
		:: r == T ->
			held = img_hold;
			page[r] = (img_hold -> img : 0)
		:: else -> page[r] = img
		fi;
		cm_done = cm_done | B(r)
	   }
	:: d_step {
		takes(r) && ow != DOWN &&
		(fault(1) || (r == 1 && (fault(32) || !g_left))) ->
		printf("store %d: link fails\n", r);
		if
		:: r == 1 && !g_left -> g_left = true
		:: else -> g_faults--
		fi;
		fail_link(r)
	   }
	:: atomic {
		fault(2) || (r == 1 && !g_left) ->
		printf("store %d: power cut\n", r);
		if
		:: r == 1 && !g_left -> g_left = true
		:: else -> g_faults--
		fi;
		if
		:: last(r) || ln[r] == LOST -> crash()
		:: else ->
			if
			:: takes(r) -> fail_link(r)
			:: else
			fi
		fi;
		z_need = ((z_need & B(r)) -> z_need | 8 : z_need);
		cut(r)
	   }
	:: d_step {
		ln[r] == LOST ->
		printf("store %d: the last one returns\n", r);
		msg[r] = 0;
		zmsg[r] = 0;
		ln[r] = IN;
		ow_ret++
	   }
	/* Take-over: the gate, then the leases. */
	:: d_step {
		ow == TAKING && !(closed & B(r)) ->
		printf("store %d: gate is closed\n", r);
		closed = closed | B(r);
		msg[r] = 0;
		zmsg[r] = 0
	   }
	:: d_step {
		z_lease & B(r) ->
		printf("store %d: lease of the owner before ends\n", r);
		z_lease = z_lease & ~B(r)
	   }
	:: d_step {
		ow == TAKING && (closed & B(r)) && !(granted & B(r)) &&
#ifdef MUT_TEMP_WITHOUT_LEASE
		(r != 0 || !(z_lease & B(r))) ->
#else
		!(z_lease & B(r)) ->
#endif
		printf("store %d: grants\n", r);
		granted = granted | B(r)
	   }
	od
}

/* What only full copies do. */
proctype Full(byte r)
{
	byte i, k;

	do
	:: d_step {
		ln[r] == FAILING && !(pair && r == mk) && rec[r] != STALE &&
		insyncs > (rec[r] == INSYNC) ->
		printf("store %d: removed in the record\n", r);
		rec_v++;
		if
		:: rec[r] == INSYNC -> rec_sv[r] = rec_v
		:: else
		fi;
		rec[r] = STALE
	   }
	:: d_step {
		ln[r] == FAILING && !(pair && r == mk) && rec[r] == STALE ->
		printf("store %d: removal confirmed\n", r);
		if
		:: rec_v <= ow_v -> rec_v++
		:: else
		fi;
		ow_v = rec_v;
		if
		:: cur || flushing -> stamp = ow_v
		:: else
		fi;
		ln[r] = OUT
	   }
	/* The pair cannot do without it; it begins anew. */
	:: d_step {
		ln[r] == FAILING && pair && r == mk ->
		printf("store %d: the old copy returns to the pair\n", r);
		rec_v++;
		ow_v = rec_v;
		if
		:: cur || flushing -> stamp = ow_v
		:: else
		fi;
		msg[r] = 0;
		zmsg[r] = 0;
		ln[r] = SYNC
	   }
	:: d_step {
#ifdef AWAY
		false &&
#endif
		ow == SERVING && ln[r] == OUT && rec[r] == STALE && have_full ->
		printf("store %d: syncing\n", r);
		rec[r] = SYNCING;
		rec_v++;
		msg[r] = 0;
		zmsg[r] = 0;
		ln[r] = SYNC
	   }
	:: d_step {
		ln[r] == SYNC && sy[r] == BEGUN && have_source && !out &&
		(ow == SERVING) ->
		printf("store %d: is compared: %d, %d\n", r, page[r], stamp);
		if
		:: page[r] == stamp
		:: else ->
			for (i : 0 .. 1) {
				k = (pair -> whose(i) : source);
				cache[X(r, i)] = cache[X(k, i)]
			}
			i = 0;
			k = 0
		fi;
		sy[r] = COPIED
	   }
	:: d_step {
		ln[r] == SYNC && sy[r] == COPIED ->
		printf("store %d: copy is flushed\n", r);
		settle(r);
		sy[r] = FLUSHED
	   }
	:: d_step {
		ln[r] == SYNC && sy[r] == WRITTEN && have_source ->
		printf("store %d: joins\n", r);
		for (i : 0 .. 1) {
			k = (pair -> whose(i) : source);
			assert((op != IDLE && op_b == i) ||
			       cache[X(r, i)] == cache[X(k, i)])
		}
		i = 0;
		k = 0;
		log[r] = logged;
		ln[r] = JOIN;
		sy[r] = BEGUN
	   }
	/* Whoever has a full copy again needs no temporary one. */
	:: d_step {
		ln[r] == JOIN && rec[r] == SYNCING ->
		printf("store %d: in-sync in the record\n", r);
		rec[r] = INSYNC;
		rec_v++;
		if
		:: tm == MARK && !pair -> probe(DROPPED)
		:: else
		fi;
#ifndef MUT_MARK_OUTLIVES_JOIN
		drop_temp()
#endif
	   }
	:: d_step {
		ln[r] == JOIN && rec[r] == INSYNC ->
		printf("store %d: in-sync\n", r);
		ow_v = rec_v;
		if
		:: cur || flushing -> stamp = ow_v
		:: else
		fi;
		if
		:: pair -> probe(MERGED)
		:: else
		fi;
		ln[r] = IN;
		pair = false;
		ln[T] = OUT;
		sy[T] = BEGUN;
		if
		:: leg[T] == WAIT -> leg[T] = BAD
		:: else
		fi;
		hold = 0;
		for (i : 0 .. 1) {
			if
			:: ln[i] == LOST -> ln[i] = FAILING
			:: else
			fi
		}
		i = 0
	   }
	/* I4, 4: a full copy is elected.  T misses what is written from now on. */
	:: d_step {
		ow == TAKING && (granted & B(r)) &&
#ifdef MUT_ELECT_BASE_ALONE
		(rec[r] == INSYNC || (tm == MARK && mk == r)) ->
#else
		rec[r] == INSYNC ->
#endif
		printf("store %d: elected\n", r);
		rec_v = rec_v + 1;
		if
		:: rec[1 - r] == INSYNC -> rec_sv[1 - r] = rec_v
		:: else
		fi;
		rec[1 - r] = STALE;
		rec[r] = INSYNC;
#ifndef MUT_MARK_OUTLIVES_OWNER
		drop_temp();
#endif
		settle(r);
		found(0, r, log[r]);
		found(1, r, log[r]);
		ow_v = rec_v;
		ln[r] = IN;
		stamp = page[r];
		cur = log[r];
		logged = false;
		stamp = (log[r] -> ow_v : stamp);
		closed = 0;
		granted = 0;
		ow = (log[r] -> STAMPING : SERVING)
	   }
	/* I7: what is read now. */
	:: d_step {
		ow == SERVING && strong(r) &&
		((!(op != IDLE && op_b == 0) && g_val[0] != UNKNOWN &&
		  cache[X(r, 0)] != g_val[0]) ||
		 (!(op != IDLE && op_b == 1) && g_val[1] != UNKNOWN &&
		  cache[X(r, 1)] != g_val[1])) ->
		printf("store %d: another value is read\n", r);
		assert(false)
	   }
	od
}

proctype Temporary()
{
	byte i, k;

	do
	/* What T had is nothing first, durable, then the record says so. */
	:: d_step {
		ow == SERVING && !pair && ln[T] == OUT && tm == NO_TEMP &&
		have_full && !gate_shut && insyncs == 1 ->
		printf("T: temporary in the record\n");
		mk = (rec[0] != INSYNC -> 0 : 1);
		mk_v = rec_sv[mk];
		tm = TEMP;
		rec_v++;
#ifndef MUT_TEMP_KEEPS_OLD
		held = 0;
		page[T] = 0;
#endif
		hold = held;
		msg[T] = 0;
		zmsg[T] = 0;
		ln[T] = SYNC
	   }
	/* Each slot with a stamp that the copy that left cannot have. */
	:: d_step {
		ln[T] == SYNC && sy[T] == BEGUN && have_full && !out ->
		printf("T: filled: %d, since %d\n", stamp, mk_v);
#ifndef MUT_ONLY_SINCE_LINK
		if
#ifdef MUT_WITHOUT_THE_LOG
		:: stamp > mk_v ->
#else
		:: stamp >= mk_v ->
#endif
			for (i : 0 .. 1) {
				k = source;
				cache[X(T, i)] = cache[X(k, i)]
			}
			i = 0;
			k = 0;
			hold = 3;
		:: else
		fi;
#endif
		sy[T] = COPIED
	   }
	:: d_step {
		ln[T] == SYNC && sy[T] == COPIED ->
		printf("T: flushed\n");
		settle(T);
		sy[T] = FLUSHED
	   }
	/* It counts as in-sync before the mark is set. */
	:: d_step {
#ifdef MUT_MARK_BEFORE_FLUSH
		ln[T] == SYNC && sy[T] >= COPIED ->
#else
		ln[T] == SYNC && sy[T] == WRITTEN ->
#endif
		printf("T: joins\n");
#ifndef MUT_TEMP_WITHOUT_LOG
		log[T] = logged;
#endif
#ifndef MUT_MARK_BEFORE_JOIN
		ln[T] = JOIN;
		sy[T] = BEGUN
#else
		sy[T] = WRITTEN;
		tm = MARK
#endif
	   }
	:: d_step {
		ln[T] == JOIN && tm == TEMP && rec[mk] != INSYNC ->
		printf("T: covers(%d, %d)\n", mk, mk_v);
		tm = MARK;
		rec_v++;
		if
		:: again -> probe(UNMARKED)
		:: else
		fi
	   }
	:: d_step {
		ln[T] == JOIN && tm == MARK ->
		printf("T: the mark is confirmed\n");
		ow_v = rec_v;
		if
		:: cur || flushing -> stamp = ow_v
		:: else
		fi;
		ln[T] = IN
	   }
	/* A write to it failed: the mark goes before the acknowledgment. */
	:: d_step {
		ln[T] == FAILING && !pair && tm != NO_TEMP ->
		printf("T: the mark is removed\n");
		rec_v++;
		went();
#if !defined(MUT_ACK_WITHOUT_TEMP) && !defined(MUT_MARK_STAYS)
		drop_temp()
#else
		ln[T] = OUT;
		hold = 0
#endif
	   }
	:: d_step {
		takes(T) && !pair && tm == NO_TEMP && ow == SERVING ->
		printf("T: is needed no more\n");
		fail_link(T)
	   }
	:: d_step {
		ln[T] == FAILING && !pair && tm == NO_TEMP ->
		printf("T: removal confirmed\n");
		if
		:: rec_v <= ow_v -> rec_v++
		:: else
		fi;
		ow_v = rec_v;
		if
		:: cur || flushing -> stamp = ow_v
		:: else
		fi;
		hold = 0;
		ln[T] = OUT
	   }
	/* The pair is elected: the mark is set, and both gates are closed. */
	:: d_step {
		ow == TAKING && (granted & B(T)) &&
#ifdef MUT_PAIR_ONE_GATE
		true &&
#else
		(granted & B(mk)) &&
#endif
#ifdef MUT_PAIR_WITHOUT_MARK
		tm != NO_TEMP ->
#else
		tm == MARK ->
#endif
		printf("T and store %d: elected, T holds %d, named %d\n", mk, held,
		       log[T]);
		rec_v = rec_v + 1;
		if
		:: rec[mk] == SYNCING && page[mk] != 1 -> probe(SYNCING_BASE)
		:: else
		fi;
		if
		:: rec[1 - mk] == INSYNC -> rec_sv[1 - mk] = rec_v
		:: else
		fi;
		rec[1 - mk] = STALE;
		rec[mk] = SYNCING;
		settle(T);
		settle(mk);
		hold = held;
		if
		:: hold == 1 || hold == 2 -> probe(PARTIAL)
		:: else
		fi;
		for (i : 0 .. 1) {
			k = whose(i);
			found(i, k, log[T])
		}
		k = 0;
		ow_v = rec_v;
		stamp = (held -> page[T] : page[mk]);
		cur = log[T];
		logged = false;
		/* What the log names is T's from now on. */
		if
		:: log[T] ->
			stamp = ow_v;
#ifndef MUT_NAMED_STAYS
			for (i : 0 .. 1) {
				if
				:: !(hold & B(i)) ->
					probe(TOOK_NAMED);
					cache[X(T, i)] = cache[X(mk, i)];
					disk[X(T, i)] = cache[X(mk, i)]
				:: else
				fi
			}
			hold = 3
#endif
		:: else
		fi;
		i = 0;
		pair = true;
		ln[T] = IN;
		ln[mk] = SYNC;
		closed = 0;
		granted = 0;
		ow = (log[T] -> STAMPING : SERVING)
	   }
	/* I7, for a pair. */
	:: d_step {
		ow == SERVING && pair && ln[T] == IN && ln[mk] == SYNC &&
		((!(op != IDLE && op_b == 0) && g_val[0] != UNKNOWN &&
		  cache[X(whose(0), 0)] != g_val[0]) ||
		 (!(op != IDLE && op_b == 1) && g_val[1] != UNKNOWN &&
		  cache[X(whose(1), 1)] != g_val[1])) ->
		printf("the pair: another value is read\n");
		assert(false)
	   }
	od
}

init {
	d_step {
		ln[0] = IN;
		ln[1] = IN;
		page[T] = 0
	}
	atomic {
#ifdef LEFT
		/* Store 1 has left: nothing was unflushed, or a write was. */
		d_step {
			ln[1] = OUT;
			rec[1] = STALE;
			rec_sv[1] = 2;
			rec_v = 2;
			ow_v = 2;
			g_left = true
		}
		if
		:: skip
		:: d_step {
			cache[X(0, 0)] = 1;
			g_writes = 1;
			g_acked[0] = 1;
			g_val[0] = 1;
			stamp = 2;
			cur = true;
			logged = true;
			log[0] = true;
			log[1] = true
		   }
		   if
		   :: skip
		   :: cache[X(1, 0)] = 1
		   fi
		fi;
#endif
		run Owner();
		run Store(0);
		run Store(1);
		run Store(2);
		run Full(0);
		run Full(1);
		run Temporary()
	}
}
