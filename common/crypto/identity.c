/* IKE identities (RFC 7296 3.5) as values: from a profile's text, from an ID payload, and back to
 * text. Distinguished names are parsed and printed in distinguished_name.c; which certificate
 * proves an identity is certificate_names.c's matter.
 *
 * Invariant: a struct identity that these functions made is well-formed for its type: addresses
 * have their length, FQDN and email hold no control character, a DN is one whole Name. */
#include "common/crypto/identity.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <openssl/mem.h>

#include "common/base/text.h"
#include "common/crypto/x509_internal.h"

static enum err set_dn(struct identity *id, X509_NAME *name)
{
    unsigned char *der = NULL;
    int len = i2d_X509_NAME(name, &der);
    enum err e = len <= 0 ? ERR_MEMORY : ERR_OK;
    if (e == ERR_OK)
        e = identity_set(id, IDENTITY_DN, span_make(der, (size_t)len));
    OPENSSL_free(der);
    return e;
}

static enum err parse_dn(const char *text, struct identity *ret)
{
    X509_NAME *name = NULL;
    enum err e = name_from_text(text, &name);
    if (e != ERR_OK)
        return e;
    e = set_dn(ret, name);
    X509_NAME_free(name);
    return e;
}

static enum err parse_key_id(const char *hex, struct identity *ret)
{
    uint8_t bytes[IDENTITY_MAX];
    size_t len = strlen(hex);
    if (len % 2 != 0)
        return ERR_MALFORMED;
    if (len / 2 > sizeof bytes)
        return ERR_LIMIT;
    enum err e = text_read_hex(span_make(hex, len), bytes);
    if (e != ERR_OK)
        return e;
    return identity_set(ret, IDENTITY_KEY_ID, span_make(bytes, len / 2));
}

/* A host or user name as people write one. What looks like an address but is none ("10.0.0.300",
 * "fe80:") is a slip, not a name. */
static enum err parse_fqdn(const char *text, struct identity *ret)
{
    bool letters = false;
    for (const char *c = text; *c != '\0'; c++) {
        if (!isgraph((unsigned char)*c) || strchr("@=,;:/#\"<>()[]", *c) != NULL)
            return ERR_MALFORMED;
        letters = letters || (*c != '.' && !isdigit((unsigned char)*c));
    }
    if (!letters && strchr(text, '.') != NULL)
        return ERR_MALFORMED;
    return identity_set(ret, IDENTITY_FQDN, span_text(text));
}

static enum err parse_email(const char *text, struct identity *ret)
{
    const char *at = strchr(text, '@');
    if (at == text || at[1] == '\0' || strchr(at + 1, '@') != NULL)
        return ERR_MALFORMED;
    for (const char *c = text; *c != '\0'; c++) {
        if (isspace((unsigned char)*c))
            return ERR_MALFORMED;
    }
    return identity_set(ret, IDENTITY_EMAIL, span_text(text));
}

enum err identity_parse(const char *text, struct identity *ret)
{
    struct ip ip;
    if (text[0] == '@' && text[1] == '#')
        return parse_key_id(text + 2, ret);
    if (text[0] == '@')
        return parse_fqdn(text + 1, ret);
    if (ip_parse(text, &ip) == ERR_OK)
        return identity_set(ret, ip.family == IP_V4 ? IDENTITY_IPV4 : IDENTITY_IPV6, ip_span(&ip));
    if (name_text_looks_like_one(text))
        return parse_dn(text, ret);
    if (strchr(text, '@') != NULL)
        return parse_email(text, ret);
    return parse_fqdn(text, ret);
}

/* RFC 7296 3.5: no terminators (NUL, CR, ...) within FQDN and RFC822_ADDR. */
static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < 0x20 || s.data[i] == 0x7f)
            return true;
    }
    return false;
}

static bool is_name(struct span der)
{
    X509_NAME *name = NULL;
    if (name_from_der(der, &name) != ERR_OK)
        return false;
    X509_NAME_free(name);
    return true;
}

enum err identity_set(struct identity *id, uint8_t type, struct span data)
{
    bool good = data.len > 0;
    if (data.len > IDENTITY_MAX)
        return ERR_LIMIT;
    switch (type) {
    case IDENTITY_IPV4:
        good = data.len == 4;
        break;
    case IDENTITY_IPV6:
        good = data.len == 16;
        break;
    case IDENTITY_FQDN:
    case IDENTITY_EMAIL:
        good = good && !has_control(data);
        break;
    case IDENTITY_DN:
        good = is_name(data);
        break;
    case IDENTITY_KEY_ID:
        break;
    default:
        return ERR_UNSUPPORTED;
    }
    if (!good)
        return ERR_MALFORMED;
    struct identity made = {.type = (enum identity_type)type, .len = data.len};
    memcpy(made.data, data.data, data.len);
    *id = made;
    return ERR_OK;
}

const char *identity_format(const struct identity *id, char out[IDENTITY_TEXT_MAX])
{
    struct text_builder t;
    printable_begin(&t, out, IDENTITY_TEXT_MAX);
    char address[IP_TEXT_MAX];
    struct ip ip;
    X509_NAME *name = NULL;
    switch (id->type) {
    case IDENTITY_NONE:
        text_add(&t, "(any)");
        break;
    case IDENTITY_IPV4:
    case IDENTITY_IPV6:
        ip = ip_from_span(identity_span(id));
        text_add(&t, "%s", ip_format(&ip, address));
        break;
    case IDENTITY_FQDN:
    case IDENTITY_EMAIL:
        printable_add(&t, identity_span(id), "");
        break;
    case IDENTITY_DN:
        if (name_from_der(identity_span(id), &name) == ERR_OK) {
            if (X509_NAME_entry_count(name) == 0)
                text_add(&t, "(empty name)");
            name_print(name, &t);
        }
        X509_NAME_free(name);
        break;
    case IDENTITY_KEY_ID:
        text_add(&t, "@#");
        for (size_t i = 0; i < id->len; i++)
            text_add(&t, "%02x", id->data[i]);
        break;
    }
    return printable_finish(&t);
}

struct span identity_span(const struct identity *id)
{
    return span_make(id->data, id->len);
}

/* Without case in the ASCII letters from octet `from` on. */
static bool equal_text(struct span a, struct span b, size_t from)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        bool same = a.data[i] == b.data[i];
        if (!same && (i < from || OPENSSL_tolower(a.data[i]) != OPENSSL_tolower(b.data[i])))
            return false;
    }
    return true;
}

static bool equal_names(struct span a, struct span b)
{
    X509_NAME *x = NULL, *y = NULL;
    bool equal = name_from_der(a, &x) == ERR_OK && name_from_der(b, &y) == ERR_OK &&
                 X509_NAME_cmp(x, y) == 0;
    X509_NAME_free(x);
    X509_NAME_free(y);
    return equal;
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
    struct span x = identity_span(a), y = identity_span(b);
    if (a->type != b->type)
        return false;
    if (a->type == IDENTITY_FQDN)
        return equal_text(x, y, 0);
    if (a->type == IDENTITY_EMAIL) {
        size_t domain = x.len; /* RFC 5321 2.4: only the domain is without case */
        while (domain > 0 && x.data[domain - 1] != '@')
            domain--;
        return equal_text(x, y, domain);
    }
    if (a->type == IDENTITY_DN)
        return equal_names(x, y);
    return span_equal(x, y);
}
