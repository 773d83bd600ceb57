/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * hcivol media format, version 1.0
 *
 * A store is one block device.  All numbers are little-endian, all addresses
 * are in bytes unless the name says otherwise, every structure fills whole
 * 4 KiB blocks, and every block that is not user data carries a CRC32C over
 * the whole block with the crc field taken as zero.
 *
 *   0            superblock, copy 0                          4 KiB
 *   512 KiB      superblock, copy 1                          4 KiB
 *   1 MiB        extent table: place 0, then place 1         2 x pages x 4 KiB
 *   vol_off      volume areas                                nr_vols x 256 KiB
 *   meta_off     metadata pages of all extents               nr_extents x 72 KiB
 *   data_off     data of all extents                         nr_extents x 256 MiB
 *
 * The offsets are multiples of 1 MiB and follow from the device size alone
 * (hcv_fmt_layout()); they are recorded too, and a superblock whose recorded
 * layout differs from the computed one is refused.
 *
 * Whatever changes in place has two places, and an update goes to the one
 * that does not hold the newest valid version.  The superblock is written to
 * both copies, one after the other with a FLUSH between them, so that
 * a damaged copy never brings back an older handle_next.
 */
#ifndef _UAPI_LINUX_HCIVOL_FORMAT_H
#define _UAPI_LINUX_HCIVOL_FORMAT_H

#include <linux/types.h>

#ifdef __cplusplus
#define HCV_ASSERT(cond, text)	static_assert(cond, text)
#else
#define HCV_ASSERT(cond, text)	_Static_assert(cond, text)
#endif

#define HCV_FMT_MAJOR		1
#define HCV_FMT_MINOR		0

/* Units: block (validity), slot (allocation), extent (placement). */
#define HCV_BLOCK_SIZE		4096U
#define HCV_BLOCK_SHIFT		12
#define HCV_SLOT_SHIFT		20
#define HCV_SLOT_SIZE		(1U << HCV_SLOT_SHIFT)
#define HCV_SLOT_BLOCKS		256U
#define HCV_EXTENT_SHIFT	28
#define HCV_EXTENT_SIZE		(1U << HCV_EXTENT_SHIFT)
#define HCV_EXTENT_SLOTS	256U		/* records with data behind them */
#define HCV_EXTENT_RECORDS	279U		/* 256..278 hold `zero` only */
#define HCV_PAGE_RECORDS	31U
#define HCV_EXTENT_PAGES	9U
#define HCV_EXTENT_META_SIZE	(2U * HCV_EXTENT_PAGES * HCV_BLOCK_SIZE)

#define HCV_SB_OFF0		0U
#define HCV_SB_OFF1		(512U << 10)
#define HCV_TABLE_OFF		(1U << 20)
#define HCV_STORE_MIN_SIZE	(1ULL << 30)
#define HCV_VOLAREA_SIZE	(256U << 10)
#define HCV_VOLPAGE_SIZE	(64U << 10)	/* one of two places */
#define HCV_VOLLOG_OFF		(128U << 10)	/* log space inside an area */
#define HCV_VOLLOG_SIZE		(64U << 10)
#define HCV_LOG_PAGES		8U		/* of a log, each in two places */
#define HCV_LOG_ENTRIES		992U		/* of a log page */
#define HCV_VOLS_MIN		16U
#define HCV_VOLS_MAX		4096U

#define HCV_UUID_SIZE		16
#define HCV_NAME_SIZE		64		/* with the terminating NUL */

/* A handle's address range as an export and a local gate present it. */
#define HCV_HANDLE_SHIFT	29		/* 512 MiB of address a handle */
#define HCV_HANDLE_META_OFF	(1ULL << HCV_EXTENT_SHIFT)
#define HCV_EXPORT_SHIFT	62		/* size of an export, bytes */
#define HCV_HANDLE_MAX		(1ULL << (HCV_EXPORT_SHIFT - HCV_HANDLE_SHIFT))
#define HCV_HANDLE_CHUNK	1024U		/* handles are reserved in these */
/*
 * Inside the handles of one grant: index 0 is the volume area (bytes
 * 0..256 KiB of it), index 1 + i is extent i of the volume: data below
 * HCV_HANDLE_META_OFF, its metadata pages from there, place 0 first.
 */
