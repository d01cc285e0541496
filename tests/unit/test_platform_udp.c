/* UDP sockets over the loopback of a namespace: batches, DF, and what the errors become. */
#include "platform/udp.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/namespace.h"
#include "tests/support/support.h"

enum { MANY = UDP_BATCH_MAX + 36 };

static enum ip_family family; /* of the test's round */
static struct udp *a, *b;
static struct ip here;

static struct udp *open_udp(uint32_t mark)
{
    struct fault f = {0};
    struct udp *u = NULL;
    const struct udp_options o = {.address = {.family = family}, .mark = mark};
    ck_assert_msg(udp_open(&o, &u, &f) == ERR_OK, "%s", f.text);
    return u;
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
    udp_close(a);
    udp_close(b);
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
    udp_close(marked);
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
    ck_ok(udp_send(a, m, MANY, &count));
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
    ck_ok(udp_send(a, m, COUNT, &count));
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
    ck_ok(udp_send(a, m, 2, &count));
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
    ck_err(udp_send(a, m, 2, &count), ERR_LIMIT);
    ck_assert_uint_eq(count, 1); /* the one before it is gone */
    ck_ok(udp_send_fragmentable(a, &m[1]));
    for (size_t i = 0; i < 2; i++) {
        wait_readable(b);
        ck_ok(udp_receive(b, &got[i], 1, &count));
        ck_assert_uint_eq(got[i].len, m[i].len);
        ck_assert_uint_eq(got[i].tos, m[i].tos);
    }
    ck_err(udp_send(a, &m[1], 1, &count), ERR_LIMIT); /* DF is back */
}
END_TEST

START_TEST(what_errors_become)
{
    uint8_t out[8] = {0}, in[8];
    setup_family(_i);
    struct udp_message m = to(b, out, sizeof(out)), got = {.data = in, .cap = sizeof(in)};
    size_t count;
    ck_ok(ip_parse(_i == 0 ? "198.51.100.1" : "2001:db8::1", &m.path.remote.ip));
    ck_err(udp_send(a, &m, 1, &count), ERR_NOT_FOUND); /* no route */
    ck_assert_uint_eq(count, 0);
    m.path.remote.ip = here;
    m.path.interface = 4711; /* gone */
    ck_err(udp_send(a, &m, 1, &count), ERR_NOT_FOUND);
    if (_i == 0) {
        m.path.interface = 0;
        ck_ok(ip_parse("127.255.255.255", &m.path.remote.ip)); /* broadcast was not asked for */
        ck_err(udp_send(a, &m, 1, &count), ERR_REFUSED);
    }
    /* Nobody listens: the ICMP message is a hint that anybody could send, and stops nothing. */
    m = to(b, out, sizeof(out));
    udp_close(b);
    b = NULL;
    for (int i = 0; i < 3; i++)
        ck_ok(udp_send(a, &m, 1, &count));
    ck_err(udp_receive(a, &got, 1, &count), ERR_AGAIN);
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
    tcase_add_loop_test(t, what_errors_become, 0, 2);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
