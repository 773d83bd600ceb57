/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The activity log (I6), and what is made equal after an unclean stop.
 *
 * MIBS megabytes of one block each, REPLICAS stores, a log with room for
 * ENTRIES of the mibs.  docs/decisions/activity-log.md is what is modelled:
 *
 *   entry      durable on every in-sync replica before data of its mib go to
 *              any; a log write in which a link failed is void
 *   dropped    only when data and pages of the mib are flushed on all and no
 *              write of it is under way
 *   unclean    one in-sync replica is elected.  What its log names gets a new
 *              stamp, these pages are made durable, then the log is emptied, then
 *              it serves.  The others come back by comparing stamps.
 *   return     the copy that was away gets the present log last, before it may
 *              be elected
 *
 * Owners follow each other: what two of them may do to each other is in
 * ownership.pml.  Stores have a volatile cache: a power cut keeps any part of it.
 * Data and log writes are messages, which may land after their link has failed;
 * they never land after a drain, and who is drained may have got them before.  Log
 * and metadata pages are written as a whole and FUA: the two places that this
 * takes are in log_sim_test.c.
 *
 * MUT_* leaves out one rule each (mutations.tsv), PROBE_* says that something
 * cannot be reached, and must be refuted (probes.tsv).
 */
#ifndef REPLICAS
#define REPLICAS 2
#endif
#ifndef MIBS
#define MIBS 2
#endif
#ifndef ENTRIES
#define ENTRIES 1
#endif
#ifndef WRITES
#define WRITES 2
#endif
#ifndef FAULTS
#define FAULTS 1
#endif

/* Which faults, as bits: a link, a power cut of a store, the owner's crash, a
 * power cut of all.
 */
#ifndef KINDS
#define KINDS 15
#endif
#define fault(k) ((KINDS & (k)) && g_faults > 0)

#define UNKNOWN 255
#define ALL ((1 << MIBS) - 1)
#define B(m) (1 << (m))
#define X(r, m) ((r) * MIBS + (m))

/* The record. */
#define STALE 0
#define SYNCING 1
#define INSYNC 2
byte rec[REPLICAS] = INSYNC;
byte rec_v = 1;

/* The stores. */
byte cache[REPLICAS * MIBS];	/* what a read returns */
byte disk[REPLICAS * MIBS];	/* what a power cut leaves at least */
byte page[REPLICAS * MIBS];	/* stamps in durable metadata pages */
byte log[REPLICAS];		/* mibs that the durable log names */
#ifdef MUT_NO_FUA
byte lcache[REPLICAS];		/* ... and that its cache names */
#endif
byte msg[REPLICAS * MIBS];	/* data on their way, 0: none */
byte lmsg[REPLICAS];		/* a log page on its way: names + 1 */

/* The owner. */
#define DOWN 0
#define STAMPING 1
#define EMPTYING 2
#define SERVING 3
byte ow = SERVING;
byte ow_v = 1;
byte ow_ret;			/* how often a lost replica came back */
byte stamp[MIBS];		/* of the slots, in RAM */
byte cur;			/* unflushed mibs */
byte flushing;			/* those of the running round */
byte logged;			/* entries that writers may rely on */
byte tab;			/* entries in the table */
byte lg;			/* 1: a log page is being written */
byte lg_mib;			/* for whom */
bool lg_fail;
byte lg_done;			/* replicas, as bits */
byte cm;			/* round: 0 none, 1 data FLUSH, 2 pages */
bool cm_fail;
byte cm_v;
byte cm_done;			/* replicas, as bits */
byte img[MIBS];			/* stamps in the copies of the pages */
byte snap[MIBS];		/* what the round makes durable */

/* Writes, one of a mib at a time. */
#define IDLE 0
#define PEND 1			/* waits for an entry, or for a replica */
#define LEGS 2
#define HOLD 3			/* waits for the right to be acknowledged */
byte op[MIBS];
byte op_val[MIBS];
byte op_ret[MIBS];
bool op_sent[MIBS];		/* some replica may have it */
#define NONE 0
#define WAIT 1
#define GOOD 2
#define BAD 3
byte leg[REPLICAS * MIBS];

