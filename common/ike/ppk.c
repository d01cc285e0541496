/* Post-quantum pre-shared keys (RFC 8784), both directions: announced in IKE_SA_INIT, named and
 * confirmed beside AUTH. With EAP that is the last AUTH: the gateway's first is without.
 *
 * Invariants: what has no PPK in it is used only where neither side requires one; who has announced
 * USE_PPK and is told of none answers AUTHENTICATION_FAILED. Rekeying goes on from SK_d, and mixes
 * nothing in again. */
#include "common/ike/auth.h"

#include <string.h>

#include "common/base/log.h"

static enum session_ppk_use use_of(const struct ike_sa *sa)
{
    return sa->config->ppk.use;
}

/* --- IKE_SA_INIT --- */

void ppk_write_support(const struct ike_sa *sa, struct message_writer *m)
{
    if (use_of(sa) != SESSION_PPK_OFF && (sa->initiator || sa->handshake->peer_ppk))
        notify_write(m, NOTIFY_USE_PPK, SPAN_EMPTY);
}

void ppk_read_support(struct ike_sa *sa, const struct sa_input *in)
{
    struct notify_payload n;
    sa->handshake->peer_ppk =
        use_of(sa) != SESSION_PPK_OFF && notify_find(&in->payloads, NOTIFY_USE_PPK, &n);
}

enum err ppk_check_announced(const struct ike_sa *asking, const struct sa_input *in,
                             struct fault *f)
{
    struct notify_payload n;
    if (use_of(asking) != SESSION_PPK_REQUIRED || notify_find(&in->payloads, NOTIFY_USE_PPK, &n))
        return ERR_OK;
    (void)fault_set(f, ERR_REFUSED,
                    "the gateway does not use post-quantum pre-shared keys (no USE_PPK), and the "
                    "profile requires one");
    fault_hint(f, "set RequirePPK = no in [Gateway] to connect without");
    return ERR_REFUSED;
}

/* --- initiator --- */

enum err ppk_offer(struct ike_sa *sa)
{
    struct handshake *h = sa->handshake;
    if (!h->peer_ppk || h->ppk != PPK_OPEN)
        return ERR_OK;
    h->mixed = sa->keys;
    enum err e = ike_keys_mix(sa->suite.prf, &sa->config->ppk.key, &h->mixed);
    if (e == ERR_OK)
        h->ppk = PPK_OFFERED;
    return e;
}

const struct ike_keys *ppk_keys(const struct ike_sa *sa)
{
    return sa->handshake->ppk == PPK_OFFERED ? &sa->handshake->mixed : &sa->keys;
}

bool ppk_spare_wanted(const struct ike_sa *sa)
{
    return sa->handshake->ppk == PPK_OFFERED && use_of(sa) == SESSION_PPK_OPTIONAL;
}

static void write_identity(struct message_writer *m, const char *id)
{
    uint8_t data[1 + SESSION_PPK_ID_MAX];
    struct wire_writer w;
    wire_writer_init(&w, data, sizeof(data));
    wire_write_u8(&w, PPK_ID_FIXED);
    wire_write_span(&w, span_text(id));
    notify_write(m, NOTIFY_PPK_IDENTITY, wire_written(&w));
}

void ppk_write(struct ike_sa *sa, struct message_writer *m)
{
    struct handshake *h = sa->handshake;
    if (h->ppk == PPK_OFFERED) {
        write_identity(m, sa->config->ppk.id);
    } else if (h->ppk == PPK_GRANTED) {
        notify_write(m, NOTIFY_PPK_IDENTITY, SPAN_EMPTY);
        h->ppk = PPK_SETTLED;
    }
}

static enum err settle_initiator(struct ike_sa *sa, const struct sa_input *in, struct fault *f)
{
    const struct session_ppk *ppk = &sa->config->ppk;
    struct handshake *h = sa->handshake;
    struct notify_payload n;
    bool offered = h->ppk == PPK_OFFERED;
    h->ppk = PPK_SETTLED;
    if (offered && notify_find(&in->payloads, NOTIFY_PPK_IDENTITY, &n)) { /* its data is ignored */
        sa->keys = h->mixed;
        sa->ppk = true;
        log_info("the PPK \"%s\" is in use", ppk->id);
        return ERR_OK;
    }
    if (ppk->use == SESSION_PPK_REQUIRED) {
        (void)fault_set(f, ERR_REFUSED,
                        "the gateway does not use the PPK \"%s\", and the profile requires it",
                        ppk->id);
        fault_hint(f, "set RequirePPK = no in [Gateway] to connect without");
        return ERR_REFUSED;
    }
    if (offered)
        log_warn("the gateway does not know the PPK \"%s\": it is not in use", ppk->id);
    else
        log_warn("the gateway does not use PPKs: \"%s\" is not in use", ppk->id);
    return ERR_OK;
}

