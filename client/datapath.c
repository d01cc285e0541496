/* The data path: TUN to UDP and back. What the kernel gives in one piece is cut (GSO), sealed where
 * it leaves from, and leaves in trains; trains that arrive are opened in place, and what belongs
 * together is written in one piece (GRO). Buffers are reused from batch to batch, a batch reads the
 * clock once, nothing is allocated per packet; what cannot be delivered at once is dropped, as
 * routers do. */
#include "client/datapath.h"

#include <stdlib.h>
#include <string.h>

#include "client/drops.h"
#include "common/base/log.h"
#include "common/esp/outbound.h"
#include "common/packet/gro.h"
#include "platform/clock.h"
#include "platform/routes.h"

enum {
    BATCHES_PER_WAKE = 8, /* then the loop looks at its timers */
    COMPLAIN_MS = 1000,
    FRAMES = 64,   /* of a batch that leaves */
    RECEIVED = 16, /* messages of a batch that arrives, each perhaps a train */
    OPENED = 128,  /* packets of it that are opened at once */
    BUFFER_LEN = UDP_DATAGRAM_MAX + 1,
    EARLY_MAX = 256,  /* packets that came before the message that brings their keys */
    EARLY_LEN = 2048, /* octets of one */
    EARLY_MS = 500    /* how long they are worth keeping */
};

_Static_assert((int)OUTBOUND_DATAGRAMS_MAX <= UDP_TRAIN_MAX &&
                   (int)OUTBOUND_TRAIN_LEN_MAX <= UDP_TRAIN_LEN_MAX,
               "a train of outbound's is one that udp_send takes");
_Static_assert((int)TUN_HEADER_LEN == VNET_HEADER_LEN && (int)TUN_SPANS_MAX >= 1 + GRO_SEGMENTS_MAX,
               "a write of gro's is one that tun_write takes");

/* An ESP packet with an SPI that is not known, yet. */
struct early {
    size_t len;  /* 0: none */
    uint8_t tos; /* of the outer header */
    mono_ms at;
    uint8_t bytes[EARLY_LEN];
};

struct datapath {
    uv_loop_t *loop;
    struct datapath_callbacks callbacks;
    struct udp *udp[2]; /* IPv4, IPv6; NULL where the machine lacks the family */
    uv_poll_t udp_poll[2];
    bool udp_polled[2];
    bool offload;
    uv_poll_t *tun_poll; /* NULL: no TUN to read from */
    unsigned handles;    /* not yet closed */
    bool closing;
    struct tun *tun;
    struct tunnel *tunnel;
    struct path path;
    struct fit fit;      /* for that path */
    size_t datagram_max; /* on it, as far as is known; 0: anything */
    struct session_traffic traffic;
    uint64_t authentic;
    struct drops drops;
    mono_ms complain_after; /* next, that something could not be sent */

    struct early early[EARLY_MAX];
    size_t early_next; /* the oldest one's place */

    struct udp_message received[RECEIVED];
    struct packet packets[OPENED]; /* to be opened */
    size_t packet_count;
    struct tunnel_result results[OPENED];
    struct gro gro; /* opened, not yet written */

    struct outbound outbound;
    bool sent; /* something, since the loop woke up */
    struct udp_message messages[OUTBOUND_TRAINS_MAX];
    uint8_t frame[TUN_FRAME_MAX];

    /* Pages that no packet reached are never backed. */
    uint8_t buffers[RECEIVED][BUFFER_LEN];
};

static struct udp *socket_for(const struct datapath *d, enum ip_family family)
{
    return d->udp[family == IP_V6 ? 1 : 0];
}

uint16_t datapath_port(const struct datapath *d, enum ip_family family)
{
    const struct udp *u = socket_for(d, family);
    return u != NULL ? udp_port(u) : 0;
}

/* --- inwards --- */

/* A gateway may use a new Child SA as soon as it has answered, and its ESP may overtake its answer:
 * such packets wait for the keys a moment. Anybody can send the like, so they are few. */
static void keep_early(struct datapath *d, const struct packet *p, mono_ms now)
{
    struct early *e = &d->early[d->early_next];
    if (p->len > EARLY_LEN)
        return;
    memcpy(e->bytes, packet_bytes(p), p->len);
    e->len = p->len;
    e->tos = p->tos;
    e->at = now;
    d->early_next = (d->early_next + 1) % EARLY_MAX;
}

/* What has been opened goes to the TUN, and the batch is empty again. */
static void flush(struct datapath *d)
{
    struct gro_write w;
    while (gro_next(&d->gro, &w)) {
        enum err e = tun_write(d->tun, w.spans, w.count);
        if (e == ERR_UNSUPPORTED)
            log_warn("this kernel does not take packets in one piece, though it says so");
        else if (e != ERR_OK)
            log_debug("%zu packets were not taken by the TUN: %s", w.packets, err_text(e));
    }
    struct tun_offload offload = tun_offload(d->tun);
    gro_begin(&d->gro, &(struct gro_options){offload.tcp, offload.udp, .any_id = true});
}

