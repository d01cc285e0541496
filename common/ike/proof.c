/* Proof of identity in IKE_AUTH (RFC 7296 2.15): our ID, CERT and AUTH, and the check of the
 * peer's.
 *
 * The order of the check is the order in which a person would ask: is this a kind of proof we
 * accept; is its certificate from somebody we trust; is it for the name we want; is the signature
 * good. */
#include "common/ike/auth.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

enum {
    ID_BODY_MAX = 4 + IDENTITY_MAX,
    CERTREQ_ANCHORS_MAX = 16 /* hashes; more would only make the message large */
};

static const char *peer_name(const struct ike_sa *sa)
{
    return sa->initiator ? "gateway" : "client";
}

/* --- what is signed --- */

static struct span own_id_body(const struct identity *id, uint8_t out[ID_BODY_MAX])
{
    struct wire_writer w;
    wire_writer_init(&w, out, ID_BODY_MAX);
    wire_write_u8(&w, (uint8_t)id->type);
    wire_write_zeros(&w, 3);
    wire_write_span(&w, identity_span(id));
    return wire_written(&w);
}

/* The octets that the initiator, or the responder, signs; *ret.data is to be freed. */
static enum err signed_octets(const struct ike_sa *sa, const struct ike_keys *keys,
                              bool by_initiator, struct span id_body, struct blob *ret)
{
    const struct handshake *h = sa->handshake;
    const struct blob *message = by_initiator ? &h->init_request : &h->init_response;
    const struct nonce *nonce = by_initiator ? &h->nonce_r : &h->nonce_i;
    const struct secret *sk_p = by_initiator ? &keys->pi : &keys->pr;
    size_t cap = message->len + nonce->len + PRF_OUT_MAX;
    uint8_t *octets = malloc(cap);
    if (octets == NULL)
        return ERR_MEMORY;
    struct span s = SPAN_EMPTY;
    enum err e = auth_octets(sa->suite.prf, sk_p, span_make(message->data, message->len),
                             span_make(nonce->data, nonce->len), id_body, octets, cap, &s);
    if (e != ERR_OK) {
        free(octets);
        return e;
    }
    *ret = (struct blob){octets, s.len};
    return ERR_OK;
}

/* --- ours --- */

void proof_write_certificates(struct ike_sa *sa, struct message_writer *m)
{
    const struct own_proof own = second_own_proof(sa);
    if (own.auth != SESSION_AUTH_CERTIFICATE)
        return;
    for (size_t i = 0; i < own.chain->count; i++)
        cert_payload_write(m, PAYLOAD_CERT, CERT_X509_SIGNATURE,
                           certificate_der(own.chain->items[i]));
}

void proof_write_certreq(struct ike_sa *sa, struct message_writer *m)
{
    const struct session_config *c = sa->config;
    if ((c->remote_auth & SESSION_AUTH_CERTIFICATE) == 0 || c->trust == NULL)
        return;
    uint8_t hashes[CERTREQ_ANCHORS_MAX * SHA1_LEN];
    size_t count = trust_store_count(c->trust);
    /* With a whole system's store the list says nothing; an empty one asks for any certificate. */
    if (count > CERTREQ_ANCHORS_MAX)
        count = 0;
    for (size_t i = 0; i < count; i++)
        trust_store_key_hash(c->trust, i, hashes + i * SHA1_LEN);
    cert_payload_write(m, PAYLOAD_CERTREQ, CERT_X509_SIGNATURE,
                       span_make(hashes, count * SHA1_LEN));
    proof_write_ocsp_request(sa, m);
}

/* AUTH as it is made: to be sent in its payload, or (RFC 8784 3) its data in NO_PPK_AUTH. */
struct made {
    uint8_t method;
    uint8_t data[SIGNATURE_MAX];
    size_t len;
};

