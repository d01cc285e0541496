/* IKE_SA_INIT (RFC 7296 1.2), both directions: agree on algorithms and keys with a stranger.
 *
 * Nothing here is authenticated. Whatever the answer complains about may be forged, so a complaint
 * is kept for a while and a good answer still wins; whatever is wrong with an answer is dropped. */
#include "common/ike/auth.h"

#include <string.h>

#include "common/base/log.h"
#include "common/crypto/kex.h"

/* How long a good answer may still come after a complaint in the clear. */
enum { COMPLAINT_GRACE_MS = 1500 };

/* --- shared by both directions --- */

static void write_notify_hash(struct message_writer *m, uint16_t type, uint64_t spi_i,
                              uint64_t spi_r, const struct endpoint *e)
{
    uint8_t hash[NAT_HASH_LEN];
    nat_detection_hash(spi_i, spi_r, e, hash);
    notify_write(m, type, SPAN_OF(hash));
}

/* NAT_DETECTION_SOURCE_IP and _DESTINATION_IP (RFC 7296 2.23). All of our ESP travels in UDP: there
 * is no raw socket and no kernel SA here. An initiator asks for that by a source hash that can
 * match no address, as if a NAT stood in front of it; whether one really does, the peer's
 * destination hash tells. */
void nat_detection_write(const struct ike_sa *sa, struct message_writer *m, const struct path *path,
                         uint64_t spi_r)
{
    static const struct endpoint nowhere = {.ip = {.family = IP_V4}};
    write_notify_hash(m, NOTIFY_NAT_DETECTION_SOURCE_IP, sa->spi_i, spi_r,
                      sa->config->role == SESSION_INITIATOR ? &nowhere : &path->local);
    write_notify_hash(m, NOTIFY_NAT_DETECTION_DESTINATION_IP, sa->spi_i, spi_r, &path->remote);
}

/* Several are allowed; one that matches is enough. */
bool nat_between(const struct sa_input *in, uint16_t type, const struct endpoint *e)
{
    uint8_t expected[NAT_HASH_LEN];
    nat_detection_hash(in->header.spi_i, in->header.spi_r, e, expected);
    bool seen = false;
    const struct payload *p = NULL;
    while ((p = payload_next(&in->payloads, PAYLOAD_NOTIFY, p)) != NULL) {
        struct notify_payload n;
        if (notify_payload_parse(p->body, &n) != ERR_OK || n.type != type)
            continue;
        if (span_equal(n.data, SPAN_OF(expected)))
            return false;
        seen = true;
    }
    return seen;
}

/* Keys and ciphers, from the shared secret. */
static enum err derive_keys(struct ike_sa *sa, struct span peer_public)
{
    struct handshake *h = sa->handshake;
    struct secret shared;
    enum err e = kex_shared(h->kex, peer_public, &shared);
    if (e != ERR_OK)
        return e;
    const struct ike_keys_input in = {
        .nonce_i = nonce_span(&h->nonce_i),
        .nonce_r = nonce_span(&h->nonce_r),
        .spi_i = sa->spi_i,
        .spi_r = sa->spi_r,
        .shared = secret_span(&shared),
    };
    e = ike_keys_derive(&sa->suite, &in, &sa->keys);
    secret_wipe(&shared);
    return e == ERR_OK ? sa_make_ciphers(sa) : e;
}

/* --- initiator --- */

/* A complaint that anyone may have sent: believed if nothing better comes. The first one stands. */
static void complain(struct ike_sa *sa, mono_ms now, enum session_down_reason reason,
                     const struct fault *f)
{
    struct handshake *h = sa->handshake;
    if (h->complaint_at != MONO_NEVER)
        return;
    h->complaint_at = now + COMPLAINT_GRACE_MS;
    h->complaint = reason;
    h->complaint_fault = *f;
}

static enum err handshake_begin(struct ike_sa *sa)
{
    enum err e = sa_handshake_new(sa);
    if (e != ERR_OK)
        return e;
    sa->handshake->ke = proposal_list_first_ke(&sa->config->ike);
    sa->spi_i = sa_new_spi(sa);
    sa->spi_r = 0;
    nonce_make(sa, &sa->handshake->nonce_i);
    return ERR_OK;
}

