/* The payloads of a few fields: KE, ID, CERT, CERTREQ, AUTH, Nonce, Notify, Delete, EAP. Those with
 * lists inside have files of their own: proposal.c (SA), payload_ts.c, payload_cp.c.
 *
 * Invariant: a parser that succeeds has accounted for every octet of the body. Reserved fields are
 * written as zero and passed over unseen (RFC 7296 2.5). */
#include "common/ike/payload.h"

#include <string.h>

#include "common/crypto/prf.h"

enum err ke_payload_parse(struct span body, struct ke_payload *ret)
{
    struct wire_reader r;
    wire_reader_init(&r, body);
    struct ke_payload p = {.method = wire_read_u16(&r)};
    wire_skip(&r, 2);
    p.value = wire_read_rest(&r);
    if (wire_read_finish(&r) != ERR_OK)
        return ERR_MALFORMED;
    *ret = p;
    return ERR_OK;
}

void ke_payload_write(struct message_writer *m, uint16_t method, struct span value)
{
    size_t at = payload_begin(m, PAYLOAD_KE);
    wire_write_u16(&m->w, method);
    wire_write_zeros(&m->w, 2);
    wire_write_span(&m->w, value);
    payload_end(m, at);
}

/* ID and AUTH share a shape: one octet that says what the data is, three reserved, the data. */
static enum err tagged_parse(struct span body, uint8_t *ret_tag, struct span *ret_data)
{
    struct wire_reader r;
    wire_reader_init(&r, body);
    uint8_t tag = wire_read_u8(&r);
    wire_skip(&r, 3);
    struct span data = wire_read_rest(&r);
    if (wire_read_finish(&r) != ERR_OK)
        return ERR_MALFORMED;
    *ret_tag = tag;
    *ret_data = data;
    return ERR_OK;
}

static void tagged_write(struct message_writer *m, uint8_t payload_type, uint8_t tag,
                         struct span data)
{
    size_t at = payload_begin(m, payload_type);
    wire_write_u8(&m->w, tag);
    wire_write_zeros(&m->w, 3);
    wire_write_span(&m->w, data);
    payload_end(m, at);
}

enum err id_payload_parse(struct span body, struct identity *ret)
{
    uint8_t type;
    struct span data;
    enum err e = tagged_parse(body, &type, &data);
    if (e != ERR_OK)
        return e;
    return identity_set(ret, type, data);
}

void id_payload_write(struct message_writer *m, uint8_t payload_type, const struct identity *id)
{
    tagged_write(m, payload_type, (uint8_t)id->type, identity_span(id));
}

enum err cert_payload_parse(struct span body, struct cert_payload *ret)
{
    struct wire_reader r;
    wire_reader_init(&r, body);
    struct cert_payload p = {.encoding = wire_read_u8(&r)};
    p.data = wire_read_rest(&r);
    if (wire_read_finish(&r) != ERR_OK)
        return ERR_MALFORMED;
    *ret = p;
    return ERR_OK;
}

void cert_payload_write(struct message_writer *m, uint8_t payload_type, uint8_t encoding,
                        struct span data)
{
    size_t at = payload_begin(m, payload_type);
    wire_write_u8(&m->w, encoding);
    wire_write_span(&m->w, data);
    payload_end(m, at);
}

enum err auth_payload_parse(struct span body, struct auth_payload *ret)
{
    return tagged_parse(body, &ret->method, &ret->data);
}

void auth_payload_write(struct message_writer *m, uint8_t method, struct span data)
{
    tagged_write(m, PAYLOAD_AUTH, method, data);
}

enum err nonce_payload_parse(struct span body, struct span *ret)
{
    if (body.len < NONCE_MIN || body.len > NONCE_MAX)
        return ERR_MALFORMED;
    *ret = body;
    return ERR_OK;
}

enum err notify_payload_parse(struct span body, struct notify_payload *ret)
{
    struct wire_reader r;
    wire_reader_init(&r, body);
    struct notify_payload p = {.protocol = wire_read_u8(&r)};
    uint8_t spi_len = wire_read_u8(&r);
    p.type = wire_read_u16(&r);
    p.spi = wire_read_span(&r, spi_len);
    p.data = wire_read_rest(&r);
    if (wire_read_finish(&r) != ERR_OK)
        return ERR_MALFORMED;
    *ret = p;
    return ERR_OK;
}

void notify_payload_write(struct message_writer *m, const struct notify_payload *n)
{
    ASSERT(n->spi.len <= UINT8_MAX);
    size_t at = payload_begin(m, PAYLOAD_NOTIFY);
    wire_write_u8(&m->w, n->protocol);
    wire_write_u8(&m->w, (uint8_t)n->spi.len);
    wire_write_u16(&m->w, n->type);
    wire_write_span(&m->w, n->spi);
    wire_write_span(&m->w, n->data);
    payload_end(m, at);
}

void notify_write(struct message_writer *m, uint16_t type, struct span data)
{
    notify_payload_write(m, &(struct notify_payload){.type = type, .data = data});
}

/* The first well-formed notify with a type between the two. */
static bool find_between(const struct payload_list *l, uint16_t least, uint16_t most,
                         struct notify_payload *ret)
{
    for (const struct payload *p = payload_find(l, PAYLOAD_NOTIFY); p != NULL;
         p = payload_next(l, PAYLOAD_NOTIFY, p)) {
        struct notify_payload n;
        if (notify_payload_parse(p->body, &n) == ERR_OK && n.type >= least && n.type <= most) {
            *ret = n;
            return true;
        }
    }
    return false;
}

