/* The invariants by name, and those that look at the whole: what an end shows to its driver, and
 * whether both sides agree once the network is well again. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdarg.h>

static const struct {
    const char *name, *text;
} invariants[] = {
    {"after-down", "no event follows DOWN, and nothing is sent but what was sent before"},
    {"addresses-untold", "clients hear of the gateway's other addresses"},
    {"altered", "an inner packet comes out as it went in"},
    {"cookie2-believed", "a gateway that returns COOKIE2 wrongly is left"},
    {"crash", "nothing aborts or hangs, whatever happens"},
    {"deadline-in-past", "a deadline that was handled moves on"},
    {"deadline-never", "who waits for the peer has a deadline, and it is not absurdly far"},
    {"delivered-twice", "no inner packet comes out twice"},
    {"credential-early", "no credential of the user goes to a gateway that has not proven itself"},
    {"down-unheard", "a session that ended says so"},
    {"early-keys", "no packet leaves by keys that the peer cannot have yet, where it has others"},
    {"esp-sequence", "no ESP sequence number is used twice"},
    {"forgery-believed", "an unauthenticated or repeated datagram changes no established state"},
    {"gave-up", "a connection that was up is rebuilt, however long it takes"},
    {"handover-told", "what is told of a move is what it was"},
    {"held-too-long", "what is held without a network has an end"},
    {"iv-reuse", "no IV is used twice with one key"},
    {"key-left", "memory that is given back holds no key"},
    {"key-reuse", "no two SAs have the same key"},
    {"leak", "when all is closed, no memory is held"},
    {"leftover-sa", "after a settle time each client has one IKE SA and one Child SA"},
    {"malformed", "what is sent is well formed"},
    {"memory-bound", "memory in use stays bounded"},
    {"message-id", "message IDs go up by one"},
    {"misdelivered", "an inner packet comes out at whom it was for"},
    {"move-cost", "a move costs no IKE SA, where both know MOBIKE and some way carries"},
    {"move-late", "who moves says so at once, and soon by all ways"},
    {"move-messages", "nor more messages than it needs"},
    {"move-worse", "who has to move takes the best way"},
    {"moved-unchecked", "nothing is sent to a new address before the check that is configured"},
    {"moved-unasked", "where a client with MOBIKE is, UPDATE_SA_ADDRESSES alone tells"},
    {"no-recovery", "once the network is well, the connection is back in time"},
    {"no-traffic", "and packets pass both ways"},
    {"not-converged", "after a move both sides soon use the same path, which carries"},
    {"not-idle", "who has nothing to do wakes for keepalives alone"},
    {"not-sent", "nothing comes out that no user sent"},
    {"not-stopped", "a stopped client leaves nothing behind at either side"},
    {"outside-selectors", "nothing outside the selectors goes in or comes out"},
    {"path-event", "the driver is told of every path at once"},
    {"plaintext", "no inner packet is readable outside"},
    {"ppk-left-out", "a PPK that both have is in the keys of what stands, and no other"},
    {"retransmission", "a message that is sent again is the same to the octet"},
    {"sa-count", "an IKE SA has few Child SAs"},
    {"sa-mismatch", "both sides hold the same SAs with the same keys"},
    {"sent-unconnected", "without a network nothing is sent"},
    {"source-gone", "nothing is sent from an address that is gone"},
    {"spent-keys", "no packet leaves by a Child SA beyond its time, octets and packets"},
    {"stale-sequence", "nothing comes in whose number lies before the replay window"},
    {"stranger-believed", "nobody hears of the addresses of a gateway that has not proven itself"},
    {"unasked-response", "only requests that came are answered"},
    {"unexpected-error", "calls of the driver fail for want of memory alone"},
    {"unknown-sa", "packets are sent in SAs that stand"},
    {"unprotected", "all but IKE_SA_INIT is encrypted"},
    {"up-before-auth", "no SA before the peer has proven itself"},
    {"window", "one request at a time"},
    {"work-bound", "one input causes a bounded number of datagrams and events"},
    {"wrong-reason", "the reason for an end fits what was wrong"},
};

enum { INVARIANTS = sizeof(invariants) / sizeof(invariants[0]) };

static bool allowed[INVARIANTS];

void check_list(FILE *out)
{
    for (size_t i = 0; i < INVARIANTS; i++)
        fprintf(out, "%-20s %s\n", invariants[i].name, invariants[i].text);
}

int check_index(const char *name)
{
    for (int i = 0; i < INVARIANTS; i++) {
        if (strcmp(invariants[i].name, name) == 0)
            return i;
    }
    return -1;
}

const char *check_name(int index)
{
    return index < INVARIANTS ? invariants[index].name : NULL;
}

void check_allow(int index)
{
    allowed[index] = true;
}

void violate(struct world *w, const char *name, const char *format, ...)
{
    int index = check_index(name);
    ASSERT(index >= 0);
    if (w->violation.set)
        return; /* the first one counts */
    w->violation.set = !allowed[index];
    w->violation.at = w->now;
    snprintf(w->violation.name, sizeof(w->violation.name), "%s", name);
    va_list args;
    va_start(args, format);
    vsnprintf(w->violation.text, sizeof(w->violation.text), format, args);
    va_end(args);
    transcript_note(w, "check", "VIOLATION %s: %s", name, w->violation.text);
}

