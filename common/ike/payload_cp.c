/* The Configuration payload (RFC 7296 3.15, RFC 8598).
 *
 * An attribute of a wrong length makes the payload malformed. One that is well-formed but of no use
 * to us is passed over: unknown types, what goes beyond the room we keep, empty ones outside a
 * request, and domains that are not plain host names (they would reach the resolver's
 * configuration). */
#include <string.h>

#include "common/base/log.h"
#include "common/ike/payload.h"

enum { LABEL_MAX = 63, DOMAIN_TEXT_MAX = 253 }; /* RFC 1035 2.3.4, as text */

/* A payload while it is read. */
struct reading {
    struct configuration c;
    int netmask_bits;   /* of INTERNAL_IP4_NETMASK; -1: none yet */
    size_t passed_over; /* attributes of types we know that were not kept */
};

/* The number of leading ones; -1 where there is a one behind a zero. */
static int mask_bits(uint32_t mask)
{
    int bits = 0;
    while (bits < 32 && (mask >> (31 - bits) & 1) != 0)
        bits++;
    return bits == 32 || mask << bits == 0 ? bits : -1;
}

static uint32_t bits_mask(uint8_t bits)
{
    return bits == 0 ? 0 : UINT32_MAX << (32 - bits);
}

static int read_mask(struct wire_reader *r)
{
    int bits = mask_bits(wire_read_u32(r));
    if (bits < 0)
        wire_read_fail(r);
    return bits;
}

static void keep_prefix(struct reading *g, struct prefix *list, size_t *count, size_t max,
                        const struct prefix *p)
{
    if (*count == max)
        g->passed_over++;
    else
        list[(*count)++] = *p;
}

static enum err read_address(struct reading *g, struct span value, enum ip_family family)
{
    struct ip any = {.family = family};
    struct prefix p = prefix_host(&any);
    struct wire_reader r;
    wire_reader_init(&r, value);
    if (value.len > 0) {
        p.ip = ip_from_span(wire_read_span(&r, ip_len(family)));
        if (family == IP_V6)
            p.bits = wire_read_u8(&r);
    } else if (g->c.type != CP_REQUEST) {
        return ERR_OK;
    }
    if (wire_read_finish(&r) != ERR_OK || p.bits > ip_bits(family))
        return ERR_MALFORMED;
    keep_prefix(g, g->c.addresses, &g->c.address_count, CP_ADDRESSES_MAX, &p);
    return ERR_OK;
}

static enum err read_netmask(struct reading *g, struct span value)
{
    if (value.len == 0)
        return ERR_OK;
    struct wire_reader r;
    wire_reader_init(&r, value);
    int bits = read_mask(&r);
    if (wire_read_finish(&r) != ERR_OK)
        return ERR_MALFORMED;
    if (g->netmask_bits < 0) /* RFC 7296 3.15.1: one alone */
        g->netmask_bits = bits;
    else
        g->passed_over++;
    return ERR_OK;
}

static enum err read_dns(struct reading *g, struct span value, enum ip_family family)
{
    struct ip a = {.family = family};
    if (value.len > 0)
        a = ip_from_span(value);
    else if (g->c.type != CP_REQUEST)
        return ERR_OK;
    if (a.family != family)
        return ERR_MALFORMED;
    if (g->c.dns_count == CP_DNS_MAX)
        g->passed_over++;
    else
        g->c.dns[g->c.dns_count++] = a;
    return ERR_OK;
}

/* An empty one is never kept: it would read as the whole address space. */
static enum err read_subnet(struct reading *g, struct span value, enum ip_family family)
{
    if (value.len == 0)
        return ERR_OK;
    struct wire_reader r;
    wire_reader_init(&r, value);
    struct prefix p = {.ip = ip_from_span(wire_read_span(&r, ip_len(family)))};
    p.bits = family == IP_V4 ? (uint8_t)read_mask(&r) : wire_read_u8(&r);
    if (wire_read_finish(&r) != ERR_OK || p.bits > ip_bits(family))
        return ERR_MALFORMED;
    keep_prefix(g, g->c.subnets, &g->c.subnet_count, CP_SUBNETS_MAX, &p);
    return ERR_OK;
}

static bool host_name_octet(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* Labels of letters, digits, hyphen and underscore; a hyphen neither first nor last in a label. */
bool host_name_good(struct span text)
{
    size_t label = 0;
    uint8_t previous = '.';
    if (text.len > DOMAIN_TEXT_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '.' ? label == 0 || previous == '-' : !host_name_octet(c))
            return false;
        if (c == '-' && label == 0)
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return false;
        previous = c;
    }
    return label > 0 && previous != '-';
}

static enum err read_domain(struct reading *g, struct span value)
{
    _Static_assert((int)DOMAIN_TEXT_MAX < (int)CP_DOMAIN_MAX, "a name and its zero fit");
    if (value.len > 0 && value.data[value.len - 1] == '.')
        value.len--; /* the root's dot says nothing here */
    bool wanted = value.len > 0 ? host_name_good(value) : g->c.type == CP_REQUEST;
    if (!wanted || g->c.domain_count == CP_DOMAINS_MAX) {
        g->passed_over++;
        return ERR_OK;
    }
    char *domain = g->c.domains[g->c.domain_count++];
    if (value.len > 0)
        memcpy(domain, value.data, value.len);
    domain[value.len] = '\0';
    return ERR_OK;
}

