// SPDX-License-Identifier: GPL-2.0-only
/*
 * Granting handles; see gate.c for the whole.
 *
 * Everything that needs the media or memory is done under store->lock first;
 * gate->lock is taken only to make the result valid, because a revocation
 * wants it and must not wait for a disk.  A revocation that comes in between
 * is found by looking at the epoch once more.
 */
#include "gate_priv.h"

#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "store_priv.h"

/* Life of a grant */

static void hcv_period_free_rcu(struct rcu_head *rcu)
{
	struct hcv_period *period = container_of(rcu, struct hcv_period, rcu);

	percpu_ref_exit(&period->ref);
	kfree(period);
}

/* The last I/O of a period has ended; any context, under RCU. */
static void hcv_period_over(struct percpu_ref *ref)
{
	struct hcv_period *period = container_of(ref, struct hcv_period, ref);
	struct hcv_grant *grant = period->grant;
	bool last;

	/* The newest one stays as long as the grant does. */
	if (period->ended) {
		/* Pairs with hcv_grant_withdraw(). */
		smp_store_release(&grant->ending, false);
		call_rcu(&period->rcu, hcv_period_free_rcu);
	}
	last = atomic_dec_and_test(&grant->nr_periods);
	/* RCU keeps it: whoever waits for this finds nothing left to be done. */
	hcv_grant_put(grant);
	if (last)
		complete(&grant->drained);
}

static struct hcv_period *hcv_period_alloc(struct hcv_grant *grant)
{
	struct hcv_period *period = kzalloc(sizeof(*period), GFP_KERNEL);

	if (!period)
		return NULL;
	if (percpu_ref_init(&period->ref, hcv_period_over, 0, GFP_KERNEL)) {
		kfree(period);
		return NULL;
	}
	period->grant = grant;
	kref_get(&grant->kref);
	atomic_inc(&grant->nr_periods);
	grant->period_nr++;
	return period;
}

static void hcv_grant_free_rcu(struct rcu_head *rcu)
{
	struct hcv_grant *grant = container_of(rcu, struct hcv_grant, rcu);
	struct hcv_chunks *chunks = rcu_dereference_raw(grant->chunks);
	u32 i;

	for (i = 0; chunks && i < chunks->nr; i++)
		kfree(chunks->chunk[i]);
	kfree(chunks);
	kfree(grant->range);
	percpu_ref_exit(&grant->period->ref);
	kfree(grant->period);
	kfree(grant);
}

static void hcv_grant_release(struct kref *kref)
{
	struct hcv_grant *grant = container_of(kref, struct hcv_grant, kref);

	/* Lookups may still look at the chunks and at the period. */
	call_rcu(&grant->rcu, hcv_grant_free_rcu);
}

void hcv_grant_put(struct hcv_grant *grant)
{
	kref_put(&grant->kref, hcv_grant_release);
}

static struct hcv_grant *hcv_grant_alloc(struct hcv_gate *gate,
					 const struct hcv_grant_want *want,
					 u64 renew)
{
	struct hcv_grant *grant = kzalloc(sizeof(*grant), GFP_KERNEL);

	if (!grant)
		return NULL;
	kref_init(&grant->kref);
	init_completion(&grant->drained);
	grant->period = hcv_period_alloc(grant);
	if (!grant->period) {
		kfree(grant);
		return NULL;
	}
	grant->store = gate->store;
	grant->vol = *want->vol;
	grant->epoch = want->epoch;
	grant->client = *want->client;
	grant->renew = renew;
	INIT_LIST_HEAD(&grant->node);
	INIT_LIST_HEAD(&grant->vol_node);
	return grant;
}

static struct hcv_grant *hcv_gate_find(struct hcv_gate *gate, const uuid_t *vol,
				       u64 epoch, const uuid_t *client)
{
	struct hcv_gate_vol *gv = hcv_gate_vol(gate, vol);
	struct hcv_grant *grant;

	if (!gv)
		return NULL;
	list_for_each_entry(grant, &gv->grants, vol_node)
		if (grant->epoch == epoch && !grant->revoked &&
		    uuid_equal(&grant->client, client))
			return grant;
	return NULL;
}

