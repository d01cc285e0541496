/* The session: the shell around its IKE SAs that a driver sees: configuration, queues of datagrams
 * and events, inputs, outputs, views. Which IKE SA it lives on is lifecycle.c's, by which way it
 * goes roam.c's, dead peers are liveness.c's.
 *
 * Invariants: after DOWN no event follows, and nothing is sent but answers that are asked for
 * again; the deadline is never in the past twice in a row, for every timeout handled either sends,
 * ends, or moves its deadline. */
#include "common/ike/session.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/ike/session_state.h"
#include "common/ike/stray.h"

void session_config_default(struct session_config *c)
{
    *c = (struct session_config){
        .random = random_system(),
        .retransmit = {.first_ms = 500, .max_ms = 8000, .growth_percent = 180, .tries = 8},
        .keepalive_ms = 20000,
        .keepalive_learns = true,
        .dpd_ms = 30000,
        .rebuild_first_ms = 1000,
        .rebuild_max_ms = 60000,
        .hold_ms = 30 * 60 * 1000,
        .fragment_mtu = 1280,
        .mobike = true,
    };
}

/* RFC 7296 2.16: who asks by EAP has proven itself by a signature. */
static bool eap_usable(const struct session_config *c)
{
    if (c->role == SESSION_RESPONDER)
        return c->local_auth != SESSION_AUTH_EAP &&
               ((c->remote_auth & SESSION_AUTH_EAP) == 0 ||
                (c->policy.eap != NULL && c->local_auth == SESSION_AUTH_CERTIFICATE));
    return (c->local_auth != SESSION_AUTH_EAP && c->second.auth != SESSION_AUTH_EAP) ||
           ((c->remote_auth & SESSION_AUTH_PSK) == 0 && eap_config_usable(&c->eap));
}

/* RFC 5998 4: EAP proves the gateway where each of its methods proves the server. */
static bool eap_only_usable(const struct session_config *c)
{
    return c->role == SESSION_RESPONDER || (c->remote_auth & SESSION_AUTH_EAP) == 0 ||
           (c->local_auth == SESSION_AUTH_EAP &&
            c->remote_auth == (SESSION_AUTH_EAP | SESSION_AUTH_CERTIFICATE) &&
            eap_config_proves_server(&c->eap));
}

static bool ppk_usable(const struct session_config *c)
{
    if (c->ppk.use == SESSION_PPK_OFF)
        return true;
    return c->role == SESSION_RESPONDER ? c->policy.find_ppk != NULL
                                        : c->ppk.key.len > 0 && c->ppk.id[0] != '\0';
}

static bool second_usable(const struct session_config *c)
{
    const struct session_second *s = &c->second;
    if (c->role == SESSION_RESPONDER || s->auth == 0)
        return s->auth == 0;
    return c->local_auth != SESSION_AUTH_EAP && s->id.type != IDENTITY_NONE &&
           (s->auth != SESSION_AUTH_PSK || s->psk.len > 0) &&
           (s->auth != SESSION_AUTH_CERTIFICATE ||
            (s->key != NULL && s->chain != NULL && s->chain->count > 0));
}

static bool config_usable(const struct session_config *c)
{
    const unsigned known = SESSION_AUTH_PSK | SESSION_AUTH_CERTIFICATE | SESSION_AUTH_EAP;
    if (c->random.fill == NULL || c->ike.count == 0 || c->esp.count == 0 ||
        c->local_id.type == IDENTITY_NONE || c->remote_selectors.count == 0 ||
        c->remote_auth == 0 || (c->remote_auth & ~known) != 0 || c->retransmit.first_ms == 0 ||
        c->retransmit.growth_percent < 100 || proposal_list_first_ke(&c->ike) == KE_NONE ||
        c->rebuild_first_ms == 0 || c->rebuild_max_ms < c->rebuild_first_ms)
        return false;
    if (c->local_auth == SESSION_AUTH_CERTIFICATE &&
        (c->key == NULL || c->chain == NULL || c->chain->count == 0))
        return false;
    if ((c->remote_auth & SESSION_AUTH_CERTIFICATE) != 0 &&
        (c->trust == NULL || c->wall_time == NULL))
        return false;
    if (!eap_usable(c) || !eap_only_usable(c) || !ppk_usable(c) || !second_usable(c))
        return false;
    if (c->role == SESSION_INITIATOR)
        return (c->local_auth != SESSION_AUTH_PSK || c->local_psk.len > 0) &&
               ((c->remote_auth & SESSION_AUTH_PSK) == 0 || c->remote_psk.len > 0) &&
               (!c->send_remote_id || c->remote_id.type != IDENTITY_NONE);
    return true;
}

