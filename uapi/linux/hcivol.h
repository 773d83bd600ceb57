/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * hcivol generic netlink family, version 1
 *
 * hcivold (the agent) drives the module with these commands; nothing else
 * does.  The module never decides who owns a volume or which replicas are
 * in-sync: it reports, waits for the agent's word, and refuses words that
 * are out of date.
 *
 * All commands that change something, and the event group, need CAP_NET_ADMIN
 * in the initial user namespace.  Unknown attributes, unknown flag bits, wrong
 * lengths and out-of-range values get -EINVAL with a sentence in the extended
 * ack.  UUIDs are 16 bytes.  u64 attributes are aligned with HCV_A_PAD.
 * Every "add", "grant" and "revoke" may be repeated: the same request again
 * gives the same answer, so that an agent that was killed can start over.
 *
 * HCV_CMD_MODULE_GET
 *	-> VERSION, ABI, BOOT_ID, FEATURES, NODE and CLUSTER if set
 * HCV_CMD_NODE_SET	NODE, CLUSTER
 *	Names this node.  -EBUSY if another name is set and a store is open.
 *
 * HCV_CMD_STORE_OPEN	PATH [STORE]
 *	Opens a formatted block device.  -EUCLEAN: not a store, or damaged;
 *	-EPROTONOSUPPORT: a copy of its superblock is of a newer format;
 *	-EEXIST: that store is open already under another path; -ESTALE: it
 *	belongs to another cluster.  Answers as STORE_GET.
 * HCV_CMD_STORE_CLOSE	STORE
 *	-EBUSY while exports, grants or attached volumes use it.
 * HCV_CMD_STORE_GET	STORE, or dump
 *	-> STORE PATH LABEL INCARNATION DEV_BYTES LBA_BYTES NR_EXTENTS
 *	   NR_EXTENTS_USED NR_VOLS NR_VOLS_USED STORE_FLAGS, counters of all
 *	   I/O to its device
 * HCV_CMD_STORE_EXTENT_ADD	STORE VOL INDEXES
 *	Allocates and formats the extents, and the volume's area with the
 *	first one.  -ENOSPC: none of the missing ones was allocated.
 * HCV_CMD_STORE_EXTENT_DEL	STORE VOL [INDEXES]
 *	Frees them; without INDEXES all extents and the area of the volume.
 *	-EBUSY while a grant of the volume is live.
 * HCV_CMD_STORE_EXTENT_WITHDRAW	STORE VOL INDEXES
 *	Frees them although grants of the volume are live: these do not see
 *	them from now on, and I/O with their handles is refused for ever.
 *	-EINPROGRESS until all I/O that was let in before has ended, to whichever
 *	extent: repeat the call.  It is for extents of which the volume's owner
 *	has dropped the rows.
 * HCV_CMD_STORE_EXTENT_GET	STORE, dump
 *	-> one message per volume: VOL INDEXES (a volume with more than 4,096
 *	   extents comes in several messages)
 *
 * HCV_CMD_EXPORT_ADD	STORE NODE
 *	Makes the block device that nvmet serves to client NODE.
 *	-> STORE NODE DEVNAME ("hcvx3")
 * HCV_CMD_EXPORT_DEL	STORE NODE	-EBUSY while it is open or has grants.
 * HCV_CMD_EXPORT_GET	dump
 *
 * HCV_CMD_GRANT	STORE VOL EPOCH NODE COUNT [RENEW]
 *	Hands out COUNT consecutive handles to client NODE (this node: the
 *	local gate); answers FIRST COUNT INCARNATION RENEW.  A repeat with a
 *	larger COUNT adds a range: the answer carries all ranges in order
 *	(HCV_A_RANGES).  -ESTALE: the epoch is revoked here.  -ENOENT: the
 *	store has nothing of this volume.
 *	A RENEW above that of the grant there is lets go of its handles at
 *	once and hands out new ones when the last I/O through the old ones has
 *	ended; until then -EINPROGRESS: repeat the call.  A RENEW below it is
 *	-ESTALE; none, or 0, takes the grant as it is.
 * HCV_CMD_REVOKE	STORE VOL EPOCH [RENEW]
 *	Revokes every grant of the volume with an epoch <= EPOCH, at once and
 *	for ever in this incarnation.  -> INFLIGHT LEASE_MS; both zero: fenced.
 *	Until then -EINPROGRESS is not used: repeat the call.
 *	With RENEW only handles of just this EPOCH with a lower renewal are let go
 *	of, at once and for ever; the epoch goes on, higher renewals are granted.
 *	LEASE_MS is 0 then.
 * HCV_CMD_GRANT_GET	dump
 *	-> STORE VOL EPOCH NODE RANGES INFLIGHT LEASE_MS GRANT_FLAGS RENEW
 *
 * HCV_CMD_VOL_CREATE	VOL NAME SIZE STRIPE REPLICAS EPOCH V LINEAGE QUEUE
 *			[VOL_FLAGS] [POLICY] [POLICY_MS] [SYNC_KIBPS] [HANDOVER_MS]
 *	A volume without a disk yet. Answers MINOR.  -EEXIST.  With VOL_FLAGS
 *	LOG it keeps an activity log on every in-sync store: whoever starts it
 *	next after an unclean stop need not copy all to the others.
 *	With the flag PREPARED the disk is made at once: it can be opened, its I/O
 *	waits (HANDOVER) until VOL_START, and fails after HANDOVER_MS (2,000 if
 *	absent) for as long as VOL_START has not begun.  Nothing reads it for
 *	partitions before the start.
 *	With the flag DISKLESS VOL_START makes no disk: nobody can open the
 *	volume, replicas are brought up to date and leave as of any other.
 *	Not together with PREPARED.
 * HCV_CMD_VOL_LINK_ADD	VOL EPOCH STORE LINK_STATE RANGES INCARNATION
 *			[PATH] [LINK_FLAGS] [BASE SINCE]
 *	Ties the volume to a store: PATH is the remote device, absent for a
 *	store of this node.  LINK_STATE is INSYNC before the start, SYNCING
 *	after it; INSYNC after the start only to bring back a LOST link with
 *	the same incarnation.  A store that was tied by a PATH before is tied
 *	again only with handles above all that it had: -ESTALE, since writes
 *	through the old ones may still be on their way (GRANT with RENEW).
 *	With the flag TEMP it is a temporary replica: for the store BASE, which is OUT
 *	or SYNCING and has all up to version SINCE.  No row names it: it has an
 *	extent for each of which BASE has a full copy.  It gets all writes, is filled
 *	with slots whose stamp is above SINCE, and is JOINING when it has
 *	them: it counts for acknowledgments and FLUSH, and nothing reads from it.
 *	-EOPNOTSUPP: the volume has no LOG; -EBUSY: there is another one, BASE takes
 *	part, a row names STORE, or the volume is suspended; -E2BIG: an extent
 *	has as many replicas as there may be.
 *	A link that is there is given further RANGES by the same command with its
 *	present LINK_STATE, flags and BASE.
 * HCV_CMD_VOL_LINK_DEL	VOL EPOCH STORE
 *	Drops a link that is OUT.  -EBUSY: still in-sync.
 * HCV_CMD_VOL_LINK_DROP	VOL EPOCH STORE
 *	The agent finds an in-sync store too slow, or needs it no more: as if it
 *	had failed, so the record has to let go of it before writes are
 *	acknowledged.  -EBUSY: it has the last in-sync copy of something, another
 *	one is on its way in or out, or the volume is not ACTIVE.  Nothing
 *	happens to one that is FAILING or OUT.
 * HCV_CMD_VOL_EXTENT_ADD	VOL EPOCH EXTENTS
 *	Rows: struct hcv_nl_extent each.  Known rows with the same content
 *	are ignored; a known row with further stores extends it.
 *	One that is retired is usable again.
 * HCV_CMD_VOL_EXTENT_RETIRE	VOL EPOCH COLUMN COUNT [INDEXES READY]
 *	Up to COUNT extents of the column that are idle, but none of INDEXES (32
 *	at most), are used no more; READY idle ones are left.  VOL_GET shows them as
 *	SETTLING until a FLUSH round that began after that has ended well, as
 *	SETTLED from then on: nothing is sent to them any more.  At most 64 are
 *	retired at a time.  -EBUSY while a replica is being brought up to date,
 *	and none begins to be while extents are retired.
 * HCV_CMD_VOL_EXTENT_DEL	VOL EPOCH INDEXES
 *	Forgets extents that are SETTLED, for those of which the rows are gone.
 *	Unknown ones are skipped.  -EBUSY: one is not SETTLED.
 * HCV_CMD_VOL_START	VOL EPOCH V [STORE]
 *	Flushes all links, loads the pages (from STORE, else from the best),
 *	gives new stamps to what the activity logs name, empties these, and
 *	makes the disk, unless the volume is DISKLESS.  Takes as long as reading the pages does.
 *	A link that gives an error is left out, and has failed when this returns
 *	0, as it does if the others have all extents.  If they have not, it is an
 *	error and no link has failed for that.
 * HCV_CMD_VOL_SUSPEND	VOL EPOCH [VOL_FLAGS: HANDOVER]
 *	Holds new I/O, ends what is in flight, flushes, writes the volume page.
 *	With HANDOVER it flushes before as well, while I/O goes on, empties the
 *	activity log, leaves the volume page as it is, and gives up sooner: -EBUSY:
 *	a failed replica is not yet removed.  VOL_GET shows the flag from the end
 *	of it on.  Nothing but a command ends that state; until then nothing is
 *	written to any store.
 * HCV_CMD_VOL_RESUME	VOL EPOCH
 * HCV_CMD_VOL_STOP	VOL [VOL_FLAGS: FORCE or HANDOVER]
 *	Without FORCE: -EBUSY while open; flushes, closes.  With FORCE: I/O
 *	fails from now on, the name and the epoch are given up within 5 s; the
 *	disk stays as a zombie until stuck I/O has ended.  When all of it has
 *	ended every store that answers is told, which ends the leases there.
 *	With HANDOVER, of a volume suspended with that flag which another node owns
 *	by now: as with FORCE, but the stores have been told when the command
 *	returns, and the disk stays, failing all I/O, until it is closed.
 * HCV_CMD_VOL_SET	VOL EPOCH [SIZE] [NAME] [POLICY] [POLICY_MS] [VOL_FLAGS]
 *			[SYNC_KIBPS] [HANDOVER_MS] [QUEUE]
 *	VOL_FLAGS, READONLY or 0, of an ACTIVE volume that is DISKLESS: the disk
 *	is made, with QUEUE or, if that is absent, the one of VOL_CREATE.
 *	SYNC_KIBPS counts for resyncs that are under way from their next 128 KiB
 *	on; HCV_SYNC_PAUSED holds them.  HANDOVER_MS is 0: this node owns a
 *	PREPARED volume by now, its I/O waits without limit.
 * HCV_CMD_VOL_CONFIRM	VOL EPOCH V STORE INCARNATION LINK_STATE
 *	The record was changed: STORE is OUT or INSYNC as of version V.
 *	-ESTALE: another epoch, an older V, or another incarnation.  -ERANGE:
 *	OUT, but the store took writes under V: the record has to move on.
 *	INSYNC of a temporary replica that is JOINING: the record has the mark that
 *	it covers its base.  It stays JOINING.
 * HCV_CMD_VOL_SCRUB	VOL EPOCH SCRUB_OP [SCRUB_KIBPS]
 *	START begins a pass that compares the in-sync replicas and repairs what
 *	differs; when one is under way it gets the limit.  SCRUB_KIBPS bounds
 *	what is read from one replica; none, or 0: no limit.  STOP asks it to
 *	end, and does not wait.  -EBUSY: the volume is not active, or a pass
 *	that was stopped is just ending.
 * HCV_CMD_VOL_NOSPACE	VOL EPOCH COLUMN
 *	No store can give another extent: writes waiting for one get ENOSPC.
 * HCV_CMD_VOL_FENCE	VOL EPOCH
 *	The record names another owner: every I/O fails from now on.
 * HCV_CMD_VOL_GET	VOL, or dump
 *	-> all of the above, VOL_STATE, WAIT_* of the longest wait, counters,
 *	   those of the activity log (LOG_*);
 *	   nested HCV_A_WAITS, one for each thing that some I/O waits for:
 *	   WAIT WAIT_COUNT WAIT_MS;
 *	   nested HCV_A_LINK, one per link: STORE LINK_STATE STATE_MS
 *	   INCARNATION LEASE_MS FIRST (first handle of its newest tie by a
 *	   PATH) ERRNO SYNC_*, INFLIGHT (I/Os at its device),
 *	   STALL_MS (for how long none has come back, when some are out), and
 *	   counters of all I/O to it, metadata pages and resync included;
 *	   of a temporary replica LINK_FLAGS (TEMP, NAMED: all of its pages have
 *	   been written, COVERS: the mark is confirmed), BASE SINCE HELD (blocks,
 *	   those never written of slots that it has whole included); SYNC_TOTAL
 *	   and SYNC_DONE count slots that are to be filled then;
 *	   nested HCV_A_SCRUB when there was a pass since the attach:
 *	   SCRUB_STATE SCRUB_PASS SCRUB_KIBPS SCRUB_TOTAL SCRUB_READ
 *	   SCRUB_CHANGED SCRUB_DAMAGED SCRUB_MEDIA SCRUB_LOST SCRUB_BEGUN_MS
 *	   [SCRUB_ENDED_MS], and nested HCV_A_LINK, one per store: STORE
 *	   SCRUB_RESULT SCRUB_COVERED SCRUB_MISSED SCRUB_DAMAGED SCRUB_MEDIA
 *	   SCRUB_REPAIRED SCRUB_FAILED SCRUB_PAGES
 * HCV_CMD_VOL_STATS_GET	dump, [VOL]
 *	-> VOL, HIST_READ, HIST_WRITE, HIST_FLUSH: arrays of HCV_HIST_BUCKETS
 *	   u64; bucket i counts latencies of [2^i, 2^(i+1)) microseconds (of
 *	   1,024 ns), bucket 0 those below 2, the last one everything longer;
 *	   nested HCV_A_LINK, one per link: STORE and the same three.
 * HCV_CMD_STORE_STATS_GET	dump, [STORE]
 *	-> STORE, HIST_READ, HIST_WRITE, HIST_FLUSH of all I/O to its device.
 *
 * HCV_CMD_EVENT (multicast group "events"), also found by VOL_GET as state,
 * so that a lost event loses nothing; after a loss a receive gives ENOBUFS:
 *	EVENT, EVENT_SEQ, TIME_NS and what the event is about.
 */
