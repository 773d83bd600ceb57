// SPDX-License-Identifier: GPL-2.0-only
/*
 * STATE/node.json: who this node is, and which metadata store it uses.
 */
#include "identity.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jout.h"

static const struct hcv_identity_member {
	const char *name;
	size_t off, size;
	bool required;
} hcv_identity_members[] = {
	{ "node", offsetof(struct hcv_identity, node), HCV_ID_LEN, true },
	{ "name", offsetof(struct hcv_identity, name), HCV_NAME_LEN, true },
	{ "cluster", offsetof(struct hcv_identity, cluster), HCV_ID_LEN, true },
	{ "cluster_name", offsetof(struct hcv_identity, cluster_name),
	  HCV_NAME_LEN, true },
	{ "rack", offsetof(struct hcv_identity, rack), HCV_NAME_LEN, false },
	{ "addr", offsetof(struct hcv_identity, addr), HCV_ADDR_LEN, false },
	{ "transport", offsetof(struct hcv_identity, transport),
	  HCV_TRANSPORT_LEN, true },
	{ "meta_spec", offsetof(struct hcv_identity, meta_spec), HCV_SPEC_LEN,
	  true },
};

#define HCV_MEMBERS \
	(sizeof(hcv_identity_members) / sizeof(hcv_identity_members[0]))

static void hcv_identity_path(struct hcv_agent *a, const char *file,
			      char *path, size_t size)
{
	snprintf(path, size, "%s/%s", a->state_dir, file);
}

static int hcv_identity_decode(struct json_object *o, struct hcv_identity *id,
			       char *why)
{
	const struct hcv_identity_member *m;
	struct json_object *v;
	const char *text;

	memset(id, 0, sizeof(*id));
	if (!json_object_object_get_ex(o, "schema", &v) ||
	    json_object_get_int(v) != HCV_SCHEMA) {
		snprintf(why, HCV_ERR_SIZE, "its schema is not %d", HCV_SCHEMA);
		return -EPROTO;
	}
	for (m = hcv_identity_members; m < hcv_identity_members + HCV_MEMBERS;
	     m++) {
		if (!json_object_object_get_ex(o, m->name, &v)) {
			if (!m->required)
				continue;
			snprintf(why, HCV_ERR_SIZE, "\"%s\" is missing",
				 m->name);
			return -EPROTO;
		}
		text = json_object_get_string(v);
		if (!json_object_is_type(v, json_type_string) ||
		    strlen(text) >= m->size) {
			snprintf(why, HCV_ERR_SIZE, "\"%s\" is no text of less than %zu bytes",
				 m->name, m->size);
			return -EPROTO;
		}
		strcpy((char *)id + m->off, text);
	}
	id->port = HCV_NVME_PORT;
	if (json_object_object_get_ex(o, "port", &v))
		id->port = json_object_get_int(v);
	if (!hcv_model_uuid_ok(id->node) || !hcv_model_uuid_ok(id->cluster)) {
		snprintf(why, HCV_ERR_SIZE, "\"node\" or \"cluster\" is no UUID");
		return -EPROTO;
	}
	return 0;
}

int hcv_identity_load(struct hcv_agent *a, const char *file,
		      struct hcv_identity *id, char *why)
{
	struct json_object *o;
	char path[PATH_MAX];
	char *text;
	int ret;

	hcv_identity_path(a, file, path, sizeof(path));
	text = hcv_file_read(path);
	if (!text) {
		ret = -errno;
		snprintf(why, HCV_ERR_SIZE, "%s", strerror(-ret));
		return ret;
	}
	o = json_tokener_parse(text);
	free(text);
	if (!o || !json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		snprintf(why, HCV_ERR_SIZE, "it is not a JSON object");
		return -EPROTO;
	}
	ret = hcv_identity_decode(o, id, why);
	json_object_put(o);
	return ret;
}

int hcv_identity_save(struct hcv_agent *a, const char *file,
		      const struct hcv_identity *id)
{
	struct json_object *o = json_object_new_object();
	const struct hcv_identity_member *m;
	char path[PATH_MAX];
	const char *text;
	int ret;

	json_object_object_add(o, "schema", json_object_new_int(HCV_SCHEMA));
	for (m = hcv_identity_members; m < hcv_identity_members + HCV_MEMBERS;
	     m++)
		hcv_jo_str(o, m->name, (const char *)id + m->off);
	json_object_object_add(o, "port", json_object_new_int(id->port));
	text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
					      JSON_C_TO_STRING_NOSLASHESCAPE);
	hcv_identity_path(a, file, path, sizeof(path));
	ret = text ? hcv_file_write(path, text, strlen(text)) : -ENOMEM;
	json_object_put(o);
	return ret;
}

void hcv_identity_remove(struct hcv_agent *a, const char *file)
{
	char path[PATH_MAX];

	hcv_identity_path(a, file, path, sizeof(path));
	if (unlink(path) < 0 && errno != ENOENT)
		hcv_log(HCV_SEV_WARN, "%s: %s", path, strerror(errno));
}

int hcv_identity_publish(struct hcv_agent *a, const struct hcv_identity *id,
			 struct hcv_meta *meta)
{
	struct hcv_identity *copy = malloc(sizeof(*copy));
	int ret = 0;

	if (!copy)
		return -ENOMEM;
	*copy = *id;
	pthread_mutex_lock(&a->lock);
	if (a->id) {
		ret = -EEXIST;
		free(copy);
	} else {
		/* who sees an identity sees its metadata store as well */
		__atomic_store_n(&a->meta, meta, __ATOMIC_RELEASE);
		__atomic_store_n(&a->id, copy, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&a->lock);
	return ret;
}
