/* TUN interfaces in a namespace: names, addresses, packets each way, and what is left: nothing. */
#include "platform/tun.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/capability.h>

#include "tests/support/addresses.h"
#include "tests/support/namespace.h"
#include "tests/support/support.h"

static struct fault f;
static struct tun *tun;

static struct tun *open_tun(const char *name)
{
    struct tun *t = NULL;
    ck_assert_msg(tun_open(name, true, &t, &f) == ERR_OK, "%s", f.text);
    return t;
}

static void setup(void)
{
    support_enter_namespace();
    f = (struct fault){0};
    tun = open_tun(NULL);
}

static void teardown(void)
{
    tun_close(tun);
}

/* The first lines of what a command prints. */
static const char *output(const char *command)
{
    static char text[4096];
    FILE *out = popen(command, "r");
    ck_assert_ptr_nonnull(out);
    text[fread(text, 1, sizeof(text) - 1, out)] = '\0';
    ck_assert_int_eq(pclose(out), 0);
    return text;
}

START_TEST(the_first_free_name)
{
    struct tun *second = open_tun(NULL);
    ck_assert_str_eq(tun_name(tun), "tern0");
    ck_assert_str_eq(tun_name(second), "tern1");
    ck_assert_uint_eq(tun_index(second), if_nametoindex("tern1"));
    ck_assert_int_ne(fcntl(tun_fd(tun), F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_ne(fcntl(tun_fd(tun), F_GETFD) & FD_CLOEXEC, 0);
    ck_assert_ptr_null(strstr(output("ip link show tern1"), "UP"));
    ck_assert_str_eq(output("ip -o addr show dev tern1"), "");
    tun_close(second);
    ck_assert_uint_eq(if_nametoindex("tern1"), 0);
    tun_close(NULL);
}
END_TEST

START_TEST(a_given_name)
{
    struct tun *t = open_tun("office-15-chars");
    ck_assert_str_eq(tun_name(t), "office-15-chars");
    tun_close(t);
}
END_TEST

START_TEST(names_that_cannot_be)
{
    static const char *const names[] = {"",       ".",   "..",   "a/b",      "a:b",
                                        "tern%d", "a b", "\x7f", "\xc3\xa4", "sixteen-letters-"};
    struct tun *t = NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ck_err(tun_open(names[i], true, &t, &f), ERR_REFUSED);
        ck_assert_ptr_null(t);
    }
}
END_TEST

/* Also where it is a TUN device that somebody made to stay: it is not ours to take over. */
START_TEST(names_that_are_taken)
{
    struct tun *t = NULL;
    ck_assert_int_eq(system("ip tuntap add tern7 mode tun"), 0);
    ck_err(tun_open("tern7", true, &t, &f), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(f.text, "tern7 is taken"));
    ck_err(tun_open("lo", true, &t, &f), ERR_REFUSED);
    ck_err(tun_open("tern0", true, &t, &f), ERR_REFUSED);
    ck_assert_ptr_null(t);
}
END_TEST

START_TEST(without_the_capability)
{
    struct tun *t = NULL;
    support_capability(CAP_NET_ADMIN, false);
    enum err e = tun_open(NULL, true, &t, &f);
    struct fault mtu = {0};
    enum err change = tun_set_mtu(tun, 1300, &mtu);
    support_capability(CAP_NET_ADMIN, true);
    ck_err(e, ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(f.hint, "setcap cap_net_admin+ep"));
    ck_err(change, ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(mtu.text, "MTU 1300 on tern0"));
    ck_assert_ptr_nonnull(strstr(mtu.hint, "setcap cap_net_admin+ep"));
    ck_assert_uint_eq(if_nametoindex("tern1"), 0);
}
END_TEST

/* Nothing but what was asked for: no link-local address, no route that comes with an address. */
START_TEST(addresses)
{
    const struct prefix v4 = prefix_of("10.7.0.1/24"), v6 = prefix_of("fd07::1/64");
    ck_ok(tun_set_mtu(tun, 1380, &f));
    ck_ok(tun_up(tun, &f));
    ck_ok(tun_add_address(tun, &v4, &f));
    ck_ok(tun_add_address(tun, &v6, &f));
    ck_ok(tun_add_address(tun, &v6, &f)); /* again is no harm */
    ck_assert_ptr_nonnull(strstr(output("ip link show tern0"), "mtu 1380"));
    ck_assert_str_eq(output("ip -o addr show dev tern0 | awk '{print $4}'"),
                     "10.7.0.1/24\nfd07::1/64\n");
    ck_assert_str_eq(output("ip -o addr show dev tern0 tentative"), "");
    ck_assert_str_eq(output("ip -4 route; ip -6 route show table main dev tern0"), "");
    ck_ok(tun_remove_address(tun, &v4, &f));
    ck_ok(tun_remove_address(tun, &v4, &f)); /* it is so already */
    ck_ok(tun_remove_address(tun, &v6, &f));
    ck_assert_str_eq(output("ip -o addr show dev tern0"), "");
}
END_TEST

/* The kernel adds the route by which packets reach an IPv6 address later than the address. */
START_TEST(an_ipv6_address_is_reached_at_once)
{
    ck_ok(tun_up(tun, &f));
    for (uint8_t i = 1; i < 100; i++) {
        const struct prefix v6 = {{.family = IP_V6, .bytes = {0xfd, 7, [15] = i}}, 128};
        struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(4000)};
        memcpy(&at.sin6_addr, v6.ip.bytes, sizeof(at.sin6_addr));
        ck_ok(tun_add_address(tun, &v6, &f));
        int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
        close(fd);
    }
}
END_TEST

