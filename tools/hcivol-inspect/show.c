// SPDX-License-Identifier: GPL-2.0-only
/*
 * hcivol-inspect super, table, volumes, pages: what is there, as it is.
 */
#include "inspect.h"

#include <stdlib.h>

static int hcv_ins_done(struct hcv_ins_store *store, struct json_object *obj,
			bool good)
{
	if (obj)
		good &= hcv_ins_json_out(obj);
	else if (fflush(stdout) || ferror(stdout))
		good = false;
	hcv_ins_store_close(store);
	return good ? HCV_INS_OK : HCV_INS_FAILED;
}

static void hcv_ins_super_json(struct json_object *obj,
			       const struct hcv_super *sb)
{
	hcv_ins_json_uuid(obj, "store", sb->store);
	hcv_ins_json_str(obj, "label", sb->label);
	hcv_ins_json_uuid(obj, "cluster", sb->cluster);
	hcv_ins_json_uuid(obj, "node", sb->node);
	hcv_ins_json_u64(obj, "compat", sb->compat);
	hcv_ins_json_u64(obj, "ro_compat", sb->ro_compat);
	hcv_ins_json_u64(obj, "incompat", sb->incompat);
	hcv_ins_json_u64(obj, "seq", sb->seq);
	hcv_ins_json_bool(obj, "clean", sb->flags & HCV_SB_CLEAN);
	hcv_ins_json_bool(obj, "no_lease", sb->flags & HCV_SB_NO_LEASE);
	hcv_ins_json_u64(obj, "dev_bytes", sb->lay.dev_bytes);
	hcv_ins_json_u64(obj, "lba_bytes", sb->lba_bytes);
	hcv_ins_json_u64(obj, "nr_extents", sb->lay.nr_extents);
	hcv_ins_json_u64(obj, "nr_vols", sb->lay.nr_vols);
	hcv_ins_json_u64(obj, "table_pages", sb->lay.table_pages);
	hcv_ins_json_u64(obj, "vol_off", sb->lay.vol_off);
	hcv_ins_json_u64(obj, "meta_off", sb->lay.meta_off);
	hcv_ins_json_u64(obj, "data_off", sb->lay.data_off);
	hcv_ins_json_u64(obj, "handle_next", sb->handle_next);
	hcv_ins_json_u64(obj, "incarnation", sb->incarnation);
	hcv_ins_json_u64(obj, "format_time", sb->format_time);
}

int hcv_ins_cmd_super(struct hcv_ins_args *args)
{
	char err[HCV_INS_ERR_SIZE];
	struct hcv_ins_store store;
	struct json_object *obj = NULL, *copies, *copy;
	int i, ret;

	ret = hcv_ins_store_open(&store, args->dev[0], false, err);
	if (ret) {
		hcv_ins_error("%s", err);
		hcv_ins_store_close(&store);
		return HCV_INS_FAILED;
	}
	if (args->json) {
		obj = hcv_ins_json("super");
		hcv_ins_super_json(obj, &store.sb);
		copies = hcv_ins_json_array(obj, "copies");
		for (i = 0; i < 2; i++) {
			copy = hcv_ins_json_push(copies);
			hcv_ins_json_bool(copy, "valid", !store.copy_err[i]);
			hcv_ins_json_str(copy, "state",
					 hcv_dump_error(store.copy_err[i]));
			hcv_ins_json_u64(copy, "seq", store.copy[i].seq);
		}
	} else {
		hcv_dump_super(stdout, &store.sb);
		for (i = 0; i < 2; i++)
			printf("copy %d       %s, seq %llu\n", i,
			       hcv_dump_error(store.copy_err[i]),
			       store.copy[i].seq);
	}
	return hcv_ins_done(&store, obj,
			    !store.copy_err[0] && !store.copy_err[1]);
}

