/* The signatures in AUTH payloads (RFC 7296 2.15): the old methods 1 (RSA) and 9 to 11 (ECDSA, RFC
 * 4754), and method 14 (RFC 7427), whose data begins with an AlgorithmIdentifier. Those are read
 * and written in signature_scheme.c, the primitives are in scheme_sign.c; keys come from
 * private_key.c, external_key.c and public_key.c.
 *
 * Invariant: a signature is verified only by a scheme that fits the key's kind, and never by RSA
 * keys of fewer than RSA_BITS_MIN bits. */
#include <string.h>

#include "common/base/wire.h"
#include "common/crypto/x509_internal.h"

/* RFC 4754 3: the curve of a method decides the hash, and the width of r and of s. */
static const struct ecdsa_method {
    enum auth_method method;
    unsigned bits;
    enum hash_id hash;
    size_t width;
} ecdsa_methods[] = {
    {AUTH_METHOD_ECDSA_256, 256, HASH_SHA2_256, 32},
    {AUTH_METHOD_ECDSA_384, 384, HASH_SHA2_384, 48},
    {AUTH_METHOD_ECDSA_521, 521, HASH_SHA2_512, 66},
};
enum { ECDSA_METHODS = 3 };

static const struct ecdsa_method *ecdsa_by_bits(unsigned bits)
{
    for (size_t i = 0; i < ECDSA_METHODS; i++) {
        if (ecdsa_methods[i].bits == bits)
            return &ecdsa_methods[i];
    }
    return NULL;
}

static const struct ecdsa_method *ecdsa_by_method(enum auth_method method)
{
    for (size_t i = 0; i < ECDSA_METHODS; i++) {
        if (ecdsa_methods[i].method == method)
            return &ecdsa_methods[i];
    }
    return NULL;
}

static enum key_type key_for(enum signature_kind kind)
{
    switch (kind) {
    case SIGNATURE_PKCS1:
    case SIGNATURE_PSS:
        return KEY_RSA;
    case SIGNATURE_ECDSA:
        return KEY_ECDSA;
    case SIGNATURE_ED25519:
        return KEY_ED25519;
    }
    return KEY_NONE;
}

static enum err verify(const struct public_key *k, const struct signature_scheme *s,
                       struct span message, struct span signature)
{
    return k->type == key_for(s->kind) ? scheme_verify(k->pkey, s, message, signature)
                                       : ERR_INTEGRITY;
}

/* The SignatureScheme of TLS is two octets: since TLS 1.2 the hash and the kind, PSS and EdDSA with
 * numbers of their own. */
static bool scheme_from_tls(uint16_t number, struct signature_scheme *ret)
{
    static const struct {
        uint16_t number;
        struct signature_scheme scheme;
    } known[] = {
        {0x0401, {SIGNATURE_PKCS1, HASH_SHA2_256, 0}},
        {0x0501, {SIGNATURE_PKCS1, HASH_SHA2_384, 0}},
        {0x0601, {SIGNATURE_PKCS1, HASH_SHA2_512, 0}},
        {0x0403, {SIGNATURE_ECDSA, HASH_SHA2_256, 0}},
        {0x0503, {SIGNATURE_ECDSA, HASH_SHA2_384, 0}},
        {0x0603, {SIGNATURE_ECDSA, HASH_SHA2_512, 0}},
        {0x0804, {SIGNATURE_PSS, HASH_SHA2_256, 32}},
        {0x0805, {SIGNATURE_PSS, HASH_SHA2_384, 48}},
        {0x0806, {SIGNATURE_PSS, HASH_SHA2_512, 64}},
        {0x0807, {SIGNATURE_ED25519, 0, 0}},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].number == number) {
            *ret = known[i].scheme;
            return true;
        }
    }
    return false;
}

enum err signature_make_tls(const struct private_key *k, uint16_t scheme, struct span message,
                            uint8_t *out, size_t cap, size_t *ret_len, struct fault *f)
{
    struct signature_scheme s;
    if (!scheme_from_tls(scheme, &s) || key_for(s.kind) != k->type)
        return ERR_UNSUPPORTED;
    return private_key_sign(k, &s, message, out, cap, ret_len, f);
}

static bool announced(hash_set hashes, enum hash_id hash)
{
    return (hashes & (hash_set)1 << hash) != 0;
}

