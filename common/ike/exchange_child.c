/* Child SAs by CREATE_CHILD_SA (RFC 7296 1.3.1, 1.3.3), both directions: a new one, or the
 * successor of one that is rekeyed. The first one mostly comes with IKE_AUTH (exchange_auth.c).
 *
 * A successor covers what its predecessor covered; a new one nothing beyond the session's scope. A
 * refusal costs the exchange and never the IKE SA (2.21.3). */
#include "common/ike/sa.h"

#include <inttypes.h>

#include "common/base/log.h"
#include "common/crypto/kex.h"

/* --- shared by both directions --- */

void child_spi_put(struct proposal *p, uint32_t spi_in)
{
    p->protocol = PROTOCOL_ESP;
    p->spi_len = 4;
    struct wire_writer w;
    wire_writer_init(&w, p->spi, sizeof(p->spi));
    wire_write_u32(&w, spi_in);
}

enum err child_spi_read(const struct proposal *p, uint32_t *ret)
{
    struct wire_reader r;
    wire_reader_init(&r, span_make(p->spi, p->spi_len));
    uint32_t spi = wire_read_u32(&r);
    enum err e = wire_read_finish(&r);
    if (e == ERR_OK && (p->protocol != PROTOCOL_ESP || spi < 256))
        e = ERR_MALFORMED; /* RFC 4303 2.1: reserved */
    if (e == ERR_OK)
        *ret = spi;
    return e;
}

static void drop_transforms(struct proposal *p, uint8_t type)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (p->transforms[i].type != type)
            p->transforms[kept++] = p->transforms[i];
    }
    p->count = kept;
}

void child_offer(const struct ike_sa *sa, uint32_t spi_in, bool without_ke,
                 struct proposal_list *ret)
{
    *ret = sa->config->esp;
    for (size_t i = 0; i < ret->count; i++) {
        child_spi_put(&ret->items[i], spi_in);
        if (without_ke)
            drop_transforms(&ret->items[i], TRANSFORM_KE);
    }
}

/* g^ir of the child's own key exchange; empty where it has none. */
static enum err agree(const struct kex *kex, const struct ke_payload *ke, struct secret *ret)
{
    *ret = (struct secret){.len = 0};
    return kex != NULL ? kex_shared(kex, ke->value, ret) : ERR_OK;
}

/* --- we ask --- */

static void write_rekey_notify(struct message_writer *m, uint32_t spi_in)
{
    struct proposal p;
    child_spi_put(&p, spi_in);
    const struct notify_payload n = {
        .protocol = PROTOCOL_ESP, .spi = span_make(p.spi, 4), .type = NOTIFY_REKEY_SA};
    notify_payload_write(m, &n);
}

/* Everything is in sa->task but the request itself. */
static enum err write_request(struct ike_sa *sa, mono_ms now, const struct child_sa *old)
{
    const struct task *t = &sa->task;
    struct proposal_list offer;
    struct message_writer m;
    size_t sk;
    child_offer(sa, t->new_spi_in, false, &offer);
    sa_request_begin(sa, &m, EXCHANGE_CREATE_CHILD_SA, &sk);
    if (old != NULL)
        write_rekey_notify(&m, old->spi_in);
    write_proposals(&m, &offer);
    payload_write(&m, PAYLOAD_NONCE, nonce_span(&t->nonce_i));
    if (t->kex != NULL)
        ke_payload_write(&m, (uint16_t)kex_id(t->kex), kex_public(t->kex));
    ts_payload_write(&m, PAYLOAD_TS_I,
                     old != NULL ? &old->local : session_scope_local(sa->session));
    ts_payload_write(&m, PAYLOAD_TS_R,
                     old != NULL ? &old->remote : session_scope_remote(sa->session));
    return sa_request_send(sa, now, &m, sk, &sa->config->retransmit);
}

