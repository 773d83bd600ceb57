// SPDX-License-Identifier: GPL-2.0-only
/*
 * The temporary replica in a volume's record: each transition, each refusal.
 * What they are good for is in record_temp_sim_test.c.
 */
#include <errno.h>
#include <kunit/test.h>

#include "record_temp_fix.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

enum op { BEGIN, COVERS, OUT, CLAIM, SERVE, REMOVE, SYNC, JOIN, FORGET, DETACH,
	  RENEW, DISTRUST, NAME, STAY, FORCE };

struct step {
	const char *name;
	const char *before;
	enum op op;
	char who;		/* node or store */
	char base;
	bool failing;
	bool dirty;		/* not cleared */
	bool clean;
	bool no_log;		/* the node keeps none */
	uint64_t v;		/* or the lineage */
	const char *confirmed;
	const char *rows;
	int ret;
	const char *after;	/* NULL: as before */
	const char *words;	/* of the reason */
};

static struct step steps[] = {
	/* It begins. */
	{ "one of two was lost", "S1 e1 v6 Ai1 Bs5", BEGIN, 'D', 'B',
	  .after = "S1 e1 v7 Ai1 Bs5 Dt5B" },
	{ "while the base is copied to", "S1 e1 v6 Ai1 By5", BEGIN, 'D', 'B',
	  .after = "S1 e1 v7 Ai1 By5 Dt5B" },
	{ "by rows", "S1 e1 v6 Ai1 Bs5 Ci1", BEGIN, 'D', 'B',
	  .rows = "AB,AC,BC", .after = "S1 e1 v7 Ai1 Bs5 Ci1 Dt5B" },
	{ "three replicas, two lost", "S1 e1 v9 Ai1 Bs5 Cs7", BEGIN, 'D', 'B',
	  .rows = "ABC", .after = "S1 e1 v10 Ai1 Bs5 Cs7 Dt5B" },
	{ "nobody serves", "N e1 v6 Ai1 Bs5", BEGIN, 'D', 'B',
	  .ret = -EPERM, .words = "no node serves" },
	{ "in a take-over", "T1 e1 v6 Ai1 Bs5", BEGIN, 'D', 'B',
	  .ret = -EPERM },
	{ "there is one", "S1 e1 v7 Ai1 Bs5 Dt5B", BEGIN, 'E', 'B',
	  .ret = -EEXIST, .words = "temporary replica on store" },
	{ "it is there", "S1 e1 v7 Ai1 Bs5 Dt5B", BEGIN, 'D', 'B',
	  .ret = -EEXIST },
	{ "on a store of the volume", "S1 e1 v7 Ai1 Bs5 Cs2", BEGIN, 'C', 'B',
	  .ret = -EEXIST, .words = "in the record already" },
	{ "on its own base", "S1 e1 v7 Ai1 Bs5", BEGIN, 'B', 'B',
	  .ret = -EEXIST },
	{ "on a store that rows name", "S1 e1 v7 Ai1 Bs5", BEGIN, 'D', 'B',
	  .rows = "AB,AbD", .ret = -EEXIST, .words = "has extent 1" },
	{ "for a stranger", "S1 e1 v7 Ai1 Bs5", BEGIN, 'D', 'E',
	  .ret = -ENOENT, .words = "holds nothing" },
	{ "for an in-sync one", "S1 e1 v7 Ai1 Bi5", BEGIN, 'D', 'B',
	  .ret = -EINVAL },
	{ "for one with nothing to add to", "S1 e1 v7 Ai1 Bs0", BEGIN, 'D',
	  'B', .ret = -EINVAL, .words = "trusted" },
	{ "a link is failing", "S1 e1 v6 Ai1 Bs5", BEGIN, 'D', 'B',
	  .failing = true, .ret = -EAGAIN, .words = "removal" },
	{ "something is left there", "S1 e1 v6 Ai1 Bs5", BEGIN, 'D', 'B',
	  .dirty = true, .ret = -EAGAIN, .words = "still has" },
	{ "two copies are in-sync", "S1 e1 v6 Ai1 Bs5 Ci1", BEGIN, 'D', 'B',
	  .ret = -EBUSY },
	{ "an extent has two in-sync", "S1 e1 v6 Ai1 Bs5 Ci1", BEGIN, 'D', 'B',
	  .rows = "AB,ABC", .ret = -EBUSY, .words = "extent 1" },
	{ "an incomplete one is none", "S1 e1 v6 Ai1 Bs5 Ci1", BEGIN, 'D', 'B',
	  .rows = "ABc", .after = "S1 e1 v7 Ai1 Bs5 Ci1 Dt5B" },
	{ "there are no activity logs", "S1 e1 v6 x Ai1 Bs5", BEGIN, 'D', 'B',
	  .ret = -EOPNOTSUPP, .words = "no activity logs" },
	{ "the base has no extent", "S1 e1 v6 Ai1 Bs5", BEGIN, 'D', 'B',
	  .rows = "A,Ab", .ret = -EINVAL, .words = "no extent" },

