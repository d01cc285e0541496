/* An IKE SA's messages on their way out: header, SK, seal, window. What an exchange says stands in
 * its own file; here is what all of them say the same way. */
#include <string.h>

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

static enum err finish(struct ike_sa *sa, struct message_writer *m, size_t sk, struct span *ret)
{
    if (sk == 0)
        return message_finish(m, ret);
    return sk_seal(m, sk, sa->seal, sa->seal_counter++, ret);
}

enum err sa_request_send(struct ike_sa *sa, mono_ms now, struct message_writer *m, size_t sk,
                         const struct session_retransmit *policy)
{
    struct span bytes;
    enum err e = finish(sa, m, sk, &bytes);
    if (e != ERR_OK)
        return e;
    uint8_t exchange = bytes.data[18];
    e = window_request_begin(&sa->window, now, exchange, bytes, policy);
    if (e == ERR_OK)
        session_transmit(sa->session, &sa->path, bytes);
    return e;
}

enum err sa_response_send(struct ike_sa *sa, struct message_writer *m, const struct sa_input *in,
                          size_t sk)
{
    struct span bytes;
    enum err e = finish(sa, m, sk, &bytes);
    if (e == ERR_OK)
        e = window_respond(&sa->window, in->message, bytes);
    if (e == ERR_OK)
        session_transmit(sa->session, in->path, bytes);
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
