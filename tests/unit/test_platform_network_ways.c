/* Which ways there are to a gateway, while networks come and go. After each change the test waits
 * until the watcher tells of it, and so tells whether it does. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/network.h"
#include "tests/support/namespace.h"
#include "tests/support/support.h"

enum { WAYS_MAX = 8, TEXT_MAX = 512, PATIENCE_MS = 20000 };

static const char v4[] = "203.0.113.1", v6[] = "2001:db8:ffff::1";
static struct fault f;
static struct network_watch *watch;

/* Three networks with the metrics that NetworkManager gives them. */
static void setup(void)
{
    support_enter_namespace();
    watch = NULL;
    ck_assert_msg(network_watch_open(&watch, &f) == ERR_OK, "%s", f.text);
    support_network("eth0", 1, 100);
    support_network("wlan0", 2, 600);
    support_network("cell0", 3, 700);
}

static void teardown(void)
{
    network_watch_close(watch);
}

static size_t ask(const char *remote, uint32_t mark, uint32_t except, struct network_way *ways,
                  size_t cap)
{
    struct ip ip;
    size_t count = 99;
    ck_ok(ip_parse(remote, &ip));
    ck_ok(network_ways(&ip, mark, except, ways, cap, &count));
    ck_assert_uint_le(count, cap);
    for (size_t i = 0; i < count; i++)
        ck_assert(ways[i].interface != 0 && ways[i].source.family == ip.family);
    return count;
}

/* "NAME SOURCE METRIC" each, best first. */
static void ways_text(const char *remote, uint32_t mark, uint32_t except, char out[TEXT_MAX])
{
    struct network_way ways[WAYS_MAX];
    char address[IP_TEXT_MAX];
    size_t count = ask(remote, mark, except, ways, WAYS_MAX), at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(out + at, TEXT_MAX - at, "%s%s %s %u", i > 0 ? ", " : "",
                               ways[i].interface_name, ip_format(&ways[i].source, address),
                               ways[i].metric);
}

/* Until these are the ways, or nothing is told any more. */
static void expect_but(const char *remote, uint32_t mark, uint32_t except, const char *expected)
{
    struct pollfd told = {.fd = network_watch_fd(watch), .events = POLLIN};
    char text[TEXT_MAX];
    const struct network_ours none = {0};
    struct network_change change;
    do {
        ck_ok(network_watch_read(watch, &none, &change));
        ways_text(remote, mark, except, text);
    } while (strcmp(text, expected) != 0 && poll(&told, 1, PATIENCE_MS) == 1);
    ck_assert_str_eq(text, expected);
}

static void expect(const char *remote, const char *expected)
{
    expect_but(remote, 0, 0, expected);
}

/* Until the command succeeds; it is tried whenever something is told. */
static void await(const char *command)
{
    struct pollfd told = {.fd = network_watch_fd(watch), .events = POLLIN};
    const struct network_ours none = {0};
    struct network_change change;
    do
        ck_ok(network_watch_read(watch, &none, &change));
    while (system(command) != 0 && poll(&told, 1, PATIENCE_MS) == 1);
    ck_assert_msg(system(command) == 0, "%s", command);
}

static uint32_t index_of(const char *name)
{
    struct network_way ways[WAYS_MAX];
    size_t count = ask(v4, 0, 0, ways, WAYS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(ways[i].interface_name, name) == 0)
            return ways[i].interface;
    }
    ck_abort_msg("no %s", name);
    return 0;
}

#define ALL_V4 "eth0 10.0.1.2 100, wlan0 10.0.2.2 600, cell0 10.0.3.2 700"
#define ALL_V6 "eth0 2001:db8:1::2 100, wlan0 2001:db8:2::2 600, cell0 2001:db8:3::2 700"

START_TEST(every_default_route_is_a_way)
{
    struct network_way ways[WAYS_MAX];
    expect(v4, ALL_V4);
    expect(v6, ALL_V6);
    support_shell("ip link set eth0 mtu 1400");
    ck_assert_uint_eq(ask(v4, 0, 0, ways, WAYS_MAX), 3);
    ck_assert_uint_eq(ways[0].mtu, 1400);
    ck_assert_uint_eq(ways[1].mtu, 1500);
    ck_assert_int_eq(ways[0].kind, NETWORK_ETHERNET);
}
END_TEST