#ifndef _UAPI_LINUX_HCIVOL_H
#define _UAPI_LINUX_HCIVOL_H

#include <linux/types.h>

#define HCV_GENL_NAME		"hcivol"
#define HCV_GENL_VERSION	1
#define HCV_GENL_GROUP_EVENTS	"events"
#define HCV_ABI			1

#define HCV_MAX_LINKS		32	/* stores of one volume */
#define HCV_MAX_REPLICAS	4	/* of one extent, one joining included */
#define HCV_HIST_BUCKETS	28

enum hcv_cmd {
	HCV_CMD_UNSPEC			= 0,
	HCV_CMD_MODULE_GET		= 1,
	HCV_CMD_NODE_SET		= 2,
	HCV_CMD_STORE_OPEN		= 3,
	HCV_CMD_STORE_CLOSE		= 4,
	HCV_CMD_STORE_GET		= 5,
	HCV_CMD_STORE_EXTENT_ADD	= 6,
	HCV_CMD_STORE_EXTENT_DEL	= 7,
	HCV_CMD_STORE_EXTENT_GET	= 8,
	HCV_CMD_EXPORT_ADD		= 9,
	HCV_CMD_EXPORT_DEL		= 10,
	HCV_CMD_EXPORT_GET		= 11,
	HCV_CMD_GRANT			= 12,
	HCV_CMD_REVOKE			= 13,
	HCV_CMD_GRANT_GET		= 14,
	HCV_CMD_VOL_CREATE		= 15,
	HCV_CMD_VOL_LINK_ADD		= 16,
	HCV_CMD_VOL_LINK_DEL		= 17,
	HCV_CMD_VOL_EXTENT_ADD		= 18,
	HCV_CMD_VOL_START		= 19,
	HCV_CMD_VOL_SUSPEND		= 20,
	HCV_CMD_VOL_RESUME		= 21,
	HCV_CMD_VOL_STOP		= 22,
	HCV_CMD_VOL_SET			= 23,
	HCV_CMD_VOL_CONFIRM		= 24,
	HCV_CMD_VOL_NOSPACE		= 25,
	HCV_CMD_VOL_FENCE		= 26,
	HCV_CMD_VOL_GET			= 27,
	HCV_CMD_VOL_STATS_GET		= 28,
	HCV_CMD_EVENT			= 29,
	HCV_CMD_STORE_STATS_GET		= 30,
	HCV_CMD_STORE_EXTENT_WITHDRAW	= 31,
	HCV_CMD_VOL_EXTENT_RETIRE	= 32,
	HCV_CMD_VOL_EXTENT_DEL		= 33,
	HCV_CMD_VOL_SCRUB		= 34,
	HCV_CMD_VOL_LINK_DROP		= 35,
	__HCV_CMD_MAX
};

