/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What waits for what, in debugfs.
 */
#ifndef HCV_DEBUGFS_H
#define HCV_DEBUGFS_H

/**
 * hcv_debugfs_init() - make the files
 *
 * Return: 0; a kernel without debugfs is none the worse for it.
 */
int hcv_debugfs_init(void);
/** hcv_debugfs_exit() - remove them; waits for who is reading */
void hcv_debugfs_exit(void);

#endif
