/* The IKE SA as a table: which message is expected in which state, with which payloads, and who
 * takes it. Invariants: what is not in the table changes nothing; an unauthenticated message
 * changes nothing once keys are agreed; a request is answered once and its answer kept. */
#include "common/ike/sa.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/crypto/kex.h"

/* Payload types 33..53 as bits. */
#define P(type) ((uint32_t)(1ull << (type) >> PAYLOAD_SA))

enum direction { REQUEST, RESPONSE };

struct transition {
    enum sa_state from;
    uint8_t exchange;
    enum direction direction;
    uint32_t required; /* all of them must be there */
    enum err (*handler)(struct ike_sa *sa, struct sa_input *in);
    const char *story; /* and the log line */
};

/* Searched from the top: the full form of a message stands before the form that only complains. */
static const struct transition transitions[] = {
    /* initiator */
    {SA_INIT_SENT, EXCHANGE_IKE_SA_INIT, RESPONSE, P(PAYLOAD_SA) | P(PAYLOAD_KE) | P(PAYLOAD_NONCE),
     init_response_in, "gateway answered, keys can be agreed"},
    {SA_INIT_SENT, EXCHANGE_IKE_SA_INIT, RESPONSE, P(PAYLOAD_NOTIFY), init_notify_in,
     "gateway asks for a different first message"},
    {SA_AUTH_SENT, EXCHANGE_IKE_AUTH, RESPONSE,
     P(PAYLOAD_ID_R) | P(PAYLOAD_AUTH) | P(PAYLOAD_SA) | P(PAYLOAD_TS_I) | P(PAYLOAD_TS_R),
     auth_response_in, "gateway proves itself and grants the first Child SA"},
    {SA_AUTH_SENT, EXCHANGE_IKE_AUTH, RESPONSE, P(PAYLOAD_ID_R) | P(PAYLOAD_AUTH),
     auth_response_childless_in, "gateway proves itself but refuses the Child SA"},
    {SA_AUTH_SENT, EXCHANGE_IKE_AUTH, RESPONSE, P(PAYLOAD_NOTIFY), auth_notify_in,
     "gateway refuses IKE_AUTH"},

    /* responder */
    {SA_IDLE, EXCHANGE_IKE_SA_INIT, REQUEST, P(PAYLOAD_SA) | P(PAYLOAD_KE) | P(PAYLOAD_NONCE),
     init_request_in, "client wants to begin"},
    {SA_INIT_ANSWERED, EXCHANGE_IKE_AUTH, REQUEST,
     P(PAYLOAD_ID_I) | P(PAYLOAD_AUTH) | P(PAYLOAD_SA) | P(PAYLOAD_TS_I) | P(PAYLOAD_TS_R),
     auth_request_in, "client proves itself and asks for the first Child SA"},
    {SA_INIT_ANSWERED, EXCHANGE_IKE_AUTH, REQUEST, P(PAYLOAD_ID_I), auth_request_refuse_in,
     "client wants a kind of authentication that is not served"},

    /* both */
    {SA_ESTABLISHED, EXCHANGE_CREATE_CHILD_SA, REQUEST, P(PAYLOAD_SA) | P(PAYLOAD_NONCE),
     child_request_in, "peer asks for another SA"},
    {SA_ESTABLISHED, EXCHANGE_INFORMATIONAL, REQUEST, 0, informational_request_in,
     "peer informs or asks whether we live"},
    {SA_ESTABLISHED, EXCHANGE_INFORMATIONAL, RESPONSE, 0, informational_response_in, "peer lives"},
    {SA_CLOSING, EXCHANGE_INFORMATIONAL, REQUEST, 0, informational_request_in,
     "peer informs while we close"},
    {SA_CLOSING, EXCHANGE_INFORMATIONAL, RESPONSE, 0, closing_response_in,
     "peer knows that the SA is gone"},
};

/* May appear at most once (RFC 7296 1.2 to 1.4). */
static const uint32_t singletons =
    P(PAYLOAD_SA) | P(PAYLOAD_KE) | P(PAYLOAD_ID_I) | P(PAYLOAD_ID_R) | P(PAYLOAD_AUTH) |
    P(PAYLOAD_NONCE) | P(PAYLOAD_TS_I) | P(PAYLOAD_TS_R) | P(PAYLOAD_CP) | P(PAYLOAD_EAP);

static const struct transition *find_transition(const struct ike_sa *sa, uint8_t exchange,
                                                enum direction direction, uint32_t present)
{
    for (size_t i = 0; i < sizeof(transitions) / sizeof(transitions[0]); i++) {
        const struct transition *t = &transitions[i];
        if (t->from == sa->state && t->exchange == exchange && t->direction == direction &&
            (present & t->required) == t->required)
            return t;
    }
    return NULL;
}

