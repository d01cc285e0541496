/* RFC 5280 5, read in place: a list of a hundred thousand entries costs no memory but its own. */
#include "common/crypto/crl.h"

#include <openssl/bytestring.h>

#include "common/crypto/x509_internal.h"

enum { /* id-ce N */
       CE_REASON = 21,
       CE_INVALIDITY_DATE = 24,
       CE_DELTA = 27,
       CE_DISTRIBUTION_POINT = 28,
       CE_AUTHORITY_KEY = 35,
       CE_NUMBER = 20,
};

struct entry {
    struct span serial;
    struct revocation revocation;
};

static enum err read_reason(CBS value, enum revocation_reason *ret)
{
    uint8_t reason;
    if (!asn1_enumerated_read(&value, &reason) || CBS_len(&value) != 0)
        return ERR_MALFORMED;
    *ret = revocation_reason_from(reason);
    return ERR_OK;
}

/* RFC 5280 5.3: the one that is critical where it is there, certificateIssuer, makes the list an
 * indirect one. */
static enum err take_entry_extension(const struct asn1_extension *x, void *ctx)
{
    struct entry *entry = ctx;
    if (asn1_extension_is(x, CE_REASON))
        return read_reason(x->value, &entry->revocation.reason);
    return x->critical && !asn1_extension_is(x, CE_INVALIDITY_DATE) ? ERR_UNSUPPORTED : ERR_OK;
}

static enum err read_entry(CBS *entries, struct entry *ret)
{
    CBS in;
    struct entry entry = {.revocation = {.reason = REASON_UNSPECIFIED}};
    if (!CBS_get_asn1(entries, &in, CBS_ASN1_SEQUENCE) || !asn1_integer_read(&in, &entry.serial) ||
        !wall_time_read(&in, &entry.revocation.at))
        return ERR_MALFORMED;
    enum err e = CBS_len(&in) > 0 ? asn1_extensions_read(in, take_entry_extension, &entry) : ERR_OK;
    if (e == ERR_OK)
        *ret = entry;
    return e;
}

/* [n] IMPLICIT BOOLEAN DEFAULT FALSE */
static bool read_flag(CBS *in, unsigned n, bool *ret)
{
    CBS octets;
    int present = 0;
    uint8_t octet = 0;
    if (!CBS_get_optional_asn1(in, &octets, &present, ASN1_CONTEXT(n)))
        return false;
    if (present && (!CBS_get_u8(&octets, &octet) || CBS_len(&octets) != 0))
        return false;
    *ret = octet != 0;
    return true;
}

/* DistributionPointName: fullName [0], or a name relative to the issuer's [1], which we compare
 * with nothing. */
static bool read_point_name(CBS in, CBS *ret_names)
{
    CBS relative;
    CBS_init(ret_names, NULL, 0);
    if (CBS_peek_asn1_tag(&in, ASN1_CONTEXT_CONSTRUCTED(0)))
        return CBS_get_asn1(&in, ret_names, ASN1_CONTEXT_CONSTRUCTED(0)) && CBS_len(&in) == 0;
    return CBS_get_asn1(&in, &relative, ASN1_CONTEXT_CONSTRUCTED(1)) && CBS_len(&in) == 0;
}

/* RFC 5280 5.2.5. */
static enum err read_distribution_point(CBS value, struct crl *c)
{
    CBS in, point, names, reasons;
    int present = 0, some_reasons = 0;
    bool indirect = false;
    if (!CBS_get_asn1(&value, &in, CBS_ASN1_SEQUENCE) || CBS_len(&value) != 0 ||
        !CBS_get_optional_asn1(&in, &point, &present, ASN1_CONTEXT_CONSTRUCTED(0)))
        return ERR_MALFORMED;
    if (present) {
        if (!read_point_name(point, &names))
            return ERR_MALFORMED;
        c->partitioned = true;
        c->distribution_names = span_of_cbs(&names);
    }
    if (!read_flag(&in, 1, &c->only_end_entities) || !read_flag(&in, 2, &c->only_authorities) ||
        !CBS_get_optional_asn1(&in, &reasons, &some_reasons, ASN1_CONTEXT(3)) ||
        !read_flag(&in, 4, &indirect) || !read_flag(&in, 5, &c->only_attributes) ||
        CBS_len(&in) != 0)
        return ERR_MALFORMED;
    c->only_some_reasons = some_reasons != 0;
    return indirect ? ERR_UNSUPPORTED : ERR_OK;
}

static enum err take_extension(const struct asn1_extension *x, void *ctx)
{
    if (asn1_extension_is(x, CE_DISTRIBUTION_POINT))
        return read_distribution_point(x->value, ctx);
    /* A delta says nothing without its base (5.2.4). The others that are known do not matter. */
    bool known = asn1_extension_is(x, CE_AUTHORITY_KEY) || asn1_extension_is(x, CE_NUMBER);
    return asn1_extension_is(x, CE_DELTA) || (x->critical && !known) ? ERR_UNSUPPORTED : ERR_OK;
}

static enum err read_entries(CBS *in, struct crl *c)
{
    CBS entries;
    if (!CBS_get_asn1(in, &entries, CBS_ASN1_SEQUENCE))
        return ERR_MALFORMED;
    c->revoked = span_of_cbs(&entries);
    while (CBS_len(&entries) > 0) {
        struct entry entry;
        enum err e = read_entry(&entries, &entry);
        if (e != ERR_OK)
            return e;
        c->revoked_count++;
    }
    return ERR_OK;
}

