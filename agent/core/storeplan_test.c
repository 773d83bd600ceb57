// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each step of a store for a volume, and runs of a whole life.
 *
 * Every case starts from a settled store: node 2 owns the volume at epoch 5,
 * rows 0, 1 and 4 lie on this store of node 1, are formatted, exported and
 * granted, and the grant key says so.  The case's functions change what it is
 * about.
 */
#include <kunit/test.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storeplan.h"

#define N1 "00000000-0000-4000-8000-000000000001"
#define N2 "00000000-0000-4000-8000-000000000002"
#define N3 "00000000-0000-4000-8000-000000000003"
#define S1 "00000000-0000-4000-8000-00000000000a"

struct fix {
	struct hcv_record rec;
	struct hcv_sp_row row[8];
	uint32_t have[8];
	struct hcv_grant_info key;
	struct hcv_sp_grant k[4];
	struct hcv_sp_in in;
};

static void fix_grant(struct fix *f, size_t i, uint64_t epoch,
		      const char *client)
{
	struct hcv_sp_grant *k = &f->k[i];

	memset(k, 0, sizeof(*k));
	strcpy(k->client, client);
	k->epoch = epoch;
	k->nr = 1;
	k->range[0].first = 1024;
	k->range[0].count = 1024;
}

static void fix_init(struct fix *f)
{
	static const uint32_t rows[] = { 0, 1, 4 };
	size_t i;

	memset(f, 0, sizeof(*f));
	strcpy(f->rec.owner, N2);
	f->rec.epoch = 5;
	f->rec.phase = HCV_PH_SERVING;
	f->rec.nr = 1;
	strcpy(f->rec.st[0].store, S1);
	for (i = 0; i < 3; i++) {
		f->row[i].index = rows[i];
		f->row[i].full = true;
		f->have[i] = rows[i];
	}
	fix_grant(f, 0, 5, N2);
	f->key.epoch = 5;
	strcpy(f->key.client, N2);
	f->key.incarnation = 70;
	f->key.ready = 5;
	f->key.nr = 1;
	f->key.range[0] = f->k[0].range[0];
	f->in = (struct hcv_sp_in) {
		.node = N1, .store = S1, .has_vol = true, .rec = &f->rec, .row = f->row,
		.nr_row = 3, .has_rows = true, .grant = &f->key,
		.devpath = "/dev/hcvx0", .incarnation = 70, .have = f->have,
		.nr_have = 3, .k = f->k, .nr_k = 1,
		.export = HCV_SP_EX_READY, .want_devpath = "/dev/hcvx0",
	};
}

/* ------------------------------------------------------------- the changes */

static void same(struct fix *f)
{
	(void)f;
}

static void taking(struct fix *f)
{
	f->rec.phase = HCV_PH_TAKING;
}

/* Another node takes over; the grant of epoch 5 is still there. */
static void takeover(struct fix *f)
{
	taking(f);
	f->rec.epoch = 6;
	strcpy(f->rec.owner, N2);
}

static void local(struct fix *f)
{
	strcpy(f->rec.owner, N1);
	f->in.export = HCV_SP_EX_UNKNOWN;
	f->in.want_devpath = "";
}

static void draining(struct fix *f)
{
	f->in.fence = HCV_SP_DRAINING;
	f->k[0].revoked = true;
}

static void fenced(struct fix *f)
{
	f->in.fence = HCV_SP_FENCED;
	f->in.nr_k = 0;
}

/* What is older than the record's epoch is gone. */
static void fenced_older(struct fix *f)
{
	f->in.fence = HCV_SP_FENCED;
}

/* Granted at the new epoch, the key still tells of the old one. */
static void granted(struct fix *f)
{
	f->in.nr_k = 1;
	fix_grant(f, 0, 6, f->rec.owner);
	f->k[0].range[0].first = 4096;
}

static void straggler(struct fix *f)
{
	f->in.nr_k = 2;
	fix_grant(f, 1, 4, N1);
}

static void first_epoch(struct fix *f)
{
	f->rec.epoch = 1;
	f->in.nr_k = 0;
	f->in.grant = NULL;
}

