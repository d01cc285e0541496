/* A second proof within IKE_AUTH (RFC 4739), both directions: the client, proven by its first AUTH,
 * goes on with another identity of its own (the user's, after the machine's) and proves that too,
 * by EAP, a key or a certificate. What it asked for at first is granted at the end.
 *
 * Invariants: nothing of the second proof, not even its identity, leaves before the gateway has
 * proven itself; and a gateway that has not announced that it takes two is not even sent the first.
 * The gateway proves itself once, beside the first. */
#include "common/ike/auth.h"

#include "common/base/log.h"

/* --- both --- */

void second_write_support(const struct ike_sa *sa, struct message_writer *m)
{
    const struct session_config *c = sa->config;
    if (sa->initiator ? c->second.auth != 0 : c->second_use != SESSION_SECOND_OFF)
        notify_write(m, NOTIFY_MULTIPLE_AUTH_SUPPORTED, SPAN_EMPTY);
}

struct own_proof second_own_proof(const struct ike_sa *sa)
{
    const struct session_config *c = sa->config;
    if (sa->handshake->second)
        return (struct own_proof){c->second.auth, &c->second.id, &c->second.psk, c->second.key,
                                  c->second.chain};
    return (struct own_proof){c->local_auth, &c->local_id, &c->local_psk, c->key, c->chain};
}

/* --- initiator --- */

enum err second_check_announced(const struct ike_sa *asking, const struct sa_input *in,
                                struct fault *f)
{
    struct notify_payload n;
    if (asking->config->second.auth == 0 ||
        notify_find(&in->payloads, NOTIFY_MULTIPLE_AUTH_SUPPORTED, &n))
        return ERR_OK;
    (void)fault_set(f, ERR_REFUSED,
                    "the gateway does not take two proofs (no MULTIPLE_AUTH_SUPPORTED), and the "
                    "profile has [Local] and [User]");
    fault_hint(f, "leave [User] out, if the gateway asks once");
    return ERR_REFUSED;
}

void second_write_announcement(const struct ike_sa *sa, struct message_writer *m)
{
    if (sa->config->second.auth == 0)
        return;
    second_write_support(sa, m);
    notify_write(m, NOTIFY_ANOTHER_AUTH_FOLLOWS, SPAN_EMPTY);
}

static enum err second_send(struct ike_sa *sa, mono_ms now)
{
    const struct own_proof own = second_own_proof(sa);
    struct message_writer m;
    size_t sk;
    sa->state = SA_SECOND_SENT;
    sa_request_begin(sa, &m, EXCHANGE_IKE_AUTH, &sk);
    id_payload_write(&m, PAYLOAD_ID_I, own.id);
    proof_write_certificates(sa, &m);
    enum err e = proof_write_auth(sa, &m);
    return e == ERR_OK ? sa_request_send(sa, now, &m, sk, &sa->config->retransmit) : e;
}

/* Our profile knows one proof of the gateway's. */
static bool gateway_wants_more(struct ike_sa *sa, const struct sa_input *in)
{
    struct notify_payload n;
    struct fault f = {0};
    if (!notify_find(&in->payloads, NOTIFY_ANOTHER_AUTH_FOLLOWS, &n))
        return false;
    (void)fault_set(&f, ERR_UNSUPPORTED,
                    "the gateway wants to prove itself a second time, which is not supported");
    auth_reject_peer(sa, in->now, SESSION_DOWN_PEER_UNTRUSTED, &f);
    return true;
}

enum err second_begin_in(struct ike_sa *sa, struct sa_input *in)
{
    if (!auth_proven(sa, in) || auth_redirected(sa, in))
        return ERR_OK;
    session_proven(sa);
    if (auth_not_granted(sa, in) || gateway_wants_more(sa, in))
        return ERR_OK;
    if (auth_has_child(&in->payloads))
        return ERR_MALFORMED; /* it grants before it has seen the second */
    if (sa->close_wanted)
        return ERR_OK; /* the Delete is next */
    sa->handshake->second = true;
    return sa->config->second.auth == SESSION_AUTH_EAP ? eap_second_begin(sa, in)
                                                       : second_send(sa, in->now);
}

enum err second_end_in(struct ike_sa *sa, struct sa_input *in)
{
    struct notify_payload n;
    if (notify_find_error(&in->payloads, &n) && n.type == NOTIFY_AUTHENTICATION_FAILED)
        return auth_notify_in(sa, in);
    auth_answered(sa, in);
    return auth_granted_in(sa, in);
}

/* --- responder --- */

/* Its first proof is good: RFC 4739 2.1 has the other one follow. */
static enum err first_answer(struct ike_sa *sa, const struct sa_input *in)
{
    struct message_writer m;
    size_t sk;
    enum err e = auth_remember(sa, in);
    if (e != ERR_OK)
        return e;
    sa_response_begin(sa, &m, in, &sk);
    e = proof_write_gateway(sa, in, &m);
    if (e != ERR_OK)
        return e;
    char id[IDENTITY_TEXT_MAX];
    log_info("\"%.150s\" is proven, and another proof follows", identity_format(&sa->peer_id, id));
    sa->state = SA_FIRST_PROVEN;
    return sa_response_send(sa, &m, in, sk);
}

static enum err refuse(struct ike_sa *sa, const struct sa_input *in, const char *why)
{
    struct fault f = {0};
    (void)fault_set(&f, ERR_REFUSED, "%s", why);
    return auth_refuse(sa, in, &f);
}

enum err second_awaited(struct ike_sa *sa, const struct sa_input *in, bool *ret_answered)
{
    const enum session_second_use use = sa->config->second_use;
    struct notify_payload n;
    bool follows = notify_find(&in->payloads, NOTIFY_ANOTHER_AUTH_FOLLOWS, &n);
    *ret_answered = true;
    if (follows && (use == SESSION_SECOND_OFF || sa->state == SA_FIRST_PROVEN ||
                    !notify_find(&in->payloads, NOTIFY_MULTIPLE_AUTH_SUPPORTED, &n)))
        return refuse(sa, in, "the client wants to prove itself once more than is taken here");
    if (follows)
        return first_answer(sa, in);
    if (use == SESSION_SECOND_REQUIRED && sa->state != SA_FIRST_PROVEN)
        return refuse(sa, in, "the client proves itself once, and twice is required");
    *ret_answered = false;
    return ERR_OK;
}
