/* What a seed is about: which faults, which configuration, how long. Times are short, so that a run
 * has few events; what they mean to each other (liveness against lifetimes, pauses against
 * retransmission) covers more than real configurations do. */
#include <inttypes.h>

#include "tests/sim/sim.h"

static const char *const fault_names[] = {
    "loss",       "duplication", "reordering", "corruption", "partition", "small-mtu",
    "forgery",    "rebinding",   "crash",      "pause",      "commands",  "memory",
    "wall-clock", "impostor",    "burst",      "roaming",    "cookie2",
};

static void draw_faults(struct plan *p, struct rng *r)
{
    unsigned kind = (unsigned)rng_below(r, 20);
    if (kind == 0)
        return; /* nothing is wrong: it had better work */
    if (kind == 1) {
        p->faults = FAULTS_END - 1;
        return;
    }
    if (kind < 6) { /* one alone, so that a failure is easy to read */
        p->faults = 1u << rng_below(r, sizeof(fault_names) / sizeof(fault_names[0]));
        return;
    }
    for (unsigned f = 1; f < FAULTS_END; f <<= 1) {
        if (rng_chance(r, f == FAULT_MEMORY || f == FAULT_BURST ? 150 : 350))
            p->faults |= f;
    }
}

static void draw_network(struct plan *p, struct rng *r)
{
    p->loss = (unsigned)rng_between(r, 1, 300);
    p->duplication = (unsigned)rng_between(r, 1, 200);
    p->corruption = (unsigned)rng_between(r, 1, 100);
    p->delay_min = rng_between(r, 0, 3) == 0 ? rng_between(r, 0, 200) : rng_between(r, 0, 20);
    p->delay_max = p->delay_min;
    if ((p->faults & FAULT_REORDER) != 0)
        p->delay_max = rng_between(r, p->delay_min + 1, 500);
    p->nat = rng_chance(r, 600) || (p->faults & FAULT_REBINDING) != 0;
    p->nat_expiry_ms = rng_between(r, 8, 60) * 1000;
    p->mtu = (size_t)rng_between(r, 576, 1500);
}

/* Where clients can be, and how often they are elsewhere: from ten times a second to once a minute.
 */
static void draw_places(struct plan *p, struct rng *r)
{
    bool roams = (p->faults & FAULT_ROAMING) != 0;
    p->walk = rng_chance(r, roams ? 700 : 350) ? (unsigned)rng_between(r, 1, 4) : 0;
    p->interfaces = 1;
    if (roams || p->walk > 0)
        p->interfaces = (unsigned)rng_between(r, 1, INTERFACES_MAX);
    p->gateway_second = p->interfaces > 1 && rng_chance(r, 400);
    p->gateway_v6 = p->interfaces > 1 && rng_chance(r, 500);
    p->v6_named = rng_chance(r, 500);
    p->prefer_v6 = rng_chance(r, 500);
    p->esp_followed = rng_chance(r, 500);
    p->move_ms = 100;
    while (p->move_ms < 60000 && rng_chance(r, 800))
        p->move_ms *= 2;
    if (p->walk > 0 && rng_chance(r, 300))
        p->idle_ms = rng_between(r, 10, 600) * 1000;
    if (roams || p->walk > 0)
        p->delay_min = rng_between(r, 0, 20);
    if (p->delay_max < p->delay_min || (p->faults & FAULT_REORDER) == 0)
        p->delay_max = p->delay_min;
}

/* What moves has times as in life, with a gateway that is more patient than its client. */
static void draw_moving_times(struct plan *p, struct rng *r)
{
    struct session_config *c = &p->client, *g = &p->gateway;
    c->mobike = rng_chance(r, 900);
    g->mobike = rng_chance(r, 850);
    g->return_routability = rng_chance(r, 300);
    if ((p->faults & FAULT_ROAMING) == 0 && p->walk == 0)
        return;
    c->retransmit = (struct session_retransmit){
        .first_ms = (uint32_t)rng_between(r, 500, 1000),
        .max_ms = (uint32_t)rng_between(r, 4000, 8000),
        .growth_percent = (uint32_t)rng_between(r, 150, 200),
        .tries = (uint32_t)rng_between(r, 5, 8),
    };
    g->retransmit = (struct session_retransmit){500, 8000, 180, 8};
    g->dpd_ms = rng_chance(r, 300) ? 0 : (uint32_t)rng_between(r, 20, 60) * 1000;
    if (rng_chance(r, 200))
        c->hold_ms = (uint32_t)rng_between(r, 10, 60) * 1000;
}

