/* The IKE SA as a table: which message is expected in which state, with which payloads, and who
 * takes it. Invariants: what is not in the table changes nothing; an unauthenticated message
 * changes nothing once keys are agreed; a request is answered once and its answer kept. Its clock,
 * and what it asks of its own accord, are sa_timers.c's. */
#include "common/ike/auth.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/crypto/kex.h"

enum {
    CLOSE_PACE_MS = 500,
    CLOSE_MS = 4000,       /* a Delete is worth that much patience: the user waits */
    PIECES_MS = 30000,     /* for the rest of a message in pieces to arrive */
    RETRY_FIRST_MS = 2000, /* after TEMPORARY_FAILURE; doubles */
    RETRY_MAX_MS = 60000
};

/* Payload types 33..53 as bits. */
#define P(type)  ((uint32_t)(1ull << (type) >> PAYLOAD_SA))
#define S(state) (1u << (state))

enum direction { REQUEST, RESPONSE };

struct transition {
    unsigned from; /* set of states */
    uint8_t exchange;
    enum direction direction;
    uint32_t required; /* all of them must be there */
    enum err (*handler)(struct ike_sa *sa, struct sa_input *in);
    const char *story; /* and the log line */
};

/* Searched from the top: the full form of a message stands before the form that only complains. */
static const struct transition transitions[] = {
    /* initiator */
    {S(SA_INIT_SENT), EXCHANGE_IKE_SA_INIT, RESPONSE,
     P(PAYLOAD_SA) | P(PAYLOAD_KE) | P(PAYLOAD_NONCE), init_response_in,
     "gateway answered, keys can be agreed"},
    {S(SA_INIT_SENT), EXCHANGE_IKE_SA_INIT, RESPONSE, P(PAYLOAD_NOTIFY), init_notify_in,
     "gateway asks for a different first message"},
    {S(SA_AUTH_SENT), EXCHANGE_IKE_AUTH, RESPONSE,
     P(PAYLOAD_ID_R) | P(PAYLOAD_AUTH) | P(PAYLOAD_SA) | P(PAYLOAD_TS_I) | P(PAYLOAD_TS_R),
     auth_response_in, "gateway proves itself and grants the first Child SA"},
    {S(SA_AUTH_SENT), EXCHANGE_IKE_AUTH, RESPONSE, P(PAYLOAD_ID_R) | P(PAYLOAD_AUTH),
     auth_response_in, "gateway proves itself and grants no Child SA"},
    {S(SA_FIRST_SENT), EXCHANGE_IKE_AUTH, RESPONSE, P(PAYLOAD_ID_R) | P(PAYLOAD_AUTH),
     second_begin_in, "gateway proves itself and awaits our second proof"},
    {S(SA_SECOND_SENT), EXCHANGE_IKE_AUTH, RESPONSE, 0, second_end_in,
     "gateway judges our second proof"},
    {S(SA_EAP_ASKED), EXCHANGE_IKE_AUTH, RESPONSE, P(PAYLOAD_ID_R) | P(PAYLOAD_AUTH), eap_begin_in,
     "gateway proves itself and asks by EAP"},
    {S(SA_EAP_ASKED), EXCHANGE_IKE_AUTH, RESPONSE, P(PAYLOAD_ID_R) | P(PAYLOAD_EAP),
     eap_only_begin_in, "gateway asks by EAP, and has not proven itself"},
    {S(SA_EAP_GOING), EXCHANGE_IKE_AUTH, RESPONSE, P(PAYLOAD_EAP), eap_response_in,
     "gateway goes on with EAP"},
    {S(SA_EAP_DONE), EXCHANGE_IKE_AUTH, RESPONSE, P(PAYLOAD_AUTH), eap_end_in,
     "gateway proves that EAP was with it"},
    {S(SA_EAP_GOING) | S(SA_EAP_DONE), EXCHANGE_IKE_AUTH, RESPONSE, P(PAYLOAD_NOTIFY),
     auth_notify_in, "gateway refuses IKE_AUTH after EAP has begun"},
    {S(SA_AUTH_SENT) | S(SA_FIRST_SENT) | S(SA_EAP_ASKED), EXCHANGE_IKE_AUTH, RESPONSE,
     P(PAYLOAD_NOTIFY), auth_notify_in, "gateway refuses IKE_AUTH"},

    /* responder */
    {S(SA_IDLE), EXCHANGE_IKE_SA_INIT, REQUEST, P(PAYLOAD_SA) | P(PAYLOAD_KE) | P(PAYLOAD_NONCE),
     init_request_in, "client wants to begin"},
    {S(SA_INIT_ANSWERED), EXCHANGE_IKE_AUTH, REQUEST,
     P(PAYLOAD_ID_I) | P(PAYLOAD_AUTH) | P(PAYLOAD_SA) | P(PAYLOAD_TS_I) | P(PAYLOAD_TS_R),
     auth_request_in, "client proves itself and asks for the first Child SA"},
    {S(SA_INIT_ANSWERED), EXCHANGE_IKE_AUTH, REQUEST, P(PAYLOAD_ID_I) | P(PAYLOAD_AUTH),
     auth_request_in, "client proves itself and asks for no Child SA yet"},
    {S(SA_INIT_ANSWERED), EXCHANGE_IKE_AUTH, REQUEST, P(PAYLOAD_ID_I), eap_request_begin_in,
     "client wants EAP"},
    {S(SA_FIRST_PROVEN), EXCHANGE_IKE_AUTH, REQUEST, P(PAYLOAD_ID_I) | P(PAYLOAD_AUTH),
     auth_request_in, "client proves itself a second time"},
    {S(SA_FIRST_PROVEN), EXCHANGE_IKE_AUTH, REQUEST, P(PAYLOAD_ID_I), eap_request_second_in,
     "client is proven once, and wants EAP"},
    {S(SA_EAP_GOING), EXCHANGE_IKE_AUTH, REQUEST, P(PAYLOAD_EAP), eap_request_in,
     "client goes on with EAP"},
    {S(SA_EAP_DONE), EXCHANGE_IKE_AUTH, REQUEST, P(PAYLOAD_AUTH), eap_request_end_in,
     "client proves that EAP was with it"},
    {S(SA_FIRST_PROVEN) | S(SA_EAP_GOING) | S(SA_EAP_DONE), EXCHANGE_INFORMATIONAL, REQUEST, 0,
     eap_request_abandoned_in, "client gives up before it is proven"},

    /* both */
    {S(SA_ESTABLISHED), EXCHANGE_CREATE_CHILD_SA, REQUEST, P(PAYLOAD_SA) | P(PAYLOAD_NONCE),
     create_request_in, "peer asks for another SA"},
    {S(SA_REPLACED) | S(SA_CLOSING), EXCHANGE_CREATE_CHILD_SA, REQUEST, 0,
     create_request_not_now_in, "peer asks for another SA while this one ends"},
    {S(SA_ESTABLISHED) | S(SA_REPLACED), EXCHANGE_CREATE_CHILD_SA, RESPONSE,
     P(PAYLOAD_SA) | P(PAYLOAD_NONCE), create_response_in, "peer grants another SA"},
    {S(SA_ESTABLISHED) | S(SA_REPLACED), EXCHANGE_CREATE_CHILD_SA, RESPONSE, P(PAYLOAD_NOTIFY),
     create_notify_in, "peer refuses another SA"},
    {S(SA_ESTABLISHED) | S(SA_REPLACED) | S(SA_CLOSING), EXCHANGE_INFORMATIONAL, REQUEST, 0,
     informational_request_in, "peer informs or asks whether we live"},
    {S(SA_ESTABLISHED) | S(SA_REPLACED), EXCHANGE_INFORMATIONAL, RESPONSE, 0,
     informational_response_in, "peer lives"},
    {S(SA_CLOSING), EXCHANGE_INFORMATIONAL, RESPONSE, 0, closing_response_in,
     "peer knows that the SA is gone"},
};