const char *ppk_sent_text(const struct ike_sa *sa, char out[PPK_TEXT_MAX])
{
    const struct session_ppk *ppk = &sa->config->ppk;
    struct fault text = {0};
    if (sa->handshake->ppk == PPK_OFFERED)
        (void)fault_set(&text, ERR_OK, ", and the PPK \"%s\" of %zu octets", ppk->id, ppk->key.len);
    memcpy(out, text.text, PPK_TEXT_MAX - 1);
    out[PPK_TEXT_MAX - 1] = '\0';
    return out;
}

/* --- responder --- */

/* ERR_NOT_FOUND: it is no PPK that we have for this client. */
static enum err find(const struct ike_sa *sa, const struct identity *peer,
                     const struct notify_payload *n, struct secret *ret)
{
    const struct session_policy *policy = &sa->config->policy;
    struct wire_reader r;
    wire_reader_init(&r, n->data);
    uint8_t type = wire_read_u8(&r);
    struct span id = wire_read_rest(&r);
    if (wire_read_finish(&r) != ERR_OK || type != PPK_ID_FIXED || id.len == 0)
        return ERR_NOT_FOUND;
    return policy->find_ppk(policy->ctx, peer, id, ret);
}

/* RFC 8784 3: the client's proof without the PPK counts, where it sent one and we may go without.
 */
static enum err go_without(struct ike_sa *sa, const struct sa_input *in, struct auth_payload *auth,
                           struct fault *f)
{
    struct notify_payload n;
    if (use_of(sa) == SESSION_PPK_REQUIRED)
        return fault_set(f, ERR_REFUSED, "the client's PPK is not known, and one is required");
    if (!notify_find(&in->payloads, NOTIFY_NO_PPK_AUTH, &n))
        return fault_set(f, ERR_REFUSED, "the client's PPK is not known, and it requires it");
    auth->data = n.data;
    log_info("the client's PPK is not known: going on without");
    return ERR_OK;
}

static enum err settle_responder(struct ike_sa *sa, const struct sa_input *in,
                                 const struct identity *peer, struct auth_payload *auth,
                                 struct fault *f)
{
    struct handshake *h = sa->handshake;
    struct notify_payload n;
    struct secret ppk = {.len = 0};
    h->ppk = PPK_SETTLED;
    if (!h->peer_ppk)
        return use_of(sa) == SESSION_PPK_REQUIRED
                   ? fault_set(f, ERR_REFUSED, "the client uses no PPK, and one is required")
                   : ERR_OK;
    if (!notify_find(&in->payloads, NOTIFY_PPK_IDENTITY, &n))
        return fault_set(f, ERR_REFUSED, "the client names no PPK, though it announced one");
    enum err e = find(sa, peer, &n, &ppk);
    if (e == ERR_NOT_FOUND)
        return go_without(sa, in, auth, f);
    if (e == ERR_OK)
        e = ike_keys_mix(sa->suite.prf, &ppk, &sa->keys);
    secret_wipe(&ppk);
    if (e != ERR_OK)
        return fault_set(f, e, "the client's PPK cannot be used: %s", err_text(e));
    sa->ppk = true;
    h->ppk = PPK_GRANTED;
    return ERR_OK;
}

/* --- both --- */

enum err ppk_settle(struct ike_sa *sa, const struct sa_input *in, const struct identity *peer,
                    struct auth_payload *auth, struct fault *f)
{
    const struct handshake *h = sa->handshake;
    /* What the gateway proves before EAP is said without it (RFC 8784 3): no AUTH of ours yet. */
    if (use_of(sa) == SESSION_PPK_OFF || h->ppk == PPK_SETTLED || sa->state == SA_EAP_ASKED)
        return ERR_OK;
    return sa->initiator ? settle_initiator(sa, in, f) : settle_responder(sa, in, peer, auth, f);
}
