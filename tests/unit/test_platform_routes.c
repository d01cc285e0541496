/* Routes, rules and UDP in a network namespace of the test's own: no root is needed, and the
 * machine's tables are not touched. */
#include "platform/routes.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/network.h"
#include "platform/tun.h"
#include "platform/udp.h"
#include "tests/support/namespace.h"
#include "tests/support/support.h"

/* What `ip` says of rules and routes. */
static char *tables(void)
{
    static const char command[] = "ip -4 rule; ip -6 rule; ip -4 route show table all; "
                                  "ip -6 route show table all | grep -v '^multicast'";
    char *text = calloc(1, 65536);
    FILE *out = popen(command, "r");
    ck_assert(text != NULL && out != NULL);
    size_t len = fread(text, 1, 65535, out);
    text[len] = '\0';
    ck_assert_int_eq(pclose(out), 0);
    return text;
}

static struct tun *tun;
static struct routes_plan plan;
static struct prefix into[2], excluded[1];
static struct ip sources[2];

static void setup(void)
{
    struct fault f = {0};
    support_enter_namespace();
    ck_assert_msg(tun_open("tern0", true, &tun, &f) == ERR_OK, "%s", f.text);
    ck_ok(tun_set_mtu(tun, 1400, &f));
    ck_ok(tun_up(tun, &f));
    ck_ok(prefix_parse("10.7.0.1/32", &into[0]));
    ck_ok(tun_add_address(tun, &into[0], &f));
    ck_ok(prefix_parse("fd07::1/128", &into[1]));
    ck_ok(tun_add_address(tun, &into[1], &f));
    sources[0] = into[0].ip;
    sources[1] = into[1].ip;
    ck_ok(prefix_parse("0.0.0.0/0", &into[0]));
    ck_ok(prefix_parse("::/0", &into[1]));
    ck_ok(prefix_parse("192.168.0.0/16", &excluded[0]));
    plan = (struct routes_plan){.interface = tun_index(tun),
                                .into = into,
                                .into_count = 2,
                                .exclude = excluded,
                                .exclude_count = 1,
                                .sources = sources,
                                .sources_count = 2};
    ck_ok(routes_free_table(&plan.table, &f));
}

static void teardown(void)
{
    tun_close(tun);
}

/* The kernel's own choice. */
static enum err first_way(const struct ip *remote, uint32_t mark, struct network_way *ret)
{
    size_t count;
    ck_ok(network_ways(remote, mark, 0, ret, 1, &count));
    return count == 1 ? ERR_OK : ERR_NOT_FOUND;
}

START_TEST(installed_and_removed_without_a_trace)
{
    struct fault f = {0};
    struct routes *r;
    char *before = tables();
    ck_assert_msg(routes_install(&plan, &r, &f) == ERR_OK, "%s", f.text);
    uint32_t other;
    ck_ok(routes_free_table(&other, &f));
    ck_assert_uint_ne(other, plan.table);
    routes_remove(r);
    char *after = tables();
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
}
END_TEST

/* A full tunnel takes everything but what carries our mark, and what is excluded. */
START_TEST(marked_packets_go_beside_the_tunnel)
{
    struct fault f = {0};
    struct routes *r;
    struct network_way route;
    struct ip far, near;
    ck_ok(ip_parse("198.51.100.1", &far));
    ck_ok(ip_parse("192.168.1.1", &near));
    ck_ok(routes_install(&plan, &r, &f));
    ck_ok(first_way(&far, 0, &route));
    ck_assert_uint_eq(route.interface, tun_index(tun));
    ck_assert(ip_equal(&route.source, &sources[0]));
    ck_assert_uint_eq(route.mtu, 1400);
    ck_assert_str_eq(route.interface_name, "tern0");
    ck_err(first_way(&far, ROUTES_MARK, &route), ERR_NOT_FOUND);
    ck_err(first_way(&near, 0, &route), ERR_NOT_FOUND);
    ck_ok(ip_parse("2001:db8::1", &far));
    ck_ok(first_way(&far, 0, &route));
    ck_assert(ip_equal(&route.source, &sources[1]));
    routes_remove(r);
    ck_err(first_way(&far, 0, &route), ERR_NOT_FOUND);
}
END_TEST

/* New addresses and networks: at no moment does a packet that belongs into the tunnel have another
 * way, and nothing of the old plan is left. */
