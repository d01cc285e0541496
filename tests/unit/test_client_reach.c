/* The ways to the gateway, in a network namespace of the test's own with networks that come and go,
 * and a resolver that answers when and what the test wants: it stands between libuv's thread and
 * the C library. */
#include "client/reach.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "platform/routes.h"
#include "platform/tun.h"
#include "tests/support/namespace.h"
#include "tests/support/support.h"

enum { BOUND_MS = 30000, TEXT_MAX = 4096, ADDRESSES_MAX = 24, PORT_V4 = 4501, PORT_V6 = 4502 };

static uv_loop_t loop;
static uv_timer_t bound; /* what does not come is found by it */
static bool overdue;
static struct profile profile;
static struct reach *reach;
static struct fault f;
static struct tun *tun, *other_tun;

/* What was told last, "NAME LOCAL>REMOTE" each, and how often something was. */
static char told[TEXT_MAX];
static unsigned tells;
static struct path told_paths[SESSION_PATHS_MAX];
static size_t told_count;
static bool close_when_told, closed;

/* --- the resolver --- */

struct answer {
    const char *name;
    const char *addresses[ADDRESSES_MAX]; /* none: it fails */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static struct answer answers[2];
static unsigned asked, answered; /* questions so far; answers that are on their way */
static bool hanging;

static struct addrinfo *make_info(const char *text)
{
    struct {
        struct addrinfo info;
        union {
            struct sockaddr_in v4;
            struct sockaddr_in6 v6;
        } address;
    } *made = calloc(1, sizeof(*made));
    struct ip ip;
    ck_assert_ptr_nonnull(made);
    ck_ok(ip_parse(text, &ip));
    made->info.ai_family = ip.family == IP_V4 ? AF_INET : AF_INET6;
    made->info.ai_addr = (struct sockaddr *)&made->address;
    made->address.v4.sin_family = (sa_family_t)made->info.ai_family;
    if (ip.family == IP_V4)
        memcpy(&made->address.v4.sin_addr, ip.bytes, 4);
    else
        memcpy(&made->address.v6.sin6_addr, ip.bytes, 16);
    return &made->info;
}

int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
    struct addrinfo *first = NULL, **last = &first;
    (void)service;
    (void)hints;
    pthread_mutex_lock(&lock);
    asked++;
    pthread_cond_broadcast(&news);
    while (hanging)
        pthread_cond_wait(&news, &lock);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        if (answers[i].name == NULL || strcmp(answers[i].name, node) != 0)
            continue;
        for (size_t k = 0; k < ADDRESSES_MAX && answers[i].addresses[k] != NULL; k++) {
            *last = make_info(answers[i].addresses[k]);
            last = &(*last)->ai_next;
        }
    }
    answered++;
    pthread_cond_broadcast(&news);
    pthread_mutex_unlock(&lock);
    *ret = first;
    return first != NULL ? 0 : EAI_AGAIN;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

static void answer_with(size_t i, struct answer answer)
{
    pthread_mutex_lock(&lock);
    answers[i] = answer;
    pthread_mutex_unlock(&lock);
}

static void hang(bool yes)
{
    pthread_mutex_lock(&lock);
    hanging = yes;
    pthread_cond_broadcast(&news);
    pthread_mutex_unlock(&lock);
}

static unsigned asked_so_far(void)
{
    pthread_mutex_lock(&lock);
    unsigned count = asked;
    pthread_mutex_unlock(&lock);
    return count;
}

static void await_thread(const unsigned *counter, unsigned count)
{
    struct timespec until;
    int status = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += BOUND_MS / 1000;
    pthread_mutex_lock(&lock);
    while (*counter < count && status == 0)
        status = pthread_cond_timedwait(&news, &lock, &until);
    unsigned got = *counter;
    pthread_mutex_unlock(&lock);
    ck_assert_uint_eq(got, count);
}

/* Until a thread is in there: what has begun cannot be cancelled. */
static void await_question(unsigned count)
{
    await_thread(&asked, count);
}

/* --- the networks --- */