bool notify_find(const struct payload_list *l, uint16_t type, struct notify_payload *ret)
{
    return find_between(l, type, type, ret);
}

bool notify_find_error(const struct payload_list *l, struct notify_payload *ret)
{
    return find_between(l, 0, NOTIFY_ERROR_LAST, ret);
}

/* RFC 5685 4: 1 and 2 are addresses, 3 a name. */
enum redirect_type { REDIRECT_IPV4 = 1, REDIRECT_IPV6 = 2, REDIRECT_FQDN = 3 };

enum err redirect_parse(struct span data, struct redirect_target *ret, struct span *ret_nonce)
{
    struct redirect_target to = {.ip = {.family = IP_NONE}};
    struct wire_reader r;
    wire_reader_init(&r, data);
    uint8_t type = wire_read_u8(&r);
    uint8_t len = wire_read_u8(&r);
    struct span identity = wire_read_span(&r, len);
    struct span nonce = wire_read_rest(&r);
    if (wire_read_finish(&r) != ERR_OK || len == 0)
        return ERR_MALFORMED;
    if (type == REDIRECT_FQDN) {
        if (!host_name_good(identity))
            return ERR_MALFORMED;
        memcpy(to.name, identity.data, identity.len);
    } else {
        to.ip = ip_from_span(identity);
        if (to.ip.family != (type == REDIRECT_IPV4   ? IP_V4
                             : type == REDIRECT_IPV6 ? IP_V6
                                                     : 0) ||
            ip_is_unspecified(&to.ip) || ip_is_multicast(&to.ip))
            return ERR_MALFORMED;
    }
    *ret = to;
    *ret_nonce = nonce;
    return ERR_OK;
}

void redirect_write(struct message_writer *m, uint16_t notify, const struct redirect_target *to,
                    struct span nonce)
{
    uint8_t data[2 + REDIRECT_NAME_MAX + NONCE_MAX];
    struct span identity = to->ip.family != IP_NONE ? ip_span(&to->ip) : span_text(to->name);
    struct wire_writer w;
    wire_writer_init(&w, data, sizeof(data));
    wire_write_u8(&w, to->ip.family == IP_V4   ? REDIRECT_IPV4
                      : to->ip.family == IP_V6 ? REDIRECT_IPV6
                                               : REDIRECT_FQDN);
    wire_write_u8(&w, (uint8_t)identity.len);
    wire_write_span(&w, identity);
    wire_write_span(&w, nonce);
    notify_write(m, notify, wire_written(&w));
}

/* RFC 7296 3.11: the IKE SA is the one the message belongs to and has no SPI here; the others have
 * four octets. What an unknown protocol uses is not ours to say. */
static bool delete_spi_len_good(uint8_t protocol, uint8_t spi_len)
{
    if (protocol == PROTOCOL_IKE)
        return spi_len == 0;
    if (protocol == PROTOCOL_ESP || protocol == PROTOCOL_AH)
        return spi_len == 4;
    return true;
}

enum err delete_payload_parse(struct span body, struct delete_payload *ret)
{
    struct wire_reader r;
    wire_reader_init(&r, body);
    struct delete_payload p = {.protocol = wire_read_u8(&r)};
    p.spi_len = wire_read_u8(&r);
    p.count = wire_read_u16(&r);
    p.spis = wire_read_span(&r, (size_t)p.count * p.spi_len);
    if (wire_read_finish(&r) != ERR_OK || !delete_spi_len_good(p.protocol, p.spi_len))
        return ERR_MALFORMED;
    *ret = p;
    return ERR_OK;
}

void delete_ike_write(struct message_writer *m)
{
    size_t at = payload_begin(m, PAYLOAD_DELETE);
    wire_write_u8(&m->w, PROTOCOL_IKE);
    wire_write_u8(&m->w, 0);
    wire_write_u16(&m->w, 0);
    payload_end(m, at);
}

void delete_esp_write(struct message_writer *m, const uint32_t *spis, size_t count)
{
    ASSERT(count <= UINT16_MAX);
    size_t at = payload_begin(m, PAYLOAD_DELETE);
    wire_write_u8(&m->w, PROTOCOL_ESP);
    wire_write_u8(&m->w, 4);
    wire_write_u16(&m->w, (uint16_t)count);
    for (size_t i = 0; i < count; i++)
        wire_write_u32(&m->w, spis[i]);
    payload_end(m, at);
}

uint32_t delete_payload_esp_spi(const struct delete_payload *d, size_t i)
{
    ASSERT(d->spi_len == 4 && i < d->count);
    struct wire_reader r;
    wire_reader_init(&r, d->spis);
    wire_skip(&r, 4 * i);
    return wire_read_u32(&r);
}

enum err eap_payload_parse(struct span body, struct span *ret)
{
    struct wire_reader r;
    wire_reader_init(&r, body);
    wire_skip(&r, 2); /* code, identifier */
    uint16_t len = wire_read_u16(&r);
    if (r.failed || len != body.len)
        return ERR_MALFORMED;
    *ret = body;
    return ERR_OK;
}

void nat_detection_hash(uint64_t spi_i, uint64_t spi_r, const struct endpoint *e,
                        uint8_t out[NAT_HASH_LEN])
{
    _Static_assert((int)NAT_HASH_LEN == (int)SHA1_LEN, "RFC 7296 2.23 hashes with SHA-1");
    uint8_t bytes[8 + 8 + 16 + 2];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    wire_write_u64(&w, spi_i);
    wire_write_u64(&w, spi_r);
    wire_write_span(&w, ip_span(&e->ip));
    wire_write_u16(&w, e->port);
    struct span all = wire_written(&w);
    hash_sha1(&all, 1, out);
}
