// SPDX-License-Identifier: GPL-2.0-only
/*
 * hcivol-inspect read: a volume's content from its stores alone.
 */
#include "pair.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Standard output; holes are left out where they can be. */
struct hcv_ins_sink {
	bool sparse;
	u64 hole;
};

static int hcv_ins_sink_put(struct hcv_ins_sink *sink, const u8 *buf,
			    size_t len)
{
	ssize_t n;

	if (sink->sparse && !memchr_inv(buf, 0, len)) {
		sink->hole += len;
		return 0;
	}
	if (sink->hole && lseek(STDOUT_FILENO, sink->hole, SEEK_CUR) < 0)
		return -errno;
	sink->hole = 0;
	for (; len; len -= n, buf += n) {
		n = write(STDOUT_FILENO, buf, len);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return -errno;
	}
	return 0;
}

static void hcv_ins_sink_init(struct hcv_ins_sink *sink)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);
	struct stat st;

	sink->hole = 0;
	/* Only behind the end of a file are holes zeroes. */
	sink->sparse = flags >= 0 && !(flags & O_APPEND) &&
		!fstat(STDOUT_FILENO, &st) && S_ISREG(st.st_mode) &&
		lseek(STDOUT_FILENO, 0, SEEK_CUR) == st.st_size;
}

static int hcv_ins_sink_end(struct hcv_ins_sink *sink)
{
	off_t end;

	if (!sink->hole)
		return 0;
	end = lseek(STDOUT_FILENO, sink->hole, SEEK_CUR);
	if (end < 0 || ftruncate(STDOUT_FILENO, end))
		return -errno;
	return 0;
}

/* One MiB of the volume. */
static int hcv_ins_read_mib(const struct hcv_ins_vol *vol, u32 mib, u8 *buf)
{
	const struct hcv_ins_slot *slot, *next;
	u32 block, nr;
	int ret;

	if (hcv_ins_vol_empty(vol, mib)) {
		memset(buf, 0, HCV_SLOT_SIZE);
		return 0;
	}
	for (block = 0; block < HCV_SLOT_BLOCKS; block += nr) {
		ret = hcv_ins_vol_find(vol, mib, block, &slot);
		if (ret) {
			hcv_ins_error("byte %llu of the volume is held by a store that is not given: name it too",
				      ((u64)mib << HCV_SLOT_SHIFT) +
				      ((u64)block << HCV_BLOCK_SHIFT));
			return ret;
		}
		for (nr = 1; block + nr < HCV_SLOT_BLOCKS; nr++)
			if (hcv_ins_vol_find(vol, mib, block + nr, &next) ||
			    next != slot)
				break;
		if (!slot)
			memset(buf + (block << HCV_BLOCK_SHIFT), 0,
			       (size_t)nr << HCV_BLOCK_SHIFT);
		else
			ret = hcv_ins_vol_read(vol, slot, block, nr,
					       buf + (block << HCV_BLOCK_SHIFT));
		if (ret)
			return ret;
	}
	return 0;
}

static int hcv_ins_read_range(const struct hcv_ins_vol *vol, u64 off, u64 end)
{
	u8 *buf = hcv_dev_alloc(HCV_SLOT_SIZE);
	struct hcv_ins_sink sink;
	u64 in, n;
	int ret = buf ? 0 : -ENOMEM;

	hcv_ins_sink_init(&sink);
	for (; !ret && off < end; off += n) {
		in = off % HCV_SLOT_SIZE;
		n = min(HCV_SLOT_SIZE - in, end - off);
		ret = hcv_ins_read_mib(vol, off >> HCV_SLOT_SHIFT, buf);
		if (ret)
			break;
		ret = hcv_ins_sink_put(&sink, buf + in, n);
		if (ret)
			hcv_ins_error("cannot write to standard output: %s",
				      strerror(-ret));
	}
	if (!ret) {
		ret = hcv_ins_sink_end(&sink);
		if (ret)
			hcv_ins_error("cannot write to standard output: %s",
				      strerror(-ret));
	}
	free(buf);
	return ret;
}

static int hcv_ins_read_vol(struct hcv_ins_vol *vol,
			    const struct hcv_ins_args *args)
{
	u64 size = vol->main->vp.vp.size_bytes, end;

	if (args->offset > size) {
		hcv_ins_error("the volume ends at byte %llu, before %llu",
			      size, args->offset);
		return -EINVAL;
	}
	end = args->length < size - args->offset ?
		args->offset + args->length : size;
	if (args->length != U64_MAX && end - args->offset != args->length) {
		hcv_ins_error("the volume ends at byte %llu, before the end of the range",
			      size);
		return -EINVAL;
	}
	return hcv_ins_read_range(vol, args->offset, end);
}

int hcv_ins_cmd_read(struct hcv_ins_args *args)
{
	struct hcv_ins_store *store = calloc(args->nr_devs, sizeof(*store));
	struct hcv_ins_vol *vol = calloc(1, sizeof(*vol));
	int ret;
	u32 i;

	if (!store || !vol) {
		hcv_ins_error("out of memory");
		free(vol);
		free(store);
		return HCV_INS_FAILED;
	}
	ret = hcv_ins_stores_open(store, args) == args->nr_devs ? 0 : -EINVAL;
	for (i = 0; !ret && i < args->nr_devs; i++)
		if (!hcv_ins_store_intact(&store[i]))
			ret = -EUCLEAN;
	if (!ret)
		ret = hcv_ins_vol_open(vol, store, args->nr_devs,
				       args->volume);
	if (!ret && args->pair)
		ret = hcv_ins_pair_open(vol, &store[0], &store[1]);
	if (!ret)
		ret = hcv_ins_vol_load(vol, args->generation);
	if (!ret)
		ret = hcv_ins_read_vol(vol, args);
	hcv_ins_vol_close(vol);
	for (i = 0; i < args->nr_devs; i++)
		hcv_ins_store_close(&store[i]);
	free(vol);
	free(store);
	return ret ? HCV_INS_FAILED : HCV_INS_OK;
}