/* The administrator turned IPv6 off by default; an address of ours turns it on where it is. */
START_TEST(an_ipv6_address_where_ipv6_is_off)
{
    const struct prefix v6 = prefix_of("fd07::1/128");
    ck_assert_int_eq(system("echo 1 > /proc/sys/net/ipv6/conf/tern0/disable_ipv6"), 0);
    ck_ok(tun_up(tun, &f));
    ck_ok(tun_add_address(tun, &v6, &f));
    ck_assert_ptr_nonnull(strstr(output("ip -o addr show dev tern0"), "fd07::1/128"));
}
END_TEST

START_TEST(changes_that_fail)
{
    const struct prefix v4 = prefix_of("224.0.0.1/32"); /* multicast: no interface has it */
    ck_assert_int_eq(system("ip link delete tern0"), 0);
    ck_err(tun_add_address(tun, &v4, &f), ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(f.text, "address 224.0.0.1/32 on tern0"));
    ck_err(tun_up(tun, &f), ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(f.text, "tern0"));
}
END_TEST

static void exchange(uint8_t *octets, size_t i, size_t j, size_t len)
{
    uint8_t kept[4];
    memcpy(kept, octets + i, len);
    memcpy(octets + i, octets + j, len);
    memcpy(octets + j, kept, len);
}

/* A datagram out, and the same one back with its ends exchanged (which changes no checksum). */
START_TEST(packets_each_way)
{
    const struct prefix v4 = prefix_of("10.7.0.1/32");
    static uint8_t frame[TUN_FRAME_MAX];
    uint8_t *packet = frame + TUN_HEADER_LEN;
    char got[8] = "";
    size_t len = 0;
    ck_ok(tun_up(tun, &f));
    ck_ok(tun_add_address(tun, &v4, &f));
    ck_err(tun_read(tun, frame, sizeof(frame), &len), ERR_AGAIN);
    ck_assert_int_eq(system("ip route add 10.9.0.0/24 dev tern0 src 10.7.0.1"), 0);
    const struct sockaddr_in peer = {
        .sin_family = AF_INET, .sin_port = htons(7), .sin_addr.s_addr = htonl(0x0a090001)};
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(sendto(s, "ping", 4, 0, (const struct sockaddr *)&peer, sizeof(peer)), 4);
    struct pollfd ready = {.fd = tun_fd(tun), .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, 5000), 1);
    ck_ok(tun_read(tun, frame, sizeof(frame), &len));
    ck_assert_uint_eq(len, TUN_HEADER_LEN + 20 + 8 + 4);
    ck_assert_uint_eq(packet[0], 0x45);
    ck_assert_mem_eq(packet + 28, "ping", 4);
    exchange(packet, 12, 16, 4);
    exchange(packet, 20, 22, 2);
    /* The kernel may have left the checksum to us; it leaves it to the peer in turn. */
    ck_ok(tun_write(tun, (struct span[]){{frame, TUN_HEADER_LEN + 20}, {packet + 20, 12}}, 2));
    ready.fd = s;
    ck_assert_int_eq(poll(&ready, 1, 5000), 1);
    ck_assert_int_eq(recv(s, got, sizeof(got), 0), 4);
    ck_assert_mem_eq(got, "ping", 4);
    close(s);
}
END_TEST

/* A packet of that first octet and zeros, alone. */
static enum err put(uint8_t first, size_t len)
{
    uint8_t frame[TUN_HEADER_LEN + 64] = {[TUN_HEADER_LEN] = first};
    const struct span whole = span_make(frame, TUN_HEADER_LEN + len);
    return tun_write(tun, &whole, 1);
}

