/* Addresses and prefixes from and to text. Arithmetic on them is addr.c. */
#include <stdio.h>
#include <string.h>

#include "common/base/addr.h"
#include "common/base/text.h"

/* A decimal number of at most three digits without leading zeros, moving *p behind it; -1 where
 * there is none or it is above max. */
static int read_decimal(const char **p, int max)
{
    int v = 0, digits = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++) {
        if (++digits > 3 || (digits > 1 && v == 0))
            return -1;
        v = v * 10 + (**p - '0');
    }
    return digits == 0 || v > max ? -1 : v;
}

static bool v4_parse(const char *text, uint8_t out[4])
{
    const char *p = text;
    for (size_t i = 0; i < 4; i++) {
        if (i > 0 && *p++ != '.')
            return false;
        int v = read_decimal(&p, 255);
        if (v < 0)
            return false;
        out[i] = (uint8_t)v;
    }
    return *p == '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Up to four hex digits, moving *p behind them; -1 where there are none, or more. */
static int read_group(const char **p)
{
    int v = 0, digits = 0;
    for (int d; (d = hex_value(**p)) >= 0; (*p)++) {
        if (++digits > 4)
            return -1;
        v = v << 4 | d;
    }
    return digits == 0 ? -1 : v;
}

/* RFC 4291 2.2. Octets before the "::" are gathered at the front; `gap` is where it stood. */
static bool v6_parse(const char *text, uint8_t out[16])
{
    enum { NO_GAP = 17 };
    uint8_t bytes[16] = {0};
    size_t len = 0, gap = NO_GAP;
    const char *p = text;
    if (p[0] == ':' && p[1] == ':') {
        gap = 0;
        p += 2;
    }
    while (*p != '\0') {
        const char *start = p;
        if (len > 14)
            return false;
        int v = read_group(&p);
        if (*p == '.') {
            if (len > 12 || !v4_parse(start, bytes + len))
                return false;
            len += 4;
            break;
        }
        if (v < 0)
            return false;
        bytes[len++] = (uint8_t)(v >> 8);
        bytes[len++] = (uint8_t)v;
        if (*p == '\0')
            break;
        if (*p++ != ':' || *p == '\0')
            return false;
        if (*p == ':') {
            if (gap != NO_GAP)
                return false;
            gap = len;
            p++;
        }
    }
    /* "::" stands for at least one group */
    if (gap == NO_GAP ? len != 16 : len > 14)
        return false;
    if (gap == NO_GAP)
        gap = len;
    memset(out, 0, 16);
    memcpy(out, bytes, gap);
    memcpy(out + 16 - (len - gap), bytes + gap, len - gap);
    return true;
}

enum err ip_parse(const char *text, struct ip *ret)
{
    struct ip a = {.family = strchr(text, ':') != NULL ? IP_V6 : IP_V4};
    if (a.family == IP_V6 ? !v6_parse(text, a.bytes) : !v4_parse(text, a.bytes))
        return ERR_MALFORMED;
    *ret = a;
    return ERR_OK;
}

enum err prefix_parse(const char *text, struct prefix *ret)
{
    char address[IP_TEXT_MAX];
    size_t len = strcspn(text, "/");
    if (len >= sizeof address)
        return ERR_MALFORMED;
    memcpy(address, text, len);
    address[len] = '\0';

    struct ip a;
    if (ip_parse(address, &a) != ERR_OK)
        return ERR_MALFORMED;
    struct prefix p = prefix_host(&a);
    if (text[len] == '/') {
        const char *digits = text + len + 1;
        int bits = read_decimal(&digits, p.bits);
        if (bits < 0 || *digits != '\0')
            return ERR_MALFORMED;
        p.bits = (uint8_t)bits;
    }
    *ret = p;
    return ERR_OK;
}

/* The longest run of at least two zero groups, the first of equal ones (RFC 5952 4.2). */
static void longest_zeros(const unsigned group[8], size_t *ret_at, size_t *ret_len)
{
    *ret_at = 8;
    *ret_len = 1;
    for (size_t i = 0; i < 8;) {
        size_t len = 0;
        while (i + len < 8 && group[i + len] == 0)
            len++;
        if (len > *ret_len) {
            *ret_at = i;
            *ret_len = len;
        }
        i += len + 1;
    }
}

static void v6_format(const uint8_t b[16], struct text_builder *t)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(b, mapped, sizeof mapped) == 0) {
        /* RFC 5952 5: where an IPv4 address is known to be inside, it shows */
        text_add(t, "::ffff:%u.%u.%u.%u", b[12], b[13], b[14], b[15]);
        return;
    }
    unsigned group[8];
    for (size_t i = 0; i < 8; i++)
        group[i] = (unsigned)b[2 * i] << 8 | b[2 * i + 1];
    size_t zeros_at, zeros_len;
    longest_zeros(group, &zeros_at, &zeros_len);
    for (size_t i = 0; i < 8; i++) {
        if (i == zeros_at) {
            text_add(t, "::");
            i += zeros_len - 1;
            continue;
        }
        bool first = i == 0 || i == zeros_at + zeros_len;
        text_add(t, "%s%x", first ? "" : ":", group[i]);
    }
}

const char *ip_format(const struct ip *a, char out[IP_TEXT_MAX])
{
    struct text_builder t;
    text_begin(&t, out, IP_TEXT_MAX);
    if (a->family == IP_V4)
        text_add(&t, "%u.%u.%u.%u", a->bytes[0], a->bytes[1], a->bytes[2], a->bytes[3]);
    else if (a->family == IP_V6)
        v6_format(a->bytes, &t);
    else
        text_add(&t, "none");
    return out;
}

const char *endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX])
{
    char ip[IP_TEXT_MAX];
    bool v6 = e->ip.family == IP_V6;
    ip_format(&e->ip, ip);
    snprintf(out, ENDPOINT_TEXT_MAX, "%s%s%s:%u", v6 ? "[" : "", ip, v6 ? "]" : "", e->port);
    return out;
}

const char *prefix_format(const struct prefix *p, char out[PREFIX_TEXT_MAX])
{
    char ip[IP_TEXT_MAX];
    snprintf(out, PREFIX_TEXT_MAX, "%s/%u", ip_format(&p->ip, ip), p->bits);
    return out;
}
