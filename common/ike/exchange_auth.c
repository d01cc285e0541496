/* IKE_AUTH (RFC 7296 1.2), both directions: each side proves who it is. Nothing that the peer asks
 * for is granted, and nothing it grants is used (auth_grant.c), before its AUTH has been checked. A
 * second proof of the client's is exchange_second.c's, EAP exchange_eap.c's. */
#include "common/ike/auth.h"

/* --- initiator --- */

enum err auth_request_send(struct ike_sa *sa, mono_ms now)
{
    const struct session_config *c = sa->config;
    struct message_writer m;
    size_t sk;
    sa_request_begin(sa, &m, EXCHANGE_IKE_AUTH, &sk);
    id_payload_write(&m, PAYLOAD_ID_I, &c->local_id);
    proof_write_certificates(sa, &m);
    proof_write_certreq(sa, &m);
    if (sa->send_remote_id)
        id_payload_write(&m, PAYLOAD_ID_R, &c->remote_id);
    /* RFC 7296 2.16: without AUTH it is EAP that we want. */
    enum err e = c->local_auth == SESSION_AUTH_EAP ? ERR_OK : proof_write_auth(sa, &m);
    if (e != ERR_OK)
        return e;
    if (c->local_auth == SESSION_AUTH_EAP && (c->remote_auth & SESSION_AUTH_EAP) != 0)
        notify_write(&m, NOTIFY_EAP_ONLY_AUTHENTICATION, SPAN_EMPTY);
    second_write_announcement(sa, &m);
    auth_write_wishes(sa, &m);
    sa->state = c->local_auth == SESSION_AUTH_EAP ? SA_EAP_ASKED
                : c->second.auth != 0             ? SA_FIRST_SENT
                                                  : SA_AUTH_SENT;
    return sa_request_send(sa, now, &m, sk, &c->retransmit);
}

void auth_reject_peer(struct ike_sa *sa, mono_ms now, enum session_down_reason reason,
                      const struct fault *f)
{
    sa_close(sa, now, reason, f, NOTIFY_AUTHENTICATION_FAILED);
}

void auth_answered(struct ike_sa *sa, const struct sa_input *in)
{
    sa_answered(sa, in->now);
    mobike_read_support(sa, in);
}

bool auth_proven(struct ike_sa *sa, const struct sa_input *in)
{
    enum session_down_reason reason;
    struct fault f = {0};
    auth_answered(sa, in);
    if (proof_check_peer(sa, in, PAYLOAD_ID_R, &reason, &f) == ERR_OK)
        return true;
    auth_reject_peer(sa, in->now, reason, &f);
    return false;
}

bool auth_not_granted(struct ike_sa *sa, const struct sa_input *in)
{
    struct notify_payload n;
    struct fault f = {0};
    if (!notify_find_error(&in->payloads, &n)) /* RFC 7296 3.10.1: whatever else it says */
        return false;
    enum session_down_reason reason = child_refusal(sa, n.type, &f);
    sa_close(sa, in->now, reason, &f, 0);
    return true;
}

bool auth_redirected(struct ike_sa *sa, const struct sa_input *in)
{
    struct notify_payload n;
    struct redirect_target to;
    struct span nonce;
    struct fault f = {0};
    if (!notify_find(&in->payloads, NOTIFY_REDIRECT, &n) ||
        redirect_parse(n.data, &to, &nonce) != ERR_OK)
        return false;
    if (session_follow_redirect(sa, in->now, &to)) {
        sa_close(sa, in->now, SESSION_DOWN_REQUESTED, &f, 0);
        return true;
    }
    (void)fault_set(&f, ERR_LIMIT, "the gateways send us from one to the other (REDIRECT)");
    sa_close(sa, in->now, SESSION_DOWN_PROTOCOL, &f, 0);
    return true;
}

enum err auth_response_in(struct ike_sa *sa, struct sa_input *in)
{
    return auth_proven(sa, in) ? auth_granted_in(sa, in) : ERR_OK;
}

enum err auth_notify_in(struct ike_sa *sa, struct sa_input *in)
{
    struct notify_payload n;
    struct fault f = {0};
    if (!notify_find_error(&in->payloads, &n))
        return ERR_MALFORMED;
    auth_answered(sa, in);
    if (n.type != NOTIFY_AUTHENTICATION_FAILED) {
        sa_die(sa, child_refusal(sa, n.type, &f), &f);
        return ERR_OK;
    }
    if (sa->state == SA_EAP_GOING || sa->state == SA_EAP_DONE) {
        eap_refused(sa);
        return ERR_OK;
    }
    bool second = sa->handshake->second;
    if (!second && sa->handshake->restarts > 0 && session_retry_afresh(sa, in->now))
        return ERR_OK;
    if (!second && sa->send_remote_id && session_retry_without_remote_id(sa, in->now))
        return ERR_OK;
    char sent[PROOF_TEXT_MAX];
    (void)fault_set(&f, ERR_REFUSED,
                    "the gateway refused our credentials%s (AUTHENTICATION_FAILED)",
                    second                         ? " of [User], not those of [Local]"
                    : sa->config->second.auth != 0 ? " of [Local]"
                                                   : "");
    fault_hint(&f, "sent %s; compare with what the gateway has for this user",
               proof_sent_text(sa, sent));
    sa_die(sa, SESSION_DOWN_REFUSED, &f);
    return ERR_OK;
}

/* --- responder --- */

enum err auth_refuse(struct ike_sa *sa, const struct sa_input *in, const struct fault *f)
{
    enum err e = sa_response_notify(sa, in, NOTIFY_AUTHENTICATION_FAILED, SPAN_EMPTY);
    sa_die(sa, SESSION_DOWN_REFUSED, f);
    return e;
}

enum err auth_request_in(struct ike_sa *sa, struct sa_input *in)
{
    enum session_down_reason reason;
    struct fault f = {0};
    bool answered;
    if (proof_check_peer(sa, in, PAYLOAD_ID_I, &reason, &f) != ERR_OK)
        return auth_refuse(sa, in, &f);
    enum err e = second_awaited(sa, in, &answered);
    return e == ERR_OK && !answered ? auth_grant(sa, in) : e;
}
