// SPDX-License-Identifier: GPL-2.0-only
/*
 * cluster.init, cluster.join: a node gets its identity.
 *
 * Both may be killed anywhere and repeated.  The UUIDs are drawn and written
 * to STATE/pending.json first; the metadata transaction uses them, and a
 * repeat recognises its own earlier transaction by them; STATE/node.json comes
 * last and makes the node a member.
 */
#include "agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cluster_status.h"
#include "core/placement.h"
#include "identity.h"
#include "jout.h"
#include "member.h"

/* One at a time: two would race for pending.json. */
static pthread_mutex_t hcv_cluster_lock = PTHREAD_MUTEX_INITIALIZER;

static bool hcv_cluster_addr_ok(const char *addr)
{
	unsigned char buf[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, addr, buf) == 1 ||
		inet_pton(AF_INET6, addr, buf) == 1;
}

/* "etcd:NAME:URL,URL" of the request's list, "sqlite:..." without one. */
static int hcv_cluster_spec(struct hcv_api_req *req, struct hcv_identity *id)
{
	struct json_object *urls;
	size_t i, len, nr;
	int n;

	if (!json_object_object_get_ex(req->args, "metadata", &urls) ||
	    !json_object_array_length(urls)) {
		snprintf(id->meta_spec, sizeof(id->meta_spec),
			 "sqlite:%s/meta.db", req->agent->state_dir);
		return 0;
	}
	nr = json_object_array_length(urls);
	len = snprintf(id->meta_spec, sizeof(id->meta_spec), "etcd:%s:",
		       id->cluster_name);
	for (i = 0; i < nr; i++) {
		const char *url =
			json_object_get_string(json_object_array_get_idx(urls, i));

		if (strncmp(url, "http://", 7) && strncmp(url, "https://", 8))
			return hcv_error_set(&req->err, HCV_E_USAGE,
					     "metadata store", NULL,
					     "\"%.200s\" is no http:// or https:// URL",
					     url);
		if (strchr(url, ','))
			return hcv_error_set(&req->err, HCV_E_USAGE,
					     "metadata store", NULL,
					     "\"%.200s\" holds a comma", url);
		n = snprintf(id->meta_spec + len, sizeof(id->meta_spec) - len,
			     "%s%s", i ? "," : "", url);
		if (n < 0 || len + n >= sizeof(id->meta_spec))
			return hcv_error_set(&req->err, HCV_E_USAGE,
					     "metadata store", NULL,
					     "the list of URLs is too long");
		len += n;
	}
	return 0;
}

static int hcv_cluster_args(struct hcv_api_req *req, struct hcv_identity *id)
{
	const char *transport = hcv_api_str(req, "transport", "tcp");
	uint64_t port = hcv_api_uint(req, "port", HCV_NVME_PORT);
	const char *addr = hcv_api_str(req, "addr", "");
	char host[HCV_NAME_LEN] = "";
	char *dot;

	memset(id, 0, sizeof(*id));
	gethostname(host, sizeof(host) - 1);
	dot = strchr(host, '.');
	if (dot)
		*dot = '\0';
	snprintf(id->name, sizeof(id->name), "%s",
		 hcv_api_str(req, "node_name", host));
	snprintf(id->cluster_name, sizeof(id->cluster_name), "%s",
		 hcv_api_str(req, "name", "default"));
	snprintf(id->rack, sizeof(id->rack), "%s",
		 hcv_api_str(req, "rack", ""));
	if (!hcv_model_name_ok(id->name))
		return hcv_error_set(&req->err, HCV_E_USAGE, "node", NULL,
				     "\"%.60s\" is no name for a node; choose one with --node-name",
				     id->name);
	if (strcmp(transport, "tcp") && strcmp(transport, "rdma"))
		return hcv_error_set(&req->err, HCV_E_USAGE, "node", NULL,
				     "transport must be tcp or rdma");
	if (!port || port > 65535)
		return hcv_error_set(&req->err, HCV_E_USAGE, "node", NULL,
				     "port must be 1 to 65535");
	snprintf(id->transport, sizeof(id->transport), "%s", transport);
	id->port = port;
	if (hcv_cluster_spec(req, id))
		return -1;
	if (!*addr && strncmp(id->meta_spec, "sqlite:", 7))
		return hcv_error_set(&req->err, HCV_E_USAGE, "node", NULL,
				     "a cluster node needs --addr: the address at which the other nodes reach its stores");
	if (!*addr)
		addr = "127.0.0.1";
	if (!hcv_cluster_addr_ok(addr))
		return hcv_error_set(&req->err, HCV_E_USAGE, "node", NULL,
				     "\"%.60s\" is no IPv4 or IPv6 address",
				     addr);
	snprintf(id->addr, sizeof(id->addr), "%s", addr);
	return 0;
}

