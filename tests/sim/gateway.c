/* The gateway's driver: the policy of tools/gateway (one session for each client, of the same
 * identity the one that began last, cookies under load, an address pool) without a loop and
 * sockets. */
#include "tests/sim/sim.h"

#include "common/ike/stray.h"

/* --- policy --- */

static enum err find_psk(void *ctx, const struct identity *peer, struct secret *ret)
{
    const struct end *e = ctx;
    static const char prefix[] = "client";
    if (peer->len < sizeof(prefix) || memcmp(peer->data, prefix, sizeof(prefix) - 1) != 0)
        return ERR_NOT_FOUND;
    *ret = e->world->psk;
    return ERR_OK;
}

static enum err find_password(void *ctx, struct span name, struct secret *ret_password,
                              struct identity *ret_peer)
{
    char text[EAP_NAME_MAX + 1] = "";
    (void)ctx;
    memcpy(text, name.data, name.len < EAP_NAME_MAX ? name.len : EAP_NAME_MAX);
    if (strncmp(text, "client", 6) != 0 || identity_parse(text, ret_peer) != ERR_OK)
        return ERR_NOT_FOUND;
    return secret_set(ret_password, span_text(EAP_PASSWORD));
}

enum err gateway_ppk(void *ctx, const struct identity *peer, struct span id, struct secret *ret)
{
    const struct end *e = ctx;
    (void)peer;
    if (!e->world->plan.ppk_known || !span_equal(id, span_text(PPK_ID)))
        return ERR_NOT_FOUND;
    return secret_set(ret, span_text(PPK_KEY));
}

enum err gateway_eap(void *ctx, const struct identity *claimed, struct span response,
                     struct session_eap_step *ret)
{
    struct end *e = ctx;
    /* Mostly what the client has stands last, and it says so (Nak). */
    const struct session_config *config = &e->world->plan.gateway;
    struct eap_server_policy policy = {
        .methods = {EAP_MD5, EAP_GTC, EAP_MSCHAPV2, EAP_TLS},
        .method_count = 4,
        .tls = {.server = true, .key = e->key, .chain = e->chain, .trust = config->trust},
        .wall_time = config->wall_time,
        .ctx = config->wall_time_ctx,
        .random = {rng_fill, &e->world->gateway.random},
        .find_password = find_password};
    (void)claimed;
    if (config->eap_only) {
        policy.methods[0] = EAP_TLS;
        policy.method_count = 1;
    }
    return eap_server_step(&e->eap, &policy, response, ret);
}

static void release(struct end *e)
{
    if (e->leased)
        pool_release(e->world->gateway.pool, &e->inner);
    e->leased = false;
}

static void replace_older(struct end *e)
{
    struct gateway *g = &e->world->gateway;
    for (size_t i = 0; i < g->count; i++) {
        struct end *other = g->ends[i];
        if (other == e || other->down || !identity_equal(&other->peer, &e->peer))
            continue;
        struct end *older = other->serial < e->serial ? other : e;
        release(older);
        older->replaced = true;
    }
}

enum err gateway_assign(struct end *e, const struct identity *peer,
                        const struct configuration *request, struct configuration *ret_reply)
{
    struct configuration reply = {.type = CP_REPLY};
    e->peer = *peer;
    for (size_t i = 0; i < e->world->plan.clients; i++) {
        if (peer->len > 6 && peer->data[6] == '1' + (int)i)
            e->client = i;
    }
    replace_older(e);
    if (e->replaced)
        return ERR_REFUSED;
    release(e);
    if (pool_lease(e->world->gateway.pool, IP_V4, &request->addresses[0].ip, peer, e, &e->inner) !=
        ERR_OK)
        return ERR_REFUSED;
    e->leased = true;
    reply.addresses[reply.address_count++] = prefix_host(&e->inner);
    *ret_reply = reply;
    return ERR_OK;
}

static enum err assign(void *ctx, const struct identity *peer, const struct configuration *request,
                       struct configuration *ret_reply)
{
    return gateway_assign(ctx, peer, request, ret_reply);
}

/* --- the machine --- */

void gateway_open(struct world *w)
{
    struct gateway *g = &w->gateway;
    const struct prefix inner = {ip_v4(10, 7, 0, 0), 24};
    const struct random_source random = {rng_fill, &g->random};
    if (pool_new(&inner, 1, &g->pool) != ERR_OK)
        return; /* no memory: again when it is asked for */
    cookie_jar_init(&g->jar, &random);
    g->alive = true;
}

