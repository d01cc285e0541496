/* Rekeying the IKE SA (RFC 7296 1.3.2, 2.18), both directions. The successor takes over the Child
 * SAs; whose rekeying it was deletes the old one. Where both sides began at once, each has two
 * successors for a moment, and the nonces say which one goes (2.8.1, 2.25.2). */
#include "common/ike/sa.h"

#include <inttypes.h>

#include "common/base/log.h"
#include "common/crypto/kex.h"

static void spi_put(struct proposal *p, uint64_t spi)
{
    p->protocol = PROTOCOL_IKE;
    p->spi_len = 8;
    struct wire_writer w;
    wire_writer_init(&w, p->spi, sizeof(p->spi));
    wire_write_u64(&w, spi);
}

static enum err spi_read(const struct proposal *p, uint64_t *ret)
{
    struct wire_reader r;
    wire_reader_init(&r, span_make(p->spi, p->spi_len));
    uint64_t spi = wire_read_u64(&r);
    enum err e = wire_read_finish(&r);
    if (e == ERR_OK && spi == 0)
        e = ERR_MALFORMED;
    if (e == ERR_OK)
        *ret = spi;
    return e;
}

static bool only_prf(struct proposal *p, enum prf_id prf)
{
    size_t kept = 0;
    bool found = false;
    for (size_t i = 0; i < p->count; i++) {
        bool is_prf = p->transforms[i].type == TRANSFORM_PRF;
        if (is_prf && p->transforms[i].id != prf)
            continue;
        found |= is_prf;
        p->transforms[kept++] = p->transforms[i];
    }
    p->count = kept;
    return found;
}

/* What a successor may use: our proposals with the PRF that is in use. RFC 7296 2.18 makes SKEYSEED
 * with the old IKE SA's and the keys with the new one's, but there are gateways (strongSwan) that
 * make both with the old one's, and then the two ends have different keys. */
static void successor_proposals(const struct ike_sa *sa, struct proposal_list *ret)
{
    ret->count = 0;
    for (size_t i = 0; i < sa->config->ike.count; i++) {
        struct proposal *p = &ret->items[ret->count];
        *p = sa->config->ike.items[i];
        if (only_prf(p, sa->suite.prf))
            p->number = (uint8_t)++ret->count;
    }
}

static void offer(const struct ike_sa *sa, uint64_t spi, struct proposal_list *ret)
{
    successor_proposals(sa, ret);
    for (size_t i = 0; i < ret->count; i++)
        spi_put(&ret->items[i], spi);
}

/* What both sides have agreed on. */
struct rekey_terms {
    bool we_initiated;
    uint64_t spi_i, spi_r;
    struct suite suite;
    const struct kex *kex;
    struct span peer_public;
    const struct nonce *nonce_i, *nonce_r;
};

static enum err derive(const struct ike_sa *old, const struct rekey_terms *t, struct ike_sa *made)
{
    struct secret shared;
    enum err e = kex_shared(t->kex, t->peer_public, &shared);
    if (e != ERR_OK)
        return e;
    const struct ike_keys_input in = {
        .nonce_i = nonce_span(t->nonce_i),
        .nonce_r = nonce_span(t->nonce_r),
        .spi_i = t->spi_i,
        .spi_r = t->spi_r,
        .shared = secret_span(&shared),
    };
    e = ike_keys_rederive(old->suite.prf, &old->keys.d, &t->suite, &in, &made->keys);
    secret_wipe(&shared);
    return e;
}

