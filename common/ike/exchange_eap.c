/* EAP within IKE_AUTH (RFC 7296 2.16), both directions. The client leaves AUTH out of its first
 * request; the gateway proves itself by a signature; then come rounds of EAP, and last an AUTH of
 * either side with the key that EAP has made.
 *
 * Invariants: until the gateway's first AUTH has been checked no word of EAP leaves, but where the
 * configuration has methods alone that prove the server, and wants no other proof (RFC 5998); and
 * nothing that the gateway grants is used before its last AUTH. What EAP itself holds to is
 * common/eap's. */
#include "common/ike/auth.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

/* --- initiator --- */

static enum err response_send(struct ike_sa *sa, mono_ms now, struct span response)
{
    struct message_writer m;
    size_t sk;
    sa->state = SA_EAP_GOING;
    sa_request_begin(sa, &m, EXCHANGE_IKE_AUTH, &sk);
    payload_write(&m, PAYLOAD_EAP, response);
    return sa_request_send(sa, now, &m, sk, &sa->config->retransmit);
}

static enum err last_auth_send(struct ike_sa *sa, mono_ms now)
{
    struct message_writer m;
    size_t sk;
    sa->state = SA_EAP_DONE;
    sa_request_begin(sa, &m, EXCHANGE_IKE_AUTH, &sk);
    enum err e = proof_write_eap_auth(sa, &m);
    return e == ERR_OK ? sa_request_send(sa, now, &m, sk, &sa->config->retransmit) : e;
}

static enum session_down_reason reason_of(enum err e)
{
    switch (e) {
    case ERR_REFUSED:
        return SESSION_DOWN_REFUSED;
    case ERR_INTEGRITY:
        return SESSION_DOWN_PEER_UNTRUSTED;
    default:
        return SESSION_DOWN_PROTOCOL;
    }
}

/* Who has said EAP Failure is done with us; else it is ours to say that it is over. */
static void failed(struct ike_sa *sa, mono_ms now, const struct eap_result *r)
{
    enum session_down_reason reason = reason_of(r->fault.code);
    if (reason == SESSION_DOWN_REFUSED && eap_peer_tried(sa->handshake->eap))
        session_refuse_password(sa->session);
    if (r->refused)
        sa_die(sa, reason, &r->fault);
    else
        auth_reject_peer(sa, now, reason, &r->fault);
}

/* Whoever wants to stop says no more: the Delete is next. */
static enum err eap_step(struct ike_sa *sa, const struct sa_input *in)
{
    struct handshake *h = sa->handshake;
    struct eap_result r;
    struct span packet;
    if (eap_payload_parse(payload_find(&in->payloads, PAYLOAD_EAP)->body, &packet) != ERR_OK)
        return ERR_MALFORMED;
    if (sa->close_wanted)
        return ERR_OK;
    eap_peer_input(h->eap, packet, &r);
    if (eap_peer_told_password(h->eap))
        session_spend_password(sa->session);
    switch (r.outcome) {
    case EAP_GOING_ON:
        return response_send(sa, in->now, r.response);
    case EAP_SUCCEEDED:
        log_debug("EAP has succeeded");
        h->msk.len = 0;
        if (secret_set(&h->msk, eap_peer_msk(h->eap)) != ERR_OK)
            return ERR_STATE;
        return last_auth_send(sa, in->now);
    case EAP_FAILED:
        break;
    }
    failed(sa, in->now, &r);
    return ERR_OK;
}

/* Is what we would answer with of use still? */
static bool password_left(struct ike_sa *sa, mono_ms now)
{
    struct fault f = {0};
    if (!session_password_spent(sa->session))
        return true;
    (void)fault_set(&f, ERR_REFUSED,
                    "the gateway wants a new code of user \"%.100s\", and nobody can be asked here",
                    sa->config->eap.name);
    fault_hint(&f, "run tern up again, and enter one");
    session_refuse_password(sa->session);
    auth_reject_peer(sa, now, SESSION_DOWN_REFUSED, &f);
    return false;
}

/* With the gateway that has just proven itself, or that EAP alone is to prove. */
static enum err peer_new(struct ike_sa *sa, const struct sa_input *in)
{
    const struct session_config *c = sa->config;
    struct handshake *h = sa->handshake;
    enum err e = blob_set(&h->peer_id_body, payload_find(&in->payloads, PAYLOAD_ID_R)->body);
    return e == ERR_OK ? eap_peer_new(&c->eap, &c->random, &h->eap) : e;
}