START_TEST(packets_that_are_none)
{
    ck_err(put(0x45, 20), ERR_REFUSED); /* the interface is down */
    ck_ok(tun_up(tun, &f));
    ck_err(put(0, 40), ERR_REFUSED); /* of no IP version */
    ck_err(put(0x45, 0), ERR_REFUSED);
}
END_TEST

START_TEST(deleted_by_somebody)
{
    uint8_t packet[64];
    size_t len;
    ck_ok(tun_up(tun, &f));
    ck_assert_int_eq(system("ip link delete tern0"), 0);
    ck_err(tun_read(tun, packet, sizeof(packet), &len), ERR_SYSTEM);
    ck_err(put(0x45, 20), ERR_SYSTEM);
}
END_TEST

static struct tun_look look(const struct prefix *ours, size_t count)
{
    struct tun_look l;
    ck_assert_msg(tun_look(tun, ours, count, &l, &f) == ERR_OK, "%s", f.text);
    return l;
}

START_TEST(what_others_made_of_it)
{
    const struct prefix ours[] = {prefix_of("10.7.0.1/32"), prefix_of("fd07::1/128")};
    struct tun_look l = look(NULL, 0);
    ck_assert(l.down && !l.gone && !l.renamed && !l.address_lost);
    ck_ok(tun_up(tun, &f));
    ck_ok(tun_add_address(tun, &ours[0], &f));
    l = look(ours, 2);
    ck_assert(!l.down && !l.gone && !l.renamed && l.address_lost);
    ck_ok(tun_add_address(tun, &ours[1], &f));
    ck_assert_int_eq(system("ip addr add 10.7.0.2/32 dev tern0"), 0); /* one more is no harm */
    l = look(ours, 2);
    ck_assert(!l.down && !l.gone && !l.renamed && !l.address_lost);
    ck_assert_int_eq(system("ip link set tern0 name wan7 && ip addr del 10.7.0.1/32 dev wan7"), 0);
    l = look(ours, 2);
    ck_assert(l.renamed && l.address_lost);
    ck_assert_str_eq(l.was, "tern0");
    ck_assert_str_eq(tun_name(tun), "wan7");
    ck_assert(!look(ours, 2).renamed); /* told once */
    ck_assert_int_eq(system("ip link del wan7"), 0);
    l = look(ours, 2);
    ck_assert(l.gone && !l.renamed);
}
END_TEST

/* Its address is on another interface of the same machine: not ours any more. */
START_TEST(an_address_elsewhere)
{
    const struct prefix ours = prefix_of("10.7.0.1/32");
    ck_ok(tun_up(tun, &f));
    ck_assert_int_eq(system("ip tuntap add up0 mode tun && ip addr add 10.7.0.1/32 dev up0"), 0);
    ck_assert(look(&ours, 1).address_lost);
}
END_TEST

START_TEST(in_another_namespace)
{
    ck_assert_int_eq(system("unshare --net sh -c 'echo $$; exec sleep 60' | "
                            "(read pid; ip link set tern0 netns $pid; done=$?; kill $pid; "
                            "exit $done)"),
                     0);
    ck_assert(look(NULL, 0).gone);
}
END_TEST

/* The number belongs to somebody else by now. */
START_TEST(deleted_and_its_number_taken)
{
    char command[128];
    snprintf(command, sizeof(command),
             "ip link del tern0 && ip link add name up7 index %u type veth", tun_index(tun));
    ck_assert_int_eq(system(command), 0);
    ck_assert(look(NULL, 0).gone);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("platform tun");
    TCase *t = tcase_create("tun");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_first_free_name);
    tcase_add_test(t, a_given_name);
    tcase_add_test(t, names_that_cannot_be);
    tcase_add_test(t, names_that_are_taken);
    tcase_add_test(t, without_the_capability);
    tcase_add_test(t, addresses);
    tcase_add_test(t, an_ipv6_address_is_reached_at_once);
    tcase_add_test(t, an_ipv6_address_where_ipv6_is_off);
    tcase_add_test(t, changes_that_fail);
    tcase_add_test(t, packets_each_way);
    tcase_add_test(t, packets_that_are_none);
    tcase_add_test(t, deleted_by_somebody);
    tcase_add_test(t, what_others_made_of_it);
    tcase_add_test(t, an_address_elsewhere);
    tcase_add_test(t, in_another_namespace);
    tcase_add_test(t, deleted_and_its_number_taken);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
