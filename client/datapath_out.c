/* TUN to UDP: what the kernel gives in one piece is cut (GSO), sealed where it leaves from, and
 * leaves in trains. What cannot be sent at once is dropped, as routers do. */
#include "client/datapath_internal.h"

#include <poll.h>
#include <stdlib.h>

#include "common/esp/outbound.h"
#include "platform/clock.h"

enum { FRAMES = 64 /* of a batch */ };

_Static_assert((int)OUTBOUND_DATAGRAMS_MAX <= UDP_TRAIN_MAX &&
                   (int)OUTBOUND_TRAIN_LEN_MAX <= UDP_TRAIN_LEN_MAX,
               "a train of outbound's is one that udp_send takes");

struct datapath_out {
    struct datapath *d;
    struct datapath_senders senders;
    unsigned lost_turn; /* of the TUN that cannot be read; 0: none */
    bool sent;          /* something of this batch */
    struct tally not_sent, not_taken;
    _Atomic int64_t first_ns, last_ns;
    struct outbound outbound;
    struct udp_message messages[OUTBOUND_TRAINS_MAX];
    uint8_t frame[TUN_FRAME_MAX];
};

enum err datapath_out_new(struct datapath *d, struct datapath_out **ret)
{
    struct datapath_out *o = calloc(1, sizeof(*o));
    enum err e = o != NULL ? datapath_senders_new(d, &o->senders) : ERR_MEMORY;
    if (e != ERR_OK) {
        datapath_out_free(o);
        return e;
    }
    o->d = d;
    *ret = o;
    return ERR_OK;
}

void datapath_out_free(struct datapath_out *o)
{
    if (o == NULL)
        return;
    datapath_senders_free(&o->senders);
    free(o);
}

uint64_t datapath_out_not_sent(const struct datapath_out *o)
{
    return tally_read(&o->not_sent);
}

uint64_t datapath_out_not_taken(const struct datapath_out *o)
{
    return tally_read(&o->not_taken);
}

int64_t datapath_out_last_ns(const struct datapath_out *o)
{
    return atomic_load(&o->last_ns);
}

int64_t datapath_out_first_ns(const struct datapath_out *o)
{
    return atomic_load(&o->first_ns);
}

uint64_t datapath_out_too_long(const struct datapath_out *o)
{
    return datapath_senders_too_long(&o->senders);
}

/* The kernel does not know all that the path has taught us (platform/path_mtu.h). */
static bool too_long(const struct carried *c, const struct udp_message *m)
{
    return c->datagram_max != 0 && m->segment > c->datagram_max;
}

/* A datagram too large for its path: let IP fragment it rather than lose it. */
static void send_all(struct datapath_out *o, const struct carried *c, struct udp_sender *sender,
                     size_t count)
{
    size_t at = 0;
    while (at < count) {
        size_t sent, n = 0;
        while (at + n < count && !too_long(c, &o->messages[at + n]))
            n++;
        enum err e = n > 0 ? udp_send(sender, o->messages + at, n, &sent) : ERR_LIMIT;
        at += n > 0 ? sent : 0;
        if (e == ERR_OK)
            continue;
        if (e == ERR_LIMIT)
            e = udp_send_fragmentable(sender, &o->messages[at]);
        if (e == ERR_AGAIN) { /* the socket is full */
            for (; at < count; at++)
                tally_add(&o->not_sent, o->outbound.trains[at].count);
            break;
        }
        if (e != ERR_OK)
            tally_add(&o->not_sent, o->outbound.trains[at].count);
        at++;
    }
}

/* What has been sealed leaves, and the batch is empty again. The time is that between reading and
 * sending: after all that these packets can have been an answer to, before every answer to them. */