#define HCV_CMD_MAX (__HCV_CMD_MAX - 1)

enum hcv_attr {
	HCV_A_UNSPEC		= 0,
	HCV_A_PAD		= 1,
	HCV_A_VERSION		= 2,	/* string */
	HCV_A_ABI		= 3,	/* u32 */
	HCV_A_BOOT_ID		= 4,	/* u64, random at module load */
	HCV_A_NODE		= 5,	/* uuid */
	HCV_A_CLUSTER		= 6,	/* uuid */
	HCV_A_STORE		= 7,	/* uuid */
	HCV_A_PATH		= 8,	/* string */
	HCV_A_LABEL		= 9,	/* string */
	HCV_A_INCARNATION	= 10,	/* u64 */
	HCV_A_DEV_BYTES		= 11,	/* u64 */
	HCV_A_LBA_BYTES		= 12,	/* u32 */
	HCV_A_NR_EXTENTS	= 13,	/* u32 */
	HCV_A_NR_EXTENTS_USED	= 14,	/* u32 */
	HCV_A_NR_VOLS		= 15,	/* u32 */
	HCV_A_NR_VOLS_USED	= 16,	/* u32 */
	HCV_A_STORE_FLAGS	= 17,	/* u32 HCV_STORE_F_* */
	HCV_A_VOL		= 18,	/* uuid */
	HCV_A_INDEXES		= 19,	/* array of u32 */
	HCV_A_DEVNAME		= 20,	/* string, without /dev/ */
	HCV_A_EPOCH		= 21,	/* u64 */
	HCV_A_COUNT		= 22,	/* u32 */
	HCV_A_FIRST		= 23,	/* u64 */
	HCV_A_RANGES		= 24,	/* array of struct hcv_nl_range */
	HCV_A_INFLIGHT		= 25,	/* u32 */
	HCV_A_LEASE_MS		= 26,	/* u32 */
	HCV_A_GRANT_FLAGS	= 27,	/* u32 HCV_GRANT_F_* */
	HCV_A_NAME		= 28,	/* string, [A-Za-z0-9._-]{1,63} */
	HCV_A_SIZE		= 29,	/* u64, bytes, multiple of 4096 */
	HCV_A_STRIPE		= 30,	/* u32: 1, 2, 4 */
	HCV_A_REPLICAS		= 31,	/* u32: 1..3 */
	HCV_A_V			= 32,	/* u64 */
	HCV_A_LINEAGE		= 33,	/* u64 */
	HCV_A_QUEUE		= 34,	/* u32 enum hcv_queue */
	HCV_A_VOL_FLAGS		= 35,	/* u32 HCV_VOL_F_* */
	HCV_A_POLICY		= 36,	/* u32 enum hcv_policy */
	HCV_A_POLICY_MS		= 37,	/* u32: HCV_POLICY_ERROR acts after it */
	HCV_A_MINOR		= 38,	/* u32: N of /dev/hcivolN */
	HCV_A_LINK_STATE	= 39,	/* u32 enum hcv_link_state */
	HCV_A_LINK_FLAGS	= 40,	/* u32 HCV_LINK_F_* */
	HCV_A_EXTENTS		= 41,	/* array of struct hcv_nl_extent */
	HCV_A_COLUMN		= 42,	/* u32 */
	HCV_A_VOL_STATE		= 43,	/* u32 enum hcv_vol_state */
	HCV_A_WAIT		= 44,	/* u32 enum hcv_wait: longest wait */
	HCV_A_WAIT_MS		= 45,	/* u64: since when */
	HCV_A_WAIT_COUNT	= 46,	/* u32: I/Os waiting */
	HCV_A_LINK		= 47,	/* nested */
	HCV_A_OPENERS		= 48,	/* u32 */
	HCV_A_READY		= 49,	/* u32: free data slots, all columns */
	HCV_A_COL_READY		= 50,	/* u32s: free extents of each column */
	HCV_A_READ_IOS		= 51,	/* u64 counters from here */
	HCV_A_WRITE_IOS		= 52,
	HCV_A_FLUSH_IOS		= 53,
	HCV_A_DISCARD_IOS	= 54,
	HCV_A_READ_BYTES	= 55,
	HCV_A_WRITE_BYTES	= 56,
	HCV_A_DISCARD_BYTES	= 57,
	HCV_A_ERRORS		= 58,
	HCV_A_SYNC_TOTAL	= 59,	/* u64 bytes to look at or copy */
	HCV_A_SYNC_DONE		= 60,	/* u64 */
	HCV_A_SYNC_COPIED	= 61,	/* u64 bytes really copied */
	HCV_A_SYNC_KIBPS	= 62,	/* u32 limit of each resync, 0: none */
	HCV_A_MISSED_MIBS	= 63,	/* u32 */
	HCV_A_USED_SLOTS	= 64,	/* u64 slots with data */
	HCV_A_META_BYTES	= 65,	/* u64 kernel memory of the map */
	HCV_A_EVENT		= 66,	/* u32 enum hcv_event */
	HCV_A_EVENT_SEQ		= 67,	/* u64 */
	HCV_A_TIME_NS		= 68,	/* u64 CLOCK_BOOTTIME */
	HCV_A_TEXT		= 69,	/* string: the cause, for people */
	HCV_A_HIST_READ		= 70,	/* array of u64 */
	HCV_A_HIST_WRITE	= 71,	/* array of u64 */
	HCV_A_HIST_FLUSH	= 72,	/* array of u64 */
	HCV_A_ERRNO		= 73,	/* u32: positive errno of the cause */
	HCV_A_UNFLUSHED_MIBS	= 74,	/* u32 */
	HCV_A_STATE_MS		= 75,	/* u64: in the present state */
	HCV_A_STALL_MS		= 76,	/* u64: I/O is out, none came back */
	HCV_A_WAITS		= 77,	/* nested */
	HCV_A_RENEW		= 78,	/* u64 renewal number of a grant */
	HCV_A_NEXT_INDEX	= 79,	/* u32: above all indexes it ever had */
	HCV_A_COL_IDLE		= 80,	/* u32s: extents that may be retired */
	HCV_A_SETTLING		= 81,	/* array of u32: retired just now */
	HCV_A_SETTLED		= 82,	/* array of u32: may be deleted */
	HCV_A_LOG_ENTRIES	= 83,	/* u32 mibs in the activity log */
	HCV_A_LOG_NAMED		= 84,	/* u32 mibs it named at the start */
	HCV_A_LOG_MISSES	= 85,	/* u64 times a write waited for it */
	HCV_A_LOG_WRITES	= 86,	/* u64 pages of it written */
	HCV_A_LOG_DROPPED	= 87,	/* u64 entries that made room */
	HCV_A_SCRUB_OP		= 88,	/* u32 enum hcv_scrub_op */
	HCV_A_SCRUB_KIBPS	= 89,	/* u32 limit, 0: none */
	HCV_A_SCRUB		= 90,	/* nested: the newest pass */
	HCV_A_SCRUB_STATE	= 91,	/* u32 enum hcv_scrub_state */
	HCV_A_SCRUB_PASS	= 92,	/* u64: passes since the attach */
	HCV_A_SCRUB_TOTAL	= 93,	/* u64 blocks, when it began */
	HCV_A_SCRUB_READ	= 94,	/* u64 blocks looked at */
	HCV_A_SCRUB_CHANGED	= 95,	/* u64 blocks changed under write */
	HCV_A_SCRUB_DAMAGED	= 96,	/* u64 blocks that differed */
	HCV_A_SCRUB_MEDIA	= 97,	/* u64 blocks refused, or not steady */
	HCV_A_SCRUB_LOST	= 98,	/* u64 blocks that no replica gives */
	HCV_A_SCRUB_BEGUN_MS	= 99,	/* u64: since its begin */
	HCV_A_SCRUB_ENDED_MS	= 100,	/* u64: since its end */
	HCV_A_SCRUB_RESULT	= 101,	/* u32 enum hcv_scrub_result */
	HCV_A_SCRUB_COVERED	= 102,	/* u64 blocks read from the replica */
	HCV_A_SCRUB_MISSED	= 103,	/* u64 blocks that were not */
	HCV_A_SCRUB_REPAIRED	= 104,	/* u64 blocks written again */
	HCV_A_SCRUB_FAILED	= 105,	/* u64 blocks that could not be */
	HCV_A_SCRUB_PAGES	= 106,	/* u64 bad metadata pages */
	HCV_A_HANDOVER_MS	= 107,	/* u32: limit of I/O that waits */
	HCV_A_FEATURES		= 108,	/* u32 HCV_FEATURE_* */
	HCV_A_BASE		= 109,	/* uuid: store that is stood in for */
	HCV_A_SINCE		= 110,	/* u64: it has all up to this v */
	HCV_A_HELD		= 111,	/* u64 blocks of a temporary replica */
	__HCV_A_MAX
};