static const char *const ike_suites[] = {
    "aes256gcm16-prfsha256-x25519",      "aes128gcm16-prfsha384-ecp256", "aes256-sha256-x25519",
    "chacha20poly1305-prfsha512-x25519", "aes128-sha1-ecp256",
};
static const char *const ike_two_groups[] = {
    /* the gateway takes the second only: INVALID_KE_PAYLOAD */
    "aes256gcm16-prfsha256-x25519-ecp256",
    "aes256gcm16-prfsha256-ecp256",
};
static const char *const esp_suites[] = {
    "aes256gcm16", "aes128gcm16",      "aes128gcm8",         "aes128-sha256",   "aes256-sha384",
    "aes128-sha1", "chacha20poly1305", "aes256gcm16-x25519", "aes256gcm16-esn", "aes256-sha256-esn",
};

static void proposals(const char *text, uint8_t protocol, struct proposal_list *ret)
{
    struct fault f;
    ASSERT(proposal_list_from_text(text, protocol, ret, &f) == ERR_OK);
}

static void draw_proposals(struct plan *p, struct rng *r)
{
    if (rng_chance(r, 150)) {
        proposals(ike_two_groups[0], PROTOCOL_IKE, &p->client.ike);
        proposals(ike_two_groups[1], PROTOCOL_IKE, &p->gateway.ike);
    } else {
        const char *suite = ike_suites[rng_below(r, sizeof(ike_suites) / sizeof(ike_suites[0]))];
        proposals(suite, PROTOCOL_IKE, &p->client.ike);
        proposals(suite, PROTOCOL_IKE, &p->gateway.ike);
    }
    const char *suite = esp_suites[rng_below(r, sizeof(esp_suites) / sizeof(esp_suites[0]))];
    proposals(suite, PROTOCOL_ESP, &p->client.esp);
    proposals(suite, PROTOCOL_ESP, &p->gateway.esp);
}

static void draw_times(struct session_config *c, struct rng *r)
{
    c->retransmit = (struct session_retransmit){
        .first_ms = (uint32_t)rng_between(r, 100, 600),
        .max_ms = (uint32_t)rng_between(r, 700, 3000),
        .growth_percent = (uint32_t)rng_between(r, 100, 200),
        .tries = (uint32_t)rng_between(r, 4, 8),
    };
    c->keepalive_ms = (uint32_t)rng_between(r, 3, 20) * 1000;
    c->dpd_ms = (uint32_t)rng_between(r, 1, 10) * 1000;
}

/* Seconds in short runs, so that a run has several generations of everything. */
static void draw_lifetimes(struct plan *p, struct rng *r)
{
    struct session_config *sides[] = {&p->client, &p->gateway};
    for (size_t i = 0; i < 2; i++) {
        struct session_lifetimes *l = &sides[i]->lifetimes;
        int64_t unit = p->faulty_ms / 20;
        if (rng_chance(r, 400))
            l->child_ms = (uint32_t)rng_between(r, 3000 + unit, 6000 + 10 * unit);
        if (rng_chance(r, 400))
            l->ike_ms = (uint32_t)rng_between(r, 4000 + unit, 8000 + 15 * unit);
        if (rng_chance(r, 150))
            l->child_bytes = (uint64_t)rng_between(r, 8000, 60000);
        if (rng_chance(r, 150))
            l->child_packets = (uint64_t)rng_between(r, 20, 200);
    }
    if (rng_chance(r, 100))
        p->gateway.auth_lifetime_s = (uint32_t)(rng_between(r, 10000, 60000) / 1000);
}

