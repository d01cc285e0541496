/* The Traffic Selector payload (RFC 7296 3.13). What selectors mean is common/base/selector.c's.
 *
 * Invariant: every parsed selector's range is valid, and its ports are in order or OPAQUE. */
#include "common/base/log.h"
#include "common/ike/payload.h"

enum { SELECTOR_HEAD_LEN = 8 }; /* type, protocol, length, both ports */

/* The rest of one selector of a type we know, after its four-octet head. */
static enum err selector_parse(struct span rest, uint8_t type, uint8_t protocol,
                               struct selector *ret)
{
    size_t ip_octets = type == TS_IPV4_ADDR_RANGE ? 4 : 16;
    struct wire_reader r;
    wire_reader_init(&r, rest);
    struct selector s = {.protocol = protocol, .port_first = wire_read_u16(&r)};
    s.port_last = wire_read_u16(&r);
    s.range.first = ip_from_span(wire_read_span(&r, ip_octets));
    s.range.last = ip_from_span(wire_read_span(&r, ip_octets));
    bool opaque = s.port_first == UINT16_MAX && s.port_last == 0;
    if (wire_read_finish(&r) != ERR_OK || !range_valid(&s.range) ||
        (s.port_first > s.port_last && !opaque))
        return ERR_MALFORMED;
    *ret = s;
    return ERR_OK;
}

enum err ts_payload_parse(struct span body, struct selector_list *ret)
{
    struct selector_list l = {.count = 0};
    struct wire_reader r;
    wire_reader_init(&r, body);
    bool more = false;
    uint8_t count = wire_read_u8(&r);
    wire_skip(&r, 3);
    if (count == 0)
        return ERR_MALFORMED; /* a payload that selects nothing */
    for (uint8_t i = 0; i < count && !r.failed; i++) {
        uint8_t type = wire_read_u8(&r);
        uint8_t protocol = wire_read_u8(&r);
        uint16_t len = wire_read_u16(&r);
        if (len < 4)
            return ERR_MALFORMED;
        struct span rest = wire_read_span(&r, (size_t)len - 4);
        if (r.failed || (type != TS_IPV4_ADDR_RANGE && type != TS_IPV6_ADDR_RANGE))
            continue;
        struct selector s;
        enum err e = selector_parse(rest, type, protocol, &s);
        if (e != ERR_OK)
            return e;
        more |= selector_list_add(&l, &s) != ERR_OK;
    }
    if (wire_read_finish(&r) != ERR_OK)
        return ERR_MALFORMED;
    if (more) /* less is always allowed (RFC 7296 2.9) */
        log_warn("the peer names more than %d traffic selectors; the first ones are taken",
                 SELECTORS_MAX);
    *ret = l;
    return ERR_OK;
}

void ts_payload_write(struct message_writer *m, uint8_t payload_type, const struct selector_list *l)
{
    size_t at = payload_begin(m, payload_type);
    wire_write_u8(&m->w, (uint8_t)l->count);
    wire_write_zeros(&m->w, 3);
    for (size_t i = 0; i < l->count; i++) {
        const struct selector *s = &l->items[i];
        bool v4 = s->range.first.family == IP_V4;
        ASSERT(range_valid(&s->range));
        wire_write_u8(&m->w, v4 ? TS_IPV4_ADDR_RANGE : TS_IPV6_ADDR_RANGE);
        wire_write_u8(&m->w, s->protocol);
        wire_write_u16(&m->w, v4 ? SELECTOR_HEAD_LEN + 2 * 4 : SELECTOR_HEAD_LEN + 2 * 16);
        wire_write_u16(&m->w, s->port_first);
        wire_write_u16(&m->w, s->port_last);
        wire_write_span(&m->w, ip_span(&s->range.first));
        wire_write_span(&m->w, ip_span(&s->range.last));
    }
    payload_end(m, at);
}
