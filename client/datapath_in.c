/* UDP to TUN: trains that arrive are opened in place, and what belongs together is written in one
 * piece (GRO). IKE of the same batch is handed to control behind that: it may take away the SA of
 * what came before it. What cannot be delivered at once is dropped, as routers do. */
#include "client/datapath_internal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/packet/gro.h"
#include "platform/clock.h"

enum {
    RECEIVED = 16,    /* messages of a batch, each perhaps a train */
    OPENED = 128,     /* packets of it that are opened at once */
    IKE_KEPT = 64,    /* messages of it for control, until the packets are delivered */
    EARLY_MAX = 256,  /* packets that came before the message that brings their keys */
    EARLY_LEN = 2048, /* octets of one */
    EARLY_MS = 500,   /* how long they are worth keeping */

    /* Control is woken for IKE so often in that time; then it finds the rest at its next report.
     * Nobody means more than a few, but anybody can send thousands. */
    IKE_WAKES = 8,
    IKE_WAKES_MS = 100
};

_Static_assert((int)TUN_HEADER_LEN == VNET_HEADER_LEN && (int)TUN_SPANS_MAX >= 1 + GRO_SEGMENTS_MAX,
               "a write of gro's is one that tun_write takes");

/* An ESP packet with an SPI that is not known, yet. */
struct early {
    size_t len;  /* 0: none */
    uint8_t tos; /* of the outer header */
    int64_t at_ns;
    uint8_t bytes[EARLY_LEN];
};

/* Where it was received. */
struct ike_message {
    const struct path *path;
    struct span bytes;
};

struct datapath_in {
    struct datapath *d;
    atomic_bool retry;
    struct tally bad, ike_lost, not_taken;
    _Atomic int64_t last_ns;

    unsigned turn;   /* of the TUN that gro is for */
    unsigned ready;  /* a bit for each socket that may have more */
    unsigned broken; /* likewise, that cannot be read */
    int64_t now_ns;  /* of the batch, after it was received and before it is delivered */
    uint64_t authentic;

    struct early early[EARLY_MAX];
    size_t early_next; /* the oldest one's place */

    struct udp_message received[RECEIVED];
    struct packet packets[OPENED]; /* to be opened */
    size_t packet_count;
    struct tunnel_result results[OPENED];
    struct gro gro; /* opened, not yet written */
    struct ike_message ike[IKE_KEPT];
    size_t ike_count;
    unsigned ike_wakes;     /* since then */
    int64_t ike_wakes_from; /* in nanoseconds */

    /* Pages that no packet reached are never backed. */
    uint8_t buffers[RECEIVED][DATAPATH_BUFFER_LEN];
};

enum err datapath_in_new(struct datapath *d, struct datapath_in **ret)
{
    struct datapath_in *in = calloc(1, sizeof(*in));
    if (in == NULL)
        return ERR_MEMORY;
    in->d = d;
    for (size_t i = 0; i < RECEIVED; i++)
        in->received[i] = (struct udp_message){.data = in->buffers[i], .cap = DATAPATH_BUFFER_LEN};
    *ret = in;
    return ERR_OK;
}

void datapath_in_free(struct datapath_in *in)
{
    free(in);
}

void datapath_in_retry(struct datapath_in *in)
{
    atomic_store(&in->retry, true);
}

struct datapath_in_drops datapath_in_drops(const struct datapath_in *in)
{
    return (struct datapath_in_drops){.bad = tally_read(&in->bad),
                                      .ike = tally_read(&in->ike_lost),
                                      .not_taken = tally_read(&in->not_taken)};
}

int64_t datapath_in_last_ns(const struct datapath_in *in)
{
    return atomic_load(&in->last_ns);
}

/* --- what has been opened --- */

static void begin_gro(struct datapath_in *in, const struct carried *c)
{
    struct tun_offload offload = tun_offload(c->tun);
    gro_begin(&in->gro, &(struct gro_options){offload.tcp, offload.udp, .any_id = true});
}

