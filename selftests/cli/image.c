// SPDX-License-Identifier: GPL-2.0-only
/*
 * hcv-image: fill formatted stores with a volume made up at random, and say
 * what each of its generations must read back as.
 *
 * Usage: hcv-image SEED clean|messy|pair DIR DEV...
 *
 * Writes DIR/expect.GEN for every generation and prints the volume's UUID.
 * "clean": what replicas look like after an orderly stop.  "messy": what they
 * may look like otherwise: stale copies, blocks that are elsewhere, records
 * with one (mib, generation), torn places.  The newest content is complete
 * on the given stores in both cases.  "pair": an old copy and the temporary replica
 * that stands in for it: complete on the two together.
 */
#include <stdio.h>
#include <stdlib.h>

#include "format.h"
#include "hcv_dev.h"
#include "hcv_dump.h"

#define IMG_MIBS	23
#define IMG_TAIL	(3U * HCV_BLOCK_SIZE)	/* of the last MiB */
#define IMG_SIZE	((IMG_MIBS - 1ULL) * HCV_SLOT_SIZE + IMG_TAIL)
#define IMG_STORES	8
#define IMG_EXTENTS	4
#define IMG_EPOCH	5

static const struct hcv_gen img_gens[] = {
	{ 1, 0, HCV_GEN_SEALED, 100 },
	{ 3, 1, HCV_GEN_SEALED, 200 },
	{ 4, 3, HCV_GEN_SEALED | HCV_GEN_DELETED, 300 },
	{ 5, 1, HCV_GEN_SEALED, 400 },
	{ 6, 5, HCV_GEN_SEALED, 500 },
	{ 7, 4, 0, 600 },
};

struct img_slot {
	struct hcv_rec rec;
	u64 salt;		/* of its data */
};

struct img_extent {
	u32 index;
	u32 on;			/* bit per store */
	u32 stale;
	u32 phys[IMG_STORES];
	struct img_slot slot[HCV_EXTENT_RECORDS];
};

struct img {
	u64 rnd;
	bool messy;
	bool pair;
	u8 vol[HCV_UUID_SIZE];
	u64 lineage;
	u64 next_seq;
	u32 nr;
	struct hcv_dev dev[IMG_STORES];
	struct hcv_super sb[IMG_STORES];
	struct img_extent ext[IMG_EXTENTS];
	u8 *buf;
};

#define IMG_CHECK(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "hcv-image: %s:%d: %s\n", __FILE__,	\
			__LINE__, #cond);				\
		exit(1);						\
	}								\
} while (0)

/* xorshift64*, Vigna 2014. */
static u64 img_rnd(struct img *im)
{
	im->rnd ^= im->rnd >> 12;
	im->rnd ^= im->rnd << 25;
	im->rnd ^= im->rnd >> 27;
	return im->rnd * 0x2545f4914f6cdd1dULL;
}

static u32 img_below(struct img *im, u32 n)
{
	return (img_rnd(im) >> 33) % n;
}

static void img_fill(u8 *buf, u64 salt, u32 block)
{
	struct img im = { .rnd = salt * 257 + block + 1 };
	u64 word;
	u32 i;

	for (i = 0; i < HCV_BLOCK_SIZE; i += 8) {
		word = img_rnd(&im);
		memcpy(buf + i, &word, 8);
	}
}

static void img_state(struct hcv_rec *rec, u32 block, u32 state)
{
	u64 bit = 1ULL << (block % 64);

	rec->lo[block / 64] &= ~bit;
	rec->hi[block / 64] &= ~bit;
	rec->lo[block / 64] |= state & 1 ? bit : 0;
	rec->hi[block / 64] |= state & 2 ? bit : 0;
}

static u32 img_get(const struct hcv_rec *rec, u32 block)
{
	return (rec->lo[block / 64] >> (block % 64) & 1) |
		(rec->hi[block / 64] >> (block % 64) & 1) << 1;
}

static void img_write(struct img *im, u32 s, u64 off, const void *buf, u32 len)
{
	IMG_CHECK(!hcv_dev_write(&im->dev[s], off, buf, len));
}

