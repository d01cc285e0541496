/* The kernel as the other half: what is coalesced here it cuts again, what it leaves whole is cut
 * here, and either way the very packets come out that a sender would have sent, one hop later. Two
 * TUN interfaces with IFF_VNET_HDR in a namespace, and the kernel forwarding between them. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

#include "common/packet/gro.h"
#include "common/packet/gso.h"
#include "tests/support/namespace.h"
#include "tests/support/packets.h"
#include "tests/support/support.h"

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
    TCP_OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
    UDP_OFFLOADS = TUN_F_USO4 | TUN_F_USO6
};
enum { ROOM = 65536, BATCH = 64, WAIT_MS = 20000 };

static int in, out;
static bool has_uso; /* Linux 6.2 */
static uint8_t payload[ROOM], read_bytes[VNET_HEADER_LEN + ROOM];
static struct gro gro;
static struct gso gso;

static int open_tun(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    ck_assert_int_ge(fd, 0);
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    ck_assert_int_eq(ioctl(fd, TUNSETIFF, &request), 0);
    return fd;
}

static void shell(const char *command)
{
    ck_assert_msg(system(command) == 0, "%s", command);
}

static void setup(void)
{
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 131 + (i >> 8) * 29 + 7);
    support_enter_namespace();
    in = open_tun("in");
    out = open_tun("out");
    has_uso = ioctl(out, TUNSETOFFLOAD, (unsigned long)(TCP_OFFLOADS | UDP_OFFLOADS)) == 0;
    shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
    shell("echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
    shell("echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter");
    shell("echo 0 > /proc/sys/net/ipv4/conf/in/rp_filter");
    shell("ip link set in up && ip link set out up");
    shell("ip addr add 10.9.255.1/16 dev out && ip addr add fd00:9:0:1::1/64 dev out nodad");
    shell("ip route add 10.1.0.0/16 dev in && ip route add fd00:9::/64 dev in");
}

static void teardown(void)
{
    close(in);
    close(out);
}

/* What the kernel may leave whole. */
static void set_offloads(bool on)
{
    unsigned offloads = !on ? 0 : has_uso ? TCP_OFFLOADS | UDP_OFFLOADS : TCP_OFFLOADS;
    ck_assert_int_eq(ioctl(out, TUNSETOFFLOAD, (unsigned long)offloads), 0);
}

/* The next TCP or UDP packet, or several in one, from `out`; what else the kernel says there
 * (router solicitations) is passed over. */
static void read_next(void)
{
    for (;;) {
        struct pollfd p = {.fd = out, .events = POLLIN};
        struct vnet_header v;
        struct ip_header h;
        ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
        ssize_t len = read(out, read_bytes, sizeof(read_bytes));
        ck_assert_int_gt(len, VNET_HEADER_LEN);
        size_t packet_len = (size_t)len - VNET_HEADER_LEN;
        ck_ok(vnet_parse(span_make(read_bytes, (size_t)len), &v));
        ck_ok(ip_header_parse(span_make(read_bytes + VNET_HEADER_LEN, packet_len), &h));
        if (h.protocol != IPPROTO_TCP && h.protocol != IPPROTO_UDP)
            continue;
        ck_ok(gso_begin(&gso, &v, read_bytes + VNET_HEADER_LEN, packet_len));
        return;
    }
}

static void write_batch(void)
{
    struct gro_write w;
    for (size_t n = 0; gro_next(&gro, &w); n++) {
        struct iovec v[1 + GRO_SEGMENTS_MAX];
        for (size_t i = 0; i < w.count; i++) {
            union {
                const uint8_t *read_only;
                void *writable;
            } base = {.read_only = w.spans[i].data};
            v[i] = (struct iovec){base.writable, w.spans[i].len};
        }
        ck_assert_uint_eq(n, 0); /* it all goes together */
        ck_assert_msg(writev(in, v, (int)w.count) == (ssize_t)w.len, "%s", strerror(errno));
    }
}

/* The i-th of `count` packets of a flow, that many octets each but for the last. */
static struct packet_recipe nth(const struct packet_recipe *flow, size_t i, size_t count)
{
    struct packet_recipe r = *flow;
    size_t size = flow->payload.len;
    r.id = (uint16_t)(r.id + i);
    r.sequence += (uint32_t)(i * size);
    r.payload = span_make(payload + i * size, i + 1 < count ? size : (size + 1) / 2);
    if (i + 1 < count)
        r.tcp_flags &= (uint8_t)~PACKETS_TCP_PSH;
    return r;
}

/* Returns how many reads there were. */
static size_t cross(const struct packet_recipe *flow, size_t count)
{
    static uint8_t packets[BATCH][2048], expected[2048];
    size_t reads = 0, seen = 0;
    gro_begin(&gro, &(struct gro_options){.tcp = true, .udp = true});
    for (size_t i = 0; i < count; i++) {
        struct packet_recipe r = nth(flow, i, count);
        ck_ok(gro_add(&gro, packets[i], packets_make(&r, packets[i])));
    }
    write_batch();
    for (; seen < count; reads++) {
        struct gso_segment s;
        read_next();
        for (; gso_next(&gso, &s); seen++) {
            struct packet_recipe r = nth(flow, seen, count);
            r.ttl--; /* it was forwarded */
            size_t len = packets_make(&r, expected);
            ck_span_eq(gso_join(&gso, &s), span_make(expected, len));
        }
    }
    ck_assert_uint_eq(seen, count);
    return reads;
}