	/* The mark. */
	{ "it covers", "S1 e1 v7 Ai1 Bs5 Dt5B", COVERS, 'D', 'B', .v = 5,
	  .after = "S1 e1 v8 Ai1 Bs5 Dt5B!" },
	{ "it covers a syncing one", "S1 e1 v7 Ai1 By5 Dt5B", COVERS, 'D', 'B',
	  .v = 5, .after = "S1 e1 v8 Ai1 By5 Dt5B!" },
	{ "it covers twice", "S1 e1 v7 Ai1 Bs5 Dt5B!", COVERS, 'D', 'B',
	  .v = 5, .ret = -EALREADY },
	{ "another base", "S1 e1 v7 Ai1 Bs5 Cs5 Dt5B", COVERS, 'D', 'C',
	  .v = 5, .ret = -EINVAL, .words = "is not temporary" },
	{ "another v", "S1 e1 v7 Ai1 Bs5 Dt5B", COVERS, 'D', 'B',
	  .v = 4, .ret = -EINVAL, .words = "since v 4" },
	{ "a full copy covers", "S1 e1 v7 Ai1 Bs5", COVERS, 'A', 'B',
	  .v = 5, .ret = -EINVAL },
	{ "another store covers", "S1 e1 v7 Ai1 Bs5 Dt5B", COVERS, 'E', 'B',
	  .v = 5, .ret = -EINVAL },
	{ "it covers in a take-over", "T1 e1 v7 Ai1 Bs5 Dt5B", COVERS, 'D',
	  'B', .v = 5, .ret = -EPERM },

	/* It goes. */
	{ "out", "S1 e1 v7 Ai1 Bs5 Dt5B! Cs0", OUT, 'D',
	  .after = "S1 e1 v8 Ai1 Bs5 Cs0" },
	{ "removed, as a link that fails is", "S1 e1 v7 Ai1 Bs5 Dt5B!", REMOVE,
	  'D', .after = "S1 e1 v8 Ai1 Bs5" },
	{ "of a volume that is not attached", "N e1 v7 c Ai1 Bs5 Dt5B!", OUT,
	  'D', .after = "N e1 v8 c Ai1 Bs5" },
	{ "no such", "S1 e1 v7 Ai1 Bs5", OUT, 'D', .ret = -ENOENT },
	{ "not this one", "S1 e1 v7 Ai1 Bs5 Dt5B", OUT, 'B', .ret = -ENOENT },
	{ "half of a pair", "S1 e1 v7 As6 By5 Dt5B=", OUT, 'D',
	  .ret = -EBUSY, .words = "nobody else" },
	{ "half of a pair is removed", "S1 e1 v7 As6 By5 Dt5B=", REMOVE, 'D',
	  .ret = -EBUSY },
	{ "in a take-over", "T1 e1 v7 Ai1 Bs5 Dt5B!", OUT, 'D',
	  .ret = -EPERM },

	/* The base. */
	{ "begins to be copied to", "S1 e1 v7 Ai1 Bs5 Dt5B!", SYNC, 'B',
	  .after = "S1 e1 v8 Ai1 By5 Dt5B!" },
	{ "leaves again", "S1 e1 v7 Ai1 By5 Dt5B!", REMOVE, 'B',
	  .after = "S1 e1 v8 Ai1 Bs5 Dt5B!" },
	{ "is in-sync", "S1 e1 v7 Ai1 By5 Dt5B!", JOIN, 'B',
	  .after = "S1 e1 v8 Ai1 Bi8" },
	{ "is in-sync before there is a mark", "S1 e1 v7 Ai1 By5 Dt5B", JOIN,
	  'B', .after = "S1 e1 v8 Ai1 Bi8" },
	{ "another one is in-sync", "S1 e1 v7 Ai1 Bs5 Cy3 Dt5B!", JOIN, 'C',
	  .after = "S1 e1 v8 Ai1 Bs5 Ci8 Dt5B!" },
	{ "is forgotten", "S1 e1 v7 Ai1 Bs5 Dt5B", FORGET, 'B',
	  .ret = -EBUSY, .words = "is the base" },
	{ "another one is forgotten", "S1 e1 v7 Ai1 Bs5 Cs3 Dt5B!", FORGET,
	  'C', .after = "S1 e1 v8 Ai1 Bs5 Dt5B!" },
	{ "the temporary one is copied to", "S1 e1 v7 Ai1 Bs5 Dt5B!", SYNC,
	  'D', .ret = -EINVAL },
	{ "the temporary one is in-sync", "S1 e1 v7 Ai1 Bs5 Dt5B!", JOIN,
	  'D', .ret = -EINVAL },
	{ "the temporary one is forgotten", "S1 e1 v7 Ai1 Bs5 Dt5B!", FORGET,
	  'D', .ret = -EBUSY },
	{ "the last full copy is not removed", "S1 e1 v7 Ai1 Bs5 Dt5B!",
	  REMOVE, 'A', .ret = -EBUSY },