uint64_t check_print(const struct end *e)
{
    struct session_status s;
    session_status(e->session, &s);
    uint64_t seen[16 + 2 * TUNNEL_CHILDREN_MAX] = {
        s.spi_i,
        s.spi_r,
        (uint64_t)s.state,
        (uint64_t)s.established,
        print_of(ip_span(&s.path.local.ip)),
        print_of(ip_span(&s.path.remote.ip)),
        (uint64_t)s.path.local.port << 16 | s.path.remote.port,
        (uint64_t)s.nat_local << 1 | s.nat_remote,
        e->down,
        e->child_count,
    };
    for (size_t i = 0; i < e->child_count; i++) {
        seen[16 + 2 * i] = (uint64_t)e->children[i].spi_in << 32 | e->children[i].spi_out;
        seen[17 + 2 * i] = e->children[i].key_in;
    }
    return print_of(span_make(seen, sizeof(seen)));
}

/* --- paths --- */

void check_handover(struct end *e, const struct session_handover *h)
{
    struct session_status s;
    char name[24];
    session_status(e->session, &s);
    end_name(e, name);
    if (memory_failed()) /* what came next may be missing */
        return;
    if (!path_equal(&h->to, &s.path))
        violate(e->world, "handover-told", "%s tells of another path than the one it is on", name);
    const struct end *g = gateway_end_of(e->world, e->client);
    struct session_status theirs;
    struct endpoint seen;
    bool lied_to = (e->world->plan.faults & FAULT_FORGERY) != 0 || e->world->step.misled;
    if (g != NULL && !lied_to && network_seen(e->world, e->client, &s.path, &seen)) {
        session_status(g->session, &theirs);
        if (theirs.spi_r == s.spi_r && (!ip_equal(&theirs.path.remote.ip, &seen.ip) ||
                                        !ip_equal(&theirs.path.local.ip, &s.path.remote.ip)))
            violate(e->world, "handover-told", "%s tells of a move that the gateway does not know",
                    name);
    }
    if (h->gap_ms < 0 || (h->messages < 2 && !e->stopping))
        violate(e->world, "handover-told", "%s tells of %" PRId64 " ms and %" PRIu32 " messages",
                name, h->gap_ms, h->messages);
}

/* Until it has been up, only the IKE SA that stands can have said so. */
void check_addresses(struct end *e)
{
    struct session_status s;
    char name[24];
    session_status(e->session, &s);
    if (e->kind == END_CLIENT && !e->was_up && s.established == MONO_NEVER && !memory_failed())
        violate(e->world, "stranger-believed",
                "%s tells of addresses, and nobody has proven itself", end_name(e, name));
}

