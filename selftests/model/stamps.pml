/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stamps (I9): what a copy that was away has missed, over repeated absences,
 * with a resync that may be interrupted at any point.
 *
 * One slot of one block, REPLICAS stores with volatile caches.  A slot's record
 * says with which stamp it was last written; a copy that returns gets the slot if
 * its record differs from the source's.  What is modelled of the product:
 *
 *   stamp      v of the record at the write's acknowledgment.  A removal, and the
 *              end of a write without an acknowledgment, stamp what is unflushed
 *   record     reaches a copy only after its data were flushed there
 *   unclean    the slot gets the new v if the activity log names it: surely if
 *              it was unflushed, maybe if not (entries go lazily)
 *   lineage    a restored backup of the metadata store lets v begin again at what
 *              it was: a forced start draws a new lineage, and records of
 *              another lineage are made stamp 0 before they count
 *
 * Messages, caches and links are as in actlog.pml, which has the log itself.
 * MUT_*: mutations.tsv; PROBE: probes.tsv.
 */
#ifndef REPLICAS
#define REPLICAS 3
#endif
#ifndef WRITES
#define WRITES 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef RESTORES
#define RESTORES 0
#endif

/* Which faults, as bits: a link, a power cut of a store, the owner's crash, a
 * power cut of all.
 */
#ifndef KINDS
#define KINDS 15
#endif
#define fault(k) ((KINDS & (k)) && g_faults > 0)

#define UNKNOWN 255

/* The record. */
#define STALE 0
#define SYNCING 1
#define INSYNC 2
byte rec[REPLICAS] = INSYNC;
byte rec_v = 1;
byte lineage = 1;

/* The stores. */
byte cache[REPLICAS];
byte disk[REPLICAS];
byte page[REPLICAS] = 1;	/* the stamp in the durable page, 0: no stamp */
byte lin[REPLICAS] = 1;		/* the lineage that the copy says it is of */
byte msg[REPLICAS];		/* data on their way, 0: none */

/* The owner. */
#define DOWN 0
#define STAMPING 1
#define SERVING 2
byte ow = SERVING;
byte ow_v = 1;
byte ow_ret;
byte stamp = 1;			/* in RAM */
bool cur;			/* unflushed */
bool flushing;
bool named;			/* by the log, while nobody serves */
byte cm;			/* round: 0 none, 1 data FLUSH, 2 pages */
bool cm_fail;
byte cm_v;
byte cm_done;
byte img;
byte snap;
#define IDLE 0
#define PEND 1
#define LEGS 2
#define HOLD 3
byte op;
byte op_val;
byte op_ret;
#define NONE 0
#define WAIT 1
#define GOOD 2
#define BAD 3
byte leg[REPLICAS];

/* The links. */
#define OUT 0
#define SYNC 1
#define JOIN 2
#define IN 3
#define FAILING 4
#define LOST 5
byte ln[REPLICAS] = IN;
#define BEGUN 0
#define COPIED 1
#define FLUSHED 2
#define IN_ROUND 3		/* a round began since */
#define WRITTEN 4		/* and ended well */
byte sy[REPLICAS];

/* The guest. */
byte g_writes;
byte g_acked;
byte g_flushed;
byte g_val;
byte g_faults = FAULTS;
byte g_restores = RESTORES;

#define B(r) (1 << (r))
#define takes(r) (ln[r] == IN || ln[r] == JOIN || ln[r] == SYNC)
#define strong(r) (ln[r] == IN || ln[r] == JOIN)
#define is_in(r) (ln[r] == IN)
#define is_insync(r) (rec[r] == INSYNC)
#define is_closed(r) (ln[r] == FAILING || ln[r] == LOST)
#define has_page(r) (ln[r] != SYNC || sy[r] >= FLUSHED)
#define ended(r) (!takes(r) || (cm_done & B(r)) || (cm == 2 && !has_page(r)))
#define waits_round(r) (ln[r] == SYNC && sy[r] == FLUSHED)
#define leg_ends(r) (leg[r] != WAIT)
#define leg_good(r) (leg[r] == GOOD && strong(r))
#if REPLICAS == 2
#define all(p) (p(0) && p(1))
#define any(p) (p(0) || p(1))
#define count(p) (p(0) + p(1))
#else
#define all(p) (p(0) && p(1) && p(2))
#define any(p) (p(0) || p(1) || p(2))
#define count(p) (p(0) + p(1) + p(2))
#endif
#define closed any(is_closed)
#define out (op == LEGS || op == HOLD)
#define source (is_in(0) -> 0 : (is_in(1) -> 1 : 2))

