/* What the files about keys, names and certificates share, and nobody else: the BoringSSL objects
 * behind the opaque types. */
#ifndef TERN_CRYPTO_X509_INTERNAL_H
#define TERN_CRYPTO_X509_INTERNAL_H

#include <openssl/bytestring.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/crypto/certificate.h"
#include "common/crypto/crl.h"
#include "common/crypto/external_key.h"
#include "common/crypto/printable.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192 };

struct public_key {
    EVP_PKEY *pkey;
    enum key_type type;
    unsigned bits;
};

struct private_key {
    EVP_PKEY *pkey; /* the public half alone where the key is external */
    enum key_type type;
    unsigned bits;
    bool external;
    struct key_signer signer; /* where it is */
};

/* False for a card that cannot do RSA-PSS. */
bool private_key_has_pss(const struct private_key *k);

/* KEY_NONE for a kind of key, or a curve, that we do not use. */
enum key_type pkey_type(const EVP_PKEY *pkey, unsigned *ret_bits);
/* Takes a reference of its own. ERR_UNSUPPORTED for KEY_NONE. */
CHECKED enum err public_key_from_pkey(EVP_PKEY *pkey, struct public_key **ret);

/* An AlgorithmIdentifier, understood. hash is 0 for Ed25519; salt_len belongs to PSS. */
enum signature_kind { SIGNATURE_PKCS1, SIGNATURE_PSS, SIGNATURE_ECDSA, SIGNATURE_ED25519 };
struct signature_scheme {
    enum signature_kind kind;
    enum hash_id hash;
    unsigned salt_len;
};

/* `der` is the whole AlgorithmIdentifier. ERR_MALFORMED where it is no DER, ERR_UNSUPPORTED for
 * what is none of the schemes here (SHA-1 is recognised; callers refuse it). */
CHECKED enum err signature_scheme_parse(struct span der, struct signature_scheme *ret);
/* The DER for a scheme, appended to out. */
CHECKED enum err signature_scheme_write(const struct signature_scheme *s, CBB *out);
const char *signature_scheme_text(const struct signature_scheme *s);

/* The primitives (scheme_sign.c), for keys of any place; signatures by ECDSA are DER. ERR_CRYPTO,
 * or where the key is external what its keeper says, with the fault. */
CHECKED enum err private_key_sign(const struct private_key *k, const struct signature_scheme *s,
                                  struct span message, uint8_t *out, size_t cap, size_t *ret_len,
                                  struct fault *f);
CHECKED enum err external_key_sign(const struct private_key *k, const struct signature_scheme *s,
                                   struct span message, uint8_t *out, size_t cap, size_t *ret_len,
                                   struct fault *f);
CHECKED enum err scheme_verify(EVP_PKEY *pkey, const struct signature_scheme *s,
                               struct span message, struct span signature);

/* r | s, each as wide as the curve's order (RFC 4754 7), from and to the DER that ECDSA has
 * elsewhere. */
enum { ECDSA_RAW_MAX = 2 * 66 };
CHECKED enum err ecdsa_raw_from_der(struct span der, size_t width, uint8_t *out);
CHECKED enum err ecdsa_der_from_raw(struct span raw, size_t width, uint8_t *out, size_t cap,
                                    size_t *ret_len);

const EVP_MD *hash_md(enum hash_id hash); /* NULL where it is none of the SHAs */
unsigned hash_len(enum hash_id hash);

/* The next PEM block of in; ERR_NOT_FOUND after the last, ERR_MALFORMED for a broken one (go on for
 * the next). The caller frees all three with OPENSSL_free, which wipes. */
struct pem_block {
    char *name, *header;
    unsigned char *data;
    long len;
};
CHECKED enum err pem_next(BIO *in, struct pem_block *ret);
void pem_block_wipe(struct pem_block *b);

/* By a passphrase (key_encryption.c): ERR_INTEGRITY where it is another one, ERR_UNSUPPORTED,
 * ERR_LIMIT where it would take too long, ERR_MALFORMED. A whole EncryptedPrivateKeyInfo (RFC 5958
 * 3); and a PEM block that says Proc-Type: 4,ENCRYPTED (RFC 1421 4.6). */
CHECKED enum err key_decrypt_pkcs8(struct span der, struct span passphrase, EVP_PKEY **ret,
                                   struct fault *f);
CHECKED enum err key_decrypt_pem(const struct pem_block *b, struct span passphrase, EVP_PKEY **ret,
                                 struct fault *f);

/* Takes a reference of its own. ERR_UNSUPPORTED, ERR_REFUSED for keys that we do not use. */
CHECKED enum err private_key_from_pkey(EVP_PKEY *pkey, struct private_key **ret, struct fault *f);

/* Distinguished names (distinguished_name.c). */
bool name_text_looks_like_one(const char *text);
CHECKED enum err name_from_text(const char *text, X509_NAME **ret);
CHECKED enum err name_from_der(struct span der, X509_NAME **ret);
void name_print(const X509_NAME *name, struct text_builder *t);
/* "CN=...", cut to out; "(empty name)" where it is. Returns out. */
const char *name_text(const X509_NAME *name, char *out, size_t cap);

