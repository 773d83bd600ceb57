// SPDX-License-Identifier: GPL-2.0-only
/*
 * Encoding and decoding of every media structure.
 *
 * The byte layout is pinned here field by field: a change of the header that
 * moves a field does not compile.
 */
#include "format.h"

#define HCV_AT(type, field, off) \
	static_assert(offsetof(struct type, field) == (off), \
		      #type "." #field)

HCV_AT(hcv_dsk_super, crc, 8);
HCV_AT(hcv_dsk_super, major, 12);
HCV_AT(hcv_dsk_super, own_off, 16);
HCV_AT(hcv_dsk_super, incompat, 40);
HCV_AT(hcv_dsk_super, store, 48);
HCV_AT(hcv_dsk_super, seq, 96);
HCV_AT(hcv_dsk_super, lba_bytes, 112);
HCV_AT(hcv_dsk_super, table_pages, 128);
HCV_AT(hcv_dsk_super, vol_off, 136);
HCV_AT(hcv_dsk_super, handle_next, 160);
HCV_AT(hcv_dsk_super, format_time, 176);
HCV_AT(hcv_dsk_super, label, 184);
HCV_AT(hcv_dsk_super, pad, 248);
HCV_AT(hcv_dsk_entry, index, 16);
HCV_AT(hcv_dsk_entry, state, 20);
HCV_AT(hcv_dsk_entry, seq, 24);
HCV_AT(hcv_dsk_entry, pad, 32);
HCV_AT(hcv_dsk_table, store, 8);
HCV_AT(hcv_dsk_table, page, 24);
HCV_AT(hcv_dsk_table, seq, 32);
HCV_AT(hcv_dsk_table, entry, 64);
HCV_AT(hcv_dsk_gen, created, 16);
HCV_AT(hcv_dsk_volpage, volume, 16);
HCV_AT(hcv_dsk_volpage, lineage, 32);
HCV_AT(hcv_dsk_volpage, size_bytes, 64);
HCV_AT(hcv_dsk_volpage, nr_gens, 84);
HCV_AT(hcv_dsk_volpage, name, 88);
HCV_AT(hcv_dsk_volpage, pad, 152);
HCV_AT(hcv_dsk_rec, seq, 8);
HCV_AT(hcv_dsk_rec, state, 24);
HCV_AT(hcv_dsk_rec, lo, 64);
HCV_AT(hcv_dsk_rec, hi, 96);
HCV_AT(hcv_dsk_page, volume, 8);
HCV_AT(hcv_dsk_page, lineage, 24);
HCV_AT(hcv_dsk_page, extent, 32);
HCV_AT(hcv_dsk_page, epoch, 40);
HCV_AT(hcv_dsk_page, marks, 56);
HCV_AT(hcv_dsk_page, rec, 128);
HCV_AT(hcv_dsk_log, volume, 8);
HCV_AT(hcv_dsk_log, lineage, 24);
HCV_AT(hcv_dsk_log, version, 32);
HCV_AT(hcv_dsk_log, page, 34);
HCV_AT(hcv_dsk_log, count, 36);
HCV_AT(hcv_dsk_log, epoch, 40);
HCV_AT(hcv_dsk_log, seq, 48);
HCV_AT(hcv_dsk_log, mib, 128);
HCV_AT(hcv_dsk_control, store, 16);
HCV_AT(hcv_dsk_control, incarnation, 32);
HCV_AT(hcv_dsk_control, count, 48);
HCV_AT(hcv_dsk_control, window, 52);
HCV_AT(hcv_dsk_control, revoked, 256);
HCV_AT(hcv_dsk_done, store, 16);
HCV_AT(hcv_dsk_done, incarnation, 32);
HCV_AT(hcv_dsk_done, volume, 40);
HCV_AT(hcv_dsk_done, epoch, 56);

static_assert(HCV_EXTENT_PAGES * HCV_PAGE_RECORDS == HCV_EXTENT_RECORDS,
	      "the pages of an extent hold exactly its records");

/* The checksum is the second word of every structure but the superblock. */
#define HCV_FMT_CRC_OFF		4U
#define HCV_FMT_SB_CRC_OFF	8U
#define HCV_FMT_MIB		BIT_ULL(20)
#define HCV_FMT_EXTENTS_MAX	BIT(31)

static bool hcv_fmt_zero(const void *buf, size_t len)
{
	return !memchr_inv(buf, 0, len);
}

static bool hcv_fmt_uuid_eq(const u8 *a, const u8 *b)
{
	return !memcmp(a, b, HCV_UUID_SIZE);
}

/* NUL terminated, and zero from there on. */
static bool hcv_fmt_name_ok(const u8 *name)
{
	size_t len = strnlen((const char *)name, HCV_NAME_SIZE);

	return len < HCV_NAME_SIZE &&
		hcv_fmt_zero(name + len, HCV_NAME_SIZE - len);
}

static void hcv_fmt_name_put(u8 *dst, const char *src)
{
	size_t len = strnlen(src, HCV_NAME_SIZE - 1);

	memcpy(dst, src, len);
	memset(dst + len, 0, HCV_NAME_SIZE - len);
}

u32 hcv_crc32c(const void *buf, size_t len)
{
	return ~crc32c(~0U, buf, len);
}

/* CRC32C over @len bytes, the four bytes at @off taken as zero. */
static u32 hcv_fmt_crc(const void *buf, size_t len, size_t off)
{
	static const u8 zero[4];
	u32 crc;

	crc = crc32c(~0U, buf, off);
	crc = crc32c(crc, zero, sizeof(zero));
	crc = crc32c(crc, buf + off + sizeof(zero), len - off - sizeof(zero));
	return ~crc;
}

/* What all structures with a 32-bit magic have in common. */
static int hcv_fmt_head_check(const void *buf, size_t len, u32 magic)
{
	const __le32 *word = buf;

	if (le32_to_cpu(word[0]) != magic)
		return hcv_fmt_zero(buf, len) ? -ENODATA : -ENOMSG;
	if (le32_to_cpu(word[1]) != hcv_fmt_crc(buf, len, HCV_FMT_CRC_OFF))
		return -EBADMSG;
	return 0;
}

static void hcv_fmt_head_seal(void *buf, size_t len)
{
	__le32 *word = buf;

	word[1] = cpu_to_le32(hcv_fmt_crc(buf, len, HCV_FMT_CRC_OFF));
}

/* Fill in @lay for @nr extents.  Return: the first byte behind it all. */
static u64 hcv_fmt_layout_end(u32 nr, struct hcv_layout *lay)
{
	lay->nr_extents = nr;
	lay->nr_vols = clamp(nr / 4, HCV_VOLS_MIN, HCV_VOLS_MAX);
	lay->table_pages = DIV_ROUND_UP(nr + lay->nr_vols, HCV_TABLE_ENTRIES);
	lay->vol_off = ALIGN(HCV_TABLE_OFF +
			     2ULL * lay->table_pages * HCV_BLOCK_SIZE,
			     HCV_FMT_MIB);
	lay->meta_off = ALIGN(lay->vol_off +
			      (u64)lay->nr_vols * HCV_VOLAREA_SIZE,
			      HCV_FMT_MIB);
	lay->data_off = ALIGN(lay->meta_off + (u64)nr * HCV_EXTENT_META_SIZE,
			      HCV_FMT_MIB);
	return lay->data_off + ((u64)nr << HCV_EXTENT_SHIFT);
}

int hcv_fmt_layout(u64 dev_bytes, struct hcv_layout *lay)
{
	u64 most = dev_bytes >> HCV_EXTENT_SHIFT;
	u32 lo = 0, hi, mid;

	memset(lay, 0, sizeof(*lay));
	if (dev_bytes < HCV_STORE_MIN_SIZE)
		return -ENOSPC;
	dev_bytes = ALIGN_DOWN(dev_bytes, (u64)HCV_BLOCK_SIZE);
	/* The end grows with the number of extents: search by halves. */
	hi = min(most, (u64)HCV_FMT_EXTENTS_MAX + 1);
	while (lo < hi) {
		mid = lo + (hi - lo + 1) / 2;
		if (hcv_fmt_layout_end(mid, lay) <= dev_bytes)
			lo = mid;
		else
			hi = mid - 1;
	}
	hcv_fmt_layout_end(lo, lay);
	lay->dev_bytes = dev_bytes;
	if (!lo)
		return -ENOSPC;
	return lo > HCV_FMT_EXTENTS_MAX ? -EFBIG : 0;
}

/* Superblock */

void hcv_fmt_super_encode(const struct hcv_super *sb, int copy, void *buf)
{
	struct hcv_dsk_super *d = buf;

	memset(d, 0, sizeof(*d));
	d->magic = cpu_to_le64(HCV_SB_MAGIC);
	d->major = cpu_to_le16(HCV_FMT_MAJOR);
	d->minor = cpu_to_le16(HCV_FMT_MINOR);
	d->own_off = cpu_to_le64(copy ? HCV_SB_OFF1 : HCV_SB_OFF0);
	d->compat = cpu_to_le64(sb->compat);
	d->ro_compat = cpu_to_le64(sb->ro_compat);
	d->incompat = cpu_to_le64(sb->incompat);
	memcpy(d->store, sb->store, HCV_UUID_SIZE);
	memcpy(d->cluster, sb->cluster, HCV_UUID_SIZE);
	memcpy(d->node, sb->node, HCV_UUID_SIZE);
	d->seq = cpu_to_le64(sb->seq);
	d->dev_bytes = cpu_to_le64(sb->lay.dev_bytes);
	d->lba_bytes = cpu_to_le32(sb->lba_bytes);
	d->flags = cpu_to_le32(sb->flags);
	d->nr_extents = cpu_to_le32(sb->lay.nr_extents);
	d->nr_vols = cpu_to_le32(sb->lay.nr_vols);
	d->table_pages = cpu_to_le32(sb->lay.table_pages);
	d->vol_off = cpu_to_le64(sb->lay.vol_off);
	d->meta_off = cpu_to_le64(sb->lay.meta_off);
	d->data_off = cpu_to_le64(sb->lay.data_off);
	d->handle_next = cpu_to_le64(sb->handle_next);
	d->incarnation = cpu_to_le64(sb->incarnation);
	d->format_time = cpu_to_le64(sb->format_time);
	hcv_fmt_name_put(d->label, sb->label);
	d->crc = cpu_to_le32(hcv_fmt_crc(d, sizeof(*d), HCV_FMT_SB_CRC_OFF));
}

static int hcv_fmt_super_head(const struct hcv_dsk_super *d, int copy)
{
	if (le64_to_cpu(d->magic) != HCV_SB_MAGIC)
		return hcv_fmt_zero(d, sizeof(*d)) ? -ENODATA : -ENOMSG;
	if (le32_to_cpu(d->crc) !=
	    hcv_fmt_crc(d, sizeof(*d), HCV_FMT_SB_CRC_OFF))
		return -EBADMSG;
	if (le64_to_cpu(d->own_off) != (copy ? HCV_SB_OFF1 : HCV_SB_OFF0))
		return -EXDEV;
	if (le16_to_cpu(d->major) != HCV_FMT_MAJOR ||
	    (le64_to_cpu(d->incompat) & ~HCV_F_INCOMPAT_ALL))
		return -EPROTONOSUPPORT;
	return 0;
}

/* A newer minor version may give a meaning to padding, an equal one not. */
static bool hcv_fmt_super_pad_ok(const struct hcv_dsk_super *d)
{
	return le16_to_cpu(d->minor) > HCV_FMT_MINOR ||
		(!d->pad0 && hcv_fmt_zero(d->pad, sizeof(d->pad)));
}

static bool hcv_fmt_super_ranges_ok(const struct hcv_dsk_super *d,
				    const struct hcv_super *sb)
{
	if (hcv_fmt_zero(sb->store, HCV_UUID_SIZE) || !sb->seq)
		return false;
	if (sb->lba_bytes != 512 && sb->lba_bytes != HCV_BLOCK_SIZE)
		return false;
	if (sb->flags & ~HCV_SB_F_ALL)
		return false;
	/* Chunk 0 is never granted: handle 0 is the control window. */
	if (sb->handle_next < HCV_HANDLE_CHUNK ||
	    sb->handle_next > HCV_HANDLE_MAX ||
	    sb->handle_next % HCV_HANDLE_CHUNK)
		return false;
	return hcv_fmt_name_ok(d->label) && hcv_fmt_super_pad_ok(d);
}

static bool hcv_fmt_super_layout_ok(const struct hcv_layout *lay, u64 dev_bytes)
{
	struct hcv_layout want;

	return lay->dev_bytes <= dev_bytes &&
		!hcv_fmt_layout(lay->dev_bytes, &want) &&
		lay->dev_bytes == want.dev_bytes &&
		lay->nr_extents == want.nr_extents &&
		lay->nr_vols == want.nr_vols &&
		lay->table_pages == want.table_pages &&
		lay->vol_off == want.vol_off &&
		lay->meta_off == want.meta_off &&
		lay->data_off == want.data_off;
}

int hcv_fmt_super_decode(const void *buf, int copy, u64 dev_bytes,
			 struct hcv_super *sb)
{
	const struct hcv_dsk_super *d = buf;
	int ret;

	memset(sb, 0, sizeof(*sb));
	ret = hcv_fmt_super_head(d, copy);
	if (ret)
		return ret;
	memcpy(sb->store, d->store, HCV_UUID_SIZE);
	memcpy(sb->cluster, d->cluster, HCV_UUID_SIZE);
	memcpy(sb->node, d->node, HCV_UUID_SIZE);
	sb->compat = le64_to_cpu(d->compat);
	sb->ro_compat = le64_to_cpu(d->ro_compat);
	sb->incompat = le64_to_cpu(d->incompat);
	sb->seq = le64_to_cpu(d->seq);
	sb->lba_bytes = le32_to_cpu(d->lba_bytes);
	sb->flags = le32_to_cpu(d->flags);
	sb->handle_next = le64_to_cpu(d->handle_next);
	sb->incarnation = le64_to_cpu(d->incarnation);
	sb->format_time = le64_to_cpu(d->format_time);
	sb->lay.dev_bytes = le64_to_cpu(d->dev_bytes);
	sb->lay.nr_extents = le32_to_cpu(d->nr_extents);
	sb->lay.nr_vols = le32_to_cpu(d->nr_vols);
	sb->lay.table_pages = le32_to_cpu(d->table_pages);
	sb->lay.vol_off = le64_to_cpu(d->vol_off);
	sb->lay.meta_off = le64_to_cpu(d->meta_off);
	sb->lay.data_off = le64_to_cpu(d->data_off);
	if (!hcv_fmt_super_ranges_ok(d, sb) ||
	    !hcv_fmt_super_layout_ok(&sb->lay, dev_bytes))
		return -EUCLEAN;
	memcpy(sb->label, d->label, HCV_NAME_SIZE);
	return 0;
}

/* Extent table */

void hcv_fmt_table_init(void *buf, const u8 *store, u32 page)
{
	struct hcv_dsk_table *d = buf;

	memset(d, 0, sizeof(*d));
	d->magic = cpu_to_le32(HCV_MAGIC_TABLE);
	memcpy(d->store, store, HCV_UUID_SIZE);
	d->page = cpu_to_le32(page);
}

void hcv_fmt_table_set(void *buf, u32 slot, const struct hcv_entry *ent)
{
	struct hcv_dsk_table *d = buf;
	struct hcv_dsk_entry *e = &d->entry[slot];

	memset(e, 0, sizeof(*e));
	if (ent->state == HCV_ENTRY_FREE)
		return;
	memcpy(e->volume, ent->volume, HCV_UUID_SIZE);
	e->index = cpu_to_le32(ent->index);
	e->state = ent->state;
	e->seq = cpu_to_le64(ent->seq);
}

void hcv_fmt_table_seal(void *buf, u32 place, u64 seq)
{
	struct hcv_dsk_table *d = buf;

	d->place = cpu_to_le32(place);
	d->seq = cpu_to_le64(seq);
	hcv_fmt_head_seal(d, sizeof(*d));
}

int hcv_fmt_table_check(const void *buf, const u8 *store, u32 page, u32 place,
			u64 *seq)
{
	const struct hcv_dsk_table *d = buf;
	int ret;

	*seq = 0;
	ret = hcv_fmt_head_check(d, sizeof(*d), HCV_MAGIC_TABLE);
	if (ret)
		return ret;
	if (!hcv_fmt_uuid_eq(d->store, store) ||
	    le32_to_cpu(d->page) != page || le32_to_cpu(d->place) != place)
		return -EXDEV;
	if (!d->seq || !hcv_fmt_zero(d->pad, sizeof(d->pad)))
		return -EUCLEAN;
	*seq = le64_to_cpu(d->seq);
	return 0;
}

int hcv_fmt_table_get(const void *buf, u32 slot, struct hcv_entry *ent)
{
	const struct hcv_dsk_table *d = buf;
	const struct hcv_dsk_entry *e;

	memset(ent, 0, sizeof(*ent));
	if (slot >= HCV_TABLE_ENTRIES)
		return -EINVAL;
	e = &d->entry[slot];
	if (e->state == HCV_ENTRY_FREE)
		return hcv_fmt_zero(e, sizeof(*e)) ? 0 : -EUCLEAN;
	if (e->state != HCV_ENTRY_USED || !e->seq ||
	    hcv_fmt_zero(e->volume, HCV_UUID_SIZE) ||
	    !hcv_fmt_zero(e->pad0, sizeof(e->pad0)) ||
	    !hcv_fmt_zero(e->pad, sizeof(e->pad)))
		return -EUCLEAN;
	memcpy(ent->volume, e->volume, HCV_UUID_SIZE);
	ent->index = le32_to_cpu(e->index);
	ent->state = e->state;
	ent->seq = le64_to_cpu(e->seq);
	return 0;
}

/* Metadata pages */

void hcv_fmt_page_begin(void *buf, const struct hcv_page_id *id, u64 epoch,
			u64 seq)
{
	struct hcv_dsk_page *d = buf;

	d->magic = cpu_to_le32(HCV_MAGIC_PAGE);
	memcpy(d->volume, id->volume, HCV_UUID_SIZE);
	d->lineage = cpu_to_le64(id->lineage);
	d->extent = cpu_to_le32(id->extent);
	d->page = id->page;
	d->place = id->place;
	d->epoch = cpu_to_le64(epoch);
	d->seq = cpu_to_le64(seq);
}

void hcv_fmt_page_put(void *buf, u32 slot, const struct hcv_rec *rec)
{
	struct hcv_dsk_page *d = buf;
	struct hcv_dsk_rec *r = &d->rec[slot];
	int i;

	memset(r, 0, sizeof(*r));
	if (rec->state == HCV_REC_FREE)
		return;
	r->mib = cpu_to_le32(rec->mib);
	r->gen = cpu_to_le32(rec->gen);
	r->seq = cpu_to_le64(rec->seq);
	r->stamp = cpu_to_le64(rec->stamp);
	r->state = rec->state;
	for (i = 0; i < 4; i++) {
		r->lo[i] = cpu_to_le64(rec->lo[i]);
		r->hi[i] = cpu_to_le64(rec->hi[i]);
	}
}

void hcv_fmt_page_seal(void *buf)
{
	hcv_fmt_head_seal(buf, sizeof(struct hcv_dsk_page));
}

int hcv_fmt_page_check(const void *buf, struct hcv_page_id *id, u64 *epoch,
		       u64 *seq)
{
	const struct hcv_dsk_page *d = buf;
	u64 lineage;
	int ret;

	*epoch = 0;
	*seq = 0;
	ret = hcv_fmt_head_check(d, sizeof(*d), HCV_MAGIC_PAGE);
	if (ret)
		return ret;
	lineage = le64_to_cpu(d->lineage);
	if (!hcv_fmt_uuid_eq(d->volume, id->volume) ||
	    (id->lineage && id->lineage != lineage) ||
	    le32_to_cpu(d->extent) != id->extent ||
	    d->page != id->page || d->place != id->place)
		return -EXDEV;
	/* Lineage 0 would match every lineage; no page has it. */
	if (!lineage || !d->seq || d->page >= HCV_EXTENT_PAGES ||
	    d->place > 1 || d->marks ||
	    !hcv_fmt_zero(d->pad0, sizeof(d->pad0)) ||
	    !hcv_fmt_zero(d->pad, sizeof(d->pad)))
		return -EUCLEAN;
	id->lineage = lineage;
	*epoch = le64_to_cpu(d->epoch);
	*seq = le64_to_cpu(d->seq);
	return 0;
}

int hcv_fmt_page_get(const void *buf, u32 page, u32 slot, struct hcv_rec *rec)
{
	const struct hcv_dsk_page *d = buf;
	const struct hcv_dsk_rec *r;
	int i;

	memset(rec, 0, sizeof(*rec));
	if (page >= HCV_EXTENT_PAGES || slot >= HCV_PAGE_RECORDS)
		return -EINVAL;
	r = &d->rec[slot];
	if (r->state == HCV_REC_FREE)
		return hcv_fmt_zero(r, sizeof(*r)) ? 0 : -EUCLEAN;
	if (r->state != HCV_REC_USED || !r->gen || !r->seq ||
	    !hcv_fmt_zero(r->pad0, sizeof(r->pad0)) ||
	    !hcv_fmt_zero(r->pad, sizeof(r->pad)))
		return -EUCLEAN;
	/* No data lie behind these records: nothing may point to any. */
	if (page * HCV_PAGE_RECORDS + slot >= HCV_EXTENT_SLOTS &&
	    !hcv_fmt_zero(r->lo, sizeof(r->lo)))
		return -EUCLEAN;
	rec->mib = le32_to_cpu(r->mib);
	rec->gen = le32_to_cpu(r->gen);
	rec->seq = le64_to_cpu(r->seq);
	rec->stamp = le64_to_cpu(r->stamp);
	rec->state = r->state;
	for (i = 0; i < 4; i++) {
		rec->lo[i] = le64_to_cpu(r->lo[i]);
		rec->hi[i] = le64_to_cpu(r->hi[i]);
	}
	return 0;
}

/* Activity log */

void hcv_fmt_log_begin(void *buf, const struct hcv_log_id *id, u64 epoch,
		       u64 seq)
{
	struct hcv_dsk_log *d = buf;

	memset(d, 0, sizeof(*d));
	d->magic = cpu_to_le32(HCV_MAGIC_LOG);
	memcpy(d->volume, id->volume, HCV_UUID_SIZE);
	d->lineage = cpu_to_le64(id->lineage);
	d->version = cpu_to_le16(1);
	d->page = id->page;
	d->place = id->place;
	d->epoch = cpu_to_le64(epoch);
	d->seq = cpu_to_le64(seq);
}

void hcv_fmt_log_put(void *buf, u32 i, u32 mib)
{
	struct hcv_dsk_log *d = buf;

	d->mib[i] = cpu_to_le32(mib);
}

void hcv_fmt_log_seal(void *buf, u32 count)
{
	struct hcv_dsk_log *d = buf;

	d->count = cpu_to_le32(count);
	hcv_fmt_head_seal(d, sizeof(*d));
}

int hcv_fmt_log_check(const void *buf, const struct hcv_log_id *id, u64 *epoch,
		      u64 *seq, u32 *count)
{
	const struct hcv_dsk_log *d = buf;
	u32 n;
	int ret;

	*epoch = 0;
	*seq = 0;
	*count = 0;
	ret = hcv_fmt_head_check(d, sizeof(*d), HCV_MAGIC_LOG);
	if (ret)
		return ret;
	if (!hcv_fmt_uuid_eq(d->volume, id->volume) ||
	    le64_to_cpu(d->lineage) != id->lineage ||
	    d->page != id->page || d->place != id->place)
		return -EXDEV;
	if (le16_to_cpu(d->version) != 1)
		return -EPROTONOSUPPORT;
	n = le32_to_cpu(d->count);
	if (!d->lineage || !d->epoch || !d->seq || n > HCV_LOG_ENTRIES ||
	    d->page >= HCV_LOG_PAGES || d->place > 1 ||
	    !hcv_fmt_zero(d->pad, sizeof(d->pad)) ||
	    !hcv_fmt_zero(d->mib + n, sizeof(d->mib) - n * sizeof(d->mib[0])))
		return -EUCLEAN;
	*epoch = le64_to_cpu(d->epoch);
	*seq = le64_to_cpu(d->seq);
	*count = n;
	return 0;
}

u32 hcv_fmt_log_get(const void *buf, u32 i)
{
	const struct hcv_dsk_log *d = buf;

	return le32_to_cpu(d->mib[i]);
}

/* Volume page */

static u32 hcv_fmt_volpage_bytes(u32 nr_gens)
{
	return ALIGN(HCV_VOLPAGE_HEAD +
		     nr_gens * (u32)sizeof(struct hcv_dsk_gen), HCV_BLOCK_SIZE);
}

u32 hcv_fmt_volpage_encode(const struct hcv_volpage *vp,
			   const struct hcv_gen *gen, u32 place, void *buf)
{
	u32 bytes = hcv_fmt_volpage_bytes(vp->nr_gens), i;
	struct hcv_dsk_gen *g = buf + HCV_VOLPAGE_HEAD;
	struct hcv_dsk_volpage *d = buf;

	memset(d, 0, bytes);
	d->magic = cpu_to_le32(HCV_MAGIC_VOLPAGE);
	d->bytes = cpu_to_le32(bytes);
	d->place = cpu_to_le32(place);
	memcpy(d->volume, vp->volume, HCV_UUID_SIZE);
	d->lineage = cpu_to_le64(vp->lineage);
	d->epoch = cpu_to_le64(vp->epoch);
	d->v = cpu_to_le64(vp->v);
	d->seq = cpu_to_le64(vp->seq);
	d->size_bytes = cpu_to_le64(vp->size_bytes);
	d->stripe = cpu_to_le32(vp->stripe);
	d->replicas = cpu_to_le32(vp->replicas);
	d->cur_gen = cpu_to_le32(vp->cur_gen);
	d->nr_gens = cpu_to_le32(vp->nr_gens);
	hcv_fmt_name_put(d->name, vp->name);
	for (i = 0; i < vp->nr_gens; i++) {
		g[i].id = cpu_to_le32(gen[i].id);
		g[i].parent = cpu_to_le32(gen[i].parent);
		g[i].flags = cpu_to_le32(gen[i].flags);
		g[i].created = cpu_to_le64(gen[i].created);
	}
	hcv_fmt_head_seal(d, bytes);
	return bytes;
}

/* The entry of generation @id, or NULL; @g has ascending ids. */
static const struct hcv_dsk_gen *hcv_fmt_gen_find(const struct hcv_dsk_gen *g,
						  u32 nr, u32 id)
{
	u32 lo = 0, hi = nr, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (le32_to_cpu(g[mid].id) == id)
			return g + mid;
		if (le32_to_cpu(g[mid].id) < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* Ids ascend; a parent is older than its child and listed. */
static bool hcv_fmt_gens_ok(const struct hcv_dsk_volpage *d, u32 nr,
			    u32 cur_gen)
{
	const struct hcv_dsk_gen *g = (const void *)d + HCV_VOLPAGE_HEAD, *cur;
	u32 i, id, parent, last = 0;

	for (i = 0; i < nr; i++, last = id) {
		id = le32_to_cpu(g[i].id);
		parent = le32_to_cpu(g[i].parent);
		if (id <= last || g[i].pad ||
		    (le32_to_cpu(g[i].flags) & ~HCV_GEN_F_ALL))
			return false;
		if (parent && !hcv_fmt_gen_find(g, i, parent))
			return false;
	}
	cur = hcv_fmt_gen_find(g, nr, cur_gen);
	return cur && !cur->flags;
}

static bool hcv_fmt_volpage_ok(const struct hcv_dsk_volpage *d, u32 bytes,
			       const struct hcv_volpage *vp)
{
	u32 used;

	if (!vp->nr_gens || vp->nr_gens > HCV_GENS_MAX ||
	    hcv_fmt_volpage_bytes(vp->nr_gens) != bytes)
		return false;
	used = HCV_VOLPAGE_HEAD + vp->nr_gens * sizeof(struct hcv_dsk_gen);
	if (!hcv_fmt_zero(d->pad, sizeof(d->pad)) ||
	    !hcv_fmt_zero((const u8 *)d + used, bytes - used))
		return false;
	if (!vp->lineage || !vp->seq || !vp->size_bytes ||
	    vp->size_bytes % HCV_BLOCK_SIZE ||
	    vp->size_bytes > HCV_VOL_MAX_SIZE ||
	    hcv_fmt_zero(vp->volume, HCV_UUID_SIZE))
		return false;
	if ((vp->stripe != 1 && vp->stripe != 2 && vp->stripe != 4) ||
	    !vp->replicas || vp->replicas > 3)
		return false;
	return hcv_fmt_name_ok(d->name) &&
		hcv_fmt_gens_ok(d, vp->nr_gens, vp->cur_gen);
}

int hcv_fmt_volpage_decode(const void *buf, size_t len, u32 place,
			   struct hcv_volpage *vp)
{
	const struct hcv_dsk_volpage *d = buf;
	u32 bytes;
	int ret;

	memset(vp, 0, sizeof(*vp));
	if (len < HCV_BLOCK_SIZE)
		return -EINVAL;
	if (le32_to_cpu(d->magic) != HCV_MAGIC_VOLPAGE)
		return hcv_fmt_zero(buf, len) ? -ENODATA : -ENOMSG;
	/* Not trusted yet, but what the checksum is to cover. */
	bytes = le32_to_cpu(d->bytes);
	if (!bytes || bytes % HCV_BLOCK_SIZE || bytes > HCV_VOLPAGE_SIZE ||
	    bytes > len)
		return -EBADMSG;
	ret = hcv_fmt_head_check(d, bytes, HCV_MAGIC_VOLPAGE);
	if (ret)
		return ret;
	if (le32_to_cpu(d->place) != place)
		return -EXDEV;
	memcpy(vp->volume, d->volume, HCV_UUID_SIZE);
	vp->lineage = le64_to_cpu(d->lineage);
	vp->epoch = le64_to_cpu(d->epoch);
	vp->v = le64_to_cpu(d->v);
	vp->seq = le64_to_cpu(d->seq);
	vp->size_bytes = le64_to_cpu(d->size_bytes);
	vp->stripe = le32_to_cpu(d->stripe);
	vp->replicas = le32_to_cpu(d->replicas);
	vp->cur_gen = le32_to_cpu(d->cur_gen);
	vp->nr_gens = le32_to_cpu(d->nr_gens);
	if (!hcv_fmt_volpage_ok(d, bytes, vp))
		return -EUCLEAN;
	memcpy(vp->name, d->name, HCV_NAME_SIZE);
	return 0;
}

int hcv_fmt_volpage_gen(const void *buf, u32 i, struct hcv_gen *gen)
{
	const struct hcv_dsk_gen *g = buf + HCV_VOLPAGE_HEAD;
	const struct hcv_dsk_volpage *d = buf;

	memset(gen, 0, sizeof(*gen));
	if (i >= le32_to_cpu(d->nr_gens) || i >= HCV_GENS_MAX)
		return -EINVAL;
	gen->id = le32_to_cpu(g[i].id);
	gen->parent = le32_to_cpu(g[i].parent);
	gen->flags = le32_to_cpu(g[i].flags);
	gen->created = le64_to_cpu(g[i].created);
	return 0;
}

/* Control window */

void hcv_fmt_control_begin(void *buf)
{
	struct hcv_dsk_control *d = buf;

	memset(d, 0, sizeof(*d));
	d->magic = cpu_to_le32(HCV_MAGIC_CONTROL);
	d->version = cpu_to_le32(1);
}

bool hcv_fmt_control_add(void *buf, const u8 *volume, u64 epoch)
{
	struct hcv_dsk_control *d = buf;
	u32 n = le32_to_cpu(d->count);

	if (n >= HCV_CONTROL_REVOKED)
		return false;
	memcpy(d->revoked[n].volume, volume, HCV_UUID_SIZE);
	d->revoked[n].epoch = cpu_to_le64(epoch);
	d->count = cpu_to_le32(n + 1);
	return true;
}

void hcv_fmt_control_seal(void *buf, const struct hcv_control *ctl)
{
	struct hcv_dsk_control *d = buf;

	d->flags = cpu_to_le32(ctl->flags);
	d->window = cpu_to_le32(ctl->window);
	memcpy(d->store, ctl->store, HCV_UUID_SIZE);
	d->incarnation = cpu_to_le64(ctl->incarnation);
	d->revoke_seq = cpu_to_le64(ctl->revoke_seq);
	hcv_fmt_head_seal(d, sizeof(*d));
}

int hcv_fmt_control_decode(const void *buf, struct hcv_control *ctl)
{
	const struct hcv_dsk_control *d = buf;
	u32 flags, count;
	int ret;

	memset(ctl, 0, sizeof(*ctl));
	ret = hcv_fmt_head_check(d, sizeof(*d), HCV_MAGIC_CONTROL);
	if (ret)
		return ret;
	if (le32_to_cpu(d->version) != 1)
		return -EPROTONOSUPPORT;
	flags = le32_to_cpu(d->flags);
	count = le32_to_cpu(d->count);
	if ((flags & ~HCV_CONTROL_F_ALL) || count > HCV_CONTROL_REVOKED ||
	    ((flags & HCV_CONTROL_MORE) && count < HCV_CONTROL_REVOKED) ||
	    le32_to_cpu(d->window) >= HCV_CONTROL_WINDOWS ||
	    !hcv_fmt_zero(d->pad, sizeof(d->pad)) ||
	    !hcv_fmt_zero(d->revoked + count, sizeof(d->revoked[0]) *
			  (HCV_CONTROL_REVOKED - count)))
		return -EUCLEAN;
	memcpy(ctl->store, d->store, HCV_UUID_SIZE);
	ctl->incarnation = le64_to_cpu(d->incarnation);
	ctl->revoke_seq = le64_to_cpu(d->revoke_seq);
	ctl->flags = flags;
	ctl->count = count;
	ctl->window = le32_to_cpu(d->window);
	return 0;
}

bool hcv_fmt_control_revoked(const void *buf, const u8 *volume, u64 epoch)
{
	const struct hcv_dsk_control *d = buf;
	u32 i, n = min(le32_to_cpu(d->count), HCV_CONTROL_REVOKED);

	if (le32_to_cpu(d->flags) & HCV_CONTROL_ALL)
		return true;
	for (i = 0; i < n; i++)
		if (hcv_fmt_uuid_eq(d->revoked[i].volume, volume) &&
		    epoch <= le64_to_cpu(d->revoked[i].epoch))
			return true;
	return false;
}

/* Done message */

void hcv_fmt_done_encode(const struct hcv_done *done, void *buf)
{
	struct hcv_dsk_done *d = buf;

	memset(d, 0, sizeof(*d));
	d->magic = cpu_to_le32(HCV_MAGIC_DONE);
	d->version = cpu_to_le32(1);
	memcpy(d->store, done->store, HCV_UUID_SIZE);
	d->incarnation = cpu_to_le64(done->incarnation);
	memcpy(d->volume, done->volume, HCV_UUID_SIZE);
	d->epoch = cpu_to_le64(done->epoch);
	hcv_fmt_head_seal(d, sizeof(*d));
}

int hcv_fmt_done_decode(const void *buf, struct hcv_done *done)
{
	const struct hcv_dsk_done *d = buf;
	int ret;

	memset(done, 0, sizeof(*done));
	ret = hcv_fmt_head_check(d, sizeof(*d), HCV_MAGIC_DONE);
	if (ret)
		return ret;
	if (le32_to_cpu(d->version) != 1)
		return -EPROTONOSUPPORT;
	if (d->pad0 || !d->epoch || !hcv_fmt_zero(d->pad, sizeof(d->pad)))
		return -EUCLEAN;
	memcpy(done->store, d->store, HCV_UUID_SIZE);
	done->incarnation = le64_to_cpu(d->incarnation);
	memcpy(done->volume, d->volume, HCV_UUID_SIZE);
	done->epoch = le64_to_cpu(d->epoch);
	return 0;
}