static bool read_version(CBS *in)
{
    uint64_t version;
    if (!CBS_peek_asn1_tag(in, CBS_ASN1_INTEGER))
        return true; /* v1 */
    return CBS_get_asn1_uint64(in, &version) && version == 1;
}

/* TBSCertList (5.1) */
static enum err read_tbs(CBS element, const CBS *outer_algorithm, struct crl *c)
{
    CBS in, algorithm, issuer, extensions;
    int present = 0;
    enum err e = ERR_OK;
    if (!CBS_get_asn1(&element, &in, CBS_ASN1_SEQUENCE) || !read_version(&in) ||
        !CBS_get_asn1_element(&in, &algorithm, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1_element(&in, &issuer, CBS_ASN1_SEQUENCE) ||
        !wall_time_read(&in, &c->this_update))
        return ERR_MALFORMED;
    /* 5.1.1.2: both are the same, so that what is not signed says nothing of its own. */
    if (!span_equal(span_of_cbs(&algorithm), span_of_cbs(outer_algorithm)))
        return ERR_MALFORMED;
    c->issuer = span_of_cbs(&issuer);
    if (CBS_peek_asn1_tag(&in, CBS_ASN1_UTCTIME) ||
        CBS_peek_asn1_tag(&in, CBS_ASN1_GENERALIZEDTIME)) {
        if (!wall_time_read(&in, &c->next_update))
            return ERR_MALFORMED;
        c->has_next_update = true;
    }
    if (CBS_peek_asn1_tag(&in, CBS_ASN1_SEQUENCE))
        e = read_entries(&in, c);
    if (e != ERR_OK)
        return e;
    if (!CBS_get_optional_asn1(&in, &extensions, &present, ASN1_CONTEXT_CONSTRUCTED(0)) ||
        CBS_len(&in) != 0)
        return ERR_MALFORMED;
    return present ? asn1_extensions_read(extensions, take_extension, c) : ERR_OK;
}

enum err crl_parse(struct span der, struct crl *ret, struct fault *f)
{
    CBS in, body;
    struct asn1_signed s;
    struct crl c = {.revoked_count = 0};
    CBS_init(&in, der.data, der.len);
    enum err e = ERR_MALFORMED;
    if (CBS_get_asn1(&in, &body, CBS_ASN1_SEQUENCE) && CBS_len(&in) == 0 &&
        asn1_signed_read(&body, &s) && CBS_len(&body) == 0)
        e = read_tbs(s.tbs, &s.algorithm, &c);
    if (e == ERR_UNSUPPORTED)
        return fault_set(f, e,
                         "the CRL is a delta or an indirect one, or has a critical extension that "
                         "is not known here");
    if (e != ERR_OK)
        return fault_set(f, e, "the data is not a CRL, or a damaged one");
    c.tbs = span_of_cbs(&s.tbs);
    c.algorithm = span_of_cbs(&s.algorithm);
    c.signature = span_of_cbs(&s.signature);
    *ret = c;
    return ERR_OK;
}

bool crl_find(const struct crl *c, struct span serial, struct revocation *ret)
{
    CBS entries;
    struct entry entry;
    CBS_init(&entries, c->revoked.data, c->revoked.len);
    while (CBS_len(&entries) > 0 && read_entry(&entries, &entry) == ERR_OK) {
        if (span_equal(entry.serial, serial)) {
            *ret = entry.revocation;
            return true;
        }
    }
    return false;
}

static bool has_name(struct span names, struct span wanted)
{
    CBS in, name;
    CBS_init(&in, names.data, names.len);
    while (CBS_get_any_asn1_element(&in, &name, NULL, NULL)) {
        if (span_equal(span_of_cbs(&name), wanted))
            return true;
    }
    return false;
}

/* DistributionPoint (4.2.1.13). One for some reasons only, or with another issuer, is no use. */
static bool point_matches(const struct crl *c, CBS point)
{
    CBS in, names, name;
    if (!CBS_get_asn1(&point, &in, ASN1_CONTEXT_CONSTRUCTED(0)) || CBS_len(&point) != 0 ||
        !read_point_name(in, &names))
        return false;
    while (CBS_get_any_asn1_element(&names, &name, NULL, NULL)) {
        if (has_name(c->distribution_names, span_of_cbs(&name)))
            return true;
    }
    return false;
}

bool crl_covers(const struct crl *c, bool authority, struct span distribution_points)
{
    CBS in, points, point;
    if (c->only_attributes || c->only_some_reasons || (authority && c->only_end_entities) ||
        (!authority && c->only_authorities))
        return false;
    if (!c->partitioned)
        return true;
    /* RFC 5280 6.3.3 (b) (2) (i): one name is of both. */
    CBS_init(&in, distribution_points.data, distribution_points.len);
    if (!CBS_get_asn1(&in, &points, CBS_ASN1_SEQUENCE))
        return false;
    while (CBS_get_asn1(&points, &point, CBS_ASN1_SEQUENCE)) {
        if (point_matches(c, point))
            return true;
    }
    return false;
}