static void identity(const char *text, struct identity *ret)
{
    ASSERT(identity_parse(text, ret) == ERR_OK);
}

/* Mostly by the method in which the server proves itself too. Each client gets its own name. */
static void draw_eap(struct session_config *c, struct rng *r)
{
    static const uint8_t others[] = {EAP_GTC, EAP_MD5};
    c->eap.methods[0] = rng_chance(r, 700) ? EAP_MSCHAPV2 : others[rng_below(r, 2)];
    c->eap.method_count = 1;
    memcpy(c->eap.name, "client", sizeof("client"));
    ASSERT(secret_set(&c->eap.password, span_text(EAP_PASSWORD)) == ERR_OK);
}

/* Of either end's wishes those by which a connection comes about. Its draws are a stream of their
 * own. */
static void draw_ppk(struct plan *p, uint64_t seed)
{
    struct rng r = rng_make(seed, 8);
    struct session_ppk *c = &p->client.ppk, *g = &p->gateway.ppk;
    if (!rng_chance(&r, 300))
        return;
    p->ppk_known = rng_chance(&r, 750);
    g->use = (enum session_ppk_use)rng_below(&r, 3);
    c->use = (enum session_ppk_use)rng_below(&r, 3);
    if (!p->ppk_known || g->use == SESSION_PPK_OFF || c->use == SESSION_PPK_OFF) {
        g->use = g->use == SESSION_PPK_OFF ? SESSION_PPK_OFF : SESSION_PPK_OPTIONAL;
        c->use = c->use == SESSION_PPK_OFF ? SESSION_PPK_OFF : SESSION_PPK_OPTIONAL;
    }
    memcpy(c->id, PPK_ID, sizeof(PPK_ID));
    ASSERT(secret_set(&c->key, span_text(PPK_KEY)) == ERR_OK);
}

/* After the first proof another one (RFC 4739): by EAP, or by the key that all have. Likewise. */
static void draw_second(struct plan *p, uint64_t seed)
{
    struct rng r = rng_make(seed, 9);
    struct session_config *c = &p->client, *g = &p->gateway;
    if (!rng_chance(&r, 250) || c->local_auth == SESSION_AUTH_EAP)
        return;
    g->second_use = SESSION_SECOND_OPTIONAL;
    if (rng_chance(&r, 250))
        return; /* the client has one */
    if (rng_chance(&r, 500))
        g->second_use = SESSION_SECOND_REQUIRED;
    bool eap = g->local_auth == SESSION_AUTH_CERTIFICATE && rng_chance(&r, 700);
    c->second.auth = eap ? SESSION_AUTH_EAP : SESSION_AUTH_PSK;
    c->second.psk = c->local_psk;
    if (eap)
        draw_eap(c, &r);
    g->remote_auth |= c->second.auth;
}

bool plan_uses_eap(const struct plan *p)
{
    return p->client.local_auth == SESSION_AUTH_EAP || p->client.second.auth == SESSION_AUTH_EAP;
}

bool plan_uses_ppk(const struct plan *p)
{
    return p->ppk_known && p->client.ppk.use != SESSION_PPK_OFF &&
           p->gateway.ppk.use != SESSION_PPK_OFF;
}

/* Some of those who would be asked for a password show a certificate instead; and of these, some
 * take that for the gateway's proof too (RFC 5998). TLS draws its own random numbers, but the
 * lengths of what it says are always the same. */
static void draw_eap_tls(struct plan *p, uint64_t seed)
{
    struct session_config *c = &p->client;
    struct rng r = rng_make(seed, 20);
    if (!plan_uses_eap(p) || !rng_chance(&r, 300))
        return;
    c->eap.methods[0] = EAP_TLS;
    identity("gw.example.com", &c->eap.server);
    if (c->local_auth != SESSION_AUTH_EAP || !rng_chance(&r, 500))
        return;
    c->remote_auth |= SESSION_AUTH_EAP;
    p->gateway.eap_only = true;
}

