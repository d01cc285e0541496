/* What the kernel has learned of a path's MTU. */
#ifndef TERN_PLATFORM_PATH_MTU_H
#define TERN_PLATFORM_PATH_MTU_H

#include "common/base/addr.h"

enum { PATH_MTU_MIN_V4 = 576, PATH_MTU_MIN_V6 = 1280 };

/* Octets of the longest IP packet that this path bears as far as is known, at least the above; 0
 * where nothing is. path: remote required, local and interface honoured where set; mark: of the
 * sockets that send on it (0: none). A few system calls; nothing is sent. */
uint32_t path_mtu(const struct path *path, uint32_t mark);

#endif
