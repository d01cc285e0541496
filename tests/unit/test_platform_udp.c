/* UDP sockets over the loopback of a namespace: batches, DF, and what the errors become. */
#include "platform/udp.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/namespace.h"
#include "tests/support/support.h"

enum { MANY = UDP_BATCH_MAX + 36 };

static enum ip_family family; /* of the test's round */
static struct udp *a, *b;
static struct ip here;

/* What sends from which socket. */
static struct {
    const struct udp *u;
    struct udp_sender *sender;
} senders[4];

static struct udp_sender *from(const struct udp *u)
{
    size_t i = 0;
    while (senders[i].u != u && senders[i].u != NULL)
        i++;
    if (senders[i].u == NULL)
        ck_ok(udp_sender_new(u, &senders[i].sender));
    senders[i].u = u;
    return senders[i].sender;
}

static void close_udp(struct udp *u)
{
    for (size_t i = 0; u != NULL && i < 4; i++) {
        if (senders[i].u != u)
            continue;
        udp_sender_free(senders[i].sender);
        memmove(&senders[i], &senders[i + 1], (3 - i) * sizeof(senders[0]));
        senders[3].u = NULL;
    }
    udp_close(u);
}

static struct udp *open_with(uint32_t mark, bool offload)
{
    struct fault f = {0};
    struct udp *u = NULL;
    const struct udp_options o = {.address = {.family = family}, .mark = mark, .offload = offload};
    ck_assert_msg(udp_open(&o, &u, &f) == ERR_OK, "%s", f.text);
    return u;
}

static struct udp *open_udp(uint32_t mark)
{
    return open_with(mark, false);
}

static void setup_family(int i)
{
    family = i == 0 ? IP_V4 : IP_V6;
    ck_ok(ip_parse(i == 0 ? "127.0.0.1" : "::1", &here));
    a = open_udp(0);
    b = open_udp(0);
}

static void setup(void)
{
    a = b = NULL;
    support_enter_namespace();
}

static void teardown(void)
{
    close_udp(a);
    close_udp(b);
}

static struct udp_message to(const struct udp *u, uint8_t *data, size_t len)
{
    return (struct udp_message){
        .path = {.remote = {here, udp_port(u)}}, .data = data, .len = len, .cap = len};
}

static void wait_readable(const struct udp *u)
{
    struct pollfd ready = {.fd = udp_fd(u), .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, 5000), 1);
}

START_TEST(what_cannot_be_opened)
{
    struct fault f = {0};
    struct udp *u;
    struct udp_options o = {0};
    setup_family(_i);
    ck_err(udp_open(&o, &u, &f), ERR_MALFORMED);
    ck_ok(ip_parse(_i == 0 ? "198.51.100.1" : "2001:db8::1", &o.address)); /* not ours */
    ck_err(udp_open(&o, &u, &f), ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(f.text, _i == 0 ? "198.51.100.1" : "2001:db8::1"));
    o = (struct udp_options){.address = {.family = family}, .port = udp_port(a)}; /* taken */
    ck_err(udp_open(&o, &u, &f), ERR_SYSTEM);
    udp_close(NULL);
}
END_TEST

START_TEST(opened_as_asked)
{
    setup_family(_i);
    struct udp *marked = open_udp(0x1234);
    int mark = 0;
    socklen_t len = sizeof(mark);
    ck_assert_int_eq(getsockopt(udp_fd(marked), SOL_SOCKET, SO_MARK, &mark, &len), 0);
    ck_assert_int_eq(mark, 0x1234);
    ck_assert_int_eq(udp_family(marked), family);
    ck_assert_uint_ne(udp_port(marked), 0);
    close_udp(marked);
}
END_TEST

