/* The data path between a real TUN and real sockets, in a namespace, and the far end, which the
 * test plays: its key for an SPI is the SPI. */
#ifndef TERN_TESTS_DATAPATH_ENDS_H
#define TERN_TESTS_DATAPATH_ENDS_H

#include "client/datapath_internal.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/be.h"
#include "tests/support/namespace.h"
#include "tests/support/support.h"

enum {
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
    unsigned traffics, expiring, lost;
    uint64_t ike_count, ike_next;
    bool ike_wrong;
    void (*on_ike)(void); /* NULL: nothing */
} heard;

/* --- a Child SA, at either end --- */

static inline struct tunnel_child_parameters child_parameters(uint32_t spi)
{
    static const struct ip any = {.family = IP_V4};
    struct tunnel_child_parameters p = {
        .in = {.spi = spi, .suite = {ENCR_AES_GCM_16, 128, INTEG_NONE}, .enc_key.len = 20}};
    struct selector all = selector_from_prefix(&(struct prefix){.ip = any});
    memset(p.in.enc_key.data, (int)(spi & 0xff), p.in.enc_key.len);
    p.out = p.in;
    ck_ok(selector_list_add(&p.local, &all));
    ck_ok(selector_list_add(&p.remote, &all));
    return p;
}

static inline void add_child(struct tunnel *t, uint32_t spi)
{
    const struct tunnel_child_parameters p = child_parameters(spi);
    ck_ok(tunnel_add_child(t, &p));
}

/* --- the far end --- */

static inline uint16_t header_sum(const uint8_t *b)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < 20; i += 2)
        sum += (uint32_t)b[i] << 8 | b[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

/* From 10.9.0.1 to the application; UDP without a checksum. */
static inline size_t write_inner(uint8_t *b, uint8_t octet)
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
    be_write_u16(b + 10, sum);
    return HEADERS + 1;
}

static inline struct udp_message message_to_us(uint8_t *data, size_t len)
{
    return (struct udp_message){.path = to_us, .data = data, .len = len, .cap = len};
}

/* By the newest child of `there`. */
static inline void far_seal(uint8_t storage[ROOM], struct span inner, struct udp_message *ret)
{
    struct packet p = {.data = storage, .cap = ROOM, .start = ESP_HEADROOM};
    struct tunnel_route r = tunnel_route(there, inner);
    ck_ok(tunnel_seal(there, &r, inner, &p));
    *ret = message_to_us(packet_bytes(&p), p.len);
}

/* Behind the marker, a number. */
static inline void far_ike(uint8_t bytes[12], uint64_t number, struct udp_message *ret)
{
    memset(bytes, 0, 4);
    memcpy(bytes + 4, &number, sizeof(number));
    *ret = message_to_us(bytes, 12);
}

static inline void far_send(const struct udp_message *m, size_t count)
{
    size_t sent;
    ck_ok(udp_send(far_sender, m, count, &sent));
}

static inline bool far_readable(int timeout_ms)
{
    struct pollfd ready = {.fd = udp_fd(far), .events = POLLIN};
    return poll(&ready, 1, timeout_ms) == 1;
}

static inline void far_remove_oldest(void)
{
    static uint32_t spi = SPI_FIRST;
    while (tunnel_remove_child(there, spi++) != ERR_OK)
        ;
}

/* One ESP packet from us, opened where it lies; false where it is none. */
static inline bool far_open(const struct udp_message *m, struct span *ret)
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
static inline struct span far_receive(void)
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

static inline uint64_t on_ike(void *ctx, mono_ms now, const struct path *path, struct span message)
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
    uv_stop(&loop); /* timers come before the loop sleeps: it would sleep on what they heard */
    return 0;
}

static inline void on_traffic(void *ctx, mono_ms now, const struct session_traffic *t)
{
    (void)ctx;
    (void)now;
    heard.traffic = *t;
    heard.traffics++;
}

static inline void on_expiring(void *ctx, mono_ms now)
{
    (void)ctx;
    (void)now;
    heard.expiring++;
}

static inline void on_tun_lost(void *ctx)
{
    (void)ctx;
    heard.lost++;
    datapath_stop(d);
}

static inline void open_tun(void)
{
    struct fault f = {0};
    ck_assert_msg(tun_open("t0", true, &tun, &f) == ERR_OK, "%s", f.text);
    support_shell(
        "ip addr add 10.1.0.7/24 dev t0; ip link set t0 up; ip route add 10.9.0.0/16 dev t0");
}

static inline void open_app(void)
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

static inline void setup(void)
{
    const struct datapath_callbacks callbacks = {NULL, on_ike, on_traffic, on_expiring,
                                                 on_tun_lost};
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

static inline void see_handle(uv_handle_t *handle, void *seen)
{
    (void)handle;
    *(bool *)seen = true;
}

static inline void teardown(void)
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
static inline void carry(void)
{
    add_child(here, SPI_FIRST);
    add_child(there, SPI_FIRST);
    datapath_carry(d, tun, here, &paths[0]);
}

static inline void say(uint8_t octet)
{
    ck_assert_int_eq(send(app, &octet, 1, 0), 1);
}

/* What the application has got; -1: nothing yet. */
static inline int hear(int flags)
{
    uint8_t octet;
    return recv(app, &octet, 1, flags) == 1 ? octet : -1;
}

static inline int hear_within_bounds(void)
{
    int got = -1;
    for (int i = 0; got < 0 && i < WAIT_MS / 5; i++)
        got = hear(0);
    return got;
}

#endif
