/* INFORMATIONAL (RFC 7296 1.4): liveness, Delete in both directions, and notices. */
#include "common/ike/sa.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/log.h"

/* --- the peer asks --- */

/* What one request wants done; collected first, so that the answer can be written in one go. */
struct request_content {
    bool delete_ike;
    uint16_t failed; /* the notify that ends the IKE SA; 0: none */
    bool redirected;
    struct redirect_target redirect;
    bool spi_invalid;
    uint32_t auth_lifetime_s; /* 0: not announced */
    struct mobike_request mobike;
    struct child_sa *deleted[CHILDREN_MAX];
    size_t deleted_count;
};

static bool listed(const struct request_content *c, const struct child_sa *child)
{
    for (size_t i = 0; i < c->deleted_count; i++) {
        if (c->deleted[i] == child)
            return true;
    }
    return false;
}

/* RFC 7296 1.4.1: the SPIs are the sender's inbound ones, our outbound ones. */
static enum err read_delete(struct ike_sa *sa, struct span body, struct request_content *c)
{
    struct delete_payload d;
    enum err e = delete_payload_parse(body, &d);
    if (e != ERR_OK)
        return e;
    if (d.protocol == PROTOCOL_IKE) {
        c->delete_ike = true;
        return ERR_OK;
    }
    if (d.protocol != PROTOCOL_ESP || d.spi_len != 4)
        return ERR_OK; /* AH: we have none of those */
    for (size_t i = 0; i < d.count; i++) {
        uint32_t spi_out = delete_payload_esp_spi(&d, i);
        struct child_sa *child = child_by_spi_out(sa, spi_out);
        if (child == NULL && sa->task.deleted_count < TASK_DELETED_MAX)
            sa->task.deleted_out[sa->task.deleted_count++] = spi_out;
        if (child == NULL || listed(c, child))
            continue; /* unknown: nothing of ours to delete in return */
        log_info("peer deletes the Child SA with our SPI %08" PRIx32, child->spi_in);
        c->deleted[c->deleted_count++] = child;
    }
    return ERR_OK;
}

static enum err read_notify(struct span body, struct request_content *c)
{
    struct notify_payload n;
    struct wire_reader r;
    struct span nonce;
    enum err e = notify_payload_parse(body, &n);
    if (e != ERR_OK)
        return e;
    switch (n.type) {
    case NOTIFY_AUTHENTICATION_FAILED:
    case NOTIFY_INVALID_SYNTAX: /* 2.21.2: all three end the IKE SA */
    case NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD:
        c->failed = n.type;
        break;
    case NOTIFY_INVALID_SPI:
        c->spi_invalid = true;
        break;
    case NOTIFY_AUTH_LIFETIME:
        wire_reader_init(&r, n.data);
        c->auth_lifetime_s = wire_read_u32(&r);
        break;
    case NOTIFY_REDIRECT:
        c->redirected = redirect_parse(n.data, &c->redirect, &nonce) == ERR_OK;
        break;
    default:
        break;
    }
    return ERR_OK;
}

static enum err read_request(struct ike_sa *sa, const struct sa_input *in,
                             struct request_content *c)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < in->payloads.count && e == ERR_OK; i++) {
        const struct payload *p = &in->payloads.items[i];
        if (p->type == PAYLOAD_DELETE)
            e = read_delete(sa, p->body, c);
        else if (p->type == PAYLOAD_NOTIFY)
            e = read_notify(p->body, c);
    }
    return e == ERR_OK ? mobike_request_read(sa, in, &c->mobike) : e;
}

/* RFC 7296 1.4.1, 2.25.1: our half of each, but of those whose Delete crossed with ours. */
static void write_deletes(struct message_writer *m, const struct request_content *c)
{
    uint32_t spis[CHILDREN_MAX];
    size_t count = 0;
    for (size_t i = 0; i < c->deleted_count; i++) {
        if (c->deleted[i]->state != CHILD_DELETING)
            spis[count++] = c->deleted[i]->spi_in;
    }
    if (count > 0)
        delete_esp_write(m, spis, count);
}

static void act(struct ike_sa *sa, const struct sa_input *in, const struct request_content *c)
{
    struct fault f = {0};
    for (size_t i = 0; i < c->deleted_count; i++)
        child_deleted(c->deleted[i], in->now);
    mobike_request_act(sa, in, &c->mobike);
    if (c->spi_invalid)
        session_suspect(sa->session, in->now);
    if (c->auth_lifetime_s > 0)
        session_auth_lifetime(sa, in->now, c->auth_lifetime_s);
    if (sa->close_wanted) {
        /* Both delete at once (RFC 7296 2.25.2): answered, and ours need not be waited for. */
        if (c->delete_ike)
            sa_die(sa, sa->end_reason, &sa->end_fault);
    } else if (c->failed != 0) {
        (void)fault_set(&f, ERR_REFUSED, "the peer does not accept what we said (%s)",
                        notify_name(c->failed));
        sa_die(sa,
               c->failed == NOTIFY_AUTHENTICATION_FAILED ? SESSION_DOWN_REFUSED
                                                         : SESSION_DOWN_PROTOCOL,
               &f);
    } else if (c->delete_ike) {
        if (sa->rival != NULL &&
            sa_alive(sa->rival)) /* it has made up its mind which rekeying counts */
            rekey_settle_for_rival(sa->rival, in->now);
        (void)fault_set(&f, ERR_REFUSED,
                        "the gateway ended the connection (it deleted the IKE SA)");
        fault_hint(&f,
                   "it may have restarted, or its administrator or a lifetime ended the session");
        sa_die(sa, SESSION_DOWN_BY_PEER, &f);
    } else if (c->redirected && sa->state == SA_ESTABLISHED) {
        (void)session_follow_redirect(sa, in->now, &c->redirect);
    }
}

