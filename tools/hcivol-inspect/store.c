// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading the structures of one store.
 */
#include "inspect.h"

#include <stdlib.h>

static int hcv_ins_fail(char *err, int ret, const char *path, const char *what)
{
	snprintf(err, HCV_INS_ERR_SIZE, "%s: %s: %s", path, what,
		 hcv_dump_error(ret));
	return ret;
}

static int hcv_ins_super_read(struct hcv_ins_store *store, void *buf, char *err)
{
	static const u64 at[2] = { HCV_SB_OFF0, HCV_SB_OFF1 };
	const char *path = store->dev.path;
	int copy, ret;

	if (store->dev.bytes < HCV_STORE_MIN_SIZE) {
		snprintf(err, HCV_INS_ERR_SIZE,
			 "%s has only %llu MiB: no store is that small", path,
			 (u64)store->dev.bytes >> 20);
		return -ENOMSG;
	}
	for (copy = 0; copy < 2; copy++) {
		ret = hcv_dev_read(&store->dev, at[copy], buf, HCV_BLOCK_SIZE);
		if (!ret)
			ret = hcv_fmt_super_decode(buf, copy, store->dev.bytes,
						   &store->copy[copy]);
		store->copy_err[copy] = ret;
	}
	/* A newer version began to write here: nobody may guess what. */
	for (copy = 0; copy < 2; copy++)
		if (store->copy_err[copy] == -EPROTONOSUPPORT)
			return hcv_ins_fail(err, -EPROTONOSUPPORT, path,
					    "superblock");
	if (store->copy_err[0] && store->copy_err[1]) {
		snprintf(err, HCV_INS_ERR_SIZE,
			 "%s: no valid superblock: copy 0: %s; copy 1: %s",
			 path, hcv_dump_error(store->copy_err[0]),
			 hcv_dump_error(store->copy_err[1]));
		return store->copy_err[0];
	}
	copy = !!store->copy_err[0];
	if (!store->copy_err[0] && !store->copy_err[1]) {
		if (memcmp(store->copy[0].store, store->copy[1].store,
			   HCV_UUID_SIZE))
			return hcv_ins_fail(err, -EXDEV, path,
					    "superblock copies of two stores");
		copy = store->copy[1].seq > store->copy[0].seq;
	}
	store->sb = store->copy[copy];
	return 0;
}

static void hcv_ins_tpage_decode(struct hcv_ins_store *store, u32 page,
				 const u8 *img)
{
	u32 slot, nr = page * HCV_TABLE_ENTRIES;
	struct hcv_entry ent;

	for (slot = 0; slot < HCV_TABLE_ENTRIES; slot++, nr++) {
		if (hcv_fmt_table_get(img, slot, &ent) ||
		    (nr >= store->nr_ents && ent.state != HCV_ENTRY_FREE))
			store->bad_entries++;
		else if (nr < store->nr_ents)
			store->ent[nr] = ent;
	}
}

static int hcv_ins_tpage_read(struct hcv_ins_store *store, u32 page, u8 *buf)
{
	struct hcv_ins_tpage *tp = &store->page[page];
	size_t head = offsetof(struct hcv_dsk_table, entry);
	u32 place;
	u8 *img;
	int ret;

	for (place = 0; place < 2; place++) {
		img = buf + place * HCV_BLOCK_SIZE;
		ret = hcv_dev_read(&store->dev,
				   hcv_fmt_table_off(&store->sb.lay, page,
						     place),
				   img, HCV_BLOCK_SIZE);
		if (ret)
			return ret;
		tp->err[place] = hcv_fmt_table_check(img, store->sb.store, page,
						     place, &tp->seq[place]);
	}
	if (tp->err[0] && tp->err[1]) {
		store->bad_pages++;
		return 0;
	}
	tp->differ = !tp->err[0] && !tp->err[1] && tp->seq[0] == tp->seq[1] &&
		memcmp(buf + head, buf + HCV_BLOCK_SIZE + head,
		       HCV_BLOCK_SIZE - head);
	place = tp->err[0] || (!tp->err[1] && tp->seq[1] > tp->seq[0]);
	hcv_ins_tpage_decode(store, page, buf + place * HCV_BLOCK_SIZE);
	return 0;
}

static int hcv_ins_table_read(struct hcv_ins_store *store, char *err)
{
	u32 page, pages = store->sb.lay.table_pages;
	u8 *buf = hcv_dev_alloc(2 * HCV_BLOCK_SIZE);
	int ret = 0;

	store->nr_ents = store->sb.lay.nr_extents + store->sb.lay.nr_vols;
	store->ent = calloc(store->nr_ents, sizeof(*store->ent));
	store->page = calloc(pages, sizeof(*store->page));
	if (!buf || !store->ent || !store->page)
		ret = -ENOMEM;
	for (page = 0; !ret && page < pages; page++)
		ret = hcv_ins_tpage_read(store, page, buf);
	free(buf);
	if (ret)
		return hcv_ins_fail(err, ret, store->dev.path,
				    "cannot read the extent table");
	return 0;
}

int hcv_ins_store_open(struct hcv_ins_store *store, const char *path,
		       bool table, char *err)
{
	void *buf = hcv_dev_alloc(HCV_BLOCK_SIZE);
	int ret;

	memset(store, 0, sizeof(*store));
	store->dev.fd = -1;
	if (!buf)
		return hcv_ins_fail(err, -ENOMEM, path, "cannot open");
	ret = hcv_dev_open(&store->dev, path, HCV_DEV_READ, err,
			   HCV_INS_ERR_SIZE);
	if (!ret)
		ret = hcv_ins_super_read(store, buf, err);
	if (!ret && table)
		ret = hcv_ins_table_read(store, err);
	free(buf);
	return ret;
}

