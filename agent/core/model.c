// SPDX-License-Identifier: GPL-2.0-only
/*
 * JSON of the values in the metadata store; docs/agent.md has the table.
 *
 * Decoders fill a local copy and hand it out only when all of it fits.
 */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/hcivol.h>

#include "json.h"
#include "record.h"
#include "scrubplan.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define NQN_OF_STORE "nqn.2026-01.io.hcivol:"
#define NQN_OF_HOST "nqn.2014-08.org.nvmexpress:uuid:"

/* Places in these lists are the values of the enums. */
static const char *const store_states[] = { "ready", "draining", "removed" };
static const char *const node_states[] = { "ready", "draining" };
static const char *const vol_states[] = { "ready", "deleting" };
static const char *const domains[] = { "disk", "node", "rack" };
static const char *const queues[] = {
	[HCV_QUEUE_MQ] = "mq", [HCV_QUEUE_BIO] = "bio",
};

static const char *const policies[] = {
	[HCV_POLICY_SUSPEND] = "suspend", [HCV_POLICY_ERROR] = "error",
};

static const char *const slow_replicas[] = { "keep", "drop" };
static const char *const phases[] = { "none", "taking", "serving" };
static const char *const sstates[] = {
	"insync", "stale", "syncing", "temporary"
};
static const char *const befores[] = { "unknown", "clean", "log", "nolog" };
static const char *const classes[] = { "ssd", "hdd" };
static const char *const transports[] = { "tcp", "rdma" };

bool hcv_model_uuid_ok(const char *s)
{
	bool zero = true;
	size_t i;

	for (i = 0; i < HCV_ID_LEN - 1; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (s[i] != '-')
				return false;
			continue;
		}
		if (!((s[i] >= '0' && s[i] <= '9') ||
		      (s[i] >= 'a' && s[i] <= 'f')))
			return false;
		zero = zero && s[i] == '0';
	}
	return !s[i] && !zero;
}

static bool alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

/*
 * Names become parts of keys and of /dev/hcivol/by-name/NAME.  One that looks
 * like a UUID would make commands that take either ambiguous.
 */
bool hcv_model_name_ok(const char *s)
{
	size_t i;

	if (!alnum(s[0]))
		return false;
	for (i = 0; s[i]; i++)
		if (i >= HCV_NAME_LEN - 1 ||
		    (!alnum(s[i]) && !strchr("._-", s[i])))
			return false;
	return !hcv_model_uuid_ok(s);
}

static int get_uuid(struct json_object *o, const char *name, char *out,
		    char *err)
{
	char s[HCV_ID_LEN] = "";

	if (hcv_json_str(o, name, s, sizeof(s), err))
		return -EINVAL;
	if (!hcv_model_uuid_ok(s))
		return hcv_json_err(err, "\"%s\" is not a UUID", name);
	memcpy(out, s, sizeof(s));
	return 0;
}

static int get_name(struct json_object *o, const char *name, char *out,
		    char *err)
{
	char s[HCV_NAME_LEN] = "";

	if (hcv_json_str(o, name, s, sizeof(s), err))
		return -EINVAL;
	if (!hcv_model_name_ok(s))
		return hcv_json_err(err, "\"%s\" is not a valid name", name);
	memcpy(out, s, sizeof(s));
	return 0;
}

/* A word of a list that is kept as text. */
static int get_word(struct json_object *o, const char *name,
		    const char *const *words, size_t nr, char *out,
		    size_t size, char *err)
{
	unsigned int i;

	if (hcv_json_enum(o, name, words, nr, &i, err))
		return -EINVAL;
	memset(out, 0, size);
	memcpy(out, words[i], strlen(words[i]));
	return 0;
}

static int get_u32(struct json_object *o, const char *name, uint32_t max,
		   uint32_t *out, char *err)
{
	uint64_t n;

	if (hcv_json_u64(o, name, 0, max, &n, err))
		return -EINVAL;
	*out = (uint32_t)n;
	return 0;
}

static int get_time(struct json_object *o, const char *name, int64_t *out,
		    char *err)
{
	uint64_t n;

	if (hcv_json_u64(o, name, 0, INT64_MAX, &n, err))
		return -EINVAL;
	*out = (int64_t)n;
	return 0;
}

