/* An IKE SA's messages on their way out: header, SK, seal, window. What an exchange says stands in
 * its own file; here is what all of them say the same way. */
#include <string.h>

#include "common/base/log.h"
#include "common/ike/sa.h"

static void begin(struct ike_sa *sa, struct message_writer *m, const struct ike_header *h,
                  size_t *ret_sk)
{
    message_begin(m, session_buffer(sa->session), IKE_MESSAGE_MAX, h);
    *ret_sk = h->exchange == EXCHANGE_IKE_SA_INIT ? 0 : sk_begin(m, sa->seal);
}

void sa_request_begin(struct ike_sa *sa, struct message_writer *m, uint8_t exchange, size_t *ret_sk)
{
    const struct ike_header h = {
        .spi_i = sa->spi_i,
        .spi_r = sa->spi_r,
        .major = 2,
        .exchange = exchange,
        .flags = sa->initiator ? IKE_FLAG_INITIATOR : 0,
        .message_id = sa->window.next_id,
    };
    begin(sa, m, &h, ret_sk);
}

void sa_response_begin(struct ike_sa *sa, struct message_writer *m, const struct sa_input *in,
                       size_t *ret_sk)
{
    const struct ike_header h = {
        .spi_i = sa->spi_i,
        .spi_r = sa->spi_r,
        .major = 2,
        .exchange = in->header.exchange,
        .flags = (uint8_t)((sa->initiator ? IKE_FLAG_INITIATOR : 0) | IKE_FLAG_RESPONSE),
        .message_id = in->header.message_id,
    };
    begin(sa, m, &h, ret_sk);
}

/* How long a message of ours may be on this SA's path. */
static size_t datagram_max(const struct ike_sa *sa)
{
    if (!sa->peer_fragmentation)
        return SIZE_MAX;
    return fragment_datagram_max(sa->fragment_mtu, sa->path.remote.ip.family == IP_V6, true);
}

/* The plaintext is wiped, once sealed, unless `ret_draft` keeps it. */
static enum err seal(struct ike_sa *sa, struct message_writer *m, size_t sk,
                     struct fragment_draft *ret_draft, struct span *ret)
{
    struct fragment_draft d;
    enum err e = fragment_draft_init(&d, m, sk);
    if (e == ERR_OK)
        e = fragment_seal(&d, sa->seal, &sa->seal_counter, datagram_max(sa),
                          session_train(sa->session), FRAGMENT_TRAIN_MAX, ret);
    if (e == ERR_OK && ret_draft != NULL && d.total > 0)
        e = fragment_draft_keep(&d);
    wipe(session_buffer(sa->session), m->w.len);
    if (e == ERR_OK && ret_draft != NULL && d.total > 0)
        *ret_draft = d;
    return e;
}

enum err sa_request_send(struct ike_sa *sa, mono_ms now, struct message_writer *m, size_t sk,
                         const struct session_retransmit *policy)
{
    struct span train;
    fragment_draft_wipe(&sa->draft);
    enum err e = sk == 0 ? message_finish(m, &train) : seal(sa, m, sk, &sa->draft, &train);
    if (e != ERR_OK)
        return e;
    e = window_request_begin(&sa->window, now, train.data[18], train, policy);
    if (e == ERR_OK)
        roam_asking(sa, train);
    return e;
}

void sa_request_repeat(struct ike_sa *sa, mono_ms now)
{
    enum { TRIES_PER_SIZE = 3 };
    const struct window_request *r = &sa->window.request;
    bool v6 = sa->path.remote.ip.family == IP_V6;
    uint16_t smaller = fragment_mtu_next(sa->fragment_mtu, v6);
    struct span train;
    if (sa->draft.total > 0 && r->sent > TRIES_PER_SIZE && smaller != 0) {
        sa->fragment_mtu = smaller; /* RFC 7383 2.5.1 */
        if (fragment_seal(&sa->draft, sa->seal, &sa->seal_counter, datagram_max(sa),
                          session_train(sa->session), FRAGMENT_TRAIN_MAX, &train) != ERR_OK ||
            window_request_recut(&sa->window, now, train) != ERR_OK)
            log_debug("%s stays in pieces as it was", exchange_name(r->exchange));
    }
    roam_transmit(sa, span_make(r->bytes, r->len));
}

enum err sa_response_send(struct ike_sa *sa, struct message_writer *m, const struct sa_input *in,
                          size_t sk)
{
    struct span train;
    enum err e = sk == 0 ? message_finish(m, &train) : seal(sa, m, sk, NULL, &train);
    if (e == ERR_OK)
        e = window_respond(&sa->window, in->message, train);
    if (e == ERR_OK)
        session_transmit(sa->session, in->path, train);
    return e;
}

enum err sa_response_notify(struct ike_sa *sa, const struct sa_input *in, uint16_t type,
                            struct span data)
{
    struct message_writer m;
    size_t sk;
    sa_response_begin(sa, &m, in, &sk);
    notify_write(&m, type, data);
    return sa_response_send(sa, &m, in, sk);
}

/* --- pieces of messages --- */

enum err nonce_set(struct nonce *n, struct span value)
{
    if (value.len > sizeof(n->data))
        return ERR_LIMIT;
    memcpy(n->data, value.data, value.len);
    n->len = value.len;
    return ERR_OK;
}

void nonce_make(const struct ike_sa *sa, struct nonce *n)
{
    n->len = NONCE_LEN;
    random_fill(&sa->config->random, n->data, n->len);
}

struct span nonce_span(const struct nonce *n)
{
    return span_make(n->data, n->len);
}

bool nonce_lower(const struct nonce *a, const struct nonce *b)
{
    int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
    return order < 0 || (order == 0 && a->len < b->len);
}

uint64_t sa_new_spi(const struct ike_sa *sa)
{
    uint64_t spi;
    do
        spi = random_u64(&sa->config->random);
    while (spi == 0);
    return spi;
}

void write_proposals(struct message_writer *m, const struct proposal_list *l)
{
    size_t at = payload_begin(m, PAYLOAD_SA);
    proposal_list_write(&m->w, l);
    payload_end(m, at);
}
