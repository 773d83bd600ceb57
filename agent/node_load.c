// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells the others that this node's guests load it, while one of them recovers
 * a replica to a store of this node: to them that is load like that of their own
 * guests.
 *
 * The key load/NODE is there or not.  It hangs on the node's lease, so that it
 * goes with the node, and is written only while it matters: a cluster in which
 * nothing is recovered has no transactions for it.
 */
#include "agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "sync_limit.h"

#define LOAD_JOB_MS	5000

struct node_load {
	bool loaded;
	int64_t rev;		/* of the key that there is, 0: there is none */
	int64_t lease;
};

/* Whether another node copies to a store of this one. */
static bool load_matters(const struct hcv_snap *s, const char *node)
{
	const struct hcv_snap_store *st;
	const struct hcv_snap_vol *v;
	size_t i, j;

	for (i = 0; i < s->nr_vols; i++) {
		v = &s->vol[i];
		if (!v->rec_rev || !strcmp(v->rec.owner, node))
			continue;
		for (j = 0; j < v->rec.nr; j++) {
			if (v->rec.st[j].state != HCV_RS_SYNCING)
				continue;
			st = hcv_snap_store(s, v->rec.st[j].store);
			if (st && !strcmp(st->i.node, node))
				return true;
		}
	}
	return false;
}

/* A conflict, or an unknown outcome, shows in the next snapshot. */
static void load_write(struct hcv_job *job)
{
	const struct node_load *l = job->arg;
	struct hcv_cmp cmp;
	struct hcv_op op;
	struct hcv_json j;
	char *value = NULL;
	char key[64];

	snprintf(key, sizeof(key), "load/%s",
		 hcv_agent_id(job->agent)->node);
	cmp = (struct hcv_cmp){ .key = key, .rev = l->rev };
	op = (struct hcv_op){ .key = key };
	if (l->loaded) {
		hcv_json_init(&j, HCV_SCHEMA);
		value = hcv_json_finish(&j);
		if (!value)
			return;
		op.value = value;
		op.lease = l->lease;
	}
	HCV_CRASH_POINT("node-load");
	if (hcv_meta_txn(hcv_agent_meta(job->agent), &cmp, 1, &op, 1, NULL,
			 hcv_job_left(job)) == HCV_META_OK)
		hcv_state_kick(job->agent);
	HCV_CRASH_POINT("node-load-done");
	free(value);
}

static void load_written(struct hcv_job *job)
{
	free(job->arg);
}

static void load_tick(struct hcv_agent *a)
{
	const struct hcv_identity *id = hcv_agent_id(a);
	const struct hcv_snap_node *n;
	struct node_load *l = NULL;
	struct hcv_snap *s;

	s = id ? hcv_snap_get(a) : NULL;
	n = s ? hcv_snap_node(s, id->node) : NULL;
	if (n)
		l = calloc(1, sizeof(*l));
	if (l) {
		l->loaded = hcv_sync_limit_loaded() &&
			    load_matters(s, id->node);
		l->rev = n->load_rev;
		l->lease = hcv_member_lease(a);
	}
	hcv_snap_put(s);
	if (!l)
		return;
	/* Without a lease there is no key, or it is about to go. */
	if (l->loaded == !!l->rev || !l->lease ||
	    !hcv_job_start(a, "node-load", LOAD_JOB_MS, load_write,
			   load_written, l))
		free(l);
}

int hcv_node_load_init(struct hcv_agent *a)
{
	static const struct hcv_reconciler rec = {
		.name = "load",
		.tick = load_tick,
	};

	hcv_reconciler_register(a, &rec);
	return 0;
}
