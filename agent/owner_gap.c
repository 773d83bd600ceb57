// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the I/O waits for when a replica leaves: one line in the log each time.
 *
 * The job of the volume and the urgent thread may each take some of the steps,
 * so the figures are kept here, for the few replicas that are leaving.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "owner.h"

#define GAPS		16
#define GAP_OLD_MS	60000	/* left in some other way: make room */
#define LEASE_MS	4500	/* as the module gives it, kernel/gate.h */

/*
 * @event_ms: of the module's event, 0: none came
 * @seen_ms, @removed_ms: when; 0: not yet
 * @silent_ms: when it was seen, since the last beacon that it answered was sent
 */
struct gap {
	char vol[HCV_ID_LEN];
	char store[HCV_ID_LEN];
	int64_t since_ms;
	int64_t event_ms;
	int64_t seen_ms;
	int64_t removed_ms;
	int64_t silent_ms;
	unsigned int tries;
};

static pthread_mutex_t gap_lock = PTHREAD_MUTEX_INITIALIZER;
static struct gap gaps[GAPS];		/* gap_lock */

static struct gap *gap_find(const char *vol, const char *store, bool create)
{
	int64_t now = hcv_now_ms();
	struct gap *unused = NULL;
	size_t i;

	for (i = 0; i < GAPS; i++) {
		struct gap *g = &gaps[i];

		if (!*g->vol || now - g->since_ms > GAP_OLD_MS)
			unused = g;
		else if (!strcmp(g->vol, vol) && !strcmp(g->store, store))
			return g;
	}
	/* Without room a line in the log is missing, nothing else. */
	if (!create || !unused)
		return NULL;
	*unused = (struct gap){ .since_ms = now };
	snprintf(unused->vol, sizeof(unused->vol), "%s", vol);
	snprintf(unused->store, sizeof(unused->store), "%s", store);
	return unused;
}

void hcv_owner_gap_event(const char *vol, const char *store, int64_t event_ms)
{
	struct gap *g;

	pthread_mutex_lock(&gap_lock);
	g = gap_find(vol, store, true);
	if (g && !g->event_ms)
		g->event_ms = event_ms;
	pthread_mutex_unlock(&gap_lock);
}

void hcv_owner_gap_seen(const struct hcv_k_vol *k)
{
	const struct hcv_k_link *link;
	struct gap *g;
	size_t i;

	for (i = 0; i < k->nr_links; i++) {
		link = &k->link[i];
		if (link->state != HCV_LINK_FAILING)
			continue;
		pthread_mutex_lock(&gap_lock);
		g = gap_find(k->uuid, link->store, true);
		if (g && !g->seen_ms) {
			g->seen_ms = hcv_now_ms();
			g->silent_ms = link->lease_ms < LEASE_MS ?
				       LEASE_MS - link->lease_ms : 0;
		}
		pthread_mutex_unlock(&gap_lock);
	}
}

void hcv_owner_gap_removed(const char *vol, const char *store, bool done)
{
	struct gap *g;

	pthread_mutex_lock(&gap_lock);
	g = gap_find(vol, store, false);
	if (g)
		g->tries++;
	if (g && done)
		g->removed_ms = hcv_now_ms();
	pthread_mutex_unlock(&gap_lock);
}

void hcv_owner_gap_left(const char *name, const char *vol, const char *store,
			const char *store_name)
{
	int64_t now = hcv_now_ms();
	struct gap g = { 0 }, *found;

	pthread_mutex_lock(&gap_lock);
	found = gap_find(vol, store, false);
	if (found) {
		g = *found;
		memset(found, 0, sizeof(*found));
	}
	pthread_mutex_unlock(&gap_lock);
	/* Never in-sync, or removed by an agent before this one. */
	if (!g.seen_ms || !g.tries)
		return;
	/* The outcome of the last try was not known: by now it is. */
	if (!g.removed_ms)
		g.removed_ms = now;
	hcv_log(HCV_SEV_INFO,
		"volume %s: replica %s left: silent for up to %lld ms, noticed in %lld ms, record changed in %lld ms (%u tries), confirmed in %lld ms",
		name, store_name, (long long)g.silent_ms,
		(long long)(g.event_ms && g.event_ms < g.seen_ms ?
			    g.seen_ms - g.event_ms : 0),
		(long long)(g.removed_ms - g.seen_ms), g.tries,
		(long long)(now - g.removed_ms));
}
