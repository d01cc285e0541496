/* Private keys from files' bytes. What a passphrase protects is opened by key_encryption.c; signing
 * is in scheme_sign.c.
 *
 * Invariant: a key that was parsed is of a kind and size that signature_make can use, and BoringSSL
 * found its numbers consistent. Key bytes live only in BoringSSL's memory, which it wipes on free.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "common/crypto/key_file.h"
#include "common/crypto/x509_internal.h"

enum { KEY_FILE_MAX = 1 << 20 };

enum err pem_next(BIO *in, struct pem_block *ret)
{
    struct pem_block b = {0};
    if (PEM_read_bio(in, &b.name, &b.header, &b.data, &b.len) == 1) {
        *ret = b;
        return ERR_OK;
    }
    uint32_t error = ERR_peek_last_error();
    ERR_clear_error();
    return ERR_GET_REASON(error) == PEM_R_NO_START_LINE ? ERR_NOT_FOUND : ERR_MALFORMED;
}

void pem_block_wipe(struct pem_block *b)
{
    OPENSSL_free(b->name);
    OPENSSL_free(b->header);
    OPENSSL_free(b->data);
    *b = (struct pem_block){0};
}

enum err private_key_from_pkey(EVP_PKEY *pkey, struct private_key **ret, struct fault *f)
{
    unsigned bits = 0;
    enum key_type type = pkey_type(pkey, &bits);
    if (type == KEY_NONE) {
        (void)fault_set(f, ERR_UNSUPPORTED, "the private key is of a kind that is not supported");
        fault_hint(f, "use RSA (2048 bits or more), ECDSA on P-256, P-384 or P-521, or Ed25519");
        return ERR_UNSUPPORTED;
    }
    if (type == KEY_RSA && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)) {
        (void)fault_set(f, ERR_REFUSED, "the private key is an RSA key of %u bits", bits);
        fault_hint(f, "RSA keys must have %d to %d bits", RSA_BITS_MIN, RSA_BITS_MAX);
        return ERR_REFUSED;
    }
    struct private_key *k = malloc(sizeof *k);
    if (k == NULL)
        return fault_set(f, ERR_MEMORY, "out of memory");
    EVP_PKEY_up_ref(pkey);
    *k = (struct private_key){.pkey = pkey, .type = type, .bits = bits};
    *ret = k;
    return ERR_OK;
}

/* PKCS#8 (RFC 5208), RSAPrivateKey (RFC 8017 A.1.2), ECPrivateKey (RFC 5915); NULL for none. */
static EVP_PKEY *key_from_der(struct span der)
{
    CBS in;
    CBS_init(&in, der.data, der.len);
    EVP_PKEY *pkey = EVP_parse_private_key(&in);
    if (pkey == NULL) {
        RSA *rsa = RSA_private_key_from_bytes(der.data, der.len);
        CBS_init(&in, der.data, der.len);
        EC_KEY *ec = rsa == NULL ? EC_KEY_parse_private_key(&in, NULL) : NULL;
        pkey = EVP_PKEY_new();
        bool good = pkey != NULL && ((rsa != NULL && EVP_PKEY_set1_RSA(pkey, rsa) == 1) ||
                                     (ec != NULL && EVP_PKEY_set1_EC_KEY(pkey, ec) == 1));
        if (rsa != NULL)
            CBS_skip(&in, CBS_len(&in));
        RSA_free(rsa);
        EC_KEY_free(ec);
        if (!good) {
            EVP_PKEY_free(pkey);
            pkey = NULL;
        }
    }
    if (CBS_len(&in) != 0) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    ERR_clear_error();
    return pkey;
}

static enum err refuse_encrypted(struct fault *f)
{
    (void)fault_set(f, ERR_STATE, "the private key is encrypted");
    fault_hint(
        f, "decrypt it into a file that only its owner can read: openssl pkey -in OLD -out NEW");
    return ERR_STATE;
}

static enum err refuse_instead(struct fault *f, const char *what)
{
    (void)fault_set(f, ERR_MALFORMED, "found %s where a private key is expected", what);
    fault_hint(f, "give the file that begins with \"-----BEGIN PRIVATE KEY-----\"");
    return ERR_MALFORMED;
}

/* EncryptedPrivateKeyInfo (RFC 5958 3), going by its outside. */
static bool is_encrypted(struct span der)
{
    CBS in, body, algorithm;
    CBS_init(&in, der.data, der.len);
    return CBS_get_asn1(&in, &body, CBS_ASN1_SEQUENCE) && CBS_len(&in) == 0 &&
           CBS_get_asn1(&body, &algorithm, CBS_ASN1_SEQUENCE) &&
           CBS_peek_asn1_tag(&algorithm, CBS_ASN1_OBJECT) &&
           CBS_peek_asn1_tag(&body, CBS_ASN1_OCTETSTRING);
}

/* What is in the DER that is no key? A certificate begins with a SEQUENCE, PKCS#12 with the INTEGER
 * 3. */
