/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two fronts share.
 */
#ifndef HCV_FRONT_H
#define HCV_FRONT_H

#include <linux/blkdev.h>

#include "compat.h"

struct hcv_vol;

void hcv_front_limits(struct hcv_vol *vol, struct hcv_disk_limits *l);
void hcv_front_free_disk(struct gendisk *disk);
int hcv_front_open(HCV_COMPAT_OPEN_ARGS);
void hcv_front_release(HCV_COMPAT_RELEASE_ARGS);

int hcv_mq_alloc(struct hcv_vol *vol);
/** hcv_mq_free() - the tags, after the disk */
void hcv_mq_free(struct hcv_vol *vol);
int hcv_mq_front_init(void);
void hcv_mq_front_exit(void);
int hcv_bio_alloc(struct hcv_vol *vol);
int hcv_bio_front_init(void);
void hcv_bio_front_exit(void);

#endif /* HCV_FRONT_H */