static void send_outbound(struct datapath_out *o, const struct carried *c)
{
    struct outbound *out = &o->outbound;
    struct udp_sender *sender = o->senders.of[datapath_index(c->path.remote.ip.family)];
    if (out->count == 0)
        return;
    for (size_t i = 0; i < out->count; i++) {
        const struct outbound_train *t = &out->trains[i];
        o->messages[i] = (struct udp_message){
            .path = c->path, .data = t->data, .len = t->len, .segment = t->segment, .tos = t->tos};
    }
    int64_t now_ns = clock_now_ns();
    if (atomic_load(&o->first_ns) <= datapath_in_last_ns(o->d->in))
        atomic_store(&o->first_ns, now_ns);
    atomic_store(&o->last_ns, now_ns);
    o->sent = true;
    if (sender != NULL)
        send_all(o, c, sender, out->count);
    else
        tally_add(&o->not_sent, out->packets);
    outbound_begin(out);
}

/* The sender of what does not fit hears of it; true: it fits. (Nothing is left to do to an answer,
 * so that it does not matter that the other thread writes as well.) */
static bool fits(struct datapath_out *o, const struct carried *c, size_t len)
{
    uint8_t answer[FIT_ANSWER_MAX];
    size_t answer_len;
    if (fit_outbound(&c->fit, o->frame, len, answer, &answer_len))
        return true;
    const struct span span = span_make(answer, answer_len);
    if (tun_write(c->tun, &span, 1) != ERR_OK)
        tally_add(&o->not_taken, 1);
    return false;
}

/* One frame, perhaps many packets. What cannot be sealed the tunnel counts. */
static void seal_frame(struct datapath_out *o, const struct carried *c, size_t len)
{
    size_t dropped;
    if (!fits(o, c, len))
        return;
    enum err e = outbound_add(&o->outbound, c->tunnel, o->frame, len, &dropped);
    while (e == ERR_LIMIT) {
        send_outbound(o, c);
        e = outbound_resume(&o->outbound, c->tunnel, &dropped);
    }
    if (e != ERR_OK)
        tally_add(&o->not_sent, 1);
}

static bool readable(const struct datapath_out *o, const struct carried *c)
{
    return c->tun != NULL && !c->held && c->turn != o->lost_turn;
}

static void lose(struct datapath_out *o, const struct carried *c)
{
    o->lost_turn = c->turn;
    atomic_store(&o->d->lost_turn, c->turn);
    datapath_tell_news(o->d, DATAPATH_NEWS_TUN_LOST);
}

/* True where there may be more. */
static bool carry_batch(struct datapath_out *o, const struct carried *c)
{
    enum err e = readable(o, c) ? ERR_OK : ERR_AGAIN;
    size_t len;
    outbound_begin(&o->outbound);
    o->sent = false;
    for (size_t i = 0; e == ERR_OK && i < FRAMES; i++) {
        e = tun_read(c->tun, o->frame, sizeof(o->frame), &len);
        if (e == ERR_OK)
            seal_frame(o, c, len);
    }
    send_outbound(o, c);
    if (o->sent)
        datapath_tell(o->d);
    if (o->sent && tunnel_may_expire(c->tunnel))
        datapath_tell_news(o->d, DATAPATH_NEWS_EXPIRING);
    if (e != ERR_OK && e != ERR_AGAIN)
        lose(o, c);
    return e == ERR_OK;
}

/* For a packet, or to be woken. True where there is a packet. */
static bool wait(struct datapath_out *o, const struct carried *c)
{
    struct waker *waker = o->d->wakers[DATAPATH_OUT];
    struct pollfd fds[2] = {{.fd = waker_fd(waker), .events = POLLIN}, {.fd = -1}};
    if (readable(o, c))
        fds[1] = (struct pollfd){.fd = tun_fd(c->tun), .events = POLLIN};
    if (poll(fds, 2, -1) < 0)
        return false;
    if (fds[0].revents != 0)
        waker_clear(waker);
    if ((fds[1].revents & (POLLERR | POLLNVAL)) != 0)
        lose(o, c);
    return fds[1].revents == POLLIN;
}

/* Inside anew after each sleep: what came then is not sent by what was true before. */
void datapath_out_run(void *datapath)
{
    struct datapath *d = datapath;
    struct datapath_out *o = d->out;
    const struct carried *c;
    bool ready = false;
    while (c = datapath_enter(d, DATAPATH_OUT), !c->over) {
        ready = ready ? carry_batch(o, c) : wait(o, c);
        datapath_leave(d, DATAPATH_OUT);
    }
    datapath_leave(d, DATAPATH_OUT);
}
