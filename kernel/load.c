// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading the map from the stores, and the volume page.
 *
 * Nothing here guesses: a page of which neither place is valid on any in-sync
 * replica, a store that has seen a later epoch or version than the agent names,
 * another lineage: each refuses the start with a sentence that names it.
 *
 * A replica that gives an error is left out as long as the others have all
 * extents: after a clean stop the in-sync ones are equal, after any other one
 * each extent has a single one.  It fails like one of a running volume, but not
 * before everything is loaded: of a start that comes to nothing no replica is
 * taken out of the set, since it may be the one that a later start needs.
 */
#include <linux/slab.h>

#include "actlog.h"
#include "compat.h"
#include "volume.h"

struct hcv_load {
	struct hcv_vol *vol;
	struct hcv_link *elected;
	u32 had;		/* links that were in-sync when it began */
	u32 unsafe;		/* not loaded from: what they say may not last */
	u32 unread;		/* some pages of theirs could not be read */
	u32 doubt;		/* what they say needs another one's word */
	int err[HCV_MAX_LINKS];	/* of the links in either */
	struct hcv_link *last;	/* the last unsafe one, and what it refused */
	const char *why;
};

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
static int load_ext_from(struct hcv_load *l, struct hcv_link *link,
			 struct hcv_ext *ext, void *buf, bool torn)
{
	const void *page[HCV_EXTENT_PAGES];
	struct hcv_pagepos pos[HCV_EXTENT_PAGES];
	struct hcv_vol *vol = l->vol;
	int ret;
	u32 i;

	ret = hcv_load_pages(link, ext, buf);
	if (ret == -ENOMEM)
		return ret;
	if (ret) {
		hcv_vol_warn(vol, "metadata of extent %u on store %pUb cannot be read: error %d\n",
			     ext->index, &link->store, -ret);
		l->unread |= BIT(link->nr);
		l->err[link->nr] = ret;
		/* Not -ENODATA, which a disk may say as well. */
		return -EIO;
	}
	for (i = 0; i < HCV_EXTENT_PAGES; i++) {
		page[i] = hcv_load_newest(vol, ext, i, buf, &pos[i]);
		if (torn && page[i] == ERR_PTR(-ENODATA))
			page[i] = NULL;
		if (IS_ERR(page[i])) {
			if (page[i] != ERR_PTR(-ENODATA))
				WRITE_ONCE(link->unfit, true);
			l->doubt |= BIT(link->nr);
			return PTR_ERR(page[i]);
		}
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
			WRITE_ONCE(link->unfit, true);
			return -EILSEQ;
		}
	}
	return 0;
}

static bool load_usable(struct hcv_load *l, struct hcv_link *link)
{
	return READ_ONCE(link->state) == HCV_LINK_INSYNC &&
	       !(l->unsafe & BIT(link->nr));
}

/*
 * From the elected replica, else from any other in-sync one.
 * Return: -ENODATA: each of them was read, and its first write may be torn.
 */
static int load_ext_any(struct hcv_load *l, struct hcv_ext *ext, void *buf,
			bool torn)
{
	struct hcv_vol *vol = l->vol;
	int ret = -ENOLINK, err;
	struct hcv_link *link;
	struct hcv_rep rep;
	u32 i;

	for (i = 0; i <= vol->nr_links; i++) {
		link = i ? vol->link[i - 1] : l->elected;
		if ((i && link == l->elected) ||
		    !(l->had & BIT(link->nr)) || !load_rep(link, ext, &rep))
			continue;
		err = load_usable(l, link) ?
		      load_ext_from(l, link, ext, buf, torn) : -EIO;
		/* A half loaded map takes no second copy. */
		if (!err || err == -EILSEQ || err == -ENOMEM)
			return err;
		if (ret == -ENOLINK || ret == -ENODATA)
			ret = err;
	}
	return ret;
}

static int load_ext(struct hcv_load *l, struct hcv_ext *ext, void *buf,
		    struct netlink_ext_ack *extack)
{
	int ret;

	ret = load_ext_any(l, ext, buf, false);
	/*
	 * A page whose first write was torn on every replica was in no round
	 * that ended: nothing that was flushed is in it.
	 */
	if (ret == -ENODATA)
		ret = load_ext_any(l, ext, buf, true);
	if (ret == -ENOLINK)
		hcv_compat_err(extack, "extent %u has no in-sync replica",
			       ext->index);
	else if (ret)
		hcv_compat_err(extack, "the metadata of extent %u cannot be loaded from any in-sync replica",
			       ext->index);
	return ret;
}

/* What can be read before what is near. */
static u32 load_rank(struct hcv_load *l, struct hcv_link *link)
{
	return (l->unread & BIT(link->nr) ? 0 : 2) + !!link->local;
}

static struct hcv_link *load_elect(struct hcv_load *l, const uuid_t *store)
{
	struct hcv_vol *vol = l->vol;
	struct hcv_link *best = NULL;
	u32 i;

	for (i = 0; i < vol->nr_links; i++) {
		struct hcv_link *link = vol->link[i];

		if (!load_usable(l, link))
			continue;
		if (store) {
			if (uuid_equal(&link->store, store))
				return link;
			continue;
		}
		if (!best || load_rank(l, link) > load_rank(l, best))
			best = link;
	}
	return best;
}

/* What a store says of the volume must not be newer than what we were told. */
static int load_check_volpage(struct hcv_vol *vol, struct hcv_link *link,
			      const void *buf, struct netlink_ext_ack *extack)
{
	u32 place, bad = 0, good = 0;
	struct hcv_volpage vp;
	int ret;

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
	WRITE_ONCE(link->unfit, true);
	return -EUCLEAN;
}