#define HCV_A_MAX (__HCV_A_MAX - 1)

enum hcv_queue {
	HCV_QUEUE_MQ		= 0,
	HCV_QUEUE_BIO		= 1,
};

/* What to do with I/O that has no usable replica, or no agent. */
enum hcv_policy {
	HCV_POLICY_SUSPEND	= 0,	/* wait for as long as it takes */
	HCV_POLICY_ERROR	= 1,	/* EIO after POLICY_MS */
};

#define HCV_VOL_F_READONLY	(1U << 0)
#define HCV_VOL_F_FORCE		(1U << 1)	/* VOL_STOP only */
#define HCV_VOL_F_COPY_WRITES	(1U << 2)
#define HCV_VOL_F_LOG		(1U << 3)	/* VOL_CREATE: keep a log */
#define HCV_VOL_F_PREPARED	(1U << 4)	/* NEW, with a disk that waits */
#define HCV_VOL_F_HANDOVER	(1U << 5)	/* SUSPENDED for a hand-over */
#define HCV_VOL_F_DISKLESS	(1U << 6)	/* nobody can open it */
#define HCV_VOL_F_ALL \
	(HCV_VOL_F_READONLY | HCV_VOL_F_FORCE | HCV_VOL_F_COPY_WRITES | \
	 HCV_VOL_F_LOG | HCV_VOL_F_PREPARED | HCV_VOL_F_HANDOVER | \
	 HCV_VOL_F_DISKLESS)

