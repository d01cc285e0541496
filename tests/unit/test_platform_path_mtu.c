/* What the kernel has learned of a path's MTU. Two networks; the routers behind them are this test,
 * which writes the frames that bear their ICMP. */
#include "platform/path_mtu.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/be.h"
#include "platform/udp.h"
#include "tests/support/namespace.h"
#include "tests/support/packets.h"
#include "tests/support/support.h"

enum { GATEWAY_PORT = 4500, FRAME_MAX = 256 };

static enum ip_family family; /* of the test's round */
static struct udp *ours;
static struct path eth, wlan; /* to the gateway; the kernel itself would take eth */

static struct path path_by(const char *interface, const char *source, const char *remote)
{
    struct path p = {.local.port = udp_port(ours), .remote.port = GATEWAY_PORT};
    ck_ok(ip_parse(source, &p.local.ip));
    ck_ok(ip_parse(remote, &p.remote.ip));
    p.interface = if_nametoindex(interface);
    ck_assert_uint_ne(p.interface, 0);
    return p;
}

/* On one processor: veth delivers in order there alone. */
static void stay(void)
{
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET((size_t)sched_getcpu(), &here);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(here), &here), 0);
}

static void setup(void)
{
    ours = NULL;
    stay();
    support_enter_namespace();
    support_shell("ip -batch - <<END\n"
                  "link add eth0 type veth peer name far1\n"
                  "link add wlan0 mtu 1492 type veth peer name far2\n"
                  "link set far1 up\n"
                  "link set far2 up\n"
                  "link set eth0 up\n"
                  "link set wlan0 up\n"
                  "addr add 10.0.1.2/24 dev eth0\n"
                  "addr add 10.0.2.2/24 dev wlan0\n"
                  "addr add 2001:db8:1::2/64 dev eth0 nodad\n"
                  "addr add 2001:db8:2::2/64 dev wlan0 nodad\n"
                  "route add default via 10.0.1.1 metric 100\n"
                  "route add default via 10.0.2.1 metric 600\n"
                  "route add default via 2001:db8:1::1 metric 100\n"
                  "route add default via 2001:db8:2::1 metric 600\n"
                  "END");
}

static void setup_family(int i)
{
    struct fault f = {0};
    family = i == 0 ? IP_V4 : IP_V6;
    const struct udp_options o = {.address = {.family = family}};
    ck_assert_msg(udp_open(&o, &ours, &f) == ERR_OK, "%s", f.text);
    eth = i == 0 ? path_by("eth0", "10.0.1.2", "203.0.113.1")
                 : path_by("eth0", "2001:db8:1::2", "2001:db8:ffff::1");
    wlan = i == 0 ? path_by("wlan0", "10.0.2.2", "203.0.113.1")
                  : path_by("wlan0", "2001:db8:2::2", "2001:db8:ffff::1");
}

static void teardown(void)
{
    udp_close(ours);
}

/* --- the router --- */

static void put(uint8_t *at, const struct ip *a)
{
    memcpy(at, a->bytes, a->family == IP_V4 ? 4 : 16);
}

/* An IP header; its source and destination lie where checksums of the upper layer begin. */
static size_t put_ip(uint8_t *at, const struct ip *from, const struct ip *to, uint8_t protocol,
                     size_t payload_len)
{
    memset(at, 0, 40);
    if (from->family == IP_V4) {
        at[0] = 0x45;
        be_write_u16(at + 2, (uint16_t)(20 + payload_len));
        at[6] = 0x40; /* DF */
        at[8] = 64;
        at[9] = protocol;
        put(at + 12, from);
        put(at + 16, to);
        be_write_u16(at + 10, (uint16_t)~packets_sum(0, span_make(at, 20)));
        return 20;
    }
    at[0] = 0x60;
    be_write_u16(at + 4, (uint16_t)payload_len);
    at[6] = protocol;
    at[7] = 64;
    put(at + 8, from);
    put(at + 24, to);
    return 40;
}

/* The error for a datagram that we sent from `port` on that path, as the gateway sends it. */
static size_t put_error(uint8_t *at, const struct path *p, uint16_t port, uint16_t mtu)
{
    bool v4 = family == IP_V4;
    size_t ip_len = v4 ? 20 : 40, icmp_len = 8 + ip_len + 16;
    size_t len = put_ip(at, &p->remote.ip, &p->local.ip, v4 ? 1 : 58, icmp_len);
    uint8_t *icmp = at + len;
    memset(icmp, 0, icmp_len);
    icmp[0] = v4 ? 3 : 2;
    icmp[1] = v4 ? 4 : 0;
    be_write_u16(icmp + 6, mtu);
    uint8_t *udp = icmp + 8 + put_ip(icmp + 8, &p->local.ip, &p->remote.ip, 17, 1408);
    be_write_u16(udp, port);
    be_write_u16(udp + 2, GATEWAY_PORT);
    be_write_u16(udp + 4, 1408);
    struct span covered = v4 ? span_make(icmp, icmp_len) : span_make(at + 8, 32 + icmp_len);
    uint32_t start = v4 ? 0 : (uint32_t)icmp_len + 58;
    be_write_u16(icmp + 2, (uint16_t)~packets_sum(start, covered));
    return len + icmp_len;
}

static void send_frame(const char *interface, const char *to, const uint8_t *packet, size_t len)
{
    int fd = socket(AF_PACKET, SOCK_DGRAM, 0);
    struct ifreq r = {0};
    ck_assert_int_ge(fd, 0);
    strcpy(r.ifr_name, to);
    ck_assert_int_eq(ioctl(fd, SIOCGIFHWADDR, &r), 0);
    struct sockaddr_ll ll = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(family == IP_V4 ? ETHERTYPE_IP : ETHERTYPE_IPV6),
                             .sll_ifindex = (int)if_nametoindex(interface),
                             .sll_halen = 6};
    memcpy(ll.sll_addr, r.ifr_hwaddr.sa_data, 6);
    ck_assert_int_eq(sendto(fd, packet, len, 0, (struct sockaddr *)&ll, sizeof(ll)), (ssize_t)len);
    close(fd);
}

