/* PKCS#12 containers, as BoringSSL reads them: which of its certificates are of use, and in words
 * what it could not read. */
#include "common/crypto/key_file.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pkcs8.h>

#include "common/crypto/secret.h"
#include "common/crypto/x509_internal.h"

enum { CONTAINER_MAX = 1 << 20 };

static enum err refuse_method(struct fault *f)
{
    (void)fault_set(f, ERR_UNSUPPORTED,
                    "the container is protected by a method that is not supported");
    fault_hint(f, "write it anew with AES-256, PBKDF2 with SHA-256 and a MAC with SHA-256, as "
                  "openssl pkcs12 -export does by itself");
    return ERR_UNSUPPORTED;
}

/* In the queue lies what happened, the innermost first. */
static enum err explain(struct fault *f)
{
    for (uint32_t error = ERR_get_error(); error != 0; error = ERR_get_error()) {
        if (ERR_GET_LIB(error) == ERR_LIB_DIGEST)
            return refuse_method(f);
        if (ERR_GET_LIB(error) != ERR_LIB_PKCS8)
            continue;
        switch (ERR_GET_REASON(error)) {
        case PKCS8_R_INCORRECT_PASSWORD:
        case PKCS8_R_INVALID_CHARACTERS:
            return fault_set(f, ERR_INTEGRITY, "the passphrase is wrong");
        case PKCS8_R_MULTIPLE_PRIVATE_KEYS_IN_PKCS12:
            return fault_set(f, ERR_UNSUPPORTED, "the container holds more than one private key");
        case PKCS8_R_MISSING_MAC:
            return fault_set(f, ERR_UNSUPPORTED, "the container has no checksum (MAC)");
        case PKCS8_R_UNKNOWN_ALGORITHM:
        case PKCS8_R_UNKNOWN_HASH:
        case PKCS8_R_UNKNOWN_DIGEST:
        case PKCS8_R_UNSUPPORTED_CIPHER:
        case PKCS8_R_UNSUPPORTED_KEYLENGTH:
        case PKCS8_R_UNSUPPORTED_KEY_DERIVATION_FUNCTION:
        case PKCS8_R_UNSUPPORTED_PRF:
        case PKCS8_R_UNSUPPORTED_OPTIONS:
        case PKCS8_R_PKCS12_PUBLIC_KEY_INTEGRITY_NOT_SUPPORTED:
            return refuse_method(f);
        case PKCS8_R_BAD_ITERATION_COUNT:
            return fault_set(f, ERR_LIMIT, "the container takes too long to open");
        default:
            break;
        }
    }
    return fault_set(f, ERR_MALFORMED, "the data is no PKCS#12 container, or a damaged one");
}

static enum err certificate_of(X509 *x509, struct certificate **ret, struct fault *f)
{
    uint8_t *der = NULL;
    int len = i2d_X509(x509, &der);
    enum err e = len > 0 ? certificate_parse_der(span_make(der, (size_t)len), ret, f)
                         : fault_set(f, ERR_MEMORY, "out of memory");
    OPENSSL_free(der);
    return e;
}

static bool certifies_itself(const X509 *x509)
{
    return X509_NAME_cmp(X509_get_subject_name(x509), X509_get_issuer_name(x509)) == 0;
}

/* Ours first. Others that we cannot read are left out: a gateway that needs them will say so. */
static enum err take_chain(STACK_OF(X509) * all, const struct private_key *k,
                           struct certificate_list *l, struct fault *f)
{
    struct certificate *ours = NULL;
    l->count = 1;
    for (size_t i = 0; i < sk_X509_num(all); i++) {
        struct certificate *c = NULL;
        X509 *x509 = sk_X509_value(all, i);
        enum err e = certificate_of(x509, &c, f);
        if (e == ERR_MEMORY)
            return e;
        if (e != ERR_OK)
            continue;
        if (ours == NULL && private_key_matches(k, certificate_key(c)))
            l->items[0] = ours = c;
        else if (!certifies_itself(x509) && l->count < CERTIFICATES_MAX)
            l->items[l->count++] = c;
        else
            certificate_free(c);
    }
    if (ours != NULL)
        return ERR_OK;
    (void)fault_set(f, ERR_MALFORMED, "the container has no certificate for its private key");
    fault_hint(f, "put both into it: openssl pkcs12 -export -inkey KEY -in CERTIFICATE -out NEW");
    return ERR_MALFORMED;
}

static enum err take(EVP_PKEY *pkey, STACK_OF(X509) * all, struct private_key **ret_key,
                     struct certificate_list *ret_chain, struct fault *f)
{
    struct private_key *k = NULL;
    struct certificate_list l = {.count = 0};
    if (pkey == NULL)
        return fault_set(f, ERR_MALFORMED, "the container has no private key");
    enum err e = private_key_from_pkey(pkey, &k, f);
    if (e == ERR_OK)
        e = take_chain(all, k, &l, f);
    if (e != ERR_OK) {
        certificate_list_wipe(&l);
        private_key_free(k);
        return e;
    }
    *ret_key = k;
    *ret_chain = l;
    return ERR_OK;
}

enum err pkcs12_parse(struct span bytes, struct span passphrase, struct private_key **ret_key,
                      struct certificate_list *ret_chain, struct fault *f)
{
    char text[SECRET_MAX + 1];
    CBS in;
    EVP_PKEY *pkey = NULL;
    if (bytes.len > CONTAINER_MAX)
        return fault_set(f, ERR_LIMIT, "%zu octets are too many for a container", bytes.len);
    if (passphrase.len > SECRET_MAX ||
        (passphrase.len > 0 && memchr(passphrase.data, '\0', passphrase.len) != NULL))
        return fault_set(f, ERR_INTEGRITY, "the passphrase is wrong");
    if (passphrase.len > 0)
        memcpy(text, passphrase.data, passphrase.len);
    text[passphrase.len] = '\0';
    STACK_OF(X509) *all = sk_X509_new_null();
    CBS_init(&in, bytes.data, bytes.len);
    ERR_clear_error();
    enum err e = ERR_MEMORY;
    if (all == NULL)
        (void)fault_set(f, e, "out of memory");
    else if (PKCS12_get_key_and_certs(&pkey, all, &in, text) != 1)
        e = explain(f);
    else
        e = take(pkey, all, ret_key, ret_chain, f);
    wipe(text, sizeof text);
    EVP_PKEY_free(pkey);
    sk_X509_pop_free(all, X509_free);
    ERR_clear_error();
    return e;
}