static void no_extents(struct fix *f)
{
	f->in.nr_have = 0;
}

static void new_row(struct fix *f)
{
	f->row[3].index = 9;
	f->row[3].full = true;
	f->in.nr_row = 4;
}

/* The record wants new handles. */
static void renew(struct fix *f)
{
	f->rec.st[0].renew = 9;
}

/* As the module shows it while the old ones have I/O in flight. */
static void retired(struct fix *f)
{
	f->k[0].revoked = true;
}

/* The owner's module has stopped the volume. */
static void let_go(struct fix *f)
{
	retired(f);
	f->k[0].done = true;
}

/* New handles; the key tells of the old ones. */
static void renewed(struct fix *f)
{
	f->in.nr_k = 2;
	fix_grant(f, 1, 5, N2);
	f->k[1].renew = 9;
	f->k[1].range[0].first = 4096;
}

static void renewed_told(struct fix *f)
{
	f->key.renew = 9;
	f->key.range[0] = f->k[1].range[0];
}

static void other_store(struct fix *f)
{
	strcpy(f->rec.st[0].store, N1);
}

static void many_rows(struct fix *f)
{
	f->row[2].index = 5000;
	f->have[2] = 5000;
}

static void absurd_row(struct fix *f)
{
	f->row[2].index = HCV_SP_INDEX_MAX;
}

static void last_missing(struct fix *f)
{
	f->in.nr_have = 2;
}

static void not_full(struct fix *f)
{
	f->row[2].full = false;
}

static void no_key(struct fix *f)
{
	f->in.grant = NULL;
	f->in.devpath = NULL;
}

static void no_grant(struct fix *f)
{
	f->in.nr_k = 0;
}

static void reopened(struct fix *f)
{
	f->in.nr_k = 0;
	f->in.incarnation = 71;
	f->in.export = HCV_SP_EX_UNKNOWN;
}

static void no_export(struct fix *f)
{
	f->in.export = HCV_SP_EX_UNKNOWN;
}

static void export_failed(struct fix *f)
{
	f->in.export = HCV_SP_EX_FAILED;
}

static void export_moved(struct fix *f)
{
	f->in.want_devpath = "/dev/hcvx3";
}

static void failed(struct fix *f)
{
	f->in.failed = true;
}

static void detached(struct fix *f)
{
	f->rec.phase = HCV_PH_NONE;
	f->rec.owner[0] = '\0';
	f->rec.clean = true;
}

static void no_rows(struct fix *f)
{
	f->in.nr_row = 0;
}

static void no_record(struct fix *f)
{
	f->in.rec = NULL;
}

/* Nothing but the store knows the volume. */
static void forgotten(struct fix *f)
{
	f->in.has_vol = false;
	f->in.has_rows = false;
	f->in.nr_row = 0;
	f->in.rec = NULL;
}

static void tomb(struct fix *f)
{
	f->in.tomb = true;
}

/* The volume goes on without this store, since epoch 5. */
static void left(struct fix *f)
{
	tomb(f);
	f->in.left = true;
	f->in.left_epoch = 5;
	f->in.left_renew = 9;
	f->in.can_retire = true;
	f->in.nr_row = 0;
	strcpy(f->rec.st[0].store, N1);
}

static void cannot_retire(struct fix *f)
{
	f->in.can_retire = false;
}

static void no_renewal(struct fix *f)
{
	f->in.left_renew = 0;
}

static void granted_anew(struct fix *f)
{
	f->k[0].renew = 9;
}

static void left_row(struct fix *f)
{
	left(f);
	f->in.nr_row = 1;
}

static void left_named(struct fix *f)
{
	left(f);
	strcpy(f->rec.st[0].store, S1);
}

static void nobody(struct fix *f)
{
	f->rec.phase = HCV_PH_NONE;
	f->rec.owner[0] = 0;
}

static void deleting(struct fix *f)
{
	f->in.deleting = true;
}

static void from_backup(struct fix *f)
{
	f->rec.epoch = 3;
}

