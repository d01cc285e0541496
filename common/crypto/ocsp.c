/* RFC 6960 4.2.1, read in place. */
#include "common/crypto/ocsp.h"

#include <openssl/bytestring.h>

#include "common/crypto/x509_internal.h"

static enum err note_critical(const struct asn1_extension *x, void *ctx)
{
    bool *critical = ctx;
    *critical = *critical || x->critical;
    return ERR_OK;
}

/* [n] EXPLICIT Extensions OPTIONAL */
static bool read_extensions(CBS *in, unsigned n, bool *ret_critical)
{
    CBS list;
    int present = 0;
    *ret_critical = false;
    return CBS_get_optional_asn1(in, &list, &present, ASN1_CONTEXT_CONSTRUCTED(n)) &&
           (!present || asn1_extensions_read(list, note_critical, ret_critical) == ERR_OK);
}

/* RevokedInfo, without its tag */
static bool read_revocation(CBS in, struct revocation *ret)
{
    CBS field;
    int present = 0;
    uint8_t reason = REASON_UNSPECIFIED;
    if (!wall_time_read_generalized(&in, &ret->at) ||
        !CBS_get_optional_asn1(&in, &field, &present, ASN1_CONTEXT_CONSTRUCTED(0)) ||
        CBS_len(&in) != 0)
        return false;
    if (present && (!asn1_enumerated_read(&field, &reason) || CBS_len(&field) != 0))
        return false;
    ret->reason = revocation_reason_from(reason);
    return true;
}

static bool read_status(CBS *in, struct ocsp_answer *a)
{
    CBS content;
    unsigned tag;
    if (!CBS_get_any_asn1(in, &content, &tag))
        return false;
    switch (tag) {
    case ASN1_CONTEXT(0):
        a->status = OCSP_GOOD;
        return CBS_len(&content) == 0;
    case ASN1_CONTEXT_CONSTRUCTED(1):
        a->status = OCSP_REVOKED;
        return read_revocation(content, &a->revocation);
    case ASN1_CONTEXT(2):
        a->status = OCSP_UNKNOWN;
        return CBS_len(&content) == 0;
    default:
        return false;
    }
}

static bool read_certificate_id(CBS *in, struct ocsp_answer *a)
{
    CBS id, name, key;
    if (!CBS_get_asn1(in, &id, CBS_ASN1_SEQUENCE))
        return false;
    enum err e = asn1_hash_read(&id, &a->hash);
    if (e == ERR_UNSUPPORTED)
        a->hash = (enum hash_id)0;
    else if (e != ERR_OK)
        return false;
    if (!CBS_get_asn1(&id, &name, CBS_ASN1_OCTETSTRING) ||
        !CBS_get_asn1(&id, &key, CBS_ASN1_OCTETSTRING) || !asn1_integer_read(&id, &a->serial) ||
        CBS_len(&id) != 0)
        return false;
    a->name_hash = span_of_cbs(&name);
    a->key_hash = span_of_cbs(&key);
    return true;
}

/* SingleResponse */
static bool read_answer(CBS *answers, struct ocsp_answer *ret)
{
    CBS in, next;
    struct ocsp_answer a = {.status = OCSP_UNKNOWN};
    int present = 0;
    if (!CBS_get_asn1(answers, &in, CBS_ASN1_SEQUENCE) || !read_certificate_id(&in, &a) ||
        !read_status(&in, &a) || !wall_time_read_generalized(&in, &a.this_update) ||
        !CBS_get_optional_asn1(&in, &next, &present, ASN1_CONTEXT_CONSTRUCTED(0)))
        return false;
    if (present && (!wall_time_read_generalized(&next, &a.next_update) || CBS_len(&next) != 0))
        return false;
    a.has_next_update = present != 0;
    if (!read_extensions(&in, 1, &a.unusable) || CBS_len(&in) != 0)
        return false;
    *ret = a;
    return true;
}

static bool read_responder(CBS *in, struct ocsp_response *r)
{
    CBS choice, name, key;
    if (CBS_peek_asn1_tag(in, ASN1_CONTEXT_CONSTRUCTED(1))) {
        if (!CBS_get_asn1(in, &choice, ASN1_CONTEXT_CONSTRUCTED(1)) ||
            !CBS_get_asn1_element(&choice, &name, CBS_ASN1_SEQUENCE) || CBS_len(&choice) != 0)
            return false;
        r->responder_name = span_of_cbs(&name);
        return true;
    }
    if (!CBS_get_asn1(in, &choice, ASN1_CONTEXT_CONSTRUCTED(2)) ||
        !CBS_get_asn1(&choice, &key, CBS_ASN1_OCTETSTRING) || CBS_len(&choice) != 0)
        return false;
    r->responder_key = span_of_cbs(&key);
    return true;
}