static enum err ask(struct ike_sa *sa, mono_ms now, struct child_sa *old, enum ke_id ke)
{
    task_end(&sa->task);
    struct task *t = &sa->task;
    t->kind = old != NULL ? TASK_REKEY_CHILD : TASK_NEW_CHILD;
    t->child_spi_in = old != NULL ? old->spi_in : 0;
    t->new_spi_in = child_new_spi(sa);
    nonce_make(sa, &t->nonce_i);
    enum err e = ke != KE_NONE ? kex_new(ke, &sa->config->random, &t->kex) : ERR_OK;
    if (e == ERR_OK)
        e = write_request(sa, now, old);
    if (e == ERR_OK && old != NULL)
        old->state = CHILD_REKEYING;
    return e;
}

enum err child_request_send(struct ike_sa *sa, mono_ms now, struct child_sa *old)
{
    if (old != NULL) {
        log_info("rekeying the Child SA with our SPI %08" PRIx32, old->spi_in);
        old->rekey_wanted = false;
        old->rekey_at = MONO_NEVER;
    }
    return ask(sa, now, old, proposal_list_first_ke(&sa->config->esp));
}

static enum err read_terms(struct ike_sa *sa, const struct sa_input *in, const struct child_sa *old,
                           struct child_terms *t, struct ke_payload *ke, struct nonce *nonce_r,
                           struct selector_list *local, struct selector_list *remote)
{
    const struct payload_list *l = &in->payloads;
    const struct payload *ts_i = payload_find(l, PAYLOAD_TS_I),
                         *ts_r = payload_find(l, PAYLOAD_TS_R);
    const struct payload *ke_payload = payload_find(l, PAYLOAD_KE);
    struct proposal_list offer, answer;
    struct proposal chosen;
    struct span nonce;
    if (ts_i == NULL || ts_r == NULL)
        return ERR_MALFORMED;
    child_offer(sa, sa->task.new_spi_in, false, &offer);
    enum err e = proposal_list_parse(payload_find(l, PAYLOAD_SA)->body, &answer);
    if (e == ERR_OK)
        e = proposal_check_answer(&offer, &answer, false, &chosen);
    if (e == ERR_OK)
        e = proposal_suite(&chosen, &t->suite);
    if (e == ERR_OK)
        e = child_spi_read(&chosen, &t->spi_out);
    if (e == ERR_OK)
        e = nonce_payload_parse(payload_find(l, PAYLOAD_NONCE)->body, &nonce);
    if (e == ERR_OK)
        e = nonce_set(nonce_r, nonce);
    if (e == ERR_OK && t->suite.ke != KE_NONE) {
        e = ke_payload != NULL ? ke_payload_parse(ke_payload->body, ke) : ERR_MALFORMED;
        if (e == ERR_OK && (sa->task.kex == NULL || ke->method != t->suite.ke ||
                            kex_id(sa->task.kex) != t->suite.ke))
            e = ERR_REFUSED;
    }
    if (e == ERR_OK)
        e = ts_payload_parse(ts_i->body, local);
    if (e == ERR_OK)
        e = ts_payload_parse(ts_r->body, remote);
    if (e != ERR_OK)
        return e;
    const struct selector_list *most_local =
        old != NULL ? &old->local : session_scope_local(sa->session);
    const struct selector_list *most_remote =
        old != NULL ? &old->remote : session_scope_remote(sa->session);
    if (local->count == 0 || remote->count == 0 || !selector_list_within(local, most_local) ||
        !selector_list_within(remote, most_remote))
        return ERR_SELECTOR;
    return ERR_OK;
}

/* The child that was to be replaced goes on as it is, or its successor by the peer's own rekeying
 * does. */
static void rekey_refused(struct ike_sa *sa, mono_ms now, struct child_sa *old, uint16_t type)
{
    struct child_sa *rival = child_by_spi_in(sa->session, old->rival);
    if (rival != NULL) {
        child_replaced(old, rival, false, now);
        return;
    }
    if (old->state != CHILD_REKEYING)
        return; /* deleted meanwhile */
    old->state = CHILD_INSTALLED;
    if (type == NOTIFY_CHILD_SA_NOT_FOUND) {
        child_gone(old, now); /* RFC 7296 2.25: the peer has none such; without a word */
        return;
    }
    old->rekey_wanted = true;
    sa_retry_later(sa, now);
    if (type != NOTIFY_TEMPORARY_FAILURE)
        session_reauthenticate(sa->session, now);
}