static const char *name_of(const struct sa_input *in)
{
    const char *name = exchange_name(in->header.exchange);
    return name != NULL ? name : "unknown exchange's";
}

/* May appear at most once (RFC 7296 1.2 to 1.4). */
static const uint32_t singletons =
    P(PAYLOAD_SA) | P(PAYLOAD_KE) | P(PAYLOAD_ID_I) | P(PAYLOAD_ID_R) | P(PAYLOAD_AUTH) |
    P(PAYLOAD_NONCE) | P(PAYLOAD_TS_I) | P(PAYLOAD_TS_R) | P(PAYLOAD_CP) | P(PAYLOAD_EAP);

static const struct transition *find_transition(const struct ike_sa *sa, uint8_t exchange,
                                                enum direction direction, uint32_t present)
{
    for (size_t i = 0; i < sizeof(transitions) / sizeof(transitions[0]); i++) {
        const struct transition *t = &transitions[i];
        if ((t->from & S(sa->state)) != 0 && t->exchange == exchange && t->direction == direction &&
            (present & t->required) == t->required)
            return t;
    }
    return NULL;
}

enum err sa_new(struct session *s, const struct session_config *config, bool initiator,
                struct ike_sa **ret)
{
    struct ike_sa *sa = malloc(sizeof(*sa));
    if (sa == NULL)
        return ERR_MEMORY;
    *sa = (struct ike_sa){
        .session = s,
        .config = config,
        .initiator = initiator,
        .send_remote_id = config->send_remote_id,
        .fragment_mtu = config->fragment_mtu,
        .established = MONO_NEVER,
        .last_in = MONO_NEVER,
        .rtt_ms = -1,
        .rekey_at = MONO_NEVER,
        .expires_at = MONO_NEVER,
        .reauth_at = MONO_NEVER,
        .close_by = MONO_NEVER,
        .hold_until = MONO_NEVER,
    };
    window_init(&sa->window);
    *ret = sa;
    return ERR_OK;
}