#define HCV_GRANT_VOLAREA	0U
#define HCV_GRANT_EXTENT(i)	(1U + (i))

#define HCV_SB_MAGIC		0x314c4f5649434848ULL	/* "HHCIVOL1" */
#define HCV_MAGIC_TABLE		0x54564348U		/* "HCVT" */
#define HCV_MAGIC_VOLPAGE	0x56564348U		/* "HCVV" */
#define HCV_MAGIC_PAGE		0x50564348U		/* "HCVP" */
#define HCV_MAGIC_CONTROL	0x43564348U		/* "HCVC" */
#define HCV_MAGIC_DONE		0x44564348U		/* "HCVD" */
#define HCV_MAGIC_LOG		0x4c564348U		/* "HCVL" */

/* Features.  Unknown incompat: refuse. Unknown ro_compat: read-only. */
#define HCV_F_COMPAT_LOG	(1ULL << 0)	/* areas may hold activity logs */
#define HCV_F_COMPAT_ALL	HCV_F_COMPAT_LOG
#define HCV_F_RO_COMPAT_ALL	0ULL
#define HCV_F_INCOMPAT_ALL	0ULL

/* Superblock flags. */
#define HCV_SB_CLEAN		(1U << 0)	/* closed in order */
#define HCV_SB_NO_LEASE		(1U << 1)	/* no lease out since then */
#define HCV_SB_F_ALL		(HCV_SB_CLEAN | HCV_SB_NO_LEASE)

/**
 * struct hcv_dsk_super - the superblock, two copies
 * @magic: HCV_SB_MAGIC
 * @crc: CRC32C over the 4 KiB with this field zero
 * @major: a reader refuses a major version it does not know
 * @minor: grows without an upgrade step
 * @own_off: byte address at which this copy was written
 * @compat: feature bits that any reader may ignore
 * @ro_compat: feature bits without which a store may only be read
 * @incompat: feature bits without which a store must be refused
 * @store: UUID of the store, never changes
 * @cluster: UUID of the cluster, or of the single node's own
 * @node: UUID of the node that opened the store last
 * @seq: grows with every update of the superblock
 * @dev_bytes: size of the device when formatted, multiple of 4 KiB
 * @lba_bytes: logical sector size when formatted, 512 or 4096
 * @flags: HCV_SB_*
 * @nr_extents: extents on this store
 * @nr_vols: volume areas on this store
 * @table_pages: extent table pages in one place
 * @vol_off: first volume area
 * @meta_off: first metadata page
 * @data_off: first extent's data
 * @handle_next: every handle below may have been given out
 * @incarnation: drawn at random by the open that wrote this copy
 * @format_time: seconds since 1970
 * @label: chosen by the operator, NUL terminated
 * @pad: zero
 */
struct hcv_dsk_super {
	__le64 magic;
	__le32 crc;
	__le16 major;
	__le16 minor;
	__le64 own_off;
	__le64 compat;
	__le64 ro_compat;
	__le64 incompat;
	__u8 store[HCV_UUID_SIZE];
	__u8 cluster[HCV_UUID_SIZE];
	__u8 node[HCV_UUID_SIZE];
	__le64 seq;
	__le64 dev_bytes;
	__le32 lba_bytes;
	__le32 flags;
	__le32 nr_extents;
	__le32 nr_vols;
	__le32 table_pages;
	__le32 pad0;
	__le64 vol_off;
	__le64 meta_off;
	__le64 data_off;
	__le64 handle_next;
	__le64 incarnation;
	__le64 format_time;
	__u8 label[HCV_NAME_SIZE];
	__u8 pad[4096 - 248];
};

