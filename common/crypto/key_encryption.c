/* Keys that a passphrase protects. PBES2 (RFC 8018 6.2) is read here, as BoringSSL knows neither
 * scrypt nor PBKDF2 with the longer hashes; the PBES1 schemes and traditional PEM are BoringSSL's.
 *
 * Invariant: derived keys and decrypted octets are wiped, whatever happens. Nothing here tells a
 * wrong passphrase from damaged data, since there is no checksum: it is called the former. */
#include <string.h>

#include <openssl/cipher.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/pkcs8.h>

#include "common/crypto/secret.h"
#include "common/crypto/x509_internal.h"

/* Four seconds on a slow machine; the most that others write is a sixth of it. */
enum { ITERATIONS_MAX = 4000000 };
/* scrypt: memory N * r * 128 octets, work p times that. */
static const uint64_t SCRYPT_MEMORY_MAX = 256U << 20, SCRYPT_WORK_MAX = 1U << 30;

struct name {
    uint8_t len;
    uint8_t bytes[9];
};

static const struct name pbes2 = {9, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13}};
static const struct name pbkdf2 = {9, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12}};
static const struct name scrypt = {9, {0x2b, 6, 1, 4, 1, 0xda, 0x47, 4, 11}};

static const struct cipher_row {
    struct name name;
    const EVP_CIPHER *(*cipher)(void);
} ciphers[] = {
    {{9, {0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 2}}, EVP_aes_128_cbc},
    {{9, {0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 22}}, EVP_aes_192_cbc},
    {{9, {0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42}}, EVP_aes_256_cbc},
    {{8, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 3, 7}}, EVP_des_ede3_cbc},
};

static const struct prf_row {
    struct name name;
    const EVP_MD *(*md)(void);
} prfs[] = {
    {{8, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 7}}, EVP_sha1},
    {{8, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 8}}, EVP_sha224},
    {{8, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 9}}, EVP_sha256},
    {{8, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 10}}, EVP_sha384},
    {{8, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 11}}, EVP_sha512},
};

enum { CIPHERS = sizeof ciphers / sizeof ciphers[0], PRFS = sizeof prfs / sizeof prfs[0] };

static bool is(const CBS *oid, const struct name *n)
{
    return CBS_mem_equal(oid, n->bytes, n->len) == 1;
}

static enum err refuse_method(struct fault *f, const char *what)
{
    (void)fault_set(f, ERR_UNSUPPORTED,
                    "the private key is encrypted by a %s that is not supported", what);
    fault_hint(f, "encrypt it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW");
    return ERR_UNSUPPORTED;
}

static enum err refuse_passphrase(struct fault *f)
{
    return fault_set(f, ERR_INTEGRITY, "the passphrase is wrong");
}

static enum err refuse_damaged(struct fault *f)
{
    return fault_set(f, ERR_MALFORMED, "the private key's encryption is damaged");
}

static enum err refuse_costly(struct fault *f)
{
    return fault_set(f, ERR_LIMIT,
                     "the private key is encrypted in a way that takes too long to open");
}

struct derived {
    const EVP_CIPHER *cipher;
    uint8_t key[EVP_MAX_KEY_LENGTH];
    CBS iv;
};

/* AlgorithmIdentifier ::= SEQUENCE { algorithm, parameters } */
static bool read_algorithm(CBS *in, CBS *ret_oid, CBS *ret_parameters)
{
    return CBS_get_asn1(in, ret_parameters, CBS_ASN1_SEQUENCE) &&
           CBS_get_asn1(ret_parameters, ret_oid, CBS_ASN1_OBJECT);
}

/* keyLength is optional, and says what the cipher says. */
static bool read_key_len(CBS *parameters, size_t expected)
{
    uint64_t len = expected;
    if (CBS_peek_asn1_tag(parameters, CBS_ASN1_INTEGER) && !CBS_get_asn1_uint64(parameters, &len))
        return false;
    return len == expected;
}

