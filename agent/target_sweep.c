// SPDX-License-Identifier: GPL-2.0-only
/*
 * NVMe objects that nobody wants any more, on both sides.
 *
 * Subsystems of nodes that left and of stores that were removed; controllers
 * of stores on which this node owns no volume.  Neither is in the way of
 * anything, so this is done now and then and not as part of a step.
 */
#include "target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nvme_host.h"
#include "nvme_target.h"

static bool hcv_target_wanted(struct hcv_agent *a, const struct hcv_snap *s,
			      const struct hcv_nvmet_subsys *sub)
{
	const struct hcv_snap_store *st = hcv_snap_store(s, sub->store);

	return st && !strcmp(st->i.node, hcv_agent_id(a)->node) &&
	       st->i.state != HCV_ST_REMOVED && hcv_snap_node(s, sub->client);
}

/* In a cluster both sides will be needed, and then at once. */
static void hcv_target_preload(struct hcv_job *job, const struct hcv_snap *s)
{
	const char *transport = hcv_agent_id(job->agent)->transport;
	static bool loaded;	/* there is one sweep at a time */
	char err[HCV_ERR_SIZE];

	if (loaded || s->nr_nodes < 2)
		return;
	loaded = !hcv_nvmet_prepare(transport, job->deadline_ms, err) &&
		 !hcv_nvme_prepare(transport, job->deadline_ms, err);
	if (!loaded)
		hcv_log(HCV_SEV_WARN, "%s", err);
}

static void hcv_target_sweep_subsystems(struct hcv_job *job,
					const struct hcv_snap *s)
{
	struct hcv_nvmet_subsys *sub;
	char err[HCV_ERR_SIZE];
	size_t i, nr;

	if (hcv_nvmet_list(&sub, &nr, err)) {
		hcv_log(HCV_SEV_WARN, "%s", err);
		return;
	}
	for (i = 0; i < nr && !hcv_job_expired(job); i++) {
		if (hcv_target_wanted(job->agent, s, &sub[i]))
			continue;
		if (hcv_nvmet_remove(sub[i].store, sub[i].client,
				     hcv_now_ms() + HCV_TARGET_NVMET_MS, err))
			hcv_log(HCV_SEV_WARN, "stale NVMe subsystem: %s", err);
		else
			hcv_log(HCV_SEV_INFO,
				"removed the NVMe subsystem of store %s for node %s, which nobody wants any more",
				sub[i].store, sub[i].client);
	}
	free(sub);
}

/* -------------------------------------------------------------- controllers */

/* Does this node own, or take, a volume with rows on the store? */
static bool hcv_target_owns(struct hcv_agent *a, const struct hcv_snap *s,
			    const char *store)
{
	const char *node = hcv_agent_id(a)->node;
	size_t i, j, k;

	for (i = 0; i < s->nr_vols; i++) {
		const struct hcv_snap_vol *v = &s->vol[i];

		if (v->bad)
			return true;
		if (!v->rec_rev || strcmp(v->rec.owner, node))
			continue;
		if (hcv_snap_rec_store(&v->rec, store))
			return true;
		for (j = 0; j < v->rows.nr; j++)
			for (k = 0; k < v->rows.row[j].nr; k++)
				if (!strcmp(v->rows.row[j].store[k], store))
					return true;
	}
	return false;
}

static bool hcv_target_linked(const struct hcv_k_vol *vol, size_t nr,
			      const char *store)
{
	size_t i, j;

	for (i = 0; i < nr; i++)
		for (j = 0; j < vol[i].nr_links; j++)
			if (!strcmp(vol[i].link[j].store, store))
				return true;
	return false;
}

/*
 * Controllers that were unwanted in the last sweep too, so that one that an
 * attach is just making, later than the snapshot knows, is never hit.
 * There is one sweep at a time.
 */
static char hcv_sweep_idle[64][32];
static size_t hcv_sweep_nr_idle;

static bool hcv_target_idle_before(const char *ctrl)
{
	size_t i;

	for (i = 0; i < hcv_sweep_nr_idle; i++)
		if (!strcmp(hcv_sweep_idle[i], ctrl))
			return true;
	return false;
}

static void hcv_target_drop_ctrl(const struct hcv_nvme_ctrl *c)
{
	bool failed = c->state != HCV_NVME_LIVE;
	char err[HCV_ERR_SIZE];

	if (hcv_nvme_disconnect(c->store, c->client, failed,
				hcv_now_ms() + HCV_TARGET_NVMET_MS, err))
		hcv_log(HCV_SEV_WARN, "idle NVMe controller %s: %s", c->name,
			err);
	else
		hcv_log(HCV_SEV_DEBUG, "disconnected from store %s", c->store);
}

static void hcv_target_sweep_controllers(struct hcv_job *job,
					 const struct hcv_snap *s)
{
	struct hcv_klink *kl = hcv_job_klink(job);
	char idle[64][32], err[HCV_ERR_SIZE];
	struct hcv_nvme_ctrl *c = NULL;
	struct hcv_k_vol *vol = NULL;
	size_t i, nr = 0, nr_vols = 0, nr_idle = 0;

	/* without the module no link can be using one */
	if (kl && hcv_k_vol_list(kl, &vol, &nr_vols))
		return;
	if (hcv_nvme_list(hcv_agent_id(job->agent)->node, &c, &nr, err))
		hcv_log(HCV_SEV_WARN, "%s", err);
	for (i = 0; i < nr && !hcv_job_expired(job); i++) {
		if (hcv_target_linked(vol, nr_vols, c[i].store) ||
		    hcv_target_owns(job->agent, s, c[i].store))
			continue;
		if (hcv_target_idle_before(c[i].name))
			hcv_target_drop_ctrl(&c[i]);
		else if (nr_idle < 64)
			memcpy(idle[nr_idle++], c[i].name, sizeof(idle[0]));
	}
	memcpy(hcv_sweep_idle, idle, nr_idle * sizeof(idle[0]));
	hcv_sweep_nr_idle = nr_idle;
	free(c);
	free(vol);
}

void hcv_target_sweep(struct hcv_job *job)
{
	struct hcv_snap *s = job->arg;

	if (!hcv_agent_id(job->agent) || !s->cluster_rev)
		return;
	hcv_target_preload(job, s);
	hcv_target_sweep_subsystems(job, s);
	hcv_target_sweep_controllers(job, s);
}
