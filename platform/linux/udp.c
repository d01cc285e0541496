/* UDP sockets for IKE and ESP. Unconnected and bound to any address, so that one socket serves
 * every path; the path of each datagram travels in control data (IP_PKTINFO, IPV6_PKTINFO), and so
 * does its TOS octet (IP_TOS, IPV6_TCLASS). DF is set on all but what is sent as fragmentable: path
 * MTU is the caller's business. With IPv6 a datagram says for itself that it may be cut
 * (IPV6_DONTFRAG); with IPv4 that is a property of the socket, and one that is changed to and fro
 * would be wrong for what another thread sends just then. So there is a second one, with our port
 * (SO_REUSEPORT). It hears nothing: it is bound to the dummy address, which nothing is sent to (RFC
 * 7600), and says with each datagram where that comes from.
 *
 * Where an IPv6 datagram names its source address, Linux takes the interface of IPV6_PKTINFO for a
 * wish: the route of the best metric wins, and what should go by the second network goes by the
 * first. Only a socket that is bound to a device is routed strictly. So what names an interface is
 * sent by a socket of that interface's own, with our port (SO_REUSEPORT). It hears nothing: it is
 * connected to a port that nobody sends from, and all that arrives is the first socket's. */
#include "platform/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/tally.h"
#include "platform/linux/sockaddr.h"

struct udp {
    int fd;
    int cutting; /* with IPv4, for what may be fragmented; else -1 */
    uint32_t mark;
    bool offload;
    enum ip_family family;
    uint16_t port;
};

enum { BOUND = 4 };

/* A socket that sends by one interface; interface 0: none. */
struct bound {
    uint32_t interface;
    int fd;
};

struct udp_sender {
    const struct udp *u;
    bool trains; /* are taken, as far as we know */
    struct tally too_long;
    struct bound bound[BOUND];
    size_t next_bound; /* which is the oldest */
};

enum { BUFFER_BYTES = 7 * 1024 * 1024, DISCARD_PORT = 9 };

/* Room for all three messages, of either family. */
union control {
    struct cmsghdr first;
    char v4[CMSG_SPACE(sizeof(struct in_pktinfo)) + 2 * CMSG_SPACE(sizeof(int))];
    char v6[CMSG_SPACE(sizeof(struct in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int))];
};

/* --- opening --- */

static bool set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* IPv6: what does not say otherwise is not cut, what does is. */
static bool set_dont_fragment(int fd, enum ip_family family)
{
    if (family == IP_V4)
        return set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
    return set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_WANT) &&
           set(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
}

/* FORCE passes the system's limit where we have the capability. */
static void enlarge(int fd)
{
    if (!set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES))
        (void)set(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES);
    if (!set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES))
        (void)set(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES);
}

static bool configure(const struct udp *u, int fd)
{
    bool ok = set_dont_fragment(fd, u->family);
    if (u->family == IP_V4)
        ok = ok && set(fd, IPPROTO_IP, IP_PKTINFO, 1) && set(fd, IPPROTO_IP, IP_RECVTOS, 1);
    else
        ok = ok && set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
             set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
             set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    if (ok && u->mark != 0)
        ok = set(fd, SOL_SOCKET, SO_MARK, (int)u->mark);
    enlarge(fd);
    return ok;
}