static u32 hcv_grant_handles(const struct hcv_grant *grant)
{
	u32 i, n = 0;

	for (i = 0; i < grant->nr_ranges; i++)
		n += grant->range[i].count;
	return n;
}

/* Growing a grant */

/**
 * struct hcv_grow - handles about to be added to a grant
 * @chunks: all chunks, those that the grant has first
 * @old: how many of them it has
 * @range: all ranges; the new one is last, or extends the last
 * @nr_ranges: how many
 */
struct hcv_grow {
	struct hcv_chunks *chunks;
	u32 old;
	struct hcv_nl_range *range;
	u32 nr_ranges;
};

static void hcv_grow_free(struct hcv_grow *grow)
{
	u32 i;

	for (i = grow->old; grow->chunks && i < grow->chunks->nr; i++)
		kfree(grow->chunks->chunk[i]);
	kfree(grow->chunks);
	kfree(grow->range);
}

static struct hcv_chunk *hcv_chunk_alloc(struct hcv_store_vol *vol,
					 struct hcv_grant *grant, u64 first,
					 u32 base)
{
	struct hcv_chunk *chunk = kmalloc(sizeof(*chunk), GFP_KERNEL);
	s64 phys;
	u32 i;

	if (!chunk)
		return NULL;
	chunk->grant = grant;
	chunk->first = first;
	chunk->base = base;
	for (i = 0; i < HCV_HANDLE_CHUNK; i++) {
		phys = hcv_table_find(vol, base + i);
		chunk->phys[i] = phys < 0 ? HCV_NO_PHYS : phys;
	}
	return chunk;
}

/* Reserves handles on the media and makes the chunks; store->lock held. */
static int hcv_grow_prepare(struct hcv_grow *grow, struct hcv_store_vol *vol,
			    struct hcv_grant *grant, u32 add)
{
	struct hcv_chunks *old, *chunks;
	u32 i, nr = grant->nr_ranges;
	u64 first;
	int ret;

	/* Only ever changed under store->lock. */
	old = rcu_dereference_protected(grant->chunks, 1);
	grow->old = old ? old->nr : 0;
	chunks = kzalloc(struct_size(chunks, chunk, grow->old + add),
			 GFP_KERNEL);
	grow->chunks = chunks;
	grow->range = kcalloc(nr + 1, sizeof(*grow->range), GFP_KERNEL);
	if (!chunks || !grow->range)
		return -ENOMEM;
	chunks->nr = grow->old + add;
	ret = __hcv_store_reserve_handles(grant->store, add, &first);
	if (ret)
		return ret;
	for (i = 0; i < grow->old; i++)
		chunks->chunk[i] = old->chunk[i];
	for (i = 0; i < add; i++) {
		chunks->chunk[grow->old + i] =
			hcv_chunk_alloc(vol, grant,
					first + (u64)i * HCV_HANDLE_CHUNK,
					(grow->old + i) * HCV_HANDLE_CHUNK);
		if (!chunks->chunk[grow->old + i])
			return -ENOMEM;
	}
	memcpy(grow->range, grant->range, nr * sizeof(*grow->range));
	if (nr && grow->range[nr - 1].first + grow->range[nr - 1].count ==
	    first) {
		grow->range[nr - 1].count += add * HCV_HANDLE_CHUNK;
		grow->nr_ranges = nr;
		return 0;
	}
	grow->range[nr].first = first;
	grow->range[nr].base = grow->old * HCV_HANDLE_CHUNK;
	grow->range[nr].count = add * HCV_HANDLE_CHUNK;
	grow->nr_ranges = nr + 1;
	return 0;
}

