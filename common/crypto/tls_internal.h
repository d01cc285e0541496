/* Between the files of tls.h. */
#ifndef TERN_CRYPTO_TLS_INTERNAL_H
#define TERN_CRYPTO_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "common/crypto/tls.h"
#include "common/crypto/x509_internal.h"

struct tls {
    struct tls_config config;
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out; /* the SSL's */
    uint8_t alert; /* the last fatal one that came; 0: none */
    bool closed;   /* by close_notify */
    bool over;
    struct fault key_fault;   /* why our key did not sign; code ERR_OK: it did */
    struct fault verdict;     /* on the other side's certificate; code ERR_OK: nothing against it */
    struct certificate *peer; /* verified */
};

enum ssl_verify_result_t tls_verify_peer(SSL *ssl, uint8_t *out_alert);
/* config.chain is shown, config.key signs. */
CHECKED enum err tls_show_certificate(struct tls *t);

#endif
