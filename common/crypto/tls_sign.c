/* Our certificate in a TLS handshake. BoringSSL never has the key itself: it asks for signatures,
 * and struct private_key makes them. */
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pool.h>

#include "common/crypto/tls_internal.h"

static enum ssl_private_key_result_t sign(SSL *ssl, uint8_t *out, size_t *out_len, size_t max_out,
                                          uint16_t algorithm, const uint8_t *in, size_t in_len)
{
    struct tls *t = SSL_get_app_data(ssl);
    enum err e = signature_make_tls(t->config.key, algorithm, span_make(in, in_len), out, max_out,
                                    out_len, &t->key_fault);
    if (e != ERR_OK && t->key_fault.code == ERR_OK)
        (void)fault_set(&t->key_fault, e, "our key cannot sign: %s", err_text(e));
    if (e != ERR_OK)
        t->key_fault.code = ERR_CRYPTO; /* whatever it was: none of the other side's doing */
    return e == ERR_OK ? ssl_private_key_success : ssl_private_key_failure;
}

/* RSA key transport is not among the cipher suites. */
static enum ssl_private_key_result_t decrypt(SSL *ssl, uint8_t *out, size_t *out_len,
                                             size_t max_out, const uint8_t *in, size_t in_len)
{
    (void)ssl, (void)out, (void)out_len, (void)max_out, (void)in, (void)in_len;
    return ssl_private_key_failure;
}

/* Nothing is ever left to be completed. */
static enum ssl_private_key_result_t complete(SSL *ssl, uint8_t *out, size_t *out_len,
                                              size_t max_out)
{
    (void)ssl, (void)out, (void)out_len, (void)max_out;
    return ssl_private_key_failure;
}

/* What a key of ours may sign by, in order. TLS 1.3 binds the curve to the hash (RFC 8446 4.2.3).
 */
static bool set_signatures(SSL *ssl, const struct private_key *key)
{
    static const uint16_t all[] = {
        SSL_SIGN_RSA_PSS_RSAE_SHA256,    SSL_SIGN_RSA_PSS_RSAE_SHA384,
        SSL_SIGN_RSA_PSS_RSAE_SHA512,    SSL_SIGN_RSA_PKCS1_SHA256,
        SSL_SIGN_RSA_PKCS1_SHA384,       SSL_SIGN_RSA_PKCS1_SHA512,
        SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_ECDSA_SECP384R1_SHA384,
        SSL_SIGN_ECDSA_SECP521R1_SHA512, SSL_SIGN_ED25519,
    };
    enum { PSS_COUNT = 3, RSA_COUNT = 6, ECDSA_COUNT = 3 };
    switch (private_key_type(key)) {
    case KEY_RSA:
        if (!private_key_has_pss(key)) /* TLS 1.3 knows no other way */
            return SSL_set_max_proto_version(ssl, TLS1_2_VERSION) == 1 &&
                   SSL_set_signing_algorithm_prefs(ssl, all + PSS_COUNT, RSA_COUNT - PSS_COUNT) ==
                       1;
        return SSL_set_signing_algorithm_prefs(ssl, all, RSA_COUNT) == 1;
    case KEY_ECDSA:
        return SSL_set_signing_algorithm_prefs(ssl, all + RSA_COUNT, ECDSA_COUNT) == 1;
    case KEY_ED25519:
        return SSL_set_signing_algorithm_prefs(ssl, all + RSA_COUNT + ECDSA_COUNT, 1) == 1;
    case KEY_NONE:
        break;
    }
    return false;
}

enum err tls_show_certificate(struct tls *t)
{
    static const SSL_PRIVATE_KEY_METHOD method = {sign, decrypt, complete};
    const struct certificate_list *chain = t->config.chain;
    CRYPTO_BUFFER *buffers[CERTIFICATES_MAX] = {NULL};
    size_t count = 0;
    enum err e = ERR_OK;
    for (; count < chain->count && e == ERR_OK; count += e == ERR_OK) {
        struct span der = certificate_der(chain->items[count]);
        buffers[count] = CRYPTO_BUFFER_new(der.data, der.len, NULL);
        e = buffers[count] != NULL ? ERR_OK : ERR_MEMORY;
    }
    if (e == ERR_OK && (SSL_set_chain_and_key(t->ssl, buffers, count, NULL, &method) != 1 ||
                        !set_signatures(t->ssl, t->config.key)))
        e = ERR_CRYPTO;
    while (count > 0)
        CRYPTO_BUFFER_free(buffers[--count]);
    return e;
}