/* The links. */
#define OUT 0
#define SYNC 1
#define JOIN 2
#define IN 3
#define FAILING 4
#define LOST 5			/* the last one */
byte ln[REPLICAS] = IN;
byte sy_at[REPLICAS];		/* SYNC: the mib that is compared next */
byte sy[REPLICAS];		/* 1 flushed, 2 a round began since, 3 and ended */
byte pdone[REPLICAS];		/* pages of the round */

/* The guest. */
byte g_writes;
byte g_acked[MIBS];
byte g_flushed[MIBS];
byte g_val[MIBS];		/* must be read, if known */
byte g_faults = FAULTS;

#define takes(r) (ln[r] == IN || ln[r] == JOIN || ln[r] == SYNC)
#define strong(r) (ln[r] == IN || ln[r] == JOIN)
#define is_in(r) (ln[r] == IN)
#define is_insync(r) (rec[r] == INSYNC)
#define is_closed(r) (ln[r] == FAILING || ln[r] == LOST)
#define log_ended(r) (!strong(r) || (lg_done & B(r)))
#define flush_ended(r) (!takes(r) || (cm_done & B(r)))
#define pages_ended(r) (!takes(r) || (ln[r] == SYNC && sy[r] == 0) || \
			pdone[r] == ALL)
#define waits_round(r) (ln[r] == SYNC && sy[r] == 1)
#if REPLICAS == 2
#define all(p) (p(0) && p(1))
#define any(p) (p(0) || p(1))
#define count(p) (p(0) + p(1))
#define leg_ends(m) (leg[X(0, m)] != WAIT && leg[X(1, m)] != WAIT)
#define leg_good(m) ((leg[X(0, m)] == GOOD && strong(0)) || \
		     (leg[X(1, m)] == GOOD && strong(1)))
#else
#define all(p) (p(0) && p(1) && p(2))
#define any(p) (p(0) || p(1) || p(2))
#define count(p) (p(0) + p(1) + p(2))
#define leg_ends(m) (leg[X(0, m)] != WAIT && leg[X(1, m)] != WAIT && \
		     leg[X(2, m)] != WAIT)
#define leg_good(m) ((leg[X(0, m)] == GOOD && strong(0)) || \
		     (leg[X(1, m)] == GOOD && strong(1)) || \
		     (leg[X(2, m)] == GOOD && strong(2)))
#endif
#define closed any(is_closed)
#define out(m) (op[m] == LEGS || op[m] == HOLD)
/* A write that was sent when this link was not there: it is waited for. */
#define without(r, m) (out(m) && leg[X(r, m)] == NONE)

#ifdef PROBE
#define probe(x) assert(x != PROBE)
#else
#define probe(x) skip
#endif
#define REPLACED 1	/* an entry goes for another one */
#define MADE_EQUAL 2	/* in-sync copies differ where the log says */
#define NOT_COPIED 3	/* a copy comes back, of which one mib is equal */
#define LOST_BACK 4	/* a write goes again to the replica that was lost */
#define VOID_LOG 5	/* an entry that some have is void */
#define LATE 6		/* data land after their link has failed */

/* An entry may go. */
#define unflushed(m) ((cur | flushing) & B(m))
#if defined(MUT_DROP_UNFLUSHED)
#define idle(m) (!out(m) && !(op[m] == PEND && op_sent[m]))
#elif defined(MUT_DROP_IN_FLIGHT)
#define idle(m) (!unflushed(m) && !(op[m] == PEND && op_sent[m]))
#elif defined(MUT_DROP_UNSURE)
#define idle(m) (!unflushed(m) && !out(m))
#else
#define idle(m) (!unflushed(m) && !out(m) && !(op[m] == PEND && op_sent[m]))
#endif
#define other(m) (1 - (m))
#define room(m) ((tab & B(m)) || (tab & B(other(m))) == 0 || ENTRIES > 1 || \
		 ((logged & B(other(m))) && idle(other(m))))

inline stamp_named(set)
{
	for (i : 0 .. MIBS - 1) {
		if
		:: (set) & B(i) -> stamp[i] = ow_v
		:: else
		fi
	}
	i = 0
}

inline settle(r)
{
	for (i : 0 .. MIBS - 1) {
		disk[X(r, i)] = cache[X(r, i)]
	}
	i = 0;
#ifdef MUT_NO_FUA
	log[r] = lcache[r];
#endif
}