	/* Owners. */
	{ "a claim leaves the mark", "S1 e1 v7 Ai1 By5 Dt5B!", CLAIM, '2',
	  .after = "T2 e2 v8 Ai1 Bs5 Dt5B!" },
	{ "so does a detach", "S1 e1 v7 Ai1 By5 Dt5B!", DETACH, '1',
	  .clean = true, .after = "N e1 v8 c Ai1 Bs5 Dt5B!" },
	{ "a full copy is elected", "T2 e2 v8 Ai1 Bs5 Dt5B!", SERVE, '2',
	  .confirmed = "ABD", .after = "S2 e2 v9 Ai1 Bs5" },
	{ "after an orderly stop", "T2 e2 v8 w Ai1 Bs5 Dt5B!", SERVE, '2',
	  .confirmed = "A", .after = "S2 e2 v9 Ai1 Bs5" },
	{ "the pair is elected", "T2 e2 v8 Ai1 Bs5 Dt5B!", SERVE, '2',
	  .confirmed = "BD", .after = "S2 e2 v9 As8 By5 Dt5B=" },
	{ "the pair, after an orderly stop", "T2 e2 v8 w Ai1 Bs5 Dt5B!",
	  SERVE, '2', .confirmed = "DB",
	  .after = "S2 e2 v9 As8 By5 Dt5B=" },
	{ "the pair, without a log", "T2 e2 v8 Ai1 Bs5 Dt5B!", SERVE, '2',
	  .confirmed = "BD", .no_log = true, .ret = -EOPNOTSUPP,
	  .words = "no activity log" },
	{ "a full copy, without a log", "T2 e2 v8 Ai1 Bs5 Dt5B!", SERVE, '2',
	  .confirmed = "ABD", .no_log = true, .after = "S2 e2 v9 x Ai1 Bs5" },
	{ "no mark", "T2 e2 v8 Ai1 Bs5 Dt5B", SERVE, '2',
	  .confirmed = "BD", .ret = -EAGAIN, .words = "no in-sync store" },
	{ "without the temporary one", "T2 e2 v8 Ai1 Bs5 Dt5B!", SERVE, '2',
	  .confirmed = "B", .ret = -EAGAIN },
	{ "without the base", "T2 e2 v8 Ai1 Bs5 Dt5B!", SERVE, '2',
	  .confirmed = "D", .ret = -EAGAIN },
	{ "with another stale one", "T2 e2 v8 Ai1 Bs5 Cs7 Dt5B!", SERVE, '2',
	  .confirmed = "CD", .ret = -EAGAIN },
	{ "a pair again", "T2 e2 v9 As8 Bs5 Dt5B=", SERVE, '2',
	  .confirmed = "ABD", .after = "S2 e2 v10 As8 By5 Dt5B=" },
	{ "a pair again, by half", "T2 e2 v9 As8 Bs5 Dt5B=", SERVE, '2',
	  .confirmed = "AD", .ret = -EAGAIN, .words = "has not answered" },
	{ "a pair, only the base", "T2 e2 v9 As8 Bs5 Dt5B=", SERVE, '2',
	  .confirmed = "AB", .ret = -EAGAIN, .words = "has not answered" },

	/* Owners, by rows. */
	{ "pair and a full copy", "T2 e2 v8 Ai1 Bs5 Ci1 Dt5B! Ei1", SERVE, '2',
	  .confirmed = "BDE", .rows = "AB,CE",
	  .after = "S2 e2 v9 As8 By5 Cs8 Dt5B= Ei1" },
	{ "another has some of it", "T2 e2 v8 Ai1 Bs5 Ci1 Dt5B! Ei1", SERVE,
	  '2', .confirmed = "BCDE", .rows = "AB,BC,CE",
	  .after = "S2 e2 v9 As8 By5 Cs8 Dt5B= Ei1" },
	{ "another has some of it, orderly",
	  "T2 e2 v8 w Ai1 Bs5 Ci1 Dt5B! Ei1 Fi1", SERVE, '2',
	  .confirmed = "BCDEF", .rows = "AB,BC,CE,EF",
	  .after = "S2 e2 v9 As8 By5 Cs8 Dt5B= Ei1 Fi1" },
	{ "another has the only one of it", "T2 e2 v8 Ai1 Bs5 Ci1 Dt5B! Ei1",
	  SERVE, '2', .confirmed = "BCD", .rows = "AB,BC,CE", .ret = -EAGAIN },
	{ "the same, orderly", "T2 e2 v8 w Ai1 Bs5 Ci1 Dt5B! Ei1", SERVE,
	  '2', .confirmed = "BCD", .rows = "AB,BC,CE", .ret = -EAGAIN },
	{ "an extent that the base lacks", "T2 e2 v8 Ai1 Bs5 Dt5B!", SERVE,
	  '2', .confirmed = "BD", .rows = "AB,A", .ret = -EAGAIN },
	{ "an extent that it has in part", "T2 e2 v8 Ai1 Bs5 Dt5B!", SERVE,
	  '2', .confirmed = "BD", .rows = "AB,Ab", .ret = -EAGAIN },
	{ "full copies are enough", "T2 e2 v8 Ai1 Bs5 Ci1 Dt5B! Ei1", SERVE,
	  '2', .confirmed = "ABCD", .rows = "AB,CE",
	  .after = "S2 e2 v9 Ai1 Bs5 Ci1 Es8" },