/* What a store does to an object before it gives it out. */
static void img_zero(struct img *im, u32 s, u64 off, u32 len)
{
	u8 *zero = hcv_dev_alloc(HCV_BLOCK_SIZE);

	IMG_CHECK(zero);
	for (; len; len -= HCV_BLOCK_SIZE, off += HCV_BLOCK_SIZE)
		img_write(im, s, off, zero, HCV_BLOCK_SIZE);
	free(zero);
}

/* A slot for (mib, gen); zero-only ones now and then. */
static void img_slot_make(struct img *im, u32 mib, u32 gen, u64 seq)
{
	bool zero = !img_below(im, 8);
	struct img_extent *ext;
	struct img_slot *slot;
	u32 nr, block, run, state;

	do {
		ext = &im->ext[img_below(im, IMG_EXTENTS)];
		nr = zero ? 256 + img_below(im, 23) : img_below(im, 256);
		slot = &ext->slot[nr];
	} while (slot->rec.state != HCV_REC_FREE);
	slot->salt = img_rnd(im);
	slot->rec.mib = mib;
	slot->rec.gen = gen;
	slot->rec.seq = seq;
	slot->rec.stamp = img_below(im, 9);
	slot->rec.state = HCV_REC_USED;
	for (block = 0; block < HCV_SLOT_BLOCKS;) {
		state = zero ? 2 * img_below(im, 2) : img_below(im, 3);
		run = 1 + img_below(im, img_below(im, 4) ? 20 : 256);
		for (; run-- && block < HCV_SLOT_BLOCKS; block++)
			img_state(&slot->rec, block, state);
	}
}

static void img_volume_make(struct img *im)
{
	u32 g, mib, e;
	u64 seq;

	for (e = 0; e < IMG_EXTENTS; e++) {
		im->ext[e].index = e < 2 ? e : e + 3;	/* with a gap */
		im->ext[e].on = 1U << img_below(im, im->nr);
		im->ext[e].on |= 1U << img_below(im, im->nr);
		im->ext[e].on |= 1U << img_below(im, im->nr);
		if (im->pair)
			im->ext[e].on = 3;
	}
	for (g = 0; g < ARRAY_SIZE(img_gens); g++)
		for (mib = 0; mib < IMG_MIBS; mib++) {
			if (img_below(im, 2))
				continue;
			seq = im->next_seq;
			im->next_seq += 2;
			img_slot_make(im, mib, img_gens[g].id, seq + 1);
			if (im->messy && !img_below(im, 8))
				img_slot_make(im, mib, img_gens[g].id, seq);
		}
}

/* A store that lacks blocks, but not one that alone has them. */
static void img_elsewhere(struct img *im, struct hcv_rec *rec)
{
	u32 block = img_below(im, 256), n = 1 + img_below(im, 40);

	for (; n-- && block < HCV_SLOT_BLOCKS; block++)
		if (img_get(rec, block) == 1)
			img_state(rec, block, 3);
}

static void img_data_write(struct img *im, u32 s, const struct img_extent *ext,
			   u32 nr, const struct hcv_rec *rec)
{
	u64 off = im->sb[s].lay.data_off +
		((u64)ext->phys[s] << HCV_EXTENT_SHIFT) +
		((u64)nr << HCV_SLOT_SHIFT);
	u32 block;

	for (block = 0; block < HCV_SLOT_BLOCKS; block++) {
		if (img_get(rec, block) == 1)
			img_fill(im->buf, ext->slot[nr].salt, block);
		else if (im->messy && img_get(rec, block) == 3)
			memset(im->buf, 0xbd, HCV_BLOCK_SIZE);
		else
			continue;
		img_write(im, s, off + block * HCV_BLOCK_SIZE, im->buf,
			  HCV_BLOCK_SIZE);
	}
}

/* The other place of anything: never written, older, or torn. */
static void img_other_place(struct img *im, u8 *page)
{
	switch (img_below(im, 3)) {
	case 0:
		memset(page, 0, HCV_BLOCK_SIZE);
		break;
	case 1:
		memset(page + 2048, 0xee, 2048);
		break;
	}
}

