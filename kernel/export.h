/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exports: one sparse block device per (client node, store), /dev/hcvxN, that
 * the in-tree NVMe target serves.  Its address is handle + offset; a
 * bio is remapped to the store after the gate has let it in.
 */
#ifndef HCV_EXPORT_H
#define HCV_EXPORT_H

#include "store.h"

/** hcv_export_add() - returns the minor N of hcvxN, or an error; idempotent */
int hcv_export_add(struct hcv_store *store, const uuid_t *client);
int hcv_export_del(struct hcv_store *store, const uuid_t *client);
/** hcv_export_each() - call @fn for each export until it returns non-zero */
int hcv_export_each(int (*fn)(struct hcv_store *store, const uuid_t *client,
			      int minor, void *arg), void *arg, int skip);
/** hcv_export_busy() - whether @store has any export */
bool hcv_export_busy(struct hcv_store *store);

int hcv_export_init(void);
void hcv_export_exit(void);

#endif /* HCV_EXPORT_H */