#ifdef PROBE
#define probe(x) assert(x != PROBE)
bool broken[REPLICAS];		/* a resync of it was broken off */
#define half(r) broken[r]
#else
#define probe(x) skip
#define half(r) false
#endif
#define SECOND_ABSENCE 1	/* a resync is broken off and the slot written */
#define COMPARES_EQUAL 2	/* a copy returns and is not copied */
#define TWO_STALE 3		/* two copies are away, each from another v */
#define RESUMED 4		/* a copy that a broken off resync finished */
#define OTHER_LINEAGE 5		/* a copy of another lineage returns */

inline fail_link(r)
{
#ifdef PROBE
	broken[r] = (broken[r] || ln[r] == SYNC);
#endif
	/* It was sent no page, which might land all the same. */
	if
	:: cm == 2 && !has_page(r) -> cm_done = cm_done | B(r)
	:: else
	fi;
	if
	:: ln[r] == IN && count(is_in) == 1 -> ln[r] = LOST
	:: else -> ln[r] = FAILING
	fi;
	if
	:: leg[r] == WAIT -> leg[r] = BAD
	:: else
	fi;
	cm_fail = (cm != 0);
#ifndef MUT_RESYNC_GOES_ON
	sy[r] = BEGUN
#endif
}

inline crash()
{
	named = named || cur || flushing || op != IDLE;
	ow = DOWN;
	ow_v = 0;
	ow_ret = 0;
	stamp = 0;
	cur = false;
	flushing = false;
	cm = 0;
	cm_fail = false;
	cm_v = 0;
	cm_done = 0;
	img = 0;
	snap = 0;
	op = IDLE;
	op_val = 0;
	op_ret = 0;
	for (i : 0 .. REPLICAS - 1) {
		leg[i] = NONE;
		ln[i] = OUT;
		sy[i] = BEGUN
	}
	i = 0
}

inline cut(r)
{
	msg[r] = 0;
	if
	:: cache[r] = disk[r]
	:: disk[r] = cache[r]
	fi
}

inline round_ends(good)
{
	if
	:: good ->
		if
		:: snap > g_flushed -> g_flushed = snap
		:: else
		fi
	:: else -> cur = cur || flushing
	fi;
	flushing = false;
	for (i : 0 .. REPLICAS - 1) {
		if
		:: sy[i] == IN_ROUND -> sy[i] = (good -> WRITTEN : FLUSHED)
		:: else
		fi
	}
	i = 0;
	if
	:: good && ow == STAMPING ->
		ow = SERVING;
		named = false
	:: else
	fi;
	cm = 0;
	cm_fail = false;
	cm_v = 0;
	cm_done = 0;
	img = 0;
	snap = 0
}

/* I1, I7: what an elected copy must have. */
inline found(r)
{
	assert(cache[r] >= g_flushed);
	assert(g_val == UNKNOWN || named || cache[r] == g_val);
	g_flushed = cache[r];
	g_acked = cache[r];
	g_val = cache[r]
}