/* More than one system call takes, in order, each with its own contents. */
START_TEST(batches)
{
    static uint8_t out[MANY][2], in[MANY][16];
    struct udp_message m[MANY], got[MANY];
    size_t count = 0, received = 0;
    setup_family(_i);
    for (size_t i = 0; i < MANY; i++) {
        out[i][0] = out[i][1] = (uint8_t)i;
        m[i] = to(b, out[i], 1 + i % 2);
        got[i] = (struct udp_message){.data = in[i], .cap = sizeof(in[i])};
    }
    ck_ok(udp_send(from(a), m, MANY, &count));
    ck_assert_uint_eq(count, MANY);
    while (received < MANY) {
        wait_readable(b);
        ck_ok(udp_receive(b, got + received, MANY - received, &count));
        ck_assert_uint_le(count, UDP_BATCH_MAX);
        received += count;
    }
    for (size_t i = 0; i < MANY; i++) {
        ck_assert_uint_eq(got[i].len, 1 + i % 2);
        ck_assert_mem_eq(in[i], out[i], got[i].len);
        ck_assert_uint_eq(got[i].path.remote.port, udp_port(a));
        ck_assert_uint_eq(got[i].path.local.port, udp_port(b));
        ck_assert(ip_equal(&got[i].path.local.ip, &here));
    }
    ck_err(udp_receive(b, got, MANY, &count), ERR_AGAIN);
    ck_assert_uint_eq(count, 0);
}
END_TEST

/* Each datagram of a batch has its own TOS octet, every mark of ECN and some DSCP; among them those
 * that name their source as well, in control data before it. 0 is said by nobody. */
START_TEST(the_tos_octet_of_each)
{
    static const uint8_t octets[] = {0, 1, 2, 3, 0, 0xb8, 0xb9, 0xba, 0xbb, 0xff, 3, 0};
    enum { COUNT = sizeof(octets) };
    static uint8_t out[COUNT][1], in[COUNT][8];
    struct udp_message m[COUNT], got[COUNT];
    size_t count = 0, received = 0;
    setup_family(_i);
    struct ip named = here;
    if (family == IP_V4)
        named = ip_v4(127, 0, 0, 2); /* with IPv6 the loopback has one address alone */
    for (size_t i = 0; i < COUNT; i++) {
        m[i] = to(b, out[i], 1);
        m[i].tos = octets[i];
        if (i % 2 == 0)
            m[i].path.local.ip = named;
        got[i] = (struct udp_message){.data = in[i], .cap = sizeof(in[i]), .tos = 0x5a};
    }
    ck_ok(udp_send(from(a), m, COUNT, &count));
    while (received < COUNT) {
        wait_readable(b);
        ck_ok(udp_receive(b, got + received, COUNT - received, &count));
        received += count;
    }
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_uint_eq(got[i].tos, octets[i]);
        ck_assert(ip_equal(&got[i].path.local.ip, &here));
        ck_assert(ip_equal(&got[i].path.remote.ip, i % 2 == 0 ? &named : &here));
    }
}
END_TEST

/* A datagram that does not fit is none of ours: not a part of it is handed on. */
START_TEST(too_long_for_the_buffer)
{
    uint8_t out[32] = {1}, in[16];
    setup_family(_i);
    struct udp_message m[2] = {to(b, out, 32), to(b, out, 16)};
    struct udp_message got[2] = {{.data = in, .cap = 16}, {.data = in, .cap = 16}};
    size_t count;
    ck_ok(udp_send(from(a), m, 2, &count));
    wait_readable(b);
    ck_ok(udp_receive(b, got, 2, &count));
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(got[0].len, 0);
    ck_assert_uint_eq(got[1].len, 16);
}
END_TEST