HCV_ASSERT(sizeof(struct hcv_dsk_super) == 4096, "superblock size");

/* What a table entry says of its object. */
enum hcv_dsk_entry_state {
	HCV_ENTRY_FREE		= 0,
	HCV_ENTRY_USED		= 1,
};

/**
 * struct hcv_dsk_entry - one object of a store: an extent or a volume area
 * @volume: UUID of the volume it belongs to
 * @index: the extent's index in the volume; 0 for a volume area
 * @state: enum hcv_dsk_entry_state; all other fields are zero when free
 * @pad0: zero
 * @seq: store-wide allocation sequence
 * @pad: zero
 *
 * Entries 0 .. nr_extents - 1 are the extents, nr_vols more are the areas.
 * The object's metadata is zeroed and flushed before the entry is written.
 */
struct hcv_dsk_entry {
	__u8 volume[HCV_UUID_SIZE];
	__le32 index;
	__u8 state;
	__u8 pad0[3];
	__le64 seq;
	__u8 pad[32];
};

HCV_ASSERT(sizeof(struct hcv_dsk_entry) == 64, "table entry size");

#define HCV_TABLE_ENTRIES	63U

/**
 * struct hcv_dsk_table - one page of the extent table, two places
 * @magic: HCV_MAGIC_TABLE
 * @crc: CRC32C over the 4 KiB with this field zero
 * @store: UUID of the store
 * @page: which page of the table this is
 * @place: 0 or 1
 * @seq: the valid place with the higher sequence is the current one
 * @pad: zero
 * @entry: HCV_TABLE_ENTRIES entries
 */
struct hcv_dsk_table {
	__le32 magic;
	__le32 crc;
	__u8 store[HCV_UUID_SIZE];
	__le32 page;
	__le32 place;
	__le64 seq;
	__u8 pad[24];
	struct hcv_dsk_entry entry[HCV_TABLE_ENTRIES];
};

HCV_ASSERT(sizeof(struct hcv_dsk_table) == 4096, "table page size");

/**
 * struct hcv_dsk_gen - one generation of a volume
 * @id: number of the generation, from 1, never reused in a volume
 * @parent: the generation it was opened upon, 0 for the first
 * @flags: HCV_GEN_*
 * @pad: zero
 * @created: seconds since 1970
 */
struct hcv_dsk_gen {
	__le32 id;
	__le32 parent;
	__le32 flags;
	__le32 pad;
	__le64 created;
};

#define HCV_GEN_SEALED		(1U << 0)	/* a frozen snapshot */
#define HCV_GEN_DELETED		(1U << 1)	/* waits for its merge */
#define HCV_GEN_F_ALL		(HCV_GEN_SEALED | HCV_GEN_DELETED)

HCV_ASSERT(sizeof(struct hcv_dsk_gen) == 24, "generation size");

#define HCV_VOLPAGE_HEAD	256U
#define HCV_GENS_MAX		((HCV_VOLPAGE_SIZE - HCV_VOLPAGE_HEAD) / 24U)

/**
 * struct hcv_dsk_volpage - head of the volume page, two places of 64 KiB
 * @magic: HCV_MAGIC_VOLPAGE
 * @crc: CRC32C over @bytes bytes with this field zero
 * @bytes: length, head and generations, rounded up to 4 KiB
 * @place: 0 or 1
 * @volume: UUID of the volume
 * @lineage: lineage id, drawn anew by a forced choice
 * @epoch: highest epoch under which this volume was written
 * @v: highest version of the volume's record seen
 * @seq: together with @epoch orders the two places
 * @size_bytes: size of the volume
 * @stripe: columns: 1, 2 or 4
 * @replicas: wanted replicas: 1 to 3
 * @cur_gen: the generation that writes go to
 * @nr_gens: entries behind the head
 * @name: the volume's name when the page was written
 * @pad: zero
 */
