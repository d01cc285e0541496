/* TLS over two memory BIOs of BoringSSL. What the other side's certificate is worth is decided in
 * tls_verify.c, what ours signs in tls_sign.c.
 *
 * Invariants: nothing is believed of a handshake in which the verification did not say yes; no
 * clock is read, by BoringSSL neither; no session outlives its connection. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "common/crypto/tls_internal.h"

/* --- setting up --- */

/* BoringSSL wants to know how old sessions are; ours are not kept. */
static void current_time(const SSL *ssl, struct timeval *out)
{
    (void)ssl;
    out->tv_sec = out->tv_usec = 0;
}

/* Alerts of either direction: who was told what. */
static void note_alert(const SSL *ssl, int type, int value)
{
    struct tls *t = SSL_get_app_data(ssl);
    if (type == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL) {
        t->alert = (uint8_t)(value & 0xff);
        t->closed = t->alert == SSL_AD_CLOSE_NOTIFY; /* some call that fatal */
    }
}

/* SHA-1 is nobody's any more; RSA key transport has no forward secrecy. */
static bool set_algorithms(SSL_CTX *ctx, const struct tls_config *c)
{
    static const uint16_t verified[] = {
        SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_ED25519,
        SSL_SIGN_RSA_PSS_RSAE_SHA256,    SSL_SIGN_RSA_PKCS1_SHA256,
        SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA384,
        SSL_SIGN_RSA_PKCS1_SHA384,       SSL_SIGN_ECDSA_SECP521R1_SHA512,
        SSL_SIGN_RSA_PSS_RSAE_SHA512,    SSL_SIGN_RSA_PKCS1_SHA512,
    };
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, c->no_1_3 ? TLS1_2_VERSION : TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, "ALL:!kRSA:!PSK:!3DES:!SHA1:!aNULL") == 1 &&
           SSL_CTX_set1_curves_list(ctx, "X25519:P-256:P-384:P-521") == 1 &&
           SSL_CTX_set_verify_algorithm_prefs(ctx, verified,
                                              sizeof(verified) / sizeof(verified[0])) == 1;
}

static SSL_CTX *new_context(const struct tls_config *c)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_with_buffers_method());
    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_current_time_cb(ctx, current_time);
    SSL_CTX_set_info_callback(ctx, note_alert);
    int verify = c->trust == NULL && c->server ? SSL_VERIFY_NONE
                                               : SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_custom_verify(ctx, verify, tls_verify_peer);
    if (set_algorithms(ctx, c))
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

static bool attach(struct tls *t)
{
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (in == NULL || out == NULL) {
        BIO_free(in);
        BIO_free(out);
        return false;
    }
    BIO_set_mem_eof_return(in, -1); /* empty: more may come */
    SSL_set_bio(t->ssl, in, out);
    t->in = in;
    t->out = out;
    return true;
}

enum err tls_new(const struct tls_config *c, struct tls **ret)
{
    struct tls *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return ERR_MEMORY;
    t->config = *c;
    t->ctx = new_context(c);
    t->ssl = t->ctx != NULL ? SSL_new(t->ctx) : NULL;
    enum err e = ERR_MEMORY;
    if (t->ssl != NULL && SSL_set_app_data(t->ssl, t) == 1 && attach(t)) {
        if (c->server) {
            SSL_set_accept_state(t->ssl);
        } else {
            SSL_set_connect_state(t->ssl);
            if (trust_store_revocation(c->trust) != REVOCATION_OFF)
                SSL_enable_ocsp_stapling(t->ssl);
        }
        e = c->key != NULL ? tls_show_certificate(t) : ERR_OK;
    }
    ERR_clear_error();
    if (e == ERR_OK)
        *ret = t;
    else
        tls_free(t);
    return e;
}

void tls_free(struct tls *t)
{
    if (t == NULL)
        return;
    SSL_free(t->ssl); /* its BIOs too */
    SSL_CTX_free(t->ctx);
    certificate_free(t->peer);
    wipe(t, sizeof(*t));
    free(t);
}

void tls_set_trust(struct tls *t, const struct trust_store *trust)
{
    t->config.trust = trust;
}

/* --- records --- */

static enum err explain(struct tls *t, struct fault *f)
{
    if (t->verdict.code != ERR_OK) {
        if (f != NULL)
            *f = t->verdict;
        return t->verdict.code;
    }
    if (t->key_fault.code != ERR_OK) {
        if (f != NULL)
            *f = t->key_fault;
        return t->key_fault.code;
    }
    if (t->closed)
        return fault_set(f, ERR_EXHAUSTED, "the connection was closed");
    if (t->alert != 0)
        return fault_set(f, ERR_REFUSED, "TLS alert %u, %s", t->alert,
                         SSL_alert_desc_string_long(t->alert));
    uint32_t error = ERR_peek_error();
    if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
        return fault_set(f, ERR_MEMORY, "out of memory");
    const char *why = error != 0 ? ERR_reason_error_string(error) : NULL;
    return fault_set(f, ERR_MALFORMED, "%s", why != NULL ? why : "the connection ended");
}