bool check_way_out(struct end *e)
{
    struct session_status s;
    char name[24];
    if (e->kind != END_CLIENT || client_has(&e->world->clients[e->client], &e->path))
        return true;
    session_status(e->session, &s);
    if (s.state == SESSION_UP)
        violate(e->world, "path-event", "%s is up, and its driver has no path to send by",
                end_name(e, name));
    return false;
}

/* RFC 4555 3.5: by no other message, whatever address it comes from. */
void check_moved(struct end *e, const struct session_status *before, const struct path *path,
                 struct span message)
{
    struct session_status s;
    char name[24];
    session_status(e->session, &s);
    if (path_equal(&before->path, &s.path) || before->spi_i != s.spi_i || s.state == SESSION_DOWN)
        return;
    if (!path_equal(path, &s.path))
        violate(e->world, "moved-unasked", "%s moved its client where no message came from",
                end_name(e, name));
    else if (s.peer_mobike && !message_is_update(message))
        violate(e->world, "moved-unasked", "%s moved its client for what is no UPDATE",
                end_name(e, name));
}

/* RFC 4555 3.7: where the gateway checks, ESP goes to a new address once somebody answered there.
 */
void check_told_path(struct end *e)
{
    const struct session_config *c = &e->world->plan.gateway;
    char name[24];
    if (e->kind == END_GATEWAY && e->up && e->mobike && c->return_routability && !e->answered)
        violate(e->world, "moved-unchecked", "%s sends to an address that nobody answered at",
                end_name(e, name));
}

/* A session that was held without a network learns of one again. */
void check_held(const struct client *c, mono_ms held_ms)
{
    const struct world *w = c->end->world;
    char name[24];
    if (c->end->was_up && w->plan.client.hold_ms != 0 &&
        held_ms > (mono_ms)w->plan.client.hold_ms && end_children(c->end) > 0)
        violate(c->end->world, "held-too-long",
                "%s was held for %" PRId64 " ms, %" PRIu32 " at most", end_name(c->end, name),
                held_ms, w->plan.client.hold_ms);
}

/* May a move of the client's have been too much for its IKE SA? The gateway is patient longer than
 * the client (plan.c), and the client asks by every way within a second or so of doubt, three times
 * before it begins anew. So as long as some way has carried for two seconds, and there never were
 * more than 1.5 s without such a one, the IKE SA has to stand: the gap is below the three
 * transmissions after which a rebuild may win the race (RFC 7296 2.4 leaves that to us). */
static bool must_keep(const struct client *c)
{
    const unsigned harmless = FAULT_ROAMING | FAULT_REORDER | FAULT_DUPLICATE | FAULT_WALL_CLOCK;
    const struct world *w = c->end->world;
    const struct session_lifetimes *a = &w->plan.client.lifetimes, *b = &w->plan.gateway.lifetimes;
    enum { LONG_MS = 40000, BUSY_MS = 1500 };
    return (w->plan.faults & ~harmless) == 0 && (w->plan.faults & FAULT_ROAMING) != 0 &&
           w->plan.client.mobike && w->plan.gateway.mobike && !c->excused && !w->healed &&
           w->plan.traffic_ms <= BUSY_MS && (a->ike_ms == 0 || a->ike_ms > LONG_MS) &&
           (b->ike_ms == 0 || b->ike_ms > LONG_MS) && w->plan.gateway.auth_lifetime_s == 0;
}

