/* The ways to the gateway: the addresses in use, those that its names lead to, and those that it
 * tells of. */
#include "tests/unit/reach_scene.h"

/* With an address of the gateway's that its name led to. */
static void begin_by_name(void)
{
    answer_with(0, (struct answer){"vpn.example.com", {GW}});
    add_name("vpn.example.com");
    open_ports(PORT_V4, PORT_V6);
    reach_resolve(reach);
    expect(ALL);
}

static void lose_two_networks(void)
{
    support_shell("ip link set eth0 down");
    expect("wlan0 10.0.2.2>" GW ", cell0 10.0.3.2>" GW);
    support_shell("ip link set wlan0 down");
    expect("cell0 10.0.3.2>" GW);
}

static void set_current(const char *text)
{
    struct ip ip = ip_of(text);
    reach_set_current(reach, &ip);
}

/* --- the gateway's addresses in use --- */

START_TEST(the_current_one_is_kept)
{
    begin_by_name();
    set_current(GW);
    answer_with(0, (struct answer){"vpn.example.com", {GW_B}});
    reach_resolve(reach);
    expect("eth0 10.0.1.2>" GW ", eth0 10.0.1.2>" GW_B ", wlan0 10.0.2.2>" GW
           ", wlan0 10.0.2.2>" GW_B ", cell0 10.0.3.2>" GW ", cell0 10.0.3.2>" GW_B);
    support_shell("ip link set wlan0 down"); /* also then */
    expect("eth0 10.0.1.2>" GW ", eth0 10.0.1.2>" GW_B ", cell0 10.0.3.2>" GW
           ", cell0 10.0.3.2>" GW_B);
    await_answers();
    set_current(GW_B); /* moved: what is listed nowhere else goes */
    support_shell("ip link set cell0 down");
    expect("eth0 10.0.1.2>" GW_B);
}
END_TEST

static bool is_told(const char *interface, const char *remote)
{
    struct ip ip = ip_of(remote);
    for (size_t i = 0; i < told_count; i++) {
        if (strcmp(reach_interface(reach, &told_paths[i])->interface_name, interface) == 0 &&
            ip_equal(&told_paths[i].remote.ip, &ip))
            return true;
    }
    return false;
}

/* A name with very many addresses: no network is left out for it, nor the way in use, on whichever
 * network that is. The order stays. */
START_TEST(many_addresses_leave_room_for_every_network)
{
    static const char *const networks[] = {"eth0", "wlan0", "cell0"};
    answer_with(0, (struct answer){"vpn.example.com",
                                   {"203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4",
                                    "203.0.113.5", "203.0.113.6", "203.0.113.7", "203.0.113.8",
                                    "203.0.113.9", "203.0.113.10", "203.0.113.11", "203.0.113.12",
                                    "203.0.113.13", "203.0.113.14", "203.0.113.15", "203.0.113.16",
                                    "203.0.113.17"}});
    add_name("vpn.example.com");
    open_ports(PORT_V4, PORT_V6);
    reach_resolve(reach);
    await_tells(1);
    ck_assert_uint_eq(told_count, SESSION_PATHS_MAX);
    for (size_t i = 0; i < 3; i++)
        ck_assert_msg(is_told(networks[i], "203.0.113.1"), "%s in %s", networks[i], told);
    set_current("203.0.113.16");
    support_shell(
        "ip route add 203.0.113.16/32 via 10.0.3.1 metric 900"); /* the last of its network */
    look_once();
    ck_assert_uint_eq(told_count, SESSION_PATHS_MAX);
    for (size_t i = 0; i < 3; i++)
        ck_assert_msg(is_told(networks[i], "203.0.113.16"), "%s in %s", networks[i], told);
    for (size_t i = 0; i < 3; i++)
        ck_assert_msg(is_told(networks[i], "203.0.113.1"), "%s in %s", networks[i], told);
}
END_TEST

/* --- names --- */

