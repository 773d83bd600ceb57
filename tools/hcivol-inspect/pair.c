// SPDX-License-Identifier: GPL-2.0-only
/*
 * A volume put together from the two that were left of it: the temporary replica,
 * and the old copy that it stands in for.
 *
 * A block is the temporary replica's if that holds it, else the old copy's; the
 * record is the temporary replica's in any case.  kernel/core/sparse.h has the
 * rule, of which nothing is bent here: what it refuses is said and ends the command.
 */
#include "pair.h"

#include <stdlib.h>

#include "sparse.h"

/* What the newest valid place of a page of the log names.  @buf: the log */
static int hcv_ins_pair_names(struct hcv_ins_vol *vol, const u8 *buf, u32 page)
{
	struct hcv_log_id id = {
		.lineage = vol->main->vp.vp.lineage,
		.page = page,
	};
	u64 epoch, seq, best_epoch = 0, best_seq = 0;
	const u8 *p, *best = NULL;
	bool blank = true;
	u32 n, nr = 0, i;
	int ret;

	memcpy(id.volume, vol->uuid, HCV_UUID_SIZE);
	for (id.place = 0; id.place < 2; id.place++) {
		p = buf + hcv_fmt_log_off(page, id.place) - HCV_VOLLOG_OFF;
		ret = hcv_fmt_log_check(p, &id, &epoch, &seq, &n);
		blank = blank && (ret == -ENODATA || ret == -EXDEV);
		if (ret || (best && !hcv_fmt_page_newer(epoch, seq, best_epoch,
							best_seq)))
			continue;
		best = p;
		best_epoch = epoch;
		best_seq = seq;
		nr = n;
	}
	for (i = 0; i < nr; i++)
		vol->named[vol->nr_named++] = hcv_fmt_log_get(best, i);
	return best || blank ? 0 : -EUCLEAN;
}

static int hcv_ins_mib_cmp(const void *pa, const void *pb)
{
	u32 a = *(const u32 *)pa, b = *(const u32 *)pb;

	return (a > b) - (a < b);
}

/* What the temporary replica's log names. */
static int hcv_ins_pair_log(struct hcv_ins_vol *vol,
			    const struct hcv_ins_store *store)
{
	u32 area = hcv_ins_store_area(store, vol->uuid);
	u8 *buf = hcv_dev_alloc(HCV_VOLLOG_SIZE);
	int ret = -ENOMEM;
	u32 page;

	vol->named = calloc(HCV_LOG_PAGES * HCV_LOG_ENTRIES,
			    sizeof(*vol->named));
	if (!buf || !vol->named)
		goto out;
	ret = hcv_dev_read(&store->dev, store->sb.lay.vol_off +
			   (u64)area * HCV_VOLAREA_SIZE + HCV_VOLLOG_OFF, buf,
			   HCV_VOLLOG_SIZE);
	if (ret) {
		hcv_ins_error("%s: cannot read the activity log: %s",
			      store->dev.path, strerror(-ret));
		goto out;
	}
	for (page = 0; !ret && page < HCV_LOG_PAGES; page++)
		ret = hcv_ins_pair_names(vol, buf, page);
	qsort(vol->named, vol->nr_named, sizeof(*vol->named), hcv_ins_mib_cmp);
	if (ret)
		hcv_ins_error("%s: a page of the activity log is damaged",
			      store->dev.path);
out:
	free(buf);
	return ret;
}