/* Our own earlier try, if it was for the same store: keep its UUIDs. */
static int hcv_cluster_pending(struct hcv_api_req *req,
			       struct hcv_identity *id, bool init)
{
	struct hcv_identity old;
	char why[HCV_ERR_SIZE];
	int ret;

	if (!hcv_identity_load(req->agent, HCV_IDENTITY_PENDING, &old, why) &&
	    !strcmp(old.meta_spec, id->meta_spec) &&
	    !strcmp(old.name, id->name)) {
		strcpy(id->node, old.node);
		if (init)
			strcpy(id->cluster, old.cluster);
		return 0;
	}
	ret = hcv_uuid_new(id->node);
	if (!ret && init)
		ret = hcv_uuid_new(id->cluster);
	if (!ret)
		ret = hcv_identity_save(req->agent, HCV_IDENTITY_PENDING, id);
	HCV_CRASH_POINT("cluster-pending");
	if (!ret)
		return 0;
	return hcv_error_set(&req->err, HCV_E_IO, "state directory", NULL,
			     "%s/%s: %s", req->agent->state_dir, HCV_IDENTITY_PENDING,
			     strerror(-ret));
}

static char *hcv_cluster_name_value(const char *uuid)
{
	char text[128];

	snprintf(text, sizeof(text), "{\"schema\":%d,\"uuid\":\"%s\"}",
		 HCV_SCHEMA, uuid);
	return strdup(text);
}

static char *hcv_cluster_node_value(const struct hcv_identity *id)
{
	struct hcv_node_info n = { .port = id->port };

	strcpy(n.uuid, id->node);
	strcpy(n.name, id->name);
	strcpy(n.rack, id->rack);
	strcpy(n.addr, id->addr);
	strcpy(n.transport, id->transport);
	return hcv_model_node_encode(&n);
}

/* The transaction that makes the node known; @init: and the cluster. */
static int hcv_cluster_enter(struct hcv_api_req *req, struct hcv_meta *m,
			     const struct hcv_identity *id, bool init,
			     int64_t cluster_rev)
{
	struct hcv_cluster_info c = {
		.created = time(NULL), .scrub_days = HCV_SCRUB_DAYS,
		.scrub_kibps = HCV_SCRUB_KIBPS,
	};
	char node[64], name[96];
	struct hcv_cmp cmp[3] = {
		{ "cluster", init ? 0 : cluster_rev }, { node, 0 }, { name, 0 }
	};
	struct hcv_op op[3] = { { .key = node }, { .key = name },
				{ .key = "cluster" } };
	char *value[3] = { NULL, NULL, NULL };
	enum hcv_meta_result res = HCV_META_INVALID;
	int i;

	snprintf(node, sizeof(node), "node/%s", id->node);
	snprintf(name, sizeof(name), "nodename/%s", id->name);
	strcpy(c.uuid, id->cluster);
	strcpy(c.name, id->cluster_name);
	value[0] = hcv_cluster_node_value(id);
	value[1] = hcv_cluster_name_value(id->node);
	value[2] = hcv_model_cluster_encode(&c);
	for (i = 0; i < 3; i++)
		op[i].value = value[i];
	if (value[0] && value[1] && value[2])
		res = hcv_meta_txn(m, cmp, 3, op, init ? 3 : 2, NULL,
				   hcv_job_left(req->job));
	HCV_CRASH_POINT("cluster-entered");
	for (i = 0; i < 3; i++)
		free(value[i]);
	if (res == HCV_META_CONFLICT)
		return hcv_error_set(&req->err, HCV_E_EXISTS, "node",
				     "agentctl cluster status",
				     "the node name %s or the cluster's name was taken meanwhile",
				     id->name);
	return hcv_error_meta(&req->err, res, "metadata store");
}