static void blob_wipe(struct blob *b)
{
    if (b->data != NULL)
        wipe(b->data, b->len);
    free(b->data);
    *b = (struct blob){0};
}

enum err blob_set(struct blob *b, struct span bytes)
{
    uint8_t *data = malloc(bytes.len > 0 ? bytes.len : 1);
    if (data == NULL)
        return ERR_MEMORY;
    if (bytes.len > 0)
        memcpy(data, bytes.data, bytes.len);
    blob_wipe(b);
    *b = (struct blob){data, bytes.len};
    return ERR_OK;
}

enum err sa_handshake_new(struct ike_sa *sa)
{
    sa_handshake_free(sa);
    sa->handshake = calloc(1, sizeof(*sa->handshake));
    if (sa->handshake == NULL)
        return ERR_MEMORY;
    sa->handshake->complaint_at = MONO_NEVER;
    return ERR_OK;
}

void sa_handshake_free(struct ike_sa *sa)
{
    struct handshake *h = sa->handshake;
    if (h == NULL)
        return;
    kex_free(h->kex);
    eap_peer_free(h->eap);
    blob_wipe(&h->init_request);
    blob_wipe(&h->init_response);
    blob_wipe(&h->peer_id_body);
    blob_wipe(&h->asked_bytes);
    wipe(h, sizeof(*h));
    free(h);
    sa->handshake = NULL;
}

void task_end(struct task *t)
{
    kex_free(t->kex);
    wipe(t, sizeof(*t));
}

void sa_forget_keys(struct ike_sa *sa)
{
    sa_handshake_free(sa);
    task_end(&sa->task);
    fragment_draft_wipe(&sa->draft);
    fragment_assembly_wipe(&sa->assemblies[0]);
    fragment_assembly_wipe(&sa->assemblies[1]);
    ike_keys_wipe(&sa->keys);
    aead_free(sa->seal);
    aead_free(sa->open);
    sa->seal = sa->open = NULL;
}

void sa_free(struct ike_sa *sa)
{
    if (sa == NULL)
        return;
    sa_forget_keys(sa);
    window_wipe(&sa->window);
    free(sa->redirect);
    wipe(sa, sizeof(*sa));
    free(sa);
}