START_TEST(another_plan_takes_the_place)
{
    struct fault f = {0};
    struct routes *r;
    struct network_way route;
    struct ip far, other;
    char *before = tables();
    struct prefix old[2], wide, narrow, address;
    ck_ok(ip_parse("10.9.1.1", &far));
    ck_ok(ip_parse("10.8.1.1", &other));
    ck_ok(prefix_parse("10.8.0.0/16", &wide));
    ck_ok(prefix_parse("10.9.0.0/16", &narrow));
    struct routes_plan p = plan;
    old[0] = wide;
    old[1] = narrow;
    p.into = old;
    p.into_count = 2;
    p.guarded = true;
    ck_assert_msg(routes_install(&p, &r, &f) == ERR_OK, "%s", f.text);
    ck_ok(first_way(&other, 0, &route));

    ck_ok(prefix_parse("10.7.0.99/32", &address));
    ck_ok(tun_add_address(tun, &address, &f));
    p.into = &narrow;
    p.into_count = 1;
    p.sources = &address.ip;
    p.sources_count = 1;
    ck_assert_msg(routes_renew(r, &p, old, 2, &f) == ERR_OK, "%s", f.text);
    ck_ok(first_way(&far, 0, &route));
    ck_assert_uint_eq(route.interface, tun_index(tun));
    ck_assert(ip_equal(&route.source, &address.ip));
    ck_err(first_way(&other, 0, &route), ERR_NOT_FOUND);
    routes_remove(r);
    ck_ok(tun_remove_address(tun, &address, &f));
    char *after = tables();
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
}
END_TEST

START_TEST(half_a_plan_is_rolled_back)
{
    struct fault f = {0};
    struct routes *r = NULL;
    char *before = tables();
    sources[1] = sources[0];
    ck_ok(ip_parse("fd99::99", &sources[1])); /* not ours: the kernel refuses it */
    ck_err(routes_install(&plan, &r, &f), ERR_SYSTEM);
    ck_assert_ptr_null(r);
    ck_assert_ptr_nonnull(strstr(f.text, "::/0"));
    char *after = tables();
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
}
END_TEST

START_TEST(what_a_killed_process_left_is_cleaned)
{
    struct fault f = {0};
    struct routes *r;
    char *before = tables();
    ck_ok(routes_install(&plan, &r, &f));
    ck_ok(routes_clean(plan.table, &f)); /* knows the table alone */
    char *after = tables();
    ck_assert_str_eq(before, after);
    ck_ok(routes_clean(plan.table, &f));
    ck_err(routes_clean(254, &f), ERR_REFUSED); /* main is not ours */
    routes_remove(r);
    free(before);
    free(after);
}
END_TEST

/* --- what others do --- */

static struct routes_damage restore(struct routes *r)
{
    struct fault f = {0};
    struct routes_damage d;
    ck_assert_msg(routes_restore(r, &plan, &d, &f) == ERR_OK, "%s", f.text);
    return d;
}

START_TEST(what_others_took_is_put_back)
{
    static const struct {
        const char *command;
        bool rules, routes;
    } harms[] = {
        {"true", false, false},
        {"ip rule del pref 5200", true, false},
        {"ip -6 rule del pref 5200", true, false},
        {"ip route flush table $TABLE", false, true},
        {"ip route del default dev tern0 table $TABLE; ip -6 route del default dev tern0 table "
         "$TABLE",
         false, true},
        {"ip route del unreachable default table $TABLE", false, true},
        {"ip -6 route del unreachable default table $TABLE", false, true},
        {"ip route del throw 192.168.0.0/16 table $TABLE", false, true},
        {"ip route replace default dev up0 table $TABLE", false, true},
        {"ip -6 route replace default dev up0 table $TABLE", false, true},
        {"ip route prepend default dev up0 table $TABLE", false, true},
        {"ip route change default dev tern0 src 192.0.2.1 table $TABLE", false, true},
        {"ip route add 10.1.0.0/16 dev up0 table $TABLE", false, true}, /* would win over ours */
        {"ip -6 route add 2001:db8::/32 dev up0 table $TABLE", false, true},
        {"ip -6 rule del pref 5200; ip -6 route flush table $TABLE", true, true},
    };
    struct fault f = {0};
    struct routes *r;
    char table[16];
    snprintf(table, sizeof(table), "%u", plan.table);
    setenv("TABLE", table, 1);
    ck_assert_int_eq(system("ip tuntap add up0 mode tun && ip link set up0 up && "
                            "ip addr add 192.0.2.1/24 dev up0"),
                     0);
    plan.guarded = true;
    char *before = tables();
    ck_assert_msg(routes_install(&plan, &r, &f) == ERR_OK, "%s", f.text);
    char *whole = tables();
    for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i++) {
        ck_assert_msg(system(harms[i].command) == 0, "%s", harms[i].command);
        struct routes_damage d = restore(r);
        ck_assert_msg(d.rules == harms[i].rules && d.routes == harms[i].routes, "%s",
                      harms[i].command);
        char *now = tables();
        ck_assert_str_eq(now, whole);
        free(now);
        d = restore(r);
        ck_assert(!d.rules && !d.routes);
    }
    routes_remove(r);
    char *after = tables();
    ck_assert_str_eq(before, after);
    free(before);
    free(whole);
    free(after);
}
END_TEST

