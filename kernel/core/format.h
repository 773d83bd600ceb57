/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Encoding and decoding of every media structure.
 *
 * Pure: no I/O, no allocation, no locks; the same file is built into the
 * module, the agent, hcivol-inspect and the host's tests.  The decoders are
 * the only code that looks at raw bytes of a medium, and trust none of them.
 *
 * Order of checks: blank, magic, CRC, own location and ids, version and
 * features, ranges.  Errors: -ENODATA blank (all zero), -ENOMSG foreign magic,
 * -EBADMSG checksum, -EXDEV written for another place, volume or store,
 * -EPROTONOSUPPORT version or feature unknown, -EUCLEAN a field out of range.
 */
#ifndef HCV_CORE_FORMAT_H
#define HCV_CORE_FORMAT_H

#include "host.h"
#include <linux/hcivol_format.h>

/* Slot records hold volume addresses in MiB, as 32 bits. */
#define HCV_VOL_MAX_SIZE	(1ULL << (32 + HCV_SLOT_SHIFT))

/**
 * struct hcv_layout - where things lie on a store, bytes unless said otherwise
 */
struct hcv_layout {
	u64 dev_bytes;
	u32 nr_extents;
	u32 nr_vols;
	u32 table_pages;
	u64 vol_off;
	u64 meta_off;
	u64 data_off;
};

/**
 * struct hcv_super - the superblock in host order
 */
struct hcv_super {
	u8 store[HCV_UUID_SIZE];
	u8 cluster[HCV_UUID_SIZE];
	u8 node[HCV_UUID_SIZE];
	u64 compat, ro_compat, incompat;
	u64 seq;
	u32 lba_bytes;
	u32 flags;
	u64 handle_next;
	u64 incarnation;
	u64 format_time;
	struct hcv_layout lay;
	char label[HCV_NAME_SIZE];
};

/**
 * struct hcv_entry - a table entry in host order
 */
struct hcv_entry {
	u8 volume[HCV_UUID_SIZE];
	u32 index;
	u8 state;
	u64 seq;
};

/**
 * struct hcv_page_id - what a metadata page must say of itself
 */
struct hcv_page_id {
	u8 volume[HCV_UUID_SIZE];
	u64 lineage;		/* 0 on decode: any, the page's is returned */
	u32 extent;
	u8 page;
	u8 place;
};

/**
 * struct hcv_rec - a slot record in host order
 * @lo: low bits, @hi: high bits of the block states (see the media format)
 */
struct hcv_rec {
	u32 mib;
	u32 gen;
	u64 seq;
	u64 stamp;
	u8 state;
	u64 lo[4];
	u64 hi[4];
};

/**
 * struct hcv_volpage - head of a volume page in host order
 */
struct hcv_volpage {
	u8 volume[HCV_UUID_SIZE];
	u64 lineage;
	u64 epoch;
	u64 v;
	u64 seq;
	u64 size_bytes;
	u32 stripe;
	u32 replicas;
	u32 cur_gen;
	u32 nr_gens;
	char name[HCV_NAME_SIZE];
};

/**
 * struct hcv_log_id - what a page of the activity log must say of itself
 * @lineage: of the volume's content, never 0
 */
struct hcv_log_id {
	u8 volume[HCV_UUID_SIZE];
	u64 lineage;
	u8 page;
	u8 place;
};

struct hcv_gen {
	u32 id;
	u32 parent;
	u32 flags;
	u64 created;
};

/**
 * struct hcv_control - a control window in host order, without its list
 */
struct hcv_control {
	u8 store[HCV_UUID_SIZE];
	u64 incarnation;
	u64 revoke_seq;
	u32 flags;
	u32 count;
	u32 window;
};

/**
 * struct hcv_done - that a client has let go of a volume, in host order
 */
struct hcv_done {
	u8 store[HCV_UUID_SIZE];
	u64 incarnation;
	u8 volume[HCV_UUID_SIZE];
	u64 epoch;
};

/**
 * hcv_crc32c() - CRC32C (Castagnoli, reflected, initial and final ~0)
 */
u32 hcv_crc32c(const void *buf, size_t len);

/**
 * hcv_fmt_layout() - compute the layout from the device size
 * @dev_bytes: size of the device; rounded down to 4 KiB
 *
 * nr_vols = clamp(nr_extents / 4, HCV_VOLS_MIN, HCV_VOLS_MAX), and nr_extents
 * is the largest number for which everything fits.
 *
 * Return: 0, or -ENOSPC when the device is below HCV_STORE_MIN_SIZE or too
 * small for one extent, -EFBIG beyond 2^31 extents.
 */
int hcv_fmt_layout(u64 dev_bytes, struct hcv_layout *lay);

void hcv_fmt_super_encode(const struct hcv_super *sb, int copy, void *buf);
/**
 * hcv_fmt_super_decode() - decode and check one superblock copy
 * @buf: 4096 bytes
 * @copy: 0 or 1, the copy that this was read as
 * @dev_bytes: present size of the device, must not be below the recorded one
 * @sb: result
 *
 * Unknown ro_compat bits are not an error here: the caller compares
 * @sb->ro_compat with HCV_F_RO_COMPAT_ALL and opens read-only.
 */
int hcv_fmt_super_decode(const void *buf, int copy, u64 dev_bytes,
			 struct hcv_super *sb);

/** hcv_fmt_table_off() - byte address of a table page on a store */
static inline u64 hcv_fmt_table_off(const struct hcv_layout *lay, u32 page,
				    u32 place)
{
	return HCV_TABLE_OFF +
		((u64)place * lay->table_pages + page) * HCV_BLOCK_SIZE;
}