START_TEST(a_name_is_asked_again_in_every_network)
{
    answer_with(0, (struct answer){"vpn.example.com", {GW}});
    add_name("vpn.example.com");
    open_ports(PORT_V4, PORT_V6);
    ck_assert(!reach_looking(reach));
    reach_resolve(reach);
    ck_assert(reach_looking(reach));
    ck_assert_uint_eq(tells, 0);
    await_tells(1);
    ck_assert_str_eq(told, ALL);
    ck_assert_uint_eq(asked_so_far(), 1);
    reach_resolve(reach); /* the same answer is no change */
    await_answers();
    ck_assert_uint_eq(asked_so_far(), 2);
    ck_assert_uint_eq(tells, 1);
    answer_with(0, (struct answer){"vpn.example.com", {GW_B}}); /* in the next one it is another */
    support_shell("ip link set eth0 down");
    expect("wlan0 10.0.2.2>" GW_B ", cell0 10.0.3.2>" GW_B);
    ck_assert_uint_eq(asked_so_far(), 3);
    ck_assert_uint_eq(tells, 3); /* the network at once, then what its resolver said */
    await_answers();
    support_shell("ip addr add 10.9.9.9/32 dev lo"); /* no change of the ways: no question */
    look_once();
    await_answers(); /* of a question that there is not */
    ck_assert_uint_eq(asked_so_far(), 3);
}
END_TEST

/* IPv6 alone, with a translator whose resolver makes up an address (RFC 6147): by what was known
 * there is no way in this network, and still there is one. */
START_TEST(a_network_without_a_way_is_asked_too)
{
    answer_with(0, (struct answer){"vpn.example.com", {GW}});
    add_name("vpn.example.com");
    support_shell("ip -6 route flush default");
    open_ports(PORT_V4, PORT_V6);
    reach_resolve(reach);
    expect(ALL);
    support_shell("ip route flush default");
    expect("");
    await_answers();
    answer_with(0, (struct answer){"vpn.example.com", {"64:ff9b::cb00:7101"}});
    support_shell("ip -6 route add default via 2001:db8:2::1 metric 600");
    expect("wlan0 2001:db8:2::2>64:ff9b::cb00:7101");
}
END_TEST

START_TEST(a_look_up_that_fails_takes_nothing_away)
{
    begin_by_name();
    answer_with(0, (struct answer){0});
    reach_resolve(reach);
    await_answers();
    support_shell("ip link set eth0 down");
    expect("wlan0 10.0.2.2>" GW ", cell0 10.0.3.2>" GW);
    await_answers();
    ck_assert_uint_eq(asked_so_far(), 3);
    ck_assert_uint_eq(tells, 2);
    answer_with(0, (struct answer){"vpn.example.com", {GW_B}});
    reach_resolve(reach);
    expect("wlan0 10.0.2.2>" GW_B ", cell0 10.0.3.2>" GW_B);
}
END_TEST

/* One of two fails: what it led to before stays, and the other's are those of today. */
START_TEST(a_name_that_fails_beside_another)
{
    const struct ip *found;
    answer_with(0, (struct answer){"vpn1.example.com", {GW}});
    answer_with(1, (struct answer){"vpn2.example.com", {GW_B}});
    add_name("vpn1.example.com");
    add_name("vpn2.example.com");
    support_shell("ip link set wlan0 down; ip link set cell0 down");
    open_ports(PORT_V4, PORT_V6);
    reach_resolve(reach);
    expect("eth0 10.0.1.2>" GW ", eth0 10.0.1.2>" GW_B);
    answer_with(0, (struct answer){0});
    answer_with(1, (struct answer){"vpn2.example.com", {"203.0.113.3", GW, "203.0.113.3"}});
    reach_resolve(reach);
    expect("eth0 10.0.1.2>" GW ", eth0 10.0.1.2>203.0.113.3");
    ck_assert_uint_eq(reach_found(reach, &found), 2);
    answer_with(0, (struct answer){"vpn1.example.com", {"203.0.113.4"}}); /* both again */
    answer_with(1, (struct answer){"vpn2.example.com", {GW_B}});
    reach_resolve(reach);
    expect("eth0 10.0.1.2>203.0.113.4, eth0 10.0.1.2>" GW_B);
}
END_TEST