static const char *auth_text(const struct session_config *c, enum session_auth auth)
{
    switch (auth) {
    case SESSION_AUTH_PSK:
        return "psk";
    case SESSION_AUTH_EAP:
        return c->eap.methods[0] == EAP_TLS ? "eap-tls" : "eap";
    default:
        return c->eap_only ? "eap-tls" : "certificate";
    }
}

static void configure(struct plan *p, struct rng *r, const struct secret *psk)
{
    const struct prefix served = {ip_v4(10, 9, 0, 0), 24};
    struct session_config *c = &p->client, *g = &p->gateway;
    session_config_default(c);
    session_config_default(g);
    c->role = SESSION_INITIATOR;
    g->role = SESSION_RESPONDER;
    draw_proposals(p, r);
    draw_times(c, r);
    draw_times(g, r);
    identity("client.example.com", &c->local_id); /* each client gets its own */
    identity("gw.example.com", &g->local_id);
    c->remote_id = g->local_id;
    c->send_remote_id = rng_chance(r, 500);
    bool certificates = rng_chance(r, 120); /* slower; one side alone, or both */
    c->local_auth =
        certificates && rng_chance(r, 600) ? SESSION_AUTH_CERTIFICATE : SESSION_AUTH_PSK;
    g->local_auth =
        certificates && rng_chance(r, 600) ? SESSION_AUTH_CERTIFICATE : SESSION_AUTH_PSK;
    if (g->local_auth == SESSION_AUTH_CERTIFICATE && rng_chance(r, 500)) {
        c->local_auth = SESSION_AUTH_EAP;
        draw_eap(c, r);
    }
    c->remote_auth = g->local_auth;
    g->remote_auth = c->local_auth;
    if (certificates) {
        certificates_use(c, CERTIFIED_CLIENT1);
        certificates_use(g, CERTIFIED_GATEWAY);
    }
    c->local_psk = *psk;
    c->remote_psk = g->local_psk = *psk;
    c->remote_selectors.items[0] = selector_from_prefix(&served);
    c->remote_selectors.count = 1;
    g->remote_selectors = c->remote_selectors;
    c->request_ipv4 = true;
    c->request_dns = rng_chance(r, 500);
    c->rebuild_first_ms = (uint32_t)rng_between(r, 100, 1000);
    c->rebuild_max_ms = (uint32_t)rng_between(r, 1000, 4000);
    c->childless = rng_chance(r, 150);
    draw_lifetimes(p, r);
    c->fragment_mtu = g->fragment_mtu = 0;
    if (rng_chance(r, 700)) {
        c->fragment_mtu = (uint16_t)rng_between(r, 576, 1500);
        g->fragment_mtu = (uint16_t)rng_between(r, 576, 1500);
    }
}

/* A clock that was just started, one near the end of 32 bits, or any. */
static mono_ms draw_epoch(struct rng *r)
{
    switch (rng_below(r, 4)) {
    case 0:
        return 0;
    case 1:
        return rng_between(r, INT32_MAX - 20000, INT32_MAX);
    case 2:
        return rng_between(r, UINT32_MAX - (int64_t)20000, UINT32_MAX);
    default:
        return rng_between(r, 1, (int64_t)1 << 60);
    }
}

void plan_draw(struct plan *p, uint64_t seed, const struct secret *psk)
{
    struct rng r = rng_make(seed, 1);
    *p = (struct plan){.clients = rng_chance(&r, 200) ? 2 : 1};
    draw_faults(p, &r);
    draw_network(p, &r);
    p->faulty_ms = rng_between(&r, 5, 60) * 1000;
    p->traffic_ms = rng_between(&r, 100, 1500);
    if (rng_chance(&r, 50)) { /* long and quiet */
        p->faulty_ms = rng_between(&r, 300, 3600 * 3) * 1000;
        p->traffic_ms = p->faulty_ms / 200;
    }
    static const enum plan_cookies cookies[] = {COOKIES_OFF, COOKIES_AUTO, COOKIES_ALWAYS};
    p->cookies = cookies[rng_below(&r, 3)];
    p->epoch_client = draw_epoch(&r);
    p->epoch_gateway = draw_epoch(&r);
    draw_places(p, &r);
    configure(p, &r, psk);
    draw_ppk(p, seed);
    draw_second(p, seed);
    draw_eap_tls(p, seed);
    draw_moving_times(p, &r);
    if (p->walk > 0 && rng_chance(&r, 20))
        p->walk = (unsigned)rng_between(&r, 200, 1000);
    uint32_t round_trip_ms = (uint32_t)(2 * p->delay_min); /* else no question has time enough */
    if (p->client.retransmit.first_ms < round_trip_ms)
        p->client.retransmit.first_ms = round_trip_ms;
}

