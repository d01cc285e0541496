/* Packets in batches: from a socket through the tunnel of their client to the TUN, and back. A run
 * of packets of one client is opened or sealed at once. No heap and no clock call per packet.
 *
 * Buffers are reused from batch to batch; nothing in them outlives the call. What cannot be
 * delivered at once is dropped and counted, as a router does. */
#include "tools/gateway/state.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/esp/outbound.h"
#include "common/packet/gro.h"

enum {
    FRAMES = 64,           /* of a batch that leaves */
    RECEIVED = 16,         /* messages of a batch that arrives, each perhaps a train */
    OPENED = 128,          /* packets of it that are opened at once */
    BATCHES_PER_WAKE = 16, /* then the loop looks at the others */
    BUFFER_LEN = UDP_DATAGRAM_MAX + 1
};

/* Consecutive packets of one client, to be opened. */
struct run {
    struct client *client; /* NULL: empty */
    size_t count;
    struct packet packets[OPENED];
    struct tunnel_result results[OPENED];
    const struct path *paths[OPENED]; /* where each came from */
};

struct datapath {
    struct udp_message received[RECEIVED];
    struct run run;
    struct gro gro; /* opened, not yet written */

    struct client *receiver; /* of what is in outbound */
    struct outbound outbound;
    struct udp_message messages[OUTBOUND_TRAINS_MAX];
    uint8_t frame[TUN_FRAME_MAX];

    /* Pages that no packet reached are never backed. */
    uint8_t buffers[RECEIVED][BUFFER_LEN];
};

enum err datapath_new(struct datapath **ret)
{
    struct datapath *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return ERR_MEMORY;
    *ret = d;
    return ERR_OK;
}

void datapath_free(struct datapath *d)
{
    free(d);
}

/* The session hears of traffic before its deadline is read: liveness hangs on it. */
static void tell_session(struct client *c, mono_ms now)
{
    session_traffic(c->session, now, &c->traffic);
    client_settle(c, now);
}

/* --- inwards --- */

/* What has been opened goes to the TUN, and the batch is empty again. */
static void flush(struct gateway *g)
{
    struct gro *gro = &g->datapath->gro;
    struct gro_write w;

    while (gro_next(gro, &w)) {
        if (tun_write(g->tun, w.spans, w.count) != ERR_OK)
            g->drops.not_delivered += w.packets;
    }
    struct tun_offload offload = tun_offload(g->tun);
    gro_begin(gro, &(struct gro_options){offload.tcp, offload.udp, .any_id = true});
}

static void to_tun(struct gateway *g, const struct packet *p)
{
    if (gro_add(&g->datapath->gro, packet_bytes(p), p->len) == ERR_OK)
        return;
    flush(g);
    (void)!gro_add(&g->datapath->gro, packet_bytes(p), p->len);
}

static void deliver(struct gateway *g, struct run *run, mono_ms now)
{
    struct client *c = run->client;

    if (run->count == 0)
        return;
    tunnel_open(c->tunnel, run->packets, run->results, run->count);
    for (size_t i = 0; i < run->count; i++) {
        if (run->results[i].err != ERR_OK)
            continue; /* the tunnel counts why */
        /* RFC 7296 2.23: a client behind a translator is where its last good packet came from. */
        if (c->follows_packets && !path_equal(&c->path, run->paths[i]))
            client_move(c, run->paths[i]);
        to_tun(g, &run->packets[i]);
    }
    run->count = 0;
    run->client = NULL;
    uint64_t authentic = tunnel_counters(c->tunnel).authentic;
    if (authentic == c->authentic)
        return;
    c->authentic = authentic;
    c->traffic.last_in = now;
    c->traffic.out_was_last = false;
    tell_session(c, now);
}

static uint32_t esp_spi(struct span datagram)
{
    struct wire_reader r;

    wire_reader_init(&r, datagram);
    return wire_read_u32(&r);
}

static void esp_in(struct gateway *g, struct run *run, const struct udp_message *m,
                   struct span datagram, mono_ms now)
{
    uint32_t spi = esp_spi(datagram);
    struct client *c = client_by_spi(g, spi);

    if (c != run->client || run->count == OPENED)
        deliver(g, run, now);
    if (c == NULL) {
        gateway_stray_esp(g, &m->path, spi);
        return;
    }
    run->client = c;
    run->paths[run->count] = &m->path;
    run->packets[run->count++] = (struct packet){.data = m->data + (datagram.data - m->data),
                                                 .cap = datagram.len,
                                                 .len = datagram.len,
                                                 .tos = m->tos};
}

static void datagram_in(struct gateway_socket *s, struct run *run, const struct udp_message *m,
                        struct span datagram, mono_ms now)
{
    struct gateway *g = s->gateway;
    struct span message;

