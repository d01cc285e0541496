/* What the process lacks, in the same words wherever it shows. Implemented in privileges.c. */
#ifndef TERN_PLATFORM_LINUX_PERMISSION_H
#define TERN_PLATFORM_LINUX_PERMISSION_H

#include "common/base/err.h"

/* The hint for a refusal that CAP_NET_ADMIN would have avoided. */
void permission_hint_net_admin(struct fault *f);

/* /dev/net/tun, non-blocking and close-on-exec; the fault has the line that mends a refusal. */
CHECKED enum err permission_open_tun(int *ret_fd, struct fault *f);

#endif