/* Has the peer, whose answer was lost on its first way, deleted already what it tells of? */
static bool deleted_meanwhile(const struct task *t, uint32_t spi_out)
{
    for (size_t i = 0; i < t->deleted_count; i++) {
        if (t->deleted_out[i] == spi_out)
            return true;
    }
    return false;
}

/* The peer has a child that we could not make: it has to hear that it is not to be (1.4.1). */
static enum err unusable(struct ike_sa *sa, mono_ms now, struct child_sa *old, enum err e)
{
    log_warn("the peer's answer makes no usable Child SA: %s", err_text(e));
    child_discard(sa, now, sa->task.new_spi_in);
    if (old != NULL && old->state == CHILD_REKEYING)
        old->state = CHILD_INSTALLED;
    sa_retry_later(sa, now);
    if (old != NULL)
        old->rekey_wanted = true;
    session_reauthenticate(sa->session, now);
    return ERR_OK;
}

enum err child_response_in(struct ike_sa *sa, struct sa_input *in)
{
    struct task *task = &sa->task;
    struct child_sa *old = child_by_spi_in(sa->session, task->child_spi_in), *made;
    struct selector_list local, remote;
    struct nonce nonce_r;
    struct ke_payload ke = {0};
    struct child_terms t = {.spi_in = task->new_spi_in,
                            .nonce_i = &task->nonce_i,
                            .nonce_r = &nonce_r,
                            .local = &local,
                            .remote = &remote,
                            .we_initiated = true};
    if (task->kind != TASK_NEW_CHILD && task->kind != TASK_REKEY_CHILD)
        return ERR_MALFORMED;
    if (task->kind == TASK_REKEY_CHILD && (old == NULL || old->state != CHILD_REKEYING)) {
        child_discard(sa, in->now, task->new_spi_in); /* deleted meanwhile (RFC 7296 2.25.1) */
        return ERR_OK;
    }
    enum err e = read_terms(sa, in, old, &t, &ke, &nonce_r, &local, &remote);
    struct secret shared = {.len = 0};
    if (e == ERR_OK && deleted_meanwhile(task, t.spi_out)) {
        if (old != NULL)
            rekey_refused(sa, in->now, old, NOTIFY_TEMPORARY_FAILURE);
        else
            sa_retry_later(sa, in->now);
        return ERR_OK;
    }
    if (e == ERR_OK)
        e = agree(t.suite.ke != KE_NONE ? task->kex : NULL, &ke, &shared);
    t.shared = secret_span(&shared);
    if (e == ERR_OK)
        e = child_install(sa, in->now, &t, old, &made);
    secret_wipe(&shared);
    if (e != ERR_OK)
        return unusable(sa, in->now, old, e);
    if (old != NULL)
        child_replaced(old, made, true, in->now);
    return ERR_OK;
}