static int open_socket(const struct udp *u)
{
    return socket(u->family == IP_V4 ? AF_INET : AF_INET6,
                  SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static bool bind_to(struct udp *u, const struct udp_options *o)
{
    struct sockaddr_storage address;
    struct endpoint e = {o->address, o->port};
    socklen_t len = sockaddr_write(&e, u->family, &address);
    if (bind(u->fd, (struct sockaddr *)&address, len) != 0)
        return false;
    len = sizeof(address);
    if (getsockname(u->fd, (struct sockaddr *)&address, &len) != 0)
        return false;
    u->port = sockaddr_read(&address).port;
    /* Only now: the port is not to be shared with another program of ours. */
    return set(u->fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

/* Nothing is sent to it, and it is no address of ours. */
static bool open_cutting(struct udp *u)
{
    const struct endpoint dummy = {ip_v4(192, 0, 0, 8), u->port};
    struct sockaddr_storage address;
    if (u->family != IP_V4)
        return true;
    u->cutting = open_socket(u);
    socklen_t len = sockaddr_write(&dummy, IP_V4, &address);
    return u->cutting >= 0 && configure(u, u->cutting) &&
           set(u->cutting, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT) &&
           set(u->cutting, IPPROTO_IP, IP_FREEBIND, 1) &&
           set(u->cutting, SOL_SOCKET, SO_REUSEPORT, 1) &&
           bind(u->cutting, (struct sockaddr *)&address, len) == 0;
}

enum err udp_open(const struct udp_options *o, struct udp **ret, struct fault *f)
{
    if (o->address.family != IP_V4 && o->address.family != IP_V6)
        return fault_set(f, ERR_MALFORMED, "a UDP socket needs an address family");
    struct udp *u = calloc(1, sizeof(*u));
    if (u == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for a UDP socket");
    u->family = o->address.family;
    u->mark = o->mark;
    u->offload = o->offload;
    u->cutting = -1;
    u->fd = open_socket(u);
    if (o->offload) /* a kernel without it gives them one by one */
        (void)set(u->fd, IPPROTO_UDP, UDP_GRO, 1);
    if (u->fd < 0 || !configure(u, u->fd) || !bind_to(u, o) || !open_cutting(u)) {
        struct endpoint e = {o->address, o->port};
        char text[ENDPOINT_TEXT_MAX];
        enum err err = fault_set(f, ERR_SYSTEM, "cannot open UDP %s: %s", endpoint_format(&e, text),
                                 strerror(errno));
        udp_close(u);
        return err;
    }
    *ret = u;
    return ERR_OK;
}

void udp_close(struct udp *u)
{
    if (u == NULL)
        return;
    if (u->cutting >= 0)
        close(u->cutting);
    if (u->fd >= 0)
        close(u->fd);
    free(u);
}

int udp_fd(const struct udp *u)
{
    return u->fd;
}

uint16_t udp_port(const struct udp *u)
{
    return u->port;
}

enum ip_family udp_family(const struct udp *u)
{
    return u->family;
}

/* --- receiving --- */

static void read_control(struct msghdr *m, uint16_t port, struct udp_message *r)
{
    struct path *path = &r->path;
    path->local = (struct endpoint){.port = port};
    path->interface = 0;
    r->tos = 0;
    r->segment = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            path->local.ip = ip_from_span(span_make(&info.ipi_addr, 4));
            path->interface = (uint32_t)info.ipi_ifindex;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            path->local.ip = ip_from_span(span_make(&info.ipi6_addr, 16));
            path->interface = info.ipi6_ifindex;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
            r->tos = *CMSG_DATA(c); /* one octet here, and an int below */
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
            int tclass;
            memcpy(&tclass, CMSG_DATA(c), sizeof(tclass));
            r->tos = (uint8_t)tclass;
        } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(c), sizeof(segment));
            r->segment = segment > 0 ? (size_t)segment : 0;
        }
    }
}

/* Left on the socket by an ICMP message for an earlier datagram: anybody can send those. */
static bool is_icmp_hint(int error)
{
    return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
           error == EHOSTDOWN || error == EPROTO || error == ENOPROTOOPT || error == EMSGSIZE ||
           error == EINTR;
}

enum err udp_receive(struct udp *u, struct udp_message *m, size_t count, size_t *ret_count)
{
    struct mmsghdr headers[UDP_BATCH_MAX];
    struct iovec iov[UDP_BATCH_MAX];
    struct sockaddr_storage from[UDP_BATCH_MAX];
    union control control[UDP_BATCH_MAX];
    if (count > UDP_BATCH_MAX)
        count = UDP_BATCH_MAX;
    for (size_t i = 0; i < count; i++) {
        iov[i] = (struct iovec){m[i].data, m[i].cap};
        headers[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &from[i],
                                                  .msg_namelen = sizeof(from[i]),
                                                  .msg_iov = &iov[i],
                                                  .msg_iovlen = 1,
                                                  .msg_control = &control[i],
                                                  .msg_controllen = sizeof(control[i])}};
    }
    int n = -1;
    for (unsigned tries = 0; n < 0 && tries < UDP_BATCH_MAX; tries++) {
        n = recvmmsg(u->fd, headers, (unsigned)count, MSG_DONTWAIT, NULL);
        if (n < 0 && !is_icmp_hint(errno))
            break;
    }
    *ret_count = 0;
    if (n < 0)
        return errno == EAGAIN || is_icmp_hint(errno) ? ERR_AGAIN : ERR_SYSTEM;
    for (int i = 0; i < n; i++) {
        struct udp_message *r = &m[i];
        r->len = headers[i].msg_len;
        if ((headers[i].msg_hdr.msg_flags & MSG_TRUNC) != 0)
            r->len = 0; /* no datagram of ours is that long */
        read_control(&headers[i].msg_hdr, u->port, r);
        r->path.remote = sockaddr_read(&from[i]);
    }
    *ret_count = (size_t)n;
    return ERR_OK;
}