enum err session_new(const struct session_config *c, struct session **ret)
{
    if (!config_usable(c))
        return ERR_MALFORMED;
    struct session *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return ERR_MEMORY;
    s->config = *c;
    s->out_last = &s->out_first;
    s->event_last = &s->event_first;
    s->traffic = (struct session_traffic){.last_out = MONO_NEVER, .last_in = MONO_NEVER};
    s->unanswered_since = MONO_NEVER;
    s->last_sent = MONO_NEVER;
    s->stop_by = s->attempt_at = MONO_NEVER;
    roam_init(s);
    if (c->role == SESSION_RESPONDER) {
        enum err e = sa_new(s, &s->config, false, &s->sas[0]);
        if (e != ERR_OK) {
            session_free(s);
            return e;
        }
    }
    *ret = s;
    return ERR_OK;
}

void session_free(struct session *s)
{
    if (s == NULL)
        return;
    struct session_event event;
    while (session_next_event(s, &event))
        session_event_wipe(&event);
    while (s->out_first != NULL) {
        struct outgoing *o = s->out_first;
        s->out_first = o->next;
        free(o);
    }
    free(s->handed_out);
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (s->children[i] != NULL)
            wipe(s->children[i], sizeof(*s->children[i]));
        free(s->children[i]);
    }
    for (size_t i = 0; i < SESSION_SAS_MAX; i++)
        sa_free(s->sas[i]);
    wipe(s, sizeof(*s));
    free(s);
}

void session_set_trust(struct session *s, const struct trust_store *trust,
                       const struct trust_store *eap_trust)
{
    ASSERT(trust != NULL && s->config.trust != NULL);
    s->config.trust = trust;
    s->config.eap.trust = eap_trust;
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        if (s->sas[i] != NULL && s->sas[i]->handshake != NULL && s->sas[i]->handshake->eap != NULL)
            eap_peer_set_trust(s->sas[i]->handshake->eap, eap_trust);
    }
}

/* --- for the exchanges --- */

uint8_t *session_buffer(struct session *s)
{
    return s->buffer;
}

uint8_t *session_scratch(struct session *s)
{
    return s->scratch;
}

uint8_t *session_train(struct session *s)
{
    return s->train;
}

struct child_sa **session_children(const struct session *s)
{
    /* The list is the session's, whoever looks at it. */
    union {
        struct child_sa *const *of_const;
        struct child_sa **plain;
    } children = {.of_const = s->children};
    return children.plain;
}

const struct selector_list *session_scope_local(const struct session *s)
{
    return &s->scope_local;
}

const struct selector_list *session_scope_remote(const struct session *s)
{
    return &s->scope_remote;
}

void session_set_scope(struct session *s, const struct selector_list *local,
                       const struct selector_list *remote)
{
    s->scope_local = *local;
    s->scope_remote = *remote;
}

const struct configuration *session_assigned(const struct session *s)
{
    return &s->assigned;
}

void session_set_assigned(struct session *s, const struct configuration *c)
{
    s->assigned = *c;
}

/* RFC 7296 2.23, 3.1: four zero octets stand before IKE on every port but 500. The gateway's end of
 * the path decides, whichever end we are. */
static bool needs_marker(const struct session *s, const struct path *path)
{
    const struct endpoint *gateway =
        s->config.role == SESSION_INITIATOR ? &path->remote : &path->local;
    return gateway->port != IKE_PORT;
}

/* After `marker` zero octets. */
static void queue(struct session *s, const struct path *path, size_t marker, struct span bytes)
{
    struct outgoing *o = malloc(sizeof(*o) + marker + bytes.len);
    if (o == NULL) {
        log_warn("no memory to send %zu octets; the next retransmission will", bytes.len);
        return;
    }
    o->next = NULL;
    o->path = *path;
    o->len = marker + bytes.len;
    memset(o->bytes, 0, marker);
    memcpy(o->bytes + marker, bytes.data, bytes.len);
    *s->out_last = o;
    s->out_last = &o->next;
}

void session_queue(struct session *s, const struct path *path, struct span bytes)
{
    queue(s, path, 0, bytes);
}