enum err init_request_send(struct ike_sa *sa, mono_ms now)
{
    enum err e;
    if (sa->handshake == NULL && (e = handshake_begin(sa)) != ERR_OK)
        return e;
    struct handshake *h = sa->handshake;
    if (h->kex == NULL || kex_id(h->kex) != h->ke) {
        kex_free(h->kex);
        h->kex = NULL;
        if ((e = kex_new(h->ke, &sa->config->random, &h->kex)) != ERR_OK)
            return e;
    }
    window_request_restart(&sa->window);

    struct message_writer m;
    size_t sk;
    sa_request_begin(sa, &m, EXCHANGE_IKE_SA_INIT, &sk);
    /* RFC 7296 2.6: the cookie comes first, all else stays the same. */
    if (h->cookie_len > 0)
        notify_write(&m, NOTIFY_COOKIE, span_make(h->cookie, h->cookie_len));
    write_proposals(&m, &sa->config->ike);
    ke_payload_write(&m, (uint16_t)h->ke, kex_public(h->kex));
    payload_write(&m, PAYLOAD_NONCE, nonce_span(&h->nonce_i));
    nat_detection_write(sa, &m, &sa->path, 0);
    abilities_write(sa, &m);
    e = sa_request_send(sa, now, &m, sk, session_init_policy(sa->session));
    if (e == ERR_OK)
        e = blob_set(&h->init_request, span_make(sa->window.request.bytes, sa->window.request.len));
    if (e == ERR_OK)
        sa->state = SA_INIT_SENT;
    return e;
}

/* RFC 7296 2.7, 3.3.6: the answer must be one of our proposals, with the group that we sent. */
static enum err read_answer(struct ike_sa *sa, const struct sa_input *in, struct suite *ret_suite,
                            struct ke_payload *ret_ke, struct span *ret_nonce)
{
    struct proposal_list answer;
    struct proposal chosen;
    const struct payload_list *l = &in->payloads;
    enum err e = proposal_list_parse(payload_find(l, PAYLOAD_SA)->body, &answer);
    if (e == ERR_OK)
        e = proposal_check_answer(&sa->config->ike, &answer, false, &chosen);
    if (e == ERR_OK && chosen.spi_len != 0)
        e = ERR_MALFORMED; /* RFC 7296 3.3.1 */
    if (e == ERR_OK)
        e = proposal_suite(&chosen, ret_suite);
    if (e == ERR_OK)
        e = ke_payload_parse(payload_find(l, PAYLOAD_KE)->body, ret_ke);
    if (e == ERR_OK && (ret_ke->method != sa->handshake->ke || ret_suite->ke != ret_ke->method))
        e = ERR_REFUSED;
    if (e == ERR_OK)
        e = nonce_payload_parse(payload_find(l, PAYLOAD_NONCE)->body, ret_nonce);
    return e;
}

static void bad_answer(struct ike_sa *sa, const struct sa_input *in, enum err e)
{
    struct fault f = {0};
    if (e == ERR_REFUSED)
        (void)fault_set(&f, e, "the gateway answered IKE_SA_INIT with algorithms we did not offer");
    else
        (void)fault_set(&f, e, "the gateway's IKE_SA_INIT answer cannot be used: %s", err_text(e));
    complain(sa, in->now, SESSION_DOWN_PROTOCOL, &f);
}

/* Has the gateway what the profile requires? Whoever answers first may have left it out: a better
 * answer still wins. */
static bool able(struct ike_sa *sa, const struct sa_input *in)
{
    struct fault f = {0};
    if (ppk_check_announced(sa, in, &f) == ERR_OK && second_check_announced(sa, in, &f) == ERR_OK)
        return true;
    complain(sa, in->now, SESSION_DOWN_PEER_UNTRUSTED, &f);
    return false;
}

static void emit_init_phase(struct ike_sa *sa)
{
    struct session_event *event = session_emit(sa->session, SESSION_EVENT_PHASE);
    if (event == NULL)
        return;
    event->phase.phase = SESSION_PHASE_INIT;
    char suite[PROPOSAL_TEXT_MAX], remote[ENDPOINT_TEXT_MAX];
    struct wire_writer w;
    wire_writer_init(&w, (uint8_t *)event->phase.text, sizeof(event->phase.text) - 1);
    wire_write_span(&w, span_text(suite_format(&sa->suite, PROTOCOL_IKE, suite)));
    wire_write_span(&w, span_text(" with "));
    wire_write_span(&w, span_text(endpoint_format(&sa->path.remote, remote)));
}

