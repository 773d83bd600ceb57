// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loader of the extent map: whatever records the pages hold, they are
 * refused, or what comes out is a map whose pages load as the same map.
 */
#include "fuzz_main.h"
#include "map.h"

#define FUZZ_EXTS	3
#define FUZZ_MIBS	1500

const u32 hcv_fuzz_crc_off = 4;

static u8 fuzz_out[2][FUZZ_EXTS * HCV_EXTENT_PAGES][HCV_BLOCK_SIZE]
	__aligned(8);

/* Nothing here has a checksum: who checked the page has checked that. */
u32 hcv_fuzz_len(const u8 *buf, size_t size)
{
	return 0;
}

static void fuzz_init(struct hcv_map *map, struct hcv_ext **ext)
{
	u32 *gens = kcalloc(3, sizeof(*gens), GFP_KERNEL), i;

	HCV_FUZZ_CHECK(gens);
	HCV_FUZZ_CHECK(!hcv_map_init(map, (const u8 *)"volume-abcdefghi", 77, 2,
				     FUZZ_MIBS));
	for (i = 0; i < 3; i++)
		gens[i] = 3 - i;
	kfree(map->gens);
	map->gens = gens;
	map->nr_gens = 3;
	map->cur_gen = 3;
	map->v = 5;
	for (i = 0; i < FUZZ_EXTS; i++) {
		ext[i] = hcv_map_ext_new(map, i, i % 2);
		HCV_FUZZ_CHECK(ext[i]);
		HCV_FUZZ_CHECK(!hcv_map_ext_add(map, ext[i]));
	}
}

/* Most records become ones that a map may have: those lead further. */
static void fuzz_tame(struct hcv_dsk_page *d, u32 page, u32 column)
{
	struct hcv_dsk_rec *r;
	u32 i, k;

	for (i = 0; i < HCV_PAGE_RECORDS; i++) {
		r = &d->rec[i];
		if (r->pad0[0] & 1)
			continue;
		if (!r->state) {
			memset(r, 0, sizeof(*r));
			continue;
		}
		memset(r->pad0, 0, sizeof(r->pad0));
		memset(r->pad, 0, sizeof(r->pad));
		r->state = HCV_REC_USED;
		r->mib = cpu_to_le32((le32_to_cpu(r->mib) % 8 + 510) / 2 * 2 +
				     column);
		r->gen = cpu_to_le32(le32_to_cpu(r->gen) % 3 + 1);
		r->stamp = cpu_to_le64(le64_to_cpu(r->stamp) % 6);
		for (k = 0; k < 4; k++) {
			r->hi[k] &= ~r->lo[k];
			if (page * HCV_PAGE_RECORDS + i >= HCV_EXTENT_SLOTS)
				r->lo[k] = 0;
		}
	}
}

static void fuzz_encode(struct hcv_map *map, struct hcv_ext **ext,
			u8 out[][HCV_BLOCK_SIZE])
{
	u32 e, p;

	for (e = 0; e < FUZZ_EXTS; e++)
		for (p = 0; p < HCV_EXTENT_PAGES; p++)
			hcv_map_encode(map, ext[e], p, 1, 1, 0,
				       out[e * HCV_EXTENT_PAGES + p]);
}

/* What was accepted loads again, as what it was. */
static void fuzz_again(struct hcv_map *first, struct hcv_ext **ext)
{
	struct hcv_ext *ext2[FUZZ_EXTS];
	struct hcv_map map;
	u32 e, p;

	if (first->next_seq == 1)	/* no record was loaded */
		return;
	fuzz_encode(first, ext, fuzz_out[0]);
	fuzz_init(&map, ext2);
	for (e = 0; e < FUZZ_EXTS; e++)
		for (p = 0; p < HCV_EXTENT_PAGES; p++)
			HCV_FUZZ_CHECK(!hcv_map_load_page(&map, ext2[e], p,
				fuzz_out[0][e * HCV_EXTENT_PAGES + p]));
	HCV_FUZZ_CHECK(map.used_slots == first->used_slots);
	HCV_FUZZ_CHECK(map.next_seq <= first->next_seq);
	for (e = 0; e < FUZZ_EXTS; e++)
		HCV_FUZZ_CHECK(ext2[e]->free_data == ext[e]->free_data &&
			       ext2[e]->free_zero == ext[e]->free_zero);
	fuzz_encode(&map, ext2, fuzz_out[1]);
	HCV_FUZZ_CHECK(!memcmp(fuzz_out[0], fuzz_out[1], sizeof(fuzz_out[0])));
	hcv_map_destroy(&map);
}

/* What an owner does next must find the map in order. */
static void fuzz_use(struct hcv_map *map, u32 mib)
{
	struct hcv_slot *slot;

	slot = hcv_map_leaf_make(map, mib, GFP_NOIO) ? NULL :
	       hcv_map_take(map, mib, GFP_NOIO);
	if (slot && !IS_ERR(slot)) {
		HCV_FUZZ_CHECK(slot->mib == mib && slot->gen == 3);
		hcv_map_written(map, slot, 7, 3);
	}
	hcv_map_clear(map, mib, 0, HCV_SLOT_BLOCKS, mib & 2, GFP_NOIO);
	hcv_map_reap(map, mib);
	hcv_map_give_back(map, hcv_map_freed(map));
}

void hcv_fuzz_one(const u8 *buf, size_t size)
{
	struct hcv_ext *ext[FUZZ_EXTS];
	struct hcv_dsk_page *d;
	struct hcv_map map;
	int ret = 0;
	size_t at;
	u32 e, p;

	fuzz_init(&map, ext);
	for (at = 0; at + HCV_BLOCK_SIZE <= size && !ret; at += HCV_BLOCK_SIZE) {
		d = (void *)(buf + at);
		e = le32_to_cpu(d->extent) % FUZZ_EXTS;
		p = d->page % HCV_EXTENT_PAGES;
		if (!(d->place & 1))
			fuzz_tame(d, p, e % 2);
		ret = hcv_map_load_page(&map, ext[e], p, d);
		HCV_FUZZ_CHECK(!ret || ret == -EUCLEAN || ret == -ERANGE);
	}
	if (!ret)
		fuzz_again(&map, ext);
	for (p = 509; p < 520; p++)
		fuzz_use(&map, p);
	hcv_map_destroy(&map);
}
