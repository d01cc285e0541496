/* The other side's certificate, within a TLS handshake: is its chain to be believed, and does it
 * prove the name that it has to? */
#include <openssl/pool.h>

#include "common/crypto/tls_internal.h"

static enum err read_chain(const STACK_OF(CRYPTO_BUFFER) * sent, struct certificate_list *ret,
                           struct fault *f)
{
    size_t count = sent != NULL ? sk_CRYPTO_BUFFER_num(sent) : 0;
    if (count > CERTIFICATES_MAX)
        return fault_set(f, ERR_LIMIT, "%zu certificates are too many", count);
    for (size_t i = 0; i < count; i++) {
        const CRYPTO_BUFFER *b = sk_CRYPTO_BUFFER_value(sent, i);
        struct span der = span_make(CRYPTO_BUFFER_data(b), CRYPTO_BUFFER_len(b));
        enum err e = certificate_parse_der(der, &ret->items[ret->count], f);
        if (e != ERR_OK)
            return e;
        ret->count++;
    }
    return ERR_OK;
}

/* RFC 6066 8, RFC 8446 4.4.2.1: what the server has stapled to its certificate. */
static void collect_evidence(const SSL *ssl, struct trust_evidence *ret)
{
    const uint8_t *ocsp = NULL;
    size_t len = 0;
    *ret = (struct trust_evidence){.ocsp_count = 0};
    SSL_get0_ocsp_response(ssl, &ocsp, &len);
    if (len > 0)
        (void)trust_evidence_add_ocsp(ret, span_make(ocsp, len)); /* there is room for one */
}

static enum err check_name(const struct tls *t, const struct certificate *c, struct fault *f)
{
    char names[IDENTITY_TEXT_MAX], expected[IDENTITY_TEXT_MAX];
    if (t->config.name.type == IDENTITY_NONE || certificate_proves(c, &t->config.name))
        return ERR_OK;
    return fault_set(f, ERR_REFUSED, "certificate is for \"%.120s\", profile expects \"%.120s\"",
                     certificate_names(c, names), identity_format(&t->config.name, expected));
}

static uint8_t alert_for(const struct tls *t, const struct certificate_list *chain, enum err e)
{
    if (e == ERR_MEMORY)
        return SSL_AD_INTERNAL_ERROR;
    if (chain->count > 0 && certificate_not_after(chain->items[0]) < t->config.wall_time)
        return SSL_AD_CERTIFICATE_EXPIRED;
    return SSL_AD_BAD_CERTIFICATE;
}

enum ssl_verify_result_t tls_verify_peer(SSL *ssl, uint8_t *out_alert)
{
    struct tls *t = SSL_get_app_data(ssl);
    struct certificate_list chain = {.count = 0};
    struct trust_evidence evidence;
    collect_evidence(ssl, &evidence);
    enum err e = read_chain(SSL_get0_peer_certificates(ssl), &chain, &t->verdict);
    if (e == ERR_OK)
        e = trust_verify(t->config.trust, &chain, &evidence,
                         t->config.server ? PURPOSE_CLIENT : PURPOSE_GATEWAY, t->config.wall_time,
                         &t->verdict);
    if (e == ERR_OK)
        e = check_name(t, chain.items[0], &t->verdict);
    if (e == ERR_OK)
        t->peer = certificate_ref(chain.items[0]);
    else
        *out_alert = alert_for(t, &chain, e);
    t->verdict.code = e == ERR_OK || e == ERR_MEMORY ? e : ERR_INTEGRITY;
    certificate_list_wipe(&chain);
    return e == ERR_OK ? ssl_verify_ok : ssl_verify_invalid;
}
