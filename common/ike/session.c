/* The session: the shell around the IKE SA that a driver sees. Holds what outlives an attempt: the
 * configuration, the ways to the gateway, the queues of datagrams and events, liveness.
 *
 * Invariants: after DOWN nothing is sent and no event follows; the deadline is never in the past
 * twice in a row, for every timeout handled either sends, ends, or moves its deadline. */
#include "common/ike/session.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/ike/sa.h"

struct outgoing {
    struct outgoing *next;
    struct path path;
    size_t len;
    uint8_t bytes[];
};

struct queued_event {
    struct queued_event *next;
    struct session_event event;
};

struct session {
    struct session_config config;
    struct ike_sa sa;
    bool started;
    bool down;
    bool remote_id_withheld; /* the one retry without IDr has been made */

    struct path candidates[SESSION_PATHS_MAX];
    size_t candidate_count, candidate;
    unsigned attempts; /* IKE_SA_INIT tried on a candidate */

    struct outgoing *out_first, **out_last;
    struct outgoing *handed_out; /* what session_output returned last; freed at the next call */
    struct queued_event *event_first, **event_last;

    struct session_traffic traffic; /* as last reported */
    mono_ms unanswered_since;       /* first packet out after the last one in; MONO_NEVER: none */
    mono_ms last_sent;              /* anything on the path */

    uint8_t buffer[IKE_MESSAGE_MAX];
    uint8_t scratch[IKE_MESSAGE_MAX];
};

/* Transmissions on one of several candidates before the next one gets its turn. */
enum { TRIES_PER_CANDIDATE = 2 };

void session_config_default(struct session_config *c)
{
    *c = (struct session_config){
        .random = random_system(),
        .retransmit = {.first_ms = 500, .max_ms = 8000, .growth_percent = 180, .tries = 8},
        .keepalive_ms = 20000,
        .dpd_ms = 30000,
    };
}