struct certificate {
    unsigned references;
    X509 *x509;
    struct public_key *key;
    GENERAL_NAMES *names; /* subjectAltName; NULL where there is none */
    int64_t not_before, not_after;
    size_t der_len;
    uint8_t *der;
};

/* Hands each certificate in `bytes` (PEM, or one DER) to the sink, which takes a reference where it
 * keeps it; its error ends the walk. lenient: what does not parse is passed over. */
typedef enum err certificate_sink(void *ctx, struct certificate *c, struct fault *f);
CHECKED enum err certificate_each(struct span bytes, bool lenient, certificate_sink *sink,
                                  void *ctx, struct fault *f);

/* One trust anchor and what CERTREQ says of it. */
struct anchor {
    struct certificate *certificate;
    uint8_t key_hash[SHA1_LEN];
};

struct stored_crl {
    uint8_t *der; /* owned; crl borrows it */
    struct crl crl;
};

struct trust_store {
    X509_STORE *store;
    struct anchor *anchors;
    size_t count, cap;
    enum revocation_policy revocation;
    struct stored_crl *crls;
    size_t crl_count;
};
void trust_crls_free(struct trust_store *t); /* trust_crls.c */

/* trust_path.c: hands over every way from sent->items[0] to an anchor, the end entity first and the
 * anchor last, until `try` says that this one holds; not more than a bounded number. */
enum { TRUST_PATH_MAX = CERTIFICATES_MAX + 1 };
typedef bool trust_path_try(void *ctx, const struct certificate *const *way, size_t len);
void trust_path_each(const struct trust_store *t, const struct certificate_list *sent,
                     trust_path_try *try, void *ctx);

/* trust_verify.c: the key, and the algorithm of the signature on it, are good enough. ERR_REFUSED
 * with the reason. */
CHECKED enum err certificate_check_algorithms(X509 *x, struct fault *f);

/* revocation_check.c: the chain, an anchor last, as the store's policy wants it. ERR_REFUSED. */
CHECKED enum err revocation_check(const struct trust_store *t, STACK_OF(X509) * chain,
                                  const struct trust_evidence *evidence, int64_t wall_time,
                                  struct fault *f);

/* What certificates, CRLs and OCSP responses have in common (asn1.c). All borrow what they read. */
struct span span_of_cbs(const CBS *c);
/* Tags of [n], primitive and constructed. */
#define ASN1_CONTEXT(n)             (CBS_ASN1_CONTEXT_SPECIFIC | (n))
#define ASN1_CONTEXT_CONSTRUCTED(n) (CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | (n))

/* SIGNED{...}: what is signed and the AlgorithmIdentifier, both whole elements; the signature's
 * octets. What may follow stays in `in`. */
struct asn1_signed {
    CBS tbs, algorithm, signature;
};
CHECKED bool asn1_signed_read(CBS *in, struct asn1_signed *ret);
/* Extension (RFC 5280 4.2); value: what its OCTET STRING holds. */
struct asn1_extension {
    CBS oid, value;
    bool critical;
};
/* A non-empty list (SEQUENCE OF Extension, whole): each is handed to `take`, whose first error ends
 * it. ERR_MALFORMED. */
typedef enum err asn1_extension_take(const struct asn1_extension *x, void *ctx);
CHECKED enum err asn1_extensions_read(CBS list, asn1_extension_take *take, void *ctx);
/* Is it id-ce N (2.5.29.N)? */
bool asn1_extension_is(const struct asn1_extension *x, uint8_t n);
/* An INTEGER's octets, in their shortest form. */
CHECKED bool asn1_integer_read(CBS *in, struct span *ret);
/* An ENUMERATED of one octet. */
CHECKED bool asn1_enumerated_read(CBS *in, uint8_t *ret);
/* An AlgorithmIdentifier of a hash; ERR_MALFORMED, ERR_UNSUPPORTED (signature_scheme.c). */
CHECKED enum err asn1_hash_read(CBS *in, enum hash_id *ret);

/* Numbers that stand for nothing become REASON_UNSPECIFIED (revocation.c). */
enum revocation_reason revocation_reason_from(uint8_t n);

/* Is it the signature of `message` by that key? SHA-1 and RSA keys of fewer than RSA_BITS_MIN bits
 * are ERR_REFUSED, as in signature_verify. `algorithm`: a whole AlgorithmIdentifier. */
CHECKED enum err signature_verify_by(const struct public_key *k, struct span algorithm,
                                     struct span message, struct span signature);

/* Civil time (wall_time.c), in UTC. */
enum { WALL_TIME_TEXT_MAX = 64 };
CHECKED enum err wall_time_from_asn1(const ASN1_TIME *t, int64_t *ret);
/* The next element, a UTCTime or GeneralizedTime (the second: that alone). */
CHECKED bool wall_time_read(CBS *in, int64_t *ret);
CHECKED bool wall_time_read_generalized(CBS *in, int64_t *ret);
/* "2026-01-31 23:59 UTC"; returns out. */
const char *wall_time_format(int64_t seconds, char out[WALL_TIME_TEXT_MAX]);

#endif
