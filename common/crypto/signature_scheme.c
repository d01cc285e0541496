/* AlgorithmIdentifiers of signatures (RFC 4055, 5758, 8410) as RFC 7427 puts them into AUTH
 * payloads and certificates carry them: one table of object identifiers, read and written here
 * alone. What is done with a scheme is in signature.c and trust_verify.c. */
#include <string.h>

#include <openssl/err.h>

#include "common/crypto/x509_internal.h"

struct oid {
    uint8_t len;
    uint8_t bytes[10];
};

static const struct oid oid_pss = {9, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10}};
static const struct oid oid_mgf1 = {9, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8}};

static const struct scheme_row {
    struct oid oid;
    enum signature_kind kind;
    enum hash_id hash;
} schemes[] = {
    {{9, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11}}, SIGNATURE_PKCS1, HASH_SHA2_256},
    {{9, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12}}, SIGNATURE_PKCS1, HASH_SHA2_384},
    {{9, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13}}, SIGNATURE_PKCS1, HASH_SHA2_512},
    {{9, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5}}, SIGNATURE_PKCS1, HASH_SHA1},
    {{8, {0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2}}, SIGNATURE_ECDSA, HASH_SHA2_256},
    {{8, {0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3}}, SIGNATURE_ECDSA, HASH_SHA2_384},
    {{8, {0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4}}, SIGNATURE_ECDSA, HASH_SHA2_512},
    {{7, {0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1}}, SIGNATURE_ECDSA, HASH_SHA1},
    {{3, {0x2b, 0x65, 0x70}}, SIGNATURE_ED25519, (enum hash_id)0},
};
enum { SCHEMES = sizeof schemes / sizeof schemes[0] };

static const struct hash_row {
    struct oid oid;
    enum hash_id hash;
    unsigned len;
    const EVP_MD *(*md)(void);
} hashes[] = {
    {{9, {0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1}}, HASH_SHA2_256, 32, EVP_sha256},
    {{9, {0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2}}, HASH_SHA2_384, 48, EVP_sha384},
    {{9, {0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3}}, HASH_SHA2_512, 64, EVP_sha512},
    {{5, {0x2b, 0x0e, 3, 2, 0x1a}}, HASH_SHA1, 20, EVP_sha1},
};
enum { HASHES = sizeof hashes / sizeof hashes[0] };

static const struct hash_row *hash_row(enum hash_id hash)
{
    for (size_t i = 0; i < HASHES; i++) {
        if (hashes[i].hash == hash)
            return &hashes[i];
    }
    return NULL;
}

const EVP_MD *hash_md(enum hash_id hash)
{
    const struct hash_row *row = hash_row(hash);
    return row != NULL ? row->md() : NULL;
}

unsigned hash_len(enum hash_id hash)
{
    const struct hash_row *row = hash_row(hash);
    return row != NULL ? row->len : 0;
}

static bool is_oid(const CBS *oid, const struct oid *o)
{
    return CBS_mem_equal(oid, o->bytes, o->len) == 1;
}

static const unsigned tag_0 = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0;
static const unsigned tag_1 = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 1;
static const unsigned tag_2 = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 2;
static const unsigned tag_3 = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 3;

/* AlgorithmIdentifier ::= SEQUENCE { algorithm OBJECT IDENTIFIER, parameters ANY OPTIONAL } */
static bool read_algorithm(CBS *in, CBS *ret_oid, CBS *ret_parameters)
{
    return CBS_get_asn1(in, ret_parameters, CBS_ASN1_SEQUENCE) &&
           CBS_get_asn1(ret_parameters, ret_oid, CBS_ASN1_OBJECT);
}

/* RFC 4055 2.1: a hash's parameters are NULL or absent, and both are to be accepted. */
static bool null_or_absent(CBS parameters)
{
    CBS null;
    if (CBS_len(&parameters) == 0)
        return true;
    return CBS_get_asn1(&parameters, &null, CBS_ASN1_NULL) && CBS_len(&null) == 0 &&
           CBS_len(&parameters) == 0;
}

enum err asn1_hash_read(CBS *in, enum hash_id *ret)
{
    CBS oid, parameters;
    if (!read_algorithm(in, &oid, &parameters) || !null_or_absent(parameters))
        return ERR_MALFORMED;
    for (size_t i = 0; i < HASHES; i++) {
        if (is_oid(&oid, &hashes[i].oid)) {
            *ret = hashes[i].hash;
            return ERR_OK;
        }
    }
    return ERR_UNSUPPORTED;
}

/* The whole of a field. */
static enum err read_hash(CBS *in, enum hash_id *ret)
{
    enum err e = asn1_hash_read(in, ret);
    return e == ERR_OK && CBS_len(in) != 0 ? ERR_MALFORMED : e;
}

/* RFC 4055 3.1: every field has a default (SHA-1, MGF1 with SHA-1, 20, 1). We know PSS with one
 * hash for both uses alone. */