/* At first nothing is known, and that is told too, once. */
START_TEST(the_first_look_up_fails)
{
    const struct ip *found;
    add_name("vpn.example.com");
    open_ports(PORT_V4, PORT_V6);
    reach_resolve(reach);
    await_tells(1);
    ck_assert_uint_eq(told_count, 0);
    ck_assert_uint_eq(reach_found(reach, &found), 0);
    reach_resolve(reach);
    await_answers();
    ck_assert_uint_eq(tells, 1);
    answer_with(0, (struct answer){"vpn.example.com", {GW}});
    reach_resolve(reach);
    expect(ALL);
}
END_TEST

/* It hangs: what happens meanwhile is told by what is known, nobody is asked twice at a time, and
 * the late answer counts. */
START_TEST(a_look_up_hangs)
{
    begin_by_name();
    hang(true);
    reach_resolve(reach);
    await_question(2);
    reach_resolve(reach);
    reach_resolve(reach);
    lose_two_networks();
    ck_assert_uint_eq(asked_so_far(), 2);
    ck_assert(reach_looking(reach));
    answer_with(0, (struct answer){"vpn.example.com", {GW_B}});
    hang(false);
    expect("cell0 10.0.3.2>" GW_B);
}
END_TEST

/* Asked in one network, answered in another: the question is put again there, once, however often
 * the network has changed meanwhile. */
START_TEST(the_network_changes_during_a_look_up)
{
    begin_by_name();
    hang(true);
    reach_resolve(reach);
    await_question(2);
    lose_two_networks();
    hang(false);
    await_answers();
    ck_assert_uint_eq(asked_so_far(), 3);
    look_once();
    ck_assert(!reach_looking(reach));
    ck_assert_uint_eq(tells, 3);
}
END_TEST

/* As at a machine's start: the first network's resolver is out of reach, the next one's is not.
 * "Cannot be resolved" would end the connection. */
START_TEST(the_network_changes_during_the_first_look_up)
{
    hang(true);
    add_name("vpn.example.com");
    open_ports(PORT_V4, PORT_V6);
    reach_resolve(reach);
    await_question(1);
    support_shell("ip link set eth0 down");
    look_once();
    ck_assert_uint_eq(tells, 0); /* nothing is known */
    hang(false);
    await_thread(&answered, 1); /* it fails; whoever is asked next knows */
    if (_i == 1)
        answer_with(0, (struct answer){"vpn.example.com", {GW}});
    await_tells(1);
    ck_assert_uint_ge(asked_so_far(), 2);
    await_answers();
    ck_assert_str_eq(told, _i == 1 ? "wlan0 10.0.2.2>" GW ", cell0 10.0.3.2>" GW : "");
    ck_assert_uint_eq(tells, 1);
}
END_TEST

/* --- the addresses that the gateway tells --- */

static struct selector_list inside_of(const char *first, const char *second)
{
    const char *const texts[] = {first, second};
    struct selector_list l = {0};
    for (size_t i = 0; i < 2 && texts[i] != NULL; i++) {
        struct prefix p;
        ck_ok(prefix_parse(texts[i], &p));
        l.items[l.count++].range = range_from_prefix(&p);
    }
    return l;
}

static void tell_additional(const struct selector_list *inside, const char *at, const char *first,
                            const char *second)
{
    const char *const texts[] = {first, second};
    struct ip addresses[2], where = ip_of(at);
    size_t count = 0;
    for (size_t i = 0; i < 2 && texts[i] != NULL; i++)
        addresses[count++] = ip_of(texts[i]);
    reach_set_additional(reach, addresses, count, &where, inside);
}

static void only_eth0(void)
{
    support_shell("ip link set wlan0 down; ip link set cell0 down");
}

