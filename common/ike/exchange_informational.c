/* INFORMATIONAL (RFC 7296 1.4): liveness, Delete in both directions, and notices. */
#include "common/ike/sa.h"

#include <inttypes.h>

#include "common/base/log.h"

/* --- the peer asks --- */

/* What one request wants done; collected first, so that the answer can be written in one go. */
struct request_content {
    bool delete_ike;
    bool authentication_failed;
    uint32_t deleted_in[SA_CHILDREN_MAX]; /* our halves of the children that it deletes */
    size_t deleted_count;
};

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
        struct sa_child *child = child_by_spi_out(sa, delete_payload_esp_spi(&d, i));
        if (child == NULL)
            continue; /* unknown: nothing of ours to delete in return */
        log_info("peer deletes the Child SA with our SPI %08" PRIx32, child->spi_in);
        c->deleted_in[c->deleted_count++] = child->spi_in;
        child_remove(sa, child);
    }
    return ERR_OK;
}

static enum err read_request(struct ike_sa *sa, const struct sa_input *in,
                             struct request_content *c)
{
    for (size_t i = 0; i < in->payloads.count; i++) {
        const struct payload *p = &in->payloads.items[i];
        enum err e = ERR_OK;
        struct notify_payload n;
        if (p->type == PAYLOAD_DELETE) {
            e = read_delete(sa, p->body, c);
        } else if (p->type == PAYLOAD_NOTIFY) {
            e = notify_payload_parse(p->body, &n);
            if (e == ERR_OK && n.type == NOTIFY_AUTHENTICATION_FAILED)
                c->authentication_failed = true;
        }
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static bool has_children(const struct ike_sa *sa)
{
    for (size_t i = 0; i < SA_CHILDREN_MAX; i++) {
        if (sa->children[i].used)
            return true;
    }
    return false;
}

enum err informational_request_in(struct ike_sa *sa, struct sa_input *in)
{
    struct request_content c = {0};
    enum err e = read_request(sa, in, &c);
    if (e != ERR_OK)
        return e;
    struct message_writer m;
    size_t sk;
    sa_response_begin(sa, &m, in, &sk);
    if (!c.delete_ike && c.deleted_count > 0)
        delete_esp_write(&m, c.deleted_in, c.deleted_count);
    e = sa_response_send(sa, &m, in, sk);
    if (e != ERR_OK)
        return e;

    struct fault f = {0};
    if (sa->state == SA_CLOSING) {
        /* Both delete at once (RFC 7296 2.25.2): answered, and ours need not be waited for. */
        if (c.delete_ike)
            sa_die(sa, sa->closing_reason, &sa->closing_fault);
    } else if (c.authentication_failed) {
        (void)fault_set(&f, ERR_REFUSED, "the peer could not verify us (AUTHENTICATION_FAILED)");
        sa_die(sa, SESSION_DOWN_REFUSED, &f);
    } else if (c.delete_ike) {
        (void)fault_set(&f, ERR_REFUSED,
                        "the gateway ended the connection (it deleted the IKE SA)");
        fault_hint(&f,
                   "it may have restarted, or its administrator or a lifetime ended the session");
        sa_die(sa, SESSION_DOWN_BY_PEER, &f);
    } else if (c.deleted_count > 0 && sa->initiator && !has_children(sa)) {
        /* An IKE SA without a Child SA carries nothing, and we cannot make another yet. */
        (void)fault_set(&f, ERR_REFUSED, "the gateway deleted the Child SA");
        sa_close(sa, in->now, SESSION_DOWN_BY_PEER, &f, 0);
    }
    return ERR_OK;
}

/* --- we ask --- */

enum err informational_probe(struct ike_sa *sa, mono_ms now)
{
    if (sa->state != SA_ESTABLISHED || sa->window.request.active)
        return ERR_OK;
    struct message_writer m;
    size_t sk;
    sa_request_begin(sa, &m, EXCHANGE_INFORMATIONAL, &sk);
    return sa_request_send(sa, now, &m, sk, &sa->config->retransmit);
}

enum err informational_response_in(struct ike_sa *sa, struct sa_input *in)
{
    int64_t rtt = window_request_end(&sa->window, in->now);
    if (rtt >= 0)
        sa->rtt_ms = rtt;
    return ERR_OK;
}

enum err closing_response_in(struct ike_sa *sa, struct sa_input *in)
{
    (void)window_request_end(&sa->window, in->now);
    sa_die(sa, sa->closing_reason, &sa->closing_fault);
    return ERR_OK;
}
