/* Addresses, prefixes and ranges as values: comparison and arithmetic. Their text is addr_text.c.
 *
 * Invariant: octets beyond an address's family length are zero, so that copies compare alike. */
#include "common/base/addr.h"

#include <string.h>

#include "common/base/be.h"

struct ip ip_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return (struct ip){.family = IP_V4, .bytes = {a, b, c, d}};
}

struct ip ip_from_span(struct span bytes)
{
    struct ip a = {.family = bytes.len == 4 ? IP_V4 : bytes.len == 16 ? IP_V6 : IP_NONE};
    if (a.family != IP_NONE)
        memcpy(a.bytes, bytes.data, bytes.len);
    return a;
}

struct span ip_span(const struct ip *a)
{
    return span_make(a->bytes, ip_len(a->family));
}

size_t ip_len(enum ip_family family)
{
    return family == IP_V4 ? 4 : family == IP_V6 ? 16 : 0;
}

uint8_t ip_bits(enum ip_family family)
{
    return (uint8_t)(8 * ip_len(family));
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
    return ip_compare(a, b) == 0;
}

bool ip_listed(const struct ip *list, size_t count, const struct ip *ip)
{
    for (size_t i = 0; i < count; i++) {
        if (ip_equal(&list[i], ip))
            return true;
    }
    return false;
}

/* Of one family. By numbers, since the data path compares some addresses for every packet; of IPv4
 * the first is all there is. */
static int compare(const struct ip *a, const struct ip *b)
{
    uint32_t left = be_read_u32(a->bytes), right = be_read_u32(b->bytes);
    for (size_t at = 4; left == right && a->family == IP_V6 && at < sizeof(a->bytes); at += 4) {
        left = be_read_u32(a->bytes + at);
        right = be_read_u32(b->bytes + at);
    }
    return left < right ? -1 : left > right ? 1 : 0;
}

int ip_compare(const struct ip *a, const struct ip *b)
{
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    return compare(a, b);
}

bool ip_is_unspecified(const struct ip *a)
{
    for (size_t i = 0; i < ip_len(a->family); i++)
        if (a->bytes[i] != 0)
            return false;
    return true;
}

bool ip_is_multicast(const struct ip *a)
{
    return (a->family == IP_V4 && (a->bytes[0] & 0xf0) == 0xe0) ||
           (a->family == IP_V6 && a->bytes[0] == 0xff);
}

bool ip_is_loopback(const struct ip *a)
{
    static const struct ip loopback = {.family = IP_V6, .bytes = {[15] = 1}};
    return (a->family == IP_V4 && a->bytes[0] == 127) || ip_equal(a, &loopback);
}

bool ip_is_link_local(const struct ip *a)
{
    return (a->family == IP_V4 && a->bytes[0] == 169 && a->bytes[1] == 254) ||
           (a->family == IP_V6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80);
}

bool ip_is_private(const struct ip *a)
{
    const uint8_t *b = a->bytes;
    if (a->family == IP_V6)
        return (b[0] & 0xfe) == 0xfc;
    return a->family == IP_V4 &&
           (b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 192 && b[1] == 168));
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && ip_equal(&a->ip, &b->ip);
}

bool path_equal(const struct path *a, const struct path *b)
{
    return a->interface == b->interface && endpoint_equal(&a->local, &b->local) &&
           endpoint_equal(&a->remote, &b->remote);
}

/* The bits of octet i that lie behind a prefix of that length: its host bits. */
static uint8_t host_mask(unsigned bits, size_t i)
{
    if (bits >= 8 * (i + 1))
        return 0;
    return (uint8_t)(bits <= 8 * i ? 0xff : 0xff >> (bits % 8));
}

static struct ip with_host_bits(const struct prefix *p, uint8_t fill)
{
    struct ip a = p->ip;
    for (size_t i = 0; i < ip_len(a.family); i++) {
        uint8_t mask = host_mask(p->bits, i);
        a.bytes[i] = (uint8_t)((a.bytes[i] & ~mask) | (fill & mask));
    }
    return a;
}

struct prefix prefix_host(const struct ip *a)
{
    return (struct prefix){.ip = *a, .bits = ip_bits(a->family)};
}

struct prefix prefix_network(const struct prefix *p)
{
    return (struct prefix){.ip = with_host_bits(p, 0), .bits = p->bits};
}

bool prefix_contains(const struct prefix *p, const struct ip *a)
{
    struct ip_range r = range_from_prefix(p);
    return range_contains(&r, a);
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
    struct prefix na = prefix_network(a), nb = prefix_network(b);
    return na.bits == nb.bits && ip_equal(&na.ip, &nb.ip);
}

struct ip_range range_from_prefix(const struct prefix *p)
{
    return (struct ip_range){.first = with_host_bits(p, 0), .last = with_host_bits(p, 0xff)};
}

bool range_valid(const struct ip_range *r)
{
    return r->first.family != IP_NONE && r->first.family == r->last.family &&
           ip_compare(&r->first, &r->last) <= 0;
}

bool range_contains(const struct ip_range *r, const struct ip *a)
{
    return a->family != IP_NONE && r->first.family == a->family && r->last.family == a->family &&
           compare(&r->first, a) <= 0 && compare(a, &r->last) <= 0;
}

bool range_within(const struct ip_range *inner, const struct ip_range *outer)
{
    return range_valid(inner) && range_contains(outer, &inner->first) &&
           range_contains(outer, &inner->last);
}

bool range_intersect(const struct ip_range *a, const struct ip_range *b, struct ip_range *ret)
{
    if (!range_valid(a) || !range_valid(b) || a->first.family != b->first.family)
        return false;
    struct ip_range both = {
        .first = ip_compare(&a->first, &b->first) >= 0 ? a->first : b->first,
        .last = ip_compare(&a->last, &b->last) <= 0 ? a->last : b->last,
    };
    if (!range_valid(&both))
        return false;
    *ret = both;
    return true;
}

/* One more; the caller knows that the address is not the family's last. */
static void ip_increment(struct ip *a)
{
    size_t i = ip_len(a->family);
    while (i > 0 && ++a->bytes[i - 1] == 0)
        i--;
}

/* The largest prefix that begins exactly at `first` and ends no later than `last`. */
static struct prefix largest_prefix(const struct ip *first, const struct ip *last)
{
    struct prefix best = prefix_host(first);
    while (best.bits > 0) {
        struct prefix wider = {.ip = *first, .bits = (uint8_t)(best.bits - 1)};
        struct ip_range r = range_from_prefix(&wider);
        if (!ip_equal(&r.first, first) || ip_compare(&r.last, last) > 0)
            break;
        best = wider;
    }
    return best;
}

enum err range_prefixes(const struct ip_range *r, struct prefix *out, size_t max, size_t *ret_count)
{
    if (!range_valid(r))
        return ERR_MALFORMED;
    struct ip at = r->first;
    for (size_t count = 0; count < max;) {
        out[count] = largest_prefix(&at, &r->last);
        at = range_from_prefix(&out[count]).last;
        count++;
        if (ip_equal(&at, &r->last)) {
            *ret_count = count;
            return ERR_OK;
        }
        ip_increment(&at);
    }
    return ERR_LIMIT;
}
