/* What the kernel, or who pretends to be it, answers on netlink. libmnl's socket calls are
 * replaced: the answers are the input's, with the sequence number and port filled in so that they
 * are looked at (unless the input says otherwise). Nothing is asked of the machine. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "platform/network.h"
#include "platform/routes.h"
#include "tests/fuzz/fuzz.h"

enum { PORT = 77, ANSWERS_MAX = 32, TABLE = 52000 };

static struct wire_reader answers;
static unsigned answer_count;
static uint32_t sequence;
static bool refuse_requests;
static int socket_stub;

struct mnl_socket *mnl_socket_open2(int bus, int flags)
{
    (void)bus;
    (void)flags;
    return (void *)&socket_stub;
}

int mnl_socket_bind(struct mnl_socket *s, unsigned groups, pid_t pid)
{
    (void)s;
    (void)groups;
    (void)pid;
    return 0;
}

int mnl_socket_setsockopt(const struct mnl_socket *s, int type, void *buf, socklen_t len)
{
    (void)s;
    (void)type;
    (void)buf;
    (void)len;
    return 0;
}

int mnl_socket_close(struct mnl_socket *s)
{
    CHECK(s == (void *)&socket_stub);
    return 0;
}

int mnl_socket_get_fd(const struct mnl_socket *s)
{
    (void)s;
    return -1;
}

unsigned mnl_socket_get_portid(const struct mnl_socket *s)
{
    (void)s;
    return PORT;
}

ssize_t mnl_socket_sendto(const struct mnl_socket *s, const void *request, size_t len)
{
    struct nlmsghdr m;
    (void)s;
    CHECK(len >= sizeof(m));
    memcpy(&m, request, sizeof(m));
    CHECK(m.nlmsg_len == len);
    sequence = m.nlmsg_seq;
    errno = ENOBUFS;
    return refuse_requests ? -1 : (ssize_t)len;
}

/* Put ours into every header that can be reached. */
static void adopt(uint8_t *bytes, size_t len)
{
    for (size_t at = 0; len - at >= sizeof(struct nlmsghdr);) {
        struct nlmsghdr m;
        memcpy(&m, bytes + at, sizeof(m));
        m.nlmsg_seq = sequence;
        m.nlmsg_pid = PORT;
        memcpy(bytes + at, &m, sizeof(m));
        size_t step = ((size_t)m.nlmsg_len + 3) & ~(size_t)3;
        if (m.nlmsg_len < sizeof(m) || step > len - at)
            return;
        at += step;
    }
}

/* An answer is a flag and a piece of input; after the last one, errors. */
ssize_t mnl_socket_recvfrom(const struct mnl_socket *s, void *buf, size_t cap)
{
    (void)s;
    if (wire_left(&answers) == 0 || answer_count++ > ANSWERS_MAX) {
        errno = EAGAIN;
        return -1;
    }
    uint8_t flags = wire_read_u8(&answers);
    if ((flags & 0x10) != 0) {
        static const int numbers[] = {EINTR, ENOBUFS, ENOSPC, EIO};
        errno = numbers[flags & 3];
        return -1;
    }
    struct span bytes = fuzz_piece(&answers);
    size_t len = bytes.len < cap ? bytes.len : cap;
    if (len > 0)
        memcpy(buf, bytes.data, len);
    if ((flags & 1) == 0)
        adopt(buf, len);
    return (ssize_t)len;
}

static void watch(void)
{
    struct network_watch *w;
    struct fault f = {0};
    const struct network_ours ours = {7, TABLE}, none = {0};
    struct network_change change;
    CHECK(network_watch_open(&w, &f) == ERR_OK);
    (void)!network_watch_read(w, &ours, &change);
    (void)!network_watch_read(w, &none, &change);
    network_watch_close(w);
}

static void ways(const struct ip *remote)
{
    struct network_way found[2];
    size_t count;
    if (network_ways(remote, 1, 7, found, 2, &count) != ERR_OK)
        return;
    CHECK(count <= 2);
    for (size_t i = 0; i < count; i++)
        CHECK(found[i].source.family == remote->family && found[i].interface != 0 &&
              found[i].interface != 7 &&
              memchr(found[i].interface_name, '\0', NETWORK_NAME_MAX) != NULL);
}

/* IPv6 alone: for IPv4 a setting of the machine is looked at, too. */
static void restore(void)
{
    struct fault f = {0};
    struct routes *r;
    struct routes_damage damage;
    const struct prefix into = {ip_from_span(span_make("0123456789abcdef", 16)), 32};
    const struct routes_plan plan = {
        .interface = 7, .table = TABLE, .into = &into, .into_count = 1, .guarded = true};
    if (routes_install(&plan, &r, &f) != ERR_OK)
        return;
    if (routes_restore(r, &plan, &damage, &f) != ERR_OK)
        CHECK(f.text[0] != '\0');
    routes_remove(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wire_reader_init(&answers, span_make(data, size));
    answer_count = 0;
    uint8_t what = wire_read_u8(&answers);
    refuse_requests = (what & 0x40) != 0;
    struct fault f = {0};
    uint32_t table;
    const struct ip remote = (what & 0x80) != 0 ? ip_from_span(span_make("0123456789abcdef", 16))
                                                : ip_v4(203, 0, 113, 1);
    switch (what % 4) {
    case 0:
        ways(&remote);
        break;
    case 1:
        if (routes_free_table(&table, &f) != ERR_OK)
            CHECK(f.text[0] != '\0');
        break;
    case 2:
        if ((what & 0x20) != 0)
            restore();
        else if (routes_clean(TABLE, &f) != ERR_OK)
            CHECK(f.text[0] != '\0');
        break;
    default:
        watch();
    }
    return 0;
}