/* ResponseData */
static enum err read_data(CBS element, struct ocsp_response *r)
{
    CBS in, answers;
    uint64_t version;
    int64_t produced_at;
    bool critical;
    if (!CBS_get_asn1(&element, &in, CBS_ASN1_SEQUENCE) ||
        !CBS_get_optional_asn1_uint64(&in, &version, ASN1_CONTEXT_CONSTRUCTED(0), 0) ||
        version != 0 || !read_responder(&in, r) || !wall_time_read_generalized(&in, &produced_at) ||
        !CBS_get_asn1(&in, &answers, CBS_ASN1_SEQUENCE))
        return ERR_MALFORMED;
    r->answers = span_of_cbs(&answers);
    while (CBS_len(&answers) > 0) {
        struct ocsp_answer a;
        if (!read_answer(&answers, &a))
            return ERR_MALFORMED;
    }
    if (!read_extensions(&in, 1, &critical) || CBS_len(&in) != 0)
        return ERR_MALFORMED;
    return critical ? ERR_UNSUPPORTED : ERR_OK;
}

/* BasicOCSPResponse */
static enum err read_basic(CBS octets, struct ocsp_response *r)
{
    CBS in, field, certificates;
    struct asn1_signed s;
    int present = 0;
    if (!CBS_get_asn1(&octets, &in, CBS_ASN1_SEQUENCE) || CBS_len(&octets) != 0 ||
        !asn1_signed_read(&in, &s) ||
        !CBS_get_optional_asn1(&in, &field, &present, ASN1_CONTEXT_CONSTRUCTED(0)) ||
        CBS_len(&in) != 0)
        return ERR_MALFORMED;
    if (present) {
        if (!CBS_get_asn1(&field, &certificates, CBS_ASN1_SEQUENCE) || CBS_len(&field) != 0)
            return ERR_MALFORMED;
        r->certificates = span_of_cbs(&certificates);
    }
    r->tbs = span_of_cbs(&s.tbs);
    r->algorithm = span_of_cbs(&s.algorithm);
    r->signature = span_of_cbs(&s.signature);
    return read_data(s.tbs, r);
}

/* OCSPResponse: the status in words, or the octets of its response. */
static enum err read_outer(struct span der, CBS *ret_octets, uint8_t *ret_status)
{
    static const uint8_t basic[] = {0x2b, 6, 1, 5, 5, 7, 48, 1, 1};
    CBS in, body, field, bytes, type;
    CBS_init(&in, der.data, der.len);
    if (!CBS_get_asn1(&in, &body, CBS_ASN1_SEQUENCE) || CBS_len(&in) != 0 ||
        !asn1_enumerated_read(&body, ret_status))
        return ERR_MALFORMED;
    if (*ret_status != 0)
        return CBS_len(&body) == 0 ? ERR_REFUSED : ERR_MALFORMED;
    if (!CBS_get_asn1(&body, &field, ASN1_CONTEXT_CONSTRUCTED(0)) || CBS_len(&body) != 0 ||
        !CBS_get_asn1(&field, &bytes, CBS_ASN1_SEQUENCE) || CBS_len(&field) != 0 ||
        !CBS_get_asn1(&bytes, &type, CBS_ASN1_OBJECT) ||
        !CBS_get_asn1(&bytes, ret_octets, CBS_ASN1_OCTETSTRING) || CBS_len(&bytes) != 0)
        return ERR_MALFORMED;
    return CBS_mem_equal(&type, basic, sizeof basic) ? ERR_OK : ERR_UNSUPPORTED;
}

enum err ocsp_parse(struct span der, struct ocsp_response *ret, struct fault *f)
{
    static const char *const statuses[] = {
        [1] = "the request was malformed",  [2] = "an internal error", [3] = "try later",
        [5] = "the request must be signed", [6] = "not authorized",
    };
    CBS octets;
    uint8_t status = 0;
    struct ocsp_response r = {.tbs = SPAN_EMPTY};
    enum err e = read_outer(der, &octets, &status);
    if (e == ERR_REFUSED) {
        const char *words = status < sizeof statuses / sizeof statuses[0] ? statuses[status] : NULL;
        return fault_set(f, e, "the OCSP responder had no answer: %s",
                         words != NULL ? words : "for an unknown reason");
    }
    if (e == ERR_OK)
        e = read_basic(octets, &r);
    if (e == ERR_UNSUPPORTED)
        return fault_set(f, e,
                         "the OCSP response is of an unknown kind, or has a critical extension");
    if (e != ERR_OK)
        return fault_set(f, e, "the data is not an OCSP response, or a damaged one");
    *ret = r;
    return ERR_OK;
}

bool ocsp_next(struct span *answers, struct ocsp_answer *ret)
{
    CBS in;
    CBS_init(&in, answers->data, answers->len);
    if (CBS_len(&in) == 0 || !read_answer(&in, ret))
        return false;
    *answers = span_of_cbs(&in);
    return true;
}