/* Where to reach something: address, port and transport. */
static int get_target(struct json_object *o, char *addr, size_t addr_size,
		      unsigned int *port, char *transport,
		      size_t transport_size, char *err)
{
	uint64_t n;

	if (hcv_json_str(o, "addr", addr, addr_size, err) ||
	    hcv_json_u64(o, "port", 1, 65535, &n, err))
		return -EINVAL;
	*port = (unsigned int)n;
	return get_word(o, "transport", transports, ARRAY_LEN(transports),
			transport, transport_size, err);
}

static void put_target(struct hcv_json *j, const char *addr,
		       unsigned int port, const char *transport)
{
	hcv_json_put_str(j, "addr", addr);
	hcv_json_put_u64(j, "port", port);
	hcv_json_put_str(j, "transport", transport);
}

char *hcv_model_cluster_encode(const struct hcv_cluster_info *c)
{
	struct hcv_json j;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_str(&j, "uuid", c->uuid);
	hcv_json_put_str(&j, "name", c->name);
	hcv_json_put_u64(&j, "created", (uint64_t)c->created);
	hcv_json_put_u64(&j, "scrub_days", c->scrub_days);
	hcv_json_put_u64(&j, "scrub_kibps", c->scrub_kibps);
	return hcv_json_finish(&j);
}

/* Absent in keys that were written before there were scrubs. */
static int get_scrub(struct json_object *o, struct hcv_cluster_info *c,
		     char *err)
{
	c->scrub_days = HCV_SCRUB_DAYS;
	c->scrub_kibps = HCV_SCRUB_KIBPS;
	if (json_object_object_get_ex(o, "scrub_days", NULL) &&
	    get_u32(o, "scrub_days", HCV_SCRUB_DAYS_MAX, &c->scrub_days, err))
		return -EINVAL;
	if (json_object_object_get_ex(o, "scrub_kibps", NULL) &&
	    get_u32(o, "scrub_kibps", HCV_SCRUB_KIBPS_MAX, &c->scrub_kibps,
		    err))
		return -EINVAL;
	return 0;
}

int hcv_model_cluster_decode(const char *json, struct hcv_cluster_info *c,
			     char *err)
{
	struct json_object *o = hcv_json_parse(json, HCV_SCHEMA, err);
	struct hcv_cluster_info new = { 0 };
	int ret = -EINVAL;

	if (!o)
		return ret;
	if (!get_uuid(o, "uuid", new.uuid, err) &&
	    !get_name(o, "name", new.name, err) &&
	    !get_time(o, "created", &new.created, err) &&
	    !get_scrub(o, &new, err)) {
		*c = new;
		ret = 0;
	}
	json_object_put(o);
	return ret;
}

static void put_joined(struct hcv_json *j, const char *name,
		       const char *prefix, const char *id)
{
	char nqn[sizeof(NQN_OF_HOST) + HCV_ID_LEN];
	size_t len = strlen(prefix);

	memcpy(nqn, prefix, len);
	memcpy(nqn + len, id, strlen(id) + 1);
	hcv_json_put_str(j, name, nqn);
}

char *hcv_model_node_encode(const struct hcv_node_info *n)
{
	struct hcv_json j;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_str(&j, "uuid", n->uuid);
	hcv_json_put_str(&j, "name", n->name);
	hcv_json_put_str(&j, "rack", n->rack);
	put_target(&j, n->addr, n->port, n->transport);
	put_joined(&j, "hostnqn", NQN_OF_HOST, n->uuid);
	hcv_json_put_str(&j, "hostid", n->uuid);
	hcv_json_put_str(&j, "state", node_states[n->draining]);
	return hcv_json_finish(&j);
}

