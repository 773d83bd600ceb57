/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints, in /sys/kernel/tracing/events/hcivol.  Volumes appear by their
 * minor, the N of /dev/hcivolN.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hcivol

#if !defined(HCV_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define HCV_TRACE_H

#include <linux/tracepoint.h>

#include "core/scrub.h"
#include "volume.h"

#define HCV_TRACE_OPS				\
	{ HCV_IO_READ,		"read" },	\
	{ HCV_IO_WRITE,		"write" },	\
	{ HCV_IO_FLUSH,		"flush" },	\
	{ HCV_IO_DISCARD,	"discard" },	\
	{ HCV_IO_ZEROES,	"zeroes" }

#define HCV_TRACE_LINK_STATES			\
	{ HCV_LINK_OUT,		"out" },	\
	{ HCV_LINK_INSYNC,	"in-sync" },	\
	{ HCV_LINK_FAILING,	"failing" },	\
	{ HCV_LINK_LOST,	"lost" },	\
	{ HCV_LINK_SYNCING,	"syncing" },	\
	{ HCV_LINK_JOINING,	"joining" }

/* An I/O of a volume has ended, all its waits included. */
TRACE_EVENT(hcv_io_end,
	TP_PROTO(const struct hcv_io *io, s64 now_ns),
	TP_ARGS(io, now_ns),
	TP_STRUCT__entry(
		__field(int, minor)
		__field(u8, op)
		__field(u64, pos)
		__field(u32, len)
		__field(s64, ns)
		__field(int, status)
	),
	TP_fast_assign(
		__entry->minor = io->vol->minor;
		__entry->op = io->op;
		__entry->pos = io->op == HCV_IO_FLUSH ? 0 : io->pos;
		__entry->len = io->len;
		__entry->ns = now_ns - (s64)io->start_ns;
		__entry->status = blk_status_to_errno(io->status);
	),
	TP_printk("hcivol%d %s pos=%llu len=%u ns=%lld error=%d",
		  __entry->minor,
		  __print_symbolic(__entry->op, HCV_TRACE_OPS),
		  __entry->pos, __entry->len, __entry->ns, __entry->status)
);

/* A link goes from @link->state to @to. */
TRACE_EVENT(hcv_link_state,
	TP_PROTO(const struct hcv_link *link, u8 to),
	TP_ARGS(link, to),
	TP_STRUCT__entry(
		__field(int, minor)
		__array(u8, store, UUID_SIZE)
		__field(u8, from)
		__field(u8, to)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->minor = link->vol->minor;
		memcpy(__entry->store, link->store.b, UUID_SIZE);
		__entry->from = link->state;
		__entry->to = to;
		__entry->err = link->err;
	),
	TP_printk("hcivol%d %pUb %s -> %s error=%d", __entry->minor,
		  __entry->store,
		  __print_symbolic(__entry->from, HCV_TRACE_LINK_STATES),
		  __print_symbolic(__entry->to, HCV_TRACE_LINK_STATES),
		  __entry->err)
);

/* A FLUSH round has ended; a void one (ret < 0) is run again. */
TRACE_EVENT(hcv_commit_round,
	TP_PROTO(const struct hcv_vol *vol, u32 pages, s64 ns, int ret),
	TP_ARGS(vol, pages, ns, ret),
	TP_STRUCT__entry(
		__field(int, minor)
		__field(u32, pages)
		__field(s64, ns)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->minor = vol->minor;
		__entry->pages = pages;
		__entry->ns = ns;
		__entry->ret = ret;
	),
	TP_printk("hcivol%d pages=%u ns=%lld ret=%d", __entry->minor,
		  __entry->pages, __entry->ns, __entry->ret)
);

/* A scrub looked twice at a piece of a mib; blocks as bits. */
TRACE_EVENT(hcv_scrub_piece,
	TP_PROTO(const struct hcv_vol *vol, u32 mib, u32 piece,
		 const struct hcv_scrub_piece *p),
	TP_ARGS(vol, mib, piece, p),
	TP_STRUCT__entry(
		__field(int, minor)
		__field(u32, mib)
		__field(u32, piece)
		__field(u32, suspects)
		__field(u32, changed)
		__field(u32, lost)
		__array(u32, damaged, HCV_SCRUB_COPIES)
		__array(u32, media, HCV_SCRUB_COPIES)
		__array(u32, repaired, HCV_SCRUB_COPIES)
	),
	TP_fast_assign(
		__entry->minor = vol->minor;
		__entry->mib = mib;
		__entry->piece = piece;
		__entry->suspects = p->suspects;
		__entry->changed = p->verdict.changed;
		__entry->lost = p->verdict.lost;
		memcpy(__entry->damaged, p->verdict.damaged,
		       sizeof(__entry->damaged));
		memcpy(__entry->media, p->verdict.media,
		       sizeof(__entry->media));
		memcpy(__entry->repaired, p->done, sizeof(__entry->repaired));
	),
	TP_printk("hcivol%d mib=%u piece=%u suspects=%#x changed=%#x lost=%#x damaged=%#x,%#x,%#x,%#x media=%#x,%#x,%#x,%#x repaired=%#x,%#x,%#x,%#x",
		  __entry->minor, __entry->mib, __entry->piece,
		  __entry->suspects, __entry->changed, __entry->lost,
		  __entry->damaged[0], __entry->damaged[1],
		  __entry->damaged[2], __entry->damaged[3],
		  __entry->media[0], __entry->media[1],
		  __entry->media[2], __entry->media[3],
		  __entry->repaired[0], __entry->repaired[1],
		  __entry->repaired[2], __entry->repaired[3])
);

#endif /* HCV_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