int hcv_ins_cmd_table(struct hcv_ins_args *args)
{
	struct json_object *obj = NULL, *array = NULL, *item;
	char err[HCV_INS_ERR_SIZE];
	struct hcv_ins_store store;
	u32 i, nr_extents;

	if (hcv_ins_store_open(&store, args->dev[0], true, err)) {
		hcv_ins_error("%s", err);
		hcv_ins_store_close(&store);
		return HCV_INS_FAILED;
	}
	nr_extents = store.sb.lay.nr_extents;
	if (args->json) {
		obj = hcv_ins_json("table");
		hcv_ins_json_u64(obj, "nr_extents", nr_extents);
		hcv_ins_json_u64(obj, "nr_vols", store.sb.lay.nr_vols);
		array = hcv_ins_json_array(obj, "entries");
	}
	for (i = 0; i < store.nr_ents; i++) {
		const struct hcv_entry *ent = &store.ent[i];
		bool area = i >= nr_extents;
		u32 nr = area ? i - nr_extents : i;

		if (ent->state == HCV_ENTRY_FREE)
			continue;
		if (!args->json) {
			printf("%s %u volume %s index %u seq %llu\n",
			       area ? "area" : "extent", nr,
			       hcv_dump_uuid(ent->volume), ent->index,
			       ent->seq);
			continue;
		}
		item = hcv_ins_json_push(array);
		hcv_ins_json_str(item, "kind", area ? "area" : "extent");
		hcv_ins_json_u64(item, "nr", nr);
		hcv_ins_json_uuid(item, "volume", ent->volume);
		hcv_ins_json_u64(item, "index", ent->index);
		hcv_ins_json_u64(item, "seq", ent->seq);
	}
	return hcv_ins_done(&store, obj, hcv_ins_store_intact(&store));
}

static u32 hcv_ins_count_extents(const struct hcv_ins_store *store,
				 const u8 *volume)
{
	u32 i, n = 0;

	for (i = 0; i < store->sb.lay.nr_extents; i++)
		n += store->ent[i].state == HCV_ENTRY_USED &&
			!memcmp(store->ent[i].volume, volume, HCV_UUID_SIZE);
	return n;
}

static void hcv_ins_volume_json(struct json_object *item,
				const struct hcv_ins_volpage *vp)
{
	struct json_object *gens, *gj;
	struct hcv_gen gen;
	u32 i;

	hcv_ins_json_str(item, "name", vp->vp.name);
	hcv_ins_json_u64(item, "lineage", vp->vp.lineage);
	hcv_ins_json_u64(item, "epoch", vp->vp.epoch);
	hcv_ins_json_u64(item, "v", vp->vp.v);
	hcv_ins_json_u64(item, "seq", vp->vp.seq);
	hcv_ins_json_u64(item, "size_bytes", vp->vp.size_bytes);
	hcv_ins_json_u64(item, "stripe", vp->vp.stripe);
	hcv_ins_json_u64(item, "replicas", vp->vp.replicas);
	hcv_ins_json_u64(item, "cur_gen", vp->vp.cur_gen);
	gens = hcv_ins_json_array(item, "generations");
	for (i = 0; !hcv_fmt_volpage_gen(vp->buf, i, &gen); i++) {
		gj = hcv_ins_json_push(gens);
		hcv_ins_json_u64(gj, "id", gen.id);
		hcv_ins_json_u64(gj, "parent", gen.parent);
		hcv_ins_json_u64(gj, "created", gen.created);
		hcv_ins_json_bool(gj, "sealed", gen.flags & HCV_GEN_SEALED);
		hcv_ins_json_bool(gj, "deleted", gen.flags & HCV_GEN_DELETED);
	}
}

static bool hcv_ins_volume_show(const struct hcv_ins_store *store, u32 area,
				struct json_object *array)
{
	const u8 *uuid = store->ent[store->sb.lay.nr_extents + area].volume;
	u32 extents = hcv_ins_count_extents(store, uuid);
	struct json_object *item;
	struct hcv_ins_volpage vp;
	int ret;