START_TEST(df_but_for_what_may_be_fragmented)
{
    static uint8_t out[3000], in[4096];
    setup_family(_i);
    ck_assert_int_eq(system("ip link set lo mtu 1400"), 0);
    struct udp_message m[2] = {to(b, out, 16), to(b, out, sizeof(out))};
    struct udp_message got[2] = {{.data = in, .cap = sizeof(in)}, {.data = in, .cap = sizeof(in)}};
    size_t count;
    m[1].tos = 1; /* of each fragment, and so of the whole */
    ck_assert_uint_eq(udp_too_long(from(a)), 0);
    ck_err(udp_send(from(a), m, 2, &count), ERR_LIMIT);
    ck_assert_uint_eq(count, 1); /* the one before it is gone */
    ck_assert_uint_eq(udp_too_long(from(a)), 1);
    ck_ok(udp_send_fragmentable(from(a), &m[1]));
    for (size_t i = 0; i < 2; i++) {
        wait_readable(b);
        ck_ok(udp_receive(b, &got[i], 1, &count));
        ck_assert_uint_eq(got[i].len, m[i].len);
        ck_assert_uint_eq(got[i].tos, m[i].tos);
    }
    ck_err(udp_send(from(a), &m[1], 1, &count), ERR_LIMIT); /* DF is back */
}
END_TEST

/* Also where the kernel chooses the source, and among others that may not be. */
START_TEST(only_what_may_be_is_cut)
{
    static uint8_t out[3000], in[4096];
    struct udp_sender *other;
    size_t count;
    setup_family(_i);
    ck_ok(udp_sender_new(a, &other));
    ck_assert_int_eq(system("ip link set lo mtu 1400"), 0);
    struct udp_message m = to(b, out, sizeof(out)), got = {.data = in, .cap = sizeof(in)};
    for (int i = 0; i < 4; i++) {
        m.path.local.ip = i % 2 == 0 ? (struct ip){.family = IP_NONE} : here;
        ck_err(udp_send(other, &m, 1, &count), ERR_LIMIT);
        ck_ok(udp_send_fragmentable(i < 2 ? other : from(a), &m));
        wait_readable(b);
        ck_ok(udp_receive(b, &got, 1, &count));
        ck_assert_uint_eq(got.len, sizeof(out));
        ck_assert(ip_equal(&got.path.remote.ip, &here));
        ck_assert_uint_eq(got.path.remote.port, udp_port(a));
        struct udp_message back = to(a, out, 7); /* and a hears the answer */
        back.path.remote = got.path.remote;
        ck_ok(udp_send_fragmentable(from(b), &back));
        wait_readable(a);
        ck_ok(udp_receive(a, &got, 1, &count));
        ck_assert_uint_eq(got.len, 7);
    }
    udp_sender_free(other);
    udp_sender_free(NULL);
}
END_TEST

/* Each datagram of a train in fragments of its own. */
START_TEST(trains_that_may_be_fragmented)
{
    static uint8_t out[3 * 1400 - 7], in[4096], frame[4096];
    setup_family(_i);
    ck_assert_int_eq(system("ip link set lo mtu 1300"), 0);
    struct udp_message m = to(b, out, sizeof(out)), got = {.data = in, .cap = sizeof(in)};
    size_t count;
    m.segment = 1400;
    int fd = socket(AF_PACKET, SOCK_DGRAM, htons(_i == 0 ? ETHERTYPE_IP : ETHERTYPE_IPV6));
    ck_assert_int_ge(fd, 0);
    ck_ok(udp_send_fragmentable(from(a), &m));
    for (size_t i = 0; i < 3; i++) {
        wait_readable(b);
        ck_ok(udp_receive(b, &got, 1, &count));
        ck_assert_uint_eq(got.len, i < 2 ? 1400 : 1393);
    }
    ssize_t longest = 0, len;
    while ((len = recv(fd, frame, sizeof(frame), MSG_DONTWAIT)) > 0)
        longest = len > longest ? len : longest;
    close(fd);
    ck_assert_int_gt(longest, 1200);
    ck_assert_int_le(longest, 1300);
}
END_TEST

