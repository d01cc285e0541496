/* One session with its tunnel, as a driver holds it: whichever side it is on. Whatever goes in ends
 * in end_settle, which drains the session and looks at what came out. */
#include "tests/sim/sim.h"

#include <inttypes.h>

/* More than any one input may cause. */
enum {
    OUTPUTS_PER_INPUT = 12,
    OUTPUTS_PER_RACE = 60,
    EVENTS_PER_INPUT = 16,
    TIMEOUTS_PER_MOMENT = 4
};

mono_ms end_clock(const struct end *e)
{
    bool client = e->kind == END_CLIENT || e->kind == END_INTRUDER;
    return client ? client_clock(e->world) : gateway_clock(e->world);
}

const char *end_name(const struct end *e, char out[24])
{
    switch (e->kind) {
    case END_CLIENT:
        snprintf(out, 24, "client%zu", e->client + 1);
        break;
    case END_GATEWAY:
        snprintf(out, 24, "gateway/%" PRIu64, e->serial);
        break;
    case END_INTRUDER:
        snprintf(out, 24, "intruder");
        break;
    case END_IMPOSTOR:
        snprintf(out, 24, "impostor");
        break;
    }
    return out;
}

struct end *end_new(struct world *w, enum end_kind kind, const struct session_config *config)
{
    struct end *e = sim_alloc(sizeof(*e));
    *e = (struct end){
        .world = w,
        .kind = kind,
        .serial = ++w->serial,
        .traffic = {.last_out = MONO_NEVER, .last_in = MONO_NEVER},
        .half_open_until = MONO_NEVER,
        .handled_at = MONO_NEVER,
        .chain = config->chain,
        .key = config->key,
    };
    struct session_config own = *config;
    if (own.role == SESSION_RESPONDER)
        own.policy.ctx = e;
    enum err err = session_new(&own, &e->session);
    if (err == ERR_OK)
        err = tunnel_new(&e->tunnel);
    wipe(&own, sizeof(own));
    if (err == ERR_OK)
        return e;
    if (err != ERR_MEMORY)
        violate(w, "unexpected-error", "session_new: %s", err_text(err));
    end_free(e);
    return NULL;
}

void end_free(struct end *e)
{
    if (e == NULL)
        return;
    tunnel_free(e->tunnel);
    session_free(e->session);
    eap_server_wipe(&e->eap);
    wipe(e, sizeof(*e));
    sim_free(e);
}

/* --- events --- */

static bool hostile(const struct end *e)
{
    return e->kind == END_INTRUDER || e->kind == END_IMPOSTOR;
}

static void child_up(struct end *e, const struct session_child *c)
{
    struct world *w = e->world;
    char name[24];
    if (!hostile(e) && !e->authenticated)
        violate(w, "up-before-auth", "%s has a Child SA with a peer that has not proven itself",
                end_name(e, name));
    if (e->child_count == TUNNEL_CHILDREN_MAX) {
        violate(w, "sa-count", "%s has more than %d Child SAs", end_name(e, name),
                TUNNEL_CHILDREN_MAX);
        return;
    }
    struct tunnel_child_parameters p = {
        .in = {c->spi_in, c->suite.cipher, c->enc_in, c->integ_in, c->suite.esn},
        .out = {c->spi_out, c->suite.cipher, c->enc_out, c->integ_out, c->suite.esn},
        .local = c->local,
        .remote = c->remote,
        .replaces_spi_in = c->replaces_spi_in,
        .outbound_waits = c->outbound_waits,
        .soft_bytes = c->soft_bytes,
        .hard_bytes = c->hard_bytes,
        .soft_packets = c->soft_packets,
        .hard_packets = c->hard_packets,
    };
    const struct end_child child = {
        .spi_in = c->spi_in,
        .spi_out = c->spi_out,
        .key_in = print_of(secret_span(&c->enc_in)) ^ print_of(secret_span(&c->integ_in)),
        .key_out = print_of(secret_span(&c->enc_out)) ^ print_of(secret_span(&c->integ_out)),
        .succeeds = c->replaces_spi_in != 0,
        .since = end_clock(e),
    };
    observe_child(e, &child); /* its peer may count on it, and cannot know of our troubles */
    enum err err = tunnel_add_child(e->tunnel, &p);
    wipe(&p, sizeof(p));
    if (err == ERR_MEMORY) { /* as the drivers do */
        e->stopping = true;
        session_stop(e->session, end_clock(e));
        return;
    }
    if (err != ERR_OK) {
        violate(w, "unexpected-error", "%s: tunnel_add_child: %s", end_name(e, name),
                err_text(err));
        return;
    }
    e->children[e->child_count++] = child;
}