/* Three networks with the metrics that NetworkManager gives them, best first the second. */
static void make_networks(void)
{
    support_enter_namespace();
    support_shell(
        "ip -batch - <<END\n"
        "link add wlan0 type veth peer name far2\n"
        "link set far2 up\n"
        "link set wlan0 up\n"
        "addr add 10.0.2.2/24 dev wlan0\n"
        "addr add 2001:db8:2::2/64 dev wlan0 nodad\n"
        "link add eth0 type veth peer name far1\n"
        "link set far1 up\n"
        "link set eth0 up\n"
        "addr add 10.0.1.2/24 dev eth0\n"
        "addr add 2001:db8:1::2/64 dev eth0 nodad\n"
        "link add cell0 type veth peer name far3\n"
        "link set far3 up\n"
        "link set cell0 up\n"
        "addr add 10.0.3.2/24 dev cell0\n"
        "addr add 2001:db8:3::2/64 dev cell0 nodad\n"
        "route add default via 10.0.2.1 metric 600\n"
        "route add default via 2001:db8:2::1 metric 600\n"
        "route add default via 10.0.1.1 metric 100\n"
        "route add default via 2001:db8:1::1 metric 100\n"
        "route add default via 10.0.3.1 metric 700\n"
        "route add default via 2001:db8:3::1 metric 700\n"
        "END\n"
        "for d in eth0 wlan0 cell0; do i=0; until ip link show $d | grep -q 'state UP'; do "
        "[ $((i += 1)) -lt 300 ]; sleep 0.1; done; done");
}

/* --- what is told --- */

static void close_reach(void)
{
    reach_close(reach); /* freed by finish(): what the resolver holds is in use until then */
    closed = true;
    close_when_told = false;
}

static void on_changed(void *ctx, const struct path *paths, size_t count)
{
    size_t at = 0;
    ck_assert_ptr_eq(ctx, &loop);
    ck_assert_uint_le(count, SESSION_PATHS_MAX);
    told[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char local[IP_TEXT_MAX], remote[IP_TEXT_MAX];
        const struct network_way *way = reach_interface(reach, &paths[i]);
        ck_assert_ptr_nonnull(way);
        ck_assert_uint_eq(paths[i].remote.port, profile.port);
        ck_assert_uint_eq(paths[i].local.port,
                          paths[i].remote.ip.family == IP_V4 ? PORT_V4 : PORT_V6);
        at += (size_t)snprintf(told + at, sizeof(told) - at, "%s%s %s>%s", i > 0 ? ", " : "",
                               way->interface_name, ip_format(&paths[i].local.ip, local),
                               ip_format(&paths[i].remote.ip, remote));
        told_paths[i] = paths[i];
    }
    told_count = count;
    tells++;
    if (close_when_told)
        close_reach();
}

static void on_bound(uv_timer_t *timer)
{
    (void)timer;
    overdue = true;
}