static enum err make_signature(struct ike_sa *sa, struct span octets, struct made *ret)
{
    enum auth_method method;
    enum err e = signature_make(second_own_proof(sa).key, sa->handshake->peer_hashes, true, octets,
                                &method, ret->data, &ret->len, &sa->end_fault);
    if (e != ERR_OK)
        return e;
    log_debug("we sign with %s", signature_text(method, span_make(ret->data, ret->len)));
    ret->method = (uint8_t)method;
    return ERR_OK;
}

static enum err make_by_key(const struct ike_sa *sa, struct span key, struct span octets,
                            struct made *ret)
{
    ret->method = AUTH_METHOD_PSK;
    ret->len = prf_len(sa->suite.prf);
    return auth_shared_key(sa->suite.prf, key, octets, ret->data);
}

static enum err make_shared_key(struct ike_sa *sa, struct span octets, struct made *ret)
{
    const struct session_config *c = sa->config;
    struct secret psk = *second_own_proof(sa).psk;
    enum err e = ERR_OK;
    if (!sa->initiator && c->policy.find_psk != NULL)
        e = c->policy.find_psk(c->policy.ctx, &sa->peer_id, &psk);
    if (e == ERR_OK)
        e = make_by_key(sa, secret_span(&psk), octets, ret);
    secret_wipe(&psk);
    return e;
}

/* RFC 7296 2.16: with the key that EAP has made, or SK_pi and SK_pr where it made none. */
static struct span eap_key(const struct ike_sa *sa, const struct ike_keys *keys, bool by_initiator)
{
    const struct secret *sk_p = by_initiator ? &keys->pi : &keys->pr;
    return secret_span(sa->handshake->msk.len > 0 ? &sa->handshake->msk : sk_p);
}

static enum err make(struct ike_sa *sa, const struct ike_keys *keys, bool after_eap,
                     struct made *ret)
{
    const struct own_proof own = second_own_proof(sa);
    uint8_t id[ID_BODY_MAX];
    struct blob octets;
    enum err e = signed_octets(sa, keys, sa->initiator, own_id_body(own.id, id), &octets);
    if (e != ERR_OK)
        return e;
    struct span s = span_make(octets.data, octets.len);
    if (after_eap)
        e = make_by_key(sa, eap_key(sa, keys, sa->initiator), s, ret);
    else if (own.auth == SESSION_AUTH_CERTIFICATE)
        e = make_signature(sa, s, ret);
    else
        e = make_shared_key(sa, s, ret);
    free(octets.data);
    return e;
}

/* AUTH, and with it what there is to be said of a PPK. */
static enum err write_auth(struct ike_sa *sa, struct message_writer *m, bool after_eap)
{
    struct made auth;
    enum err e = sa->initiator ? ppk_offer(sa) : ERR_OK;
    if (e == ERR_OK)
        e = make(sa, ppk_keys(sa), after_eap, &auth);
    if (e != ERR_OK)
        return e;
    auth_payload_write(m, auth.method, span_make(auth.data, auth.len));
    ppk_write(sa, m);
    if (!ppk_spare_wanted(sa))
        return ERR_OK;
    e = make(sa, &sa->keys, after_eap, &auth);
    if (e == ERR_OK)
        notify_write(m, NOTIFY_NO_PPK_AUTH, span_make(auth.data, auth.len));
    return e;
}

enum err proof_write_auth(struct ike_sa *sa, struct message_writer *m)
{
    return write_auth(sa, m, false);
}

enum err proof_write_gateway(struct ike_sa *sa, const struct sa_input *in, struct message_writer *m)
{
    id_payload_write(m, PAYLOAD_ID_R, &sa->config->local_id);
    proof_write_certificates(sa, m);
    proof_write_evidence(sa, in, m);
    return proof_write_auth(sa, m);
}

/* --- after EAP --- */

enum err proof_write_eap_auth(struct ike_sa *sa, struct message_writer *m)
{
    return write_auth(sa, m, true);
}