static void child_down(struct end *e, uint32_t spi_in)
{
    for (size_t i = 0; i < e->child_count; i++) {
        if (e->children[i].spi_in != spi_in)
            continue;
        e->children[i] = e->children[--e->child_count];
        if (tunnel_remove_child(e->tunnel, spi_in) != ERR_OK)
            violate(e->world, "unexpected-error", "tunnel_remove_child does not know %08x",
                    (unsigned)spi_in);
        return;
    }
}

static void child_drain(struct end *e, uint32_t spi_in)
{
    for (size_t i = 0; i < e->child_count; i++) {
        if (e->children[i].spi_in != spi_in)
            continue;
        e->children[i].drained = true;
        if (tunnel_drain_child(e->tunnel, spi_in) != ERR_OK)
            violate(e->world, "unexpected-error", "tunnel_drain_child does not know %08x",
                    (unsigned)spi_in);
        return;
    }
}

size_t end_children(const struct end *e)
{
    size_t count = 0;
    for (size_t i = 0; i < e->child_count; i++)
        count += e->children[i].drained ? 0 : 1;
    return count;
}

static void refresh(struct end *e)
{
    struct session_status status;
    session_status(e->session, &status);
    e->peer = status.remote_id;
    e->behind_nat = status.nat_remote;
    e->mobike = status.peer_mobike;
    e->path = status.path;
}

static void take_event(struct end *e, const struct session_event *event)
{
    char name[24];
    if (e->down)
        violate(e->world, "after-down", "%s: an event after DOWN", end_name(e, name));
    switch ((int)event->type) {
    case SESSION_EVENT_CONFIG:
        if (event->config.address_count > 0)
            e->inner = event->config.addresses[0].ip;
        break;
    case SESSION_EVENT_CHILD_UP:
        child_up(e, &event->child);
        refresh(e);
        break;
    case SESSION_EVENT_CHILD_DRAIN:
        child_drain(e, event->child_down_spi_in);
        break;
    case SESSION_EVENT_CHILD_DOWN:
        child_down(e, event->child_down_spi_in);
        break;
    case SESSION_EVENT_UP:
        if (!hostile(e) && !e->authenticated)
            violate(e->world, "up-before-auth", "%s is up with a peer that has not proven itself",
                    end_name(e, name));
        e->up = e->was_up = true;
        refresh(e);
        break;
    case SESSION_EVENT_PATH:
        check_told_path(e);
        e->path = event->path;
        if (e->kind == END_CLIENT)
            client_moves(e);
        break;
    case SESSION_EVENT_SEARCHING:
        e->up = false;
        break;
    case SESSION_EVENT_REDIRECT:
        client_redirected(e, &event->redirect.ip);
        break;
    case SESSION_EVENT_ADDRESSES:
        check_addresses(e);
        client_addresses(e, event->addresses.items, event->addresses.count);
        break;
    case SESSION_EVENT_PATH_PROBE:
        client_probed(e, event->path_probe.answered);
        break;
    case SESSION_EVENT_HANDOVER:
        check_handover(e, &event->handover);
        client_moved(e, &event->handover);
        break;
    case SESSION_EVENT_DOWN:
        e->down = true;
        e->linger_until = end_clock(e) + LINGER_MS;
        e->up = false;
        e->reason = event->down.reason;
        break;
    default:
        break;
    }
}

void end_settle(struct end *e)
{
    struct world *w = e->world;
    unsigned outputs = 0, events = 0;
    bool more = true;
    char name[24];
    while (more && !w->violation.set) {
        struct session_datagram out;
        struct session_event event;
        more = false;
        while (session_output(e->session, end_clock(e), &out)) {
            network_send(w, e, &out.path, out.bytes);
            more = true;
            outputs++;
        }
        while (session_next_event(e->session, &event)) {
            transcript_event(e, &event);
            take_event(e, &event);
            session_event_wipe(&event);
            more = true;
            events++;
        }
    }
    /* A race asks by every way, in as many pieces as the request has. */
    bool roams = e->kind == END_CLIENT && w->clients[e->client].told_count > 1;
    if (outputs > (roams ? OUTPUTS_PER_RACE : OUTPUTS_PER_INPUT) || events > EVENTS_PER_INPUT)
        violate(w, "work-bound", "%s made %u datagrams and %u events of one input",
                end_name(e, name), outputs, events);
    check_end(e);
}