struct hcv_dsk_volpage {
	__le32 magic;
	__le32 crc;
	__le32 bytes;
	__le32 place;
	__u8 volume[HCV_UUID_SIZE];
	__le64 lineage;
	__le64 epoch;
	__le64 v;
	__le64 seq;
	__le64 size_bytes;
	__le32 stripe;
	__le32 replicas;
	__le32 cur_gen;
	__le32 nr_gens;
	__u8 name[HCV_NAME_SIZE];
	__u8 pad[104];
};

HCV_ASSERT(sizeof(struct hcv_dsk_volpage) == HCV_VOLPAGE_HEAD,
	   "volume page head size");

/**
 * struct hcv_dsk_log - one page of a volume's activity log, two places
 * @magic: HCV_MAGIC_LOG
 * @crc: CRC32C over the 4 KiB with this field zero
 * @volume: UUID of the volume
 * @lineage: lineage id of the volume's content
 * @version: 1
 * @page: 0 .. HCV_LOG_PAGES - 1
 * @place: 0 or 1
 * @count: entries used
 * @epoch: epoch of the owner that wrote it
 * @seq: with @epoch orders the two places
 * @pad: zero
 * @mib: volume byte offset >> 20 of what may differ between the replicas; zero
 *	behind @count
 *
 * Page i is at byte HCV_VOLLOG_OFF + i * 4 KiB of the volume area, its place 1
 * HCV_LOG_PAGES * 4 KiB behind that.  The entries of the newest valid places of
 * all pages together are the log.  No field names a store: the logs of in-sync
 * replicas are written with the same images.
 */
struct hcv_dsk_log {
	__le32 magic;
	__le32 crc;
	__u8 volume[HCV_UUID_SIZE];
	__le64 lineage;
	__le16 version;
	__u8 page;
	__u8 place;
	__le32 count;
	__le64 epoch;
	__le64 seq;
	__u8 pad[72];
	__le32 mib[HCV_LOG_ENTRIES];
};

HCV_ASSERT(sizeof(struct hcv_dsk_log) == 4096, "log page size");
HCV_ASSERT(2 * HCV_LOG_PAGES * 4096 <= HCV_VOLLOG_SIZE, "log space");

enum hcv_dsk_rec_state {
	HCV_REC_FREE		= 0,	/* all other fields zero */
	HCV_REC_USED		= 1,
};

/**
 * struct hcv_dsk_rec - one slot of an extent
 * @mib: volume byte offset >> 20
 * @gen: generation that wrote it
 * @seq: allocation sequence within the volume; of two slots with the same
 *	@mib and @gen the higher one wins and the other is freed
 * @stamp: the record's v when the slot was last written; 0: never current
 * @state: enum hcv_dsk_rec_state
 * @pad0: zero
 * @pad: zero
 * @lo: low bit of each block's state, block 0 in bit 0 of word 0
 * @hi: high bit of each block's state
 *
 * A block is absent (00), data (lo only), zero (hi only) or elsewhere (both).
 */
struct hcv_dsk_rec {
	__le32 mib;
	__le32 gen;
	__le64 seq;
	__le64 stamp;
	__u8 state;
	__u8 pad0[7];
	__u8 pad[32];
	__le64 lo[4];
	__le64 hi[4];
};

HCV_ASSERT(sizeof(struct hcv_dsk_rec) == 128, "slot record size");

/**
 * struct hcv_dsk_page - one metadata page of an extent, two places
 * @magic: HCV_MAGIC_PAGE
 * @crc: CRC32C over the 4 KiB with this field zero
 * @volume: UUID of the volume
 * @lineage: lineage id of the volume's content
 * @extent: index of the extent in the volume
 * @page: 0 .. HCV_EXTENT_PAGES - 1
 * @place: 0 or 1
 * @pad0: zero
 * @epoch: epoch of the owner that wrote it
 * @seq: with @epoch orders the two places, grows with each write of the page
 * @marks: dirty marks, 16 slots each, bit i: records 16 i .. 16 i + 15 of the
 *	extent were written since the last FLUSH; zero in version 1.0
 * @pad: zero
 * @rec: records page * 31 .. page * 31 + 30
 *
 * A place that was never written is all zero.  No field names a store:
 * replicas of a page are equal.
 */