static enum err eap_auth_of_peer(const struct ike_sa *sa, struct span id_body,
                                 uint8_t out[PRF_OUT_MAX])
{
    struct blob octets;
    enum err e = signed_octets(sa, &sa->keys, !sa->initiator, id_body, &octets);
    if (e != ERR_OK)
        return e;
    e = auth_shared_key(sa->suite.prf, eap_key(sa, &sa->keys, !sa->initiator),
                        span_make(octets.data, octets.len), out);
    free(octets.data);
    return e;
}

enum err proof_check_eap_peer(struct ike_sa *sa, const struct sa_input *in, struct fault *f)
{
    const struct blob *id = &sa->handshake->peer_id_body;
    struct auth_payload auth;
    uint8_t expected[PRF_OUT_MAX];
    enum err e = auth_payload_parse(payload_find(&in->payloads, PAYLOAD_AUTH)->body, &auth);
    if (e == ERR_OK && (e = ppk_settle(sa, in, &sa->peer_id, &auth, f)) != ERR_OK)
        return e;
    if (e == ERR_OK)
        e = eap_auth_of_peer(sa, span_make(id->data, id->len), expected);
    if (e != ERR_OK)
        return fault_set(f, e, "cannot check the %s's AUTH: %s", peer_name(sa), err_text(e));
    if (auth.method != AUTH_METHOD_PSK ||
        !secret_equal(span_make(expected, prf_len(sa->suite.prf)), auth.data))
        e = fault_set(f, ERR_INTEGRITY,
                      "the %s's last AUTH is wrong: EAP was with somebody else than it",
                      peer_name(sa));
    wipe(expected, sizeof(expected));
    return e;
}

const char *proof_sent_text(const struct ike_sa *sa, char out[PROOF_TEXT_MAX])
{
    const struct own_proof own = second_own_proof(sa);
    char id[IDENTITY_TEXT_MAX], subject[IDENTITY_TEXT_MAX], ppk[PPK_TEXT_MAX];
    struct fault text = {0};
    if (own.auth == SESSION_AUTH_CERTIFICATE)
        (void)fault_set(&text, ERR_OK, "identity \"%.120s\" with certificate \"%.200s\"%s",
                        identity_format(own.id, id),
                        certificate_subject(own.chain->items[0], subject), ppk_sent_text(sa, ppk));
    else if (own.auth == SESSION_AUTH_EAP)
        (void)fault_set(&text, ERR_OK, "identity \"%.120s\", wanting EAP%s",
                        identity_format(own.id, id), ppk_sent_text(sa, ppk));
    else
        (void)fault_set(&text, ERR_OK, "identity \"%.120s\" with a pre-shared key of %zu octets%s",
                        identity_format(own.id, id), own.psk->len, ppk_sent_text(sa, ppk));
    memcpy(out, text.text, sizeof(text.text));
    return out;
}

/* --- the peer's --- */

struct peer_claim {
    struct identity id;
    struct span id_body;
    struct auth_payload auth;
    struct span octets; /* what it must have signed */
    struct certificate_list chain;
};

static enum err collect_chain(const struct ike_sa *sa, const struct sa_input *in,
                              struct certificate_list *chain, struct fault *f)
{
    const struct payload *p = NULL;
    while ((p = payload_next(&in->payloads, PAYLOAD_CERT, p)) != NULL) {
        struct cert_payload cert;
        enum err e = cert_payload_parse(p->body, &cert);
        if (e != ERR_OK)
            return fault_set(f, e, "the %s sent a broken CERT payload", peer_name(sa));
        if (cert.encoding != CERT_X509_SIGNATURE)
            continue;
        if (chain->count == CERTIFICATES_MAX)
            return fault_set(f, ERR_LIMIT, "the %s sent more than %d certificates", peer_name(sa),
                             CERTIFICATES_MAX);
        e = certificate_parse_der(cert.data, &chain->items[chain->count], f);
        if (e == ERR_OK)
            chain->count++;
        else if (chain->count == 0)
            return e; /* the end entity's own: RFC 7296 3.6 puts it first */
    }
    if (chain->count == 0)
        return fault_set(f, ERR_REFUSED, "the %s signed but sent no certificate", peer_name(sa));
    return ERR_OK;
}