/* HANDOVER_MS of VOL_CREATE is at most that. */
#define HCV_HANDOVER_MS_MAX	60000

/* What a module knows beyond the first version; absent: nothing of these. */
#define HCV_FEATURE_HANDOVER	(1U << 0)	/* PREPARED and HANDOVER */
#define HCV_FEATURE_RETIRE	(1U << 1)	/* RENEW in REVOKE */
#define HCV_FEATURE_DISKLESS	(1U << 2)	/* DISKLESS, QUEUE in VOL_SET */
#define HCV_FEATURE_TEMP	(1U << 3)	/* the link flag TEMP */
#define HCV_FEATURE_ALL \
	(HCV_FEATURE_HANDOVER | HCV_FEATURE_RETIRE | HCV_FEATURE_DISKLESS | \
	 HCV_FEATURE_TEMP)

/*
 * SYNC_KIBPS: nothing is copied.  A resync keeps what it has, takes all new
 * writes, and joins if nothing is left to be copied.
 */
#define HCV_SYNC_PAUSED		0xffffffffU

#define HCV_STORE_F_FAILED	(1U << 0)	/* an I/O error latched it */
#define HCV_STORE_F_READONLY	(1U << 1)
#define HCV_STORE_F_ALL		(HCV_STORE_F_FAILED | HCV_STORE_F_READONLY)