	/* The pair. */
	{ "the base fails", "S1 e1 v7 As6 By5 Dt5B=", REMOVE, 'B',
	  .ret = -EBUSY, .words = "nobody else" },
	{ "the base returns", "S1 e1 v7 As6 By5 Dt5B=", RENEW, 'B',
	  .after = "S1 e1 v8 As6 By5 Dt5B=" },
	{ "another one returns", "S1 e1 v7 As6 By5 Dt5B=", SYNC, 'A',
	  .ret = -EAGAIN, .words = "waits until" },
	{ "merged", "S1 e1 v7 As6 By5 Dt5B=", JOIN, 'B',
	  .after = "S1 e1 v8 As6 Bi8" },
	{ "then another one returns", "S1 e1 v8 As6 Bi8", SYNC, 'A',
	  .after = "S1 e1 v9 Ay6 Bi8" },
	{ "taken over again", "S1 e1 v7 As6 By5 Dt5B=", CLAIM, '2',
	  .after = "T2 e2 v8 As6 Bs5 Dt5B=" },
	{ "detached", "S1 e1 v7 As6 By5 Dt5B=", DETACH, '1', .clean = true,
	  .after = "N e1 v8 c As6 Bs5 Dt5B=" },
	{ "detached, the base", "N e1 v8 c As6 Bs5 Dt5B=", REMOVE, 'B',
	  .ret = 0 },
	{ "detached, the base is forgotten", "N e1 v8 c As6 Bs5 Dt5B=", FORGET,
	  'B', .ret = -EBUSY },
	{ "detached, the temporary one goes", "N e1 v8 c As6 Bs5 Dt5B=", OUT,
	  'D', .ret = -EBUSY },
	{ "one of another extent leaves", "S1 e1 v7 As6 By5 Ci1 Dt5B= Ei1",
	  REMOVE, 'C', .rows = "AB,CE",
	  .after = "S1 e1 v8 As6 By5 Cs7 Dt5B= Ei1" },
	{ "the last of another extent", "S1 e1 v7 As6 By5 Ci1 Dt5B=",
	  REMOVE, 'C', .rows = "AB,C", .ret = -EBUSY },

	/* The base is worth nothing. */
	{ "what it is added to is bad", "S1 e1 v7 Ai1 Bs5 Dt5B!", DISTRUST,
	  'B', .after = "S1 e1 v7 Ai1 Bs0" },
	{ "another one is bad", "S1 e1 v7 Ai1 Bs5 Cs4 Dt5B!", DISTRUST,
	  'C', .after = "S1 e1 v7 Ai1 Bs5 Cs0 Dt5B!" },
	{ "half of a pair is bad", "N e1 v7 As6 Bs5 Dt5B=", DISTRUST,
	  'B', .ret = -EBUSY, .words = "nobody else" },
	{ "one that takes part is bad", "S1 e1 v7 Ai1 By5", DISTRUST, 'B',
	  .ret = -EBUSY, .words = "takes part" },