static void remove_end(struct world *w, struct end *e)
{
    struct gateway *g = &w->gateway;
    release(e);
    if (e->half_open_until != MONO_NEVER)
        g->half_open--;
    for (size_t i = 0; i < g->count; i++) {
        if (g->ends[i] == e) {
            g->ends[i] = g->ends[--g->count];
            break;
        }
    }
    end_free(e);
}

void gateway_close(struct world *w)
{
    struct gateway *g = &w->gateway;
    while (g->count > 0)
        remove_end(w, g->ends[g->count - 1]);
    pool_free(g->pool);
    g->pool = NULL;
    g->alive = false;
}

/* All addresses of ours but the one in use. */
static size_t other_addresses(const struct world *w, const struct ip *used,
                              struct ip ret[SESSION_ADDITIONAL_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < w->gateway.address_count; i++) {
        const struct gateway_address *a = &w->gateway.addresses[i];
        if (a->announced && !ip_equal(&a->ip, used))
            ret[count++] = a->ip;
    }
    return count;
}

static struct end *accept_end(struct world *w, const struct path *path)
{
    struct gateway *g = &w->gateway;
    for (size_t i = 0; g->count == GATEWAY_ENDS_MAX && i < g->count; i++) {
        if (g->ends[i]->down)
            remove_end(w, g->ends[i]);
    }
    if (g->count == GATEWAY_ENDS_MAX || g->half_open == HALF_OPEN_MAX)
        return NULL;
    struct session_config config = w->plan.gateway;
    config.random = (struct random_source){rng_fill, &g->random};
    config.policy = (struct session_policy){
        .find_psk = find_psk, .assign = assign, .eap = gateway_eap, .find_ppk = gateway_ppk};
    size_t additional = other_addresses(w, &path->local.ip, config.additional);
    config.additional_count = additional;
    struct end *e = end_new(w, END_GATEWAY, &config);
    wipe(&config, sizeof(config));
    if (e == NULL)
        return NULL;
    e->additional = additional;
    e->half_open_until = gateway_clock(w) + HALF_OPEN_MS;
    g->ends[g->count++] = e;
    g->half_open++;
    return e;
}

/* All of them: the client may be moving, and then hears of it at another one. */
static void announce(struct end *e)
{
    struct ip all[SESSION_ADDITIONAL_MAX];
    const struct ip none = {.family = IP_NONE};
    size_t count = other_addresses(e->world, &none, all);
    enum err err = session_set_additional(e->session, end_clock(e), all, count);
    if (err != ERR_OK && err != ERR_STATE)
        violate(e->world, "unexpected-error", "session_set_additional: %s", err_text(err));
}

/* After its session has been given something: is it up, is it gone? */
static void settled(struct world *w, struct end *e)
{
    struct gateway *g = &w->gateway;
    struct ip others[SESSION_ADDITIONAL_MAX];
    if (e->up && e->half_open_until != MONO_NEVER) {
        e->half_open_until = MONO_NEVER;
        g->half_open--;
        replace_older(e);
        if (e->additional != other_addresses(w, &e->path.local.ip, others)) {
            announce(e); /* they changed meanwhile */
            end_settle(e);
        }
    }
    if (!e->down)
        return;
    release(e);
    if (e->half_open_until != MONO_NEVER)
        g->half_open--;
    e->half_open_until = MONO_NEVER;
    if (e->linger_until <= gateway_clock(w))
        remove_end(w, e);
}

size_t gateway_sessions(const struct world *w)
{
    size_t count = 0;
    for (size_t i = 0; i < w->gateway.count; i++)
        count += w->gateway.ends[i]->down ? 0 : 1;
    return count;
}

static void stop_replaced(struct world *w)
{
    struct gateway *g = &w->gateway;
    for (size_t i = g->count; i-- > 0;) {
        struct end *e = g->ends[i];
        if (!e->replaced)
            continue;
        e->replaced = false;
        gateway_stop_end(w, e);
    }
}

void gateway_stop_end(struct world *w, struct end *e)
{
    e->stopping = true;
    session_stop(e->session, gateway_clock(w));
    end_settle(e);
    settled(w, e);
}

/* --- messages --- */

/* To a stranger, in the clear, and not often. */
static void notice(struct world *w, const struct path *path, struct span message)
{
    uint8_t out[NON_ESP_MARKER_LEN + STRAY_MAX] = {0};
    size_t marker = path->local.port == IKE_PORT ? 0 : NON_ESP_MARKER_LEN;
    if (gateway_clock(w) < w->gateway.notice_after)
        return;
    w->gateway.notice_after = gateway_clock(w) + NOTICE_MS;
    memcpy(out + marker, message.data, message.len);
    network_send(w, NULL, path, span_make(out, marker + message.len));
}