	ret = hcv_ins_volpage_read(store, area, uuid, &vp);
	if (array) {
		item = hcv_ins_json_push(array);
		hcv_ins_json_uuid(item, "volume", uuid);
		hcv_ins_json_u64(item, "area", area);
		hcv_ins_json_u64(item, "extents", extents);
		hcv_ins_json_bool(item, "valid", !ret);
		if (!ret)
			hcv_ins_volume_json(item, &vp);
	} else if (!ret) {
		hcv_dump_volpage(stdout, vp.buf, &vp.vp);
		printf("extents here %u\n\n", extents);
	}
	if (ret)
		hcv_ins_error("%s: volume %s: no valid volume page: place 0: %s; place 1: %s",
			      store->dev.path, hcv_dump_uuid(uuid),
			      hcv_dump_error(vp.err[0]),
			      hcv_dump_error(vp.err[1]));
	hcv_ins_volpage_free(&vp);
	return !ret;
}

int hcv_ins_cmd_volumes(struct hcv_ins_args *args)
{
	struct json_object *obj = NULL, *array = NULL;
	char err[HCV_INS_ERR_SIZE];
	struct hcv_ins_store store;
	bool good = true;
	u32 i, first;

	if (hcv_ins_store_open(&store, args->dev[0], true, err)) {
		hcv_ins_error("%s", err);
		hcv_ins_store_close(&store);
		return HCV_INS_FAILED;
	}
	if (args->json) {
		obj = hcv_ins_json("volumes");
		array = hcv_ins_json_array(obj, "volumes");
	}
	first = store.sb.lay.nr_extents;
	for (i = first; i < store.nr_ents; i++)
		if (store.ent[i].state == HCV_ENTRY_USED)
			good &= hcv_ins_volume_show(&store, i - first, array);
	good &= hcv_ins_store_intact(&store);
	return hcv_ins_done(&store, obj, good);
}

static void hcv_ins_bits_json(struct json_object *obj, const char *key,
			      const u64 *bits)
{
	char text[65];
	int i;

	for (i = 0; i < 4; i++)
		snprintf(text + 16 * i, 17, "%016llx", bits[3 - i]);
	hcv_ins_json_str(obj, key, text);
}

static bool hcv_ins_page_json(struct json_object *item,
			      const struct hcv_ins_page *pg, u32 page)
{
	struct json_object *recs, *rj;
	struct hcv_rec rec;
	bool good = true;
	u32 i;

	hcv_ins_json_u64(item, "page", page);
	hcv_ins_json_str(item, "place0", hcv_dump_error(pg->err[0]));
	hcv_ins_json_str(item, "place1", hcv_dump_error(pg->err[1]));
	if (pg->place < 0)
		return pg->blank;
	hcv_ins_json_u64(item, "place", pg->place);
	hcv_ins_json_u64(item, "lineage", pg->lineage);
	hcv_ins_json_u64(item, "epoch", pg->epoch[pg->place]);
	hcv_ins_json_u64(item, "seq", pg->seq[pg->place]);
	recs = hcv_ins_json_array(item, "records");
	for (i = 0; i < HCV_PAGE_RECORDS; i++) {
		if (hcv_fmt_page_get(pg->img, page, i, &rec))
			good = false;
		if (rec.state == HCV_REC_FREE)
			continue;
		rj = hcv_ins_json_push(recs);
		hcv_ins_json_u64(rj, "slot", page * HCV_PAGE_RECORDS + i);
		hcv_ins_json_u64(rj, "mib", rec.mib);
		hcv_ins_json_u64(rj, "gen", rec.gen);
		hcv_ins_json_u64(rj, "seq", rec.seq);
		hcv_ins_json_u64(rj, "stamp", rec.stamp);
		hcv_ins_json_u64(rj, "data", hcv_dump_rec_count(&rec, 1));
		hcv_ins_json_u64(rj, "zero", hcv_dump_rec_count(&rec, 2));
		hcv_ins_json_u64(rj, "elsewhere", hcv_dump_rec_count(&rec, 3));
		hcv_ins_bits_json(rj, "lo", rec.lo);
		hcv_ins_bits_json(rj, "hi", rec.hi);
	}
	return good;
}