/* --- inputs --- */

void end_input(struct end *e, const struct path *path, struct span message)
{
    session_input(e->session, end_clock(e), path, message);
    end_settle(e);
}

mono_ms end_deadline(const struct end *e)
{
    mono_ms next = mono_earlier(session_next_timeout(e->session), e->half_open_until);
    if (e->down && e->kind == END_GATEWAY)
        next = e->linger_until;
    if (next == MONO_NEVER)
        return MONO_NEVER;
    return next - (end_clock(e) - e->world->now);
}

void end_timeout(struct end *e)
{
    struct world *w = e->world;
    char name[24];
    if (e->handled_at != w->now) {
        e->handled_at = w->now;
        e->handled_times = 0;
    }
    if (++e->handled_times > TIMEOUTS_PER_MOMENT)
        violate(w, "deadline-in-past", "%s: the deadline stays where it is, however often handled",
                end_name(e, name));
    if (e->kind == END_CLIENT)
        w->clients[e->client].wakeups++;
    session_handle_timeout(e->session, end_clock(e));
    end_settle(e);
}

/* --- ESP --- */

void end_esp_in(struct end *e, const struct path *path, struct span bytes)
{
    uint8_t buffer[2048];
    struct tunnel_result result;
    if (bytes.len > sizeof(buffer))
        return;
    memcpy(buffer, bytes.data, bytes.len);
    struct packet p = {.data = buffer, .cap = sizeof(buffer), .start = 0, .len = bytes.len};
    tunnel_open(e->tunnel, &p, &result, 1);
    if (result.err == ERR_OK) {
        /* RFC 7296 2.23: a client behind a translator is where its last good packet came from. */
        if (e->kind == END_GATEWAY && e->behind_nat && (e->world->plan.esp_followed || !e->mobike))
            e->path = *path;
        observe_opened(e, bytes);
        traffic_arrived(e, span_make(packet_bytes(&p), p.len));
    }
    uint64_t authentic = tunnel_counters(e->tunnel).authentic;
    if (authentic == e->authentic)
        return;
    e->authentic = authentic;
    e->traffic.last_in = end_clock(e);
    session_traffic(e->session, end_clock(e), &e->traffic);
    end_settle(e);
}

enum { SEALED_MAX = ESP_HEADROOM + INNER_MAX_LEN + ESP_TAILROOM };

static enum err seal(struct end *e, struct span inner, uint8_t buffer[SEALED_MAX],
                     struct packet *ret)
{
    ASSERT(inner.len <= INNER_MAX_LEN);
    struct tunnel_route route = tunnel_route(e->tunnel, inner);
    *ret = (struct packet){.data = buffer, .cap = SEALED_MAX, .start = ESP_HEADROOM};
    enum err err = tunnel_seal(e->tunnel, &route, inner, ret);
    if (err == ERR_OK)
        observe_sealed(e, route.spi, inner.len);
    return err;
}

bool end_esp_waste(struct end *e, struct span inner)
{
    uint8_t buffer[SEALED_MAX];
    struct packet p;
    return seal(e, inner, buffer, &p) == ERR_OK;
}

void end_esp_out(struct end *e, struct span inner, bool outside, bool lax)
{
    uint8_t buffer[SEALED_MAX];
    struct packet p;
    uint32_t spi_in;
    memory_lax_selectors(lax);
    enum err err = seal(e, inner, buffer, &p);
    memory_lax_selectors(false);
    while (tunnel_expiring(e->tunnel, &spi_in))
        session_child_expiring(e->session, end_clock(e), spi_in);
    if (err != ERR_OK) {
        end_settle(e);
        return;
    }
    if (outside && !lax) {
        violate(e->world, "outside-selectors", "a packet outside the selectors was sealed");
        return;
    }
    if (!check_way_out(e)) {
        end_settle(e);
        return;
    }
    network_send(e->world, e, &e->path, span_make(packet_bytes(&p), p.len));
    e->traffic.last_out = end_clock(e);
    session_traffic(e->session, end_clock(e), &e->traffic);
    end_settle(e);
}