static void to_tun(struct datapath *d, const struct packet *p)
{
    fit_inbound(&d->fit, packet_bytes(p), p->len);
    if (gro_add(&d->gro, packet_bytes(p), p->len) == ERR_OK)
        return;
    flush(d);
    (void)!gro_add(&d->gro, packet_bytes(p), p->len);
}

void datapath_child_came(struct datapath *d, mono_ms now)
{
    if (d->tunnel == NULL || d->tun == NULL)
        return;
    for (size_t i = 0; i < EARLY_MAX; i++) {
        struct early *e = &d->early[(d->early_next + i) % EARLY_MAX];
        struct packet p = {.data = e->bytes, .cap = EARLY_LEN, .len = e->len, .tos = e->tos};
        struct tunnel_result result;
        if (e->len == 0 || now - e->at > EARLY_MS)
            continue;
        tunnel_open(d->tunnel, &p, &result, 1);
        if (result.err == ERR_OK)
            to_tun(d, &p);
        if (result.spi != 0)
            e->len = 0; /* else its keys are still to come */
    }
    flush(d);
}

/* Open the ESP packets that have come, and put what is good with what goes to the TUN. */
static void open_packets(struct datapath *d, mono_ms now)
{
    size_t count = d->packet_count;
    d->packet_count = 0;
    if (count == 0 || d->tunnel == NULL || d->tun == NULL)
        return;
    tunnel_open(d->tunnel, d->packets, d->results, count);
    for (size_t i = 0; i < count; i++) {
        const struct packet *p = &d->packets[i];
        if (d->results[i].err == ERR_OK)
            to_tun(d, p);
        else if (d->results[i].err == ERR_NOT_FOUND && d->results[i].spi == 0)
            keep_early(d, p, now);
        /* of the others the tunnel counts why */
    }
}

/* The end of a batch: all of it is on its way, and who cares hears of it. */
static void deliver(struct datapath *d, mono_ms now)
{
    open_packets(d, now);
    if (d->tunnel == NULL || d->tun == NULL)
        return;
    flush(d);
    uint64_t authentic = tunnel_counters(d->tunnel)->authentic;
    if (authentic != d->authentic) {
        d->authentic = authentic;
        d->traffic.last_in = now;
        d->traffic.out_was_last = false;
        d->callbacks.traffic(d->callbacks.ctx, now, &d->traffic);
    }
}

static void tell_drops(struct datapath *d, mono_ms now)
{
    drops_tell(&d->drops, now, d->tunnel != NULL ? tunnel_counters(d->tunnel) : NULL);
}

/* Only the gateway speaks IKE on a port other than 500 with us, and it marks it. */
static void sort(struct datapath *d, const struct udp_message *m, struct span datagram, mono_ms now)
{
    struct span message;
    size_t at = (size_t)(datagram.data - m->data);
    switch (datagram_classify(m->path.remote.port != IKE_PORT, datagram, &message)) {
    case DATAGRAM_ESP:
        if (d->packet_count == OPENED)
            open_packets(d, now);
        d->packets[d->packet_count++] = (struct packet){
            .data = m->data + at, .cap = datagram.len, .len = datagram.len, .tos = m->tos};
        break;
    case DATAGRAM_IKE:
        deliver(d, now); /* in order: the message may take its SA away */
        d->drops.ike = d->callbacks.ike(d->callbacks.ctx, now, &m->path, message);
        break;
    case DATAGRAM_KEEPALIVE:
        break;
    case DATAGRAM_BAD:
        d->drops.bad++;
        break;
    }
}

static void sort_all(struct datapath *d, const struct udp_message *m, mono_ms now)
{
    struct span datagram;
    size_t at = 0;
    while (udp_next_datagram(m, &at, &datagram))
        sort(d, m, datagram, now);
}

static void on_udp(uv_poll_t *handle, int status, int events)
{
    struct datapath *d = handle->data;
    struct udp *u = handle == &d->udp_poll[0] ? d->udp[0] : d->udp[1];
    (void)events;
    if (status < 0) { /* and libuv has let go of it */
        log_warn("UDP socket: %s", uv_strerror(status));
        uv_poll_start(handle, UV_READABLE, on_udp);
    }
    mono_ms now = clock_now();
    for (size_t batch = 0; batch < BATCHES_PER_WAKE && !d->closing; batch++) {
        size_t count;
        for (size_t i = 0; i < RECEIVED; i++)
            d->received[i] = (struct udp_message){.data = d->buffers[i], .cap = BUFFER_LEN};
        if (udp_receive(u, d->received, RECEIVED, &count) != ERR_OK)
            break;
        for (size_t i = 0; i < count; i++)
            sort_all(d, &d->received[i], now);
        deliver(d, now);
        tell_drops(d, now);
        if (count < RECEIVED)
            break;
    }
}

