/* The data path between a real TUN and real sockets, in a namespace: both directions at once while
 * control changes all that it may change; and what each thread owes to control. The gateway is
 * played by the test: its key for an SPI is the SPI. */
#include "client/datapath_internal.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "platform/clock.h"
#include "tests/support/namespace.h"
#include "tests/support/support.h"

enum {
    TURNS = 400,
    CHILDREN = 3, /* at once, in the storm */
    SPI_FIRST = 0x1000,
    APP_PORT = 4000,
    FAR_PORT = 5000,
    HEADERS = 28, /* IPv4, UDP */
    WAIT_MS = 20000,
    ROOM = 2048
};

static uv_loop_t loop;
static struct datapath *d;
static struct tun *tun;
static struct tunnel *here;
static struct path paths[2]; /* to the gateway's two addresses */
static int app;              /* a socket inside the tunnel */

/* The far end. */
static struct udp *far;
static struct udp_sender *far_sender;
static struct tunnel *there;
static struct path to_us;

/* What control was told. */
static struct {
    struct session_traffic traffic;
    unsigned traffics, lost;
    uint64_t ike_count, ike_next;
    bool ike_wrong;
    void (*on_ike)(void); /* NULL: nothing */
} heard;

/* --- a Child SA, at either end --- */

static void add_child(struct tunnel *t, uint32_t spi)
{
    static const struct ip any = {.family = IP_V4};
    struct tunnel_child_parameters p = {
        .in = {.spi = spi, .suite = {ENCR_AES_GCM_16, 128, INTEG_NONE}, .enc_key.len = 20}};
    struct selector all = selector_from_prefix(&(struct prefix){.ip = any});
    memset(p.in.enc_key.data, (int)(spi & 0xff), p.in.enc_key.len);
    p.out = p.in;
    ck_ok(selector_list_add(&p.local, &all));
    ck_ok(selector_list_add(&p.remote, &all));
    ck_ok(tunnel_add_child(t, &p));
}

/* --- the far end --- */