enum err tls_input(struct tls *t, struct span records, struct fault *f)
{
    if (t->over)
        return fault_set(f, ERR_STATE, "the TLS connection is over");
    ERR_clear_error();
    if (records.len > INT_MAX ||
        (records.len > 0 && BIO_write(t->in, records.data, (int)records.len) != (int)records.len))
        return fault_set(f, ERR_MEMORY, "out of memory");
    if (tls_established(t)) /* data: tls_read takes it */
        return ERR_OK;
    int n = SSL_do_handshake(t->ssl);
    enum err e = ERR_OK;
    if (n != 1 && SSL_get_error(t->ssl, n) != SSL_ERROR_WANT_READ) {
        t->over = true;
        e = explain(t, f);
    }
    ERR_clear_error();
    return e;
}

struct span tls_output(const struct tls *t)
{
    const uint8_t *data = NULL;
    size_t len = 0;
    return BIO_mem_contents(t->out, &data, &len) == 1 ? span_make(data, len) : SPAN_EMPTY;
}

void tls_output_sent(struct tls *t)
{
    (void)BIO_reset(t->out);
}

enum err tls_read(struct tls *t, uint8_t *out, size_t cap, size_t *ret_len, struct fault *f)
{
    if (t->over || !tls_established(t))
        return fault_set(f, ERR_STATE, "the TLS connection is over");
    ERR_clear_error();
    int n = SSL_read(t->ssl, out, cap > INT_MAX ? INT_MAX : (int)cap);
    enum err e = ERR_OK;
    switch (SSL_get_error(t->ssl, n)) {
    case SSL_ERROR_NONE:
        *ret_len = (size_t)n;
        break;
    case SSL_ERROR_WANT_READ:
        e = ERR_AGAIN;
        break;
    case SSL_ERROR_ZERO_RETURN:
        e = fault_set(f, ERR_EXHAUSTED, "the connection was closed");
        break;
    default:
        t->over = true;
        e = explain(t, f);
        break;
    }
    ERR_clear_error();
    return e;
}

enum err tls_write(struct tls *t, struct span data)
{
    if (t->over || !tls_established(t) || data.len == 0 || data.len > INT_MAX)
        return ERR_STATE;
    int n = SSL_write(t->ssl, data.data, (int)data.len);
    ERR_clear_error();
    return n == (int)data.len ? ERR_OK : ERR_CRYPTO;
}

/* --- what came of it --- */

bool tls_established(const struct tls *t)
{
    return SSL_in_init(t->ssl) == 0;
}

bool tls_is_1_3(const struct tls *t)
{
    return SSL_version(t->ssl) == TLS1_3_VERSION;
}

const char *tls_version_text(const struct tls *t)
{
    return tls_is_1_3(t) ? "TLS 1.3" : "TLS 1.2";
}

const char *tls_cipher_text(const struct tls *t)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(t->ssl);
    return cipher != NULL ? SSL_CIPHER_standard_name(cipher) : "no cipher";
}

uint8_t tls_alert(const struct tls *t)
{
    return t->alert;
}

bool tls_alert_about_certificate(uint8_t alert)
{
    static const uint8_t those[] = {
        SSL_AD_BAD_CERTIFICATE,     SSL_AD_UNSUPPORTED_CERTIFICATE, SSL_AD_CERTIFICATE_REVOKED,
        SSL_AD_CERTIFICATE_EXPIRED, SSL_AD_CERTIFICATE_UNKNOWN,     SSL_AD_UNKNOWN_CA,
        SSL_AD_ACCESS_DENIED,       SSL_AD_CERTIFICATE_REQUIRED,
    };
    return memchr(those, alert, sizeof(those)) != NULL;
}

const struct certificate *tls_peer(const struct tls *t)
{
    return t->peer;
}

enum err tls_export(const struct tls *t, const char *label, struct span context, uint8_t *out,
                    size_t len)
{
    if (!tls_established(t))
        return ERR_STATE;
    int good = SSL_export_keying_material(t->ssl, out, len, label, strlen(label), context.data,
                                          context.len, context.len > 0);
    ERR_clear_error();
    return good == 1 ? ERR_OK : ERR_CRYPTO;
}