enum session_down_reason child_refusal(const struct ike_sa *sa, uint16_t type, struct fault *f)
{
    char text[PROPOSAL_LIST_TEXT_MAX];
    const char *name = notify_name(type);
    switch (type) {
    case NOTIFY_NO_PROPOSAL_CHOSEN:
        (void)fault_set(f, ERR_REFUSED,
                        "the gateway accepts none of our ESP proposals (NO_PROPOSAL_CHOSEN)");
        fault_hint(f, "offered: %s; set ESP = in [Crypto] to what the gateway accepts",
                   proposal_list_format(&sa->config->esp, text));
        return SESSION_DOWN_NO_PROPOSAL;
    case NOTIFY_TS_UNACCEPTABLE:
    case NOTIFY_SINGLE_PAIR_REQUIRED:
    case NOTIFY_INVALID_SELECTORS:
        (void)fault_set(f, ERR_REFUSED, "the gateway refuses the traffic selectors %.200s (%s)",
                        selector_list_format(&sa->config->remote_selectors, text), name);
        fault_hint(f, "set Routes = in [Tunnel] to the networks that the gateway serves");
        return SESSION_DOWN_SELECTORS;
    case NOTIFY_INTERNAL_ADDRESS_FAILURE:
    case NOTIFY_FAILED_CP_REQUIRED:
        (void)fault_set(f, ERR_REFUSED, "the gateway has no address for us (%s)", name);
        fault_hint(f, "check RequestAddress in [Tunnel] and the gateway's address pool");
        return SESSION_DOWN_SELECTORS;
    default:
        (void)fault_set(f, ERR_REFUSED, "the gateway refused the Child SA with error %u (%s)", type,
                        name != NULL ? name : "unknown");
        return SESSION_DOWN_PROTOCOL;
    }
}

/* RFC 7296 1.3: the group that it would accept. */
static enum err other_group(struct ike_sa *sa, const struct sa_input *in, struct child_sa *old,
                            const struct notify_payload *n)
{
    enum ke_id group;
    enum err e = create_other_group(sa, &sa->config->esp, n, &group);
    return e == ERR_OK ? ask(sa, in->now, old, group) : e;
}

enum err child_notify_in(struct ike_sa *sa, struct sa_input *in, const struct notify_payload *n)
{
    struct task *task = &sa->task;
    struct child_sa *old = child_by_spi_in(sa->session, task->child_spi_in);
    if (task->kind != TASK_NEW_CHILD && task->kind != TASK_REKEY_CHILD)
        return ERR_MALFORMED;
    bool gone = task->kind == TASK_REKEY_CHILD && old == NULL;
    if (n->type == NOTIFY_INVALID_KE_PAYLOAD && !gone && (old == NULL || old->rival == 0) &&
        other_group(sa, in, old, n) == ERR_OK)
        return ERR_OK;
    if (old != NULL) {
        rekey_refused(sa, in->now, old, n->type);
    } else if (task->kind == TASK_NEW_CHILD) {
        struct fault f = {0};
        enum session_down_reason reason = child_refusal(sa, n->type, &f);
        sa_retry_later(sa, in->now);
        if (!session_was_up(sa->session) && n->type != NOTIFY_TEMPORARY_FAILURE)
            sa_close(sa, in->now, reason, &f, 0);
        else if (n->type != NOTIFY_TEMPORARY_FAILURE)
            session_reauthenticate(sa->session, in->now);
    }
    return ERR_OK;
}

/* --- the peer asks --- */

/* A request of the peer, taken apart and judged. */
struct child_request {
    struct child_sa *old; /* NULL: a new child */
    struct proposal chosen;
    struct ke_payload ke; /* method KE_NONE: none came */
    struct selector_list local, remote;
    struct nonce nonce_i;
    struct child_terms terms;
};

/* With our proposals as they are; or, where they have no key exchange and the peer insists on one,
 * with any that we know: more forward secrecy than was asked for does no harm. */
static enum err choose(const struct ike_sa *sa, const struct proposal_list *offered,
                       uint16_t method, struct proposal *ret)
{
    static const enum ke_id known[] = {KE_X25519,    KE_ECP_256,   KE_ECP_384,  KE_ECP_521,
                                       KE_MODP_3072, KE_MODP_4096, KE_MODP_2048};
    if (init_choose(&sa->config->esp, offered, method, ret) == ERR_OK)
        return ERR_OK;
    if (proposal_list_first_ke(&sa->config->esp) != KE_NONE)
        return ERR_NOT_FOUND;
    struct proposal_list ours = sa->config->esp;
    for (size_t i = 0; i < ours.count; i++) {
        struct proposal *p = &ours.items[i];
        for (size_t j = 0; j < sizeof(known) / sizeof(known[0]) && p->count < TRANSFORMS_MAX; j++)
            p->transforms[p->count++] = (struct transform){TRANSFORM_KE, (uint16_t)known[j], 0};
    }
    return init_choose(&ours, offered, method, ret);
}