START_TEST(where_there_is_room_for_fewer_the_best_are_told)
{
    struct network_way ways[2];
    expect(v4, ALL_V4);
    ck_assert_uint_eq(ask(v4, 0, 0, ways, 0), 0);
    ck_assert_uint_eq(ask(v4, 0, 0, ways, 1), 1);
    ck_assert_str_eq(ways[0].interface_name, "eth0");
    ck_assert_uint_eq(ask(v4, 0, 0, ways, 2), 2);
    ck_assert_str_eq(ways[0].interface_name, "eth0");
    ck_assert_str_eq(ways[1].interface_name, "wlan0");
}
END_TEST

/* A network of which the kernel says that it is the right one comes before better metrics. */
START_TEST(the_kernels_choice_comes_first)
{
    support_shell("ip route add 203.0.113.0/24 via 10.0.3.1 metric 900;"
                  "ip -6 route add 2001:db8:ffff::/64 via 2001:db8:3::1 metric 900");
    expect(v4, "cell0 10.0.3.2 900, eth0 10.0.1.2 100, wlan0 10.0.2.2 600");
    expect(v6, "cell0 2001:db8:3::2 900, eth0 2001:db8:1::2 100, wlan0 2001:db8:2::2 600");
}
END_TEST

START_TEST(somebodys_rules_count)
{
    support_shell("ip rule add fwmark 0x42 table 100; ip route add default via 10.0.2.1 table 100;"
                  "ip rule add fwmark 0x43 unreachable");
    expect_but(v4, 0x42, 0, "wlan0 10.0.2.2 0, eth0 10.0.1.2 100, cell0 10.0.3.2 700");
    expect_but(v4, 0x43, 0, "");
    expect(v4, ALL_V4);
}
END_TEST

START_TEST(an_address_goes_and_comes_back)
{
    expect(v4, ALL_V4);
    support_shell("ip addr del 10.0.1.2/24 dev eth0"); /* the routes go with the last address */
    expect(v4, "wlan0 10.0.2.2 600, cell0 10.0.3.2 700");
    support_shell("ip -6 addr del 2001:db8:1::2/64 dev eth0"); /* here they do not */
    expect(v6, "wlan0 2001:db8:2::2 600, cell0 2001:db8:3::2 700");
    support_shell("ip addr add 10.0.1.7/24 dev eth0; ip route add default via 10.0.1.1 metric 100");
    expect(v4, "eth0 10.0.1.7 100, wlan0 10.0.2.2 600, cell0 10.0.3.2 700");
}
END_TEST

START_TEST(a_link_is_taken_down)
{
    expect(v6, ALL_V6);
    support_shell("ip link set eth0 down");
    expect(v4, "wlan0 10.0.2.2 600, cell0 10.0.3.2 700");
    expect(v6, "wlan0 2001:db8:2::2 600, cell0 2001:db8:3::2 700");
    support_shell("ip link del wlan0");
    expect(v4, "cell0 10.0.3.2 700");
}
END_TEST

/* The cable is pulled, or the access point out of reach: up, with its routes, and no way. */
START_TEST(the_carrier_is_lost)
{
    expect(v4, ALL_V4);
    support_shell("ip link set far1 down");
    expect(v4, "wlan0 10.0.2.2 600, cell0 10.0.3.2 700");
    expect(v6, "wlan0 2001:db8:2::2 600, cell0 2001:db8:3::2 700");
    support_shell("ip route show default | grep -q eth0; ip link show eth0 | grep -q NO-CARRIER");
    support_shell("ip link set far1 up");
    expect(v4, ALL_V4);
}
END_TEST

START_TEST(a_dormant_link_is_no_way_yet)
{
    expect(v4, ALL_V4);
    support_shell("ip link set wlan0 mode dormant; ip link set wlan0 state dormant");
    expect(v4, "eth0 10.0.1.2 100, cell0 10.0.3.2 700");
    support_shell("ip link set wlan0 mode default; ip link set wlan0 state up");
    expect(v4, ALL_V4);
}
END_TEST

START_TEST(the_exception_is_none)
{
    expect(v4, ALL_V4);
    expect_but(v4, 0, index_of("eth0"), "wlan0 10.0.2.2 600, cell0 10.0.3.2 700");
    expect_but(v6, 0, index_of("wlan0"), "eth0 2001:db8:1::2 100, cell0 2001:db8:3::2 700");
}
END_TEST