void sa_init(struct ike_sa *sa, struct session *s, const struct session_config *config)
{
    *sa = (struct ike_sa){
        .session = s,
        .config = config,
        .initiator = config->role == SESSION_INITIATOR,
        .send_remote_id = config->send_remote_id,
        .established = MONO_NEVER,
        .last_in = MONO_NEVER,
        .rtt_ms = -1,
    };
    window_init(&sa->window);
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
    blob_wipe(&h->init_request);
    blob_wipe(&h->init_response);
    wipe(h, sizeof(*h));
    free(h);
    sa->handshake = NULL;
}

void sa_wipe(struct ike_sa *sa)
{
    sa_handshake_free(sa);
    window_wipe(&sa->window);
    ike_keys_wipe(&sa->keys);
    aead_free(sa->seal);
    aead_free(sa->open);
    wipe(sa, sizeof(*sa));
}

/* --- building messages --- */

static void begin(struct ike_sa *sa, struct message_writer *m, const struct ike_header *h,
                  size_t *ret_sk)
{
    message_begin(m, session_buffer(sa->session), IKE_MESSAGE_MAX, h);
    *ret_sk = h->exchange == EXCHANGE_IKE_SA_INIT ? 0 : sk_begin(m, sa->seal);
}

void sa_request_begin(struct ike_sa *sa, struct message_writer *m, uint8_t exchange, size_t *ret_sk)
{
    const struct ike_header h = {
        .spi_i = sa->spi_i,
        .spi_r = sa->spi_r,
        .major = 2,
        .exchange = exchange,
        .flags = sa->initiator ? IKE_FLAG_INITIATOR : 0,
        .message_id = sa->window.next_id,
    };
    begin(sa, m, &h, ret_sk);
}

void sa_response_begin(struct ike_sa *sa, struct message_writer *m, const struct sa_input *in,
                       size_t *ret_sk)
{
    const struct ike_header h = {
        .spi_i = sa->spi_i,
        .spi_r = sa->spi_r,
        .major = 2,
        .exchange = in->header.exchange,
        .flags = (uint8_t)((sa->initiator ? IKE_FLAG_INITIATOR : 0) | IKE_FLAG_RESPONSE),
        .message_id = in->header.message_id,
    };
    begin(sa, m, &h, ret_sk);
}

static enum err finish(struct ike_sa *sa, struct message_writer *m, size_t sk, struct span *ret)
{
    if (sk == 0)
        return message_finish(m, ret);
    return sk_seal(m, sk, sa->seal, sa->seal_counter++, ret);
}

enum err sa_request_send(struct ike_sa *sa, mono_ms now, struct message_writer *m, size_t sk,
                         const struct session_retransmit *policy)
{
    struct span bytes;
    enum err e = finish(sa, m, sk, &bytes);
    if (e != ERR_OK)
        return e;
    uint8_t exchange = bytes.data[18];
    e = window_request_begin(&sa->window, now, exchange, bytes, policy);
    if (e == ERR_OK)
        session_transmit(sa->session, &sa->path, bytes);
    return e;
}

enum err sa_response_send(struct ike_sa *sa, struct message_writer *m, const struct sa_input *in,
                          size_t sk)
{
    struct span bytes;
    enum err e = finish(sa, m, sk, &bytes);
    if (e == ERR_OK)
        e = window_respond(&sa->window, in->message, bytes);
    if (e == ERR_OK)
        session_transmit(sa->session, in->path, bytes);
    return e;
}

enum err sa_response_notify(struct ike_sa *sa, const struct sa_input *in, uint16_t type,
                            struct span data)
{
    struct message_writer m;
    size_t sk;
    sa_response_begin(sa, &m, in, &sk);
    notify_write(&m, type, data);
    return sa_response_send(sa, &m, in, sk);
}

/* --- ending --- */

void sa_die(struct ike_sa *sa, enum session_down_reason reason, const struct fault *f)
{
    if (sa->state == SA_DEAD)
        return;
    sa->state = SA_DEAD;
    session_ended(sa->session, reason, f);
}