enum err sa_make_ciphers(struct ike_sa *sa)
{
    const struct ike_keys *k = &sa->keys;
    struct aead *i = NULL, *r = NULL;
    enum err e = aead_new(&sa->suite.cipher, secret_span(&k->ei), secret_span(&k->ai), &i);
    if (e == ERR_OK)
        e = aead_new(&sa->suite.cipher, secret_span(&k->er), secret_span(&k->ar), &r);
    if (e != ERR_OK) {
        aead_free(i);
        return e;
    }
    sa->seal = sa->initiator ? i : r;
    sa->open = sa->initiator ? r : i;
    return ERR_OK;
}

void sa_start_life(struct ike_sa *sa, mono_ms now)
{
    uint32_t life_ms = sa->config->lifetimes.ike_ms;
    sa->established = now;
    sa->expires_at = sa->rekey_at = MONO_NEVER;
    if (life_ms == 0)
        return;
    uint32_t tenth_ms = life_ms / 10 + 1;
    sa->expires_at = now + (mono_ms)life_ms;
    sa->rekey_at = sa->expires_at - (mono_ms)tenth_ms - random_below(&sa->config->random, tenth_ms);
}

bool sa_alive(const struct ike_sa *sa)
{
    return sa->state == SA_ESTABLISHED && !sa->close_wanted;
}

bool sa_authenticating(const struct ike_sa *sa)
{
    return (S(sa->state) &
            (S(SA_AUTH_SENT) | S(SA_FIRST_SENT) | S(SA_SECOND_SENT) | S(SA_FIRST_PROVEN) |
             S(SA_EAP_ASKED) | S(SA_EAP_GOING) | S(SA_EAP_DONE))) != 0;
}

/* --- ending --- */

void sa_die(struct ike_sa *sa, enum session_down_reason reason, const struct fault *f)
{
    if (sa->state == SA_DEAD)
        return;
    sa->state = SA_DEAD;
    sa->end_reason = reason;
    sa->end_fault = *f;
}

void sa_close(struct ike_sa *sa, mono_ms now, enum session_down_reason reason,
              const struct fault *f, uint16_t notify)
{
    if (sa->state == SA_DEAD || sa->close_wanted)
        return; /* its own reason stands */
    sa->close_wanted = true;
    sa->close_notify = notify;
    sa->close_by = now + CLOSE_MS;
    sa->end_reason = reason;
    sa->end_fault = *f;
    /* What is still being asked stands in its way, and may be asked at a pace for the long run. */
    if (sa->window.request.active)
        window_request_go_on(&sa->window, now, CLOSE_PACE_MS);
    if (sa->seal == NULL || session_stranded(sa->session))
        sa_die(sa, reason, f);
}

void sa_heard(struct ike_sa *sa, mono_ms now)
{
    sa->silent = false;
    sa->hold_until = MONO_NEVER;
    session_heard(sa, now);
}

void sa_answered(struct ike_sa *sa, mono_ms now)
{
    fragment_draft_wipe(&sa->draft);
    int64_t rtt = window_request_end(&sa->window, now);
    if (rtt >= 0 && roam_certain(sa))
        sa->rtt_ms = rtt;
}

void sa_retry_later(struct ike_sa *sa, mono_ms now)
{
    uint32_t pause_ms = RETRY_FIRST_MS;
    for (uint32_t i = 0; i < sa->retries && pause_ms < RETRY_MAX_MS; i++)
        pause_ms *= 2;
    if (pause_ms > RETRY_MAX_MS)
        pause_ms = RETRY_MAX_MS;
    sa->retries++;
    sa->retry_at = now + (mono_ms)(pause_ms / 2 + random_below(&sa->config->random, pause_ms / 2));
}

/* --- taking messages in --- */