/* RFC 7296 2.25.1: may this child be rekeyed now? 0, or the notify that says why not. */
static uint16_t find_old(struct ike_sa *sa, const struct notify_payload *n, struct child_sa **ret)
{
    struct wire_reader r;
    wire_reader_init(&r, n->spi);
    uint32_t spi = wire_read_u32(&r);
    if (wire_read_finish(&r) != ERR_OK || n->protocol != PROTOCOL_ESP)
        return NOTIFY_CHILD_SA_NOT_FOUND;
    struct child_sa *c = child_by_spi_out(sa, spi);
    /* Perhaps the one that the peer made for our own request, whose answer is still on the way. */
    if (c == NULL && (sa->task.kind == TASK_REKEY_CHILD || sa->task.kind == TASK_NEW_CHILD))
        return NOTIFY_TEMPORARY_FAILURE;
    if (c == NULL)
        return NOTIFY_CHILD_SA_NOT_FOUND;
    if (c->delete_wanted || c->rival != 0 ||
        (c->state != CHILD_INSTALLED && c->state != CHILD_REKEYING))
        return NOTIFY_TEMPORARY_FAILURE;
    *ret = c;
    return 0;
}

static uint16_t judge(struct ike_sa *sa, const struct sa_input *in,
                      const struct proposal_list *offered, struct child_request *q)
{
    const struct payload_list *l = &in->payloads;
    const struct payload *ts_i = payload_find(l, PAYLOAD_TS_I),
                         *ts_r = payload_find(l, PAYLOAD_TS_R);
    const struct payload *ke = payload_find(l, PAYLOAD_KE);
    struct selector_list theirs, ours;
    struct span nonce;
    if (ts_i == NULL || ts_r == NULL || ts_payload_parse(ts_i->body, &theirs) != ERR_OK ||
        ts_payload_parse(ts_r->body, &ours) != ERR_OK ||
        nonce_payload_parse(payload_find(l, PAYLOAD_NONCE)->body, &nonce) != ERR_OK ||
        nonce_set(&q->nonce_i, nonce) != ERR_OK ||
        (ke != NULL && ke_payload_parse(ke->body, &q->ke) != ERR_OK))
        return NOTIFY_INVALID_SYNTAX;
    if (sa->task.kind == TASK_REKEY_IKE)
        return NOTIFY_TEMPORARY_FAILURE; /* RFC 7296 2.25.2 */
    struct notify_payload n;
    if (notify_find(l, NOTIFY_REKEY_SA, &n)) {
        uint16_t refusal = find_old(sa, &n, &q->old);
        if (refusal != 0)
            return refusal;
    }
    if (choose(sa, offered, q->ke.method, &q->chosen) != ERR_OK ||
        proposal_suite(&q->chosen, &q->terms.suite) != ERR_OK ||
        child_spi_read(&q->chosen, &q->terms.spi_out) != ERR_OK)
        return NOTIFY_NO_PROPOSAL_CHOSEN;
    if (q->terms.suite.ke != KE_NONE && q->terms.suite.ke != q->ke.method)
        return NOTIFY_INVALID_KE_PAYLOAD;
    selector_list_narrow(
        &theirs, q->old != NULL ? &q->old->remote : session_scope_remote(sa->session), &q->remote);
    selector_list_narrow(&ours, q->old != NULL ? &q->old->local : session_scope_local(sa->session),
                         &q->local);
    return q->remote.count == 0 || q->local.count == 0 ? NOTIFY_TS_UNACCEPTABLE : 0;
}