static enum err begin(struct ike_sa *sa, const struct sa_input *in)
{
    if (!password_left(sa, in->now))
        return ERR_OK;
    enum err e = peer_new(sa, in);
    return e == ERR_OK ? eap_step(sa, in) : e;
}

enum err eap_second_begin(struct ike_sa *sa, const struct sa_input *in)
{
    struct message_writer m;
    size_t sk;
    if (!password_left(sa, in->now))
        return ERR_OK;
    enum err e = peer_new(sa, in);
    if (e != ERR_OK)
        return e;
    sa->state = SA_EAP_GOING;
    sa_request_begin(sa, &m, EXCHANGE_IKE_AUTH, &sk);
    id_payload_write(&m, PAYLOAD_ID_I, second_own_proof(sa).id); /* without AUTH: by EAP */
    return sa_request_send(sa, in->now, &m, sk, &sa->config->retransmit);
}

enum err eap_begin_in(struct ike_sa *sa, struct sa_input *in)
{
    if (!auth_proven(sa, in) || auth_redirected(sa, in))
        return ERR_OK;
    session_proven(sa);
    if (auth_not_granted(sa, in))
        return ERR_OK;
    if (payload_find(&in->payloads, PAYLOAD_EAP) == NULL)
        return ERR_MALFORMED; /* it grants without having asked, or does not go on */
    return begin(sa, in);
}

/* Nobody is believed to be the gateway yet: others that answered are still asked as well. */
enum err eap_only_begin_in(struct ike_sa *sa, struct sa_input *in)
{
    struct fault f = {0};
    auth_answered(sa, in);
    enum err e = ERR_REFUSED;
    if ((sa->config->remote_auth & SESSION_AUTH_EAP) == 0) {
        (void)fault_set(&f, e, "the gateway asks by EAP without having proven itself");
        fault_hint(&f, "have it show a certificate; or, where it is proven by EAP-TLS, -TTLS or "
                       "-PEAP, set Authentication = eap in [Gateway]");
    } else {
        e = proof_check_claim(sa, in, &f);
    }
    if (e == ERR_OK)
        return begin(sa, in);
    auth_reject_peer(sa, in->now, SESSION_DOWN_PEER_UNTRUSTED, &f);
    return ERR_OK;
}

enum err eap_response_in(struct ike_sa *sa, struct sa_input *in)
{
    auth_answered(sa, in);
    return eap_step(sa, in);
}

enum err eap_end_in(struct ike_sa *sa, struct sa_input *in)
{
    const struct blob *id = &sa->handshake->peer_id_body;
    struct fault f = {0};
    auth_answered(sa, in);
    if (proof_check_eap_peer(sa, in, &f) == ERR_OK) {
        /* RFC 5998: only now is it who it said it was. */
        enum err e = id_payload_parse(span_make(id->data, id->len), &sa->peer_id);
        return e == ERR_OK ? auth_granted_in(sa, in) : e;
    }
    auth_reject_peer(sa, in->now, SESSION_DOWN_PEER_UNTRUSTED, &f);
    return ERR_OK;
}

void eap_refused(struct ike_sa *sa)
{
    struct fault f = {0};
    if (sa->state == SA_EAP_DONE) {
        (void)fault_set(&f, ERR_REFUSED,
                        "the gateway refused our AUTH (AUTHENTICATION_FAILED), "
                        "though EAP had succeeded");
        char ppk[PPK_TEXT_MAX];
        if (ppk_sent_text(sa, ppk)[0] != '\0')
            fault_hint(&f, "sent our AUTH%s; compare with what the gateway has", ppk);
    } else {
        eap_peer_refused(sa->handshake->eap, &f);
        if (f.code == ERR_REFUSED && eap_peer_tried(sa->handshake->eap))
            session_refuse_password(sa->session);
    }
    sa_die(sa, reason_of(f.code), &f);
}

/* --- responder --- */

/* A copy of it. */
enum err auth_remember(struct ike_sa *sa, const struct sa_input *in)
{
    struct handshake *h = sa->handshake;
    const struct payload_list *l = &in->payloads;
    size_t len = 0;
    for (size_t i = 0; i < l->count; i++)
        len += l->items[i].body.len;
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    if (bytes == NULL)
        return ERR_MEMORY;
    struct wire_writer w;
    wire_writer_init(&w, bytes, len);
    h->asked = *l;
    for (size_t i = 0; i < l->count; i++) {
        size_t at = w.len;
        wire_write_span(&w, l->items[i].body);
        h->asked.items[i].body = span_make(bytes + at, w.len - at);
    }
    h->asked_bytes = (struct blob){bytes, len};
    return blob_set(&h->peer_id_body, payload_find(l, PAYLOAD_ID_I)->body);
}