int hcv_ins_pair_open(struct hcv_ins_vol *vol,
		      const struct hcv_ins_store *base,
		      const struct hcv_ins_store *temp)
{
	u32 c;

	vol->pair = true;
	vol->base = HCV_INS_NONE;
	vol->temp = HCV_INS_NONE;
	for (c = 0; c < vol->nr_copies; c++) {
		if (!vol->copy[c].used)
			continue;
		if (vol->copy[c].store == base)
			vol->base = c;
		if (vol->copy[c].store == temp)
			vol->temp = c;
	}
	if (vol->base == HCV_INS_NONE || vol->temp == HCV_INS_NONE) {
		hcv_ins_error("%s has nothing of the volume that could be used",
			      vol->base == HCV_INS_NONE ? base->dev.path :
							  temp->dev.path);
		return -ENOENT;
	}
	/* It was there later: the old copy alone would look complete. */
	if (hcv_ins_copy_behind(&vol->copy[vol->temp], &vol->copy[vol->base])) {
		hcv_ins_error("%s is behind %s: the temporary replica comes second",
			      temp->dev.path, base->dev.path);
		return -EINVAL;
	}
	return hcv_ins_pair_log(vol, temp);
}

static bool hcv_ins_pair_named(const struct hcv_ins_vol *vol, u32 mib)
{
	return bsearch(&mib, vol->named, vol->nr_named, sizeof(*vol->named),
		       hcv_ins_mib_cmp);
}

/* Blocks as data of the one, the temporary replica's, or of the other. */
static int hcv_ins_pair_add(struct hcv_ins_vol *vol, const struct hcv_rec *rec,
			    const u64 *held, u32 ext, u32 nr)
{
	struct hcv_rec temp = *rec, base = *rec;
	u64 other = 0;
	u32 i;
	int ret;

	for (i = 0; i < 4; i++) {
		base.lo[i] &= ~held[i];
		base.hi[i] = 0;
		/* Data of the old copy is elsewhere for the temporary replica. */
		temp.hi[i] |= base.lo[i];
		other |= base.lo[i];
	}
	ret = hcv_ins_slot_add(vol, &temp, ext, nr, 0, 1ULL << vol->temp);
	return ret || !other ? ret : hcv_ins_slot_add(vol, &base, ext, nr, 1,
						      1ULL << vol->base);
}

static int hcv_ins_pair_rec(struct hcv_ins_vol *vol,
			    const struct hcv_ins_page *pg, u32 ext, u32 page,
			    u32 i)
{
	u32 nr = page * HCV_PAGE_RECORDS + i;
	struct hcv_rec temp, base = { }, out;
	u64 held[4];
	int ret;

	ret = hcv_fmt_page_get(pg[vol->temp].img, page, i, &temp);
	if (!ret && pg[vol->base].place >= 0)
		ret = hcv_fmt_page_get(pg[vol->base].img, page, i, &base);
	if (!ret)
		ret = hcv_sparse_pair(&temp, &base,
				      hcv_ins_pair_named(vol, temp.mib), &out,
				      held);
	if (ret)
		hcv_ins_error("extent %u record %u: %s needs blocks of mib %u that %s has not got: %s",
			      vol->ext[ext], nr,
			      vol->copy[vol->temp].store->dev.path, temp.mib,
			      vol->copy[vol->base].store->dev.path,
			      hcv_dump_error(ret));
	if (ret || out.state == HCV_REC_FREE)
		return ret;
	return hcv_ins_pair_add(vol, &out, held, ext, nr);
}

int hcv_ins_pair_page(struct hcv_ins_vol *vol, const struct hcv_ins_page *pg,
		      u32 ext, u32 page)
{
	const char *temp = vol->copy[vol->temp].store->dev.path;
	const char *base = vol->copy[vol->base].store->dev.path;
	int ret = 0, err;
	u32 i;

	if (pg[vol->temp].place < 0) {
		hcv_ins_error("%s: extent %u page %u was never written, or is damaged: not known what it holds",
			      temp, vol->ext[ext], page);
		return -EUCLEAN;
	}
	if (pg[vol->base].place < 0 && !pg[vol->base].blank) {
		hcv_ins_error("%s: extent %u page %u is not valid", base,
			      vol->ext[ext], page);
		return -EUCLEAN;
	}
	/* All that is wrong with it is said. */
	for (i = 0; i < HCV_PAGE_RECORDS; i++) {
		err = hcv_ins_pair_rec(vol, pg, ext, page, i);
		if (err == -ENOMEM)
			return err;
		if (err)
			ret = err;
	}
	return ret;
}
