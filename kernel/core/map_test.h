/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the extent map share.  Included instead of map.h, once.
 */
#ifndef HCV_CORE_MAP_TEST_H
#define HCV_CORE_MAP_TEST_H

#include <kunit/test.h>
#include <linux/slab.h>

#include "map.h"

static void (*hcv_t_race_fn)(void *arg) __maybe_unused;
static void *hcv_t_race_arg __maybe_unused;

/* What another processor does between two steps, see hcv_t_beat(). */
struct hcv_t_other {
	void (*fn)(void *arg);
	void *arg;
	spinlock_t *lock;	/* that @fn takes */
	spinlock_t *inner;	/* and this one */
	u32 in;			/* steps until then */
};

static struct hcv_t_other hcv_t_other __maybe_unused;

#ifdef __KERNEL__
#define HCV_T_HOST		false
#define hcv_t_held(lock)	false
#define hcv_t_alloc_fail(n)	((void)(n))
#define hcv_t_alloc_failed()	false
#define hcv_t_lives()		1U
#define hcv_t_seed_add()	0U
#else
/*
 * White box: what another processor does while a page is being copied, in
 * between the two reads of a record's words.
 */
#define HCV_T_HOST		true
#define hcv_t_held(lock)	((lock)->held)
#define hcv_t_alloc_fail(n)	hcv_shim_alloc_fail(n)
#define hcv_t_alloc_failed()	hcv_shim_alloc_failed()

static inline u32 hcv_t_env(const char *name, u32 val)
{
	const char *env = getenv(name);

	return env ? strtoul(env, NULL, 10) : val;
}

/* How many volumes map_sim_test.c goes through with each seed. */
#define hcv_t_lives()		hcv_t_env("HCV_SIM_LIVES", 8)
/* Added to each seed: other numbers. */
#define hcv_t_seed_add()	hcv_t_env("HCV_SIM_SEED", 0)

static inline void hcv_t_race(void)
{
	void (*fn)(void *arg) = hcv_t_race_fn;

	hcv_t_race_fn = NULL;
	if (fn)
		fn(hcv_t_race_arg);
	hcv_t_race_fn = fn;
}

/*
 * Every access of the map's code to what processors share is a step, and
 * another processor may do something whole right before any of them; while
 * a lock that this takes is held, it waits.
 */
static inline void hcv_t_beat(void)
{
	struct hcv_t_other o = hcv_t_other;

	if (!o.fn)
		return;
	if (o.in)
		hcv_t_other.in--;
	if (o.in || (o.lock && hcv_t_held(o.lock)) ||
	    (o.inner && hcv_t_held(o.inner)))
		return;
	hcv_t_other.fn = NULL;
	o.fn(o.arg);
}

#undef READ_ONCE
#undef WRITE_ONCE
#undef smp_mb
#undef smp_rmb
#undef smp_mb__before_atomic
#undef smp_mb__after_atomic
#undef smp_load_acquire
#undef smp_store_release
#define READ_ONCE(x) \
	(hcv_t_beat(), *(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) \
	(hcv_t_beat(), *(volatile __typeof__(x) *)&(x) = (v))
#define test_bit(nr, p)			(hcv_t_beat(), test_bit(nr, p))
#define set_bit(nr, p)			(hcv_t_beat(), set_bit(nr, p))
#define clear_bit(nr, p)		(hcv_t_beat(), clear_bit(nr, p))
#define test_and_set_bit(nr, p)		(hcv_t_beat(), test_and_set_bit(nr, p))
#define llist_add(node, head)		(hcv_t_beat(), llist_add(node, head))
#define llist_del_all(head)		(hcv_t_beat(), llist_del_all(head))
#define spin_lock(lock)			(hcv_t_beat(), spin_lock(lock))
#define spin_unlock(lock)		(spin_unlock(lock), hcv_t_beat())
/* Not barriers: the steps of one processor. */
#define smp_mb()			hcv_t_beat()
#define smp_mb__before_atomic()		hcv_t_beat()
#define smp_mb__after_atomic()		hcv_t_beat()
#define smp_rmb()			hcv_t_race()
#define smp_load_acquire(p) \
	(hcv_t_beat(), __atomic_load_n(p, __ATOMIC_ACQUIRE))
#define smp_store_release(p, v) \
	(hcv_t_beat(), __atomic_store_n(p, v, __ATOMIC_RELEASE))
#include "map.c"
#include "map_page.c"
#include "map_retire.c"
#include "map_round.c"
#include "map_slot.c"
#include "map_temp.c"
#endif

#define HCV_T_VOL		((const u8 *)"volume-abcdefghi")
#define HCV_T_LINEAGE		77

/* A snapshot as its owner will take it: writes go to generation @nr now. */
static inline void hcv_t_gens(struct kunit *test, struct hcv_map *map, u32 nr)
{
	u32 *gens = kcalloc(nr, sizeof(*gens), GFP_KERNEL), i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, gens);
	for (i = 0; i < nr; i++)
		gens[i] = nr - i;
	kfree(map->gens);
	map->gens = gens;
	map->nr_gens = nr;
	map->cur_gen = nr;
}

