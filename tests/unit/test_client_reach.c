/* The ways to the gateway: their order, networks that come and go, our own interface, and the end.
 * What concerns the gateway's addresses is in test_client_reach_names.c. */
#include <sys/resource.h>

#include "platform/routes.h"
#include "tests/unit/reach_scene.h"

static void prefer(const char *pattern)
{
    struct profile_list *l = &profile.prefer;
    snprintf(l->items[l->count++], PROFILE_TEXT_MAX, "%s", pattern);
}

/* --- the order --- */

START_TEST(every_address_by_every_network)
{
    begin(GW6, GW);
    expect("eth0 2001:db8:1::2>" GW6 ", eth0 10.0.1.2>" GW ", "
           "wlan0 2001:db8:2::2>" GW6 ", wlan0 10.0.2.2>" GW ", "
           "cell0 2001:db8:3::2>" GW6 ", cell0 10.0.3.2>" GW);
    const struct ip *found;
    ck_assert_uint_eq(reach_found(reach, &found), 2);
    ck_assert(ip_equal(&found[1], &told_paths[1].remote.ip));
    ck_assert_uint_eq(asked, 0); /* an address is no name */
    const struct network_way *way = reach_interface(reach, &told_paths[5]);
    ck_assert_str_eq(way->interface_name, "cell0");
    ck_assert_uint_eq(way->interface, told_paths[5].interface);
    ck_assert_uint_eq(way->metric, 700);
    const struct path nowhere = {.interface = 4711};
    ck_assert_ptr_null(reach_interface(reach, &nowhere));
}
END_TEST

/* Prefer: the first pattern that fits decides; what fits none comes last, as the kernel has it. */
START_TEST(prefer_decides)
{
    static const struct {
        const char *patterns[3], *expected;
    } cases[] = {
        {{"cell0", "wlan0", "eth0"},
         "cell0 10.0.3.2>" GW ", wlan0 10.0.2.2>" GW ", eth0 10.0.1.2>" GW},
        {{"cell*"}, "cell0 10.0.3.2>" GW ", eth0 10.0.1.2>" GW ", wlan0 10.0.2.2>" GW},
        {{"w?an0", "nosuch*"}, "wlan0 10.0.2.2>" GW ", eth0 10.0.1.2>" GW ", cell0 10.0.3.2>" GW},
        {{"*l*", "*"}, "wlan0 10.0.2.2>" GW ", cell0 10.0.3.2>" GW ", eth0 10.0.1.2>" GW},
        {{"cell", "lan0"}, ALL}, /* the whole name */
    };
    for (size_t i = 0; i < 3 && cases[_i].patterns[i] != NULL; i++)
        prefer(cases[_i].patterns[i]);
    begin(GW, NULL);
    expect(cases[_i].expected);
}
END_TEST

START_TEST(metrics_decide)
{
    begin(GW, NULL);
    expect(ALL);
    support_shell(
        "ip route add default via 10.0.3.1 metric 50; ip route del default via 10.0.3.1 metric "
        "700");
    expect("cell0 10.0.3.2>" GW ", eth0 10.0.1.2>" GW ", wlan0 10.0.2.2>" GW);
}
END_TEST

/* One address has a route of its own by the worst network: that network has the place of the best
 * for both, and the metrics of the two are what is left to tell them apart. */
START_TEST(a_network_has_one_place)
{
    begin(GW, GW_B);
    support_shell("ip route add " GW_B "/32 via 10.0.3.1 metric 900");
    expect("eth0 10.0.1.2>" GW ", eth0 10.0.1.2>" GW_B ", cell0 10.0.3.2>" GW
           ", cell0 10.0.3.2>" GW_B ", wlan0 10.0.2.2>" GW ", wlan0 10.0.2.2>" GW_B);
}
END_TEST

START_TEST(a_family_without_a_socket)
{
    add_name(GW6);
    add_name(GW);
    open_ports(_i == 0 ? PORT_V4 : 0, _i == 0 ? 0 : PORT_V6);
    reach_resolve(reach);
    expect(_i == 0 ? ALL
                   : "eth0 2001:db8:1::2>" GW6 ", wlan0 2001:db8:2::2>" GW6
                     ", cell0 2001:db8:3::2>" GW6);
}
END_TEST

