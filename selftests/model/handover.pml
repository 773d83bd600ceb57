/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Handing a running volume over to another node (I4), with each side dying at any
 * step; and that the guest's I/O goes on in the end.
 *
 * Two nodes, two in-sync stores, one block.  agent/core/volplan_hand.c,
 * kernel/handover.c and docs/design.md say what is modelled:
 *
 *   wish       in the record: the volume is to go to the other node; ready: that
 *              node has a disk whose I/O waits
 *   source     halts the volume, which flushes it, then makes the other node
 *              owner: epoch + 1, taking, clean, in one transaction.  Its outcome
 *              may stay unknown, and it may take effect later
 *   let go     the source's module tells the stores that its epoch is over: no
 *              lease is waited for.  The word may get lost
 *   target     serves after the fence of every store, as in any take-over
 *   HA         attaches a volume whose owner has died
 *
 * A module that lives goes on without its agent; an agent that was restarted
 * finds the module's state and the record, not what became of its transaction.
 * Each process does its next step when there is one: with weak fairness a cycle
 * without progress is one in which the guest waits for ever.
 *
 * MUT_*: mutations.tsv; PROBE: probes.tsv.
 */
#ifndef WRITES
#define WRITES 2
#endif
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef WISHES
#define WISHES 1
#endif

#define NOBODY 2
#define X(n, s) ((n) * 2 + (s))

/* The record. */
byte rec_owner;
byte rec_epoch = 1;
bool rec_serving = true;
bool rec_clean;
bool wish;			/* to 1 - rec_owner, at once */
bool ready;
byte key[2];			/* the epoch that a store has granted */
/* The transaction that makes the other node owner, outcome unknown. */
bool x_sent;
bool x_valid;			/* the record is as it compares */
byte x_by;

/* The stores. */
byte cache[2];
byte disk[2];
byte st_epoch[2] = 1;		/* whose handles pass, 0: nobody's */
byte st_over[2];		/* the epoch that was let go of */
byte st_lease[4];		/* X(n, s): the epoch whose lease may last */
byte msg[4];			/* X(n, s): data on their way */
byte msg_epoch[4];
byte word[4];			/* X(n, s): the epoch that is let go of */

/* The modules. */
#define DOWN 0
#define PREPARED 1		/* a disk whose I/O waits */
#define STARTING 2
#define SERVING 3
#define HALTING 4
#define HALTED 5
byte m[2];
byte m_epoch[2];
byte m_map[2];			/* newest write that its map knows */
bool lease[4];			/* X(n, s) */
#define IDLE 0
#define LEGS 1
byte op[2];
byte leg[4];			/* 1 waits, 2 good */
/* The agents. */
bool alive[2];			/* seen alive by the other one */
bool x_mine[2];			/* knows that a transaction has no outcome yet */

/* The guest writes 1, 2, ..., each until it is acknowledged. */
byte g_acked;
byte g_flushed;
byte g_faults = FAULTS;
byte g_wishes = WISHES;

#define mine(n) (rec_owner == n && rec_epoch == m_epoch[n])
#define may_serve(n) (m[n] == SERVING && lease[X(n, 0)] && lease[X(n, 1)])
#define granted (key[0] == rec_epoch && key[1] == rec_epoch)
#define changed x_valid = false

#ifdef PROBE
#define probe(x) assert(x != PROBE)
#else
#define probe(x) skip
#endif
#define HANDED 1	/* served by the target, clean */
#define LATE_OUTCOME 2	/* the unknown transaction takes effect */
#define VOID_OUTCOME 3	/* it cannot any more, and the source goes on */
#define WITHOUT_WORD 4	/* the word got lost, the lease is waited for */
#define TARGET_DIED 5	/* as the owner, before it served */
#define HANDED_BACK 6	/* there and back */

inline forget(n)
{
	m[n] = DOWN;
	m_epoch[n] = 0;
	m_map[n] = 0;
	op[n] = IDLE;
	leg[X(n, 0)] = 0;
	leg[X(n, 1)] = 0;
	lease[X(n, 0)] = false;
	lease[X(n, 1)] = false
}

