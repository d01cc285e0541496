/* The responder's stateless cookies (RFC 7296 2.6).
 *
 *     cookie = version | HMAC-SHA-256(secret, SPIi | port | address's length | address | Ni)
 *
 * Nothing is kept for a sender: the cookie that comes back is made anew from the request it came
 * in, and compared. It is bound to the nonce and the initiator's SPI, so that it is of no use for
 * another handshake. Only the last of the fields has an open length: no octets of one can pass for
 * another's. */
#include "common/ike/cookie.h"

#include <string.h>

#include "common/crypto/prf.h"
#include "common/ike/payload.h"

/* An IKE_SA_INIT request as far as a cookie is concerned. */
struct request {
    uint64_t spi_i;
    struct span nonce;
    struct span cookie; /* empty: none */
};

static enum err request_parse(struct span message, struct request *ret)
{
    struct ike_header h = {0};
    struct payload_list l;
    struct notify_payload cookie;
    uint8_t bad_type;
    struct request q = {0};
    if (ike_header_parse(message, &h) != ERR_OK || h.major != 2 ||
        h.exchange != EXCHANGE_IKE_SA_INIT || (h.flags & IKE_FLAG_RESPONSE) != 0 ||
        (h.flags & IKE_FLAG_INITIATOR) == 0 || h.message_id != 0 || h.spi_i == 0 || h.spi_r != 0)
        return ERR_MALFORMED;
    struct wire_reader r;
    wire_reader_init(&r, message);
    wire_skip(&r, IKE_HEADER_LEN);
    enum err e = payload_list_parse(h.next_payload, wire_read_rest(&r), &l, &bad_type);
    if (e != ERR_OK && e != ERR_UNSUPPORTED) /* what is critical is for the session to refuse */
        return ERR_MALFORMED;
    const struct payload *nonce = payload_find(&l, PAYLOAD_NONCE);
    if (nonce == NULL || payload_count(&l, PAYLOAD_NONCE) != 1 ||
        nonce_payload_parse(nonce->body, &q.nonce) != ERR_OK)
        return ERR_MALFORMED;
    q.spi_i = h.spi_i;
    if (notify_find(&l, NOTIFY_COOKIE, &cookie))
        q.cookie = cookie.data;
    *ret = q;
    return ERR_OK;
}

static enum err cookie_make(const uint8_t key[32], uint8_t version, const struct endpoint *sender,
                            const struct request *q, uint8_t out[COOKIE_LEN])
{
    uint8_t fixed[8 + 2 + 1 + 16], mac[PRF_OUT_MAX];
    struct wire_writer w;
    wire_writer_init(&w, fixed, sizeof fixed);
    wire_write_u64(&w, q->spi_i);
    wire_write_u16(&w, sender->port);
    wire_write_u8(&w, (uint8_t)ip_len(sender->ip.family));
    wire_write_span(&w, ip_span(&sender->ip));
    const struct span parts[] = {wire_written(&w), q->nonce};
    enum err e = prf(PRF_HMAC_SHA2_256, span_make(key, 32), parts, 2, mac);
    if (e != ERR_OK)
        return e;
    out[0] = version;
    memcpy(out + 1, mac, COOKIE_LEN - 1);
    return ERR_OK;
}

void cookie_jar_init(struct cookie_jar *j, const struct random_source *random)
{
    *j = (struct cookie_jar){.version = 0};
    random_fill(random, j->keys[0], sizeof j->keys[0]);
}

void cookie_jar_rotate(struct cookie_jar *j, const struct random_source *random)
{
    memcpy(j->keys[1], j->keys[0], sizeof j->keys[1]);
    random_fill(random, j->keys[0], sizeof j->keys[0]);
    j->version++;
    j->has_previous = true;
}

bool cookie_jar_check(const struct cookie_jar *j, const struct endpoint *sender,
                      struct span message)
{
    struct request q;
    uint8_t expected[COOKIE_LEN];
    if (request_parse(message, &q) != ERR_OK || q.cookie.len != COOKIE_LEN)
        return false;
    uint8_t version = q.cookie.data[0];
    uint8_t previous = (uint8_t)(j->version - 1);
    if (version != j->version && !(j->has_previous && version == previous))
        return false;
    const uint8_t *key = version == j->version ? j->keys[0] : j->keys[1];
    return cookie_make(key, version, sender, &q, expected) == ERR_OK &&
           secret_equal(q.cookie, SPAN_OF(expected));
}

enum err cookie_jar_challenge(const struct cookie_jar *j, const struct endpoint *sender,
                              struct span message, uint8_t *out, size_t cap, struct span *ret)
{
    struct request q;
    uint8_t cookie[COOKIE_LEN];
    enum err e = request_parse(message, &q);
    if (e == ERR_OK)
        e = cookie_make(j->keys[0], j->version, sender, &q, cookie);
    if (e != ERR_OK)
        return e;
    const struct ike_header h = {
        .spi_i = q.spi_i,
        .major = 2,
        .exchange = EXCHANGE_IKE_SA_INIT,
        .flags = IKE_FLAG_RESPONSE,
    };
    struct message_writer m;
    message_begin(&m, out, cap, &h);
    notify_write(&m, NOTIFY_COOKIE, SPAN_OF(cookie));
    return message_finish(&m, ret);
}
