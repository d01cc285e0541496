/* The names in a certificate: which identity it proves (RFC 7296 3.5, RFC 4945 3.1), and its names
 * as text.
 *
 * Invariant: names are compared by length and octets, so a NUL within one is an octet that no
 * identity has; a wildcard stands for one whole label, the left-most, and nothing else. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/mem.h>

#include "common/crypto/x509_internal.h"

static struct span string_span(const ASN1_STRING *s)
{
    return span_make(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

/* The value of a subjectAltName that can be an identity: its type, else IDENTITY_NONE. */
static enum identity_type general_name(const GENERAL_NAME *n, struct span *ret)
{
    switch (n->type) {
    case GEN_DNS:
        *ret = string_span(n->d.dNSName);
        return IDENTITY_FQDN;
    case GEN_EMAIL:
        *ret = string_span(n->d.rfc822Name);
        return IDENTITY_EMAIL;
    case GEN_IPADD:
        *ret = string_span(n->d.iPAddress);
        return ret->len == 4 ? IDENTITY_IPV4 : ret->len == 16 ? IDENTITY_IPV6 : IDENTITY_NONE;
    default:
        return IDENTITY_NONE;
    }
}

static size_t label_len(struct span name)
{
    const uint8_t *dot = name.len > 0 ? memchr(name.data, '.', name.len) : NULL;
    return dot != NULL ? (size_t)(dot - name.data) : name.len;
}

/* RFC 6125 6.4.3: "*.example.net" is vpn.example.net, but neither example.net nor a.b.example.net;
 * and "*.net" is nobody. */
static bool wildcard_covers(struct span pattern, const struct identity *id)
{
    struct span name = identity_span(id);
    if (pattern.len < 2 || pattern.data[0] != '*' || pattern.data[1] != '.')
        return false;
    size_t first = label_len(name);
    struct span parent = span_make(pattern.data + 2, pattern.len - 2);
    size_t second = label_len(parent);
    if (first == 0 || first == name.len || second == 0 || second + 1 >= parent.len)
        return false;
    struct identity expected, rest;
    return identity_set(&expected, IDENTITY_FQDN, parent) == ERR_OK &&
           identity_set(&rest, IDENTITY_FQDN,
                        span_make(name.data + first + 1, name.len - first - 1)) == ERR_OK &&
           identity_equal(&expected, &rest);
}

static bool name_proves(const GENERAL_NAME *n, const struct identity *id)
{
    struct span value = SPAN_EMPTY;
    struct identity proven;
    enum identity_type type = general_name(n, &value);
    if (type != id->type || type == IDENTITY_NONE)
        return false;
    if (identity_set(&proven, (uint8_t)type, value) != ERR_OK)
        return false;
    return identity_equal(&proven, id) || (type == IDENTITY_FQDN && wildcard_covers(value, id));
}

static bool subject_proves(const struct certificate *c, const struct identity *id)
{
    X509_NAME *name = NULL;
    const X509_NAME *subject = X509_get_subject_name(c->x509);
    if (name_from_der(identity_span(id), &name) != ERR_OK)
        return false;
    /* The empty name is everybody's, so it proves nobody. */
    bool equal = X509_NAME_entry_count(subject) > 0 && X509_NAME_cmp(subject, name) == 0;
    X509_NAME_free(name);
    return equal;
}

static size_t names_count(const struct certificate *c)
{
    return c->names != NULL ? sk_GENERAL_NAME_num(c->names) : 0;
}

bool certificate_proves(const struct certificate *c, const struct identity *id)
{
    if (id->type == IDENTITY_DN)
        return subject_proves(c, id);
    for (size_t i = 0; i < names_count(c); i++) {
        if (name_proves(sk_GENERAL_NAME_value(c->names, i), id))
            return true;
    }
    return false;
}

static void set_subject(const struct certificate *c, struct identity *ret)
{
    unsigned char *der = NULL;
    int len = i2d_X509_NAME(X509_get_subject_name(c->x509), &der);
    if (len <= 0 || identity_set(ret, IDENTITY_DN, span_make(der, (size_t)len)) != ERR_OK)
        *ret = (struct identity){.type = IDENTITY_NONE};
    OPENSSL_free(der);
    ERR_clear_error();
}

void certificate_default_identity(const struct certificate *c, struct identity *ret)
{
    for (size_t i = 0; i < names_count(c); i++) {
        struct span value = SPAN_EMPTY;
        enum identity_type type = general_name(sk_GENERAL_NAME_value(c->names, i), &value);
        bool wildcard = type == IDENTITY_FQDN && value.len > 0 && value.data[0] == '*';
        if (type != IDENTITY_NONE && !wildcard && identity_set(ret, (uint8_t)type, value) == ERR_OK)
            return;
    }
    set_subject(c, ret);
}

static void print_general_name(const GENERAL_NAME *n, struct text_builder *t)
{
    struct span value = SPAN_EMPTY;
    char address[IP_TEXT_MAX];
    struct ip ip;
    switch (general_name(n, &value)) {
    case IDENTITY_IPV4:
    case IDENTITY_IPV6:
        ip = ip_from_span(value);
        text_add(t, "%s", ip_format(&ip, address));
        break;
    case IDENTITY_FQDN:
    case IDENTITY_EMAIL:
        printable_add(t, value, "\\, ");
        break;
    default:
        break;
    }
}

const char *certificate_names(const struct certificate *c, char out[IDENTITY_TEXT_MAX])
{
    struct text_builder t;
    printable_begin(&t, out, IDENTITY_TEXT_MAX);
    for (size_t i = 0; i < names_count(c); i++) {
        struct span value = SPAN_EMPTY;
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(c->names, i);
        if (general_name(n, &value) == IDENTITY_NONE)
            continue;
        text_add(&t, "%s", t.len > 0 ? ", " : "");
        print_general_name(n, &t);
    }
    if (t.len == 0)
        return certificate_subject(c, out);
    return printable_finish(&t);
}

const char *certificate_subject(const struct certificate *c, char out[IDENTITY_TEXT_MAX])
{
    return name_text(X509_get_subject_name(c->x509), out, IDENTITY_TEXT_MAX);
}

const char *certificate_issuer(const struct certificate *c, char out[IDENTITY_TEXT_MAX])
{
    return name_text(X509_get_issuer_name(c->x509), out, IDENTITY_TEXT_MAX);
}
