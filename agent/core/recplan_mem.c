// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the recovery planner keeps between two plans.
 *
 * Conditions that hold, each with the time since when: a store is not well, a
 * replica is stale on a store that is, a node serves a volume.  At each look
 * the list is made anew, and takes over the times of those that held before.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recplan_priv.h"

#define MEM_KEY		(2 * HCV_ID_LEN + 1)

/* A target that failed one volume, and one that failed whichever volume. */
#define MEM_PAIR_MIN_MS	60000
#define MEM_PAIR_MAX_MS	3600000
#define MEM_ANY_MIN_MS	15000
#define MEM_ANY_MAX_MS	600000

struct mem_cond {
	char key[MEM_KEY];
	int64_t since_ms;
};

struct mem_fail {
	char vol[HCV_ID_LEN];	/* "": any */
	char store[HCV_ID_LEN];
	unsigned int fails;
	int64_t until_ms;
};

struct mem_begun {
	char vol[HCV_ID_LEN];
	char from[HCV_ID_LEN];
};

struct hcv_rp_mem {
	struct mem_cond *cond;	/* by key */
	size_t nr_cond;
	struct mem_fail *fail;	/* @store: target, or a share that stayed */
	size_t nr_fail;
	struct mem_begun *begun;
	size_t nr_begun;
	int64_t seen_ms;	/* the last look, 0: none */
	struct rp_care_mem care;
};

struct rp_care_mem *rp_mem_care(struct hcv_rp_mem *mem)
{
	return &mem->care;
}

struct hcv_rp_mem *hcv_recplan_mem_new(void)
{
	return calloc(1, sizeof(struct hcv_rp_mem));
}

void hcv_recplan_mem_free(struct hcv_rp_mem *mem)
{
	if (!mem)
		return;
	free(mem->cond);
	free(mem->fail);
	free(mem->begun);
	free(mem->care.seen);
	free(mem);
}

/* ------------------------------------------------------------ since when */

static int cond_compare(const void *a, const void *b)
{
	const struct mem_cond *ca = a, *cb = b;

	return strcmp(ca->key, cb->key);
}

static const char *store_id(const struct hcv_rp_in *in, int store)
{
	return store < 0 ? "" : in->store[store].id;
}

static bool store_well(const struct hcv_rp_in *in, int store)
{
	return store >= 0 && in->store[store].live && !in->store[store].failed;
}

/* Nobody brings it up to date: neither its store nor the owner is to blame. */
static bool share_stale(const struct hcv_rp_in *in,
			const struct hcv_rp_vol *vol,
			const struct hcv_rp_share *s)
{
	return s->state == HCV_RS_STALE && store_well(in, s->store) &&
	       vol->owner >= 0 && in->node[vol->owner].live;
}

static void key_store(char *key, const struct hcv_rp_in *in, size_t store)
{
	snprintf(key, MEM_KEY, "%c%s", in->store[store].failed ? 'f' : 'g',
		 in->store[store].id);
}

static void key_share(char *key, const struct hcv_rp_in *in,
		      const struct hcv_rp_vol *vol, size_t share)
{
	snprintf(key, MEM_KEY, "s%s%s", vol->id,
		 store_id(in, vol->share[share].store));
}

static void key_owner(char *key, const struct hcv_rp_in *in,
		      const struct hcv_rp_vol *vol)
{
	/* A caretaker is no owner whom replicas follow. */
	snprintf(key, MEM_KEY, "%c%s%s", vol->free ? 'c' : 'o', vol->id,
		 in->node[vol->owner].id);
}

/* All that holds now; @cond NULL: only counted. */
static size_t cond_collect(const struct hcv_rp_in *in, struct mem_cond *cond)
{
	size_t nr = 0, i, k;

	for (i = 0; i < in->nr_stores; i++) {
		if (store_well(in, (int)i))
			continue;
		if (cond)
			key_store(cond[nr].key, in, i);
		nr++;
	}
	for (i = 0; i < in->nr_vols; i++) {
		const struct hcv_rp_vol *vol = &in->vol[i];

		if (vol->owner >= 0 && cond)
			key_owner(cond[nr].key, in, vol);
		nr += vol->owner >= 0;
		for (k = 0; k < vol->nr; k++) {
			if (!share_stale(in, vol, &vol->share[k]))
				continue;
			if (cond)
				key_share(cond[nr].key, in, vol, k);
			nr++;
		}
	}
	return nr;
}