static uint32_t present_payloads(const struct payload_list *l, bool *ret_repeated)
{
    uint32_t present = 0;
    *ret_repeated = false;
    for (size_t i = 0; i < l->count; i++) {
        uint8_t type = l->items[i].type;
        if (type < PAYLOAD_SA || type > PAYLOAD_SKF)
            continue;
        if ((present & singletons & P(type)) != 0)
            *ret_repeated = true;
        present |= P(type);
    }
    return present;
}

/* How far a message got that came protected. */
enum opened {
    OPENED_NOT,    /* not authentic, or an unneeded piece: as if it had never come */
    OPENED_WAIT,   /* an authentic piece of a message that is not whole yet */
    OPENED_REPEAT, /* the first piece of a request that was answered already */
    OPENED         /* authentic; whether it can be read stands in ret_err */
};

/* RFC 7383 2.6. Pieces are kept only where the window would take the message. */
static enum opened open_piece(struct ike_sa *sa, struct sa_input *in,
                              const struct payload_list *outer, uint8_t *copy, enum err *ret_err,
                              uint8_t *ret_bad_type)
{
    bool response = (in->header.flags & IKE_FLAG_RESPONSE) != 0, complete;
    struct fragment_assembly *assembly = &sa->assemblies[response];
    struct skf_payload piece;
    uint8_t first;
    struct span inner;
    if (!sa->peer_fragmentation ||
        skf_open(copy, in->message.len, outer, sa->open, &piece) != ERR_OK)
        return OPENED_NOT;
    if (!response && window_is_answered(&sa->window, in->header.message_id))
        return piece.number == 1 ? OPENED_REPEAT : OPENED_NOT; /* 2.6.1 */
    if (fragment_add(assembly, &in->header, &piece, &complete) != ERR_OK)
        return OPENED_NOT;
    if (assembly->count == 1)
        sa->pieces_until[response] = in->now + PIECES_MS;
    if (!complete)
        return OPENED_WAIT;
    fragment_assembly_result(assembly, &first, &inner);
    *ret_err = payload_list_parse(first, inner, &in->payloads, ret_bad_type);
    return OPENED;
}

/* Decrypt into in->payloads. */
static enum opened open_message(struct ike_sa *sa, struct sa_input *in, enum err *ret_err,
                                uint8_t *ret_bad_type)
{
    if (in->message.len > IKE_MESSAGE_MAX || sa->open == NULL)
        return OPENED_NOT;
    uint8_t *copy = session_scratch(sa->session);
    memcpy(copy, in->message.data, in->message.len);
    struct span body = span_make(copy + IKE_HEADER_LEN, in->message.len - IKE_HEADER_LEN);
    struct payload_list outer;
    if (payload_list_parse(in->header.next_payload, body, &outer, ret_bad_type) != ERR_OK ||
        outer.count == 0)
        return OPENED_NOT;
    if (outer.items[outer.count - 1].type == PAYLOAD_SKF)
        return open_piece(sa, in, &outer, copy, ret_err, ret_bad_type);
    if (outer.items[outer.count - 1].type != PAYLOAD_SK)
        return OPENED_NOT;
    uint8_t first;
    struct span inner;
    enum err e = sk_open(copy, in->message.len, &outer, sa->open, &first, &inner);
    if (e == ERR_INTEGRITY)
        return OPENED_NOT;
    *ret_err = e == ERR_OK ? payload_list_parse(first, inner, &in->payloads, ret_bad_type) : e;
    return OPENED;
}

/* A request's sender hears of the end by our answer, a response's sender by a Delete. */
static void end_protocol(struct ike_sa *sa, const struct sa_input *in, enum direction direction,
                         const struct fault *f)
{
    if (direction == RESPONSE && (sa->state == SA_ESTABLISHED || sa_authenticating(sa))) {
        if (sa->window.request.active)
            sa_answered(sa, in->now);
        sa_close(sa, in->now, SESSION_DOWN_PROTOCOL, f, 0);
    } else {
        sa_die(sa, SESSION_DOWN_PROTOCOL, f);
    }
}