START_TEST(what_errors_become)
{
    uint8_t out[8] = {0}, in[8];
    setup_family(_i);
    struct udp_message m = to(b, out, sizeof(out)), got = {.data = in, .cap = sizeof(in)};
    size_t count;
    ck_ok(ip_parse(_i == 0 ? "198.51.100.1" : "2001:db8::1", &m.path.remote.ip));
    ck_err(udp_send(from(a), &m, 1, &count), ERR_NOT_FOUND); /* no route */
    ck_assert_uint_eq(count, 0);
    m.path.remote.ip = here;
    m.path.interface = 4711; /* gone */
    ck_err(udp_send(from(a), &m, 1, &count), ERR_NOT_FOUND);
    if (_i == 0) {
        m.path.interface = 0;
        ck_ok(ip_parse("127.255.255.255", &m.path.remote.ip)); /* broadcast was not asked for */
        ck_err(udp_send(from(a), &m, 1, &count), ERR_REFUSED);
    }
    /* Nobody listens: the ICMP message is a hint that anybody could send, and stops nothing. */
    m = to(b, out, sizeof(out));
    close_udp(b);
    b = NULL;
    for (int i = 0; i < 3; i++)
        ck_ok(udp_send(from(a), &m, 1, &count));
    ck_err(udp_receive(a, &got, 1, &count), ERR_AGAIN);
}
END_TEST

/* --- trains --- */

enum { CAR = 1000, CARS = 40, TAIL = 123 };

static uint8_t train_bytes[CAR * CARS + TAIL];

static struct udp_message train_to(const struct udp *u)
{
    for (size_t i = 0; i < sizeof(train_bytes); i++)
        train_bytes[i] = (uint8_t)(i / CAR + i);
    struct udp_message m = to(u, train_bytes, sizeof(train_bytes));
    m.segment = CAR;
    return m;
}

/* All of the train, however it comes; returns in how many pieces. */
static size_t receive_train(struct udp *u)
{
    static uint8_t in[UDP_DATAGRAM_MAX];
    size_t at = 0, pieces = 0, count;
    while (at < sizeof(train_bytes)) {
        struct udp_message got = {.data = in, .cap = sizeof(in)};
        wait_readable(u);
        ck_ok(udp_receive(u, &got, 1, &count));
        ck_assert_uint_le(at + got.len, sizeof(train_bytes));
        ck_assert_mem_eq(in, train_bytes + at, got.len);
        if (got.segment != 0)
            ck_assert_uint_eq(got.segment, CAR);
        else
            ck_assert_uint_le(got.len, CAR);
        ck_assert_uint_eq(got.tos, 2);
        at += got.len;
        pieces++;
    }
    return pieces;
}

/* In one piece from who may to who may; else one by one, and nobody sees a difference. */
START_TEST(trains)
{
    size_t count;
    setup_family(_i);
    close_udp(a);
    close_udp(b);
    for (int how = 0; how < 4; how++) {
        a = open_with(0, (how & 1) != 0);
        b = open_with(0, (how & 2) != 0);
        struct udp_message m[2] = {train_to(b), train_to(b)};
        m[0].tos = m[1].tos = 2;
        ck_ok(udp_send(from(a), m, 2, &count));
        ck_assert_uint_eq(count, 2);
        size_t pieces = receive_train(b);
        ck_assert_uint_eq(pieces, how == 3 ? 1 : CARS + 1);
        receive_train(b);
        close_udp(a);
        close_udp(b);
    }
    a = b = NULL;
}
END_TEST

/* Cut where it says, to the last octet; what is no train is one datagram, be it empty. */
START_TEST(a_train_is_its_datagrams)
{
    static const struct {
        size_t len, segment, count, last;
    } cases[] = {{0, 0, 1, 0},  {0, 10, 1, 0},   {7, 0, 1, 7},   {7, 7, 1, 7},
                 {7, 10, 1, 7}, {20, 10, 2, 10}, {21, 10, 3, 1}, {29, 10, 3, 9}};
    static uint8_t bytes[32];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct udp_message m = {.data = bytes, .len = cases[i].len, .segment = cases[i].segment};
        struct span one = SPAN_EMPTY;
        size_t at = 0, count = 0, sum = 0;
        for (; udp_next_datagram(&m, &at, &one); count++) {
            ck_assert_ptr_eq(one.data, bytes + sum);
            sum += one.len;
        }
        ck_assert_uint_eq(count, cases[i].count);
        ck_assert_uint_eq(sum, cases[i].len);
        ck_assert_uint_eq(one.len, cases[i].last);
    }
}
END_TEST

