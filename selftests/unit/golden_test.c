// SPDX-License-Identifier: GPL-2.0-only
/*
 * Golden images: what an encoder writes today is what it wrote when the format
 * version was released, byte by byte, and it still means the same.
 *
 * The images are selftests/unit/data/NAME-MAJOR.MINOR.bin, the text beside
 * them is what tools/lib/hcv_dump.c prints.  An image is never changed: a new
 * version of the format adds images ("make golden" writes the missing ones).
 */
#include <errno.h>
#include <kunit/test.h>
#include <stdlib.h>

#include "hcv_dump.h"

#define HCV_GOLDEN_DIR	"selftests/unit/data"

struct hcv_golden {
	const char *name;
	u32 len;
	u32 (*make)(u8 *buf);
	int (*dump)(FILE *out, const u8 *buf, u32 len);
};

static const u8 hcv_g_store[16] = { 0x51, 0x0e, 1, 2, 3, 4, 0x40, 5, 0x80, 6 };
static const u8 hcv_g_vol[16] = { 0x0b, 0x5e, 1, 2, 3, 4, 0x40, 5, 0x80, 7 };
static const u8 hcv_g_node[16] = { 0x4e, 0x0d, 1, 2, 3, 4, 0x40, 5, 0x80, 8 };

static u32 hcv_g_super_make(u8 *buf)
{
	struct hcv_super sb = {
		.seq = 42, .lba_bytes = 4096,
		.flags = HCV_SB_CLEAN | HCV_SB_NO_LEASE,
		.handle_next = 7 * HCV_HANDLE_CHUNK,
		.incarnation = 0x0123456789abcdefULL,
		.format_time = 1750000000, .label = "bay 7, \"left\"",
	};

	memcpy(sb.store, hcv_g_store, 16);
	memcpy(sb.node, hcv_g_node, 16);
	memset(sb.cluster, 0xc1, 16);
	hcv_fmt_layout(1000204886016ULL, &sb.lay);
	hcv_fmt_super_encode(&sb, 1, buf);
	return HCV_BLOCK_SIZE;
}

static int hcv_g_super_dump(FILE *out, const u8 *buf, u32 len)
{
	struct hcv_super sb;
	int ret = hcv_fmt_super_decode(buf, 1, 1000204886016ULL, &sb);

	if (!ret)
		hcv_dump_super(out, &sb);
	return ret;
}

static u32 hcv_g_table_make(u8 *buf)
{
	struct hcv_entry ent = { .state = HCV_ENTRY_USED };
	u32 i;

	memcpy(ent.volume, hcv_g_vol, 16);
	hcv_fmt_table_init(buf, hcv_g_store, 3);
	for (i = 0; i < HCV_TABLE_ENTRIES; i += 3) {
		ent.index = 1000 + i;
		ent.seq = 5000 + i;
		hcv_fmt_table_set(buf, i, &ent);
	}
	hcv_fmt_table_seal(buf, 1, 77);
	return HCV_BLOCK_SIZE;
}

static int hcv_g_table_dump(FILE *out, const u8 *buf, u32 len)
{
	u64 seq;
	int ret = hcv_fmt_table_check(buf, hcv_g_store, 3, 1, &seq);

	if (!ret)
		hcv_dump_table(out, buf);
	return ret;
}

static void hcv_g_page_id(struct hcv_page_id *id)
{
	memset(id, 0, sizeof(*id));
	memcpy(id->volume, hcv_g_vol, 16);
	id->lineage = 0xfeedfacecafebeefULL;
	id->extent = 12;
	id->page = 8;
}

static u32 hcv_g_page_make(u8 *buf)
{
	struct hcv_page_id id;
	struct hcv_rec rec;
	u32 i;

	hcv_g_page_id(&id);
	memset(buf, 0, HCV_BLOCK_SIZE);
	hcv_fmt_page_begin(buf, &id, 6, 1234);
	for (i = 0; i < HCV_PAGE_RECORDS; i++) {
		memset(&rec, 0, sizeof(rec));
		rec.state = i % 4 != 3;
		rec.mib = 3000 + i;
		rec.gen = 1 + i % 2;
		rec.seq = 900 + i;
		rec.stamp = i;
		rec.hi[i % 4] = 0xff00ff0000ULL + i;
		if (i < 8)	/* record 255 is the last one with data */
			rec.lo[3 - i % 4] = ~0ULL >> i;
		if (i == 1)	/* three blocks that are elsewhere */
			rec.hi[2] |= 7;
		hcv_fmt_page_put(buf, i, &rec);
	}
	hcv_fmt_page_seal(buf);
	return HCV_BLOCK_SIZE;
}