static enum err refuse(struct ike_sa *sa, const struct sa_input *in, uint16_t refusal,
                       const struct child_request *q)
{
    log_info("peer asked for a Child SA: answered %s", notify_name(refusal));
    if (refusal == NOTIFY_INVALID_KE_PAYLOAD) {
        const uint8_t group[] = {(uint8_t)(q->terms.suite.ke >> 8), (uint8_t)q->terms.suite.ke};
        return sa_response_notify(sa, in, refusal, SPAN_OF(group));
    }
    if (refusal != NOTIFY_CHILD_SA_NOT_FOUND)
        return sa_response_notify(sa, in, refusal, SPAN_EMPTY);
    /* RFC 7296 3.10.1: it names the child that is not there. */
    struct notify_payload n;
    struct message_writer m;
    size_t sk;
    sa_response_begin(sa, &m, in, &sk);
    if (notify_find(&in->payloads, NOTIFY_REKEY_SA, &n)) {
        n.type = refusal;
        n.data = SPAN_EMPTY;
        notify_payload_write(&m, &n);
    }
    return sa_response_send(sa, &m, in, sk);
}

static enum err grant(struct ike_sa *sa, const struct sa_input *in, struct child_request *q,
                      const struct kex *kex)
{
    struct message_writer m;
    size_t sk;
    child_spi_put(&q->chosen, q->terms.spi_in);
    const struct proposal_list answer = {.items = {q->chosen}, .count = 1};
    sa_response_begin(sa, &m, in, &sk);
    write_proposals(&m, &answer);
    payload_write(&m, PAYLOAD_NONCE, nonce_span(q->terms.nonce_r));
    if (kex != NULL)
        ke_payload_write(&m, (uint16_t)kex_id(kex), kex_public(kex));
    ts_payload_write(&m, PAYLOAD_TS_I, &q->remote);
    ts_payload_write(&m, PAYLOAD_TS_R, &q->local);
    return sa_response_send(sa, &m, in, sk);
}

/* Keys first, the answer after them: what the peer is told is what there is. */
static enum err make(struct ike_sa *sa, const struct sa_input *in, struct child_request *q,
                     struct child_sa **ret)
{
    struct kex *kex = NULL;
    struct nonce nonce_r;
    struct secret shared = {.len = 0};
    enum err e = q->terms.suite.ke != KE_NONE
                     ? kex_new(q->terms.suite.ke, &sa->config->random, &kex)
                     : ERR_OK;
    if (e == ERR_OK)
        e = agree(kex, &q->ke, &shared);
    nonce_make(sa, &nonce_r);
    q->terms.spi_in = child_new_spi(sa);
    q->terms.shared = secret_span(&shared);
    q->terms.nonce_i = &q->nonce_i;
    q->terms.nonce_r = &nonce_r;
    q->terms.local = &q->local;
    q->terms.remote = &q->remote;
    if (e == ERR_OK)
        e = child_install(sa, in->now, &q->terms, q->old, ret);
    secret_wipe(&shared);
    if (e == ERR_OK)
        e = grant(sa, in, q, kex);
    kex_free(kex);
    return e;
}

enum err child_request_in(struct ike_sa *sa, struct sa_input *in,
                          const struct proposal_list *offered)
{
    struct child_request q = {.old = NULL};
    struct child_sa *made = NULL;
    uint16_t refusal = judge(sa, in, offered, &q);
    if (refusal == NOTIFY_INVALID_SYNTAX)
        return ERR_MALFORMED;
    if (refusal != 0)
        return refuse(sa, in, refusal, &q);
    enum err e = make(sa, in, &q, &made);
    if (e == ERR_LIMIT)
        return refuse(sa, in, NOTIFY_NO_ADDITIONAL_SAS, &q);
    if (e == ERR_CRYPTO) /* a public value that cannot be (RFC 7296 2.21.3: only the child fails) */
        return refuse(sa, in, NOTIFY_INVALID_SYNTAX, &q);
    if (e != ERR_OK || q.old == NULL)
        return e;
    if (q.old->state == CHILD_REKEYING)
        q.old->rival = made->spi_in; /* ours is out: its answer decides */
    else
        child_replaced(q.old, made, false, in->now);
    return ERR_OK;
}