/* What has been opened goes to the TUN, and the batch is empty again. */
static void flush(struct datapath_in *in, const struct carried *c)
{
    struct gro_write w;
    while (gro_next(&in->gro, &w)) {
        enum err e = tun_write(c->tun, w.spans, w.count);
        if (e != ERR_OK)
            tally_add(&in->not_taken, w.packets);
        if (e == ERR_UNSUPPORTED)
            datapath_tell_news(in->d, DATAPATH_NEWS_TUN_APART);
    }
    begin_gro(in, c);
}

static void to_tun(struct datapath_in *in, const struct carried *c, const struct packet *p)
{
    fit_inbound(&c->fit, packet_bytes(p), p->len);
    if (gro_add(&in->gro, packet_bytes(p), p->len) == ERR_OK)
        return;
    flush(in, c);
    (void)!gro_add(&in->gro, packet_bytes(p), p->len);
}

/* A gateway may use a new Child SA as soon as it has answered, and its ESP may overtake its answer,
 * or control be at it: such packets wait for the keys a moment. Anybody can send the like, so they
 * are few. */
static void keep_early(struct datapath_in *in, const struct packet *p)
{
    struct early *e = &in->early[in->early_next];
    if (p->len > EARLY_LEN)
        return;
    memcpy(e->bytes, packet_bytes(p), p->len);
    e->len = p->len;
    e->tos = p->tos;
    e->at_ns = in->now_ns;
    in->early_next = (in->early_next + 1) % EARLY_MAX;
}

static void open_early(struct datapath_in *in, const struct carried *c)
{
    for (size_t i = 0; i < EARLY_MAX; i++) {
        struct early *e = &in->early[(in->early_next + i) % EARLY_MAX];
        struct packet p = {.data = e->bytes, .cap = EARLY_LEN, .len = e->len, .tos = e->tos};
        struct tunnel_result result;
        if (e->len == 0 || in->now_ns - e->at_ns > EARLY_MS * NS_PER_MS)
            continue;
        tunnel_open(c->tunnel, &p, &result, 1);
        if (result.err == ERR_OK)
            to_tun(in, c, &p);
        if (result.spi != 0)
            e->len = 0; /* else its keys are still to come */
    }
}

/* Open the ESP packets that have come, and put what is good with what goes to the TUN. */
static void open_packets(struct datapath_in *in, const struct carried *c)
{
    size_t count = in->packet_count;
    in->packet_count = 0;
    if (count == 0 || c->tun == NULL)
        return;
    tunnel_open(c->tunnel, in->packets, in->results, count);
    for (size_t i = 0; i < count; i++) {
        const struct packet *p = &in->packets[i];
        if (in->results[i].err == ERR_OK)
            to_tun(in, c, p);
        else if (in->results[i].err == ERR_NOT_FOUND && in->results[i].spi == 0)
            keep_early(in, p);
        /* of the others the tunnel counts why */
    }
}

static void wake_for_ike(struct datapath_in *in)
{
    if (in->now_ns - in->ike_wakes_from >= IKE_WAKES_MS * NS_PER_MS) {
        in->ike_wakes_from = in->now_ns;
        in->ike_wakes = 0;
    }
    if (in->ike_wakes++ < IKE_WAKES)
        (void)uv_async_send(&in->d->async);
    else
        datapath_tell(in->d);
}

static void hand_over_ike(struct datapath_in *in)
{
    if (in->ike_count == 0)
        return;
    for (size_t i = 0; i < in->ike_count; i++) {
        const struct ike_message *m = &in->ike[i];
        const struct span parts[] = {span_make(m->path, sizeof(*m->path)), m->bytes};
        if (ring_put(&in->d->ike, parts, 2) != ERR_OK)
            tally_add(&in->ike_lost, 1);
    }
    in->ike_count = 0;
    wake_for_ike(in);
}

/* All that has come is on its way, and when it came is written down. */
static void deliver(struct datapath_in *in, const struct carried *c)
{
    open_packets(in, c);
    if (c->tun != NULL) {
        uint64_t authentic = tunnel_counters(c->tunnel).authentic;
        if (authentic != in->authentic)
            atomic_store(&in->last_ns, in->now_ns);
        in->authentic = authentic;
        flush(in, c);
    }
    hand_over_ike(in);
}