static void bad(struct fix *f)
{
	f->in.bad = true;
}

/* Extent 2 was given up: it has a tombstone and no row. */
static void gone(struct fix *f)
{
	static const uint32_t have[] = { 0, 1, 2, 4 }, list[] = { 2 };

	memcpy(f->have, have, sizeof(have));
	f->in.nr_have = 4;
	f->in.gone = list;
	f->in.nr_gone = 1;
}

static void gone_freed(struct fix *f)
{
	static const uint32_t have[] = { 0, 1, 4 };

	gone(f);
	memcpy(f->have, have, sizeof(have));
	f->in.nr_have = 3;
}

static void gone_row(struct fix *f)
{
	gone(f);
	f->row[1].index = 2;
}

static void gone_nothing(struct fix *f)
{
	gone(f);
	f->in.nr_have = 0;
}

/* It is to be handed over to a third node. */
static void hand(struct fix *f)
{
	f->in.can_hand = true;
	strcpy(f->rec.hand.to, N3);
}

/* To this store's node. */
static void hand_here(struct fix *f)
{
	hand(f);
	strcpy(f->rec.hand.to, N1);
}

static void hand_unknown(struct fix *f)
{
	hand(f);
	f->in.can_hand = false;
}

static void hand_made(struct fix *f)
{
	hand(f);
	f->in.export_next = HCV_SP_EX_READY;
}

static void hand_failed(struct fix *f)
{
	hand(f);
	f->in.export_next = HCV_SP_EX_FAILED;
}

static void stale(struct fix *f)
{
	f->rec.st[0].state = HCV_RS_STALE;
}

static void syncing(struct fix *f)
{
	f->rec.st[0].state = HCV_RS_SYNCING;
}

static void not_named(struct fix *f)
{
	f->rec.nr = 0;
}

struct plan_case {
	const char *name;
	void (*change[6])(struct fix *f);
	enum hcv_sp_act act;
	uint64_t epoch;
	uint32_t number;	/* count or ready */
	uint64_t renew;
	const char *client;	/* of EXPORT; NULL: any */
};