/* A successor of `old`, in the session's list, with nothing moved to it yet. */
static enum err make_successor(struct ike_sa *old, mono_ms now, const struct rekey_terms *t,
                               struct ike_sa **ret)
{
    struct ike_sa *sa;
    enum err e = sa_new(old->session, old->config, t->we_initiated, &sa);
    if (e != ERR_OK)
        return e;
    sa->spi_i = t->spi_i;
    sa->spi_r = t->spi_r;
    sa->suite = t->suite;
    sa->path = old->path;
    sa->nat_local = old->nat_local;
    sa->nat_remote = old->nat_remote;
    sa->peer_fragmentation = old->peer_fragmentation;
    sa->fragment_mtu = old->fragment_mtu;
    sa->peer_mobike = old->peer_mobike;
    sa->peer_redirects = old->peer_redirects;
    sa->ppk = old->ppk; /* by SK_d alone: RFC 8784 3 mixes it in once */
    sa->peer_id = old->peer_id;
    sa->last_in = old->last_in;
    sa->rtt_ms = old->rtt_ms;
    sa->reauth_at = old->reauth_at; /* it is the trust that ends, not the keys */
    sa->rekeys = old->rekeys + 1;
    sa->lowest = nonce_lower(t->nonce_i, t->nonce_r) ? *t->nonce_i : *t->nonce_r;
    sa->state = SA_ESTABLISHED;
    sa_start_life(sa, now);
    e = derive(old, t, sa);
    if (e == ERR_OK)
        e = sa_make_ciphers(sa);
    if (e == ERR_OK)
        e = session_add_sa(old->session, sa);
    if (e != ERR_OK) {
        sa_free(sa);
        return e;
    }
    *ret = sa;
    return ERR_OK;
}

/* --- we ask --- */

static enum err ask(struct ike_sa *sa, mono_ms now, enum ke_id ke)
{
    task_end(&sa->task);
    struct task *t = &sa->task;
    t->kind = TASK_REKEY_IKE;
    t->new_spi = sa_new_spi(sa);
    nonce_make(sa, &t->nonce_i);
    enum err e = kex_new(ke, &sa->config->random, &t->kex);
    if (e != ERR_OK)
        return e;
    struct proposal_list proposals;
    struct message_writer m;
    size_t sk;
    offer(sa, t->new_spi, &proposals);
    sa_request_begin(sa, &m, EXCHANGE_CREATE_CHILD_SA, &sk);
    write_proposals(&m, &proposals);
    payload_write(&m, PAYLOAD_NONCE, nonce_span(&t->nonce_i));
    ke_payload_write(&m, (uint16_t)ke, kex_public(t->kex));
    return sa_request_send(sa, now, &m, sk, &sa->config->retransmit);
}

enum err rekey_request_send(struct ike_sa *sa, mono_ms now)
{
    log_info("rekeying the IKE SA");
    sa->rekey_wanted = false;
    sa->rekey_at = MONO_NEVER;
    return ask(sa, now, sa->suite.ke);
}

static enum err read_terms(const struct ike_sa *sa, const struct sa_input *in,
                           struct rekey_terms *t, struct nonce *nonce_r)
{
    const struct payload_list *l = &in->payloads;
    const struct payload *ke_payload = payload_find(l, PAYLOAD_KE);
    struct proposal_list offered, answer;
    struct proposal chosen;
    struct ke_payload ke;
    struct span nonce;
    if (ke_payload == NULL)
        return ERR_MALFORMED;
    offer(sa, sa->task.new_spi, &offered);
    enum err e = proposal_list_parse(payload_find(l, PAYLOAD_SA)->body, &answer);
    if (e == ERR_OK)
        e = proposal_check_answer(&offered, &answer, false, &chosen);
    if (e == ERR_OK)
        e = proposal_suite(&chosen, &t->suite);
    if (e == ERR_OK)
        e = spi_read(&chosen, &t->spi_r);
    if (e == ERR_OK)
        e = ke_payload_parse(ke_payload->body, &ke);
    if (e == ERR_OK && (ke.method != t->suite.ke || kex_id(sa->task.kex) != t->suite.ke))
        e = ERR_REFUSED;
    if (e == ERR_OK)
        e = nonce_payload_parse(payload_find(l, PAYLOAD_NONCE)->body, &nonce);
    if (e == ERR_OK)
        e = nonce_set(nonce_r, nonce);
    t->peer_public = ke.value;
    return e;
}