	/* It stays. */
	{ "rows may name it", "S1 e1 v7 Ai1 Bs5 Dt5B!", NAME, 'D',
	  .after = "S1 e1 v8 Ai1 Bs5 Dt5B!+" },
	{ "before it has the mark", "S1 e1 v7 Ai1 Bs5 Dt5B", NAME, 'D',
	  .after = "S1 e1 v8 Ai1 Bs5 Dt5B+" },
	{ "they do already", "S1 e1 v7 Ai1 Bs5 Dt5B!+", NAME, 'D',
	  .ret = -EALREADY },
	{ "rows may name another one", "S1 e1 v7 Ai1 Bs5 Dt5B!", NAME, 'B',
	  .ret = -ENOENT },
	{ "rows may name half of a pair", "S1 e1 v7 As6 By5 Dt5B=", NAME, 'D',
	  .ret = -EBUSY, .words = "in-sync first" },
	{ "nobody serves", "N e1 v7 Ai1 Bs5 Dt5B!", NAME, 'D', .ret = -EPERM },
	{ "it stays", "S1 e1 v7 Ai1 Bs5 Dt5B!+", STAY, 'D', .rows = "ABD,A",
	  .after = "S1 e1 v8 Ai1 Bs5 Di8" },
	{ "it stays, the base is back in part", "S1 e1 v7 Ai1 By5 Dt5B!+",
	  STAY, 'D', .rows = "ABD", .after = "S1 e1 v8 Ai1 By5 Di8" },
	{ "it stays without the mark", "S1 e1 v7 Ai1 Bs5 Dt5B+", STAY, 'D',
	  .rows = "ABD", .ret = -EINVAL, .words = "no mark" },
	{ "it stays without rows", "S1 e1 v7 Ai1 Bs5 Dt5B!", STAY, 'D',
	  .rows = "AB", .ret = -EINVAL, .words = "no rows" },
	{ "a row does not name it", "S1 e1 v7 Ai1 Bs5 Dt5B!+", STAY, 'D',
	  .rows = "ABD,AB", .ret = -EBUSY, .words = "extent 1" },
	{ "a row names it in part", "S1 e1 v7 Ai1 Bs5 Dt5B!+", STAY, 'D',
	  .rows = "ABd", .ret = -EBUSY },
	{ "it has more than it got", "S1 e1 v7 Ai1 Bs5 Dt5B!+", STAY, 'D',
	  .rows = "ABD,AD", .ret = -EBUSY, .words = "extent 1" },
	{ "half of a pair stays", "S1 e1 v7 As6 By5 Dt5B=+", STAY, 'D',
	  .rows = "ABD", .ret = -EBUSY },
	{ "named, it goes", "S1 e1 v7 Ai1 Bs5 Dt5B!+ Cs3", OUT, 'D',
	  .after = "S1 e1 v8 Ai1 Bs5 Ds0 Cs3" },
	{ "named, its base is in-sync", "S1 e1 v7 Ai1 By5 Dt5B!+", JOIN, 'B',
	  .after = "S1 e1 v8 Ai1 Bi8 Ds0" },
	{ "named, a full copy is elected", "T2 e2 v8 w Ai1 Bs5 Dt5B!+", SERVE,
	  '2', .confirmed = "AD", .rows = "ABD",
	  .after = "S2 e2 v9 Ai1 Bs5 Ds0" },
	{ "named, the pair is elected", "T2 e2 v8 w Ai1 Bs5 Dt5B!+", SERVE,
	  '2', .confirmed = "BD", .rows = "ABD",
	  .after = "S2 e2 v9 As8 By5 Dt5B=+" },

	/* By force. */
	{ "not filled", "T2 e2 v8 Ai1 Bs5 Dt5B", FORCE, '2', .v = 7,
	  .confirmed = "BD", .after = "S2 e2 v9 l7 As0 By5 Dt5B=" },
	{ "not filled, after an orderly stop", "T2 e2 v8 w Ai1 Bs5 Dt5B",
	  FORCE, '2', .v = 7, .confirmed = "BD",
	  .after = "S2 e2 v9 l7 As0 By5 Dt5B=" },
	{ "old ones are not to be trusted", "T2 e2 v8 Ai1 Bs5 Cs3 Dt5B", FORCE,
	  '2', .v = 7, .confirmed = "BCD",
	  .after = "S2 e2 v9 l7 As0 By5 Cs0 Dt5B=" },
	{ "with full copies of other extents", "T2 e2 v8 Ai1 Bs5 Ci1 Dt5B Ei1",
	  FORCE, '2', .v = 7, .confirmed = "BDE", .rows = "AB,CE",
	  .after = "S2 e2 v9 l7 As0 By5 Cs0 Dt5B= Ei1" },
	{ "other extents are missing", "T2 e2 v8 Ai1 Bs5 Ci1 Dt5B Ei1", FORCE,
	  '2', .v = 7, .confirmed = "BD", .rows = "AB,CE", .ret = -EAGAIN },
	{ "no need of force", "T2 e2 v8 Ai1 Bs5 Dt5B!", FORCE, '2', .v = 7,
	  .confirmed = "BD", .ret = -EALREADY },
	{ "no need, there is a full copy", "T2 e2 v8 Ai1 Bs5 Dt5B", FORCE, '2',
	  .v = 7, .confirmed = "ABD", .ret = -EALREADY },
	{ "nothing to force", "T2 e2 v8 Ai1 Bs5", FORCE, '2', .v = 7,
	  .confirmed = "B", .ret = -EAGAIN, .words = "store" },
	{ "the base is away", "T2 e2 v8 Ai1 Bs5 Dt5B", FORCE, '2', .v = 7,
	  .confirmed = "D", .ret = -EAGAIN, .words = "waiting" },
	{ "the temporary one is away", "T2 e2 v8 Ai1 Bs5 Dt5B", FORCE, '2',
	  .v = 7, .confirmed = "B", .ret = -EAGAIN, .words = "waiting" },
	{ "the same lineage", "T2 e2 v8 Ai1 Bs5 Dt5B", FORCE, '2', .v = 1,
	  .confirmed = "BD", .ret = -EINVAL, .words = "lineage" },
	{ "no lineage", "T2 e2 v8 Ai1 Bs5 Dt5B", FORCE, '2',
	  .confirmed = "BD", .ret = -EINVAL, .words = "lineage" },
	{ "nobody is taking it", "N e2 v8 Ai1 Bs5 Dt5B", FORCE, '2', .v = 7,
	  .confirmed = "BD", .ret = -EPERM },
};