/* Whatever is ready by now. What is done to a network is told before the command returns. */
static void look_once(void)
{
    for (int i = 0; i < 3; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
}

/* Until these are the ways that were told last. */
static void expect(const char *expected)
{
    look_once();
    while (strcmp(told, expected) != 0 && !overdue)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_str_eq(told, expected);
}

static void await_tells(unsigned count)
{
    while (tells < count && !overdue)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_eq(tells, count);
}

/* Until no name is looked for any more, and what came of it is told. */
static void await_answers(void)
{
    while (reach_looking(reach) && !overdue)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert(!reach_looking(reach));
}

static void setup(void)
{
    make_networks();
    memset(&profile, 0, sizeof(profile));
    memset(answers, 0, sizeof(answers));
    profile.port = 500;
    asked = answered = tells = 0;
    hanging = overdue = close_when_told = closed = false;
    reach = NULL;
    tun = other_tun = NULL;
    told_count = 0;
    snprintf(told, sizeof(told), "nothing");
    f = (struct fault){0};
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(uv_timer_init(&loop, &bound), 0);
    ck_assert_int_eq(uv_timer_start(&bound, on_bound, BOUND_MS, 0), 0);
}

static void see_handle(uv_handle_t *handle, void *count)
{
    (void)handle;
    ++*(unsigned *)count;
}

static unsigned handles(void)
{
    unsigned count = 0;
    uv_walk(&loop, see_handle, &count);
    return count;
}

static void finish(void)
{
    if (!closed)
        reach_close(reach);
    look_once();
    ck_assert_uint_eq(handles(), 1); /* our own timer */
    hang(false);
    uv_close((uv_handle_t *)&bound, NULL);
    unsigned before = tells;
    ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
    ck_assert_uint_eq(tells, before);
    ck_assert(!reach_looking(reach));
    reach_free(reach);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    tun_close(tun);
    tun_close(other_tun);
}

static void open_ports(uint16_t port_v4, uint16_t port_v6)
{
    const struct reach_options o = {.profile = &profile,
                                    .port_v4 = port_v4,
                                    .port_v6 = port_v6,
                                    .changed = on_changed,
                                    .ctx = &loop};
    ck_assert_msg(reach_new(&loop, &o, &reach, &f) == ERR_OK, "%s", f.text);
}

static void add_name(const char *name)
{
    struct profile_list *l = &profile.addresses;
    snprintf(l->items[l->count++], PROFILE_TEXT_MAX, "%s", name);
}

static void prefer(const char *pattern)
{
    struct profile_list *l = &profile.prefer;
    snprintf(l->items[l->count++], PROFILE_TEXT_MAX, "%s", pattern);
}

/* With these addresses of the gateway's, known from the start. */
static void begin(const char *first, const char *second)
{
    add_name(first);
    if (second != NULL)
        add_name(second);
    open_ports(PORT_V4, PORT_V6);
    reach_resolve(reach);
    ck_assert_uint_eq(tells, 1);
}

static struct ip ip_of(const char *text)
{
    struct ip ip;
    ck_ok(ip_parse(text, &ip));
    return ip;
}

static void set_current(const char *text)
{
    struct ip ip = ip_of(text);
    reach_set_current(reach, &ip);
}

#define GW   "203.0.113.1"
#define GW_B "203.0.113.66"
#define GW6  "2001:db8:ffff::1"
#define ALL  "eth0 10.0.1.2>" GW ", wlan0 10.0.2.2>" GW ", cell0 10.0.3.2>" GW

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

/* --- the gateway's addresses in use --- */

START_TEST(the_current_one_is_kept)
{
    answer_with(0, (struct answer){"vpn.example.com", {GW}});
    add_name("vpn.example.com");
    open_ports(PORT_V4, PORT_V6);
    reach_resolve(reach);
    expect(ALL);
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
    answer_with(0, (struct answer){"vpn.example.com", {GW}});
    add_name("vpn.example.com");
    open_ports(PORT_V4, PORT_V6);
    reach_resolve(reach);
    expect(ALL);
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
    answer_with(0, (struct answer){"vpn.example.com", {GW}});
    add_name("vpn.example.com");
    open_ports(PORT_V4, PORT_V6);
    reach_resolve(reach);
    expect(ALL);
    hang(true);
    reach_resolve(reach);
    await_question(2);
    reach_resolve(reach);
    reach_resolve(reach);
    support_shell("ip link set eth0 down");
    expect("wlan0 10.0.2.2>" GW ", cell0 10.0.3.2>" GW);
    support_shell("ip link set wlan0 down");
    expect("cell0 10.0.3.2>" GW);
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
    answer_with(0, (struct answer){"vpn.example.com", {GW}});
    add_name("vpn.example.com");
    open_ports(PORT_V4, PORT_V6);
    reach_resolve(reach);
    expect(ALL);
    hang(true);
    reach_resolve(reach);
    await_question(2);
    support_shell("ip link set eth0 down");
    expect("wlan0 10.0.2.2>" GW ", cell0 10.0.3.2>" GW);
    support_shell("ip link set wlan0 down");
    expect("cell0 10.0.3.2>" GW);
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

static void add_case(Suite *suite, TCase **t, const char *name)
{
    *t = tcase_create(name);
    tcase_set_timeout(*t, 60);
    tcase_add_checked_fixture(*t, setup, finish);
    suite_add_tcase(suite, *t);
}

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

    add_case(suite, &t, "tunnel");
    tcase_add_test(t, our_own_interface_is_no_way);
    tcase_add_test(t, ways_to_another_gateway);

    add_case(suite, &t, "end");
    tcase_add_loop_test(t, closed_in_every_state, 0, 6);
    tcase_add_loop_test(t, closed_when_told, 0, 2);
    tcase_add_test(t, what_cannot_be_opened_leaves_nothing);
    return support_run(suite);
}
