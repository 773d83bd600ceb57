/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of a volume's life cycle share: volume.c and handover.c.
 */
#ifndef HCV_VOLUME_PRIV_H
#define HCV_VOLUME_PRIV_H

#include "volume.h"

#define HCV_VOL_TICK_MS		HCV_BEACON_MS
#define HCV_VOL_DRAIN_MS	30000

/* volume.c */

/** hcv_vol_fail() - all I/O fails from now on, those who wait end now */
void hcv_vol_fail(struct hcv_vol *vol, u8 state);
/** hcv_vol_unlist() - give up the name, drop the list's reference; false: it was */
bool hcv_vol_unlist(struct hcv_vol *vol);
/** hcv_vol_set_dying() - commands under way end, later ones find it dying */
void hcv_vol_set_dying(struct hcv_vol *vol);
/** hcv_vol_wind_down() - take all down but the disk, which is gone or fails */
void hcv_vol_wind_down(struct hcv_vol *vol);
/** hcv_vol_zombie() - have what is left taken down by a work item; any context */
void hcv_vol_zombie(struct hcv_vol *vol);
/**
 * hcv_vol_flush_round() - what is dirty to the media
 * @ms: in that time, 0: without limit
 *
 * Return: 0, or an error, also while a replica's removal is awaited.
 */
int hcv_vol_flush_round(struct hcv_vol *vol, unsigned int ms);
/**
 * hcv_vol_hold() - hold new I/O, end what runs, flush; life_mutex held
 * @drain_ms: what runs has so much time, and the flush of it once more
 *
 * Return: 0, or an error: it goes on, and is in no hand-over.
 */
int hcv_vol_hold(struct hcv_vol *vol, unsigned int drain_ms,
		 struct netlink_ext_ack *extack);

/* handover.c */

/** hcv_vol_prepare() - a disk for a new volume, whose I/O waits for the start */
int hcv_vol_prepare(struct hcv_vol *vol, struct netlink_ext_ack *extack);
/**
 * hcv_vol_hand_still() - all is on the media, and nothing on its way there
 *
 * Of a volume that is HALTING and of which nothing runs: what a stop does as well,
 * all of it within @ms.  Return: 0, or an error: it is to go on.
 */
int hcv_vol_hand_still(struct hcv_vol *vol, unsigned int ms);

#endif /* HCV_VOLUME_PRIV_H */
