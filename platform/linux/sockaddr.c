/* Both families; nothing here is a system call. */
#include "platform/linux/sockaddr.h"

#include <netinet/in.h>
#include <string.h>

socklen_t sockaddr_write(const struct endpoint *e, enum ip_family family,
                         struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (family == IP_V4) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret;
        in->sin_family = AF_INET;
        in->sin_port = htons(e->port);
        memcpy(&in->sin_addr, e->ip.bytes, 4);
        return sizeof(*in);
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(e->port);
    memcpy(&in6->sin6_addr, e->ip.bytes, 16);
    return sizeof(*in6);
}

struct endpoint sockaddr_read(const struct sockaddr_storage *s)
{
    if (s->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)s;
        return (struct endpoint){ip_from_span(span_make(&in->sin_addr, 4)), ntohs(in->sin_port)};
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)s;
    return (struct endpoint){ip_from_span(span_make(&in6->sin6_addr, 16)), ntohs(in6->sin6_port)};
}