/* --- outwards --- */

/* The kernel does not know all that the path has taught us (platform/path_mtu.h). */
static bool too_long(const struct datapath *d, const struct udp_message *m)
{
    return d->datagram_max != 0 && m->segment > d->datagram_max;
}

/* A datagram too large for its path: let IP fragment it rather than lose it. */
static void send_all(struct datapath *d, struct udp *u, size_t count)
{
    size_t at = 0;
    while (at < count) {
        size_t sent, n = 0;
        while (at + n < count && !too_long(d, &d->messages[at + n]))
            n++;
        enum err e = n > 0 ? udp_send(u, d->messages + at, n, &sent) : ERR_LIMIT;
        at += n > 0 ? sent : 0;
        if (e == ERR_OK)
            continue;
        if (e == ERR_LIMIT)
            e = udp_send_fragmentable(u, &d->messages[at]);
        if (e == ERR_AGAIN) { /* the socket is full */
            for (; at < count; at++)
                d->drops.not_sent += d->outbound.trains[at].count;
            break;
        }
        if (e != ERR_OK) {
            d->drops.not_sent += d->outbound.trains[at].count;
            log_debug("a packet could not be sent: %s", err_text(e));
        }
        at++;
    }
}

/* What has been sealed leaves, and the batch is empty again. */
static void send_outbound(struct datapath *d)
{
    struct outbound *o = &d->outbound;
    for (size_t i = 0; i < o->count; i++) {
        const struct outbound_train *t = &o->trains[i];
        d->messages[i] = (struct udp_message){
            .path = d->path, .data = t->data, .len = t->len, .segment = t->segment, .tos = t->tos};
    }
    d->sent |= o->count > 0;
    send_all(d, socket_for(d, d->path.remote.ip.family), o->count);
    outbound_begin(o);
}

/* The sender of what does not fit hears of it; true: it fits. */
static bool fits(struct datapath *d, size_t len)
{
    uint8_t answer[FIT_ANSWER_MAX];
    size_t answer_len;
    if (fit_outbound(&d->fit, d->frame, len, answer, &answer_len))
        return true;
    const struct span span = span_make(answer, answer_len);
    if (tun_write(d->tun, &span, 1) != ERR_OK)
        log_debug("the sender of a packet that is too long could not be told");
    return false;
}

/* One frame, perhaps many packets. What cannot be sealed the tunnel counts. */
static void seal_frame(struct datapath *d, size_t len)
{
    struct outbound *o = &d->outbound;
    size_t dropped;
    if (!fits(d, len))
        return;
    enum err e = outbound_add(o, d->tunnel, d->frame, len, &dropped);
    while (e == ERR_LIMIT) {
        send_outbound(d);
        e = outbound_resume(o, d->tunnel, &dropped);
    }
    if (e != ERR_OK)
        log_debug("%zu octets from the TUN make no sense: %s", len, err_text(e));
}

/* Until the TUN is empty (ERR_AGAIN), or the batch full. */
static enum err carry_batch(struct datapath *d)
{
    enum err e = ERR_OK;
    size_t len;
    outbound_begin(&d->outbound);
    for (size_t i = 0; e == ERR_OK && i < FRAMES; i++) {
        e = tun_read(d->tun, d->frame, sizeof(d->frame), &len);
        if (e == ERR_OK)
            seal_frame(d, len);
    }
    send_outbound(d);
    return e;
}

static void on_tun(uv_poll_t *handle, int status, int events)
{
    struct datapath *d = handle->data;
    (void)events;
    enum err e = status < 0 ? ERR_SYSTEM : ERR_OK;
    mono_ms now = clock_now();
    d->sent = false;
    for (size_t batch = 0; e == ERR_OK && batch < BATCHES_PER_WAKE; batch++)
        e = carry_batch(d);
    if (d->sent) {
        d->traffic.last_out = now;
        d->traffic.out_was_last = true;
        d->callbacks.traffic(d->callbacks.ctx, now, &d->traffic);
    }
    if (e != ERR_OK && e != ERR_AGAIN)
        d->callbacks.tun_lost(d->callbacks.ctx);
}

