/* One session for each client: who is let in (cookies, bounds), whose message it is, and what
 * becomes of a session's events. What a client may is policy.c's, the protocol itself common/ike's.
 *
 * One identity has one session: a newer one replaces the older, which gives a client that was
 * killed and comes back its address again. Newer is what began later, whichever proves itself
 * later: a client that tries one way after the other has given up the earlier, and what it said
 * there may have been long on its way. The older is stopped after the newer has settled, as a
 * policy callback may not call a session. */
#include "tools/gateway/state.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

/* --- making and freeing --- */

/* Where we listen besides, for a client that came there. */
static void list_others(struct gateway *g, const struct ip *here)
{
    struct session_config *s = &g->session;
    s->additional_count = 0;
    for (size_t i = 0; i < g->config->listen_count; i++) {
        const struct ip *ip = &g->config->listen[i];
        if (!ip_equal(ip, here) && !ip_is_unspecified(ip) &&
            s->additional_count < SESSION_ADDITIONAL_MAX)
            s->additional[s->additional_count++] = *ip;
    }
}

static struct client *client_new(struct gateway *g, mono_ms now, const struct path *path)
{
    struct client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    list_others(g, &path->local.ip);
    c->gateway = g;
    c->serial = ++g->serial;
    c->traffic = (struct session_traffic){.last_out = MONO_NEVER, .last_in = MONO_NEVER};
    c->half_open_until = now + HALF_OPEN_MS;
    c->deadline = c->half_open_until;

    g->session.policy.ctx = c;
    enum err err = session_new(&g->session, &c->session);
    if (err == ERR_OK)
        err = tunnel_new(&c->tunnel);
    if (err != ERR_OK) {
        log_error("a new session: %s", err_text(err));
        session_free(c->session);
        free(c);
        return NULL;
    }
    ASSERT(g->client_count < CLIENTS_MAX);
    g->clients[g->client_count++] = c;
    g->half_open++;
    return c;
}

static struct child **bucket(struct gateway *g, uint32_t spi_in)
{
    return &g->by_spi[spi_in % SPI_BUCKETS]; /* SPIs are random: no hash needed */
}

static void forget_child(struct client *c, struct child *child)
{
    struct child **link = bucket(c->gateway, child->spi_in);

    while (*link != child)
        link = &(*link)->next;
    *link = child->next;
    *child = (struct child){.spi_in = 0};
}

static void client_free(struct client *c)
{
    struct gateway *g = c->gateway;

    for (size_t i = 0; i < TUNNEL_CHILDREN_MAX; i++) {
        if (c->children[i].spi_in != 0)
            forget_child(c, &c->children[i]);
    }
    client_release_addresses(c);
    if (c->half_open_until != MONO_NEVER)
        g->half_open--;
    for (size_t i = 0; i < g->client_count; i++) {
        if (g->clients[i] == c) {
            g->clients[i] = g->clients[--g->client_count];
            break;
        }
    }
    tunnel_free(c->tunnel);
    session_free(c->session);
    eap_server_wipe(&c->eap);
    free(c);
}

/* --- events --- */

struct client *client_by_spi(const struct gateway *g, uint32_t spi_in)
{
    for (const struct child *child = g->by_spi[spi_in % SPI_BUCKETS]; child != NULL;
         child = child->next) {
        if (child->spi_in == spi_in)
            return child->client;
    }
    return NULL;
}

void client_move(struct client *c, const struct path *path)
{
    c->path = *path;
    c->socket = gateway_socket_find(c->gateway, &path->local);
}

static void refresh(struct client *c)
{
    struct session_status status;

    session_status(c->session, &status);
    c->peer = status.remote_id;
    /* RFC 7296 2.23; a client that knows MOBIKE says where it is (RFC 4555 3.8). */
    c->follows_packets = status.nat_remote && !status.peer_mobike;
    c->behind_nat = status.nat_remote;
    client_move(c, &status.path);
}