active proctype Owner()
{
	byte i, k;

	do
	:: d_step {
		ow == SERVING && op == IDLE && g_writes < WRITES ->
		printf("write is submitted\n");
		g_writes++;
		op = PEND;
		op_val = g_writes;
		cur = true;
		g_val = UNKNOWN
	   }
	:: d_step {
		ow == SERVING && op == PEND && any(strong) ->
		printf("write is sent\n");
		cur = true;
		op = LEGS;
		op_ret = ow_ret;
		for (i : 0 .. REPLICAS - 1) {
			if
			:: takes(i) ->
				assert(msg[i] == 0);
				msg[i] = op_val;
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
		:: op == PEND || closed -> stamp = ow_v
		:: else
		fi
	   }
	:: d_step {
		op == HOLD && !closed ->
		printf("write: %d, stamp %d\n", op_ret == ow_ret, ow_v);
		cur = true;
		stamp = ow_v;
		if
		:: op_ret != ow_ret -> op = PEND
		:: else ->
			g_acked = op_val;
			g_val = op_val;
			op = IDLE;
			op_val = 0;
			op_ret = 0;
			for (i : 0 .. REPLICAS - 1) {
				leg[i] = NONE
			}
			i = 0
		fi
	   }
	/* FLUSH. */
	:: d_step {
		cm == 0 && ow != DOWN &&
#ifdef PROGRESS
		!closed &&	/* it would be void, again and again */
#endif
		(cur || ow == STAMPING || any(waits_round)) ->
		printf("round begins\n");
		cm = 1;
		cm_fail = closed;
		cm_v = ow_v;
		cm_done = 0;
		flushing = cur;
		cur = false;
		img = stamp;
		snap = g_acked;
		for (i : 0 .. REPLICAS - 1) {
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
		round_ends((!cm_fail && !closed && cm_v == ow_v))
	   }
	:: d_step {
		ow != DOWN && fault(4) ->
		printf("owner crashes\n");
		g_faults--;
		crash()
	   }
	:: atomic {
		fault(8) ->
		printf("power cut of all\n");
		g_faults--;
		crash();
		for (k : 0 .. REPLICAS - 1) {
			cut(k)
		}
		k = 0
	   }
	od
}

proctype Replica(byte r)
{
	byte i, k;

	do
	:: d_step {
		msg[r] != 0 ->
		printf("store %d: data land\n", r);
		cache[r] = msg[r];
		msg[r] = 0;
		if
		:: leg[r] == WAIT -> leg[r] = GOOD
		:: else
		fi
	   }
	:: d_step {
		cm == 1 && takes(r) && !(cm_done & B(r)) ->
		printf("store %d: FLUSH\n", r);
		disk[r] = cache[r];
		cm_done = cm_done | B(r)
	   }
	:: d_step {
		cm == 2 && (takes(r) || ln[r] == FAILING) && has_page(r) &&
		!(cm_done & B(r)) ->
		printf("store %d: page, stamp %d\n", r, img);
		page[r] = img;
		cm_done = cm_done | B(r)
	   }
	:: d_step {
		takes(r) && ow != DOWN && fault(1) ->
		printf("store %d: link fails\n", r);
		g_faults--;
		fail_link(r)
	   }
	:: atomic {
		fault(2) ->
		printf("store %d: power cut\n", r);
		g_faults--;
		if
		:: ln[r] == IN && count(is_in) == 1 -> crash()
		:: ln[r] == LOST -> crash()
		:: else ->
			if
			:: takes(r) -> fail_link(r)
			:: else
			fi
		fi;
		cut(r)
	   }
	:: d_step {
		ln[r] == FAILING && rec[r] != STALE &&
		count(is_insync) > is_insync(r) ->
		printf("store %d: removed in the record\n", r);
#ifdef MUT_SYNCING_KEEPS_V
		rec_v = rec_v + is_insync(r);
#elif defined(MUT_REMOVAL_KEEPS_V)
		skip;
#else
		rec_v++;
#endif
		rec[r] = STALE
	   }
	:: d_step {
		ln[r] == FAILING && rec[r] == STALE ->
		printf("store %d: removal confirmed\n", r);
#if !defined(MUT_SYNCING_KEEPS_V) && !defined(MUT_REMOVAL_KEEPS_V)
		if
		:: rec_v <= ow_v -> rec_v++
		:: else
		fi;
#endif
		ow_v = rec_v;
#ifndef MUT_NO_STAMP_AT_REMOVAL
		if
		:: cur || flushing -> stamp = ow_v
		:: else
		fi;
#endif
		ln[r] = OUT;
		if
		:: count(is_insync) == 1 -> probe(TWO_STALE)
		:: else
		fi
	   }
	:: d_step {
		ln[r] == LOST ->
		printf("store %d: the last one returns\n", r);
		msg[r] = 0;
		ln[r] = IN;
		ow_ret++
	   }
	/* The return. */
	:: d_step {
		ow == SERVING && ln[r] == OUT && rec[r] == STALE && any(is_in) &&
		lin[r] == lineage ->
		printf("store %d: syncing\n", r);
		rec[r] = SYNCING;
		rec_v++;
		ow_v = rec_v;
		msg[r] = 0;
		ln[r] = SYNC
	   }
	/* A copy of another lineage: first nothing on it compares equal. */
	:: d_step {
		ow == SERVING && ln[r] == OUT && lin[r] != lineage &&
#ifdef MUT_LINEAGE_FIRST
		true ->
		lin[r] = lineage
#else
		page[r] != 0 ->
		printf("store %d: is of another lineage\n", r);
		page[r] = 0
#endif
	   }
	:: d_step {
		ow == SERVING && ln[r] == OUT && lin[r] != lineage &&
		page[r] == 0 ->
		printf("store %d: is of this lineage now\n", r);
		probe(OTHER_LINEAGE);
		lin[r] = lineage
	   }
	:: d_step {
		ln[r] == SYNC && sy[r] == BEGUN && any(is_in) && !out ->
		printf("store %d: is compared: %d, %d\n", r, page[r], stamp);
		if
		:: page[r] == stamp && page[r] != 0 ->
			probe(COMPARES_EQUAL);
			if
			:: half(r) -> probe(RESUMED)
			:: else
			fi
		:: else ->
			if
			:: half(r) -> probe(SECOND_ABSENCE)
			:: else
			fi;
			k = source;
			cache[r] = cache[k];
			k = 0
		fi;
#ifdef MUT_PAGE_BEFORE_DATA
		page[r] = stamp;
#endif
		sy[r] = COPIED
	   }
	:: d_step {
		ln[r] == SYNC && sy[r] == COPIED ->
		printf("store %d: copy is flushed\n", r);
		disk[r] = cache[r];
		sy[r] = FLUSHED
	   }
	:: d_step {
#ifdef MUT_JOIN_WITHOUT_PAGE
		ln[r] == SYNC && sy[r] >= FLUSHED && any(is_in) ->
#else
		ln[r] == SYNC && sy[r] == WRITTEN && any(is_in) ->
#endif
		printf("store %d: joins\n", r);
		k = source;
		/* I9: whoever compares equal, or was copied, is equal. */
		assert(op != IDLE || cache[r] == cache[k]);
		k = 0;
		ln[r] = JOIN;
		sy[r] = BEGUN
	   }
	:: d_step {
		ln[r] == JOIN && rec[r] == SYNCING ->
		printf("store %d: in-sync in the record\n", r);
		rec[r] = INSYNC;
		rec_v++
	   }
	:: d_step {
		ln[r] == JOIN && rec[r] == INSYNC ->
		printf("store %d: in-sync\n", r);
		ow_v = rec_v;
		if
		:: cur || flushing -> stamp = ow_v
		:: else
		fi;
		ln[r] = IN;
		for (i : 0 .. REPLICAS - 1) {
			if
			:: ln[i] == LOST -> ln[i] = FAILING
			:: else
			fi
		}
		i = 0
	   }
	/* Take-over. */
	:: atomic {
		ow == DOWN && lin[r] == lineage &&
#ifdef MUT_ELECT_SYNCING
		rec[r] != STALE ->
#else
		rec[r] == INSYNC ->
#endif
		printf("store %d: elected\n", r);
		if
		:: named = true		/* lazily */
		:: skip
		fi;
		d_step {
			rec_v = rec_v + 2;
			for (i : 0 .. REPLICAS - 1) {
				msg[i] = 0;
				rec[i] = (i == r -> INSYNC : STALE)
			}
			i = 0;
			disk[r] = cache[r];
			found(r);
			ow_v = rec_v;
			ln[r] = IN;
			stamp = page[r];
			cur = named;
			ow = (named -> STAMPING : SERVING);
#ifndef MUT_NO_STAMP_AT_TAKEOVER
			if
			:: named -> stamp = ow_v
			:: else
			fi
#endif
		}
	   }
	/*
	 * The metadata store is lost; its backup is of the beginning, and the
	 * operator chooses this copy.
	 */
	:: d_step {
		g_restores > 0 && ow == DOWN ->
		printf("store %d: is forced, from a backup\n", r);
		g_restores--;
		rec_v = 3;
#ifndef MUT_KEEP_LINEAGE
		lineage++;
#endif
		lin[r] = lineage;
		for (i : 0 .. REPLICAS - 1) {
			msg[i] = 0;
			rec[i] = (i == r -> INSYNC : STALE)
		}
		i = 0;
		disk[r] = cache[r];
		g_flushed = cache[r];
		g_acked = cache[r];
		g_val = cache[r];
		named = true;
		ow_v = rec_v;
		ln[r] = IN;
		stamp = ow_v;
		cur = true;
		ow = STAMPING
	   }
	:: d_step {
		strong(r) && ow == SERVING && op == IDLE &&
		g_val != UNKNOWN && cache[r] != g_val ->
		printf("store %d: another value is read\n", r);
		assert(false)
	   }
	od
}

#ifdef PROGRESS
/* All is written, and all copies are in-sync, in the end. */
proctype Done()
{
	do
	:: g_writes == WRITES && op == IDLE && ow == SERVING && all(is_in) ->
progress:	skip
	od
}
#endif

init {
	atomic {
#ifdef PROGRESS
		run Done();
#endif
		run Replica(0);
#if REPLICAS == 3
		run Replica(2);
#endif
		run Replica(1)
	}
}
