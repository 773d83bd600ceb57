/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ownership, fencing, leases, in-sync sets, take-over and return of a volume.
 *
 * One block, one volume, OWNERS nodes that may own it and REPLICAS stores.
 * The names follow docs/design.md: gate, handles, incarnation, lease, stamp,
 * v. What the model says of the product:
 *
 *   record     the metadata store's record of the volume; every change is a
 *              compare-and-swap, so each is one step here
 *   store      a replica's node: gate, module and agent. Its disk has a
 *              volatile cache: a power cut keeps any part of it.
 *   message    a write on its way. It outlives the owner's patience: the path
 *              may time out and the write land later. It passes the gate
 *              first (handle known?) and lands in a further step.
 *   time       leases run out at any moment, but a store's never before the
 *              owner's: the owner counts from submission, the store from
 *              arrival
 *   guest      writes 1, 2, ... in the order of submission, reads, flushes
 *
 * Each process is one loop of atomic steps; all state is global. Faults are
 * counted down from FAULTS, take-overs are limited by EPOCHS.
 *
 * MUT_* leaves out one rule each; mutations.tsv says which configuration must
 * catch it.
 */
#ifndef OWNERS
#define OWNERS 2
#endif
#ifndef REPLICAS
#define REPLICAS 2
#endif
#ifndef WRITES
#define WRITES 2
#endif
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef EPOCHS
#define EPOCHS 2
#endif
#ifndef MSGS
#define MSGS 2		/* writes on their way to one store */
#endif

#define NOBODY 255
#define UNKNOWN 255

/* The record. */
#define STALE 0		/* rec_sv: the v at which it left; 0: trust nothing */
#define SYNCING 1
#define INSYNC 2
byte rec_owner = NOBODY;
byte rec_epoch;
bool rec_serving;
byte rec_v = 1;
byte rec_st[REPLICAS];
byte rec_sv[REPLICAS];
/* The grant keys: what a store's agent said last. */
byte key_epoch[REPLICAS];
byte key_inc[REPLICAS];
byte key_handle[REPLICAS];
bool key_renew[REPLICAS];	/* the owner asks for new handles */

/* The stores. */
bool st_up[REPLICAS];
byte st_inc[REPLICAS];
byte st_handle[REPLICAS];	/* the one handle that passes; 0: none */
byte st_epoch[REPLICAS];	/* whose it is */
byte st_next[REPLICAS];		/* handles are never used again */
bool st_lease[REPLICAS];	/* a lease that was given may be alive */
byte st_cache[REPLICAS];	/* what a read of the block returns */
byte st_disk[REPLICAS];		/* what a power cut leaves at least */
byte st_page[REPLICAS];		/* the stamp in the durable metadata page */

/* Messages: writes on their way to a store. */
#define FREE 0
#define SENT 1
#define PASSED 2		/* the gate let it in */
byte m_state[REPLICAS * MSGS];
byte m_value[REPLICAS * MSGS];
byte m_handle[REPLICAS * MSGS];
byte m_owner[REPLICAS * MSGS];	/* who waits for the answer; NOBODY: gave up */

/* The owners' modules and agents. */
#define DOWN 0
#define TAKING 1
#define SERVING 2
#define STARTING 3
byte ow_st[OWNERS];
byte ow_epoch[OWNERS];
byte ow_v[OWNERS];
byte ow_write[OWNERS];		/* being written, 0: nothing */
byte ow_stamp[OWNERS];		/* of the slot, in RAM */
bool ow_unflushed[OWNERS];
bool ow_inround[OWNERS];	/* unflushed mark that the round has taken */
byte ow_round[OWNERS];		/* 0 none, 1 data FLUSH, 2 pages */
bool ow_void[OWNERS];		/* the round must not end well */
byte ow_image[OWNERS];		/* stamp in the page's copy */
byte ow_names[OWNERS];		/* newest write whose data the copy names */
byte ow_sees[OWNERS];		/* newest acknowledged write at the round's start */