static const struct plan_case plan_cases[] = {
	{ "settled", { same }, HCV_SP_NONE, 5, 5 },
	{ "settled while taking", { taking }, HCV_SP_NONE, 5, 5 },
	{ "take-over revokes first", { takeover, no_extents, no_export },
	  HCV_SP_REVOKE, 5 },
	{ "take-over waits", { takeover, draining }, HCV_SP_WAIT },
	{ "take-over exports while it drains",
	  { takeover, draining, no_export }, HCV_SP_EXPORT },
	{ "take-over formats while it drains",
	  { takeover, draining, no_key, no_extents }, HCV_SP_ADD_EXTENTS },
	{ "take-over grants", { takeover, fenced }, HCV_SP_GRANT, 6, 1024 },
	{ "take-over tells", { takeover, fenced, granted },
	  HCV_SP_WRITE_GRANT, 6, 5 },
	{ "take-over tells before the state is asked again",
	  { takeover, granted }, HCV_SP_WRITE_GRANT, 6, 5 },
	{ "take-over by this node needs no export",
	  { takeover, local, fenced }, HCV_SP_GRANT, 6, 1024 },
	{ "straggler is revoked", { straggler }, HCV_SP_REVOKE, 4 },
	{ "straggler drains before the key is written",
	  { straggler, draining, no_key }, HCV_SP_WAIT },
	{ "first epoch has nothing to fence", { first_epoch },
	  HCV_SP_GRANT, 1, 1024 },
	{ "store opened anew fences again", { reopened }, HCV_SP_REVOKE, 4 },
	{ "store opened anew exports", { reopened, fenced }, HCV_SP_EXPORT },
	{ "store opened anew tells of it",
	  { reopened, fenced, granted, takeover, no_export },
	  HCV_SP_EXPORT },
	{ "grant is gone in the same incarnation", { no_grant },
	  HCV_SP_REVOKE, 4 },
	{ "new row is formatted", { new_row }, HCV_SP_ADD_EXTENTS },
	{ "new row on a failed store", { new_row, failed }, HCV_SP_WAIT },
	{ "renewal grants anew", { renew }, HCV_SP_GRANT, 5, 1024, 9 },
	{ "stopped, the record is behind", { let_go }, HCV_SP_REVOKE, 4 },
	{ "stopped, no grant again", { let_go, fenced_older }, HCV_SP_WAIT },
	{ "stopped, not even a renewal", { let_go, renew, fenced_older },
	  HCV_SP_WAIT },
	{ "stopped, then taken over", { let_go, takeover, fenced },
	  HCV_SP_GRANT, 6, 1024 },
	{ "stopped, then detached", { let_go, detached }, HCV_SP_REVOKE, 5 },
	{ "renewal is another store's", { renew, other_store },
	  HCV_SP_NONE, 5, 5 },
	{ "renewal waits in the module", { renew, retired },
	  HCV_SP_REVOKE, 4 },
	{ "renewal goes on after a restart", { renew, retired, fenced },
	  HCV_SP_GRANT, 5, 1024, 9 },
	{ "renewal is told", { renew, retired, renewed },
	  HCV_SP_WRITE_GRANT, 5, 5 },
	{ "renewal is over", { renew, retired, renewed, renewed_told },
	  HCV_SP_NONE, 5, 5 },
	{ "renewal beyond the record", { retired, renewed }, HCV_SP_REFUSE },
	{ "renewal on a failed store", { renew, failed }, HCV_SP_WAIT },
	{ "new epoch takes the renewal along", { renew, takeover, fenced },
	  HCV_SP_GRANT, 6, 1024, 9 },
	{ "many rows need more handles", { many_rows },
	  HCV_SP_GRANT, 5, 8192 },
	{ "row beyond the format", { absurd_row, no_key }, HCV_SP_REFUSE },
	{ "lost extent is never made anew", { last_missing },
	  HCV_SP_REFUSE },
	{ "extent of a copy that is not full is made",
	  { last_missing, not_full }, HCV_SP_ADD_EXTENTS },
	{ "missing extent without a key is made", { last_missing, no_key },
	  HCV_SP_ADD_EXTENTS },
	{ "key is missing", { no_key }, HCV_SP_WRITE_GRANT, 5, 5 },
	{ "export is made before the key", { no_key, no_export },
	  HCV_SP_EXPORT },
	{ "export cannot be made", { export_failed }, HCV_SP_WAIT },
	{ "export has another name", { export_moved },
	  HCV_SP_WRITE_GRANT, 5, 5 },
	{ "failed store keeps its grant", { failed }, HCV_SP_NONE, 5, 5 },
	{ "failed store revokes", { takeover, failed }, HCV_SP_REVOKE, 5 },
	{ "failed store grants nothing", { takeover, fenced, failed },
	  HCV_SP_WAIT },
	{ "no rows, no grant", { no_rows, no_grant }, HCV_SP_NONE },
	{ "no rows any more: older epochs are revoked",
	  { takeover, no_rows }, HCV_SP_REVOKE, 5 },
	{ "detach revokes", { detached }, HCV_SP_REVOKE, 5 },
	{ "detach waits", { detached, draining }, HCV_SP_WAIT },
	{ "detach deletes the key", { detached, fenced },
	  HCV_SP_DELETE_GRANT },
	{ "detach is over", { detached, fenced, no_key }, HCV_SP_NONE },
	{ "detached, rows are formatted ahead",
	  { detached, fenced, no_key, no_extents }, HCV_SP_ADD_EXTENTS },
	{ "fresh volume without a record",
	  { no_record, no_grant, no_key, no_extents }, HCV_SP_ADD_EXTENTS },
	{ "fresh volume is formatted", { no_record, no_grant, no_key },
	  HCV_SP_NONE },
	{ "volume being deleted is not formatted",
	  { no_record, no_grant, no_key, no_extents, deleting },
	  HCV_SP_NONE },
	{ "unnamed extents stay", { forgotten, no_grant, no_key },
	  HCV_SP_QUARANTINE },
	{ "key without a volume", { forgotten, no_grant, no_extents },
	  HCV_SP_DELETE_GRANT },
	{ "nothing at all", { forgotten, no_grant, no_key, no_extents },
	  HCV_SP_NONE },
	{ "tomb deletes the grant key first",
	  { forgotten, tomb, fenced }, HCV_SP_DELETE_GRANT },
	{ "tomb while the record exists", { tomb }, HCV_SP_WAIT },
	{ "tomb while rows exist", { tomb, no_record }, HCV_SP_WAIT },
	{ "tomb revokes", { forgotten, tomb }, HCV_SP_REVOKE, 5 },
	{ "tomb waits", { forgotten, tomb, draining }, HCV_SP_WAIT },
	{ "tomb frees", { forgotten, tomb, fenced, no_key }, HCV_SP_FREE },
	{ "tomb on a failed store",
	  { forgotten, tomb, fenced, no_key, failed }, HCV_SP_WAIT },
	{ "tomb is done", { forgotten, tomb, fenced, no_key, no_extents },
	  HCV_SP_DELETE_TOMB },
	{ "given up", { gone }, HCV_SP_WITHDRAW, 5, 5 },
	{ "given up, freed", { gone_freed }, HCV_SP_DELETE_GONE, 5, 5 },
	{ "given up and yet a row", { gone_row }, HCV_SP_REFUSE, 5, 5 },
	{ "given up, stale copy", { gone, stale }, HCV_SP_NONE, 5, 5 },
	{ "given up, syncing copy", { gone, syncing }, HCV_SP_NONE, 5, 5 },
	{ "given up, not in the record", { gone, not_named },
	  HCV_SP_WITHDRAW, 5, 5 },
	{ "given up, failed store", { gone, failed }, HCV_SP_WAIT, 5, 5 },
	{ "given up after fencing", { takeover, gone }, HCV_SP_REVOKE, 5 },
	{ "given up after the grant", { takeover, fenced, gone },
	  HCV_SP_GRANT, 6, 1024 },
	{ "given up while detached", { detached, fenced, no_key, gone },
	  HCV_SP_WITHDRAW },
	{ "given up, volume deleted",
	  { forgotten, tomb, fenced, no_key, gone }, HCV_SP_FREE },
	{ "given up, volume freed",
	  { forgotten, tomb, fenced, no_key, gone_nothing },
	  HCV_SP_DELETE_GONE },
	{ "given up, nothing else known",
	  { forgotten, no_grant, no_key, gone_nothing }, HCV_SP_DELETE_GONE },
	{ "export for the next owner", { hand }, HCV_SP_EXPORT, 5, 5,
	  .client = N3 },
	{ "the next owner is here", { hand_here }, HCV_SP_NONE, 5, 5 },
	{ "hand-overs are not known", { hand_unknown }, HCV_SP_NONE, 5, 5 },
	{ "export for the next owner is made", { hand_made },
	  HCV_SP_NONE, 5, 5 },
	{ "export for the next owner fails", { hand_failed },
	  HCV_SP_NONE, 5, 5 },
	{ "the owner's key before the next owner's export", { hand, no_key },
	  HCV_SP_WRITE_GRANT, 5, 5 },
	{ "the owner's own export", { no_key, no_export }, HCV_SP_EXPORT,
	  .client = N2 },
	{ "the next owner's export before what goes back", { gone, hand },
	  HCV_SP_EXPORT, 5, 5, .client = N3 },
	{ "left: retires its handles", { left }, HCV_SP_REVOKE, 5, 0, 9 },
	{ "left: waits", { left, draining }, HCV_SP_WAIT },
	{ "left: deletes the grant key", { left, fenced },
	  HCV_SP_DELETE_GRANT },
	{ "left: frees", { left, fenced, no_key }, HCV_SP_FREE },
	{ "left on a failed store", { left, fenced, no_key, failed },
	  HCV_SP_WAIT },
	{ "left: done", { left, fenced, no_key, no_extents },
	  HCV_SP_DELETE_TOMB },
	{ "left: revokes when the epoch is over", { left, takeover },
	  HCV_SP_REVOKE, 5 },
	{ "left: or when nobody has the volume", { left, nobody },
	  HCV_SP_REVOKE, 5 },
	{ "left: all of the epoch, with an older module",
	  { left, cannot_retire }, HCV_SP_REVOKE, 5 },
	{ "left: the same, as an older agent wrote it", { left, no_renewal },
	  HCV_SP_REVOKE, 5 },
	{ "left, older module: the tombstone stays",
	  { left, cannot_retire, fenced, no_key, no_extents }, HCV_SP_NONE },
	{ "left, older agent: the tombstone stays, too",
	  { left, no_renewal, fenced, no_key, no_extents }, HCV_SP_NONE },
	{ "left, older module: until the next epoch",
	  { left, cannot_retire, fenced, no_key, no_extents, takeover },
	  HCV_SP_DELETE_TOMB },
	{ "left, older agent: or until nobody has the volume",
	  { left, no_renewal, fenced, no_key, no_extents, nobody },
	  HCV_SP_DELETE_TOMB },
	{ "left, and granted anew", { left, granted_anew }, HCV_SP_REFUSE },
	{ "left, and a hand-over is wished for", { left, hand }, HCV_SP_REVOKE,
	  5, 0, 9 },
	{ "left: tombstones of extents first",
	  { left, fenced, no_key, no_extents, gone_nothing },
	  HCV_SP_DELETE_GONE },
	{ "left, and back in a row", { left_row }, HCV_SP_REFUSE },
	{ "left, and back in the record", { left_named }, HCV_SP_REFUSE },
	{ "left, and then deleted", { left, forgotten, fenced, no_key },
	  HCV_SP_FREE },
	{ "left, metadata from a backup", { left, from_backup },
	  HCV_SP_REFUSE },
	{ "metadata from a backup", { from_backup }, HCV_SP_REFUSE },
	{ "unreadable key", { takeover, bad }, HCV_SP_REFUSE },
};