/* There is a way outside, and without the interface nothing of the tunnel's takes it. */
START_TEST(guards_hold_without_the_interface)
{
    struct fault f = {0};
    struct routes *r;
    struct network_way way;
    struct ip far, far6, near;
    ck_assert_int_eq(system("ip link add up0 type veth peer name up1 && ip link set up1 up && "
                            "ip link set up0 up && "
                            "ip addr add 192.0.2.1/24 dev up0 && "
                            "ip addr add 2001:db8:1::1/64 dev up0 nodad && "
                            "ip route add default dev up0 && ip -6 route add default dev up0"),
                     0);
    ck_ok(ip_parse("198.51.100.1", &far));
    ck_ok(ip_parse("2001:db8:c::7", &far6));
    ck_ok(ip_parse("192.168.1.1", &near));
    plan.guarded = true;
    ck_ok(routes_install(&plan, &r, &f));
    for (int i = 0; i < 3; i++) {
        static const char *const harms[] = {"ip addr del 10.7.0.1/32 dev tern0",
                                            "ip link set tern0 down", "ip link del tern0"};
        ck_assert_int_eq(system(harms[i]), 0);
        ck_err(first_way(&far, 0, &way), ERR_NOT_FOUND);
        if (i > 0)
            ck_err(first_way(&far6, 0, &way), ERR_NOT_FOUND);
    }
    ck_ok(first_way(&near, 0, &way)); /* what is excluded goes on */
    ck_assert_str_eq(way.interface_name, "up0");
    ck_ok(first_way(&far, ROUTES_MARK, &way)); /* and so do we */
    routes_remove(r);
    ck_ok(first_way(&far, 0, &way));
    ck_assert_str_eq(way.interface_name, "up0");
}
END_TEST

/* What is both for the tunnel and excluded stays outside, and is nobody's damage. */
START_TEST(an_excluded_network_that_is_routed_as_well)
{
    struct fault f = {0};
    struct routes *r;
    ck_ok(prefix_parse("0.0.0.0/0", &excluded[0]));
    plan.guarded = true;
    ck_ok(routes_install(&plan, &r, &f));
    struct routes_damage d = restore(r);
    ck_assert(!d.rules && !d.routes);
    routes_remove(r);
}
END_TEST

static struct udp *open_udp(enum ip_family family, uint32_t mark)
{
    struct fault f = {0};
    struct udp *u;
    const struct udp_options o = {.address = {.family = family}, .mark = mark};
    ck_assert_msg(udp_open(&o, &u, &f) == ERR_OK, "%s", f.text);
    return u;
}

START_TEST(datagrams_carry_their_path)
{
    enum ip_family family = _i == 0 ? IP_V4 : IP_V6;
    struct udp *a = open_udp(family, ROUTES_MARK), *b = open_udp(family, 0);
    uint8_t out[] = "hello", in[64];
    struct udp_message m = {.data = out, .len = sizeof(out)}, got = {.data = in, .cap = sizeof(in)};
    ck_ok(ip_parse(_i == 0 ? "127.0.0.2" : "::1", &m.path.local.ip));
    ck_ok(ip_parse(_i == 0 ? "127.0.0.3" : "::1", &m.path.remote.ip));
    m.path.remote.port = udp_port(b);
    size_t count;
    struct udp_sender *sender;
    ck_ok(udp_sender_new(a, &sender));
    ck_err(udp_receive(b, &got, 1, &count), ERR_AGAIN);
    ck_ok(udp_send(sender, &m, 1, &count));
    ck_assert_uint_eq(count, 1);
    struct pollfd ready = {.fd = udp_fd(b), .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, 5000), 1);
    ck_ok(udp_receive(b, &got, 1, &count));
    ck_assert_uint_eq(got.len, sizeof(out));
    ck_assert(ip_equal(&got.path.remote.ip, &m.path.local.ip));
    ck_assert(ip_equal(&got.path.local.ip, &m.path.remote.ip));
    ck_assert_uint_eq(got.path.remote.port, udp_port(a));
    ck_assert_uint_ne(got.path.interface, 0);
    /* a source that is not here */
    ck_ok(ip_parse(_i == 0 ? "198.51.100.9" : "2001:db8::9", &m.path.local.ip));
    ck_err(udp_send(sender, &m, 1, &count), ERR_NOT_FOUND);
    udp_sender_free(sender);
    udp_close(a);
    udp_close(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("platform routes");
    TCase *t = tcase_create("routes");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, installed_and_removed_without_a_trace);
    tcase_add_test(t, marked_packets_go_beside_the_tunnel);
    tcase_add_test(t, another_plan_takes_the_place);
    tcase_add_test(t, half_a_plan_is_rolled_back);
    tcase_add_test(t, what_a_killed_process_left_is_cleaned);
    tcase_add_test(t, what_others_took_is_put_back);
    tcase_add_test(t, guards_hold_without_the_interface);
    tcase_add_test(t, an_excluded_network_that_is_routed_as_well);
    tcase_add_loop_test(t, datagrams_carry_their_path, 0, 2);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
