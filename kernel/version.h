/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HCV_VERSION_H
#define HCV_VERSION_H

#define HCV_VERSION "0.1.0"

#endif /* HCV_VERSION_H */