static inline struct hcv_slot *hcv_t_where(struct hcv_map *map, u32 mib,
					   u32 blk, u32 nr, u32 *run_nr)
{
	struct hcv_run run = { .nr = nr };
	struct hcv_leaf *leaf;

	rcu_read_lock();
	leaf = hcv_map_leaf(map, mib);
	if (leaf)
		hcv_map_resolve(&leaf->ent[mib % HCV_LEAF_MIBS], blk, nr, &run);
	rcu_read_unlock();
	if (run_nr)
		*run_nr = run.nr;
	return run.slot;
}

static inline void hcv_t_mark(struct hcv_map *map, u32 mib)
{
	rcu_read_lock();
	hcv_map_mark(map, hcv_map_leaf(map, mib), mib);
	rcu_read_unlock();
}

static inline int hcv_t_clear(struct hcv_map *map, u32 mib, u32 blk, u32 nr,
			      bool discard)
{
	return hcv_map_clear(map, mib, blk, nr, discard, GFP_NOIO);
}

static inline void hcv_t_page_id(struct hcv_page_id *id, u32 extent, u32 page,
				 u32 place)
{
	memset(id, 0, sizeof(*id));
	memcpy(id->volume, HCV_T_VOL, HCV_UUID_SIZE);
	id->lineage = HCV_T_LINEAGE;
	id->extent = extent;
	id->page = page;
	id->place = place;
}

static inline u64 hcv_t_stamp(struct hcv_slot *slot)
{
	struct hcv_rec r;

	hcv_map_record(hcv_map_slot_ext(slot), slot->rec, &r);
	return r.stamp;
}

static inline struct hcv_ext *hcv_t_ext(struct kunit *test,
					struct hcv_map *map, u32 index,
					u8 column)
{
	struct hcv_ext *ext = hcv_map_ext_new(map, index, column);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ext);
	KUNIT_ASSERT_EQ(test, hcv_map_ext_add(map, ext), 0);
	return ext;
}

static inline struct hcv_slot *hcv_t_at(struct hcv_map *map, u32 mib, u32 blk)
{
	return hcv_t_where(map, mib, blk, 1, NULL);
}

/* A write from its beginning to its end. */
static inline struct hcv_slot *hcv_t_write(struct kunit *test,
					   struct hcv_map *map, u32 mib,
					   u32 blk, u32 nr)
{
	struct hcv_slot *slot;

	KUNIT_ASSERT_EQ(test, hcv_map_leaf_make(map, mib, GFP_NOIO), 0);
	hcv_t_mark(map, mib);
	slot = hcv_map_take(map, mib, GFP_NOIO);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, slot);
	hcv_map_written(map, slot, blk, nr);
	return slot;
}

#endif /* HCV_CORE_MAP_TEST_H */
