/* MD5-Challenge (RFC 3748 5.4, RFC 1994): proves nothing of the server, makes no key. */
#include "common/crypto/legacy.h"
#include "common/eap/peer_internal.h"

static enum err input(struct eap_peer *p, uint8_t identifier, struct span data,
                      struct wire_writer *w, struct fault *f)
{
    struct wire_reader r;
    uint8_t digest[MD5_LEN];
    wire_reader_init(&r, data);
    size_t len = wire_read_u8(&r);
    struct span challenge = wire_read_span(&r, len);
    (void)wire_read_rest(&r); /* the server's name */
    if (wire_read_finish(&r) != ERR_OK || len == 0)
        return fault_set(f, ERR_MALFORMED, "the gateway's EAP-MD5 challenge is broken");
    const struct span parts[] = {span_make(&identifier, 1), secret_span(&p->config.password),
                                 challenge};
    hash_md5(parts, 3, digest);
    wire_write_u8(w, sizeof(digest));
    wire_write_span(w, SPAN_OF(digest));
    wire_write_span(w, eap_name(p));
    p->done = true;
    return ERR_OK;
}

const struct eap_method eap_md5 = {EAP_MD5, "md5", METHOD_PASSWORD, input};
