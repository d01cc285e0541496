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
    map_free(&o->held);
    map_free(&o->highest);
    map_free(&o->lies);
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

/* --- MOBIKE --- */

static uint64_t lie_key(const struct ike_header *h)
{
    return mix(mix(h->spi_i, h->spi_r), h->message_id + (uint64_t)1);
}

void observe_lie(struct world *w, const struct ike_header *request)
{
    transcript_note(w, "gateway", "lies about COOKIE2");
    map_set(&w->observer.lies, lie_key(request), 1);
}

bool observe_lied(const struct world *w, const struct ike_header *response)
{
    return (response->flags & IKE_FLAG_RESPONSE) != 0 &&
           map_get(&w->observer.lies, lie_key(response)) != 0;
}

bool message_is_update(struct span message)
{
    struct payload_list l;
    struct notify_payload n;
    struct span inner;
    uint8_t first, bad;
    uint8_t *copy = sim_alloc(message.len);
    memcpy(copy, message.data, message.len);
    bool found = !memory_open(copy, message.len, &first, &inner) ||
                 (payload_list_parse(first, inner, &l, &bad) == ERR_OK &&
                  notify_find(&l, NOTIFY_UPDATE_SA_ADDRESSES, &n));
    sim_free(copy);
    return found;
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

void observe_child(struct end *e, const struct end_child *c)
{
    map_set(&e->world->observer.held, mix(c->spi_in, c->key_in), 1);
}

/* Can the peer open what leaves by it? What came in no other one's place may be sent by at once:
 * there is nothing else. */
static bool peer_has(const struct end *from, const struct end_child *c)
{
    return !c->succeeds || map_get(&from->world->observer.held, mix(c->spi_out, c->key_out)) != 0;
}

/* RFC 7296 2.8: who answered a rekeying goes on with the old keys until the other one has the new.
 * Where no old ones are left, there is no choice. */
static bool too_early(const struct end *from, const struct end_child *c)
{
    if (peer_has(from, c))
        return false;
    for (size_t i = 0; i < from->child_count; i++) {
        const struct end_child *other = &from->children[i];
        if (other != c && !other->drained && peer_has(from, other))
            return true;
    }
    return false;
}

void observe_sealed(struct end *from, uint32_t spi_out, size_t inner_len)
{
    struct world *w = from->world;
    const struct session_config *config =
        from->kind == END_CLIENT ? &w->plan.client : &w->plan.gateway;
    const struct session_lifetimes *l = &config->lifetimes;
    struct end_child *c = NULL;
    char name[24];
    for (size_t i = 0; i < from->child_count; i++) {
        if (from->children[i].spi_out == spi_out && !from->children[i].drained)
            c = &from->children[i];
    }
    if (c == NULL)
        return; /* unknown-sa, once it is on its way */
    end_name(from, name);
    if (!memory_failed() && too_early(from, c)) /* or the peer could not install them */
        violate(w, "early-keys", "%s sends by SPI %08" PRIx32 ", which the peer does not have yet",
                name, spi_out);
    mono_ms age = end_clock(from) - c->since;
    if (l->child_ms != 0 && age > (mono_ms)l->child_ms)
        violate(w, "spent-keys", "%s sends by a Child SA of %" PRId64 " ms, %" PRIu32 " at most",
                name, age, l->child_ms);
    else if (l->child_packets != 0 && c->packets >= l->child_packets)
        violate(w, "spent-keys", "%s sends by a Child SA after its %" PRIu64 " packets", name,
                c->packets);
    else if (l->child_bytes != 0 && c->bytes >= l->child_bytes)
        violate(w, "spent-keys", "%s sends by a Child SA after its %" PRIu64 " octets", name,
                c->bytes);
    c->packets++;
    c->bytes += inner_len;
}

/* RFC 4303 3.4.3: to the left of the window nothing can be told, so nothing comes in. */
void observe_opened(struct end *to, struct span packet)
{
    struct world *w = to->world;
    char name[24];
    struct wire_reader r;
    wire_reader_init(&r, packet);
    uint32_t spi = wire_read_u32(&r), sequence = wire_read_u32(&r);
    uint64_t key = mix(to->serial, spi), highest = map_get(&w->observer.highest, key);
    if (sequence + (uint64_t)ESP_REPLAY_WINDOW <= highest)
        violate(w, "stale-sequence", "%s took ESP sequence number %" PRIu32 " after %" PRIu64,
                end_name(to, name), sequence, highest);
    if (sequence > highest)
        map_set(&w->observer.highest, key, sequence);
}

/* An address that is gone is left at once, and where there is no network nothing is sent. */
static void source_is_ours(struct end *from, const struct path *path)
{
    const struct client *c = &from->world->clients[from->client];
    char name[24], text[ENDPOINT_TEXT_MAX];
    if (from->kind != END_CLIENT || client_has(c, path))
        return;
    if (c->told_count == 0)
        violate(from->world, "sent-unconnected", "%s sends without a network",
                end_name(from, name));
    else
        violate(from->world, "source-gone",
                "%s sends from %s of interface %" PRIu32 ", which it does not have",
                end_name(from, name), endpoint_format(&path->local, text), path->interface);
}

void observe_sent(struct end *from, const struct path *path, struct span payload, bool marker)
{
    char name[24];
    source_is_ours(from, path);
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