static void hcv_ins_page_text(const struct hcv_ins_page *pg, const u8 *volume,
			      u32 extent, u32 page)
{
	struct hcv_page_id id = { .extent = extent, .page = page };

	if (pg->blank)
		return;
	printf("extent %u page %u: place 0: %s; place 1: %s\n", extent, page,
	       hcv_dump_error(pg->err[0]), hcv_dump_error(pg->err[1]));
	if (pg->place < 0)
		return;
	memcpy(id.volume, volume, HCV_UUID_SIZE);
	id.lineage = pg->lineage;
	id.place = pg->place;
	hcv_dump_page(stdout, pg->img, &id, pg->epoch[pg->place],
		      pg->seq[pg->place]);
}

static bool hcv_ins_extent_show(const struct hcv_ins_store *store, u32 phys,
				void *meta, struct json_object *array)
{
	const struct hcv_entry *ent = &store->ent[phys];
	struct json_object *pages = NULL, *item;
	struct hcv_ins_page pg;
	bool good = true;
	u32 page;
	int ret;

	ret = hcv_ins_meta_read(store, phys, meta);
	if (ret) {
		hcv_ins_error("%s: cannot read the metadata of extent %u: %s",
			      store->dev.path, ent->index, strerror(-ret));
		return false;
	}
	if (array) {
		item = hcv_ins_json_push(array);
		hcv_ins_json_u64(item, "extent", ent->index);
		hcv_ins_json_u64(item, "at", phys);
		pages = hcv_ins_json_array(item, "pages");
	} else {
		printf("extent %u lies at %u\n", ent->index, phys);
	}
	for (page = 0; page < HCV_EXTENT_PAGES; page++) {
		hcv_ins_page_pick(meta, ent->volume, ent->index, page, &pg);
		if (pages)
			good &= hcv_ins_page_json(hcv_ins_json_push(pages), &pg,
						  page);
		else
			hcv_ins_page_text(&pg, ent->volume, ent->index, page);
		good &= pg.blank || pg.place >= 0;
	}
	return good;
}

int hcv_ins_cmd_pages(struct hcv_ins_args *args)
{
	struct json_object *obj = NULL, *array = NULL;
	void *meta = hcv_dev_alloc(HCV_EXTENT_META_SIZE);
	char err[HCV_INS_ERR_SIZE] = "out of memory";
	struct hcv_ins_store store = { .dev.fd = -1 };
	bool good = true;
	u32 i, n = 0;

	if (!meta || hcv_ins_store_open(&store, args->dev[0], true, err)) {
		hcv_ins_error("%s", err);
		hcv_ins_store_close(&store);
		free(meta);
		return HCV_INS_FAILED;
	}
	if (args->json) {
		obj = hcv_ins_json("pages");
		hcv_ins_json_uuid(obj, "volume", args->volume);
		array = hcv_ins_json_array(obj, "extents");
	}
	for (i = 0; i < store.sb.lay.nr_extents; i++) {
		if (store.ent[i].state != HCV_ENTRY_USED ||
		    memcmp(store.ent[i].volume, args->volume, HCV_UUID_SIZE))
			continue;
		if (args->extent != HCV_INS_NONE &&
		    args->extent != store.ent[i].index)
			continue;
		good &= hcv_ins_extent_show(&store, i, meta, array);
		n++;
	}
	if (!n) {
		hcv_ins_error("%s: nothing of volume %s there: see hcivol-inspect volumes %s",
			      store.dev.path, hcv_dump_uuid(args->volume),
			      store.dev.path);
		good = false;
	}
	free(meta);
	good &= hcv_ins_store_intact(&store);
	return hcv_ins_done(&store, obj, good);
}