int hcv_model_node_decode(const char *json, struct hcv_node_info *n, char *err)
{
	struct json_object *o = hcv_json_parse(json, HCV_SCHEMA, err);
	struct hcv_node_info new = { 0 };
	unsigned int state;
	int ret = -EINVAL;

	if (!o)
		return ret;
	if (!get_uuid(o, "uuid", new.uuid, err) &&
	    !get_name(o, "name", new.name, err) &&
	    !hcv_json_str(o, "rack", new.rack, sizeof(new.rack), err) &&
	    !get_target(o, new.addr, sizeof(new.addr), &new.port,
			new.transport, sizeof(new.transport), err) &&
	    !hcv_json_enum(o, "state", node_states, ARRAY_LEN(node_states),
			   &state, err)) {
		new.draining = state;
		*n = new;
		ret = 0;
	}
	json_object_put(o);
	return ret;
}

char *hcv_model_store_encode(const struct hcv_store_info *s)
{
	struct hcv_json j;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_str(&j, "uuid", s->uuid);
	hcv_json_put_str(&j, "node", s->node);
	hcv_json_put_str(&j, "name", s->name);
	hcv_json_put_str(&j, "path", s->path);
	hcv_json_put_u64(&j, "dev_bytes", s->dev_bytes);
	hcv_json_put_u64(&j, "nr_extents", s->nr_extents);
	hcv_json_put_str(&j, "class", s->class);
	hcv_json_put_str(&j, "state", store_states[s->state]);
	return hcv_json_finish(&j);
}

int hcv_model_store_decode(const char *json, struct hcv_store_info *s,
			   char *err)
{
	struct json_object *o = hcv_json_parse(json, HCV_SCHEMA, err);
	struct hcv_store_info new = { 0 };
	unsigned int state;
	int ret = -EINVAL;

	if (!o)
		return ret;
	if (!get_uuid(o, "uuid", new.uuid, err) &&
	    !get_uuid(o, "node", new.node, err) &&
	    !get_name(o, "name", new.name, err) &&
	    !hcv_json_str(o, "path", new.path, sizeof(new.path), err) &&
	    !hcv_json_u64(o, "dev_bytes", 1, UINT64_MAX, &new.dev_bytes,
			  err) &&
	    !get_u32(o, "nr_extents", UINT32_MAX, &new.nr_extents, err) &&
	    !get_word(o, "class", classes, ARRAY_LEN(classes), new.class,
		      sizeof(new.class), err) &&
	    !hcv_json_enum(o, "state", store_states, ARRAY_LEN(store_states),
			   &state, err)) {
		new.state = (enum hcv_store_state)state;
		*s = new;
		ret = 0;
	}
	json_object_put(o);
	return ret;
}

char *hcv_model_storelive_encode(const struct hcv_store_info *s)
{
	struct hcv_json j;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_u64(&j, "incarnation", s->incarnation);
	hcv_json_put_u64(&j, "used_extents", s->used_extents);
	hcv_json_put_bool(&j, "failed", s->failed);
	put_joined(&j, "nqn", NQN_OF_STORE, s->uuid);
	put_target(&j, s->nqn_addr, s->port, s->transport);
	return hcv_json_finish(&j);
}

/* Adds to what hcv_model_store_decode() put into @s. */
int hcv_model_storelive_decode(const char *json, struct hcv_store_info *s,
			       char *err)
{
	struct json_object *o = hcv_json_parse(json, HCV_SCHEMA, err);
	struct hcv_store_info new = *s;
	int ret = -EINVAL;

	if (!o)
		return ret;
	if (!hcv_json_u64(o, "incarnation", 0, UINT64_MAX, &new.incarnation,
			  err) &&
	    !get_u32(o, "used_extents", UINT32_MAX, &new.used_extents, err) &&
	    !hcv_json_bool(o, "failed", &new.failed, err) &&
	    !get_target(o, new.nqn_addr, sizeof(new.nqn_addr), &new.port,
			new.transport, sizeof(new.transport), err)) {
		new.live = true;
		*s = new;
		ret = 0;
	}
	json_object_put(o);
	return ret;
}

