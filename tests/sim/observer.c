/* Listens to everything that ends of ours put on the wire, and to what is handed to them: numbers,
 * repetition, and that nothing of the inside is readable outside. What travels is matched by
 * content, so nothing here trusts what an end says of itself. */
#include "tests/sim/sim.h"

#include <inttypes.h>

enum { SKF_HEAD = IKE_HEADER_LEN + 4 };

/* --- maps --- */

uint64_t print_of(struct span s)
{
    uint64_t h = 0x243f6a8885a308d3u ^ s.len;
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        uint64_t v;
        memcpy(&v, s.data + i, 8);
        h = (h ^ v) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    for (; i < s.len; i++)
        h = (h ^ s.data[i]) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    h ^= h >> 32;
    return h != 0 ? h : 1;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    const uint64_t both[] = {a, b};
    return print_of(span_make(both, sizeof(both)));
}

static uint64_t *slot_of(const struct map *m, uint64_t key)
{
    size_t i = (size_t)(key * 0x9e3779b97f4a7c15u >> 20) & (m->cap - 1);
    while (m->slots[2 * i] != 0 && m->slots[2 * i] != key)
        i = (i + 1) & (m->cap - 1);
    return &m->slots[2 * i];
}

uint64_t map_get(const struct map *m, uint64_t key)
{
    if (m->cap == 0)
        return 0;
    const uint64_t *slot = slot_of(m, key);
    return slot[0] == key ? slot[1] : 0;
}

void map_set(struct map *m, uint64_t key, uint64_t value)
{
    if (4 * (m->count + 1) > 3 * m->cap) {
        struct map bigger = {.cap = m->cap == 0 ? 64 : 2 * m->cap};
        bigger.slots = sim_alloc(2 * bigger.cap * sizeof(uint64_t));
        for (size_t i = 0; i < m->cap; i++) {
            if (m->slots[2 * i] != 0)
                map_set(&bigger, m->slots[2 * i], m->slots[2 * i + 1]);
        }
        sim_free(m->slots);
        *m = bigger;
    }
    uint64_t *slot = slot_of(m, key);
    if (slot[0] == 0)
        m->count++;
    slot[0] = key;
    slot[1] = value;
}

void map_free(struct map *m)
{
    sim_free(m->slots);
    *m = (struct map){0};
}

void observer_free(struct observer *o)
{
    map_free(&o->messages);
    map_free(&o->requests);
    map_free(&o->received);
    map_free(&o->sequences);
    map_free(&o->delivered);
}

/* --- IKE --- */

static bool is_protected(const struct ike_header *h)
{
    return h->next_payload == PAYLOAD_SK || h->next_payload == PAYLOAD_SKF;
}

/* One side of one IKE SA; `by_initiator`: the side that began it. */
static uint64_t side_key(const struct ike_header *h, bool by_initiator)
{
    return mix(mix(h->spi_i, h->spi_r), by_initiator ? 1 : 2);
}

static uint64_t message_key(const struct ike_header *h, struct span message)
{
    uint64_t fragment = 0;
    if (h->next_payload == PAYLOAD_SKF && message.len >= SKF_HEAD + 4)
        memcpy(&fragment, message.data + SKF_HEAD, 4);
    return mix(side_key(h, (h->flags & IKE_FLAG_INITIATOR) != 0),
               mix((uint64_t)h->message_id << 8 | h->flags, fragment));
}

/* RFC 7296 2.3: the next request only once the last one has its answer. Value: number + 1, and
 * whether it was answered. */
static void request_sent(struct end *from, const struct ike_header *h)
{
    struct world *w = from->world;
    char name[24];
    uint64_t key = side_key(h, (h->flags & IKE_FLAG_INITIATOR) != 0);
    uint64_t last = map_get(&w->observer.requests, key);
    uint64_t next = ((uint64_t)h->message_id + 1) << 1;
    if (last != 0 && next >> 1 == last >> 1)
        return; /* again */
    if (last != 0 && next >> 1 != (last >> 1) + 1)
        violate(w, "message-id", "%s: request %" PRIu32 " after request %" PRIu64,
                end_name(from, name), h->message_id, (last >> 1) - 1);
    else if (last != 0 && (last & 1) == 0)
        violate(w, "window", "%s: request %" PRIu32 " while the last one is not answered",
                end_name(from, name), h->message_id);
    else if (last == 0 && h->message_id > 1)
        violate(w, "message-id", "%s: the first request is %" PRIu32, end_name(from, name),
                h->message_id);
    map_set(&w->observer.requests, key, next);
}