static int hcv_g_page_dump(FILE *out, const u8 *buf, u32 len)
{
	struct hcv_page_id id;
	u64 epoch, seq;
	int ret;

	hcv_g_page_id(&id);
	ret = hcv_fmt_page_check(buf, &id, &epoch, &seq);
	if (!ret)
		hcv_dump_page(out, buf, &id, epoch, seq);
	return ret;
}

static u32 hcv_g_volpage_make(u8 *buf)
{
	static struct hcv_gen gen[200];
	struct hcv_volpage vp = {
		.lineage = 0xfeedfacecafebeefULL, .epoch = 6, .v = 31,
		.seq = 17, .size_bytes = 40ULL << 30, .stripe = 4,
		.replicas = 2, .cur_gen = 400, .nr_gens = 200,
		.name = "vm-17.disk0",
	};
	u32 i;

	memcpy(vp.volume, hcv_g_vol, 16);
	for (i = 0; i < 200; i++) {
		gen[i].id = 2 * i + 2;
		gen[i].parent = i < 3 ? 0 : 2 * i - 2 * (i % 3);
		gen[i].flags = i == 199 ? 0 : 1 + 2 * (i % 7 == 0);
		gen[i].created = 1740000000 + i;
	}
	return hcv_fmt_volpage_encode(&vp, gen, 0, buf);
}

static int hcv_g_volpage_dump(FILE *out, const u8 *buf, u32 len)
{
	struct hcv_volpage vp;
	int ret = hcv_fmt_volpage_decode(buf, len, 0, &vp);

	if (!ret)
		hcv_dump_volpage(out, buf, &vp);
	return ret;
}

static void hcv_g_log_id(struct hcv_log_id *id)
{
	memset(id, 0, sizeof(*id));
	memcpy(id->volume, hcv_g_vol, 16);
	id->lineage = 0xfeedfacecafebeefULL;
	id->page = 5;
	id->place = 1;
}

static u32 hcv_g_log_make(u8 *buf)
{
	struct hcv_log_id id;
	u32 i;

	hcv_g_log_id(&id);
	hcv_fmt_log_begin(buf, &id, 6, 321);
	for (i = 0; i < 20; i++)
		hcv_fmt_log_put(buf, i, 4000000000U + 1000 * i);
	hcv_fmt_log_seal(buf, i);
	return HCV_BLOCK_SIZE;
}

static int hcv_g_log_dump(FILE *out, const u8 *buf, u32 len)
{
	struct hcv_log_id id;
	u64 epoch, seq;
	u32 count;
	int ret;

	hcv_g_log_id(&id);
	ret = hcv_fmt_log_check(buf, &id, &epoch, &seq, &count);
	if (!ret)
		hcv_dump_log(out, buf, &id, epoch, seq, count);
	return ret;
}

static u32 hcv_g_control_make(u8 *buf)
{
	struct hcv_control ctl = {
		.incarnation = 0x0123456789abcdefULL, .revoke_seq = 9,
	};
	u8 vol[16];
	u32 i;

	memcpy(ctl.store, hcv_g_store, 16);
	memcpy(vol, hcv_g_vol, 16);
	hcv_fmt_control_begin(buf);
	for (i = 0; i < 5; i++) {
		vol[15] = i;
		hcv_fmt_control_add(buf, vol, 100 + i);
	}
	hcv_fmt_control_seal(buf, &ctl);
	return HCV_BLOCK_SIZE;
}

static int hcv_g_control_dump(FILE *out, const u8 *buf, u32 len)
{
	struct hcv_control ctl;
	int ret = hcv_fmt_control_decode(buf, &ctl);

	if (!ret)
		hcv_dump_control(out, buf, &ctl);
	return ret;
}

/* The second of two windows. */
static u32 hcv_g_more_make(u8 *buf)
{
	struct hcv_control ctl = {
		.incarnation = 0x0123456789abcdefULL, .revoke_seq = 900,
		.flags = HCV_CONTROL_MORE, .window = 1,
	};
	u8 vol[16];
	u32 i;

	memcpy(ctl.store, hcv_g_store, 16);
	memcpy(vol, hcv_g_vol, 16);
	hcv_fmt_control_begin(buf);
	for (i = 0; i < HCV_CONTROL_REVOKED; i++) {
		vol[15] = i;
		hcv_fmt_control_add(buf, vol, 1 + i);
	}
	hcv_fmt_control_seal(buf, &ctl);
	return HCV_BLOCK_SIZE;
}