/* --- networks that come and go --- */

START_TEST(interfaces_come_and_go)
{
    begin(GW, NULL);
    expect(ALL);
    support_shell("ip link set eth0 down");
    expect("wlan0 10.0.2.2>" GW ", cell0 10.0.3.2>" GW);
    ck_assert_uint_eq(tells, 2);
    support_shell("ip link del wlan0");
    expect("cell0 10.0.3.2>" GW);
    support_shell("ip link set far3 down"); /* the carrier */
    expect("");
    ck_assert_uint_eq(told_count, 0);
    support_shell("ip link set eth0 up; ip route add default via 10.0.1.1 metric 100");
    expect("eth0 10.0.1.2>" GW);
    support_shell("ip link set far3 up");
    expect("eth0 10.0.1.2>" GW ", cell0 10.0.3.2>" GW);
    support_shell(
        "ip link add wlan1 type veth peer name far4; ip link set far4 up; ip link set wlan1 up;"
        "ip addr add 10.0.4.2/24 dev wlan1; ip route add default via 10.0.4.1 metric 600");
    expect("eth0 10.0.1.2>" GW ", wlan1 10.0.4.2>" GW ", cell0 10.0.3.2>" GW);
}
END_TEST

/* A name decides by Prefer, and is what people are told. */
START_TEST(an_interface_is_renamed)
{
    prefer("cable*");
    begin(GW, NULL);
    expect(ALL);
    uint32_t interface = told_paths[2].interface;
    support_shell("ip link set cell0 down; ip link set cell0 name cable0; ip link set cable0 up;"
                  "ip route add default via 10.0.3.1 metric 700");
    expect("cable0 10.0.3.2>" GW ", eth0 10.0.1.2>" GW ", wlan0 10.0.2.2>" GW);
    ck_assert_uint_eq(told_paths[0].interface, interface);
    support_shell("ip link set cable0 down; ip link set cable0 name x0; ip link set x0 up;"
                  "ip route add default via 10.0.3.1 metric 700");
    expect("eth0 10.0.1.2>" GW ", wlan0 10.0.2.2>" GW ", x0 10.0.3.2>" GW);
}
END_TEST

START_TEST(addresses_come_and_go)
{
    begin(GW, NULL);
    expect(ALL);
    support_shell(
        "ip addr add 10.0.2.7/24 dev wlan0; ip route add default via 10.0.2.1 src 10.0.2.7 metric "
        "500");
    expect("eth0 10.0.1.2>" GW ", wlan0 10.0.2.7>" GW ", cell0 10.0.3.2>" GW);
    support_shell("ip addr del 10.0.1.2/24 dev eth0");
    expect("wlan0 10.0.2.7>" GW ", cell0 10.0.3.2>" GW);
    support_shell("ip addr del 10.0.2.7/24 dev wlan0");
    expect("wlan0 10.0.2.2>" GW ", cell0 10.0.3.2>" GW);
    support_shell("ip addr add 10.0.1.9/24 dev eth0; ip route add default via 10.0.1.1 metric 100");
    expect("eth0 10.0.1.9>" GW ", wlan0 10.0.2.2>" GW ", cell0 10.0.3.2>" GW);
}
END_TEST

/* RFC 4862 5.5.4: the network is renumbered; the old address lives on and is not for what is new.
 */
START_TEST(an_address_is_deprecated)
{
    begin(GW6, NULL);
    expect("eth0 2001:db8:1::2>" GW6 ", wlan0 2001:db8:2::2>" GW6 ", cell0 2001:db8:3::2>" GW6);
    support_shell("ip -6 addr change 2001:db8:1::2/64 dev eth0 preferred_lft 0");
    expect("wlan0 2001:db8:2::2>" GW6 ", cell0 2001:db8:3::2>" GW6);
    support_shell("ip -6 addr add 2001:db8:11::2/64 dev eth0 nodad");
    expect("eth0 2001:db8:11::2>" GW6 ", wlan0 2001:db8:2::2>" GW6 ", cell0 2001:db8:3::2>" GW6);
    support_shell("ip -6 addr del 2001:db8:1::2/64 dev eth0"); /* which was no way any more */
    look_once();
    ck_assert_uint_eq(tells, 3);
}
END_TEST

