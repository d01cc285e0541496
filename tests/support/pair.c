/* Two sessions and a wire. The random source is a counter under SHA-256, so that a run repeats. */
#include "tests/support/pair.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto/prf.h"
#include "common/ike/session_state.h"

static void fill(void *ctx, uint8_t *out, size_t len)
{
    uint64_t *counter = ctx;
    while (len > 0) {
        uint8_t block[SHA256_LEN];
        (*counter)++;
        struct span part = span_make(counter, sizeof(*counter));
        hash_sha256(&part, 1, block);
        size_t n = len < sizeof(block) ? len : sizeof(block);
        memcpy(out, block, n);
        out += n;
        len -= n;
    }
}

static enum err find_psk(void *ctx, const struct identity *peer, struct secret *ret)
{
    const struct pair *p = ctx;
    (void)peer;
    *ret = p->psk;
    return ERR_OK;
}

static enum err assign(void *ctx, const struct identity *peer, const struct configuration *request,
                       struct configuration *ret)
{
    const struct pair *p = ctx;
    (void)peer;
    (void)request;
    if (p->assigned.address_count == 0)
        return ERR_REFUSED;
    *ret = p->assigned;
    return ERR_OK;
}

void pair_init(struct pair *p)
{
    memset(p, 0, sizeof(*p));
    p->client_path = (struct path){
        .local = {ip_v4(192, 0, 2, 1), 40000},
        .remote = {ip_v4(203, 0, 113, 1), IKE_PORT},
        .interface = 2,
    };
    p->assigned.type = CP_REPLY;
    p->assigned.addresses[0] = (struct prefix){ip_v4(10, 7, 0, 2), 32};
    p->assigned.address_count = 1;
    p->assigned.dns[0] = ip_v4(10, 9, 0, 53);
    p->assigned.dns_count = 1;
    ck_ok(secret_set(&p->psk, span_text("a shared key of the tests")));

    const struct prefix served = {ip_v4(10, 9, 0, 0), 24};
    const struct random_source random = {fill, &p->seed};
    struct session_config *c = &p->client_config, *g = &p->gateway_config;
    session_config_default(c);
    c->role = SESSION_INITIATOR;
    c->random = random;
    proposal_list_default(PROTOCOL_IKE, &c->ike);
    proposal_list_default(PROTOCOL_ESP, &c->esp);
    ck_ok(identity_parse("alice@example.com", &c->local_id));
    ck_ok(identity_parse("gw.example.com", &c->remote_id));
    c->local_auth = SESSION_AUTH_PSK;
    c->remote_auth = SESSION_AUTH_PSK;
    c->local_psk = c->remote_psk = p->psk;
    ck_ok(selector_list_add(
        &c->remote_selectors,
        &(struct selector){.range = range_from_prefix(&served), .port_last = UINT16_MAX}));
    c->request_ipv4 = true;
    c->request_dns = true;

    *g = *c;
    g->role = SESSION_RESPONDER;
    g->local_id = c->remote_id;
    g->remote_id = (struct identity){0};
    g->request_ipv4 = g->request_dns = false;
    g->policy = (struct session_policy){.ctx = p, .find_psk = find_psk, .assign = assign};
    const struct random_source jar_random = {fill, &p->seed};
    cookie_jar_init(&p->jar, &jar_random);
}

void pair_wipe(struct pair *p)
{
    session_free(p->client);
    session_free(p->gateway);
    session_free(p->gateway_before);
    for (size_t i = 0; i < PAIR_FLYING_MAX; i++)
        free(p->flying[i].bytes);
    memset(p, 0, sizeof(*p));
}

void pair_start(struct pair *p)
{
    ck_ok(session_new(&p->client_config, &p->client));
    session_networks_changed(p->client, p->now, &p->client_path, 1);
    ck_ok(session_start(p->client, p->now));
}

