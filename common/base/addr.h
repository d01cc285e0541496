/* IP addresses, endpoints, prefixes and ranges, without any socket header: the platform converts.
 */
#ifndef TERN_BASE_ADDR_H
#define TERN_BASE_ADDR_H

#include "common/base/err.h"
#include "common/base/span.h"

enum ip_family { IP_NONE = 0, IP_V4 = 4, IP_V6 = 6 };

struct ip {
    enum ip_family family;
    uint8_t bytes[16]; /* network order; an IPv4 address fills the first four, the rest is zero */
};

struct endpoint {
    struct ip ip;
    uint16_t port; /* host order */
};

struct prefix {
    struct ip ip; /* host bits may be set (an interface address); prefix_network() clears them */
    uint8_t bits; /* 0..32 or 0..128 */
};

/* Inclusive; both ends of one family, first <= last. */
struct ip_range {
    struct ip first, last;
};

/* One way between us and the gateway. */
struct path {
    struct endpoint local, remote;
    uint32_t interface; /* the local interface's index, 0: not known or any */
};

enum {
    IP_TEXT_MAX = 46,       /* buffer for ip_format, terminating zero included */
    ENDPOINT_TEXT_MAX = 56, /* "[v6]:port" */
    PREFIX_TEXT_MAX = 50,
    RANGE_PREFIXES_MAX = 254 /* most prefixes one IPv6 range can need */
};

struct ip ip_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
/* bytes.len 4 or 16; anything else gives family IP_NONE. */
struct ip ip_from_span(struct span bytes);
struct span ip_span(const struct ip *a); /* 4, 16 or 0 octets, borrowed from *a */
size_t ip_len(enum ip_family family);    /* 4, 16 or 0 */
uint8_t ip_bits(enum ip_family family);  /* 32, 128 or 0 */

/* Numeric text only; the strict dotted quad (no octal, no short forms), RFC 4291 2.2 for IPv6
 * (with an embedded IPv4 tail, without zone). */
CHECKED enum err ip_parse(const char *text, struct ip *ret);
CHECKED enum err prefix_parse(const char *text, struct prefix *ret); /* "a/n"; without /n: a host */
/* RFC 5952 for IPv6. All return out. */
const char *ip_format(const struct ip *a, char out[IP_TEXT_MAX]);
const char *endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX]);
const char *prefix_format(const struct prefix *p, char out[PREFIX_TEXT_MAX]);

bool ip_equal(const struct ip *a, const struct ip *b);
bool ip_listed(const struct ip *list, size_t count, const struct ip *ip); /* is it one of them? */
int ip_compare(const struct ip *a, const struct ip *b); /* by family, then numerically */
bool ip_is_unspecified(const struct ip *a);             /* 0.0.0.0, ::, or family none */
bool ip_is_multicast(const struct ip *a);
bool ip_is_loopback(const struct ip *a);
bool ip_is_link_local(const struct ip *a);
bool ip_is_private(const struct ip *a); /* RFC 1918, RFC 4193 */
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
bool path_equal(const struct path *a, const struct path *b);

struct prefix prefix_host(const struct ip *a);
struct prefix prefix_network(const struct prefix *p);
bool prefix_contains(const struct prefix *p, const struct ip *a);
bool prefix_equal(const struct prefix *a, const struct prefix *b); /* as networks */

struct ip_range range_from_prefix(const struct prefix *p);
bool range_valid(const struct ip_range *r);
bool range_contains(const struct ip_range *r, const struct ip *a);
bool range_within(const struct ip_range *inner, const struct ip_range *outer);
/* false where they do not meet */
bool range_intersect(const struct ip_range *a, const struct ip_range *b, struct ip_range *ret);
/* The fewest prefixes that make up r, in order; ERR_LIMIT where max is too small. */
CHECKED enum err range_prefixes(const struct ip_range *r, struct prefix *out, size_t max,
                                size_t *ret_count);

#endif