START_TEST(no_route_is_told_and_told_once)
{
    support_shell("ip route flush default; ip -6 route flush default");
    begin(GW, GW6);
    ck_assert_uint_eq(told_count, 0);
    ck_assert_str_eq(told, "");
    support_shell("ip link set eth0 down; ip link set eth0 up"); /* and there is still none */
    look_once();
    ck_assert_uint_eq(tells, 1);
    support_shell("ip -6 route add default via 2001:db8:3::1 metric 700");
    expect("cell0 2001:db8:3::2>" GW6);
    support_shell("ip -6 route del default via 2001:db8:3::1");
    expect("");
    ck_assert_uint_eq(tells, 3);
}
END_TEST

/* What is told of a network that is no way changes nothing. */
START_TEST(other_changes_are_not_told)
{
    begin(GW, NULL);
    expect(ALL);
    support_shell(
        "ip link set eth0 mtu 1400; ip addr add 10.9.9.9/32 dev lo; ip link add d0 type veth peer "
        "name d1;"
        "ip link set d0 up; ip addr add 10.8.8.8/24 dev d0; ip route add 10.7.0.0/16 via 10.8.8.1;"
        "ip rule add fwmark 1 table 100; ip link del d0");
    look_once();
    ck_assert_uint_eq(tells, 1);
    ck_assert_uint_eq(reach_interface(reach, &told_paths[0])->mtu, 1400); /* but known */
}
END_TEST

/* Ours is what carries our mark: somebody's rule for it counts. */
START_TEST(the_ways_are_those_of_our_mark)
{
    char text[256];
    begin(GW, NULL);
    expect(ALL);
    snprintf(text, sizeof(text),
             "ip route add default via 10.0.3.1 table 100; ip rule add fwmark %u table 100",
             (unsigned)ROUTES_MARK);
    support_shell(text);
    expect("cell0 10.0.3.2>" GW ", eth0 10.0.1.2>" GW ", wlan0 10.0.2.2>" GW);
}
END_TEST

/* Hundreds of events at once are one look, and no call where they lead to nothing. */
START_TEST(storms_are_one_change)
{
    begin(GW, NULL);
    expect(ALL);
    support_shell(
        "ip link set eth0 down; for i in $(seq 1 200); do echo addr add 10.1.0.$i/32 dev wlan0; "
        "done | ip -batch -; ip link set cell0 down; ip link set cell0 up;"
        "ip route add default via 10.0.3.1 metric 50");
    uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_eq(tells, 2);
    expect("cell0 10.0.3.2>" GW ", wlan0 10.0.2.2>" GW);
    unsigned before = tells;
    support_shell(
        "for i in $(seq 1 200); do echo addr del 10.1.0.$i/32 dev wlan0; done | ip -batch -");
    look_once();
    support_shell("for i in 1 2 3 4 5 6 7 8 9; do ip link set wlan0 down; ip link set wlan0 up; "
                  "ip route add default via 10.0.2.1 metric 600; done");
    look_once();
    expect("cell0 10.0.3.2>" GW ", wlan0 10.0.2.2>" GW);
    ck_assert_uint_le(tells, before + 2); /* the last carrier may be told later */
}
END_TEST

static void find_watched(uv_handle_t *handle, void *fd)
{
    if (handle->type == UV_POLL)
        ck_assert_int_eq(uv_fileno(handle, fd), 0);
}

