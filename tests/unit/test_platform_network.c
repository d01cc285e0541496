/* Every change of the network is told, and no more. */
#include "platform/network.h"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/namespace.h"
#include "tests/support/support.h"

static struct fault f;
static struct network_watch *watch;
static struct network_change change; /* as it was read last */

/* A way out without a cable: what is sent there goes nowhere. */
static void setup(void)
{
    support_enter_namespace();
    ck_assert_int_eq(system("ip tuntap add up0 mode tun && ip link set up0 mtu 1420 up && "
                            "ip addr add 192.0.2.10/24 dev up0 && "
                            "ip addr add 2001:db8:1::10/64 dev up0 nodad && "
                            "ip route add 198.51.100.0/24 dev up0 src 192.0.2.10"),
                     0);
    support_addresses_settle();
    watch = NULL;
    ck_assert_msg(network_watch_open(&watch, &f) == ERR_OK, "%s", f.text);
}

static void teardown(void)
{
    network_watch_close(watch);
}

static bool changed_but(uint32_t except)
{
    const struct network_ours ours = {.interface = except};
    ck_ok(network_watch_read(watch, &ours, &change));
    return change.ways;
}

static bool changed(void)
{
    return changed_but(0);
}

/* What is done is told; says whether it counts. */
static bool counts(const char *command, uint32_t except)
{
    struct pollfd ready = {.fd = network_watch_fd(watch), .events = POLLIN};
    ck_assert_int_eq(system(command), 0);
    support_addresses_settle(); /* what comes later is not the next one's */
    ck_assert_msg(poll(&ready, 1, 5000) == 1, "%s", command);
    return changed_but(except);
}

START_TEST(every_change_is_told)
{
    static const char *const changes[] = {
        "ip link set up0 mtu 1400",
        "ip link set up0 down",
        "ip link set up0 up",
        "ip addr add 192.0.2.11/24 dev up0",
        "ip addr del 192.0.2.11/24 dev up0",
        "ip addr add 2001:db8:1::11/64 dev up0",
        "ip route add default dev up0",
        "ip -6 route add default dev up0",
        "ip route del default dev up0",
        "ip rule add fwmark 1 table 100",
        "ip -6 rule add fwmark 1 table 100",
        "ip link del up0",
    };
    int fd = network_watch_fd(watch);
    ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    (void)changed(); /* what the fixture did */
    ck_assert(!changed());
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        ck_assert_msg(counts(changes[i], 0), "%s", changes[i]);
}
END_TEST

/* What tern does to its own interface is no change of the network; the same to another one is. */
START_TEST(the_exception_is_passed_over)
{
    static const char *const changes[] = {
        "ip link set up0 mtu 1400",
        "ip addr add 192.0.2.11/24 dev up0",
        "ip addr add 2001:db8:1::11/64 dev up0",
        "ip route add default dev up0",
        "ip -6 route add default dev up0",
        "ip -6 route add 2001:db8:7::/64 dev up0 table 100",
        "ip route del default dev up0",
        "ip addr del 192.0.2.11/24 dev up0",
        "ip link set up0 down",
        "ip link del up0",
    };
    uint32_t index = if_nametoindex("up0");
    (void)changed();
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        ck_assert_msg(!counts(changes[i], index), "%s", changes[i]);
        ck_assert(!changed_but(index));
    }
    ck_assert(counts("ip tuntap add up1 mode tun", index));
    ck_assert(counts("ip link set up1 up", index));
    ck_assert(counts("ip addr add 192.0.2.12/24 dev up1", index));
}
END_TEST

/* A router's advertisements renew addresses every few seconds, and other things happen to a link
 * than its coming and going: what was told already wakes nobody twice. */
START_TEST(a_repetition_is_no_change)
{
    ck_assert(counts("ip link set up0 txqueuelen 100", 0)); /* not known: told once */
    ck_assert(!counts("ip link set up0 txqueuelen 200", 0));
    ck_assert(counts("ip link set up0 mtu 1400", 0));
    ck_assert(!counts("ip link set up0 promisc on", 0));
    ck_assert(counts("ip addr add 2001:db8:1::11/64 dev up0 nodad valid_lft 1000 "
                     "preferred_lft 900",
                     0));
    ck_assert(!counts("ip -6 addr change 2001:db8:1::11/64 dev up0 valid_lft 1100 "
                      "preferred_lft 950",
                      0));
    ck_assert(counts("ip -6 addr change 2001:db8:1::11/64 dev up0 preferred_lft 0", 0));
    ck_assert(counts("ip -6 addr change 2001:db8:1::11/64 dev up0 preferred_lft 900", 0));
    ck_assert(counts("ip addr del 2001:db8:1::11/64 dev up0", 0));
    ck_assert(counts("ip addr add 2001:db8:1::11/64 dev up0 nodad", 0));
}
END_TEST