static enum err read_attribute(struct reading *g, uint16_t type, struct span value)
{
    switch (type) {
    case CP_INTERNAL_IP4_ADDRESS:
        return read_address(g, value, IP_V4);
    case CP_INTERNAL_IP6_ADDRESS:
        return read_address(g, value, IP_V6);
    case CP_INTERNAL_IP4_NETMASK:
        return read_netmask(g, value);
    case CP_INTERNAL_IP4_DNS:
        return read_dns(g, value, IP_V4);
    case CP_INTERNAL_IP6_DNS:
        return read_dns(g, value, IP_V6);
    case CP_INTERNAL_IP4_SUBNET:
        return read_subnet(g, value, IP_V4);
    case CP_INTERNAL_IP6_SUBNET:
        return read_subnet(g, value, IP_V6);
    case CP_INTERNAL_DNS_DOMAIN:
        return read_domain(g, value);
    default:
        return ERR_OK;
    }
}

/* The mask may stand before or behind the addresses it is for. */
static void apply_netmask(struct reading *g)
{
    for (size_t i = 0; g->netmask_bits >= 0 && i < g->c.address_count; i++) {
        struct prefix *p = &g->c.addresses[i];
        if (p->ip.family == IP_V4 && !ip_is_unspecified(&p->ip))
            p->bits = (uint8_t)g->netmask_bits;
    }
}

enum err cp_payload_parse(struct span body, struct configuration *ret)
{
    struct reading g = {.netmask_bits = -1};
    struct wire_reader r;
    wire_reader_init(&r, body);
    g.c.type = wire_read_u8(&r);
    wire_skip(&r, 3);
    while (wire_left(&r) > 0) {
        uint16_t type = wire_read_u16(&r) & 0x7fff; /* the upper bit is reserved */
        uint16_t len = wire_read_u16(&r);
        struct span value = wire_read_span(&r, len);
        if (r.failed || read_attribute(&g, type, value) != ERR_OK)
            return ERR_MALFORMED;
    }
    if (wire_read_finish(&r) != ERR_OK)
        return ERR_MALFORMED;
    apply_netmask(&g);
    if (g.passed_over > 0)
        log_warn("%zu attributes of the configuration payload passed over", g.passed_over);
    *ret = g.c;
    return ERR_OK;
}

/* Offset of the attribute's length field, for attribute_end. */
static size_t attribute_begin(struct message_writer *m, uint16_t type)
{
    wire_write_u16(&m->w, type);
    size_t at = m->w.len;
    wire_write_u16(&m->w, 0);
    return at;
}

static void attribute_end(struct message_writer *m, size_t at)
{
    wire_patch_len_u16(&m->w, at, at + 2);
}

static void attribute_write(struct message_writer *m, uint16_t type, struct span value)
{
    size_t at = attribute_begin(m, type);
    wire_write_span(&m->w, value);
    attribute_end(m, at);
}

/* In a request an unspecified address goes as the empty attribute: any will do. */
static struct span asked_for(const struct configuration *c, const struct ip *a)
{
    return c->type == CP_REQUEST && ip_is_unspecified(a) ? SPAN_EMPTY : ip_span(a);
}

static void write_addresses(struct message_writer *m, const struct configuration *c)
{
    bool masked = false;
    for (size_t i = 0; i < c->address_count; i++) {
        const struct prefix *p = &c->addresses[i];
        struct span value = asked_for(c, &p->ip);
        bool v4 = p->ip.family == IP_V4;
        size_t at = attribute_begin(m, v4 ? CP_INTERNAL_IP4_ADDRESS : CP_INTERNAL_IP6_ADDRESS);
        wire_write_span(&m->w, value);
        if (!v4 && value.len > 0)
            wire_write_u8(&m->w, p->bits);
        attribute_end(m, at);
        if (v4 && p->bits < 32 && !masked) {
            masked = true;
            at = attribute_begin(m, CP_INTERNAL_IP4_NETMASK);
            wire_write_u32(&m->w, bits_mask(p->bits));
            attribute_end(m, at);
        }
    }
}

void cp_payload_write(struct message_writer *m, const struct configuration *c)
{
    size_t payload_at = payload_begin(m, PAYLOAD_CP);
    wire_write_u8(&m->w, c->type);
    wire_write_zeros(&m->w, 3);
    write_addresses(m, c);
    for (size_t i = 0; i < c->dns_count; i++)
        attribute_write(m, c->dns[i].family == IP_V4 ? CP_INTERNAL_IP4_DNS : CP_INTERNAL_IP6_DNS,
                        asked_for(c, &c->dns[i]));
    for (size_t i = 0; i < c->subnet_count; i++) {
        const struct prefix *p = &c->subnets[i];
        bool v4 = p->ip.family == IP_V4;
        size_t at = attribute_begin(m, v4 ? CP_INTERNAL_IP4_SUBNET : CP_INTERNAL_IP6_SUBNET);
        wire_write_span(&m->w, ip_span(&p->ip));
        if (v4)
            wire_write_u32(&m->w, bits_mask(p->bits));
        else
            wire_write_u8(&m->w, p->bits);
        attribute_end(m, at);
    }
    for (size_t i = 0; i < c->domain_count; i++)
        attribute_write(m, CP_INTERNAL_DNS_DOMAIN, span_text(c->domains[i]));
    payload_end(m, payload_at);
}