static struct ike_sa *take_rival(struct ike_sa *sa)
{
    struct ike_sa *rival = sa->rival;
    sa->rival = NULL;
    return rival != NULL && sa_alive(rival) ? rival : NULL;
}

/* The peer answered with something that no SA can be made of. It has one all the same, which ends
 * with the old one's end; what stands is built anew. */
static enum err unusable(struct ike_sa *sa, mono_ms now, enum err e)
{
    log_warn("the peer's answer makes no usable IKE SA: %s", err_text(e));
    struct ike_sa *rival = take_rival(sa);
    if (rival != NULL)
        session_replaced(sa, rival, now);
    else
        session_reauthenticate(sa->session, now);
    return ERR_OK;
}

enum err rekey_response_in(struct ike_sa *sa, struct sa_input *in)
{
    const struct fault none = {0};
    struct nonce nonce_r;
    struct rekey_terms t = {.we_initiated = true,
                            .spi_i = sa->task.new_spi,
                            .kex = sa->task.kex,
                            .nonce_i = &sa->task.nonce_i,
                            .nonce_r = &nonce_r};
    struct ike_sa *made = NULL;
    enum err e = read_terms(sa, in, &t, &nonce_r);
    if (e == ERR_OK)
        e = make_successor(sa, in->now, &t, &made);
    if (e != ERR_OK)
        return unusable(sa, in->now, e);
    struct ike_sa *rival = take_rival(sa);
    if (sa->state != SA_ESTABLISHED) {
        sa_close(made, in->now, SESSION_DOWN_REQUESTED, &none, 0); /* too late */
    } else if (rival == NULL) {
        session_replaced(sa, made, in->now);
        sa_close(sa, in->now, SESSION_DOWN_REQUESTED, &none, 0);
    } else if (nonce_lower(&made->lowest, &rival->lowest)) {
        log_debug("both sides rekeyed the IKE SA at once: the peer's successor stays");
        session_replaced(sa, rival, in->now);
        sa_close(made, in->now, SESSION_DOWN_REQUESTED, &none, 0);
    } else {
        log_debug("both sides rekeyed the IKE SA at once: our successor stays");
        session_replaced(sa, made, in->now);
        sa_close(sa, in->now, SESSION_DOWN_REQUESTED, &none, 0);
        session_replaced(rival, made, in->now);
    }
    return ERR_OK;
}

static enum err other_group(struct ike_sa *sa, const struct sa_input *in,
                            const struct notify_payload *n)
{
    enum ke_id group;
    enum err e = create_other_group(sa, &sa->config->ike, n, &group);
    return e == ERR_OK ? ask(sa, in->now, group) : e;
}

enum err rekey_notify_in(struct ike_sa *sa, struct sa_input *in, const struct notify_payload *n)
{
    struct ike_sa *rival = take_rival(sa);
    if (rival != NULL && sa->state == SA_ESTABLISHED) {
        session_replaced(sa, rival, in->now);
        return ERR_OK;
    }
    if (sa->state != SA_ESTABLISHED)
        return ERR_OK;
    if (n->type == NOTIFY_INVALID_KE_PAYLOAD && other_group(sa, in, n) == ERR_OK)
        return ERR_OK;
    sa->rekey_wanted = true;
    sa_retry_later(sa, in->now);
    if (n->type != NOTIFY_TEMPORARY_FAILURE)
        session_reauthenticate(sa->session, in->now);
    return ERR_OK;
}

void rekey_settle_for_rival(struct ike_sa *rival, mono_ms now)
{
    struct ike_sa *old = session_predecessor(rival);
    if (old == NULL)
        return;
    old->rival = NULL;
    session_replaced(old, rival, now);
}

/* --- the peer asks --- */

/* RFC 7296 2.25.2: not while a child of it is being made, rekeyed or closed. */
static bool busy(const struct ike_sa *sa)
{
    return sa->rival != NULL || sa->task.kind == TASK_NEW_CHILD ||
           sa->task.kind == TASK_REKEY_CHILD || sa->task.kind == TASK_DELETE_CHILD;
}

