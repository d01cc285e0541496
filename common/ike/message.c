/* The IKE message's header and its chain of payloads, both ways. What the payloads hold is
 * payload.c's, payload_ts.c's, payload_cp.c's and proposal.c's; protection is protect.c's.
 *
 * Invariant: each turn of the parser's loop consumes a generic header, at least four octets. */
#include "common/ike/message.h"

enum {
    NEXT_PAYLOAD_AT = 16, /* offsets in the header (RFC 7296 3.1) */
    LENGTH_AT = 24,
    GENERIC_HEADER_LEN = 4
};

enum err ike_header_parse(struct span datagram, struct ike_header *ret)
{
    struct wire_reader r;
    wire_reader_init(&r, datagram);
    struct ike_header h;
    h.spi_i = wire_read_u64(&r);
    h.spi_r = wire_read_u64(&r);
    h.next_payload = wire_read_u8(&r);
    uint8_t version = wire_read_u8(&r);
    h.major = version >> 4;
    h.minor = version & 15;
    h.exchange = wire_read_u8(&r);
    h.flags = wire_read_u8(&r);
    h.message_id = wire_read_u32(&r);
    h.length = wire_read_u32(&r);
    if (r.failed || h.length != datagram.len)
        return ERR_MALFORMED;
    *ret = h;
    return ERR_OK;
}

static bool payload_known(uint8_t type)
{
    return (type >= PAYLOAD_SA && type <= PAYLOAD_EAP) || type == PAYLOAD_SKF;
}

enum err payload_list_parse(uint8_t first, struct span bytes, struct payload_list *ret,
                            uint8_t *ret_bad_type)
{
    struct payload_list l = {.count = 0};
    uint8_t bad_type = PAYLOAD_NONE;
    struct wire_reader r;
    wire_reader_init(&r, bytes);
    for (uint8_t type = first; type != PAYLOAD_NONE && !r.failed;) {
        if (l.count == PAYLOADS_MAX)
            return ERR_LIMIT;
        struct payload p = {.type = type, .next = wire_read_u8(&r)};
        p.critical = (wire_read_u8(&r) & 0x80) != 0;
        uint16_t len = wire_read_u16(&r);
        if (len < GENERIC_HEADER_LEN)
            return ERR_MALFORMED;
        p.body = wire_read_span(&r, (size_t)len - GENERIC_HEADER_LEN);
        l.items[l.count++] = p;
        /* RFC 7296 2.5: the bit says nothing about payloads that we know */
        if (p.critical && !payload_known(type) && bad_type == PAYLOAD_NONE)
            bad_type = type;
        type = type == PAYLOAD_SK || type == PAYLOAD_SKF ? PAYLOAD_NONE : p.next;
    }
    if (wire_read_finish(&r) != ERR_OK)
        return ERR_MALFORMED;
    *ret = l;
    if (bad_type != PAYLOAD_NONE) {
        *ret_bad_type = bad_type;
        return ERR_UNSUPPORTED;
    }
    return ERR_OK;
}

size_t payload_count(const struct payload_list *l, uint8_t type)
{
    size_t count = 0;
    for (size_t i = 0; i < l->count; i++)
        count += l->items[i].type == type;
    return count;
}

const struct payload *payload_find(const struct payload_list *l, uint8_t type)
{
    return payload_next(l, type, NULL);
}

const struct payload *payload_next(const struct payload_list *l, uint8_t type,
                                   const struct payload *after)
{
    for (size_t i = after == NULL ? 0 : (size_t)(after - l->items) + 1; i < l->count; i++)
        if (l->items[i].type == type)
            return &l->items[i];
    return NULL;
}

void message_begin(struct message_writer *m, uint8_t *buffer, size_t cap,
                   const struct ike_header *h)
{
    wire_writer_init(&m->w, buffer, cap);
    m->next_at = NEXT_PAYLOAD_AT;
    wire_write_u64(&m->w, h->spi_i);
    wire_write_u64(&m->w, h->spi_r);
    wire_write_u8(&m->w, PAYLOAD_NONE);
    wire_write_u8(&m->w, (uint8_t)(h->major << 4 | (h->minor & 15)));
    wire_write_u8(&m->w, h->exchange);
    wire_write_u8(&m->w, h->flags);
    wire_write_u32(&m->w, h->message_id);
    wire_write_u32(&m->w, 0);
}

size_t payload_begin(struct message_writer *m, uint8_t type)
{
    size_t at = m->w.len;
    wire_patch_u8(&m->w, m->next_at, type);
    m->next_at = at;
    wire_write_u8(&m->w, PAYLOAD_NONE);
    wire_write_u8(&m->w, 0);
    wire_write_u16(&m->w, 0);
    return at;
}

void payload_end(struct message_writer *m, size_t at)
{
    wire_patch_len_u16(&m->w, at + 2, at);
}

void payload_write(struct message_writer *m, uint8_t type, struct span body)
{
    size_t at = payload_begin(m, type);
    wire_write_span(&m->w, body);
    payload_end(m, at);
}

enum err message_finish(struct message_writer *m, struct span *ret)
{
    if (m->w.failed)
        return ERR_LIMIT;
    wire_patch_u32(&m->w, LENGTH_AT, (uint32_t)m->w.len);
    *ret = wire_written(&m->w);
    return ERR_OK;
}