static enum err add_child(struct client *c, const struct session_child *from)
{
    struct child *child = c->children;

    while (child < c->children + TUNNEL_CHILDREN_MAX && child->spi_in != 0)
        child++;
    if (child == c->children + TUNNEL_CHILDREN_MAX)
        return ERR_LIMIT;
    if (client_by_spi(c->gateway, from->spi_in) != NULL)
        return ERR_STATE; /* two sessions drew the same SPI: once in four milliards */

    struct tunnel_child_parameters p = {
        .in = {.spi = from->spi_in,
               .suite = from->suite.cipher,
               .enc_key = from->enc_in,
               .integ_key = from->integ_in,
               .esn = from->suite.esn},
        .out = {.spi = from->spi_out,
                .suite = from->suite.cipher,
                .enc_key = from->enc_out,
                .integ_key = from->integ_out,
                .esn = from->suite.esn},
        .local = from->local,
        .remote = from->remote,
        .replaces_spi_in = from->replaces_spi_in,
        .outbound_waits = from->outbound_waits,
        .soft_bytes = from->soft_bytes,
        .hard_bytes = from->hard_bytes,
        .soft_packets = from->soft_packets,
        .hard_packets = from->hard_packets,
    };
    enum err err = tunnel_add_child(c->tunnel, &p);
    wipe(&p, sizeof(p));
    if (err != ERR_OK)
        return err;
    struct child **head = bucket(c->gateway, from->spi_in);
    *child = (struct child){
        .spi_in = from->spi_in, .spi_out = from->spi_out, .client = c, .next = *head};
    *head = child;
    return ERR_OK;
}

static void on_child_up(struct client *c, mono_ms now, const struct session_child *child)
{
    char local[SELECTOR_LIST_TEXT_MAX], remote[SELECTOR_LIST_TEXT_MAX];
    enum err err = add_child(c, child);

    if (err != ERR_OK) {
        log_error("a Child SA cannot be installed: %s", err_text(err));
        session_stop(c->session, now);
        return;
    }
    refresh(c);
    log_info("Child SA %08x in, %08x out: %s to %s", (unsigned)child->spi_in,
             (unsigned)child->spi_out, selector_list_format(&child->local, local),
             selector_list_format(&child->remote, remote));
}

static void on_child_down(struct client *c, uint32_t spi_in)
{
    for (size_t i = 0; i < TUNNEL_CHILDREN_MAX; i++) {
        if (c->children[i].spi_in != spi_in)
            continue;
        forget_child(c, &c->children[i]);
        if (tunnel_remove_child(c->tunnel, spi_in) == ERR_OK)
            log_info("Child SA %08x is gone", (unsigned)spi_in);
        return;
    }
}

static void on_up(struct client *c)
{
    char who[IDENTITY_TEXT_MAX], from[ENDPOINT_TEXT_MAX];

    refresh(c);
    if (c->half_open_until != MONO_NEVER) {
        c->half_open_until = MONO_NEVER;
        c->gateway->half_open--;
    }
    client_replace_older(c);
    log_info("%s is up from %s", identity_format(&c->peer, who),
             endpoint_format(&c->path.remote, from));
}

/* Strangers may end as many as they like before they are known: one of these a second is told. */
static void tell_end(const struct client *c, mono_ms now, const struct session_event *e)
{
    struct gateway *g = c->gateway;
    bool stranger = c->half_open_until != MONO_NEVER;

    if (stranger && now < g->refusal_log_after)
        return;
    if (stranger)
        g->refusal_log_after = now + DROP_LOG_MS;
    log_info("a session has ended: %s",
             e->down.fault.text[0] != '\0' ? e->down.fault.text : "stopped by us");
}