void sa_close(struct ike_sa *sa, mono_ms now, enum session_down_reason reason,
              const struct fault *f, uint16_t notify)
{
    /* A few quick tries: the user waits, and the peer finds out by itself in the end. */
    static const struct session_retransmit brief = {
        .first_ms = 250, .max_ms = 1000, .growth_percent = 200, .tries = 4};
    if (sa->window.request.active)
        (void)window_request_end(&sa->window, now); /* whatever it asked no longer matters */
    sa->closing_reason = reason;
    sa->closing_fault = *f;
    sa->state = SA_CLOSING;
    struct message_writer m;
    size_t sk;
    sa_request_begin(sa, &m, EXCHANGE_INFORMATIONAL, &sk);
    if (notify != 0)
        notify_write(&m, notify, SPAN_EMPTY);
    else
        delete_ike_write(&m);
    if (sa_request_send(sa, now, &m, sk, &brief) != ERR_OK)
        sa_die(sa, reason, f);
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

/* Decrypt into in->payloads. Until the ICV has verified, errors mean: drop. */
static enum err open_message(struct ike_sa *sa, struct sa_input *in, bool *ret_authentic,
                             uint8_t *ret_bad_type)
{
    *ret_authentic = false;
    if (in->message.len > IKE_MESSAGE_MAX)
        return ERR_LIMIT;
    uint8_t *copy = session_scratch(sa->session);
    memcpy(copy, in->message.data, in->message.len);
    struct span body = span_make(copy + IKE_HEADER_LEN, in->message.len - IKE_HEADER_LEN);
    struct payload_list outer;
    enum err e = payload_list_parse(in->header.next_payload, body, &outer, ret_bad_type);
    if (e != ERR_OK)
        return e;
    uint8_t first;
    struct span inner;
    e = sk_open(copy, in->message.len, &outer, sa->open, &first, &inner);
    if (e == ERR_INTEGRITY)
        return e;
    if (outer.count == 0 || outer.items[outer.count - 1].type != PAYLOAD_SK)
        return e;
    *ret_authentic = true;
    if (e != ERR_OK)
        return e;
    return payload_list_parse(first, inner, &in->payloads, ret_bad_type);
}

/* The peer sent something authentic that RFC 7296 2.21 calls fatal. */
static void syntax_failure(struct ike_sa *sa, const struct sa_input *in, enum direction direction)
{
    struct fault f = {0};
    (void)fault_set(&f, ERR_MALFORMED, "the peer sent an %s message that breaks RFC 7296",
                    exchange_name(in->header.exchange));
    fault_hint(&f, "run with --log-level debug and report it to the gateway's vendor");
    if (direction == REQUEST &&
        sa_response_notify(sa, in, NOTIFY_INVALID_SYNTAX, SPAN_EMPTY) != ERR_OK)
        log_debug("INVALID_SYNTAX could not be sent");
    sa_die(sa, SESSION_DOWN_PROTOCOL, &f);
}

/* An unknown payload with the critical bit (RFC 7296 2.5): refuse a request, fail on a response. */
static void critical_failure(struct ike_sa *sa, const struct sa_input *in, enum direction direction,
                             uint8_t bad_type)
{
    if (direction == REQUEST) {
        if (sa_response_notify(sa, in, NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD,
                               span_make(&bad_type, 1)) != ERR_OK)
            log_warn("no answer sent to a request with critical payload %u", bad_type);
        return;
    }
    struct fault f = {0};
    (void)fault_set(&f, ERR_UNSUPPORTED,
                    "the peer's %s response holds the unknown critical payload %u",
                    exchange_name(in->header.exchange), bad_type);
    sa_die(sa, SESSION_DOWN_PROTOCOL, &f);
}

static enum direction direction_of(const struct ike_header *h)
{
    return (h->flags & IKE_FLAG_RESPONSE) != 0 ? RESPONSE : REQUEST;
}

/* Is it expected at all? Judges header and window alone. */
static bool acceptable(struct ike_sa *sa, struct sa_input *in)
{
    const struct ike_header *h = &in->header;
    bool from_initiator = (h->flags & IKE_FLAG_INITIATOR) != 0;
    if (h->major != 2 || from_initiator == sa->initiator || exchange_name(h->exchange) == NULL)
        return false;
    if (direction_of(h) == RESPONSE)
        return window_request_matches(&sa->window, h->exchange, h->message_id);
    switch (window_arrival(&sa->window, h->message_id, in->message)) {
    case WINDOW_NEW:
        return true;
    case WINDOW_REPEAT:
        log_debug("request %" PRIu32 " came again, so does its answer", h->message_id);
        session_transmit(sa->session, in->path,
                         span_make(sa->window.response, sa->window.response_len));
        return false;
    case WINDOW_FOREIGN:
        break;
    }
    return false;
}

/* Fill in->payloads; false where the message goes no further. */
static bool take_apart(struct ike_sa *sa, struct sa_input *in)
{
    uint8_t bad_type = 0;
    if (in->header.exchange == EXCHANGE_IKE_SA_INIT) {
        struct span body =
            span_make(in->message.data + IKE_HEADER_LEN, in->message.len - IKE_HEADER_LEN);
        return payload_list_parse(in->header.next_payload, body, &in->payloads, &bad_type) ==
               ERR_OK;
    }
    if (sa->open == NULL)
        return false;
    bool authentic;
    enum err e = open_message(sa, in, &authentic, &bad_type);
    if (!authentic) {
        log_debug("dropped an %s message: %s", exchange_name(in->header.exchange), err_text(e));
        return false;
    }
    sa->last_in = in->now;
    if (e == ERR_UNSUPPORTED)
        critical_failure(sa, in, direction_of(&in->header), bad_type);
    else if (e != ERR_OK)
        syntax_failure(sa, in, direction_of(&in->header));
    return e == ERR_OK;
}

void sa_input(struct ike_sa *sa, mono_ms now, const struct path *path,
              const struct ike_header *header, struct span message)
{
    struct sa_input in = {.now = now, .path = path, .header = *header, .message = message};
    if (sa->state == SA_DEAD || !acceptable(sa, &in) || !take_apart(sa, &in))
        return;

    bool clear = header->exchange == EXCHANGE_IKE_SA_INIT;
    enum direction direction = direction_of(header);
    bool repeated;
    uint32_t present = present_payloads(&in.payloads, &repeated);
    const struct transition *t =
        repeated ? NULL : find_transition(sa, header->exchange, direction, present);
    if (t == NULL) {
        log_info("%s %s was not expected here", exchange_name(header->exchange),
                 direction == REQUEST ? "request" : "response");
        if (!clear)
            syntax_failure(sa, &in, direction);
        return;
    }
    log_debug("%s: %s", exchange_name(header->exchange), t->story);
    enum err e = t->handler(sa, &in);
    if (e == ERR_OK || sa->state == SA_DEAD)
        return;
    log_info("%s %s: %s", exchange_name(header->exchange),
             direction == REQUEST ? "request" : "response", err_text(e));
    if (clear)
        return; /* anybody may have sent it */
    if (e == ERR_MEMORY || e == ERR_CRYPTO || e == ERR_STATE || e == ERR_EXHAUSTED) {
        struct fault f = {0};
        (void)fault_set(&f, e, "%s failed here: %s", exchange_name(header->exchange), err_text(e));
        sa_die(sa, SESSION_DOWN_INTERNAL, &f);
    } else {
        syntax_failure(sa, &in, direction);
    }
}

/* --- time --- */

mono_ms sa_next_timeout(const struct ike_sa *sa)
{
    mono_ms next = MONO_NEVER;
    if (sa->state == SA_DEAD)
        return next;
    if (sa->window.request.active)
        next = sa->window.request.next_at;
    if (sa->handshake != NULL)
        next = mono_earlier(next, sa->handshake->complaint_at);
    return next;
}

static void request_failed(struct ike_sa *sa)
{
    if (sa->state == SA_CLOSING) {
        sa_die(sa, sa->closing_reason, &sa->closing_fault);
        return;
    }
    const struct window_request *r = &sa->window.request;
    char gateway[ENDPOINT_TEXT_MAX];
    endpoint_format(&sa->path.remote, gateway);
    struct fault f = {0};
    (void)fault_set(&f, ERR_NOT_FOUND, "no answer from %s to %s after %" PRIu32 " transmissions",
                    gateway, exchange_name(r->exchange), r->sent);
    if (r->exchange == EXCHANGE_IKE_AUTH)
        fault_hint(&f, "IKE_SA_INIT was answered; check that UDP port 4500 and large (fragmented) "
                       "datagrams can pass");
    else if (r->exchange == EXCHANGE_IKE_SA_INIT)
        fault_hint(&f, "check the Address in [Gateway] and that UDP ports 500 and 4500 can pass");
    sa_die(sa, SESSION_DOWN_UNREACHABLE, &f);
}

void sa_handle_timeout(struct ike_sa *sa, mono_ms now)
{
    if (sa->state == SA_DEAD)
        return;
    struct handshake *h = sa->handshake;
    if (h != NULL && now >= h->complaint_at) {
        struct fault f = h->complaint_fault;
        sa_die(sa, h->complaint, &f);
        return;
    }
    const struct window_request *r = &sa->window.request;
    switch (window_request_due(&sa->window, now)) {
    case WINDOW_WAIT:
        break;
    case WINDOW_RESEND:
        log_debug("no answer to %s yet, sending it again (%" PRIu32 ")", exchange_name(r->exchange),
                  r->sent);
        session_transmit(sa->session, &sa->path, span_make(r->bytes, r->len));
        break;
    case WINDOW_FAILED:
        request_failed(sa);
        break;
    }
}