static enum err choose(const struct ike_sa *sa, const struct proposal_list *offered,
                       uint16_t method, struct proposal *ret)
{
    struct proposal_list preferred;
    successor_proposals(sa, &preferred);
    if (init_choose(&preferred, offered, method, ret) == ERR_OK)
        return ERR_OK;
    return init_choose(&sa->config->ike, offered, method, ret);
}

static enum err grant(struct ike_sa *sa, const struct sa_input *in, struct proposal *chosen,
                      const struct rekey_terms *t)
{
    struct message_writer m;
    size_t sk;
    spi_put(chosen, t->spi_r);
    const struct proposal_list answer = {.items = {*chosen}, .count = 1};
    sa_response_begin(sa, &m, in, &sk);
    write_proposals(&m, &answer);
    payload_write(&m, PAYLOAD_NONCE, nonce_span(t->nonce_r));
    ke_payload_write(&m, (uint16_t)kex_id(t->kex), kex_public(t->kex));
    return sa_response_send(sa, &m, in, sk);
}

static enum err make_and_grant(struct ike_sa *sa, const struct sa_input *in,
                               struct proposal *chosen, struct rekey_terms *t)
{
    struct nonce nonce_r;
    struct kex *kex = NULL;
    struct ike_sa *made = NULL;
    nonce_make(sa, &nonce_r);
    t->nonce_r = &nonce_r;
    t->spi_r = sa_new_spi(sa);
    enum err e = kex_new(t->suite.ke, &sa->config->random, &kex);
    t->kex = kex;
    if (e == ERR_OK)
        e = make_successor(sa, in->now, t, &made);
    if (e == ERR_CRYPTO) { /* a public value that cannot be; the old IKE SA stands */
        kex_free(kex);
        return sa_response_notify(sa, in, NOTIFY_INVALID_SYNTAX, SPAN_EMPTY);
    }
    if (e == ERR_OK)
        e = grant(sa, in, chosen, t);
    kex_free(kex);
    if (e != ERR_OK)
        return e;
    if (sa->task.kind == TASK_REKEY_IKE)
        sa->rival = made; /* ours is out: its answer decides */
    else
        session_replaced(sa, made, in->now);
    return ERR_OK;
}

enum err rekey_request_in(struct ike_sa *sa, struct sa_input *in,
                          const struct proposal_list *offered)
{
    const struct payload_list *l = &in->payloads;
    const struct payload *ke_payload = payload_find(l, PAYLOAD_KE);
    struct ke_payload ke;
    struct span nonce;
    struct nonce nonce_i;
    struct proposal chosen;
    struct rekey_terms t = {.we_initiated = false, .nonce_i = &nonce_i};
    if (ke_payload == NULL || ke_payload_parse(ke_payload->body, &ke) != ERR_OK ||
        nonce_payload_parse(payload_find(l, PAYLOAD_NONCE)->body, &nonce) != ERR_OK ||
        nonce_set(&nonce_i, nonce) != ERR_OK)
        return ERR_MALFORMED;
    if (busy(sa)) {
        log_info("peer asked to rekey the IKE SA: answered TEMPORARY_FAILURE");
        return sa_response_notify(sa, in, NOTIFY_TEMPORARY_FAILURE, SPAN_EMPTY);
    }
    if (choose(sa, offered, ke.method, &chosen) != ERR_OK ||
        proposal_suite(&chosen, &t.suite) != ERR_OK || spi_read(&chosen, &t.spi_i) != ERR_OK)
        return sa_response_notify(sa, in, NOTIFY_NO_PROPOSAL_CHOSEN, SPAN_EMPTY);
    if (t.suite.ke != ke.method) {
        const uint8_t group[] = {(uint8_t)(t.suite.ke >> 8), (uint8_t)t.suite.ke};
        return sa_response_notify(sa, in, NOTIFY_INVALID_KE_PAYLOAD, SPAN_OF(group));
    }
    t.peer_public = ke.value;
    return make_and_grant(sa, in, &chosen, &t);
}