inline say_over(n)
{
	word[X(n, 0)] = m_epoch[n];
	word[X(n, 1)] = m_epoch[n]
}

inline hand_over(n)
{
	changed;
	rec_owner = 1 - n;
	rec_epoch++;
	rec_serving = false;
	rec_clean = true;
	wish = false;
	ready = false
}

inline claim(n)
{
	changed;
	rec_owner = n;
	rec_epoch++;
	rec_serving = false;
	rec_clean = false;
	wish = false;
	ready = false
}

inline give_up()
{
	changed;
	wish = false;
	ready = false
}

proctype Node(byte n)
{
	do
	/* --- the module --- */
	:: d_step {
		m[n] == SERVING && op[n] == IDLE && g_acked < WRITES ->
		printf("node %d: write is sent\n", n);
		op[n] = LEGS;
		msg[X(n, 0)] = g_acked + 1;
		msg[X(n, 1)] = g_acked + 1;
		msg_epoch[X(n, 0)] = m_epoch[n];
		msg_epoch[X(n, 1)] = m_epoch[n];
		leg[X(n, 0)] = 1;
		leg[X(n, 1)] = 1
	   }
	:: d_step {
		(m[n] == SERVING || m[n] == HALTING) && op[n] == LEGS &&
		leg[X(n, 0)] == 2 && leg[X(n, 1)] == 2 &&
		lease[X(n, 0)] && lease[X(n, 1)] ->
		printf("node %d: write is acknowledged\n", n);
		g_acked++;
		m_map[n] = g_acked;
		op[n] = IDLE;
		leg[X(n, 0)] = 0;
		leg[X(n, 1)] = 0
	   }
	:: d_step {
		m[n] == SERVING && mine(n) && op[n] == IDLE &&
		g_flushed < g_acked && may_serve(n) ->
		printf("node %d: flush\n", n);
		disk[0] = cache[0];
		disk[1] = cache[1];
		g_flushed = g_acked
	   }
	:: d_step {
		m[n] >= SERVING && lease[X(n, 0)] &&
		st_epoch[0] != m_epoch[n] ->
		printf("node %d: lease of store 0 runs out\n", n);
		lease[X(n, 0)] = false
	   }
	:: d_step {
		m[n] >= SERVING && lease[X(n, 1)] &&
		st_epoch[1] != m_epoch[n] ->
		printf("node %d: lease of store 1 runs out\n", n);
		lease[X(n, 1)] = false
	   }
	/* --- the source's agent --- */
	:: d_step {
		m[n] == SERVING && mine(n) && rec_serving && wish && ready &&
		alive[1 - n] ->
		printf("node %d: halts\n", n);
#ifdef MUT_NO_HALT
		hand_over(n)
#else
		m[n] = HALTING
#endif
	   }
	:: d_step {
#ifdef MUT_HALT_WITHOUT_DRAIN
		m[n] == HALTING ->
#else
		m[n] == HALTING && op[n] == IDLE && mine(n) ->
#endif
		printf("node %d: is halted\n", n);
#ifndef MUT_HALT_WITHOUT_FLUSH
		disk[0] = cache[0];
		disk[1] = cache[1];
		g_flushed = g_acked;
#endif
#ifdef MUT_LET_GO_FIRST
		say_over(n);
#endif
		m[n] = HALTED
	   }
	:: d_step {
		m[n] == HALTED && mine(n) && rec_serving && wish && ready &&
		!x_mine[n] && alive[1 - n] ->
		printf("node %d: hands over\n", n);
		hand_over(n)
	   }
	/* The same, and nobody knows what became of it. */
	:: d_step {
		m[n] == HALTED && mine(n) && rec_serving && wish && ready &&
		!x_mine[n] && alive[1 - n] && g_faults > 0 && !x_sent ->
		printf("node %d: hands over, outcome unknown\n", n);
		g_faults--;
		x_sent = true;
		x_valid = true;
		x_by = n;
		x_mine[n] = true
	   }
	/* It could not be written, or the target is gone: first it is taken back. */
	:: d_step {
		m[n] == HALTED && mine(n) && rec_serving && wish &&
		(x_mine[n] || !ready || !alive[1 - n]) ->
		printf("node %d: takes it back\n", n);
#ifdef MUT_RESUME_WITH_WISH
		m[n] = SERVING;
#else
		give_up();
#endif
		x_mine[n] = false
	   }
	:: d_step {
		m[n] == HALTED && mine(n) && rec_serving && !wish ->
		printf("node %d: goes on\n", n);
		if
		:: x_sent && !x_valid -> probe(VOID_OUTCOME)
		:: else
		fi;
		x_mine[n] = false;
		m[n] = SERVING
	   }
	:: d_step {
		m[n] == SERVING && mine(n) && rec_serving && wish &&
		!alive[1 - n] ->
		printf("node %d: the target is gone\n", n);
		give_up()
	   }
	/* It was replaced.  What it has under way ends first, or never will. */
	:: d_step {
		m[n] >= STARTING && !mine(n) ->
		printf("node %d: lets go\n", n);
		if
		:: op[n] == IDLE -> say_over(n)
		:: else
		fi;
		x_mine[n] = false;
		forget(n)
	   }
	/* --- the target's agent --- */
	:: d_step {
		m[n] == DOWN && alive[n] && rec_owner == 1 - n &&
		rec_serving && wish ->
		printf("node %d: prepares\n", n);
#ifdef MUT_LOAD_EARLY
		m_map[n] = cache[0];
#endif
		m[n] = PREPARED;
		m_epoch[n] = rec_epoch + 1
	   }
	:: d_step {
		m[n] == PREPARED && rec_owner == 1 - n && rec_serving && wish &&
		!ready && m_epoch[n] == rec_epoch + 1 ->
		printf("node %d: is ready\n", n);
		changed;
		ready = true
	   }
	:: d_step {
		m[n] == PREPARED && !mine(n) &&
		!(rec_owner == 1 - n && rec_serving && wish &&
		  m_epoch[n] == rec_epoch + 1) ->
		printf("node %d: it is not to be\n", n);
		forget(n)
	   }
	/* Its limit has passed. */
	:: d_step {
		m[n] == PREPARED && rec_owner == 1 - n && wish &&
		g_faults > 0 ->
		printf("node %d: gives up\n", n);
		g_faults--;
		give_up()
	   }
	/* Owner, from whatever it was: the fence, then it serves. */
	:: d_step {
		rec_owner == n && !rec_serving && alive[n] &&
		(m[n] == DOWN || m[n] == PREPARED) &&
#ifdef MUT_NO_FENCE_WAIT
		(granted || (m[n] == PREPARED && rec_clean)) ->
#else
		granted ->
#endif
		printf("node %d: serving in the record\n", n);
		changed;
		rec_serving = true;
		m_epoch[n] = rec_epoch;
		m[n] = STARTING
	   }
	:: d_step {
		m[n] == STARTING && mine(n) ->
		printf("node %d: starts\n", n);
		if
		:: rec_clean ->
			/* All was flushed, and nothing lands any more. */
			probe(HANDED);
			if
			:: n == 0 -> probe(HANDED_BACK)
			:: else
			fi;
			assert(disk[0] == disk[1] && cache[0] == disk[0] &&
			       cache[1] == disk[1]);
			assert(cache[0] >= g_acked)
		:: else ->
			cache[1] = cache[0];
			disk[0] = cache[0];
			disk[1] = cache[0];
			assert(cache[0] >= g_flushed);
			g_acked = cache[0]
		fi;
		g_acked = cache[0];
		g_flushed = g_acked;
#ifdef MUT_LOAD_EARLY
		m_map[n] = (rec_clean -> m_map[n] : cache[0]);
#else
		m_map[n] = cache[0];
#endif
		rec_clean = false;
		m[n] = SERVING
	   }
	/* --- faults --- */
	:: d_step {
		m[n] != DOWN && g_faults > 0 ->
		printf("node %d: dies\n", n);
		g_faults--;
		if
		:: rec_owner == n && !rec_serving -> probe(TARGET_DIED)
		:: else
		fi;
		forget(n);
		alive[n] = false;
		x_mine[n] = false
	   }
	:: d_step {
		!alive[n] ->
		printf("node %d: is back\n", n);
		alive[n] = true
	   }
	:: d_step {
		x_mine[n] && g_faults > 0 ->
		printf("node %d: agent is killed and started again\n", n);
		g_faults--;
		x_mine[n] = false
	   }
	od
}