void session_transmit(struct session *s, const struct path *path, struct span train)
{
    size_t marker = needs_marker(s, path) ? NON_ESP_MARKER_LEN : 0;
    struct span message;
    while (fragment_train_next(&train, &message))
        queue(s, path, marker, message);
}

struct session_event *session_emit(struct session *s, enum session_event_type type)
{
    struct queued_event *q = calloc(1, sizeof(*q));
    if (q == NULL) {
        s->broken |= type == SESSION_EVENT_CHILD_DRAIN || type == SESSION_EVENT_CHILD_DOWN ||
                     type == SESSION_EVENT_UP || type == SESSION_EVENT_PATH;
        return NULL;
    }
    q->event.type = type;
    *s->event_last = q;
    s->event_last = &q->next;
    return &q->event;
}

/* --- input --- */

static bool is_init_request(const struct ike_header *h)
{
    return h->exchange == EXCHANGE_IKE_SA_INIT && h->spi_r == 0 &&
           (h->flags & IKE_FLAG_RESPONSE) == 0;
}

static bool sa_owns(const struct ike_sa *sa, const struct ike_header *h, struct span message)
{
    if (h->spi_i != sa->spi_i || h->spi_i == 0)
        return false;
    /* RFC 7296 2.1: an SPI that a stranger chose does not tell a repeat from a new request; the
     * whole of it does. */
    if (is_init_request(h)) {
        uint8_t hash[SHA256_LEN];
        hash_sha256(&message, 1, hash);
        return !sa->initiator && memcmp(hash, sa->init_hash, sizeof(hash)) == 0;
    }
    return h->spi_r == sa->spi_r;
}

/* Whoever answers IKE_SA_INIT chooses spi_r. */
static bool sa_asks(const struct ike_sa *sa, const struct ike_header *h)
{
    return sa->initiator && sa->state == SA_INIT_SENT && h->spi_i == sa->spi_i &&
           h->exchange == EXCHANGE_IKE_SA_INIT;
}

static struct ike_sa *find_sa(const struct session *s, const struct ike_header *h,
                              struct span message)
{
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        if (s->sas[i] != NULL && sa_owns(s->sas[i], h, message))
            return s->sas[i];
    }
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        if (s->sas[i] != NULL && sa_asks(s->sas[i], h))
            return s->sas[i];
    }
    return NULL;
}

bool session_owns(const struct session *s, const struct ike_header *h, struct span message)
{
    return find_sa(s, h, message) != NULL;
}

/* INVALID_SPI of one of our Child SAs, or INVALID_IKE_SPI in answer to our request: the peer may
 * have restarted, or anybody may say so. */
static void heed_notice(struct session *s, mono_ms now, const struct ike_header *h,
                        struct span message)
{
    struct span data;
    struct wire_reader r;
    if (stray_notice(message, h, NOTIFY_INVALID_IKE_SPI, &data)) {
        if (s->current != NULL && h->spi_i == s->current->spi_i && h->spi_r == s->current->spi_r)
            session_suspect(s, now);
    } else if (stray_notice(message, h, NOTIFY_INVALID_SPI, &data)) {
        wire_reader_init(&r, data);
        uint32_t spi = wire_read_u32(&r);
        struct child_sa *c = s->current != NULL && wire_read_finish(&r) == ERR_OK
                                 ? child_by_spi_out(s->current, spi)
                                 : NULL;
        if (c != NULL)
            liveness_doubt_child(s, now, c);
    }
}

/* False where it was of no use. */
static bool take_in(struct session *s, mono_ms now, const struct path *path, struct span message)
{
    struct ike_header h;
    if (ike_header_parse(message, &h) != ERR_OK)
        return false;
    if (h.next_payload == PAYLOAD_NOTIFY && h.exchange != EXCHANGE_IKE_SA_INIT)
        heed_notice(s, now, &h, message);
    struct ike_sa *sa = find_sa(s, &h, message);
    bool fresh =
        s->config.role == SESSION_RESPONDER && s->sas[0] != NULL && s->sas[0]->state == SA_IDLE;
    if (sa == NULL && fresh && !s->down)
        sa = s->sas[0];
    if (sa == NULL)
        return false;
    bool used = sa_input(sa, now, path, &h, message);
    lifecycle_settle(s, now);
    return used;
}

