/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Media structures as text, one "name value" a line.
 *
 * All print into a stdio stream, and print decoded structures only.  The
 * output is what lies beside the golden images: it is stable.
 */
#ifndef HCV_LIB_DUMP_H
#define HCV_LIB_DUMP_H

#include <stdio.h>

#include "format.h"

/** hcv_dump_uuid() - @uuid as text in a static buffer, one of four in turn */
const char *hcv_dump_uuid(const u8 *uuid);
/** hcv_dump_error() - a decoder's errno in words */
const char *hcv_dump_error(int err);
/** hcv_dump_rec_count() - blocks of @rec in @state: 0 absent .. 3 elsewhere */
u32 hcv_dump_rec_count(const struct hcv_rec *rec, u32 state);

void hcv_dump_super(FILE *out, const struct hcv_super *sb);
/** hcv_dump_table() - used entries of a checked page of the extent table */
void hcv_dump_table(FILE *out, const void *buf);
void hcv_dump_entry(FILE *out, u32 nr, const struct hcv_entry *ent);
/** hcv_dump_page() - a checked metadata page @id with its used records */
void hcv_dump_page(FILE *out, const void *buf, const struct hcv_page_id *id,
		   u64 epoch, u64 seq);
void hcv_dump_volpage(FILE *out, const void *buf, const struct hcv_volpage *vp);
/** hcv_dump_log() - a checked page @id of an activity log */
void hcv_dump_log(FILE *out, const void *buf, const struct hcv_log_id *id,
		  u64 epoch, u64 seq, u32 count);
void hcv_dump_control(FILE *out, const void *buf,
		      const struct hcv_control *ctl);
void hcv_dump_done(FILE *out, const struct hcv_done *done);

#endif /* HCV_LIB_DUMP_H */