void datapath_send(struct datapath *d, const struct session_datagram *datagram)
{
    struct udp *u = socket_for(d, datagram->path.remote.ip.family);
    if (u == NULL || datagram->bytes.len > BUFFER_LEN)
        return;
    struct udp_message m = {.path = datagram->path, .len = datagram->bytes.len};
    /* udp_send takes writable buffers and does not write them. */
    union {
        const uint8_t *read_only;
        uint8_t *writable;
    } bytes = {.read_only = datagram->bytes.data};
    m.data = bytes.writable;
    enum err e = udp_send_fragmentable(u, &m);
    if (e == ERR_OK)
        return;
    /* Where an answer goes may be a stranger's choice: not a line for each. */
    mono_ms now = clock_now();
    char text[ENDPOINT_TEXT_MAX];
    d->drops.not_sent++;
    log_write(now < d->complain_after ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "cannot send to %s: %s",
              endpoint_format(&m.path.remote, text), err_text(e));
    if (now >= d->complain_after)
        d->complain_after = now + COMPLAIN_MS;
}

/* --- opening and closing --- */

static enum err open_family(struct datapath *d, size_t i, struct fault *f)
{
    const struct udp_options o = {
        .address = {.family = i == 0 ? IP_V4 : IP_V6}, .mark = ROUTES_MARK, .offload = d->offload};
    enum err e = udp_open(&o, &d->udp[i], f);
    if (e != ERR_OK)
        return e;
    if (uv_poll_init(d->loop, &d->udp_poll[i], udp_fd(d->udp[i])) != 0)
        return fault_set(f, ERR_SYSTEM, "the event loop does not take the UDP socket");
    d->udp_poll[i].data = d;
    d->udp_polled[i] = true;
    d->handles++;
    uv_poll_start(&d->udp_poll[i], UV_READABLE, on_udp);
    return ERR_OK;
}

enum err datapath_new(uv_loop_t *loop, const struct datapath_callbacks *callbacks, bool offload,
                      struct datapath **ret, struct fault *f)
{
    struct datapath *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for packet buffers");
    d->loop = loop;
    d->callbacks = *callbacks;
    d->offload = offload;
    d->traffic = (struct session_traffic){.last_out = MONO_NEVER, .last_in = MONO_NEVER};
    enum err v4 = open_family(d, 0, f);
    enum err v6 = open_family(d, 1, f);
    if (v4 != ERR_OK && v6 != ERR_OK) {
        datapath_close(d);
        return v4;
    }
    *ret = d;
    return ERR_OK;
}

void datapath_carry(struct datapath *d, struct tun *tun, struct tunnel *tunnel,
                    const struct path *path)
{
    d->tun = tun;
    d->tunnel = tunnel;
    d->path = *path;
    flush(d);
    if (d->tun_poll != NULL)
        return;
    uv_poll_t *poll = calloc(1, sizeof(*poll));
    if (poll == NULL || uv_poll_init(d->loop, poll, tun_fd(tun)) != 0) {
        free(poll);
        d->callbacks.tun_lost(d->callbacks.ctx);
        return;
    }
    poll->data = d;
    d->tun_poll = poll;
    uv_poll_start(poll, UV_READABLE, on_tun);
}

void datapath_move(struct datapath *d, const struct path *path)
{
    d->path = *path;
}

void datapath_fit(struct datapath *d, const struct fit *fit, size_t datagram_max)
{
    d->fit = *fit;
    d->datagram_max = datagram_max;
}

uint64_t datapath_too_long(const struct datapath *d)
{
    uint64_t count = 0;
    for (size_t i = 0; i < 2; i++)
        count += d->udp[i] != NULL ? udp_too_long(d->udp[i]) : 0;
    return count;
}

void datapath_hold(struct datapath *d, bool held)
{
    if (d->tun_poll == NULL)
        return;
    if (held)
        uv_poll_stop(d->tun_poll);
    else
        uv_poll_start(d->tun_poll, UV_READABLE, on_tun);
}

static void on_tun_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

void datapath_stop(struct datapath *d)
{
    d->tunnel = NULL;
    d->tun = NULL;
    if (d->tun_poll == NULL)
        return;
    uv_poll_stop(d->tun_poll);
    uv_close((uv_handle_t *)d->tun_poll, on_tun_poll_closed);
    d->tun_poll = NULL;
}

static void release(struct datapath *d)
{
    udp_close(d->udp[0]);
    udp_close(d->udp[1]);
    free(d);
}

static void on_closed(uv_handle_t *handle)
{
    struct datapath *d = handle->data;
    if (--d->handles == 0)
        release(d);
}

void datapath_close(struct datapath *d)
{
    if (d == NULL || d->closing)
        return;
    d->closing = true;
    datapath_stop(d);
    if (d->handles == 0) {
        release(d);
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        if (d->udp_polled[i])
            uv_close((uv_handle_t *)&d->udp_poll[i], on_closed);
    }
}