void session_input(struct session *s, mono_ms now, const struct path *path, struct span message)
{
    if (!take_in(s, now, path, message))
        s->dropped++;
}

uint64_t session_dropped(const struct session *s)
{
    return s->dropped;
}

mono_ms session_next_timeout(const struct session *s)
{
    if (s->down)
        return MONO_NEVER;
    mono_ms next = mono_earlier(lifecycle_next_timeout(s), liveness_next_timeout(s));
    next = mono_earlier(next, mono_earlier(roam_next_timeout(s), keepalive_next_timeout(s)));
    next = mono_earlier(next, addresses_next_timeout(s));
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        if (s->sas[i] != NULL)
            next = mono_earlier(next, sa_next_timeout(s->sas[i]));
    }
    return next;
}

void session_handle_timeout(struct session *s, mono_ms now)
{
    if (s->down)
        return;
    lifecycle_handle_timeout(s, now);
    roam_handle_timeout(s, now);
    addresses_handle_timeout(s, now);
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        if (s->sas[i] != NULL)
            sa_handle_timeout(s->sas[i], now);
    }
    keepalive_handle_timeout(s, now);
    lifecycle_settle(s, now);
}

/* --- output --- */

bool session_output(struct session *s, mono_ms now, struct session_datagram *ret)
{
    free(s->handed_out);
    s->handed_out = NULL;
    struct outgoing *o = s->out_first;
    if (o == NULL)
        return false;
    s->out_first = o->next;
    if (s->out_first == NULL)
        s->out_last = &s->out_first;
    s->handed_out = o;
    s->last_sent = now;
    *ret = (struct session_datagram){.path = o->path, .bytes = span_make(o->bytes, o->len)};
    return true;
}

bool session_next_event(struct session *s, struct session_event *ret)
{
    struct queued_event *q = s->event_first;
    if (q == NULL && s->down && !s->down_told) {
        *ret = (struct session_event){.type = SESSION_EVENT_DOWN};
        ret->down.reason = s->down_reason;
        ret->down.fault = s->down_fault;
        s->down_told = true;
        return true;
    }
    if (q == NULL)
        return false;
    s->event_first = q->next;
    if (s->event_first == NULL)
        s->event_last = &s->event_first;
    *ret = q->event;
    session_event_wipe(&q->event);
    free(q);
    return true;
}

void session_event_wipe(struct session_event *e)
{
    wipe(e, sizeof(*e));
}

/* --- views --- */

static enum session_state state_of(const struct session *s)
{
    if (s->down)
        return SESSION_DOWN;
    if (s->stopping)
        return SESSION_STOPPING;
    if (s->searching || (s->was_up && s->current == NULL))
        return SESSION_SEARCHING;
    if (s->was_up)
        return SESSION_UP;
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        if (s->sas[i] != NULL && s->sas[i]->state != SA_IDLE)
            return SESSION_CONNECTING;
    }
    return s->started ? SESSION_CONNECTING : SESSION_IDLE;
}

void session_status(const struct session *s, struct session_status *ret)
{
    const struct ike_sa *sa = s->current != NULL ? s->current : attempt_face(s);
    if (sa == NULL)
        sa = s->sas[0];
    *ret = (struct session_status){
        .state = state_of(s),
        .local_id = s->config.local_id,
        .established = MONO_NEVER,
        .rtt_ms = -1,
        .reconnects = s->reconnects,
    };
    if (sa == NULL)
        return;
    ret->spi_i = sa->spi_i;
    ret->spi_r = sa->spi_r;
    ret->ike = sa->suite;
    ret->path = sa->path;
    ret->nat_local = sa->nat_local;
    ret->nat_remote = sa->nat_remote;
    ret->peer_fragmentation = sa->peer_fragmentation;
    ret->peer_mobike = sa->peer_mobike;
    ret->ppk = sa->ppk;
    ret->remote_id = sa->peer_id;
    ret->established = sa->established;
    ret->rtt_ms = sa->rtt_ms;
    ret->ike_rekeys = sa->rekeys;
    ret->handovers = s->roam.handovers;
    ret->moving = s->roam.moving;
    ret->outstanding = sa->window.request.active;
    ret->eap = sa->handshake != NULL && sa->handshake->eap != NULL;
}

uint32_t session_child_rekeys(const struct session *s, uint32_t spi_in)
{
    const struct child_sa *c = child_by_spi_in(s, spi_in);
    return c != NULL ? c->generation : 0;
}