/* --- what comes --- */

/* Only the gateway speaks IKE on a port other than 500 with us, and it marks it. */
static void sort(struct datapath_in *in, const struct carried *c, const struct udp_message *m,
                 struct span datagram)
{
    struct span message;
    size_t at = (size_t)(datagram.data - m->data);
    switch (datagram_classify(m->path.remote.port != IKE_PORT, datagram, &message)) {
    case DATAGRAM_ESP:
        if (in->packet_count == OPENED)
            open_packets(in, c);
        in->packets[in->packet_count++] = (struct packet){
            .data = m->data + at, .cap = datagram.len, .len = datagram.len, .tos = m->tos};
        break;
    case DATAGRAM_IKE:
        if (in->ike_count == IKE_KEPT)
            deliver(in, c);
        in->ike[in->ike_count++] = (struct ike_message){&m->path, message};
        break;
    case DATAGRAM_KEEPALIVE:
        break;
    case DATAGRAM_BAD:
        tally_add(&in->bad, 1);
        break;
    }
}

/* True where there may be more. */
static bool receive_batch(struct datapath_in *in, const struct carried *c, size_t which)
{
    size_t count;
    enum err e = udp_receive(in->d->udp[which], in->received, RECEIVED, &count);
    if (e != ERR_OK && e != ERR_AGAIN) {
        in->broken |= 1u << which;
        datapath_tell_news(in->d, DATAPATH_NEWS_SOCKET_LOST);
    }
    if (e != ERR_OK)
        return false;
    in->now_ns = clock_now_ns();
    for (size_t i = 0; i < count; i++) {
        struct span datagram;
        size_t at = 0;
        while (udp_next_datagram(&in->received[i], &at, &datagram))
            sort(in, c, &in->received[i], datagram);
    }
    deliver(in, c);
    datapath_tell(in->d);
    return count == RECEIVED;
}

/* For a datagram, or to be woken: then also sockets that were broken are tried again. */
static unsigned wait(struct datapath_in *in)
{
    struct waker *waker = in->d->wakers[DATAPATH_IN];
    struct pollfd fds[1 + DATAPATH_FAMILIES] = {{.fd = waker_fd(waker), .events = POLLIN}};
    unsigned ready = 0;
    for (size_t i = 0; i < DATAPATH_FAMILIES; i++) {
        bool whole = in->d->udp[i] != NULL && (in->broken & 1u << i) == 0;
        fds[1 + i] = (struct pollfd){.fd = whole ? udp_fd(in->d->udp[i]) : -1, .events = POLLIN};
    }
    if (poll(fds, 1 + DATAPATH_FAMILIES, -1) < 0)
        return 0;
    if (fds[0].revents != 0) {
        waker_clear(waker);
        in->broken = 0;
    }
    for (size_t i = 0; i < DATAPATH_FAMILIES; i++)
        ready |= fds[1 + i].revents != 0 ? 1u << i : 0;
    return ready;
}

static void work(struct datapath_in *in, const struct carried *c)
{
    if (c->tun != NULL && c->turn != in->turn) {
        in->turn = c->turn;
        begin_gro(in, c);
    }
    if (c->tun != NULL && atomic_exchange(&in->retry, false)) {
        in->now_ns = clock_now_ns();
        open_early(in, c);
        deliver(in, c);
        datapath_tell(in->d);
    }
    for (size_t i = 0; i < DATAPATH_FAMILIES; i++) {
        if ((in->ready & 1u << i) != 0 && !receive_batch(in, c, i))
            in->ready &= ~(1u << i);
    }
}

void datapath_in_run(void *datapath)
{
    struct datapath *d = datapath;
    struct datapath_in *in = d->in;
    const struct carried *c;
    while (c = datapath_enter(d, DATAPATH_IN), !c->over) {
        work(in, c);
        if (in->ready == 0)
            in->ready = wait(in);
        datapath_leave(d, DATAPATH_IN);
    }
    datapath_leave(d, DATAPATH_IN);
}