/* The preferred hash if the peer announced it, else the strongest SHA-2 it did; 0 where none. */
static enum hash_id pick_hash(hash_set hashes, enum hash_id preferred)
{
    if (announced(hashes, preferred))
        return preferred;
    for (int h = HASH_SHA2_512; h >= HASH_SHA2_256; h--) {
        if (announced(hashes, (enum hash_id)h))
            return (enum hash_id)h;
    }
    return (enum hash_id)0;
}

/* False where only an old method is left (RFC 7427 4: nothing announced that serves this key). */
static bool pick_scheme(const struct private_key *k, hash_set peer_hashes, bool rsa_pss,
                        struct signature_scheme *ret)
{
    struct signature_scheme s = {SIGNATURE_ED25519, (enum hash_id)0, 0};
    if (k->type == KEY_ED25519) {
        *ret = s;
        return announced(peer_hashes, HASH_IDENTITY); /* RFC 8420 2 */
    }
    if (k->type == KEY_ECDSA) {
        s.kind = SIGNATURE_ECDSA;
        s.hash = pick_hash(peer_hashes, ecdsa_by_bits(k->bits)->hash);
    } else {
        bool pss = rsa_pss && private_key_has_pss(k);
        s.kind = pss ? SIGNATURE_PSS : SIGNATURE_PKCS1;
        s.hash = pick_hash(peer_hashes, HASH_SHA2_256);
        s.salt_len = pss ? hash_len(s.hash) : 0;
    }
    *ret = s;
    return s.hash != 0;
}

static enum err make_with_scheme(const struct private_key *k, const struct signature_scheme *s,
                                 struct span message, uint8_t out[SIGNATURE_MAX], size_t *ret_len,
                                 struct fault *f)
{
    CBB cbb, algorithm;
    size_t head = 0, len = 0;
    CBB_init_fixed(&cbb, out, SIGNATURE_MAX);
    /* RFC 7427 3: one octet of length, the AlgorithmIdentifier, the signature. */
    bool good = CBB_add_u8_length_prefixed(&cbb, &algorithm) &&
                signature_scheme_write(s, &algorithm) == ERR_OK && CBB_finish(&cbb, NULL, &head);
    CBB_cleanup(&cbb);
    if (!good)
        return ERR_MEMORY;
    enum err e = private_key_sign(k, s, message, out + head, SIGNATURE_MAX - head, &len, f);
    if (e == ERR_OK)
        *ret_len = head + len;
    return e;
}

static enum err make_old(const struct private_key *k, struct span message,
                         enum auth_method *ret_method, uint8_t out[SIGNATURE_MAX], size_t *ret_len,
                         struct fault *f)
{
    static const struct signature_scheme rsa_sha1 = {SIGNATURE_PKCS1, HASH_SHA1, 0};
    if (k->type == KEY_RSA) {
        enum err e = private_key_sign(k, &rsa_sha1, message, out, SIGNATURE_MAX, ret_len, f);
        if (e == ERR_OK)
            *ret_method = AUTH_METHOD_RSA;
        return e;
    }
    if (k->type != KEY_ECDSA)
        return ERR_UNSUPPORTED;
    const struct ecdsa_method *m = ecdsa_by_bits(k->bits);
    struct signature_scheme s = {SIGNATURE_ECDSA, m->hash, 0};
    uint8_t der[ECDSA_RAW_MAX + 16];
    size_t len = 0;
    enum err e = private_key_sign(k, &s, message, der, sizeof der, &len, f);
    if (e == ERR_OK)
        e = ecdsa_raw_from_der(span_make(der, len), m->width, out);
    if (e != ERR_OK)
        return e;
    *ret_method = m->method;
    *ret_len = 2 * m->width;
    return ERR_OK;
}

enum err signature_make(const struct private_key *k, hash_set peer_hashes, bool rsa_pss,
                        struct span message, enum auth_method *ret_method,
                        uint8_t out[SIGNATURE_MAX], size_t *ret_len, struct fault *f)
{
    struct signature_scheme s;
    if (!pick_scheme(k, peer_hashes, rsa_pss, &s))
        return make_old(k, message, ret_method, out, ret_len, f);
    enum err e = make_with_scheme(k, &s, message, out, ret_len, f);
    if (e == ERR_OK)
        *ret_method = AUTH_METHOD_SIGNATURE;
    return e;
}