/* Until this node is seen to live; it is a member in any case. */
static void hcv_cluster_wait_live(struct hcv_api_req *req)
{
	const struct hcv_snap_node *n;
	struct hcv_snap *s;
	bool live = false;
	uint64_t seq = 0;

	while (!live) {
		s = hcv_snap_wait(req->agent, seq, req->job->deadline_ms);
		if (!s)
			return;
		seq = s->seq;
		n = hcv_snap_node(s, hcv_agent_id(req->agent)->node);
		live = n && n->i.live;
		hcv_snap_put(s);
	}
}

/* node.json is what makes it final. */
static int hcv_cluster_settle(struct hcv_api_req *req, struct hcv_meta *m,
			      const struct hcv_identity *id)
{
	int ret = hcv_identity_save(req->agent, "node.json", id);

	HCV_CRASH_POINT("cluster-node-written");
	if (!ret)
		ret = hcv_identity_publish(req->agent, id, m);
	if (ret)
		return hcv_error_set(&req->err, HCV_E_IO, "state directory",
				     NULL, "%s/node.json: %s",
				     req->agent->state_dir, strerror(-ret));
	hcv_identity_remove(req->agent, HCV_IDENTITY_PENDING);
	hcv_event_emit(req->agent, HCV_SEV_INFO, "node", NULL,
		       "%s belongs to cluster %s now", id->name,
		       id->cluster_name);
	hcv_member_kick(req->agent);
	hcv_cluster_wait_live(req);
	hcv_jo_str(req->result, "cluster", id->cluster);
	hcv_jo_str(req->result, "cluster_name", id->cluster_name);
	hcv_jo_str(req->result, "node", id->node);
	hcv_jo_str(req->result, "node_name", id->name);
	return 0;
}

/* 1: our own keys of an earlier try are there, 0: not, -1: error */
static int hcv_cluster_own_keys(struct hcv_api_req *req, struct hcv_meta *m,
				const struct hcv_identity *id)
{
	struct hcv_kv kv = { 0 };
	enum hcv_meta_result res;
	char key[96];
	int ret = 0;

	snprintf(key, sizeof(key), "nodename/%s", id->name);
	res = hcv_meta_get(m, key, &kv, HCV_META_MS);
	if (res != HCV_META_OK)
		return hcv_error_meta(&req->err, res, "metadata store");
	if (kv.rev && kv.value && strstr(kv.value, id->node))
		ret = 1;
	else if (kv.rev)
		ret = hcv_error_set(&req->err, HCV_E_EXISTS, "node",
				    "agentctl cluster join --node-name NAME",
				    "the cluster has a node named %s already",
				    id->name);
	hcv_kv_free(&kv);
	return ret;
}

static int hcv_cluster_do_init(struct hcv_api_req *req, struct hcv_meta *m,
			       struct hcv_identity *id)
{
	struct hcv_cluster_info c;
	enum hcv_meta_result res;
	struct hcv_kvs kvs = { 0 };
	struct hcv_kv kv = { 0 };
	char err[HCV_ERR_SIZE];
	bool ours = false;
	size_t nr;

	if (hcv_cluster_pending(req, id, true))
		return -1;
	res = hcv_meta_list(m, "", &kvs, HCV_META_MS);
	if (res != HCV_META_OK)
		return hcv_error_meta(&req->err, res, "metadata store");
	nr = kvs.nr;
	hcv_kvs_free(&kvs);
	res = hcv_meta_get(m, "cluster", &kv, HCV_META_MS);
	if (res != HCV_META_OK)
		return hcv_error_meta(&req->err, res, "metadata store");
	if (kv.rev && !hcv_model_cluster_decode(kv.value, &c, err))
		ours = !strcmp(c.uuid, id->cluster);
	hcv_kv_free(&kv);
	if (ours)
		return hcv_cluster_settle(req, m, id);
	if (nr)
		return hcv_error_set(&req->err, HCV_E_EXISTS, "cluster",
				     "agentctl cluster join --metadata URL,... --name NAME --addr ADDRESS",
				     "the metadata store holds a cluster named %s already",
				     id->cluster_name);
	if (hcv_cluster_enter(req, m, id, true, 0))
		return -1;
	return hcv_cluster_settle(req, m, id);
}

static int hcv_cluster_do_join(struct hcv_api_req *req, struct hcv_meta *m,
			       struct hcv_identity *id)
{
	struct hcv_cluster_info c;
	enum hcv_meta_result res;
	struct hcv_kv kv = { 0 };
	char err[HCV_ERR_SIZE];
	int64_t rev;
	int ret;