/* The peer sent something authentic that RFC 7296 2.21 calls fatal. */
static void syntax_failure(struct ike_sa *sa, const struct sa_input *in, enum direction direction)
{
    struct fault f = {0};
    (void)fault_set(&f, ERR_MALFORMED, "the peer sent an %s message that breaks RFC 7296",
                    name_of(in));
    fault_hint(&f, "run with --log-level debug and report it to the gateway's vendor");
    if (direction == REQUEST &&
        sa_response_notify(sa, in, NOTIFY_INVALID_SYNTAX, SPAN_EMPTY) != ERR_OK)
        log_debug("INVALID_SYNTAX could not be sent");
    end_protocol(sa, in, direction, &f);
}

/* An unknown payload with the critical bit (RFC 7296 2.5): refuse a request, fail on a response. */
static void critical_failure(struct ike_sa *sa, const struct sa_input *in, enum direction direction,
                             uint8_t bad_type)
{
    if (direction == REQUEST) {
        if (sa_response_notify(sa, in, NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD,
                               span_make(&bad_type, 1)) != ERR_OK)
            log_warn("no answer sent to a request with critical payload %u", bad_type);
        if (sa->state == SA_ESTABLISHED || sa->close_wanted)
            return;
        struct fault refused = {0}; /* RFC 7296 2.21.2: then there is no IKE SA */
        (void)fault_set(&refused, ERR_UNSUPPORTED, "the unknown critical payload %u", bad_type);
        sa_die(sa, SESSION_DOWN_PROTOCOL, &refused);
        return;
    }
    struct fault f = {0};
    (void)fault_set(&f, ERR_UNSUPPORTED,
                    "the peer's %s response holds the unknown critical payload %u", name_of(in),
                    bad_type);
    end_protocol(sa, in, direction, &f);
}

static enum direction direction_of(const struct ike_header *h)
{
    return (h->flags & IKE_FLAG_RESPONSE) != 0 ? RESPONSE : REQUEST;
}

static void repeat_answer(struct ike_sa *sa, const struct sa_input *in)
{
    log_debug("request %" PRIu32 " came again, so does its answer", in->header.message_id);
    session_transmit(sa->session, in->path,
                     span_make(sa->window.response, sa->window.response_len));
}

/* Is it expected at all? Judges header and window alone. */
static bool acceptable(struct ike_sa *sa, struct sa_input *in)
{
    const struct ike_header *h = &in->header;
    bool from_initiator = (h->flags & IKE_FLAG_INITIATOR) != 0;
    if (h->major != 2 || from_initiator == sa->initiator)
        return false;
    if (direction_of(h) == RESPONSE)
        return window_request_matches(&sa->window, h->exchange, h->message_id);
    switch (window_arrival(&sa->window, h->message_id, in->message)) {
    case WINDOW_NEW:
        /* Before both are proven there is one exchange that may follow, and one side that begins
         * it; a request that overtook the IKE_AUTH response will be repeated. */
        if (sa_authenticating(sa))
            return !sa->initiator &&
                   (h->exchange == EXCHANGE_IKE_AUTH || h->exchange == EXCHANGE_INFORMATIONAL);
        return sa->state != SA_INIT_ANSWERED || h->exchange == EXCHANGE_IKE_AUTH;
    case WINDOW_REPEAT:
        if (h->next_payload != PAYLOAD_SKF) {
            repeat_answer(sa, in);
            return false;
        }
        break;
    case WINDOW_FOREIGN:
        break;
    }
    return h->next_payload == PAYLOAD_SKF && window_is_answered(&sa->window, h->message_id);
}

/* RFC 7296 2.23: a client behind a translator is where its last authentic request came from. */
static void follow(struct ike_sa *sa, const struct sa_input *in)
{
    if (sa->config->role != SESSION_RESPONDER || !sa->nat_remote || sa->peer_mobike ||
        direction_of(&in->header) != REQUEST || path_equal(&sa->path, in->path))
        return;
    sa->path = *in->path;
    struct session_event *event =
        session_is_current(sa) ? session_emit(sa->session, SESSION_EVENT_PATH) : NULL;
    if (event != NULL)
        event->path = sa->path;
}