static void check_client(struct end *e, const struct session_status *s)
{
    struct world *w = e->world;
    struct client *c = &w->clients[e->client];
    char name[24];
    end_name(e, name);
    if (c->end != e)
        return;
    if (s->state == SESSION_UP && s->ppk != plan_uses_ppk(&w->plan))
        violate(w, "ppk-left-out", "%s is up %s a PPK", name, s->ppk ? "with" : "without");
    if (s->reconnects > e->reconnects && must_keep(c))
        violate(w, "move-cost", "%s has a new IKE SA, and was never out of reach for long", name);
    if (s->reconnects > e->reconnects) {
        c->excused = false;
        c->served_at = w->now;
    }
    e->reconnects = s->reconnects;
    if (s->state == SESSION_UP && e->up && end_children(e) > 0 && !path_equal(&s->path, &e->path))
        violate(w, "path-event", "%s is on a path that its driver was not told of", name);
    if (c->liar_spi != 0 && s->spi_i != c->liar_spi)
        c->liar_spi = 0;
    else if (c->liar_spi != 0 && w->now > c->leave_by && end_children(e) > 0)
        violate(w, "cookie2-believed", "%s stays with a gateway that returned COOKIE2 wrongly",
                name);
}

/* Who has no network waits for that, and for nothing else. */
static bool stranded(const struct end *e)
{
    return e->kind == END_CLIENT && e->world->clients[e->client].told_count == 0;
}

enum { CHILDREN_BOUND = 10, BLOCKS_BOUND = 6000 };

void check_end(struct end *e)
{
    struct world *w = e->world;
    struct session_status s;
    char name[24];
    if (w->violation.set)
        return;
    end_name(e, name);
    session_status(e->session, &s);
    mono_ms next = session_next_timeout(e->session);
    const mono_ms century = (mono_ms)100 * 366 * 86400 * 1000;
    if (s.state == SESSION_DOWN && !e->down)
        violate(w, "down-unheard", "%s is down, and no event said so", name);
    else if (next != MONO_NEVER && next - end_clock(e) > century)
        violate(w, "deadline-never", "%s has a deadline in more than a century", name);
    else if (next == MONO_NEVER && e->kind != END_GATEWAY && e->kind != END_IMPOSTOR &&
             s.state != SESSION_DOWN && s.state != SESSION_UP && s.state != SESSION_IDLE &&
             !stranded(e))
        violate(w, "deadline-never", "%s waits for the peer without a deadline (state %d)", name,
                (int)s.state);
    else if (e->child_count > CHILDREN_BOUND || tunnel_children(e->tunnel) != e->child_count)
        violate(w, "sa-count", "%s has %zu Child SAs, %zu of them in the tunnel", name,
                e->child_count, tunnel_children(e->tunnel));
    if (e->kind == END_CLIENT)
        check_client(e, &s);
    if (memory_blocks() > BLOCKS_BOUND)
        violate(w, "memory-bound", "%zu blocks in use", memory_blocks());
}

void check_reason(struct end *e)
{
    const unsigned disturbed =
        FAULT_CORRUPT | FAULT_FORGERY | FAULT_IMPOSTOR | FAULT_MEMORY | FAULT_COOKIE2;
    struct world *w = e->world;
    if (e->reason == SESSION_DOWN_REQUESTED && !e->stopping)
        violate(w, "wrong-reason", "client%zu ended as requested, and nobody had asked",
                e->client + 1);
    if (e->was_up && (e->reason == SESSION_DOWN_UNREACHABLE || e->reason == SESSION_DOWN_BY_PEER))
        violate(w, "gave-up", "client%zu was up, and ended for reason %d", e->client + 1,
                (int)e->reason);
    if ((w->plan.faults & disturbed) != 0 || e->reason == SESSION_DOWN_REQUESTED ||
        e->reason == SESSION_DOWN_UNREACHABLE || e->reason == SESSION_DOWN_BY_PEER)
        return;
    violate(w, "wrong-reason", "client%zu ended for reason %d, and nobody lied", e->client + 1,
            (int)e->reason);
}

/* --- after healing --- */

static const struct end_child *living_child(const struct end *e)
{
    const struct end_child *c = e->children;
    while (c->drained)
        c++;
    return c;
}