/* RFC 5998 3. */
static bool eap_alone(const struct ike_sa *sa, const struct sa_input *in)
{
    struct notify_payload n;
    return sa->config->eap_only && notify_find(&in->payloads, NOTIFY_EAP_ONLY_AUTHENTICATION, &n);
}

/* begins: the gateway's own proof goes with it. */
static enum err serve(struct ike_sa *sa, const struct sa_input *in, struct span response,
                      bool begins)
{
    const struct session_policy *policy = &sa->config->policy;
    const struct blob *id = &sa->handshake->peer_id_body;
    struct session_eap_step step = {.outcome = EAP_FAILED};
    struct identity claimed;
    struct message_writer m;
    struct fault f = {0};
    size_t sk;
    enum err e = id_payload_parse(span_make(id->data, id->len), &claimed);
    if (e == ERR_OK)
        e = policy->eap(policy->ctx, &claimed, response, &step);
    if (e != ERR_OK) {
        (void)fault_set(&f, e, "the client's EAP cannot be served: %s", err_text(e));
        return auth_refuse(sa, in, &f);
    }
    sa_response_begin(sa, &m, in, &sk);
    if (begins && eap_alone(sa, in))
        id_payload_write(&m, PAYLOAD_ID_R, &sa->config->local_id);
    else if (begins)
        e = proof_write_gateway(sa, in, &m);
    payload_write(&m, PAYLOAD_EAP, span_make(step.packet, step.packet_len));
    if (e == ERR_OK)
        e = sa_response_send(sa, &m, in, sk);
    sa->state = SA_EAP_GOING;
    if (step.outcome == EAP_SUCCEEDED) {
        sa->state = SA_EAP_DONE;
        sa->handshake->msk = step.msk;
        sa->peer_id = step.peer;
    } else if (step.outcome == EAP_FAILED) {
        (void)fault_set(&f, ERR_REFUSED, "the client did not prove itself by EAP");
        sa_die(sa, SESSION_DOWN_REFUSED, &f);
    }
    wipe(&step, sizeof(step));
    return e;
}

enum err eap_request_begin_in(struct ike_sa *sa, struct sa_input *in)
{
    struct fault f = {0};
    if ((sa->config->remote_auth & SESSION_AUTH_EAP) == 0) {
        (void)fault_set(&f, ERR_REFUSED, "the client wants EAP");
        return auth_refuse(sa, in, &f);
    }
    if (sa->config->second_use == SESSION_SECOND_REQUIRED) {
        (void)fault_set(&f, ERR_REFUSED, "the client begins with EAP, and two proofs are required");
        return auth_refuse(sa, in, &f);
    }
    enum err e = auth_remember(sa, in);
    return e == ERR_OK ? serve(sa, in, SPAN_EMPTY, true) : e;
}

/* RFC 4739: of who has proven itself once. What is signed last has this identity in it. */
enum err eap_request_second_in(struct ike_sa *sa, struct sa_input *in)
{
    struct fault f = {0};
    if ((sa->config->remote_auth & SESSION_AUTH_EAP) == 0) {
        (void)fault_set(&f, ERR_REFUSED, "the client wants EAP");
        return auth_refuse(sa, in, &f);
    }
    enum err e =
        blob_set(&sa->handshake->peer_id_body, payload_find(&in->payloads, PAYLOAD_ID_I)->body);
    return e == ERR_OK ? serve(sa, in, SPAN_EMPTY, false) : e;
}

enum err eap_request_in(struct ike_sa *sa, struct sa_input *in)
{
    struct span packet;
    if (eap_payload_parse(payload_find(&in->payloads, PAYLOAD_EAP)->body, &packet) != ERR_OK)
        return ERR_MALFORMED;
    return serve(sa, in, packet, false);
}

enum err eap_request_end_in(struct ike_sa *sa, struct sa_input *in)
{
    struct fault f = {0};
    if (proof_check_eap_peer(sa, in, &f) != ERR_OK)
        return auth_refuse(sa, in, &f);
    return auth_grant(sa, in);
}

enum err eap_request_abandoned_in(struct ike_sa *sa, struct sa_input *in)
{
    struct message_writer m;
    struct fault f = {0};
    size_t sk;
    sa_response_begin(sa, &m, in, &sk);
    enum err e = sa_response_send(sa, &m, in, sk);
    (void)fault_set(&f, ERR_REFUSED, "the client gave up before it was proven");
    sa_die(sa, SESSION_DOWN_REFUSED, &f);
    return e;
}