static void plan_desc(const struct plan_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", c->name);
}

KUNIT_ARRAY_PARAM(plan, plan_cases, plan_desc);

static void storeplan_table(struct kunit *test)
{
	const struct plan_case *c = test->param_value;
	struct hcv_sp_out out;
	struct fix f;
	size_t i;

	fix_init(&f);
	for (i = 0; i < 6 && c->change[i]; i++)
		c->change[i](&f);
	hcv_storeplan_next(&f.in, &out);
	KUNIT_EXPECT_STREQ(test, hcv_storeplan_act_name(out.act),
			   hcv_storeplan_act_name(c->act));
	KUNIT_EXPECT_EQ(test, out.epoch, c->epoch);
	KUNIT_EXPECT_EQ(test, out.count ? out.count : out.ready, c->number);
	KUNIT_EXPECT_EQ(test, out.renew, c->renew);
	if (c->client)
		KUNIT_EXPECT_STREQ(test, out.client, c->client);
	if (c->act == HCV_SP_WAIT || c->act == HCV_SP_REFUSE)
		KUNIT_EXPECT_TRUE(test, out.reason[0] != '\0');
}

/* ------------------------------------------------------------- whole lives */

/*
 * A model of the module: grants live until they are revoked and have drained,
 * which takes a few REVOKE calls.
 */
