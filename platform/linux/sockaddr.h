/* Our addresses and the kernel's. */
#ifndef TERN_PLATFORM_LINUX_SOCKADDR_H
#define TERN_PLATFORM_LINUX_SOCKADDR_H

#include <sys/socket.h>

#include "common/base/addr.h"

/* family: the socket's; of an endpoint without one only the port counts (any address). Returns the
 * length for that family. */
socklen_t sockaddr_write(const struct endpoint *e, enum ip_family family,
                         struct sockaddr_storage *ret);
struct endpoint sockaddr_read(const struct sockaddr_storage *s);

#endif