/* What the handshake of the one who asked becomes for one who answered. */
static enum err copy_handshake(const struct ike_sa *asking, const struct sa_input *in,
                               struct span nonce, struct ike_sa *sa)
{
    const struct handshake *from = asking->handshake;
    enum err e = sa_handshake_new(sa);
    if (e != ERR_OK)
        return e;
    struct handshake *h = sa->handshake;
    h->ke = from->ke;
    h->kex = kex_share(from->kex);
    h->nonce_i = from->nonce_i;
    h->restarts = from->restarts;
    e = nonce_set(&h->nonce_r, nonce);
    if (e == ERR_OK)
        e = blob_set(&h->init_request, span_make(from->init_request.data, from->init_request.len));
    if (e == ERR_OK)
        e = blob_set(&h->init_response, in->message);
    return e;
}

/* An answer that was there before would make the same keys again, and use them from the start. */
static enum err check_new(const struct handshake *h, uint64_t spi_r)
{
    for (size_t i = 0; i < h->answer_count; i++) {
        if (h->answered_by[i] == spi_r)
            return ERR_REPLAYED;
    }
    return h->answer_count == SA_ANSWERS_MAX ? ERR_LIMIT : ERR_OK;
}

/* An IKE SA of that answer alone (see attempt.c), with keys, and nothing sent yet. */
static enum err contender_new(struct ike_sa *asking, const struct sa_input *in,
                              const struct suite *suite, const struct ke_payload *ke,
                              struct span nonce, struct ike_sa **ret)
{
    struct ike_sa *sa;
    enum err e = sa_new(asking->session, asking->config, true, &sa);
    if (e != ERR_OK)
        return e;
    sa->spi_i = asking->spi_i;
    sa->spi_r = in->header.spi_r;
    sa->suite = *suite;
    sa->path = asking->path;
    sa->send_remote_id = asking->send_remote_id;
    const struct window_request *r = &asking->window.request;
    sa->rtt_ms = r->active && r->sent == 1 ? in->now - r->first_at : -1;
    window_begin_at_one(&sa->window);
    e = copy_handshake(asking, in, nonce, sa);
    if (e == ERR_OK)
        e = derive_keys(sa, ke->value);
    if (e == ERR_OK)
        e = session_contend(sa);
    if (e != ERR_OK) {
        sa_free(sa);
        return e;
    }
    *ret = sa;
    return ERR_OK;
}

enum err init_response_in(struct ike_sa *asking, struct sa_input *in)
{
    struct notify_payload error;
    if (notify_find_error(&in->payloads, &error)) /* RFC 7296 3.10.1: whatever else it says */
        return init_notify_in(asking, in);
    if (in->header.spi_r == 0)
        return ERR_MALFORMED;
    struct suite suite;
    struct ke_payload ke;
    struct span nonce;
    struct ike_sa *sa = NULL;
    enum err e = read_answer(asking, in, &suite, &ke, &nonce);
    if (e == ERR_OK && !able(asking, in))
        return ERR_REFUSED;
    if (e == ERR_OK)
        e = check_new(asking->handshake, in->header.spi_r);
    if (e == ERR_OK)
        e = contender_new(asking, in, &suite, &ke, nonce, &sa);
    if (e == ERR_REPLAYED || e == ERR_LIMIT)
        return e; /* as if it had never come */
    if (e != ERR_OK) {
        bad_answer(asking, in, e);
        return e;
    }
    struct handshake *h = asking->handshake;
    h->answered_by[h->answer_count++] = sa->spi_r;
    h->complaint_at = MONO_NEVER;
    abilities_read(sa, in);
    sa->nat_local = nat_between(in, NOTIFY_NAT_DETECTION_DESTINATION_IP, &sa->path.local);
    sa->nat_remote = nat_between(in, NOTIFY_NAT_DETECTION_SOURCE_IP, &sa->path.remote);
    emit_init_phase(sa);
    /* RFC 7296 2.23, RFC 4555 3.3: from here on the port that ESP in UDP uses. */
    if (sa->path.remote.port == IKE_PORT)
        sa->path.remote.port = IKE_NAT_PORT;
    if ((e = auth_request_send(sa, in->now)) != ERR_OK) { /* our own fault: nobody else's word */
        struct fault f = sa->end_fault;                   /* of a card that did not sign */
        if (f.code != e)
            (void)fault_set(&f, e, "IKE_AUTH could not be made: %s", err_text(e));
        sa_die(sa, e == ERR_REFUSED ? SESSION_DOWN_REFUSED : SESSION_DOWN_INTERNAL, &f);
    }
    return ERR_OK;
}