static bool is_init_request(const struct ike_header *h)
{
    return h->spi_i != 0 && h->spi_r == 0 && h->major == 2 && h->exchange == EXCHANGE_IKE_SA_INIT &&
           h->message_id == 0 && (h->flags & IKE_FLAG_INITIATOR) != 0 &&
           (h->flags & IKE_FLAG_RESPONSE) == 0;
}

static void challenge(struct world *w, const struct path *path, struct span message)
{
    uint8_t out[NON_ESP_MARKER_LEN + 512] = {0};
    size_t marker = path->local.port == IKE_PORT ? 0 : NON_ESP_MARKER_LEN;
    struct span answer;
    if (cookie_jar_challenge(&w->gateway.jar, &path->remote, message, out + marker,
                             sizeof(out) - marker, &answer) == ERR_OK)
        network_send(w, NULL, path, span_make(out, marker + answer.len));
}

static void begin_session(struct world *w, const struct path *path, struct span message)
{
    struct gateway *g = &w->gateway;
    bool wanted = w->plan.cookies == COOKIES_ALWAYS ||
                  (w->plan.cookies == COOKIES_AUTO && g->half_open >= COOKIES_FROM);
    if (wanted && !cookie_jar_check(&g->jar, &path->remote, message)) {
        challenge(w, path, message);
        return;
    }
    struct end *e = accept_end(w, path);
    if (e == NULL)
        return;
    end_input(e, path, message);
    struct session_status status;
    session_status(e->session, &status);
    if (status.state == SESSION_IDLE || status.state == SESSION_DOWN) {
        e->down = true; /* turned away in the clear, or not even answered */
        e->linger_until = gateway_clock(w);
    }
    settled(w, e);
}

static void to_end(struct world *w, struct end *e, const struct path *path,
                   const struct ike_header *h, struct span message, const struct datagram *d)
{
    bool established = e->up;
    uint64_t before = established ? check_print(e) : 0;
    bool fresh = d->sealed && !observe_delivered(e, h, message, d->genuine);
    struct session_status status;
    session_status(e->session, &status);
    memory_mangle_cookie2(has_fault(w, FAULT_COOKIE2) && w->gateway.lying_until > w->now);
    e->answered = (h->flags & IKE_FLAG_RESPONSE) != 0;
    end_input(e, path, message);
    e->answered = false;
    if (memory_mangle_cookie2(false))
        observe_lie(w, h);
    if (established)
        check_moved(e, &status, path, message);
    if (established && !(fresh && d->genuine) && !memory_failed() && check_print(e) != before)
        violate(w, "forgery-believed",
                "the gateway: an unauthenticated datagram changed a session");
    settled(w, e);
    stop_replaced(w);
}

static void ike_in(struct world *w, const struct path *path, struct span message,
                   const struct datagram *d)
{
    struct gateway *g = &w->gateway;
    struct ike_header h;
    if (ike_header_parse(message, &h) != ERR_OK)
        return;
    for (size_t i = 0; i < g->count; i++) {
        if (!session_owns(g->ends[i]->session, &h, message))
            continue;
        to_end(w, g->ends[i], path, &h, message, d);
        return;
    }
    uint8_t out[STRAY_MAX];
    struct span answer;
    if (is_init_request(&h))
        begin_session(w, path, message);
    else if (stray_answer(&h, out, &answer))
        notice(w, path, answer);
}

static void esp_in(struct world *w, const struct path *path, struct span payload)
{
    struct gateway *g = &w->gateway;
    if (payload.len < ESP_HEADER_LEN)
        return;
    const uint8_t *b = payload.data;
    uint32_t spi = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    for (size_t i = 0; i < g->count; i++) {
        struct end *e = g->ends[i];
        for (size_t j = 0; j < e->child_count; j++) {
            if (e->children[j].spi_in == spi) {
                end_esp_in(e, path, payload);
                settled(w, e);
                return;
            }
        }
    }
    uint8_t out[STRAY_MAX];
    notice(w, path, stray_esp_notice(spi, out));
}

