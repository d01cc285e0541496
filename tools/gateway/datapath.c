/* Packets in batches: from a socket through the tunnel of their client to the TUN, and back. A run
 * of packets of one client is opened or sealed at once. No heap and no clock call per packet.
 *
 * Buffers are reused from batch to batch; nothing in them outlives the call. What cannot be
 * delivered at once is dropped and counted, as a router does. */
#include "tools/gateway/state.h"

#include <stdlib.h>

#include "common/base/log.h"

enum {
    BATCH = UDP_BATCH_MAX,
    BATCHES_PER_WAKE = 16, /* then the loop looks at the others */
    INNER_MAX = 65535,
    BUFFER_LEN = ESP_HEADROOM + INNER_MAX + ESP_TAILROOM
};

/* Consecutive packets of one client. */
struct run {
    struct client *client; /* NULL: empty */
    size_t count;
    struct packet packets[BATCH];
    struct tunnel_result results[BATCH];
    const struct path *paths[BATCH]; /* inbound: where each came from */
};

struct datapath {
    struct udp_message messages[BATCH];
    struct run run;
    uint8_t buffers[BATCH][BUFFER_LEN]; /* pages that no packet reached are never backed */
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

static void deliver(struct gateway *g, struct run *run, mono_ms now)
{
    struct client *c = run->client;

    if (run->count == 0)
        return;
    tunnel_open(c->tunnel, run->packets, run->results, run->count);
    for (size_t i = 0; i < run->count; i++) {
        const struct packet *p = &run->packets[i];

        if (run->results[i].err != ERR_OK)
            continue; /* the tunnel counts why */
        /* RFC 7296 2.23: a client behind a translator is where its last good packet came from. */
        if (c->follows_packets && !path_equal(&c->path, run->paths[i]))
            client_move(c, run->paths[i]);
        if (tun_write(g->tun, span_make(packet_bytes(p), p->len)) != ERR_OK)
            g->drops.not_delivered++;
    }
    run->count = 0;
    run->client = NULL;
    const struct tunnel_counters *counters = tunnel_counters(c->tunnel);
    if (counters->authentic == c->authentic)
        return;
    c->authentic = counters->authentic;
    c->traffic.last_in = now;
    c->traffic.out_was_last = false;
    tell_session(c, now);
}

static uint32_t esp_spi(const struct udp_message *m)
{
    struct wire_reader r;

    wire_reader_init(&r, span_make(m->data, m->len));
    return wire_read_u32(&r);
}

static void esp_in(struct gateway *g, struct run *run, struct udp_message *m, mono_ms now)
{
    struct client *c = client_by_spi(g, esp_spi(m));

    if (c != run->client)
        deliver(g, run, now);
    if (c == NULL) {
        gateway_stray_esp(g, &m->path, esp_spi(m));
        return;
    }
    run->client = c;
    run->paths[run->count] = &m->path;
    run->packets[run->count++] =
        (struct packet){.data = m->data, .cap = m->cap, .len = m->len, .ecn = ecn_of(m->tos)};
}

static void datagram_in(struct gateway_socket *s, struct run *run, struct udp_message *m,
                        mono_ms now)
{
    struct gateway *g = s->gateway;
    struct span message;

    switch (datagram_classify(udp_port(s->udp) != IKE_PORT, span_make(m->data, m->len), &message)) {
    case DATAGRAM_ESP:
        esp_in(g, run, m, now);
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

void datapath_from_socket(struct gateway_socket *s)
{
    struct gateway *g = s->gateway;
    struct datapath *d = g->datapath;
    mono_ms now = gateway_now(g);

    for (size_t batch = 0; batch < BATCHES_PER_WAKE; batch++) {
        size_t count = 0;

        for (size_t i = 0; i < BATCH; i++)
            d->messages[i] = (struct udp_message){.data = d->buffers[i], .cap = BUFFER_LEN};
        if (udp_receive(s->udp, d->messages, BATCH, &count) != ERR_OK)
            return;
        for (size_t i = 0; i < count; i++)
            datagram_in(s, &d->run, &d->messages[i], now);
        deliver(g, &d->run, now);
        if (count < BATCH)
            return;
    }
}

/* --- outwards --- */

/* Too long for the path is not lost: IP fragments it, as the TUN's MTU is for the usual path. */
static void send_all(struct gateway *g, struct udp *udp, const struct udp_message *m, size_t count)
{
    size_t at = 0;

    while (at < count) {
        size_t sent = 0;
        enum err err = udp_send(udp, m + at, count - at, &sent);

        at += sent;
        if (err == ERR_OK)
            return;
        if (err != ERR_LIMIT || at >= count) {
            g->drops.not_sent += count - at;
            return;
        }
        if (udp_send_fragmentable(udp, &m[at]) != ERR_OK)
            g->drops.not_sent++;
        at++;
    }
}

static void transmit(struct gateway *g, struct run *run, mono_ms now)
{
    struct udp_message *messages = g->datapath->messages;
    struct client *c = run->client;
    size_t count = 0;

    if (run->count == 0)
        return;
    tunnel_seal(c->tunnel, run->packets, run->results, run->count);
    for (size_t i = 0; i < run->count; i++) {
        struct packet *p = &run->packets[i];

        if (run->results[i].err == ERR_OK)
            messages[count++] = (struct udp_message){
                .path = c->path, .data = packet_bytes(p), .len = p->len, .tos = (uint8_t)p->ecn};
    }
    g->drops.not_sent += run->count - count;
    run->count = 0;
    run->client = NULL;
    if (count == 0)
        return;
    if (c->socket != NULL)
        send_all(g, c->socket->udp, messages, count);
    else
        g->drops.not_sent += count;
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

/* One batch; *ret_more tells whether the TUN may hold more. */
static enum err tun_batch(struct gateway *g, mono_ms now, bool *ret_more)
{
    struct datapath *d = g->datapath;
    struct run *run = &d->run;
    enum err err = ERR_OK;

    for (size_t i = 0; i < BATCH && err == ERR_OK; i++) {
        uint8_t *buffer = d->buffers[i];
        size_t len = 0;

        err = tun_read(g->tun, buffer + ESP_HEADROOM, INNER_MAX, &len);
        if (err != ERR_OK)
            break;
        struct client *c = destination(g, span_make(buffer + ESP_HEADROOM, len));
        if (c == NULL) {
            g->drops.no_client++;
            continue;
        }
        if (c != run->client)
            transmit(g, run, now);
        run->client = c;
        run->packets[run->count++] =
            (struct packet){.data = buffer, .cap = BUFFER_LEN, .start = ESP_HEADROOM, .len = len};
    }
    transmit(g, run, now);
    *ret_more = err == ERR_OK;
    return err == ERR_AGAIN ? ERR_OK : err;
}

enum err datapath_from_tun(struct gateway *g)
{
    mono_ms now = gateway_now(g);
    bool more = true;

    for (size_t batch = 0; batch < BATCHES_PER_WAKE && more; batch++) {
        enum err err = tun_batch(g, now, &more);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}
