// SPDX-License-Identifier: GPL-2.0-only
/*
 * The activity log: table and bytes.  See log.h.
 */
#include "log.h"

static u32 log_hash(u32 mib)
{
	/* Neighbours are written together: they get heads of their own. */
	return (mib ^ mib >> 10) % HCV_LOG_HASH;
}

static u32 log_page_of(u32 at)
{
	return at / HCV_LOG_ENTRIES;
}

static void log_link(struct hcv_log *log, u32 at, u32 mib)
{
	struct hcv_log_ent *ent = &log->ent[at];
	u16 *head = &log->head[log_hash(mib)];

	ent->mib = mib;
	ent->seen = false;
	ent->next = *head;
	*head = at;
	log->page[log_page_of(at)].dirty = true;
}

static void log_unlink(struct hcv_log *log, u32 at)
{
	u16 *pp = &log->head[log_hash(log->ent[at].mib)];

	while (*pp != at)
		pp = &log->ent[*pp].next;
	*pp = log->ent[at].next;
}

static u32 log_find(const struct hcv_log *log, u32 mib)
{
	u32 at = log->head[log_hash(mib)];

	while (at != HCV_LOG_NONE && log->ent[at].mib != mib)
		at = log->ent[at].next;
	return at;
}

void hcv_log_init(struct hcv_log *log, const u8 *volume, u64 lineage, u64 epoch,
		  u32 nr_pages, u32 per_page)
{
	memset(log, 0, sizeof(*log));
	memcpy(log->volume, volume, HCV_UUID_SIZE);
	log->lineage = lineage;
	log->epoch = epoch;
	log->nr_pages = nr_pages;
	log->per_page = per_page;
	hcv_log_clear(log);
}

void hcv_log_clear(struct hcv_log *log)
{
	u32 i;

	memset(log->head, 0xff, sizeof(log->head));
	log->nr = 0;
	log->hand = 0;
	for (i = 0; i < log->nr_pages; i++) {
		log->page[i].nr = 0;
		log->page[i].dirty = true;
	}
}

bool hcv_log_has(const struct hcv_log *log, u32 mib)
{
	return log_find(log, mib) != HCV_LOG_NONE;
}

/* Next position of the hand that has an entry; some page has one. */
static u32 log_step(struct hcv_log *log)
{
	u32 page = log_page_of(log->hand), at = log->hand;

	while (at % HCV_LOG_ENTRIES >= log->page[page].nr) {
		page = (page + 1) % log->nr_pages;
		at = page * HCV_LOG_ENTRIES;
	}
	log->hand = at + 1;
	if (log->hand % HCV_LOG_ENTRIES == 0)
		log->hand = (page + 1) % log->nr_pages * HCV_LOG_ENTRIES;
	return at;
}

/*
 * Second chance: an entry that was in use goes once its mib was found idle
 * twice in a row.  Two rounds of the hand look at all of them.
 */
static u32 log_evict(struct hcv_log *log, hcv_log_drop_fn drop, void *arg)
{
	struct hcv_log_ent *ent;
	u32 i, at;

	for (i = 0; i < 2 * log->nr; i++) {
		at = log_step(log);
		ent = &log->ent[at];
		if (ent->seen && i < log->nr) {
			ent->seen = false;
			continue;
		}
		if (!drop(arg, ent->mib)) {
			ent->seen = true;
			continue;
		}
		log_unlink(log, at);
		return at;
	}
	return HCV_LOG_NONE;
}

/* A free position, in the page that is written anyway if it has one. */
static u32 log_free(struct hcv_log *log)
{
	u32 i, best = HCV_LOG_NONE;

	for (i = 0; i < log->nr_pages; i++) {
		if (log->page[i].nr == log->per_page)
			continue;
		if (best == HCV_LOG_NONE || log->page[i].dirty)
			best = i;
		if (log->page[i].dirty)
			break;
	}
	if (best == HCV_LOG_NONE)
		return best;
	log->nr++;
	return best * HCV_LOG_ENTRIES + log->page[best].nr++;
}

int hcv_log_add(struct hcv_log *log, u32 mib, hcv_log_drop_fn drop, void *arg)
{
	u32 at;

	if (hcv_log_has(log, mib))
		return 0;
	at = log_free(log);
	if (at == HCV_LOG_NONE && drop)
		at = log_evict(log, drop, arg);
	if (at == HCV_LOG_NONE)
		return -ENOSPC;
	log_link(log, at, mib);
	return 0;
}

/* The last entry of the page takes its place. */
static void log_remove(struct hcv_log *log, u32 at)
{
	struct hcv_log_page *page = &log->page[log_page_of(at)];
	u32 last = log_page_of(at) * HCV_LOG_ENTRIES + --page->nr;
	struct hcv_log_ent ent = log->ent[last];

	log->nr--;
	page->dirty = true;
	log_unlink(log, at);
	if (last == at)
		return;
	log_unlink(log, last);
	log_link(log, at, ent.mib);
	log->ent[at].seen = ent.seen;
}