static uint16_t header_sum(const uint8_t *b)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < 20; i += 2)
        sum += (uint32_t)b[i] << 8 | b[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

/* From 10.9.0.1 to the application; UDP without a checksum. */
static size_t write_inner(uint8_t *b, uint8_t octet)
{
    static const uint8_t head[HEADERS] = {0x45, 0, 0,  HEADERS + 1, 0, 0, 0,  0, 64, 17,
                                          0,    0, 10, 9,           0, 1, 10, 1, 0,  7};
    memcpy(b, head, HEADERS);
    b[20] = FAR_PORT >> 8;
    b[21] = FAR_PORT & 0xff;
    b[22] = APP_PORT >> 8;
    b[23] = APP_PORT & 0xff;
    b[25] = 9;
    b[HEADERS] = octet;
    uint16_t sum = header_sum(b);
    b[10] = (uint8_t)(sum >> 8);
    b[11] = (uint8_t)sum;
    return HEADERS + 1;
}

static struct udp_message message_to_us(uint8_t *data, size_t len)
{
    return (struct udp_message){.path = to_us, .data = data, .len = len, .cap = len};
}

/* By the newest child of `there`. */
static void far_seal(uint8_t storage[ROOM], struct span inner, struct udp_message *ret)
{
    struct packet p = {.data = storage, .cap = ROOM, .start = ESP_HEADROOM};
    struct tunnel_route r = tunnel_route(there, inner);
    ck_ok(tunnel_seal(there, &r, inner, &p));
    *ret = message_to_us(packet_bytes(&p), p.len);
}

/* Behind the marker, a number. */
static void far_ike(uint8_t bytes[12], uint64_t number, struct udp_message *ret)
{
    memset(bytes, 0, 4);
    memcpy(bytes + 4, &number, sizeof(number));
    *ret = message_to_us(bytes, 12);
}

static void far_send(const struct udp_message *m, size_t count)
{
    size_t sent;
    ck_ok(udp_send(far_sender, m, count, &sent));
}

static bool far_readable(int timeout_ms)
{
    struct pollfd ready = {.fd = udp_fd(far), .events = POLLIN};
    return poll(&ready, 1, timeout_ms) == 1;
}

static void far_remove_oldest(void)
{
    static uint32_t spi = SPI_FIRST;
    while (tunnel_remove_child(there, spi++) != ERR_OK)
        ;
}

/* One ESP packet from us, opened where it lies; false where it is none. */
static bool far_open(const struct udp_message *m, struct span *ret)
{
    struct packet p = {.data = m->data, .cap = m->cap, .len = m->len};
    struct tunnel_result r;
    uint32_t spi = (uint32_t)m->data[0] << 24 | (uint32_t)m->data[1] << 16 |
                   (uint32_t)m->data[2] << 8 | m->data[3];
    struct tunnel_child_status status;
    if (tunnel_child_status(there, spi, &status) != ERR_OK) {
        if (tunnel_children(there) == TUNNEL_CHILDREN_MAX)
            far_remove_oldest();
        add_child(there, spi);
    }
    tunnel_open(there, &p, &r, 1);
    *ret = span_make(packet_bytes(&p), p.len);
    return r.err == ERR_OK;
}

/* The next ESP packet from us. */
static struct span far_receive(void)
{
    static uint8_t bytes[ROOM];
    struct udp_message m = {.data = bytes, .cap = sizeof(bytes)};
    struct span inner;
    size_t count;
    ck_assert(far_readable(WAIT_MS));
    ck_ok(udp_receive(far, &m, 1, &count));
    ck_assert(far_open(&m, &inner));
    return inner;
}

/* --- our end --- */

static uint64_t on_ike(void *ctx, mono_ms now, const struct path *path, struct span message)
{
    uint64_t number;
    (void)ctx;
    (void)now;
    heard.ike_wrong |= message.len != sizeof(number) || path->remote.port != udp_port(far);
    memcpy(&number, message.data, sizeof(number));
    heard.ike_wrong |= number < heard.ike_next;
    heard.ike_next = number + 1;
    heard.ike_count++;
    if (heard.on_ike != NULL)
        heard.on_ike();
    return 0;
}

static void on_traffic(void *ctx, mono_ms now, const struct session_traffic *t)
{
    (void)ctx;
    (void)now;
    heard.traffic = *t;
    heard.traffics++;
}

static void on_tun_lost(void *ctx)
{
    (void)ctx;
    heard.lost++;
    datapath_stop(d);
}

static void open_tun(void)
{
    struct fault f = {0};
    ck_assert_msg(tun_open("t0", true, &tun, &f) == ERR_OK, "%s", f.text);
    support_shell(
        "ip addr add 10.1.0.7/24 dev t0; ip link set t0 up; ip route add 10.9.0.0/16 dev t0");
}

static void open_app(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(APP_PORT)};
    struct timeval patience = {.tv_usec = 5000};
    at.sin_addr.s_addr = htonl(0x0a010007);
    app = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(app, 0);
    ck_assert_int_eq(setsockopt(app, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    ck_assert_int_eq(bind(app, (struct sockaddr *)&at, sizeof(at)), 0);
    at.sin_port = htons(FAR_PORT);
    at.sin_addr.s_addr = htonl(0x0a090001);
    ck_assert_int_eq(connect(app, (struct sockaddr *)&at, sizeof(at)), 0);
}

static void setup(void)
{
    const struct datapath_callbacks callbacks = {NULL, on_ike, on_traffic, on_tun_lost};
    const struct udp_options any = {.address.family = IP_V4, .offload = true};
    struct fault f = {0};
    memset(&heard, 0, sizeof(heard));
    support_enter_namespace();
    open_tun();
    open_app();
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_msg(datapath_new(&loop, &callbacks, true, &d, &f) == ERR_OK, "%s", f.text);
    ck_assert_msg(udp_open(&any, &far, &f) == ERR_OK, "%s", f.text);
    ck_ok(udp_sender_new(far, &far_sender));
    ck_ok(tunnel_new(&here));
    ck_ok(tunnel_new(&there));
    for (uint8_t i = 0; i < 2; i++)
        paths[i].remote = (struct endpoint){ip_v4(127, 0, 0, (uint8_t)(1 + i)), udp_port(far)};
    to_us.remote = (struct endpoint){ip_v4(127, 0, 0, 1), datapath_port(d, IP_V4)};
}

static void see_handle(uv_handle_t *handle, void *seen)
{
    (void)handle;
    *(bool *)seen = true;
}

static void teardown(void)
{
    bool left = false;
    datapath_close(d);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_walk(&loop, see_handle, &left);
    ck_assert(!left);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    tun_close(tun);
    tunnel_free(here);
    tunnel_free(there);
    udp_sender_free(far_sender);
    udp_close(far);
    close(app);
}

/* Both ends with one child, and packets can go. */
static void carry(void)
{
    add_child(here, SPI_FIRST);
    add_child(there, SPI_FIRST);
    datapath_carry(d, tun, here, &paths[0]);
}

static void say(uint8_t octet)
{
    ck_assert_int_eq(send(app, &octet, 1, 0), 1);
}

/* What the application has got; -1: nothing yet. */
static int hear(int flags)
{
    uint8_t octet;
    return recv(app, &octet, 1, flags) == 1 ? octet : -1;
}

static int hear_within_bounds(void)
{
    int got = -1;
    for (int i = 0; got < 0 && i < WAIT_MS / 5; i++)
        got = hear(0);
    return got;
}

/* --- what each thread owes to control --- */

START_TEST(packets_go_both_ways)
{
    static uint8_t storage[ROOM];
    uint8_t inner[64];
    struct udp_message m;
    carry();
    say(7);
    struct span got = far_receive();
    ck_assert_uint_eq(got.len, HEADERS + 1);
    ck_assert_uint_eq(got.data[HEADERS], 7);
    far_seal(storage, span_make(inner, write_inner(inner, 8)), &m);
    far_send(&m, 1);
    ck_assert_int_eq(hear_within_bounds(), 8);
}
END_TEST

/* The last word was ours, or it was theirs: control knows, whatever came just before it. */
START_TEST(the_last_word_is_always_told)
{
    carry();
    for (unsigned i = 0; i < 300; i++) {
        static uint8_t storage[ROOM];
        uint8_t inner[64];
        struct udp_message m;
        say((uint8_t)i);
        (void)far_receive();
        far_seal(storage, span_make(inner, write_inner(inner, (uint8_t)i)), &m);
        if (i % 2 == 0) {
            far_send(&m, 1);
            ck_assert_int_eq(hear_within_bounds(), (uint8_t)i);
        }
        bool ours = i % 2 != 0;
        int64_t out_ns = datapath_out_last_ns(d->out), in_ns = datapath_in_last_ns(d->in);
        ck_assert(i == 0 || (out_ns > in_ns) == ours);
        while (heard.traffic.last_out != out_ns / 1000000 ||
               (in_ns != 0 && heard.traffic.last_in != in_ns / 1000000) ||
               heard.traffic.out_was_last != ours || heard.traffics == 0)
            uv_run(&loop, i % 3 == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    }
}
END_TEST

static bool delivered_before;

static void look_what_is_there(void)
{
    delivered_before = hear(MSG_DONTWAIT) == 9;
}

START_TEST(ike_is_told_at_once_and_in_order)
{
    static uint8_t storage[ROOM], ike[12], inner[64];
    struct udp_message m[2];
    carry();
    heard.on_ike = look_what_is_there;
    far_seal(storage, span_make(inner, write_inner(inner, 9)), &m[0]);
    far_ike(ike, 1, &m[1]);
    far_send(m, 2);
    while (heard.ike_count == 0)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert(delivered_before);
    ck_assert(!heard.ike_wrong);
}
END_TEST

static void install(void)
{
    add_child(here, SPI_FIRST + 1);
    datapath_child_came(d);
}

/* Its ESP overtook the message that brings the keys. */
START_TEST(what_came_before_its_keys_is_opened)
{
    static uint8_t storage[ROOM], ike[12], inner[64];
    struct udp_message m[2];
    carry();
    add_child(there, SPI_FIRST + 1);
    heard.on_ike = install;
    far_seal(storage, span_make(inner, write_inner(inner, 10)), &m[0]);
    far_ike(ike, 1, &m[1]);
    far_send(m, 2);
    while (heard.ike_count == 0)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_int_eq(hear_within_bounds(), 10);
    ck_assert_uint_eq(tunnel_counters(here).unknown_spi, 1);
}
END_TEST

/* Control does nothing for a while: what the ring does not take is dropped and counted, and the
 * rest is whole and in order. */
START_TEST(more_ike_than_there_is_room_for)
{
    enum { MANY = 3 * RING_LEN / sizeof(struct path) };
    uint8_t ike[12];
    struct udp_message m;
    uint64_t sent = 0;
    for (; datapath_in_drops(d->in).ike == 0; sent++) {
        ck_assert_uint_lt(sent, MANY);
        far_ike(ike, sent, &m);
        far_send(&m, 1);
    }
    for (uint64_t last = sent; heard.ike_next <= last; sent++) {
        far_ike(ike, sent, &m);
        far_send(&m, 1);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    ck_assert(!heard.ike_wrong);
    ck_assert_uint_gt(heard.ike_count, RING_LEN / 2 / (sizeof(struct path) + 16));
}
END_TEST

START_TEST(held_packets_wait)
{
    carry();
    datapath_hold(d, true);
    datapath_settle(d);
    say(11);
    datapath_move(d, &paths[1]); /* is no reason to begin */
    datapath_settle(d);
    ck_assert(!far_readable(0));
    datapath_hold(d, false);
    ck_assert_uint_eq(far_receive().data[HEADERS], 11);
}
END_TEST

START_TEST(nothing_is_carried_after_stop)
{
    carry();
    say(1);
    (void)far_receive();
    datapath_stop(d);
    say(2);
    tun_close(tun); /* and with it goes the interface, as nobody has its descriptor */
    open_tun();
    ck_assert(!far_readable(0));
    datapath_carry(d, tun, here, &paths[0]);
    say(3);
    ck_assert_uint_eq(far_receive().data[HEADERS], 3);
    struct tun *before = tun;
    ck_ok(tun_open("t1", true, &tun, &(struct fault){0}));
    datapath_carry(d, tun, here, &paths[0]); /* the other way to another one */
    tun_close(before);
}
END_TEST

START_TEST(a_tun_that_is_gone)
{
    carry();
    support_shell("ip link del t0");
    while (heard.lost == 0)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_eq(heard.lost, 1);
    tun_close(tun);
    open_tun();
    datapath_carry(d, tun, here, &paths[0]);
    say(4);
    ck_assert_uint_eq(far_receive().data[HEADERS], 4);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(heard.lost, 1);
}
END_TEST

/* A path of a family that has no socket. */
START_TEST(what_cannot_be_sent_is_counted)
{
    carry();
    struct path nowhere = {.remote = {ip_v4(198, 51, 100, 1), 4500}};
    datapath_move(d, &nowhere);
    say(5);
    while (datapath_out_not_sent(d->out) == 0)
        uv_run(&loop, UV_RUN_NOWAIT);
    datapath_move(d, &paths[0]);
    say(6);
    ck_assert_uint_eq(far_receive().data[HEADERS], 6);
}
END_TEST

/* --- the storm --- */

static atomic_bool over;
static atomic_uint echoed, answered;

/* What comes is sent back, and IKE in between. */
static void *play_gateway(void *arg)
{
    static uint8_t in[ROOM], storage[ROOM], ike[12];
    uint64_t number = 0;
    (void)arg;
    while (!atomic_load(&over)) {
        struct udp_message m = {.data = in, .cap = sizeof(in)}, back[2];
        struct span inner;
        size_t count;
        if (!far_readable(5) || udp_receive(far, &m, 1, &count) != ERR_OK || !far_open(&m, &inner))
            continue;
        uint8_t *b = in + (inner.data - in), swap[4];
        memcpy(swap, b + 12, 4); /* sums stay as they are */
        memcpy(b + 12, b + 16, 4);
        memcpy(b + 16, swap, 4);
        memcpy(swap, b + 20, 2);
        memcpy(b + 20, b + 22, 2);
        memcpy(b + 22, swap, 2);
        far_seal(storage, inner, &back[0]);
        far_ike(ike, number, &back[1]);
        far_send(back, number++ % 8 == 0 ? 2 : 1);
        atomic_fetch_add(&echoed, 1);
    }
    return NULL;
}

static void *play_application(void *arg)
{
    (void)arg;
    while (!atomic_load(&over)) {
        for (uint8_t i = 0; i < 16; i++)
            (void)!send(app, &i, 1, MSG_DONTWAIT);
        for (int i = 0; i < 16 && hear(i == 0 ? 0 : MSG_DONTWAIT) >= 0; i++)
            atomic_fetch_add(&answered, 1);
    }
    return NULL;
}

static struct {
    uint32_t oldest, next; /* SPIs that are there, from the one on up to before the other */
    unsigned turn;
} storm = {SPI_FIRST, SPI_FIRST, 0};

static void come(void)
{
    if (storm.next - storm.oldest == CHILDREN) {
        ck_ok(tunnel_drain_child(here, storm.oldest));
        datapath_settle(d);
        ck_ok(tunnel_remove_child(here, storm.oldest++));
    }
    add_child(here, storm.next++);
    datapath_child_came(d);
}

static void change_tun(void)
{
    datapath_stop(d);
    tun_close(tun);
    open_tun();
    datapath_carry(d, tun, here, &paths[0]);
}

static void one_turn(void)
{
    uint32_t spi;
    switch (storm.turn++ % 8) {
    case 0:
    case 4:
        come();
        break;
    case 1:
        datapath_move(d, &paths[storm.turn / 8 % 2]);
        break;
    case 2:
        datapath_hold(d, true);
        break;
    case 3:
        datapath_hold(d, false);
        break;
    case 5:
        datapath_stop(d);
        datapath_carry(d, tun, here, &paths[0]);
        break;
    case 6:
        if (storm.turn % 64 == 7)
            change_tun();
        break;
    default:
        (void)tunnel_expiring(here, &spi);
        (void)tunnel_can_seal(here);
        break;
    }
}

START_TEST(both_directions_while_everything_changes)
{
    pthread_t gateway, application;
    come();
    datapath_carry(d, tun, here, &paths[0]);
    ck_assert_int_eq(pthread_create(&gateway, NULL, play_gateway, NULL), 0);
    ck_assert_int_eq(pthread_create(&application, NULL, play_application, NULL), 0);
    while (storm.turn < TURNS || atomic_load(&echoed) < TURNS || atomic_load(&answered) < TURNS ||
           heard.ike_count < TURNS / 16) {
        uv_run(&loop, UV_RUN_NOWAIT);
        one_turn();
        poll(NULL, 0, 1); /* as control is idle mostly */
    }
    atomic_store(&over, true);
    ck_assert_int_eq(pthread_join(gateway, NULL), 0);
    ck_assert_int_eq(pthread_join(application, NULL), 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert(!heard.ike_wrong);
    ck_assert_uint_eq(heard.lost, 0);
    ck_assert_uint_gt(heard.traffics, 0);
    const struct tunnel_counters all = tunnel_counters(here);
    ck_assert_uint_eq(all.in.bad + all.in.replayed, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client datapath");
    TCase *t = tcase_create("datapath");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, packets_go_both_ways);
    tcase_add_test(t, the_last_word_is_always_told);
    tcase_add_test(t, ike_is_told_at_once_and_in_order);
    tcase_add_test(t, what_came_before_its_keys_is_opened);
    tcase_add_test(t, more_ike_than_there_is_room_for);
    tcase_add_test(t, held_packets_wait);
    tcase_add_test(t, nothing_is_carried_after_stop);
    tcase_add_test(t, a_tun_that_is_gone);
    tcase_add_test(t, what_cannot_be_sent_is_counted);
    suite_add_tcase(suite, t);
    t = tcase_create("storm");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, both_directions_while_everything_changes);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