enum err informational_request_in(struct ike_sa *sa, struct sa_input *in)
{
    struct request_content c = {.delete_ike = false};
    enum err e = read_request(sa, in, &c);
    if (e != ERR_OK)
        return e;
    struct message_writer m;
    size_t sk;
    sa_response_begin(sa, &m, in, &sk);
    if (!c.delete_ike)
        write_deletes(&m, &c);
    mobike_answer_write(sa, &m, in, &c.mobike);
    e = sa_response_send(sa, &m, in, sk);
    if (e == ERR_OK)
        act(sa, in, &c);
    return e;
}

/* --- we ask --- */

/* Of the path in use, because it is silent; of a better one; or of the translator's memory. */
enum err informational_probe(struct ike_sa *sa, mono_ms now)
{
    struct message_writer m;
    size_t sk;
    if (!session_wants_probe(sa->session, now)) {
        if (roam_wants_probe(sa, now))
            roam_probing(sa, now);
        else
            keepalive_asking(sa->session, now);
        return mobike_probe_send(sa, now);
    }
    session_probed(sa->session, now);
    if (session_roams(sa))
        return roam_doubting(sa) ? mobike_update_send(sa, now) : mobike_probe_send(sa, now);
    sa_request_begin(sa, &m, EXCHANGE_INFORMATIONAL, &sk);
    return sa_request_send(sa, now, &m, sk, &sa->config->retransmit);
}

enum err informational_delete_children(struct ike_sa *sa, mono_ms now)
{
    uint32_t spis[CHILDREN_MAX];
    size_t count = 0;
    struct child_sa **children = session_children(sa->session);
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        struct child_sa *c = children[i];
        if (c == NULL || c->sa != sa || !c->delete_wanted)
            continue;
        spis[count++] = c->spi_in;
        child_drain(c);
        c->delete_wanted = false;
        c->state = CHILD_DELETING;
    }
    struct message_writer m;
    size_t sk;
    task_end(&sa->task);
    sa->task.kind = TASK_DELETE_CHILD;
    sa_request_begin(sa, &m, EXCHANGE_INFORMATIONAL, &sk);
    delete_esp_write(&m, spis, count);
    return sa_request_send(sa, now, &m, sk, &sa->config->retransmit);
}

enum err informational_close(struct ike_sa *sa, mono_ms now)
{
    /* A few quick tries: the user waits, and the peer finds out by itself in the end. */
    static const struct session_retransmit brief = {
        .first_ms = 250, .max_ms = 1000, .growth_percent = 200, .tries = 4};
    struct message_writer m;
    size_t sk;
    sa->state = SA_CLOSING;
    sa_request_begin(sa, &m, EXCHANGE_INFORMATIONAL, &sk);
    if (sa->close_notify != 0)
        notify_write(&m, sa->close_notify, SPAN_EMPTY);
    else
        delete_ike_write(&m);
    return sa_request_send(sa, now, &m, sk, &brief);
}

enum err informational_redirect(struct ike_sa *sa, mono_ms now, const struct redirect_target *to)
{
    struct message_writer m;
    size_t sk;
    sa_request_begin(sa, &m, EXCHANGE_INFORMATIONAL, &sk);
    redirect_write(&m, NOTIFY_REDIRECT, to, SPAN_EMPTY);
    free(sa->redirect);
    sa->redirect = NULL;
    return sa_request_send(sa, now, &m, sk, &sa->config->retransmit);
}

/* What the peer deletes in return it need not name: those we named are gone on both sides. */
static void deleted(struct ike_sa *sa, mono_ms now)
{
    struct child_sa **children = session_children(sa->session);
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (children[i] != NULL && children[i]->sa == sa && children[i]->state == CHILD_DELETING)
            child_gone(children[i], now);
    }
}

enum err informational_response_in(struct ike_sa *sa, struct sa_input *in)
{
    struct notify_payload n;
    sa_answered(sa, in->now);
    session_probe_over(sa->session, in->now, true);
    if (notify_find(&in->payloads, NOTIFY_INVALID_SYNTAX, &n)) { /* 2.21.3: it is gone there */
        struct fault f = {0};
        (void)fault_set(&f, ERR_REFUSED, "the peer found a request of ours broken");
        sa_die(sa, SESSION_DOWN_PROTOCOL, &f);
        return ERR_OK;
    }
    if (sa->task.kind == TASK_DELETE_CHILD)
        deleted(sa, in->now);
    else if (sa->task.kind == TASK_UPDATE || sa->task.kind == TASK_PROBE)
        mobike_response_in(sa, in);
    task_end(&sa->task);
    return ERR_OK;
}

enum err closing_response_in(struct ike_sa *sa, struct sa_input *in)
{
    sa_answered(sa, in->now);
    sa_die(sa, sa->end_reason, &sa->end_fault);
    return ERR_OK;
}