static bool take_apart_clear(struct ike_sa *sa, struct sa_input *in)
{
    uint8_t bad_type = 0;
    struct span body =
        span_make(in->message.data + IKE_HEADER_LEN, in->message.len - IKE_HEADER_LEN);
    enum err e = payload_list_parse(in->header.next_payload, body, &in->payloads, &bad_type);
    if (e == ERR_UNSUPPORTED && sa->state == SA_IDLE) {
        sa->spi_i = in->header.spi_i; /* RFC 7296 2.5: told so, even as a stranger */
        critical_failure(sa, in, REQUEST, bad_type);
    }
    return e == ERR_OK;
}

/* Fill in->payloads; false where the message goes no further. */
static bool take_apart(struct ike_sa *sa, struct sa_input *in)
{
    uint8_t bad_type = 0;
    enum err e = ERR_OK;
    if (in->header.exchange == EXCHANGE_IKE_SA_INIT)
        return take_apart_clear(sa, in);
    switch (open_message(sa, in, &e, &bad_type)) {
    case OPENED_NOT:
        log_debug("dropped an %s message", name_of(in));
        return false;
    case OPENED_WAIT:
        return false;
    case OPENED_REPEAT:
        repeat_answer(sa, in);
        return false;
    case OPENED:
        break;
    }
    sa->last_in = in->now;
    sa_heard(sa, in->now);
    if (direction_of(&in->header) == RESPONSE)
        roam_answered(sa, in);
    follow(sa, in);
    if (e == ERR_UNSUPPORTED)
        critical_failure(sa, in, direction_of(&in->header), bad_type);
    else if (e != ERR_OK)
        syntax_failure(sa, in, direction_of(&in->header));
    return e == ERR_OK;
}

static void handle(struct ike_sa *sa, struct sa_input *in)
{
    const struct ike_header *header = &in->header;
    bool clear = header->exchange == EXCHANGE_IKE_SA_INIT;
    enum direction direction = direction_of(header);
    bool repeated;
    uint32_t present = present_payloads(&in->payloads, &repeated);
    const struct transition *t =
        repeated ? NULL : find_transition(sa, header->exchange, direction, present);
    const char *name = name_of(in), *kind = direction == REQUEST ? "request" : "response";
    /* What anybody may have sent, and go on sending, must not fill a log. */
    enum log_level level = clear ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
    if (t == NULL) {
        log_write(level, "%s %s was not expected here", name, kind);
        if (!clear)
            syntax_failure(sa, in, direction);
        return;
    }
    log_debug("%s: %s", name, t->story);
    enum err e = t->handler(sa, in);
    if (e == ERR_OK || sa->state == SA_DEAD)
        return;
    log_write(level, "%s %s: %s", name, kind, err_text(e));
    /* In the clear anybody may have sent it: as if it had never come. But an initiator that could
     * not send its next request waits for nothing. */
    if (clear && (!sa->initiator || sa->window.request.active))
        return;
    if (e == ERR_MEMORY || e == ERR_CRYPTO || e == ERR_STATE || e == ERR_EXHAUSTED) {
        struct fault f = {0};
        (void)fault_set(&f, e, "%s failed here: %s", name, err_text(e));
        sa_die(sa, SESSION_DOWN_INTERNAL, &f);
    } else {
        syntax_failure(sa, in, direction);
    }
}

bool sa_input(struct ike_sa *sa, mono_ms now, const struct path *path,
              const struct ike_header *header, struct span message)
{
    struct sa_input in = {.now = now, .path = path, .header = *header, .message = message};
    struct fragment_assembly *assembly = &sa->assemblies[direction_of(header) == RESPONSE];
    if (!acceptable(sa, &in) || sa->state == SA_DEAD)
        return false;
    bool whole = take_apart(sa, &in);
    if (whole)
        handle(sa, &in);
    bool used = whole || assembly->total != 0;
    /* The payloads were borrowed from it; and what a message in one piece made needless goes too.
     */
    if (whole || (assembly->total != 0 && assembly->count == assembly->total))
        fragment_assembly_wipe(assembly);
    return used;
}