/* Asked for such an interface the IPv4 kernel makes a way up. */
START_TEST(an_address_without_a_route_is_no_way)
{
    support_shell(
        "ip link add lan0 type veth peer name far4; ip link set far4 up; ip link set lan0 up;"
        "ip addr add 192.168.7.2/24 dev lan0; ip addr add 2001:db8:7::2/64 dev lan0 nodad;"
        "ip route del default via 10.0.3.1; ip -6 route del default via 2001:db8:3::1");
    expect("192.168.7.9", "lan0 192.168.7.2 0, eth0 10.0.1.2 100, wlan0 10.0.2.2 600");
    expect(v4, "eth0 10.0.1.2 100, wlan0 10.0.2.2 600");
    expect(v6, "eth0 2001:db8:1::2 100, wlan0 2001:db8:2::2 600");
}
END_TEST

/* The kernel would lend another interface's address, which is another network's. */
START_TEST(a_route_without_an_address_of_its_own_is_no_way)
{
    support_shell(
        "ip link add lan0 type veth peer name far4; ip link set far4 up; ip link set lan0 up;"
        "ip route add default dev lan0 metric 200; ip -6 route add default dev lan0 metric 200");
    expect(v4, ALL_V4);
    expect(v6, ALL_V6);
    /* unless that is how the machine is set up */
    support_shell("ip route add default dev lan0 src 10.0.2.2 metric 50");
    expect(v4, "lan0 10.0.2.2 50, eth0 10.0.1.2 100, wlan0 10.0.2.2 600, cell0 10.0.3.2 700");
}
END_TEST

START_TEST(what_is_forbidden_has_no_way)
{
    static const char *const types[] = {"unreachable", "blackhole", "prohibit"};
    for (size_t i = 0; i < 3; i++) {
        char text[256];
        expect(v4, ALL_V4);
        snprintf(text, sizeof(text),
                 "ip route add %s 203.0.113.0/24; ip -6 route add %s 2001:db8:ffff::/48", types[i],
                 types[i]);
        support_shell(text);
        expect(v4, "");
        expect(v6, "");
        expect("203.0.112.1", ALL_V4);
        support_shell("ip route flush 203.0.113.0/24; ip -6 route flush 2001:db8:ffff::/48");
        expect(v6, ALL_V6);
    }
    /* the last resort that many machines have hides nothing */
    support_shell("ip route add unreachable default metric 4000; "
                  "ip -6 route add unreachable default metric 4294967295");
    expect(v4, ALL_V4);
    expect(v6, ALL_V6);
}
END_TEST