/* Nothing of before lands any more. */
inline drain(r)
{
	for (i : 0 .. MIBS - 1) {
		msg[X(r, i)] = 0
	}
	i = 0;
	lmsg[r] = 0
}

inline fail_link(r)
{
	/* It was sent no pages, which might land all the same. */
	if
	:: cm == 2 && ln[r] == SYNC && sy[r] == 0 -> pdone[r] = ALL
	:: else
	fi;
	if
	:: ln[r] == IN && count(is_in) == 1 -> ln[r] = LOST
	:: else -> ln[r] = FAILING
	fi;
	for (i : 0 .. MIBS - 1) {
		if
		:: leg[X(r, i)] == WAIT -> leg[X(r, i)] = BAD
		:: else
		fi
	}
	i = 0;
	cm_fail = (cm != 0);
	lg_fail = (lg != 0);
	sy[r] = 0;
	sy_at[r] = 0
}

inline crash()
{
	ow = DOWN;
	ow_v = 0;
	ow_ret = 0;
	cur = 0;
	flushing = 0;
	logged = 0;
	tab = 0;
	lg = 0;
	lg_mib = 0;
	lg_fail = false;
	lg_done = 0;
	cm = 0;
	cm_fail = false;
	cm_v = 0;
	cm_done = 0;
	for (i : 0 .. MIBS - 1) {
		stamp[i] = 0;
		img[i] = 0;
		snap[i] = 0;
		op[i] = IDLE;
		op_val[i] = 0;
		op_ret[i] = 0;
		op_sent[i] = false
	}
	for (i : 0 .. REPLICAS - 1) {
		ln[i] = OUT;
		sy_at[i] = 0;
		sy[i] = 0;
		pdone[i] = 0
	}
	for (i : 0 .. REPLICAS * MIBS - 1) {
		leg[i] = NONE
	}
	i = 0
}

/* Any part of the cache.  What was on its way landed before, or does not. */
inline cut(r)
{
	drain(r);
	for (i : 0 .. MIBS - 1) {
		if
		:: cache[X(r, i)] != disk[X(r, i)] ->
			if
			:: cache[X(r, i)] = disk[X(r, i)]
			:: disk[X(r, i)] = cache[X(r, i)]
			fi
		:: else
		fi
	}
	i = 0;
#ifdef MUT_NO_FUA
	if
	:: lcache[r] = log[r]
	:: log[r] = lcache[r]
	fi
#endif
}

inline round_ends(good)
{
	cur = (good -> cur : cur | flushing);
#ifdef MUT_DROP_VOID
	cur = cur & ~flushing;
#endif
	flushing = 0;
	for (i : 0 .. MIBS - 1) {
		if
		:: good && snap[i] > g_flushed[i] -> g_flushed[i] = snap[i]
		:: else
		fi;
		img[i] = 0;
		snap[i] = 0
	}
	for (i : 0 .. REPLICAS - 1) {
		pdone[i] = 0;
		if
		:: sy[i] == 2 -> sy[i] = (good -> 3 : 1)
		:: else
		fi
	}
	i = 0;
	if
	:: good && ow == STAMPING -> ow = EMPTYING
	:: else
	fi;
	cm = 0;
	cm_fail = false;
	cm_v = 0;
	cm_done = 0
}