static u32 hcv_g_done_make(u8 *buf)
{
	struct hcv_done done = {
		.incarnation = 0x0123456789abcdefULL, .epoch = 41,
	};

	memcpy(done.store, hcv_g_store, 16);
	memcpy(done.volume, hcv_g_vol, 16);
	hcv_fmt_done_encode(&done, buf);
	return HCV_BLOCK_SIZE;
}

static int hcv_g_done_dump(FILE *out, const u8 *buf, u32 len)
{
	struct hcv_done done;
	int ret = hcv_fmt_done_decode(buf, &done);

	if (!ret)
		hcv_dump_done(out, &done);
	return ret;
}

static const struct hcv_golden hcv_goldens[] = {
	{ "super-1.0", 4096, hcv_g_super_make, hcv_g_super_dump },
	{ "table-1.0", 4096, hcv_g_table_make, hcv_g_table_dump },
	{ "page-1.0", 4096, hcv_g_page_make, hcv_g_page_dump },
	{ "volpage-1.0", 8192, hcv_g_volpage_make, hcv_g_volpage_dump },
	{ "log-1.0", 4096, hcv_g_log_make, hcv_g_log_dump },
	{ "control-1.0", 4096, hcv_g_control_make, hcv_g_control_dump },
	{ "control-more-1.0", 4096, hcv_g_more_make, hcv_g_control_dump },
	{ "done-1.0", 4096, hcv_g_done_make, hcv_g_done_dump },
};

static void hcv_g_desc(const struct hcv_golden *golden, char *desc)
{
	strscpy(desc, golden->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(hcv_goldens, hcv_goldens, hcv_g_desc);

/* The file, or a new one if it is missing and new ones are asked for. */
static FILE *hcv_g_open(struct kunit *test, const char *name, const char *kind,
			const void *want, size_t len)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), HCV_GOLDEN_DIR "/%s.%s", name, kind);
	file = fopen(path, "r");
	if (!file && errno == ENOENT && getenv("HCV_GOLDEN_WRITE")) {
		file = fopen(path, "w");
		KUNIT_ASSERT_NOT_NULL(test, file);
		KUNIT_EXPECT_EQ(test, fwrite(want, 1, len, file), len);
		fclose(file);
		kunit_info(test, "wrote %s", path);
		file = fopen(path, "r");
	}
	if (!file)
		KUNIT_FAIL(test, "cannot open %s: %s", path, strerror(errno));
	return file;
}

static void hcv_g_compare(struct kunit *test, const char *name,
			  const char *kind, const void *want, size_t len)
{
	FILE *file = hcv_g_open(test, name, kind, want, len);
	char *have = kunit_kzalloc(test, len + 1, 0);
	size_t n;

	if (!file)
		return;
	n = fread(have, 1, len + 1, file);
	fclose(file);
	KUNIT_EXPECT_EQ(test, n, len);
	KUNIT_EXPECT_EQ_MSG(test, memcmp(have, want, min(n, len)), 0,
			    "%s.%s differs", name, kind);
}

static void hcv_golden_images(struct kunit *test)
{
	const struct hcv_golden *golden = test->param_value;
	u8 *buf = kunit_kzalloc(test, HCV_VOLPAGE_SIZE, 0);
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	KUNIT_ASSERT_EQ(test, golden->make(buf), golden->len);
	hcv_g_compare(test, golden->name, "bin", buf, golden->len);
	out = open_memstream(&text, &len);
	KUNIT_ASSERT_NOT_NULL(test, out);
	KUNIT_EXPECT_EQ(test, golden->dump(out, buf, golden->len), 0);
	fclose(out);
	hcv_g_compare(test, golden->name, "txt", text, len);
	free(text);
}

static struct kunit_case hcv_golden_cases[] = {
	KUNIT_CASE_PARAM(hcv_golden_images, hcv_goldens_gen_params),
	{ }
};

static struct kunit_suite hcv_golden_suite = {
	.name = "hcv_golden",
	.test_cases = hcv_golden_cases,
};

kunit_test_suite(hcv_golden_suite);