static void img_page_write(struct img *im, u32 s, const struct img_extent *ext,
			   u32 page, const struct hcv_rec *recs, u64 epoch,
			   u64 seq)
{
	struct hcv_page_id id = { .lineage = im->lineage, .extent = ext->index,
				  .page = page };
	u64 off = im->sb[s].lay.meta_off +
		(u64)ext->phys[s] * HCV_EXTENT_META_SIZE;
	u32 newest = img_below(im, 2), turn, i;

	memcpy(id.volume, im->vol, HCV_UUID_SIZE);
	for (turn = 0; turn < 2; turn++) {
		id.place = turn ? !newest : newest;
		memset(im->buf, 0, HCV_BLOCK_SIZE);
		hcv_fmt_page_begin(im->buf, &id, epoch, seq - turn);
		/* An older version of the page knows fewer slots. */
		for (i = 0; i < HCV_PAGE_RECORDS - 9 * turn; i++)
			hcv_fmt_page_put(im->buf, i, &recs[i]);
		hcv_fmt_page_seal(im->buf);
		if (turn)
			img_other_place(im, im->buf);
		img_write(im, s, off + hcv_fmt_page_off(page, id.place),
			  im->buf, HCV_BLOCK_SIZE);
	}
}

/* Does the temporary replica hold a block of this slot? */
static bool img_pair_holds(const struct img_slot *slot, u32 nr, u32 block)
{
	u64 salt = slot->salt;

	return nr >= 256 || salt % 4 == 0 ||
		(salt % 4 != 1 && salt >> (block / 3 % 60) & 1);
}

static void img_pair_data(struct img *im, u32 s, const struct img_extent *ext,
			  u32 nr, u32 block, u64 salt)
{
	img_fill(im->buf, salt, block);
	img_write(im, s, im->sb[s].lay.data_off +
		  ((u64)ext->phys[s] << HCV_EXTENT_SHIFT) +
		  ((u64)nr << HCV_SLOT_SHIFT) + block * HCV_BLOCK_SIZE,
		  im->buf, HCV_BLOCK_SIZE);
}

/*
 * A slot as the old copy (@s 0) or the temporary replica has it.  Of blocks that
 * are held the former says anything, of slots that are held anything else.
 */
static void img_pair_slot(struct img *im, u32 s, const struct img_extent *ext,
			  u32 nr, struct hcv_rec *rec)
{
	const struct img_slot *slot = &ext->slot[nr];
	bool all = nr >= 256 || slot->salt % 4 == 0, held;
	u32 block, state;

	if (rec->state == HCV_REC_FREE) {
		/* Freed since; what is there must not come back. */
		if (s || nr % 5)
			return;
		rec->state = HCV_REC_USED;
		rec->mib = nr % IMG_MIBS;
		rec->gen = 7;
		rec->seq = 1ULL << 40 | ext->index << 16 | nr;
		if (nr < 256)
			img_state(rec, nr, 1);
		return;
	}
	if (!s && all)
		rec->seq += 1000000;
	if (!s)
		rec->stamp = 0;
	for (block = 0; block < HCV_SLOT_BLOCKS; block++) {
		state = img_get(&slot->rec, block);
		held = img_pair_holds(slot, nr, block);
		if (held == !!s && state == 1)
			img_pair_data(im, s, ext, nr, block, slot->salt);
		if (s && !held) {
			img_state(rec, block, 3);
		} else if (!s && held && nr < 256) {
			img_state(rec, block, block % 3);
			if (block % 3 == 1)
				img_pair_data(im, s, ext, nr, block,
					      slot->salt ^ 1);
		}
	}
}

static void img_extent_write(struct img *im, u32 s, struct img_extent *ext,
			     u32 lacking)
{
	bool stale = ext->stale >> s & 1;
	struct hcv_rec recs[HCV_EXTENT_RECORDS];
	u32 i, page;

	for (i = 0; i < HCV_EXTENT_RECORDS; i++) {
		recs[i] = ext->slot[i].rec;
		if (im->pair) {
			img_pair_slot(im, s, ext, i, &recs[i]);
			continue;
		}
		if (stale && img_below(im, 2))
			memset(&recs[i], 0, sizeof(recs[i]));
		if (recs[i].state == HCV_REC_FREE)
			continue;
		if (stale)	/* what it holds is not what it should */
			ext->slot[i].salt ^= 1;
		if (!stale && s == lacking && !img_below(im, 2))
			img_elsewhere(im, &recs[i]);
		img_data_write(im, s, ext, i, &recs[i]);
		if (stale)
			ext->slot[i].salt ^= 1;
	}
	for (page = 0; page < HCV_EXTENT_PAGES; page++)
		img_page_write(im, s, ext, page, recs + page * HCV_PAGE_RECORDS,
			       stale || (im->pair && !s) ? IMG_EPOCH - 1 :
							   IMG_EPOCH,
			       stale ? 1000 : 500 + page);
}

