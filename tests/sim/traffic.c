/* What users send through the tunnel: UDP in IPv4 with a mark that must never be seen outside, and
 * a number of its own, so that every packet that comes out can be held against the one that went
 * in. */
#include "tests/sim/sim.h"

#include <inttypes.h>

const uint8_t traffic_canary[CANARY_LEN] = "TERN-SIM-CANARY!";

static struct ip server(void)
{
    return ip_v4(10, 9, 0, 5);
}

/* The packet of that number, the same each time. */
static void build(uint64_t id, const struct ip *from, const struct ip *to, uint8_t *out, size_t len)
{
    struct wire_writer m;
    wire_writer_init(&m, out, len);
    wire_write_u16(&m, 0x4500);
    wire_write_u16(&m, (uint16_t)len);
    wire_write_u32(&m, 0x00004000);
    wire_write_u32(&m, 0x40110000); /* UDP; the header's checksum is nobody's here */
    wire_write_span(&m, ip_span(from));
    wire_write_span(&m, ip_span(to));
    wire_write_u16(&m, 7000);
    wire_write_u16(&m, 7);
    wire_write_u16(&m, (uint16_t)(len - 20));
    wire_write_u16(&m, 0);
    wire_write_span(&m, SPAN_OF(traffic_canary));
    wire_write_u64(&m, id);
    struct rng pad = {id};
    ASSERT(m.len <= len);
    rng_fill(&pad, out + m.len, len - m.len);
}

static uint64_t enter(struct world *w, bool from_gateway, size_t client, size_t len)
{
    if (w->ledger_count == w->ledger_cap) {
        w->ledger_cap = w->ledger_cap == 0 ? 256 : 2 * w->ledger_cap;
        w->ledger = sim_resize(w->ledger, w->ledger_cap * sizeof(w->ledger[0]));
    }
    w->ledger[w->ledger_count] = (struct ledger_entry){
        .from_gateway = from_gateway, .client = (uint8_t)client, .len = (uint16_t)len};
    return w->ledger_count++;
}

static size_t draw_len(struct world *w)
{
    size_t max = w->plan.mtu - 28 - 80;
    return (size_t)rng_between(&w->random, INNER_MIN,
                               rng_chance(&w->random, 800) ? 200 : (int64_t)max);
}

/* A packet that the selectors do not cover must not leave; and where the sender breaks the rules,
 * it must not enter. */
static void try_outside(struct end *e, const struct ip *from, const struct ip *to)
{
    uint8_t packet[INNER_MIN];
    build(UINT64_MAX, from, to, packet, sizeof(packet));
    end_esp_out(e, SPAN_OF(packet), true, rng_chance(&e->world->random, 500));
}

void traffic_from_client(struct world *w, size_t i)
{
    struct end *e = w->clients[i].end;
    if (e == NULL || w->clients[i].paused || e->child_count == 0)
        return;
    const struct ip to = server(), stranger = ip_v4(172, 16, 0, 1);
    if (rng_chance(&w->random, 30)) {
        bool source = rng_chance(&w->random, 500);
        try_outside(e, source ? &stranger : &e->inner, source ? &to : &stranger);
    }
    uint8_t packet[INNER_MAX_LEN];
    size_t len = draw_len(w);
    uint64_t id = enter(w, false, i, len);
    build(id, &e->inner, &to, packet, len);
    end_esp_out(e, span_make(packet, len), false, false);
    client_settled(w, i);
}

/* Who has the client's address now, as the gateway sees it; NULL: nobody, or it is not there. */
static struct end *gateway_sender(struct world *w, size_t i)
{
    struct end *e = NULL;
    for (size_t j = 0; j < w->gateway.count; j++) {
        struct end *other = w->gateway.ends[j];
        if (other->up && other->client == i && other->leased)
            e = other;
    }
    if (e == NULL || w->gateway.paused || e->child_count == 0 || gateway_end_for(w, &e->inner) != e)
        return NULL;
    return e;
}

void traffic_from_gateway(struct world *w, size_t i)
{
    struct end *e = gateway_sender(w, i);
    if (e == NULL)
        return;
    const struct ip from = server(), stranger = ip_v4(172, 16, 0, 1);
    if (rng_chance(&w->random, 30)) {
        bool source = rng_chance(&w->random, 500);
        try_outside(e, source ? &stranger : &from, source ? &e->inner : &stranger);
    }
    uint8_t packet[INNER_MAX_LEN];
    size_t len = draw_len(w);
    uint64_t id = enter(w, true, i, len);
    build(id, &from, &e->inner, packet, len);
    end_esp_out(e, span_make(packet, len), false, false);
}

void traffic_burst(struct world *w, size_t i, bool from_gateway, size_t count)
{
    struct client *c = &w->clients[i];
    struct end *e = from_gateway ? gateway_sender(w, i) : (c->paused ? NULL : c->end);
    const struct ip peer = server();
    uint8_t packet[INNER_MIN];
    if (e == NULL)
        return;
    build(UINT64_MAX, from_gateway ? &peer : &e->inner, from_gateway ? &e->inner : &peer, packet,
          sizeof(packet));
    for (size_t n = 0; n < count && end_esp_waste(e, SPAN_OF(packet)); n++) {
    }
    transcript_note(w, "network", "loses up to %zu packets to the %s", count,
                    from_gateway ? "client" : "gateway");
}

void traffic_arrived(struct end *e, struct span inner)
{
    struct world *w = e->world;
    bool from_gateway = e->kind == END_CLIENT;
    const struct ip peer = server();
    char name[24];
    end_name(e, name);
    struct wire_reader r;
    wire_reader_init(&r, inner);
    wire_skip(&r, 28 + CANARY_LEN);
    uint64_t id = wire_read_u64(&r);
    if (!r.failed && id == UINT64_MAX) {
        violate(w, "outside-selectors", "%s delivered a packet outside its selectors", name);
        return;
    }
    if (r.failed || id >= w->ledger_count || e->kind == END_INTRUDER || e->kind == END_IMPOSTOR) {
        violate(w, "not-sent", "%s delivered %zu octets that nobody sent", name, inner.len);
        return;
    }
    struct ledger_entry *sent = &w->ledger[id];
    uint8_t packet[INNER_MAX_LEN];
    build(id, from_gateway ? &peer : &e->inner, from_gateway ? &e->inner : &peer, packet,
          sent->len);
    if (sent->from_gateway != from_gateway || sent->client != e->client)
        violate(w, "misdelivered", "%s delivered packet %" PRIu64 " of client%u", name, id,
                sent->client + 1u);
    else if (!span_equal(inner, span_make(packet, sent->len)))
        violate(w, "altered", "%s delivered packet %" PRIu64 " altered", name, id);
    else if (sent->delivered != 0)
        violate(w, "delivered-twice", "%s delivered packet %" PRIu64 " again", name, id);
    sent->delivered = 1;
    struct client *c = &w->clients[e->client];
    if (from_gateway)
        c->delivered_in++;
    else
        c->delivered++;
}
