// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading the map from the stores, and the volume page.
 *
 * Nothing here guesses: a page of which neither place is valid on any in-sync
 * replica, a store that has seen a later epoch or version than the agent names,
 * another lineage: each refuses the start with a sentence that names it.
 */
#include <linux/slab.h>

#include "actlog.h"
#include "compat.h"
#include "volume.h"

static bool load_blank(const void *buf, u32 page, u32 place)
{
	return !memchr_inv(buf + (place * HCV_EXTENT_PAGES + page) *
			   HCV_BLOCK_SIZE, 0, HCV_BLOCK_SIZE);
}

const void *hcv_load_newest(struct hcv_vol *vol, struct hcv_ext *ext, u32 page,
			    const void *buf, struct hcv_pagepos *pos)
{
	u64 best_epoch = 0, best_seq = 0, epoch, seq;
	const void *best = NULL;
	u32 bad = 0;
	u32 place;

	*pos = (struct hcv_pagepos) { };
	for (place = 0; place < 2; place++) {
		struct hcv_page_id id = {
			.lineage = vol->map.lineage,
			.extent = ext->index,
			.page = page,
			.place = place,
		};
		const void *p = buf + (place * HCV_EXTENT_PAGES + page) *
				HCV_BLOCK_SIZE;
		int ret;

		memcpy(id.volume, vol->uuid.b, HCV_UUID_SIZE);
		ret = hcv_fmt_page_check(p, &id, &epoch, &seq);
		if (ret == -ENODATA)
			continue;
		if (ret) {
			hcv_vol_warn(vol, "extent %u page %u place %u is bad: error %d\n",
				     ext->index, page, place, ret);
			bad |= BIT(place);
			continue;
		}
		if (best && !hcv_fmt_page_newer(epoch, seq, best_epoch,
						best_seq))
			continue;
		best = p;
		best_epoch = epoch;
		best_seq = seq;
		pos->seq = seq;
		pos->place = place;
		pos->kept = true;
	}
	/*
	 * One bad place beside a valid one is a write torn by a power cut.  A
	 * page's first write goes to place 0: that one bad and the other blank
	 * may be the same, or all there was of the page.
	 */
	if (!best && bad)
		return ERR_PTR(bad == BIT(0) && load_blank(buf, page, 1) ?
			       -ENODATA : -EUCLEAN);
	return best;
}

/* Where @ext is on @link; false: nowhere. */
static bool load_rep(struct hcv_link *link, struct hcv_ext *ext,
		     struct hcv_rep *rep)
{
	struct hcv_reps *reps;
	bool found = false;
	u32 i;

	rcu_read_lock();
	reps = hcv_reps(ext);
	for (i = 0; i < reps->nr && !found; i++) {
		*rep = reps->rep[i];
		found = rep->link == link->nr && rep->mapped;
	}
	rcu_read_unlock();
	return found;
}

int hcv_load_pages(struct hcv_link *link, struct hcv_ext *ext, void *buf)
{
	struct hcv_rep rep;

	if (!load_rep(link, ext, &rep))
		return -ENOENT;
	return hcv_link_rw(link, REQ_OP_READ | REQ_META, rep.meta, buf,
			   HCV_EXTENT_META_SIZE);
}

/* @torn: a first write may have been torn; else another replica is to tell. */
static int load_ext_from(struct hcv_vol *vol, struct hcv_link *link,
			 struct hcv_ext *ext, void *buf, bool torn)
{
	const void *page[HCV_EXTENT_PAGES];
	struct hcv_pagepos pos[HCV_EXTENT_PAGES];
	int ret;
	u32 i;

	ret = hcv_load_pages(link, ext, buf);
	if (ret)
		return ret;
	for (i = 0; i < HCV_EXTENT_PAGES; i++) {
		page[i] = hcv_load_newest(vol, ext, i, buf, &pos[i]);
		if (torn && page[i] == ERR_PTR(-ENODATA))
			page[i] = NULL;
		if (IS_ERR(page[i]))
			return PTR_ERR(page[i]);
	}
	for (i = 0; i < HCV_EXTENT_PAGES; i++) {
		ext->page[i] = pos[i];
		if (!page[i])
			continue;
		ret = hcv_map_load_page(&vol->map, ext, i, page[i]);
		if (ret == -ENOMEM)
			return ret;
		if (ret) {
			hcv_vol_err(vol, "extent %u page %u on store %pUb has a record that cannot be: error %d\n",
				    ext->index, i, &link->store, ret);
			return -EILSEQ;
		}
	}
	return 0;
}

