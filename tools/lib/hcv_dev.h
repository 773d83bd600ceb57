/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A block device, or a plain file in place of one, as user space sees it.
 *
 * Block devices are read and written past the page cache: the module does the
 * same, and neither sees what the other would have left there.
 */
#ifndef HCV_LIB_DEV_H
#define HCV_LIB_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Offsets, lengths and addresses of buffers are multiples of this. */
#define HCV_DEV_ALIGN		4096U

/**
 * struct hcv_dev - an open device
 * @fd: -1 when closed
 * @path: as given; belongs to the caller
 * @bytes: size of the device
 * @lba_bytes: logical sector size; 512 for a plain file
 * @block: a block device, not a file
 */
struct hcv_dev {
	int fd;
	const char *path;
	uint64_t bytes;
	uint32_t lba_bytes;
	bool block;
};

#define HCV_DEV_READ		0U
#define HCV_DEV_WRITE		(1U << 0)	/* and exclusively */

/**
 * hcv_dev_open() - open a device and learn its size
 * @err: gets a sentence with object, cause and remedy when this fails
 * @err_len: its size
 *
 * Return: 0, -ENOTBLK when it is neither block device nor file, -EBUSY when
 * a block device to be written is in use, or what the system said.
 */
int hcv_dev_open(struct hcv_dev *dev, const char *path, unsigned int mode,
		 char *err, size_t err_len);
void hcv_dev_close(struct hcv_dev *dev);

/**
 * hcv_dev_read() - read @len bytes at @off
 *
 * Return: 0 or a negative errno; -EIO also for what lies beyond the end.
 */
int hcv_dev_read(const struct hcv_dev *dev, uint64_t off, void *buf,
		 size_t len);
int hcv_dev_write(const struct hcv_dev *dev, uint64_t off, const void *buf,
		  size_t len);
/** hcv_dev_flush() - return when all that was written is on the medium */
int hcv_dev_flush(const struct hcv_dev *dev);
/** hcv_dev_alloc() - zeroed, aligned memory for free(), or NULL */
void *hcv_dev_alloc(size_t len);

#endif /* HCV_LIB_DEV_H */