char *hcv_model_vol_encode(const struct hcv_vol_info *v)
{
	struct hcv_json j;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_str(&j, "uuid", v->uuid);
	hcv_json_put_str(&j, "name", v->name);
	hcv_json_put_u64(&j, "size", v->size);
	hcv_json_put_u64(&j, "replicas", v->replicas);
	hcv_json_put_u64(&j, "stripe", v->stripe);
	hcv_json_put_str(&j, "queue", queues[v->queue]);
	hcv_json_put_str(&j, "policy", policies[v->policy]);
	hcv_json_put_u64(&j, "policy_ms", v->policy_ms);
	hcv_json_put_u64(&j, "sync_kibps", v->sync_kibps);
	hcv_json_put_bool(&j, "readonly", v->readonly);
	hcv_json_put_str(&j, "slow_replica", slow_replicas[v->slow_drop]);
	hcv_json_put_str(&j, "domain", domains[v->domain]);
	hcv_json_put_str(&j, "state", vol_states[v->deleting]);
	hcv_json_put_u64(&j, "created", (uint64_t)v->created);
	return hcv_json_finish(&j);
}

/* How it is laid out. */
static int vol_shape(struct json_object *o, struct hcv_vol_info *v, char *err)
{
	uint64_t replicas, stripe;

	if (hcv_json_u64(o, "size", 512, 1ULL << 60, &v->size, err) ||
	    hcv_json_u64(o, "replicas", 1, 3, &replicas, err) ||
	    hcv_json_u64(o, "stripe", 1, 4, &stripe, err))
		return -EINVAL;
	if (v->size % 512)
		return hcv_json_err(err,
				    "\"size\" is not a multiple of 512");
	if (stripe == 3)
		return hcv_json_err(err, "\"stripe\" is not 1, 2 or 4");
	v->replicas = (unsigned int)replicas;
	v->stripe = (unsigned int)stripe;
	return 0;
}

/* Definitions that were written before there was a limit have none. */
static int vol_sync(struct json_object *o, struct hcv_vol_info *v, char *err)
{
	v->sync_kibps = 0;
	if (!json_object_object_get_ex(o, "sync_kibps", NULL))
		return 0;
	return get_u32(o, "sync_kibps", UINT32_MAX, &v->sync_kibps, err);
}

/* Those from before there was the setting keep them. */
static int vol_slow(struct json_object *o, struct hcv_vol_info *v, char *err)
{
	unsigned int drop = 0;

	if (json_object_object_get_ex(o, "slow_replica", NULL) &&
	    hcv_json_enum(o, "slow_replica", slow_replicas,
			  ARRAY_LEN(slow_replicas), &drop, err))
		return -EINVAL;
	v->slow_drop = drop;
	return 0;
}

int hcv_model_vol_decode(const char *json, struct hcv_vol_info *v, char *err)
{
	struct json_object *o = hcv_json_parse(json, HCV_SCHEMA, err);
	struct hcv_vol_info new = { 0 };
	unsigned int domain, state;
	int ret = -EINVAL;

	if (!o)
		return ret;
	if (!get_uuid(o, "uuid", new.uuid, err) &&
	    !get_name(o, "name", new.name, err) &&
	    !vol_shape(o, &new, err) &&
	    !hcv_json_enum(o, "queue", queues, ARRAY_LEN(queues),
			   &new.queue, err) &&
	    !hcv_json_enum(o, "policy", policies, ARRAY_LEN(policies),
			   &new.policy, err) &&
	    !get_u32(o, "policy_ms", UINT32_MAX, &new.policy_ms, err) &&
	    !vol_sync(o, &new, err) && !vol_slow(o, &new, err) &&
	    !hcv_json_bool(o, "readonly", &new.readonly, err) &&
	    !hcv_json_enum(o, "domain", domains, ARRAY_LEN(domains),
			   &domain, err) &&
	    !hcv_json_enum(o, "state", vol_states, ARRAY_LEN(vol_states),
			   &state, err) &&
	    !get_time(o, "created", &new.created, err)) {
		new.domain = (enum hcv_domain)domain;
		new.deleting = state;
		*v = new;
		ret = 0;
	}
	json_object_put(o);
	return ret;
}