/* From the elected replica, else from any other in-sync one. */
static int load_ext_any(struct hcv_vol *vol, struct hcv_link *elected,
			struct hcv_ext *ext, void *buf, bool torn)
{
	int ret = -ENOLINK, err;
	struct hcv_rep rep;
	u32 i;

	if (load_rep(elected, ext, &rep))
		ret = load_ext_from(vol, elected, ext, buf, torn);
	/* A half loaded map takes no second copy. */
	for (i = 0; ret && ret != -EILSEQ && ret != -ENOMEM &&
	     i < vol->nr_links; i++) {
		struct hcv_link *link = vol->link[i];

		if (link == elected || link->state != HCV_LINK_INSYNC ||
		    !load_rep(link, ext, &rep))
			continue;
		err = load_ext_from(vol, link, ext, buf, torn);
		/* Torn is worth another look, unless that one is half loaded. */
		if (ret != -ENODATA || !err || err == -EILSEQ ||
		    err == -ENOMEM)
			ret = err;
	}
	return ret;
}

static int load_ext(struct hcv_vol *vol, struct hcv_link *elected,
		    struct hcv_ext *ext, void *buf,
		    struct netlink_ext_ack *extack)
{
	int ret;

	ret = load_ext_any(vol, elected, ext, buf, false);
	/*
	 * A page whose first write was torn on every replica was in no round
	 * that ended: nothing that was flushed is in it.
	 */
	if (ret == -ENODATA)
		ret = load_ext_any(vol, elected, ext, buf, true);
	if (ret == -ENOLINK)
		hcv_compat_err(extack, "extent %u has no in-sync replica",
			       ext->index);
	else if (ret)
		hcv_compat_err(extack, "the metadata of extent %u cannot be loaded from any in-sync replica",
			       ext->index);
	return ret;
}

static struct hcv_link *load_elect(struct hcv_vol *vol, const uuid_t *store)
{
	struct hcv_link *best = NULL;
	u32 i;

	for (i = 0; i < vol->nr_links; i++) {
		struct hcv_link *link = vol->link[i];

		if (link->state != HCV_LINK_INSYNC)
			continue;
		if (store) {
			if (uuid_equal(&link->store, store))
				return link;
			continue;
		}
		if (!best || (link->local && !best->local))
			best = link;
	}
	return best;
}

/* What a store says of the volume must not be newer than what we were told. */
static int load_check_volpage(struct hcv_vol *vol, struct hcv_link *link,
			      void *buf, struct netlink_ext_ack *extack)
{
	u32 place, bad = 0, good = 0;
	struct hcv_volpage vp;
	sector_t sector;
	int ret;

	ret = hcv_link_volarea(link, &sector);
	if (!ret)
		ret = hcv_link_rw(link, REQ_OP_READ | REQ_META, sector, buf,
				  2 * HCV_VOLPAGE_SIZE);
	if (ret) {
		hcv_compat_err(extack, "the volume page on store %pUb cannot be read",
			       &link->store);
		return ret;
	}
	for (place = 0; place < 2; place++) {
		ret = hcv_fmt_volpage_decode(buf + place * HCV_VOLPAGE_SIZE,
					     HCV_VOLPAGE_SIZE, place, &vp);
		if (ret == -ENODATA)
			continue;
		if (ret) {
			bad++;
			continue;
		}
		if (memcmp(vp.volume, vol->uuid.b, HCV_UUID_SIZE)) {
			hcv_compat_err(extack, "the volume page on store %pUb is that of another volume",
				       &link->store);
			return -EUCLEAN;
		}
		good++;
		if (vp.lineage != vol->map.lineage) {
			hcv_compat_err(extack, "store %pUb holds another lineage of the volume",
				       &link->store);
			return -ESTALE;
		}
		if (vp.epoch > vol->epoch || vp.v > vol->map.v) {
			hcv_compat_err(extack, "store %pUb has seen epoch %llu version %llu: the metadata store is older than the data",
				       &link->store, vp.epoch, vp.v);
			return -ESTALE;
		}
		vol->volpage_seq = max(vol->volpage_seq, vp.seq);
	}
	/* One bad place alone may be the first write ever, torn. */
	if (good || bad < 2)
		return 0;
	hcv_compat_err(extack, "both copies of the volume page on store %pUb are bad",
		       &link->store);
	return -EUCLEAN;
}