	res = hcv_meta_get(m, "cluster", &kv, HCV_META_MS);
	if (res != HCV_META_OK)
		return hcv_error_meta(&req->err, res, "metadata store");
	rev = kv.rev;
	ret = rev ? hcv_model_cluster_decode(kv.value, &c, err) : 0;
	hcv_kv_free(&kv);
	if (!rev)
		return hcv_error_set(&req->err, HCV_E_NOTFOUND, "cluster",
				     "agentctl cluster init --metadata URL,...",
				     "the metadata store holds no cluster named %s",
				     id->cluster_name);
	if (ret)
		return hcv_error_set(&req->err, HCV_E_INTERNAL, "cluster", NULL,
				     "its key cannot be understood: %s", err);
	strcpy(id->cluster, c.uuid);
	if (hcv_cluster_pending(req, id, false))
		return -1;
	ret = hcv_cluster_own_keys(req, m, id);
	if (ret < 0)
		return -1;
	if (!ret && hcv_cluster_enter(req, m, id, false, rev))
		return -1;
	return hcv_cluster_settle(req, m, id);
}

static int hcv_cluster_run(struct hcv_api_req *req, bool init)
{
	struct hcv_identity id;
	struct hcv_meta *m;
	char *why = NULL;
	int ret;

	if (hcv_agent_id(req->agent))
		return hcv_error_set(&req->err, HCV_E_EXISTS, "node",
				     "agentctl cluster status",
				     "it belongs to cluster %s already",
				     hcv_agent_id(req->agent)->cluster_name);
	if (hcv_cluster_args(req, &id))
		return -1;
	m = hcv_meta_open(id.meta_spec, &why);
	if (!m) {
		hcv_error_set(&req->err, HCV_E_UNREACHABLE, "metadata store",
			      NULL, "%s", why ? why : "out of memory");
		free(why);
		return -1;
	}
	ret = init ? hcv_cluster_do_init(req, m, &id) :
		hcv_cluster_do_join(req, m, &id);
	if (ret)
		hcv_meta_close(m);
	return ret;
}

static int hcv_cmd_cluster_enter(struct hcv_api_req *req, bool init)
{
	int ret;

	if (pthread_mutex_trylock(&hcv_cluster_lock))
		return hcv_error_set(&req->err, HCV_E_BUSY, "node", NULL,
				     "another init or join is at work");
	ret = hcv_cluster_run(req, init);
	pthread_mutex_unlock(&hcv_cluster_lock);
	return ret;
}

static int hcv_cmd_init(struct hcv_api_req *req)
{
	return hcv_cmd_cluster_enter(req, true);
}

static int hcv_cmd_join(struct hcv_api_req *req)
{
	struct json_object *urls;

	if (!json_object_object_get_ex(req->args, "metadata", &urls) ||
	    !json_object_array_length(urls))
		return hcv_error_set(&req->err, HCV_E_USAGE, "cluster", NULL,
				     "--metadata is needed: the URLs of the cluster's etcd");
	return hcv_cmd_cluster_enter(req, false);
}

static const struct hcv_api_arg hcv_cmd_init_args[] = {
	{ "metadata", HCV_ARG_STRINGS, false },
	{ "name", HCV_ARG_NAME, false },
	{ "node_name", HCV_ARG_NAME, false },
	{ "addr", HCV_ARG_STRING, false },
	{ "port", HCV_ARG_UINT, false },
	{ "rack", HCV_ARG_NAME, false },
	{ "transport", HCV_ARG_STRING, false },
	{ NULL }
};

static const struct hcv_api_cmd hcv_cmd_cluster[] = {
	{ "cluster.init", hcv_cmd_init, 20000, HCV_API_NO_CLUSTER,
	  hcv_cmd_init_args },
	{ "cluster.join", hcv_cmd_join, 20000, HCV_API_NO_CLUSTER,
	  hcv_cmd_init_args },
	{ "cluster.status", hcv_cluster_status, 5000, HCV_API_NO_CLUSTER,
	  NULL },
};

int hcv_cmd_cluster_init(struct hcv_agent *a)
{
	hcv_api_register(a, hcv_cmd_cluster,
			 sizeof(hcv_cmd_cluster) / sizeof(hcv_cmd_cluster[0]));
	return 0;
}