static enum err again(struct ike_sa *sa, const struct sa_input *in, const char *what)
{
    struct handshake *h = sa->handshake;
    h->complaint_at = MONO_NEVER; /* it goes on */
    if (++h->restarts > SA_INIT_RESTARTS_MAX) {
        struct fault f = {0};
        (void)fault_set(&f, ERR_LIMIT, "the gateway keeps answering IKE_SA_INIT with %s", what);
        complain(sa, in->now, SESSION_DOWN_PROTOCOL, &f);
        return ERR_LIMIT;
    }
    return init_request_send(sa, in->now);
}

/* RFC 7296 1.2, 3.10.1: the group it would accept. */
static enum err invalid_ke(struct ike_sa *sa, const struct sa_input *in,
                           const struct notify_payload *n)
{
    struct handshake *h = sa->handshake;
    struct wire_reader r;
    wire_reader_init(&r, n->data);
    uint16_t group = wire_read_u16(&r);
    enum err e = wire_read_finish(&r);
    if (e != ERR_OK)
        return e;
    if (!proposal_list_has_ke(&sa->config->ike, group) || !kex_supported((enum ke_id)group)) {
        char name[ALGORITHM_TEXT_MAX];
        struct fault f = {0};
        (void)fault_set(&f, ERR_REFUSED, "the gateway asks for key exchange %s, not offered",
                        algorithm_text(TRANSFORM_KE, group, 0, name));
        fault_hint(&f, "add %s to IKE = in [Crypto] if you accept it", name);
        complain(sa, in->now, SESSION_DOWN_NO_PROPOSAL, &f);
        return ERR_REFUSED;
    }
    if (group == h->ke)
        return ERR_REFUSED; /* what we sent already: no sense in it, perhaps a repeat */
    h->ke = (enum ke_id)group;
    return again(sa, in, "INVALID_KE_PAYLOAD");
}

static enum err cookie(struct ike_sa *sa, const struct sa_input *in, const struct notify_payload *n)
{
    struct handshake *h = sa->handshake;
    if (n->data.len == 0 || n->data.len > SA_COOKIE_MAX)
        return ERR_MALFORMED;
    if (span_equal(n->data, span_make(h->cookie, h->cookie_len)))
        return ERR_REFUSED; /* a repeat: the request that has it is out already */
    memcpy(h->cookie, n->data.data, n->data.len);
    h->cookie_len = n->data.len;
    return again(sa, in, "COOKIE");
}

/* RFC 5685 3, 6: believed only with our own nonce in it, which who did not see the request cannot
 * know. */
static enum err redirect(struct ike_sa *sa, const struct sa_input *in,
                         const struct notify_payload *n)
{
    struct redirect_target to;
    struct span nonce;
    enum err e = redirect_parse(n->data, &to, &nonce);
    if (e != ERR_OK || !span_equal(nonce, nonce_span(&sa->handshake->nonce_i)))
        return ERR_MALFORMED;
    if (session_follow_redirect(sa, in->now, &to))
        return ERR_OK;
    struct fault f = {0};
    (void)fault_set(&f, ERR_LIMIT, "the gateways send us from one to the other (REDIRECT)");
    complain(sa, in->now, SESSION_DOWN_PROTOCOL, &f);
    return ERR_LIMIT;
}

enum err init_notify_in(struct ike_sa *sa, struct sa_input *in)
{
    struct notify_payload n;
    if (notify_find(&in->payloads, NOTIFY_REDIRECT, &n))
        return redirect(sa, in, &n);
    if (notify_find(&in->payloads, NOTIFY_COOKIE, &n))
        return cookie(sa, in, &n);
    if (!notify_find_error(&in->payloads, &n))
        return ERR_MALFORMED;
    if (n.type == NOTIFY_INVALID_KE_PAYLOAD)
        return invalid_ke(sa, in, &n);

