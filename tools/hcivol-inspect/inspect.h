/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hcivol-inspect: what is on stores, read without module and agent.
 */
#ifndef HCV_INSPECT_H
#define HCV_INSPECT_H

#include <json-c/json.h>
#include <stdio.h>

#include "format.h"
#include "hcv_dev.h"
#include "hcv_dump.h"

#define HCV_INS_SCHEMA		1
#define HCV_INS_STORES_MAX	64U
#define HCV_INS_ERR_SIZE	512
#define HCV_INS_NONE		U32_MAX

/* Exit codes. */
#define HCV_INS_OK		0
#define HCV_INS_FAILED		1	/* could not, or found problems */
#define HCV_INS_USAGE		2

/**
 * struct hcv_ins_args - the command line
 * @pair: there are two: an old copy, and the temporary replica for it
 * @volume: set if @has_volume
 * @extent: HCV_INS_NONE: all
 * @generation: 0: the current one
 * @length: U64_MAX: up to the end
 */
struct hcv_ins_args {
	char **dev;
	u32 nr_devs;
	bool json;
	bool force;
	bool data;
	bool pair;
	bool has_volume;
	u8 volume[HCV_UUID_SIZE];
	u8 cluster[HCV_UUID_SIZE];
	u8 uuid[HCV_UUID_SIZE];
	const char *label;
	u32 extent;
	u32 generation;
	u64 offset;
	u64 length;
};

/**
 * struct hcv_ins_store - an open store
 * @copy_err: what the decoder says of each superblock copy
 * @copy: both copies as far as they are valid
 * @sb: the one that counts
 * @ent: nr_extents entries of extents, then nr_vols of volume areas
 * @page: both places of each table page
 * @bad_pages: table pages without a valid place; their entries are free
 * @bad_entries: entries that do not decode, taken as free
 */
struct hcv_ins_store {
	struct hcv_dev dev;
	int copy_err[2];
	struct hcv_super copy[2];
	struct hcv_super sb;
	struct hcv_entry *ent;
	u32 nr_ents;
	struct hcv_ins_tpage {
		int err[2];
		u64 seq[2];
		bool differ;		/* one sequence, two contents */
	} *page;
	u32 bad_pages;
	u32 bad_entries;
};

/**
 * hcv_ins_store_open() - read the superblock, and the table too if @table
 *
 * Return: 0, or a negative errno with a sentence in @err.
 */
int hcv_ins_store_open(struct hcv_ins_store *store, const char *path,
		       bool table, char *err);
void hcv_ins_store_close(struct hcv_ins_store *store);
/**
 * hcv_ins_stores_open() - open all stores of the command line with tables
 * @store: args->nr_devs; the ones that cannot be opened are left closed
 *
 * Complains on stderr about those, and about a store that is named twice.
 * Return: how many are open.
 */
u32 hcv_ins_stores_open(struct hcv_ins_store *store,
			const struct hcv_ins_args *args);
/** hcv_ins_store_area() - number of the volume's area, or HCV_INS_NONE */
u32 hcv_ins_store_area(const struct hcv_ins_store *store, const u8 *volume);
/** hcv_ins_store_intact() - complain on stderr about a damaged table */
bool hcv_ins_store_intact(const struct hcv_ins_store *store);

/**
 * struct hcv_ins_volpage - a volume area's page
 * @err: what the decoder says of each place; all of it if none is valid
 * @place: the newest valid one, or -1
 * @buf: its image
 */
struct hcv_ins_volpage {
	int err[2];
	int place;
	struct hcv_volpage vp;
	u8 *buf;
};

/** hcv_ins_volpage_read() - read both places; free with _free() */
int hcv_ins_volpage_read(const struct hcv_ins_store *store, u32 area,
			 const u8 *volume, struct hcv_ins_volpage *out);
void hcv_ins_volpage_free(struct hcv_ins_volpage *vp);

/**
 * struct hcv_ins_page - the newest valid place of a metadata page
 * @err: what the decoder says of each place
 * @place: -1: none is valid
 * @img: image of that place, inside the buffer of the extent
 * @order: (epoch, seq) of each place
 * @blank: both places were never written: all records are free
 * @differ: both places carry one order but not one content
 */
struct hcv_ins_page {
	int err[2];
	int place;
	const u8 *img;
	u64 lineage;
	u64 epoch[2];
	u64 seq[2];
	bool blank;
	bool differ;
};

/** hcv_ins_meta_read() - read an extent's metadata, HCV_EXTENT_META_SIZE */
int hcv_ins_meta_read(const struct hcv_ins_store *store, u32 phys, void *buf);
void hcv_ins_page_pick(const void *meta, const u8 *volume, u32 extent, u32 page,
		       struct hcv_ins_page *out);

/* The commands: each prints, and returns an exit code. */
int hcv_ins_cmd_super(struct hcv_ins_args *args);
int hcv_ins_cmd_table(struct hcv_ins_args *args);
int hcv_ins_cmd_volumes(struct hcv_ins_args *args);
int hcv_ins_cmd_pages(struct hcv_ins_args *args);
int hcv_ins_cmd_check(struct hcv_ins_args *args);
int hcv_ins_cmd_read(struct hcv_ins_args *args);
int hcv_ins_cmd_format(struct hcv_ins_args *args);

/** hcv_ins_error() - one line on stderr, prefixed with the program's name */
__printf(1, 2) void hcv_ins_error(const char *fmt, ...);

/* JSON: { "schema": 1, "command": NAME, ... } */
struct json_object *hcv_ins_json(const char *command);
void hcv_ins_json_u64(struct json_object *obj, const char *key, u64 val);
void hcv_ins_json_str(struct json_object *obj, const char *key,
		      const char *val);
void hcv_ins_json_uuid(struct json_object *obj, const char *key,
		       const u8 *uuid);
void hcv_ins_json_bool(struct json_object *obj, const char *key, bool val);
/** hcv_ins_json_array() - a new empty array at @key */
struct json_object *hcv_ins_json_array(struct json_object *obj,
				       const char *key);
/** hcv_ins_json_push() - a new object at the end of @array */
struct json_object *hcv_ins_json_push(struct json_object *array);
/** hcv_ins_json_out() - print and drop @obj; false: stdout failed */
bool hcv_ins_json_out(struct json_object *obj);

#endif /* HCV_INSPECT_H */