/* The links: owner d's path to store r. */
#define OUT 0
#define SYNC 1			/* gets writes, is being copied */
#define JOIN 2			/* as in-sync, but for reads */
#define IN 3
#define FAILING 4
byte ln[OWNERS * REPLICAS];
byte ln_handle[OWNERS * REPLICAS];
byte ln_inc[OWNERS * REPLICAS];
bool ln_lease[OWNERS * REPLICAS];
bool ln_was[OWNERS * REPLICAS];	/* FAILING: the record says in-sync */
bool ln_copied[OWNERS * REPLICAS];
bool ln_flushed[OWNERS * REPLICAS];
bool ln_done[OWNERS * REPLICAS];	/* part of the round that is through */
byte lg[OWNERS * REPLICAS];	/* leg of the write: NONE, WAIT, GOOD, BAD */
#define NONE 0
#define WAIT 1
#define GOOD 2
#define BAD 3

/* What the guest was promised. */
byte g_writes;			/* submitted so far */
byte g_acked;
byte g_flushed;
byte g_floor;			/* a read may return no less */
byte g_value = UNKNOWN;		/* and exactly this, if known */
byte g_faults = FAULTS;

#define L(d, r) ((d) * REPLICAS + (r))
#define M(r, i) ((r) * MSGS + (i))
#define mine(d) (rec_owner == d && rec_epoch == ow_epoch[d])
#define live(d, r) (st_up[r] && st_handle[r] != 0 && \
		    st_handle[r] == ln_handle[L(d, r)] && \
		    st_inc[r] == ln_inc[L(d, r)])
#define strong(s) (s == IN || s == JOIN)
#define takes(s) (s == IN || s == JOIN || s == SYNC)

#if REPLICAS == 2
#define all(p, d) (p(d, 0) && p(d, 1))
#define any(p, d) (p(d, 0) || p(d, 1))
#define count(p, d) (p(d, 0) + p(d, 1))
#else
#define all(p, d) (p(d, 0) && p(d, 1) && p(d, 2))
#define any(p, d) (p(d, 0) || p(d, 1) || p(d, 2))
#define count(p, d) (p(d, 0) + p(d, 1) + p(d, 2))
#endif

#define is_insync(d, r) (rec_st[r] == INSYNC)
#define is_source(d, r) (ln[L(d, r)] == IN && live(d, r))
#define is_failing(d, r) (ln[L(d, r)] == FAILING)
#define is_in(d, r) (ln[L(d, r)] == IN)
#define is_join(d, r) (ln[L(d, r)] == JOIN)

/* Reads and acknowledgments need a lease of each store that may be elected. */
#ifdef MUT_NO_LEASE_CHECK
#define leased(d, r) true
#else
#define leased(d, r) (!(strong(ln[L(d, r)]) || \
		       (ln[L(d, r)] == FAILING && ln_was[L(d, r)])) || \
		      ln_lease[L(d, r)])
#endif

/* A write may be acknowledged: no leg is out, none failed unconfirmed. */
#ifdef MUT_ACK_BEFORE_CONFIRM
#define leg_acked(d, r) (!takes(ln[L(d, r)]) || lg[L(d, r)] == GOOD)
#else
#define leg_acked(d, r) (ln[L(d, r)] == OUT || \
			 takes(ln[L(d, r)]) && lg[L(d, r)] == GOOD)
#endif
#define leg_good(d, r) (lg[L(d, r)] == GOOD && strong(ln[L(d, r)]))

#define round_ended(d, r) (ln_done[L(d, r)] || !takes(ln[L(d, r)]))
#define no_message(d, r) (m_state[M(r, 0)] != PASSED && m_state[M(r, 1)] != PASSED)

/* I3: who is in-sync in the record has what is acknowledged, but for what
 * the loss of its own volatile cache took: then it has another incarnation.
 */
#define holds(d, r) (rec_st[r] != INSYNC || !st_up[r] || \
		     st_inc[r] != ln_inc[L(d, r)] || \
		     !takes(ln[L(d, r)]) && ln[L(d, r)] != FAILING || \
		     st_cache[r] == ow_write[d])

inline forget_owner(d)
{
	ow_st[d] = DOWN;
	ow_epoch[d] = 0;
	ow_v[d] = 0;
	ow_write[d] = 0;
	ow_stamp[d] = 0;
	ow_unflushed[d] = false;
	ow_inround[d] = false;
	ow_round[d] = 0;
	ow_void[d] = false;
	ow_image[d] = 0;
	ow_names[d] = 0;
	ow_sees[d] = 0;
	for (i : 0 .. REPLICAS - 1) {
		ln[L(d, i)] = OUT;
		ln_handle[L(d, i)] = 0;
		ln_inc[L(d, i)] = 0;
		ln_lease[L(d, i)] = false;
		ln_was[L(d, i)] = false;
		ln_copied[L(d, i)] = false;
		ln_flushed[L(d, i)] = false;
		ln_done[L(d, i)] = false;
		lg[L(d, i)] = NONE;
	}
	for (i : 0 .. REPLICAS * MSGS - 1) {
		if
		:: m_owner[i] == d -> m_owner[i] = NOBODY
		:: else
		fi
	}
	i = 0
}