static enum err refuse_der(struct span der, struct fault *f)
{
    struct certificate *c = NULL;
    if (certificate_parse_der(der, &c, NULL) == ERR_OK) {
        certificate_free(c);
        return refuse_instead(f, "a certificate");
    }
    CBS in, body;
    uint64_t version = 0;
    CBS_init(&in, der.data, der.len);
    if (!CBS_get_asn1(&in, &body, CBS_ASN1_SEQUENCE))
        return refuse_instead(f, "damaged data");
    if (CBS_get_asn1_uint64(&body, &version) && version == 3 &&
        CBS_peek_asn1_tag(&body, CBS_ASN1_SEQUENCE))
        return refuse_instead(f, "a PKCS#12 container");
    return refuse_instead(f, "damaged data, or a kind of key that is not supported,");
}

/* passphrase: NULL where there is none. */
static enum err parse_der(struct span der, const struct span *passphrase, struct private_key **ret,
                          struct fault *f)
{
    EVP_PKEY *pkey = NULL;
    bool encrypted = is_encrypted(der);
    if (encrypted && passphrase == NULL)
        return refuse_encrypted(f);
    enum err e = ERR_OK;
    if (encrypted)
        e = key_decrypt_pkcs8(der, *passphrase, &pkey, f);
    else if ((pkey = key_from_der(der)) == NULL)
        e = refuse_der(der, f);
    if (e == ERR_OK)
        e = private_key_from_pkey(pkey, ret, f);
    EVP_PKEY_free(pkey);
    return e;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), tail = strlen(end);
    return len >= tail && strcmp(text + len - tail, end) == 0;
}

static enum err parse_pem_encrypted(const struct pem_block *b, const struct span *passphrase,
                                    struct private_key **ret, struct fault *f)
{
    EVP_PKEY *pkey = NULL;
    if (passphrase == NULL)
        return refuse_encrypted(f);
    enum err e = key_decrypt_pem(b, *passphrase, &pkey, f);
    if (e == ERR_OK)
        e = private_key_from_pkey(pkey, ret, f);
    EVP_PKEY_free(pkey);
    return e;
}

static enum err parse_pem_key(const struct pem_block *b, const struct span *passphrase,
                              struct private_key **ret, struct fault *f)
{
    if (strstr(b->header, "ENCRYPTED") != NULL)
        return parse_pem_encrypted(b, passphrase, ret, f);
    if (strcmp(b->name, "OPENSSH PRIVATE KEY") == 0)
        return refuse_instead(f, "a key in OpenSSH's format");
    return parse_der(span_make(b->data, (size_t)b->len), passphrase, ret, f);
}

/* The first private key counts; parameters and certificates around it are passed over. */
static enum err parse_pem(BIO *in, const struct span *passphrase, struct private_key **ret,
                          struct fault *f)
{
    struct pem_block b;
    char seen[64] = "";
    enum err e;
    while ((e = pem_next(in, &b)) == ERR_OK) {
        bool is_key = ends_with(b.name, "PRIVATE KEY");
        if (is_key)
            e = parse_pem_key(&b, passphrase, ret, f);
        else
            (void)OPENSSL_strlcpy(seen, b.name, sizeof seen);
        pem_block_wipe(&b);
        if (is_key)
            return e;
    }
    if (e == ERR_MALFORMED)
        return refuse_instead(f, "a damaged PEM block");
    if (seen[0] == '\0')
        return refuse_instead(f, "neither PEM nor DER");
    if (ends_with(seen, "CERTIFICATE"))
        return refuse_instead(f, "a certificate");
    if (ends_with(seen, "PUBLIC KEY"))
        return refuse_instead(f, "a public key");
    return refuse_instead(f, "PEM of another kind");
}

static enum err parse(struct span bytes, const struct span *passphrase, struct private_key **ret,
                      struct fault *f)
{
    if (bytes.len == 0)
        return refuse_instead(f, "an empty file");
    if (bytes.len > KEY_FILE_MAX)
        return fault_set(f, ERR_LIMIT, "%zu octets are too many for a private key", bytes.len);
    CBS in, body;
    CBS_init(&in, bytes.data, bytes.len);
    if (CBS_get_asn1(&in, &body, CBS_ASN1_SEQUENCE) && CBS_len(&in) == 0)
        return parse_der(bytes, passphrase, ret, f);
    BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.len);
    if (bio == NULL)
        return fault_set(f, ERR_MEMORY, "out of memory");
    enum err e = parse_pem(bio, passphrase, ret, f);
    BIO_free(bio);
    return e;
}

enum err private_key_parse(struct span bytes, struct private_key **ret, struct fault *f)
{
    return parse(bytes, NULL, ret, f);
}

enum err private_key_parse_encrypted(struct span bytes, struct span passphrase,
                                     struct private_key **ret, struct fault *f)
{
    return parse(bytes, &passphrase, ret, f);
}

void private_key_free(struct private_key *k)
{
    if (k == NULL)
        return;
    EVP_PKEY_free(k->pkey);
    free(k);
}

enum key_type private_key_type(const struct private_key *k)
{
    return k->type;
}

bool private_key_matches(const struct private_key *k, const struct public_key *pub)
{
    bool same = EVP_PKEY_cmp(k->pkey, pub->pkey) == 1;
    ERR_clear_error();
    return same;
}
