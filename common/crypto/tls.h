/* TLS 1.2 and 1.3 for the EAP methods that use it (RFC 5216, RFC 9190), either side: records go in,
 * records come out. No socket, no clock, no resumption, nothing older.
 *
 * The certificates are judged here, by trust_verify (with the OCSP response that the server has
 * stapled) and certificate_proves, and not by BoringSSL; and it is struct private_key that signs.
 */
#ifndef TERN_CRYPTO_TLS_H
#define TERN_CRYPTO_TLS_H

#include "common/crypto/certificate.h"

struct tls;

struct tls_config {
    bool server;
    const struct private_key *key;        /* borrowed; NULL: a client that shows no certificate */
    const struct certificate_list *chain; /* borrowed; ours first */
    const struct trust_store *trust;      /* borrowed; a server with one asks for a certificate, a
                                           * client needs one: it may want to know of revocation */
    struct identity name;                 /* the server's certificate must prove it; none: any */
    int64_t wall_time;                    /* seconds since 1970, for validity */
    bool no_1_3;                          /* TLS 1.2 alone, as servers of many years have it */
};

/* ERR_MEMORY; ERR_CRYPTO where BoringSSL takes no key or chain of that kind. */
CHECKED enum err tls_new(const struct tls_config *c, struct tls **ret);
void tls_free(struct tls *t); /* wipes; NULL is fine */
/* In place of tls_config.trust, which is needed no more; borrowed. */
void tls_set_trust(struct tls *t, const struct trust_store *trust);

/* Whole or partial records from the other side, perhaps none (a client begins that way). On failure
 * there may still be output, the alert that says why:
 * ERR_INTEGRITY: its certificate was not accepted; the fault is about that certificate;
 * ERR_REFUSED:   it said no by an alert (tls_alert); the fault names it;
 * ERR_EXHAUSTED: it closed the connection;
 * ERR_CRYPTO:    our key has failed; the fault has its words;
 * ERR_MALFORMED: anything else, in BoringSSL's words;
 * ERR_MEMORY. After a failure it is over. */
CHECKED enum err tls_input(struct tls *t, struct span records, struct fault *f);
/* What is to be sent; borrowed until the next call of another function here. */
struct span tls_output(const struct tls *t);
void tls_output_sent(struct tls *t); /* all of it */

/* The handshake is over: both Finished messages have been seen. */
bool tls_established(const struct tls *t);
bool tls_is_1_3(const struct tls *t);
/* "TLS 1.3, TLS_AES_128_GCM_SHA256", for logs; static. */
const char *tls_version_text(const struct tls *t);
const char *tls_cipher_text(const struct tls *t);
/* The last fatal alert that came, 0 for none, and whether it is one about our certificate. */
uint8_t tls_alert(const struct tls *t);
bool tls_alert_about_certificate(uint8_t alert);
/* The other side's end certificate, once it was verified; NULL without. Borrowed. */
const struct certificate *tls_peer(const struct tls *t);

/* Application data that has come and was not read yet: up to cap octets. ERR_AGAIN where there is
 * none; else as tls_input. */
CHECKED enum err tls_read(struct tls *t, uint8_t *out, size_t cap, size_t *ret_len,
                          struct fault *f);
/* Becomes output. ERR_STATE before the handshake's end. */
CHECKED enum err tls_write(struct tls *t, struct span data);
/* RFC 5705, RFC 8446 7.5: without a context where `context` is empty. ERR_STATE before the
 * handshake's end. */
CHECKED enum err tls_export(const struct tls *t, const char *label, struct span context,
                            uint8_t *out, size_t len);

#endif