static void note_child(struct pair_children *c, const struct session_event *e)
{
    if (e->type == SESSION_EVENT_CHILD_UP) {
        ck_assert_uint_lt(c->count, 16);
        c->items[c->count].spi_in = e->child.spi_in;
        c->items[c->count++].spi_out = e->child.spi_out;
        return;
    }
    if (e->type != SESSION_EVENT_CHILD_DRAIN && e->type != SESSION_EVENT_CHILD_DOWN)
        return;
    for (size_t i = 0; i < c->count; i++) {
        if (c->items[i].spi_in == e->child_down_spi_in) {
            c->count--;
            memmove(&c->items[i], &c->items[i + 1], (c->count - i) * sizeof(c->items[0]));
            return;
        }
    }
}

static void collect(struct session *s, struct session_event *events, size_t *count,
                    struct pair_children *children)
{
    if (s == NULL)
        return;
    ck_assert_uint_lt(*count, PAIR_EVENTS_MAX);
    while (session_next_event(s, &events[*count])) {
        note_child(children, &events[*count]);
        (*count)++;
        ck_assert_uint_lt(*count, PAIR_EVENTS_MAX);
    }
}

/* Of a session that another one has taken the place of: nobody looks at its events. */
static void discard(struct session *s)
{
    struct session_event e;
    while (s != NULL && session_next_event(s, &e))
        session_event_wipe(&e);
}

static struct path turned(const struct path *path)
{
    return (struct path){.local = path->remote, .remote = path->local, .interface = 1};
}

/* Does the gateway have a living session for this message? */
static bool owned(const struct session *s, const struct ike_header *h, struct span message)
{
    return s != NULL && session_owns(s, h, message);
}

static void to_gateway(struct pair *p, const struct path *path, struct span payload)
{
    struct path at = turned(path);
    struct span message;
    struct ike_header h;
    if (p->nat_port != 0)
        at.remote.port = p->nat_port;
    enum datagram_kind kind = datagram_classify(at.local.port != IKE_PORT, payload, &message);
    if (kind != DATAGRAM_IKE || ike_header_parse(message, &h) != ERR_OK)
        return;
    if (owned(p->gateway_before, &h, message)) {
        session_input(p->gateway_before, p->now, &at, message);
        return;
    }
    if (!owned(p->gateway, &h, message)) {
        if (h.exchange != EXCHANGE_IKE_SA_INIT || h.spi_r != 0)
            return;
        uint8_t out[256];
        struct span challenge;
        if (p->cookies && !cookie_jar_check(&p->jar, &at.remote, message)) {
            ck_ok(cookie_jar_challenge(&p->jar, &at.remote, message, out, sizeof(out), &challenge));
            pair_forge_to_client(p, challenge);
            return;
        }
        session_free(p->gateway_before);
        p->gateway_before = p->gateway;
        ck_ok(session_new(&p->gateway_config, &p->gateway));
        p->gateway_children.count = 0;
    }
    session_input(p->gateway, p->now, &at, message);
}

/* It comes in where that address is. */
static uint32_t client_interface(const struct pair *p, const struct ip *local)
{
    const struct roam *r = &p->client->roam;
    for (size_t i = 0; i < r->way_count; i++) {
        if (ip_equal(&r->ways[i].path.local.ip, local))
            return r->ways[i].path.interface;
    }
    return p->client_path.interface;
}

static void to_client(struct pair *p, const struct path *path, struct span payload)
{
    struct path at = turned(path);
    struct span message;
    at.interface = client_interface(p, &at.local.ip);
    if (p->nat_port != 0) {
        if (at.local.port != p->nat_port)
            return;
        at.local.port = p->client_path.local.port;
    }
    if (datagram_classify(at.remote.port != IKE_PORT, payload, &message) == DATAGRAM_IKE)
        session_input(p->client, p->now, &at, message);
}

void pair_forge_to_client(struct pair *p, struct span message)
{
    session_input(p->client, p->now, &p->client_path, message);
}