static void step_desc(struct step *s, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", s->name);
}

KUNIT_ARRAY_PARAM(step, steps, step_desc);

static int apply(const struct step *s, struct hcv_record *r,
		 const struct hcv_rows *rows, char *err)
{
	struct hcv_temp_want want = {
		.store = id(s->who), .base = s->base ? id(s->base) : "",
		.cleared = !s->dirty, .failing = s->failing,
	};
	const char *confirmed[16];
	struct hcv_temp_force force = {
		.lineage = s->v, .confirmed = ids_of(s->confirmed, confirmed),
	};

	switch (s->op) {
	case BEGIN:
		return hcv_record_temp_begin(r, &want, rows, err);
	case COVERS:
		return hcv_record_temp_covers(r, want.store, want.base, s->v,
					      err);
	case OUT:
		return hcv_record_temp_out(r, want.store, err);
	case CLAIM:
		return hcv_record_claim(r, want.store, false, true, err);
	case SERVE:
		return hcv_record_serve(r, want.store,
					force.confirmed, force.local, rows,
					!s->no_log, err);
	case REMOVE:
		return hcv_record_remove(r, want.store, NULL, rows, err);
	case SYNC:
		return hcv_record_begin_sync(r, want.store, err);
	case JOIN:
		return hcv_record_join(r, want.store, err);
	case FORGET:
		return hcv_record_forget(r, want.store, rows, err);
	case DETACH:
		return hcv_record_detach(r, want.store, s->clean, err);
	case RENEW:
		return hcv_record_renew(r, want.store, err);
	case DISTRUST:
		return hcv_record_distrust(r, want.store, err);
	case NAME:
		return hcv_record_temp_name(r, want.store, err);
	case STAY:
		return hcv_record_temp_stay(r, want.store, rows, err);
	case FORCE:
		return hcv_record_temp_force(r, want.store, &force, rows, err);
	}
	return -ENOSYS;
}

static void test_step(struct kunit *test)
{
	const struct step *s = test->param_value;
	struct hcv_record r = parse(s->before), old = r;
	char err[HCV_ERR_SIZE] = "", text[256];
	struct hcv_row row[16];
	struct hcv_rows rows;

	KUNIT_ASSERT_EQ_MSG(test, hcv_record_check(&r, err), 0, "%s", err);
	if (s->rows)
		rows_of(s->rows, row, &rows);
	KUNIT_EXPECT_EQ_MSG(test, apply(s, &r, s->rows ? &rows : NULL, err),
			    s->ret, "%s", err);
	KUNIT_EXPECT_EQ_MSG(test, !*err, !s->ret, "%s", err);
	if (s->words)
		KUNIT_EXPECT_TRUE_MSG(test, strstr(err, s->words), "%s", err);
	format(&r, text, sizeof(text));
	KUNIT_EXPECT_STREQ(test, text, s->after ? s->after : s->before);
	if (!s->after)
		KUNIT_EXPECT_EQ(test, memcmp(&r, &old, sizeof(r)), 0);
}

static char *bad_records[] = {
	"S1 e1 v7 Ai1 Dt5B",			/* for a stranger */
	"S1 e1 v7 Ai1 Bi5 Dt5B", "S1 e1 v7 Ai1 Bi5 Dt5B!",
	"S1 e1 v7 Ai1 Bs4 Dt5B", "S1 e1 v7 Ai1 Bs0 Dt0B",
	"S1 e1 v7 Ai1 Bs5 Dt5B Et5B",		/* two */
	"S1 e1 v7 Ai1 Bs5 Dt5D",		/* for itself */
	"S1 e1 v7 Ai1 Bs5 Dt5",
	"S1 e1 v7 As1 By5 Dt5B!",		/* nobody has all */
	"S1 e1 v7 As1 By5 Dt5B",
	"S1 e1 v7 As6 Bs5 Dt5B=",		/* half of it serves */
	"S1 e1 v7 Ai1 Bs5A", "S1 e1 v7 Ai1! Bs5", "S1 e1 v7 Ai1 Bs5+",
	"S1 e1 v7 x Ai1 Bs5 Dt5B",		/* no logs */
	"S1 e1 v5 Ai1 Bs5 Dt5B",
};

static void test_check(struct kunit *test)
{
	struct hcv_record r;
	char err[HCV_ERR_SIZE];
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad_records); i++) {
		r = parse(bad_records[i]);
		*err = 0;
		KUNIT_EXPECT_EQ_MSG(test, hcv_record_check(&r, err), -EINVAL,
				    "%s", bad_records[i]);
		KUNIT_EXPECT_TRUE(test, *err);
	}
	/* A pair without its mark cannot be written as text. */
	r = parse("S1 e1 v7 As6 By5 Dt5B=");
	KUNIT_EXPECT_EQ_MSG(test, hcv_record_check(&r, err), 0, "%s", err);
	r.st[2].covers = false;
	KUNIT_EXPECT_EQ(test, hcv_record_check(&r, err), -EINVAL);
}