/* Absent while nobody wishes for it. */
static void put_hand(struct hcv_json *j, const struct hcv_rec_hand *h)
{
	struct json_object *o;

	if (!*h->to)
		return;
	o = json_object_new_object();
	hcv_json_put(j, j->o, "handover", o);
	hcv_json_put(j, o, "to", json_object_new_string(h->to));
	hcv_json_put(j, o, "v", json_object_new_uint64(h->v));
	hcv_json_put(j, o, "ready", json_object_new_boolean(h->ready));
	hcv_json_put(j, o, "go", json_object_new_boolean(h->go));
	hcv_json_put(j, o, "limit_ms", json_object_new_uint64(h->limit_ms));
}

static int get_hand(struct json_object *o, struct hcv_rec_hand *h, char *err)
{
	struct json_object *hand;

	if (!json_object_object_get_ex(o, "handover", NULL))
		return 0;
	if (hcv_json_object(o, "handover", &hand, err) ||
	    get_uuid(hand, "to", h->to, err) ||
	    hcv_json_u64(hand, "v", 1, UINT64_MAX, &h->v, err) ||
	    hcv_json_bool(hand, "ready", &h->ready, err) ||
	    hcv_json_bool(hand, "go", &h->go, err) ||
	    get_u32(hand, "limit_ms", UINT32_MAX, &h->limit_ms, err))
		return -EINVAL;
	return 0;
}

/* Absent unless its owner is a caretaker. */
static void put_care(struct hcv_json *j, const struct hcv_rec_care *c)
{
	struct json_object *o;

	if (!c->on)
		return;
	o = json_object_new_object();
	hcv_json_put(j, j->o, "caretaker", o);
	hcv_json_put(j, o, "leave", json_object_new_boolean(c->leave));
}

static int get_care(struct json_object *o, struct hcv_rec_care *c, char *err)
{
	struct json_object *care;

	if (!json_object_object_get_ex(o, "caretaker", NULL))
		return 0;
	c->on = true;
	return hcv_json_object(o, "caretaker", &care, err) ||
	       hcv_json_bool(care, "leave", &c->leave, err) ? -EINVAL : 0;
}

static void put_temp(struct hcv_json *j, struct json_object *store,
		     const struct hcv_rec_store *st)
{
	if (st->state != HCV_RS_TEMPORARY)
		return;
	hcv_json_put(j, store, "base", json_object_new_string(st->base));
	hcv_json_put(j, store, "covers", json_object_new_boolean(st->covers));
	hcv_json_put(j, store, "pair", json_object_new_boolean(st->pair));
	hcv_json_put(j, store, "named", json_object_new_boolean(st->named));
}

char *hcv_model_record_encode(const struct hcv_record *r)
{
	struct json_object *stores, *store;
	struct hcv_json j;
	size_t i;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_str(&j, "owner", r->owner);
	hcv_json_put_u64(&j, "epoch", r->epoch);
	hcv_json_put_str(&j, "phase", phases[r->phase]);
	hcv_json_put_u64(&j, "v", r->v);
	hcv_json_put_u64(&j, "lineage", r->lineage);
	hcv_json_put_bool(&j, "clean", r->clean);
	hcv_json_put_bool(&j, "was_clean", r->was_clean);
	/* Who does not know it leaves it out, as it keeps none. */
	if (r->log)
		hcv_json_put_bool(&j, "log", r->log);
	if (r->before)
		hcv_json_put_str(&j, "before", befores[r->before]);
	put_hand(&j, &r->hand);
	put_care(&j, &r->care);
	stores = json_object_new_object();
	hcv_json_put(&j, j.o, "stores", stores);
	for (i = 0; i < r->nr; i++) {
		store = json_object_new_object();
		hcv_json_put(&j, stores, r->st[i].store, store);
		hcv_json_put(&j, store, "state",
			     json_object_new_string(sstates[r->st[i].state]));
		hcv_json_put(&j, store, "v",
			     json_object_new_uint64(r->st[i].v));
		if (r->st[i].renew)
			hcv_json_put(&j, store, "renew",
				     json_object_new_uint64(r->st[i].renew));
		if (r->st[i].passed)
			hcv_json_put(&j, store, "passed",
				     json_object_new_boolean(true));
		put_temp(&j, store, &r->st[i]);
	}
	return hcv_json_finish(&j);
}

