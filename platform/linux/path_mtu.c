/* The path's MTU, from the kernel's memory. Each ICMP "fragmentation needed" or "packet too big"
 * for a datagram of ours changes an exception of the route to that destination: only downwards,
 * only where a socket of ours has the ports that it quotes, and for ten minutes (RFC 1191 6.3, RFC
 * 8201 4; net.ipv4.route.mtu_expires, net.ipv6.route.mtu_expires). That is what we would do
 * ourselves with the sockets' error queues (IP_RECVERR), which would also hand us everybody's other
 * ICMP, and let it fail calls that send and receive. A connected socket shows what its route has
 * learned.
 *
 * Exceptions belong to a route by one interface, so each path has its own. But the kernel files
 * what comes for an unbound socket (udp.c's are) with the route that it would choose itself, which
 * may go by another interface than the path: a second socket, bound to the path's interface, is
 * asked what that one bears, a first one, bound to nothing but the source address, what was filed.
 * The lesser counts: at worst a path is taken to be as narrow as its neighbour for ten minutes.
 * What does not fit such a path all the same, and is IPv6, is lost: the kernel, which would have to
 * fragment it, does not know.
 *
 * Nobody is told that an exception has come or gone: who wants to know asks again. */
#include "platform/path_mtu.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/linux/sockaddr.h"

/* Errors are answers, too: this socket knows nothing. */
static uint32_t ask(int fd, const struct path *path, uint32_t mark, uint32_t interface)
{
    struct sockaddr_storage address;
    bool is_v4 = path->remote.ip.family == IP_V4;
    int mtu = 0;
    socklen_t mtu_len = sizeof(mtu);
    if (mark != 0 && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) != 0)
        return 0;
    if (interface != 0 &&
        setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &interface, sizeof(interface)) != 0)
        return 0;
    const struct endpoint from = {path->local.ip, 0};
    socklen_t len = sockaddr_write(&from, path->remote.ip.family, &address);
    if (from.ip.family == path->remote.ip.family && bind(fd, (struct sockaddr *)&address, len) != 0)
        return 0;
    len = sockaddr_write(&path->remote, path->remote.ip.family, &address);
    if (connect(fd, (struct sockaddr *)&address, len) != 0 ||
        getsockopt(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_MTU : IPV6_MTU, &mtu,
                   &mtu_len) != 0)
        return 0;
    return mtu > 0 ? (uint32_t)mtu : 0;
}

static uint32_t ask_once(const struct path *path, uint32_t mark, uint32_t interface)
{
    int family = path->remote.ip.family == IP_V4 ? AF_INET : AF_INET6;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    uint32_t mtu = ask(fd, path, mark, interface);
    close(fd);
    return mtu;
}

uint32_t path_mtu(const struct path *path, uint32_t mark)
{
    uint32_t least = path->remote.ip.family == IP_V4 ? PATH_MTU_MIN_V4 : PATH_MTU_MIN_V6;
    uint32_t mtu = ask_once(path, mark, 0);
    uint32_t of_interface = path->interface != 0 ? ask_once(path, mark, path->interface) : 0;
    if (mtu == 0 || (of_interface != 0 && of_interface < mtu))
        mtu = of_interface;
    return mtu != 0 && mtu < least ? least : mtu;
}