void pair_forge_init(struct pair *p, uint64_t spi_r, uint16_t type, struct span data)
{
    struct session_status status;
    session_status(p->client, &status);
    const struct ike_header h = {.spi_i = status.spi_i,
                                 .spi_r = spi_r,
                                 .major = 2,
                                 .exchange = EXCHANGE_IKE_SA_INIT,
                                 .flags = IKE_FLAG_RESPONSE};
    uint8_t buffer[256];
    struct message_writer m;
    struct span message;
    message_begin(&m, buffer, sizeof(buffer), &h);
    notify_write(&m, type, data);
    ck_ok(message_finish(&m, &message));
    pair_forge_to_client(p, message);
}

static void deliver(struct pair *p, bool from_client, const struct path *path, struct span bytes)
{
    if (from_client)
        to_gateway(p, path, bytes);
    else
        to_client(p, path, bytes);
}

static void fly(struct pair *p, bool from_client, const struct path *path, uint8_t *bytes,
                size_t len)
{
    size_t i = 0;
    while (i < PAIR_FLYING_MAX && p->flying[i].bytes != NULL)
        i++;
    ck_assert_uint_lt(i, PAIR_FLYING_MAX);
    p->flying[i] = (struct pair_flying){p->now + p->delay(p), from_client, *path, bytes, len};
}

/* The next one to arrive; NULL. */
static struct pair_flying *first_flying(struct pair *p)
{
    struct pair_flying *first = NULL;
    for (size_t i = 0; i < PAIR_FLYING_MAX; i++) {
        if (p->flying[i].bytes != NULL && (first == NULL || p->flying[i].at < first->at))
            first = &p->flying[i];
    }
    return first;
}

static bool land(struct pair *p)
{
    struct pair_flying *first = first_flying(p);
    if (first == NULL || first->at > p->now)
        return false;
    struct pair_flying f = *first;
    first->bytes = NULL;
    deliver(p, f.from_client, &f.path, span_make(f.bytes, f.len));
    free(f.bytes);
    return true;
}

/* One datagram of a session; false where it has none. */
static bool carry(struct pair *p, struct session *from)
{
    bool from_client = from == p->client;
    struct session_datagram d;
    if (from == NULL || !session_output(from, p->now, &d))
        return false;
    p->datagrams++;
    uint8_t *copy = support_exact_copy(d.bytes);
    struct path path = d.path;
    size_t len = d.bytes.len;
    p->wire_path = from_client ? path : turned(&path);
    if (p->wire != NULL && !p->wire(p, from_client, copy, len)) {
        free(copy);
    } else if (p->delay != NULL) {
        fly(p, from_client, &path, copy, len);
    } else {
        deliver(p, from_client, &path, span_make(copy, len));
        free(copy);
    }
    return true;
}

void pair_pump(struct pair *p)
{
    bool moved;
    do {
        moved = land(p);
        moved |= carry(p, p->client);
        moved |= carry(p, p->gateway_before);
        moved |= carry(p, p->gateway);
        collect(p->client, p->client_events, &p->client_event_count, &p->client_children);
        collect(p->gateway, p->gateway_events, &p->gateway_event_count, &p->gateway_children);
        discard(p->gateway_before);
    } while (moved);
}

static mono_ms deadline(const struct session *s)
{
    return s != NULL ? session_next_timeout(s) : MONO_NEVER;
}

static void handle_timeout(struct pair *p, struct session *s)
{
    if (deadline(s) <= p->now)
        session_handle_timeout(s, p->now);
}

void pair_run(struct pair *p, mono_ms until)
{
    for (;;) {
        pair_pump(p);
        mono_ms next = mono_earlier(deadline(p->client), deadline(p->gateway));
        next = mono_earlier(next, deadline(p->gateway_before));
        if (first_flying(p) != NULL)
            next = mono_earlier(next, first_flying(p)->at);
        if (next == MONO_NEVER || next > until)
            break;
        if (next > p->now)
            p->now = next;
        handle_timeout(p, p->client);
        handle_timeout(p, p->gateway_before);
        handle_timeout(p, p->gateway);
    }
    p->now = until;
}