/* A train whose datagrams are too long for the path is no reason to send none any more. */
START_TEST(trains_too_long_for_the_path)
{
    size_t count;
    setup_family(_i);
    close_udp(a);
    close_udp(b);
    a = open_with(0, true);
    b = open_with(0, true);
    ck_assert_int_eq(system(_i == 0 ? "ip link set lo mtu 900" : "ip link set lo mtu 1280"), 0);
    struct udp_message m = train_to(b);
    m.tos = 2;
    if (_i == 1) { /* the least of IPv6 is more than a car */
        m.segment = 2 * CAR;
        ck_ok(udp_send(from(a), &m, 1, &count));
        for (size_t at = 0; at < sizeof(train_bytes);) {
            uint8_t in[2 * CAR];
            struct udp_message got = {.data = in, .cap = sizeof(in)};
            wait_readable(b);
            ck_ok(udp_receive(b, &got, 1, &count));
            ck_assert_mem_eq(in, train_bytes + at, got.len);
            at += got.len;
        }
    } else {
        ck_ok(udp_send(from(a), &m, 1, &count));
        ck_assert_uint_eq(receive_train(b), CARS + 1);
    }
    ck_assert_int_eq(system("ip link set lo mtu 65536"), 0);
    m.segment = CAR;
    ck_ok(udp_send(from(a), &m, 1, &count));
    ck_assert_uint_eq(receive_train(b), 1);
}
END_TEST

/* Two interfaces lead to the same place, `best` by the better metric. */
static void two_networks(void)
{
    static const char *const commands[] = {
        "ip link add best type veth peer name beyond",
        "ip link add other type veth peer name yonder",
        "for i in best other beyond yonder; do ip link set $i up; done",
        "ip address add 192.0.2.1/24 dev best; ip address add 198.51.100.1/24 dev other",
        "ip address add 2001:db8:1::1/64 dev best nodad",
        "ip address add 2001:db8:2::1/64 dev other nodad",
        "ip neigh add 192.0.2.9 lladdr 02:0:0:0:0:1 dev best",
        "ip neigh add 192.0.2.9 lladdr 02:0:0:0:0:1 dev other",
        "ip neigh add fe80::9 lladdr 02:0:0:0:0:1 dev best",
        "ip neigh add fe80::9 lladdr 02:0:0:0:0:1 dev other",
        "ip route add default via 192.0.2.9 dev best metric 600 onlink",
        "ip route add default via 192.0.2.9 dev other metric 700 onlink",
        "ip -6 route add default via fe80::9 dev best metric 600",
        "ip -6 route add default via fe80::9 dev other metric 700",
    };
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        ck_assert_int_eq(system(commands[i]), 0);
}