/* A failed path. The record must hear of it before anything is acknowledged. */
inline fail_link(d, r)
{
	ln_was[L(d, r)] = (ln[L(d, r)] == IN || ln[L(d, r)] == JOIN);
	ln[L(d, r)] = FAILING;
#ifndef MUT_ROUND_SKIPS_FAILING
	ow_void[d] = (ow_round[d] != 0);
#endif
	ln_copied[L(d, r)] = false;
	ln_flushed[L(d, r)] = false;
	if
	:: lg[L(d, r)] == WAIT -> lg[L(d, r)] = BAD
	:: else
	fi;
	for (i : 0 .. MSGS - 1) {
		if
		:: m_owner[M(r, i)] == d -> m_owner[M(r, i)] = NOBODY
		:: else
		fi
	}
	i = 0
}

proctype Owner(byte d)
{
	byte i;

	do
	/* I4, 1: claim. Also of a volume whose owner lives (--takeover). */
	:: d_step {
		ow_st[d] == DOWN && rec_epoch < EPOCHS ->
		printf("owner %d: claims\n", d);
		rec_owner = d;
		rec_epoch++;
		rec_serving = false;
		rec_v++;
		ow_st[d] = TAKING;
		ow_epoch[d] = rec_epoch;
		for (i : 0 .. REPLICAS - 1) {
			key_renew[i] = false
		}
		i = 0
	   }
	/* A claimant or owner that was replaced stops when its agent sees it. */
	:: d_step {
		ow_st[d] != DOWN && !mine(d) ->
		printf("owner %d: sees that it was replaced\n", d);
		forget_owner(d)
	   }
	:: d_step {
		ow_st[d] != DOWN && g_faults > 0 ->
		printf("owner %d: crashes\n", d);
		g_faults--;
		forget_owner(d)
	   }
	/* The guest writes. Busy bits: one write of the block at a time. */
	:: d_step {
		ow_st[d] == SERVING && ow_write[d] == 0 && g_writes < WRITES &&
		any(is_in, d) ->
		printf("owner %d: write is submitted\n", d);
		g_writes++;
		ow_write[d] = g_writes;
		ow_unflushed[d] = true;
		ow_stamp[d] = ow_v[d];
		g_value = UNKNOWN
	   }
	/* The acknowledgment. */
	:: d_step {
		ow_st[d] == SERVING && ow_write[d] != 0 &&
		all(leg_acked, d) && any(leg_good, d) && all(leased, d) ->
		printf("owner %d: acknowledges\n", d);
		assert(!mine(d) || !rec_serving || all(holds, d));
		g_acked = ow_write[d];
		if
		:: mine(d) && rec_serving ->
			g_value = ow_write[d];
			g_floor = ow_write[d]
		:: else
		fi;
		ow_write[d] = 0;
		for (i : 0 .. REPLICAS - 1) {
			lg[L(d, i)] = NONE
		}
		i = 0
	   }
	/* FLUSH: the page's copy is taken first. */
	:: d_step {
		ow_st[d] == SERVING && ow_round[d] == 0 && ow_unflushed[d] &&
#ifdef PROGRESS
		ow_write[d] == 0 &&	/* not one beside it after the other */
#endif
#ifdef MUT_ROUND_SKIPS_FAILING
		any(is_in, d) ->
#else
		any(is_in, d) && !any(is_failing, d) ->
#endif
		ow_round[d] = 1;
		ow_void[d] = false;
		ow_inround[d] = true;
		ow_unflushed[d] = (ow_write[d] != 0);
		ow_image[d] = ow_stamp[d];
		ow_names[d] = g_acked;
		ow_sees[d] = g_acked;
		for (i : 0 .. REPLICAS - 1) {
			ln_done[L(d, i)] = false
		}
		i = 0
	   }
	:: d_step {
		ow_round[d] == 1 && ow_void[d] ->
		printf("owner %d: flush: void\n", d);
		ow_unflushed[d] = true;
		ow_round[d] = 0;
		ow_image[d] = 0;
		ow_names[d] = 0;
		ow_sees[d] = 0;
		ow_void[d] = false;
		ow_inround[d] = false
	   }
	:: d_step {
		ow_round[d] == 1 && !ow_void[d] && all(round_ended, d) ->
		printf("owner %d: flush: data are flushed\n", d);
		ow_round[d] = 2;
#ifdef MUT_IMAGE_AFTER_FLUSH
		ow_image[d] = ow_stamp[d];
		ow_names[d] = g_acked;
#endif
		for (i : 0 .. REPLICAS - 1) {
			ln_done[L(d, i)] = false
		}
		i = 0
	   }
	:: d_step {
		ow_round[d] == 2 && all(round_ended, d) ->
		printf("owner %d: flush: ends\n", d);
		if
		:: ow_void[d] ->
			ow_unflushed[d] = true
		:: else ->
			if
			:: ow_sees[d] > g_flushed -> g_flushed = ow_sees[d]
			:: else
			fi
		fi;
		ow_round[d] = 0;
		ow_image[d] = 0;
		ow_names[d] = 0;
		ow_sees[d] = 0;
		ow_void[d] = false;
		ow_inround[d] = false
	   }
	od
}

