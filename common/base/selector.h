/* Traffic selectors (RFC 7296 3.13, RFC 4301 4.4.1): values, used by the negotiation and by the
 * data path alike. */
#ifndef TERN_BASE_SELECTOR_H
#define TERN_BASE_SELECTOR_H

#include "common/base/addr.h"

struct selector {
    struct ip_range range;
    uint8_t protocol;               /* 0: any */
    uint16_t port_first, port_last; /* 0..65535 is any; first 65535 and last 0 is OPAQUE */
};

enum { SELECTORS_MAX = 32 };

struct selector_list {
    struct selector items[SELECTORS_MAX];
    size_t count;
};

enum { SELECTOR_TEXT_MAX = 128, SELECTOR_LIST_TEXT_MAX = 1024 };

struct selector selector_from_prefix(const struct prefix *p); /* any protocol, any port */
CHECKED enum err selector_list_add(struct selector_list *l,
                                   const struct selector *s); /* ERR_LIMIT */

bool selector_within(const struct selector *inner, const struct selector *outer);
/* false where they do not meet */
bool selector_intersect(const struct selector *a, const struct selector *b, struct selector *ret);
/* Every item of `inner` lies within a single item of `outer`. */
bool selector_list_within(const struct selector_list *inner, const struct selector_list *outer);
/* All meetings of the two lists, without duplicates and without those another covers (RFC
 * 7296 2.9). The count may be 0. Keeps what fits SELECTORS_MAX. */
void selector_list_narrow(const struct selector_list *offered, const struct selector_list *policy,
                          struct selector_list *ret);

/* Does a packet end (address, protocol, port) match any item? A later fragment has no ports: it
 * matches by address and protocol alone where the item's ports are any, or OPAQUE. For ICMP pass
 * the type and code as port, on both sides. */
bool selector_list_match(const struct selector_list *l, const struct ip *address, uint8_t protocol,
                         uint16_t port, bool later_fragment);

/* "10.9.0.0/24", "10.0.0.1-10.0.0.7[tcp/443]"; comma between items. Return out. */
const char *selector_format(const struct selector *s, char out[SELECTOR_TEXT_MAX]);
const char *selector_list_format(const struct selector_list *l, char out[SELECTOR_LIST_TEXT_MAX]);

#endif