int hcv_load(struct hcv_vol *vol, const uuid_t *store,
	     struct hcv_log_load *log, struct netlink_ext_ack *extack)
{
	struct hcv_link *elected = load_elect(vol, store);
	struct hcv_ext *ext;
	void *buf;
	int ret = 0;
	u32 i;

	if (!elected) {
		NL_SET_ERR_MSG(extack, "no in-sync store is tied to the volume");
		return -ENOLINK;
	}
	buf = kvmalloc(2 * HCV_VOLPAGE_SIZE, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	for (i = 0; i < vol->nr_links && !ret; i++) {
		struct hcv_link *link = vol->link[i];

		if (link->state != HCV_LINK_INSYNC)
			continue;
		ret = hcv_link_rw(link, REQ_OP_WRITE | REQ_PREFLUSH, 0, NULL,
				  0);
		if (ret)
			hcv_compat_err(extack, "store %pUb cannot be flushed",
				       &link->store);
		else
			ret = load_check_volpage(vol, link, buf, extack);
		if (!ret)
			ret = hcv_actlog_load(link, buf, log, extack);
	}
	/* The list changes only under vol->mutex, which the caller holds. */
	list_for_each_entry(ext, &vol->map.exts, node) {
		if (ret)
			break;
		ret = load_ext(vol, elected, ext, buf, extack);
		cond_resched();
	}
	kvfree(buf);
	return ret;
}

int hcv_load_write_volpage(struct hcv_vol *vol)
{
	struct hcv_gen gen = { .id = 1 };
	struct hcv_volpage vp = {
		.lineage = vol->map.lineage,
		.epoch = vol->epoch,
		.v = vol->map.v,
		.seq = vol->volpage_seq + 1,
		.size_bytes = vol->size_bytes,
		.stripe = vol->stripe,
		.replicas = vol->replicas,
		.cur_gen = vol->map.cur_gen,
		.nr_gens = 1,
	};
	u32 place = vp.seq & 1, bytes, i, done = 0;
	bool missed = false;
	sector_t sector;
	void *buf;
	int ret = 0;

	buf = kvzalloc(HCV_VOLPAGE_SIZE, GFP_NOIO);
	if (!buf)
		return -ENOMEM;
	memcpy(vp.volume, vol->uuid.b, HCV_UUID_SIZE);
	strscpy(vp.name, vol->name, sizeof(vp.name));
	bytes = hcv_fmt_volpage_encode(&vp, &gen, place, buf);
	for (i = 0; i < vol->nr_links; i++) {
		struct hcv_link *link = vol->link[i];
		u8 state = READ_ONCE(link->state);
		int err;

		if (state == HCV_LINK_LOST)
			missed = true;
		if (!hcv_link_writable(state))
			continue;
		err = hcv_link_volarea(link, &sector);
		/* By itself: dm drops the error of a PREFLUSH before data. */
		if (!err)
			err = hcv_link_rw(link, REQ_OP_WRITE | REQ_PREFLUSH, 0,
					  NULL, 0);
		if (!err)
			err = hcv_link_rw(link, REQ_OP_WRITE | REQ_FUA |
					  REQ_META,
					  sector + place * (HCV_VOLPAGE_SIZE >>
							    SECTOR_SHIFT),
					  buf, bytes);
		if (err && state == HCV_LINK_INSYNC)
			missed = true;
		if (!err)
			done++;
		/* It leaves, and what it holds is older than v then. */
		else if (err == -ECANCELED ?
			 hcv_link_writable(READ_ONCE(link->state)) :
			 !hcv_link_fail(link, -err, "volume page write"))
			ret = err;
	}
	kvfree(buf);
	/*
	 * One that missed it may come back as it was (LOST): its newest valid
	 * one is in the other place, and the next must not go there.
	 */
	vol->volpage_seq = missed ? vp.seq + 1 : vp.seq;
	return ret ? ret : done ? 0 : -ENOLINK;
}