struct life {
	struct fix f;
	unsigned int drain;	/* REVOKE calls until fenced */
	uint64_t revoked;	/* epochs up to here get no grant */
	bool told;		/* the key names the record's epoch */
};

static void life_drop_grants(struct life *l, uint64_t epoch)
{
	size_t i, n = 0;

	for (i = 0; i < l->f.in.nr_k; i++)
		if (l->f.k[i].epoch > epoch)
			l->f.k[n++] = l->f.k[i];
	l->f.in.nr_k = n;
}

static void life_revoke(struct kunit *test, struct life *l, uint64_t epoch)
{
	size_t i;

	KUNIT_ASSERT_TRUE(test, epoch <= l->f.rec.epoch || !l->f.in.rec);
	if (epoch > l->revoked)
		l->revoked = epoch;
	for (i = 0; i < l->f.in.nr_k; i++)
		if (l->f.k[i].epoch <= epoch)
			l->f.k[i].revoked = true;
	if (l->drain) {
		l->drain--;
		l->f.in.fence = HCV_SP_DRAINING;
		return;
	}
	life_drop_grants(l, epoch);
	l->f.in.fence = HCV_SP_FENCED;
}

static void life_add(struct life *l)
{
	size_t i;

	for (i = 0; i < l->f.in.nr_row; i++)
		l->f.have[i] = l->f.row[i].index;
	l->f.in.nr_have = l->f.in.nr_row;
}