/* What was ours, and was taken or changed. */
START_TEST(ours_is_told_apart)
{
    static const struct {
        const char *command;
        bool ours, ways;
    } changes[] = {
        {"ip link set up0 mtu 1400", true, false}, /* nothing was known of it */
        {"ip link set up0 mtu 1380", false, false},
        {"ip addr add 192.0.2.11/24 dev up0", false, false},
        {"ip addr del 192.0.2.11/24 dev up0", true, false},
        {"ip -6 addr del 2001:db8:1::10/64 dev up0", true, false},
        {"ip route add default dev up0 table 52000", true, false},
        {"ip route replace default dev up1 table 52000", true, false},
        {"ip route del default table 52000", true, false},
        {"ip -6 route add unreachable default table 52000", true, false},
        {"ip -6 route del default table 52000", true, false},
        {"ip route add default dev up0", false, false},
        {"ip route add 10.1.0.0/16 dev up1", false, true},
        {"ip rule add pref 5200 table 52000", false, true},
        {"ip rule del pref 5200", true, true},
        {"ip rule add pref 5200 table 52001", false, true},
        {"ip rule del pref 5200", false, true},
        {"ip link set up0 name up2", true, false},
        {"ip link set up2 down", true, false},
        {"ip link set up2 up", true, false},
        {"ip link set up1 mtu 1400", false, true},
        {"ip link del up2", true, false},
    };
    ck_assert_int_eq(system("ip tuntap add up1 mode tun && ip link set up1 up"), 0);
    const struct network_ours ours = {if_nametoindex("up0"), 52000};
    (void)changed_but(ours.interface);
    memset(&change, 0, sizeof(change));
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct pollfd ready = {.fd = network_watch_fd(watch), .events = POLLIN};
        ck_assert_int_eq(system(changes[i].command), 0);
        ck_assert_msg(poll(&ready, 1, 5000) == 1, "%s", changes[i].command);
        ck_ok(network_watch_read(watch, &ours, &change));
        ck_assert_msg(change.ours == changes[i].ours, "%s", changes[i].command);
        ck_assert_msg(change.ways == changes[i].ways, "%s", changes[i].command);
    }
}
END_TEST

/* More addresses than are kept. */
START_TEST(nothing_is_missed_where_there_is_much)
{
    (void)changed();
    ck_assert(counts("for i in $(seq 200); do echo addr add 10.1.0.$i/32 dev up0; done | "
                     "ip -batch -",
                     0));
    ck_assert(counts("ip addr del 10.1.0.1/32 dev up0", 0));
    ck_assert(counts("ip addr del 10.1.0.200/32 dev up0", 0));
    ck_assert(counts("ip addr add 10.1.0.1/32 dev up0", 0));
    ck_assert(counts("ip link set up0 down", 0));
}
END_TEST

/* More than the socket holds: that something was missed is a change as well, and no error. */
START_TEST(an_overrun_is_a_change)
{
    int least = 1;
    struct pollfd ready = {.fd = network_watch_fd(watch), .events = POLLIN};
    ck_assert_int_eq(setsockopt(ready.fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)), 0);
    (void)changed();
    ck_assert_int_eq(system("for i in 1 2 3 4 5 6 7 8 9; do ip addr add 192.0.2.10$i/24 dev up0; "
                            "ip addr add 2001:db8:1::10$i/64 dev up0; done"),
                     0);
    ck_assert_int_eq(poll(&ready, 1, 5000), 1);
    ck_assert(changed());
    ck_assert(change.ours);
    ck_assert_int_eq(system("ip link set up0 down"), 0); /* and it goes on after that */
    ck_assert_int_eq(poll(&ready, 1, 5000), 1);
    ck_assert(changed());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("platform network");
    TCase *t = tcase_create("network");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_change_is_told);
    tcase_add_test(t, the_exception_is_passed_over);
    tcase_add_test(t, a_repetition_is_no_change);
    tcase_add_test(t, ours_is_told_apart);
    tcase_add_test(t, nothing_is_missed_where_there_is_much);
    tcase_add_test(t, an_overrun_is_a_change);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