static int64_t cond_since(const struct mem_cond *cond, size_t nr,
			  const char *key)
{
	const struct mem_cond *found;
	struct mem_cond want;

	snprintf(want.key, sizeof(want.key), "%s", key);
	found = nr ? bsearch(&want, cond, nr, sizeof(*cond), cond_compare) :
		     NULL;
	return found ? found->since_ms : 0;
}

static void cond_fill(const struct hcv_rp_mem *mem, struct hcv_rp_in *in)
{
	char key[MEM_KEY];
	size_t i, k;

	for (i = 0; i < in->nr_stores; i++) {
		key_store(key, in, i);
		in->store[i].gone_ms = cond_since(mem->cond, mem->nr_cond, key);
	}
	for (i = 0; i < in->nr_vols; i++) {
		struct hcv_rp_vol *vol = &in->vol[i];

		vol->owner_ms = 0;
		if (vol->owner >= 0) {
			key_owner(key, in, vol);
			vol->owner_ms = cond_since(mem->cond, mem->nr_cond,
						   key);
		}
		for (k = 0; k < vol->nr; k++) {
			key_share(key, in, vol, k);
			vol->share[k].stale_ms = cond_since(mem->cond,
							    mem->nr_cond, key);
		}
	}
}

/* Nobody looked for a while: all that held before is as old as it was then. */
static void cond_skip(struct hcv_rp_mem *mem, int64_t now_ms)
{
	int64_t gap = mem->seen_ms ? now_ms - mem->seen_ms : 0;
	size_t i;

	for (i = 0; i < mem->nr_cond && gap >= HCV_RP_GAP_MS; i++)
		mem->cond[i].since_ms += gap;
	mem->seen_ms = now_ms;
}

static void begun_look(struct hcv_rp_mem *mem, const struct hcv_rp_in *in);

int hcv_recplan_observe(struct hcv_rp_mem *mem, struct hcv_rp_in *in)
{
	size_t nr = cond_collect(in, NULL), i;
	struct mem_cond *cond = NULL;

	if (nr) {
		cond = calloc(nr, sizeof(*cond));
		if (!cond)
			return -ENOMEM;
		cond_collect(in, cond);
		qsort(cond, nr, sizeof(*cond), cond_compare);
	}
	cond_skip(mem, in->now_ms);
	for (i = 0; i < nr; i++) {
		cond[i].since_ms = cond_since(mem->cond, mem->nr_cond,
					      cond[i].key);
		/* 0 stands for "does not hold". */
		if (!cond[i].since_ms)
			cond[i].since_ms = in->now_ms ? in->now_ms : 1;
	}
	free(mem->cond);
	mem->cond = cond;
	mem->nr_cond = nr;
	cond_fill(mem, in);
	begun_look(mem, in);
	return 0;
}

/* -------------------------------------------------------------- back-off */

static struct mem_fail *fail_find(const struct hcv_rp_mem *mem,
				  const char *vol, const char *store)
{
	size_t i;

	for (i = 0; i < mem->nr_fail; i++)
		if (!strcmp(mem->fail[i].vol, vol) &&
		    !strcmp(mem->fail[i].store, store))
			return &mem->fail[i];
	return NULL;
}

/* Entries that are over long since make room for others. */
static void fail_prune(struct hcv_rp_mem *mem, int64_t now_ms)
{
	size_t i, nr = 0;

	for (i = 0; i < mem->nr_fail; i++)
		if (now_ms - mem->fail[i].until_ms < MEM_PAIR_MAX_MS)
			mem->fail[nr++] = mem->fail[i];
	mem->nr_fail = nr;
}

static void fail_note(struct hcv_rp_mem *mem, const char *vol,
		      const char *store, int64_t now_ms)
{
	int64_t least = *vol ? MEM_PAIR_MIN_MS : MEM_ANY_MIN_MS;
	int64_t most = *vol ? MEM_PAIR_MAX_MS : MEM_ANY_MAX_MS;
	struct mem_fail *f = fail_find(mem, vol, store), *grown;
	int64_t wait;

	if (!f) {
		grown = realloc(mem->fail,
				(mem->nr_fail + 1) * sizeof(*grown));
		if (!grown)
			return;		/* it is tried again too early */
		mem->fail = grown;
		f = &grown[mem->nr_fail++];
		memset(f, 0, sizeof(*f));
		snprintf(f->vol, sizeof(f->vol), "%s", vol);
		snprintf(f->store, sizeof(f->store), "%s", store);
	}
	wait = f->fails < 16 ? least << f->fails : most;
	if (wait > most)
		wait = most;
	f->fails++;
	f->until_ms = now_ms + wait;
}