static void send_by(const struct path *p, const uint8_t *packet, size_t len)
{
    bool is_eth = p->interface == eth.interface;
    send_frame(is_eth ? "far1" : "far2", is_eth ? "eth0" : "wlan0", packet, len);
}

static void too_big(const struct path *p, uint16_t port, uint16_t mtu)
{
    uint8_t packet[FRAME_MAX];
    send_by(p, packet, put_error(packet, p, port, mtu));
}

/* A datagram of the gateway's has arrived, and all that was sent before has been heard. */
static void heard(const struct path *p)
{
    uint8_t packet[FRAME_MAX] = {0}, byte[8];
    size_t len = put_ip(packet, &p->remote.ip, &p->local.ip, 17, 9), count;
    be_write_u16(packet + len, GATEWAY_PORT);
    be_write_u16(packet + len + 2, udp_port(ours));
    be_write_u16(packet + len + 4, 9);
    if (family == IP_V6)
        be_write_u16(packet + len + 6,
                     (uint16_t)~packets_sum(9 + 17, span_make(packet + 8, 32 + 9)));
    struct pollfd ready = {.fd = udp_fd(ours), .events = POLLIN};
    struct udp_message m = {.data = byte, .cap = sizeof(byte)};
    int tries = 0;
    do { /* a cable that has just been plugged in may lose what comes first */
        ck_assert_int_lt(tries++, 100);
        send_by(p, packet, len + 9);
    } while (poll(&ready, 1, 100) == 0);
    ck_ok(udp_receive(ours, &m, 1, &count));
}

/* And that has been taken in. */
static void told(const struct path *p, uint16_t port, uint16_t mtu)
{
    too_big(p, port, mtu);
    heard(p);
}

static void plugged_in(void)
{
    heard(&eth);
    heard(&wlan);
}

START_TEST(nothing_learned)
{
    setup_family(_i);
    ck_assert_uint_eq(path_mtu(&eth, 0), 1500);
    ck_assert_uint_eq(path_mtu(&wlan, 0), 1492);
    struct path any = {.remote = eth.remote};
    ck_assert_uint_eq(path_mtu(&any, 0), 1500);
    ck_assert_uint_eq(path_mtu(&eth, 0x7e4), 1500); /* marked like our sockets */
    struct path nowhere = eth;
    nowhere.local.ip.bytes[family == IP_V4 ? 3 : 15] = 77; /* not ours, any more */
    ck_assert_uint_eq(path_mtu(&nowhere, 0), 0);
}
END_TEST

START_TEST(a_router_tells)
{
    setup_family(_i);
    plugged_in();
    told(&eth, udp_port(ours), 1300);
    ck_assert_uint_eq(path_mtu(&eth, 0), 1300);
    told(&eth, udp_port(ours), 1400); /* never upwards */
    ck_assert_uint_eq(path_mtu(&eth, 0), 1300);
}
END_TEST

/* Each network's goes with it. */
START_TEST(the_network_changes)
{
    setup_family(_i);
    plugged_in();
    told(&eth, udp_port(ours), 1300);
    support_shell("ip link set eth0 down");
    ck_assert_uint_eq(path_mtu(&wlan, 0), 1492);
    told(&wlan, udp_port(ours), 1400);
    ck_assert_uint_eq(path_mtu(&wlan, 0), 1400);
    support_shell("ip -batch - <<END\n"
                  "link set eth0 up\n"
                  "addr replace 2001:db8:1::2/64 dev eth0 nodad\n"
                  "route replace default via 10.0.1.1 metric 100\n"
                  "route replace default via 2001:db8:1::1 metric 100\n"
                  "END");
    ck_assert_uint_eq(path_mtu(&eth, 0), 1500);
    ck_assert_uint_eq(path_mtu(&wlan, 0), 1400);
}
END_TEST

/* The path that the kernel would not take itself: what its routers tell counts as well. */
START_TEST(a_router_of_the_other_network_tells)
{
    setup_family(_i);
    plugged_in();
    told(&wlan, udp_port(ours), 1300);
    ck_assert_uint_eq(path_mtu(&wlan, 0), 1300);
}
END_TEST

/* A datagram that no socket of ours can have sent. */
START_TEST(a_stranger_tells)
{
    setup_family(_i);
    plugged_in();
    told(&eth, (uint16_t)(udp_port(ours) ^ 1), 1300);
    ck_assert_uint_eq(path_mtu(&eth, 0), 1500);
}
END_TEST

START_TEST(never_below_what_every_path_bears)
{
    setup_family(_i);
    plugged_in();
    told(&eth, udp_port(ours), 300);
    ck_assert_uint_ge(path_mtu(&eth, 0), family == IP_V4 ? PATH_MTU_MIN_V4 : PATH_MTU_MIN_V6);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("platform path_mtu");
    TCase *t = tcase_create("path_mtu");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, nothing_learned, 0, 2);
    tcase_add_loop_test(t, a_router_tells, 0, 2);
    tcase_add_loop_test(t, the_network_changes, 0, 2);
    tcase_add_loop_test(t, a_router_of_the_other_network_tells, 0, 2);
    tcase_add_loop_test(t, a_stranger_tells, 0, 2);
    tcase_add_loop_test(t, never_below_what_every_path_bears, 0, 2);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