    struct fault f = {0};
    if (n.type == NOTIFY_NO_PROPOSAL_CHOSEN) {
        char offer[PROPOSAL_LIST_TEXT_MAX];
        (void)fault_set(&f, ERR_REFUSED,
                        "the gateway accepts none of our IKE proposals (NO_PROPOSAL_CHOSEN)");
        fault_hint(&f, "offered: %s; set IKE = in [Crypto] to what the gateway accepts",
                   proposal_list_format(&sa->config->ike, offer));
        complain(sa, in->now, SESSION_DOWN_NO_PROPOSAL, &f);
    } else if (n.type == NOTIFY_INVALID_MAJOR_VERSION) {
        (void)fault_set(&f, ERR_UNSUPPORTED, "the gateway does not speak IKEv2");
        complain(sa, in->now, SESSION_DOWN_PROTOCOL, &f);
    } else {
        const char *name = notify_name(n.type);
        (void)fault_set(&f, ERR_REFUSED, "the gateway answered IKE_SA_INIT with error %u (%s)",
                        n.type, name != NULL ? name : "unknown");
        complain(sa, in->now, SESSION_DOWN_PROTOCOL, &f);
    }
    return ERR_REFUSED;
}

/* --- responder --- */

enum err init_choose(const struct proposal_list *ours, const struct proposal_list *offered,
                     uint16_t method, struct proposal *ret)
{
    struct proposal_list with_group = *ours;
    for (size_t i = 0; i < with_group.count; i++) {
        struct proposal *p = &with_group.items[i];
        size_t kept = 0;
        for (size_t j = 0; j < p->count; j++) {
            if (p->transforms[j].type != TRANSFORM_KE || p->transforms[j].id == method)
                p->transforms[kept++] = p->transforms[j];
        }
        p->count = kept;
    }
    if (proposal_list_has_ke(&with_group, method)) {
        /* Proposals that lost all their groups would match without any: drop them. */
        size_t kept = 0;
        for (size_t i = 0; i < with_group.count; i++) {
            const struct proposal_list one = {.items = {with_group.items[i]}, .count = 1};
            if (proposal_list_has_ke(&one, method))
                with_group.items[kept++] = with_group.items[i];
        }
        with_group.count = kept;
        if (proposal_select(offered, &with_group, true, false, ret) == ERR_OK)
            return ERR_OK;
    }
    return proposal_select(offered, ours, true, false, ret);
}

/* Answer with one notify, in the clear, and end: an attempt leaves no state (RFC 7296 2.6, 2.7). */
static enum err turn_away(struct ike_sa *sa, const struct sa_input *in, uint16_t notify,
                          struct span data)
{
    sa->spi_r = 0;
    enum err e = sa_response_notify(sa, in, notify, data);
    struct fault f = {0};
    (void)fault_set(&f, ERR_REFUSED, "turned away with %s", notify_name(notify));
    sa_die(sa, SESSION_DOWN_NO_PROPOSAL, &f);
    return e;
}

/* RFC 5685 3: without state, and with the client's nonce, by which it knows whose word this is. */
static enum err redirect_client(struct ike_sa *sa, const struct sa_input *in, struct span nonce)
{
    struct message_writer m;
    size_t sk;
    struct fault f = {0};
    sa_response_begin(sa, &m, in, &sk);
    redirect_write(&m, NOTIFY_REDIRECT, &sa->config->redirect, nonce);
    enum err e = sa_response_send(sa, &m, in, sk);
    (void)fault_set(&f, ERR_REFUSED, "sent to another gateway");
    sa_die(sa, SESSION_DOWN_NO_PROPOSAL, &f);
    return e;
}

static bool redirects(const struct ike_sa *sa, const struct sa_input *in)
{
    const struct redirect_target *to = &sa->config->redirect;
    struct notify_payload n;
    return (to->ip.family != IP_NONE || to->name[0] != '\0') &&
           notify_find(&in->payloads, NOTIFY_REDIRECT_SUPPORTED, &n);
}