/* The identity that the certificate has to prove. */
static const struct identity *expected_identity(const struct ike_sa *sa,
                                                const struct peer_claim *claim)
{
    const struct identity *configured = &sa->config->remote_id;
    return configured->type != IDENTITY_NONE ? configured : &claim->id;
}

static enum err check_certificate(const struct ike_sa *sa, const struct sa_input *in,
                                  struct peer_claim *claim, struct fault *f)
{
    const struct session_config *c = sa->config;
    struct trust_evidence evidence;
    enum err e = collect_chain(sa, in, &claim->chain, f);
    proof_collect_evidence(in, &evidence);
    if (e == ERR_OK)
        e = trust_verify(c->trust, &claim->chain, &evidence,
                         sa->initiator ? PURPOSE_GATEWAY : PURPOSE_CLIENT,
                         c->wall_time(c->wall_time_ctx), f);
    if (e != ERR_OK)
        return e;
    const struct certificate *leaf = claim->chain.items[0];
    const struct identity *expected = expected_identity(sa, claim);
    if (!certificate_proves(leaf, expected)) {
        char names[IDENTITY_TEXT_MAX], wanted[IDENTITY_TEXT_MAX];
        (void)fault_set(f, ERR_REFUSED, "%s certificate is for \"%.150s\", %s \"%.100s\"",
                        peer_name(sa), certificate_names(leaf, names),
                        c->remote_id.type != IDENTITY_NONE ? "profile expects" : "it claims to be",
                        identity_format(expected, wanted));
        fault_hint(f, "set Identity = in [Gateway] to a name in the certificate, if that gateway "
                      "is the one you mean");
        return ERR_REFUSED;
    }
    /* RFC 7427 3: who announced hashes, and was told ours, does not sign with SHA-1. */
    if (claim->auth.method == AUTH_METHOD_RSA && sa->handshake->peer_hashes != 0)
        return fault_set(f, ERR_REFUSED,
                         "the %s signs with RSA and SHA-1, though it knows better hashes",
                         peer_name(sa));
    e = signature_verify(certificate_key(leaf), (enum auth_method)claim->auth.method, claim->octets,
                         claim->auth.data);
    if (e == ERR_INTEGRITY)
        return fault_set(f, e, "the %s's signature (%s) is wrong", peer_name(sa),
                         signature_text((enum auth_method)claim->auth.method, claim->auth.data));
    if (e != ERR_OK)
        return fault_set(
            f, e, "the %s's signature (%s) is of a kind that is not accepted: %s", peer_name(sa),
            signature_text((enum auth_method)claim->auth.method, claim->auth.data), err_text(e));
    return ERR_OK;
}

static enum err check_shared_key(const struct ike_sa *sa, const struct peer_claim *claim,
                                 struct fault *f)
{
    const struct session_config *c = sa->config;
    struct secret psk = c->remote_psk;
    enum err e = ERR_OK;
    char id[IDENTITY_TEXT_MAX];
    if (!sa->initiator && c->policy.find_psk != NULL)
        e = c->policy.find_psk(c->policy.ctx, &claim->id, &psk);
    if (e != ERR_OK)
        return fault_set(f, e, "no pre-shared key for \"%.100s\"", identity_format(&claim->id, id));
    uint8_t expected[PRF_OUT_MAX];
    e = auth_shared_key(sa->suite.prf, secret_span(&psk), claim->octets, expected);
    secret_wipe(&psk);
    if (e == ERR_OK && !secret_equal(span_make(expected, prf_len(sa->suite.prf)), claim->auth.data))
        e = fault_set(f, ERR_INTEGRITY, "the %s's pre-shared key is not ours", peer_name(sa));
    wipe(expected, sizeof(expected));
    return e;
}

/* IDr against the profile. An Identity that the profile names must come exactly; one that was only
 * taken from the Address may also be proven by the certificate while the gateway calls itself
 * something else (gateways that identify by their subject do). */