/** hcv_fmt_table_init() - make an empty table page in @buf (4096 bytes) */
void hcv_fmt_table_init(void *buf, const u8 *store, u32 page);
/** hcv_fmt_table_set() - put an entry into a page; seal it before writing */
void hcv_fmt_table_set(void *buf, u32 slot, const struct hcv_entry *ent);
/** hcv_fmt_table_seal() - set place, sequence and checksum of a page */
void hcv_fmt_table_seal(void *buf, u32 place, u64 seq);
/** hcv_fmt_table_check() - check a page, and return its sequence */
int hcv_fmt_table_check(const void *buf, const u8 *store, u32 page, u32 place,
			u64 *seq);
/** hcv_fmt_table_get() - decode one entry of a checked page */
int hcv_fmt_table_get(const void *buf, u32 slot, struct hcv_entry *ent);

/**
 * hcv_fmt_page_begin() - start a metadata page in @buf (4096 bytes, zeroed)
 * hcv_fmt_page_put() - put record @slot (0..30); a free record is all zero
 * hcv_fmt_page_seal() - set the checksum; the page is ready to be written
 */
void hcv_fmt_page_begin(void *buf, const struct hcv_page_id *id, u64 epoch,
			u64 seq);
void hcv_fmt_page_put(void *buf, u32 slot, const struct hcv_rec *rec);
void hcv_fmt_page_seal(void *buf);
/**
 * hcv_fmt_page_check() - check a page against @id and get its order
 *
 * Return: 0 or the error of the class; -ENODATA for a place never written.
 */
int hcv_fmt_page_check(const void *buf, struct hcv_page_id *id, u64 *epoch,
		       u64 *seq);
/**
 * hcv_fmt_page_get() - decode one record of a checked page
 *
 * Refuses (-EUCLEAN) states out of range, a used record without generation or
 * sequence, data in a zero-only record (@page, @slot say which it is), a free
 * record that is not zero, non-zero padding.
 */
int hcv_fmt_page_get(const void *buf, u32 page, u32 slot, struct hcv_rec *rec);
/**
 * hcv_fmt_page_off() - where a page lies inside its extent's metadata, bytes
 *
 * Place 0 of all pages comes first, place 1 of all of them behind it.
 */
static inline u32 hcv_fmt_page_off(u32 page, u32 place)
{
	return (place * HCV_EXTENT_PAGES + page) * HCV_BLOCK_SIZE;
}

/** hcv_fmt_page_newer() - whether (e1, s1) is newer than (e2, s2) */
static inline bool hcv_fmt_page_newer(u64 e1, u64 s1, u64 e2, u64 s2)
{
	return e1 != e2 ? e1 > e2 : s1 > s2;
}

/**
 * hcv_fmt_volpage_encode() - write head and generations
 * @buf: HCV_VOLPAGE_SIZE bytes
 * @gen: @vp->nr_gens entries, at most HCV_GENS_MAX
 *
 * Return: bytes to be written, a multiple of 4096.
 */
u32 hcv_fmt_volpage_encode(const struct hcv_volpage *vp,
			   const struct hcv_gen *gen, u32 place, void *buf);
int hcv_fmt_volpage_decode(const void *buf, size_t len, u32 place,
			   struct hcv_volpage *vp);
int hcv_fmt_volpage_gen(const void *buf, u32 i, struct hcv_gen *gen);

/**
 * hcv_fmt_log_begin() - start a page of the activity log in @buf (4096 bytes)
 * hcv_fmt_log_put() - append an entry; at most HCV_LOG_ENTRIES
 * hcv_fmt_log_seal() - set count and checksum; the page is ready to be written
 */
void hcv_fmt_log_begin(void *buf, const struct hcv_log_id *id, u64 epoch,
		       u64 seq);
void hcv_fmt_log_put(void *buf, u32 i, u32 mib);
void hcv_fmt_log_seal(void *buf, u32 count);
/**
 * hcv_fmt_log_check() - check a page against @id, get its order and its size
 *
 * Return: 0 or the error of the class; -ENODATA for a place never written.
 */
int hcv_fmt_log_check(const void *buf, const struct hcv_log_id *id, u64 *epoch,
		      u64 *seq, u32 *count);
/** hcv_fmt_log_get() - entry @i, below the count, of a checked page */
u32 hcv_fmt_log_get(const void *buf, u32 i);
/** hcv_fmt_log_off() - where a log page lies inside its volume area, bytes */
static inline u32 hcv_fmt_log_off(u32 page, u32 place)
{
	return HCV_VOLLOG_OFF +
		(place * HCV_LOG_PAGES + page) * HCV_BLOCK_SIZE;
}

void hcv_fmt_control_begin(void *buf);
/** hcv_fmt_control_add() - false: no room, the caller sets HCV_CONTROL_MORE */
bool hcv_fmt_control_add(void *buf, const u8 *volume, u64 epoch);
void hcv_fmt_control_seal(void *buf, const struct hcv_control *ctl);
int hcv_fmt_control_decode(const void *buf, struct hcv_control *ctl);
/** hcv_fmt_control_revoked() - whether (volume, epoch) is listed in @buf */
bool hcv_fmt_control_revoked(const void *buf, const u8 *volume, u64 epoch);

void hcv_fmt_done_encode(const struct hcv_done *done, void *buf);
int hcv_fmt_done_decode(const void *buf, struct hcv_done *done);

#endif /* HCV_CORE_FORMAT_H */