static void fail_forget(struct hcv_rp_mem *mem, const char *vol,
			const char *store)
{
	struct mem_fail *f = fail_find(mem, vol, store);

	if (f)
		*f = mem->fail[--mem->nr_fail];
}

/* ------------------------------------------------------- jobs that came to nothing */

void hcv_recplan_begun(struct hcv_rp_mem *mem, const char *vol,
		       const char *from)
{
	struct mem_begun *grown;

	hcv_recplan_called_off(mem, vol, from);
	grown = realloc(mem->begun, (mem->nr_begun + 1) * sizeof(*grown));
	if (!grown)
		return;			/* the next one comes too early */
	mem->begun = grown;
	grown += mem->nr_begun++;
	snprintf(grown->vol, sizeof(grown->vol), "%s", vol);
	snprintf(grown->from, sizeof(grown->from), "%s", from);
}

void hcv_recplan_called_off(struct hcv_rp_mem *mem, const char *vol,
			    const char *from)
{
	size_t i;

	for (i = 0; i < mem->nr_begun; i++)
		if (!strcmp(mem->begun[i].vol, vol) &&
		    !strcmp(mem->begun[i].from, from))
			mem->begun[i--] = mem->begun[--mem->nr_begun];
}

static bool begun_stayed(const struct hcv_rp_in *in,
			 const struct mem_begun *b)
{
	size_t i, k;

	for (i = 0; i < in->nr_vols; i++)
		for (k = 0; k < in->vol[i].nr; k++)
			if (!strcmp(in->vol[i].id, b->vol) &&
			    in->vol[i].share[k].extents &&
			    !strcmp(store_id(in, in->vol[i].share[k].store),
				    b->from))
				return true;
	return false;
}

static bool begun_goes_on(const struct hcv_rp_in *in,
			  const struct mem_begun *b)
{
	size_t i;

	for (i = 0; i < in->nr_jobs; i++)
		if (!strcmp(in->job[i].vol, b->vol) &&
		    !strcmp(in->job[i].from, b->from))
			return true;
	return false;
}

/* Its owner ended it: with success, or since it was not possible. */
static void begun_look(struct hcv_rp_mem *mem, const struct hcv_rp_in *in)
{
	struct mem_begun b;
	size_t i;

	for (i = 0; i < mem->nr_begun;) {
		b = mem->begun[i];
		if (begun_goes_on(in, &b)) {
			i++;
			continue;
		}
		mem->begun[i] = mem->begun[--mem->nr_begun];
		if (!begun_stayed(in, &b)) {
			fail_forget(mem, b.vol, b.from);
			continue;
		}
		fail_prune(mem, in->now_ms);
		fail_note(mem, b.vol, b.from, in->now_ms);
	}
}

void hcv_recplan_failed(struct hcv_rp_mem *mem, const char *vol,
			const char *store, int64_t now_ms)
{
	fail_prune(mem, now_ms);
	fail_note(mem, vol, store, now_ms);
	fail_note(mem, "", store, now_ms);
}

void hcv_recplan_done(struct hcv_rp_mem *mem, const char *vol,
		      const char *store)
{
	fail_forget(mem, vol, store);
	fail_forget(mem, "", store);
}

int64_t hcv_recplan_avoid(const struct hcv_rp_mem *mem, const char *vol,
			  const char *store)
{
	const struct mem_fail *pair, *any;
	int64_t until = 0;

	if (!mem)
		return 0;
	pair = fail_find(mem, vol, store);
	any = fail_find(mem, "", store);
	if (pair)
		until = pair->until_ms;
	if (any && any->until_ms > until)
		until = any->until_ms;
	return until;
}

int64_t hcv_recplan_stayed(const struct hcv_rp_mem *mem, const char *vol,
			   const char *store)
{
	const struct mem_fail *pair = fail_find(mem, vol, store);

	return pair ? pair->until_ms : 0;
}