bool udp_next_datagram(const struct udp_message *m, size_t *at, struct span *ret)
{
    if (*at > 0 && *at >= m->len)
        return false;
    size_t left = m->len - *at;
    size_t len = m->segment != 0 && m->segment < left ? m->segment : left;
    *ret = span_make(m->data + *at, len);
    *at += len > 0 ? len : 1;
    return true;
}

/* --- sending --- */

enum err udp_sender_new(const struct udp *u, struct udp_sender **ret)
{
    struct udp_sender *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return ERR_MEMORY;
    s->u = u;
    s->trains = u->offload;
    *ret = s;
    return ERR_OK;
}

void udp_sender_free(struct udp_sender *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < BOUND; i++) {
        if (s->bound[i].interface != 0)
            close(s->bound[i].fd);
    }
    free(s);
}

uint64_t udp_too_long(const struct udp_sender *s)
{
    return tally_read(&s->too_long);
}

/* Behind what is there; each message begins aligned. */
static void put_control(struct msghdr *h, union control *control, int level, int type,
                        const void *info, size_t len)
{
    struct cmsghdr *c = (struct cmsghdr *)((char *)control + h->msg_controllen);
    memset(c, 0, CMSG_SPACE(len));
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), info, len);
    h->msg_control = control;
    h->msg_controllen += CMSG_SPACE(len);
}