proctype Link(byte d; byte r)
{
	byte i;

	do
	/* I4, 4: one of the in-sync stores that granted is the source, the
	 * others are trusted with nothing.
	 */
	:: d_step {
		ow_st[d] == TAKING && mine(d) && key_epoch[r] == ow_epoch[d] &&
#ifdef MUT_ELECT_SYNCING
		rec_st[r] != STALE ->
#else
		rec_st[r] == INSYNC ->
#endif
		printf("owner %d, store %d: elected\n", d, r);
		rec_serving = true;
		rec_v++;
		for (i : 0 .. REPLICAS - 1) {
			if
			:: i == r ->
				rec_st[i] = INSYNC
			:: else ->
#ifdef MUT_TRUST_AFTER_CRASH
				if
				:: rec_st[i] == INSYNC -> rec_sv[i] = rec_v
				:: else
				fi;
#else
				rec_sv[i] = 0;
#endif
				rec_st[i] = STALE
			fi
		}
		i = 0;
		ow_st[d] = STARTING;
		ow_v[d] = rec_v;
		ln[L(d, r)] = IN;
		ln_handle[L(d, r)] = key_handle[r];
		ln_inc[L(d, r)] = key_inc[r];
		assert(st_inc[r] != key_inc[r] || st_cache[r] >= g_flushed);
		assert(st_disk[r] >= g_flushed)
	   }
	/* I4, 5: what the owner before has not flushed is flushed before it is
	 * read: it counts as clean from here on. Then the pages are loaded.
	 */
	:: d_step {
		ow_st[d] == STARTING && is_source(d, r) ->
		printf("owner %d, store %d: flushed, loaded\n", d, r);
#ifndef MUT_NO_FLUSH_AT_START
		st_disk[r] = st_cache[r];
#endif
		ow_st[d] = SERVING;
		ow_stamp[d] = st_page[r];
		g_floor = g_flushed;
		g_value = UNKNOWN
	   }
	:: d_step {
		ow_st[d] == STARTING && ln[L(d, r)] == IN && !live(d, r) ->
		printf("owner %d, store %d: start fails\n", d, r);
		forget_owner(d)
	   }
	/* A beacon: the lease of a store whose gate knows us. */
	:: d_step {
		ow_st[d] == SERVING && ln[L(d, r)] != OUT &&
		live(d, r) && !ln_lease[L(d, r)] ->
		printf("owner %d, store %d: beacon\n", d, r);
		st_lease[r] = true;
		ln_lease[L(d, r)] = true
	   }
	:: d_step {
		ln_lease[L(d, r)] && !live(d, r) ->
		printf("owner %d, store %d: owner's lease runs out\n", d, r);
		ln_lease[L(d, r)] = false
	   }
	/* An owner that is frozen, or cut off for a while. */
	:: d_step {
		ln_lease[L(d, r)] && g_faults > 0 ->
		printf("owner %d: is frozen and goes on\n", d);
		g_faults--;
		for (i : 0 .. REPLICAS - 1) {
			ln_lease[L(d, i)] = false
		}
		i = 0
	   }
	/* Read from the elected replica: the first that is in-sync. */
	:: d_step {
#ifdef PROGRESS
		false &&	/* reads change nothing, and are always there */
#endif
		ow_st[d] == SERVING && ln[L(d, r)] == IN &&
		ow_write[d] == 0 && live(d, r) && all(leased, d) ->
		printf("owner %d, store %d: read\n", d, r);
		if
		:: g_value != UNKNOWN -> assert(st_cache[r] == g_value)
		:: else -> assert(st_cache[r] >= g_floor)
		fi;
		g_value = st_cache[r];
		g_floor = st_cache[r]
	   }
	/* The write goes out to each replica. */
	:: d_step {
		ow_st[d] == SERVING && ow_write[d] != 0 &&
		lg[L(d, r)] == NONE && takes(ln[L(d, r)]) &&
		(m_state[M(r, 0)] == FREE || m_state[M(r, 1)] == FREE) ->
		printf("owner %d, store %d: write is sent\n", d, r);
		if
		:: m_state[M(r, 0)] == FREE -> i = 0
		:: else -> i = 1
		fi;
		m_state[M(r, i)] = SENT;
		m_value[M(r, i)] = ow_write[d];
		m_handle[M(r, i)] = ln_handle[L(d, r)];
		m_owner[M(r, i)] = d;
		lg[L(d, r)] = WAIT;
		i = 0
	   }
	/* The path gives up; the write may land all the same. */
	:: d_step {
		ow_st[d] == SERVING && takes(ln[L(d, r)]) && g_faults > 0 ->
		printf("owner %d, store %d: path times out\n", d, r);
		g_faults--;
		fail_link(d, r)
	   }
	/* An answer from the gate or silence: the store is another one now. */
	:: d_step {
		ow_st[d] == SERVING && takes(ln[L(d, r)]) && !live(d, r) ->
		printf("owner %d, store %d: link finds the store gone\n", d, r);
		fail_link(d, r)
	   }
	/* I3: out of the set first; never the last. */
	:: d_step {
		ow_st[d] == SERVING && ln[L(d, r)] == FAILING && mine(d) &&
		(!ln_was[L(d, r)] ||
		 (rec_st[r] == INSYNC && count(is_insync, d) > 1 &&
		  any(is_in, d))) ->
		printf("owner %d, store %d: removed\n", d, r);
#ifdef MUT_SYNCING_KEEPS_V
		if
		:: ln_was[L(d, r)] -> rec_v++
		:: else
		fi;
#else
		rec_v++;
#endif
		if
		:: rec_st[r] == INSYNC -> rec_sv[r] = rec_v
		:: else
		fi;
		rec_st[r] = STALE;
		ow_v[d] = rec_v;
#ifndef MUT_NO_STAMP_AT_REMOVAL
		if
		:: ow_unflushed[d] || ow_inround[d] || ow_write[d] != 0 ->
			ow_stamp[d] = ow_v[d];
			ow_unflushed[d] = true
		:: else
		fi;
#endif
		ln[L(d, r)] = OUT;
		ln_was[L(d, r)] = false;
		ln_done[L(d, r)] = false;
		ln_lease[L(d, r)] = false;
		ln_handle[L(d, r)] = 0;
		ln_inc[L(d, r)] = 0;
		if
		:: lg[L(d, r)] != NONE -> lg[L(d, r)] = NONE
		:: else
		fi
	   }
	/* The last one cannot leave: it comes back, as itself, or not at all.
	 * What was written meanwhile is written again.
	 */
	:: d_step {
		ow_st[d] == SERVING && ln[L(d, r)] == FAILING && mine(d) &&
		ln_was[L(d, r)] && !any(is_in, d) && !key_renew[r] &&
		key_handle[r] == ln_handle[L(d, r)] && st_up[r] ->
		printf("owner %d, store %d: last link asks to return\n", d, r);
#ifdef MUT_SAME_HANDLES
		ln[L(d, r)] = IN;
#else
		key_renew[r] = true
#endif
	   }
	:: d_step {
		ow_st[d] == SERVING && ln[L(d, r)] == FAILING && mine(d) &&
		ln_was[L(d, r)] && !any(is_in, d) && !key_renew[r] &&
		key_epoch[r] == ow_epoch[d] &&
		key_handle[r] != ln_handle[L(d, r)] &&
#ifdef MUT_LAST_MAY_BE_ANOTHER
		true ->
#else
		(key_inc[r] == ln_inc[L(d, r)] ||
		 (!ow_unflushed[d] && !ow_inround[d])) ->
#endif
		printf("owner %d, store %d: last link returns\n", d, r);
		ln[L(d, r)] = IN;
		ln_was[L(d, r)] = false;
		ln_handle[L(d, r)] = key_handle[r];
		ln_inc[L(d, r)] = key_inc[r];
		ow_void[d] = (ow_round[d] != 0);
#ifndef MUT_RETURN_ACKS
		for (i : 0 .. REPLICAS - 1) {
			if
			:: lg[L(d, i)] != WAIT -> lg[L(d, i)] = NONE
			:: else
			fi
		}
		i = 0
#else
		if
		:: lg[L(d, r)] == BAD -> lg[L(d, r)] = GOOD
		:: else
		fi
#endif
	   }
	/* The parts of a round. */
	:: d_step {
		ow_round[d] == 1 && takes(ln[L(d, r)]) && !ln_done[L(d, r)] &&
		live(d, r) ->
		printf("owner %d, store %d: data flushed\n", d, r);
		st_disk[r] = st_cache[r];
		ln_done[L(d, r)] = true
	   }
	:: d_step {
		ow_round[d] == 2 && strong(ln[L(d, r)]) && !ln_done[L(d, r)] &&
		live(d, r) ->
		printf("owner %d, store %d: page written\n", d, r);
		/* I1: a page that is durable names no data that are not */
		assert(!mine(d) || st_disk[r] >= ow_names[d]);
		st_page[r] = ow_image[d];
		ln_done[L(d, r)] = true
	   }
	:: d_step {
		ow_round[d] == 2 && ln[L(d, r)] == SYNC && !ln_done[L(d, r)] ->
		printf("owner %d, store %d: page of a copy\n", d, r);
		/* What is copied and flushed gets pages, nothing else does. */
		if
		:: ln_flushed[L(d, r)] && live(d, r) ->
			st_page[r] = ow_image[d]
		:: else
		fi;
		ln_done[L(d, r)] = true
	   }
	/* The return: new handles, in the record first. */
	:: d_step {
		ow_st[d] == SERVING && ln[L(d, r)] == OUT && mine(d) &&
		rec_st[r] == STALE && any(is_in, d) && st_up[r] &&
		!key_renew[r] && ow_v[d] < 12 ->
		printf("owner %d, store %d: syncing in the record\n", d, r);
		rec_st[r] = SYNCING;
		rec_v++;
		ow_v[d] = rec_v;
#ifndef MUT_SAME_HANDLES
		key_renew[r] = true
#endif
	   }
	:: d_step {
		ow_st[d] == SERVING && ln[L(d, r)] == OUT && mine(d) &&
		rec_st[r] == SYNCING && !key_renew[r] &&
		key_epoch[r] == ow_epoch[d] && key_inc[r] == st_inc[r] &&
		ow_write[d] == 0 ->
		printf("owner %d, store %d: link added\n", d, r);
		ln[L(d, r)] = SYNC;
		ln_handle[L(d, r)] = key_handle[r];
		ln_inc[L(d, r)] = key_inc[r];
		ln_copied[L(d, r)] = false;
		ln_flushed[L(d, r)] = false
	   }
	/* The copy, under the busy bit; a slot with the same record is left out. */
	:: d_step {
		ow_st[d] == SERVING && ln[L(d, r)] == SYNC &&
		!ln_copied[L(d, r)] && live(d, r) && ow_write[d] == 0 &&
		any(is_source, d) ->
		printf("owner %d, store %d: copied or compared\n", d, r);
		if
		:: rec_sv[r] != 0 && st_page[r] == ow_stamp[d]
		:: else ->
			for (i : 0 .. REPLICAS - 1) {
				if
				:: ln[L(d, i)] == IN && live(d, i) ->
					st_cache[r] = st_cache[i]
				:: else
				fi
			}
			i = 0
		fi;
		ln_copied[L(d, r)] = true;
#ifdef MUT_PAGE_BEFORE_DATA
		st_page[r] = ow_stamp[d]
#endif
	   }
	:: d_step {
		ow_st[d] == SERVING && ln[L(d, r)] == SYNC &&
		ln_copied[L(d, r)] && !ln_flushed[L(d, r)] && live(d, r) &&
		ow_write[d] == 0 && ow_round[d] == 0 ->
		printf("owner %d, store %d: copy flushed\n", d, r);
		st_disk[r] = st_cache[r];
		ln_flushed[L(d, r)] = true
	   }
	/* From here on as in-sync; the record follows. */
	:: d_step {
		ow_st[d] == SERVING && ln[L(d, r)] == SYNC &&
		ln_flushed[L(d, r)] && live(d, r) && ow_write[d] == 0 &&
		ow_round[d] == 0 ->
		printf("owner %d, store %d: joining\n", d, r);
		st_disk[r] = st_cache[r];
		st_page[r] = ow_stamp[d];
#ifndef MUT_JOIN_LATE
		ln[L(d, r)] = JOIN;
#endif
		ln_done[L(d, r)] = false
	   }
	:: d_step {
#ifdef MUT_JOIN_LATE
		ow_st[d] == SERVING && ln[L(d, r)] == SYNC &&
		ln_flushed[L(d, r)] &&
#else
		ow_st[d] == SERVING && ln[L(d, r)] == JOIN &&
#endif
		mine(d) && rec_st[r] == SYNCING ->
		printf("owner %d, store %d: in-sync in the record\n", d, r);
		rec_st[r] = INSYNC;
		rec_sv[r] = 0;
		rec_v++
	   }
	/* What the record says, or how an outcome that was not known came out. */
	:: d_step {
		ow_st[d] == SERVING && ln[L(d, r)] == JOIN && mine(d) &&
		rec_st[r] == INSYNC ->
		printf("owner %d, store %d: confirmed in-sync\n", d, r);
		ow_v[d] = rec_v;
		ln[L(d, r)] = IN
	   }
	od
}