/* RFC 8018 A.2. */
static enum err derive_pbkdf2(CBS kdf, struct span passphrase, struct derived *d, struct fault *f)
{
    CBS parameters, salt, oid, null;
    uint64_t iterations = 0;
    size_t key_len = EVP_CIPHER_key_length(d->cipher);
    const EVP_MD *md = EVP_sha1();
    if (!CBS_get_asn1(&kdf, &parameters, CBS_ASN1_SEQUENCE) || CBS_len(&kdf) != 0 ||
        !CBS_get_asn1(&parameters, &salt, CBS_ASN1_OCTETSTRING) ||
        !CBS_get_asn1_uint64(&parameters, &iterations) || iterations == 0 ||
        !read_key_len(&parameters, key_len))
        return refuse_damaged(f);
    if (CBS_len(&parameters) != 0) {
        if (!read_algorithm(&parameters, &oid, &null) || CBS_len(&parameters) != 0)
            return refuse_damaged(f);
        md = NULL;
        for (size_t i = 0; i < PRFS; i++)
            md = is(&oid, &prfs[i].name) ? prfs[i].md() : md;
        if (md == NULL)
            return refuse_method(f, "hash");
    }
    if (iterations > ITERATIONS_MAX)
        return refuse_costly(f);
    return PKCS5_PBKDF2_HMAC((const char *)passphrase.data, passphrase.len, CBS_data(&salt),
                             CBS_len(&salt), (unsigned)iterations, md, key_len, d->key) == 1
               ? ERR_OK
               : ERR_CRYPTO;
}

/* RFC 7914 7. */
static enum err derive_scrypt(CBS kdf, struct span passphrase, struct derived *d, struct fault *f)
{
    CBS parameters, salt;
    uint64_t n, r, p;
    size_t key_len = EVP_CIPHER_key_length(d->cipher);
    if (!CBS_get_asn1(&kdf, &parameters, CBS_ASN1_SEQUENCE) || CBS_len(&kdf) != 0 ||
        !CBS_get_asn1(&parameters, &salt, CBS_ASN1_OCTETSTRING) ||
        !CBS_get_asn1_uint64(&parameters, &n) || !CBS_get_asn1_uint64(&parameters, &r) ||
        !CBS_get_asn1_uint64(&parameters, &p) || !read_key_len(&parameters, key_len) ||
        CBS_len(&parameters) != 0 || n < 2 || (n & (n - 1)) != 0 || r == 0 || p == 0)
        return refuse_damaged(f);
    if (n > 1U << 24 || r > 1024 || p > 1024 || n * r * 128 > SCRYPT_MEMORY_MAX ||
        n * r * p * 128 > SCRYPT_WORK_MAX)
        return refuse_costly(f);
    /* What else it refuses are combinations that RFC 7914 excludes. */
    return EVP_PBE_scrypt((const char *)passphrase.data, passphrase.len, CBS_data(&salt),
                          CBS_len(&salt), n, r, p, SCRYPT_MEMORY_MAX + (1U << 20), d->key,
                          key_len) == 1
               ? ERR_OK
               : refuse_damaged(f);
}

/* RFC 8018 A.4; the schemes' parameters are an IV. */
static enum err derive(CBS parameters, struct span passphrase, struct derived *d, struct fault *f)
{
    CBS pbes, kdf, kdf_oid, scheme, scheme_oid;
    if (!CBS_get_asn1(&parameters, &pbes, CBS_ASN1_SEQUENCE) || CBS_len(&parameters) != 0 ||
        !read_algorithm(&pbes, &kdf_oid, &kdf) || !read_algorithm(&pbes, &scheme_oid, &scheme) ||
        CBS_len(&pbes) != 0)
        return refuse_damaged(f);
    d->cipher = NULL;
    for (size_t i = 0; i < CIPHERS; i++)
        d->cipher = is(&scheme_oid, &ciphers[i].name) ? ciphers[i].cipher() : d->cipher;
    if (d->cipher == NULL)
        return refuse_method(f, "cipher");
    if (!CBS_get_asn1(&scheme, &d->iv, CBS_ASN1_OCTETSTRING) || CBS_len(&scheme) != 0 ||
        CBS_len(&d->iv) != EVP_CIPHER_iv_length(d->cipher))
        return refuse_damaged(f);
    if (is(&kdf_oid, &pbkdf2))
        return derive_pbkdf2(kdf, passphrase, d, f);
    if (is(&kdf_oid, &scrypt))
        return derive_scrypt(kdf, passphrase, d, f);
    return refuse_method(f, "key derivation");
}

/* clear: as long as the enciphered octets. */
static enum err decipher(const struct derived *d, const CBS *enciphered, uint8_t *clear,
                         size_t *ret_len, struct fault *f)
{
    EVP_CIPHER_CTX ctx;
    int first = 0, last = 0;
    EVP_CIPHER_CTX_init(&ctx);
    bool good = EVP_DecryptInit_ex(&ctx, d->cipher, NULL, d->key, CBS_data(&d->iv)) == 1 &&
                EVP_DecryptUpdate(&ctx, clear, &first, CBS_data(enciphered),
                                  (int)CBS_len(enciphered)) == 1 &&
                EVP_DecryptFinal_ex(&ctx, clear + first, &last) == 1;
    EVP_CIPHER_CTX_cleanup(&ctx);
    *ret_len = (size_t)(first + last);
    return good ? ERR_OK : refuse_passphrase(f);
}