void gateway_datagram(struct world *w, struct datagram *d)
{
    if (!w->gateway.alive || w->gateway.paused)
        return;
    const struct path path = {.local = d->to, .remote = d->from, .interface = 1};
    struct span payload = span_make(d->bytes, d->len), message;
    switch (datagram_classify(d->to.port != IKE_PORT, payload, &message)) {
    case DATAGRAM_IKE:
        ike_in(w, &path, message, d);
        break;
    case DATAGRAM_ESP:
        esp_in(w, &path, payload);
        break;
    case DATAGRAM_KEEPALIVE:
    case DATAGRAM_BAD:
        break;
    }
}

struct end *gateway_end_for(const struct world *w, const struct ip *inner)
{
    return w->gateway.alive ? pool_holder(w->gateway.pool, inner) : NULL;
}

/* --- time --- */

mono_ms gateway_deadline(const struct world *w)
{
    mono_ms next = MONO_NEVER;
    const struct gateway *g = &w->gateway;
    for (size_t i = 0; !g->paused && i < g->count; i++)
        next = mono_earlier(next, end_deadline(g->ends[i]));
    return next;
}

void gateway_timeouts(struct world *w)
{
    struct gateway *g = &w->gateway;
    for (size_t i = g->count; !g->paused && i-- > 0;) {
        struct end *e = g->ends[i];
        if (end_deadline(e) > w->now)
            continue;
        if (!e->down && e->half_open_until <= gateway_clock(w)) {
            e->down = true;
            e->linger_until = gateway_clock(w);
        } else if (!e->down) {
            end_timeout(e);
        }
        settled(w, e);
    }
}

struct end *gateway_end_of(const struct world *w, size_t client)
{
    struct end *e = NULL;
    for (size_t i = 0; i < w->gateway.count; i++) {
        struct end *other = w->gateway.ends[i];
        if (other->up && !other->down && other->client == client &&
            (e == NULL || other->serial > e->serial))
            e = other;
    }
    return e;
}

void gateway_announce(struct world *w)
{
    struct gateway *g = &w->gateway;
    for (size_t i = 0; g->alive && !g->paused && i < g->count; i++) {
        struct end *e = g->ends[i];
        if (!e->up || e->down)
            continue;
        announce(e);
        end_settle(e);
        settled(w, e);
    }
}

/* What administrators do at a gateway. */
void gateway_command(struct world *w)
{
    struct gateway *g = &w->gateway;
    if (!g->alive || g->paused || g->count == 0)
        return;
    struct end *e = g->ends[rng_below(&w->random, g->count)];
    if (!e->up || e->down)
        return;
    enum err err = ERR_OK;
    if (rng_chance(&w->random, 700)) {
        enum session_rekey what = (enum session_rekey)rng_below(&w->random, 3);
        transcript_note(w, "gateway", "command: rekey %d", (int)what);
        err = session_rekey(e->session, gateway_clock(w), what);
    } else if (rng_chance(&w->random, 200)) {
        const struct redirect_target to = {.ip = gateway_outer()};
        transcript_note(w, "gateway", "command: redirect");
        err = session_redirect(e->session, gateway_clock(w), &to);
    } else {
        transcript_note(w, "gateway", "command: delete the IKE SA");
        e->stopping = true;
        session_stop(e->session, gateway_clock(w));
    }
    if (err != ERR_OK && err != ERR_STATE && err != ERR_MEMORY)
        violate(w, "unexpected-error", "a command at the gateway: %s", err_text(err));
    end_settle(e);
    settled(w, e);
}

static enum err rekey(struct end *e, enum session_rekey what)
{
    enum err err = session_rekey(e->session, end_clock(e), what);
    end_settle(e);
    return err == ERR_STATE || err == ERR_MEMORY ? ERR_OK : err;
}

void gateway_rekey_ike(struct world *w, size_t client)
{
    struct end *g = gateway_end_of(w, client);
    if (g == NULL || w->gateway.paused)
        return;
    transcript_note(w, "gateway", "command: rekey the IKE SA");
    if (rekey(g, SESSION_REKEY_IKE) != ERR_OK)
        violate(w, "unexpected-error", "the gateway could not rekey");
    settled(w, g);
}

void gateway_rekey_together(struct world *w, size_t client, enum session_rekey what)
{
    struct client *c = &w->clients[client];
    struct end *g = gateway_end_of(w, client);
    if (g == NULL || w->gateway.paused || c->end == NULL || c->paused)
        return;
    transcript_note(w, "both", "command: rekey %d", (int)what);
    enum err err = rekey(c->end, what);
    if (err == ERR_OK)
        err = rekey(g, what);
    if (err != ERR_OK)
        violate(w, "unexpected-error", "rekeying together: %s", err_text(err));
    client_settled(w, client);
    settled(w, g);
}
