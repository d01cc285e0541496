/* EAP-TLS (RFC 5216; with TLS 1.3 RFC 9190): both sides show certificates, and the handshake is all
 * there is. */
#include "common/eap/tls_layer.h"

/* RFC 9190 2.1.1: an octet of zero says that no more of the handshake is to come; before it the
 * server may still refuse our certificate. TLS 1.2 has been through with it. */
static enum err inside(struct eap_peer *p, struct fault *f)
{
    uint8_t said[2];
    size_t len = 0;
    if (tls_is_1_3(p->tls->tls)) {
        enum err e = tls_layer_read(p, said, sizeof(said), &len, f);
        if (e != ERR_OK || p->tls->over || len == 0)
            return e;
        if (len != 1 || said[0] != 0)
            return fault_set(f, ERR_MALFORMED, "the gateway says something inside EAP-TLS");
    }
    return tls_layer_finish(p, "client EAP encryption", f);
}

static enum err input(struct eap_peer *p, uint8_t identifier, struct span data,
                      struct wire_writer *w, struct fault *f)
{
    (void)identifier;
    return tls_layer_input(p, data, w, inside, f);
}

const struct eap_method eap_tls = {EAP_TLS, "tls", METHOD_TLS, input};