/* Makes the new handles valid: all of them or none. */
static int hcv_grow_publish(struct hcv_gate *gate, struct hcv_grow *grow,
			    struct hcv_grant *grant)
{
	struct hcv_chunks *old, *chunks = grow->chunks;
	unsigned long key;
	u32 i;

	lockdep_assert_held(&gate->lock);
	for (i = grow->old; i < chunks->nr; i++) {
		key = chunks->chunk[i]->first / HCV_HANDLE_CHUNK;
		if (xa_reserve(&gate->chunks, key, GFP_KERNEL))
			goto err_release;
	}
	for (i = grow->old; i < chunks->nr; i++) {
		key = chunks->chunk[i]->first / HCV_HANDLE_CHUNK;
		xa_store(&gate->chunks, key, chunks->chunk[i], GFP_KERNEL);
	}
	old = rcu_replace_pointer(grant->chunks, chunks,
				  lockdep_is_held(&gate->lock));
	if (old)
		kfree_rcu(old, rcu);
	kfree(grant->range);
	grant->range = grow->range;
	grant->nr_ranges = grow->nr_ranges;
	return 0;

err_release:
	while (i-- > grow->old)
		xa_release(&gate->chunks,
			   chunks->chunk[i]->first / HCV_HANDLE_CHUNK);
	return -ENOMEM;
}

/* Granting */

static int hcv_gate_check_epoch(struct hcv_gate *gate, const uuid_t *vol,
				u64 epoch, struct netlink_ext_ack *extack)
{
	struct hcv_gate_vol *gv = hcv_gate_vol(gate, vol);

	if (!gv || epoch > gv->revoked_epoch)
		return 0;
	hcv_compat_err(extack, "epoch %llu is revoked here, up to %llu", epoch,
		       gv->revoked_epoch);
	return -ESTALE;
}

/* Puts a new grant into the lists; gate->lock held. */
static int hcv_gate_insert(struct hcv_gate *gate, struct hcv_grant *grant)
{
	struct hcv_gate_vol *gv = hcv_gate_vol_get(gate, &grant->vol);

	if (!gv)
		return -ENOMEM;
	grant->seat = hcv_gate_seat_get(gate, &grant->client, &grant->vol);
	if (!grant->seat)
		return -ENOMEM;
	grant->seat->granted_epoch = max(grant->seat->granted_epoch,
					 grant->epoch);
	grant->serial = ++gate->serials;
	list_add_tail(&grant->node, &gate->grants);
	list_add_tail(&grant->vol_node, &gv->grants);
	return 0;
}

void hcv_gate_remove(struct hcv_grant *grant)
{
	list_del_init(&grant->node);
	list_del_init(&grant->vol_node);
}

/* Adds @add chunks to @grant, which is new or in the lists. */
static int hcv_gate_grow(struct hcv_gate *gate, struct hcv_grant *grant,
			 struct hcv_store_vol *vol, u32 add,
			 struct netlink_ext_ack *extack)
{
	bool fresh = list_empty(&grant->node);
	struct hcv_grow grow = { };
	int ret;

	ret = hcv_grow_prepare(&grow, vol, grant, add);
	if (ret) {
		hcv_grow_free(&grow);
		return ret;
	}
	mutex_lock(&gate->lock);
	ret = hcv_gate_check_epoch(gate, &grant->vol, grant->epoch, extack);
	if (!ret && fresh)
		ret = hcv_gate_insert(gate, grant);
	if (!ret) {
		ret = hcv_grow_publish(gate, &grow, grant);
		if (ret && fresh)
			hcv_gate_remove(grant);
	}
	mutex_unlock(&gate->lock);
	if (ret)
		hcv_grow_free(&grow);
	return ret;
}

/*
 * What there is for @want.  A grant of an older renewal is retired; while I/O
 * of a retired one is under way nothing is handed out.
 */
static struct hcv_grant *hcv_gate_present(struct hcv_gate *gate,
					  const struct hcv_grant_want *want,
					  u64 *renew,
					  struct netlink_ext_ack *extack)
{
	struct hcv_grant *grant;
	struct hcv_seat *seat;
	int ret;