/* More than the socket holds: nothing of it is lost but the details, and it is watched on. */
START_TEST(an_overrun_is_looked_into)
{
    uv_os_fd_t fd = -1;
    int least = 1;
    begin(GW, NULL);
    expect(ALL);
    uv_walk(&loop, find_watched, &fd);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)), 0);
    for (int i = 1; i <= 3; i++) {
        support_shell(
            "for i in $(seq 100); do echo addr add 10.1.1.$i/32 dev far1; done | ip -batch -;"
            "ip addr flush dev far1");
        look_once();
    }
    ck_assert_uint_eq(tells, 1);
    support_shell("ip link set eth0 down");
    expect("wlan0 10.0.2.2>" GW ", cell0 10.0.3.2>" GW);
    support_shell("ip link set wlan0 down");
    expect("cell0 10.0.3.2>" GW);
    ck_assert_uint_eq(tells, 3);
}
END_TEST

/* The kernel was not asked, for want of a descriptor: that takes no way away. */
START_TEST(what_cannot_be_looked_at_is_as_before)
{
    struct rlimit limit, none;
    begin(GW, NULL);
    expect(ALL);
    support_shell("ip link set wlan0 down");
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    look_once();
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_str_eq(told, ALL);
    ck_assert_uint_eq(tells, 1);
    support_shell("ip link set mtu 1400 dev far1"); /* the next change, whichever, has it all */
    expect("eth0 10.0.1.2>" GW ", cell0 10.0.3.2>" GW);
}
END_TEST

/* --- our own interface --- */

/* Both carry, have an address and the best route; one is ours. */
START_TEST(our_own_interface_is_no_way)
{
    struct ip to = ip_of(GW_B);
    struct path paths[SESSION_PATHS_MAX];
    begin(GW, NULL);
    expect(ALL);
    ck_assert_msg(tun_open("tern0", true, &tun, &f) == ERR_OK, "%s", f.text);
    const struct network_ours ours = {.interface = tun_index(tun)};
    reach_set_ours(reach, &ours);
    ck_ok(tun_up(tun, &f));
    support_shell("ip addr add 10.9.7.1/32 dev tern0; ip route add default dev tern0 metric 1;"
                  "ip route add " GW "/32 dev tern0");
    look_once();
    ck_assert_str_eq(told, ALL);
    ck_assert_uint_eq(tells, 1);
    size_t count = reach_ways(reach, &to, 1, paths);
    ck_assert_uint_eq(count, 3);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_ne(paths[i].interface, tun_index(tun));
    support_shell("ip link set eth0 down"); /* nor when something else has changed */
    expect("wlan0 10.0.2.2>" GW ", cell0 10.0.3.2>" GW);
    ck_assert_msg(tun_open("other0", true, &other_tun, &f) == ERR_OK, "%s", f.text);
    ck_ok(tun_up(other_tun, &f));
    support_shell("ip addr add 10.6.7.1/32 dev other0; ip route add " GW "/32 dev other0 metric 5");
    expect("other0 10.6.7.1>" GW ", wlan0 10.0.2.2>" GW ", cell0 10.0.3.2>" GW);
}
END_TEST

/* For a gateway that sends us elsewhere; what is told stays as it is. */
START_TEST(ways_to_another_gateway)
{
    struct ip to[40];
    struct path paths[SESSION_PATHS_MAX];
    prefer("cell0");
    begin(GW, NULL);
    unsigned before = tells;
    to[0] = ip_of(GW_B);
    to[1] = ip_of(GW6);
    ck_assert_uint_eq(reach_ways(reach, to, 0, paths), 0);
    ck_assert_uint_eq(reach_ways(reach, to, 2, paths), 6);
    ck_assert(ip_equal(&paths[0].local.ip, &told_paths[0].local.ip));
    ck_assert(ip_equal(&paths[0].remote.ip, &to[0]));
    ck_assert(ip_equal(&paths[1].remote.ip, &to[1]));
    ck_assert_uint_eq(paths[1].local.port, PORT_V6);
    for (uint8_t i = 0; i < 40; i++)
        to[i] = ip_v4(203, 0, 113, i);
    ck_assert_uint_eq(reach_ways(reach, to, 40, paths), SESSION_PATHS_MAX);
    ck_assert_uint_eq(tells, before);
}
END_TEST

