/* Invariant: the datagrams of a train lie one behind the other. So each is sealed to where the last
 * one ended, from where the kernel put it: the cipher is what moves a payload. A frame's packets
 * differ in nothing that policy looks at, so one look serves all of them; it is taken anew where a
 * frame goes on in another batch. */
#include "common/esp/outbound.h"

void outbound_begin(struct outbound *o)
{
    o->count = o->packets = o->used = 0;
}

static bool fits(const struct outbound_train *t, const struct packet *p)
{
    return t->count < OUTBOUND_DATAGRAMS_MAX && t->len + p->len <= OUTBOUND_TRAIN_LEN_MAX &&
           t->len == t->count * t->segment && /* a shorter one was the last */
           p->len <= t->segment && t->tos == p->tos;
}

static void append(struct outbound *o, const struct packet *p)
{
    struct outbound_train *t = o->count > 0 ? &o->trains[o->count - 1] : NULL;
    if (t == NULL || !fits(t, p)) {
        t = &o->trains[o->count++];
        *t = (struct outbound_train){.data = packet_bytes(p), .segment = p->len, .tos = p->tos};
    }
    t->len += p->len;
    t->count++;
    o->packets++;
    o->used += p->len;
}

static enum err seal_segments(struct outbound *o, struct tunnel *t, size_t *ret_dropped)
{
    struct gso_segment s;
    struct tunnel_route route;
    bool routed = false;
    *ret_dropped = 0;
    while (gso_left(&o->gso) > 0) {
        size_t needs = ESP_HEADROOM + gso_packet_max(&o->gso) + ESP_TAILROOM;
        if (o->count == OUTBOUND_TRAINS_MAX || OUTBOUND_LEN - o->used < needs)
            return ERR_LIMIT;
        if (!gso_next(&o->gso, &s))
            break;
        struct span inner = gso_join(&o->gso, &s);
        if (!routed)
            route = tunnel_route(t, inner);
        routed = true;
        struct packet p = {
            .data = o->bytes + o->used, .cap = OUTBOUND_LEN - o->used, .start = route.front};
        if (tunnel_seal(t, &route, inner, &p) == ERR_OK)
            append(o, &p);
        else
            ++*ret_dropped;
    }
    return ERR_OK;
}

enum err outbound_resume(struct outbound *o, struct tunnel *t, size_t *ret_dropped)
{
    tunnel_seal_begin(t);
    enum err e = seal_segments(o, t, ret_dropped);
    tunnel_seal_end(t);
    return e;
}

enum err outbound_add(struct outbound *o, struct tunnel *t, uint8_t *frame, size_t len,
                      size_t *ret_dropped)
{
    struct vnet_header v;
    *ret_dropped = 0;
    enum err e = vnet_parse(span_make(frame, len), &v);
    if (e == ERR_OK)
        e = gso_begin(&o->gso, &v, frame + VNET_HEADER_LEN, len - VNET_HEADER_LEN);
    if (e == ERR_LIMIT)
        e = ERR_MALFORMED; /* here it says something else */
    return e == ERR_OK ? outbound_resume(o, t, ret_dropped) : e;
}