proctype Store(byte r)
{
	byte i;

	do
	/* The gate: an unknown handle is refused, for ever. */
	:: d_step {
		m_state[M(r, 0)] == SENT && st_up[r] ->
		printf("store %d: gate, message 0\n", r);
		i = 0;
		if
#ifdef MUT_NO_FENCE
		:: true ->
#else
		:: m_handle[M(r, 0)] == st_handle[r] ->
#endif
			m_state[M(r, 0)] = PASSED
		:: else ->
			m_state[M(r, 0)] = FREE;
			m_value[M(r, 0)] = 0;
			m_handle[M(r, 0)] = 0;
			m_owner[M(r, 0)] = NOBODY
		fi
	   }
	:: d_step {
		m_state[M(r, 1)] == SENT && st_up[r] ->
		printf("store %d: gate, message 1\n", r);
		if
#ifdef MUT_NO_FENCE
		:: true ->
#else
		:: m_handle[M(r, 1)] == st_handle[r] ->
#endif
			m_state[M(r, 1)] = PASSED
		:: else ->
			m_state[M(r, 1)] = FREE;
			m_value[M(r, 1)] = 0;
			m_handle[M(r, 1)] = 0;
			m_owner[M(r, 1)] = NOBODY
		fi
	   }
	/* It lands. The answer reaches who still waits. */
	:: d_step {
		(m_state[M(r, 0)] == PASSED || m_state[M(r, 1)] == PASSED) ->
		printf("store %d: write lands\n", r);
		if
		:: m_state[M(r, 0)] == PASSED -> i = 0
		:: else -> i = 1
		fi;
		st_cache[r] = m_value[M(r, i)];
		if
		:: m_owner[M(r, i)] != NOBODY ->
			lg[L(m_owner[M(r, i)], r)] = GOOD
		:: else
		fi;
		m_state[M(r, i)] = FREE;
		m_value[M(r, i)] = 0;
		m_handle[M(r, i)] = 0;
		m_owner[M(r, i)] = NOBODY;
		i = 0
	   }
#ifdef WRITEBACK
	/* The cache writes back when it likes. */
	:: d_step {
		st_up[r] && st_disk[r] != st_cache[r] ->
		printf("store %d: cache writes back\n", r);
		st_disk[r] = st_cache[r]
	   }
#endif
	/* I4, 3: revoke the epochs before the record's ... */
	:: d_step {
		st_up[r] && st_handle[r] != 0 && st_epoch[r] < rec_epoch ->
		printf("store %d: revokes\n", r);
		st_handle[r] = 0;
		st_epoch[r] = 0
	   }
	/* ... and grant when nothing of theirs is left. */
	:: d_step {
		st_up[r] && st_handle[r] == 0 && rec_owner != NOBODY &&
		(key_epoch[r] < rec_epoch || key_inc[r] != st_inc[r] ||
		 key_renew[r]) &&
#ifndef MUT_NO_DRAIN
		no_message(0, r) &&
#endif
#ifndef MUT_NO_LEASE_WAIT
		(!st_lease[r] || key_epoch[r] == rec_epoch) &&
#endif
		(!rec_serving || rec_st[r] == SYNCING || rec_st[r] == INSYNC) &&
		st_next[r] < 6 ->
		printf("store %d: grants\n", r);
		st_next[r]++;
		st_handle[r] = st_next[r];
		st_epoch[r] = rec_epoch;
		key_epoch[r] = rec_epoch;
		key_inc[r] = st_inc[r];
		key_handle[r] = st_handle[r];
		key_renew[r] = false
	   }
	/* I8: new handles within an epoch, the old ones first. */
	:: d_step {
		st_up[r] && key_renew[r] && st_handle[r] != 0 &&
		st_epoch[r] == rec_epoch ->
		printf("store %d: renews: old handles die\n", r);
		st_handle[r] = 0
	   }
	/* A lease that was given outlives the owner's own view of it. */
	:: d_step {
		st_lease[r] && !ln_lease[L(0, r)] && !ln_lease[L(1, r)] ->
		printf("store %d: store's lease runs out\n", r);
		st_lease[r] = false
	   }
	/* A power cut: any part of the cache. What was on its way into the
	 * device is gone, or was part of it.
	 */
	:: atomic {
		st_up[r] && g_faults > 0 ->
		printf("store %d: power cut\n", r);
		g_faults--;
		if
		:: st_cache[r] = st_disk[r]
		:: st_disk[r] = st_cache[r]
		fi;
		d_step {
			st_up[r] = false;
			st_handle[r] = 0;
			st_epoch[r] = 0;
#ifdef MUT_NO_SILENCE
			st_lease[r] = false;
#endif
			for (i : 0 .. MSGS - 1) {
				if
				:: m_state[M(r, i)] == PASSED ->
					m_state[M(r, i)] = FREE;
					m_value[M(r, i)] = 0;
					m_handle[M(r, i)] = 0;
					m_owner[M(r, i)] = NOBODY
				:: else
				fi
			}
			i = 0
		}
	   }
	/* Another incarnation. */
	:: d_step {
		!st_up[r] ->
		printf("store %d: is back\n", r);
		st_up[r] = true;
		st_inc[r]++
	   }
	od
}