/* --- the end --- */

START_TEST(closed_in_every_state)
{
    reach_close(NULL);
    reach_free(NULL);
    ck_assert(!reach_looking(NULL));
    answer_with(0, (struct answer){"vpn.example.com", {GW}});
    answer_with(1, (struct answer){"vpn2.example.com", {GW}});
    add_name("vpn.example.com");
    add_name("vpn2.example.com");
    open_ports(PORT_V4, PORT_V6);
    if (_i == 0) /* nothing was asked */
        return;
    hang(_i == 2 || _i == 3);
    reach_resolve(reach);
    if (_i == 1) /* asked, and no turn of the loop since */
        return;
    if (_i == 2) { /* a look-up hangs: it cannot be taken back, and answers afterwards */
        await_question(2);
        close_reach();
        look_once();
        ck_assert(reach_looking(reach));
        ck_assert_uint_eq(handles(), 1);
        hang(false);
        await_answers();
        ck_assert_uint_eq(tells, 0);
        return;
    }
    if (_i == 3) { /* also where a network has changed meanwhile */
        await_question(2);
        support_shell("ip link set eth0 down");
        look_once();
        return;
    }
    await_answers();
    if (_i == 4) /* with news of the network unread */
        support_shell("ip link set eth0 down");
    ck_assert_uint_eq(tells, 1);
}
END_TEST

/* Whoever is told may have enough of it. */
START_TEST(closed_when_told)
{
    answer_with(0, (struct answer){"vpn.example.com", {GW}});
    add_name("vpn.example.com");
    open_ports(PORT_V4, PORT_V6);
    reach_resolve(reach);
    close_when_told = _i == 0;
    await_tells(1);
    if (_i == 1) { /* of a network: no question is begun any more */
        close_when_told = true;
        support_shell("ip link set eth0 down");
        await_tells(2);
    }
    ck_assert(!close_when_told);
    ck_assert(!reach_looking(reach));
    ck_assert_uint_eq(asked_so_far(), 1);
}
END_TEST

START_TEST(what_cannot_be_opened_leaves_nothing)
{
    const struct reach_options o = {.profile = &profile, .changed = on_changed, .ctx = &loop};
    struct rlimit limit, none;
    struct reach *other = NULL;
    open_ports(PORT_V4, PORT_V6);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum err e = reach_new(&loop, &o, &other, &f);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_err(e, ERR_SYSTEM);
    ck_assert_ptr_null(other);
    ck_assert_str_ne(f.text, "");
    ck_assert_uint_eq(handles(), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client reach");
    TCase *t;
    add_case(suite, &t, "order");
    tcase_add_test(t, every_address_by_every_network);
    tcase_add_loop_test(t, prefer_decides, 0, 5);
    tcase_add_test(t, metrics_decide);
    tcase_add_test(t, a_network_has_one_place);
    tcase_add_loop_test(t, a_family_without_a_socket, 0, 2);

    add_case(suite, &t, "networks");
    tcase_add_test(t, interfaces_come_and_go);
    tcase_add_test(t, an_interface_is_renamed);
    tcase_add_test(t, addresses_come_and_go);
    tcase_add_test(t, an_address_is_deprecated);
    tcase_add_test(t, no_route_is_told_and_told_once);
    tcase_add_test(t, other_changes_are_not_told);
    tcase_add_test(t, the_ways_are_those_of_our_mark);
    tcase_add_test(t, storms_are_one_change);
    tcase_add_test(t, an_overrun_is_looked_into);
    tcase_add_test(t, what_cannot_be_looked_at_is_as_before);

    add_case(suite, &t, "tunnel");
    tcase_add_test(t, our_own_interface_is_no_way);
    tcase_add_test(t, ways_to_another_gateway);

    add_case(suite, &t, "end");
    tcase_add_loop_test(t, closed_in_every_state, 0, 6);
    tcase_add_loop_test(t, closed_when_told, 0, 2);
    tcase_add_test(t, what_cannot_be_opened_leaves_nothing);
    return support_run(suite);
}