/* The leases of that epoch, not those of a later one. */
inline end_lease(n)
{
	if
#ifdef MUT_WORD_ENDS_ALL
	:: true -> st_lease[X(n, s)] = 0
#else
	:: st_lease[X(n, s)] == word[X(n, s)] -> st_lease[X(n, s)] = 0
#endif
	:: else
	fi
}

proctype Store(byte s)
{
	do
	/* The gate; then it lands. */
	:: d_step {
		msg[X(0, s)] != 0 ->
		printf("store %d: node 0's write %d: %d\n", s, msg[X(0, s)],
		       msg_epoch[X(0, s)] == st_epoch[s]);
		if
		:: msg_epoch[X(0, s)] == st_epoch[s] ->
			cache[s] = msg[X(0, s)];
			if
			:: leg[X(0, s)] == 1 && m_epoch[0] == st_epoch[s] ->
				leg[X(0, s)] = 2
			:: else
			fi
		:: else
		fi;
		msg[X(0, s)] = 0;
		msg_epoch[X(0, s)] = 0
	   }
	:: d_step {
		msg[X(1, s)] != 0 ->
		printf("store %d: node 1's write %d: %d\n", s, msg[X(1, s)],
		       msg_epoch[X(1, s)] == st_epoch[s]);
		if
		:: msg_epoch[X(1, s)] == st_epoch[s] ->
			cache[s] = msg[X(1, s)];
			if
			:: leg[X(1, s)] == 1 && m_epoch[1] == st_epoch[s] ->
				leg[X(1, s)] = 2
			:: else
			fi
		:: else
		fi;
		msg[X(1, s)] = 0;
		msg_epoch[X(1, s)] = 0
	   }
	/* A beacon. */
	:: d_step {
		m[0] >= SERVING && st_epoch[s] == m_epoch[0] &&
		!lease[X(0, s)] ->
		st_lease[X(0, s)] = m_epoch[0];
		lease[X(0, s)] = true
	   }
	:: d_step {
		m[1] >= SERVING && st_epoch[s] == m_epoch[1] &&
		!lease[X(1, s)] ->
		st_lease[X(1, s)] = m_epoch[1];
		lease[X(1, s)] = true
	   }
	/* Leases end, never before the owner's own view of them. */
	:: d_step {
		st_lease[X(0, s)] != 0 && !lease[X(0, s)] ->
		printf("store %d: lease of node 0 ends\n", s);
		if
		:: rec_clean && rec_owner == 1 && word[X(0, s)] == 0 &&
		   st_over[s] != 1 -> probe(WITHOUT_WORD)
		:: else
		fi;
		st_lease[X(0, s)] = 0
	   }
	:: d_step {
		st_lease[X(1, s)] != 0 && !lease[X(1, s)] ->
		printf("store %d: lease of node 1 ends\n", s);
		st_lease[X(1, s)] = 0
	   }
	/* The word: this epoch is over, for ever. */
	:: d_step {
		word[X(0, s)] != 0 ->
		printf("store %d: node 0 has let go\n", s);
		st_over[s] = word[X(0, s)];
		if
		:: st_epoch[s] == word[X(0, s)] -> st_epoch[s] = 0
		:: else
		fi;
		end_lease(0);
		word[X(0, s)] = 0
	   }
	:: d_step {
		word[X(1, s)] != 0 ->
		printf("store %d: node 1 has let go\n", s);
		st_over[s] = word[X(1, s)];
		if
		:: st_epoch[s] == word[X(1, s)] -> st_epoch[s] = 0
		:: else
		fi;
		end_lease(1);
		word[X(1, s)] = 0
	   }
	:: d_step {
		(word[X(0, s)] != 0 || word[X(1, s)] != 0) && g_faults > 0 ->
		printf("store %d: the word gets lost\n", s);
		g_faults--;
		word[X(0, s)] = 0;
		word[X(1, s)] = 0
	   }
	/* I4, 3. */
	:: d_step {
		st_epoch[s] != 0 && st_epoch[s] < rec_epoch ->
		printf("store %d: revokes\n", s);
		st_epoch[s] = 0
	   }
	:: d_step {
		st_epoch[s] == 0 && key[s] < rec_epoch && !rec_serving &&
		st_over[s] < rec_epoch &&
#ifndef MUT_NO_LEASE_WAIT
		st_lease[X(1 - rec_owner, s)] == 0 &&
#endif
		true ->
		printf("store %d: grants\n", s);
		st_epoch[s] = rec_epoch;
		key[s] = rec_epoch
	   }
	od
}