	ret = hcv_gate_check_epoch(gate, want->vol, want->epoch, extack);
	if (ret)
		return ERR_PTR(ret);
	seat = hcv_gate_seat_get(gate, want->client, want->vol);
	if (!seat)
		return ERR_PTR(-ENOMEM);
	*renew = seat->renew_epoch == want->epoch ? seat->renew : 0;
	if (want->renew && want->renew < *renew) {
		hcv_compat_err(extack, "the grant was renewed meanwhile, as %llu",
			       *renew);
		return ERR_PTR(-ESTALE);
	}
	*renew = max(*renew, want->renew);
	grant = hcv_gate_find(gate, want->vol, want->epoch, want->client);
	if (grant && grant->renew < *renew) {
		hcv_gate_retire(grant);
		grant = NULL;
	}
	/* Whatever becomes of this request: older ones are out of date. */
	seat->renew_epoch = max(seat->renew_epoch, want->epoch);
	if (seat->renew_epoch == want->epoch)
		seat->renew = *renew;
	if (hcv_gate_drain_retired(gate, want) && !grant) {
		hcv_compat_err(extack, "I/O through the handles before has not ended yet");
		return ERR_PTR(-EINPROGRESS);
	}
	return grant;
}

/* Store->lock held: nobody else adds grants. */
static struct hcv_grant *__hcv_gate_grant(struct hcv_gate *gate,
					  const struct hcv_grant_want *want,
					  struct netlink_ext_ack *extack)
{
	struct hcv_store_vol *sv = hcv_table_vol(gate->store, want->vol);
	u32 add = DIV_ROUND_UP(want->count, HCV_HANDLE_CHUNK), has = 0;
	struct hcv_grant *grant;
	bool fresh;
	u64 renew;
	int ret;

	ret = hcv_store_writable(gate->store, extack);
	if (ret)
		return ERR_PTR(ret);
	if (!sv) {
		hcv_compat_err(extack, "the store has nothing of this volume");
		return ERR_PTR(-ENOENT);
	}
	mutex_lock(&gate->lock);
	grant = hcv_gate_present(gate, want, &renew, extack);
	if (!IS_ERR_OR_NULL(grant)) {
		kref_get(&grant->kref);
		has = hcv_grant_handles(grant) / HCV_HANDLE_CHUNK;
	}
	mutex_unlock(&gate->lock);
	if (IS_ERR(grant) || (grant && has >= add))
		return grant;
	fresh = !grant;
	if (fresh) {
		grant = hcv_grant_alloc(gate, want, renew);
		if (!grant)
			return ERR_PTR(-ENOMEM);
		ret = hcv_gate_grow(gate, grant, sv, add, extack);
		if (!ret)
			kref_get(&grant->kref);	/* the list's, the caller's */
	} else {
		ret = hcv_gate_grow(gate, grant, sv, add - has, extack);
	}
	if (ret) {
		/* Nobody knows it; its period goes, and drops its reference. */
		if (fresh)
			percpu_ref_kill(&grant->period->ref);
		hcv_grant_put(grant);
		return ERR_PTR(ret);
	}
	return grant;
}

struct hcv_grant *hcv_gate_grant(struct hcv_store *store,
				 const struct hcv_grant_want *want,
				 struct netlink_ext_ack *extack)
{
	struct hcv_grant *grant;
	unsigned int noio;

	if (!want->count || want->count > HCV_EXTENT_INDEX_MAX + 1) {
		hcv_compat_err(extack, "a grant has 1 to %u handles",
			       HCV_EXTENT_INDEX_MAX + 1);
		return ERR_PTR(-EINVAL);
	}
	noio = memalloc_noio_save();
	mutex_lock(&store->lock);
	grant = __hcv_gate_grant(store->gate, want, extack);
	mutex_unlock(&store->lock);
	memalloc_noio_restore(noio);
	return grant;
}

