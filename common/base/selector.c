/* Traffic selectors as values: meeting, covering, matching, text. Their wire form is the TS payload
 * (common/ike/payload_ts.c).
 *
 * ANY takes in OPAQUE (RFC 4301 4.4.1.1): a packet without visible ports lies within a selector for
 * any port, and within one for OPAQUE, and in no other. */
#include "common/base/selector.h"

#include "common/base/text.h"

static bool ports_any(const struct selector *s)
{
    return s->port_first == 0 && s->port_last == UINT16_MAX;
}

static bool ports_opaque(const struct selector *s)
{
    return s->port_first == UINT16_MAX && s->port_last == 0;
}

struct selector selector_from_prefix(const struct prefix *p)
{
    return (struct selector){.range = range_from_prefix(p), .port_last = UINT16_MAX};
}

enum err selector_list_add(struct selector_list *l, const struct selector *s)
{
    if (l->count >= SELECTORS_MAX)
        return ERR_LIMIT;
    l->items[l->count++] = *s;
    return ERR_OK;
}

static bool ports_within(const struct selector *inner, const struct selector *outer)
{
    if (ports_any(outer))
        return true;
    if (ports_opaque(inner) || ports_opaque(outer))
        return ports_opaque(inner) && ports_opaque(outer);
    return inner->port_first >= outer->port_first && inner->port_last <= outer->port_last;
}

bool selector_within(const struct selector *inner, const struct selector *outer)
{
    return range_within(&inner->range, &outer->range) &&
           (outer->protocol == 0 || outer->protocol == inner->protocol) &&
           ports_within(inner, outer);
}

bool selector_intersect(const struct selector *a, const struct selector *b, struct selector *ret)
{
    struct selector both = {.protocol = a->protocol != 0 ? a->protocol : b->protocol};
    if (a->protocol != 0 && b->protocol != 0 && a->protocol != b->protocol)
        return false;
    if (!range_intersect(&a->range, &b->range, &both.range))
        return false;
    if (ports_opaque(a) || ports_opaque(b)) {
        if (!ports_within(a, b) && !ports_within(b, a))
            return false;
        both.port_first = UINT16_MAX;
        both.port_last = 0;
    } else {
        both.port_first = a->port_first > b->port_first ? a->port_first : b->port_first;
        both.port_last = a->port_last < b->port_last ? a->port_last : b->port_last;
        if (both.port_first > both.port_last)
            return false;
    }
    *ret = both;
    return true;
}

static bool covered(const struct selector *s, const struct selector_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        if (selector_within(s, &l->items[i]))
            return true;
    return false;
}

bool selector_list_within(const struct selector_list *inner, const struct selector_list *outer)
{
    for (size_t i = 0; i < inner->count; i++)
        if (!covered(&inner->items[i], outer))
            return false;
    return true;
}

/* Adds s unless it is covered; drops what s covers. Where the list is full, s is left out. */
static void add_uncovered(struct selector_list *l, const struct selector *s)
{
    if (covered(s, l))
        return;
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++)
        if (!selector_within(&l->items[i], s))
            l->items[kept++] = l->items[i];
    l->count = kept;
    if (l->count < SELECTORS_MAX)
        l->items[l->count++] = *s;
}

void selector_list_narrow(const struct selector_list *offered, const struct selector_list *policy,
                          struct selector_list *ret)
{
    struct selector_list met = {.count = 0}; /* apart, since ret may be one of the two */
    for (size_t i = 0; i < offered->count; i++) {
        for (size_t j = 0; j < policy->count; j++) {
            struct selector both;
            if (selector_intersect(&offered->items[i], &policy->items[j], &both))
                add_uncovered(&met, &both);
        }
    }
    *ret = met;
}

bool selector_list_match(const struct selector_list *l, const struct ip *address, uint8_t protocol,
                         uint16_t port, bool later_fragment)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct selector *s = &l->items[i];
        bool port_ok = later_fragment ? ports_any(s) || ports_opaque(s)
                                      : port >= s->port_first && port <= s->port_last;
        if (port_ok && (s->protocol == 0 || s->protocol == protocol) &&
            range_contains(&s->range, address))
            return true;
    }
    return false;
}

static const char *protocol_name(uint8_t protocol)
{
    switch (protocol) {
    case 1:
        return "icmp";
    case 6:
        return "tcp";
    case 17:
        return "udp";
    case 58:
        return "ipv6-icmp";
    case 132:
        return "sctp";
    default:
        return NULL;
    }
}

static void format_protocol(const struct selector *s, struct text_builder *t)
{
    if (s->protocol == 0 && ports_any(s))
        return;
    const char *name = protocol_name(s->protocol);
    if (s->protocol == 0)
        text_add(t, "[any");
    else if (name != NULL)
        text_add(t, "[%s", name);
    else
        text_add(t, "[%u", s->protocol);

    if (ports_opaque(s))
        text_add(t, "/opaque");
    else if (s->port_first == s->port_last)
        text_add(t, "/%u", s->port_first);
    else if (!ports_any(s))
        text_add(t, "/%u-%u", s->port_first, s->port_last);
    text_add(t, "]");
}

const char *selector_format(const struct selector *s, char out[SELECTOR_TEXT_MAX])
{
    struct text_builder t;
    struct prefix p;
    size_t count;
    char a[PREFIX_TEXT_MAX], b[IP_TEXT_MAX];
    text_begin(&t, out, SELECTOR_TEXT_MAX);
    if (range_prefixes(&s->range, &p, 1, &count) == ERR_OK)
        text_add(&t, "%s", prefix_format(&p, a));
    else
        text_add(&t, "%s-%s", ip_format(&s->range.first, a), ip_format(&s->range.last, b));
    format_protocol(s, &t);
    return out;
}

const char *selector_list_format(const struct selector_list *l, char out[SELECTOR_LIST_TEXT_MAX])
{
    enum { MORE_LEN = 4 }; /* ",..." where not all fit */
    struct text_builder t;
    char text[SELECTOR_TEXT_MAX];
    text_begin(&t, out, SELECTOR_LIST_TEXT_MAX - MORE_LEN);
    for (size_t i = 0; i < l->count; i++)
        text_add(&t, "%s%s", i > 0 ? "," : "", selector_format(&l->items[i], text));
    if (t.cut) {
        t.cap += MORE_LEN;
        t.cut = false;
        text_add(&t, ",...");
    }
    return out;
}