/* I5: never two that may read or acknowledge. */
#define may_serve(d) (ow_st[d] == SERVING && any(is_in, d) && all(leased, d))

active proctype Watch()
{
	end:
	d_step {
		may_serve(0) && may_serve(1) ->
		assert(false)
	}
}

#ifdef PROGRESS
/*
 * In the end all is acknowledged and in-sync, or nobody is there who could claim
 * the volume.
 */
proctype Done()
{
	do
	:: (g_acked == WRITES && all(is_insync, 0)) ||
	   (ow_st[0] == DOWN && ow_st[1] == DOWN && rec_epoch == EPOCHS) ->
progress:	skip
	od
}
#endif

init {
	byte i;
	d_step {
		for (i : 0 .. REPLICAS - 1) {
			rec_st[i] = INSYNC;
			st_up[i] = true;
			st_inc[i] = 1;
			st_next[i] = 1;
			st_handle[i] = 1;
			st_epoch[i] = 1;
			st_lease[i] = true;
			key_epoch[i] = 1;
			key_inc[i] = 1;
			key_handle[i] = 1;
			ln[L(0, i)] = IN;
			ln_handle[L(0, i)] = 1;
			ln_inc[L(0, i)] = 1;
			ln_lease[L(0, i)] = true
		}
		for (i : 0 .. REPLICAS * MSGS - 1) {
			m_owner[i] = NOBODY
		}
		i = 0;
		/* An attach after a clean detach. */
		rec_owner = 0;
		rec_epoch = 1;
		rec_serving = true;
		ow_st[0] = SERVING;
		ow_epoch[0] = 1;
		ow_v[0] = rec_v;
		g_value = 0
	}
	atomic {
#ifdef PROGRESS
		run Done();
#endif
		run Owner(0);
		run Owner(1);
		run Link(0, 0);
		run Link(0, 1);
		run Link(1, 0);
		run Link(1, 1);
#if REPLICAS == 3
		run Link(0, 2);
		run Link(1, 2);
		run Store(2);
#endif
		run Store(0);
		run Store(1)
	}
}
