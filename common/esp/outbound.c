/* Invariant: the datagrams of a train lie one behind the other. Where the inner packet has to begin
 * for that depends on the SA, which is not known before it is sealed; so it begins where the last
 * one's did, and where that turns out to be too little room, the train ends. */
#include "common/esp/outbound.h"

void outbound_begin(struct outbound *o)
{
    o->count = o->packets = o->used = 0;
    if (o->front == 0)
        o->front = ESP_HEADROOM;
}

static bool fits(const struct outbound_train *t, const struct packet *p)
{
    return t->count < OUTBOUND_DATAGRAMS_MAX && t->len + p->len <= OUTBOUND_TRAIN_LEN_MAX &&
           t->len == t->count * t->segment && /* a shorter one was the last */
           p->len <= t->segment && t->ecn == p->ecn && t->data + t->len == packet_bytes(p);
}

static void append(struct outbound *o, const struct packet *p)
{
    struct outbound_train *t = o->count > 0 ? &o->trains[o->count - 1] : NULL;
    if (t == NULL || !fits(t, p)) {
        t = &o->trains[o->count++];
        *t = (struct outbound_train){.data = packet_bytes(p), .segment = p->len, .ecn = p->ecn};
    }
    t->len += p->len;
    t->count++;
    o->packets++;
    o->used = (size_t)(packet_bytes(p) - o->bytes) + p->len;
}

/* Into the place behind the last one. */
static enum err seal(struct outbound *o, struct tunnel *t, const struct gso_segment *s)
{
    struct packet p = {
        .data = o->bytes + o->used, .cap = OUTBOUND_LEN - o->used, .start = o->front};
    struct tunnel_result result;
    if (gso_copy(s, &p) != ERR_OK)
        return ERR_LIMIT;
    tunnel_seal(t, &p, &result, 1);
    if (result.err != ERR_OK)
        return result.err;
    o->front -= p.start; /* 0 where it was as expected */
    append(o, &p);
    return ERR_OK;
}

static enum err seal_segments(struct outbound *o, struct tunnel *t, size_t *ret_dropped)
{
    struct gso_segment s;
    *ret_dropped = 0;
    while (gso_left(&o->gso) > 0) {
        size_t needs = ESP_HEADROOM + gso_packet_max(&o->gso) + ESP_TAILROOM;
        if (o->count == OUTBOUND_TRAINS_MAX || OUTBOUND_LEN - o->used < needs)
            return ERR_LIMIT;
        if (!gso_next(&o->gso, &s))
            break;
        enum err e = seal(o, t, &s);
        if (e == ERR_LIMIT && o->front < ESP_HEADROOM) { /* an SA that needs more in front */
            o->front = ESP_HEADROOM;
            e = seal(o, t, &s);
        }
        *ret_dropped += e != ERR_OK ? 1 : 0;
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