/* Sees what leaves by an interface. */
static int watch(const char *interface)
{
    const struct sockaddr_ll at = {.sll_family = AF_PACKET,
                                   .sll_protocol = htons(ETH_P_ALL),
                                   .sll_ifindex = (int)if_nametoindex(interface)};
    int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

/* How many UDP datagrams that end in this octet? */
static unsigned seen(int fd, uint8_t octet)
{
    uint8_t bytes[2048];
    unsigned count = 0;
    ssize_t len;
    while ((len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
        count += bytes[family == IP_V4 ? 9 : 6] == IPPROTO_UDP && bytes[len - 1] == octet;
    return count;
}

/* A path is an interface as well: the routing table's opinion of which is the better one does not
 * count. Linux holds to that by itself for IPv4 alone. */
START_TEST(each_leaves_by_its_own_interface)
{
    static const char *const names[] = {"best", "other"};
    static const char *const locals[][2] = {{"192.0.2.1", "198.51.100.1"},
                                            {"2001:db8:1::1", "2001:db8:2::1"}};
    uint8_t out[2 * UDP_BATCH_MAX], in[8];
    struct udp_message m[2 * UDP_BATCH_MAX], got = {.data = in, .cap = sizeof(in)};
    int fds[2];
    size_t count;
    two_networks();
    setup_family(_i);
    for (int i = 0; i < 2; i++)
        fds[i] = watch(names[i]);
    for (unsigned i = 0; i < sizeof(out); i++) {
        unsigned which = i % 3 == 0;
        out[i] = (uint8_t)which;
        m[i] = to(b, &out[i], 1);
        m[i].path.interface = if_nametoindex(names[which]);
        ck_ok(ip_parse(locals[_i][which], &m[i].path.local.ip));
        ck_ok(ip_parse(_i == 0 ? "203.0.113.1" : "2001:db8:3::1", &m[i].path.remote.ip));
    }
    ck_ok(udp_send(from(a), m, sizeof(out), &count));
    ck_ok(udp_send_fragmentable(from(a), &m[0]));
    unsigned others = (sizeof(out) + 2) / 3;
    ck_assert_uint_eq(seen(fds[0], 0), sizeof(out) - others);
    ck_assert_uint_eq(seen(fds[1], 1), others + 1);
    /* and what comes in goes on being heard: from the interface that was sent by, and from others
     */
    m[1].path.interface = if_nametoindex("lo");
    m[1].path.local.ip = m[1].path.remote.ip = here;
    ck_ok(udp_send(from(a), &m[1], 1, &count));
    struct udp_message back = to(a, out, 1);
    ck_ok(udp_send(from(b), &back, 1, &count));
    wait_readable(a);
    ck_ok(udp_receive(a, &got, 1, &count));
    ck_assert_uint_eq(got.path.remote.port, udp_port(b));
    close(fds[0]);
    close(fds[1]);
}
END_TEST

/* More networks than are remembered, each gone afterwards. */
START_TEST(interfaces_come_and_go)
{
    uint8_t out = 7;
    size_t count;
    setup_family(_i);
    for (int i = 0; i < 6; i++) {
        two_networks();
        int fd = watch("other");
        struct udp_message m = to(b, &out, 1);
        m.path.interface = if_nametoindex("other");
        ck_ok(ip_parse(_i == 0 ? "198.51.100.1" : "2001:db8:2::1", &m.path.local.ip));
        ck_ok(ip_parse(_i == 0 ? "203.0.113.1" : "2001:db8:3::1", &m.path.remote.ip));
        ck_ok(udp_send(from(a), &m, 1, &count));
        ck_assert_uint_eq(seen(fd, 7), 1);
        close(fd);
        ck_assert_int_eq(system("ip link del best; ip link del other"), 0);
        ck_err(udp_send(from(a), &m, 1, &count), ERR_NOT_FOUND);
    }
    int next = dup(0);
    ck_assert_int_lt(next, 20); /* descriptors are not piled up */
    close(next);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("platform udp");
    TCase *t = tcase_create("udp");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, what_cannot_be_opened, 0, 2);
    tcase_add_loop_test(t, opened_as_asked, 0, 2);
    tcase_add_loop_test(t, batches, 0, 2);
    tcase_add_loop_test(t, the_tos_octet_of_each, 0, 2);
    tcase_add_loop_test(t, too_long_for_the_buffer, 0, 2);
    tcase_add_loop_test(t, df_but_for_what_may_be_fragmented, 0, 2);
    tcase_add_loop_test(t, only_what_may_be_is_cut, 0, 2);
    tcase_add_loop_test(t, trains_that_may_be_fragmented, 0, 2);
    tcase_add_loop_test(t, what_errors_become, 0, 2);
    tcase_add_test(t, a_train_is_its_datagrams);
    tcase_add_loop_test(t, trains, 0, 2);
    tcase_add_loop_test(t, trains_too_long_for_the_path, 0, 2);
    suite_add_tcase(suite, t);

    t = tcase_create("interfaces");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, each_leaves_by_its_own_interface, 0, 2);
    tcase_add_loop_test(t, interfaces_come_and_go, 0, 2);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