static void hcv_grant_set_phys(struct hcv_gate *gate, struct hcv_grant *grant,
			       u32 grant_index, u32 phys)
{
	u32 i = grant_index % HCV_HANDLE_CHUNK;
	struct hcv_chunks *chunks;

	grant_index /= HCV_HANDLE_CHUNK;
	chunks = rcu_dereference_protected(grant->chunks,
					   lockdep_is_held(&gate->lock));
	if (grant_index < chunks->nr)
		WRITE_ONCE(chunks->chunk[grant_index]->phys[i], phys);
}

void hcv_gate_refresh(struct hcv_gate *gate, const uuid_t *vol, u32 grant_index,
		      u32 phys)
{
	struct hcv_gate_vol *gv;
	struct hcv_grant *grant;

	mutex_lock(&gate->lock);
	gv = hcv_gate_vol(gate, vol);
	if (gv)
		list_for_each_entry(grant, &gv->grants, vol_node)
			hcv_grant_set_phys(gate, grant, grant_index, phys);
	mutex_unlock(&gate->lock);
}

/* Withdrawal */

/*
 * Tell what is let in until now from what follows; the period before is over.
 * gate->lock held.
 */
static int hcv_period_next(struct hcv_grant *grant)
{
	struct hcv_period *old = grant->period, *period;

	period = hcv_period_alloc(grant);
	if (!period)
		return -ENOMEM;
	old->ended = true;
	WRITE_ONCE(grant->ending, true);
	/* Who is let in by this one sees what was withdrawn. */
	smp_store_release(&grant->period, period);
	/* Pairs with hcv_grant_enter(): who finds the old one killed sees it. */
	smp_wmb();
	percpu_ref_kill(&old->ref);
	return 0;
}

/* Return: whether the grant saw the extent until now. */
static bool hcv_grant_unmap(struct hcv_gate *gate, struct hcv_grant *grant,
			    u32 index)
{
	u32 at = HCV_GRANT_EXTENT(index), i = at % HCV_HANDLE_CHUNK;
	struct hcv_chunks *chunks;
	u32 *phys;

	at /= HCV_HANDLE_CHUNK;
	chunks = rcu_dereference_protected(grant->chunks,
					   lockdep_is_held(&gate->lock));
	if (at >= chunks->nr)
		return false;
	phys = &chunks->chunk[at]->phys[i];
	if (*phys == HCV_NO_PHYS)
		return false;
	WRITE_ONCE(*phys, HCV_NO_PHYS);
	return true;
}

/* Return: as hcv_gate_withdraw(). */
static int hcv_grant_withdraw(struct hcv_gate *gate, struct hcv_grant *grant,
			      const u32 *index, u32 nr)
{
	u32 i;
	int ret;

	for (i = 0; i < nr; i++)
		if (hcv_grant_unmap(gate, grant, index[i]))
			grant->withdrawn_nr = grant->period_nr;
	/* No period follows: all of them are about to be over. */
	if (grant->revoked)
		return completion_done(&grant->drained) ? 0 : -EINPROGRESS;
	/* Pairs with hcv_period_over(). */
	if (smp_load_acquire(&grant->ending))
		return -EINPROGRESS;
	if (grant->withdrawn_nr < grant->period_nr)
		return 0;
	ret = hcv_period_next(grant);
	return ret ?: -EINPROGRESS;
}

int hcv_gate_withdraw(struct hcv_gate *gate, const uuid_t *vol,
		      const u32 *index, u32 nr)
{
	struct hcv_gate_vol *gv;
	struct hcv_grant *grant;
	int ret = 0, err;

	mutex_lock(&gate->lock);
	gv = hcv_gate_vol(gate, vol);
	if (gv)
		list_for_each_entry(grant, &gv->grants, vol_node) {
			err = hcv_grant_withdraw(gate, grant, index, nr);
			if (!ret || err == -ENOMEM)
				ret = err;
		}
	mutex_unlock(&gate->lock);
	return ret;
}