proctype Write(byte m)
{
	byte i;

	do
	:: d_step {
		ow == SERVING && op[m] == IDLE && g_writes < WRITES ->
		printf("write of mib %d is submitted\n", m);
		g_writes++;
		op[m] = PEND;
		op_val[m] = g_writes;
		cur = cur | B(m);
		g_val[m] = UNKNOWN
	   }
	/* The miss: it waits for an entry that is durable on all. */
	:: d_step {
		ow == SERVING && op[m] == PEND && !(logged & B(m)) &&
		lg == 0 && !closed && room(m) ->
		printf("entry for mib %d is written\n", m);
		if
		:: ENTRIES == 1 && (tab & B(other(m))) ->
			probe(REPLACED);
			logged = 0;
			tab = 0
		:: else
		fi;
		tab = tab | B(m);
		lg = 1;
		lg_mib = m;
		lg_fail = false;
		lg_done = 0;
		for (i : 0 .. REPLICAS - 1) {
			if
			:: strong(i) -> lmsg[i] = tab + 1
			:: else
			fi
		}
		i = 0
	   }
	:: d_step {
		lg == 1 && lg_mib == m &&
#ifdef MUT_ENTRY_ON_ONE
		lg_done != 0 ->
		printf("entry for mib %d is durable somewhere\n", m);
		logged = logged | B(m);
#else
		all(log_ended) ->
		printf("entry for mib %d: %d\n", m, !lg_fail && !closed);
		if
#ifdef MUT_VOID_ENTRY_COUNTS
		:: true -> logged = logged | B(m)
#else
		:: !lg_fail && !closed -> logged = logged | B(m)
#endif
		:: else -> if :: lg_done != 0 -> probe(VOID_LOG) :: else fi
		fi;
#endif
		lg = 0;
		lg_mib = 0;
		lg_fail = false;
		lg_done = 0
	   }
	:: d_step {
		ow == SERVING && op[m] == PEND && any(strong) &&
#ifdef MUT_DATA_FIRST
		true ->
#else
		(logged & B(m)) ->
#endif
		printf("write of mib %d is sent\n", m);
		cur = cur | B(m);
		op[m] = LEGS;
		op_ret[m] = ow_ret;
		op_sent[m] = true;
		for (i : 0 .. REPLICAS - 1) {
			if
			:: takes(i) ->
				assert(msg[X(i, m)] == 0);
				msg[X(i, m)] = op_val[m];
				leg[X(i, m)] = WAIT
			:: else ->
				leg[X(i, m)] = NONE
			fi
		}
		i = 0
	   }
	:: d_step {
		op[m] == LEGS && leg_ends(m) ->
		printf("write of mib %d has ended\n", m);
		cur = cur | B(m);
		if
		:: leg_good(m) -> op[m] = HOLD
		:: else ->
			op[m] = PEND;
			stamp[m] = ow_v
		fi;
		if
		:: closed -> stamp[m] = ow_v
		:: else
		fi
	   }
	:: d_step {
		op[m] == HOLD && !closed ->
		printf("write of mib %d: %d\n", m, op_ret[m] == ow_ret);
		cur = cur | B(m);
		stamp[m] = ow_v;
		if
		:: op_ret[m] != ow_ret ->
			probe(LOST_BACK);
			op[m] = PEND
		:: else ->
			g_acked[m] = op_val[m];
			g_val[m] = op_val[m];
			op[m] = IDLE;
			op_val[m] = 0;
			op_ret[m] = 0;
			op_sent[m] = false;
			for (i : 0 .. REPLICAS - 1) {
				leg[X(i, m)] = NONE
			}
			i = 0
		fi
	   }
	od
}

