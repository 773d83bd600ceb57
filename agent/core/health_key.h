/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The keys of a store's health in the metadata store (docs/agent.md).  Pure.
 *
 * They are not members of store/STORE: that key is compared by every transaction
 * that puts rows on the store, and a note changes with the load.
 */
#ifndef HCV_AGENT_CORE_HEALTH_KEY_H
#define HCV_AGENT_CORE_HEALTH_KEY_H

#include "health.h"

/** struct hcv_health_key - health/STORE; note.sure is not in there */
struct hcv_health_key {
	struct hcv_health h;
	struct hcv_lat_note note;
};

/** hcv_health_key_encode() - malloc'd, NULL without memory */
char *hcv_health_key_encode(const struct hcv_health_key *k);
/** hcv_health_key_decode() - 0, or -EINVAL with a sentence in @err */
int hcv_health_key_decode(const char *json, struct hcv_health_key *k,
			  char *err);

/**
 * hcv_health_note_news() - whether others should know of the new note
 * @age_ms: of the old one
 *
 * At once when it differs by more than the noise of a percentile, else when the
 * old one is a minute old.
 */
bool hcv_health_note_news(const struct hcv_lat_note *old,
			  const struct hcv_lat_note *new, int64_t age_ms);

/** struct hcv_slow_key - slow: which store was called slow last */
char *hcv_slow_key_encode(const char *store);
int hcv_slow_key_decode(const char *json, char store[HCV_ID_LEN], char *err);

/**
 * struct hcv_drain_key - drain/STORE: the store is to be emptied
 * @by_health: its health wants it; else an operator
 */
struct hcv_drain_key {
	bool by_health;
	int64_t since;
	char why[HCV_HEALTH_WHY];
};

char *hcv_drain_key_encode(const struct hcv_drain_key *d);
int hcv_drain_key_decode(const char *json, struct hcv_drain_key *d, char *err);

#endif /* HCV_AGENT_CORE_HEALTH_KEY_H */