#define HCV_GRANT_F_REVOKED	(1U << 0)	/* or retired by a renewal */
#define HCV_GRANT_F_DONE	(1U << 1)	/* its owner has let go of it */
#define HCV_GRANT_F_ALL		(HCV_GRANT_F_REVOKED | HCV_GRANT_F_DONE)

#define HCV_LINK_F_FULL		(1U << 0)	/* trust no stamp: copy all */
#define HCV_LINK_F_UNFIT	(1U << 1)	/* VOL_GET: the start failed for it */
#define HCV_LINK_F_TEMP		(1U << 2)	/* a temporary replica */
#define HCV_LINK_F_NAMED	(1U << 3)	/* VOL_GET: its pages are there */
#define HCV_LINK_F_COVERS	(1U << 4)	/* VOL_GET: the mark was confirmed */
#define HCV_LINK_F_ADD		(HCV_LINK_F_FULL | HCV_LINK_F_TEMP)
#define HCV_LINK_F_ALL \
	(HCV_LINK_F_ADD | HCV_LINK_F_UNFIT | HCV_LINK_F_NAMED | \
	 HCV_LINK_F_COVERS)

enum hcv_vol_state {
	HCV_VOL_NEW		= 0,	/* being put together */
	HCV_VOL_LOADING		= 1,
	HCV_VOL_ACTIVE		= 2,
	HCV_VOL_SUSPENDED	= 3,	/* see WAIT */
	HCV_VOL_STOPPING	= 4,
	HCV_VOL_FENCED		= 5,	/* fails all I/O */
	HCV_VOL_ZOMBIE		= 6,	/* waits for its last I/O */
	__HCV_VOL_STATES
};