static enum err check_identity(const struct ike_sa *sa, const struct peer_claim *claim,
                               struct fault *f)
{
    const struct session_config *c = sa->config;
    bool by_certificate = claim->auth.method != AUTH_METHOD_PSK;
    if (c->remote_id.type == IDENTITY_NONE || identity_equal(&c->remote_id, &claim->id) ||
        (by_certificate && !c->send_remote_id))
        return ERR_OK;
    char seen[IDENTITY_TEXT_MAX], wanted[IDENTITY_TEXT_MAX];
    (void)fault_set(f, ERR_REFUSED, "%s says it is \"%.150s\", profile expects \"%.100s\"",
                    peer_name(sa), identity_format(&claim->id, seen),
                    identity_format(&c->remote_id, wanted));
    fault_hint(f, "set Identity = %.150s in [Gateway], if that gateway is the one you mean", seen);
    return ERR_REFUSED;
}

static enum err check_proof(const struct ike_sa *sa, const struct sa_input *in,
                            struct peer_claim *claim, struct fault *f)
{
    bool psk = claim->auth.method == AUTH_METHOD_PSK;
    unsigned kind = psk ? SESSION_AUTH_PSK : SESSION_AUTH_CERTIFICATE;
    if ((sa->config->remote_auth & kind) == 0) {
        (void)fault_set(f, ERR_REFUSED, "the %s proves itself by %s, which is not accepted here",
                        peer_name(sa), psk ? "a pre-shared key" : "a certificate");
        fault_hint(f, "set Authentication = %s in [Gateway], if that is right",
                   psk ? "psk" : "certificate");
        return ERR_REFUSED;
    }
    struct blob octets;
    enum err e = signed_octets(sa, &sa->keys, !sa->initiator, claim->id_body, &octets);
    if (e != ERR_OK)
        return fault_set(f, e, "cannot check the %s's AUTH: %s", peer_name(sa), err_text(e));
    claim->octets = span_make(octets.data, octets.len);
    e = psk ? check_shared_key(sa, claim, f) : check_certificate(sa, in, claim, f);
    free(octets.data);
    if (e == ERR_OK)
        e = check_identity(sa, claim, f);
    return e;
}

enum err proof_check_peer(struct ike_sa *sa, const struct sa_input *in, uint8_t id_type,
                          enum session_down_reason *ret_reason, struct fault *f)
{
    struct peer_claim claim = {.id_body = payload_find(&in->payloads, id_type)->body};
    *ret_reason = SESSION_DOWN_PROTOCOL;
    enum err e = id_payload_parse(claim.id_body, &claim.id);
    if (e == ERR_OK)
        e = auth_payload_parse(payload_find(&in->payloads, PAYLOAD_AUTH)->body, &claim.auth);
    if (e != ERR_OK)
        return fault_set(f, e, "the %s's ID or AUTH payload is broken: %s", peer_name(sa),
                         err_text(e));
    *ret_reason = SESSION_DOWN_PEER_UNTRUSTED;
    e = ppk_settle(sa, in, &claim.id, &claim.auth, f);
    if (e == ERR_OK)
        e = check_proof(sa, in, &claim, f);
    certificate_list_wipe(&claim.chain);
    if (e == ERR_OK)
        sa->peer_id = claim.id;
    return e;
}

enum err proof_check_claim(const struct ike_sa *sa, const struct sa_input *in, struct fault *f)
{
    /* No certificate stands behind another name here, as with a pre-shared key. */
    struct peer_claim claim = {.id_body = payload_find(&in->payloads, PAYLOAD_ID_R)->body,
                               .auth.method = AUTH_METHOD_PSK};
    enum err e = id_payload_parse(claim.id_body, &claim.id);
    if (e != ERR_OK)
        return fault_set(f, e, "the gateway's ID payload is broken: %s", err_text(e));
    return check_identity(sa, &claim, f);
}