START_TEST(no_route_no_address_no_remote)
{
    struct network_way ways[WAYS_MAX];
    size_t count = 7;
    const struct ip none = {0};
    support_shell("ip route flush default; ip -6 route flush default");
    expect(v4, "");
    expect(v6, "");
    expect("0.0.0.0", "");
    ck_ok(network_ways(&none, 0, 0, ways, WAYS_MAX, &count));
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(only_ipv6_is_left)
{
    expect(v4, ALL_V4);
    support_shell("for i in eth0 wlan0 cell0; do ip -4 addr flush dev $i; done");
    expect(v4, "");
    expect(v6, ALL_V6);
}
END_TEST

/* RFC 4862 5.4: until it is known to be unique an address is none; 5.5.4: a deprecated one is not
 * for what is new where there is another, be it of another network. */
START_TEST(ipv6_addresses_that_are_not_fit)
{
    expect(v6, ALL_V6);
    support_shell("ip -6 addr change 2001:db8:2::2/64 dev wlan0 preferred_lft 0");
    expect(v6, "eth0 2001:db8:1::2 100, cell0 2001:db8:3::2 700");
    support_shell(
        "echo 1000 > /proc/sys/net/ipv6/conf/cell0/dad_transmits;"
        "ip -6 addr del 2001:db8:3::2/64 dev cell0; ip -6 addr add 2001:db8:3::3/64 dev cell0;"
        "ip -6 addr show dev cell0 | grep 2001:db8:3::3 | grep -q tentative");
    expect(v6, "eth0 2001:db8:1::2 100");
    /* somebody has it already */
    support_shell(
        "ip -6 addr del 2001:db8:1::2/64 dev eth0; ip -6 addr add 2001:db8:1::9/64 dev far1 nodad;"
        "echo 1 > /proc/sys/net/ipv6/conf/eth0/dad_transmits;"
        "ip -6 addr add 2001:db8:1::9/64 dev eth0");
    await("ip -6 addr show dev eth0 | grep -q dadfailed");
    expect(v6, "");
    support_shell("ip -6 addr add 2001:db8:2::3/64 dev wlan0 nodad");
    expect(v6, "wlan0 2001:db8:2::3 600");
}
END_TEST

START_TEST(a_deprecated_address_is_better_than_none)
{
    support_shell("ip link set wlan0 down; ip link set cell0 down");
    support_shell("ip -6 addr change 2001:db8:1::2/64 dev eth0 preferred_lft 0");
    expect(v6, "eth0 2001:db8:1::2 100");
    support_shell("ip -6 addr add 2001:db8:1::3/64 dev eth0 nodad");
    expect(v6, "eth0 2001:db8:1::3 100");
}
END_TEST

START_TEST(an_optimistic_address_is_fit)
{
    support_shell(
        "cd /proc/sys/net/ipv6/conf/cell0; echo 1000 > dad_transmits; "
        "[ ! -e optimistic_dad ] || { echo 1 > optimistic_dad; echo 1 > use_optimistic; };"
        "ip -6 addr del 2001:db8:3::2/64 dev cell0; ip -6 addr add 2001:db8:3::3/64 dev cell0");
    if (system("ip -6 addr show dev cell0 | grep -q optimistic") != 0)
        return; /* a kernel without RFC 4429 */
    expect(v6, "eth0 2001:db8:1::2 100, wlan0 2001:db8:2::2 600, cell0 2001:db8:3::3 700");
}
END_TEST

/* RFC 4291 2.5.6: a link-local address means something on its own link alone. */
START_TEST(link_local_addresses)
{
    struct network_way ways[WAYS_MAX];
    support_shell(
        "for i in eth0 wlan0 cell0 far1 far2 far3; do ip -6 addr flush dev $i; done;"
        "ip -6 addr add fe80::2/64 dev eth0 nodad; ip -6 addr add fe80::2/64 dev wlan0 nodad;"
        "ip -6 route add default via fe80::1 dev eth0");
    expect(v6, "");
    size_t count = ask("fe80::1", 0, 0, ways, WAYS_MAX);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(ways[0].interface_name, "eth0");
    ck_assert_str_eq(ways[1].interface_name, "wlan0");
}
END_TEST

START_TEST(the_machine_itself)
{
    expect("127.0.0.1", "lo 127.0.0.1 0");
    expect("10.0.1.2", "lo 10.0.1.2 0");
    expect("::1", "lo ::1 0");
}
END_TEST

/* Two next hops of one route are two ways. */
START_TEST(a_route_by_two_interfaces)
{
    support_shell("ip route flush default; "
                  "ip route add default nexthop via 10.0.1.1 nexthop via 10.0.2.1");
    struct network_way ways[WAYS_MAX]; /* which is the first, a hash decides */
    ck_assert_uint_eq(ask(v4, 0, 0, ways, WAYS_MAX), 2);
    ck_assert_str_ne(ways[0].interface_name, ways[1].interface_name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("platform network ways");
    TCase *t = tcase_create("ways");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_default_route_is_a_way);
    tcase_add_test(t, where_there_is_room_for_fewer_the_best_are_told);
    tcase_add_test(t, the_kernels_choice_comes_first);
    tcase_add_test(t, somebodys_rules_count);
    tcase_add_test(t, an_address_goes_and_comes_back);
    tcase_add_test(t, a_link_is_taken_down);
    tcase_add_test(t, the_carrier_is_lost);
    tcase_add_test(t, a_dormant_link_is_no_way_yet);
    tcase_add_test(t, the_exception_is_none);
    tcase_add_test(t, an_address_without_a_route_is_no_way);
    tcase_add_test(t, a_route_without_an_address_of_its_own_is_no_way);
    tcase_add_test(t, what_is_forbidden_has_no_way);
    tcase_add_test(t, no_route_no_address_no_remote);
    tcase_add_test(t, only_ipv6_is_left);
    tcase_add_test(t, ipv6_addresses_that_are_not_fit);
    tcase_add_test(t, a_deprecated_address_is_better_than_none);
    tcase_add_test(t, an_optimistic_address_is_fit);
    tcase_add_test(t, link_local_addresses);
    tcase_add_test(t, the_machine_itself);
    tcase_add_test(t, a_route_by_two_interfaces);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