static bool config_usable(const struct session_config *c)
{
    const unsigned both = SESSION_AUTH_PSK | SESSION_AUTH_CERTIFICATE;
    if (c->random.fill == NULL || c->ike.count == 0 || c->esp.count == 0 ||
        c->local_id.type == IDENTITY_NONE || c->remote_selectors.count == 0 ||
        c->remote_auth == 0 || (c->remote_auth & ~both) != 0 || c->retransmit.first_ms == 0 ||
        c->retransmit.growth_percent < 100 || proposal_list_first_ke(&c->ike) == KE_NONE)
        return false;
    if (c->local_auth == SESSION_AUTH_CERTIFICATE &&
        (c->key == NULL || c->chain == NULL || c->chain->count == 0))
        return false;
    if ((c->remote_auth & SESSION_AUTH_CERTIFICATE) != 0 &&
        (c->trust == NULL || c->wall_time == NULL))
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
    s->traffic = (struct session_traffic){MONO_NEVER, MONO_NEVER};
    s->unanswered_since = MONO_NEVER;
    s->last_sent = MONO_NEVER;
    sa_init(&s->sa, s, &s->config);
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
    sa_wipe(&s->sa);
    wipe(s, sizeof(*s));
    free(s);
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

/* RFC 7296 2.23, 3.1: four zero octets stand before IKE on every port but 500. The gateway's end of
 * the path decides, whichever end we are. */
static bool needs_marker(const struct session *s, const struct path *path)
{
    const struct endpoint *gateway =
        s->config.role == SESSION_INITIATOR ? &path->remote : &path->local;
    return gateway->port != IKE_PORT;
}

void session_transmit(struct session *s, const struct path *path, struct span message)
{
    size_t marker = needs_marker(s, path) ? NON_ESP_MARKER_LEN : 0;
    struct outgoing *o = malloc(sizeof(*o) + marker + message.len);
    if (o == NULL) {
        log_warn("no memory to send %zu octets; the next retransmission will", message.len);
        return;
    }
    o->next = NULL;
    o->path = *path;
    o->len = marker + message.len;
    memset(o->bytes, 0, marker);
    memcpy(o->bytes + marker, message.data, message.len);
    *s->out_last = o;
    s->out_last = &o->next;
}

struct session_event *session_emit(struct session *s, enum session_event_type type)
{
    struct queued_event *q = calloc(1, sizeof(*q));
    if (q == NULL)
        return NULL;
    q->event.type = type;
    *s->event_last = q;
    s->event_last = &q->next;
    return &q->event;
}

void session_ended(struct session *s, enum session_down_reason reason, const struct fault *f)
{
    if (s->down)
        return;
    s->down = true;
    struct session_event *event = session_emit(s, SESSION_EVENT_DOWN);
    if (event != NULL) {
        event->down.reason = reason;
        event->down.fault = *f;
    }
}

void session_established(struct session *s, mono_ms now)
{
    s->sa.last_in = now;
    struct session_event *event = session_emit(s, SESSION_EVENT_PATH);
    if (event != NULL)
        event->path = s->sa.path;
    (void)session_emit(s, SESSION_EVENT_UP);
}

/* --- connecting --- */

/* A fresh SA, with fresh SPIs, on the current candidate. */
static enum err begin_attempt(struct session *s, mono_ms now)
{
    sa_wipe(&s->sa);
    sa_init(&s->sa, s, &s->config);
    if (s->remote_id_withheld)
        s->sa.send_remote_id = false;
    s->sa.path = s->candidates[s->candidate];
    s->attempts++;
    return init_request_send(&s->sa, now);
}

static void attempt_failed(struct session *s, enum err e)
{
    struct fault f = {0};
    (void)fault_set(&f, e, "IKE_SA_INIT could not be made: %s", err_text(e));
    sa_die(&s->sa, SESSION_DOWN_INTERNAL, &f);
}

void session_networks_changed(struct session *s, mono_ms now, const struct path *candidates,
                              size_t count)
{
    (void)now; /* a running attempt goes on where it is */
    s->candidate_count = count < SESSION_PATHS_MAX ? count : SESSION_PATHS_MAX;
    memcpy(s->candidates, candidates, s->candidate_count * sizeof(*candidates));
    s->candidate = 0;
}

enum err session_start(struct session *s, mono_ms now)
{
    if (s->config.role != SESSION_INITIATOR || s->started)
        return ERR_STATE;
    if (s->candidate_count == 0)
        return ERR_NOT_FOUND;
    s->started = true;
    return begin_attempt(s, now);
}

bool session_retry_without_remote_id(struct session *s, mono_ms now)
{
    if (s->remote_id_withheld || s->candidate_count == 0)
        return false;
    log_info("the gateway refused us; asking once more without naming it, to see its own name");
    s->remote_id_withheld = true;
    enum err e = begin_attempt(s, now);
    if (e != ERR_OK)
        attempt_failed(s, e);
    return true;
}

/* Several ways to the gateway, and this one is silent: the next one's turn. */
static bool try_next_candidate(struct session *s, mono_ms now)
{
    const struct ike_sa *sa = &s->sa;
    const struct window_request *r = &sa->window.request;
    const struct session_retransmit *policy = &s->config.retransmit;
    if (sa->state != SA_INIT_SENT || s->candidate_count < 2 || !r->active || now < r->next_at ||
        r->sent < TRIES_PER_CANDIDATE || sa->handshake->complaint_at != MONO_NEVER)
        return false;
    if (policy->tries != 0 && s->attempts * TRIES_PER_CANDIDATE >= policy->tries)
        return false;
    s->candidate = (s->candidate + 1) % s->candidate_count;
    enum err e = begin_attempt(s, now);
    if (e != ERR_OK)
        attempt_failed(s, e);
    return true;
}

void session_stop(struct session *s, mono_ms now)
{
    const struct fault none = {0};
    switch (s->sa.state) {
    case SA_ESTABLISHED:
        sa_close(&s->sa, now, SESSION_DOWN_REQUESTED, &none, 0);
        break;
    case SA_CLOSING:
        break; /* its own reason stands */
    case SA_DEAD:
        break;
    case SA_IDLE:
    case SA_INIT_SENT:
    case SA_AUTH_SENT:
    case SA_INIT_ANSWERED:
        sa_die(&s->sa, SESSION_DOWN_REQUESTED, &none);
        break;
    }
}

/* --- input --- */

bool session_owns(const struct session *s, uint64_t spi_i, uint64_t spi_r)
{
    const struct ike_sa *sa = &s->sa;
    if (spi_i != sa->spi_i || spi_i == 0)
        return false;
    if (spi_r == sa->spi_r)
        return true;
    /* An initiator learns spi_r from the answer; a responder's first request came without it. */
    return sa->initiator ? sa->state == SA_INIT_SENT : spi_r == 0;
}

void session_input(struct session *s, mono_ms now, const struct path *path, struct span message)
{
    struct ike_header h;
    if (s->down || ike_header_parse(message, &h) != ERR_OK)
        return;
    bool fresh = s->config.role == SESSION_RESPONDER && s->sa.state == SA_IDLE;
    if (!fresh && !session_owns(s, h.spi_i, h.spi_r))
        return;
    sa_input(&s->sa, now, path, &h, message);
}

/* --- liveness --- */

static mono_ms latest_in(const struct session *s)
{
    mono_ms esp = s->traffic.last_in, ike = s->sa.last_in;
    if (esp == MONO_NEVER)
        return ike;
    return ike == MONO_NEVER || esp > ike ? esp : ike;
}

static mono_ms latest_out(const struct session *s)
{
    mono_ms esp = s->traffic.last_out, any = s->last_sent;
    if (esp == MONO_NEVER)
        return any;
    return any == MONO_NEVER || esp > any ? esp : any;
}

void session_traffic(struct session *s, mono_ms now, const struct session_traffic *report)
{
    (void)now;
    s->traffic = *report;
    mono_ms in = latest_in(s);
    if (s->unanswered_since != MONO_NEVER && in != MONO_NEVER && in >= s->unanswered_since)
        s->unanswered_since = MONO_NEVER;
    if (s->unanswered_since == MONO_NEVER && report->last_out != MONO_NEVER &&
        (in == MONO_NEVER || report->last_out > in))
        s->unanswered_since = report->last_out;
}

/* When silence has to be answered; only while nothing else is being asked. */
static mono_ms probe_at(const struct session *s)
{
    if (s->sa.state != SA_ESTABLISHED || s->config.dpd_ms == 0 ||
        s->unanswered_since == MONO_NEVER || s->sa.window.request.active)
        return MONO_NEVER;
    return s->unanswered_since + (mono_ms)s->config.dpd_ms;
}

/* RFC 3948 4: only behind a NAT, only when nothing else was sent. */
static mono_ms keepalive_at(const struct session *s)
{
    mono_ms out = latest_out(s);
    if (s->sa.state != SA_ESTABLISHED || s->config.keepalive_ms == 0 || !s->sa.nat_local ||
        out == MONO_NEVER)
        return MONO_NEVER;
    return out + (mono_ms)s->config.keepalive_ms;
}

static void send_keepalive(struct session *s, mono_ms now)
{
    struct outgoing *o = malloc(sizeof(*o) + 1);
    s->last_sent = now;
    if (o == NULL)
        return;
    o->next = NULL;
    o->path = s->sa.path;
    o->len = 1;
    o->bytes[0] = 0xff;
    *s->out_last = o;
    s->out_last = &o->next;
}

mono_ms session_next_timeout(const struct session *s)
{
    if (s->down)
        return MONO_NEVER;
    mono_ms next = sa_next_timeout(&s->sa);
    next = mono_earlier(next, probe_at(s));
    return mono_earlier(next, keepalive_at(s));
}

void session_handle_timeout(struct session *s, mono_ms now)
{
    if (s->down)
        return;
    if (!try_next_candidate(s, now))
        sa_handle_timeout(&s->sa, now);
    if (now >= probe_at(s)) {
        s->unanswered_since = now; /* and again, should the answer not be the end of it */
        enum err e = informational_probe(&s->sa, now);
        if (e != ERR_OK)
            log_warn("no liveness check: %s", err_text(e));
    }
    if (now >= keepalive_at(s))
        send_keepalive(s, now);
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
    switch (s->sa.state) {
    case SA_IDLE:
        return s->down ? SESSION_DOWN : SESSION_IDLE;
    case SA_INIT_SENT:
    case SA_AUTH_SENT:
    case SA_INIT_ANSWERED:
        return SESSION_CONNECTING;
    case SA_ESTABLISHED:
        return SESSION_UP;
    case SA_CLOSING:
        return SESSION_STOPPING;
    case SA_DEAD:
        break;
    }
    return SESSION_DOWN;
}

void session_status(const struct session *s, struct session_status *ret)
{
    const struct ike_sa *sa = &s->sa;
    *ret = (struct session_status){
        .state = state_of(s),
        .spi_i = sa->spi_i,
        .spi_r = sa->spi_r,
        .ike = sa->suite,
        .path = sa->path,
        .nat_local = sa->nat_local,
        .nat_remote = sa->nat_remote,
        .peer_fragmentation = sa->peer_fragmentation,
        .peer_mobike = sa->peer_mobike,
        .local_id = s->config.local_id,
        .remote_id = sa->peer_id,
        .established = sa->established,
        .rtt_ms = sa->rtt_ms,
    };
}
