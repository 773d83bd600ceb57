/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The activity log of an attached volume: which megabytes may differ between
 * its replicas.
 *
 * Before data of a mib go to any replica, or a metadata page that says something
 * new of it, the mib has an entry that is durable on every replica of the
 * in-sync set.  So the log of any of them names all that may differ after an
 * unclean stop.  The entry stays until data and pages are flushed on all, and
 * lazily beyond that, so that writing the mib again costs no I/O.
 *
 * An entry's place is fixed: a page of the log and a position in it.  A page is
 * written as a whole, to the other of its two places, several new entries at
 * once; one that is needed no more is left out by the image that has its
 * successor.  An image torn by a power cut leaves the former one, which
 * lacks only entries that nobody relied on yet.
 *
 * Pure: the table, and the bytes.  The caller knows which mibs are in use, writes
 * the images and has the only copy: no locks.
 */
#ifndef HCV_CORE_LOG_H
#define HCV_CORE_LOG_H

#include "map.h"

#define HCV_LOG_HASH	1024U
#define HCV_LOG_NONE	U16_MAX

/**
 * struct hcv_log_ent - one entry
 * @mib: volume byte offset >> 20
 * @next: the next one with the same hash, HCV_LOG_NONE: it is the last
 * @seen: was in use when it was looked at last
 */
struct hcv_log_ent {
	u32 mib;
	u16 next;
	bool seen;
};

/**
 * struct hcv_log_page - state of a page
 * @nr: entries
 * @dirty: has changed since an image of it was durable on all
 * @pos: where its images are, as for metadata pages
 */
struct hcv_log_page {
	u16 nr;
	bool dirty;
	struct hcv_pagepos pos;
};

/**
 * struct hcv_log - the log in RAM
 * @volume: UUID
 * @lineage: lineage id
 * @epoch: of the owner
 * @nr_pages: pages in use, at most HCV_LOG_PAGES
 * @per_page: entries of a page, at most HCV_LOG_ENTRIES
 * @nr: entries
 * @hand: where the search for an entry to be replaced goes on
 * @page: the pages
 * @head: first entry with a hash
 * @ent: the entries, those of page p from p * HCV_LOG_ENTRIES on
 */
struct hcv_log {
	u8 volume[HCV_UUID_SIZE];
	u64 lineage;
	u64 epoch;
	u32 nr_pages;
	u32 per_page;
	u32 nr;
	u32 hand;
	struct hcv_log_page page[HCV_LOG_PAGES];
	u16 head[HCV_LOG_HASH];
	struct hcv_log_ent ent[HCV_LOG_PAGES * HCV_LOG_ENTRIES];
};

/**
 * typedef hcv_log_drop_fn - may the entry of @mib be dropped?
 *
 * Yes if data and pages of the mib are flushed on all replicas and no I/O is
 * under way to it; from then on every write of it has to ask for an entry.
 */
typedef bool (*hcv_log_drop_fn)(void *arg, u32 mib);

/**
 * hcv_log_init() - an empty log
 * @nr_pages: HCV_LOG_PAGES, less in tests
 * @per_page: HCV_LOG_ENTRIES, less in tests
 */
void hcv_log_init(struct hcv_log *log, const u8 *volume, u64 lineage, u64 epoch,
		  u32 nr_pages, u32 per_page);
/** hcv_log_has() - whether @mib has an entry; durable or not */
bool hcv_log_has(const struct hcv_log *log, u32 mib);
/**
 * hcv_log_add() - make an entry
 * @drop: asked for entries that could make room, those that were in use when
 *	they were last looked at not before the others; NULL: none may go
 *
 * Further ones go to the same page while it has room, so that a batch costs as
 * few images as possible.
 * Return: 0, also if it is there; -ENOSPC: a FLUSH round has to make room.
 */
int hcv_log_add(struct hcv_log *log, u32 mib, hcv_log_drop_fn drop, void *arg);
/** hcv_log_clear() - forget all entries; all pages are dirty */
void hcv_log_clear(struct hcv_log *log);
/**
 * hcv_log_purge() - forget the entries that @drop lets go
 *
 * Pages that lose one are dirty.  Return: entries that are left.
 */
u32 hcv_log_purge(struct hcv_log *log, hcv_log_drop_fn drop, void *arg);
/** hcv_log_dirty() - pages to be written, as bits */
u32 hcv_log_dirty(const struct hcv_log *log);
/**
 * hcv_log_encode() - make the image of a page
 * @place: where it goes
 * @buf: 4096 bytes
 *
 * hcv_log_next() says which place and sequence are next.
 */
void hcv_log_encode(const struct hcv_log *log, u32 page, u32 place, u64 seq,
		    void *buf);
/** hcv_log_next() - place and sequence of a page's next image */
u32 hcv_log_next(const struct hcv_log *log, u32 page, u64 *seq);
/**
 * hcv_log_sent() - an image of hcv_log_next() was sent
 * @good: it is durable on all; otherwise its successor takes the same place
 *
 * No entry was added since it was made.
 */
void hcv_log_sent(struct hcv_log *log, u32 page, u64 seq, bool good);

/**
 * struct hcv_log_found - what the log on one store says
 * @epoch: highest epoch of a valid place
 * @seq: highest sequence of a valid place
 * @valid: pages with a valid place
 * @lost: pages of which nobody knows what they said
 * @entries: of all newest valid places
 * @newest: bit of a page set: its newest valid place is 1
 */
struct hcv_log_found {
	u64 epoch;
	u64 seq;
	u32 valid;
	u32 lost;
	u32 entries;
	u32 newest;
};

/**
 * hcv_log_read() - what the log on a store names
 * @buf: HCV_VOLLOG_SIZE bytes from HCV_VOLLOG_OFF of the volume area
 * @fn: called for each entry, some maybe twice; NULL: just count
 *
 * Pages of another lineage count as never written.  A page is lost if no place
 * is valid and one is damaged, unless that is the first write ever, torn:
 * nothing relied on it.
 */
void hcv_log_read(const void *buf, const u8 *volume, u64 lineage,
		  struct hcv_log_found *found, void (*fn)(void *arg, u32 mib),
		  void *arg);

/**
 * struct hcv_log_look - what the logs of the in-sync stores have in common
 * @nr: stores that were looked at
 * @alike: each has a valid and empty newest place of every page, and they are
 *	the same places
 * @newest: those, as in struct hcv_log_found
 * @seq: highest sequence on any
 */
struct hcv_log_look {
	u32 nr;
	bool alike;
	u32 newest;
	u64 seq;
};

/** hcv_log_look() - one store more; @look begins as zeroes */
void hcv_log_look(struct hcv_log_look *look, const struct hcv_log *log,
		  const struct hcv_log_found *found);
/**
 * hcv_log_adopt() - go on with the logs that are there
 *
 * After a clean stop and a hand-over they are as good as if they were written
 * anew.  The other place of a page may say anything: the next image goes there.
 * Return: false: they have to be written, all pages and both places of each.
 */
bool hcv_log_adopt(struct hcv_log *log, const struct hcv_log_look *look);

#endif /* HCV_CORE_LOG_H */