proctype Owner()
{
	byte i, k;

	do
	/* FLUSH, and what makes stamps durable. */
	:: d_step {
		cm == 0 && (ow == SERVING || ow == STAMPING) &&
#ifdef PROGRESS
		!closed &&	/* it would be void, again and again */
#endif
		(cur != 0 || ow == STAMPING || any(waits_round)) ->
		printf("round begins\n");
		cm = 1;
		cm_fail = closed;
		cm_v = ow_v;
		cm_done = 0;
		flushing = cur;
		cur = 0;
		for (i : 0 .. MIBS - 1) {
			img[i] = stamp[i];
			snap[i] = g_acked[i]
		}
		for (i : 0 .. REPLICAS - 1) {
			if
			:: waits_round(i) -> sy[i] = 2
			:: else
			fi
		}
		i = 0
	   }
	:: d_step {
		cm == 1 && all(flush_ended) ->
		printf("round: data are flushed\n");
#ifdef MUT_DROP_EARLY
		flushing = 0;
#endif
		if
		:: cm_fail -> round_ends(false)
		:: else -> cm = 2
		fi
	   }
	:: d_step {
		cm == 2 && all(pages_ended) ->
		printf("round ends\n");
		round_ends((!cm_fail && !closed && cm_v == ow_v))
	   }
	/* The log is emptied when the stamps are durable. */
	:: d_step {
		ow == EMPTYING && any(is_in) ->
		printf("log is emptied\n");
		for (i : 0 .. REPLICAS - 1) {
			if
			:: is_in(i) ->
				log[i] = 0;
#ifdef MUT_NO_FUA
				lcache[i] = 0
#endif
			:: else
			fi
		}
		i = 0;
#ifdef MUT_EMPTY_FIRST
		ow = STAMPING
#else
		ow = SERVING
#endif
	   }
#ifdef MUT_EMPTY_FIRST
	:: d_step {
		ow == STAMPING && any(is_in) -> ow = SERVING
	   }
#endif
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
	byte i, k, named;

	do
	/* Messages. */
	:: d_step {
		msg[X(r, 0)] != 0 ->
		printf("store %d: data of mib 0 land\n", r);
		if
		:: ln[r] == FAILING || ln[r] == LOST || ow == DOWN -> probe(LATE)
		:: else
		fi;
		cache[X(r, 0)] = msg[X(r, 0)];
		msg[X(r, 0)] = 0;
		if
		:: leg[X(r, 0)] == WAIT -> leg[X(r, 0)] = GOOD
		:: else
		fi
	   }
	:: d_step {
		msg[X(r, 1)] != 0 ->
		printf("store %d: data of mib 1 land\n", r);
		cache[X(r, 1)] = msg[X(r, 1)];
		msg[X(r, 1)] = 0;
		if
		:: leg[X(r, 1)] == WAIT -> leg[X(r, 1)] = GOOD
		:: else
		fi
	   }
	:: d_step {
		lmsg[r] != 0 ->
		printf("store %d: log page names %d\n", r, lmsg[r] - 1);
#ifdef MUT_NO_FUA
		lcache[r] = lmsg[r] - 1;
#else
		log[r] = lmsg[r] - 1;
#endif
		lmsg[r] = 0;
		if
		:: lg == 1 && strong(r) -> lg_done = lg_done | B(r)
		:: else
		fi
	   }
	/* Parts of a round. */
	:: d_step {
		cm == 1 && takes(r) && !(cm_done & B(r)) ->
		printf("store %d: FLUSH\n", r);
		settle(r);
		cm_done = cm_done | B(r)
	   }
	:: d_step {
		cm == 2 && (takes(r) || ln[r] == FAILING) &&
		!(ln[r] == SYNC && sy[r] == 0) && !(pdone[r] & B(0)) ->
		printf("store %d: page of mib 0, stamp %d\n", r, img[0]);
		page[X(r, 0)] = img[0];
		pdone[r] = pdone[r] | B(0)
	   }
	:: d_step {
		cm == 2 && (takes(r) || ln[r] == FAILING) &&
		!(ln[r] == SYNC && sy[r] == 0) && !(pdone[r] & B(1)) ->
		printf("store %d: page of mib 1, stamp %d\n", r, img[1]);
		page[X(r, 1)] = img[1];
		pdone[r] = pdone[r] | B(1)
	   }
	/* Leaving. */
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
		rec[r] = STALE;
		rec_v++
	   }
	:: d_step {
		ln[r] == FAILING && rec[r] == STALE ->
		printf("store %d: removal confirmed\n", r);
		if
		:: rec_v <= ow_v -> rec_v++
		:: else
		fi;
		ow_v = rec_v;
#ifndef MUT_NO_STAMP_AT_REMOVAL
		stamp_named(cur | flushing);
#endif
		ln[r] = OUT
	   }
	:: d_step {
		ln[r] == LOST ->
		printf("store %d: the last one returns\n", r);
		drain(r);
		ln[r] = IN;
		ow_ret++
	   }
	/* The return. */
	:: d_step {
		ow == SERVING && ln[r] == OUT && rec[r] == STALE && any(is_in) ->
		printf("store %d: syncing\n", r);
		rec[r] = SYNCING;
		rec_v++;
		drain(r);
		ln[r] = SYNC
	   }
	:: d_step {
		ln[r] == SYNC && sy_at[r] < MIBS && any(is_in) &&
		!out(sy_at[r]) && !without(r, 0) && !without(r, 1) ->
		printf("store %d: mib %d is compared\n", r, sy_at[r]);
		if
		:: page[X(r, sy_at[r])] == stamp[sy_at[r]] ->
			probe(NOT_COPIED)
		:: else ->
			k = (is_in(0) -> 0 : (is_in(1) -> 1 : 2));
			cache[X(r, sy_at[r])] = cache[X(k, sy_at[r])];
			k = 0
		fi;
		sy_at[r]++
	   }
	:: d_step {
		ln[r] == SYNC && sy_at[r] == MIBS && sy[r] == 0 ->
		printf("store %d: copy is flushed\n", r);
		settle(r);
		sy[r] = 1
	   }
	:: d_step {
		ln[r] == SYNC && sy[r] == 3 && lg == 0 && any(is_in) ->
		printf("store %d: joins\n", r);
#ifndef MUT_JOIN_BARE
		log[r] = tab;
#ifdef MUT_NO_FUA
		lcache[r] = tab;
#endif
#endif
		k = (is_in(0) -> 0 : (is_in(1) -> 1 : 2));
		/* I6, I9: what was named or written since is all that it lacked. */
		for (i : 0 .. MIBS - 1) {
			assert(op[i] != IDLE || cache[X(r, i)] == cache[X(k, i)])
		}
		i = 0;
		k = 0;
		ln[r] = JOIN;
		sy[r] = 0;
		sy_at[r] = 0
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
		stamp_named(cur | flushing);
		ln[r] = IN;
		for (i : 0 .. REPLICAS - 1) {
			if
			:: ln[i] == LOST -> ln[i] = FAILING
			:: else
			fi
		}
		i = 0
	   }
	/* Take-over: this one is elected. */
	:: d_step {
		ow == DOWN && rec[r] == INSYNC ->
		printf("store %d: elected, its log names %d\n", r, log[r]);
		for (k : 0 .. REPLICAS - 1) {
			drain(k)
		}
		settle(r);
		named = log[r];
#ifdef MUT_LOG_OF_STALE
		for (k : 0 .. REPLICAS - 1) {
			if
			:: rec[k] != INSYNC -> named = log[k]
			:: else
			fi
		}
#endif
		rec_v = rec_v + 2;
		for (k : 0 .. REPLICAS - 1) {
			for (i : 0 .. MIBS - 1) {
				if
				:: rec[k] == INSYNC &&
				   cache[X(k, i)] != cache[X(r, i)] ->
					probe(MADE_EQUAL);
					/* I6: it names all that may differ. */
					assert(named & B(i))
				:: else
				fi
			}
			rec[k] = (k == r -> INSYNC : STALE)
		}
		k = 0;
		for (i : 0 .. MIBS - 1) {
			/* I1, I7 */
			assert(cache[X(r, i)] >= g_flushed[i]);
			assert(g_val[i] == UNKNOWN || (named & B(i)) ||
			       cache[X(r, i)] == g_val[i]);
			g_flushed[i] = cache[X(r, i)];
			g_acked[i] = cache[X(r, i)];
			g_val[i] = cache[X(r, i)];
			stamp[i] = page[X(r, i)]
		}
		i = 0;
		ow_v = rec_v;
		cur = named;
		ln[r] = IN;
#ifndef MUT_NO_STAMP
		stamp_named(named);
#endif
#ifdef MUT_EMPTY_FIRST
		ow = EMPTYING;
#else
		ow = STAMPING;
#endif
		named = 0
	   }
	/* I7: what was found or acknowledged is what any in-sync copy has. */
	:: d_step {
		strong(r) && ow == SERVING &&
		((op[0] == IDLE && g_val[0] != UNKNOWN &&
		  cache[X(r, 0)] != g_val[0]) ||
		 (op[1] == IDLE && g_val[1] != UNKNOWN &&
		  cache[X(r, 1)] != g_val[1])) ->
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
	:: g_writes == WRITES && op[0] == IDLE && op[1] == IDLE &&
	   ow == SERVING && all(is_in) ->
progress:	skip
	od
}
#endif

init {
	atomic {
#ifdef PROGRESS
		run Done();
#endif
		run Owner();
		run Write(0);
		run Write(1);
		run Replica(0);
#if REPLICAS == 3
		run Replica(2);
#endif
		run Replica(1)
	}
}