START_TEST(additional_addresses_come_and_go)
{
    struct selector_list inside = inside_of("10.9.0.0/16", NULL);
    only_eth0();
    begin(GW, NULL);
    expect("eth0 10.0.1.2>" GW);
    tell_additional(&inside, GW, GW_B, GW6);
    ck_assert_str_eq(told, "eth0 10.0.1.2>" GW ", eth0 10.0.1.2>" GW_B ", eth0 2001:db8:1::2>" GW6);
    tell_additional(&inside, GW, GW_B, GW6); /* no news */
    tell_additional(&inside, GW, GW_B, GW6);
    ck_assert_uint_eq(tells, 2);
    tell_additional(&inside, GW, GW6,
                    GW); /* whole, each time; what is known already is there once */
    ck_assert_str_eq(told, "eth0 10.0.1.2>" GW ", eth0 2001:db8:1::2>" GW6);
    set_current(GW6);
    tell_additional(&inside, GW6, NULL, NULL); /* RFC 4555 3.6: none any more; we are at it */
    ck_assert_str_eq(told, "eth0 2001:db8:1::2>" GW6 ", eth0 10.0.1.2>" GW);
    set_current(GW);
    tell_additional(&inside, GW, NULL, NULL);
    ck_assert_str_eq(told, "eth0 10.0.1.2>" GW);
}
END_TEST

/* Before the names are known it is only kept. */
START_TEST(additional_addresses_before_the_names)
{
    struct selector_list inside = inside_of("10.9.0.0/16", NULL);
    only_eth0();
    add_name(GW);
    open_ports(PORT_V4, PORT_V6);
    tell_additional(&inside, GW, GW_B, NULL);
    ck_assert_uint_eq(tells, 0);
    reach_resolve(reach);
    ck_assert_str_eq(told, "eth0 10.0.1.2>" GW ", eth0 10.0.1.2>" GW_B);
}
END_TEST

/* A gateway tells all its addresses, and some of them lie behind it. */
START_TEST(additional_addresses_behind_the_gateway)
{
    static const struct {
        const char *inside[2], *at, *told;
        bool taken;
    } cases[] = {
        {{"10.9.0.0/16"}, GW, "10.9.0.1", false},
        {{"10.9.0.0/16"}, GW, "10.8.0.1", true}, /* private, and not behind it */
        {{"203.0.113.0/24"}, "198.51.100.1", GW_B, false},
        {{"fd09::/16"}, GW, "fd09::1", false},
        {{"0.0.0.0/0", "::/0"}, GW, GW_B, true}, /* everything is behind it */
        {{"0.0.0.0/0", "::/0"}, GW, "10.9.0.1", false},
        {{"0.0.0.0/0", "::/0"}, GW, "fd09::1", false},
        {{"0.0.0.0/0", "::/0"}, GW, "2001:db8:ffff::2", true},
        {{"0.0.0.0/0", "::/0"}, "10.9.0.1", "10.9.0.2", true}, /* a gateway in the house */
        {{"0.0.0.0/0"}, GW, "2001:db8:ffff::2", true},
        {{"0.0.0.0/0"}, "2001:db8:ffff::2", GW_B, true}, /* reached by the other family */
        {{"0.0.0.0/0"}, "2001:db8:ffff::2", "10.9.0.1", false},
        {{"203.0.113.0/24"}, "2001:db8:ffff::2", GW_B, false},
        {{"::/0"}, GW, "2001:db8:ffff::2", true},
        {{"0.0.0.0/1", "128.0.0.0/1"}, "2001:db8:ffff::2", GW_B, true},
    };
    struct selector_list inside = inside_of(cases[_i].inside[0], cases[_i].inside[1]);
    only_eth0();
    begin(GW, NULL);
    expect("eth0 10.0.1.2>" GW);
    tell_additional(&inside, cases[_i].at, cases[_i].told, NULL);
    ck_assert_uint_eq(told_count, cases[_i].taken ? 2 : 1);
    ck_assert(is_told("eth0", cases[_i].told) == cases[_i].taken);
}
END_TEST