proctype World()
{
	do
	:: d_step {
		g_wishes > 0 && rec_serving && !wish ->
		printf("wish: to node %d\n", 1 - rec_owner);
		g_wishes--;
		changed;
		wish = true;
		ready = false
	   }
	:: d_step {
		wish && g_faults > 0 ->
		printf("wish is taken back\n");
		g_faults--;
		give_up()
	   }
	/* Attach: what its owner has left. */
	:: d_step {
		rec_serving && m[rec_owner] == DOWN && alive[1 - rec_owner] ->
		printf("node %d claims\n", 1 - rec_owner);
		claim(1 - rec_owner)
	   }
	:: d_step {
		rec_serving && m[rec_owner] == DOWN && alive[rec_owner] ->
		printf("node %d claims again\n", rec_owner);
		claim(rec_owner)
	   }
	/* And of what its owner has not: attach --takeover. */
	:: d_step {
		g_faults > 0 && alive[1 - rec_owner] ->
		printf("node %d takes over\n", 1 - rec_owner);
		g_faults--;
		claim(1 - rec_owner)
	   }
	/* The transaction takes effect, or never will. */
	:: d_step {
		x_sent && x_valid ->
		printf("the transaction takes effect\n");
		probe(LATE_OUTCOME);
		x_sent = false;
		hand_over(x_by)
	   }
	:: d_step {
		x_sent ->
		printf("the transaction is lost\n");
		x_sent = false
	   }
	/* Power cut of all. */
	:: atomic {
		g_faults > 0 ->
		printf("power cut of all\n");
		g_faults--;
		if
		:: cache[0] = disk[0]
		:: disk[0] = cache[0]
		fi;
		if
		:: cache[1] = disk[1]
		:: disk[1] = cache[1]
		fi;
		d_step {
			forget(0);
			forget(1);
			alive[0] = false;
			alive[1] = false;
			x_mine[0] = false;
			x_mine[1] = false;
			/* Grants of another incarnation are none. */
			st_epoch[0] = 0;
			st_epoch[1] = 0;
			key[0] = 0;
			key[1] = 0;
			msg[0] = 0;
			msg[1] = 0;
			msg[2] = 0;
			msg[3] = 0;
			msg_epoch[0] = 0;
			msg_epoch[1] = 0;
			msg_epoch[2] = 0;
			msg_epoch[3] = 0
		}
	   }
	od
}

/* What must never be. */
proctype Watch()
{
end:
	d_step {
		(may_serve(0) && may_serve(1)) ||
		(may_serve(0) && mine(0) && m_map[0] != g_acked) ||
		(may_serve(1) && mine(1) && m_map[1] != g_acked) ->
		assert(false)
	}
}

/* I/O waits, or it goes on. */
proctype Guest()
{
	do
	:: g_acked == WRITES ->
progress:	skip
	od
}

init {
	d_step {
		m[0] = SERVING;
		m_epoch[0] = 1;
		alive[0] = true;
		alive[1] = true;
		key[0] = 1;
		key[1] = 1;
		lease[X(0, 0)] = true;
		lease[X(0, 1)] = true;
		st_lease[X(0, 0)] = 1;
		st_lease[X(0, 1)] = 1
	}
	atomic {
		run Node(0);
		run Node(1);
		run Store(0);
		run Store(1);
		run World();
		run Watch();
		run Guest()
	}
}