static enum err init_response_send(struct ike_sa *sa, const struct sa_input *in,
                                   const struct proposal *chosen)
{
    struct handshake *h = sa->handshake;
    struct message_writer m;
    size_t sk;
    sa_response_begin(sa, &m, in, &sk);
    const struct proposal_list answer = {.items = {*chosen}, .count = 1};
    write_proposals(&m, &answer);
    ke_payload_write(&m, (uint16_t)h->ke, kex_public(h->kex));
    payload_write(&m, PAYLOAD_NONCE, nonce_span(&h->nonce_r));
    nat_detection_write(sa, &m, in->path, sa->spi_r);
    proof_write_certreq(sa, &m);
    abilities_write(sa, &m);
    enum err e = sa_response_send(sa, &m, in, sk);
    if (e != ERR_OK)
        return e;
    return blob_set(&h->init_response, span_make(sa->window.response, sa->window.response_len));
}

static enum err accept_request(struct ike_sa *sa, const struct sa_input *in,
                               const struct proposal *chosen, const struct ke_payload *ke,
                               struct span nonce)
{
    enum err e = sa_handshake_new(sa);
    if (e != ERR_OK)
        return e;
    struct handshake *h = sa->handshake;
    h->ke = (enum ke_id)ke->method;
    sa->spi_i = in->header.spi_i;
    sa->spi_r = sa_new_spi(sa);
    sa->path = *in->path;
    nonce_make(sa, &h->nonce_r);
    e = nonce_set(&h->nonce_i, nonce);
    if (e == ERR_OK)
        e = proposal_suite(chosen, &sa->suite);
    if (e == ERR_OK)
        e = kex_new(h->ke, &sa->config->random, &h->kex);
    if (e == ERR_OK)
        e = derive_keys(sa, ke->value);
    if (e == ERR_OK)
        e = blob_set(&h->init_request, in->message);
    if (e != ERR_OK)
        return e;
    abilities_read(sa, in);
    sa->nat_local = nat_between(in, NOTIFY_NAT_DETECTION_DESTINATION_IP, &in->path->local);
    sa->nat_remote = nat_between(in, NOTIFY_NAT_DETECTION_SOURCE_IP, &in->path->remote);
    sa->state = SA_INIT_ANSWERED;
    return init_response_send(sa, in, chosen);
}

enum err init_request_in(struct ike_sa *sa, struct sa_input *in)
{
    const struct payload_list *l = &in->payloads;
    struct proposal_list offered;
    struct ke_payload ke;
    struct span nonce;
    if (in->header.spi_i == 0 || in->header.spi_r != 0)
        return ERR_MALFORMED;
    enum err e = proposal_list_parse(payload_find(l, PAYLOAD_SA)->body, &offered);
    if (e == ERR_OK)
        e = ke_payload_parse(payload_find(l, PAYLOAD_KE)->body, &ke);
    if (e == ERR_OK)
        e = nonce_payload_parse(payload_find(l, PAYLOAD_NONCE)->body, &nonce);
    if (e != ERR_OK)
        return e;
    sa->spi_i = in->header.spi_i;
    hash_sha256(&in->message, 1, sa->init_hash);
    if (redirects(sa, in))
        return redirect_client(sa, in, nonce);
    struct proposal chosen;
    if (init_choose(&sa->config->ike, &offered, ke.method, &chosen) != ERR_OK ||
        chosen.spi_len != 0)
        return turn_away(sa, in, NOTIFY_NO_PROPOSAL_CHOSEN, SPAN_EMPTY);
    struct suite suite;
    e = proposal_suite(&chosen, &suite);
    if (e != ERR_OK)
        return e;
    if (suite.ke != ke.method) {
        const uint8_t group[] = {(uint8_t)(suite.ke >> 8), (uint8_t)suite.ke};
        return turn_away(sa, in, NOTIFY_INVALID_KE_PAYLOAD, SPAN_OF(group));
    }
    e = accept_request(sa, in, &chosen, &ke, nonce);
    if (e != ERR_OK) { /* half a beginning is none */
        struct fault f = {0};
        (void)fault_set(&f, e, "an IKE_SA_INIT request leads nowhere: %s", err_text(e));
        sa_die(sa, SESSION_DOWN_INTERNAL, &f);
    }
    return ERR_OK;
}