static const char *settled_pair(struct world *w, size_t i, const struct end *g, char *text,
                                size_t cap)
{
    const struct end *c = w->clients[i].end;
    struct session_status ours, theirs;
    session_status(c->session, &ours);
    session_status(g->session, &theirs);
    if (ours.spi_i != theirs.spi_i || ours.spi_r != theirs.spi_r) {
        snprintf(text, cap, "client%zu and its gateway session have different IKE SPIs", i + 1);
        return "sa-mismatch";
    }
    if (end_children(c) != 1 || end_children(g) != 1) {
        snprintf(text, cap, "client%zu has %zu Child SAs, the gateway %zu", i + 1, end_children(c),
                 end_children(g));
        return "leftover-sa";
    }
    const struct end_child *a = living_child(c), *b = living_child(g);
    if (a->spi_in != b->spi_out || a->spi_out != b->spi_in || a->key_in != b->key_out ||
        a->key_out != b->key_in) {
        snprintf(text, cap, "client%zu has Child SA %08x/%08x, the gateway %08x/%08x", i + 1,
                 (unsigned)a->spi_in, (unsigned)a->spi_out, (unsigned)b->spi_out,
                 (unsigned)b->spi_in);
        return "sa-mismatch";
    }
    return NULL;
}

static const char *addresses_known(struct world *w, size_t i, const struct end *g, char *text,
                                   size_t cap)
{
    const struct client *c = &w->clients[i];
    const struct end *e = c->end;
    for (size_t n = 0; n < w->gateway.address_count && e->mobike && !memory_failed(); n++) {
        const struct ip *ip = &w->gateway.addresses[n].ip;
        bool known = n == 0 || ip_equal(ip, &g->path.local.ip) || ip_equal(ip, &e->path.remote.ip);
        for (size_t j = 0; j < c->announced_count; j++)
            known = known || ip_equal(ip, &c->announced[j]);
        snprintf(text, cap, "client%zu has not heard of address %zu of the gateway", i + 1, n);
        if (!known)
            return "addresses-untold";
    }
    return NULL;
}

const char *check_recovered(struct world *w, char *text, size_t cap)
{
    enum { PACKETS = 3 };
    for (size_t i = 0; i < w->plan.clients; i++) {
        const struct client *c = &w->clients[i];
        if (c->end == NULL || !c->end->up) {
            snprintf(text, cap, "client%zu is not up", i + 1);
            return "no-recovery";
        }
        if (c->delivered < PACKETS || c->delivered_in < PACKETS) {
            snprintf(text, cap, "client%zu: %" PRIu64 " packets came through, %" PRIu64 " back",
                     i + 1, c->delivered, c->delivered_in);
            return "no-traffic";
        }
    }
    return NULL;
}

const char *check_settled(struct world *w, char *text, size_t cap)
{
    const char *bad = check_recovered(w, text, cap);
    if (bad != NULL)
        return bad;
    if (gateway_sessions(w) != w->plan.clients) {
        snprintf(text, cap, "the gateway has %zu sessions for %zu clients", gateway_sessions(w),
                 w->plan.clients);
        return "leftover-sa";
    }
    for (size_t i = 0; i < w->plan.clients && bad == NULL; i++) {
        const struct end *g = gateway_end_of(w, i);
        if (g == NULL) {
            snprintf(text, cap, "the gateway has no session of client%zu", i + 1);
            return "leftover-sa";
        }
        bad = settled_pair(w, i, g, text, cap);
        if (bad == NULL)
            bad = addresses_known(w, i, g, text, cap);
    }
    return bad;
}

const char *check_stopped(struct world *w, char *text, size_t cap)
{
    for (size_t i = 0; i < w->plan.clients; i++) {
        if (w->clients[i].end != NULL) {
            snprintf(text, cap, "client%zu has not ended", i + 1);
            return "not-stopped";
        }
    }
    if (gateway_sessions(w) != 0) {
        snprintf(text, cap, "the gateway still has %zu sessions", gateway_sessions(w));
        return "not-stopped";
    }
    return NULL;
}