void hcv_ins_store_close(struct hcv_ins_store *store)
{
	hcv_dev_close(&store->dev);
	free(store->ent);
	free(store->page);
	store->ent = NULL;
	store->page = NULL;
}

u32 hcv_ins_stores_open(struct hcv_ins_store *store,
			const struct hcv_ins_args *args)
{
	char err[HCV_INS_ERR_SIZE];
	u32 i, k, opened = 0;

	for (i = 0; i < args->nr_devs; i++) {
		if (hcv_ins_store_open(&store[i], args->dev[i], true, err)) {
			hcv_ins_error("%s", err);
			hcv_ins_store_close(&store[i]);
			continue;
		}
		for (k = 0; k < i; k++)
			if (store[k].dev.fd >= 0 &&
			    !memcmp(store[k].sb.store, store[i].sb.store,
				    HCV_UUID_SIZE))
				break;
		if (k == i) {
			opened++;
			continue;
		}
		hcv_ins_error("%s and %s are one store, or copies of one: name one of them",
			      args->dev[k], args->dev[i]);
		hcv_ins_store_close(&store[i]);
	}
	return opened;
}

u32 hcv_ins_store_area(const struct hcv_ins_store *store, const u8 *volume)
{
	u32 i, first = store->sb.lay.nr_extents;

	for (i = first; i < store->nr_ents; i++)
		if (store->ent[i].state == HCV_ENTRY_USED &&
		    !memcmp(store->ent[i].volume, volume, HCV_UUID_SIZE))
			return i - first;
	return HCV_INS_NONE;
}

bool hcv_ins_store_intact(const struct hcv_ins_store *store)
{
	if (!store->bad_pages && !store->bad_entries)
		return true;
	hcv_ins_error("%s: the extent table is damaged (%u pages, %u entries): what they name is missing below; see hcivol-inspect check %s",
		      store->dev.path, store->bad_pages, store->bad_entries,
		      store->dev.path);
	return false;
}

int hcv_ins_volpage_read(const struct hcv_ins_store *store, u32 area,
			 const u8 *volume, struct hcv_ins_volpage *out)
{
	u64 off = store->sb.lay.vol_off + (u64)area * HCV_VOLAREA_SIZE;
	struct hcv_volpage vp;
	int place, ret;
	u8 *buf;

	memset(out, 0, sizeof(*out));
	out->place = -1;
	out->buf = hcv_dev_alloc(HCV_VOLPAGE_SIZE);
	buf = hcv_dev_alloc(HCV_VOLPAGE_SIZE);
	for (place = 0; place < 2; place++) {
		ret = buf && out->buf ? 0 : -ENOMEM;
		if (!ret)
			ret = hcv_dev_read(&store->dev,
					   off + place * HCV_VOLPAGE_SIZE, buf,
					   HCV_VOLPAGE_SIZE);
		if (!ret)
			ret = hcv_fmt_volpage_decode(buf, HCV_VOLPAGE_SIZE,
						     place, &vp);
		if (!ret && memcmp(vp.volume, volume, HCV_UUID_SIZE))
			ret = -EXDEV;
		out->err[place] = ret;
		if (ret || (out->place >= 0 &&
			    !hcv_fmt_page_newer(vp.epoch, vp.seq, out->vp.epoch,
						out->vp.seq)))
			continue;
		out->place = place;
		out->vp = vp;
		memcpy(out->buf, buf, HCV_VOLPAGE_SIZE);
	}
	free(buf);
	return out->place < 0 ? out->err[0] : 0;
}

void hcv_ins_volpage_free(struct hcv_ins_volpage *vp)
{
	free(vp->buf);
	vp->buf = NULL;
}

int hcv_ins_meta_read(const struct hcv_ins_store *store, u32 phys, void *buf)
{
	return hcv_dev_read(&store->dev, store->sb.lay.meta_off +
			    (u64)phys * HCV_EXTENT_META_SIZE, buf,
			    HCV_EXTENT_META_SIZE);
}

void hcv_ins_page_pick(const void *meta, const u8 *volume, u32 extent, u32 page,
		       struct hcv_ins_page *out)
{
	size_t head = offsetof(struct hcv_dsk_page, rec);
	struct hcv_page_id id;
	const u8 *img[2];
	int place;

	memset(out, 0, sizeof(*out));
	out->place = -1;
	for (place = 0; place < 2; place++) {
		memset(&id, 0, sizeof(id));
		memcpy(id.volume, volume, HCV_UUID_SIZE);
		id.extent = extent;
		id.page = page;
		id.place = place;
		img[place] = (const u8 *)meta + hcv_fmt_page_off(page, place);
		out->err[place] = hcv_fmt_page_check(img[place], &id,
						     &out->epoch[place],
						     &out->seq[place]);
		if (out->err[place])
			continue;
		if (!place || out->err[0] ||
		    hcv_fmt_page_newer(out->epoch[1], out->seq[1],
				       out->epoch[0], out->seq[0])) {
			out->place = place;
			out->img = img[place];
			out->lineage = id.lineage;
		}
	}
	out->blank = out->err[0] == -ENODATA && out->err[1] == -ENODATA;
	out->differ = !out->err[0] && !out->err[1] &&
		out->epoch[0] == out->epoch[1] && out->seq[0] == out->seq[1] &&
		memcmp(img[0] + head, img[1] + head, HCV_BLOCK_SIZE - head);
}