static const struct session_event *find(const struct session_event *events, size_t count,
                                        enum session_event_type type)
{
    for (size_t i = 0; i < count; i++) {
        if (events[i].type == type)
            return &events[i];
    }
    return NULL;
}

const struct session_event *pair_client_event(const struct pair *p, enum session_event_type type)
{
    return find(p->client_events, p->client_event_count, type);
}

const struct session_event *pair_gateway_event(const struct pair *p, enum session_event_type type)
{
    return find(p->gateway_events, p->gateway_event_count, type);
}

size_t pair_count_events(const struct pair *p, bool of_client, enum session_event_type type)
{
    const struct session_event *events = of_client ? p->client_events : p->gateway_events;
    size_t count = of_client ? p->client_event_count : p->gateway_event_count, found = 0;
    for (size_t i = 0; i < count; i++)
        found += events[i].type == type ? 1 : 0;
    return found;
}

void pair_forget_events(struct pair *p)
{
    p->client_event_count = p->gateway_event_count = 0;
}

enum session_state pair_client_state(const struct pair *p)
{
    struct session_status status;
    session_status(p->client, &status);
    return status.state;
}

bool pair_lose_marked(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)from_client, (void)bytes, (void)len;
    return p->datagrams != p->marked;
}

bool pair_lose_all(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)p, (void)from_client, (void)bytes, (void)len;
    return false;
}

void pair_ck_up(const struct pair *p)
{
    ck_assert_int_eq(pair_client_state(p), SESSION_UP);
    ck_assert_ptr_nonnull(pair_client_event(p, SESSION_EVENT_UP));
    ck_assert_ptr_nonnull(pair_gateway_event(p, SESSION_EVENT_UP));
    const struct session_event *c = pair_client_event(p, SESSION_EVENT_CHILD_UP);
    const struct session_event *g = pair_gateway_event(p, SESSION_EVENT_CHILD_UP);
    ck_assert_ptr_nonnull(c);
    ck_assert_ptr_nonnull(g);
    /* RFC 7296 2.17: what one side sends with, the other receives with. */
    ck_assert_uint_eq(c->child.spi_in, g->child.spi_out);
    ck_assert_uint_eq(c->child.spi_out, g->child.spi_in);
    ck_span_eq(secret_span(&c->child.enc_out), secret_span(&g->child.enc_in));
    ck_span_eq(secret_span(&c->child.enc_in), secret_span(&g->child.enc_out));
    ck_span_eq(secret_span(&c->child.integ_out), secret_span(&g->child.integ_in));
    ck_span_eq(secret_span(&c->child.integ_in), secret_span(&g->child.integ_out));
    ck_assert(!span_equal(secret_span(&c->child.enc_in), secret_span(&c->child.enc_out)));
}

const struct fault *pair_ck_down(const struct pair *p, enum session_down_reason reason,
                                 const char *words)
{
    const struct session_event *e = pair_client_event(p, SESSION_EVENT_DOWN);
    ck_assert_ptr_nonnull(e);
    ck_assert_msg(e->down.reason == reason, "down for reason %d (%s), expected %d", e->down.reason,
                  e->down.fault.text, reason);
    ck_assert_msg(strstr(e->down.fault.text, words) != NULL, "%s", e->down.fault.text);
    ck_assert_ptr_null(strstr(e->down.fault.text, "canary"));
    ck_assert_ptr_null(strstr(e->down.fault.hint, "canary"));
    ck_assert_ptr_null(pair_client_event(p, SESSION_EVENT_CHILD_UP));
    ck_assert_ptr_null(pair_gateway_event(p, SESSION_EVENT_CHILD_UP));
    return &e->down.fault;
}