/* Absent as long as nothing was renewed. */
static int get_renew(struct json_object *o, uint64_t *renew, char *err)
{
	struct json_object *unused;

	if (!json_object_object_get_ex(o, "renew", &unused))
		return 0;
	return hcv_json_u64(o, "renew", 1, UINT64_MAX, renew, err);
}

/* Absent: false, as an agent that does not know it leaves it. */
static int get_passed(struct json_object *o, bool *passed, char *err)
{
	struct json_object *unused;

	if (!json_object_object_get_ex(o, "passed", &unused))
		return 0;
	return hcv_json_bool(o, "passed", passed, err);
}

static int get_before(struct json_object *o, enum hcv_rec_before *before,
		      char *err)
{
	struct json_object *unused;
	unsigned int b;

	if (!json_object_object_get_ex(o, "before", &unused))
		return 0;
	if (hcv_json_enum(o, "before", befores, ARRAY_LEN(befores), &b, err))
		return -EINVAL;
	*before = (enum hcv_rec_before)b;
	return 0;
}

/*
 * Its members are for those who know the state alone: whoever does not has
 * refused the record by it.
 */
static int get_temp(struct json_object *o, struct hcv_rec_store *st, char *err)
{
	if (st->state != HCV_RS_TEMPORARY)
		return 0;
	if (get_uuid(o, "base", st->base, err) ||
	    hcv_json_bool(o, "covers", &st->covers, err))
		return -EINVAL;
	if (hcv_json_bool(o, "pair", &st->pair, err))
		return -EINVAL;
	return hcv_json_bool(o, "named", &st->named, err);
}

static int record_stores(struct json_object *o, struct hcv_record *r,
			 char *err)
{
	struct json_object_iterator it, end;
	struct json_object *stores, *item;
	struct hcv_rec_store *st;
	unsigned int state;

	if (hcv_json_object(o, "stores", &stores, err))
		return -EINVAL;
	if (json_object_object_length(stores) > HCV_REC_STORES)
		return hcv_json_err(err, "\"stores\" has more than %d members",
				    HCV_REC_STORES);
	it = json_object_iter_begin(stores);
	end = json_object_iter_end(stores);
	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		st = &r->st[r->nr++];
		item = json_object_iter_peek_value(&it);
		if (!hcv_model_uuid_ok(json_object_iter_peek_name(&it)) ||
		    !json_object_is_type(item, json_type_object))
			return hcv_json_err(err,
					    "\"stores\" has a member that is no store");
		memcpy(st->store, json_object_iter_peek_name(&it), HCV_ID_LEN);
		if (hcv_json_enum(item, "state", sstates, ARRAY_LEN(sstates),
				  &state, err) ||
		    hcv_json_u64(item, "v", 0, r->v, &st->v, err) ||
		    get_renew(item, &st->renew, err) ||
		    get_passed(item, &st->passed, err))
			return -EINVAL;
		st->state = (enum hcv_rec_sstate)state;
		if (get_temp(item, st, err))
			return -EINVAL;
	}
	return 0;
}

static int record_read(struct json_object *o, struct hcv_record *r, char *err)
{
	struct json_object *unused;
	unsigned int phase;

	if (hcv_json_str(o, "owner", r->owner, sizeof(r->owner), err))
		return -EINVAL;
	if (hcv_json_u64(o, "epoch", 0, UINT64_MAX, &r->epoch, err) ||
	    hcv_json_enum(o, "phase", phases, ARRAY_LEN(phases), &phase,
			  err) ||
	    hcv_json_u64(o, "v", 1, UINT64_MAX, &r->v, err) ||
	    hcv_json_u64(o, "lineage", 0, UINT64_MAX, &r->lineage, err) ||
	    hcv_json_bool(o, "clean", &r->clean, err))
		return -EINVAL;
	r->phase = (enum hcv_rec_phase)phase;
	/* Only a take-over has it. */
	if (json_object_object_get_ex(o, "was_clean", &unused) &&
	    hcv_json_bool(o, "was_clean", &r->was_clean, err))
		return -EINVAL;
	if (json_object_object_get_ex(o, "log", &unused) &&
	    hcv_json_bool(o, "log", &r->log, err))
		return -EINVAL;
	if (get_before(o, &r->before, err) || get_hand(o, &r->hand, err) ||
	    get_care(o, &r->care, err) ||
	    record_stores(o, r, err))
		return -EINVAL;
	return hcv_record_check(r, err);
}