static enum err read_pss(CBS parameters, struct signature_scheme *ret)
{
    CBS pss, field, oid, mgf;
    int present = 0;
    enum hash_id hash = HASH_SHA1, mgf_hash = HASH_SHA1;
    uint64_t salt = 20, trailer = 1;
    enum err e = ERR_OK;
    if (!CBS_get_asn1(&parameters, &pss, CBS_ASN1_SEQUENCE) || CBS_len(&parameters) != 0)
        return ERR_MALFORMED;
    if (!CBS_get_optional_asn1(&pss, &field, &present, tag_0))
        return ERR_MALFORMED;
    if (present && (e = read_hash(&field, &hash)) != ERR_OK)
        return e;
    if (!CBS_get_optional_asn1(&pss, &field, &present, tag_1))
        return ERR_MALFORMED;
    if (present) {
        if (!read_algorithm(&field, &oid, &mgf) || CBS_len(&field) != 0)
            return ERR_MALFORMED;
        if (!is_oid(&oid, &oid_mgf1))
            return ERR_UNSUPPORTED;
        if ((e = read_hash(&mgf, &mgf_hash)) != ERR_OK)
            return e;
    }
    if (!CBS_get_optional_asn1_uint64(&pss, &salt, tag_2, salt) ||
        !CBS_get_optional_asn1_uint64(&pss, &trailer, tag_3, trailer) || CBS_len(&pss) != 0)
        return ERR_MALFORMED;
    if (hash != mgf_hash || trailer != 1 || salt > RSA_BITS_MAX / 8)
        return ERR_UNSUPPORTED;
    *ret = (struct signature_scheme){SIGNATURE_PSS, hash, (unsigned)salt};
    return ERR_OK;
}

enum err signature_scheme_parse(struct span der, struct signature_scheme *ret)
{
    CBS in, oid, parameters;
    CBS_init(&in, der.data, der.len);
    if (!read_algorithm(&in, &oid, &parameters) || CBS_len(&in) != 0)
        return ERR_MALFORMED;
    if (is_oid(&oid, &oid_pss))
        return read_pss(parameters, ret);
    for (size_t i = 0; i < SCHEMES; i++) {
        if (!is_oid(&oid, &schemes[i].oid))
            continue;
        /* RFC 5758 3.2, RFC 8410 3: no parameters with ECDSA and Ed25519. */
        bool good = schemes[i].kind == SIGNATURE_PKCS1 ? null_or_absent(parameters)
                                                       : CBS_len(&parameters) == 0;
        if (!good)
            return ERR_MALFORMED;
        *ret = (struct signature_scheme){schemes[i].kind, schemes[i].hash, 0};
        return ERR_OK;
    }
    return ERR_UNSUPPORTED;
}

static bool add_oid(CBB *out, const struct oid *oid)
{
    CBB b;
    return CBB_add_asn1(out, &b, CBS_ASN1_OBJECT) && CBB_add_bytes(&b, oid->bytes, oid->len) &&
           CBB_flush(out);
}

static bool add_null(CBB *out)
{
    CBB b;
    return CBB_add_asn1(out, &b, CBS_ASN1_NULL) && CBB_flush(out);
}

static bool add_hash(CBB *out, enum hash_id hash)
{
    CBB b;
    const struct hash_row *row = hash_row(hash);
    return row != NULL && CBB_add_asn1(out, &b, CBS_ASN1_SEQUENCE) && add_oid(&b, &row->oid) &&
           add_null(&b) && CBB_flush(out);
}

static bool add_pss(CBB *out, const struct signature_scheme *s)
{
    CBB algorithm, pss, field, mgf;
    return CBB_add_asn1(out, &algorithm, CBS_ASN1_SEQUENCE) && add_oid(&algorithm, &oid_pss) &&
           CBB_add_asn1(&algorithm, &pss, CBS_ASN1_SEQUENCE) && CBB_add_asn1(&pss, &field, tag_0) &&
           add_hash(&field, s->hash) && CBB_add_asn1(&pss, &field, tag_1) &&
           CBB_add_asn1(&field, &mgf, CBS_ASN1_SEQUENCE) && add_oid(&mgf, &oid_mgf1) &&
           add_hash(&mgf, s->hash) && CBB_add_asn1(&pss, &field, tag_2) &&
           CBB_add_asn1_uint64(&field, s->salt_len) && CBB_flush(out);
}

enum err signature_scheme_write(const struct signature_scheme *s, CBB *out)
{
    if (s->kind == SIGNATURE_PSS)
        return add_pss(out, s) ? ERR_OK : ERR_LIMIT;
    for (size_t i = 0; i < SCHEMES; i++) {
        if (schemes[i].kind != s->kind || schemes[i].hash != s->hash)
            continue;
        CBB b;
        bool good = CBB_add_asn1(out, &b, CBS_ASN1_SEQUENCE) && add_oid(&b, &schemes[i].oid) &&
                    (s->kind != SIGNATURE_PKCS1 || add_null(&b)) && CBB_flush(out);
        return good ? ERR_OK : ERR_LIMIT;
    }
    return ERR_UNSUPPORTED;
}

const char *signature_scheme_text(const struct signature_scheme *s)
{
    static const char *const text[][4] = {
        [SIGNATURE_PKCS1] = {"RSA with SHA-1", "RSA with SHA-256", "RSA with SHA-384",
                             "RSA with SHA-512"},
        [SIGNATURE_PSS] = {"RSA-PSS with SHA-1", "RSA-PSS with SHA-256", "RSA-PSS with SHA-384",
                           "RSA-PSS with SHA-512"},
        [SIGNATURE_ECDSA] = {"ECDSA with SHA-1", "ECDSA with SHA-256", "ECDSA with SHA-384",
                             "ECDSA with SHA-512"},
    };
    if (s->kind == SIGNATURE_ED25519)
        return "Ed25519";
    ASSERT(s->hash >= HASH_SHA1 && s->hash <= HASH_SHA2_512);
    return text[s->kind][s->hash - HASH_SHA1];
}