/* How long a request is sent before it is given up. */
static mono_ms patience_ms(const struct session_retransmit *t)
{
    mono_ms sum = 0;
    uint64_t interval = t->first_ms;
    for (uint32_t i = 0; i < t->tries; i++) {
        sum += (mono_ms)interval;
        interval = interval * t->growth_percent / 100;
        if (interval > t->max_ms)
            interval = t->max_ms;
    }
    return sum;
}

mono_ms plan_auth_trips(const struct plan *p)
{
    bool tls = p->client.eap.methods[0] == EAP_TLS;
    return (!plan_uses_eap(p) ? 0 : tls ? 8 : 5) + (p->client.second.auth != 0 ? 1 : 0);
}

mono_ms plan_recovery_ms(const struct plan *p)
{
    mono_ms sum = (mono_ms)p->client.dpd_ms + patience_ms(&p->client.retransmit);
    /* A gateway that asks where a translator has forgotten the client ends the IKE SA; until then
     * it answers, so that all seems well. */
    if ((p->faults & FAULT_REBINDING) != 0)
        sum += patience_ms(&p->gateway.retransmit);
    /* a packet of the user's that goes unanswered begins it, at most that long after */
    return sum + (mono_ms)p->client.rebuild_max_ms + 3000 + 1000 +
           plan_auth_trips(p) * 2 * p->delay_max;
}

const char *plan_text(const struct plan *p, char *out, size_t cap)
{
    char suite[PROPOSAL_LIST_TEXT_MAX], esp[PROPOSAL_LIST_TEXT_MAX], names[300] = "";
    size_t len = 0;
    for (unsigned i = 0; (1u << i) < FAULTS_END; i++) {
        if ((p->faults & (1u << i)) != 0)
            len += (size_t)snprintf(names + len, sizeof(names) - len, " %s", fault_names[i]);
    }
    snprintf(
        out, cap,
        "%zu client%s, %" PRId64 " s faulty:%s; loss %u duplication %u corruption %u per mille, "
        "delay %" PRId64 "-%" PRId64
        " ms, mtu %zu%s; %s against %s; %s; %s; dpd %u ms, first retransmission "
        "%u ms, %u tries; traffic every %" PRId64 " ms; clocks from %" PRId64 ", %" PRId64
        "; %u interfaces, gateway%s%s%s%s, client%s, moves every %" PRId64 " ms, walk of %u%s%s%s",
        p->clients, p->clients == 1 ? "" : "s", p->faulty_ms / 1000, len > 0 ? names : " nothing",
        p->loss, p->duplication, p->corruption, p->delay_min, p->delay_max, p->mtu,
        p->nat ? ", NAT" : "", auth_text(&p->client, p->client.local_auth),
        auth_text(&p->gateway, p->gateway.local_auth), proposal_list_format(&p->client.ike, suite),
        proposal_list_format(&p->client.esp, esp), p->client.dpd_ms, p->client.retransmit.first_ms,
        p->client.retransmit.tries, p->traffic_ms, p->epoch_client, p->epoch_gateway, p->interfaces,
        p->gateway_second ? " of two" : "", p->gateway_v6 ? " with IPv6" : "",
        p->gateway.mobike ? "" : " without MOBIKE",
        p->gateway.return_routability ? " that checks" : "",
        p->client.mobike ? "" : " without MOBIKE", p->move_ms, p->walk,
        plan_uses_ppk(p) ? "; PPK" : "", p->client.second.auth != 0 ? "; then " : "",
        p->client.second.auth != 0 ? auth_text(&p->client, p->client.second.auth) : "");
    return out;
}