/* One copy may be stale, and another one lack blocks, never the last. */
static void img_extents_write(struct img *im)
{
	u32 e, s, first, second;

	for (e = 0; e < IMG_EXTENTS; e++) {
		struct img_extent *ext = &im->ext[e];

		first = __ffs(ext->on);
		second = ext->on & (ext->on - 1) ?
			__ffs(ext->on & (ext->on - 1)) : first;
		if (im->messy && hweight32(ext->on) == 3)
			ext->stale = img_below(im, 2) << __fls(ext->on);
		if (!im->messy || first == second || img_below(im, 3) == 0)
			first = IMG_STORES;
		else if (img_below(im, 2))
			first = second;
		for (s = 0; s < im->nr; s++)
			if (ext->on >> s & 1)
				img_extent_write(im, s, ext, first);
	}
}

static void img_volpage_write(struct img *im, u32 s, u32 area)
{
	struct hcv_volpage vp = {
		.lineage = im->lineage, .epoch = IMG_EPOCH, .v = 9, .seq = 40,
		.size_bytes = IMG_SIZE, .stripe = 1U << img_below(im, 3),
		.replicas = 3, .cur_gen = 7, .nr_gens = ARRAY_SIZE(img_gens),
		.name = "made-up",
	};
	u64 off = im->sb[s].lay.vol_off + (u64)area * HCV_VOLAREA_SIZE;
	u32 newest = img_below(im, 2), len;

	if (im->pair && !s)
		vp.v--;
	memcpy(vp.volume, im->vol, HCV_UUID_SIZE);
	len = hcv_fmt_volpage_encode(&vp, img_gens, newest, im->buf);
	img_write(im, s, off + newest * HCV_VOLPAGE_SIZE, im->buf, len);
	vp.seq--;
	vp.size_bytes -= HCV_BLOCK_SIZE;
	len = hcv_fmt_volpage_encode(&vp, img_gens, !newest, im->buf);
	img_other_place(im, im->buf);
	img_write(im, s, off + !newest * HCV_VOLPAGE_SIZE, im->buf, len);
}

/* The volume's objects anywhere on the store, and a stranger's between. */
static void img_table_write(struct img *im, u32 s)
{
	struct hcv_entry ent = { .state = HCV_ENTRY_USED };
	u32 used = 0, e, nr = im->sb[s].lay.nr_extents, area;
	u8 *page = im->buf;
	u64 seq = 1;

	IMG_CHECK(im->sb[s].lay.table_pages == 1 && nr < 32);
	hcv_fmt_table_init(page, im->sb[s].store, 0);
	memcpy(ent.volume, im->vol, HCV_UUID_SIZE);
	for (e = 0; e < IMG_EXTENTS; e++) {
		if (!(im->ext[e].on >> s & 1))
			continue;
		do {
			im->ext[e].phys[s] = img_below(im, nr);
		} while (used >> im->ext[e].phys[s] & 1);
		used |= 1U << im->ext[e].phys[s];
		ent.index = im->ext[e].index;
		ent.seq = seq++;
		hcv_fmt_table_set(page, im->ext[e].phys[s], &ent);
	}
	area = img_below(im, 15);
	ent.index = 0;
	ent.seq = seq++;
	if (used)
		hcv_fmt_table_set(page, nr + area, &ent);
	memset(ent.volume, 0x77, HCV_UUID_SIZE);
	ent.seq = seq++;
	hcv_fmt_table_set(page, nr + 15, &ent);
	for (e = 0; used >> e & 1; e++)
		;
	if (e < nr) {
		hcv_fmt_table_set(page, e, &ent);
		img_zero(im, s, im->sb[s].lay.meta_off +
			 (u64)e * HCV_EXTENT_META_SIZE, HCV_EXTENT_META_SIZE);
	}
	img_zero(im, s, im->sb[s].lay.vol_off + 15ULL * HCV_VOLAREA_SIZE,
		 2 * HCV_VOLPAGE_SIZE);
	hcv_fmt_table_seal(page, 1, 2);
	img_write(im, s, hcv_fmt_table_off(&im->sb[s].lay, 0, 1), page,
		  HCV_BLOCK_SIZE);
	if (used)
		img_volpage_write(im, s, area);
}