static void life_grant(struct kunit *test, struct life *l,
		       const struct hcv_sp_out *out)
{
	size_t i;

	/* the promise of a grant: nothing older is left */
	for (i = 0; i < l->f.in.nr_k; i++)
		KUNIT_ASSERT_TRUE(test, l->f.k[i].epoch >= out->epoch);
	KUNIT_ASSERT_GT(test, out->epoch, l->revoked);
	if (out->epoch > 1)
		KUNIT_ASSERT_EQ(test, l->revoked, out->epoch - 1);
	l->f.in.nr_k = 1;
	fix_grant(&l->f, 0, out->epoch, l->f.rec.owner);
	l->f.k[0].range[0].first = 1024 * out->epoch;
	l->f.k[0].range[0].count = out->count;
}

static void life_write(struct kunit *test, struct life *l,
		       const struct hcv_sp_out *out)
{
	size_t i;

	KUNIT_ASSERT_EQ(test, l->f.in.nr_have, l->f.in.nr_row);
	KUNIT_ASSERT_EQ(test, l->f.in.nr_k, (size_t)1);
	KUNIT_ASSERT_EQ(test, l->f.k[0].epoch, l->f.rec.epoch);
	KUNIT_ASSERT_FALSE(test, l->f.k[0].revoked);
	for (i = 0; i < l->f.in.nr_row; i++)
		KUNIT_ASSERT_LT(test, l->f.row[i].index, out->ready);
	l->f.key.epoch = out->epoch;
	strcpy(l->f.key.client, l->f.k[0].client);
	l->f.key.incarnation = l->f.in.incarnation;
	l->f.key.ready = out->ready;
	l->f.key.nr = 1;
	l->f.key.range[0] = l->f.k[0].range[0];
	l->f.in.grant = &l->f.key;
	l->f.in.devpath = l->f.in.want_devpath;
	l->told = true;
}

/* One step; false: nothing left to do. */
static bool life_step(struct kunit *test, struct life *l)
{
	struct hcv_sp_in *in = &l->f.in;
	struct hcv_sp_out out;

	in->want_devpath = strcmp(l->f.rec.owner, N1) ? "/dev/hcvx0" : "";
	hcv_storeplan_next(in, &out);
	switch (out.act) {
	case HCV_SP_NONE:
		return false;
	case HCV_SP_WAIT:
		in->fence = HCV_SP_UNKNOWN;	/* the next pass asks */
		return true;
	case HCV_SP_REVOKE:
		life_revoke(test, l, out.epoch);
		return true;
	case HCV_SP_ADD_EXTENTS:
		life_add(l);
		return true;
	case HCV_SP_EXPORT:
		in->export = HCV_SP_EX_READY;
		return true;
	case HCV_SP_GRANT:
		life_grant(test, l, &out);
		return true;
	case HCV_SP_WRITE_GRANT:
		life_write(test, l, &out);
		return true;
	case HCV_SP_DELETE_GRANT:
		in->grant = NULL;
		return true;
	case HCV_SP_FREE:
		KUNIT_ASSERT_EQ(test, in->nr_k, (size_t)0);
		in->nr_have = 0;
		return true;
	case HCV_SP_DELETE_TOMB:
		KUNIT_ASSERT_EQ(test, in->nr_have, (size_t)0);
		in->tomb = false;
		return true;
	default:
		KUNIT_FAIL(test, "step %s", hcv_storeplan_act_name(out.act));
		return false;
	}
}

