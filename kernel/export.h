/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exports: one sparse block device per (client node, store), /dev/hcvxN, that
 * the in-tree NVMe target serves.  Its address is handle + offset; a
 * bio is remapped to the store after the gate has let it in.
 */
#ifndef HCV_EXPORT_H
#define HCV_EXPORT_H

#include "store.h"

/**
 * hcv_export_add() - make the export of @store for @client
 *
 * Context: process.
 * Return: the minor N of hcvxN, of the existing one when repeated, or an error.
 */
int hcv_export_add(struct hcv_store *store, const uuid_t *client);
/**
 * hcv_export_del() - remove an export
 *
 * Context: process.
 * Return: 0, -ENOENT, or -EBUSY: it is open, or the client has grants here.
 */
int hcv_export_del(struct hcv_store *store, const uuid_t *client,
		   struct netlink_ext_ack *extack);

/**
 * struct hcv_export_info - an export as hcv_export_each() shows it
 */
struct hcv_export_info {
	const struct hcv_store *store;
	const uuid_t *client;
	int minor;
	u32 openers;
	struct hcv_stats stats;
};

/**
 * hcv_export_each() - call @fn for each export from minor @from on, ascending
 *
 * Until @fn returns non-zero; @fn must not call this file.
 * Return: what the last @fn returned, or 0.
 */
int hcv_export_each(int from,
		    int (*fn)(const struct hcv_export_info *info, void *arg),
		    void *arg);
/** hcv_export_busy() - whether @store has any export */
bool hcv_export_busy(struct hcv_store *store);

int hcv_export_init(void);
void hcv_export_exit(void);

#endif /* HCV_EXPORT_H */