/* What leads back to this machine is no way to a gateway elsewhere: our addresses in any network,
 * inside the tunnel, on the loopback; also where it becomes ours later. */
START_TEST(additional_addresses_that_are_our_own)
{
    static const char *const own[] = {"10.0.2.2",  "2001:db8:2::2", "10.9.7.1", "fd09:7::1",
                                      "127.0.0.1", "127.1.2.3",     "::1"};
    struct selector_list inside = inside_of("10.9.0.0/24", NULL);
    support_shell(
        "ip tuntap add tern0 mode tun; ip link set tern0 up; ip addr add 10.9.7.1/32 dev tern0;"
        "ip addr add fd09:7::1/128 dev tern0 nodad");
    begin(GW, NULL);
    expect(ALL);
    tell_additional(&inside, GW, own[_i], NULL);
    ck_assert_str_eq(told, ALL);
    ck_assert_uint_eq(tells, 1);
    tell_additional(&inside, GW, "198.51.100.9", NULL);
    ck_assert_uint_eq(told_count, 6);
    support_shell("ip addr add 198.51.100.9/32 dev far1"); /* whoever has it */
    expect(ALL);
}
END_TEST

/* A gateway on this very machine has addresses here. */
START_TEST(additional_addresses_of_a_gateway_on_this_machine)
{
    struct selector_list inside = inside_of("10.9.0.0/24", NULL);
    begin("127.0.0.1", NULL);
    expect("lo 127.0.0.1>127.0.0.1");
    tell_additional(&inside, "127.0.0.1", "::1", NULL);
    ck_assert_str_eq(told, "lo 127.0.0.1>127.0.0.1, lo ::1>::1");
}
END_TEST

START_TEST(more_additional_addresses_than_there_is_room_for)
{
    struct selector_list inside = inside_of("10.9.0.0/16", NULL);
    struct ip addresses[SESSION_ADDRESSES_MAX + 4], at = ip_of(GW);
    only_eth0();
    begin(GW, NULL);
    expect("eth0 10.0.1.2>" GW);
    for (uint8_t i = 0; i < SESSION_ADDRESSES_MAX + 4; i++)
        addresses[i] = i < 2 ? ip_v4(10, 9, 0, i) : ip_v4(203, 0, 113, (uint8_t)(100 + i));
    reach_set_additional(reach, addresses, SESSION_ADDRESSES_MAX + 4, &at, &inside);
    ck_assert_uint_eq(told_count, 1 + SESSION_ADDRESSES_MAX);
    ck_assert(is_told("eth0", "203.0.113.102"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client reach names");
    TCase *t;
    add_case(suite, &t, "current");
    tcase_add_test(t, the_current_one_is_kept);
    tcase_add_test(t, many_addresses_leave_room_for_every_network);

    add_case(suite, &t, "names");
    tcase_add_test(t, a_name_is_asked_again_in_every_network);
    tcase_add_test(t, a_network_without_a_way_is_asked_too);
    tcase_add_test(t, a_look_up_that_fails_takes_nothing_away);
    tcase_add_test(t, a_name_that_fails_beside_another);
    tcase_add_test(t, the_first_look_up_fails);
    tcase_add_test(t, a_look_up_hangs);
    tcase_add_test(t, the_network_changes_during_a_look_up);
    tcase_add_loop_test(t, the_network_changes_during_the_first_look_up, 0, 2);

    add_case(suite, &t, "additional");
    tcase_add_test(t, additional_addresses_come_and_go);
    tcase_add_test(t, additional_addresses_before_the_names);
    tcase_add_loop_test(t, additional_addresses_behind_the_gateway, 0, 15);
    tcase_add_loop_test(t, additional_addresses_that_are_our_own, 0, 7);
    tcase_add_test(t, additional_addresses_of_a_gateway_on_this_machine);
    tcase_add_test(t, more_additional_addresses_than_there_is_room_for);
    return support_run(suite);
}
