// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the media format: what was encoded is decoded, what was damaged or
 * is meant for another place is refused with the error of its class.
 */
#include <kunit/test.h>
#include <linux/slab.h>

#include "format.h"

static const u8 hcv_t_store[16] = "store-0123456789";
static const u8 hcv_t_vol[16] = "volume-abcdefghi";
static const u8 hcv_t_other[16] = "other-xyzxyzxyzx";

static void *hcv_t_buf(struct kunit *test, size_t len)
{
	void *buf = kunit_kzalloc(test, len, GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	return buf;
}

/* Seal a damaged structure anew, so that what is behind the CRC is tested. */
static void hcv_t_reseal(u8 *buf, size_t len, size_t off)
{
	u32 crc;

	memset(buf + off, 0, 4);
	crc = hcv_crc32c(buf, len);
	buf[off] = crc;
	buf[off + 1] = crc >> 8;
	buf[off + 2] = crc >> 16;
	buf[off + 3] = crc >> 24;
}

static void hcv_t_put(u8 *buf, size_t off, size_t len, u64 val)
{
	for (; len; len--, val >>= 8)
		buf[off++] = val;
}

/*
 * The structures under test, each behind one "encode a good one" and one
 * "decode everything in it" function: the sweeps below are common.
 */
union hcv_t_out {
	struct hcv_super sb;
	struct {
		u64 seq;
		struct hcv_entry ent[HCV_TABLE_ENTRIES];
	} table;
	struct {
		struct hcv_page_id id;
		u64 epoch;
		u64 seq;
		struct hcv_rec rec[HCV_PAGE_RECORDS];
	} page;
	struct {
		struct hcv_volpage vp;
		struct hcv_gen gen[3];
	} vol;
	struct {
		struct hcv_control ctl;
		bool listed[4];
	} control;
	struct hcv_done done;
};

struct hcv_t_kind {
	const char *name;
	u32 len;
	u32 crc_off;
	void (*make)(u8 *buf);
	int (*read)(const u8 *buf, union hcv_t_out *out);
};

#define HCV_T_DEV	(100ULL << 30)

static void hcv_t_super(struct hcv_super *sb)
{
	memset(sb, 0, sizeof(*sb));
	memcpy(sb->store, hcv_t_store, 16);
	memcpy(sb->cluster, hcv_t_other, 16);
	memcpy(sb->node, hcv_t_vol, 16);
	sb->seq = 7;
	sb->lba_bytes = 512;
	sb->flags = HCV_SB_CLEAN;
	sb->handle_next = 5 * HCV_HANDLE_CHUNK;
	sb->incarnation = 0x1122334455667788ULL;
	sb->format_time = 1700000000;
	memcpy(sb->label, "bay 3", sizeof("bay 3"));
	hcv_fmt_layout(HCV_T_DEV, &sb->lay);
}

static void hcv_t_super_make(u8 *buf)
{
	struct hcv_super sb;

	hcv_t_super(&sb);
	hcv_fmt_super_encode(&sb, 1, buf);
}

static int hcv_t_super_read(const u8 *buf, union hcv_t_out *out)
{
	return hcv_fmt_super_decode(buf, 1, HCV_T_DEV, &out->sb);
}

static void hcv_t_table_make(u8 *buf)
{
	struct hcv_entry ent = { .index = 3, .state = HCV_ENTRY_USED, .seq = 9 };
	u32 i;

	memcpy(ent.volume, hcv_t_vol, 16);
	hcv_fmt_table_init(buf, hcv_t_store, 2);
	for (i = 0; i < HCV_TABLE_ENTRIES; i += 2) {
		ent.index = i;
		hcv_fmt_table_set(buf, i, &ent);
	}
	hcv_fmt_table_seal(buf, 1, 12);
}

static int hcv_t_table_read(const u8 *buf, union hcv_t_out *out)
{
	int ret = hcv_fmt_table_check(buf, hcv_t_store, 2, 1, &out->table.seq);
	u32 i;

	for (i = 0; !ret && i < HCV_TABLE_ENTRIES; i++)
		ret = hcv_fmt_table_get(buf, i, &out->table.ent[i]);
	return ret;
}

static void hcv_t_page_id(struct hcv_page_id *id)
{
	memset(id, 0, sizeof(*id));
	memcpy(id->volume, hcv_t_vol, 16);
	id->lineage = 0xabcdef;
	id->extent = 77;
	id->page = 8;
	id->place = 1;
}

static void hcv_t_rec(struct hcv_rec *rec, u32 i)
{
	memset(rec, 0, sizeof(*rec));
	rec->mib = 1000 + i;
	rec->gen = 1 + i % 3;
	rec->seq = 50 + i;
	rec->stamp = i;
	rec->state = HCV_REC_USED;
	/* Page 8 begins with record 248: 8 with data, 23 for zero only. */
	rec->lo[i % 4] = i < 8 ? 0x5555ULL << i : 0;
	rec->hi[3 - i % 4] = 0xaaaa0000ULL << i;
}

static void hcv_t_page_make(u8 *buf)
{
	struct hcv_page_id id;
	struct hcv_rec rec;
	u32 i;

	hcv_t_page_id(&id);
	memset(buf, 0, 4096);
	hcv_fmt_page_begin(buf, &id, 4, 99);
	for (i = 0; i < HCV_PAGE_RECORDS; i++) {
		if (i % 5 == 4)
			continue;
		hcv_t_rec(&rec, i);
		hcv_fmt_page_put(buf, i, &rec);
	}
	hcv_fmt_page_seal(buf);
}

static int hcv_t_page_read(const u8 *buf, union hcv_t_out *out)
{
	int ret;
	u32 i;

	hcv_t_page_id(&out->page.id);
	ret = hcv_fmt_page_check(buf, &out->page.id, &out->page.epoch,
				 &out->page.seq);
	for (i = 0; !ret && i < HCV_PAGE_RECORDS; i++)
		ret = hcv_fmt_page_get(buf, 8, i, &out->page.rec[i]);
	return ret;
}

static const struct hcv_gen hcv_t_gens[3] = {
	{ .id = 1, .flags = HCV_GEN_SEALED, .created = 1000 },
	{ .id = 4, .parent = 1, .flags = HCV_GEN_SEALED | HCV_GEN_DELETED,
	  .created = 2000 },
	{ .id = 5, .parent = 4, .created = 3000 },
};

static void hcv_t_volpage(struct hcv_volpage *vp)
{
	memset(vp, 0, sizeof(*vp));
	memcpy(vp->volume, hcv_t_vol, 16);
	vp->lineage = 0xabcdef;
	vp->epoch = 3;
	vp->v = 11;
	vp->seq = 6;
	vp->size_bytes = 10ULL << 30;
	vp->stripe = 2;
	vp->replicas = 3;
	vp->cur_gen = 5;
	vp->nr_gens = 3;
	memcpy(vp->name, "db01", sizeof("db01"));
}

static void hcv_t_vol_make(u8 *buf)
{
	struct hcv_volpage vp;

	hcv_t_volpage(&vp);
	hcv_fmt_volpage_encode(&vp, hcv_t_gens, 1, buf);
}

static int hcv_t_vol_read(const u8 *buf, union hcv_t_out *out)
{
	int ret = hcv_fmt_volpage_decode(buf, 4096, 1, &out->vol.vp);
	u32 i;

	for (i = 0; !ret && i < 3; i++)
		ret = hcv_fmt_volpage_gen(buf, i, &out->vol.gen[i]);
	return ret;
}

static void hcv_t_control_make(u8 *buf)
{
	struct hcv_control ctl = { .incarnation = 0x77, .revoke_seq = 3 };

	memcpy(ctl.store, hcv_t_store, 16);
	hcv_fmt_control_begin(buf);
	hcv_fmt_control_add(buf, hcv_t_vol, 4);
	hcv_fmt_control_add(buf, hcv_t_other, 0x1234567890ULL);
	hcv_fmt_control_seal(buf, &ctl);
}

static int hcv_t_control_read(const u8 *buf, union hcv_t_out *out)
{
	int ret = hcv_fmt_control_decode(buf, &out->control.ctl);

	if (ret)
		return ret;
	out->control.listed[0] = hcv_fmt_control_revoked(buf, hcv_t_vol, 4);
	out->control.listed[1] = hcv_fmt_control_revoked(buf, hcv_t_vol, 5);
	out->control.listed[2] = hcv_fmt_control_revoked(buf, hcv_t_other,
							 0x1234567890ULL);
	out->control.listed[3] = hcv_fmt_control_revoked(buf, hcv_t_other,
							 0x1234567891ULL);
	return 0;
}

static void hcv_t_done_make(u8 *buf)
{
	struct hcv_done done = { .incarnation = 0x77, .epoch = 12 };

	memcpy(done.store, hcv_t_store, 16);
	memcpy(done.volume, hcv_t_vol, 16);
	hcv_fmt_done_encode(&done, buf);
}

static int hcv_t_done_read(const u8 *buf, union hcv_t_out *out)
{
	return hcv_fmt_done_decode(buf, &out->done);
}

static const struct hcv_t_kind hcv_t_kinds[] = {
	{ "super", 4096, 8, hcv_t_super_make, hcv_t_super_read },
	{ "table", 4096, 4, hcv_t_table_make, hcv_t_table_read },
	{ "page", 4096, 4, hcv_t_page_make, hcv_t_page_read },
	{ "volpage", 4096, 4, hcv_t_vol_make, hcv_t_vol_read },
	{ "control", 4096, 4, hcv_t_control_make, hcv_t_control_read },
	{ "done", 4096, 4, hcv_t_done_make, hcv_t_done_read },
};

static void hcv_t_kind_desc(const struct hcv_t_kind *kind, char *desc)
{
	strscpy(desc, kind->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(hcv_t_kinds, hcv_t_kinds, hcv_t_kind_desc);

/* The structures with their size; the smallest store; the CRC's check value. */
static void hcv_format_constants(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, hcv_crc32c("123456789", 9), 0xe3069283U);
	KUNIT_EXPECT_EQ(test, hcv_crc32c("", 0), 0U);
	KUNIT_EXPECT_EQ(test, HCV_GENS_MAX, 2720U);
	KUNIT_EXPECT_EQ(test, HCV_EXTENT_META_SIZE, 72U << 10);
	KUNIT_EXPECT_EQ(test, HCV_HANDLE_MAX, 1ULL << 33);
}

/* Every single damaged bit pattern of a byte is a checksum or magic error. */
static void hcv_format_flip(struct kunit *test)
{
	const struct hcv_t_kind *kind = test->param_value;
	union hcv_t_out *out = hcv_t_buf(test, sizeof(*out));
	u8 *buf = hcv_t_buf(test, HCV_VOLPAGE_SIZE);
	u32 magic = kind->crc_off == 8 ? 8 : 4, i, bit;
	int ret, want;

	kind->make(buf);
	KUNIT_ASSERT_EQ(test, kind->read(buf, out), 0);
	for (i = 0; i < kind->len; i++) {
		want = i < magic ? -ENOMSG : -EBADMSG;
		for (bit = 0; bit < 8; bit += i < 256 ? 1 : 5) {
			buf[i] ^= 1 << bit;
			ret = kind->read(buf, out);
			KUNIT_EXPECT_EQ_MSG(test, ret, want, "byte %u bit %u",
					    i, bit);
			buf[i] ^= 1 << bit;
		}
	}
	KUNIT_EXPECT_EQ(test, kind->read(buf, out), 0);
}

/* Bytes whose change alone nobody sees, and on purpose. */
static bool hcv_t_ignored(const struct hcv_t_kind *kind, u32 off)
{
	/* The minor version of a superblock. */
	return kind->crc_off == 8 && (off == 14 || off == 15);
}

/*
 * With the checksum made right again no byte is dead: a change is refused, or
 * what is decoded has changed.
 */
static void hcv_format_resealed(struct kunit *test)
{
	const struct hcv_t_kind *kind = test->param_value;
	union hcv_t_out *good = hcv_t_buf(test, sizeof(*good));
	union hcv_t_out *out = hcv_t_buf(test, sizeof(*out));
	u8 *buf = hcv_t_buf(test, HCV_VOLPAGE_SIZE);
	u32 i, same = 0;
	int ret;

	kind->make(buf);
	KUNIT_ASSERT_EQ(test, kind->read(buf, good), 0);
	for (i = 0; i < kind->len; i++) {
		if (i >= kind->crc_off && i < kind->crc_off + 4)
			continue;
		kind->make(buf);
		buf[i] ^= 0x40;
		hcv_t_reseal(buf, kind->len, kind->crc_off);
		memset(out, 0, sizeof(*out));
		ret = kind->read(buf, out);
		if (!ret && !memcmp(good, out, sizeof(*out))) {
			same++;
			KUNIT_EXPECT_TRUE_MSG(test, hcv_t_ignored(kind, i),
					      "byte %u is dead", i);
		}
		KUNIT_EXPECT_TRUE_MSG(test, !ret || ret == -EUCLEAN ||
				      ret == -EXDEV || ret == -ENOMSG ||
				      ret == -EPROTONOSUPPORT ||
				      ret == -EBADMSG,
				      "byte %u gives %d", i, ret);
	}
	KUNIT_EXPECT_EQ(test, same, kind->crc_off == 8 ? 2 : 0);
}

/* A write that ended after any of the 512-byte sectors of a 4 KiB block. */
static void hcv_format_torn(struct kunit *test)
{
	const struct hcv_t_kind *kind = test->param_value;
	union hcv_t_out *out = hcv_t_buf(test, sizeof(*out));
	u8 *old = hcv_t_buf(test, HCV_VOLPAGE_SIZE);
	u8 *buf = hcv_t_buf(test, HCV_VOLPAGE_SIZE);
	u32 cut;

	/* The older version differs from the newer one in each sector. */
	kind->make(old);
	for (cut = 0; cut < kind->len; cut += 512)
		old[cut + 300] ^= 0x10;
	hcv_t_reseal(old, kind->len, kind->crc_off);
	for (cut = 512; cut < kind->len; cut += 512) {
		kind->make(buf);
		memcpy(buf + cut, old + cut, kind->len - cut);
		KUNIT_EXPECT_EQ(test, kind->read(buf, out), -EBADMSG);
		kind->make(buf);
		memcpy(buf, old, cut);
		KUNIT_EXPECT_EQ(test, kind->read(buf, out), -EBADMSG);
		/* Over a place that was never written; its end may be equal. */
		kind->make(buf);
		if (memchr_inv(buf + cut, 0, kind->len - cut)) {
			memset(buf + cut, 0, kind->len - cut);
			KUNIT_EXPECT_EQ(test, kind->read(buf, out), -EBADMSG);
			kind->make(buf);
			memset(buf, 0, cut);
			KUNIT_EXPECT_EQ(test, kind->read(buf, out), -ENOMSG);
		}
	}
}

static void hcv_format_blank(struct kunit *test)
{
	const struct hcv_t_kind *kind = test->param_value;
	union hcv_t_out *out = hcv_t_buf(test, sizeof(*out));
	u8 *buf = hcv_t_buf(test, HCV_VOLPAGE_SIZE);

	KUNIT_EXPECT_EQ(test, kind->read(buf, out), -ENODATA);
	buf[4095] = 1;
	KUNIT_EXPECT_EQ(test, kind->read(buf, out), -ENOMSG);
	memset(buf, 0xff, 4096);
	KUNIT_EXPECT_EQ(test, kind->read(buf, out), -ENOMSG);
}

static void hcv_format_super_round_trip(struct kunit *test)
{
	struct hcv_super *a = hcv_t_buf(test, sizeof(*a));
	struct hcv_super *b = hcv_t_buf(test, sizeof(*b));
	u8 *buf = hcv_t_buf(test, 4096);
	int copy;

	hcv_t_super(a);
	for (copy = 0; copy < 2; copy++) {
		hcv_fmt_super_encode(a, copy, buf);
		KUNIT_EXPECT_EQ(test, hcv_fmt_super_decode(buf, copy, HCV_T_DEV,
							   b), 0);
		KUNIT_EXPECT_EQ(test, memcmp(a, b, sizeof(*a)), 0);
		KUNIT_EXPECT_EQ(test, hcv_fmt_super_decode(buf, !copy,
							   HCV_T_DEV, b),
				-EXDEV);
		/* A larger device is fine, a smaller one is not. */
		KUNIT_EXPECT_EQ(test, hcv_fmt_super_decode(buf, copy,
							   HCV_T_DEV + 1, b),
				0);
		KUNIT_EXPECT_EQ(test, hcv_fmt_super_decode(buf, copy,
							   HCV_T_DEV - 1, b),
				-EUCLEAN);
	}
	/* A label without an end is cut, not run over. */
	memset(a->label, 'x', HCV_NAME_SIZE);
	hcv_fmt_super_encode(a, 0, buf);
	KUNIT_EXPECT_EQ(test, hcv_fmt_super_decode(buf, 0, HCV_T_DEV, b), 0);
	KUNIT_EXPECT_EQ(test, strlen(b->label), (size_t)HCV_NAME_SIZE - 1);
}

/* One field set to one value, and what the decoder has to say to that. */
struct hcv_t_field {
	const char *name;
	u16 off;
	u16 len;
	u64 val;
	int want;
};

#define HCV_T_F(type, field, val, want) {				\
	#type "." #field, offsetof(struct hcv_dsk_##type, field),	\
	sizeof(((struct hcv_dsk_##type *)0)->field), val, want }

static void hcv_t_fields(struct kunit *test, const struct hcv_t_kind *kind,
			 const struct hcv_t_field *f, u32 nr)
{
	union hcv_t_out *out = hcv_t_buf(test, sizeof(*out));
	u8 *buf = hcv_t_buf(test, HCV_VOLPAGE_SIZE);
	u32 i;

	for (i = 0; i < nr; i++) {
		kind->make(buf);
		hcv_t_put(buf, f[i].off, min_t(u32, f[i].len, 8), f[i].val);
		if (f[i].len > 8)
			memset(buf + f[i].off + 8, 0, f[i].len - 8);
		hcv_t_reseal(buf, kind->len, kind->crc_off);
		KUNIT_EXPECT_EQ_MSG(test, kind->read(buf, out), f[i].want,
				    "%s = %llx", f[i].name, f[i].val);
	}
}

static void hcv_format_super_fields(struct kunit *test)
{
	static const struct hcv_t_field f[] = {
		HCV_T_F(super, magic, 0x314c4f5649434847ULL, -ENOMSG),
		HCV_T_F(super, major, 2, -EPROTONOSUPPORT),
		HCV_T_F(super, major, 0, -EPROTONOSUPPORT),
		HCV_T_F(super, minor, 1, 0),
		HCV_T_F(super, own_off, 0, -EXDEV),
		HCV_T_F(super, own_off, 4096, -EXDEV),
		HCV_T_F(super, compat, 1, 0),
		HCV_T_F(super, ro_compat, 1ULL << 63, 0),
		HCV_T_F(super, incompat, 1, -EPROTONOSUPPORT),
		HCV_T_F(super, incompat, 1ULL << 63, -EPROTONOSUPPORT),
		HCV_T_F(super, store, 0, -EUCLEAN),
		HCV_T_F(super, cluster, 0, 0),
		HCV_T_F(super, node, 0, 0),
		HCV_T_F(super, seq, 0, -EUCLEAN),
		HCV_T_F(super, seq, ~0ULL, 0),
		HCV_T_F(super, dev_bytes, 0, -EUCLEAN),
		HCV_T_F(super, dev_bytes, HCV_T_DEV - 1, -EUCLEAN),
		HCV_T_F(super, dev_bytes, HCV_T_DEV + 4096, -EUCLEAN),
		HCV_T_F(super, dev_bytes, HCV_T_DEV / 2, -EUCLEAN),
		HCV_T_F(super, dev_bytes, ~0ULL, -EUCLEAN),
		HCV_T_F(super, lba_bytes, 0, -EUCLEAN),
		HCV_T_F(super, lba_bytes, 1024, -EUCLEAN),
		HCV_T_F(super, lba_bytes, 4096, 0),
		HCV_T_F(super, flags, HCV_SB_F_ALL, 0),
		HCV_T_F(super, flags, HCV_SB_F_ALL + 1, -EUCLEAN),
		HCV_T_F(super, nr_extents, 0, -EUCLEAN),
		HCV_T_F(super, nr_extents, 400, -EUCLEAN),
		HCV_T_F(super, nr_vols, 0, -EUCLEAN),
		HCV_T_F(super, nr_vols, 0xffffffff, -EUCLEAN),
		HCV_T_F(super, table_pages, 1, -EUCLEAN),
		HCV_T_F(super, pad0, 1, -EUCLEAN),
		HCV_T_F(super, vol_off, 0, -EUCLEAN),
		HCV_T_F(super, vol_off, 1ULL << 63, -EUCLEAN),
		HCV_T_F(super, meta_off, 1 << 20, -EUCLEAN),
		HCV_T_F(super, data_off, 1 << 20, -EUCLEAN),
		HCV_T_F(super, handle_next, 0, -EUCLEAN),
		HCV_T_F(super, handle_next, 1, -EUCLEAN),
		HCV_T_F(super, handle_next, HCV_HANDLE_CHUNK + 1, -EUCLEAN),
		HCV_T_F(super, handle_next, HCV_HANDLE_CHUNK, 0),
		HCV_T_F(super, handle_next, HCV_HANDLE_MAX, 0),
		HCV_T_F(super, handle_next, HCV_HANDLE_MAX + HCV_HANDLE_CHUNK,
			-EUCLEAN),
		HCV_T_F(super, incarnation, 0, 0),
		HCV_T_F(super, format_time, 0, 0),
		HCV_T_F(super, label, 0, 0),
		HCV_T_F(super, pad, 1, -EUCLEAN),
	};
	struct hcv_super *sb = hcv_t_buf(test, sizeof(*sb));
	u8 *buf = hcv_t_buf(test, 4096);

	hcv_t_fields(test, &hcv_t_kinds[0], f, ARRAY_SIZE(f));

	hcv_t_super_make(buf);
	/* Something behind the label's end, and a label without one. */
	buf[offsetof(struct hcv_dsk_super, label) + 63] = 'x';
	hcv_t_reseal(buf, 4096, 8);
	KUNIT_EXPECT_EQ(test, hcv_fmt_super_decode(buf, 1, HCV_T_DEV, sb),
			-EUCLEAN);
	memset(buf + offsetof(struct hcv_dsk_super, label), 'x', 64);
	hcv_t_reseal(buf, 4096, 8);
	KUNIT_EXPECT_EQ(test, hcv_fmt_super_decode(buf, 1, HCV_T_DEV, sb),
			-EUCLEAN);
	/* A newer minor version may use the padding. */
	hcv_t_super_make(buf);
	buf[offsetof(struct hcv_dsk_super, minor)]++;
	buf[4000] = 1;
	hcv_t_reseal(buf, 4096, 8);
	KUNIT_EXPECT_EQ(test, hcv_fmt_super_decode(buf, 1, HCV_T_DEV, sb), 0);
}

static void hcv_format_table_fields(struct kunit *test)
{
	static const struct hcv_t_field f[] = {
		HCV_T_F(table, store, 0, -EXDEV),
		HCV_T_F(table, page, 3, -EXDEV),
		HCV_T_F(table, place, 0, -EXDEV),
		HCV_T_F(table, place, 2, -EXDEV),
		HCV_T_F(table, seq, 0, -EUCLEAN),
		HCV_T_F(table, seq, ~0ULL, 0),
		HCV_T_F(table, pad, 1, -EUCLEAN),
		{ "volume", 64, 16, 0, -EUCLEAN },
		{ "index", 80, 4, 0xffffffff, 0 },
		{ "state", 84, 1, 2, -EUCLEAN },
		{ "state", 84, 1, 0, -EUCLEAN },
		{ "pad0", 87, 1, 1, -EUCLEAN },
		{ "seq", 88, 8, 0, -EUCLEAN },
		{ "pad", 127, 1, 1, -EUCLEAN },
		{ "free: volume", 128, 1, 1, -EUCLEAN },
		{ "free: index", 144, 1, 1, -EUCLEAN },
		{ "free: seq", 152, 8, 1, -EUCLEAN },
		{ "free: pad", 191, 1, 1, -EUCLEAN },
	};
	struct hcv_entry ent;
	u8 *buf = hcv_t_buf(test, 4096);
	u32 i;

	hcv_t_fields(test, &hcv_t_kinds[1], f, ARRAY_SIZE(f));

	hcv_t_table_make(buf);
	for (i = 0; i < HCV_TABLE_ENTRIES; i++) {
		KUNIT_EXPECT_EQ(test, hcv_fmt_table_get(buf, i, &ent), 0);
		KUNIT_EXPECT_EQ(test, ent.state, !(i % 2));
		KUNIT_EXPECT_EQ(test, ent.index, i % 2 ? 0 : i);
	}
	KUNIT_EXPECT_EQ(test, hcv_fmt_table_get(buf, i, &ent), -EINVAL);
	/* Freed again. */
	ent.state = HCV_ENTRY_FREE;
	hcv_fmt_table_set(buf, 0, &ent);
	KUNIT_EXPECT_EQ(test, hcv_fmt_table_get(buf, 0, &ent), 0);
	KUNIT_EXPECT_EQ(test, ent.state, HCV_ENTRY_FREE);
}

static void hcv_format_page_fields(struct kunit *test)
{
	static const struct hcv_t_field f[] = {
		HCV_T_F(page, volume, 0, -EXDEV),
		HCV_T_F(page, lineage, 0, -EXDEV),
		HCV_T_F(page, lineage, 1, -EXDEV),
		HCV_T_F(page, extent, 78, -EXDEV),
		HCV_T_F(page, page, 7, -EXDEV),
		HCV_T_F(page, place, 0, -EXDEV),
		HCV_T_F(page, pad0, 1, -EUCLEAN),
		HCV_T_F(page, epoch, 0, 0),
		HCV_T_F(page, seq, 0, -EUCLEAN),
		HCV_T_F(page, marks, 1, -EUCLEAN),
		HCV_T_F(page, pad, 1, -EUCLEAN),
		{ "gen", 128 + 4, 4, 0, -EUCLEAN },
		{ "seq", 128 + 8, 8, 0, -EUCLEAN },
		{ "stamp", 128 + 16, 8, 0, 0 },
		{ "state", 128 + 24, 1, 2, -EUCLEAN },
		{ "state", 128 + 24, 1, 0, -EUCLEAN },
		{ "pad0", 128 + 31, 1, 1, -EUCLEAN },
		{ "pad", 128 + 63, 1, 1, -EUCLEAN },
	};
	struct hcv_page_id *id = hcv_t_buf(test, sizeof(*id));
	struct hcv_rec want, rec;
	u8 *buf = hcv_t_buf(test, 4096);
	u64 epoch, seq;
	u32 i;

	hcv_t_fields(test, &hcv_t_kinds[2], f, ARRAY_SIZE(f));

	hcv_t_page_make(buf);
	/* Any lineage, and the page's own comes back. */
	hcv_t_page_id(id);
	id->lineage = 0;
	KUNIT_EXPECT_EQ(test, hcv_fmt_page_check(buf, id, &epoch, &seq), 0);
	KUNIT_EXPECT_EQ(test, id->lineage, 0xabcdefULL);
	KUNIT_EXPECT_EQ(test, epoch, 4ULL);
	KUNIT_EXPECT_EQ(test, seq, 99ULL);
	for (i = 0; i < HCV_PAGE_RECORDS; i++) {
		hcv_t_rec(&want, i);
		if (i % 5 == 4)
			memset(&want, 0, sizeof(want));
		KUNIT_EXPECT_EQ(test, hcv_fmt_page_get(buf, 8, i, &rec), 0);
		KUNIT_EXPECT_EQ(test, memcmp(&want, &rec, sizeof(rec)), 0);
	}
	KUNIT_EXPECT_EQ(test, hcv_fmt_page_get(buf, 8, i, &rec), -EINVAL);
	KUNIT_EXPECT_EQ(test, hcv_fmt_page_get(buf, 9, 0, &rec), -EINVAL);
	/* Lineage 0 on a medium would match everything. */
	memset(buf + offsetof(struct hcv_dsk_page, lineage), 0, 8);
	hcv_t_reseal(buf, 4096, 4);
	id->lineage = 0;
	KUNIT_EXPECT_EQ(test, hcv_fmt_page_check(buf, id, &epoch, &seq),
			-EUCLEAN);
}

/* Records 256..278 hold zero only: 8 * 31 + 8 is the first of them. */
static void hcv_format_zero_only(struct kunit *test)
{
	struct hcv_rec rec;
	u8 *buf = hcv_t_buf(test, 4096);
	u32 page, slot;
	int want;

	for (page = 0; page < HCV_EXTENT_PAGES; page++)
		for (slot = 0; slot < HCV_PAGE_RECORDS; slot++) {
			hcv_t_rec(&rec, 0);
			rec.lo[2] = 1;
			hcv_fmt_page_put(buf, slot, &rec);
			want = page * 31 + slot >= 256 ? -EUCLEAN : 0;
			KUNIT_EXPECT_EQ_MSG(test,
					    hcv_fmt_page_get(buf, page, slot,
							     &rec), want,
					    "page %u slot %u", page, slot);
			memset(rec.lo, 0, sizeof(rec.lo));
			hcv_fmt_page_put(buf, slot, &rec);
			KUNIT_EXPECT_EQ(test, hcv_fmt_page_get(buf, page, slot,
							       &rec), 0);
		}
}

static void hcv_format_newer(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, hcv_fmt_page_newer(2, 1, 1, 9));
	KUNIT_EXPECT_FALSE(test, hcv_fmt_page_newer(1, 9, 2, 1));
	KUNIT_EXPECT_TRUE(test, hcv_fmt_page_newer(2, 2, 2, 1));
	KUNIT_EXPECT_FALSE(test, hcv_fmt_page_newer(2, 2, 2, 2));
	KUNIT_EXPECT_TRUE(test, hcv_fmt_page_newer(~0ULL, 0, 0, ~0ULL));
}

static void hcv_format_volpage_fields(struct kunit *test)
{
	static const struct hcv_t_field f[] = {
		HCV_T_F(volpage, bytes, 0, -EBADMSG),
		HCV_T_F(volpage, bytes, 4095, -EBADMSG),
		HCV_T_F(volpage, bytes, 8192, -EBADMSG),
		HCV_T_F(volpage, bytes, 0xfffff000, -EBADMSG),
		HCV_T_F(volpage, place, 0, -EXDEV),
		HCV_T_F(volpage, place, 2, -EXDEV),
		HCV_T_F(volpage, volume, 0, -EUCLEAN),
		HCV_T_F(volpage, lineage, 0, -EUCLEAN),
		HCV_T_F(volpage, epoch, 0, 0),
		HCV_T_F(volpage, v, 0, 0),
		HCV_T_F(volpage, seq, 0, -EUCLEAN),
		HCV_T_F(volpage, size_bytes, 0, -EUCLEAN),
		HCV_T_F(volpage, size_bytes, 4097, -EUCLEAN),
		HCV_T_F(volpage, size_bytes, 1ULL << 52, 0),
		HCV_T_F(volpage, size_bytes, (1ULL << 52) + 4096, -EUCLEAN),
		HCV_T_F(volpage, stripe, 0, -EUCLEAN),
		HCV_T_F(volpage, stripe, 3, -EUCLEAN),
		HCV_T_F(volpage, stripe, 4, 0),
		HCV_T_F(volpage, stripe, 8, -EUCLEAN),
		HCV_T_F(volpage, replicas, 0, -EUCLEAN),
		HCV_T_F(volpage, replicas, 4, -EUCLEAN),
		HCV_T_F(volpage, cur_gen, 0, -EUCLEAN),
		HCV_T_F(volpage, cur_gen, 2, -EUCLEAN),
		HCV_T_F(volpage, cur_gen, 4, -EUCLEAN),	/* sealed */
		HCV_T_F(volpage, nr_gens, 0, -EUCLEAN),
		HCV_T_F(volpage, nr_gens, 2, -EUCLEAN),
		HCV_T_F(volpage, nr_gens, 4, -EUCLEAN),
		HCV_T_F(volpage, nr_gens, 0xffffffff, -EUCLEAN),
		HCV_T_F(volpage, nr_gens, HCV_GENS_MAX, -EUCLEAN),
		HCV_T_F(volpage, pad, 1, -EUCLEAN),
	};

	hcv_t_fields(test, &hcv_t_kinds[3], f, ARRAY_SIZE(f));
}

static void hcv_format_generations(struct kunit *test)
{
	static const struct {
		u32 nr;
		struct hcv_gen gen[3];
		u32 cur;
		int want;
	} row[] = {
		{ 1, { { 1, 0, 0, 0 } }, 1, 0 },
		{ 1, { { 9, 0, 0, 0 } }, 9, 0 },
		{ 1, { { 0, 0, 0, 0 } }, 0, -EUCLEAN },
		{ 1, { { 1, 1, 0, 0 } }, 1, -EUCLEAN },	/* own parent */
		{ 1, { { 2, 1, 0, 0 } }, 2, -EUCLEAN },	/* no such parent */
		{ 2, { { 1, 0, 1, 0 }, { 1, 0, 0, 0 } }, 1, -EUCLEAN },
		{ 2, { { 2, 0, 1, 0 }, { 1, 0, 0, 0 } }, 1, -EUCLEAN },
		{ 2, { { 1, 2, 1, 0 }, { 2, 0, 0, 0 } }, 2, -EUCLEAN },
		{ 3, { { 1, 0, 1, 0 }, { 2, 1, 1, 0 }, { 3, 1, 0, 0 } }, 3, 0 },
		{ 2, { { 1, 0, 4, 0 }, { 2, 1, 0, 0 } }, 2, -EUCLEAN },
		{ 2, { { 1, 0, 1, 0 }, { 2, 1, 2, 0 } }, 2, -EUCLEAN },
	};
	struct hcv_volpage *vp = hcv_t_buf(test, sizeof(*vp));
	u8 *buf = hcv_t_buf(test, HCV_VOLPAGE_SIZE);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(row); i++) {
		hcv_t_volpage(vp);
		vp->nr_gens = row[i].nr;
		vp->cur_gen = row[i].cur;
		hcv_fmt_volpage_encode(vp, row[i].gen, 0, buf);
		KUNIT_EXPECT_EQ_MSG(test,
				    hcv_fmt_volpage_decode(buf, 4096, 0, vp),
				    row[i].want, "row %u", i);
	}
}

/* Every number of generations at which the length changes, up to the most. */
static void hcv_format_volpage_sizes(struct kunit *test)
{
	struct hcv_gen *gens = hcv_t_buf(test, HCV_GENS_MAX * sizeof(*gens));
	struct hcv_volpage *vp = hcv_t_buf(test, sizeof(*vp));
	u8 *buf = hcv_t_buf(test, HCV_VOLPAGE_SIZE);
	u32 i, nr, bytes, last = 0;
	struct hcv_gen gen;

	for (i = 0; i < HCV_GENS_MAX; i++) {
		gens[i].id = i + 1;
		gens[i].parent = i;
		gens[i].flags = HCV_GEN_SEALED;
	}
	for (nr = 1; nr <= HCV_GENS_MAX; nr++) {
		bytes = (256 + nr * 24 + 4095) / 4096 * 4096;
		if (bytes == last && nr != HCV_GENS_MAX)
			continue;
		last = bytes;
		hcv_t_volpage(vp);
		vp->nr_gens = nr;
		vp->cur_gen = nr;
		gens[nr - 1].flags = 0;
		memset(buf, 0xee, HCV_VOLPAGE_SIZE);
		KUNIT_ASSERT_EQ(test, hcv_fmt_volpage_encode(vp, gens, 0, buf),
				bytes);
		gens[nr - 1].flags = HCV_GEN_SEALED;
		KUNIT_EXPECT_EQ(test, hcv_fmt_volpage_decode(buf, bytes, 0, vp),
				0);
		/* What is behind the length is not ours. */
		KUNIT_EXPECT_EQ(test, hcv_fmt_volpage_decode(buf,
							     HCV_VOLPAGE_SIZE,
							     0, vp), 0);
		if (bytes > 4096)
			KUNIT_EXPECT_EQ(test,
					hcv_fmt_volpage_decode(buf,
							       bytes - 4096, 0,
							       vp), -EBADMSG);
		KUNIT_EXPECT_EQ(test, hcv_fmt_volpage_gen(buf, nr - 1, &gen), 0);
		KUNIT_EXPECT_EQ(test, gen.id, nr);
		KUNIT_EXPECT_EQ(test, hcv_fmt_volpage_gen(buf, nr, &gen),
				-EINVAL);
	}
	KUNIT_EXPECT_EQ(test, last, HCV_VOLPAGE_SIZE);
	KUNIT_EXPECT_EQ(test, hcv_fmt_volpage_decode(buf, 4095, 0, vp),
			-EINVAL);
}

static void hcv_format_control_fields(struct kunit *test)
{
	static const struct hcv_t_field f[] = {
		HCV_T_F(control, version, 0, -EPROTONOSUPPORT),
		HCV_T_F(control, version, 2, -EPROTONOSUPPORT),
		HCV_T_F(control, flags, 1, 0),
		HCV_T_F(control, flags, 2, -EUCLEAN),	/* MORE, and room */
		HCV_T_F(control, flags, 4, -EUCLEAN),
		HCV_T_F(control, window, 1, 0),
		HCV_T_F(control, window, 65535, 0),
		HCV_T_F(control, window, 65536, -EUCLEAN),
		HCV_T_F(control, count, 1, -EUCLEAN),
		HCV_T_F(control, count, 161, -EUCLEAN),
		HCV_T_F(control, count, 0xffffffff, -EUCLEAN),
		HCV_T_F(control, count, 160, 0),
		HCV_T_F(control, pad, 1, -EUCLEAN),
	};

	hcv_t_fields(test, &hcv_t_kinds[4], f, ARRAY_SIZE(f));
}

static void hcv_format_done(struct kunit *test)
{
	static const struct hcv_t_field f[] = {
		HCV_T_F(done, version, 0, -EPROTONOSUPPORT),
		HCV_T_F(done, version, 2, -EPROTONOSUPPORT),
		HCV_T_F(done, pad0, 1, -EUCLEAN),
		HCV_T_F(done, epoch, 0, -EUCLEAN),
		HCV_T_F(done, epoch, 1, 0),
		HCV_T_F(done, incarnation, 0, 0),
		HCV_T_F(done, pad, 1, -EUCLEAN),
	};
	union hcv_t_out *out = hcv_t_buf(test, sizeof(*out));
	u8 *buf = hcv_t_buf(test, 4096);

	hcv_t_fields(test, &hcv_t_kinds[5], f, ARRAY_SIZE(f));
	hcv_t_done_make(buf);
	KUNIT_EXPECT_EQ(test, hcv_t_done_read(buf, out), 0);
	KUNIT_EXPECT_EQ(test, out->done.epoch, 12ULL);
	KUNIT_EXPECT_EQ(test, out->done.incarnation, 0x77ULL);
	KUNIT_EXPECT_EQ(test, memcmp(out->done.store, hcv_t_store, 16), 0);
	KUNIT_EXPECT_EQ(test, memcmp(out->done.volume, hcv_t_vol, 16), 0);
}

static void hcv_format_control_list(struct kunit *test)
{
	struct hcv_control *ctl = hcv_t_buf(test, sizeof(*ctl));
	u8 *buf = hcv_t_buf(test, 4096);
	u8 vol[16] = "vol";
	u32 i;

	hcv_fmt_control_begin(buf);
	for (i = 0; i < HCV_CONTROL_REVOKED; i++) {
		vol[15] = i;
		KUNIT_EXPECT_TRUE(test, hcv_fmt_control_add(buf, vol, i));
	}
	KUNIT_EXPECT_FALSE(test, hcv_fmt_control_add(buf, vol, 1));
	ctl->incarnation = 5;
	hcv_fmt_control_seal(buf, ctl);
	KUNIT_EXPECT_EQ(test, hcv_fmt_control_decode(buf, ctl), 0);
	KUNIT_EXPECT_EQ(test, ctl->count, HCV_CONTROL_REVOKED);
	for (i = 0; i < HCV_CONTROL_REVOKED; i++) {
		vol[15] = i;
		KUNIT_EXPECT_TRUE(test, hcv_fmt_control_revoked(buf, vol, 0));
		KUNIT_EXPECT_TRUE(test, hcv_fmt_control_revoked(buf, vol, i));
		KUNIT_EXPECT_FALSE(test,
				   hcv_fmt_control_revoked(buf, vol, i + 1));
	}
	vol[15] = 200;
	KUNIT_EXPECT_FALSE(test, hcv_fmt_control_revoked(buf, vol, 0));
	ctl->flags = HCV_CONTROL_MORE;
	ctl->window = 7;
	hcv_fmt_control_seal(buf, ctl);
	KUNIT_EXPECT_EQ(test, hcv_fmt_control_decode(buf, ctl), 0);
	KUNIT_EXPECT_EQ(test, ctl->flags, HCV_CONTROL_MORE);
	KUNIT_EXPECT_EQ(test, ctl->window, 7U);
	ctl->flags = HCV_CONTROL_ALL;
	hcv_fmt_control_seal(buf, ctl);
	KUNIT_EXPECT_EQ(test, hcv_fmt_control_decode(buf, ctl), 0);
	KUNIT_EXPECT_TRUE(test, hcv_fmt_control_revoked(buf, vol, ~0ULL));
}

/* Regions follow one another, fit, waste less than one extent and rounding. */
static void hcv_t_layout_one(struct kunit *test, u64 dev)
{
	struct hcv_layout lay;
	u64 table_end, end, most;
	u32 vols;

	KUNIT_ASSERT_EQ_MSG(test, hcv_fmt_layout(dev, &lay), 0, "at %llu", dev);
	table_end = HCV_TABLE_OFF + 2ULL * lay.table_pages * 4096;
	end = lay.data_off + ((u64)lay.nr_extents << HCV_EXTENT_SHIFT);
	KUNIT_EXPECT_EQ(test, lay.dev_bytes, dev - dev % 4096);
	KUNIT_EXPECT_LE(test, (u64)HCV_SB_OFF1 + 4096, (u64)HCV_TABLE_OFF);
	KUNIT_EXPECT_LE(test, table_end, lay.vol_off);
	KUNIT_EXPECT_LE(test, lay.vol_off + (u64)lay.nr_vols * HCV_VOLAREA_SIZE,
			lay.meta_off);
	KUNIT_EXPECT_LE(test, lay.meta_off +
			(u64)lay.nr_extents * HCV_EXTENT_META_SIZE,
			lay.data_off);
	KUNIT_EXPECT_LE_MSG(test, end, lay.dev_bytes, "at %llu", dev);
	KUNIT_EXPECT_EQ(test, (lay.vol_off | lay.meta_off | lay.data_off) &
			((1ULL << 20) - 1), 0ULL);
	vols = lay.nr_extents / 4;
	KUNIT_EXPECT_EQ(test, lay.nr_vols, vols < 16 ? 16 :
			vols > 4096 ? 4096 : vols);
	KUNIT_EXPECT_GE(test, lay.table_pages * HCV_TABLE_ENTRIES,
			lay.nr_extents + lay.nr_vols);
	/* One extent more would need at least this much. */
	most = end + HCV_EXTENT_SIZE + HCV_EXTENT_META_SIZE + (4ULL << 20);
	KUNIT_EXPECT_GT_MSG(test, most, dev, "at %llu", dev);
}

static void hcv_format_layout(struct kunit *test)
{
	struct hcv_layout lay, prev = { 0 };
	u64 dev, step, odd;

	KUNIT_EXPECT_EQ(test, hcv_fmt_layout(0, &lay), -ENOSPC);
	KUNIT_EXPECT_EQ(test, hcv_fmt_layout((1ULL << 30) - 1, &lay), -ENOSPC);
	KUNIT_EXPECT_EQ(test, hcv_fmt_layout(1ULL << 30, &lay), 0);
	KUNIT_EXPECT_EQ(test, lay.nr_extents, 3U);
	KUNIT_EXPECT_EQ(test, lay.vol_off, 2ULL << 20);
	KUNIT_EXPECT_EQ(test, lay.meta_off, 6ULL << 20);
	KUNIT_EXPECT_EQ(test, lay.data_off, 7ULL << 20);
	for (dev = 1ULL << 30; dev <= 1ULL << 50; dev += step) {
		step = dev / 97 + 12345;
		hcv_t_layout_one(test, dev);
		KUNIT_ASSERT_EQ(test, hcv_fmt_layout(dev, &lay), 0);
		KUNIT_EXPECT_GE(test, lay.nr_extents, prev.nr_extents);
		KUNIT_EXPECT_GE(test, lay.data_off, prev.data_off);
		prev = lay;
		/* At the very byte where the number of extents changes. */
		odd = lay.data_off + ((u64)lay.nr_extents << HCV_EXTENT_SHIFT);
		if (odd - 1 < HCV_STORE_MIN_SIZE)
			continue;
		KUNIT_ASSERT_EQ(test, hcv_fmt_layout(odd, &lay), 0);
		KUNIT_EXPECT_EQ(test, lay.nr_extents, prev.nr_extents);
		KUNIT_ASSERT_EQ(test, hcv_fmt_layout(odd - 1, &lay), 0);
		KUNIT_EXPECT_LT(test, lay.nr_extents, prev.nr_extents);
	}
	hcv_t_layout_one(test, 1ULL << 50);
	hcv_t_layout_one(test, 1ULL << 58);
	KUNIT_EXPECT_EQ(test, hcv_fmt_layout(1ULL << 60, &lay), -EFBIG);
	KUNIT_EXPECT_EQ(test, hcv_fmt_layout(~0ULL, &lay), -EFBIG);
}

static struct kunit_case hcv_format_cases[] = {
	KUNIT_CASE(hcv_format_constants),
	KUNIT_CASE_PARAM(hcv_format_flip, hcv_t_kinds_gen_params),
	KUNIT_CASE_PARAM(hcv_format_resealed, hcv_t_kinds_gen_params),
	KUNIT_CASE_PARAM(hcv_format_torn, hcv_t_kinds_gen_params),
	KUNIT_CASE_PARAM(hcv_format_blank, hcv_t_kinds_gen_params),
	KUNIT_CASE(hcv_format_super_round_trip),
	KUNIT_CASE(hcv_format_super_fields),
	KUNIT_CASE(hcv_format_table_fields),
	KUNIT_CASE(hcv_format_page_fields),
	KUNIT_CASE(hcv_format_zero_only),
	KUNIT_CASE(hcv_format_newer),
	KUNIT_CASE(hcv_format_volpage_fields),
	KUNIT_CASE(hcv_format_generations),
	KUNIT_CASE(hcv_format_volpage_sizes),
	KUNIT_CASE(hcv_format_control_fields),
	KUNIT_CASE(hcv_format_control_list),
	KUNIT_CASE(hcv_format_done),
	KUNIT_CASE(hcv_format_layout),
	{ }
};

static struct kunit_suite hcv_format_suite = {
	.name = "hcv_format",
	.test_cases = hcv_format_cases,
};

kunit_test_suite(hcv_format_suite);