/* ----------------------------------------- what can be made of who is there */

struct merge {
	const char *name;
	const char *rec;
	const char *confirmed;
	const char *rows;
	enum hcv_temp_merge merge;
	const char *words;
};

static struct merge merges[] = {
	{ "a full copy", "T2 e2 v8 Ai1 Bs5 Dt5B!", "ABD", NULL, HCV_TM_FULL },
	{ "no temporary one", "T2 e2 v8 Ai1 Bs5", "A", NULL, HCV_TM_FULL },
	{ "nobody", "T2 e2 v8 Ai1 Bs5", "", NULL, HCV_TM_WAIT,
	  "no in-sync store" },
	{ "the pair", "T2 e2 v8 Ai1 Bs5 Dt5B!", "BD", NULL, HCV_TM_PAIR },
	{ "the pair again", "T2 e2 v8 As6 Bs5 Dt5B=", "BD", NULL,
	  HCV_TM_PAIR },
	{ "the pair, and a full copy of before", "T2 e2 v8 As6 Bs5 Dt5B=",
	  "AB", NULL, HCV_TM_WAIT, "have all: waiting for store 00000044" },
	{ "the old copy alone", "T2 e2 v8 Ai1 Bs5 Dt5B!", "B", NULL,
	  HCV_TM_WAIT, "have all: waiting for store 00000044" },
	{ "the temporary one alone", "T2 e2 v8 Ai1 Bs5 Dt5B!", "D", NULL,
	  HCV_TM_WAIT, "have all: waiting for store 00000042" },
	{ "neither", "T2 e2 v8 Ai1 Bs5 Dt5B!", "", NULL, HCV_TM_WAIT,
	  "have all: waiting for store 00000042" },
	{ "no mark", "T2 e2 v8 Ai1 Bs5 Dt5B", "BD", NULL, HCV_TM_FORCE,
	  "would be lost" },
	{ "no mark, the old copy alone", "T2 e2 v8 Ai1 Bs5 Dt5B", "B", NULL,
	  HCV_TM_WAIT, "all but" },
	{ "an extent of others", "T2 e2 v8 Ai1 Bs5 Dt5B!", "BD", "AB,A",
	  HCV_TM_WAIT, "waiting for store 00000041" },
};

static void merge_desc(struct merge *m, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", m->name);
}

KUNIT_ARRAY_PARAM(merge, merges, merge_desc);

static void test_merge(struct kunit *test)
{
	const struct merge *m = test->param_value;
	struct hcv_record r = parse(m->rec);
	char why[HCV_ERR_SIZE] = "?";
	const char *confirmed[16];
	struct hcv_row row[16];
	struct hcv_rows rows;

	if (m->rows)
		rows_of(m->rows, row, &rows);
	KUNIT_EXPECT_EQ(test, hcv_record_temp_merge(&r,
						    ids_of(m->confirmed,
							   confirmed),
						    m->rows ? &rows : NULL,
						    why), m->merge);
	KUNIT_EXPECT_EQ_MSG(test, !*why, !m->words, "%s", why);
	if (m->words)
		KUNIT_EXPECT_TRUE_MSG(test, strstr(why, m->words), "%s", why);
}

/* What is asked of a record, and the handles of an earlier life. */
static void test_look(struct kunit *test)
{
	struct hcv_temp_want want = {
		.store = id('D'), .base = id('B'), .cleared = true,
	};
	struct hcv_record r = parse("S1 e1 v6 Ai1 Bs5 Ci1");
	char err[HCV_ERR_SIZE];
	struct hcv_row row[16];
	struct hcv_rows rows;

	rows_of("AB,AC,Ab", row, &rows);
	KUNIT_EXPECT_NULL(test, hcv_record_temp(&r));
	KUNIT_EXPECT_FALSE(test, hcv_record_temp_row(&r, &row[0]));
	KUNIT_ASSERT_EQ_MSG(test, hcv_record_temp_begin(&r, &want, &rows, err),
			    0, "%s", err);
	KUNIT_ASSERT_NOT_NULL(test, hcv_record_temp(&r));
	KUNIT_EXPECT_STREQ(test, hcv_record_temp(&r)->store, id('D'));
	KUNIT_EXPECT_EQ(test, hcv_record_temp(&r)->renew, 7);
	KUNIT_EXPECT_TRUE(test, hcv_record_temp_row(&r, &row[0]));
	KUNIT_EXPECT_FALSE(test, hcv_record_temp_row(&r, &row[1]));
	KUNIT_EXPECT_FALSE(test, hcv_record_temp_row(&r, &row[2]));
	KUNIT_EXPECT_FALSE(test, hcv_record_insync(&r, id('D')));
	KUNIT_EXPECT_FALSE(test, hcv_record_pair(&r));
	KUNIT_ASSERT_EQ(test, hcv_record_temp_out(&r, id('D'), err), 0);
	KUNIT_ASSERT_EQ(test, hcv_record_temp_begin(&r, &want, &rows, err), 0);
	KUNIT_EXPECT_EQ(test, hcv_record_temp(&r)->renew, 9);
	r = parse("S1 e1 v7 As6 By5 Dt5B=");
	KUNIT_EXPECT_TRUE(test, hcv_record_pair(&r));
}