u32 hcv_log_purge(struct hcv_log *log, hcv_log_drop_fn drop, void *arg)
{
	u32 page, i, at;

	for (page = 0; page < log->nr_pages; page++) {
		/* From the end: what takes a place has been asked for. */
		for (i = log->page[page].nr; i > 0; i--) {
			at = page * HCV_LOG_ENTRIES + i - 1;
			if (drop(arg, log->ent[at].mib))
				log_remove(log, at);
		}
	}
	return log->nr;
}

u32 hcv_log_dirty(const struct hcv_log *log)
{
	u32 i, bits = 0;

	for (i = 0; i < log->nr_pages; i++)
		bits |= (u32)log->page[i].dirty << i;
	return bits;
}

void hcv_log_encode(const struct hcv_log *log, u32 page, u32 place, u64 seq,
		    void *buf)
{
	const struct hcv_log_ent *ent = &log->ent[page * HCV_LOG_ENTRIES];
	struct hcv_log_id id = {
		.lineage = log->lineage,
		.page = page,
		.place = place,
	};
	u32 i;

	memcpy(id.volume, log->volume, HCV_UUID_SIZE);
	hcv_fmt_log_begin(buf, &id, log->epoch, seq);
	for (i = 0; i < log->page[page].nr; i++)
		hcv_fmt_log_put(buf, i, ent[i].mib);
	hcv_fmt_log_seal(buf, i);
}

u32 hcv_log_next(const struct hcv_log *log, u32 page, u64 *seq)
{
	return hcv_map_page_next(&log->page[page].pos, seq);
}

void hcv_log_sent(struct hcv_log *log, u32 page, u64 seq, bool good)
{
	struct hcv_pagepos *pos = &log->page[page].pos;
	u64 next;

	hcv_map_page_sent(pos, seq, hcv_map_page_next(pos, &next), good);
	if (good)
		log->page[page].dirty = false;
}

/* The newest valid place of a page, or NULL. */
static const void *log_newest(const void *buf, struct hcv_log_id *id,
			      struct hcv_log_found *found, u32 *count)
{
	u64 epoch, seq, best_epoch = 0, best_seq = 0;
	const void *best = NULL, *p;
	u32 n, bad = 0, blank = 0, place = 0;
	int ret;

	for (id->place = 0; id->place < 2; id->place++) {
		p = buf + hcv_fmt_log_off(id->page, id->place) - HCV_VOLLOG_OFF;
		ret = hcv_fmt_log_check(p, id, &epoch, &seq, &n);
		if (ret == -ENODATA || ret == -EXDEV)
			blank |= BIT(id->place);
		else if (ret)
			bad |= BIT(id->place);
		if (ret || (best && !hcv_fmt_page_newer(epoch, seq, best_epoch,
							best_seq)))
			continue;
		best = p;
		best_epoch = epoch;
		best_seq = seq;
		place = id->place;
		*count = n;
	}
	if (best) {
		found->newest |= place << id->page;
		found->epoch = max(found->epoch, best_epoch);
		found->seq = max(found->seq, best_seq);
		found->valid++;
	} else if (bad && !blank) {
		found->lost++;
	}
	return best;
}

void hcv_log_read(const void *buf, const u8 *volume, u64 lineage,
		  struct hcv_log_found *found, void (*fn)(void *arg, u32 mib),
		  void *arg)
{
	struct hcv_log_id id = { .lineage = lineage };
	const void *p;
	u32 i, count;

	memset(found, 0, sizeof(*found));
	memcpy(id.volume, volume, HCV_UUID_SIZE);
	for (id.page = 0; id.page < HCV_LOG_PAGES; id.page++) {
		p = log_newest(buf, &id, found, &count);
		if (!p)
			continue;
		found->entries += count;
		for (i = 0; fn && i < count; i++)
			fn(arg, hcv_fmt_log_get(p, i));
	}
}

void hcv_log_look(struct hcv_log_look *look, const struct hcv_log *log,
		  const struct hcv_log_found *found)
{
	bool empty = !found->lost && !found->entries &&
		     found->valid == log->nr_pages;

	look->alike = empty && (!look->nr || (look->alike &&
					      look->newest == found->newest));
	look->newest = found->newest;
	look->seq = max(look->seq, found->seq);
	look->nr++;
}

bool hcv_log_adopt(struct hcv_log *log, const struct hcv_log_look *look)
{
	u32 i;

	if (!look->alike || log->nr)
		return false;
	for (i = 0; i < log->nr_pages; i++) {
		log->page[i].pos = (struct hcv_pagepos) {
			.seq = look->seq,
			.place = look->newest >> i & 1,
			.kept = true,
		};
		log->page[i].dirty = false;
	}
	return true;
}
