// SPDX-License-Identifier: GPL-2.0-only
/*
 * The blk-mq front: a request becomes an I/O in the request's own pdu.
 */
#include <linux/blk-mq.h>
#include <linux/mempool.h>
#include <linux/module.h>

#include "front.h"
#include "io.h"
#include "volume.h"

#define MQ_DEPTH	128
#define MQ_VECS		(PAGE_SIZE / sizeof(struct bio_vec))

/* Vectors of requests that several bios were merged into. */
static mempool_t *mq_tables;

struct mq_pdu {
	struct bio_vec *table;
	struct hcv_io io;
};

static void mq_done(struct hcv_io *io)
{
	struct mq_pdu *pdu = container_of(io, struct mq_pdu, io);
	struct request *rq = io->parent;

	if (unlikely(pdu->table)) {
		mempool_free(pdu->table, mq_tables);
		pdu->table = NULL;
	}
	blk_mq_end_request(rq, io->status);
}

static u8 mq_op(struct request *rq)
{
	switch (req_op(rq)) {
	case REQ_OP_READ:
		return HCV_IO_READ;
	case REQ_OP_WRITE:
		return HCV_IO_WRITE;
	case REQ_OP_FLUSH:
		return HCV_IO_FLUSH;
	case REQ_OP_DISCARD:
		return HCV_IO_DISCARD;
	case REQ_OP_WRITE_ZEROES:
		return HCV_IO_ZEROES;
	default:
		return HCV_IO_OPS;
	}
}

/* One table of all vectors of a merged request. */
static int mq_gather(struct request *rq, struct mq_pdu *pdu)
{
	struct req_iterator iter;
	struct bio_vec bv;
	u32 n = 0;

	pdu->table = mempool_alloc(mq_tables, rq->cmd_flags & REQ_NOWAIT ?
				   GFP_NOWAIT : GFP_NOIO);
	if (!pdu->table)
		return -EAGAIN;
	rq_for_each_bvec(bv, rq, iter) {
		if (WARN_ON_ONCE(n == MQ_VECS))
			return -EINVAL;
		pdu->table[n++] = bv;
	}
	return 0;
}

static blk_status_t mq_queue_rq(struct blk_mq_hw_ctx *hctx,
				const struct blk_mq_queue_data *bd)
{
	struct request *rq = bd->rq;
	struct mq_pdu *pdu = blk_mq_rq_to_pdu(rq);
	struct bvec_iter iter = { .bi_size = blk_rq_bytes(rq) };
	struct hcv_vol *vol = hctx->queue->queuedata;
	struct bio_vec *bv = NULL;
	u8 op = mq_op(rq);
	int ret;

	if (op == HCV_IO_OPS)
		return BLK_STS_NOTSUPP;
	pdu->table = NULL;
	blk_mq_start_request(rq);
	if (op <= HCV_IO_WRITE) {
		if (likely(rq->bio == rq->biotail)) {
			bv = rq->bio->bi_io_vec;
			iter = rq->bio->bi_iter;
		} else {
			ret = mq_gather(rq, pdu);
			if (ret) {
				if (pdu->table)
					mempool_free(pdu->table, mq_tables);
				blk_mq_end_request(rq,
						   hcv_io_errno_status(ret));
				return BLK_STS_OK;
			}
			bv = pdu->table;
		}
	}
	hcv_io_init(&pdu->io, vol, op, blk_rq_pos(rq) << SECTOR_SHIFT,
		    op == HCV_IO_FLUSH ? 0 : blk_rq_bytes(rq), bv, &iter);
	pdu->io.parent = rq;
	pdu->io.done = mq_done;
	pdu->io.flags |= HCV_IO_COUNTED;
	if (rq->cmd_flags & REQ_FUA)
		pdu->io.flags |= HCV_IO_FUA;
	if (rq->cmd_flags & REQ_SYNC)
		pdu->io.flags |= HCV_IO_SYNC;
	if (rq->cmd_flags & REQ_NOWAIT)
		pdu->io.flags |= HCV_IO_NOWAIT;
	hcv_io_submit(&pdu->io);
	return BLK_STS_OK;
}

/*
 * An I/O may rightly wait for long; what waits and for what is told by the
 * volume, and the devices below have time-outs of their own.
 */
static enum blk_eh_timer_return mq_timeout(struct request *rq)
{
	return BLK_EH_RESET_TIMER;
}

static const struct blk_mq_ops mq_ops = {
	.queue_rq	= mq_queue_rq,
	.timeout	= mq_timeout,
};

static const struct block_device_operations mq_fops = {
	.owner		= THIS_MODULE,
	.open		= hcv_front_open,
	.release	= hcv_front_release,
	.free_disk	= hcv_front_free_disk,
};

int hcv_mq_alloc(struct hcv_vol *vol)
{
	struct hcv_disk_limits limits;
	struct gendisk *disk;
	int ret;

	memset(&vol->tags, 0, sizeof(vol->tags));
	vol->tags.ops = &mq_ops;
	vol->tags.nr_hw_queues = num_online_cpus();
	vol->tags.queue_depth = MQ_DEPTH;
	vol->tags.numa_node = NUMA_NO_NODE;
	vol->tags.cmd_size = sizeof(struct mq_pdu);
	/*
	 * Submitting to lower devices may sleep; and they have schedulers of
	 * their own, where one is of use.
	 */
	vol->tags.flags = BLK_MQ_F_SHOULD_MERGE | BLK_MQ_F_BLOCKING |
			  BLK_MQ_F_NO_SCHED_BY_DEFAULT;
	ret = blk_mq_alloc_tag_set(&vol->tags);
	if (ret)
		return ret;
	vol->has_tags = true;
	hcv_front_limits(vol, &limits);
	disk = hcv_compat_mq_alloc_disk(&vol->tags, &limits, vol);
	if (IS_ERR(disk)) {
		hcv_mq_free(vol);
		return PTR_ERR(disk);
	}
	disk->fops = &mq_fops;
	vol->disk = disk;
	return 0;
}

void hcv_mq_free(struct hcv_vol *vol)
{
	blk_mq_free_tag_set(&vol->tags);
	vol->has_tags = false;
}

int hcv_mq_front_init(void)
{
	mq_tables = mempool_create_kmalloc_pool(4, PAGE_SIZE);
	return mq_tables ? 0 : -ENOMEM;
}

void hcv_mq_front_exit(void)
{
	mempool_destroy(mq_tables);
}