static void test_full(struct kunit *test)
{
	struct hcv_temp_want want = {
		.store = id('1'), .base = id('B'), .cleared = true,
	};
	struct hcv_record r = parse("S1 e1 v6 Ai1 Bs5");
	char err[HCV_ERR_SIZE];

	while (r.nr < HCV_REC_STORES)
		KUNIT_ASSERT_EQ_MSG(test,
				    hcv_record_add(&r, id((char)('A' + r.nr)),
						   false, err), 0, "%s", err);
	KUNIT_EXPECT_EQ(test, hcv_record_temp_begin(&r, &want, NULL, err),
			-ENOSPC);
}

/* A start that cannot read the elected copy takes another one, and no less. */
struct again {
	const char *name;
	const char *before;
	const char *unfit;
	const char *rows;
	int ret;
	const char *after;
};

static struct again agains[] = {
	{ "it is for one that was passed over", "S1 e2 v10 bl Ai1 Bp8 Dt8B",
	  "A", NULL, 0, "T1 e3 v11 As10 Bi8" },
	{ "it is for another one", "S1 e2 v10 bl Ai1 Bp8 Cs5 Dt5C!", "A",
	  NULL, 0, "T1 e3 v11 As10 Bi8 Cs5" },
	{ "rows name it", "S1 e2 v10 bl Ai1 Bp8 Cs5 Dt5C!+", "A", NULL, 0,
	  "T1 e3 v11 As10 Bi8 Cs5 Ds0" },
	{ "nothing was known of the copies", "S1 e2 v10 bn Ai1 Bp0 Cs5 Dt5C!",
	  "A", NULL, 0, "T1 e3 v11 x As0 Bi0 Cs5" },
	{ "it is no full copy", "S1 e2 v10 bl Ai1 Bs8 Dt8B!", "A", NULL,
	  -EBUSY, NULL },
	{ "the pair was elected", "S1 e2 v9 bl Ap8 By5 Dt5B=", "B", NULL,
	  -EBUSY, NULL },
	{ "the pair and another one were",
	  "S1 e2 v9 bl Ap8 By5 Ci1 Ep8 Dt5B=", "C", "AB,CE", -EBUSY, NULL },
};

static void again_desc(struct again *a, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", a->name);
}

KUNIT_ARRAY_PARAM(again, agains, again_desc);

static void test_again(struct kunit *test)
{
	const struct again *a = test->param_value;
	struct hcv_record r = parse(a->before), old = r;
	char err[HCV_ERR_SIZE] = "", text[256];
	struct hcv_row row[16];
	struct hcv_rows rows;
	const char *list[16];

	KUNIT_ASSERT_EQ_MSG(test, hcv_record_check(&r, err), 0, "%s", err);
	if (a->rows)
		rows_of(a->rows, row, &rows);
	KUNIT_EXPECT_EQ_MSG(test,
			    hcv_record_again(&r, id('1'),
					     ids_of(a->unfit, list),
					     a->rows ? &rows : NULL, err),
			    a->ret, "%s", err);
	if (!a->after) {
		KUNIT_EXPECT_EQ(test, memcmp(&r, &old, sizeof(r)), 0);
		return;
	}
	format(&r, text, sizeof(text));
	KUNIT_EXPECT_STREQ(test, text, a->after);
}

/* What was in-sync before has the old lineage. */
static void test_force_ends_before(struct kunit *test)
{
	struct hcv_record r = parse("T2 e2 v8 Ai1 Bs5 Dt5B");
	const char *list[16];
	struct hcv_temp_force force = {
		.lineage = 7, .confirmed = ids_of("BD", list),
	};
	char err[HCV_ERR_SIZE];
	size_t i;

	KUNIT_ASSERT_EQ_MSG(test,
			    hcv_record_temp_force(&r, id('2'), &force, NULL,
						  err), 0, "%s", err);
	KUNIT_EXPECT_EQ(test, r.before, HCV_RB_UNKNOWN);
	for (i = 0; i < r.nr; i++)
		KUNIT_EXPECT_FALSE(test, r.st[i].passed);
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(test_step, step_gen_params),
	KUNIT_CASE_PARAM(test_merge, merge_gen_params),
	KUNIT_CASE_PARAM(test_again, again_gen_params),
	KUNIT_CASE(test_force_ends_before),
	KUNIT_CASE(test_check),
	KUNIT_CASE(test_look),
	KUNIT_CASE(test_full),
	{}
};

static struct kunit_suite suite = {
	.name = "hcv_record_temp",
	.test_cases = cases,
};
kunit_test_suite(suite);