/* The socket that cuts has to be told also where the kernel is to choose. */
static void write_source(const struct udp *u, int fd, const struct path *path, struct msghdr *h,
                         union control *control)
{
    const struct ip *local = &path->local.ip;
    if (local->family != u->family && path->interface == 0 && fd != u->cutting)
        return;
    if (u->family == IP_V4) {
        struct in_pktinfo info = {.ipi_ifindex = (int)path->interface};
        memcpy(&info.ipi_spec_dst, local->bytes, 4);
        put_control(h, control, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = path->interface};
        memcpy(&info.ipi6_addr, local->bytes, 16);
        put_control(h, control, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
}

static bool is_train(const struct udp_message *m)
{
    return m->segment != 0 && m->segment < m->len;
}

/* Of trains alone: some kernels do not like it said of a single datagram. */
static void write_segment(const struct udp_message *m, struct msghdr *h, union control *control)
{
    uint16_t len = (uint16_t)m->segment;
    if (is_train(m))
        put_control(h, control, IPPROTO_UDP, UDP_SEGMENT, &len, sizeof(len));
}

/* A socket's own TOS octet is 0, and a message that says so would cost something for nothing. */
static void write_tos(const struct udp *u, int tos, struct msghdr *h, union control *control)
{
    if (tos == 0)
        return;
    if (u->family == IP_V4)
        put_control(h, control, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
    else
        put_control(h, control, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
}

static void write_fragmentable(struct msghdr *h, union control *control)
{
    int dont_fragment = 0;
    put_control(h, control, IPPROTO_IPV6, IPV6_DONTFRAG, &dont_fragment, sizeof(dont_fragment));
}

static enum err send_error(int error)
{
    switch (error) {
    case EAGAIN:
    case ENOBUFS:
    case EINTR:
        return ERR_AGAIN;
    case EMSGSIZE:
        return ERR_LIMIT;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENODEV:
    case ENXIO:
    case EADDRNOTAVAIL:
    case EINVAL: /* a source address that has gone */
        return ERR_NOT_FOUND;
    case EPERM:
    case EACCES:
        return ERR_REFUSED;
    default:
        return ERR_SYSTEM;
    }
}

/* The kernel did not take it. */
static enum err refused(struct udp_sender *s, int error)
{
    if (error == EMSGSIZE)
        tally_add(&s->too_long, 1);
    return send_error(error);
}

/* A socket that sends by that path's interface; -1 with errno. */
static int open_bound(const struct udp *u, const struct path *path)
{
    const struct endpoint ours = {(struct ip){.family = u->family}, u->port};
    const struct endpoint nobody = {path->remote.ip, DISCARD_PORT};
    struct sockaddr_storage address;
    int fd = open_socket(u);
    if (fd < 0)
        return -1;
    socklen_t len = sockaddr_write(&ours, u->family, &address);
    bool ok = configure(u, fd) && set(fd, SOL_SOCKET, SO_REUSEPORT, 1) &&
              set(fd, SOL_SOCKET, SO_BINDTOIFINDEX, (int)path->interface) &&
              bind(fd, (struct sockaddr *)&address, len) == 0;
    len = sockaddr_write(&nobody, u->family, &address);
    if (ok && connect(fd, (struct sockaddr *)&address, len) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* The socket for a path. Where there can be none of its own, the kernel's choice has to do. */
static int socket_for(struct udp_sender *s, const struct path *path, int *ret_error)
{
    const struct udp *u = s->u;
    *ret_error = 0;
    if (u->family == IP_V4 || path->interface == 0 || path->local.ip.family != u->family)
        return u->fd;
    for (size_t i = 0; i < BOUND; i++) {
        if (s->bound[i].interface == path->interface)
            return s->bound[i].fd;
    }
    int fd = open_bound(u, path);
    if (fd < 0) {
        *ret_error = errno == EPERM || errno == ENOPROTOOPT ? 0 : errno;
        return u->fd;
    }
    struct bound *oldest = &s->bound[s->next_bound];
    s->next_bound = (s->next_bound + 1) % BOUND;
    if (oldest->interface != 0)
        close(oldest->fd);
    *oldest = (struct bound){path->interface, fd};
    return fd;
}

/* How many messages, from the first on, leave by the same socket. */
static size_t run_length(const struct udp *u, const struct udp_message *m, size_t count)
{
    size_t n = 1;
    while (n < count &&
           (u->family == IP_V4 || (m[n].path.interface == m[0].path.interface &&
                                   m[n].path.local.ip.family == m[0].path.local.ip.family)))
        n++;
    return n;
}

static enum err send_batch(struct udp_sender *s, int fd, const struct udp_message *m, size_t count,
                           bool fragmentable, size_t *ret_count)
{
    const struct udp *u = s->u;
    struct mmsghdr headers[UDP_BATCH_MAX];
    struct iovec iov[UDP_BATCH_MAX];
    struct sockaddr_storage to[UDP_BATCH_MAX];
    union control control[UDP_BATCH_MAX];
    for (size_t i = 0; i < count; i++) {
        iov[i] = (struct iovec){m[i].data, m[i].len};
        headers[i] =
            (struct mmsghdr){.msg_hdr = {.msg_name = &to[i], .msg_iov = &iov[i], .msg_iovlen = 1}};
        headers[i].msg_hdr.msg_namelen = sockaddr_write(&m[i].path.remote, u->family, &to[i]);
        write_source(u, fd, &m[i].path, &headers[i].msg_hdr, &control[i]);
        write_tos(u, m[i].tos, &headers[i].msg_hdr, &control[i]);
        write_segment(&m[i], &headers[i].msg_hdr, &control[i]);
        if (fragmentable && u->family == IP_V6)
            write_fragmentable(&headers[i].msg_hdr, &control[i]);
    }
    *ret_count = 0;
    unsigned hints = 0;
    while (*ret_count < count) {
        int n = sendmmsg(fd, headers + *ret_count, (unsigned)(count - *ret_count), 0);
        if (n > 0)
            *ret_count += (size_t)n;
        else if (errno != ECONNREFUSED || ++hints > UDP_BATCH_MAX)
            return refused(s, errno);
    }
    return ERR_OK;
}

/* The datagrams of a train as messages of their own, as udp_next_datagram has them. */
static bool next_of(const struct udp_message *train, size_t *at, struct udp_message *ret)
{
    struct span datagram;
    if (!udp_next_datagram(train, at, &datagram))
        return false;
    *ret = *train;
    ret->data += datagram.data - train->data;
    ret->len = datagram.len;
    ret->segment = 0;
    return true;
}

/* One by one: the kernel does not fragment what it cuts. */
static enum err send_fragmentable(struct udp_sender *s, int fd, const struct udp_message *m)
{
    const struct udp *u = s->u;
    struct udp_message one;
    enum err e = ERR_OK;
    size_t at = 0, sent;
    while (e == ERR_OK && next_of(m, &at, &one))
        e = send_batch(s, u->family == IP_V4 ? u->cutting : fd, &one, 1, true, &sent);
    return e;
}

/* A train that was not taken whole. Where its datagrams are taken one by one, and none of them is
 * too long for the path, it is trains that the kernel does not like. */
static enum err send_apart(struct udp_sender *s, int fd, const struct udp_message *train)
{
    struct udp_message one;
    enum err e = ERR_OK;
    bool fits = true;
    size_t at = 0, sent;
    while (e == ERR_OK && next_of(train, &at, &one)) {
        e = send_batch(s, fd, &one, 1, false, &sent);
        fits = fits && e != ERR_LIMIT;
        if (e == ERR_LIMIT)
            e = send_fragmentable(s, fd, &one);
    }
    if (e == ERR_OK && fits)
        s->trains = false;
    return e;
}

/* As many as the kernel takes at once, then a train apart. */
static enum err send_some(struct udp_sender *s, int fd, const struct udp_message *m, size_t count,
                          size_t *ret_count)
{
    enum err e = ERR_OK;
    size_t n = 0;
    *ret_count = 0;
    while (n < count && (s->trains || !is_train(&m[n])))
        n++;
    if (n > 0)
        e = send_batch(s, fd, m, n, false, ret_count);
    const struct udp_message *next = &m[*ret_count];
    if (*ret_count == count || !is_train(next) || e == ERR_AGAIN || e == ERR_REFUSED ||
        e == ERR_NOT_FOUND)
        return e;
    e = send_apart(s, fd, next);
    *ret_count += e == ERR_OK ? 1 : 0;
    return e;
}

enum err udp_send(struct udp_sender *s, const struct udp_message *m, size_t count,
                  size_t *ret_count)
{
    *ret_count = 0;
    while (*ret_count < count) {
        size_t n = count - *ret_count < UDP_BATCH_MAX ? count - *ret_count : UDP_BATCH_MAX;
        size_t sent;
        int error, fd = socket_for(s, &m[*ret_count].path, &error);
        if (error != 0)
            return send_error(error);
        n = run_length(s->u, m + *ret_count, n);
        enum err e = send_some(s, fd, m + *ret_count, n, &sent);
        *ret_count += sent;
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

enum err udp_send_fragmentable(struct udp_sender *s, const struct udp_message *m)
{
    int error, fd = socket_for(s, &m->path, &error);
    return error != 0 ? send_error(error) : send_fragmentable(s, fd, m);
}