static void ike_sent(struct end *from, struct span message)
{
    struct world *w = from->world;
    char name[24];
    struct ike_header h;
    if (ike_header_parse(message, &h) != ERR_OK) {
        violate(w, "malformed", "%s sends what is no IKE message", end_name(from, name));
        return;
    }
    bool response = (h.flags & IKE_FLAG_RESPONSE) != 0;
    if (h.exchange != EXCHANGE_IKE_SA_INIT && !is_protected(&h))
        violate(w, "unprotected", "%s sends %s in the clear", end_name(from, name),
                exchange_name(h.exchange));
    if (h.exchange == EXCHANGE_IKE_SA_INIT && (!response || h.spi_r == 0))
        return; /* begins anew with the same numbers for a COOKIE and another group */
    uint64_t key = message_key(&h, message), print = print_of(message);
    uint64_t before = map_get(&w->observer.messages, key);
    if (before == 0 && from->down && !memory_failed())
        violate(w, "after-down", "%s sends something new after DOWN", end_name(from, name));
    if (before != 0 && before != print)
        violate(w, "retransmission", "%s: %s %" PRIu32 " is sent again with other octets",
                end_name(from, name), response ? "response" : "request", h.message_id);
    map_set(&w->observer.messages, key, print);
    if (!response)
        request_sent(from, &h);
    else if (h.exchange != EXCHANGE_IKE_SA_INIT &&
             map_get(&w->observer.received,
                     mix(side_key(&h, (h.flags & IKE_FLAG_INITIATOR) == 0), h.message_id)) == 0)
        violate(w, "unasked-response", "%s answers request %" PRIu32 ", which it never had",
                end_name(from, name), h.message_id);
}

bool observe_delivered(struct end *to, const struct ike_header *h, struct span message,
                       bool genuine)
{
    struct observer *o = &to->world->observer;
    bool by_initiator = (h->flags & IKE_FLAG_INITIATOR) != 0;
    if (!session_owns(to->session, h, message))
        return false;
    if (genuine && h->exchange == EXCHANGE_IKE_AUTH)
        to->authenticated = true;
    if ((h->flags & IKE_FLAG_RESPONSE) != 0) {
        uint64_t key = side_key(h, !by_initiator);
        uint64_t last = map_get(&o->requests, key);
        if (last != 0 && last >> 1 == (uint64_t)h->message_id + 1)
            map_set(&o->requests, key, last | 1);
    } else {
        map_set(&o->received, mix(side_key(h, by_initiator), h->message_id), 1);
    }
    uint64_t key = mix(print_of(message), to->serial);
    uint64_t before = map_get(&o->delivered, key);
    struct session_status status;
    session_status(to->session, &status);
    bool established = to->up && status.spi_i == h->spi_i && status.spi_r == h->spi_r;
    if (before == 0)
        map_set(&o->delivered, key, established ? 2 : 1);
    return before == 2;
}

/* --- ESP --- */

static void esp_sent(struct end *from, struct span packet)
{
    struct world *w = from->world;
    char name[24];
    struct wire_reader r;
    wire_reader_init(&r, packet);
    uint32_t spi = wire_read_u32(&r), sequence = wire_read_u32(&r);
    bool known = false;
    for (size_t i = 0; i < from->child_count; i++)
        known = known || (from->children[i].spi_out == spi && !from->children[i].drained);
    if (r.failed || !known) {
        violate(w, "unknown-sa", "%s sends ESP with SPI %08" PRIx32 ", which it does not have",
                end_name(from, name), spi);
        return;
    }
    uint64_t key = mix(from->serial, spi);
    if (sequence <= map_get(&w->observer.sequences, key))
        violate(w, "esp-sequence", "%s: ESP sequence number %" PRIu32 " again",
                end_name(from, name), sequence);
    map_set(&w->observer.sequences, key, sequence);
}

void observe_sent(struct end *from, struct span payload, bool marker)
{
    char name[24];
    for (size_t i = 0; i + CANARY_LEN <= payload.len; i++) {
        if (payload.data[i] == traffic_canary[0] &&
            memcmp(payload.data + i, traffic_canary, CANARY_LEN) == 0)
            violate(from->world, "plaintext", "%s sends an inner packet that anybody can read",
                    end_name(from, name));
    }
    struct span message;
    switch (datagram_classify(marker, payload, &message)) {
    case DATAGRAM_IKE:
        ike_sent(from, message);
        break;
    case DATAGRAM_ESP:
        esp_sent(from, payload);
        break;
    case DATAGRAM_KEEPALIVE:
        break;
    case DATAGRAM_BAD:
        violate(from->world, "malformed", "%s sends neither IKE nor ESP", end_name(from, name));
        break;
    }
}