static const uint8_t timestamps[] = {1, 1, 8, 10, 0, 1, 2, 3, 4, 5, 6, 7};

static void cross_all(size_t one_or_each)
{
    for (int kind = 0; kind < 8; kind++) {
        struct packet_recipe flow = {
            .v6 = kind & 1,
            .udp = kind & 2,
            .host = 7,
            .tos = 0x2a,
            .ttl = 60,
            .flags = PACKETS_V4_DF,
            .id = 0xfff0,
            .flow_label = 0x12345,
            .source_port = 4000,
            .destination_port = 5000,
            .sequence = 0xfffff000,
            .acknowledged = 0x01020304,
            .tcp_flags = PACKETS_TCP_ACK | (kind & 4 ? PACKETS_TCP_PSH | PACKETS_TCP_ECE : 0),
            .window = 0x0fff,
            .tcp_options = {timestamps, sizeof(timestamps)},
            .payload = {payload, kind & 4 ? 1001 : 1200},
        };
        if (flow.udp && !has_uso)
            continue;
        for (size_t count = 2; count <= 50; count += 12) {
            size_t reads = cross(&flow, count);
            ck_assert_uint_eq(reads, one_or_each == 1 ? 1 : count);
        }
    }
}

START_TEST(the_kernel_cuts_what_is_coalesced)
{
    set_offloads(false);
    cross_all(0);
}
END_TEST

START_TEST(what_the_kernel_leaves_whole_is_cut)
{
    set_offloads(true);
    cross_all(1);
}
END_TEST

/* --- what sockets of this machine send --- */

static int socket_to(int family, int type, struct sockaddr_storage *to, socklen_t *len)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)to;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
    memset(to, 0, sizeof(*to));
    if (family == AF_INET) {
        *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(9)};
        v4->sin_addr.s_addr = htonl(0x0a090001);
        *len = sizeof(*v4);
    } else {
        *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(9)};
        memcpy(v6->sin6_addr.s6_addr, "\xfd\0\0\x09\0\0\0\x01\x80\0\0\0\0\0\0\x01", 16);
        *len = sizeof(*v6);
    }
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(fd, 0);
    return fd;
}

/* The payloads of what was sent at once, valid packets all of them. Returns how many. */
static size_t read_sent(size_t total)
{
    size_t at = 0, count = 0;
    struct gso_segment s;
    while (at < total) {
        read_next();
        for (; gso_next(&gso, &s); count++) {
            struct span packet = gso_join(&gso, &s);
            size_t header_len = packet.data[0] >> 4 == 4 ? 28 : 48;
            const char *fault = packets_fault(packet);
            ck_assert_msg(fault == NULL, "%s", fault);
            ck_assert_mem_eq(packet.data + header_len, payload + at, packet.len - header_len);
            at += packet.len - header_len;
        }
    }
    ck_assert_uint_eq(at, total);
    return count;
}

START_TEST(datagrams_sent_here)
{
    static const int families[] = {AF_INET, AF_INET6};
    for (int i = 0; i < 4; i++) {
        struct sockaddr_storage to;
        socklen_t to_len;
        int fd = socket_to(families[i & 1], SOCK_DGRAM, &to, &to_len), size = 1000;
        const struct sockaddr *address = (const struct sockaddr *)&to;
        set_offloads(i & 2);
        /* one of an odd length; then a train */
        ck_assert_int_eq(sendto(fd, payload, 501, 0, address, to_len), 501);
        ck_assert_uint_eq(read_sent(501), 1);
        ck_assert_int_eq(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
        ck_assert_int_eq(sendto(fd, payload, 20500, 0, address, to_len), 20500);
        ck_assert_uint_eq(read_sent(20500), 21);
        close(fd);
    }
}
END_TEST

START_TEST(connections_begun_here)
{
    static const int families[] = {AF_INET, AF_INET6};
    set_offloads(true);
    for (int i = 0; i < 2; i++) {
        struct sockaddr_storage to;
        socklen_t to_len;
        struct gso_segment s;
        int fd = socket_to(families[i], SOCK_STREAM, &to, &to_len);
        ck_assert_int_eq(connect(fd, (const struct sockaddr *)&to, to_len), -1);
        ck_assert_int_eq(errno, EINPROGRESS);
        read_next();
        ck_assert(gso_next(&gso, &s));
        const char *fault = packets_fault(gso_join(&gso, &s));
        ck_assert_msg(fault == NULL, "%s", fault);
        close(fd);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("packet kernel");
    TCase *c = tcase_create("forwarded");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, the_kernel_cuts_what_is_coalesced);
    tcase_add_test(c, what_the_kernel_leaves_whole_is_cut);
    suite_add_tcase(s, c);
    c = tcase_create("sent here");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, datagrams_sent_here);
    tcase_add_test(c, connections_begun_here);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return support_run(suite());
}