/* The slow and simple reader that the real one is compared with. */
static void img_expect_block(struct img *im, u32 gen, u32 mib, u32 block,
			     u8 *out)
{
	const struct img_slot *best;
	u32 g, e, i, state;

	memset(out, 0, HCV_BLOCK_SIZE);
	for (; gen; gen = img_gens[g].parent) {
		best = NULL;
		for (e = 0; e < IMG_EXTENTS; e++)
			for (i = 0; i < HCV_EXTENT_RECORDS; i++) {
				const struct img_slot *s = &im->ext[e].slot[i];

				if (s->rec.state == HCV_REC_USED &&
				    s->rec.mib == mib && s->rec.gen == gen &&
				    (!best || best->rec.seq < s->rec.seq))
					best = s;
			}
		state = best ? img_get(&best->rec, block) : 0;
		if (state == 1)
			img_fill(out, best->salt, block);
		if (state)
			return;
		for (g = 0; img_gens[g].id != gen; g++)
			;
	}
}

static void img_expect(struct img *im, const char *dir)
{
	char path[4096];
	u64 off;
	FILE *out;
	u32 g;

	for (g = 0; g < ARRAY_SIZE(img_gens); g++) {
		snprintf(path, sizeof(path), "%s/expect.%u", dir,
			 img_gens[g].id);
		out = fopen(path, "w");
		IMG_CHECK(out);
		for (off = 0; off < IMG_SIZE; off += HCV_BLOCK_SIZE) {
			img_expect_block(im, img_gens[g].id,
					 off >> HCV_SLOT_SHIFT,
					 off / HCV_BLOCK_SIZE % HCV_SLOT_BLOCKS,
					 im->buf);
			IMG_CHECK(fwrite(im->buf, HCV_BLOCK_SIZE, 1, out) == 1);
		}
		IMG_CHECK(!fclose(out));
	}
}

int main(int argc, char **argv)
{
	static struct img im;
	char err[512];
	u32 s;

	if (argc < 5 || argc - 4 > IMG_STORES) {
		fprintf(stderr, "usage: hcv-image SEED clean|messy|pair DIR DEV...\n");
		return 2;
	}
	im.rnd = strtoull(argv[1], NULL, 0) * 2654435761U + 1;
	im.messy = !strcmp(argv[2], "messy");
	im.pair = !strcmp(argv[2], "pair");
	im.nr = argc - 4;
	im.buf = hcv_dev_alloc(HCV_VOLPAGE_SIZE);
	IMG_CHECK(im.buf);
	for (s = 0; s < 16; s++)
		im.vol[s] = img_rnd(&im);
	im.lineage = img_rnd(&im) | 1;
	im.next_seq = 1;
	for (s = 0; s < im.nr; s++) {
		IMG_CHECK(!hcv_dev_open(&im.dev[s], argv[4 + s], HCV_DEV_WRITE,
					err, sizeof(err)));
		IMG_CHECK(!hcv_dev_read(&im.dev[s], HCV_SB_OFF0, im.buf,
					HCV_BLOCK_SIZE));
		IMG_CHECK(!hcv_fmt_super_decode(im.buf, 0, im.dev[s].bytes,
						&im.sb[s]));
	}
	img_volume_make(&im);
	for (s = 0; s < im.nr; s++)
		img_table_write(&im, s);
	img_extents_write(&im);
	img_expect(&im, argv[3]);
	for (s = 0; s < im.nr; s++) {
		IMG_CHECK(!hcv_dev_flush(&im.dev[s]));
		hcv_dev_close(&im.dev[s]);
	}
	free(im.buf);
	printf("%s\n", hcv_dump_uuid(im.vol));
	return 0;
}