enum hcv_link_state {
	HCV_LINK_OUT		= 0,	/* no I/O */
	HCV_LINK_INSYNC		= 1,
	HCV_LINK_FAILING	= 2,	/* failed, removal not confirmed */
	HCV_LINK_LOST		= 3,	/* failed as the last in-sync one */
	HCV_LINK_SYNCING	= 4,
	HCV_LINK_JOINING	= 5,	/* equal; addition not confirmed */
	__HCV_LINK_STATES
};

/* What an I/O, or the volume, waits for. */
enum hcv_wait {
	HCV_WAIT_NONE		= 0,
	HCV_WAIT_CONFIRM	= 1,	/* agent: removal of a replica */
	HCV_WAIT_EXTENT		= 2,	/* agent: space */
	HCV_WAIT_REPLICA	= 3,	/* no usable replica */
	HCV_WAIT_LEASE		= 4,	/* lease ran out */
	HCV_WAIT_SUSPEND	= 5,	/* asked by the agent */
	HCV_WAIT_BUSY		= 6,	/* another write of the block */
	HCV_WAIT_FLUSH		= 7,	/* a flush round */
	HCV_WAIT_IO		= 8,	/* the device beneath */
	HCV_WAIT_MEMORY		= 9,	/* an allocation; tried again soon */
	HCV_WAIT_LOG		= 10,	/* an entry of the activity log */
	HCV_WAIT_HANDOVER	= 11,	/* another node's agent, and ours */
	__HCV_WAITS
};