    switch (datagram_classify(udp_port(s->udp) != IKE_PORT, datagram, &message)) {
    case DATAGRAM_ESP:
        esp_in(g, run, m, datagram, now);
        break;
    case DATAGRAM_IKE:
        deliver(g, run, now); /* in order; and the message may end a session */
        clients_input(g, now, &m->path, message);
        break;
    case DATAGRAM_KEEPALIVE: /* its work was done in the translator */
        break;
    case DATAGRAM_BAD:
        gateway_drop(g, &g->drops.bad, &m->path, "neither IKE nor ESP");
        break;
    }
}

static void train_in(struct gateway_socket *s, struct run *run, const struct udp_message *m,
                     mono_ms now)
{
    struct span datagram;
    size_t at = 0;

    while (udp_next_datagram(m, &at, &datagram))
        datagram_in(s, run, m, datagram, now);
}

void datapath_from_socket(struct gateway_socket *s)
{
    struct gateway *g = s->gateway;
    struct datapath *d = g->datapath;
    mono_ms now = gateway_now(g);

    for (size_t batch = 0; batch < BATCHES_PER_WAKE; batch++) {
        size_t count = 0;

        for (size_t i = 0; i < RECEIVED; i++)
            d->received[i] = (struct udp_message){.data = d->buffers[i], .cap = BUFFER_LEN};
        if (udp_receive(s->udp, d->received, RECEIVED, &count) != ERR_OK)
            return;
        for (size_t i = 0; i < count; i++)
            train_in(s, &d->run, &d->received[i], now);
        deliver(g, &d->run, now);
        flush(g);
        if (count < RECEIVED)
            return;
    }
}

/* --- outwards --- */

/* Too long for the path is not lost: IP fragments it, as the TUN's MTU is for the usual path. */
static void send_all(struct gateway *g, struct udp_sender *sender, size_t count)
{
    const struct datapath *d = g->datapath;
    size_t at = 0;

    while (at < count) {
        size_t sent = 0;
        enum err err = udp_send(sender, d->messages + at, count - at, &sent);

        at += sent;
        if (err == ERR_LIMIT)
            err = udp_send_fragmentable(sender, &d->messages[at++]);
        if (err == ERR_OK)
            continue;
        for (; at < count; at++)
            g->drops.not_sent += d->outbound.trains[at].count;
    }
}

/* What has been sealed leaves, and the batch is empty again. */
static void transmit(struct gateway *g, mono_ms now)
{
    struct datapath *d = g->datapath;
    struct outbound *o = &d->outbound;
    struct client *c = d->receiver;
    size_t count = o->count;

    for (size_t i = 0; i < count; i++) {
        const struct outbound_train *t = &o->trains[i];

        d->messages[i] = (struct udp_message){
            .path = c->path, .data = t->data, .len = t->len, .segment = t->segment, .tos = t->tos};
    }
    if (count > 0 && c->socket != NULL)
        send_all(g, c->socket->sender, count);
    else
        g->drops.not_sent += o->packets;
    outbound_begin(o);
    if (count == 0)
        return;
    c->traffic.last_out = now;
    c->traffic.out_was_last = true;
    uint32_t spi_in;
    while (tunnel_expiring(c->tunnel, &spi_in))
        session_child_expiring(c->session, now, spi_in);
    tell_session(c, now);
}

/* Whose is this inner packet? */
static struct client *destination(const struct gateway *g, struct span packet)
{
    struct ip_header h;

    if (ip_header_parse(packet, &h) != ERR_OK)
        return NULL;
    return pool_holder(g->pool, &h.destination);
}

/* Of a TUN: what the kernel gave in one piece has one destination. */
static void frame_out(struct gateway *g, size_t len, mono_ms now)
{
    struct datapath *d = g->datapath;
    struct client *c = NULL;
    size_t dropped = 0;

    if (len > TUN_HEADER_LEN)
        c = destination(g, span_make(d->frame + TUN_HEADER_LEN, len - TUN_HEADER_LEN));
    if (c == NULL) {
        g->drops.no_client++;
        return;
    }
    if (c != d->receiver)
        transmit(g, now);
    d->receiver = c;
    enum err err = outbound_add(&d->outbound, c->tunnel, d->frame, len, &dropped);
    g->drops.not_sent += dropped;
    while (err == ERR_LIMIT) {
        transmit(g, now);
        err = outbound_resume(&d->outbound, c->tunnel, &dropped);
        g->drops.not_sent += dropped;
    }
    g->drops.not_sent += err != ERR_OK ? 1 : 0;
}

enum err datapath_from_tun(struct gateway *g)
{
    struct datapath *d = g->datapath;
    mono_ms now = gateway_now(g);
    enum err err = ERR_OK;

    outbound_begin(&d->outbound);
    for (size_t i = 0; err == ERR_OK && i < FRAMES * BATCHES_PER_WAKE; i++) {
        size_t len;

        err = tun_read(g->tun, d->frame, sizeof(d->frame), &len);
        if (err == ERR_OK)
            frame_out(g, len, now);
        if (i % FRAMES == FRAMES - 1)
            transmit(g, now);
    }
    transmit(g, now);
    return err == ERR_AGAIN ? ERR_OK : err;
}