/* What an owner or an operator may do between any two steps. */
static void life_event(struct life *l, unsigned int r)
{
	struct fix *f = &l->f;

	l->drain = r / 16 % 4;
	switch (r % 8) {
	case 0:	/* attach or take-over */
	case 1:
		f->rec.epoch++;
		strcpy(f->rec.owner, r % 8 ? N1 : N2);
		f->rec.phase = HCV_PH_TAKING;
		l->told = false;
		break;
	case 2:
		if (f->rec.owner[0])
			f->rec.phase = HCV_PH_SERVING;
		break;
	case 3:	/* detach */
		f->rec.phase = HCV_PH_NONE;
		f->rec.owner[0] = '\0';
		l->told = false;
		break;
	case 4:	/* the store is opened anew */
		f->in.incarnation++;
		f->in.nr_k = 0;
		l->revoked = 0;
		f->in.fence = HCV_SP_UNKNOWN;
		f->in.export = HCV_SP_EX_UNKNOWN;
		l->told = false;
		break;
	case 5:	/* a row is added */
		if (f->in.nr_row < 8) {
			f->row[f->in.nr_row].index =
				f->row[f->in.nr_row - 1].index + 1 + r % 3;
			f->row[f->in.nr_row++].full = true;
		}
		break;
	default: /* the agent is killed: it forgets what it asked */
		f->in.fence = HCV_SP_UNKNOWN;
		f->in.export = HCV_SP_EX_UNKNOWN;
		break;
	}
}

static bool life_settle(struct kunit *test, struct life *l)
{
	unsigned int i;

	for (i = 0; i < 64; i++)
		if (!life_step(test, l))
			return true;
	return false;
}

static void life_check(struct kunit *test, struct life *l)
{
	struct hcv_sp_in *in = &l->f.in;

	KUNIT_ASSERT_TRUE(test, life_settle(test, l));
	KUNIT_ASSERT_EQ(test, in->nr_have, in->nr_row);
	if (l->f.rec.phase == HCV_PH_NONE) {
		KUNIT_ASSERT_EQ(test, in->nr_k, (size_t)0);
		KUNIT_ASSERT_TRUE(test, !in->grant);
		return;
	}
	KUNIT_ASSERT_TRUE(test, in->grant != NULL);
	KUNIT_ASSERT_EQ(test, in->grant->epoch, l->f.rec.epoch);
	KUNIT_ASSERT_EQ(test, in->grant->incarnation, in->incarnation);
	KUNIT_ASSERT_STREQ(test, in->grant->client, l->f.rec.owner);
}

static void storeplan_lives(struct kunit *test)
{
	unsigned int seed, i, steps;

	for (seed = 1; seed <= 2000; seed++) {
		struct life l = { 0 };

		srand(seed);
		fix_init(&l.f);
		l.revoked = 4;
		for (i = 0; i < 20; i++) {
			life_event(&l, (unsigned int)rand());
			/* a new pass asks the module anew */
			l.f.in.fence = HCV_SP_UNKNOWN;
			for (steps = rand() % 5; steps; steps--)
				life_step(test, &l);
		}
		life_check(test, &l);
		forgotten(&l.f);
		tomb(&l.f);
		l.f.in.fence = HCV_SP_UNKNOWN;
		KUNIT_ASSERT_TRUE(test, life_settle(test, &l));
		KUNIT_ASSERT_FALSE(test, l.f.in.tomb);
		KUNIT_ASSERT_TRUE(test, !l.f.in.grant);
		KUNIT_ASSERT_EQ(test, l.f.in.nr_have, (size_t)0);
	}
}

static struct kunit_case storeplan_test_cases[] = {
	KUNIT_CASE_PARAM(storeplan_table, plan_gen_params),
	KUNIT_CASE(storeplan_lives),
	{}
};

static struct kunit_suite storeplan_suite = {
	.name = "hcv_storeplan",
	.test_cases = storeplan_test_cases,
};

kunit_test_suite(storeplan_suite);