static void on_event(struct client *c, mono_ms now, const struct session_event *e)
{
    switch (e->type) {
    case SESSION_EVENT_PHASE:
        log_debug("%s", e->phase.text);
        break;
    case SESSION_EVENT_CONFIG: /* an initiator's */
        break;
    case SESSION_EVENT_CHILD_UP:
        on_child_up(c, now, &e->child);
        break;
    case SESSION_EVENT_CHILD_DRAIN:
        if (tunnel_drain_child(c->tunnel, e->child_down_spi_in) != ERR_OK)
            log_debug("a Child SA that was not installed is drained");
        break;
    case SESSION_EVENT_REKEYED:
        log_info(e->rekeyed.ike ? "IKE SA rekeyed" : "Child SA rekeyed");
        c->rekeys++;
        break;
    case SESSION_EVENT_SEARCHING: /* an initiator's */
    case SESSION_EVENT_REDIRECT:
    case SESSION_EVENT_HANDOVER:
    case SESSION_EVENT_PATH_PROBE:
    case SESSION_EVENT_NAT_CHANGED:
    case SESSION_EVENT_LIVENESS:
    case SESSION_EVENT_ADDRESSES:
        break;
    case SESSION_EVENT_CHILD_DOWN:
        on_child_down(c, e->child_down_spi_in);
        break;
    case SESSION_EVENT_UP:
        on_up(c);
        break;
    case SESSION_EVENT_PATH:
        client_move(c, &e->path);
        break;
    case SESSION_EVENT_DOWN:
        c->down = true;
        c->linger_until = now + LINGER_MS;
        client_release_addresses(c);
        tell_end(c, now, e);
        if (c->half_open_until != MONO_NEVER) {
            c->half_open_until = MONO_NEVER;
            c->gateway->half_open--;
        }
        break;
    }
}

static void drain(struct client *c, mono_ms now)
{
    bool more = true;

    while (more) { /* an event's consequence may bring output, and the other way round */
        struct session_datagram out;
        struct session_event event;

        more = false;
        while (session_output(c->session, now, &out)) {
            gateway_send_ike(c->gateway, &out.path, out.bytes);
            more = true;
        }
        while (session_next_event(c->session, &event)) {
            on_event(c, now, &event);
            session_event_wipe(&event);
            more = true;
        }
    }
}

void client_settle(struct client *c, mono_ms now)
{
    struct gateway *g = c->gateway;

    drain(c, now);
    if (c->down && (now >= c->linger_until || g->stopping)) {
        client_free(c);
        if (g->stopping && g->client_count == 0)
            gateway_leave(g);
        return;
    }
    c->deadline = c->down ? c->linger_until
                          : mono_earlier(session_next_timeout(c->session), c->half_open_until);
    gateway_wake_at(g, c->deadline);
}

/* --- messages --- */

static bool is_init_request(struct span message, const struct ike_header *h)
{
    return h->spi_i != 0 && h->spi_r == 0 && h->major == 2 && h->exchange == EXCHANGE_IKE_SA_INIT &&
           h->message_id == 0 &&
           (h->flags & (IKE_FLAG_INITIATOR | IKE_FLAG_RESPONSE)) == IKE_FLAG_INITIATOR &&
           message.len > IKE_HEADER_LEN;
}

static bool cookies_wanted(const struct gateway *g)
{
    switch (g->config->cookies) {
    case GATEWAY_COOKIES_ALWAYS:
        return true;
    case GATEWAY_COOKIES_OFF:
        return false;
    case GATEWAY_COOKIES_AUTO:
        break;
    }
    return g->half_open >= HALF_OPEN_COOKIES;
}

/* Secrets age only while cookies are in use, so that no timer is needed: after a long pause both
 * the current and the previous one are too old. */
static void rotate_jar(struct gateway *g, mono_ms now)
{
    mono_ms age = now - g->jar_made;

    if (age < COOKIE_SECRET_MS)
        return;
    cookie_jar_rotate(&g->jar, &g->session.random);
    if (age >= 2 * COOKIE_SECRET_MS)
        cookie_jar_rotate(&g->jar, &g->session.random);
    g->jar_made = now;
}