int hcv_model_record_decode(const char *json, struct hcv_record *r, char *err)
{
	struct json_object *o = hcv_json_parse(json, HCV_SCHEMA, err);
	struct hcv_record new = { 0 };
	int ret;

	if (!o)
		return -EINVAL;
	ret = record_read(o, &new, err);
	if (!ret)
		*r = new;
	json_object_put(o);
	return ret;
}

char *hcv_model_grant_encode(const struct hcv_grant_info *g)
{
	struct json_object *ranges, *range;
	struct hcv_json j;
	size_t i;

	hcv_json_init(&j, HCV_SCHEMA);
	hcv_json_put_u64(&j, "epoch", g->epoch);
	hcv_json_put_str(&j, "client", g->client);
	hcv_json_put_u64(&j, "incarnation", g->incarnation);
	hcv_json_put_u64(&j, "ready", g->ready);
	if (g->renew)
		hcv_json_put_u64(&j, "renew", g->renew);
	ranges = json_object_new_array();
	hcv_json_put(&j, j.o, "ranges", ranges);
	for (i = 0; i < g->nr; i++) {
		range = json_object_new_array();
		hcv_json_push(&j, ranges, range);
		hcv_json_push(&j, range,
			      json_object_new_uint64(g->range[i].first));
		hcv_json_push(&j, range,
			      json_object_new_uint64(g->range[i].base));
		hcv_json_push(&j, range,
			      json_object_new_uint64(g->range[i].count));
	}
	return hcv_json_finish(&j);
}

static int grant_range(struct json_object *item, struct hcv_grant_range *r,
		       char *err)
{
	uint64_t first, base, count;

	if (!json_object_is_type(item, json_type_array) ||
	    json_object_array_length(item) != 3)
		return hcv_json_err(err,
				    "\"ranges\" has an element that is no range");
	if (hcv_json_item_u64(json_object_array_get_idx(item, 0),
			      "ranges: first", UINT64_MAX, &first, err) ||
	    hcv_json_item_u64(json_object_array_get_idx(item, 1),
			      "ranges: base", UINT32_MAX, &base, err) ||
	    hcv_json_item_u64(json_object_array_get_idx(item, 2),
			      "ranges: count", UINT32_MAX, &count, err))
		return -EINVAL;
	/* Handle 0 is the control window and never granted. */
	if (!first || !count || count - 1 > UINT32_MAX - base ||
	    count - 1 > UINT64_MAX - first)
		return hcv_json_err(err, "\"ranges\" has an impossible range");
	r->first = first;
	r->base = (uint32_t)base;
	r->count = (uint32_t)count;
	return 0;
}

int hcv_model_grant_decode(const char *json, struct hcv_grant_info *g,
			   char *err)
{
	struct json_object *o = hcv_json_parse(json, HCV_SCHEMA, err);
	struct hcv_grant_info new = { 0 };
	struct json_object *ranges;
	int ret = -EINVAL;

	if (!o)
		return ret;
	if (hcv_json_u64(o, "epoch", 1, UINT64_MAX, &new.epoch, err) ||
	    get_uuid(o, "client", new.client, err) ||
	    hcv_json_u64(o, "incarnation", 0, UINT64_MAX, &new.incarnation,
			 err) ||
	    get_u32(o, "ready", UINT32_MAX, &new.ready, err) ||
	    get_renew(o, &new.renew, err) ||
	    hcv_json_array(o, "ranges", HCV_GRANT_RANGES, &ranges, err))
		goto out;
	for (; new.nr < json_object_array_length(ranges); new.nr++)
		if (grant_range(json_object_array_get_idx(ranges, new.nr),
				&new.range[new.nr], err))
			goto out;
	*g = new;
	ret = 0;
out:
	json_object_put(o);
	return ret;
}