struct hcv_dsk_page {
	__le32 magic;
	__le32 crc;
	__u8 volume[HCV_UUID_SIZE];
	__le64 lineage;
	__le32 extent;
	__u8 page;
	__u8 place;
	__u8 pad0[2];
	__le64 epoch;
	__le64 seq;
	__le32 marks;
	__u8 pad[68];
	struct hcv_dsk_rec rec[HCV_PAGE_RECORDS];
};

HCV_ASSERT(sizeof(struct hcv_dsk_page) == 4096, "metadata page size");

#define HCV_CONTROL_REVOKED	160U
#define HCV_CONTROL_ALL		(1U << 0)	/* this client is not known */
#define HCV_CONTROL_MORE	(1U << 1)	/* the next window goes on */
#define HCV_CONTROL_F_ALL	(HCV_CONTROL_ALL | HCV_CONTROL_MORE)
#define HCV_CONTROL_WINDOWS	(1U << (HCV_EXTENT_SHIFT - HCV_BLOCK_SHIFT))

/**
 * struct hcv_dsk_control - what a read of an export's control window answers
 * @magic: HCV_MAGIC_CONTROL
 * @crc: CRC32C over the 4 KiB with this field zero
 * @version: 1
 * @flags: HCV_CONTROL_ALL: every grant of this client with an epoch is revoked;
 *	HCV_CONTROL_MORE: the list goes on in the next window
 * @store: UUID of the store
 * @incarnation: of the store's present open
 * @revoke_seq: grows whenever what is listed for a client of this store changes
 * @count: entries used
 * @window: which window this is, from 0
 * @pad: zero
 * @revoked: volumes of this client whose grants of epochs <= @epoch are gone
 *
 * Window i is at byte HCV_HANDLE_META_OFF + i * 4 KiB of handle 0.  Windows
 * with the same @revoke_seq make up one list.  An answer to window 0 extends
 * the leases of all volumes of the client that are not in the list; the client
 * counts it once it has seen all of the list.
 */
struct hcv_dsk_control {
	__le32 magic;
	__le32 crc;
	__le32 version;
	__le32 flags;
	__u8 store[HCV_UUID_SIZE];
	__le64 incarnation;
	__le64 revoke_seq;
	__le32 count;
	__le32 window;
	__u8 pad[200];
	struct {
		__u8 volume[HCV_UUID_SIZE];
		__le64 epoch;
	} revoked[HCV_CONTROL_REVOKED];
};

HCV_ASSERT(sizeof(struct hcv_dsk_control) == 4096, "control window size");

/**
 * struct hcv_dsk_done - what a client writes when it has let go of a volume
 * @magic: HCV_MAGIC_DONE
 * @crc: CRC32C over the 4 KiB with this field zero
 * @version: 1
 * @pad0: zero
 * @store: UUID of the store
 * @incarnation: of the store's open that gave the handles
 * @volume: the volume
 * @epoch: nothing of this client will ever act under it again, no I/O of it is
 *	in flight at the client
 * @pad: zero
 *
 * Written to window 0 (see struct hcv_dsk_control); changes no medium.  The
 * store ends the client's grants and leases of that volume and epoch.
 */
struct hcv_dsk_done {
	__le32 magic;
	__le32 crc;
	__le32 version;
	__le32 pad0;
	__u8 store[HCV_UUID_SIZE];
	__le64 incarnation;
	__u8 volume[HCV_UUID_SIZE];
	__le64 epoch;
	__u8 pad[4096 - 64];
};

HCV_ASSERT(sizeof(struct hcv_dsk_done) == 4096, "done message size");

#endif /* _UAPI_LINUX_HCIVOL_FORMAT_H */