/* Without state (RFC 7296 2.6). */
static void challenge(struct gateway *g, const struct path *path, struct span message)
{
    uint8_t out[NON_ESP_MARKER_LEN + 512] = {0};
    size_t marker = path->local.port == IKE_PORT ? 0 : NON_ESP_MARKER_LEN;
    struct span answer;

    if (cookie_jar_challenge(&g->jar, &path->remote, message, out + marker, sizeof(out) - marker,
                             &answer) != ERR_OK) {
        gateway_drop(g, &g->drops.bad, path, "a malformed IKE_SA_INIT request");
        return;
    }
    gateway_send_ike(g, path, span_make(out, marker + answer.len));
}

static void accept_request(struct gateway *g, mono_ms now, const struct path *path,
                           struct span message)
{
    struct session_status status;

    if (cookies_wanted(g)) {
        rotate_jar(g, now);
        if (!cookie_jar_check(&g->jar, &path->remote, message)) {
            challenge(g, path, message);
            return;
        }
    }
    struct client *c = NULL;
    if (!g->stopping && g->client_count < CLIENTS_MAX && g->half_open < HALF_OPEN_MAX)
        c = client_new(g, now, path);
    if (c == NULL) {
        gateway_drop(g, &g->drops.full, path, "no room for another session");
        return;
    }
    session_input(c->session, now, path, message);
    drain(c, now);
    /* Refused, or not even answered: nothing to keep for the next message. */
    session_status(c->session, &status);
    if (status.state == SESSION_IDLE || status.state == SESSION_DOWN)
        c->linger_until = now; /* what was turned away in the clear leaves no state */
    c->down = c->down || status.state == SESSION_IDLE;
    client_settle(c, now);
}

static void stop_replaced(struct gateway *g, mono_ms now)
{
    for (size_t i = g->client_count; i-- > 0;) { /* backwards: settling may free the i-th */
        struct client *c = g->clients[i];

        if (!c->replaced)
            continue;
        c->replaced = false;
        log_info("a newer session of the same identity replaces one");
        session_stop(c->session, now);
        client_settle(c, now);
    }
}

void clients_input(struct gateway *g, mono_ms now, const struct path *path, struct span message)
{
    struct ike_header h;

    if (ike_header_parse(message, &h) != ERR_OK) {
        gateway_drop(g, &g->drops.bad, path, "a malformed IKE header");
        return;
    }
    for (size_t i = 0; i < g->client_count; i++) {
        struct client *c = g->clients[i];

        if (!session_owns(c->session, &h, message))
            continue;
        session_input(c->session, now, path, message);
        client_settle(c, now);
        stop_replaced(g, now);
        return;
    }
    if (is_init_request(message, &h))
        accept_request(g, now, path, message);
    else
        gateway_stray_ike(g, path, &h);
}

/* --- time --- */

mono_ms clients_handle_timeout(struct gateway *g, mono_ms now)
{
    mono_ms next = MONO_NEVER;

    for (size_t i = g->client_count; i-- > 0;) {
        struct client *c = g->clients[i];

        if (c->deadline <= now) {
            if (!c->down && c->half_open_until <= now) {
                log_debug("a session stayed half open for %d seconds", HALF_OPEN_MS / 1000);
                c->down = true;
                c->linger_until = now;
            } else if (!c->down) {
                session_handle_timeout(c->session, now);
            }
            client_settle(c, now);
        }
    }
    for (size_t i = 0; i < g->client_count; i++)
        next = mono_earlier(next, g->clients[i]->deadline);
    return next;
}

void clients_stop(struct gateway *g, mono_ms now)
{
    for (size_t i = g->client_count; i-- > 0;) {
        session_stop(g->clients[i]->session, now);
        client_settle(g->clients[i], now);
    }
}

void clients_close(struct gateway *g)
{
    while (g->client_count > 0)
        client_free(g->clients[g->client_count - 1]);
}