/*
 * What can be read has to be on the media before it is relied on.
 * Return: 0, with both places of the volume page in @buf.
 */
static int load_ask(struct hcv_link *link, void *buf, const char **what)
{
	sector_t sector;
	int ret;

	*what = "flushed";
	ret = hcv_link_rw(link, REQ_OP_WRITE | REQ_PREFLUSH, 0, NULL, 0);
	if (ret)
		return ret;
	*what = "asked for its volume page";
	ret = hcv_link_volarea(link, &sector);
	if (!ret)
		ret = hcv_link_rw(link, REQ_OP_READ | REQ_META, sector, buf,
				  2 * HCV_VOLPAGE_SIZE);
	return ret;
}

/* No replica is left; return: the error of the one that was left out last. */
static int load_none(struct hcv_load *l, struct netlink_ext_ack *extack)
{
	if (!l->last) {
		NL_SET_ERR_MSG(extack, "no in-sync store is tied to the volume any more");
		return -ENOLINK;
	}
	hcv_compat_err(extack, "store %pUb cannot be %s", &l->last->store,
		       l->why);
	return l->err[l->last->nr];
}

/* Which replicas may be loaded from; their logs' names are in the map then. */
static int load_links(struct hcv_load *l, struct hcv_log_load *log, void *buf,
		      struct netlink_ext_ack *extack)
{
	struct hcv_vol *vol = l->vol;
	const char *what;
	int ret, err;
	u32 i;

	for (i = 0; i < vol->nr_links; i++) {
		struct hcv_link *link = vol->link[i];

		if (!(l->had & BIT(i)))
			continue;
		err = load_ask(link, buf, &what);
		ret = err ? 0 : load_check_volpage(vol, link, buf, extack);
		if (ret)
			return ret;
		if (!err) {
			what = "asked for its activity log";
			err = hcv_actlog_read(link, buf);
		}
		if (err == -ENOMEM)
			return err;
		if (err) {
			hcv_vol_warn(vol, "store %pUb cannot be %s: error %d\n",
				     &link->store, what, -err);
			l->unsafe |= BIT(i);
			l->err[i] = err;
			l->last = link;
			l->why = what;
			continue;
		}
		ret = hcv_actlog_load(link, buf, log, extack);
		if (ret)
			return ret;
	}
	return 0;
}

/* Everything is loaded: those that were left out fail like any replica. */
static int load_drop(struct hcv_load *l, struct netlink_ext_ack *extack)
{
	struct hcv_vol *vol = l->vol;
	u32 i;

	/* The others may have failed meanwhile. */
	if (!load_elect(l, NULL))
		return load_none(l, extack);
	for (i = 0; i < vol->nr_links; i++) {
		bool unsafe = l->unsafe & BIT(i);

		if (!unsafe && !(l->unread & BIT(i)))
			continue;
		/* One that has become the last one stays, if it may. */
		if (!hcv_link_fail(vol->link[i], -l->err[i], "load") && unsafe)
			return load_none(l, extack);
	}
	return 0;
}

static int load_all(struct hcv_load *l, const uuid_t *store,
		    struct hcv_log_load *log, void *buf,
		    struct netlink_ext_ack *extack)
{
	struct hcv_vol *vol = l->vol;
	struct hcv_ext *ext;
	int ret;

	ret = load_links(l, log, buf, extack);
	if (ret)
		return ret;
	l->elected = load_elect(l, store);
	if (!l->elected)
		return load_none(l, extack);
	/* The list changes only under vol->mutex, which the caller holds. */
	list_for_each_entry(ext, &vol->map.exts, node) {
		ret = load_ext(l, ext, buf, extack);
		if (ret)
			return ret;
		/* Not each extent waits for a disk that cannot be read. */
		if (l->unread & BIT(l->elected->nr))
			l->elected = load_elect(l, NULL) ?: l->elected;
		cond_resched();
	}
	return load_drop(l, extack);
}

int hcv_load(struct hcv_vol *vol, const uuid_t *store,
	     struct hcv_log_load *log, struct netlink_ext_ack *extack)
{
	struct hcv_load l = { .vol = vol };
	void *buf;
	int ret;
	u32 i;

	for (i = 0; i < vol->nr_links; i++)
		if (READ_ONCE(vol->link[i]->state) == HCV_LINK_INSYNC)
			l.had |= BIT(i);
	if (!load_elect(&l, store)) {
		NL_SET_ERR_MSG(extack, "no in-sync store is tied to the volume");
		return -ENOLINK;
	}
	buf = kvmalloc(2 * HCV_VOLPAGE_SIZE, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	ret = load_all(&l, store, log, buf, extack);
	kvfree(buf);
	for (i = 0; i < vol->nr_links; i++)
		if ((l.unsafe | l.unread | (ret ? l.doubt : 0)) & BIT(i))
			WRITE_ONCE(vol->link[i]->unfit, true);
	return ret;
}

int hcv_load_write_volpage(struct hcv_vol *vol)
{
	void *buf = kvmalloc(HCV_VOLPAGE_SIZE, GFP_NOIO);
	int ret;

	if (!buf)
		return -ENOMEM;
	ret = hcv_load_write_volpage_by(vol, buf);
	kvfree(buf);
	return ret;
}

int hcv_load_write_volpage_by(struct hcv_vol *vol, void *buf)
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
	int ret = 0;

	memset(buf, 0, HCV_VOLPAGE_SIZE);
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
	/*
	 * One that missed it may come back as it was (LOST): its newest valid
	 * one is in the other place, and the next must not go there.
	 */
	vol->volpage_seq = missed ? vp.seq + 1 : vp.seq;
	return ret ? ret : done ? 0 : -ENOLINK;
}
