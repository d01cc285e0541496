/* Pieces of DER that certificates, CRLs and OCSP responses share. */
#include <openssl/bytestring.h>

#include "common/crypto/x509_internal.h"

struct span span_of_cbs(const CBS *c)
{
    return span_make(CBS_data(c), CBS_len(c));
}

bool asn1_signed_read(CBS *in, struct asn1_signed *ret)
{
    struct asn1_signed s;
    uint8_t unused;
    if (!CBS_get_asn1_element(in, &s.tbs, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1_element(in, &s.algorithm, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(in, &s.signature, CBS_ASN1_BITSTRING) || !CBS_get_u8(&s.signature, &unused) ||
        unused != 0)
        return false;
    *ret = s;
    return true;
}

static bool read_extension(CBS *list, struct asn1_extension *ret)
{
    CBS in;
    struct asn1_extension x;
    int critical = 0;
    if (!CBS_get_asn1(list, &in, CBS_ASN1_SEQUENCE) || !CBS_get_asn1(&in, &x.oid, CBS_ASN1_OBJECT))
        return false;
    if (CBS_peek_asn1_tag(&in, CBS_ASN1_BOOLEAN)) {
        CBS flag;
        uint8_t octet;
        if (!CBS_get_asn1(&in, &flag, CBS_ASN1_BOOLEAN) || !CBS_get_u8(&flag, &octet) ||
            CBS_len(&flag) != 0)
            return false;
        critical = octet != 0;
    }
    if (!CBS_get_asn1(&in, &x.value, CBS_ASN1_OCTETSTRING) || CBS_len(&in) != 0)
        return false;
    x.critical = critical;
    *ret = x;
    return true;
}

enum err asn1_extensions_read(CBS list, asn1_extension_take *take, void *ctx)
{
    CBS in;
    if (!CBS_get_asn1(&list, &in, CBS_ASN1_SEQUENCE) || CBS_len(&list) != 0 || CBS_len(&in) == 0)
        return ERR_MALFORMED;
    while (CBS_len(&in) > 0) {
        struct asn1_extension x;
        enum err e = read_extension(&in, &x) ? take(&x, ctx) : ERR_MALFORMED;
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

bool asn1_extension_is(const struct asn1_extension *x, uint8_t n)
{
    const uint8_t oid[] = {0x55, 0x1d, n};
    return CBS_mem_equal(&x->oid, oid, sizeof oid) == 1;
}

bool asn1_integer_read(CBS *in, struct span *ret)
{
    CBS octets;
    if (!CBS_get_asn1(in, &octets, CBS_ASN1_INTEGER) || !CBS_is_valid_asn1_integer(&octets, NULL))
        return false;
    *ret = span_of_cbs(&octets);
    return true;
}

bool asn1_enumerated_read(CBS *in, uint8_t *ret)
{
    CBS octets;
    return CBS_get_asn1(in, &octets, CBS_ASN1_ENUMERATED) && CBS_get_u8(&octets, ret) &&
           CBS_len(&octets) == 0;
}