static enum err decrypt_pbes2(CBS parameters, const CBS *enciphered, struct span passphrase,
                              EVP_PKEY **ret, struct fault *f)
{
    struct derived d = {0};
    size_t len = 0;
    enum err e = derive(parameters, passphrase, &d, f);
    /* One block more: BoringSSL may ask for it while it deciphers. */
    size_t room = CBS_len(enciphered) + EVP_MAX_BLOCK_LENGTH;
    uint8_t *clear = e == ERR_OK ? OPENSSL_malloc(room) : NULL;
    if (e == ERR_OK && clear == NULL)
        e = fault_set(f, ERR_MEMORY, "out of memory");
    if (e == ERR_OK)
        e = decipher(&d, enciphered, clear, &len, f);
    wipe(&d, sizeof d);
    if (e == ERR_OK) {
        CBS in;
        CBS_init(&in, clear, len);
        *ret = EVP_parse_private_key(&in);
        if (*ret == NULL)
            e = refuse_passphrase(f);
    }
    OPENSSL_free(clear); /* which wipes */
    return e;
}

/* By the schemes that BoringSSL knows. */
static enum err decrypt_pbes1(struct span der, struct span passphrase, EVP_PKEY **ret,
                              struct fault *f)
{
    CBS in;
    CBS_init(&in, der.data, der.len);
    ERR_clear_error();
    *ret = PKCS8_parse_encrypted_private_key(&in, (const char *)passphrase.data, passphrase.len);
    if (*ret != NULL)
        return ERR_OK;
    uint32_t error = ERR_peek_error();
    bool pkcs8 = ERR_GET_LIB(error) == ERR_LIB_PKCS8;
    if (pkcs8 && ERR_GET_REASON(error) == PKCS8_R_UNKNOWN_ALGORITHM)
        return refuse_method(f, "method");
    return pkcs8 && ERR_GET_REASON(error) == PKCS8_R_DECODE_ERROR ? refuse_damaged(f)
                                                                  : refuse_passphrase(f);
}

enum err key_decrypt_pkcs8(struct span der, struct span passphrase, EVP_PKEY **ret, struct fault *f)
{
    CBS in, body, oid, parameters, enciphered;
    EVP_PKEY *pkey = NULL;
    CBS_init(&in, der.data, der.len);
    if (!CBS_get_asn1(&in, &body, CBS_ASN1_SEQUENCE) || CBS_len(&in) != 0 ||
        !read_algorithm(&body, &oid, &parameters) ||
        !CBS_get_asn1(&body, &enciphered, CBS_ASN1_OCTETSTRING))
        return refuse_damaged(f);
    enum err e = is(&oid, &pbes2) ? decrypt_pbes2(parameters, &enciphered, passphrase, &pkey, f)
                                  : decrypt_pbes1(der, passphrase, &pkey, f);
    ERR_clear_error();
    if (e == ERR_OK)
        *ret = pkey;
    return e;
}

static int give_passphrase(char *out, int size, int writing, void *ctx)
{
    const struct span *passphrase = ctx;
    (void)writing;
    if (size < 0 || passphrase->len > (size_t)size)
        return -1;
    if (passphrase->len > 0)
        memcpy(out, passphrase->data, passphrase->len);
    return (int)passphrase->len;
}

/* Before the passphrase was tried. */
static enum err refuse_header(uint32_t error, struct fault *f)
{
    if (ERR_GET_LIB(error) != ERR_LIB_PEM)
        return ERR_OK;
    switch (ERR_GET_REASON(error)) {
    case PEM_R_UNSUPPORTED_ENCRYPTION:
    case PEM_R_UNSUPPORTED_CIPHER:
        return refuse_method(f, "cipher");
    case PEM_R_BAD_DECRYPT:
    case PEM_R_BAD_PASSWORD_READ:
        return ERR_OK;
    default:
        return refuse_damaged(f);
    }
}

enum err key_decrypt_pem(const struct pem_block *b, struct span passphrase, EVP_PKEY **ret,
                         struct fault *f)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool written = bio != NULL && PEM_write_bio(bio, b->name, b->header, b->data, b->len) > 0;
    ERR_clear_error();
    EVP_PKEY *pkey =
        written ? PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &passphrase) : NULL;
    uint32_t error = ERR_peek_error();
    ERR_clear_error();
    BIO_free(bio);
    if (!written)
        return fault_set(f, ERR_MEMORY, "out of memory");
    if (pkey != NULL) {
        *ret = pkey;
        return ERR_OK;
    }
    enum err e = refuse_header(error, f);
    return e != ERR_OK ? e : refuse_passphrase(f);
}