static enum err split_auth_data(struct span auth_data, struct span *ret_algorithm,
                                struct span *ret_signature)
{
    struct wire_reader r;
    wire_reader_init(&r, auth_data);
    *ret_algorithm = wire_read_span(&r, wire_read_u8(&r));
    *ret_signature = wire_read_rest(&r);
    return wire_read_finish(&r);
}

enum err signature_verify_by(const struct public_key *k, struct span algorithm, struct span message,
                             struct span signature)
{
    struct signature_scheme s;
    enum err e = signature_scheme_parse(algorithm, &s);
    if (e != ERR_OK)
        return e;
    if (k->type == KEY_RSA && k->bits > RSA_BITS_MAX)
        return ERR_UNSUPPORTED;
    if ((k->type == KEY_RSA && k->bits < RSA_BITS_MIN) || s.hash == HASH_SHA1)
        return ERR_REFUSED; /* RFC 8247 4.3 */
    return verify(k, &s, message, signature);
}

static enum err verify_with_scheme(const struct public_key *k, struct span message,
                                   struct span auth_data)
{
    struct span algorithm, signature;
    enum err e = split_auth_data(auth_data, &algorithm, &signature);
    return e == ERR_OK ? signature_verify_by(k, algorithm, message, signature) : e;
}

/* RFC 7296 2.15 leaves the hash of method 1 open and asks for SHA-1 by default; peers have used
 * SHA-2 under it. The padding says which it is, so each is tried. */
static enum err verify_old_rsa(const struct public_key *k, struct span message,
                               struct span signature)
{
    static const enum hash_id hashes[] = {HASH_SHA1, HASH_SHA2_256, HASH_SHA2_384, HASH_SHA2_512};
    enum err e = ERR_INTEGRITY;
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0] && e != ERR_OK; i++) {
        struct signature_scheme s = {SIGNATURE_PKCS1, hashes[i], 0};
        e = verify(k, &s, message, signature);
    }
    return e;
}

static enum err verify_old_ecdsa(const struct public_key *k, const struct ecdsa_method *m,
                                 struct span message, struct span signature)
{
    if (k->type != KEY_ECDSA || k->bits != m->bits || signature.len != 2 * m->width)
        return ERR_INTEGRITY;
    struct signature_scheme s = {SIGNATURE_ECDSA, m->hash, 0};
    uint8_t der[ECDSA_RAW_MAX + 16];
    size_t len = 0;
    enum err e = ecdsa_der_from_raw(signature, m->width, der, sizeof der, &len);
    return e != ERR_OK ? e : verify(k, &s, message, span_make(der, len));
}

enum err signature_verify(const struct public_key *k, enum auth_method method, struct span message,
                          struct span auth_data)
{
    if (k->type == KEY_RSA && k->bits < RSA_BITS_MIN)
        return ERR_REFUSED;
    if (k->type == KEY_RSA && k->bits > RSA_BITS_MAX)
        return ERR_UNSUPPORTED;
    if (method == AUTH_METHOD_SIGNATURE)
        return verify_with_scheme(k, message, auth_data);
    if (method == AUTH_METHOD_RSA)
        return verify_old_rsa(k, message, auth_data);
    const struct ecdsa_method *m = ecdsa_by_method(method);
    return m != NULL ? verify_old_ecdsa(k, m, message, auth_data) : ERR_UNSUPPORTED;
}

const char *signature_text(enum auth_method method, struct span auth_data)
{
    struct span algorithm, signature;
    struct signature_scheme s;
    switch (method) {
    case AUTH_METHOD_RSA:
        return "RSA";
    case AUTH_METHOD_PSK:
        return "pre-shared key";
    case AUTH_METHOD_ECDSA_256:
        return "ECDSA on P-256 with SHA-256";
    case AUTH_METHOD_ECDSA_384:
        return "ECDSA on P-384 with SHA-384";
    case AUTH_METHOD_ECDSA_521:
        return "ECDSA on P-521 with SHA-512";
    case AUTH_METHOD_SIGNATURE:
        if (split_auth_data(auth_data, &algorithm, &signature) == ERR_OK &&
            signature_scheme_parse(algorithm, &s) == ERR_OK)
            return signature_scheme_text(&s);
        return "an unknown signature algorithm";
    }
    return "an unknown authentication method";
}