/* What VOL_SCRUB asks for. */
enum hcv_scrub_op {
	HCV_SCRUB_OP_START	= 1,	/* or another limit for the one there is */
	HCV_SCRUB_OP_STOP	= 2,
	__HCV_SCRUB_OPS
};

enum hcv_scrub_state {
	HCV_SCRUB_NONE		= 0,	/* never begun */
	HCV_SCRUB_RUNNING	= 1,
	HCV_SCRUB_PAUSED	= 2,	/* waits: replicas settle, or it is suspended */
	HCV_SCRUB_DONE		= 3,
	HCV_SCRUB_STOPPED	= 4,	/* before its end */
	__HCV_SCRUB_STATES
};

/* What a pass says of a replica. */
enum hcv_scrub_result {
	HCV_SCRUBBED_UNCOVERED	= 0,	/* not all of it was read */
	HCV_SCRUBBED_GOOD	= 1,	/* read and equal, or made so */
	HCV_SCRUBBED_BAD	= 2,	/* something could not be repaired */
	__HCV_SCRUBBED
};

enum hcv_event {
	HCV_EVENT_NONE		= 0,
	/* VOL STORE EPOCH V INCARNATION ERRNO: wants VOL_CONFIRM */
	HCV_EVENT_LINK_FAILED	= 1,
	HCV_EVENT_NEED_EXTENT	= 2,	/* VOL EPOCH COLUMN */
	/* VOL STORE EPOCH INCARNATION: JOINING, wants VOL_CONFIRM */
	HCV_EVENT_SYNC_DONE	= 3,
	HCV_EVENT_VOL_STATE	= 4,	/* VOL VOL_STATE WAIT */
	HCV_EVENT_LINK_STATE	= 5,	/* VOL STORE LINK_STATE */
	HCV_EVENT_STORE_FAILED	= 6,	/* STORE TEXT */
	HCV_EVENT_MEDIA_ERROR	= 7,	/* STORE [VOL] TEXT */
	/* STORE VOL EPOCH: by REVOKE, or its client has let go of it */
	HCV_EVENT_REVOKED	= 8,
	HCV_EVENT_SCRUB_FOUND	= 9,	/* VOL STORE EPOCH TEXT */
	HCV_EVENT_SCRUB_ENDED	= 10,	/* VOL EPOCH */
	__HCV_EVENTS
};

/**
 * struct hcv_nl_range - a range of handles
 * @first: first handle
 * @base: grant index of the first handle
 * @count: number of handles
 */
struct hcv_nl_range {
	__u64 first;
	__u32 base;
	__u32 count;
};

#define HCV_EXT_F_FRESH		(1U << 0)	/* just formatted, all absent */
#define HCV_EXT_F_ALL		HCV_EXT_F_FRESH

/**
 * struct hcv_nl_extent - one row of a volume
 * @index: the extent's index in the volume
 * @column: stripe column, below the volume's stripe
 * @nr: stores used in @store, 1 .. HCV_MAX_REPLICAS
 * @flags: HCV_EXT_F_*
 * @full: bit i: the copy on store[i] is full as far as its link is in-sync
 * @store: the stores' UUIDs; unused entries are zero
 */
struct hcv_nl_extent {
	__u32 index;
	__u8 column;
	__u8 nr;
	__u8 flags;
	__u8 full;
	__u8 store[HCV_MAX_REPLICAS][16];
};

#endif /* _UAPI_LINUX_HCIVOL_H */
